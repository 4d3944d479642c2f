// MONITOR: shows a session every command that runs (monitors.ts).

import type { CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { keyless } from './keyless.ts'

export function monitorCommand(node: Node): CommandSpec {
  return keyless({
    name: 'MONITOR',
    arity: 1,
    flags: ['admin', 'noscript', 'loading', 'stale'],
    group: 'server',
    since: '1.0.0',
    syntax: '',
    summary: 'Shows every command that runs from now on.',
    run(call) {
      const session = sessionOf(call)
      if (session.mayNotWait) return call.reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client")
      // As redis-server: who asks again is not answered.
      if (session.monitoring !== null) return
      node.monitors.add(session)
      call.reply.ok()
    },
  })
}
