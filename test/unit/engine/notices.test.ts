import { describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { BY_EVENT, BY_KEY, formatClasses, parseClasses } from '../../../src/engine/notices.ts'
import { REQUEST, RequestParser } from '../../../src/resp/parser.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'

const ALL = 'KEAmnib'

/** An engine, who hears what it announces, and what it has written. */
class Stage {
  readonly engine = new Engine()
  heard: string[] = []
  readonly #client = { database: 0 }

  /** @param classes as notify-keyspace-events has them */
  constructor(classes = ALL) {
    this.engine.advance(millis(1_000_000))
    this.engine.notices.listen(parseClasses(classes)!, (event, database, bytes, start, end) => {
      this.heard.push(`${database} ${Buffer.from(bytes.slice(start, end)).toString('latin1')} ${event}`)
    })
    this.engine.notices.onSale = (event, sku, version) => this.heard.push(`${event}: ${Buffer.from(sku).toString('latin1')} ${version}`)
  }

  /** Words parted by spaces, `''` for none; what was announced. */
  run(line: string): string[] {
    const parser = new RequestParser(new Request())
    parser.authenticated = true
    const words = line.split(' ').map((word) => (word === "''" ? '' : word))
    const bytes = Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`, 'latin1')
    parser.feed(bytes, 0, bytes.length)
    expect(parser.next()).toBe(REQUEST)
    const reply = new Reply()
    this.heard = []
    this.engine.execute(new Call(this.engine, parser.request, reply, this.#client))
    expect(reply.errors, `${line}: ${reply.lastError}`).toBe(0)
    return this.heard
  }

  pass(ms: number): string[] {
    this.heard = []
    this.engine.advance(millis(this.engine.now + ms))
    return this.heard
  }

  /** How many records a command has written; the SELECT of their database is none. */
  recordsOf(line: string): number {
    this.engine.journal.select(0)
    const { total } = this.engine.journal
    this.run(line)
    return this.engine.journal.total - total
  }
}

describe('classes of notices', () => {
  it('are told in the order in which Redis tells them, those of A as A', () => {
    const told = (text: string): string => formatClasses(parseClasses(text)!)
    expect(['', 'A', 'KEA', 'mEK', 'zhsl$g', 'g$lshzxetd', 'KEAn', 'nK', 'dtexzhsl$gE', 'bi'].map(told)).toEqual([
      '',
      'A',
      'AKE',
      'KEm',
      'g$lshz',
      'A',
      'AKE',
      'nK',
      'AE',
      'ib',
    ])
    expect(told('KEAbimn')).toBe('AKEmib')
  })

  it('are letters that are known, and no others', () => {
    for (const text of ['q', 'KE A', 'ke', 'KEA,', 'é', 'S']) expect(parseClasses(text), text).toBeUndefined()
    expect(parseClasses('KE')).toBe(BY_KEY | BY_EVENT)
  })

  it('A is what it is in Redis: neither misses nor new keys nor stock', () => {
    const stage = new Stage('KEA')
    expect(stage.run('GET a')).toEqual([])
    expect(stage.run('SET a 1')).toEqual(['0 a set'])
    expect(stage.run('STOCK.CREATE book 1')).toEqual([])
  })
})

describe('notices', () => {
  it('are of the classes that are wanted', () => {
    const story = (classes: string): string[] => {
      const stage = new Stage(`K${classes}`)
      return ['GET a', 'SET a 1 EX 10', 'LPUSH l x', 'RPOP l'].flatMap((line) => stage.run(line))
    }
    expect(story('')).toEqual([])
    expect(story('m')).toEqual(['0 a keymiss'])
    expect(story('n')).toEqual(['0 a new', '0 l new'])
    expect(story('$')).toEqual(['0 a set'])
    expect(story('g')).toEqual(['0 a expire', '0 l del'])
    expect(story('gl')).toEqual(['0 a expire', '0 l lpush', '0 l rpop', '0 l del'])
  })

  it('come of a key whose time has come', () => {
    const stage = new Stage()
    stage.run('SET a 1 PX 10')
    expect(stage.pass(10)).toEqual([])
    expect(stage.pass(1)).toEqual(['0 a expired'])
  })

  it('do not come of records that are replayed, nor of the grace behind them', () => {
    const first = new Stage()
    const story = ['SET a 1 PX 10', 'LPUSH l 1 2', 'LTRIM l 0 -1', 'STOCK.CREATE book 1', 'STOCK.RESERVE {ann}1 EX 60 ITEMS book 1']
    for (const line of story) first.run(line)
    const { journal } = first.engine
    const second = new Stage()
    const engine = new Engine()
    engine.notices.listen(parseClasses(ALL)!, () => second.heard.push('something'))
    engine.notices.onSale = () => second.heard.push('something')
    const parser = new RequestParser(new Request())
    parser.authenticated = true
    parser.feed(journal.buffer, 0, journal.length)
    while (parser.next() === REQUEST) engine.replay(parser.request)
    engine.recovered(first.engine.now)
    expect(engine.digest()).toBe(first.engine.digest())
    expect(second.heard).toEqual([])
  })
})

describe('records behind what WATCH calls a change', () => {
  it('are written though the value stays what it is', () => {
    const stage = new Stage()
    for (const line of ['SET s abc EX 100', 'LPUSH l 1 2 3', 'HSET h f v n 1', 'ZADD z 1 a', 'SADD set a']) stage.run(line)
    for (const line of [
      "APPEND s ''",
      'SETRANGE s 0 abc',
      'LTRIM l 0 -1',
      'LTRIM l 0 100',
      'LSET l 0 3',
      'HSET h f v',
      'HINCRBY h n 0',
      'HINCRBYFLOAT h n 0',
      'SET s abc KEEPTTL',
      'PEXPIREAT s 5000000',
      'PEXPIREAT s 5000000',
      'GETEX s PXAT 5000000',
      'GETSET s abc',
      'LMOVE l l LEFT LEFT',
      'SUNIONSTORE set set',
      'ZRANGESTORE z z 0 -1',
    ]) {
      expect(stage.recordsOf(line), line).toBeGreaterThan(0)
    }
    expect(stage.run('INCR n')).toEqual(['0 n new', '0 n incrby'])
    expect(stage.recordsOf('INCRBY n 0')).toBe(1)
    expect(stage.recordsOf('INCRBYFLOAT n 0')).toBe(1)
  })

  it('are not written where Redis sees none', () => {
    const stage = new Stage()
    for (const line of ['SET s abc', 'LPUSH l 1 2 3', 'HSET h f v', 'ZADD z 1 a', 'SADD set a']) stage.run(line)
    for (const line of [
      "SETRANGE s 0 ''",
      "SETRANGE nothing 0 ''",
      'PERSIST s',
      'GETEX s',
      'GETEX s PERSIST',
      'SETNX s x',
      'LREM l 0 x',
      'LINSERT l BEFORE x y',
      'LPUSHX nothing x',
      'LPOP l 0',
      'LTRIM nothing 0 1',
      'HSETNX h f w',
      'HDEL h none',
      'SADD set a',
      'SREM set none',
      'SMOVE set set a',
      'SPOP set 0',
      'ZADD z 1 a',
      'ZADD z XX 2 none',
      'ZADD z GT 0 a',
      'ZINCRBY z 0 a',
      'ZREM z none',
      'ZREMRANGEBYSCORE z 5 6',
      'ZPOPMIN z 0',
      'SINTERSTORE nothing none',
      'RENAME s s',
      'EXPIRE nothing 10',
      'DEL nothing',
    ]) {
      expect(stage.recordsOf(line), line).toBe(0)
      expect(
        stage.heard.filter((notice) => !notice.endsWith('keymiss')),
        line,
      ).toEqual([])
    }
  })
})

describe('notices of stock', () => {
  it('name what happens to a SKU, and to each SKU of an order', () => {
    const stage = new Stage('Kib')
    expect(stage.run('STOCK.CREATE book 3')).toEqual(['0 book stock.created'])
    expect(stage.run('STOCK.CREATE cup 2')).toEqual(['0 cup stock.created'])
    expect(stage.run('STOCK.ALTER cup SAFETY 1')).toEqual(['0 cup stock.altered'])
    expect(stage.run('STOCK.RESERVE {ann}1 EX 60 ITEMS book 1 cup 1')).toEqual([
      ...['0 book order.reserved', '0 cup order.reserved', '0 cup stock.soldout'],
      expect.stringMatching(/^soldout: cup \d+$/),
    ])
    expect(stage.run('STOCK.EXTEND {ann}1 EX 90')).toEqual(['0 book order.extended', '0 cup order.extended'])
    expect(stage.run('STOCK.CONFIRM {ann}1')).toEqual(['0 book order.confirmed', '0 cup order.confirmed'])
    expect(stage.run('STOCK.RETURN {ann}1 ID r1 ITEMS book 1')).toEqual(['0 book order.returned'])
    expect(stage.run('STOCK.RESERVE {bob}1 PAID ITEMS book 1')).toEqual(['0 book order.confirmed'])
    expect(stage.run('STOCK.RESERVE {cid}1 EX 60 ITEMS book 2')).toEqual([
      ...['0 book order.reserved', '0 book stock.soldout'],
      expect.stringMatching(/^soldout: book \d+$/),
    ])
    expect(stage.pass(60_000)).toEqual([
      ...['0 book order.expired', '0 book stock.available'],
      expect.stringMatching(/^available: book \d+$/),
    ])
    expect(stage.run('STOCK.CONFIRM {cid}1 REF pay')).toEqual(['0 book order.payment_orphaned'])
    expect(stage.run('STOCK.CONFIRM {cid}1 REF other LATE')).toEqual([
      ...['0 book order.confirmed', '0 book stock.soldout'],
      expect.stringMatching(/^soldout: book \d+$/),
    ])
    expect(stage.run('STOCK.ADJUST book 5 ID a3')).toEqual([
      ...['0 book stock.adjusted', '0 book stock.available'],
      expect.stringMatching(/^available: book \d+$/),
    ])
    expect(stage.run('STOCK.RESERVE {dan}1 ITEMS book 1')).toEqual(['0 book order.reserved'])
    expect(stage.run('STOCK.RELEASE {dan}1')).toEqual(['0 book order.released'])
    expect(stage.run('STOCK.CREATE pen 1')).toEqual(['0 pen stock.created'])
    expect(stage.run('STOCK.DROP pen')).toEqual(['0 pen stock.dropped'])
  })

  it('are none of a refusal', () => {
    const stage = new Stage('Kib')
    stage.run('STOCK.CREATE book 1')
    expect(stage.run('STOCK.RESERVE {ann}1 ITEMS book 2')).toEqual([])
    expect(stage.run('STOCK.RELEASE {ann}2')).toEqual([])
  })

  it('sold out and available again are told whatever classes are wanted, with the version that INFO tells', () => {
    const stage = new Stage('')
    const version = (): number => stage.engine.ledger.state.skus.find((sku) => sku !== null)!.version
    stage.run('STOCK.CREATE book 2')
    expect(stage.run('STOCK.RESERVE {ann}1 EX 60 ITEMS book 2')).toEqual([`soldout: book ${version()}`])
    expect(stage.run('STOCK.RELEASE {ann}1')).toEqual([`available: book ${version()}`])
    expect(stage.run('STOCK.ALTER book SAFETY 2')).toEqual([`soldout: book ${version()}`])
    expect(stage.run('STOCK.ALTER book SAFETY 0')).toEqual([`available: book ${version()}`])
    expect(stage.run('STOCK.ADJUST book -2 ID a1')).toEqual([`soldout: book ${version()}`])
    expect(stage.run('STOCK.ADJUST book 1 ID a2')).toEqual([`available: book ${version()}`])
    expect(stage.run('STOCK.RESERVE {bob}1 PAID ITEMS book 1')).toEqual([`soldout: book ${version()}`])
    expect(stage.run('STOCK.RETURN {bob}1')).toEqual([`available: book ${version()}`])
    expect(stage.run('STOCK.RESERVE {cid}1 EX 60 ITEMS book 1')).toEqual([`soldout: book ${version()}`])
    expect(stage.pass(60_000)).toEqual([`available: book ${version()}`])
  })
})
