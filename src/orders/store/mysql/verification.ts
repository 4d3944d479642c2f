// Recounts what is stored against what it was made from. Finds damage; says one sentence for each, at most a hundred.
//
//   E10   of (stream, part): events + dead events + skipped ones = cursor - first + 1, and none is above the cursor
//   every order's rows are what its events say, every event's order is there, and in its sellers' tables
//   a SKU's ledger adds up, and its reserved units are those of the orders (when every event from the first on is there)

import { bytesOfName } from '../name.ts'
import { orderDifferences } from '../order-check.ts'
import type { OrderPage, StoredOrder } from '../store.ts'
import { shardOfOrder, type Database, type Layout } from './layout.ts'
import type { OrderQueries } from './order-queries.ts'
import { bytes, int, name, text, type MysqlServer, type Row, type Session } from './server.ts'
import { list, literal, tuple } from './sql-text.ts'

const FINDINGS_MAX = 100
const ORDERS_AT_ONCE = 500

export class Verification {
  readonly #layout: Layout
  readonly #serverOf: (database: Database) => MysqlServer
  readonly #queries: OrderQueries
  readonly #found: string[] = []

  constructor(layout: Layout, serverOf: (database: Database) => MysqlServer, queries: OrderQueries) {
    this.#layout = layout
    this.#serverOf = serverOf
    this.#queries = queries
  }

