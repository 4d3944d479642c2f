// One SKU: its terms, its four numbers, its open holds.
//
// Invariant, after every change:   total = available + reserved + sold, each >= 0
//
// A SKU is a JS object: there are thousands of them, not millions of orders. Rows refer to it by its number. A name that is dropped and
// created again is another SKU, with another generation; the dropped one stays for the orders that it is in.

import { assert } from '../base/assert.ts'
import { hashBytes, mix } from '../base/hash.ts'
import type { Holds } from './holds.ts'
import { type EarlierTag, PriceTag } from './price-tag.ts'
import type { SkuState } from './state.ts'

/** What an operator decides about a SKU. An absent instant or limit is 0, an absent price -1, an absent seller empty. */
export interface SkuTerms {
  readonly holdSeconds: number
  readonly maxHoldSeconds: number
  readonly limit: number
  readonly maxQuantity: number
  readonly safety: number
  readonly start: number
  readonly end: number
  readonly price: number
  /** One character per byte. */
  readonly seller: string
  readonly paused: boolean
}

export function sameTerms(a: SkuTerms, b: SkuTerms): boolean {
  return (
    a.holdSeconds === b.holdSeconds &&
    a.maxHoldSeconds === b.maxHoldSeconds &&
    a.limit === b.limit &&
    a.maxQuantity === b.maxQuantity &&
    a.safety === b.safety &&
    a.start === b.start &&
    a.end === b.end &&
    a.price === b.price &&
    a.seller === b.seller &&
    a.paused === b.paused
  )
}

/** What CREATE was told: a repeated CREATE with the same arguments is harmless. */
export interface SkuOrigin {
  readonly total: number
  readonly terms: SkuTerms
}

/** A fixed seed: digests are compared between processes. */
const DIGEST_SEED = 0x0badcafe

export class Sku {
  readonly number: number
  readonly generation: number
  readonly name: Uint8Array
  readonly origin: SkuOrigin
  #terms: SkuTerms
  /** The price and seller of `terms`. */
  tag: PriceTag
  total: number
  available: number
  reserved = 0
  sold = 0
  /** Sold units of orders that were trimmed: sold = the kept orders' sold units + settled. */
  settled = 0
  /** Counts the changes of this SKU. */
  version = 1
  confirmedUnits = 0
  releasedUnits = 0
  expiredUnits = 0
  returnedUnits = 0
  /** Statistics since the start of the process: refusals leave no trace in the log. */
  refusedSoldout = 0
  refusedHeld = 0
  refusedLimit = 0
  refusedClosed = 0
  readonly holds: Holds
  /** Deadline and sequence of the first hold, and the place in the expiry heap (-1: not in it). */
  firstDeadline = 0
  firstSequence = 0
  heapIndex = -1
  isDropped = false
  /** A recount found that its numbers are not what its orders say: it takes no new orders. Not in the log; a restart recounts anew. */
  isFrozen = false
  /** Rows of orders, and buyers' use counts, that refer to this number: it is used again when there are none. */
  orderRows = 0
  useCounts = 0
  /** Adjustment id (one character per byte) -> the delta that was asked. */
  adjustments: Map<string, number> | null = null
  /** Earlier MAXHOLDs that open orders were made under, oldest first: those up to the reservation `through` had `seconds`. */
  earlierMaxHolds: { readonly through: number; readonly seconds: number }[] = []
  /** Earlier tags that kept orders were made under, oldest first. */
  readonly earlierTags: EarlierTag[] = []
  /** This SKU's share of the seal digest, and whether it is out of date. */
  digestA = 0
  digestB = 0
  isDirty = false
  /** Its numbers may have changed since an audit mark told them. */
  isUnmarked = false

