// Every order that the node keeps, a page at a time, for who compares it with a database. No order of the pages is promised; an order
// that is there all the time comes exactly once. A tombstone is no order.

import { parseInteger } from '../../../base/decimal.ts'
import { INVALID_CURSOR, SYNTAX, VALUE_NOT_AN_INTEGER } from '../../../resp/errors.ts'
import { TOMBSTONE_FLAG } from '../../../stock/order-rows.ts'
import { ORDER_STATES } from '../../../stock/state.ts'
import type { Call } from '../../call.ts'
import { parseCursor } from '../scan.ts'
import { isStockDatabase } from './arguments.ts'

const COUNT_DEFAULT = 10
/** About a millisecond of work. */
const COUNT_MAX = 10_000

/** `[cursor, [id, state, version, ...]]`; the cursor is argument `at`, options follow. */
export function scanOrders(call: Call, at: number): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  const cursor = parseCursor(request, at)
  if (cursor === -1) return reply.error(INVALID_CURSOR)
  let count = COUNT_DEFAULT
  if (request.argc > at + 1) {
    if (request.argc !== at + 3 || !request.is(at + 1, 'COUNT')) return reply.error(SYNTAX)
    const given = parseInteger(request.bytes, request.start[at + 2], request.end[at + 2])
    if (given !== given) return reply.error(VALUE_NOT_AN_INTEGER)
    if (given < 1) return reply.error(SYNTAX)
    count = Math.min(given, COUNT_MAX)
  }
  const { rows } = engine.ledger.state
  const found: number[] = []
  const next = rows.table.scan(cursor, count, (row) => {
    if (!rows.has(row, TOMBSTONE_FLAG)) found.push(row)
  })
  reply.array(2)
  reply.integerBulk(next)
  reply.array(found.length * 3)
  for (const row of found) {
    reply.bulk(rows.bytes(row), rows.idStart(row), rows.idStart(row) + rows.idLength(row))
    reply.latin1(ORDER_STATES[rows.state(row)])
    reply.integer(rows.version(row))
  }
}
