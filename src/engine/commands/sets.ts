// Sets: members.

import { parseInt64 } from '../../base/decimal.ts'
import type { Members } from '../../keyspace/collections/set.ts'
import { SYNTAX, VALUE_NOT_POSITIVE } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { keyAt } from '../key-specs.ts'
import { beginKeyRecord, recordArguments, recordChosen } from '../key-records.ts'
import { GENERIC, SET, announce } from '../notices.ts'
import { Chosen } from './chosen.ts'
import {
  announceChange,
  areSame,
  changeCollection,
  databaseOf,
  findKey,
  hashOf,
  isForbidden,
  isKind,
  readCollection,
  writeCollection,
} from './key-access.ts'
import { isTooMany, sampleCount, visitSome } from './samples.ts'
import { scanElements, type ElementScan } from './element-scan.ts'
import { setAlgebraCommands } from './set-algebra.ts'

const chosen = new Chosen()

const setOfCall = (call: Call): Members => call.engine.keyspace.collections.set

/** The set of argument 1, as readCollection. */
function readSet(call: Call): Members | null | undefined {
  return readCollection(call, 1, setOfCall(call))
}

function replyMember({ reply }: Call, set: Members): void {
  reply.bulk(set.elements, set.memberStart, set.memberEnd)
}

function sadd(call: Call): void {
  const { bytes, start, end, argc } = call.request
  const set = changeCollection(call, 1, setOfCall(call))
  if (set === undefined) return
  chosen.reset()
  for (let i = 2; i < argc; i++) if (set.add(bytes, start[i], end[i])) chosen.add(i)
  set.endChange()
  if (chosen.length > 0) {
    recordChosen(call, 'SADD', chosen)
    announce(call, SET, 'sadd', 1)
  }
  call.reply.integer(chosen.length)
}

function srem(call: Call): void {
  const { bytes, start, end, argc } = call.request
  const set = writeCollection(call, 1, setOfCall(call))
  if (set === undefined) return
  if (set === null) return call.reply.integer(0)
  chosen.reset()
  set.beginChange()
  for (let i = 2; i < argc; i++) if (set.remove(bytes, start[i], end[i])) chosen.add(i)
  set.endChange()
  if (chosen.length > 0) {
    recordChosen(call, 'SREM', chosen)
    announceChange(call, SET, 'srem', set)
  }
  call.reply.integer(chosen.length)
}

function smove(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const database = databaseOf(call)
  const source = findKey(call, database, 1, hashOf(call, database, 1))
  if (isForbidden(call, database, 1, source)) return
  const target = findKey(call, database, 2, hashOf(call, database, 2))
  if (source === 0) return reply.integer(0)
  const set = setOfCall(call)
  if (!isKind(call, database, source, set.kind) || isForbidden(call, database, 2, target)) return
  if (target !== 0 && !isKind(call, database, target, set.kind)) return
  set.open(database, source, hashOf(call, database, 1))
  if (!set.has(bytes, start[3], end[3])) return reply.integer(0)
  if (areSame(request, 1, 2)) return reply.integer(1)

  set.beginChange()
  set.remove(bytes, start[3], end[3])
  set.endChange()
  chosen.reset()
  chosen.add(3)
  recordChosen(call, 'SREM', chosen)
  announceChange(call, SET, 'srem', set)
  const other = changeCollection(call, 2, set)
  if (other?.add(bytes, start[3], end[3]) === true) {
    recordArguments(call, 'SADD', 2, 3)
    announce(call, SET, 'sadd', 2)
  }
  other?.endChange()
  reply.integer(1)
}

function sismember(call: Call): void {
  const { bytes, start, end } = call.request
  const set = readSet(call)
  if (set !== undefined) call.reply.integer(set?.has(bytes, start[2], end[2]) === true ? 1 : 0)
}

function smismember(call: Call): void {
  const { bytes, start, end, argc } = call.request
  const set = readSet(call)
  if (set === undefined) return
  call.reply.array(argc - 2)
  for (let i = 2; i < argc; i++) call.reply.integer(set?.has(bytes, start[i], end[i]) === true ? 1 : 0)
}

function scard(call: Call): void {
  const set = readSet(call)
  if (set !== undefined) call.reply.integer(set?.count ?? 0)
}

function smembers(call: Call): void {
  const set = readSet(call)
  if (set === undefined) return
  call.reply.set(set?.count ?? 0)
  if (set !== null) for (set.rewind(); set.next();) replyMember(call, set)
}

