// Sorted integers without gaps, the form of sets of numbers:   | width u8 | integer | integer | ...     little-endian, 2, 4 or 8 bytes each
//
// As Redis's intsets: the width is the least that has held all members so far; looking for one is a binary search. Integers are any int64,
// as two halves: `high` signed, `low` as unsigned.

import { parseInt64, parseInteger, writeInteger } from '../../base/decimal.ts'
import { readWord, writeWord } from '../../base/bytes.ts'

const TWO_TO_32 = 4294967296
/** Bytes before the first integer. */
export const INTEGERS_AT = 1

/** An int64 in two halves. */
export interface Int64 {
  high: number
  low: number
}

/** Reads bytes[start..end) as Redis's string2ll does; false if they are not the digits of an int64. */
export function parseInto(into: Int64, bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start]
  // Most members that are no numbers do not look like one.
  if (end - start > 20 || end === start || (first !== 45 && (first < 48 || first > 57))) return false
  const n = parseInteger(bytes, start, end)
  if (n === n) {
    into.high = Math.floor(n / TWO_TO_32)
    into.low = n | 0
    if (n > 2147483647 || n < -2147483648) into.low = (n - into.high * TWO_TO_32) | 0
    return true
  }
  const big = parseInt64(bytes, start, end)
  if (big === undefined) return false
  into.high = Number(BigInt.asIntN(32, big >> 32n))
  into.low = Number(BigInt.asIntN(32, big))
  return true
}

/** Writes the digits at `at`; @returns where they end. There is room for 20. */
export function writeDigits(bytes: Buffer, at: number, { high, low }: Int64): number {
  const n = high * TWO_TO_32 + (low >>> 0)
  if (Number.isSafeInteger(n)) return writeInteger(bytes, at, n)
  return at + bytes.write(String((BigInt(high) << 32n) | BigInt(low >>> 0)), at, 'latin1')
}

/** The bytes that this integer needs. */
export function widthOf({ high, low }: Int64): number {
  if (high !== low >> 31) return 8
  return (low << 16) >> 16 === low ? 2 : 4
}

export function readInto(into: Int64, bytes: Uint8Array, at: number, width: number): void {
  into.low = width === 2 ? ((bytes[at] | (bytes[at + 1] << 8)) << 16) >> 16 : readWord(bytes, at)
  into.high = width === 8 ? readWord(bytes, at + 4) : into.low >> 31
}

export function writeInt(bytes: Uint8Array, at: number, width: number, { high, low }: Int64): void {
  if (width === 2) {
    bytes[at] = low
    bytes[at + 1] = low >>> 8
    return
  }
  writeWord(bytes, at, low)
  if (width === 8) writeWord(bytes, at + 4, high)
}

const probe: Int64 = { high: 0, low: 0 }

/** The index of an integer among those of bytes[start..end); if it is not there, -1 - the index at which it belongs. */
export function findInteger(bytes: Uint8Array, start: number, end: number, { high, low }: Int64): number {
  const width = bytes[start]
  let from = 0
  let to = (end - start - INTEGERS_AT) / width
  while (from < to) {
    const middle = (from + to) >>> 1
    readInto(probe, bytes, start + INTEGERS_AT + middle * width, width)
    if (probe.high === high && probe.low === low) return middle
    if (probe.high < high || (probe.high === high && probe.low >>> 0 < low >>> 0)) from = middle + 1
    else to = middle
  }
  return -1 - from
}
