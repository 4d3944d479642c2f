// Orders arrive in the database that a node keeps by itself: after the first RESERVE, after crashes, after every trouble that the database
// can have; and the node sells on meanwhile.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { SqliteStore } from '../../src/orders/store/sqlite/sqlite-store.ts'
import type { StoredOrder } from '../../src/orders/store/store.ts'
import { eventually } from '../support/eventually.ts'
import { type RawClient, type Value } from '../support/raw-client.ts'
import { killServers, startNode, type Server } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

const MIB = 1024 * 1024
const mounted: string[] = []

function unmount(): void {
  for (const dir of mounted.splice(0)) spawnSync('umount', ['-l', dir])
}

afterEach(async () => {
  await killServers()
  unmount()
})

const SKU = 'sku'
const UNITS = 1_000_000

const fileOf = (dir: string): string => join(dir, 'orders.db')

async function withStore<T>(dir: string, work: (store: SqliteStore) => Promise<T>): Promise<T> {
  const store = new SqliteStore({ path: fileOf(dir), mode: 'read', now: () => Date.now() })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** The order as it is stored, when it is there in that state. */
const stored = (dir: string, id: string, state: string): Promise<StoredOrder> =>
  eventually(
    `order ${id} to be stored as ${state}`,
    () =>
      withStore(dir, async (store) => {
        const order = await store.order(id, false)
        return order?.state === state ? order : null
      }),
    20_000,
  )

async function info(client: RawClient, name: string): Promise<string> {
  const text = (await client.call('INFO', 'outbox')) as string
  return new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)?.[1] ?? ''
}

async function everythingStored(client: RawClient): Promise<void> {
  await eventually('every event to be stored', async () => (await info(client, 'outbox_stored_behind')) === '0', 60_000)
}

const isOk = (reply: Value): boolean => Array.isArray(reply) && reply[0] === 'OK'

/** A writer who does not let go. */
function lock(dir: string): () => void {
  const db = new DatabaseSync(fileOf(dir), { timeout: 5000 })
  db.exec('BEGIN EXCLUSIVE')
  return () => {
    db.exec('ROLLBACK')
    db.close()
  }
}

async function open(options: { dir?: string; args?: readonly string[] } = {}): Promise<{ node: Server; client: RawClient; dir: string }> {
  const dir = options.dir ?? tempDir()
  const node = await startNode({ dir, args: options.args ?? [] })
  const client = await node.connect()
  return { node, client, dir }
}

