// The buyers: their orders, newest first, and how many units of each SKU they use (for LIMIT). One row of bytes each.
//
//   word 0   name length      word 1   newest order       word 2   open (RESERVED) orders
//   word 3   SKU number + 1   word 4   units of it that are in use (below 2^31)              the first use count, inside the row
//   word 5   uses row         byte 24  the name
//
//   uses row  word 0 capacity, word 1 count, then (SKU number, units low, units high) sorted by SKU number: further use counts
//
// Use counts outlive the orders: they are kept until their SKU is dropped. What is left of a dropped SKU is swept in slices.

import { assert } from '../base/assert.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { ByteTable } from '../table/byte-table.ts'
import type { OrderRows } from './order-rows.ts'
import type { Sku } from './sku.ts'

const NAME_OFFSET = 24
const INLINE_UNITS_MAX = 0x7fff_ffff
const HIGH = 0x1_0000_0000
const CAPACITY_AT_FIRST = 2
const NEWEST = 1
const OPEN = 2
/** Links in the order's row. */
const OLDER = 3
const NEWER = 4
const BUYER = 2

const usesBytes = (capacity: number): number => 8 + capacity * 12

export class Buyers {
  readonly arena = new Arena()
  readonly table: ByteTable
  readonly #orders: OrderRows
  readonly #skus: readonly (Sku | null)[]

  constructor(dependencies: { readonly seed: number; readonly orders: OrderRows; readonly skus: readonly (Sku | null)[] }) {
    this.table = new ByteTable(this.arena, { keyOffset: NAME_OFFSET, keyLengthMask: 0xff, seed: dependencies.seed })
    this.#orders = dependencies.orders
    this.#skus = dependencies.skus
  }

  /** The buyer's row, or 0. */
  find(name: Uint8Array, start: number, end: number): number {
    return this.table.find(name, start, end, this.table.hash(name, start, end))
  }

