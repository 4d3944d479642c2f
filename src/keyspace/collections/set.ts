// Sets: members. Packed they are sorted integers as long as all are integers and Redis would keep an intset (the set has not grown), else
// entries in the order in which they came.
//
// Unusual: `next` and `choose` leave where a member is in fields of the lens, valid until something changes or the next member is shown.

import { copyBytes } from '../../base/bytes.ts'
import { hashBytes, mix } from '../../base/hash.ts'
import { KIND_SET } from '../row.ts'
import { Collection, elementSeal, REPACKED_BYTES_MAX } from './collection.ts'
import { INTEGERS_AT, type Int64, findInteger, parseInto, readInto, widthOf, writeDigits, writeInt } from './integers.ts'
import { MemberTable } from './member-table.ts'
import { entryEnd, entrySize, entryStart, findEntry, writeEntry } from './packed.ts'

const DIGITS_MAX = 20
/** Redis's own limit on set-max-intset-entries. */
const INTEGERS_MAX = 2 ** 30
const NOTHING = new Uint8Array(0)

export class Members extends Collection<MemberTable> {
  readonly kind = KIND_SET

  // The member that comes in turn, or was chosen: elements[memberStart..memberEnd).
  elements: Uint8Array = new Uint8Array(0)
  memberStart = 0
  memberEnd = 0
  /** Where digits stand that are shown as a member. */
  readonly #digits = Buffer.alloc(DIGITS_MAX)
  readonly #integer: Int64 = { high: 0, low: 0 }
  #position = 0
  /** Tells the member that was chosen last from all others, until something changes. */
  place = 0

  encodingName(): string {
    return this.hasGrown ? 'hashtable' : 'intset'
  }

