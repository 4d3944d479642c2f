// Moves orders that are over to the history tables.
//
// Each table's orders go in one transaction: an order is in one place, whatever happens in between, and who starts again goes on. It waits
// for the batches that are being written into its database and keeps new ones waiting (the cursors' locks): otherwise an event could find
// its order in neither place.

import { StoreError } from '../store-error.ts'
import type { Database, Layout } from './layout.ts'
import { ITEM_COLUMNS, ORDER_COLUMNS } from './order-tables.ts'
import { bytes, int, type MysqlServer, type Session } from './server.ts'
import { list, tuple } from './sql-text.ts'

const isOver = (before: number): string => `updated_at < ${Math.floor(before)} AND state <> 'RESERVED'`
const SELLER_COLUMNS = 'seller, created_at, order_id, shard'

export class Archive {
  readonly #layout: Layout
  readonly #serverOf: (database: Database) => MysqlServer

  constructor(layout: Layout, serverOf: (database: Database) => MysqlServer) {
    this.#layout = layout
    this.#serverOf = serverOf
  }

  async archivable(before: number): Promise<number> {
    const { tables } = this.#layout.size
    let sum = 0
    for (const database of this.#layout.databases) {
      const arms = Array.from(
        { length: tables },
        (_, table) => `SELECT COUNT(*) AS n FROM ${database.sharded('orders', table)} WHERE ${isOver(before)}`,
      )
      for (const row of await this.#serverOf(database).recount(arms.join(' UNION ALL '))) sum += int(row.n)
    }
    return sum
  }

  /** @returns how many orders moved: fewer than `limit` when there are no more */
  async move(before: number, limit: number): Promise<number> {
    let moved = 0
    for (const database of this.#layout.databases) {
      for (let table = 0; table < this.#layout.size.tables && moved < limit; table++) {
        // Most tables of a run have nothing to give: they are asked without a lock.
        const [some] = await this.#serverOf(database).rows(
          `SELECT 1 FROM ${database.sharded('orders', table)} WHERE ${isOver(before)} LIMIT 1`,
        )
        if (some !== undefined) moved += await this.#moveTable(database, table, { before, limit: limit - moved })
      }
    }
    return moved
  }

  async #moveTable(database: Database, table: number, { before, limit }: { before: number; limit: number }): Promise<number> {
    const server = this.#serverOf(database)
    // Committed before any order moves: whoever reads it as 0 later than this has the cursor that we wait for.
    await server.change(`UPDATE ${database.single('stockd_layout')} SET has_history = 1 WHERE one = 1 AND has_history = 0`)
    return server.transaction(async (session) => {
      await session.rows(`SELECT pseq FROM ${database.single('outbox_cursor')} ORDER BY stream, part FOR UPDATE`)
      const orders = database.sharded('orders', table)
      const items = database.sharded('order_items', table)
      const chosen = await session.rows(`SELECT id FROM ${orders} WHERE ${isOver(before)} ORDER BY updated_at LIMIT ${limit} FOR UPDATE`)
      if (chosen.length === 0) return 0
      const ids = list(chosen.map((row) => bytes(row.id)))
      const sellers = await session.rows(
        `SELECT DISTINCT i.seller, o.created_at, o.id FROM ${orders} o JOIN ${items} i ON i.order_id = o.id
         WHERE o.id IN ${ids} AND i.seller IS NOT NULL`,
      )
      const byTable = Map.groupBy(sellers, (row) => this.#layout.tableOfSeller(bytes(row.seller)))
      for (const [sellerTable, rows] of byTable) {
        const keys = rows.map((row) => tuple([bytes(row.seller), int(row.created_at), bytes(row.id)])).join(',')
        await moveRows(session, {
          from: database.sharded('seller_orders', sellerTable),
          to: database.single('seller_orders_history'),
          columns: SELLER_COLUMNS,
          where: `(seller, created_at, order_id) IN (${keys})`,
        })
      }
      await moveRows(session, {
        from: items,
        to: database.sharded('order_items_history', table),
        columns: ITEM_COLUMNS,
        where: `order_id IN ${ids}`,
      })
      const moved = await moveRows(session, {
        from: orders,
        to: database.sharded('orders_history', table),
        columns: ORDER_COLUMNS,
        where: `id IN ${ids}`,
      })
      if (moved !== chosen.length)
        throw new StoreError('unknown', 'ARCHIVE', `${orders}: ${chosen.length} orders were chosen, ${moved} moved`)
      return moved
    })
  }
}

async function moveRows(
  session: Session,
  { from, to, columns, where }: { readonly from: string; readonly to: string; readonly columns: string; readonly where: string },
): Promise<number> {
  const copied = await session.change(`INSERT INTO ${to} (${columns}) SELECT ${columns} FROM ${from} WHERE ${where}`)
  const deleted = await session.change(`DELETE FROM ${from} WHERE ${where}`)
  if (copied !== deleted)
    throw new StoreError('unknown', 'ARCHIVE', `${from}: ${copied} rows were copied, ${deleted} deleted; nothing was changed`)
  return copied
}
