// The records of hashes:   HSET key field value ...   HDEL key field ...

import type { Hash } from '../../keyspace/collections/hash.ts'
import { contradiction, expectArguments } from '../contradiction.ts'
import { type ElementRecords, ELEMENTS_PER_PIECE, openForReplay } from './element-records.ts'

export const hashRecords: ElementRecords<Hash> = {
  lens: ({ hash }) => hash,

  replay: {
    HSET(hash, database, record) {
      expectArguments(record, 4)
      if (record.argc % 2 !== 0) throw contradiction(record, 'a field without a value')
      const { bytes, start, end } = record
      openForReplay(hash, database, record, true)
      for (let i = 2; i < record.argc; i += 2) hash.set(bytes, start[i], end[i], bytes, start[i + 1], end[i + 1])
      hash.endChange()
    },

    HDEL(hash, database, record) {
      expectArguments(record, 3)
      const { bytes, start, end } = record
      openForReplay(hash, database, record, false)
      for (let i = 2; i < record.argc; i++) {
        if (!hash.remove(bytes, start[i], end[i])) throw contradiction(record, 'no such field')
      }
      hash.endChange()
    },
  },

  *snapshot(hash, pieces) {
    let left = hash.count
    for (hash.rewind(); left > 0; left -= ELEMENTS_PER_PIECE) {
      const n = Math.min(left, ELEMENTS_PER_PIECE)
      const journal = pieces.begin('HSET', 2 * n)
      for (let i = 0; i < n; i++) {
        hash.next()
        journal.bytes(hash.elements, hash.fieldStart, hash.fieldEnd)
        journal.bytes(hash.elements, hash.valueStart, hash.valueEnd)
      }
      yield
    }
  },
}
