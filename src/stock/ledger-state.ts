// What the ledger knows, and the moves that change it: SKUs, orders, buyers, holds. A move is a fact, it decides nothing: the ledger
// makes moves that it has decided on, replay makes those that the log tells, and both end in the same state.
//
// Invariants, after every move:
//   total = available + reserved + sold for each SKU, each >= 0
//   a SKU's `reserved` is the sum of its open holds; an order is in `holds` of a SKU while it holds units of it
//   an order that is not RESERVED is in exactly one retention list
//
// Unusual: moves read the quantities that they are about from `chosen[i]`, by the order's items; `units[i]` is what `readUnits` found.

import { assert } from '../base/assert.ts'
import { Buyers } from './buyers.ts'
import { Holds } from './holds.ts'
import { OrderExtra, type Operation } from './order-extra.ts'
import { OrderIds } from './order-ids.ts'
import { ITEMS_MAX, type OrderRequest } from './order-request.ts'
import { BUYER, OrderRows, PAID_FLAG, PAYMENT_FLAG, TOMBSTONE_FLAG } from './order-rows.ts'
import { RetentionList } from './retention.ts'
import type { SkuNames } from './sku-names.ts'
import { Sku, type SkuOrigin, type SkuTerms } from './sku.ts'
import { SkuHeap } from './sku-heap.ts'
import { SkuSums } from './sku-sums.ts'
import { OrderState } from './state.ts'

/** Holds that end in the same millisecond after a restart: spreads a million of them over ten seconds. */
const GRACED_PER_MILLISECOND = 100
/** Buyers that one call sweeps, and how many table slots it looks at. */
const SWEPT_PER_CALL = 256

/** What makes this ledger's hashes and ids its own. */
export interface LedgerIdentity {
  readonly seed: number
  readonly nodeNumber: number
  readonly idSalt: number
}

export class LedgerState {
  readonly names: SkuNames
  /** By number; null: the number is free. */
  readonly skus: (Sku | null)[] = []
  readonly rows: OrderRows
  readonly buyers: Buyers
  readonly ids: OrderIds
  readonly heap: SkuHeap
  readonly confirmed: RetentionList
  readonly closed: RetentionList
  readonly #freeNumbers: number[] = []
  /** The last generation and the last reservation's number. */
  generation = 0
  sequence = 0
  skuCount = 0
  openOrders = 0
  /** What was done with SKUs that were dropped. */
  readonly gone = new SkuSums()
  #dirty: Sku[] = []
  /** SKUs whose numbers no audit mark has told yet, in the order in which they changed; dropped ones with the last numbers they had. */
  readonly unmarked = new Set<Sku>()
  #digestA = 0
  #digestB = 0
  #sweepCursor = -1

  /** By item of the order at hand: see readUnits, and the moves. */
  readonly units = new Int32Array(ITEMS_MAX)
  readonly chosen = new Int32Array(ITEMS_MAX)

  constructor(identity: LedgerIdentity, names: SkuNames) {
    this.names = names
    this.rows = new OrderRows(identity.seed)
    this.buyers = new Buyers({ seed: identity.seed ^ 0x2545f491, orders: this.rows, skus: this.skus })
    this.ids = new OrderIds({ nodeNumber: identity.nodeNumber, salt: identity.idSalt })
    this.heap = new SkuHeap(this.rows)
    this.confirmed = new RetentionList(this.rows)
    this.closed = new RetentionList(this.rows)
  }

  // Reading

  sku(number: number): Sku {
    return this.skus[number] as Sku
  }

  skuOf(order: number, item: number): Sku {
    return this.skus[this.rows.itemSku(order, item)] as Sku
  }

  buyerOf(order: number): number {
    return this.rows.word(order, BUYER)
  }

