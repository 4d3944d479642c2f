// What somebody knows who has nothing but the events: orders by their versions, balances by their changes. Each event is checked against
// what the ones before it say, and at the end everything against the engine.

import { type EventBalance, type EventBody, type ItemUnits, parseEventBody, type StockUnits } from '../../src/orders/event-body.ts'
import type { OutboxEvent } from '../../src/engine/events/event.ts'
import type { EngineStage } from './engine-stage.ts'
import type { ReplyValue } from './reply-value.ts'

type Units = { -readonly [K in keyof ItemUnits]: number }
type Numbers = { -readonly [K in keyof StockUnits]: number }

interface Item extends Units {
  readonly price: EventBody['items'][number]['price']
  readonly seller: string | null
}

interface Order {
  version: number
  state: string
  deadline: number
  /** A restart has moved deadlines since: there is no event of that. */
  isGraced: boolean
  readonly created: number
  updated: number
  ref: string | null
  reason: string | null
  readonly items: Map<string, Item>
}

interface Stock extends Numbers {
  /** What the last event said of it. */
  stated: EventBalance
}

/** The names of an event, one character per byte: what the engine's replies are read as. */
const latin1Of = (body: EventBody, name: string): string =>
  body.encoding === 'latin1' ? name : Buffer.from(name, 'utf8').toString('latin1')

export class EventFold {
  readonly orders = new Map<string, Order>()
  /** By name and generation. */
  readonly stock = new Map<string, Stock>()
  /** The price and seller in force, as stock.created and stock.altered told them. */
  readonly #tags = new Map<string, { readonly price: Item['price']; readonly seller: string | null }>()
  readonly #pseq = new Array<number>(16).fill(0)
  readonly #marks = new Array<number>(16).fill(0)
  readonly #touched = new Set<string>()
  readonly seenTypes = new Map<string, number>()

