// The records of sorted sets:   ZADD key score member ...   ZREM key member ...
//
// Scores are those after the change, never increments.

import type { SortedSet } from '../../keyspace/collections/sorted-set.ts'
import { exactDouble, parseDouble } from '../../keyspace/double.ts'
import { contradiction, expectArguments } from '../contradiction.ts'
import type { Journal } from '../journal.ts'
import { type ElementRecords, ELEMENTS_PER_PIECE, openForReplay } from './element-records.ts'

/** One argument: a score. */
export function writeScore(journal: Journal, score: number): void {
  if (Number.isSafeInteger(score) && !Object.is(score, -0)) journal.integer(score)
  else journal.text(exactDouble(score))
}

export const sortedSetRecords: ElementRecords<SortedSet> = {
  lens: ({ sortedSet }) => sortedSet,

  replay: {
    ZADD(set, database, record) {
      expectArguments(record, 4)
      if (record.argc % 2 !== 0) throw contradiction(record, 'a score without a member')
      const { bytes, start, end } = record
      const scores = new Float64Array(record.argc)
      for (let i = 2; i < record.argc; i += 2) {
        scores[i] = parseDouble(bytes, start[i], end[i])
        if (Number.isNaN(scores[i])) throw contradiction(record, 'a score that is no number')
      }
      openForReplay(set, database, record, true)
      for (let i = 2; i < record.argc; i += 2) set.set(bytes, start[i + 1], end[i + 1], scores[i])
      set.endChange()
    },

    ZREM(set, database, record) {
      expectArguments(record, 3)
      const { bytes, start, end } = record
      openForReplay(set, database, record, false)
      for (let i = 2; i < record.argc; i++) {
        if (!set.remove(bytes, start[i], end[i])) throw contradiction(record, 'no such member')
      }
      set.endChange()
    },
  },

  *snapshot(set, pieces) {
    let left = set.count
    for (set.rewind(); left > 0; left -= ELEMENTS_PER_PIECE) {
      const n = Math.min(left, ELEMENTS_PER_PIECE)
      const journal = pieces.begin('ZADD', 2 * n)
      for (let i = 0; i < n; i++) {
        set.next()
        writeScore(journal, set.score)
        journal.bytes(set.elements, set.memberStart, set.memberEnd)
      }
      yield
    }
  },
}
