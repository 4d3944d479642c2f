// INCREX, as Redis 8.8 has it: a counter with bounds and an expiry in one command, which answers instead of failing.
//
//   one request per buyer and second:   INCREX rate:{buyer} UBOUND 1 EX 1 ENX   ->  [1, 1] it was counted, [1, 0] it was not
//
// The reply is the value afterwards and by how much it has changed. A result beyond a bound, or beyond what the type holds (int64, or with
// BYFLOAT a long double), changes nothing, not even the expiry, and answers [value, 0]; with SATURATE the value becomes the bound. A value
// that was outside before is judged like any other: only the result counts. ENX gives an expiry only to a key that has none.
//
// Where this comes from: the command's page on redis.io, redis/redis pull requests 15045 and 15237 with their tests (unit/type/incr.tcl of
// 8.8). All that those say is so here. They do not say what follows an increment that the reply could not hold (from one end of int64 to
// the other by SATURATE: nothing is changed, as beyond a limit), which error of several comes first, nor what an infinite bound is (none).

import { parseInt64 } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Instant } from '../../keyspace/expiry-heap.ts'
import {
  type LongDouble,
  LONG_DOUBLE_MAX,
  addLongDoubles,
  compareLongDoubles,
  formatLongDouble,
  negated,
  parseLongDouble,
} from '../../keyspace/long-double.ts'
import { ENCODING_NATURAL, ENCODING_TEXT } from '../../keyspace/row.ts'
import { SYNTAX, VALUE_NOT_AN_INTEGER, VALUE_NOT_A_FLOAT } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { recordArguments, recordSet } from '../key-records.ts'
import { GENERIC, NEW, STRING, announce } from '../notices.ts'
import { MILLISECONDS, SECONDS, positiveInstant } from './instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, isString } from './key-access.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

const ENX_ALONE = 'ERR ENX flag requires an expiration'
const BOUNDS_CROSSED = "ERR LBOUND can't be greater than UBOUND"
const INCREMENT_INFINITE = 'ERR BYFLOAT increment cannot be Infinity'
const VALUE_INFINITE = 'ERR value cannot be Infinity'

/** Arguments by number; 0: not given. */
interface Options {
  by: number
  isFloat: boolean
  lower: number
  upper: number
  expiry: number
  /** Of `expiry`. */
  inSeconds: boolean
  isRelative: boolean
  saturates: boolean
  persists: boolean
  onlyIfNone: boolean
}

/** Undefined: no such options. */
function parseOptions({ request }: Call): Options | undefined {
  const options: Options = {
    by: 0,
    isFloat: false,
    lower: 0,
    upper: 0,
    expiry: 0,
    inSeconds: false,
    isRelative: false,
    saturates: false,
    persists: false,
    onlyIfNone: false,
  }
  for (let i = 2; i < request.argc; i++) {
    if (request.is(i, 'SATURATE') && !options.saturates) options.saturates = true
    else if (request.is(i, 'PERSIST') && !options.persists && options.expiry === 0 && !options.onlyIfNone) options.persists = true
    else if (request.is(i, 'ENX') && !options.onlyIfNone && !options.persists) options.onlyIfNone = true
    else {
      const isFloat = request.is(i, 'BYFLOAT')
      const value = i + 1
      if (value === request.argc) return undefined
      if ((isFloat || request.is(i, 'BYINT')) && options.by === 0) {
        options.by = value
        options.isFloat = isFloat
      } else if (request.is(i, 'LBOUND') && options.lower === 0) options.lower = value
      else if (request.is(i, 'UBOUND') && options.upper === 0) options.upper = value
      else {
        const isRelative = request.is(i, 'EX') || request.is(i, 'PX')
        const inSeconds = request.is(i, 'EX') || request.is(i, 'EXAT')
        if (!isRelative && !inSeconds && !request.is(i, 'PXAT')) return undefined
        if (options.expiry !== 0 || options.persists) return undefined
        options.expiry = value
        options.isRelative = isRelative
        options.inSeconds = inSeconds
      }
      i = value
    }
  }
  return options
}

/** What integers and long doubles are counted with. */
interface Arithmetic<T> {
  readonly zero: T
  readonly one: T
  readonly min: T
  readonly max: T
  /** How an argument that is none is refused, behind its name. */
  readonly refusal: string
  readonly wrongValue: string
  readonly event: string
  readonly encoding: number
  readonly parse: (bytes: Uint8Array, start: number, end: number) => T | undefined
  readonly isInfinite: (x: T) => boolean
  readonly add: (a: T, b: T) => T
  readonly subtract: (a: T, b: T) => T
  /** Below 0 if a < b, above if a > b. */
  readonly compare: (a: T, b: T) => number
  readonly format: (x: T) => string
  readonly reply: (call: Call, x: T) => void
}

const INTEGERS: Arithmetic<bigint> = {
  zero: 0n,
  one: 1n,
  min: INT64_MIN,
  max: INT64_MAX,
  refusal: 'is not an integer or out of range',
  wrongValue: VALUE_NOT_AN_INTEGER,
  event: 'incrby',
  encoding: ENCODING_NATURAL,
  parse: parseInt64,
  isInfinite: () => false,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  format: String,
  reply: (call, n) => call.reply.int64(n),
}

