// A MariaDB for tests: a private one in a temporary directory, on a free loopback port, which can be killed and started again on its data.
//
//   const database = await startMariaDb({ args: ['--max-connections=10'] })
//   const url = await database.fresh('orders')     a name that nobody else uses: mysql://root@127.0.0.1:port/t1234_0_0_orders
//
// It is as durable as a server in earnest: each commit is synced. Its data directory is a copy of one that is made once in a test run.
// STOCKD_TEST_MYSQL=mysql://user:password@host:port names a server to use where a test only needs *some* server (`someMariaDb`).

import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import type { RowDataPacket } from 'mysql2/promise'
import { eventually } from './eventually.ts'
import { freePort } from './port.ts'
import { Server, hasProgram } from './server.ts'
import type { Exit } from './server.ts'
import { tempDir } from './temp-dir.ts'

const START_MS = 60_000

export const HAS_MARIADB = hasProgram('mariadbd') || existsSync('/usr/sbin/mariadbd')

/** `describe.skipIf(!HAS_MYSQL)`: a server is named, or can be started. */
export const HAS_MYSQL = HAS_MARIADB || process.env.STOCKD_TEST_MYSQL !== undefined

export interface MariaDbOptions {
  /** Flags for mariadbd: `--max-connections=10`, `--read-only`. */
  readonly args?: readonly string[]
  /** Every commit goes to a binary log too, and is synced there (`sync_binlog=1`), as on a server that replicates. */
  readonly binlog?: boolean
  readonly port?: number
}

/** What tests ask of any server, also of one that was there before. */
export class MySqlServer {
  /** mysql://user:password@host:port */
  readonly origin: string
  readonly #prefix = `t${process.pid}_${(made++).toString(36)}_`
  readonly #names = new Set<string>()

  constructor(origin: string) {
    this.origin = origin.replace(/\/+$/, '')
  }

  url(database: string, as = ''): string {
    const origin = as === '' ? this.origin : this.origin.replace(/\/\/[^@/]*@/, `//${as}@`)
    return `${origin}/${database}`
  }

  /** A base name that this call alone gives. Databases that begin with it go away with `dropAll`. */
  name(name: string): string {
    const unique = `${this.#prefix}${this.#names.size.toString(36)}_${name}`
    this.#names.add(unique)
    return unique
  }

  /** ... as a URL. */
  fresh(name: string): string {
    return this.url(this.name(name))
  }

  /** One statement on a connection of its own, as the user of `origin`. */
  async query(sql: string, values: readonly unknown[] = []): Promise<RowDataPacket[]> {
    const connection = await createConnection({ uri: `${this.origin}/`, supportBigNumbers: true, timezone: 'Z', connectTimeout: 5000 })
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql, [...values])
      return rows
    } finally {
      connection.destroy()
    }
  }

  async dropAll(): Promise<void> {
    const rows = await this.query('SELECT schema_name AS name FROM information_schema.schemata')
    for (const row of rows) {
      const name = String(row.name)
      if ([...this.#names].some((base) => name.startsWith(base))) await this.query(`DROP DATABASE \`${name}\``)
    }
  }
}

let made = 0

/** A server of one's own: it may be killed, filled, made read-only. */
export class MariaDb extends MySqlServer {
  readonly dir: string
  readonly port: number
  readonly #options: MariaDbOptions
  #server: Server

  constructor(dir: string, port: number, options: MariaDbOptions, server: Server) {
    super(`mysql://root@127.0.0.1:${port}`)
    this.dir = dir
    this.port = port
    this.#options = options
    this.#server = server
  }

  get pid(): number {
    return this.#server.pid
  }

  log(): string {
    return this.#server.log()
  }

  /** SIGTERM: it rolls back what is open and closes its files. */
  stop(): Promise<Exit> {
    return this.#server.stop()
  }

  async kill9(): Promise<void> {
    await this.#server.kill9()
  }

  /** Connections stay, nothing answers. */
  async freeze(): Promise<void> {
    this.#server.signal('SIGSTOP')
    await eventually('the server to stand still', () => / T /.test(readFileSync(`/proc/${this.pid}/stat`, 'utf8')))
  }

  thaw(): void {
    this.#server.signal('SIGCONT')
  }

  /** On the same data and port, after `stop` or `kill9`; `args` instead of those of before. */
  async start(args: readonly string[] = this.#options.args ?? []): Promise<void> {
    this.#server = await launch(this.dir, this.port, { ...this.#options, args })
  }

  /** Its databases go away with its directory: dropping thousands of tables takes a minute. */
  override async dropAll(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.kill9()
  }
}

export async function startMariaDb(options: MariaDbOptions = {}): Promise<MariaDb> {
  const dir = tempDir()
  copy(template(), join(dir, 'data'))
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    try {
      return new MariaDb(dir, port, options, await launch(dir, port, options))
    } catch (error) {
      // Between finding a free port and listening on it another process may have taken it.
      if (options.port !== undefined || attempt === 5 || !/Address already in use/i.test(String(error))) throw error
    }
  }
}

