// Streams that are not what a client should send: stockd answers, and closes, as redis-server does, byte for byte.

import { beforeAll, describe, expect, it } from 'vitest'
import { connect } from 'node:net'
import { Random } from '../../src/base/random.ts'
import { within } from '../support/eventually.ts'
import { brokenStream, encoded } from '../fuzz/broken-streams.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const STREAMS = Number(process.env.STREAMS ?? 1500)

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Everything that a server says to a stream, until the connection is over. The stream is sent in pieces; then the client says that it is done. */
function conversation(port: number, pieces: readonly Buffer[]): Promise<string> {
  const whole = new Promise<string>((resolve, reject) => {
    const replies: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    socket.on('data', (chunk) => replies.push(chunk))
    socket.once('connect', () => {
      void (async () => {
        for (const piece of pieces) {
          if (socket.destroyed) return
          socket.write(piece)
          await new Promise((next) => setImmediate(next))
        }
        socket.end()
      })()
    })
    // A server that closes while bytes are on their way resets the connection: an end like another.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.once('end', () => socket.destroy())
    socket.once('close', () => resolve(Buffer.concat(replies).toString('latin1')))
  })
  return within('the end of a conversation', whole)
}

const BROKEN: readonly string[] = [
  ...[
    '*x\r\n',
    '*\r\n',
    '*01\r\n',
    '*+1\r\n',
    '* 1\r\n',
    '*-0\r\n',
    '*1 \r\n',
    '*2147483648\r\n',
    '*9223372036854775808\r\n',
    '*-9223372036854775809\r\n',
  ],
  ...[
    '*1\r\n$-1\r\n',
    '*1\r\n$\r\n',
    '*1\r\n$04\r\nPING\r\n',
    '*1\r\n$1x\r\n',
    '*1\r\n$536870913\r\n',
    '*1\r\n$1099511627776\r\n',
    '*1\r\n$99999999999999999999\r\n',
    '*1\r\n$+4\r\nPING\r\n',
  ],
  ...[
    '*2\r\n$4\r\nPING\r\n:1\r\n',
    '*1\r\n*1\r\n$4\r\nPING\r\n',
    '*1\r\n\r\n',
    '*1\r\nPING\r\n',
    '*1\r\n\xff\r\n',
    '*1\r\n\n\r\n',
    '*2\r\n$3\r\nGET\r\n*0\r\n',
  ],
  ...['"abc\r\n', "set 'abc\r\n", 'set "a"b\r\n', "set 'a'b\r\n", 'set "a\\\r\n', 'GET "\r\n', `PING\r\nPING "\r\nPING\r\n`],
  ...[
    'x'.repeat(65537),
    `*${'1'.repeat(65536)}`,
    `*1\r\n$${'1'.repeat(65536)}`,
    `PI\0NG\r\n${'x'.repeat(65536)}`,
    `*1\n${'$4\nPING\n'.padEnd(65536)}`,
  ],
]

const FINE: readonly string[] = [
  '',
  '\r\n',
  '\n\n\nPING\n',
  '*0\r\n*-1\r\n*-9223372036854775808\r\nPING\r\n',
  'PING\r\nPING hello\r\n  ECHO   "a b\\x41\\n\\t"  \r\n',
  `ECHO 'it\\'s'\r\nECHO ab"cd"\r\nECHO ""\r\nECHO '' x\r\n\v\fPING\v\r\n`,
  'PI\0NG\r\nPING\r\n',
  '*1\n$4\nPING\n',
  'x',
  '*',
  '*1',
  '*1\r',
  '*1\r\n',
  '*1\r\n$',
  '*1\r\n$4\r\nPIN',
  '*1\r\n$4\r\nPING\r',
  '*x',
  '*1\r\nx',
  '*1\rX$4\ryPING__*1\r\n$4\r\nPING\r\n',
  '*1\r\n$0\r\n\r\nPING\r\n',
  '*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n',
  'set k "\\xff\\x00\\"\\\\"\r\nget k\r\nstrlen k\r\n',
  'QUIT\r\nPING\r\n',
  `${encoded('QUIT')}${encoded('PING')}`,
  `${encoded('PING')}${encoded('nosuch', 'a\r\nb', 'c\0d')}${encoded('GET')}`,
  `${encoded('ECHO', 'x'.repeat(100_000))}${encoded('PING')}`,
  `GET ${'k'.repeat(65_000)}\r\n`,
  encoded(...Array.from({ length: 5000 }, (_, i) => (i === 0 ? 'EXISTS' : `k${i}`))),
]

/** It claims more arguments than a node takes, and not more than redis-server. */
const isTooMuch = (stream: string): boolean =>
  [...stream.matchAll(/\*(\d{7,10})\r/g)].some(([, digits]) => Number(digits) > 1_048_576 && Number(digits) < 2 ** 31)

describe.skipIf(!HAS_REDIS)('framing', () => {
  let redis: Server
  let stockd: Server
  beforeAll(async () => {
    redis = await startRedis()
    stockd = process.env.COMPAT_SELF === '1' ? await startRedis() : await startNode({ args: ['--appendonly', 'no'] })
  })

  const compare = async (stream: string, pieces: readonly Buffer[], about: string): Promise<string> => {
    const [theirs, ours] = await Promise.all([conversation(redis.port, [latin1(stream)]), conversation(stockd.port, pieces)])
    expect(ours, `${about}\nstream: ${JSON.stringify(stream.slice(0, 1000))}`).toBe(theirs)
    return theirs
  }

  it('closes with the same protocol error', async () => {
    for (const stream of BROKEN) expect(await compare(stream, [latin1(stream)], '')).toMatch(/-ERR Protocol error: /)
  })

  it('answers what precedes an error, and nothing behind it', async () => {
    for (const stream of ['*x\r\n', '"x\r\n', '*1\r\n:1\r\n'])
      await compare(`PING\r\n${encoded('ECHO', 'a')}${stream}PING\r\n`, [latin1(`PING\r\n${encoded('ECHO', 'a')}${stream}PING\r\n`)], '')
  })

  it('takes what redis-server takes', async () => {
    for (const stream of FINE) await compare(stream, [latin1(stream)], '')
  })

  it('closes on HTTP without a word', async () => {
    for (const stream of ['POST / HTTP/1.1\r\nHost: x\r\n\r\n', 'Host: x\r\n', 'PING\r\nhost: x\r\nPING\r\n', 'post\r\n'])
      await compare(stream, [latin1(stream)], '')
  })

  it(`gives the same for streams with random faults, cut at random (SEED=${SEED})`, async () => {
    const random = new Random(SEED)
    const one = async (): Promise<void> => {
      let stream = brokenStream(random)
      // redis-server waits for thousands of millions of arguments; here a million is the limit.
      while (isTooMuch(stream)) stream = brokenStream(random)
      const bytes = latin1(stream)
      const pieces: Buffer[] = []
      const pieceMax = random.pick([3, 20, 200, 100_000])
      for (let at = 0; at < bytes.length;) {
        const size = pieces.length < 30 ? random.between(1, pieceMax) : bytes.length
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      await compare(stream, pieces, `SEED=${SEED}`)
    }
    for (let n = 0; n < STREAMS; n += 10) await Promise.all(Array.from({ length: 10 }, one))
  })
})
