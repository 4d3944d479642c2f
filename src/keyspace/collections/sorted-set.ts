// Sorted sets: members with scores, in the order of scores, and of bytes where scores are equal.
//
//   packed   in that order: entry of the member, entry of its score (a double, 8 bytes little-endian) ...
//   beside   SortedTable: a table of members with their scores, and a tree of its rows in that order
//
// Unusual: all that shows an element (`find`, `next`, `choose`, the visits) leaves it in fields of the lens, valid until something changes
// or the next one is shown. Ranges are told as ranks: whatever they are by, they are elements from..to of the order.

import { copyBytes } from '../../base/bytes.ts'
import { hashBytes, mix } from '../../base/hash.ts'
import { KIND_ZSET } from '../row.ts'
import { Collection, type CollectionContext, type LargeValue, elementSeal, pairSeal } from './collection.ts'
import { MemberTable } from './member-table.ts'
import { entryEnd, entrySize, entryStart, findEntry, writeEntry } from './packed.ts'
import { SortedSetTree, type TreePlace, compareBytes } from './sorted-set-tree.ts'

const SCORE_BYTES = 8
const SCORE_ENTRY_BYTES = SCORE_BYTES + 1

/** A double and its bytes, on their way from one to the other. */
const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)

function readScore(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < SCORE_BYTES; i++) doubleBytes[i] = bytes[at + i]
  return double[0]
}

/** The 8 bytes of a score, valid until the next one. */
function bytesOf(score: number): Uint8Array {
  double[0] = score
  return doubleBytes
}

/** An end of a range by bytes. */
export interface LexEnd {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly isExclusive: boolean
  /** -1: before all members, 1: behind all; then the bytes mean nothing. */
  readonly infinite: -1 | 0 | 1
}

/** Elements from..to of the order; none if from >= to. */
export interface RankRange {
  readonly from: number
  readonly to: number
}

const NONE: RankRange = { from: 0, to: 0 }

class SortedTable implements LargeValue {
  readonly #context: CollectionContext
  readonly members: MemberTable
  readonly tree: SortedSetTree
  count = 0
  sum = 0
  countedBytes = 0
  countedHiddenBytes = 0

  constructor(context: CollectionContext, from?: SortedTable) {
    this.#context = context
    this.members = from === undefined ? new MemberTable(context) : from.members.clone()
    this.tree = from === undefined ? new SortedSetTree(this.members) : from.tree.clone(this.members)
  }

  get usedBytes(): number {
    return this.members.usedBytes + this.tree.bytes
  }

  get hiddenBytes(): number {
    return this.members.hiddenBytes
  }

  clone(): SortedTable {
    const copy = new SortedTable(this.#context, this)
    copy.count = this.count
    copy.sum = this.sum
    return copy
  }

  release(): void {
    this.members.release()
  }

  add(member: Uint8Array, start: number, end: number, score: number): void {
    this.tree.insert(score, this.members.add(member, start, end, bytesOf(score), 0, SCORE_BYTES))
  }
}

export class SortedSet extends Collection<SortedTable> {
  readonly kind = KIND_ZSET

  // The element that is shown: the member elements[memberStart..memberEnd), and its score.
  elements: Uint8Array = new Uint8Array(0)
  memberStart = 0
  memberEnd = 0
  score = 0
  /** Its entry, or its row. */
  #here = 0
  /** Tells the member that was chosen last from all others, until something changes. */
  place = 0
  /** What `next` shows: an entry, or a place in the tree. */
  #position = 0
  #inTree: TreePlace | null = null

  encodingName(): string {
    return this.hasGrown ? 'skiplist' : 'listpack'
  }

  find(member: Uint8Array, start: number, end: number): boolean {
    const { large } = this
    if (large !== null) {
      const row = large.members.find(member, start, end)
      if (row === 0) return false
      this.#showRow(large, row)
      return true
    }
    const at = findEntry(this.bytes, this.start, this.end, 2, member, start, end)
    if (at === -1) return false
    this.#showEntry(at)
    return true
  }

