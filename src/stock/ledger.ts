// The stock ledger: who gets which units, and when they come back. It judges commands in the order that COMMANDS.md section 0 lays down,
// makes the moves (ledger-state.ts) and tells the facts (ledger-facts.ts).
//
// Each method checks everything first and then changes everything: the line between them is marked. A refusal changes nothing, tells
// nothing and allocates nothing: in a flash sale nearly every answer is "no". The answer is in `outcome`, valid until the next command.
//
// `now` never goes back, and `advance(now)` has run before any command of that instant: what is due has expired.

import { hashBytes, mix } from '../base/hash.ts'
import type { Adjustment, LedgerFacts } from './ledger-facts.ts'
import { type LedgerIdentity, LedgerState } from './ledger-state.ts'
import { OrderExtra, OperationKind, sameBytes, type Operation } from './order-extra.ts'
import { ITEMS_MAX, ORDER_ID_BYTES_MAX, OrderRequest, type Slice } from './order-request.ts'
import { AMENDED_VERSION_MAX, PAID_FLAG, PAYMENT_FLAG, TOMBSTONE_FLAG } from './order-rows.ts'
import { NO_KEY, type SkuNames } from './sku-names.ts'
import { SkuSums } from './sku-sums.ts'
import { sameTerms, type Sku, type SkuOrigin, type SkuTerms } from './sku.ts'
import { CAPPED, CLAMPED, LATE, NOTHING, ORPHANED, OrderState, Outcome, PARTIAL, REPLAY, Status, TOMBSTONE } from './state.ts'

/** Orders that one `advance` forgets at most: about half a millisecond. */
const TRIMMED_PER_ADVANCE = 512
/** Payments that achieved nothing, per order: more is not a shop but an attack. */
const ORPHANS_MAX = 1000
const TOTAL_MAX = Number.MAX_SAFE_INTEGER

const DROPPED = Buffer.from('dropped', 'latin1')
const UNKNOWN_ORDER = Buffer.from('unknown_order', 'latin1')

/** Options that may change at run time: they are read when they are needed. */
export interface LedgerOptions {
  readonly orderRetentionMs: number
  readonly returnWindowMs: number
  readonly restartGraceMs: number
}

export class Ledger {
  readonly state: LedgerState
  readonly outcome = new Outcome()
  /** What the command at hand asks: commands fill it and pass it to the methods below. */
  readonly request = new OrderRequest()
  readonly #options: LedgerOptions
  readonly #facts: LedgerFacts
  /** SKUs of the items of the RESERVE at hand. */
  readonly #skus: Sku[] = []
  readonly #madeId = Buffer.allocUnsafeSlow(ORDER_ID_BYTES_MAX)
  /** Memory is over its limit: new orders are refused. */
  outOfMemory = false
  /** The outbox is over its limit: likewise. */
  backlogFull = false
  /** Events up to this instant are stored downstream: orders that changed later are not forgotten. Infinity: the log is the store. */
  storedThrough = Infinity

  constructor(parts: { options: LedgerOptions; identity: LedgerIdentity; names: SkuNames; facts: (state: LedgerState) => LedgerFacts }) {
    this.#options = parts.options
    this.state = new LedgerState(parts.identity, parts.names)
    this.#facts = parts.facts(this.state)
  }

  /** True while there is a SKU. */
  get hasStock(): boolean {
    return this.state.skuCount > 0
  }

  /** Forgets SKUs and orders; the caller writes the record. */
  flush(): void {
    this.state.clear()
  }

  /** Over all SKUs: O(SKUs). */
  sums(): SkuSums {
    const { skus, gone } = this.state
    const sums = Object.assign(new SkuSums(), gone)
    for (const sku of skus) {
      if (sku === null || sku.isDropped) continue
      sums.addUnits(sku)
      sums.addMoves(sku)
    }
    return sums
  }

  /** What of `usedBytes` lies in arenas, where JavaScript's own count of memory does not see it. */
  get hiddenBytes(): number {
    const { rows, buyers } = this.state
    return rows.arena.hiddenBytes + buyers.arena.hiddenBytes
  }

  /** Bytes of memory that were let go, ever, and that the garbage collector does not know the size of. */
  get abandonedBytes(): number {
    const { rows, buyers } = this.state
    return rows.arena.abandonedBytes + buyers.arena.abandonedBytes
  }

  /** Bytes of memory in use by orders and buyers. SKUs are few, and on the heap. */
  get usedBytes(): number {
    const { rows, buyers } = this.state
    return rows.arena.usedBytes + rows.table.indexBytes + buyers.arena.usedBytes + buyers.table.indexBytes
  }

