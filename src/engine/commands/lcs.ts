// LCS: the longest common subsequence of two strings, or where it lies in them.
//
// The whole table of lengths is kept to walk back through it, four bytes a cell, so two strings of 10 kB cost 400 MB for a moment; more than
// one value may have is refused, as in Redis. Everybody waits for O(N*M).

import { copyBytes } from '../../base/bytes.ts'
import { STRING_BYTES_MAX } from '../../base/limits.ts'
import { KIND_STRING } from '../../keyspace/row.ts'
import type { Database } from '../../keyspace/database.ts'
import { SYNTAX } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import type { CommandSpec } from '../command.ts'
import { int64Argument } from './instants.ts'
import { databaseOf, readKey } from './key-access.ts'

const NOT_STRINGS = 'ERR The specified keys must contain string values'
const BOTH_FORMS = 'ERR If you want both the length and indexes, please just use IDX.'
const TOO_MUCH_MEMORY = 'ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len'

/** A stretch that both strings have: a[start..end] and b[start..end], ends included. */
interface Match {
  readonly aStart: number
  readonly aEnd: number
  readonly bStart: number
  readonly bEnd: number
}

/** lengths[i * (b.length + 1) + j]: how much the first i bytes of a and the first j of b have in common. */
function lengthTable(a: Uint8Array, b: Uint8Array): Uint32Array {
  const width = b.length + 1
  const lengths = new Uint32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++) {
    const byte = a[i - 1]
    for (let j = 1, at = i * width + 1; j <= b.length; j++, at++) {
      lengths[at] = byte === b[j - 1] ? lengths[at - width - 1] + 1 : Math.max(lengths[at - width], lengths[at - 1])
    }
  }
  return lengths
}

/** The stretches in common, from the last to the first. */
function matchesOf(a: Uint8Array, b: Uint8Array, lengths: Uint32Array): Match[] {
  const width = b.length + 1
  const matches: Match[] = []
  let i = a.length
  let j = b.length
  while (i > 0 && j > 0) {
    if (a[i - 1] !== b[j - 1]) {
      if (lengths[(i - 1) * width + j] > lengths[i * width + j - 1]) i--
      else j--
      continue
    }
    const aEnd = i - 1
    const bEnd = j - 1
    do {
      i--
      j--
    } while (i > 0 && j > 0 && a[i - 1] === b[j - 1])
    matches.push({ aStart: i, aEnd, bStart: j, bEnd })
  }
  return matches
}

/** A copy of the string of a row; empty if there is none. */
function valueOf(database: Database, ref: number): Buffer {
  if (ref === 0) return Buffer.alloc(0)
  database.open(ref)
  const value = Buffer.allocUnsafe(database.valueEnd - database.valueStart)
  copyBytes(database.bytes, database.valueStart, database.valueEnd, value, 0)
  return value
}

function lcs(call: Call): void {
  const { request, reply } = call
  const database = databaseOf(call)
  const refA = readKey(call, database, 1)
  const refB = readKey(call, database, 2)
  const isText = (ref: number): boolean => ref === 0 || database.kind(ref) === KIND_STRING
  if (!isText(refA) || !isText(refB)) return reply.error(NOT_STRINGS)
  let wantsMatches = false
  let wantsLength = false
  let withLengths = false
  let least: number | bigint = 0
  for (let i = 3; i < request.argc; i++) {
    if (request.is(i, 'IDX')) wantsMatches = true
    else if (request.is(i, 'LEN')) wantsLength = true
    else if (request.is(i, 'WITHMATCHLEN')) withLengths = true
    else if (request.is(i, 'MINMATCHLEN') && i + 1 < request.argc) {
      const n = int64Argument(call, ++i)
      if (n === undefined) return
      least = n
    } else return reply.error(SYNTAX)
  }
  if (wantsMatches && wantsLength) return reply.error(BOTH_FORMS)
  const lengthA = refA === 0 ? 0 : database.valueLength(refA)
  const lengthB = refB === 0 ? 0 : database.valueLength(refB)
  if ((lengthA + 1) * (lengthB + 1) * 4 > STRING_BYTES_MAX) return reply.error(TOO_MUCH_MEMORY)

  const a = valueOf(database, refA)
  const b = valueOf(database, refB)
  const lengths = lengthTable(a, b)
  const length = lengths[lengths.length - 1]
  if (wantsLength) return reply.integer(length)
  const matches = matchesOf(a, b, lengths)
  if (!wantsMatches) return reply.bulk(Buffer.concat(matches.toReversed().map((match) => a.subarray(match.aStart, match.aEnd + 1))))
  const long = matches.filter((match) => match.aEnd - match.aStart + 1 >= least)
  reply.map(2)
  reply.text('matches')
  reply.array(long.length)
  for (const match of long) {
    reply.array(withLengths ? 3 : 2)
    reply.array(2)
    reply.integer(match.aStart)
    reply.integer(match.aEnd)
    reply.array(2)
    reply.integer(match.bStart)
    reply.integer(match.bEnd)
    if (withLengths) reply.integer(match.aEnd - match.aStart + 1)
  }
  reply.text('len')
  reply.integer(length)
}

export const lcsCommand: CommandSpec = {
  name: 'LCS',
  arity: -3,
  flags: ['readonly'],
  keys: { first: 1, last: 2, step: 1 },
  categories: ['read', 'string', 'slow'],
  group: 'string',
  since: '7.0.0',
  complexity: 'O(N*M), N and M bytes',
  summary: 'The longest common subsequence of two strings.',
  syntax: 'key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]',
  run: lcs,
}
