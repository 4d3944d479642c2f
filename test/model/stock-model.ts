// The stock commands once more, as plainly as they can be said: Maps, objects and scans over everything. The oracle of the real
// ledger: both get the same commands at the same instants and must give the same bytes.
//
// Written from the contract's text alone. Names are latin1 text (one character per byte). Nothing here is meant to be fast.
//
// Questions to the text, with the reading taken here:
//  1. Quantities of equal SKUs are summed; a sum above 10^9 is out of range (ERR), as a single quantity would be.
//  2. "At most 100 items" counts distinct SKUs.
//  3. A RESERVE's REF without PAID is the order's reference, not a payment: the sale may still adopt a payment's REF.
//  4. CONFIRM without REF on a CONFIRMED order is `OK replay` whatever its ITEMS. A REF offered to a sale without REF with ITEMS other
//     than were sold has achieved nothing: CONFIRMED, empty detail, orphaned. So has one that was orphaned before the sale.
//  5. An operation id is looked up before the order's state ("replay, conflict, or its state"); a replay answers the operation's own
//     time. An id that named a RETURN is a conflict for RELEASE, and the other way round.
//  6. LATE for an order without a buyer is ERR if the SKU has a LIMIT by now, as for RESERVE. MAXQTY was judged by RESERVE.
//  7. EXTEND's cap is the smallest MAXHOLD, as it was at reservation (ALTER never touches existing orders), of the SKUs that the order
//     still holds units of. `capped`: the deadline in force is earlier than the one asked for.
//  8. RETURN of a RESERVED order answers the instant it was reserved ("when that happened").
//  9. An item's row keeps `reserved + sold + released + returned = quantity`; expired units count as released.
// 10. Retention ends at the instant `at + retention`, as a hold ends at its deadline. A REF adopted later does not prolong it.
// 11. DROP FORCE releases the orders that still hold units of the SKU, in the order in which they would have expired.
// 12. CLAMP of a write-off with nothing available is `OK clamped` by 0, and its id is remembered.
// 13. INFO, SHELVES and VERIFY of an unknown SKU are NOSKU, as HOLDS is.
// 14. Refusals count in `refused_*` for RESERVE only, on the SKU that refused (MAXQTY as limit), and start at 0 after a restart.
// 15. A SKU that is paused and not yet started is PENDING; one past END is ENDED, paused or not.
// 16. ALTER to the terms that are in force changes nothing (no version, no event). A changed SAFETY may make sellable 0 or not 0 and
//     then says so by stock.soldout and stock.available, like every other change.
// 17. A tombstone has version 1. A logged restart deadline is not a change of the order (version and updated stay).
//     "At least" the grace: so many of them would end at once that each millisecond gets a hundred, in the order in which they were due.
// 18. OOM refuses what would remember a new id: RESERVE, and RELEASE and CONFIRM ... REF of an unknown one; BACKLOG only RESERVE.

import { bulk, error, exactly, type ReplyValue, simple } from './reply-value.ts'

const SAFE = Number.MAX_SAFE_INTEGER
const QUANTITY_MAX = 1_000_000_000
const REASONS = ['received', 'restock', 'returned', 'correction', 'cycle_count', 'damaged', 'shrinkage', 'promotion', 'transfer', 'other']
const STATES = ['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED'] as const
const WRONGTYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'
const OPERATIONS_KEPT = 16
const GRACED_PER_MILLISECOND = 100

type OrderState = (typeof STATES)[number]
type Quantities = Map<string, number>

/** What CREATE and ALTER set. An absent instant or limit is 0, an absent price -1, an absent seller ''. */
interface Terms {
  hold: number
  maxhold: number
  limit: number
  maxqty: number
  safety: number
  start: number
  end: number
  price: number
  seller: string
  paused: boolean
}

interface Sku {
  readonly name: string
  readonly createdBy: string
  terms: Terms
  dropped: boolean
  version: number
  total: number
  available: number
  reserved: number
  sold: number
  /** Units in use per buyer, whatever the LIMIT is now. */
  readonly use: Map<string, number>
  /** Adjustment id -> the delta that was asked for. */
  readonly adjustments: Map<string, number>
  confirmedUnits: number
  releasedUnits: number
  expiredUnits: number
  returnedUnits: number
  refusedSoldout: number
  refusedHeld: number
  refusedLimit: number
  refusedClosed: number
}

interface Item {
  readonly sku: Sku
  readonly quantity: number
  /** The SKU's MAXHOLD at reservation, in milliseconds. */
  readonly maxHold: number
  reserved: number
  sold: number
  released: number
  returned: number
  /** Units that went back when the hold died: what LATE may take again. */
  expired: number
  /** Units of the sale, before any came back. */
  soldAtFirst: number
}

interface Operation {
  readonly id: string
  readonly kind: 'RELEASE' | 'RETURN'
  /** Null: all that there was. */
  readonly items: Quantities | null
  readonly at: number
}

interface Order {
  readonly id: string
  readonly buyer: string
  readonly tombstone: boolean
  readonly paid: boolean
  readonly items: Item[]
  readonly created: number
  /** Place in the order of reservation. */
  readonly place: number
  state: OrderState
  /** When it entered its state. */
  at: number
  updated: number
  deadline: number
  version: number
  /** What STOCK.ORDER shows. */
  ref: string
  reason: string
  /** The payment of the sale, '' while there is none. */
  payment: string
  readonly orphaned: Set<string>
  readonly operations: Operation[]
}

/**
 * What a change tells the world: the type and, for orders, the order and its version; for stock, the SKU, and its version if
 * it became sold out or available (else 0).
 */
export interface ModelEvent {
  readonly type: string
  readonly time: number
  readonly name: string
  readonly version: number
}

export interface ModelOptions {
  orderRetentionMs: number
  returnWindowMs: number
  restartGraceMs: number
}

