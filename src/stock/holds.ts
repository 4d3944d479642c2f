// The open holds of one SKU, in the order in which they end: by deadline, and with equal deadlines by reservation.
//
//   chunks   [ o o o o | o o o o | o o . . ]     refs of order rows, each chunk sorted, every chunk before the next one
//
// Most holds of a SKU last equally long, so nearly every one is appended at the end; they end at the front. Both cost O(1), anything
// else a binary search and a move within one chunk. So the earliest deadline is exact, and a page of HOLDS starts anywhere at once.
// Four bytes per hold: the keys are read from the rows.

import { assert } from '../base/assert.ts'
import type { OrderRows } from './order-rows.ts'

const CHUNK = 512
const CHUNK_AT_FIRST = 8

/** The refs are refs[first..end). */
class Chunk {
  refs: Int32Array
  first = 0
  end = 0
  constructor(capacity: number) {
    this.refs = new Int32Array(capacity)
  }
}

export class Holds {
  readonly #rows: OrderRows
  #chunks: Chunk[] = []
  #size = 0

  constructor(rows: OrderRows) {
    this.#rows = rows
  }

  get size(): number {
    return this.#size
  }

  /** The hold that ends first; 0 if there is none. */
  get first(): number {
    if (this.#size === 0) return 0
    const chunk = this.#chunks[0]
    return chunk.refs[chunk.first]
  }

  /** Adds a hold. @returns true if it is now the first one. */
  add(row: number): boolean {
    const deadline = this.#rows.deadline(row)
    const sequence = this.#rows.sequence(row)
    this.#size++
    if (this.#size === 1) {
      const chunk = this.#chunks.length === 1 ? this.#chunks[0] : new Chunk(CHUNK_AT_FIRST)
      chunk.first = 0
      chunk.end = 1
      chunk.refs[0] = row
      this.#chunks = [chunk]
      return true
    }
    const last = this.#chunks[this.#chunks.length - 1]
    if (this.#isBefore(last.refs[last.end - 1], deadline, sequence)) {
      this.#append(last, row)
      return false
    }
    const at = this.#chunkOf(deadline, sequence)
    let chunk = this.#chunks[at]
    let index = this.#indexIn(chunk, deadline, sequence)
    if (chunk.end - chunk.first === CHUNK) {
      const half = new Chunk(CHUNK)
      half.end = CHUNK >>> 1
      half.refs.set(chunk.refs.subarray(chunk.end - half.end, chunk.end))
      chunk.end -= half.end
      this.#chunks.splice(at + 1, 0, half)
      if (index > chunk.end) {
        index -= chunk.end
        chunk = half
      }
    } else if (chunk.end === chunk.refs.length) {
      index -= chunk.first
      makeRoom(chunk)
    }
    chunk.refs.copyWithin(index + 1, index, chunk.end)
    chunk.refs[index] = row
    chunk.end++
    return at === 0 && index === chunk.first && chunk === this.#chunks[0]
  }

  /** Takes a hold away; its row still has the deadline that it was added with. @returns true if it was the first one. */
  remove(row: number): boolean {
    const head = this.#chunks[0]
    if (head.refs[head.first] === row) {
      head.first++
      this.#size--
      if (head.first === head.end) this.#dropChunk(0)
      return true
    }
    const deadline = this.#rows.deadline(row)
    const sequence = this.#rows.sequence(row)
    const at = this.#chunkOf(deadline, sequence)
    const chunk = this.#chunks[at]
    const index = this.#indexIn(chunk, deadline, sequence)
    assert(index < chunk.end && chunk.refs[index] === row, 'a hold is not where its deadline says')
    chunk.refs.copyWithin(index, index + 1, chunk.end)
    chunk.end--
    this.#size--
    if (chunk.first === chunk.end) this.#dropChunk(at)
    return false
  }

  /** Visits holds in order, from the first one after (deadline, sequence) on, until `visit` answers false. */
  forEachAfter(deadline: number, sequence: number, visit: (row: number) => boolean): void {
    if (this.#size === 0) return
    let at = this.#chunkOf(deadline, sequence + 1)
    let index = this.#indexIn(this.#chunks[at], deadline, sequence + 1)
    for (; at < this.#chunks.length; at++, index = this.#chunks[at]?.first ?? 0) {
      const chunk = this.#chunks[at]
      for (; index < chunk.end; index++) if (!visit(chunk.refs[index])) return
    }
  }

  clear(): void {
    this.#chunks = []
    this.#size = 0
  }

  /** True if the hold `row` comes before the key (deadline, sequence). */
  #isBefore(row: number, deadline: number, sequence: number): boolean {
    const d = this.#rows.deadline(row)
    return d < deadline || (d === deadline && this.#rows.sequence(row) < sequence)
  }

  /** The last chunk whose first hold is before the key; 0 if none is. */
  #chunkOf(deadline: number, sequence: number): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const chunk = this.#chunks[middle]
      if (this.#isBefore(chunk.refs[chunk.first], deadline, sequence)) low = middle
      else if (this.#isAt(chunk.refs[chunk.first], deadline, sequence)) return middle
      else high = middle - 1
    }
    return low
  }

  #isAt(row: number, deadline: number, sequence: number): boolean {
    return this.#rows.deadline(row) === deadline && this.#rows.sequence(row) === sequence
  }

  /** Where in the chunk the first hold is that is not before the key. */
  #indexIn(chunk: Chunk, deadline: number, sequence: number): number {
    let low = chunk.first
    let high = chunk.end
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore(chunk.refs[middle], deadline, sequence)) low = middle + 1
      else high = middle
    }
    return low
  }

  #append(last: Chunk, row: number): void {
    if (last.end - last.first === CHUNK) {
      last = new Chunk(CHUNK)
      this.#chunks.push(last)
    } else if (last.end === last.refs.length) makeRoom(last)
    last.refs[last.end++] = row
  }

  #dropChunk(at: number): void {
    // The last chunk stays for the next hold. A thousand chunks are half a million holds: splicing them is nothing.
    if (this.#chunks.length > 1) this.#chunks.splice(at, 1)
    else this.#chunks[0].first = this.#chunks[0].end = 0
  }
}

/** Makes room behind the refs: moves them to the front, into a larger array if they fill more than half of this one. */
function makeRoom(chunk: Chunk): void {
  const live = chunk.end - chunk.first
  const refs = live > chunk.refs.length >>> 1 ? new Int32Array(Math.min(CHUNK, chunk.refs.length * 2)) : chunk.refs
  refs.set(chunk.refs.subarray(chunk.first, chunk.end))
  chunk.refs = refs
  chunk.first = 0
  chunk.end = live
}
