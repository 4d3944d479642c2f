// Parameters of redis-server that mean nothing to a node (src/server/options/redis-only.ts): tools find them as redis-server has them, and
// may set them to what they are.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { REDIS_ONLY_NAMES } from '../../src/server/options/redis-only.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { decodeReply } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'

/** What a node says otherwise. */
const DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['dbfilename', 'there is no such file'],
  ['aof-use-rdb-preamble', 'the log has no RDB in it'],
  ['jemalloc-bg-thread', "depends on how redis-server was built: Debian's has jemalloc"],
])

describe.skipIf(!HAS_REDIS)('CONFIG beside redis-server', () => {
  let redis: Server
  let stockd: Server

  beforeAll(async () => {
    redis = await startRedis()
    stockd = await startNode({ args: ['--appendonly', 'no'] })
  })
  afterAll(async () => {
    await redis.kill9()
    await stockd.kill9()
  })

  it('knows the parameters that mean nothing here, with their values', async () => {
    await using one = await redis.connect()
    await using other = await stockd.connect()
    const values = async (client: RawClient): Promise<unknown[]> => {
      const found: unknown[] = []
      for (const name of REDIS_ONLY_NAMES.filter((known) => !DIFFERENCES.has(known)))
        found.push(decodeReply(await client.command('CONFIG', 'GET', name)))
      return found
    }
    const theirs = await values(one)
    expect(theirs.length).toBeGreaterThan(80)
    expect(await values(other)).toEqual(theirs)
  })

  it('takes or refuses them as they are, as redis-server does', async () => {
    await using one = await redis.connect()
    await using other = await stockd.connect()
    for (const name of REDIS_ONLY_NAMES.filter((known) => !DIFFERENCES.has(known))) {
      const [, value] = decodeReply(await one.command('CONFIG', 'GET', name)) as string[]
      const command = ['CONFIG', 'SET', name, value]
      expect(`${name}: ${(await other.command(...command)).toString()}`).toBe(`${name}: ${(await one.command(...command)).toString()}`)
    }
  })

  it('a pattern finds them too, and none of them is a flag or a line of the option file', async () => {
    await using client = await stockd.connect()
    expect(decodeReply(await client.command('CONFIG', 'GET', 'maxmemory*'))).toEqual([
      'maxmemory',
      '0',
      'maxmemory-policy',
      'noeviction',
      'maxmemory-clients',
      '0',
      'maxmemory-samples',
      '5',
      'maxmemory-eviction-tenacity',
      '10',
    ])
    await expect(startNode({ args: ['--maxmemory-samples', '5'] })).rejects.toThrow('an option of redis-server that a node does not have')
  })
})