/** Thrown to the command's end. Not an Error: it has no stack, which would cost more than the command. */
class Refusal {
  readonly reply: ReplyValue
  constructor(reply: ReplyValue) {
    this.reply = reply
  }
}
const refuse = (reply: ReplyValue): never => {
  // oxlint-disable-next-line only-throw-error
  throw new Refusal(reply)
}
const syntaxError = (): never => refuse(exactly('ERR syntax error'))
const notAnInteger = (): never => refuse(error('ERR value is not an integer or out of range'))
const invalid = (text: string): never => refuse(error(`ERR ${text}`))

function integer(text: string, low: number, high: number): number {
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return notAnInteger()
  const n = BigInt(text)
  return n < BigInt(low) || n > BigInt(high) ? notAnInteger() : Number(n)
}

/** The bytes between the first `{` and the next `}`; '' if there are none. */
export function buyerOf(order: string): string {
  const open = order.indexOf('{')
  if (open < 0) return ''
  const close = order.indexOf('}', open + 1)
  return close < 0 ? '' : order.slice(open + 1, close)
}

const isTemplate = (id: string): boolean => id.endsWith('}*') && id !== '{}*'
/** `{buyer}*` and nothing else: the buyer is all that stands before the last `}`. */
const isWholeTemplate = (id: string): boolean => isTemplate(id) && buyerOf(id) !== '' && `{${buyerOf(id)}}*` === id

const sellable = (sku: Sku): number => Math.max(0, sku.available - sku.terms.safety)
const couldBe = (sku: Sku): number => Math.max(0, sku.available + sku.reserved - sku.terms.safety)
const canonical = (items: Quantities): string => JSON.stringify([...items].toSorted(([a], [b]) => (a < b ? -1 : 1)))
const sum = <T>(list: Iterable<T>, of: (each: T) => number): number => [...list].reduce((n, each) => n + of(each), 0)

interface Options {
  readonly values: Map<string, string>
  readonly items: Quantities | null
}

export class StockModel {
  readonly options: ModelOptions
  now = 0
  outOfMemory = false
  backlogFull = false
  /** Ordinary keys: all that is known of them is that they are strings. */
  readonly strings = new Set<string>()
  readonly skus = new Map<string, Sku>()
  readonly orders = new Map<string, Order>()
  /** Since the reader last emptied it. */
  readonly events: ModelEvent[] = []
  /** Finishes `{buyer}*`. Whoever compares with a real node answers what that node made. */
  makeId: (template: string) => string
  #places = 0

  constructor(options: Partial<ModelOptions> = {}) {
    this.options = { orderRetentionMs: 86_400_000, returnWindowMs: 7 * 86_400_000, restartGraceMs: 30_000, ...options }
    let made = 0
    this.makeId = (template) => template.slice(0, -1) + String(++made).padStart(16, '0')
  }

