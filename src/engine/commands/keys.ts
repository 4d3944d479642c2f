// Commands for keys of any type: delete, look, rename, copy, move.

import { parseInt64 } from '../../base/decimal.ts'
import { ENCODING_NATURAL, ENCODING_UNSHARED, KIND_NAMES, KIND_STRING } from '../../keyspace/row.ts'
import { DATABASE_OUT_OF_RANGE, NO_SUCH_KEY, SAME_OBJECT, SYNTAX, VALUE_NOT_AN_INTEGER } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { ALL_ARGUMENTS, type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { beginKeyRecord, copyKey, moveKey, recordArguments } from '../key-records.ts'
import { GENERIC, NEW, announce, announceIn } from '../notices.ts'
import { databaseCommands } from './databases.ts'
import { expiryCommands } from './expiries.ts'
import { anyForbidden, areSame, databaseOf, findKey, hashOf, isForbidden, isForbiddenIn, peekKey, readKey } from './key-access.ts'
import { objectCommands } from './object.ts'
import { scanCommands } from './scan.ts'
import { keyAt, keysFrom } from '../key-specs.ts'

const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/** DEL and UNLINK: freeing a row is cheap, there is nothing to leave for later. */
function del(call: Call): void {
  const { request, reply } = call
  const database = databaseOf(call)
  if (anyForbidden(call, database, 1, 1)) return
  let deleted = 0
  for (let i = 1; i < request.argc; i++) {
    const hash = hashOf(call, database, i)
    const ref = findKey(call, database, i, hash)
    if (ref === 0) continue
    database.remove(ref, hash)
    // A record of its own for each: a name that was not there is no fact. They lie in one batch, so a crash keeps all or none.
    recordArguments(call, 'DEL', i, i)
    announce(call, GENERIC, 'del', i)
    deleted++
  }
  reply.integer(deleted)
}

function exists(call: Call): void {
  const database = databaseOf(call)
  let found = 0
  for (let i = 1; i < call.request.argc; i++) if (peekKey(call, database, i) !== 0) found++
  call.reply.integer(found)
}

function touch(call: Call): void {
  const database = databaseOf(call)
  let found = 0
  for (let i = 1; i < call.request.argc; i++) if (readKey(call, database, i) !== 0) found++
  call.reply.integer(found)
}

function type(call: Call): void {
  const database = databaseOf(call)
  const ref = peekKey(call, database, 1)
  call.reply.simple(ref === 0 ? 'none' : KIND_NAMES[database.kind(ref)])
}

/** RENAME, and RENAMENX if `onlyNew`. */
function rename(call: Call, onlyNew: boolean): void {
  const { request, reply } = call
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0) return reply.error(NO_SUCH_KEY)
  if (areSame(request, 1, 2)) return onlyNew ? reply.integer(0) : reply.ok()
  const old = findKey(call, database, 2, hashOf(call, database, 2))
  if (isForbidden(call, database, 2, old)) return
  if (old !== 0 && onlyNew) return reply.integer(0)

  moveKey({ source: database, ref, target: database, request, key: 2 }, hash)
  recordArguments(call, 'RENAME', 1, 2)
  announce(call, NEW, 'new', 2)
  announce(call, GENERIC, 'rename_from', 1)
  announce(call, GENERIC, 'rename_to', 2)
  if (onlyNew) reply.integer(1)
  else reply.ok()
}

/** Argument i as the number of a database; -1 (and the client has its error) if there is none. */
function databaseArgument(call: Call, i: number): number {
  const { request, reply, engine } = call
  const n = parseInt64(request.bytes, request.start[i], request.end[i])
  if (n === undefined) reply.error(VALUE_NOT_AN_INTEGER)
  else if (n < INT32_MIN || n > INT32_MAX) reply.error(`ERR value is out of range, value must between ${INT32_MIN} and ${INT32_MAX}`)
  else if (n < 0 || n >= engine.keyspace.databases.length) reply.error(DATABASE_OUT_OF_RANGE)
  else return Number(n)
  return -1
}

function copy(call: Call): void {
  const { request, reply, engine } = call
  const source = databaseOf(call)
  let number = call.client.database
  let replaces = false
  for (let i = 3; i < request.argc; i++) {
    if (request.is(i, 'REPLACE')) replaces = true
    else if (request.is(i, 'DB') && i + 1 < request.argc) {
      number = databaseArgument(call, ++i)
      if (number === -1) return
    } else return reply.error(SYNTAX)
  }
  const target = engine.keyspace.databases[number]
  if (source === target && areSame(request, 1, 2)) return reply.error(SAME_OBJECT)
  const ref = readKey(call, source, 1)
  if (isForbidden(call, source, 1, ref)) return
  if (ref === 0) return reply.integer(0)
  const old = findKey(call, target, 2, hashOf(call, target, 2))
  if (isForbiddenIn(call, number, 2, old)) return
  if (old !== 0 && !replaces) return reply.integer(0)

  const isNatural = source.kind(ref) === KIND_STRING && source.encoding(ref) === ENCODING_NATURAL
  const row = copyKey({ source, ref, target, request, key: 2 })
  if (isNatural) target.setEncoding(row, ENCODING_UNSHARED)
  const journal = beginKeyRecord(call, number === call.client.database ? 4 : 6, 'COPY')
  journal.bytes(request.bytes, request.start[1], request.end[1])
  journal.bytes(request.bytes, request.start[2], request.end[2])
  if (number !== call.client.database) {
    journal.word('DB')
    journal.integer(number)
  }
  journal.word('REPLACE')
  announceIn(call, number, NEW, 'new', 2)
  announceIn(call, number, GENERIC, 'copy_to', 2)
  reply.integer(1)
}

