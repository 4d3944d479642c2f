// What an event looks like, byte for byte, and what the decoder refuses. That all of them add up is event-stories.test.ts.

import { describe, expect, it } from 'vitest'
import type { OutboxEvent } from '../../../../src/engine/events/event.ts'
import { EventDecoder } from '../../../../src/engine/events/event-decoder.ts'
import { Outbox, PARTS } from '../../../../src/engine/outbox.ts'
import { parseEventBody } from '../../../../src/orders/event-body.ts'
import { Request } from '../../../../src/resp/request.ts'

const AT = 1_792_000_123_456
const decoder = new EventDecoder('n1_0a1b2c3d-3')

function eventsOf(record: readonly (string | Buffer)[], lsn = 7): OutboxEvent[] {
  const found: OutboxEvent[] = []
  decoder.decode(new Request().set(record), lsn, (event) => found.push(event))
  return found
}

function eventOf(record: readonly (string | Buffer)[], lsn = 7): OutboxEvent {
  const found = eventsOf(record, lsn)
  expect(found.length).toBe(1)
  return found[0]
}

const reserved = (id: string | Buffer, sku: string | Buffer, tag: string | Buffer = ''): (string | Buffer)[] => [
  'ORDER.RESERVED',
  id,
  String(AT),
  '600000',
  '12',
  sku,
  '1',
  '2',
  Buffer.concat([Buffer.from('97 3 1'), Buffer.from(tag)]),
]

describe('an event', () => {
  it('is the JSON of the contract, and its envelope says the same', () => {
    const confirmed = ['ORDER.CONFIRMED', '{u42}01JA', String(AT), '2', '184', 'SALE', '1792000600000', 'pay_9', 'sku:iphone', '1', '1']
    const event = eventOf([...confirmed, '98 1 1 599900 s7'], 184467)
    expect(event.body.toString('utf8')).toBe(
      '{"schema":1,"id":"n1_0a1b2c3d-3-184467","type":"order.confirmed","time":1792000123456,' +
        '"order":"{u42}01JA","buyer":"u42","shard":478,"version":2,"state":"CONFIRMED","deadline":1792000600000,' +
        '"ref":"pay_9","reason":null,"late":false,' +
        '"items":[{"sku":"sku:iphone","qty":1,"price":599900,"seller":"s7","generation":1,"change":{"reserved":-1,"sold":1}}],' +
        '"stock":[{"sku":"sku:iphone","total":100,"available":98,"reserved":1,"sold":1,"generation":1,"change":{"reserved":-1,"sold":1}}]}',
    )
    expect({ ...event, body: null }).toEqual({ lsn: 184467, part: 478 >> 6, pseq: 184, type: 'order.confirmed', time: AT, body: null })
  })

  it('of an order without buyer goes by its id', () => {
    const event = eventOf(reserved('plain', 'cup'))
    expect(parseEventBody(event.body)).toMatchObject({ order: 'plain', buyer: null, shard: Outbox.shardOf(Buffer.from('plain'), 0, 5) })
    expect(parseEventBody(eventOf(reserved('{}y', 'cup')).body)).toMatchObject({ order: '{}y', buyer: null })
    expect(parseEventBody(eventOf(reserved('a}{b}{c}', 'cup')).body)).toMatchObject({ buyer: 'b' })
  })

  it('tells what was sold of a hold, and what went back', () => {
    const part = ['ORDER.CONFIRMED', '{u}1', String(AT), '3', '9', 'PART', String(AT), 'cart', 'late_bird']
    const body = parseEventBody(eventOf([...part, 'cup', '4', '1 3', '7 0 1', 'pen', '5', '0 2', '-']).body)
    expect(body).toMatchObject({ ref: 'cart', reason: 'late_bird', late: false })
    const none = { reserved: 0, sold: 0, released: 0, returned: 0 }
    expect(body.items).toEqual([
      { sku: 'cup', generation: 4, qty: 1, price: null, seller: null, change: { ...none, reserved: -3, sold: 1, released: 2 } },
      { sku: 'pen', generation: 5, qty: 0, price: null, seller: null, change: { ...none, reserved: -2, released: 2 } },
    ])
    expect(body.stock).toEqual([
      {
        sku: 'cup',
        generation: 4,
        total: 8,
        available: 7,
        reserved: 0,
        sold: 1,
        change: { total: 0, available: 2, reserved: -3, sold: 1 },
      },
    ])
  })

  it('tells payment, REF and reason apart by how many there are', () => {
    const confirmed = ['ORDER.CONFIRMED', '{u}1', String(AT), '3', '9', 'SALE', String(AT)]
    const item = ['cup', '4', '1', '7 0 1']
    const both = (options: string[]): unknown => {
      const { ref, reason } = parseEventBody(eventOf([...confirmed, ...options, ...item]).body)
      return [ref, reason]
    }
    expect(both([])).toEqual([null, null])
    expect(both(['pay'])).toEqual(['pay', null])
    expect(both(['own', 'why'])).toEqual(['own', 'why'])
    expect(both(['', 'why'])).toEqual([null, 'why'])
    expect(both(['pay', 'pay', 'why'])).toEqual(['pay', 'why'])
  })

  it('keeps price and seller apart, whatever the seller is called', () => {
    const of = (tag: string): unknown => {
      const [{ price, seller }] = parseEventBody(eventOf(reserved('{u}1', 'cup', tag)).body).items
      return [price, seller]
    }
    expect(of('')).toEqual([null, null])
    expect(of(' 0')).toEqual([0, null])
    expect(of(' 9007199254740991')).toEqual([Number.MAX_SAFE_INTEGER, null])
    expect(of(' -1 s7')).toEqual([null, 's7'])
    expect(of(' 5 a  b ')).toEqual([5, 'a  b '])
    expect(of(' 5  ')).toEqual([5, ' '])
  })

  it.each(['ORDER.TOMBSTONE', 'ORDER.GRACED', 'ORDER.TRIMMED', 'SET', 'SELECT', 'FLUSHALL', 'DEL', 'SNAPSHOT.ORDER', 'PEXPIREAT'])(
    'is not made by %s',
    (name) => expect(eventsOf([name, '1', '2', '3'])).toEqual([]),
  )

  it('is made sixteen times by an audit mark, once for each part', () => {
    const pseqs = Array.from({ length: PARTS }, (_, part) => String(100 + part))
    const events = eventsOf(['AUDIT.MARK', String(AT), '5', ...pseqs, 'cup', '1', '7 2 1', 'pen', '2', '0 0 0'])
    expect(events.map(({ part, pseq, type, time }) => [part, pseq, type, time])).toEqual(
      pseqs.map((pseq, part) => [part, Number(pseq), 'audit.mark', AT]),
    )
    for (const { body, part } of events) {
      const { mark, shard, stock, order } = parseEventBody(body)
      expect([mark, shard >> 6, order]).toEqual([5, part, null])
      expect(
        stock.map(({ sku, generation, total, available, reserved, sold }) => [sku, generation, total, available, reserved, sold]),
      ).toEqual([
        ['cup', 1, 10, 7, 2, 1],
        ['pen', 2, 0, 0, 0, 0],
      ])
    }
  })
})

