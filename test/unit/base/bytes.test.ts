import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyBytes } from '../../../src/base/bytes.ts'

const numbered = (memory: ArrayBuffer | SharedArrayBuffer): Uint8Array => {
  const bytes = new Uint8Array(memory)
  for (let i = 0; i < bytes.length; i++) bytes[i] = i
  return bytes
}
const makers: [string, () => Uint8Array][] = [
  ['private', () => numbered(new ArrayBuffer(400))],
  ['shared', () => numbered(new SharedArrayBuffer(400))],
]

describe('copyBytes', () => {
  for (const [from, makeSource] of makers) {
    for (const [to, makeTarget] of makers) {
      it(`copies from ${from} to ${to} memory`, () => {
        fc.assert(
          fc.property(fc.nat(200), fc.nat(200), fc.nat(200), (start, length, at) => {
            const source = makeSource()
            const target = makeTarget().fill(0xee)
            copyBytes(source, start, start + length, target, at)
            const expected = Buffer.alloc(400, 0xee)
            for (let i = 0; i < length; i++) expected[at + i] = (start + i) & 0xff
            expect(Buffer.compare(target, expected)).toBe(0)
          }),
        )
      })
    }
    it(`moves bytes within ${from} memory, in both directions`, () => {
      fc.assert(
        fc.property(fc.nat(200), fc.nat(200), fc.nat(200), (start, length, at) => {
          const bytes = makeSource()
          const expected = makeSource().copyWithin(at, start, start + length)
          copyBytes(bytes, start, start + length, bytes, at)
          expect(Buffer.compare(bytes, expected)).toBe(0)
        }),
      )
    })
  }
})