  /** Time goes on: what is due happens in order, each at its own deadline. */
  advance(now: number): void {
    const due = this.#open().filter((order) => order.deadline <= now)
    for (const order of byDeadline(due)) this.#expire(order)
    this.now = now
    for (const order of this.orders.values()) if (this.#keptUntil(order) <= now) this.orders.delete(order.id)
  }

  /** The node was down and is back: open holds get their grace, counters that no record carries start anew. */
  restart(now: number): void {
    const until = now + this.options.restartGraceMs
    const early = byDeadline(this.#open()).filter((order) => order.deadline < until)
    for (const [i, order] of early.entries()) order.deadline = until + Math.floor(i / GRACED_PER_MILLISECOND)
    for (const sku of this.skus.values()) sku.refusedSoldout = sku.refusedHeld = sku.refusedLimit = sku.refusedClosed = 0
    this.advance(now)
  }

  execute(args: readonly string[], now: number): ReplyValue {
    this.advance(now)
    try {
      return this.#run(args[0].toUpperCase(), args)
    } catch (thrown) {
      if (thrown instanceof Refusal) return thrown.reply
      throw thrown
    }
  }

  /** What must be true at every instant; the text of the first breach, or ''. */
  breach(): string {
    for (const sku of this.skus.values()) {
      const { total, available, reserved, sold } = sku
      if (total !== available + reserved + sold || available < 0 || reserved < 0 || sold < 0) return `law of ${sku.name}`
      const holds = sum(this.#open(), (order) => sum(order.items, (item) => (item.sku === sku ? item.reserved : 0)))
      if (holds !== reserved) return `holds of ${sku.name}`
    }
    for (const order of this.orders.values()) {
      for (const item of order.items) {
        if (item.reserved + item.sold + item.released + item.returned !== item.quantity) return `row of ${order.id}`
      }
    }
    return ''
  }

  /** `FCALL STOCK.X 1 key ...` is `STOCK.X key ...`. */
  fcall(args: readonly string[], readOnly: boolean): ReplyValue {
    const name = args[1].toUpperCase()
    const isRead = READS.has(name)
    if (!name.startsWith('STOCK.') || !COMMANDS.has(name) || (readOnly && !isRead)) return refuse(exactly('ERR Function not found'))
    if (args[2] !== '1') return invalid('one key')
    return this.#run(name, [name, ...args.slice(3)])
  }

  /** Of the ordinary keys only what meets stock: a key has one type. */
  ordinary(args: readonly string[]): ReplyValue {
    const [command, key] = [args[0].toUpperCase(), args[1]]
    if (command === 'TYPE') return simple(this.skus.has(key) ? 'stock' : this.strings.has(key) ? 'string' : 'none')
    if (command === 'EXISTS') return this.skus.has(key) || this.strings.has(key) ? 1 : 0
    if (this.skus.has(key)) return refuse(exactly(WRONGTYPE))
    if (command === 'DEL') return this.strings.delete(key) ? 1 : 0
    this.strings.add(key)
    return simple('OK')
  }

  #run(name: string, args: readonly string[]): ReplyValue {
    const command = COMMANDS.get(name)
    if (command === undefined) return error(`ERR unknown command '${args[0]}'`)
    const [arity, run] = command
    if (arity >= 0 ? args.length !== arity : args.length < -arity) {
      return exactly(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
    }
    return run(this, args)
  }

  // ---- orders ----

  reserve(args: readonly string[]): ReplyValue {
    const template = isWholeTemplate(args[1])
    const id = template ? args[1] : orderId(args[1])
    if (template && id.length > 128) return invalid('order id is longer than 128 bytes')
    const { values, items } = parse(args, 2, ['EX', 'PX', 'PAID', 'REF', 'ITEMS'])
    if (items === null || (values.has('EX') && values.has('PX'))) return syntaxError()
    const paid = values.has('PAID')
    if (paid && (values.has('EX') || values.has('PX'))) return syntaxError()
    const asked = duration(values, 'stock.reserve')
    const ref = text(values.get('REF'), 256)

    const known = template ? undefined : this.orders.get(id)
    if (known !== undefined) return this.#reserveAgain(known, paid, items)
    this.#refuseWhenFull()

    const wanted = [...items].map(([name, quantity]) => ({ name, quantity }))
    for (const { name } of wanted) this.#sku(name)
    const lines = wanted.map(({ name, quantity }) => ({ sku: this.#sku(name), quantity }))
    for (const { sku } of lines) {
      if (this.#stateOf(sku) === 'OPEN') continue
      sku.refusedClosed++
      return reserved('CLOSED', sku.terms.start > this.now ? sku.terms.start : 0, 0, 0, sku.name)
    }
    for (const { sku, quantity } of lines) {
      if (quantity <= sku.terms.maxqty) continue
      sku.refusedLimit++
      return reserved('LIMIT', 0, sku.terms.maxqty, 0, '')
    }
    const buyer = buyerOf(id)
    for (const { sku, quantity } of lines) {
      if (sku.terms.limit === 0) continue
      if (buyer === '') return refuse(exactly('ERR order id needs a {buyer} tag'))
      const used = sku.use.get(buyer) ?? 0
      if (used + quantity <= sku.terms.limit) continue
      sku.refusedLimit++
      const open = this.#openOrderOf(buyer, sku)
      return reserved('LIMIT', open?.deadline ?? 0, sku.terms.limit, used, open?.id ?? '')
    }
    const short = judge(lines)
    if (short !== null) {
      const { status, sku } = short
      if (status === 'SOLDOUT') sku.refusedSoldout++
      else sku.refusedHeld++
      return reserved(status, status === 'HELD' ? this.#nextDeadline(sku) : 0, sku.available, sku.reserved, sku.name)
    }

    const hold = Math.min(...lines.map(({ sku }) => sku.terms.hold * 1000))
    const maxHold = Math.min(...lines.map(({ sku }) => sku.terms.maxhold * 1000))
    const order: Order = {
      id: template ? this.makeId(id) : id,
      buyer,
      tombstone: false,
      paid,
      items: lines.map(({ sku, quantity }) => ({
        sku,
        quantity,
        maxHold: sku.terms.maxhold * 1000,
        reserved: paid ? 0 : quantity,
        sold: paid ? quantity : 0,
        released: 0,
        returned: 0,
        expired: 0,
        soldAtFirst: paid ? quantity : 0,
      })),
      created: this.now,
      place: ++this.#places,
      state: paid ? 'CONFIRMED' : 'RESERVED',
      at: this.now,
      updated: this.now,
      deadline: paid ? 0 : this.now + Math.min(asked ?? hold, maxHold),
      version: 1,
      ref,
      reason: '',
      payment: paid ? ref : '',
      orphaned: new Set(),
      operations: [],
    }
    this.orders.set(order.id, order)
    this.#told(paid ? 'order.confirmed' : 'order.reserved', order)
    for (const { sku, quantity } of lines) {
      this.#move(sku, () => {
        sku.available -= quantity
        if (paid) {
          sku.sold += quantity
          sku.confirmedUnits += quantity
        } else sku.reserved += quantity
        this.#use(sku, buyer, quantity)
      })
    }
    const first = lines[0].sku
    return reserved('OK', order.deadline, first.available, first.reserved, template ? order.id : '')
  }

  #reserveAgain(order: Order, paid: boolean, items: Quantities): ReplyValue {
    if (!order.tombstone) {
      const same = canonical(items) === canonical(new Map(order.items.map((item) => [item.sku.name, item.quantity])))
      if (!same || paid !== order.paid) return refuse(exactly('ORDERCONFLICT order id was used with other items'))
    }
    const holds = order.state === 'RESERVED' || (order.state === 'CONFIRMED' && order.paid)
    if (!holds) return reserved(order.state, order.at, 0, 0, '')
    const [firstName] = items.keys()
    const first = order.items.find((item) => item.sku.name === firstName)
    if (first === undefined || first.sku.dropped) return reserved('OK', order.deadline, 0, 0, 'replay')
    return reserved('OK', order.deadline, first.sku.available, first.sku.reserved, 'replay')
  }

  confirm(args: readonly string[]): ReplyValue {
    const id = orderId(args[1])
    const { values, items } = parse(args, 2, ['REF', 'LATE', 'ITEMS'])
    const ref = text(values.get('REF'), 256)
    const order = this.orders.get(id)
    if (order === undefined) {
      if (ref === '') return answer('UNKNOWN', 0, '')
      if (this.outOfMemory) return refuse(error('OOM'))
      const tombstone = this.#bury(id, 'unknown_order', 0)
      this.#orphan(tombstone, ref)
      return answer('UNKNOWN', 0, '')
    }
    switch (order.state) {
      case 'RESERVED':
        return this.#sell(order, ref, items)
      case 'CONFIRMED':
        return this.#confirmAgain(order, ref, items)
      case 'EXPIRED':
        if (values.has('LATE')) return this.#sellLate(order, ref, items)
        this.#orphan(order, ref)
        return answer('EXPIRED', order.at, '')
      case 'RELEASED':
        this.#orphan(order, ref)
        return answer('RELEASED', order.at, '')
      case 'RETURNED':
        if (ref !== '' && ref === order.payment) {
          if (items !== null && !soldExactly(order, items)) return refuse(error('ORDERCONFLICT'))
        } else this.#orphan(order, ref)
        return answer('RETURNED', order.at, '')
    }
  }

  #sell(order: Order, ref: string, items: Quantities | null): ReplyValue {
    const taken = items ?? new Map(order.items.map((item) => [item.sku.name, item.reserved]))
    requireUnits(order, taken, (item) => item.reserved)
    const left = order.items.some((item) => item.reserved > (taken.get(item.sku.name) ?? 0))
    this.#becomes(order, 'CONFIRMED')
    if (ref !== '') order.ref = ref
    order.payment = ref
    this.#told('order.confirmed', order)
    for (const item of order.items) {
      const units = taken.get(item.sku.name) ?? 0
      const back = item.reserved - units
      if (item.reserved === 0) continue
      item.reserved = 0
      item.sold += units
      item.soldAtFirst = units
      item.released += back
      this.#move(item.sku, () => {
        item.sku.reserved -= units + back
        item.sku.sold += units
        item.sku.available += back
        item.sku.confirmedUnits += units
        item.sku.releasedUnits += back
        this.#use(item.sku, order.buyer, -back)
      })
    }
    return answer('OK', this.now, left ? 'partial' : '')
  }

  #confirmAgain(order: Order, ref: string, items: Quantities | null): ReplyValue {
    const sameItems = items === null || soldExactly(order, items)
    if (ref === '') return answer('OK', order.at, 'replay')
    if (ref === order.payment) return sameItems ? answer('OK', order.at, 'replay') : refuse(error('ORDERCONFLICT'))
    if (order.payment === '' && sameItems && !order.orphaned.has(ref)) {
      order.payment = order.ref = ref
      order.version++
      order.updated = this.now
      this.#told('order.confirmed', order)
      return answer('OK', order.at, 'replay')
    }
    this.#orphan(order, ref)
    return answer('CONFIRMED', order.at, order.payment)
  }

  #sellLate(order: Order, ref: string, items: Quantities | null): ReplyValue {
    if (order.orphaned.has(ref)) return answer('EXPIRED', order.at, 'orphaned')
    const taken = items ?? new Map(order.items.filter((item) => item.expired > 0).map((item) => [item.sku.name, item.expired]))
    requireUnits(order, taken, (item) => item.expired)
    const lines = [...taken].map(([name, quantity]) => ({ sku: order.items.find((item) => item.sku.name === name)!.sku, quantity }))
    for (const { sku, quantity } of lines) {
      if (sku.dropped || sku.terms.limit === 0) continue
      if (order.buyer === '') return refuse(exactly('ERR order id needs a {buyer} tag'))
      if ((sku.use.get(order.buyer) ?? 0) + quantity <= sku.terms.limit) continue
      this.#orphan(order, ref)
      return answer('LIMIT', 0, this.#openOrderOf(order.buyer, sku)?.id ?? '')
    }
    const short = judge(lines)
    if (short !== null) {
      if (short.status === 'HELD') return answer('HELD', this.#nextDeadline(short.sku), short.sku.name)
      this.#orphan(order, ref)
      return answer('SOLDOUT', 0, short.sku.name)
    }
    this.#becomes(order, 'CONFIRMED')
    if (ref !== '') order.ref = ref
    order.payment = ref
    this.#told('order.confirmed', order)
    for (const item of order.items) {
      const units = taken.get(item.sku.name) ?? 0
      if (units === 0) continue
      item.sold = item.soldAtFirst = units
      item.released -= units
      this.#move(item.sku, () => {
        item.sku.available -= units
        item.sku.sold += units
        item.sku.confirmedUnits += units
        this.#use(item.sku, order.buyer, units)
      })
    }
    return answer('OK', this.now, 'late')
  }

