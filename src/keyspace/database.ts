// One of the databases: its keys with their values and instants of expiry.
//
// Invariants: every row is in the table once, and in the expiry heap if and only if it expires; the seal is the sum over all rows, kept up
// to date by every change.
//
// Unusual: no objects. A key is a row number (`ref`, 0 for none), valid until the database changes. Whoever looks a key up computes its
// hash first and hands it back with the change, so that a SET hashes once. A lookup deletes a key that is due, as Redis does, and tells
// the keyspace, whose owner writes the record. What is in a collection only collections/ knows: here it is a row that can be opened at
// any offset (`splice`), or a slot with a value beside the rows.

import { copyBytes, readWord, writeWord } from '../base/bytes.ts'
import { hashBytes, mix } from '../base/hash.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { ByteTable } from '../table/byte-table.ts'
import { ExpiryHeap, type Instant } from './expiry-heap.ts'
import type { LargeValue } from './collections/collection.ts'
import type { Keyspace } from './keyspace.ts'
import {
  ACCESS_MASK,
  BESIDE,
  type CollectionKind,
  ENCODING_MASK,
  ENCODING_NATURAL,
  ENCODING_RAW,
  EXPIRY_SLOT,
  FIRST_COLLECTION,
  KEY_AT,
  KEY_LENGTH,
  KEY_LENGTH_MASK,
  KIND_AND_ACCESS,
  KIND_SHIFT,
  KIND_STOCK,
  KIND_STREAM,
  KIND_STRING,
  SLOT_BYTES,
  STOCK_VALUE_BYTES,
  VALUE_LENGTH,
  type Kind,
} from './row.ts'

/** Seeds of the digests: constants, because digests of different processes are compared. */
const SEAL_SEED = 0x5ea1
const DIGEST_SEED_A = 0x0d16e57a
const DIGEST_SEED_B = 0x0d16e57b

/** The value of a collection's row, where it stands. */
export interface RowValue {
  readonly kind: CollectionKind
  readonly encoding: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

export class Database {
  readonly arena = new Arena()
  readonly table: ByteTable
  readonly expiries: ExpiryHeap
  readonly #keyspace: Keyspace
  /** How many keys are SKUs: only then do commands look for them. */
  stockKeys = 0
  /** The row of the reserved name, 0 if there is none. */
  reserved = 0
  /** The collections that do not fit a row, by the slot number in their row's value; null where there is none. */
  readonly #beside: (LargeValue | null)[] = []
  readonly #freeSlots: number[] = []
  /**
   * The row whose collection was changed last, and the hash of its key. The seal is without it, and what it takes beside the rows may have
   * changed since it was counted, until somebody asks: the next change is often of the same one. 0: there is none.
   */
  #pendingRef = 0
  #pendingKey = 0
  /** Bytes that they take, and what of it lies in arenas. */
  #besideBytes = 0
  #besideHiddenBytes = 0
  /** Two sums over all rows, mod 2^32, of what identifies a row cheaply: key, kind, instant, a string's length, a collection's figure. */
  #sealA = 0
  #sealB = 0

  // Where the row last opened keeps its key and value: read them before anything changes.
  bytes: Uint8Array = new Uint8Array(0)
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0

  constructor(keyspace: Keyspace, seed: number) {
    this.#keyspace = keyspace
    this.table = new ByteTable(this.arena, { keyOffset: KEY_AT, keyLengthMask: KEY_LENGTH_MASK, seed })
    this.expiries = new ExpiryHeap(this.arena)
  }

  get size(): number {
    return this.table.size
  }

  hash(bytes: Uint8Array, start: number, end: number): number {
    return this.table.hash(bytes, start, end)
  }

  /** The live row of a key, or 0. A key that is due is deleted here. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const ref = this.table.find(bytes, start, end, hash)
    if (ref === 0) return this.reserved !== 0 && this.#isReserved(bytes, start, end) ? this.reserved : 0
    const slot = this.arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + EXPIRY_SLOT]
    if (slot === 0 || this.#keyspace.now <= this.expiries.at(slot)) return ref
    this.expire(ref, hash)
    return 0
  }

  /** The row of a key, be it due or not: for records, which know when it went. */
  findAny(bytes: Uint8Array, start: number, end: number, hash: number): number {
    return this.table.find(bytes, start, end, hash)
  }

