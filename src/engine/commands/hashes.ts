// Hashes: fields with values.

import { parseInt64, parseInteger, writeInteger } from '../../base/decimal.ts'
import type { Hash } from '../../keyspace/collections/hash.ts'
import { addLongDoubles, formatLongDouble, parseLongDouble } from '../../keyspace/long-double.ts'
import {
  HASH_VALUE_NOT_AN_INTEGER,
  HASH_VALUE_NOT_A_FLOAT,
  INCREMENT_IS_NOT_FINITE,
  INCREMENT_NOT_FINITE,
  INCREMENT_OVERFLOW,
  VALUE_NOT_A_FLOAT,
  wrongArity,
} from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../command.ts'
import { keyAt } from '../key-specs.ts'
import { beginKeyRecord, recordArguments, recordChosen } from '../key-records.ts'
import { HASH, announce } from '../notices.ts'
import { Chosen } from './chosen.ts'
import { int64Argument } from './instants.ts'
import { announceChange, changeCollection, readCollection, startCollection, writeCollection } from './key-access.ts'
import { isTooMany, sampleOf, visitSome } from './samples.ts'
import { scanElements, type ElementScan } from './element-scan.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Digits of a result on their way into a hash and a record. */
const scratch = Buffer.alloc(24)
const chosen = new Chosen()

const hashOfCall = (call: Call): Hash => call.engine.keyspace.collections.hash

/** The hash of argument 1, as readCollection. */
function readHash(call: Call): Hash | null | undefined {
  return readCollection(call, 1, hashOfCall(call))
}

function findField(call: Call, hash: Hash, i: number): boolean {
  const { bytes, start, end } = call.request
  return hash.find(bytes, start[i], end[i])
}

function replyField({ reply }: Call, hash: Hash): void {
  reply.bulk(hash.elements, hash.fieldStart, hash.fieldEnd)
}

function replyValue({ reply }: Call, hash: Hash): void {
  reply.bulk(hash.elements, hash.valueStart, hash.valueEnd)
}

/** Sets all fields of the arguments, with the record but without the notice. @returns how many are new; -1 if the client has its error. */
function setAll(call: Call, command: string): number {
  const { bytes, start, end, argc } = call.request
  if (argc % 2 !== 0) {
    call.reply.error(wrongArity(command))
    return -1
  }
  const hash = changeCollection(call, 1, hashOfCall(call))
  if (hash === undefined) return -1
  let added = 0
  for (let i = 2; i < argc; i += 2) if (hash.set(bytes, start[i], end[i], bytes, start[i + 1], end[i + 1])) added++
  hash.endChange()
  recordArguments(call, 'HSET', 1, argc - 1)
  return added
}

function hset(call: Call): void {
  const added = setAll(call, 'hset')
  if (added === -1) return
  call.reply.integer(added)
  announce(call, HASH, 'hset', 1)
}

function hmset(call: Call): void {
  if (setAll(call, 'hmset') === -1) return
  call.reply.ok()
  announce(call, HASH, 'hset', 1)
}

function hsetnx(call: Call): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const found = writeCollection(call, 1, hashOfCall(call))
  if (found === undefined) return
  if (found !== null && findField(call, found, 2)) return reply.integer(0)
  const hash = found === null ? startCollection(call, 1, hashOfCall(call)) : found.beginChange()
  hash.set(bytes, start[2], end[2], bytes, start[3], end[3])
  hash.endChange()
  recordArguments(call, 'HSET', 1, 3)
  reply.integer(1)
  announce(call, HASH, 'hset', 1)
}

function hget(call: Call): void {
  const hash = readHash(call)
  if (hash === undefined) return
  if (hash !== null && findField(call, hash, 2)) replyValue(call, hash)
  else call.reply.nil()
}

function hmget(call: Call): void {
  const { request, reply } = call
  const hash = readHash(call)
  if (hash === undefined) return
  reply.array(request.argc - 2)
  for (let i = 2; i < request.argc; i++) {
    if (hash !== null && findField(call, hash, i)) replyValue(call, hash)
    else reply.nil()
  }
}

function hdel(call: Call): void {
  const { bytes, start, end, argc } = call.request
  const hash = writeCollection(call, 1, hashOfCall(call))
  if (hash === undefined) return
  if (hash === null) return call.reply.integer(0)
  chosen.reset()
  hash.beginChange()
  for (let i = 2; i < argc; i++) if (hash.remove(bytes, start[i], end[i])) chosen.add(i)
  hash.endChange()
  if (chosen.length > 0) {
    recordChosen(call, 'HDEL', chosen)
    announceChange(call, HASH, 'hdel', hash)
  }
  call.reply.integer(chosen.length)
}

