// Makes the events of a record from its bytes and nothing else: the log can be read from anywhere, by anybody, at any time.
//
// The JSON has the fields of COMMANDS.md section 7 in that order, then what this implementation adds. Zeros of `change` are left out.
//
//   every event      schema id type time order buyer shard version state deadline ref reason late items stock, [encoding]
//   items            sku qty price seller, generation change
//   stock            sku total available reserved sold, generation change
//   order.released, order.returned   operation (its ID, or null)
//   order.payment_orphaned           `ref` is that of the payment that achieved nothing, not the order's
//   stock.*          `version` is the SKU's; order, buyer, state are null
//   stock.created, stock.altered     terms
//   stock.adjusted                   adjustment: id asked applied
//   stock.soldout, stock.available   sellable
//   audit.mark       mark: its number; `stock` has what changed since the mark before, and no `change`. One event for each part
//
// What stays true: the changes of all events of a SKU (one generation), of all parts, up to a record add up to the numbers that the record
// states; an order's item is the sum of its changes. No number is above 2^53 - 1: records have none.

import { parseInteger } from '../../base/decimal.ts'
import { StockdError } from '../../base/error.ts'
import type { Request } from '../../resp/request.ts'
import { Outbox, PARTS } from '../outbox.ts'
import { Balances } from '../records/balances.ts'
import { EVENT_SCHEMA_VERSION, type EventType, type OutboxEvent } from './event.ts'
import { isUtf8, JsonWriter } from './json-writer.ts'

type Sink = (event: OutboxEvent) => void

const ITEM_ARGUMENTS = 4
const MARKED_ARGUMENTS = 3
const POINT = 46
const SPACE = 32
const OPEN_BRACE = 123
const CLOSE_BRACE = 125
/** No such argument. */
const NONE = -1

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** What a unit's move does to an item (reserved, sold, released, returned) and to its SKU (total, available, reserved, sold). */
const RESERVE = [1, 0, 0, 0, /**/ 0, -1, 1, 0] as const
const PAY = [0, 1, 0, 0, /**/ 0, -1, 0, 1] as const
const SELL = [-1, 1, 0, 0, /**/ 0, 0, -1, 1] as const
const SELL_LATE = [0, 1, -1, 0, /**/ 0, -1, 0, 1] as const
const RELEASE = [-1, 0, 1, 0, /**/ 0, 1, -1, 0] as const
const RESTOCK = [0, -1, 0, 1, /**/ 0, 1, 0, -1] as const
const WRITE_OFF = [0, -1, 0, 1, /**/ -1, 0, 0, -1] as const
const STAY = [0, 0, 0, 0, /**/ 0, 0, 0, 0] as const
type Move = readonly [number, number, number, number, number, number, number, number]

const ITEM_CHANGES = ['"reserved":', '"sold":', '"released":', '"returned":'].map(ascii)
const STOCK_CHANGES = ['"total":', '"available":', '"reserved":', '"sold":'].map(ascii)

const TYPES = new Map<EventType, Uint8Array>()
function typeAndTime(type: EventType): Uint8Array {
  let text = TYPES.get(type)
  if (text === undefined) TYPES.set(type, (text = ascii(`","type":"${type}","time":`)))
  return text
}

