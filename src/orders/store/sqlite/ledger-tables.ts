// Writes sku_ledger and the audit marks, and compares a mark when every part has reached it. Runs inside a transaction of the caller.

import { PARTS } from '../../../engine/outbox.ts'
import { compareMark, type MarkNote, type SkuNumbers } from '../audit-mark.ts'
import type { LedgerChange, MarkReached } from '../rows.ts'
import type { AuditMarkResult, LedgerRow, StreamPart } from '../store.ts'
import { bound, name, number, type Row, type SqliteConnection } from './connection.ts'

/** The part of the ledger rows that say what was before the store's first event. */
const BASELINE_PART = -1
/** Results without a difference: enough to see that audits happen. */
const RESULTS_KEPT = 100

const ADD_LEDGER = `
  INSERT INTO sku_ledger (stream, part, sku, generation, total, available, reserved, sold) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET total = total + excluded.total, available = available + excluded.available,
    reserved = reserved + excluded.reserved, sold = sold + excluded.sold`
const NOTE_MARK = `
  INSERT INTO audit_marks (stream, mark, part, sku, generation,
    node_total, node_available, node_reserved, node_sold, stored_total, stored_available, stored_reserved, stored_sold)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

export class LedgerTables {
  readonly #db: SqliteConnection

  constructor(db: SqliteConnection) {
    this.#db = db
  }

  add({ stream, part }: StreamPart, ledger: readonly LedgerChange[]): void {
    for (const { sku, generation, total, available, reserved, sold } of ledger) {
      this.#db.statement(ADD_LEDGER).run(stream, part, bound(sku), generation, total, available, reserved, sold)
    }
  }

  /** Notes this part's numbers at the mark. Call it before the batch's own changes are added. */
  note({ stream, part }: StreamPart, { mark, rows }: MarkReached): void {
    const note = this.#db.statement(NOTE_MARK)
    note.run(stream, mark, part, '', 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for (const { sku, generation, node, change } of rows) {
      const before = this.#db.get(
        'SELECT total, available, reserved, sold FROM sku_ledger WHERE stream = ? AND part = ? AND sku = ? AND generation = ?',
        stream,
        part,
        bound(sku),
        generation,
      )
      const stored = (column: 'total' | 'available' | 'reserved' | 'sold'): number =>
        (before === undefined ? 0 : number(before, column)) + change[column]
      const { total, available, reserved, sold } = node
      note.run(
        ...[stream, mark, part, bound(sku), generation, total, available, reserved, sold],
        ...[stored('total'), stored('available'), stored('reserved'), stored('sold')],
      )
    }
  }

  /** @returns null: not every part has reached it */
  compare(stream: string, mark: number, now: number): AuditMarkResult | null {
    const reached = this.#db.get(
      `SELECT count(*) AS parts FROM audit_marks WHERE stream = ? AND mark = ? AND sku = '' AND generation = 0`,
      stream,
      mark,
    )
    if (number(reached, 'parts') < PARTS) return null
    const notes = this.#db.all('SELECT * FROM audit_marks WHERE stream = ? AND mark = ? AND generation > 0', stream, mark).map(noteOf)
    const { differences, baselines } = compareMark(notes, this.#isWhole(stream) ? null : this.#baselines(stream))
    this.add({ stream, part: BASELINE_PART }, baselines)
    // Every part has passed the marks before this one, too: those that are not complete by now never will be.
    this.#db.change('DELETE FROM audit_marks WHERE stream = ? AND mark <= ?', stream, mark)
    this.#db.change(`DELETE FROM audit_results WHERE stream = ? AND mark <= ? AND differences = '[]'`, stream, mark - RESULTS_KEPT)
    this.#db.change('INSERT OR REPLACE INTO audit_results VALUES (?, ?, ?, ?)', stream, mark, now, JSON.stringify(differences))
    return { stream, mark, differences }
  }

  /**
   * Events were written out of turn, or will never be: marks that some parts have passed are not compared, and what was before is taken
   * anew from the node at the next one.
   */
  startAuditAnew(stream: string): void {
    this.#db.change('DELETE FROM audit_marks WHERE stream = ?', stream)
    this.#db.change('DELETE FROM sku_ledger WHERE stream = ? AND part = ?', stream, BASELINE_PART)
  }

  rows(sku: string | null): LedgerRow[] {
    const rows = this.#db.all(
      `SELECT stream, sku, generation, sum(total) AS total, sum(available) AS available, sum(reserved) AS reserved, sum(sold) AS sold
       FROM sku_ledger WHERE ?1 IS NULL OR sku = ?1 GROUP BY stream, sku, generation ORDER BY sku, stream, generation`,
      sku === null ? null : bound(sku),
    )
    return rows.map((row) => ({ stream: name(row, 'stream'), ...numbersOf(row) }))
  }

  /** The store has, or will have, every event of the stream from the first on. */
  #isWhole(stream: string): boolean {
    const missing = this.#db.get(
      `SELECT 1 FROM outbox_cursor WHERE stream = ?1 AND first > 1
       UNION ALL SELECT 1 FROM skipped_events WHERE stream = ?1
       UNION ALL SELECT 1 FROM dead_events WHERE stream = ?1 AND state = 'discarded' LIMIT 1`,
      stream,
    )
    return missing === undefined
  }

  #baselines(stream: string): SkuNumbers[] {
    return this.#db.all('SELECT * FROM sku_ledger WHERE stream = ? AND part = ?', stream, BASELINE_PART).map((row) => numbersOf(row))
  }
}

function numbersOf(row: Row): SkuNumbers {
  return { sku: name(row, 'sku'), generation: number(row, 'generation'), ...balancesOf(row, '') }
}

function noteOf(row: Row): MarkNote {
  return {
    sku: name(row, 'sku'),
    generation: number(row, 'generation'),
    node: balancesOf(row, 'node_'),
    stored: balancesOf(row, 'stored_'),
  }
}

function balancesOf(row: Row, prefix: '' | 'node_' | 'stored_'): { total: number; available: number; reserved: number; sold: number } {
  return {
    total: number(row, `${prefix}total`),
    available: number(row, `${prefix}available`),
    reserved: number(row, `${prefix}reserved`),
    sold: number(row, `${prefix}sold`),
  }
}
