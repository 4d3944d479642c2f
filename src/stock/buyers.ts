// The buyers: their orders, newest first, and how many units of each SKU they use (for LIMIT). One row of bytes each.
//
//   word 0   name length (8 bits) | open (RESERVED) orders (24)      word 1   newest order
//   word 2   SKU number + 1, 0: uses nothing, -1: several SKUs       word 3   units of that SKU, or the uses row
//   byte 16  the name
//
//   uses row  word 0 capacity, word 1 count, then (SKU number, units low, units high) sorted by SKU number
//
// Most buyers have one order of one SKU: their use count lies in the row. Use counts outlive the orders: they are kept until their SKU is
// dropped; what is left of a dropped SKU is swept in slices.

import { assert } from '../base/assert.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { ByteTable } from '../table/byte-table.ts'
import { BUYER, NEWER, OLDER, type OrderRows } from './order-rows.ts'
import type { Sku } from './sku.ts'

const NAME_OFFSET = 16
const NAME_LENGTH_MASK = 0xff
const OPEN_SHIFT = 8
const OPEN_MAX = 0xff_ffff
const NEWEST = 1
const USED_SKU = 2
const USED_UNITS = 3
const NO_USE = 0
const SEVERAL = -1
const INLINE_UNITS_MAX = 0x7fff_ffff
const HIGH = 0x1_0000_0000
const CAPACITY_AT_FIRST = 2

const usesBytes = (capacity: number): number => 8 + capacity * 12

export class Buyers {
  readonly arena = new Arena()
  readonly table: ByteTable
  readonly #orders: OrderRows
  readonly #skus: readonly (Sku | null)[]

  constructor(dependencies: { readonly seed: number; readonly orders: OrderRows; readonly skus: readonly (Sku | null)[] }) {
    this.table = new ByteTable(this.arena, { keyOffset: NAME_OFFSET, keyLengthMask: NAME_LENGTH_MASK, seed: dependencies.seed })
    this.#orders = dependencies.orders
    this.#skus = dependencies.skus
  }

  hash(name: Uint8Array, start: number, end: number): number {
    return this.table.hash(name, start, end)
  }

  /** The buyer's row, or 0. */
  find(name: Uint8Array, start: number, end: number, hash: number): number {
    return this.table.find(name, start, end, hash)
  }

  /** A row for a buyer who has none. */
  add(name: Uint8Array, start: number, end: number, hash: number): number {
    const row = this.arena.alloc(NAME_OFFSET + end - start)
    const words = this.arena.words[row >>> SEGMENT_SHIFT]
    const w = (row & GRANULE_MASK) << 1
    words[w] = end - start
    words[w + NEWEST] = 0
    words[w + USED_SKU] = NO_USE
    words[w + USED_UNITS] = 0
    const bytes = this.arena.bytes[row >>> SEGMENT_SHIFT]
    let p = ((row & GRANULE_MASK) << 3) + NAME_OFFSET
    for (let i = start; i < end; i++) bytes[p++] = name[i]
    this.table.insert(row, hash)
    return row
  }

  findOrAdd(name: Uint8Array, start: number, end: number): number {
    const hash = this.hash(name, start, end)
    return this.find(name, start, end, hash) || this.add(name, start, end, hash)
  }

  clear(): void {
    this.table.clear()
    this.arena.clear()
  }

  newest(buyer: number): number {
    return this.#word(buyer, NEWEST)
  }

  openOrders(buyer: number): number {
    return this.#word(buyer, 0) >>> OPEN_SHIFT
  }

  countOpen(buyer: number, change: 1 | -1): void {
    const open = this.openOrders(buyer) + change
    assert(open >= 0 && open <= OPEN_MAX, 'open orders of a buyer')
    this.#setWord(buyer, 0, (this.#word(buyer, 0) & NAME_LENGTH_MASK) | (open << OPEN_SHIFT))
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
    const usedSku = this.#word(buyer, USED_SKU)
    if (usedSku === skuNumber + 1) return this.#word(buyer, USED_UNITS)
    if (usedSku !== SEVERAL) return 0
    const uses = this.#word(buyer, USED_UNITS)
    const at = this.#place(uses, skuNumber)
    return this.#isAt(uses, at, skuNumber) ? this.#units(uses, at) : 0
  }

  /** Changes a use count. A count that falls to 0 is forgotten. */
  use(buyer: number, sku: Sku, change: number): void {
    const before = this.used(buyer, sku.number)
    const units = before + change
    assert(units >= 0, 'a buyer uses fewer than no units')
    if (before === 0 && units > 0) sku.useCounts++
    else if (before > 0 && units === 0) sku.useCounts--
    this.#setUse(buyer, sku.number, units)
  }

