// Reads orders: one by id, pages by buyer, by seller, or of all, newest first.
//
// A buyer's orders are in one table of one database. A seller's are found in one table of each database, and then read where they are.
// The newest of all are the newest of each table, merged: each table gives one page and no more, by its index.
// History is read together with the live tables as one list, so an order that is archived between two pages keeps its place.

import { bytesOfName } from '../name.ts'
import type { OrderPage, Page, StoredItem, StoredOrder } from '../store.ts'
import type { Database, Layout } from './layout.ts'
import { ITEM_COLUMNS, ORDER_COLUMNS } from './order-tables.ts'
import { markText, readMark, type PageMark } from './page-mark.ts'
import { bytes, decimalOrNull, int, name, nameOrNull, text, type MysqlServer, type Row, type Session } from './server.ts'
import { list, literal } from './sql-text.ts'
import { NEWEST_INDEX } from './tables.ts'

const LIVE = ''
const HISTORY = '_history'
type Suffix = typeof LIVE | typeof HISTORY

const suffixes = (withHistory: boolean): readonly Suffix[] => (withHistory ? [LIVE, HISTORY] : [LIVE])

/** Where an order is found. */
interface OrderPlace {
  readonly createdAt: number
  readonly id: Buffer
  readonly shard: number
  readonly suffix: Suffix
}

interface PartOfList {
  readonly limit: number
  /** Where the part before ended. */
  readonly mark: PageMark | null
  readonly withHistory: boolean
}

export class OrderQueries {
  readonly #layout: Layout
  readonly #serverOf: (database: Database) => MysqlServer

  constructor(layout: Layout, serverOf: (database: Database) => MysqlServer) {
    this.#layout = layout
    this.#serverOf = serverOf
  }

