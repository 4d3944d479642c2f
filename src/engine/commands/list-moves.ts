// What takes elements from the ends of lists: one key or the first of several that has some, to the client or to another list. The
// commands that wait for elements (server/commands/blocking.ts) are made of the same pieces.

import { parseInt64 } from '../../base/decimal.ts'
import type { List } from '../../keyspace/collections/list.ts'
import { KIND_LIST } from '../../keyspace/row.ts'
import { SYNTAX, VALUE_NOT_POSITIVE, wrongArity } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT, NO_KEYS } from '../command.ts'
import { beginKeyRecord } from '../key-records.ts'
import { GENERIC, LIST, announce } from '../notices.ts'
import {
  announceChange,
  areSame,
  changeCollection,
  databaseOf,
  findKey,
  hashOf,
  isForbidden,
  isKind,
  writeCollection,
} from './key-access.ts'
import { countedKeysFrom, keyAt } from '../key-specs.ts'

const LONG_MAX = 2n ** 63n - 1n
const NUMKEYS = 'ERR numkeys should be greater than 0'
const COUNT = 'ERR count should be greater than 0'

/** What waits for a list waits for this kind of key. */
export const LISTS = KIND_LIST

export const listOf = (call: Call): List => call.engine.keyspace.collections.list

/** Removes n elements from an end of the list, which is argument `key`, with the record. */
function remove(call: Call, key: number, list: List, isHead: boolean, n: number): void {
  const { bytes, start, end } = call.request
  list.beginChange()
  if (isHead) list.removeFirst(n)
  else list.removeLast(n)
  list.endChange()
  const journal = beginKeyRecord(call, 3, isHead ? 'LPOP' : 'RPOP')
  journal.bytes(bytes, start[key], end[key])
  journal.integer(n)
  announceChange(call, LIST, isHead ? 'lpop' : 'rpop', list, key)
}

/** Answers n elements from an end, the outermost first. */
function replyEnd({ reply }: Call, list: List, isHead: boolean, n: number): void {
  list.seek(isHead ? 0 : list.count - 1)
  for (let i = 0; i < n; i++) {
    reply.bulk(list.elements, list.elementStart, list.elementEnd)
    if (isHead) list.next()
    else list.previous()
  }
}

/** LPOP and RPOP. */
function pop(call: Call, isHead: boolean): void {
  const { request, reply } = call
  if (request.argc > 3) return reply.error(wrongArity(isHead ? 'lpop' : 'rpop'))
  const count = request.argc === 3 ? parseInt64(request.bytes, request.start[2], request.end[2]) : undefined
  if (request.argc === 3 && (count === undefined || count < 0n)) return reply.error(VALUE_NOT_POSITIVE)
  const list = writeCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return count === undefined ? reply.nil() : reply.nilArray()
  if (count === 0n) return reply.array(0)
  const n = count === undefined ? 1 : Math.min(Number(count), list.count)
  if (count !== undefined) reply.array(n)
  replyEnd(call, list, isHead, n)
  remove(call, 1, list, isHead, n)
}

/** As BLPOP answers: the key and one element of it. @returns false if there is no such key, and nothing is answered. */
export function popOne(call: Call, key: number, isHead: boolean): boolean {
  const { request, reply } = call
  const list = writeCollection(call, key, listOf(call))
  if (list === null) return false
  if (list === undefined) return true
  reply.array(2)
  reply.bulk(request.bytes, request.start[key], request.end[key])
  replyEnd(call, list, isHead, 1)
  remove(call, key, list, isHead, 1)
  return true
}

/** As LMPOP answers: the key and elements of it. @returns false if there is no such key, and nothing is answered. */
export function popSome(call: Call, key: number, isHead: boolean, count: number): boolean {
  const { request, reply } = call
  const list = writeCollection(call, key, listOf(call))
  if (list === null) return false
  if (list === undefined) return true
  const n = Math.min(count, list.count)
  reply.array(2)
  reply.bulk(request.bytes, request.start[key], request.end[key])
  reply.array(n)
  replyEnd(call, list, isHead, n)
  remove(call, key, list, isHead, n)
  return true
}

/** An element of argument 1 becomes one of argument 2. @returns false if there is no such key, and nothing is answered. */
export function moveOne(call: Call, fromHead: boolean, toHead: boolean): boolean {
  const { request } = call
  const lens = listOf(call)
  const found = writeCollection(call, 1, lens)
  if (found === null) return false
  if (found === undefined) return true
  const database = databaseOf(call)
  const { ref, keyHash } = found
  let isEmpty = false
  if (areSame(request, 1, 2)) {
    lens.beginChange().rotate(fromHead, toHead)
    lens.endChange()
  } else {
    const target = findKey(call, database, 2, hashOf(call, database, 2))
    if (isForbidden(call, database, 2, target)) return true
    if (target !== 0 && !isKind(call, database, target, lens.kind)) return true
    lens.open(database, ref, keyHash).beginChange()
    lens.take(fromHead)
    lens.endChange()
    isEmpty = lens.count === 0
    changeCollection(call, 2, lens)
    lens.push(toHead, lens.taken, 0, lens.takenLength)
    lens.endChange()
  }
  const journal = beginKeyRecord(call, 5, 'LMOVE')
  for (let i = 1; i < 3; i++) journal.bytes(request.bytes, request.start[i], request.end[i])
  journal.word(fromHead ? 'LEFT' : 'RIGHT')
  journal.word(toHead ? 'LEFT' : 'RIGHT')
  // What was pushed is told before what was popped.
  announce(call, LIST, toHead ? 'lpush' : 'rpush', 2)
  call.reply.bulk(lens.taken, 0, lens.takenLength)
  announce(call, LIST, fromHead ? 'lpop' : 'rpop', 1)
  if (isEmpty) announce(call, GENERIC, 'del', 1)
  return true
}

