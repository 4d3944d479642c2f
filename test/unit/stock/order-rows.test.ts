// An order's row keeps every field for itself: whatever is written to one, the others stay.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { type Column, OrderExtra, type Operation } from '../../../src/stock/order-extra.ts'
import { OrderRows, PAID_FLAG, PAYMENT_FLAG, TOMBSTONE_FLAG } from '../../../src/stock/order-rows.ts'

const INSTANT_MAX = 2 ** 42 - 1

describe("an order's row", () => {
  it.each([1, 2, 3])('keeps its fields apart (seed %i)', (seed) => {
    const random = new Random(seed)
    const rows = new OrderRows(seed)
    const big = (bits: number): number => Math.floor(random.float() * 2 ** random.below(bits + 1))
    for (let round = 0; round < 300; round++) {
      const id = Buffer.from(Array.from({ length: random.between(1, 128) }, () => random.below(256)))
      const hash = rows.table.hash(id, 0, id.length)
      if (rows.find(id, 0, id.length, hash) !== 0) continue
      const items = Array.from({ length: random.pick([1, 1, 2, 3, 100]) }, () => [big(random.pick([8, 26])), 1 + big(random.pick([7, 29]))])
      const isWide = OrderRows.isWide(items[0][0], items[0][1])
      const row = rows.create(id, 0, id.length, hash, { items: items.length, isWide })
      const expected = { state: 0, version: 1, created: 0, sequence: 0, deadline: 0, at: 0, flags: 0 }
      items.forEach(([sku, quantity], i) => rows.setItem(row, i, sku, quantity))
      rows.setVersion(row, 1)
      for (let change = 0; change < 30; change++) {
        switch (random.below(5)) {
          case 0:
            rows.setState(row, (expected.state = random.between(1, 5)))
            break
          case 1:
            rows.setVersion(row, (expected.version = big(22 - 1)))
            break
          case 2:
            rows.setCreated(row, (expected.created = big(42)), (expected.sequence = big(48)))
            break
          case 3:
            rows.setTimes(
              row,
              (expected.deadline = random.pick([0, INSTANT_MAX, big(42)])),
              (expected.at = random.pick([INSTANT_MAX, big(42)])),
            )
            break
          default: {
            const flag = random.pick([PAID_FLAG, PAYMENT_FLAG, TOMBSTONE_FLAG])
            rows.setFlag(row, flag)
            expected.flags |= flag
          }
        }
      }
      expect({
        state: rows.state(row),
        version: rows.version(row),
        created: rows.created(row),
        sequence: rows.sequence(row),
        deadline: rows.deadline(row),
        at: rows.at(row),
        flags: rows.word(row, 0) & (PAID_FLAG | PAYMENT_FLAG | TOMBSTONE_FLAG),
      }).toEqual(expected)
      expect(items.map((_, i) => [rows.itemSku(row, i), rows.itemQuantity(row, i)])).toEqual(items)
      expect(rows.find(id, 0, id.length, hash)).toBe(row)
      if (random.chance(0.3)) rows.remove(row)
    }
  })

  it('takes at most 80 bytes for an id of 24 bytes and one item', () => {
    const rows = new OrderRows(1)
    const id = Buffer.from('{u000000123456}01JA8ZQ4K'.slice(0, 24))
    const before = rows.arena.usedBytes
    rows.create(id, 0, id.length, 1, { items: 1, isWide: false })
    expect(rows.arena.usedBytes - before).toBeLessThanOrEqual(80)
  })
})

describe("an order's extra row", () => {
  it.each([1, 2, 3])('gives back what was stored, in place or moved (seed %i)', (seed) => {
    const random = new Random(seed)
    const rows = new OrderRows(seed)
    const id = Buffer.from('o')
    const order = rows.create(id, 0, 1, rows.table.hash(id, 0, 1), { items: 3, isWide: false })
    const bytes = (most: number): Buffer => Buffer.from(Array.from({ length: random.between(1, most) }, () => random.below(256)))
    const operation = (): Operation => ({
      kind: random.between(1, 2),
      id: bytes(256),
      digestA: random.uint32(),
      digestB: random.uint32(),
      when: 1.7e12,
    })
    const column = (): Column => ({ released: random.below(1e9), sold: random.below(1e9), returned: random.below(1e9) })
    for (let round = 0; round < 200; round++) {
      const extra = new OrderExtra()
      if (random.chance(0.5)) extra.ref = bytes(256)
      if (random.chance(0.5)) extra.reason = bytes(32)
      if (random.chance(0.5)) extra.updated = 1_792_000_000_000 + round
      if (random.chance(0.5)) extra.columns = [column(), column(), column()]
      for (let n = random.pick([0, 0, 1, 20]); n > 0; n--) extra.remember(operation())
      for (let n = random.pick([0, 0, 1, 300]); n > 0; n--) extra.orphans.push(bytes(256))
      extra.store(rows, order)
      expect(extra.operations.length).toBeLessThanOrEqual(16)
      expect(OrderExtra.of(rows, order)).toEqual(extra)
      const copy = Buffer.from(OrderExtra.bytesOf(rows, order))
      if (random.chance(0.2)) {
        OrderExtra.free(rows, order)
        OrderExtra.load(rows, order, copy)
        expect(OrderExtra.of(rows, order)).toEqual(extra)
      }
    }
    const used = rows.arena.usedBytes
    new OrderExtra().store(rows, order)
    expect(OrderExtra.isPresent(rows, order)).toBe(false)
    expect(rows.arena.usedBytes).toBeLessThanOrEqual(used)
  })
})
