// How commands get at ordinary keys: the row of an argument, and who may not be touched.
//
// SKUs are keys too (type `stock`, database 0), but only the ledger changes them: a writer that meets one answers WRONGTYPE and has done
// nothing, whatever its other keys are. `stock:events` is the node's own name: writers get READONLY.

import type { Collection } from '../../keyspace/collections/collection.ts'
import { KIND_STOCK, KIND_STREAM, KIND_STRING, type Kind } from '../../keyspace/row.ts'
import type { Database } from '../../keyspace/database.ts'
import { WRONG_TYPE } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Call } from '../call.ts'
import { GENERIC, MISSED, NEW, announce } from '../notices.ts'

/** The stream of what has happened to stock and orders. The server reserves the name in database 0 when it can be read. */
export const STOCK_EVENTS = Buffer.from('stock:events', 'latin1')
export const EVENTS_READ_ONLY = 'READONLY stock:events is written by the node only'

/** The database that the client has selected. */
export function databaseOf(call: Call): Database {
  return call.engine.keyspace.databases[call.client.database]
}

export function hashOf(call: Call, database: Database, i: number): number {
  const { request } = call
  return database.hash(request.bytes, request.start[i], request.end[i])
}

/** The live row of argument i, 0 if there is none. For writers: counts nothing. */
export function findKey(call: Call, database: Database, i: number, hash: number): number {
  const { request } = call
  return database.find(request.bytes, request.start[i], request.end[i], hash)
}

/** The live row of argument i, 0 if there is none. Counts a hit or a miss, announces neither, and does not say that the key was used. */
export function inspectKey(call: Call, database: Database, i: number): number {
  const ref = findKey(call, database, i, hashOf(call, database, i))
  if (ref === 0) call.engine.keyspace.misses++
  else call.engine.keyspace.hits++
  return ref
}

/** The same, and a miss is announced. */
export function peekKey(call: Call, database: Database, i: number): number {
  const ref = inspectKey(call, database, i)
  if (ref === 0) announce(call, MISSED, 'keymiss', i)
  return ref
}

/** The live row of argument i, 0 if there is none. Counts a hit or a miss, which is announced; the key was used now. */
export function readKey(call: Call, database: Database, i: number): number {
  const ref = peekKey(call, database, i)
  if (ref !== 0) database.touch(ref)
  return ref
}

/** True if the row is a string; else the client has its WRONGTYPE. */
export function isString(call: Call, database: Database, ref: number): boolean {
  if (database.kind(ref) === KIND_STRING) return true
  call.reply.error(WRONG_TYPE)
  return false
}

/** True if the row is of this kind; else the client has its WRONGTYPE. */
export function isKind(call: Call, database: Database, ref: number, kind: Kind): boolean {
  if (database.kind(ref) === kind) return true
  call.reply.error(WRONG_TYPE)
  return false
}

/**
 * The lens on the collection of argument i, for reading; null if there is no such key. Counts a hit or a miss; the key was used now.
 * Undefined if the key is of another type: then the client has its WRONGTYPE.
 */
export function readCollection<Lens extends Collection>(call: Call, i: number, lens: Lens): Lens | null | undefined {
  const database = databaseOf(call)
  const ref = readKey(call, database, i)
  if (ref === 0) return null
  return isKind(call, database, ref, lens.kind) ? lens.open(database, ref) : undefined
}

/**
 * The same for a writer: nothing has changed yet, `beginChange` must follow (`startCollection` if there is none). Undefined also if the
 * key is not a client's to change.
 */
export function writeCollection<Lens extends Collection>(call: Call, i: number, lens: Lens): Lens | null | undefined {
  const database = databaseOf(call)
  const hash = hashOf(call, database, i)
  const ref = findKey(call, database, i, hash)
  if (isForbidden(call, database, i, ref)) return undefined
  if (ref === 0) return null
  return isKind(call, database, ref, lens.kind) ? lens.open(database, ref, hash) : undefined
}

/** A new collection for argument i, announced, whose change has begun; there is no such key. */
export function startCollection<Lens extends Collection>(call: Call, i: number, lens: Lens): Lens {
  const { bytes, start, end } = call.request
  const database = databaseOf(call)
  announce(call, NEW, 'new', i)
  return lens.create(database, hashOf(call, database, i), bytes, start[i], end[i])
}

/** The collection of argument i has had an event of its kind; without elements the key has gone with it. */
export function announceChange(call: Call, kind: number, event: string, collection: Collection, i = 1): void {
  if (call.engine.notices.mask === 0) return
  announce(call, kind, event, i)
  if (collection.count === 0) announce(call, GENERIC, 'del', i)
}

/** The collection of argument i, its change begun, made if there is none. */
export function changeCollection<Lens extends Collection>(call: Call, i: number, lens: Lens): Lens | undefined {
  const found = writeCollection(call, i, lens)
  return found === null ? startCollection(call, i, lens) : found?.beginChange()
}

/** True if a writer must leave argument i alone, whose row is `ref`; then the client has its error. */
export function isForbidden(call: Call, database: Database, i: number, ref: number): boolean {
  return call.client.database === 0 && isForbiddenInFirst(call, database, i, ref)
}

/** The same for a key of the database of this number, which may be another one than the client's. */
export function isForbiddenIn(call: Call, number: number, i: number, ref: number): boolean {
  return number === 0 && isForbiddenInFirst(call, call.engine.keyspace.databases[0], i, ref)
}

function isForbiddenInFirst(call: Call, database: Database, i: number, ref: number): boolean {
  if (ref !== 0 && database.kind(ref) === KIND_STOCK) {
    call.reply.error(WRONG_TYPE)
    return true
  }
  if (!isStockEvents(call.request, i)) return false
  call.reply.error(EVENTS_READ_ONLY)
  return true
}

/** True if argument i, a key, is stock:events; in the other databases that is a name like any. */
export function isEventsKey(call: Call, i: number): boolean {
  return call.client.database === 0 && isStockEvents(call.request, i)
}

export const NO_STREAM = 0
export const EVENT_STREAM = 1
export const OTHER_TYPE = 2

/** What a reader of streams finds at argument i: nothing, stock:events (there is no other stream), or a key of another type. */
export function streamKey(call: Call, i: number): typeof NO_STREAM | typeof EVENT_STREAM | typeof OTHER_TYPE {
  const database = databaseOf(call)
  const ref = readKey(call, database, i)
  return ref === 0 ? NO_STREAM : database.kind(ref) === KIND_STREAM ? EVENT_STREAM : OTHER_TYPE
}

/** The same for every `step`th argument from `first` on. */
export function anyForbidden(call: Call, database: Database, first: number, step: number): boolean {
  if (call.client.database !== 0) return false
  for (let i = first; i < call.request.argc; i += step) {
    const ref = database.stockKeys === 0 ? 0 : findKey(call, database, i, hashOf(call, database, i))
    if (isForbidden(call, database, i, ref)) return true
  }
  return false
}

function isStockEvents({ bytes, start, end }: Request, i: number): boolean {
  const from = start[i]
  if (end[i] - from !== STOCK_EVENTS.length) return false
  for (let k = 0; k < STOCK_EVENTS.length; k++) if (bytes[from + k] !== STOCK_EVENTS[k]) return false
  return true
}

/** True if arguments i and k are the same bytes. */
export function areSame(request: Request, i: number, k: number): boolean {
  const length = request.length(i)
  if (request.length(k) !== length) return false
  const { bytes, start } = request
  for (let n = 0; n < length; n++) if (bytes[start[i] + n] !== bytes[start[k] + n]) return false
  return true
}
