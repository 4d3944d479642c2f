// STOCK.AOF: the log, for operators: how it is, open it again after a disk error, compact it.

import type { CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { container, keyless } from './keyless.ts'
import { compact } from './server.ts'

const HELP = [
  'STATUS',
  '    Return how far the log is: last, written, durable and acknowledged record, size, and why it refuses writes if it does.',
  'REOPEN',
  '    After a disk error: continue in a new segment, which begins with the records that may not have reached the disk.',
  'COMPACT',
  '    Start a compaction, as BGREWRITEAOF does.',
]

export function stockAofCommands(node: Node): CommandSpec[] {
  const admin = { group: 'stock', since: '0.1.0', categories: ['stock'] } as const
  return [
    container({
      name: 'STOCK.AOF',
      group: 'stock',
      since: '0.1.0',
      summary: 'A container for commands about the log',
      help: HELP,
      helpSince: '0.1.0',
      subcommands: [
        keyless({
          ...admin,
          name: 'STATUS',
          arity: 2,
          flags: ['admin', 'loading', 'stale'],
          syntax: '',
          summary: 'Shows how far the log is.',
          run({ reply }) {
            const { log } = node
            const { values } = node.options
            if (log === null) {
              reply.map(1)
              reply.text('enabled')
              return reply.integer(0)
            }
            const texts: [string, string][] = [
              ['appendfsync', values.appendfsync],
              ['refusal', log.refusal() ?? ''],
            ]
            const numbers: [string, number][] = [
              ['enabled', 1],
              ['last', log.last],
              ['written', log.written],
              ['durable', log.durable],
              ['acked', log.acked],
              ['segment', log.segment],
              ['segments', log.segments],
              ['size', log.sizeBytes],
              ['base_size', log.baseBytes],
              ['compacting', log.isCompacting ? 1 : 0],
            ]
            reply.map(texts.length + numbers.length)
            for (const [name, n] of numbers) {
              reply.text(name)
              reply.integer(n)
            }
            for (const [name, text] of texts) {
              reply.text(name)
              reply.text(text)
            }
          },
        }),
        keyless({
          ...admin,
          name: 'REOPEN',
          arity: 2,
          flags: ['admin', 'noscript'],
          syntax: '',
          summary: 'Continues the log in a new segment after a disk error.',
          run({ reply }) {
            const { log } = node
            if (log === null) return reply.error('ERR there is no log: appendonly is off')
            const reason = log.reopen()
            if (reason === null) reply.ok()
            else reply.error(reason)
          },
        }),
        keyless({
          ...admin,
          name: 'COMPACT',
          arity: 2,
          flags: ['admin', 'noscript'],
          syntax: '',
          summary: 'Starts a compaction of the log.',
          run: (call) => compact(node, call),
        }),
      ],
    }),
  ]
}