  /**
   * Takes a name for a stream that is kept elsewhere. Looked up it is a key of type stream; nothing lists it, counts it, digests it or
   * clears it, and it never expires. There must be no key of that name; null takes the reservation back.
   */
  reserve(name: Uint8Array | null): void {
    if (this.reserved !== 0) this.arena.free(this.reserved, this.#rowBytes(this.reserved))
    this.reserved = name === null ? 0 : this.#fillRow(name, 0, name.length, KIND_STREAM, 0, ENCODING_NATURAL)
  }

  /** The reserved name; null if there is none. */
  get reservedName(): Uint8Array | null {
    if (this.reserved === 0) return null
    this.open(this.reserved)
    return this.bytes.slice(this.keyStart, this.keyEnd)
  }

  #isReserved(bytes: Uint8Array, start: number, end: number): boolean {
    const ref = this.reserved
    if ((this.word(ref, KEY_LENGTH) & KEY_LENGTH_MASK) !== end - start) return false
    // Not opened: a lookup leaves the row that is open as it is.
    const row = this.arena.bytes[ref >>> SEGMENT_SHIFT]
    const at = ((ref & GRANULE_MASK) << 3) + KEY_AT
    for (let i = 0; i < end - start; i++) if (row[at + i] !== bytes[start + i]) return false
    return true
  }

  /** True if the key's time has come: strictly after its instant, as Redis has it. */
  isDue(ref: number): boolean {
    const slot = this.word(ref, EXPIRY_SLOT)
    return slot !== 0 && this.#keyspace.now > this.expiries.at(slot)
  }

  /** Deletes a key because its time has come. */
  expire(ref: number, hash: number): void {
    this.open(ref)
    this.#keyspace.expired(this, this.bytes, this.keyStart, this.keyEnd)
    this.remove(ref, hash)
  }

  /** Sets `bytes`, `keyStart` ... to where this row keeps its key and value. */
  open(ref: number): void {
    const segment = ref >>> SEGMENT_SHIFT
    const granule = ref & GRANULE_MASK
    const words = this.arena.words[segment]
    const w = granule << 1
    const start = (granule << 3) + KEY_AT
    const value = start + (words[w] & KEY_LENGTH_MASK)
    this.bytes = this.arena.bytes[segment]
    this.keyStart = start
    this.keyEnd = value
    this.valueStart = value
    this.valueEnd = value + words[w + VALUE_LENGTH]
  }

  kind(ref: number): number {
    return this.word(ref, KIND_AND_ACCESS) >>> KIND_SHIFT
  }

  encoding(ref: number): number {
    return this.word(ref, KEY_LENGTH) & ENCODING_MASK
  }

  valueLength(ref: number): number {
    return this.word(ref, VALUE_LENGTH)
  }

  /** The key was used now. */
  touch(ref: number): void {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const i = ((ref & GRANULE_MASK) << 1) + KIND_AND_ACCESS
    words[i] = (words[i] & ~ACCESS_MASK) | this.#keyspace.second
  }

  /** Second of the last access, 28 bits. */
  accessSecond(ref: number): number {
    return this.word(ref, KIND_AND_ACCESS) & ACCESS_MASK
  }

  expires(ref: number): boolean {
    return this.word(ref, EXPIRY_SLOT) !== 0
  }

  /** When the key expires; undefined if it does not. */
  expireAt(ref: number): Instant | undefined {
    const slot = this.word(ref, EXPIRY_SLOT)
    return slot === 0 ? undefined : this.expiries.exactAt(slot)
  }

  setExpiry(ref: number, at: Instant): void {
    this.#unseal(ref)
    this.expiries.set(ref, at)
    this.#seal(ref)
  }

