// A MariaDB that is killed, frozen, cut off or full of other connections: each event is stored once, whatever was answered.

import { afterEach, describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/orders/store/mysql/mysql-store.ts'
import { StoreError } from '../../../src/orders/store/store-error.ts'
import type { BatchOutcome, EventBatch } from '../../../src/orders/store/store.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB, startMariaDb } from '../../support/mariadb.ts'
import { batchOf, OrderStory, type StoryEvent } from '../../support/order-story.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

describe.skipIf(!HAS_MARIADB)('a MariaDB', () => {
  const opened: MysqlStore[] = []

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  function open(url: string, options: Partial<MysqlStoreOptions> = {}): MysqlStore {
    const store = new MysqlStore({ urls: [url], now: () => Date.now(), connectTimeoutMs: 2000, ...options })
    opened.push(store)
    return store
  }

  /** What a consumer does: goes on with the batch until the store has taken it. */
  async function insist(store: MysqlStore, batch: EventBatch): Promise<BatchOutcome> {
    return eventually(
      `part ${batch.part} to be stored`,
      async () => {
        try {
          return await store.apply(batch)
        } catch (error) {
          if (error instanceof StoreError && (error.kind === 'wait' || error.kind === 'again')) throw error
          throw new Error('not an outage', { cause: error })
        }
      },
      60_000,
    )
  }

  async function expectWhole(store: MysqlStore, told: OrderStory): Promise<void> {
    expect(await store.verify()).toEqual([])
    const { events, cursors } = await store.stats()
    expect(events).toBe(told.events.length)
    expect(cursors.reduce((sum, { pseq }) => sum + pseq, 0)).toBe(told.events.length)
  }

  const partsOf = (told: OrderStory): readonly (readonly StoryEvent[])[] => [...told.byPart().values()]

  it('whose answer to COMMIT is lost has stored the batch; the next attempt finds it there', async () => {
    await using server = await startMariaDb()
    await using proxy = await TcpProxy.to(server.port)
    const name = server.name('lost')
    await open(server.url(name)).migrate()
    const store = open(`mysql://root@127.0.0.1:${proxy.port}/${name}`)
    const told = new OrderStory({ seed: SEED }).tell(120)
    for (const events of partsOf(told)) {
      // The byte of a query before it: the session's READ COMMITTED is none.
      proxy.loseAnswerTo('\x03COMMIT')
      const lost: unknown = await store.apply(batchOf(events)).catch((error: unknown) => error)
      expect(lost).toMatchObject({ name: 'StoreError', kind: 'wait' })
      expect(await store.apply(batchOf(events))).toMatchObject({ stored: 0, seen: events.length, cursor: events.length, conflict: null })
    }
    expect(proxy.losses).toBe(partsOf(told).length)
    await expectWhole(store, told)
  })

  it('that stops answering in the middle of a batch is an outage after the time limit', async () => {
    await using server = await startMariaDb()
    const url = server.fresh('frozen')
    const told = new OrderStory({ seed: SEED }).tell(60)
    const store = open(url, { statementTimeoutMs: 500 })
    await open(url).migrate()
    await store.probe()
    await server.freeze()
    const [events] = partsOf(told)
    await expect(store.apply(batchOf(events))).rejects.toMatchObject({ kind: 'wait' })
    server.thaw()
    for (const ofPart of partsOf(told)) await insist(store, batchOf(ofPart))
    await expectWhole(store, told)
  })

  it(`killed again and again under load loses nothing and doubles nothing (seed ${SEED})`, async () => {
    await using server = await startMariaDb({ binlog: true })
    const store = open(server.fresh('killed'), { databases: 2, tables: 2 })
    await store.migrate()
    const random = new Random(SEED)
    const told = new OrderStory({ seed: SEED, markEvery: 100 }).tell(1500)
    let isDone = false
    let kills = 0
    const killer = (async () => {
      while (!isDone && kills < 6) {
        const before = server.log().length
        await server.kill9()
        kills++
        await server.start()
        expect(server.log().length).toBeGreaterThan(before)
        // Until it has taken something again.
        const { events } = await eventually('the store to answer', () => store.stats())
        await eventually('more events', async () => isDone || (await store.stats()).events > events, 30_000)
      }
    })()
    const work = partsOf(told).map(async (events) => {
      for (let at = 0; at < events.length;) {
        const end = at + random.between(1, 8)
        // Some of before again, as a broker would send them.
        const { cursor } = await insist(store, batchOf(events.slice(Math.max(0, at - random.below(5)), end)))
        at = Math.max(end, cursor)
      }
    })
    await Promise.all(work)
    isDone = true
    await killer
    expect(kills).toBeGreaterThan(0)
    await expectWhole(store, told)
  })

  it('with max_connections=10 serves three consumers that want more', async () => {
    await using server = await startMariaDb({ args: ['--max-connections=10'] })
    const url = server.fresh('crowded')
    const stores = [0, 1, 2].map(() => open(url, { connectionsMax: 8 }))
    await stores[0].migrate()
    const told = new OrderStory({ seed: SEED }).tell(600)
    const parts = partsOf(told)
    // Each consumer brings every part, as when they fight over it; each event is stored by one of them.
    const outcomes = await Promise.all(stores.map((store) => Promise.all(parts.map((events) => insist(store, batchOf(events))))))
    const stored = outcomes.flat().reduce((sum, outcome) => sum + outcome.stored, 0)
    expect(stored).toBe(told.events.length)
    for (const store of stores.slice(1)) await store.close()
    await expectWhole(stores[0], told)
  })

  it('in which an archive is interrupted loses no order, and the next run goes on', async () => {
    await using server = await startMariaDb()
    await using proxy = await TcpProxy.to(server.port)
    const name = server.name('archive')
    const store = open(server.url(name), { tables: 4 })
    await store.migrate()
    const told = new OrderStory({ seed: SEED }).tell(400)
    for (const events of partsOf(told)) await store.apply(batchOf(events))
    const before = await store.archivable(Date.now() * 2)
    expect(before).toBeGreaterThan(20)
    const torn = open(`mysql://root@127.0.0.1:${proxy.port}/${name}`, { tables: 4 })
    let moved = 0
    for (const statement of ['_history', 'DELETE FROM', '\x03COMMIT', 'orders_history']) {
      await torn.probe()
      proxy.loseAnswerTo(statement)
      await expect(torn.archive(Date.now() * 2, 5)).rejects.toMatchObject({ kind: 'wait' })
      const { history } = await store.stats()
      expect(history + (await store.archivable(Date.now() * 2))).toBe(before)
      expect(history).toBeGreaterThanOrEqual(moved)
      moved = history
      expect(await store.verify()).toEqual([])
    }
    while ((await store.archive(Date.now() * 2, 7)) > 0);
    expect(await store.archivable(Date.now() * 2)).toBe(0)
    expect((await store.stats()).history).toBe(before)
    expect(await store.verify()).toEqual([])
  })
})
