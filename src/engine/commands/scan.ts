// Which keys are there: KEYS, SCAN, RANDOMKEY.
//
// A SCAN cursor is a place in the order of the keys' hashes, so whatever the table does meanwhile, a key that is there all the time comes
// exactly once.

import { Glob } from '../../base/glob.ts'
import type { Database } from '../../keyspace/database.ts'
import { KIND_NAMES, KIND_STREAM } from '../../keyspace/row.ts'
import { INVALID_CURSOR, SYNTAX } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, NO_KEYS } from '../command.ts'
import { Chosen } from './chosen.ts'
import { int64Argument } from './instants.ts'
import { databaseOf } from './key-access.ts'

const COUNT_DEFAULT = 10
const STAR = 42
/** Bits of a cursor that mean something: a hash. */
const CURSOR_BITS = 32
const UINT64_MAX = 2n ** 64n - 1n

const chosen = new Chosen()

/** Chooses a row if its key is alive, of this kind (-1: any) and matches the pattern (null: all do). */
function choose(database: Database, ref: number, pattern: Glob | null, kind: number): void {
  if (kind !== -1 && database.kind(ref) !== kind) return
  if (database.isDue(ref)) return
  if (pattern !== null) {
    database.open(ref)
    if (!pattern.matches(database.bytes, database.keyStart, database.keyEnd)) return
  }
  chosen.add(ref)
}

function replyChosen(call: Call, database: Database): void {
  call.reply.array(chosen.length)
  for (let i = 0; i < chosen.length; i++) {
    database.open(chosen.numbers[i])
    call.reply.bulk(database.bytes, database.keyStart, database.keyEnd)
  }
  chosen.reset()
}

/** The argument that is the pattern, or 0 if it is a mere `*`. */
function patternOf(request: Request, i: number): number {
  return request.length(i) === 1 && request.bytes[request.start[i]] === STAR ? 0 : i
}

/** Argument i as a pattern; 0: there is none. */
function globOf({ bytes, start, end }: Request, i: number): Glob | null {
  return i === 0 ? null : new Glob(bytes, start[i], end[i])
}

function keys(call: Call): void {
  const { request } = call
  const database = databaseOf(call)
  const pattern = globOf(request, patternOf(request, 1))
  database.table.forEach((ref) => choose(database, ref, pattern, -1))
  replyChosen(call, database)
}

/** A cursor as C's strtoul reads it: up to a NUL, signs are allowed, nothing is 0, 2^64 is too much. -1: invalid. */
export function parseCursor(request: Request, i: number): number {
  if (request.length(i) > 40) return -1
  const text = request.untilNul(i)
  const parts = /^([+-]?)(\d+)$/.exec(text)
  if (parts === null) return text === '' ? 0 : -1
  const n = BigInt(parts[2])
  if (n > UINT64_MAX) return -1
  return Number(BigInt.asUintN(CURSOR_BITS, parts[1] === '-' ? -n : n))
}

/** What follows the cursor of SCAN and its like. */
export interface ScanOptions {
  count: number
  /** The argument that is the pattern; 0: all match. */
  pattern: number
  /** -1: any. */
  kind: number
}

/** The options from argument `first` on; undefined (and the client has its error) if they are wrong. */
export function parseScanOptions(call: Call, first: number, takesType: boolean): ScanOptions | undefined {
  const { request, reply } = call
  const options: ScanOptions = { count: COUNT_DEFAULT, pattern: 0, kind: -1 }
  for (let i = first; i < request.argc; i += 2) {
    const hasValue = i + 1 < request.argc
    if (hasValue && request.is(i, 'COUNT')) {
      const n = int64Argument(call, i + 1)
      if (n === undefined) return undefined
      if (n < 1) {
        reply.error(SYNTAX)
        return undefined
      }
      options.count = Number(n)
    } else if (hasValue && request.is(i, 'MATCH')) options.pattern = patternOf(request, i + 1)
    else if (hasValue && takesType && request.is(i, 'TYPE')) options.kind = kindNamed(request, i + 1)
    else {
      reply.error(SYNTAX)
      return undefined
    }
  }
  return options
}

function scan(call: Call): void {
  const { request, reply } = call
  const cursor = parseCursor(request, 1)
  if (cursor === -1) return reply.error(INVALID_CURSOR)
  const options = parseScanOptions(call, 2, true)
  if (options === undefined) return
  const { count, kind } = options
  const pattern = globOf(request, options.pattern)
  const database = databaseOf(call)
  const next = database.table.scan(cursor, count, (ref) => choose(database, ref, pattern, kind))
  // A reserved stream is in no list of keys, but who looks for streams finds it, once.
  if (next === 0 && kind === KIND_STREAM && database.reserved !== 0) choose(database, database.reserved, pattern, kind)
  reply.array(2)
  reply.integerBulk(next)
  replyChosen(call, database)
}

/** The kind of this name; one that nothing is if there is none. */
function kindNamed(request: Request, i: number): number {
  const kind = KIND_NAMES.findIndex((name) => request.is(i, name.toUpperCase()))
  return kind === -1 ? KIND_NAMES.length : kind
}

function randomkey(call: Call): void {
  const { engine, reply } = call
  const database = databaseOf(call)
  for (;;) {
    const ref = database.table.sample(engine.random.uint32())
    if (ref === 0) return reply.nil()
    if (!database.isDue(ref)) {
      database.open(ref)
      return reply.bulk(database.bytes, database.keyStart, database.keyEnd)
    }
    database.expire(ref, database.hashOf(ref))
  }
}

export const scanCommands: readonly CommandSpec[] = [
  {
    name: 'KEYS',
    arity: 2,
    flags: ['readonly'],
    keys: NO_KEYS,
    categories: ['keyspace', 'read', 'slow', 'dangerous'],
    group: 'generic',
    since: '1.0.0',
    tips: 'request_policy:all_shards nondeterministic_output_order',
    complexity: 'O(N), N keys of the database',
    summary: 'All keys that match a pattern. Stops everybody else while it looks: prefer SCAN.',
    syntax: 'pattern',
    run: keys,
  },
  {
    name: 'SCAN',
    arity: -2,
    flags: ['readonly'],
    keys: NO_KEYS,
    categories: ['keyspace', 'read', 'slow'],
    group: 'generic',
    since: '2.8.0',
    tips: 'nondeterministic_output request_policy:special',
    complexity: 'O(1) a call, O(N) for all N keys',
    summary: 'Some of the keys, and the cursor for the next ones; 0 is the end.',
    syntax: 'cursor [MATCH pattern] [COUNT count] [TYPE type]',
    run: scan,
  },
  {
    name: 'RANDOMKEY',
    arity: 1,
    flags: ['readonly'],
    keys: NO_KEYS,
    categories: ['keyspace', 'read', 'slow'],
    group: 'generic',
    since: '1.0.0',
    tips: 'request_policy:all_shards nondeterministic_output',
    complexity: 'O(1)',
    summary: 'Any one of the keys.',
    syntax: '',
    run: randomkey,
  },
]
