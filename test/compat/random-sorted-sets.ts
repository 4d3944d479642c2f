// Random commands over sorted sets, and over sets as sources of their algebra.

import type { Random } from '../../src/base/random.ts'
import type { RandomArguments } from './random-collections.ts'

export const SORTED_SETS = ['z:1', 'z:2', 'z:3', 'z:4']
const SOURCES = [...SORTED_SETS, 's:1', 's:2']
const SCORES = ['0', '-0', '1', '-1', '2', '3', '1.5', '0.1', '0.2', '-2.75', 'inf', '-inf', '+inf', 'Infinity', '1e17', '1e-5', '0x1p3']
const ODD_SCORES = [
  ...['nan', '', ' 1', '1 ', 'x', '1e400', '1e-400', '(1', '4503599627370497', '9007199254740993', '1.00000762939453125', '.5', '5e-324'],
]
const COUNTS = ['0', '1', '2', '3', '10', '100000', '-1', '-2', '-7', 'x', '', '1.5', '9223372036854775807', '-9223372036854775808']
const NAMES = ['a', 'b', 'ab', '', '\0\r\n\xff', '__proto__', '1', '2', '-5', 'x'.repeat(64), 'y'.repeat(65)]

export class RandomSortedSets {
  readonly #random: Random
  readonly #any: RandomArguments

  constructor(random: Random, any: RandomArguments) {
    this.#random = random
    this.#any = any
  }

