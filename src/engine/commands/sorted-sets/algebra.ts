// Sorted sets made of sets: union, intersection and difference, answered, counted or stored. Plain sets are sources too, with scores of 1.
//
// A result is gathered in the keyspace's scratch database, as the sorted set that it will be, so a destination may be one of the sources.
// Scores are added in the order in which Redis adds them, small sets first: sums of doubles depend on it.

import { parseInt64 } from '../../../base/decimal.ts'
import { Members } from '../../../keyspace/collections/set.ts'
import { SortedSet } from '../../../keyspace/collections/sorted-set.ts'
import { parseDouble } from '../../../keyspace/double.ts'
import { KIND_SET, KIND_ZSET } from '../../../keyspace/row.ts'
import { SYNTAX, WRONG_TYPE } from '../../../resp/errors.ts'
import type { Request } from '../../../resp/request.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT, NO_KEYS } from '../../command.ts'
import { int64Argument } from '../instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, readKey } from '../key-access.ts'
import { countedKeys } from './counted-keys.ts'
import { beginResult, replyElements, storeResult } from './elements.ts'
import { countedKeysFrom, keyAt } from '../../key-specs.ts'

const WEIGHT_NOT_A_FLOAT = 'ERR weight value is not a float'
const LIMIT_NEGATIVE = "ERR LIMIT can't be negative"

/** Combines two scores of a member. */
type Aggregate = (score: number, other: number) => number

const AGGREGATES: ReadonlyMap<string, Aggregate> = new Map([
  [
    'SUM',
    (score, other) => {
      const sum = score + other
      // Infinity and -Infinity are 0 together.
      return Number.isNaN(sum) ? 0 : sum
    },
  ],
  ['MIN', (score, other) => (other < score ? other : score)],
  ['MAX', (score, other) => (other > score ? other : score)],
])

/** A key that a result is made of. */
class Source {
  readonly lens: SortedSet | Members | null
  weight = 1

  constructor(lens: SortedSet | Members | null) {
    this.lens = lens
  }

  get count(): number {
    return this.lens?.count ?? 0
  }

  /** Visits all members with their scores, until that says that it is enough. */
  visit(visit: (bytes: Uint8Array, start: number, end: number, score: number) => boolean | void): void {
    const { lens } = this
    if (lens === null) return
    for (lens.rewind(); lens.next();) {
      if (visit(lens.elements, lens.memberStart, lens.memberEnd, scoreOf(lens)) === false) return
    }
  }

  /** The score of a member; undefined if it is not there. */
  find(bytes: Uint8Array, start: number, end: number): number | undefined {
    const { lens } = this
    if (lens === null) return undefined
    if (lens instanceof Members) return lens.has(bytes, start, end) ? 1 : undefined
    return lens.find(bytes, start, end) ? lens.score : undefined
  }
}

const scoreOf = (lens: SortedSet | Members): number => (lens instanceof SortedSet ? lens.score : 1)

/** The product, 0 for an infinity without weight. */
function weighted(score: number, weight: number): number {
  const product = score * weight
  return Number.isNaN(product) ? 0 : product
}

type Operation = 'union' | 'intersection' | 'difference'

interface Combination {
  readonly sources: Source[]
  readonly aggregate: Aggregate
  readonly hasScores: boolean
  /** Members that are enough; 0: all. */
  readonly limit: number
}

interface Form {
  readonly operation: Operation
  readonly name: string
  readonly result: 'answered' | 'counted' | 'stored'
}

