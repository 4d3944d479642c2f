// The publisher in simulated storms. PUBLISHER_STORM_SEEDS=n runs more; a failure names its seed, and PUBLISHER_STORM_SEED=n replays it.

import { describe, expect, it } from 'vitest'
import { publisherStorm, type PublisherBug } from './publisher-storm.ts'

const SEEDS = Number(process.env.PUBLISHER_STORM_SEEDS ?? 40)
const ONLY = process.env.PUBLISHER_STORM_SEED

describe('publisher storms', () => {
  it('lose nothing, invent nothing, and end with everything stored', async () => {
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, nth) => nth + 1) : [Number(ONLY)]
    const total: Record<string, number> = {}
    for (const seed of seeds) {
      const result = await publisherStorm({ seed })
      for (const [name, value] of Object.entries(result)) total[name] = (total[name] ?? 0) + (value as number)
    }
    // Of everything that can happen, something has.
    if (ONLY === undefined) expect(Object.entries(total).filter(([, value]) => value === 0)).toEqual([])
    console.log(`publisher storms: ${seeds.length} seeds, ${JSON.stringify(total)}`)
  }, 600_000)

  const bugs: PublisherBug[] = [
    'nack taken for ack',
    'unroutable taken for ack',
    'beyond durable',
    'checkpoint ahead of acks',
    'deaf to feedback',
    'lost taken for acked',
  ]
  it.each(bugs)(
    'notice a planted mistake: %s',
    async (bug) => {
      let found: unknown = null
      for (let seed = 1; seed <= 30 && found === null; seed++) {
        await publisherStorm({ seed, bug }).catch((error: unknown) => (found = error))
      }
      expect(found).not.toBeNull()
    },
    300_000,
  )

  it('go the same way from the same seed', async () => {
    expect(await publisherStorm({ seed: 7 })).toEqual(await publisherStorm({ seed: 7 }))
  })
})