  release(args: readonly string[]): ReplyValue {
    const id = orderId(args[1])
    const { values, items } = parse(args, 2, ['REASON', 'ID', 'ITEMS'])
    const operation = text(values.get('ID'), 256)
    const reason = reasonOf(values)
    if (items !== null && operation === '') return invalid('ITEMS needs ID')
    const order = this.orders.get(id)
    if (order === undefined) {
      if (this.outOfMemory) return refuse(error('OOM'))
      this.#bury(id, reason, 1)
      return answer('OK', this.now, 'tombstone')
    }
    const asked: Operation = { id: operation, kind: 'RELEASE', items, at: this.now }
    const repeated = this.#repeated(order, asked)
    if (repeated !== null) return repeated
    if (order.state === 'RELEASED') return answer('OK', order.at, 'replay')
    if (order.state !== 'RESERVED') return answer(order.state, order.at, '')
    if (items !== null) requireUnits(order, items, (item) => item.reserved)
    remember(order, asked)
    const whole = this.#giveBack(order, items, reason)
    return answer('OK', this.now, whole ? '' : 'partial')
  }

  /** Held units back to available; `items` null: all. @returns whether nothing is left */
  #giveBack(order: Order, items: Quantities | null, reason: string): boolean {
    const units = (item: Item): number => (items === null ? item.reserved : (items.get(item.sku.name) ?? 0))
    const whole = order.items.every((item) => item.reserved === units(item))
    if (whole) this.#becomes(order, 'RELEASED')
    else {
      order.version++
      order.updated = this.now
    }
    if (reason !== '') order.reason = reason
    this.#told('order.released', order)
    for (const item of order.items) {
      const back = units(item)
      if (back === 0) continue
      item.reserved -= back
      item.released += back
      this.#move(item.sku, () => {
        item.sku.reserved -= back
        item.sku.available += back
        item.sku.releasedUnits += back
        this.#use(item.sku, order.buyer, -back)
      })
    }
    return whole
  }

  extend(args: readonly string[]): ReplyValue {
    const id = orderId(args[1])
    const { values } = parse(args, 2, ['EX', 'PX'])
    const asked = duration(values, 'stock.extend') ?? syntaxError()
    if (values.size !== 1) return syntaxError()
    const order = this.orders.get(id)
    if (order === undefined) return answer('UNKNOWN', 0, '')
    if (order.state !== 'RESERVED') return answer(order.state, order.at, '')
    const maxHold = Math.min(...order.items.filter((item) => item.reserved > 0).map((item) => item.maxHold))
    const deadline = Math.max(order.deadline, Math.min(this.now + asked, order.created + maxHold))
    if (deadline > order.deadline) {
      order.deadline = deadline
      order.version++
      order.updated = this.now
      this.#told('order.extended', order)
    }
    return answer('OK', deadline, deadline < this.now + asked ? 'capped' : '')
  }

  return(args: readonly string[]): ReplyValue {
    const id = orderId(args[1])
    const { values, items } = parse(args, 2, ['ID', 'REASON', 'NORESTOCK', 'ITEMS'])
    const operation = text(values.get('ID'), 256)
    const reason = reasonOf(values)
    if (items !== null && operation === '') return invalid('ITEMS needs ID')
    const order = this.orders.get(id)
    if (order === undefined) return answer('UNKNOWN', 0, '')
    const asked: Operation = { id: operation, kind: 'RETURN', items, at: this.now }
    const repeated = this.#repeated(order, asked)
    if (repeated !== null) return repeated
    if (order.state === 'RETURNED' && operation === '' && items === null) return answer('OK', order.at, 'replay')
    if (order.state !== 'CONFIRMED') return answer(order.state, order.at, '')
    if (items !== null) requireUnits(order, items, (item) => item.sold)
    const units = (item: Item): number => (items === null ? item.sold : (items.get(item.sku.name) ?? 0))
    const whole = order.items.every((item) => item.sold === units(item))
    remember(order, asked)
    if (whole) this.#becomes(order, 'RETURNED')
    else {
      order.version++
      order.updated = this.now
    }
    if (reason !== '') order.reason = reason
    this.#told('order.returned', order)
    for (const item of order.items) {
      const back = units(item)
      if (back === 0) continue
      item.sold -= back
      item.returned += back
      this.#move(item.sku, () => {
        item.sku.sold -= back
        if (values.has('NORESTOCK')) item.sku.total -= back
        else item.sku.available += back
        item.sku.returnedUnits += back
        this.#use(item.sku, order.buyer, -back)
      })
    }
    return answer('OK', this.now, whole ? '' : 'partial')
  }

  #expire(order: Order): void {
    this.now = order.deadline
    this.#becomes(order, 'EXPIRED')
    this.#told('order.expired', order)
    for (const item of order.items) {
      const back = item.reserved
      if (back === 0) continue
      item.reserved = 0
      item.released += back
      item.expired = back
      this.#move(item.sku, () => {
        item.sku.reserved -= back
        item.sku.available += back
        item.sku.expiredUnits += back
        this.#use(item.sku, order.buyer, -back)
      })
    }
  }

  /** A definite no to an id that was never accepted. */
  #bury(id: string, reason: string, version: number): Order {
    const tombstone: Order = {
      id,
      buyer: buyerOf(id),
      tombstone: true,
      paid: false,
      items: [],
      created: this.now,
      place: ++this.#places,
      state: 'RELEASED',
      at: this.now,
      updated: this.now,
      deadline: 0,
      version,
      ref: '',
      reason,
      payment: '',
      orphaned: new Set(),
      operations: [],
    }
    this.orders.set(id, tombstone)
    return tombstone
  }

  /** A payment that achieved nothing, told once. */
  #orphan(order: Order, ref: string): void {
    if (ref === '' || order.orphaned.has(ref)) return
    order.orphaned.add(ref)
    order.version++
    order.updated = this.now
    this.#told('order.payment_orphaned', order)
  }

  #repeated(order: Order, asked: Operation): ReplyValue {
    const earlier = order.operations.find(({ id }) => asked.id !== '' && id === asked.id)
    if (earlier === undefined) return null
    const same = earlier.kind === asked.kind && sameUnits(earlier.items, asked.items)
    return same ? answer('OK', earlier.at, 'replay') : refuse(error('ORDERCONFLICT'))
  }

  #becomes(order: Order, state: OrderState): void {
    order.state = state
    order.at = order.updated = this.now
    order.version++
  }

  // ---- SKUs ----

  create(args: readonly string[]): ReplyValue {
    const name = skuName(args[1])
    const total = integer(args[2], 0, SAFE)
    const terms: Terms = {
      hold: 900,
      maxhold: 0,
      limit: 0,
      maxqty: QUANTITY_MAX,
      safety: 0,
      start: 0,
      end: 0,
      price: -1,
      seller: '',
      paused: false,
    }
    const { values } = parse(args, 3, [...TERMS, 'PAUSED'])
    for (const [option, value] of values) setTerm(terms, option, value)
    if (terms.maxhold === 0) terms.maxhold = terms.hold * 2
    checkTerms(terms)
    if (this.strings.has(name)) return refuse(exactly(WRONGTYPE))
    const createdBy = JSON.stringify([total, terms])
    const there = this.skus.get(name)
    if (there !== undefined) return there.createdBy === createdBy ? 0 : refuse(error('STOCKEXISTS'))
    const sku: Sku = {
      name,
      createdBy,
      terms,
      dropped: false,
      version: 1,
      total,
      available: total,
      reserved: 0,
      sold: 0,
      use: new Map(),
      adjustments: new Map(),
      confirmedUnits: 0,
      releasedUnits: 0,
      expiredUnits: 0,
      returnedUnits: 0,
      refusedSoldout: 0,
      refusedHeld: 0,
      refusedLimit: 0,
      refusedClosed: 0,
    }
    this.skus.set(name, sku)
    this.#toldOf('stock.created', sku)
    return 1
  }

  alter(args: readonly string[]): ReplyValue {
    const name = skuName(args[1])
    const { values } = parse(args, 2, [...TERMS, 'STATE'])
    const changes: Partial<Terms> = {}
    for (const [option, value] of values) setTerm(changes, option, value)
    const sku = this.#sku(name)
    const terms = { ...sku.terms, ...changes }
    checkTerms(terms)
    if (JSON.stringify(terms) === JSON.stringify(sku.terms)) return simple('OK')
    this.#toldOf('stock.altered', sku)
    this.#move(sku, () => {
      sku.terms = terms
    })
    return simple('OK')
  }

  adjust(args: readonly string[]): ReplyValue {
    const name = skuName(args[1])
    const delta = integer(args[2], -SAFE, SAFE)
    if (delta === 0) return notAnInteger()
    const { values } = parse(args, 3, ['ID', 'REASON', 'REF', 'IFTOTAL', 'CLAMP'])
    const id = text(values.get('ID'), 256)
    if (id === '') return invalid('ADJUST needs ID')
    const reason = values.get('REASON')
    if (reason !== undefined && !REASONS.includes(reason)) return invalid('unknown reason')
    const ifTotal = values.get('IFTOTAL')
    const expected = ifTotal === undefined ? null : integer(ifTotal, 0, SAFE)
    text(values.get('REF'), 256)

    const sku = this.#sku(name)
    const reply = (status: string, detail: string): ReplyValue => [simple(status), sku.total, sku.available, bulk(detail)]
    const earlier = sku.adjustments.get(id)
    if (earlier !== undefined) return earlier === delta ? reply('OK', 'replay') : refuse(error('ORDERCONFLICT'))
    if (expected !== null && expected !== sku.total) return reply('MISMATCH', '')
    const clamped = -delta > sku.available
    if (clamped && !values.has('CLAMP')) return reply('SHORT', '')
    if (sku.total + delta > SAFE) return invalid('total would be out of range')
    sku.adjustments.set(id, delta)
    const applied = clamped ? 0 - sku.available : delta
    this.#toldOf('stock.adjusted', sku)
    this.#move(sku, () => {
      sku.total += applied
      sku.available += applied
    })
    return reply('OK', clamped ? 'clamped' : '')
  }

  drop(args: readonly string[]): ReplyValue {
    const name = skuName(args[1])
    const { values } = parse(args, 2, ['FORCE'])
    if (this.strings.has(name)) return refuse(exactly(WRONGTYPE))
    const sku = this.skus.get(name)
    if (sku === undefined) return 0
    if (sku.reserved > 0 && !values.has('FORCE')) return refuse(error('INUSE'))
    for (const order of byDeadline(this.#holders(sku))) this.#giveBack(order, null, 'dropped')
    sku.dropped = true
    this.skus.delete(name)
    this.#toldOf('stock.dropped', sku)
    return 1
  }

  // ---- reading ----

  get(args: readonly string[]): ReplyValue {
    const name = skuName(args[1])
    if (this.strings.has(name)) return refuse(exactly(WRONGTYPE))
    const sku = this.skus.get(name)
    return sku === undefined ? null : sellable(sku)
  }

  mget(args: readonly string[]): ReplyValue {
    return args.slice(1).map((name) => {
      const sku = this.skus.get(name)
      return sku === undefined ? null : sellable(sku)
    })
  }

  info(args: readonly string[]): ReplyValue {
    const sku = this.#sku(skuName(args[1]))
    const { terms } = sku
    return {
      pairs: [
        ['state', bulk(this.#stateOf(sku))],
        ['total', sku.total],
        ['available', sku.available],
        ['sellable', sellable(sku)],
        ['reserved', sku.reserved],
        ['sold', sku.sold],
        ['safety', terms.safety],
        ['limit', terms.limit],
        ['maxqty', terms.maxqty],
        ['hold', terms.hold],
        ['maxhold', terms.maxhold],
        ['start', terms.start],
        ['end', terms.end],
        ['price', terms.price < 0 ? null : terms.price],
        ['seller', bulk(terms.seller)],
        ['orders_open', this.#holders(sku).length],
        ['next_deadline', this.#nextDeadline(sku)],
        ['version', sku.version],
        ['confirmed_units', sku.confirmedUnits],
        ['released_units', sku.releasedUnits],
        ['expired_units', sku.expiredUnits],
        ['returned_units', sku.returnedUnits],
        ['refused_soldout', sku.refusedSoldout],
        ['refused_held', sku.refusedHeld],
        ['refused_limit', sku.refusedLimit],
        ['refused_closed', sku.refusedClosed],
      ],
    }
  }

  order(args: readonly string[]): ReplyValue {
    const order = this.orders.get(orderId(args[1]))
    if (order === undefined) return null
    return {
      pairs: [
        ['id', bulk(order.id)],
        ['buyer', bulk(order.buyer)],
        ['state', bulk(order.state)],
        ['created', order.created],
        ['deadline', order.deadline],
        ['updated', order.updated],
        ['version', order.version],
        ['ref', bulk(order.ref)],
        ['reason', bulk(order.reason)],
        ['items', order.items.map((item) => [bulk(item.sku.name), item.reserved, item.sold, item.released, item.returned])],
      ],
    }
  }

  /** All of them at once: the cursor is always "0", so a test walks the real one to its end and compares what it gathered. */
  ordersOf(args: readonly string[]): ReplyValue {
    const { values } = parse(args, 2, ['STATE', 'CURSOR', 'COUNT'])
    const state = values.get('STATE')?.toUpperCase()
    if (state !== undefined && !STATES.some((known) => known === state)) return syntaxError()
    const count = values.get('COUNT')
    if (count !== undefined) integer(count, 1, SAFE)
    const found = [...this.orders.values()]
      .filter((order) => order.buyer !== '' && order.buyer === args[1] && !order.tombstone)
      .filter((order) => state === undefined || order.state === state)
      .toSorted((a, b) => b.created - a.created || b.place - a.place)
    return [bulk('0'), found.map((order) => bulk(order.id))]
  }

  holds(args: readonly string[]): ReplyValue {
    const sku = this.#sku(skuName(args[1]))
    const { values } = parse(args, 2, ['CURSOR', 'COUNT'])
    const count = values.get('COUNT')
    if (count !== undefined) integer(count, 1, SAFE)
    const found = byDeadline(this.#holders(sku))
    return [bulk('0'), found.flatMap((order) => [bulk(order.id), order.deadline, heldOf(order, sku)])]
  }

  shelves(args: readonly string[]): ReplyValue {
    const { available, reserved: held, sold } = this.#sku(skuName(args[1]))
    return [
      {
        pairs: [
          ['node', bulk('?')],
          ['available', available],
          ['reserved', held],
          ['sold', sold],
        ],
      },
    ]
  }

  // ---- what the commands stand on ----

  #sku(name: string): Sku {
    if (this.strings.has(name)) return refuse(exactly(WRONGTYPE))
    return this.skus.get(name) ?? refuse(exactly(`NOSKU no such SKU '${name}'`))
  }

  #stateOf(sku: Sku): string {
    const { start, end, paused } = sku.terms
    if (end !== 0 && this.now >= end) return 'ENDED'
    if (this.now < start) return 'PENDING'
    return paused ? 'PAUSED' : 'OPEN'
  }

  #open(): Order[] {
    return [...this.orders.values()].filter((order) => order.state === 'RESERVED')
  }

  #holders(sku: Sku): Order[] {
    return this.#open().filter((order) => heldOf(order, sku) > 0)
  }

  #nextDeadline(sku: Sku): number {
    const deadlines = this.#holders(sku).map((order) => order.deadline)
    return deadlines.length === 0 ? 0 : Math.min(...deadlines)
  }

  /** The buyer's open order of this SKU with the earliest deadline. */
  #openOrderOf(buyer: string, sku: Sku): Order | undefined {
    return byDeadline(this.#holders(sku).filter((order) => order.buyer === buyer))[0]
  }

  #keptUntil(order: Order): number {
    if (order.state === 'RESERVED') return Infinity
    return order.at + (order.state === 'CONFIRMED' ? this.options.returnWindowMs : this.options.orderRetentionMs)
  }

  #refuseWhenFull(): void {
    if (this.outOfMemory) refuse(error('OOM'))
    if (this.backlogFull) refuse(error('BACKLOG'))
  }

  #use(sku: Sku, buyer: string, units: number): void {
    if (buyer !== '') sku.use.set(buyer, (sku.use.get(buyer) ?? 0) + units)
  }

  /** Changes a SKU, and says so when the last sellable unit went or the first came. Orders keep what they knew of a dropped SKU. */
  #move(sku: Sku, change: () => void): void {
    if (sku.dropped) return
    const before = sellable(sku)
    change()
    sku.version++
    const after = sellable(sku)
    if (before > 0 && after === 0) this.#toldOf('stock.soldout', sku)
    if (before === 0 && after > 0) this.#toldOf('stock.available', sku)
  }

  #told(type: string, order: Order): void {
    this.events.push({ type, time: this.now, name: order.id, version: order.version })
  }

  #toldOf(
    type: 'stock.created' | 'stock.altered' | 'stock.adjusted' | 'stock.dropped' | 'stock.soldout' | 'stock.available',
    sku: Sku,
  ): void {
    const version = type === 'stock.soldout' || type === 'stock.available' ? sku.version : 0
    this.events.push({ type, time: this.now, name: sku.name, version })
  }
}