describe('names', () => {
  const back = (record: readonly (string | Buffer)[]): [body: ReturnType<typeof parseEventBody>, text: string] => {
    const { body } = eventOf(record)
    return [parseEventBody(body), body.toString('utf8')]
  }

  it('that are UTF-8 stay what they are', () => {
    const id = '{Zoë 🛒 日本}\u0000\u001f"\\/\u007f\n'
    const [body, text] = back(reserved(id, '__proto__', ' 5 \u2028\u2029é'))
    expect(body).toMatchObject({ order: id, buyer: 'Zoë 🛒 日本' })
    expect(Object.hasOwn(body, 'encoding')).toBe(false)
    expect(body.items[0]).toMatchObject({ sku: '__proto__', seller: '\u2028\u2029é' })
    expect(text).toContain('"order":"{Zoë 🛒 日本}\\u0000\\u001f\\"\\\\/\u007f\\n"')
    expect(text).toContain('\\u2028\\u2029é')
    expect([...text].every((c) => c >= ' ' && c !== '\u2028' && c !== '\u2029')).toBe(true)
  })

  const broken: [what: string, hex: string][] = [
    ['a byte that begins nothing', 'ff'],
    ['a continuation alone', '80'],
    ['a character cut short', 'e2 82'],
    ['an overlong slash', 'c0 af'],
    ['an overlong form of three', 'e0 80 af'],
    ['an overlong form of four', 'f0 80 80 af'],
    ['a surrogate', 'ed a0 80'],
    ['more than U+10FFFF', 'f4 90 80 80'],
    ['a lead byte before a letter', 'c3 41'],
    ['five bytes', 'f8 88 80 80 80'],
  ]

  it.each(broken)('that are not make every name of the event latin1: %s', (_, hex) => {
    const odd = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    const [body, text] = back(reserved(Buffer.from('{Zoë}1'), odd, ' 5 €'))
    expect(body.encoding).toBe('latin1')
    expect(text.endsWith(',"encoding":"latin1"}')).toBe(true)
    expect(Buffer.from(body.items[0].sku, 'latin1')).toEqual(odd)
    expect(Buffer.from(body.order ?? '', 'latin1').toString('utf8')).toBe('{Zoë}1')
    expect(Buffer.from(body.items[0].seller ?? '', 'latin1').toString('utf8')).toBe('€')
  })

  it('of all bytes come back', () => {
    for (let first = 0; first < 256; first++) {
      const sku = Buffer.of(first, 0x2d, 255 - first)
      const [body] = back(reserved('{u}1', sku))
      expect(Buffer.from(body.items[0].sku, body.encoding ?? 'utf8')).toEqual(sku)
    }
  })

  it('may be long, and many', () => {
    const sku = Buffer.alloc(256, '\u0001')
    const items = Array.from({ length: 100 }, (_, i) => [
      Buffer.concat([sku.subarray(2), Buffer.of(65 + (i >> 4), 65 + (i & 15))]),
      '1',
      '1',
      '1 1 0',
    ])
    const { body } = eventOf(['ORDER.RESERVED', '{u}1', String(AT), '1', '1', ...items.flat()])
    expect(parseEventBody(body).items.length).toBe(100)
    expect(body.length).toBeGreaterThan(300_000)
  })
})

