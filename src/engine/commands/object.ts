// What Redis tells of a value's inside: OBJECT and MEMORY USAGE.

import { parseInt64 } from '../../base/decimal.ts'
import type { Database } from '../../keyspace/database.ts'
import type { Keyspace } from '../../keyspace/keyspace.ts'
import { ENCODING_NATURAL, ENCODING_RAW, ENCODING_TEXT, FIRST_COLLECTION, KIND_NAMES, KIND_STOCK, KIND_STRING } from '../../keyspace/row.ts'
import { SYNTAX } from '../../resp/errors.ts'
import { orderBytes, skuBytes } from '../../stock/memory.ts'
import type { Call } from '../call.ts'
import { type CommandSpec, NO_KEYS } from '../command.ts'
import { int64Argument } from './instants.ts'
import { databaseOf, findKey, hashOf, inspectKey } from './key-access.ts'
import { isStockDatabase } from './stock/arguments.ts'
import { keyAt } from '../key-specs.ts'

/** Strings up to this length Redis keeps in one piece with their header. */
const EMBEDDED_BYTES_MAX = 44
const INT64_DIGITS_MAX = 20
/** Redis keeps one object for each number from 0 up to here, shared by all keys. */
const SHARED_INTEGERS = 10_000
const SHARED_REFERENCES = 2 ** 31 - 1

const NO_FREQUENCIES =
  'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at ' +
  'runtime LRU and LFU data will take some time to adjust.'

/** The key is argument 2. */
const SECOND_ARGUMENT = { first: 2, last: 2, step: 1 }

/** The integer that Redis would keep instead of the string; undefined if it would keep the string. */
function asInteger(database: Database, ref: number): bigint | undefined {
  const encoding = database.encoding(ref)
  if (encoding === ENCODING_RAW || encoding === ENCODING_TEXT || database.valueLength(ref) > INT64_DIGITS_MAX) return undefined
  database.open(ref)
  return parseInt64(database.bytes, database.valueStart, database.valueEnd)
}

/** As OBJECT ENCODING says it. */
export function encodingName({ collections }: Keyspace, database: Database, ref: number): string {
  const kind = database.kind(ref)
  if (kind >= FIRST_COLLECTION) return collections.open(database, ref).encodingName()
  if (kind !== KIND_STRING) return KIND_NAMES[kind]
  if (asInteger(database, ref) !== undefined) return 'int'
  return database.encoding(ref) === ENCODING_RAW || database.valueLength(ref) > EMBEDDED_BYTES_MAX ? 'raw' : 'embstr'
}

function encoding(call: Call): void {
  const database = databaseOf(call)
  const ref = inspectKey(call, database, 2)
  if (ref === 0) call.reply.nil()
  else call.reply.text(encodingName(call.engine.keyspace, database, ref))
}

function refcount(call: Call): void {
  const { reply } = call
  const database = databaseOf(call)
  const ref = inspectKey(call, database, 2)
  if (ref === 0) return reply.nil()
  const n = database.kind(ref) === KIND_STRING && database.encoding(ref) === ENCODING_NATURAL ? asInteger(database, ref) : undefined
  reply.integer(n !== undefined && n >= 0 && n < SHARED_INTEGERS ? SHARED_REFERENCES : 1)
}

function idletime(call: Call): void {
  const database = databaseOf(call)
  const ref = inspectKey(call, database, 2)
  if (ref === 0) call.reply.nil()
  else call.reply.integer(call.engine.keyspace.idleSeconds(database, ref))
}

/** Without the LFU policy there is nothing to tell. */
function freq(call: Call): void {
  if (inspectKey(call, databaseOf(call), 2) === 0) call.reply.nil()
  else call.reply.error(NO_FREQUENCIES)
}

const OBJECT_HELP = [
  'OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ENCODING <key>',
  '    Return the kind of internal representation used in order to store the value',
  '    associated with a <key>.',
  'FREQ <key>',
  '    Return the access frequency index of the <key>. The returned integer is',
  '    proportional to the logarithm of the recent access frequency of the key.',
  'IDLETIME <key>',
  '    Return the idle time of the <key>, that is the approximated number of',
  '    seconds elapsed since the last access to the key.',
  'REFCOUNT <key>',
  '    Return the number of references of the value associated with the specified',
  '    <key>.',
  'HELP',
  '    Prints this help.',
]

const MEMORY_HELP = [
  'MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ORDER <order>',
  '    Return memory in bytes used by <order>.',
  'USAGE <key> [SAMPLES <count>]',
  '    Return memory in bytes used by <key> and its value. Nested values are',
  '    sampled up to <count> times (default: 5, 0 means sample all).',
  'HELP',
  '    Prints this help.',
]

function help(call: Call, lines: readonly string[]): void {
  call.reply.array(lines.length)
  for (const line of lines) call.reply.simple(line)
}

