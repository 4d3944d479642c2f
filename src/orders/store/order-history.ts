// An order from its events: the one definition of what the rows of an order are, whatever the ways its events came.
//
// Nearly always an event is newer than the order's rows, and is added to them (`OrderChange`). When it is not (a dead event replayed, a
// hole filled later, an id that a shop uses again years later, a node set back to an older log), its store rebuilds the order's rows from
// all of its events. Both give the same rows, because both fold the same list:
//
//   events by time; one with version v takes back what the list has of version v and above (that history did not go on)
//
// So the versions of the list ascend. Adding a newer event to the rows is adding it to the list.

import type { EventBody } from '../event-body.ts'
import { nameOf } from './name.ts'
import type { ItemChange, OrderRows } from './rows.ts'

/** Adds up the events of one order. */
export class OrderFold {
  readonly id: string
  readonly shard: number
  readonly firstVersion: number
  readonly createdAt: number
  version = 0
  updatedAt = 0
  buyer: string | null = null
  state = ''
  deadline = 0
  ref: string | null = null
  reason: string | null = null
  isDisordered = false
  readonly sellers: string[] = []
  /** An order has few items: a search through them is cheaper than a map. */
  readonly items: ItemFold[] = []

  constructor(first: EventBody, id: string) {
    this.id = id
    this.shard = first.shard
    this.firstVersion = first.version
    this.createdAt = first.time
  }

  add(body: EventBody): void {
    if (body.version <= this.version) this.isDisordered = true
    this.version = body.version
    this.updatedAt = body.time
    this.state = body.state ?? this.state
    this.deadline = body.deadline
    if (body.buyer !== null) this.buyer ??= nameOf(body.buyer, body.encoding)
    // The REF of a refused payment is not the order's.
    if (body.ref !== null && body.type !== 'order.payment_orphaned') this.ref = nameOf(body.ref, body.encoding)
    if (body.reason !== null) this.reason = body.reason
    for (const { sku, price, seller, change } of body.items) {
      const item = this.#item(nameOf(sku, body.encoding))
      item.reserved += change.reserved
      item.sold += change.sold
      item.released += change.released
      item.returned += change.returned
      item.quantity = item.reserved + item.sold + item.released + item.returned
      if (price !== null) item.price ??= String(price)
      if (seller === null) continue
      const name = nameOf(seller, body.encoding)
      item.seller ??= name
      if (!this.sellers.includes(name)) this.sellers.push(name)
    }
  }

  #item(sku: string): ItemFold {
    for (const item of this.items) if (item.sku === sku) return item
    const item = new ItemFold(sku)
    this.items.push(item)
    return item
  }
}

class ItemFold implements ItemChange {
  readonly sku: string
  quantity = 0
  reserved = 0
  sold = 0
  released = 0
  returned = 0
  price: string | null = null
  seller: string | null = null

  constructor(sku: string) {
    this.sku = sku
  }
}

/**
 * The rows of an order from all its events, in any order.
 *
 * @param bodies not empty, all of one order
 */
export function rebuildOrder(bodies: readonly EventBody[]): OrderRows {
  const history: EventBody[] = []
  for (const body of bodies.toSorted((a, b) => a.time - b.time || a.version - b.version || (a.id < b.id ? -1 : 1))) {
    while (history.length > 0 && history[history.length - 1].version >= body.version) history.pop()
    history.push(body)
  }
  const [first] = history
  const fold = new OrderFold(first, nameOf(first.order ?? '', first.encoding))
  for (const body of history) fold.add(body)
  return fold
}