  /** units[i] = held units of a RESERVED order, unreturned ones of a CONFIRMED one, units that an EXPIRED one lost; else 0. */
  readUnits(order: number, extra: OrderExtra | null): void {
    const { rows, units } = this
    const state = rows.state(order)
    const columns = extra === null ? null : extra.columns
    for (let i = rows.itemCount(order) - 1; i >= 0; i--) {
      const column = columns === null ? null : columns[i]
      let n = rows.itemQuantity(order, i)
      if (state === OrderState.CONFIRMED) n = column === null ? n : column.sold - column.returned
      else if (state === OrderState.RESERVED || state === OrderState.EXPIRED) n -= column === null ? 0 : column.released
      else n = 0
      units[i] = n
    }
  }

  /** Units of item i that were sold when the order was, returned or not. */
  soldAtFirst(order: number, item: number, extra: OrderExtra): number {
    return extra.columns === null ? this.rows.itemQuantity(order, item) : extra.columns[item].sold
  }

  extraOf(order: number): OrderExtra | null {
    return OrderExtra.isPresent(this.rows, order) ? OrderExtra.of(this.rows, order) : null
  }

  /** Two halves of a digest of SKUs' balances and of orders' states; O(what changed since it was last asked). */
  seal(): readonly [number, number] {
    for (const sku of this.#dirty) {
      this.#digestA = (this.#digestA - sku.digestA) | 0
      this.#digestB = (this.#digestB - sku.digestB) | 0
      if (sku.isDropped) sku.digestA = sku.digestB = 0
      else sku.refreshDigest()
      this.#digestA = (this.#digestA + sku.digestA) | 0
      this.#digestB = (this.#digestB + sku.digestB) | 0
      sku.isDirty = false
    }
    this.#dirty.length = 0
    return [(this.#digestA + this.rows.digestA) | 0, (this.#digestB ^ Math.imul(this.rows.digestB, 0x9e3779b1)) | 0]
  }

  // Moves of SKUs

  createSku(name: Uint8Array, origin: SkuOrigin, generation: number): Sku {
    const number = this.#freeNumbers.pop() ?? this.skus.length
    const sku = new Sku({ number, generation, name, origin, holds: new Holds(this.rows) })
    this.skus[number] = sku
    this.generation = Math.max(this.generation, generation)
    this.names.add(name, 0, name.length, number)
    this.skuCount++
    this.#touch(sku)
    return sku
  }

  alterSku(sku: Sku, terms: SkuTerms): void {
    if (sku.holds.size === 0) sku.earlierMaxHolds = []
    else if (terms.maxHoldSeconds !== sku.terms.maxHoldSeconds) {
      sku.earlierMaxHolds.push({ through: this.sequence, seconds: sku.terms.maxHoldSeconds })
    }
    if (terms.price !== sku.tag.price || terms.seller !== sku.tag.seller) sku.keepTag(this.sequence)
    sku.terms = terms
    sku.version++
    this.#touch(sku)
  }

  adjustSku(sku: Sku, adjustment: { readonly id: string; readonly asked: number; readonly applied: number }): void {
    sku.total += adjustment.applied
    sku.available += adjustment.applied
    sku.version++
    sku.adjustments ??= new Map()
    sku.adjustments.set(adjustment.id, adjustment.asked)
    this.#touch(sku)
  }

  /** The SKU's name is free; it stays for the orders that it is in. Nothing of it is reserved. */
  dropSku(sku: Sku): void {
    this.names.remove(sku.name, 0, sku.name.length)
    sku.isDropped = true
    this.gone.addMoves(sku)
    sku.adjustments = null
    this.skuCount--
    this.#touch(sku)
    if (sku.useCounts > 0) this.#sweepCursor = 0
    this.#forgetIfUnused(sku)
  }

  // Moves of orders

  /**
   * A new order takes the units that `request` says of the SKUs in `skus`; RESERVED, or sold at once if the request is PAID.
   */
  openOrder(request: OrderRequest, skus: readonly Sku[]): number {
    const { rows, buyers } = this
    const { id, count, isPaid } = request
    const isWide = OrderRows.isWide(skus[0].number, request.quantity[0])
    const order = rows.create(id.bytes, id.start, id.end, request.hash, { items: count, isWide })
    rows.setState(order, isPaid ? OrderState.CONFIRMED : OrderState.RESERVED)
    rows.setVersion(order, 1)
    rows.setCreated(order, request.at, ++this.sequence)
    rows.setTimes(order, request.deadline, request.at)
    const buyer = this.#buyerFor(request)
    if (buyer !== 0) {
      buyers.link(buyer, order)
      if (!isPaid) buyers.countOpen(buyer, 1)
    }
    for (let i = 0; i < count; i++) {
      const sku = skus[i]
      const quantity = request.quantity[i]
      rows.setItem(order, i, sku.number, quantity)
      sku.orderRows++
      sku.available -= quantity
      if (isPaid) {
        sku.sold += quantity
        sku.confirmedUnits += quantity
      } else {
        sku.reserved += quantity
        if (sku.holds.add(order)) this.heap.update(sku)
      }
      if (buyer !== 0) buyers.use(buyer, sku, quantity)
      this.#changed(sku)
    }
    if (isPaid) {
      rows.setFlag(order, PAID_FLAG)
      this.confirmed.append(order)
    } else this.openOrders++
    if (request.ref.isPresent) {
      const extra = new OrderExtra()
      extra.ref = request.ref.copy()
      if (isPaid) rows.setFlag(order, PAYMENT_FLAG)
      extra.store(rows, order)
    }
    rows.enter(order)
    return order
  }

  #buyerFor(request: OrderRequest): number {
    const { buyers } = this
    const { bytes, start, end, isPresent } = request.buyer
    if (!isPresent) return 0
    if (request.buyerRow === -1) return buyers.findOrAdd(bytes, start, end)
    return request.buyerRow === 0 ? buyers.add(bytes, start, end, request.buyerHash) : request.buyerRow
  }

  /** Only the id is remembered, as RELEASED. */
  openTombstone(request: OrderRequest, at: number, reason: Uint8Array | null): number {
    const { rows } = this
    const { id } = request
    const order = rows.create(id.bytes, id.start, id.end, rows.table.hash(id.bytes, id.start, id.end), { items: 0, isWide: false })
    rows.setFlag(order, TOMBSTONE_FLAG)
    rows.setState(order, OrderState.RELEASED)
    rows.setVersion(order, 1)
    rows.setCreated(order, at, 0)
    rows.setTimes(order, 0, at)
    if (reason !== null) {
      const extra = new OrderExtra()
      extra.reason = reason
      extra.store(rows, order)
    }
    this.closed.append(order)
    rows.enter(order)
    return order
  }

  /** RESERVED -> CONFIRMED: chosen[i] units are sold, the rest of the hold goes back. `payment`: the REF that sold it. */
  sell(order: number, extra: OrderExtra | null, sale: { at: number; payment: Uint8Array | null }): void {
    const { rows, chosen, units } = this
    this.readUnits(order, extra)
    const items = rows.itemCount(order)
    const buyer = this.buyerOf(order)
    this.#endHold(order)
    rows.leave(order)
    let isWhole = extra === null || extra.columns === null
    for (let i = 0; i < items; i++) {
      const sku = this.skuOf(order, i)
      const rest = units[i] - chosen[i]
      if (rest !== 0) isWhole = false
      if (units[i] === 0) continue
      sku.reserved -= units[i]
      sku.sold += chosen[i]
      sku.available += rest
      sku.confirmedUnits += chosen[i]
      sku.releasedUnits += rest
      if (buyer !== 0 && rest !== 0) this.buyers.use(buyer, sku, -rest)
      this.#changed(sku)
    }
    if (!isWhole || sale.payment !== null || extra !== null) {
      extra ??= new OrderExtra()
      if (!isWhole) {
        extra.columns ??= this.#emptyColumns(items)
        for (let i = 0; i < items; i++) extra.columns[i].sold = chosen[i]
      }
      this.#setPayment(order, extra, sale.payment)
      extra.updated = 0
      extra.store(rows, order)
    }
    this.#finish(order, OrderState.CONFIRMED, sale.at)
    this.confirmed.append(order)
  }

  /** EXPIRED -> CONFIRMED: chosen[i] units are taken again and sold. */
  revive(order: number, extra: OrderExtra | null, sale: { at: number; payment: Uint8Array | null }): void {
    const { rows, chosen } = this
    const items = rows.itemCount(order)
    const buyer = this.buyerOf(order)
    rows.leave(order)
    let isWhole = true
    for (let i = 0; i < items; i++) {
      if (chosen[i] !== rows.itemQuantity(order, i)) isWhole = false
      if (chosen[i] === 0) continue
      const sku = this.skuOf(order, i)
      sku.available -= chosen[i]
      sku.sold += chosen[i]
      sku.confirmedUnits += chosen[i]
      if (buyer !== 0) this.buyers.use(buyer, sku, chosen[i])
      this.#changed(sku)
    }
    if (!isWhole || sale.payment !== null || extra !== null) {
      extra ??= new OrderExtra()
      if (!isWhole) {
        extra.columns ??= this.#emptyColumns(items)
        for (let i = 0; i < items; i++) extra.columns[i].sold = chosen[i]
      }
      this.#setPayment(order, extra, sale.payment)
      extra.updated = 0
      extra.store(rows, order)
    }
    this.closed.remove(order)
    this.#finish(order, OrderState.CONFIRMED, sale.at)
    this.confirmed.append(order)
  }

  /** A sale without REF adopts this one. */
  adopt(order: number, payment: Uint8Array, at: number): void {
    const extra = this.extraOf(order) ?? new OrderExtra()
    this.rows.leave(order)
    this.#setPayment(order, extra, payment)
    this.#amend(order, extra, at)
  }

  /** chosen[i] held units go back; when nothing is left the order is RELEASED. @returns true if it is. */
  release(
    order: number,
    extra: OrderExtra | null,
    change: { at: number; operation: Operation | null; reason: Uint8Array | null },
  ): boolean {
    const { rows, chosen, units } = this
    this.readUnits(order, extra)
    const items = rows.itemCount(order)
    let left = 0
    for (let i = 0; i < items; i++) left += units[i] - chosen[i]
    if (left === 0) this.#endHold(order)
    rows.leave(order)
    this.#giveBack(order, left !== 0)
    if (left !== 0 || extra !== null || change.operation !== null || change.reason !== null) {
      extra ??= new OrderExtra()
      if (left !== 0) {
        extra.columns ??= this.#emptyColumns(items)
        for (let i = 0; i < items; i++) extra.columns[i].released += chosen[i]
      } else {
        extra.columns = null
        extra.updated = 0
      }
      if (change.operation !== null) extra.remember(change.operation)
      if (change.reason !== null) extra.reason = change.reason
      extra.store(rows, order)
    }
    if (left !== 0) {
      rows.setVersion(order, rows.version(order) + 1)
      rows.setTimes(order, rows.deadline(order), change.at)
      rows.enter(order)
      return false
    }
    this.#finish(order, OrderState.RELEASED, change.at)
    this.closed.append(order)
    return true
  }

  /** The hold has reached its deadline: its units go back. */
  expire(order: number): void {
    const { rows, chosen, units } = this
    const extra = this.extraOf(order)
    this.readUnits(order, extra)
    chosen.set(units.subarray(0, rows.itemCount(order)))
    this.#endHold(order)
    rows.leave(order)
    this.#giveBack(order, false, true)
    if (extra !== null && extra.updated !== 0) {
      extra.updated = 0
      extra.store(rows, order)
    }
    this.#finish(order, OrderState.EXPIRED, rows.deadline(order))
    this.closed.append(order)
  }

  extend(order: number, deadline: number, at: number): void {
    const { rows } = this
    rows.leave(order)
    this.#moveDeadline(order, deadline, at)
    rows.setVersion(order, rows.version(order) + 1)
    rows.enter(order)
  }

  /** chosen[i] sold units come back; when none is left sold the order is RETURNED. @returns true if it is. */
  takeBack(
    order: number,
    extra: OrderExtra | null,
    change: { at: number; operation: Operation | null; reason: Uint8Array | null; isNoRestock: boolean },
  ): boolean {
    const { rows, chosen, units } = this
    this.readUnits(order, extra)
    const items = rows.itemCount(order)
    const buyer = this.buyerOf(order)
    rows.leave(order)
    let left = 0
    for (let i = 0; i < items; i++) {
      left += units[i] - chosen[i]
      const sku = this.skuOf(order, i)
      if (chosen[i] === 0 || sku.isDropped) continue
      sku.sold -= chosen[i]
      if (change.isNoRestock) sku.total -= chosen[i]
      else sku.available += chosen[i]
      sku.returnedUnits += chosen[i]
      if (buyer !== 0) this.buyers.use(buyer, sku, -chosen[i])
      this.#changed(sku)
    }
    extra ??= new OrderExtra()
    if (extra.columns !== null || left !== 0) {
      extra.columns ??= Array.from({ length: items }, (_, i) => ({ released: 0, sold: rows.itemQuantity(order, i), returned: 0 }))
      for (let i = 0; i < items; i++) extra.columns[i].returned += chosen[i]
    }
    if (change.operation !== null) extra.remember(change.operation)
    if (change.reason !== null) extra.reason = change.reason
    if (left !== 0) {
      this.#amend(order, extra, change.at)
      return false
    }
    extra.updated = 0
    extra.store(rows, order)
    this.confirmed.remove(order)
    this.#finish(order, OrderState.RETURNED, change.at)
    this.closed.append(order)
    return true
  }

  /** A payment achieved nothing. */
  orphan(order: number, ref: Uint8Array, at: number): void {
    const extra = this.extraOf(order) ?? new OrderExtra()
    extra.orphans.push(ref)
    this.rows.leave(order)
    this.#amend(order, extra, at)
  }

  /** The same for an id that was unknown until now: its tombstone's first change is this. */
  orphanUnknown(request: OrderRequest, at: number, reason: Uint8Array): number {
    const order = this.openTombstone(request, at, reason)
    const extra = this.extraOf(order) as OrderExtra
    extra.orphans.push(request.ref.copy())
    extra.store(this.rows, order)
    return order
  }

  // Time

  /** The open hold that ends first; 0 if there is none. */
  get firstHold(): number {
    const sku = this.heap.top
    return sku === undefined ? 0 : sku.holds.first
  }

  /** After a restart: holds that would end before `until` end then, in their old order, a bounded number per millisecond. @returns how many. */
  grace(until: number): number {
    const due: number[] = []
    for (let order = this.firstHold; order !== 0 && this.rows.deadline(order) < until; order = this.firstHold) {
      due.push(order)
      this.#unindex(order)
    }
    due.forEach((order, i) => {
      this.rows.setTimes(order, until + Math.floor(i / GRACED_PER_MILLISECOND), this.rows.at(order))
      this.#index(order)
    })
    return due.length
  }

  /** True if so many orders wait in the lists. */
  hasToTrim(closed: number, confirmed: number): boolean {
    for (let order = this.closed.first; closed > 0; order = this.closed.next(order), closed--) if (order === 0) return false
    for (let order = this.confirmed.first; confirmed > 0; order = this.confirmed.next(order), confirmed--) if (order === 0) return false
    return true
  }

  /** Forgets the `closed` and `confirmed` orders that have waited longest. */
  trim(closed: number, confirmed: number): void {
    for (; closed > 0; closed--) this.#forget(this.closed)
    for (; confirmed > 0; confirmed--) this.#forget(this.confirmed)
  }

  /** Forgets everything but what must never come again: generations, sequence numbers, ids. */
  clear(): void {
    for (const sku of this.skus) {
      if (sku === null || sku.isDropped) continue
      this.names.remove(sku.name, 0, sku.name.length)
      this.gone.addMoves(sku)
    }
    this.skus.length = 0
    this.#freeNumbers.length = 0
    this.rows.clear()
    this.buyers.clear()
    this.heap.clear()
    this.confirmed.clear()
    this.closed.clear()
    this.skuCount = 0
    this.openOrders = 0
    this.#dirty = []
    this.unmarked.clear()
    this.#digestA = 0
    this.#digestB = 0
    this.#sweepCursor = -1
  }

  get isSweeping(): boolean {
    return this.#sweepCursor !== -1
  }

  /** Forgets a slice of what buyers used of dropped SKUs. */
  sweep(): void {
    if (this.#sweepCursor === -1) return
    const slice: number[] = []
    const next = this.buyers.table.scan(this.#sweepCursor, SWEPT_PER_CALL, (buyer) => slice.push(buyer))
    const freed = (sku: Sku): void => this.#forgetIfUnused(sku)
    for (const buyer of slice) this.buyers.sweep(buyer, freed)
    this.#sweepCursor = next === 0 ? -1 : next
  }

  // Loading a snapshot: things as they are, not as they come about

  /** A SKU that exists, or one that was dropped and is still in orders. */
  loadSku(sku: { name: Uint8Array; generation: number; origin: SkuOrigin; isDropped: boolean }): Sku {
    const loaded = new Sku({
      number: this.skus.length,
      generation: sku.generation,
      name: sku.name,
      origin: sku.origin,
      holds: new Holds(this.rows),
    })
    this.skus.push(loaded)
    if (sku.isDropped) loaded.isDropped = true
    else {
      this.names.add(sku.name, 0, sku.name.length, loaded.number)
      this.skuCount++
    }
    this.#touch(loaded)
    // Its numbers are not in the snapshot.
    if (sku.isDropped) this.marked(loaded)
    return loaded
  }

  /** An order whose row is written but for its links: takes its place among its buyer's orders and its SKUs' holds, or waits to be forgotten. */
  loadOrder(order: number, request: OrderRequest): void {
    const { rows, buyers } = this
    for (let i = rows.itemCount(order) - 1; i >= 0; i--) this.skuOf(order, i).countOrder(rows.sequence(order))
    const isListed = request.buyer.isPresent && !rows.has(order, TOMBSTONE_FLAG)
    const buyer = isListed ? buyers.findOrAdd(request.buyer.bytes, request.buyer.start, request.buyer.end) : 0
    if (buyer !== 0) buyers.link(buyer, order)
    const state = rows.state(order)
    if (state === OrderState.RESERVED) {
      this.#index(order)
      this.openOrders++
      if (buyer !== 0) buyers.countOpen(buyer, 1)
    } else if (state === OrderState.CONFIRMED) this.confirmed.append(order)
    else this.closed.append(order)
    rows.enter(order)
  }

  // What moves are made of

  /** The SKU's numbers have changed. */
  #changed(sku: Sku): void {
    sku.version++
    sku.assertBalanced()
    this.#touch(sku)
  }

  #touch(sku: Sku): void {
    if (!sku.isDirty) {
      sku.isDirty = true
      this.#dirty.push(sku)
    }
    if (!sku.isUnmarked) {
      sku.isUnmarked = true
      this.unmarked.add(sku)
    }
  }

  /** An audit mark has told the SKU's numbers. */
  marked(sku: Sku): void {
    sku.isUnmarked = false
    this.unmarked.delete(sku)
  }

  /** The order leaves the open holds: before its state, units or deadline change. `units` is what it holds. */
  #endHold(order: number): void {
    this.#unindex(order)
    this.openOrders--
    const buyer = this.buyerOf(order)
    if (buyer !== 0) this.buyers.countOpen(buyer, -1)
  }

