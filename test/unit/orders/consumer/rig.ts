// Events, and a store that does what a test says, for the consumer's parts. Time is simulated.

import { Random } from '../../../../src/base/random.ts'
import type { OrdersEnv } from '../../../../src/orders/env.ts'
import type { WritableStore } from '../../../../src/orders/consumer/batch-writer.ts'
import type { Message } from '../../../../src/orders/broker/broker.ts'
import { StoreError, type StoreErrorClass } from '../../../../src/orders/store/store-error.ts'
import type { BatchOutcome, EventBatch, IncomingEvent } from '../../../../src/orders/store/store.ts'
import { SimTime } from '../../../sim/sim-time.ts'

export const STREAM = 'n1_00c0ffee-1'

/** The JSON of a small event, as the node sends it. */
export function payloadOf(part: number, pseq: number, sku = 'book'): Buffer {
  const stock = [{ sku, generation: 1, total: 5, available: 0, reserved: 5, sold: 0, change: {} }]
  return Buffer.from(
    JSON.stringify({
      ...{ schema: 1, id: `${STREAM}-${pseq * 16 + part}`, type: 'stock.soldout', time: 1_700_000_000_000, order: null, buyer: null },
      ...{ shard: part * 64, version: pseq, state: null, deadline: 0, ref: null, reason: null, late: false, items: [], stock, sellable: 0 },
    }),
  )
}

export function messageOf(part: number, pseq: number, more: Partial<Message> = {}): Message {
  const body = payloadOf(part, pseq)
  return { stream: STREAM, part, pseq, oldest: 1, type: 'stock.soldout', time: 1_700_000_000_000, body, ...more }
}

export function eventsOf(...pseqs: readonly number[]): IncomingEvent[] {
  return pseqs.map((pseq) => ({ pseq, oldest: 1, payload: payloadOf(0, pseq), body: null, dead: null }))
}

export function fault(kind: StoreErrorClass): StoreError {
  return new StoreError(kind, { wait: '2013', again: '1213', poison: '1406', unknown: '4711' }[kind], `a ${kind} error`)
}

/** Keeps the cursor rule; `before` may throw, as the database would. */
export class ScriptedStore implements WritableStore {
  readonly name = 'scripted'
  cursor = 0
  readonly rows: IncomingEvent[] = []
  readonly applied: number[][] = []
  probes = 0
  before: (events: readonly IncomingEvent[]) => void = () => {}
  after: () => void = () => {}
  onProbe: () => void = () => {}

  // oxlint-disable-next-line require-await
  async apply({ events }: EventBatch): Promise<BatchOutcome> {
    this.applied.push(events.map(({ pseq }) => pseq))
    this.before(events)
    const seen = events.filter(({ pseq }) => pseq <= this.cursor).length
    let stored = 0
    for (const event of events) {
      if (event.pseq !== this.cursor + 1) continue
      this.cursor++
      this.rows.push(event)
      stored++
    }
    this.after()
    return { cursor: this.cursor, stored, seen, early: events.length - stored - seen, conflict: null, marks: [] }
  }

  // oxlint-disable-next-line require-await
  async probe(): Promise<void> {
    this.probes++
    this.onProbe()
  }
}

export class Rig {
  readonly time = new SimTime()
  readonly lines: string[] = []
  readonly env: OrdersEnv = this.time.env(new Random(1), (level, line) => this.lines.push(`${level}: ${line}`))

  /** What the promise becomes, within so much simulated time; `pending` if it does not end. */
  async outcome<T>(promise: Promise<T>, ms = 60_000): Promise<T | Error | 'pending'> {
    let result: T | Error | 'pending' = 'pending'
    promise.then(
      (value) => (result = value),
      (error: unknown) => (result = error as Error),
    )
    await this.time.run(ms, () => result !== 'pending')
    return result
  }
}
