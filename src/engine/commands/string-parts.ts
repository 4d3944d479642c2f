// Strings: parts of them read and written, their length, what two have in common.

import { STRING_BYTES_MAX } from '../../base/limits.ts'
import { ENCODING_NATURAL } from '../../keyspace/row.ts'
import { OFFSET_OUT_OF_RANGE, STRING_TOO_LONG } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { recordArguments, recordSet } from '../key-records.ts'
import { NEW, STRING, announce } from '../notices.ts'
import { int64Argument } from './instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, isString, readKey } from './key-access.ts'
import { keyAt } from '../key-specs.ts'

function append(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  const more = request.length(2)
  if (ref === 0) {
    database.putString(0, hash, bytes, start[1], end[1], bytes, start[2], end[2], ENCODING_NATURAL)
    recordSet(call, 1, bytes, start[2], end[2], 'none')
    announce(call, NEW, 'new', 1)
    announce(call, STRING, 'append', 1)
    return reply.integer(more)
  }
  if (!isString(call, database, ref)) return
  const before = database.valueLength(ref)
  if (before + more > STRING_BYTES_MAX) return reply.error(STRING_TOO_LONG)
  database.resizeString(ref, hash, before + more)
  database.overwrite(before, bytes, start[2], end[2])
  // Also if there is nothing to append: for WATCH and those who listen the key has changed.
  recordArguments(call, 'APPEND', 1, 2)
  announce(call, STRING, 'append', 1)
  reply.integer(before + more)
}

function strlen(call: Call): void {
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (ref === 0) call.reply.integer(0)
  else if (isString(call, database, ref)) call.reply.integer(database.valueLength(ref))
}

function getrange(call: Call): void {
  const { reply } = call
  const first = int64Argument(call, 2)
  if (first === undefined) return
  const last = int64Argument(call, 3)
  if (last === undefined) return
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (ref === 0) return reply.emptyBulk()
  if (!isString(call, database, ref)) return
  if (first < 0 && last < 0 && first > last) return reply.emptyBulk()
  database.open(ref)
  const length = database.valueEnd - database.valueStart
  const from = position(first, length)
  const to = Math.min(position(last, length), length - 1)
  if (from > to) reply.emptyBulk()
  else reply.bulk(database.bytes, database.valueStart + from, database.valueStart + to + 1)
}

/** An index that may count from the end, as one from the start, at least 0. Beyond 2^53 there is nothing to be exact about. */
function position(index: number | bigint, length: number): number {
  const i = Number(index)
  return i < 0 ? Math.max(i + length, 0) : i
}

function setrange(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const offset = int64Argument(call, 2)
  if (offset === undefined) return
  if (offset < 0) return reply.error(OFFSET_OUT_OF_RANGE)
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref !== 0 && !isString(call, database, ref)) return
  const before = ref === 0 ? 0 : database.valueLength(ref)
  const more = request.length(3)
  if (more === 0) return reply.integer(before)
  const from = Number(offset)
  if (from + more > STRING_BYTES_MAX) return reply.error(STRING_TOO_LONG)
  const length = Math.max(before, from + more)
  if (ref === 0) database.addZeros(hash, bytes, start[1], end[1], length)
  else database.resizeString(ref, hash, length)
  database.overwrite(from, bytes, start[3], end[3])
  recordArguments(call, 'SETRANGE', 1, 3)
  if (ref === 0) announce(call, NEW, 'new', 1)
  announce(call, STRING, 'setrange', 1)
  reply.integer(length)
}

export const stringPartCommands: readonly CommandSpec[] = [
  {
    name: 'APPEND',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '2.0.0',
    complexity: 'O(1), amortized',
    summary: 'Adds bytes to the end of a string.',
    syntax: 'key value',
    run: append,
  },
  {
    name: 'STRLEN',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'string', 'fast'],
    group: 'string',
    since: '2.2.0',
    complexity: 'O(1)',
    summary: 'The length of a string in bytes.',
    syntax: 'key',
    run: strlen,
  },
  {
    name: 'GETRANGE',
    arity: 4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'string', 'slow'],
    group: 'string',
    since: '2.4.0',
    complexity: 'O(N), N bytes returned',
    summary: 'A part of a string; negative positions count from its end.',
    syntax: 'key start end',
    run: getrange,
  },
  {
    name: 'SUBSTR',
    arity: 4,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'string', 'slow'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(N), N bytes returned',
    summary: 'GETRANGE by its old name.',
    syntax: 'key start end',
    run: getrange,
  },
  {
    name: 'SETRANGE',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '2.2.0',
    complexity: 'O(N), N bytes written',
    summary: 'Overwrites a part of a string; what is missing before it becomes zero bytes.',
    syntax: 'key offset value',
    run: setrange,
  },
]
