// The two servers that are compared, started alike: same durability, same core, each on a directory of its own.

import { readFileSync } from 'node:fs'
import { startNode, startRedis } from '../test/support/server.ts'
import type { Server } from '../test/support/server.ts'
import { ErrorReply } from '../test/support/raw-client.ts'
import type { Argument, Value } from '../test/support/raw-client.ts'
import { SERVER_CORE } from './redis-benchmark.ts'

/** `none`: no log. `no`, `everysec`, `always`: a log with that appendfsync. */
export type Durability = 'none' | 'no' | 'everysec' | 'always'

/** What the sale looks like to each: how it is prepared, and the command of one attempt. */
export interface Sale {
  readonly units: number
  /** Units one buyer may hold. */
  readonly limit: number
}

export interface Rival {
  readonly name: 'redis' | 'stockd'
  readonly server: Server
  /** Forgets everything and opens a sale. Answers the command of one attempt, for redis-benchmark. */
  openSale(sale: Sale): Promise<readonly string[]>
}

const SKU = 'sku:bench'
const HOLD_SECONDS = 100_000 // nothing expires while a bench runs

const policy = (durability: Durability): string[] =>
  durability === 'none' ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', durability]

export interface RivalOptions {
  readonly durability: Durability
  /** Free to use every core: for what works beside the main thread. */
  readonly allCores?: boolean
  readonly dir?: string
  readonly startMs?: number
}

const place = (options: RivalOptions) => ({
  wrap: options.allCores === true ? [] : ['taskset', '-c', SERVER_CORE],
  ...(options.dir === undefined ? {} : { dir: options.dir }),
  ...(options.startMs === undefined ? {} : { startMs: options.startMs }),
})

// Neither compacts its log by itself, in the middle of somebody's measurement.
const NO_REWRITE = ['--auto-aof-rewrite-percentage', '0']

export async function redis(options: RivalOptions): Promise<Rival> {
  const server = await startRedis({ args: [...policy(options.durability), ...NO_REWRITE], ...place(options) })
  return {
    name: 'redis',
    server,
    async openSale({ units, limit }) {
      await ask(server, 'FLUSHALL')
      await ask(server, 'SET', `${SKU}:available`, units)
      const sha = await ask(server, 'SCRIPT', 'LOAD', readFileSync(new URL('reserve.lua', import.meta.url)))
      const keys = [`${SKU}:available`, `${SKU}:buyers`, 'o:{u__rand_int__}o', 'holds', 'events']
      return ['EVALSHA', String(sha), String(keys.length), ...keys, SKU, 'u__rand_int__', '1', String(limit), String(HOLD_SECONDS * 1000)]
    },
  }
}

// Both write the event of an order, one into its log, the other into a stream; neither carries it on. What that costs, bench/pipeline.ts measures.
const NO_CARRIAGE = ['--orders-db', 'no']

export async function stockd(options: RivalOptions): Promise<Rival> {
  const args = [...policy(options.durability), ...NO_REWRITE, ...NO_CARRIAGE, '--allow-stock-flush', 'yes']
  const server = await startNode({ args, ...place(options) })
  return {
    name: 'stockd',
    server,
    async openSale({ units, limit }) {
      await ask(server, 'FLUSHALL')
      await ask(server, 'STOCK.CREATE', SKU, units, 'HOLD', HOLD_SECONDS, 'LIMIT', limit)
      return ['STOCK.RESERVE', '{u__rand_int__}o', 'ITEMS', SKU, '1']
    },
  }
}

export async function ask(server: Server, ...command: readonly Argument[]): Promise<Value> {
  await using client = await server.connect()
  const answer = await client.call(...command)
  if (answer instanceof ErrorReply) throw new Error(`${String(command[0])}: ${answer.text}`)
  return answer
}
