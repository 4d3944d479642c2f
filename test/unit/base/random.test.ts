import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'

const take = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.uint32())

describe('Random', () => {
  it('gives the same numbers for the same seed, and others for another', () => {
    expect(take(new Random(7), 100)).toEqual(take(new Random(7), 100))
    expect(take(new Random(7), 4)).not.toEqual(take(new Random(8), 4))
    expect(new Set(take(new Random(0), 1000)).size).toBe(1000)
  })

  it('is stable from release to release: seeds of found failures keep their meaning', () => {
    expect(take(new Random(1), 3)).toEqual([393288148, 2174103013, 3814759091])
  })

  it('forks streams by name that neither move nor repeat each other', () => {
    const random = new Random(3)
    const disk = take(random.fork('disk'), 50)
    take(random, 10)
    expect(take(random.fork('disk'), 50)).toEqual(disk)
    expect(take(random.fork('network'), 50)).not.toEqual(disk)
  })

  it('stays inside its bounds and reaches all of them', () => {
    const random = new Random(5)
    const seen = new Set<number>()
    for (let i = 0; i < 1000; i++) seen.add(random.between(-3, 3))
    expect([...seen].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    for (let i = 0; i < 1000; i++) expect(random.below(1)).toBe(0)
    const large = Array.from({ length: 1000 }, () => random.below(2 ** 32))
    expect(Math.max(...large)).toBeGreaterThan(2 ** 31)
    expect(large.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32)).toBe(true)
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
  })

  it('is even: 16 buckets of 64,000 draws', () => {
    const counts = new Int32Array(16)
    const random = new Random(11)
    for (let i = 0; i < 64_000; i++) counts[random.below(16)]++
    expect(Math.max(...counts.map((n) => Math.abs(n - 4000)))).toBeLessThan(370)
  })
})
