// The whole ledger as records: what a base of the log holds. Replaying them into an empty ledger gives the same state.
//
//   SNAPSHOT.LEDGER      generation sequence idTime idNumber, the last audit mark, and the outbox's last number of each of its 16 parts
//   SNAPSHOT.SKU         sku generation LIVE|DROPPED version created-total created-terms... terms... total available reserved sold settled
//                        confirmed released expired returned             (terms: 10 arguments, as in STOCK.CREATED)
//   SNAPSHOT.MAXHOLD     sku generation through seconds           (orders up to reservation number `through` were made under it)
//   SNAPSHOT.PRICE       sku generation through price seller      (likewise; of those that kept orders were made under)
//   SNAPSHOT.ADJUSTMENT  sku generation id asked
//   SNAPSHOT.ORDER       id state flags version created sequence deadline at extra [sku generation quantity]...
//   SNAPSHOT.USE         buyer sku generation units
//   SNAPSHOT.COMPLETE    the last one: only then are the buyers' lists in order
//
// `extra` is the order's extra row byte for byte (stock/order-extra.ts). Orders that wait to be forgotten come in the order in which they
// wait: the trimming that later records tell must meet them again.
//
// Every record is the same for equal states, whatever their histories, so the digest of a state is the sum of its records' hashes.

import { parseInteger } from '../../base/decimal.ts'
import { hashBytes, mix } from '../../base/hash.ts'
import type { StockdError } from '../../base/error.ts'
import type { Request } from '../../resp/request.ts'
import type { LedgerState } from '../../stock/ledger-state.ts'
import { OrderExtra } from '../../stock/order-extra.ts'
import { OrderRequest } from '../../stock/order-request.ts'
import { OrderRows, PAID_FLAG, PAYMENT_FLAG, TOMBSTONE_FLAG } from '../../stock/order-rows.ts'
import { PriceTag } from '../../stock/price-tag.ts'
import type { Sku } from '../../stock/sku.ts'
import { ORDER_STATES, OrderState } from '../../stock/state.ts'
import { OTHER_SHAPE } from '../contradiction.ts'
import { Journal } from '../journal.ts'
import { type Outbox, PARTS } from '../outbox.ts'
import { readTerms, writeTerms } from './sku-terms.ts'

/** Records that one piece of a snapshot has: some hundred microseconds. */
const RECORDS_PER_PIECE = 1000
const ROWS_PER_SCAN = 256
const FLAGS = PAID_FLAG | TOMBSTONE_FLAG | PAYMENT_FLAG
const TERMS = 10
const DIGEST_SEED_A = 0x1edce5
const DIGEST_SEED_B = 0x2edce5

type Contradiction = (why: string) => StockdError

