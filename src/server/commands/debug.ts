// DEBUG: for tests and for looking inside. Guarded by enable-debug-command, which no client can change.
//
// What Redis's DEBUG can break here is left out: nothing in this file makes the log and the memory differ.

import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { encodingName } from '../../engine/commands/object.ts'
import { Engine } from '../../engine/engine.ts'
import { Journal } from '../../engine/journal.ts'
import { parseInteger } from '../../base/decimal.ts'
import { RecordParser } from '../../aof/record-parser.ts'
import { SYNTAX, VALUE_NOT_AN_INTEGER, wrongSubcommand } from '../../resp/errors.ts'
import type { Reply } from '../../resp/reply.ts'
import { Request } from '../../resp/request.ts'
import type { Node } from '../node.ts'
import { human } from './info.ts'
import { rewriteOptionFile } from '../options/file.ts'
import { memory, Refused } from '../options/kinds.ts'
import { keyless, writeHelp } from './keyless.ts'

const SLEEP_SECONDS_MAX = 3600
const POPULATE_MAX = 10_000_000

/** Words of redis-server's DEBUG that have no honest answer here, and why. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...['ASSERT', 'OOM', 'PANIC', 'SEGFAULT'].map((name): [string, string] => [name, 'a node is ended by SHUTDOWN or a signal']),
  ...['RESTART', 'CRASH-AND-RECOVER'].map((name): [string, string] => [name, 'a node is started by whoever stopped it']),
  ...[
    'LISTPACK',
    'QUICKLIST',
    'HTSTATS',
    'HTSTATS-KEY',
    'SDSLEN',
    'STRUCTSIZE',
    'MALLCTL',
    'MALLCTL-STR',
    'REPLYBUFFER',
    'DICT-RESIZING',
  ].map((name): [string, string] => [name, 'values and buffers have other forms here: MEMORY USAGE and DEBUG JMAP tell of them']),
  ['LOADAOF', 'the log is loaded when a node starts; DEBUG RELOAD shows that all of the state can be written and read again'],
  ['CHANGE-REPL-ID', 'there are no replicas'],
  ['REPLICATE', 'there are no replicas'],
  ['PAUSE-CRON', 'holds on stock would not expire'],
  ['SET-DISABLE-DENY-SCRIPTS', 'there are no scripts'],
])

interface Word {
  readonly name: string
  /** Arguments, DEBUG and the word included; negative: at least so many. */
  readonly arity: number
  readonly help: readonly string[]
  run(call: Call): void
}

