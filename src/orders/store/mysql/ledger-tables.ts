// Writes sku_ledger and the audit marks of one database, and compares a mark when every part has reached it, in whatever databases they are.

import { PARTS } from '../../../engine/outbox.ts'
import { compareMark, type MarkNote, type SkuNumbers } from '../audit-mark.ts'
import { bytesOfName } from '../name.ts'
import type { Balances, LedgerChange, MarkReached } from '../rows.ts'
import type { AuditMarkResult, LedgerRow, StreamPart } from '../store.ts'
import type { Database, Layout } from './layout.ts'
import { inserts } from './order-tables.ts'
import { int, name, text, type MysqlServer, type Row, type Session } from './server.ts'
import { literal, tuple } from './sql-text.ts'

/** The part of the ledger rows that say what was before the store's first event; in the first database. */
const BASELINE_PART = -1
/** Results without a difference: enough to see that audits happen. */
const RESULTS_KEPT = 100

const ADD = ` ON DUPLICATE KEY UPDATE total = total + VALUES(total), available = available + VALUES(available),
 reserved = reserved + VALUES(reserved), sold = sold + VALUES(sold)`

export const streamKey = (stream: string): string => literal(Buffer.from(stream, 'utf8'))

export function ledgerStatements(database: Database, { stream, part }: StreamPart, ledger: readonly LedgerChange[]): string[] {
  const rows = ledger.map(({ sku, generation, total, available, reserved, sold }) =>
    tuple([Buffer.from(stream, 'utf8'), part, bytesOfName(sku), generation, total, available, reserved, sold]),
  )
  return inserts(database.single('sku_ledger'), 'stream, part, sku, generation, total, available, reserved, sold', rows, ADD)
}

/** Notes this part's numbers at the mark, as the ledger is before the batch's own changes are added. */
export async function markStatements(
  session: Session,
  database: Database,
  at: StreamPart,
  marks: readonly MarkReached[],
): Promise<string[]> {
  const statements: string[] = []
  for (const { mark, rows } of marks) {
    const before = new Map<string, Balances>()
    if (rows.length > 0) {
      const keys = rows.map(({ sku, generation }) => tuple([bytesOfName(sku), generation]))
      const found = await session.rows(
        `SELECT sku, generation, total, available, reserved, sold FROM ${database.single('sku_ledger')}
         WHERE stream = ${streamKey(at.stream)} AND part = ${at.part} AND (sku, generation) IN (${keys.join(',')})`,
      )
      for (const row of found) before.set(`${int(row.generation)} ${name(row.sku)}`, balancesOf(row))
    }
    const notes = rows.map(({ sku, generation, node, change }): MarkNote => {
      const { total, available, reserved, sold } = before.get(`${generation} ${sku}`) ?? { total: 0, available: 0, reserved: 0, sold: 0 }
      const stored = {
        total: total + change.total,
        available: available + change.available,
        reserved: reserved + change.reserved,
        sold: sold + change.sold,
      }
      return { sku, generation, node, stored }
    })
    const row = tuple([Buffer.from(at.stream, 'utf8'), at.part, mark, Buffer.from(JSON.stringify(notes), 'utf8')])
    statements.push(
      ...inserts(database.single('audit_marks'), 'stream, part, mark, notes', [row], ' ON DUPLICATE KEY UPDATE mark = VALUES(mark)'),
    )
  }
  return statements
}

/** What concerns the databases together. */
export class Ledger {
  readonly #layout: Layout
  readonly #serverOf: (database: Database) => MysqlServer
  readonly #now: () => number

  constructor(layout: Layout, serverOf: (database: Database) => MysqlServer, now: () => number) {
    this.#layout = layout
    this.#serverOf = serverOf
    this.#now = now
  }

