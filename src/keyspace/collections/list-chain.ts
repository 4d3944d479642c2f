// The large form of a list: a chain of nodes with some kilobytes of entries each, so that both ends are near, and an insertion in the
// middle moves one node's bytes and no others.
//
//   node.bytes   |  free  | entries [start..end) |  free  |
//
// What stays true: no node is empty, and each has at most as many bytes or entries as `list-max-listpack-size` said when they came; an
// element larger than that has a node for itself. Entries lie where pushing goes on: a node that was made for the head has its free bytes
// in front.
//
// Unusual: a node is an object with a buffer of its own, one for hundreds of elements; V8 counts such memory itself.

import { copyBytes } from '../../base/bytes.ts'
import type { CollectionContext, LargeValue } from './collection.ts'
import { entryBefore, entryEnd, entrySize, writeEntry } from './list-entries.ts'

/** Bytes of a node where the option counts entries: as in Redis. */
const NODE_BYTES = 8192
const SMALLEST_NODE_BYTES = 4096
/** What a node takes beside its bytes. */
const NODE_OVERHEAD = 160

export class ListNode {
  readonly bytes: Uint8Array
  start: number
  end: number
  count = 0
  before: ListNode | null = null
  after: ListNode | null = null

  constructor(capacity: number, at: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.start = at
    this.end = at
  }

  /** Where entry number `index` begins; from the nearer end. */
  at(index: number): number {
    const { bytes } = this
    let at: number
    if (index * 2 <= this.count) {
      at = this.start
      for (; index > 0; index--) at = entryEnd(bytes, at)
    } else {
      at = this.end
      for (; index < this.count; index++) at = entryBefore(bytes, at)
    }
    return at
  }

  /** Adds to the entries what lies in another node, or in a row. There is room behind them. */
  take(bytes: Uint8Array, start: number, end: number, count: number): void {
    copyBytes(bytes, start, end, this.bytes, this.end)
    this.end += end - start
    this.count += count
  }
}

export class ListChain implements LargeValue {
  readonly #context: CollectionContext
  first: ListNode | null = null
  last: ListNode | null = null
  count = 0
  sum = 0
  countedBytes = 0
  countedHiddenBytes = 0
  /** Nothing lies in an arena. */
  readonly hiddenBytes = 0
  usedBytes = 0
  /** Bytes of all entries. */
  dataBytes = 0

  constructor(context: CollectionContext) {
    this.#context = context
  }

