// stockd-orders as people and scripts use it, on a file that a node would have written: what it prints, and what its exit code says.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseEventBody } from '../../src/orders/event-body.ts'
import { SqliteStore } from '../../src/orders/store/sqlite/sqlite-store.ts'
import { batchOf, incoming, OrderStory, poisoned } from '../support/order-story.ts'
import { run, type Finished } from '../support/run.ts'
import { tempDir } from '../support/temp-dir.ts'

const STOCKD_ORDERS = fileURLToPath(new URL('../../bin/stockd-orders.js', import.meta.url))
/** Away from what the machine has set. */
const CLEAN = { STOCKD_ORDERS_STORE: '', STOCKD_ORDERS_STORE_FILE: '', STOCKD_DIR: '', TZ: 'UTC' }

const dir = tempDir()
const store = `sqlite:${join(dir, 'orders.db')}`
const story = new OrderStory({ seed: 7, buyers: 10 }).tell(400)

const tool = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> =>
  run([process.execPath, STOCKD_ORDERS, ...args], { env: { ...CLEAN, ...env } })
const onStore = (...args: string[]): Promise<Finished> => tool([...args, '--store', store])
const json = (finished: Finished): unknown => JSON.parse(finished.stdout)

beforeAll(async () => {
  const filled = new SqliteStore({ path: join(dir, 'orders.db'), mode: 'own', now: () => 1_792_100_000_000 })
  for (const events of story.byPart().values()) await filled.apply(batchOf(events))
  await filled.close()
})

describe('stockd-orders list', () => {
  const buyer = 'u3'
  const mine = story.orders.filter((order) => order.buyer === buyer)

  it("shows a buyer's orders, newest first, a page at a time", async () => {
    const found: string[] = []
    let after: string[] = []
    for (let page = 0; page < 100; page++) {
      const finished = await onStore('list', '--buyer', buyer, '--limit', '3', '--json', ...after)
      expect(finished).toMatchObject({ code: 0, stderr: '' })
      const { orders, next } = json(finished) as { orders: { id: string; createdAt: number }[]; next: string | null }
      found.push(...orders.map(({ id }) => id))
      if (next === null) break
      after = ['--after', next]
    }
    expect(found.toSorted()).toEqual(mine.map(({ id }) => id).toSorted())
    const { stdout } = await onStore('list', '--buyer', buyer, '--limit', '3')
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBe(5)
    expect(lines[0]).toMatch(/^CREATED +ORDER +STATE +BUYER +ITEMS/)
    expect(lines[1]).toContain(found[0])
    expect(lines[1]).toContain(new Date(mine.find(({ id }) => id === found[0])?.createdAt ?? 0).toISOString().slice(0, 10))
    expect(lines[4]).toMatch(/^3 orders; more with --after \S+$/)
  })

  it("shows a seller's, those in one state, and the newest of all", async () => {
    const sellers = story.skus.flatMap(({ seller }) => (seller === null ? [] : [seller]))
    const ofSeller = json(await onStore('list', '--seller', sellers[0], '--limit', '1000', '--json')) as { orders: { id: string }[] }
    const sold = story.orders.filter(({ items }) => items.some(({ sku }) => sku.seller === sellers[0]))
    expect(ofSeller.orders.length).toBe(sold.length)
    const confirmed = json(await onStore('list', '--state', 'confirmed', '--limit', '1000', '--json')) as { orders: { state: string }[] }
    expect(new Set(confirmed.orders.map(({ state }) => state))).toEqual(new Set(['CONFIRMED']))
    const { stdout } = await onStore('list')
    expect(stdout.split('\n').length).toBe(23)
  })

  it('says why there is nothing', async () => {
    expect(await onStore('list', '--buyer', 'nobody')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no orders of buyer nobody'),
    })
    const empty = `sqlite:${join(tempDir(), 'new.db')}`
    expect(await tool(['list', '--store', empty])).toMatchObject({ code: 3, stderr: expect.stringContaining('does not exist') })
    expect(await tool(['migrate', '--store', empty])).toMatchObject({ code: 0, stdout: expect.stringContaining('1 step done') })
    expect(await tool(['migrate', '--store', empty])).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
    expect(await tool(['list', '--store', empty])).toMatchObject({ code: 0, stdout: expect.stringContaining('no orders yet') })
  })
})

