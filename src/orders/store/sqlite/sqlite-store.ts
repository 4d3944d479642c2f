// The embedded store: one SQLite file (node:sqlite), the same Store as MySQL. Every call does its work at once, in the calling thread; the
// node gives it a thread of its own.
//
// What stays true: a batch is one transaction with its cursor. A tool may read, and even write, beside the node: it waits, or is told to.

import { statSync } from 'node:fs'
import { conflictOf, keyOf, planApart, planBatch } from '../batch-plan.ts'
import { StoreError } from '../store-error.ts'
import type {
  AuditMarkResult,
  BatchOutcome,
  Cursor,
  DeadEvent,
  EventBatch,
  IncomingEvent,
  LedgerRow,
  MigrationStep,
  OrderPage,
  Page,
  Store,
  StoredOrder,
  StoreFinding,
  StoreStats,
  StreamPart,
} from '../store.ts'
import { readStoredEvent } from '../stored-event.ts'
import { Archive } from './archive.ts'
import { bytes, name, nameOrNull, number, SqliteConnection, type Row, type SqliteMode } from './connection.ts'
import { LedgerTables } from './ledger-tables.ts'
import { OrderQueries } from './order-queries.ts'
import { OrderTables } from './order-tables.ts'
import { MIGRATIONS } from './schema.ts'
import { Verification } from './verification.ts'

export interface SqliteStoreOptions {
  /** `:memory:` for one that nobody else sees. */
  readonly path: string
  readonly mode: SqliteMode
  /** Unix ms. */
  readonly now: () => number
}

const EVENT_KEY = 'stream = ? AND part = ? AND pseq = ?'

export class SqliteStore implements Store {
  readonly kind = 'sqlite'
  readonly name: string
  readonly #db: SqliteConnection
  readonly #now: () => number
  readonly #orders: OrderTables
  readonly #ledger: LedgerTables
  readonly #queries: OrderQueries
  readonly #archive: Archive

  constructor({ path, mode, now }: SqliteStoreOptions) {
    const db = new SqliteConnection(path, mode)
    this.name = db.name
    this.#db = db
    this.#now = now
    this.#orders = new OrderTables(db)
    this.#ledger = new LedgerTables(db)
    this.#queries = new OrderQueries(db)
    this.#archive = new Archive(db)
  }

  async migrate(): Promise<readonly MigrationStep[]> {
    this.#db.migrate()
    return this.migrations()
  }

  async migrations(): Promise<readonly MigrationStep[]> {
    const found = this.#db.isThere() ? this.#db.inspect(() => this.#db.versions().found) : 0
    return MIGRATIONS.map(({ name: step }, index) => ({ name: step, database: this.name, state: index < found ? 'applied' : 'pending' }))
  }

  async apply(batch: EventBatch): Promise<BatchOutcome> {
    return this.#db.transaction('write', () => this.#apply(batch))
  }

  /**
   * Batches of several parts in one transaction: a commit waits for the disk, and 16 of them 16 times as long. All or nothing: when this
   * rejects as poison, `apply` finds out for each batch whether it is the one. A conflict in one batch holds up no other.
   */
  async applyAll(batches: readonly EventBatch[]): Promise<readonly BatchOutcome[]> {
    return this.#db.transaction('write', () => batches.map((batch) => this.#apply(batch)))
  }

  #apply(batch: EventBatch): BatchOutcome {
    const { stream, part } = batch
    const before = this.#cursor(batch)
    const plan = planBatch(before, batch)
    const { cursor, first, seen, early } = plan
    const conflict = plan.conflict ?? this.#conflict(batch, seen)
    if (conflict !== null) return { cursor: before ?? 0, stored: 0, seen: seen.length, early, conflict, marks: [] }
    const stored = plan.events.length + plan.dead.length
    if (stored === 0) return { cursor, stored, seen: seen.length, early, conflict: null, marks: [] }

