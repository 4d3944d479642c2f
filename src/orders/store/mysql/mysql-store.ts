// Orders in MySQL or MariaDB, in D databases of T tables on one server or several.
//
// What stays true: a batch is one transaction with its cursor, in the database of its part; whoever writes orders there has the cursor's
// row locked, so two consumers, an operator and the archive wait for each other and never mix. When COMMIT's answer is lost nothing is
// assumed: the next `apply` reads the cursor.

import { conflictOf, planApart, planBatch, type BatchPlan } from '../batch-plan.ts'
import { bytesOfName } from '../name.ts'
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
import { deadStatements, deadToChange, eventKey, failedReplayStatement, readDeadEvents, replayedStatement } from './dead-events.ts'
import { parseDsn } from './dsn.ts'
import { examine } from './examination.ts'
import { Layout, type Database } from './layout.ts'
import { Ledger, ledgerStatements, markStatements, streamKey } from './ledger-tables.ts'
import { assertLayout, assertReady, migrate, migrationSteps } from './migrations.ts'
import { OrderQueries } from './order-queries.ts'
import { OrderTables } from './order-tables.ts'
import { bytes, int, MysqlServer, name, nameOrNull, text, type Row, type Session } from './server.ts'
import { list, literal, tuple } from './sql-text.ts'
import { Verification } from './verification.ts'

export interface MysqlStoreOptions {
  /** mysql://user:password@host:port/name, one for each server. */
  readonly urls: readonly string[]
  /** D, 1 to 16, and T, 1 to 64. The tables remember what they were made for. */
  readonly databases?: number
  readonly tables?: number
  /** Unix ms. */
  readonly now: () => number
  /** To each server. */
  readonly connectionsMax?: number
  readonly connectTimeoutMs?: number
  readonly statementTimeoutMs?: number
}

interface Applied {
  readonly plan: BatchPlan
  readonly conflict: string | null
}

const DUPLICATE = '1062'
const CONNECTIONS_MAX = 4
/** Databases. Each holds a connection; with fewer they take turns. */
const MIGRATIONS_AT_ONCE = 4
const CONNECT_TIMEOUT_MS = 5000
const STATEMENT_TIMEOUT_MS = 30_000

export class MysqlStore implements Store {
  readonly kind = 'mysql'
  readonly name: string
  readonly #layout: Layout
  readonly #servers: readonly MysqlServer[]
  readonly #now: () => number
  readonly #orders: ReadonlyMap<Database, OrderTables>
  readonly #queries: OrderQueries
  readonly #ledger: Ledger
  readonly #archive: Archive
  /** Databases whose tables were found to fit. */
  readonly #ready = new Set<Database>()
  #isLayoutRight = false
  /** ... and that have history: an order that is not among the live ones may be there. It never goes back. */
  readonly #withHistory = new Set<Database>()

  /** Connects to nothing yet. @throws Error in words, without passwords */
  constructor(options: MysqlStoreOptions) {
    const dsns = options.urls.map(parseDsn)
    const { databases = 1, tables = 1 } = options
    this.#layout = new Layout({ databases, tables }, dsns)
    const limits = {
      connectionsMax: options.connectionsMax ?? CONNECTIONS_MAX,
      connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      statementTimeoutMs: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
    }
    this.#servers = dsns.map((dsn) => new MysqlServer(dsn, limits))
    this.#now = options.now
    this.name = dsns.map(({ safe }) => safe).join(', ') + (databases * tables === 1 ? '' : ` (${databases} x ${tables})`)
    const serverOf = (database: Database): MysqlServer => this.#serverOf(database)
    this.#orders = new Map(this.#layout.databases.map((database) => [database, new OrderTables(this.#layout, database)]))
    this.#queries = new OrderQueries(this.#layout, serverOf)
    this.#ledger = new Ledger(this.#layout, serverOf, this.#now)
    this.#archive = new Archive(this.#layout, serverOf)
  }

