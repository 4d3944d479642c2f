// Sorted sets: members with scores, one by one.

import type { SortedSet } from '../../../keyspace/collections/sorted-set.ts'
import { formatDouble, parseDouble } from '../../../keyspace/double.ts'
import { SYNTAX, VALUE_NOT_A_FLOAT } from '../../../resp/errors.ts'
import type { Request } from '../../../resp/request.ts'
import type { Call } from '../../call.ts'
import { writeScore } from '../../collections/sorted-set-records.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../../command.ts'
import { keyAt } from '../../key-specs.ts'
import { beginKeyRecord, recordChosen } from '../../key-records.ts'
import { ZSET, announce } from '../../notices.ts'
import { Chosen } from '../chosen.ts'
import { announceChange, startCollection, writeCollection } from '../key-access.ts'
import { isTooMany, sampleOf, visitSome } from '../samples.ts'
import { scanElements, type ElementScan } from '../element-scan.ts'
import { keptScore, lensOf, readSortedSet, replyElements, replyMember, replyScore } from './elements.ts'

const NX_AND_XX = 'ERR XX and NX options at the same time are not compatible'
const NX_GT_LT = 'ERR GT, LT, and/or NX options at the same time are not compatible'
const INCR_ONE_PAIR = 'ERR INCR option supports a single increment-element pair'
const SCORE_NOT_A_NUMBER = 'ERR resulting score is not a number (NaN)'

const COMPACT_INTEGER_MAX = 2 ** 62

// Options of ZADD, as bits.
const NX = 1
const XX = 2
const GT = 4
const LT = 8
const CH = 16
const INCR = 32

const chosen = new Chosen()
/** The scores of a command, at the indexes of their arguments. */
const scores: number[] = []

/** The option that argument i is; 0 if it is none. */
function optionAt(request: Request, i: number): number {
  const length = request.length(i)
  if (length === 4) return request.is(i, 'INCR') ? INCR : 0
  if (length !== 2) return 0
  if (request.is(i, 'NX')) return NX
  if (request.is(i, 'XX')) return XX
  if (request.is(i, 'GT')) return GT
  if (request.is(i, 'LT')) return LT
  return request.is(i, 'CH') ? CH : 0
}

/** Whether options let an element that has a score have another one. */
function mayChange(options: number, before: number, after: number): boolean {
  return !(options & NX) && !(options & LT && after >= before) && !(options & GT && after <= before)
}

/** Gives argument i, a member that was looked for, a score. @returns the score that it has then. */
function put(call: Call, set: SortedSet, i: number, isThere: boolean, score: number): number {
  const { bytes, start, end } = call.request
  const kept = keptScore(set, score, isThere ? -1 : end[i] - start[i])
  if (isThere) set.rescore(kept)
  else set.add(bytes, start[i], end[i], kept)
  return kept
}

/** ZADD and ZINCRBY, which is ZADD with INCR in all but its arity. */
function zadd(call: Call, given: number): void {
  const { request, reply } = call
  const { bytes, start, end, argc } = request
  let options = given
  let first = 2
  for (let option = -1; first < argc && option !== 0;) {
    option = optionAt(request, first)
    options |= option
    if (option !== 0) first++
  }
  if (first === argc || (argc - first) % 2 !== 0) return reply.error(SYNTAX)
  if (options & NX && options & XX) return reply.error(NX_AND_XX)
  if ((options & NX && options & (GT | LT)) || (options & GT && options & LT)) return reply.error(NX_GT_LT)
  if (options & INCR && argc - first > 2) return reply.error(INCR_ONE_PAIR)
  scores.length = 0
  for (let i = first; i < argc; i += 2) {
    scores[i] = parseDouble(bytes, start[i], end[i])
    if (Number.isNaN(scores[i])) return reply.error(VALUE_NOT_A_FLOAT)
  }
  const found = writeCollection(call, 1, lensOf(call))
  if (found === undefined) return
  if (options & INCR) return increment(call, found, first, options)
  if (found === null && options & XX) return reply.integer(0)

  const set = found === null ? startCollection(call, 1, lensOf(call)) : found.beginChange()
  let added = 0
  chosen.reset()
  for (let i = first; i < argc; i += 2) {
    const score = scores[i]
    const isThere = set.find(bytes, start[i + 1], end[i + 1])
    if (isThere ? score === set.score || !mayChange(options, set.score, score) : options & XX) continue
    if (!isThere) added++
    scores[i] = put(call, set, i + 1, isThere, score)
    chosen.add(i)
  }
  set.endChange()
  if (chosen.length > 0) recordScores(call)
  reply.integer(options & CH ? chosen.length : added)
  // Behind the reply, for who does both: changes and listens.
  if (chosen.length > 0) announce(call, ZSET, 'zadd', 1)
}

