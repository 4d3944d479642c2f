// STOCK.OUTBOX: the way of events out of the node, for operators and for tools that compare: how far it is, publish again, every order.

import { parseInteger } from '../../base/decimal.ts'
import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { scanOrders } from '../../engine/commands/stock/order-scan.ts'
import { streamName } from '../../engine/events/event.ts'
import { PARTS } from '../../engine/outbox.ts'
import { VALUE_NOT_AN_INTEGER } from '../../resp/errors.ts'
import type { Reply } from '../../resp/reply.ts'
import type { Node } from '../node.ts'
import { container, keyless } from './keyless.ts'

const HELP = [
  'STATUS',
  '    Return where the events go, whether they get there, and how far they are: the numbers of the last event of each of the 16 parts that',
  '    has happened, was published, was taken by the broker, was stored.',
  'SEEK part pseq',
  '    Publish the events of this part behind the number pseq once more.',
  'SCAN cursor [COUNT n]',
  '    Return a cursor and some of the orders that the node keeps: id, state and version of each. The cursor 0 starts and ends.',
  'STREAM',
  '    Return the name of the history that the events are numbered in.',
]

const NO_OUTBOX = 'ERR there is no outbox: it needs a log, and appendonly is off'
const NO_SINK = 'ERR nobody takes the events of this node: neither a broker (--amqp) nor the embedded database (--orders-db)'

export function stockOutboxCommands(node: Node): CommandSpec[] {
  const admin = { group: 'stock', since: '0.1.0', flags: ['admin'], categories: ['stock', 'outbox'] } as const
  return [
    container({
      name: 'STOCK.OUTBOX',
      group: 'stock',
      since: '0.1.0',
      summary: 'A container for commands about events on their way out of the node',
      help: HELP,
      helpSince: '0.1.0',
      subcommands: [
        keyless({
          ...admin,
          name: 'STATUS',
          arity: 2,
          syntax: '',
          summary: 'Shows where events go, how far they are, and what waits.',
          run: ({ reply }) => status(node, reply),
        }),
        keyless({
          ...admin,
          name: 'SEEK',
          arity: 4,
          syntax: 'part pseq',
          summary: 'Publishes the events of a part behind a number once more.',
          run: (call) => seek(node, call),
        }),
        keyless({
          ...admin,
          name: 'SCAN',
          arity: -3,
          complexity: 'O(1) a call, O(N) for all N orders',
          syntax: 'cursor [COUNT count]',
          summary: 'Lists orders with state and version, and the cursor for the next ones; 0 is the end.',
          run: (call) => scanOrders(call, 2),
        }),
        keyless({
          ...admin,
          name: 'STREAM',
          arity: 2,
          syntax: '',
          summary: 'Names the history that events are numbered in.',
          run({ reply }) {
            const { log, options } = node
            if (log === null) reply.error(NO_OUTBOX)
            else reply.text(streamName(options.values['node-number'], log.nodeId, log.epoch))
          },
        }),
      ],
    }),
  ]
}

function status({ feed, log, options, engine }: Node, reply: Reply): void {
  if (feed === null || log === null) {
    reply.map(1)
    reply.text('enabled')
    return reply.integer(0)
  }
  const { status: told } = feed
  const texts: [string, string][] = [
    ['sink', told.sink],
    ['state', told.state],
    ['stream', streamName(options.values['node-number'], log.nodeId, log.epoch)],
  ]
  const numbers: [string, number][] = [
    ['enabled', 1],
    ['connected', told.isConnected ? 1 : 0],
    ['lag_ms', told.lagMs],
    ['stored_lsn', told.storedLsn],
    ['stored_time', told.storedTime],
    ['last_lsn', log.last],
    ['backlog_bytes', told.backlogBytes],
    ['backlog_bytes_max', told.backlogBytesMax],
  ]
  const parts: [string, readonly number[]][] = [
    ['last', Array.from({ length: PARTS }, (_, part) => engine.outbox.last(part))],
    ['published', told.published],
    ['acked', told.acked],
    ['stored', told.stored],
  ]
  reply.map(texts.length + numbers.length + parts.length)
  for (const [name, text] of texts) {
    reply.text(name)
    reply.text(text)
  }
  for (const [name, n] of numbers) {
    reply.text(name)
    // An LSN or a limit that is not there yet has no number.
    reply.integer(Number.isSafeInteger(n) ? n : -1)
  }
  for (const [name, list] of parts) {
    reply.text(name)
    reply.array(list.length)
    for (const n of list) reply.integer(n)
  }
}

function seek({ feed, engine }: Node, { request, reply }: Call): void {
  const part = parseInteger(request.bytes, request.start[2], request.end[2])
  const pseq = parseInteger(request.bytes, request.start[3], request.end[3])
  if (Number.isNaN(part) || Number.isNaN(pseq)) return reply.error(VALUE_NOT_AN_INTEGER)
  if (part < 0 || part >= PARTS) return reply.error(`ERR part must be 0 to ${PARTS - 1}`)
  const last = engine.outbox.last(part)
  if (pseq < 0 || pseq > last) return reply.error(`ERR pseq must be 0 to ${last}: so many events has part ${part}`)
  if (feed === null) return reply.error(NO_OUTBOX)
  if (feed.status.sink === 'none') return reply.error(NO_SINK)
  feed.seek(part, pseq)
  reply.ok()
}
