// Reads orders: one by id, pages by buyer, by seller, or all, newest first. Runs inside a read transaction of the caller, so that an order
// and its items are of one moment.
//
// History is read together with the live tables as one list in one order: an order that comes, or is archived, between two pages moves no
// other to another page.

import type { SQLInputValue } from 'node:sqlite'
import { StoreError } from '../store-error.ts'
import type { OrderPage, Page, StoredItem, StoredOrder } from '../store.ts'
import { bound, name, nameOrNull, number, type Row, type SqliteConnection } from './connection.ts'

type Suffix = '' | '_history'

/** `?1`: whose. Of all orders the newest are those that came last: they have the highest numbers. */
const SOURCES = {
  all: { key: '0', orders: (suffix: Suffix) => `orders${suffix} o WHERE ?1 IS NULL` },
  buyer: { key: 'o.created_at', orders: (suffix: Suffix) => `orders${suffix} o WHERE o.buyer = ?1` },
  seller: {
    key: 's.created_at',
    orders: (suffix: Suffix) => `seller_orders${suffix} s JOIN orders${suffix} o ON o.number = s.order_number WHERE s.seller = ?1`,
  },
} as const

export class OrderQueries {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  order(id: string, withHistory: boolean): StoredOrder | null {
    for (const suffix of withHistory ? (['', '_history'] as const) : ['' as const]) {
      const row = this.#db.get(`SELECT *, '${suffix}' AS suffix FROM orders${suffix} WHERE id = ?`, bound(id))
      if (row !== undefined) return this.#withItems(row, null)
    }
    return null
  }

  /** `?2`, `?3`: where the page before ended. `?4`: the state, or NULL. `?5`: how many. */
  page(source: keyof typeof SOURCES, whose: string | null, { limit, after, withHistory, state }: Page): OrderPage {
    const mark = after === null ? null : readMark(after)
    const values: SQLInputValue[] = [
      whose === null ? null : bound(whose),
      mark?.key ?? null,
      mark?.number ?? null,
      state ?? null,
      limit + 1,
    ]
    const { key, orders } = SOURCES[source]
    const numbered = source === 'seller' ? 's.order_number' : 'o.number'
    const since = mark === null ? '' : source === 'all' ? `AND o.number < ?3` : `AND (${key}, ${numbered}) < (?2, ?3)`
    const order = source === 'all' ? 'o.number DESC' : `${key} DESC, ${numbered} DESC`
    // Each side ends by itself, by its index; the sides are merged.
    const side = (suffix: Suffix): string =>
      `SELECT * FROM (SELECT o.*, ${key} AS key, '${suffix}' AS suffix FROM ${orders(suffix)} ${since} AND (?4 IS NULL OR o.state = ?4) ORDER BY ${order} LIMIT ?5)`
    const sql = `${side('')}${withHistory ? ` UNION ALL ${side('_history')}` : ''} ORDER BY key DESC, number DESC LIMIT ?5`
    const rows = this.#db.all(sql, ...values)
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      orders: page.map((row) => this.#withItems(row, source === 'seller' ? whose : null)),
      next: rows.length > limit && last !== undefined ? `${number(last, 'key')}.${number(last, 'number')}` : null,
    }
  }

  events(id: string): { pseq: number; payload: Buffer }[] {
    const rows = this.#db.all(
      `WITH wanted AS (SELECT number FROM orders WHERE id = ?1 UNION ALL SELECT number FROM orders_history WHERE id = ?1)
       SELECT pseq, payload, time, rowid FROM order_events WHERE order_number IN wanted
       UNION ALL SELECT pseq, payload, time, rowid FROM order_events_history WHERE order_number IN wanted ORDER BY time, pseq`,
      bound(id),
    )
    return rows.map((row) => ({ pseq: number(row, 'pseq'), payload: Buffer.from(name(row, 'payload')) }))
  }

  /** @param seller a seller sees what is his in it */
  #withItems(row: Row, seller: string | null): StoredOrder {
    const suffix = name(row, 'suffix')
    const items = this.#db.all(
      `SELECT sku, quantity, reserved, sold, released, returned, CAST(price AS TEXT) AS price, seller
       FROM order_items${suffix} WHERE order_number = ? ORDER BY sku`,
      number(row, 'number'),
    )
    const ofSeller = items.map(itemOf).filter((item) => seller === null || item.seller === seller)
    return {
      id: name(row, 'id'),
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
      isHistory: suffix !== '',
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

/** Opaque to who asks for the next page: `<created ms, or 0>.<number>`. */
function readMark(text: string): { readonly key: number; readonly number: number } {
  const found = /^(\d{1,15})\.(\d{1,15})$/.exec(text)
  if (found === null) throw new StoreError('poison', 'PAGE', 'this is not where a page ended: give what the page before said as next')
  return { key: Number(found[1]), number: Number(found[2]) }
}