describe('the orders database of a node', () => {
  it('has an order after the first RESERVE, and what becomes of it', async () => {
    const { client, dir } = await open()
    await client.call('STOCK.CREATE', SKU, 10, 'PRICE', 999, 'SELLER', 'acme')
    expect(isOk(await client.call('STOCK.RESERVE', '{ann}1', 'ITEMS', SKU, 2))).toBe(true)
    const order = await stored(dir, '{ann}1', 'RESERVED')
    expect(order.items).toMatchObject([{ sku: SKU, quantity: 2, reserved: 2, sold: 0, price: '999', seller: 'acme' }])
    await client.call('STOCK.CONFIRM', '{ann}1')
    expect((await stored(dir, '{ann}1', 'CONFIRMED')).items[0].sold).toBe(2)
  })

  it('also under appendfsync no, where no reply waits for the disk', async () => {
    const { client, dir } = await open({ args: ['--appendfsync', 'no'] })
    await client.call('STOCK.CREATE', SKU, 10)
    await client.call('STOCK.RESERVE', 'o1', 'ITEMS', SKU, 1)
    await stored(dir, 'o1', 'RESERVED')
  })

  it('has everything when a node has stopped cleanly', async () => {
    const { node, client, dir } = await open()
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.pipeline(Array.from({ length: 500 }, (_, i) => ['STOCK.RESERVE', `o${i}`, 'ITEMS', SKU, 1]))
    expect((await node.stop()).code).toBe(0)
    expect(await withStore(dir, (store) => store.stats())).toMatchObject({ orders: { RESERVED: 500 } })
  })

  it('has every accepted order exactly once after ten kills under load', async () => {
    const dir = tempDir()
    const accepted = new Map<string, 'RESERVED' | 'CONFIRMED'>()
    let next = 0
    for (let life = 0; life <= 10; life++) {
      const { node, client } = await open({
        dir,
        args: ['--appendfsync', 'always', '--aof-segment-size', '100kb', '--restart-grace', '3600'],
      })
      if (life === 0) await client.call('STOCK.CREATE', SKU, UNITS, 'HOLD', 3600, 'MAXHOLD', 7200)
      const enough = accepted.size + 300
      const load = async (): Promise<void> => {
        const own = await node.connect()
        try {
          while (accepted.size < enough) {
            const id = `o${next++}`
            if (!isOk(await own.call('STOCK.RESERVE', id, 'ITEMS', SKU, 1))) continue
            accepted.set(id, 'RESERVED')
            if (next % 3 === 0 && isOk(await own.call('STOCK.CONFIRM', id))) accepted.set(id, 'CONFIRMED')
          }
        } catch {
          // Killed: of what was under way nothing is known.
        }
      }
      const loads = [load(), load(), load(), load()]
      if (life < 10) {
        await eventually('some load', () => accepted.size > enough - 200)
        await node.kill9()
        await Promise.all(loads)
        continue
      }
      await Promise.all(loads)
      await everythingStored(client)
      await withStore(dir, async (store) => {
        for (const [id, state] of accepted) {
          const order = await store.order(id, false)
          // A kill between CONFIRM and its answer: it may have been done.
          expect([state, 'CONFIRMED'], id).toContain(order?.state)
          expect(order?.items.map((item) => item.reserved + item.sold)).toEqual([1])
        }
        const [sku] = await store.ledger(SKU)
        const list = (await client.call('STOCK.INFO', SKU)) as Value[]
        const number = (name: string): number => Number(list[list.indexOf(name) + 1])
        expect(sku).toMatchObject({ total: UNITS, available: number('available'), reserved: number('reserved'), sold: number('sold') })
        expect(await store.verify()).toEqual([])
        const { events, cursors, deadEvents } = await store.stats()
        expect(deadEvents).toBe(0)
        expect(cursors.reduce((sum, cursor) => sum + cursor.pseq, 0)).toBe(events)
      })
    }
  })
})

