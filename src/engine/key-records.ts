// The records of ordinary keys: written by commands and by expiry, replayed after a restart, and the state of all databases as such.
//
// They are plain Redis commands that say what is true afterwards, with absolute times, behind a SELECT of their database; redis-server
// loads them. Replaying never decides: a record that contradicts the state is LOG_SEMANTIC.
//
//   SET key value [PXAT ms | KEEPTTL]     MSET key value ...      APPEND key value        SETRANGE key offset value
//   DEL key ...      PEXPIREAT key ms     PERSIST key             RENAME key key          COPY key key [DB n] REPLACE
//   MOVE key n       SWAPDB n n           FLUSHDB                 FLUSHALL                SELECT n
//
// and those of collections (collections/): HSET, HDEL, RPUSH, LPOP, SADD, SREM ...

import { NOT_AN_INTEGER, parseInt64, parseInteger } from '../base/decimal.ts'
import type { LargeValue } from '../keyspace/collections/collection.ts'
import { Collections } from '../keyspace/collections/collections.ts'
import type { Database } from '../keyspace/database.ts'
import type { Instant } from '../keyspace/expiry-heap.ts'
import type { Keyspace } from '../keyspace/keyspace.ts'
import { type CollectionKind, ENCODING_NATURAL, FIRST_COLLECTION, KIND_STOCK, KIND_STRING } from '../keyspace/row.ts'
import type { Request } from '../resp/request.ts'
import type { Call } from './call.ts'
import type { Chosen } from './commands/chosen.ts'
import { replayElements, snapshotElements } from './collections/collection-records.ts'
import { contradiction, expectArguments } from './contradiction.ts'
import type { Engine } from './engine.ts'
import { type Journal, encodedHead } from './journal.ts'
import { EXPIRED } from './notices.ts'

/** Rows that one piece of a snapshot covers: a few hundred microseconds. */
const ROWS_PER_PIECE = 1000

/** `SET key value`: nearly every record is one. */
const SET_HEAD = encodedHead(3, 'SET')

/** Starts a record of `argc` arguments about the database that the client has selected. */
export function beginKeyRecord(call: Call, argc: number, name: string): Journal {
  const { journal } = call.engine
  journal.select(call.client.database)
  journal.begin(argc)
  journal.word(name)
  return journal
}

/** Beginnings of records, by name and number of arguments; those of very many are made each time. */
const heads = new Map<string, Buffer[]>()
const HEADS_OF_NAME_MAX = 16

function headOf(name: string, argc: number): Buffer {
  let ofName = heads.get(name)
  if (ofName === undefined) {
    ofName = Array.from({ length: HEADS_OF_NAME_MAX }, (_, i) => encodedHead(i, name))
    heads.set(name, ofName)
  }
  return argc < HEADS_OF_NAME_MAX ? ofName[argc] : encodedHead(argc, name)
}

/** `name key` or `name key key` ...: arguments first..last as they came. */
export function recordArguments(call: Call, name: string, first: number, last: number): void {
  const { journal } = call.engine
  journal.select(call.client.database)
  journal.record(headOf(name, last - first + 2), call.request, first, last)
}

/** `name key argument argument` ...: argument 1, and those chosen, as they came. */
export function recordChosen(call: Call, name: string, chosen: Chosen): void {
  const { bytes, start, end, argc } = call.request
  // All of them.
  if (chosen.length === argc - 2) return recordArguments(call, name, 1, argc - 1)
  const journal = beginKeyRecord(call, chosen.length + 2, name)
  journal.bytes(bytes, start[1], end[1])
  for (let n = 0; n < chosen.length; n++) {
    const i = chosen.numbers[n]
    journal.bytes(bytes, start[i], end[i])
  }
}

