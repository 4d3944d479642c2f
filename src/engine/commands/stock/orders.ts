// The life of an order: RESERVE, CONFIRM, RELEASE, EXTEND, RETURN. The commands read their arguments and leave the judgement to the ledger.

import { SYNTAX } from '../../../resp/errors.ts'
import type { OrderRequest } from '../../../stock/order-request.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../../command.ts'
import { fail, Option, orderRequest, readDuration, readItems, readOperation, readReason, readRef, touchesItems } from './arguments.ts'
import { replyOrder, replyReserve } from './replies.ts'

function reserve(call: Call): void {
  const request = orderRequest(call, true)
  if (request === null || !readReserveOptions(call, request)) return
  const { engine } = call
  replyReserve(call, engine.ledger.reserve(request, engine.now))
}

function readReserveOptions(call: Call, request: OrderRequest): boolean {
  const { request: args } = call
  let seen = 0
  let i = 2
  for (; i < args.argc && !args.is(i, 'ITEMS'); i++) {
    let option = 0
    if (args.is(i, 'PAID')) {
      option = Option.PAID
      request.isPaid = true
    } else if (args.is(i, 'EX') || args.is(i, 'PX')) {
      option = Option.EXPIRE
      if (!readDuration(call, request, i++)) return false
    } else if (args.is(i, 'REF')) {
      option = Option.REF
      if (!readRef(call, request.ref, ++i)) return false
    }
    if (option === 0 || (seen & option) !== 0) return fail(call, SYNTAX)
    seen |= option
  }
  if ((seen & (Option.PAID | Option.EXPIRE)) === (Option.PAID | Option.EXPIRE)) return fail(call, SYNTAX)
  return readItems(call, request, i + 1)
}

function confirm(call: Call): void {
  const request = orderRequest(call, false)
  if (request === null) return
  const { request: args, engine } = call
  let seen = 0
  for (let i = 2; i < args.argc; i++) {
    if (args.is(i, 'ITEMS')) {
      if (!readItems(call, request, i + 1)) return
      break
    }
    let option = 0
    if (args.is(i, 'LATE')) {
      option = Option.LATE
      request.isLate = true
    } else if (args.is(i, 'REF')) {
      option = Option.REF
      if (!readRef(call, request.ref, ++i)) return
    }
    if (option === 0 || (seen & option) !== 0) return call.reply.error(SYNTAX)
    seen |= option
  }
  replyOrder(call, engine.ledger.confirm(request, engine.now))
}

function release(call: Call): void {
  const request = orderRequest(call, false)
  if (request === null || !readBackOptions(call, request, 0)) return
  const { engine } = call
  replyOrder(call, engine.ledger.release(request, engine.now))
}

/** STOCK.RETURN. */
function takeBack(call: Call): void {
  const request = orderRequest(call, false)
  if (request === null || !readBackOptions(call, request, Option.NORESTOCK)) return
  const { engine } = call
  replyOrder(call, engine.ledger.takeBack(request, engine.now))
}

/** Options of the commands by which units go back. A part needs an operation id, or a retry would go back twice. */
function readBackOptions(call: Call, request: OrderRequest, allowed: number): boolean {
  const { request: args } = call
  let seen = 0
  for (let i = 2; i < args.argc; i++) {
    if (args.is(i, 'ITEMS')) {
      if (!readItems(call, request, i + 1)) return false
      break
    }
    let option = 0
    if (args.is(i, 'REASON')) {
      option = Option.REASON
      if (!readReason(call, request.reason, ++i)) return false
    } else if (args.is(i, 'ID')) {
      option = Option.ID
      if (!readOperation(call, request.operation, ++i)) return false
    } else if (allowed === Option.NORESTOCK && args.is(i, 'NORESTOCK')) {
      option = Option.NORESTOCK
      request.isNoRestock = true
    }
    if (option === 0 || (seen & option) !== 0) return fail(call, SYNTAX)
    seen |= option
  }
  if (request.count > 0 && !request.operation.isPresent) return fail(call, 'ERR ITEMS needs ID: it makes a repetition harmless')
  return true
}

function extend(call: Call): void {
  const request = orderRequest(call, false)
  if (request === null) return
  const { request: args, engine } = call
  if (!args.is(2, 'EX') && !args.is(2, 'PX')) return call.reply.error(SYNTAX)
  if (!readDuration(call, request, 2)) return
  replyOrder(call, engine.ledger.extend(request, engine.now))
}

export const orderCommands: readonly CommandSpec[] = [
  {
    name: 'STOCK.RESERVE',
    arity: -5,
    // Not `denyoom`: the repetition of a known order is answered although memory is over its limit.
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    alsoTouches: touchesItems,
    categories: ['write', 'stock', 'order', 'fast'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(N) with N the number of items',
    summary: 'Holds units of SKUs for an order, all or none, until it is confirmed, released, or expires.',
    syntax: 'order [EX seconds | PX milliseconds] [PAID] [REF ref] ITEMS sku quantity [sku quantity ...]',
    run: reserve,
  },
  {
    name: 'STOCK.CONFIRM',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    alsoTouches: touchesItems,
    categories: ['write', 'stock', 'order', 'fast'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(N) with N the number of items',
    summary: 'Turns the hold of an order, or a part of it, into a sale.',
    syntax: 'order [REF payment-ref] [LATE] [ITEMS sku quantity [sku quantity ...]]',
    run: confirm,
  },
  {
    name: 'STOCK.RELEASE',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    alsoTouches: touchesItems,
    categories: ['write', 'stock', 'order', 'fast'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(N) with N the number of items',
    summary: 'Gives back the hold of an order, or a part of it; an id that was never accepted never will be.',
    syntax: 'order [REASON reason] [ID operation-id] [ITEMS sku quantity [sku quantity ...]]',
    run: release,
  },
  {
    name: 'STOCK.EXTEND',
    arity: 4,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    categories: ['write', 'stock', 'order', 'fast'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(N log M) with N the number of items and M the number of holds of their SKUs',
    summary: 'Lets the hold of an order last longer, up to the smallest MAXHOLD of its SKUs.',
    syntax: 'order <EX seconds | PX milliseconds>',
    run: extend,
  },
  {
    name: 'STOCK.RETURN',
    arity: -2,
    flags: ['write', 'fast'],
    keys: FIRST_ARGUMENT,
    alsoTouches: touchesItems,
    categories: ['write', 'stock', 'order', 'fast'],
    group: 'stock',
    since: '0.1.0',
    complexity: 'O(N) with N the number of items',
    summary: 'Takes back sold units of an order, or a part of them.',
    syntax: 'order [ID operation-id] [REASON reason] [NORESTOCK] [ITEMS sku quantity [sku quantity ...]]',
    run: takeBack,
  },
]
