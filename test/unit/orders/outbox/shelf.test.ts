// Which segments stay for those who read them, and how much waits.

import { describe, expect, it } from 'vitest'
import type { Disk } from '../../../../src/aof/disk.ts'
import type { LogFollower, LogPiece } from '../../../../src/aof/follower.ts'
import { Shelf } from '../../../../src/orders/outbox/shelf.ts'

const HOUR = 3600_000
const NOW = 100 * HOUR
/** Five segments of 100 records and 1,000 bytes, an hour each; the last one is being written. */
const PIECES: LogPiece[] = Array.from({ length: 5 }, (_, i) => ({
  seq: i + 1,
  name: `${i + 1}`,
  first: i * 100 + 1,
  ms: NOW - (5 - i) * HOUR,
  bytes: 1000,
}))

function look(
  storedLsn: number,
  { historyMs = 24 * HOUR, historyBytes = 1e9, backlogBytes = 5000, freeBytes = 1e9, totalBytes = 1e9, pieces = PIECES } = {},
) {
  const disk = { space: () => ({ freeBytes, totalBytes, type: 0 }) } as unknown as Disk
  const follower = { pieces: () => pieces } as unknown as LogFollower
  return new Shelf({ disk, directory: '/data', historyMs, historyBytes, backlogBytes }, follower).look(storedLsn, 500, NOW)
}

describe('what stays', () => {
  it('is everything that is not stored, whatever the limits of history', () => {
    expect(look(50, { historyMs: 0, historyBytes: 0 }).keepFrom).toBe(51)
  })

  it('is history for its time', () => {
    expect(look(500).keepFrom).toBe(1)
    expect(look(500, { historyMs: 2.5 * HOUR }).keepFrom).toBe(201)
    expect(look(500, { historyMs: 0 }).keepFrom).toBe(401)
  })

  it('as far as its bytes go', () => {
    expect(look(500, { historyBytes: 2500 }).keepFrom).toBe(301)
    expect(look(500, { historyBytes: 0 }).keepFrom).toBe(501)
    expect(look(500, { historyBytes: -1, totalBytes: 32_000 }).keepFrom).toBe(201)
  })

  it('and never more than half of what would be free without it', () => {
    expect(look(500, { freeBytes: 1000 }).keepFrom).toBe(201)
    expect(look(500, { freeBytes: 0 }).keepFrom).toBe(301)
  })
})

describe('what waits', () => {
  it('is the part of the log behind what is stored', () => {
    expect(look(500).backlogBytes).toBe(0)
    expect(look(450).backlogBytes).toBe(500)
    expect(look(0).backlogBytes).toBe(5000)
    expect(look(0, { pieces: [] }).backlogBytes).toBe(0)
    // Of a log whose beginning is gone, what is there.
    expect(look(0, { pieces: PIECES.slice(2) }).backlogBytes).toBe(3000)
  })

  it('may be half of the disk, or what the option says', () => {
    expect(look(0).backlogBytesMax).toBe(5000)
    expect(look(0, { backlogBytes: -1, totalBytes: 8000 }).backlogBytesMax).toBe(4000)
  })
})

describe('a full disk', () => {
  const shelf = (freeBytes: number) => {
    const disk = { space: () => ({ freeBytes, totalBytes: 1e9, type: 0 }) } as unknown as Disk
    const follower = { pieces: () => [...PIECES, { ...PIECES[4], seq: 6, bytes: 1_000_000 }] } as unknown as LogFollower
    return new Shelf({ disk, directory: '/data', historyMs: HOUR, historyBytes: 0, backlogBytes: 0 }, follower)
  }

  it('leaves the log what its next start writes again: its last two segments, and a little', () => {
    expect(shelf(1_001_000 + 256 * 1024).fullDisk(0)).toBeNull()
    expect(shelf(1_001_000 + 256 * 1024).fullDisk(1)).toMatch(/^the disk of \/data is nearly full \(\d+ bytes free\)/)
  })
})
