// Ranges of sorted sets: by rank, by score, by bytes; answered, counted, stored or removed.
//
// A range is parsed before the key is looked up, and told as ranks once the set is there.

import type { LexEnd, RankRange, SortedSet } from '../../../keyspace/collections/sorted-set.ts'
import { parseRangeEnd } from '../../../keyspace/double.ts'
import { SYNTAX } from '../../../resp/errors.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../../command.ts'
import { int64Argument } from '../instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, readCollection, writeCollection } from '../key-access.ts'
import { beginResult, keptScore, lensOf, readSortedSet, removeElements, replyElements, storeResult } from './elements.ts'
import { keyAt } from '../../key-specs.ts'

const NOT_A_FLOAT = 'ERR min or max is not a float'
const NOT_A_STRING = 'ERR min or max not valid string range item'
const LIMIT_BY_RANK = 'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX'
const SCORES_BY_LEX = 'ERR syntax error, WITHSCORES not supported in combination with BYLEX'

const PLUS = 43
const MINUS = 45
const PARENTHESIS = 40
const BRACKET = 91

type By = 'rank' | 'score' | 'lex'

/** Where a range is in a set. */
type Range = (set: SortedSet) => RankRange

/** Arguments `min` and `max` as a range; undefined if they are none, and the client has its error. */
function parseRange(call: Call, by: By, min: number, max: number, isReversed: boolean): Range | undefined {
  if (by === 'rank') return parseRanks(call, min, max, isReversed)
  if (by === 'score') return parseScores(call, min, max)
  const from = lexEnd(call, min)
  const to = lexEnd(call, max)
  if (from !== undefined && to !== undefined) return (set) => set.lexRange(from, to, isReversed)
  call.reply.error(NOT_A_STRING)
  return undefined
}

function parseRanks(call: Call, first: number, last: number, isReversed: boolean): Range | undefined {
  const start = int64Argument(call, first)
  if (start === undefined) return undefined
  const stop = int64Argument(call, last)
  if (stop === undefined) return undefined
  return ({ count }) => {
    const from = Math.max(0, start < 0 ? count + Number(start) : Number(start))
    const to = Math.min(count, (stop < 0 ? count + Number(stop) : Number(stop)) + 1)
    return isReversed ? { from: count - to, to: count - from } : { from, to }
  }
}

function parseScores(call: Call, min: number, max: number): Range | undefined {
  const { bytes, start, end } = call.request
  const isExclusive = (i: number): boolean => end[i] > start[i] && bytes[start[i]] === PARENTHESIS
  const [fromOpen, toOpen] = [isExclusive(min), isExclusive(max)]
  const from = parseRangeEnd(bytes, start[min] + (fromOpen ? 1 : 0), end[min])
  const to = parseRangeEnd(bytes, start[max] + (toOpen ? 1 : 0), end[max])
  if (!Number.isNaN(from) && !Number.isNaN(to)) {
    return (set) => ({ from: set.countBelow(from, fromOpen), to: set.countBelow(to, !toOpen) })
  }
  call.reply.error(NOT_A_FLOAT)
  return undefined
}

/** `-`, `+`, `[bytes` or `(bytes`. */
function lexEnd({ request }: Call, i: number): LexEnd | undefined {
  const { bytes } = request
  const start = request.start[i]
  const end = request.end[i]
  const isOne = end - start === 1 || bytes[start + 1] === 0
  switch (end === start ? 0 : bytes[start]) {
    case PLUS:
      return isOne ? { bytes, start, end, isExclusive: true, infinite: 1 } : undefined
    case MINUS:
      return isOne ? { bytes, start, end, isExclusive: true, infinite: -1 } : undefined
    case PARENTHESIS:
      return { bytes, start: start + 1, end, isExclusive: true, infinite: 0 }
    case BRACKET:
      return { bytes, start: start + 1, end, isExclusive: false, infinite: 0 }
    default:
      return undefined
  }
}

