// What a SKU costs and who sells it, during some time. An order keeps the tag that its SKU had when the order was made: ALTER never
// touches existing orders.
//
// `bytes` is the tag as records say it, encoded once: ` price[ seller]`, nothing if there is neither. A seller's name may contain
// anything, so it comes last.

export class PriceTag {
  /** -1: none. */
  readonly price: number
  /** One character per byte; empty: none. */
  readonly seller: string
  readonly bytes: Uint8Array

  constructor(price: number, seller: string) {
    this.price = price
    this.seller = seller
    this.bytes = Buffer.from(seller !== '' ? ` ${price} ${seller}` : price !== -1 ? ` ${price}` : '', 'latin1')
  }
}

/** A tag that the SKU had up to the order with the number `through`, and how many kept orders were made under it: never 0. */
export interface EarlierTag {
  readonly through: number
  readonly tag: PriceTag
  orders: number
}
