// Node -> RabbitMQ -> stockd-orders -> MariaDB, all real, under load. Whatever happens on the way, afterwards the seller, the node and the
// database know the same: every order that was accepted, once (oracle.ts counts in plain SQL).
//
// The stations are started once; each test goes on where the one before ended, so that the last ones work on a history of everything.
// STOCKD_SEED replays the moments of the kills, as far as the machine does.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect as connectAmqp } from 'amqplib'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB } from '../../support/mariadb.ts'
import { judge, type Verdict } from '../../support/oracle.ts'
import { freePort } from '../../support/port.ts'
import { HAS_RABBITMQ, RABBITMQ_BIN } from '../../support/rabbitmq.ts'
import { run } from '../../support/run.ts'
import { Seller } from '../../support/seller.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { PASSWORD, startWay, STATIONS, USER, type Station, type Way } from '../../support/way.ts'

const SEED = Number(process.env.STOCKD_SEED ?? Date.now() % 1_000_000)
const ROUNDS = Number(process.env.STOCKD_WAY_KILLS ?? 6)
const MISTYPED = 'rihgt-4711'
/** Shoppers: more would only make the test longer, because RabbitMQ takes seconds to start. */
const PER_SECOND = 60
const MIB = 1024 * 1024

/** Takes every connection that the database has, also those that consumers have. */
class Crowd {
  readonly #way: Way
  readonly #connections: Connection[]

  private constructor(way: Way, first: Connection) {
    this.#way = way
    this.#connections = [first]
  }

  static async at(way: Way): Promise<Crowd> {
    return new Crowd(way, await createConnection(way.database.origin))
  }

  async push(): Promise<void> {
    const [first] = this.#connections
    const [rows] = await first.query<RowDataPacket[]>('SELECT id FROM information_schema.processlist WHERE user = ?', [USER])
    // One that is gone already need not be killed.
    for (const { id } of rows) await first.query(`KILL ${String(id)}`).catch(() => {})
    try {
      for (;;) this.#connections.push(await createConnection(this.#way.database.origin))
    } catch (error) {
      expect((error as { errno?: number }).errno).toBe(1040)
    }
  }

  leave(): void {
    for (const connection of this.#connections.splice(0)) connection.destroy()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.leave()
    return Promise.resolve()
  }
}

/** A disk that can be full, where this user may mount one. */
function smallDisk(bytes: number): string | null {
  const dir = join(tempDir(), 'disk')
  mkdirSync(dir)
  const isMounted = process.getuid?.() === 0 && spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]).status === 0
  return isMounted ? dir : null
}

