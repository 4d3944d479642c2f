// What random commands have left in redis-server's memory is what stockd has after it was killed and has read its log: each command
// has written the right record. So it is after a compaction, and in a redis-server that loads an export. SEED replays a run.

import { join } from 'node:path'
import { expect, describe, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually } from '../support/eventually.ts'
import { run } from '../support/run.ts'
import { HAS_REDIS, STOCKD_AOF, startNode, startRedis } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { contentsApart, contentsOf } from './contents.ts'
import type { Contents } from './contents.ts'
import { RandomCommands } from './random-commands.ts'
import { Twins } from './twins.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const ROUNDS = Number(process.env.ROUNDS ?? 6)
const COMMANDS = 1500
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
      // Half of the times it may finish what it does.
      if (round % 2 === 0) await stockd.kill9()
      else await stockd.stop()
      stockd = await startNode({ dir, args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
      await using theirs = await redis.connect()
      await using ours = await stockd.connect()
      const [expected, got] = await Promise.all([contentsOf(theirs), contentsOf(ours)])
      expect(contentsApart(got, expected), `SEED=${SEED}, round ${round}`).toBe('')
      keys += expected.size
    }

    // The same after a compaction: from here on the base is what the state was written as, in pieces.
    const { dir } = stockd
    let expected: Contents
    {
      await using client = await stockd.connect()
      expected = await contentsOf(client)
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
      expect(contentsApart(await contentsOf(client), expected), `SEED=${SEED}, compacted`).toBe('')
    }
    await stockd.kill9()

    // And redis-server has it all, too, from an export.
    const target = join(tempDir(), 'exported')
    const { code, stderr } = await run([process.execPath, STOCKD_AOF, 'export', dir, '--redis', target])
    expect(code, stderr).toBe(0)
    await using loaded = await startRedis({ args: ['--dir', target, '--appendonly', 'yes', '--aof-use-rdb-preamble', 'no'] })
    await using client = await loaded.connect()
    // redis-server forgets the sign of a score of zero while the sorted set is a listpack, and here it meets the members in another order.
    for (const [name, { value, at }] of expected) expected.set(name, { value: value.replaceAll('"-0"', '"0"'), at })
    const got = await contentsOf(client)
    for (const [name, { value, at }] of got) got.set(name, { value: value.replaceAll('"-0"', '"0"'), at })
    expect(contentsApart(got, expected), `SEED=${SEED}, exported`).toBe('')
    expect(keys).toBeGreaterThan(ROUNDS * 10)
  })
})
