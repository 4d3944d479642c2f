// ACL: there is one user, `default`, who may do everything once the password is right.

import type { CommandSpec } from '../../engine/command.ts'
import { sessionOf } from '../session.ts'
import { container, keyless } from './keyless.ts'

export function aclCommands(): CommandSpec[] {
  return [
    container({
      name: 'ACL',
      group: 'server',
      since: '6.0.0',
      summary: 'About users',
      help: ['WHOAMI', '    Return the current connection username.'],
      helpSince: '6.0.0',
      subcommands: [
        keyless({
          name: 'WHOAMI',
          arity: 2,
          flags: ['noscript', 'loading', 'stale'],
          group: 'server',
          since: '6.0.0',
          syntax: '',
          summary: 'The user of this connection',
          run: (call) => call.reply.latin1(sessionOf(call).user),
        }),
      ],
    }),
  ]
}
