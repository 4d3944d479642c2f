// The arguments of a command as COMMAND DOCS tells them, read from the notation of redis.io that a spec's `syntax` is written in.
//
//   key value [NX | XX] [EX seconds | PX milliseconds]      words in capitals are tokens, others are names
//   [ ] optional, < > a choice, | between alternatives      a token takes the names behind it: `EX seconds`
//   sku quantity [sku quantity ...]                         "..." repeats: here, one or more pairs
//   [PREFIX prefix [PREFIX prefix ...]]                     here the token is repeated, too
//   min:double max:double                                   a type, where the name alone does not tell it
//
// redis-cli makes its hints from this.

import { assert } from '../../base/assert.ts'

export type ArgumentType = 'string' | 'integer' | 'double' | 'key' | 'pattern' | 'unix-time' | 'pure-token' | 'oneof' | 'block'

export interface Argument {
  readonly name: string
  readonly type: ArgumentType
  readonly token: string | null
  readonly optional: boolean
  readonly multiple: boolean
  /** Said again, it needs its token again. */
  readonly repeatsToken: boolean
  /** Of a key: which of the command's key specs tells of it. */
  readonly keySpec: number
  /** Of `oneof` the choices, of `block` the parts. */
  readonly parts: readonly Argument[]
}

const TYPED = /^(.+):(string|integer|double)$/
const SIGNS = new Set(['[', ']', '<', '>', '|', '...'])

/**
 * @param keys names that are keys, in lower case
 * @param keySpecs how many key specs tell of them: the first key belongs to the first, and so on; those that are left to the last
 */
export function parseSyntax(syntax: string, keys: ReadonlySet<string> = new Set(['key']), keySpecs = 1): Argument[] {
  const words = syntax
    .replaceAll(/[[\]<>|]/g, ' $& ')
    .split(' ')
    .filter((word) => word !== '')
  let at = 0
  const found = alternatives()
  assert(at === words.length, `'${syntax}' has a bracket too many`)
  let keysSeen = 0
  return (found.length === 1 ? found[0] : [choice(found)]).map(numbered)

  function numbered(argument: Argument): Argument {
    const keySpec = argument.type === 'key' ? Math.min(keysSeen++, keySpecs - 1) : 0
    return { ...argument, keySpec, parts: argument.parts.map(numbered) }
  }

  /** Sequences parted by `|`, up to a closing bracket or the end. */
  function alternatives(): Argument[][] {
    const found: Argument[][] = [sequence()]
    while (words[at] === '|') {
      at++
      found.push(sequence())
    }
    return found
  }

  function sequence(): Argument[] {
    const parts: Argument[] = []
    while (at < words.length && words[at] !== '|' && words[at] !== ']' && words[at] !== '>') {
      const word = words[at++]
      if (word === '[' || word === '<') bracket(parts, word)
      else if (word === '...') parts.push(repeated(parts.splice(0)))
      else if (!isToken(word)) parts.push(named(word))
      else {
        // A token takes the names that follow it, or the choice.
        const values: Argument[] = []
        while (at < words.length && !SIGNS.has(words[at]) && !isToken(words[at])) values.push(named(words[at++]))
        if (values.length === 0 && words[at] === '<') {
          at++
          bracket(values, '<')
        }
        if (values.length === 0) parts.push(pureToken(word))
        else if (values.length === 1) parts.push({ ...values[0], token: word })
        else parts.push({ ...block(values), token: word })
      }
    }
    return parts
  }

  function bracket(parts: Argument[], open: '[' | '<'): void {
    const inner = alternatives()
    const close = open === '[' ? ']' : '>'
    assert(words[at++] === close, `'${syntax}' lacks a ${close}`)
    if (open === '[' && repeatsLast(parts, inner)) return
    const one = inner.length === 1 ? (inner[0].length === 1 ? inner[0][0] : block(inner[0])) : choice(inner)
    parts.push(open === '[' ? { ...one, optional: true } : one)
  }

  /** `sku quantity [sku quantity ...]`: the optional part says that what stands before it repeats. */
  function repeatsLast(parts: Argument[], inner: Argument[][]): boolean {
    if (inner.length !== 1 || inner[0].length !== 1 || !inner[0][0].multiple) return false
    const repeat = inner[0][0]
    const names = repeat.type === 'block' ? repeat.parts : [repeat]
    const last = parts.at(-1)
    // Behind a token the pair is a block already: ITEMS sku quantity [sku quantity ...].
    if (last !== undefined && last.token !== null && sameNames(last.type === 'block' ? last.parts : [last], names)) {
      parts[parts.length - 1] = { ...last, multiple: true, repeatsToken: repeat.token === last.token }
      return true
    }
    if (parts.length < names.length || !sameNames(parts.slice(-names.length), names)) return false
    parts.splice(parts.length - names.length, names.length, repeat)
    return true
  }

  function repeated(parts: Argument[]): Argument {
    assert(parts.length > 0, `'${syntax}' repeats nothing`)
    return { ...(parts.length === 1 ? parts[0] : block(parts)), multiple: true }
  }

  function named(word: string): Argument {
    const typed = TYPED.exec(word)
    if (typed !== null) return { ...PLAIN, name: typed[1], type: typed[2] as ArgumentType }
    return { ...PLAIN, name: word, type: typeOf(word, keys) }
  }
}

function isToken(word: string): boolean {
  return /^(?:[A-Z][A-Z0-9_-]*|[=~*$])$/.test(word)
}

const PLAIN = { token: null, optional: false, multiple: false, repeatsToken: false, keySpec: 0, parts: [] } as const

function pureToken(token: string): Argument {
  return { ...PLAIN, name: token.toLowerCase(), type: 'pure-token', token }
}

function block(parts: readonly Argument[]): Argument {
  return { ...PLAIN, name: parts.map((part) => part.name).join('_'), type: 'block', parts }
}

function choice(sequences: readonly (readonly Argument[])[]): Argument {
  const parts = sequences.map((sequence) => (sequence.length === 1 ? sequence[0] : block(sequence)))
  return { ...PLAIN, name: parts.map((part) => part.name).join('_'), type: 'oneof', parts }
}

function sameNames(a: readonly Argument[], b: readonly Argument[]): boolean {
  return a.length === b.length && a.every((part, i) => part.name === b[i].name)
}

const INTEGERS = new Set([
  'seconds',
  'milliseconds',
  'ms',
  'count',
  'n',
  'index',
  'index1',
  'index2',
  'start',
  'end',
  'offset',
  'increment',
  'decrement',
  'quantity',
  'total',
  'delta',
  'units',
  'minor-units',
  'expected',
  'db',
  'destination-db',
  'timeout',
  'numlocal',
  'numreplicas',
  'client-id',
  'protover',
  'cursor',
  'numkeys',
  'stop',
  'rank',
  'num-matches',
  'len',
  'maxlen',
  'min-match-len',
  'limit',
  'weight',
  'slot',
  'port',
  'version',
  'bits',
  'entries-added',
  'entries-read',
])

function typeOf(name: string, keys: ReadonlySet<string>): ArgumentType {
  if (keys.has(name)) return 'key'
  if (name.startsWith('unix-')) return 'unix-time'
  if (name === 'pattern') return 'pattern'
  if (name === 'score') return 'double'
  return INTEGERS.has(name) ? 'integer' : 'string'
}
