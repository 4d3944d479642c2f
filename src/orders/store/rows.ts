// What a batch of events writes, table by table, as values: MySQL and SQLite write the same rows.
//
// Names (order, buyer, SKU, seller, ref) are the strings of name.ts; prices are decimal text, because they may pass 2^53.

import type { EventType } from '../../engine/events/event.ts'

/** order_events: every event that was understood, one row each. */
export interface EventRow {
  readonly pseq: number
  /** `<stream>-<lsn>` */
  readonly id: string
  readonly type: EventType
  readonly time: number
  /** Null: it is about a SKU, or a mark. */
  readonly order: string | null
  readonly shard: number
  readonly version: number
  readonly payload: Buffer
}

/**
 * orders, order_items and seller_orders: all events of one order in the batch, as one change.
 *
 * The row is missing and not in history: insert everything. It is there with `first_version` 1 and a version below `firstVersion`: update
 * it and add to its items (its sellers are there). In every other case, and if `isDisordered`: rebuild the order from its events, with
 * those of this batch (order-history.ts).
 */
export interface OrderChange extends OrderRows {
  /** The versions do not ascend in the batch itself. */
  readonly isDisordered: boolean
}

/** An order's rows. */
export interface OrderRows {
  readonly id: string
  readonly shard: number
  /** Of the first event: 1, or events from before are missing (dead, or not published any more). */
  readonly firstVersion: number
  readonly version: number
  /** Of the first event; an update leaves it alone. */
  readonly createdAt: number
  readonly updatedAt: number
  readonly buyer: string | null
  readonly state: string
  readonly deadline: number
  /** Null: the events say nothing about it, and an update leaves it alone. So with `reason` and `buyer`. */
  readonly ref: string | null
  readonly reason: string | null
  readonly items: readonly ItemChange[]
  readonly sellers: readonly string[]
}

/** Numbers to add to an item's; a new row starts with them. */
export interface ItemChange {
  readonly sku: string
  /** `quantity` is what was ordered: always the sum of the four. */
  readonly quantity: number
  readonly reserved: number
  readonly sold: number
  readonly released: number
  readonly returned: number
  readonly price: string | null
  readonly seller: string | null
}

export interface Balances {
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
}

/** sku_ledger: numbers to add to the row of (stream, part, sku, generation). */
export interface LedgerChange extends Balances {
  readonly sku: string
  readonly generation: number
}

/** audit_marks: what this part's ledger is at a mark. */
export interface MarkReached {
  readonly pseq: number
  readonly mark: number
  /** One for each SKU that the mark names. May be none: the part has reached it all the same. */
  readonly rows: readonly MarkRow[]
}

export interface MarkRow {
  readonly sku: string
  readonly generation: number
  /** The node's numbers, in all parts together. */
  readonly node: Balances
  /** To add to the ledger row as it was before this batch: gives this part's own numbers at the mark. */
  readonly change: Balances
}

/** dead_events */
export interface DeadRow {
  readonly pseq: number
  readonly code: string
  readonly reason: string
  readonly payload: Buffer
}
