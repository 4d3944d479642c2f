// A random story of a shop, told as the events that a node would send: SKUs are made and restocked, orders are reserved, confirmed,
// released, expired, returned. The same seed tells the same story. Balances and changes are exact, so that ledgers can be checked.

import { crc32 } from '../../src/base/crc32.ts'
import { Random } from '../../src/base/random.ts'
import { PARTS } from '../../src/engine/outbox.ts'
import type { EventType } from '../../src/engine/events/event.ts'
import { parseEventBody, type EventBalance, type EventBody, type EventItem } from '../../src/orders/event-body.ts'
import type { EventBatch, IncomingEvent, StreamPart } from '../../src/orders/store/store.ts'

export interface StoryEvent extends StreamPart {
  readonly pseq: number
  readonly body: EventBody
  readonly payload: Buffer
}

export interface StoryOptions {
  readonly seed: number
  readonly stream?: string
  /** What all names begin with: two stories in one store do not meet. */
  readonly prefix?: string
  readonly skus?: number
  readonly buyers?: number
  /** One mark (16 events) after so many changes; 0: none. */
  readonly markEvery?: number
  /** Unix ms of the first event. */
  readonly start?: number
}

type Change = EventItem['change']
type Balances = { total: number; available: number; reserved: number; sold: number }

export interface TellSku extends Balances {
  readonly name: string
  readonly generation: number
  readonly price: number | null
  readonly seller: string | null
  version: number
}

export interface TellItem {
  readonly sku: TellSku
  readonly ordered: number
  reserved: number
  sold: number
  released: number
  returned: number
}

export interface TellOrder {
  readonly id: string
  readonly buyer: string | null
  readonly items: TellItem[]
  version: number
  state: string
  deadline: number
  ref: string | null
  readonly createdAt: number
  updatedAt: number
}

const shardOf = (name: string): number => {
  const bytes = Buffer.from(name)
  return crc32(bytes, 0, bytes.length) & 1023
}

/** Tells a story step by step; `events` grows in the order in which things happened. */
export class OrderStory {
  readonly stream: string
  readonly events: StoryEvent[] = []
  readonly #random: Random
  readonly #skus: TellSku[] = []
  readonly #orders: TellOrder[] = []
  readonly #last = new Array<number>(PARTS).fill(0)
  readonly #markEvery: number
  readonly #changed = new Set<TellSku>()
  readonly #buyers: number
  readonly #prefix: string
  #now: number
  #lsn = 0
  #mark = 0
  #sinceMark = 0

  constructor({
    seed,
    stream = 'n1_0a1b2c3d-1',
    prefix = '',
    skus = 5,
    buyers = 40,
    markEvery = 0,
    start = 1_792_000_000_000,
  }: StoryOptions) {
    this.#random = new Random(seed)
    this.stream = stream
    this.#markEvery = markEvery
    this.#buyers = buyers
    this.#prefix = prefix
    this.#now = start
    for (let i = 0; i < skus; i++) this.#create(i)
  }

  /** How the shop is now, by its own books: not from the events. */
  get skus(): readonly Readonly<TellSku>[] {
    return this.#skus
  }

  get orders(): readonly Readonly<TellOrder>[] {
    return this.#orders
  }

  /** Tells on until there are so many events (a few more with marks). */
  tell(count: number): this {
    while (this.events.length < count) this.#step()
    return this
  }

  /** The events of each part that has any, ascending. */
  byPart(): Map<number, StoryEvent[]> {
    return Map.groupBy(this.events, (event) => event.part)
  }

  /** Writes a mark now, into every part. */
  mark(): void {
    this.#sinceMark = 0
    this.#mark++
    this.#lsn++
    const stock = [...this.#changed].map((sku) => balance(sku, {}))
    this.#changed.clear()
    for (let part = 0; part < PARTS; part++) {
      this.#push(part, { ...this.#blank('audit.mark', part << 6), stock, mark: this.#mark })
    }
  }

  #create(index: number): void {
    const random = this.#random
    const total = random.between(20, 2000)
    const sku: TellSku = {
      name: `${this.#prefix}${index === 0 ? 'sku:größe' : `sku:${index}`}`,
      generation: 1 + random.below(3),
      price: random.chance(0.8) ? random.below(100_000) : null,
      seller: random.chance(0.8) ? `${this.#prefix}seller${random.below(3)}` : null,
      version: 0,
      total: 0,
      available: 0,
      reserved: 0,
      sold: 0,
    }
    this.#skus.push(sku)
    const terms = { hold: 900, maxhold: 1800, limit: 0, maxqty: 1e9, safety: 0, start: 0, end: 0, price: sku.price, seller: sku.seller }
    this.#stock('stock.created', sku, { total, available: total }, { terms: { ...terms, paused: false } })
  }

