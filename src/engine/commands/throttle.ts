// CL.THROTTLE: a limit on how often something may happen, as the module redis-cell has it (its replies, its errors, its state).
//
// The algorithm is GCRA. One permit flows in every `interval` = period / count; at most max_burst + 1 of them wait to be used. All that is
// kept is one instant, the theoretical arrival time: when everything that was used will have flowed in again. An attempt moves it on by
// `interval` times its quantity; it is limited if that would put it further ahead of now than max_burst + 1 intervals.
//
//   SET key <nanoseconds since 1970> PXAT <the same, in milliseconds, rounded up>
//
// is the whole state: an ordinary string that goes by itself when nothing is limited any more. The rate is in no key: every call brings it.
//
// What stays true: all numbers are whole nanoseconds, so that nothing drifts; an attempt that is limited changes nothing and is no record.
//
// Unusual: now is the engine's, in milliseconds, the same for all commands of a turn. So a rate above 1,000 a second is only reached with
// a max_burst that holds what comes within some milliseconds: with a burst of 0 one attempt passes in each. Where redis-cell would go on
// with a nonsense number it is otherwise here: what does not fit 64 bits is refused; a negative quantity gives permits back, up to the
// full burst; `remaining` counts exactly even if the interval is less than a microsecond; a key that is no such instant is an error.

import { parseInt64, parseInteger } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import { ENCODING_NATURAL } from '../../keyspace/row.ts'
import { VALUE_NOT_AN_INTEGER } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { recordSet } from '../key-records.ts'
import { GENERIC, NEW, STRING, announce } from '../notices.ts'
import { databaseOf, findKey, hashOf, isForbidden, isString } from './key-access.ts'

const USAGE = 'Cell error: Store error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]'
const ZERO_RATE = 'Cell error: Store error: Zero rates are not supported'
const OUT_OF_RANGE = 'Cell error: Store error: The rate, the burst or the quantity is out of range'
const NOT_AN_INTEGER = "Cell error: Store error: Couldn't parse as integer: "

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)
const NANOS_PER_SECOND = 1_000_000_000n
const NANOS_PER_MS = 1_000_000n
const NANOS_PER_MS_DIGITS = 6

/** The instant on its way into a row and a record. */
const scratch = Buffer.alloc(24)

/** Argument i as Rust reads an i64: `+5` and `007` are numbers, too. Undefined if it is none; the client has its error. */
function integerArgument({ request, reply }: Call, i: number): bigint | undefined {
  const { bytes, start, end } = request
  const n = parseInteger(bytes, start[i], end[i])
  if (n === n) return BigInt(n)
  const text = request.latin1(i)
  const value = /^[+-]?[0-9]{1,40}$/.test(text) ? BigInt(text.replace('+', '')) : undefined
  if (value !== undefined && value >= INT64_MIN && value <= INT64_MAX) return value
  reply.error(NOT_AN_INTEGER + text)
  return undefined
}

/** How long it takes for one permit to flow in, as redis-cell divides: in floating point, cut off. */
function intervalOf(count: bigint, period: bigint): bigint {
  return count === 0n ? 0n : BigInt(Math.trunc(Number(period * NANOS_PER_SECOND) / Number(count)))
}

/** The instant in the string that was opened last; undefined if it is none. */
function readInstant({ bytes, valueStart, valueEnd }: Database): bigint | undefined {
  // Nineteen digits from 2001 to 2286: two halves are numbers without a text in between.
  const half = valueEnd - NANOS_PER_MS_DIGITS
  if (valueEnd - valueStart === 19) {
    const ms = parseInteger(bytes, valueStart, half)
    let nanos = 0
    for (let p = half; p < valueEnd; p++) nanos = bytes[p] >= 48 && bytes[p] <= 57 ? nanos * 10 + bytes[p] - 48 : NaN
    if (ms > 0 && nanos === nanos) return BigInt(ms) * NANOS_PER_MS + BigInt(nanos)
  }
  const instant = parseInt64(bytes, valueStart, valueEnd)
  return instant === undefined || instant < 0n ? undefined : instant
}

/** Whole seconds, one more if there are some milliseconds left: who comes back then does not come too early. */
function wholeSeconds(nanos: bigint): number {
  const seconds = nanos / NANOS_PER_SECOND
  return Number(nanos % NANOS_PER_SECOND >= NANOS_PER_MS ? seconds + 1n : seconds)
}

function throttle(call: Call): void {
  const { request, reply } = call
  if (request.argc < 5 || request.argc > 6) return reply.error(USAGE)
  const burst = integerArgument(call, 2)
  const count = burst === undefined ? undefined : integerArgument(call, 3)
  const period = count === undefined ? undefined : integerArgument(call, 4)
  if (burst === undefined || count === undefined || period === undefined) return
  const quantity = request.argc === 6 ? integerArgument(call, 5) : 1n
  if (quantity === undefined) return
  const interval = intervalOf(count, period)
  if (interval === 0n) return reply.error(ZERO_RATE)
  const limit = burst + 1n
  const tolerance = interval * limit
  const increment = interval * quantity
  if (interval < 0n || limit > INT64_MAX || tolerance > INT64_MAX || tolerance < INT64_MIN) return reply.error(OUT_OF_RANGE)

  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  const now = BigInt(call.now) * NANOS_PER_MS
  let arrival = now
  if (ref !== 0) {
    if (!isString(call, database, ref)) return
    database.open(ref)
    const kept = readInstant(database)
    if (kept === undefined) return reply.error(VALUE_NOT_AN_INTEGER)
    arrival = kept
  }
  const from = arrival > now ? arrival : now
  const next = from + increment > now ? from + increment : now
  if (next > INT64_MAX) return reply.error(OUT_OF_RANGE)
  const early = next - now - tolerance
  const isLimited = early > 0n
  // What is limited and could never pass is told to come back never.
  const retry = isLimited && increment <= tolerance ? early : -1n
  if (!isLimited && next !== from) store(call, database, ref, hash, next)
  const reset = (isLimited ? from : next) - now
  const room = tolerance - reset
  reply.array(5)
  reply.integer(isLimited ? 1 : 0)
  reply.int64(limit)
  reply.int64(room > 0n ? room / interval : 0n)
  reply.integer(retry === -1n ? -1 : wholeSeconds(retry))
  reply.integer(wholeSeconds(reset))
}

/** Argument 1 is this instant now, until then. */
function store(call: Call, database: Database, ref: number, hash: number, instant: bigint): void {
  const { bytes, start, end } = call.request
  const length = scratch.write(String(instant), 0, 'latin1')
  const row = database.putString(ref, hash, bytes, start[1], end[1], scratch, 0, length, ENCODING_NATURAL)
  const at = Number((instant + NANOS_PER_MS - 1n) / NANOS_PER_MS)
  database.setExpiry(row, at)
  recordSet(call, 1, scratch, 0, length, at)
  if (ref === 0) announce(call, NEW, 'new', 1)
  announce(call, STRING, 'set', 1)
  announce(call, GENERIC, 'expire', 1)
}

export const throttleCommand: CommandSpec = {
  name: 'CL.THROTTLE',
  // Too few arguments have an answer of their own.
  arity: -1,
  flags: ['write', 'denyoom', 'fast'],
  keys: FIRST_ARGUMENT,
  categories: ['write', 'string', 'fast'],
  group: 'string',
  since: '0.1.0',
  complexity: 'O(1)',
  summary: 'May this happen now? Answers limited, limit, remaining, seconds until a retry and until all is free again (GCRA).',
  syntax: 'key max_burst count_per_period period [quantity]',
  run: throttle,
}
