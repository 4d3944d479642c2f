// Recounts what is stored against what it was made from. Finds damage; says one sentence for each, at most a hundred.
//
//   E10   of (stream, part): events + dead events + skipped ones = cursor - first + 1, and none is above the cursor
//   every order's rows are what its events say, and every event's order is there
//   a SKU's ledger adds up, and its reserved units are those of the orders (when every event from the first on is there)

import { setImmediate } from 'node:timers/promises'
import { orderDifferences } from '../order-check.ts'
import type { OrderPage, Page } from '../store.ts'
import { name, number, type SqliteConnection } from './connection.ts'
import type { OrderQueries } from './order-queries.ts'

const FINDINGS_MAX = 100
const ORDERS_AT_ONCE = 500

const EVENTS = `(SELECT stream, part, pseq, order_number FROM order_events UNION ALL SELECT stream, part, pseq, order_number FROM order_events_history)`

export class Verification {
  readonly #db: SqliteConnection
  readonly #queries: OrderQueries
  readonly #found: string[] = []

  constructor(db: SqliteConnection, queries: OrderQueries) {
    this.#db = db
    this.#queries = queries
  }

  /** Lets others of this thread work between two pages of orders. */
  async run(): Promise<readonly string[]> {
    this.#db.transaction('read', () => {
      this.#events()
      this.#ledger()
      this.#marks()
    })
    let after: string | null = null
    do {
      const page: OrderPage = this.#db.transaction('read', () => this.#orders({ limit: ORDERS_AT_ONCE, after, withHistory: true }))
      after = page.next
      await setImmediate()
    } while (after !== null && this.#found.length < FINDINGS_MAX)
    return this.#found
  }

  #says(text: string): void {
    if (this.#found.length < FINDINGS_MAX) this.#found.push(text)
  }

  #events(): void {
    const parts = this.#db.all(
      `SELECT c.stream, c.part, c.pseq, c.first,
         (SELECT count(*) FROM ${EVENTS} e WHERE e.stream = c.stream AND e.part = c.part AND e.pseq > c.pseq) AS above,
         (SELECT count(*) FROM (
            SELECT pseq FROM ${EVENTS} e WHERE e.stream = c.stream AND e.part = c.part
            UNION SELECT pseq FROM dead_events d WHERE d.stream = c.stream AND d.part = c.part AND d.state <> 'replayed')
          WHERE pseq BETWEEN c.first AND c.pseq
            AND NOT EXISTS (SELECT 1 FROM skipped_events s
                            WHERE s.stream = c.stream AND s.part = c.part AND pseq BETWEEN s.first AND s.last)) AS found,
         (SELECT coalesce(sum(s.last - max(s.first, c.first) + 1), 0) FROM skipped_events s
          WHERE s.stream = c.stream AND s.part = c.part AND s.last >= c.first) AS skipped
       FROM outbox_cursor c ORDER BY c.stream, c.part`,
    )
    for (const row of parts) {
      const where = `${name(row, 'stream')}, part ${number(row, 'part')}`
      const expected = number(row, 'pseq') - number(row, 'first') + 1 - number(row, 'skipped')
      const found = number(row, 'found')
      if (found !== expected) this.#says(`${where}: ${found} events are stored, and the cursor says ${expected} (E10)`)
      const above = number(row, 'above')
      if (above > 0) this.#says(`${where}: ${above} events are above the cursor ${number(row, 'pseq')}`)
    }
    const strays = this.#db.all(
      `SELECT order_number, min(stream) AS stream, min(part) AS part, min(pseq) AS pseq FROM ${EVENTS} e
       WHERE order_number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM orders WHERE number = order_number)
         AND NOT EXISTS (SELECT 1 FROM orders_history WHERE number = order_number) GROUP BY order_number LIMIT ?`,
      FINDINGS_MAX,
    )
    for (const row of strays) {
      this.#says(`${name(row, 'stream')}, part ${number(row, 'part')}: the order of event ${number(row, 'pseq')} is missing`)
    }
  }

  #ledger(): void {
    const sums = this.#db.all('SELECT * FROM sku_ledger WHERE total <> available + reserved + sold LIMIT ?', FINDINGS_MAX)
    for (const row of sums) this.#says(`the ledger of ${name(row, 'sku')} in part ${number(row, 'part')} does not add up (E1)`)
    const isWhole = this.#db.get('SELECT 1 FROM outbox_cursor WHERE first > 1 UNION ALL SELECT 1 FROM skipped_events LIMIT 1') === undefined
    if (!isWhole) return
    const reserved = this.#db.all(
      `SELECT l.sku, l.reserved AS ledger, coalesce(i.reserved, 0) AS orders
       FROM (SELECT sku, sum(reserved) AS reserved FROM sku_ledger GROUP BY sku) l
       LEFT JOIN (SELECT sku, sum(reserved) AS reserved FROM (SELECT sku, reserved FROM order_items UNION ALL SELECT sku, reserved FROM order_items_history)
                  GROUP BY sku) i ON i.sku = l.sku
       WHERE l.reserved <> coalesce(i.reserved, 0) LIMIT ?`,
      FINDINGS_MAX,
    )
    for (const row of reserved) {
      this.#says(
        `${name(row, 'sku')}: ${number(row, 'ledger')} units are reserved by the ledger, ${number(row, 'orders')} by the orders (E2)`,
      )
    }
  }

  #marks(): void {
    const last = this.#db.all(
      `SELECT stream, mark, differences FROM audit_results r WHERE mark = (SELECT max(mark) FROM audit_results WHERE stream = r.stream)`,
    )
    for (const row of last) {
      for (const difference of JSON.parse(name(row, 'differences')) as string[]) {
        this.#says(`${name(row, 'stream')}, mark ${number(row, 'mark')}: ${difference} (E9)`)
      }
    }
  }

  #orders(page: Page): OrderPage {
    const found = this.#queries.page('all', null, page)
    for (const order of found.orders) {
      const wrong = orderDifferences(
        order,
        this.#queries.events(order.id).map(({ payload }) => payload),
      )
      if (wrong.length > 0) this.#says(`order ${order.id} is not what its events say: ${wrong.join(', ')}`)
    }
    return found
  }
}
