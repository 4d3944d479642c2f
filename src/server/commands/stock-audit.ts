// STOCK.AUDIT: the recount that runs all the time, for operators: what it has found, and a SKU that it has frozen taken up again.

import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { container, keyless } from './keyless.ts'

const HELP = [
  'STATUS',
  '    Return how far the recount is, and which SKUs it has frozen since when, why, and where the evidence is.',
  'RETRY sku',
  '    Recount a frozen SKU: if its numbers are what its orders say, it takes new orders again. O(N) with N the number of orders.',
]

export function stockAuditCommands(node: Node): CommandSpec[] {
  const admin = { group: 'stock', since: '0.1.0', categories: ['stock'] } as const
  return [
    container({
      name: 'STOCK.AUDIT',
      group: 'stock',
      since: '0.1.0',
      summary: 'A container for commands about the recount of stock',
      help: HELP,
      helpSince: '0.1.0',
      subcommands: [
        keyless({
          ...admin,
          name: 'STATUS',
          arity: 2,
          flags: ['admin'],
          syntax: '',
          summary: 'Shows how far the recount is and what it has found.',
          run: (call) => status(node, call),
        }),
        keyless({
          ...admin,
          name: 'RETRY',
          arity: 3,
          flags: ['admin'],
          complexity: 'O(N), N orders',
          syntax: 'sku',
          summary: 'Recounts a frozen SKU and, if it is clean, lets it take orders again.',
          run: (call) => retry(node, call),
        }),
      ],
    }),
  ]
}

function status({ auditor, options }: Node, { reply }: Call): void {
  const numbers: [string, number][] = [
    ['rate', options.values['audit-rate']],
    ['passes', auditor.passes],
    ['looked', auditor.looked],
    ['violations', auditor.violations],
    ['marks', auditor.marks],
    ['last_mark', auditor.lastMarkAt],
    ['outbox_alarms', auditor.outbox.alarms],
  ]
  reply.map(numbers.length + 2)
  for (const [name, n] of numbers) {
    reply.text(name)
    reply.integer(n)
  }
  reply.text('outbox_alarm')
  reply.text(auditor.outbox.alarm ?? '')
  reply.text('frozen')
  const failures = auditor.failures()
  reply.array(failures.length)
  for (const { failure, evidence } of failures) {
    reply.array(4)
    reply.bulk(failure.bytes, 0, failure.bytes.length)
    reply.integer(failure.since)
    reply.latin1(failure.text)
    reply.text(evidence)
  }
}

function retry({ auditor }: Node, { request, reply }: Call): void {
  const wrong = auditor.retry(request.bytes, request.start[2], request.end[2])
  if (wrong === null) reply.error(`NOSKU no such SKU '${request.latin1(2)}'`)
  else if (wrong.length === 0) reply.ok()
  else reply.error(`MISCONF audit failed again: ${wrong[0]}`)
}
