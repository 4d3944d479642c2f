// The contract of src/orders/store/store.ts, for every store that there is: the embedded one, MariaDB in one database, and in 16 of 64 tables.

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { parseEventBody, type EventBody } from '../../src/orders/event-body.ts'
import { bytesOfName, nameOfBytes } from '../../src/orders/store/name.ts'
import { SqliteStore } from '../../src/orders/store/sqlite/sqlite-store.ts'
import { MysqlStore } from '../../src/orders/store/mysql/mysql-store.ts'
import { StoreError } from '../../src/orders/store/store-error.ts'
import type { BatchOutcome, EventBatch, Page, Store, StoredOrder } from '../../src/orders/store/store.ts'
import { crc32 } from '../../src/base/crc32.ts'
import { HAS_MYSQL, someMariaDb } from '../support/mariadb.ts'
import { batchOf, incoming, OrderStory, poisoned, type StoryEvent } from '../support/order-story.ts'
import { tempDir } from '../support/temp-dir.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
const NOW = 1_800_000_000_000
const ALL: Page = { limit: 1000, after: null, withHistory: true }

/** A store of this kind, with tables. */
interface Rig {
  readonly store: Store
  /** A second one on the same database. */
  again(): Store
  /** A statement behind the store's back. `{orders}` and the like are tables, `{of}` picks the rows of the order `?`. */
  sql(statement: string, order?: string): Promise<void>
}

interface Kind {
  readonly name: string
  readonly isThere: boolean
  /** Making tables takes long: all tests share one store, and those that look at all of it are left out. */
  readonly isShared: boolean
  make(now: () => number): Promise<Rig>
}

let count = 0
const unique = (): string => `t${(count++).toString(36)}_`

const sqlite: Kind = {
  name: 'SQLite',
  isThere: true,
  isShared: false,
  async make(now) {
    const path = join(tempDir(), 'orders.db')
    const open = (): Store => new SqliteStore({ path, mode: 'own', now })
    const store = open()
    await store.migrate()
    return {
      store,
      again: open,
      async sql(statement, order) {
        const db = new DatabaseSync(path)
        const text = statement
          .replaceAll('{of}', '(SELECT number FROM orders WHERE id = ?)')
          .replaceAll('{key}', 'order_number')
          .replaceAll(/\{(\w+)\}/g, '$1')
        if (order === undefined) db.exec(text)
        else db.prepare(text).run(...Array.from({ length: text.split('?').length - 1 }, () => order))
        db.close()
      },
    }
  },
}

function mysql(databases: number, tables: number): Kind {
  return {
    name: `MariaDB, ${databases} x ${tables}`,
    isThere: HAS_MYSQL,
    isShared: tables > 1,
    async make(now) {
      const server = await someMariaDb()
      const url = server.fresh(`store_${unique()}`)
      const open = (): Store => new MysqlStore({ urls: [url], databases, tables, now })
      const store = open()
      await store.migrate()
      return {
        store,
        again: open,
        async sql(statement, order) {
          const [, base] = /\/([^/]+)$/.exec(url) ?? []
          const found = await server.query('SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE ?', [
            `${base}%`,
          ])
          const text = statement
            .replaceAll('{of}', '(?)')
            .replaceAll('{key}', 'order_id')
            .replaceAll(/\{(order_events|sku_ledger|outbox_cursor|dead_events)\}/g, `\`${found[0].name}\`.$1`)
            .replaceAll(/\{(\w+)\}/g, `\`${found[0].name}\`.$1_00`)
          await server.query(
            text,
            Array.from({ length: text.split('?').length - 1 }, () => order),
          )
        },
      }
    },
  }
}

/** Gives the events to the store, part by part, in batches of random length. */
async function storeAll(store: Store, events: readonly StoryEvent[], random = new Random(1)): Promise<BatchOutcome[]> {
  const outcomes: BatchOutcome[] = []
  for (const ofPart of Map.groupBy(events, ({ part }) => part).values()) {
    for (let at = 0; at < ofPart.length;) {
      const end = at + random.between(1, 60)
      const outcome = await store.apply(batchOf(ofPart.slice(at, end)))
      expect(outcome).toMatchObject({ early: 0, conflict: null })
      outcomes.push(outcome)
      at = end
    }
  }
  return outcomes
}

