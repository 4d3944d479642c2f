// A writer that is killed again and again, while it writes and while it archives: what it said is stored, each event once, and nothing is
// half moved.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import type { OrderPage } from '../../src/orders/store/store.ts'
import { HAS_MYSQL, someMariaDb } from '../support/mariadb.ts'
import { tempDir } from '../support/temp-dir.ts'
import { openTaskStore, storyOf, type WriterTask } from './store-writer.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
const WRITER = fileURLToPath(new URL('store-writer.ts', import.meta.url))
const EVENTS = 3000
const KILLS = 6

it(`keeps what it said in SQLite, killed ${KILLS} times (seed ${SEED})`, async () => {
  await survive({ kind: 'sqlite', where: join(tempDir(), 'orders.db'), seed: SEED, events: EVENTS })
})

it.skipIf(!HAS_MYSQL)(`keeps what it said in MariaDB, killed ${KILLS} times (seed ${SEED})`, async () => {
  const server = await someMariaDb()
  await survive({ kind: 'mysql', where: server.fresh('killed'), seed: SEED, events: EVENTS })
  await server.dropAll()
})

async function survive(task: WriterTask): Promise<void> {
  const random = new Random(SEED)
  const said = new Map<number, number>()
  for (let life = 1; ; life++) {
    const isDone = await live(task, said, life > KILLS ? Infinity : random.between(1, 30))
    const store = openTaskStore(task)
    const cursors = new Map((await store.cursors()).map(({ part, pseq }) => [part, pseq]))
    for (const [part, cursor] of said) expect(cursors.get(part), `part ${part}`).toBeGreaterThanOrEqual(cursor)
    expect(await store.verify()).toEqual([])
    await store.close()
    if (isDone) break
  }
  const story = storyOf(task)
  const store = openTaskStore(task)
  expect(await store.stats()).toMatchObject({ events: story.events.length, deadEvents: 0 })
  let found = 0
  let after: string | null = null
  do {
    const page: OrderPage = await store.orders({ limit: 200, after, withHistory: true })
    found += page.orders.length
    ;({ next: after } = page)
  } while (after !== null)
  expect(found).toBe(story.orders.length)
  for (const { id, state, version } of story.orders) expect(await store.order(id, true)).toMatchObject({ id, state, version })
  await store.close()
}

/** @returns true if the writer came to its end, false if it was killed after so many lines */
async function live(task: WriterTask, said: Map<number, number>, lines: number): Promise<boolean> {
  const writer = spawn(process.execPath, [WRITER, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(writer, 'exit')
  let seen = 0
  let isDone = false
  for await (const line of createInterface({ input: writer.stdout })) {
    const [word, part, cursor] = line.split(' ')
    if (word === 'done') isDone = true
    else said.set(Number(part), Number(cursor))
    if (++seen === lines) writer.kill('SIGKILL')
  }
  await ended
  return isDone
}
