// What all commands of sorted sets share: how elements and scores are answered, recorded and stored.

import { SortedSet, type RankRange } from '../../../keyspace/collections/sorted-set.ts'
import { formatDouble } from '../../../keyspace/double.ts'
import type { Call } from '../../call.ts'
import { sortedSetRecords } from '../../collections/sorted-set-records.ts'
import { beginKeyRecord, moveKey, recordArguments } from '../../key-records.ts'
import { GENERIC, NEW, ZSET, announce } from '../../notices.ts'
import { databaseOf, findKey, hashOf, readCollection } from '../key-access.ts'

export const lensOf = (call: Call): SortedSet => call.engine.keyspace.collections.sortedSet

/** The sorted set of argument 1, as readCollection. */
export function readSortedSet(call: Call): SortedSet | null | undefined {
  return readCollection(call, 1, lensOf(call))
}

export function replyMember({ reply }: Call, set: SortedSet): void {
  reply.bulk(set.elements, set.memberStart, set.memberEnd)
}

export function replyScore({ reply }: Call, score: number): void {
  // Most scores are plain numbers, and most clients speak RESP2.
  if (reply.protocol === 2 && Number.isSafeInteger(score) && !Object.is(score, -0)) reply.integerBulk(score)
  else reply.double(formatDouble(score))
}

/** Elements of the order; with their scores as pairs in RESP3, all in one list in RESP2. */
export function replyElements(call: Call, set: SortedSet, range: RankRange, isReversed: boolean, hasScores: boolean): void {
  const { reply } = call
  const count = Math.max(0, range.to - range.from)
  const isPaired = hasScores && reply.protocol === 3
  reply.array(hasScores && !isPaired ? count * 2 : count)
  set.visit(range, isReversed, () => {
    if (isPaired) reply.array(2)
    replyMember(call, set)
    if (hasScores) replyScore(call, set.score)
  })
}

/** Removes elements from..to of the order of the set of argument `key`, which is `event`, with the record; its change has not begun. */
export function removeElements(call: Call, set: SortedSet, range: RankRange, event: string, key = 1): void {
  const count = range.to - range.from
  if (count <= 0) return
  announce(call, ZSET, event, key)
  if (count === set.count) {
    set.database.remove(set.ref, set.keyHash)
    recordArguments(call, 'DEL', key, key)
    return announce(call, GENERIC, 'del', key)
  }
  const { bytes, start, end } = call.request
  const journal = beginKeyRecord(call, count + 2, 'ZREM')
  journal.bytes(bytes, start[key], end[key])
  set.visit(range, false, () => journal.bytes(set.elements, set.memberStart, set.memberEnd))
  set.beginChange()
  set.removeRange(range)
  set.endChange()
}

/** The score that a member of so many bytes (-1: one that is there) has once it is given this one: Redis's compact form knows no -0. */
export function keptScore(set: SortedSet, score: number, memberBytes: number): number {
  return score === 0 && (memberBytes === -1 ? !set.hasGrown : set.staysCompact(memberBytes)) ? 0 : score
}

/** A sorted set of no key yet, where a result is gathered; `endChange` ends that. It may have the members of any other. */
export function beginResult(call: Call): SortedSet {
  const { scratch, collections } = call.engine.keyspace
  const { bytes, start, end } = call.request
  const result = new SortedSet(collections)
  return result.create(scratch, scratch.hash(bytes, start[1], end[1]), bytes, start[1], end[1])
}

/** A result that Redis would keep in its compact form loses its -0s. */
function plainZeros(result: SortedSet): void {
  if (result.hasGrown) return
  const from = result.countBelow(0, false)
  const zeros = result.countBelow(0, true) - from
  if (zeros === 0) return
  result.beginChange()
  for (let i = 0; i < zeros; i++) {
    result.seek(from + i)
    result.next()
    result.rescore(0)
  }
  result.endChange()
}

/** Argument 1 becomes the result, whatever it was before, which is `event`; the reply is how many elements it has. */
export function storeResult(call: Call, result: SortedSet, event: string): void {
  const { request, reply } = call
  const database = databaseOf(call)
  const hash = hashOf(call, database, 1)
  const old = findKey(call, database, 1, hash)
  if (old !== 0) {
    database.remove(old, hash)
    recordArguments(call, 'DEL', 1, 1)
  }
  if (result.count > 0) {
    plainZeros(result)
    const ref = moveKey({ source: result.database, ref: result.ref, target: database, request, key: 1 }, result.keyHash)
    result.open(database, ref)
    const begin = (name: string, args: number) => {
      const journal = beginKeyRecord(call, args + 2, name)
      journal.bytes(request.bytes, request.start[1], request.end[1])
      return journal
    }
    const pieces = sortedSetRecords.snapshot(result, { begin })
    while (pieces.next().done !== true);
    if (old === 0) announce(call, NEW, 'new', 1)
  }
  reply.integer(result.count)
  if (result.count > 0) announce(call, ZSET, event, 1)
  else if (old !== 0) announce(call, GENERIC, 'del', 1)
}
