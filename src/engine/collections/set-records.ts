// The records of sets:   SADD key member ...   SREM key member ...

import type { Members } from '../../keyspace/collections/set.ts'
import { contradiction, expectArguments } from '../contradiction.ts'
import { type ElementRecords, ELEMENTS_PER_PIECE, openForReplay } from './element-records.ts'

export const setRecords: ElementRecords<Members> = {
  lens: ({ set }) => set,

  replay: {
    SADD(set, database, record) {
      expectArguments(record, 3)
      const { bytes, start, end } = record
      openForReplay(set, database, record, true)
      for (let i = 2; i < record.argc; i++) {
        if (!set.add(bytes, start[i], end[i])) throw contradiction(record, 'the member is there already')
      }
      set.endChange()
    },

    SREM(set, database, record) {
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
      const journal = pieces.begin('SADD', n)
      for (let i = 0; i < n; i++) {
        set.next()
        journal.bytes(set.elements, set.memberStart, set.memberEnd)
      }
      yield
    }
  },
}
