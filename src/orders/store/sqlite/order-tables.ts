// Writes orders, order_items, seller_orders and order_events. Runs inside a transaction of the caller.
//
// Nearly every event is added to its order's rows with two or three statements. Where that would be wrong (rows.ts, OrderChange) the order
// is rebuilt from its events, which also brings it back out of history.

import { rebuildOrder } from '../order-history.ts'
import type { EventRow, ItemChange, OrderChange, OrderRows } from '../rows.ts'
import type { StreamPart } from '../store.ts'
import { readStoredEvent } from '../stored-event.ts'
import { bound, boundOrNull, bytes, type Row, type SqliteConnection } from './connection.ts'

export const ORDER_COLUMNS = 'id, shard, buyer, state, version, first_version, created_at, updated_at, deadline, ref, reason'
export const ITEM_COLUMNS = 'order_id, sku, quantity, reserved, sold, released, returned, price, seller'
export const SELLER_COLUMNS = 'seller, order_id, created_at'
export const EVENT_COLUMNS = 'stream, part, pseq, event_id, type, time, order_id, version, payload'

const INSERT_EVENT = `INSERT INTO order_events (${EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
const INSERT_ORDER = `INSERT INTO orders (${ORDER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
const UPDATE_ORDER = `
  UPDATE orders SET version = ?, state = ?, updated_at = ?, deadline = ?,
    ref = coalesce(?, ref), reason = coalesce(?, reason), buyer = coalesce(buyer, ?)
  WHERE id = ? AND version < ? AND first_version = 1`
const ADD_ITEM = `
  INSERT INTO order_items (${ITEM_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity, reserved = reserved + excluded.reserved, sold = sold + excluded.sold,
    released = released + excluded.released, returned = returned + excluded.returned,
    price = coalesce(price, excluded.price), seller = coalesce(seller, excluded.seller)`
const INSERT_SELLER = `INSERT INTO seller_orders (${SELLER_COLUMNS}) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

export class OrderTables {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  insertEvents({ stream, part }: StreamPart, events: readonly EventRow[]): void {
    const insert = this.#db.statement(INSERT_EVENT)
    for (const { pseq, id, type, time, order, version, payload } of events) {
      insert.run(stream, part, pseq, id, type, time, boundOrNull(order), version, payload)
    }
  }

  /** The events of these changes are in order_events already. */
  apply(changes: readonly OrderChange[]): void {
    const hasHistory = this.#db.get('SELECT 1 FROM orders_history LIMIT 1') !== undefined
    for (const change of changes) {
      if (change.isDisordered || (hasHistory && this.#isArchived(change.id)) || !this.#add(change)) this.rebuild(change.id)
    }
  }

  /** Replaces the rows of the order by what its events say. @returns false: there are none; its rows stay as they are */
  rebuild(id: string): boolean {
    const key = bound(id)
    const payloads = [
      ...this.#db.all('SELECT payload FROM order_events WHERE order_id = ?', key),
      ...this.#db.all('SELECT payload FROM order_events_history WHERE order_id = ?', key),
    ]
    if (payloads.length === 0) return false
    const rows = rebuildOrder(payloads.map((row) => readStoredEvent(bytes(row, 'payload'))))
    for (const suffix of ['', '_history']) {
      this.#db.change(`DELETE FROM orders${suffix} WHERE id = ?`, key)
      this.#db.change(`DELETE FROM order_items${suffix} WHERE order_id = ?`, key)
      // Few orders are ever rebuilt, so seller_orders has no index by order: its sellers are those of the rows.
      for (const seller of rows.sellers)
        this.#db.change(`DELETE FROM seller_orders${suffix} WHERE seller = ? AND order_id = ?`, bound(seller), key)
    }
    this.#insert(rows)
    return true
  }

  /** All rows of the order, for telling whether a rebuild changed any. */
  rowsOf(id: string): readonly Row[] {
    const key = bound(id)
    return [
      ...this.#db.all(`SELECT ${ORDER_COLUMNS} FROM orders WHERE id = ?`, key),
      ...this.#db.all(`SELECT ${ITEM_COLUMNS} FROM order_items WHERE order_id = ? ORDER BY sku`, key),
      ...this.#db.all(
        `SELECT ${SELLER_COLUMNS} FROM seller_orders WHERE order_id = ? AND seller IN (SELECT seller FROM order_items WHERE order_id = ?)`,
        key,
        key,
      ),
    ]
  }

  #isArchived(id: string): boolean {
    return this.#db.get('SELECT 1 FROM orders_history WHERE id = ?', bound(id)) !== undefined
  }

  /** @returns false: the rows that are there are not simply older */
  #add(change: OrderChange): boolean {
    if (change.firstVersion === 1) return this.#insert(change)
    const { id, firstVersion, version, state, updatedAt, deadline, ref, reason, buyer } = change
    const update = this.#db.statement(UPDATE_ORDER)
    const key = bound(id)
    const { changes } = update.run(
      version,
      state,
      updatedAt,
      deadline,
      boundOrNull(ref),
      boundOrNull(reason),
      boundOrNull(buyer),
      key,
      firstVersion,
    )
    if (changes === 0) return false
    for (const item of change.items) this.#addItem(key, item)
    return true
  }

  /** @returns false: there is such an order */
  #insert(order: OrderRows): boolean {
    const { shard, buyer, state, version, firstVersion, createdAt, updatedAt, deadline, ref, reason } = order
    const key = bound(order.id)
    const { changes } = this.#db
      .statement(INSERT_ORDER)
      .run(
        key,
        shard,
        boundOrNull(buyer),
        state,
        version,
        firstVersion,
        createdAt,
        updatedAt,
        deadline,
        boundOrNull(ref),
        boundOrNull(reason),
      )
    if (changes === 0) return false
    for (const item of order.items) this.#addItem(key, item)
    for (const seller of order.sellers) this.#db.statement(INSERT_SELLER).run(bound(seller), key, createdAt)
    return true
  }

  #addItem(order: string | Buffer, { sku, quantity, reserved, sold, released, returned, price, seller }: ItemChange): void {
    this.#db.statement(ADD_ITEM).run(order, bound(sku), quantity, reserved, sold, released, returned, price, boundOrNull(seller))
  }
}
