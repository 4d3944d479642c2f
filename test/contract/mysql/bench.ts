// How fast batches go into MySQL, beside a bare mysql2 loop that writes the same rows into the same tables: no reads, no cursor, no rules.
//
//   node test/contract/mysql/bench.ts [--layout 16x64] [--batch 500] [--orders 16000] [--rounds 3] [--writers 2] [--defaults]
//
// Rounds alternate, so that both meet the same machine. The server syncs every commit and its binary log. `--defaults` leaves its caches as
// MariaDB has them, which are too small for thousands of tables (doctor says so).

import { parseArgs } from 'node:util'
import { createPool, type PoolConnection } from 'mysql2/promise'
import { crc32 } from '../../../src/base/crc32.ts'
import type { EventBody } from '../../../src/orders/event-body.ts'
import type { EventBatch, IncomingEvent } from '../../../src/orders/store/store.ts'
import { parseDsn } from '../../../src/orders/store/mysql/dsn.ts'
import { Layout, shardOfName, type Database } from '../../../src/orders/store/mysql/layout.ts'
import { MysqlStore } from '../../../src/orders/store/mysql/mysql-store.ts'
import { startMariaDb } from '../../support/mariadb.ts'

const { values } = parseArgs({
  options: {
    layout: { type: 'string', default: '16x64' },
    batch: { type: 'string', default: '500' },
    orders: { type: 'string', default: '16000' },
    rounds: { type: 'string', default: '3' },
    writers: { type: 'string', default: '2' },
    defaults: { type: 'boolean', default: false },
  },
})
const [databases, tables] = values.layout.split('x').map(Number)
const batchEvents = Number(values.batch)
const perRound = Number(values.orders)
const writers = Number(values.writers)

const CACHES = [
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
function ordersOf(round: string): Map<number, Order[]> {
  const parts = new Map<number, Order[]>()
  for (let n = 0; n < perRound; n++) {
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

function batchesOf(round: string): EventBatch[] {
  const stream = `n1_0a1b2c3d-${round}`
  const batches: EventBatch[][] = []
  for (const [part, orders] of ordersOf(round)) {
    const events = orders.map((order, index) => eventOf(order, stream, index + 1))
    const ofPart: EventBatch[] = []
    for (let at = 0; at < events.length; at += batchEvents) ofPart.push({ stream, part, events: events.slice(at, at + batchEvents) })
    batches.push(ofPart)
  }
  // Part by part, as queues are drained: never two batches of one part at once.
  return batches.flat()
}

/** Runs `work` for each batch on so many writers; the batches of one part keep their order. */
async function drain(batches: readonly EventBatch[], work: (batch: EventBatch) => Promise<unknown>): Promise<number> {
  const parts = [...Map.groupBy(batches, ({ part }) => part).values()]
  const start = performance.now()
  await Promise.all(
    Array.from({ length: writers }, async () => {
      for (let ofPart = parts.shift(); ofPart !== undefined; ofPart = parts.shift()) for (const batch of ofPart) await work(batch)
    }),
  )
  return performance.now() - start
}

await using server = await startMariaDb({ binlog: true, args: values.defaults ? [] : CACHES })
const url = server.fresh('bench')
const store = new MysqlStore({ urls: [url], databases, tables, now: Date.now, connectionsMax: writers + 1 })
const layout = new Layout({ databases, tables }, [parseDsn(url)])
const started = performance.now()
await store.migrate()
console.log(`${values.layout}: tables made in ${((performance.now() - started) / 1000).toFixed(1)} s`)

const pool = createPool({ uri: url.replace(/\/[^/]*$/, '/mysql'), connectionLimit: writers, charset: 'utf8mb4', timezone: 'Z' })

async function bare(connection: PoolConnection, database: Database, { stream, part, events }: EventBatch): Promise<void> {
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

const ratios: number[] = []
for (let round = 0; round <= Number(values.rounds); round++) {
  const bareMs = await drain(batchesOf(`${round}b`), async (batch) => {
    const connection = await pool.getConnection()
    await bare(connection, layout.databaseOfPart(batch.part), batch)
    connection.release()
  })
  const batches = batchesOf(`${round}s`)
  const before = process.cpuUsage()
  const storeMs = await drain(batches, (batch) => store.apply(batch))
  const used = process.cpuUsage(before)
  const rate = (ms: number): number => Math.round((perRound / ms) * 1000)
  const ratio = bareMs / storeMs
  if (round > 0) ratios.push(ratio)
  const cpu = ((used.user + used.system) / perRound).toFixed(0)
  const what = round === 0 ? 'warm-up' : `round ${round}`
  console.log(`${what}: bare ${rate(bareMs)}/s, store ${rate(storeMs)}/s, ${ratio.toFixed(2)}x; ${cpu} us of this process an order`)
}
const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)]
console.log(`median: ${median.toFixed(2)}x of the bare inserts`)
await pool.end()
await store.close()
