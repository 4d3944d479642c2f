// Reading stock and orders: GET, MGET, INFO, ORDER, ORDERS, HOLDS, SHELVES, VERIFY.
//
// Cursors say where a page ended, not how far it was: what comes and goes meanwhile moves nothing. One call looks at a bounded number of
// orders, so a page may be short; only the cursor "0" means the end.

import { parseInteger } from '../../../base/decimal.ts'
import { INVALID_CURSOR, SYNTAX, VALUE_NOT_AN_INTEGER, WRONG_TYPE } from '../../../resp/errors.ts'
import type { Request } from '../../../resp/request.ts'
import { recount } from '../../../stock/audit.ts'
import { OrderExtra } from '../../../stock/order-extra.ts'
import { ORDER_ID_BYTES_MAX } from '../../../stock/order-request.ts'
import { NO_KEY } from '../../../stock/sku-names.ts'
import { ORDER_STATES, OrderState } from '../../../stock/state.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, FIRST_ARGUMENT } from '../../command.ts'
import { READ_ONLY } from '../../key-specs.ts'
import { isStockDatabase, orderRequest } from './arguments.ts'
import { skuOf } from './skus.ts'

const COUNT_DEFAULT = 10
const COUNT_MAX = 1000
/** Orders that one ORDERS with STATE looks at, beyond those that it lists. */
const LOOKED_AT_MAX = 10_000
const BEGINNING = '0'

function get(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  const { state } = engine.ledger
  const number = state.names.find(request.bytes, request.start[1], request.end[1])
  if (number >= 0) reply.integer(state.sku(number).sellable)
  else if (number === NO_KEY) reply.nil()
  else reply.error(WRONG_TYPE)
}

function mget(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  const { state } = engine.ledger
  reply.array(request.argc - 1)
  for (let i = 1; i < request.argc; i++) {
    const number = state.names.find(request.bytes, request.start[i], request.end[i])
    if (number >= 0) reply.integer(state.sku(number).sellable)
    else reply.nil()
  }
}

function info(call: Call): void {
  const sku = skuOf(call)
  if (sku === null) return
  const { reply, engine } = call
  const { terms } = sku
  const numbers: [string, number][] = [
    ['total', sku.total],
    ['available', sku.available],
    ['sellable', sku.sellable],
    ['reserved', sku.reserved],
    ['sold', sku.sold],
    ['safety', terms.safety],
    ['limit', terms.limit],
    ['maxqty', terms.maxQuantity],
    ['hold', terms.holdSeconds],
    ['maxhold', terms.maxHoldSeconds],
    ['start', terms.start],
    ['end', terms.end],
  ]
  const counts: [string, number][] = [
    ['orders_open', sku.holds.size],
    ['next_deadline', sku.firstDeadline],
    ['version', sku.version],
    ['confirmed_units', sku.confirmedUnits],
    ['released_units', sku.releasedUnits],
    ['expired_units', sku.expiredUnits],
    ['returned_units', sku.returnedUnits],
    ['refused_soldout', sku.refusedSoldout],
    ['refused_held', sku.refusedHeld],
    ['refused_limit', sku.refusedLimit],
    ['refused_closed', sku.refusedClosed],
  ]
  reply.map(1 + numbers.length + 2 + counts.length)
  reply.text('state')
  reply.text(sku.state(engine.now))
  for (const [name, n] of numbers) {
    reply.text(name)
    reply.integer(n)
  }
  reply.text('price')
  if (terms.price === -1) reply.nil()
  else reply.integer(terms.price)
  reply.text('seller')
  reply.latin1(terms.seller)
  for (const [name, n] of counts) {
    reply.text(name)
    reply.integer(n)
  }
}

function order(call: Call): void {
  const asked = orderRequest(call, false)
  if (asked === null) return
  const { reply, engine } = call
  const { state } = engine.ledger
  const { rows } = state
  const { id, buyer } = asked
  const row = rows.find(id.bytes, id.start, id.end, rows.table.hash(id.bytes, id.start, id.end))
  if (row === 0) return reply.nil()
  const extra = OrderExtra.of(rows, row)
  const orderState = rows.state(row)
  reply.map(10)
  reply.text('id')
  reply.bulk(id.bytes, id.start, id.end)
  reply.text('buyer')
  if (buyer.isPresent) reply.bulk(buyer.bytes, buyer.start, buyer.end)
  else reply.emptyBulk()
  reply.text('state')
  reply.text(ORDER_STATES[orderState])
  reply.text('created')
  reply.integer(rows.created(row))
  reply.text('deadline')
  reply.integer(rows.deadline(row))
  reply.text('updated')
  reply.integer(extra.updated === 0 ? rows.at(row) : extra.updated)
  reply.text('version')
  reply.integer(rows.version(row))
  reply.text('ref')
  reply.bulk(extra.ref ?? new Uint8Array(0))
  reply.text('reason')
  reply.bulk(extra.reason ?? new Uint8Array(0))
  reply.text('items')
  const items = rows.itemCount(row)
  reply.array(items)
  for (let i = 0; i < items; i++) {
    const quantity = rows.itemQuantity(row, i)
    const column = extra.columns === null ? null : extra.columns[i]
    // Where the ordered units are now: held, sold, gone back from the hold, come back from the sale.
    const sold = column === null ? quantity : column.sold
    const isSold = orderState === OrderState.CONFIRMED || orderState === OrderState.RETURNED
    const returned = orderState === OrderState.RETURNED ? sold : column === null ? 0 : column.returned
    const released = orderState === OrderState.RESERVED ? (column === null ? 0 : column.released) : isSold ? quantity - sold : quantity
    reply.array(5)
    reply.bulk(state.skuOf(row, i).name)
    reply.integer(orderState === OrderState.RESERVED ? quantity - released : 0)
    reply.integer(isSold ? sold - returned : 0)
    reply.integer(released)
    reply.integer(returned)
  }
}