/** The store has exactly what the story's own books say. */
async function expectToldBy(store: Store, story: OrderStory): Promise<void> {
  for (const order of story.orders) {
    const stored = await store.order(order.id, true)
    expect(stored, order.id).toMatchObject({
      id: order.id,
      buyer: order.buyer,
      state: order.state,
      version: order.version,
      deadline: order.deadline,
      ref: order.ref,
      createdAt: order.createdAt,
      updatedAt: order.updatedAt,
      isHistory: false,
    })
    const items = order.items.map(({ sku, ordered, reserved, sold, released, returned }) => ({
      sku: sku.name,
      quantity: ordered,
      reserved,
      sold,
      released,
      returned,
      price: sku.price === null ? null : String(sku.price),
      seller: sku.seller,
    }))
    expect(bySku(stored?.items ?? []), order.id).toEqual(bySku(items))
  }
  for (const sku of story.skus) {
    const { name, generation, total, available, reserved, sold } = sku
    const rows = (await store.ledger(name)).filter(({ stream }) => stream === story.stream)
    expect(rows).toEqual([{ stream: story.stream, sku: name, generation, total, available, reserved, sold }])
  }
}

const bySku = <T extends { readonly sku: string }>(items: readonly T[]): T[] => items.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))

async function everyPage(
  next: (page: Page) => Promise<{ orders: readonly StoredOrder[]; next: string | null }>,
  page: Page,
): Promise<StoredOrder[]> {
  const orders: StoredOrder[] = []
  for (let after: string | null = null; ;) {
    const found = await next({ ...page, after })
    orders.push(...found.orders)
    expect(found.orders.length).toBeLessThanOrEqual(page.limit)
    if (found.next === null) return orders
    ;({ next: after } = found)
  }
}

/** An event like another one, changed. */
function changed(event: StoryEvent, change: Partial<EventBody>): StoryEvent {
  const payload = Buffer.from(JSON.stringify({ ...event.body, ...change }))
  return { ...event, payload, body: parseEventBody(payload) }
}

/** What a consumer does when somebody else was faster. */
async function insistent(store: Store, batch: EventBatch): Promise<BatchOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store.apply(batch)
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'again' || attempt === 5) throw error
    }
  }
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing was wrong',
    (error: unknown) => error,
  )

