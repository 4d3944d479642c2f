// Strings: whole values set and read.

import { ENCODING_NATURAL } from '../../keyspace/row.ts'
import type { Instant } from '../../keyspace/expiry-heap.ts'
import type { Database } from '../../keyspace/database.ts'
import { SYNTAX, wrongArity } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Call } from '../call.ts'
import { ALL_ARGUMENTS, type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { beginKeyRecord, recordArguments, recordExpiry, recordSet } from '../key-records.ts'
import { GENERIC, NEW, STRING, announce } from '../notices.ts'
import { counterCommands } from './counters.ts'
import { MILLISECONDS, SECONDS, type Unit, positiveInstant } from './instants.ts'
import { anyForbidden, databaseOf, findKey, hashOf, isForbidden, isString, readKey } from './key-access.ts'
import { lcsCommand } from './lcs.ts'
import { stringPartCommands } from './string-parts.ts'
import { keyAt, keyUse, keysFrom } from '../key-specs.ts'
import type { KeyUse } from '../key-specs.ts'

function get(call: Call): void {
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (ref === 0) call.reply.nil()
  else if (isString(call, database, ref)) replyValue(call, database, ref)
}

function replyValue(call: Call, database: Database, ref: number): void {
  database.open(ref)
  call.reply.bulk(database.bytes, database.valueStart, database.valueEnd)
}

/** Sets argument `key` to argument `value`, announced. @returns its row; an instant of expiry stays for the caller to decide. */
function put(call: Call, database: Database, ref: number, hash: number, key: number, value: number): number {
  const { bytes, start, end } = call.request
  if (call.engine.notices.mask !== 0) {
    if (ref === 0) announce(call, NEW, 'new', key)
    announce(call, STRING, 'set', key)
  }
  return database.putString(ref, hash, bytes, start[key], end[key], bytes, start[value], end[value], ENCODING_NATURAL)
}

/** Sets argument `key` to argument `value` and gives it this instant, with the record and the notices. */
function store(call: Call, database: Database, ref: number, hash: number, key: number, value: number, expiry: Instant | 'none'): void {
  const { request } = call
  const row = put(call, database, ref, hash, key, value)
  if (expiry !== 'none') {
    database.setExpiry(row, expiry)
    announce(call, GENERIC, 'expire', key)
  } else if (ref !== 0) database.clearExpiry(row)
  recordSet(call, key, request.bytes, request.start[value], request.end[value], expiry)
}

// The options of SET and GETEX, as bits.
const NX = 1
const XX = 2
const GET = 4
const KEEPTTL = 8
const PERSIST = 16
const EX = 32
const PX = 64
const EXAT = 128
const PXAT = 256
const EXPIRES = EX | PX | EXAT | PXAT
/** Above the bits stands the argument that is the time. */
const TIME_UNIT = 65536

/** The options from argument `first` on, that are in `allowed`; and TIME_UNIT times where the time stands. -1: syntax error. */
function parseOptions(request: Request, first: number, allowed: number): number {
  let options = 0
  let time = 0
  for (let i = first; i < request.argc; i++) {
    if (request.is(i, 'NX') && !(options & XX)) options |= NX
    else if (request.is(i, 'XX') && !(options & NX)) options |= XX
    else if (request.is(i, 'GET')) options |= GET
    else if (request.is(i, 'KEEPTTL') && !(options & (PERSIST | EXPIRES))) options |= KEEPTTL
    else if (request.is(i, 'PERSIST') && !(options & (KEEPTTL | EXPIRES))) options |= PERSIST
    else {
      const kind = request.is(i, 'EX') ? EX : request.is(i, 'PX') ? PX : request.is(i, 'EXAT') ? EXAT : request.is(i, 'PXAT') ? PXAT : 0
      // A time given twice in the same way is taken as Redis takes it: the last one counts.
      if (kind === 0 || options & (KEEPTTL | PERSIST | (EXPIRES & ~kind)) || i + 1 === request.argc) return -1
      options |= kind
      time = ++i
    }
  }
  return options & ~allowed ? -1 : time * TIME_UNIT + options
}

/** The instant that parsed options give. */
function optionInstant(call: Call, options: number, command: string): Instant | undefined {
  const unit: Unit = options & (EX | EXAT) ? SECONDS : MILLISECONDS
  return positiveInstant(call, Math.floor(options / TIME_UNIT), unit, options & (EX | PX) ? call.now : 0, command)
}

function set(call: Call): void {
  const { request } = call
  const database = databaseOf(call)
  if (request.argc > 3) return setWithOptions(call, database)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  store(call, database, ref, hash, 1, 2, 'none')
  call.reply.ok()
}

function setWithOptions(call: Call, database: Database): void {
  const { request, reply } = call
  const options = parseOptions(request, 3, NX | XX | GET | KEEPTTL | EXPIRES)
  if (options === -1) return reply.error(SYNTAX)
  let expiry: Instant | 'none' = 'none'
  if (options & EXPIRES) {
    const at = optionInstant(call, options, 'set')
    if (at === undefined) return
    expiry = at
  }
  const hash = hashOf(call, database, 1)
  const ref = options & GET ? readKey(call, database, 1) : findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (options & GET && ref !== 0 && !isString(call, database, ref)) return
  if ((options & NX && ref !== 0) || (options & XX && ref === 0)) {
    if (options & GET && ref !== 0) replyValue(call, database, ref)
    else reply.nil()
    return
  }

  // Decided. With GET the reply comes first: the old value is about to go.
  if (options & GET) {
    if (ref === 0) reply.nil()
    else replyValue(call, database, ref)
  }
  if (options & KEEPTTL && ref !== 0 && database.expires(ref)) {
    put(call, database, ref, hash, 1, 2)
    recordSet(call, 1, request.bytes, request.start[2], request.end[2], 'keep')
  } else store(call, database, ref, hash, 1, 2, expiry)
  if (!(options & GET)) reply.ok()
}

function setnx(call: Call): void {
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref !== 0) return call.reply.integer(0)
  store(call, database, 0, hash, 1, 2, 'none')
  call.reply.integer(1)
}