  #step(): void {
    const random = this.#random
    this.#now += random.below(50)
    if (this.#markEvery > 0 && ++this.#sinceMark > this.#markEvery) this.mark()
    const order = this.#orders.length === 0 || random.chance(0.45) ? null : random.pick(this.#orders)
    if (order === null) {
      if (random.chance(0.05)) this.#adjust(random.pick(this.#skus), random.between(1, 30))
      else this.#reserve()
    } else if (order.state === 'RESERVED') this.#onReserved(order)
    else if (order.state === 'CONFIRMED') this.#onConfirmed(order)
    else if (order.state === 'EXPIRED') this.#onExpired(order)
  }

  #reserve(): void {
    const random = this.#random
    const chosen = this.#skus.filter(() => random.chance(0.4)).filter((sku) => sku.available > 5)
    if (chosen.length === 0) return
    const buyer = random.chance(0.9) ? `${this.#prefix}u${random.below(this.#buyers)}` : null
    const id = buyer === null ? `${this.#prefix}free-${this.#orders.length}` : `{${buyer}}${this.#orders.length.toString(36)}`
    const items = chosen.map((sku) => ({ sku, ordered: random.between(1, 5), reserved: 0, sold: 0, released: 0, returned: 0 }))
    const isPaid = random.chance(0.1)
    const order: TellOrder = {
      id,
      buyer,
      items,
      version: 0,
      state: isPaid ? 'CONFIRMED' : 'RESERVED',
      deadline: isPaid ? 0 : this.#now + 600_000,
      ref: random.chance(0.2) ? `ref_${random.below(1000)}` : null,
      createdAt: this.#now,
      updatedAt: this.#now,
    }
    this.#orders.push(order)
    const taken = items.map((item) => move(item, isPaid ? { sold: item.ordered } : { reserved: item.ordered }, item.ordered))
    this.#tellOrder(isPaid ? 'order.confirmed' : 'order.reserved', order, taken)
  }

  #onReserved(order: TellOrder): void {
    const random = this.#random
    const held = order.items.filter((item) => item.reserved > 0)
    const dice = random.below(10)
    if (dice < 5) {
      order.state = 'CONFIRMED'
      if (random.chance(0.5)) order.ref = `pay_${random.below(1000)}`
      this.#tellOrder(
        'order.confirmed',
        order,
        held.map((item) => this.#sell(item)),
      )
    } else if (dice < 7) {
      order.state = 'RELEASED'
      const back = held.map((item) => move(item, { reserved: -item.reserved, released: item.reserved }, item.reserved))
      this.#tellOrder('order.released', order, back, 'buyer_cancelled')
    } else if (dice < 8) {
      const item = random.pick(held)
      const units = random.between(1, item.reserved)
      const moved = move(item, { reserved: -units, released: units }, units)
      if (order.items.every((one) => one.reserved === 0)) order.state = 'RELEASED'
      this.#tellOrder('order.released', order, [moved])
    } else if (dice < 9) {
      order.state = 'EXPIRED'
      this.#tellOrder(
        'order.expired',
        order,
        held.map((item) => move(item, { reserved: -item.reserved, released: item.reserved }, item.reserved)),
      )
    } else {
      order.deadline += 60_000
      this.#tellOrder('order.extended', order, [])
    }
  }

  /** Sometimes fewer units are sold than were held: the rest goes back in the same step. */
  #sell(item: TellItem): { item: EventItem; balance: EventBalance } {
    const sold = this.#random.chance(0.2) ? this.#random.between(0, item.reserved) : item.reserved
    return move(item, { reserved: -item.reserved, sold, released: item.reserved - sold }, sold)
  }

  #onConfirmed(order: TellOrder): void {
    const random = this.#random
    const sold = order.items.filter((item) => item.sold > 0)
    if (sold.length === 0 || random.chance(0.5)) return
    const item = random.pick(sold)
    const units = random.between(1, item.sold)
    const moved = move(item, { sold: -units, returned: units }, units)
    if (order.items.every((one) => one.sold === 0)) order.state = 'RETURNED'
    this.#tellOrder('order.returned', order, [moved], 'wrong_size')
  }

  #onExpired(order: TellOrder): void {
    if (this.#random.chance(0.7)) return
    if (this.#random.chance(0.5)) return this.#tellOrder('order.payment_orphaned', order, [], null, `late_${order.version}`)
    const back = order.items.filter((item) => item.released > 0)
    if (back.length === 0 || back.some((item) => item.sku.available < item.released)) return
    order.state = 'CONFIRMED'
    const taken = back.map((item) => move(item, { sold: item.released, released: -item.released }, item.released))
    this.#tellOrder('order.confirmed', order, taken)
  }

  #tellOrder(
    type: EventType,
    order: TellOrder,
    moved: readonly { item: EventItem; balance: EventBalance }[],
    reason: string | null = null,
    ref = order.ref,
  ): void {
    order.version++
    order.updatedAt = this.#now
    this.#lsn++
    for (const item of order.items) if (moved.some((one) => one.item.sku === item.sku.name)) this.#changed.add(item.sku)
    const shard = shardOf(order.buyer ?? order.id)
    this.#push(shard >> 6, {
      ...this.#blank(type, shard),
      order: order.id,
      buyer: order.buyer,
      version: order.version,
      state: order.state,
      deadline: order.deadline,
      ref,
      reason,
      items: moved.map((one) => one.item),
      stock: moved.map((one) => one.balance),
      ...(type === 'order.released' || type === 'order.returned' ? { operation: null } : {}),
    })
  }

  #adjust(sku: TellSku, units: number): void {
    const adjustment = { id: `adj${this.#lsn}`, asked: units, applied: units }
    this.#stock('stock.adjusted', sku, { total: units, available: units }, { adjustment, reason: 'restock' })
  }

  #stock(type: EventType, sku: TellSku, change: Partial<Balances>, more: Partial<EventBody>): void {
    this.#lsn++
    sku.version++
    add(sku, change)
    this.#changed.add(sku)
    const shard = shardOf(sku.name)
    this.#push(shard >> 6, { ...this.#blank(type, shard), version: sku.version, stock: [balance(sku, change)], ...more })
  }

  #blank(type: EventType, shard: number): EventBody {
    const blank = {
      order: null,
      buyer: null,
      version: 0,
      state: null,
      deadline: 0,
      ref: null,
      reason: null,
      late: false,
      items: [],
      stock: [],
    }
    return { schema: 1, id: `${this.stream}-${this.#lsn}`, type, time: this.#now, shard, ...blank }
  }

  #push(part: number, body: EventBody): void {
    const payload = Buffer.from(JSON.stringify(body))
    this.events.push({ stream: this.stream, part, pseq: ++this.#last[part], body: parseEventBody(payload), payload })
  }
}

