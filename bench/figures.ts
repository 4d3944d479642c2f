// What cannot be said in commands per second: memory and log bytes per order, pauses with millions of orders live, replay after a
// restart, and what compaction does to those who are being served meanwhile.

import { setTimeout as delay } from 'node:timers/promises'
import { atLeast, atMost, judge, median } from './goal.ts'
import type { Goal, Verdict } from './goal.ts'
import { directoryBytes, residentBytes } from './process.ts'
import { benchmark } from './redis-benchmark.ts'
import type { Measured } from './redis-benchmark.ts'
import { ask, redis, stockd } from './rivals.ts'
import type { Rival, RivalOptions } from './rivals.ts'

export interface Figure {
  readonly what: string
  readonly unit: string
  /** Null where the rival has no such figure in this run. */
  readonly redis: number | null
  readonly stockd: number
  readonly goals: readonly Goal[]
  readonly values: ReadonlyMap<string, number>
  readonly verdict: Verdict | null
}

export interface FigureOptions {
  /** Orders for memory, log bytes and replay; keys for the replay of SET. */
  readonly orders: number
  /** Orders live while pauses are measured. */
  readonly manyOrders: number
  readonly rounds: number
  readonly seconds: number
  readonly only: readonly string[]
  readonly redisTwice: boolean
  onResult(figure: Figure): void
}

type Start = (options: RivalOptions) => Promise<Rival>

const ORDERS = 2_000_000_000
const KEYS = 100_000_000
const RATIO = 'ratio'
const LOAD_MS = 300_000

export async function measureFigures(options: FigureOptions): Promise<Figure[]> {
  const figures: Figure[] = []
  const add = (figure: Omit<Figure, 'verdict'>): void => {
    const judged = { ...figure, verdict: judge(figure.goals, figure.values) }
    figures.push(judged)
    options.onResult(judged)
  }
  const wants = (name: string): boolean => options.only.length === 0 || options.only.some((part) => name.includes(part))
  const ours = options.redisTwice ? redis : stockd
  if (wants('orders')) await measureOrders(ours, options, add)
  if (wants('replay SET')) await measureReplayOfKeys(ours, options, add)
  if (wants('compaction')) await measureCompaction(ours, options, add)
  return figures
}

type Add = (figure: Omit<Figure, 'verdict'>) => void

interface OrderFigures {
  readonly memoryPerOrder: number
  readonly logPerOrder: number
  readonly replayedPerSecond: number
}

async function measureOrders(ours: Start, options: FigureOptions, add: Add): Promise<void> {
  const theirs = await ordersOf(redis, options)
  const mine = await ordersOf(ours, options)
  const compare = (what: string, unit: string, of: keyof OrderFigures, goal: Goal): void => {
    add({ what, unit, redis: theirs[of], stockd: mine[of], goals: [goal], values: new Map([[RATIO, mine[of] / theirs[of]]]) })
  }
  const millions = `${options.orders / 1e6} M orders`
  compare(`memory per held order (${millions})`, 'bytes', 'memoryPerOrder', atMost(RATIO, 0.45, 0.35))
  compare(`log per order (${millions})`, 'bytes', 'logPerOrder', atMost(RATIO, 0.5, 0.25))
  compare(`replay of orders (${millions})`, 'orders/s', 'replayedPerSecond', atLeast(RATIO, 8, 13))

  const pauses = await pausesOf(ours, options)
  const live = `${options.manyOrders / 1e6} M orders live, batches of 64 reservations`
  const values = new Map([
    ['p99.99', pauses.p9999Ms],
    ['max', pauses.maxMs],
  ])
  add({ what: `slowest batches, p99.99 (${live})`, unit: 'ms', redis: null, stockd: pauses.p9999Ms, goals: [atMost('p99.99', 10)], values })
  add({ what: `slowest batch of all (${live})`, unit: 'ms', redis: null, stockd: pauses.maxMs, goals: [atMost('max', null, 10)], values })
}

/** Memory and log per order, then a restart on that log. */
async function ordersOf(start: Start, options: FigureOptions): Promise<OrderFigures> {
  const emptyStartMs = await timeOf(async () => {
    const rival = await start({ durability: 'no' })
    await rival.server.kill9()
  })
  const rival = await start({ durability: 'no' })
  const { server } = rival
  try {
    const command = await rival.openSale({ units: 1_000_000_000, limit: 5 })
    const reserve = async (requests: number): Promise<void> => {
      await benchmark(server.port, { command, requests, pipeline: 64, keys: ORDERS })
    }
    // What code and buffers take is not the orders' memory.
    await reserve(options.orders / 20)
    const before = { orders: await liveOrders(rival), memory: residentBytes(server.pid), log: directoryBytes(server.dir) }
    await reserve(options.orders)
    const after = { orders: await liveOrders(rival), memory: residentBytes(server.pid), log: directoryBytes(server.dir) }
    const orders = after.orders - before.orders
    await server.stop()

    let restarted: Rival | undefined
    const restartMs = await timeOf(async () => {
      restarted = await start({ durability: 'no', dir: server.dir, startMs: LOAD_MS })
    })
    try {
      if (restarted === undefined || (await liveOrders(restarted)) !== after.orders) throw new Error('orders are missing after the restart')
    } finally {
      await restarted?.server.kill9()
    }
    return {
      memoryPerOrder: (after.memory - before.memory) / orders,
      logPerOrder: (after.log - before.log) / orders,
      replayedPerSecond: (after.orders / (restartMs - emptyStartMs)) * 1000,
    }
  } finally {
    await server.kill9()
  }
}

