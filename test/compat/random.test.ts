// 100,000 random commands over keys and strings: stockd's replies are redis-server's, byte for byte (differences.ts lists what may
// differ). SEED replays a run, COMMANDS makes it longer.

import { describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import { RandomCommands } from './random-commands.ts'
import { Twins } from './twins.ts'
import type { Episode } from './twins.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const COMMANDS = Number(process.env.COMMANDS ?? 100_000)
const EPISODE = 500

describe.skipIf(!HAS_REDIS)('random commands', () => {
  it(`gets the replies of redis-server for ${COMMANDS} random commands (SEED=${SEED})`, { timeout: 3_600_000 }, async () => {
    await using redis = await startRedis()
    // COMPAT_SELF=1 compares redis-server with itself: what then disagrees is a fault of this test.
    await using stockd = process.env.COMPAT_SELF === '1' ? await startRedis() : await startNode({ args: ['--appendonly', 'no'] })
    await using twins = await Twins.connect(redis, stockd)
    const failures: string[] = []
    const began = performance.now()
    const seen = new Set<string>()
    for (let n = 0; n * EPISODE < COMMANDS && failures.length < 5; n++) {
      const random = new Random(SEED).fork(`episode ${n}`)
      const generator = new RandomCommands(random)
      const episode: Episode = {
        protocol: random.chance(0.5) ? 2 : 3,
        cuts: random.uint32(),
        commands: Array.from({ length: EPISODE }, () => generator.next()),
      }
      const first = await twins.run(episode).catch((error: unknown) => {
        throw new Error(`SEED=${SEED}, episode ${n}: a server stopped answering. stockd printed:\n${stockd.log()}`, { cause: error })
      })
      if (first === null) continue
      const { episode: shortest, text } = await twins.shrink(episode, first)
      // The same fault again: the same two replies to the same command.
      const last = shortest.commands.at(-1)
      const fault = `${last?.[0]?.toUpperCase()}${text.slice(text.indexOf('\n'))}`
      if (seen.has(fault)) continue
      seen.add(fault)
      failures.push(
        `SEED=${SEED}, episode ${n}, RESP${shortest.protocol}:\n${shortest.commands.map((c) => `  ${JSON.stringify(c)}`).join('\n')}\n  disagree on ${text}`,
      )
    }
    console.log(`SEED=${SEED}: ${COMMANDS} commands compared in ${Math.round((performance.now() - began) / 1000)} s`)
    expect(failures.length, failures.join('\n\n')).toBe(0)
  })
})
