// The real stock commands against the model: random stories of shops, buyers and restarts, equal byte for byte, law checked at each step.
//
// STOCK_STORIES=20000 plays more of them, STOCK_SEED=n begins at another seed.

import { expect, it } from 'vitest'
import { type Heard, retell, showStep, shrink, STORY_START, tell } from '../../model/duel.ts'
import { EngineStage } from '../../model/engine-stage.ts'
import { SKUS } from '../../model/random-shop.ts'

const STORIES = Number(process.env['STOCK_STORIES'] ?? 300)
const FIRST_SEED = Number(process.env['STOCK_SEED'] ?? 1)
const STEPS = 150

const make = (times: object): EngineStage => new EngineStage(times)

it('answers random stories as the model does', { timeout: 600_000 }, () => {
  const heard: Heard = new Map()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + STORIES; seed++) {
    const { steps, difference } = tell(seed, STEPS, make, heard)
    if (difference === '') continue
    const shortest = shrink(steps, make)
    expect.fail(`STOCK_SEED=${seed} STOCK_STORIES=1\n${retell(shortest, make)}\nafter\n${shortest.map(showStep).join('\n')}`)
  }
  if (STORIES < 300) return
  const rare = EXPECTED_ANSWERS.filter((answer) => (heard.get(answer) ?? 0) < 3)
  expect(rare, 'answers that hardly any story reached').toEqual([])
})

it('has no row left when all orders are forgotten and all SKUs dropped', { timeout: 60_000 }, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 40; seed++) {
    let stage!: EngineStage
    const { difference } = tell(seed, STEPS, (times) => (stage = make(times)), new Map())
    expect(difference, `STOCK_SEED=${seed}`).toBe('')
    let now = STORY_START + 10_000_000
    for (const sku of SKUS) stage.execute(['STOCK.DROP', sku, 'FORCE'], now, 2, 0)
    stage.advance((now += 10_000_000))
    for (let i = 0; i < 100; i++) stage.advance(now)
    expect(stage.rowBytes(), `STOCK_SEED=${seed}`).toBe(0)
  }
})

const states = ['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED', 'new']
const each = (command: string, answers: Record<string, string[]>): string[] =>
  states.flatMap((state) => (answers[state] ?? []).map((answer) => `STOCK.${command} of ${state}: ${answer}`))

/** What the contract can answer, by command and state of the order before it. Each must be reached, or the stories prove little. */
const EXPECTED_ANSWERS = [
  ...each('RESERVE', {
    RESERVED: ['OK replay', '-ORDERCONFLICT'],
    CONFIRMED: ['OK replay', 'CONFIRMED', '-ORDERCONFLICT'],
    RELEASED: ['RELEASED', '-ORDERCONFLICT'],
    EXPIRED: ['EXPIRED', '-ORDERCONFLICT'],
    RETURNED: ['RETURNED', '-ORDERCONFLICT'],
    new: ['OK', 'SOLDOUT', 'HELD', 'LIMIT named', 'LIMIT unnamed', 'CLOSED', '-NOSKU', '-WRONGTYPE', '-ERR', '-OOM', '-BACKLOG'],
  }),
  ...each('CONFIRM', {
    RESERVED: ['OK', 'OK partial', '-QTY'],
    CONFIRMED: ['OK replay', 'CONFIRMED', '-ORDERCONFLICT'],
    RELEASED: ['RELEASED'],
    EXPIRED: ['EXPIRED'],
    RETURNED: ['RETURNED', '-ORDERCONFLICT'],
    new: ['UNKNOWN'],
  }),
  ...each('CONFIRM LATE', {
    RESERVED: ['OK', 'OK partial'],
    CONFIRMED: ['OK replay', 'CONFIRMED'],
    RELEASED: ['RELEASED'],
    EXPIRED: ['OK late', 'SOLDOUT', 'HELD', 'LIMIT named', 'LIMIT unnamed', 'EXPIRED orphaned', '-QTY'],
    RETURNED: ['RETURNED'],
    new: ['UNKNOWN'],
  }),
  ...each('RELEASE', {
    RESERVED: ['OK', 'OK partial', 'OK replay', '-QTY', '-ORDERCONFLICT'],
    CONFIRMED: ['CONFIRMED', 'OK replay', '-ORDERCONFLICT'],
    RELEASED: ['OK replay', '-ORDERCONFLICT'],
    EXPIRED: ['EXPIRED', 'OK replay'],
    RETURNED: ['RETURNED', '-ORDERCONFLICT'],
    new: ['OK tombstone'],
  }),
  ...each('EXTEND', {
    RESERVED: ['OK', 'OK capped'],
    CONFIRMED: ['CONFIRMED'],
    RELEASED: ['RELEASED'],
    EXPIRED: ['EXPIRED'],
    RETURNED: ['RETURNED'],
    new: ['UNKNOWN'],
  }),
  ...each('RETURN', {
    RESERVED: ['RESERVED'],
    CONFIRMED: ['OK', 'OK partial', 'OK replay', '-QTY', '-ORDERCONFLICT'],
    RELEASED: ['RELEASED'],
    EXPIRED: ['EXPIRED'],
    RETURNED: ['OK replay', 'RETURNED', '-ORDERCONFLICT'],
    new: ['UNKNOWN'],
  }),
  ...['0', '1', '-STOCKEXISTS', '-WRONGTYPE', '-ERR'].map((answer) => `STOCK.CREATE: ${answer}`),
  ...['value', '-NOSKU', '-WRONGTYPE', '-ERR'].map((answer) => `STOCK.ALTER: ${answer}`),
  ...['OK', 'OK replay', 'OK clamped', 'SHORT', 'MISMATCH', '-ORDERCONFLICT', '-NOSKU', '-ERR'].map((answer) => `STOCK.ADJUST: ${answer}`),
  ...['0', '1', '-INUSE'].map((answer) => `STOCK.DROP: ${answer}`),
]
