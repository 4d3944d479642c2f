// The operator's tools of stockd-orders against real servers: what they find, what they say, and that they mend it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SqliteStore } from '../../../src/orders/store/sqlite/sqlite-store.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB } from '../../support/mariadb.ts'
import { batchOf, incoming, OrderStory, poisoned } from '../../support/order-story.ts'
import { HAS_RABBITMQ } from '../../support/rabbitmq.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { run, type Finished } from '../../support/run.ts'
import { startNode, type Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { startWay, type Way } from '../../support/way.ts'

const STOCKD_ORDERS = fileURLToPath(new URL('../../../bin/stockd-orders.js', import.meta.url))
/** Nobody listens there. */
const NOWHERE = '127.0.0.1:9'

function tool(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Finished> {
  return run([process.execPath, STOCKD_ORDERS, ...args], { env: { STOCKD_AMQP: '', STOCKD_ORDERS_STORE: '', ...env }, deadlineMs: 120_000 })
}

/** A little of everything that may happen to an order; ids begin with `prefix`. */
async function sell(client: RawClient, prefix: string, count = 40): Promise<void> {
  for (const sku of ['book', 'pen']) await client.call('STOCK.CREATE', sku, '100000', 'PRICE', '990', 'SELLER', 'shop')
  for (let i = 0; i < count; i++) {
    const id = `{u${i % 7}}${prefix}${i}`
    await client.call('STOCK.RESERVE', id, 'EX', '900', 'ITEMS', 'book', '2', 'pen', '1')
    if (i % 5 === 0) await client.call('STOCK.CONFIRM', id, 'REF', `pay${i}`)
    if (i % 5 === 1) await client.call('STOCK.RELEASE', id, 'REASON', 'cancelled')
    if (i % 5 === 2) await client.call('STOCK.CONFIRM', id, 'ITEMS', 'book', '1')
    if (i % 10 === 0) await client.call('STOCK.RETURN', id, 'ID', 'r1', 'ITEMS', 'book', '1')
    if (i % 10 === 5) await client.call('STOCK.RETURN', id)
    if (i % 10 === 3) await client.call('STOCK.CONFIRM', `{u1}never${prefix}${i}`, 'REF', 'too late')
  }
}

/** Orders whose ids and buyers are any bytes: what `list` prints of one is what `show` and `--buyer` take. */
async function expectAnyNames(client: RawClient, orders: (...args: readonly string[]) => Promise<Finished>): Promise<void> {
  const buyers = [
    Buffer.from('\xff\xfe', 'latin1'),
    Buffer.from('caf\xe9', 'latin1'),
    Buffer.from('back\\xffslash'),
    Buffer.from('\u202eevil'),
  ]
  await client.call('STOCK.CREATE', Buffer.from('sk\xfc', 'latin1'), '100')
  for (const buyer of buyers) {
    const id = Buffer.concat([Buffer.from('{'), buyer, Buffer.from('}'), Buffer.from('n\xe4me', 'latin1')])
    expect(await client.call('STOCK.RESERVE', id, 'ITEMS', Buffer.from('sk\xfc', 'latin1'), '1')).toMatchObject({ 0: 'OK' })
  }
  const lines = await eventually('the orders to be stored', async () => {
    const { stdout } = await orders('list', '--limit', '1000')
    const found = stdout.split('\n').filter((line) => line.includes('n\\xe4me'))
    return found.length === 4 ? found : null
  })
  expect(new Set(lines.map((line) => line.split(/ {2,}/)[3]))).toEqual(
    new Set(['\\xff\\xfe', 'caf\\xe9', 'back\\\\xffslash', '\\u202eevil']),
  )
  for (const line of lines) {
    const [, id, , buyer] = line.split(/ {2,}/)
    const shown = await orders('show', id)
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    expect(shown.stdout).toContain(`order     ${id}\nbuyer     ${buyer}\n`)
    expect(shown.stdout).toContain('sk\\xfc: 1 reserved')
    expect((await orders('list', '--buyer', buyer)).stdout.split('\n')[1].split(/ {2,}/)).toEqual(line.split(/ {2,}/))
  }
  const lost = await orders('show', '{\ufffd}1')
  expect(lost).toMatchObject({ code: 1, stderr: expect.stringContaining('bytes that are not UTF-8 are written \\xHH') as string })
}

describe('beside a node with its own database', () => {
  let node: Server
  let client: RawClient
  let env: Readonly<Record<string, string>>

  beforeAll(async () => {
    node = await startNode({ args: ['--restart-grace', '1'] })
    client = await node.connect()
    env = { STOCKD_NODE: `127.0.0.1:${node.port}`, STOCKD_ORDERS_STORE: `sqlite:${join(node.dir, 'orders.db')}` }
    await sell(client, 'a')
  })

  afterAll(async () => {
    await client[Symbol.asyncDispose]()
    await node.kill9()
  })

  const inDatabase = (sql: string): void => {
    const db = new DatabaseSync(join(node.dir, 'orders.db'), { timeout: 5000 })
    db.exec(sql)
    db.close()
  }

  it('reconcile finds nothing where nothing is wrong, also while the node sells', async () => {
    let isSelling = true
    const selling = (async () => {
      await using other = await node.connect()
      for (let round = 0; isSelling && round < 20; round++) await sell(other, `live${round}_`, 50)
    })()
    const live = await tool(env, 'reconcile', '--json')
    isSelling = false
    await selling
    expect(live).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(live.stdout)).toMatchObject({ status: 'equal', differences: [], findings: [], late: [] })
    const still = await tool(env, 'reconcile')
    expect(still.code).toBe(0)
    expect(still.stdout).toMatch(/\nequal: \d+ orders, 2 SKUs\n$/)
    expect(still.stdout).toMatch(/\nCONFIRMED +(\d+) +\1 +0\n/)
  })

  it('reconcile says what differs, and --fix mends it from the log', async () => {
    // Once more is too much, too: what is stored already stays once.
    inDatabase(`
      UPDATE orders SET state = 'RESERVED', version = 1 WHERE id = '{u0}a0';
      DELETE FROM order_items WHERE order_number = (SELECT number FROM orders WHERE id = '{u1}a1');
      DELETE FROM orders WHERE id = '{u2}a2'`)
    const found = await tool(env, 'reconcile')
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/^order \{u0\}a0: the node has it CONFIRMED \(version 3\), the database RESERVED \(version 1\)$/m)
    expect(found.stdout).toMatch(/^order \{u1\}a1: book is not among its items in the database; pen is not/m)
    expect(found.stdout).toMatch(/^order \{u2\}a2: the node has it CONFIRMED \(version 2\), the database does not have it$/m)
    expect(found.stdout).toMatch(/\nDIFFERENT: 3 orders, \d+ findings in the database\n$/)
    const fixed = await tool(env, 'reconcile', '--fix')
    expect(fixed.stdout).toMatch(/of which \d+ changed something/)
    expect(fixed.stdout).toMatch(/\nequal: \d+ orders, 2 SKUs\n$/)
    expect(fixed.code).toBe(0)
    expect((await tool(env, 'reconcile', '--fix', '--json')).code).toBe(0)
  })

  it('names of any bytes lead from list to show', async () => {
    await expectAnyNames(client, (...args) => tool(env, ...args))
  })

  it('reconcile could not compare: a node or a database that is not there, another server, exit code 2', async () => {
    const gone = await tool({ ...env, STOCKD_NODE: NOWHERE }, 'reconcile')
    expect(gone).toMatchObject({ code: 2, stdout: '' })
    expect(gone.stderr).toBe(
      `stockd-orders: could not compare: node ${NOWHERE} cannot be asked: nobody listens there: is the node running, is the port right?\n`,
    )
    const noFile = await tool({ ...env, STOCKD_ORDERS_STORE: 'sqlite:/nowhere/orders.db' }, 'reconcile', '--json')
    expect(noFile.code).toBe(2)
    expect(JSON.parse(noFile.stdout)).toMatchObject({ status: 'failed', code: 'CANTOPEN' })
    expect((await tool(env, 'reconcile', '--node', 'here')).code).toBe(4)
  })

  it('an order id may be used again when its retention is over: the database shows the new order, and the old one does it no harm', async () => {
    await using short = await startNode({ args: ['--order-retention', '1s'] })
    await using other = await short.connect()
    const at = { STOCKD_NODE: `127.0.0.1:${short.port}`, STOCKD_ORDERS_STORE: `sqlite:${join(short.dir, 'orders.db')}` }
    await other.call('STOCK.CREATE', 'book', '50')
    await other.call('STOCK.RESERVE', '{ann}1', 'ITEMS', 'book', '5')
    await other.call('STOCK.EXTEND', '{ann}1', 'EX', '1500')
    await other.call('STOCK.RELEASE', '{ann}1')
    // Forgotten: released and one second later, and stored before.
    const reserved = await eventually('the node to forget the order', async () => {
      const answer = (await other.call('STOCK.RESERVE', '{ann}1', 'ITEMS', 'book', '2')) as unknown[]
      return answer[0] === 'OK' ? answer : null
    })
    expect(reserved[4]).toBe('')
    await other.call('STOCK.CONFIRM', '{ann}1', 'REF', 'second')
    const compared = await tool(at, 'reconcile')
    expect(compared).toMatchObject({ code: 0 })
    const order = async (): Promise<object> => {
      const { stdout } = await tool(at, 'show', '{ann}1', '--json')
      return (JSON.parse(stdout) as { order: object }).order
    }
    const right = { version: 2, state: 'CONFIRMED', ref: 'second', items: [{ quantity: 2, reserved: 0, sold: 2, released: 0 }] }
    expect(await order()).toMatchObject(right)
    // The old life once more, as --fix gives it, with the books wrong on purpose.
    const db = new DatabaseSync(join(short.dir, 'orders.db'), { timeout: 5000 })
    db.exec(`UPDATE orders SET state = 'RELEASED' WHERE id = '{ann}1'`)
    db.close()
    expect((await tool(at, 'reconcile')).code).toBe(1)
    expect((await tool(at, 'reconcile', '--fix')).code).toBe(0)
    expect(await order()).toMatchObject(right)
    // Forgotten orders are no difference.
    await other.call('STOCK.RESERVE', '{bob}1', 'ITEMS', 'book', '1')
    await other.call('STOCK.RELEASE', '{bob}1')
    await eventually('the node to forget it', async () => (await other.call('STOCK.ORDER', '{bob}1')) === null)
    expect((await tool(at, 'reconcile')).stdout).toMatch(/\nequal: /)
  })

  it('reconcile finds that a node was put back to an older log', async () => {
    const dir = tempDir()
    await using first = await startNode({ dir, args: ['--appendfsync', 'always'] })
    await using one = await first.connect()
    await sell(one, 'o', 10)
    await first.stop()
    const older = tempDir()
    cpSync(dir, older, { recursive: true })
    await using second = await startNode({ dir, args: ['--appendfsync', 'always'] })
    await using two = await second.connect()
    await sell(two, 'p', 10)
    const store = `sqlite:${join(dir, 'orders.db')}`
    expect((await tool({ STOCKD_NODE: `127.0.0.1:${second.port}`, STOCKD_ORDERS_STORE: store }, 'reconcile')).code).toBe(0)
    await second.stop()
    await using third = await startNode({ dir: older })
    const at = { STOCKD_NODE: `127.0.0.1:${third.port}`, STOCKD_ORDERS_STORE: store }
    const found = await tool(at, 'reconcile', '--wait', '0')
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(
      /^part \d+ of n0_\w+-1: the database has events up to \d+, the node \d+: the node was put back to an older log$/m,
    )
    expect(found.stdout).toMatch(/^order \{u\d\}p\d: the database has it \w+ \(version \d\), the node does not know it$/m)
    const examined = await tool(at, 'doctor')
    expect(examined.code).toBe(2)
    expect(examined.stdout).toContain('the database has later events than the node')
  })

  it('cursor set does not pass over events that are still to happen', async () => {
    await using closed = await startNode({ args: ['--orders-db', 'no'] })
    await using other = await closed.connect()
    await sell(other, 'c', 5)
    const name = String(await other.call('STOCK.OUTBOX', 'STREAM'))
    const status = (await other.call('STOCK.OUTBOX', 'STATUS')) as unknown[]
    const last = status[status.indexOf('last') + 1] as number[]
    const part = last.findIndex((n) => n > 0)
    const path = join(tempDir(), 'orders.db')
    await new SqliteStore({ path, mode: 'own', now: Date.now }).migrate()
    const at = { STOCKD_NODE: `127.0.0.1:${closed.port}`, STOCKD_ORDERS_STORE: `sqlite:${path}` }
    const set = (pseq: number, ...args: readonly string[]): Promise<Finished> =>
      tool(at, 'cursor', 'set', String(part), String(pseq), '--stream', name, '--note', 'log lost', ...args)
    const refused = await set(last[part] + 1, '--yes')
    expect(refused).toMatchObject({ code: 4, stdout: '' })
    expect(refused.stderr).toContain(
      `only up to ${last[part]}: those up to ${last[part] + 1} are still to happen, and would never be stored`,
    )
    expect(await set(last[part], '--yes')).toMatchObject({ code: 0, stderr: '' })
    expect(await set(last[part] + 1, '--yes', '--force')).toMatchObject({ code: 0 })
    // Nobody to ask: it is said.
    const blind = await set(last[part] + 2, '--yes', '--node', NOWHERE)
    expect(blind.code).toBe(0)
    expect(blind.stderr).toContain(`is not known: node ${NOWHERE} cannot be asked: nobody listens there`)
    const another = await tool(at, 'cursor', 'set', '0', '5', '--stream', 'n9_other-1', '--note', 'x', '--yes', '--json')
    expect(JSON.parse(another.stdout)).toMatchObject({ isDone: true, warning: expect.stringContaining(`is at stream ${name}`) as string })
  })

  it('doctor finds nothing wrong, and says what is wrong when there is', async () => {
    const well = await tool(env, 'doctor', '--json')
    expect(JSON.parse(well.stdout)).toMatchObject({ errors: 0, warnings: 0 })
    expect(well.code).toBe(0)

    await using quiet = await startNode({ args: ['--orders-db', 'no', '--requirepass', 'geheim'] })
    const at = { ...env, STOCKD_NODE: `127.0.0.1:${quiet.port}` }
    const locked = await tool({ ...at, STOCKD_NODE_PASSWORD: 'wrong' }, 'doctor')
    expect(locked.code).toBe(2)
    expect(locked.stdout).toMatch(/^ERROR +node 127\.0\.0\.1:\d+ wants another password/m)
    const silent = await tool({ ...at, STOCKD_NODE_PASSWORD: 'geheim' }, 'doctor')
    expect(silent.code).toBe(1)
    expect(silent.stdout).toMatch(/nobody takes its events.*\n +-> start it with --amqp/)
    expect(silent.stdout).toMatch(/stream n0_\w+-1 has node number 0, as node 127\.0\.0\.1:\d+ has: another node, or its log before/)
    await using twin = await startNode()
    const both = await tool({ ...env, STOCKD_NODE: `${env.STOCKD_NODE},127.0.0.1:${twin.port}` }, 'doctor')
    expect(both.code).toBe(2)
    expect(both.stdout).toMatch(/^ERROR +nodes \S+ and \S+: both have node number 0: .*\n +-> give each node its own --node-number/m)

    const dead = await tool(
      { STOCKD_NODE: NOWHERE, STOCKD_ORDERS_STORE: `mysql://u:geheim@${NOWHERE}/x`, STOCKD_AMQP: `amqp://u:geheim@${NOWHERE}` },
      'doctor',
    )
    expect(dead.code).toBe(2)
    expect(dead.stdout).toMatch(/\n3 errors, 0 warnings\n$/)
    expect(dead.stdout + dead.stderr + locked.stdout + silent.stdout).not.toContain('geheim')
  })

  it("doctor says that a file cannot be read, is none, or is another program's", async () => {
    const dir = tempDir()
    const other = new DatabaseSync(join(dir, 'other.db'))
    other.exec('CREATE TABLE t (a)')
    other.close()
    const of = async (path: string): Promise<string> => (await tool({ ...env, STOCKD_ORDERS_STORE: `sqlite:${path}` }, 'doctor')).stdout
    expect(await of(join(dir, 'other.db'))).toMatch(/^ERROR .* is a database of another program/m)
    expect(await of(join(dir, 'none.db'))).toMatch(/^ERROR .* does not exist/m)
    chmodSync(join(dir, 'other.db'), 0o000)
    if (process.getuid?.() !== 0) expect(await of(join(dir, 'other.db'))).toMatch(/^ERROR /m)
  })
})

