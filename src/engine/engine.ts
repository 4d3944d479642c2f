// The state machine of a node: keys, stock and orders, changed by commands, by time and by records, and by nothing else.
//
// Pure and deterministic: time comes in through `advance`, random numbers through the seed, and nothing goes out but replies and
// records. The same commands at the same instants give the same state; replaying the records gives it again.

import type { Millis } from '../base/brand.ts'
import { Random } from '../base/random.ts'
import { Ledger } from '../stock/ledger.ts'
import { Keyspace } from '../keyspace/keyspace.ts'
import type { Request } from '../resp/request.ts'
import { Journal } from './journal.ts'

export interface EngineOptions {
  /** Seed of hashes, RANDOMKEY and the like. A real node draws it from the OS. */
  readonly seed: number
  readonly databases: number
  /** Who makes `{buyer}*` ids: unique over 256 nodes. */
  readonly nodeNumber: number
  /** How long RELEASED, EXPIRED and RETURNED orders and tombstones are kept. */
  orderRetentionMs: number
  /** How long CONFIRMED orders are kept. */
  returnWindowMs: number
  /** What every open hold has left, at least, after a restart. */
  restartGraceMs: number
  /** Lets FLUSHDB, FLUSHALL and SWAPDB forget stock and orders. */
  allowStockFlush: boolean
}

export const ENGINE_DEFAULTS: EngineOptions = {
  seed: 1,
  databases: 16,
  nodeNumber: 0,
  orderRetentionMs: 24 * 3600_000,
  returnWindowMs: 7 * 24 * 3600_000,
  restartGraceMs: 30_000,
  allowStockFlush: false,
}

export class Engine {
  readonly options: EngineOptions
  readonly journal = new Journal()
  readonly random: Random
  readonly keyspace: Keyspace
  readonly ledger: Ledger
  /** The instant of the current turn. */
  now = 0 as Millis
  /** Memory is over the limit: `denyoom` commands and new orders are refused. Set by the server before a turn. */
  outOfMemory = false
  /** The outbox is over its limit: new orders are refused with BACKLOG. */
  backlogFull = false

  constructor(options: Partial<EngineOptions> = {}) {
    this.options = { ...ENGINE_DEFAULTS, ...options }
    this.random = new Random(this.options.seed)
    this.keyspace = new Keyspace({ databases: this.options.databases, seed: this.options.seed })
    this.ledger = new Ledger(/* ... */)
  }

  /** Time goes on: holds that are due expire, in order, with their records; keys that are due are deleted (with a bound per call). */
  advance(now: Millis): void {
    void now
  }

  /** The earliest instant at which `advance` has something to do; Infinity if there is none. */
  nextDeadline(): number {
    return Infinity
  }

  /** Applies one record of the log. Never decides, never refuses: a record that contradicts the state throws StockdError LOG_SEMANTIC. */
  replay(record: Request): void {
    void record
  }

  /** After the last record of a restart: gives open holds their grace (one record). */
  recovered(now: Millis): void {
    void now
  }

  /** The whole state as records, into `journal`, a piece per `next()`: replaying them into an empty engine gives the same digest. */
  *snapshot(journal: Journal): Generator<void> {
    void journal
    yield
  }

  /** Digest of the whole state, contents included: 16 hex digits, equal for equal states whatever their histories. O(state). */
  digest(): string {
    return ''
  }

  /** A digest kept up to date by every change (counts, balances, order states and versions, key hashes and lengths): O(1) to read. */
  sealDigest(): string {
    return ''
  }
}
