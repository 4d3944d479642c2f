// Applies the records of the ledger (stock-recorder.ts, stock-snapshot.ts). It never decides and never refuses: a record that does not fit
// the state, or whose balance comes out differently, is a contradiction, and the node stops: LOG_SEMANTIC.

import { parseInteger } from '../../base/decimal.ts'
import { StockdError } from '../../base/error.ts'
import type { Request } from '../../resp/request.ts'
import { operationDigest } from '../../stock/ledger.ts'
import type { LedgerState } from '../../stock/ledger-state.ts'
import { OperationKind, type Operation, type OrderExtra, sameBytes } from '../../stock/order-extra.ts'
import { ITEMS_MAX, OrderRequest, QUANTITY_MAX } from '../../stock/order-request.ts'
import type { Sku, SkuTerms } from '../../stock/sku.ts'
import { ORDER_STATES, OrderState } from '../../stock/state.ts'
import { OTHER_SHAPE } from '../contradiction.ts'
import { Outbox, PARTS } from '../outbox.ts'
import { Balances } from './balances.ts'
import { readTerms } from './sku-terms.ts'
import { partOfOrder } from './stock-recorder.ts'
import { StockSnapshot } from './stock-snapshot.ts'

const ITEM_ARGUMENTS = 4
const MARKED_ARGUMENTS = 3
const SPACE = 32
const NOTHING = new Uint8Array(0)
const UNKNOWN_ORDER = Buffer.from('unknown_order', 'latin1')

export class StockReplay {
  readonly #state: LedgerState
  readonly #outbox: Outbox
  readonly #snapshot: StockSnapshot
  readonly #request = new OrderRequest()
  readonly #skus: Sku[] = []
  readonly #balances = new Balances()
  /** Of a PART: the units held, by the record's items. */
  readonly #held = new Int32Array(ITEMS_MAX)
  /** By the record's items: which one of the order's each is. */
  readonly #places = new Int32Array(ITEMS_MAX)
  #record: Request = null as unknown as Request

  constructor(state: LedgerState, outbox: Outbox) {
    this.#state = state
    this.#outbox = outbox
    this.#snapshot = new StockSnapshot(state, outbox)
  }

  /** The instant of the newest record that was applied; 0 if there was none. */
  newest = 0

  /** @returns false if the record is none of the ledger's. */
  replay(record: Request): boolean {
    this.#record = record
    if (record.is(0, 'ORDER.RESERVED')) {
      this.#reserved()
      return true
    }
    switch (record.latin1(0)) {
      case 'ORDER.CONFIRMED':
        this.#confirmed()
        return true
      case 'ORDER.RELEASED':
        this.#released()
        return true
      case 'ORDER.EXPIRED':
        this.#expired()
        return true
      case 'ORDER.EXTENDED':
        this.#extended()
        return true
      case 'ORDER.RETURNED':
        this.#returned()
        return true
      case 'ORDER.PAYMENT_ORPHANED':
        this.#orphaned()
        return true
      case 'ORDER.TOMBSTONE':
        this.#tombstone()
        return true
      case 'ORDER.GRACED':
        this.#graced()
        return true
      case 'ORDER.TRIMMED':
        this.#trimmed()
        return true
      case 'STOCK.CREATED':
        this.#created()
        return true
      case 'STOCK.ALTERED':
        this.#altered()
        return true
      case 'STOCK.ADJUSTED':
        this.#adjusted()
        return true
      case 'STOCK.DROPPED':
        this.#dropped()
        return true
      case 'STOCK.SOLDOUT':
      case 'STOCK.AVAILABLE':
        this.#sellable()
        return true
      case 'AUDIT.MARK':
        this.#marked()
        return true
      default:
        return this.#snapshot.replay(record, (why) => this.#contradiction(why))
    }
  }

  // Orders

