// SLOWLOG: the commands that took long.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { parseInteger } from '../../base/decimal.ts'
import { wrongSubcommand } from '../../resp/errors.ts'
import type { Slowlog } from '../slowlog.ts'
import { container, keyless } from './keyless.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'loading', 'stale']
const SHOWN = 10

const HELP = [
  'GET [<count>]',
  '    Return top <count> entries from the slowlog (default: 10, -1 mean all).',
  '    Entries are made of:',
  '    id, timestamp, time in microseconds, arguments array, client IP and port,',
  '    client name',
  'LEN',
  '    Return the length of the slowlog.',
  'RESET',
  '    Reset the slowlog.',
]

export function slowlogCommand(slowlog: Slowlog): CommandSpec {
  return container({
    name: 'SLOWLOG',
    group: 'server',
    since: '2.2.12',
    summary: 'About commands that took long',
    help: HELP,
    helpSince: '6.2.0',
    subcommands: [
      keyless({
        name: 'GET',
        arity: -2,
        flags: ADMIN,
        group: 'server',
        since: '2.2.12',
        tips: 'request_policy:all_nodes nondeterministic_output',
        complexity: 'O(N), N entries returned',
        syntax: '[count]',
        summary: 'The newest slow commands',
        run: (call) => get(call),
      }),
      keyless({
        name: 'LEN',
        arity: 2,
        flags: ADMIN,
        group: 'server',
        since: '2.2.12',
        tips: 'request_policy:all_nodes response_policy:agg_sum nondeterministic_output',
        syntax: '',
        summary: 'How many slow commands are kept',
        run: ({ reply }) => reply.integer(slowlog.entries.length),
      }),
      keyless({
        name: 'RESET',
        arity: 2,
        flags: ADMIN,
        group: 'server',
        since: '2.2.12',
        tips: 'request_policy:all_nodes response_policy:all_succeeded',
        complexity: 'O(N), N entries in the slowlog',
        syntax: '',
        summary: 'Forgets the slow commands',
        run({ reply }) {
          slowlog.reset()
          reply.ok()
        },
      }),
    ],
  })

  function get({ request, reply }: Call): void {
    let count = SHOWN
    if (request.argc === 3) {
      count = parseInteger(request.bytes, request.start[2], request.end[2])
      if (!(count >= -1)) return reply.error('ERR count should be greater than or equal to -1')
      if (count === -1) count = Infinity
    } else if (request.argc > 3) {
      return reply.error(wrongSubcommand(request, 'SLOWLOG'))
    }
    const entries = slowlog.entries.slice(0, count)
    reply.array(entries.length)
    for (const entry of entries) {
      reply.array(6)
      reply.integer(entry.id)
      reply.integer(entry.time)
      reply.integer(entry.micros)
      reply.array(entry.args.length)
      for (const argument of entry.args) reply.latin1(argument)
      reply.text(entry.addr)
      reply.latin1(entry.name)
    }
  }
}
