// Ordinary Redis data: the databases, the instant that they see, and the counts that INFO tells.
//
// Time is told by `advance`; a key whose instant has passed is deleted when it is looked up, or by `advance`, a bounded number per call.
// Either way the owner hears of it first (`onExpired`) and writes the record. Before time is first told nothing is due: that is how
// records are replayed, which say themselves what went.

import { assert } from '../base/assert.ts'
import { mix } from '../base/hash.ts'
import { Collections } from './collections/collections.ts'
import { Database } from './database.ts'
import { ACCESS_MASK } from './row.ts'
import { StockKeys } from './stock-keys.ts'

/** Due keys that one `advance` deletes at most, about a millisecond of work; the rest are due at once again. */
const EXPIRED_PER_ADVANCE = 1000

export interface KeyspaceOptions {
  readonly databases: number
  /** The secret of the tables' hashes: any safe integer, all of its 53 bits count. */
  readonly seed: number
  readonly now?: number
}

/** Hears of a key that is about to be deleted because its time has come. The bytes are valid during the call. */
export type OnExpired = (database: number, bytes: Uint8Array, start: number, end: number) => void

export class Keyspace {
  readonly databases: Database[] = []
  /** The keys of database 0 that are SKUs, for the ledger. */
  readonly stockKeys = new StockKeys(this)
  /** Where results are gathered before they are a key's: empty between commands, and no client's. */
  readonly scratch: Database
  /** How hashes, sets ... are looked at and changed. */
  readonly collections: Collections
  onExpired: OnExpired | null = null
  /** Hears of every key that has become a collection; set only while somebody waits for one. */
  onCreated: ((database: Database, bytes: Uint8Array, start: number, end: number) => void) | null = null
  /** Hears of two databases that have been exchanged; likewise. */
  onSwapped: ((a: number, b: number) => void) | null = null
  /** False: `advance` deletes nothing, only looking a key up does (DEBUG SET-ACTIVE-EXPIRE). */
  isExpiringActively = true
  /** Unix milliseconds, as last told. */
  now: number
  /** The same in seconds, 28 bits, as rows keep it. */
  second: number
  /** The second of the first instant that was told: keys that records brought before count as used then. */
  #firstSecond = 0
  #nextToExpire = 0

  // For INFO.
  hits = 0
  misses = 0
  expiredKeys = 0

  constructor(options: KeyspaceOptions) {
    this.now = options.now ?? 0
    this.second = secondOf(this.now)
    this.#firstSecond = this.second
    this.collections = new Collections(options.seed)
    this.scratch = new Database(this, options.seed)
    for (let i = 0; i < options.databases; i++) this.databases.push(new Database(this, options.seed))
  }

  /** Time goes on. @returns how many keys were deleted; if that is not all that are due, `nextDeadline` is in the past. */
  advance(now: number): number {
    if (this.now === 0) this.#firstSecond = secondOf(now)
    this.now = now
    this.second = secondOf(now)
    if (!this.isExpiringActively) return 0
    let deleted = 0
    for (let n = this.databases.length; n > 0 && deleted < EXPIRED_PER_ADVANCE; n--) {
      const database = this.databases[this.#nextToExpire]
      while (database.expiries.first < now && deleted < EXPIRED_PER_ADVANCE) {
        const ref = database.expiries.firstRow
        database.expire(ref, database.hashOf(ref))
        deleted++
      }
      // The next call starts behind the database that used up the bound, so that none has to wait for ever.
      this.#nextToExpire = (this.#nextToExpire + 1) % this.databases.length
    }
    return deleted
  }

  /** The earliest instant at which `advance` has something to delete; Infinity if there is none. */
  nextDeadline(): number {
    if (!this.isExpiringActively) return Infinity
    let first = Infinity
    for (const database of this.databases) first = Math.min(first, database.expiries.first)
    return first + 1
  }

  /** A key of this database is about to be deleted because its time has come. */
  expired(database: Database, bytes: Uint8Array, start: number, end: number): void {
    this.expiredKeys++
    this.onExpired?.(this.databases.indexOf(database), bytes, start, end)
  }

  /** Seconds since this row was used. */
  idleSeconds(database: Database, ref: number): number {
    const second = database.accessSecond(ref)
    // Replay happens before time is first told: second 0.
    return (this.second - (second === 0 ? this.#firstSecond : second)) & ACCESS_MASK
  }

  /** Exchanges two databases. */
  swap(a: number, b: number): void {
    assert(this.databases[a].stockKeys === 0 && this.databases[b].stockKeys === 0, 'SKUs stay in database 0')
    const kept = this.databases[a]
    this.databases[a] = this.databases[b]
    this.databases[b] = kept
    // What is reserved is a name of the number, not of the keys that have it now.
    const [first, second] = [this.databases[a].reservedName, this.databases[b].reservedName]
    this.databases[a].reserve(second)
    this.databases[b].reserve(first)
    this.onSwapped?.(a, b)
  }

  clear(): void {
    for (const database of this.databases) database.clear()
  }

  get size(): number {
    let size = 0
    for (const database of this.databases) size += database.size
    return size
  }

  /** What of `usedBytes` lies in arenas, where JavaScript's own count of memory does not see it. */
  get hiddenBytes(): number {
    let bytes = 0
    for (const database of this.databases) bytes += database.arena.hiddenBytes + database.besideHiddenBytes
    return bytes
  }

  /** Bytes of memory that were let go, ever, and that the garbage collector does not know the size of. */
  get abandonedBytes(): number {
    let bytes = this.collections.pool.abandonedBytes
    for (const database of this.databases) bytes += database.arena.abandonedBytes
    return bytes
  }

  /** Bytes of memory in use by keys and values. */
  get usedBytes(): number {
    let bytes = 0
    for (const database of this.databases) bytes += database.usedBytes
    return bytes
  }

  /** True when a database runs out of places for rows: commands that need memory should be refused, as over maxmemory. */
  get isNearlyFull(): boolean {
    for (const database of this.databases) if (database.arena.isNearlyFull) return true
    return false
  }

  /** Hash of all keys, values and instants: equal for equal contents, whatever their history or the seed. O(keyspace). */
  digest(): string {
    let a = 0
    let b = 0
    this.databases.forEach((database, i) => {
      const [x, y] = database.digest()
      a = mix(a ^ x) + Math.imul(i + 1, x)
      b = mix(b ^ y) + Math.imul(i + 1, y)
    })
    return hex(a) + hex(b)
  }

  /** Hash of the keys' names, lengths and instants, O(1). */
  sealDigest(): string {
    let a = 0
    let b = 0
    this.databases.forEach((database, i) => {
      const [x, y] = database.seal
      a = mix(a ^ x) + Math.imul(i + 1, x)
      b = mix(b ^ y) + Math.imul(i + 1, y)
    })
    return hex(a) + hex(b)
  }
}

function secondOf(now: number): number {
  return Math.floor(now / 1000) & ACCESS_MASK
}

function hex(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0')
}
