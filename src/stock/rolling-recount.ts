// The audit that runs while the node sells: in slices, over and over, it counts all orders and compares them with the counters.
//
//   orders    each order's units into sums by SKU          skus      sums against the SKU's numbers, and E1
//   buyers    each buyer's use counts against his orders   ... and again from the beginning: a pass
//
// What makes it exact although orders change between slices: a row says by which pass it was counted, and every change of a row goes
// through `leave` and `enter` (order-rows.ts). A counted row takes its units out of the sums before it changes, and puts what it has
// become in afterwards; a row that changes or comes before its turn is counted then. So once the scan is through, the sums are those of
// the orders as they are, at every instant. A fault is found within the pass after it; there are no false alarms.
//
// Unusual: a violation does not throw. What to do about it (freeze the SKU, tell somebody) is the caller's.

import { OrderExtra } from './order-extra.ts'
import type { LedgerState } from './ledger-state.ts'
import type { RowWatcher } from './order-rows.ts'
import type { Sku } from './sku.ts'
import { OrderState } from './state.ts'

/** E1: total = available + reserved + sold. E2: reserved = open holds. E3: sold = confirmed - returned. E5: a buyer's use of a SKU. */
export type Equation = 'E1' | 'E2' | 'E3' | 'E5'

export interface Violation {
  readonly sku: Sku
  readonly equation: Equation
  /** What the orders say, and what the counter says. */
  readonly expected: number
  readonly found: number
  readonly text: string
}

type Phase = 'orders' | 'skus' | 'buyers'

const NONE: readonly Violation[] = []
/** Rows have six bits for the pass that counted them; 0 is no pass. */
const COUNTS = 63
const SKUS_AT_FIRST = 64
/** Rows that one look at a table asks for: the caller's budget is kept to about that. */
const ROWS_PER_SCAN = 64
/** A buyer's orders can be millions: his newest ones are a lower bound of his use, and no more is claimed of it anyway. */
const ORDERS_PER_BUYER = 256

export class RollingRecount implements RowWatcher {
  /** Passes that are complete; orders, SKUs and buyers looked at so far. */
  passes = 0
  looked = 0
  readonly #state: LedgerState
  #phase: Phase = 'orders'
  #cursor = 0
  #count = 1
  /** Units and holds by SKU number, of the rows counted by this pass. */
  #reserved = new Float64Array(SKUS_AT_FIRST)
  #sold = new Float64Array(SKUS_AT_FIRST)
  #holds = new Float64Array(SKUS_AT_FIRST)
  #found: Violation[] = []
  readonly #uses = new Map<number, number>()

  /** Begins at once: from now on it hears of every change. One per ledger. */
  constructor(state: LedgerState) {
    this.#state = state
    state.rows.watcher = this
  }

  /** Steps of a whole pass, as things are. */
  get steps(): number {
    const { rows, skus, buyers } = this.#state
    return rows.table.size + skus.length + buyers.table.size
  }

