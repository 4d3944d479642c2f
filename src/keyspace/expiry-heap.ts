// Which keys expire, and which of them first: a heap with four children per node, off the JS heap.
//
//   slot 1 is the earliest; the children of slot i are 4i-2 .. 4i+1.   A slot is three words: instant (high, low) and the row.
//   The row's word EXPIRY_SLOT says where it stands, so that a key's instant is read, moved and dropped without a search.
//
// The heap holds the instant, the row only its place: a key that does not expire pays four bytes. It grows in chunks: no pause to copy
// millions. Instants are int64 exactly, as Redis's: numbers up to 2^53, beyond them bigints (cold: nobody lives so long).

import { type Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { EXPIRY_SLOT } from './row.ts'

/** A point in time as clients may give it: any positive int64. A bigint only if it is not a safe integer. */
export type Instant = number | bigint

const CHUNK_SHIFT = 14
const CHUNK_MASK = (1 << CHUNK_SHIFT) - 1
const WORDS = 3
const TWO_TO_32 = 4294967296

export class ExpiryHeap {
  readonly #arena: Arena
  readonly #chunks: Int32Array[] = []
  #size = 0

  constructor(arena: Arena) {
    this.#arena = arena
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#chunks.length * (WORDS << CHUNK_SHIFT) * 4
  }

  /** The earliest instant (rounded if it is beyond 2^53); Infinity if nothing expires. */
  get first(): number {
    return this.#size === 0 ? Infinity : this.at(1)
  }

  /** The row that expires first. */
  get firstRow(): number {
    return this.#chunks[0][WORDS + 2]
  }

  /** The instant of a slot as a number, rounded if it is beyond 2^53. */
  at(slot: number): number {
    const chunk = this.#chunks[slot >>> CHUNK_SHIFT]
    const i = (slot & CHUNK_MASK) * WORDS
    return chunk[i] * TWO_TO_32 + (chunk[i + 1] >>> 0)
  }

  /** The instant of a slot, exactly. */
  exactAt(slot: number): Instant {
    const n = this.at(slot)
    if (Number.isSafeInteger(n)) return n
    return (BigInt(this.highAt(slot)) << 32n) | BigInt(this.lowAt(slot) >>> 0)
  }

  highAt(slot: number): number {
    return this.#chunks[slot >>> CHUNK_SHIFT][(slot & CHUNK_MASK) * WORDS]
  }

  lowAt(slot: number): number {
    return this.#chunks[slot >>> CHUNK_SHIFT][(slot & CHUNK_MASK) * WORDS + 1]
  }

  /** Gives a row its instant, or another one. */
  set(ref: number, at: Instant): void {
    let high: number
    let low: number
    if (typeof at === 'number') {
      high = Math.floor(at / TWO_TO_32) | 0
      low = (at - high * TWO_TO_32) | 0
    } else {
      high = Number(at >> 32n) | 0
      low = Number(at & 0xffffffffn) | 0
    }
    let slot = this.#slotOf(ref)
    if (slot === 0) {
      slot = ++this.#size
      if (slot >>> CHUNK_SHIFT === this.#chunks.length) this.#chunks.push(new Int32Array(WORDS << CHUNK_SHIFT))
    }
    this.#settle(slot, high, low, ref)
  }

  /** Forgets the instant of a row, if it has one. */
  remove(ref: number): void {
    const slot = this.#slotOf(ref)
    if (slot === 0) return
    this.#arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + EXPIRY_SLOT] = 0
    const last = this.#size--
    if (slot !== last) {
      const chunk = this.#chunks[last >>> CHUNK_SHIFT]
      const i = (last & CHUNK_MASK) * WORDS
      this.#settle(slot, chunk[i], chunk[i + 1], chunk[i + 2])
    }
    // One empty chunk stays, so that a size that swings around a border does not allocate each time.
    if (this.#chunks.length > (this.#size >>> CHUNK_SHIFT) + 2) this.#chunks.pop()
  }

  /** The row moved; its header, slot included, was copied along. */
  moved(ref: number, next: number): void {
    const slot = this.#slotOf(next)
    if (slot !== 0 && ref !== next) this.#chunks[slot >>> CHUNK_SHIFT][(slot & CHUNK_MASK) * WORDS + 2] = next
  }

  clear(): void {
    this.#chunks.length = 0
    this.#size = 0
  }

  #slotOf(ref: number): number {
    return this.#arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + EXPIRY_SLOT]
  }

  /**
   * Puts an entry in the free place `slot`, or where it belongs above or below it. Instants beyond 2^53 are compared as rounded numbers:
   * among those the order is of no matter.
   */
  #settle(slot: number, high: number, low: number, ref: number): void {
    const at = high * TWO_TO_32 + (low >>> 0)
    while (slot > 1) {
      const parent = (slot + 2) >>> 2
      if (this.at(parent) <= at) break
      this.#copy(parent, slot)
      slot = parent
    }
    const size = this.#size
    for (let child = slot * 4 - 2; child <= size; child = slot * 4 - 2) {
      const last = Math.min(child + 3, size)
      let least = child
      let leastAt = this.at(child)
      while (++child <= last) {
        const childAt = this.at(child)
        if (childAt < leastAt) {
          least = child
          leastAt = childAt
        }
      }
      if (leastAt >= at) break
      this.#copy(least, slot)
      slot = least
    }
    this.#write(slot, high, low, ref)
  }

  #copy(from: number, to: number): void {
    const chunk = this.#chunks[from >>> CHUNK_SHIFT]
    const i = (from & CHUNK_MASK) * WORDS
    this.#write(to, chunk[i], chunk[i + 1], chunk[i + 2])
  }

  #write(slot: number, high: number, low: number, ref: number): void {
    const chunk = this.#chunks[slot >>> CHUNK_SHIFT]
    const i = (slot & CHUNK_MASK) * WORDS
    chunk[i] = high
    chunk[i + 1] = low
    chunk[i + 2] = ref
    this.#arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + EXPIRY_SLOT] = slot
  }
}
