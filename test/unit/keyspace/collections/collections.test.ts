// Hashes and sets beside a Map and a Set: packed, large, and on the way from one to the other, through random changes; the digests say
// the same of the same contents, whatever the history, the form or the hash seed. The seed is in the name.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import type { Collection } from '../../../../src/keyspace/collections/collection.ts'
import type { Database } from '../../../../src/keyspace/database.ts'
import { Keyspace } from '../../../../src/keyspace/keyspace.ts'
import { ENCODING_NATURAL } from '../../../../src/keyspace/row.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What a lens shows as it is gone through, sorted. */
function hashContents(keyspace: Keyspace, database: Database, ref: number): [string, string][] {
  const hash = keyspace.collections.hash.open(database, ref)
  const found: [string, string][] = []
  for (hash.rewind(); hash.next();) {
    const text = (from: number, to: number): string => Buffer.from(hash.elements.subarray(from, to)).toString('latin1')
    found.push([text(hash.fieldStart, hash.fieldEnd), text(hash.valueStart, hash.valueEnd)])
  }
  expect(found).toHaveLength(hash.count)
  return found
}

function setContents(keyspace: Keyspace, database: Database, ref: number): string[] {
  const set = keyspace.collections.set.open(database, ref)
  const found: string[] = []
  for (set.rewind(); set.next();) found.push(Buffer.from(set.elements.subarray(set.memberStart, set.memberEnd)).toString('latin1'))
  expect(found).toHaveLength(set.count)
  return found
}

class Shop {
  readonly keyspace: Keyspace
  constructor(seed: number) {
    this.keyspace = new Keyspace({ databases: 2, seed, now: 1_700_000_000_000 })
  }

  database(n = 0): Database {
    return this.keyspace.databases[n]
  }

  find(key: string, n = 0): number {
    const bytes = latin1(key)
    const database = this.database(n)
    return database.find(bytes, 0, bytes.length, database.hash(bytes, 0, bytes.length))
  }

  change<Lens extends Collection, T>(lens: Lens, key: string, how: (lens: Lens) => T, n = 0): T {
    const bytes = latin1(key)
    const database = this.database(n)
    const hash = database.hash(bytes, 0, bytes.length)
    const ref = database.find(bytes, 0, bytes.length, hash)
    if (ref === 0) lens.create(database, hash, bytes, 0, bytes.length)
    else lens.open(database, ref, hash).beginChange()
    const result = how(lens)
    lens.endChange()
    return result
  }

  hset(key: string, field: string, value: string): boolean {
    const [f, v] = [latin1(field), latin1(value)]
    return this.change(this.keyspace.collections.hash, key, (hash) => hash.set(f, 0, f.length, v, 0, v.length))
  }

  hdel(key: string, field: string): boolean {
    const f = latin1(field)
    return this.change(this.keyspace.collections.hash, key, (hash) => hash.remove(f, 0, f.length))
  }

  sadd(key: string, member: string): boolean {
    const m = latin1(member)
    return this.change(this.keyspace.collections.set, key, (set) => set.add(m, 0, m.length))
  }

  srem(key: string, member: string): boolean {
    const m = latin1(member)
    return this.change(this.keyspace.collections.set, key, (set) => set.remove(m, 0, m.length))
  }
}

const SEEDS = [1, 2, 3, 4, 5, 6]

describe('a hash', () => {
  it.each(SEEDS)('agrees with a Map through all its forms (seed %i)', (seed) => {
    const random = new Random(seed)
    const shop = new Shop(seed)
    const { keyspace } = shop
    const map = new Map<string, string>()
    const empty = keyspace.usedBytes
    const value = (): string =>
      random.chance(0.02)
        ? 'v'.repeat(random.between(60, 70))
        : random.chance(0.005)
          ? 'w'.repeat(random.between(200, 100_000))
          : String(random.below(1000))
    for (let step = 0; step < 6000; step++) {
      // Grows for a while, then shrinks to nothing, and again.
      const grows = Math.floor(step / 1500) % 2 === 0
      const field = random.chance(0.02) ? '' : `f${random.below(grows ? 900 : 60)}`
      if (random.chance(grows ? 0.85 : 0.1)) {
        const text = value()
        expect(shop.hset('h', field, text)).toBe(!map.has(field))
        map.set(field, text)
      } else {
        const gone = grows || random.chance(0.3) || map.size === 0 ? field : [...map.keys()][random.below(map.size)]
        if (map.size > 0) expect(shop.hdel('h', gone)).toBe(map.delete(gone))
      }
      if (step % 100 === 0) {
        const ref = shop.find('h')
        expect(ref === 0).toBe(map.size === 0)
        if (ref !== 0) expect(hashContents(keyspace, shop.database(), ref).toSorted()).toEqual([...map].toSorted())
      }
      const probe = latin1(`f${random.below(900)}`)
      const ref = shop.find('h')
      if (ref !== 0)
        expect(keyspace.collections.hash.open(shop.database(), ref).find(probe, 0, probe.length)).toBe(map.has(probe.toString()))
    }
    const other = new Shop(seed + 1000)
    for (const [f, v] of [...map].toReversed()) other.hset('h', f, v)
    expect(other.keyspace.digest()).toBe(keyspace.digest())
    expect(other.keyspace.sealDigest()).toBe(keyspace.sealDigest())
    for (const field of map.keys()) shop.hdel('h', field)
    expect(shop.find('h')).toBe(0)
    expect(keyspace.usedBytes).toBe(empty)
    expect(keyspace.sealDigest()).toBe(new Shop(1).keyspace.sealDigest())
  })

  it('keeps the order in which fields came while it is packed', () => {
    const shop = new Shop(1)
    for (const field of ['b', 'a', 'c']) shop.hset('h', field, 'x')
    shop.hset('h', 'a', 'longer than before')
    shop.hdel('h', 'b')
    shop.hset('h', 'b', 'again')
    expect(hashContents(shop.keyspace, shop.database(), shop.find('h')).map(([field]) => field)).toEqual(['a', 'c', 'b'])
  })
})

