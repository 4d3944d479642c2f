// The states of orders and SKUs, and the answers of the ledger, as small integers: a hot path compares and stores no strings.

/** States of an order, as stored in its row. */
export const OrderState = { RESERVED: 1, CONFIRMED: 2, RELEASED: 3, EXPIRED: 4, RETURNED: 5 } as const
export type OrderState = (typeof OrderState)[keyof typeof OrderState]
export const ORDER_STATES = ['', 'RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED'] as const

export type SkuState = 'PENDING' | 'OPEN' | 'PAUSED' | 'ENDED'

/** What the ledger answers. The first group are business outcomes (values), the second are misuse and infrastructure (error replies). */
export const Status = {
  OK: 0,
  RESERVED: 1, // RESERVED to RETURNED: same numbers as OrderState
  CONFIRMED: 2,
  RELEASED: 3,
  EXPIRED: 4,
  RETURNED: 5,
  SOLDOUT: 6,
  HELD: 7,
  LIMIT: 8,
  CLOSED: 9,
  UNKNOWN: 10,
  SHORT: 11,
  MISMATCH: 12,

  NO_SKU: 20,
  WRONG_TYPE: 21,
  CONFLICT: 22, // the order id was used with other content
  OPERATION_CONFLICT: 23, // the operation id was
  ADJUSTMENT_CONFLICT: 24, // the adjustment id was
  QUANTITY: 25, // more than there is, or a SKU that is not in the order
  NO_BUYER: 26, // a SKU with LIMIT, an order id without a tag
  OUT_OF_MEMORY: 27,
  BACKLOG: 28,
  TOO_MANY_REFS: 29,
  TOTAL_TOO_LARGE: 30,
  IN_USE: 31,
  TOO_MANY_CHANGES: 32, // of one order
  FROZEN: 33, // the SKU's recount failed
} as const
export type Status = (typeof Status)[keyof typeof Status]

/** Words of the statuses that are values, as clients hear them. */
export const STATUS_WORDS = [
  'OK',
  'RESERVED',
  'CONFIRMED',
  'RELEASED',
  'EXPIRED',
  'RETURNED',
  'SOLDOUT',
  'HELD',
  'LIMIT',
  'CLOSED',
  'UNKNOWN',
  'SHORT',
  'MISMATCH',
] as const

const word = (text: string): Uint8Array => Buffer.from(text, 'latin1')
export const NOTHING = word('')
export const REPLAY = word('replay')
export const PARTIAL = word('partial')
export const LATE = word('late')
export const TOMBSTONE = word('tombstone')
export const ORPHANED = word('orphaned')
export const CAPPED = word('capped')
export const CLAMPED = word('clamped')

/**
 * The answer to one command. One object serves all commands, one after another: a refusal, the most frequent answer by far, makes
 * no garbage. `detail` may point into an order's row or into the request, so it is read before anything else changes.
 */
export class Outcome {
  status: Status = Status.OK
  when = 0
  available = 0
  reserved = 0
  detail: Uint8Array = NOTHING
  detailStart = 0
  detailEnd = 0

  set(status: Status, when: number, detail: Uint8Array): Status {
    this.when = when
    this.available = 0
    this.reserved = 0
    this.detail = detail
    this.detailStart = 0
    this.detailEnd = detail.length
    return (this.status = status)
  }

  setDetail(bytes: Uint8Array, start: number, end: number): void {
    this.detail = bytes
    this.detailStart = start
    this.detailEnd = end
  }
}
