// The id of a stream's entry, `ms-seq`, two unsigned 64-bit numbers: as clients write it, and as a place in stock:events.
//
// An id is one 128-bit integer here, so that "the next" and "the one before" are plus and minus one, over the border of `seq` too. Of
// stock:events `ms` is an instant and `seq` an LSN: both are far below 2^53, and an id beyond that is a place behind every entry.

import { parseInteger } from '../../../base/decimal.ts'
import type { FeedRange } from '../../event-feed.ts'
import type { Request } from '../../../resp/request.ts'

export type StreamId = bigint
/** A place in stock:events. */
export type Position = FeedRange['from']

export const INVALID_ID = 'ERR Invalid stream ID specified as stream command argument'

const SEQ_BITS = 64n
const SEQ_MAX = 2n ** SEQ_BITS - 1n
const ID_MAX = 2n ** 128n - 1n
/** Bytes of an id: as Redis. */
const ID_BYTES_MAX = 127

export const FIRST_POSITION: Position = { ms: 0, lsn: 0 }
export const LAST_POSITION: Position = { ms: Number.MAX_SAFE_INTEGER, lsn: Number.MAX_SAFE_INTEGER }

/** An end of the interval of XRANGE: `-`, `+`, an id, or `(` and an id. */
export interface Bound {
  readonly id: StreamId
  readonly isExclusive: boolean
}

/** @param missing what stands for a `seq` that is not there. @returns null if argument i is none. */
export function parseBound(request: Request, i: number, missing: 'first' | 'last'): Bound | null {
  const isExclusive = request.length(i) > 1 && request.bytes[request.start[i]] === 40
  if (!isExclusive && request.length(i) <= ID_BYTES_MAX) {
    const text = request.untilNul(i)
    if (text === '-') return { id: 0n, isExclusive }
    if (text === '+') return { id: ID_MAX, isExclusive }
  }
  const id = parse(request, i, isExclusive ? 1 : 0, missing)
  return id === null ? null : { id, isExclusive }
}

/** Argument i as `ms-seq`, or `ms` alone, which means `ms-0`; null if it is neither. */
export function parseId(request: Request, i: number): StreamId | null {
  return parsePlain(request, i) ?? parse(request, i, 0, 'first')
}

/** True if argument i is this one character, as C compares strings: up to a NUL. */
export function isSign(request: Request, i: number, sign: '$' | '>'): boolean {
  const { bytes, start } = request
  const length = request.length(i)
  return length > 0 && bytes[start[i]] === sign.charCodeAt(0) && (length === 1 || bytes[start[i] + 1] === 0)
}

/** The id behind this one; null if there is none. */
export function nextId(id: StreamId): StreamId | null {
  return id === ID_MAX ? null : id + 1n
}

/** The id before this one; null if there is none. */
export function previousId(id: StreamId): StreamId | null {
  return id === 0n ? null : id - 1n
}

/** Where the entry of this id is, or would be. */
export function positionOf(id: StreamId): Position {
  const ms = Number(id >> SEQ_BITS)
  const lsn = Number(id & SEQ_MAX)
  if (ms > Number.MAX_SAFE_INTEGER) return LAST_POSITION
  return { ms, lsn: Math.min(lsn, Number.MAX_SAFE_INTEGER) }
}

export function after({ ms, lsn }: Position): Position {
  return { ms, lsn: lsn + 1 }
}

/** LSNs start at 1: there is nothing before 0 that would need the `ms` before. */
export function before({ ms, lsn }: Position): Position {
  return lsn > 0 ? { ms, lsn: lsn - 1 } : { ms: Math.max(0, ms - 1), lsn: Number.MAX_SAFE_INTEGER }
}

/** Negative, 0 or positive, as `a` is before, at or behind `b`. */
export function compare(a: Position, b: Position): number {
  return a.ms - b.ms || a.lsn - b.lsn
}

export function textOf({ ms, lsn }: Position): string {
  return `${ms}-${lsn}`
}

/** What nearly every id is: `ms` or `ms-seq` in plain small decimals. One XREAD may have a hundred thousand of them. */
function parsePlain({ bytes, start, end }: Request, i: number): StreamId | null {
  let dash = start[i]
  while (dash < end[i] && bytes[dash] !== 45) dash++
  const ms = parseInteger(bytes, start[i], dash)
  const seq = dash === end[i] ? 0 : parseInteger(bytes, dash + 1, end[i])
  return ms >= 0 && seq >= 0 ? (BigInt(ms) << SEQ_BITS) | BigInt(seq) : null
}

function parse(request: Request, i: number, skipped: number, missing: 'first' | 'last'): StreamId | null {
  if (request.length(i) - skipped > ID_BYTES_MAX) return null
  const text = request.untilNul(i).slice(skipped)
  const dash = text.indexOf('-')
  const ms = parseUint64(dash === -1 ? text : text.slice(0, dash))
  const seq = dash === -1 ? (missing === 'first' ? 0n : SEQ_MAX) : parseUint64(text.slice(dash + 1))
  return ms === null || seq === null ? null : (ms << SEQ_BITS) | seq
}

/** As Redis reads it: a plain decimal, or what C's strtoull makes of it, so blanks and signs in front, and zeros. */
function parseUint64(text: string): bigint | null {
  const parts = /^[ \t\n\v\f\r]*([+-]?)(\d+)$/.exec(text)
  if (parts === null) return null
  const n = BigInt(parts[2])
  if (n > SEQ_MAX) return null
  if (parts[1] !== '-') return n
  // A plain negative int64 is refused as such; any other wraps around.
  return /^-[1-9]/.test(text) && n <= 2n ** 63n ? null : BigInt.asUintN(64, -n)
}