function spop(call: Call): void {
  const { request, reply, engine } = call
  if (request.argc > 3) return reply.error(SYNTAX)
  const count = request.argc === 3 ? parseInt64(request.bytes, request.start[2], request.end[2]) : undefined
  if (request.argc === 3 && (count === undefined || count < 0n)) return reply.error(VALUE_NOT_POSITIVE)
  const set = writeCollection(call, 1, setOfCall(call))
  if (set === undefined) return
  if (set === null) return count === undefined ? reply.nil() : reply.set(0)
  if (count === 0n) return reply.set(0)

  const wanted = Number(count ?? 1)
  announce(call, SET, 'spop', 1)
  if (count !== undefined) reply.set(Math.min(wanted, set.count))
  if (wanted >= set.count) {
    for (set.rewind(); set.next();) replyMember(call, set)
    set.database.remove(set.ref, set.keyHash)
    recordArguments(call, 'DEL', 1, 1)
    return announce(call, GENERIC, 'del', 1)
  }
  const journal = beginKeyRecord(call, wanted + 2, 'SREM')
  journal.bytes(request.bytes, request.start[1], request.end[1])
  set.beginChange()
  for (let i = 0; i < wanted; i++) {
    set.choose(() => engine.random.float())
    replyMember(call, set)
    journal.bytes(set.elements, set.memberStart, set.memberEnd)
    set.remove(set.elements, set.memberStart, set.memberEnd)
  }
  set.endChange()
}

function srandmember(call: Call): void {
  const { request, reply, engine } = call
  const { random } = engine
  if (request.argc > 3) return reply.error(SYNTAX)
  if (request.argc === 2) {
    const set = readSet(call)
    if (set === undefined) return
    if (set === null) return reply.nil()
    set.choose(() => random.float())
    return replyMember(call, set)
  }
  const count = sampleCount(call, 2)
  if (count === undefined) return
  const set = readSet(call)
  if (set === undefined) return
  if (set === null || count === 0) return reply.array(0)
  const wanted = count < 0 ? -count : Math.min(count, set.count)
  if (isTooMany(call, wanted)) return
  reply.array(wanted)
  if (count < 0 || wanted === 1) {
    for (let i = 0; i < wanted && !reply.isTooLong; i++) {
      set.choose(() => random.float())
      replyMember(call, set)
    }
  } else if (wanted === set.count) for (set.rewind(); set.next();) replyMember(call, set)
  else visitSome(set, wanted, random, () => replyMember(call, set))
}

const SSCAN: ElementScan<Members> = {
  read: readSet,
  matches: (glob, set) => glob.matches(set.elements, set.memberStart, set.memberEnd),
  words: 1,
  tell: replyMember,
}

const memberCommands: readonly CommandSpec[] = [
  {
    name: 'SADD',
    arity: -3,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(N), N members',
    summary: 'Adds members to a set; answers how many are new.',
    syntax: 'key member [member ...]',
    run: sadd,
  },
  {
    name: 'SREM',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(N), N members',
    summary: 'Removes members from a set; answers how many there were.',
    syntax: 'key member [member ...]',
    run: srem,
  },
  {
    name: 'SMOVE',
    arity: 4,
    flags: ['write', 'fast'],
    keys: { first: 1, last: 2, step: 1 },
    keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'RW insert')],
    categories: ['write', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Moves a member from one set to another.',
    syntax: 'source destination member',
    run: smove,
  },
  {
    name: 'SISMEMBER',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'Whether a set has a member.',
    syntax: 'key member',
    run: sismember,
  },
  {
    name: 'SMISMEMBER',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'set', 'fast'],
    group: 'set',
    since: '6.2.0',
    complexity: 'O(N), N members',
    summary: 'Which of these members a set has.',
    syntax: 'key member [member ...]',
    run: smismember,
  },
  {
    name: 'SCARD',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    complexity: 'O(1)',
    summary: 'How many members a set has.',
    syntax: 'key',
    run: scard,
  },
  {
    name: 'SPOP',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW access delete')],
    categories: ['write', 'set', 'fast'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output',
    complexity: 'O(N), N members answered',
    summary: 'Removes members by chance.',
    syntax: 'key [count]',
    run: spop,
  },
  {
    name: 'SRANDMEMBER',
    arity: -2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output',
    complexity: 'O(N), N members answered',
    summary: 'Some members of a set, by chance: different ones, or with a negative count also the same ones.',
    syntax: 'key [count]',
    run: srandmember,
  },
  {
    name: 'SMEMBERS',
    arity: 2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '1.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N members of the set',
    summary: 'All members of a set.',
    syntax: 'key',
    run: smembers,
  },
  {
    name: 'SSCAN',
    arity: -3,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'set', 'slow'],
    group: 'set',
    since: '2.8.0',
    tips: 'nondeterministic_output',
    complexity: 'O(1) a call, O(N) for all N members',
    summary: 'Some of the members, and the cursor for the next ones; 0 is the end.',
    syntax: 'key cursor [MATCH pattern] [COUNT count]',
    run: (call) => scanElements(call, SSCAN),
  },
]

export const setCommands: readonly CommandSpec[] = [...memberCommands, ...setAlgebraCommands]