describe('while the database cannot be written', () => {
  it('the node sells on, says why, and stores everything when it can be again', async () => {
    const { client, dir } = await open()
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', 'before', 'ITEMS', SKU, 1)
    await stored(dir, 'before', 'RESERVED')
    const unlock = lock(dir)
    const replies = await client.pipeline(Array.from({ length: 100 }, (_, i) => ['STOCK.RESERVE', `o${i}`, 'ITEMS', SKU, 1]))
    expect(replies).toHaveLength(100)
    await eventually('the reason', async () => (await info(client, 'outbox_state')).includes('another process is writing'), 20_000)
    expect(await info(client, 'outbox_connected')).toBe('0')
    expect(isOk(await client.call('STOCK.CONFIRM', 'o7'))).toBe(true)
    unlock()
    await stored(dir, 'o7', 'CONFIRMED')
    await everythingStored(client)
    expect(await info(client, 'outbox_state')).toBe('connected')
  })

  it('a stop does not wait for it, and the next start stores what was left', async () => {
    const { node, client, dir } = await open()
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', 'before', 'ITEMS', SKU, 1)
    await stored(dir, 'before', 'RESERVED')
    const unlock = lock(dir)
    await client.call('STOCK.RESERVE', 'left', 'ITEMS', SKU, 1)
    await eventually('the outage to be noticed', async () => (await info(client, 'outbox_connected')) === '0', 20_000)
    const began = performance.now()
    expect((await node.stop()).code).toBe(0)
    expect(performance.now() - began).toBeLessThan(6000)
    expect(node.log()).toMatch(/events.* stay in the log and go out after the next start/)
    unlock()
    await open({ dir })
    await stored(dir, 'left', 'RESERVED')
  })

  it('compaction keeps what is not stored, and orders are not forgotten before they are', async () => {
    const { client, dir } = await open({ args: ['--order-retention', '1s', '--event-history', '0'] })
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', 'before', 'ITEMS', SKU, 1)
    await stored(dir, 'before', 'RESERVED')
    const unlock = lock(dir)
    await client.call('STOCK.RESERVE', 'gone', 'ITEMS', SKU, 1)
    await client.call('STOCK.RELEASE', 'gone')
    await eventually('the outage to be noticed', async () => (await info(client, 'outbox_connected')) === '0', 20_000)
    await client.call('BGREWRITEAOF')
    const rewrites = async (): Promise<boolean> => ((await client.call('INFO', 'persistence')) as string).includes('aof_rewrites:1\r')
    await eventually('the compaction', rewrites, 20_000)
    await eventually('retention to be over', async () => Number(await info(client, 'outbox_lag_seconds')) > 3, 20_000)
    expect(JSON.stringify(await client.call('STOCK.ORDER', 'gone'))).toContain('RELEASED')
    unlock()
    await stored(dir, 'gone', 'RELEASED')
    await eventually('the order to be forgotten', async () => (await client.call('STOCK.ORDER', 'gone')) === null)
  })

  it('new orders are refused when the backlog is full, old ones go on, and it ends by itself', async () => {
    const { client, node, dir } = await open({ args: ['--outbox-backlog', '1mb'] })
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', 'first', 'ITEMS', SKU, 1)
    await stored(dir, 'first', 'RESERVED')
    const unlock = lock(dir)
    let n = 0
    const full = await eventually(
      'BACKLOG',
      async () => {
        const ids = Array.from({ length: 1000 }, () => ['STOCK.RESERVE', `o${n++}`, 'ITEMS', SKU, 1])
        return (await client.pipeline(ids)).map((reply) => reply.toString('latin1')).find((reply) => reply.startsWith('-BACKLOG'))
      },
      60_000,
    )
    expect(full).toContain('BACKLOG')
    expect(isOk(await client.call('STOCK.CONFIRM', 'first'))).toBe(true)
    expect(isOk(await client.call('STOCK.RELEASE', 'o1'))).toBe(true)
    expect(await info(client, 'outbox_backlog_full')).toBe('1')
    expect(node.log()).toMatch(/100 % of outbox-backlog are in use/)
    unlock()
    await eventually('orders to be taken again', async () => isOk(await client.call('STOCK.RESERVE', 'again', 'ITEMS', SKU, 1)), 60_000)
    expect(node.log()).toMatch(/new orders are taken again/)
    await stored(dir, 'o1', 'RELEASED')
  })
})

/** A disk that is really small, or null where that takes more rights than we have. */
function smallDisk(bytes: number): string | null {
  const dir = join(tempDir(), 'disk')
  mkdirSync(dir)
  if (process.getuid?.() !== 0 || spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]).status !== 0) return null
  mounted.push(dir)
  return dir
}

const canMount = ((): boolean => {
  const dir = smallDisk(MIB)
  unmount()
  return dir !== null
})()