  findOrAdd(name: Uint8Array, start: number, end: number): number {
    const hash = this.table.hash(name, start, end)
    const known = this.table.find(name, start, end, hash)
    if (known !== 0) return known
    const row = this.arena.alloc(NAME_OFFSET + end - start)
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w] = end - start
    for (let i = 1; i < NAME_OFFSET >> 2; i++) words[w + i] = 0
    const bytes = this.arena.bytes[row >>> SEGMENT_SHIFT]
    let p = ((row & GRANULE_MASK) << 3) + NAME_OFFSET
    for (let i = start; i < end; i++) bytes[p++] = name[i]
    this.table.insert(row, hash)
    return row
  }

  clear(): void {
    this.table.clear()
    this.arena.clear()
  }

  newest(buyer: number): number {
    return this.#word(buyer, NEWEST)
  }

  openOrders(buyer: number): number {
    return this.#word(buyer, OPEN)
  }

  countOpen(buyer: number, change: 1 | -1): void {
    this.#setWord(buyer, OPEN, this.#word(buyer, OPEN) + change)
  }

  older(order: number): number {
    return this.#orders.word(order, OLDER)
  }

  /** Puts a new order at the head of the buyer's list. */
  link(buyer: number, order: number): void {
    const newest = this.#word(buyer, NEWEST)
    this.#orders.setWord(order, BUYER, buyer)
    this.#orders.setWord(order, OLDER, newest)
    this.#orders.setWord(order, NEWER, 0)
    if (newest !== 0) this.#orders.setWord(newest, NEWER, order)
    this.#setWord(buyer, NEWEST, order)
  }

  unlink(buyer: number, order: number): void {
    const older = this.#orders.word(order, OLDER)
    const newer = this.#orders.word(order, NEWER)
    if (older !== 0) this.#orders.setWord(older, NEWER, newer)
    if (newer !== 0) this.#orders.setWord(newer, OLDER, older)
    else this.#setWord(buyer, NEWEST, older)
    this.#orders.setWord(order, BUYER, 0)
    this.forgetIfIdle(buyer)
  }

  /** Sorts every list newest first: a snapshot brings orders in another order than they were made. */
  sortLists(): void {
    this.table.forEach((buyer) => {
      const list: number[] = []
      let isSorted = true
      for (let order = this.newest(buyer), last = Infinity; order !== 0; order = this.older(order)) {
        const sequence = this.#orders.sequence(order)
        if (sequence > last) isSorted = false
        last = sequence
        list.push(order)
      }
      if (isSorted) return
      list.sort((a, b) => this.#orders.sequence(a) - this.#orders.sequence(b))
      this.#setWord(buyer, NEWEST, 0)
      for (const order of list) this.link(buyer, order)
    })
  }

  /** Units of the SKU that this buyer's RESERVED and CONFIRMED orders hold. */
  used(buyer: number, skuNumber: number): number {
    const words = this.arena.words[buyer >>> SEGMENT_SHIFT]
    const w = (buyer & GRANULE_MASK) << 1
    if (words[w + 3] === skuNumber + 1) return words[w + 4]
    const uses = words[w + 5]
    if (uses === 0) return 0
    const at = this.#place(uses, skuNumber)
    return at < this.#word(uses, 1) && this.#word(uses, 2 + at * 3) === skuNumber ? this.#units(uses, at) : 0
  }

  /** Changes a use count. A count that falls to 0 is forgotten. */
  use(buyer: number, sku: Sku, change: number): void {
    const words = this.arena.words[buyer >>> SEGMENT_SHIFT]
    const w = (buyer & GRANULE_MASK) << 1
    const key = sku.number + 1
    if (words[w + 3] === key) {
      const units = words[w + 4] + change
      assert(units >= 0, 'a buyer uses fewer than no units')
      if (units > INLINE_UNITS_MAX) {
        words[w + 3] = 0
        this.#setUse(buyer, sku.number, units)
      } else if (units === 0) {
        words[w + 3] = 0
        sku.useCounts--
      } else words[w + 4] = units
      return
    }
    const used = words[w + 5] === 0 ? 0 : this.used(buyer, sku.number)
    if (used === 0 && words[w + 3] === 0 && change > 0 && change <= INLINE_UNITS_MAX) {
      sku.useCounts++
      words[w + 3] = key
      words[w + 4] = change
      return
    }
    assert(used + change >= 0, 'a buyer uses fewer than no units')
    if (used === 0) sku.useCounts++
    if (used + change === 0) sku.useCounts--
    this.#setUse(buyer, sku.number, used + change)
  }

  /** Visits the use counts of SKUs that are not dropped. */
  forEachUse(buyer: number, visit: (sku: Sku, units: number) => void): void {
    const inline = this.#word(buyer, 3)
    if (inline !== 0) this.#visitUse(inline - 1, this.#word(buyer, 4), visit)
    const uses = this.#word(buyer, 5)
    if (uses === 0) return
    for (let i = 0; i < this.#word(uses, 1); i++) this.#visitUse(this.#word(uses, 2 + i * 3), this.#units(uses, i), visit)
  }

  /** Forgets the use counts of dropped SKUs, and the buyer if nothing is left of him. `freed` hears which SKUs lost a count. */
  sweep(buyer: number, freed: (sku: Sku) => void): void {
    const inline = this.#word(buyer, 3)
    if (inline !== 0) {
      const sku = this.#skus[inline - 1] as Sku
      if (sku.isDropped) {
        this.#setWord(buyer, 3, 0)
        sku.useCounts--
        freed(sku)
      }
    }
    const uses = this.#word(buyer, 5)
    if (uses !== 0) {
      for (let i = this.#word(uses, 1) - 1; i >= 0; i--) {
        const sku = this.#skus[this.#word(uses, 2 + i * 3)] as Sku
        if (!sku.isDropped) continue
        this.#setUse(buyer, sku.number, 0)
        sku.useCounts--
        freed(sku)
      }
    }
    this.forgetIfIdle(buyer)
  }

  /** A buyer without orders and use counts is not remembered. */
  forgetIfIdle(buyer: number): void {
    const words = this.arena.words[buyer >>> SEGMENT_SHIFT]
    const w = (buyer & GRANULE_MASK) << 1
    if (words[w + NEWEST] !== 0 || words[w + 3] !== 0 || words[w + 5] !== 0) return
    const length = words[w] & 0xff
    const start = this.nameStart(buyer)
    this.table.remove(buyer, this.table.hash(this.bytes(buyer), start, start + length))
    this.arena.free(buyer, NAME_OFFSET + length)
  }

  bytes(buyer: number): Uint8Array {
    return this.arena.bytes[buyer >>> SEGMENT_SHIFT]
  }

  nameStart(buyer: number): number {
    return ((buyer & GRANULE_MASK) << 3) + NAME_OFFSET
  }

  nameEnd(buyer: number): number {
    return this.nameStart(buyer) + (this.#word(buyer, 0) & 0xff)
  }

  #visitUse(skuNumber: number, units: number, visit: (sku: Sku, units: number) => void): void {
    const sku = this.#skus[skuNumber] as Sku
    if (!sku.isDropped) visit(sku, units)
  }

  /** Sets a count in the uses row; 0 takes it out. */
  #setUse(buyer: number, skuNumber: number, units: number): void {
    let uses = this.#word(buyer, 5)
    if (uses === 0) {
      if (units === 0) return
      uses = this.arena.alloc(usesBytes(CAPACITY_AT_FIRST))
      this.#setWord(uses, 0, CAPACITY_AT_FIRST)
      this.#setWord(uses, 1, 0)
      this.#setWord(buyer, 5, uses)
    }
    const count = this.#word(uses, 1)
    const at = this.#place(uses, skuNumber)
    const isThere = at < count && this.#word(uses, 2 + at * 3) === skuNumber
    if (units === 0) {
      if (!isThere) return
      this.#shift(uses, at + 1, count, -1)
      this.#setWord(uses, 1, count - 1)
      if (count === 1) {
        this.#setWord(buyer, 5, 0)
        this.arena.free(uses, usesBytes(this.#word(uses, 0)))
      }
      return
    }
    if (!isThere) {
      if (count === this.#word(uses, 0)) uses = this.#growUses(buyer, uses)
      this.#shift(uses, at, count, 1)
      this.#setWord(uses, 1, count + 1)
      this.#setWord(uses, 2 + at * 3, skuNumber)
    }
    this.#setWord(uses, 3 + at * 3, units | 0)
    this.#setWord(uses, 4 + at * 3, Math.floor(units / HIGH))
  }

  #growUses(buyer: number, uses: number): number {
    const capacity = this.#word(uses, 0)
    const next = this.arena.alloc(usesBytes(capacity * 2))
    for (let i = 1; i < 2 + capacity * 3; i++) this.#setWord(next, i, this.#word(uses, i))
    this.#setWord(next, 0, capacity * 2)
    this.#setWord(buyer, 5, next)
    this.arena.free(uses, usesBytes(capacity))
    return next
  }

  /** Moves entries [from, to) by one place. */
  #shift(uses: number, from: number, to: number, by: 1 | -1): void {
    const words = this.arena.words[uses >>> SEGMENT_SHIFT]
    const w = ((uses & GRANULE_MASK) << 1) + 2
    words.copyWithin(w + (from + by) * 3, w + from * 3, w + to * 3)
  }

  /** The first entry whose SKU number is not smaller. */
  #place(uses: number, skuNumber: number): number {
    let low = 0
    let high = this.#word(uses, 1)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#word(uses, 2 + middle * 3) < skuNumber) low = middle + 1
      else high = middle
    }
    return low
  }

  #units(uses: number, i: number): number {
    return this.#word(uses, 4 + i * 3) * HIGH + (this.#word(uses, 3 + i * 3) >>> 0)
  }

  #word(row: number, i: number): number {
    return this.arena.words[row >>> SEGMENT_SHIFT][((row & GRANULE_MASK) << 1) + i]
  }

  #setWord(row: number, i: number, value: number): void {
    this.arena.words[row >>> SEGMENT_SHIFT][((row & GRANULE_MASK) << 1) + i] = value
  }
}
