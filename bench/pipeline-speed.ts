// How many events a second each step takes, beside the bare client library doing the same, in turns:
//
//   publisher   a node that finds `orders` events in its log -> RabbitMQ has confirmed them
//               beside amqplib: 400 bytes each, persistent, confirmed, round robin into 16 quorum queues, 2,000 in flight
//   consumer    these events in the queues -> MariaDB has them
//               beside mysql2: the same tables, rows in batches of 500 in two connections, no reads, no rules (bare-inserts.ts)
//   whole way   the first RESERVE of a sale -> the last order is in MariaDB, with everything running

import { connect, type ConfirmChannel } from 'amqplib'
import { createPool } from 'mysql2/promise'
import { parseDsn } from '../src/orders/store/mysql/dsn.ts'
import { Layout } from '../src/orders/store/mysql/layout.ts'
import { batchesOf, CACHES, insertBare } from '../test/contract/mysql/bare-inserts.ts'
import { eventually } from '../test/support/eventually.ts'
import { startWay, type Way } from '../test/support/way.ts'
import { atLeast } from './goal.ts'
import type { Pair, PairedFigure } from './pipeline.ts'
import { cpuMicros } from './process.ts'
import { benchmark } from './redis-benchmark.ts'

const BODY = Buffer.alloc(400, 'x')
const PARTS = 16
const IN_FLIGHT = 2000
const WRITERS = 2
const BATCH = 500
const KEYS = 2_000_000_000
const LONG_MS = 600_000
/** No compaction and no audit mark in the middle of a measurement. */
const NODE_ARGS = ['--auto-aof-rewrite-percentage', '0', '--audit-mark-interval', '0', '--aof-segment-size', '64mb']
const NO_SINK = ['--amqp', '', '--orders-db', 'no']

export interface PipelineOptions {
  readonly layout: string
  readonly orders: number
  readonly rounds: number
  onResult(figure: PairedFigure): void
}

/** Events a second, and what the process that did it used for each. */
interface Reading {
  readonly perSecond: number
  readonly cpuMicros: number
}

export async function measurePipeline({ layout, orders, rounds, onResult }: PipelineOptions): Promise<void> {
  const [databases, tables] = layout.split('x').map(Number)
  await using way = await startWay({ ...{ databases, tables, consumers: 0, binlog: true }, nodeArgs: NODE_ARGS, databaseArgs: CACHES })
  const made = await way.orders('migrate')
  if (made.code !== 0) throw new Error(made.stderr)
  await open(way)
  const publishers: Pair[] = []
  const consumers: Pair[] = []
  const ways: Pair[] = []
  await using bareBroker = await BareBroker.at(way.amqp)
  for (let round = 0; round <= rounds; round++) {
    const theirs = await bareBroker.publish(orders)
    const published = await publish(way, bareBroker, orders)
    const inserted = await insert(way, `${round}b`, orders)
    const consumed = await consume(way)
    const whole = await sellThrough(way, orders)
    // The first round warms everything up.
    if (round === 0) continue
    publishers.push(pair(theirs, published))
    consumers.push(pair(inserted, consumed))
    ways.push(pair(inserted, whole))
  }
  const unit = 'events/s'
  onResult({ ...{ what: `publisher (${layout})`, unit, beside: 'bare amqplib', pairs: publishers }, goals: [atLeast('ratio', 0.6, 0.8)] })
  onResult({
    ...{ what: `consumer (${layout})`, unit, beside: 'bare mysql2', pairs: consumers },
    goals: [atLeast('ratio', 0.7, 0.9), ...(layout === '16x64' ? [atLeast('stockd', 4000, 6000)] : [])],
  })
  onResult({ ...{ what: `whole way (${layout})`, unit: 'orders/s', beside: 'bare mysql2', pairs: ways }, goals: [] })
}

const pair = (rival: Reading, ours: Reading): Pair => ({
  ...{ rival: rival.perSecond, ours: ours.perSecond },
  ...{ rivalCpuMicros: rival.cpuMicros, oursCpuMicros: ours.cpuMicros },
})

const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0)

async function open(way: Way): Promise<void> {
  await using client = await way.node.connect()
  await client.call('STOCK.CREATE', 'sku:bench', 1_000_000_000, 'HOLD', 36_000, 'PRICE', 599_900, 'SELLER', 's7')
}

async function sell(way: Way, requests: number): Promise<void> {
  const command = ['STOCK.RESERVE', '{u__rand_int__}01JA', 'ITEMS', 'sku:bench', '1']
  await benchmark(way.nodePort, { command, requests, pipeline: 64, keys: KEYS })
}

