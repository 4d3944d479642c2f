// Judges whether a seller, a node and a database know the same: by plain RESP and plain SQL, sharing no code with what it judges.
//
//   seller = node       every order that was accepted, with its state and units; nothing that was never accepted
//   node = database     every event, byte for byte (SHA-1), once, in its place; every order, item and seller's copy; every SKU's numbers
//
// Text is latin1 throughout: one character is one byte.

import { createHash } from 'node:crypto'
import type { RawClient, Value } from './raw-client.ts'
import { expired, type KnownOrder, type Seller } from './seller.ts'
import type { Query, Way } from './way.ts'

const PAGE = 1000
const PARTS = 16
const LOOKS_MAX = 20
const DIFFERENCES_MAX = 40

export interface Verdict {
  readonly orders: number
  readonly events: number
  readonly dead: number
  /** Orders by state, as all three know them. */
  readonly states: Readonly<Record<string, number>>
  readonly units: { readonly reserved: number; readonly sold: number }
  /** Empty: nothing is lost, nothing is there twice. */
  readonly differences: readonly string[]
}

interface Order {
  readonly state: string
  readonly version: number
  readonly buyer: string
  readonly ref: string
  /** `sku reserved sold released returned`, sorted */
  readonly items: readonly string[]
}

interface Event {
  /** SHA-1 of its bytes. */
  readonly hash: string
  readonly id: string
  readonly isMark: boolean
}

interface Stored {
  readonly orders: Map<string, Order>
  /** By `stream part pseq`. */
  readonly events: Map<string, Event>
  readonly dead: Map<string, Event>
  readonly cursors: Map<string, number>
  /** By SKU: total, available, reserved, sold. */
  readonly ledger: Map<string, number[]>
  /** `seller order` */
  readonly copies: Map<string, number>
}

/**
 * Waits until everything has arrived. Nobody sells meanwhile; if something happens nevertheless (a hold runs out, an audit mark is made), it
 * looks again. `except` are orders whose events are dead.
 */
export async function judge(way: Way, seller: Seller, except: ReadonlySet<string> = new Set()): Promise<Verdict> {
  for (let look = 1; ; look++) {
    const last = await way.arrives()
    const verdict = await lookAt(way, seller, except, last)
    if (JSON.stringify(await way.last()) === JSON.stringify(last)) return verdict
    if (look === LOOKS_MAX) throw new Error('the node does not come to rest')
  }
}

