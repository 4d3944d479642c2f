// Commands per second and CPU per command, stockd beside redis-server, in pairs.
//
// These machines are shared and noisy, so no reading counts alone: both servers stay up, take turns within a round, and the ratio of
// each round is one sample; the median of the samples is the figure. CPU per command moves less than ops/s and is taken from the kernel.

import { atLeast, atMost, judge, median } from './goal.ts'
import type { Goal, Verdict } from './goal.ts'
import { cpuMicros } from './process.ts'
import { benchmark } from './redis-benchmark.ts'
import type { Load } from './redis-benchmark.ts'
import { ask, redis, stockd } from './rivals.ts'
import type { Durability, Rival } from './rivals.ts'

/** On one collection: its test in redis-benchmark has this name. Lists get longer, the others have KEYS elements after a while. */
type Collected = 'hset' | 'hget' | 'lpush' | 'lrange_100' | 'sadd' | 'zadd'

interface Row {
  readonly load: string
  readonly pipeline: number
  readonly kind: 'ping' | 'set' | 'get' | 'incr' | Collected | 'reserve' | 'refuse'
  readonly goals: readonly Goal[]
}

interface Group {
  readonly durability: Durability
  readonly rows: readonly Row[]
}

const OPS = 'ops'
const CPU = 'CPU'

const PLAIN = (['ping', 'get', 'set', 'incr'] as const).map((kind): Row => ({
  load: kind.toUpperCase(),
  kind,
  pipeline: 1,
  goals: [atMost(CPU, 1.2, 1.05), atLeast(OPS, 0.9)],
}))
const PIPELINED = ([16, 128] as const).flatMap((pipeline) =>
  (['get', 'set', 'incr'] as const).map((kind): Row => ({
    load: kind.toUpperCase(),
    kind,
    pipeline,
    goals: [pipeline === 16 ? atLeast(OPS, 1, 1.25) : atLeast(OPS, 1.3, 1.8)],
  })),
)
const COLLECTIONS = ([1, 16] as const).flatMap((pipeline) =>
  (['hset', 'hget', 'lpush', 'lrange_100', 'sadd', 'zadd'] as const).map((kind): Row => ({
    load: kind.toUpperCase(),
    kind,
    pipeline,
    goals: pipeline === 16 ? [atLeast(OPS, 1)] : [atLeast(OPS, 0.8), atMost(CPU, 1.3)],
  })),
)

/** With a log, both sides have it, and neither waits for the disk unless the row says `always`. */
const GROUPS: readonly Group[] = [
  { durability: 'none', rows: [...PLAIN, ...PIPELINED, ...COLLECTIONS] },
  {
    durability: 'no',
    rows: [
      { load: 'reservation', kind: 'reserve', pipeline: 1, goals: [atLeast(OPS, 1.8, 2.3)] },
      { load: 'reservation', kind: 'reserve', pipeline: 16, goals: [atLeast(OPS, 5, 7)] },
      { load: 'reservation', kind: 'reserve', pipeline: 128, goals: [atLeast(OPS, 8, 11)] },
      { load: 'sold-out refusal', kind: 'refuse', pipeline: 1, goals: [atLeast(OPS, 1.5, 2)] },
      { load: 'sold-out refusal', kind: 'refuse', pipeline: 16, goals: [atLeast(OPS, 4, 8)] },
      { load: 'sold-out refusal', kind: 'refuse', pipeline: 128, goals: [atLeast(OPS, 8, 15)] },
      // Not in the targets: what the log costs an ordinary write.
      { load: 'SET', kind: 'set', pipeline: 1, goals: [] },
      { load: 'SET', kind: 'set', pipeline: 16, goals: [] },
      { load: 'SET', kind: 'set', pipeline: 128, goals: [] },
    ],
  },
  {
    durability: 'always',
    rows: [
      { load: 'SET', kind: 'set', pipeline: 1, goals: [atLeast(OPS, 0.85, 1)] },
      { load: 'SET', kind: 'set', pipeline: 16, goals: [atLeast(OPS, 1.3, 1.7)] },
      { load: 'reservation', kind: 'reserve', pipeline: 1, goals: [atLeast(OPS, 2, 2.4)] },
      { load: 'reservation', kind: 'reserve', pipeline: 16, goals: [atLeast(OPS, 5, 8)] },
    ],
  },
]

const KEYS = 100_000
const ORDERS = 2_000_000_000 // the largest range redis-benchmark draws from: nearly every order is a new one

export interface Reading {
  readonly perSecond: number
  readonly cpuMicrosPerOp: number
  readonly p99Ms: number
}

export interface SpeedResult {
  readonly load: string
  readonly durability: Durability
  readonly pipeline: number
  readonly goals: readonly Goal[]
  /** Medians over the rounds. */
  readonly redis: Reading
  readonly stockd: Reading
  readonly opsRatio: number
  readonly opsRatioRange: readonly [lowest: number, highest: number]
  readonly cpuRatio: number
  readonly verdict: Verdict | null
}

export interface SpeedOptions {
  readonly rounds: number
  readonly seconds: number
  /** Only rows whose `load durability P` contains one of these. */
  readonly only: readonly string[]
  /** For trying the harness itself: redis-server on both sides. */
  readonly redisTwice: boolean
  onResult(result: SpeedResult): void
}

