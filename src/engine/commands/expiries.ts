// When keys expire: set, dropped, asked.

import type { Instant } from '../../keyspace/expiry-heap.ts'
import { GT_AND_LT, NX_AND_OTHERS } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { keyAt } from '../key-specs.ts'
import { recordArguments, recordExpiry } from '../key-records.ts'
import { GENERIC, announce } from '../notices.ts'
import { MILLISECONDS, SECONDS, type Unit, anyInstant } from './instants.ts'
import { databaseOf, findKey, hashOf, isForbidden, peekKey } from './key-access.ts'

// Conditions of EXPIRE and its like, as bits.
const NX = 1
const XX = 2
const GT = 4
const LT = 8

/** The conditions from argument 3 on; -1 (and the client has its error) if they are none. */
function parseConditions(call: Call): number {
  const { request, reply } = call
  let conditions = 0
  for (let i = 3; i < request.argc; i++) {
    if (request.is(i, 'NX')) conditions |= NX
    else if (request.is(i, 'XX')) conditions |= XX
    else if (request.is(i, 'GT')) conditions |= GT
    else if (request.is(i, 'LT')) conditions |= LT
    else {
      reply.error(`ERR Unsupported option ${request.untilNul(i)}`)
      return -1
    }
  }
  if (conditions & NX && conditions & (XX | GT | LT)) {
    reply.error(NX_AND_OTHERS)
    return -1
  }
  if (conditions & GT && conditions & LT) {
    reply.error(GT_AND_LT)
    return -1
  }
  return conditions
}

/** No instant counts as never: later than all others. */
function allows(conditions: number, at: Instant, current: Instant | undefined): boolean {
  if (conditions & NX && current !== undefined) return false
  if (conditions & XX && current === undefined) return false
  if (conditions & GT && (current === undefined || at <= current)) return false
  return !(conditions & LT && current !== undefined && at >= current)
}

/** EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT. */
function expire(call: Call, unit: Unit, isRelative: boolean, command: string): void {
  const { reply } = call
  const conditions = parseConditions(call)
  if (conditions === -1) return
  const at = anyInstant(call, 2, unit, isRelative ? call.now : 0, command)
  if (at === undefined) return
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const ref = findKey(call, database, 1, hash)
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0) return reply.integer(0)
  if (conditions !== 0 && !allows(conditions, at, database.expireAt(ref))) return reply.integer(0)
  if (at <= call.now) {
    database.remove(ref, hash)
    recordArguments(call, 'DEL', 1, 1)
    announce(call, GENERIC, 'del', 1)
    return reply.integer(1)
  }
  database.setExpiry(ref, at)
  database.touch(ref)
  recordExpiry(call, 1, at)
  reply.integer(1)
  announce(call, GENERIC, 'expire', 1)
}

/** TTL and PTTL if `isRelative`, else EXPIRETIME and PEXPIRETIME. */
function timeLeft(call: Call, unit: Unit, isRelative: boolean): void {
  const { reply } = call
  const database = databaseOf(call)
  const ref = peekKey(call, database, 1)
  if (ref === 0) return reply.integer(-2)
  const at = database.expireAt(ref)
  if (at === undefined) return reply.integer(-1)
  const base = isRelative ? call.now : 0
  if (typeof at === 'number') {
    const ms = Math.max(at - base, 0)
    return reply.integer(unit === SECONDS ? Math.floor((ms + 500) / 1000) : ms)
  }
  const ms = at - BigInt(base)
  reply.int64(unit === SECONDS ? (ms + 500n) / 1000n : ms)
}

function persist(call: Call): void {
  const database = databaseOf(call)
  const ref = findKey(call, database, 1, hashOf(call, database, 1))
  if (isForbidden(call, database, 1, ref)) return
  if (ref === 0 || !database.clearExpiry(ref)) return call.reply.integer(0)
  recordArguments(call, 'PERSIST', 1, 1)
  announce(call, GENERIC, 'persist', 1)
  call.reply.integer(1)
}

export const expiryCommands: readonly CommandSpec[] = [
  {
    name: 'EXPIRE',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Lets a key expire after a number of seconds.',
    syntax: 'key seconds [NX | XX | GT | LT]',
    run: (call) => expire(call, SECONDS, true, 'expire'),
  },
  {
    name: 'PEXPIRE',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '2.6.0',
    complexity: 'O(1)',
    summary: 'Lets a key expire after a number of milliseconds.',
    syntax: 'key milliseconds [NX | XX | GT | LT]',
    run: (call) => expire(call, MILLISECONDS, true, 'pexpire'),
  },
  {
    name: 'EXPIREAT',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '1.2.0',
    complexity: 'O(1)',
    summary: 'Lets a key expire at a unix time in seconds.',
    syntax: 'key unix-time-seconds [NX | XX | GT | LT]',
    run: (call) => expire(call, SECONDS, false, 'expireat'),
  },
  {
    name: 'PEXPIREAT',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '2.6.0',
    complexity: 'O(1)',
    summary: 'Lets a key expire at a unix time in milliseconds.',
    syntax: 'key unix-time-milliseconds [NX | XX | GT | LT]',
    run: (call) => expire(call, MILLISECONDS, false, 'pexpireat'),
  },
  {
    name: 'TTL',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '1.0.0',
    tips: 'nondeterministic_output',
    complexity: 'O(1)',
    summary: 'Seconds until a key expires; -1: never, -2: no such key.',
    syntax: 'key',
    run: (call) => timeLeft(call, SECONDS, true),
  },
  {
    name: 'PTTL',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '2.6.0',
    tips: 'nondeterministic_output',
    complexity: 'O(1)',
    summary: 'Milliseconds until a key expires; -1: never, -2: no such key.',
    syntax: 'key',
    run: (call) => timeLeft(call, MILLISECONDS, true),
  },
  {
    name: 'EXPIRETIME',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '7.0.0',
    complexity: 'O(1)',
    summary: 'The unix time in seconds at which a key expires; -1: never, -2: no such key.',
    syntax: 'key',
    run: (call) => timeLeft(call, SECONDS, false),
  },
  {
    name: 'PEXPIRETIME',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['keyspace', 'read', 'fast'],
    group: 'generic',
    since: '7.0.0',
    complexity: 'O(1)',
    summary: 'The unix time in milliseconds at which a key expires; -1: never, -2: no such key.',
    syntax: 'key',
    run: (call) => timeLeft(call, MILLISECONDS, false),
  },
  {
    name: 'PERSIST',
    arity: 2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['keyspace', 'write', 'fast'],
    group: 'generic',
    since: '2.2.0',
    complexity: 'O(1)',
    summary: 'Lets a key that expires live for ever.',
    syntax: 'key',
    run: persist,
  },
]
