// The order of a large sorted set: a B+ tree over its members, by score and then by bytes, that also counts.
//
//   inner    | child | child | ...     each child tells how many elements are in it, and which is its first
//   leaf     | score | score | ...     two typed arrays, the leaves chained in both directions
//            | row   | row   | ...     the member's row in the table: its bytes are compared only where scores are equal
//
// About a hundred elements to an object, so that a million of them are little work for the garbage collector; ranks are sums on the way
// down. Invariants: rows are in strictly ascending order of (score, bytes); no leaf is empty but a root that is one.
//
// Unusual: comparing opens rows of the table; who has one open there opens it again afterwards.

import { assert } from '../../base/assert.ts'
import type { MemberTable } from './member-table.ts'

const LEAF_MAX = 128
const CHILDREN_MAX = 64
/** About what a leaf and an inner node take, with V8's headers. */
const LEAF_BYTES = LEAF_MAX * 12 + 360
const INNER_BYTES = CHILDREN_MAX * 24 + 520

class Leaf {
  size = 0
  readonly scores = new Float64Array(LEAF_MAX)
  readonly rows = new Int32Array(LEAF_MAX)
  next: Leaf | null = null
  previous: Leaf | null = null

  get firstScore(): number {
    return this.scores[0]
  }

  get firstRow(): number {
    return this.rows[0]
  }

  // Loops: for so few elements copyWithin, which is a call into C++, takes longer.
  insert(at: number, score: number, row: number): void {
    const { scores, rows } = this
    for (let i = this.size; i > at; i--) {
      scores[i] = scores[i - 1]
      rows[i] = rows[i - 1]
    }
    scores[at] = score
    rows[at] = row
    this.size++
  }

  remove(at: number): void {
    const { scores, rows } = this
    const last = --this.size
    for (let i = at; i < last; i++) {
      scores[i] = scores[i + 1]
      rows[i] = rows[i + 1]
    }
  }

  /** Moves its elements from `at` on into a new leaf behind it. */
  split(at: number): Leaf {
    const right = new Leaf()
    right.append(this, at)
    this.size = at
    right.next = this.next
    if (right.next !== null) right.next.previous = right
    right.previous = this
    this.next = right
    return right
  }

  append(other: Leaf, from: number): void {
    this.scores.set(other.scores.subarray(from, other.size), this.size)
    this.rows.set(other.rows.subarray(from, other.size), this.size)
    this.size += other.size - from
  }

  /** Leaves the chain. */
  unlink(): void {
    if (this.next !== null) this.next.previous = this.previous
    if (this.previous !== null) this.previous.next = this.next
  }
}

class Inner {
  size = 0
  readonly children: TreeNode[] = []
  // What is known of each child, side by side: a search looks at many of them, and goes into one.
  readonly scores = new Float64Array(CHILDREN_MAX + 1)
  readonly rows = new Int32Array(CHILDREN_MAX + 1)
  readonly sizes = new Int32Array(CHILDREN_MAX + 1)

  get firstScore(): number {
    return this.scores[0]
  }

  get firstRow(): number {
    return this.rows[0]
  }

  /** A child has changed. */
  refresh(i: number): void {
    const child = this.children[i]
    this.scores[i] = child.firstScore
    this.rows[i] = child.firstRow
    this.sizes[i] = child.size
  }

  /** The node's own size stays as it is. */
  insert(i: number, child: TreeNode): void {
    const count = this.children.length
    this.scores.copyWithin(i + 1, i, count)
    this.rows.copyWithin(i + 1, i, count)
    this.sizes.copyWithin(i + 1, i, count)
    this.children.splice(i, 0, child)
    this.refresh(i)
  }

  remove(i: number): TreeNode {
    const count = this.children.length
    this.scores.copyWithin(i, i + 1, count)
    this.rows.copyWithin(i, i + 1, count)
    this.sizes.copyWithin(i, i + 1, count)
    return this.children.splice(i, 1)[0]
  }

  append(child: TreeNode): void {
    this.insert(this.children.length, child)
    this.size += child.size
  }
}

type TreeNode = Leaf | Inner

/** More levels of inner nodes than there can be: a tree of three has 30 million elements. */
const LEVELS_MAX = 16

/** A place in the order, good until something changes. */
export interface TreePlace {
  leaf: Leaf
  index: number
}

export class SortedSetTree {
  readonly #table: MemberTable
  #root: TreeNode = new Leaf()
  /** Levels of inner nodes. */
  #levels = 0
  #leaves = 1
  #inners = 0
  // The element that is looked for.
  #score = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  #end = 0
  // The way to its leaf, from the root: inner nodes, and which of their children was taken.
  readonly #path: Inner[] = []
  readonly #taken = new Int32Array(LEVELS_MAX)

  constructor(table: MemberTable) {
    this.#table = table
  }

