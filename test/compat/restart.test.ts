// What random commands have left in redis-server's memory is what stockd has after it was killed and has read its log: each command
// has written the right record. So it is after a compaction, and in a redis-server that loads an export. SEED replays a run.

import { join } from 'node:path'
import { expect, describe, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually } from '../support/eventually.ts'
import type { RawClient } from '../support/raw-client.ts'
import { run } from '../support/run.ts'
import { HAS_REDIS, STOCKD_AOF, startNode, startRedis } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { pairs } from './differences.ts'
import { RandomCommands } from './random-commands.ts'
import { Twins } from './twins.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const ROUNDS = Number(process.env.ROUNDS ?? 8)
const COMMANDS = 1500
/** How much an instant that came from a duration may differ between the two. */
const CLOCKS_MS = 5000

/** Per database and key: the value, and when it expires. */
type Contents = Map<string, { value: unknown; at: number | bigint }>

async function contents(client: RawClient): Promise<Contents> {
  const all: Contents = new Map()
  for (let database = 0; database < 16; database++) {
    await client.command('SELECT', database)
    const keys = ((await client.call('KEYS', '*')) as string[]).toSorted()
    for (const key of keys) {
      const name = Buffer.from(key, 'latin1')
      all.set(`${database} ${key}`, {
        value: await valueOf(client, name),
        at: (await client.call('PEXPIRETIME', name)) as number | bigint,
      })
    }
  }
  return all
}

/** The type and all that the key has in it, whatever the order of a hash table. */
async function valueOf(client: RawClient, name: Buffer): Promise<string> {
  const type = (await client.call('TYPE', name)) as string
  switch (type) {
    case 'hash':
      return `hash ${JSON.stringify(
        pairs((await client.call('HGETALL', name)) as unknown[])
          .map(String)
          .toSorted(),
      )}`
    case 'set':
      return `set ${JSON.stringify(((await client.call('SMEMBERS', name)) as string[]).toSorted())}`
    case 'list':
      return `list ${JSON.stringify(await client.call('LRANGE', name, 0, -1))}`
    case 'zset':
      return `zset ${JSON.stringify(await client.call('ZRANGE', name, 0, -1, 'WITHSCORES'))}`
    default:
      return `${type} ${JSON.stringify(await client.call('GET', name))}`
  }
}

function expectSame(got: Contents, expected: Contents, about: string): void {
  expect([...got.keys()], about).toEqual([...expected.keys()])
  for (const [name, { value, at }] of expected) {
    expect(got.get(name)?.value, `${about}, ${JSON.stringify(name)}`).toBe(value)
    const apart = BigInt(got.get(name)?.at ?? 0) - BigInt(at)
    expect(apart > -CLOCKS_MS && apart < CLOCKS_MS, `${about}, ${JSON.stringify(name)} expires at ${got.get(name)?.at}, not ${at}`).toBe(
      true,
    )
  }
}

describe.skipIf(!HAS_REDIS)('a restart', () => {
  it(`brings back what random commands have left (SEED=${SEED})`, async () => {
    await using redis = await startRedis()
    let stockd = await startNode({ args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
    let keys = 0
    for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(SEED).fork(`round ${round}`)
      const generator = new RandomCommands(random)
      const commands = Array.from({ length: COMMANDS }, () => generator.next()).filter(([name]) => !/^flush/i.test(name))
      {
        await using twins = await Twins.connect(redis, stockd)
        const first = await twins.run({ protocol: 2, cuts: random.uint32(), commands })
        expect(first, `SEED=${SEED}, round ${round}: ${first?.text}`).toBeNull()
      }
      const { dir } = stockd
      await stockd.kill9()
      stockd = await startNode({ dir, args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
      await using theirs = await redis.connect()
      await using ours = await stockd.connect()
      const [expected, got] = await Promise.all([contents(theirs), contents(ours)])
      expectSame(got, expected, `SEED=${SEED}, round ${round}`)
      keys += expected.size
    }

    // The same after a compaction: from here on the base is what the state was written as, in pieces.
    const { dir } = stockd
    let expected: Contents
    {
      await using client = await stockd.connect()
      expected = await contents(client)
      await client.call('BGREWRITEAOF')
      await eventually('the compaction is done', async () =>
        /aof_rewrite_in_progress:0\r/.test(String(await client.call('INFO', 'persistence'))),
      )
      expect(String(await client.call('INFO', 'persistence'))).toMatch(/aof_last_bgrewrite_status:ok/)
    }
    await stockd.kill9()
    stockd = await startNode({ dir, args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
    {
      await using client = await stockd.connect()
      expectSame(await contents(client), expected, `SEED=${SEED}, compacted`)
    }
    await stockd.kill9()

    // And redis-server has it all, too, from an export.
    const target = join(tempDir(), 'exported')
    const { code, stderr } = await run([process.execPath, STOCKD_AOF, 'export', dir, '--redis', target])
    expect(code, stderr).toBe(0)
    await using loaded = await startRedis({ args: ['--dir', target, '--appendonly', 'yes', '--aof-use-rdb-preamble', 'no'] })
    await using client = await loaded.connect()
    // redis-server forgets the sign of a score of zero while the sorted set is a listpack, and here it meets the members in another order.
    for (const [name, { value, at }] of expected) expected.set(name, { value: String(value).replaceAll('"-0"', '"0"'), at })
    const got = await contents(client)
    for (const [name, { value, at }] of got) got.set(name, { value: String(value).replaceAll('"-0"', '"0"'), at })
    expectSame(got, expected, `SEED=${SEED}, exported`)
    expect(keys).toBeGreaterThan(ROUNDS * 10)
  })
})
