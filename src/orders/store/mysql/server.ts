// One MySQL or MariaDB server: a bounded pool of connections, statements, transactions. The one file that knows mysql2.
//
// A transaction that fails is rolled back; one whose end is not known takes its connection with it, and nobody learns more than that. A
// statement has a time limit: a server that stops answering in the middle is an outage, not a consumer that hangs.
//
// Every connection is strict and READ COMMITTED, whatever the server's defaults are. Numbers of 64 bits come as text (`int`).

import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { callbackify } from 'node:util'
import { format, type PoolConnection as CallbackConnection } from 'mysql2'
import { createPool, type Pool, type PoolConnection } from 'mysql2/promise'
import { assert } from '../../../base/assert.ts'
import { nameOfBytes } from '../name.ts'
import { StoreError } from '../store-error.ts'
import type { Dsn } from './dsn.ts'
import { asStoreError } from './error-classes.ts'

export interface ServerLimits {
  readonly connectionsMax: number
  readonly connectTimeoutMs: number
  /** Of one statement. */
  readonly statementTimeoutMs: number
}

export type Row = Readonly<Record<string, unknown>>

/** What runs statements: a connection that is ours for a while. */
export interface Session {
  rows(sql: string): Promise<readonly Row[]>
  /** @returns how many rows it changed: of ON DUPLICATE KEY UPDATE 1 for an insert, 2 for an update */
  change(sql: string): Promise<number>
  /** Several statements that give no rows: in as few round trips as the server can. */
  changeAll(statements: readonly string[]): Promise<void>
}

export type Flavor = 'mysql' | 'mariadb'

/** What kysely wants: connections that have a database selected. Its statements have no time limit; making tables may take long. */
export interface CallbackPool {
  getConnection(callback: (error: unknown, connection: CallbackConnection) => void): void
  end(callback: (error: unknown) => void): void
}

