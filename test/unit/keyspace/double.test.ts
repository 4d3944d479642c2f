// Doubles as C reads and prints them; the texts were printed by glibc.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { exactDouble, formatDouble, parseDouble, parseRangeEnd } from '../../../src/keyspace/double.ts'

const parse = (text: string): number => parseDouble(Buffer.from(text, 'latin1'), 0, text.length)
const parseEnd = (text: string): number => parseRangeEnd(Buffer.from(text, 'latin1'), 0, text.length)

describe('%.17g', () => {
  it.each<[number, string]>([
    [0, '0'],
    [-0, '-0'],
    [3, '3'],
    [-1.5, '-1.5'],
    [0.1, '0.10000000000000001'],
    [1 / 3, '0.33333333333333331'],
    [2 / 3, '0.66666666666666663'],
    [1e16, '10000000000000000'],
    [1e17, '1e+17'],
    [123456789012345680, '1.2345678901234568e+17'],
    [2 ** 56, '72057594037927936'],
    [1e21, '1e+21'],
    [1.5e300, '1.5000000000000001e+300'],
    [0.0001, '0.0001'],
    [0.00001, '1.0000000000000001e-05'],
    [5e-324, '4.9406564584124654e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    // Exactly half way between two texts: the even one.
    [1 + 2 ** -17, '1.0000076293945312'],
    [1 + 3 * 2 ** -17, '1.0000228881835938'],
  ])('prints %f', (value, text) => {
    expect(formatDouble(value)).toBe(text)
  })
})

describe('reading', () => {
  it.each<[string, number]>([
    ['1', 1],
    ['-0', -0],
    ['+1.5', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['1E3', 1000],
    ['0x1p3', 8],
    ['0X.8', 0.5],
    ['-0xA', -10],
    ['0x1.00000000000008p0', 1],
    ['0x1.00000000000018p0', 1 + 2 ** -51],
    ['0x1p-1074', 5e-324],
    ['0x0', 0],
    ['inf', Infinity],
    ['-Infinity', -Infinity],
    ['5e-324', 5e-324],
    ['9007199254740993', 9007199254740992],
    ['0e-999', 0],
  ])('takes %s', (text, value) => {
    expect(parse(text)).toBe(value)
    expect(parseEnd(text)).toBe(value)
  })

  it.each(['', ' 1', '1 ', '1\0', 'nan', '1e400', '-1e400', '1e-400', '0x', '0x1p99999', '0x1p-99999', '.', '1e', 'e5', '1.5.5', 'infin'])(
    'takes no %j for a score',
    (text) => {
      expect(parse(text)).toBeNaN()
    },
  )

  it.each<[string, number]>([
    ['', 0],
    [' 1', 1],
    ['1\0x', 1],
    ['1e400', Infinity],
    ['-1e400', -Infinity],
    ['1e-400', 0],
    ['0x1p99999', Infinity],
  ])('takes %j for the end of a range', (text, value) => {
    expect(parseEnd(text)).toBe(value)
  })

  it.each(['nan', '1 ', '(1', 'x', '-', ' '])('takes no %j for the end of a range', (text) => {
    expect(parseEnd(text)).toBeNaN()
  })

  it('reads what it writes, either way', () => {
    const random = new Random(7)
    const bits = new Uint32Array(2)
    const value = new Float64Array(bits.buffer)
    for (let i = 0; i < 20_000; i++) {
      bits[0] = random.uint32()
      bits[1] = random.uint32()
      if (Number.isNaN(value[0])) continue
      expect(parse(formatDouble(value[0]))).toBe(value[0])
      expect(parse(exactDouble(value[0]))).toBe(value[0])
    }
  })
})
