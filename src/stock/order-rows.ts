// The orders: one row of bytes each, off the JS heap, found by the order's id.
//
//   word 0   id length (8 bits) | state (3) | items (7) | flags (4) | version, low 10
//   word 1   buyer's row          word 2, 3   the buyer's next older, next newer order
//   word 4, 5   next, previous in a retention list (once the order is not RESERVED)
//   word 6   created, low 32      word 7   count (6 bits) | created, high 10 | sequence, high 16      word 8   sequence, low 32
//   word 9   deadline, low 32     word 10  `at`, low 32      word 11  deadline, high 10 | at, high 10 | version, high 12
//   word 12  extra row (order-extra.ts)                      word 13  item 0: SKU number (24) | quantity (8)
//   byte 56  the id, then from the next multiple of 4 on (SKU number, quantity) of items 1, 2 ..., of a wide row of item 0 too
//
// `version` counts the order's changes: 1, 2, 3 ... `sequence` numbers the reservations of a node in their order: with equal deadlines the
// earlier one expires first. `at` is when the order's state was entered; of a RESERVED order, when it last changed. A quantity is what
// was ordered, and never changes. Instants have 42 bits: until the year 2109. `count` is the recount that has counted the row
// (rolling-recount.ts); it is nobody else's, and in no digest.

import { assert } from '../base/assert.ts'
import { hashBytes, mix } from '../base/hash.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { ByteTable } from '../table/byte-table.ts'

const ID_OFFSET = 56
const ID_LENGTH_MASK = 0xff
const STATE_SHIFT = 8
const STATE_MASK = 0x7
const ITEMS_SHIFT = 11
const ITEMS_MASK = 0x7f
const VERSION_LOW_SHIFT = 22
const VERSION_LOW_BITS = 10
const VERSION_HIGH_MASK = 0xfff
const HIGH = 0x1_0000_0000
const DEADLINE_HIGH_SHIFT = 22
const AT_HIGH_SHIFT = 12
const HIGH_MASK = 0x3ff
const COUNT_SHIFT = 26
const NARROW_SKU_BITS = 24
const NARROW_SKU_MASK = 0xff_ffff
const NARROW_QUANTITY_MAX = 0xff

/** Words of a row that its owners link it by. */
export const BUYER = 1
export const OLDER = 2
export const NEWER = 3
export const NEXT = 4
export const PREVIOUS = 5
export const EXTRA = 12
const ITEM_0 = 13

/** Versions end here (22 bits). */
const VERSION_MAX = 0x3f_ffff
/** An order with so many changes takes no further ones that leave it in its state, so that there is always room for the last ones. */
export const AMENDED_VERSION_MAX = VERSION_MAX - 4096

/** Sold by RESERVE ... PAID. */
export const PAID_FLAG = 1 << 18
/** Never accepted: only the id and its RELEASED state are remembered. */
export const TOMBSTONE_FLAG = 1 << 19
/** The REF in the extra row is the payment that sold the order (and not only RESERVE's). */
export const PAYMENT_FLAG = 1 << 20
/** Item 0 does not fit into word 13. */
const WIDE_FLAG = 1 << 21

/** Seeds that never change: digests are compared between processes and over restarts. */
const DIGEST_SEED_A = 0x5117c0de | 0
const DIGEST_SEED_B = 0x2b992ddf | 0

/** Hears of every change of an order: after `entered` its row is what it will be until `leaving`. */
export interface RowWatcher {
  entered(row: number): void
  leaving(row: number): void
  /** All rows are gone. */
  cleared(): void
}

export class OrderRows {
  readonly arena = new Arena()
  readonly table: ByteTable
  /** Commutative sums over (id, state, version) of all orders, kept up to date by `enter` and `leave`. */
  digestA = 0
  digestB = 0
  watcher: RowWatcher | null = null

  constructor(seed: number) {
    this.table = new ByteTable(this.arena, { keyOffset: ID_OFFSET, keyLengthMask: ID_LENGTH_MASK, seed })
  }

