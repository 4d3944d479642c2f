// The JSON of an event, as a reader sees it: what the publisher sent, checked.
//
// Text that names something (order, buyer, SKU, seller, ref) is a JS string; bytes that are not UTF-8 came as latin1 (one character a
// byte) with `encoding: "latin1"` in the JSON. Integers above 2^53 - 1 are decimal strings.

import type { EventType } from '../engine/events/event.ts'

export interface EventItem {
  readonly sku: string
  readonly generation: number
  /** Units that this event is about. */
  readonly qty: number
  /** The SKU's price and seller when the order was made. */
  readonly price: number | string | null
  readonly seller: string | null
  /** What the event did to the order's item. */
  readonly change: { readonly reserved: number; readonly sold: number; readonly released: number; readonly returned: number }
}

/** Balances of a SKU as of the event, and how the event changed them. */
export interface EventBalance {
  readonly sku: string
  readonly generation: number
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
  readonly change: { readonly total: number; readonly available: number; readonly reserved: number; readonly sold: number }
}

export interface EventBody {
  readonly schema: number
  readonly id: string
  readonly type: EventType
  readonly time: number
  readonly encoding?: 'latin1'
  /** order.*: all of these; stock.* and audit.mark: order, buyer and state are null. */
  readonly order: string | null
  readonly buyer: string | null
  readonly shard: number
  readonly version: number
  readonly state: string | null
  readonly deadline: number
  readonly ref: string | null
  readonly reason: string | null
  readonly late: boolean
  readonly items: readonly EventItem[]
  readonly stock: readonly EventBalance[]
  /** audit.mark: number of the mark, and in `stock` the numbers of the SKUs that changed since the one before. */
  readonly mark?: number
}