  #reserved(): void {
    const record = this.#record
    this.#arity(5 + ITEM_ARGUMENTS)
    const options = (record.argc - 5) % ITEM_ARGUMENTS
    if (options > 2) throw this.#contradiction(OTHER_SHAPE)
    const request = this.#newOrder(5 + options)
    const holdMs = this.#integer(3, 1)
    request.deadline = request.at + holdMs
    if (options > 1) this.#slice(request.ref, 6)
    const isMade = options > 0 && record.is(5, '*')
    if (isMade) this.#state.ids.observe(request.id.bytes, request.id.end)
    const order = this.#state.openOrder(request, this.#skus)
    this.#checkBalances(order, 5 + options)
    this.#event(partOfOrder(this.#state, order), 4)
  }

  #confirmed(): void {
    const record = this.#record
    this.#arity(7)
    const options = (record.argc - 7) % ITEM_ARGUMENTS
    const first = 7 + options
    const hasPayment = (options & 1) === 1
    const isMade = record.is(5, 'PAID*')
    if (isMade || record.is(5, 'PAID')) {
      if (options > 1) throw this.#contradiction(OTHER_SHAPE)
      const request = this.#newOrder(first)
      request.isPaid = true
      request.deadline = 0
      if (hasPayment) this.#slice(request.ref, 7)
      if (isMade) this.#state.ids.observe(request.id.bytes, request.id.end)
      const order = this.#state.openOrder(request, this.#skus)
      this.#checkBalances(order, first)
      this.#deadline(order, 6)
      this.#versionAndEvent(order)
      return
    }
    const order = this.#order()
    const at = this.#instant(2)
    const payment = hasPayment ? record.copy(7) : null
    const extra = this.#state.extraOf(order)
    const isPart = record.is(5, 'PART')
    if (isPart || record.is(5, 'SALE')) {
      this.#inState(order, OrderState.RESERVED)
      if (isPart) this.#chosenOfHeld(order, extra, first)
      else this.#chosen(order, extra, first)
      this.#state.sell(order, extra, { at, payment })
    } else if (record.is(5, 'LATE')) {
      this.#inState(order, OrderState.EXPIRED)
      this.#chosen(order, extra, first)
      for (let i = 0; i < this.#request.count; i++) {
        if (this.#request.quantity[i] > this.#skus[i].available) throw this.#contradiction('more units than available')
      }
      this.#state.revive(order, extra, { at, payment })
    } else if (record.is(5, 'ADOPTED') && payment !== null) {
      this.#inState(order, OrderState.CONFIRMED)
      this.#items(first, 1, false)
      this.#findInOrder(order, first)
      this.#state.adopt(order, payment, at)
    } else throw this.#contradiction('unknown kind of sale')
    this.#checkBalances(order, first)
    this.#deadline(order, 6)
    this.#versionAndEvent(order)
  }

  #released(): void {
    this.#arity(11)
    const order = this.#order()
    this.#inState(order, OrderState.RESERVED)
    const extra = this.#state.extraOf(order)
    this.#chosen(order, extra, 11)
    const at = this.#instant(2)
    const operation = this.#operation(order, OperationKind.RELEASE, at)
    this.#state.release(order, extra, { at, operation, reason: this.#optional(10) })
    this.#checkBalances(order, 11)
    this.#stateAndDeadline(order)
    this.#orderRef(extra, 9)
    this.#versionAndEvent(order)
  }

  #expired(): void {
    this.#arity(5)
    const options = (this.#record.argc - 5) % ITEM_ARGUMENTS
    if (options !== 0 && options !== 2) throw this.#contradiction(OTHER_SHAPE)
    const order = this.#order()
    this.#inState(order, OrderState.RESERVED)
    if (this.#instant(2) !== this.#state.rows.deadline(order)) throw this.#contradiction('another deadline')
    this.#chosen(order, this.#state.extraOf(order), 5 + options)
    this.#state.expire(order)
    this.#checkBalances(order, 5 + options)
    this.#versionAndEvent(order)
  }

  #extended(): void {
    this.#arity(6, 8)
    if (this.#record.argc === 7) throw this.#contradiction(OTHER_SHAPE)
    const order = this.#order()
    this.#inState(order, OrderState.RESERVED)
    this.#state.extend(order, this.#integer(5, this.#state.rows.deadline(order)), this.#instant(2))
    this.#versionAndEvent(order)
  }

  #returned(): void {
    const record = this.#record
    this.#arity(12)
    const order = this.#order()
    this.#inState(order, OrderState.CONFIRMED)
    const extra = this.#state.extraOf(order)
    this.#chosen(order, extra, 12)
    const at = this.#instant(2)
    const isNoRestock = record.is(11, 'NORESTOCK')
    const operation = this.#operation(order, OperationKind.RETURN, at)
    this.#state.takeBack(order, extra, { at, operation, reason: this.#optional(10), isNoRestock })
    this.#checkBalances(order, 12)
    this.#stateAndDeadline(order)
    this.#orderRef(extra, 9)
    this.#versionAndEvent(order)
  }

  #orphaned(): void {
    const record = this.#record
    this.#arity(10, 10)
    const at = this.#instant(2)
    let order: number
    if (record.is(9, 'UNKNOWN')) {
      const request = this.#request
      request.reset()
      this.#newId(request)
      this.#slice(request.ref, 7)
      order = this.#state.orphanUnknown(request, at, UNKNOWN_ORDER)
    } else {
      order = this.#order()
      this.#state.orphan(order, record.copy(7), at)
    }
    this.#stateAndDeadline(order)
    this.#versionAndEvent(order)
  }

  #tombstone(): void {
    this.#arity(4, 4)
    const request = this.#request
    request.reset()
    this.#newId(request)
    this.#state.openTombstone(request, this.#instant(2), this.#optional(3))
  }

  #graced(): void {
    this.#arity(3, 3)
    this.#state.grace(this.#integer(2, this.#instant(1)))
  }

  #trimmed(): void {
    this.#arity(4, 4)
    this.#instant(1)
    const closed = this.#integer(2, 0)
    const confirmed = this.#integer(3, 0)
    if (!this.#state.hasToTrim(closed, confirmed)) throw this.#contradiction('fewer orders than that')
    this.#state.trim(closed, confirmed)
  }

  // SKUs

  #created(): void {
    const record = this.#record
    this.#arity(16, 16)
    const { bytes } = record
    if (this.#state.names.find(bytes, record.start[1], record.end[1]) !== -1) throw this.#contradiction('the name is taken')
    const generation = this.#integer(2, this.#state.generation + 1)
    const sku = this.#state.createSku(record.copy(1), { total: this.#integer(5, 0), terms: this.#terms(6) }, generation)
    this.#instant(3)
    this.#event(Outbox.partOf(sku.name, 0, sku.name.length), 4)
  }

  #altered(): void {
    this.#arity(17, 17)
    const sku = this.#sku(1)
    this.#state.alterSku(sku, this.#terms(7))
    this.#changedSku(sku)
  }

  #adjusted(): void {
    const record = this.#record
    this.#arity(12, 12)
    const sku = this.#sku(1)
    const applied = this.#integer(9, -Number.MAX_SAFE_INTEGER)
    if (sku.available + applied < 0) throw this.#contradiction('fewer than no units')
    this.#state.adjustSku(sku, { id: record.latin1(7), asked: this.#integer(8, -Number.MAX_SAFE_INTEGER), applied })
    this.#changedSku(sku)
  }

  #dropped(): void {
    this.#arity(7, 7)
    const sku = this.#sku(1)
    if (sku.reserved !== 0) throw this.#contradiction('units are reserved')
    this.#state.dropSku(sku)
    this.#changedSku(sku)
  }

  #sellable(): void {
    this.#arity(8, 8)
    const sku = this.#sku(1)
    if (sku.sellable !== this.#integer(7, 0)) throw this.#contradiction('another balance')
    this.#changedSku(sku)
  }

  #marked(): void {
    const record = this.#record
    const first = 3 + PARTS
    this.#arity(first)
    if ((record.argc - first) % MARKED_ARGUMENTS !== 0) throw this.#contradiction(OTHER_SHAPE)
    this.#instant(1)
    if (this.#integer(2, 1) !== this.#outbox.mark + 1) throw this.#contradiction(`the last mark was ${this.#outbox.mark}`)
    this.#outbox.mark++
    for (let part = 0; part < PARTS; part++) this.#event(part, 3 + part)
    for (let i = first; i < record.argc; i += MARKED_ARGUMENTS) {
      const number = this.#state.names.find(record.bytes, record.start[i], record.end[i])
      const sku = number < 0 ? null : this.#state.sku(number)
      // One that was dropped since is told once more, with its last numbers; nobody has them here any more.
      if (sku === null || sku.generation !== this.#integer(i + 1, 1)) continue
      this.#checkNumbers(sku, i + 2)
      this.#state.marked(sku)
    }
  }

  /** What `name sku generation at pseq balances version` says is so, after the change. */
  #changedSku(sku: Sku): void {
    this.#checkNumbers(sku, 5)
    if (this.#integer(6, 1) !== sku.version) throw this.#contradiction('another version of the SKU')
    this.#skuEvent(sku)
  }

  #skuEvent(sku: Sku): void {
    this.#instant(3)
    this.#event(Outbox.partOf(sku.name, 0, sku.name.length), 4)
  }

  #terms(i: number): SkuTerms {
    return readTerms(this.#record, i, (at, least) => this.#integer(at, least))
  }

  // Arguments

  /** The id, the instant and the items of an order that is not there yet, in `#request` and `#skus`. */
  #newOrder(firstItem: number): OrderRequest {
    const request = this.#request
    request.reset()
    this.#newId(request)
    request.at = this.#instant(2)
    this.#items(firstItem, 1, true)
    if (request.count === 0) throw this.#contradiction('no items')
    for (let i = 0; i < request.count; i++) {
      if (this.#skus[i].available < request.quantity[i]) throw this.#contradiction('more units than available')
    }
    return request
  }

  #newId(request: OrderRequest): void {
    const record = this.#record
    request.setId(record.bytes, record.start[1], record.end[1])
    const { bytes, start, end } = request.id
    const { rows } = this.#state
    request.hash = rows.table.hash(bytes, start, end)
    if (end - start === 0 || end - start > 128) throw this.#contradiction('bad id')
    if (rows.find(bytes, start, end, request.hash) !== 0) throw this.#contradiction('the order is there already')
  }

  #order(): number {
    const record = this.#record
    const { rows } = this.#state
    const { bytes } = record
    const order = rows.find(bytes, record.start[1], record.end[1], rows.table.hash(bytes, record.start[1], record.end[1]))
    if (order === 0) throw this.#contradiction('no such order')
    return order
  }

  #inState(order: number, state: OrderState): void {
    if (this.#state.rows.state(order) !== state) throw this.#contradiction('the order is in another state')
  }

  /** Reads the items from argument `first` on into `#request`, and `#skus` if they must be there now; of a PART the held units, too. */
  #items(first: number, least: number, mustLive: boolean, isPart = false): void {
    const record = this.#record
    const request = this.#request
    request.skuBytes = record.bytes
    request.count = 0
    if ((record.argc - first) % ITEM_ARGUMENTS !== 0) throw this.#contradiction(OTHER_SHAPE)
    for (let i = first; i < record.argc; i += ITEM_ARGUMENTS) {
      const item = request.count
      const quantity = isPart && item < ITEMS_MAX ? this.#soldOfHeld(i + 2, item) : this.#integer(i + 2, least)
      if (quantity > QUANTITY_MAX || !request.addItem(record.start[i], record.end[i], quantity) || request.count === item) {
        throw this.#contradiction('bad items')
      }
      if (mustLive) this.#skus[item] = this.#sku(i)
    }
  }

  /** `sold held` as argument i. @returns what was sold. */
  #soldOfHeld(i: number, item: number): number {
    const { bytes, start, end } = this.#record
    let p = start[i]
    while (p < end[i] && bytes[p] !== SPACE) p++
    const sold = parseInteger(bytes, start[i], p)
    const held = parseInteger(bytes, p + 1, end[i])
    if (!(sold >= 0 && held >= 1 && sold <= held && held <= QUANTITY_MAX)) throw this.#contradiction(`argument ${i} is not what it must be`)
    this.#held[item] = held
    return sold
  }

  /** Sets `chosen` to the quantities that the record's items say of the order's, which must have them. */
  #chosen(order: number, extra: OrderExtra | null, first: number): void {
    this.#items(first, 1, false)
    this.#choose(order, extra, first)
  }

  /** The same for a PART, which names everything that was held. */
  #chosenOfHeld(order: number, extra: OrderExtra | null, first: number): void {
    const { units } = this.#state
    this.#items(first, 0, false, true)
    this.#choose(order, extra, first)
    let named = 0
    for (let item = this.#state.rows.itemCount(order) - 1; item >= 0; item--) if (units[item] > 0) named++
    if (named !== this.#request.count) throw this.#contradiction('not all items that were held')
    for (let i = 0; i < this.#request.count; i++) {
      if (this.#held[i] !== units[this.#places[i]]) throw this.#contradiction('other units were held')
    }
  }

  #choose(order: number, extra: OrderExtra | null, first: number): void {
    const state = this.#state
    const request = this.#request
    state.readUnits(order, extra)
    this.#findInOrder(order, first)
    state.chosen.fill(0, 0, state.rows.itemCount(order))
    for (let i = 0; i < request.count; i++) {
      const item = this.#places[i]
      if (request.quantity[i] > state.units[item]) throw this.#contradiction('more units than there are')
      state.chosen[item] = request.quantity[i]
    }
  }

  /** Which of the order's items the record's are: `#places` and `#skus`. Records name items in the order's own order. */
  #findInOrder(order: number, first: number): void {
    const state = this.#state
    const request = this.#request
    const record = this.#record
    const items = state.rows.itemCount(order)
    let item = 0
    for (let i = 0; i < request.count; i++) {
      while (item < items && !state.skuOf(order, item).isNamed(record.bytes, request.skuStart[i], request.skuEnd[i])) item++
      if (item === items) throw this.#contradiction('a SKU that is not in the order')
      const sku = state.skuOf(order, item)
      if (sku.generation !== this.#integer(first + i * ITEM_ARGUMENTS + 1, 1)) throw this.#contradiction('another generation of the SKU')
      this.#skus[i] = sku
      this.#places[i] = item
    }
  }

  /** The balances after the record are those that it says, and the price and seller those of the order. */
  #checkBalances(order: number, first: number): void {
    const { count } = this.#request
    const sequence = this.#state.rows.sequence(order)
    for (let i = 0; i < count; i++) {
      const sku = this.#skus[i]
      this.#checkNumbers(sku, first + i * ITEM_ARGUMENTS + 3)
      if (!this.#balances.hasTag(sku.tagOf(sequence))) throw this.#contradiction('another price or seller')
    }
  }

  #checkNumbers(sku: Sku, i: number): void {
    const { bytes, start, end } = this.#record
    const balances = this.#balances
    if (!balances.read(bytes, start[i], end[i])) throw this.#contradiction(`argument ${i} is not what it must be`)
    if (balances.isDropped) {
      if (!sku.isDropped) throw this.#contradiction('the SKU was not dropped')
    } else if (balances.available !== sku.available || balances.reserved !== sku.reserved || balances.sold !== sku.sold) {
      const numbers = `${balances.available} ${balances.reserved} ${balances.sold}`
      throw this.#contradiction(`available, reserved, sold are ${sku.available} ${sku.reserved} ${sku.sold}, the record says ${numbers}`)
    }
  }

  #stateAndDeadline(order: number): void {
    if (!this.#record.is(5, ORDER_STATES[this.#state.rows.state(order)])) throw this.#contradiction('the order is in another state')
    this.#deadline(order, 6)
  }

  #deadline(order: number, i: number): void {
    if (this.#integer(i, 0) !== this.#state.rows.deadline(order)) throw this.#contradiction('another deadline')
  }

  #orderRef(extra: OrderExtra | null, i: number): void {
    const { bytes, start, end } = this.#record
    const ref = extra?.ref ?? NOTHING
    if (!sameBytes(ref, bytes, start[i], end[i])) throw this.#contradiction('another REF')
  }

  #versionAndEvent(order: number): void {
    if (this.#integer(3, 1) !== this.#state.rows.version(order)) throw this.#contradiction('another version of the order')
    this.#event(partOfOrder(this.#state, order), 4)
  }

  #event(part: number, i: number): void {
    if (!this.#outbox.replay(part, this.#integer(i, 1)))
      throw this.#contradiction(`the last event of part ${part} was ${this.#outbox.last(part)}`)
  }

  #operation(order: number, kind: number, when: number): Operation | null {
    const record = this.#record
    if (record.length(8) === 0) return null
    const [digestA, digestB] = operationDigest(this.#state, order, record.is(7, 'WHOLE'))
    return { kind, id: record.copy(8), digestA, digestB, when }
  }

  #optional(i: number): Uint8Array | null {
    return this.#record.length(i) === 0 ? null : this.#record.copy(i)
  }

  #slice(slice: { set(bytes: Uint8Array, start: number, end: number): void }, i: number): void {
    slice.set(this.#record.bytes, this.#record.start[i], this.#record.end[i])
  }

  /** The SKU that arguments i (name) and i + 1 (generation) say. */
  #sku(i: number): Sku {
    const record = this.#record
    const number = this.#state.names.find(record.bytes, record.start[i], record.end[i])
    if (number < 0) throw this.#contradiction('no such SKU')
    const sku = this.#state.sku(number)
    if (sku.generation !== this.#integer(i + 1, 1)) throw this.#contradiction('another generation of the SKU')
    return sku
  }

  #instant(i: number): number {
    const at = this.#integer(i, 0)
    if (at > this.newest) this.newest = at
    return at
  }

  #integer(i: number, least: number): number {
    const record = this.#record
    const n = parseInteger(record.bytes, record.start[i], record.end[i])
    if (!(n >= least)) throw this.#contradiction(`argument ${i} is not what it must be`)
    return n
  }

  #arity(least: number, most = Infinity): void {
    if (this.#record.argc < least || this.#record.argc > most) throw this.#contradiction(OTHER_SHAPE)
  }

  #contradiction(why: string): StockdError {
    const record = this.#record
    const about = record.argc > 1 ? ` of '${record.latin1(1).slice(0, 128)}'` : ''
    return new StockdError('LOG_SEMANTIC', `record ${record.latin1(0).slice(0, 64)}${about} contradicts the state: ${why}`)
  }
}
