// Compares the rows of an order with what its events say: the recount of both stores' `verify`.

import { rebuildOrder } from './order-history.ts'
import type { StoredOrder } from './store.ts'
import { readStoredEvent } from './stored-event.ts'

const FIELDS = ['shard', 'buyer', 'state', 'version', 'createdAt', 'updatedAt', 'deadline', 'ref', 'reason'] as const
const ITEM_FIELDS = ['quantity', 'reserved', 'sold', 'released', 'returned', 'price', 'seller'] as const

/** @returns in words, one for each; none: the order is what its events say */
export function orderDifferences(order: StoredOrder, payloads: readonly Buffer[]): string[] {
  if (payloads.length === 0) return ['no event is stored']
  const right = rebuildOrder(payloads.map(readStoredEvent))
  const wrong: string[] = []
  const compare = (what: string, stored: unknown, told: unknown): void => {
    if (stored !== told) wrong.push(`${what} is ${String(stored)}, not ${String(told)}`)
  }
  for (const field of FIELDS) compare(field, order[field], right[field])
  compare('number of items', order.items.length, right.items.length)
  for (const item of right.items) {
    const stored = order.items.find((one) => one.sku === item.sku)
    if (stored === undefined) wrong.push(`item ${item.sku} is missing`)
    else for (const field of ITEM_FIELDS) compare(`${field} of ${item.sku}`, stored[field], item[field])
  }
  return wrong
}
