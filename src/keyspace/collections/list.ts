// Lists: elements in an order, quick to reach at both ends.
//
// Packed or in a chain, entries have the same form (list-entries.ts), so the lens walks over blocks of bytes: the row is one, each node is.
//
// Unusual: `seek`, `next` and `previous` leave where the element is in fields of the lens, valid until something changes; `removeHere`
// and its like change that element and lose the place, unless they say otherwise. `sum` tells the elements, not their order: that would
// make a push in front as slow as the list is long. The digest tells both.

import { copyBytes } from '../../base/bytes.ts'
import { hashBytes, mix } from '../../base/hash.ts'
import { KIND_LIST } from '../row.ts'
import { Collection, elementSeal } from './collection.ts'
import { ListChain, type ListNode } from './list-chain.ts'
import { elementEnd, elementStart, entryBefore, entryEnd, entrySize, writeEntry } from './list-entries.ts'

/** Above this a list leaves its row: a push in front moves all of it. */
const PACKED_BYTES_MAX = 2048
/** What `take` has taken is kept in a buffer of this size, unless it is larger. */
const TAKEN_BYTES = 4096

export class List extends Collection<ListChain> {
  readonly kind = KIND_LIST

  // The element that was sought, or comes in turn: elements[elementStart..elementEnd).
  elements: Uint8Array = new Uint8Array(0)
  elementStart = 0
  elementEnd = 0
  /** The entry of that element begins here, among the entries elements[#low..#high) of a node, or of the row (null). */
  #at = 0
  #low = 0
  #high = 0
  #node: ListNode | null = null

  /** What `take` has taken: taken[0..takenLength). */
  taken: Uint8Array = new Uint8Array(TAKEN_BYTES)
  takenLength = 0

  encodingName(): string {
    return 'quicklist'
  }

  /** Adds an element at an end. It does not lie in this list. */
  push(isHead: boolean, element: Uint8Array, from: number, to: number): void {
    const size = entrySize(to - from)
    const large = this.#makeRoom(size)
    if (large === null) {
      const at = this.splice(isHead ? this.start : this.end, 0, size)
      writeEntry(this.bytes, at, element, from, to)
    } else if (isHead) large.pushHead(element, from, to)
    else large.pushTail(element, from, to)
    this.#added(element, from, to)
  }

  /** Goes to the element of this index, 0 .. count - 1. */
  seek(index: number): void {
    const { large } = this
    if (large === null) {
      this.#enterRow()
      const { bytes } = this
      let at: number
      if (index * 2 <= this.count) for (at = this.start; index > 0; index--) at = entryEnd(bytes, at)
      else for (at = this.end; index < this.count; index++) at = entryBefore(bytes, at)
      return this.#show(at)
    }
    let node: ListNode
    if (index * 2 <= this.count) {
      for (node = large.first!; index >= node.count; node = node.after!) index -= node.count
    } else {
      index = this.count - index
      for (node = large.last!; index > node.count; node = node.before!) index -= node.count
      index = node.count - index
    }
    this.#enter(node)
    this.#show(node.at(index))
  }