function hlen(call: Call): void {
  const hash = readHash(call)
  if (hash !== undefined) call.reply.integer(hash?.count ?? 0)
}

function hstrlen(call: Call): void {
  const hash = readHash(call)
  if (hash === undefined) return
  call.reply.integer(hash !== null && findField(call, hash, 2) ? hash.valueEnd - hash.valueStart : 0)
}

function hexists(call: Call): void {
  const hash = readHash(call)
  if (hash !== undefined) call.reply.integer(hash !== null && findField(call, hash, 2) ? 1 : 0)
}

/** HGETALL, HKEYS and HVALS. */
function all(call: Call, fields: boolean, values: boolean): void {
  const { reply } = call
  const hash = readHash(call)
  if (hash === undefined) return
  const count = hash?.count ?? 0
  if (fields && values) reply.map(count)
  else reply.array(count)
  if (hash === null) return
  for (hash.rewind(); hash.next();) {
    if (fields) replyField(call, hash)
    if (values) replyValue(call, hash)
  }
}

function hincrby(call: Call): void {
  const { reply } = call
  const by = int64Argument(call, 3)
  if (by === undefined) return
  const found = writeCollection(call, 1, hashOfCall(call))
  if (found === undefined) return
  let before: number | bigint = 0
  if (found !== null && findField(call, found, 2)) {
    const { elements, valueStart, valueEnd } = found
    before = parseInteger(elements, valueStart, valueEnd)
    if (before !== before) {
      const exact = parseInt64(elements, valueStart, valueEnd)
      if (exact === undefined) return reply.error(HASH_VALUE_NOT_AN_INTEGER)
      before = exact
    }
  }
  const sum = typeof by === 'number' && typeof before === 'number' ? before + by : NaN
  if (Number.isSafeInteger(sum)) {
    setResult(call, found, scratch, writeInteger(scratch, 0, sum))
    reply.integer(sum)
  } else {
    const exact = BigInt(before) + BigInt(by)
    if (exact < INT64_MIN || exact > INT64_MAX) return reply.error(INCREMENT_OVERFLOW)
    setResult(call, found, scratch, scratch.write(String(exact), 0, 'latin1'))
    reply.int64(exact)
  }
  announce(call, HASH, 'hincrby', 1)
}

function hincrbyfloat(call: Call): void {
  const { request, reply } = call
  const by = parseLongDouble(request.bytes, request.start[3], request.end[3])
  if (by === undefined) return reply.error(VALUE_NOT_A_FLOAT)
  if (by.isInfinite) return reply.error(INCREMENT_IS_NOT_FINITE)
  const found = writeCollection(call, 1, hashOfCall(call))
  if (found === undefined) return
  let after = by
  if (found !== null && findField(call, found, 2)) {
    const before = parseLongDouble(found.elements, found.valueStart, found.valueEnd)
    if (before === undefined) return reply.error(HASH_VALUE_NOT_A_FLOAT)
    after = addLongDoubles(before, by)
  }
  if (after.isInfinite) return reply.error(INCREMENT_NOT_FINITE)
  const text = Buffer.from(formatLongDouble(after), 'latin1')
  setResult(call, found, text, text.length)
  reply.bulk(text)
  announce(call, HASH, 'hincrbyfloat', 1)
}

/** Sets argument 2, a field, to the first `length` bytes of `value`; what is logged is this result. */
function setResult(call: Call, found: Hash | null, value: Uint8Array, length: number): void {
  const { bytes, start, end } = call.request
  const hash = found === null ? startCollection(call, 1, hashOfCall(call)) : found.beginChange()
  hash.set(bytes, start[2], end[2], value, 0, length)
  hash.endChange()
  const journal = beginKeyRecord(call, 4, 'HSET')
  journal.bytes(bytes, start[1], end[1])
  journal.bytes(bytes, start[2], end[2])
  journal.bytes(value, 0, length)
}

function hrandfield(call: Call): void {
  const { request, reply, engine } = call
  const { random } = engine
  if (request.argc === 2) {
    const hash = readHash(call)
    if (hash === undefined) return
    if (hash === null) return reply.nil()
    hash.choose(() => random.float())
    return replyField(call, hash)
  }
  const sample = sampleOf(call, 'WITHVALUES')
  if (sample === undefined) return
  const { count, isFull } = sample
  const hash = readHash(call)
  if (hash === undefined) return
  if (hash === null || count === 0) return reply.array(0)

  // RESP3 has a pair for each field, RESP2 all in one list.
  const isPaired = isFull && reply.protocol === 3
  const one = (): void => {
    if (isPaired) reply.array(2)
    replyField(call, hash)
    if (isFull) replyValue(call, hash)
  }
  const wanted = count < 0 ? -count : Math.min(count, hash.count)
  if (isTooMany(call, wanted)) return
  reply.array(isFull && !isPaired ? wanted * 2 : wanted)
  if (count < 0 || wanted === 1) {
    for (let i = 0; i < wanted && !reply.isTooLong; i++) {
      hash.choose(() => random.float())
      one()
    }
  } else if (wanted === hash.count) for (hash.rewind(); hash.next();) one()
  else visitSome(hash, wanted, random, one)
}

