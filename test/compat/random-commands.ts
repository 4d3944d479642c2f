// Random commands over keys of all types, from a seed: valid ones, edge cases and nonsense. random-collections.ts has those of hashes, sets ...
//
// Arguments are latin1 text, one character per byte. Times are chosen so that two servers that run the same commands a moment apart
// cannot disagree: every duration is minutes long and at least ten seconds from every other, absolute times count from the start of the
// run, and what is in the past is far in the past.

import type { Random } from '../../src/base/random.ts'
import { COLLECTION_KEYS, RandomCollections } from './random-collections.ts'
import { RandomLists } from './random-lists.ts'
import { RandomSortedSets, SORTED_SETS } from './random-sorted-sets.ts'

export type Command = readonly string[]

const KEYS = ['a', 'b', 'c', 'd', 'n', 'n', 'user:1', 'user:22', 'h[e]llo', '{tag}x', '', '\0\r\n\xff', `long:${'k'.repeat(300)}`]
const TEXTS = [
  '',
  'x',
  'hello',
  'Hello World',
  '\0\r\n\xff\x80',
  'a'.repeat(44),
  'a'.repeat(45),
  'b'.repeat(100),
  'z'.repeat(1000),
  'é',
  '*1\r\n$4\r\nPING\r\n',
]
const INTEGERS = [
  ...['0', '1', '-1', '2', '5', '10', '-10', '99', '100', '12345', '2147483647', '2147483648', '-2147483648', '4294967296'],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740991', '-9007199254740992', '-9007199254740993'],
  ...['9223372036854775807', '9223372036854775806', '-9223372036854775808', '-9223372036854775807', '4611686018427387904'],
]
const NOT_INTEGERS = [
  ...[
    '9223372036854775808',
    '-9223372036854775809',
    '18446744073709551616',
    '1e3',
    '+1',
    '01',
    '-0',
    '00',
    ' 1',
    '1 ',
    '1.0',
    '1.5',
    '0x10',
    '',
    '-',
    '+',
    'abc',
    '1\0',
    'NaN',
    'inf',
  ],
  ...['-01', '--1', '1'.repeat(30), '１'],
]
const FLOATS = [
  ...[
    '0',
    '-0',
    '0.0',
    '1',
    '-1',
    '1.5',
    '-1.5',
    '0.1',
    '0.2',
    '0.3',
    '3.14159265358979',
    '1e3',
    '1E3',
    '1e-5',
    '1e17',
    '123456789012345678',
    '5e-324',
    '1e-4940',
    '1e4931',
    '-1e4932',
  ],
  ...[
    '0.00000000000000001',
    '1.7976931348623157e308',
    '9007199254740993',
    '9223372036854775807',
    '18446744073709551617',
    '.5',
    '5.',
    '+1.5',
    '1e0',
    '1.00',
    '100.000',
    '2.50',
    '0x1p3',
    '0x.8',
    '0xA',
  ],
]
const NOT_FLOATS = [
  '',
  'abc',
  '1.5x',
  ' 1',
  '1 ',
  '1e',
  'nan',
  'inf',
  '-inf',
  'infinity',
  '1e5000',
  '1e-5000',
  '1,5',
  '--1',
  '1\0',
  '0x',
  '1e+',
  'e5',
  '.',
  '-',
  '1.5.5',
  '1'.repeat(400),
]
/** Stands where it does not belong. No small positive number: it could become a time to live of a few milliseconds. */
const JUNK = [
  '',
  'x',
  'NX',
  'XX',
  'GET',
  'EX',
  'PX',
  'EXAT',
  'PXAT',
  'KEEPTTL',
  'PERSIST',
  'GT',
  'LT',
  'REPLACE',
  'DB',
  'MATCH',
  'COUNT',
  'TYPE',
  'ITEMS',
  '-1',
  '0',
  '100000',
  '1.5',
  '9223372036854775807',
  '9223372036854775808',
  '\0',
  '__proto__',
  'constructor',
  '\r\n',
  '*',
  'a',
]
const PATTERNS = [
  '*',
  '?',
  'a',
  '[ab]',
  '[^a]',
  '[a-c]',
  'user:*',
  'user:?',
  'h\\[e\\]llo',
  'h[[]e]llo',
  '*1*',
  '',
  '**',
  '*\\',
  '[',
  '[a',
  '[a-',
  '[z-a]',
  '\\a',
  'long:*',
  '*\xff',
  '??*',
  '[!a]',
  '{tag}*',
  '\0*',
  'user:[0-9]*',
  '[\\a]',
  '[^',
  'USER:*',
  '*k*k*k',
  'nomatch',
]

