// Storms over a whole node: power cuts, kills, full disks and fsync errors under a shop's commands, from seeds.
//
// STOCKD_STORMS sets how many (default 480, a little over 1,000 power cuts); STOCKD_SEED the first one. A failure prints its seed:
//   STOCKD_SEED=<seed> STOCKD_STORMS=1 npx vitest run --config test/vitest.config.ts test/sim/node.test.ts

import { expect, it } from 'vitest'
import { nodeStorm } from './node-storm.ts'
import type { PlantedBug } from './node-storm.ts'

const STORMS = Number(process.env.STOCKD_STORMS ?? 480)
const FIRST = Number(process.env.STOCKD_SEED ?? 1)

it('keeps its promises in every storm', { timeout: 600_000 }, async () => {
  const sum = { lives: 0, powerCuts: 0, kills: 0, commands: 0, acked: 0, refused: 0, simulatedMs: 0 }
  for (let seed = FIRST; seed < FIRST + STORMS; seed++) {
    const result = await nodeStorm({ seed })
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
  }
  console.log(
    `${STORMS} storms from seed ${FIRST}: ${sum.powerCuts} power cuts, ${sum.kills} kills, ${sum.commands} commands, ${sum.acked} changes acknowledged, ` +
      `${sum.refused} refused`,
  )
  expect(sum.acked).toBeGreaterThan(STORMS * 20)
  expect(sum.powerCuts).toBeGreaterThan(STORMS)
})

it('is the same storm again for the same seed', async () => {
  for (let seed = 1; seed <= 8; seed++) expect(await nodeStorm({ seed })).toEqual(await nodeStorm({ seed }))
})

// Trust in the simulator: a mistake that somebody could make must be found, and soon.
const BUGS: [PlantedBug, Parameters<typeof nodeStorm>[0]['policy']][] = [
  ['reply before the write', undefined],
  ['ack before the fsync', 'always'],
  ['a record is forgotten', undefined],
  ['a record is logged twice', undefined],
]

it.each(BUGS)('finds a planted bug: %s', { timeout: 300_000 }, async (bug, policy) => {
  const seeds = 300
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await nodeStorm({ seed, bug, ...(policy === undefined ? {} : { policy }) })
    } catch {
      console.log(`${bug}: found by seed ${seed}`)
      return
    }
  }
  expect.fail(`not found within ${seeds} storms`)
})
