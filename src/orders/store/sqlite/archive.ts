// Moves orders to the history tables, and tells how many could go. Runs inside a transaction of the caller: an order is in one place.

import { StoreError } from '../store-error.ts'
import { number, type SqliteConnection } from './connection.ts'
import { EVENT_COLUMNS, ITEM_COLUMNS, ORDER_COLUMNS, SELLER_COLUMNS } from './order-tables.ts'

const OLD_AND_FINAL = `created_at < ?1 AND updated_at < ?1 AND state <> 'RESERVED'`

/** The seller rows are found by the order's and the items': they go first. */
const MOVES = [
  {
    table: 'seller_orders',
    columns: SELLER_COLUMNS,
    where: `order_number = ?1 AND created_at = (SELECT created_at FROM orders WHERE number = ?1)
      AND seller IN (SELECT seller FROM order_items WHERE order_number = ?1)`,
  },
  { table: 'order_items', columns: ITEM_COLUMNS, where: 'order_number = ?1' },
  { table: 'order_events', columns: EVENT_COLUMNS, where: 'order_number = ?1' },
  { table: 'orders', columns: ORDER_COLUMNS, where: 'number = ?1' },
] as const

export class Archive {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  archivable(before: number): number {
    return number(this.#db.get(`SELECT count(*) AS count FROM orders WHERE ${OLD_AND_FINAL}`, before), 'count')
  }

  /** @returns how many orders moved */
  move(before: number, limit: number): number {
    const chosen = this.#db.all(`SELECT number FROM orders WHERE ${OLD_AND_FINAL} ORDER BY number LIMIT ?2`, before, limit)
    for (const row of chosen) {
      const order = number(row, 'number')
      for (const { table, columns, where } of MOVES) {
        const copied = this.#db.change(`INSERT INTO ${table}_history (${columns}) SELECT ${columns} FROM ${table} WHERE ${where}`, order)
        const deleted = this.#db.change(`DELETE FROM ${table} WHERE ${where}`, order)
        if (copied !== deleted) throw new StoreError('unknown', 'ARCHIVE', `${table}: ${copied} rows were copied, ${deleted} deleted`)
      }
    }
    return chosen.length
  }
}
