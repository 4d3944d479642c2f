// Taking the first or the last elements of sorted sets away.

import { parseInt64 } from '../../../base/decimal.ts'
import type { RankRange, SortedSet } from '../../../keyspace/collections/sorted-set.ts'
import { KIND_ZSET } from '../../../keyspace/row.ts'
import { SYNTAX, VALUE_NOT_POSITIVE } from '../../../resp/errors.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT, NO_KEYS } from '../../command.ts'
import { writeCollection } from '../key-access.ts'
import { countedKeys } from './counted-keys.ts'
import { lensOf, removeElements, replyElements, replyMember, replyScore } from './elements.ts'
import { countedKeysFrom, keyAt } from '../../key-specs.ts'

/** The kind of key that these commands pop from. */
export const SORTED_SETS = KIND_ZSET

/** Which elements of a set `count` are, from one end of it. */
function ends(set: SortedSet, count: number, isMax: boolean): RankRange {
  const taken = Math.min(count, set.count)
  return isMax ? { from: set.count - taken, to: set.count } : { from: 0, to: taken }
}

const eventOf = (isMax: boolean): string => (isMax ? 'zpopmax' : 'zpopmin')

const COUNT_NOT_POSITIVE = 'ERR count should be greater than 0'
const KEYS_NOT_POSITIVE = 'ERR numkeys should be greater than 0'

/** Without a pair around it, in RESP3 too. */
function replyOne(call: Call, set: SortedSet, range: RankRange): void {
  set.visit(range, false, () => {
    replyMember(call, set)
    replyScore(call, set.score)
  })
}

function zpop(call: Call, isMax: boolean): void {
  const { request, reply } = call
  if (request.argc > 3) return reply.error(SYNTAX)
  const hasCount = request.argc === 3
  const count = hasCount ? parseInt64(request.bytes, request.start[2], request.end[2]) : 1n
  if (count === undefined || count < 0n) return reply.error(VALUE_NOT_POSITIVE)
  const set = writeCollection(call, 1, lensOf(call))
  if (set === undefined) return
  if (set === null || count === 0n) return reply.array(0)
  const range = ends(set, Number(count), isMax)
  if (hasCount) replyElements(call, set, range, isMax, true)
  else {
    reply.array(2)
    replyOne(call, set, range)
  }
  removeElements(call, set, range, eventOf(isMax))
}

/** What ZMPOP and BZMPOP ask for: `numkeys key ... MIN|MAX [COUNT count]`. */
export interface ManyPop {
  /** The arguments that are keys. */
  readonly first: number
  readonly last: number
  readonly isMax: boolean
  readonly count: number
}

/** Undefined if the arguments from `at` on are wrong; the client has its error. */
export function parseManyPop({ request, reply }: Call, at: number): ManyPop | undefined {
  const refuse = (error: string): undefined => {
    reply.error(error)
    return undefined
  }
  const positive = (i: number): number => {
    const n = parseInt64(request.bytes, request.start[i], request.end[i])
    return n === undefined || n < 1n ? 0 : Number(n)
  }
  const keys = positive(at)
  if (keys === 0) return refuse(KEYS_NOT_POSITIVE)
  const where = at + keys + 1
  if (where >= request.argc) return refuse(SYNTAX)
  const isMax = request.is(where, 'MAX')
  if (!isMax && !request.is(where, 'MIN')) return refuse(SYNTAX)
  let count = 0
  for (let i = where + 1; i < request.argc; i += 2) {
    if (count !== 0 || !request.is(i, 'COUNT') || i + 1 === request.argc) return refuse(SYNTAX)
    count = positive(i + 1)
    if (count === 0) return refuse(COUNT_NOT_POSITIVE)
  }
  return { first: at + 1, last: at + keys, isMax, count: Math.max(1, count) }
}

/**
 * Pops from the first of the keys that is there, with the reply of ZMPOP.
 * @returns whether there was one, or the client has its error; false: nothing has been replied.
 */
export function popMany(call: Call, asked: ManyPop): boolean {
  return popFirst(call, asked, (set, key) => {
    const { request, reply } = call
    const { isMax, count } = asked
    const range = ends(set, count, isMax)
    reply.array(2)
    reply.bulk(request.bytes, request.start[key], request.end[key])
    reply.array(range.to - range.from)
    set.visit(range, isMax, () => {
      reply.array(2)
      replyMember(call, set)
      replyScore(call, set.score)
    })
    return range
  })
}

/** The same for one element, with the reply of BZPOPMIN and BZPOPMAX: key, member, score. */
export function popOne(call: Call, first: number, last: number, isMax: boolean): boolean {
  return popFirst(call, { first, last, isMax }, (set, key) => {
    const { request, reply } = call
    const range = ends(set, 1, isMax)
    reply.array(3)
    reply.bulk(request.bytes, request.start[key], request.end[key])
    replyOne(call, set, range)
    return range
  })
}

/** @param answer replies and says which elements go. */
function popFirst(
  call: Call,
  { first, last, isMax }: Pick<ManyPop, 'first' | 'last' | 'isMax'>,
  answer: (set: SortedSet, key: number) => RankRange,
): boolean {
  for (let key = first; key <= last; key++) {
    const set = writeCollection(call, key, lensOf(call))
    if (set === undefined) return true
    if (set === null) continue
    removeElements(call, set, answer(set, key), eventOf(isMax), key)
    return true
  }
  return false
}

function zmpop(call: Call): void {
  const pop = parseManyPop(call, 1)
  if (pop !== undefined && !popMany(call, pop)) call.reply.nilArray()
}

export const sortedSetPopCommands: readonly CommandSpec[] = [
  {
    name: 'ZPOPMIN',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '5.0.0',
    complexity: 'O(M * log N), N elements of the set, M removed',
    summary: 'Removes the elements with the lowest scores, and answers them.',
    syntax: 'key [count]',
    run: (call) => zpop(call, false),
  },
  {
    name: 'ZPOPMAX',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '5.0.0',
    complexity: 'O(M * log N), N elements of the set, M removed',
    summary: 'Removes the elements with the highest scores, and answers them.',
    syntax: 'key [count]',
    run: (call) => zpop(call, true),
  },
  {
    name: 'ZMPOP',
    arity: -4,
    flags: ['write', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RW access delete')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '7.0.0',
    complexity: 'O(K + M * log N), K keys, N elements of the set, M removed',
    summary: 'Removes the first or the last elements of the first of these sorted sets that is there, and answers them.',
    syntax: 'numkeys key [key ...] <MIN | MAX> [COUNT count]',
    keysOf: (request) => countedKeys(request, 1),
    run: zmpop,
  },
]
