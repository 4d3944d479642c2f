// Hashes of bytes, 32 bits: a fast one for digests and the like, and a keyed one for tables whose keys come from outside.
//
// Nothing that routes may depend on them; routes and shards use crc32 (crc32.ts).

/**
 * 32-bit signed hash of bytes[start..end), fast and well spread, but no defence: some inputs collide whatever the seed is (flip the top
 * bits of one word and undo it in the next). Tables of keys that clients choose use `keyedHash`.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let h = (seed ^ Math.imul(end - start, 0x27d4eb2f)) | 0
  let i = start
  for (; i + 4 <= end; i += 4) {
    h = Math.imul(h ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)), 0x9e3779b1)
    h ^= h >>> 15
  }
  for (; i < end; i++) h = Math.imul(h ^ bytes[i], 0x01000193)
  return mix(h)
}

/** Finalizer of murmur3 (Appleby): every input bit moves every output bit, so that the top bits may choose a shard. */
export function mix(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/**
 * 32-bit signed hash of bytes[start..end) for tables of keys that clients choose: HalfSipHash-1-2 (Aumasson and Bernstein), so that who does
 * not know the key cannot aim at one bucket. The key differs from process to process; nothing that is stored or sent may depend on it.
 * @param key any safe integer; its 53 bits are the secret.
 */
export function keyedHash(bytes: Uint8Array, start: number, end: number, key: number): number {
  let v0 = key | 0
  let v1 = (key / 4294967296) | 0
  let v2 = v0 ^ 0x6c796765
  let v3 = v1 ^ 0x74656462
  const words = start + ((end - start) & ~3)
  for (let i = start; i <= words; i += 4) {
    let m: number
    if (i < words) m = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    else {
      // The last word: what is left, and the length.
      m = (end - start) << 24
      for (let p = i, shift = 0; p < end; p++, shift += 8) m |= bytes[p] << shift
    }
    v3 ^= m
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= m
  }
  v2 ^= 0xff
  for (let round = 0; round < 2; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }
  return v1 ^ v3
}
