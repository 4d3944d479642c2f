// Orders as a person reads them.

import type { StoredItem, StoredOrder } from '../../orders/store/store.ts'
import { nameText } from './name-text.ts'
import { localTime } from './table.ts'

/** Units that the order still has: held, or sold and not returned. */
const kept = ({ reserved, sold }: StoredItem): number => reserved + sold

/** What the units that it still has cost, in minor units; '': some have no price. */
export function amountOf({ items }: Pick<StoredOrder, 'items'>): string {
  let sum = 0n
  for (const item of items) {
    if (item.price === null) return ''
    sum += BigInt(item.price) * BigInt(kept(item))
  }
  return items.length === 0 ? '' : String(sum)
}

/** `iphone x2, case x1` as ordered. */
export function itemsText(items: readonly StoredItem[], most = 3): string {
  const told = items.slice(0, most).map(({ sku, quantity }) => `${nameText(sku)} x${quantity}`)
  return items.length > most ? `${told.join(', ')}, ${items.length - most} more` : told.join(', ')
}

export const ORDER_HEAD = ['CREATED', 'ORDER', 'STATE', 'BUYER', 'ITEMS', 'AMOUNT'] as const

export function orderCells(order: StoredOrder): string[] {
  const { id, state, buyer, createdAt, items, isHistory } = order
  return [
    localTime(createdAt),
    nameText(id),
    isHistory ? `${state} (history)` : state,
    nameText(buyer ?? ''),
    itemsText(items),
    amountOf(order),
  ]
}