describe.skipIf(!HAS_MARIADB || !HAS_RABBITMQ)('node, broker, consumers and database', () => {
  const random = new Random(SEED)
  const disk = smallDisk(256 * MIB)
  let way: Way
  let seller: Seller
  let selling: Promise<void> | null = null

  beforeAll(async () => {
    way = await startWay({
      ...{ consumers: 2, databases: 2, tables: 4, throughProxy: true },
      databaseArgs: ['--max-connections=40', '--innodb-lock-wait-timeout=1'],
      consumerArgs: ['--batch', '100'],
      ...(disk === null ? {} : { nodeDir: disk }),
    })
    seller = new Seller({ port: way.nodePort, random: random.fork('seller') })
    await seller.open()
  }, 180_000)

  afterEach(async () => {
    seller.stop()
    await selling
    selling = null
    await way.heal()
  }, 120_000)

  afterAll(async () => {
    await way?.[Symbol.asyncDispose]()
    if (disk !== null) spawnSync('umount', ['-l', disk])
  })

  const sell = (perSecond = PER_SECOND): void => void (selling = seller.sell(1_000_000, perSecond))

  /** Everybody knows the same. */
  async function agree(except?: ReadonlySet<string>): Promise<Verdict> {
    seller.stop()
    await selling
    selling = null
    try {
      const verdict = await judge(way, seller, except)
      expect(verdict.differences, `seed ${SEED}`).toEqual([])
      return verdict
    } catch (error) {
      throw way.explain(error, `seed ${SEED}`)
    }
  }

  const consumersSay = (pattern: RegExp, from: number): Promise<true> =>
    eventually(`consumers to say ${String(pattern)}`, () => pattern.test(way.printed('consumer').slice(from)) || null, 60_000).catch(
      (error: unknown) => {
        throw way.explain(error)
      },
    )

  it('carry orders', { timeout: 120_000 }, async () => {
    sell()
    await seller.hears(400)
    const { orders, dead } = await agree()
    expect(orders).toBeGreaterThan(100)
    expect(dead).toBe(0)
  })

  it('survive kill -9 at any moment, in any combination', { timeout: 300_000 }, async () => {
    sell()
    // The broker takes longest to start, and so dies only twice; the others in half of the rounds, and twice at least.
    const dies = (station: Station): Set<number> => {
      const rounds = Array.from({ length: ROUNDS }, (_, round) => ({ round, at: random.float() })).toSorted(
        (one, other) => one.at - other.at,
      )
      return new Set(rounds.slice(0, station === 'broker' ? 2 : random.between(2, Math.ceil(ROUNDS / 2))).map(({ round }) => round))
    }
    const plan = STATIONS.map((station) => ({ station, rounds: dies(station) }))
    for (let round = 0; round < ROUNDS; round++) {
      await seller.hears(random.between(50, 400))
      const killed = plan.filter(({ rounds }) => rounds.has(round)).map(({ station }) => station)
      await Promise.all(killed.map((station) => way.kill9(station)))
      // Without a node there are no answers to wait for.
      if (!killed.includes('node')) await seller.hears(random.between(20, 150))
      await Promise.all(killed.map((station) => way.start(station)))
    }
    const { orders } = await agree()
    expect(seller.unanswered).toBeGreaterThan(0)
    console.log(`kills ${JSON.stringify(way.kills)}, ${orders} orders, ${seller.unanswered} answers lost (seed ${SEED})`)
  })

  it('go on with one consumer when the other is killed', { timeout: 120_000 }, async () => {
    while (way.consumers.length < 2) await way.start('consumer')
    sell()
    await seller.hears(300)
    await way.kill9('consumer')
    while (way.consumers.length > 1) await way.kill9('consumer')
    await seller.hears(300)
    await agree()
  })

  it('survive a broker that is stopped, and comes back without its data', { timeout: 120_000 }, async () => {
    sell()
    await seller.hears(200)
    await way.stop('broker')
    await seller.hears(400)
    way.rabbit.wipe()
    await way.start('broker')
    await seller.hears(100)
    await agree()
  })

  it('survive a database that is stopped', { timeout: 120_000 }, async () => {
    const from = way.printed('consumer').length
    sell()
    await seller.hears(200)
    await way.stop('database')
    await seller.hears(400)
    await consumersSay(/takes no writes/, from)
    await way.start('database')
    await agree()
  })

  it('survive a database that is restored from an older backup', { timeout: 120_000 }, async () => {
    await way.arrives()
    const data = join(way.database.dir, 'data')
    const backup = join(way.database.dir, 'backup')
    await way.stop('database')
    cpSync(data, backup, { recursive: true })
    await way.start('database')
    const before = await way.stored()
    sell()
    await seller.hears(400)
    await eventually('newer orders to be stored', async () => (await way.stored()).some((pseq, part) => pseq > before[part]), 30_000)
    await way.kill9('database')
    rmSync(data, { recursive: true })
    renameSync(backup, data)
    await way.start('database')
    await seller.hears(100)
    await agree()
  })

  it('survive COMMITs whose answer is lost', { timeout: 120_000 }, async () => {
    const { proxy } = way
    if (proxy === null) throw new Error('no proxy')
    const before = proxy.losses
    sell()
    for (let lost = 1; lost <= 8; lost++) {
      proxy.loseAnswerTo('COMMIT')
      await eventually('an answer to be lost', () => proxy.losses >= before + lost, 30_000)
    }
    await agree()
  })

  it('wait while somebody else holds the locks', { timeout: 120_000 }, async () => {
    sell()
    await seller.hears(100)
    await way.sql(async (query) => {
      await query('START TRANSACTION')
      for (const database of await way.databases(query)) await query(`SELECT * FROM \`${database}\`.outbox_cursor FOR UPDATE`)
      await seller.hears(600)
      await query('ROLLBACK')
    })
    await agree()
  })

  it('wait while the database takes no writes', { timeout: 120_000 }, async () => {
    const from = way.printed('consumer').length
    sell()
    await way.database.query('SET GLOBAL read_only = 1')
    await consumersSay(/takes no writes.*read_only/, from)
    await seller.hears(200)
    await way.database.query('SET GLOBAL read_only = 0')
    await agree()
  })

  it('wait while the database has no connection left', { timeout: 120_000 }, async () => {
    const from = way.printed('consumer').length
    sell()
    await seller.hears(100)
    await using crowd = await Crowd.at(way)
    await eventually(
      'consumers to get no connection',
      async () => {
        await crowd.push()
        return /max_connections/.test(way.printed('consumer').slice(from))
      },
      60_000,
    )
    await seller.hears(100)
    crowd.leave()
    await agree()
  })

  it('wait while a password is wrong, and go on when it is put right', { timeout: 120_000 }, async () => {
    const from = way.printed('consumer').length
    sell()
    await way.setPassword(MISTYPED)
    way.proxy?.cut()
    await consumersSay(/user or password/, from)
    await way.rabbit.ctl('change_password', 'guest', MISTYPED)
    await way.rabbit.ctl('close_all_connections', 'test')
    await eventually('the node to say so', async () => /password/.test(String((await way.status()).get('state'))), 60_000)
    await seller.hears(100)
    expect(way.printed('consumer') + way.printed('node')).not.toContain(PASSWORD)
    await way.setPassword(PASSWORD)
    await way.rabbit.ctl('change_password', 'guest', 'guest')
    await agree()
  })

  it('say what is wrong with a queue of other arguments, and go on when it is deleted', { timeout: 120_000 }, async () => {
    await way.arrives()
    const from = way.printed('consumer').length
    const amqp = await connectAmqp(way.amqp)
    try {
      const channel = await amqp.createChannel()
      await channel.deleteQueue('stock.orders.03')
      await channel.assertQueue('stock.orders.03', { durable: true })
      await way.rabbit.ctl('close_all_connections', 'test')
    } finally {
      await amqp.close().catch(() => {})
    }
    sell()
    await consumersSay(/stock\.orders\.03/, from)
    await eventually('the node to say so', async () => /stock\.orders\.03/.test(String((await way.status()).get('state'))), 60_000)
    await seller.hears(200)
    await way.rabbit.ctl('delete_queue', 'stock.orders.03')
    await agree()
  })

  it('put one poison event aside, alone, and store it when it can be', { timeout: 120_000 }, async () => {
    await way.arrives()
    await using client = await way.node.connect()
    const poisoned = '{b1}poison'
    const rule = (change: string): Promise<void> =>
      way.sql(async (query) => {
        for (const database of await way.databases(query)) {
          for (let table = 0; table < way.size.tables; table++) await query(`ALTER TABLE \`${database}\`.orders_0${table} ${change}`)
        }
      })
    await rule(`ADD CONSTRAINT no_poison CHECK (id <> '${poisoned}')`)
    sell()
    await seller.hears(100)
    await client.call('STOCK.RESERVE', poisoned, 'ITEMS', 'sku:0', 1)
    await seller.hears(100)
    seller.orders.set(poisoned, {
      ...{ id: poisoned, state: 'RESERVED', mayExpire: false },
      items: [{ sku: 'sku:0', quantity: 1, reserved: 1, sold: 0, released: 0, returned: 0 }],
    })
    const { dead } = await agree(new Set([poisoned]))
    expect(dead).toBe(1)
    await rule('DROP CONSTRAINT no_poison')
    const replayed = await way.orders('dead', 'replay', '--all')
    expect(replayed.code, replayed.stderr).toBe(0)
    await agree()
  })

  it.skipIf(disk === null)('survive a full disk at the node', { timeout: 120_000 }, async () => {
    sell()
    await seller.hears(100)
    const filler = join(way.nodeDir, 'filler')
    const refused = (): number => seller.heard.get('MISCONF') ?? 0
    const before = refused()
    writeFileSync(filler, Buffer.alloc(MIB))
    let bytes = MIB
    await eventually('writes to be refused', () => {
      if (bytes < 256 * MIB) {
        try {
          writeFileSync(filler, Buffer.alloc(8 * MIB), { flag: 'a' })
          bytes += 8 * MIB
        } catch {
          bytes = 256 * MIB
        }
      }
      return refused() > before
    })
    await way.kill9('node')
    rmSync(filler)
    await way.start('node')
    await agree()
  })

  it('refuse new orders when the backlog is full, and only those; then drain', { timeout: 120_000 }, async () => {
    await way.stop('node')
    await way.start('node', ['--outbox-backlog', '1mb'])
    await using client = await way.node.connect()
    const reserve = async (id: string): Promise<string> => {
      const [reply] = await client.pipeline([['STOCK.RESERVE', id, 'ITEMS', 'sku:0', 1]])
      return reply.toString('latin1').split(/[\s]/, 4).join(' ')
    }
    await way.stop('database')
    await way.kill9('broker')
    sell(2000)
    await eventually('BACKLOG', () => (seller.heard.get('BACKLOG') ?? 0) > 0, 60_000)
    expect(await reserve('{b1}full')).toMatch(/^-BACKLOG/)
    const open = [...seller.orders.values()].find(({ state, mayExpire }) => state === 'RESERVED' && !mayExpire)
    if (open === undefined) throw new Error('no order is open')
    const [released] = (await client.call('STOCK.RELEASE', open.id)) as [string]
    expect(released).toBe('OK')
    open.state = 'RELEASED'
    for (const item of open.items) Object.assign(item, { reserved: 0, released: item.released + item.reserved })
    await Promise.all([way.start('database'), way.start('broker')])
    const heard = seller.heard.get('OK') ?? 0
    await eventually('orders to be taken again', () => (seller.heard.get('OK') ?? 0) > heard + 100, 60_000)
    await agree()
  })

  it('can be set up as README.md says', { timeout: 120_000 }, async () => {
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
    const [, script] = /### With RabbitMQ and MySQL\n[^]*?```sh\n([^]*?)```/.exec(readme) ?? []
    const nodePort = await freePort()
    const here = script
      .replaceAll('5672', String(way.rabbit.port))
      .replaceAll('3306', String(way.database.port))
      .replaceAll('7379', String(nodePort))
      .replaceAll(/npx stockd(-orders)?/g, (_, tool = '') => `"$NODE" "$BIN/stockd${String(tool)}.js"`)
      .replaceAll('mysql -e', `mysql -h 127.0.0.1 -P ${way.database.port} -u root -e`)
    const dir = tempDir()
    // Of the script only what answers is waited for; the rest of its lines come when the node answers.
    const [, start, orders, after] = /^([^]*?STOCKD_AMQP=[^]*?&\n)([^]*?)(redis-cli[^]*)$/.exec(here) ?? []
    const waiting = `until redis-cli -p ${nodePort} PING >/dev/null 2>&1; do :; done\n`
    const file = join(dir, 'setup.sh')
    writeFileSync(file, `set -eu\ntrap 'kill $(jobs -p)' EXIT\n${start}${waiting}${orders}${after}`)
    const done = await run(['bash', file], {
      cwd: dir,
      env: {
        ...way.rabbit.environment,
        PATH: `${RABBITMQ_BIN}:${process.env.PATH}`,
        NODE: process.execPath,
        BIN: fileURLToPath(new URL('../../../bin', import.meta.url)),
        STOCKD_PORT: String(nodePort),
        STOCKD_NODE: `127.0.0.1:${nodePort}`,
        STOCKD_AOF_BALLAST: '0',
      },
      deadlineMs: 100_000,
    })
    expect(done.code, `${done.stdout}\n${done.stderr}`).toBe(0)
    expect(done.stdout).toMatch(/\{u42\}01JA.*RESERVED/)
    expect(done.stdout).toMatch(/^equal: 1 order/m)
  })
})
