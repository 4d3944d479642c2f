// Members with something each, as many as there are: the large form of hashes (field and value), sets (nothing) and the like.
//
//   row of a member:   | length of the member | length of its payload | member | payload |       in an arena of the table's own
//
// Off the JS heap, as the keys are: a million fields are no work for the garbage collector, and the whole table goes in a moment, or is
// copied with a few large copies. Slots are in the order of the hash, so a scan's cursor survives whatever happens meanwhile.
//
// Unusual: `open` and `find` leave where the member and its payload are in fields, as Database does; read them before anything changes.

import { copyBytes } from '../../base/bytes.ts'
import { Arena, GRANULE_MASK, SEGMENT_SHIFT } from '../../table/arena.ts'
import { ByteTable } from '../../table/byte-table.ts'
import type { CollectionContext, LargeValue } from './collection.ts'

const PAYLOAD_LENGTH = 1
/** Bytes before the member. */
const MEMBER_AT = 8
const LENGTH_MASK = 0x3fffffff

export class MemberTable implements LargeValue {
  readonly #context: CollectionContext
  readonly #arena: Arena
  readonly #table: ByteTable
  count = 0
  sum = 0
  countedBytes = 0
  countedHiddenBytes = 0
  /** Bytes of all members and payloads. */
  dataBytes = 0

  // Where the row last opened or found keeps its member and payload.
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  payloadStart = 0
  payloadEnd = 0

  constructor(context: CollectionContext, from?: MemberTable) {
    this.#context = context
    this.#arena = from === undefined ? new Arena(context.pool) : from.#arena.clone()
    const layout = { keyOffset: MEMBER_AT, keyLengthMask: LENGTH_MASK, seed: context.seed, isOneOfMany: true }
    this.#table = from === undefined ? new ByteTable(this.#arena, layout) : from.#table.clone(this.#arena)
  }

  get size(): number {
    return this.#table.size
  }

  get usedBytes(): number {
    return this.#arena.usedBytes + this.#table.indexBytes
  }

  get hiddenBytes(): number {
    return this.#arena.hiddenBytes
  }

  clone(): MemberTable {
    const copy = new MemberTable(this.#context, this)
    copy.count = this.count
    copy.sum = this.sum
    copy.dataBytes = this.dataBytes
    return copy
  }

  release(): void {
    this.#arena.clear()
  }

  /** Looks for a member, and opens its row. @returns the row, 0 if there is none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const ref = this.#table.find(bytes, start, end, this.#table.hash(bytes, start, end))
    if (ref !== 0) this.open(ref)
    return ref
  }

  open(ref: number): void {
    const segment = ref >>> SEGMENT_SHIFT
    const granule = ref & GRANULE_MASK
    const words = this.#arena.words[segment]
    this.bytes = this.#arena.bytes[segment]
    this.start = (granule << 3) + MEMBER_AT
    this.end = this.start + words[granule << 1]
    this.payloadStart = this.end
    this.payloadEnd = this.end + words[(granule << 1) + PAYLOAD_LENGTH]
  }

  /** Adds a member that is not there. Its row is open then. @returns the row. */
  add(member: Uint8Array, start: number, end: number, payload: Uint8Array, from: number, to: number): number {
    const ref = this.#newRow(member, start, end, to - from)
    copyBytes(payload, from, to, this.bytes, this.payloadStart)
    this.#table.insert(ref, this.#table.hash(member, start, end))
    return ref
  }

  /** Gives the member of a row another payload, which does not lie in that row. The row may move, and is open then. @returns the row. */
  replace(ref: number, payload: Uint8Array, from: number, to: number): number {
    this.open(ref)
    if (to - from === this.payloadEnd - this.payloadStart) {
      copyBytes(payload, from, to, this.bytes, this.payloadStart)
      return ref
    }
    const before = MEMBER_AT + this.payloadEnd - this.start
    const after = MEMBER_AT + this.end - this.start + to - from
    let next = ref
    if (this.#arena.fits(before, after)) {
      this.dataBytes += after - before
      this.#arena.words[ref >>> SEGMENT_SHIFT][((ref & GRANULE_MASK) << 1) + PAYLOAD_LENGTH] = to - from
      this.open(ref)
    } else {
      const { bytes, start, end } = this
      const hash = this.#table.hash(bytes, start, end)
      this.dataBytes -= before - MEMBER_AT
      next = this.#newRow(bytes, start, end, to - from)
      this.#table.move(ref, next, hash)
      this.#arena.free(ref, before)
    }
    copyBytes(payload, from, to, this.bytes, this.payloadStart)
    return next
  }

  /** Removes the row that was found or opened last. */
  removeOpen(ref: number): void {
    const { bytes, start, end, payloadEnd } = this
    this.#table.remove(ref, this.#table.hash(bytes, start, end))
    this.dataBytes -= payloadEnd - start
    this.#arena.free(ref, MEMBER_AT + payloadEnd - start)
  }

  /** Opens the next row in turn. @param position 0 at first, then what was returned. @returns where to go on; -1 if there was none. */
  next(position: number): number {
    const here = this.#table.next(position)
    if (here === -1) return -1
    this.open(this.#table.at(here))
    return here + 1
  }

  /** Opens a row by chance, each with the same probability. @returns the row. */
  choose(random: () => number): number {
    const ref = this.#table.choose(random)
    this.open(ref)
    return ref
  }

  /** As ByteTable.scan; the visitor opens the rows it wants. */
  scan(cursor: number, limit: number, visit: (ref: number) => void): number {
    return this.#table.scan(cursor, limit, visit)
  }

  /** A row with everything but its payload; open. */
  #newRow(member: Uint8Array, start: number, end: number, payloadLength: number): number {
    const length = end - start
    const ref = this.#arena.alloc(MEMBER_AT + length + payloadLength)
    const words = this.#arena.words[ref >>> SEGMENT_SHIFT]
    const w = (ref & GRANULE_MASK) << 1
    words[w] = length
    words[w + PAYLOAD_LENGTH] = payloadLength
    this.open(ref)
    copyBytes(member, start, end, this.bytes, this.start)
    this.dataBytes += length + payloadLength
    return ref
  }
}