const HSCAN: ElementScan<Hash> = {
  read: readHash,
  matches: (glob, hash) => glob.matches(hash.elements, hash.fieldStart, hash.fieldEnd),
  words: 2,
  tell(call, hash) {
    replyField(call, hash)
    replyValue(call, hash)
  },
}

export const hashCommands: readonly CommandSpec[] = [
  {
    name: 'HSET',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(N), N fields',
    summary: 'Sets fields of a hash; answers how many are new.',
    syntax: 'key field value [field value ...]',
    run: hset,
  },
  {
    name: 'HSETNX',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW insert')],
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'Sets a field of a hash if it does not exist.',
    syntax: 'key field value',
    run: hsetnx,
  },
  {
    name: 'HGET',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'The value of a field of a hash.',
    syntax: 'key field',
    run: hget,
  },
  {
    name: 'HMSET',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(N), N fields',
    summary: 'Sets fields of a hash; the older form of HSET.',
    syntax: 'key field value [field value ...]',
    run: hmset,
  },
  {
    name: 'HMGET',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(N), N fields',
    summary: 'The values of fields of a hash, nil for those that it has not.',
    syntax: 'key field [field ...]',
    run: hmget,
  },
  {
    name: 'HINCRBY',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'Adds an integer to a field of a hash; one that does not exist counts as 0.',
    syntax: 'key field increment',
    run: hincrby,
  },
  {
    name: 'HINCRBYFLOAT',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.6.0',
    complexity: 'O(1)',
    summary: 'Adds a number to a field of a hash, in the 80-bit arithmetic that Redis uses on x86.',
    syntax: 'key field increment:double',
    run: hincrbyfloat,
  },
  {
    name: 'HDEL',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(N), N fields',
    summary: 'Deletes fields of a hash; answers how many there were.',
    syntax: 'key field [field ...]',
    run: hdel,
  },
  {
    name: 'HLEN',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'How many fields a hash has.',
    syntax: 'key',
    run: hlen,
  },
  {
    name: 'HSTRLEN',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'hash', 'fast'],
    group: 'hash',
    since: '3.2.0',
    complexity: 'O(1)',
    summary: 'Bytes of the value of a field of a hash.',
    syntax: 'key field',
    run: hstrlen,
  },
  {
    name: 'HKEYS',
    arity: 2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'slow'],
    group: 'hash',
    since: '2.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N fields of the hash',
    summary: 'All fields of a hash.',
    syntax: 'key',
    run: (call) => all(call, true, false),
  },
  {
    name: 'HVALS',
    arity: 2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'slow'],
    group: 'hash',
    since: '2.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N fields of the hash',
    summary: 'All values of a hash.',
    syntax: 'key',
    run: (call) => all(call, false, true),
  },
  {
    name: 'HGETALL',
    arity: 2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'slow'],
    group: 'hash',
    since: '2.0.0',
    tips: 'nondeterministic_output_order',
    complexity: 'O(N), N fields of the hash',
    summary: 'All fields of a hash with their values.',
    syntax: 'key',
    run: (call) => all(call, true, true),
  },
  {
    name: 'HEXISTS',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'hash', 'fast'],
    group: 'hash',
    since: '2.0.0',
    complexity: 'O(1)',
    summary: 'Whether a hash has a field.',
    syntax: 'key field',
    run: hexists,
  },
  {
    name: 'HRANDFIELD',
    arity: -2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'slow'],
    group: 'hash',
    since: '6.2.0',
    tips: 'nondeterministic_output',
    complexity: 'O(N), N fields answered',
    summary: 'Some fields of a hash, by chance: different ones, or with a negative count also the same ones.',
    syntax: 'key [count [WITHVALUES]]',
    run: hrandfield,
  },
  {
    name: 'HSCAN',
    arity: -3,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'hash', 'slow'],
    group: 'hash',
    since: '2.8.0',
    tips: 'nondeterministic_output',
    complexity: 'O(1) a call, O(N) for all N fields',
    summary: 'Some of the fields with their values, and the cursor for the next ones; 0 is the end.',
    syntax: 'key cursor [MATCH pattern] [COUNT count]',
    run: (call) => scanElements(call, HSCAN),
  },
]
