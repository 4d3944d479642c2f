// A hash index from byte keys to rows of an arena: no JS string, object or closure per key.
//
// The key lies in its row. Word 0 of a row holds the key's length under `keyLengthMask` (the other bits are the owner's), and the
// key's bytes start at `keyOffset`. The index is 256 shards, each an open-addressing array of (hash, ref) pairs that grows and shrinks
// alone: a growing table of millions stops for one shard, not for all. A table that is one of many begins with a single shard, and is
// cut into 256 when that holds SPLIT_SIZE rows.
//
// Slots are in the order of the hash (homes grow with it; linear probing without wrap-around, deletion shifts back). So a scan's
// cursor is simply a hash: what was there all the time is visited exactly once, whatever grows or goes meanwhile.

import { assert } from '../base/assert.ts'
import { keyedHash } from '../base/hash.ts'
import { type Arena, GRANULE_MASK, SEGMENT_SHIFT } from './arena.ts'

const SHARD_BITS = 8
const SHARDS = 1 << SHARD_BITS
/** Of the bits of a hash that do not choose the shard, the upper ones choose the home in it. */
const HOME_BITS = 24
/** Rows of a single shard that is cut: a millisecond's work. */
const SPLIT_SIZE = 16 * 1024
/** Slots behind the last home of a shard, for runs that would wrap around. */
const SLACK_MAX = 64

/**
 * One part of the index: an array of [hash, ref] pairs, ref 0 being an empty slot.
 *
 * It has 8, 12, 16, 24, 32 ... homes, `factor << (HOME_BITS - shift)` with a factor of 2 or 3: steps of a third and a half, because an
 * index that doubles is half empty when it has just grown, and at millions of orders that is memory.
 */
class Shard {
  factor = 2
  shift = HOME_BITS - 2
  used = 0
  slots = new Int32Array(0)

  constructor() {
    this.slots = this.emptySlots()
  }

  get homes(): number {
    return this.factor << (HOME_BITS - this.shift)
  }

  /** All homes, and slots behind them for the runs of the last ones. */
  emptySlots(): Int32Array<ArrayBuffer> {
    const { homes } = this
    return new Int32Array((homes + Math.min(homes, SLACK_MAX)) * 2)
  }

  larger(): void {
    if (this.factor === 2) this.factor = 3
    else {
      assert(this.shift > 1, 'a shard of a table is full')
      this.factor = 2
      this.shift--
    }
  }

  smaller(): void {
    if (this.factor === 3) this.factor = 2
    else {
      this.factor = 3
      this.shift++
    }
  }

  clone(): Shard {
    const copy = new Shard()
    copy.factor = this.factor
    copy.shift = this.shift
    copy.used = this.used
    copy.slots = this.slots.slice()
    return copy
  }

  get isSmallest(): boolean {
    return this.factor === 2 && this.shift === HOME_BITS - 2
  }
}
/** More than the slots of a shard: a position is shard * POSITIONS + slot. */
const POSITIONS = 2 ** (HOME_BITS + 3)
const EMPTY_SHARD_BYTES = new Shard().slots.byteLength

export class ByteTable {
  readonly arena: Arena
  readonly #shards: Shard[] = []
  /** Upper bits of a hash that choose the shard: SHARD_BITS, or 0 if there is but one. */
  #shardBits: number
  readonly #shardBitsMin: number
  readonly #keyOffset: number
  readonly #keyLengthMask: number
  readonly #seed: number
  #size = 0
  #indexBytes = 0

