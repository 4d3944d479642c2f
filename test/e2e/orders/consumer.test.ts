// RabbitMQ -> stockd-orders -> MariaDB, all real, with a stand-in for the node (story-publisher.ts). Whatever is killed or breaks on the way:
// counted in the database afterwards, nothing is lost and nothing is there twice.

import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MysqlStore } from '../../../src/orders/store/mysql/mysql-store.ts'
import { Random } from '../../../src/base/random.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB, startMariaDb, type MariaDb } from '../../support/mariadb.ts'
import { HAS_RABBITMQ, startRabbitMq, type RabbitMq } from '../../support/rabbitmq.ts'
import type { Server } from '../../support/server.ts'
import { says, startConsumer } from './consumer-process.ts'
import { StoryPublisher } from './story-publisher.ts'

const SEED = Number(process.env.STOCKD_SEED ?? Date.now() % 1_000_000)
const MISTYPED = 'rihgt-4711'
/** Shorter than in earnest, so that takeovers and outages fit into a test. */
const FAST = ['--lease-ms', '3000', '--hold-ms', '3000']

describe.skipIf(!HAS_MARIADB || !HAS_RABBITMQ)('stockd-orders run', () => {
  let rabbit: RabbitMq
  let database: MariaDb
  const consumers: Server[] = []
  let publisher: StoryPublisher | null = null
  let count = 0

  beforeAll(async () => {
    ;[rabbit, database] = await Promise.all([startRabbitMq(), startMariaDb({ args: ['--max-connections=60'] })])
  }, 180_000)

  afterEach(async () => {
    await publisher?.close()
    publisher = null
    await Promise.all(consumers.splice(0).map((consumer) => consumer.kill9()))
  })

  afterAll(async () => {
    await rabbit?.end()
    await database?.[Symbol.asyncDispose]()
  })

  /** Names that no other test has. */
  function scene(options: { databases?: number; tables?: number; markEvery?: number } = {}) {
    const { databases = 1, tables = 1, markEvery = 0 } = options
    const name = `c${++count}`
    const store = database.fresh(name)
    const layout = ['--databases', String(databases), '--tables', String(tables)]
    const publishing = new StoryPublisher({
      ...{ url: rabbit.url, prefix: name },
      story: { seed: SEED + count, skus: 20, buyers: 500, markEvery, start: Date.now() },
    })
    publisher = publishing
    const consume = (...args: string[]): Server => {
      const all = [...FAST, ...layout, '--amqp-prefix', name, ...args]
      const consumer = startConsumer({ amqp: rabbit.url, store, args: all })
      consumers.push(consumer)
      return consumer
    }
    const open = (): MysqlStore => new MysqlStore({ urls: [store], databases, tables, now: Date.now })
    /** Everything that was told is in the database, each event once, in its place, and nothing else. */
    const complete = async (deadlineMs = 120_000): Promise<void> => {
      const mysql = open()
      try {
        await eventually(
          `all ${publishing.story.events.length} events to be stored (seed ${SEED})`,
          async () => {
            const cursors = await mysql.cursors()
            return publishing.logs.every((log, part) => (cursors.find((cursor) => cursor.part === part)?.pseq ?? 0) >= log.length)
          },
          deadlineMs,
        )
        expect(await mysql.verify()).toEqual([])
        const stats = await mysql.stats()
        expect(stats.events + stats.deadEvents).toBe(publishing.story.events.length)
        const cursors = Object.fromEntries(stats.cursors.map(({ part, pseq }) => [part, pseq]))
        expect(cursors).toEqual(Object.fromEntries(publishing.logs.flatMap((log, part) => (log.length > 0 ? [[part, log.length]] : []))))
      } catch (error) {
        const printed = consumers.map((consumer) => consumer.log().slice(-3000)).join('\n---\n')
        throw new Error(`${(error as Error).message}\n${printed}\n--- RabbitMQ:\n${rabbit.log().slice(-6000)}`, { cause: error })
      } finally {
        await mysql.close()
      }
      await compareOrders(publishing, open())
    }
    return { name, store, publishing, consume, open, complete }
  }

  it('stores a story, 1 x 1, and tells the node', { timeout: 180_000 }, async () => {
    const { publishing, consume, complete } = scene({ markEvery: 200 })
    const consumer = consume()
    publishing.tell(3000)
    await complete()
    await eventually('the node to hear that all is stored', () => publishing.isStored)
    expect(consumer.log()).not.toContain('ALARM')
    expect(await consumer.stop()).toEqual({ code: 0, signal: null })
    expect(consumer.log()).toMatch(/ stopped stored=\d+/)
  })

  it('stores a story, 16 x 64', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene({ databases: 16, tables: 64 })
    consume()
    publishing.tell(1500)
    await complete(240_000)
  })

  it('survives kill -9 of consumers under load; two share the parts, and one takes over from the other', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene({ markEvery: 300 })
    const random = new Random(SEED)
    consume('--name', 'first', '--batch', '50')
    consume('--name', 'second', '--batch', '50')
    for (let round = 1; round <= 5; round++) {
      publishing.tell(600)
      await eventually(
        'some of it to be stored',
        () => publishing.stored.some((pseq, part) => pseq > publishing.logs[part].length / 2),
        60_000,
      )
      await consumers[random.below(2)].kill9()
      const at = consumers.findIndex(({ exit }) => exit !== null)
      consumers.splice(at, 1)
      publishing.tell(200)
      consume('--name', `again${round}`, '--batch', '50')
    }
    await complete()
    expect(consumers.map((consumer) => consumer.log()).join('')).not.toContain('ALARM')
  })

  it('survives kill -9 of the database, and of the broker, under load', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene()
    const consumer = consume('--batch', '50')
    // RabbitMQ 3.10 that is killed within seconds of making a quorum queue may have it in its list and never answer for it again: here it
    // has had the time to write down what it knows of them.
    publishing.tell(100)
    await complete()
    await rabbit.restart()
    for (let round = 1; round <= 3; round++) {
      publishing.tell(500)
      await eventually('some of it to be stored', () => publishing.stored.some((pseq) => pseq > 0), 60_000)
      await database.kill9()
      publishing.tell(300)
      await says(consumer, /takes no writes/)
      await database.start()
      await rabbit.kill9()
      publishing.tell(100)
      await rabbit.start()
    }
    await complete()
    expect(consumer.exit).toBeNull()
  })

  it('survives a broker whose data directory is new', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene()
    consume()
    publishing.tell(300)
    await eventually('some of it to be stored', () => publishing.stored.some((pseq) => pseq > 0), 60_000)
    await rabbit.kill9()
    rabbit.wipe()
    publishing.tell(300)
    await rabbit.start()
    await complete()
  })

  it('notices a database that was restored from an older backup, and has all that is newer sent again', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene()
    const consumer = consume()
    publishing.tell(300)
    await complete()
    await database.stop()
    await cp(join(database.dir, 'data'), join(database.dir, 'backup'), { recursive: true })
    await database.start()
    publishing.tell(300)
    await complete()
    await eventually('the node to hear that all is stored', () => publishing.isStored)

    await database.kill9()
    await rm(join(database.dir, 'data'), { recursive: true })
    await rename(join(database.dir, 'backup'), join(database.dir, 'data'))
    await database.start()
    await eventually('the node to hear that less is stored', () => !publishing.isStored, 60_000)
    publishing.tell(100)
    await complete()
    expect(consumer.exit).toBeNull()
    expect(consumer.log()).not.toContain('ALARM')
  })

  it('holds no message while the database is away for long, and drains when it is back', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete } = scene()
    const consumer = consume('--log-format', 'json')
    publishing.tell(200)
    await eventually('some of it to be stored', () => publishing.stored.some((pseq) => pseq > 0), 60_000)
    await database.kill9()
    publishing.tell(500)
    await says(consumer, /takes no writes/)
    // Held for three seconds here, then given back: every queue counts its messages as ready again.
    await eventually(
      'the messages to be back in their queues',
      async () => {
        const rows = (await rabbit.ctl('list_queues', 'name', 'messages_unacknowledged', 'messages_ready')).split('\n')
        const ours = rows.map((row) => row.split('\t')).filter(([name]) => name.startsWith(`c${count}.orders.`))
        return ours.length === 16 && ours.every(([, unacked]) => unacked === '0') && ours.some(([, , ready]) => Number(ready) > 0)
      },
      60_000,
    )
    await database.start()
    await complete()
    expect(consumer.log()).toContain('takes writes again')
  })

  it('waits while the database takes no writes, or has no connection left', { timeout: 300_000 }, async () => {
    const { publishing, consume, complete, store } = scene()
    const consumer = consume()
    publishing.tell(100)
    await complete()
    // MariaDB lets users with the privilege of all write to a read-only server, so this consumer is one without.
    await consumer.stop()
    await database.query(`CREATE OR REPLACE USER plain@'127.0.0.1' IDENTIFIED BY 'secret'`)
    await database.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO plain@'127.0.0.1'`)
    const name = `c${count}`
    const plain = startConsumer({
      amqp: rabbit.url,
      store: store.replace('root@', 'plain:secret@'),
      args: [...FAST, '--amqp-prefix', name, '--no-migrate'],
    })
    consumers.push(plain)
    await says(plain, /connected to the broker/)
    await database.query('SET GLOBAL read_only = 1')
    publishing.tell(200)
    await says(plain, /takes no writes.*read_only/)
    await database.query('SET GLOBAL read_only = 0')
    await complete()

    const { origin } = database
    const { createConnection } = await import('mysql2/promise')
    await plain.stop()
    const crowd = []
    try {
      for (;;) crowd.push(await createConnection({ uri: `${origin}/` }))
    } catch (error) {
      expect((error as { errno?: number }).errno).toBe(1040)
    }
    const late = consume()
    publishing.tell(200)
    await says(late, /not ready.*max_connections/)
    for (const connection of crowd) connection.destroy()
    await complete()
  })

  it('says what is wrong with a password, and goes on when it is put right', { timeout: 300_000 }, async () => {
    const { publishing, complete, store } = scene()
    await database.query(`CREATE OR REPLACE USER keeper@'127.0.0.1' IDENTIFIED BY 'right'`)
    await database.query(`GRANT ALL ON *.* TO keeper@'127.0.0.1'`)
    const wrongStore = startConsumer({
      amqp: rabbit.url,
      store: store.replace('root@', `keeper:${MISTYPED}@`),
      args: [...FAST, '--amqp-prefix', `c${count}`],
    })
    consumers.push(wrongStore)
    await says(wrongStore, /does not know this user or password/)
    expect(wrongStore.log()).not.toContain(MISTYPED)
    await rabbit.ctl('add_user', `u${count}`, 'right')
    const wrongBroker = startConsumer({
      amqp: rabbit.urlFor(`u${count}`, MISTYPED),
      store,
      args: [...FAST, '--amqp-prefix', `c${count}`],
    })
    consumers.push(wrongBroker)
    await says(wrongBroker, /no broker, trying again for ever/)
    expect(wrongBroker.log()).not.toContain(MISTYPED)
    publishing.tell(100)
    await rabbit.ctl('change_password', `u${count}`, MISTYPED)
    await rabbit.ctl('set_permissions', `u${count}`, '.*', '.*', '.*')
    await database.query(`ALTER USER keeper@'127.0.0.1' IDENTIFIED BY '${MISTYPED}'`)
    await complete()
    expect([wrongStore.exit, wrongBroker.exit]).toEqual([null, null])
    await says(wrongStore, /connected to the broker/)
  })

  it('puts poison aside, alone, with a copy for people', { timeout: 180_000 }, async () => {
    const { publishing, consume, open } = scene()
    publishing.tell(300)
    const part = publishing.logs.findIndex((log) => log.length > 10)
    publishing.spoil(part, 5, Buffer.from('{"schema":99}'))
    consume()
    const mysql = open()
    await eventually('the event to be dead', async () => (await mysql.deadEvents({ state: 'all', limit: 9 })).length > 0, 60_000)
    expect(await mysql.deadEvents({ state: 'all', limit: 9 })).toMatchObject([{ part, pseq: 5, code: 'schema' }])
    await eventually('all to be stored', () => publishing.isStored, 60_000)
    expect(await mysql.verify()).toEqual([])
    const { events, deadEvents } = await mysql.stats()
    expect([events, deadEvents]).toEqual([publishing.story.events.length - 1, 1])
    await mysql.close()
    // RabbitMQ counts every few seconds.
    const copy = new RegExp(`c${count}\\.dlq\t1`)
    await eventually('the copy', async () => copy.test(await rabbit.ctl('list_queues', 'name', 'messages')), 30_000)
  })

  it('bisects to the events that the database does not take, and stores all others', { timeout: 180_000 }, async () => {
    const { store, publishing, consume, open } = scene()
    const mysql = open()
    await mysql.migrate()
    // Too narrow for one type of event.
    await database.query(`ALTER TABLE ${store.split('/').at(-1)}.order_events MODIFY type VARCHAR(14) NOT NULL`)
    publishing.tell(600)
    const isPoison = ({ body }: { body: { type: string } }): boolean => body.type.length > 14
    consume('--no-migrate')
    await eventually('all to be stored', () => publishing.isStored, 60_000)
    const dead = await mysql.deadEvents({ state: 'all', limit: 1000 })
    const planted = publishing.story.events.filter(isPoison).map(({ part, pseq }) => `${part}/${pseq} 1406`)
    expect(planted.length).toBeGreaterThan(5)
    expect(dead.map(({ part, pseq, code }) => `${part}/${pseq} ${code}`).toSorted()).toEqual(planted.toSorted())
    expect((await mysql.stats()).events).toBe(publishing.story.events.length - planted.length)
    await mysql.close()
  })

  it('refuses a wrong flag in one line', async () => {
    const consumer = startConsumer({ amqp: rabbit.url, store: 'sqlite::memory:', args: ['--batch', 'many'] })
    expect(await consumer.exited).toEqual({ code: 4, signal: null })
    expect(consumer.log()).toMatch(/^stockd-orders: .*--batch.*\n$/)
  })
})

/** Of every order, the database shows what the story ended with. */
async function compareOrders(publishing: StoryPublisher, store: MysqlStore): Promise<void> {
  try {
    const last = new Map<string, { version: number; state: string | null }>()
    for (const { body } of publishing.story.events) {
      if (body.order !== null) last.set(body.order, { version: body.version, state: body.state })
    }
    let found = 0
    for (let after: string | null = null; ;) {
      const page = await store.orders({ limit: 500, after, withHistory: true })
      for (const { id, version, state } of page.orders) {
        found++
        expect({ id, version, state }).toEqual({ id, ...last.get(id) })
      }
      if (page.next === null) break
      after = page.next
    }
    expect(found).toBe(last.size)
  } finally {
    await store.close()
  }
}