  /** For INFO. */
  counts(): Record<string, number> {
    const { state } = this
    return {
      stock_skus: state.skuCount,
      stock_orders: state.rows.table.size,
      stock_orders_open: state.openOrders,
      stock_orders_confirmed: state.confirmed.size,
      stock_orders_finished: state.closed.size,
      stock_buyers: state.buyers.table.size,
      stock_used_bytes: this.usedBytes,
    }
  }

  // RESERVE

  reserve(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const { id, count } = request
    if (!request.isMade) {
      request.hash = rows.table.hash(id.bytes, id.start, id.end)
      const known = rows.find(id.bytes, id.start, id.end, request.hash)
      if (known !== 0) return this.#reserveAgain(known, request)
    }
    if (this.outOfMemory) return outcome.set(Status.OUT_OF_MEMORY, 0, NOTHING)
    if (this.backlogFull) return outcome.set(Status.BACKLOG, 0, NOTHING)

    const skus = this.#skus
    for (let i = 0; i < count; i++) {
      const number = state.names.find(request.skuBytes, request.skuStart[i], request.skuEnd[i])
      if (number < 0) return this.#refuse(request, i, number === NO_KEY ? Status.NO_SKU : Status.WRONG_TYPE)
      skus[i] = state.skus[number] as Sku
    }
    for (let i = 0; i < count; i++) {
      const sku = skus[i]
      if (sku.isOpen(now)) continue
      if (sku.isFrozen) return this.#refuse(request, i, Status.FROZEN)
      sku.refusedClosed++
      this.#refuse(request, i, Status.CLOSED)
      outcome.when = sku.terms.start > now ? sku.terms.start : 0
      return Status.CLOSED
    }
    for (let i = 0; i < count; i++) {
      const sku = skus[i]
      if (request.quantity[i] <= sku.terms.maxQuantity) continue
      sku.refusedLimit++
      outcome.set(Status.LIMIT, 0, NOTHING)
      outcome.available = sku.terms.maxQuantity
      return Status.LIMIT
    }
    const limited = this.#refuseLimited(request, count)
    if (limited !== Status.OK) return limited
    let held = -1
    for (let i = 0; i < count; i++) {
      const sku = skus[i]
      const quantity = request.quantity[i]
      if (sku.available - sku.terms.safety >= quantity) continue
      if (sku.available + sku.reserved - sku.terms.safety < quantity) {
        sku.refusedSoldout++
        return this.#refuseShort(request, i, Status.SOLDOUT)
      }
      if (held === -1) held = i
    }
    if (held !== -1) {
      skus[held].refusedHeld++
      return this.#refuseShort(request, held, Status.HELD)
    }

    // Decided. From here on nothing may fail.
    let holdSeconds = Infinity
    let maxHoldSeconds = Infinity
    for (let i = 0; i < count; i++) {
      const { terms } = skus[i]
      if (terms.holdSeconds < holdSeconds) holdSeconds = terms.holdSeconds
      if (terms.maxHoldSeconds < maxHoldSeconds) maxHoldSeconds = terms.maxHoldSeconds
    }
    const holdMs = Math.min(request.durationMs !== 0 ? request.durationMs : holdSeconds * 1000, maxHoldSeconds * 1000)
    request.at = now
    request.deadline = request.isPaid ? 0 : now + holdMs
    if (request.isMade) this.#makeId(request, now)
    const order = state.openOrder(request, skus)
    if (request.isPaid) this.#facts.orderPaid(order, request)
    else this.#facts.orderReserved(order, request)
    for (let i = 0; i < count; i++) this.#tellIfSoldOut(skus[i], now)

    outcome.status = Status.OK
    outcome.when = request.deadline
    outcome.available = skus[0].available
    outcome.reserved = skus[0].reserved
    if (request.isMade) outcome.setDetail(id.bytes, id.start, id.end)
    else outcome.setDetail(NOTHING, 0, 0)
    return Status.OK
  }

  /** The id is known: a repetition, a conflict, or the state that the order has reached. */
  #reserveAgain(order: number, request: OrderRequest): Status {
    const { outcome, state } = this
    const { rows } = state
    const orderState = rows.state(order) as OrderState
    if (rows.has(order, TOMBSTONE_FLAG)) return outcome.set(Status.RELEASED, rows.at(order), NOTHING)
    if (rows.has(order, PAID_FLAG) !== request.isPaid || rows.itemCount(order) !== request.count)
      return outcome.set(Status.CONFLICT, 0, NOTHING)
    for (let i = 0; i < request.count; i++) {
      const item = this.#itemOf(order, request, i)
      if (item === -1 || rows.itemQuantity(order, item) !== request.quantity[i]) return outcome.set(Status.CONFLICT, 0, NOTHING)
    }
    const isInForce = orderState === OrderState.RESERVED || (orderState === OrderState.CONFIRMED && request.isPaid)
    if (!isInForce) return outcome.set(orderState, rows.at(order), NOTHING)
    outcome.set(Status.OK, request.isPaid ? 0 : rows.deadline(order), REPLAY)
    const first = state.skuOf(order, this.#itemOf(order, request, 0))
    if (!first.isDropped) {
      outcome.available = first.available
      outcome.reserved = first.reserved
    }
    return Status.OK
  }

