// Strings that are numbers: INCR and its like, exact over all of int64, and INCRBYFLOAT.

import { parseInt64, parseInteger, writeInteger } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import { addLongDoubles, formatLongDouble, parseLongDouble } from '../../keyspace/long-double.ts'
import { ENCODING_NATURAL, ENCODING_TEXT } from '../../keyspace/row.ts'
import { DECREMENT_OVERFLOW, INCREMENT_NOT_FINITE, INCREMENT_OVERFLOW, VALUE_NOT_AN_INTEGER, VALUE_NOT_A_FLOAT } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { recordSet } from '../key-records.ts'
import { NEW, STRING, announce } from '../notices.ts'
import { int64Argument } from './instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, isString } from './key-access.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Digits of a result on their way into a row and a record. */
const scratch = Buffer.alloc(24)

/** Adds a safe integer to argument 1. */
function increment(call: Call, by: number): void {
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  let before = 0
  if (ref !== 0) {
    if (!isString(call, database, ref)) return
    database.open(ref)
    before = parseInteger(database.bytes, database.valueStart, database.valueEnd)
  }
  const after = before + by
  if (!Number.isSafeInteger(after)) return incrementExactly(call, database, ref, hash, BigInt(by))
  store(call, database, ref, hash, writeInteger(scratch, 0, after), ENCODING_NATURAL)
  call.reply.integer(after)
}

/** The same with any int64s. Adds to argument 1, whose row is `ref`: 0, or a string. */
function incrementExactly(call: Call, database: Database, ref: number, hash: number, by: bigint): void {
  const { reply } = call
  let before: bigint | undefined = 0n
  if (ref !== 0) {
    database.open(ref)
    before = parseInt64(database.bytes, database.valueStart, database.valueEnd)
  }
  if (before === undefined) return reply.error(VALUE_NOT_AN_INTEGER)
  const after = before + by
  if (after < INT64_MIN || after > INT64_MAX) return reply.error(INCREMENT_OVERFLOW)
  store(call, database, ref, hash, scratch.write(String(after), 0, 'latin1'), ENCODING_NATURAL)
  reply.int64(after)
}

/** Sets argument 1 to the first `length` bytes of `scratch` and keeps its time to live. */
function store(call: Call, database: Database, ref: number, hash: number, length: number, encoding: number): void {
  const { bytes, start, end } = call.request
  const row = database.putString(ref, hash, bytes, start[1], end[1], scratch, 0, length, encoding)
  recordSet(call, 1, scratch, 0, length, database.expires(row) ? 'keep' : 'none')
  if (ref === 0) announce(call, NEW, 'new', 1)
  announce(call, STRING, 'incrby', 1)
}

function incrby(call: Call): void {
  const by = int64Argument(call, 2)
  if (by === undefined) return
  incrementBy(call, by)
}

function decrby(call: Call): void {
  const by = int64Argument(call, 2)
  if (by === undefined) return
  // -(-2^63) is no int64.
  if (by === INT64_MIN) return call.reply.error(DECREMENT_OVERFLOW)
  incrementBy(call, typeof by === 'number' ? 0 - by : -by)
}

function incrementBy(call: Call, by: number | bigint): void {
  if (typeof by === 'number') return increment(call, by)
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref !== 0 && !isString(call, database, ref)) return
  incrementExactly(call, database, ref, hash, by)
}

function incrbyfloat(call: Call): void {
  const { request, reply } = call
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref !== 0 && !isString(call, database, ref)) return
  if (ref !== 0) database.open(ref)
  const before = ref === 0 ? undefined : parseLongDouble(database.bytes, database.valueStart, database.valueEnd)
  if (ref !== 0 && before === undefined) return reply.error(VALUE_NOT_A_FLOAT)
  const by = parseLongDouble(request.bytes, request.start[2], request.end[2])
  if (by === undefined) return reply.error(VALUE_NOT_A_FLOAT)
  const after = before === undefined ? by : addLongDoubles(before, by)
  if (after.isInfinite) return reply.error(INCREMENT_NOT_FINITE)
  const text = Buffer.from(formatLongDouble(after), 'latin1')
  const row = database.putString(ref, hash, request.bytes, request.start[1], request.end[1], text, 0, text.length, ENCODING_TEXT)
  recordSet(call, 1, text, 0, text.length, database.expires(row) ? 'keep' : 'none')
  if (ref === 0) announce(call, NEW, 'new', 1)
  announce(call, STRING, 'incrbyfloat', 1)
  reply.bulk(text)
}

export const counterCommands: readonly CommandSpec[] = [
  {
    name: 'INCR',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Adds 1 to an integer; a key that does not exist counts as 0.',
    syntax: 'key',
    run: (call) => increment(call, 1),
  },
  {
    name: 'DECR',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Subtracts 1 from an integer; a key that does not exist counts as 0.',
    syntax: 'key',
    run: (call) => increment(call, -1),
  },
  {
    name: 'INCRBY',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Adds an integer to an integer.',
    syntax: 'key increment',
    run: incrby,
  },
  {
    name: 'DECRBY',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Subtracts an integer from an integer.',
    syntax: 'key decrement',
    run: decrby,
  },
  {
    name: 'INCRBYFLOAT',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '2.6.0',
    complexity: 'O(1)',
    summary: 'Adds a number to a number, in the 80-bit arithmetic that Redis uses on x86.',
    syntax: 'key increment:double',
    run: incrbyfloat,
  },
]
