// A whole way for tests: a node, RabbitMQ, MariaDB and consumers, all real, on private ports and directories. Each can be stopped, killed and
// started again on what it has, and what each has printed is kept.
//
//   await using way = await startWay({ consumers: 2, databases: 16, tables: 64 })
//   await way.kill9('broker')
//   await way.start('broker')
//   await way.arrives()               everything that has happened in the node is in the database

import { fileURLToPath } from 'node:url'
import { createConnection } from 'mysql2/promise'
import { says, startConsumer } from '../e2e/orders/consumer-process.ts'
import { eventually } from './eventually.ts'
import { startMariaDb, type MariaDb } from './mariadb.ts'
import { freePort } from './port.ts'
import { run, type Finished } from './run.ts'
import { startRabbitMq, type RabbitMq } from './rabbitmq.ts'
import type { Value } from './raw-client.ts'
import { startNode, type Server } from './server.ts'
import { TcpProxy } from './tcp-proxy.ts'
import { tempDir } from './temp-dir.ts'

const STOCKD_ORDERS = fileURLToPath(new URL('../../bin/stockd-orders.js', import.meta.url))

export const STATIONS = ['node', 'broker', 'consumer', 'database'] as const
export type Station = (typeof STATIONS)[number]

/** Shorter than in earnest, so that takeovers, expiry and outages fit into a test. */
const CONSUMER_ARGS = ['--lease-ms', '3000', '--hold-ms', '3000']
const NODE_ARGS = ['--restart-grace', '1', '--audit-mark-interval', '2', '--aof-segment-size', '4mb']

export interface WayOptions {
  readonly consumers?: number
  readonly databases?: number
  readonly tables?: number
  readonly nodeArgs?: readonly string[]
  readonly nodeDir?: string
  readonly consumerArgs?: readonly string[]
  readonly databaseArgs?: readonly string[]
  /** The database writes a binary log, and syncs it. */
  readonly binlog?: boolean
  /** Consumers reach the database through `way.proxy`. */
  readonly throughProxy?: boolean
}

/** Consumers have a database user of their own who may do what they need and no more, as in earnest. The oracle is root. */
export const USER = 'carrier'
export const PASSWORD = 'c4rrier'
const RIGHTS = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP'

export async function startWay(options: WayOptions = {}): Promise<Way> {
  const { databaseArgs = [], binlog = false } = options
  const [rabbit, database] = await Promise.all([startRabbitMq(), startMariaDb({ args: databaseArgs, binlog })])
  const proxy = options.throughProxy === true ? await TcpProxy.to(database.port) : null
  const way = new Way(rabbit, database, proxy, await freePort(), options)
  await database.query(`CREATE USER ${USER}@'%' IDENTIFIED BY '${PASSWORD}'`)
  await database.query(`GRANT ${RIGHTS} ON \`${way.name}%\`.* TO ${USER}@'%'`)
  await way.start('node')
  for (let i = 0; i < (options.consumers ?? 1); i++) await way.start('consumer')
  return way
}

export class Way {
  readonly rabbit: RabbitMq
  readonly database: MariaDb
  readonly proxy: TcpProxy | null
  /** Base name of the databases. */
  readonly name: string
  readonly nodeDir: string
  readonly nodePort: number
  readonly size: { readonly databases: number; readonly tables: number }
  /** How often each was killed. */
  readonly kills: Record<Station, number> = { node: 0, broker: 0, consumer: 0, database: 0 }
  readonly #options: WayOptions
  /** In the order in which they were started; dead ones too, for what they printed. */
  readonly #nodes: Server[] = []
  readonly #consumers: Server[] = []
  #isDatabaseUp = true
  #consumersMade = 0

  constructor(rabbit: RabbitMq, database: MariaDb, proxy: TcpProxy | null, nodePort: number, options: WayOptions) {
    this.rabbit = rabbit
    this.database = database
    this.proxy = proxy
    this.nodePort = nodePort
    this.nodeDir = options.nodeDir ?? tempDir()
    this.name = database.name('way')
    this.size = { databases: options.databases ?? 1, tables: options.tables ?? 1 }
    this.#options = options
  }

  get node(): Server {
    const node = this.#nodes.at(-1)
    if (node === undefined) throw new Error('no node was started')
    return node
  }

  /** Those that live. */
  get consumers(): readonly Server[] {
    return this.#consumers.filter(({ exit }) => exit === null)
  }

  get amqp(): string {
    return this.rabbit.url
  }

  /** What STOCKD_ORDERS_STORE is for this way. */
  get store(): string {
    const url = this.database.url(this.name, `${USER}:${PASSWORD}`)
    return this.proxy === null ? url : url.replace(`:${this.database.port}/`, `:${this.proxy.port}/`)
  }

  get layoutArgs(): readonly string[] {
    return ['--databases', String(this.size.databases), '--tables', String(this.size.tables)]
  }

  isUp(station: Station): boolean {
    switch (station) {
      case 'node':
        return this.#nodes.at(-1)?.exit === null
      case 'broker':
        return this.rabbit.isRunning
      case 'consumer':
        return this.consumers.length > 0
      case 'database':
        return this.#isDatabaseUp
    }
  }

