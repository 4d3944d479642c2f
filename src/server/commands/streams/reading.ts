// XREAD XRANGE XREVRANGE XLEN XINFO: stock:events read as any Redis client reads a stream. There is no other stream: every other key is
// none, or of the wrong type.
//
// Arguments are judged as redis-server 7.0.15 does, in its order and with its texts. Two things differ, because a log can be longer than
// any reply should be: XREAD gives what has room in one reply, from which its reader goes on anyway, and a range that has no room is refused.

import { parseInt64 } from '../../../base/decimal.ts'
import type { Call } from '../../../engine/call.ts'
import { NO_KEYS } from '../../../engine/command.ts'
import type { CommandSpec } from '../../../engine/command.ts'
import { keyAt, keysBehind } from '../../../engine/key-specs.ts'
import { int64Argument } from '../../../engine/commands/instants.ts'
import { EVENT_STREAM, NO_STREAM, OTHER_TYPE, streamKey } from '../../../engine/commands/key-access.ts'
import { NO_SUCH_KEY, SYNTAX, WRONG_TYPE, wrongSubcommand } from '../../../resp/errors.ts'
import type { Reply } from '../../../resp/reply.ts'
import type { Request } from '../../../resp/request.ts'
import type { FeedEntry } from '../../event-feed.ts'
import type { Node } from '../../node.ts'
import { container } from '../keyless.ts'
import { EventStream, writeEntries, writeEntry } from './event-stream.ts'
import type { Entries, ReadFrom, Write } from './event-stream.ts'
import { INVALID_ID, isSign, LAST_POSITION, nextId, parseBound, parseId, positionOf, previousId, textOf } from './stream-id.ts'

const FIRST_KEY = { first: 1, last: 1, step: 1 }
const SECOND_KEY = { first: 2, last: 2, step: 1 }
/** XREAD may name stock:events so often, each time with another id: every one is a read of its own. */
const MENTIONS_MAX = 16
/** Entries that XINFO STREAM FULL shows unless it is told how many. */
const FULL_COUNT = 10
/** What a small stream of redis-server has: there is no radix tree here. */
const RADIX_KEYS = 1
const RADIX_NODES = 2

const HELP = [
  'CONSUMERS <key> <groupname>',
  '    Show consumers of <groupname>.',
  'GROUPS <key>',
  '    Show the stream consumer groups.',
  'STREAM <key> [FULL [COUNT <count>]',
  '    Show information about the stream.',
]

/** Index of the first key of a command with STREAMS key ... id ...; -1 if there is none. */
function streamsAt(request: Request, from: number): number {
  for (let i = from; i < request.argc; i++) if (request.is(i, 'STREAMS')) return i + 1 < request.argc ? i + 1 : -1
  return -1
}

/** The keys of STREAMS key ... id ...: the first half of what follows. */
export function streamKeys(request: Request, from: number): number[] | null {
  const first = streamsAt(request, from)
  if (first === -1) return null
  return Array.from({ length: (request.argc - first) >> 1 }, (_, k) => first + k)
}

const SYNTAX_OF_RANGE = 'key start:string end:string [COUNT count]'
const read = { flags: ['readonly'], categories: ['read', 'stream', 'slow'], group: 'stream' } as const