describe.skipIf(!canMount)('a full disk', () => {
  it('of the database alone: the node sells on, and stores everything when there is room', async () => {
    const disk = smallDisk(2 * MIB)!
    const filler = join(disk, 'filler')
    const { client, dir } = await open({ args: ['--orders-db', join(disk, 'orders.db')] })
    await client.call('STOCK.CREATE', SKU, UNITS)
    writeFileSync(filler, Buffer.alloc(MIB))
    let n = 0
    await eventually(
      'the disk to be full',
      async () => {
        const replies = await client.pipeline(Array.from({ length: 500 }, () => ['STOCK.RESERVE', `o${n++}`, 'ITEMS', SKU, 1]))
        expect(replies.every((reply) => reply.toString('latin1').includes('OK'))).toBe(true)
        return (await info(client, 'outbox_state')).includes('disk is full')
      },
      60_000,
    )
    spawnSync('mount', ['-o', `remount,size=${64 * MIB}`, disk])
    rmSync(filler)
    await everythingStored(client)
    const store = new SqliteStore({ path: join(disk, 'orders.db'), mode: 'read', now: () => Date.now() })
    expect((await store.stats()).orders).toEqual({ RESERVED: n })
    await store.close()
    expect(dir).not.toBe(disk)
  })

  it('that log and database share: writes are refused, nothing that was accepted is missing when there is room again', async () => {
    const disk = smallDisk(6 * MIB)!
    const { client } = await open({
      dir: disk,
      args: ['--aof-min-free', '0', '--aof-segment-size', '1mb', '--auto-aof-rewrite-percentage', '0', '--appendfsync', 'always'],
    })
    await client.call('STOCK.CREATE', SKU, UNITS)
    let n = 0
    const accepted: string[] = []
    await eventually(
      'a refusal',
      async () => {
        const ids = Array.from({ length: 200 }, () => `o${n++}`)
        const replies = await client.pipeline(ids.map((id) => ['STOCK.RESERVE', id, 'ITEMS', SKU, 1]))
        replies.forEach((reply, i) => {
          if (reply.toString('latin1').includes('OK')) accepted.push(ids[i])
        })
        return replies.some((reply) => reply.toString('latin1').startsWith('-MISCONF'))
      },
      60_000,
    )
    spawnSync('mount', ['-o', `remount,size=${64 * MIB}`, disk])
    await eventually('orders to be taken again', async () => isOk(await client.call('STOCK.RESERVE', 'again', 'ITEMS', SKU, 1)), 30_000)
    await everythingStored(client)
    await withStore(disk, async (store) => {
      for (const id of [...accepted, 'again']) expect((await store.order(id, false))?.state, id).toBe('RESERVED')
      expect(await store.verify()).toEqual([])
    })
  })
})

describe('a database that is lost', () => {
  it('is made anew and filled from the log, also while the node runs', async () => {
    const { client, dir, node } = await open()
    await client.call('STOCK.CREATE', SKU, UNITS)
    for (let i = 0; i < 50; i++) await client.call('STOCK.RESERVE', `o${i}`, 'ITEMS', SKU, 1)
    await stored(dir, 'o49', 'RESERVED')
    for (const end of ['', '-wal', '-shm']) rmSync(`${fileOf(dir)}${end}`, { force: true })
    await eventually('all orders to be there again', () => withStore(dir, async (store) => (await store.stats()).orders.RESERVED === 50))
    await everythingStored(client)
    expect(node.log()).toMatch(/filled up from the log/)
    expect((await node.stop()).code).toBe(0)
    for (const end of ['', '-wal', '-shm']) rmSync(`${fileOf(dir)}${end}`, { force: true })
    await open({ dir })
    await stored(dir, 'o49', 'RESERVED')
  })

  it('or damaged: the node starts and sells, says so, and fills another one when the file is put aside', async () => {
    const first = await open()
    await first.client.call('STOCK.CREATE', SKU, UNITS)
    await first.client.call('STOCK.RESERVE', 'o1', 'ITEMS', SKU, 1)
    await stored(first.dir, 'o1', 'RESERVED')
    await first.node.stop()
    const { dir } = first
    for (const end of ['-wal', '-shm']) rmSync(`${fileOf(dir)}${end}`, { force: true })
    writeFileSync(fileOf(dir), 'this is no database, and long enough to be read as one, if anybody tried'.repeat(100))
    const { client } = await open({ dir })
    expect(isOk(await client.call('STOCK.RESERVE', 'o2', 'ITEMS', SKU, 1))).toBe(true)
    await eventually('the reason', async () => (await info(client, 'outbox_state')).includes('not an SQLite database'), 20_000)
    rmSync(fileOf(dir))
    await stored(dir, 'o2', 'RESERVED')
    await stored(dir, 'o1', 'RESERVED')
  })

  it('as an older copy: what is missing comes from the log', async () => {
    const { client, dir, node } = await open()
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', 'o1', 'ITEMS', SKU, 1)
    await stored(dir, 'o1', 'RESERVED')
    await everythingStored(client)
    const copy = join(tempDir(), 'copy.db')
    const db = new DatabaseSync(fileOf(dir))
    db.exec(`VACUUM INTO '${copy}'`)
    db.close()
    for (let i = 2; i < 60; i++) await client.call('STOCK.RESERVE', `o${i}`, 'ITEMS', SKU, 1)
    await stored(dir, 'o59', 'RESERVED')
    await node.stop()
    for (const end of ['-wal', '-shm']) rmSync(`${fileOf(dir)}${end}`, { force: true })
    const again = new DatabaseSync(copy)
    rmSync(fileOf(dir))
    again.exec(`VACUUM INTO '${fileOf(dir)}'`)
    again.close()
    const second = await open({ dir })
    await stored(dir, 'o59', 'RESERVED')
    await everythingStored(second.client)
    expect(await withStore(dir, (store) => store.stats())).toMatchObject({ orders: { RESERVED: 59 } })
  })

  it('is ahead of a log that was put back from an older copy: that is said, and nothing is mixed', async () => {
    const database = join(tempDir(), 'elsewhere.db')
    const args = ['--orders-db', database]
    const { client, dir, node } = await open({ args })
    await client.call('STOCK.CREATE', SKU, UNITS)
    await client.call('STOCK.RESERVE', '{ann}1', 'ITEMS', SKU, 1)
    await everythingStored(client)
    await node.stop()
    const older = tempDir()
    cpSync(dir, older, { recursive: true })
    const more = await open({ dir, args })
    for (let i = 2; i < 20; i++) await more.client.call('STOCK.RESERVE', `{ann}${i}`, 'ITEMS', SKU, 1)
    await everythingStored(more.client)
    await more.node.stop()
    const back = await open({ dir: older, args })
    await eventually('the alarm', () => back.node.log().includes('is older than the database'), 20_000)
    expect(isOk(await back.client.call('STOCK.RESERVE', '{ann}other', 'ITEMS', SKU, 1))).toBe(true)
    await eventually('the state', async () => (await info(back.client, 'outbox_state')).includes('older than the database'))
    const store = new SqliteStore({ path: database, mode: 'read', now: () => Date.now() })
    expect(await store.order('{ann}other', true)).toBeNull()
    await store.close()
  })
})

