import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import type { EventBody } from '../../../../src/orders/event-body.ts'
import { rebuildOrder } from '../../../../src/orders/store/order-history.ts'
import { OrderStory } from '../../../support/order-story.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

describe('an order from its events', () => {
  it(`is the same in whatever order they come (seed ${SEED})`, () => {
    const random = new Random(SEED)
    const story = new OrderStory({ seed: SEED, skus: 3 }).tell(800)
    for (const order of story.orders) {
      const bodies = story.events.filter(({ body }) => body.order === order.id).map(({ body }) => body)
      const shuffled = bodies.toSorted(() => random.float() - 0.5)
      const rows = rebuildOrder(shuffled)
      const { id, state, version, deadline, ref, createdAt, updatedAt } = order
      expect(rows).toMatchObject({ id, state, version, deadline, ref, createdAt, updatedAt, firstVersion: 1, isDisordered: false })
      for (const { sku, ordered, reserved, sold, released, returned } of order.items) {
        const item = rows.items.find((one) => one.sku === sku.name)
        expect(item).toMatchObject({ quantity: ordered, reserved, sold, released, returned, seller: sku.seller })
      }
    }
  })

  it('follows a node that was set back to an older log: what did not go on is taken back', () => {
    const rows = rebuildOrder([event(1, 'RESERVED', 10), event(2, 'CONFIRMED', 20), event(2, 'RELEASED', 30)])
    expect(rows).toMatchObject({ version: 2, state: 'RELEASED', createdAt: 10, updatedAt: 30 })
    expect(rows.items).toMatchObject([{ quantity: 2, reserved: 0, sold: 0, released: 2 }])
  })

  it('begins again when its id is used again', () => {
    const rows = rebuildOrder([event(1, 'RESERVED', 10), event(2, 'CONFIRMED', 20), event(1, 'RESERVED', 1e9)])
    expect(rows).toMatchObject({ version: 1, state: 'RESERVED', createdAt: 1e9 })
    expect(rows.items).toMatchObject([{ quantity: 2, reserved: 2, sold: 0 }])
  })

  it('says that its beginning is missing', () => {
    expect(rebuildOrder([event(3, 'RETURNED', 30), event(2, 'CONFIRMED', 20)])).toMatchObject({
      firstVersion: 2,
      version: 3,
      createdAt: 20,
    })
  })

  it('keeps its own ref when a payment is refused', () => {
    const orphan: EventBody = { ...event(2, 'EXPIRED', 20), type: 'order.payment_orphaned', ref: 'pay_2', items: [] }
    expect(rebuildOrder([{ ...event(1, 'RESERVED', 10), ref: 'cart' }, orphan])).toMatchObject({
      ref: 'cart',
      version: 2,
      state: 'EXPIRED',
    })
  })
})

const MOVES: Readonly<Record<string, EventBody['items'][number]['change']>> = {
  RESERVED: { reserved: 2, sold: 0, released: 0, returned: 0 },
  CONFIRMED: { reserved: -2, sold: 2, released: 0, returned: 0 },
  RELEASED: { reserved: -2, sold: 0, released: 2, returned: 0 },
  RETURNED: { reserved: 0, sold: -2, released: 0, returned: 2 },
}

function event(version: number, state: string, time: number): EventBody {
  const change = MOVES[state] ?? { reserved: -2, sold: 0, released: 2, returned: 0 }
  return {
    ...{ schema: 1, id: `n1_0a1b2c3d-1-${time}`, type: 'order.reserved', time, order: '{ann}1', buyer: 'ann', shard: 5, version, state },
    ...{ deadline: 0, ref: null, reason: null, late: false, stock: [] },
    items: [{ sku: 'book', generation: 1, qty: 2, price: 5, seller: null, change }],
  }
}
