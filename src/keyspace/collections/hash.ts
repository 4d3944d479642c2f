// Hashes: fields with values. Packed, the entries are field, value, field, value ... in the order in which the fields came.
//
// Unusual: `find` and `next` leave where field and value are in fields of the lens, valid until something changes.

import { hashBytes, mix } from '../../base/hash.ts'
import { KIND_HASH } from '../row.ts'
import { Collection, elementSeal, pairSeal, REPACKED_BYTES_MAX } from './collection.ts'
import { MemberTable } from './member-table.ts'
import { entryEnd, entrySize, entryStart, findEntry, writeEntry } from './packed.ts'

export class Hash extends Collection<MemberTable> {
  readonly kind = KIND_HASH

  // The field that was found, or comes in turn: elements[fieldStart..fieldEnd) and elements[valueStart..valueEnd).
  elements: Uint8Array = new Uint8Array(0)
  fieldStart = 0
  fieldEnd = 0
  valueStart = 0
  valueEnd = 0
  /** The entry, or the row, of that field. */
  #here = 0
  #position = 0

  /** Tells the field that was found or chosen last from all others, until something changes. */
  get place(): number {
    return this.#here
  }

  encodingName(): string {
    return this.hasGrown ? 'hashtable' : 'listpack'
  }

  find(field: Uint8Array, start: number, end: number): boolean {
    const { large } = this
    if (large !== null) {
      const ref = large.find(field, start, end)
      if (ref === 0) return false
      this.#show(large, ref)
      return true
    }
    const at = findEntry(this.bytes, this.start, this.end, 2, field, start, end)
    if (at === -1) return false
    this.#showPacked(at)
    return true
  }

  /** Gives a field a value. Neither lies in this hash. @returns whether the field is new. */
  set(field: Uint8Array, start: number, end: number, value: Uint8Array, from: number, to: number): boolean {
    const { hashValueMax, hashEntriesMax } = this.context.limits
    if ((end - start > hashValueMax || to - from > hashValueMax) && !this.hasGrown) this.grow()
    const isNew = !this.find(field, start, end)
    // Who writes all fields of something writes mostly what is there already.
    if (isNew || !this.#isValue(value, from, to)) {
      const fieldSeal = elementSeal(field, start, end)
      if (isNew) {
        this.#add(field, start, end, value, from, to)
        this.count++
      } else {
        this.sum = (this.sum - pairSeal(fieldSeal, elementSeal(this.elements, this.valueStart, this.valueEnd))) | 0
        if (this.large === null) {
          this.makeRoom(0, entrySize(to - from) - (this.valueEnd - this.fieldEnd))
          // It has moved out of its row, and the field with it.
          if (this.large !== null) this.find(field, start, end)
        }
        this.#replace(value, from, to)
      }
      this.sum = (this.sum + pairSeal(fieldSeal, elementSeal(value, from, to))) | 0
    }
    if (this.count > hashEntriesMax && !this.hasGrown) this.grow()
    return isNew
  }

