// The JSON of an event, as a reader sees it: what the publisher sent, checked from end to end before anything is done with it.
//
// Text that names something (order, buyer, SKU, seller, ref) is a JS string; bytes that are not UTF-8 came as latin1 (one character a
// byte) with `encoding: "latin1"` in the JSON. Money may come as a decimal string, of integers above 2^53 - 1.
//
// `parseEventBody` is total: any bytes are an event or an EventBodyError, and of any size the work is bounded. Fields that are not known
// are left out: an event may say more one day; when it means something else, `schema` is another number. Only an object's own fields
// count, so `__proto__` is a name like any other.

import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { EVENT_SCHEMA_VERSION, EVENT_TYPES, type EventType } from '../engine/events/event.ts'

export interface EventItem {
  readonly sku: string
  readonly generation: number
  /** Units that this event is about: of a sale in part, those sold (may be 0). */
  readonly qty: number
  /** The SKU's price and seller when the order was made. */
  readonly price: number | string | null
  readonly seller: string | null
  /** What the event did to the order's item. */
  readonly change: ItemUnits
}

/** Where an item's units are: held, sold and not returned, gone back (also by expiry), come back after the sale. */
export interface ItemUnits {
  readonly reserved: number
  readonly sold: number
  readonly released: number
  readonly returned: number
}

export interface StockUnits {
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
}

/** Balances of a SKU as of the event, and how the event changed them. A SKU that was dropped has none any more. */
export interface EventBalance extends StockUnits {
  readonly sku: string
  readonly generation: number
  readonly change: StockUnits
}

/** What an operator has decided about a SKU: see STOCK.CREATE. */
export interface EventTerms {
  readonly hold: number
  readonly maxhold: number
  readonly limit: number
  readonly maxqty: number
  readonly safety: number
  readonly start: number
  readonly end: number
  readonly price: number | string | null
  readonly seller: string | null
  readonly paused: boolean
}

export interface EventBody {
  readonly schema: number
  readonly id: string
  readonly type: EventType
  readonly time: number
  readonly encoding?: 'latin1'
  /** order.*: all of these; stock.* and audit.mark: order, buyer and state are null. */
  readonly order: string | null
  readonly buyer: string | null
  readonly shard: number
  /** Of the order; of stock.*, of the SKU; of audit.mark 0. */
  readonly version: number
  readonly state: string | null
  readonly deadline: number
  /** The order's after the event; of order.payment_orphaned the payment's, which is not the order's; of stock.adjusted its REF. */
  readonly ref: string | null
  readonly reason: string | null
  readonly late: boolean
  readonly items: readonly EventItem[]
  readonly stock: readonly EventBalance[]
  /** audit.mark: number of the mark, and in `stock` the numbers of the SKUs that changed since the one before. */
  readonly mark?: number
  /** order.released, order.returned: the ID of the operation, if it had one. */
  readonly operation?: string | null
  /** stock.created, stock.altered */
  readonly terms?: EventTerms
  /** stock.adjusted */
  readonly adjustment?: { readonly id: string; readonly asked: number; readonly applied: number }
  /** stock.soldout, stock.available */
  readonly sellable?: number
}

export class EventBodyError extends Error {
  override readonly name = 'EventBodyError'
  /** `json`: no JSON at all; `schema`: JSON, but not of an event. */
  readonly code: 'json' | 'schema'

  constructor(code: 'json' | 'schema', reason: string) {
    super(reason)
    this.code = code
  }
}

/** An audit mark names SKUs by the hundred; an order's event is at most some 100 KiB. */
export const EVENT_BYTES_MAX = 4 * 1024 * 1024
const ITEMS_MAX = 100
const MARKED_MAX = 10_000
const QUANTITY_MAX = 1_000_000_000
const ID_BYTES_MAX = 128
const SKU_BYTES_MAX = 256
/** REF, SELLER, ids of operations and adjustments: what the node takes, with room to grow. */
const NAME_BYTES_MAX = 1024
const REASON = /^[a-z_]{1,32}$/
const EVENT_ID = /^[\w-]{1,120}$/
const DECIMAL = /^(?:0|[1-9]\d{0,30})$/
const STATES = new Set(['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED'])
const TYPES = new Set<unknown>(EVENT_TYPES)

/** @throws EventBodyError */
export function parseEventBody(payload: Buffer): EventBody {
  if (payload.length > EVENT_BYTES_MAX) throw new EventBodyError('json', `it has ${payload.length} bytes, ${EVENT_BYTES_MAX} is the most`)
  if (!isUtf8(payload)) throw new EventBodyError('json', 'it is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8'))
  } catch (error) {
    throw new EventBodyError('json', error instanceof Error ? error.message : String(error))
  }
  if (!isObject(value)) throw new EventBodyError('schema', `an event is an object, not ${kindOf(value)}`)
  return new Reader(value).event()
}

type Fields = Readonly<Record<string, unknown>>

class Reader {
  readonly #event: Fields
  readonly #encoding: 'latin1' | 'utf8'

