// Use counts against a Map, and the sweep after a SKU was dropped.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Buyers } from '../../../src/stock/buyers.ts'
import { Holds } from '../../../src/stock/holds.ts'
import { OrderRows } from '../../../src/stock/order-rows.ts'
import { Sku } from '../../../src/stock/sku.ts'

const terms = {
  holdSeconds: 1,
  maxHoldSeconds: 1,
  limit: 0,
  maxQuantity: 1,
  safety: 0,
  start: 0,
  end: 0,
  price: -1,
  seller: '',
  paused: false,
}

function shop(count: number): { skus: Sku[]; buyers: Buyers } {
  const orders = new OrderRows(1)
  const skus = Array.from(
    { length: count },
    (_, number) =>
      new Sku({ number, generation: number + 1, name: Buffer.from(`s${number}`), origin: { total: 0, terms }, holds: new Holds(orders) }),
  )
  return { skus, buyers: new Buyers({ seed: 3, orders, skus }) }
}

describe('what a buyer uses', () => {
  it.each([1, 2, 3, 4])('is counted per SKU, beyond 2^32 too (seed %i)', (seed) => {
    const random = new Random(seed)
    const { skus, buyers } = shop(seed * 3)
    const name = Buffer.from('ann')
    const buyer = buyers.findOrAdd(name, 0, name.length)
    const expected = new Map<Sku, number>()
    for (let step = 0; step < 3000; step++) {
      const sku = random.pick(skus)
      const used = expected.get(sku) ?? 0
      const change = used > 0 && random.chance(0.5) ? -random.pick([used, 1, random.between(1, used)]) : random.pick([1, 1_000_000_000])
      buyers.use(buyer, sku, change)
      expected.set(sku, used + change)
      if (used + change === 0) expected.delete(sku)
      for (const each of skus) {
        expect(buyers.used(buyer, each.number)).toBe(expected.get(each) ?? 0)
        expect(each.useCounts).toBe(expected.has(each) ? 1 : 0)
      }
    }
    const visited = new Map<Sku, number>()
    buyers.forEachUse(buyer, (sku, units) => visited.set(sku, units))
    expect(visited).toEqual(expected)
  })

  it('is forgotten when its SKU is dropped, and the buyer with it', () => {
    const { skus, buyers } = shop(3)
    const name = Buffer.from('ann')
    const buyer = buyers.findOrAdd(name, 0, name.length)
    for (const sku of skus) buyers.use(buyer, sku, 2)
    const freed: Sku[] = []
    skus[0].isDropped = true
    skus[2].isDropped = true
    buyers.sweep(buyer, (sku) => freed.push(sku))
    expect(new Set(freed)).toEqual(new Set([skus[0], skus[2]]))
    expect(skus.map((sku) => sku.useCounts)).toEqual([0, 1, 0])
    expect(buyers.used(buyer, 1)).toBe(2)
    skus[1].isDropped = true
    buyers.sweep(buyer, () => {})
    expect(buyers.table.size).toBe(0)
    expect(buyers.arena.usedBytes).toBe(0)
  })
})
