// What a node knows of its outbox: everything behind it (threads, brokers, databases) is another room's, which `cli` brings along.
//
// The feed reads the log's files by itself. The node only tells it how far it may read, and is told what was stored.

import type { OutboxEvent } from '../engine/events/event.ts'
import type { Env } from './env.ts'
import type { Options } from './options.ts'

/** An entry of stock:events: `<turn's unix ms>-<LSN>`, in the log's order. A record with several events makes one entry. */
export interface FeedEntry {
  readonly ms: number
  readonly lsn: number
  readonly event: OutboxEvent
}

/** Entries between two ids, both inclusive. */
export interface FeedRange {
  readonly from: { readonly ms: number; readonly lsn: number }
  readonly to: { readonly ms: number; readonly lsn: number }
  /** At most so many; Infinity: all. */
  readonly count: number
  readonly isReverse: boolean
}

export interface FeedSummary {
  readonly length: number
  readonly first: FeedEntry | null
  readonly last: FeedEntry | null
}

/** How far the events got, and what follows from it for the node. */
export interface FeedStatus {
  /** `none`: nobody takes the events; they are only readable as stock:events. */
  readonly sink: 'none' | 'sqlite' | 'amqp'
  /** In words, for INFO and STOCK.OUTBOX STATUS: `connected`, or what is wrong. */
  readonly state: string
  readonly isConnected: boolean
  /** Highest pseq by part. E8: stored <= acked <= published <= what is durable. */
  readonly published: readonly number[]
  readonly acked: readonly number[]
  readonly stored: readonly number[]
  /** Every event with an LSN up to this is stored (of sink none: everything). */
  readonly storedLsn: number
  /** ... and every event that happened up to this instant (unix ms). */
  readonly storedTime: number
  /** The oldest LSN that the feed still reads: segments from there on stay. */
  readonly keepFrom: number
  /** Bytes of the log behind storedLsn, and how many there may be before new orders are refused. */
  readonly backlogBytes: number
  readonly backlogBytesMax: number
  /** Age of the oldest event that is not stored, ms; 0: none. */
  readonly lagMs: number
  /** Processor time that the feed's thread has used, microseconds. */
  readonly cpuMicros: number
  /** Counters for metrics, by name. */
  readonly counters: Readonly<Record<string, number>>
}

export interface EventFeed {
  /** The latest that the feed has told. Cheap: it is read in every beat. */
  readonly status: FeedStatus
  /** After each turn that changed them: records up to `acked` may be shown to clients, up to `durable` may be published. Cheap. */
  progress(acked: number, durable: number): void
  /**
   * Entries of stock:events: of every record up to the `acked` that was told before the call, so that a client finds what it has just done.
   * Fewer than `count` only at the end of the range. A log that the feed cannot read rejects.
   */
  range(range: FeedRange): Promise<readonly FeedEntry[]>
  /** Of the same entries. */
  summary(): Promise<FeedSummary>
  /** Called (between turns) when an event up to `acked` is there that was not before: who blocks in XREAD looks again. */
  onEntries: () => void
  /** The event of this part after `pseq` and all behind it are published again. */
  seek(part: number, pseq: number): void
  /**
   * What is durable and not stored or published yet goes on its way for so many more milliseconds, if its way is open; the rest goes after
   * the next start, and that is said. Resolves when nothing of the feed is left.
   */
  close(drainMs: number): Promise<void>
}

/** The node, as its feed sees it. */
export interface FeedOwner {
  readonly options: Options
  readonly env: Env
  /** Of the log: the id of its directory, its term. */
  readonly nodeId: string
  readonly epoch: number
  /** Where the log ends now: a feed that begins anew in a running node asks again. Between turns. */
  readonly end: () => { readonly lastLsn: number; readonly pseqs: readonly number[] }
}

/** Throws StockdError if an option cannot be used. What is wrong outside (no broker, no disk) is the status's to say. */
export type OpenFeed = (owner: FeedOwner) => EventFeed