type Run = (model: StockModel, args: readonly string[]) => ReplyValue

const COMMANDS = new Map<string, readonly [arity: number, run: Run]>([
  ['STOCK.RESERVE', [-5, (model, args) => model.reserve(args)]],
  ['STOCK.CONFIRM', [-2, (model, args) => model.confirm(args)]],
  ['STOCK.RELEASE', [-2, (model, args) => model.release(args)]],
  ['STOCK.EXTEND', [4, (model, args) => model.extend(args)]],
  ['STOCK.RETURN', [-2, (model, args) => model.return(args)]],
  ['STOCK.CREATE', [-3, (model, args) => model.create(args)]],
  ['STOCK.ALTER', [-4, (model, args) => model.alter(args)]],
  ['STOCK.ADJUST', [-5, (model, args) => model.adjust(args)]],
  ['STOCK.DROP', [-2, (model, args) => model.drop(args)]],
  ['STOCK.GET', [2, (model, args) => model.get(args)]],
  ['STOCK.MGET', [-2, (model, args) => model.mget(args)]],
  ['STOCK.INFO', [2, (model, args) => model.info(args)]],
  ['STOCK.ORDER', [2, (model, args) => model.order(args)]],
  ['STOCK.ORDERS', [-2, (model, args) => model.ordersOf(args)]],
  ['STOCK.HOLDS', [-2, (model, args) => model.holds(args)]],
  ['STOCK.SHELVES', [2, (model, args) => model.shelves(args)]],
  ['FCALL', [-3, (model, args) => model.fcall(args, false)]],
  ['FCALL_RO', [-3, (model, args) => model.fcall(args, true)]],
  ['SET', [3, (model, args) => model.ordinary(args)]],
  ['DEL', [2, (model, args) => model.ordinary(args)]],
  ['TYPE', [2, (model, args) => model.ordinary(args)]],
  ['EXISTS', [2, (model, args) => model.ordinary(args)]],
])
const READS = new Set(['GET', 'MGET', 'INFO', 'ORDER', 'ORDERS', 'HOLDS', 'SHELVES'].map((word) => `STOCK.${word}`))