async function pausesOf(start: Start, options: FigureOptions): Promise<Measured> {
  const rival = await start({ durability: 'no' })
  try {
    const command = await rival.openSale({ units: 1_000_000_000, limit: 5 })
    await benchmark(rival.server.port, { command, requests: options.manyOrders, pipeline: 128, keys: ORDERS })
    return await benchmark(rival.server.port, { command, requests: 64 * 20_000, pipeline: 64, clients: 1, keys: ORDERS })
  } finally {
    await rival.server.kill9()
  }
}

async function liveOrders(rival: Rival): Promise<number> {
  if (rival.name === 'redis') return Number(await ask(rival.server, 'ZCARD', 'holds'))
  const info = await ask(rival.server, 'STOCK.INFO', 'sku:bench')
  if (!Array.isArray(info)) throw new Error('STOCK.INFO is not an array')
  return Number(info[info.indexOf('orders_open') + 1])
}

async function measureReplayOfKeys(ours: Start, options: FigureOptions, add: Add): Promise<void> {
  const requests = options.orders * 2
  const perSecond = async (start: Start): Promise<number> => {
    const emptyStartMs = await timeOf(async () => {
      const rival = await start({ durability: 'no' })
      await rival.server.kill9()
    })
    const { server } = await start({ durability: 'no' })
    await benchmark(server.port, { test: 'set', requests, pipeline: 64, keys: KEYS })
    const keys = await ask(server, 'DBSIZE')
    await server.stop()
    let restarted: Rival | undefined
    const restartMs = await timeOf(async () => {
      restarted = await start({ durability: 'no', dir: server.dir, startMs: LOAD_MS })
    })
    try {
      if (restarted === undefined || (await ask(restarted.server, 'DBSIZE')) !== keys) throw new Error('keys are missing after the restart')
    } finally {
      await restarted?.server.kill9()
    }
    return (requests / (restartMs - emptyStartMs)) * 1000
  }
  const theirs = await perSecond(redis)
  const mine = await perSecond(ours)
  add({
    what: `replay of SET (${requests / 1e6} M)`,
    unit: 'commands/s',
    redis: theirs,
    stockd: mine,
    goals: [atLeast(RATIO, 2, 2.4)],
    values: new Map([[RATIO, mine / theirs]]),
  })
}

interface CompactionFigures {
  readonly throughput: number
  readonly p99: number
  readonly maxMs: number
}

/** SETs against a node that holds many orders, with and without a compaction running all the time; both may use every core. */
async function measureCompaction(ours: Start, options: FigureOptions, add: Add): Promise<void> {
  const theirs = await compactionOf(redis, options)
  const mine = await compactionOf(ours, options)
  const live = `${options.orders / 1e6} M orders live, SET P=16`
  add({
    what: `throughput while compacting / without (${live})`,
    unit: 'x',
    redis: theirs.throughput,
    stockd: mine.throughput,
    goals: [atLeast('throughput', 0.8)],
    values: new Map([['throughput', mine.throughput]]),
  })
  add({
    what: `p99 while compacting / without (${live})`,
    unit: 'x',
    redis: theirs.p99,
    stockd: mine.p99,
    goals: [atMost('p99', 2)],
    values: new Map([['p99', mine.p99]]),
  })
  add({ what: 'slowest command while compacting', unit: 'ms', redis: theirs.maxMs, stockd: mine.maxMs, goals: [], values: new Map() })
}

async function compactionOf(start: Start, options: FigureOptions): Promise<CompactionFigures> {
  const rival = await start({ durability: 'everysec', allCores: true })
  const { server } = rival
  try {
    const command = await rival.openSale({ units: 1_000_000_000, limit: 5 })
    await benchmark(server.port, { command, requests: options.orders, pipeline: 64, keys: ORDERS })
    const serve = (requests: number): Promise<Measured> => benchmark(server.port, { test: 'set', requests, pipeline: 16, keys: 100_000 })
    const requests = Math.ceil((await serve(100_000)).perSecond * Math.max(options.seconds, 0.5) * 2)
    const pairs: [without: Measured, meanwhile: Measured][] = []
    for (let round = 0; round < options.rounds; round++) {
      const without = await serve(requests)
      const done = new AbortController()
      const compactions = compactUntil(rival, done.signal)
      const meanwhile = await serve(requests)
      done.abort()
      await compactions
      pairs.push([without, meanwhile])
    }
    return {
      throughput: median(pairs.map(([without, meanwhile]) => meanwhile.perSecond / without.perSecond)),
      p99: median(pairs.map(([without, meanwhile]) => meanwhile.p99Ms / without.p99Ms)),
      maxMs: Math.max(...pairs.map(([, meanwhile]) => meanwhile.maxMs)),
    }
  } finally {
    await server.kill9()
  }
}

/** One compaction after another; the last one is waited for. */
async function compactUntil(rival: Rival, done: AbortSignal): Promise<void> {
  await using client = await rival.server.connect()
  do {
    await client.call('BGREWRITEAOF')
    do await delay(20)
    while (!/^aof_rewrite_in_progress:0\r$/m.test(String(await client.call('INFO', 'persistence'))))
  } while (!done.aborted)
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