  /** @returns whether the key had an instant to forget. */
  clearExpiry(ref: number): boolean {
    if (this.word(ref, EXPIRY_SLOT) === 0) return false
    this.#unseal(ref)
    this.expiries.remove(ref)
    this.#seal(ref)
    return true
  }

  /**
   * Sets a key to a string. `ref` is its row, 0 if it is new; what it was before goes, its instant of expiry stays.
   * The value may lie in another row, of any database.
   * @returns the row, which may have moved.
   */
  putString(
    ref: number,
    hash: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    start: number,
    end: number,
    encoding: number,
  ): number {
    const length = end - start
    if (ref === 0) ref = this.#newRow(hash, key, keyStart, keyEnd, length, encoding)
    else ref = this.#reshape(ref, hash, length, encoding, 0)
    const segment = ref >>> SEGMENT_SHIFT
    const to = ((ref & GRANULE_MASK) << 3) + KEY_AT + keyEnd - keyStart
    copyBytes(value, start, end, this.arena.bytes[segment], to)
    return ref
  }

  /** Overwrites a part of the string that was opened last: its bytes from `offset` on become bytes[start..end). They must fit. */
  overwrite(offset: number, bytes: Uint8Array, start: number, end: number): void {
    copyBytes(bytes, start, end, this.bytes, this.valueStart + offset)
  }