export async function measureSpeed(options: SpeedOptions): Promise<SpeedResult[]> {
  const results: SpeedResult[] = []
  for (const { durability, rows } of GROUPS) {
    const wanted = rows.filter((row) => {
      const name = `${row.load} ${durability} P=${row.pipeline}`
      return options.only.length === 0 || options.only.some((part) => name.includes(part))
    })
    if (wanted.length === 0) continue
    const theirs = await redis({ durability })
    const ours = await (options.redisTwice ? redis : stockd)({ durability })
    try {
      for (const row of wanted) {
        const result = await measureRow(row, durability, theirs, ours, options)
        results.push(result)
        options.onResult(result)
      }
    } finally {
      await theirs.server.kill9()
      await ours.server.kill9()
    }
  }
  return results
}

async function measureRow(row: Row, durability: Durability, theirs: Rival, ours: Rival, options: SpeedOptions): Promise<SpeedResult> {
  // The first run warms both up and tells how many requests last the wanted time.
  const theirRequests = await calibrate(theirs, row, options.seconds)
  const ourRequests = await calibrate(ours, row, options.seconds)
  const pairs: [redis: Reading, stockd: Reading][] = []
  for (let round = 0; round < options.rounds; round++) {
    // Who goes first changes, so that a drift of the machine does not favour one.
    if (round % 2 === 0) {
      const first = await measureOnce(theirs, row, theirRequests)
      pairs.push([first, await measureOnce(ours, row, ourRequests)])
    } else {
      const first = await measureOnce(ours, row, ourRequests)
      pairs.push([await measureOnce(theirs, row, theirRequests), first])
    }
  }
  const ratios = pairs.map(([a, b]) => b.perSecond / a.perSecond)
  const opsRatio = median(ratios)
  const cpuRatio = median(pairs.map(([a, b]) => b.cpuMicrosPerOp / a.cpuMicrosPerOp))
  return {
    load: row.load,
    durability,
    pipeline: row.pipeline,
    goals: row.goals,
    redis: middle(pairs.map(([a]) => a)),
    stockd: middle(pairs.map(([, b]) => b)),
    opsRatio,
    opsRatioRange: [Math.min(...ratios), Math.max(...ratios)],
    cpuRatio,
    verdict: judge(
      row.goals,
      new Map([
        [OPS, opsRatio],
        [CPU, cpuRatio],
      ]),
    ),
  }
}

const middle = (readings: readonly Reading[]): Reading => ({
  perSecond: median(readings.map((reading) => reading.perSecond)),
  cpuMicrosPerOp: median(readings.map((reading) => reading.cpuMicrosPerOp)),
  p99Ms: median(readings.map((reading) => reading.p99Ms)),
})

async function calibrate(rival: Rival, row: Row, seconds: number): Promise<number> {
  const first = await measureOnce(rival, row, Math.max(5000, 100 * row.pipeline))
  const warmed = await measureOnce(rival, row, Math.ceil(first.perSecond * seconds * 0.7))
  return Math.max(1000, Math.ceil(warmed.perSecond * seconds))
}

async function measureOnce(rival: Rival, row: Row, requests: number): Promise<Reading> {
  const load = await prepare(rival, row, requests)
  const before = cpuMicros(rival.server.pid)
  const measured = await benchmark(rival.server.port, load)
  const cpu = cpuMicros(rival.server.pid) - before
  return { perSecond: measured.perSecond, cpuMicrosPerOp: cpu / requests, p99Ms: measured.p99Ms }
}

async function prepare(rival: Rival, row: Row, requests: number): Promise<Load> {
  switch (row.kind) {
    case 'reserve':
      return { command: await rival.openSale({ units: 1_000_000_000, limit: 5 }), requests, pipeline: row.pipeline, keys: ORDERS }
    case 'refuse':
      return { command: await rival.openSale({ units: 0, limit: 5 }), requests, pipeline: row.pipeline, keys: ORDERS }
    case 'get':
      await fill(rival)
      return { test: 'get', requests, pipeline: row.pipeline, keys: KEYS }
    case 'hget':
      await fillHash(rival)
      return { command: ['HGET', 'myhash', ELEMENT], requests, pipeline: row.pipeline, keys: KEYS }
    case 'lpush':
      await ask(rival.server, 'DEL', 'mylist')
      return { test: 'lpush', requests, pipeline: row.pipeline, keys: KEYS }
    case 'lrange_100':
      // The test of this name measures the pushes before it, too.
      await ask(rival.server, 'DEL', 'mylist')
      await ask(rival.server, 'RPUSH', 'mylist', ...Array.from({ length: 1000 }, () => 'xxx'))
      return { command: ['LRANGE', 'mylist', '0', '99'], requests, pipeline: row.pipeline, keys: KEYS }
    case 'ping':
      return { test: 'ping_mbulk', requests, pipeline: row.pipeline, keys: KEYS }
    default:
      return { test: row.kind, requests, pipeline: row.pipeline, keys: KEYS }
  }
}

/** As redis-benchmark names the elements of its collections. */
const ELEMENT = 'element:__rand_int__'

async function fillHash(rival: Rival): Promise<void> {
  if (Number(await ask(rival.server, 'HLEN', 'myhash')) >= KEYS / 2) return
  await benchmark(rival.server.port, { test: 'hset', requests: KEYS * 2, pipeline: 128, keys: KEYS })
}

/** Most keys exist, so that a GET finds something. */
async function fill(rival: Rival): Promise<void> {
  if (Number(await ask(rival.server, 'DBSIZE')) >= KEYS / 2) return
  await benchmark(rival.server.port, { test: 'set', requests: KEYS * 2, pipeline: 128, keys: KEYS })
}
