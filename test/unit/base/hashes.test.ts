import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../../src/base/crc32.ts'
import { hashBytes, keyedHash, mix } from '../../../src/base/hash.ts'

describe('crc32', () => {
  it('is the CRC of zlib', () => {
    expect(crc32(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926)
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        (bytes) => crc32(Buffer.concat([Buffer.from('ab'), bytes, Buffer.from('c')]), 2, 2 + bytes.length) === zlibCrc32(bytes),
      ),
    )
  })
})

describe('hashBytes', () => {
  it('depends on the bytes, their number and the seed, and on nothing around them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 5 }), fc.integer(), (bytes, before, seed) => {
        const moved = Buffer.concat([before, bytes, before])
        expect(hashBytes(moved, before.length, before.length + bytes.length, seed)).toBe(hashBytes(bytes, 0, bytes.length, seed))
      }),
    )
    expect(hashBytes(Buffer.from('a'), 0, 1, 1)).not.toBe(hashBytes(Buffer.from('a'), 0, 1, 2))
    expect(hashBytes(Buffer.from('a\0'), 0, 1, 1)).not.toBe(hashBytes(Buffer.from('a\0'), 0, 2, 1))
  })

  it('spreads keys that differ in a counter over all shards and all low bits', () => {
    for (const seed of [0, 1, 0x12345678]) {
      const shards = new Int32Array(256)
      const low = new Int32Array(256)
      const keys = 1 << 16
      for (let i = 0; i < keys; i++) {
        const key = Buffer.from(`user:${i}`)
        const hash = hashBytes(key, 0, key.length, seed)
        shards[hash >>> 24]++
        low[hash & 255]++
      }
      // 256 a bucket are expected; six standard deviations (16 each) are allowed.
      for (const counts of [shards, low]) expect(Math.max(...counts.map((n) => Math.abs(n - keys / 256)))).toBeLessThan(96)
    }
  })
})

describe('mix', () => {
  it('moves about half of the bits for every input bit', () => {
    for (let bit = 0; bit < 32; bit++) {
      let flips = 0
      for (let n = 0; n < 1000; n++) {
        const x = Math.imul(n, 0x9e3779b1)
        for (let d = mix(x) ^ mix(x ^ (1 << bit)); d !== 0; d &= d - 1) flips++
      }
      expect(flips / 1000).toBeGreaterThan(14)
      expect(flips / 1000).toBeLessThan(18)
    }
  })
})

describe('keyedHash', () => {
  it('depends on the bytes, their number and all 53 bits of the key, and on nothing around them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 5 }), fc.maxSafeNat(), (bytes, before, key) => {
        const moved = Buffer.concat([before, bytes, before])
        expect(keyedHash(moved, before.length, before.length + bytes.length, key)).toBe(keyedHash(bytes, 0, bytes.length, key))
      }),
    )
    const a = Buffer.from('a\0')
    const keys = [0, 1, 2 ** 31, 2 ** 32, 2 ** 52]
    expect(new Set(keys.flatMap((key) => [0, 1, 2].map((length) => keyedHash(a, 0, length, key)))).size).toBe(15)
  })

  it('spreads keys that differ in a counter over all shards and all low bits', () => {
    for (const seed of [0, 1, 2 ** 40 + 5]) {
      const shards = new Int32Array(256)
      const low = new Int32Array(256)
      for (let i = 0; i < 1 << 16; i++) {
        const key = Buffer.from(`user:${i}`)
        const hash = keyedHash(key, 0, key.length, seed)
        shards[hash >>> 24]++
        low[hash & 255]++
      }
      for (const counts of [shards, low]) expect(Math.max(...counts.map((n) => Math.abs(n - 256)))).toBeLessThan(96)
    }
  })
})