/** The keys and the options behind them; undefined if they are wrong, and the client has its error. */
function parse(call: Call, { operation, name, result }: Form): Combination | undefined {
  const { request, reply } = call
  const { bytes, start, end, argc } = request
  const refuse = (error: string): undefined => {
    reply.error(error)
    return undefined
  }
  const at = result === 'stored' ? 2 : 1
  const keys = int64Argument(call, at)
  if (keys === undefined) return undefined
  if (keys < 1) return refuse(`ERR at least 1 input key is needed for '${name}' command`)
  if (keys > argc - at - 1) return refuse(SYNTAX)
  let i = at + 1 + Number(keys)
  const sources = sourcesOf(call, at + 1, i - 1)
  if (sources === undefined) return undefined

  const isCombined = operation !== 'difference' && result !== 'counted'
  let aggregate = AGGREGATES.get('SUM')!
  let hasScores = false
  let limit = 0
  while (i < argc) {
    if (isCombined && argc - i > sources.length && request.is(i, 'WEIGHTS')) {
      i++
      for (const source of sources) {
        source.weight = parseDouble(bytes, start[i], end[i])
        if (Number.isNaN(source.weight)) return refuse(WEIGHT_NOT_A_FLOAT)
        i++
      }
    } else if (isCombined && i + 1 < argc && request.is(i, 'AGGREGATE')) {
      const chosen = AGGREGATES.get(request.latin1(i + 1).toUpperCase())
      if (chosen === undefined) return refuse(SYNTAX)
      aggregate = chosen
      i += 2
    } else if (result === 'answered' && request.is(i, 'WITHSCORES')) {
      hasScores = true
      i++
    } else if (result === 'counted' && i + 1 < argc && request.is(i, 'LIMIT')) {
      const n = parseInt64(bytes, start[i + 1], end[i + 1])
      if (n === undefined || n < 0n) return refuse(LIMIT_NEGATIVE)
      limit = Number(n)
      i += 2
    } else return refuse(SYNTAX)
  }
  return { sources, aggregate, hasScores, limit }
}

/** Undefined if a key is neither a sorted set nor a set; the client has its error. */
function sourcesOf(call: Call, first: number, last: number): Source[] | undefined {
  const { collections } = call.engine.keyspace
  const database = databaseOf(call)
  const sources: Source[] = []
  for (let i = first; i <= last; i++) {
    const ref = readKey(call, database, i)
    const kind = ref === 0 ? 0 : database.kind(ref)
    if (ref === 0) sources.push(new Source(null))
    else if (kind === KIND_ZSET) sources.push(new Source(new SortedSet(collections).open(database, ref)))
    else if (kind === KIND_SET) sources.push(new Source(new Members(collections).open(database, ref)))
    else {
      call.reply.error(WRONG_TYPE)
      return undefined
    }
  }
  return sources
}

const bySize = (sources: readonly Source[]): Source[] => sources.toSorted((a, b) => a.count - b.count)

function unite({ sources, aggregate }: Combination, into: SortedSet): void {
  for (const source of bySize(sources)) {
    source.visit((bytes, start, end, given) => {
      const score = weighted(given, source.weight)
      if (into.find(bytes, start, end)) {
        const sum = aggregate(into.score, score)
        if (!Object.is(sum, into.score)) into.rescore(sum)
      } else into.add(bytes, start, end, score)
    })
  }
}

/** Visits what all sources have, with the score of the whole. */
function forEachCommon(
  { sources, aggregate }: Combination,
  visit: (bytes: Uint8Array, start: number, end: number, score: number) => boolean | void,
): void {
  const [smallest, ...others] = bySize(sources)
  if (smallest.count === 0) return
  smallest.visit((bytes, start, end, given) => {
    let score = weighted(given, smallest.weight)
    for (const other of others) {
      const found = other.find(bytes, start, end)
      if (found === undefined) return true
      score = aggregate(score, found * other.weight)
    }
    return visit(bytes, start, end, score)
  })
}

function subtract({ sources: [first, ...others] }: Combination, into: SortedSet): void {
  first.visit((bytes, start, end, score) => {
    if (!others.some((other) => other.find(bytes, start, end) !== undefined)) into.add(bytes, start, end, score)
  })
}

