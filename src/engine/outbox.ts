// Numbers the events that leave the node: 1, 2, 3 ... without a gap in each of 16 parts, assigned when the record is written and kept in
// it. Whoever reads the events sees a loss as a gap, and a repetition as a number that he has seen.
//
// All events of an order, and of a buyer, are in one part: by the buyer's name, or the order's id if it has none; those of a SKU by its
// name; an audit mark makes one event in every part. The hash is CRC-32, as MySQL's CRC32() computes it: shard = crc & 1023, part = shard >> 6.

import { crc32 } from '../base/crc32.ts'

export const PARTS = 16
const SHARD_MASK = 1023
const SHARDS_PER_PART_BITS = 6

export class Outbox {
  readonly #last = new Float64Array(PARTS)

  /** The number of the last audit mark. */
  mark = 0

  /** 0..1023, of a buyer, an order without one, or a SKU. */
  static shardOf(bytes: Uint8Array, start: number, end: number): number {
    return crc32(bytes, start, end) & SHARD_MASK
  }

  static partOf(bytes: Uint8Array, start: number, end: number): number {
    return Outbox.partOfShard(Outbox.shardOf(bytes, start, end))
  }

  static partOfShard(shard: number): number {
    return shard >>> SHARDS_PER_PART_BITS
  }

  /** The least shard of a part. */
  static firstShardOf(part: number): number {
    return part << SHARDS_PER_PART_BITS
  }

  /** The number of the next event of this part. */
  next(part: number): number {
    return ++this.#last[part]
  }

  /** The number of the last event of this part. */
  last(part: number): number {
    return this.#last[part]
  }

  /** A record says which number its event has. @returns false if it is not the next one. */
  replay(part: number, number: number): boolean {
    if (number !== this.#last[part] + 1) return false
    this.#last[part] = number
    return true
  }

  /** A snapshot says where the numbers are. */
  restore(part: number, last: number): void {
    this.#last[part] = last
  }
}