/** SETEX and PSETEX: key, time, value. */
function setFor(call: Call, unit: Unit, command: string): void {
  const at = positiveInstant(call, 2, unit, call.now, command)
  if (at === undefined) return
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  store(call, database, ref, hash, 1, 3, at)
  call.reply.ok()
}

function getset(call: Call): void {
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0) call.reply.nil()
  else if (isString(call, database, ref)) replyValue(call, database, ref)
  else return
  store(call, database, ref, hashOf(call, database, 1), 1, 2, 'none')
}

function getdel(call: Call): void {
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0) return call.reply.nil()
  if (!isString(call, database, ref)) return
  replyValue(call, database, ref)
  database.remove(ref, hashOf(call, database, 1))
  recordArguments(call, 'DEL', 1, 1)
  announce(call, GENERIC, 'del', 1)
}

function getex(call: Call): void {
  const { request, reply } = call
  const options = parseOptions(request, 2, PERSIST | EXPIRES)
  if (options === -1) return reply.error(SYNTAX)
  const database = databaseOf(call)
  const ref = readKey(call, database, 1)
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0) return reply.nil()
  if (!isString(call, database, ref)) return
  if (options & EXPIRES) {
    const at = optionInstant(call, options, 'getex')
    if (at === undefined) return
    replyValue(call, database, ref)
    if (options & (EXAT | PXAT) && at <= call.now) {
      database.remove(ref, hashOf(call, database, 1))
      recordArguments(call, 'DEL', 1, 1)
      announce(call, GENERIC, 'del', 1)
    } else {
      database.setExpiry(ref, at)
      recordExpiry(call, 1, at)
      announce(call, GENERIC, 'expire', 1)
    }
    return
  }
  replyValue(call, database, ref)
  if (!(options & PERSIST) || !database.clearExpiry(ref)) return
  recordArguments(call, 'PERSIST', 1, 1)
  announce(call, GENERIC, 'persist', 1)
}

function mget(call: Call): void {
  const { request, reply } = call
  const database = databaseOf(call)
  reply.array(request.argc - 1)
  for (let i = 1; i < request.argc; i++) {
    const ref = readKey(call, database, i)
    // A key of another type is no error here: MGET never fails.
    if (ref === 0 || database.kind(ref) !== 0) reply.nil()
    else replyValue(call, database, ref)
  }
}

function mset(call: Call): void {
  const { request, reply } = call
  if (request.argc % 2 === 0) return reply.error(wrongArity('mset'))
  const database = databaseOf(call)
  if (anyForbidden(call, database, 1, 2)) return
  setAll(call, database)
  reply.ok()
}