  get size(): number {
    return this.#root.size
  }

  get bytes(): number {
    return this.#leaves * LEAF_BYTES + this.#inners * INNER_BYTES
  }

  /** The same order, over a table with the same rows. */
  clone(table: MemberTable): SortedSetTree {
    const copy = new SortedSetTree(table)
    let last: Leaf | null = null
    const copyOf = (node: TreeNode): TreeNode => {
      if (node instanceof Leaf) {
        const leaf = new Leaf()
        leaf.append(node, 0)
        leaf.previous = last
        if (last !== null) last.next = leaf
        return (last = leaf)
      }
      const inner = new Inner()
      for (const child of node.children) inner.append(copyOf(child))
      return inner
    }
    copy.#root = copyOf(this.#root)
    copy.#levels = this.#levels
    copy.#leaves = this.#leaves
    copy.#inners = this.#inners
    return copy
  }

  /** Adds a row with this score; it is not there yet. */
  insert(score: number, row: number): void {
    this.#aimAt(score, row)
    this.#insertHere(row)
  }

  /** Removes a row, which is there with this score. */
  remove(score: number, row: number): void {
    this.#aimAt(score, row)
    const leaf = this.#descend()
    this.#removeAt(leaf, this.#placeOf(leaf, row))
  }

  /** Gives a row another score: one way down to where it is, and another one to where it belongs unless that is the same place. */
  move(score: number, row: number, next: number): void {
    this.#aimAt(score, row)
    const leaf = this.#descend()
    const at = this.#placeOf(leaf, row)
    const { scores } = leaf
    // Many scores move a little: to between the same two.
    if (at > 0 && at < leaf.size - 1 && scores[at - 1] < next && next < scores[at + 1]) {
      scores[at] = next
      return
    }
    this.#removeAt(leaf, at)
    this.#score = next
    this.#insertHere(row)
  }

  /** How many elements are before a row, which is there with this score. */
  rank(score: number, row: number): number {
    this.#aimAt(score, row)
    return this.partition((otherScore, otherRow) => this.#compare(otherScore, otherRow) > 0)
  }

  /** How many elements at the beginning this is true of; it must not be true behind one of which it is false. */
  partition(isBefore: (score: number, row: number) => boolean): number {
    let count = 0
    let node = this.#root
    while (node instanceof Inner) {
      const { scores, rows, sizes } = node
      // The last child whose first element is before: those ahead of it are so as a whole.
      let from = 0
      let to = node.children.length - 1
      while (from < to) {
        const middle = (from + to + 1) >>> 1
        if (isBefore(scores[middle], rows[middle])) from = middle
        else to = middle - 1
      }
      for (let i = 0; i < from; i++) count += sizes[i]
      node = node.children[from]
    }
    let from = 0
    let to = node.size
    while (from < to) {
      const middle = (from + to) >>> 1
      if (isBefore(node.scores[middle], node.rows[middle])) from = middle + 1
      else to = middle
    }
    return count + from
  }

  /** The place of the element of this rank; there is one. */
  at(rank: number): TreePlace {
    let node = this.#root
    while (node instanceof Inner) {
      let i = 0
      while (rank >= node.sizes[i]) rank -= node.sizes[i++]
      node = node.children[i]
    }
    return { leaf: node, index: rank }
  }

  #aimAt(score: number, row: number): void {
    const table = this.#table
    table.open(row)
    this.#score = score
    this.#bytes = table.bytes
    this.#start = table.start
    this.#end = table.end
  }