/** All times of a run count from here: seconds, far enough ahead of any clock. */
const FUTURE_S = 4_000_000_000

export class RandomCommands {
  readonly #random: Random
  readonly #collections: RandomCollections
  readonly #lists: RandomLists
  readonly #sortedSets: RandomSortedSets
  /** Durations and instants given out so far: each is 10 s more than the last. */
  #times = 0

  constructor(random: Random) {
    this.#random = random
    const any = {
      key: () => random.pick(KEYS),
      value: () => this.#value(),
      integer: () => this.#integer(),
      float: () => this.#float(),
      pattern: () => random.pick(PATTERNS),
    }
    this.#collections = new RandomCollections(random, any)
    this.#sortedSets = new RandomSortedSets(random, any)
    this.#lists = new RandomLists(random, any)
  }

  next(): Command {
    const random = this.#random
    const args = this.#valid()
    if (random.chance(0.06)) args.splice(random.between(1, args.length), 1)
    if (random.chance(0.04)) args.push(random.pick(JUNK))
    if (random.chance(0.04)) args[random.between(1, Math.max(1, args.length - 1))] = random.pick(JUNK)
    // A value that slipped into the offset's place must not make a string of hundreds of megabytes.
    if (args[0] === 'SETRANGE' && Number(args[2]) > 100_000 && Number(args[2]) < 2 ** 29) args[2] = '100000'
    // An instant in the past that slipped in: as in #setOptions.
    if (args[0] === 'SET') args.forEach((arg, i) => /^(EX|PX)AT$/i.test(args[i - 1]) && Number(arg) <= FUTURE_S && (args[i] = 'abc'))
    // Which member goes is chance: the two servers would not be the same afterwards.
    if (args[0] === 'SPOP' && args.length < 3) args[0] = 'SCARD'
    if (random.chance(0.5)) args[0] = this.#anyCase(args[0])
    return args
  }