function memoryUsage(call: Call): void {
  const { request, reply } = call
  for (let i = 3; i < request.argc; i += 2) {
    if (!request.is(i, 'SAMPLES') || i + 1 === request.argc) return reply.error(SYNTAX)
    const samples = int64Argument(call, i + 1)
    if (samples === undefined) return
    if (samples < 0) return reply.error(SYNTAX)
  }
  const database = databaseOf(call)
  const ref = findKey(call, database, 2, hashOf(call, database, 2))
  if (ref === 0) return reply.nil()
  const { state } = call.engine.ledger
  const ofSku = database.kind(ref) === KIND_STOCK ? skuBytes(state, state.sku(database.skuNumber(ref))) : 0
  reply.integer(database.memoryOf(ref) + ofSku)
}

/** What one order costs; an order is no key. */
function memoryOrder(call: Call): void {
  const { request, reply, engine } = call
  if (!isStockDatabase(call)) return
  const { state } = engine.ledger
  const { rows } = state
  const { bytes, start, end } = request
  const row = rows.find(bytes, start[2], end[2], rows.table.hash(bytes, start[2], end[2]))
  if (row === 0) reply.nil()
  else reply.integer(orderBytes(state, row))
}

/** A container alone has too few arguments; its arity says so before it would run. */
function notRun(call: Call): void {
  call.reply.error(SYNTAX)
}

export const objectCommands: readonly CommandSpec[] = [
  {
    name: 'OBJECT',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    categories: ['slow'],
    group: 'generic',
    since: '2.2.3',
    complexity: 'depends on the subcommand',
    summary: 'What there is to know about the inside of a value.',
    syntax: '<subcommand>',
    run: notRun,
    subcommands: [
      {
        name: 'ENCODING',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        keySpecs: [keyAt(2, 'RO')],
        categories: ['keyspace', 'read', 'slow'],
        group: 'generic',
        since: '2.2.3',
        tips: 'nondeterministic_output',
        complexity: 'O(1)',
        summary: 'How Redis would keep the value: int, embstr, raw, listpack, hashtable, intset ...; a SKU: stock; stock:events: stream.',
        syntax: 'key',
        run: encoding,
      },
      {
        name: 'FREQ',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        keySpecs: [keyAt(2, 'RO')],
        categories: ['keyspace', 'read', 'slow'],
        group: 'generic',
        since: '4.0.0',
        tips: 'nondeterministic_output',
        complexity: 'O(1)',
        summary: 'Always an error: access frequencies are not counted.',
        syntax: 'key',
        run: freq,
      },
      {
        name: 'IDLETIME',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        keySpecs: [keyAt(2, 'RO')],
        categories: ['keyspace', 'read', 'slow'],
        group: 'generic',
        since: '2.2.3',
        tips: 'nondeterministic_output',
        complexity: 'O(1)',
        summary: 'Seconds since the key was used.',
        syntax: 'key',
        run: idletime,
      },
      {
        name: 'REFCOUNT',
        arity: 3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        keySpecs: [keyAt(2, 'RO')],
        categories: ['keyspace', 'read', 'slow'],
        group: 'generic',
        since: '2.2.3',
        tips: 'nondeterministic_output',
        complexity: 'O(1)',
        summary: 'How many references Redis would have to the value.',
        syntax: 'key',
        run: refcount,
      },
      {
        name: 'HELP',
        arity: 2,
        flags: ['loading', 'stale'],
        keys: NO_KEYS,
        categories: ['keyspace', 'slow'],
        group: 'generic',
        since: '6.2.0',
        complexity: 'O(1)',
        summary: 'The subcommands of OBJECT.',
        syntax: '',
        run: (call) => help(call, OBJECT_HELP),
      },
    ],
  },
  {
    name: 'MEMORY',
    arity: -2,
    flags: [],
    keys: NO_KEYS,
    categories: ['slow'],
    group: 'server',
    since: '4.0.0',
    complexity: 'depends on the subcommand',
    summary: 'What keys cost.',
    syntax: '<subcommand>',
    run: notRun,
    subcommands: [
      {
        name: 'USAGE',
        arity: -3,
        flags: ['readonly'],
        keys: SECOND_ARGUMENT,
        keySpecs: [keyAt(2, 'RO')],
        categories: ['read', 'slow'],
        group: 'server',
        since: '4.0.0',
        complexity: 'O(1); of a SKU O(N), N SKUs',
        summary: 'Bytes of memory that a key takes, its share of the index included; of a SKU with its share of the orders.',
        syntax: 'key [SAMPLES count]',
        run: memoryUsage,
      },
      {
        name: 'ORDER',
        arity: 3,
        flags: ['readonly'],
        keys: NO_KEYS,
        categories: ['read', 'stock', 'slow'],
        group: 'server',
        since: '0.1.0',
        complexity: 'O(1)',
        summary: 'Bytes of memory that an order takes, its share of the index and of its buyer included.',
        syntax: 'order',
        run: memoryOrder,
      },
      {
        name: 'HELP',
        arity: 2,
        flags: ['loading', 'stale'],
        keys: NO_KEYS,
        categories: ['slow'],
        group: 'server',
        since: '4.0.0',
        complexity: 'O(1)',
        summary: 'The subcommands of MEMORY.',
        syntax: '',
        run: (call) => help(call, MEMORY_HELP),
      },
    ],
  },
]