  valid(): string[] {
    const random = this.#random
    const key = (): string => (random.chance(0.93) ? random.pick(SORTED_SETS) : this.#any.key())
    const member = (): string => this.#member()
    switch (random.below(40)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return ['ZADD', key(), ...this.#options(), ...this.#many(() => [this.#score(), member()]).flat()]
      case 5:
        return random.chance(0.25)
          ? ['ZADD', key(), ...Array.from({ length: 140 }, (_, i) => [String(random.below(20)), `n${i}`]).flat()]
          : ['ZADD', key(), 'INCR', this.#score(), member()]
      case 6:
        // One score for all: then the order is that of the bytes, however many there are.
        return ['ZADD', 'z:lex', ...this.#many(() => ['0', member()]).flat()]
      case 7:
      case 8:
        return ['ZINCRBY', key(), this.#score(), member()]
      case 9:
      case 10:
        return ['ZREM', key(), ...(random.chance(0.1) ? Array.from({ length: 140 }, (_, i) => `n${i}`) : this.#many(member))]
      case 11:
        return [random.pick(['ZSCORE', 'ZRANK', 'ZREVRANK']), key(), member()]
      case 12:
        return ['ZMSCORE', key(), ...this.#many(member)]
      case 13:
        return ['ZCARD', key()]
      case 14:
        return ['ZCOUNT', key(), this.#bound(), this.#bound()]
      case 15:
        return ['ZLEXCOUNT', 'z:lex', this.#lexBound(), this.#lexBound()]
      case 16:
      case 17:
        return ['ZRANGE', key(), this.#index(), this.#index(), ...this.#rangeOptions()]
      case 18:
        return ['ZRANGE', key(), this.#bound(), this.#bound(), 'BYSCORE', ...this.#rangeOptions()]
      case 19:
        return ['ZRANGE', 'z:lex', this.#lexBound(), this.#lexBound(), 'BYLEX', ...this.#rangeOptions()]
      case 20:
        return ['ZREVRANGE', key(), this.#index(), this.#index(), ...random.pick([[], ['WITHSCORES']])]
      case 21:
      case 22:
        return [random.pick(['ZRANGEBYSCORE', 'ZREVRANGEBYSCORE']), key(), this.#bound(), this.#bound(), ...this.#rangeOptions()]
      case 23:
        return [random.pick(['ZRANGEBYLEX', 'ZREVRANGEBYLEX']), 'z:lex', this.#lexBound(), this.#lexBound(), ...this.#limit()]
      case 24:
        return ['ZRANGESTORE', key(), key(), this.#index(), this.#index(), ...random.pick([[], ['REV'], ['LIMIT', '0', '2']])]
      case 25:
        return ['ZRANGESTORE', key(), key(), this.#bound(), this.#bound(), 'BYSCORE', ...random.pick([[], ['REV']]), ...this.#limit()]
      case 26:
        return ['ZREMRANGEBYRANK', key(), this.#index(), this.#index()]
      case 27:
        return ['ZREMRANGEBYSCORE', key(), this.#bound(), this.#bound()]
      case 28:
        return ['ZREMRANGEBYLEX', 'z:lex', this.#lexBound(), this.#lexBound()]
      case 29:
        return [random.pick(['ZPOPMIN', 'ZPOPMAX']), key(), ...random.pick([[], [random.pick(COUNTS)]])]
      case 30:
        return ['ZMPOP', ...this.#counted(key), random.pick(['MIN', 'MAX', 'MIN', 'x']), ...this.#count()]
      case 31:
      case 32:
        return [random.pick(['ZUNION', 'ZINTER']), ...this.#sources(), ...this.#combined(), ...random.pick([[], ['WITHSCORES']])]
      case 33:
      case 34:
        return [random.pick(['ZUNIONSTORE', 'ZINTERSTORE']), key(), ...this.#sources(), ...this.#combined()]
      case 35:
        return random.chance(0.5)
          ? ['ZDIFF', ...this.#sources(), ...random.pick([[], ['WITHSCORES']])]
          : ['ZDIFFSTORE', key(), ...this.#sources()]
      case 36:
        return ['ZINTERCARD', ...this.#sources(), ...random.pick([[], ['LIMIT', random.pick(['0', '1', '2', '100', '-1', 'x'])]])]
      case 37:
        return ['ZRANDMEMBER', key(), ...random.pick([[], [random.pick(COUNTS)], [random.pick(COUNTS), 'WITHSCORES'], ['1', 'nope']])]
      case 38:
        return [
          'ZSCAN',
          key(),
          random.chance(0.85) ? '0' : random.pick(['x', '-1', '', '01', '7']),
          ...random.pick([[], ['COUNT', '3'], ['MATCH', this.#any.pattern()], ['COUNT', '0']]),
        ]
      default:
        return random.chance(0.7) ? ['OBJECT', 'ENCODING', key()] : [random.pick(['DEL', 'UNLINK', 'TYPE']), key()]
    }
  }

  #member(): string {
    const random = this.#random
    return random.chance(0.7) ? `m${random.below(12)}` : random.chance(0.5) ? String(random.between(-5, 5)) : random.pick(NAMES)
  }

  #score(): string {
    const random = this.#random
    if (random.chance(0.6)) return random.pick(SCORES)
    if (random.chance(0.7)) return String(random.between(-5000, 5000) / 8)
    return random.chance(0.3) ? random.pick(ODD_SCORES) : String(random.float() * 10 ** random.between(-20, 20))
  }

  #bound(): string {
    const random = this.#random
    return (random.chance(0.3) ? '(' : '') + (random.chance(0.05) ? random.pick(ODD_SCORES) : this.#score())
  }

  #lexBound(): string {
    const random = this.#random
    if (random.chance(0.3)) return random.pick(['-', '+'])
    return random.chance(0.95) ? random.pick(['[', '(']) + this.#member() : random.pick(['', 'm', '+x', '-1', '*'])
  }

  #options(): string[] {
    const random = this.#random
    if (random.chance(0.6)) return []
    return Array.from({ length: random.between(1, 2) }, () => random.pick(['NX', 'XX', 'GT', 'LT', 'CH', 'CH', 'INCR', 'ch']))
  }

  #rangeOptions(): string[] {
    const random = this.#random
    return [...(random.chance(0.3) ? ['REV'] : []), ...(random.chance(0.4) ? ['WITHSCORES'] : []), ...this.#limit()]
  }

  #limit(): string[] {
    return this.#random.chance(0.3) ? ['LIMIT', this.#random.pick(COUNTS), this.#random.pick(COUNTS)] : []
  }

  #index(): string {
    const random = this.#random
    return random.chance(0.9) ? String(random.between(-12, 12)) : random.pick(COUNTS)
  }

  #count(): string[] {
    return this.#random.pick([[], [], ['COUNT', '1'], ['COUNT', '3'], ['COUNT', '0'], ['COUNT'], ['COUNT', '1', 'COUNT', '2']])
  }

  #counted(key: () => string): string[] {
    const keys = this.#many(key)
    const count = this.#random.chance(0.9) ? String(keys.length) : this.#random.pick(['0', '-1', 'x', '9'])
    return [count, ...keys]
  }

  #sources(): string[] {
    return this.#counted(() => (this.#random.chance(0.95) ? this.#random.pick(SOURCES) : this.#any.key()))
  }

  /** WEIGHTS and AGGREGATE, mostly as many weights as there are sources. */
  #combined(): string[] {
    const random = this.#random
    const options: string[] = []
    if (random.chance(0.3)) options.push('WEIGHTS', ...this.#many(() => this.#score()))
    if (random.chance(0.3)) options.push('AGGREGATE', random.pick(['SUM', 'MIN', 'MAX', 'max', 'AVG']))
    return options
  }

  #many<T>(one: () => T): T[] {
    return Array.from({ length: this.#random.between(1, 4) }, one)
  }
}
