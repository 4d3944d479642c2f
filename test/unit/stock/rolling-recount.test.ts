// The recount in slices: silent whatever happens between them, and no fault stays unseen for longer than a pass.
//
// AUDIT_STORIES=5000 plays more, AUDIT_SEED=n begins at another seed.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { recount } from '../../../src/stock/audit.ts'
import { RollingRecount, type Violation } from '../../../src/stock/rolling-recount.ts'
import type { Sku } from '../../../src/stock/sku.ts'
import { type Heard, retell, showStep, shrink, STORY_START, tell } from '../../model/duel.ts'
import { EngineStage } from '../../model/engine-stage.ts'

const STORIES = Number(process.env['AUDIT_STORIES'] ?? 150)
const FIRST_SEED = Number(process.env['AUDIT_SEED'] ?? 1)
const STEPS = 150

/** Between any two commands a slice of any size: some so small that a pass takes the whole story. */
class AuditedStage extends EngineStage {
  passes = 0
  readonly #random: Random
  #audited: Engine | null = null
  #recount: RollingRecount | null = null

  constructor(times: object, seed: number) {
    super(times)
    this.#random = new Random(seed)
  }

  override breach(): string {
    if (this.#audited !== this.engine) this.#recount = new RollingRecount((this.#audited = this.engine).ledger.state)
    const rolling = this.#recount!
    const before = rolling.passes
    const found = rolling.slice(this.#random.pick([0, 1, 1, 2, 3, 5, 50]))
    this.passes += rolling.passes - before
    return found.length > 0 ? `false alarm: ${found.map((violation) => violation.text).join('; ')}` : super.breach()
  }
}

it('raises no false alarm, whatever changes between two slices', { timeout: 600_000 }, () => {
  const heard: Heard = new Map()
  let passes = 0
  for (let seed = FIRST_SEED; seed < FIRST_SEED + STORIES; seed++) {
    let stage!: AuditedStage
    const make = (times: object): AuditedStage => (stage = new AuditedStage(times, seed))
    const { steps, difference } = tell(seed, STEPS, make, heard)
    passes += stage.passes
    if (difference === '') continue
    const shortest = shrink(steps, make)
    expect.fail(`AUDIT_SEED=${seed} AUDIT_STORIES=1\n${retell(shortest, make)}\nafter\n${shortest.map(showStep).join('\n')}`)
  }
  expect(passes).toBeGreaterThan(STORIES)
})

/** What memory that forgets, or a wrong move, could do to a SKU with orders; all but the first keep E1. */
const FAULTS: Record<string, (sku: Sku) => void> = {
  'E1': (sku) => {
    sku.total++
  },
  'E2': (sku) => {
    sku.reserved++
    sku.available--
  },
  'E3': (sku) => {
    sku.sold++
    sku.available--
  },
  'E3 of forgotten orders': (sku) => {
    sku.settled++
  },
}

describe('a planted fault is found within the pass after it', () => {
  it.each(Object.keys(FAULTS))('%s', (name) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + 20; seed++) {
      const random = new Random(seed)
      const shop = new Shop(random)
      shop.trade(random.between(10, 200))
      const rolling = new RollingRecount(shop.state)
      const found: Violation[] = [...rolling.slice(random.below(300))]
      expect(found, `AUDIT_SEED=${seed}`).toEqual([])

      const sku = shop.state.skus[random.below(Shop.SKUS)] as Sku
      if (sku.available === 0) continue
      FAULTS[name](sku)
      for (const end = rolling.passes + 2; rolling.passes < end && found.length === 0;) {
        if (name !== 'E1') shop.trade(random.below(3)) // a changed SKU would fail its own assertion
        found.push(...rolling.slice(random.between(1, 20)))
      }
      expect(
        found.map((violation) => violation.equation + Buffer.from(violation.sku.name).toString()),
        `AUDIT_SEED=${seed}`,
      ).toContain(name.slice(0, 2) + Buffer.from(sku.name).toString())
      expect(recount(shop.state, sku).violations).not.toEqual([])
    }
  })

  it('E2 of an order whose row was changed behind the ledger', () => {
    const shop = new Shop(new Random(FIRST_SEED))
    shop.ask('STOCK.RESERVE', '{ann}x', 'ITEMS', 'sku0', '2')
    const { state } = shop
    const order = state.sku(0).holds.first
    const rolling = new RollingRecount(state)
    state.rows.setItem(order, 0, 0, 3)
    const found = rolling.slice(1e6).map(({ equation, expected, found: counter }) => ({ equation, expected, found: counter }))
    expect(found).toContainEqual({ equation: 'E2', expected: 3, found: 2 })
  })

  it('E5, a buyer whose use was forgotten', () => {
    const shop = new Shop(new Random(FIRST_SEED))
    shop.ask('STOCK.RESERVE', '{ann}x', 'ITEMS', 'sku0', '2')
    const { state } = shop
    const order = state.sku(0).holds.first
    state.buyers.use(state.buyerOf(order), state.sku(0), -1)
    const [violation] = new RollingRecount(state).slice(1e6)
    expect(violation).toMatchObject({ equation: 'E5', expected: 2, found: 1, text: 'sku0: buyer ann uses 1, his orders have 2' })
  })
})

it('goes round an empty ledger once per slice', () => {
  const rolling = new RollingRecount(new EngineStage().engine.ledger.state)
  for (let i = 1; i <= 100; i++) {
    expect(rolling.slice(1000)).toEqual([])
    expect(rolling.passes).toBe(i)
  }
})

/** A few SKUs and random trade with them. */
class Shop {
  static readonly SKUS = 5
  readonly #stage = new EngineStage({ orderRetentionMs: 20_000, returnWindowMs: 60_000 })
  readonly #random: Random
  #now = STORY_START
  #orders = 0

  constructor(random: Random) {
    this.#random = random
    for (let i = 0; i < Shop.SKUS; i++) this.ask('STOCK.CREATE', `sku${i}`, '100000', 'HOLD', '5', 'MAXHOLD', '10')
  }

  get state() {
    return this.#stage.engine.ledger.state
  }

  ask(...args: string[]): string {
    return this.#stage.answer(args, this.#now, 2, 0)
  }

  trade(steps: number): void {
    const random = this.#random
    for (let i = 0; i < steps; i++) {
      this.#now += random.pick([0, 0, 1, 50, 500])
      const order = `{b${random.below(7)}}o${random.below(this.#orders + 1)}`
      const roll = random.below(10)
      if (roll < 5)
        this.ask('STOCK.RESERVE', `{b${random.below(7)}}o${this.#orders++}`, 'ITEMS', `sku${random.below(5)}`, `${random.between(1, 4)}`)
      else if (roll < 7) this.ask('STOCK.CONFIRM', order, 'REF', `p${i}`)
      else if (roll < 8) this.ask('STOCK.RELEASE', order)
      else if (roll < 9) this.ask('STOCK.RETURN', order)
      else this.ask('STOCK.CONFIRM', order, 'LATE')
    }
  }
}