  async order(id: string, withHistory: boolean): Promise<StoredOrder | null> {
    const key = bytesOfName(id)
    const { database, table } = this.#layout.placeOfOrder(key)
    return this.#serverOf(database).snapshot(async (session) => {
      for (const suffix of suffixes(withHistory)) {
        const rows = await session.rows(
          `SELECT ${ORDER_COLUMNS}, '${suffix}' AS suffix FROM ${database.sharded(`orders${suffix}`, table)} WHERE id = ${literal(key)}`,
        )
        if (rows.length > 0) return (await this.#withItems(session, database, table, rows))[0]
      }
      return null
    })
  }

  async ordersOfBuyer(buyer: string, { limit, after, withHistory, state }: Page): Promise<OrderPage> {
    const key = bytesOfName(buyer)
    const { database, table } = this.#layout.placeOfBuyer(key)
    const mark = after === null ? null : readMark(after)
    const ofState = state === undefined ? '' : ` AND state = ${literal(state)}`
    // Each side ends by itself, by its index; the sides are merged.
    const sides = suffixes(withHistory).map(
      (suffix) =>
        `(SELECT ${ORDER_COLUMNS}, '${suffix}' AS suffix FROM ${database.sharded(`orders${suffix}`, table)}
          WHERE buyer = ${literal(key)}${behind(mark, 'id')}${ofState} ORDER BY created_at DESC, id DESC LIMIT ${limit + 1})`,
    )
    const sql = `${sides.join(' UNION ALL ')} ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`
    return this.#serverOf(database).snapshot(async (session) =>
      pageOf(await this.#withItems(session, database, table, await session.rows(sql)), limit),
    )
  }

  /** A seller sees what is his in each order. */
  async ordersOfSeller(seller: string, page: Page): Promise<OrderPage> {
    const key = bytesOfName(seller)
    const { orders, next } = await this.#pageOfPlaces(page, (part) => this.#ofSeller(key, part))
    return { orders: orders.map((order) => ({ ...order, items: order.items.filter((item) => item.seller === seller) })), next }
  }

  newest(page: Page): Promise<OrderPage> {
    return this.#pageOfPlaces(page, (part) => this.#ofAll(part))
  }

  /** @param places at least `limit + 1` of them behind a mark, newest first, if there are so many */
  async #pageOfPlaces(
    { limit, after, withHistory, state }: Page,
    places: (part: PartOfList) => Promise<readonly OrderPlace[]>,
  ): Promise<OrderPage> {
    const found: StoredOrder[] = []
    let mark = after === null ? null : readMark(after)
    // One round finds the page, unless only some states are wanted, or an order was moved meanwhile.
    for (;;) {
      const rows = await places({ limit, mark, withHistory })
      const orders = await this.#ordersAt(rows.slice(0, limit + 1))
      found.push(...(state === undefined ? orders : orders.filter((order) => order.state === state)))
      if (rows.length <= limit || found.length > limit) return pageOf(found, limit)
      const last = rows[limit]
      mark = { number: last.createdAt, id: last.id }
    }
  }

  /** Every order: table by table, by id, which no change of an order moves. */
  async orders({ limit, after, withHistory, state }: Page): Promise<OrderPage> {
    const mark = after === null ? null : readMark(after)
    const { databases, tables } = this.#layout.size
    const found: StoredOrder[] = []
    for (let index = mark?.number ?? 0; index < databases * tables * (withHistory ? 2 : 1); index++) {
      const suffix = index < databases * tables ? LIVE : HISTORY
      const database = this.#layout.databases[Math.floor(index / tables) % databases]
      const table = index % tables
      const conditions = [
        ...(mark !== null && mark.number === index ? [`id > ${literal(mark.id)}`] : []),
        ...(state === undefined ? [] : [`state = ${literal(state)}`]),
      ]
      const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
      const wanted = limit + 1 - found.length
      const sql = `SELECT ${ORDER_COLUMNS}, '${suffix}' AS suffix FROM ${database.sharded(`orders${suffix}`, table)}${where} ORDER BY id LIMIT ${wanted}`
      const orders = await this.#serverOf(database).snapshot(async (session) =>
        this.#withItems(session, database, table, await session.rows(sql)),
      )
      found.push(...orders)
      if (found.length <= limit) continue
      // The last one of the page may be of an earlier table than the one behind it.
      const last = found[limit - 1]
      const lastIndex = orders.includes(last) ? index : this.#indexOf(last)
      return { orders: found.slice(0, limit), next: markText({ number: lastIndex, id: bytesOfName(last.id) }) }
    }
    return { orders: found, next: null }
  }

  async events(id: string): Promise<{ pseq: number; payload: Buffer }[]> {
    const key = bytesOfName(id)
    const { database } = this.#layout.placeOfOrder(key)
    const rows = await this.#serverOf(database).rows(
      `SELECT pseq, payload FROM ${database.single('order_events')} WHERE order_id = ${literal(key)} ORDER BY time, version`,
    )
    return rows.map((row) => ({ pseq: int(row.pseq), payload: bytes(row.payload) }))
  }

  #indexOf({ shard, isHistory }: StoredOrder): number {
    const { databases, tables } = this.#layout.size
    return ((isHistory ? databases : 0) + this.#layout.databaseOfPart(shard >> 6).index) * tables + this.#layout.tableOfShard(shard)
  }

  async #ofSeller(seller: Buffer, { limit, mark, withHistory }: PartOfList): Promise<OrderPlace[]> {
    const table = this.#layout.tableOfSeller(seller)
    return this.#newestPlaces(limit, (database) =>
      suffixes(withHistory).map((suffix) => {
        const from = suffix === LIVE ? database.sharded('seller_orders', table) : database.single('seller_orders_history')
        return `(SELECT created_at, order_id, shard, '${suffix}' AS suffix FROM ${from}
          WHERE seller = ${literal(seller)}${behind(mark, 'order_id')} ORDER BY created_at DESC, order_id DESC LIMIT ${limit + 1})`
      }),
    )
  }

  /** The index by force: of a table whose statistics are old an optimizer may think that sorting all of it is less. */
  async #ofAll({ limit, mark, withHistory }: PartOfList): Promise<OrderPlace[]> {
    const tables = Array.from({ length: this.#layout.size.tables }, (_, table) => table)
    return this.#newestPlaces(limit, (database) =>
      suffixes(withHistory).flatMap((suffix) =>
        tables.map(
          (table) =>
            `(SELECT created_at, id AS order_id, shard, '${suffix}' AS suffix FROM ${database.sharded(`orders${suffix}`, table)} FORCE INDEX (${NEWEST_INDEX})
              WHERE TRUE${behind(mark, 'id')} ORDER BY created_at DESC, id DESC LIMIT ${limit + 1})`,
        ),
      ),
    )
  }

  /** Newest first, from all databases: at least `limit + 1` of them, if there are so many. Each of `sides` ends by itself. */
  async #newestPlaces(limit: number, sides: (database: Database) => readonly string[]): Promise<OrderPlace[]> {
    const found = await Promise.all(
      this.#layout.databases.map((database) => {
        const all = sides(database).join(' UNION ALL ')
        return this.#serverOf(database).rows(`${all} ORDER BY created_at DESC, order_id DESC LIMIT ${limit + 1}`)
      }),
    )
    const places = found.flat().map((row) => ({
      createdAt: int(row.created_at),
      id: bytes(row.order_id),
      shard: int(row.shard),
      suffix: suffixOf(row),
    }))
    return places.toSorted((a, b) => b.createdAt - a.createdAt || Buffer.compare(b.id, a.id)).slice(0, limit + 1)
  }

  /** The orders themselves, in the same order. One that was moved since is left out; it comes with the history. */
  async #ordersAt(rows: readonly OrderPlace[]): Promise<StoredOrder[]> {
    const byDatabase = Map.groupBy(rows, ({ shard }) => this.#layout.databaseOfPart(shard >> 6))
    const found = new Map<string, StoredOrder>()
    await Promise.all(
      [...byDatabase].map(([database, ofDatabase]) =>
        this.#serverOf(database).snapshot(async (session) => {
          const tables = Map.groupBy(ofDatabase, ({ shard, suffix }) => `${this.#layout.tableOfShard(shard)} ${suffix}`)
          for (const ofTable of tables.values()) {
            const [{ shard, suffix }] = ofTable
            const table = this.#layout.tableOfShard(shard)
            const orders = await session.rows(
              `SELECT ${ORDER_COLUMNS}, '${suffix}' AS suffix FROM ${database.sharded(`orders${suffix}`, table)}
               WHERE id IN ${list(ofTable.map(({ id }) => id))}`,
            )
            for (const order of await this.#withItems(session, database, table, orders)) found.set(order.id, order)
          }
        }),
      ),
    )
    return rows.flatMap(({ id }) => found.get(name(id)) ?? [])
  }

  async #withItems(session: Session, database: Database, table: number, rows: readonly Row[]): Promise<StoredOrder[]> {
    const items = new Map<string, StoredItem[]>()
    for (const suffix of [LIVE, HISTORY] as const) {
      const ids = rows.filter((row) => suffixOf(row) === suffix).map((row) => bytes(row.id))
      if (ids.length === 0) continue
      const found = await session.rows(
        `SELECT ${ITEM_COLUMNS} FROM ${database.sharded(`order_items${suffix}`, table)} WHERE order_id IN ${list(ids)} ORDER BY order_id, sku`,
      )
      for (const row of found) {
        const key = suffix + bytes(row.order_id).toString('latin1')
        const ofOrder = items.get(key)
        if (ofOrder === undefined) items.set(key, [itemOf(row)])
        else ofOrder.push(itemOf(row))
      }
    }
    return rows.map((row) => orderOf(row, items.get(suffixOf(row) + bytes(row.id).toString('latin1')) ?? []))
  }
}

