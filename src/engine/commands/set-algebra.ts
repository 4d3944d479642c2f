// Sets made of sets: intersection, union and difference, answered, counted or stored.
//
// A result is gathered in the keyspace's scratch database, as the set that it will be: numbers are in their order, as Redis answers them,
// and storing it is moving it. So a destination may also be one of the sources.

import { parseInt64 } from '../../base/decimal.ts'
import { Members } from '../../keyspace/collections/set.ts'
import { KIND_SET } from '../../keyspace/row.ts'
import { SYNTAX } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { setRecords } from '../collections/set-records.ts'
import { ALL_ARGUMENTS, type CommandSpec, NO_KEYS } from '../command.ts'
import type { Request } from '../../resp/request.ts'
import { beginKeyRecord, moveKey, recordArguments } from '../key-records.ts'
import { GENERIC, NEW, SET, announce } from '../notices.ts'
import { databaseOf, findKey, hashOf, isForbidden, isKind, readKey } from './key-access.ts'
import { countedKeysFrom, keyAt, keysFrom } from '../key-specs.ts'

const LIMIT_NEGATIVE = "ERR LIMIT can't be negative"

/** The sets of arguments first..last, null where there is no such key. Undefined if one is of another type; the client has its error. */
function sourcesOf(call: Call, first: number, last: number): (Members | null)[] | undefined {
  const { collections } = call.engine.keyspace
  const database = databaseOf(call)
  const sources: (Members | null)[] = []
  for (let i = first; i <= last; i++) {
    const ref = readKey(call, database, i)
    if (ref !== 0 && !isKind(call, database, ref, KIND_SET)) return undefined
    sources.push(ref === 0 ? null : new Members(collections).open(database, ref))
  }
  return sources
}

/** Shows the members that all have, from the smallest of the sets, until `visit` says that it is enough. */
function forEachCommon(sources: readonly (Members | null)[], visit: (set: Members) => boolean): void {
  const sets = sources.filter((source) => source !== null)
  if (sets.length < sources.length) return
  const [smallest, ...others] = sets.toSorted((a, b) => a.count - b.count)
  for (smallest.rewind(); smallest.next();) {
    const { elements, memberStart, memberEnd } = smallest
    if (others.every((other) => other.has(elements, memberStart, memberEnd)) && !visit(smallest)) return
  }
}

/** Adds the result of the sources to `into`. */
type Combination = (sources: readonly (Members | null)[], into: Members) => void

const addShown = (into: Members, set: Members): boolean => into.add(set.elements, set.memberStart, set.memberEnd)

const intersection: Combination = (sources, into) => forEachCommon(sources, (set) => addShown(into, set))

const union: Combination = (sources, into) => {
  for (const set of sources) if (set !== null) for (set.rewind(); set.next();) addShown(into, set)
}

const difference: Combination = ([first, ...others], into) => {
  if (first === null) return
  const rest = others.filter((other) => other !== null)
  for (first.rewind(); first.next();) {
    const { elements, memberStart, memberEnd } = first
    if (!rest.some((other) => other.has(elements, memberStart, memberEnd))) addShown(into, first)
  }
}

/** SINTER, SUNION, SDIFF and their STOREs: sources are the arguments from `first` on; if that is 2, argument 1 is the destination, and has `event`. */
function combine(call: Call, combination: Combination, first: number, event = ''): void {
  const { request, reply, engine } = call
  const { scratch, collections } = engine.keyspace
  const isStored = first === 2
  const database = databaseOf(call)
  if (isStored && isForbidden(call, database, 1, findKey(call, database, 1, hashOf(call, database, 1)))) return
  const sources = sourcesOf(call, first, request.argc - 1)
  if (sources === undefined) return

  const { bytes, start, end } = request
  const result = new Members(collections)
  result.create(scratch, scratch.hash(bytes, start[1], end[1]), bytes, start[1], end[1])
  combination(sources, result)
  result.endChange()
  if (isStored) return store(call, result, event)
  reply.set(result.count)
  if (result.count === 0) return
  for (result.rewind(); result.next();) reply.bulk(result.elements, result.memberStart, result.memberEnd)
  scratch.remove(result.ref, result.keyHash)
}

