// How fast batches go into MySQL, beside a bare mysql2 loop that writes the same rows into the same tables: no reads, no cursor, no rules.
//
//   node test/contract/mysql/bench.ts [--layout 16x64] [--batch 500] [--orders 16000] [--rounds 3] [--writers 2] [--defaults]
//
// Rounds alternate, so that both meet the same machine. The server syncs every commit and its binary log. `--defaults` leaves its caches as
// MariaDB has them, which are too small for thousands of tables (doctor says so).

import { parseArgs } from 'node:util'
import { createPool } from 'mysql2/promise'
import type { EventBatch } from '../../../src/orders/store/store.ts'
import { parseDsn } from '../../../src/orders/store/mysql/dsn.ts'
import { Layout } from '../../../src/orders/store/mysql/layout.ts'
import { MysqlStore } from '../../../src/orders/store/mysql/mysql-store.ts'
import { startMariaDb } from '../../support/mariadb.ts'
import { batchesOf, CACHES, insertBare } from './bare-inserts.ts'

const { values } = parseArgs({
  options: {
    layout: { type: 'string', default: '16x64' },
    batch: { type: 'string', default: '500' },
    orders: { type: 'string', default: '16000' },
    rounds: { type: 'string', default: '3' },
    writers: { type: 'string', default: '2' },
    defaults: { type: 'boolean', default: false },
  },
})
const [databases, tables] = values.layout.split('x').map(Number)
const batchEvents = Number(values.batch)
const perRound = Number(values.orders)
const writers = Number(values.writers)

/** Runs `work` for each batch on so many writers; the batches of one part keep their order. */
async function drain(batches: readonly EventBatch[], work: (batch: EventBatch) => Promise<unknown>): Promise<number> {
  const parts = [...Map.groupBy(batches, ({ part }) => part).values()]
  const start = performance.now()
  await Promise.all(
    Array.from({ length: writers }, async () => {
      for (let ofPart = parts.shift(); ofPart !== undefined; ofPart = parts.shift()) for (const batch of ofPart) await work(batch)
    }),
  )
  return performance.now() - start
}

await using server = await startMariaDb({ binlog: true, args: values.defaults ? [] : CACHES })
const url = server.fresh('bench')
const store = new MysqlStore({ urls: [url], databases, tables, now: Date.now, connectionsMax: writers + 1 })
const layout = new Layout({ databases, tables }, [parseDsn(url)])
const started = performance.now()
await store.migrate()
console.log(`${values.layout}: tables made in ${((performance.now() - started) / 1000).toFixed(1)} s`)

const pool = createPool({ uri: url.replace(/\/[^/]*$/, '/mysql'), connectionLimit: writers, charset: 'utf8mb4', timezone: 'Z' })

const ratios: number[] = []
for (let round = 0; round <= Number(values.rounds); round++) {
  const bareMs = await drain(batchesOf(`${round}b`, perRound, batchEvents), async (batch) => {
    const connection = await pool.getConnection()
    await insertBare(connection, layout, batch)
    connection.release()
  })
  const batches = batchesOf(`${round}s`, perRound, batchEvents)
  const before = process.cpuUsage()
  const storeMs = await drain(batches, (batch) => store.apply(batch))
  const used = process.cpuUsage(before)
  const rate = (ms: number): number => Math.round((perRound / ms) * 1000)
  const ratio = bareMs / storeMs
  if (round > 0) ratios.push(ratio)
  const cpu = ((used.user + used.system) / perRound).toFixed(0)
  const what = round === 0 ? 'warm-up' : `round ${round}`
  console.log(`${what}: bare ${rate(bareMs)}/s, store ${rate(storeMs)}/s, ${ratio.toFixed(2)}x; ${cpu} us of this process an order`)
}
const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)]
console.log(`median: ${median.toFixed(2)}x of the bare inserts`)
await pool.end()
await store.close()
