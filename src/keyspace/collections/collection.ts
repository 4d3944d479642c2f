// A collection: the value of a key that has elements (hash, list, set, sorted set), and what all four have in common.
//
//   packed   while it is small: bytes in the key's own row, no object           row.value = | count u32 | sum u32 | entries ... |
//   beside   when it is large: a LargeValue beside the rows, in a slot           row.value = | slot u32 |
//
// Which of the two is a matter of memory and speed, and nobody's business outside this folder. What OBJECT ENCODING tells is another
// matter: the bit GROWN of the row, set when Redis would give up its compact form, by the same thresholds (CollectionLimits), and never
// taken back. A hash of three fields with a value of 100 bytes is `hashtable` to the client, and packed all the same: sessions look so.
//
// Invariants: `count` is the number of elements, never 0 after a change (the key goes with its last element); `sum` is the sum, mod 2^32,
// of `elementSeal` over the elements, kept up to date by every change: the database's seal has both in it. Neither depends on history.
//
// Unusual: no object per key. A Collection is a lens: `open` puts it on a row, and it is good until the database changes. There is one of
// each kind in `keyspace.collections`; who needs two sets at a time makes another. A change is
//
//   set.create(database, hash, key ...) or set.open(database, ref, hash).beginChange()
//   set.add(...) ...
//   set.endChange()                  seals the row, counts memory, deletes an empty key; nothing between the two may fail
//
// To add a kind: its class here (`packed.ts` is the usual form of entries; `member-table.ts` the usual large form), a line in
// `collections.ts`; its records and snapshot in `engine/collections/`, a line in its table; its commands, which get at it through
// `engine/commands/key-access.ts`. Thresholds are in `CollectionLimits`, options of the node by their names in redis.conf. TYPE, SCAN
// TYPE, DEL, COPY, RENAME, MOVE, SWAPDB, FLUSHDB, expiry, OBJECT, MEMORY USAGE, the digest and the seal then know it.

import { readWord, writeWord } from '../../base/bytes.ts'
import { hashBytes, mix } from '../../base/hash.ts'
import type { SegmentPool } from '../../table/arena.ts'
import type { Database } from '../database.ts'
import { type CollectionKind, GROWN } from '../row.ts'

/** Thresholds of OBJECT ENCODING, by their names in redis.conf. May change at any time; what has grown stays so. */
export interface CollectionLimits {
  /** hash-max-listpack-entries */
  hashEntriesMax: number
  /** hash-max-listpack-value */
  hashValueMax: number
  /** set-max-intset-entries */
  setIntegersMax: number
  /** zset-max-listpack-entries */
  zsetEntriesMax: number
  /** zset-max-listpack-value */
  zsetValueMax: number
  /** list-max-listpack-size: entries, or -1..-5 for 4..64 KiB. */
  listSizeMax: number
}

export const COLLECTION_LIMITS: CollectionLimits = {
  hashEntriesMax: 512,
  hashValueMax: 64,
  setIntegersMax: 512,
  zsetEntriesMax: 128,
  zsetValueMax: 64,
  listSizeMax: -2,
}

/** What every collection of a keyspace needs. */
export interface CollectionContext {
  readonly limits: CollectionLimits
  /** Where the segments of large collections come from and go to. */
  readonly pool: SegmentPool
  /** The secret of their tables' hashes. */
  readonly seed: number
}

/** A collection that lives beside the rows. */
export interface LargeValue {
  count: number
  sum: number
  /** Bytes of memory that it takes. */
  readonly usedBytes: number
  /** What of them lies in an arena, where JavaScript's own count of memory does not see it. */
  readonly hiddenBytes: number
  /** What the database has counted of the two: its own. */
  countedBytes: number
  countedHiddenBytes: number
  clone(): LargeValue
  /** It is gone: its memory may be used again. */
  release(): void
}

/** Bytes of a packed value before its entries: count and sum. */
const PACKED_AT = 8
/** Up to here a collection that has not grown stays packed: the 512 fields and values of 64 bytes that Redis keeps in a listpack. */
const PACKED_BYTES_MAX = 72 * 1024
/** A grown one may be packed if looking through it is as fast as looking it up. */
const GROWN_PACKED_BYTES_MAX = 4096
const GROWN_PACKED_COUNT_MAX = 128
/** A large one that has become so small is packed again. Far below the above: it must not swing to and fro. */
export const REPACKED_BYTES_MAX = 1024
const REPACKED_COUNT_MAX = 32

/** Bytes of each end of an element that its seal looks at. */
const SEALED_BYTES = 32
const SEAL_SEED = 0x5ea1e1e

export abstract class Collection<Large extends LargeValue = LargeValue> {
  abstract readonly kind: CollectionKind
  readonly context: CollectionContext
  database!: Database
  /** The row it is put on; 0: the key does not exist any more. */
  ref = 0
  keyHash = 0
  /** Null: packed, the entries are bytes[start..end). */
  large: Large | null = null
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  count = 0
  sum = 0

  constructor(context: CollectionContext) {
    this.context = context
  }