// Longer than a transaction of ours ever holds a lock, shorter than a statement's limit.
const LOCK_WAIT_S = 10
const SESSION = [
  `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, innodb_lock_wait_timeout = ${LOCK_WAIT_S}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
]
/** Statements in one compound statement: enough to forget the round trip, few enough that the server's parser stays small. */
const TOGETHER_BYTES = 256 * 1024
const IDLE_MS = 3000
const TIMEZONE = 'Z'
/** How many times as long a statement may take that reads whole tables. */
const RECOUNT_PATIENCE = 20
const KEEP_ALIVE_MS = 10_000
/** So long a server has to say goodbye. */
const CLOSE_MS = 1000

export class MysqlServer {
  readonly safe: string
  readonly limits: ServerLimits
  readonly #pool: Pool
  readonly #prepared = new WeakSet<object>()
  readonly #sockets = new Set<Socket>()
  #flavor: Flavor | null = null

  constructor(dsn: Dsn, limits: ServerLimits) {
    this.safe = dsn.safe
    this.limits = limits
    this.#pool = createPool({
      stream: () => this.#dial(dsn),
      // For the name that TLS checks.
      host: dsn.host,
      user: dsn.user,
      password: dsn.password,
      charset: 'utf8mb4',
      timezone: TIMEZONE,
      supportBigNumbers: true,
      bigNumberStrings: true,
      multipleStatements: false,
      queryFormat: withValues,
      // LOAD DATA LOCAL lets a server read our files.
      flags: ['-LOCAL_FILES'],
      infileStreamFactory: () => {
        throw new Error('no files are sent to a database')
      },
      connectTimeout: limits.connectTimeoutMs,
      connectionLimit: limits.connectionsMax,
      // On a server with few connections, those that nobody uses are another consumer's.
      maxIdle: limits.connectionsMax - 1,
      idleTimeout: IDLE_MS,
      gracefulEnd: true,
      ...(dsn.tls === null ? {} : { ssl: { ...dsn.tls, verifyIdentity: dsn.tls.rejectUnauthorized } }),
    })
  }

  /** One statement, on any connection. */
  rows(sql: string): Promise<readonly Row[]> {
    return this.session((session) => session.rows(sql))
  }

  /** One statement that reads whole tables. */
  recount(sql: string): Promise<readonly Row[]> {
    return this.session((session) => session.rows(sql), RECOUNT_PATIENCE)
  }

  change(sql: string): Promise<number> {
    return this.session((session) => session.change(sql))
  }

  /** A connection without a transaction: each statement is one. */
  async session<T>(work: (session: Session) => Promise<T>, patience = 1): Promise<T> {
    const connection = await this.#connect()
    try {
      const result = await work(this.#sessionOf(connection, patience))
      connection.release()
      return result
    } catch (error) {
      // A half-read answer or an unknown state is nobody else's to find.
      connection.destroy()
      throw asStoreError(error, this.safe)
    }
  }

  /** BEGIN, work, COMMIT; or nothing of it. If it is not known which, the error is of class `wait`. */
  async transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const connection = await this.#connect()
    const session = this.#sessionOf(connection)
    let result: T
    try {
      await session.change('START TRANSACTION')
      result = await work(session)
    } catch (error) {
      await this.#rollBack(connection, session, error)
      throw asStoreError(error, this.safe)
    }
    try {
      await session.change('COMMIT')
    } catch (error) {
      connection.destroy()
      throw asStoreError(error, this.safe)
    }
    connection.release()
    return result
  }

  /** Reads one state of all tables. */
  async snapshot<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.session(async (session) => {
      await session.change('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
      await session.change('START TRANSACTION WITH CONSISTENT SNAPSHOT')
      const result = await work(session)
      await session.change('COMMIT')
      return result
    }, RECOUNT_PATIENCE)
  }

  /** A transaction that is rolled back in any case. */
  async trial<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const connection = await this.#connect()
    const session = this.#sessionOf(connection)
    try {
      await session.change('START TRANSACTION')
      const result = await work(session)
      await this.#rollBack(connection, session)
      return result
    } catch (error) {
      await this.#rollBack(connection, session, error)
      throw asStoreError(error, this.safe)
    }
  }

  /** Known after the first connection. */
  get flavor(): Flavor {
    assert(this.#flavor !== null, 'nothing is known of a server before its first connection')
    return this.#flavor
  }

  /** An error that came out of `callbackPool`. */
  asError(error: unknown): unknown {
    return asStoreError(error, this.safe)
  }

  callbackPool(database: string): CallbackPool {
    return { getConnection: callbackify(() => this.#selected(database)), end: (callback) => callback(null) }
  }

  async close(): Promise<void> {
    const ended = this.#pool.end().catch(() => {}) // Connections that cannot say goodbye are gone all the same.
    const patience = new AbortController()
    const late = delay(CLOSE_MS, undefined, { signal: patience.signal }).catch(() => {})
    await Promise.race([ended, late])
    patience.abort()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Our own sockets: mysql2 ends a connection by waiting for the server to end it too, which one that stands still never does. */
  #dial({ socketPath, host, port }: Dsn): Socket {
    const socket =
      socketPath === null
        ? connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
        : connect({ path: socketPath })
    this.#sockets.add(socket)
    socket.once('finish', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  async #connect(): Promise<PoolConnection> {
    let connection: PoolConnection
    try {
      connection = await this.#pool.getConnection()
    } catch (error) {
      if (error instanceof Error && error.message === 'Pool is closed.')
        throw new StoreError('wait', 'CLOSED', `${this.safe} is closed`, { cause: error })
      throw asStoreError(error, this.safe)
    }
    if (this.#prepared.has(connection.connection)) return connection
    try {
      const session = this.#sessionOf(connection)
      const [{ version }] = await session.rows('SELECT VERSION() AS version')
      this.#flavor = /mariadb/i.test(text(version)) ? 'mariadb' : 'mysql'
      for (const statement of SESSION) await session.change(statement)
    } catch (error) {
      connection.destroy()
      throw asStoreError(error, this.safe)
    }
    this.#prepared.add(connection.connection)
    return connection
  }

  async #selected(database: string): Promise<CallbackConnection> {
    const connection = await this.#connect()
    try {
      await this.#sessionOf(connection).change(`USE \`${database}\``)
    } catch (error) {
      connection.destroy()
      throw error
    }
    // The promise's connection is a wrapper round the callbacks' one, which mysql2 types only as its base class.
    return connection.connection as unknown as CallbackConnection
  }

  #sessionOf(connection: PoolConnection, patience = 1): Session {
    const timeout = this.limits.statementTimeoutMs * patience
    const run = async (sql: string): Promise<unknown> => {
      const [result] = await connection.query({ sql, timeout })
      return result
    }
    const change = async (sql: string): Promise<number> => ((await run(sql)) as { readonly affectedRows?: number }).affectedRows ?? 0
    return {
      rows: async (sql) => (await run(sql)) as readonly Row[],
      change,
      changeAll: async (statements) => {
        for (const statement of this.#flavor === 'mariadb' ? compounds(statements) : statements) await change(statement)
      },
    }
  }

  /** @param error what ended the work, if anything did */
  async #rollBack(connection: PoolConnection, session: Session, error?: unknown): Promise<void> {
    // A statement without an answer still occupies the connection: ROLLBACK would wait behind it for ever. The server rolls back what a
    // lost connection leaves.
    if (!isAnswer(error)) return connection.destroy()
    try {
      await session.change('ROLLBACK')
      connection.release()
    } catch {
      connection.destroy()
    }
  }
}

