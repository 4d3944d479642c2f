// The client that comparisons rest on: it must cut replies exactly where they end, however they arrive.

import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { RawClient, decodeReply, encodeRequest, replyEnd } from './raw-client.ts'
import type { Value } from './raw-client.ts'

const replies: [bytes: string, value: Value][] = [
  ['+OK\r\n', 'OK'],
  [':-12\r\n', -12],
  [':9223372036854775807\r\n', 9223372036854775807n],
  ['$-1\r\n', null],
  ['$0\r\n\r\n', ''],
  ['$4\r\na\r\nb\r\n', 'a\r\nb'],
  ['*-1\r\n', null],
  ['*0\r\n', []],
  ['*3\r\n:1\r\n*1\r\n$1\r\nx\r\n_\r\n', [1, ['x'], null]],
  ['%1\r\n+a\r\n#t\r\n', new Map([['a', true]])],
  ['~2\r\n,1.5\r\n,inf\r\n', new Set([1.5, Infinity])],
  ['=6\r\ntxt:hi\r\n', 'hi'],
  ['(3492890328409238509324850943850943825024385\r\n', 3492890328409238509324850943850943825024385n],
]

describe('replies', () => {
  it.each(replies)('%j ends where it ends, and decodes', (bytes, value) => {
    const whole = Buffer.from(bytes)
    for (let cut = 0; cut < whole.length; cut++) expect(replyEnd(whole.subarray(0, cut), 0)).toBe(-1)
    expect(replyEnd(Buffer.concat([whole, Buffer.from('+next\r\n')]), 0)).toBe(whole.length)
    expect(decodeReply(whole)).toEqual(value)
  })

  it('come one by one from a stream that is cut anywhere, pushes apart', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => sockets.push(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await using client = await RawClient.connect((server.address() as AddressInfo).port)
    const stream = Buffer.from(replies.map(([bytes]) => `${bytes}>1\r\n+news\r\n`).join(''))
    const all = Promise.all(replies.map(() => client.read()))
    await new Promise<void>((resolve) => {
      const next = (at: number): void => {
        if (at === stream.length) return resolve()
        sockets[0].write(stream.subarray(at, at + 1), () => next(at + 1))
      }
      next(0)
    })
    expect((await all).map(String)).toEqual(replies.map(([bytes]) => bytes))
    expect(client.pushes).toHaveLength(replies.length)
    server.close()
  })
})

it('requests are arrays of bulk strings, in bytes', () => {
  expect(encodeRequest(['SET', 'ключ', 5]).toString()).toBe('*3\r\n$3\r\nSET\r\n$8\r\nключ\r\n$1\r\n5\r\n')
})
