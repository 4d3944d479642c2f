// Arguments of the STOCK commands, from bytes to checked numbers and offsets. Each function answers the client itself if an argument is
// wrong, and says so by its result: the command then just returns.
//
// Options come first, in any order, each at most once; ITEMS comes last and goes to the end.

import { parseInteger } from '../../../base/decimal.ts'
import { invalidExpireTime, SYNTAX, VALUE_NOT_AN_INTEGER } from '../../../resp/errors.ts'
import { MADE_ID_BYTES } from '../../../stock/order-ids.ts'
import {
  ITEMS_MAX,
  ORDER_ID_BYTES_MAX,
  type OrderRequest,
  QUANTITY_MAX,
  REF_BYTES_MAX,
  SKU_BYTES_MAX,
  type Slice,
} from '../../../stock/order-request.ts'
import type { Request } from '../../../resp/request.ts'
import type { Call } from '../../call.ts'
import { type FoundKeys, TOUCHED } from '../../key-specs.ts'

/** Names of operations and adjustments are the callers' own; this is room for a URL. */
const OPERATION_ID_BYTES_MAX = 256
const REASON_BYTES_MAX = 32
/** Above every MAXHOLD (10^8 s), so that milliseconds stay exact. */
const DURATION_SECONDS_MAX = 1e9

/** Options that a command has met, as bits: each may come once. */
export const Option = { EXPIRE: 1, PAID: 2, REF: 4, LATE: 8, REASON: 16, ID: 32, NORESTOCK: 64 } as const

/** True in database 0, where stock lives; else the client has its error. */
export function isStockDatabase(call: Call): boolean {
  if (call.client.database === 0) return true
  call.reply.error('ERR STOCK commands need database 0')
  return false
}

/**
 * Argument 1 as the order id of a new request, in `ledger.request`; null if it cannot be one.
 * @param mayBeMade RESERVE: `{buyer}*` lets the server make the rest.
 */
export function orderRequest(call: Call, mayBeMade: boolean): OrderRequest | null {
  if (!isStockDatabase(call)) return null
  const { request: args, engine } = call
  const request = engine.ledger.request
  const start = args.start[1]
  const end = args.end[1]
  const length = end - start
  if (length === 0 || length > ORDER_ID_BYTES_MAX) {
    call.reply.error(`ERR order id must be 1 to ${ORDER_ID_BYTES_MAX} bytes`)
    return null
  }
  request.reset()
  request.setId(args.bytes, start, end)
  if (mayBeMade && request.isMade) {
    if (length - 1 + MADE_ID_BYTES <= ORDER_ID_BYTES_MAX) return request
    call.reply.error('ERR the buyer leaves no room for the rest of the order id')
    return null
  }
  if (!request.isForbidden) return request
  call.reply.error('ERR an order id must not end in }*')
  return null
}

/** Options that a value follows. */
const VALUED = ['EX', 'PX', 'REF', 'REASON', 'ID'] as const

/** The SKUs of an order's ITEMS: whoever may not touch one of them may not order it. */
export function touchesItems(args: Request, found: FoundKeys): void {
  let i = 2
  while (i < args.argc && !args.is(i, 'ITEMS')) i += VALUED.some((option) => args.is(i, option)) ? 2 : 1
  for (i++; i < args.argc; i += 2) found.add(i, TOUCHED)
}

/** Reads `SKU quantity` pairs from argument `i` to the end. */
export function readItems(call: Call, request: OrderRequest, i: number): boolean {
  const { request: args, reply } = call
  const { bytes, argc } = args
  if (i >= argc || (argc - i) % 2 !== 0) return fail(call, SYNTAX)
  request.skuBytes = bytes
  for (; i < argc; i += 2) {
    const start = args.start[i]
    const end = args.end[i]
    if (end - start > SKU_BYTES_MAX) return fail(call, `ERR a SKU has at most ${SKU_BYTES_MAX} bytes`)
    const quantity = parseInteger(bytes, args.start[i + 1], args.end[i + 1])
    if (!(quantity >= 1 && quantity <= QUANTITY_MAX)) {
      reply.error(quantity === quantity ? `ERR quantity must be 1 to ${QUANTITY_MAX}` : VALUE_NOT_AN_INTEGER)
      return false
    }
    if (!request.addItem(start, end, quantity))
      return fail(call, `ERR at most ${ITEMS_MAX} SKUs in an order, and ${QUANTITY_MAX} units of each`)
  }
  return true
}

/** Reads EX seconds or PX milliseconds at argument `i`, as the words at `i` and `i + 1` say. */
export function readDuration(call: Call, request: OrderRequest, i: number): boolean {
  const { request: args } = call
  if (i + 1 >= args.argc) return fail(call, SYNTAX)
  const n = parseInteger(args.bytes, args.start[i + 1], args.end[i + 1])
  if (n !== n) return fail(call, VALUE_NOT_AN_INTEGER)
  if (n <= 0) return fail(call, invalidExpireTime((call.spec?.name ?? '').toLowerCase()))
  request.durationMs = args.is(i, 'EX') ? Math.min(n, DURATION_SECONDS_MAX) * 1000 : Math.min(n, DURATION_SECONDS_MAX * 1000)
  return true
}

/** Reads the value of REF, at argument `i`. */
export function readRef(call: Call, slice: Slice, i: number): boolean {
  return readName(call, slice, { i, what: 'REF', bytesMax: REF_BYTES_MAX })
}

/** Reads the value of ID, at argument `i`. */
export function readOperation(call: Call, slice: Slice, i: number): boolean {
  return readName(call, slice, { i, what: 'ID', bytesMax: OPERATION_ID_BYTES_MAX })
}

function readName(call: Call, slice: Slice, word: { i: number; what: string; bytesMax: number }): boolean {
  const { request: args } = call
  const { i, what, bytesMax } = word
  if (i >= args.argc) return fail(call, SYNTAX)
  const length = args.length(i)
  if (length === 0 || length > bytesMax) return fail(call, `ERR ${what} must be 1 to ${bytesMax} bytes`)
  slice.set(args.bytes, args.start[i], args.end[i])
  return true
}

/** Reads the value of REASON, at argument `i`: `[a-z_]{1,32}`. */
export function readReason(call: Call, slice: Slice, i: number): boolean {
  const { request: args } = call
  if (i >= args.argc) return fail(call, SYNTAX)
  const length = args.length(i)
  let isWord = length >= 1 && length <= REASON_BYTES_MAX
  for (let p = args.start[i]; p < args.end[i] && isWord; p++) {
    const c = args.bytes[p]
    isWord = (c >= 97 && c <= 122) || c === 95
  }
  if (!isWord) return fail(call, `ERR REASON must be 1 to ${REASON_BYTES_MAX} of a-z and _`)
  slice.set(args.bytes, args.start[i], args.end[i])
  return true
}

/** Argument `i` as an integer from `least` on; NaN if it is none, and then the client has its error. */
export function readInteger(call: Call, i: number, least: number): number {
  const { request: args } = call
  const n = i < args.argc ? parseInteger(args.bytes, args.start[i], args.end[i]) : Number.NaN
  if (n >= least) return n
  call.reply.error(i < args.argc ? VALUE_NOT_AN_INTEGER : SYNTAX)
  return Number.NaN
}

export function fail(call: Call, text: string): false {
  call.reply.error(text)
  return false
}