interface RangeForm {
  /** By what, and in which direction, the command's name says; null: its options do. */
  readonly by: By | null
  readonly isReversed: boolean | null
  /** ZRANGESTORE: argument 1 is where the elements go. */
  readonly isStored?: boolean
}

/** ZRANGE and all like it. */
function range(call: Call, { by: givenBy, isReversed: givenReversed, isStored = false }: RangeForm): void {
  const { request, reply } = call
  const key = isStored ? 2 : 1
  let by = givenBy
  let direction = givenReversed
  let offset = 0
  let limit = -1
  let hasScores = false
  for (let i = key + 3; i < request.argc; i++) {
    if (!isStored && request.is(i, 'WITHSCORES')) hasScores = true
    else if (request.is(i, 'LIMIT') && i + 2 < request.argc) {
      const skipped = int64Argument(call, i + 1)
      if (skipped === undefined) return
      const wanted = int64Argument(call, i + 2)
      if (wanted === undefined) return
      offset = Number(skipped)
      limit = Number(wanted)
      i += 2
    } else if (direction === null && request.is(i, 'REV')) direction = true
    else if (by === null && request.is(i, 'BYLEX')) by = 'lex'
    else if (by === null && request.is(i, 'BYSCORE')) by = 'score'
    else return reply.error(SYNTAX)
  }
  by ??= 'rank'
  if (limit !== -1 && by === 'rank') return reply.error(LIMIT_BY_RANK)
  if (hasScores && by === 'lex') return reply.error(SCORES_BY_LEX)
  const isReversed = direction === true
  // Backwards the higher end comes first.
  const isSwapped = isReversed && by !== 'rank'
  const parsed = parseRange(call, by, isSwapped ? key + 2 : key + 1, isSwapped ? key + 1 : key + 2, isReversed)
  if (parsed === undefined) return
  const database = databaseOf(call)
  if (isStored && isForbidden(call, database, 1, findKey(call, database, 1, hashOf(call, database, 1)))) return
  const set = readCollection(call, key, lensOf(call))
  if (set === undefined) return
  const found = set === null ? { from: 0, to: 0 } : by === 'rank' ? parsed(set) : limited(parsed(set), offset, limit, isReversed)
  if (isStored) {
    const result = beginResult(call)
    // Redis begins with the form that the number of elements asks for, if it knows that.
    if (by === 'rank' && found.to - found.from > result.context.limits.zsetEntriesMax) result.grow()
    set?.visit(found, isReversed, () => {
      const { elements, memberStart, memberEnd, score } = set
      result.add(elements, memberStart, memberEnd, keptScore(result, score, memberEnd - memberStart))
    })
    result.endChange()
    return storeResult(call, result, 'zrangestore')
  }
  if (set === null) reply.array(0)
  else replyElements(call, set, found, isReversed, hasScores)
}

/** What LIMIT leaves of a range: nothing of it if the offset is negative, all behind the offset if the limit is. */
function limited({ from, to }: RankRange, offset: number, limit: number, isReversed: boolean): RankRange {
  const count = Math.max(0, to - from)
  const skipped = offset < 0 ? count : Math.min(offset, count)
  const left = limit < 0 ? count - skipped : Math.min(limit, count - skipped)
  return isReversed ? { from: to - skipped - left, to: to - skipped } : { from: from + skipped, to: from + skipped + left }
}

function count(call: Call, by: By): void {
  const parsed = parseRange(call, by, 2, 3, false)
  if (parsed === undefined) return
  const set = readSortedSet(call)
  if (set === undefined) return
  const { from, to } = set === null ? { from: 0, to: 0 } : parsed(set)
  call.reply.integer(Math.max(0, to - from))
}

function removeRange(call: Call, by: By, event: string): void {
  const parsed = parseRange(call, by, 2, 3, false)
  if (parsed === undefined) return
  const set = writeCollection(call, 1, lensOf(call))
  if (set === undefined) return
  const found = set === null ? { from: 0, to: 0 } : parsed(set)
  if (set !== null) removeElements(call, set, found, event)
  call.reply.integer(Math.max(0, found.to - found.from))
}

