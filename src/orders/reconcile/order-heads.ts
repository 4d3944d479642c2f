// What one side of a comparison has, in little memory: state and version of millions of orders, by a hash of their ids (about 20 bytes an
// order). Two ids that share a hash (one in 10^15 pairs) make one of them look different, and it is then looked at by its id.

import { keyedHash } from '../../base/hash.ts'
import { bytesOfName } from '../store/name.ts'

const SLOTS_MIN = 1024
const FULL = 0.7
const EMPTY = 0
const MARKED = 0x80
/** Any numbers: hashes are compared with each other only. */
const KEYS = [0x1d2f_4b6a_37c1, 0x0b7e_1516_28ae] as const
const HIGH_BITS = 20
const HIGH_MASK = 2 ** HIGH_BITS - 1

export const STATES = ['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED'] as const

/** 1 .. 2^52; never 0. */
export function hashOfOrder(id: string): number {
  const bytes = bytesOfName(id)
  const low = keyedHash(bytes, 0, bytes.length, KEYS[0]) >>> 0
  const high = keyedHash(bytes, 0, bytes.length, KEYS[1]) & HIGH_MASK
  return high * 2 ** 32 + low + 1
}

export class OrderHeads {
  #hashes = new Float64Array(SLOTS_MIN)
  #versions = new Uint32Array(SLOTS_MIN)
  /** State's index, and whether it was marked. */
  #states = new Uint8Array(SLOTS_MIN)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** An order that comes again is what it was told to be last. */
  put(hash: number, state: string, version: number): void {
    if (this.#size >= this.#hashes.length * FULL) this.#rebuild(this.#hashes.length * 2, () => true)
    const slot = this.#slotOf(hash)
    if (this.#hashes[slot] === EMPTY) {
      this.#hashes[slot] = hash
      this.#size++
    }
    this.#versions[slot] = version
    this.#states[slot] = indexOfState(state)
  }

  /** `absent`: there is no such order. A found one is marked as seen. */
  compare(hash: number, state: string, version: number): 'absent' | 'equal' | 'different' {
    const slot = this.#slotOf(hash)
    if (this.#hashes[slot] === EMPTY) return 'absent'
    const mine = this.#states[slot] & ~MARKED
    this.#states[slot] |= MARKED
    return mine === indexOfState(state) && this.#versions[slot] === version ? 'equal' : 'different'
  }

  /** It is here, and nobody compared it. */
  isUnmarked(hash: number): boolean {
    const slot = this.#slotOf(hash)
    return this.#hashes[slot] !== EMPTY && (this.#states[slot] & MARKED) === 0
  }

  /** Orders that nobody compared. */
  get unmarked(): number {
    let count = 0
    for (let slot = 0; slot < this.#hashes.length; slot++) {
      if (this.#hashes[slot] !== EMPTY && (this.#states[slot] & MARKED) === 0) count++
    }
    return count
  }

  /** Forgets those that are not wanted. */
  keep(isWanted: (hash: number) => boolean): void {
    this.#rebuild(this.#hashes.length, isWanted)
  }

  clear(): void {
    this.#rebuild(SLOTS_MIN, () => false)
  }

  #slotOf(hash: number): number {
    const { length } = this.#hashes
    for (let slot = hash % length; ; slot = slot + 1 === length ? 0 : slot + 1) {
      if (this.#hashes[slot] === hash || this.#hashes[slot] === EMPTY) return slot
    }
  }

  #rebuild(slots: number, isWanted: (hash: number) => boolean): void {
    const [hashes, versions, states] = [this.#hashes, this.#versions, this.#states]
    this.#hashes = new Float64Array(slots)
    this.#versions = new Uint32Array(slots)
    this.#states = new Uint8Array(slots)
    this.#size = 0
    for (let from = 0; from < hashes.length; from++) {
      if (hashes[from] === EMPTY || !isWanted(hashes[from])) continue
      const slot = this.#slotOf(hashes[from])
      this.#hashes[slot] = hashes[from]
      this.#versions[slot] = versions[from]
      this.#states[slot] = states[from]
      this.#size++
    }
  }
}

/** A state that we do not know is one more state. */
function indexOfState(state: string): number {
  const index = (STATES as readonly string[]).indexOf(state)
  return index === -1 ? STATES.length : index
}
