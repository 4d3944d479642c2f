// Who hears what the ledger has done: the engine, which writes a record of each fact. Called once per change, after it, in order.

import type { OrderRequest } from './order-request.ts'
import type { Sku } from './sku.ts'

/** How an order came to be CONFIRMED. */
export type SaleKind = 'SALE' | 'LATE' | 'ADOPTED'

export interface Adjustment {
  readonly id: string
  /** What the command said, and what was done (less, if clamped). */
  readonly asked: number
  readonly applied: number
  readonly reason: string
  readonly ref: string
}

/** A part of an order went back or came back: `quantities[i]` units of item i. */
export interface PartialChange {
  readonly quantities: Int32Array
  /** No ITEMS were given: all that there was. */
  readonly isWhole: boolean
  readonly operation: Uint8Array | null
  readonly reason: Uint8Array | null
}

export interface LedgerFacts {
  skuCreated(sku: Sku, at: number): void
  skuAltered(sku: Sku, at: number): void
  skuAdjusted(sku: Sku, at: number, adjustment: Adjustment): void
  skuDropped(sku: Sku, at: number): void
  /** Sellable has reached 0. */
  soldOut(sku: Sku, at: number): void
  /** Sellable has risen from 0. */
  availableAgain(sku: Sku, at: number): void

  orderReserved(order: number, request: OrderRequest): void
  /** RESERVE ... PAID. */
  orderPaid(order: number, request: OrderRequest): void
  /** `quantities[i]` units of item i were sold; of a RESERVED order the rest went back. `payment`: the REF given, if it is the order's now. */
  orderConfirmed(order: number, at: number, sale: { kind: SaleKind; payment: Uint8Array | null; quantities: Int32Array }): void
  orderReleased(order: number, at: number, change: PartialChange): void
  orderExpired(order: number): void
  orderExtended(order: number, at: number): void
  orderReturned(order: number, at: number, change: PartialChange & { readonly isNoRestock: boolean }): void
  /** `isUnknown`: nobody knew the order; it is a tombstone now. */
  paymentOrphaned(order: number, at: number, payment: { ref: Uint8Array; isUnknown: boolean }): void
  tombstone(order: number, at: number, reason: Uint8Array | null): void
  holdsGraced(at: number, until: number): void
  ordersTrimmed(at: number, count: { closed: number; confirmed: number }): void
}
