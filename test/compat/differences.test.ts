// What stockd answers otherwise than redis-server 7.0.15 on purpose, beside keys and strings (differences.ts has those), each with its
// reason; checked to differ still, so that the list stays true.

import { beforeAll, describe, expect, it } from 'vitest'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

/** Commands whose replies differ, and why. */
const DIFFERENT: readonly [command: string, reason: string][] = [
  ['CLIENT SETINFO lib-name x', 'Redis has it since 7.2; today every client library sends it when it connects.'],
  ['CLIENT NO-TOUCH on', 'Redis has it since 7.2.'],
  ['CLIENT HELP', 'It lists the two above.'],
  ['CLIENT TRACKING on', 'Client-side caching is not offered, and says so.'],
  ['WAITAOF 0 0 0', 'Redis has it since 7.2; it is how a client asks for durability.'],
  ['CONFIG GET *', 'Its options are the ones that stockd has.'],
  ['CONFIG SET port 1234', 'Where a node listens is not changed while it runs (SECURITY.md).'],
  ['COMMAND COUNT', 'There are fewer commands, and STOCK.* among them.'],
  ['XADD s * f v', 'There is one stream, stock:events, and the node writes it.'],
  ['INCREX counter', 'Redis has it since 8.8.'],
  ['CL.THROTTLE bucket 1 1 1', 'Redis has it with the module redis-cell.'],
  ['MEMORY ORDER {ann}1', 'Orders are not keys.'],
  ['MEMORY DOCTOR', 'Advice about another allocator.'],
  ['LOLWUT', 'Its art is its own.'],
]

describe.skipIf(!HAS_REDIS)('differences from redis-server', () => {
  let redis: Server
  let stockd: Server
  beforeAll(async () => {
    redis = await startRedis()
    stockd = await startNode({ args: ['--appendonly', 'no'] })
  })

  it('are those of the list', async () => {
    await using theirs = await redis.connect()
    await using ours = await stockd.connect()
    for (const [line] of DIFFERENT) {
      // Redis would really move to another port.
      const expected = line.startsWith('CONFIG SET port') ? '+OK\r\n' : String(await theirs.command(...line.split(' ')))
      expect(String(await ours.command(...line.split(' '))), line).not.toBe(expected)
    }
  })

  it('do not reach CLIENT LIST: the same fields in the same order, and two more', async () => {
    const fields = async (server: Server): Promise<string[]> => {
      await using client = await server.connect()
      const list = String(await client.call('CLIENT', 'LIST'))
      return list
        .split('\n')[0]
        .split(' ')
        .map((field) => field.split('=')[0])
    }
    // The last two are what CLIENT SETINFO tells (7.2).
    expect(await fields(stockd)).toEqual([...(await fields(redis)), 'lib-name', 'lib-ver'])
  })
})