function move(call: Call): void {
  const { request, reply, engine } = call
  const source = databaseOf(call)
  const number = databaseArgument(call, 2)
  if (number === -1) return
  const target = engine.keyspace.databases[number]
  if (source === target) return reply.error(SAME_OBJECT)
  const hash = hashOf(call, source, 1)
  const ref = findKey(call, source, 1, hash)
  if (isForbidden(call, source, 1, ref)) return
  if (ref === 0) return reply.integer(0)
  const old = findKey(call, target, 1, hashOf(call, target, 1))
  if (isForbiddenIn(call, number, 1, old)) return
  if (old !== 0) return reply.integer(0)

  moveKey({ source, ref, target, request, key: 1 }, hash)
  recordArguments(call, 'MOVE', 1, 2)
  announceIn(call, number, NEW, 'new', 1)
  announce(call, GENERIC, 'move_from', 1)
  announceIn(call, number, GENERIC, 'move_to', 1)
  reply.integer(1)
}

const plainKeyCommands: readonly CommandSpec[] = [
  {
    name: 'DEL',
    arity: -2,
    flags: ['write'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keysFrom(1, 'RM delete')],
    categories: ['keyspace', 'write', 'slow'],
    group: 'generic',
    since: '1.0.0',
    tips: 'request_policy:multi_shard response_policy:agg_sum',
    complexity: 'O(N), N keys',
    summary: 'Deletes keys.',
    syntax: 'key [key ...]',
    run: del,
  },
  {
    name: 'UNLINK',
    arity: -2,
    flags: ['write', 'fast'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keysFrom(1, 'RM delete')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '4.0.0',
    tips: 'request_policy:multi_shard response_policy:agg_sum',
    complexity: 'O(N), N keys',
    summary: 'Deletes keys; here the same as DEL.',
    syntax: 'key [key ...]',
    run: del,
  },
  {
    name: 'EXISTS',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keysFrom(1, 'RO')],
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '1.0.0',
    tips: 'request_policy:multi_shard response_policy:agg_sum',
    complexity: 'O(N), N keys',
    summary: 'How many of these keys exist; one named twice counts twice.',
    syntax: 'key [key ...]',
    run: exists,
  },
  {
    name: 'TYPE',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'The type of a key: string, hash, list, set, zset, stock, stream or none.',
    syntax: 'key',
    run: type,
  },
  {
    name: 'TOUCH',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: ALL_ARGUMENTS,
    keySpecs: [keysFrom(1, 'RO')],
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '3.2.1',
    tips: 'request_policy:multi_shard response_policy:agg_sum',
    complexity: 'O(N), N keys',
    summary: 'How many of these keys exist; they count as used now.',
    syntax: 'key [key ...]',
    run: touch,
  },
  {
    name: 'RENAME',
    arity: 3,
    flags: ['write'],
    keys: { first: 1, last: 2, step: 1 },
    keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'OW update')],
    categories: ['keyspace', 'write', 'slow'],
    group: 'generic',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Gives a key another name; a key that has it already goes.',
    syntax: 'key newkey',
    run: (call) => rename(call, false),
  },
  {
    name: 'RENAMENX',
    arity: 3,
    flags: ['write', 'fast'],
    keys: { first: 1, last: 2, step: 1 },
    keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'OW insert')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Gives a key another name if no key has it.',
    syntax: 'key newkey',
    run: (call) => rename(call, true),
  },
  {
    name: 'COPY',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: { first: 1, last: 2, step: 1 },
    keySpecs: [keyAt(1, 'RO access'), keyAt(2, 'OW update')],
    categories: ['keyspace', 'write', 'slow'],
    group: 'generic',
    since: '6.2.0',
    complexity: 'O(N), N bytes of the value',
    summary: 'Copies a key with its time to live, also into another database.',
    syntax: 'source destination [DB destination-db] [REPLACE]',
    run: copy,
  },
  {
    name: 'MOVE',
    arity: 3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Moves a key into another database if it does not exist there.',
    syntax: 'key db',
    run: move,
  },
]

export const keyCommands: readonly CommandSpec[] = [
  ...plainKeyCommands,
  ...expiryCommands,
  ...scanCommands,
  ...objectCommands,
  ...databaseCommands,
]
