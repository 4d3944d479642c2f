// What orders and SKUs cost: bytes of memory, for MEMORY USAGE and MEMORY ORDER.
//
// An order is its row, what was remembered of it beside the row, its places in the index and among the holds, and its part of what buyers
// take. A SKU is its object and its part of all that orders take: as much as orders are on it. So the parts of all SKUs are the whole.

import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import type { LedgerState } from './ledger-state.ts'
import { EXTRA } from './order-rows.ts'
import type { Sku } from './sku.ts'
import { OrderState } from './state.ts'

// A SKU's objects on the JavaScript heap, as measured with 100,000 of them.
const SKU_BYTES = 1130
const ADJUSTMENT_BYTES = 100
const HOLD_BYTES = 4
/** A row's places in an index that is neither small nor has just grown. */
const INDEX_BYTES = 12
/** What holds cost as such, 512 at a time. */
const HOLD_CHUNK_BYTES = 460
const HOLDS_PER_CHUNK = 512

/** @param order its row */
export function orderBytes({ rows, buyers }: LedgerState, order: number): number {
  const extra = rows.word(order, EXTRA)
  // Its first word is its length and what it has (order-extra.ts).
  const beside = extra === 0 ? 0 : Arena.sizeOf(rows.arena.words[extra >>> SEGMENT_SHIFT][(extra & GRANULE_MASK) << 1] >>> 8)
  const hold = rows.state(order) === OrderState.RESERVED ? HOLD_BYTES * rows.itemCount(order) : 0
  const ofBuyers = (buyers.arena.usedBytes + buyers.table.size * INDEX_BYTES) / rows.table.size
  return rows.rowBytes(order) + beside + hold + INDEX_BYTES + Math.round(ofBuyers)
}

/** Without its key. O(SKUs). */
export function skuBytes(state: LedgerState, sku: Sku): number {
  const { rows, buyers, skus } = state
  let all = 0
  for (const other of skus) all += other === null ? 0 : other.orderRows
  const ofOrders = rows.arena.usedBytes + buyers.arena.usedBytes + (rows.table.size + buyers.table.size) * INDEX_BYTES
  const share = all === 0 ? 0 : (ofOrders * sku.orderRows) / all
  const adjustments = sku.adjustments === null ? 0 : sku.adjustments.size * ADJUSTMENT_BYTES
  const holds = Math.ceil(sku.holds.size / HOLDS_PER_CHUNK) * HOLD_CHUNK_BYTES + sku.holds.size * HOLD_BYTES
  return SKU_BYTES + adjustments + holds + Math.round(share)
}
