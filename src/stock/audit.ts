// Recounts orders against the counters that the moves keep. What it finds is a bug of ours or of the machine's memory.
//
//   reserved = units of the open holds          sold = unreturned units of the kept orders + those of trimmed ones
//   a buyer's use of a SKU >= units of his kept RESERVED and CONFIRMED orders (trimmed ones count on)

import type { LedgerState } from './ledger-state.ts'
import { TOMBSTONE_FLAG } from './order-rows.ts'
import type { Sku } from './sku.ts'
import { OrderState } from './state.ts'

/** Details beyond that say nothing new. */
const VIOLATIONS_MAX = 100

export interface Recount {
  readonly skus: number
  /** Orders that were counted (of one SKU: those that contain it). */
  readonly orders: number
  readonly violations: readonly string[]
}

/** @param only the SKU to recount; undefined: all. */
export function recount(state: LedgerState, only: Sku | undefined): Recount {
  const { rows, buyers, units } = state
  const reserved = new Map<Sku, number>()
  const sold = new Map<Sku, number>()
  const holds = new Map<Sku, number>()
  const used = new Map<number, Map<Sku, number>>()
  let orders = 0
  rows.table.forEach((order) => {
    if (rows.has(order, TOMBSTONE_FLAG)) return
    const items = rows.itemCount(order)
    if (only !== undefined && !contains(state, order, only)) return
    orders++
    const orderState = rows.state(order)
    if (orderState !== OrderState.RESERVED && orderState !== OrderState.CONFIRMED) return
    state.readUnits(order, state.extraOf(order))
    const buyer = state.buyerOf(order)
    for (let i = 0; i < items; i++) {
      const sku = state.skuOf(order, i)
      if (units[i] === 0 || sku.isDropped || (only !== undefined && sku !== only)) continue
      const counted = orderState === OrderState.RESERVED ? reserved : sold
      counted.set(sku, (counted.get(sku) ?? 0) + units[i])
      if (orderState === OrderState.RESERVED) holds.set(sku, (holds.get(sku) ?? 0) + 1)
      if (buyer === 0) continue
      let uses = used.get(buyer)
      if (uses === undefined) used.set(buyer, (uses = new Map()))
      uses.set(sku, (uses.get(sku) ?? 0) + units[i])
    }
  })
  const violations: string[] = []
  const expect = (isTrue: boolean, text: string): void => {
    if (!isTrue && violations.length < VIOLATIONS_MAX) violations.push(text)
  }
  let skus = 0
  for (const sku of only === undefined ? state.skus : [only]) {
    if (sku === null || sku.isDropped) continue
    skus++
    const name = Buffer.from(sku.name).toString('latin1')
    const { total, available } = sku
    expect(total === available + sku.reserved + sku.sold, `${name}: total ${total} is not ${available} + ${sku.reserved} + ${sku.sold}`)
    expect(available >= 0 && sku.reserved >= 0 && sku.sold >= 0, `${name}: a number below 0`)
    expect(sku.reserved === (reserved.get(sku) ?? 0), `${name}: reserved ${sku.reserved}, its open holds have ${reserved.get(sku) ?? 0}`)
    expect(
      sku.sold === (sold.get(sku) ?? 0) + sku.settled,
      `${name}: sold ${sku.sold}, its orders have ${(sold.get(sku) ?? 0) + sku.settled}`,
    )
    expect(sku.holds.size === (holds.get(sku) ?? 0), `${name}: ${sku.holds.size} open orders, counted ${holds.get(sku) ?? 0}`)
  }
  for (const [buyer, uses] of used) {
    for (const [sku, count] of uses) {
      const known = buyers.used(buyer, sku.number)
      expect(
        known >= count,
        `buyer ${Buffer.from(buyers.bytes(buyer).subarray(buyers.nameStart(buyer), buyers.nameEnd(buyer))).toString('latin1')}: uses ${known}, his orders ${count}`,
      )
    }
  }
  return { skus, orders, violations }
}

function contains(state: LedgerState, order: number, sku: Sku): boolean {
  for (let i = state.rows.itemCount(order) - 1; i >= 0; i--) if (state.rows.itemSku(order, i) === sku.number) return true
  return false
}
