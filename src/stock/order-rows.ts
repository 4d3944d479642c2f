// The orders: one row of bytes each, off the JS heap, found by the order's id.
//
//   word 0   id length (8 bits) | state (3) | items (7) | flags            word 1   version: the order's changes, 1, 2, 3 ...
//   word 2   buyer's row                                                    word 3, 4   the buyer's next older, next newer order
//   word 5, 6   next, previous in a retention list (once the order is not RESERVED)
//   word 7   created, low 32 bits         word 8   created, high 16 | sequence, high 16         word 9   sequence, low 32
//   word 10  deadline, low 32             word 11  `at`, low 32                                 word 12  deadline, high 16 | at, high 16
//   word 13  extra row (order-extra.ts)   word 14  SKU number of item 0                         word 15  quantity of item 0
//   byte 64  the id, then from the next multiple of 4 on (SKU number, quantity) of items 1, 2 ...
//
// `sequence` numbers the reservations of a node in their order: with equal deadlines the earlier one expires first. `at` is when the
// order's state was entered; of a RESERVED order, when it last changed. A quantity is what was ordered, and never changes.

import { hashBytes, mix } from '../base/hash.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { ByteTable } from '../table/byte-table.ts'

export const ID_OFFSET = 64
const ID_LENGTH_MASK = 0xff
const STATE_SHIFT = 8
const STATE_MASK = 0x7
const ITEMS_SHIFT = 11
const ITEMS_MASK = 0x7f
const HIGH = 0x1_0000_0000

/** Sold by RESERVE ... PAID. */
export const PAID_FLAG = 1 << 18
/** Never accepted: only the id and its RELEASED state are remembered. */
export const TOMBSTONE_FLAG = 1 << 19
/** The REF in the extra row is the payment that sold the order (and not only RESERVE's). */
export const PAYMENT_FLAG = 1 << 20

/** Seeds that never change: digests are compared between processes and over restarts. */
const DIGEST_SEED_A = 0x5117c0de | 0
const DIGEST_SEED_B = 0x2b992ddf | 0

export class OrderRows {
  readonly arena = new Arena()
  readonly table: ByteTable
  /** Commutative sums over (id, state, version) of all orders, kept up to date by `enter` and `leave`. */
  digestA = 0
  digestB = 0

  constructor(seed: number) {
    this.table = new ByteTable(this.arena, { keyOffset: ID_OFFSET, keyLengthMask: ID_LENGTH_MASK, seed })
  }

  find(id: Uint8Array, start: number, end: number, hash: number): number {
    return this.table.find(id, start, end, hash)
  }

  /** Makes a row and puts it into the table. Items, links and `extra` are the caller's to write. */
  create(id: Uint8Array, start: number, end: number, hash: number, items: number): number {
    const length = end - start
    const row = this.arena.alloc(rowBytes(length, items))
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w] = length | (items << ITEMS_SHIFT)
    words[w + 1] = 0
    words[w + 2] = 0
    words[w + 3] = 0
    words[w + 4] = 0
    words[w + 5] = 0
    words[w + 6] = 0
    words[w + 13] = 0
    words[w + 14] = -1
    words[w + 15] = 0
    const bytes = this.arena.bytes[row >>> SEGMENT_SHIFT]
    let p = ((row & GRANULE_MASK) << 3) + ID_OFFSET
    for (let i = start; i < end; i++) bytes[p++] = id[i]
    this.table.insert(row, hash)
    return row
  }

  /** Takes the row out of the table and frees it. Its links are gone already. */
  remove(row: number): void {
    const bytes = this.bytes(row)
    const start = this.idStart(row)
    this.table.remove(row, this.table.hash(bytes, start, start + this.idLength(row)))
    this.arena.free(row, rowBytes(this.idLength(row), this.itemCount(row)))
  }

  clear(): void {
    this.table.clear()
    this.arena.clear()
    this.digestA = 0
    this.digestB = 0
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
    return this.word(row, 1)
  }

  setVersion(row: number, version: number): void {
    this.setWord(row, 1, version)
  }

  itemSku(row: number, item: number): number {
    return item === 0 ? this.word(row, 14) : this.word(row, this.#itemWord(row, item))
  }

  itemQuantity(row: number, item: number): number {
    return item === 0 ? this.word(row, 15) : this.word(row, this.#itemWord(row, item) + 1)
  }

  setItem(row: number, item: number, skuNumber: number, quantity: number): void {
    const at = item === 0 ? 14 : this.#itemWord(row, item)
    this.setWord(row, at, skuNumber)
    this.setWord(row, at + 1, quantity)
  }

  created(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 8] >>> 16) * HIGH + (words[w + 7] >>> 0)
  }

  sequence(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 8] & 0xffff) * HIGH + (words[w + 9] >>> 0)
  }

  deadline(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 12] >>> 16) * HIGH + (words[w + 10] >>> 0)
  }

  at(row: number): number {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    return (words[w + 12] & 0xffff) * HIGH + (words[w + 11] >>> 0)
  }

  setCreated(row: number, created: number, sequence: number): void {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w + 7] = created | 0
    words[w + 8] = (Math.floor(created / HIGH) << 16) | Math.floor(sequence / HIGH)
    words[w + 9] = sequence | 0
  }

  setTimes(row: number, deadline: number, at: number): void {
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w + 10] = deadline | 0
    words[w + 11] = at | 0
    words[w + 12] = (Math.floor(deadline / HIGH) << 16) | Math.floor(at / HIGH)
  }

  /** The row counts in the digest from now on: called after every change. */
  enter(row: number): void {
    this.#digest(row, 1)
  }

  /** The row no longer counts: called before every change. */
  leave(row: number): void {
    this.#digest(row, -1)
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
    return ((ID_OFFSET + this.idLength(row) + 3) >>> 2) + ((item - 1) << 1)
  }
}

function rowBytes(idLength: number, items: number): number {
  return items <= 1 ? ID_OFFSET + idLength : ((ID_OFFSET + idLength + 3) & ~3) + (items - 1) * 8
}
