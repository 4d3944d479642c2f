// Sums over SKUs, for INFO and metrics. Units are those of SKUs that exist; moves and refusals are counted on when a SKU is dropped, so
// that they only go up while the process runs.

import type { Sku } from './sku.ts'

export class SkuSums {
  available = 0
  reserved = 0
  sold = 0
  confirmed = 0
  released = 0
  expired = 0
  returned = 0
  refusedSoldout = 0
  refusedHeld = 0
  refusedLimit = 0
  refusedClosed = 0

  addUnits(sku: Sku): void {
    this.available += sku.available
    this.reserved += sku.reserved
    this.sold += sku.sold
  }

  addMoves(sku: Sku): void {
    this.confirmed += sku.confirmedUnits
    this.released += sku.releasedUnits
    this.expired += sku.expiredUnits
    this.returned += sku.returnedUnits
    this.refusedSoldout += sku.refusedSoldout
    this.refusedHeld += sku.refusedHeld
    this.refusedLimit += sku.refusedLimit
    this.refusedClosed += sku.refusedClosed
  }
}