describe('orders-db no', () => {
  it('keeps events readable as stock:events, and nothing waits', async () => {
    const { client, dir } = await open({ args: ['--orders-db', 'no'] })
    await client.call('STOCK.CREATE', SKU, 10)
    await client.call('STOCK.RESERVE', 'o1', 'ITEMS', SKU, 1)
    const [[, entries]] = (await client.call('XREAD', 'STREAMS', 'stock:events', '0')) as [[string, Value[]]]
    expect(JSON.stringify(entries)).toContain('order.reserved')
    expect(await info(client, 'outbox_sink')).toBe('none')
    expect(() => new DatabaseSync(fileOf(dir), { readOnly: true })).toThrow(/unable to open/)
  })

  it('a reader that waits gets an event within milliseconds', async () => {
    const { client, node } = await open({ args: ['--orders-db', 'no'] })
    await client.call('STOCK.CREATE', SKU, UNITS)
    await using reader = await node.connect()
    const ms: number[] = []
    for (let i = 0; i < 50; i++) {
      const news = reader.call('XREAD', 'BLOCK', 5000, 'STREAMS', 'stock:events', '$')
      await eventually('the reader to wait', async () => ((await client.call('INFO', 'clients')) as string).includes('blocked_clients:1'))
      const began = performance.now()
      await client.call('STOCK.RESERVE', `o${i}`, 'ITEMS', SKU, 1)
      expect(JSON.stringify(await news)).toContain(`o${i}`)
      ms.push(performance.now() - began)
    }
    ms.sort((a, b) => a - b)
    expect(ms[25], `milliseconds ${ms.map((n) => n.toFixed(1)).join(' ')}`).toBeLessThan(50)
  })
})

describe('a broken order of options', () => {
  it('is refused at the start', async () => {
    const started = await startNode({ args: ['--amqp', 'nonsense'] }).then(
      () => 'started',
      (error: unknown) => (error as Error).message,
    )
    expect(started).toMatch(/amqp/)
  })
})