function add(to: Balances, { total = 0, available = 0, reserved = 0, sold = 0 }: Partial<Balances>): void {
  to.total += total
  to.available += available
  to.reserved += reserved
  to.sold += sold
}

function balance(sku: TellSku, change: Partial<Balances>): EventBalance {
  const { total, available, reserved, sold } = sku
  return {
    sku: sku.name,
    generation: sku.generation,
    total,
    available,
    reserved,
    sold,
    change: { total: 0, available: 0, reserved: 0, sold: 0, ...change },
  }
}

/** Moves units of an item, and of its SKU with it. */
function move(item: TellItem, units: Partial<Change>, qty: number): { item: EventItem; balance: EventBalance } {
  const change: Change = { reserved: 0, sold: 0, released: 0, returned: 0, ...units }
  item.reserved += change.reserved
  item.sold += change.sold
  item.released += change.released
  item.returned += change.returned
  const { sku } = item
  const ofSku = { reserved: change.reserved, sold: change.sold, available: -change.reserved - change.sold }
  add(sku, ofSku)
  return {
    item: { sku: sku.name, generation: sku.generation, qty, price: sku.price, seller: sku.seller, change },
    balance: balance(sku, ofSku),
  }
}

/** The event as it comes to a store. */
export function incoming({ pseq, payload, body }: StoryEvent, oldest = 1): IncomingEvent {
  return { pseq, oldest, payload, body, dead: null }
}

/** The event as it comes to a store that must not read it. */
export function poisoned({ pseq, payload }: StoryEvent, code = '1406', reason = "Data too long for column 'ref'"): IncomingEvent {
  return { pseq, oldest: 1, payload, body: null, dead: { code, reason } }
}

/** Events of one part as one batch. */
export function batchOf(events: readonly StoryEvent[]): EventBatch {
  return { stream: events[0].stream, part: events[0].part, events: events.map((event) => incoming(event)) }
}