  constructor(event: Fields) {
    this.#event = event
    const encoding = fieldOf(event, 'encoding')
    if (encoding !== undefined && encoding !== 'latin1') throw wrong('encoding', '"latin1"', encoding)
    this.#encoding = encoding ?? 'utf8'
  }

  event(): EventBody {
    const event = this.#event
    const schema = fieldOf(event, 'schema')
    if (schema !== EVENT_SCHEMA_VERSION) throw wrong('schema', String(EVENT_SCHEMA_VERSION), schema)
    const type = fieldOf(event, 'type')
    if (!TYPES.has(type)) throw wrong('type', 'a known type', type)
    const id = fieldOf(event, 'id')
    if (typeof id !== 'string' || !EVENT_ID.test(id)) throw wrong('id', "an event's id", id)
    const body = type as EventType
    return body.startsWith('order.') ? this.#orderEvent(body, id) : this.#otherEvent(body, id)
  }

  #orderEvent(type: EventType, id: string): EventBody {
    const event = this.#event
    const order = this.#name(event, 'order', ID_BYTES_MAX)
    const buyer = this.#nameOrNull(event, 'buyer', ID_BYTES_MAX)
    const shard = integer(event, 'shard', 0, 1023)
    // It says which database and table: an event that is in the wrong one would never be found again.
    if (shard !== (crc32(Buffer.from(buyer ?? order, this.#encoding)) & 1023)) throw wrong('shard', 'that of its buyer or order', shard)
    const state = fieldOf(event, 'state')
    if (typeof state !== 'string' || !STATES.has(state)) throw wrong('state', 'a state of orders', state)
    const late = fieldOf(event, 'late')
    if (typeof late !== 'boolean') throw wrong('late', 'true or false', late)
    return {
      ...this.#common(type, id),
      order,
      buyer,
      shard,
      version: integer(event, 'version', 1),
      state,
      deadline: integer(event, 'deadline', 0),
      ref: this.#nameOrNull(event, 'ref', NAME_BYTES_MAX),
      reason: reasonOf(event),
      late,
      items: list(event, 'items', ITEMS_MAX).map((item, i) => this.#item(item, `items[${i}]`)),
      stock: list(event, 'stock', ITEMS_MAX).map((balance, i) => this.#balance(balance, `stock[${i}]`)),
      ...(type === 'order.released' || type === 'order.returned'
        ? { operation: this.#nameOrNull(event, 'operation', NAME_BYTES_MAX) }
        : {}),
    }
  }

  #otherEvent(type: EventType, id: string): EventBody {
    const event = this.#event
    for (const key of ['order', 'buyer', 'state']) {
      if (fieldOf(event, key) !== null) throw wrong(key, 'null', fieldOf(event, key))
    }
    if (fieldOf(event, 'late') !== false) throw wrong('late', 'false', fieldOf(event, 'late'))
    if (list(event, 'items', 0).length > 0) throw wrong('items', 'empty', 'items')
    const isMark = type === 'audit.mark'
    const stock = list(event, 'stock', isMark ? MARKED_MAX : 1).map((balance, i) => this.#balance(balance, `stock[${i}]`, isMark))
    if (!isMark && stock.length !== 1) throw wrong('stock', 'the SKU', 'nothing')
    return {
      ...this.#common(type, id),
      order: null,
      buyer: null,
      shard: integer(event, 'shard', 0, 1023),
      version: integer(event, 'version', isMark ? 0 : 1),
      state: null,
      deadline: integer(event, 'deadline', 0, 0),
      ref: this.#nameOrNull(event, 'ref', NAME_BYTES_MAX),
      reason: reasonOf(event),
      late: false,
      items: [],
      stock,
      ...this.#details(type),
    }
  }

  #common(type: EventType, id: string): Pick<EventBody, 'schema' | 'id' | 'type' | 'time' | 'encoding'> {
    const common = { schema: EVENT_SCHEMA_VERSION, id, type, time: integer(this.#event, 'time', 0) }
    return this.#encoding === 'latin1' ? { ...common, encoding: 'latin1' } : common
  }

  #details(type: EventType): Partial<EventBody> {
    const event = this.#event
    switch (type) {
      case 'audit.mark':
        return { mark: integer(event, 'mark', 1) }
      case 'stock.created':
      case 'stock.altered':
        return { terms: this.#terms() }
      case 'stock.adjusted': {
        const adjustment = objectOf(fieldOf(event, 'adjustment'), 'adjustment')
        const id = this.#name(adjustment, 'id', NAME_BYTES_MAX)
        return { adjustment: { id, asked: signed(adjustment, 'asked'), applied: signed(adjustment, 'applied') } }
      }
      case 'stock.soldout':
      case 'stock.available':
        return { sellable: integer(event, 'sellable', 0) }
      default:
        return {}
    }
  }

  #terms(): EventTerms {
    const terms = objectOf(fieldOf(this.#event, 'terms'), 'terms')
    const paused = fieldOf(terms, 'paused')
    if (typeof paused !== 'boolean') throw wrong('paused', 'true or false', paused)
    return {
      hold: integer(terms, 'hold', 1),
      maxhold: integer(terms, 'maxhold', 1),
      limit: integer(terms, 'limit', 0),
      maxqty: integer(terms, 'maxqty', 1),
      safety: integer(terms, 'safety', 0),
      start: integer(terms, 'start', 0),
      end: integer(terms, 'end', 0),
      price: money(terms, 'price'),
      seller: this.#nameOrNull(terms, 'seller', NAME_BYTES_MAX),
      paused,
    }
  }

  #item(value: unknown, where: string): EventItem {
    const item = objectOf(value, where)
    const change = objectOf(fieldOf(item, 'change'), `${where}.change`)
    return {
      sku: this.#name(item, 'sku', SKU_BYTES_MAX),
      generation: integer(item, 'generation', 1),
      qty: integer(item, 'qty', 0, QUANTITY_MAX),
      price: money(item, 'price'),
      seller: this.#nameOrNull(item, 'seller', NAME_BYTES_MAX),
      change: {
        reserved: optional(change, 'reserved'),
        sold: optional(change, 'sold'),
        released: optional(change, 'released'),
        returned: optional(change, 'returned'),
      },
    }
  }

  #balance(value: unknown, where: string, isMark = false): EventBalance {
    const balance = objectOf(value, where)
    const total = integer(balance, 'total', 0)
    const available = integer(balance, 'available', 0)
    const reserved = integer(balance, 'reserved', 0)
    const sold = integer(balance, 'sold', 0)
    if (total !== available + reserved + sold) throw new EventBodyError('schema', `${where}: total is not available + reserved + sold`)
    const changes = isMark ? {} : objectOf(fieldOf(balance, 'change'), `${where}.change`)
    const change = {
      total: optional(changes, 'total'),
      available: optional(changes, 'available'),
      reserved: optional(changes, 'reserved'),
      sold: optional(changes, 'sold'),
    }
    if (change.total !== change.available + change.reserved + change.sold)
      throw new EventBodyError('schema', `${where}: the change of total is not that of available + reserved + sold`)
    const sku = this.#name(balance, 'sku', SKU_BYTES_MAX)
    return { sku, generation: integer(balance, 'generation', 1), total, available, reserved, sold, change }
  }

  #nameOrNull(fields: Fields, key: string, bytesMax: number): string | null {
    return fieldOf(fields, key) === null ? null : this.#name(fields, key, bytesMax)
  }

  #name(fields: Fields, key: string, bytesMax: number): string {
    const name = fieldOf(fields, key)
    if (typeof name !== 'string') throw wrong(key, 'text', name)
    // Half a character would become another one in the database, and two names one.
    const fits = this.#encoding === 'latin1' ? !/[^\0-\xff]/.test(name) : name.isWellFormed()
    if (!fits) throw wrong(key, 'text in its encoding', name)
    const bytes = Buffer.byteLength(name, this.#encoding)
    if (bytes === 0 || bytes > bytesMax) throw new EventBodyError('schema', `${key} must have 1 to ${bytesMax} bytes, it has ${bytes}`)
    return name
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function objectOf(value: unknown, where: string): Fields {
  if (!isObject(value)) throw wrong(where, 'an object', value)
  return value
}

/** The object's own field: what it inherits is none of the sender's. */
function fieldOf(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined
}

function list(fields: Fields, key: string, most: number): readonly unknown[] {
  const value = fieldOf(fields, key)
  if (!Array.isArray(value)) throw wrong(key, 'a list', value)
  if (value.length > most) throw new EventBodyError('schema', `${key} has ${value.length} entries, ${most} is the most`)
  return value
}

function integer(fields: Fields, key: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const n = fieldOf(fields, key)
  if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < least || n > most) {
    throw wrong(key, most === Number.MAX_SAFE_INTEGER ? `an integer from ${least} on` : `an integer from ${least} to ${most}`, n)
  }
  return n
}

function signed(fields: Fields, key: string): number {
  return integer(fields, key, -Number.MAX_SAFE_INTEGER)
}

/** 0 if it is not there. */
function optional(fields: Fields, key: string): number {
  return fieldOf(fields, key) === undefined ? 0 : signed(fields, key)
}

function money(fields: Fields, key: string): number | string | null {
  const value = fieldOf(fields, key)
  if (value === null) return null
  if (typeof value === 'string' && DECIMAL.test(value)) return value
  return integer(fields, key, 0)
}

function reasonOf(fields: Fields): string | null {
  const reason = fieldOf(fields, 'reason')
  if (reason === null) return null
  if (typeof reason !== 'string' || !REASON.test(reason)) throw wrong('reason', 'a word of a-z and _', reason)
  return reason
}

function wrong(key: string, expected: string, found: unknown): EventBodyError {
  return new EventBodyError('schema', `${key} must be ${expected}, it is ${kindOf(found)}`)
}

/** What it is, in a few words: payloads may be huge, and nobody's to repeat in a log. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  const text = JSON.stringify(value)
  return text.length <= 40 ? text : `${text.slice(0, 40)}...`
}
