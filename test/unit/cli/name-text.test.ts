// Names as people read and type them: whatever bytes a name has, what is printed is safe and leads back to it.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { nameText, readName } from '../../../src/cli/orders/name-text.ts'
import { bytesOfName, nameOfBytes } from '../../../src/orders/store/name.ts'

const SEED = Number(process.env.STOCKD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

const printed = (bytes: Uint8Array): string => nameText(nameOfBytes(bytes))
const typed = (text: string): Buffer => bytesOfName(readName(text))

describe('a name', () => {
  it('is printed as it is, except for what a terminal would not show', () => {
    expect(printed(Buffer.from('{u1}é🛒'))).toBe('{u1}é🛒')
    expect(printed(Buffer.from('{u1}\xe9\xff', 'latin1'))).toBe('{u1}\\xe9\\xff')
    expect(printed(Buffer.from('a\u001b[2J\u202e\n'))).toBe('a\\u001b[2J\\u202e\\u000a')
    expect(printed(Buffer.from('a\\xff'))).toBe('a\\\\xff')
  })

  it('may be typed in more ways than it is printed', () => {
    expect(typed('a\\q\\')).toEqual(Buffer.from('a\\q\\'))
    expect(typed('\\xC3\\xA9')).toEqual(Buffer.from('é'))
    expect(readName('\\xc3\\xa9\\xff')).toBe(nameOfBytes(Buffer.from([0xc3, 0xa9, 0xff])))
    expect(typed('\\x00\\x41\\u00e9')).toEqual(Buffer.from('\0Aé'))
  })

  it(`is found again by what is printed of it (seed ${SEED})`, () => {
    const random = new Random(SEED)
    // Bytes that matter come often: backslashes, what may follow them, pieces of UTF-8.
    const pieces = [
      '\\',
      '\\',
      'x',
      'u',
      'f',
      '0',
      '9',
      '\xff',
      '\x80',
      '\xc3',
      '\xa9',
      '\xf0\x9f\x9b\x92',
      '\xed\xb2\x80',
      '\0',
      '\x1b',
      '\xef\xbf\xbd',
    ]
    for (let i = 0; i < 5000; i++) {
      const text = Array.from({ length: random.between(1, 12) }, () => pieces[random.between(0, pieces.length - 1)]).join('')
      const bytes = Buffer.from(text, 'latin1')
      const shown = printed(bytes)
      expect(shown).toMatch(/^[^\p{C}]+$/u)
      expect(typed(shown), JSON.stringify(text)).toEqual(bytes)
    }
  })
})