/** The part of the list behind a mark, in a form that indexes understand. */
function behind(mark: PageMark | null, idColumn: string): string {
  if (mark === null) return ''
  const { number: createdAt, id } = mark
  return ` AND created_at <= ${createdAt} AND (created_at < ${createdAt} OR ${idColumn} < ${literal(id)})`
}

function pageOf(orders: readonly StoredOrder[], limit: number): OrderPage {
  const page = orders.slice(0, limit)
  const last = page.at(-1)
  const hasMore = orders.length > limit && last !== undefined
  return { orders: page, next: hasMore ? markText({ number: last.createdAt, id: bytesOfName(last.id) }) : null }
}

const suffixOf = (row: Row): Suffix => (text(row.suffix) === HISTORY ? HISTORY : LIVE)

function orderOf(row: Row, items: readonly StoredItem[]): StoredOrder {
  return {
    id: name(row.id),
    buyer: nameOrNull(row.buyer),
    shard: int(row.shard),
    state: text(row.state),
    version: int(row.version),
    createdAt: int(row.created_at),
    updatedAt: int(row.updated_at),
    deadline: int(row.deadline),
    ref: nameOrNull(row.ref),
    reason: nameOrNull(row.reason),
    items,
    isHistory: suffixOf(row) === HISTORY,
  }
}

function itemOf(row: Row): StoredItem {
  return {
    sku: name(row.sku),
    quantity: int(row.quantity),
    reserved: int(row.reserved),
    sold: int(row.sold),
    released: int(row.released),
    returned: int(row.returned),
    price: decimalOrNull(row.price),
    seller: nameOrNull(row.seller),
  }
}