/** From the first to the last of what `far` counts; what was there at the first look is not counted. */
async function timed(far: () => Promise<number>, end: number, cpuOf: () => number): Promise<Reading> {
  const start = await far()
  const first = await eventually('the first events', async () => ((await far()) > start ? far() : null), LONG_MS)
  const [began, cpu] = [performance.now(), cpuOf()]
  await eventually('the last event', async () => (await far()) >= end, LONG_MS)
  const count = end - first
  return { perSecond: (count / (performance.now() - began)) * 1000, cpuMicros: (cpuOf() - cpu) / count }
}

async function publish(way: Way, broker: BareBroker, orders: number): Promise<Reading> {
  const before = sum(await way.last())
  await way.stop('node')
  await way.start('node', NO_SINK)
  await sell(way, orders)
  const end = sum(await way.last())
  await way.stop('node')
  const cpuOf = (): number => cpuMicros(way.node.pid)
  await way.start('node')
  // The node tells how far it is only now and then; the queues know it exactly. They were empty.
  return timed(() => broker.depth(), end - before, cpuOf)
}

async function consume(way: Way): Promise<Reading> {
  const end = sum(await way.last())
  await way.start('consumer', ['--no-migrate'])
  const [consumer] = way.consumers
  const reading = await timed(
    async () => sum(await way.stored()),
    end,
    () => cpuMicros(consumer.pid),
  )
  await consumer.stop()
  return reading
}

async function sellThrough(way: Way, orders: number): Promise<Reading> {
  const before = sum(await way.last())
  await way.start('consumer', ['--no-migrate'])
  const [consumer] = way.consumers
  await eventually('the consumer to be there', () => /connected to the broker/.test(consumer.log()), 60_000)
  const [began, cpu] = [performance.now(), cpuMicros(consumer.pid) + cpuMicros(way.node.pid)]
  await sell(way, orders)
  await way.arrives(LONG_MS)
  const seconds = (performance.now() - began) / 1000
  const count = sum(await way.last()) - before
  const used = cpuMicros(consumer.pid) + cpuMicros(way.node.pid) - cpu
  await consumer.stop()
  return { perSecond: count / seconds, cpuMicros: used / count }
}

/** What amqplib can do with this broker. */
class BareBroker {
  readonly #channel: ConfirmChannel
  readonly #close: () => Promise<void>

  private constructor(channel: ConfirmChannel, close: () => Promise<void>) {
    this.#channel = channel
    this.#close = close
  }

  static async at(url: string): Promise<BareBroker> {
    const connection = await connect(url)
    const channel = await connection.createConfirmChannel()
    for (let part = 0; part < PARTS; part++) {
      await channel.assertQueue(`bare.${part}`, { durable: true, arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' } })
    }
    return new BareBroker(channel, () => connection.close())
  }

  /** Of the node's queues: events that nobody has consumed. */
  async depth(): Promise<number> {
    let depth = 0
    for (let part = 0; part < PARTS; part++) {
      depth += (await this.#channel.checkQueue(`stock.orders.${String(part).padStart(2, '0')}`)).messageCount
    }
    return depth
  }

  async publish(count: number): Promise<Reading> {
    const channel = this.#channel
    const [began, cpu] = [performance.now(), process.cpuUsage()]
    await new Promise<void>((resolve, reject) => {
      let sent = 0
      let acked = 0
      const more = (): void => {
        for (; sent < count && sent - acked < IN_FLIGHT; sent++) {
          const isRoom = channel.publish('', `bare.${sent % PARTS}`, BODY, { persistent: true }, (error: unknown) => {
            if (error !== null && error !== undefined) return reject(error)
            if (++acked === count) return resolve()
            if (sent - acked === IN_FLIGHT - 1) more()
          })
          if (!isRoom) {
            sent++
            channel.once('drain', more)
            return
          }
        }
      }
      more()
    })
    const seconds = (performance.now() - began) / 1000
    const { user, system } = process.cpuUsage(cpu)
    for (let part = 0; part < PARTS; part++) await channel.purgeQueue(`bare.${part}`)
    return { perSecond: count / seconds, cpuMicros: (user + system) / count }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}

async function insert(way: Way, round: string, orders: number): Promise<Reading> {
  const url = way.database.url(way.name)
  const layout = new Layout(way.size, [parseDsn(url)])
  const pool = createPool({ uri: way.database.url('mysql'), connectionLimit: WRITERS, charset: 'utf8mb4', timezone: 'Z' })
  const parts = [...Map.groupBy(batchesOf(round, orders, BATCH), ({ part }) => part).values()]
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      const connection = await pool.getConnection()
      for (let ofPart = parts.shift(); ofPart !== undefined; ofPart = parts.shift()) {
        for (const batch of ofPart) await insertBare(connection, layout, batch)
      }
      connection.release()
    }),
  )
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await pool.end()
  return { perSecond: orders / seconds, cpuMicros: (user + system) / orders }
}
