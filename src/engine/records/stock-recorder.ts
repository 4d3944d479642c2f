// Writes the facts of the ledger as records, each named after its event, with its instant, the number of its event in the outbox (pseq)
// and the balances after it.
//
//   ORDER.RESERVED          id at holdMs pseq [made [ref]] item...       made: `*` if the server made the id, else `-`
//   ORDER.CONFIRMED         id at version pseq kind [ref] item...        kind: SALE, LATE, ADOPTED; PAID or PAID* (made): a new order
//   ORDER.RELEASED          id at version pseq extent operation reason item...       extent: WHOLE (no ITEMS were given) or PART
//   ORDER.EXPIRED           id at version pseq item...                   at: the deadline
//   ORDER.EXTENDED          id at version pseq deadline
//   ORDER.RETURNED          id at version pseq extent operation reason RESTOCK|NORESTOCK item...
//   ORDER.PAYMENT_ORPHANED  id at version pseq ref KNOWN|UNKNOWN         UNKNOWN: leaves a tombstone
//   ORDER.TOMBSTONE         id at reason                                 no event
//   ORDER.GRACED            at until                                     no event
//   ORDER.TRIMMED           at closed confirmed                          no event: how many of each kind were forgotten, longest kept first
//   STOCK.CREATED           sku generation at pseq total hold maxhold limit maxqty safety start end price seller OPEN|PAUSED
//   STOCK.ALTERED           sku generation at pseq available hold maxhold ... as above
//   STOCK.ADJUSTED          sku generation at pseq id asked applied reason ref total available
//   STOCK.DROPPED           sku generation at pseq
//   STOCK.SOLDOUT, STOCK.AVAILABLE   sku generation at pseq sellable version
//
// item = sku generation quantity available, `available` being what it is after the record. Optional arguments are told by the number of
// arguments modulo 4, so that an ordinary reservation carries none.

import type { Adjustment, LedgerFacts, PartialChange, SaleKind } from '../../stock/ledger-facts.ts'
import type { LedgerState } from '../../stock/ledger-state.ts'
import type { OrderRequest } from '../../stock/order-request.ts'
import type { Sku } from '../../stock/sku.ts'
import type { Journal } from '../journal.ts'
import { Outbox } from '../outbox.ts'
import { writeTerms } from './sku-terms.ts'

const NOTHING = Buffer.alloc(0)

export class StockRecorder implements LedgerFacts {
  readonly #state: LedgerState
  readonly #journal: Journal
  readonly #outbox: Outbox

  constructor(state: LedgerState, journal: Journal, outbox: Outbox) {
    this.#state = state
    this.#journal = journal
    this.#outbox = outbox
  }