describe('stockd-orders show', () => {
  const order = story.orders.find(({ state, version }) => state === 'RETURNED' && version > 2) ?? story.orders[0]

  it('tells the story of an order', async () => {
    const { code, stdout } = await onStore('show', order.id)
    expect(code).toBe(0)
    expect(stdout).toContain(`state     ${order.state}`)
    for (const { sku } of order.items) expect(stdout).toContain(sku.name)
    for (const type of ['order.confirmed', 'order.returned']) expect(stdout).toContain(type)
    const told = json(await onStore('show', order.id, '--json')) as { order: { id: string }; events: { version: number }[] }
    expect(told.order.id).toBe(order.id)
    expect(told.events.map(({ version }) => version)).toEqual(Array.from({ length: order.version }, (_, i) => i + 1))
  })

  it('has another exit code for one that is not there', async () => {
    expect(await onStore('show', 'nothing')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has no order nothing') })
    expect(await onStore('show', 'nothing', '--json')).toMatchObject({ code: 1, stdout: '{"order":null,"events":[]}\n' })
  })

  it('does not obey what an id holds, and says which events are missing', async () => {
    const path = join(tempDir(), 'odd.db')
    const odd = new SqliteStore({ path, mode: 'own', now: () => 1 })
    const [first, second] = story.events.filter(({ body }) => body.order === order.id)
    const rename = (text: string): string => text.replaceAll(JSON.stringify(order.id), JSON.stringify(`{${order.buyer}}\u001b[2J\u202e`))
    const [a, b] = [first, second].map((event, i) => {
      const payload = Buffer.from(rename(event.payload.toString()))
      return { ...event, pseq: i + 1, payload, body: parseEventBody(payload) }
    })
    await odd.apply({ stream: a.stream, part: a.part, events: [poisoned(a), incoming(b)] })
    await odd.close()
    const { stdout } = await tool(['list', '--store', `sqlite:${path}`])
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toContain('\\u001b[2J\\u202e')
    const shown = await tool(['show', b.body.order ?? '', '--store', `sqlite:${path}`])
    expect(shown.stdout).toContain('not stored: version 1')
    expect((await tool(['stats', '--store', `sqlite:${path}`])).stdout).toContain('dead list')
  })
})

describe('stockd-orders stats and schema', () => {
  it('count what is stored', async () => {
    const counts = json(await onStore('stats', '--json')) as { orders: Record<string, number>; events: number; ledger: { sku: string }[] }
    expect(counts.events).toBe(story.events.length)
    expect(Object.values(counts.orders).reduce((sum, count) => sum + count, 0)).toBe(story.orders.length)
    expect(counts.ledger.map(({ sku }) => sku).toSorted()).toEqual(story.skus.map(({ name }) => name).toSorted())
    const { stdout } = await onStore('stats', '--cursors', '--skus', '2')
    expect(stdout).toContain(`events       ${story.events.length}`)
    expect(stdout).toMatch(/STREAM +PART +FIRST +STORED UP TO/)
    expect(stdout).toContain('3 more: --skus 5')
  })

  it('print the schema of events', async () => {
    for (const args of [['schema'], ['schema', '--json']]) {
      expect(json(await tool(args))).toMatchObject({ $schema: expect.stringContaining('json-schema.org'), type: 'object' })
    }
  })
})

describe('stockd-orders', () => {
  it.skipIf(!existsSync('/dev/full'))('says that its output is full, and not that this is a bug', async () => {
    const full = ['sh', '-c', '"$@" > /dev/full', 'sh', process.execPath, STOCKD_ORDERS, 'stats', '--store', store]
    expect(await run(full, { env: CLEAN })).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/^stockd-orders: standard output cannot be written: ENOSPC.*\n$/) as string,
    })
  })

  it('finds its store by flag, environment, file, or beside a node that runs with its defaults', async () => {
    const file = join(tempDir(), 'store')
    writeFileSync(file, `${store}\n`)
    for (const env of [{ STOCKD_ORDERS_STORE: store }, { STOCKD_ORDERS_STORE_FILE: file }, { STOCKD_DIR: dir }]) {
      expect((await tool(['stats'], env)).stdout).toContain(`store        ${store}`)
    }
    expect((await tool(['stats'], { STOCKD_DIR: join(dir, 'none') })).stderr).toContain(join(dir, 'none', 'orders.db'))
    expect(existsSync(join(dir, 'none'))).toBe(false)
  })

  it('refuses what it does not understand, in one line, with exit code 4', async () => {
    const wrong: readonly (readonly [string[], string])[] = [
      [[], 'a command is missing: '],
      [['frob'], 'unknown command'],
      [['list', '--limt', '3'], 'Did you mean --limit?'],
      [['list', '--limit', '0'], 'a whole number from 1 to'],
      [['list', '--state', 'sold'], 'RESERVED, CONFIRMED'],
      [['list', '--buyer', 'a', '--seller', 'b'], 'give one of them'],
      [['show'], "missing required argument 'order'"],
      [['stats', '--store', 'postgres://me:secret@host/db'], 'a store is sqlite:<path> or mysql://'],
      [['stats', '--store', 'sqlite:'], 'without a path'],
      [['stats', '--store', store, '--tables', '64'], 'are for mysql'],
      [['stats', '--store', 'mysql://root:secret@host:port/x'], 'database URL'],
    ]
    const results = await Promise.all(wrong.map(([args]) => tool(args)))
    for (const [i, { code, stdout, stderr }] of results.entries()) {
      const [args, says] = wrong[i]
      expect(stderr, args.join(' ')).toContain(says)
      expect(stderr.trimEnd().split('\n').length).toBe(1)
      expect(stderr).not.toContain('secret')
      expect({ code, stdout }, args.join(' ')).toEqual({ code: 4, stdout: '' })
    }
  })

  it('says what is wrong to programs, too', async () => {
    const finished = await tool(['stats', '--json', '--store', `sqlite:${join(dir, 'nothing.db')}`])
    expect(finished.code).toBe(3)
    expect(json(finished)).toMatchObject({ status: 'failed', code: 'CANTOPEN' })
  })

  it('helps', async () => {
    expect(await tool(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Exit codes:'), stderr: '' })
    expect(await tool(['list', '--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--buyer') })
  })
})
