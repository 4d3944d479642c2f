// What a command asks of an order, as offsets into the bytes that it came in: parsed once, checked by the ledger, never kept.
//
// One object serves all commands, one after another. Equal SKUs are one item, at the first one's place, with the sum of the quantities.
// Records are replayed through the same object: what a record says has the shape of what a command asks.

/** Items of one order: it must fit a record line, a screen, and 7 bits of an order's row. */
export const ITEMS_MAX = 100
export const QUANTITY_MAX = 1_000_000_000
export const ORDER_ID_BYTES_MAX = 128
export const SKU_BYTES_MAX = 256
export const REF_BYTES_MAX = 256

const OPEN_BRACE = 123
const CLOSE_BRACE = 125
const STAR = 42

/** A piece of some bytes; `start` -1: absent. */
export class Slice {
  bytes: Uint8Array = new Uint8Array(0)
  start = -1
  end = -1

  get isPresent(): boolean {
    return this.start !== -1
  }

  set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  clear(): void {
    this.start = -1
    this.end = -1
  }

  copy(): Uint8Array {
    return Buffer.from(this.bytes.subarray(this.start, this.end))
  }
}

export class OrderRequest {
  readonly id = new Slice()
  /** The buyer's name within the id; absent if the id has no tag. */
  readonly buyer = new Slice()
  /** The id is `{buyer}*`: the server makes the rest. */
  isMade = false
  readonly ref = new Slice()
  readonly operation = new Slice()
  readonly reason = new Slice()
  /** PAID, LATE and NORESTOCK, each in its command. */
  isPaid = false
  isLate = false
  isNoRestock = false
  /** EX or PX, 0 if absent. */
  durationMs = 0

  // What the ledger, or a record, adds to a RESERVE before the order is opened.
  hash = 0
  /** The buyer's row and hash, if LIMIT made the ledger look for him; row -1: it did not. */
  buyerRow = -1
  buyerHash = 0
  at = 0
  /** 0: PAID, no hold. */
  deadline = 0

  /** Items: SKU name skuBytes[skuStart[i]..skuEnd[i]) and its quantity. */
  count = 0
  skuBytes: Uint8Array = new Uint8Array(0)
  readonly skuStart = new Int32Array(ITEMS_MAX)
  readonly skuEnd = new Int32Array(ITEMS_MAX)
  readonly quantity = new Int32Array(ITEMS_MAX)

  /** Forgets everything but the id. */
  reset(): void {
    this.ref.clear()
    this.operation.clear()
    this.reason.clear()
    this.isPaid = false
    this.isLate = false
    this.isNoRestock = false
    this.durationMs = 0
    this.buyerRow = -1
    this.count = 0
  }

  /** The order id, and the buyer that its tag names: the bytes between the first `{` and the next `}`, if there are any. */
  setId(bytes: Uint8Array, start: number, end: number): void {
    this.id.set(bytes, start, end)
    this.buyer.clear()
    this.isMade = false
    let open = start
    while (open < end && bytes[open] !== OPEN_BRACE) open++
    let close = open + 1
    while (close < end && bytes[close] !== CLOSE_BRACE) close++
    if (close >= end || close === open + 1) return
    this.buyer.set(bytes, open + 1, close)
    this.isMade = open === start && close === end - 2 && bytes[end - 1] === STAR
  }

  /** True for ids that nobody can own: they end like `{buyer}*`, but the server did not make them from it. */
  get isForbidden(): boolean {
    const { bytes, start, end } = this.id
    if (end - start < 2 || bytes[end - 1] !== STAR || bytes[end - 2] !== CLOSE_BRACE) return false
    return !(end - start === 3 && bytes[start] === OPEN_BRACE)
  }

  /** Adds an item, or its quantity to the item of the same SKU. @returns false if that is too much. */
  addItem(start: number, end: number, quantity: number): boolean {
    const bytes = this.skuBytes
    for (let i = 0; i < this.count; i++) {
      const length = end - start
      if (this.skuEnd[i] - this.skuStart[i] !== length) continue
      let k = 0
      while (k < length && bytes[this.skuStart[i] + k] === bytes[start + k]) k++
      if (k < length) continue
      const sum = this.quantity[i] + quantity
      if (sum > QUANTITY_MAX) return false
      this.quantity[i] = sum
      return true
    }
    if (this.count === ITEMS_MAX) return false
    this.skuStart[this.count] = start
    this.skuEnd[this.count] = end
    this.quantity[this.count++] = quantity
    return true
  }
}
