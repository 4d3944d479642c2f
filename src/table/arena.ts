// Rows of bytes off the JS heap: the garbage collector never walks them, so five million of them pause nobody.
//
//   ref (31 bits) = segment << 17 | granule          a granule is 8 bytes, a segment is 1 MiB at most; ref 0 means "none"
//
//   small rows   cut from the newest segment, freed rows are kept on a list per size and used again
//   large rows   (> 512 KiB) get a segment of their own, given back whole
//
// Segments for small rows are SharedArrayBuffers, which it counts as nothing, so that a growing node is not
// collected again and again for memory that it keeps. What comes and goes it must be told of, or it would let gigabytes of freed rows lie:
// so large rows are ArrayBuffers, and segments that are let go are counted (`abandonedBytes`) for whoever can call the collector.
//
// There is one arena per database and one per large collection. The latter begin with small segments, each as large as all before it
// together, and leave their segments to a pool when they go: the next collection takes them from there, whether or not the garbage
// collector has been around.
//
// A row's words are read and written through `words[ref >>> 17][((ref & 0x1ffff) << 1) + i]` (Int32) and its bytes through
// `bytes[ref >>> 17][((ref & 0x1ffff) << 3) + i]`; the hot code does this inline, with `rowBytes`/`rowWord` for the rest.

import { assert } from '../base/assert.ts'
import { copyBytes } from '../base/bytes.ts'

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

/** Where a collection's first segment ends: about as much as the smallest collection has that is not packed. */
const SMALL_SEGMENT_BYTES = 8 * 1024
const SMALL_SEGMENT_SHIFT = 13
const POOLED_BYTES_MAX = 64 * 1024 * 1024

/** Segments that nobody uses, by size: powers of two from SMALL_SEGMENT_BYTES to SEGMENT_BYTES. */
export class SegmentPool {
  readonly #free: SharedArrayBuffer[][] = []
  #bytes = 0
  /** Bytes of all segments that were left to the garbage collector, ever: it does not know how much they are. */
  abandonedBytes = 0

  constructor() {
    for (let size = SMALL_SEGMENT_BYTES; size <= SEGMENT_BYTES; size *= 2) this.#free.push([])
  }

  /** Bytes that wait to be used. */
  get bytes(): number {
    return this.#bytes
  }

  take(size: number): SharedArrayBuffer | undefined {
    const memory = this.#free[31 - Math.clz32(size) - SMALL_SEGMENT_SHIFT]?.pop()
    if (memory !== undefined) this.#bytes -= size
    return memory
  }

  /** Memory of an odd size, or more than is worth keeping, is left to the garbage collector. */
  give(memory: SharedArrayBuffer): void {
    const size = memory.byteLength
    const isPooled = size >= SMALL_SEGMENT_BYTES && size <= SEGMENT_BYTES && (size & (size - 1)) === 0
    if (!isPooled || this.#bytes + size > POOLED_BYTES_MAX) {
      this.abandonedBytes += size
      return
    }
    this.#free[31 - Math.clz32(size) - SMALL_SEGMENT_SHIFT].push(memory)
    this.#bytes += size
  }
}

export class Arena {
  /** Per segment: its bytes. A freed large segment is an empty array. */
  readonly bytes: Uint8Array[] = []
  /** The same memory as signed 32-bit words, little-endian on every platform that Node runs on. */
  readonly words: Int32Array[] = []
  /** Per size class: the row freed last, whose first word is the one freed before it. */
  readonly #free = new Int32Array(CLASSES)
  readonly #emptySegments: number[] = []
  readonly #pool: SegmentPool | null
  #current = -1
  #cursor = 0
  /** Granules of the current segment. */
  #limit = 0
  #allocatedBytes = 0
  #usedBytes = 0
  #largeBytes = 0
  #abandonedBytes = 0

  /** @param pool given: the arena is one of many, and begins small. */
  constructor(pool: SegmentPool | null = null) {
    this.#pool = pool
  }

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

  /** Those of them that JavaScript's figures know nothing of: large rows are in its `external` memory. */
  get hiddenBytes(): number {
    return this.#usedBytes - this.#largeBytes
  }

  /** Bytes of all segments without a pool that were left to the garbage collector, ever. */
  get abandonedBytes(): number {
    return this.#abandonedBytes
  }

