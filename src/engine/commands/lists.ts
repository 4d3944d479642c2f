// Lists: elements by their place.

import { parseInt64 } from '../../base/decimal.ts'
import type { List } from '../../keyspace/collections/list.ts'
import { NO_SUCH_KEY, SYNTAX } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { beginKeyRecord, recordArguments } from '../key-records.ts'
import { GENERIC, LIST, announce } from '../notices.ts'
import { Chosen } from './chosen.ts'
import { int64Argument } from './instants.ts'
import { announceChange, readCollection, startCollection, writeCollection } from './key-access.ts'
import { listMoveCommands, listOf } from './list-moves.ts'
import { keyAt } from '../key-specs.ts'

const INDEX_OUT_OF_RANGE = 'ERR index out of range'
const RANK_IS_ZERO =
  "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"

const LONG_MIN = -(2n ** 63n)

const chosen = new Chosen()

function replyElement({ reply }: Call, list: List): void {
  reply.bulk(list.elements, list.elementStart, list.elementEnd)
}

function isElement({ request }: Call, list: List, i: number): boolean {
  return list.isHere(request.bytes, request.start[i], request.end[i])
}

/** An index that may count from the end (-1) as one from the head; it may lie outside. */
function fromHead(index: bigint | number, count: number): number {
  const n = Number(index)
  return n < 0 ? n + count : n
}

/** LPUSH, RPUSH, LPUSHX and RPUSHX. */
function push(call: Call, isHead: boolean, onlyOld: boolean): void {
  const { bytes, start, end, argc } = call.request
  const found = writeCollection(call, 1, listOf(call))
  if (found === undefined) return
  if (found === null && onlyOld) return call.reply.integer(0)
  const list = found === null ? startCollection(call, 1, listOf(call)) : found.beginChange()
  for (let i = 2; i < argc; i++) list.push(isHead, bytes, start[i], end[i])
  list.endChange()
  recordArguments(call, isHead ? 'LPUSH' : 'RPUSH', 1, argc - 1)
  call.reply.integer(list.count)
  announce(call, LIST, isHead ? 'lpush' : 'rpush', 1)
}

function llen(call: Call): void {
  const list = readCollection(call, 1, listOf(call))
  if (list !== undefined) call.reply.integer(list?.count ?? 0)
}

function lrange(call: Call): void {
  const { reply } = call
  const from = int64Argument(call, 2)
  if (from === undefined) return
  const to = int64Argument(call, 3)
  if (to === undefined) return
  const list = readCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.array(0)
  const first = Math.max(0, fromHead(from, list.count))
  const last = Math.min(list.count - 1, fromHead(to, list.count))
  if (first > last) return reply.array(0)
  reply.array(last - first + 1)
  list.seek(first)
  replyElement(call, list)
  for (let i = first; i < last; i++) {
    list.next()
    replyElement(call, list)
  }
}

function lindex(call: Call): void {
  const { reply } = call
  const list = readCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.nil()
  const asked = int64Argument(call, 2)
  if (asked === undefined) return
  const index = fromHead(asked, list.count)
  if (index < 0 || index >= list.count) return reply.nil()
  list.seek(index)
  replyElement(call, list)
}

function lset(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const list = writeCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.error(NO_SUCH_KEY)
  const asked = int64Argument(call, 2)
  if (asked === undefined) return
  const index = fromHead(asked, list.count)
  if (index < 0 || index >= list.count) return reply.error(INDEX_OUT_OF_RANGE)
  list.beginChange().seek(index)
  list.replaceHere(bytes, start[3], end[3])
  list.endChange()
  const journal = beginKeyRecord(call, 4, 'LSET')
  journal.bytes(bytes, start[1], end[1])
  journal.integer(index)
  journal.bytes(bytes, start[3], end[3])
  reply.ok()
  announce(call, LIST, 'lset', 1)
}

