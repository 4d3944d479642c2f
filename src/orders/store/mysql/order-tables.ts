// Writes orders, order_items, seller_orders and order_events of one database. Runs inside a transaction of the caller.
//
// A batch is few statements with many rows: for each of the T tables one that inserts new orders, one that updates known ones, one for
// their items, one for their sellers. What the tables hold of its orders is asked first, in one statement over all of them, with their rows
// locked; so no statement has to guess. An order for which adding would be wrong (rows.ts, OrderChange) is rebuilt from its events, which
// also brings it back out of history.

import { bytesOfName } from '../name.ts'
import { rebuildOrder } from '../order-history.ts'
import type { EventRow, ItemChange, OrderChange, OrderRows } from '../rows.ts'
import type { StreamPart } from '../store.ts'
import { readStoredEvent } from '../stored-event.ts'
import type { Database, Layout } from './layout.ts'
import { madeNumber } from './made-number.ts'
import { bytes, int, type Row, type Session } from './server.ts'
import { list, literal, tuple } from './sql-text.ts'

const EVENT_COLUMNS = 'stream, part, pseq, event_id, type, time, order_id, version, payload'
export const ORDER_COLUMNS = 'id, number, shard, buyer, state, version, first_version, created_at, updated_at, deadline, ref, reason'
export const ITEM_COLUMNS = 'order_id, sku, quantity, reserved, sold, released, returned, price, seller'

const UPDATE_ORDER = ` ON DUPLICATE KEY UPDATE version = VALUES(version), state = VALUES(state), updated_at = VALUES(updated_at),
 deadline = VALUES(deadline), ref = COALESCE(VALUES(ref), ref), reason = COALESCE(VALUES(reason), reason), buyer = COALESCE(buyer, VALUES(buyer))`
const ADD_ITEM = ` ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity), reserved = reserved + VALUES(reserved), sold = sold + VALUES(sold),
 released = released + VALUES(released), returned = returned + VALUES(returned), price = COALESCE(price, VALUES(price)), seller = COALESCE(seller, VALUES(seller))`
const KEEP = ' ON DUPLICATE KEY UPDATE shard = shard'

/** Rows of one statement: well below the smallest max_allowed_packet that anybody has. */
const STATEMENT_BYTES = 512 * 1024

/** What the tables hold of an order: its versions, or that it is in history. */
interface Known {
  readonly version: number
  readonly firstVersion: number
  readonly isHistory: boolean
}

export class OrderTables {
  readonly #layout: Layout
  readonly #database: Database

  constructor(layout: Layout, database: Database) {
    this.#layout = layout
    this.#database = database
  }

