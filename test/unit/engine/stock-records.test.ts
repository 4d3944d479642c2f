// What the ledger writes into the log, and what it accepts from it.

import { beforeEach, describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine, type EngineOptions } from '../../../src/engine/engine.ts'
import { Journal } from '../../../src/engine/journal.ts'
import { Outbox } from '../../../src/engine/outbox.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'

const NOW = 1_792_000_000_000

/** An engine to talk to in lines of words, that keeps its records. */
class Shop {
  engine: Engine
  now = NOW
  readonly options: Partial<EngineOptions>
  readonly log: string[][] = []
  readonly #reply = new Reply(1024)

  constructor(options: Partial<EngineOptions> = {}) {
    this.options = options
    this.engine = new Engine(options)
  }

  /** Runs a command; @returns its reply on one line. */
  run(line: string): string {
    this.advance(0)
    this.#reply.length = 0
    this.engine.execute(new Call(this.engine, new Request().set(line.split(' ')), this.#reply, { database: 0 }))
    this.#drain()
    return this.#reply.buffer.toString('latin1', 0, this.#reply.length).replaceAll('\r\n', ' ').trim()
  }

  advance(ms: number): void {
    this.now += ms
    this.engine.advance(millis(this.now))
    this.#drain()
  }

  /** The log, or a snapshot, replayed into a new engine that has other hash seeds. */
  replayed(from: 'log' | 'snapshot' = 'log'): Engine {
    const next = new Engine({ ...this.options, seed: 4711 })
    for (const record of from === 'log' ? this.log : this.snapshot())
      next.replay(new Request().set(record.map((word) => Buffer.from(word, 'latin1'))))
    return next
  }

  restart(downMs: number): void {
    this.engine = this.replayed()
    this.now += downMs
    this.engine.recovered(millis(this.now))
    this.#drain()
  }

  snapshot(): string[][] {
    const journal = new Journal()
    for (const _ of this.engine.snapshot(journal)) continue
    return words(journal)
  }

  #drain(): void {
    this.log.push(...words(this.engine.journal))
    this.engine.journal.drained()
  }
}

function words(journal: Journal): string[][] {
  const text = journal.buffer.toString('latin1', 0, journal.length)
  const found: string[][] = []
  let at = 0
  const number = (): number => {
    const end = text.indexOf('\r\n', at)
    const n = Number(text.slice(at + 1, end))
    at = end + 2
    return n
  }
  while (at < text.length) {
    const record: string[] = []
    for (let n = number(); n > 0; n--) {
      const length = number()
      record.push(text.slice(at, at + length))
      at += length + 2
    }
    found.push(record)
  }
  return found
}

const part = (name: string): number => Outbox.partOf(Buffer.from(name), 0, name.length)

let shop: Shop
beforeEach(() => {
  shop = new Shop()
})

describe('the records of the ledger', () => {
  it('take at most 140 bytes for a reservation of one item with an id of 16 bytes', () => {
    shop.run('STOCK.CREATE sku:iphone 100000')
    const before = shop.log.length
    shop.run('STOCK.RESERVE {u123456}01JA8ZQ ITEMS sku:iphone 1')
    const [record] = shop.log.slice(before)
    expect(record).toEqual(['ORDER.RESERVED', '{u123456}01JA8ZQ', String(NOW), '900000', '2', 'sku:iphone', '1', '1', '99999 1 0'])
    expect(record.reduce((bytes, word) => bytes + word.length + 5 + String(word.length).length, 4)).toBeLessThanOrEqual(140)
  })

  it('are not written by a refusal, a repetition or a read, which leave the digests as they are', () => {
    shop.run('STOCK.CREATE cup 5 LIMIT 2 MAXQTY 3')
    shop.run('STOCK.CREATE late 5 START 1999999999999')
    shop.run('STOCK.RESERVE {ann}1 ITEMS cup 2')
    shop.run('STOCK.RESERVE {bob}1 PAID REF p1 ITEMS cup 2')
    const before = [shop.log.length, shop.engine.digest(), shop.engine.sealDigest()]
    const refusals: [command: string, answer: string][] = [
      ['STOCK.RESERVE {ann}2 ITEMS cup 1', '*5 +LIMIT'],
      ['STOCK.RESERVE {cat}1 ITEMS cup 4', '*5 +LIMIT'],
      ['STOCK.RESERVE {cat}1 ITEMS cup 2', '*5 +HELD'],
      ['STOCK.RESERVE {cat}1 ITEMS late 2', '*5 +CLOSED'],
      ['STOCK.RESERVE {cat}1 ITEMS cup 1 none 1', '-NOSKU'],
      ['STOCK.RESERVE 1 ITEMS cup 1', '-ERR order id needs'],
      ['STOCK.RESERVE {ann}1 ITEMS cup 2', '*5 +OK'],
      ['STOCK.RESERVE {ann}1 ITEMS cup 1', '-ORDERCONFLICT'],
      ['STOCK.CONFIRM {bob}1 REF p1', '*3 +OK'],
      ['STOCK.CONFIRM {bob}1', '*3 +OK'],
      ['STOCK.CONFIRM {ann}1 ITEMS cup 3', '-QTY'],
      ['STOCK.CONFIRM {eve}1', '*3 +UNKNOWN'],
      ['STOCK.RELEASE {bob}1', '*3 +CONFIRMED'],
      ['STOCK.RETURN {ann}1', '*3 +RESERVED'],
      ['STOCK.EXTEND {ann}1 EX 1', '*3 +OK'],
      ['STOCK.ADJUST cup -4 ID a', '*4 +SHORT'],
      ['STOCK.ADJUST cup 4 ID a IFTOTAL 4', '*4 +MISMATCH'],
      ['STOCK.ALTER cup LIMIT 2', '+OK'],
      ['STOCK.CREATE cup 5 LIMIT 2 MAXQTY 3', ':0'],
      ['STOCK.CREATE cup 5', '-STOCKEXISTS'],
      ['STOCK.DROP cup', '-INUSE'],
      ['STOCK.DROP none', ':0'],
      ['STOCK.VERIFY', '*3 :2 :2 :0'],
    ]
    for (const [command, answer] of refusals) expect(`${command}: ${shop.run(command)}`).toContain(`${command}: ${answer}`)
    expect([shop.log.length, shop.engine.digest(), shop.engine.sealDigest()]).toEqual(before)
  })

  it('number the events of each part without a gap, and only those', () => {
    shop.run('STOCK.CREATE cup 1')
    shop.run('STOCK.RESERVE {ann}1 ITEMS cup 1')
    shop.run('STOCK.RELEASE {ann}1')
    shop.run('STOCK.RELEASE {ann}2')
    shop.run('STOCK.CONFIRM {ann}2 REF p')
    const events = shop.log.map(([name, , ...rest]) => [name, rest[2]])
    expect(events).toEqual([
      ['STOCK.CREATED', '1'],
      ['ORDER.RESERVED', '1'],
      ['STOCK.SOLDOUT', '2'],
      ['ORDER.RELEASED', '2'],
      ['STOCK.AVAILABLE', '3'],
      ['ORDER.TOMBSTONE', undefined],
      ['ORDER.PAYMENT_ORPHANED', '3'],
    ])
    expect([shop.engine.outbox.last(part('cup')), shop.engine.outbox.last(part('ann'))]).toEqual([3, 3])
    expect(part('cup')).not.toBe(part('ann'))
  })

  it('tell the deadline as the time of an expiry, in order of reservation, across SKUs', () => {
    shop.run('STOCK.CREATE a 9 HOLD 1')
    shop.run('STOCK.CREATE b 9 HOLD 1')
    for (const [i, sku] of ['a', 'b', 'b', 'a'].entries()) shop.run(`STOCK.RESERVE {u}${i} ITEMS ${sku} 1`)
    shop.run('STOCK.RESERVE {u}early PX 999 ITEMS b 1')
    shop.advance(5000)
    const expired = shop.log.filter(([name]) => name === 'ORDER.EXPIRED').map((record) => record.slice(1, 3))
    expect(expired).toEqual([['{u}early', `${NOW + 999}`], ...[0, 1, 2, 3].map((i) => [`{u}${i}`, `${NOW + 1000}`])])
  })

  it('make the same state again, from the log and from a snapshot, whatever the hash seeds', () => {
    const commands = [
      'STOCK.CREATE cup 50 HOLD 1 MAXHOLD 100 LIMIT 30 SAFETY 2 PRICE 5 SELLER s7',
      'STOCK.CREATE hat 50',
      'STOCK.RESERVE {ann}1 REF r ITEMS cup 3 hat 2000000',
      'STOCK.ADJUST hat 9000000000 ID more REASON restock REF po:1',
      'STOCK.RESERVE {ann}1 REF r ITEMS cup 3 hat 2000000',
      'STOCK.RELEASE {ann}1 ID x REASON changed_mind ITEMS hat 5',
      'STOCK.CONFIRM {ann}1 REF pay ITEMS cup 2 hat 1000',
      'STOCK.CONFIRM {ann}1 REF other',
      'STOCK.RETURN {ann}1 ID y ITEMS cup 1',
      'STOCK.RESERVE {bob}* EX 50 ITEMS hat 1',
      'STOCK.RESERVE {bob}2 ITEMS cup 1',
      'STOCK.ALTER cup MAXHOLD 200 LIMIT 0',
      'STOCK.EXTEND {bob}2 EX 150',
      'STOCK.RESERVE {cat}1 PAID ITEMS hat 3',
      'STOCK.CONFIRM {cat}1 REF adopted',
      'STOCK.RESERVE {dan}1 PX 10 ITEMS cup 1',
      'STOCK.RELEASE {eve}1 REASON never',
      'STOCK.CONFIRM {eve}2 REF p',
    ]
    for (const command of commands) {
      shop.run(command)
      shop.advance(7)
    }
    shop.run('STOCK.CONFIRM {dan}1 LATE REF p9')
    shop.run('STOCK.RETURN {cat}1 NORESTOCK REASON broken')
    shop.run('STOCK.CREATE gone 5')
    shop.run('STOCK.RESERVE {ann}9 PAID ITEMS gone 1')
    shop.run('STOCK.DROP gone')
    for (const from of ['log', 'snapshot'] as const) {
      const again = shop.replayed(from)
      expect([from, again.digest(), again.sealDigest()]).toEqual([from, shop.engine.digest(), shop.engine.sealDigest()])
      expect(again.journal.length).toBe(0)
    }
    expect(shop.run('STOCK.VERIFY')).toMatch(/^\*3 :2 :\d+ :0$/)
  })

  it('forget orders in the same order after a restart from a snapshot', () => {
    shop = new Shop({ orderRetentionMs: 1000, returnWindowMs: 5000 })
    shop.run('STOCK.CREATE cup 9')
    for (let i = 0; i < 6; i++) shop.run(`STOCK.RESERVE {u}${i} ITEMS cup 1`)
    for (const i of [3, 1, 5]) shop.run(`STOCK.RELEASE {u}${i}`)
    for (const i of [4, 0]) shop.run(`STOCK.CONFIRM {u}${i}`)
    shop.log.splice(0, shop.log.length, ...shop.snapshot())
    shop.advance(1000)
    expect(shop.log.at(-1)).toEqual(['ORDER.TRIMMED', String(NOW + 1000), '3', '0'])
    expect(shop.run('STOCK.ORDERS u')).toBe('*2 $1 0 *3 $4 {u}4 $4 {u}2 $4 {u}0')
    shop.advance(4000)
    expect(shop.run('STOCK.ORDERS u')).toBe('*2 $1 0 *1 $4 {u}2')
    expect(shop.replayed().digest()).toBe(shop.engine.digest())
    expect(shop.run('STOCK.RETURN {u}4')).toBe('*3 +UNKNOWN :0 $0')
    expect(shop.run('STOCK.VERIFY')).toBe('*3 :1 :1 :0')
  })

  it('give every open hold its grace after a restart: one record, the old order, and no thousand in one millisecond', () => {
    shop.run('STOCK.CREATE cup 1000 HOLD 1')
    for (let i = 0; i < 250; i++) shop.run(`STOCK.RESERVE {u}${i} ITEMS cup 1`)
    shop.run('STOCK.RESERVE {u}long EX 2 ITEMS cup 1')
    const before = shop.log.length
    shop.restart(1500)
    expect(shop.log.slice(before)).toEqual([['ORDER.GRACED', String(shop.now), String(shop.now + 30_000)]])
    const deadlines = [...shop.run('STOCK.HOLDS cup COUNT 1000').matchAll(/:(\d{13})/g)].map((match) => Number(match[1]))
    expect(deadlines.length).toBe(251)
    expect([deadlines[0], deadlines[250]]).toEqual([shop.now + 30_000, shop.now + 30_002])
    expect(shop.replayed().digest()).toBe(shop.engine.digest())
  })
})

describe('the price and seller of an order', () => {
  const tagsOf = (records: readonly string[][]): string[] =>
    records.flatMap((record) =>
      record.filter((word) => /^(?:\d+ \d+ \d+|-)(?: |$)/.test(word)).map((word) => word.replace(/^\d+ \d+ \d+|^-/, '')),
    )

  it('are those of its beginning, through ALTER, restarts and DROP', () => {
    shop.run('STOCK.CREATE cup 50 PRICE 5 SELLER s7')
    shop.run('STOCK.RESERVE {ann}1 ITEMS cup 2')
    shop.run('STOCK.ALTER cup PRICE -1')
    shop.run('STOCK.ALTER cup PRICE 7 SELLER s8')
    shop.run('STOCK.RESERVE {ann}2 PAID ITEMS cup 2')
    shop.run('STOCK.ALTER cup SELLER ')
    shop.run('STOCK.RESERVE {ann}3 PAID ITEMS cup 3')
    shop.run('STOCK.ALTER cup PRICE -1')
    shop.run('STOCK.RESERVE {ann}4 ITEMS cup 2')
    expect(shop.snapshot().filter(([name]) => name === 'SNAPSHOT.PRICE')).toEqual([
      ['SNAPSHOT.PRICE', 'cup', '1', '1', '5', 's7'],
      ['SNAPSHOT.PRICE', 'cup', '1', '2', '7', 's8'],
      ['SNAPSHOT.PRICE', 'cup', '1', '3', '7', ''],
    ])
    for (const from of ['log', 'snapshot'] as const) {
      if (from === 'snapshot') shop.log.splice(0, shop.log.length, ...shop.snapshot())
      shop.engine = shop.replayed()
      const before = shop.log.length
      shop.run(`STOCK.RELEASE {ann}1 ID ${from} ITEMS cup 1`)
      shop.run(`STOCK.RETURN {ann}2 ID ${from} ITEMS cup 1`)
      shop.run(`STOCK.RETURN {ann}3 ID ${from} ITEMS cup 1`)
      shop.run(`STOCK.RELEASE {ann}4 ID ${from} ITEMS cup 1`)
      expect([from, ...tagsOf(shop.log.slice(before))]).toEqual([from, ' 5 s7', ' 7 s8', ' 7', ''])
    }
    shop.run('STOCK.DROP cup')
    shop.run('STOCK.RETURN {ann}3')
    expect(shop.log.at(-1)?.at(-1)).toBe('- 7')
    expect(shop.replayed().digest()).toBe(shop.engine.digest())
  })

  it('are forgotten with the last order that has them', () => {
    shop = new Shop({ orderRetentionMs: 1000, returnWindowMs: 5000 })
    shop.run('STOCK.CREATE cup 50 PRICE 1')
    for (let price = 2; price < 50; price++) {
      if (price % 2 === 0) shop.run(`STOCK.RESERVE {ann}${price} PX 10 ITEMS cup 1`)
      shop.run(`STOCK.ALTER cup PRICE ${price}`)
      shop.advance(100)
    }
    const kept = shop.snapshot().filter(([name]) => name === 'SNAPSHOT.PRICE')
    expect(kept.length).toBeLessThan(8)
    expect(kept.at(-1)?.[4]).toBe('47')
    expect(shop.replayed('snapshot').digest()).toBe(shop.engine.digest())
    shop.advance(5000)
    expect(shop.snapshot().filter(([name]) => name === 'SNAPSHOT.PRICE')).toEqual([])
    expect(shop.replayed().digest()).toBe(shop.engine.digest())
  })
})

describe('an audit mark', () => {
  const mark = (limit: number): number => {
    const left = shop.engine.auditMark(limit)
    shop.advance(0)
    return left
  }
  const marked = (): string[][] => shop.log.filter(([name]) => name === 'AUDIT.MARK')
  /** `sku generation balances` of the last mark. */
  const told = (): string[] => (marked().at(-1) ?? []).slice(19)

  it('tells the SKUs that changed since the last one, some per record', () => {
    for (const sku of ['a', 'b', 'c']) shop.run(`STOCK.CREATE ${sku} 5`)
    expect(mark(2)).toBe(1)
    expect(told()).toEqual(['a', '1', '5 0 0', 'b', '2', '5 0 0'])
    expect(mark(2)).toBe(0)
    expect(told()).toEqual(['c', '3', '5 0 0'])
    expect([mark(2), marked().length]).toEqual([0, 2])
    shop.run('STOCK.RESERVE {ann}1 ITEMS c 1 a 2')
    shop.run('STOCK.ALTER b PRICE 3')
    shop.run('STOCK.RESERVE {ann}2 PAID ITEMS a 1')
    shop.run('STOCK.DROP c FORCE')
    expect(mark(9)).toBe(0)
    expect(told().join()).toBe('c,3,5 0 0,a,1,4 0 1,b,2,5 0 0')
    expect(marked().map((record) => record[2])).toEqual(['1', '2', '3'])
  })

  it('is an event of every part, and survives restarts', () => {
    shop.run('STOCK.CREATE a 5')
    const before = Array.from({ length: 16 }, (_, i) => shop.engine.outbox.last(i))
    mark(9)
    expect(marked()[0].slice(3, 19).map(Number)).toEqual(before.map((last) => last + 1))
    shop.run('STOCK.CREATE b 5')
    for (const from of ['log', 'snapshot'] as const) {
      const again = shop.replayed(from)
      expect([from, again.digest(), again.outbox.mark]).toEqual([from, shop.engine.digest(), 1])
      // The log says what was marked; a snapshot does not, so that all are told once more.
      expect(again.auditMark(1)).toBe(from === 'log' ? 0 : 1)
      expect(again.outbox.mark).toBe(2)
    }
  })

  it('that says something else stops the node', () => {
    shop.run('STOCK.CREATE a 5')
    mark(9)
    const [record] = marked()
    const engine = (): Engine => {
      const next = new Engine()
      for (const each of shop.log.slice(0, -1)) next.replay(new Request().set(each))
      return next
    }
    const with_ = (i: number, word: string): string[] => record.map((each, k) => (k === i ? word : each))
    for (const wrong of [with_(2, '2'), with_(3, '9'), with_(18, '9'), with_(21, '4 1 0'), record.slice(0, -1), record.slice(0, 18)])
      expect(() => engine().replay(new Request().set(wrong))).toThrow(expect.objectContaining({ code: 'LOG_SEMANTIC' }))
    expect(() => engine().replay(new Request().set(record))).not.toThrow()
  })

  it('that another stockd wrote is not called damaged', () => {
    shop.run('STOCK.CREATE a 5')
    mark(9)
    const engine = new Engine()
    const [created, marks] = shop.log
    engine.replay(new Request().set(created))
    expect(() => engine.replay(new Request().set(marks.slice(0, -1)))).toThrow(
      /record AUDIT\.MARK of '\d+' contradicts the state: .* Nothing is damaged, its checksum is right: another stockd wrote this log/,
    )
  })
})

describe('a record that contradicts the state', () => {
  const reserved = ['ORDER.RESERVED', '{u}2', String(NOW), '1000', '2', 'cup', '1', '1', '3 2 0']
  const with_ = (i: number, word: string): string[] => reserved.map((each, k) => (k === i ? word : each))
  const cases: [what: string, record: string[]][] = [
    ['another balance', with_(8, '4 1 0')],
    ['another number reserved', with_(8, '3 1 0')],
    ['another number sold', with_(8, '3 2 1')],
    ['a number too few', with_(8, '3 2')],
    ['a number too many', with_(8, '3 2 0 0')],
    ['a zero before a number', with_(8, '03 2 0')],
    ['no numbers, of a SKU that is there', with_(8, '-')],
    ['a price that the SKU has not', with_(8, '3 2 0 5')],
    ['a seller that the SKU has not', with_(8, '3 2 0 -1 s7')],
    [
      'another state of the order',
      ['ORDER.RELEASED', '{u}1', String(NOW), '2', '2', 'RESERVED', `${NOW + 900_000}`, 'WHOLE', '', '', '', 'cup', '1', '1', '5 0 0'],
    ],
    [
      'another REF of the order',
      ['ORDER.RELEASED', '{u}1', String(NOW), '2', '2', 'RELEASED', `${NOW + 900_000}`, 'WHOLE', '', 'r', '', 'cup', '1', '1', '5 0 0'],
    ],
    ['a sale with another deadline', ['ORDER.CONFIRMED', '{u}1', String(NOW), '2', '2', 'SALE', '0', 'cup', '1', '1', '4 0 1']],
    [
      'a part of more than was held',
      ['ORDER.CONFIRMED', '{u}1', String(NOW), '2', '2', 'PART', `${NOW + 900_000}`, 'cup', '1', '1 2', '4 0 1'],
    ],
    ['a part of nothing', ['ORDER.CONFIRMED', '{u}1', String(NOW), '2', '2', 'PART', `${NOW + 900_000}`, 'cup', '1', '1', '4 0 1']],
    ['another version of the SKU', ['STOCK.SOLDOUT', 'cup', '1', String(NOW), '2', '4 1 0', '3', '4']],
    ['more than there is', with_(7, '5')],
    ['a quantity of 0', with_(7, '0')],
    ['no such SKU', with_(5, 'hat')],
    ['another generation', with_(6, '2')],
    ['an event number again', with_(4, '1')],
    ['an event number left out', with_(4, '3')],
    ['an order that is there', with_(1, '{u}1')],
    ['a hold of no time', with_(3, '0')],
    ['a word for a number', with_(2, 'x')],
    ['a missing argument', reserved.slice(0, 8)],
    ['an unknown order', ['ORDER.EXPIRED', '{u}3', String(NOW + 900_000), '2', '2', 'cup', '1', '1', '5 0 0']],
    ['another deadline', ['ORDER.EXPIRED', '{u}1', String(NOW), '2', '2', 'cup', '1', '1', '5 0 0']],
    ['another version', ['ORDER.EXPIRED', '{u}1', String(NOW + 900_000), '3', '2', 'cup', '1', '1', '5 0 0']],
    [
      'units that are not held',
      ['ORDER.RELEASED', '{u}1', String(NOW), '2', '2', 'RESERVED', `${NOW + 900_000}`, 'PART', 'x', '', '', 'cup', '1', '2', '6 0 0'],
    ],
    [
      'a return of what is not sold',
      ['ORDER.RETURNED', '{u}1', String(NOW), '2', '2', 'RETURNED', '0', 'WHOLE', '', '', '', 'RESTOCK', 'cup', '1', '1', '5 0 0'],
    ],
    [
      'a name that is taken',
      ['STOCK.CREATED', 'cup', '2', String(NOW), '2', '5', '900', '1800', '0', '1', '0', '0', '0', '-1', '', 'OPEN'],
    ],
    ['a drop while units are reserved', ['STOCK.DROPPED', 'cup', '1', String(NOW), '2', '4 1 0', '2']],
    ['sold out while it is not', ['STOCK.SOLDOUT', 'cup', '1', String(NOW), '2', '4 1 0', '2', '0']],
    ['more to forget than there is', ['ORDER.TRIMMED', String(NOW), '1', '0']],
    ['a second snapshot', ['SNAPSHOT.LEDGER', ...Array.from({ length: 21 }, () => '0')]],
    ['a record from the future', ['ORDER.TELEPORTED', '{u}1']],
  ]

  it.each(cases)('stops the node: %s', (_, record) => {
    shop.run('STOCK.CREATE cup 5')
    shop.run('STOCK.RESERVE {u}1 ITEMS cup 1')
    const engine = shop.replayed()
    expect(() => engine.replay(new Request().set(record))).toThrow(expect.objectContaining({ code: 'LOG_SEMANTIC' }))
  })

  it('is none of these', () => {
    shop.run('STOCK.CREATE cup 5')
    shop.run('STOCK.RESERVE {u}1 ITEMS cup 1')
    expect(() => shop.replayed().replay(new Request().set(reserved))).not.toThrow()
  })
})
