// What random commands have left in redis-server's memory is what stockd has after it was killed and has read its log: each command
// has written the right record. SEED replays a run.

import { expect, describe, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
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
      const about = `SEED=${SEED}, round ${round}`
      expect([...got.keys()], about).toEqual([...expected.keys()])
      for (const [name, { value, at }] of expected) {
        expect(got.get(name)?.value, `${about}, ${JSON.stringify(name)}`).toBe(value)
        const apart = BigInt(got.get(name)?.at ?? 0) - BigInt(at)
        expect(
          apart > -CLOCKS_MS && apart < CLOCKS_MS,
          `${about}, ${JSON.stringify(name)} expires at ${got.get(name)?.at}, not ${at}`,
        ).toBe(true)
      }
      keys += expected.size
    }
    await stockd.kill9()
    expect(keys).toBeGreaterThan(ROUNDS * 10)
  })
})