/** Argument 1 becomes the result, whatever it was before. */
function store(call: Call, result: Members, event: string): void {
  const { request, reply } = call
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const old = findKey(call, database, 1, hash)
  if (old !== 0) {
    database.remove(old, hash)
    recordArguments(call, 'DEL', 1, 1)
  }
  if (result.count > 0) {
    const ref = moveKey({ source: result.database, ref: result.ref, target: database, request, key: 1 }, result.keyHash)
    result.open(database, ref)
    const begin = (name: string, args: number) => {
      const journal = beginKeyRecord(call, args + 2, name)
      journal.bytes(request.bytes, request.start[1], request.end[1])
      return journal
    }
    const pieces = setRecords.snapshot(result, { begin })
    while (pieces.next().done !== true);
    if (old === 0) announce(call, NEW, 'new', 1)
  }
  reply.integer(result.count)
  if (result.count > 0) announce(call, SET, event, 1)
  else if (old !== 0) announce(call, GENERIC, 'del', 1)
}

function sintercard(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const keys = parseInt64(bytes, start[1], end[1])
  if (keys === undefined || keys < 1) return reply.error('ERR numkeys should be greater than 0')
  if (keys > request.argc - 2) return reply.error("ERR Number of keys can't be greater than number of args")
  let limit = 0
  for (let i = 2 + Number(keys); i < request.argc; i += 2) {
    if (!request.is(i, 'LIMIT') || i + 1 === request.argc) return reply.error(SYNTAX)
    const n = parseInt64(bytes, start[i + 1], end[i + 1])
    if (n === undefined || n < 0) return reply.error(LIMIT_NEGATIVE)
    limit = Number(n)
  }
  const sources = sourcesOf(call, 2, 1 + Number(keys))
  if (sources === undefined) return
  let found = 0
  forEachCommon(sources, () => ++found !== limit)
  reply.integer(found)
}

/** SINTERCARD numkeys key ...: as many keys as it says. */
function countedKeys(request: Request): number[] | null {
  const keys = parseInt64(request.bytes, request.start[1], request.end[1])
  if (keys === undefined || keys < 1 || keys > request.argc - 2) return null
  return Array.from({ length: Number(keys) }, (_, i) => i + 2)
}

export const setAlgebraCommands: readonly CommandSpec[] = [
  {
    name: 'SINTER',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_ARGUMENTS,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N * M), N members of the smallest of M sets',
    summary: 'The members that all of these sets have.',
    syntax: 'key [key ...]',
    run: (call) => combine(call, intersection, 1),
  },
  {
    name: 'SINTERCARD',
    arity: -3,
    flags: ['readonly', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RO access')],
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '7.0.0',
    complexity: 'O(N * M), N members of the smallest of M sets',
    summary: 'How many members all of these sets have.',
    syntax: 'numkeys key [key ...] [LIMIT limit]',
    keysOf: countedKeys,
    run: sintercard,
  },
  {
    name: 'SINTERSTORE',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keyAt(1, 'RW update'), keysFrom(2, 'RO access')],
    categories: ['write', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(N * M), N members of the smallest of M sets',
    summary: 'Makes a set of the members that all of these sets have.',
    syntax: 'destination key [key ...]',
    run: (call) => combine(call, intersection, 2, 'sinterstore'),
  },
  {
    name: 'SUNION',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_ARGUMENTS,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N members of all sets',
    summary: 'The members that any of these sets has.',
    syntax: 'key [key ...]',
    run: (call) => combine(call, union, 1),
  },
  {
    name: 'SUNIONSTORE',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keyAt(1, 'OW update'), keysFrom(2, 'RO access')],
    categories: ['write', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(N), N members of all sets',
    summary: 'Makes a set of the members that any of these sets has.',
    syntax: 'destination key [key ...]',
    run: (call) => combine(call, union, 2, 'sunionstore'),
  },
  {
    name: 'SDIFF',
    arity: -2,
    flags: ['readonly'],
    keys: ALL_ARGUMENTS,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N members of all sets',
    summary: 'The members of the first set that no other has.',
    syntax: 'key [key ...]',
    run: (call) => combine(call, difference, 1),
  },
  {
    name: 'SDIFFSTORE',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keyAt(1, 'OW update'), keysFrom(2, 'RO access')],
    categories: ['write', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(N), N members of all sets',
    summary: 'Makes a set of the members of the first set that no other has.',
    syntax: 'destination key [key ...]',
    run: (call) => combine(call, difference, 2, 'sdiffstore'),
  },
]