  #valid(): string[] {
    const random = this.#random
    if (random.chance(0.2)) return this.#lists.valid()
    if (random.chance(0.2)) return this.#sortedSets.valid()
    if (random.chance(0.5)) return this.#collections.valid()
    const key = (): string => (random.chance(0.15) ? random.pick([...COLLECTION_KEYS, ...SORTED_SETS]) : random.pick(KEYS))
    switch (random.below(62)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return ['SET', key(), this.#value(), ...this.#setOptions()]
      case 5:
      case 6:
        return ['SET', key(), this.#value()]
      case 7:
        return ['SETNX', key(), this.#value()]
      case 8:
        return ['SETEX', key(), this.#seconds(), this.#value()]
      case 9:
        return ['PSETEX', key(), this.#milliseconds(), this.#value()]
      case 10:
        return ['GETSET', key(), this.#value()]
      case 11:
        return ['GETDEL', key()]
      case 12:
      case 13:
        return ['GETEX', key(), ...this.#expiryOption(['PERSIST'])]
      case 14:
      case 15:
      case 16:
        return ['GET', key()]
      case 17:
        return ['MGET', ...this.#many(key)]
      case 18:
        return ['MSET', ...this.#many(() => [key(), this.#value()]).flat()]
      case 19:
        return ['MSETNX', ...this.#many(() => [key(), this.#value()]).flat()]
      case 20:
      case 21:
        return ['APPEND', key(), this.#value()]
      case 22:
        return ['STRLEN', key()]
      case 23:
      case 24:
        return ['GETRANGE', key(), this.#index(), this.#index()]
      case 25:
      case 26:
        return ['SETRANGE', key(), this.#offset(), this.#value()]
      case 27:
        return [random.pick(['INCR', 'DECR']), key()]
      case 28:
        return [random.pick(['INCR', 'DECR']), 'n']
      case 29:
      case 30:
      case 31:
        return [random.pick(['INCRBY', 'DECRBY']), random.chance(0.7) ? 'n' : key(), this.#integer()]
      case 32:
      case 33:
        return ['INCRBYFLOAT', random.chance(0.7) ? 'n' : key(), this.#float()]
      case 34:
      case 35:
        return [random.pick(['DEL', 'UNLINK']), ...this.#many(key)]
      case 36:
        return [random.pick(['EXISTS', 'TOUCH']), ...this.#many(key)]
      case 37:
        return ['TYPE', key()]
      case 38:
      case 39:
      case 40:
        return [random.pick(['EXPIRE', 'expire']), key(), this.#seconds(), ...this.#conditions()]
      case 41:
        return ['PEXPIRE', key(), this.#milliseconds(), ...this.#conditions()]
      case 42:
        return ['EXPIREAT', key(), this.#instant(1), ...this.#conditions()]
      case 43:
        return ['PEXPIREAT', key(), this.#instant(1000), ...this.#conditions()]
      case 44:
      case 45:
        return [random.pick(['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']), key()]
      case 46:
        return ['PERSIST', key()]
      case 47:
        return [random.pick(['RENAME', 'RENAMENX']), key(), key()]
      case 48:
      case 49:
        return [
          'COPY',
          key(),
          key(),
          ...this.#shuffled([random.chance(0.4) ? ['DB', this.#database()] : [], random.chance(0.4) ? ['REPLACE'] : []]).flat(),
        ]
      case 50:
        return ['MOVE', key(), this.#database()]
      case 51:
        return random.chance(0.3) ? ['SWAPDB', this.#database(), this.#database()] : ['DBSIZE']
      case 52:
        return ['KEYS', random.pick(PATTERNS)]
      case 53:
        return [
          'SCAN',
          random.chance(0.9) ? '0' : random.pick(['x', '-1', '', '01', '18446744073709551616', '1.5']),
          ...this.#scanOptions(),
        ]
      case 54:
        return ['RANDOMKEY']
      case 55:
      case 56:
        return ['SELECT', this.#database()]
      case 57:
        if (random.chance(0.85)) return ['GET', key()]
        return [random.pick(['FLUSHDB', 'FLUSHALL']), ...random.pick([[], ['ASYNC'], ['SYNC'], ['async'], ['NOW'], ['SYNC', 'SYNC']])]
      case 58:
        return random.pick([['PING'], ['PING', this.#value()], ['ECHO', this.#value()]])
      case 59:
        return [
          random.pick(['NOSUCH', 'get ', '', 'GE', 'GETT', '\0', 'x'.repeat(150), '__proto__', 'a\r\nb', 'é']),
          ...this.#many(() => random.pick([...TEXTS, ...JUNK])),
        ]
      case 60:
        return ['OBJECT', 'ENCODING', key()]
      default:
        return ['STRLEN', key()]
    }
  }

  #anyCase(word: string): string {
    const random = this.#random
    return [...word].map((c) => (random.chance(0.5) ? c.toLowerCase() : c.toUpperCase())).join('')
  }

  #value(): string {
    const random = this.#random
    switch (random.below(10)) {
      case 0:
      case 1:
      case 2:
        return random.pick(INTEGERS)
      case 3:
        return random.pick(NOT_INTEGERS)
      case 4:
        return random.pick(FLOATS)
      case 5:
        return String.fromCharCode(...Array.from({ length: random.below(60) }, () => random.below(256)))
      case 6:
        return String(random.uint32() - 2 ** 31)
      case 7:
        return random.chance(0.1) ? random.pick(['y', '7', '\0']).repeat(random.between(1000, 20_000)) : 'short'
      default:
        return random.pick(TEXTS)
    }
  }

  #integer(): string {
    const random = this.#random
    if (random.chance(0.1)) return random.pick(NOT_INTEGERS)
    return random.chance(0.5) ? String(random.between(-1000, 1000)) : random.pick(INTEGERS)
  }

  #float(): string {
    const random = this.#random
    const kind = random.below(8)
    if (kind === 0) return random.pick(NOT_FLOATS)
    if (kind < 4) return random.pick(FLOATS)
    const digits = (): string => String(random.below(10 ** random.between(1, 9)))
    if (kind < 7)
      return `${random.chance(0.4) ? '-' : ''}${digits()}${random.chance(0.8) ? `.${'0'.repeat(random.below(4))}${digits()}` : ''}`
    return `${digits()}.${digits()}e${random.between(-30, 30)}`
  }

  #index(): string {
    const random = this.#random
    if (random.chance(0.7)) return String(random.between(-12, 12))
    return random.chance(0.8) ? random.pick(INTEGERS) : random.pick(NOT_INTEGERS)
  }

  /** No offset that would make a string of megabytes. */
  #offset(): string {
    const random = this.#random
    if (random.chance(0.8)) return String(random.below(random.chance(0.9) ? 20 : 2000))
    return random.pick(['-1', '536870912', '4294967296', '9223372036854775807', '-9223372036854775808', ...NOT_INTEGERS])
  }

  #database(): string {
    const random = this.#random
    if (random.chance(0.9)) return String(random.below(4))
    return random.pick(['15', '16', '-1', '2147483648', '9223372036854775807', ...NOT_INTEGERS])
  }

  #many<T>(one: () => T): T[] {
    return Array.from({ length: this.#random.between(1, 4) }, one)
  }

  #shuffled<T>(items: T[]): T[] {
    return this.#random.chance(0.5) ? items : items.reverse()
  }

  #time(): number {
    return ++this.#times * 10
  }

  /** Not what an expiry command takes: wrong, or beyond what 64 bits hold after the sums with it, or just inside. */
  #oddTime(): string {
    return this.#random.pick([
      ...[
        '0',
        '-1',
        '-100000',
        '9223372036854775807',
        '9223372036854775808',
        '-9223372036854775808',
        '9223372036854775',
        '9223372036854776',
        '9223370000000000',
        '-9223372036854775',
        '-9223372036854776',
      ],
      ...['9223372036854775806', '92233720368547758070', '4611686018427387904', 'abc', '', '1.5', '+100000', ' 100000', '1e9', '0100000'],
    ])
  }

  #seconds(): string {
    return this.#random.chance(0.15) ? this.#oddTime() : String(1000 + this.#time())
  }

  #milliseconds(): string {
    return this.#random.chance(0.15) ? this.#oddTime() : String((1000 + this.#time()) * 1000 + this.#random.below(1000))
  }

  /** A unix time in 1 / `scale` seconds. */
  #instant(scale: number): string {
    if (this.#random.chance(0.15)) return this.#oddTime()
    return this.#random.chance(0.1) ? String(1_000_000 * scale) : String((FUTURE_S + this.#time()) * scale)
  }

  #expiryOption(others: string[]): string[] {
    const random = this.#random
    const option = random.pick(['EX', 'PX', 'EXAT', 'PXAT', 'NONE', ...others])
    switch (option) {
      case 'EX':
        return [this.#anyCase(option), this.#seconds()]
      case 'PX':
        return [this.#anyCase(option), this.#milliseconds()]
      case 'EXAT':
        return [this.#anyCase(option), this.#instant(1)]
      case 'PXAT':
        return [this.#anyCase(option), this.#instant(1000)]
      case 'NONE':
        return []
      default:
        return [this.#anyCase(option)]
    }
  }

  /** SET with an instant in the past leaves a key that is due: whether DBSIZE counts it is a matter of moments. */
  #setOptions(): string[] {
    const random = this.#random
    let expiry = this.#expiryOption(['KEEPTTL'])
    while (/^..AT$/i.test(expiry[0] ?? '') && /^[0-9]{1,14}$/.test(expiry[1]) && Number(expiry[1]) <= FUTURE_S)
      expiry = this.#expiryOption(['KEEPTTL'])
    const options = [
      expiry,
      random.chance(0.4) ? [this.#anyCase(random.pick(['NX', 'XX']))] : [],
      random.chance(0.3) ? [this.#anyCase('GET')] : [],
    ]
    if (random.chance(0.05)) options.push([random.pick(['NX', 'XX', 'GET', 'KEEPTTL', 'PERSIST', 'EX', 'nope'])])
    if (random.chance(0.05)) options.push(['EX', '5000'])
    return this.#shuffled(options).flat()
  }

  #conditions(): string[] {
    const random = this.#random
    if (random.chance(0.4)) return []
    const first = random.pick(['NX', 'XX', 'GT', 'LT'])
    if (random.chance(0.85)) return [this.#anyCase(first)]
    return [first, random.pick(['NX', 'XX', 'GT', 'LT', 'nope'])]
  }

  #scanOptions(): string[] {
    const random = this.#random
    const options: string[][] = []
    if (random.chance(0.5)) options.push(['MATCH', random.pick(PATTERNS)])
    if (random.chance(0.5)) options.push(['COUNT', random.pick(['1', '3', '10', '1000', '0', '-1', 'x', '1.5', '9223372036854775807'])])
    if (random.chance(0.3)) options.push(['TYPE', random.pick(['string', 'STRING', 'list', 'hash', 'set', 'nosuch', ''])])
    return this.#shuffled(options)
      .flat()
      .map((word) => (/^[A-Z]+$/.test(word) ? this.#anyCase(word) : word))
  }
}
