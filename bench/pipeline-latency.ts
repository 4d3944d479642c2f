// What the way of orders into the database does to a RESERVE: one client, one request at a time, a thousand a second.
//
//   pipeline    a node whose orders go to RabbitMQ and MariaDB, beside one whose orders go nowhere
//   outage      the same node while broker and database are dead (killed), beside while they live
//   drain       events stored a second after an outage, beside those that happen meanwhile, a thousand orders a second
//
// Node and client share one core, broker, consumer and database the other; for the drain all have both.

import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../test/support/eventually.ts'
import { startNode } from '../test/support/server.ts'
import type { RawClient } from '../test/support/raw-client.ts'
import { startWay, type Way } from '../test/support/way.ts'
import { atLeast, atMost } from './goal.ts'
import type { Pair, PairedFigure } from './pipeline.ts'
import { CLIENT_CORE, SERVER_CORE } from './redis-benchmark.ts'

const PER_SECOND = 1000
const LONG_MS = 600_000
/** Under everysec an event is published up to a second after it happened: so many are always on their way. */
const CALM_EVENTS = 2 * PER_SECOND
const NODE_ARGS = ['--auto-aof-rewrite-percentage', '0']

export interface LatencyOptions {
  readonly rounds: number
  /** Of one probe. */
  readonly seconds: number
  onResult(figure: PairedFigure): void
}

interface Latency {
  readonly p50: number
  readonly p99: number
}

export async function measureLatency({ rounds, seconds, onResult }: LatencyOptions): Promise<void> {
  await using way = await startWay({ consumers: 1, binlog: true, nodeArgs: NODE_ARGS, databaseArgs: ['--innodb-buffer-pool-size=512M'] })
  await using alone = await startNode({ args: ['--orders-db', 'no', '--restart-grace', '1', ...NODE_ARGS] })
  pin(process.pid, SERVER_CORE)
  pin(alone.pid, SERVER_CORE)
  settle(way)
  await using client = await way.node.connect()
  await using aloneClient = await alone.connect()
  for (const one of [client, aloneClient]) await one.call('STOCK.CREATE', 'sku:bench', 1_000_000_000, 'HOLD', 36_000)

  const besides: [without: Latency, running: Latency][] = []
  for (let round = 0; round <= rounds; round++) {
    // Who goes first changes.
    const first = round % 2 === 0 ? await probe(aloneClient, seconds) : await probe(client, seconds)
    const second = round % 2 === 0 ? await probe(client, seconds) : await probe(aloneClient, seconds)
    if (round > 0) besides.push(round % 2 === 0 ? [first, second] : [second, first])
  }
  tell('RESERVE with the pipeline running', 'orders go nowhere', besides, 1.3, onResult)

  const outages: [up: Latency, down: Latency][] = []
  for (let round = 0; round <= rounds; round++) {
    const up = await probe(client, seconds)
    await Promise.all([way.kill9('broker'), way.kill9('database')])
    const down = await probe(client, seconds)
    await Promise.all([way.start('broker'), way.start('database')])
    settle(way)
    await way.arrives(LONG_MS)
    if (round > 0) outages.push([up, down])
  }
  tell('RESERVE while broker and database are dead', 'they live', outages, null, onResult)

  for (const pid of processes(way)) pin(pid, `${CLIENT_CORE},${SERVER_CORE}`)
  const drains: Pair[] = []
  for (let round = 0; round < Math.max(2, Math.floor(rounds / 3)); round++) drains.push(await drain(way, client, seconds * 2))
  onResult({ what: 'draining after an outage', unit: 'events/s', beside: 'live', pairs: drains, goals: [atLeast('ratio', 3)] })
}

function tell(
  what: string,
  beside: string,
  pairs: readonly (readonly [Latency, Latency])[],
  require: number | null,
  onResult: (figure: PairedFigure) => void,
): void {
  for (const percentile of ['p50', 'p99'] as const) {
    const goals = percentile === 'p99' && require !== null ? [atMost('ratio', require)] : []
    const both = pairs.map(([rival, ours]) => ({ rival: rival[percentile], ours: ours[percentile] }))
    onResult({ what: `${what}, ${percentile}`, unit: 'us', beside, pairs: both, goals })
  }
}

/** Whatever was started again is where it belongs again. */
function settle(way: Way): void {
  const [node, ...others] = processes(way)
  pin(node, SERVER_CORE)
  for (const pid of others) pin(pid, CLIENT_CORE)
}

const processes = (way: Way): number[] => [way.node.pid, way.rabbit.pid, way.database.pid, ...way.consumers.map(({ pid }) => pid)]

/** With all of its threads. */
function pin(pid: number, core: string): void {
  execFileSync('taskset', ['-a', '-p', '-c', core, String(pid)], { stdio: 'ignore' })
}

let orders = 0

/** Microseconds. */
async function probe(client: RawClient, seconds: number): Promise<Latency> {
  const times: number[] = []
  await paced(seconds, PER_SECOND, async () => {
    const began = performance.now()
    const reply = await client.command('STOCK.RESERVE', `{u${orders}}${orders++}`, 'ITEMS', 'sku:bench', 1)
    times.push((performance.now() - began) * 1000)
    if (reply.toString('latin1', 4, 8) !== '+OK\r') throw new Error(reply.toString('latin1'))
  })
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]
  return { p50: at(0.5), p99: at(0.99) }
}

/** So many a second: each millisecond those that are due, one after the other. Between them it sleeps, since the node shares its core. */
async function paced(seconds: number, perSecond: number, work: () => Promise<void>, isOver: () => boolean = () => false): Promise<void> {
  const began = performance.now()
  for (let n = 0; n < seconds * perSecond && !isOver();) {
    const due = ((performance.now() - began) / 1000) * perSecond
    for (; n < due && n < seconds * perSecond; n++) await work()
    await delay(1)
  }
}

/** The rate at which a backlog goes, while a thousand orders a second come in as before. */
async function drain(way: Way, client: RawClient, seconds: number): Promise<Pair> {
  let isDrained = false
  let began = 0
  let counted = 0
  const sell = async (): Promise<void> => {
    await client.command('STOCK.RESERVE', `{u${orders}}${orders++}`, 'ITEMS', 'sku:bench', 1)
  }
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0)
  await way.arrives(LONG_MS)
  await way.kill9('database')
  await paced(seconds, PER_SECOND, sell)
  await way.start('database')
  const selling = paced(LONG_MS / 1000, PER_SECOND, sell, () => isDrained)
  const before = sum(await way.stored())
  await eventually('the first of the backlog', async () => {
    counted = sum(await way.stored())
    began = performance.now()
    return counted > before
  })
  const lastBefore = sum(await way.last())
  await eventually(
    'the end of the backlog',
    async () => {
      const [stored, last] = [sum(await way.stored()), sum(await way.last())]
      return last - stored < CALM_EVENTS
    },
    LONG_MS,
  )
  const [stored, last, elapsed] = [sum(await way.stored()), sum(await way.last()), (performance.now() - began) / 1000]
  isDrained = true
  await selling
  return { rival: (last - lastBefore) / elapsed, ours: (stored - counted) / elapsed }
}