const ZERO: LongDouble = { isNegative: false, mantissa: 0n, exponent: 0, isInfinite: false }

const FLOATS: Arithmetic<LongDouble> = {
  zero: ZERO,
  one: { ...ZERO, mantissa: 1n },
  min: negated(LONG_DOUBLE_MAX),
  max: LONG_DOUBLE_MAX,
  refusal: 'is not a valid float',
  wrongValue: VALUE_NOT_A_FLOAT,
  event: 'incrbyfloat',
  encoding: ENCODING_TEXT,
  parse: parseLongDouble,
  isInfinite: (x) => x.isInfinite,
  add: addLongDoubles,
  subtract: (a, b) => addLongDoubles(a, negated(b)),
  compare: compareLongDoubles,
  format: formatLongDouble,
  reply: (call, x) => call.reply.double(formatLongDouble(x)),
}

function increx(call: Call): void {
  const options = parseOptions(call)
  if (options === undefined) return call.reply.error(SYNTAX)
  if (options.onlyIfNone && options.expiry === 0) return call.reply.error(ENX_ALONE)
  if (options.isFloat) count(call, options, FLOATS)
  else count(call, options, INTEGERS)
}

function count<T>(call: Call, options: Options, numbers: Arithmetic<T>): void {
  const { request, reply } = call
  const refuse = (error: string): undefined => {
    reply.error(error)
    return undefined
  }
  const number = (i: number, what: string, otherwise: T): T | undefined =>
    i === 0 ? otherwise : (numbers.parse(request.bytes, request.start[i], request.end[i]) ?? refuse(`ERR ${what} ${numbers.refusal}`))

  const by = number(options.by, 'Increment', numbers.one)
  if (by === undefined) return
  if (numbers.isInfinite(by)) return reply.error(INCREMENT_INFINITE)
  const lower = number(options.lower, 'LBOUND', numbers.min)
  if (lower === undefined) return
  const upper = number(options.upper, 'UBOUND', numbers.max)
  if (upper === undefined) return
  if (numbers.compare(lower, upper) > 0) return reply.error(BOUNDS_CROSSED)
  let at: Instant | undefined
  if (options.expiry !== 0) {
    at = positiveInstant(call, options.expiry, options.inSeconds ? SECONDS : MILLISECONDS, options.isRelative ? call.now : 0, 'increx')
    if (at === undefined) return
  }
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref !== 0 && !isString(call, database, ref)) return
  if (ref !== 0) database.open(ref)
  const before = ref === 0 ? numbers.zero : numbers.parse(database.bytes, database.valueStart, database.valueEnd)
  if (before === undefined) return reply.error(numbers.wrongValue)
  if (numbers.isInfinite(before)) return reply.error(VALUE_INFINITE)

  const least = numbers.compare(lower, numbers.min) > 0 ? lower : numbers.min
  const most = numbers.compare(upper, numbers.max) < 0 ? upper : numbers.max
  let after = numbers.add(before, by)
  const isAbove = numbers.compare(after, most) > 0
  const isOutside = isAbove || numbers.compare(after, least) < 0
  if (isOutside) after = isAbove ? most : least
  const change = numbers.subtract(after, before)
  const isTooMuch = numbers.compare(change, numbers.max) > 0 || numbers.compare(change, numbers.min) < 0
  reply.array(2)
  if ((isOutside && !options.saturates) || isTooMuch) {
    numbers.reply(call, before)
    numbers.reply(call, numbers.zero)
    return
  }
  numbers.reply(call, after)
  numbers.reply(call, change)

  // The text that is answered is the text that is stored.
  const hadExpiry = ref !== 0 && database.expires(ref)
  if (options.onlyIfNone && hadExpiry) at = undefined
  if (at !== undefined && at <= call.now) return forget(call, database, ref, hash)
  const text = Buffer.from(numbers.format(after), 'latin1')
  const { bytes, start, end } = request
  const row = database.putString(ref, hash, bytes, start[1], end[1], text, 0, text.length, numbers.encoding)
  if (at !== undefined) database.setExpiry(row, at)
  const forgets = options.persists && database.clearExpiry(row)
  recordSet(call, 1, text, 0, text.length, at ?? (hadExpiry && !forgets ? 'keep' : 'none'))
  if (ref === 0) announce(call, NEW, 'new', 1)
  announce(call, STRING, numbers.event, 1)
  if (at !== undefined) announce(call, GENERIC, 'expire', 1)
  if (forgets) announce(call, GENERIC, 'persist', 1)
}

/** The expiry that was asked for has passed: the key is gone. */
function forget(call: Call, database: Database, ref: number, hash: number): void {
  if (ref === 0) return
  database.remove(ref, hash)
  recordArguments(call, 'DEL', 1, 1)
  announce(call, GENERIC, 'del', 1)
}

export const increxCommand: CommandSpec = {
  name: 'INCREX',
  arity: -2,
  flags: ['write', 'denyoom', 'fast'],
  keys: FIRST_ARGUMENT,
  categories: ['write', 'string', 'fast'],
  group: 'string',
  since: '8.8.0',
  complexity: 'O(1)',
  summary: 'Adds to a number within bounds and sets when it expires; answers the value, and by how much it has changed.',
  syntax:
    'key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE]' +
    ' [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]',
  run: increx,
}
