// Administration of SKUs: CREATE, ALTER, ADJUST, DROP.

import { SYNTAX, VALUE_NOT_AN_INTEGER, WRONG_TYPE } from '../../../resp/errors.ts'
import { Slice, QUANTITY_MAX, SKU_BYTES_MAX } from '../../../stock/order-request.ts'
import { NO_KEY } from '../../../stock/sku-names.ts'
import type { Sku, SkuTerms } from '../../../stock/sku.ts'
import { Status } from '../../../stock/state.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../../command.ts'
import { EVENTS_READ_ONLY } from '../key-access.ts'
import { fail, isStockDatabase, readInteger, readOperation, readReason, readRef } from './arguments.ts'
import { noSuchSku, refuse, replyAdjust } from './replies.ts'

const SECONDS_MAX = 1e8
const HOLD_SECONDS = 900
const SELLER_BYTES_MAX = 128
const RESERVED_NAME = 'stock:events'
const ADJUSTMENT_REASONS: readonly string[] = [
  'received',
  'restock',
  'returned',
  'correction',
  'cycle_count',
  'damaged',
  'shrinkage',
  'promotion',
  'transfer',
  'other',
]

type Terms = { -readonly [K in keyof SkuTerms]: SkuTerms[K] }

/** The SKU that argument 1 names; null if there is none, and then the client has its error. */
export function skuOf(call: Call): Sku | null {
  if (!isStockDatabase(call)) return null
  const { request, reply, engine } = call
  const { state } = engine.ledger
  const number = state.names.find(request.bytes, request.start[1], request.end[1])
  if (number >= 0) return state.sku(number)
  reply.error(number === NO_KEY ? noSuchSku(request.bytes, request.start[1], request.end[1]) : WRONG_TYPE)
  return null
}

function create(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  if (request.length(1) > SKU_BYTES_MAX) return reply.error(`ERR a SKU has at most ${SKU_BYTES_MAX} bytes`)
  if (request.latin1(1) === RESERVED_NAME) return reply.error(EVENTS_READ_ONLY)
  const total = readInteger(call, 2, 0)
  if (total !== total) return
  // MAXHOLD 0: not given, 2 x HOLD.
  const terms: Terms = {
    holdSeconds: HOLD_SECONDS,
    maxHoldSeconds: 0,
    limit: 0,
    maxQuantity: QUANTITY_MAX,
    safety: 0,
    start: 0,
    end: 0,
    price: -1,
    seller: '',
    paused: false,
  }
  if (!readTerms(call, terms, { first: 3, isCreate: true })) return
  if (terms.maxHoldSeconds === 0) terms.maxHoldSeconds = Math.min(2 * terms.holdSeconds, SECONDS_MAX)
  if (!isConsistent(call, terms)) return
  const name = new Slice()
  name.set(request.bytes, request.start[1], request.end[1])
  switch (engine.ledger.create(name, { total, terms }, engine.now)) {
    case 'created':
      return reply.integer(1)
    case 'exists':
      return reply.integer(0)
    case 'differs':
      return reply.error(`STOCKEXISTS '${request.latin1(1)}' was created by other arguments`)
    case 'wrong_type':
      return reply.error(WRONG_TYPE)
  }
}

function alter(call: Call): void {
  if (!isStockDatabase(call)) return
  const { engine, reply } = call
  const changes: Partial<Terms> = {}
  if (!readTerms(call, changes, { first: 2, isCreate: false })) return
  const sku = skuOf(call)
  if (sku === null) return
  const terms = { ...sku.terms, ...changes }
  if (!isConsistent(call, terms)) return
  engine.ledger.alter(sku, terms, engine.now)
  reply.ok()
}

/** Reads options from argument `first` on into `terms`. PAUSED is CREATE's, STATE is ALTER's. */
function readTerms(call: Call, terms: Partial<Terms>, how: { first: number; isCreate: boolean }): boolean {
  const { request } = call
  const seen = new Set<string>()
  for (let i = how.first; i < request.argc; i += 2) {
    const option = request.latin1(i).toUpperCase()
    if (seen.has(option)) return fail(call, SYNTAX)
    seen.add(option)
    if (option === 'PAUSED' && how.isCreate) {
      terms.paused = true
      i--
      continue
    }
    if (i + 1 >= request.argc) return fail(call, SYNTAX)
    switch (option) {
      case 'HOLD':
        terms.holdSeconds = readInteger(call, i + 1, 1)
        if (!isDuration(call, terms.holdSeconds)) return false
        break
      case 'MAXHOLD':
        terms.maxHoldSeconds = readInteger(call, i + 1, 1)
        if (!isDuration(call, terms.maxHoldSeconds)) return false
        break
      case 'LIMIT':
        terms.limit = readInteger(call, i + 1, 0)
        if (Number.isNaN(terms.limit)) return false
        break
      case 'MAXQTY': {
        terms.maxQuantity = readInteger(call, i + 1, 1)
        if (Number.isNaN(terms.maxQuantity)) return false
        if (terms.maxQuantity > QUANTITY_MAX) return fail(call, `ERR MAXQTY must be 1 to ${QUANTITY_MAX}`)
        break
      }
      case 'SAFETY':
        terms.safety = readInteger(call, i + 1, 0)
        if (Number.isNaN(terms.safety)) return false
        break
      case 'START':
        terms.start = readInteger(call, i + 1, 0)
        if (Number.isNaN(terms.start)) return false
        break
      case 'END':
        terms.end = readInteger(call, i + 1, 0)
        if (Number.isNaN(terms.end)) return false
        break
      case 'PRICE':
        terms.price = readInteger(call, i + 1, -1)
        if (Number.isNaN(terms.price)) return false
        break
      case 'SELLER':
        if (request.length(i + 1) > SELLER_BYTES_MAX) return fail(call, `ERR SELLER has at most ${SELLER_BYTES_MAX} bytes`)
        terms.seller = request.latin1(i + 1)
        break
      case 'STATE':
        if (how.isCreate || !(request.is(i + 1, 'OPEN') || request.is(i + 1, 'PAUSED'))) return fail(call, SYNTAX)
        terms.paused = request.is(i + 1, 'PAUSED')
        break
      default:
        return fail(call, SYNTAX)
    }
  }
  return true
}