  /** LIMIT, by the buyer's use counts. */
  #refuseLimited(request: OrderRequest, count: number): Status {
    const { outcome, state } = this
    for (let i = 0; i < count; i++) {
      const sku = this.#skus[i]
      const { limit } = sku.terms
      if (limit === 0) continue
      const { bytes, start, end, isPresent } = request.buyer
      if (!isPresent) return outcome.set(Status.NO_BUYER, 0, NOTHING)
      if (request.buyerRow === -1) {
        request.buyerHash = state.buyers.hash(bytes, start, end)
        request.buyerRow = state.buyers.find(bytes, start, end, request.buyerHash)
      }
      const buyer = request.buyerRow
      const used = buyer === 0 ? 0 : state.buyers.used(buyer, sku.number)
      if (used + request.quantity[i] <= limit) continue
      sku.refusedLimit++
      this.#nameOpenOrder(buyer, sku)
      outcome.status = Status.LIMIT
      outcome.available = limit
      outcome.reserved = used
      return Status.LIMIT
    }
    return Status.OK
  }

  /** `when` and `detail` of a LIMIT: the buyer's open order of this SKU that ends first. */
  #nameOpenOrder(buyer: number, sku: Sku): void {
    const { outcome, state } = this
    const { rows, buyers } = state
    outcome.set(Status.LIMIT, 0, NOTHING)
    let open = buyer === 0 ? 0 : buyers.openOrders(buyer)
    let named = 0
    for (let order = open === 0 ? 0 : buyers.newest(buyer); open > 0; order = buyers.older(order)) {
      if (rows.state(order) !== OrderState.RESERVED) continue
      open--
      if (!this.#holdsUnitsOf(order, sku)) continue
      // Newest first: of equal deadlines the last one seen is the earlier reservation.
      if (named === 0 || rows.deadline(order) <= rows.deadline(named)) named = order
    }
    if (named === 0) return
    outcome.when = rows.deadline(named)
    const start = rows.idStart(named)
    outcome.setDetail(rows.bytes(named), start, start + rows.idLength(named))
  }

  #holdsUnitsOf(order: number, sku: Sku): boolean {
    const { state } = this
    for (let i = state.rows.itemCount(order) - 1; i >= 0; i--) {
      if (state.rows.itemSku(order, i) !== sku.number) continue
      state.readUnits(order, state.extraOf(order))
      return state.units[i] > 0
    }
    return false
  }

  #refuse(request: OrderRequest, item: number, status: Status): Status {
    const { outcome } = this
    outcome.set(status, 0, NOTHING)
    outcome.setDetail(request.skuBytes, request.skuStart[item], request.skuEnd[item])
    return status
  }

  #refuseShort(request: OrderRequest, item: number, status: Status): Status {
    const sku = this.#skus[item]
    this.#refuse(request, item, status)
    this.outcome.when = status === Status.HELD ? sku.firstDeadline : 0
    this.outcome.available = sku.available
    this.outcome.reserved = sku.reserved
    return status
  }

  #makeId(request: OrderRequest, now: number): void {
    const { rows, ids } = this.state
    const { bytes, start, end } = request.id
    const made = this.#madeId
    const prefix = end - start - 1
    for (let i = 0; i < prefix; i++) made[i] = bytes[start + i]
    for (;;) {
      const length = ids.make(made, prefix, now)
      request.hash = rows.table.hash(made, 0, length)
      // A client may have taken it: ids are bytes that anybody can write.
      if (rows.find(made, 0, length, request.hash) !== 0) continue
      request.id.set(made, 0, length)
      return
    }
  }

  // CONFIRM

  confirm(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const order = this.#find(request)
    if (order === 0) return this.#confirmUnknown(request, now)
    const extra = state.extraOf(order)
    switch (rows.state(order) as OrderState) {
      case OrderState.RESERVED: {
        state.readUnits(order, extra)
        if (!this.#choose(order, request)) return outcome.set(Status.QUANTITY, 0, NOTHING)
        const payment = request.ref.isPresent ? request.ref.copy() : null
        const items = rows.itemCount(order)
        let isPartial = false
        for (let i = 0; i < items; i++) if (state.chosen[i] !== state.units[i]) isPartial = true

        state.sell(order, extra, { at: now, payment })
        this.#facts.orderConfirmed(order, now, { kind: 'SALE', payment, quantities: state.chosen })
        for (let i = 0; i < items; i++) this.#tellIfAvailable(state.skuOf(order, i), state.units[i] - state.chosen[i], now)
        return outcome.set(Status.OK, now, isPartial ? PARTIAL : NOTHING)
      }
      case OrderState.CONFIRMED:
        return this.#confirmAgain(order, extra ?? new OrderExtra(), request, now)
      case OrderState.RETURNED: {
        const payment = this.#paymentOf(order, extra)
        if (request.ref.isPresent && payment !== null && sameSlice(payment, request.ref)) {
          if (!this.#isWhatWasSold(order, extra as OrderExtra, request)) return outcome.set(Status.CONFLICT, 0, NOTHING)
          return outcome.set(Status.RETURNED, rows.at(order), NOTHING)
        }
        return this.#orphan(order, request, now) || outcome.set(Status.RETURNED, rows.at(order), NOTHING)
      }
      case OrderState.RELEASED:
        return this.#orphan(order, request, now) || outcome.set(Status.RELEASED, rows.at(order), NOTHING)
      case OrderState.EXPIRED:
        if (request.isLate) return this.#confirmLate(order, extra, request, now)
        return this.#orphan(order, request, now) || outcome.set(Status.EXPIRED, rows.at(order), NOTHING)
    }
  }

  #confirmAgain(order: number, extra: OrderExtra, request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const { ref } = request
    const soldAt = rows.at(order)
    if (!ref.isPresent) return outcome.set(Status.OK, soldAt, REPLAY)
    const payment = this.#paymentOf(order, extra)
    const isSame = this.#isWhatWasSold(order, extra, request)
    if (payment !== null && sameSlice(payment, ref))
      return outcome.set(isSame ? Status.OK : Status.CONFLICT, isSame ? soldAt : 0, isSame ? REPLAY : NOTHING)
    if (payment === null && isSame && !extra.hasOrphan(ref.bytes, ref.start, ref.end)) {
      const adopted = ref.copy()
      for (let i = rows.itemCount(order) - 1; i >= 0; i--) state.chosen[i] = state.soldAtFirst(order, i, extra)
      state.adopt(order, adopted, now)
      this.#facts.orderConfirmed(order, now, { kind: 'ADOPTED', payment: adopted, quantities: state.chosen })
      return outcome.set(Status.OK, soldAt, REPLAY)
    }
    return this.#orphan(order, request, now) || outcome.set(Status.CONFIRMED, soldAt, payment ?? NOTHING)
  }

  #confirmLate(order: number, extra: OrderExtra | null, request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const { ref } = request
    const expiredAt = rows.at(order)
    if (ref.isPresent && extra !== null && extra.hasOrphan(ref.bytes, ref.start, ref.end))
      return outcome.set(Status.EXPIRED, expiredAt, ORPHANED)
    state.readUnits(order, extra)
    if (!this.#choose(order, request)) return outcome.set(Status.QUANTITY, 0, NOTHING)
    // The first item in the order given is reported: that of the ITEMS, if there are any.
    const items = rows.itemCount(order)
    const asked = request.count === 0 ? items : request.count
    const buyer = state.buyerOf(order)
    for (let k = 0; k < asked; k++) {
      const i = request.count === 0 ? k : this.#itemOf(order, request, k)
      const sku = state.skuOf(order, i)
      const { limit } = sku.terms
      if (state.chosen[i] === 0 || sku.isDropped || limit === 0) continue
      if (buyer === 0) return outcome.set(Status.NO_BUYER, 0, NOTHING)
      if (state.buyers.used(buyer, sku.number) + state.chosen[i] <= limit) continue
      const failed = this.#orphan(order, request, now)
      if (failed !== Status.OK) return failed
      this.#nameOpenOrder(buyer, sku)
      outcome.when = 0
      return Status.LIMIT
    }
    let held = -1
    for (let k = 0; k < asked; k++) {
      const i = request.count === 0 ? k : this.#itemOf(order, request, k)
      const quantity = state.chosen[i]
      const sku = state.skuOf(order, i)
      if (quantity === 0 || (!sku.isDropped && sku.sellable >= quantity)) continue
      if (sku.isDropped || sku.available + sku.reserved - sku.terms.safety < quantity) {
        return this.#orphan(order, request, now) || outcome.set(Status.SOLDOUT, 0, sku.name)
      }
      if (held === -1) held = i
    }
    if (held !== -1) {
      const sku = state.skuOf(order, held)
      return outcome.set(Status.HELD, sku.firstDeadline, sku.name)
    }

    // Decided. From here on nothing may fail.
    const payment = ref.isPresent ? ref.copy() : null
    state.revive(order, extra, { at: now, payment })
    this.#facts.orderConfirmed(order, now, { kind: 'LATE', payment, quantities: state.chosen })
    for (let i = 0; i < items; i++) if (state.chosen[i] !== 0) this.#tellIfSoldOutBy(state.skuOf(order, i), state.chosen[i], now)
    return outcome.set(Status.OK, now, LATE)
  }

  /** A payment for an id that nobody knows leaves a tombstone; without one there is nothing to remember. */
  #confirmUnknown(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    if (request.ref.isPresent) {
      if (this.outOfMemory) return outcome.set(Status.OUT_OF_MEMORY, 0, NOTHING)
      const order = state.orphanUnknown(request, now, UNKNOWN_ORDER)
      this.#facts.paymentOrphaned(order, now, { ref: request.ref.copy(), isUnknown: true })
    }
    return outcome.set(Status.UNKNOWN, 0, NOTHING)
  }

  /** The payment achieved nothing: tells it, once per REF. @returns OK, or the error that stops the command. */
  #orphan(order: number, request: OrderRequest, now: number): Status {
    const { ref } = request
    if (!ref.isPresent) return Status.OK
    const extra = this.state.extraOf(order)
    if (extra !== null && extra.hasOrphan(ref.bytes, ref.start, ref.end)) return Status.OK
    if (extra !== null && extra.orphans.length >= ORPHANS_MAX) return this.outcome.set(Status.TOO_MANY_REFS, 0, NOTHING)
    const copy = ref.copy()
    this.state.orphan(order, copy, now)
    this.#facts.paymentOrphaned(order, now, { ref: copy, isUnknown: false })
    return Status.OK
  }

  /** The REF of the payment that sold the order. */
  #paymentOf(order: number, extra: OrderExtra | null): Uint8Array | null {
    return extra !== null && this.state.rows.has(order, PAYMENT_FLAG) ? extra.ref : null
  }

  /** True if the request has no ITEMS, or exactly those that were sold. */
  #isWhatWasSold(order: number, extra: OrderExtra, request: OrderRequest): boolean {
    if (request.count === 0) return true
    const { state } = this
    if (!this.#choose(order, request, false)) return false
    for (let i = state.rows.itemCount(order) - 1; i >= 0; i--) if (state.chosen[i] !== state.soldAtFirst(order, i, extra)) return false
    return true
  }

  // RELEASE, EXTEND, RETURN

  release(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const order = this.#find(request)
    if (order === 0) {
      if (this.outOfMemory) return outcome.set(Status.OUT_OF_MEMORY, 0, NOTHING)
      const reason = request.reason.isPresent ? request.reason.copy() : null
      this.#facts.tombstone(state.openTombstone(request, now, reason), now, reason)
      return outcome.set(Status.OK, now, TOMBSTONE)
    }
    const extra = state.extraOf(order)
    const earlier = this.#earlierOperation(order, extra, request, OperationKind.RELEASE)
    if (earlier !== null) return earlier
    const orderState = rows.state(order) as OrderState
    if (orderState === OrderState.RELEASED) return outcome.set(Status.OK, rows.at(order), REPLAY)
    if (orderState !== OrderState.RESERVED) return outcome.set(orderState, rows.at(order), NOTHING)
    state.readUnits(order, extra)
    if (!this.#choose(order, request)) return outcome.set(Status.QUANTITY, 0, NOTHING)
    if (rows.version(order) >= AMENDED_VERSION_MAX && request.count > 0) return outcome.set(Status.TOO_MANY_CHANGES, 0, NOTHING)

    const reason = request.reason.isPresent ? request.reason.copy() : null
    return outcome.set(Status.OK, now, this.#release(order, extra, { request, reason, now }) ? NOTHING : PARTIAL)
  }

  /** Gives back chosen[i] units. @returns true if nothing is left and the order is RELEASED. */
  #release(
    order: number,
    extra: OrderExtra | null,
    change: { request: OrderRequest | null; reason: Uint8Array | null; now: number },
  ): boolean {
    const { state } = this
    const { request, reason, now } = change
    const operation = request === null ? null : this.#operationOf(order, request, OperationKind.RELEASE, now)
    const isReleased = state.release(order, extra, { at: now, operation, reason })
    this.#facts.orderReleased(order, now, {
      quantities: state.chosen,
      isWhole: request === null || request.count === 0,
      operation: operation === null ? null : operation.id,
      reason,
    })
    const items = state.rows.itemCount(order)
    for (let i = 0; i < items; i++) this.#tellIfAvailable(state.skuOf(order, i), state.chosen[i], now)
    return isReleased
  }

  extend(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const order = this.#find(request)
    if (order === 0) return outcome.set(Status.UNKNOWN, 0, NOTHING)
    const orderState = rows.state(order) as OrderState
    if (orderState !== OrderState.RESERVED) return outcome.set(orderState, rows.at(order), NOTHING)
    // The cap is that of the SKUs it still holds units of: what went back has no say any more, and its SKU may be gone.
    let maxHoldSeconds = Infinity
    const sequence = rows.sequence(order)
    state.readUnits(order, state.extraOf(order))
    for (let i = rows.itemCount(order) - 1; i >= 0; i--) {
      if (state.units[i] > 0) maxHoldSeconds = Math.min(maxHoldSeconds, state.skuOf(order, i).maxHoldSecondsOf(sequence))
    }
    const cap = rows.created(order) + maxHoldSeconds * 1000
    const wanted = now + request.durationMs
    const deadline = Math.max(rows.deadline(order), Math.min(wanted, cap))
    if (deadline > rows.deadline(order)) {
      if (rows.version(order) >= AMENDED_VERSION_MAX) return outcome.set(Status.TOO_MANY_CHANGES, 0, NOTHING)
      state.extend(order, deadline, now)
      this.#facts.orderExtended(order, now)
    }
    return outcome.set(Status.OK, deadline, deadline < wanted ? CAPPED : NOTHING)
  }

  /** STOCK.RETURN. */
  takeBack(request: OrderRequest, now: number): Status {
    const { outcome, state } = this
    const { rows } = state
    const order = this.#find(request)
    if (order === 0) return outcome.set(Status.UNKNOWN, 0, NOTHING)
    const extra = state.extraOf(order)
    const earlier = this.#earlierOperation(order, extra, request, OperationKind.RETURN)
    if (earlier !== null) return earlier
    const orderState = rows.state(order) as OrderState
    if (orderState === OrderState.RETURNED && !request.operation.isPresent && request.count === 0) {
      return outcome.set(Status.OK, rows.at(order), REPLAY)
    }
    if (orderState !== OrderState.CONFIRMED) {
      return outcome.set(orderState, orderState === OrderState.RESERVED ? rows.created(order) : rows.at(order), NOTHING)
    }
    state.readUnits(order, extra)
    if (!this.#choose(order, request)) return outcome.set(Status.QUANTITY, 0, NOTHING)
    if (rows.version(order) >= AMENDED_VERSION_MAX && request.count > 0) return outcome.set(Status.TOO_MANY_CHANGES, 0, NOTHING)

    const { isNoRestock } = request
    const reason = request.reason.isPresent ? request.reason.copy() : null
    const operation = this.#operationOf(order, request, OperationKind.RETURN, now)
    const isReturned = state.takeBack(order, extra, { at: now, operation, reason, isNoRestock })
    this.#facts.orderReturned(order, now, {
      quantities: state.chosen,
      isWhole: request.count === 0,
      operation: operation === null ? null : operation.id,
      reason,
      isNoRestock,
    })
    const items = rows.itemCount(order)
    for (let i = 0; i < items && !isNoRestock; i++) {
      const sku = state.skuOf(order, i)
      if (!sku.isDropped) this.#tellIfAvailable(sku, state.chosen[i], now)
    }
    return outcome.set(Status.OK, now, isReturned ? NOTHING : PARTIAL)
  }

  /** What to answer if the operation id was used before; null if it is new, or if there is none. */
  #earlierOperation(order: number, extra: OrderExtra | null, request: OrderRequest, kind: OperationKind): Status | null {
    const { operation } = request
    if (!operation.isPresent || extra === null) return null
    const earlier = extra.operation(operation.bytes, operation.start, operation.end)
    if (earlier === undefined) return null
    const isKnown = request.count === 0 || this.#choose(order, request, false)
    const same = this.#operationOf(order, request, kind, 0) as Operation
    const isSame = isKnown && earlier.kind === kind && earlier.digestA === same.digestA && earlier.digestB === same.digestB
    return isSame ? this.outcome.set(Status.OK, earlier.when, REPLAY) : this.outcome.set(Status.OPERATION_CONFLICT, 0, NOTHING)
  }

  #operationOf(order: number, request: OrderRequest, kind: OperationKind, when: number): Operation | null {
    if (!request.operation.isPresent) return null
    const [digestA, digestB] = operationDigest(this.state, order, request.count === 0)
    return { kind, id: request.operation.copy(), digestA, digestB, when }
  }

  // SKUs

  /** STOCK.CREATE. `exists`: created by the same arguments before. */
  create(name: Slice, origin: SkuOrigin, now: number): 'created' | 'exists' | 'differs' | 'wrong_type' {
    const { state } = this
    const number = state.names.find(name.bytes, name.start, name.end)
    if (number >= 0) {
      const known = state.sku(number).origin
      return known.total === origin.total && sameTerms(known.terms, origin.terms) ? 'exists' : 'differs'
    }
    if (number !== NO_KEY) return 'wrong_type'
    this.#facts.skuCreated(state.createSku(name.copy(), origin, state.generation + 1), now)
    return 'created'
  }

  alter(sku: Sku, terms: SkuTerms, now: number): void {
    if (sameTerms(sku.terms, terms)) return
    const before = sku.sellable
    this.state.alterSku(sku, terms)
    this.#facts.skuAltered(sku, now)
    if (before > 0 && sku.sellable === 0) this.#facts.soldOut(sku, now)
    if (before === 0 && sku.sellable > 0) this.#facts.availableAgain(sku, now)
  }

  /** STOCK.ADJUST: OK, SHORT, MISMATCH, or an error. `ifTotal` -1: whatever it is. */
  adjust(sku: Sku, asked: Omit<Adjustment, 'applied'>, how: { ifTotal: number; isClamped: boolean; now: number }): Status {
    const { outcome } = this
    const earlier = sku.adjustments?.get(asked.id)
    if (earlier !== undefined) {
      if (earlier !== asked.asked) return outcome.set(Status.ADJUSTMENT_CONFLICT, 0, NOTHING)
      return outcome.set(Status.OK, 0, REPLAY)
    }
    if (how.ifTotal !== -1 && how.ifTotal !== sku.total) return outcome.set(Status.MISMATCH, 0, NOTHING)
    if (sku.total + asked.asked > TOTAL_MAX) return outcome.set(Status.TOTAL_TOO_LARGE, 0, NOTHING)
    const isShort = sku.available + asked.asked < 0
    if (isShort && !how.isClamped) return outcome.set(Status.SHORT, 0, NOTHING)

    const applied = isShort ? -sku.available : asked.asked
    const before = sku.sellable
    this.state.adjustSku(sku, { id: asked.id, asked: asked.asked, applied })
    sku.assertBalanced()
    this.#facts.skuAdjusted(sku, how.now, { ...asked, applied })
    if (before > 0 && sku.sellable === 0) this.#facts.soldOut(sku, how.now)
    if (before === 0 && sku.sellable > 0) this.#facts.availableAgain(sku, how.now)
    return outcome.set(Status.OK, 0, isShort ? CLAMPED : NOTHING)
  }

  /** STOCK.DROP of a SKU that is there: OK or IN_USE. */
  drop(sku: Sku, isForced: boolean, now: number): Status {
    const { outcome, state } = this
    if (sku.reserved > 0 && !isForced) return outcome.set(Status.IN_USE, 0, NOTHING)
    for (let order = sku.holds.first; order !== 0; order = sku.holds.first) {
      const extra = state.extraOf(order)
      state.readUnits(order, extra)
      state.chosen.set(state.units.subarray(0, state.rows.itemCount(order)))
      this.#release(order, extra, { request: null, reason: DROPPED, now })
    }
    state.dropSku(sku)
    this.#facts.skuDropped(sku, now)
    return outcome.set(Status.OK, 0, NOTHING)
  }

  // Time

  /** Holds that are due expire, in the order of their deadlines; then a bounded number of old orders is forgotten. */
  advance(now: number): void {
    const { state } = this
    const { rows } = state
    for (let sku = state.heap.top; sku !== undefined && sku.firstDeadline <= now; sku = state.heap.top) {
      const order = sku.holds.first
      const deadline = rows.deadline(order)
      state.expire(order)
      this.#facts.orderExpired(order)
      const items = rows.itemCount(order)
      for (let i = 0; i < items; i++) this.#tellIfAvailable(state.skuOf(order, i), state.chosen[i], deadline)
    }
    this.#trim(now)
    if (state.isSweeping) state.sweep()
  }

  /** When `advance` has something to do next; Infinity if never. */
  nextDeadline(): number {
    const { state } = this
    if (state.isSweeping) return 0
    let next = Math.min(this.#keptUntil(state.closed.first), this.#keptUntil(state.confirmed.first))
    if (state.heap.top !== undefined) next = Math.min(next, state.heap.top.firstDeadline)
    return next
  }

  /** After a restart: no hold ends before its shopper could have come back. */
  recovered(now: number): void {
    const until = now + this.#options.restartGraceMs
    const first = this.state.firstHold
    if (first === 0 || this.state.rows.deadline(first) >= until) return
    this.state.grace(until)
    this.#facts.holdsGraced(now, until)
  }

  #trim(now: number): void {
    const { closed, confirmed } = this.state
    let closedCount = 0
    for (
      let order = closed.first;
      order !== 0 && closedCount < TRIMMED_PER_ADVANCE && this.#keptUntil(order) <= now;
      order = closed.next(order)
    )
      closedCount++
    let confirmedCount = 0
    for (
      let order = confirmed.first;
      order !== 0 && closedCount + confirmedCount < TRIMMED_PER_ADVANCE && this.#keptUntil(order) <= now;
      order = confirmed.next(order)
    )
      confirmedCount++
    if (closedCount + confirmedCount === 0) return
    this.state.trim(closedCount, confirmedCount)
    this.#facts.ordersTrimmed(now, { closed: closedCount, confirmed: confirmedCount })
  }

  #keptUntil(order: number): number {
    if (order === 0) return Infinity
    const { rows } = this.state
    const at = rows.at(order)
    if (this.storedThrough !== Infinity && Math.max(at, this.state.extraOf(order)?.updated ?? 0) > this.storedThrough) return Infinity
    return at + (rows.state(order) === OrderState.CONFIRMED ? this.#options.returnWindowMs : this.#options.orderRetentionMs)
  }

  // What commands share

  /** The order that the request names; 0 if nobody knows it. */
  #find(request: OrderRequest): number {
    const { bytes, start, end } = request.id
    const { rows } = this.state
    return rows.find(bytes, start, end, rows.table.hash(bytes, start, end))
  }

  /** The item of the order that item i of the request names; -1 if there is none. */
  #itemOf(order: number, request: OrderRequest, i: number): number {
    const { state } = this
    const items = state.rows.itemCount(order)
    for (let item = 0; item < items; item++) {
      if (state.skuOf(order, item).isNamed(request.skuBytes, request.skuStart[i], request.skuEnd[i])) return item
    }
    return -1
  }

  /**
   * Sets chosen[] to the request's quantities by the order's items; without ITEMS to all of `units`.
   * @returns false if a SKU is not in the order, or (unless `isBounded` is false) if it asks more than `units`.
   */
  #choose(order: number, request: OrderRequest, isBounded = true): boolean {
    const { chosen, units, rows } = this.state
    const items = rows.itemCount(order)
    if (request.count === 0) {
      for (let i = 0; i < items; i++) chosen[i] = units[i]
      return true
    }
    chosen.fill(0, 0, items)
    for (let i = 0; i < request.count; i++) {
      const item = this.#itemOf(order, request, i)
      if (item === -1 || (isBounded && request.quantity[i] > units[item])) return false
      chosen[item] = request.quantity[i]
    }
    return true
  }

  #tellIfSoldOut(sku: Sku, now: number): void {
    // It was sellable: the order that has just been made took some of it.
    if (sku.available <= sku.terms.safety) this.#facts.soldOut(sku, now)
  }

  #tellIfSoldOutBy(sku: Sku, taken: number, now: number): void {
    if (sku.available <= sku.terms.safety && sku.available + taken > sku.terms.safety) this.#facts.soldOut(sku, now)
  }

  #tellIfAvailable(sku: Sku, givenBack: number, now: number): void {
    if (givenBack > 0 && sku.available > sku.terms.safety && sku.available - givenBack <= sku.terms.safety)
      this.#facts.availableAgain(sku, now)
  }
}

function sameSlice(bytes: Uint8Array, slice: Slice): boolean {
  return sameBytes(bytes, slice.bytes, slice.start, slice.end)
}

const scratch = Buffer.alloc(ITEMS_MAX * 4)

/** What an operation was about: `chosen` by the order's items, or everything there was. */
export function operationDigest(state: LedgerState, order: number, isWhole: boolean): readonly [number, number] {
  if (isWhole) return [0, 0]
  const items = state.rows.itemCount(order)
  for (let i = 0; i < items; i++) scratch.writeInt32LE(state.chosen[i], i * 4)
  const a = hashBytes(scratch, 0, items * 4, 1)
  return [a >>> 0, mix(a ^ hashBytes(scratch, 0, items * 4, 2)) >>> 0]
}
