// What random commands cannot compare byte for byte or do not reach: keys of another type, instants to the millisecond, keys that are
// due, iterations while keys come and go, random keys, values of many megabytes.

import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

describe.skipIf(!HAS_REDIS)('keys beside redis-server', () => {
  let redis: Server
  let stockd: Server
  let theirs: RawClient
  let ours: RawClient
  beforeAll(async () => {
    redis = await startRedis()
    stockd = await startNode({ args: ['--appendonly', 'no', '--allow-stock-flush', 'yes'] })
    theirs = await redis.connect()
    ours = await stockd.connect()
  })
  beforeEach(async () => {
    await both('FLUSHALL')
    await both('SELECT', '0')
  })

  /** The reply, if it is the same from both. */
  const both = async (...command: string[]): Promise<string> => {
    const [expected, got] = await Promise.all([theirs.command(...command), ours.command(...command)])
    expect(got.toString('latin1'), JSON.stringify(command).slice(0, 200)).toBe(expected.toString('latin1'))
    return got.toString('latin1')
  }

  it('refuses a key of another type alike: a list there, a SKU here', async () => {
    await theirs.command('RPUSH', 'w', 'x')
    await ours.command('STOCK.CREATE', 'w', '1')
    const refused = [
      ['GET', 'w'],
      ['STRLEN', 'w'],
      ['GETRANGE', 'w', '0', '-1'],
      ['GETEX', 'w', 'EX', '100'],
      ['GETDEL', 'w'],
      ['GETSET', 'w', 'v'],
      ['SET', 'w', 'v', 'GET'],
      ['APPEND', 'w', 'v'],
      ['SETRANGE', 'w', '0', 'v'],
      ['INCR', 'w'],
      ['DECRBY', 'w', '3'],
      ['INCRBYFLOAT', 'w', '1.5'],
    ]
    for (const command of refused)
      expect(await both(...command)).toBe('-WRONGTYPE Operation against a key holding the wrong kind of value\r\n')
    await both('SET', 'other', 'v')
    for (const command of ['MGET w nokey', 'EXISTS w w', 'TOUCH w', 'TTL w', 'PTTL w', 'EXPIRETIME w', 'DBSIZE'])
      await both(...command.split(' '))
    // Syntax is judged before the key is looked at, or after: as there.
    for (const command of [
      'INCRBY w x',
      'GETRANGE w x y',
      'SETRANGE w x y',
      'SETRANGE w -1 y',
      'SETRANGE w 0 ',
      'GETEX w EX 0',
      'GETEX w NX',
      'SET w v EX 0 GET',
      'INCRBYFLOAT w x',
      'APPEND w',
      'SET w v NX GET',
      'DECRBY w -9223372036854775808',
    ])
      await both(...command.split(' '))
  })

  it('lets no command but STOCK change a SKU, even where redis-server would replace a list', async () => {
    await ours.command('STOCK.CREATE', 'w', '7')
    await ours.command('SET', 'other', 'v')
    for (const command of [
      'SET w v',
      'SET w v NX',
      'SETNX w v',
      'SETEX w 100 v',
      'MSET a 1 w 2',
      'MSETNX a 1 w 2',
      'DEL other w',
      'UNLINK w',
      'RENAME w x',
      'RENAME other w',
      'RENAMENX other w',
      'COPY w x',
      'COPY other w REPLACE',
      'MOVE w 1',
      'EXPIRE w 100',
      'PEXPIREAT w 1',
      'PERSIST w',
    ])
      expect(String(await ours.command(...command.split(' '))), command).toBe(
        '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n',
      )
    expect(String(await ours.command('STOCK.GET', 'w'))).toBe(':7\r\n')
    expect(await ours.call('MGET', 'other', 'a', 'x')).toEqual(['v', null, null])
  })

  it('keeps instants to the millisecond', async () => {
    const at = 4_000_000_000_123
    for (const command of [
      `SET k v PXAT ${at}`,
      'PEXPIRETIME k',
      'EXPIRETIME k',
      'GETEX k EXAT 4000000001',
      'PEXPIRETIME k',
      `PEXPIREAT k ${at} LT`,
      `PEXPIREAT k ${at} GT`,
      `PEXPIREAT k ${at - 1} GT`,
      `PEXPIREAT k ${at - 1} LT`,
      'PEXPIRETIME k',
      'RENAME k l',
      'PEXPIRETIME l',
      'COPY l m',
      'PEXPIRETIME m',
      'SET m w KEEPTTL',
      'PEXPIRETIME m',
      'APPEND m x',
      'INCRBYFLOAT l 1',
      'SETRANGE m 0 y',
      'PEXPIRETIME m',
      'MOVE m 1',
      'GETSET l 5',
      'PEXPIRETIME l',
      'EXPIREAT l 9223372036854775',
      'PEXPIRETIME l',
      'EXPIREAT l 9223372036854776',
      'PEXPIREAT l 9223372036854775807',
      'PEXPIRETIME l',
      'EXPIRETIME l',
      'PEXPIREAT l -9223372036854775808',
      'EXISTS l',
      'SELECT 1',
      'PEXPIRETIME m',
    ])
      await both(...command.split(' '))
  })

  it('forgets a key whose instant has passed, whoever looks', async () => {
    for (const command of [
      'SET k v PXAT 1',
      'GET k',
      'EXISTS k',
      'SET k v',
      'EXPIREAT k 1',
      'GET k',
      'SET k v',
      'EXPIRE k -1',
      'EXISTS k',
      'SET k v',
      'GETEX k PXAT 1',
      'EXISTS k',
      'DBSIZE',
    ])
      await both(...command.split(' '))
    for (const [command, after] of [
      ['GET', '$-1\r\n'],
      ['EXISTS', ':0\r\n'],
      ['TTL', ':-2\r\n'],
      ['TYPE', '+none\r\n'],
      ['STRLEN', ':0\r\n'],
      ['PERSIST', ':0\r\n'],
    ]) {
      await both('SET', 'short', 'v', 'PX', '30')
      for (const client of [theirs, ours])
        await eventually(`${command} to see that the key is gone`, async () => String(await client.command(command, 'short')) === after)
    }
    // Nobody asks for it, and it goes all the same.
    await both('PSETEX', 'short', '30', 'v')
    for (const client of [theirs, ours]) await eventually('DBSIZE 0', async () => String(await client.command('DBSIZE')) === ':0\r\n')
  })

  it('gives every key that is there all the time, once or more, while others come and go', async () => {
    const pipeline = Array.from({ length: 3000 }, (_, i) => ['SET', `stays:${i}`, 'v'])
    await Promise.all([theirs.pipeline(pipeline), ours.pipeline(pipeline)])
    for (const client of [theirs, ours]) {
      const seen = new Set<string>()
      let cursor = '0'
      let round = 0
      do {
        const [next, keys] = (await client.call('SCAN', cursor, 'COUNT', 50)) as [string, string[]]
        for (const key of keys) seen.add(key)
        cursor = next
        // The table grows a lot, then shrinks.
        await client.pipeline(
          Array.from({ length: 200 }, (_, i) => (round < 30 ? ['SET', `comes:${round}:${i}`, 'v'] : ['DEL', `comes:${round - 30}:${i}`])),
        )
        round++
      } while (cursor !== '0' && round < 5000)
      expect(cursor).toBe('0')
      for (let i = 0; i < 3000; i++) expect(seen.has(`stays:${i}`)).toBe(true)
    }
  })

  it('draws random keys from those that are there, each of them sooner or later', async () => {
    expect(await both('RANDOMKEY')).toBe('$-1\r\n')
    await both('MSET', 'a', '1', 'b', '2', 'c', '3', 'd', '4')
    for (const client of [theirs, ours]) {
      const drawn = new Set<unknown>()
      for (let i = 0; i < 1000 && drawn.size < 4; i++) drawn.add(await client.call('RANDOMKEY'))
      expect([...drawn].toSorted()).toEqual(['a', 'b', 'c', 'd'])
    }
  })

  it('takes values of many megabytes, and the limits are the same', async () => {
    const large = 'x'.repeat(8 << 20)
    expect(await both('SET', 'large', large)).toBe('+OK\r\n')
    expect((await both('GET', 'large')).length).toBe(large.length + 12)
    expect(await both('APPEND', 'large', large)).toBe(`:${2 * large.length}\r\n`)
    expect(await both('GETRANGE', 'large', '-5', '-1')).toBe('$5\r\nxxxxx\r\n')
    for (const command of [
      'SETRANGE large 536870911 xx',
      'SETRANGE large 536870912 ',
      'SETRANGE nokey 536870912 ',
      'SETRANGE large 9223372036854775807 x',
      'STRLEN large',
      'COPY large copy',
      'STRLEN copy',
    ])
      await both(...command.split(' '))
    await both('FLUSHALL')
  })
})