describe('a record that makes no event', () => {
  const good = reserved('{u}1', 'cup')
  const with_ = (i: number, word: string): (string | Buffer)[] => good.map((each, k) => (k === i ? word : each))
  const cases: [what: string, record: readonly (string | Buffer)[]][] = [
    ['of a newer stockd', ['ORDER.TELEPORTED', '{u}1']],
    ['of a newer stockd', ['STOCK.MELTED', 'cup']],
    ['without items', good.slice(0, 5)],
    ['with half an item', good.slice(0, 8)],
    ['with a word for a number', with_(2, 'x')],
    ['without hold', with_(3, '0')],
    ['without number', with_(4, '0')],
    ['without id', with_(1, '')],
    ['without name of a SKU', with_(5, '')],
    ['without generation', with_(6, '0')],
    ['with two numbers for four', with_(8, '97 3')],
    ['with a number too many', with_(8, '97 3 1 5 ')],
    ['with numbers beyond 2^53', with_(8, '9007199254740991 1 0')],
    ['with a price below nothing', with_(8, '97 3 1 -2')],
    ['with a tag of nothing', with_(8, '97 3 1 -1')],
    ['of another sale', ['ORDER.CONFIRMED', '{u}1', String(AT), '1', '1', 'GIFT', '0', 'cup', '1', '1', '97 3 1']],
    ['of a part of nothing', ['ORDER.CONFIRMED', '{u}1', String(AT), '1', '1', 'PART', '0', 'cup', '1', '1', '97 3 1']],
    ['cut short', ['ORDER.CONFIRMED', '{u}1']],
    ['cut short', ['ORDER.RELEASED', '{u}1', String(AT), '2']],
    ['cut short', ['ORDER.PAYMENT_ORPHANED', '{u}1', String(AT), '2', '3', 'RELEASED', '0']],
    ['cut short', ['STOCK.CREATED', 'cup', '1', String(AT), '1', '5', '900']],
    ['cut short', ['STOCK.ADJUSTED', 'cup', '1', String(AT), '1', '5 0 0', '2']],
    ['cut short', ['AUDIT.MARK', String(AT), '1', '1']],
    ['cut short', ['STOCK.DROPPED', 'cup']],
  ]

  it.each(cases)('stops the reader: %s', (_, record) => {
    expect(() => eventsOf(record)).toThrow(expect.objectContaining({ code: 'LOG_SEMANTIC' }))
  })

  it('does not spoil the next one', () => {
    expect(eventsOf(good).length).toBe(1)
  })
})

it('a stream has a plain name', () => {
  for (const name of ['', 'a b', 'a"b', 'a/b']) expect(() => new EventDecoder(name)).toThrow(RangeError)
})
