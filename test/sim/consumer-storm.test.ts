// Consumers in storms from seeds; see consumer-storm.ts. A failure prints its seed:
//   STOCKD_SEED=<seed> STOCKD_STORMS=1 npx vitest run --config test/vitest.config.ts test/sim/consumer-storm.test.ts

import { expect, it } from 'vitest'
import { consumerStorm, ConsumerStormError, type ConsumerBug, type ConsumerStormResult } from './consumer-storm.ts'

const STORMS = Number(process.env.STOCKD_STORMS ?? 60)
const FIRST = Number(process.env.STOCKD_SEED ?? 1)

it('stores every event exactly once, whatever happens on the way', { timeout: 600_000 }, async () => {
  const sum = new Map<string, number>()
  for (let seed = FIRST; seed < FIRST + STORMS; seed++) {
    const result = await consumerStorm({ seed })
    for (const [name, count] of Object.entries(result) as [keyof ConsumerStormResult, number][]) sum.set(name, (sum.get(name) ?? 0) + count)
  }
  console.log(`${STORMS} storms from seed ${FIRST}: ${[...sum].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  // The storms were storms: all that they are for has happened.
  for (const [name, count] of sum) expect(count, name).toBeGreaterThanOrEqual(STORMS / 4)
})

it('is the same storm again for the same seed', { timeout: 120_000 }, async () => {
  for (const seed of [2, 5]) expect(await consumerStorm({ seed })).toEqual(await consumerStorm({ seed }))
})

it.each<ConsumerBug>(['ack before commit', 'no cursor check', 'skip on unknown', 'advance over a hole'])(
  'notices a planted mistake: %s',
  { timeout: 300_000 },
  async (bug) => {
    for (let seed = 1; seed <= 50; seed++) {
      try {
        await consumerStorm({ seed, bug })
      } catch (error) {
        expect(error).toBeInstanceOf(ConsumerStormError)
        console.log(`${bug}: found by seed ${seed}`)
        return
      }
    }
    expect.fail('not found within 50 storms')
  },
)
