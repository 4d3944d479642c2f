// A live log, followed through everything that can happen to its files.

import { describe, expect, it } from 'vitest'
import { followerStorm } from './follower-storm.ts'

const STORMS = 150

describe('a follower', () => {
  it('gets every record once and in order, through rotations, compactions, REOPEN and restarts', () => {
    const first = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    const sum = { published: 0, watched: 0, gone: 0, looks: 0, reopened: 0, compactions: 0 }
    for (let seed = first; seed < first + STORMS; seed++) {
      const result = followerStorm(seed)
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name]
    }
    // The storms are storms: each kind of weather has occurred.
    for (const [name, count] of Object.entries(sum)) expect(count, `${name} (SEED=${first})`).toBeGreaterThan(10)
  }, 60_000)
})
