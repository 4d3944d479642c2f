// Whole databases: their size, emptied, exchanged.

import { parseInt64 } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import { DATABASE_OUT_OF_RANGE, SYNTAX } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, NO_KEYS } from '../command.ts'
import { databaseOf, EVENTS_READ_ONLY, STOCK_EVENTS } from './key-access.ts'

const STOCK_IN_USE = 'INUSE database 0 holds stock; a node started with --allow-stock-flush yes would forget it and its orders'

/** True if a database is free to go: it holds no SKUs, or may forget them (and then has, with all orders). Else the client has its error. */
function forgetsStock(call: Call, number: number): boolean {
  const { engine, reply } = call
  if (number !== 0 || engine.keyspace.databases[0].stockKeys === 0) return true
  if (!engine.options.allowStockFlush) {
    reply.error(STOCK_IN_USE)
    return false
  }
  engine.ledger.flush()
  return true
}

function isFlushSyntax(request: Request): boolean {
  return request.argc === 1 || (request.argc === 2 && (request.is(1, 'SYNC') || request.is(1, 'ASYNC')))
}

/** Emptying is a matter of microseconds, so SYNC and ASYNC are the same. */
function flushdb(call: Call): void {
  const { request, reply, engine, client } = call
  if (!isFlushSyntax(request)) return reply.error(SYNTAX)
  if (!forgetsStock(call, client.database)) return
  databaseOf(call).clear()
  engine.journal.select(client.database)
  engine.journal.begin(1)
  engine.journal.word('FLUSHDB')
  reply.ok()
}

function flushall(call: Call): void {
  const { request, reply, engine } = call
  if (!isFlushSyntax(request)) return reply.error(SYNTAX)
  if (!forgetsStock(call, 0)) return
  engine.keyspace.clear()
  engine.journal.begin(1)
  engine.journal.word('FLUSHALL')
  reply.ok()
}

const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/** Argument i as an int; undefined if it is none. */
function intArgument(request: Request, i: number): number | undefined {
  const n = parseInt64(request.bytes, request.start[i], request.end[i])
  return n === undefined || n < INT32_MIN || n > INT32_MAX ? undefined : Number(n)
}

/** In the other databases it is a name like any. */
function holdsEventsName(database: Database): boolean {
  return database.find(STOCK_EVENTS, 0, STOCK_EVENTS.length, database.hash(STOCK_EVENTS, 0, STOCK_EVENTS.length)) !== 0
}

function swapdb(call: Call): void {
  const { request, reply, engine } = call
  const a = intArgument(request, 1)
  if (a === undefined) return reply.error('ERR invalid first DB index')
  const b = intArgument(request, 2)
  if (b === undefined) return reply.error('ERR invalid second DB index')
  const databases = engine.keyspace.databases.length
  if (a < 0 || a >= databases || b < 0 || b >= databases) return reply.error(DATABASE_OUT_OF_RANGE)
  if (a === b) return reply.ok()
  if (!forgetsStock(call, Math.min(a, b))) return
  if (Math.min(a, b) === 0 && holdsEventsName(engine.keyspace.databases[Math.max(a, b)])) return reply.error(EVENTS_READ_ONLY)
  engine.keyspace.swap(a, b)
  engine.journal.begin(3)
  engine.journal.word('SWAPDB')
  engine.journal.integer(a)
  engine.journal.integer(b)
  reply.ok()
}

function dbsize(call: Call): void {
  call.reply.integer(databaseOf(call).size)
}

export const databaseCommands: readonly CommandSpec[] = [
  {
    name: 'DBSIZE',
    arity: 1,
    flags: ['readonly', 'fast'],
    keys: NO_KEYS,
    categories: ['keyspace', 'read', 'fast'],
    group: 'server',
    since: '1.0.0',
    tips: 'request_policy:all_shards response_policy:agg_sum',
    complexity: 'O(1)',
    summary: 'How many keys the database has.',
    syntax: '',
    run: dbsize,
  },
  {
    name: 'SWAPDB',
    arity: 3,
    flags: ['write', 'fast'],
    keys: NO_KEYS,
    categories: ['keyspace', 'write', 'fast', 'dangerous'],
    group: 'server',
    since: '4.0.0',
    complexity: 'O(1)',
    summary: 'Exchanges two databases. Stock stays in database 0: INUSE while there is any.',
    syntax: 'index1 index2',
    run: swapdb,
  },
  {
    name: 'FLUSHDB',
    arity: -1,
    flags: ['write'],
    keys: NO_KEYS,
    categories: ['keyspace', 'write', 'slow', 'dangerous'],
    group: 'server',
    since: '1.0.0',
    tips: 'request_policy:all_shards response_policy:all_succeeded',
    complexity: 'O(1)',
    summary: 'Deletes all keys of the database. INUSE while it holds stock.',
    syntax: '[ASYNC | SYNC]',
    run: flushdb,
  },
  {
    name: 'FLUSHALL',
    arity: -1,
    flags: ['write'],
    keys: NO_KEYS,
    categories: ['keyspace', 'write', 'slow', 'dangerous'],
    group: 'server',
    since: '1.0.0',
    tips: 'request_policy:all_shards response_policy:all_succeeded',
    complexity: 'O(1)',
    summary: 'Deletes all keys of all databases. INUSE while there is stock.',
    syntax: '[ASYNC | SYNC]',
    run: flushall,
  },
]