const TERMS = ['HOLD', 'MAXHOLD', 'LIMIT', 'MAXQTY', 'SAFETY', 'START', 'END', 'PRICE', 'SELLER']
const WITHOUT_VALUE = new Set(['PAID', 'LATE', 'NORESTOCK', 'CLAMP', 'FORCE', 'PAUSED'])

/** Options first, each at most once and in any order; ITEMS last and to the end. */
function parse(args: readonly string[], from: number, allowed: readonly string[]): Options {
  const values = new Map<string, string>()
  for (let i = from; i < args.length; i++) {
    const option = args[i].toUpperCase()
    if (!allowed.includes(option) || values.has(option)) return syntaxError()
    if (option === 'ITEMS') return { values, items: parseItems(args.slice(i + 1)) }
    if (WITHOUT_VALUE.has(option)) values.set(option, '')
    else {
      if (i + 1 === args.length) return syntaxError()
      values.set(option, args[++i])
    }
  }
  return { values, items: null }
}

function parseItems(words: readonly string[]): Quantities {
  if (words.length === 0 || words.length % 2 !== 0) return syntaxError()
  const items: Quantities = new Map()
  for (let i = 0; i < words.length; i += 2) {
    const name = skuName(words[i])
    items.set(name, (items.get(name) ?? 0) + integer(words[i + 1], 1, QUANTITY_MAX))
  }
  for (const quantity of items.values()) if (quantity > QUANTITY_MAX) notAnInteger()
  return items.size > 100 ? invalid('too many items') : items
}

