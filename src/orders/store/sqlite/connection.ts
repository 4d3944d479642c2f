// The connection to the file: opened when it is first needed, and again after an error that spoils it or when the file was taken away.
//
// synchronous=FULL: the node may forget what is stored, so a commit must survive a power cut. (The cursor could not be ahead of its rows
// in any case, since both are in one transaction.) WAL: readers and the writer do not wait for each other.

import { statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { bytesOfName, nameOfBytes } from '../name.ts'
import { StoreError } from '../store-error.ts'
import { APPLICATION_ID, MIGRATIONS } from './schema.ts'
import { asStoreError, needsReopening } from './sqlite-error.ts'

/**
 * own    the node's: makes and changes the tables when it opens
 * write  a tool beside a node: needs the tables to be there
 * read   a tool that changes nothing
 */
export type SqliteMode = 'own' | 'write' | 'read'

export type Row = Record<string, SQLOutputValue>

/** How long a statement waits for another process's transaction. It blocks the thread; the caller's circuit does the longer waiting. */
const BUSY_MS = 1000
/** In the node's own thread readers of stock:events wait behind it. */
const BUSY_OWN_MS = 50
/** 16 MiB between checkpoints: fewer pages are written twice. */
const CHECKPOINT_PAGES = 4000
const CACHE_KIB = 32768
const WAL_BYTES_KEPT = 64 * 1024 * 1024

export class SqliteConnection {
  readonly path: string
  readonly name: string
  readonly #mode: SqliteMode
  readonly #statements = new Map<string, StatementSync>()
  #db: DatabaseSync | null = null
  /** Of the file that is open: a file that was deleted goes on taking rows that nobody will ever read. */
  #inode = 0n
  #isClosed = false

  constructor(path: string, mode: SqliteMode) {
    this.path = path
    this.name = `sqlite:${path}`
    this.#mode = mode
  }

  get isReadOnly(): boolean {
    return this.#mode === 'read'
  }

  isThere(): boolean {
    return this.path === ':memory:' || this.#inodeNow() !== -1n
  }

  /** Runs `work` without a transaction. Throws StoreError. */
  run<T>(work: () => T): T {
    try {
      this.#open()
      return work()
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** All of `work` or nothing of it. A reader sees one state of the whole file. */
  transaction<T>(kind: 'read' | 'write', work: () => T): T {
    try {
      const db = this.#open()
      db.exec(kind === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN')
      try {
        const result = work()
        db.exec('COMMIT')
        return result
      } catch (error) {
        // Some errors have rolled it back already.
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    } catch (error) {
      throw this.#failed(error)
    }
  }

  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      if (this.#db === null) throw new Error('no connection')
      this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    }
    return statement
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.statement(sql).get(...values)
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.statement(sql).all(...values)
  }

  /** @returns how many rows changed */
  change(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.statement(sql).run(...values).changes)
  }

  /** Versions of tables: there, and known to this program. Runs inside `run`. */
  versions(): { readonly found: number; readonly known: number } {
    return { found: number(this.get('PRAGMA user_version'), 'user_version'), known: MIGRATIONS.length }
  }

  /** Runs `work` on whatever is there, also without our tables. */
  inspect<T>(work: () => T): T {
    try {
      if (this.#db === null) this.#connect(this.#mode === 'own')
      return work()
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Makes what is missing. Several processes may try at once: the second finds it done. */
  migrate(): void {
    try {
      const db = this.#db ?? this.#connect(true)
      if (this.versions().found >= MIGRATIONS.length) return
      db.exec('BEGIN IMMEDIATE')
      try {
        for (let version = this.versions().found; version < MIGRATIONS.length; version++) db.exec(MIGRATIONS[version].sql)
        db.exec(`PRAGMA user_version = ${MIGRATIONS.length}; PRAGMA application_id = ${APPLICATION_ID}; COMMIT`)
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    } catch (error) {
      throw this.#failed(error)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#disconnect()
  }

  #open(): DatabaseSync {
    if (this.#db !== null && this.#isGone()) this.#disconnect()
    if (this.#db !== null) return this.#db
    const db = this.#connect(this.#mode === 'own')
    if (this.#mode === 'own') this.migrate()
    const { found, known } = this.versions()
    if (found < known) {
      const what = found === 0 ? 'holds no orders yet' : `has tables of version ${found}, and this program needs ${known}`
      throw new StoreError('wait', 'MIGRATE', `${this.name} ${what}: start a node on it, or run stockd-orders migrate --store ${this.name}`)
    }
    return db
  }

  #connect(isMade: boolean): DatabaseSync {
    if (this.#isClosed) throw new StoreError('wait', 'CLOSED', `${this.name} is closed`)
    if (!isMade && !this.isThere()) {
      throw new StoreError(
        'wait',
        'CANTOPEN',
        `${this.name} does not exist: a node makes it when it starts (stockd --dir), or name another with --store`,
      )
    }
    const db = new DatabaseSync(this.path, { readOnly: this.isReadOnly, timeout: this.#mode === 'own' ? BUSY_OWN_MS : BUSY_MS })
    this.#db = db
    // Reading the header now: a file that is no database is found before anything is written into it.
    const { found, known } = this.versions()
    const application = number(this.get('PRAGMA application_id'), 'application_id')
    const isEmpty = this.get('SELECT 1 FROM sqlite_schema LIMIT 1') === undefined
    if (application !== APPLICATION_ID && !(isEmpty && application === 0 && found === 0)) {
      throw new StoreError('wait', 'FOREIGN', `${this.name} is a database of another program: name another file`)
    }
    if (found > known) {
      throw new StoreError(
        'wait',
        'TOO_NEW',
        `${this.name} was written by a newer stockd (tables ${found}, known here ${known}): use that version`,
      )
    }
    if (!this.isReadOnly) {
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
        PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY`)
    }
    this.#inode = this.#inodeNow()
    return db
  }

  #isGone(): boolean {
    return this.#inodeNow() !== this.#inode
  }

  #inodeNow(): bigint {
    if (this.path === ':memory:') return 0n
    try {
      const found = statSync(this.path, { bigint: true, throwIfNoEntry: false })
      if (found?.isDirectory() !== true) return found?.ino ?? -1n
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new StoreError('wait', 'CANTOPEN', `${this.name} cannot be looked at (${code}): may this user enter its directory?`, {
        cause: error,
      })
    }
    throw new StoreError('wait', 'CANTOPEN', `${this.name} is a directory: name a file`)
  }

  #disconnect(): void {
    this.#statements.clear()
    const db = this.#db
    this.#db = null
    if (db?.isOpen === true) db.close()
  }

  #failed(error: unknown): unknown {
    const failure = asStoreError(error, this.name)
    if (failure instanceof StoreError && (needsReopening(failure) || ['FOREIGN', 'TOO_NEW', 'MIGRATE'].includes(failure.code)))
      this.#disconnect()
    return failure
  }
}

/** A name as it is bound: text if it is text, else its bytes. */
export function bound(name: string): string | Buffer {
  return name.isWellFormed() ? name : bytesOfName(name)
}

export const boundOrNull = (name: string | null): string | Buffer | null => (name === null ? null : bound(name))

/** A name as it was read. */
export function name(row: Row | undefined, column: string): string {
  const value = row?.[column]
  if (value instanceof Uint8Array) return nameOfBytes(value)
  if (typeof value !== 'string') throw new StoreError('unknown', 'ROW', `column ${column} is no text`)
  return value
}

export const nameOrNull = (row: Row | undefined, column: string): string | null => (row?.[column] == null ? null : name(row, column))

export function number(row: Row | undefined, column: string): number {
  const value = row?.[column]
  if (typeof value !== 'number') throw new StoreError('unknown', 'ROW', `column ${column} is no number`)
  return value
}

export function bytes(row: Row | undefined, column: string): Buffer {
  const value = row?.[column]
  if (!(value instanceof Uint8Array)) throw new StoreError('unknown', 'ROW', `column ${column} holds no bytes`)
  return Buffer.from(value.buffer, value.byteOffset, value.length)
}
