import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytesOfName, nameOf, nameOfBytes } from '../../../../src/orders/store/name.ts'

it('has one string for each sequence of bytes, and gives the bytes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(bytesOfName(nameOfBytes(bytes))).toEqual(Buffer.from(bytes))
    }),
  )
})

it('is the text itself where the bytes are UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      expect(nameOfBytes(Buffer.from(text))).toBe(text)
      expect(nameOf(text, undefined)).toBe(text)
    }),
  )
})

it('tells apart the same characters as UTF-8 and as single bytes', () => {
  expect(nameOf('é', 'latin1')).toBe('\udce9')
  expect(nameOf('é', undefined)).toBe('é')
  // An event is latin1 as a whole, also when only one of its names is no UTF-8.
  expect(nameOf(Buffer.from('größe').toString('latin1'), 'latin1')).toBe('größe')
})