function orderId(id: string): string {
  if (id.length < 1 || id.length > 128) return invalid('order id must have 1 to 128 bytes')
  return isTemplate(id) ? invalid('an order id cannot end in }*') : id
}

function skuName(name: string): string {
  return name.length > 256 ? invalid('SKU is longer than 256 bytes') : name
}

/** A text option; absent and empty are the same. */
function text(value: string | undefined, lengthMax: number): string {
  if (value === undefined) return ''
  return value.length > lengthMax ? invalid('text is too long') : value
}

function reasonOf(values: Map<string, string>): string {
  const reason = values.get('REASON')
  if (reason === undefined) return ''
  return /^[a-z_]{1,32}$/.test(reason) ? reason : invalid('invalid reason')
}

/** EX or PX in milliseconds; null without either. */
function duration(values: Map<string, string>, command: string): number | null {
  const seconds = values.get('EX')
  const milliseconds = values.get('PX')
  if (seconds === undefined && milliseconds === undefined) return null
  const n = integer(seconds ?? milliseconds ?? '', -SAFE, SAFE)
  if (n <= 0) return refuse(exactly(`ERR invalid expire time in '${command}' command`))
  return seconds === undefined ? n : n * 1000
}

function setTerm(terms: Partial<Terms>, option: string, value: string): void {
  switch (option) {
    case 'HOLD':
      terms.hold = integer(value, 1, 100_000_000)
      return
    case 'MAXHOLD':
      terms.maxhold = integer(value, 1, 100_000_000)
      return
    case 'LIMIT':
      terms.limit = integer(value, 0, SAFE)
      return
    case 'MAXQTY':
      terms.maxqty = integer(value, 1, QUANTITY_MAX)
      return
    case 'SAFETY':
      terms.safety = integer(value, 0, SAFE)
      return
    case 'START':
      terms.start = integer(value, 0, SAFE)
      return
    case 'END':
      terms.end = integer(value, 0, SAFE)
      return
    case 'PRICE':
      terms.price = integer(value, -1, SAFE)
      return
    case 'SELLER':
      terms.seller = text(value, 256)
      return
    case 'PAUSED':
      terms.paused = true
      return
    case 'STATE':
      if (!['OPEN', 'PAUSED'].includes(value.toUpperCase())) syntaxError()
      terms.paused = value.toUpperCase() === 'PAUSED'
  }
}

