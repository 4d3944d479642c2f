import { expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import { hashOfOrder, OrderHeads, STATES } from '../../../../src/orders/reconcile/order-heads.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

it(`knows the orders that were put in, and those that nobody compared (seed ${SEED})`, () => {
  const random = new Random(SEED)
  const heads = new OrderHeads()
  const right = new Map<string, { state: string; version: number }>()
  for (let i = 0; i < 20_000; i++) {
    const order = { state: random.pick(STATES), version: random.between(1, 2 ** 31) }
    const id = `{u${random.below(9000)}}`
    right.set(id, order)
    heads.put(hashOfOrder(id), order.state, order.version)
  }
  expect(heads.size).toBe(right.size)
  for (const [id, { state, version }] of right) {
    if (random.chance(0.5)) continue
    const hash = hashOfOrder(id)
    expect(heads.isUnmarked(hash)).toBe(true)
    expect(heads.compare(hash, state, version + 1)).toBe('different')
    expect(heads.compare(hash, state === 'RESERVED' ? 'EXPIRED' : 'RESERVED', version)).toBe('different')
    expect(heads.compare(hash, state, version)).toBe('equal')
    expect(heads.isUnmarked(hash)).toBe(false)
    right.delete(id)
  }
  expect(heads.unmarked).toBe(right.size)
  expect(heads.compare(hashOfOrder('nobody'), 'RESERVED', 1)).toBe('absent')
  expect(heads.isUnmarked(hashOfOrder('nobody'))).toBe(false)

  heads.keep((hash) => hash % 2 === 0)
  for (const [id, { state, version }] of right) {
    const hash = hashOfOrder(id)
    expect(heads.compare(hash, state, version)).toBe(hash % 2 === 0 ? 'equal' : 'absent')
  }
  heads.clear()
  expect([heads.size, heads.unmarked]).toEqual([0, 0])
})
