// Moves orders to the history tables, and tells how many could go. Runs inside a transaction of the caller: an order is in one place.

import { StoreError } from '../store-error.ts'
import { bound, name, number, type SqliteConnection } from './connection.ts'
import { EVENT_COLUMNS, ITEM_COLUMNS, ORDER_COLUMNS, SELLER_COLUMNS } from './order-tables.ts'

/** An order is made before it is changed: the index by creation finds the candidates. */
const OLD_AND_FINAL = `created_at < ?1 AND updated_at < ?1 AND state <> 'RESERVED'`

const MOVES = [
  {
    table: 'seller_orders',
    columns: SELLER_COLUMNS,
    where: 'order_id = ?1 AND seller IN (SELECT seller FROM order_items WHERE order_id = ?1)',
  },
  { table: 'order_items', columns: ITEM_COLUMNS, where: 'order_id = ?1' },
  { table: 'order_events', columns: EVENT_COLUMNS, where: 'order_id = ?1' },
  { table: 'orders', columns: ORDER_COLUMNS, where: 'id = ?1' },
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
    const ids = this.#db.all(`SELECT id FROM orders WHERE ${OLD_AND_FINAL} ORDER BY created_at, id LIMIT ?2`, before, limit)
    for (const row of ids) {
      const id = bound(name(row, 'id'))
      for (const { table, columns, where } of MOVES) {
        const copied = this.#db.change(`INSERT INTO ${table}_history (${columns}) SELECT ${columns} FROM ${table} WHERE ${where}`, id)
        const deleted = this.#db.change(`DELETE FROM ${table} WHERE ${where}`, id)
        if (copied !== deleted) throw new StoreError('unknown', 'ARCHIVE', `${table}: ${copied} rows were copied, ${deleted} deleted`)
      }
    }
    return ids.length
  }
}