  /** Gives a member, which does not lie in this set, a score, which is a number. @returns whether it is new. */
  set(member: Uint8Array, start: number, end: number, score: number): boolean {
    if (!this.find(member, start, end)) {
      this.add(member, start, end, score)
      return true
    }
    if (!Object.is(score, this.score)) this.rescore(score)
    return false
  }

  /** Whether Redis would keep its compact form with one more member, of so many bytes. */
  staysCompact(memberBytes: number): boolean {
    const { zsetEntriesMax, zsetValueMax } = this.context.limits
    return !this.hasGrown && this.count < zsetEntriesMax && memberBytes <= zsetValueMax
  }

  /** Adds a member that is not there. */
  add(member: Uint8Array, start: number, end: number, score: number): void {
    if (!this.hasGrown && !this.staysCompact(end - start)) this.grow()
    const size = entrySize(end - start) + SCORE_ENTRY_BYTES
    this.makeRoom(1, size)
    if (this.large !== null) this.large.add(member, start, end, score)
    else {
      const at = this.splice(this.#placeFor(member, start, end, score), 0, size)
      writeElement(this.bytes, at, member, start, end, score)
    }
    this.count++
    this.sum = (this.sum + pairSeal(elementSeal(member, start, end), scoreSeal(score))) | 0
  }

  /** Gives the element that was found another score. */
  rescore(score: number): void {
    const { large, bytes } = this
    const member = elementSeal(this.elements, this.memberStart, this.memberEnd)
    this.sum = (this.sum - pairSeal(member, scoreSeal(this.score)) + pairSeal(member, scoreSeal(score))) | 0
    if (large !== null) {
      const row = this.#here
      if (score !== this.score) large.tree.move(this.score, row, score)
      // The score is as long as the one before: the row stays where it is.
      large.members.replace(row, bytesOf(score), 0, SCORE_BYTES)
      return
    }
    const from = this.#here
    const to = this.memberEnd + SCORE_ENTRY_BYTES
    const element = bytes.slice(from, to)
    copyBytes(bytesOf(score), 0, SCORE_BYTES, element, element.length - SCORE_BYTES)
    // Those between its old place and its new one make way; the row does not become longer or shorter.
    let at = this.#placeFor(bytes, this.memberStart, this.memberEnd, score)
    if (at > to) {
      copyBytes(bytes, to, at, bytes, from)
      at -= element.length
    } else if (at < from) copyBytes(bytes, at, from, bytes, at + element.length)
    else at = from
    copyBytes(element, 0, element.length, bytes, at)
  }

  /** @returns whether the member was there. */
  remove(member: Uint8Array, start: number, end: number): boolean {
    if (!this.find(member, start, end)) return false
    this.#uncount()
    if (this.large !== null) this.#removeRow(this.large, this.#here, this.score)
    else this.splice(this.#here, this.memberEnd + SCORE_ENTRY_BYTES - this.#here, 0)
    return true
  }

  /** Removes elements from..to of the order. */
  removeRange({ from, to }: RankRange): void {
    const { large } = this
    if (from >= to) return
    if (large === null) {
      this.seek(from)
      const at = this.#position
      for (let i = from; i < to && this.next(); i++) this.#uncount()
      this.splice(at, this.#position - at, 0)
      return
    }
    for (let i = from; i < to; i++) {
      this.seek(from)
      this.next()
      this.#uncount()
      this.#removeRow(large, this.#here, this.score)
    }
  }

  /** How many elements come before the one that was found. */
  rank(): number {
    if (this.large !== null) {
      const rank = this.large.tree.rank(this.score, this.#here)
      this.#showRow(this.large, this.#here)
      return rank
    }
    let rank = 0
    for (let at = this.start; at < this.#here; at = nextElement(this.bytes, at)) rank++
    return rank
  }

  /** How many elements have a score below this one, or at it if `orAt`. */
  countBelow(score: number, orAt: boolean): number {
    if (this.large !== null) return this.large.tree.partition((other) => other < score || (orAt && other === score))
    let count = 0
    for (let at = this.start; at < this.end; at = nextElement(this.bytes, at)) {
      const other = readScore(this.bytes, entryEnd(this.bytes, at) + 1)
      if (other > score || (!orAt && other === score)) break
      count++
    }
    return count
  }

  /**
   * The members between two by their bytes. That is a matter of order only if all scores are equal; of others these are as Redis has them
   * in a small set: from the first that is not below `min` on as long as they are not above `max`, or from the last one backwards.
   */
  lexRange(min: LexEnd, max: LexEnd, isReversed: boolean): RankRange {
    const { large } = this
    if (large !== null) {
      const { members, tree } = large
      const opened = (row: number): MemberTable => {
        members.open(row)
        return members
      }
      const from = tree.partition((_score, row) => !isAbove(opened(row), min))
      return { from, to: tree.partition((_score, row) => isBelow(opened(row), max)) }
    }
    const above: boolean[] = []
    const below: boolean[] = []
    for (this.rewind(); this.next();) {
      const member = { bytes: this.bytes, start: this.memberStart, end: this.memberEnd }
      above.push(isAbove(member, min))
      below.push(isBelow(member, max))
    }
    if (!above[this.count - 1] || !below[0]) return NONE
    if (isReversed) {
      const to = below.lastIndexOf(true) + 1
      return { from: above.lastIndexOf(false, to - 1) + 1, to }
    }
    const from = above.indexOf(true)
    const to = below.indexOf(false, from)
    return { from, to: to === -1 ? this.count : to }
  }

  /** Before the first element. */
  rewind(): void {
    this.seek(0)
  }

  /** Before the element of this rank. */
  seek(rank: number): void {
    if (this.large !== null) {
      this.#inTree = rank < this.count ? this.large.tree.at(rank) : null
      return
    }
    this.#position = this.start
    for (let i = 0; i < rank && this.#position < this.end; i++) this.#position = nextElement(this.bytes, this.#position)
  }

  /** Goes to the next element; false if there is none. */
  next(): boolean {
    if (this.large === null) {
      if (this.#position >= this.end) return false
      this.#showEntry(this.#position)
      this.#position = this.memberEnd + SCORE_ENTRY_BYTES
      return true
    }
    const place = this.#inTree
    if (place === null) return false
    this.#showRow(this.large, place.leaf.rows[place.index])
    if (++place.index < place.leaf.size) return true
    if (place.leaf.next === null) this.#inTree = null
    else {
      place.leaf = place.leaf.next
      place.index = 0
    }
    return true
  }

  /** Visits elements from..to of the order, from the last one on if it is reversed. */
  visit({ from, to }: RankRange, isReversed: boolean, visit: () => void): void {
    if (!isReversed) {
      this.seek(from)
      for (let i = from; i < to && this.next(); i++) visit()
    } else if (this.large === null) {
      const entries: number[] = []
      this.seek(from)
      for (let i = from; i < to; i++) {
        entries.push(this.#position)
        this.#position = nextElement(this.bytes, this.#position)
      }
      for (let i = entries.length - 1; i >= 0; i--) {
        this.#showEntry(entries[i])
        visit()
      }
    } else if (from < to) this.#visitBackwards(this.large, to - 1, to - from, visit)
  }

  /** Goes to any one of the elements. @param random gives numbers in [0, 1). */
  choose(random: () => number): void {
    this.place = Math.floor(random() * this.count)
    this.seek(this.place)
    this.next()
  }

  /**
   * Visits some elements, `limit` at least, those of one cursor after another until it is 0 again; a packed set is visited whole.
   * @returns the next cursor.
   */
  scan(cursor: number, limit: number, visit: () => void): number {
    const { large } = this
    if (large !== null) {
      return large.members.scan(cursor, limit, (row) => {
        this.#showRow(large, row)
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
      const member = hashBytes(this.elements, this.memberStart, this.memberEnd, seed)
      sum = (sum + pairSeal(member, hashBytes(bytesOf(this.score), 0, SCORE_BYTES, seed))) | 0
    }
    return mix(sum ^ this.count)
  }

  #visitBackwards({ tree, members }: SortedTable, rank: number, count: number, visit: () => void): void {
    let { leaf, index } = tree.at(rank)
    for (let i = 0; i < count; i++) {
      if (index < 0) {
        if (leaf.previous === null) return
        leaf = leaf.previous
        index = leaf.size - 1
      }
      members.open(leaf.rows[index])
      this.#showOpen(members, leaf.rows[index--])
      visit()
    }
  }

  /** Where among the entries an element belongs. */
  #placeFor(member: Uint8Array, start: number, end: number, score: number): number {
    const { bytes } = this
    let at = this.start
    while (at < this.end) {
      const memberEnd = entryEnd(bytes, at)
      const other = readScore(bytes, memberEnd + 1)
      if (other > score) break
      if (other === score && compareBytes(member, start, end, bytes, entryStart(bytes, at), memberEnd) < 0) break
      at = memberEnd + SCORE_ENTRY_BYTES
    }
    return at
  }

  #removeRow({ tree, members }: SortedTable, row: number, score: number): void {
    tree.remove(score, row)
    members.open(row)
    members.removeOpen(row)
  }

  /** The element that is shown is about to go. */
  #uncount(): void {
    this.count--
    this.sum = (this.sum - pairSeal(elementSeal(this.elements, this.memberStart, this.memberEnd), scoreSeal(this.score))) | 0
  }

  #showRow({ members }: SortedTable, row: number): void {
    members.open(row)
    this.#showOpen(members, row)
  }

  #showOpen(members: MemberTable, row: number): void {
    this.#here = row
    this.elements = members.bytes
    this.memberStart = members.start
    this.memberEnd = members.end
    this.score = readScore(members.bytes, members.payloadStart)
  }

  #showEntry(at: number): void {
    const { bytes } = this
    this.#here = at
    this.elements = bytes
    this.memberStart = entryStart(bytes, at)
    this.memberEnd = entryEnd(bytes, at)
    this.score = readScore(bytes, this.memberEnd + 1)
  }

  protected unpack(): SortedTable {
    const large = new SortedTable(this.context)
    for (this.rewind(); this.next();) large.add(this.elements, this.memberStart, this.memberEnd, this.score)
    return large
  }

  protected packedBytes({ members }: SortedTable): number {
    let bytes = 0
    for (let position = members.next(0); position !== -1; position = members.next(position)) {
      bytes += entrySize(members.end - members.start) + SCORE_ENTRY_BYTES
    }
    return bytes
  }

  protected pack({ tree, members }: SortedTable, bytes: Uint8Array, at: number): void {
    for (let { leaf, index } = tree.at(0); ; index++) {
      if (index === leaf.size) {
        if (leaf.next === null) return
        leaf = leaf.next
        index = 0
      }
      members.open(leaf.rows[index])
      at = writeElement(bytes, at, members.bytes, members.start, members.end, readScore(members.bytes, members.payloadStart))
    }
  }
}

/** Where the element behind the one at `at` begins. */
function nextElement(bytes: Uint8Array, at: number): number {
  return entryEnd(bytes, at) + SCORE_ENTRY_BYTES
}

function writeElement(bytes: Uint8Array, at: number, member: Uint8Array, start: number, end: number, score: number): number {
  return writeEntry(bytes, writeEntry(bytes, at, member, start, end), bytesOf(score), 0, SCORE_BYTES)
}

function scoreSeal(score: number): number {
  return elementSeal(bytesOf(score), 0, SCORE_BYTES)
}

interface Bytes {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Not below the lower end of a range. */
function isAbove({ bytes, start, end }: Bytes, min: LexEnd): boolean {
  if (min.infinite !== 0) return min.infinite === -1
  const order = compareBytes(bytes, start, end, min.bytes, min.start, min.end)
  return min.isExclusive ? order > 0 : order >= 0
}

/** Not above the upper end of a range. */
function isBelow({ bytes, start, end }: Bytes, max: LexEnd): boolean {
  if (max.infinite !== 0) return max.infinite === 1
  const order = compareBytes(bytes, start, end, max.bytes, max.start, max.end)
  return max.isExclusive ? order < 0 : order <= 0
}
