// Four clients at once, who watch, wait, publish and get in each other's way at random: each is told by stockd what redis-server tells it,
// byte for byte and in the same order. SEED replays a run, EPISODES makes it longer.

import { describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import { play, shrunk } from './company.ts'
import type { CompanyEpisode } from './company.ts'
import { CLIENTS, RandomCompany } from './random-company.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const EPISODES = Number(process.env.EPISODES ?? 40)
const FIRST = Number(process.env.EPISODE ?? 0)
const STEPS = 120

describe.skipIf(!HAS_REDIS)('clients at once', () => {
  it(`are told the same by both (SEED=${SEED})`, { timeout: 3_600_000 }, async () => {
    await using redis = await startRedis()
    await using stockd = process.env.COMPAT_SELF === '1' ? await startRedis() : await startNode({ args: ['--appendonly', 'no'] })
    const failures: string[] = []
    const began = performance.now()
    let commands = 0
    let told = 0
    for (let n = FIRST; n < FIRST + EPISODES && failures.length < 5; n++) {
      const random = new Random(SEED).fork(`company ${n}`)
      // Where a message stands between the replies of somebody who waits, or who listens to his own changes, and who goes on first of
      // several who were served at once, is each server's own matter.
      const kind = random.pick(['plain', 'waits', 'notices'])
      const isStrict = kind === 'plain'
      const generator = new RandomCompany(random, { hasWaits: kind === 'waits', hasNotices: kind === 'notices' })
      const episode: CompanyEpisode = {
        protocols: Array.from({ length: CLIENTS }, () => random.pick([2, 3] as const)),
        isStrict,
        notices: kind === 'notices' ? random.pick(['KEA', 'KEAmn', 'Elg']) : '',
        isMonitored: isStrict && random.chance(0.4),
        steps: Array.from({ length: STEPS }, () => generator.next()),
      }
      const result = await play(redis, stockd, episode).catch((error: unknown) => {
        throw new Error(`SEED=${SEED}, EPISODE=${n}: stockd printed:\n${stockd.log()}`, { cause: error })
      })
      commands += episode.steps.reduce((sum, step) => sum + step.commands.length, 0)
      told += result.told
      if (result.text === '') continue
      const { episode: shortest, text } = await shrunk(redis, stockd, episode, result.text)
      const lines = shortest.steps.map(
        ({ client, commands: list }) => `  ${client}: ${list.map((command) => command.join(' ')).join(' | ')}`,
      )
      failures.push(
        `SEED=${SEED}, EPISODE=${n}, RESP ${shortest.protocols.join()}, notices '${shortest.notices}':\n${lines.join('\n')}\n  ${text}`,
      )
    }
    console.log(
      `SEED=${SEED}: ${commands} commands, ${told} replies and messages compared in ${Math.round((performance.now() - began) / 1000)} s`,
    )
    expect(failures.length, failures.join('\n\n')).toBe(0)
  })
})
