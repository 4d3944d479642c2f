// MULTI EXEC DISCARD: several requests as one, with nobody in between. Dispatch queues what comes after MULTI.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { Transaction } from '../transactions/transaction.ts'
import { keyless } from './keyless.ts'

const FLAGS: readonly CommandFlag[] = ['noscript', 'loading', 'stale', 'fast', 'allow_busy']
const COMMON = { categories: ['transaction'], group: 'transactions' } as const

export function transactionCommands(node: Node): CommandSpec[] {
  return [
    keyless({
      ...COMMON,
      name: 'MULTI',
      arity: 1,
      flags: FLAGS,
      since: '1.2.0',
      syntax: '',
      summary: 'Begins a transaction: what follows is queued until EXEC',
      run(call) {
        const session = sessionOf(call)
        if (session.transaction !== null) return call.reply.error('ERR MULTI calls can not be nested')
        session.transaction = new Transaction()
        call.reply.ok()
      },
    }),
    keyless({
      ...COMMON,
      name: 'EXEC',
      arity: 1,
      flags: ['noscript', 'loading', 'stale', 'skip_slowlog'],
      since: '1.2.0',
      complexity: 'Depends on commands in the transaction',
      syntax: '',
      summary: 'Runs what was queued since MULTI, one after another and nobody in between',
      run: (call) => exec(call),
    }),
    keyless({
      ...COMMON,
      name: 'DISCARD',
      arity: 1,
      flags: FLAGS,
      since: '2.0.0',
      complexity: 'O(N), when N is the number of queued commands',
      syntax: '',
      summary: 'Forgets what was queued since MULTI',
      run(call) {
        const session = sessionOf(call)
        if (session.transaction === null) return call.reply.error('ERR DISCARD without MULTI')
        session.discard()
        call.reply.ok()
      },
    }),
  ]

  function exec(call: Call): void {
    const { reply } = call
    const session = sessionOf(call)
    const { transaction } = session
    if (transaction === null) return reply.error('ERR EXEC without MULTI')
    if (transaction.isRefused) {
      session.discard()
      return reply.error('EXECABORT Transaction discarded because of previous errors.')
    }
    session.discard()
    node.runQueued(session, transaction)
  }
}
