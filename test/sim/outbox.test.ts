// The outbox in simulated storms. OUTBOX_STORM_SEEDS=n runs more; a failure names its seed, and OUTBOX_STORM_SEED=n replays it.

import { describe, expect, it } from 'vitest'
import { outboxStorm, type OutboxBug } from './outbox-storm.ts'

const SEEDS = Number(process.env.OUTBOX_STORM_SEEDS ?? 30)
const ONLY = process.env.OUTBOX_STORM_SEED

describe('outbox storms', () => {
  it('end with everything stored once and in order, and nothing was stored or called stored too early', async () => {
    const first = Math.floor(Math.random() * 2 ** 30)
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, nth) => first + nth) : [Number(ONLY)]
    const total: Record<string, number> = {}
    for (const seed of seeds) {
      for (const [name, value] of Object.entries(await outboxStorm(seed))) total[name] = (total[name] ?? 0) + (value as number)
    }
    // Of everything that can happen, something has.
    if (ONLY === undefined) expect(Object.entries(total).filter(([, value]) => value === 0)).toEqual([])
    console.log(`outbox storms: ${seeds.length} seeds, ${JSON.stringify(total)}`)
  }, 300_000)

  const bugs: OutboxBug[] = ['beyond durable', 'keeps nothing', 'checkpoint ahead']
  it.each(bugs)(
    'notice a planted mistake: %s',
    async (bug) => {
      let found: unknown = null
      for (let seed = 1; seed <= 30 && found === null; seed++) await outboxStorm(seed, bug).catch((error: unknown) => (found = error))
      expect(String(found)).toContain('OUTBOX_STORM_SEED=')
    },
    300_000,
  )
})
