// Flushing database 0 while there is stock: refused, unless the node allows it; then it forgets stock and orders with one record.

import { describe, expect, it } from 'vitest'
import { EngineStage } from '../../model/engine-stage.ts'
import { show } from '../../model/reply-value.ts'

let now = 1_700_000_000_000
const asker =
  (stage: EngineStage) =>
  (line: string, database = 0): string =>
    show(stage.execute(line.split(' '), now, 2, database))

describe.each(['log', 'snapshot'] as const)('restarting from the %s', (from) => {
  it.each([
    ['FLUSHALL', 1],
    ['FLUSHDB', 0],
    ['SWAPDB 0 1', 0],
  ])('%s forgets stock and orders where that is allowed', (flush, database) => {
    const stage = new EngineStage({ allowStockFlush: true })
    const ask = asker(stage)
    ask('STOCK.CREATE book 5 LIMIT 2')
    ask('STOCK.RESERVE {ann}1 ITEMS book 2')
    ask('STOCK.RELEASE gone')
    const first = ask('STOCK.RESERVE {bob}* ITEMS book 1').split(' ')[4]
    const records = stage.log().length
    expect(ask(flush, database)).toBe('OK')
    const [written, ...more] = stage
      .log()
      .slice(records)
      .filter(([name]) => name !== 'SELECT')
    expect(written[0]).toBe(flush.split(' ')[0])
    expect(more).toEqual([])
    const isEmpty = (): void => {
      expect(ask('STOCK.VERIFY')).toBe('0 0 0')
      expect(ask('TYPE book')).toBe('none')
      expect(ask('TYPE book', 1)).toBe('none')
      expect(ask('STOCK.ORDER {ann}1')).toBe('(nil)')
      expect(ask('STOCK.ORDERS ann')).toBe('0 []')
    }
    isEmpty()
    stage.restart((now += 1000), from)
    isEmpty()
    // A new sale: no limit, id or deadline of the old one is in its way, and made ids go on.
    expect(ask('STOCK.CREATE book 5 LIMIT 2')).toBe('1')
    expect(ask('STOCK.RESERVE {ann}1 ITEMS book 2')).toBe(`OK ${now + 900_000} 3 2 ""`)
    expect(ask('STOCK.RESERVE gone PAID ITEMS book 1')).toBe('-ERR order id needs a {buyer} tag')
    const second = ask('STOCK.RESERVE {bob}* ITEMS book 1').split(' ')[4]
    expect(second > first).toBe(true)
    stage.restart((now += 1000), from)
    expect(ask('STOCK.VERIFY')).toBe('1 2 0')
    expect(stage.events()).toEqual([])
  })

  it.each(['FLUSHALL', 'FLUSHDB', 'SWAPDB 0 1'])('%s leaves orders alone that have outlived their stock', (flush) => {
    const stage = new EngineStage()
    const ask = asker(stage)
    ask('STOCK.CREATE book 5')
    ask('STOCK.RESERVE {ann}1 PAID ITEMS book 2')
    expect(ask(flush)).toMatch(/^-INUSE /)
    ask('STOCK.DROP book')
    expect(ask(flush)).toBe('OK')
    const before = ask('STOCK.ORDER {ann}1')
    expect(before).toContain('CONFIRMED')
    stage.restart((now += 1000), from)
    expect(ask('STOCK.ORDER {ann}1')).toBe(before)
    expect(ask('STOCK.ORDERS ann')).toBe('0 [{ann}1]')
  })
})