  /** A row of at least `bytes` bytes. Its content is whatever was there before: the caller writes every field. */
  alloc(bytes: number): number {
    const granules = granulesOf(bytes)
    this.#usedBytes += granules << 3
    if (bytes > LARGE_ROW_BYTES) {
      // Segment 0 is for small rows: a large one there would have the ref 0.
      if (this.bytes.length === 0) this.#nextSegment(1)
      this.#largeBytes += granules << 3
      return this.#openSegment(new ArrayBuffer(granules << 3)) << SEGMENT_SHIFT
    }
    const sizeClass = classOf(granules)
    const freed = this.#free[sizeClass]
    if (freed !== 0) {
      this.#free[sizeClass] = this.words[freed >>> SEGMENT_SHIFT][(freed & GRANULE_MASK) << 1]
      return freed
    }
    if (this.#cursor + granules > this.#limit) this.#nextSegment(granules)
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
      this.#largeBytes -= granules << 3
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

  /** Another arena with the same rows at the same places. */
  clone(): Arena {
    const copy = new Arena(this.#pool)
    for (const source of this.bytes) {
      const memory = source.buffer instanceof SharedArrayBuffer ? this.#newMemory(source.length) : new ArrayBuffer(source.length)
      const bytes = new Uint8Array(memory)
      copyBytes(source, 0, source.length, bytes, 0)
      copy.bytes.push(bytes)
      copy.words.push(new Int32Array(memory))
    }
    copy.#free.set(this.#free)
    copy.#emptySegments.push(...this.#emptySegments)
    copy.#current = this.#current
    copy.#cursor = this.#cursor
    copy.#limit = this.#limit
    copy.#allocatedBytes = this.#allocatedBytes
    copy.#usedBytes = this.#usedBytes
    copy.#largeBytes = this.#largeBytes
    return copy
  }

  /** Forgets every row at once. */
  clear(): void {
    for (const { buffer } of this.bytes) {
      if (!(buffer instanceof SharedArrayBuffer)) continue
      if (this.#pool === null) this.#abandonedBytes += buffer.byteLength
      else this.#pool.give(buffer)
    }
    this.bytes.length = 0
    this.words.length = 0
    this.#emptySegments.length = 0
    this.#free.fill(0)
    this.#current = -1
    this.#cursor = 0
    this.#limit = 0
    this.#allocatedBytes = 0
    this.#usedBytes = 0
    this.#largeBytes = 0
  }

  /** Opens a segment that has room for a row of so many granules. */
  #nextSegment(granules: number): void {
    // What is left of the old segment becomes free rows, so that mixed sizes do not leak its end.
    if (this.#current !== -1) {
      let left = this.#limit - this.#cursor
      while (left > 0) {
        let rest = Math.min(left, LARGE_ROW_BYTES >>> 3)
        // Down to a size class.
        if (rest > EXACT_GRANULES) rest &= -(1 << (31 - CLASS_BITS - Math.clz32(rest)))
        this.#release((this.#current << SEGMENT_SHIFT) | this.#cursor, rest)
        this.#cursor += rest
        left -= rest
      }
    }
    let size = SEGMENT_BYTES
    if (this.#pool !== null && this.#allocatedBytes < SEGMENT_BYTES) {
      // One granule more: the very first is nobody's.
      const least = Math.max(SMALL_SEGMENT_BYTES, this.#allocatedBytes, (granules + 1) << 3)
      size = Math.min(SEGMENT_BYTES, 2 ** Math.ceil(Math.log2(least)))
    }
    this.#current = this.#openSegment(this.#newMemory(size))
    this.#limit = size >>> 3
    // Granule 0 of segment 0 is ref 0, which means "none".
    this.#cursor = this.#current === 0 ? 1 : 0
  }

  /** Puts a row of a small class on its free list. */
  #release(ref: number, granules: number): void {
    const sizeClass = classOf(granules)
    this.words[ref >>> SEGMENT_SHIFT][(ref & GRANULE_MASK) << 1] = this.#free[sizeClass]
    this.#free[sizeClass] = ref
  }

  #openSegment(memory: ArrayBuffer | SharedArrayBuffer): number {
    const segment = this.#emptySegments.pop() ?? this.bytes.length
    assert(segment < SEGMENTS_MAX, 'an arena is full (16 GiB of rows)')
    this.bytes[segment] = new Uint8Array(memory)
    this.words[segment] = new Int32Array(memory)
    this.#allocatedBytes += memory.byteLength
    return segment
  }

  /** A SharedArrayBuffer's pages come zeroed and untouched from the OS, and its size does not hurry the garbage collector. */
  #newMemory(size: number): SharedArrayBuffer {
    return this.#pool?.take(size) ?? new SharedArrayBuffer(size)
  }
}