  #unindex(order: number): void {
    this.readUnits(order, this.extraOf(order))
    for (let i = this.rows.itemCount(order) - 1; i >= 0; i--) {
      if (this.units[i] === 0) continue
      const sku = this.skuOf(order, i)
      if (sku.holds.remove(order)) this.heap.update(sku)
    }
  }

  #index(order: number): void {
    this.readUnits(order, this.extraOf(order))
    for (let i = this.rows.itemCount(order) - 1; i >= 0; i--) {
      if (this.units[i] === 0) continue
      const sku = this.skuOf(order, i)
      if (sku.holds.add(order)) this.heap.update(sku)
    }
  }

  #moveDeadline(order: number, deadline: number, at: number): void {
    this.#unindex(order)
    this.rows.setTimes(order, deadline, at)
    this.#index(order)
  }

  /** reserved -> available: chosen[i] of the units[i] held. */
  #giveBack(order: number, staysOpen: boolean, isExpiry = false): void {
    const { chosen, units } = this
    const buyer = this.buyerOf(order)
    for (let i = this.rows.itemCount(order) - 1; i >= 0; i--) {
      const n = chosen[i]
      if (n === 0) continue
      const sku = this.skuOf(order, i)
      if (staysOpen && n === units[i] && sku.holds.remove(order)) this.heap.update(sku)
      sku.reserved -= n
      sku.available += n
      if (isExpiry) sku.expiredUnits += n
      else sku.releasedUnits += n
      if (buyer !== 0) this.buyers.use(buyer, sku, -n)
      this.#changed(sku)
    }
  }

  /** The order enters a state other than RESERVED. */
  #finish(order: number, state: OrderState, at: number): void {
    const { rows } = this
    rows.setState(order, state)
    rows.setVersion(order, rows.version(order) + 1)
    rows.setTimes(order, rows.deadline(order), at)
    rows.enter(order)
  }

  /** The order changes within its state, which it keeps. */
  #amend(order: number, extra: OrderExtra, at: number): void {
    const { rows } = this
    if (at > rows.at(order)) extra.updated = at
    extra.store(rows, order)
    rows.setVersion(order, rows.version(order) + 1)
    rows.enter(order)
  }

  #setPayment(order: number, extra: OrderExtra, payment: Uint8Array | null): void {
    if (payment === null) return
    extra.ref = payment
    this.rows.setFlag(order, PAYMENT_FLAG)
  }

  #emptyColumns(items: number): { released: number; sold: number; returned: number }[] {
    return Array.from({ length: items }, () => ({ released: 0, sold: 0, returned: 0 }))
  }

  #forget(list: RetentionList): void {
    const order = list.first
    assert(order !== 0, 'nothing to trim')
    const { rows } = this
    list.remove(order)
    rows.leave(order)
    const isSold = rows.state(order) === OrderState.CONFIRMED
    if (isSold) this.readUnits(order, this.extraOf(order))
    for (let i = rows.itemCount(order) - 1; i >= 0; i--) {
      const sku = this.skuOf(order, i)
      if (isSold) sku.settled += this.units[i]
      sku.forgetOrder(rows.sequence(order))
      this.#forgetIfUnused(sku)
    }
    const buyer = this.buyerOf(order)
    if (buyer !== 0) this.buyers.unlink(buyer, order)
    OrderExtra.free(rows, order)
    rows.remove(order)
  }

  #forgetIfUnused(sku: Sku): void {
    if (!sku.isDropped || sku.orderRows !== 0 || sku.useCounts !== 0 || this.skus[sku.number] !== sku) return
    this.skus[sku.number] = null
    this.#freeNumbers.push(sku.number)
  }
}