  /** Visits the use counts of SKUs that are not dropped. */
  forEachUse(buyer: number, visit: (sku: Sku, units: number) => void): void {
    const usedSku = this.#word(buyer, USED_SKU)
    if (usedSku === NO_USE) return
    if (usedSku !== SEVERAL) return this.#visitUse(usedSku - 1, this.#word(buyer, USED_UNITS), visit)
    const uses = this.#word(buyer, USED_UNITS)
    for (let i = 0; i < this.#word(uses, 1); i++) this.#visitUse(this.#word(uses, 2 + i * 3), this.#units(uses, i), visit)
  }

  /** Forgets the use counts of dropped SKUs, and the buyer if nothing is left of him. `freed` hears which SKUs lost a count. */
  sweep(buyer: number, freed: (sku: Sku) => void): void {
    const numbers: number[] = []
    const usedSku = this.#word(buyer, USED_SKU)
    if (usedSku === SEVERAL) {
      const uses = this.#word(buyer, USED_UNITS)
      for (let i = 0; i < this.#word(uses, 1); i++) numbers.push(this.#word(uses, 2 + i * 3))
    } else if (usedSku !== NO_USE) numbers.push(usedSku - 1)
    for (const number of numbers) {
      const sku = this.#skus[number] as Sku
      if (!sku.isDropped) continue
      this.#setUse(buyer, number, 0)
      sku.useCounts--
      freed(sku)
    }
    this.forgetIfIdle(buyer)
  }

  /** A buyer without orders and use counts is not remembered. */
  forgetIfIdle(buyer: number): void {
    if (this.#word(buyer, NEWEST) !== 0 || this.#word(buyer, USED_SKU) !== NO_USE) return
    const start = this.nameStart(buyer)
    const end = this.nameEnd(buyer)
    this.table.remove(buyer, this.hash(this.bytes(buyer), start, end))
    this.arena.free(buyer, NAME_OFFSET + end - start)
  }

  bytes(buyer: number): Uint8Array {
    return this.arena.bytes[buyer >>> SEGMENT_SHIFT]
  }

  nameStart(buyer: number): number {
    return ((buyer & GRANULE_MASK) << 3) + NAME_OFFSET
  }

  nameEnd(buyer: number): number {
    return this.nameStart(buyer) + (this.#word(buyer, 0) & NAME_LENGTH_MASK)
  }

  #visitUse(skuNumber: number, units: number, visit: (sku: Sku, units: number) => void): void {
    const sku = this.#skus[skuNumber] as Sku
    if (!sku.isDropped) visit(sku, units)
  }

  /** Sets a use count; 0 takes it out. */
  #setUse(buyer: number, skuNumber: number, units: number): void {
    const usedSku = this.#word(buyer, USED_SKU)
    if (usedSku !== SEVERAL && (usedSku === skuNumber + 1 || usedSku === NO_USE) && units <= INLINE_UNITS_MAX) {
      this.#setWord(buyer, USED_SKU, units === 0 ? NO_USE : skuNumber + 1)
      this.#setWord(buyer, USED_UNITS, units)
      return
    }
    const uses = usedSku === SEVERAL ? this.#word(buyer, USED_UNITS) : this.#openUses(buyer)
    const count = this.#word(uses, 1)
    const at = this.#place(uses, skuNumber)
    if (units === 0) {
      if (!this.#isAt(uses, at, skuNumber)) return
      this.#shift(uses, at + 1, count, -1)
      this.#setWord(uses, 1, count - 1)
      if (count > 1) return
      this.#setWord(buyer, USED_SKU, NO_USE)
      this.arena.free(uses, usesBytes(this.#word(uses, 0)))
      return
    }
    if (this.#isAt(uses, at, skuNumber)) return this.#setUnits(uses, at, units)
    const roomy = count === this.#word(uses, 0) ? this.#growUses(buyer, uses) : uses
    this.#shift(roomy, at, count, 1)
    this.#setWord(roomy, 1, count + 1)
    this.#setWord(roomy, 2 + at * 3, skuNumber)
    this.#setUnits(roomy, at, units)
  }

  /** Moves the one use count, if there is one, into a uses row. */
  #openUses(buyer: number): number {
    const uses = this.arena.alloc(usesBytes(CAPACITY_AT_FIRST))
    const usedSku = this.#word(buyer, USED_SKU)
    this.#setWord(uses, 0, CAPACITY_AT_FIRST)
    this.#setWord(uses, 1, usedSku === NO_USE ? 0 : 1)
    if (usedSku !== NO_USE) {
      this.#setWord(uses, 2, usedSku - 1)
      this.#setUnits(uses, 0, this.#word(buyer, USED_UNITS))
    }
    this.#setWord(buyer, USED_SKU, SEVERAL)
    this.#setWord(buyer, USED_UNITS, uses)
    return uses
  }

  #growUses(buyer: number, uses: number): number {
    const capacity = this.#word(uses, 0)
    const next = this.arena.alloc(usesBytes(capacity * 2))
    for (let i = 1; i < 2 + capacity * 3; i++) this.#setWord(next, i, this.#word(uses, i))
    this.#setWord(next, 0, capacity * 2)
    this.#setWord(buyer, USED_UNITS, next)
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

  #isAt(uses: number, at: number, skuNumber: number): boolean {
    return at < this.#word(uses, 1) && this.#word(uses, 2 + at * 3) === skuNumber
  }

  #setUnits(uses: number, i: number, units: number): void {
    this.#setWord(uses, 3 + i * 3, units | 0)
    this.#setWord(uses, 4 + i * 3, Math.floor(units / HIGH))
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
