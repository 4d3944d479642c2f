import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Histogram } from '../../../src/server/histogram.ts'

describe('a histogram of microseconds', () => {
  it('tells percentiles at most 7 % above the exact ones', () => {
    const seed = Number(process.env.SEED ?? Date.now() & 0xffffff)
    const random = new Random(seed)
    const histogram = new Histogram()
    const values = Array.from({ length: 5000 }, () => Math.floor(2 ** (random.float() * 30)))
    for (const value of values) histogram.add(value)
    values.sort((a, b) => a - b)
    for (const percent of [1, 25, 50, 90, 99, 99.9, 100]) {
      const exact = values[Math.ceil((values.length * percent) / 100) - 1]
      const told = histogram.percentile(percent)
      expect(told, `SEED=${seed} p${percent}`).toBeGreaterThanOrEqual(exact)
      expect(told, `SEED=${seed} p${percent}`).toBeLessThanOrEqual(exact * 1.07 + 1)
    }
  })

  it('counts what was at most so long, takes any duration, and starts anew', () => {
    const histogram = new Histogram()
    for (const micros of [0, 0.4, 1, 15, 16, 1e12]) histogram.add(micros)
    expect([histogram.atMost(0), histogram.atMost(15), histogram.atMost(16), histogram.atMost(1e12)]).toEqual([2, 4, 5, 6])
    histogram.reset()
    expect([histogram.count, histogram.percentile(50)]).toEqual([0, 0])
  })
})
