// Reads orders: one by id, pages by buyer, by seller, or all, newest first. Runs inside a read transaction of the caller, so that an order
// and its items are of one moment.
//
// History is read together with the live tables as one list in one order: an order that is archived between two pages keeps its place.

import type { SQLInputValue } from 'node:sqlite'
import { pageMarkOf, readPageMark } from '../page-mark.ts'
import type { OrderPage, Page, StoredItem, StoredOrder } from '../store.ts'
import { bound, bytes, name, nameOrNull, number, type Row, type SqliteConnection } from './connection.ts'

const LIVE = ''
const HISTORY = '_history'
type Suffix = typeof LIVE | typeof HISTORY

/** `?1`: whose. `?2`, `?3`: where the page before ended. `?4`: the state, or NULL. `?5`: how many. */
const SOURCES = {
  all: (suffix: Suffix) => `SELECT o.*, '${suffix}' AS suffix FROM orders${suffix} o WHERE ?1 IS NULL`,
  buyer: (suffix: Suffix) => `SELECT o.*, '${suffix}' AS suffix FROM orders${suffix} o WHERE o.buyer = ?1`,
  seller: (suffix: Suffix) =>
    `SELECT o.*, '${suffix}' AS suffix FROM seller_orders${suffix} s JOIN orders${suffix} o ON o.id = s.order_id WHERE s.seller = ?1`,
} as const

/** Columns that give the order of the list, where the index has them. */
const KEYS = { all: ['o.created_at', 'o.id'], buyer: ['o.created_at', 'o.id'], seller: ['s.created_at', 's.order_id'] } as const

export class OrderQueries {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  order(id: string, withHistory: boolean): StoredOrder | null {
    for (const suffix of withHistory ? [LIVE, HISTORY] : [LIVE]) {
      const row = this.#db.get(`SELECT *, '${suffix}' AS suffix FROM orders${suffix} WHERE id = ?`, bound(id))
      if (row !== undefined) return this.#withItems(row, null)
    }
    return null
  }

  page(source: keyof typeof SOURCES, whose: string | null, { limit, after, withHistory, state }: Page): OrderPage {
    const mark = after === null ? null : readPageMark(after)
    const values: SQLInputValue[] = [
      whose === null ? null : bound(whose),
      mark === null ? null : mark.createdAt,
      mark === null ? null : bound(mark.id),
      state ?? null,
      limit + 1,
    ]
    const [createdAt, id] = KEYS[source]
    const one = (suffix: Suffix): string =>
      `${SOURCES[source](suffix)}${mark === null ? '' : ` AND (${createdAt}, ${id}) < (?2, ?3)`} AND (?4 IS NULL OR o.state = ?4)`
    // Each side ends by itself, by its index; the sides are merged.
    const side = (suffix: Suffix): string => `SELECT * FROM (${one(suffix)} ORDER BY ${createdAt} DESC, ${id} DESC LIMIT ?5)`
    const sql = `${side(LIVE)}${withHistory ? ` UNION ALL ${side(HISTORY)}` : ''} ORDER BY created_at DESC, id DESC LIMIT ?5`
    const orders = this.#db.all(sql, ...values).map((row) => this.#withItems(row, source === 'seller' ? whose : null))
    const page = orders.slice(0, limit)
    return { orders: page, next: orders.length > limit ? pageMarkOf(page[limit - 1]) : null }
  }

  events(id: string): { pseq: number; payload: Buffer }[] {
    const rows = this.#db.all(
      `SELECT pseq, payload, time, version FROM order_events WHERE order_id = ?1
       UNION ALL SELECT pseq, payload, time, version FROM order_events_history WHERE order_id = ?1 ORDER BY time, version`,
      bound(id),
    )
    return rows.map((row) => ({ pseq: number(row, 'pseq'), payload: bytes(row, 'payload') }))
  }

  /** @param seller a seller sees what is his in it */
  #withItems(row: Row, seller: string | null): StoredOrder {
    const suffix = name(row, 'suffix')
    const id = name(row, 'id')
    const items = this.#db.all(
      `SELECT sku, quantity, reserved, sold, released, returned, CAST(price AS TEXT) AS price, seller
       FROM order_items${suffix} WHERE order_id = ? ORDER BY sku`,
      bound(id),
    )
    const ofSeller = items.map(itemOf).filter((item) => seller === null || item.seller === seller)
    return {
      id,
      buyer: nameOrNull(row, 'buyer'),
      shard: number(row, 'shard'),
      state: name(row, 'state'),
      version: number(row, 'version'),
      createdAt: number(row, 'created_at'),
      updatedAt: number(row, 'updated_at'),
      deadline: number(row, 'deadline'),
      ref: nameOrNull(row, 'ref'),
      reason: nameOrNull(row, 'reason'),
      items: ofSeller,
      isHistory: suffix === HISTORY,
    }
  }
}

function itemOf(row: Row): StoredItem {
  return {
    sku: name(row, 'sku'),
    quantity: number(row, 'quantity'),
    reserved: number(row, 'reserved'),
    sold: number(row, 'sold'),
    released: number(row, 'released'),
    returned: number(row, 'returned'),
    price: nameOrNull(row, 'price'),
    seller: nameOrNull(row, 'seller'),
  }
}
