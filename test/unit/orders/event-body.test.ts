// Any bytes are an event or an error in words: readers of a queue meet everything.

import { describe, expect, it } from 'vitest'
import { crc32 } from 'node:zlib'
import { Random } from '../../../src/base/random.ts'
import { EVENT_BYTES_MAX, EventBodyError, parseEventBody } from '../../../src/orders/event-body.ts'

type Json = Record<string, unknown>

const item = { sku: 'cup', qty: 2, price: 5, seller: 's7', generation: 1, change: { reserved: -2, sold: 2 } }
const balance = { sku: 'cup', total: 9, available: 6, reserved: 1, sold: 2, generation: 1, change: { reserved: -2, sold: 2 } }
const confirmed: Json = {
  schema: 1,
  id: 'n1_0a1b2c3d-1-7',
  type: 'order.confirmed',
  time: 1_792_000_000_000,
  order: '{ann}1',
  buyer: 'ann',
  shard: crc32('ann') & 1023,
  version: 2,
  state: 'CONFIRMED',
  deadline: 1_792_000_600_000,
  ref: 'pay',
  reason: null,
  late: false,
  items: [item],
  stock: [balance],
}
const adjusted: Json = {
  ...confirmed,
  type: 'stock.adjusted',
  order: null,
  buyer: null,
  shard: crc32('cup') & 1023,
  state: null,
  deadline: 0,
  items: [],
  stock: [{ ...balance, change: { total: 3, available: 3 } }],
  adjustment: { id: 'a', asked: 3, applied: 3 },
}
const mark: Json = { ...adjusted, type: 'audit.mark', version: 0, ref: null, mark: 4, stock: [{ ...balance, change: undefined }] }

const parse = (json: unknown): ReturnType<typeof parseEventBody> => parseEventBody(Buffer.from(JSON.stringify(json)))

function refusal(payload: Buffer): EventBodyError {
  try {
    parseEventBody(payload)
  } catch (error) {
    if (error instanceof EventBodyError) return error
    throw error
  }
  throw new Error('it was taken')
}

describe('an event', () => {
  it('is what was sent, with the changes that were left out as 0', () => {
    expect(parse(confirmed)).toEqual({
      ...confirmed,
      items: [{ ...item, change: { reserved: -2, sold: 2, released: 0, returned: 0 } }],
      stock: [{ ...balance, change: { total: 0, available: 0, reserved: -2, sold: 2 } }],
    })
    expect(parse(adjusted)).toMatchObject({ order: null, adjustment: { id: 'a', asked: 3, applied: 3 } })
    expect(parse(mark)).toMatchObject({ mark: 4, stock: [{ total: 9, change: { total: 0, available: 0, reserved: 0, sold: 0 } }] })
  })

  it('may say more than is known, which is left out', () => {
    expect(parse({ ...confirmed, colour: 'red', items: [{ ...item, weight: 3 }] })).toEqual(parse(confirmed))
  })

  it('may have prices as text', () => {
    expect(parse({ ...confirmed, items: [{ ...item, price: '92233720368547758070' }] }).items[0].price).toBe('92233720368547758070')
  })

  it('has names that are one character a byte if it says so', () => {
    const buyer = '\xffé'
    const shard = crc32(Buffer.from(buyer, 'latin1')) & 1023
    expect(parse({ ...confirmed, encoding: 'latin1', order: `{${buyer}}1`, buyer, shard })).toMatchObject({ encoding: 'latin1', buyer })
    expect(() => parse({ ...confirmed, encoding: 'latin1', ref: '€' })).toThrow('ref must be text in its encoding')
  })

  it('is nobody that an object inherits from', () => {
    const text = JSON.stringify({ ...confirmed, order: '__proto__', buyer: null, shard: crc32('__proto__') & 1023, ref: 'constructor' })
    const body = parseEventBody(
      Buffer.from(text.replace('"late":false,', '"late":false,"__proto__":{"mark":1,"encoding":"latin1","polluted":1},')),
    )
    expect([body.order, body.ref, body.mark, body.encoding]).toEqual(['__proto__', 'constructor', undefined, undefined])
    expect(Object.getPrototypeOf(body)).toBe(Object.prototype)
    expect(({} as Json)['polluted']).toBeUndefined()
    // What is missing is not looked for in a prototype either.
    const hidden = text.replace('"ref":"constructor",', '').replace('{"schema"', '{"__proto__":{"ref":"x"},"schema"')
    expect(refusal(Buffer.from(hidden)).message).toBe('ref must be text, it is missing')
  })
})

