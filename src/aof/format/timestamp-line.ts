// Redis's time annotation: `#TS:<unix seconds>\r\n`, before the first batch of each second, for `redis-check-aof --truncate-to-timestamp`.
//
// Redis allows nothing behind the number, so the line has no checksum. It does not need one: it must stand directly before a batch whose
// t is in exactly that second.

import { digitsOf, writeInteger } from '../../base/decimal.ts'

const OPENING = Buffer.from('#TS:', 'latin1')
export const TIMESTAMP_LINE_BYTES_MAX = 24

/** Writes the line so that it ends at `end`; @returns where it starts. */
export function encodeTimestampLine(bytes: Uint8Array, end: number, seconds: number): number {
  const start = end - 6 - digitsOf(seconds)
  bytes.set(OPENING, start)
  const at = writeInteger(bytes, start + 4, seconds)
  bytes[at] = 13
  bytes[at + 1] = 10
  return start
}

export function isTimestampLine(bytes: Uint8Array, at: number, end: number): boolean {
  return at + 4 <= end && bytes[at + 1] === 84 && bytes[at + 2] === 83 && bytes[at + 3] === 58 && bytes[at] === 35
}

/** Bytes of the line at `at`, or 0 if it is not whole and plain. */
export function timestampLineBytes(bytes: Uint8Array, at: number, end: number): number {
  let p = at + 4
  while (p < end && bytes[p] >= 48 && bytes[p] <= 57) p++
  if (p === at + 4 || p + 2 > end || bytes[p] !== 13 || bytes[p + 1] !== 10) return 0
  return p + 2 - at
}

/** True if the line at `at` (of this many bytes) says exactly this second. */
export function timestampLineSays(bytes: Uint8Array, at: number, length: number, seconds: number): boolean {
  if (length !== 6 + digitsOf(seconds)) return false
  for (let p = at + length - 3; p >= at + 4; p--) {
    const q = Math.floor(seconds / 10)
    if (bytes[p] !== 48 + (seconds - q * 10)) return false
    seconds = q
  }
  return true
}