  /** Goes to the next element, towards the tail; false if there is none. */
  next(): boolean {
    let at = entryEnd(this.elements, this.#at)
    if (at === this.#high) {
      const node = this.#node?.after ?? null
      if (node === null) return false
      this.#enter(node)
      at = node.start
    }
    this.#show(at)
    return true
  }

  /** Goes to the element before, towards the head; false if there is none. */
  previous(): boolean {
    let end = this.#at
    if (end === this.#low) {
      const node = this.#node?.before ?? null
      if (node === null) return false
      this.#enter(node)
      end = node.end
    }
    this.#show(entryBefore(this.elements, end))
    return true
  }

  /** Whether the element is these bytes. */
  isHere(wanted: Uint8Array, from: number, to: number): boolean {
    const length = to - from
    if (this.elementEnd - this.elementStart !== length) return false
    const { elements, elementStart: start } = this
    for (let i = 0; i < length; i++) if (elements[start + i] !== wanted[from + i]) return false
    return true
  }

  /** Gives the element another value, which does not lie in this list. */
  replaceHere(element: Uint8Array, from: number, to: number): void {
    this.sum = (this.sum - elementSeal(this.elements, this.elementStart, this.elementEnd) + elementSeal(element, from, to)) | 0
    const size = entrySize(to - from)
    if (this.large === null) {
      const before = entryEnd(this.bytes, this.#at) - this.#at
      const offset = this.#at - this.start
      const large = this.#makeRoom(size - before)
      if (large === null) {
        // The row may move to other bytes: these are read afterwards.
        const at = this.splice(this.#at, before, size)
        writeEntry(this.bytes, at, element, from, to)
        return
      }
      return large.replace(large.first!, large.first!.start + offset, element, from, to)
    }
    this.large.replace(this.#node!, this.#at, element, from, to)
  }

  /** Adds an element in front of this one, or behind it. It does not lie in this list. */
  insertHere(isBefore: boolean, element: Uint8Array, from: number, to: number): void {
    const size = entrySize(to - from)
    const offset = (isBefore ? this.#at : entryEnd(this.elements, this.#at)) - this.#low
    const node = this.#node
    const large = this.#makeRoom(size)
    if (large === null) {
      const at = this.splice(this.start + offset, 0, size)
      writeEntry(this.bytes, at, element, from, to)
    } else {
      // It may have moved out of its row just now.
      const here = node ?? large.first!
      large.insert(here, here.start + offset, element, from, to)
    }
    this.#added(element, from, to)
  }

  /** Removes elements that are these bytes, the first so many of them or the last ones. @returns how many. */
  removeEqual(element: Uint8Array, from: number, to: number, limit: number, fromTail: boolean): number {
    let removed = 0
    this.seek(fromTail ? this.count - 1 : 0)
    let goesOn = true
    while (goesOn && removed < limit) {
      if (!this.isHere(element, from, to)) goesOn = fromTail ? this.previous() : this.next()
      else {
        goesOn = fromTail ? this.#removeAndPrevious() : this.#removeAndNext()
        removed++
      }
    }
    if (removed > 0 && this.count > 0) this.large?.merge()
    return removed
  }

  /** Removes the first n elements. */
  removeFirst(n: number): void {
    if (n === 0) return
    if (n === this.count) return this.#removeAll()
    if (this.large === null) {
      this.seek(0)
      for (let i = n; i > 0; i--) {
        this.#removed()
        this.next()
      }
      this.splice(this.start, this.#at - this.start, 0)
      return
    }
    this.seek(0)
    while (n-- > 0) this.#removeAndNext()
  }

  /** Removes the last n elements. */
  removeLast(n: number): void {
    if (n === 0) return
    if (n === this.count) return this.#removeAll()
    this.seek(this.count - 1)
    if (this.large === null) {
      for (let i = n; i > 0; i--) {
        this.#removed()
        this.previous()
      }
      const end = entryEnd(this.bytes, this.#at)
      this.splice(end, this.end - end, 0)
      return
    }
    while (n-- > 0) this.#removeAndPrevious()
  }

  /** Removes an element at an end and keeps it in `taken`. */
  take(isHead: boolean): void {
    this.#keep(isHead)
    this.#removeEnd(isHead)
  }

  /** The element at one end goes to the other, or stays; it is in `taken`. */
  rotate(fromHead: boolean, toHead: boolean): void {
    this.#keep(fromHead)
    if (fromHead === toHead || this.count === 1) return
    this.#removeEnd(fromHead)
    this.push(toHead, this.taken, 0, this.takenLength)
  }

  digest(seed: number): number {
    let sum = this.count
    this.seek(0)
    do sum = (Math.imul(sum, 31) + hashBytes(this.elements, this.elementStart, this.elementEnd, seed)) | 0
    while (this.next())
    return mix(sum)
  }

  #keep(isHead: boolean): void {
    this.seek(isHead ? 0 : this.count - 1)
    const length = this.elementEnd - this.elementStart
    if (length > this.taken.length || (length <= TAKEN_BYTES && this.taken.length > TAKEN_BYTES)) {
      this.taken = new Uint8Array(Math.max(length, TAKEN_BYTES))
    }
    copyBytes(this.elements, this.elementStart, this.elementEnd, this.taken, 0)
    this.takenLength = length
  }

  #removeEnd(isHead: boolean): void {
    if (isHead) this.removeFirst(1)
    else this.removeLast(1)
  }

  /** Before so many bytes are added: what is packed moves out of its row if that would be too large. @returns what is large. */
  #makeRoom(moreBytes: number): ListChain | null {
    if (this.large === null && this.end - this.start + moreBytes > PACKED_BYTES_MAX) this.moveOut()
    return this.large
  }

  #enter(node: ListNode): void {
    this.#node = node
    this.elements = node.bytes
    this.#low = node.start
    this.#high = node.end
  }

  #enterRow(): void {
    this.#node = null
    this.elements = this.bytes
    this.#low = this.start
    this.#high = this.end
  }

  #show(at: number): void {
    this.#at = at
    this.elementStart = elementStart(this.elements, at)
    this.elementEnd = elementEnd(this.elements, at)
  }

  #added(element: Uint8Array, from: number, to: number): void {
    this.count++
    this.sum = (this.sum + elementSeal(element, from, to)) | 0
  }

  /** The element shown goes. */
  #removed(): void {
    this.count--
    this.sum = (this.sum - elementSeal(this.elements, this.elementStart, this.elementEnd)) | 0
  }

  /** Removes the element, and goes to the next one; false if there is none. */
  #removeAndNext(): boolean {
    const isLast = entryEnd(this.elements, this.#at) === this.#high
    const after = this.#node?.after ?? null
    this.#removeEntry()
    if (!isLast) this.#show(this.#at)
    else {
      if (after === null) return false
      this.#enter(after)
      this.#show(after.start)
    }
    return true
  }

  /** Removes the element, and goes to the one before; false if there is none. */
  #removeAndPrevious(): boolean {
    const isFirst = this.#at === this.#low
    const before = this.#node?.before ?? null
    this.#removeEntry()
    if (!isFirst) this.#show(entryBefore(this.elements, this.#at))
    else {
      if (before === null) return false
      this.#enter(before)
      this.#show(entryBefore(before.bytes, before.end))
    }
    return true
  }

  /** Removes the element; `#at` is where the next entry of its block begins, or the block's end. */
  #removeEntry(): void {
    this.#removed()
    const node = this.#node
    if (node === null) {
      const at = this.#at
      this.#at = this.splice(at, entryEnd(this.bytes, at) - at, 0)
      return this.#enterRow()
    }
    const isStart = this.#at === node.start
    this.large!.remove(node, this.#at)
    this.#low = node.start
    this.#high = node.end
    if (isStart) this.#at = node.start
  }

  /** The key goes with its elements: nobody looks at them again. */
  #removeAll(): void {
    this.count = 0
    this.sum = 0
  }

  protected unpack(): ListChain {
    const chain = new ListChain(this.context)
    chain.fill(this.bytes, this.start, this.end, this.count)
    return chain
  }

  protected packedBytes(large: ListChain): number {
    return large.dataBytes
  }

  protected pack(large: ListChain, bytes: Uint8Array, at: number): void {
    for (let node = large.first; node !== null; node = node.after) {
      copyBytes(node.bytes, node.start, node.end, bytes, at)
      at += node.end - node.start
    }
  }
}