  /** @returns whether the field was there. */
  remove(field: Uint8Array, start: number, end: number): boolean {
    if (!this.find(field, start, end)) return false
    this.sum = (this.sum - this.#sealHere()) | 0
    this.count--
    if (this.large !== null) this.large.removeOpen(this.#here)
    else this.splice(this.#here, this.valueEnd - this.#here, 0)
    return true
  }

  /** Before the first field. */
  rewind(): void {
    this.#position = this.large === null ? this.start : 0
  }

  /** Goes to the next field; false if there is none. */
  next(): boolean {
    const { large } = this
    if (large !== null) {
      this.#position = large.next(this.#position)
      if (this.#position === -1) return false
      this.#show(large, 0)
      return true
    }
    if (this.#position === this.end) return false
    this.#showPacked(this.#position)
    this.#position = this.valueEnd
    return true
  }

  /** Goes to any one of the fields. @param random gives numbers in [0, 1). */
  choose(random: () => number): void {
    const { large } = this
    if (large !== null) {
      this.#show(large, large.choose(random))
      return
    }
    this.rewind()
    for (let i = Math.floor(random() * this.count); i >= 0; i--) this.next()
  }

  /**
   * Visits some fields, `limit` at least, those of one cursor after another until it is 0 again; a packed hash is visited whole.
   * @returns the next cursor.
   */
  scan(cursor: number, limit: number, visit: () => void): number {
    const { large } = this
    if (large !== null) {
      return large.scan(cursor, limit, (ref) => {
        large.open(ref)
        this.#show(large, ref)
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
    while (this.next()) {
      const field = hashBytes(this.elements, this.fieldStart, this.fieldEnd, seed)
      sum = (sum + pairSeal(field, hashBytes(this.elements, this.valueStart, this.valueEnd, seed))) | 0
    }
    return mix(sum ^ this.count)
  }

  #add(field: Uint8Array, start: number, end: number, value: Uint8Array, from: number, to: number): void {
    const size = entrySize(end - start) + entrySize(to - from)
    this.makeRoom(1, size)
    if (this.large !== null) {
      this.large.add(field, start, end, value, from, to)
      return
    }
    const at = this.splice(this.end, 0, size)
    writeEntry(this.bytes, writeEntry(this.bytes, at, field, start, end), value, from, to)
  }

  /** Whether the field that was found has this value. */
  #isValue(value: Uint8Array, from: number, to: number): boolean {
    const { elements, valueStart } = this
    const length = to - from
    if (this.valueEnd - valueStart !== length) return false
    for (let i = 0; i < length; i++) if (elements[valueStart + i] !== value[from + i]) return false
    return true
  }

  /** Gives the field that was found another value. */
  #replace(value: Uint8Array, from: number, to: number): void {
    if (this.large !== null) {
      this.large.replace(this.#here, value, from, to)
      return
    }
    const before = this.valueEnd - this.fieldEnd
    const after = entrySize(to - from)
    const at = before === after ? this.fieldEnd : this.splice(this.fieldEnd, before, after)
    writeEntry(this.bytes, at, value, from, to)
  }

  #sealHere(): number {
    const { elements } = this
    return pairSeal(elementSeal(elements, this.fieldStart, this.fieldEnd), elementSeal(elements, this.valueStart, this.valueEnd))
  }

  /** The row that is open in the table. */
  #show(large: MemberTable, ref: number): void {
    this.#here = ref
    this.elements = large.bytes
    this.fieldStart = large.start
    this.fieldEnd = large.end
    this.valueStart = large.payloadStart
    this.valueEnd = large.payloadEnd
  }

  #showPacked(at: number): void {
    const { bytes } = this
    this.#here = at
    this.elements = bytes
    this.fieldStart = entryStart(bytes, at)
    this.fieldEnd = entryEnd(bytes, at)
    this.valueStart = entryStart(bytes, this.fieldEnd)
    this.valueEnd = entryEnd(bytes, this.fieldEnd)
  }

  protected unpack(): MemberTable {
    const table = new MemberTable(this.context)
    const { bytes, end } = this
    for (let at = this.start; at < end;) {
      const fieldEnd = entryEnd(bytes, at)
      const valueEnd = entryEnd(bytes, fieldEnd)
      table.add(bytes, entryStart(bytes, at), fieldEnd, bytes, entryStart(bytes, fieldEnd), valueEnd)
      at = valueEnd
    }
    return table
  }

  protected packedBytes(large: MemberTable): number {
    if (large.dataBytes > REPACKED_BYTES_MAX) return large.dataBytes
    let bytes = 0
    for (let position = large.next(0); position !== -1; position = large.next(position)) {
      bytes += entrySize(large.end - large.start) + entrySize(large.payloadEnd - large.payloadStart)
    }
    return bytes
  }

  protected pack(large: MemberTable, bytes: Uint8Array, at: number): void {
    for (let position = large.next(0); position !== -1; position = large.next(position)) {
      at = writeEntry(bytes, at, large.bytes, large.start, large.end)
      at = writeEntry(bytes, at, large.bytes, large.payloadStart, large.payloadEnd)
    }
  }
}
