// Many orders of one SKU and of one buyer, against the model: more holds than one chunk of them, more pages than one, deadlines in any
// order and thousands at one instant, as after a restart; and a dropped SKU that many buyers had used.

import { expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { retell } from '../../model/duel.ts'
import { EngineStage } from '../../model/engine-stage.ts'
import type { Step } from '../../model/random-shop.ts'

const ORDERS = 1500
const BUYERS = 40

it.each([1])('agrees with the model on 1,500 orders of one SKU (seed %i)', { timeout: 120_000 }, (seed) => {
  const random = new Random(seed)
  const steps: Step[] = []
  const run = (...args: string[]): void => void steps.push({ kind: 'do', args, protocol: 3 })
  const id = (n: number): string => (n % 2 === 0 ? `{ann}${n}` : `{b${n % BUYERS}}${n}`)
  run('STOCK.CREATE', 'cup', '4000', 'HOLD', '100', 'MAXHOLD', '1000')
  run('STOCK.CREATE', 'pen', '900')
  for (let n = 0; n < ORDERS; n++) {
    const pen = random.chance(0.4) ? ['pen', '1'] : []
    run(
      'STOCK.RESERVE',
      id(n),
      ...(random.chance(0.5) ? ['EX', String(random.between(60, 160))] : []),
      'ITEMS',
      'cup',
      String(random.between(1, 3)),
      ...pen,
    )
    const other = id(random.below(n + 1))
    if (random.chance(0.1)) run('STOCK.EXTEND', other, 'EX', String(random.between(50, 300)))
    if (random.chance(0.05)) run('STOCK.CONFIRM', other)
    if (random.chance(0.1)) run('STOCK.RELEASE', other)
    if (random.chance(0.05)) run('STOCK.RELEASE', other, 'ID', 'part', 'ITEMS', 'cup', '1')
    if (random.chance(0.05)) steps.push({ kind: 'wait', ms: random.between(1, 200) })
  }
  // All that is open by then ends together, the grace's bound per millisecond aside: two waits see both sides of it.
  steps.push({ kind: 'restart', ms: 50_000, from: 'log' }, { kind: 'wait', ms: 20_000 })
  for (let n = 0; n < ORDERS; n += 7) run('STOCK.EXTEND', id(n), 'EX', String(random.between(1, 200)))
  steps.push({ kind: 'restart', ms: 1, from: 'snapshot' }, { kind: 'wait', ms: 60_000 }, { kind: 'wait', ms: 200_000 })
  const days = { restartGraceMs: 3_000, orderRetentionMs: 86_400_000, returnWindowMs: 86_400_000 }
  expect(retell(steps, (times) => new EngineStage(times), days)).toBe('')
})

it(
  'forgets what 700 buyers used of a dropped SKU, a slice at a time, and never counts it for the next one of that name',
  { timeout: 120_000 },
  () => {
    const steps: Step[] = []
    const run = (...args: string[]): void => void steps.push({ kind: 'do', args, protocol: 2 })
    const wait = (ms: number, times = 1): void => {
      for (let i = 0; i < times; i++) steps.push({ kind: 'wait', ms })
    }
    const everybodyBuys = (round: string, paid: boolean): void => {
      for (let n = 0; n < 700; n++) run('STOCK.RESERVE', `{b${n}}${round}`, ...(paid ? ['PAID'] : []), 'ITEMS', 'cup', '1')
    }
    run('STOCK.CREATE', 'cup', '1000', 'LIMIT', '1')
    everybodyBuys('1', true)
    everybodyBuys('2', true)
    run('STOCK.DROP', 'cup')
    // In the middle of forgetting: the name is in use again, by another SKU, and the node restarts.
    run('STOCK.CREATE', 'cup', '800', 'LIMIT', '1')
    steps.push({ kind: 'restart', ms: 0, from: 'log' })
    everybodyBuys('3', false)
    everybodyBuys('4', false)
    run('STOCK.DROP', 'cup', 'FORCE')
    run('STOCK.CREATE', 'cup', '900', 'LIMIT', '1')
    steps.push({ kind: 'restart', ms: 0, from: 'snapshot' })
    everybodyBuys('5', true)
    // Past every retention: the first orders are forgotten, then their SKU, then its number is free.
    wait(40_000)
    wait(0, 20)
    run('STOCK.DROP', 'cup')
    run('STOCK.CREATE', 'cup', '1000', 'LIMIT', '1')
    wait(0, 20)
    steps.push({ kind: 'restart', ms: 0, from: 'log' })
    everybodyBuys('6', true)
    everybodyBuys('7', false)
    steps.push({ kind: 'restart', ms: 0, from: 'snapshot' })
    expect(retell(steps, (times) => new EngineStage(times))).toBe('')
  },
)
