// Makes and changes the tables. The one file that knows kysely.
//
// Each database keeps the list of its migrations (stockd_migration). DDL is not transactional in MySQL: a migration that was interrupted is
// run again from its beginning, so all of it says IF NOT EXISTS. Two processes that migrate at once wait for each other (GET_LOCK).

import { Kysely, MysqlAdapter, MysqlDialect, sql } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { StoreError } from '../store-error.ts'
import type { MigrationStep } from '../store.ts'
import type { Database, LayoutSize } from './layout.ts'
import { int, text, type MysqlServer } from './server.ts'
import { literal } from './sql-text.ts'
import { addNewestIndex, firstTables, layoutTable, NEWEST_INDEX } from './tables.ts'

const MIGRATIONS_TABLE = 'stockd_migration'
const LOCK_TABLE = 'stockd_migration_lock'
const LOCK_NAME_MAX = 64
const LOCK_WAIT_S = 3600

/** By name, in this order. Never changed once released; a change is a new one. */
const migrationsOf = (database: Database, size: LayoutSize): Record<string, Migration> => ({
  '1_orders': {
    async up(db) {
      for (const statement of firstTables(database, size)) await sql.raw(statement).execute(db)
    },
  },
  // New tables have it from the first step: of a thousand tables, changing each takes minutes.
  '2_newest': {
    async up(db) {
      const indexed = new Set(await tablesOf(db, database, `information_schema.statistics WHERE index_name = '${NEWEST_INDEX}'`))
      const made = await tablesOf(db, database, `information_schema.tables WHERE table_type = 'BASE TABLE'`)
      for (const table of made) {
        if (/^orders_(history_)?\d\d$/.test(table) && !indexed.has(table)) await sql.raw(addNewestIndex(database, table)).execute(db)
      }
    },
  },
})

const NAMES = ['1_orders', '2_newest']

/** On the connection of the migration: with few connections there may be no other. */
async function tablesOf(db: Kysely<unknown>, database: Database, source: string): Promise<string[]> {
  const query = sql.raw<{ name: unknown }>(`SELECT table_name AS name FROM ${source} AND table_schema = ${literal(database.name)}`)
  return (await query.execute(db)).rows.map((row) => text(row.name))
}

/** Kysely's lock is one for the whole server; databases can be made at the same time, and that is several times faster. */
class DatabaseDialect extends MysqlDialect {
  readonly #database: string

  constructor(server: MysqlServer, database: string) {
    super({ pool: async () => server.callbackPool(database) })
    this.#database = database
  }

  override createAdapter(): MysqlAdapter {
    return new DatabaseAdapter(this.#database)
  }
}

class DatabaseAdapter extends MysqlAdapter {
  readonly #lock: string

  constructor(database: string) {
    super()
    this.#lock = `stockd ${database}`.slice(0, LOCK_NAME_MAX)
  }

  override async acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`SELECT GET_LOCK(${this.#lock}, ${LOCK_WAIT_S})`.execute(db)
  }

  override async releaseMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`SELECT RELEASE_LOCK(${this.#lock})`.execute(db)
  }
}

/** @returns one step for each migration of this database; nothing was changed if all are applied */
export async function migrate(server: MysqlServer, database: Database, size: LayoutSize): Promise<readonly MigrationStep[]> {
  const before = await migrationSteps(server, database)
  if (before.every((step) => step.state === 'applied')) {
    await assertLayout(server, database, size)
    return before
  }
  await makeDatabase(server, database)
  await server.change(layoutTable(database))
  // IGNORE: who is second finds the row; the comparison says whether it is his.
  await server.change(
    `INSERT IGNORE INTO ${database.single('stockd_layout')} (one, database_count, table_count, database_index)
     VALUES (1, ${size.databases}, ${size.tables}, ${database.index})`,
  )
  await assertLayout(server, database, size)

  const db = new Kysely<unknown>({ dialect: new DatabaseDialect(server, database.name) })
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: async () => migrationsOf(database, size) },
      migrationTableName: MIGRATIONS_TABLE,
      migrationLockTableName: LOCK_TABLE,
    })
    const { error } = await migrator.migrateToLatest()
    if (error !== undefined) throw server.asError(error)
  } finally {
    await db.destroy()
  }
  return migrationSteps(server, database)
}

/** Reads only. Refuses, in words, tables of a newer program. */
export async function migrationSteps(server: MysqlServer, database: Database): Promise<readonly MigrationStep[]> {
  const applied = new Set<string>()
  const found = await server.rows(
    `SELECT 1 FROM information_schema.tables WHERE table_schema = ${literal(database.name)} AND table_name = '${MIGRATIONS_TABLE}'`,
  )
  if (found.length > 0) {
    for (const row of await server.rows(`SELECT name FROM \`${database.name}\`.${MIGRATIONS_TABLE}`)) applied.add(text(row.name))
  }
  const newer = [...applied].filter((name) => !NAMES.includes(name))
  if (newer.length > 0) {
    const known = NAMES[NAMES.length - 1]
    throw new StoreError(
      'unknown',
      'TOO_NEW',
      `${server.safe}: the tables of ${database.name} were changed by a newer stockd (${newer.join(', ')}; known here: up to ${known}): use that version`,
    )
  }
  return NAMES.map((name) => ({ name, database: database.name, state: applied.has(name) ? 'applied' : 'pending' }))
}

/** The tables are there, of this version, and of this layout; or says what is to be done. */
export async function assertReady(server: MysqlServer, database: Database, size: LayoutSize): Promise<void> {
  const steps = await migrationSteps(server, database)
  const pending = steps.filter((step) => step.state !== 'applied')
  if (pending.length > 0) {
    const what = pending.length === NAMES.length ? 'has no tables yet' : `lacks ${pending.map((step) => step.name).join(', ')}`
    throw new StoreError('unknown', 'MIGRATE', `${server.safe}: database ${database.name} ${what}: run stockd-orders migrate`)
  }
  await assertLayout(server, database, size)
}

/** The tables were made for this layout: with another one a part of the orders would be looked at, and told as all of them. */
export async function assertLayout(server: MysqlServer, database: Database, size: LayoutSize): Promise<void> {
  const [row] = await server.rows(
    `SELECT database_count, table_count, database_index FROM ${database.single('stockd_layout')} WHERE one = 1`,
  )
  if (row === undefined)
    throw new StoreError('unknown', 'LAYOUT', `${server.safe}: ${database.name}.stockd_layout is empty: are these tables ours?`)
  const made = { databases: int(row.database_count), tables: int(row.table_count), index: int(row.database_index) }
  if (made.databases === size.databases && made.tables === size.tables && made.index === database.index) return
  throw new StoreError(
    'unknown',
    'LAYOUT',
    `${server.safe}: ${database.name} was made as database ${made.index} of a layout of ${made.databases} x ${made.tables}, ` +
      `not ${database.index} of ${size.databases} x ${size.tables}: orders would not be found again. ` +
      `Say ${made.databases} x ${made.tables} (and name the servers in the same order), or name another database`,
  )
}

async function makeDatabase(server: MysqlServer, database: Database): Promise<void> {
  const found = await server.rows(`SELECT 1 FROM information_schema.schemata WHERE schema_name = ${literal(database.name)}`)
  if (found.length === 0) await server.change(`CREATE DATABASE IF NOT EXISTS \`${database.name}\` CHARACTER SET utf8mb4`)
}