  /** Below 0: what is looked for comes before this element; 0: it is this element. */
  #compare(score: number, row: number): number {
    return this.#score === score ? this.#compareBytes(row) : this.#score < score ? -1 : 1
  }

  /** The same for elements with the score that is looked for. */
  #compareBytes(row: number): number {
    const table = this.#table
    table.open(row)
    return compareBytes(this.#bytes, this.#start, this.#end, table.bytes, table.start, table.end)
  }

  /** The leaf in which what is looked for is, or belongs. The way there is kept. */
  #descend(): Leaf {
    const levels = this.#levels
    const path = this.#path
    let node = this.#root
    for (let level = 0; level < levels; level++) {
      const inner = node as Inner
      const child = this.#childOf(inner)
      path[level] = inner
      this.#taken[level] = child
      node = inner.children[child]
    }
    return node as Leaf
  }

  /** The child in which what is looked for is, or belongs. */
  #childOf({ children, scores, rows }: Inner): number {
    const score = this.#score
    let from = 0
    let to = children.length - 1
    while (from < to) {
      const middle = (from + to + 1) >>> 1
      const other = scores[middle]
      if (other < score || (other === score && this.#compareBytes(rows[middle]) >= 0)) from = middle
      else to = middle - 1
    }
    return from
  }

  /** Where in a leaf what is looked for is, or belongs. */
  #lowerBound({ size, scores, rows }: Leaf): number {
    const score = this.#score
    let from = 0
    let to = size
    while (from < to) {
      const middle = (from + to) >>> 1
      const other = scores[middle]
      if (other < score || (other === score && this.#compareBytes(rows[middle]) > 0)) from = middle + 1
      else to = middle
    }
    return from
  }

  /** Where in a leaf the row is that is looked for. */
  #placeOf(leaf: Leaf, row: number): number {
    const at = this.#lowerBound(leaf)
    assert(at < leaf.size && leaf.rows[at] === row, 'a member is not where its score says')
    return at
  }

  /** Adds the row that is looked for. */
  #insertHere(row: number): void {
    const leaf = this.#descend()
    const at = this.#lowerBound(leaf)
    let isFirst = at === 0
    let right: TreeNode | null = null
    if (leaf.size < LEAF_MAX) leaf.insert(at, this.#score, row)
    else right = this.#insertIntoFull(leaf, at, row)
    // Those above have one more; a node that was split gives its other half to the one above it.
    for (let level = this.#levels - 1; level >= 0; level--) {
      const inner = this.#path[level]
      const i = this.#taken[level]
      inner.size++
      if (isFirst) inner.refresh(i)
      else inner.sizes[i] = inner.children[i].size
      if (right !== null) {
        inner.insert(i + 1, right)
        right = inner.children.length > CHILDREN_MAX ? this.#splitInner(inner, i) : null
      }
      isFirst &&= i === 0
    }
    if (right === null) return
    this.#root = this.#newInner([this.#root, right])
    this.#levels++
  }

  /** @returns what the leaf has split off, for its parent to take. */
  #insertIntoFull(leaf: Leaf, at: number, row: number): Leaf {
    this.#leaves++
    const middle = at === LEAF_MAX && leaf.next === null ? LEAF_MAX : LEAF_MAX >>> 1
    const right = leaf.split(middle)
    if (at > middle || middle === LEAF_MAX) right.insert(at - middle, this.#score, row)
    else leaf.insert(at, this.#score, row)
    return right
  }

  /** @param i the child behind which it has got another one. @returns what it has split off. */
  #splitInner(inner: Inner, i: number): Inner {
    // At the end of an ascending order halves would stay half full for ever.
    const isLast = i >= inner.children.length - 2
    const other = this.#newInner(inner.children.splice(isLast ? CHILDREN_MAX : CHILDREN_MAX >>> 1))
    inner.size -= other.size
    return other
  }

  #newInner(children: readonly TreeNode[]): Inner {
    this.#inners++
    const inner = new Inner()
    for (const child of children) inner.append(child)
    return inner
  }

  /** Removes an element of the leaf that was descended to. */
  #removeAt(leaf: Leaf, at: number): void {
    leaf.remove(at)
    let isFirst = at === 0
    for (let level = this.#levels - 1; level >= 0; level--) {
      const inner = this.#path[level]
      const i = this.#taken[level]
      const child = inner.children[i]
      inner.size--
      if (child.size === 0) {
        this.#drop(inner, i)
        // What comes behind it is the first one now.
        isFirst = i === 0
      } else {
        if (isFirst) inner.refresh(i)
        else inner.sizes[i] = child.size
        isFirst &&= i === 0
        if (isSmall(child)) this.#mergeWithNeighbour(inner, i)
      }
    }
    while (this.#levels > 0 && (this.#root as Inner).children.length === 1) {
      this.#root = (this.#root as Inner).children[0]
      this.#levels--
      this.#inners--
    }
  }

  #drop(node: Inner, i: number): void {
    const gone = node.remove(i)
    if (gone instanceof Leaf) {
      this.#leaves--
      gone.unlink()
    } else this.#inners--
  }

  /** Puts a small child and one beside it together, if the two fit one with room to grow. */
  #mergeWithNeighbour(node: Inner, i: number): void {
    const { children } = node
    const at = i + 1 < children.length ? i : i - 1
    if (at < 0) return
    const left = children[at]
    const right = children[at + 1]
    if (left instanceof Leaf && right instanceof Leaf) {
      if (left.size + right.size > (LEAF_MAX * 3) / 4) return
      left.append(right, 0)
    } else if (left instanceof Inner && right instanceof Inner) {
      if (left.children.length + right.children.length > (CHILDREN_MAX * 3) / 4) return
      for (const child of right.children) left.append(child)
    }
    node.refresh(at)
    this.#drop(node, at + 1)
  }
}

function isSmall(node: TreeNode): boolean {
  return node instanceof Leaf ? node.size < LEAF_MAX / 4 : node.children.length < CHILDREN_MAX / 4
}

/** As memcmp, a prefix before what it is a prefix of. */
export function compareBytes(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < length; i++) {
    const difference = a[aStart + i] - b[bStart + i]
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}