  /** Makes a string longer or shorter, keeping what it has; new bytes are zero. `ref` must be a string. The row is open then. */
  resizeString(ref: number, hash: number, length: number): void {
    const kept = Math.min(this.valueLength(ref), length)
    this.open(this.#reshape(ref, hash, length, ENCODING_RAW, kept))
    if (kept < length) this.bytes.fill(0, this.valueStart + kept, this.valueEnd)
  }

  /** A new string of zero bytes. The row is open then. */
  addZeros(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, length: number): void {
    this.open(this.#newRow(hash, key, keyStart, keyEnd, length, ENCODING_RAW))
    this.bytes.fill(0, this.valueStart, this.valueEnd)
  }

  /** How the string is said to be encoded from now on. */
  setEncoding(ref: number, encoding: number): void {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    words[w] = (words[w] & KEY_LENGTH_MASK) | encoding
  }

  /** A new key that is a SKU. */
  addStock(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, skuNumber: number): void {
    const ref = this.#newRow(hash, key, keyStart, keyEnd, STOCK_VALUE_BYTES, ENCODING_NATURAL)
    this.#unseal(ref)
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = ((ref & GRANULE_MASK) << 1) + KIND_AND_ACCESS
    words[w] = (KIND_STOCK << KIND_SHIFT) | (words[w] & ACCESS_MASK)
    this.#seal(ref)
    this.#setNumber(ref, skuNumber)
    this.stockKeys++
  }

  /** The SKU's number of a row of kind stock. */
  skuNumber(ref: number): number {
    return this.#number(ref)
  }

  /**
   * A new row for a collection, its value not written yet. It is being changed until `endChange`.
   * @returns the row, which is not open.
   */
  addCollection(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, kind: CollectionKind, valueLength: number): number {
    const ref = this.#fillRow(key, keyStart, keyEnd, kind, valueLength, 0)
    this.table.insert(ref, hash)
    this.#keyspace.onCreated?.(this, key, keyStart, keyEnd)
    this.#account()
    this.#pendingRef = ref
    this.#pendingKey = this.#keyHash(ref)
    return ref
  }

  /** From here on the row's value may be written and spliced; `endChange` must follow before another change begins. */
  beginChange(ref: number): void {
    if (ref === this.#pendingRef) return
    this.#account()
    this.#pendingRef = ref
    this.#pendingKey = this.#keyHash(ref)
    this.#addSeal(-1, this.#rowHash(ref, this.#pendingKey))
  }

  /** The row's value is whole again. The key was used now. */
  endChange(ref: number): void {
    this.touch(ref)
    this.#pendingRef = ref
  }

  /** The seal and the count of memory know of all changes. */
  #account(): void {
    const ref = this.#pendingRef
    if (ref === 0) return
    this.#pendingRef = 0
    this.#addSeal(1, this.#rowHash(ref, this.#pendingKey))
    const large = this.besideOf(ref)
    if (large !== null) this.#count(large)
  }

  get seal(): readonly [a: number, b: number] {
    this.#account()
    return [this.#sealA, this.#sealB]
  }

  /** Bytes that large collections take. */
  get besideBytes(): number {
    this.#account()
    return this.#besideBytes
  }

  /** What of them JavaScript's own count of memory does not see. */
  get besideHiddenBytes(): number {
    this.#account()
    return this.#besideHiddenBytes
  }

  /**
   * While a row is being changed: `removed` bytes of its value at `offset` become `inserted` bytes, for the caller to write.
   * @returns the row, which may have moved, and is open.
   */
  splice(ref: number, hash: number, offset: number, removed: number, inserted: number): number {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    const before = words[w + VALUE_LENGTH]
    const after = before + inserted - removed
    const head = KEY_AT + (words[w] & KEY_LENGTH_MASK) + offset
    const oldBytes = head - offset + before
    const newBytes = head - offset + after
    const from = (ref & GRANULE_MASK) << 3
    const source = this.arena.bytes[ref >>> SEGMENT_SHIFT]
    let next = ref
    if (this.arena.fits(oldBytes, newBytes)) {
      if (inserted !== removed) copyBytes(source, from + head + removed, from + oldBytes, source, from + head + inserted)
    } else {
      next = this.arena.alloc(newBytes)
      const target = this.arena.bytes[next >>> SEGMENT_SHIFT]
      const to = (next & GRANULE_MASK) << 3
      copyBytes(source, from, from + head, target, to)
      copyBytes(source, from + head + removed, from + oldBytes, target, to + head + inserted)
      this.table.move(ref, next, hash)
      this.expiries.moved(ref, next)
      this.arena.free(ref, oldBytes)
    }
    this.arena.words[next >>> SEGMENT_SHIFT][((next & GRANULE_MASK) << 1) + VALUE_LENGTH] = after
    this.open(next)
    return next
  }

  /** Opens a collection's row. @returns what lives beside it; null if the value is in the row. */
  openCollection(ref: number): LargeValue | null {
    this.open(ref)
    return this.encoding(ref) & BESIDE ? this.#beside[readWord(this.bytes, this.valueStart)] : null
  }

  /** The collection that lives beside this row; null if the value is in the row. */
  besideOf(ref: number): LargeValue | null {
    return this.encoding(ref) & BESIDE && this.kind(ref) >= FIRST_COLLECTION ? this.#beside[this.#number(ref)] : null
  }

  /** While a row is being changed: its collection moves out of it. @returns the row. */
  putBeside(ref: number, hash: number, large: LargeValue): number {
    const next = this.splice(ref, hash, 0, this.valueLength(ref), SLOT_BYTES)
    this.setEncoding(next, this.encoding(next) | BESIDE)
    this.#setNumber(next, this.#settle(large))
    return next
  }

  /** While a row is being changed: its collection, which lives beside it, comes back into `length` bytes of it. @returns the row, open. */
  takeBack(ref: number, hash: number, length: number): number {
    this.#release(ref)
    const next = this.splice(ref, hash, 0, SLOT_BYTES, length)
    this.setEncoding(next, this.encoding(next) & ~BESIDE)
    return next
  }

  /** Takes the collection beside a row away from it, for another row; the row must be removed next. Null if there is none. */
  detach(ref: number): LargeValue | null {
    const large = this.besideOf(ref)
    if (large === null) return null
    this.#unseal(ref)
    this.#release(ref)
    this.#setNumber(ref, this.#settle(null))
    this.#seal(ref)
    return large
  }

  /** A new row that has all that a collection's row of any database has, but for its key and its instant. `large`: what lives beside it. */
  addLike(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, like: RowValue, large: LargeValue | null): number {
    const ref = this.#fillRow(key, keyStart, keyEnd, like.kind, like.end - like.start, like.encoding)
    this.table.insert(ref, hash)
    const to = ((ref & GRANULE_MASK) << 3) + KEY_AT + keyEnd - keyStart
    if (large === null) copyBytes(like.bytes, like.start, like.end, this.arena.bytes[ref >>> SEGMENT_SHIFT], to)
    else this.#setNumber(ref, this.#settle(large))
    this.#seal(ref)
    this.#keyspace.onCreated?.(this, key, keyStart, keyEnd)
    return ref
  }

  remove(ref: number, hash: number): void {
    this.#unseal(ref)
    this.table.remove(ref, hash)
    this.expiries.remove(ref)
    if (this.kind(ref) === KIND_STOCK) this.stockKeys--
    this.besideOf(ref)?.release()
    this.#release(ref)
    this.arena.free(ref, this.#rowBytes(ref))
  }

  /** Forgets every key, in a moment. */
  clear(): void {
    const name = this.reservedName
    this.reserved = 0
    this.table.clear()
    this.expiries.clear()
    this.arena.clear()
    for (const large of this.#beside) large?.release()
    this.#beside.length = 0
    this.#freeSlots.length = 0
    this.#besideBytes = 0
    this.#besideHiddenBytes = 0
    this.stockKeys = 0
    this.#pendingRef = 0
    this.#sealA = 0
    this.#sealB = 0
    this.bytes = new Uint8Array(0)
    this.reserve(name)
  }

  /** The hash of a row's key. */
  hashOf(ref: number): number {
    this.open(ref)
    return this.table.hash(this.bytes, this.keyStart, this.keyEnd)
  }

  /** Bytes that one key takes: its row, what lives beside it, and its share of the index and of the heap. */
  memoryOf(ref: number): number {
    return Arena.sizeOf(this.#rowBytes(ref)) + (this.besideOf(ref)?.usedBytes ?? 0) + 12 + (this.expires(ref) ? 12 : 0)
  }

  /** Bytes of memory in use: rows that live, large collections, the index, the heap. */
  get usedBytes(): number {
    return this.arena.usedBytes + this.besideBytes + this.table.indexBytes + this.expiries.bytes
  }

  /** Sums over all rows of two hashes of all that a row means; [a, b]. The order of rows and the hash seed do not matter. O(database). */
  digest(): [number, number] {
    let a = 0
    let b = 0
    this.table.forEach((ref) => {
      this.open(ref)
      const { bytes, keyStart, keyEnd } = this
      const kind = this.kind(ref)
      // A SKU's number is the ledger's own, and not the same after a restart; a collection's row has its history in it.
      const valueEnd = kind === KIND_STRING ? this.valueEnd : keyEnd
      const slot = this.word(ref, EXPIRY_SLOT)
      const rest = mix(Math.imul(keyEnd - keyStart, 0x9e3779b1) ^ kind) ^ (slot === 0 ? 0 : this.#instantHash(slot))
      let rowA = mix(hashBytes(bytes, keyStart, valueEnd, DIGEST_SEED_A) ^ rest)
      let rowB = mix(hashBytes(bytes, keyStart, valueEnd, DIGEST_SEED_B) + rest)
      if (kind >= FIRST_COLLECTION) {
        const collection = this.#keyspace.collections.open(this, ref)
        rowA = mix(rowA + collection.digest(DIGEST_SEED_A))
        rowB = mix(rowB + collection.digest(DIGEST_SEED_B))
      }
      a = (a + rowA) | 0
      b = (b + rowB) | 0
    })
    return [a, b]
  }

  /** Two hashes of what a row holds, whatever its key: equal for a copy of it. */
  valueDigest(ref: number): [number, number] {
    this.open(ref)
    const kind = this.kind(ref)
    const valueEnd = kind === KIND_STRING ? this.valueEnd : this.keyEnd
    const rest = mix(kind + (this.word(ref, EXPIRY_SLOT) === 0 ? 0 : 1024))
    const a = mix(hashBytes(this.bytes, this.keyEnd, valueEnd, DIGEST_SEED_A) ^ rest)
    const b = mix(hashBytes(this.bytes, this.keyEnd, valueEnd, DIGEST_SEED_B) + rest)
    if (kind < FIRST_COLLECTION) return [a, b]
    const collection = this.#keyspace.collections.open(this, ref)
    return [mix(a + collection.digest(DIGEST_SEED_A)), mix(b + collection.digest(DIGEST_SEED_B))]
  }

  word(ref: number, i: number): number {
    return this.arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + i]
  }

  /** The number in the row of a SKU, or of a collection that lives beside it. */
  #number(ref: number): number {
    const row = this.arena.bytes[ref >>> SEGMENT_SHIFT]
    const at = ((ref & GRANULE_MASK) << 3) + KEY_AT + (this.word(ref, KEY_LENGTH) & KEY_LENGTH_MASK)
    return readWord(row, at)
  }

  #setNumber(ref: number, n: number): void {
    const row = this.arena.bytes[ref >>> SEGMENT_SHIFT]
    const at = ((ref & GRANULE_MASK) << 3) + KEY_AT + (this.word(ref, KEY_LENGTH) & KEY_LENGTH_MASK)
    writeWord(row, at, n)
  }

  /** Gives a large collection a slot, or keeps a slot for none. */
  #settle(large: LargeValue | null): number {
    const slot = this.#freeSlots.pop() ?? this.#beside.length
    this.#beside[slot] = large
    if (large !== null) this.#count(large)
    return slot
  }

  #count(large: LargeValue): void {
    const { usedBytes, hiddenBytes } = large
    this.#besideBytes += usedBytes - large.countedBytes
    this.#besideHiddenBytes += hiddenBytes - large.countedHiddenBytes
    large.countedBytes = usedBytes
    large.countedHiddenBytes = hiddenBytes
  }

  #uncount(large: LargeValue): void {
    this.#besideBytes -= large.countedBytes
    this.#besideHiddenBytes -= large.countedHiddenBytes
    large.countedBytes = 0
    large.countedHiddenBytes = 0
  }

  /** Gives the slot of a row back, if it has one. */
  #release(ref: number): void {
    if (!(this.encoding(ref) & BESIDE) || this.kind(ref) < FIRST_COLLECTION) return
    const slot = this.#number(ref)
    const large = this.#beside[slot]
    if (large !== null) this.#uncount(large)
    this.#beside[slot] = null
    this.#freeSlots.push(slot)
  }