describe('on a file', () => {
  /** 2,000 events, of which those of `dead` were not taken. */
  async function fileWith(dead: (pseq: number) => boolean): Promise<{ path: string; story: OrderStory }> {
    const path = join(tempDir(), 'orders.db')
    const store = new SqliteStore({ path, mode: 'own', now: Date.now })
    const story = new OrderStory({ seed: 7, start: 1_700_000_000_000 }).tell(2000)
    for (const events of story.byPart().values()) {
      await store.apply({ ...batchOf(events), events: events.map((event) => (dead(event.pseq) ? poisoned(event) : incoming(event))) })
    }
    await store.close()
    return { path, story }
  }

  it('dead lists, shows, replays and discards', async () => {
    const { path, story } = await fileWith((pseq) => pseq === 3)
    const env = { STOCKD_ORDERS_STORE: `sqlite:${path}` }
    const parts = [...story.byPart()].filter(([, events]) => events.length >= 3).map(([part]) => part)
    const listed = await tool(env, 'dead', 'list')
    expect(listed.code).toBe(2)
    expect(listed.stdout.split('\n').filter((line) => line.includes('Data too long'))).toHaveLength(parts.length)
    expect((JSON.parse((await tool(env, 'dead', 'list', '--json')).stdout) as { events: object[] }).events).toHaveLength(parts.length)
    const [part] = parts
    const shown = await tool(env, 'dead', 'show', String(part), '3')
    expect(shown.code).toBe(0)
    expect(shown.stdout).toContain(`"id": "${story.byPart().get(part)?.[2].body.id}"`)
    expect((await tool(env, 'dead', 'show', String(part), '4')).code).toBe(1)
    expect((await tool(env, 'dead', 'discard', String(part), '3')).code).toBe(4)
    expect(await tool(env, 'dead', 'discard', String(part), '3', '--note', 'a test order')).toMatchObject({ code: 0 })
    expect((await tool(env, 'dead', 'show', String(part), '3')).stdout).toMatch(/state +discarded\n.*\n.*\n.*\nnote +a test order/)
    // One of those left was never an event at all.
    const db = new DatabaseSync(path)
    db.exec(`UPDATE dead_events SET payload = CAST('{' AS BLOB) WHERE part = ${parts[1]}`)
    db.close()
    const replayed = await tool(env, 'dead', 'replay', '--all')
    expect(replayed.code).toBe(2)
    expect(replayed.stdout).toMatch(new RegExp(`^part ${parts[1]}, number 3: .*\\n${parts.length - 2} stored, 1 cannot be stored\\n$`))
    expect(await tool(env, 'dead', 'replay', String(part), '3')).toMatchObject({ code: 0, stdout: '1 stored, 0 cannot be stored\n' })
    expect((await tool(env, 'dead', 'replay')).code).toBe(4)
    expect((await tool(env, 'dead')).stderr).toBe('stockd-orders: dead what: list, show, replay, discard? (--help tells more)\n')
  })

  it('archive moves what is over, and counts', async () => {
    const { path, story } = await fileWith(() => false)
    const env = { STOCKD_ORDERS_STORE: `sqlite:${path}` }
    const over = story.orders.filter(({ state }) => state !== 'RESERVED').length
    expect(await tool(env, 'archive', '--older-than', '90d', '--dry-run')).toMatchObject({
      code: 0,
      stdout: `would archive ${over} orders\n`,
    })
    expect((await tool(env, 'archive', '--older-than', 'long')).code).toBe(4)
    const moved = await tool(env, 'archive', '--older-than', '90d', '--batch', '7', '--json')
    expect(moved.code).toBe(0)
    const { length } = story.orders
    expect(JSON.parse(moved.stdout)).toMatchObject({
      ...{ moved: over, left: 0, isWhole: true, isInterrupted: false },
      counts: { before: { live: length, history: 0 }, after: { live: length - over, history: over } },
    })
    expect((await tool(env, 'archive', '--older-than', '90d')).stdout).toMatch(/^nothing to archive/)
    const store = new SqliteStore({ path, mode: 'read', now: Date.now })
    expect(await store.verify()).toEqual([])
    await store.close()
  })

  it('archive that is interrupted ends with a whole batch, and the next one goes on', async () => {
    const { path, story } = await fileWith(() => false)
    const over = story.orders.filter(({ state }) => state !== 'RESERVED').length
    const store = new SqliteStore({ path, mode: 'read', now: Date.now })
    const child = spawn(process.execPath, [STOCKD_ORDERS, 'archive', '--older-than', '90d', '--batch', '1', '--json'], {
      env: { ...process.env, STOCKD_ORDERS_STORE: `sqlite:${path}` },
    })
    let printed = ''
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
    const ended = once(child, 'close')
    await eventually('some orders to be archived', async () => (await store.stats()).history > 0, 30_000)
    child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
    const told = JSON.parse(printed) as { moved: number; left: number }
    expect(told).toMatchObject({ isInterrupted: true, isWhole: true })
    expect(told.moved).toBeLessThan(over)
    expect(told.moved + told.left).toBe(over)
    expect(await store.verify()).toEqual([])
    const rest = await tool({ STOCKD_ORDERS_STORE: `sqlite:${path}` }, 'archive', '--older-than', '90d', '--json')
    expect(JSON.parse(rest.stdout)).toMatchObject({ moved: told.left, left: 0, isWhole: true })
    await store.close()
  })

  it('cursor shows what it would mean, does it only with --yes, and keeps the note', async () => {
    const { path, story } = await fileWith(() => false)
    const env = { STOCKD_ORDERS_STORE: `sqlite:${path}` }
    const [[part, events]] = story.byPart()
    const last = events.length
    expect((await tool(env, 'cursor', 'list')).stdout).toMatch(new RegExp(`^${story.stream} +${part} +1 +${last} `, 'm'))
    const meant = await tool(env, 'cursor', 'set', String(part), String(last + 5), '--note', 'log lost')
    expect(meant.code).toBe(2)
    expect(meant.stdout).toMatch(
      new RegExp(`^events ${last + 1} to ${last + 5} \\(5 of them\\) of part ${part} .* will never be in this database`),
    )
    expect((await tool(env, 'cursor', 'set', String(part), String(last), '--note', 'x', '--yes')).code).toBe(4)
    expect((await tool(env, 'cursor', 'set', String(part), String(last + 5), '--note', 'log lost', '--yes')).code).toBe(0)
    expect((await tool(env, 'cursor', 'list')).stdout).toMatch(new RegExp(`^${story.stream} +${part} +1 +${last + 5} `, 'm'))
    expect((await tool(env, 'stats')).stdout).toMatch(/^given up +5 events/m)
  })
})