function linsert(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const isBefore = request.is(2, 'BEFORE')
  if (!isBefore && !request.is(2, 'AFTER')) return reply.error(SYNTAX)
  const list = writeCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.integer(0)
  list.seek(0)
  while (!isElement(call, list, 3)) if (!list.next()) return reply.integer(-1)
  list.beginChange().insertHere(isBefore, bytes, start[4], end[4])
  list.endChange()
  const journal = beginKeyRecord(call, 5, 'LINSERT')
  journal.bytes(bytes, start[1], end[1])
  journal.word(isBefore ? 'BEFORE' : 'AFTER')
  journal.bytes(bytes, start[3], end[3])
  journal.bytes(bytes, start[4], end[4])
  announce(call, LIST, 'linsert', 1)
  reply.integer(list.count)
}

function lrem(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const asked = int64Argument(call, 2)
  if (asked === undefined) return
  const count = Number(asked)
  const list = writeCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.integer(0)
  const fromTail = count < 0
  const limit = count === 0 ? Infinity : Math.abs(count)
  list.beginChange()
  const removed = list.removeEqual(bytes, start[3], end[3], limit, fromTail)
  list.endChange()
  if (removed === 0) return reply.integer(0)
  const journal = beginKeyRecord(call, 4, 'LREM')
  journal.bytes(bytes, start[1], end[1])
  journal.integer(fromTail ? -removed : removed)
  journal.bytes(bytes, start[3], end[3])
  announceChange(call, LIST, 'lrem', list)
  reply.integer(removed)
}

function ltrim(call: Call): void {
  const { request, reply } = call
  const from = int64Argument(call, 2)
  if (from === undefined) return
  const to = int64Argument(call, 3)
  if (to === undefined) return
  const list = writeCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return reply.ok()
  const { count } = list
  const first = Math.max(0, fromHead(from, count))
  const last = Math.min(count - 1, fromHead(to, count))
  announce(call, LIST, 'ltrim', 1)
  if (first > last) {
    list.database.remove(list.ref, list.keyHash)
    recordArguments(call, 'DEL', 1, 1)
    announce(call, GENERIC, 'del', 1)
    return reply.ok()
  }
  // Also if everything stays there is a record: for WATCH the key has changed.
  if (last - first + 1 < count) {
    list.beginChange().removeLast(count - 1 - last)
    list.removeFirst(first)
    list.endChange()
  }
  const journal = beginKeyRecord(call, 4, 'LTRIM')
  journal.bytes(request.bytes, request.start[1], request.end[1])
  journal.integer(first)
  journal.integer(last)
  reply.ok()
}

/** Argument i of LPOS, which must be 0 or more. Undefined: the client has its error. */
function notNegative({ request, reply }: Call, i: number, name: string): number | undefined {
  const n = parseInt64(request.bytes, request.start[i], request.end[i])
  if (n !== undefined && n >= 0n) return Number(n)
  reply.error(`ERR ${name} can't be negative`)
  return undefined
}

function lpos(call: Call): void {
  const { request, reply } = call
  let rank: number | bigint = 1
  let count: number | undefined
  let most: number | undefined
  for (let i = 3; i < request.argc; i += 2) {
    const hasValue = i + 1 < request.argc
    if (request.is(i, 'RANK') && hasValue) {
      const n = int64Argument(call, i + 1)
      if (n === undefined) return
      if (n === 0) return reply.error(RANK_IS_ZERO)
      rank = n
    } else if (request.is(i, 'COUNT') && hasValue) {
      count = notNegative(call, i + 1, 'COUNT')
      if (count === undefined) return
    } else if (request.is(i, 'MAXLEN') && hasValue) {
      most = notNegative(call, i + 1, 'MAXLEN')
      if (most === undefined) return
    } else return reply.error(SYNTAX)
  }
  const list = readCollection(call, 1, listOf(call))
  if (list === undefined) return
  if (list === null) return count === undefined ? reply.nil() : reply.array(0)

  const isForward = rank > 0
  // The rank that has no opposite counts as the first one from the tail in redis-server, and then all are given.
  const isLowest = rank === LONG_MIN
  const wanted = count === undefined ? 1 : count === 0 || isLowest ? Infinity : count
  const looks = most === undefined || most === 0 ? list.count : Math.min(most, list.count)
  let before = isLowest ? 0 : Math.abs(Number(rank)) - 1
  chosen.reset()
  list.seek(isForward ? 0 : list.count - 1)
  for (let i = 0; i < looks && chosen.length < wanted; i++) {
    if (isElement(call, list, 2) && before-- <= 0) chosen.add(isForward ? i : list.count - 1 - i)
    if (isForward) list.next()
    else list.previous()
  }
  if (count !== undefined) {
    reply.array(chosen.length)
    for (let n = 0; n < chosen.length; n++) reply.integer(chosen.numbers[n])
  } else if (chosen.length > 0) reply.integer(chosen.numbers[0])
  else reply.nil()
}

