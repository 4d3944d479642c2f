// The log alone through storms from seeds; see log-storm.ts. A failure prints the seed: storm({ seed }) replays it.
// STOCKD_STORMS=n runs more, STOCKD_STORM_SEED=s starts elsewhere.

import { describe, expect, it } from 'vitest'
import { storm, StormError, type PlantedBug } from './log-storm.ts'

const STORMS = Number(process.env.STOCKD_STORMS ?? 400)
const FIRST_SEED = Number(process.env.STOCKD_STORM_SEED ?? 1)

describe('the log in a storm', () => {
  it('keeps what it promised through 1,000 power cuts', () => {
    const sum = { powerCuts: 0, kills: 0, acked: 0, tornTails: 0, syncFailures: 0, fullDisks: 0, compactions: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + STORMS; seed++) {
      const result = storm({ seed })
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
    }
    // The storms were storms: all that they are for has happened.
    expect(sum.powerCuts).toBeGreaterThan(STORMS * 2.5)
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) expect(sum[name], name).toBeGreaterThan(STORMS / 4)
  })

  it.each<PlantedBug>(['ack before fsync', 'fsync retry', 'missing directory fsync', 'cut of a durable batch'])(
    'notices a planted mistake: %s',
    (bug) => {
      const caught = []
      for (let seed = 1; seed <= 200 && caught.length < 3; seed++) {
        try {
          storm({ seed, bug })
        } catch (error) {
          expect(error).toBeInstanceOf(StormError)
          caught.push(seed)
        }
      }
      expect(caught).toHaveLength(3)
    },
  )

  it('goes the same way twice', () => {
    for (const seed of [3, 77, 4242]) expect(storm({ seed })).toEqual(storm({ seed }))
  })
})