  /** Makes about so many steps. @returns what it found in them. */
  slice(steps: number): readonly Violation[] {
    const until = this.looked + steps
    const passes = this.passes
    // At most one pass: an empty ledger must not go round for ever.
    while (this.looked < until && this.passes === passes) this.#look(until - this.looked)
    if (this.#found.length === 0) return NONE
    const found = this.#found
    this.#found = []
    return found
  }

  #look(steps: number): void {
    const { rows, skus, buyers } = this.#state
    const rowsPerScan = Math.min(steps, ROWS_PER_SCAN)
    switch (this.#phase) {
      case 'orders':
        this.#cursor = rows.table.scan(this.#cursor, rowsPerScan, this.#visitOrder)
        if (this.#cursor === 0) this.#phase = 'skus'
        return
      case 'skus':
        for (let n = 0; n < rowsPerScan && this.#cursor < skus.length; n++, this.#cursor++) {
          this.looked++
          const sku = skus[this.#cursor]
          if (sku !== null && !sku.isDropped) this.#compare(sku)
        }
        if (this.#cursor < skus.length) return
        this.#phase = 'buyers'
        this.#cursor = 0
        return
      case 'buyers':
        // Few: each brings orders of his own.
        this.#cursor = buyers.table.scan(this.#cursor, Math.min(steps, 8), this.#visitBuyer)
        if (this.#cursor === 0) this.#begin()
    }
  }

  /** The next pass. */
  #begin(): void {
    this.passes++
    this.#count = (this.#count % COUNTS) + 1
    this.#phase = 'orders'
    this.#cursor = 0
    this.#reserved.fill(0)
    this.#sold.fill(0)
    this.#holds.fill(0)
  }

  // Changes

  entered(order: number): void {
    // New, changed before its turn, or changed after it: from now on it is counted.
    this.#state.rows.setCount(order, this.#count)
    this.#add(order, 1)
  }

  leaving(order: number): void {
    if (this.#state.rows.count(order) === this.#count) this.#add(order, -1)
  }

  cleared(): void {
    this.#begin()
    this.passes--
  }

  // Counting

  readonly #visitOrder = (order: number): void => {
    this.looked++
    const { rows } = this.#state
    if (rows.count(order) === this.#count) return
    rows.setCount(order, this.#count)
    this.#add(order, 1)
  }

  #add(order: number, sign: 1 | -1): void {
    const { rows } = this.#state
    const orderState = rows.state(order)
    if (orderState !== OrderState.RESERVED && orderState !== OrderState.CONFIRMED) return
    const isReserved = orderState === OrderState.RESERVED
    const columns = OrderExtra.hasColumns(rows, order) ? OrderExtra.of(rows, order).columns : null
    for (let i = rows.itemCount(order) - 1; i >= 0; i--) {
      const number = rows.itemSku(order, i)
      if (number >= this.#holds.length) this.#grow(number)
      let units = rows.itemQuantity(order, i)
      if (columns !== null) units = isReserved ? units - columns[i].released : columns[i].sold - columns[i].returned
      if (units === 0) continue
      if (isReserved) {
        this.#reserved[number] += sign * units
        this.#holds[number] += sign
      } else this.#sold[number] += sign * units
    }
  }

  #grow(number: number): void {
    const grown = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const next = new Float64Array(Math.max(number + 1, old.length * 2))
      next.set(old)
      return next
    }
    this.#reserved = grown(this.#reserved)
    this.#sold = grown(this.#sold)
    this.#holds = grown(this.#holds)
  }

  // Comparing

  #compare(sku: Sku): void {
    const { number, total, available, reserved, sold } = sku
    const name = nameOf(sku)
    // No order of it was ever counted: the sums do not reach so far.
    const isCounted = number < this.#holds.length
    const inHolds = isCounted ? this.#reserved[number] : 0
    const holds = isCounted ? this.#holds[number] : 0
    const inOrders = (isCounted ? this.#sold[number] : 0) + sku.settled
    const law = available + reserved + sold
    if (total !== law || available < 0 || reserved < 0 || sold < 0)
      this.#violation(sku, 'E1', law, total, `${name}: total ${total} is not ${available} + ${reserved} + ${sold}, or one is below 0`)
    if (reserved !== inHolds) this.#violation(sku, 'E2', inHolds, reserved, `${name}: reserved ${reserved}, its open holds have ${inHolds}`)
    if (sku.holds.size !== holds)
      this.#violation(sku, 'E2', holds, sku.holds.size, `${name}: ${sku.holds.size} open orders, counted ${holds}`)
    if (sold !== inOrders) this.#violation(sku, 'E3', inOrders, sold, `${name}: sold ${sold}, its orders have ${inOrders}`)
  }

  readonly #visitBuyer = (buyer: number): void => {
    this.looked++
    const { rows, buyers, skus } = this.#state
    const uses = this.#uses
    uses.clear()
    let left = ORDERS_PER_BUYER
    for (let order = buyers.newest(buyer); order !== 0 && left > 0; order = buyers.older(order), left--) {
      const orderState = rows.state(order)
      if (orderState !== OrderState.RESERVED && orderState !== OrderState.CONFIRMED) continue
      const columns = OrderExtra.hasColumns(rows, order) ? OrderExtra.of(rows, order).columns : null
      for (let i = rows.itemCount(order) - 1; i >= 0; i--) {
        let units = rows.itemQuantity(order, i)
        if (columns !== null)
          units = orderState === OrderState.RESERVED ? units - columns[i].released : columns[i].sold - columns[i].returned
        const number = rows.itemSku(order, i)
        if (units > 0) uses.set(number, (uses.get(number) ?? 0) + units)
      }
    }
    // Orders that are forgotten count on: a use may be more than the kept orders, never less.
    for (const [number, units] of uses) {
      const sku = skus[number]
      const known = buyers.used(buyer, number)
      if (sku === null || sku.isDropped || known >= units) continue
      const name = Buffer.from(buyers.bytes(buyer).subarray(buyers.nameStart(buyer), buyers.nameEnd(buyer))).toString('latin1')
      this.#violation(sku, 'E5', units, known, `${nameOf(sku)}: buyer ${name} uses ${known}, his orders have ${units}`)
    }
  }

  #violation(sku: Sku, equation: Equation, expected: number, found: number, text: string): void {
    this.#found.push({ sku, equation, expected, found, text })
  }
}

function nameOf(sku: Sku): string {
  return Buffer.from(sku.name).toString('latin1')
}
