// Decimal integers as bytes: exact, strict, without a string in between.

/** What `parseInteger` answers for bytes that are not a plain decimal integer, or lie outside +-(2^53 - 1). */
export const NOT_AN_INTEGER = NaN

/**
 * A plain decimal integer within +-(2^53 - 1): `-?(0|[1-9][0-9]*)`. `+1`, `01`, ` 1`, `1e3`, `-0` and the empty word are not.
 * @returns the number, or NOT_AN_INTEGER (NaN; test with `n !== n` or Number.isNaN).
 */
export function parseInteger(bytes: Uint8Array, start: number, end: number): number {
  let p = start
  let negative = false
  if (p < end && bytes[p] === 45) {
    negative = true
    p++
  }
  const digits = end - p
  if (digits === 0 || digits > 16) return NOT_AN_INTEGER
  const first = bytes[p]
  if (first === 48) return digits === 1 && !negative ? 0 : NOT_AN_INTEGER
  let n = 0
  for (; p < end; p++) {
    const d = bytes[p] - 48
    if (d < 0 || d > 9) return NOT_AN_INTEGER
    n = n * 10 + d
  }
  if (n > Number.MAX_SAFE_INTEGER) return NOT_AN_INTEGER
  return negative ? -n : n
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** A plain decimal int64, as Redis's string2ll reads it; undefined if it is not one. */
export function parseInt64(bytes: Uint8Array, start: number, end: number): bigint | undefined {
  const n = parseInteger(bytes, start, end)
  if (n === n) return BigInt(n)
  const length = end - start
  if (length < 16 || length > 20) return undefined
  let text = ''
  for (let p = start; p < end; p++) {
    const c = bytes[p]
    if ((c < 48 || c > 57) && !(p === start && c === 45)) return undefined
    text += String.fromCharCode(c)
  }
  if (text[0] === '0' || text.startsWith('-0')) return undefined
  const value = BigInt(text)
  return value >= INT64_MIN && value <= INT64_MAX ? value : undefined
}

/** Digits of a non-negative safe integer. */
export function digitsOf(n: number): number {
  if (n < 1e5) return n < 10 ? 1 : n < 100 ? 2 : n < 1000 ? 3 : n < 10000 ? 4 : 5
  if (n < 1e10) return n < 1e6 ? 6 : n < 1e7 ? 7 : n < 1e8 ? 8 : n < 1e9 ? 9 : 10
  // Most of these are instants: 13 digits until the year 2286.
  if (n < 1e13) return n >= 1e12 ? 13 : n < 1e11 ? 11 : 12
  return n < 1e14 ? 14 : n < 1e15 ? 15 : 16
}

/** The digits of 00..99: two at a time halves the divisions. */
const PAIRS = new Uint8Array(200)
for (let n = 0; n < 100; n++) {
  PAIRS[n * 2] = 48 + Math.floor(n / 10)
  PAIRS[n * 2 + 1] = 48 + (n % 10)
}

/** Writes an int32 >= 0 so that it ends before `end`; it fills with zeros up to `start`. */
function writeBackwards(bytes: Uint8Array, start: number, end: number, n: number): void {
  let x = n | 0
  let p = end
  while (p - start >= 2) {
    const q = (x / 100) | 0
    const pair = (x - q * 100) << 1
    bytes[--p] = PAIRS[pair + 1]
    bytes[--p] = PAIRS[pair]
    x = q
  }
  if (p > start) bytes[p - 1] = 48 + x
}

function writeDigits(bytes: Uint8Array, at: number, n: number, digits: number): number {
  const end = at + digits
  // Two halves: int32 division is several times faster than dividing doubles.
  if (n > 0x7fffffff) {
    const high = Math.floor(n / 1e8)
    writeBackwards(bytes, end - 8, end, n - high * 1e8)
    writeBackwards(bytes, at, end - 8, high)
  } else writeBackwards(bytes, at, end, n)
  return end
}

/** Writes a safe integer as decimal digits at `at`; @returns the position behind it. The caller has made room (17 bytes). */
export function writeInteger(bytes: Uint8Array, at: number, n: number): number {
  if (n < 0) {
    bytes[at++] = 45
    n = -n
  }
  if (n < 10) {
    bytes[at] = 48 + n
    return at + 1
  }
  return writeDigits(bytes, at, n, digitsOf(n))
}

/** Writes `$<length>\r\n<digits>\r\n`, a safe integer as a bulk string; @returns the position behind it. The caller has made room (24 bytes). */
export function writeIntegerBulk(bytes: Uint8Array, at: number, n: number): number {
  const isNegative = n < 0
  const digits = digitsOf(isNegative ? -n : n)
  const length = isNegative ? digits + 1 : digits
  bytes[at++] = 36
  if (length >= 10) {
    bytes[at++] = 49
    bytes[at++] = 38 + length
  } else bytes[at++] = 48 + length
  bytes[at++] = 13
  bytes[at++] = 10
  if (isNegative) bytes[at++] = 45
  at = writeDigits(bytes, at, isNegative ? -n : n, digits)
  bytes[at] = 13
  bytes[at + 1] = 10
  return at + 2
}
