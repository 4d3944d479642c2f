// Orders that wait for the end of their retention, in the order in which they began to wait: a doubly linked list through their rows.
// There are two of them: CONFIRMED orders are kept for the return window, the other finished ones for the order retention.

import { NEXT, type OrderRows, PREVIOUS } from './order-rows.ts'

export class RetentionList {
  readonly #rows: OrderRows
  #head = 0
  #tail = 0
  /** Orders that wait. */
  size = 0

  constructor(rows: OrderRows) {
    this.#rows = rows
  }

  /** The order that has waited longest; 0 if there is none. */
  get first(): number {
    return this.#head
  }

  next(order: number): number {
    return this.#rows.word(order, NEXT)
  }

  append(order: number): void {
    this.size++
    this.#rows.setWord(order, NEXT, 0)
    this.#rows.setWord(order, PREVIOUS, this.#tail)
    if (this.#tail === 0) this.#head = order
    else this.#rows.setWord(this.#tail, NEXT, order)
    this.#tail = order
  }

  remove(order: number): void {
    this.size--
    const next = this.#rows.word(order, NEXT)
    const previous = this.#rows.word(order, PREVIOUS)
    if (next === 0) this.#tail = previous
    else this.#rows.setWord(next, PREVIOUS, previous)
    if (previous === 0) this.#head = next
    else this.#rows.setWord(previous, NEXT, next)
  }

  clear(): void {
    this.#head = 0
    this.#tail = 0
    this.size = 0
  }
}
