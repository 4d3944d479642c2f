// Random commands over hashes and sets. Most go to a few keys of their own, so that the collections grow through all their forms.

import type { Random } from '../../src/base/random.ts'

/** Arguments as all commands take them. */
export interface RandomArguments {
  /** Any key, mostly of another type. */
  readonly key: () => string
  readonly value: () => string
  readonly integer: () => string
  readonly float: () => string
  readonly pattern: () => string
}

const HASHES = ['h:1', 'h:2', 'h:3']
const SETS = ['s:1', 's:2', 's:3', 's:4']
export const COLLECTION_KEYS = [...HASHES, ...SETS, 'l:1', 'l:2', 'l:3']

const NAMES = [
  'f',
  'g',
  'field',
  '',
  '\0\r\n\xff',
  '__proto__',
  'constructor',
  '1',
  '2',
  '-5',
  '01',
  '12345678901',
  'x'.repeat(64),
  'y'.repeat(65),
]
const COUNTS = ['0', '1', '2', '3', '10', '100000', '-1', '-2', '-7', 'x', '', '1.5', '9223372036854775807', '-9223372036854775808']

export class RandomCollections {
  readonly #random: Random
  readonly #any: RandomArguments

  constructor(random: Random, any: RandomArguments) {
    this.#random = random
    this.#any = any
  }

  valid(): string[] {
    return this.#random.chance(0.5) ? this.#hash() : this.#set()
  }

  #hash(): string[] {
    const random = this.#random
    const key = (): string => (random.chance(0.9) ? random.pick(HASHES) : this.#any.key())
    const field = (): string => this.#name()
    switch (random.below(22)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return ['HSET', key(), ...this.#many(() => [field(), this.#short()]).flat()]
      case 4:
        return random.chance(0.15)
          ? ['HSET', key(), ...this.#numbered(600).flatMap((name) => [name, 'v'])]
          : ['HSET', key(), field(), this.#any.value()]
      case 5:
        return ['HMSET', key(), ...this.#many(() => [field(), this.#short()]).flat()]
      case 6:
        return ['HSETNX', key(), field(), this.#short()]
      case 7:
        return ['HGET', key(), field()]
      case 8:
        return ['HMGET', key(), ...this.#many(field)]
      case 9:
      case 10:
        return ['HDEL', key(), ...(random.chance(0.1) ? this.#numbered(600) : this.#many(field))]
      case 11:
        return ['HLEN', key()]
      case 12:
        return [random.pick(['HSTRLEN', 'HEXISTS']), key(), field()]
      case 13:
      case 14:
        return [random.pick(['HGETALL', 'HKEYS', 'HVALS']), key()]
      case 15:
      case 16:
        return ['HINCRBY', key(), random.pick(['1', '2', field()]), this.#any.integer()]
      case 17:
        return ['HINCRBYFLOAT', key(), random.pick(['1', '2', field()]), this.#any.float()]
      case 18:
        return ['HRANDFIELD', key(), ...random.pick([[], [random.pick(COUNTS)], [random.pick(COUNTS), 'WITHVALUES'], ['1', 'nope']])]
      case 19:
        return ['HSCAN', key(), this.#cursor(), ...this.#scanOptions()]
      case 20:
        return ['OBJECT', 'ENCODING', key()]
      default:
        return [random.pick(['DEL', 'UNLINK', 'TYPE']), key()]
    }
  }

  #set(): string[] {
    const random = this.#random
    const key = (): string => (random.chance(0.9) ? random.pick(SETS) : this.#any.key())
    const member = (): string =>
      random.chance(0.6) ? String(random.between(-20, 20)) : random.chance(0.5) ? this.#any.integer() : this.#name()
    switch (random.below(24)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return ['SADD', key(), ...this.#many(member)]
      case 4:
        return [
          'SADD',
          key(),
          ...(random.chance(0.2) ? this.#numbered(600, random.pick(['', 'm'])) : this.#many(() => String(random.uint32()))),
        ]
      case 5:
      case 6:
        return ['SREM', key(), ...(random.chance(0.1) ? this.#numbered(600, random.pick(['', 'm'])) : this.#many(member))]
      case 7:
        return ['SISMEMBER', key(), member()]
      case 8:
        return ['SMISMEMBER', key(), ...this.#many(member)]
      case 9:
        return ['SCARD', key()]
      case 10:
      case 11:
        return ['SMEMBERS', key()]
      case 12:
        return ['SMOVE', key(), key(), member()]
      case 13:
        return ['SPOP', key(), random.pick(['0', '100000', '-1', 'x', '9223372036854775807', '9223372036854775808'])]
      case 14:
        return ['SRANDMEMBER', key(), ...random.pick([[], [random.pick(COUNTS)], ['1', '2']])]
      case 15:
        return ['SSCAN', key(), this.#cursor(), ...this.#scanOptions()]
      case 16:
      case 17:
        return [random.pick(['SINTER', 'SUNION', 'SDIFF']), ...this.#many(key)]
      case 18:
      case 19:
        return [random.pick(['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE']), key(), ...this.#many(key)]
      case 20: {
        const keys = this.#many(key)
        const count = random.chance(0.85) ? String(keys.length) : random.pick(['0', '-1', 'x', '9', '9223372036854775807'])
        return [
          'SINTERCARD',
          count,
          ...keys,
          ...random.pick([[], [], ['LIMIT', random.pick(['0', '1', '2', '100', '-1', 'x'])], ['LIMIT'], ['nope', '1']]),
        ]
      }
      case 21:
      case 22:
        return ['OBJECT', 'ENCODING', key()]
      default:
        return [random.pick(['DEL', 'UNLINK', 'TYPE']), key()]
    }
  }

  #name(): string {
    const random = this.#random
    return random.chance(0.6) ? `f${random.below(12)}` : random.pick(NAMES)
  }

  /** Mostly nothing that ends the compact form. */
  #short(): string {
    const random = this.#random
    return random.chance(0.7) ? String(random.below(1000)) : random.chance(0.8) ? random.pick(NAMES) : this.#any.value()
  }

  #numbered(n: number, prefix = 'n'): string[] {
    return Array.from({ length: n }, (_, i) => prefix + String(i))
  }

  #many<T>(one: () => T): T[] {
    return Array.from({ length: this.#random.between(1, 5) }, one)
  }

  #cursor(): string {
    return this.#random.chance(0.85) ? '0' : this.#random.pick(['x', '-1', '', '01', '18446744073709551616', '7'])
  }

  #scanOptions(): string[] {
    const random = this.#random
    const options: string[] = []
    if (random.chance(0.3)) options.push('MATCH', this.#any.pattern())
    if (random.chance(0.3)) options.push('COUNT', random.pick(['1', '3', '1000', '0', '-1', 'x']))
    if (random.chance(0.05)) options.push('TYPE', 'hash')
    return options
  }
}
