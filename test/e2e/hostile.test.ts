// Clumsy clients: whole pipelines at once, ends in the middle, and a node that stops. What hostile ones do is in security/.

import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../support/eventually.ts'
import { encodeRequest } from '../support/raw-client.ts'
import type { Argument, RawClient } from '../support/raw-client.ts'
import { startNode } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { toldUntilClosed } from '../support/told.ts'

let node: Server
beforeAll(async () => {
  node = await startNode()
})
afterAll(async () => {
  // Whatever was done to it: it is there, it has no bug to report, and it stops as it should.
  expect(node.log()).not.toMatch(/please report this/)
  expect(await node.stop()).toEqual({ code: 0, signal: null })
})

async function info(client: RawClient, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(await client.call('INFO', 'all')))?.[1])
}

describe('pipelines', () => {
  it('100,000 requests, then the client closes its side, then it reads: every reply, in order', async () => {
    const n = 100_000
    const socket = connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
    const request = encodeRequest(['INCR', 'many'])
    socket.pause()
    socket.end(Buffer.concat(Array.from({ length: n }, () => request)))
    const chunks: Buffer[] = []
    const over = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('close', () => resolve())
    })
    socket.once('finish', () => socket.resume())
    await within('the end', over, 30_000)
    expect(Buffer.concat(chunks).toString() === Array.from({ length: n }, (_, i) => `:${i + 1}\r\n`).join('')).toBe(true)
  })

  it('a client that has closed its side gets what waits for the disk or for the end of a pause', async () => {
    await using operator = await node.connect()
    const sent = (...commands: readonly Argument[][]): Promise<string> => {
      const socket = connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
      socket.end(Buffer.concat(commands.map(encodeRequest)))
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString()))
      return within(
        'its replies and the end',
        new Promise((resolve) => {
          socket.on('close', () => resolve(text))
        }),
      )
    }
    expect(await sent(['SET', 'a', '1'], ['WAITAOF', 1, 0, 0], ['PING'])).toBe('+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n')
    expect(await operator.call('CLIENT', 'PAUSE', 60_000, 'WRITE')).toBe('OK')
    const paused = sent(['SET', 'b', '1'], ['GET', 'b'])
    await eventually('it waits', async () => (await info(operator, 'blocked_clients')) === 1)
    await operator.call('CLIENT', 'UNPAUSE')
    expect(await paused).toBe('+OK\r\n$1\r\n1\r\n')
  })

  it('whoever goes on sending behind QUIT, an error or its own end still reads the replies before', async () => {
    const flood = encodeRequest(['SET', 'behind', 'x'.repeat(1000)])
    const behind = Buffer.concat(Array.from({ length: 300 }, () => flood))
    for (let round = 0; round < 20; round++) {
      expect(await toldUntilClosed(node.port, Buffer.concat([encodeRequest(['PING']), encodeRequest(['QUIT']), behind]))).toBe(
        '+PONG\r\n+OK\r\n',
      )
      expect(await toldUntilClosed(node.port, Buffer.concat([encodeRequest(['PING']), Buffer.from('*x\r\n'), behind]))).toBe(
        '+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n',
      )
    }
    await using client = await node.connect()
    expect(await client.call('EXISTS', 'behind')).toBe(0)
    const id = Number(await client.call('CLIENT', 'ID'))
    client.send(Buffer.concat([encodeRequest(['CLIENT', 'KILL', 'ID', id, 'SKIPME', 'no']), behind]))
    expect((await client.read()).toString()).toBe(':1\r\n')
    await within('its end', client.closed)
  })
})

describe('SIGTERM', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s under load: exit 0, replies to whole pipelines, nothing acknowledged is lost',
    async (signal) => {
      await using busy = await startNode()
      const clients = await Promise.all(Array.from({ length: 10 }, () => busy.connect()))
      const acked = clients.map(() => 0)
      const sale = Promise.all(
        clients.map(async (client, k) => {
          for (let i = 0; ; i += 20) {
            client.send(Buffer.concat(Array.from({ length: 20 }, (_, j) => encodeRequest(['SET', `${k}:${i + j}`, 'x']))))
            for (let j = 0; j < 20; j++) {
              const reply = await client.read().catch(() => null)
              if (reply === null) return expect(j).toBe(0)
              expect(reply.toString()).toBe('+OK\r\n')
              acked[k]++
            }
          }
        }),
      )
      await eventually('some are sold', () => acked.every((n) => n > 100))
      busy.signal(signal)
      expect(await within('the end', busy.exited)).toEqual({ code: 0, signal: null })
      await sale
      await using again = await startNode({ dir: busy.dir })
      await using reader = await again.connect()
      for (const [k, n] of acked.entries())
        expect(await reader.call('EXISTS', ...Array.from({ length: n }, (_, i) => `${k}:${i}`)), `client ${k}`).toBe(n)
    },
  )

  it('answers who waits, and does not wait for a client that floods', async () => {
    await using server = await startNode()
    await using waiting = await server.connect()
    await using paused = await server.connect()
    await using forever = await server.connect()
    await using flooding = await server.connect()
    waiting.send(Buffer.concat([['SET', 'a', '1'], ['WAITAOF', 1, 0, 0], ['PING']].map(encodeRequest)))
    forever.send(
      Buffer.concat(
        [
          ['WAIT', 1, 0],
          ['SET', 'b', '1'],
        ].map(encodeRequest),
      ),
    )
    const request = encodeRequest(['GET', 'nokey'])
    const flood = Buffer.concat(Array.from({ length: 20_000 }, () => request))
    const pour = (): void => void (flooding.socket.writable && flooding.socket.write(flood, pour))
    pour()
    await flooding.read()
    await using operator = await server.connect()
    expect(await operator.call('CLIENT', 'PAUSE', 60_000, 'WRITE')).toBe('OK')
    paused.send(
      Buffer.concat(
        [
          ['SET', 'c', '1'],
          ['GET', 'c'],
        ].map(encodeRequest),
      ),
    )
    await eventually('they wait', async () => (await info(operator, 'blocked_clients')) >= 2)
    server.signal('SIGTERM')
    expect(await within('the end', server.exited, 5000)).toEqual({ code: 0, signal: null })
    const replies = async (client: RawClient, n: number): Promise<string> =>
      (await Promise.all(Array.from({ length: n }, () => client.read()))).join('')
    expect(await replies(waiting, 3)).toBe('+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n')
    expect(await replies(paused, 2)).toBe('+OK\r\n$1\r\n1\r\n')
    expect(await replies(forever, 2)).toBe(':0\r\n+OK\r\n')
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    expect(await reader.call('EXISTS', 'a', 'b', 'c')).toBe(3)
  })
})