describe('is none, for JSON that says', () => {
  const cases: [what: string, json: unknown, reason: string][] = [
    ['a list', [], 'an event is an object, not a list'],
    ['null', null, 'an event is an object, not null'],
    ['a number', 5, 'an event is an object, not 5'],
    ['another schema', { ...confirmed, schema: 2 }, 'schema must be 1, it is 2'],
    ['no schema', { ...confirmed, schema: undefined }, 'schema must be 1, it is missing'],
    ['an unknown type', { ...confirmed, type: 'order.teleported' }, 'type must be a known type, it is "order.teleported"'],
    ['a type by inheritance', { ...confirmed, type: '__proto__' }, 'type must be a known type, it is "__proto__"'],
    ['an id with spaces', { ...confirmed, id: 'a b' }, `id must be an event's id, it is "a b"`],
    ['no order', { ...confirmed, order: null }, 'order must be text, it is null'],
    ['an empty order', { ...confirmed, order: '' }, 'order must have 1 to 128 bytes, it has 0'],
    ['an order too long', { ...confirmed, order: 'é'.repeat(65) }, 'order must have 1 to 128 bytes, it has 130'],
    ['half a character', { ...confirmed, ref: 'a\ud800' }, 'ref must be text in its encoding, it is "a\\ud800"'],
    ['an order as an object', { ...confirmed, order: { toString: 'x' } }, 'order must be text, it is an object'],
    ['another encoding', { ...confirmed, encoding: 'utf-7' }, 'encoding must be "latin1", it is "utf-7"'],
    ['the shard of another', { ...confirmed, shard: 1 }, 'shard must be that of its buyer or order, it is 1'],
    ['version 0', { ...confirmed, version: 0 }, 'version must be an integer from 1 on, it is 0'],
    ['half a version', { ...confirmed, version: 1.5 }, 'version must be an integer from 1 on, it is 1.5'],
    ['a version beyond 2^53', { ...confirmed, version: 2 ** 53 }, `version must be an integer from 1 on, it is ${2 ** 53}`],
    ['a version as text', { ...confirmed, version: '2' }, 'version must be an integer from 1 on, it is "2"'],
    ['no state', { ...confirmed, state: null }, 'state must be a state of orders, it is null'],
    ['a state of no order', { ...confirmed, state: 'PENDING' }, 'state must be a state of orders, it is "PENDING"'],
    ['a late that is none', { ...confirmed, late: 0 }, 'late must be true or false, it is 0'],
    ['a reason with spaces', { ...confirmed, reason: 'too late' }, 'reason must be a word of a-z and _, it is "too late"'],
    ['items as an object', { ...confirmed, items: {} }, 'items must be a list, it is an object'],
    ['too many items', { ...confirmed, items: Array(101).fill(item) }, 'items has 101 entries, 100 is the most'],
    ['an item that is text', { ...confirmed, items: ['cup'] }, 'items[0] must be an object, it is "cup"'],
    [
      'an item without change',
      { ...confirmed, items: [{ ...item, change: undefined }] },
      'items[0].change must be an object, it is missing',
    ],
    ['units below 0', { ...confirmed, items: [{ ...item, qty: -1 }] }, 'qty must be an integer from 0 to 1000000000, it is -1'],
    ['half a price', { ...confirmed, items: [{ ...item, price: 1.5 }] }, 'price must be an integer from 0 on, it is 1.5'],
    ['a price in words', { ...confirmed, items: [{ ...item, price: '5e3' }] }, 'price must be an integer from 0 on, it is "5e3"'],
    ['a seller of nothing', { ...confirmed, items: [{ ...item, seller: '' }] }, 'seller must have 1 to 1024 bytes, it has 0'],
    [
      'a balance that does not add up',
      { ...confirmed, stock: [{ ...balance, sold: 3 }] },
      'stock[0]: total is not available + reserved + sold',
    ],
    [
      'a change that does not add up',
      { ...confirmed, stock: [{ ...balance, change: { sold: 3 } }] },
      'stock[0]: the change of total is not that of available + reserved + sold',
    ],
    ['a balance below 0', { ...confirmed, stock: [{ ...balance, available: -6 }] }, 'available must be an integer from 0 on, it is -6'],
    ['no adjustment', { ...adjusted, adjustment: undefined }, 'adjustment must be an object, it is missing'],
    ['a SKU of an order', { ...adjusted, order: 'x' }, 'order must be null, it is "x"'],
    ['no SKU', { ...adjusted, stock: [] }, 'stock must be the SKU, it is "nothing"'],
    ['items of a SKU', { ...adjusted, items: [item] }, 'items has 1 entries, 0 is the most'],
    ['no mark', { ...mark, mark: undefined }, 'mark must be an integer from 1 on, it is missing'],
    ['much text', { ...confirmed, type: 'x'.repeat(100_000) }, `type must be a known type, it is "${'x'.repeat(39)}...`],
  ]

  it.each(cases)('%s', (_, json, reason) => {
    const error = refusal(Buffer.from(JSON.stringify(json)))
    expect([error.code, error.message]).toEqual(['schema', reason])
  })
})