  has(member: Uint8Array, start: number, end: number): boolean {
    if (this.large !== null) return this.large.find(member, start, end) !== 0
    if (this.hasGrown) return findEntry(this.bytes, this.start, this.end, 1, member, start, end) !== -1
    return parseInto(this.#integer, member, start, end) && this.#indexOf() >= 0
  }

  /** Adds a member, which does not lie in this set. @returns whether it is new. */
  add(member: Uint8Array, start: number, end: number): boolean {
    if (!this.hasGrown) {
      const isInteger = parseInto(this.#integer, member, start, end)
      if (isInteger && this.large === null) return this.#addInteger(member, start, end)
      if (!isInteger) this.grow()
    }
    if (this.has(member, start, end)) return false
    const size = entrySize(end - start)
    this.makeRoom(1, size)
    if (this.large !== null) this.large.add(member, start, end, NOTHING, 0, 0)
    else {
      const at = this.splice(this.end, 0, size)
      writeEntry(this.bytes, at, member, start, end)
    }
    this.#added(member, start, end)
    return true
  }

  /** The member may be the one that is shown. @returns whether it was there. */
  remove(member: Uint8Array, start: number, end: number): boolean {
    if (this.large !== null) {
      const ref = this.large.find(member, start, end)
      if (ref === 0) return false
      this.#removed(member, start, end)
      this.large.removeOpen(ref)
    } else if (this.hasGrown) {
      const at = findEntry(this.bytes, this.start, this.end, 1, member, start, end)
      if (at === -1) return false
      this.#removed(member, start, end)
      this.splice(at, entryEnd(this.bytes, at) - at, 0)
    } else {
      if (!parseInto(this.#integer, member, start, end)) return false
      const index = this.#indexOf()
      if (index < 0) return false
      this.#removed(member, start, end)
      const width = this.bytes[this.start]
      this.splice(this.start + INTEGERS_AT + index * width, width, 0)
    }
    return true
  }

  override grow(): void {
    if (this.large === null && !this.hasGrown) this.#toEntries()
    super.grow()
  }

  /** Before the first member. */
  rewind(): void {
    this.#position = 0
  }

  /** Goes to the next member; false if there is none. */
  next(): boolean {
    const { large } = this
    if (large !== null) {
      this.#position = large.next(this.#position)
      if (this.#position === -1) return false
      this.#show(large)
      return true
    }
    if (this.start + this.#position >= this.end) return false
    if (this.hasGrown) {
      this.#showEntry(this.start + this.#position)
      this.#position = this.memberEnd - this.start
    } else {
      if (this.#position === 0) this.#position = INTEGERS_AT
      if (this.start + this.#position >= this.end) return false
      const width = this.bytes[this.start]
      this.#showInteger(this.start + this.#position, width)
      this.#position += width
    }
    return true
  }

  /** Goes to any one of the members. @param random gives numbers in [0, 1). */
  choose(random: () => number): void {
    const { large } = this
    if (large !== null) {
      this.place = large.choose(random)
      this.#show(large)
      return
    }
    const index = Math.floor(random() * this.count)
    if (this.hasGrown) {
      this.rewind()
      for (let i = index; i >= 0; i--) this.next()
    } else {
      const width = this.bytes[this.start]
      this.#showInteger(this.start + INTEGERS_AT + index * width, width)
    }
  }

  /**
   * Visits some members, `limit` at least, those of one cursor after another until it is 0 again; a packed set is visited whole.
   * @returns the next cursor.
   */
  scan(cursor: number, limit: number, visit: () => void): number {
    const { large } = this
    if (large !== null) {
      return large.scan(cursor, limit, (ref) => {
        large.open(ref)
        this.#show(large)
        visit()
      })
    }
    this.rewind()
    while (this.next()) visit()
    return 0
  }

  digest(seed: number): number {
    let sum = 0
    this.rewind()
    while (this.next()) sum = (sum + hashBytes(this.elements, this.memberStart, this.memberEnd, seed)) | 0
    return mix(sum ^ this.count)
  }

  /** Where `#integer` is among the packed integers, or belongs. */
  #indexOf(): number {
    return this.end === this.start ? -1 : findInteger(this.bytes, this.start, this.end, this.#integer)
  }

  #added(member: Uint8Array, start: number, end: number): void {
    this.count++
    this.sum = (this.sum + elementSeal(member, start, end)) | 0
    if (this.count > Math.min(this.context.limits.setIntegersMax, INTEGERS_MAX) && !this.hasGrown) this.grow()
  }

  /** Adds `#integer` to packed integers. */
  #addInteger(member: Uint8Array, start: number, end: number): boolean {
    const needed = widthOf(this.#integer)
    if (this.end === this.start) {
      this.splice(this.start, 0, INTEGERS_AT)
      this.bytes[this.start] = needed
    }
    let index = this.#indexOf()
    if (index >= 0) return false
    index = -1 - index
    const width = Math.max(needed, this.bytes[this.start])
    this.makeRoom(1, (width - this.bytes[this.start]) * this.count + width)
    if (this.large !== null) this.large.add(member, start, end, NOTHING, 0, 0)
    else {
      if (width > this.bytes[this.start]) this.#widen(width)
      const at = this.splice(this.start + INTEGERS_AT + index * width, 0, width)
      writeInt(this.bytes, at, width, this.#integer)
    }
    this.#added(member, start, end)
    return true
  }

  /** Gives every packed integer more bytes. */
  #widen(width: number): void {
    const before = this.bytes[this.start]
    const integer: Int64 = { high: 0, low: 0 }
    this.splice(this.end, 0, this.count * (width - before))
    // From the last one on: what is read has not been overwritten yet.
    for (let i = this.count - 1; i >= 0; i--) {
      readInto(integer, this.bytes, this.start + INTEGERS_AT + i * before, before)
      writeInt(this.bytes, this.start + INTEGERS_AT + i * width, width, integer)
    }
    this.bytes[this.start] = width
  }

  /** Packed integers become entries. */
  #toEntries(): void {
    const { start, end } = this
    let size = 0
    for (this.rewind(); this.next();) size += entrySize(this.memberEnd - this.memberStart)
    const entries = new Uint8Array(size)
    let at = 0
    for (this.rewind(); this.next();) at = writeEntry(entries, at, this.elements, this.memberStart, this.memberEnd)
    const to = this.splice(start, end - start, size)
    copyBytes(entries, 0, size, this.bytes, to)
  }

  #removed(member: Uint8Array, start: number, end: number): void {
    this.count--
    this.sum = (this.sum - elementSeal(member, start, end)) | 0
  }

  /** The row that is open in the table. */
  #show(large: MemberTable): void {
    this.elements = large.bytes
    this.memberStart = large.start
    this.memberEnd = large.end
  }

  #showEntry(at: number): void {
    this.elements = this.bytes
    this.memberStart = entryStart(this.bytes, at)
    this.memberEnd = entryEnd(this.bytes, at)
  }

  #showInteger(at: number, width: number): void {
    readInto(this.#integer, this.bytes, at, width)
    this.elements = this.#digits
    this.memberStart = 0
    this.memberEnd = writeDigits(this.#digits, 0, this.#integer)
  }

  protected unpack(): MemberTable {
    const table = new MemberTable(this.context)
    for (this.rewind(); this.next();) table.add(this.elements, this.memberStart, this.memberEnd, NOTHING, 0, 0)
    return table
  }

  protected packedBytes(large: MemberTable): number {
    // It would have to be integers, and there are more than fit a row by the options: it may as well stay where it is.
    if (!this.hasGrown) return Infinity
    if (large.dataBytes > REPACKED_BYTES_MAX) return large.dataBytes
    let bytes = 0
    for (let position = large.next(0); position !== -1; position = large.next(position)) bytes += entrySize(large.end - large.start)
    return bytes
  }

  protected pack(large: MemberTable, bytes: Uint8Array, at: number): void {
    for (let position = large.next(0); position !== -1; position = large.next(position)) {
      at = writeEntry(bytes, at, large.bytes, large.start, large.end)
    }
  }
}
