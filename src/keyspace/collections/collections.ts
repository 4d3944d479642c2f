// The lenses of a keyspace: one for each kind of collection, put on a row by whoever looks at it. One key at a time: who needs two of a
// kind at once makes another lens.

import { assert } from '../../base/assert.ts'
import { SegmentPool } from '../../table/arena.ts'
import type { Database } from '../database.ts'
import { KIND_HASH, KIND_LIST, KIND_SET, KIND_ZSET } from '../row.ts'
import { COLLECTION_LIMITS, type Collection, type CollectionContext, type CollectionLimits } from './collection.ts'
import { Hash } from './hash.ts'
import { List } from './list.ts'
import { Members } from './set.ts'
import { SortedSet } from './sorted-set.ts'

export class Collections implements CollectionContext {
  readonly limits: CollectionLimits = { ...COLLECTION_LIMITS }
  readonly pool = new SegmentPool()
  readonly seed: number
  readonly hash: Hash
  readonly list: List
  readonly set: Members
  readonly sortedSet: SortedSet
  readonly #byKind: (Collection | undefined)[] = []

  constructor(seed: number) {
    this.seed = seed
    this.hash = new Hash(this)
    this.list = new List(this)
    this.set = new Members(this)
    this.sortedSet = new SortedSet(this)
    this.#byKind[KIND_HASH] = this.hash
    this.#byKind[KIND_LIST] = this.list
    this.#byKind[KIND_SET] = this.set
    this.#byKind[KIND_ZSET] = this.sortedSet
  }

  /** The lens for this row, on it. `keyHash` is needed only for changes. */
  open(database: Database, ref: number, keyHash = 0): Collection {
    const lens = this.#byKind[database.kind(ref)]
    assert(lens !== undefined, 'a row is no collection')
    return lens.open(database, ref, keyHash)
  }
}
