// Requests made from the specs: for every command what its `syntax` says, with values that fit, and then, as often as not, with something
// wrong: a word missing or twice or in another place, numbers of every kind, bytes of every kind, a megabyte where a name should be.
//
// Nothing here knows a command by name but `pools`, which gives arguments the names of keys that exist.

import type { Random } from '../../src/base/random.ts'
import type { CommandSpec } from '../../src/engine/command.ts'
import { parseSyntax } from '../../src/server/commands/syntax.ts'
import type { Argument } from '../../src/server/commands/syntax.ts'

/** Names of keys, by the group of the commands that like them; also in the server's seed data. */
export const KEYS: Readonly<Record<string, readonly string[]>> = {
  'string': ['s:text', 's:number', 's:new'],
  'hash': ['h:small', 'h:large', 'h:new'],
  'list': ['l:small', 'l:large', 'l:new'],
  'set': ['i:set', 'm:small', 'm:large', 'm:new'],
  'sorted-set': ['z:small', 'z:large', 'z:new'],
  'stock': ['sku:a', 'sku:b', 'sku:new'],
}
const ALL_KEYS = Object.values(KEYS).flat()
export const NAMES = [
  'a',
  'b',
  'f1',
  'f2',
  '',
  '__proto__',
  'constructor',
  'toString',
  '\0\r\n\xff',
  '{tag}x',
  '-1',
  '12',
  'é',
  'x'.repeat(65),
]
const ORDERS = ['{ann}1', '{ann}2', '{bob}1', '{bob}2', '{ann}*', '{bob}*', 'x', '{}1', '{__proto__}1']

export const SMALL = ['0', '1', '2', '3', '5', '10', '-1', '-2', '100']
export const ODD = [
  ...[
    '',
    ' 1',
    '1 ',
    '+1',
    '01',
    '-0',
    '00',
    '1.0',
    '1.5',
    '1e3',
    '0x10',
    '-',
    '--1',
    'nan',
    '-nan',
    'inf',
    '-inf',
    '+inf',
    'Infinity',
    '1e400',
  ],
  ...[
    '-1e400',
    '1e-400',
    '0.1',
    '.5',
    '5.',
    '(1',
    '(',
    '[a',
    '[',
    '-',
    '+',
    '2147483647',
    '2147483648',
    '-2147483648',
    '4294967295',
    '4294967296',
  ],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775808'],
  ...[
    '-9223372036854775809',
    '18446744073709551615',
    '18446744073709551616',
    '1'.repeat(30),
    '1'.repeat(400),
    '1\0',
    '１',
    'NaN',
    '536870912',
  ],
]
const FLOATS = ['0', '1', '-1', '1.5', '-2.25', '0.1', '3', '1e3', '1e-5', 'inf', '-inf']
const WORDS = [
  'x',
  '*',
  '?',
  '[',
  '[^',
  '\\',
  '$',
  '>',
  '~',
  '0-0',
  '$4\r\nPING',
  '\r\n',
  '-ERR x',
  'NX',
  'COUNT',
  'LIMIT',
  'default',
  '__proto__',
  'a,b',
]

const numbered = (n: number, one: (i: number) => string[]): string[] => Array.from({ length: n }, (_, i) => one(i)).flat()

/** A key of every type in every form. */
export const BEGINNING: readonly (readonly string[])[] = [
  ['SET', 's:text', 'hello'],
  ['SET', 's:number', '41'],
  ['HSET', 'h:small', 'f1', '1', 'f2', 'text', '__proto__', 'x'],
  ['HSET', 'h:large', ...numbered(150, (i) => [`f${i}`, `${i}`])],
  ['RPUSH', 'l:small', 'a', 'b', 'm1', '3'],
  ['RPUSH', 'l:large', ...numbered(200, (i) => [`m${i}`.padEnd(60, 'x')])],
  ['SADD', 'i:set', '1', '2', '3', '-5'],
  ['SADD', 'm:small', 'a', 'b', 'f1', '12'],
  ['SADD', 'm:large', ...numbered(600, (i) => [`m${i}`])],
  ['ZADD', 'z:small', '1', 'a', '2.5', 'b', '-inf', 'f1'],
  ['ZADD', 'z:large', ...numbered(200, (i) => [String(i % 17), `m${i}`])],
]

