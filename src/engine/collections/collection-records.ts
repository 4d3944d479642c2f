// The records of all kinds of collections. A new kind is a line in the table; element-records.ts says what is in it.

import type { Collection } from '../../keyspace/collections/collection.ts'
import type { Collections } from '../../keyspace/collections/collections.ts'
import type { Database } from '../../keyspace/database.ts'
import { type CollectionKind, KIND_HASH, KIND_LIST, KIND_SET, KIND_ZSET } from '../../keyspace/row.ts'
import type { Request } from '../../resp/request.ts'
import type { ElementRecords, Pieces } from './element-records.ts'
import { hashRecords } from './hash-records.ts'
import { listRecords } from './list-records.ts'
import { setRecords } from './set-records.ts'
import { sortedSetRecords } from './sorted-set-records.ts'

interface KindRecords {
  readonly replay: ReadonlyMap<string, (collections: Collections, database: Database, record: Request) => void>
  readonly snapshot: (collections: Collections, pieces: Pieces) => Generator<void>
}

/** The lens of a kind fits its records: said here once, so that nobody has to cast. */
function ofKind<Lens extends Collection>({ lens, replay, snapshot }: ElementRecords<Lens>): KindRecords {
  return {
    replay: new Map(
      Object.entries(replay).map(([name, apply]) => [name, (collections, database, record) => apply(lens(collections), database, record)]),
    ),
    snapshot: (collections, pieces) => snapshot(lens(collections), pieces),
  }
}

const KINDS: ReadonlyMap<CollectionKind, KindRecords> = new Map([
  [KIND_HASH, ofKind(hashRecords)],
  [KIND_LIST, ofKind(listRecords)],
  [KIND_SET, ofKind(setRecords)],
  [KIND_ZSET, ofKind(sortedSetRecords)],
])

const REPLAY = new Map([...KINDS.values()].flatMap(({ replay }) => [...replay]))

/** Applies a record of a collection. @returns false if it is none. */
export function replayElements(collections: Collections, database: Database, record: Request): boolean {
  const replay = REPLAY.get(record.latin1(0))
  if (replay === undefined) return false
  replay(collections, database, record)
  return true
}

/** Writes all elements of the collection of a row as records, a piece per `next()`. */
export function* snapshotElements(collections: Collections, database: Database, ref: number, pieces: Pieces): Generator<void> {
  const { kind } = collections.open(database, ref)
  const records = KINDS.get(kind)
  if (records !== undefined) yield* records.snapshot(collections, pieces)
}