export function debugCommands(node: Node): CommandSpec[] {
  const words: readonly Word[] = [
    {
      name: 'CONFIG-REWRITE-FORCE-ALL',
      arity: 2,
      help: ['CONFIG-REWRITE-FORCE-ALL', '    Like CONFIG REWRITE, with the options that have their default, too.'],
      run({ reply }) {
        const reason = rewriteOptionFile(node.options, { withDefaults: true })
        if (reason === null) reply.ok()
        else reply.error(`ERR CONFIG-REWRITE-FORCE-ALL failed: ${reason}`)
      },
    },
    {
      name: 'DIGEST',
      arity: 2,
      help: ['DIGEST', '    Output a hex signature representing the current state: keys, stock and orders.'],
      run: ({ reply }) => reply.simple(node.engine.digest().padStart(40, '0')),
    },
    {
      name: 'DIGEST-VALUE',
      arity: -2,
      help: ['DIGEST-VALUE <key> [<key> ...]', '    Output a hex signature of the values of all the specified keys.'],
      run: (call) => digestValues(call),
    },
    {
      name: 'ERROR',
      arity: 3,
      help: [
        'ERROR <string>',
        '    Return a Redis protocol error with <string> as message. Useful for clients',
        '    unit tests to simulate Redis errors.',
      ],
      run: ({ request, reply }) => reply.error(request.latin1(2)),
    },
    {
      name: 'JMAP',
      arity: 2,
      help: ['JMAP', '    Show how much memory the parts of the process and of the tables use.'],
      run: ({ reply }) => reply.verbatim(memoryMap(node)),
    },
    {
      name: 'LOG',
      arity: 3,
      help: ['LOG <message>', '    Write <message> to the server log.'],
      run({ request, reply }) {
        node.env.say('warning', 'DEBUG LOG', { message: request.latin1(2) })
        reply.ok()
      },
    },
    {
      name: 'OBJECT',
      arity: 3,
      help: ['OBJECT <key>', '    Show low level info about `key` and associated value.'],
      run: (call) => describeKey(call),
    },
    {
      name: 'POPULATE',
      arity: -3,
      help: [
        'POPULATE <count> [<prefix>] [<size>]',
        '    Create <count> string keys named key:<num>. If <prefix> is specified then',
        "    it is used instead of the 'key' prefix.",
      ],
      run: (call) => populate(call),
    },
    {
      name: 'PROTOCOL',
      arity: 3,
      help: [
        'PROTOCOL <type>',
        '    Reply with a test value of the specified type. <type> can be: string,',
        '    integer, double, bignum, null, array, set, map, attrib, push, verbatim,',
        '    true, false.',
      ],
      run: (call) => protocolSample(call),
    },
    {
      name: 'QUICKLIST-PACKED-THRESHOLD',
      arity: 3,
      help: ['QUICKLIST-PACKED-THRESHOLD <size>', '    Accepted, and changes nothing: no element gets a block of its own for its size.'],
      run({ request, reply }) {
        const size = memory(0).parse(request.latin1(2))
        if (size instanceof Refused) reply.error(`ERR ${size.reason}`)
        else reply.ok()
      },
    },
    {
      name: 'RELOAD',
      arity: -2,
      help: [
        'RELOAD',
        '    Write the whole state as records, load them into an empty engine and compare.',
        '    The state that is served stays as it is.',
      ],
      run: ({ reply }) => reload(node, reply),
    },
    {
      name: 'SET-ACTIVE-EXPIRE',
      arity: 3,
      help: [
        'SET-ACTIVE-EXPIRE <0|1>',
        '    Setting it to 0 disables expiring keys in background when they are not',
        '    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the',
        '    default. Holds on stock always expire.',
      ],
      run({ request, reply }) {
        node.engine.keyspace.isExpiringActively = request.latin1(2) !== '0'
        reply.ok()
      },
    },
    {
      name: 'SLEEP',
      arity: 3,
      help: ['SLEEP <seconds>', '    Stop the server for <seconds>. Decimals allowed.'],
      run({ request, reply }) {
        const text = request.latin1(2)
        // Like C's strtod, which Redis asks: what is no number is 0.
        const seconds = /^[0-9]{1,9}(\.[0-9]*)?$|^\.[0-9]+$/.test(text) ? Math.min(Number(text), SLEEP_SECONDS_MAX) : 0
        if (seconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000)
        reply.ok()
      },
    },
  ]
  const help = words.flatMap((word) => word.help)

  return [
    keyless({
      name: 'DEBUG',
      arity: -2,
      flags: ['admin', 'noscript', 'loading', 'stale', 'protected'],
      group: 'server',
      since: '1.0.0',
      complexity: 'Depends on subcommand.',
      syntax: '',
      summary: 'For tests and for looking inside',
      run(call) {
        const { request, reply } = call
        if (request.argc === 2 && request.is(1, 'HELP')) return writeHelp(call, 'DEBUG', help)
        const refusal = REFUSED.get(request.latin1(1).toUpperCase())
        if (refusal !== undefined) return reply.error(`ERR DEBUG ${request.latin1(1).toUpperCase()} is not supported: ${refusal}`)
        const word = words.find((one) => request.is(1, one.name))
        if (word === undefined || (word.arity >= 0 ? request.argc !== word.arity : request.argc < -word.arity)) {
          return reply.error(wrongSubcommand(request, 'DEBUG'))
        }
        word.run(call)
      },
    }),
  ]

  function describeKey({ request, reply, client, engine }: Call): void {
    const database = engine.keyspace.databases[client.database]
    const hash = database.hash(request.bytes, request.start[2], request.end[2])
    const ref = database.find(request.bytes, request.start[2], request.end[2], hash)
    if (ref === 0) return reply.error('ERR no such key')
    const idle = engine.keyspace.idleSeconds(database, ref)
    reply.simple(
      `Value at:0x${ref.toString(16)} refcount:1 encoding:${encodingName(engine.keyspace, database, ref)} serializedlength:${database.valueLength(ref)} ` +
        `lru:${database.accessSecond(ref)} lru_seconds_idle:${idle}`,
    )
  }

  /** Equal for equal values of whatever keys, and zeros for none. */
  function digestValues({ request, reply, client, engine }: Call): void {
    const database = engine.keyspace.databases[client.database]
    reply.array(request.argc - 2)
    for (let i = 2; i < request.argc; i++) {
      const hash = database.hash(request.bytes, request.start[i], request.end[i])
      const ref = database.find(request.bytes, request.start[i], request.end[i], hash)
      const [a, b] = ref === 0 ? [0, 0] : database.valueDigest(ref)
      reply.text(
        [a, b]
          .map((half) => (half >>> 0).toString(16).padStart(8, '0'))
          .join('')
          .padStart(40, '0'),
      )
    }
  }

  function populate(call: Call): void {
    const { request, reply } = call
    const count = parseInteger(request.bytes, request.start[2], request.end[2])
    const size = request.argc > 4 ? parseInteger(request.bytes, request.start[4], request.end[4]) : 0
    if (Number.isNaN(count) || Number.isNaN(size)) return reply.error(VALUE_NOT_AN_INTEGER)
    if (count < 0 || count > POPULATE_MAX || size < 0 || size > 1024 * 1024 || request.argc > 5) return reply.error(SYNTAX)
    const refusal = node.log?.refusal() ?? null
    if (refusal !== null) return reply.error(refusal)
    const prefix = request.argc > 3 ? request.latin1(3) : 'key'
    const set = node.commands.get('SET')!
    // As if a client had sent SET ... NX: their replies are dropped.
    const mark = reply.length
    const command = new Request()
    call.request = command
    for (let i = 0; i < count; i++) {
      const value = Buffer.alloc(Math.max(size, `value:${i}`.length))
      value.write(`value:${i}`)
      set.run(
        Object.assign(call, {
          request: command.set(['SET', Buffer.from(`${prefix}:${i}`, 'latin1'), size > 0 ? value.subarray(0, size) : value, 'NX']),
        }),
      )
      reply.length = mark
    }
    call.request = request
    reply.ok()
  }
}