const ORDER = ascii(',"order":')
const BUYER = ascii(',"buyer":')
const NO_ORDER = ascii(',"order":null,"buyer":null')
const SHARD = ascii(',"shard":')
const VERSION = ascii(',"version":')
const STATE = ascii(',"state":"')
const DEADLINE = ascii('","deadline":')
const NO_STATE = ascii(',"state":null,"deadline":0')
const REF = ascii(',"ref":')
const NO_REF = ascii(',"ref":null')
const REASON = ascii(',"reason":')
const NO_REASON = ascii(',"reason":null')
const ITEMS = ascii(',"late":false,"items":[')
const LATE_ITEMS = ascii(',"late":true,"items":[')
const STOCK = ascii('],"stock":[')
const NO_ITEMS = ascii(',"late":false,"items":[],"stock":[')
const FIRST_SKU = ascii('{"sku":')
const NEXT_SKU = ascii(',{"sku":')
const QTY = ascii(',"qty":')
const PRICE = ascii(',"price":')
const SELLER = ascii(',"seller":')
const NO_PRICE = ascii(',"price":null')
const NO_SELLER = ascii(',"seller":null')
const TOTAL = ascii(',"total":')
const AVAILABLE = ascii(',"available":')
const RESERVED = ascii(',"reserved":')
const SOLD = ascii(',"sold":')
const GENERATION = ascii(',"generation":')
const CHANGE = ascii(',"change":{')
const END_SKU = ascii('}}')
const BRACE = ascii('}')
const COMMA = ascii(',')
const END_STOCK = ascii(']')
const LATIN1 = ascii(',"encoding":"latin1"')
const OPERATION = ascii(',"operation":')
const MARK = ascii(',"mark":')
const SELLABLE = ascii(',"sellable":')
const ADJUSTMENT = ascii(',"adjustment":{"id":')
const ASKED = ascii(',"asked":')
const APPLIED = ascii(',"applied":')
/** The terms of a record, in its order (records/sku-terms.ts), before price, seller and state. */
const TERMS = ['"hold":', ',"maxhold":', ',"limit":', ',"maxqty":', ',"safety":', ',"start":', ',"end":'].map(ascii)
const TERMS_OPEN = ascii(',"terms":{')
const PAUSED = ascii(',"paused":true}')
const NOT_PAUSED = ascii(',"paused":false}')
const STATE_WORDS = { RESERVED: ascii('RESERVED'), CONFIRMED: ascii('CONFIRMED'), EXPIRED: ascii('EXPIRED') } as const

export class EventDecoder {
  readonly #head: Uint8Array
  readonly #json = new JsonWriter()
  readonly #balances = new Balances()
  #record: Request = null as unknown as Request
  #lsn = 0

  /** @param stream the history's name: see event.ts */
  constructor(stream: string) {
    if (!/^[\w-]+$/.test(stream)) throw new RangeError(`not a stream's name: '${stream}'`)
    this.#head = ascii(`{"schema":${EVENT_SCHEMA_VERSION},"id":"${stream}-`)
  }

  /** Tells `sink` the events of a record: none, one, or 16 (an audit mark). A record that is not what it must be throws LOG_SEMANTIC. */
  decode(record: Request, lsn: number, sink: Sink): void {
    // Records of the ledger are ORDER.x, STOCK.x and AUDIT.x; those of ordinary keys have no such names.
    if (record.length(0) < 6 || record.bytes[record.start[0] + 5] !== POINT) return
    this.#record = record
    this.#lsn = lsn
    if (record.is(0, 'ORDER.RESERVED')) return this.#reserved(sink)
    switch (record.latin1(0)) {
      case 'ORDER.CONFIRMED':
        return this.#confirmed(sink)
      case 'ORDER.RELEASED':
        return this.#released(sink)
      case 'ORDER.EXPIRED':
        return this.#expired(sink)
      case 'ORDER.EXTENDED':
        return this.#extended(sink)
      case 'ORDER.RETURNED':
        return this.#returned(sink)
      case 'ORDER.PAYMENT_ORPHANED':
        return this.#orphaned(sink)
      case 'STOCK.CREATED':
        return this.#created(sink)
      case 'STOCK.ALTERED':
        return this.#altered(sink)
      case 'STOCK.ADJUSTED':
        return this.#adjusted(sink)
      case 'STOCK.DROPPED':
        return this.#dropped(sink)
      case 'STOCK.SOLDOUT':
        return this.#sellable('stock.soldout', sink)
      case 'STOCK.AVAILABLE':
        return this.#sellable('stock.available', sink)
      case 'AUDIT.MARK':
        return this.#marked(sink)
      case 'ORDER.TOMBSTONE':
      case 'ORDER.GRACED':
      case 'ORDER.TRIMMED':
        return
      default:
        throw this.#bad('it is unknown: written by a newer stockd?')
    }
  }

  // Orders

