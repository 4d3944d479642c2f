import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../../../src/table/arena.ts'
import { ByteTable } from '../../../src/table/byte-table.ts'

/** A table of bare keys beside the plain Map that it must agree with. */
class Twin {
  readonly arena = new Arena()
  readonly table: ByteTable
  readonly map = new Map<string, number>()

  /** @param isOneOfMany begins with a single shard */
  constructor(seed: number, isOneOfMany: boolean) {
    this.table = new ByteTable(this.arena, { keyOffset: 4, keyLengthMask: 0xffff, seed, isOneOfMany })
  }

  find(key: string): number {
    const bytes = Buffer.from(`<${key}>`, 'latin1')
    return this.table.find(bytes, 1, bytes.length - 1, this.hash(key))
  }

  hash(key: string): number {
    const bytes = Buffer.from(key, 'latin1')
    return this.table.hash(bytes, 0, bytes.length)
  }

  insert(key: string): void {
    const ref = this.#row(key)
    this.table.insert(ref, this.hash(key))
    this.map.set(key, ref)
  }

  remove(key: string): void {
    const ref = this.map.get(key)!
    this.table.remove(ref, this.hash(key))
    this.arena.free(ref, 4 + key.length)
    this.map.delete(key)
  }

  move(key: string): void {
    const ref = this.#row(key)
    this.table.move(this.map.get(key)!, ref, this.hash(key))
    this.arena.free(this.map.get(key)!, 4 + key.length)
    this.map.set(key, ref)
  }

  key(ref: number): string {
    const at = ((ref & GRANULE_MASK) << 3) + 4
    const length = this.arena.words[ref >>> SEGMENT_SHIFT][(ref & GRANULE_MASK) << 1] & 0xffff
    return Buffer.from(this.arena.bytes[ref >>> SEGMENT_SHIFT].slice(at, at + length)).toString('latin1')
  }

  #row(key: string): number {
    const ref = this.arena.alloc(4 + key.length)
    // The bits above the length are the owner's: the table must not mind them.
    this.arena.words[ref >>> SEGMENT_SHIFT][(ref & GRANULE_MASK) << 1] = key.length | 0x40000000
    Buffer.from(this.arena.bytes[ref >>> SEGMENT_SHIFT].buffer, ((ref & GRANULE_MASK) << 3) + 4, key.length).write(key, 'latin1')
    return ref
  }
}

const keyOf = (random: Random, keys: number): string => {
  const n = random.below(keys)
  return n % 7 === 0 ? `\0${n}\xff${'x'.repeat(n % 50)}` : n === 1 ? '' : `key:${n}`
}

describe.each([false, true])('byte table (one of many: %s)', (isOneOfMany) => {
  it.each([
    [1, 100],
    [2, 3000],
    [3, 30_000],
  ])('agrees with a Map through growing, shrinking and moving (seed %i, %i keys)', (seed, keys) => {
    const random = new Random(seed)
    const twin = new Twin(seed, isOneOfMany)
    for (let phase = 0; phase < 6; phase++) {
      const growth = phase % 2 === 0 ? 0.8 : 0.15
      for (let step = 0; step < keys * 2; step++) {
        const key = keyOf(random, keys)
        const expected = twin.map.get(key) ?? 0
        if (twin.find(key) !== expected) expect.fail(`find ${JSON.stringify(key)}`)
        if (expected === 0) {
          if (random.chance(growth)) twin.insert(key)
        } else if (random.chance(0.1)) twin.move(key)
        else if (!random.chance(growth)) twin.remove(key)
        if (twin.table.size !== twin.map.size) expect.fail('size')
      }
      const seen: string[] = []
      twin.table.forEach((ref) => seen.push(twin.key(ref)))
      expect(seen.sort()).toEqual([...twin.map.keys()].sort())
    }
  })

  it.each([1, 2, 3, 4, 5, 6])('a scan visits what stays exactly once, while the rest comes and goes (seed %i)', (seed) => {
    const random = new Random(seed)
    const twin = new Twin(seed * 1e9, isOneOfMany)
    const stays = new Set<string>()
    const keys = [10, 300, 12_000][seed % 3]
    for (let i = 0; i < keys; i++) {
      const key = `stay:${i}`
      twin.insert(key)
      stays.add(key)
    }
    const comes: string[] = []
    const counts = new Map<string, number>()
    let cursor = 0
    let calls = 0
    do {
      cursor = twin.table.scan(cursor, random.between(1, 10 + keys / 20), (ref) => {
        const key = twin.key(ref)
        counts.set(key, (counts.get(key) ?? 0) + 1)
      })
      // Now many more keys, now few: shards grow and shrink under the cursor.
      const grows = (calls++ >>> 2) % 2 === 0
      for (let n = random.below(keys / 2 + 5); n > 0; n--) {
        if (grows) {
          const key = `come:${calls}:${n}`
          twin.insert(key)
          comes.push(key)
        } else if (comes.length > 0) twin.remove(comes.splice(random.below(comes.length), 1)[0])
      }
    } while (cursor !== 0)
    for (const key of stays) if (counts.get(key) !== 1) expect.fail(`${key} came ${counts.get(key) ?? 0} times`)
  })

  it('shrinks when it empties: the index gives its memory back and a scan finds the last keys soon', () => {
    const twin = new Twin(1, isOneOfMany)
    for (let i = 0; i < 50_000; i++) twin.insert(`k${i}`)
    const full = twin.table.indexBytes
    for (let i = 10; i < 50_000; i++) twin.remove(`k${i}`)
    expect(twin.table.indexBytes).toBeLessThan(full / 8)
    const seen: string[] = []
    expect(twin.table.scan(0, 100, (ref) => seen.push(twin.key(ref)))).toBe(0)
    expect(seen).toHaveLength(10)
  })

  it('samples every row sooner or later, and 0 when empty', () => {
    const random = new Random(5)
    const twin = new Twin(5, isOneOfMany)
    expect(twin.table.sample(random.uint32())).toBe(0)
    for (let i = 0; i < 40; i++) twin.insert(`k${i}`)
    const seen = new Set<number>()
    for (let i = 0; i < 20_000; i++) seen.add(twin.table.sample(random.uint32()))
    expect(seen.size).toBe(40)
  })

  it('forgets everything by clear', () => {
    const twin = new Twin(1, isOneOfMany)
    for (let i = 0; i < 1000; i++) twin.insert(`k${i}`)
    twin.table.clear()
    expect(twin.table.size).toBe(0)
    expect(twin.find('k1')).toBe(0)
    expect(twin.table.scan(0, 10, () => expect.fail('a row'))).toBe(0)
  })

  it('keys made to collide under the fast hash do not collide here', () => {
    const twin = new Twin(0x1234_5678_9abc, isOneOfMany)
    const hashes = new Set<number>()
    for (let n = 0; n < 4096; n++) {
      const key = Buffer.alloc(96)
      for (let pair = 0; pair < 12; pair++) {
        if ((n >>> pair) & 1) {
          key[pair * 8 + 3] = 0x80
          key.writeUInt32LE(0x80010000, pair * 8 + 4)
        }
      }
      hashes.add(twin.hash(key.toString('latin1')))
    }
    expect(hashes.size).toBeGreaterThan(4090)
  })
})
