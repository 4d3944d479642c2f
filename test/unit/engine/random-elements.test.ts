// HRANDFIELD, SRANDMEMBER and SPOP answer elements that there are, different ones where they must be, and none more often than another.

import { describe, expect, it } from 'vitest'
import { EngineStage } from '../../model/engine-stage.ts'
import { START } from '../../scenario/script.ts'

const SIZES = [1, 5, 100, 700]
const KINDS = { numbers: (i: number) => String(i * 3), words: (i: number) => `word ${i}` }

class Asker {
  readonly #stage = new EngineStage()

  /** The words of a reply, in RESP2. */
  ask(...args: (string | number)[]): string[] {
    const reply = this.#stage.answer(args.map(String), START, 2, 0)
    if (reply.startsWith('-')) throw new Error(reply)
    return [...reply.matchAll(/\$\d+\r\n([^\r]*)\r\n/g)].map(([, word]) => word)
  }

  bytes(...args: (string | number)[]): string {
    return this.#stage.answer(args.map(String), START, 3, 0)
  }
}

describe.each(Object.entries(KINDS))('of %s', (_, name) => {
  describe.each(SIZES)('%i elements', (size) => {
    const names = Array.from({ length: size }, (__, i) => name(i))
    const filled = (): Asker => {
      const asker = new Asker()
      asker.ask('SADD', 's', ...names)
      asker.ask('HSET', 'h', ...names.flatMap((field) => [field, `value of ${field}`]))
      return asker
    }
    const counts = [...new Set([1, 2, size >> 2, size >> 1, size - 1, size, size + 1, 10 * size])].filter((n) => n > 0)

    it('are answered once each for a positive count', () => {
      const asker = filled()
      for (const count of counts) {
        for (const command of ['SRANDMEMBER s', 'HRANDFIELD h']) {
          const found = asker.ask(...command.split(' '), count)
          expect(found).toHaveLength(Math.min(count, size))
          expect(new Set(found).size).toBe(found.length)
          expect(found.every((element) => names.includes(element))).toBe(true)
        }
      }
    })

    it('are answered with repetition for a negative count', () => {
      const asker = filled()
      for (const count of counts) {
        for (const command of ['SRANDMEMBER s', 'HRANDFIELD h']) {
          const found = asker.ask(...command.split(' '), -count)
          expect(found).toHaveLength(count)
          expect(found.every((element) => names.includes(element))).toBe(true)
        }
      }
    })

    it('come with their values', () => {
      const asker = filled()
      for (const count of [...counts, ...counts.map((n) => -n)]) {
        const found = asker.ask('HRANDFIELD', 'h', count, 'WITHVALUES')
        for (let i = 0; i < found.length; i += 2) expect(found[i + 1]).toBe(`value of ${found[i]}`)
      }
      expect(asker.bytes('HRANDFIELD', 'h', 1, 'WITHVALUES')).toMatch(/^\*1\r\n\*2\r\n\$/)
    })

    it('go when they are popped, and no others', () => {
      for (const count of counts) {
        const asker = filled()
        const popped = asker.ask('SPOP', 's', count)
        expect(new Set(popped).size).toBe(Math.min(count, size))
        expect([...popped, ...asker.ask('SMEMBERS', 's')].toSorted()).toEqual(names.toSorted())
      }
      const asker = filled()
      const one = asker.ask('SPOP', 's')
      expect([...one, ...asker.ask('SMEMBERS', 's')].toSorted()).toEqual(names.toSorted())
    })

    it('come equally often', () => {
      const asker = filled()
      const commands = [
        ['SRANDMEMBER', 's', -10 * size],
        ['SRANDMEMBER', 's', Math.max(1, size >> 2)],
        ['HRANDFIELD', 'h', Math.max(1, size >> 1)],
      ]
      for (const command of commands) {
        const seen = new Map(names.map((element) => [element, 0]))
        let draws = 0
        while (draws < 100 * size) {
          for (const element of asker.ask(...command)) seen.set(element, seen.get(element)! + 1)
          draws += Math.min(Math.abs(Number(command[2])), 10 * size)
        }
        const expected = draws / size
        const chiSquare = [...seen.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
        // Six standard deviations; the engine's random numbers are the same in every run.
        expect(chiSquare).toBeLessThan(size + 6 * Math.sqrt(2 * size))
      }
    })
  })
})

describe('a count that is absurd', () => {
  it.each(['HRANDFIELD h -4611686018427387903', 'SRANDMEMBER s -9223372036854775807'])('makes no reply of that size: %s', (command) => {
    const asker = new Asker()
    asker.ask('SADD', 's', 'a')
    asker.ask('HSET', 'h', 'a', 'b')
    // The session that asks is closed: nothing of the reply is shown.
    expect(asker.bytes(...command.split(' '))).toBe('')
  })
})