describe.skipIf(!HAS_MARIADB || !HAS_RABBITMQ)('with RabbitMQ and MariaDB', () => {
  let way: Way

  beforeAll(async () => {
    way = await startWay({ databases: 2, tables: 4 })
    await using client = await way.node.connect()
    await sell(client, 'w', 200)
    await way.arrives()
  }, 240_000)

  afterAll(async () => {
    await way?.[Symbol.asyncDispose]()
  })

  const passwordless = (finished: Finished): void => {
    expect(finished.stdout + finished.stderr).not.toMatch(/c4rrier|geheim|guest:guest/)
  }

  it('reconcile compares all three, and says where events wait', async () => {
    const equal = await way.orders('reconcile')
    expect(equal.stdout).toMatch(/\nequal: \d+ orders, 2 SKUs\n$/)
    expect(equal.stdout).toContain('its queues are empty')
    expect(equal.code).toBe(0)
    passwordless(equal)

    await way.stop('consumer')
    await using client = await way.node.connect()
    await sell(client, 'x', 30)
    const waiting = await eventually(
      'the events to be in the queues',
      async () => {
        const finished = await way.orders('reconcile', '--wait', '1')
        return /\d+ events? waits? in the queue: is a consumer running|events wait in its queues/.test(finished.stdout) ? finished : null
      },
      60_000,
    )
    expect(waiting.code).toBe(1)
    expect(waiting.stdout).toMatch(/\d+ orders differ only by events that have not come yet/)
    expect(waiting.stdout).toMatch(/\d+ events? wait in the queue: is a consumer running \(stockd-orders run\)\?/)
    const ill = await way.orders('doctor')
    expect(ill.stdout).toMatch(
      /ERROR.*are not stored, and nothing moves in (part|all).*\n +-> they wait in the broker: start stockd-orders run/,
    )
    expect(ill.stdout).toMatch(/^ERROR +queues: no consumer runs: \d+ events wait there\n +-> start stockd-orders run/m)
    expect(ill.code).toBe(2)
    await way.start('consumer')
    // Waiting is enough.
    const waited = await way.orders('reconcile', '--wait', '60')
    expect(waited.stdout).toMatch(/\nequal: /)
    // Without a consumer all is stored, and still not well.
    await way.stop('consumer')
    const idle = await way.orders('doctor')
    expect(idle.stdout).toMatch(/^WARNING +queues: no consumer runs: orders to come will wait there$/m)
    await way.start('consumer')
    await eventually(
      'the consumer to take from all queues',
      async () => !(await way.orders('doctor')).stdout.includes('queues: no'),
      60_000,
    )
  }, 240_000)

  it('reconcile --fix brings lost rows and dead events back', async () => {
    await way.sql(async (query) => {
      for (const database of await way.databases(query)) {
        for (let table = 0; table < way.size.tables; table++) {
          await query(`DELETE FROM \`${database}\`.orders_0${table} WHERE id LIKE '%w1__'`)
        }
      }
    })
    const found = await way.orders('reconcile')
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/^order \{u\d\}w1\d\d: the node has it \w+ \(version \d\), the database does not have it$/m)
    const fixed = await way.orders('reconcile', '--fix')
    expect(fixed.stdout).toMatch(/\nequal: /)
    expect(fixed.code).toBe(0)
  }, 240_000)

  it('names of any bytes lead from list to show', async () => {
    await using client = await way.node.connect()
    await expectAnyNames(client, (...args) => way.orders(...args))
  }, 120_000)

  it('archive moves orders in all tables, and reconcile still finds them', async () => {
    const moved = await way.orders('archive', '--older-than', '0s', '--batch', '10', '--json')
    expect(JSON.parse(moved.stdout)).toMatchObject({ isWhole: true, left: 0 })
    expect((await way.orders('reconcile')).stdout).toMatch(/\nequal: /)
  }, 240_000)

  it('doctor finds each fault, with what to run', async () => {
    const well = await way.orders('doctor')
    expect(well.stdout).not.toMatch(/^ERROR/m)
    const check = async (env: Readonly<Record<string, string>>, ...patterns: readonly RegExp[]): Promise<void> => {
      const finished = await run([process.execPath, STOCKD_ORDERS, 'doctor', '--timeout', '10', ...way.layoutArgs], {
        env: { STOCKD_AMQP: way.amqp, STOCKD_ORDERS_STORE: way.store, STOCKD_NODE: `127.0.0.1:${way.nodePort}`, ...env },
      })
      for (const pattern of patterns) expect(finished.stdout).toMatch(pattern)
      expect(finished.code).toBeGreaterThan(0)
      passwordless(finished)
    }
    const root = way.database.origin
    await check(
      { STOCKD_ORDERS_STORE: way.store.replace('c4rrier', 'geheim') },
      /^ERROR .*(does not know this user or password|Access denied)/m,
    )
    await check({ STOCKD_ORDERS_STORE: way.store.replace('127.0.0.1', 'no.such.host.invalid') }, /^ERROR .*(no.such.host.invalid)/m)
    await way.database.query(`CREATE OR REPLACE USER poor@'%' IDENTIFIED BY 'geheim'`)
    await way.database.query(`GRANT SELECT, INSERT ON \`${way.name}%\`.* TO poor@'%'`)
    await check(
      { STOCKD_ORDERS_STORE: way.database.url(way.name, 'poor:geheim') },
      /lacks UPDATE, DELETE on .*\n +-> .*GRANT UPDATE, DELETE ON `\w+`\.\* TO 'poor'@'%'/,
    )
    await check({ STOCKD_ORDERS_STORE: `${root}/nothing_here` }, /^ERROR .*migrate/m)
    await way.database.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2')
    await check({}, /innodb_flush_log_at_trx_commit is 2.*\n +-> SET GLOBAL innodb_flush_log_at_trx_commit = 1/)
    await way.database.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
    await way.database.query('SET GLOBAL read_only = 1')
    await check({}, /read_only is ON: nothing can be stored/)
    await way.database.query('SET GLOBAL read_only = 0')

    // The least that a consumer needs, as the README gives it, is enough for everything.
    await way.rabbit.ctl('add_user', 'carrier', 'c4rrier')
    await way.rabbit.ctl('set_permissions', 'carrier', '^$', String.raw`^stock\.(control|dlx)$`, String.raw`^stock\.orders\.`)
    const least = await run([process.execPath, STOCKD_ORDERS, 'doctor', '--json', ...way.layoutArgs], {
      env: {
        STOCKD_AMQP: way.rabbit.urlFor('carrier', 'c4rrier'),
        STOCKD_ORDERS_STORE: way.store,
        STOCKD_NODE: `127.0.0.1:${way.nodePort}`,
      },
    })
    expect(JSON.parse(least.stdout)).toMatchObject({ errors: 0, warnings: 0 })
    expect(least.code).toBe(0)

    await way.rabbit.ctl('add_user', 'poor', 'geheim')
    await check({ STOCKD_AMQP: way.rabbit.urlFor('guest', 'geheim') }, /^ERROR .*amqp:.*password/m)
    await check({ STOCKD_AMQP: way.rabbit.urlFor('guest', 'guest', 'elsewhere') }, /^ERROR .*elsewhere.*add_vhost/m)
    await check({ STOCKD_AMQP: way.rabbit.urlFor('poor', 'geheim') }, /^ERROR .*set_permissions/m)
    await check({ STOCKD_AMQP: `amqp://guest:guest@127.0.0.1:9` }, /^ERROR .*amqp:\/\/127.0.0.1:9/m)
    const other = await run([process.execPath, STOCKD_ORDERS, 'doctor', '--amqp-queue-bytes', '5000000', ...way.layoutArgs], {
      env: { STOCKD_AMQP: way.amqp, STOCKD_ORDERS_STORE: way.store, STOCKD_NODE: `127.0.0.1:${way.nodePort}` },
    })
    expect(other.stdout).toMatch(/^ERROR .*queue stock\.orders\.00.*x-max-length-bytes/m)
  }, 240_000)

  it('doctor ends in time when servers stand still', async () => {
    process.kill(way.database.pid, 'SIGSTOP')
    way.node.signal('SIGSTOP')
    try {
      const finished = await run([process.execPath, STOCKD_ORDERS, 'doctor', '--timeout', '2', ...way.layoutArgs], {
        env: { STOCKD_AMQP: way.amqp, STOCKD_ORDERS_STORE: way.store, STOCKD_NODE: `127.0.0.1:${way.nodePort}` },
        deadlineMs: 30_000,
      })
      expect(finished.code).toBe(2)
      expect(finished.stdout.match(/^ERROR.*(does not answer|in time)/gm)).toHaveLength(2)
    } finally {
      process.kill(way.database.pid, 'SIGCONT')
      way.node.signal('SIGCONT')
    }
  }, 120_000)
})
