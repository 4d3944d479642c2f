import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import { planApart, planBatch } from '../../../../src/orders/store/batch-plan.ts'
import type { IncomingEvent } from '../../../../src/orders/store/store.ts'
import { incoming, OrderStory, poisoned, type StoryEvent } from '../../../support/order-story.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

function eventsOfOnePart(count = 12, seed = SEED): StoryEvent[] {
  for (let told = 200; ; told += 200) {
    const found = [...new OrderStory({ seed }).tell(told).byPart().values()].find((events) => events.length >= count)
    if (found !== undefined) return found
  }
}

const plan = (cursor: number | null, events: readonly IncomingEvent[], part = eventsOfOnePart()[0].part) =>
  planBatch(cursor, { stream: 'n1_0a1b2c3d-1', part, events })

describe('the cursor', () => {
  const events = eventsOfOnePart()
  const at = (...numbers: number[]): IncomingEvent[] => numbers.map((n) => incoming(events[n - 1]))

  it('takes what follows it, passes over what was seen, and leaves what comes too early', () => {
    expect(plan(3, at(2, 3, 4, 5, 7, 8))).toMatchObject({ before: 3, cursor: 5, early: 2 })
    expect(plan(3, at(2, 3, 4, 5, 7, 8)).seen.map(({ pseq }) => pseq)).toEqual([2, 3])
    expect(plan(3, at(4, 5)).events.map(({ pseq }) => pseq)).toEqual([4, 5])
    expect(plan(3, at(5, 6))).toMatchObject({ cursor: 3, early: 2, events: [] })
    expect(plan(3, [])).toMatchObject({ cursor: 3, early: 0, events: [] })
  })

  it('is made by the oldest event that there is', () => {
    expect(plan(null, at(1, 2))).toMatchObject({ before: null, cursor: 2, first: 1 })
    expect(plan(null, at(4, 5))).toMatchObject({ before: null, cursor: 0, early: 2, events: [] })
    expect(plan(null, [incoming(events[3], 4), incoming(events[4], 4)])).toMatchObject({ cursor: 5, first: 4 })
    // A log that has lost more meanwhile does not move a cursor that is there.
    expect(plan(2, [incoming(events[5], 6)])).toMatchObject({ cursor: 2, early: 1 })
  })

  it('counts an event that comes twice in one batch once, and finds when they are two', () => {
    expect(plan(0, at(1, 1, 2))).toMatchObject({ cursor: 2, conflict: null })
    const other = { ...events[0].body, id: 'n1_0a1b2c3d-1-999' }
    const twice = plan(0, [...at(1), { ...incoming(events[0]), body: other }])
    expect(twice.conflict).toContain('n1_0a1b2c3d-1-999')
  })

  it('moves past dead events, and past those that belong to another part', () => {
    const found = plan(0, [poisoned(events[0]), incoming(events[1])])
    expect(found).toMatchObject({ cursor: 2, dead: [{ pseq: 1, code: '1406' }] })
    const order = events.find(({ body }) => body.order !== null)
    if (order === undefined) throw new Error('no order')
    const elsewhere = planBatch(0, { stream: 's', part: (order.part + 1) % 16, events: [{ ...incoming(order), pseq: 1 }] })
    expect(elsewhere).toMatchObject({ cursor: 1, events: [], orders: [], ledger: [], dead: [{ code: 'schema' }] })
  })
})

describe('rows', () => {
  it(`are the same sums however the events are cut (seed ${SEED})`, () => {
    const random = new Random(SEED)
    const events = eventsOfOnePart(60)
    const whole = plan(
      0,
      events.map((event) => incoming(event)),
      events[0].part,
    )
    const sums = new Map<string, number>()
    const ledger = new Map<string, number>()
    const versions = new Map<string, number>()
    for (let cursor = 0; cursor < events.length;) {
      const upTo = Math.min(events.length, cursor + random.between(1, 9))
      const piece = plan(
        cursor,
        events.slice(cursor, upTo).map((event) => incoming(event)),
        events[0].part,
      )
      for (const { id, firstVersion, version, items } of piece.orders) {
        expect(firstVersion).toBe((versions.get(id) ?? 0) + 1)
        versions.set(id, version)
        for (const item of items) {
          for (const field of ['quantity', 'reserved', 'sold', 'released', 'returned'] as const) {
            const key = `${id} ${item.sku} ${field}`
            sums.set(key, (sums.get(key) ?? 0) + item[field])
          }
        }
      }
      for (const { sku, generation, available } of piece.ledger) {
        ledger.set(`${sku} ${generation}`, (ledger.get(`${sku} ${generation}`) ?? 0) + available)
      }
      cursor = piece.cursor
    }
    for (const { id, version, items } of whole.orders) {
      expect(versions.get(id)).toBe(version)
      for (const item of items) {
        for (const field of ['quantity', 'reserved', 'sold', 'released', 'returned'] as const) {
          expect(sums.get(`${id} ${item.sku} ${field}`)).toBe(item[field])
        }
      }
    }
    for (const { sku, generation, available } of whole.ledger) expect(ledger.get(`${sku} ${generation}`)).toBe(available)
    expect(whole.ledger.map(({ sku }) => sku)).toEqual(whole.ledger.map(({ sku }) => sku).toSorted())
  })

  it('say at a mark what the batch had done up to it', () => {
    const story = new OrderStory({ seed: SEED }).tell(100)
    story.mark()
    story.tell(story.events.length + 50)
    for (const [part, events] of story.byPart()) {
      const { marks } = plan(
        0,
        events.map((event) => incoming(event)),
        part,
      )
      expect(marks.map(({ mark }) => mark)).toEqual([1])
      const before = events.slice(0, marks[0].pseq - 1)
      const alone = plan(
        0,
        before.map((event) => incoming(event)),
        part,
      )
      for (const { sku, generation, change } of marks[0].rows) {
        const sum = alone.ledger.find((row) => row.sku === sku && row.generation === generation)
        const { total, available, reserved, sold } = sum ?? { total: 0, available: 0, reserved: 0, sold: 0 }
        expect(change).toEqual({ total, available, reserved, sold })
      }
    }
  })

  it('out of turn know no marks: those have had their time', () => {
    const story = new OrderStory({ seed: SEED }).tell(50)
    story.mark()
    const [[part, events]] = story.byPart()
    expect(
      planApart(
        part,
        events.map((event) => incoming(event)),
      ),
    ).toMatchObject({ marks: [], dead: [] })
  })
})
