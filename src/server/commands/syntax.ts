// The arguments of a command as COMMAND DOCS tells them, read from the notation of redis.io that a spec's `syntax` is written in.
//
//   key value [NX | XX] [EX seconds | PX milliseconds]      words in capitals are tokens, others are names
//   [ ] optional, < > a choice, | between alternatives      a token takes the names behind it: `EX seconds`
//   sku quantity [sku quantity ...]                         "..." repeats: here, one or more pairs
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
  /** Of `oneof` the choices, of `block` the parts. */
  readonly parts: readonly Argument[]
}

const SIGNS = new Set(['[', ']', '<', '>', '|', '...'])

/** @param keys names that are keys, in lower case */
export function parseSyntax(syntax: string, keys: ReadonlySet<string> = new Set(['key'])): Argument[] {
  const words = syntax
    .replaceAll(/[[\]<>|]/g, ' $& ')
    .split(' ')
    .filter((word) => word !== '')
  let at = 0
  const found = alternatives()
  assert(at === words.length, `'${syntax}' has a bracket too many`)
  return found.length === 1 ? found[0] : [choice(found)]

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
      parts[parts.length - 1] = { ...last, multiple: true }
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
    return { name: word, type: typeOf(word, keys), token: null, optional: false, multiple: false, parts: [] }
  }
}

function isToken(word: string): boolean {
  return /^[A-Z][A-Z0-9_-]*$/.test(word)
}

function pureToken(token: string): Argument {
  return { name: token.toLowerCase(), type: 'pure-token', token, optional: false, multiple: false, parts: [] }
}

function block(parts: readonly Argument[]): Argument {
  return { name: parts.map((part) => part.name).join('_'), type: 'block', token: null, optional: false, multiple: false, parts }
}

function choice(sequences: readonly (readonly Argument[])[]): Argument {
  const parts = sequences.map((sequence) => (sequence.length === 1 ? sequence[0] : block(sequence)))
  return { name: parts.map((part) => part.name).join('_'), type: 'oneof', token: null, optional: false, multiple: false, parts }
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
])

function typeOf(name: string, keys: ReadonlySet<string>): ArgumentType {
  if (keys.has(name)) return 'key'
  if (name.startsWith('unix-')) return 'unix-time'
  if (name === 'pattern') return 'pattern'
  return INTEGERS.has(name) ? 'integer' : 'string'
}