interface Page {
  count: number
  /** The cursor's text; BEGINNING starts. */
  cursor: string
  /** 0: any state. */
  state: number
}

/** Options of ORDERS and HOLDS from argument 2 on; null if they are wrong, and then the client has its error. */
function readPage(call: Call, hasState: boolean): Page | null {
  const { request, reply } = call
  const page: Page = { count: -1, cursor: '', state: -1 }
  for (let i = 2; i < request.argc; i += 2) {
    if (i + 1 >= request.argc) return (reply.error(SYNTAX), null)
    if (request.is(i, 'COUNT') && page.count === -1) {
      const count = parseInteger(request.bytes, request.start[i + 1], request.end[i + 1])
      if (count !== count) return (reply.error(VALUE_NOT_AN_INTEGER), null)
      if (count < 1) return (reply.error(SYNTAX), null)
      page.count = Math.min(count, COUNT_MAX)
    } else if (request.is(i, 'CURSOR') && page.cursor === '') {
      page.cursor = request.latin1(i + 1)
      if (page.cursor === '') return (reply.error(INVALID_CURSOR), null)
    } else if (hasState && request.is(i, 'STATE') && page.state === -1) {
      page.state = stateOf(request, i + 1)
      if (page.state === -1) return (reply.error(SYNTAX), null)
    } else return (reply.error(SYNTAX), null)
  }
  if (page.count === -1) page.count = COUNT_DEFAULT
  if (page.cursor === '') page.cursor = BEGINNING
  if (page.state === -1) page.state = 0
  return page
}

function stateOf(request: Request, i: number): number {
  for (let state = 1; state < ORDER_STATES.length; state++) if (request.is(i, ORDER_STATES[state])) return state
  return -1
}

function orders(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  const length = request.length(1)
  if (length === 0 || length > ORDER_ID_BYTES_MAX) return reply.error(`ERR buyer must be 1 to ${ORDER_ID_BYTES_MAX} bytes`)
  const page = readPage(call, true)
  if (page === null) return
  const { rows, buyers } = engine.ledger.state
  const buyer = buyers.find(request.bytes, request.start[1], request.end[1], buyers.hash(request.bytes, request.start[1], request.end[1]))
  let at = buyer === 0 ? 0 : buyers.newest(buyer)
  if (page.cursor !== BEGINNING) {
    // sequence:id of the last order looked at, the id in hexadecimal: a client may decode replies as UTF-8, ids are any bytes.
    // The list goes on behind that order; if it is gone, behind the place where it was.
    const colon = page.cursor.indexOf(':')
    const digits = Buffer.from(page.cursor.slice(0, Math.max(0, colon)), 'latin1')
    const sequence = parseInteger(digits, 0, digits.length)
    if (!(sequence >= 0)) return reply.error(INVALID_CURSOR)
    const id = Buffer.from(page.cursor.slice(colon + 1), 'hex')
    const last = rows.find(id, 0, id.length, rows.table.hash(id, 0, id.length))
    if (last !== 0 && rows.sequence(last) === sequence && engine.ledger.state.buyerOf(last) === buyer && buyer !== 0)
      at = buyers.older(last)
    else while (at !== 0 && rows.sequence(at) >= sequence) at = buyers.older(at)
  }
  const found: number[] = []
  let looked = 0
  let last = 0
  for (; at !== 0; at = buyers.older(at)) {
    const isListed = page.state === 0 || rows.state(at) === page.state
    // The page is full, and there is one more: or enough was looked at.
    if ((isListed && found.length === page.count) || looked === LOOKED_AT_MAX) break
    looked++
    if (isListed) found.push(at)
    last = at
  }
  reply.array(2)
  if (at === 0) reply.text(BEGINNING)
  else {
    const start = rows.idStart(last)
    reply.latin1(`${rows.sequence(last)}:${Buffer.from(rows.bytes(last).subarray(start, start + rows.idLength(last))).toString('hex')}`)
  }
  reply.array(found.length)
  for (const row of found) reply.bulk(rows.bytes(row), rows.idStart(row), rows.idStart(row) + rows.idLength(row))
}