  /** Another consumer; the others on the port and the data that they had. */
  async start(station: Station, args: readonly string[] = []): Promise<void> {
    switch (station) {
      case 'node': {
        const all = [...NODE_ARGS, ...(this.#options.nodeArgs ?? []), ...args]
        const env = { STOCKD_AMQP: this.amqp }
        this.#nodes.push(await startNode({ dir: this.nodeDir, port: this.nodePort, args: all, env, startMs: 60_000 }))
        return
      }
      case 'broker':
        return this.rabbit.start()
      case 'consumer': {
        const name = `c${++this.#consumersMade}`
        const all = [...CONSUMER_ARGS, ...this.layoutArgs, '--name', name, ...(this.#options.consumerArgs ?? []), ...args]
        const consumer = startConsumer({ amqp: this.amqp, store: this.store, args: all })
        this.#consumers.push(consumer)
        await says(consumer, /a consumer starts/)
        return
      }
      case 'database':
        await this.database.start()
        this.#isDatabaseUp = true
    }
  }

  /** As a crash would. Of several consumers the oldest. */
  async kill9(station: Station): Promise<void> {
    this.kills[station]++
    switch (station) {
      case 'node':
        return this.node.kill9()
      case 'broker':
        return this.rabbit.kill9()
      case 'consumer':
        return this.consumers.at(0)?.kill9()
      case 'database':
        this.#isDatabaseUp = false
        return this.database.kill9()
    }
  }

  async stop(station: Station): Promise<void> {
    switch (station) {
      case 'node':
        await this.node.stop()
        return
      case 'broker':
        return this.rabbit.stop()
      case 'consumer':
        await this.consumers.at(0)?.stop()
        return
      case 'database':
        this.#isDatabaseUp = false
        await this.database.stop()
    }
  }

  /** Starts whatever is down. */
  async heal(): Promise<void> {
    await Promise.all(STATIONS.filter((station) => !this.isUp(station)).map((station) => this.start(station)))
  }

  /** By part: the last event that has happened in the node. */
  async last(): Promise<readonly number[]> {
    return (await this.status()).get('last') as number[]
  }

  /** STOCK.OUTBOX STATUS */
  async status(): Promise<Map<string, Value>> {
    await using client = await this.node.connect()
    const flat = (await client.call('STOCK.OUTBOX', 'STATUS')) as Value[]
    return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1]]))
  }

  /** By part: up to which event the database has them. Asked in plain SQL. */
  async stored(): Promise<readonly number[]> {
    const stored = Array.from({ length: 16 }, () => 0)
    await this.sql(async (query) => {
      for (const database of await this.databases(query)) {
        // Before the consumer has made its tables nothing is stored.
        const [made] = await query(`SHOW TABLES FROM \`${database}\` LIKE 'outbox_cursor'`)
        if (made === undefined) continue
        for (const row of await query(`SELECT part, pseq FROM \`${database}\`.outbox_cursor`)) stored[Number(row.part)] += Number(row.pseq)
      }
    })
    return stored
  }

  /** Waits until all that has happened in the node is in the database. @returns by part: the last event */
  async arrives(deadlineMs = 120_000): Promise<readonly number[]> {
    try {
      return await eventually(
        'everything to be stored',
        async () => {
          const last = await this.last()
          const stored = await this.stored()
          return last.every((pseq, part) => stored[part] >= pseq) ? last : null
        },
        deadlineMs,
      )
    } catch (error) {
      const [status, stored] = await Promise.all([this.status(), this.stored()]).catch(() => [new Map<string, Value>(), []] as const)
      throw this.explain(error, `node ${JSON.stringify([...status])}\ndatabase ${JSON.stringify(stored)}`)
    }
  }

  /** `stockd-orders ...` on this way's node, broker and database. */
  orders(...args: readonly string[]): Promise<Finished> {
    return run([process.execPath, STOCKD_ORDERS, ...args, ...this.layoutArgs], {
      env: { STOCKD_AMQP: this.amqp, STOCKD_ORDERS_STORE: this.store, STOCKD_NODE: `127.0.0.1:${this.nodePort}` },
      deadlineMs: 300_000,
    })
  }

  /** Of the consumers' database user. */
  async setPassword(password: string): Promise<void> {
    await this.database.query(`ALTER USER ${USER}@'%' IDENTIFIED BY '${password}'`)
  }

  /** Statements as root, not through the proxy. */
  async sql<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const connection = await createConnection({
      ...{ uri: `${this.database.origin}/`, supportBigNumbers: true, bigNumberStrings: true, charset: 'binary', connectTimeout: 5000 },
    })
    try {
      return await work(async (text, values = []) => {
        const [rows] = await connection.query(text, [...values])
        return rows as Record<string, unknown>[]
      })
    } finally {
      connection.destroy()
    }
  }

  async databases(query: Query): Promise<string[]> {
    const rows = await query('SELECT CAST(schema_name AS CHAR) AS name FROM information_schema.schemata')
    return rows.map((row) => String(row.name)).filter((name) => name === this.name || new RegExp(`^${this.name}_\\d\\d$`).test(name))
  }

  /** What each process has printed last. */
  logs(bytes = 3000): string {
    const tails = [
      ...this.#nodes.map((node, i) => [`node ${i + 1}`, node.log()]),
      ...this.#consumers.map((consumer, i) => [`consumer ${i + 1}`, consumer.log()]),
      ['broker', this.rabbit.log()],
      ['database', this.database.log()],
    ]
    return tails.map(([name, text]) => `--- ${name}\n${text.slice(-bytes)}`).join('\n')
  }

  /** All that the consumers have printed, or the nodes. */
  printed(station: 'node' | 'consumer'): string {
    return (station === 'node' ? this.#nodes : this.#consumers).map((server) => server.log()).join('')
  }

  explain(error: unknown, more = ''): Error {
    return new Error(`${(error as Error).message}\n${more}\n${this.logs()}`, { cause: error })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#nodes, ...this.#consumers].map((server) => server.kill9()))
    await Promise.all([this.rabbit.end(), this.database[Symbol.asyncDispose](), this.proxy?.[Symbol.asyncDispose]()])
  }
}

export type Query = (text: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>
