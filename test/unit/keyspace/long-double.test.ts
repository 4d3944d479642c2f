import { describe, expect, it } from 'vitest'
import { addLongDoubles, formatLongDouble, parseLongDouble } from '../../../src/keyspace/long-double.ts'

function sum(a: string, b: string): string | undefined {
  const x = parseLongDouble(Buffer.from(a, 'latin1'), 0, a.length)
  const y = parseLongDouble(Buffer.from(b, 'latin1'), 0, b.length)
  if (x === undefined || y === undefined) return undefined
  const z = addLongDoubles(x, y)
  return z.isInfinite ? 'infinite' : formatLongDouble(z)
}

describe('long doubles', () => {
  // What redis-server 7.0.15 on x86-64 answers to SET f <a>, INCRBYFLOAT f <b>.
  it.each([
    ['0.1', '0.2', '0.3'],
    ['10.5', '0.1', '10.6'],
    ['5.0e3', '2.0e2', '5200'],
    ['0', '-0', '0'],
    ['-0.5', '0.5', '0'],
    ['3.0', '0', '3'],
    ['1000000000000000.1', '0.2', '1000000000000000.29998779296875'],
    ['18446744073709551615', '1', '18446744073709551616'],
    ['18446744073709551616', '1', '18446744073709551616'],
    ['18446744073709551616', '3', '18446744073709551620'],
    ['1e-17', '0', '0.00000000000000001'],
    ['1e-18', '0', '0'],
    ['5e-18', '0', '0'],
    ['6e-18', '0', '0.00000000000000001'],
    ['-1e-18', '0', '0'],
    ['0x10', '0x1p-1', '16.5'],
    ['.5', '5.', '5.5'],
    ['+1', '1', '2'],
    ['1', '1e4932', '1000000000000000000006018949387963891323'],
    ['inf', '1', 'infinite'],
    ['-INFINITY', '1', 'infinite'],
    ['1.18e4932', '1.18e4932', 'infinite'],
    ['0e99999999999', '1', '1'],
  ])('%s + %s = %s', (a, b, expected) => {
    expect(sum(a, b)?.slice(0, 40)).toBe(expected)
  })

  it.each([
    '',
    ' 1',
    '1 ',
    '1e',
    '.',
    '-',
    '0x',
    'nan',
    '1e5000',
    '1e-5000',
    '1\0',
    '--1',
    '1,5',
    '1e99999999999',
    'x',
    '0x1p',
    '1'.repeat(5120),
  ])('%j is no number', (text) => {
    expect(sum(text, '0')).toBeUndefined()
  })

  it('keeps 64 bits of the largest numbers and loses them one by one among the smallest', () => {
    expect(sum('1.18973149535723176502e4932', '0')).toHaveLength(4933)
    expect(sum('1e-4951', '0')).toBeUndefined()
    expect(sum('4e-4951', '0')).toBe('0')
  })

  it('an absurdly long number is read in a moment', () => {
    const started = performance.now()
    for (let i = 0; i < 20; i++) sum(`0.${'0'.repeat(5000)}1`, `${'9'.repeat(5000)}e-100`)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
