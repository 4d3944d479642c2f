// The ledger by itself, as the engine runs it: a request's bytes in, the reply's bytes and the records out.   node bench/ledger.bench.ts

import { millis } from '../src/base/brand.ts'
import { Call } from '../src/engine/call.ts'
import { Engine } from '../src/engine/engine.ts'
import { REQUEST, RequestParser } from '../src/resp/parser.ts'
import { Reply } from '../src/resp/reply.ts'
import { encodeRequest } from '../test/support/raw-client.ts'
import { stopwatch } from './stopwatch.ts'

const N = 5000
const HOLD_SECONDS = 100
const START = millis(1_792_000_000_000)

/** An engine with one SKU, and commands fed to it as a turn does. */
class Shop {
  readonly engine = new Engine({ seed: 7 })
  readonly reply = new Reply(1024 * 1024)
  readonly #parser = new RequestParser()
  readonly #call = new Call(this.engine, this.#parser.request, this.reply, { database: 0 })

  constructor(units: number) {
    this.engine.advance(START)
    this.run(encodeRequest(['STOCK.CREATE', 'sku:bench', units, 'HOLD', HOLD_SECONDS, 'LIMIT', 5]))
    if (!this.engine.ledger.hasStock) throw new Error('the SKU was not made')
  }

  /** Runs a stream of whole requests. Answers the bytes of replies and records, which are then forgotten. */
  run(stream: Buffer): number {
    this.#execute(stream)
    return this.#forget()
  }

  /** All holds are due; the engine may take several turns for them. */
  expire(): void {
    const { engine } = this
    const open = engine.ledger.state.openOrders
    engine.now = millis(engine.now + HOLD_SECONDS * 1000)
    while (engine.ledger.state.openOrders > 0) engine.advance(engine.now)
    if (open === 0) throw new Error('no hold was open')
    this.#forget()
  }

  /** What the log would keep of these requests. */
  recordsOf(stream: Buffer): Buffer {
    const { journal } = this.engine
    this.#execute(stream)
    const records = Buffer.from(journal.buffer.subarray(0, journal.length))
    this.#forget()
    return records
  }

  replay(records: Buffer): number {
    const parser = this.#parser
    parser.feed(records, 0, records.length)
    while (parser.next() === REQUEST) this.engine.replay(parser.request)
    parser.keep(START)
    return this.engine.ledger.state.openOrders
  }

  #execute(stream: Buffer): void {
    const parser = this.#parser
    parser.feed(stream, 0, stream.length)
    while (parser.next() === REQUEST) {
      this.#call.request = parser.request
      this.engine.execute(this.#call)
    }
    parser.keep(START)
  }

  #forget(): number {
    const { journal } = this.engine
    const bytes = this.reply.length + journal.length
    this.reply.length = 0
    journal.drained()
    return bytes
  }
}

type Request = readonly (string | number)[]

const PASSES = 64

const order = (pass: number, i: number): string => `{u${String(pass * N + i).padStart(8, '0')}}01JA8Z`
const reserve = (id: string): Request => ['STOCK.RESERVE', id, 'ITEMS', 'sku:bench', 1]

/** A stream of ASCII requests: much faster to make than by concatenating a buffer for each. */
function streamOf(requests: Request[]): Buffer {
  const text = requests.map((args) => `*${args.length}\r\n${args.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`)
  return Buffer.from(text.join(''), 'latin1')
}

/** Streams are made before anything is timed: one per pass; when they are used up, a new shop starts over with the first. */
function time(what: string, units: number, requests: (id: string) => Request[], after?: (shop: Shop) => void): void {
  const streams = Array.from({ length: PASSES }, (_, pass) =>
    streamOf(Array.from({ length: N }, (__, i) => requests(order(pass, i))).flat()),
  )
  let pass = 0
  let shop = new Shop(units)
  stopwatch(what, N, () => {
    if (pass === PASSES) {
      pass = 0
      shop = new Shop(units)
    }
    const bytes = shop.run(streams[pass++])
    after?.(shop)
    return bytes
  })
}

const PLENTY = 1_000_000_000

time('RESERVE, each of another buyer', PLENTY, (id) => [reserve(id)])
time('RESERVE, sold out', 0, (id) => [reserve(id)])
time('RESERVE and the same again (replay)', PLENTY, (id) => [reserve(id), reserve(id)])
time('RESERVE and CONFIRM', PLENTY, (id) => [reserve(id), ['STOCK.CONFIRM', id, 'REF', 'pay_1']])
time('RESERVE and RELEASE', PLENTY, (id) => [reserve(id), ['STOCK.RELEASE', id]])
time(
  'RESERVE, and its hold expires',
  PLENTY,
  (id) => [reserve(id)],
  (shop) => shop.expire(),
)

{
  const shop = new Shop(PLENTY)
  const records = shop.recordsOf(streamOf(Array.from({ length: N }, (_, i) => reserve(order(0, i)))))
  stopwatch('replay of a reservation', N, () => new Shop(PLENTY).replay(records), records.length)
}