  /** Statements for order_events. */
  eventStatements({ stream, part }: StreamPart, events: readonly EventRow[]): string[] {
    const key = literal(Buffer.from(stream, 'utf8'))
    const rows = events.map(({ pseq, id, type, time, order, version, payload }) => {
      const orderId = order === null ? 'NULL' : literal(bytesOfName(order))
      return `(${key},${part},${pseq},${literal(Buffer.from(id, 'utf8'))},${literal(type)},${literal(time)},${orderId},${literal(version)},${literal(payload)})`
    })
    return inserts(this.#database.single('order_events'), EVENT_COLUMNS, rows)
  }

  /**
   * @param before statements that go first, in the same round trip; they write the changes' events into order_events
   * @param hasHistory false: no order was ever archived here
   */
  async apply(
    session: Session,
    changes: readonly OrderChange[],
    { before, hasHistory }: { before: readonly string[]; hasHistory: boolean },
  ): Promise<void> {
    const tables = this.#byTable(changes)
    const known = await this.#known(session, tables, hasHistory)
    const rebuilt: OrderChange[] = []
    const statements = [...before]
    const sellers = new Map<number, string[]>()
    for (const [table, ofTable] of tables) {
      const news: string[] = []
      const updates: string[] = []
      const items: string[] = []
      for (const change of ofTable) {
        const id = bytesOfName(change.id)
        const row = known.get(id.toString('latin1'))
        const isNew = row === undefined
        const isNewer = row !== undefined && !row.isHistory && row.firstVersion === 1 && row.version < change.firstVersion
        if (change.isDisordered || !(isNew || isNewer)) {
          rebuilt.push(change)
          continue
        }
        const key = literal(id)
        if (isNew) this.#addSellers(sellers, key, change)
        ;(isNew ? news : updates).push(orderRow(key, change))
        for (const item of change.items) items.push(itemRow(key, item))
      }
      statements.push(
        ...inserts(this.#database.sharded('orders', table), ORDER_COLUMNS, news),
        ...inserts(this.#database.sharded('orders', table), ORDER_COLUMNS, updates, UPDATE_ORDER),
        ...inserts(this.#database.sharded('order_items', table), ITEM_COLUMNS, items, ADD_ITEM),
      )
    }
    for (const [table, rows] of sellers) statements.push(...this.#sellerStatements(table, rows))
    await session.changeAll(statements)
    for (const { id, shard } of rebuilt) await this.rebuild(session, id, shard)
  }

  /** Replaces the rows of the order by what its events say. @returns false: there are none; its rows stay as they are */
  async rebuild(session: Session, id: string, shard: number): Promise<boolean> {
    const key = literal(bytesOfName(id))
    const events = await session.rows(`SELECT payload FROM ${this.#database.single('order_events')} WHERE order_id = ${key}`)
    if (events.length === 0) return false
    const rows = rebuildOrder(events.map((row) => readStoredEvent(bytes(row.payload))))
    const table = this.#layout.tableOfShard(shard)
    const statements: string[] = []
    for (const row of await this.#sellerRows(session, table, key)) {
      const seller = bytes(row.seller)
      const where = `WHERE seller = ${literal(seller)} AND created_at = ${int(row.created_at)} AND order_id = ${key}`
      for (const from of this.#sellerTables(seller)) statements.push(`DELETE FROM ${from} ${where}`)
    }
    for (const kind of ['orders', 'orders_history'] as const)
      statements.push(`DELETE FROM ${this.#database.sharded(kind, table)} WHERE id = ${key}`)
    for (const kind of ['order_items', 'order_items_history'] as const)
      statements.push(`DELETE FROM ${this.#database.sharded(kind, table)} WHERE order_id = ${key}`)
    const sellers = new Map<number, string[]>()
    this.#addSellers(sellers, key, rows)
    statements.push(
      ...inserts(this.#database.sharded('orders', table), ORDER_COLUMNS, [orderRow(key, rows)]),
      ...inserts(
        this.#database.sharded('order_items', table),
        ITEM_COLUMNS,
        rows.items.map((item) => itemRow(key, item)),
      ),
    )
    for (const [sellerTable, ofTable] of sellers) statements.push(...this.#sellerStatements(sellerTable, ofTable))
    await session.changeAll(statements)
    return true
  }

  /** All rows of the order as text, for telling whether a rebuild changed any. */
  async rowsOf(session: Session, id: string, shard: number): Promise<string> {
    const key = literal(bytesOfName(id))
    const table = this.#layout.tableOfShard(shard)
    const found: unknown[] = []
    for (const suffix of ['', '_history'] as const) {
      found.push(
        await session.rows(`SELECT ${ORDER_COLUMNS} FROM ${this.#database.sharded(`orders${suffix}`, table)} WHERE id = ${key}`),
        await session.rows(
          `SELECT ${ITEM_COLUMNS} FROM ${this.#database.sharded(`order_items${suffix}`, table)} WHERE order_id = ${key} ORDER BY sku`,
        ),
      )
    }
    const sellers = await this.#sellerRows(session, table, key)
    for (const row of sellers) {
      const seller = bytes(row.seller)
      const where = `WHERE seller = ${literal(seller)} AND created_at = ${int(row.created_at)} AND order_id = ${key}`
      for (const from of this.#sellerTables(seller)) found.push(await session.rows(`SELECT * FROM ${from} ${where}`))
    }
    return JSON.stringify(found)
  }

  /** The keys under which an order should be in the sellers' tables, by its own rows. */
  #sellerRows(session: Session, table: number, key: string): Promise<readonly Row[]> {
    const side = (suffix: '' | '_history'): string =>
      `SELECT DISTINCT i.seller, o.created_at FROM ${this.#database.sharded(`orders${suffix}`, table)} o
       JOIN ${this.#database.sharded(`order_items${suffix}`, table)} i ON i.order_id = o.id WHERE o.id = ${key} AND i.seller IS NOT NULL`
    return session.rows(`${side('')} UNION ${side('_history')} ORDER BY seller`)
  }

  #sellerTables(seller: Buffer): string[] {
    return [this.#database.sharded('seller_orders', this.#layout.tableOfSeller(seller)), this.#database.single('seller_orders_history')]
  }

  #byTable(changes: readonly OrderChange[]): ReadonlyMap<number, readonly OrderChange[]> {
    const tables = Map.groupBy(changes, ({ shard }) => this.#layout.tableOfShard(shard))
    return new Map([...tables].toSorted(([a], [b]) => a - b))
  }

  async #known(session: Session, tables: ReadonlyMap<number, readonly OrderChange[]>, hasHistory: boolean): Promise<Map<string, Known>> {
    const known = new Map<string, Known>()
    const look = async (kind: 'orders' | 'orders_history'): Promise<void> => {
      const arms: string[] = []
      for (const [table, ofTable] of tables) {
        const ids = ofTable.map(({ id }) => bytesOfName(id)).filter((id) => !known.has(id.toString('latin1')))
        if (ids.length > 0)
          arms.push(`(SELECT id, version, first_version FROM ${this.#database.sharded(kind, table)} WHERE id IN ${list(ids)} FOR UPDATE)`)
      }
      if (arms.length === 0) return
      for (const row of await session.rows(arms.join(' UNION ALL '))) {
        known.set(bytes(row.id).toString('latin1'), {
          version: int(row.version),
          firstVersion: int(row.first_version),
          isHistory: kind === 'orders_history',
        })
      }
    }
    await look('orders')
    // In this order: an order that is being archived is locked until it has arrived there.
    if (hasHistory) await look('orders_history')
    return known
  }

  #addSellers(tables: Map<number, string[]>, key: string, { sellers, createdAt, shard }: OrderRows): void {
    for (const name of sellers) {
      const seller = bytesOfName(name)
      const table = this.#layout.tableOfSeller(seller)
      const row = `(${literal(seller)},${createdAt},${key},${shard})`
      const rows = tables.get(table)
      if (rows === undefined) tables.set(table, [row])
      else rows.push(row)
    }
  }

  #sellerStatements(table: number, rows: readonly string[]): string[] {
    return inserts(this.#database.sharded('seller_orders', table), 'seller, created_at, order_id, shard', rows, KEEP)
  }
}

function orderRow(key: string, order: OrderRows): string {
  const { id, shard, buyer, state, version, firstVersion, createdAt, updatedAt, deadline, ref, reason } = order
  const name = (text: string | null): Buffer | null => (text === null ? null : bytesOfName(text))
  const values = [shard, name(buyer), state, version, firstVersion, createdAt, updatedAt, deadline, name(ref), name(reason)]
  return `(${key},${literal(madeNumber(id))},${tuple(values).slice(1)}`
}

function itemRow(key: string, { sku, quantity, reserved, sold, released, returned, price, seller }: ItemChange): string {
  const values = [bytesOfName(sku), quantity, reserved, sold, released, returned, price, seller === null ? null : bytesOfName(seller)]
  return `(${key},${tuple(values).slice(1)}`
}

/** Multi-row inserts: none for no rows, several for very many bytes. */
export function inserts(table: string, columns: string, rows: readonly string[], end = ''): string[] {
  const statements: string[] = []
  const head = `INSERT INTO ${table} (${columns}) VALUES `
  let from = 0
  let size = 0
  for (let at = 0; at < rows.length; at++) {
    if (at > from && size + rows[at].length > STATEMENT_BYTES) {
      statements.push(`${head}${rows.slice(from, at).join(',')}${end}`)
      from = at
      size = 0
    }
    size += rows[at].length
  }
  if (from < rows.length) statements.push(`${head}${rows.slice(from).join(',')}${end}`)
  return statements
}
