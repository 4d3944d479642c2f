// Writes orders, order_items, seller_orders and order_events. Runs inside a transaction of the caller.
//
// Nearly every event is added to its order's rows with two or three statements. Where that would be wrong (rows.ts, OrderChange) the order
// is rebuilt from its events, which also brings it back out of history.

import { rebuildOrder } from '../order-history.ts'
import type { EventRow, ItemChange, OrderChange, OrderRows } from '../rows.ts'
import type { StreamPart } from '../store.ts'
import { readStoredEvent } from '../stored-event.ts'
import { bound, boundOrNull, name, number, type Row, type SqliteConnection } from './connection.ts'

export const ORDER_COLUMNS = 'number, id, shard, buyer, state, version, first_version, created_at, updated_at, deadline, ref, reason'
export const ITEM_COLUMNS = 'order_number, sku, quantity, reserved, sold, released, returned, price, seller'
export const SELLER_COLUMNS = 'seller, created_at, order_number'
export const EVENT_COLUMNS = 'stream, part, pseq, order_number, type, time, payload'

const INSERT_EVENT = `INSERT INTO order_events (${EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`
const INSERT_ORDER = `INSERT INTO orders (${ORDER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
const UPDATE_ORDER = `
  UPDATE orders SET version = ?, state = ?, updated_at = ?, deadline = ?,
    ref = coalesce(?, ref), reason = coalesce(?, reason), buyer = coalesce(buyer, ?)
  WHERE id = ? AND version < ? AND first_version = 1 RETURNING number`
const ADD_ITEM = `
  INSERT INTO order_items (${ITEM_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity, reserved = reserved + excluded.reserved, sold = sold + excluded.sold,
    released = released + excluded.released, returned = returned + excluded.returned,
    price = coalesce(price, excluded.price), seller = coalesce(seller, excluded.seller)`
const INSERT_SELLER = `INSERT INTO seller_orders (${SELLER_COLUMNS}) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
const LIVE_AND_HISTORY = ['', '_history'] as const

export class OrderTables {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  /** Events that are not in order_events yet, and the changes that they make. */
  apply(at: StreamPart, events: readonly EventRow[], changes: readonly OrderChange[]): void {
    const numbers = new Map<string, number>()
    const rebuilt: string[] = []
    const hasHistory = this.#db.get('SELECT 1 FROM orders_history LIMIT 1') !== undefined
    let next = this.#nextNumber()
    for (const change of changes) {
      const { id, isDisordered } = change
      let at: number | null = null
      if (!isDisordered && !(hasHistory && this.#isArchived(id))) {
        if (change.firstVersion > 1) at = this.#add(change)
        else if (this.#insert(change, next)) at = next++
      }
      if (at === null) {
        rebuilt.push(id)
        at = this.numberOf(id) ?? next++
      }
      numbers.set(id, at)
    }
    this.#insertEvents(at, events, numbers)
    for (const id of rebuilt) this.rebuild(id, numbers.get(id) ?? 0)
  }

  /** @returns null: there is no such order */
  numberOf(id: string): number | null {
    for (const suffix of LIVE_AND_HISTORY) {
      const row = this.#db.get(`SELECT number FROM orders${suffix} WHERE id = ?`, bound(id))
      if (row !== undefined) return number(row, 'number')
    }
    return null
  }

  /** Replaces the rows of the order by what its events say. If there are none, its rows stay as they are. */
  rebuild(id: string, at: number): void {
    const payloads = LIVE_AND_HISTORY.flatMap((suffix) =>
      this.#db.all(`SELECT payload FROM order_events${suffix} WHERE order_number = ?`, at),
    )
    if (payloads.length === 0) return
    const rows = rebuildOrder(payloads.map((row) => readStoredEvent(Buffer.from(name(row, 'payload')))))
    for (const suffix of LIVE_AND_HISTORY) {
      this.#db.change(
        `DELETE FROM seller_orders${suffix} WHERE order_number = ?1
           AND created_at = (SELECT created_at FROM orders${suffix} WHERE number = ?1)
           AND seller IN (SELECT seller FROM order_items${suffix} WHERE order_number = ?1)`,
        at,
      )
      this.#db.change(`DELETE FROM order_items${suffix} WHERE order_number = ?`, at)
      this.#db.change(`DELETE FROM orders${suffix} WHERE number = ? OR id = ?`, at, bound(id))
    }
    this.#insert(rows, at)
  }

  /** All rows of the order, for telling whether a rebuild changed any. */
  rowsOf(at: number): readonly Row[] {
    return [
      ...this.#db.all(`SELECT ${ORDER_COLUMNS} FROM orders WHERE number = ?`, at),
      ...this.#db.all(`SELECT ${ITEM_COLUMNS} FROM order_items WHERE order_number = ? ORDER BY sku`, at),
    ]
  }

  /** An order's number is its own for ever, in history too. */
  #nextNumber(): number {
    return (
      number(
        this.#db.get(
          'SELECT max(coalesce((SELECT max(number) FROM orders), 0), coalesce((SELECT max(number) FROM orders_history), 0)) AS last',
        ),
        'last',
      ) + 1
    )
  }

  #isArchived(id: string): boolean {
    return this.#db.get('SELECT 1 FROM orders_history WHERE id = ?', bound(id)) !== undefined
  }

  #insertEvents({ stream, part }: StreamPart, events: readonly EventRow[], numbers: ReadonlyMap<string, number>): void {
    const insert = this.#db.statement(INSERT_EVENT)
    for (const { pseq, type, time, order, payload } of events) {
      const at = order === null ? null : (numbers.get(order) ?? null)
      insert.run(stream, part, pseq, at, type, time, payload.toString('utf8'))
    }
  }

  /** @returns the order's number; null: the rows that are there are not simply older */
  #add(change: OrderChange): number | null {
    const { firstVersion, version, state, updatedAt, deadline } = change
    const row = this.#db
      .statement(UPDATE_ORDER)
      .get(
        version,
        state,
        updatedAt,
        deadline,
        boundOrNull(change.ref),
        change.reason,
        boundOrNull(change.buyer),
        bound(change.id),
        firstVersion,
      )
    if (row === undefined) return null
    const at = number(row, 'number')
    for (const item of change.items) this.#addItem(at, item)
    return at
  }

  /** @returns false: there is such an order */
  #insert(order: OrderRows, at: number): boolean {
    const { shard, buyer, state, version, firstVersion, createdAt, updatedAt, deadline, ref, reason } = order
    const { changes } = this.#db
      .statement(INSERT_ORDER)
      .run(
        at,
        bound(order.id),
        shard,
        boundOrNull(buyer),
        state,
        version,
        firstVersion,
        createdAt,
        updatedAt,
        deadline,
        boundOrNull(ref),
        reason,
      )
    if (changes === 0) return false
    for (const item of order.items) this.#addItem(at, item)
    for (const seller of order.sellers) this.#db.statement(INSERT_SELLER).run(bound(seller), createdAt, at)
    return true
  }

  #addItem(at: number, { sku, quantity, reserved, sold, released, returned, price, seller }: ItemChange): void {
    this.#db.statement(ADD_ITEM).run(at, bound(sku), quantity, reserved, sold, released, returned, price, boundOrNull(seller))
  }
}