  clone(): ListChain {
    const copy = new ListChain(this.#context)
    copy.count = this.count
    copy.sum = this.sum
    for (let node = this.first; node !== null; node = node.after) {
      const twin = copy.#link(new ListNode(node.bytes.length, 0), copy.last)
      twin.take(node.bytes, node.start, node.end, node.count)
    }
    copy.dataBytes = this.dataBytes
    return copy
  }

  release(): void {
    this.first = null
    this.last = null
  }

  /** The chain gets its first entries: those of a row. There are none if the first element of all is too large for one. */
  fill(bytes: Uint8Array, start: number, end: number, count: number): void {
    if (count === 0) return
    const node = new ListNode(Math.max(this.#nodeBytes, end - start), 0)
    node.take(bytes, start, end, count)
    this.#link(node, null)
    this.dataBytes += end - start
  }

  pushHead(source: Uint8Array, from: number, to: number): void {
    const size = entrySize(to - from)
    let node = this.first
    if (node === null || !this.#hasRoom(node, size, node.start)) node = this.#link(this.#newNode(size, true), null)
    else if (node.start < size) this.#place(node, node.bytes.length - (node.end - node.start))
    node.start -= size
    this.#write(node, node.start, size, source, from, to)
  }

  pushTail(source: Uint8Array, from: number, to: number): void {
    const size = entrySize(to - from)
    let node = this.last
    if (node === null || !this.#hasRoom(node, size, node.bytes.length - node.end)) node = this.#link(this.#newNode(size, false), this.last)
    else if (node.end + size > node.bytes.length) this.#place(node, 0)
    const at = node.end
    node.end += size
    this.#write(node, at, size, source, from, to)
  }

  /** Inserts an element in front of the entry at `at` of a node, or behind its last one. */
  insert(node: ListNode, at: number, source: Uint8Array, from: number, to: number): void {
    const size = entrySize(to - from)
    const { bytes, start, end, before, after } = node
    if (this.#hasRoom(node, size, start) || this.#hasRoom(node, size, bytes.length - end)) {
      // The side with fewer bytes makes room, if it has it.
      if (start >= size && (at - start < end - at || end + size > bytes.length)) {
        copyBytes(bytes, start, at, bytes, start - size)
        node.start -= size
        return this.#write(node, at - size, size, source, from, to)
      }
      const offset = at - start
      if (end + size > bytes.length) this.#place(node, 0)
      const here = node.start + offset
      copyBytes(bytes, here, node.end, bytes, here + size)
      node.end += size
      return this.#write(node, here, size, source, from, to)
    }
    if (at === start) {
      if (before !== null && this.#hasRoom(before, size, before.bytes.length - before.end)) {
        return this.insert(before, before.end, source, from, to)
      }
      return this.#addAlone(before, size, source, from, to)
    }
    if (at === end) {
      if (after !== null && this.#hasRoom(after, size, after.start)) return this.insert(after, after.start, source, from, to)
      return this.#addAlone(node, size, source, from, to)
    }
    const next = this.#split(node, at)
    if (node.end - node.start < next.end - next.start) this.insert(node, node.end, source, from, to)
    else this.insert(next, next.start, source, from, to)
  }

  /** Removes the entry at `at`. An empty node goes; in another one the next entry is then at `at`, or at the node's start if that was `at`. */
  remove(node: ListNode, at: number): void {
    const { bytes, start, end } = node
    const next = entryEnd(bytes, at)
    const size = next - at
    if (at === start) node.start = next
    else {
      if (next !== end) copyBytes(bytes, next, end, bytes, at)
      node.end -= size
    }
    node.count--
    this.dataBytes -= size
    if (node.count === 0) this.unlink(node)
  }

  /** Gives the entry at `at` another element, which does not lie in this chain. */
  replace(node: ListNode, at: number, source: Uint8Array, from: number, to: number): void {
    const { bytes, start, before } = node
    const next = entryEnd(bytes, at)
    const more = entrySize(to - from) - (next - at)
    if (node.end + more <= bytes.length) {
      if (more !== 0) copyBytes(bytes, next, node.end, bytes, next + more)
      node.end += more
      this.dataBytes += more
      return writeEntry(bytes, at, source, from, to)
    }
    const isAlone = node.count === 1
    this.remove(node, at)
    if (isAlone) this.#addAlone(before, entrySize(to - from), source, from, to)
    else this.insert(node, at === start ? node.start : at, source, from, to)
  }

  /** A node leaves the chain; its entries are no longer counted by it. */
  unlink(node: ListNode): void {
    if (node.before === null) this.first = node.after
    else node.before.after = node.after
    if (node.after === null) this.last = node.before
    else node.after.before = node.before
    this.usedBytes -= node.bytes.length + NODE_OVERHEAD
  }

  /** Neighbours that fit into half a node become one: after many were removed. */
  merge(): void {
    const half = this.#nodeBytes / 2
    for (let node = this.first; node !== null; node = node.after) {
      for (let next = node.after; next !== null; next = node.after) {
        const bytes = node.end - node.start + next.end - next.start
        if (bytes > half || bytes > node.bytes.length || node.count + next.count > this.#entriesMax) break
        if (node.end + next.end - next.start > node.bytes.length) this.#place(node, 0)
        node.take(next.bytes, next.start, next.end, next.count)
        this.unlink(next)
      }
    }
  }

  get #nodeBytes(): number {
    const { listSizeMax } = this.#context.limits
    return listSizeMax >= 0 ? NODE_BYTES : SMALLEST_NODE_BYTES << (Math.min(5, -listSizeMax) - 1)
  }

  get #entriesMax(): number {
    const { listSizeMax } = this.#context.limits
    return listSizeMax >= 0 ? Math.max(1, listSizeMax) : Infinity
  }

  /**
   * Whether an element fits a node, at a side that has so many bytes free. One that is at most half full may be moved for it; one that is
   * fuller would be moved again for the next ones.
   */
  #hasRoom(node: ListNode, size: number, free: number): boolean {
    const used = node.end - node.start
    const { length } = node.bytes
    return node.count < this.#entriesMax && (size <= free || (used * 2 <= length && used + size <= length))
  }

  #newNode(size: number, isForHead: boolean): ListNode {
    const capacity = Math.max(this.#nodeBytes, size)
    return new ListNode(capacity, isForHead ? capacity : 0)
  }

  /** Puts a node behind another one; null: in front of all. */
  #link(node: ListNode, before: ListNode | null): ListNode {
    const after = before === null ? this.first : before.after
    node.before = before
    node.after = after
    if (before === null) this.first = node
    else before.after = node
    if (after === null) this.last = node
    else after.before = node
    this.usedBytes += node.bytes.length + NODE_OVERHEAD
    return node
  }

  /** Moves a node's entries so that they begin at `start`. */
  #place(node: ListNode, start: number): void {
    copyBytes(node.bytes, node.start, node.end, node.bytes, start)
    node.end += start - node.start
    node.start = start
  }

  /** An element gets a node of its own, behind another one; null: in front of all. */
  #addAlone(before: ListNode | null, size: number, source: Uint8Array, from: number, to: number): void {
    const node = this.#link(this.#newNode(size, false), before)
    node.end = size
    this.#write(node, 0, size, source, from, to)
  }

  /** The entries from `at` on get a node of their own. @returns it. */
  #split(node: ListNode, at: number): ListNode {
    let count = 0
    for (let i = at; i < node.end; i = entryEnd(node.bytes, i)) count++
    const next = this.#link(new ListNode(Math.max(this.#nodeBytes, node.end - at), 0), node)
    next.take(node.bytes, at, node.end, count)
    node.end = at
    node.count -= count
    return next
  }

  #write(node: ListNode, at: number, size: number, source: Uint8Array, from: number, to: number): void {
    writeEntry(node.bytes, at, source, from, to)
    node.count++
    this.dataBytes += size
  }
}