  #rowBytes(ref: number): number {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    return KEY_AT + (words[w] & KEY_LENGTH_MASK) + words[w + VALUE_LENGTH]
  }

  /** A row in the table with everything but its value. */
  #newRow(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, valueLength: number, encoding: number): number {
    const ref = this.#fillRow(key, keyStart, keyEnd, KIND_STRING, valueLength, encoding)
    this.table.insert(ref, hash)
    this.#seal(ref)
    return ref
  }

  /** A row with everything but its value. */
  #fillRow(key: Uint8Array, keyStart: number, keyEnd: number, kind: Kind, valueLength: number, encoding: number): number {
    const keyLength = keyEnd - keyStart
    const ref = this.arena.alloc(KEY_AT + keyLength + valueLength)
    const segment = ref >>> SEGMENT_SHIFT
    const granule = ref & GRANULE_MASK
    const words = this.arena.words[segment]
    const w = granule << 1
    words[w] = keyLength | encoding
    words[w + VALUE_LENGTH] = valueLength
    words[w + KIND_AND_ACCESS] = (kind << KIND_SHIFT) | this.#keyspace.second
    words[w + EXPIRY_SLOT] = 0
    copyBytes(key, keyStart, keyEnd, this.arena.bytes[segment], (granule << 3) + KEY_AT)
    return ref
  }

  /** Makes a row a string of this length and encoding, moving it if its place is too small or too large; its first `kept` bytes stay. */
  #reshape(ref: number, hash: number, valueLength: number, encoding: number, kept: number): number {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    const keyLength = words[w] & KEY_LENGTH_MASK
    const oldLength = words[w + VALUE_LENGTH]
    const kindAndAccess = (KIND_STRING << KIND_SHIFT) | this.#keyspace.second
    if (oldLength === valueLength && words[w + KIND_AND_ACCESS] >>> KIND_SHIFT === KIND_STRING) {
      words[w] = keyLength | encoding
      words[w + KIND_AND_ACCESS] = kindAndAccess
      return ref
    }
    this.#unseal(ref)
    this.besideOf(ref)?.release()
    this.#release(ref)
    const oldBytes = KEY_AT + keyLength + oldLength
    const newBytes = KEY_AT + keyLength + valueLength
    let next = ref
    if (!this.arena.fits(oldBytes, newBytes)) {
      next = this.arena.alloc(newBytes)
      const from = (ref & GRANULE_MASK) << 3
      const target = this.arena.bytes[next >>> SEGMENT_SHIFT]
      copyBytes(this.arena.bytes[ref >>> SEGMENT_SHIFT], from, from + KEY_AT + keyLength + kept, target, (next & GRANULE_MASK) << 3)
      this.table.move(ref, next, hash)
      this.expiries.moved(ref, next)
      this.arena.free(ref, oldBytes)
    }
    const nextWords = this.arena.words[next >>> SEGMENT_SHIFT]
    const nw = (next & GRANULE_MASK) << 1
    nextWords[nw] = keyLength | encoding
    nextWords[nw + VALUE_LENGTH] = valueLength
    nextWords[nw + KIND_AND_ACCESS] = kindAndAccess
    this.#seal(next)
    return next
  }

  #seal(ref: number): void {
    this.#addSeal(1, this.#rowHash(ref, this.#keyHash(ref)))
  }

  /** Whatever is done to a row but a change of its collection begins here. */
  #unseal(ref: number): void {
    if (ref === this.#pendingRef) this.#account()
    this.#addSeal(-1, this.#rowHash(ref, this.#keyHash(ref)))
  }

  #addSeal(sign: 1 | -1, h: number): void {
    this.#sealA = (this.#sealA + sign * h) | 0
    this.#sealB = (this.#sealB + sign * mix(h ^ 0x55555555)) | 0
  }

  /** The hash of a row's key in its seal. */
  #keyHash(ref: number): number {
    const segment = ref >>> SEGMENT_SHIFT
    const granule = ref & GRANULE_MASK
    const start = (granule << 3) + KEY_AT
    return hashBytes(this.arena.bytes[segment], start, start + (this.arena.words[segment][granule << 1] & KEY_LENGTH_MASK), SEAL_SEED)
  }

  #rowHash(ref: number, key: number): number {
    const words = this.arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    const kind = words[w + KIND_AND_ACCESS] >>> KIND_SHIFT
    const slot = words[w + EXPIRY_SLOT]
    const figure = kind < FIRST_COLLECTION ? words[w + VALUE_LENGTH] : this.#figure(ref)
    return mix(key ^ Math.imul(figure * 16 + kind, 0x9e3779b1) ^ (slot === 0 ? 0 : this.#instantHash(slot)))
  }

  /** What the seal knows of a collection: how many elements it has, and the sum over them. */
  #figure(ref: number): number {
    if (this.encoding(ref) & BESIDE) {
      const large = this.#beside[this.#number(ref)]
      return large === null ? 0 : mix(large.count ^ mix(large.sum))
    }
    const row = this.arena.bytes[ref >>> SEGMENT_SHIFT]
    const at = ((ref & GRANULE_MASK) << 3) + KEY_AT + (this.word(ref, KEY_LENGTH) & KEY_LENGTH_MASK)
    return mix(readWord(row, at) ^ mix(readWord(row, at + 4)))
  }

  /** A slot's instant, hashed; never mistaken for "none". */
  #instantHash(slot: number): number {
    return mix(Math.imul(this.expiries.highAt(slot), 0x27d4eb2f) ^ this.expiries.lowAt(slot) ^ 0x7e3a11c5) | 1
  }
}