/** Argument i as an end: true for LEFT. Undefined if it is none; the client has its error. */
export function endArgument({ request, reply }: Call, i: number): boolean | undefined {
  if (request.is(i, 'LEFT')) return true
  if (request.is(i, 'RIGHT')) return false
  reply.error(SYNTAX)
  return undefined
}

/** What LMPOP asks for: the arguments first..last, which are keys, an end of them, so many elements. */
export interface ManyKeys {
  readonly first: number
  readonly last: number
  readonly isHead: boolean
  readonly count: number
}

/** `numkeys key ... LEFT|RIGHT [COUNT n]` from argument `at` on. Undefined if it is not that; the client has its error. */
export function manyKeys(call: Call, at: number): ManyKeys | undefined {
  const { request, reply } = call
  const { argc } = request
  const keys = positive(request, at)
  if (keys === undefined) {
    reply.error(NUMKEYS)
    return undefined
  }
  const where = at + 1 + keys
  if (where >= argc) {
    reply.error(SYNTAX)
    return undefined
  }
  const isHead = endArgument(call, where)
  if (isHead === undefined) return undefined
  let count = 0
  for (let i = where + 1; i < argc; i += 2) {
    if (count !== 0 || !request.is(i, 'COUNT') || i + 1 === argc) {
      reply.error(SYNTAX)
      return undefined
    }
    const n = positive(request, i + 1)
    if (n === undefined) {
      reply.error(COUNT)
      return undefined
    }
    count = n
  }
  return { first: at + 1, last: where - 1, isHead, count: count === 0 ? 1 : count }
}

/** The keys of `numkeys key ...`, for COMMAND GETKEYS; null if the arguments do not fit. */
export function countedKeys(request: Request, at: number): number[] | null {
  const keys = positive(request, at)
  return keys === undefined || at + keys >= request.argc ? null : Array.from({ length: keys }, (_, k) => at + 1 + k)
}

function positive({ bytes, start, end }: Request, i: number): number | undefined {
  const n = parseInt64(bytes, start[i], end[i])
  return n === undefined || n < 1n || n > LONG_MAX ? undefined : Number(n)
}

function lmove(call: Call): void {
  const fromHead = endArgument(call, 3)
  if (fromHead === undefined) return
  const toHead = endArgument(call, 4)
  if (toHead === undefined) return
  if (!moveOne(call, fromHead, toHead)) call.reply.nil()
}

function rpoplpush(call: Call): void {
  if (!moveOne(call, false, true)) call.reply.nil()
}

function lmpop(call: Call): void {
  const asked = manyKeys(call, 1)
  if (asked === undefined) return
  const { first, last, isHead, count } = asked
  for (let i = first; i <= last; i++) if (popSome(call, i, isHead, count)) return
  call.reply.nilArray()
}

export const TWO_KEYS = { first: 1, last: 2, step: 1 }

export const listMoveCommands: readonly CommandSpec[] = [
  {
    name: 'LPOP',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements returned',
    summary: 'Takes elements from the head of a list.',
    syntax: 'key [count]',
    run: (call) => pop(call, true),
  },
  {
    name: 'RPOP',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements returned',
    summary: 'Takes elements from the tail of a list.',
    syntax: 'key [count]',
    run: (call) => pop(call, false),
  },
  {
    name: 'LMPOP',
    arity: -4,
    flags: ['write', 'movablekeys'],
    keys: NO_KEYS,
    keySpecs: [countedKeysFrom(1, 'RW access delete')],
    keysOf: (request) => countedKeys(request, 1),
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '7.0.0',
    complexity: 'O(N+M), N keys, M elements returned',
    summary: 'Takes elements from an end of the first of several lists that is there.',
    syntax: 'numkeys key [key ...] <LEFT | RIGHT> [COUNT count]',
    run: lmpop,
  },
  {
    name: 'LMOVE',
    arity: 5,
    flags: ['write', 'denyoom'],
    keys: TWO_KEYS,
    keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'RW insert')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '6.2.0',
    complexity: 'O(1)',
    summary: 'Moves an element from an end of a list to an end of another, or of the same one.',
    syntax: 'source destination <LEFT | RIGHT> <LEFT | RIGHT>',
    run: lmove,
  },
  {
    name: 'RPOPLPUSH',
    arity: 3,
    flags: ['write', 'denyoom'],
    keys: TWO_KEYS,
    keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'RW insert')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '1.2.0',
    complexity: 'O(1)',
    summary: 'Moves the last element of a list to the head of another; LMOVE is the newer form.',
    syntax: 'source destination',
    run: rpoplpush,
  },
]
