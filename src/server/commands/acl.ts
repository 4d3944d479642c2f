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
      summary: 'A container for Access List Control commands ',
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
          summary: 'Return the name of the user associated to the current connection',
          run: (call) => call.reply.latin1(sessionOf(call).user),
        }),
      ],
    }),
  ]
}
