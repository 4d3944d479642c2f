// What the records of one kind of collection are: how they are replayed, and how a snapshot writes the elements.
//
// Like those of all keys (key-records.ts) they are plain Redis commands that say what is true afterwards. A collection comes into being
// with the first record about its key, and goes with the record of its last element; a DEL is written only for what went as a whole.
// Names of elements that were not there, or were there already, are not in a record: a record that names such contradicts the state.

import type { Collection } from '../../keyspace/collections/collection.ts'
import type { Collections } from '../../keyspace/collections/collections.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Request } from '../../resp/request.ts'
import { contradiction } from '../contradiction.ts'
import type { Journal } from '../journal.ts'

/** Elements in one record of a snapshot, and in one piece of it. */
export const ELEMENTS_PER_PIECE = 128

export interface ElementRecords<Lens extends Collection> {
  readonly lens: (collections: Collections) => Lens
  /** Applies a record, by its name. Argument 1 is the key. */
  readonly replay: Readonly<Record<string, (lens: Lens, database: Database, record: Request) => void>>
  /** Writes all elements of the collection under the lens, a piece per `next()`. The journal may be drained between pieces. */
  readonly snapshot: (lens: Lens, pieces: Pieces) => Generator<void>
}

/** Where pieces of a snapshot go. */
export interface Pieces {
  /** Begins a record `name key ...` with so many arguments behind the key. */
  readonly begin: (name: string, args: number) => Journal
}

/** Puts a lens on a key, argument 1 or another, and begins a change. `creates`: there may be no such key yet. */
export function openForReplay(lens: Collection, database: Database, record: Request, creates: boolean, key = 1): void {
  const { bytes, start, end } = record
  const hash = database.hash(bytes, start[key], end[key])
  const ref = database.findAny(bytes, start[key], end[key], hash)
  if (ref === 0) {
    if (!creates) throw contradiction(record, 'no such key')
    lens.create(database, hash, bytes, start[key], end[key])
    return
  }
  if (database.kind(ref) !== lens.kind) throw contradiction(record, 'the key has another type')
  lens.open(database, ref, hash).beginChange()
}