function combine(call: Call, form: Form): void {
  const { reply } = call
  const parsed = parse(call, form)
  if (parsed === undefined) return
  if (form.result === 'counted') {
    let found = 0
    forEachCommon(parsed, () => ++found !== parsed.limit)
    return reply.integer(found)
  }
  const database = databaseOf(call)
  const isStored = form.result === 'stored'
  if (isStored && isForbidden(call, database, 1, findKey(call, database, 1, hashOf(call, database, 1)))) return
  const result = beginResult(call)
  if (form.operation === 'union') unite(parsed, result)
  else if (form.operation === 'difference') subtract(parsed, result)
  else forEachCommon(parsed, (bytes, start, end, score) => result.add(bytes, start, end, score))
  result.endChange()
  if (isStored) return storeResult(call, result, form.name)
  if (result.count === 0) return reply.array(0)
  replyElements(call, result, { from: 0, to: result.count }, false, parsed.hasScores)
  result.database.remove(result.ref, result.keyHash)
}

/** `destination numkeys key ...` */
function storedKeys(request: Request): number[] | null {
  const keys = countedKeys(request, 2)
  return keys === null ? null : [1, ...keys]
}

export const sortedSetAlgebraCommands: readonly CommandSpec[] = [
  {
    name: 'ZUNION',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RO access')],
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(N + M * log M), N elements of all sources, M of the result',
    summary: 'The elements that any of these sorted sets has.',
    syntax: 'numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]',
    keysOf: (request) => countedKeys(request, 1),
    run: (call) => combine(call, { operation: 'union', name: 'zunion', result: 'answered' }),
  },
  {
    name: 'ZUNIONSTORE',
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW update'), countedKeysFrom(2, 'RO access')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(N + M * log M), N elements of all sources, M of the result',
    summary: 'Makes a sorted set of the elements that any of these has.',
    syntax: 'destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]',
    keysOf: storedKeys,
    run: (call) => combine(call, { operation: 'union', name: 'zunionstore', result: 'stored' }),
  },
  {
    name: 'ZINTER',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RO access')],
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(N * K + M * log M), N elements of the smallest of K sources, M of the result',
    summary: 'The elements that all of these sorted sets have.',
    syntax: 'numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]',
    keysOf: (request) => countedKeys(request, 1),
    run: (call) => combine(call, { operation: 'intersection', name: 'zinter', result: 'answered' }),
  },
  {
    name: 'ZINTERSTORE',
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW update'), countedKeysFrom(2, 'RO access')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(N * K + M * log M), N elements of the smallest of K sources, M of the result',
    summary: 'Makes a sorted set of the elements that all of these have.',
    syntax: 'destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]',
    keysOf: storedKeys,
    run: (call) => combine(call, { operation: 'intersection', name: 'zinterstore', result: 'stored' }),
  },
  {
    name: 'ZINTERCARD',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RO access')],
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '7.0.0',
    complexity: 'O(N * K), N elements of the smallest of K sources',
    summary: 'How many members all of these sorted sets have.',
    syntax: 'numkeys key [key ...] [LIMIT limit]',
    keysOf: (request) => countedKeys(request, 1),
    run: (call) => combine(call, { operation: 'intersection', name: 'zintercard', result: 'counted' }),
  },
  {
    name: 'ZDIFF',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RO access')],
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(N * K + M * log M), N elements of the first of K sources, M of the result',
    summary: 'The elements of the first sorted set that no other has.',
    syntax: 'numkeys key [key ...] [WITHSCORES]',
    keysOf: (request) => countedKeys(request, 1),
    run: (call) => combine(call, { operation: 'difference', name: 'zdiff', result: 'answered' }),
  },
  {
    name: 'ZDIFFSTORE',
    arity: -4,
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW update'), countedKeysFrom(2, 'RO access')],
    categories: ['write', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(N * K + M * log M), N elements of the first of K sources, M of the result',
    summary: 'Makes a sorted set of the elements of the first one that no other has.',
    syntax: 'destination numkeys key [key ...]',
    keysOf: storedKeys,
    run: (call) => combine(call, { operation: 'difference', name: 'zdiffstore', result: 'stored' }),
  },
]