function isDuration(call: Call, seconds: number): boolean {
  if (Number.isNaN(seconds)) return false
  return seconds <= SECONDS_MAX || fail(call, `ERR HOLD and MAXHOLD must be 1 to ${SECONDS_MAX} seconds`)
}

function isConsistent(call: Call, terms: SkuTerms): boolean {
  if (terms.holdSeconds > terms.maxHoldSeconds) return fail(call, 'ERR HOLD must not be above MAXHOLD')
  if (terms.start !== 0 && terms.end !== 0 && terms.start >= terms.end) return fail(call, 'ERR START must be before END')
  return true
}

function adjust(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  const delta = readInteger(call, 2, -Number.MAX_SAFE_INTEGER)
  if (delta !== delta) return
  if (delta === 0) return reply.error(VALUE_NOT_AN_INTEGER)
  const id = new Slice()
  const reason = new Slice()
  const ref = new Slice()
  let ifTotal = -1
  let isClamped = false
  for (let i = 3; i < request.argc; i++) {
    if (request.is(i, 'ID') && !id.isPresent) {
      if (!readOperation(call, id, ++i)) return
    } else if (request.is(i, 'REASON') && !reason.isPresent) {
      if (!readReason(call, reason, ++i)) return
      if (!ADJUSTMENT_REASONS.includes(request.latin1(i))) return reply.error(`ERR REASON must be one of ${ADJUSTMENT_REASONS.join(', ')}`)
    } else if (request.is(i, 'REF') && !ref.isPresent) {
      if (!readRef(call, ref, ++i)) return
    } else if (request.is(i, 'IFTOTAL') && ifTotal === -1) {
      ifTotal = readInteger(call, ++i, 0)
      if (ifTotal !== ifTotal) return
    } else if (request.is(i, 'CLAMP') && !isClamped) isClamped = true
    else return reply.error(SYNTAX)
  }
  if (!id.isPresent) return reply.error('ERR ADJUST needs ID: it makes a repetition harmless')
  const sku = skuOf(call)
  if (sku === null) return
  const asked = { id: textOf(id), asked: delta, reason: textOf(reason), ref: textOf(ref) }
  const status = engine.ledger.adjust(sku, asked, { ifTotal, isClamped, now: engine.now })
  replyAdjust(call, status, sku)
}

/** One character per byte. */
function textOf(slice: Slice): string {
  return slice.isPresent ? Buffer.from(slice.copy()).toString('latin1') : ''
}

function drop(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  if (request.argc > 3 || (request.argc === 3 && !request.is(2, 'FORCE'))) return reply.error(SYNTAX)
  const { state } = engine.ledger
  const number = state.names.find(request.bytes, request.start[1], request.end[1])
  if (number === NO_KEY) return reply.integer(0)
  if (number < 0) return reply.error(WRONG_TYPE)
  const status = engine.ledger.drop(state.sku(number), request.argc === 3, engine.now)
  if (status !== Status.OK) return refuse(call, status)
  reply.integer(1)
}

export const skuCommands: readonly CommandSpec[] = [
  {
    name: 'STOCK.CREATE',
    arity: -3,
    // Not `denyoom`: operators' commands are few, and a shop that is out of memory must still be able to restock.
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'stock', 'admin', 'slow'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(1)',
    summary: 'Creates a SKU with its units and terms; repeating it is harmless.',
    syntax:
      'sku total [HOLD seconds] [MAXHOLD seconds] [LIMIT units] [MAXQTY units] [SAFETY units] [START unix-time-milliseconds] ' +
      '[END unix-time-milliseconds] [PRICE minor-units] [SELLER id] [PAUSED]',
    run: create,
  },
  {
    name: 'STOCK.ALTER',
    arity: -4,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'stock', 'admin', 'slow'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(1)',
    summary: 'Changes the terms of a SKU for the orders to come.',
    syntax: 'sku option value [option value ...]',
    run: alter,
  },
  {
    name: 'STOCK.ADJUST',
    arity: -5,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'stock', 'admin', 'slow'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(1)',
    summary: 'Adds units to a SKU or writes units off, once per adjustment id.',
    syntax: 'sku delta ID adjustment-id [REASON reason] [REF uri] [IFTOTAL expected] [CLAMP]',
    run: adjust,
  },
  {
    name: 'STOCK.DROP',
    arity: -2,
    flags: ['write'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'stock', 'admin', 'dangerous', 'slow'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(1), with FORCE O(N) with N the number of open orders that contain it',
    summary: 'Drops a SKU.',
    syntax: 'sku [FORCE]',
    run: drop,
  },
]
