// Numbers as Redis's INCRBYFLOAT has them: x87 long doubles, 64 bits of mantissa, emulated exactly.
//
//   value = sign * mantissa * 2^exponent,  mantissa < 2^64,  -16445 <= exponent
//
// Reading is strtold's (decimal, hexadecimal, inf, nan), rounding is to the nearest, ties to even, writing is `%.17Lf` without trailing
// zeros. All of it in bigints: a counter of money must not differ in its last digit from the server that it was moved from.

export interface LongDouble {
  readonly isNegative: boolean
  /** 0 for zero, and of no meaning for an infinity. */
  readonly mantissa: bigint
  readonly exponent: number
  readonly isInfinite: boolean
}

const MANTISSA_BITS = 64
/** Exponent of the last bit of the smallest numbers: below, precision is lost bit by bit. */
const EXPONENT_MIN = -16445
/** The largest exponent of a number's last bit: (2^64 - 1) * 2^16320 is the largest number. */
const EXPONENT_MAX = 16320
/** What INCRBYFLOAT reads at most: longer texts are no floats to Redis. */
const TEXT_BYTES_MAX = 5 * 1024 - 1
/** Beyond these decimal exponents any number of TEXT_BYTES_MAX digits is infinite, or zero. */
const DECIMAL_EXPONENT_MAX = 12_000
const FRACTION_DIGITS = 17

const ZERO: LongDouble = { isNegative: false, mantissa: 0n, exponent: 0, isInfinite: false }

/** The largest number that is none of the infinities. */
export const LONG_DOUBLE_MAX: LongDouble = {
  isNegative: false,
  mantissa: 2n ** BigInt(MANTISSA_BITS) - 1n,
  exponent: EXPONENT_MAX,
  isInfinite: false,
}