function holds(call: Call): void {
  if (!isStockDatabase(call)) return
  const page = readPage(call, false)
  if (page === null) return
  const sku = skuOf(call)
  if (sku === null) return
  const { reply, engine } = call
  const { state } = engine.ledger
  const { rows } = state
  let deadline = 0
  let sequence = 0
  if (page.cursor !== BEGINNING) {
    const [first, second] = page.cursor.split(':', 2).map((text) => {
      const digits = Buffer.from(text, 'latin1')
      return parseInteger(digits, 0, digits.length)
    })
    if (!(first >= 0 && second !== undefined && second >= 0)) return reply.error(INVALID_CURSOR)
    deadline = first
    sequence = second
  }
  const found: number[] = []
  sku.holds.forEachAfter(deadline, sequence, (row) => found.push(row) <= page.count)
  const hasMore = found.length > page.count
  if (hasMore) found.pop()
  const last = found[found.length - 1]
  reply.array(2)
  reply.text(hasMore ? `${rows.deadline(last)}:${rows.sequence(last)}` : BEGINNING)
  reply.array(found.length * 3)
  for (const row of found) {
    const start = rows.idStart(row)
    state.readUnits(row, state.extraOf(row))
    let item = 0
    while (state.rows.itemSku(row, item) !== sku.number) item++
    reply.bulk(rows.bytes(row), start, start + rows.idLength(row))
    reply.integer(rows.deadline(row))
    reply.integer(state.units[item])
  }
}

/** A single node has one shelf, and it is the stockroom too. */
function shelves(call: Call): void {
  const sku = skuOf(call)
  if (sku === null) return
  const { reply, engine } = call
  reply.array(1)
  reply.map(4)
  reply.text('node')
  reply.text(`n${engine.options.nodeNumber}`)
  reply.text('available')
  reply.integer(sku.available)
  reply.text('reserved')
  reply.integer(sku.reserved)
  reply.text('sold')
  reply.integer(sku.sold)
}

function verify(call: Call): void {
  if (!isStockDatabase(call)) return
  const { request, reply, engine } = call
  if (request.argc > 2) return reply.error(SYNTAX)
  const only = request.argc === 2 ? skuOf(call) : undefined
  if (only === null) return
  const result = recount(engine.ledger.state, only)
  reply.array(3 + result.violations.length)
  reply.integer(result.skus)
  reply.integer(result.orders)
  reply.integer(result.violations.length)
  for (const violation of result.violations) reply.latin1(violation)
}

const READ: Pick<CommandSpec, 'flags' | 'keys' | 'categories' | 'group' | 'since'> = {
  flags: ['readonly', 'fast'],
  keys: FIRST_ARGUMENT,
  categories: ['read', 'stock', 'fast'],
  group: 'stock',
  since: '0.1.0',
}

export const readingCommands: readonly CommandSpec[] = [
  {
    ...READ,
    name: 'STOCK.GET',
    arity: 2,
    complexity: 'O(1)',
    summary: 'Returns the units of a SKU that are sellable now.',
    syntax: 'sku',
    run: get,
  },
  {
    ...READ,
    name: 'STOCK.MGET',
    arity: -2,
    alsoTouches(request, found) {
      for (let i = 2; i < request.argc; i++) found.add(i, READ_ONLY)
    },
    complexity: 'O(N) with N the number of SKUs',
    summary: 'Returns the sellable units of several SKUs.',
    syntax: 'sku [sku ...]',
    run: mget,
  },
  { ...READ, name: 'STOCK.INFO', arity: 2, complexity: 'O(1)', summary: 'Returns everything about a SKU.', syntax: 'sku', run: info },
  {
    ...READ,
    categories: ['read', 'stock', 'order', 'fast'],
    name: 'STOCK.ORDER',
    arity: 2,
    complexity: 'O(N) with N the number of items',
    summary: 'Returns an order.',
    syntax: 'order',
    run: order,
  },
  {
    ...READ,
    categories: ['read', 'stock', 'order', 'fast'],
    name: 'STOCK.ORDERS',
    arity: -2,
    complexity: 'O(N) with N the number of orders looked at',
    summary: 'Lists the orders of a buyer, newest first.',
    syntax: 'buyer [STATE state] [CURSOR cursor] [COUNT count]',
    run: orders,
  },
  {
    ...READ,
    categories: ['read', 'stock', 'order', 'fast'],
    name: 'STOCK.HOLDS',
    arity: -2,
    complexity: 'O(N + log M) with N the number of holds returned and M that of the SKU',
    summary: 'Lists the open holds of a SKU by deadline.',
    syntax: 'sku [CURSOR cursor] [COUNT count]',
    run: holds,
  },
  {
    ...READ,
    name: 'STOCK.SHELVES',
    arity: 2,
    complexity: 'O(N) with N the number of nodes',
    summary: 'Returns how the units of a SKU lie on the nodes.',
    syntax: 'sku',
    run: shelves,
  },
  {
    ...READ,
    flags: ['readonly'],
    categories: ['read', 'stock', 'slow'],
    name: 'STOCK.VERIFY',
    arity: -1,
    complexity: 'O(N) with N the number of orders',
    summary: 'Recounts orders against the counters of a SKU, or of all.',
    syntax: '[sku]',
    run: verify,
  },
]
