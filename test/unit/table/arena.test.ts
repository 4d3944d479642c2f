import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT, SegmentPool } from '../../../src/table/arena.ts'

const SIZES = [1, 8, 9, 40, 511, 512, 513, 1000, 4096, 70_000, 300_000, 524_288, 524_289, 2_000_000]

/** Writes a pattern that tells this row from every other into all of its bytes. */
function fill(arena: Arena, ref: number, bytes: number, mark: number): void {
  const at = (ref & GRANULE_MASK) << 3
  arena.bytes[ref >>> SEGMENT_SHIFT].fill(mark & 0xff, at, at + bytes)
}

function isIntact(arena: Arena, ref: number, bytes: number, mark: number): boolean {
  const row = arena.bytes[ref >>> SEGMENT_SHIFT]
  const at = (ref & GRANULE_MASK) << 3
  return at + bytes <= row.length && row.subarray(at, at + bytes).every((byte) => byte === (mark & 0xff))
}

describe('arena', () => {
  it.each([1, 2, 3])('rows never overlap, whatever is freed and used again (seed %i)', (seed) => {
    const random = new Random(seed)
    const arena = new Arena()
    const live: { ref: number; bytes: number; mark: number }[] = []
    let used = 0
    for (let step = 0; step < 4000; step++) {
      if (live.length < 200 && random.chance(0.6)) {
        const bytes = random.chance(0.9) ? random.between(1, 2000) : random.pick(SIZES)
        const ref = arena.alloc(bytes)
        expect(ref).toBeGreaterThan(0)
        fill(arena, ref, bytes, step)
        live.push({ ref, bytes, mark: step })
        used += Arena.sizeOf(bytes)
      } else if (live.length > 0) {
        const [row] = live.splice(random.below(live.length), 1)
        expect(isIntact(arena, row.ref, row.bytes, row.mark)).toBe(true)
        arena.free(row.ref, row.bytes)
        used -= Arena.sizeOf(row.bytes)
      }
      expect(arena.usedBytes).toBe(used)
    }
    for (const row of live) expect(isIntact(arena, row.ref, row.bytes, row.mark)).toBe(true)
    expect(arena.allocatedBytes).toBeGreaterThanOrEqual(used)
  })

  it('rounds up by an eighth at most, above 512 bytes, and says so by fits', () => {
    const arena = new Arena()
    for (let bytes = 1; bytes < 3_000_000; bytes += 1 + (bytes >>> 6)) {
      const size = Arena.sizeOf(bytes)
      expect(size).toBeGreaterThanOrEqual(bytes)
      expect(size - bytes).toBeLessThanOrEqual(Math.max(7, bytes / 8 + 8))
      expect(Arena.sizeOf(size)).toBe(size)
      expect(arena.fits(bytes, size)).toBe(bytes > 524_288 === size > 524_288)
      expect(arena.fits(bytes, size + 1)).toBe(false)
    }
  })

  it('uses freed rows again instead of taking more memory', () => {
    const arena = new Arena()
    for (let round = 0; round < 50; round++) {
      const rows = Array.from({ length: 1000 }, () => arena.alloc(100))
      for (const ref of rows) arena.free(ref, 100)
    }
    expect(arena.allocatedBytes).toBe(1 << 20)
    expect(arena.usedBytes).toBe(0)
  })

  it('gives large rows back at once', () => {
    const arena = new Arena()
    arena.alloc(8)
    const ref = arena.alloc(10_000_000)
    expect(arena.allocatedBytes).toBeGreaterThan(10_000_000)
    arena.free(ref, 10_000_000)
    expect(arena.allocatedBytes).toBe(1 << 20)
    expect(arena.alloc(20_000_000) >>> SEGMENT_SHIFT).toBe(ref >>> SEGMENT_SHIFT)
  })

  it('has no row 0, even if the first one is large', () => {
    expect(new Arena().alloc(1)).toBeGreaterThan(0)
    expect(new Arena().alloc(5_000_000)).toBeGreaterThan(0)
    const arena = new Arena()
    arena.alloc(5_000_000)
    arena.clear()
    expect(arena.allocatedBytes).toBe(0)
    expect(arena.alloc(1)).toBeGreaterThan(0)
  })

  it('uses the end of a segment for rows that fit there', () => {
    const arena = new Arena()
    // Two rows of 400 KiB leave about 200 KiB of the segment; the third opens the next one.
    for (let i = 0; i < 3; i++) arena.alloc(400 * 1024)
    const allocated = arena.allocatedBytes
    const left = (1 << 20) - 8 - 2 * Arena.sizeOf(400 * 1024)
    let size = left
    while (Arena.sizeOf(size) > left) size -= 8
    arena.alloc(size)
    expect(arena.allocatedBytes).toBe(allocated)
  })
})

describe('an arena that is one of many', () => {
  it('begins small, and each segment is as large as all before it', () => {
    const arena = new Arena(new SegmentPool())
    arena.alloc(100)
    expect(arena.allocatedBytes).toBe(8 * 1024)
    for (let i = 0; i < 200_000; i++) arena.alloc(100)
    expect(arena.bytes.slice(0, 5).map((segment) => segment.length)).toEqual([8192, 8192, 16_384, 32_768, 65_536])
    expect(Math.max(...arena.bytes.map((segment) => segment.length))).toBe(1 << 20)
  })

  it.each([1, 2, 3])('keeps rows of all sizes apart, and so does its copy (seed %i)', (seed) => {
    const random = new Random(seed)
    const arena = new Arena(new SegmentPool())
    const rows = Array.from({ length: 300 }, (_, mark) => {
      const bytes = random.chance(0.9) ? random.between(1, 3000) : random.pick(SIZES)
      const ref = arena.alloc(bytes)
      fill(arena, ref, bytes, mark)
      return { ref, bytes, mark }
    })
    const copy = arena.clone()
    for (const { ref, bytes } of rows) fill(arena, ref, bytes, 0xee)
    for (const { ref, bytes, mark } of rows) expect(isIntact(copy, ref, bytes, mark)).toBe(true)
    const ref = copy.alloc(50)
    fill(copy, ref, 50, 0x77)
    for (const row of rows) expect(isIntact(copy, row.ref, row.bytes, row.mark)).toBe(true)
  })

  it('leaves its segments to the next one', () => {
    const pool = new SegmentPool()
    const first = new Arena(pool)
    for (let i = 0; i < 1000; i++) first.alloc(100)
    const memory = first.bytes.map((segment) => segment.buffer)
    first.clear()
    expect(pool.bytes).toBe(memory.reduce((sum, buffer) => sum + buffer.byteLength, 0))
    const second = new Arena(pool)
    for (let i = 0; i < 1000; i++) second.alloc(100)
    expect(new Set(second.bytes.map((segment) => segment.buffer))).toEqual(new Set(memory))
    expect(pool.bytes).toBe(0)
  })
})