export class StockSnapshot {
  readonly #state: LedgerState
  readonly #outbox: Outbox
  readonly #request = new OrderRequest()
  /** While a snapshot is loaded: its SKUs by generation. */
  readonly #loaded = new Map<number, Sku>()
  #contradiction: Contradiction = () => {
    throw new Error('no record is being replayed')
  }
  #record: Request = null as unknown as Request

  constructor(state: LedgerState, outbox: Outbox) {
    this.#state = state
    this.#outbox = outbox
  }

  /** The records, some per `next()`. The state must not change between two. */
  *write(journal: Journal): Generator<void> {
    let records = 0
    for (const _ of this.#records(journal)) {
      if (++records % RECORDS_PER_PIECE === 0) yield
    }
    yield
  }

  /** Two halves of the digest of everything that the snapshot would say. */
  digest(): readonly [number, number] {
    const journal = new Journal()
    let a = 0
    let b = 0
    for (const _ of this.#records(journal)) {
      const h = hashBytes(journal.buffer, 0, journal.length, DIGEST_SEED_A)
      a = (a + h) | 0
      b = (b + mix(h ^ hashBytes(journal.buffer, 0, journal.length, DIGEST_SEED_B))) | 0
      journal.drained()
    }
    return [a, b]
  }

  /** Yields after each record. */
  *#records(journal: Journal): Generator<void> {
    const state = this.#state
    journal.begin(6 + PARTS)
    journal.word('SNAPSHOT.LEDGER')
    journal.integer(state.generation)
    journal.integer(state.sequence)
    journal.integer(state.ids.time)
    journal.integer(state.ids.number)
    journal.integer(this.#outbox.mark)
    for (let part = 0; part < PARTS; part++) journal.integer(this.#outbox.last(part))
    yield
    for (const sku of state.skus) {
      if (sku === null || (sku.isDropped && sku.orderRows === 0)) continue
      this.#writeSku(journal, sku)
      yield
      for (const { through, tag } of sku.earlierTags) {
        journal.begin(6)
        journal.word('SNAPSHOT.PRICE')
        journal.bytes(sku.name)
        journal.integer(sku.generation)
        journal.integer(through)
        journal.integer(tag.price)
        journal.bytes(Buffer.from(tag.seller, 'latin1'))
        yield
      }
      if (sku.isDropped) continue
      for (const earlier of sku.earlierMaxHolds) {
        journal.begin(5)
        journal.word('SNAPSHOT.MAXHOLD')
        journal.bytes(sku.name)
        journal.integer(sku.generation)
        journal.integer(earlier.through)
        journal.integer(earlier.seconds)
        yield
      }
      if (sku.adjustments === null) continue
      for (const [id, asked] of sku.adjustments) {
        journal.begin(5)
        journal.word('SNAPSHOT.ADJUSTMENT')
        journal.bytes(sku.name)
        journal.integer(sku.generation)
        journal.bytes(Buffer.from(id, 'latin1'))
        journal.integer(asked)
        yield
      }
    }
    for (const list of [state.closed, state.confirmed]) {
      for (let order = list.first; order !== 0; order = list.next(order)) {
        this.#writeOrder(journal, order)
        yield
      }
    }
    for (const sku of state.skus) if (sku !== null) yield* this.#holdsOf(journal, sku)
    yield* this.#uses(journal)
    journal.begin(1)
    journal.word('SNAPSHOT.COMPLETE')
    yield
  }

  /** The open orders of this SKU, but for those that come with an earlier item. */
  *#holdsOf(journal: Journal, sku: Sku): Generator<void> {
    const { rows } = this.#state
    let page: number[] = []
    let deadline = 0
    let sequence = 0
    do {
      page = []
      sku.holds.forEachAfter(deadline, sequence, (order) => page.push(order) < ROWS_PER_SCAN)
      for (const order of page) {
        deadline = rows.deadline(order)
        sequence = rows.sequence(order)
        if (this.#firstHeld(order) !== sku.number) continue
        this.#writeOrder(journal, order)
        yield
      }
    } while (page.length > 0)
  }

  #firstHeld(order: number): number {
    const state = this.#state
    if (state.rows.itemCount(order) === 1) return state.rows.itemSku(order, 0)
    state.readUnits(order, state.extraOf(order))
    let i = 0
    while (state.units[i] === 0) i++
    return state.rows.itemSku(order, i)
  }

  *#uses(journal: Journal): Generator<void> {
    const { buyers } = this.#state
    let cursor = 0
    const page: number[] = []
    do {
      page.length = 0
      cursor = buyers.table.scan(cursor, ROWS_PER_SCAN, (buyer) => page.push(buyer))
      for (const buyer of page) {
        const uses: [Sku, number][] = []
        buyers.forEachUse(buyer, (sku, units) => uses.push([sku, units]))
        for (const [sku, units] of uses) {
          journal.begin(5)
          journal.word('SNAPSHOT.USE')
          journal.bytes(buyers.bytes(buyer), buyers.nameStart(buyer), buyers.nameEnd(buyer))
          journal.bytes(sku.name)
          journal.integer(sku.generation)
          journal.integer(units)
          yield
        }
      }
    } while (cursor !== 0)
  }

  #writeSku(journal: Journal, sku: Sku): void {
    journal.begin(6 + TERMS * 2 + 9)
    journal.word('SNAPSHOT.SKU')
    journal.bytes(sku.name)
    journal.integer(sku.generation)
    journal.word(sku.isDropped ? 'DROPPED' : 'LIVE')
    // Of a dropped SKU only the name counts.
    journal.integer(sku.isDropped ? 0 : sku.version)
    journal.integer(sku.origin.total)
    writeTerms(journal, sku.origin.terms)
    writeTerms(journal, sku.terms)
    const { total, available, reserved, sold, settled, confirmedUnits, releasedUnits, expiredUnits, returnedUnits } = sku
    for (const n of [total, available, reserved, sold, settled, confirmedUnits, releasedUnits, expiredUnits, returnedUnits]) {
      journal.integer(sku.isDropped ? 0 : n)
    }
  }

  #writeOrder(journal: Journal, order: number): void {
    const { rows } = this.#state
    const items = rows.itemCount(order)
    const start = rows.idStart(order)
    journal.begin(10 + items * 3)
    journal.word('SNAPSHOT.ORDER')
    journal.bytes(rows.bytes(order), start, start + rows.idLength(order))
    journal.word(ORDER_STATES[rows.state(order)])
    journal.integer(rows.word(order, 0) & FLAGS)
    journal.integer(rows.version(order))
    journal.integer(rows.created(order))
    journal.integer(rows.sequence(order))
    journal.integer(rows.deadline(order))
    journal.integer(rows.at(order))
    journal.bytes(OrderExtra.bytesOf(rows, order))
    for (let i = 0; i < items; i++) {
      const sku = this.#state.skuOf(order, i)
      journal.bytes(sku.name)
      journal.integer(sku.generation)
      journal.integer(rows.itemQuantity(order, i))
    }
  }

  // Loading

  /** @returns false if the record is none of a snapshot's. */
  replay(record: Request, contradiction: Contradiction): boolean {
    this.#record = record
    this.#contradiction = contradiction
    switch (record.latin1(0)) {
      case 'SNAPSHOT.LEDGER':
        this.#loadLedger()
        return true
      case 'SNAPSHOT.SKU':
        this.#loadSku()
        return true
      case 'SNAPSHOT.MAXHOLD':
        this.#arity(5)
        this.#sku(1).earlierMaxHolds.push({ through: this.#integer(3), seconds: this.#integer(4, 1) })
        return true
      case 'SNAPSHOT.PRICE':
        this.#loadPrice()
        return true
      case 'SNAPSHOT.ADJUSTMENT':
        this.#loadAdjustment()
        return true
      case 'SNAPSHOT.ORDER':
        this.#loadOrder()
        return true
      case 'SNAPSHOT.USE':
        this.#loadUse()
        return true
      case 'SNAPSHOT.COMPLETE':
        this.#state.buyers.sortLists()
        this.#loaded.clear()
        return true
      default:
        return false
    }
  }

  #loadLedger(): void {
    const state = this.#state
    this.#arity(6 + PARTS)
    if (state.skus.length > 0 || state.rows.table.size > 0) throw this.#contradiction('the ledger is not empty')
    state.generation = this.#integer(1)
    state.sequence = this.#integer(2)
    state.ids.time = this.#integer(3)
    state.ids.number = this.#integer(4, -1)
    this.#outbox.mark = this.#integer(5)
    for (let part = 0; part < PARTS; part++) this.#outbox.restore(part, this.#integer(6 + part))
  }

  #loadSku(): void {
    const record = this.#record
    this.#arity(6 + TERMS * 2 + 9)
    const integer = (i: number, least: number): number => this.#integer(i, least)
    const generation = this.#integer(2, 1)
    const isDropped = record.is(3, 'DROPPED')
    const name = record.copy(1)
    if (this.#loaded.has(generation) || (!isDropped && this.#state.names.find(name, 0, name.length) !== -1))
      throw this.#contradiction('it is there already')
    const origin = { total: this.#integer(5), terms: readTerms(record, 6, integer) }
    const sku = this.#state.loadSku({ name, generation, origin, isDropped })
    this.#loaded.set(generation, sku)
    sku.version = this.#integer(4)
    sku.terms = readTerms(record, 6 + TERMS, integer)
    const first = 6 + TERMS * 2
    sku.total = this.#integer(first)
    sku.available = this.#integer(first + 1)
    sku.reserved = this.#integer(first + 2)
    sku.sold = this.#integer(first + 3)
    sku.settled = this.#integer(first + 4)
    sku.confirmedUnits = this.#integer(first + 5)
    sku.releasedUnits = this.#integer(first + 6)
    sku.expiredUnits = this.#integer(first + 7)
    sku.returnedUnits = this.#integer(first + 8)
    if (sku.total !== sku.available + sku.reserved + sku.sold) throw this.#contradiction('total = available + reserved + sold')
  }

  #loadPrice(): void {
    this.#arity(6)
    const { earlierTags } = this.#sku(1)
    const through = this.#integer(3, 1)
    if (earlierTags.length > 0 && earlierTags[earlierTags.length - 1].through >= through) throw this.#contradiction('not the next one')
    // Its orders are counted as they come.
    earlierTags.push({ through, tag: new PriceTag(this.#integer(4, -1), this.#record.latin1(5)), orders: 0 })
  }

  #loadAdjustment(): void {
    this.#arity(5)
    const sku = this.#sku(1)
    sku.adjustments ??= new Map()
    sku.adjustments.set(this.#record.latin1(3), this.#integer(4, -Number.MAX_SAFE_INTEGER))
  }

  #loadOrder(): void {
    const record = this.#record
    const state = this.#state
    const { rows } = state
    const items = (record.argc - 10) / 3
    if (!(items >= 0 && items <= 100 && Number.isInteger(items))) throw this.#contradiction(OTHER_SHAPE)
    const request = this.#request
    request.reset()
    request.setId(record.bytes, record.start[1], record.end[1])
    const { bytes, start, end } = request.id
    const hash = rows.table.hash(bytes, start, end)
    if (end - start === 0 || end - start > 128 || rows.find(bytes, start, end, hash) !== 0) throw this.#contradiction('it is there already')
    const orderState = ORDER_STATES.indexOf(record.latin1(2) as 'RESERVED')
    if (orderState < OrderState.RESERVED) throw this.#contradiction('no such state')
    const isWide = items > 0 && OrderRows.isWide(this.#sku(10).number, this.#integer(12, 1))
    const order = rows.create(bytes, start, end, hash, { items, isWide })
    rows.setState(order, orderState)
    rows.setFlag(order, this.#integer(3) & FLAGS)
    rows.setVersion(order, this.#integer(4, 1))
    rows.setCreated(order, this.#integer(5), this.#integer(6))
    rows.setTimes(order, this.#integer(7), this.#integer(8))
    for (let i = 0; i < items; i++) rows.setItem(order, i, this.#sku(10 + i * 3).number, this.#integer(12 + i * 3, 1))
    OrderExtra.load(rows, order, record.bytes.subarray(record.start[9], record.end[9]))
    state.loadOrder(order, request)
  }

  #loadUse(): void {
    this.#arity(5)
    const record = this.#record
    const { buyers } = this.#state
    buyers.use(buyers.findOrAdd(record.bytes, record.start[1], record.end[1]), this.#sku(2), this.#integer(4, 1))
  }

  /** The SKU that arguments i (name) and i + 1 (generation) say. */
  #sku(i: number): Sku {
    const record = this.#record
    const sku = this.#loaded.get(this.#integer(i + 1, 1))
    if (sku === undefined || !sku.isNamed(record.bytes, record.start[i], record.end[i])) throw this.#contradiction('no such SKU')
    return sku
  }

  #integer(i: number, least = 0): number {
    const record = this.#record
    const n = parseInteger(record.bytes, record.start[i], record.end[i])
    if (!(n >= least)) throw this.#contradiction(`argument ${i} is not what it must be`)
    return n
  }

  #arity(argc: number): void {
    if (this.#record.argc !== argc) throw this.#contradiction(OTHER_SHAPE)
  }
}
