// Rows of bytes off the JS heap: the garbage collector never walks them, so five million of them pause nobody.
//
//   ref (31 bits) = segment << 17 | granule          a granule is 8 bytes, a segment is 1 MiB; ref 0 means "none"
//
//   small rows   cut from the newest segment, freed rows are kept on a list per size and used again
//   large rows   (> 512 KiB) get a segment of their own, given back whole
//
// A row's words are read and written through `words[ref >>> 17][((ref & 0x1ffff) << 1) + i]` (Int32) and its bytes through
// `bytes[ref >>> 17][((ref & 0x1ffff) << 3) + i]`; the hot code does this inline, with `rowBytes`/`rowWord` for the rest.

import { assert } from '../base/assert.ts'

export const SEGMENT_SHIFT = 17
export const GRANULE_MASK = (1 << SEGMENT_SHIFT) - 1
const SEGMENT_BYTES = 1 << 20
/** Half a segment. Smaller, and a few gigabytes of large values would use up the segment numbers. */
const LARGE_ROW_BYTES = 512 * 1024
/** 2^31 granules of 8 bytes. */
const SEGMENTS_MAX = 1 << (31 - SEGMENT_SHIFT)
/** What is kept for the commands that are on their way when an arena becomes nearly full. */
const SEGMENTS_RESERVED = 256
/** Sizes up to here are kept exact (in granules); above, they are rounded up by at most an eighth: eight classes per power of two. */
const EXACT_GRANULES = 64
/** log2 of the granules above, and of the classes per power of two. */
const EXACT_BITS = 6
const CLASS_BITS = 3

/** What `alloc` really sets aside for `bytes`, in granules. */
function granulesOf(bytes: number): number {
  const granules = (bytes + 7) >>> 3
  if (granules <= EXACT_GRANULES) return granules
  const step = 1 << (31 - CLASS_BITS - Math.clz32(granules))
  return (granules + step - 1) & -step
}

/** The number of a size class, from 1; its sizes come from `granulesOf`. */
function classOf(granules: number): number {
  if (granules <= EXACT_GRANULES) return granules
  const bits = 31 - Math.clz32(granules)
  return EXACT_GRANULES + ((bits - EXACT_BITS) << CLASS_BITS) + ((granules >>> (bits - CLASS_BITS)) & ((1 << CLASS_BITS) - 1))
}
const CLASSES = classOf(granulesOf(LARGE_ROW_BYTES)) + 1

export class Arena {
  /** Per segment: its bytes. A freed large segment is an empty array. */
  readonly bytes: Uint8Array[] = []
  /** The same memory as signed 32-bit words, little-endian on every platform that Node runs on. */
  readonly words: Int32Array[] = []
  /** Per size class: the row freed last, whose first word is the one freed before it. */
  readonly #free = new Int32Array(CLASSES)
  readonly #emptySegments: number[] = []
  #current = -1
  #cursor = 0
  #allocatedBytes = 0
  #usedBytes = 0

  /** Bytes of all segments: what this arena takes from the machine. */
  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  /** True when segment numbers run out: the owner should refuse to grow before `alloc` has to fail. */
  get isNearlyFull(): boolean {
    return this.bytes.length - this.#emptySegments.length > SEGMENTS_MAX - SEGMENTS_RESERVED
  }

  /** Bytes of all live rows, rounded up to their size classes. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** A row of at least `bytes` bytes. Its content is whatever was there before: the caller writes every field. */
  alloc(bytes: number): number {
    const granules = granulesOf(bytes)
    this.#usedBytes += granules << 3
    if (bytes > LARGE_ROW_BYTES) return this.#openSegment(granules * 8) << SEGMENT_SHIFT
    const sizeClass = classOf(granules)
    const freed = this.#free[sizeClass]
    if (freed !== 0) {
      this.#free[sizeClass] = this.words[freed >>> SEGMENT_SHIFT][(freed & GRANULE_MASK) << 1]
      return freed
    }
    if (this.#current === -1 || this.#cursor + granules > 1 << SEGMENT_SHIFT) this.#nextSegment()
    const ref = (this.#current << SEGMENT_SHIFT) | this.#cursor
    this.#cursor += granules
    return ref
  }

  /** Gives a row back; `bytes` is what it was allocated with (any number of the same size class). */
  free(ref: number, bytes: number): void {
    const granules = granulesOf(bytes)
    this.#usedBytes -= granules << 3
    if (bytes > LARGE_ROW_BYTES) {
      const segment = ref >>> SEGMENT_SHIFT
      this.#allocatedBytes -= this.bytes[segment].length
      this.bytes[segment] = new Uint8Array(0)
      this.words[segment] = new Int32Array(0)
      this.#emptySegments.push(segment)
      return
    }
    this.#release(ref, granules)
  }

  /** True if a row of `oldBytes` can hold `newBytes` without moving. */
  fits(oldBytes: number, newBytes: number): boolean {
    return granulesOf(oldBytes) === granulesOf(newBytes) && oldBytes > LARGE_ROW_BYTES === newBytes > LARGE_ROW_BYTES
  }

  /** Bytes that a row of this size really takes. */
  static sizeOf(bytes: number): number {
    return granulesOf(bytes) << 3
  }

  /** Forgets every row at once. */
  clear(): void {
    this.bytes.length = 0
    this.words.length = 0
    this.#emptySegments.length = 0
    this.#free.fill(0)
    this.#current = -1
    this.#cursor = 0
    this.#allocatedBytes = 0
    this.#usedBytes = 0
  }

  #nextSegment(): void {
    // What is left of the old segment becomes free rows, so that mixed sizes do not leak its end.
    if (this.#current !== -1) {
      let left = (1 << SEGMENT_SHIFT) - this.#cursor
      while (left > 0) {
        let granules = Math.min(left, LARGE_ROW_BYTES >>> 3)
        // Down to a size class.
        if (granules > EXACT_GRANULES) granules &= -(1 << (31 - CLASS_BITS - Math.clz32(granules)))
        this.#release((this.#current << SEGMENT_SHIFT) | this.#cursor, granules)
        this.#cursor += granules
        left -= granules
      }
    }
    this.#current = this.#openSegment(SEGMENT_BYTES)
    // Granule 0 of segment 0 is ref 0, which means "none".
    this.#cursor = this.#current === 0 ? 1 : 0
  }

  /** Puts a row of a small class on its free list. */
  #release(ref: number, granules: number): void {
    const sizeClass = classOf(granules)
    this.words[ref >>> SEGMENT_SHIFT][(ref & GRANULE_MASK) << 1] = this.#free[sizeClass]
    this.#free[sizeClass] = ref
  }

  #openSegment(size: number): number {
    // Segment 0 is always a small one: a large row there would have the ref 0.
    if (this.bytes.length === 0 && size !== SEGMENT_BYTES) this.#nextSegment()
    const segment = this.#emptySegments.pop() ?? this.bytes.length
    assert(segment < SEGMENTS_MAX, 'an arena is full (16 GiB of rows)')
    // A SharedArrayBuffer's pages come zeroed and untouched from the OS, and its size does not hurry the garbage collector.
    const memory = new SharedArrayBuffer(size)
    this.bytes[segment] = new Uint8Array(memory)
    this.words[segment] = new Int32Array(memory)
    this.#allocatedBytes += size
    return segment
  }
}
