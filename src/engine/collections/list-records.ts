// The records of lists:
//
//   LPUSH key element ...   RPUSH key element ...   LPOP key n   RPOP key n   LSET key index element   LINSERT key BEFORE|AFTER pivot element
//   LREM key n element      LTRIM key first last    LMOVE key key LEFT|RIGHT LEFT|RIGHT
//
// Numbers are those of what happened: of LREM how many went, counted from the head or (negative) from the tail; indexes from the head, never
// negative.

import { parseInteger } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import type { List } from '../../keyspace/collections/list.ts'
import type { Request } from '../../resp/request.ts'
import { contradiction, expectArguments } from '../contradiction.ts'
import { type ElementRecords, ELEMENTS_PER_PIECE, openForReplay } from './element-records.ts'

/** Argument i, which must be a number from `least` to `most`. */
function number(record: Request, i: number, least: number, most: number): number {
  const n = parseInteger(record.bytes, record.start[i], record.end[i])
  if (!(n >= least && n <= most)) throw contradiction(record, `${record.latin1(i).slice(0, 32)} is not from ${least} to ${most}`)
  return n
}

function oneOf(record: Request, i: number, first: string, second: string): boolean {
  if (record.is(i, first)) return true
  if (!record.is(i, second)) throw contradiction(record, `neither ${first} nor ${second}`)
  return false
}

function push(isHead: boolean, list: List, database: Database, record: Request): void {
  expectArguments(record, 3)
  const { bytes, start, end } = record
  openForReplay(list, database, record, true)
  for (let i = 2; i < record.argc; i++) list.push(isHead, bytes, start[i], end[i])
  list.endChange()
}

function pop(isHead: boolean, list: List, database: Database, record: Request): void {
  expectArguments(record, 3, 3)
  openForReplay(list, database, record, false)
  const n = number(record, 2, 1, list.count)
  if (isHead) list.removeFirst(n)
  else list.removeLast(n)
  list.endChange()
}

export const listRecords: ElementRecords<List> = {
  lens: ({ list }) => list,

  replay: {
    LPUSH: (list, database, record) => push(true, list, database, record),
    RPUSH: (list, database, record) => push(false, list, database, record),
    LPOP: (list, database, record) => pop(true, list, database, record),
    RPOP: (list, database, record) => pop(false, list, database, record),

    LSET(list, database, record) {
      expectArguments(record, 4, 4)
      openForReplay(list, database, record, false)
      list.seek(number(record, 2, 0, list.count - 1))
      list.replaceHere(record.bytes, record.start[3], record.end[3])
      list.endChange()
    },

    LINSERT(list, database, record) {
      expectArguments(record, 5, 5)
      const { bytes, start, end } = record
      const isBefore = oneOf(record, 2, 'BEFORE', 'AFTER')
      openForReplay(list, database, record, false)
      list.seek(0)
      while (!list.isHere(bytes, start[3], end[3])) if (!list.next()) throw contradiction(record, 'no such element')
      list.insertHere(isBefore, bytes, start[4], end[4])
      list.endChange()
    },

    LREM(list, database, record) {
      expectArguments(record, 4, 4)
      openForReplay(list, database, record, false)
      const n = number(record, 2, -list.count, list.count)
      const wanted = Math.abs(n)
      if (wanted === 0 || list.removeEqual(record.bytes, record.start[3], record.end[3], wanted, n < 0) !== wanted) {
        throw contradiction(record, 'not so many elements')
      }
      list.endChange()
    },

    LTRIM(list, database, record) {
      expectArguments(record, 4, 4)
      openForReplay(list, database, record, false)
      const last = number(record, 3, 0, list.count - 1)
      const first = number(record, 2, 0, last)
      list.removeLast(list.count - 1 - last)
      list.removeFirst(first)
      list.endChange()
    },

    LMOVE(list, database, record) {
      expectArguments(record, 5, 5)
      const fromHead = oneOf(record, 3, 'LEFT', 'RIGHT')
      const toHead = oneOf(record, 4, 'LEFT', 'RIGHT')
      openForReplay(list, database, record, false)
      if (record.copy(1).equals(record.copy(2))) list.rotate(fromHead, toHead)
      else {
        list.take(fromHead)
        list.endChange()
        openForReplay(list, database, record, true, 2)
        list.push(toHead, list.taken, 0, list.takenLength)
      }
      list.endChange()
    },
  },

  *snapshot(list, pieces) {
    let left = list.count
    list.seek(0)
    for (; left > 0; left -= ELEMENTS_PER_PIECE) {
      const n = Math.min(left, ELEMENTS_PER_PIECE)
      const journal = pieces.begin('RPUSH', n)
      for (let i = 0; i < n; i++) {
        journal.bytes(list.elements, list.elementStart, list.elementEnd)
        list.next()
      }
      yield
    }
  },
}
