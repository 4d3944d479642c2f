import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import type { Database } from '../../../src/keyspace/database.ts'
import { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { ENCODING_NATURAL } from '../../../src/keyspace/row.ts'

const NOW = 1_700_000_000_000

interface Value {
  readonly value: string
  readonly at: number | undefined
}

function hashOf(database: Database, key: string): number {
  const bytes = Buffer.from(key)
  return database.hash(bytes, 0, bytes.length)
}

function find(database: Database, key: string): number {
  const bytes = Buffer.from(key)
  return database.find(bytes, 0, bytes.length, hashOf(database, key))
}

function put(database: Database, key: string, value: string): number {
  const k = Buffer.from(key)
  const v = Buffer.from(value)
  return database.putString(find(database, key), hashOf(database, key), k, 0, k.length, v, 0, v.length, ENCODING_NATURAL)
}

function valueOf(database: Database, ref: number): string {
  database.open(ref)
  return Buffer.from(database.bytes.slice(database.valueStart, database.valueEnd)).toString()
}

describe('keyspace', () => {
  it.each([1, 2, 3, 4])('agrees with a Map of values and instants, and so do its digests (seed %i)', (seed) => {
    const random = new Random(seed)
    const keyspace = new Keyspace({ databases: 4, seed, now: NOW })
    const maps = keyspace.databases.map(() => new Map<string, Value>())
    const gone: string[] = []
    keyspace.onExpired = (database, bytes, start, end) => {
      const key = Buffer.from(bytes.slice(start, end)).toString()
      gone.push(key)
      expect(maps[database].get(key)!.at).toBeLessThan(keyspace.now)
      maps[database].delete(key)
    }
    let now = NOW
    const text = (): string => random.pick(['', 'x', '12', 'y'.repeat(40), 'z'.repeat(random.below(3000)), 'big'.repeat(30_000)])
    for (let step = 0; step < 6000; step++) {
      const n = random.below(4)
      const database = keyspace.databases[n]
      const map = maps[n]
      const key = random.chance(0.05) ? 'k'.repeat(random.below(500)) : `key:${random.below(60)}`
      const ref = find(database, key)
      const expected = map.get(key)
      if ((ref !== 0) !== (expected !== undefined)) expect.fail(`${key} is ${ref === 0 ? 'missing' : 'there'}`)
      if (expected !== undefined) {
        if (valueOf(database, ref) !== expected.value) expect.fail(`${key} has another value`)
        if (database.expireAt(ref) !== expected.at) expect.fail(`${key} has another instant`)
      }
      switch (random.below(9)) {
        case 0:
        case 1: {
          const value = text()
          put(database, key, value)
          map.set(key, { value, at: expected?.at })
          break
        }
        case 2:
        case 3:
          if (expected !== undefined) {
            const at = now + random.below(200)
            database.setExpiry(ref, at)
            map.set(key, { ...expected, at })
          }
          break
        case 4:
          if (expected !== undefined) {
            expect(database.clearExpiry(ref)).toBe(expected.at !== undefined)
            map.set(key, { ...expected, at: undefined })
          }
          break
        case 5:
          if (expected !== undefined) {
            const length = random.below(200)
            database.resizeString(ref, hashOf(database, key), length)
            map.set(key, { ...expected, value: expected.value.slice(0, length).padEnd(length, '\0') })
          }
          break
        case 6:
          if (expected !== undefined) {
            database.remove(ref, hashOf(database, key))
            map.delete(key)
          }
          break
        case 7:
          now += random.below(20)
          if (random.chance(0.5)) {
            keyspace.advance(now)
            for (const m of maps) for (const [k, v] of m) if (v.at !== undefined && v.at < now) expect.fail(`${k} is due and there`)
          } else keyspace.now = now
          break
        default: {
          const rare = random.below(100)
          if (rare < 2) {
            keyspace.swap(n, (n + 1) % 4)
            maps[n] = maps[(n + 1) % 4]
            maps[(n + 1) % 4] = map
          } else if (rare < 4) {
            database.clear()
            map.clear()
          }
        }
      }
      if (keyspace.databases[n].size !== maps[n].size) expect.fail('size')
    }
    expect(gone.length).toBeGreaterThan(10)
    expect(keyspace.expiredKeys).toBe(gone.length)

    // The same contents, put in the other way round under another hash seed.
    const other = new Keyspace({ databases: 4, seed: seed + 100 })
    maps.forEach((map, n) => {
      for (const [key, { value, at }] of [...map].reverse()) {
        const ref = put(other.databases[n], key, value)
        if (at !== undefined) other.databases[n].setExpiry(ref, at)
      }
    })
    expect(other.digest()).toBe(keyspace.digest())
    expect(other.sealDigest()).toBe(keyspace.sealDigest())
  })

  it('has other digests for another value, length, instant, name or database', () => {
    const states: ((keyspace: Keyspace) => void)[] = [
      () => {},
      (k) => put(k.databases[0], 'a', '1'),
      (k) => put(k.databases[0], 'a', '2'),
      (k) => put(k.databases[0], 'a', '10'),
      (k) => put(k.databases[1], 'a', '1'),
      (k) => put(k.databases[0], 'b', '1'),
      (k) => put(k.databases[0], 'a1', ''),
      (k) => k.databases[0].setExpiry(put(k.databases[0], 'a', '1'), 5),
      (k) => k.databases[0].setExpiry(put(k.databases[0], 'a', '1'), 6),
      (k) => k.databases[0].setExpiry(put(k.databases[0], 'a', '1'), 2n ** 62n),
      (k) => k.stockKeys.add(Buffer.from('a'), 0, 1, 0),
    ]
    const digests = states.map((make) => {
      const keyspace = new Keyspace({ databases: 2, seed: 1 })
      make(keyspace)
      return keyspace.digest()
    })
    expect(new Set(digests).size).toBe(states.length)
  })

  it('deletes a bounded number of due keys per call, from all databases in turn, and says that there are more', () => {
    const keyspace = new Keyspace({ databases: 2, seed: 1, now: NOW })
    for (const database of keyspace.databases) for (let i = 0; i < 2500; i++) database.setExpiry(put(database, `k${i}`, 'v'), NOW + 1)
    expect(keyspace.nextDeadline()).toBe(NOW + 2)
    expect(keyspace.advance(NOW + 1)).toBe(0)
    const deleted: number[] = []
    while (keyspace.nextDeadline() <= NOW + 2) deleted.push(keyspace.advance(NOW + 2))
    expect(deleted).toHaveLength(5)
    expect(keyspace.databases.map((database) => database.size)).toEqual([0, 0])
    expect(keyspace.nextDeadline()).toBe(Infinity)
  })

  it('gives its memory back when it is cleared', () => {
    const keyspace = new Keyspace({ databases: 1, seed: 1 })
    const empty = keyspace.usedBytes
    for (let i = 0; i < 5000; i++) put(keyspace.databases[0], `k${i}`, 'v'.repeat(100))
    expect(keyspace.usedBytes).toBeGreaterThan(empty + 500_000)
    keyspace.clear()
    expect(keyspace.usedBytes).toBe(empty)
    expect(keyspace.sealDigest()).toBe(new Keyspace({ databases: 1, seed: 2 }).sealDigest())
  })

  it('finds SKUs by their keys', () => {
    const keyspace = new Keyspace({ databases: 2, seed: 1, now: NOW })
    const { stockKeys } = keyspace
    put(keyspace.databases[0], 'text', 'v')
    keyspace.databases[0].setExpiry(put(keyspace.databases[0], 'old', 'v'), NOW + 5)
    stockKeys.add(Buffer.from('__proto__'), 0, 9, 2 ** 31 - 1)
    expect(stockKeys.find(Buffer.from('__proto__'), 0, 9)).toBe(2 ** 31 - 1)
    expect(stockKeys.find(Buffer.from('text'), 0, 4)).toBe(-2)
    expect(stockKeys.find(Buffer.from('none'), 0, 4)).toBe(-1)
    expect(stockKeys.find(Buffer.from('old'), 0, 3)).toBe(-2)
    keyspace.now = NOW + 6
    expect(stockKeys.find(Buffer.from('old'), 0, 3)).toBe(-1)
    stockKeys.remove(Buffer.from('__proto__'), 0, 9)
    expect(stockKeys.find(Buffer.from('__proto__'), 0, 9)).toBe(-1)
    expect(keyspace.databases[0].stockKeys).toBe(0)
  })

  it('counts idle time from the last use, or from the start for what records brought', () => {
    const keyspace = new Keyspace({ databases: 1, seed: 1 })
    const [database] = keyspace.databases
    const ref = put(database, 'a', '1')
    keyspace.advance(NOW)
    expect(keyspace.idleSeconds(database, ref)).toBe(0)
    keyspace.advance(NOW + 7500)
    expect(keyspace.idleSeconds(database, ref)).toBe(7)
    database.touch(ref)
    keyspace.advance(NOW + 9500)
    expect(keyspace.idleSeconds(database, ref)).toBe(2)
  })
})