/** Proves that the state can be written and read again: what compaction and every restart rely on. */
function reload(node: Node, reply: Reply): void {
  const { engine } = node
  const copy = new Engine(engine.options)
  const journal = new Journal()
  const parser = new RecordParser()
  const record = new Request()
  const sink = {
    record(bytes: Uint8Array, argc: number, start: Request['start'], end: Request['end']): void {
      record.bytes = bytes
      record.argc = argc
      record.start = start
      record.end = end
      copy.replay(record)
    },
  }
  for (const _ of engine.snapshot(journal)) {
    parser.parse(journal.buffer, 0, journal.length, 1, sink)
    journal.drained()
  }
  parser.parse(journal.buffer, 0, journal.length, 1, sink)
  const [before, after] = [engine.digest(), copy.digest()]
  if (before === after) reply.ok()
  else reply.error(`ERR the state read back differs: digest ${after} instead of ${before}`)
}

function memoryMap(node: Node): string {
  const heap = getHeapStatistics()
  const { rss, external, arrayBuffers } = process.memoryUsage()
  const lines: [string, number][] = [
    ['resident', rss],
    ['tables of keys', node.engine.keyspace.usedBytes],
    ['heap used', heap.used_heap_size],
    ['heap limit', heap.heap_size_limit],
    ['external', external],
    ['array buffers', arrayBuffers],
    ...getHeapSpaceStatistics().map((space): [string, number] => [`heap ${space.space_name}`, space.space_used_size]),
  ]
  return lines.map(([name, bytes]) => `${name.padEnd(32)} ${String(bytes).padStart(14)} ${human(bytes)}\n`).join('')
}

/** One reply of each type, for tests of clients. */
function protocolSample({ request, reply }: Call): void {
  const type = request.latin1(2).toLowerCase()
  const isThree = reply.protocol === 3
  const numbers = (): void => {
    for (let i = 0; i < 3; i++) reply.integer(i)
  }
  switch (type) {
    case 'string':
      return reply.text('Hello World')
    case 'integer':
      return reply.integer(12345)
    case 'double':
      return reply.double('3.141')
    case 'null':
      return reply.nil()
    case 'array':
      reply.array(3)
      return numbers()
    case 'set':
      reply.set(3)
      return numbers()
    case 'map':
      reply.map(3)
      for (let i = 0; i < 3; i++) {
        reply.integer(i)
        reply.boolean(i === 1)
      }
      return
    case 'attrib':
      if (isThree) {
        reply.raw(Buffer.from('|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n'))
      }
      return reply.text('Some real reply following the attribute')
    case 'push':
      if (!isThree) return reply.error('ERR RESP2 is not supported by this command')
      reply.push(2)
      reply.text('server-cpu-usage')
      reply.integer(42)
      return reply.text('Some real reply following the push reply')
    case 'bignum':
      return isThree
        ? reply.raw(Buffer.from('(1234567999999999999999999999999999999\r\n'))
        : reply.text('1234567999999999999999999999999999999')
    case 'verbatim':
      return reply.verbatim('This is a verbatim\nstring')
    case 'true':
      return reply.boolean(true)
    case 'false':
      return reply.boolean(false)
    default:
      return reply.error(
        'ERR Wrong protocol type name. Please use one of the following: ' +
          'string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false',
      )
  }
}
