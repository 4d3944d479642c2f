// Which store a command works on: --store, else the environment, else the file of a node that runs with its defaults.
//
// A URL with a password belongs into the environment or a file, where other users of the machine do not see it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StockdError } from '../../base/error.ts'
import { SqliteStore } from '../../orders/store/sqlite/sqlite-store.ts'
import type { Store } from '../../orders/store/store.ts'

/**
 * own     what carries events: makes the tables that are missing
 * write   a tool that changes something beside it
 * read    a tool that changes nothing
 */
export type StoreUse = 'own' | 'write' | 'read'

export interface StoreOptions {
  readonly store?: string | undefined
  readonly databases?: number | undefined
  readonly tables?: number | undefined
  /** mysql: to each server; what a consumer writes with. */
  readonly connections?: number | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

const VARIABLE = 'STOCKD_ORDERS_STORE'

/** The text of --store, or of what stands for it. */
export function storeAddress({ store }: StoreOptions, environment: Environment): string {
  if (store !== undefined) return store
  const given = environment[VARIABLE]
  if (given !== undefined && given !== '') return given
  const file = environment[`${VARIABLE}_FILE`]
  if (file !== undefined && file !== '') return contentOf(file)
  return `sqlite:${join(environment.STOCKD_DIR ?? 'aof', 'orders.db')}`
}

export async function openStore(options: StoreOptions, use: StoreUse, environment: Environment): Promise<Store> {
  const address = storeAddress(options, environment)
  const [kind] = address.split(':', 1)
  if (kind === 'sqlite') {
    if ((options.databases ?? 1) !== 1 || (options.tables ?? 1) !== 1) {
      throw new StockdError('BAD_OPTION', '--databases and --tables are for mysql: an SQLite file is one database')
    }
    const path = address.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
    if (path === '') throw new StockdError('BAD_OPTION', 'sqlite: without a path; expected sqlite:aof/orders.db')
    return new SqliteStore({ path, mode: use, now: Date.now })
  }
  if (kind === 'mysql' || kind === 'mariadb') {
    // Read only when it is needed: it brings the client library.
    const { MysqlStore } = await import('../../orders/store/mysql/mysql-store.ts')
    const { databases = 1, tables = 1, connections } = options
    try {
      return new MysqlStore({
        urls: address.split(',').map((url) => url.trim()),
        ...{ databases, tables, now: Date.now },
        ...(connections === undefined ? {} : { connectionsMax: connections }),
      })
    } catch (error) {
      throw new StockdError('BAD_OPTION', `the store: ${(error as Error).message}`, { cause: error })
    }
  }
  throw new StockdError('BAD_OPTION', `a store is sqlite:<path> or mysql://user:password@host:port/name, not ${shown(address)}`)
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new StockdError('BAD_OPTION', `${VARIABLE}_FILE ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  }
}

/** Whatever it is, it may hold a password. */
function shown(address: string): string {
  return JSON.stringify(address.replace(/\/\/[^@/]*@/, '//...@').slice(0, 80))
}
