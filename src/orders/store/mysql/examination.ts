// What doctor asks of the servers: are they there, are they durable, may this user do what is needed, do the tables fit.
//
// Each finding says what was found and what to do, down to the line to run. Nothing is changed.

import { StoreError } from '../store-error.ts'
import type { StoreFinding } from '../store.ts'
import type { Database, Layout } from './layout.ts'
import { assertReady, migrationSteps } from './migrations.ts'
import { int, text, type MysqlServer } from './server.ts'
import { literal } from './sql-text.ts'

/** More than this, and leases of consumers on different hosts mean different things. */
const SKEW_MS_MAX = 2000
const RUN_RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
const MIGRATE_RIGHTS = ['CREATE', 'ALTER', 'INDEX', 'DROP']
/** Per sharded table and connection, some more for the rest. */
const HOT_KINDS = 3

/** One server and the databases that are on it. */
export interface Place {
  readonly server: MysqlServer
  readonly databases: readonly Database[]
}

export async function examine(places: readonly Place[], layout: Layout, now: () => number): Promise<readonly StoreFinding[]> {
  const findings = await Promise.all(places.map((place) => new Examination(place, layout, now).run()))
  return findings.flat()
}

class Examination {
  readonly #server: MysqlServer
  readonly #databases: readonly Database[]
  readonly #layout: Layout
  readonly #now: () => number
  readonly #findings: StoreFinding[] = []

  constructor({ server, databases }: Place, layout: Layout, now: () => number) {
    this.#server = server
    this.#databases = databases
    this.#layout = layout
    this.#now = now
  }

  async run(): Promise<readonly StoreFinding[]> {
    for (const step of [() => this.#settings(), () => this.#clock(), () => this.#rights(), () => this.#tables()]) {
      try {
        await step()
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        this.#says('error', error.message, null)
        // Without the server there is nothing more to ask.
        if (error.kind === 'wait' || error.code === '1045') break
      }
    }
    return this.#findings
  }

  #says(level: StoreFinding['level'], says: string, remedy: string | null): void {
    this.#findings.push({ level, about: this.#server.safe, says, remedy })
  }