/**
 * Our statements have their values in them: mysql2 would look through each for question marks, a fifth of what this process does for an
 * event. Migrations have values.
 */
function withValues(sql: string, values: Parameters<typeof format>[1]): string {
  return Array.isArray(values) && values.length === 0 ? sql : format(sql, values, false, TIMEZONE)
}

/** The server said it, or nothing of the connection did: the next statement will be answered. */
function isAnswer(error: unknown): boolean {
  const { code, errno } = error instanceof Error ? (error as Error & { code?: string; errno?: number }) : {}
  return code === undefined || error instanceof StoreError || (errno !== undefined && errno > 0)
}

/** MariaDB runs a block of statements that comes as one: a batch into 64 tables waits for one answer, not for 200. */
function* compounds(statements: readonly string[]): Generator<string> {
  let block: string[] = []
  let bytes = 0
  for (const statement of statements) {
    if (block.length > 0 && bytes + statement.length > TOGETHER_BYTES) {
      yield compound(block)
      block = []
      bytes = 0
    }
    block.push(statement)
    bytes += statement.length
  }
  if (block.length > 0) yield compound(block)
}

const compound = (statements: readonly string[]): string =>
  statements.length === 1 ? statements[0] : `BEGIN NOT ATOMIC ${statements.join('; ')}; END`

// What a column holds, checked: a table that somebody else made may hold anything.

export function int(value: unknown): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw odd(value, 'an integer')
  return number
}

export function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  throw odd(value, 'text')
}

export function bytes(value: unknown): Buffer {
  if (!Buffer.isBuffer(value)) throw odd(value, 'bytes')
  return value
}

export const name = (value: unknown): string => nameOfBytes(bytes(value))
export const nameOrNull = (value: unknown): string | null => (value === null ? null : name(value))

/** An integer that may pass 2^53, as text. */
export const decimalOrNull = (value: unknown): string | null =>
  value === null ? null : typeof value === 'number' ? String(value) : text(value)

const odd = (value: unknown, wanted: string): StoreError =>
  new StoreError('unknown', 'ROW', `a column holds ${value === null ? 'NULL' : typeof value} instead of ${wanted}: are these tables ours?`)