function msetnx(call: Call): void {
  const { request, reply } = call
  if (request.argc % 2 === 0) return reply.error(wrongArity('msetnx'))
  const database = databaseOf(call)
  if (anyForbidden(call, database, 1, 2)) return
  for (let i = 1; i < request.argc; i += 2) {
    if (findKey(call, database, i, hashOf(call, database, i)) !== 0) return reply.integer(0)
  }
  setAll(call, database)
  reply.integer(1)
}

/** Every key with its value, as one record: all of them or none is there after a crash. */
function setAll(call: Call, database: Database): void {
  const { request } = call
  for (let i = 1; i < request.argc; i += 2) {
    const hash = hashOf(call, database, i)
    const ref = findKey(call, database, i, hash)
    const row = put(call, database, ref, hash, i, i + 1)
    if (ref !== 0) database.clearExpiry(row)
  }
  const journal = beginKeyRecord(call, request.argc, 'MSET')
  for (let i = 1; i < request.argc; i++) journal.bytes(request.bytes, request.start[i], request.end[i])
}

/** MSET: keys and values by turns. */
const EVERY_OTHER_ARGUMENT = { first: 1, last: -1, step: 2 }

const wholeStringCommands: readonly CommandSpec[] = [
  {
    name: 'GET',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'The value of a key.',
    syntax: 'key',
    run: get,
  },
  {
    name: 'SET',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [{ ...keyAt(1, 'RW access update variable_flags'), useOf: useOfSet }],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Sets a key to a string, whatever it was; its time to live goes unless KEEPTTL.',
    syntax: 'key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]',
    run: set,
  },
  {
    name: 'SETNX',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW insert')],
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Sets a key if it does not exist.',
    syntax: 'key value',
    run: setnx,
  },
  {
    name: 'SETEX',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW update')],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'Sets a key for a number of seconds.',
    syntax: 'key seconds value',
    run: (call) => setFor(call, SECONDS, 'setex'),
  },
  {
    name: 'PSETEX',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'OW update')],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '2.6.0',
    complexity: 'O(1)',
    summary: 'Sets a key for a number of milliseconds.',
    syntax: 'key milliseconds value',
    run: (call) => setFor(call, MILLISECONDS, 'psetex'),
  },
  {
    name: 'GETSET',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Sets a key and returns its old value.',
    syntax: 'key value',
    run: getset,
  },
  {
    name: 'GETDEL',
    arity: 2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '6.2.0',
    complexity: 'O(1)',
    summary: 'Returns the value of a key and deletes it.',
    syntax: 'key',
    run: getdel,
  },
  {
    name: 'GETEX',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'string', 'fast'],
    group: 'string',
    since: '6.2.0',
    complexity: 'O(1)',
    summary: 'Returns the value of a key and sets or drops its time to live.',
    syntax: 'key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]',
    run: getex,
  },
  {
    name: 'MGET',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_ARGUMENTS,
    categories: ['read', 'string', 'fast'],
    group: 'string',
    since: '1.0.0',
    tips: 'request_policy:multi_shard',
    complexity: 'O(N), N keys',
    summary: 'The values of several keys; nil for one that has none.',
    syntax: 'key [key ...]',
    run: mget,
  },
  {
    name: 'MSET',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: EVERY_OTHER_ARGUMENT,
    keySpecs: [keysFrom(1, 'OW update', { step: 2 })],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '1.0.1',
    tips: 'request_policy:multi_shard response_policy:all_succeeded',
    complexity: 'O(N), N keys',
    summary: 'Sets several keys in one step.',
    syntax: 'key value [key value ...]',
    run: mset,
  },
  {
    name: 'MSETNX',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: EVERY_OTHER_ARGUMENT,
    keySpecs: [keysFrom(1, 'OW insert', { step: 2 })],
    categories: ['write', 'string', 'slow'],
    group: 'string',
    since: '1.0.1',
    tips: 'request_policy:multi_shard response_policy:agg_min',
    complexity: 'O(N), N keys',
    summary: 'Sets several keys in one step if none of them exists.',
    syntax: 'key value [key value ...]',
    run: msetnx,
  },
]

const SEEN = keyUse('RW access update')
const UNSEEN = keyUse('OW update')

/** Without GET nobody sees what SET overwrites. */
function useOfSet(request: Request): KeyUse {
  for (let i = 3; i < request.argc; i++) if (request.is(i, 'GET')) return SEEN
  return UNSEEN
}

export const stringCommands: readonly CommandSpec[] = [...wholeStringCommands, ...stringPartCommands, ...counterCommands, lcsCommand]
