import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { ExpiryHeap, type Instant } from '../../../src/keyspace/expiry-heap.ts'
import { EXPIRY_SLOT } from '../../../src/keyspace/row.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../../../src/table/arena.ts'

const ROW_BYTES = 16

function newRow(arena: Arena): number {
  const ref = arena.alloc(ROW_BYTES)
  arena.words[ref >>> SEGMENT_SHIFT].fill(0, (ref & GRANULE_MASK) << 1, ((ref & GRANULE_MASK) << 1) + 4)
  return ref
}

function slotOf(arena: Arena, ref: number): number {
  return arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + EXPIRY_SLOT]
}

describe('expiry heap', () => {
  it.each([1, 2, 3])('always knows the earliest and every key its instant (seed %i)', (seed) => {
    const random = new Random(seed)
    const arena = new Arena()
    const heap = new ExpiryHeap(arena)
    const instants = new Map<number, Instant>()
    const rows: number[] = []
    for (let i = 0; i < 300; i++) rows.push(newRow(arena))
    const draw = (): Instant => {
      if (random.chance(0.1)) return 2n ** 62n + BigInt(random.below(5))
      return random.chance(0.3) ? random.between(1, 20) : random.below(4294967296) * random.below(2 ** 20) + 1
    }
    for (let step = 0; step < 20_000; step++) {
      const i = random.below(rows.length)
      const ref = rows[i]
      if (random.chance(0.5)) {
        const at = draw()
        heap.set(ref, at)
        instants.set(ref, at)
      } else if (random.chance(0.2) && instants.has(ref)) {
        // The row moves, as it does when its value grows.
        const next = newRow(arena)
        arena.words[next >>> SEGMENT_SHIFT][((next & GRANULE_MASK) << 1) + EXPIRY_SLOT] = slotOf(arena, ref)
        heap.moved(ref, next)
        instants.set(next, instants.get(ref)!)
        instants.delete(ref)
        rows[i] = next
      } else if (random.chance(0.7)) {
        heap.remove(ref)
        instants.delete(ref)
        expect(slotOf(arena, ref)).toBe(0)
      } else if (heap.size > 0) {
        heap.remove(heap.firstRow)
        const first = [...instants].reduce((a, b) => (b[1] < a[1] ? b : a))
        for (const [row] of instants) if (slotOf(arena, row) === 0) instants.delete(row)
        expect(instants.get(first[0]) ?? first[1]).toBe(first[1])
      }
      if (heap.size !== instants.size) expect.fail('size')
      if (step % 100 !== 0) continue
      const earliest = [...instants.values()].reduce<Instant>((a, b) => (b < a ? b : a), Infinity)
      expect(heap.first).toBe(Number(earliest))
      for (const [row, at] of instants) expect(heap.exactAt(slotOf(arena, row))).toBe(at)
    }
  })

  it('empties in order, over many chunks', () => {
    const random = new Random(9)
    const arena = new Arena()
    const heap = new ExpiryHeap(arena)
    for (let i = 0; i < 50_000; i++) heap.set(newRow(arena), random.below(1_000_000) + 1)
    const full = heap.bytes
    let last = 0
    while (heap.size > 0) {
      expect(heap.first).toBeGreaterThanOrEqual(last)
      last = heap.first
      heap.remove(heap.firstRow)
    }
    expect(heap.first).toBe(Infinity)
    expect(heap.bytes).toBeLessThan(full)
  })
})