/** The number of a text, as Redis reads it; undefined if it is none, or too large, or so small that it would be zero. */
export function parseLongDouble(bytes: Uint8Array, start: number, end: number): LongDouble | undefined {
  if (end === start || end - start > TEXT_BYTES_MAX) return undefined
  let text = ''
  for (let p = start; p < end; p++) text += String.fromCharCode(bytes[p])
  const parts =
    /^([+-]?)(?:(?:(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?)|0[xX]([\da-fA-F]*)(?:\.([\da-fA-F]*))?(?:[pP]([+-]?\d+))?|(inf|infinity))$/i.exec(
      text,
    )
  if (parts === null) return undefined
  const [, sign, whole, fraction, exponent, hexWhole, hexFraction, hexExponent, infinity] = parts
  const isNegative = sign === '-'
  if (infinity !== undefined) return { ...ZERO, isNegative, isInfinite: true }
  if (hexWhole !== undefined || hexFraction !== undefined) {
    const digits = (hexWhole ?? '') + (hexFraction ?? '')
    if (digits === '') return undefined
    const scale = clamp(hexExponent, 100_000) - (hexFraction ?? '').length * 4
    return inRange(roundScaled(isNegative, BigInt(`0x${digits}`), scale), digits)
  }
  const digits = (whole ?? '') + (fraction ?? '')
  if (digits === '') return undefined
  const scale = clamp(exponent, DECIMAL_EXPONENT_MAX) - (fraction ?? '').length
  const n = BigInt(digits)
  return inRange(scale >= 0 ? round(isNegative, n * 10n ** BigInt(scale), 1n) : round(isNegative, n, 10n ** BigInt(-scale)), digits)
}

/** The nearest double. */
export function toDouble({ isNegative, mantissa, exponent, isInfinite }: LongDouble): number {
  // Two steps: neither 2^exponent alone nor the mantissa's may be beyond what a double has.
  const half = Math.trunc(exponent / 2)
  const size = isInfinite ? Infinity : Number(mantissa) * 2 ** half * 2 ** (exponent - half)
  return isNegative ? -size : size
}

/** The sum, rounded once. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble {
  if (a.isInfinite) return a
  if (b.isInfinite) return b
  const exponent = Math.min(a.exponent, b.exponent)
  const sum = aligned(a, exponent) + aligned(b, exponent)
  return roundScaled(sum < 0n, sum < 0n ? -sum : sum, exponent)
}

/** The same with the other sign. */
export function negated(x: LongDouble): LongDouble {
  return { ...x, isNegative: !x.isNegative }
}

/** Below 0 if a < b, 0 if they are equal, above 0 if a > b. */
export function compareLongDoubles(a: LongDouble, b: LongDouble): number {
  if (a.isInfinite || b.isInfinite) return infinity(a) - infinity(b)
  const exponent = Math.min(a.exponent, b.exponent)
  const difference = aligned(a, exponent) - aligned(b, exponent)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** Fixed notation with up to 17 decimals, without trailing zeros; never `-0`. */
export function formatLongDouble(x: LongDouble): string {
  const scale = 10n ** BigInt(FRACTION_DIGITS)
  const scaled =
    x.exponent >= 0 ? (x.mantissa << BigInt(x.exponent)) * scale : divideRounding(x.mantissa * scale, 1n << BigInt(-x.exponent))
  if (scaled === 0n) return '0'
  const fraction = String(scaled % scale)
    .padStart(FRACTION_DIGITS, '0')
    .replace(/0+$/, '')
  return (x.isNegative ? '-' : '') + String(scaled / scale) + (fraction === '' ? '' : `.${fraction}`)
}

/** Which of the infinities it is; 0: none of them. */
function infinity(x: LongDouble): number {
  return x.isInfinite ? (x.isNegative ? -1 : 1) : 0
}

/** A number that strtold says is out of range is no number to Redis. */
function inRange(x: LongDouble, digits: string): LongDouble | undefined {
  if (x.isInfinite) return undefined
  return x.mantissa === 0n && /[^0]/.test(digits) ? undefined : x
}

/** A written exponent; absurd ones are cut to where they mean the same. */
function clamp(exponent: string | undefined, limit: number): number {
  return exponent === undefined ? 0 : Math.max(-limit, Math.min(limit, Number(exponent)))
}

function aligned(x: LongDouble, exponent: number): bigint {
  const magnitude = x.mantissa << BigInt(x.exponent - exponent)
  return x.isNegative ? -magnitude : magnitude
}

/** numerator / denominator as a long double. */
function round(isNegative: boolean, numerator: bigint, denominator: bigint): LongDouble {
  if (numerator === 0n) return { ...ZERO, isNegative }
  let exponent = Math.max(bitLength(numerator) - bitLength(denominator) - MANTISSA_BITS, EXPONENT_MIN)
  for (;;) {
    const mantissa =
      exponent >= 0
        ? divideRounding(numerator, denominator << BigInt(exponent))
        : divideRounding(numerator << BigInt(-exponent), denominator)
    // The estimate of the exponent may be one too low; then there is a bit too much.
    if (bitLength(mantissa) <= MANTISSA_BITS) return normal(isNegative, mantissa, exponent)
    exponent++
  }
}

/** magnitude * 2^exponent as a long double. */
function roundScaled(isNegative: boolean, magnitude: bigint, exponent: number): LongDouble {
  return exponent >= 0 ? round(isNegative, magnitude << BigInt(exponent), 1n) : round(isNegative, magnitude, 1n << BigInt(-exponent))
}

function normal(isNegative: boolean, mantissa: bigint, exponent: number): LongDouble {
  if (mantissa === 0n) return { ...ZERO, isNegative }
  if (bitLength(mantissa) + exponent > EXPONENT_MAX + MANTISSA_BITS) return { ...ZERO, isNegative, isInfinite: true }
  return { isNegative, mantissa, exponent, isInfinite: false }
}

/** a / b, to the nearest integer, ties to even. */
function divideRounding(a: bigint, b: bigint): bigint {
  const quotient = a / b
  const twice = (a - quotient * b) * 2n
  return twice > b || (twice === b && (quotient & 1n) === 1n) ? quotient + 1n : quotient
}

function bitLength(n: bigint): number {
  return n === 0n ? 0 : n.toString(16).length * 4 - Math.clz32(Number.parseInt(n.toString(16)[0], 16)) + 28
}
