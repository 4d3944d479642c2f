// A fast seeded hash of bytes for the in-memory tables.
//
// It is not stable: the seed differs from process to process, so that nobody outside can aim keys at one bucket. Nothing that is
// stored or sent may depend on it; routes and shards use crc32 (crc32.ts).

/** 32-bit signed hash of bytes[start..end). */
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