export function streamReadingCommands(node: Node): CommandSpec[] {
  const stream = new EventStream(node)

  return [
    {
      name: 'XREAD',
      arity: -4,
      flags: ['readonly', 'blocking', 'movablekeys'],
      keys: NO_KEYS,
      keySpecs: [keysBehind('STREAMS', 1, 'RO access')],
      keysOf: (request) => streamKeys(request, 1),
      categories: ['read', 'stream', 'slow', 'blocking'],
      group: 'stream',
      since: '5.0.0',
      complexity: 'O(N), N entries returned',
      syntax: '[COUNT count] [BLOCK milliseconds] STREAMS <key [key ...] id [id ...]>',
      summary: 'The events behind an id of stock:events; BLOCK waits for the next ones.',
      run: xread,
    },
    {
      ...read,
      name: 'XRANGE',
      arity: -4,
      keys: FIRST_KEY,
      since: '5.0.0',
      complexity: 'O(N), N entries returned',
      syntax: SYNTAX_OF_RANGE,
      summary: 'The events of stock:events between two ids.',
      run: (call) => xrange(call, false),
    },
    {
      ...read,
      name: 'XREVRANGE',
      arity: -4,
      keys: FIRST_KEY,
      since: '5.0.0',
      complexity: 'O(N), N entries returned',
      syntax: 'key end:string start:string [COUNT count]',
      summary: 'The events of stock:events between two ids, the newest first.',
      run: (call) => xrange(call, true),
    },
    {
      ...read,
      name: 'XLEN',
      arity: 2,
      flags: ['readonly', 'fast'],
      categories: ['read', 'stream', 'fast'],
      keys: FIRST_KEY,
      keySpecs: [keyAt(1, 'RO')],
      since: '5.0.0',
      complexity: 'O(N), N records written since it was last asked',
      syntax: 'key',
      summary: 'How many events stock:events has.',
      run(call) {
        if (isEvents(call, 1, (reply) => reply.integer(0)))
          stream.summary(
            call,
            ({ length }) =>
              (reply) =>
                reply.integer(length),
          )
      },
    },
    container({
      name: 'XINFO',
      group: 'stream',
      since: '5.0.0',
      summary: 'A container for questions about a stream',
      help: HELP,
      helpSince: '5.0.0',
      helpCategories: ['stream'],
      subcommands: [
        {
          ...read,
          name: 'CONSUMERS',
          arity: 4,
          keys: SECOND_KEY,
          since: '5.0.0',
          tips: 'nondeterministic_output',
          complexity: 'O(1)',
          syntax: 'key groupname',
          summary: 'Always an error: stock:events has no consumer groups.',
          run(call) {
            if (isEvents(call, 2, noSuchKey)) call.reply.error(noSuchGroup(call.request))
          },
        },
        {
          ...read,
          name: 'GROUPS',
          arity: 3,
          keys: SECOND_KEY,
          since: '5.0.0',
          complexity: 'O(1)',
          syntax: 'key',
          summary: 'Always empty: stock:events has no consumer groups.',
          run(call) {
            if (isEvents(call, 2, noSuchKey)) call.reply.array(0)
          },
        },
        {
          ...read,
          name: 'STREAM',
          arity: -3,
          keys: SECOND_KEY,
          since: '5.0.0',
          complexity: 'as XLEN; with FULL also O(N), N entries returned',
          syntax: 'key [FULL [COUNT count]]',
          summary: 'Length, ids, first and last event of stock:events.',
          run: xinfoStream,
        },
      ],
    }),
  ]

  function xread(call: Call): void {
    const { request, reply } = call
    let blockMs: number | null = null
    let count = Infinity
    let first = 0
    for (let i = 1; i < request.argc && first === 0; i++) {
      const hasMore = i + 1 < request.argc
      if (request.is(i, 'BLOCK') && hasMore) {
        blockMs = timeoutArgument(call, ++i)
        if (blockMs === null) return
      } else if (request.is(i, 'COUNT') && hasMore) {
        const n = int64Argument(call, ++i)
        if (n === undefined) return
        count = n > 0 ? Number(n) : Infinity
      } else if (request.is(i, 'STREAMS') && hasMore) {
        first = i + 1
        if ((request.argc - first) % 2 !== 0) return reply.error(UNBALANCED)
      } else if (request.is(i, 'GROUP') && i + 2 < request.argc) return reply.error(onlyXreadgroup('GROUP'))
      else if (request.is(i, 'NOACK')) return reply.error(onlyXreadgroup('NOACK'))
      else return reply.error(SYNTAX)
    }
    if (first === 0) return reply.error(SYNTAX)

    const streams = (request.argc - first) >> 1
    const places: ReadFrom[] = []
    for (let i = first; i < first + streams; i++) {
      const kind = streamKey(call, i)
      if (kind === OTHER_TYPE) return reply.error(WRONG_TYPE)
      const id = i + streams
      if (isSign(request, id, '$')) {
        if (kind === EVENT_STREAM) places.push({ from: 'new', count })
        continue
      }
      if (isSign(request, id, '>')) return reply.error(ONLY_FOR_GROUPS)
      const last = parseId(request, id)
      if (last === null) return reply.error(INVALID_ID)
      if (kind !== EVENT_STREAM) continue
      const next = nextId(last)
      places.push({ from: next === null ? LAST_POSITION : positionOf(next), count })
    }
    if (places.length > MENTIONS_MAX) return reply.error(`ERR XREAD may name stock:events ${MENTIONS_MAX} times at most`)
    if (places.length > 0) return stream.read(call, places, blockMs, (found) => (later) => writeRead(later, found))
    if (blockMs === null) reply.nilArray()
    else stream.waitInVain(call, blockMs)
  }

  function xrange(call: Call, isReverse: boolean): void {
    const { request, reply } = call
    const start = parseBound(request, isReverse ? 3 : 2, 'first')
    if (start === null) return reply.error(INVALID_ID)
    const from = start.isExclusive ? nextId(start.id) : start.id
    if (from === null) return reply.error('ERR invalid start ID for the interval')
    const end = parseBound(request, isReverse ? 2 : 3, 'last')
    if (end === null) return reply.error(INVALID_ID)
    const to = end.isExclusive ? previousId(end.id) : end.id
    if (to === null) return reply.error('ERR invalid end ID for the interval')
    let count: number | bigint = -1
    for (let i = 4; i < request.argc; i += 2) {
      if (!request.is(i, 'COUNT') || i + 1 === request.argc) return reply.error(SYNTAX)
      const n = int64Argument(call, i + 1)
      if (n === undefined) return
      count = n < 0 ? 0 : n
    }
    if (!isEvents(call, 1, (missing) => missing.array(0))) return
    if (count === 0) return reply.nilArray()
    if (from > to) return reply.array(0)
    const range = { from: positionOf(from), to: positionOf(to), count: count === -1 ? Infinity : Number(count), isReverse }
    stream.range(call, range, whole(writeEntries))
  }

  function xinfoStream(call: Call): void {
    const { request, reply } = call
    if (!isEvents(call, 2, noSuchKey)) return
    if (request.argc === 3) {
      return stream.summary(call, ({ length, first, last }) => (later) => {
        writeStream(later, { length, first, last, fields: 10 })
        later.text('groups')
        later.integer(0)
        later.text('first-entry')
        writeEntryOrNil(later, first)
        later.text('last-entry')
        writeEntryOrNil(later, last)
      })
    }
    if ((request.argc !== 4 && request.argc !== 6) || !request.is(3, 'FULL') || (request.argc === 6 && !request.is(4, 'COUNT'))) {
      return reply.error(wrongSubcommand(request, 'XINFO'))
    }
    let count: number | bigint = FULL_COUNT
    if (request.argc === 6) {
      const n = int64Argument(call, 5)
      if (n === undefined) return
      count = n < 0 ? FULL_COUNT : n
    }
    stream.summaryAndFirst(call, count === 0 ? Infinity : Number(count), ({ length, first, last }, entries) =>
      whole((later, shown) => {
        writeStream(later, { length, first, last, fields: 9 })
        later.text('entries')
        writeEntries(later, shown)
        later.text('groups')
        later.array(0)
      })(entries),
    )
  }

  /** Writes the entries if they are all that was asked for, else says why not. */
  function whole(write: (reply: Reply, entries: Entries) => void): (entries: Entries) => Write {
    return (entries) => (reply) => {
      if (!entries.isCut) write(reply, entries)
      else reply.error(`ERR one reply takes at most ${stream.replyBytesMax} bytes of events, and these are more: read them with COUNT`)
    }
  }
}

