import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digitsOf, parseInt64, parseInteger, writeInteger } from '../../../src/base/decimal.ts'

const MAX = Number.MAX_SAFE_INTEGER
const NOT_NUMBERS = [
  '',
  '-',
  '+',
  '+1',
  '01',
  '-01',
  '00',
  '-0',
  ' 1',
  '1 ',
  '1e3',
  '0x10',
  '1.0',
  '.5',
  '--1',
  '1-',
  'NaN',
  'Infinity',
  '１',
  '1\0',
  '1_000',
]
const inside = (text: string): [Buffer, number, number] => {
  const digits = Buffer.from(text)
  // Digits on both sides: reading past an end would show.
  return [Buffer.concat([Buffer.from('77'), digits, Buffer.from('77')]), 2, 2 + digits.length]
}
/** All powers of ten and two with their neighbours, in and out of the safe range. */
const magnitudes = (): bigint[] => {
  const list: bigint[] = []
  for (let e = 0n; e <= 20n; e++) for (const d of [-1n, 0n, 1n]) list.push(10n ** e + d)
  for (let e = 0n; e <= 65n; e++) for (const d of [-1n, 0n, 1n]) list.push(2n ** e + d)
  return [...list, ...list.map((n) => -n)]
}

describe('parseInteger', () => {
  it('reads every safe integer and nothing else', () => {
    for (const n of magnitudes()) {
      const expected = n >= -BigInt(MAX) && n <= BigInt(MAX) ? Number(n) : NaN
      expect(parseInteger(...inside(String(n))), String(n)).toBe(expected === 0 ? 0 : expected)
    }
    fc.assert(fc.property(fc.maxSafeInteger(), (n) => parseInteger(...inside(String(n))) === n))
  })

  it('is strict', () => {
    for (const text of NOT_NUMBERS) expect(parseInteger(...inside(text)), text).toBeNaN()
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('0', '1', '9', '-', '+', ' ', 'e', '.', '/', ':'), maxLength: 18 }), (text) => {
        const isInteger = /^(0|-?[1-9][0-9]*)$/.test(text) && Math.abs(Number(text)) <= MAX
        expect(parseInteger(...inside(text))).toBe(isInteger ? Number(text) : NaN)
      }),
    )
  })
})

describe('parseInt64', () => {
  it('reads every int64 and nothing else', () => {
    for (const n of magnitudes()) expect(parseInt64(...inside(String(n))), String(n)).toBe(BigInt.asIntN(64, n) === n ? n : undefined)
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => parseInt64(...inside(String(n))) === n))
  })

  it('is strict, also where numbers are long', () => {
    for (const text of [
      ...NOT_NUMBERS,
      '-',
      `0${'1'.repeat(17)}`,
      `-0${'1'.repeat(17)}`,
      `1${'0'.repeat(16)}-`,
      `+${'1'.repeat(17)}`,
      `${'1'.repeat(17)} `,
      '9'.repeat(30),
    ])
      expect(parseInt64(...inside(text)), text).toBeUndefined()
  })
})

describe('writeInteger', () => {
  it('writes what String does, at every magnitude, and nothing beside it', () => {
    const check = (n: number): void => {
      const text = String(n)
      const bytes = Buffer.alloc(24, 0xee)
      expect(writeInteger(bytes, 3, n)).toBe(3 + text.length)
      expect(bytes.toString('latin1', 3, 3 + text.length)).toBe(text)
      expect(bytes[2]).toBe(0xee)
      expect(bytes[3 + text.length]).toBe(0xee)
      expect(digitsOf(Math.abs(n))).toBe(text.replace('-', '').length)
    }
    for (const n of magnitudes()) if (n >= -BigInt(MAX) && n <= BigInt(MAX)) check(Number(n))
    for (const n of [0, 1e9 - 1, 1e9, 0x7fffffff, 0x80000000, 999_999_999_999, 1e15, MAX, -MAX]) check(n)
    fc.assert(fc.property(fc.maxSafeInteger(), check))
  })

  it('writes minus zero as 0', () => {
    const bytes = Buffer.alloc(4)
    expect(bytes.toString('latin1', 0, writeInteger(bytes, 0, -0))).toBe('0')
  })
})
