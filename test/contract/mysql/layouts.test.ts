// Sixteen databases, one server or two: where rows are, what a query touches, and what migrations do to a database they find.

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Layout, shardOfName, shardOfOrder } from '../../../src/orders/store/mysql/layout.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/orders/store/mysql/mysql-store.ts'
import type { Page } from '../../../src/orders/store/store.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB, startMariaDb, type MariaDb } from '../../support/mariadb.ts'
import { batchOf, OrderStory } from '../../support/order-story.ts'

const ALL: Page = { limit: 1000, after: null, withHistory: true }

describe.skipIf(!HAS_MARIADB)('orders in several databases', () => {
  let server: MariaDb
  const opened: MysqlStore[] = []

  beforeAll(async () => {
    server = await startMariaDb({ args: ['--log-output=TABLE'] })
  })

  afterAll(async () => {
    for (const store of opened) await store.close()
    await server.kill9()
  })

  function open(url: string, options: Partial<MysqlStoreOptions> = {}): MysqlStore {
    const store = new MysqlStore({ urls: [url], now: () => Date.now(), ...options })
    opened.push(store)
    return store
  }

  async function fill(store: MysqlStore, count: number): Promise<OrderStory> {
    const told = new OrderStory({ seed: 7, buyers: 300 }).tell(count)
    for (const events of told.byPart().values()) await store.apply(batchOf(events))
    return told
  }

  /** The statements that `work` makes the server run. */
  async function logged(work: () => Promise<unknown>): Promise<string[]> {
    await server.query('TRUNCATE mysql.general_log')
    await server.query('SET GLOBAL general_log = 1')
    await work()
    await server.query('SET GLOBAL general_log = 0')
    const rows = await server.query(`SELECT CONVERT(argument USING utf8mb4) AS said FROM mysql.general_log WHERE command_type = 'Query'`)
    return rows.map((row) => String(row.said))
  }

  const tablesIn = (statements: readonly string[], kind: string): Set<string> =>
    new Set(statements.flatMap((statement) => [...statement.matchAll(new RegExp(`\`\\w+\`\\.\`${kind}_\\d\\d\``, 'g'))].map(String)))

  it('are where the formula says, in SQL too', async () => {
    const url = server.fresh('spread')
    const name = url.slice(url.lastIndexOf('/') + 1)
    const store = open(url, { databases: 4, tables: 3 })
    await store.migrate()
    const told = await fill(store, 800)
    let found = 0
    for (let database = 0; database < 4; database++) {
      for (let table = 0; table < 3; table++) {
        const at = `${name}_0${database}.orders_0${table}`
        const rows = await server.query(`SELECT id, CRC32(COALESCE(buyer, id)) & 1023 AS shard, shard AS kept FROM ${at}`)
        found += rows.length
        for (const row of rows) {
          const shard = Number(row.shard)
          expect([(shard >> 6) & 3, (shard & 63) % 3, shard]).toEqual([database, table, Number(row.kept)])
        }
      }
    }
    expect(found).toBe(told.orders.length)
    expect(await store.verify()).toEqual([])
  })

  it('of a buyer are asked for in one table, those of a seller in one of each database', async () => {
    const store = open(server.fresh('asked'), { databases: 4, tables: 4 })
    await store.migrate()
    const told = await fill(store, 400)
    const buyer = told.orders.map((order) => order.buyer).find((name) => name !== null) ?? ''
    let statements = await logged(() => store.ordersOfBuyer(buyer, { ...ALL, withHistory: false }))
    expect(tablesIn(statements, 'orders').size).toBe(1)
    expect(tablesIn(statements, 'order_items').size).toBe(1)
    expect(statements.filter((statement) => statement.includes('orders_')).length).toBe(1)
    const plan = await server.query(`EXPLAIN ${statements.find((statement) => statement.includes('orders_')) ?? ''}`)
    expect(plan).toContainEqual(expect.objectContaining({ key: 'buyer' }))

    const seller = told.orders.flatMap((order) => order.items.map((item) => item.sku.seller)).find((name) => name !== null) ?? ''
    statements = await logged(() => store.ordersOfSeller(seller, { ...ALL, withHistory: false }))
    expect(tablesIn(statements, 'seller_orders').size).toBe(4)

    statements = await logged(() => store.order(told.orders[0].id, false))
    expect(tablesIn(statements, 'orders').size).toBe(1)
  })

  it('of everybody come newest first, a page of each table by its index, whatever was archived or stored meanwhile', async () => {
    const store = open(server.fresh('newest'), { databases: 2, tables: 4 })
    await store.migrate()
    const told = new OrderStory({ seed: 11, buyers: 300 }).tell(900)
    const [early, late] = [told.events.slice(0, 700), told.events.slice(700)]
    for (const events of Map.groupBy(early, ({ part }) => part).values()) await store.apply(batchOf(events))
    const newest = (orders: readonly { createdAt: number; id: string }[]): string[] =>
      orders.toSorted((a, b) => b.createdAt - a.createdAt || Buffer.compare(Buffer.from(b.id), Buffer.from(a.id))).map(({ id }) => id)
    const all = await store.newestOrders(ALL)
    expect(all.orders.length).toBeGreaterThan(100)
    expect(all.next).toBeNull()
    const expected = newest(all.orders)
    expect(all.orders.map(({ id }) => id)).toEqual(expected)
    expect(all.orders.every(({ items }) => items.length > 0)).toBe(true)

    const paged: string[] = []
    let after: string | null = null
    do {
      const page = await store.newestOrders({ limit: 13, after, withHistory: true })
      paged.push(...page.orders.map(({ id }) => id))
      after = page.next
      if (paged.length === 26) await store.archive(Number.MAX_SAFE_INTEGER, 40)
      // What comes meanwhile is newer than all that was there.
      if (paged.length === 39) for (const events of Map.groupBy(late, ({ part }) => part).values()) await store.apply(batchOf(events))
    } while (after !== null)
    expect(paged).toEqual(expected)
    const confirmed = await store.newestOrders({ ...ALL, limit: 5, state: 'CONFIRMED' })
    const everything = (await store.newestOrders(ALL)).orders
    expect(everything.map(({ id }) => id).toSorted()).toEqual(told.orders.map(({ id }) => id).toSorted())
    expect(confirmed.orders.map(({ id }) => id)).toEqual(newest(everything.filter(({ state }) => state === 'CONFIRMED')).slice(0, 5))

    // Also in the middle of the list, each table by its index, and not sorted.
    const [mark] = [(await store.newestOrders({ limit: 50, after: null, withHistory: true })).next]
    const statements = await logged(() => store.newestOrders({ limit: 3, after: mark, withHistory: true }))
    const [places] = statements.filter((statement) => statement.includes('UNION ALL'))
    expect(tablesIn([places], 'orders').size + tablesIn([places], 'orders_history').size).toBe(8)
    const plan = await server.query(`EXPLAIN ${places}`)
    const tables = plan.filter(({ table }) => String(table).startsWith('orders_'))
    expect(tables).toHaveLength(8)
    for (const row of tables) expect(row).toMatchObject({ key: 'newest', Extra: expect.not.stringContaining('filesort') as string })
  })

  it('may be on several servers, and are refused when these are named in another order', async () => {
    await using second = await startMariaDb()
    const name = server.name('two')
    const urls = [server.url(name), second.url(name)]
    const store = new MysqlStore({ urls, databases: 4, tables: 2, now: () => Date.now() })
    await store.migrate()
    const told = await fill(store, 500)
    expect(await store.verify()).toEqual([])
    expect((await store.stats()).events).toBe(told.events.length)
    expect((await server.query(`SHOW DATABASES LIKE '${name}%'`)).length).toBe(2)
    expect((await second.query(`SHOW DATABASES LIKE '${name}%'`)).length).toBe(2)
    // One server down: the parts of the other go on.
    await second.kill9()
    await store.probe(0)
    await expect(store.probe(1)).rejects.toMatchObject({ kind: 'wait' })
    await second.start()
    await eventually('the second server', () => store.probe(1).then(() => true))
    await store.close()

    const swapped = new MysqlStore({ urls: urls.toReversed(), databases: 4, tables: 2, now: () => Date.now() })
    await expect(swapped.probe()).rejects.toThrow(/no tables yet|was made as database/)
    await swapped.close()
  })

  it('of another layout are refused in words, and nothing is made', async () => {
    const url = server.fresh('fixed')
    const name = url.slice(url.lastIndexOf('/') + 1)
    const store = open(url, { databases: 2, tables: 2 })
    await store.migrate()
    const other = open(url, { databases: 2, tables: 4 })
    const [events] = [...new OrderStory({ seed: 1 }).tell(10).byPart().values()]
    await expect(other.apply(batchOf(events))).rejects.toThrow(/was made as database \d of a layout of 2 x 2, not \d of 2 x 4/)
    await expect(other.migrate()).rejects.toThrow(/Say 2 x 2/)
    // Who reads with too few tables would be told that orders are not there.
    for (const reader of [other, open(url, { databases: 2, tables: 1 })]) {
      await expect(reader.order('x', true)).rejects.toThrow(/Say 2 x 2/)
      await expect(reader.orders(ALL)).rejects.toThrow(/Say 2 x 2/)
      await expect(reader.ordersOfBuyer('x', ALL)).rejects.toThrow(/Say 2 x 2/)
      await expect(reader.ordersOfSeller('x', ALL)).rejects.toThrow(/Say 2 x 2/)
      await expect(reader.stats()).rejects.toThrow(/Say 2 x 2/)
    }
    expect(await server.query(`SHOW TABLES FROM ${name}_00 LIKE 'orders_02'`)).toEqual([])
  })
})

