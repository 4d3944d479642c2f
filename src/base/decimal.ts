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
  if (n < 10) return 1
  if (n < 100) return 2
  if (n < 1000) return 3
  if (n < 10000) return 4
  if (n < 100000) return 5
  let digits = 5
  for (let limit = 100000; n >= limit; limit *= 10) digits++
  return digits
}

/** Writes a safe integer as decimal digits at `at`; @returns the position behind it. The caller has made room (17 bytes). */
export function writeInteger(bytes: Uint8Array, at: number, n: number): number {
  if (n < 0) {
    bytes[at++] = 45
    n = -n
  }
  const end = at + digitsOf(n)
  let p = end
  // Two halves: int32 division is several times faster than dividing doubles.
  if (n > 0x7fffffff) {
    const high = Math.floor(n / 1e9)
    let low = (n - high * 1e9) | 0
    for (let i = 0; i < 9; i++) {
      const q = (low / 10) | 0
      bytes[--p] = 48 + (low - q * 10)
      low = q
    }
    n = high
  }
  let x = n | 0
  while (p > at) {
    const q = (x / 10) | 0
    bytes[--p] = 48 + (x - q * 10)
    x = q
  }
  return end
}