  async #settings(): Promise<void> {
    const rows = await this.#server.rows(
      `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'version_comment', 'innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog',
       'binlog_format', 'sql_mode', 'read_only', 'super_read_only', 'innodb_read_only', 'max_connections', 'max_user_connections',
       'table_open_cache', 'table_definition_cache', 'innodb_buffer_pool_size', 'max_allowed_packet', 'character_set_server')`,
    )
    const variables = new Map(rows.map((row) => [text(row.Variable_name), text(row.Value)]))
    const value = (name: string): string => variables.get(name) ?? ''
    const number = (name: string): number => Number(variables.get(name) ?? 0)
    this.#says(
      'ok',
      `answers: ${value('version')} (${value('version_comment')}), server character set ${value('character_set_server')}`,
      null,
    )

    if (value('innodb_flush_log_at_trx_commit') !== '1') {
      this.#says(
        'warning',
        `innodb_flush_log_at_trx_commit is ${value('innodb_flush_log_at_trx_commit')}: a crash of the host may forget orders that were acked`,
        'SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the configuration file',
      )
    }
    const hasBinlog = value('log_bin') === 'ON'
    if (hasBinlog && value('sync_binlog') !== '1') {
      this.#says(
        'warning',
        `sync_binlog is ${value('sync_binlog')}: after a crash replicas may lack orders, or have more`,
        'SET GLOBAL sync_binlog = 1, and in the configuration file',
      )
    }
    if (hasBinlog && value('binlog_format') === 'STATEMENT') {
      this.#says(
        'error',
        'binlog_format is STATEMENT, which cannot log READ COMMITTED transactions',
        'SET GLOBAL binlog_format = ROW, and in the configuration file',
      )
    }
    if (!/STRICT_(ALL|TRANS)_TABLES/.test(value('sql_mode'))) {
      this.#says('ok', 'sql_mode is not strict; this program sets it for its own connections', null)
    }
    for (const name of ['read_only', 'super_read_only', 'innodb_read_only']) {
      if (value(name) === 'ON')
        this.#says('error', `${name} is ON: nothing can be stored`, 'name the primary, or SET GLOBAL read_only = 0 if this is it')
    }
    this.#connections(number('max_connections'), number('max_user_connections'))
    this.#caches(number)
    if (number('max_allowed_packet') < 4 * 1024 * 1024) {
      this.#says(
        'warning',
        `max_allowed_packet is ${number('max_allowed_packet')}: an order with very many items may not fit`,
        'SET GLOBAL max_allowed_packet = 16777216, and in the configuration file',
      )
    }
  }

  #connections(allowed: number, allowedUser: number): void {
    const { connectionsMax } = this.#server.limits
    const most = allowedUser > 0 ? Math.min(allowed, allowedUser) : allowed
    if (most <= connectionsMax) {
      this.#says(
        'warning',
        `it allows ${most} connections, and each consumer may use ${connectionsMax}`,
        'SET GLOBAL max_connections to more, or give consumers fewer connections; until then they wait for each other',
      )
    }
  }

  /** With many tables the defaults make the server close a table for each that it opens: three times slower was measured. */
  #caches(number: (name: string) => number): void {
    const { tables } = this.#layout.size
    const hot = this.#databases.length * (tables * HOT_KINDS + 8)
    const definitions = this.#databases.length * (tables * 5 + 12)
    const wanted = hot * Math.min(this.#server.limits.connectionsMax, 4)
    if (number('table_open_cache') < hot) {
      this.#says(
        'warning',
        `table_open_cache is ${number('table_open_cache')}, and ${hot} tables are written all the time`,
        `SET GLOBAL table_open_cache = ${wanted}, and in the configuration file, with open_files_limit = ${wanted * 2}`,
      )
    }
    if (number('table_definition_cache') < definitions) {
      this.#says(
        'warning',
        `table_definition_cache is ${number('table_definition_cache')}, and there are ${definitions} tables`,
        `SET GLOBAL table_definition_cache = ${definitions + 400}, and in the configuration file`,
      )
    }
    // Each hot table has a few pages of 16 KiB that are written again and again.
    const pool = hot * 6 * 16 * 1024
    if (number('innodb_buffer_pool_size') < pool) {
      const mib = Math.ceil(pool / 1024 / 1024)
      this.#says(
        'warning',
        `innodb_buffer_pool_size is ${Math.round(number('innodb_buffer_pool_size') / 1024 / 1024)} MiB: the ends of ${hot} tables alone take ${mib}`,
        `set innodb_buffer_pool_size to ${mib * 4}M or more`,
      )
    }
  }

  async #clock(): Promise<void> {
    const before = this.#now()
    const [row] = await this.#server.rows('SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS now')
    const after = this.#now()
    const theirs = int(row.now)
    const skew = theirs < before ? theirs - before : theirs > after ? theirs - after : 0
    if (Math.abs(skew) <= SKEW_MS_MAX) return
    const seconds = Math.round(Math.abs(skew) / 1000)
    this.#says(
      'warning',
      `its clock is ${seconds} s ${skew < 0 ? 'behind' : 'ahead of'} this host's`,
      'let both follow the same time server (NTP)',
    )
  }

  /** Rights that come by roles are not listed where this looks: then they are taken as given. */
  async #rights(): Promise<void> {
    const [{ role, who }] = await this.#server.rows('SELECT CURRENT_ROLE() AS role, CURRENT_USER() AS who')
    const granted = role !== null && text(role) !== 'NONE'
    if (granted) return
    const rows = await this.#server.rows(
      `SELECT '%' AS pattern, privilege_type AS granted FROM information_schema.user_privileges
       UNION ALL SELECT table_schema, privilege_type FROM information_schema.schema_privileges`,
    )
    const rights = rows.map((row) => ({ pattern: text(row.pattern), right: text(row.granted).toUpperCase() }))
    const user = text(who)
      .split('@')
      .map((piece) => `'${piece}'`)
      .join('@')
    for (const database of this.#databases) {
      const has = (right: string): boolean => rights.some((one) => one.right === right && matches(one.pattern, database.name))
      const lacks = RUN_RIGHTS.filter((right) => !has(right))
      if (lacks.length > 0) {
        this.#says(
          'error',
          `this user lacks ${lacks.join(', ')} on ${database.name}`,
          `as an administrator: ${grant(lacks, database, user)}`,
        )
      }
      const lacksToMigrate = MIGRATE_RIGHTS.filter((right) => !has(right))
      if (lacksToMigrate.length === 0) continue
      const isPending = (await migrationSteps(this.#server, database)).some((step) => step.state !== 'applied')
      if (!isPending) continue
      const isThere = await this.#server.rows(`SELECT 1 FROM information_schema.schemata WHERE schema_name = ${literal(database.name)}`)
      const make = isThere.length === 0 ? `CREATE DATABASE \`${database.name}\` CHARACTER SET utf8mb4; ` : ''
      this.#says(
        'error',
        `tables have to be made in ${database.name}, and this user lacks ${lacksToMigrate.join(', ')}`,
        `as an administrator: ${make}${grant(lacksToMigrate, database, user)}; or run stockd-orders migrate as one who has them`,
      )
    }
  }

  async #tables(): Promise<void> {
    for (const database of this.#databases) {
      try {
        await assertReady(this.#server, database, this.#layout.size)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        const remedy = error.code === 'MIGRATE' ? 'run stockd-orders migrate' : null
        this.#says('error', error.message, remedy)
        continue
      }
      const [row] = await this.#server.rows(`SELECT COUNT(*) AS n FROM ${database.single('dead_events')} WHERE state = 'dead'`)
      if (int(row.n) > 0) {
        const remedy = 'stockd-orders dead list says why; then dead replay or dead discard'
        this.#says('warning', `${int(row.n)} events could not be stored in ${database.name}`, remedy)
      }
    }
    const { databases, tables } = this.#layout.size
    if (this.#findings.every(({ level }) => level !== 'error')) {
      const names = this.#databases.map(({ name }) => name)
      const told = names.length > 2 ? `${names[0]} ... ${names[names.length - 1]}` : names.join(', ')
      this.#says('ok', `has the tables of a layout of ${databases} x ${tables} (${told})`, null)
    }
  }
}

const grant = (rights: readonly string[], database: Database, user: string): string =>
  `GRANT ${rights.join(', ')} ON \`${database.name}\`.* TO ${user}`

/** The database's name by a pattern of GRANT: % any text, _ any character, \ takes either at its word. */
function matches(pattern: string, database: string): boolean {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === '%') source += '.*'
    else if (character === '_') source += '.'
    else source += (character === '\\' ? (pattern[++at] ?? '') : character).replace(/[^A-Za-z0-9_]/, '\\$&')
  }
  return new RegExp(`^${source}$`, 'i').test(database)
}