  #reserved(sink: Sink): void {
    const first = 5 + this.#options(5)
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.reserved', at)
    this.#state(1, STATE_WORDS.RESERVED, at + this.#integer(3, 1))
    this.#refAndReason(first === 7 ? 6 : NONE, NONE)
    this.#items(first, RESERVE, ITEMS)
    this.#end({ type: 'order.reserved', shard, time: at }, sink)
  }

  #confirmed(sink: Sink): void {
    const record = this.#record
    const options = this.#options(7)
    const first = 7 + options
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.confirmed', at)
    this.#state(this.#integer(3, 1), STATE_WORDS.CONFIRMED, this.#integer(6, 0))
    const own = (options & 2) === 2 ? first - 2 : NONE
    this.#refAndReason((options & 1) === 1 ? 7 : own, own === NONE ? NONE : own + 1)
    if (record.is(5, 'SALE')) this.#items(first, SELL, ITEMS)
    else if (record.is(5, 'PART')) this.#items(first, SELL, ITEMS, true)
    else if (record.is(5, 'LATE')) this.#items(first, SELL_LATE, LATE_ITEMS)
    else if (record.is(5, 'ADOPTED')) this.#items(first, STAY, ITEMS)
    else if (record.is(5, 'PAID') || record.is(5, 'PAID*')) this.#items(first, PAY, ITEMS)
    else throw this.#bad('unknown kind of sale')
    this.#end({ type: 'order.confirmed', shard, time: at }, sink)
  }

  #released(sink: Sink): void {
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.released', at)
    this.#changedState()
    this.#refAndReason(9, 10)
    this.#items(11, RELEASE, ITEMS)
    this.#name(OPERATION, 8)
    this.#end({ type: 'order.released', shard, time: at }, sink)
  }

  #expired(sink: Sink): void {
    const options = this.#options(5)
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.expired', at)
    this.#state(this.#integer(3, 1), STATE_WORDS.EXPIRED, at)
    this.#refAndReason(options === 2 ? 5 : NONE, options === 2 ? 6 : NONE)
    this.#items(5 + options, RELEASE, ITEMS)
    this.#end({ type: 'order.expired', shard, time: at }, sink)
  }

  #extended(sink: Sink): void {
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.extended', at)
    this.#state(this.#integer(3, 1), STATE_WORDS.RESERVED, this.#integer(5, 0))
    const hasOwn = this.#record.argc === 8
    this.#refAndReason(hasOwn ? 6 : NONE, hasOwn ? 7 : NONE)
    this.#json.raw(NO_ITEMS)
    this.#json.raw(END_STOCK)
    this.#end({ type: 'order.extended', shard, time: at }, sink)
  }

  #returned(sink: Sink): void {
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.returned', at)
    this.#changedState()
    this.#refAndReason(9, 10)
    this.#items(12, this.#record.is(11, 'NORESTOCK') ? WRITE_OFF : RESTOCK, ITEMS)
    this.#name(OPERATION, 8)
    this.#end({ type: 'order.returned', shard, time: at }, sink)
  }

  #orphaned(sink: Sink): void {
    const at = this.#integer(2, 0)
    const shard = this.#begin('order.payment_orphaned', at)
    this.#changedState()
    this.#refAndReason(7, 8)
    this.#json.raw(NO_ITEMS)
    this.#json.raw(END_STOCK)
    this.#end({ type: 'order.payment_orphaned', shard, time: at }, sink)
  }

  // SKUs

  #created(sink: Sink): void {
    const json = this.#json
    const total = this.#integer(5, 0)
    const { shard, time } = this.#beginSku('stock.created', 1)
    this.#refAndReason(NONE, NONE)
    json.raw(NO_ITEMS)
    this.#sku(FIRST_SKU, 1)
    json.field(TOTAL, total)
    json.field(AVAILABLE, total)
    json.field(RESERVED, 0)
    json.field(SOLD, 0)
    json.field(GENERATION, this.#integer(2, 1))
    this.#stockChange(total, total, 0, 0)
    json.raw(END_STOCK)
    this.#terms(6)
    this.#end({ type: 'stock.created', shard, time }, sink)
  }

  #altered(sink: Sink): void {
    const { shard, time } = this.#beginSku('stock.altered', this.#integer(6, 1))
    this.#refAndReason(NONE, NONE)
    this.#stockOfSku(0)
    this.#terms(7)
    this.#end({ type: 'stock.altered', shard, time }, sink)
  }

  #adjusted(sink: Sink): void {
    const json = this.#json
    const { shard, time } = this.#beginSku('stock.adjusted', this.#integer(6, 1))
    const applied = this.#integer(9, -Number.MAX_SAFE_INTEGER)
    this.#refAndReason(11, 10)
    this.#stockOfSku(applied)
    this.#name(ADJUSTMENT, 7)
    json.field(ASKED, this.#integer(8, -Number.MAX_SAFE_INTEGER))
    json.field(APPLIED, applied)
    json.raw(BRACE)
    this.#end({ type: 'stock.adjusted', shard, time }, sink)
  }

  #dropped(sink: Sink): void {
    const { shard, time } = this.#beginSku('stock.dropped', this.#integer(6, 1))
    this.#refAndReason(NONE, NONE)
    this.#stockOfSku(0)
    this.#end({ type: 'stock.dropped', shard, time }, sink)
  }

  #sellable(type: EventType, sink: Sink): void {
    const { shard, time } = this.#beginSku(type, this.#integer(6, 1))
    this.#refAndReason(NONE, NONE)
    this.#stockOfSku(0)
    this.#json.field(SELLABLE, this.#integer(7, 0))
    this.#end({ type, shard, time }, sink)
  }

  #marked(sink: Sink): void {
    const record = this.#record
    const json = this.#json
    const first = 3 + PARTS
    if (record.argc < first || (record.argc - first) % MARKED_ARGUMENTS !== 0) throw this.#bad('wrong number of arguments')
    const time = this.#integer(1, 0)
    for (let part = 0; part < PARTS; part++) {
      this.#beginBody('audit.mark', time)
      json.raw(NO_ORDER)
      json.field(SHARD, Outbox.firstShardOf(part))
      json.field(VERSION, 0)
      json.raw(NO_STATE)
      this.#refAndReason(NONE, NONE)
      json.raw(NO_ITEMS)
      for (let i = first; i < record.argc; i += MARKED_ARGUMENTS) {
        this.#readBalances(i + 2)
        this.#sku(i === first ? FIRST_SKU : NEXT_SKU, i)
        this.#numbers(this.#integer(i + 1, 1))
        json.raw(BRACE)
      }
      json.raw(END_STOCK)
      json.field(MARK, this.#integer(2, 1))
      this.#finish({ type: 'audit.mark', part, pseq: this.#integer(3 + part, 1), time }, sink)
    }
  }

  // What events are made of

  /** The beginning of an order's event, up to its shard. @returns the shard */
  #begin(type: EventType, time: number): number {
    const json = this.#json
    const { bytes, start, end } = this.#record
    this.#beginBody(type, time)
    const from = start[1]
    const to = end[1]
    if (from === to) throw this.#bad('an order without id')
    json.raw(ORDER)
    json.name(bytes, from, to)
    let open = from
    while (open < to && bytes[open] !== OPEN_BRACE) open++
    let close = open + 1
    while (close < to && bytes[close] !== CLOSE_BRACE) close++
    const hasBuyer = close < to && close > open + 1
    json.nameField(BUYER, bytes, hasBuyer ? open + 1 : 0, hasBuyer ? close : 0)
    const shard = hasBuyer ? Outbox.shardOf(bytes, open + 1, close) : Outbox.shardOf(bytes, from, to)
    json.field(SHARD, shard)
    return shard
  }

  /** The beginning of a SKU's event, up to its reason. */
  #beginSku(type: EventType, version: number): { readonly shard: number; readonly time: number } {
    const json = this.#json
    const { bytes, start, end } = this.#record
    const time = this.#integer(3, 0)
    this.#beginBody(type, time)
    json.raw(NO_ORDER)
    const shard = Outbox.shardOf(bytes, start[1], end[1])
    json.field(SHARD, shard)
    json.field(VERSION, version)
    json.raw(NO_STATE)
    return { shard, time }
  }

  #beginBody(type: EventType, time: number): void {
    const json = this.#json
    json.begin()
    json.isLatin1 = this.#needsLatin1()
    json.raw(this.#head)
    json.number(this.#lsn)
    json.raw(typeAndTime(type))
    json.number(time)
  }

  #state(version: number, state: Uint8Array, deadline: number): void {
    const json = this.#json
    json.field(VERSION, version)
    json.raw(STATE)
    json.raw(state)
    json.field(DEADLINE, deadline)
  }

  /** `version`, and the state and deadline that the record says. */
  #changedState(): void {
    const { bytes, start, end } = this.#record
    this.#state(this.#integer(3, 1), bytes.subarray(start[5], end[5]), this.#integer(6, 0))
  }

  /** @param ref, reason which arguments they are, or NONE */
  #refAndReason(ref: number, reason: number): void {
    if (ref === NONE) this.#json.raw(NO_REF)
    else this.#name(REF, ref)
    if (reason === NONE) this.#json.raw(NO_REASON)
    else this.#name(REASON, reason)
  }

  /** `items` and `stock` of the items from argument `first` on, whose units made this move; of a PART, those not sold went back. */
  #items(first: number, move: Move, opening: Uint8Array, isPart = false): void {
    const record = this.#record
    const json = this.#json
    const { argc } = record
    if (argc <= first || (argc - first) % ITEM_ARGUMENTS !== 0) throw this.#bad('wrong number of arguments')
    json.raw(opening)
    for (let i = first; i < argc; i += ITEM_ARGUMENTS) {
      const quantity = isPart ? this.#soldOfHeld(i + 2) : this.#integer(i + 2, 0)
      const rest = isPart ? this.#heldOf(i + 2) - quantity : 0
      this.#readBalances(i + 3)
      this.#sku(i === first ? FIRST_SKU : NEXT_SKU, i)
      json.field(QTY, quantity)
      this.#tag()
      json.field(GENERATION, this.#integer(i + 1, 1))
      json.raw(CHANGE)
      let isFirst = true
      for (let k = 0; k < 4; k++) {
        const n = move[k] * quantity + RELEASE[k] * rest
        if (n === 0) continue
        if (!isFirst) json.raw(COMMA)
        json.field(ITEM_CHANGES[k], n)
        isFirst = false
      }
      json.raw(END_SKU)
    }
    json.raw(STOCK)
    let isFirst = true
    for (let i = first; i < argc; i += ITEM_ARGUMENTS) {
      const quantity = isPart ? this.#soldOfHeld(i + 2) : this.#integer(i + 2, 0)
      const rest = isPart ? this.#heldOf(i + 2) - quantity : 0
      this.#readBalances(i + 3)
      if (this.#balances.isDropped) continue
      this.#sku(isFirst ? FIRST_SKU : NEXT_SKU, i)
      isFirst = false
      this.#numbers(this.#integer(i + 1, 1))
      this.#stockChange(
        move[4] * quantity + RELEASE[4] * rest,
        move[5] * quantity + RELEASE[5] * rest,
        move[6] * quantity + RELEASE[6] * rest,
        move[7] * quantity + RELEASE[7] * rest,
      )
    }
    json.raw(END_STOCK)
  }

  /** No items, and in `stock` the SKU that the record is about, whose total and available changed so much. */
  #stockOfSku(change: number): void {
    const json = this.#json
    this.#readBalances(5)
    json.raw(NO_ITEMS)
    this.#sku(FIRST_SKU, 1)
    this.#numbers(this.#integer(2, 1))
    this.#stockChange(change, change, 0, 0)
    json.raw(END_STOCK)
  }

  #sku(opening: Uint8Array, i: number): void {
    const { bytes, start, end } = this.#record
    if (start[i] === end[i]) throw this.#bad('a SKU without name')
    this.#json.raw(opening)
    this.#json.name(bytes, start[i], end[i])
  }

  #numbers(generation: number): void {
    const json = this.#json
    const { total, available, reserved, sold } = this.#balances
    json.field(TOTAL, total)
    json.field(AVAILABLE, available)
    json.field(RESERVED, reserved)
    json.field(SOLD, sold)
    json.field(GENERATION, generation)
  }

  /** `change` of `stock`, and the end of its SKU. */
  #stockChange(total: number, available: number, reserved: number, sold: number): void {
    const json = this.#json
    json.raw(CHANGE)
    let isFirst = true
    for (let k = 0; k < 4; k++) {
      const n = k === 0 ? total : k === 1 ? available : k === 2 ? reserved : sold
      if (n === 0) continue
      if (!isFirst) json.raw(COMMA)
      json.field(STOCK_CHANGES[k], n)
      isFirst = false
    }
    json.raw(END_SKU)
  }

  /** Price and seller that `#balances` has read. */
  #tag(): void {
    const json = this.#json
    const { bytes, tagStart, end } = this.#balances
    if (tagStart === end) {
      json.raw(NO_PRICE)
      json.raw(NO_SELLER)
      return
    }
    const priceEnd = this.#balances.priceEnd()
    if (priceEnd === -1) throw this.#bad('a price that is none')
    const price = parseInteger(bytes, tagStart + 1, priceEnd)
    if (price === -1) json.raw(NO_PRICE)
    else json.field(PRICE, price)
    if (priceEnd === end) json.raw(NO_SELLER)
    else json.nameField(SELLER, bytes, priceEnd + 1, end)
  }

  #terms(first: number): void {
    const json = this.#json
    const record = this.#record
    json.raw(TERMS_OPEN)
    for (let k = 0; k < TERMS.length; k++) json.field(TERMS[k], this.#integer(first + k, 0))
    const price = this.#integer(first + 7, -1)
    if (price === -1) json.raw(NO_PRICE)
    else json.field(PRICE, price)
    this.#name(SELLER, first + 8)
    json.raw(record.is(first + 9, 'PAUSED') ? PAUSED : NOT_PAUSED)
  }

  #name(key: Uint8Array, i: number): void {
    const { bytes, start, end } = this.#record
    if (i >= this.#record.argc) throw this.#bad('wrong number of arguments')
    this.#json.nameField(key, bytes, start[i], end[i])
  }

  #end(event: { readonly type: EventType; readonly shard: number; readonly time: number }, sink: Sink): void {
    const { type, shard, time } = event
    this.#finish({ type, part: Outbox.partOfShard(shard), pseq: this.#integer(4, 1), time }, sink)
  }

  #finish(event: { readonly type: EventType; readonly part: number; readonly pseq: number; readonly time: number }, sink: Sink): void {
    const json = this.#json
    if (json.isLatin1) json.raw(LATIN1)
    json.raw(BRACE)
    const { type, part, pseq, time } = event
    sink({ lsn: this.#lsn, part, pseq, type, time, body: json.copy() })
  }

  // Arguments

  /** How many optional arguments there are between the first `fixed` ones and the items. */
  #options(fixed: number): number {
    const { argc } = this.#record
    if (argc < fixed) throw this.#bad('wrong number of arguments')
    return (argc - fixed) % ITEM_ARGUMENTS
  }

  #soldOfHeld(i: number): number {
    const { bytes, start, end } = this.#record
    const n = parseInteger(bytes, start[i], spaceIn(bytes, start[i], end[i]))
    if (!(n >= 0)) throw this.#bad(`argument ${i} is not what it must be`)
    return n
  }

  #heldOf(i: number): number {
    const { bytes, start, end } = this.#record
    const n = parseInteger(bytes, spaceIn(bytes, start[i], end[i]) + 1, end[i])
    if (!(n >= 1)) throw this.#bad(`argument ${i} is not what it must be`)
    return n
  }

  #readBalances(i: number): void {
    const { bytes, start, end } = this.#record
    if (!this.#balances.read(bytes, start[i], end[i])) throw this.#bad(`argument ${i} is not what it must be`)
  }

  #integer(i: number, least: number): number {
    const record = this.#record
    const n = i < record.argc ? parseInteger(record.bytes, record.start[i], record.end[i]) : NaN
    if (!(n >= least)) throw this.#bad(`argument ${i} is not what it must be`)
    return n
  }

  /** True if some name of the record is not UTF-8. */
  #needsLatin1(): boolean {
    const { bytes, start, end, argc } = this.#record
    const last = end[argc - 1]
    let i = start[1]
    while (i < last && bytes[i] < 128) i++
    if (i === last) return false
    for (let k = 1; k < argc; k++) if (!isUtf8(bytes, start[k], end[k])) return true
    return false
  }

  #bad(why: string): StockdError {
    return new StockdError('LOG_SEMANTIC', `record ${this.#lsn}, ${this.#record.latin1(0).slice(0, 64)}, makes no event: ${why}`)
  }
}

function spaceIn(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  while (p < end && bytes[p] !== SPACE) p++
  return p
}