/** True if argument i is stock:events; else the client has what it gets for a missing key, or its WRONGTYPE. */
function isEvents(call: Call, i: number, ifMissing: Write): boolean {
  const kind = streamKey(call, i)
  if (kind === NO_STREAM) ifMissing(call.reply)
  else if (kind === OTHER_TYPE) call.reply.error(WRONG_TYPE)
  return kind === EVENT_STREAM
}

/** Milliseconds to wait; null, and the client has its error, if they are none. */
function timeoutArgument(call: Call, i: number): number | null {
  const { request, reply } = call
  const ms = parseInt64(request.bytes, request.start[i], request.end[i])
  if (ms === undefined) reply.error('ERR timeout is not an integer or out of range')
  else if (ms < 0n) reply.error('ERR timeout is negative')
  else return Number(ms)
  return null
}

const noSuchKey = (reply: Reply): void => reply.error(NO_SUCH_KEY)

function noSuchGroup(request: Request): string {
  return `NOGROUP No such consumer group '${request.untilNul(3)}' for key name '${request.untilNul(2)}'`
}

const UNBALANCED = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
const ONLY_FOR_GROUPS = 'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.'
const onlyXreadgroup = (option: string): string => `ERR The ${option} option is only supported by XREADGROUP. You called XREAD instead.`

const STOCK_EVENTS = 'stock:events'

function writeRead(reply: Reply, found: readonly Entries[]): void {
  if (reply.protocol === 3) reply.map(found.length)
  else reply.array(found.length)
  for (const entries of found) {
    if (reply.protocol === 2) reply.array(2)
    reply.latin1(STOCK_EVENTS)
    writeEntries(reply, entries)
  }
}

interface Described {
  readonly length: number
  readonly first: FeedEntry | null
  readonly last: FeedEntry | null
  readonly fields: number
}

/** What XINFO STREAM says with and without FULL. Entries go with their segments, so what is missing in front was deleted. */
function writeStream(reply: Reply, { length, first, last, fields }: Described): void {
  reply.map(fields)
  reply.text('length')
  reply.integer(length)
  reply.text('radix-tree-keys')
  reply.integer(length === 0 ? 0 : RADIX_KEYS)
  reply.text('radix-tree-nodes')
  reply.integer(length === 0 ? 1 : RADIX_NODES)
  reply.text('last-generated-id')
  reply.text(last === null ? '0-0' : textOf(last))
  reply.text('max-deleted-entry-id')
  reply.text('0-0')
  reply.text('entries-added')
  reply.integer(length)
  reply.text('recorded-first-entry-id')
  reply.text(first === null ? '0-0' : textOf(first))
}

function writeEntryOrNil(reply: Reply, entry: FeedEntry | null): void {
  if (entry === null) reply.nil()
  else writeEntry(reply, entry)
}