describe('no JSON', () => {
  const cases: [what: string, payload: Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('hello')],
    ['an event cut short', Buffer.from(JSON.stringify(confirmed)).subarray(0, -1)],
    ['two events', Buffer.from(JSON.stringify(confirmed).repeat(2))],
    ['bytes that are not UTF-8', Buffer.from(JSON.stringify(confirmed).replace('pay', 'p\xffy'), 'latin1')],
    ['a byte order mark', Buffer.from(`\ufeff${JSON.stringify(confirmed)}`)],
    ['too much', Buffer.alloc(EVENT_BYTES_MAX + 1, ' ')],
    ['an abyss of lists', Buffer.alloc(1_000_000, '[')],
    ['an abyss of objects', Buffer.from('{"a":'.repeat(200_000))],
  ]

  it.each(cases)('is refused as such: %s', (_, payload) => {
    expect(refusal(payload).code).toBe('json')
  })

  it('closed again is no event either', () => {
    const depth = 100_000
    expect(refusal(Buffer.from('['.repeat(depth) + ']'.repeat(depth))).code).toMatch(/json|schema/)
  })
})

it('is an event or an error, whatever is done to its bytes (seeds 1 to 3)', () => {
  const originals = [confirmed, adjusted, mark].map((json) => Buffer.from(JSON.stringify(json)))
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed)
    for (let i = 0; i < 5000; i++) {
      const bytes = Buffer.from(random.pick(originals))
      for (let changes = random.between(1, 3); changes > 0; changes--) {
        const at = random.below(bytes.length)
        if (random.chance(0.3)) bytes[at] = random.below(256)
        else bytes[at] = random.pick([...Buffer.from('0123456789-"{}[],:.enul\\u')])
      }
      try {
        const body = parseEventBody(bytes)
        expect(body.stock.every(({ total, available, reserved, sold }) => total === available + reserved + sold)).toBe(true)
      } catch (error) {
        if (!(error instanceof EventBodyError)) throw new Error(`seed ${seed}: ${bytes.toString('latin1')}`, { cause: error })
      }
    }
  }
})