describe('a set', () => {
  const integer = (random: Random): string =>
    random.pick([
      ...['0', '-1', '32767', '-32768', '32768', '-32769', '2147483647', '-2147483648', '2147483648', '-2147483649', '4294967296'],
      ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993', '9223372036854775807', '-9223372036854775808'],
      String(random.between(-100, 100)),
      String(random.between(-40_000, 40_000)),
      String(random.uint32()),
    ])

  it.each(SEEDS)('agrees with a Set through all its forms (seed %i)', (seed) => {
    const random = new Random(seed)
    const shop = new Shop(seed)
    const { keyspace } = shop
    const model = new Set<string>()
    for (let step = 0; step < 6000; step++) {
      const phase = Math.floor(step / 1000) % 3
      const member =
        phase === 0 || random.chance(0.8)
          ? integer(random)
          : random.pick(['', '01', '+1', '-0', 'x', 'y'.repeat(300), `m${random.below(500)}`])
      if (random.chance(phase === 2 ? 0.1 : 0.8)) {
        expect(shop.sadd('s', member)).toBe(!model.has(member))
        model.add(member)
      } else if (model.size > 0) {
        const gone = phase === 2 ? [...model][random.below(model.size)] : member
        expect(shop.srem('s', gone)).toBe(model.delete(gone))
      }
      const ref = shop.find('s')
      expect(ref === 0).toBe(model.size === 0)
      if (ref !== 0) {
        const probe = latin1(integer(random))
        const set = keyspace.collections.set.open(shop.database(), ref)
        expect(set.has(probe, 0, probe.length)).toBe(model.has(probe.toString()))
        set.choose(() => random.float())
        expect(model.has(Buffer.from(set.elements.subarray(set.memberStart, set.memberEnd)).toString('latin1'))).toBe(true)
        if (step % 50 === 0) {
          const found = setContents(keyspace, shop.database(), ref)
          expect(found.toSorted()).toEqual([...model].toSorted())
          // An intset is in the order of its numbers.
          if (keyspace.collections.set.open(shop.database(), ref).encodingName() === 'intset') {
            const numbers = found.map(BigInt)
            expect(numbers).toEqual(numbers.toSorted((a, b) => (a < b ? -1 : 1)))
          }
        }
      }
    }
    const other = new Shop(seed + 1000)
    for (const member of [...model].toReversed()) other.sadd('s', member)
    expect(other.keyspace.digest()).toBe(keyspace.digest())
    expect(other.keyspace.sealDigest()).toBe(keyspace.sealDigest())
  })
})

