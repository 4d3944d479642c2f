// An event feed without a log: entries in an array, given when the test lets them. What a node's stock:events shows in tests of its readers.

import type { EventType } from '../../src/engine/events/event.ts'
import type { EventFeed, FeedEntry, FeedRange, FeedStatus, FeedSummary } from '../../src/server/event-feed.ts'

const NO_NUMBERS: readonly number[] = Array.from({ length: 16 }, () => 0)

export const FEED_STATUS: FeedStatus = {
  sink: 'none',
  state: 'nobody takes the events',
  isConnected: false,
  published: NO_NUMBERS,
  acked: NO_NUMBERS,
  stored: NO_NUMBERS,
  storedLsn: 0,
  storedTime: 0,
  keepFrom: Infinity,
  backlogBytes: 0,
  backlogBytesMax: 0,
  lagMs: 0,
  cpuMicros: 0,
  counters: {},
}

export class FakeFeed implements EventFeed {
  status: FeedStatus = FEED_STATUS
  readonly entries: FeedEntry[] = []
  onEntries: () => void = () => {}
  /** How often the feed was asked. */
  ranges = 0
  summaries = 0
  /** What the node has told. */
  acked = 0
  durable = 0
  readonly seeks: [number, number][] = []
  isClosed = false
  /** Set: the log cannot be read. */
  failure: Error | null = null
  /** While true, questions wait for `release`: before they are looked at, and again before what was found arrives. */
  isHolding = false
  readonly #held: (() => void)[] = []

  /** Adds an entry without telling. */
  put(ms: number, lsn: number, type: EventType = 'order.reserved', body = `{"lsn":${lsn}}`): this {
    const event = { lsn, part: lsn % 16, pseq: Math.floor(lsn / 16) + 1, type, time: ms, body: Buffer.from(body) }
    this.entries.push({ ms, lsn, event })
    return this
  }

  /** Adds an entry and says so. */
  add(ms: number, lsn: number, type: EventType = 'order.reserved', body?: string): void {
    this.put(ms, lsn, type, body)
    this.onEntries()
  }

  progress(acked: number, durable: number): void {
    this.acked = acked
    this.durable = durable
  }

  async range(range: FeedRange): Promise<readonly FeedEntry[]> {
    this.ranges++
    await this.#answers()
    const { from, to, count, isReverse } = range
    const found = this.entries.filter((entry) => compare(entry, from) >= 0 && compare(entry, to) <= 0)
    if (isReverse) found.reverse()
    await this.#answers()
    return found.slice(0, Math.min(count, found.length))
  }

  async summary(): Promise<FeedSummary> {
    this.summaries++
    await this.#answers()
    const summary = { length: this.entries.length, first: this.entries[0] ?? null, last: this.entries.at(-1) ?? null }
    await this.#answers()
    return summary
  }

  seek(part: number, pseq: number): void {
    this.seeks.push([part, pseq])
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  /** Questions that were held get their answers. */
  release(): void {
    this.isHolding = false
    for (const go of this.#held.splice(0)) go()
  }

  async #answers(): Promise<void> {
    if (this.isHolding) await new Promise<void>((resolve) => this.#held.push(resolve))
    if (this.failure !== null) throw this.failure
  }
}

function compare(a: { ms: number; lsn: number }, b: { ms: number; lsn: number }): number {
  return a.ms - b.ms || a.lsn - b.lsn
}