describe.skipIf(!HAS_MARIADB)('migrations', () => {
  let server: MariaDb

  beforeAll(async () => {
    server = await startMariaDb()
  })

  afterAll(async () => {
    await server.kill9()
  })

  const open = (url: string, tables = 4): MysqlStore => new MysqlStore({ urls: [url], databases: 2, tables, now: () => Date.now() })

  async function digest(name: string): Promise<string> {
    const rows = await server.query(
      `SELECT table_schema, table_name, column_name, column_type FROM information_schema.columns WHERE table_schema LIKE '${name}%' ORDER BY 1, 2, 3`,
    )
    return createHash('sha1').update(JSON.stringify(rows)).digest('hex')
  }

  it('that several start at once make everything once', async () => {
    const url = server.fresh('together')
    const stores = Array.from({ length: 4 }, () => open(url))
    const steps = await Promise.all(stores.map((store) => store.migrate()))
    for (const ofStore of steps) expect(ofStore.every(({ state }) => state === 'applied')).toBe(true)
    await stores[0].probe()
    for (const store of stores) await store.close()
  })

  it('that were killed in the middle go on where they were', async () => {
    const [whole, torn] = [server.name('whole'), server.name('torn')]
    const reference = open(server.url(whole), 16)
    await reference.migrate()
    await reference.close()
    const url = server.url(torn)
    for (const after of [0, 3, 20, 60]) {
      const store = open(url, 16)
      const attempt = store.migrate().then(
        () => 'done',
        (error: unknown) => error,
      )
      await eventually(`${after} tables`, async () => {
        const [{ n }] = await server.query(`SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema LIKE '${torn}%'`)
        return Number(n) >= after
      })
      await server.kill9()
      await attempt
      await store.close()
      await server.start()
    }
    const last = open(url, 16)
    expect((await last.migrate()).every(({ state }) => state === 'applied')).toBe(true)
    await last.probe()
    await last.close()
    const same = async (name: string): Promise<string> =>
      (await server.query(`SELECT table_name AS t FROM information_schema.tables WHERE table_schema LIKE '${name}%' ORDER BY 1`))
        .map((row) => String(row.t))
        .join()
    expect(await same(torn)).toBe(await same(whole))
  })

  it('change nothing when there is nothing to change, and need no rights then', async () => {
    const url = server.fresh('quiet')
    const name = url.slice(url.lastIndexOf('/') + 1)
    const store = open(url)
    expect(new Set((await store.migrations()).map(({ database, state }) => `${database.slice(name.length)} ${state}`))).toEqual(
      new Set(['_00 pending', '_01 pending']),
    )
    await store.migrate()
    const before = await digest(name)
    await store.migrate()
    expect(await digest(name)).toBe(before)
    await store.close()
    await server.query(`CREATE USER ann IDENTIFIED BY 'secret'`)
    for (const database of ['_00', '_01']) await server.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON \`${name}${database}\`.* TO ann`)
    const plain = open(server.url(name, 'ann:secret'))
    expect((await plain.migrate()).every(({ state }) => state === 'applied')).toBe(true)
    await plain.probe()
    expect((await plain.examine()).filter(({ level }) => level === 'error')).toEqual([])
    await plain.close()
  })

  it('give tables of before the index for the newest orders, which are not read without it', async () => {
    const url = server.fresh('before')
    const name = url.slice(url.lastIndexOf('/') + 1)
    const store = open(url, 2)
    await store.migrate()
    const without = ['orders_00', 'orders_01', 'orders_history_00', 'orders_history_01']
    for (const table of without) await server.query(`ALTER TABLE ${name}_01.${table} DROP INDEX newest`)
    await server.query(`DELETE FROM ${name}_01.stockd_migration WHERE name = '2_newest'`)
    const again = open(url, 2)
    const page = { limit: 5, after: null, withHistory: false }
    await expect(again.newestOrders(page)).rejects.toThrow(/lacks 2_newest: run stockd-orders migrate/)
    expect((await again.migrate()).map(({ state }) => state)).toEqual(Array.from({ length: 4 }, () => 'applied'))
    expect(await again.newestOrders(page)).toEqual({ orders: [], next: null })
    const indexed = await server.query(
      `SELECT DISTINCT table_name AS t FROM information_schema.statistics WHERE table_schema = '${name}_01' AND index_name = 'newest' ORDER BY 1`,
    )
    expect(indexed.map((row) => String(row.t))).toEqual(without)
    for (const one of [store, again]) await one.close()
  })

  it('work for a user who may not make databases, when they are there', async () => {
    const name = server.name('given')
    await server.query(`CREATE USER bob IDENTIFIED BY 'secret'`)
    const store = open(server.url(name, 'bob:secret'))
    await expect(store.migrate()).rejects.toMatchObject({ code: '1044' })
    const [finding] = (await store.examine()).filter(({ says }) => says.includes('tables have to be made'))
    expect(finding.remedy).toContain(`CREATE DATABASE \`${name}_00\``)
    for (const database of ['_00', '_01']) {
      await server.query(`CREATE DATABASE ${name}${database}`)
      await server.query(`GRANT ALL ON \`${name}${database}\`.* TO bob`)
    }
    await store.migrate()
    await store.probe()
    await store.close()
  })

  it('of a newer program are refused in words', async () => {
    const url = server.fresh('newer')
    const name = url.slice(url.lastIndexOf('/') + 1)
    const store = open(url)
    await store.migrate()
    await server.query(`INSERT INTO ${name}_01.stockd_migration VALUES ('9_tomorrow', '2099-01-01')`)
    await expect(store.migrate()).rejects.toThrow(/changed by a newer stockd \(9_tomorrow/)
    const fresh = open(url)
    await expect(fresh.probe()).rejects.toThrow(/use that version/)
    for (const one of [store, fresh]) await one.close()
  })
})

describe('the formula', () => {
  it('spreads a million buyers evenly over all 1,024 tables', () => {
    const counts = new Uint32Array(1024)
    for (let n = 0; n < 1_000_000; n++) counts[shardOfName(Buffer.from(`user${n}`))]++
    expect(Math.min(...counts)).toBeGreaterThan(976 * 0.9)
    expect(Math.max(...counts)).toBeLessThan(976 * 1.1)
    const layout = new Layout({ databases: 16, tables: 64 }, [{ database: 'stock' }])
    const places = new Set(Array.from(counts, (_, shard) => `${layout.databaseOfPart(shard >> 6).name}.${layout.tableOfShard(shard)}`))
    expect(places.size).toBe(1024)
  })

  it('finds an order from its id alone', () => {
    const shard = (id: string): number => shardOfOrder(Buffer.from(id))
    expect(shard('{u42}01JA')).toBe(shardOfName(Buffer.from('u42')))
    expect(shard('a{u42}b{c}')).toBe(shardOfName(Buffer.from('u42')))
    for (const without of ['free', '{}x', '{}x{y}', '{open', 'shut}']) expect(shard(without)).toBe(shardOfName(Buffer.from(without)))
  })
})