async function lookAt(way: Way, seller: Seller, except: ReadonlySet<string>, last: readonly number[]): Promise<Verdict> {
  const differences: string[] = []
  const say = (text: string): void => void differences.push(text)
  await using client = await way.node.connect()
  const stream = (await client.call('STOCK.OUTBOX', 'STREAM')) as string
  const known = await ordersOfNode(client)
  const events = await eventsOfNode(client, stream)
  const stored = await way.sql((query) => read(way, query))

  // Every order that the seller was told of is there as he knows it, and no other one.
  for (const [id, order] of seller.orders) {
    const there = known.get(id)
    if (there === undefined) say(`the node has lost order ${id}, which is ${order.state}`)
    else if (!agrees(order, there))
      say(`order ${id} is ${order.state} ${itemsOf(order).join(', ')}; the node says ${there.state} ${there.items.join(', ')}`)
  }
  for (const [id, { state }] of known) if (!seller.orders.has(id)) say(`the node has an order ${id} (${state}) that nobody was told of`)

  // Every event is stored as it happened.
  for (const [place, { hash }] of events) {
    const found = stored.events.get(place) ?? stored.dead.get(place)
    if (found !== undefined && found.hash !== hash) say(`event ${place} is another one in the database`)
  }
  // An audit mark is one entry of the node's stream and an event of each part.
  const marks = [...stored.events.values()].filter(({ isMark }) => isMark)
  const happened = new Set([...events.values()].map(({ id }) => id))
  for (const [place, { isMark, id }] of stored.events) {
    if (isMark ? !happened.has(id) : !events.has(place)) say(`event ${place} never happened`)
  }
  for (const place of stored.dead.keys()) if (!events.has(place)) say(`dead event ${place} never happened`)
  const places = stored.events.size - marks.length + marks.length / PARTS
  const ids = new Set([...stored.events.values()].map(({ id }) => id)).size
  if (ids !== places) say(`${places} events have ${ids} different ids`)
  for (const [part, pseq] of last.entries()) {
    const cursor = stored.cursors.get(`${stream} ${part}`) ?? 0
    if (cursor !== pseq) say(`cursor of part ${part} is ${cursor}, not ${pseq}`)
    for (let n = 1; n <= pseq; n++) {
      const place = `${stream} ${part} ${n}`
      if (!stored.events.has(place) && !stored.dead.has(place)) say(`event ${place} is lost`)
    }
  }

  // Every order, item and seller's copy.
  for (const [id, order] of known) {
    if (except.has(id)) continue
    const row = stored.orders.get(id)
    if (row === undefined) say(`the database has no order ${id} (${order.state})`)
    else if (JSON.stringify(row) !== JSON.stringify(order))
      say(`order ${id}: node ${JSON.stringify(order)}, database ${JSON.stringify(row)}`)
  }
  for (const id of stored.orders.keys()) if (!known.has(id)) say(`the database has an order ${id} that the node does not know`)
  const copies = new Map<string, number>()
  const sellers = await sellersOf(client, seller.skus)
  for (const [id, { items }] of stored.orders) {
    for (const name of new Set(items.map((item) => sellers.get(item.split(' ', 1)[0]) ?? ''))) copies.set(`${name} ${id}`, 1)
  }
  for (const copy of copies.keys()) if (stored.copies.get(copy) !== 1) say(`seller's copy ${copy}: ${stored.copies.get(copy) ?? 0} rows`)
  for (const copy of stored.copies.keys()) if (!copies.has(copy)) say(`seller's copy ${copy} has no order`)

  // Every SKU: by the node, by the database's ledger, and counted from what the seller was told.
  let reserved = 0
  let sold = 0
  if (except.size === 0) {
    for (const sku of seller.skus) {
      const numbers = await numbersOf(client, sku)
      if (JSON.stringify(stored.ledger.get(sku)) !== JSON.stringify(numbers)) {
        say(`${sku}: node ${numbers.join(' ')}, database ${stored.ledger.get(sku)?.join(' ') ?? 'nothing'}`)
      }
      const told = unitsOf(seller, sku)
      if (told.sold !== numbers[3]) say(`${sku}: ${told.sold} units were sold, the node says ${numbers[3]}`)
      reserved += numbers[2]
      sold += numbers[3]
    }
  }

  const states: Record<string, number> = {}
  for (const { state } of stored.orders.values()) states[state] = (states[state] ?? 0) + 1
  const left = differences.length - DIFFERENCES_MAX
  return {
    ...{ orders: stored.orders.size, events: stored.events.size, dead: stored.dead.size, states },
    units: { reserved, sold },
    differences: left <= 0 ? differences : [...differences.slice(0, DIFFERENCES_MAX), `... and ${left} more`],
  }
}

const itemsOf = ({ items }: KnownOrder): string[] =>
  items.map(({ sku, reserved, sold, released, returned }) => `${sku} ${reserved} ${sold} ${released} ${returned}`).toSorted()

/** A hold that may have run out is right either way, and is known from now on. */
function agrees(order: KnownOrder, there: Order): boolean {
  if (order.state === 'RESERVED' && order.mayExpire && there.state === 'EXPIRED') expired(order)
  return order.state === there.state && JSON.stringify(itemsOf(order)) === JSON.stringify(there.items)
}

function unitsOf(seller: Seller, sku: string): { sold: number } {
  let sold = 0
  for (const { items } of seller.orders.values()) for (const item of items) if (item.sku === sku) sold += item.sold
  return { sold }
}

function fieldsOf(reply: Value): Map<string, Value> {
  const flat = reply as Value[]
  return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1]]))
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

async function ordersOfNode(client: RawClient): Promise<Map<string, Order>> {
  const orders = new Map<string, Order>()
  let cursor = '0'
  do {
    const [next, heads] = (await client.call('STOCK.OUTBOX', 'SCAN', cursor, 'COUNT', PAGE)) as [string, Value[]]
    cursor = next
    const ids = heads.filter((_, i) => i % 3 === 0) as string[]
    if (ids.length === 0) continue
    const replies: Value[] = await Promise.all(ids.map((id) => client.call('STOCK.ORDER', bytes(id))))
    for (const [i, id] of ids.entries()) {
      const of = fieldsOf(replies[i])
      const items = (of.get('items') as Value[][]).map((item) => item.join(' ')).toSorted()
      orders.set(id, {
        ...{ state: of.get('state') as string, version: of.get('version') as number },
        ...{ buyer: of.get('buyer') as string, ref: of.get('ref') as string, items },
      })
      if (heads[3 * i + 1] !== of.get('state')) throw new Error(`SCAN and ORDER disagree about ${id}`)
    }
  } while (cursor !== '0')
  return orders
}

