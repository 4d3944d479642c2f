// Orders for a bench, and the bare way to insert them: the rows that a store writes, by plain mysql2, with no reads, no cursor, no rules.

import type { PoolConnection } from 'mysql2/promise'
import { crc32 } from '../../../src/base/crc32.ts'
import type { EventBody } from '../../../src/orders/event-body.ts'
import type { EventBatch, IncomingEvent } from '../../../src/orders/store/store.ts'
import { shardOfName, type Database, type Layout } from '../../../src/orders/store/mysql/layout.ts'

/** Caches that fit thousands of tables: those that MariaDB has by itself are too small (doctor says so). */
export const CACHES = [
  '--table-open-cache=20000',
  '--table-definition-cache=10000',
  '--open-files-limit=40000',
  '--innodb-buffer-pool-size=1G',
  '--innodb-log-file-size=256M',
]

interface Order {
  readonly id: string
  readonly buyer: string
  readonly shard: number
  readonly seller: string
  readonly sku: string
  readonly time: number
}

const now = Date.now()

/** Orders of one round by part. */
function ordersOf(round: string, count: number): Map<number, Order[]> {
  const parts = new Map<number, Order[]>()
  for (let n = 0; n < count; n++) {
    const buyer = `u${round}${crc32(Buffer.from(String(n)), 0, String(n).length)}`
    const shard = shardOfName(Buffer.from(buyer))
    const order = {
      id: `{${buyer}}01JA${n}`,
      buyer,
      shard,
      seller: `s${n % 97}`,
      sku: `sku:${n % 10}`,
      time: now + n,
    }
    const ofPart = parts.get(shard >> 6)
    if (ofPart === undefined) parts.set(shard >> 6, [order])
    else ofPart.push(order)
  }
  return parts
}

function eventOf(order: Order, stream: string, pseq: number): IncomingEvent {
  const body: EventBody = {
    schema: 1,
    id: `${stream}-${pseq * 16 + (order.shard >> 6)}`,
    type: 'order.reserved',
    time: order.time,
    order: order.id,
    buyer: order.buyer,
    shard: order.shard,
    version: 1,
    state: 'RESERVED',
    deadline: order.time + 600_000,
    ref: null,
    reason: null,
    late: false,
    items: [
      {
        sku: order.sku,
        generation: 1,
        qty: 1,
        price: 599_900,
        seller: order.seller,
        change: { reserved: 1, sold: 0, released: 0, returned: 0 },
      },
    ],
    stock: [
      {
        sku: order.sku,
        generation: 1,
        total: 100_000,
        available: 99_998,
        reserved: 1,
        sold: 1,
        change: { total: 0, available: -1, reserved: 1, sold: 0 },
      },
    ],
  }
  return { pseq, oldest: 1, payload: Buffer.from(JSON.stringify(body)), body, dead: null }
}

/** Events of new orders, `count` in all, part by part: never two batches of one part at once, as queues are drained. */
export function batchesOf(round: string, count: number, batchEvents: number): EventBatch[] {
  const stream = `n1_0a1b2c3d-${round}`
  const batches: EventBatch[][] = []
  for (const [part, orders] of ordersOf(round, count)) {
    const events = orders.map((order, index) => eventOf(order, stream, index + 1))
    const ofPart: EventBatch[] = []
    for (let at = 0; at < events.length; at += batchEvents) ofPart.push({ stream, part, events: events.slice(at, at + batchEvents) })
    batches.push(ofPart)
  }
  return batches.flat()
}

export async function insertBare(connection: PoolConnection, layout: Layout, { stream, part, events }: EventBatch): Promise<void> {
  const database: Database = layout.databaseOfPart(part)
  const rows = new Map<string, unknown[][]>()
  const add = (table: string, row: unknown[]): void => {
    const ofTable = rows.get(table)
    if (ofTable === undefined) rows.set(table, [row])
    else ofTable.push(row)
  }
  for (const { pseq, payload, body } of events) {
    if (body?.order == null || body.buyer === null) continue
    const table = layout.tableOfShard(body.shard)
    const { order, buyer, shard, time, deadline } = body
    const [{ sku, price, seller }] = body.items
    add(database.single('order_events'), [stream, part, pseq, body.id, body.type, time, order, 1, payload])
    add(database.sharded('orders', table), [order, null, shard, buyer, 'RESERVED', 1, 1, time, time, deadline, null, null])
    add(database.sharded('order_items', table), [order, sku, 1, 1, 0, 0, 0, price, seller])
    add(database.sharded('seller_orders', layout.tableOfSeller(Buffer.from(seller ?? ''))), [seller, time, order, shard])
  }
  await connection.query('START TRANSACTION')
  for (const [table, ofTable] of rows) await connection.query(`INSERT INTO ${table} VALUES ?`, [ofTable])
  await connection.query('COMMIT')
}