  /** As OBJECT ENCODING says it. */
  abstract encodingName(): string
  /** A hash of all elements, the same for the same elements, whatever the form or the history. O(elements). */
  abstract digest(seed: number): number
  /** The elements move into a value beside the row. */
  protected abstract unpack(): Large
  /** The bytes that the large value's entries would take (any number above REPACKED_BYTES_MAX if it is more than that); and writes them. */
  protected abstract packedBytes(large: Large): number
  protected abstract pack(large: Large, bytes: Uint8Array, at: number): void

  /** Puts the lens on a row of this kind. `keyHash` is needed only for changes. */
  open(database: Database, ref: number, keyHash = 0): this {
    this.database = database
    this.ref = ref
    this.keyHash = keyHash
    const large = database.openCollection(ref) as Large | null
    this.large = large
    if (large === null) {
      this.#showRow()
      this.count = readWord(this.bytes, this.start - PACKED_AT)
      this.sum = readWord(this.bytes, this.start - PACKED_AT + 4)
    } else {
      this.count = large.count
      this.sum = large.sum
    }
    return this
  }

  /** A new key, of which there is none yet; the change has begun. */
  create(database: Database, keyHash: number, key: Uint8Array, keyStart: number, keyEnd: number): this {
    this.database = database
    this.keyHash = keyHash
    this.ref = database.addCollection(keyHash, key, keyStart, keyEnd, this.kind, PACKED_AT)
    this.large = null
    this.#openRow()
    this.count = 0
    this.sum = 0
    return this
  }

  beginChange(): this {
    this.database.beginChange(this.ref)
    return this
  }

  /** The change is whole: a key without elements is deleted here, and `ref` is 0 then. */
  endChange(): void {
    const { database, large } = this
    if (large === null) {
      writeWord(this.bytes, this.start - PACKED_AT, this.count)
      writeWord(this.bytes, this.start - PACKED_AT + 4, this.sum)
    } else {
      large.count = this.count
      large.sum = this.sum
      if (this.count > 0 && this.count <= REPACKED_COUNT_MAX) this.#repack(large)
    }
    database.endChange(this.ref)
    if (this.count > 0) return
    database.remove(this.ref, this.keyHash)
    this.ref = 0
  }

  get hasGrown(): boolean {
    return (this.database.encoding(this.ref) & GROWN) !== 0
  }

  /** Redis would give up its compact form now. */
  grow(): void {
    const { database, ref } = this
    database.setEncoding(ref, database.encoding(ref) | GROWN)
    this.makeRoom(0, 0)
  }

  /** Before elements are added, so many and so many bytes: what is packed moves out of its row if that would be too large for one. */
  protected makeRoom(moreElements: number, moreBytes: number): void {
    if (this.large !== null) return
    const bytes = this.end - this.start + moreBytes
    if (bytes <= GROWN_PACKED_BYTES_MAX && this.count + moreElements <= GROWN_PACKED_COUNT_MAX) return
    if (bytes <= PACKED_BYTES_MAX && !this.hasGrown) return
    this.moveOut()
  }

  protected moveOut(): void {
    const large = this.unpack()
    this.large = large
    this.ref = this.database.putBeside(this.ref, this.keyHash, large)
  }

  /**
   * While it is packed and being changed: `removed` bytes at `at` become `inserted` bytes, for the caller to write.
   * @returns where they are now: the row may have moved, also to other `bytes`, so that these must be read afterwards.
   */
  protected splice(at: number, removed: number, inserted: number): number {
    const offset = at - this.start
    this.ref = this.database.splice(this.ref, this.keyHash, PACKED_AT + offset, removed, inserted)
    this.#openRow()
    return this.start + offset
  }

  #openRow(): void {
    this.database.open(this.ref)
    this.#showRow()
  }

  /** The row is open in the database. */
  #showRow(): void {
    const { database } = this
    this.bytes = database.bytes
    this.start = database.valueStart + PACKED_AT
    this.end = database.valueEnd
  }

  #repack(large: Large): void {
    const bytes = this.packedBytes(large)
    if (bytes > REPACKED_BYTES_MAX) return
    this.ref = this.database.takeBack(this.ref, this.keyHash, PACKED_AT + bytes)
    this.large = null
    this.#openRow()
    writeWord(this.bytes, this.start - PACKED_AT, this.count)
    writeWord(this.bytes, this.start - PACKED_AT + 4, this.sum)
    this.pack(large, this.bytes, this.start)
    large.release()
  }
}

/** What an element, or a part of one, adds to the sum: a hash of its bytes, of both ends of long ones. */
export function elementSeal(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length <= 2 * SEALED_BYTES) return hashBytes(bytes, start, end, SEAL_SEED)
  const head = hashBytes(bytes, start, start + SEALED_BYTES, SEAL_SEED ^ length)
  return hashBytes(bytes, end - SEALED_BYTES, end, head)
}

/** The same of two parts that belong together: a field and its value, a member and its score. */
export function pairSeal(a: number, b: number): number {
  return mix(Math.imul(a, 0x27d4eb2f) + b)
}
