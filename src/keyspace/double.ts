// Numbers as sorted sets have them, C's doubles: read as strtod reads them, told as `%.17g` tells them.
//
// They are JavaScript's own numbers; only the texts differ. C also knows hexadecimal numbers and `inf`, and `%.17g` gives 17 digits rounded
// half to even, where JavaScript rounds halves up. A record has the shortest text that is the same number.

import { parseInteger } from '../base/decimal.ts'

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i
const HEXADECIMAL = /^([+-]?)0x([\da-f]*)(?:\.([\da-f]*))?(?:p([+-]?\d+))?$/i
const INFINITE = /^([+-]?)inf(?:inity)?$/i
/** Beyond this binary exponent any number of digits that fits an argument is infinite, or zero. */
const EXPONENT_MAX = 2 ** 33
const MANTISSA_BITS = 53
/** Exponent of the last bit of the smallest numbers. */
const EXPONENT_MIN = -1074
const DIGITS = 17
/** So many digits are a safe integer. */
const DIGITS_EXACT = 15
/** More digits than any double needs to show that it is not exactly half way between two numbers of 17 digits. */
const DIGITS_TO_TELL = 60

/** The number that an argument is, as scores and weights are read: NaN if it is none, too large, or so small that it would be zero. */
export function parseDouble(bytes: Uint8Array, start: number, end: number): number {
  const n = parseDigits(bytes, start, end)
  if (n === n) return n
  const text = textOf(bytes, start, end)
  const value = strtod(text)
  if (value === 0 && hasDigit(text)) return NaN
  return Number.isFinite(value) || INFINITE.test(text) ? value : NaN
}

/** The same as the ends of ranges are read: up to a NUL, behind any white space; nothing is 0, and what is too large is infinite. */
export function parseRangeEnd(bytes: Uint8Array, start: number, end: number): number {
  const n = parseInteger(bytes, start, end)
  if (n === n) return n
  const nul = bytes.subarray(start, end).indexOf(0)
  const text = textOf(bytes, start, nul === -1 ? end : start + nul)
  return text === '' ? 0 : strtod(text.replace(/^[ \t\n\v\f\r]+/, ''))
}

/** As C's `%.17g`. */
export function formatDouble(d: number): string {
  if (Number.isSafeInteger(d)) return Object.is(d, -0) ? '-0' : String(d)
  if (!Number.isFinite(d)) return d > 0 ? 'inf' : '-inf'
  const [mantissa, power] = exponential(Math.abs(d)).split('e')
  const exponent = Number(power)
  const digits = mantissa.replace('.', '').replace(/0+$/, '')
  const sign = d < 0 ? '-' : ''
  if (exponent < -4 || exponent >= DIGITS) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = digits.slice(exponent + 1)
  return sign + (fraction === '' ? whole : `${whole}.${fraction}`)
}

/** The shortest text that is read as this number. */
export function exactDouble(d: number): string {
  if (Object.is(d, -0)) return '-0'
  return Number.isFinite(d) ? String(d) : d > 0 ? 'inf' : '-inf'
}

/** `d.ddd...e+x` with 17 digits, halves rounded to even. */
function exponential(d: number): string {
  const rounded = d.toExponential(DIGITS - 1)
  const longer = d.toExponential(DIGITS)
  const e = longer.indexOf('e')
  if (longer[e - 1] !== '5') return rounded
  const [all] = d.toExponential(DIGITS_TO_TELL).split('e')
  // The point is one character: all[17] is the last digit that stays.
  const isHalf = /^50*$/.test(all.slice(DIGITS + 1))
  return isHalf && Number(all[DIGITS]) % 2 === 0 ? all.slice(0, DIGITS + 1) + longer.slice(e) : rounded
}

/** A number that is digits only, as most scores are, also with zeros before it; NaN if it is anything else. */
function parseDigits(bytes: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > DIGITS_EXACT) return NaN
  let n = 0
  for (let p = start; p < end; p++) {
    const digit = bytes[p] - 48
    if (digit < 0 || digit > 9) return NaN
    n = n * 10 + digit
  }
  return n
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

/** Whether a number's text has a digit other than 0 before its exponent. */
function hasDigit(text: string): boolean {
  return /^[+-]?0x/i.test(text) ? /^[+-]?0x[0.]*[1-9a-f]/i.test(text) : /^[+-]?[0.]*[1-9]/.test(text)
}

/** NaN if the text as a whole is no number. */
function strtod(text: string): number {
  if (DECIMAL.test(text)) return Number(text)
  const infinite = INFINITE.exec(text)
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity
  const parts = HEXADECIMAL.exec(text)
  if (parts === null) return NaN
  const [, sign, whole, fraction = '', power = '0'] = parts
  if (whole + fraction === '') return NaN
  const exponent = Math.max(-EXPONENT_MAX, Math.min(EXPONENT_MAX, Number(power))) - fraction.length * 4
  const value = scaled(BigInt(`0x${whole}${fraction}`), exponent)
  return sign === '-' ? -value : value
}

/** n * 2^exponent, rounded once, half to even. */
function scaled(n: bigint, exponent: number): number {
  if (n === 0n) return 0
  const bits = n.toString(16).length * 4
  if (bits + exponent < EXPONENT_MIN - 4) return 0
  if (bits + exponent > 1032) return Infinity
  const exact = n.toString(2).length
  const last = Math.max(exact - MANTISSA_BITS + exponent, EXPONENT_MIN)
  const shift = last - exponent
  if (shift <= 0) return Number(n << BigInt(-shift)) * 2 ** last
  const half = 1n << BigInt(shift - 1)
  const rest = n & ((half << 1n) - 1n)
  let mantissa = n >> BigInt(shift)
  if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa++
  return Number(mantissa) * 2 ** last
}