  constructor(identity: { number: number; generation: number; name: Uint8Array; origin: SkuOrigin; holds: Holds }) {
    this.number = identity.number
    this.generation = identity.generation
    this.name = identity.name
    this.origin = identity.origin
    this.#terms = identity.origin.terms
    this.tag = new PriceTag(this.#terms.price, this.#terms.seller)
    this.total = identity.origin.total
    this.available = identity.origin.total
    this.holds = identity.holds
  }

  get terms(): SkuTerms {
    return this.#terms
  }

  set terms(terms: SkuTerms) {
    this.#terms = terms
    if (terms.price !== this.tag.price || terms.seller !== this.tag.seller) this.tag = new PriceTag(terms.price, terms.seller)
  }

  /** Units that a new order may take. */
  get sellable(): number {
    const n = this.available - this.terms.safety
    return n > 0 ? n : 0
  }

  state(now: number): SkuState {
    if (now < this.terms.start) return 'PENDING'
    if (this.terms.end !== 0 && now >= this.terms.end) return 'ENDED'
    return this.terms.paused ? 'PAUSED' : 'OPEN'
  }

  /** Takes new orders. */
  isOpen(now: number): boolean {
    const terms = this.terms
    return !this.isFrozen && !terms.paused && now >= terms.start && (terms.end === 0 || now < terms.end)
  }

  /** The MAXHOLD of the order with this reservation number: ALTER never touches existing orders. */
  maxHoldSecondsOf(sequence: number): number {
    for (const earlier of this.earlierMaxHolds) if (sequence <= earlier.through) return earlier.seconds
    return this.terms.maxHoldSeconds
  }

  /** The tag of the order with this reservation number. */
  tagOf(sequence: number): PriceTag {
    if (this.earlierTags.length === 0) return this.tag
    const i = this.#earlierTagOf(sequence)
    return i === this.earlierTags.length ? this.tag : this.earlierTags[i].tag
  }

  /** The tag is about to change: the orders up to `through` keep it, if there are any. */
  keepTag(through: number): void {
    let orders = this.orderRows
    for (const earlier of this.earlierTags) orders -= earlier.orders
    if (orders > 0) this.earlierTags.push({ through, tag: this.tag, orders })
  }

  /** An order with this reservation number came with a snapshot. */
  countOrder(sequence: number): void {
    this.orderRows++
    if (this.earlierTags.length === 0) return
    const i = this.#earlierTagOf(sequence)
    if (i < this.earlierTags.length) this.earlierTags[i].orders++
  }

  /** An order with this reservation number is forgotten, and its tag with the last order that has it. */
  forgetOrder(sequence: number): void {
    this.orderRows--
    if (this.earlierTags.length === 0) return
    const i = this.#earlierTagOf(sequence)
    if (i < this.earlierTags.length && --this.earlierTags[i].orders === 0) this.earlierTags.splice(i, 1)
  }

  /** Where in `earlierTags` that order's is; behind the last one: it has the tag in force. */
  #earlierTagOf(sequence: number): number {
    let low = 0
    let high = this.earlierTags.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.earlierTags[middle].through < sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The law, at every change. A failure stops the node rather than freezing the SKU: nothing of this turn is in the log yet, so the
   * restart has the right numbers, whereas a record with wrong ones would make the log contradict itself.
   */
  assertBalanced(): void {
    assert(
      this.total === this.available + this.reserved + this.sold && this.available >= 0 && this.reserved >= 0 && this.sold >= 0,
      'total = available + reserved + sold',
    )
  }

  isNamed(bytes: Uint8Array, start: number, end: number): boolean {
    const name = this.name
    if (name.length !== end - start) return false
    for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false
    return true
  }

  /** Computes `digestA/B` from what the SKU is now. */
  refreshDigest(): void {
    let a = hashBytes(this.name, 0, this.name.length, DIGEST_SEED)
    let b = ~a
    for (const n of [this.generation, this.total, this.available, this.reserved, this.sold, this.version, this.isDropped ? 1 : 0]) {
      const low = n | 0
      const high = Math.floor(n / 0x1_0000_0000) | 0
      a = mix(a ^ low) + high
      b = mix((b + Math.imul(low, 0x9e3779b1)) ^ high)
    }
    this.digestA = a | 0
    this.digestB = b | 0
  }
}