export const sortedSetRangeCommands: readonly CommandSpec[] = [
  {
    name: 'ZRANGE',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The elements of a range: by rank, by score or by bytes, forwards or backwards.',
    syntax: 'key start:string stop:string [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]',
    run: (call) => range(call, { by: null, isReversed: null }),
  },
  {
    name: 'ZREVRANGE',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The elements of a range by rank, the highest first.',
    syntax: 'key start stop [WITHSCORES]',
    run: (call) => range(call, { by: 'rank', isReversed: true }),
  },
  {
    name: 'ZRANGEBYSCORE',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '1.0.5',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The elements between two scores.',
    syntax: 'key min:double max:double [WITHSCORES] [LIMIT offset count]',
    run: (call) => range(call, { by: 'score', isReversed: false }),
  },
  {
    name: 'ZREVRANGEBYSCORE',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.2.0',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The elements between two scores, the highest first.',
    syntax: 'key max:double min:double [WITHSCORES] [LIMIT offset count]',
    run: (call) => range(call, { by: 'score', isReversed: true }),
  },
  {
    name: 'ZRANGEBYLEX',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.8.9',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The members between two, by their bytes.',
    syntax: 'key min max [LIMIT offset count]',
    run: (call) => range(call, { by: 'lex', isReversed: false }),
  },
  {
    name: 'ZREVRANGEBYLEX',
    arity: -4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.8.9',
    complexity: 'O(log N + M), N elements of the set, M answered',
    summary: 'The members between two, by their bytes, the last one first.',
    syntax: 'key max min [LIMIT offset count]',
    run: (call) => range(call, { by: 'lex', isReversed: true }),
  },
  {
    name: 'ZRANGESTORE',
    arity: -5,
    flags: ['write', 'denyoom'],
    keys: { first: 1, last: 2, step: 1 },
    keySpecs: [keyAt(1, 'OW update'), keyAt(2, 'RO access')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(log N + M * log M), N elements of the source, M stored',
    summary: 'Makes a sorted set of the elements of a range.',
    syntax: 'destination source start:string stop:string [BYSCORE | BYLEX] [REV] [LIMIT offset count]',
    run: (call) => range(call, { by: null, isReversed: null, isStored: true }),
  },
  {
    name: 'ZCOUNT',
    arity: 4,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(log N), N elements of the set',
    summary: 'How many elements are between two scores.',
    syntax: 'key min:double max:double',
    run: (call) => count(call, 'score'),
  },
  {
    name: 'ZLEXCOUNT',
    arity: 4,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '2.8.9',
    complexity: 'O(log N), N elements of the set',
    summary: 'How many members are between two, by their bytes.',
    syntax: 'key min max',
    run: (call) => count(call, 'lex'),
  },
  {
    name: 'ZREMRANGEBYRANK',
    arity: 4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(M * log N), N elements of the set, M removed',
    summary: 'Removes the elements of a range by rank; answers how many there were.',
    syntax: 'key start stop',
    run: (call) => removeRange(call, 'rank', 'zremrangebyrank'),
  },
  {
    name: 'ZREMRANGEBYSCORE',
    arity: 4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(M * log N), N elements of the set, M removed',
    summary: 'Removes the elements between two scores; answers how many there were.',
    syntax: 'key min:double max:double',
    run: (call) => removeRange(call, 'score', 'zremrangebyscore'),
  },
  {
    name: 'ZREMRANGEBYLEX',
    arity: 4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.8.9',
    complexity: 'O(M * log N), N elements of the set, M removed',
    summary: 'Removes the members between two, by their bytes; answers how many there were.',
    syntax: 'key min max',
    run: (call) => removeRange(call, 'lex', 'zremrangebylex'),
  },
]