  /** @returns null: not every part has reached it, or another consumer has compared it */
  async compare(stream: string, mark: number): Promise<AuditMarkResult | null> {
    const key = streamKey(stream)
    const found = await this.#each(
      (database) => `SELECT notes FROM ${database.single('audit_marks')} WHERE stream = ${key} AND mark = ${mark}`,
    )
    if (found.length < PARTS) return null
    const notes = found.flatMap((row) => JSON.parse(text(row.notes)) as MarkNote[])
    const [home] = this.#layout.databases
    const isWhole = await this.#isWhole(stream)
    const result = await this.#serverOf(home).transaction(async (session): Promise<AuditMarkResult | null> => {
      // Who inserts the row is the one who tells: two parts may have arrived at once.
      const isFirst = await session.change(
        `INSERT IGNORE INTO ${home.single('audit_results')} (stream, mark, compared_at, differences) VALUES (${key}, ${mark}, ${this.#now()}, '')`,
      )
      if (isFirst === 0) return null
      const { differences, baselines } = compareMark(notes, isWhole ? null : await this.#baselines(session, home, stream))
      await session.changeAll([
        ...ledgerStatements(home, { stream, part: BASELINE_PART }, baselines),
        `UPDATE ${home.single('audit_results')} SET differences = ${literal(Buffer.from(JSON.stringify(differences)))}
         WHERE stream = ${key} AND mark = ${mark}`,
        `DELETE FROM ${home.single('audit_results')} WHERE stream = ${key} AND mark <= ${mark - RESULTS_KEPT} AND differences = '[]'`,
      ])
      return { stream, mark, differences }
    })
    if (result === null) return null
    // Every part has passed the marks before this one, too: those that are not complete by now never will be.
    await this.#forget(stream, ` AND mark <= ${mark}`)
    return result
  }

  /**
   * Events were written out of turn, or will never be: marks that some parts have passed are not compared, and what was before is taken
   * anew from the node at the next one.
   */
  async startAuditAnew(stream: string): Promise<void> {
    await this.#forget(stream, '')
    const [home] = this.#layout.databases
    await this.#serverOf(home).change(
      `DELETE FROM ${home.single('sku_ledger')} WHERE stream = ${streamKey(stream)} AND part = ${BASELINE_PART}`,
    )
  }

  async rows(sku: string | null): Promise<LedgerRow[]> {
    const where = sku === null ? '' : `WHERE sku = ${literal(bytesOfName(sku))}`
    const found = await this.#each(
      (database) =>
        `SELECT stream, sku, generation, SUM(total) AS total, SUM(available) AS available, SUM(reserved) AS reserved, SUM(sold) AS sold
         FROM ${database.single('sku_ledger')} ${where} GROUP BY stream, sku, generation`,
    )
    const sums = new Map<string, LedgerRow>()
    for (const row of found) {
      const one = { stream: name(row.stream), sku: name(row.sku), generation: int(row.generation), ...balancesOf(row) }
      const key = `${one.stream} ${one.generation} ${one.sku}`
      const sum = sums.get(key)
      sums.set(
        key,
        sum === undefined
          ? one
          : {
              ...one,
              total: one.total + sum.total,
              available: one.available + sum.available,
              reserved: one.reserved + sum.reserved,
              sold: one.sold + sum.sold,
            },
      )
    }
    const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
    return [...sums.values()].toSorted((a, b) => order(a.sku, b.sku) || order(a.stream, b.stream) || a.generation - b.generation)
  }

  /** The store has, or will have, every event of the stream from the first on. */
  async #isWhole(stream: string): Promise<boolean> {
    const key = streamKey(stream)
    const missing = await this.#each(
      (database) =>
        `SELECT 1 FROM ${database.single('outbox_cursor')} WHERE stream = ${key} AND first > 1
         UNION ALL SELECT 1 FROM ${database.single('skipped_events')} WHERE stream = ${key}
         UNION ALL SELECT 1 FROM ${database.single('dead_events')} WHERE stream = ${key} AND state = 'discarded' LIMIT 1`,
    )
    return missing.length === 0
  }

  async #baselines(session: Session, home: Database, stream: string): Promise<SkuNumbers[]> {
    const rows = await session.rows(
      `SELECT sku, generation, total, available, reserved, sold FROM ${home.single('sku_ledger')}
       WHERE stream = ${streamKey(stream)} AND part = ${BASELINE_PART}`,
    )
    return rows.map((row) => ({ sku: name(row.sku), generation: int(row.generation), ...balancesOf(row) }))
  }

  async #forget(stream: string, condition: string): Promise<void> {
    for (const database of this.#layout.databases) {
      const parts = database.parts.join(',')
      await this.#serverOf(database).change(
        `DELETE FROM ${database.single('audit_marks')} WHERE stream = ${streamKey(stream)} AND part IN (${parts})${condition}`,
      )
    }
  }

  async #each(sql: (database: Database) => string): Promise<Row[]> {
    return (await Promise.all(this.#layout.databases.map((database) => this.#serverOf(database).rows(sql(database))))).flat()
  }
}

const balancesOf = (row: Row): Balances => ({
  total: int(row.total),
  available: int(row.available),
  reserved: int(row.reserved),
  sold: int(row.sold),
})
