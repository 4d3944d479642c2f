// Writes the facts of the ledger as records, each named after its event, with its instant, the number of its event in the outbox (pseq)
// and the balances after it. The event is made from its record alone (events/event-decoder.ts): whatever it tells stands there.
//
//   ORDER.RESERVED          id at holdMs pseq [made [ref]] item...       made: `*` if the server made the id, else `-`
//   ORDER.CONFIRMED         id at version pseq kind deadline [payment] [orderRef reason] item...
//                           kind: SALE (of all that was held), PART (of some of it), LATE, ADOPTED; PAID or PAID* (made): a new order
//   ORDER.RELEASED          id at version pseq state deadline extent operation orderRef reason item...     extent: WHOLE (no ITEMS) or PART
//   ORDER.EXPIRED           id at version pseq [orderRef reason] item...  at: the deadline
//   ORDER.EXTENDED          id at version pseq deadline [orderRef reason]
//   ORDER.RETURNED          id at version pseq state deadline extent operation orderRef reason RESTOCK|NORESTOCK item...
//   ORDER.PAYMENT_ORPHANED  id at version pseq state deadline payment reason KNOWN|UNKNOWN      UNKNOWN: leaves a tombstone
//   ORDER.TOMBSTONE         id at reason                                 no event
//   ORDER.GRACED            at until                                     no event
//   ORDER.TRIMMED           at closed confirmed                          no event: how many of each kind were forgotten, longest kept first
//   STOCK.CREATED           sku generation at pseq total hold maxhold limit maxqty safety start end price seller OPEN|PAUSED
//   STOCK.ALTERED           sku generation at pseq balances version hold maxhold ... as above
//   STOCK.ADJUSTED          sku generation at pseq balances version id asked applied reason ref
//   STOCK.DROPPED           sku generation at pseq balances version      the last ones
//   STOCK.SOLDOUT, STOCK.AVAILABLE   sku generation at pseq balances version sellable
//   AUDIT.MARK              at number pseq (of each part) [sku generation balances]...
//
// item = sku generation quantity balances (balances.ts); of a PART the quantity is `sold held`. `state`, `deadline`, `orderRef` and
// `reason` are the order's after the record, empty if it has none. Optional arguments are told by the number of arguments modulo 4, so
// that an ordinary reservation carries none.

import type { Adjustment, LedgerFacts, PartialChange, SaleKind } from '../../stock/ledger-facts.ts'
import type { LedgerState } from '../../stock/ledger-state.ts'
import { OrderExtra } from '../../stock/order-extra.ts'
import type { OrderRequest } from '../../stock/order-request.ts'
import type { Sku } from '../../stock/sku.ts'
import { ORDER_STATES } from '../../stock/state.ts'
import type { Engine } from '../engine.ts'
import type { Journal } from '../journal.ts'
import { BOOKING, INVENTORY, type Notices } from '../notices.ts'
import { Outbox, PARTS } from '../outbox.ts'
import { writeBalances, writeItemBalances } from './balances.ts'
import { writeTerms } from './sku-terms.ts'

const NOTHING = Buffer.alloc(0)
/** SKUs are keys of this one. */
const STOCK_DATABASE = 0

export class StockRecorder implements LedgerFacts {
  readonly #state: LedgerState
  readonly #journal: Journal
  readonly #outbox: Outbox
  readonly #notices: Notices

  constructor(state: LedgerState, { journal, outbox, notices }: Pick<Engine, 'journal' | 'outbox' | 'notices'>) {
    this.#state = state
    this.#journal = journal
    this.#outbox = outbox
    this.#notices = notices
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
    this.#newItems(order, request)
    this.#announce(order, 'order.reserved')
  }