describe.each([sqlite, mysql(1, 1), mysql(16, 64)].filter(({ isThere }) => isThere))('a store in $name', (kind) => {
  const opened: Store[] = []
  let now = NOW
  let shared: Promise<Rig> | null = null

  async function rig(): Promise<Rig> {
    if (kind.isShared && shared !== null) return shared
    const made = kind.make(() => now)
    if (kind.isShared) shared = made
    const { store, again, sql } = await made
    opened.push(store)
    return {
      store,
      sql,
      again() {
        const other = again()
        opened.push(other)
        return other
      },
    }
  }

  /** A story that shares no name with another one. */
  function story(options: { seed?: number; markEvery?: number } = {}): OrderStory {
    const prefix = unique()
    return new OrderStory({ seed: SEED, ...options, prefix, stream: `n1_${prefix}-1`, buyers: 15 })
  }

  afterAll(async () => {
    for (const store of opened) await store.close()
    if (kind !== sqlite) await (await someMariaDb()).dropAll()
  })

  it('makes its tables once, and is asked again in vain', async () => {
    const { store, again } = await rig()
    for (const steps of [await store.migrate(), await store.migrations(), await again().migrations()]) {
      expect(steps.length).toBeGreaterThan(0)
      expect(new Set(steps.map(({ state }) => state))).toEqual(new Set(['applied']))
    }
    await store.probe()
    await store.probe(3)
  })

  it(`tells what the shop's own books say (seed ${SEED})`, async () => {
    const { store } = await rig()
    const told = story().tell(400)
    await storeAll(store, told.events)
    await expectToldBy(store, told)
    const cursors = (await store.cursors()).filter(({ stream }) => stream === told.stream)
    for (const [part, events] of told.byPart()) {
      expect(cursors).toContainEqual({ stream: told.stream, part, pseq: events.length, first: 1, updatedAt: now })
    }
    const [order] = told.orders
    const events = told.events.filter(({ body }) => body.order === order.id)
    expect((await store.eventsOfOrder(order.id)).map(({ payload }) => payload)).toEqual(events.map(({ payload }) => payload))
  })

  it(`has the same rows however events are cut, repeated and disordered on the way (seed ${SEED})`, async () => {
    const { store } = await rig()
    const told = story({ markEvery: 40 }).tell(500)
    const random = new Random(SEED)
    for (const [, events] of told.byPart()) {
      for (let cursor = 0; cursor < events.length;) {
        const from = Math.max(0, cursor - random.below(20))
        const upTo = from + random.between(1, 50)
        const skipped = random.chance(0.3) ? random.below(upTo) : -1
        const batch = events.slice(from, upTo).filter((_, i) => from + i !== skipped)
        const twice = random.chance(0.2) ? batch.flatMap((event) => [event, event]) : batch
        if (twice.length === 0) continue
        const outcome = await store.apply(batchOf(twice))
        expect(outcome.conflict).toBeNull()
        expect(outcome.stored + outcome.seen + outcome.early).toBe(twice.length)
        const taken = new Set(batch.map(({ pseq }) => pseq))
        while (taken.has(cursor + 1)) cursor++
        expect(outcome.cursor).toBe(cursor)
      }
    }
    await expectToldBy(store, told)
  })

  it('begins with the oldest event that there is, and with no other', async () => {
    const { store } = await rig()
    const events = [...story().tell(300).byPart().values()].find((ofPart) => ofPart.length > 12) ?? []
    const [{ stream, part }] = events
    const from = (first: number, oldest: number): EventBatch => ({
      stream,
      part,
      events: events.slice(first - 1, first + 2).map((event) => incoming(event, oldest)),
    })
    expect(await store.apply(from(7, 5))).toMatchObject({ cursor: 0, stored: 0, early: 3 })
    expect((await store.cursors()).filter((cursor) => cursor.stream === stream)).toEqual([])
    expect(await store.apply(from(5, 5))).toMatchObject({ cursor: 7, stored: 3, early: 0, began: 5 })
    expect((await store.apply(from(9, 9))).began).toBeUndefined()
    expect(await store.apply(from(9, 9))).toMatchObject({ cursor: 7, stored: 0, early: 3 })
    expect(await store.apply(from(1, 1))).toMatchObject({ cursor: 7, stored: 0, seen: 3 })
    expect((await store.cursors()).filter((cursor) => cursor.stream === stream)).toMatchObject([{ part, pseq: 7, first: 5 }])
  })

  it('keeps what comes before a hole', async () => {
    const { store } = await rig()
    const events = [...story().tell(300).byPart().values()].find((ofPart) => ofPart.length > 8) ?? []
    const outcome = await store.apply(batchOf([...events.slice(0, 3), ...events.slice(4, 8)]))
    expect(outcome).toMatchObject({ cursor: 3, stored: 3, seen: 0, early: 4, conflict: null })
    expect(await store.apply(batchOf(events.slice(2, 8)))).toMatchObject({ cursor: 8, stored: 5, seen: 1, early: 0 })
  })

  it('changes nothing when two histories bear the same name', async () => {
    const { store } = await rig()
    const events = [...story().tell(300).byPart().values()].find((ofPart) => ofPart.length > 8) ?? []
    await store.apply(batchOf(events.slice(0, 4)))
    const other = changed(events[2], { id: `${events[2].stream}-999999` })
    const outcome = await store.apply(batchOf([other, ...events.slice(3, 8)]))
    expect(outcome).toMatchObject({ cursor: 4, stored: 0 })
    expect(outcome.conflict).toContain('two histories')
    expect(outcome.conflict).toContain(events[2].body.id)
    // A log that was put back from an older copy may go on with the same order, under the same numbers: confirmed there, released here.
    for (const { body, ...event } of events.slice(0, 4)) {
      const others: Partial<EventBody>[] = [{ time: body.time + 1 }]
      if (body.order !== null) others.push({ type: body.type === 'order.expired' ? 'order.extended' : 'order.expired' })
      for (const change of others) {
        const later = await store.apply(batchOf([changed({ ...event, body }, change)]))
        expect(later).toMatchObject({ cursor: 4, stored: 0, conflict: expect.stringContaining('two histories') })
      }
    }
    expect(await store.apply(batchOf(events.slice(2, 8)))).toMatchObject({ cursor: 8, conflict: null })
    // One batch may contradict itself, too.
    const more = events.slice(8, 9)
    if (more.length > 0) {
      const twice = batchOf([more[0], changed(more[0], { id: `${more[0].stream}-999998` })])
      expect(await store.apply(twice)).toMatchObject({ cursor: 8, stored: 0 })
    }
  })

  it(`counts dead events as passed, and has them as if they had never died once they are replayed, in any order (seed ${SEED})`, async () => {
    const { store } = await rig()
    const random = new Random(SEED)
    const told = story().tell(400)
    const dead: StoryEvent[] = []
    for (const events of told.byPart().values()) {
      const batch = events.map((event) => {
        if (!random.chance(0.15)) return incoming(event)
        dead.push(event)
        return poisoned(event)
      })
      expect(await store.apply({ ...events[0], events: batch })).toMatchObject({ cursor: events.length, stored: events.length })
    }
    expect(dead.length).toBeGreaterThan(5)
    const listed = await store.deadEvents({ state: 'dead', limit: 10_000 })
    expect(listed.filter(({ stream }) => stream === told.stream).length).toBe(dead.length)
    expect(await store.deadEvent(dead[0], dead[0].pseq)).toMatchObject({
      code: '1406',
      replays: 0,
      state: 'dead',
      firstSeen: now,
      note: null,
    })
    if (!kind.isShared) expect(await store.verify()).toEqual([])

    for (const event of dead.toSorted(() => random.float() - 0.5)) await store.replayDead(event, event.pseq)
    await expectToldBy(store, told)
    expect(await store.deadEvent(dead[0], dead[0].pseq)).toMatchObject({ replays: 1, state: 'replayed' })
    expect(await rejection(store.replayDead(dead[0], dead[0].pseq))).toMatchObject({ kind: 'poison' })
    if (!kind.isShared) expect(await store.verify()).toEqual([])
  })

  it('keeps an event dead that cannot be replayed, and one that an operator gives up', async () => {
    const { store } = await rig()
    const events = [...story().tell(300).byPart().values()].find((ofPart) => ofPart.length > 8) ?? []
    const [{ stream, part }] = events
    const broken = { ...poisoned(events[1], 'json', 'it is no JSON'), payload: Buffer.from('{"half":') }
    await store.apply({ stream, part, events: [incoming(events[0]), broken, poisoned(events[2]), incoming(events[3])] })
    expect(await rejection(store.replayDead({ stream, part }, 2))).toMatchObject({ kind: 'poison', code: 'json' })
    const after = await store.deadEvent({ stream, part }, 2)
    expect(after).toMatchObject({ state: 'dead', replays: 1, code: 'json' })
    expect(after?.payload.toString()).toBe('{"half":')
    await store.discardDead({ stream, part }, 2, 'a test, nobody ordered it')
    expect(await store.deadEvent({ stream, part }, 2)).toMatchObject({ state: 'discarded', note: 'a test, nobody ordered it' })
    expect((await store.deadEvents({ state: 'dead', limit: 1000 })).filter((one) => one.stream === stream).map(({ pseq }) => pseq)).toEqual(
      [3],
    )
    expect((await store.deadEvents({ state: 'all', limit: 1000 })).filter((one) => one.stream === stream).length).toBe(2)
    expect(await store.deadEvent({ stream, part }, 1)).toBeNull()
    expect(await rejection(store.discardDead({ stream, part }, 1, 'no'))).toMatchObject({ kind: 'poison' })
    if (!kind.isShared) expect(await store.verify()).toEqual([])
  })

  it('passes over a gap when an operator says so, never back, and fills it later', async () => {
    const { store } = await rig()
    const told = story().tell(400)
    const parts = [...told.byPart().values()]
    const gaps: EventBatch[] = []
    for (const events of parts) {
      const end = Math.min(events.length, 5)
      gaps.push(batchOf(events.slice(0, end)))
      await store.setCursor(events[0], end, 'the log of that time is gone')
      expect(await store.apply(batchOf(events))).toMatchObject({ cursor: events.length, seen: end, conflict: null })
      expect(await rejection(store.setCursor(events[0], 1, 'back'))).toBeInstanceOf(StoreError)
    }
    if (!kind.isShared) expect(await store.verify()).toEqual([])
    const missing = gaps.reduce((sum, { events }) => sum + events.length, 0)
    // What is above the cursor is left to come by itself.
    const ahead = { ...gaps[0], events: [{ ...gaps[0].events[0], pseq: 1_000_000 }] }
    expect(await store.reapply([...gaps, ahead])).toBe(missing)
    await expectToldBy(store, told)
    expect(await store.reapply(gaps)).toBe(0)
    await expectToldBy(store, told)
    if (!kind.isShared) expect(await store.verify()).toEqual([])
  })

  it.skipIf(kind.isShared)('finds what was changed behind its back, and mends orders from their events', async () => {
    const { store, sql } = await rig()
    const told = story().tell(400)
    await storeAll(store, told.events)
    expect(await store.verify()).toEqual([])
    const [first, second, third] = told.orders.filter(({ version, items }) => version > 1 && items.length > 0)
    await sql('UPDATE {order_items} SET sold = sold + 1, quantity = quantity + 1 WHERE {key} = {of}', first.id)
    await sql(`UPDATE {orders} SET state = 'RESERVED' WHERE id = ?`, second.id)
    await sql('DELETE FROM {orders} WHERE id = ?', third.id)
    const found = (await store.verify()).join('\n')
    expect(found).toContain(first.id)
    expect(found).toContain(second.id)
    expect(found).toMatch(/missing|no order/)
    const batches = [...told.byPart().values()].map((events) => batchOf(events))
    expect(await store.reapply(batches)).toBeGreaterThanOrEqual(3)
    await expectToldBy(store, told)
    expect(await store.verify()).toEqual([])

    await sql('UPDATE {sku_ledger} SET available = available + 1, total = total + 1, reserved = reserved + 1')
    expect((await store.verify()).length).toBeGreaterThan(0)
    await sql('UPDATE {sku_ledger} SET available = available - 1, total = total - 1, reserved = reserved - 1')
    expect(await store.verify()).toEqual([])
    await sql('DELETE FROM {order_events} WHERE pseq = 2')
    expect((await store.verify()).join('\n')).toContain('E10')
  })

  it.skipIf(kind.isShared)('archives final orders, each once, and counts the same before and after', async () => {
    const { store } = await rig()
    const told = story().tell(500)
    await storeAll(store, told.events)
    const before = told.orders.toSorted((a, b) => a.updatedAt - b.updatedAt)[Math.floor(told.orders.length / 2)].updatedAt
    const final = told.orders.filter(({ state, updatedAt }) => state !== 'RESERVED' && updatedAt < before)
    const expected = [...(await everyPage((page) => store.orders(page), { ...ALL, limit: 50 }))].map(({ id }) => id).toSorted()
    const events = await store.stats().then((stats) => stats.events)
    expect(await store.archivable(before)).toBe(final.length)
    let moved = 0
    for (let n = Infinity; n > 0; moved += n) n = await store.archive(before, 7)
    expect(moved).toBe(final.length)
    expect(await store.archive(before, 7)).toBe(0)
    expect(await store.archivable(before)).toBe(0)

    const live = await everyPage((page) => store.orders(page), { ...ALL, limit: 50, withHistory: false })
    const all = await everyPage((page) => store.orders(page), { ...ALL, limit: 50 })
    expect(all.map(({ id }) => id).toSorted()).toEqual(expected)
    expect(live.length).toBe(expected.length - final.length)
    expect(
      all
        .filter(({ isHistory }) => isHistory)
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(final.map(({ id }) => id).toSorted())
    expect(await store.stats()).toMatchObject({ history: final.length, events })
    expect(await store.verify()).toEqual([])
    const [one] = final
    expect(await store.order(one.id, false)).toBeNull()
    expect(await store.order(one.id, true)).toMatchObject({ id: one.id, isHistory: true, version: one.version })
    expect((await store.eventsOfOrder(one.id)).length).toBe(one.version)
    for (const { buyer } of final) {
      if (buyer === null) continue
      const mine = told.orders.filter((order) => order.buyer === buyer).map(({ id }) => id)
      expect((await store.ordersOfBuyer(buyer, ALL)).orders.map(({ id }) => id).toSorted()).toEqual(mine.toSorted())
    }

    // Orders that change come back.
    told.tell(1000)
    await storeAll(store, told.events)
    const changedOrders = final.filter((order) => order.updatedAt >= before)
    expect(changedOrders.length).toBeGreaterThan(0)
    for (const { id, version } of changedOrders) expect(await store.order(id, false)).toMatchObject({ id, version, isHistory: false })
    for (;;) if ((await store.reapply([...told.byPart().values()].map((ofPart) => batchOf(ofPart)))) === 0) break
    expect(await store.verify()).toEqual([])
    await expectToldBy(store, told)
  })

  it('lists the orders of a buyer newest first, each once while others are written', async () => {
    const { store } = await rig()
    const told = story().tell(500)
    const cut = told.events.length - 150
    await storeAll(store, told.events.slice(0, cut))
    const [buyer] = [...Map.groupBy(told.orders, (order) => order.buyer)]
      .filter(([name]) => name !== null)
      .toSorted((a, b) => b[1].length - a[1].length)[0]
    const name = buyer ?? ''
    const first = await store.ordersOfBuyer(name, { ...ALL, limit: 4 })
    const known = (await store.ordersOfBuyer(name, ALL)).orders.map(({ id }) => id)
    await storeAll(store, told.events)
    const rest = await everyPage(async (page) => store.ordersOfBuyer(name, { ...page, after: page.after ?? first.next }), {
      ...ALL,
      limit: 3,
    })
    const listed = [...first.orders, ...rest].map(({ id }) => id)
    expect(new Set(listed).size).toBe(listed.length)
    expect(listed).toEqual(known)

    const all = (await store.ordersOfBuyer(name, ALL)).orders
    const times = all.map(({ createdAt }) => createdAt)
    expect(times).toEqual(times.toSorted((a, b) => b - a))
    expect(all.map(({ id }) => id).toSorted()).toEqual(
      told.orders
        .filter((order) => order.buyer === name)
        .map(({ id }) => id)
        .toSorted(),
    )
    const confirmed = (await store.ordersOfBuyer(name, { ...ALL, state: 'CONFIRMED' })).orders
    expect(confirmed.map(({ id }) => id)).toEqual(all.filter(({ state }) => state === 'CONFIRMED').map(({ id }) => id))
    expect(await store.ordersOfBuyer(`${name}x`, ALL)).toEqual({ orders: [], next: null })
    expect(await rejection(store.ordersOfBuyer(name, { ...ALL, after: 'nonsense' }))).toBeInstanceOf(StoreError)
  })

  it('lists the orders of a seller, with his items', async () => {
    const { store } = await rig()
    const told = story().tell(400)
    await storeAll(store, told.events)
    const sellers = new Set(told.skus.flatMap(({ seller }) => (seller === null ? [] : [seller])))
    for (const seller of sellers) {
      const orders = await everyPage((page) => store.ordersOfSeller(seller, page), { ...ALL, limit: 17 })
      const mine = told.orders.filter(({ items }) => items.some(({ sku }) => sku.seller === seller))
      expect(orders.map(({ id }) => id).toSorted()).toEqual(mine.map(({ id }) => id).toSorted())
      expect(new Set(orders.flatMap(({ items }) => items.map((item) => item.seller)))).toEqual(new Set(mine.length === 0 ? [] : [seller]))
      const times = orders.map(({ createdAt }) => createdAt)
      expect(times).toEqual(times.toSorted((a, b) => b - a))
    }
  })

  it('lists every order once for reconciling', async () => {
    const { store } = await rig()
    const told = story().tell(300)
    await storeAll(store, told.events)
    const listed = (await everyPage((page) => store.orders(page), { ...ALL, limit: 13 })).map(({ id }) => id)
    expect(new Set(listed).size).toBe(listed.length)
    const ids = new Set(listed)
    for (const { id } of told.orders) expect(ids).toContain(id)
  })

  it('compares itself with the node when all parts have reached a mark', async () => {
    const { store } = await rig()
    const told = story().tell(200)
    told.mark()
    told.tell(told.events.length + 100)
    told.mark()
    const outcomes = await storeAll(store, told.events)
    const marks = outcomes.flatMap((outcome) => outcome.marks)
    expect(marks).toEqual([
      { stream: told.stream, mark: 1, differences: [] },
      { stream: told.stream, mark: 2, differences: [] },
    ])
  })

  it('finds at a mark what it does not have', async () => {
    const { store } = await rig()
    const told = story().tell(200)
    const lost = told.events.find(({ body }) => body.type === 'order.reserved')
    told.mark()
    const marks: BatchOutcome['marks'][number][] = []
    for (const events of told.byPart().values()) {
      const batch = events.map((event) => (event === lost ? poisoned(event) : incoming(event)))
      marks.push(...(await store.apply({ ...events[0], events: batch })).marks)
    }
    expect(marks.map(({ mark }) => mark)).toEqual([1])
    const skus = lost?.body.items.map(({ sku }) => sku) ?? []
    expect(marks[0].differences.length).toBe(skus.length)
    for (const sku of skus) expect(marks[0].differences.join('\n')).toContain(sku)
  })

  it('takes what was before from the node when it came later, and compares from the second mark on', async () => {
    const { store } = await rig()
    const told = story().tell(200)
    const oldest = new Map([...told.byPart()].map(([part, events]) => [part, events.length + 1]))
    const late = told.events.length
    told.tell(late + 50)
    told.mark()
    told.tell(told.events.length + 50)
    told.mark()
    const marks: BatchOutcome['marks'][number][] = []
    for (const [part, events] of Map.groupBy(told.events.slice(late), (event) => event.part)) {
      const batch = events.map((event) => incoming(event, oldest.get(part) ?? 1))
      marks.push(...(await store.apply({ stream: told.stream, part, events: batch })).marks)
    }
    expect(marks).toMatchObject([
      { mark: 1, differences: [] },
      { mark: 2, differences: [] },
    ])
  })

  it('stores names of any bytes, and tells them apart', async () => {
    const { store } = await rig()
    const prefix = unique()
    const stream = `n1_${prefix}-1`
    const ids: Buffer[] = [
      Buffer.from(`${prefix}é`),
      Buffer.from(`${prefix}é`, 'latin1'),
      Buffer.from(`${prefix}E`),
      Buffer.from(`${prefix}e`),
      Buffer.from(`${prefix}e `),
      Buffer.from(`${prefix}'; DROP TABLE orders; --`),
      Buffer.from(`${prefix}\\"%_\0\r\n`),
      Buffer.from(`${prefix}🛒`),
      Buffer.concat([Buffer.from(prefix), Buffer.alloc(128 - prefix.length, 0xff)]),
    ]
    const last = new Array<number>(16).fill(0)
    for (const [i, bytes] of ids.entries()) {
      const isText = nameOfBytes(bytes).isWellFormed()
      const name = isText ? bytes.toString('utf8') : bytes.toString('latin1')
      const shard = crc32(bytes, 0, bytes.length) & 1023
      const item = { sku: name, generation: 1, qty: 1, price: '9223372036854775807', seller: name, change: { reserved: 1 } }
      const payload = Buffer.from(
        JSON.stringify({
          ...{ schema: 1, id: `${stream}-${i + 1}`, type: 'order.reserved', time: NOW, order: name, buyer: null, shard, version: 1 },
          ...{ state: 'RESERVED', deadline: NOW + 1000, ref: name, reason: null, late: false, items: [item], stock: [] },
          ...(isText ? {} : { encoding: 'latin1' }),
        }),
      )
      const event = { stream, part: shard >> 6, pseq: ++last[shard >> 6], payload, body: parseEventBody(payload) }
      expect(await store.apply(batchOf([event]))).toMatchObject({ stored: 1 })
    }
    for (const bytes of ids) {
      const name = nameOfBytes(bytes)
      expect(bytesOfName(name)).toEqual(bytes)
      expect(await store.order(name, true)).toMatchObject({
        id: name,
        ref: name,
        items: [{ sku: name, seller: name, price: '9223372036854775807' }],
      })
      expect((await store.ordersOfSeller(name, ALL)).orders.map(({ id }) => id)).toEqual([name])
      expect((await store.eventsOfOrder(name)).length).toBe(1)
    }
  })

  it('refuses what no column takes as poison, and changes nothing', async () => {
    const { store } = await rig()
    const told = story().tell(100)
    const event = told.events.find(({ body }) => body.type === 'order.reserved')
    if (event === undefined) throw new Error('no order')
    const before = told.events.filter(({ part, pseq }) => part === event.part && pseq < event.pseq)
    const [item] = event.body.items
    const poison = changed(event, { items: [{ ...item, price: '99999999999999999999999' }] })
    expect(await rejection(store.apply(batchOf([...before, poison])))).toMatchObject({ kind: 'poison' })
    expect((await store.cursors()).filter(({ stream }) => stream === told.stream)).toEqual([])
    expect(await store.apply(batchOf([...before, event]))).toMatchObject({ cursor: event.pseq })
  })

  it('starts an order anew when a shop uses its id again, years later', async () => {
    const { store } = await rig()
    const told = story().tell(300)
    await storeAll(store, told.events)
    const order = told.orders.find(({ version, buyer }) => version > 2 && buyer !== null)
    const origin = told.events.find(({ body }) => body.order === order?.id && body.version === 1)
    if (order === undefined || origin === undefined) throw new Error('no such order')
    const again = { id: `${told.stream}-77777`, time: origin.body.time + 1e10 }
    const event = changed({ ...origin, pseq: (told.byPart().get(origin.part)?.length ?? 0) + 1 }, again)
    expect(await store.apply(batchOf([event]))).toMatchObject({ stored: 1 })
    const stored = await store.order(order.id, true)
    expect(stored).toMatchObject({ version: 1, state: event.body.state, createdAt: event.body.time, updatedAt: event.body.time })
    for (const { sku, change } of event.body.items) expect(stored?.items.find((item) => item.sku === sku)).toMatchObject(change)
    if (!kind.isShared) expect(await store.verify()).toEqual([])
  })

  it('keeps the lives of an id apart: in one batch, archived, dead and replayed, given once more', async () => {
    const { store } = await rig()
    const told = story().tell(300)
    await storeAll(store, told.events)
    const order = told.orders.find(({ version, buyer, state }) => version > 2 && buyer !== null && state !== 'RESERVED')
    const first = told.events.find(({ body }) => body.order === order?.id && body.version === 1)
    if (order === undefined || first === undefined) throw new Error('no such order')
    const last = told.byPart().get(first.part)?.length ?? 0
    const [item] = first.body.items
    const still = { reserved: 0, sold: 0, released: 0, returned: 0 }
    const event = (n: number, version: number, state: string, units: Partial<EventBody['items'][number]['change']>): StoryEvent =>
      changed(
        { ...first, pseq: last + n },
        {
          ...{ id: `${told.stream}-${88_000 + n}`, time: first.body.time + 1e10 + n, type: 'order.released', version, state, stock: [] },
          ...{ operation: null, items: [{ ...item, qty: 7, change: { ...still, ...units } }] },
        },
      )
    // The second life comes and ends, and a third begins, all in one batch; the middle of the third is dead at first.
    const second = [event(1, 1, 'RESERVED', { reserved: 9 }), event(2, 2, 'EXPIRED', { reserved: -9, released: 9 })]
    const third = [
      event(3, 1, 'RESERVED', { reserved: 7 }),
      event(4, 2, 'RESERVED', { reserved: -2, released: 2 }),
      event(5, 3, 'CONFIRMED', { reserved: -5, sold: 5 }),
    ]
    const [begun, released, sold] = third
    const events = [...second, begun].map((one) => incoming(one))
    await store.apply({ ...batchOf(second), events: [...events, poisoned(released), incoming(sold)] })
    await store.replayDead(first, released.pseq)
    const right = {
      ...{ version: 3, state: 'CONFIRMED', createdAt: begun.body.time },
      items: [{ sku: item.sku, quantity: 7, reserved: 0, sold: 5, released: 2, returned: 0 }],
    }
    expect(await store.order(order.id, true)).toMatchObject(right)
    // Earlier lives once more, oldest last.
    const old = told.events.filter(({ body }) => body.order === order.id)
    expect(await store.reapply([batchOf(second), batchOf(old)])).toBe(0)
    expect(await store.order(order.id, true)).toMatchObject(right)
    if (!kind.isShared) {
      await store.archive(first.body.time + 2e10, 100_000)
      expect(await store.order(order.id, true)).toMatchObject({ ...right, isHistory: true })
      // ... and a fourth brings it back.
      expect(await store.apply(batchOf([event(6, 1, 'RESERVED', { reserved: 1 })]))).toMatchObject({ stored: 1 })
      expect(await store.order(order.id, true)).toMatchObject({ version: 1, isHistory: false, items: [{ quantity: 1, reserved: 1 }] })
      await store.reapply([batchOf(old), batchOf(second), batchOf(third)])
      expect(await store.order(order.id, true)).toMatchObject({ version: 1, items: [{ quantity: 1, reserved: 1 }] })
    }
  })

  it('knows which consumers live', async () => {
    const { store, again } = await rig()
    const other = again()
    now = NOW
    const [a, b] = [unique(), unique()]
    expect(await store.heartbeat(a, 1000)).toContain(a)
    now += 600
    expect(await other.heartbeat(b, 1000)).toEqual(expect.arrayContaining([a, b]))
    now += 600
    const living = await other.heartbeat(b, 1000)
    expect(living).toContain(b)
    expect(living).not.toContain(a)
    expect(await store.consumers()).toContainEqual({ name: b, seenAt: now })
    now = NOW
  })

  it('lets two write the same part, and stores each event once', async () => {
    const { store, again } = await rig()
    const other = again()
    const told = story().tell(300)
    for (const events of told.byPart().values()) {
      for (let at = 0; at < events.length; at += 20) {
        const batch = batchOf(events.slice(at, at + 20))
        const [a, b] = await Promise.all([insistent(store, batch), insistent(other, batch)])
        expect([a.stored, b.stored].toSorted((x, y) => x - y)).toEqual([0, batch.events.length])
        expect([a.cursor, b.cursor]).toEqual([at + batch.events.length, at + batch.events.length])
      }
    }
    await expectToldBy(store, told)
  })

  it('examines itself in words', async () => {
    const { store } = await rig()
    const findings = await store.examine()
    expect(findings.length).toBeGreaterThan(0)
    expect(findings.filter(({ level }) => level === 'error')).toEqual([])
  })
})
