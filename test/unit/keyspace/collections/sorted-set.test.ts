// A sorted set beside an array that is sorted anew after every change: packed, large, and on the way from one to the other. The seed is in
// the name.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import { Collections } from '../../../../src/keyspace/collections/collections.ts'
import { MemberTable } from '../../../../src/keyspace/collections/member-table.ts'
import type { LexEnd, SortedSet } from '../../../../src/keyspace/collections/sorted-set.ts'
import { SortedSetTree } from '../../../../src/keyspace/collections/sorted-set-tree.ts'
import { Keyspace } from '../../../../src/keyspace/keyspace.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const KEY = latin1('z')

type Element = readonly [member: string, score: number]

const inOrder = (a: Element, b: Element): number => (a[1] === b[1] ? Buffer.compare(latin1(a[0]), latin1(b[0])) : a[1] - b[1])

function shuffled<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const k = random.below(i + 1)
    const kept = items[i]
    items[i] = items[k]
    items[k] = kept
  }
  return items
}

class Shelf {
  readonly keyspace: Keyspace
  constructor(seed: number) {
    this.keyspace = new Keyspace({ databases: 1, seed, now: 1_700_000_000_000 })
  }

  /** The set, null if it has no elements. */
  get set(): SortedSet | null {
    const database = this.keyspace.databases[0]
    const hash = database.hash(KEY, 0, KEY.length)
    const ref = database.find(KEY, 0, KEY.length, hash)
    return ref === 0 ? null : this.keyspace.collections.sortedSet.open(database, ref, hash)
  }

  change<T>(how: (set: SortedSet) => T): T {
    const database = this.keyspace.databases[0]
    const hash = database.hash(KEY, 0, KEY.length)
    const set = this.set?.beginChange() ?? this.keyspace.collections.sortedSet.create(database, hash, KEY, 0, KEY.length)
    const result = how(set)
    set.endChange()
    return result
  }

  put(member: string, score: number): boolean {
    const bytes = latin1(member)
    return this.change((set) => set.set(bytes, 0, bytes.length, score))
  }

  remove(member: string): boolean {
    const bytes = latin1(member)
    return this.change((set) => set.remove(bytes, 0, bytes.length))
  }
}

const shown = (set: SortedSet): Element => [
  Buffer.from(set.elements.subarray(set.memberStart, set.memberEnd)).toString('latin1'),
  set.score,
]

function contents(set: SortedSet | null): Element[] {
  const found: Element[] = []
  if (set !== null) for (set.rewind(); set.next();) found.push(shown(set))
  return found
}

function slice(set: SortedSet, from: number, to: number, isReversed: boolean): Element[] {
  const found: Element[] = []
  set.visit({ from, to }, isReversed, () => found.push(shown(set)))
  return found
}

