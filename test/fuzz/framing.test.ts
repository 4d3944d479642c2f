// Streams of bytes, right ones and broken ones, cut into reads at any place: what a node answers does not depend on the cuts, is always whole
// replies, and no count or length that a client claims takes memory before its bytes are there.
//
// What redis-server answers to such streams is compared in compat/framing.test.ts. SEED replays a run, STREAMS makes it longer.

import { expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { brokenStream, encoded, wholeStream } from './broken-streams.ts'
import { RecordedNode } from './recorded-node.ts'
import { countReplies } from './reply-check.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const STREAMS = Number(process.env.STREAMS ?? 20_000)

/** What a new client is told for a stream that comes in these pieces; `\0closed` behind it if it was sent away. */
function answer(recorded: RecordedNode, pieces: readonly Buffer[]): string {
  const peer = recorded.connect()
  for (const piece of pieces) {
    if (peer.transport.state !== 'open' || peer.session.isClosing) break
    recorded.sendBytes(peer.session, piece)
  }
  const bytes = Buffer.concat(peer.transport.sent)
  countReplies(bytes, 2)
  const end = peer.transport.state === 'open' && !peer.session.isClosing ? '' : '\0closed'
  recorded.disconnect(peer)
  return bytes.toString('latin1') + end
}

const cutAt = (bytes: Buffer, places: readonly number[]): Buffer[] =>
  [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length)).filter((piece) => piece.length > 0)

it('a stream is the same stream wherever it is cut in two, and byte by byte', async () => {
  const recorded = await RecordedNode.start()
  const random = new Random(1)
  for (let n = 0; n < 60; n++) {
    const bytes = Buffer.from(n % 2 === 0 ? wholeStream(random) : brokenStream(random), 'latin1')
    if (bytes.length > 700) continue
    const whole = answer(recorded, [bytes])
    for (let at = 1; at < bytes.length; at++) {
      expect(answer(recorded, cutAt(bytes, [at])), `${JSON.stringify(bytes.toString('latin1'))} cut at ${at}`).toBe(whole)
    }
    expect(answer(recorded, cutAt(bytes, Array.from(bytes.keys()).slice(1))), JSON.stringify(bytes.toString('latin1'))).toBe(whole)
  }
})

it(`broken streams get whole answers, whatever the cuts (SEED=${SEED})`, { timeout: 3_600_000 }, async () => {
  const recorded = await RecordedNode.start()
  const random = new Random(SEED)
  let closed = 0
  for (let n = 0; n < STREAMS; n++) {
    const bytes = Buffer.from(brokenStream(random), 'latin1')
    const whole = answer(recorded, [bytes])
    const places = Array.from({ length: random.between(1, 5) }, () => random.below(bytes.length + 1)).toSorted((a, b) => a - b)
    expect(
      answer(recorded, cutAt(bytes, places)),
      `SEED=${SEED}: ${JSON.stringify(bytes.toString('latin1'))} cut at ${places.join()}`,
    ).toBe(whole)
    if (whole.endsWith('\0closed')) closed++
  }
  expect(closed).toBeGreaterThan(STREAMS / 50)
})

it('what is only announced takes no memory', async () => {
  const recorded = await RecordedNode.start()
  const before = process.memoryUsage()
  const heads = [
    '*1048576\r\n',
    '*1048576\r\n$536870912\r\n',
    '*2\r\n$4\r\nECHO\r\n$536870912\r\nabc',
    `*1048576\r\n${encoded('PING').slice(4)}$1`,
  ]
  for (let n = 0; n < 400; n++) recorded.sendBytes(recorded.connect().session, Buffer.from(heads[n % heads.length]))
  const after = process.memoryUsage()
  // 100 kB for each, at the most: a session, and room for what has come.
  expect(after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(400 * 100 * 1024)
})