  orderPaid(order: number, request: OrderRequest): void {
    const journal = this.#journal
    const { id, ref, count } = request
    journal.begin(7 + (ref.isPresent ? 1 : 0) + count * 4)
    journal.word('ORDER.CONFIRMED')
    journal.bytes(id.bytes, id.start, id.end)
    journal.integer(request.at)
    journal.integer(1)
    journal.integer(this.#outbox.next(this.#partOf(order)))
    journal.word(request.isMade ? 'PAID*' : 'PAID')
    journal.integer(0)
    if (ref.isPresent) journal.bytes(ref.bytes, ref.start, ref.end)
    this.#newItems(order, request)
    this.#announce(order, 'order.confirmed')
  }

  orderConfirmed(order: number, at: number, sale: { kind: SaleKind; payment: Uint8Array | null; quantities: Int32Array }): void {
    const journal = this.#journal
    const { rows, units } = this.#state
    const { payment, quantities } = sale
    const items = rows.itemCount(order)
    let isPart = false
    let named = 0
    for (let i = 0; i < items; i++) {
      if (sale.kind === 'SALE' && quantities[i] !== units[i]) isPart = true
      if (quantities[i] > 0 || (sale.kind === 'SALE' && units[i] > 0)) named++
    }
    // With a payment, and without a reason, the order's own two say nothing more.
    const isOwn = payment === null ? OrderExtra.isPresent(rows, order) : OrderExtra.hasReason(rows, order)
    this.#order('ORDER.CONFIRMED', order, at, 2 + (payment === null ? 0 : 1) + (isOwn ? 2 : 0) + named * 4)
    journal.word(isPart ? 'PART' : sale.kind)
    journal.integer(rows.deadline(order))
    if (payment !== null) journal.bytes(payment)
    if (isOwn) this.#refAndReason(order)
    for (let i = 0; i < items; i++) {
      if (quantities[i] === 0 && !(isPart && units[i] > 0)) continue
      const sku = this.#state.skuOf(order, i)
      journal.bytes(sku.name)
      journal.integer(sku.generation)
      if (isPart) journal.pairOfNumbers(quantities[i], units[i])
      else journal.integer(quantities[i])
      writeItemBalances(journal, sku, sku.tagOf(rows.sequence(order)))
    }
    this.#announce(order, 'order.confirmed', isPart ? null : quantities)
  }

  orderReleased(order: number, at: number, change: PartialChange): void {
    this.#order('ORDER.RELEASED', order, at, 6 + this.#named(order, change.quantities) * 4)
    this.#change(order, change)
    this.#items(order, change.quantities)
    this.#announce(order, 'order.released', change.quantities)
  }

  orderExpired(order: number): void {
    const { chosen, rows } = this.#state
    const isOwn = OrderExtra.isPresent(rows, order)
    this.#order('ORDER.EXPIRED', order, rows.at(order), (isOwn ? 2 : 0) + this.#named(order, chosen) * 4)
    if (isOwn) this.#refAndReason(order)
    this.#items(order, chosen)
    this.#announce(order, 'order.expired', chosen)
  }

  orderExtended(order: number, at: number): void {
    const { rows } = this.#state
    const isOwn = OrderExtra.isPresent(rows, order)
    this.#order('ORDER.EXTENDED', order, at, isOwn ? 3 : 1)
    this.#journal.integer(rows.deadline(order))
    if (isOwn) this.#refAndReason(order)
    this.#announce(order, 'order.extended')
  }

  orderReturned(order: number, at: number, change: PartialChange & { readonly isNoRestock: boolean }): void {
    this.#order('ORDER.RETURNED', order, at, 7 + this.#named(order, change.quantities) * 4)
    this.#change(order, change)
    this.#journal.word(change.isNoRestock ? 'NORESTOCK' : 'RESTOCK')
    this.#items(order, change.quantities)
    this.#announce(order, 'order.returned', change.quantities)
  }

  paymentOrphaned(order: number, at: number, payment: { ref: Uint8Array; isUnknown: boolean }): void {
    this.#order('ORDER.PAYMENT_ORPHANED', order, at, 5)
    this.#stateAndDeadline(order)
    this.#journal.bytes(payment.ref)
    this.#journal.bytes(this.#state.extraOf(order)?.reason ?? NOTHING)
    this.#journal.word(payment.isUnknown ? 'UNKNOWN' : 'KNOWN')
    this.#announce(order, 'order.payment_orphaned')
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
    this.#announceSku(sku, 'stock.created')
  }

  skuAltered(sku: Sku, at: number): void {
    this.#changedSku('STOCK.ALTERED', sku, at, 10)
    writeTerms(this.#journal, sku.terms)
    this.#announceSku(sku, 'stock.altered')
  }

  skuAdjusted(sku: Sku, at: number, adjustment: Adjustment): void {
    const journal = this.#journal
    this.#changedSku('STOCK.ADJUSTED', sku, at, 5)
    journal.bytes(Buffer.from(adjustment.id, 'latin1'))
    journal.integer(adjustment.asked)
    journal.integer(adjustment.applied)
    journal.bytes(Buffer.from(adjustment.reason, 'latin1'))
    journal.bytes(Buffer.from(adjustment.ref, 'latin1'))
    this.#announceSku(sku, 'stock.adjusted')
  }

  skuDropped(sku: Sku, at: number): void {
    this.#changedSku('STOCK.DROPPED', sku, at, 0)
    this.#announceSku(sku, 'stock.dropped')
  }

  soldOut(sku: Sku, at: number): void {
    this.#changedSku('STOCK.SOLDOUT', sku, at, 1)
    this.#journal.integer(sku.sellable)
    this.#announceSku(sku, 'stock.soldout')
    this.#notices.onSale?.('soldout', sku.name, sku.version)
  }

  availableAgain(sku: Sku, at: number): void {
    this.#changedSku('STOCK.AVAILABLE', sku, at, 1)
    this.#journal.integer(sku.sellable)
    this.#announceSku(sku, 'stock.available')
    this.#notices.onSale?.('available', sku.name, sku.version)
  }

  /** Tells the numbers of `limit` SKUs, at most, that changed since a mark told them: nothing if there are none. @returns how many are left. */
  auditMark(at: number, limit: number): number {
    const state = this.#state
    const journal = this.#journal
    const count = Math.min(limit, state.unmarked.size)
    if (count === 0) return 0
    journal.begin(3 + PARTS + count * 3)
    journal.word('AUDIT.MARK')
    journal.integer(at)
    journal.integer(++this.#outbox.mark)
    for (let part = 0; part < PARTS; part++) journal.integer(this.#outbox.next(part))
    let left = count
    for (const sku of state.unmarked) {
      if (left-- === 0) break
      journal.bytes(sku.name)
      journal.integer(sku.generation)
      writeBalances(journal, sku)
      state.marked(sku)
    }
    return state.unmarked.size
  }

  /** `name sku generation at pseq balances version`, and `more` arguments that follow. */
  #changedSku(name: string, sku: Sku, at: number, more: number): void {
    this.#sku(name, sku, at, 2 + more)
    writeBalances(this.#journal, sku)
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

  #stateAndDeadline(order: number): void {
    const { rows } = this.#state
    this.#journal.word(ORDER_STATES[rows.state(order)])
    this.#journal.integer(rows.deadline(order))
  }

  #refAndReason(order: number): void {
    const extra = this.#state.extraOf(order)
    this.#journal.bytes(extra?.ref ?? NOTHING)
    this.#journal.bytes(extra?.reason ?? NOTHING)
  }

  #change(order: number, change: PartialChange): void {
    this.#stateAndDeadline(order)
    this.#journal.word(change.isWhole ? 'WHOLE' : 'PART')
    this.#journal.bytes(change.operation ?? NOTHING)
    this.#refAndReason(order)
  }

  #named(order: number, quantities: Int32Array): number {
    let named = 0
    for (let i = this.#state.rows.itemCount(order) - 1; i >= 0; i--) if (quantities[i] > 0) named++
    return named
  }

  #items(order: number, quantities: Int32Array): void {
    const journal = this.#journal
    const { rows } = this.#state
    const items = rows.itemCount(order)
    const sequence = rows.sequence(order)
    for (let i = 0; i < items; i++) {
      if (quantities[i] === 0) continue
      const sku = this.#state.skuOf(order, i)
      journal.bytes(sku.name)
      journal.integer(sku.generation)
      journal.integer(quantities[i])
      writeItemBalances(journal, sku, sku.tagOf(sequence))
    }
  }

  #newItems(order: number, request: OrderRequest): void {
    const journal = this.#journal
    for (let i = 0; i < request.count; i++) {
      const sku = this.#state.skuOf(order, i)
      journal.bytes(sku.name)
      journal.integer(sku.generation)
      journal.integer(request.quantity[i])
      journal.balances(sku.available, sku.reserved, sku.sold, sku.tag.bytes)
    }
  }

  /** The event of an order is one of each of its SKUs; of those with a quantity, if quantities are given. */
  #announce(order: number, event: string, quantities: Int32Array | null = null): void {
    if ((this.#notices.mask & BOOKING) === 0) return
    const items = this.#state.rows.itemCount(order)
    for (let i = 0; i < items; i++) {
      if (quantities !== null && quantities[i] === 0) continue
      const { name } = this.#state.skuOf(order, i)
      this.#notices.tell(BOOKING, event, STOCK_DATABASE, name, 0, name.length)
    }
  }

  #announceSku({ name }: Sku, event: string): void {
    this.#notices.tell(INVENTORY, event, STOCK_DATABASE, name, 0, name.length)
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