function checkTerms(terms: Terms): void {
  if (terms.hold > terms.maxhold) invalid('HOLD is longer than MAXHOLD')
  if (terms.start !== 0 && terms.end !== 0 && terms.start >= terms.end) invalid('START is not before END')
}

/** More than there is, or a SKU that is not in the order. */
function requireUnits(order: Order, wanted: Quantities, unitsOf: (item: Item) => number): void {
  for (const [name, quantity] of wanted) {
    const item = order.items.find((each) => each.sku.name === name)
    if (item === undefined || quantity > unitsOf(item)) refuse(error('QTY'))
  }
}

function soldExactly(order: Order, items: Quantities): boolean {
  const sold = order.items.filter((item) => item.soldAtFirst > 0)
  return canonical(items) === canonical(new Map(sold.map((item) => [item.sku.name, item.soldAtFirst])))
}

/** The refusal of the last stage: any SOLDOUT item outranks every HELD one. */
function judge(lines: readonly { sku: Sku; quantity: number }[]): { status: 'SOLDOUT' | 'HELD'; sku: Sku } | null {
  const lacking = lines.filter(({ sku, quantity }) => sku.dropped || sellable(sku) < quantity)
  const soldOut = lacking.find(({ sku, quantity }) => sku.dropped || couldBe(sku) < quantity)
  if (soldOut !== undefined) return { status: 'SOLDOUT', sku: soldOut.sku }
  return lacking.length > 0 ? { status: 'HELD', sku: lacking[0].sku } : null
}

function remember(order: Order, operation: Operation): void {
  if (operation.id === '') return
  order.operations.push(operation)
  if (order.operations.length > OPERATIONS_KEPT) order.operations.shift()
}

const sameUnits = (a: Quantities | null, b: Quantities | null): boolean =>
  a === null || b === null ? a === b : canonical(a) === canonical(b)
/** Earliest deadline first, and at the same deadline in order of reservation. */
const byDeadline = (orders: readonly Order[]): Order[] => orders.toSorted((a, b) => a.deadline - b.deadline || a.place - b.place)

const heldOf = (order: Order, sku: Sku): number => sum(order.items, (item) => (item.sku === sku ? item.reserved : 0))

const answer = (status: string, when: number, detail: string): ReplyValue => [simple(status), when, bulk(detail)]

const reserved = (status: string, when: number, available: number, held: number, detail: string): ReplyValue => [
  simple(status),
  when,
  available,
  held,
  bulk(detail),
]