  find(id: Uint8Array, start: number, end: number, hash: number): number {
    return this.table.find(id, start, end, hash)
  }

  /** Makes a row and puts it into the table. Items, times, links and `extra` are the caller's to write. */
  create(id: Uint8Array, start: number, end: number, hash: number, content: { items: number; isWide: boolean }): number {
    const length = end - start
    const { items, isWide } = content
    const row = this.arena.alloc(rowBytes(length, isWide ? items : items - 1))
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w] = length | (items << ITEMS_SHIFT) | (isWide ? WIDE_FLAG : 0)
    for (let i = 1; i <= ITEM_0; i++) words[w + i] = 0
    const bytes = this.arena.bytes[row >>> SEGMENT_SHIFT]
    let p = ((row & GRANULE_MASK) << 3) + ID_OFFSET
    for (let i = start; i < end; i++) bytes[p++] = id[i]
    this.table.insert(row, hash)
    return row
  }

  /** True if an order whose item 0 is this needs a wide row. */
  static isWide(skuNumber: number, quantity: number): boolean {
    return skuNumber > NARROW_SKU_MASK || quantity > NARROW_QUANTITY_MAX
  }

  /** Takes the row out of the table and frees it. Its links are gone already. */
  remove(row: number): void {
    const bytes = this.bytes(row)
    const start = this.idStart(row)
    this.table.remove(row, this.table.hash(bytes, start, start + this.idLength(row)))
    const further = this.has(row, WIDE_FLAG) ? this.itemCount(row) : this.itemCount(row) - 1
    this.arena.free(row, rowBytes(this.idLength(row), further))
  }

  /** Bytes of memory that a row takes, without its extra row. */
  rowBytes(row: number): number {
    return Arena.sizeOf(rowBytes(this.idLength(row), this.has(row, WIDE_FLAG) ? this.itemCount(row) : this.itemCount(row) - 1))
  }

  clear(): void {
    this.table.clear()
    this.arena.clear()
    this.digestA = 0
    this.digestB = 0
    this.watcher?.cleared()
  }

  word(row: number, i: number): number {
    return this.arena.words[row >>> SEGMENT_SHIFT][((row & GRANULE_MASK) << 1) + i]
  }

  setWord(row: number, i: number, value: number): void {
    this.arena.words[row >>> SEGMENT_SHIFT][((row & GRANULE_MASK) << 1) + i] = value
  }

  /** The segment that the row's bytes lie in; the id is there at idStart. */
  bytes(row: number): Uint8Array {
    return this.arena.bytes[row >>> SEGMENT_SHIFT]
  }

  idStart(row: number): number {
    return ((row & GRANULE_MASK) << 3) + ID_OFFSET
  }

  idLength(row: number): number {
    return this.word(row, 0) & ID_LENGTH_MASK
  }

  state(row: number): number {
    return (this.word(row, 0) >>> STATE_SHIFT) & STATE_MASK
  }

  setState(row: number, state: number): void {
    this.setWord(row, 0, (this.word(row, 0) & ~(STATE_MASK << STATE_SHIFT)) | (state << STATE_SHIFT))
  }

  itemCount(row: number): number {
    return (this.word(row, 0) >>> ITEMS_SHIFT) & ITEMS_MASK
  }

  has(row: number, flag: number): boolean {
    return (this.word(row, 0) & flag) !== 0
  }

  setFlag(row: number, flag: number): void {
    this.setWord(row, 0, this.word(row, 0) | flag)
  }

  version(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return ((words[w + 11] & VERSION_HIGH_MASK) << VERSION_LOW_BITS) | (words[w] >>> VERSION_LOW_SHIFT)
  }

  setVersion(row: number, version: number): void {
    assert(version <= VERSION_MAX, 'an order changed too often')
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w] = (words[w] & ((1 << VERSION_LOW_SHIFT) - 1)) | (version << VERSION_LOW_SHIFT)
    words[w + 11] = (words[w + 11] & ~VERSION_HIGH_MASK) | (version >>> VERSION_LOW_BITS)
  }

  itemSku(row: number, item: number): number {
    if (item === 0 && !this.has(row, WIDE_FLAG)) return this.word(row, ITEM_0) & NARROW_SKU_MASK
    return this.word(row, this.#itemWord(row, item))
  }

  itemQuantity(row: number, item: number): number {
    if (item === 0 && !this.has(row, WIDE_FLAG)) return this.word(row, ITEM_0) >>> NARROW_SKU_BITS
    return this.word(row, this.#itemWord(row, item) + 1)
  }

  setItem(row: number, item: number, skuNumber: number, quantity: number): void {
    if (item === 0 && !this.has(row, WIDE_FLAG)) return this.setWord(row, ITEM_0, skuNumber | (quantity << NARROW_SKU_BITS))
    const at = this.#itemWord(row, item)
    this.setWord(row, at, skuNumber)
    this.setWord(row, at + 1, quantity)
  }

  created(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return ((words[w + 7] >>> 16) & HIGH_MASK) * HIGH + (words[w + 6] >>> 0)
  }

  /** 1..63: the recount that has counted this row; 0: none has. */
  count(row: number): number {
    return this.word(row, 7) >>> COUNT_SHIFT
  }

  setCount(row: number, count: number): void {
    this.setWord(row, 7, (this.word(row, 7) & ~(-1 << COUNT_SHIFT)) | (count << COUNT_SHIFT))
  }

  sequence(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 7] & 0xffff) * HIGH + (words[w + 8] >>> 0)
  }

  deadline(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 11] >>> DEADLINE_HIGH_SHIFT) * HIGH + (words[w + 9] >>> 0)
  }

  at(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return ((words[w + 11] >>> AT_HIGH_SHIFT) & HIGH_MASK) * HIGH + (words[w + 10] >>> 0)
  }

  setCreated(row: number, created: number, sequence: number): void {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w + 6] = created | 0
    words[w + 7] = (Math.floor(created / HIGH) << 16) | Math.floor(sequence / HIGH)
    words[w + 8] = sequence | 0
  }

  setTimes(row: number, deadline: number, at: number): void {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w + 9] = deadline | 0
    words[w + 10] = at | 0
    words[w + 11] =
      (Math.floor(deadline / HIGH) << DEADLINE_HIGH_SHIFT) | (Math.floor(at / HIGH) << AT_HIGH_SHIFT) | (words[w + 11] & VERSION_HIGH_MASK)
  }

  /** The row counts in the digest from now on: called after every change. */
  enter(row: number): void {
    this.#digest(row, 1)
    if (this.watcher !== null) this.watcher.entered(row)
  }

  /** The row no longer counts: called before every change. */
  leave(row: number): void {
    this.#digest(row, -1)
    if (this.watcher !== null) this.watcher.leaving(row)
  }

  #digest(row: number, sign: number): void {
    const bytes = this.bytes(row)
    const start = this.idStart(row)
    const id = hashBytes(bytes, start, start + this.idLength(row), DIGEST_SEED_A)
    const content = mix(Math.imul(this.version(row), 0x9e3779b1) ^ this.state(row))
    this.digestA = (this.digestA + Math.imul(sign, mix(id ^ content))) | 0
    this.digestB = (this.digestB + Math.imul(sign, mix(Math.imul(id, 0x85ebca6b) ^ content ^ DIGEST_SEED_B))) | 0
  }

  #itemWord(row: number, item: number): number {
    const further = this.has(row, WIDE_FLAG) ? item : item - 1
    return ((ID_OFFSET + this.idLength(row) + 3) >>> 2) + (further << 1)
  }
}

/** @param further items that lie behind the id */
function rowBytes(idLength: number, further: number): number {
  return further <= 0 ? ID_OFFSET + idLength : ((ID_OFFSET + idLength + 3) & ~3) + further * 8
}
