// The room `resp` by itself: requests cut out of a stream, replies written into a buffer.   node bench/resp.bench.ts

import { INPUT_HEADROOM, REQUEST, RequestParser } from '../src/resp/parser.ts'
import { Reply } from '../src/resp/reply.ts'
import { encodeRequest } from '../test/support/raw-client.ts'
import { stopwatch } from './stopwatch.ts'

const N = 10_000

/** A stream of N requests, with headroom in front, as a socket delivers it. */
function stream(request: (i: number) => readonly string[]): Buffer {
  return Buffer.concat([Buffer.alloc(INPUT_HEADROOM), ...Array.from({ length: N }, (_, i) => encodeRequest(request(i)))])
}

function cut(what: string, bytes: Buffer, chunk: number): void {
  const parser = new RequestParser()
  const input = Buffer.alloc(INPUT_HEADROOM + chunk)
  const pass = (): number => {
    let requests = 0
    for (let at = INPUT_HEADROOM; at < bytes.length; at += chunk) {
      const end = Math.min(at + chunk, bytes.length)
      bytes.copy(input, INPUT_HEADROOM, at, end)
      parser.feed(input, INPUT_HEADROOM, INPUT_HEADROOM + end - at)
      while (parser.next() === REQUEST) requests += parser.request.argc
      parser.keep(1 as never)
    }
    return requests
  }
  stopwatch(what, N, pass, bytes.length)
}

const key = (i: number): string => `key:${String(i * 7919).padStart(12, '0')}`
const get = stream((i) => ['GET', key(i)])
const set = stream((i) => ['SET', key(i), 'xxx'])
const reserve = stream((i) => ['STOCK.RESERVE', `{u${i}}01JA8Z`, 'EX', '600', 'ITEMS', 'sku:iphone', '1'])

cut('GET, 64 KiB at a time', get, 64 * 1024)
cut('SET, 64 KiB at a time', set, 64 * 1024)
cut('STOCK.RESERVE, 64 KiB at a time', reserve, 64 * 1024)
cut('SET, 100 bytes at a time (cut anywhere)', set, 100)

const reply = new Reply()
const value = Buffer.from('xxx')
const name = Buffer.from('sku:iphone')
stopwatch('reply +OK', N, () => {
  reply.length = 0
  for (let i = 0; i < N; i++) reply.ok()
  return reply.length
})
stopwatch('reply bulk of 3 bytes', N, () => {
  reply.length = 0
  for (let i = 0; i < N; i++) reply.bulk(value)
  return reply.length
})
stopwatch('reply of a reservation', N, () => {
  reply.length = 0
  for (let i = 0; i < N; i++) {
    reply.array(5)
    reply.simple('OK')
    reply.integer(1_792_000_600_000 + i)
    reply.integer(i)
    reply.integer(N - i)
    reply.emptyBulk()
  }
  return reply.length
})
stopwatch('reply of a refusal', N, () => {
  reply.length = 0
  for (let i = 0; i < N; i++) {
    reply.array(5)
    reply.simple('SOLDOUT')
    reply.integer(0)
    reply.integer(0)
    reply.integer(i)
    reply.bulk(name)
  }
  return reply.length
})