/** `SET key value [KEEPTTL | PXAT ms]`: the value is bytes[start..end). */
export function recordSet(call: Call, key: number, bytes: Uint8Array, start: number, end: number, expiry: Instant | 'keep' | 'none'): void {
  const { request } = call
  if (expiry === 'none') {
    const { journal } = call.engine
    journal.select(call.client.database)
    return journal.pair(SET_HEAD, request.bytes, request.start[key], request.end[key], bytes, start, end)
  }
  const journal = beginKeyRecord(call, expiry === 'keep' ? 4 : 5, 'SET')
  journal.bytes(request.bytes, request.start[key], request.end[key])
  journal.bytes(bytes, start, end)
  if (expiry === 'keep') journal.word('KEEPTTL')
  else {
    journal.word('PXAT')
    writeInstant(journal, expiry)
  }
}

/** `PEXPIREAT key ms`. */
export function recordExpiry(call: Call, key: number, at: Instant): void {
  const { request } = call
  const journal = beginKeyRecord(call, 3, 'PEXPIREAT')
  journal.bytes(request.bytes, request.start[key], request.end[key])
  writeInstant(journal, at)
}

function writeInstant(journal: Journal, at: Instant): void {
  if (typeof at === 'number') journal.integer(at)
  else journal.text(String(at))
}

export class KeyRecords {
  readonly #keyspace: Keyspace
  readonly #forgetStock: () => void
  /** The database that the records being replayed are about. */
  #selected = 0

  /**
   * From here on the keyspace's expiries are written to the journal, and announced.
   * @param forgetStock empties the ledger: a flush of database 0 was allowed while it held SKUs.
   */
  constructor({ keyspace, journal, notices }: Pick<Engine, 'keyspace' | 'journal' | 'notices'>, forgetStock: () => void) {
    this.#keyspace = keyspace
    this.#forgetStock = forgetStock
    keyspace.onExpired = (database, bytes, start, end) => {
      journal.select(database)
      journal.begin(2)
      journal.word('DEL')
      journal.bytes(bytes, start, end)
      if (notices.mask !== 0) notices.tell(EXPIRED, 'expired', database, bytes, start, end)
    }
  }