const plainListCommands: readonly CommandSpec[] = [
  {
    name: 'LPUSH',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements',
    summary: 'Adds elements to the head of a list, each in front of the one before; answers how long it is.',
    syntax: 'key element [element ...]',
    run: (call) => push(call, true, false),
  },
  {
    name: 'RPUSH',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements',
    summary: 'Adds elements to the tail of a list; answers how long it is.',
    syntax: 'key element [element ...]',
    run: (call) => push(call, false, false),
  },
  {
    name: 'LPUSHX',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '2.2.0',
    complexity: 'O(N), N elements',
    summary: 'Adds elements to the head of a list that is there already.',
    syntax: 'key element [element ...]',
    run: (call) => push(call, true, true),
  },
  {
    name: 'RPUSHX',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'list', 'fast'],
    group: 'list',
    since: '2.2.0',
    complexity: 'O(N), N elements',
    summary: 'Adds elements to the tail of a list that is there already.',
    syntax: 'key element [element ...]',
    run: (call) => push(call, false, true),
  },
  {
    name: 'LLEN',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'list', 'fast'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'How many elements a list has.',
    syntax: 'key',
    run: llen,
  },
  {
    name: 'LRANGE',
    arity: 4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'list', 'slow'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(S+N), S blocks of elements from the nearer end to the first, N elements returned',
    summary: 'The elements from one index to another; negative ones count from the tail.',
    syntax: 'key start stop',
    run: lrange,
  },
  {
    name: 'LINDEX',
    arity: 3,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'list', 'slow'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N blocks of elements from the nearer end to the index',
    summary: 'The element of an index; a negative one counts from the tail.',
    syntax: 'key index',
    run: lindex,
  },
  {
    name: 'LSET',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N blocks of elements from the nearer end to the index',
    summary: 'Gives the element of an index another value.',
    syntax: 'key index element',
    run: lset,
  },
  {
    name: 'LINSERT',
    arity: 5,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '2.2.0',
    complexity: 'O(N), N elements in front of the pivot',
    summary: 'Adds an element in front of another one, or behind it; -1 if there is no such one.',
    syntax: 'key <BEFORE | AFTER> pivot element',
    run: linsert,
  },
  {
    name: 'LREM',
    arity: 4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements of the list',
    summary: 'Removes elements of one value: the first of them, with a negative count the last, with 0 all.',
    syntax: 'key count element',
    run: lrem,
  },
  {
    name: 'LTRIM',
    arity: 4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'list', 'slow'],
    group: 'list',
    since: '1.0.0',
    complexity: 'O(N), N elements removed',
    summary: 'Keeps the elements from one index to another, and no others.',
    syntax: 'key start stop',
    run: ltrim,
  },
  {
    name: 'LPOS',
    arity: -3,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'list', 'slow'],
    group: 'list',
    since: '6.0.6',
    complexity: 'O(N), N elements looked at',
    summary: 'Where in a list an element stands: once, or as often as is asked.',
    syntax: 'key element [RANK rank] [COUNT num-matches] [MAXLEN len]',
    run: lpos,
  },
]

export const listCommands: readonly CommandSpec[] = [...plainListCommands, ...listMoveCommands]