/** `ZADD key score member ...`: those chosen, with the scores that they have got. */
function recordScores(call: Call): void {
  const { bytes, start, end } = call.request
  const journal = beginKeyRecord(call, 2 + 2 * chosen.length, 'ZADD')
  journal.bytes(bytes, start[1], end[1])
  for (let n = 0; n < chosen.length; n++) {
    const i = chosen.numbers[n]
    writeScore(journal, scores[i])
    journal.bytes(bytes, start[i + 1], end[i + 1])
  }
}

/** Argument i is by how much, the one behind it the member. */
function increment(call: Call, found: SortedSet | null, i: number, options: number): void {
  const { request, reply } = call
  const { bytes, start, end } = request
  const isThere = found !== null && found.find(bytes, start[i + 1], end[i + 1])
  let score = scores[i]
  if (isThere) {
    if (options & NX) return reply.nil()
    const before = found.score
    score += before
    if (Number.isNaN(score)) return reply.error(SCORE_NOT_A_NUMBER)
    if (!mayChange(options, before, score)) return reply.nil()
    if (score === before) return replyScore(call, score)
  } else if (options & XX) return reply.nil()

  const set = found === null ? startCollection(call, 1, lensOf(call)) : found.beginChange()
  scores[i] = put(call, set, i + 1, isThere, score)
  set.endChange()
  chosen.reset()
  chosen.add(i)
  recordScores(call)
  replyScore(call, score)
  announce(call, ZSET, 'zincr', 1)
}

function zrem(call: Call): void {
  const { bytes, start, end, argc } = call.request
  const set = writeCollection(call, 1, lensOf(call))
  if (set === undefined) return
  if (set === null) return call.reply.integer(0)
  chosen.reset()
  set.beginChange()
  for (let i = 2; i < argc; i++) if (set.remove(bytes, start[i], end[i])) chosen.add(i)
  set.endChange()
  if (chosen.length > 0) {
    recordChosen(call, 'ZREM', chosen)
    announceChange(call, ZSET, 'zrem', set)
  }
  call.reply.integer(chosen.length)
}

function zcard(call: Call): void {
  const set = readSortedSet(call)
  if (set !== undefined) call.reply.integer(set?.count ?? 0)
}

function replyScoreOf(call: Call, set: SortedSet | null, i: number): void {
  const { bytes, start, end } = call.request
  if (set !== null && set.find(bytes, start[i], end[i])) replyScore(call, set.score)
  else call.reply.nil()
}

function zscore(call: Call): void {
  const set = readSortedSet(call)
  if (set !== undefined) replyScoreOf(call, set, 2)
}

function zmscore(call: Call): void {
  const { argc } = call.request
  const set = readSortedSet(call)
  if (set === undefined) return
  call.reply.array(argc - 2)
  for (let i = 2; i < argc; i++) replyScoreOf(call, set, i)
}

function rank(call: Call, isReversed: boolean): void {
  const { request, reply } = call
  const set = readSortedSet(call)
  if (set === undefined) return
  if (set === null || !set.find(request.bytes, request.start[2], request.end[2])) return reply.nil()
  reply.integer(isReversed ? set.count - 1 - set.rank() : set.rank())
}

