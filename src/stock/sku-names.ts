// Where the names of SKUs live. A SKU is a key of type `stock` in database 0, so the key table is its index, and TYPE, EXISTS, SCAN
// and DBSIZE see it like any other key. The ledger knows only this seam; database 0 implements it.

/** No key of that name. */
export const NO_KEY = -1
/** A key of that name, of another type. */
export const OTHER_TYPE = -2

export interface SkuNames {
  /** The number of the SKU of this name (>= 0), NO_KEY or OTHER_TYPE. */
  find(bytes: Uint8Array, start: number, end: number): number
  /** Names a SKU. The caller has made sure that there is no key of that name. The bytes are copied. */
  add(bytes: Uint8Array, start: number, end: number, skuNumber: number): void
  /** Takes a SKU's name away. */
  remove(bytes: Uint8Array, start: number, end: number): void
}