  /** @param layout `isOneOfMany`: begins small */
  constructor(
    arena: Arena,
    layout: { readonly keyOffset: number; readonly keyLengthMask: number; readonly seed: number; readonly isOneOfMany?: boolean },
  ) {
    this.arena = arena
    this.#keyOffset = layout.keyOffset
    this.#keyLengthMask = layout.keyLengthMask
    this.#seed = layout.seed
    this.#shardBitsMin = layout.isOneOfMany === true ? 0 : SHARD_BITS
    this.#shardBits = this.#shardBitsMin
    this.clear()
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of the index itself. */
  get indexBytes(): number {
    return this.#indexBytes
  }

  hash(bytes: Uint8Array, start: number, end: number): number {
    return keyedHash(bytes, start, end, this.#seed)
  }

  /** The row of this key, or 0. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const shard = this.#shardOf(hash)
    const slots = shard.slots
    const length = end - start
    let i = (Math.imul((hash << this.#shardBits) >>> SHARD_BITS, shard.factor) >>> shard.shift) << 1
    let ref = slots[i + 1]
    while (ref !== 0) {
      if (slots[i] === hash) {
        const segment = ref >>> SEGMENT_SHIFT
        const granule = ref & GRANULE_MASK
        if ((this.arena.words[segment][granule << 1] & this.#keyLengthMask) === length) {
          const row = this.arena.bytes[segment]
          let p = (granule << 3) + this.#keyOffset
          let k = start
          while (k < end && row[p] === bytes[k]) {
            p++
            k++
          }
          if (k === end) return ref
        }
      }
      i += 2
      ref = slots[i + 1]
    }
    return 0
  }

  /** Adds a row whose key is not in the table. */
  insert(ref: number, hash: number): void {
    const shard = this.#shardOf(hash)
    // Grow at 4/5 full.
    if ((shard.used + 1) * 5 > shard.homes << 2) this.#grow(shard)
    while (!this.#place(shard, hash, ref)) this.#grow(shard)
    shard.used++
    this.#size++
    if (this.#shardBits === 0 && this.#size === SPLIT_SIZE) this.#split()
  }

  /** Takes a row out of the index; the row itself stays the owner's to free. */
  remove(ref: number, hash: number): void {
    const shard = this.#shardOf(hash)
    const { slots } = shard
    let hole = this.#slotOf(shard, ref, hash)
    // Shift the rest of the run back over the hole, unless an entry would move before its home.
    for (let i = hole + 2; i < slots.length && slots[i + 1] !== 0; i += 2) {
      if (this.#home(shard, slots[i]) << 1 <= hole) {
        slots[hole] = slots[i]
        slots[hole + 1] = slots[i + 1]
        hole = i
      }
    }
    slots[hole] = 0
    slots[hole + 1] = 0
    shard.used--
    this.#size--
    // Fewer slots when only an eighth is in use: memory comes back, and a scan never walks long deserts.
    if (!shard.isSmallest && shard.used << 3 < shard.homes) this.#shrink(shard)
  }

  /** The row moved (it grew or shrank): the same key now lies at `next`. */
  move(ref: number, next: number, hash: number): void {
    const shard = this.#shardOf(hash)
    shard.slots[this.#slotOf(shard, ref, hash) + 1] = next
  }

  clear(): void {
    this.#shardBits = this.#shardBitsMin
    this.#shards.length = 0
    for (let i = 0; i < 1 << this.#shardBits; i++) this.#shards.push(new Shard())
    this.#size = 0
    this.#indexBytes = this.#shards.length * EMPTY_SHARD_BYTES
  }

  /**
   * Visits rows in the order of their hashes, from `cursor` (0 starts) until at least `limit` were visited.
   * @returns the next cursor, an unsigned 32-bit number; 0 when everything was visited. The visitor must not change the table.
   */
  scan(cursor: number, limit: number, visit: (ref: number) => void): number {
    let seen = 0
    let from = cursor >>> 0
    const shift = SHARD_BITS - this.#shardBits
    for (let s = (from >>> 24) >>> shift; s < this.#shards.length; s++) {
      const shard = this.#shards[s]
      const { slots } = shard
      const homes = shard.used === 0 ? 0 : shard.homes
      for (let home = this.#home(shard, from); home < homes; home++) {
        // The smallest hash of this home.
        if (seen >= limit) return ((s << HOME_BITS) | (Math.ceil((home << shard.shift) / shard.factor) << shift)) >>> 0
        for (let i = home << 1; i < slots.length && slots[i + 1] !== 0; i += 2) {
          if (this.#home(shard, slots[i]) !== home || slots[i] >>> 0 < from) continue
          visit(slots[i + 1])
          seen++
        }
      }
      from = ((s + 1) << 24) >>> 0
    }
    return 0
  }

  /** Every row, in the order of their hashes. The visitor must not change the table. */
  forEach(visit: (ref: number) => void): void {
    for (const shard of this.#shards) {
      const slots = shard.slots
      for (let i = 1; i < slots.length; i += 2) if (slots[i] !== 0) visit(slots[i])
    }
  }

  /**
   * The rows one after another, without a visitor: where the next one stands from `position` on (0 is the start), -1 if there is none.
   * The table must not change meanwhile.
   */
  next(position: number): number {
    let at = position % POSITIONS
    for (let s = Math.floor(position / POSITIONS); s < this.#shards.length; s++) {
      const { slots, used } = this.#shards[s]
      if (used > 0) for (; at < slots.length >> 1; at++) if (slots[(at << 1) + 1] !== 0) return s * POSITIONS + at
      at = 0
    }
    return -1
  }

  /** The row at a position that `next` gave; go on from the position behind it. */
  at(position: number): number {
    return this.#shards[Math.floor(position / POSITIONS)].slots[((position % POSITIONS) << 1) + 1]
  }

  /** A row of a table that is not empty, each with the same probability. @param random gives numbers in [0, 1). */
  choose(random: () => number): number {
    let longest = 0
    for (const { slots } of this.#shards) longest = Math.max(longest, slots.length >> 1)
    // Shards are not of one length: who misses tries again, so that no row is favoured.
    for (;;) {
      const { slots } = this.#shards[Math.floor(random() * this.#shards.length)]
      const ref = slots[(Math.floor(random() * longest) << 1) + 1] ?? 0
      if (ref !== 0) return ref
    }
  }

  /** The same index over another arena with the same rows at the same places. */
  clone(arena: Arena): ByteTable {
    const layout = {
      keyOffset: this.#keyOffset,
      keyLengthMask: this.#keyLengthMask,
      seed: this.#seed,
      isOneOfMany: this.#shardBitsMin === 0,
    }
    const copy = new ByteTable(arena, layout)
    copy.#shardBits = this.#shardBits
    copy.#shards.length = 0
    for (const shard of this.#shards) copy.#shards.push(shard.clone())
    copy.#size = this.#size
    copy.#indexBytes = this.#indexBytes
    return copy
  }

  /** A row near a random place, 0 if the table is empty. `random` is an unsigned 32-bit number. */
  sample(random: number): number {
    if (this.#size === 0) return 0
    const shards = this.#shards.length
    for (let s = (random >>> 24) % shards, n = 0; n < shards; s = (s + 1) % shards, n++) {
      const shard = this.#shards[s]
      if (shard.used === 0) continue
      const slots = shard.slots
      const half = slots.length >> 1
      let i = ((random & 0xffffff) % half) << 1
      while (slots[i + 1] === 0) i = i + 2 === slots.length ? 0 : i + 2
      return slots[i + 1]
    }
    return 0
  }

  #shardOf(hash: number): Shard {
    return this.#shards[(hash >>> 24) >>> (SHARD_BITS - this.#shardBits)]
  }

  #home(shard: Shard, hash: number): number {
    return Math.imul((hash << this.#shardBits) >>> SHARD_BITS, shard.factor) >>> shard.shift
  }

  /** Cuts the only shard into 256. */
  #split(): void {
    const { slots } = this.#shards[0]
    this.#shardBits = SHARD_BITS
    this.#shards.length = 0
    for (let i = 0; i < SHARDS; i++) this.#shards.push(new Shard())
    this.#indexBytes = SHARDS * EMPTY_SHARD_BYTES
    this.#size = 0
    for (let i = 0; i < slots.length; i += 2) if (slots[i + 1] !== 0) this.insert(slots[i + 1], slots[i])
  }

  #slotOf(shard: Shard, ref: number, hash: number): number {
    const slots = shard.slots
    let i = this.#home(shard, hash) << 1
    while (slots[i + 1] !== ref) {
      assert(slots[i + 1] !== 0, 'a row is not where its hash says')
      i += 2
    }
    return i
  }

  #place(shard: Shard, hash: number, ref: number): boolean {
    const slots = shard.slots
    let i = this.#home(shard, hash) << 1
    // The last slot stays empty, so that every run ends inside the array.
    while (slots[i + 1] !== 0) i += 2
    if (i >= slots.length - 2) return false
    slots[i] = hash
    slots[i + 1] = ref
    return true
  }

  #grow(shard: Shard): void {
    const old = shard.slots
    do {
      shard.larger()
      shard.slots = shard.emptySlots()
    } while (!this.#refill(shard, old))
    this.#indexBytes += shard.slots.byteLength - old.byteLength
  }

  #shrink(shard: Shard): void {
    const old = shard.slots
    shard.smaller()
    shard.slots = shard.emptySlots()
    if (this.#refill(shard, old)) {
      this.#indexBytes += shard.slots.byteLength - old.byteLength
      return
    }
    // The last homes are so crowded that they do not fit: stay as large as before.
    shard.larger()
    shard.slots = old
  }

  #refill(shard: Shard, old: Int32Array): boolean {
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0 && !this.#place(shard, old[i], old[i + 1])) return false
    return true
  }
}