export class RequestMaker {
  readonly #random: Random
  readonly #leaves: readonly Leaf[]
  /** Every token of every command, to stand where it does not belong. */
  readonly #tokens: readonly string[]

  constructor(specs: readonly CommandSpec[], random: Random) {
    this.#random = random
    // Who changes something has more to get wrong.
    const leaves = leavesOf(specs)
    const changing = leaves.filter(({ spec }) => spec.flags.includes('write'))
    this.#leaves = [...leaves, ...changing, ...changing]
    this.#tokens = [...new Set(this.#leaves.flatMap(({ args }) => tokensOf(args)))]
  }

  /** A request of any command; `n` goes round all of them. */
  next(n: number): string[] {
    const random = this.#random
    const leaf = this.#leaves[n % this.#leaves.length]
    const words = [...leaf.words, ...this.#sequence(leaf.args, leaf.spec)]
    if (random.chance(0.2)) words[0] = words[0].toLowerCase()
    if (random.chance(0.5)) for (let faults = random.pick([1, 1, 1, 2, 4]); faults > 0; faults--) this.#spoil(words, leaf.words.length)
    return words
  }

  #spoil(words: string[], first: number): void {
    const random = this.#random
    const at = random.between(first, Math.max(first, words.length - 1))
    switch (random.below(9)) {
      case 0:
        words.splice(at, 1)
        break
      case 1:
        words.splice(at, 0, words[at] ?? 'x')
        break
      case 2:
        words.length = Math.max(1, at)
        break
      case 3:
        words.splice(at, 0, random.pick(this.#tokens))
        break
      case 4: {
        const other = random.between(first, Math.max(first, words.length - 1))
        if (at < words.length && other < words.length) [words[at], words[other]] = [words[other], words[at]]
        break
      }
      case 5:
        words.push(random.pick([...WORDS, ...ODD]))
        break
      case 6:
        // Two options of the same kind, or a pair that is half.
        words.push(...words.slice(at))
        break
      default:
        if (at < words.length) words[at] = this.#wrong()
    }
  }

  #wrong(): string {
    const random = this.#random
    switch (random.below(6)) {
      case 0:
      case 1:
        return random.pick(ODD)
      case 2:
        return random.pick(ALL_KEYS)
      case 3:
        return random.pick(NAMES)
      case 4:
        return random.chance(0.02)
          ? 'M'.repeat(1 << 20)
          : String.fromCharCode(...Array.from({ length: random.below(40) }, () => random.below(256)))
      default:
        return random.pick(WORDS)
    }
  }

  #sequence(args: readonly Argument[], spec: CommandSpec): string[] {
    const random = this.#random
    const parts = args.map((arg) => this.#argument(arg, spec))
    // Options may stand in any order, mostly.
    const optional = args.flatMap((arg, i) => (arg.optional ? [i] : []))
    if (optional.length > 1 && random.chance(0.4)) {
      const turn = random.between(1, optional.length - 1)
      const turned = [...optional.slice(turn), ...optional.slice(0, turn)].map((i) => parts[i])
      optional.forEach((i, n) => (parts[i] = turned[n]))
    }
    const numkeys = args.findIndex((arg) => arg.name === 'numkeys')
    if (numkeys !== -1 && random.chance(0.9)) parts[numkeys] = [String(parts[numkeys + 1]?.length ?? 1)]
    return parts.flat()
  }

  #argument(arg: Argument, spec: CommandSpec): string[] {
    const random = this.#random
    if (arg.optional && random.chance(0.6)) return []
    const times = arg.multiple ? (random.chance(0.02) ? random.pick([50, 600]) : random.between(1, 3)) : 1
    const token = arg.token === null ? [] : [random.chance(0.3) ? arg.token.toLowerCase() : arg.token]
    const values: string[] = []
    for (let i = 0; i < times; i++) values.push(...this.#value(arg, spec))
    return [...token, ...values]
  }

  #value(arg: Argument, spec: CommandSpec): string[] {
    const random = this.#random
    switch (arg.type) {
      case 'pure-token':
        return []
      case 'oneof':
        return this.#argument({ ...random.pick(arg.parts), optional: false }, spec)
      case 'block':
        return this.#sequence(arg.parts, spec)
      default:
        return [this.#word(arg, spec)]
    }
  }

  #word(arg: Argument, spec: CommandSpec): string {
    const random = this.#random
    if (random.chance(0.04)) return this.#wrong()
    const { name, type } = arg
    if (type === 'key' || /^(source|destination|newkey|key\d?)$/.test(name)) {
      const fitting = KEYS[spec.group]
      if (fitting !== undefined && random.chance(0.85)) return random.pick(fitting)
      return random.chance(0.95) ? random.pick(ALL_KEYS) : random.pick(NAMES)
    }
    if (name === 'sku') return random.chance(0.95) ? random.pick(KEYS.stock) : random.pick(ALL_KEYS)
    if (name === 'order' || name === 'buyer') return name === 'order' ? random.pick(ORDERS) : random.pick(['ann', 'bob', '', '__proto__'])
    if (name === 'timeout') return random.pick(['0', '0.01', '1', '1000'])
    if (/LEX/.test(spec.name) && /^(min|max)$/.test(name)) return random.pick(['-', '+', '[a', '(a', '[', '(m9', '[m1', random.pick(ODD)])
    if (name === 'function') return random.pick(['STOCK.RESERVE', 'stock.get', 'STOCK.CREATE', 'STOCK.CONFIRM', 'STOCK.X', 'GET'])
    if (/^(score|min|max|weight|increment)$/.test(name))
      return random.chance(0.7) ? random.pick(FLOATS) : random.pick([...SMALL, '(1', '[a', '-', '+'])
    if (/burst|period/.test(name)) return random.pick(['1', '5', '60', '1000'])
    if (type === 'unix-time') return String(random.pick([1, 1000]) * random.pick([1_000, 1_001, 2_000, 4_000_000]) + random.below(3))
    if (type === 'integer' || /(^|-)(len|rank|start|stop|count|id|limit|bytes|ms|seconds)$/.test(name)) {
      if (/seconds/.test(name)) return String(random.pick([1, 2, 1000, 100_000]))
      return random.chance(0.9) ? random.pick(SMALL) : random.pick(ODD)
    }
    if (type === 'pattern') return random.pick(['*', 'a*', '?:*', '[a-z]*', '[', '\\', '', 's:text'])
    if (type === 'double') return random.pick(FLOATS)
    switch (random.below(5)) {
      case 0:
        return `f${random.below(20)}`
      case 1:
        return random.pick(NAMES)
      case 2:
        return random.pick(SMALL)
      case 3:
        return random.chance(0.1) ? 'v'.repeat(random.between(60, 9000)) : random.pick(WORDS)
      default:
        return `m${random.below(600)}`
    }
  }
}

interface Leaf {
  readonly spec: CommandSpec
  readonly words: readonly string[]
  readonly args: readonly Argument[]
}

/** Commands and subcommands; a container also by itself. */
function leavesOf(specs: readonly CommandSpec[]): Leaf[] {
  return specs.flatMap((spec): Leaf[] => {
    const words = [spec.name]
    const own: Leaf = { spec, words, args: spec.subcommands === undefined ? parsed(spec) : [] }
    return [own, ...(spec.subcommands ?? []).map((part): Leaf => ({ spec: part, words: [...words, part.name], args: parsed(part) }))]
  })
}

function parsed(spec: CommandSpec): Argument[] {
  return spec.syntax === '' ? [] : parseSyntax(spec.syntax)
}

function tokensOf(args: readonly Argument[]): string[] {
  return args.flatMap((arg) => [...(arg.token === null ? [] : [arg.token]), ...tokensOf(arg.parts)])
}
