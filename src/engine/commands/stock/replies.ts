// Answers of the ledger as bytes: `[status, when, available, reserved, detail]` for RESERVE, `[status, when, detail]` for the other
// commands about orders, `[status, total, available, detail]` for ADJUST. The same in RESP2 and RESP3. Misuse and infrastructure are
// error replies.

import { OUT_OF_MEMORY, WRONG_TYPE } from '../../../resp/errors.ts'
import { Status, STATUS_WORDS } from '../../../stock/state.ts'
import type { Call } from '../../call.ts'

/** `*n` and the status word, ready made: a refusal is the most frequent reply of all. */
const heads = (n: number): readonly Buffer[] => STATUS_WORDS.map((word) => Buffer.from(`*${n}\r\n+${word}\r\n`, 'latin1'))
const HEADS_OF_3 = heads(3)
const HEADS_OF_4 = heads(4)
const HEADS_OF_5 = heads(5)

export function replyReserve(call: Call, status: Status): void {
  if (status > Status.MISMATCH) return refuse(call, status)
  const { reply, engine } = call
  const { outcome } = engine.ledger
  reply.raw(HEADS_OF_5[status])
  reply.integer(outcome.when)
  reply.integer(outcome.available)
  reply.integer(outcome.reserved)
  reply.bulk(outcome.detail, outcome.detailStart, outcome.detailEnd)
}

export function replyOrder(call: Call, status: Status): void {
  if (status > Status.MISMATCH) return refuse(call, status)
  const { reply, engine } = call
  const { outcome } = engine.ledger
  reply.raw(HEADS_OF_3[status])
  reply.integer(outcome.when)
  reply.bulk(outcome.detail, outcome.detailStart, outcome.detailEnd)
}

export function replyAdjust(call: Call, status: Status, numbers: { readonly total: number; readonly available: number }): void {
  if (status > Status.MISMATCH) return refuse(call, status)
  const { reply, engine } = call
  const { outcome } = engine.ledger
  reply.raw(HEADS_OF_4[status])
  reply.integer(numbers.total)
  reply.integer(numbers.available)
  reply.bulk(outcome.detail, outcome.detailStart, outcome.detailEnd)
}

/** The error of a status that is no value. */
export function refuse(call: Call, status: Status): void {
  call.reply.error(errorOf(call, status))
}

function errorOf(call: Call, status: Status): string {
  const { detail, detailStart, detailEnd } = call.engine.ledger.outcome
  switch (status) {
    case Status.NO_SKU:
      return noSuchSku(detail, detailStart, detailEnd)
    case Status.WRONG_TYPE:
      return WRONG_TYPE
    case Status.CONFLICT:
      return 'ORDERCONFLICT order id was used with other items'
    case Status.OPERATION_CONFLICT:
      return 'ORDERCONFLICT operation id was used with other items'
    case Status.ADJUSTMENT_CONFLICT:
      return 'ORDERCONFLICT adjustment id was used with another delta'
    case Status.QUANTITY:
      return 'QTY more units than the order has, or a SKU that is not in it'
    case Status.NO_BUYER:
      return 'ERR order id needs a {buyer} tag'
    case Status.OUT_OF_MEMORY:
      return OUT_OF_MEMORY
    case Status.BACKLOG:
      return 'BACKLOG too many events wait to be stored; nothing was reserved'
    case Status.TOO_MANY_REFS:
      return 'ERR too many payments without effect for this order'
    case Status.TOTAL_TOO_LARGE:
      return `ERR the total would be above ${Number.MAX_SAFE_INTEGER}`
    case Status.IN_USE:
      return 'INUSE units are reserved; FORCE releases them'
    case Status.TOO_MANY_CHANGES:
      return 'ERR the order has changed too often; it can only be finished'
    case Status.FROZEN:
      return auditFailed(detail, detailStart, detailEnd)
    default:
      throw new Error(`status ${status} is no error`)
  }
}

export function noSuchSku(bytes: Uint8Array, start: number, end: number): string {
  return `NOSKU no such SKU '${latin1(bytes, start, end)}'`
}

function auditFailed(bytes: Uint8Array, start: number, end: number): string {
  return `MISCONF audit failed for SKU '${latin1(bytes, start, end)}': its numbers are not what its orders say; it takes no new orders. See STOCK.AUDIT`
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i])
  return text
}