  async run(): Promise<readonly string[]> {
    for (const database of this.#layout.databases) {
      await this.#serverOf(database).snapshot(async (session) => {
        await this.#events(session, database)
        await this.#missingOrders(session, database)
        await this.#ledgerSums(session, database)
      })
    }
    await this.#reservedUnits()
    await this.#marks()
    let after: string | null = null
    do {
      const page: OrderPage = await this.#queries.orders({ limit: ORDERS_AT_ONCE, after, withHistory: true })
      await this.#orders(page.orders)
      after = page.next
    } while (after !== null && this.#found.length < FINDINGS_MAX)
    return this.#found
  }

  #says(sentence: string): void {
    if (this.#found.length < FINDINGS_MAX) this.#found.push(sentence)
  }

  async #events(session: Session, database: Database): Promise<void> {
    const events = database.single('order_events')
    const dead = database.single('dead_events')
    const skipped = database.single('skipped_events')
    const own = (table: string): string => `${table}.stream = c.stream AND ${table}.part = c.part`
    const inSkipped = (table: string): string =>
      `EXISTS (SELECT 1 FROM ${skipped} s WHERE ${own('s')} AND ${table}.pseq BETWEEN s.first AND s.last)`
    const rows = await session.rows(
      `SELECT c.stream, c.part, c.pseq, c.first,
         (SELECT COUNT(*) FROM ${events} e WHERE ${own('e')} AND e.pseq > c.pseq) AS above,
         (SELECT COUNT(*) FROM ${events} e WHERE ${own('e')} AND e.pseq BETWEEN c.first AND c.pseq AND NOT ${inSkipped('e')}) AS kept,
         (SELECT COUNT(*) FROM ${dead} d WHERE ${own('d')} AND d.state <> 'replayed' AND d.pseq BETWEEN c.first AND c.pseq AND NOT ${inSkipped('d')}) AS dead,
         (SELECT COALESCE(SUM(s.last - GREATEST(s.first, c.first) + 1), 0) FROM ${skipped} s WHERE ${own('s')} AND s.last >= c.first) AS skipped
       FROM ${database.single('outbox_cursor')} c ORDER BY c.stream, c.part`,
    )
    for (const row of rows) {
      const where = `${name(row.stream)}, part ${int(row.part)}`
      const found = int(row.kept) + int(row.dead)
      const expected = int(row.pseq) + 1 - int(row.first) - int(row.skipped)
      if (found !== expected) this.#says(`${where}: ${found} events are stored, and the cursor says ${expected} (E10)`)
      if (int(row.above) > 0) this.#says(`${where}: ${int(row.above)} events are above the cursor ${int(row.pseq)}`)
    }
  }

  async #missingOrders(session: Session, database: Database): Promise<void> {
    let after: Buffer = Buffer.alloc(0)
    while (this.#found.length < FINDINGS_MAX) {
      const rows = await session.rows(
        `SELECT DISTINCT order_id FROM ${database.single('order_events')} WHERE order_id > ${literal(after)} ORDER BY order_id LIMIT ${ORDERS_AT_ONCE}`,
      )
      if (rows.length === 0) return
      const ids = rows.map((row) => bytes(row.order_id))
      after = ids[ids.length - 1]
      const arms: string[] = []
      for (const [table, ofTable] of Map.groupBy(ids, (id) => this.#layout.tableOfShard(shardOfOrder(id)))) {
        for (const kind of ['orders', 'orders_history'] as const)
          arms.push(`SELECT id FROM ${database.sharded(kind, table)} WHERE id IN ${list(ofTable)}`)
      }
      const there = new Set((await session.rows(arms.join(' UNION ALL '))).map((row) => name(row.id)))
      for (const id of ids.map((bytesOfId) => name(bytesOfId)))
        if (!there.has(id)) this.#says(`order ${id} is missing, although its events are stored`)
    }
  }

  async #ledgerSums(session: Session, database: Database): Promise<void> {
    const rows = await session.rows(
      `SELECT sku, part FROM ${database.single('sku_ledger')} WHERE total <> available + reserved + sold LIMIT ${FINDINGS_MAX}`,
    )
    for (const row of rows) this.#says(`the ledger of ${name(row.sku)} in part ${int(row.part)} does not add up (E1)`)
  }

  async #reservedUnits(): Promise<void> {
    const missing = await this.#each(
      (database) =>
        `SELECT 1 FROM ${database.single('outbox_cursor')} WHERE first > 1 UNION ALL SELECT 1 FROM ${database.single('skipped_events')} LIMIT 1`,
    )
    if (missing.length > 0) return
    const units = new Map<string, { ledger: number; orders: number }>()
    const of = (sku: string): { ledger: number; orders: number } => {
      const found = units.get(sku) ?? { ledger: 0, orders: 0 }
      units.set(sku, found)
      return found
    }
    const ledger = await this.#each((database) => `SELECT sku, SUM(reserved) AS n FROM ${database.single('sku_ledger')} GROUP BY sku`)
    for (const row of ledger) of(name(row.sku)).ledger += int(row.n)
    const items = await this.#each((database) =>
      Array.from({ length: this.#layout.size.tables }, (_, table) =>
        (['order_items', 'order_items_history'] as const).map(
          (kind) => `SELECT sku, SUM(reserved) AS n FROM ${database.sharded(kind, table)} GROUP BY sku`,
        ),
      )
        .flat()
        .join(' UNION ALL '),
    )
    for (const row of items) of(name(row.sku)).orders += int(row.n)
    for (const [sku, sums] of units) {
      if (sums.ledger !== sums.orders)
        this.#says(`${sku}: ${sums.ledger} units are reserved by the ledger, ${sums.orders} by the orders (E2)`)
    }
  }

  async #marks(): Promise<void> {
    const [home] = this.#layout.databases
    const results = home.single('audit_results')
    const rows = await this.#serverOf(home).rows(
      `SELECT r.stream, r.mark, r.differences FROM ${results} r WHERE r.mark = (SELECT MAX(mark) FROM ${results} WHERE stream = r.stream)`,
    )
    for (const row of rows) {
      for (const difference of JSON.parse(text(row.differences)) as string[])
        this.#says(`${name(row.stream)}, mark ${int(row.mark)}: ${difference} (E9)`)
    }
  }

  async #orders(orders: readonly StoredOrder[]): Promise<void> {
    for (const [database, ofDatabase] of Map.groupBy(orders, ({ shard }) => this.#layout.databaseOfPart(shard >> 6))) {
      const server = this.#serverOf(database)
      const payloads = new Map<string, Buffer[]>()
      const events = await server.rows(
        `SELECT order_id, payload FROM ${database.single('order_events')} WHERE order_id IN ${list(ofDatabase.map(({ id }) => bytesOfName(id)))}`,
      )
      for (const row of events) payloads.set(name(row.order_id), [...(payloads.get(name(row.order_id)) ?? []), bytes(row.payload)])
      for (const order of ofDatabase) {
        let wrong = orderDifferences(order, payloads.get(order.id) ?? [])
        // It may have changed between the two questions.
        if (wrong.length > 0) wrong = await this.#differencesNow(order)
        if (wrong.length > 0) this.#says(`order ${order.id} is not what its events say: ${wrong.join(', ')}`)
      }
      await this.#sellers(server, database, ofDatabase)
    }
  }

  async #differencesNow(before: StoredOrder): Promise<string[]> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const order = await this.#queries.order(before.id, true)
      if (order === null) return ['its rows are gone']
      const events = await this.#queries.events(before.id)
      const wrong = orderDifferences(
        order,
        events.map(({ payload }) => payload),
      )
      const again = await this.#queries.order(before.id, true)
      if (wrong.length === 0 || again?.version === order.version) return wrong
    }
    return []
  }

  async #sellers(server: MysqlServer, database: Database, orders: readonly StoredOrder[]): Promise<void> {
    const wanted = orders.flatMap((order) => {
      const sellers = new Set(order.items.flatMap(({ seller }) => seller ?? []))
      return [...sellers].map((seller) => ({ order, seller, key: bytesOfName(seller) }))
    })
    if (wanted.length === 0) return
    const arms: string[] = []
    const tables = Map.groupBy(wanted, ({ order, key }) =>
      order.isHistory ? database.single('seller_orders_history') : database.sharded('seller_orders', this.#layout.tableOfSeller(key)),
    )
    for (const [table, rows] of tables) {
      const keys = rows.map(({ order, key }) => tuple([key, order.createdAt, bytesOfName(order.id)]))
      arms.push(`SELECT seller, order_id FROM ${table} WHERE (seller, created_at, order_id) IN (${keys.join(',')})`)
    }
    const there = new Set((await server.rows(arms.join(' UNION ALL '))).map((row) => `${name(row.order_id)} ${name(row.seller)}`))
    for (const { order, seller } of wanted) {
      if (there.has(`${order.id} ${seller}`)) continue
      const again = await this.#queries.order(order.id, true)
      if (again?.isHistory === order.isHistory) this.#says(`order ${order.id} is not in the table of its seller ${seller}`)
    }
  }

  async #each(sql: (database: Database) => string): Promise<Row[]> {
    return (await Promise.all(this.#layout.databases.map((database) => this.#serverOf(database).recount(sql(database))))).flat()
  }
}