describe('the keyspace', () => {
  it.each([1, 2])('keeps thousands of collections apart while their rows move through many segments (seed %i)', (seed) => {
    const random = new Random(seed)
    const shop = new Shop(seed)
    const hashes = new Map<string, Map<string, string>>()
    const sets = new Map<string, Set<string>>()
    for (let step = 0; step < 40_000; step++) {
      const n = random.below(3000)
      const element = random.chance(0.5) ? String(random.below(50)) : `element ${random.below(20)}`
      if (random.chance(0.5)) {
        const map = hashes.get(`h${n}`) ?? new Map<string, string>()
        hashes.set(`h${n}`, map)
        if (random.chance(0.8)) {
          const value = 'v'.repeat(random.below(600))
          expect(shop.hset(`h${n}`, element, value)).toBe(!map.has(element))
          map.set(element, value)
        } else if (map.size > 0) expect(shop.hdel(`h${n}`, element)).toBe(map.delete(element))
      } else {
        const set = sets.get(`s${n}`) ?? new Set<string>()
        sets.set(`s${n}`, set)
        if (random.chance(0.8)) {
          expect(shop.sadd(`s${n}`, element)).toBe(!set.has(element))
          set.add(element)
        } else if (set.size > 0) expect(shop.srem(`s${n}`, element)).toBe(set.delete(element))
      }
    }
    expect(shop.keyspace.usedBytes).toBeGreaterThan(2 * 1024 * 1024)
    for (const [key, map] of hashes) {
      const ref = shop.find(key)
      expect(ref === 0 ? [] : hashContents(shop.keyspace, shop.database(), ref).toSorted()).toEqual([...map].toSorted())
    }
    for (const [key, set] of sets) {
      const ref = shop.find(key)
      expect(ref === 0 ? [] : setContents(shop.keyspace, shop.database(), ref).toSorted()).toEqual([...set].toSorted())
    }
  })

  it('tells collections with other contents apart, in the digest and in the seal', () => {
    const states: ((shop: Shop) => void)[] = [
      () => {},
      (s) => s.hset('k', 'a', '1'),
      (s) => s.hset('k', 'a', '2'),
      (s) => s.hset('k', '1', 'a'),
      (s) => s.hset('k', 'a1', ''),
      (s) => s.sadd('k', 'a'),
      (s) => s.sadd('k', '1'),
      (s) => s.sadd('l', '1'),
      (s) => {
        s.sadd('k', '1')
        s.sadd('k', '2')
      },
      (s) => {
        s.sadd('k', '12')
        s.sadd('l', '1')
      },
      (s) => {
        s.sadd('k', '1')
        s.sadd('l', '12')
      },
    ]
    const shops = states.map((make) => {
      const shop = new Shop(1)
      make(shop)
      return shop
    })
    expect(new Set(shops.map((shop) => shop.keyspace.digest())).size).toBe(states.length)
    expect(new Set(shops.map((shop) => shop.keyspace.sealDigest())).size).toBe(states.length)
  })

  it.each([3, 700])('gives back all that a collection of %i elements took, however it goes', (elements) => {
    const ways: ((shop: Shop) => void)[] = [
      (shop) => shop.database().remove(shop.find('s'), shop.database().hashOf(shop.find('s'))),
      (shop) => shop.database().clear(),
      (shop) => shop.keyspace.clear(),
      (shop) => {
        const key = latin1('s')
        const database = shop.database()
        const hash = database.hash(key, 0, 1)
        database.remove(database.putString(shop.find('s'), hash, key, 0, 1, key, 0, 1, ENCODING_NATURAL), hash)
      },
      (shop) => {
        for (let i = 0; i < elements; i++) shop.srem('s', `m${i}`)
      },
    ]
    for (const way of ways) {
      const shop = new Shop(1)
      const empty = shop.keyspace.usedBytes
      for (let i = 0; i < elements; i++) shop.sadd('s', `m${i}`)
      expect(shop.keyspace.usedBytes).toBeGreaterThan(empty)
      way(shop)
      expect(shop.keyspace.usedBytes).toBe(empty)
      expect(shop.keyspace.hiddenBytes).toBe(0)
      expect(shop.keyspace.sealDigest()).toBe(new Shop(2).keyspace.sealDigest())
    }
  })

  it('shows every element that is there all the time to a scan, whatever comes and goes', () => {
    const random = new Random(5)
    const shop = new Shop(5)
    for (let i = 0; i < 400; i++) shop.sadd('s', `stays${i}`)
    const seen = new Set<string>()
    let cursor = 0
    let other = 0
    do {
      const set = shop.keyspace.collections.set.open(shop.database(), shop.find('s'))
      cursor = set.scan(cursor, 5, () => seen.add(Buffer.from(set.elements.subarray(set.memberStart, set.memberEnd)).toString()))
      // Through the table's sizes and over the border to 256 shards.
      for (let i = 0; i < 400 && other < 20_000; i++) shop.sadd('s', `other${other++}`)
      if (other >= 20_000) for (let i = 0; i < 1000; i++) shop.srem('s', `other${random.below(other)}`)
    } while (cursor !== 0)
    for (let i = 0; i < 400; i++) expect(seen.has(`stays${i}`)).toBe(true)
  })

  it('chooses members of a large set evenly', () => {
    const random = new Random(6)
    const shop = new Shop(6)
    const counts = new Map<string, number>()
    for (let i = 0; i < 300; i++) shop.sadd('s', `m${i}`)
    const set = shop.keyspace.collections.set.open(shop.database(), shop.find('s'))
    for (let i = 0; i < 300_000; i++) {
      set.choose(() => random.float())
      const member = Buffer.from(set.elements.subarray(set.memberStart, set.memberEnd)).toString()
      counts.set(member, (counts.get(member) ?? 0) + 1)
    }
    const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)
    expect(counts.size).toBe(300)
    expect(chiSquare).toBeLessThan(400)
  })
})