async function eventsOfNode(client: RawClient, stream: string): Promise<Map<string, Event>> {
  const events = new Map<string, Event>()
  for (let from = '-'; ;) {
    const page = (await client.call('XRANGE', 'stock:events', from, '+', 'COUNT', PAGE)) as [string, Value[]][]
    for (const [, flat] of page) {
      const of = fieldsOf(flat)
      const place = `${stream} ${of.get('part') as string} ${of.get('pseq') as string}`
      if (events.has(place)) throw new Error(`the node has event ${place} twice`)
      const hash = createHash('sha1')
        .update(bytes(of.get('event') as string))
        .digest('hex')
      const { id } = JSON.parse(of.get('event') as string) as { id: string }
      events.set(place, { hash, id, isMark: of.get('type') === 'audit.mark' })
    }
    const last = page.at(-1)
    if (last === undefined) return events
    from = `(${last[0]}`
  }
}

async function sellersOf(client: RawClient, skus: readonly string[]): Promise<Map<string, string>> {
  const sellers = new Map<string, string>()
  for (const sku of skus) sellers.set(sku, fieldsOf(await client.call('STOCK.INFO', sku)).get('seller') as string)
  return sellers
}

async function numbersOf(client: RawClient, sku: string): Promise<number[]> {
  const info = fieldsOf(await client.call('STOCK.INFO', sku))
  return ['total', 'available', 'reserved', 'sold'].map((name) => info.get(name) as number)
}

const text = (value: unknown): string =>
  value === null || value === undefined ? '' : Buffer.isBuffer(value) ? value.toString('latin1') : String(value)

async function read(way: Way, query: Query): Promise<Stored> {
  const orders = new Map<string, Order>()
  const items = new Map<string, string[]>()
  const stored = {
    orders,
    events: new Map<string, Event>(),
    dead: new Map<string, Event>(),
    cursors: new Map<string, number>(),
    ledger: new Map<string, number[]>(),
    copies: new Map<string, number>(),
  }
  for (const database of await way.databases(query)) {
    const shown = await query(`SHOW TABLES FROM \`${database}\``)
    const tables = shown.map((row) => text(Object.values(row)[0]))
    const those = (kind: RegExp): string[] => tables.filter((table) => kind.test(table)).map((table) => `\`${database}\`.\`${table}\``)
    for (const table of those(/^order_items(_history)?_\d\d$/)) {
      for (const row of await query(`SELECT order_id, sku, quantity, reserved, sold, released, returned FROM ${table}`)) {
        const id = text(row.order_id)
        const line = [row.sku, row.reserved, row.sold, row.released, row.returned].map(text).join(' ')
        items.set(id, [...(items.get(id) ?? []), line].toSorted())
      }
    }
    for (const table of those(/^orders(_history)?_\d\d$/)) {
      for (const row of await query(`SELECT id, state, version, buyer, ref FROM ${table}`)) {
        const id = text(row.id)
        if (orders.has(id)) throw new Error(`the database has order ${id} twice`)
        orders.set(id, {
          ...{ state: text(row.state), version: Number(text(row.version)), buyer: text(row.buyer), ref: text(row.ref) },
          items: items.get(id) ?? [],
        })
      }
    }
    for (const table of those(/^seller_orders(_\d\d|_history)$/)) {
      for (const row of await query(`SELECT seller, order_id FROM ${table}`)) {
        const copy = `${text(row.seller)} ${text(row.order_id)}`
        stored.copies.set(copy, (stored.copies.get(copy) ?? 0) + 1)
      }
    }
    for (const row of await query(`SELECT stream, part, pseq, event_id, type, SHA1(payload) AS hash FROM \`${database}\`.order_events`)) {
      const place = [row.stream, row.part, row.pseq].map(text).join(' ')
      stored.events.set(place, { hash: text(row.hash), id: text(row.event_id), isMark: text(row.type) === 'audit.mark' })
    }
    for (const row of await query(
      `SELECT stream, part, pseq, SHA1(payload) AS hash FROM \`${database}\`.dead_events WHERE state = 'dead'`,
    )) {
      stored.dead.set([row.stream, row.part, row.pseq].map(text).join(' '), { hash: text(row.hash), id: '', isMark: false })
    }
    for (const row of await query(`SELECT stream, part, pseq FROM \`${database}\`.outbox_cursor`)) {
      stored.cursors.set([row.stream, row.part].map(text).join(' '), Number(text(row.pseq)))
    }
    for (const row of await query(`SELECT sku, total, available, reserved, sold FROM \`${database}\`.sku_ledger`)) {
      const sum = stored.ledger.get(text(row.sku)) ?? [0, 0, 0, 0]
      const numbers = [row.total, row.available, row.reserved, row.sold].map((value) => Number(text(value)))
      stored.ledger.set(
        text(row.sku),
        sum.map((n, i) => n + numbers[i]),
      )
    }
  }
  for (const id of items.keys()) if (!orders.has(id)) throw new Error(`the database has items of order ${id}, which is not there`)
  return stored
}
