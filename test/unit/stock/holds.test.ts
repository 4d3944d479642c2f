// Holds against a sorted array: whatever is added and taken away, in whatever order, the first one and every page are right.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Holds } from '../../../src/stock/holds.ts'
import { OrderRows } from '../../../src/stock/order-rows.ts'

function orderMaker(rows: OrderRows): (deadline: number) => number {
  let sequence = 0
  return (deadline) => {
    const id = Buffer.from(`o${++sequence}`)
    const row = rows.create(id, 0, id.length, rows.table.hash(id, 0, id.length), { items: 1, isWide: false })
    rows.setCreated(row, 0, sequence)
    rows.setTimes(row, deadline, 0)
    return row
  }
}

function all(holds: Holds): number[] {
  const found: number[] = []
  holds.forEachAfter(0, 0, (row) => found.push(row) > 0)
  return found
}

describe('the open holds of a SKU', () => {
  it.each([1, 2, 3, 4, 5, 6])('are in the order of their ends, whatever comes and goes (seed %i)', (seed) => {
    const random = new Random(seed)
    const rows = new OrderRows(7)
    const newOrder = orderMaker(rows)
    const holds = new Holds(rows)
    const key = (row: number): number[] => [rows.deadline(row), rows.sequence(row)]
    const isBefore = (a: number, b: number): boolean => key(a)[0] < key(b)[0] || (key(a)[0] === key(b)[0] && key(a)[1] < key(b)[1])
    const expected: number[] = []
    // Of one kind all in order, of another all over, of a third newest first: chunks grow, split and vanish.
    const deadline = [(i: number) => 1000 + i, () => 1000 + random.below(50), (i: number) => 1e6 - i][seed % 3]
    for (let i = 0; i < 6000; i++) {
      if (expected.length > 0 && random.chance(i < 4000 ? 0.25 : 0.8)) {
        const at = random.chance(0.5) ? 0 : random.below(expected.length)
        const [row] = expected.splice(at, 1)
        expect(holds.remove(row)).toBe(at === 0)
      } else {
        const row = newOrder(deadline(i))
        let at = expected.length
        while (at > 0 && isBefore(row, expected[at - 1])) at--
        expected.splice(at, 0, row)
        expect(holds.add(row)).toBe(at === 0)
      }
      if (holds.size !== expected.length || holds.first !== (expected[0] ?? 0)) expect.fail(`step ${i}`)
      if (i % 500 === 0) expect(all(holds)).toEqual(expected)
    }
    expect(all(holds)).toEqual(expected)
  })

  it('are read from any place on', () => {
    const rows = new OrderRows(7)
    const newOrder = orderMaker(rows)
    const holds = new Holds(rows)
    const made = Array.from({ length: 2000 }, (_, i) => newOrder(100 + (i >> 2)))
    for (const row of made) holds.add(row)
    for (const from of [0, 1, 3, 4, 511, 512, 513, 1024, 1998, 1999]) {
      const found: number[] = []
      holds.forEachAfter(rows.deadline(made[from]), rows.sequence(made[from]), (row) => found.push(row) < 3)
      expect(found).toEqual(made.slice(from + 1, from + 4))
    }
  })
})