  add(event: OutboxEvent): EventBody {
    const body = parseEventBody(event.body)
    if (event.pseq !== ++this.#pseq[event.part])
      throw new Error(`${body.id}: part ${event.part} goes from ${this.#pseq[event.part] - 1} to ${event.pseq}`)
    if (event.part !== body.shard >> 6) throw new Error(`${body.id}: shard ${body.shard} in part ${event.part}`)
    if (event.type !== body.type || event.time !== body.time) throw new Error(`${body.id}: the envelope says something else`)
    this.seenTypes.set(body.type, (this.seenTypes.get(body.type) ?? 0) + 1)
    if (body.type === 'audit.mark') {
      this.#mark(event.part, body)
      return body
    }
    for (const balance of body.stock) this.#balance(body, balance)
    if (body.terms !== undefined) {
      const { price, seller } = body.terms
      this.#tags.set(keyOf(body, body.stock[0]), { price, seller })
    }
    if (body.order !== null) this.#order(latin1Of(body, body.order), body)
    return body
  }

  /** An id that was released before it ever came: its first version has no event. */
  tombstone(id: string, at: number, reason: string): void {
    const order = { version: 1, state: 'RELEASED', deadline: 0, isGraced: false, created: at, updated: at, ref: null }
    this.orders.set(id, { ...order, reason: reason === '' ? null : reason, items: new Map() })
  }

  graced(): void {
    for (const order of this.orders.values()) if (order.state === 'RESERVED') order.isGraced = true
  }

  /** Orders that events have changed since this was asked last. */
  takeTouched(): string[] {
    const touched = [...this.#touched]
    this.#touched.clear()
    return touched
  }

  /** Differences of these orders from what the engine answers; those that it has forgotten are not looked at. */
  differences(stage: EngineStage, now: number, ids: Iterable<string> = this.orders.keys()): string[] {
    const found: string[] = []
    const expect = (what: string, ours: unknown, its: unknown): void => {
      if (JSON.stringify(ours) !== JSON.stringify(its)) found.push(`${what}: events ${JSON.stringify(ours)}, engine ${JSON.stringify(its)}`)
    }
    for (const id of ids) {
      const order = this.orders.get(id)
      if (order === undefined) continue
      const known = fieldsOf(stage.execute(['STOCK.ORDER', id], now, 2, 0))
      if (known === null) {
        if (order.state === 'RESERVED') found.push(`${id} is open, and the engine does not know it`)
        continue
      }
      expect(`${id} state`, order.state, known['state'])
      expect(`${id} version`, order.version, known['version'])
      expect(`${id} created`, order.created, known['created'])
      expect(`${id} updated`, order.updated, known['updated'])
      if (!order.isGraced) expect(`${id} deadline`, order.deadline, known['deadline'])
      expect(`${id} ref`, order.ref ?? '', known['ref'])
      expect(`${id} reason`, order.reason ?? '', known['reason'])
      const items = [...order.items].map(([sku, { reserved, sold, released, returned }]) => [sku, reserved, sold, released, returned])
      expect(`${id} items`, items, known['items'])
    }
    return found
  }

  /** ... and of the SKUs that are there now. */
  differencesOfSku(stage: EngineStage, now: number, sku: string): string[] {
    const known = fieldsOf(stage.execute(['STOCK.INFO', sku], now, 2, 0))
    if (known === null) return []
    const last = [...this.stock].filter(([key]) => key.startsWith(`${sku}\n`)).at(-1)
    if (last === undefined) return [`${sku}: no event told it`]
    const numbers = (['total', 'available', 'reserved', 'sold'] as const).map((what) => [what, last[1][what], known[what]])
    return numbers.filter(([, ours, its]) => ours !== its).map(([what, ours, its]) => `${sku} ${what}: events ${ours}, engine ${its}`)
  }

  #balance(body: EventBody, balance: EventBalance): void {
    const key = keyOf(body, balance)
    let stock = this.stock.get(key)
    if (stock === undefined) {
      if (body.type !== 'stock.created') throw new Error(`${body.id}: ${key} was not created`)
      stock = { total: 0, available: 0, reserved: 0, sold: 0, stated: balance }
      this.stock.set(key, stock)
    }
    stock.stated = balance
    for (const what of ['total', 'available', 'reserved', 'sold'] as const) {
      stock[what] += balance.change[what]
      if (stock[what] !== balance[what] || stock[what] < 0)
        throw new Error(`${body.id} ${body.type} ${key}: ${what} is ${balance[what]}, the changes make ${stock[what]}`)
    }
  }

  #mark(part: number, body: EventBody): void {
    if (body.mark !== ++this.#marks[part]) throw new Error(`${body.id}: mark ${body.mark} follows ${this.#marks[part] - 1}`)
    if (body.stock.length === 0) throw new Error(`${body.id}: a mark of nothing`)
    for (const balance of body.stock) {
      const stock = this.stock.get(keyOf(body, balance))
      for (const what of ['total', 'available', 'reserved', 'sold'] as const)
        if (stock?.[what] !== balance[what])
          throw new Error(`${body.id}: the mark says ${what} ${balance[what]}, the events ${stock?.[what]}`)
    }
  }

  #order(id: string, body: EventBody): void {
    let order = this.orders.get(id)
    const isNew = body.version === 1
    if (isNew) {
      order = {
        version: 0,
        state: '',
        deadline: 0,
        isGraced: false,
        created: body.time,
        updated: 0,
        ref: null,
        reason: null,
        items: new Map(),
      }
      this.orders.set(id, order)
    }
    if (order === undefined || body.version !== order.version + 1)
      throw new Error(`${body.id} ${body.type}: version ${body.version} of ${id} follows ${order?.version}`)
    this.#touched.add(id)
    order.version = body.version
    order.state = body.state ?? ''
    order.deadline = body.deadline
    order.isGraced = false
    order.updated = body.time
    if (body.type !== 'order.payment_orphaned') order.ref = body.ref === null ? null : latin1Of(body, body.ref)
    order.reason = body.reason
    for (const item of body.items) {
      const sku = latin1Of(body, item.sku)
      const { price, seller } = item
      const key = `${sku}\n${item.generation}`
      let known = order.items.get(sku)
      if (known === undefined) {
        if (!isNew) throw new Error(`${body.id}: ${id} gets ${sku} later`)
        order.items.set(sku, (known = { price, seller, reserved: 0, sold: 0, released: 0, returned: 0 }))
        const tag = this.#tags.get(key)
        if (tag?.price !== price || tag.seller !== seller) throw new Error(`${body.id}: ${sku} has another price or seller than its SKU`)
      }
      if (known.price !== price || known.seller !== seller) throw new Error(`${body.id}: the price or seller of ${sku} in ${id} changed`)
      for (const what of ['reserved', 'sold', 'released', 'returned'] as const) {
        known[what] += item.change[what]
        if (known[what] < 0) throw new Error(`${body.id}: ${what} of ${sku} in ${id} is ${known[what]}`)
      }
    }
  }
}

function keyOf(body: EventBody, { sku, generation }: EventBalance): string {
  return `${latin1Of(body, sku)}\n${generation}`
}

type Known = Record<string, unknown>

/** A flat array of names and values; null if it is none. */
function fieldsOf(reply: ReplyValue): Known | null {
  if (!Array.isArray(reply)) return null
  const found: Known = {}
  for (let i = 0; i < reply.length; i += 2) found[plain(reply[i] as ReplyValue) as string] = plain(reply[i + 1] as ReplyValue)
  return found
}

function plain(value: ReplyValue): unknown {
  if (Array.isArray(value)) return value.map((each) => plain(each as ReplyValue))
  if (typeof value !== 'object' || value === null) return value
  if ('bulk' in value) return value.bulk
  if ('simple' in value) return value.simple
  return value
}
