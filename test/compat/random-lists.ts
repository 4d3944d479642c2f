// Random commands over lists. Most go to a few keys of their own, so that the lists grow through all their forms.

import type { Random } from '../../src/base/random.ts'
import type { RandomArguments } from './random-collections.ts'

const LISTS = ['l:1', 'l:2', 'l:3']
const ELEMENTS = ['a', 'b', 'c', '', '1', '-7', '\0\r\n\xff', 'x'.repeat(253), 'y'.repeat(254), 'z'.repeat(300)]
const INDEXES = ['0', '1', '2', '-1', '-2', '-3', '5', '-5', '100', '-100', '700', '9223372036854775807', '-9223372036854775808', 'x', '']
const COUNTS = ['0', '1', '2', '3', '10', '100000', '-1', '-2', 'x', '', '1.5', '9223372036854775807', '-9223372036854775808']
const ENDS = ['LEFT', 'RIGHT', 'left', 'Right']

export class RandomLists {
  readonly #random: Random
  readonly #any: RandomArguments

  constructor(random: Random, any: RandomArguments) {
    this.#random = random
    this.#any = any
  }

  valid(): string[] {
    const random = this.#random
    const key = (): string => (random.chance(0.92) ? random.pick(LISTS) : this.#any.key())
    const element = (): string => this.#element()
    const index = (): string => random.pick(INDEXES)
    const end = (): string => (random.chance(0.97) ? random.pick(ENDS) : 'MIDDLE')
    switch (random.below(30)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return [random.pick(['LPUSH', 'RPUSH']), key(), ...this.#many(element)]
      case 5:
        return [random.pick(['LPUSH', 'RPUSH']), key(), ...this.#numbered(random.chance(0.2) ? 2000 : 100)]
      case 6:
        return [random.pick(['LPUSHX', 'RPUSHX']), key(), ...this.#many(element)]
      case 7:
      case 8:
        return [random.pick(['LPOP', 'RPOP']), key(), ...(random.chance(0.5) ? [] : [random.pick(COUNTS)])]
      case 9:
        return ['LLEN', key()]
      case 10:
      case 11:
      case 12:
        return ['LRANGE', key(), index(), index()]
      case 13:
      case 14:
        return ['LINDEX', key(), index()]
      case 15:
      case 16:
        return ['LSET', key(), index(), random.chance(0.8) ? element() : this.#any.value()]
      case 17:
      case 18:
        return ['LINSERT', key(), random.pick(['BEFORE', 'AFTER', 'before', 'nowhere']), element(), element()]
      case 19:
      case 20:
        return ['LREM', key(), random.pick(COUNTS), element()]
      case 21:
        return ['LTRIM', key(), index(), index()]
      case 22:
      case 23:
        return ['LPOS', key(), element(), ...this.#positions()]
      case 24:
      case 25:
        return ['LMOVE', key(), key(), end(), end()]
      case 26:
        return ['RPOPLPUSH', key(), key()]
      case 27: {
        const keys = this.#many(key)
        const numkeys = random.chance(0.85) ? String(keys.length) : random.pick(['0', '-1', 'x', '9', '9223372036854775807'])
        return [
          'LMPOP',
          numkeys,
          ...keys,
          end(),
          ...random.pick([[], [], ['COUNT', random.pick(COUNTS)], ['COUNT'], ['COUNT', '1', 'COUNT', '2'], ['nope', '1']]),
        ]
      }
      case 28:
        return ['OBJECT', 'ENCODING', key()]
      default:
        return [random.pick(['DEL', 'TYPE', 'EXISTS']), key()]
    }
  }

  #element(): string {
    const random = this.#random
    return random.chance(0.6) ? `e${random.below(8)}` : random.chance(0.9) ? random.pick(ELEMENTS) : this.#any.value()
  }

  #positions(): string[] {
    const random = this.#random
    const options: string[] = []
    if (random.chance(0.4)) options.push('RANK', random.pick(COUNTS))
    if (random.chance(0.4)) options.push('COUNT', random.pick(COUNTS))
    if (random.chance(0.3)) options.push('MAXLEN', random.pick(COUNTS))
    if (random.chance(0.03)) options.push('nope')
    return options
  }

  #numbered(n: number): string[] {
    return Array.from({ length: n }, (_, i) => `n${i}`)
  }

  #many<T>(one: () => T): T[] {
    return Array.from({ length: this.#random.between(1, 5) }, one)
  }
}
