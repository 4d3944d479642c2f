// A node that dies between any two records comes back in a state that is right: the law holds, nothing that was told is untold, event
// numbers go on without a gap, every hold has its grace, and every unit can be sold. Many stories, each cut at many places; the seed is in the name.

import { expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { STORY_START, tell } from '../model/duel.ts'
import { EngineStage } from '../model/engine-stage.ts'
import { SHOP_TIMES, SKUS } from '../model/random-shop.ts'
import { show } from '../model/reply-value.ts'

const CUTS = 12

/** Keeps every record: a snapshot is one piece, and nothing dies within it. */
class WholeLog extends EngineStage {
  override restart(now: number): void {
    super.restart(now, 'log')
  }
}

it.each(Array.from({ length: 40 }, (_, i) => i + 1))('survives a crash between any two records (seed %i)', (seed) => {
  let stage!: WholeLog
  const { difference } = tell(seed, 150, (times) => (stage = new WholeLog(times)), new Map())
  expect(difference).toBe('')
  const random = new Random(seed)
  const log = [...stage.log()]
  for (let i = 0; i < CUTS; i++) {
    const kept = log.slice(0, random.below(log.length + 1))
    // Any time later: minutes after the whole story, so that all of it is past.
    const now = STORY_START + 10_000_000 + random.below(1000)
    const node = EngineStage.recover(kept, now, SHOP_TIMES)
    expect(node.breach()).toBe('')
    let at = now
    const ask = (...args: string[]): string => show(node.execute(args, at, 2, 0))
    for (const sku of SKUS) {
      if (ask('TYPE', sku) !== 'stock') continue
      const deadline = /next_deadline (\d+)/.exec(ask('STOCK.INFO', sku))?.[1]
      if (deadline !== '0') expect(Number(deadline)).toBeGreaterThanOrEqual(now + SHOP_TIMES.restartGraceMs)
    }
    // Everything that was held ends, and then what is not sold can be bought to the last unit.
    at += 1_000_000
    for (const sku of SKUS) {
      if (ask('TYPE', sku) !== 'stock') continue
      ask('STOCK.ALTER', sku, 'LIMIT', '0', 'MAXQTY', '1000000000', 'SAFETY', '0', 'START', '0', 'END', '0', 'STATE', 'OPEN')
      const left = ask('STOCK.GET', sku)
      if (left === '0') continue
      if (Number(left) < 1_000_000_000) expect(ask('STOCK.RESERVE', `last-${sku}`, 'PAID', 'ITEMS', sku, left)).toBe('OK 0 0 0 ""')
      expect(node.breach()).toBe('')
    }
    // Throws if an event's number does not follow the one before it.
    node.events()
  }
})