describe('a sorted set', () => {
  it.each([1, 2, 3, 4, 5, 6])('agrees with a sorted array through all its forms (seed %i)', (seed) => {
    const random = new Random(seed)
    const shelf = new Shelf(seed)
    const { keyspace } = shelf
    const map = new Map<string, number>()
    const empty = keyspace.usedBytes
    const score = (): number =>
      random.chance(0.3)
        ? random.below(5)
        : random.chance(0.05)
          ? random.pick([Infinity, -Infinity, -0, 0, 1e300])
          : random.float() * 100 - 50
    const isWide = seed % 2 === 0
    for (let step = 0; step < 6000; step++) {
      // Grows for a while, then shrinks to nothing, and again.
      const grows = Math.floor(step / 1500) % 2 === 0
      const member = random.chance(0.01) ? 'm'.repeat(random.between(0, 300)) : `m${random.below(isWide ? 900 : 110)}`
      if (random.chance(grows ? 0.8 : 0.1)) {
        const next = score()
        expect(shelf.put(member, next)).toBe(!map.has(member))
        map.set(member, next)
      } else if (map.size > 0 && random.chance(0.9)) {
        const gone = grows ? member : [...map.keys()][random.below(map.size)]
        expect(shelf.remove(gone)).toBe(map.delete(gone))
      } else if (map.size > 0) {
        const from = random.below(map.size)
        const to = Math.min(map.size, from + random.below(20))
        const gone = [...map].toSorted(inOrder).slice(from, to)
        shelf.change((set) => set.removeRange({ from, to }))
        for (const [name] of gone) map.delete(name)
      }
      if (step % 50 !== 0) continue
      const { set } = shelf
      const expected = [...map].toSorted(inOrder)
      expect(contents(set)).toEqual(expected)
      if (set === null) continue
      const from = random.below(expected.length)
      const to = random.between(from, expected.length)
      expect(slice(set, from, to, false)).toEqual(expected.slice(from, to))
      expect(slice(set, from, to, true)).toEqual(expected.slice(from, to).toReversed())
      const probe = random.pick(expected)
      const bytes = latin1(probe[0])
      expect(set.find(bytes, 0, bytes.length)).toBe(true)
      expect(set.rank()).toBe(expected.indexOf(probe))
      expect(shown(set)).toEqual(probe)
      for (const limit of [probe[1], score()]) {
        expect(set.countBelow(limit, false)).toBe(expected.filter(([, other]) => other < limit).length)
        expect(set.countBelow(limit, true)).toBe(expected.filter(([, other]) => other <= limit).length)
      }
    }
    const other = new Shelf(seed + 1000)
    for (const [member, at] of shuffled([...map], random)) other.put(member, at)
    expect(other.keyspace.digest()).toBe(keyspace.digest())
    expect(other.keyspace.sealDigest()).toBe(keyspace.sealDigest())
    const [one] = map
    if (one !== undefined) {
      other.put(one[0], one[1] + 1)
      expect(other.keyspace.digest()).not.toBe(keyspace.digest())
      expect(other.keyspace.sealDigest()).not.toBe(keyspace.sealDigest())
    }
    for (const member of map.keys()) shelf.remove(member)
    expect(shelf.set).toBeNull()
    expect(keyspace.usedBytes).toBe(empty)
  })

  it.each([1, 2, 3])('has the same members between two, packed and large (seed %i)', (seed) => {
    const random = new Random(seed)
    const [small, large] = [new Shelf(seed), new Shelf(seed)]
    small.keyspace.collections.limits.zsetEntriesMax = 1000
    large.keyspace.collections.limits.zsetEntriesMax = 0
    const names = Array.from({ length: 300 }, () => String.fromCharCode(97 + random.below(4), 97 + random.below(26), 97 + random.below(9)))
    for (const name of names) for (const shelf of [small, large]) shelf.put(name, 7)
    expect([small.set?.large === null, large.set?.large === null]).toEqual([true, false])
    const sorted = [...new Set(names)].toSorted()
    const end = (): LexEnd => {
      const bytes = latin1(random.chance(0.5) ? random.pick(names) : String.fromCharCode(97 + random.below(5)))
      return { bytes, start: 0, end: bytes.length, isExclusive: random.chance(0.5), infinite: random.pick([0, 0, 0, -1, 1] as const) }
    }
    for (let i = 0; i < 300; i++) {
      const [min, max] = [end(), end()]
      const expected = sorted.filter((name) => {
        const [low, high] = [Buffer.compare(latin1(name), min.bytes), Buffer.compare(latin1(name), max.bytes)]
        const isAbove = min.infinite === 0 ? low > 0 || (low === 0 && !min.isExclusive) : min.infinite === -1
        return isAbove && (max.infinite === 0 ? high < 0 || (high === 0 && !max.isExclusive) : max.infinite === 1)
      })
      for (const { set } of [small, large]) {
        for (const isReversed of [false, true]) {
          const { from, to } = set!.lexRange(min, max, isReversed)
          expect(slice(set!, from, to, false).map(([name]) => name)).toEqual(expected)
        }
      }
    }
  })

  it('is the same as its copy, and apart from it', () => {
    const shelf = new Shelf(1)
    for (let i = 0; i < 1000; i++) shelf.put(`m${i}`, i % 50)
    const large = shelf.set!.large!
    const copy = large.clone()
    const before = contents(shelf.set)
    for (let i = 0; i < 1000; i += 2) shelf.remove(`m${i}`)
    const elements: Element[] = []
    for (let rank = 0; rank < copy.tree.size; rank++) {
      const { leaf, index } = copy.tree.at(rank)
      copy.members.open(leaf.rows[index])
      elements.push([openMember(copy.members), leaf.scores[index]])
    }
    expect(elements).toEqual(before)
  })
})

const openMember = ({ bytes, start, end }: MemberTable): string => Buffer.from(bytes.subarray(start, end)).toString('latin1')

describe('its tree', () => {
  it.each([1, 2])('keeps order, ranks and chain over tens of thousands of elements (seed %i)', (seed) => {
    const random = new Random(seed)
    const table = new MemberTable(new Collections(seed))
    const tree = new SortedSetTree(table)
    const rows = new Map<number, number>()
    const nothing = new Uint8Array(8)
    const check = (): void => {
      expect(tree.size).toBe(rows.size)
      if (rows.size === 0) return
      let { leaf, index } = tree.at(0)
      for (let rank = 0; rank < rows.size; rank++, index++) {
        if (index === leaf.size) {
          if (leaf.next?.previous !== leaf) throw new Error('the chain is broken')
          leaf = leaf.next
          index = 0
        }
        const row = leaf.rows[index]
        if (rows.get(row) !== leaf.scores[index]) throw new Error("a score is not the row's")
        if (rank % 997 === 0) {
          expect(tree.rank(leaf.scores[index], row)).toBe(rank)
          expect(tree.at(rank)).toEqual({ leaf, index })
        }
      }
      expect([leaf.next, index]).toEqual([null, leaf.size])
    }
    for (let i = 0; i < 30_000; i++) {
      const name = latin1(String(i))
      const row = table.add(name, 0, name.length, nothing, 0, 8)
      const score = seed === 1 ? i : random.below(1000)
      rows.set(row, score)
      tree.insert(score, row)
    }
    check()
    // Scores that ascend fill their leaves.
    if (seed === 1) expect(tree.bytes).toBeLessThan(30_000 * 18)
    for (const row of shuffled([...rows.keys()], random).slice(0, 10_000)) {
      const next = random.chance(0.5) ? rows.get(row)! + 0.5 : random.below(30_000)
      tree.move(rows.get(row)!, row, next)
      rows.set(row, next)
    }
    check()
    const gone = shuffled([...rows.keys()], random)
    for (const [i, row] of gone.entries()) {
      tree.remove(rows.get(row)!, row)
      rows.delete(row)
      table.open(row)
      table.removeOpen(row)
      if (i % 9000 === 0) check()
    }
    check()
    expect(tree.bytes).toBe(new SortedSetTree(table).bytes)
  })
})