  async migrate(): Promise<readonly MigrationStep[]> {
    const steps = new Map<Database, readonly MigrationStep[]>()
    const queue = [...this.#layout.databases]
    const work = async (): Promise<void> => {
      for (let database = queue.shift(); database !== undefined; database = queue.shift()) {
        steps.set(database, await migrate(this.#serverOf(database), database, this.#layout.size))
      }
    }
    const stop = (error: unknown): never => {
      queue.length = 0
      throw error
    }
    await Promise.all(Array.from({ length: MIGRATIONS_AT_ONCE }, () => work().catch(stop)))
    return this.#layout.databases.flatMap((database) => steps.get(database) ?? [])
  }

  async migrations(): Promise<readonly MigrationStep[]> {
    const steps: MigrationStep[] = []
    for (const database of this.#layout.databases) steps.push(...(await migrationSteps(this.#serverOf(database), database)))
    return steps
  }

  async apply(batch: EventBatch): Promise<BatchOutcome> {
    const database = this.#layout.databaseOfPart(batch.part)
    await this.#makeReady(database)
    const attempt = (): Promise<Applied> => this.#serverOf(database).transaction((session) => this.#apply(session, database, batch))
    const { plan, conflict } = await attempt().catch((error: unknown) => {
      // Another consumer has just made the part's cursor, or a row of another stream's: now they are there to be seen.
      if (error instanceof StoreError && error.code === DUPLICATE) return attempt()
      throw error
    })
    const { cursor, seen, early } = plan
    if (conflict !== null) return { cursor: plan.before ?? 0, stored: 0, seen: seen.length, early, conflict, marks: [] }
    const stored = plan.events.length + plan.dead.length
    const began = plan.before === null && stored > 0 ? { began: plan.first } : {}
    return { cursor, stored, seen: seen.length, early, conflict: null, ...began, marks: await this.#compareMarks(batch, plan) }
  }

  async #apply(session: Session, database: Database, batch: EventBatch): Promise<Applied> {
    const plan = planBatch(await lockCursor(session, database, batch), batch)
    const conflict = plan.conflict ?? (await storedConflict(session, database, batch, plan.seen))
    if (conflict !== null || plan.events.length + plan.dead.length === 0) return { plan, conflict }
    const { stream, part } = batch
    const now = this.#now()
    const orders = this.#ordersOf(database)
    const cursor =
      plan.before === null
        ? `INSERT INTO ${database.single('outbox_cursor')} (stream, part, pseq, first, updated_at)
           VALUES ${tuple([Buffer.from(stream, 'utf8'), part, plan.cursor, plan.first, now])}`
        : `UPDATE ${database.single('outbox_cursor')} SET pseq = ${plan.cursor}, updated_at = ${now}
           WHERE stream = ${streamKey(stream)} AND part = ${part}`
    const before = [
      // The marks read the ledger as it is before this batch.
      ...(await markStatements(session, database, batch, plan.marks)),
      ...orders.eventStatements(batch, plan.events),
      ...deadStatements(database, batch, plan.dead, now),
      ...ledgerStatements(database, batch, plan.ledger),
      cursor,
    ]
    await orders.apply(session, plan.orders, { before, hasHistory: await this.#hasHistory(session, database) })
    return { plan, conflict: null }
  }

  /** After the commit: a comparison that fails takes nothing back, and the next mark is compared again. */
  async #compareMarks({ stream }: StreamPart, plan: BatchPlan): Promise<AuditMarkResult[]> {
    const results: AuditMarkResult[] = []
    for (const { mark } of plan.marks) {
      try {
        const result = await this.#ledger.compare(stream, mark)
        if (result !== null) results.push(result)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
      }
    }
    return results
  }

  async probe(part?: number): Promise<void> {
    const databases = part === undefined ? this.#layout.databases : [this.#layout.databaseOfPart(part)]
    for (const database of databases) {
      await this.#makeReady(database)
      await this.#serverOf(database).trial((session) =>
        session.change(`UPDATE ${database.single('stockd_layout')} SET probed_at = ${this.#now()} WHERE one = 1`),
      )
    }
  }

  async cursors(): Promise<readonly Cursor[]> {
    const rows = await this.#each((database) => `SELECT stream, part, pseq, first, updated_at FROM ${database.single('outbox_cursor')}`)
    const cursors = rows.map((row) => ({
      stream: name(row.stream),
      part: int(row.part),
      pseq: int(row.pseq),
      first: int(row.first),
      updatedAt: int(row.updated_at),
    }))
    return cursors.toSorted((a, b) => (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.part - b.part))
  }

  async setCursor(at: StreamPart, pseq: number, note: string): Promise<void> {
    const { stream, part } = at
    await this.#write(at, async (session, database, before) => {
      if (before !== null && pseq <= before) {
        const where = `the cursor of ${stream}, part ${part}, is at ${before} already`
        throw new StoreError('poison', 'CURSOR', `${where}: it can only be set forward`)
      }
      const now = this.#now()
      const key = Buffer.from(stream, 'utf8')
      await session.change(
        before === null
          ? `INSERT INTO ${database.single('outbox_cursor')} (stream, part, pseq, first, updated_at) VALUES ${tuple([key, part, pseq, pseq + 1, now])}`
          : `UPDATE ${database.single('outbox_cursor')} SET pseq = ${literal(pseq)}, updated_at = ${now} WHERE stream = ${literal(key)} AND part = ${part}`,
      )
      await session.change(
        `INSERT INTO ${database.single('skipped_events')} (stream, part, first, last) VALUES ${tuple([key, part, (before ?? 0) + 1, pseq])}`,
      )
      await session.change(decision(database, at, { pseq, what: 'cursor', note, now }))
    })
    await this.#ledger.startAuditAnew(stream)
  }

  async order(id: string, withHistory: boolean): Promise<StoredOrder | null> {
    await this.#checkLayout()
    return this.#queries.order(id, withHistory)
  }

  async ordersOfBuyer(buyer: string, page: Page): Promise<OrderPage> {
    await this.#checkLayout()
    return this.#queries.ordersOfBuyer(buyer, page)
  }

  async ordersOfSeller(seller: string, page: Page): Promise<OrderPage> {
    await this.#checkLayout()
    return this.#queries.ordersOfSeller(seller, page)
  }

  async newestOrders(page: Page): Promise<OrderPage> {
    // Tables of an earlier version have no index for it, and would be read whole.
    await Promise.all(this.#layout.databases.map((database) => this.#makeReady(database)))
    return this.#queries.newest(page)
  }

  async orders(page: Page): Promise<OrderPage> {
    await this.#checkLayout()
    return this.#queries.orders(page)
  }

  async eventsOfOrder(id: string): Promise<readonly { readonly pseq: number; readonly payload: Buffer }[]> {
    return this.#queries.events(id)
  }

  async ledger(sku: string | null): Promise<readonly LedgerRow[]> {
    return this.#ledger.rows(sku)
  }

  async stats(): Promise<StoreStats> {
    await this.#checkLayout()
    const tables = Array.from({ length: this.#layout.size.tables }, (_, table) => table)
    const all = (sql: (database: Database, table: number) => string): Promise<Row[]> =>
      this.#recount((database) => tables.map((table) => sql(database, table)).join(' UNION ALL '))
    const sum = (rows: readonly Row[]): number => rows.reduce((total, row) => total + int(row.n), 0)
    const orders: Record<string, number> = {}
    const states = await all((database, table) => `SELECT state, COUNT(*) AS n FROM ${database.sharded('orders', table)} GROUP BY state`)
    for (const row of states) orders[text(row.state)] = (orders[text(row.state)] ?? 0) + int(row.n)
    return {
      orders: Object.fromEntries(Object.entries(orders).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      events: sum(await this.#recount((database) => `SELECT COUNT(*) AS n FROM ${database.single('order_events')}`)),
      deadEvents: sum(
        await this.#recount((database) => `SELECT COUNT(*) AS n FROM ${database.single('dead_events')} WHERE state = 'dead'`),
      ),
      skippedEvents: sum(
        await this.#each((database) => `SELECT COALESCE(SUM(last - first + 1), 0) AS n FROM ${database.single('skipped_events')}`),
      ),
      history: sum(await all((database, table) => `SELECT COUNT(*) AS n FROM ${database.sharded('orders_history', table)}`)),
      cursors: await this.cursors(),
    }
  }

  async verify(): Promise<readonly string[]> {
    return new Verification(this.#layout, (database) => this.#serverOf(database), this.#queries).run()
  }

  async deadEvents({ state, limit }: { readonly state: 'dead' | 'all'; readonly limit: number }): Promise<readonly DeadEvent[]> {
    const where = `${state === 'all' ? 'TRUE' : `state = 'dead'`} ORDER BY first_seen, stream, part, pseq LIMIT ${limit}`
    const found = await Promise.all(
      this.#layout.databases.map((database) => this.#serverOf(database).session((session) => readDeadEvents(session, database, where))),
    )
    const order = (a: DeadEvent, b: DeadEvent): number =>
      a.firstSeen - b.firstSeen || (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : a.part - b.part || a.pseq - b.pseq)
    return found.flat().toSorted(order).slice(0, limit)
  }

  async deadEvent(at: StreamPart, pseq: number): Promise<DeadEvent | null> {
    const database = this.#layout.databaseOfPart(at.part)
    const [dead] = await this.#serverOf(database).session((session) => readDeadEvents(session, database, eventKey(at, pseq)))
    return dead ?? null
  }

  async replayDead(at: StreamPart, pseq: number): Promise<void> {
    try {
      await this.#write(at, async (session, database) => {
        const { payload } = await deadToChange(session, database, at, pseq)
        const event: IncomingEvent = { pseq, oldest: 1, payload, body: readStoredEvent(payload), dead: null }
        await this.#writeApart(session, database, at, [event])
        await session.change(replayedStatement(database, at, pseq, this.#now()))
      })
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'poison' && error.code !== 'DEAD') await this.#noteFailedReplay(at, pseq, error)
      throw error
    }
    await this.#ledger.startAuditAnew(at.stream)
  }

  async #noteFailedReplay(at: StreamPart, pseq: number, error: StoreError): Promise<void> {
    const database = this.#layout.databaseOfPart(at.part)
    await this.#serverOf(database).change(failedReplayStatement(database, at, pseq, { error, now: this.#now() }))
  }

  async discardDead(at: StreamPart, pseq: number, note: string): Promise<void> {
    await this.#write(at, async (session, database) => {
      await deadToChange(session, database, at, pseq)
      const now = this.#now()
      await session.change(
        `UPDATE ${database.single('dead_events')} SET state = 'discarded', note = ${literal(Buffer.from(note, 'utf8'))}, changed_at = ${now}
         WHERE ${eventKey(at, pseq)}`,
      )
      await session.change(decision(database, at, { pseq, what: 'discard', note, now }))
    })
    await this.#ledger.startAuditAnew(at.stream)
  }

  async reapply(batches: readonly EventBatch[]): Promise<number> {
    let changed = 0
    for (const batch of batches) {
      const { hasNew, count } = await this.#write(batch, async (session, database, cursor) => {
        // Those above the cursor are on their way, and take their turn.
        const events = batch.events.filter(({ pseq, body }) => body !== null && cursor !== null && pseq <= cursor)
        if (events.length === 0) return { hasNew: false, count: 0 }
        const conflict = await storedConflict(session, database, batch, events)
        if (conflict !== null) throw new StoreError('poison', 'CONFLICT', conflict)
        const result = await this.#writeApart(session, database, batch, events)
        const now = this.#now()
        const pseqs = list(events.map(({ pseq }) => pseq))
        await session.change(
          `UPDATE ${database.single('dead_events')} SET state = 'replayed', replays = replays + 1, changed_at = ${now}
           WHERE stream = ${streamKey(batch.stream)} AND part = ${batch.part} AND pseq IN ${pseqs} AND state <> 'replayed'`,
        )
        return result
      })
      changed += count
      if (hasNew) await this.#ledger.startAuditAnew(batch.stream)
    }
    return changed
  }

  /** Writes events out of turn: those that are not stored are added, those that are are compared, and their orders rebuilt. */
  async #writeApart(
    session: Session,
    database: Database,
    at: StreamPart,
    events: readonly IncomingEvent[],
  ): Promise<{ hasNew: boolean; count: number }> {
    const stored = new Map<number, Buffer>()
    const rows = await session.rows(
      `SELECT pseq, payload FROM ${database.single('order_events')}
       WHERE stream = ${streamKey(at.stream)} AND part = ${at.part} AND pseq IN ${list(events.map(({ pseq }) => pseq))}`,
    )
    for (const row of rows) stored.set(int(row.pseq), bytes(row.payload))
    const missing = events.filter(({ pseq }) => !stored.has(pseq))
    const added = planApart(at.part, missing)
    if (added.dead.length > 0) throw new StoreError('poison', added.dead[0].code, added.dead[0].reason)
    const tables = this.#ordersOf(database)
    const { orders } = planApart(at.part, events)
    const before = new Map<string, string>()
    for (const { id, shard } of orders) before.set(id, await tables.rowsOf(session, id, shard))
    await session.changeAll([
      ...events
        .filter(({ pseq, payload }) => stored.get(pseq)?.equals(payload) === false)
        .map(
          ({ pseq, payload }) => `UPDATE ${database.single('order_events')} SET payload = ${literal(payload)} WHERE ${eventKey(at, pseq)}`,
        ),
      ...tables.eventStatements(at, added.events),
      ...ledgerStatements(database, at, added.ledger),
    ])
    let rebuilt = 0
    const news = new Set(added.orders.map(({ id }) => id))
    for (const { id, shard } of orders) {
      await tables.rebuild(session, id, shard)
      if (!news.has(id) && (await tables.rowsOf(session, id, shard)) !== before.get(id)) rebuilt++
    }
    return { hasNew: missing.length > 0, count: missing.length + rebuilt }
  }

  async archive(before: number, limit: number): Promise<number> {
    return this.#archive.move(before, limit)
  }

  async archivable(before: number): Promise<number> {
    return this.#archive.archivable(before)
  }

  async heartbeat(consumer: string, ttlMs: number): Promise<readonly string[]> {
    const [home] = this.#layout.databases
    await this.#makeReady(home)
    const table = home.single('consumers')
    const now = this.#now()
    return this.#serverOf(home).session(async (session) => {
      await session.change(
        `INSERT INTO ${table} (name, seen_at) VALUES ${tuple([bytesOfName(consumer), now])} ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at)`,
      )
      const rows = await session.rows(`SELECT name, seen_at FROM ${table} ORDER BY name`)
      const [living, gone] = [rows.filter((row) => int(row.seen_at) > now - ttlMs), rows.filter((row) => int(row.seen_at) <= now - ttlMs)]
      if (gone.length > 0) {
        const names = list(gone.map((row) => bytes(row.name)))
        await session.change(`DELETE FROM ${table} WHERE name IN ${names} AND seen_at <= ${now - ttlMs}`)
      }
      return living.map((row) => name(row.name))
    })
  }

  async consumers(): Promise<readonly { readonly name: string; readonly seenAt: number }[]> {
    const [home] = this.#layout.databases
    const rows = await this.#serverOf(home).rows(`SELECT name, seen_at FROM ${home.single('consumers')} ORDER BY name`)
    return rows.map((row) => ({ name: name(row.name), seenAt: int(row.seen_at) }))
  }

  async examine(): Promise<readonly StoreFinding[]> {
    const places = this.#servers.map((server, index) => ({
      server,
      databases: this.#layout.databases.filter((database) => database.server === index),
    }))
    return examine(places, this.#layout, this.#now)
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()))
  }

  #serverOf(database: Database): MysqlServer {
    return this.#servers[database.server]
  }

  #ordersOf(database: Database): OrderTables {
    const tables = this.#orders.get(database)
    if (tables === undefined) throw new Error(`no database ${database.name} in this layout`)
    return tables
  }

  /** Tables of another layout or version take nothing, and lose nothing. */
  async #makeReady(database: Database): Promise<void> {
    if (this.#ready.has(database)) return
    await assertReady(this.#serverOf(database), database, this.#layout.size)
    this.#ready.add(database)
  }

  /** Before orders are read: any one of the databases knows. */
  async #checkLayout(): Promise<void> {
    const [first] = this.#layout.databases
    if (this.#ready.size > 0 || this.#isLayoutRight) return
    await assertLayout(this.#serverOf(first), first, this.#layout.size)
    this.#isLayoutRight = true
  }

  async #hasHistory(session: Session, database: Database): Promise<boolean> {
    if (this.#withHistory.has(database)) return true
    const [row] = await session.rows(`SELECT has_history FROM ${database.single('stockd_layout')} WHERE one = 1`)
    if (row === undefined || int(row.has_history) === 0) return false
    this.#withHistory.add(database)
    return true
  }

  /** A transaction out of turn, with the part's cursor locked. */
  async #write<T>(at: StreamPart, work: (session: Session, database: Database, cursor: number | null) => Promise<T>): Promise<T> {
    const database = this.#layout.databaseOfPart(at.part)
    await this.#makeReady(database)
    return this.#serverOf(database).transaction(async (session) => work(session, database, await lockCursor(session, database, at)))
  }

  /** Reads whole tables. */
  async #recount(sql: (database: Database) => string): Promise<Row[]> {
    return (await Promise.all(this.#layout.databases.map((database) => this.#serverOf(database).recount(sql(database))))).flat()
  }

  async #each(sql: (database: Database) => string): Promise<Row[]> {
    return (await Promise.all(this.#layout.databases.map((database) => this.#serverOf(database).rows(sql(database))))).flat()
  }
}

/** @returns null: nothing of this part was ever stored */
async function lockCursor(session: Session, database: Database, { stream, part }: StreamPart): Promise<number | null> {
  const [row] = await session.rows(
    `SELECT pseq FROM ${database.single('outbox_cursor')} WHERE stream = ${streamKey(stream)} AND part = ${part} FOR UPDATE`,
  )
  return row === undefined ? null : int(row.pseq)
}

async function storedConflict(
  session: Session,
  database: Database,
  at: StreamPart,
  seen: readonly IncomingEvent[],
): Promise<string | null> {
  const compared = new Map(seen.filter(({ body }) => body !== null).map((event) => [event.pseq, event]))
  if (compared.size === 0) return null
  const rows = await session.rows(
    `SELECT pseq, event_id, type, time, order_id, version FROM ${database.single('order_events')}
     WHERE stream = ${streamKey(at.stream)} AND part = ${at.part} AND pseq IN ${list([...compared.keys()])} ORDER BY pseq`,
  )
  for (const row of rows) {
    const event = compared.get(int(row.pseq))
    if (event === undefined) continue
    const { event_id: id, type, time, order_id: order, version } = row
    const stored = { id: name(id), type: text(type), time: int(time), order: nameOrNull(order), version: int(version) }
    const conflict = conflictOf(at, stored, event)
    if (conflict !== null) return conflict
  }
  return null
}

/** What an operator has decided, and why: kept. */
function decision(
  database: Database,
  { stream, part }: StreamPart,
  { pseq, what, note, now }: { readonly pseq: number; readonly what: 'cursor' | 'discard'; readonly note: string; readonly now: number },
): string {
  return `INSERT INTO ${database.single('decisions')} (stream, part, pseq, what, note, noted_at)
    VALUES ${tuple([Buffer.from(stream, 'utf8'), part, pseq, what, Buffer.from(note, 'utf8'), now])}`
}
