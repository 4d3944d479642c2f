// Instants and durations as clients give them: any int64, in seconds or milliseconds, from now or from 1970.

import { parseInt64, parseInteger } from '../../base/decimal.ts'
import { parseLongDouble, toDouble } from '../../keyspace/long-double.ts'
import type { Instant } from '../../keyspace/expiry-heap.ts'
import { VALUE_NOT_AN_INTEGER, invalidExpireTime } from '../../resp/errors.ts'
import type { Call } from '../call.ts'

export const SECONDS = 1000
export const MILLISECONDS = 1
export type Unit = typeof SECONDS | typeof MILLISECONDS

const TIMEOUT_NOT_A_FLOAT = 'ERR timeout is not a float or out of range'
const TIMEOUT_NEGATIVE = 'ERR timeout is negative'
const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/** Argument i as any int64; undefined (and the client has its error) if it is none. A bigint only if it is not a safe integer. */
export function int64Argument(call: Call, i: number): number | bigint | undefined {
  const { bytes, start, end } = call.request
  const n = parseInteger(bytes, start[i], end[i])
  if (n === n) return n
  const big = parseInt64(bytes, start[i], end[i])
  if (big === undefined) call.reply.error(VALUE_NOT_AN_INTEGER)
  return big
}

/**
 * Argument i as a future instant, for the commands that refuse 0 and less (SET, GETEX, SETEX ...).
 * @param base what it counts from: now, or 0. @returns undefined if it is none; then the client has its error.
 */
export function positiveInstant(call: Call, i: number, unit: Unit, base: number, command: string): Instant | undefined {
  const n = int64Argument(call, i)
  if (n === undefined) return undefined
  if (n > 0) {
    const at = typeof n === 'number' ? n * unit + base : 0
    if (Number.isSafeInteger(at) && at > 0) return at
    const exact = BigInt(n) * BigInt(unit) + BigInt(base)
    if (exact <= INT64_MAX) return normal(exact)
  }
  call.reply.error(invalidExpireTime(command))
  return undefined
}

/** Argument i as an instant that may have passed, for EXPIRE and its like: only an overflow is refused. Negative if long passed. */
export function anyInstant(call: Call, i: number, unit: Unit, base: number, command: string): Instant | undefined {
  const n = int64Argument(call, i)
  if (n === undefined) return undefined
  const at = typeof n === 'number' ? n * unit + base : NaN
  if (Number.isSafeInteger(at)) return at
  const scaled = BigInt(n) * BigInt(unit)
  const exact = scaled + BigInt(base)
  if (scaled >= INT64_MIN && exact <= INT64_MAX) return normal(exact)
  call.reply.error(invalidExpireTime(command))
  return undefined
}

/** Argument i, seconds that a command waits at most, as milliseconds, rounded up; 0: for ever. Undefined if it is none; the client has its error. */
export function timeoutArgument({ request, reply }: Call, i: number): number | undefined {
  const seconds = parseLongDouble(request.bytes, request.start[i], request.end[i])
  if (seconds === undefined) {
    reply.error(TIMEOUT_NOT_A_FLOAT)
    return undefined
  }
  const ms = Math.ceil(toDouble(seconds) * 1000)
  if (ms >= 0 && ms < 2 ** 63) return ms + 0
  reply.error(TIMEOUT_NEGATIVE)
  return undefined
}

function normal(n: bigint): Instant {
  const at = Number(n)
  return Number.isSafeInteger(at) ? at : n
}
