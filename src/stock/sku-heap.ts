// SKUs by the end of their first hold: the next order to expire is the first hold of the SKU on top.
//
// A binary heap that knows where each SKU is in it, so that a SKU whose first hold has changed moves without a search. It is touched
// only when the *first* hold of a SKU changes, not by every reservation.

import type { OrderRows } from './order-rows.ts'
import type { Sku } from './sku.ts'

export class SkuHeap {
  readonly #rows: OrderRows
  readonly #heap: Sku[] = []

  constructor(rows: OrderRows) {
    this.#rows = rows
  }

  /** The SKU whose first hold ends first; undefined if nothing is held. */
  get top(): Sku | undefined {
    return this.#heap[0]
  }

  /** The first hold of this SKU is another one now, or there is none any more. */
  update(sku: Sku): void {
    const first = sku.holds.first
    if (first === 0) {
      sku.firstDeadline = 0
      if (sku.heapIndex !== -1) this.#remove(sku)
      return
    }
    sku.firstDeadline = this.#rows.deadline(first)
    sku.firstSequence = this.#rows.sequence(first)
    if (sku.heapIndex === -1) {
      sku.heapIndex = this.#heap.length
      this.#heap.push(sku)
    }
    if (!this.#up(sku)) this.#down(sku)
  }

  clear(): void {
    for (const sku of this.#heap) sku.heapIndex = -1
    this.#heap.length = 0
  }

  #remove(sku: Sku): void {
    const last = this.#heap.pop() as Sku
    if (last !== sku) {
      this.#heap[sku.heapIndex] = last
      last.heapIndex = sku.heapIndex
      if (!this.#up(last)) this.#down(last)
    }
    sku.heapIndex = -1
  }

  #up(sku: Sku): boolean {
    const start = sku.heapIndex
    let i = start
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (!isBefore(sku, this.#heap[parent])) break
      this.#put(i, this.#heap[parent])
      i = parent
    }
    this.#put(i, sku)
    return i !== start
  }

  #down(sku: Sku): void {
    const heap = this.#heap
    let i = sku.heapIndex
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], sku)) break
      this.#put(i, heap[child])
      i = child
    }
    this.#put(i, sku)
  }

  #put(i: number, sku: Sku): void {
    this.#heap[i] = sku
    sku.heapIndex = i
  }
}

/** An order of several SKUs is the first hold of each: equal keys, in any order. */
function isBefore(a: Sku, b: Sku): boolean {
  return a.firstDeadline < b.firstDeadline || (a.firstDeadline === b.firstDeadline && a.firstSequence < b.firstSequence)
}
