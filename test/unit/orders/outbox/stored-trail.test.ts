// What is stored, told in LSNs and instants.

import { describe, expect, it } from 'vitest'
import { PARTS } from '../../../../src/engine/outbox.ts'
import { StoredTrail } from '../../../../src/orders/outbox/stored-trail.ts'

const parts = (n: number): number[] => Array.from({ length: PARTS }, () => n)
const NONE = parts(0)

/** Events of part 0 at LSN 1, 2, 3 ..., one instant each. */
function trailOf(events: number): StoredTrail {
  const trail = new StoredTrail(NONE, null)
  for (let n = 1; n <= events; n++) {
    trail.passed(0, { pseq: n, lsn: n, ms: 1000 + n, msBefore: 1000 + n - 1 })
    trail.reached(n, 1000 + n)
  }
  return trail
}

describe('the trail', () => {
  it('calls everything stored that has gone by, when it is', () => {
    const trail = trailOf(300)
    expect(trail.point([300, ...NONE.slice(1)])).toEqual({ lsn: 300, time: 1299, waitingSince: 0 })
  })

  it('calls stored at most what is: rather less, never more', () => {
    for (const stored of [0, 1, 63, 64, 65, 200, 299]) {
      const point = trailOf(300).point([stored, ...NONE.slice(1)])
      expect(point.lsn).toBeLessThanOrEqual(stored)
      expect(point.lsn).toBeGreaterThanOrEqual(stored - 64)
      // The next event may say any instant from the batch before its own on.
      expect(point.time).toBeLessThan(1000 + stored)
      expect(point.waitingSince).toBeGreaterThan(0)
    }
  })

  it('holds back for a part whose events have not gone by here', () => {
    const from = { lsn: 51, stored: parts(0), floor: { lsn: 20, time: 500 } }
    const pseqs = [7, ...NONE.slice(1)]
    const trail = new StoredTrail(pseqs, from)
    trail.reached(80, 2000)
    expect(trail.point([3, ...NONE.slice(1)])).toMatchObject({ lsn: 20, time: 500 })
    expect(trail.point(pseqs)).toMatchObject({ lsn: 80, time: 1999 })
  })

  it('believes no beginning any more when a database goes back', () => {
    const trail = new StoredTrail(parts(9), { lsn: 100, stored: parts(9), floor: { lsn: 99, time: 500 } })
    expect(trail.point(parts(9)).lsn).toBe(99)
    expect(trail.point(parts(5)).lsn).toBe(0)
    expect(trail.point(parts(9)).lsn).toBe(99)
  })
})
