// Every class of ORDERS.md 5, provoked on a real MariaDB: what went wrong, and what the store says it means.

import { createConnection, type Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asStoreError } from '../../../src/orders/store/mysql/error-classes.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/orders/store/mysql/mysql-store.ts'
import { StoreError } from '../../../src/orders/store/store-error.ts'
import type { EventBatch } from '../../../src/orders/store/store.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB, startMariaDb, type MariaDb } from '../../support/mariadb.ts'
import { batchOf, OrderStory, type StoryEvent } from '../../support/order-story.ts'

describe.skipIf(!HAS_MARIADB)('an error of MariaDB', () => {
  let server: MariaDb
  const opened: MysqlStore[] = []

  beforeAll(async () => {
    server = await startMariaDb({ args: ['--max-connections=30'] })
  })

  afterAll(async () => {
    for (const store of opened) await store.close()
    await server.kill9()
  })

  function open(url: string, options: Partial<MysqlStoreOptions> = {}): MysqlStore {
    const store = new MysqlStore({ urls: [url], now: () => Date.now(), connectTimeoutMs: 2000, ...options })
    opened.push(store)
    return store
  }

  /** A store with tables, the events of a part, and its database's name. */
  async function rig(options: Partial<MysqlStoreOptions> = {}): Promise<{
    store: MysqlStore
    url: string
    name: string
    batch: EventBatch
    events: readonly StoryEvent[]
  }> {
    const url = server.fresh('errors')
    const store = open(url, options)
    await store.migrate()
    const parts = [...new OrderStory({ seed: 1 }).tell(40).byPart().values()]
    const events = parts.find((ofPart) => ofPart.some(({ body: { order } }) => order !== null)) ?? []
    return { store, url, name: url.slice(url.lastIndexOf('/') + 1), batch: batchOf(events), events }
  }

  async function refused(attempt: Promise<unknown>): Promise<StoreError> {
    const error: unknown = await attempt.then(
      () => new Error('it was done'),
      (reason: unknown) => reason,
    )
    if (!(error instanceof StoreError)) throw error
    expect(error.message).not.toContain('secret')
    return error
  }

  async function locker(sql: string): Promise<Connection> {
    const connection = await createConnection(`${server.origin}/mysql`)
    await connection.query('START TRANSACTION')
    await connection.query(sql)
    return connection
  }

  it('that nobody listens is waited for', async () => {
    const store = open('mysql://ann:secret@127.0.0.1:1/orders')
    expect(await refused(store.probe())).toMatchObject({ kind: 'wait', code: 'ECONNREFUSED' })
    expect(store.name).toBe('mysql://ann@127.0.0.1:1/orders')
  })

  it('that the host is not known is waited for', async () => {
    expect(await refused(open('mysql://ann:secret@no-such-host.invalid/orders').probe())).toMatchObject({ kind: 'wait' })
  })

  it('that a connection was killed is waited for, and the next attempt has a new one', async () => {
    const { store, name, batch } = await rig({ connectionsMax: 1 })
    await store.probe()
    const holder = await locker(`SELECT * FROM ${name}.stockd_layout FOR UPDATE`)
    const attempt = refused(store.probe())
    const [{ id }] = await eventually('the probe to wait for the lock', async () => {
      const found = await server.query(
        `SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE%${name}%' AND command = 'Query'`,
      )
      return found.length > 0 ? found : null
    })
    await server.query(`KILL ${String(id)}`)
    expect(await attempt).toMatchObject({ kind: 'wait' })
    holder.destroy()
    expect(await store.apply(batch)).toMatchObject({ stored: batch.events.length })
  })

  it('1040 too many connections is waited for, and passes when there is room', async () => {
    const { store, name, batch } = await rig({ connectionsMax: 2 })
    await store.close()
    const others: Connection[] = []
    try {
      for (;;) others.push(await createConnection(`${server.origin}/`))
    } catch (error) {
      expect(error).toMatchObject({ errno: 1040 })
    }
    const second = open(server.url(name), { connectionsMax: 2 })
    expect(await refused(second.apply(batch))).toMatchObject({ kind: 'wait', code: '1040' })
    for (const other of others) other.destroy()
    const outcome = await eventually('a connection to be free', () => second.apply(batch))
    expect(outcome).toMatchObject({ stored: batch.events.length })
  })

  it('1290 read-only is waited for', async () => {
    const { name, batch } = await rig()
    await server.query(`CREATE USER writer IDENTIFIED BY 'secret'`)
    await server.query(`GRANT ALL ON \`${name}\`.* TO writer`)
    const store = open(server.url(name, 'writer:secret'))
    await server.query('SET GLOBAL read_only = 1')
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'wait', code: '1290' })
    expect(await refused(store.probe())).toMatchObject({ kind: 'wait', code: '1290' })
    const findings = await store.examine()
    expect(findings).toContainEqual(expect.objectContaining({ level: 'error', says: expect.stringContaining('read_only is ON') }))
    await server.query('SET GLOBAL read_only = 0')
    await store.probe()
    expect(await store.apply(batch)).toMatchObject({ stored: batch.events.length })
  })

  it('1792 in a read-only transaction is waited for', async () => {
    const { name } = await rig()
    const connection = await createConnection(`${server.origin}/${name}`)
    await connection.query('START TRANSACTION READ ONLY')
    const error: unknown = await connection.query('INSERT INTO consumers VALUES (1, 1)').catch((reason: unknown) => reason)
    connection.destroy()
    expect(asStoreError(error, 'here')).toMatchObject({ kind: 'wait', code: '1792' })
  })

  it('1205 a lock that is held too long is tried again', async () => {
    const { store, name, batch, events } = await rig()
    await store.apply(batchOf(events.slice(0, 1)))
    const holder = await locker(`SELECT * FROM ${name}.outbox_cursor FOR UPDATE`)
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'again', code: '1205' })
    holder.destroy()
    const outcome = await eventually('the lock to be free', () => store.apply(batch))
    expect(outcome).toMatchObject({ seen: 1, stored: batch.events.length - 1 })
  })

  it('1213 a deadlock is tried again, and nothing of the batch is there', async () => {
    const { store, name, batch, events } = await rig()
    await store.apply(batchOf(events.slice(0, 1)))
    // The other has more to lose, so the server gives up ours. It holds the ledger and wants the cursor; we hold the cursor.
    const other = await locker(`UPDATE ${name}.sku_ledger SET total = total`)
    await other.query(`INSERT INTO ${name}.consumers SELECT seq, 1 FROM ${name}.seq_1_to_5000`)
    const attempt = refused(store.apply(batch))
    await eventually('the batch to hold the cursor', async () => {
      // Not information_schema's view of locks: who asks it more often than ten times a second gets the same old answer.
      const [{ Status }] = await server.query('SHOW ENGINE INNODB STATUS')
      return new RegExp(`table \`${name}\`\\.\`sku_ledger\` .* waiting`).test(String(Status))
    })
    const wants = other.query(`SELECT * FROM ${name}.outbox_cursor FOR UPDATE`)
    expect(await attempt).toMatchObject({ kind: 'again', code: '1213' })
    await wants
    other.destroy()
    const outcome = await eventually('the locks to be free', () => store.apply(batch))
    expect(outcome).toMatchObject({ seen: 1, stored: batch.events.length - 1 })
    expect(await store.verify()).toEqual([])
  })

  const body = (batch: EventBatch, change: object): EventBatch => ({
    ...batch,
    events: batch.events.map((event) =>
      event.body === null || event.body.order === null ? event : { ...event, body: { ...event.body, ...change } },
    ),
  })

  it('of a value that does not fit is poison: 1406, 1264, 1366, a failed CHECK, and none of the batch is there', async () => {
    const { store, name, batch } = await rig()
    const items = batch.events.flatMap((event) => event.body?.items ?? [])
    expect(await refused(store.apply(body(batch, { ref: 'x'.repeat(300) })))).toMatchObject({ kind: 'poison', code: '1406' })
    expect(await refused(store.apply(body(batch, { version: 2 ** 40 })))).toMatchObject({ kind: 'poison', code: '1264' })
    const odd = { ...items[0], price: 'much' }
    expect(await refused(store.apply(body(batch, { items: [odd] })))).toMatchObject({ kind: 'poison', code: '1366' })
    await server.query(`ALTER TABLE ${name}.orders_00 ADD CONSTRAINT impossible CHECK (version > 1000)`)
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'poison', code: '4025' })
    await server.query(`ALTER TABLE ${name}.orders_00 DROP CONSTRAINT impossible, MODIFY buyer VARBINARY(128) NOT NULL`)
    expect(await refused(store.apply(body(batch, { buyer: null })))).toMatchObject({ kind: 'poison', code: '1048' })
    expect((await store.stats()).events).toBe(0)
    expect(await store.cursors()).toEqual([])
  })

  it('1153 an event that is larger than the server takes is poison', async () => {
    const { name, batch } = await rig()
    await server.query('SET GLOBAL max_allowed_packet = 16384')
    const [first] = batch.events
    const store = open(server.url(name))
    const large = { ...batch, events: [{ ...first, payload: Buffer.alloc(100_000, 'x') }] }
    const error = await refused(store.apply(large))
    await server.query('SET GLOBAL max_allowed_packet = 16777216')
    // The server may close the connection before its error was read: then it looks like an outage.
    expect(['1153', 'ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST']).toContain(error.code)
    if (error.code === '1153') expect(error.kind).toBe('poison')
  })

  it('1114 a full table is waited for', async () => {
    const { name, store, batch } = await rig()
    // A table of the memory engine is full after max_heap_table_size.
    await server.query(`DROP TABLE ${name}.sku_ledger`)
    await server.query(`SET GLOBAL max_heap_table_size = 16384`)
    const filler = await createConnection(`${server.origin}/${name}`)
    await filler.query(
      `CREATE TABLE sku_ledger (stream VARBINARY(64), part TINYINT, sku VARBINARY(256), generation INT, total BIGINT, available BIGINT,
       reserved BIGINT, sold BIGINT, PRIMARY KEY (stream, part, sku, generation)) ENGINE=MEMORY`,
    )
    await filler.query(`INSERT INTO sku_ledger SELECT 'x', 1, seq, 1, 0, 0, 0, 0 FROM seq_1_to_100000`).catch(() => {})
    filler.destroy()
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'wait', code: '1114' })
  })

  it('1045 and 1044, 1142 of rights name what is missing, with the alarm of what nobody knows', async () => {
    const { name, batch } = await rig()
    expect(await refused(open(server.url(name, 'nobody:secret')).probe())).toMatchObject({ kind: 'unknown', code: '1045' })

    await server.query(`CREATE USER reader IDENTIFIED BY 'secret'`)
    await server.query(`GRANT SELECT ON \`${name}\`.* TO reader`)
    const store = open(server.url(name, 'reader:secret'))
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'unknown', code: '1142' })
    expect(await store.examine()).toContainEqual({
      level: 'error',
      about: store.name,
      says: `this user lacks INSERT, UPDATE, DELETE on ${name}`,
      remedy: `as an administrator: GRANT INSERT, UPDATE, DELETE ON \`${name}\`.* TO 'reader'@'%'`,
    })
    expect(await refused(open(server.url('mysql_elsewhere', 'reader:secret')).migrate())).toMatchObject({ kind: 'unknown', code: '1044' })
  })

  it('1146 a missing table says what to run', async () => {
    const { store, name, batch } = await rig()
    await server.query(`DROP TABLE ${name}.order_items_00`)
    const error = await refused(store.apply(batch))
    expect(error).toMatchObject({ kind: 'unknown', code: '1146' })
    expect(error.message).toContain('run stockd-orders migrate')
    expect(await store.cursors()).toEqual([])
  })

  it('that nobody knows is unknown, and never poison', async () => {
    const { store, name, batch } = await rig()
    await server.query(
      `CREATE TRIGGER ${name}.odd BEFORE INSERT ON ${name}.order_events FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 5999, MESSAGE_TEXT = 'odd'`,
    )
    expect(await refused(store.apply(batch))).toMatchObject({ kind: 'unknown', code: '5999' })
  })

  it('of the store itself is no error of the database', () => {
    const bug = new TypeError('x is not a function')
    expect(asStoreError(bug, 'here')).toBe(bug)
    const known = new StoreError('poison', 'PAGE', 'no')
    expect(asStoreError(known, 'here')).toBe(known)
  })

  it.each([
    [1213, 'again'],
    [1020, 'again'],
    [1047, 'wait'],
    [1053, 'wait'],
    [1129, 'wait'],
    [1836, 'wait'],
    [1021, 'wait'],
    [2013, 'wait'],
    [1452, 'poison'],
    [3819, 'poison'],
  ])('%i, which cannot be provoked here, is of class %s', (errno, kind) => {
    const error = Object.assign(new Error('said the server'), { errno, code: 'ER_SOMETHING', sql: 'INSERT secret' })
    const told = asStoreError(error, 'mysql://ann@host:3306/orders')
    expect(told).toMatchObject({ kind, code: String(errno) })
    expect(JSON.stringify(error)).not.toContain('secret')
  })
})