  /** Applies a record of ordinary keys. @returns false if it is none of them. */
  replay(record: Request): boolean {
    const database = this.#keyspace.databases[this.#selected]
    // Nearly all records are SETs: they are told by their bytes, without a string.
    if (record.is(0, 'SET')) {
      this.#set(database, record)
      return true
    }
    switch (record.latin1(0)) {
      case 'DEL':
        for (let i = 1; i < record.argc; i++) this.#delete(database, record, i)
        return true
      case 'PEXPIREAT':
        expectArguments(record, 3, 3)
        database.setExpiry(this.#find(database, record, 1), instant(record, 2))
        return true
      case 'SELECT':
        expectArguments(record, 2, 2)
        this.#selected = this.#databaseNumber(record, 1)
        return true
      case 'MSET':
        if (record.argc % 2 === 0) throw contradiction(record, 'a key without a value')
        for (let i = 1; i < record.argc; i += 2) database.clearExpiry(this.#put(database, record, i))
        return true
      case 'PERSIST':
        expectArguments(record, 2, 2)
        if (!database.clearExpiry(this.#find(database, record, 1))) throw contradiction(record, 'the key does not expire')
        return true
      case 'APPEND':
        this.#append(database, record)
        return true
      case 'SETRANGE':
        this.#setRange(database, record)
        return true
      case 'RENAME':
        this.#rename(database, record)
        return true
      case 'COPY':
        this.#copy(database, record)
        return true
      case 'MOVE':
        this.#move(database, record)
        return true
      case 'FLUSHDB':
        if (database.stockKeys > 0) this.#forgetStock()
        database.clear()
        return true
      case 'FLUSHALL':
        if (this.#keyspace.databases[0].stockKeys > 0) this.#forgetStock()
        this.#keyspace.clear()
        return true
      case 'SWAPDB':
        this.#swap(record)
        return true
      default:
        return replayElements(this.#keyspace.collections, database, record)
    }
  }

  /** All ordinary keys as records, a piece per `next()`. Replaying them into an empty keyspace gives the same digest. */
  *snapshot(journal: Journal): Generator<void> {
    // Lenses of its own: others may use the keyspace's between two pieces.
    const lenses = new Collections(0)
    for (let n = 0; n < this.#keyspace.databases.length; n++) {
      const database = this.#keyspace.databases[n]
      let cursor = 0
      const found: number[] = []
      do {
        cursor = database.table.scan(cursor, ROWS_PER_PIECE, (ref) => {
          const kind = database.kind(ref)
          if (kind >= FIRST_COLLECTION) found.push(ref)
          if (kind !== KIND_STRING) return
          journal.select(n)
          const at = database.expireAt(ref)
          journal.begin(at === undefined ? 3 : 5)
          journal.word('SET')
          database.open(ref)
          journal.bytes(database.bytes, database.keyStart, database.keyEnd)
          journal.bytes(database.bytes, database.valueStart, database.valueEnd)
          if (at === undefined) return
          journal.word('PXAT')
          writeInstant(journal, at)
        })
        yield
        for (const ref of found) yield* this.#snapshotCollection(journal, n, ref, lenses)
        found.length = 0
      } while (cursor !== 0)
    }
  }

  /** A collection of database `n`: its elements, in as many pieces as it needs, then its instant. */
  *#snapshotCollection(journal: Journal, n: number, ref: number, lenses: Collections): Generator<void> {
    const database = this.#keyspace.databases[n]
    const begin = (name: string, args: number): Journal => {
      journal.select(n)
      journal.begin(2 + args)
      journal.word(name)
      database.open(ref)
      journal.bytes(database.bytes, database.keyStart, database.keyEnd)
      return journal
    }
    yield* snapshotElements(lenses, database, ref, { begin })
    const at = database.expireAt(ref)
    if (at !== undefined) writeInstant(begin('PEXPIREAT', 1), at)
  }

  #set(database: Database, record: Request): void {
    expectArguments(record, 3, 5)
    const ref = this.#put(database, record, 1)
    if (record.argc === 3) database.clearExpiry(ref)
    else if (record.is(3, 'PXAT') && record.argc === 5) database.setExpiry(ref, instant(record, 4))
    else if (!(record.is(3, 'KEEPTTL') && record.argc === 4)) throw contradiction(record, 'unknown option')
  }

  /** Sets argument i to argument i + 1; an instant of expiry stays. */
  #put(database: Database, record: Request, i: number): number {
    const { bytes } = record
    const hash = hashOf(database, record, i)
    const ref = database.findAny(bytes, record.start[i], record.end[i], hash)
    if (ref !== 0 && database.kind(ref) === KIND_STOCK) throw contradiction(record, 'the key is a SKU')
    return database.putString(
      ref,
      hash,
      bytes,
      record.start[i],
      record.end[i],
      bytes,
      record.start[i + 1],
      record.end[i + 1],
      ENCODING_NATURAL,
    )
  }

  #append(database: Database, record: Request): void {
    expectArguments(record, 3, 3)
    const hash = hashOf(database, record, 1)
    const ref = this.#findString(database, record, 1)
    const length = database.valueLength(ref)
    database.resizeString(ref, hash, length + record.length(2))
    database.overwrite(length, record.bytes, record.start[2], record.end[2])
  }

  #setRange(database: Database, record: Request): void {
    expectArguments(record, 4, 4)
    const offset = parseInteger(record.bytes, record.start[2], record.end[2])
    if (!(offset >= 0)) throw contradiction(record, 'bad offset')
    const length = offset + record.length(3)
    const hash = hashOf(database, record, 1)
    const ref = database.findAny(record.bytes, record.start[1], record.end[1], hash)
    if (ref === 0) database.addZeros(hash, record.bytes, record.start[1], record.end[1], length)
    else database.resizeString(this.#findString(database, record, 1), hash, Math.max(length, database.valueLength(ref)))
    database.overwrite(offset, record.bytes, record.start[3], record.end[3])
  }

  #rename(database: Database, record: Request): void {
    expectArguments(record, 3, 3)
    const ref = this.#find(database, record, 1)
    moveKey({ source: database, ref, target: database, request: record, key: 2 }, hashOf(database, record, 1))
  }

  #copy(database: Database, record: Request): void {
    expectArguments(record, 4, 6)
    const target = record.is(3, 'DB') ? this.#keyspace.databases[this.#databaseNumber(record, 4)] : database
    copyKey({ source: database, ref: this.#find(database, record, 1), target, request: record, key: 2 })
  }

  #move(database: Database, record: Request): void {
    expectArguments(record, 3, 3)
    const target = this.#keyspace.databases[this.#databaseNumber(record, 2)]
    const ref = this.#find(database, record, 1)
    moveKey({ source: database, ref, target, request: record, key: 1 }, hashOf(database, record, 1))
  }

  #swap(record: Request): void {
    expectArguments(record, 3, 3)
    const a = this.#databaseNumber(record, 1)
    const b = this.#databaseNumber(record, 2)
    if (Math.min(a, b) === 0 && this.#keyspace.databases[0].stockKeys > 0) this.#forgetStock()
    this.#keyspace.swap(a, b)
  }

  #find(database: Database, record: Request, i: number): number {
    const ref = database.findAny(record.bytes, record.start[i], record.end[i], hashOf(database, record, i))
    if (ref === 0) throw contradiction(record, 'no such key')
    if (database.kind(ref) === KIND_STOCK) throw contradiction(record, 'the key is a SKU')
    return ref
  }

