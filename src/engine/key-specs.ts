// Where a command's keys are, and what it does to each: what COMMAND INFO shows, and what users' permissions are judged by.
//
// The words are Redis's. First how the key is touched: RO (read only), RW, OW (overwritten unseen), RM (removed unseen). Then what for:
// `access` returns something of the value, `insert`, `update` and `delete` change it; without any of these only the key's own facts are
// touched (that it exists, its type or length), which takes neither the right to read nor the right to write.

import { parseInteger } from '../base/decimal.ts'
import type { Request } from '../resp/request.ts'
import type { CommandSpec } from './command.ts'

/** The right to see values. */
export const READ = 1
/** The right to change them. */
export const WRITE = 2

export interface KeyUse {
  /** `RW`, `access`, `update`: as COMMAND INFO names them. */
  readonly words: readonly string[]
  /** READ | WRITE: what a user must be allowed. */
  readonly rights: number
  /** False of a channel that only stands where a key would (SPUBLISH). */
  readonly isKey: boolean
}

export interface KeySpec {
  readonly use: KeyUse
  /** The first key is this argument, or the one behind this word (looked for from argument `from` on). */
  readonly begin: { readonly index: number } | { readonly word: string; readonly from: number }
  readonly find:
    | {
        readonly type: 'range'
        /** Counted from the first; negative: from the end. */
        readonly last: number
        readonly step: number
        /** Of all that follow, only the first of so many parts are keys; 0: all. */
        readonly limit: number
      }
    /** A count comes first, then so many keys. */
    | { readonly type: 'counted' }
  /** What this request does, if that depends on its arguments. */
  readonly useOf?: (request: Request) => KeyUse
}

export function keyUse(text: string): KeyUse {
  const words = text.split(' ')
  const isWrite = words.includes('insert') || words.includes('update') || words.includes('delete')
  return { words, rights: (words.includes('access') ? READ : 0) | (isWrite ? WRITE : 0), isKey: !words.includes('not_key') }
}

/** One key. */
export function keyAt(index: number, use: string): KeySpec {
  return { use: keyUse(use), begin: { index }, find: { type: 'range', last: 0, step: 1, limit: 0 } }
}

/** Every `step`th argument from `index` to `last`, which counts from the end. */
export function keysFrom(index: number, use: string, { last = -1, step = 1 } = {}): KeySpec {
  return { use: keyUse(use), begin: { index }, find: { type: 'range', last, step, limit: 0 } }
}

/** `numkeys key [key ...]`, the number at `index`. */
export function countedKeysFrom(index: number, use: string): KeySpec {
  return { use: keyUse(use), begin: { index }, find: { type: 'counted' } }
}

/** The keys are the first half of what follows this word. */
export function keysBehind(word: string, from: number, use: string): KeySpec {
  return { use: keyUse(use), begin: { word, from }, find: { type: 'range', last: -1, step: 1, limit: 2 } }
}

const UNKNOWN: KeyUse = { words: [], rights: 0, isKey: true }
export const TOUCHED: KeyUse = keyUse('RW access update')
export const READ_ONLY: KeyUse = keyUse('RO access')

/** The keys of one request; filled again and again. */
export class FoundKeys {
  count = 0
  at = new Int32Array(16)
  readonly uses: KeyUse[] = []

  add(index: number, use: KeyUse): void {
    if (this.count === this.at.length) {
      const larger = new Int32Array(this.count * 2)
      larger.set(this.at)
      this.at = larger
    }
    this.at[this.count] = index
    this.uses[this.count++] = use
  }

  /** Fills itself with the keys of this request: none if its arguments do not fit. */
  find(spec: CommandSpec, request: Request): void {
    this.count = 0
    if (spec.keySpecs === undefined) return this.#byRange(spec, request)
    for (const keySpec of spec.keySpecs) {
      if (!keySpec.use.isKey || this.#findOne(keySpec, request)) continue
      this.count = 0
      this.#guess(spec, request)
      return
    }
  }

  /**
   * The command will say that its arguments do not fit; what looks like a key is taken for one all the same, as Redis does it, though
   * nothing is known of its use. So whoever may touch no key hears that, and not what he got wrong.
   */
  #guess(spec: CommandSpec, request: Request): void {
    const counted = spec.keySpecs!.find(({ find }) => find.type === 'counted')
    if (counted === undefined) {
      for (const key of spec.keysOf?.(request) ?? []) this.add(key, UNKNOWN)
      return
    }
    const at = (counted.begin as { readonly index: number }).index
    const count = at < request.argc ? leadingInteger(request.latin1(at)) : 0
    if (count < 1 || count > request.argc - at - 1) return
    for (let i = 1; i <= count; i++) this.add(at + i, UNKNOWN)
    for (const { begin, find } of spec.keySpecs!) if (find.type === 'range' && 'index' in begin) this.add(begin.index, UNKNOWN)
  }

  #findOne(keySpec: KeySpec, request: Request): boolean {
    const { begin, find } = keySpec
    const { argc } = request
    const use = keySpec.useOf === undefined ? keySpec.use : keySpec.useOf(request)
    let first: number
    if ('index' in begin) first = begin.index
    else {
      first = begin.from
      while (first < argc && !request.is(first, begin.word)) first++
      // Redis passes over a word that is not there.
      if (first >= argc) return true
      first++
    }
    let last: number
    let step = 1
    if (find.type === 'counted') {
      if (first >= argc) return false
      const count = parseInteger(request.bytes, request.start[first], request.end[first])
      if (Number.isNaN(count) || count < 0) return false
      first++
      last = first + count - 1
    } else {
      step = find.step
      if (find.last >= 0) last = first + find.last
      else last = find.limit === 0 ? argc + find.last : first + Math.trunc((argc - first) / find.limit) + find.last
    }
    if (last >= argc || last < first || first >= argc) return false
    for (let i = first; i <= last; i += step) this.add(i, use)
    return true
  }

  /** A command that only says where its keys are: its flags tell the rest. */
  #byRange(spec: CommandSpec, request: Request): void {
    const use = useByFlags(spec)
    if (spec.keysOf !== undefined) {
      for (const key of spec.keysOf(request) ?? []) this.add(key, use)
      return
    }
    const { first, last, step } = spec.keys
    const end = last < 0 ? request.argc + last : last
    if (first === 0 || end >= request.argc) return
    for (let i = first; i <= end; i += step) this.add(i, use)
  }
}

/** Where the keys of a command are: as its spec says it in full, or as its range and its flags tell it. */
export function keySpecsOf(spec: CommandSpec): readonly KeySpec[] {
  if (spec.keySpecs !== undefined) return spec.keySpecs
  const { first, last, step } = spec.keys
  if (first === 0) return []
  // Counted from the first key; from the end it stays as it is.
  return [{ use: useByFlags(spec), begin: { index: first }, find: { type: 'range', last: last < 0 ? last : last - first, step, limit: 0 } }]
}

function useByFlags(spec: CommandSpec): KeyUse {
  return spec.flags.includes('write') ? TOUCHED : READ_ONLY
}

/** As C's atoi reads it: `1.5` is 1, `x` is 0. */
function leadingInteger(text: string): number {
  const match = /^[\t-\r ]*([+-]?[0-9]{1,9})/.exec(text)
  return match === null ? 0 : Number(match[1])
}
