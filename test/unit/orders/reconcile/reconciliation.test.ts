import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import { SystemOrdersEnv } from '../../../../src/orders/env.ts'
import { Reconciliation, type ReconciliationReport } from '../../../../src/orders/reconcile/reconciliation.ts'
import { repair } from '../../../../src/orders/reconcile/repair.ts'
import { SqliteStore } from '../../../../src/orders/store/sqlite/sqlite-store.ts'
import { batchOf, incoming, OrderStory, poisoned, type StoryEvent } from '../../../support/order-story.ts'
import { StoryNode } from './story-node.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
const START = 1_792_000_000_000
const env = new SystemOrdersEnv(() => {})
const silent = (): void => {}

/** A node, and a store that has what `store` was called for. */
class Shop {
  readonly story: OrderStory
  readonly node: StoryNode
  readonly store = new SqliteStore({ path: ':memory:', mode: 'own', now: () => START })
  #stored = 0

  constructor(seed: number, options: { stream?: string; prefix?: string } = {}) {
    this.story = new OrderStory({ seed, start: START, buyers: 30, ...options })
    this.node = new StoryNode(this.story)
    this.node.now = START
  }

  /** Stores what has happened, up to an event; those that `spare` names are never stored. */
  async storeUpTo(
    end = this.story.events.length,
    alter: (event: StoryEvent) => ReturnType<typeof incoming> | null = incoming,
  ): Promise<void> {
    const news = this.story.events.slice(this.#stored, end)
    this.#stored = Math.max(this.#stored, end)
    for (const [part, events] of Map.groupBy(news, (event) => event.part)) {
      await this.store.apply({ stream: this.story.stream, part, events: events.flatMap((event) => alter(event) ?? []) })
    }
  }

  compare(options: { waitMs?: number; headsMax?: number; nodes?: readonly StoryNode[] } = {}): Promise<ReconciliationReport> {
    const { nodes = [this.node], waitMs = 0, ...more } = options
    return new Reconciliation({ nodes, store: this.store, env, waitMs, withVerify: true, progress: silent, ...more }).run()
  }
}

describe('a comparison', () => {
  it('of what is the same says so', async () => {
    const shop = new Shop(1)
    shop.story.tell(600)
    await shop.storeUpTo()
    const report = await shop.compare()
    expect(report).toMatchObject({ isEqual: true, differences: [], late: [], ahead: [], findings: [], onTheWay: 0 })
    const count = (side: 'node' | 'database'): number => report.states.reduce((sum, state) => sum + state[side], 0)
    expect([count('node'), count('database')]).toEqual([shop.story.orders.length, shop.story.orders.length])
    expect(report.skus.map(({ verdict }) => verdict)).toEqual(shop.story.skus.map(() => 'equal'))
  })

  it(`has no false alarms while the node sells on and the database follows (seed ${SEED})`, async () => {
    for (let round = 0; round < 4; round++) {
      const random = new Random(SEED + round)
      const shop = new Shop(SEED + round)
      shop.story.tell(300)
      await shop.storeUpTo()
      // At each question something may have happened, and the database may have got some more of it.
      let asked = 0
      let storing = Promise.resolve()
      shop.node.onAsked = () => {
        if (++asked > 300) return
        if (random.chance(0.6)) shop.story.tell(shop.story.events.length + random.between(1, 9))
        const { length } = shop.story.events
        // Little by little, and all of it in the end.
        if (random.chance(0.5)) storing = storing.then(() => shop.storeUpTo(length - random.below(5)))
        setTimeout(() => {
          storing = storing.then(() => shop.storeUpTo())
        }, random.below(30))
      }
      const report = await shop.compare({ waitMs: 20_000, headsMax: random.chance(0.5) ? 20 : 1e6 })
      await storing
      expect(report, `round ${round}`).toMatchObject({ isEqual: true, differences: [], findings: [], late: [] })
      expect(asked).toBeGreaterThan(10)
    }
  })

  it('finds the same with little memory, in several passes', async () => {
    const shop = new Shop(3)
    shop.story.tell(1500)
    await shop.storeUpTo(1200)
    const whole = await shop.compare()
    const passes = await shop.compare({ headsMax: 40 })
    expect(whole.onTheWay).toBeGreaterThan(20)
    expect(passes.onTheWay).toBe(whole.onTheWay)
    expect(passes.states).toEqual(whole.states)
  })

  it('says which parts are behind, and counts their orders as on the way', async () => {
    const shop = new Shop(4)
    shop.story.tell(400)
    await shop.storeUpTo(300)
    const report = await shop.compare()
    expect(report).toMatchObject({ isEqual: false, differences: [], skus: [] })
    expect(report.onTheWay).toBeGreaterThan(0)
    expect(report.late.reduce((sum, { last, stored }) => sum + last - stored, 0)).toBe(100)
    expect(report.skusSkipped).toEqual([{ node: 'node:7379', why: 'events of it are still on their way' }])
  })

  it('takes an order that the node has forgotten in its turn for none, and one that it should know for a difference', async () => {
    const shop = new Shop(5)
    shop.story.tell(400)
    await shop.storeUpTo()
    const over = shop.story.orders.filter(({ state }) => state === 'RELEASED')
    for (const { id } of over) shop.node.forgotten.add(id)
    const open = shop.story.orders.filter(({ state }) => state === 'RESERVED')
    const young = await shop.compare()
    expect(young.differences.map(({ id, kind }) => [id, kind]).toSorted()).toEqual(over.map(({ id }) => [id, 'unknown']).toSorted())
    expect(young.differences[0].says[0]).toMatch(/^the database has it RELEASED \(version \d\), the node does not know it$/)
    shop.node.now = START + 10 * 3_600_000
    expect(await shop.compare()).toMatchObject({ isEqual: true })
    expect((await shop.compare()).states.find(({ state }) => state === 'RELEASED')).toMatchObject({ node: 0, forgotten: over.length })
    // An open order is never forgotten.
    shop.node.forgotten.add(open[0].id)
    expect((await shop.compare()).differences).toMatchObject([{ id: open[0].id, kind: 'unknown' }])
  })

  it('leaves the orders of other nodes alone', async () => {
    const shop = new Shop(6, { prefix: 'a_' })
    const other = new Shop(7, { prefix: 'b_', stream: 'n2_ffffffff-1' })
    shop.story.tell(200)
    other.story.tell(200)
    await shop.storeUpTo()
    for (const events of other.story.byPart().values()) await shop.store.apply(batchOf(events))
    expect(await shop.compare()).toMatchObject({ isEqual: true })
    expect(await shop.compare({ nodes: [shop.node, other.node] })).toMatchObject({ isEqual: true })
    const both = await shop.compare({ nodes: [shop.node, other.node] })
    expect(both.states.reduce((sum, { node }) => sum + node, 0)).toBe(shop.story.orders.length + other.story.orders.length)
  })

  it('finds that a node was put back to an older log', async () => {
    const shop = new Shop(8)
    shop.story.tell(300)
    await shop.storeUpTo()
    const older = new Shop(8)
    older.story.tell(250)
    const report = await shop.compare({ nodes: [older.node] })
    expect(report.isEqual).toBe(false)
    expect(report.ahead.length).toBeGreaterThan(0)
    expect(new Set(report.differences.map(({ kind }) => kind))).toEqual(new Set(['ahead', 'unknown']))
  })

  it('finds archived orders where they are', async () => {
    const shop = new Shop(9)
    shop.story.tell(400)
    await shop.storeUpTo()
    expect(await shop.store.archive(START * 2, 50)).toBe(50)
    expect(await shop.compare()).toMatchObject({ isEqual: true })
  })
})

describe('a repair', () => {
  it('brings what is dead, or was lost behind the cursor, back from the log', async () => {
    const shop = new Shop(11)
    shop.story.tell(500)
    const dead = shop.story.events.filter(({ body }) => body.type === 'order.confirmed').slice(3, 9)
    await shop.storeUpTo(500, (event) => (dead.includes(event) ? poisoned(event) : incoming(event)))
    const report = await shop.compare()
    expect(report.isEqual).toBe(false)
    const orders = new Set(dead.map(({ body }) => body.order))
    expect(report.differences.map(({ id }) => id).toSorted()).toEqual([...orders].toSorted())
    expect(report.skus.some(({ verdict }) => verdict === 'different')).toBe(true)

    const repaired = await repair({ nodes: [shop.node], store: shop.store, progress: silent }, report)
    expect(repaired).toMatchObject({ says: [], sought: 0 })
    expect(repaired.changed).toBeGreaterThanOrEqual(orders.size)
    expect(await shop.compare()).toMatchObject({ isEqual: true })
    // Once more changes nothing.
    expect(await repair({ nodes: [shop.node], store: shop.store, progress: silent }, report)).toMatchObject({ changed: 0 })
    expect((await shop.store.stats()).deadEvents).toBe(0)
  })

  it('says what the log no longer has, and restates nothing', async () => {
    const shop = new Shop(12)
    shop.story.tell(500)
    const dead = shop.story.events.filter(({ body }) => body.type === 'order.reserved').slice(0, 1)
    await shop.storeUpTo(500, (event) => (dead.includes(event) ? poisoned(event) : incoming(event)))
    shop.node.oldest = 400
    const report = await shop.compare()
    const { says } = await repair({ nodes: [shop.node], store: shop.store, progress: silent }, report)
    expect(says.join('\n')).toContain(`order ${dead[0].body.order}: the node's log has n`)
    expect((await shop.compare()).differences.map(({ id }) => id)).toEqual(report.differences.map(({ id }) => id))
  })

  it('asks the node for what did not come', async () => {
    const shop = new Shop(13)
    shop.story.tell(300)
    await shop.storeUpTo(200)
    const report = await shop.compare()
    const { sought } = await repair({ nodes: [shop.node], store: shop.store, progress: silent }, report)
    expect(sought).toBe(report.late.length)
    expect(shop.node.seeks).toEqual(report.late.map(({ part, stored }) => [part, stored]))
  })
})