    const now = this.#now()
    this.#orders.apply(batch, plan.events, plan.orders)
    for (const mark of plan.marks) this.#ledger.note(batch, mark)
    this.#ledger.add(batch, plan.ledger)
    for (const { pseq, code, reason, payload } of plan.dead) {
      this.#db.change(
        `INSERT INTO dead_events (stream, part, pseq, code, reason, payload, first_seen, replays, state, note, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 'dead', NULL, ?7)`,
        ...[stream, part, pseq, code, reason, payload, now],
      )
    }
    if (before === null) this.#db.change('INSERT INTO outbox_cursor VALUES (?, ?, ?, ?, ?)', stream, part, cursor, first, now)
    else this.#db.change('UPDATE outbox_cursor SET pseq = ?, updated_at = ? WHERE stream = ? AND part = ?', cursor, now, stream, part)
    const marks: AuditMarkResult[] = []
    for (const { mark } of plan.marks) {
      const result = this.#ledger.compare(stream, mark, now)
      if (result !== null) marks.push(result)
    }
    return { cursor, stored, seen: seen.length, early, conflict: null, ...(before === null ? { began: first } : {}), marks }
  }

  #cursor({ stream, part }: StreamPart): number | null {
    const row = this.#db.get('SELECT pseq FROM outbox_cursor WHERE stream = ? AND part = ?', stream, part)
    return row === undefined ? null : number(row, 'pseq')
  }

  #conflict(at: StreamPart, seen: readonly IncomingEvent[]): string | null {
    for (const event of seen) {
      const stored = this.#storedEvent(at, event.pseq)
      if (stored === undefined) continue
      const conflict = conflictOf(at, keyOf(readStoredEvent(Buffer.from(name(stored, 'payload')))), event)
      if (conflict !== null) return conflict
    }
    return null
  }

  #storedEvent({ stream, part }: StreamPart, pseq: number): Row | undefined {
    const key = [stream, part, pseq] as const
    return (
      this.#db.get(`SELECT order_number, payload, '' AS suffix FROM order_events WHERE ${EVENT_KEY}`, ...key) ??
      this.#db.get(`SELECT order_number, payload, '_history' AS suffix FROM order_events_history WHERE ${EVENT_KEY}`, ...key)
    )
  }

  async probe(): Promise<void> {
    const now = this.#now()
    this.#db.transaction('write', () => this.#db.change('INSERT OR REPLACE INTO probe VALUES (1, ?)', now))
  }

  async cursors(): Promise<readonly Cursor[]> {
    return this.#db.run(() => this.#cursors())
  }

  #cursors(): Cursor[] {
    return this.#db.all('SELECT stream, part, pseq, first, updated_at FROM outbox_cursor ORDER BY stream, part').map((row) => ({
      stream: name(row, 'stream'),
      part: number(row, 'part'),
      pseq: number(row, 'pseq'),
      first: number(row, 'first'),
      updatedAt: number(row, 'updated_at'),
    }))
  }

  async setCursor({ stream, part }: StreamPart, pseq: number, note: string): Promise<void> {
    this.#db.transaction('write', () => {
      const now = this.#now()
      const before = this.#cursor({ stream, part })
      if (before !== null && pseq <= before) {
        throw new StoreError(
          'poison',
          'CURSOR',
          `the cursor of ${stream}, part ${part}, is at ${before} already: it can only be set forward`,
        )
      }
      if (before === null) this.#db.change('INSERT INTO outbox_cursor VALUES (?, ?, ?, ?, ?)', stream, part, pseq, pseq + 1, now)
      else this.#db.change('UPDATE outbox_cursor SET pseq = ?, updated_at = ? WHERE stream = ? AND part = ?', pseq, now, stream, part)
      this.#db.change('INSERT INTO skipped_events VALUES (?, ?, ?, ?, ?, ?)', stream, part, (before ?? 0) + 1, pseq, note, now)
      this.#ledger.startAuditAnew(stream)
    })
  }

  async order(id: string, withHistory: boolean): Promise<StoredOrder | null> {
    return this.#db.transaction('read', () => this.#queries.order(id, withHistory))
  }

  async ordersOfBuyer(buyer: string, page: Page): Promise<OrderPage> {
    return this.#db.transaction('read', () => this.#queries.page('buyer', buyer, page))
  }

  async ordersOfSeller(seller: string, page: Page): Promise<OrderPage> {
    return this.#db.transaction('read', () => this.#queries.page('seller', seller, page))
  }

  async newestOrders(page: Page): Promise<OrderPage> {
    return this.#db.transaction('read', () => this.#queries.page('all', null, page))
  }

  orders(page: Page): Promise<OrderPage> {
    return this.newestOrders(page)
  }

  async eventsOfOrder(id: string): Promise<readonly { readonly pseq: number; readonly payload: Buffer }[]> {
    return this.#db.run(() => this.#queries.events(id))
  }

  async ledger(sku: string | null): Promise<readonly LedgerRow[]> {
    return this.#db.run(() => this.#ledger.rows(sku))
  }

  async stats(): Promise<StoreStats> {
    const count = (from: string): number => number(this.#db.get(`SELECT count(*) AS count FROM ${from}`), 'count')
    return this.#db.transaction('read', () => {
      const states = this.#db.all('SELECT state, count(*) AS count FROM orders GROUP BY state ORDER BY state')
      return {
        orders: Object.fromEntries(states.map((row) => [name(row, 'state'), number(row, 'count')])),
        events: count('order_events') + count('order_events_history'),
        deadEvents: count(`dead_events WHERE state = 'dead'`),
        skippedEvents: number(this.#db.get('SELECT coalesce(sum(last - first + 1), 0) AS count FROM skipped_events'), 'count'),
        history: count('orders_history'),
        cursors: this.#cursors(),
      }
    })
  }

  async verify(): Promise<readonly string[]> {
    return new Verification(this.#db, this.#queries).run()
  }

  async deadEvents({ state, limit }: { readonly state: 'dead' | 'all'; readonly limit: number }): Promise<readonly DeadEvent[]> {
    return this.#db.run(() =>
      this.#db
        .all(`SELECT * FROM dead_events WHERE ?1 = 'all' OR state = 'dead' ORDER BY first_seen, stream, part, pseq LIMIT ?2`, state, limit)
        .map(deadEventOf),
    )
  }

  async deadEvent(at: StreamPart, pseq: number): Promise<DeadEvent | null> {
    return this.#db.run(() => this.#dead(at, pseq))
  }

  #dead({ stream, part }: StreamPart, pseq: number): DeadEvent | null {
    const row = this.#db.get(`SELECT * FROM dead_events WHERE ${EVENT_KEY}`, stream, part, pseq)
    return row === undefined ? null : deadEventOf(row)
  }

  async replayDead(at: StreamPart, pseq: number): Promise<void> {
    try {
      this.#db.transaction('write', () => {
        const { payload } = this.#deadToChange(at, pseq)
        this.#writeApart(at, [{ pseq, oldest: 1, payload, body: readStoredEvent(payload), dead: null }])
        this.#markReplayed(at, pseq)
      })
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'poison') this.#noteFailedReplay(at, pseq, error)
      throw error
    }
  }

  #noteFailedReplay({ stream, part }: StreamPart, pseq: number, { code, message }: StoreError): void {
    this.#db.transaction('write', () =>
      this.#db.change(
        `UPDATE dead_events SET replays = replays + 1, code = ?, reason = ?, changed_at = ? WHERE ${EVENT_KEY} AND state = 'dead'`,
        ...[code, message, this.#now(), stream, part, pseq],
      ),
    )
  }

  async discardDead(at: StreamPart, pseq: number, note: string): Promise<void> {
    this.#db.transaction('write', () => {
      this.#deadToChange(at, pseq)
      this.#db.change(
        `UPDATE dead_events SET state = 'discarded', note = ?, changed_at = ? WHERE ${EVENT_KEY}`,
        ...[note, this.#now(), at.stream, at.part, pseq],
      )
      this.#ledger.startAuditAnew(at.stream)
    })
  }

  #deadToChange(at: StreamPart, pseq: number): DeadEvent {
    const dead = this.#dead(at, pseq)
    const where = `${at.stream}, part ${at.part}, event ${pseq}`
    if (dead === null) throw new StoreError('poison', 'DEAD', `${where} is not among the dead events`)
    if (dead.state === 'replayed') throw new StoreError('poison', 'DEAD', `${where} has been replayed already`)
    return dead
  }

  #markReplayed({ stream, part }: StreamPart, pseq: number): void {
    this.#db.change(
      `UPDATE dead_events SET state = 'replayed', replays = replays + 1, changed_at = ? WHERE ${EVENT_KEY} AND state <> 'replayed'`,
      ...[this.#now(), stream, part, pseq],
    )
  }

  async reapply(batches: readonly EventBatch[]): Promise<number> {
    return this.#db.transaction('write', () => {
      let changed = 0
      for (const batch of batches) {
        const cursor = this.#cursor(batch)
        // Those above the cursor are on their way, and take their turn.
        const events = batch.events.filter(({ pseq, body }) => body !== null && cursor !== null && pseq <= cursor)
        const conflict = this.#conflict(batch, events)
        if (conflict !== null) throw new StoreError('poison', 'CONFLICT', conflict)
        changed += this.#writeApart(batch, events)
        for (const { pseq } of events) this.#markReplayed(batch, pseq)
      }
      return changed
    })
  }

  /**
   * Writes events out of turn: those that are not stored are added, the others are made right where they differ, and the orders of all of
   * them are rebuilt.
   *
   * @returns how many events were missing, and how many other orders were not what their events say
   */
  #writeApart(at: StreamPart, events: readonly IncomingEvent[]): number {
    const before = new Map<string, string>()
    const missing: IncomingEvent[] = []
    for (const event of events) {
      const { pseq, payload, body } = event
      const stored = this.#storedEvent(at, pseq)
      if (stored === undefined) {
        missing.push(event)
        continue
      }
      const order = body === null ? null : keyOf(body).order
      let belongsTo: number | null = null
      if (order !== null) {
        belongsTo = this.#orders.numberOf(order) ?? number(stored, 'order_number')
        if (!before.has(order)) before.set(order, JSON.stringify(this.#orders.rowsOf(belongsTo)))
      }
      this.#db.change(
        `UPDATE order_events${name(stored, 'suffix')} SET payload = ?, order_number = ? WHERE ${EVENT_KEY}`,
        ...[payload.toString('utf8'), belongsTo, at.stream, at.part, pseq],
      )
      if (order !== null && belongsTo !== null) this.#orders.rebuild(order, belongsTo)
    }
    const added = planApart(at.part, missing)
    if (added.dead.length > 0) throw new StoreError('poison', added.dead[0].code, added.dead[0].reason)
    const news = added.orders.map((change) => ({ ...change, isDisordered: true }))
    this.#orders.apply(at, added.events, news)
    this.#ledger.add(at, added.ledger)
    if (missing.length > 0) this.#ledger.startAuditAnew(at.stream)
    for (const { id } of news) before.delete(id)
    const mended = [...before].filter(([id, rows]) => JSON.stringify(this.#orders.rowsOf(this.#orders.numberOf(id) ?? 0)) !== rows)
    return missing.length + mended.length
  }

  async archive(before: number, limit: number): Promise<number> {
    return this.#db.transaction('write', () => this.#archive.move(before, limit))
  }

  async archivable(before: number): Promise<number> {
    return this.#db.run(() => this.#archive.archivable(before))
  }

  async heartbeat(consumer: string, ttlMs: number): Promise<readonly string[]> {
    const now = this.#now()
    return this.#db.transaction('write', () => {
      this.#db.change('INSERT OR REPLACE INTO consumers VALUES (?, ?)', consumer, now)
      this.#db.change('DELETE FROM consumers WHERE seen_at <= ?', now - ttlMs)
      return this.#db.all('SELECT name FROM consumers ORDER BY name').map((row) => name(row, 'name'))
    })
  }

  async consumers(): Promise<readonly { readonly name: string; readonly seenAt: number }[]> {
    const rows = this.#db.run(() => this.#db.all('SELECT name, seen_at FROM consumers ORDER BY name'))
    return rows.map((row) => ({ name: name(row, 'name'), seenAt: number(row, 'seen_at') }))
  }

  async examine(): Promise<readonly StoreFinding[]> {
    const about = this.name
    try {
      const steps = await this.migrations()
      const pending = steps.filter((step) => step.state !== 'applied')
      if (pending.length > 0) {
        const remedy = `start a node on it, or run stockd-orders migrate --store ${this.name}`
        const says = this.#db.isThere() ? `tables are missing: ${pending.map((step) => step.name).join(', ')}` : 'does not exist'
        return [{ level: 'error', about, says, remedy }]
      }
      return this.#db.run(() => this.#findings())
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return [{ level: 'error', about, says: error.message, remedy: null }]
    }
  }

  #findings(): StoreFinding[] {
    const about = this.name
    const bytesOnDisk = this.#db.path === ':memory:' ? 0 : statSync(this.#db.path).size
    const dead = number(this.#db.get(`SELECT count(*) AS count FROM dead_events WHERE state = 'dead'`), 'count')
    const damage = this.#db.all('PRAGMA quick_check(3)').map((row) => String(Object.values(row)[0]))
    const findings: StoreFinding[] = [
      { level: 'ok', about, says: `opens; tables of version ${MIGRATIONS.length}, ${Math.ceil(bytesOnDisk / 1048576)} MiB`, remedy: null },
    ]
    if (damage[0] !== 'ok') {
      const remedy = 'stop the node, move the file away, and start it: events are stored again as far back as the log reaches'
      findings.push({ level: 'error', about, says: `the file is damaged: ${damage.join('; ')}`, remedy })
    }
    if (dead > 0) {
      const remedy = 'stockd-orders dead list says why; then dead replay or dead discard'
      findings.push({ level: 'warning', about, says: `${dead} events could not be stored`, remedy })
    }
    return findings
  }

  async close(): Promise<void> {
    this.#db.close()
  }
}

function deadEventOf(row: Row): DeadEvent {
  const state = name(row, 'state')
  return {
    stream: name(row, 'stream'),
    part: number(row, 'part'),
    pseq: number(row, 'pseq'),
    code: name(row, 'code'),
    reason: name(row, 'reason'),
    payload: bytes(row, 'payload'),
    firstSeen: number(row, 'first_seen'),
    replays: number(row, 'replays'),
    state: state === 'replayed' || state === 'discarded' ? state : 'dead',
    note: nameOrNull(row, 'note'),
  }
}
