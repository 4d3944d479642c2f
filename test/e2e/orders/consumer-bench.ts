// How fast the consumer brings orders from RabbitMQ into MySQL, beside a bare mysql2 loop that inserts the same rows into the same tables.
//
//   node test/e2e/orders/consumer-bench.ts [--layout 16x64] [--orders 16000] [--rounds 3] [--batch 500] [--connections 4] [--writers 2] [--bare-batch 500]
//
// Each round fills the queues first, with the consumer stopped, and then measures how long it takes to empty them; rounds alternate with
// bare ones, so that both meet the same machine. The server syncs every commit and its binary log.

import { parseArgs } from 'node:util'
import { createPool } from 'mysql2/promise'
import { AmqpBroker } from '../../../src/orders/broker/amqp-broker.ts'
import type { PublishChannel } from '../../../src/orders/broker/broker.ts'
import { DEFAULT_TOPOLOGY } from '../../../src/orders/broker/topology.ts'
import { SystemOrdersEnv } from '../../../src/orders/env.ts'
import type { EventBatch } from '../../../src/orders/store/store.ts'
import { parseDsn } from '../../../src/orders/store/mysql/dsn.ts'
import { Layout } from '../../../src/orders/store/mysql/layout.ts'
import { MysqlStore } from '../../../src/orders/store/mysql/mysql-store.ts'
import { batchesOf, CACHES, insertBare } from '../../contract/mysql/bare-inserts.ts'
import { eventually } from '../../support/eventually.ts'
import { startMariaDb } from '../../support/mariadb.ts'
import { startRabbitMq } from '../../support/rabbitmq.ts'
import { says, startConsumer } from './consumer-process.ts'

const { values } = parseArgs({
  options: {
    'layout': { type: 'string', default: '16x64' },
    'orders': { type: 'string', default: '16000' },
    'rounds': { type: 'string', default: '3' },
    'batch': { type: 'string', default: '500' },
    'connections': { type: 'string', default: '4' },
    'writers': { type: 'string', default: '2' },
    'bare-batch': { type: 'string', default: '500' },
  },
})
const [databases, tables] = values.layout.split('x').map(Number)
const count = Number(values.orders)
const PREFIX = 'bench'

await using server = await startMariaDb({ binlog: true, args: CACHES })
await using rabbit = await startRabbitMq()
const url = server.fresh('bench')
const layout = new Layout({ databases, tables }, [parseDsn(url)])
const store = new MysqlStore({ urls: [url], databases, tables, now: Date.now })
await store.migrate()
const pool = createPool({
  uri: url.replace(/\/[^/]*$/, '/mysql'),
  connectionLimit: Number(values.writers),
  charset: 'utf8mb4',
  timezone: 'Z',
})

/** All of them are in the queues. */
async function publish(batches: readonly EventBatch[]): Promise<void> {
  const broker = new AmqpBroker({
    ...{ urls: rabbit.url, topology: { ...DEFAULT_TOPOLOGY, prefix: PREFIX }, tls: null, connectionName: 'bench' },
    env: new SystemOrdersEnv(() => {}),
  })
  const { promise: ready, resolve } = Promise.withResolvers<PublishChannel>()
  let acked = 0
  let published = 0
  const nothing = (): void => {}
  broker.publisher(
    batches[0].stream,
    {
      onReady: resolve,
      onAcked: (tag, isMultiple) => (acked = isMultiple ? Math.max(acked, tag) : acked + 1),
      onRefused: (tag) => console.log(`refused: ${tag}`),
      ...{ onUnroutable: nothing, onDrained: nothing, onLost: (why: string) => console.log(why) },
    },
    nothing,
  )
  const channel = await ready
  for (const { stream, part, events } of batches) {
    await eventually('the broker to keep up', () => published - acked < 1500, 60_000)
    for (const { pseq, payload } of events) {
      channel.publish({ stream, part, pseq, oldest: 1, type: 'order.reserved', time: Date.now(), body: payload })
      published++
    }
  }
  await eventually('the broker to have all', () => acked >= published, 60_000)
  await broker.close()
}

/** Milliseconds from the first row to the last. */
async function consume(stream: string): Promise<number> {
  const args = ['--databases', String(databases), '--tables', String(tables), '--batch', values.batch, '--connections', values.connections]
  const consumer = startConsumer({ amqp: rabbit.url, store: url, args: [...args, '--amqp-prefix', PREFIX, '--no-migrate'] })
  await says(consumer, /connected to the broker/)
  const start = performance.now()
  const stored = async (): Promise<number> =>
    (await store.cursors()).filter((cursor) => cursor.stream === stream).reduce((sum, { pseq }) => sum + pseq, 0)
  await eventually('all to be stored', async () => (await stored()) >= count, 300_000)
  const ms = performance.now() - start
  await consumer.stop()
  return ms
}

async function insertAll(batches: readonly EventBatch[]): Promise<number> {
  const parts = [...Map.groupBy(batches, ({ part }) => part).values()]
  const start = performance.now()
  await Promise.all(
    Array.from({ length: Number(values.writers) }, async () => {
      const connection = await pool.getConnection()
      for (let ofPart = parts.shift(); ofPart !== undefined; ofPart = parts.shift()) {
        for (const batch of ofPart) await insertBare(connection, layout, batch)
      }
      connection.release()
    }),
  )
  return performance.now() - start
}

const rate = (ms: number): number => Math.round((count / ms) * 1000)
const ratios: number[] = []
for (let round = 0; round <= Number(values.rounds); round++) {
  const bareMs = await insertAll(batchesOf(`${round}b`, count, Number(values['bare-batch'])))
  const batches = batchesOf(`${round}s`, count, 500)
  await publish(batches)
  const consumerMs = await consume(batches[0].stream)
  const ratio = bareMs / consumerMs
  if (round > 0) ratios.push(ratio)
  console.log(
    `${values.layout} ${round === 0 ? 'warm-up' : `round ${round}`}: bare ${rate(bareMs)}/s, consumer ${rate(consumerMs)}/s, ${ratio.toFixed(2)}x`,
  )
}
console.log(`median: ${ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)].toFixed(2)}x of the bare inserts`)
await pool.end()
await store.close()