  #findString(database: Database, record: Request, i: number): number {
    const ref = this.#find(database, record, i)
    if (database.kind(ref) !== KIND_STRING) throw contradiction(record, 'the key is no string')
    return ref
  }

  #delete(database: Database, record: Request, i: number): void {
    database.remove(this.#find(database, record, i), hashOf(database, record, i))
  }

  #databaseNumber(record: Request, i: number): number {
    const n = parseInteger(record.bytes, record.start[i], record.end[i])
    if (!(n >= 0 && n < this.#keyspace.databases.length)) throw contradiction(record, `no database ${record.latin1(i)}`)
    return n
  }
}

interface KeyCopy {
  readonly source: Database
  readonly ref: number
  /** May be another one. */
  readonly target: Database
  readonly request: Request
  /** The argument that is the new name. */
  readonly key: number
}

/** Gives argument `key` of the request the value and the instant of the row `ref`. @returns its row. */
export function copyKey(copy: KeyCopy): number {
  return putLike(copy, copy.source.besideOf(copy.ref)?.clone() ?? null)
}

/** The same, and the key with the row `ref` goes. A large collection is not copied for it. */
export function moveKey(copy: KeyCopy, hash: number): number {
  const { source, ref } = copy
  const next = putLike(copy, source.detach(ref))
  source.remove(ref, hash)
  return next
}

function putLike({ source, ref, target, request, key }: KeyCopy, large: LargeValue | null): number {
  const { bytes, start, end } = request
  const hash = hashOf(target, request, key)
  const at = source.expireAt(ref)
  const encoding = source.encoding(ref)
  const kind = source.kind(ref)
  const old = target.findAny(bytes, start[key], end[key], hash)
  let next: number
  if (kind === KIND_STRING) {
    source.open(ref)
    const { bytes: row, valueStart, valueEnd } = source
    next = target.putString(old, hash, bytes, start[key], end[key], row, valueStart, valueEnd, encoding)
  } else {
    if (old !== 0) target.remove(old, hash)
    source.open(ref)
    const { bytes: row, valueStart, valueEnd } = source
    const like = { kind: kind as CollectionKind, encoding, bytes: row, start: valueStart, end: valueEnd }
    next = target.addLike(hash, bytes, start[key], end[key], like, large)
  }
  if (at === undefined) target.clearExpiry(next)
  else target.setExpiry(next, at)
  return next
}

function hashOf(database: Database, request: Request, i: number): number {
  return database.hash(request.bytes, request.start[i], request.end[i])
}

function instant(record: Request, i: number): Instant {
  const n = parseInteger(record.bytes, record.start[i], record.end[i])
  const at = n === n ? n : (parseInt64(record.bytes, record.start[i], record.end[i]) ?? NOT_AN_INTEGER)
  if (!(at > 0)) throw contradiction(record, 'bad instant')
  return at
}