  orderReserved(order: number, request: OrderRequest): void {
    const journal = this.#journal
    const { id, ref, count } = request
    const options = ref.isPresent ? 2 : request.isMade ? 1 : 0
    journal.begin(5 + options + count * 4)
    journal.word('ORDER.RESERVED')
    journal.bytes(id.bytes, id.start, id.end)
    journal.integer(request.at)
    journal.integer(request.deadline - request.at)
    journal.integer(this.#outbox.next(this.#partOf(order)))
    if (options > 0) journal.word(request.isMade ? '*' : '-')
    if (options > 1) journal.bytes(ref.bytes, ref.start, ref.end)
    for (let i = 0; i < count; i++) this.#item(this.#state.skuOf(order, i), request.quantity[i])
  }

  orderPaid(order: number, request: OrderRequest): void {
    const journal = this.#journal
    const { id, ref, count } = request
    journal.begin(6 + (ref.isPresent ? 1 : 0) + count * 4)
    journal.word('ORDER.CONFIRMED')
    journal.bytes(id.bytes, id.start, id.end)
    journal.integer(request.at)
    journal.integer(1)
    journal.integer(this.#outbox.next(this.#partOf(order)))
    journal.word(request.isMade ? 'PAID*' : 'PAID')
    if (ref.isPresent) journal.bytes(ref.bytes, ref.start, ref.end)
    for (let i = 0; i < count; i++) this.#item(this.#state.skuOf(order, i), request.quantity[i])
  }

  orderConfirmed(order: number, at: number, sale: { kind: SaleKind; payment: Uint8Array | null; quantities: Int32Array }): void {
    const { rows, units } = this.#state
    const items = rows.itemCount(order)
    // A SALE names every item that was held: what was not sold of it went back.
    const isNamed = (i: number): boolean => sale.quantities[i] > 0 || (sale.kind === 'SALE' && units[i] > 0)
    let named = 0
    for (let i = 0; i < items; i++) if (isNamed(i)) named++
    this.#order('ORDER.CONFIRMED', order, at, (sale.payment === null ? 1 : 2) + named * 4)
    this.#journal.word(sale.kind)
    if (sale.payment !== null) this.#journal.bytes(sale.payment)
    for (let i = 0; i < items; i++) if (isNamed(i)) this.#item(this.#state.skuOf(order, i), sale.quantities[i])
  }

  orderReleased(order: number, at: number, change: PartialChange): void {
    this.#order('ORDER.RELEASED', order, at, 3 + this.#named(order, change.quantities) * 4)
    this.#change(change)
    this.#items(order, change.quantities)
  }

  orderExpired(order: number): void {
    const { chosen, rows } = this.#state
    this.#order('ORDER.EXPIRED', order, rows.at(order), this.#named(order, chosen) * 4)
    this.#items(order, chosen)
  }

  orderExtended(order: number, at: number): void {
    this.#order('ORDER.EXTENDED', order, at, 1)
    this.#journal.integer(this.#state.rows.deadline(order))
  }

  orderReturned(order: number, at: number, change: PartialChange & { readonly isNoRestock: boolean }): void {
    this.#order('ORDER.RETURNED', order, at, 4 + this.#named(order, change.quantities) * 4)
    this.#change(change)
    this.#journal.word(change.isNoRestock ? 'NORESTOCK' : 'RESTOCK')
    this.#items(order, change.quantities)
  }

  paymentOrphaned(order: number, at: number, payment: { ref: Uint8Array; isUnknown: boolean }): void {
    this.#order('ORDER.PAYMENT_ORPHANED', order, at, 2)
    this.#journal.bytes(payment.ref)
    this.#journal.word(payment.isUnknown ? 'UNKNOWN' : 'KNOWN')
  }

  tombstone(order: number, at: number, reason: Uint8Array | null): void {
    const journal = this.#journal
    journal.begin(4)
    journal.word('ORDER.TOMBSTONE')
    this.#id(order)
    journal.integer(at)
    journal.bytes(reason ?? NOTHING)
  }

  holdsGraced(at: number, until: number): void {
    const journal = this.#journal
    journal.begin(3)
    journal.word('ORDER.GRACED')
    journal.integer(at)
    journal.integer(until)
  }

  ordersTrimmed(at: number, count: { closed: number; confirmed: number }): void {
    const journal = this.#journal
    journal.begin(4)
    journal.word('ORDER.TRIMMED')
    journal.integer(at)
    journal.integer(count.closed)
    journal.integer(count.confirmed)
  }

  skuCreated(sku: Sku, at: number): void {
    this.#sku('STOCK.CREATED', sku, at, 11)
    this.#journal.integer(sku.origin.total)
    writeTerms(this.#journal, sku.terms)
  }

  skuAltered(sku: Sku, at: number): void {
    this.#sku('STOCK.ALTERED', sku, at, 11)
    this.#journal.integer(sku.available)
    writeTerms(this.#journal, sku.terms)
  }

  skuAdjusted(sku: Sku, at: number, adjustment: Adjustment): void {
    const journal = this.#journal
    this.#sku('STOCK.ADJUSTED', sku, at, 7)
    journal.bytes(Buffer.from(adjustment.id, 'latin1'))
    journal.integer(adjustment.asked)
    journal.integer(adjustment.applied)
    journal.bytes(Buffer.from(adjustment.reason, 'latin1'))
    journal.bytes(Buffer.from(adjustment.ref, 'latin1'))
    journal.integer(sku.total)
    journal.integer(sku.available)
  }

  skuDropped(sku: Sku, at: number): void {
    this.#sku('STOCK.DROPPED', sku, at, 0)
  }

  soldOut(sku: Sku, at: number): void {
    this.#sellable('STOCK.SOLDOUT', sku, at)
  }

  availableAgain(sku: Sku, at: number): void {
    this.#sellable('STOCK.AVAILABLE', sku, at)
  }

  #sellable(name: string, sku: Sku, at: number): void {
    this.#sku(name, sku, at, 2)
    this.#journal.integer(sku.sellable)
    this.#journal.integer(sku.version)
  }

  /** `name sku generation at pseq`, and `more` arguments that follow. */
  #sku(name: string, sku: Sku, at: number, more: number): void {
    const journal = this.#journal
    journal.begin(5 + more)
    journal.word(name)
    journal.bytes(sku.name)
    journal.integer(sku.generation)
    journal.integer(at)
    journal.integer(this.#outbox.next(Outbox.partOf(sku.name, 0, sku.name.length)))
  }

  /** `name id at version pseq`, and `more` arguments that follow. */
  #order(name: string, order: number, at: number, more: number): void {
    const journal = this.#journal
    journal.begin(5 + more)
    journal.word(name)
    this.#id(order)
    journal.integer(at)
    journal.integer(this.#state.rows.version(order))
    journal.integer(this.#outbox.next(this.#partOf(order)))
  }

  #id(order: number): void {
    const { rows } = this.#state
    const start = rows.idStart(order)
    this.#journal.bytes(rows.bytes(order), start, start + rows.idLength(order))
  }

  #change(change: PartialChange): void {
    this.#journal.word(change.isWhole ? 'WHOLE' : 'PART')
    this.#journal.bytes(change.operation ?? NOTHING)
    this.#journal.bytes(change.reason ?? NOTHING)
  }

  #named(order: number, quantities: Int32Array): number {
    let named = 0
    for (let i = this.#state.rows.itemCount(order) - 1; i >= 0; i--) if (quantities[i] > 0) named++
    return named
  }

  #items(order: number, quantities: Int32Array): void {
    const items = this.#state.rows.itemCount(order)
    for (let i = 0; i < items; i++) if (quantities[i] > 0) this.#item(this.#state.skuOf(order, i), quantities[i])
  }

  #item(sku: Sku, quantity: number): void {
    const journal = this.#journal
    journal.bytes(sku.name)
    journal.integer(sku.generation)
    journal.integer(quantity)
    journal.integer(sku.available)
  }

  #partOf(order: number): number {
    return partOfOrder(this.#state, order)
  }
}

/** The outbox part of an order: its buyer's, or its own. */
export function partOfOrder(state: LedgerState, order: number): number {
  const { rows } = state
  const bytes = rows.bytes(order)
  const start = rows.idStart(order)
  const end = start + rows.idLength(order)
  let open = start
  while (open < end && bytes[open] !== 123) open++
  let close = open + 1
  while (close < end && bytes[close] !== 125) close++
  return close >= end || close === open + 1 ? Outbox.partOf(bytes, start, end) : Outbox.partOf(bytes, open + 1, close)
}