function zrandmember(call: Call): void {
  const { request, reply, engine } = call
  const { random } = engine
  if (request.argc === 2) {
    const set = readSortedSet(call)
    if (set === undefined) return
    if (set === null) return reply.nil()
    set.choose(() => random.float())
    return replyMember(call, set)
  }
  const sample = sampleOf(call, 'WITHSCORES')
  if (sample === undefined) return
  const { count, isFull } = sample
  const set = readSortedSet(call)
  if (set === undefined) return
  if (set === null || count === 0) return reply.array(0)

  const wanted = count < 0 ? -count : Math.min(count, set.count)
  if (isTooMany(call, wanted)) return
  // All of them come in their order, the last one first, as Redis goes through them.
  if (count > 0 && wanted === set.count) return replyElements(call, set, { from: 0, to: wanted }, true, isFull)
  const isPaired = isFull && reply.protocol === 3
  const one = (): void => {
    if (isPaired) reply.array(2)
    replyMember(call, set)
    if (isFull) replyScore(call, set.score)
  }
  reply.array(isFull && !isPaired ? wanted * 2 : wanted)
  if (count < 0 || wanted === 1) {
    for (let i = 0; i < wanted && !reply.isTooLong; i++) {
      set.choose(() => random.float())
      one()
    }
  } else visitSome(set, wanted, random, one)
}

/** As ZSCAN tells a score: integers that Redis's compact form keeps as such come with all their digits. */
function scannedScore({ score, hasGrown }: SortedSet): string {
  return !hasGrown && Number.isInteger(score) && Math.abs(score) <= COMPACT_INTEGER_MAX ? String(BigInt(score)) : formatDouble(score)
}

const ZSCAN: ElementScan<SortedSet> = {
  read: readSortedSet,
  matches: (glob, set) => glob.matches(set.elements, set.memberStart, set.memberEnd),
  words: 2,
  tell(call, set) {
    replyMember(call, set)
    // A bulk string in RESP3, too.
    call.reply.latin1(scannedScore(set))
  },
}

export const sortedSetMemberCommands: readonly CommandSpec[] = [
  {
    name: 'ZADD',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW update')],
    categories: ['write', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(M * log N), M members, N elements of the set',
    summary: 'Gives members of a sorted set their scores; answers how many are new.',
    syntax: 'key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]',
    run: (call) => zadd(call, 0),
  },
  {
    name: 'ZINCRBY',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(log N), N elements of the set',
    summary: 'Adds to the score of a member; one that is not there has 0.',
    syntax: 'key increment member',
    run: (call) => zadd(call, INCR),
  },
  {
    name: 'ZREM',
    arity: -3,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RW delete')],
    categories: ['write', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(M * log N), M members, N elements of the set',
    summary: 'Removes members from a sorted set; answers how many there were.',
    syntax: 'key member [member ...]',
    run: zrem,
  },
  {
    name: 'ZCARD',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    keySpecs: [keyAt(1, 'RO')],
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(1)',
    summary: 'How many elements a sorted set has.',
    syntax: 'key',
    run: zcard,
  },
  {
    name: 'ZSCORE',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '1.2.0',
    complexity: 'O(1)',
    summary: 'The score of a member, nil if there is none.',
    syntax: 'key member',
    run: zscore,
  },
  {
    name: 'ZMSCORE',
    arity: -3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '6.2.0',
    complexity: 'O(N), N members',
    summary: 'The scores of members, nil for those that are not there.',
    syntax: 'key member [member ...]',
    run: zmscore,
  },
  {
    name: 'ZRANK',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(log N), N elements of the set',
    summary: 'How many elements come before a member.',
    syntax: 'key member',
    run: (call) => rank(call, false),
  },
  {
    name: 'ZREVRANK',
    arity: 3,
    flags: ['readonly', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'fast'],
    group: 'sorted-set',
    since: '2.0.0',
    complexity: 'O(log N), N elements of the set',
    summary: 'How many elements come behind a member.',
    syntax: 'key member',
    run: (call) => rank(call, true),
  },
  {
    name: 'ZRANDMEMBER',
    arity: -2,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '6.2.0',
    tips: 'nondeterministic_output',
    complexity: 'O(N), N elements answered',
    summary: 'Some members of a sorted set, by chance: different ones, or with a negative count also the same ones.',
    syntax: 'key [count [WITHSCORES]]',
    run: zrandmember,
  },
  {
    name: 'ZSCAN',
    arity: -3,
    flags: ['readonly'],
    keys: FIRST_ARGUMENT,
    categories: ['read', 'sortedset', 'slow'],
    group: 'sorted-set',
    since: '2.8.0',
    tips: 'nondeterministic_output',
    complexity: 'O(1) a call, O(N) for all N elements',
    summary: 'Some of the elements, and the cursor for the next ones; 0 is the end.',
    syntax: 'key cursor [MATCH pattern] [COUNT count]',
    run: (call) => scanElements(call, ZSCAN),
  },
]
