// Lists beside an array: packed, in a chain, and on the way from one to the other, through random changes; the digests say the same of
// the same contents, whatever the history, the form or the hash seed. The seed is in the name.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import type { List } from '../../../../src/keyspace/collections/list.ts'
import { Keyspace } from '../../../../src/keyspace/keyspace.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const KEY = Buffer.from('list')

class Shelf {
  readonly keyspace: Keyspace
  readonly #database

  constructor(seed: number) {
    this.keyspace = new Keyspace({ databases: 1, seed, now: 1_700_000_000_000 })
    this.#database = this.keyspace.databases[0]
  }

  open(): List | null {
    const hash = this.#database.hash(KEY, 0, KEY.length)
    const ref = this.#database.find(KEY, 0, KEY.length, hash)
    return ref === 0 ? null : this.keyspace.collections.list.open(this.#database, ref, hash)
  }

  change<T>(how: (list: List) => T): T {
    const { list } = this.keyspace.collections
    const lens = this.open()?.beginChange() ?? list.create(this.#database, this.#database.hash(KEY, 0, KEY.length), KEY, 0, KEY.length)
    const result = how(lens)
    lens.endChange()
    return result
  }

  push(isHead: boolean, elements: readonly string[]): void {
    this.change((list) => {
      for (const element of elements) {
        const bytes = Buffer.from(element, 'latin1')
        list.push(isHead, bytes, 0, bytes.length)
      }
    })
  }

  /** All elements, gone through in a direction. */
  contents(isForward = true): string[] {
    const list = this.open()
    if (list === null) return []
    const found: string[] = []
    list.seek(isForward ? 0 : list.count - 1)
    do found.push(shown(list))
    while (found.length <= list.count && (isForward ? list.next() : list.previous()))
    expect(found).toHaveLength(list.count)
    return isForward ? found : found.toReversed()
  }
}

function shown(list: List): string {
  return Buffer.from(list.elements.subarray(list.elementStart, list.elementEnd)).toString('latin1')
}

function sameAsBuiltAnew(shelf: Shelf, model: readonly string[], seed: number): void {
  const anew = new Shelf(seed)
  if (model.length > 0) anew.push(false, model)
  expect(shelf.keyspace.digest()).toBe(anew.keyspace.digest())
  expect(shelf.keyspace.sealDigest()).toBe(anew.keyspace.sealDigest())
}

function randomElement(random: Random, largest: number): string {
  const length = random.pick([0, 1, 2, 3, 10, 60, 253, 254, 255, 256, 300, largest])
  return length < 4 ? String(random.below(6)).repeat(length) : String.fromCharCode(random.below(256)).repeat(length)
}

function step(random: Random, shelf: Shelf, model: string[], largest: number): void {
  const one = (): string => (model.length > 0 && random.chance(0.5) ? random.pick(model) : randomElement(random, largest))
  const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
  const isHead = random.chance(0.5)
  const kind = random.below(10)
  if (model.length === 0 || kind < 3) {
    const elements = Array.from({ length: random.pick([1, 1, 2, 5, 40]) }, one)
    shelf.push(isHead, elements)
    if (isHead) model.unshift(...elements.toReversed())
    else model.push(...elements)
    return
  }
  const index = random.below(model.length)
  const element = one()
  const bytes = bytesOf(element)
  switch (kind) {
    case 3: {
      const n = random.chance(0.05) ? model.length : random.between(1, Math.min(model.length, 12))
      shelf.change((list) => (isHead ? list.removeFirst(n) : list.removeLast(n)))
      model.splice(isHead ? 0 : model.length - n, n)
      return
    }
    case 4:
      shelf.change((list) => {
        list.seek(index)
        expect(shown(list)).toBe(model[index])
        list.replaceHere(bytes, 0, bytes.length)
      })
      model[index] = element
      return
    case 5:
    case 6:
      shelf.change((list) => {
        list.seek(index)
        list.insertHere(isHead, bytes, 0, bytes.length)
      })
      model.splice(isHead ? index : index + 1, 0, element)
      return
    case 7: {
      const limit = random.pick([1, 2, 100, Infinity])
      let expected = 0
      for (let i = isHead ? model.length - 1 : 0; i >= 0 && i < model.length && expected < limit;) {
        if (model[i] === element) {
          model.splice(i, 1)
          expected++
          if (isHead) i--
        } else i += isHead ? -1 : 1
      }
      expect(shelf.change((list) => list.removeEqual(bytes, 0, bytes.length, limit, isHead))).toBe(expected)
      return
    }
    case 8: {
      const toHead = random.chance(0.5)
      shelf.change((list) => list.rotate(isHead, toHead))
      const moved = (isHead ? model.shift() : model.pop())!
      if (toHead) model.unshift(moved)
      else model.push(moved)
      return
    }
    default: {
      const list = shelf.open()!
      list.seek(index)
      const back = random.chance(0.5)
      for (let i = index; i >= 0 && i < model.length && Math.abs(i - index) < 30; i += back ? -1 : 1) {
        expect(shown(list)).toBe(model[i])
        if (!(back ? list.previous() : list.next())) expect(i).toBe(back ? 0 : model.length - 1)
      }
    }
  }
}

describe(`lists (SEED=${SEED})`, () => {
  for (const listSizeMax of [-2, -1, -5, 1, 3, 128]) {
    for (const largest of [400, 5000, 20_000]) {
      it(`are what an array is, with nodes of ${listSizeMax} and elements of up to ${largest} bytes`, () => {
        const random = new Random(SEED).fork(`${listSizeMax} ${largest}`)
        for (let story = 0; story < 2; story++) {
          const shelf = new Shelf(random.uint32())
          shelf.keyspace.collections.limits.listSizeMax = listSizeMax
          const model: string[] = []
          for (let i = 0; i < 300; i++) {
            step(random, shelf, model, largest)
            if (i % 20 !== 0) continue
            expect(shelf.contents()).toEqual(model)
            expect(shelf.contents(false)).toEqual(model)
            sameAsBuiltAnew(shelf, model, random.uint32())
          }
          if (model.length > 0) shelf.change((list) => list.removeFirst(model.length))
          expect(shelf.open()).toBeNull()
          expect(shelf.keyspace.databases[0].besideBytes).toBe(0)
        }
      })
    }
  }

  it('count their memory, and give it back', () => {
    const shelf = new Shelf(1)
    const database = shelf.keyspace.databases[0]
    shelf.push(
      false,
      Array.from({ length: 50_000 }, (_, i) => `element ${i}`),
    )
    const bytes = 50_000 * 15
    expect(database.besideBytes).toBeGreaterThan(bytes)
    expect(database.besideBytes).toBeLessThan(bytes * 1.2)
    shelf.change((list) => {
      list.removeLast(10_000)
      list.removeFirst(39_980)
    })
    expect(database.besideBytes).toBe(0)
    expect(shelf.contents()).toEqual(Array.from({ length: 20 }, (_, i) => `element ${39_980 + i}`))
  })

  it('do not keep emptied nodes: what remains of many removals is put together', () => {
    const shelf = new Shelf(1)
    shelf.push(
      false,
      Array.from({ length: 100_000 }, (_, i) => (i % 100 === 0 ? `kept ${i}` : 'gone')),
    )
    const bytes = Buffer.from('gone')
    expect(shelf.change((list) => list.removeEqual(bytes, 0, bytes.length, Infinity, false))).toBe(99_000)
    expect(shelf.keyspace.databases[0].besideBytes).toBeLessThan(40_000)
    expect(shelf.contents()).toEqual(Array.from({ length: 1000 }, (_, i) => `kept ${i * 100}`))
  })

  it('tell their order by the digest', () => {
    const [one, other] = [new Shelf(1), new Shelf(1)]
    one.push(false, ['a', 'b'])
    other.push(true, ['a', 'b'])
    expect(one.keyspace.digest()).not.toBe(other.keyspace.digest())
  })

  it('are copied whole', () => {
    const shelf = new Shelf(1)
    const elements = Array.from({ length: 3000 }, (_, i) => `element ${i}`)
    shelf.push(true, elements)
    const list = shelf.open()!
    const copy = list.large!.clone()
    expect(copy.dataBytes).toBe(list.large!.dataBytes)
    expect(copy.count).toBe(3000)
    shelf.change((lens) => lens.removeFirst(2999))
    let bytes = 0
    for (let node = copy.first; node !== null; node = node.after) bytes += node.end - node.start
    expect(bytes).toBe(copy.dataBytes)
  })
})
