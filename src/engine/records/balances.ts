// A SKU's numbers after a record, as one argument: `available reserved sold[ price[ seller]]` (total is their sum). Price, -1 if there is
// none, and seller are those that an order has had from its beginning; records of a SKU itself leave them out.
//
// A SKU that was dropped has no numbers any more: `-[ price[ seller]]`.

import { parseInteger } from '../../base/decimal.ts'
import type { PriceTag } from '../../stock/price-tag.ts'
import type { Sku } from '../../stock/sku.ts'
import type { Journal } from '../journal.ts'

const SPACE = 32
const MINUS = 45
const ZERO = 48
const DROPPED = Buffer.from('-', 'latin1')
const NO_TAG = new Uint8Array(0)

export function writeItemBalances(journal: Journal, sku: Sku, tag: PriceTag): void {
  if (sku.isDropped) journal.bytes(Buffer.concat([DROPPED, tag.bytes]))
  else journal.balances(sku.available, sku.reserved, sku.sold, tag.bytes)
}

export function writeBalances(journal: Journal, sku: Sku): void {
  journal.balances(sku.available, sku.reserved, sku.sold, NO_TAG)
}

/** Reads one argument after another into the same fields. */
export class Balances {
  isDropped = false
  available = 0
  reserved = 0
  sold = 0
  /** The tag, with the space before it, is bytes[tagStart..end). */
  tagStart = 0
  end = 0
  bytes: Uint8Array = NO_TAG
  #at = 0

  get total(): number {
    return this.available + this.reserved + this.sold
  }

  /** @returns false if it is not what it must be. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytes = bytes
    this.end = end
    this.isDropped = start < end && bytes[start] === MINUS
    if (this.isDropped) {
      this.available = this.reserved = this.sold = 0
      this.#at = start + 1
    } else {
      this.#at = start
      this.available = this.#number(SPACE)
      this.reserved = this.#number(SPACE)
      this.sold = this.#number(-1)
      if (!(this.available + this.reserved + this.sold <= Number.MAX_SAFE_INTEGER)) return false
    }
    this.tagStart = this.#at
    return this.#at === end || bytes[this.#at] === SPACE
  }

  /** Behind `read`: true if the tag is this one. */
  hasTag(tag: PriceTag): boolean {
    const { bytes, tagStart } = this
    const expected = tag.bytes
    if (this.end - tagStart !== expected.length) return false
    for (let i = 0; i < expected.length; i++) if (bytes[tagStart + i] !== expected[i]) return false
    return true
  }

  /** Behind `read`: the end of the tag's price; `tagStart` if there is no tag, -1 if it is not what it must be. */
  priceEnd(): number {
    const { bytes, tagStart, end } = this
    if (tagStart === end) return tagStart
    let p = tagStart + 1
    while (p < end && bytes[p] !== SPACE) p++
    const price = parseInteger(bytes, tagStart + 1, p)
    // A tag says something, and a seller that is there has a name.
    return !(price >= -1) || (price === -1 && p === end) || p + 1 === end ? -1 : p
  }

  /** Digits from `#at` on, and the byte behind them, if one must be there. NaN if they are no plain number. */
  #number(behind: number): number {
    const { bytes, end } = this
    const start = this.#at
    let p = start
    let n = 0
    for (; p < end; p++) {
      const digit = bytes[p] - ZERO
      if (digit < 0 || digit > 9) break
      n = n * 10 + digit
    }
    const isPlain = p > start && p - start <= 16 && (bytes[start] !== ZERO || p === start + 1)
    if (behind === -1) this.#at = p
    else if (p < end && bytes[p] === behind) this.#at = p + 1
    else return NaN
    return isPlain ? n : NaN
  }
}