let some: Promise<MySqlServer> | null = null

/** Any server: the one of STOCKD_TEST_MYSQL, else one that the whole test file shares. Use names that nobody else has, see `fresh`. */
export function someMariaDb(): Promise<MySqlServer> {
  const url = process.env.STOCKD_TEST_MYSQL
  some ??= url === undefined ? startMariaDb() : Promise.resolve(new MySqlServer(url))
  return some
}

// Debian keeps the server where only root has its PATH.
const PATH = `${process.env.PATH ?? ''}:/usr/sbin`
const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []

/** The data directory of a server that was never started, made once and copied for each. */
function template(): string {
  // Named like the directories of the process that runs the tests: whoever sweeps finds it when that is gone.
  const path = join(tmpdir(), `stockd-test-${process.ppid}-mariadb`)
  if (existsSync(path)) return path
  const fresh = join(tempDir(), 'template')
  const made = spawnSync(
    'mariadb-install-db',
    [
      '--no-defaults',
      ...asRoot,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
      '--innodb-log-file-size=32M',
      `--datadir=${fresh}`,
    ],
    { encoding: 'utf8', env: { ...process.env, PATH } },
  )
  if (made.status !== 0) throw new Error(`mariadb-install-db failed: ${made.error?.message ?? ''}\n${made.stdout}\n${made.stderr}`)
  try {
    renameSync(fresh, path)
  } catch (error) {
    // Another worker of this run was faster.
    rmSync(fresh, { recursive: true, force: true })
    if (!existsSync(path)) throw error
  }
  return path
}

function copy(from: string, to: string): void {
  const done = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`cannot copy ${from}: ${done.stderr}`)
}

async function launch(dir: string, port: number, options: MariaDbOptions): Promise<Server> {
  const command = [
    ...(process.platform === 'linux' && hasProgram('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []),
    'mariadbd',
    '--no-defaults',
    ...asRoot,
    `--datadir=${join(dir, 'data')}`,
    // A server that starts sweeps its temporary directory, with the temporary tables of others in it.
    `--tmpdir=${dir}`,
    `--socket=${join(dir, 's')}`,
    `--pid-file=${join(dir, 'pid')}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    '--character-set-server=utf8mb4',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=32M',
    '--innodb-flush-log-at-trx-commit=1',
    ...(options.binlog === true ? ['--log-bin=bin', '--binlog-format=ROW', '--server-id=1', '--sync-binlog=1'] : []),
    ...(options.args ?? []),
  ]
  const logFile = join(dir, 'mariadb.log')
  const output = openSync(logFile, 'a')
  const before = readFileSync(logFile).length
  let server: Server
  try {
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', output, output], env: { ...process.env, PATH } })
    server = new Server(child, port, dir, logFile)
  } finally {
    closeSync(output)
  }
  const printed = (): string => server.log().slice(before)
  try {
    await eventually(
      `MariaDB on port ${port} to be ready`,
      () => {
        if (server.exit !== null) return true
        return /ready for connections/.test(printed())
      },
      START_MS,
    )
  } catch (error) {
    await server.kill9()
    throw new Error(`MariaDB did not start. It printed:\n${printed()}`, { cause: error })
  }
  if (server.exit !== null) throw new Error(`MariaDB ended at its start (code ${server.exit.code}). It printed:\n${printed()}`)
  return server
}
