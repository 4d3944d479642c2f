// MULTI EXEC DISCARD WATCH UNWATCH: several requests as one, with nobody in between. Dispatch queues what comes after MULTI.

import type { Call } from '../../engine/call.ts'
import { ALL_ARGUMENTS } from '../../engine/command.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { keysFrom } from '../../engine/key-specs.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { Transaction } from '../transactions/transaction.ts'
import { Watch } from '../transactions/watches.ts'
import { categoriesOf, keyless } from './keyless.ts'

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
      summary: 'Begins a transaction: what follows is queued until EXEC.',
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
      summary: 'Runs what was queued since MULTI, one after another and nobody in between.',
      run: (call) => exec(call),
    }),
    keyless({
      ...COMMON,
      name: 'DISCARD',
      arity: 1,
      flags: FLAGS,
      since: '2.0.0',
      complexity: 'O(N), N queued commands',
      syntax: '',
      summary: 'Forgets what was queued since MULTI.',
      run(call) {
        const session = sessionOf(call)
        if (session.transaction === null) return call.reply.error('ERR DISCARD without MULTI')
        session.discard()
        call.reply.ok()
      },
    }),
    {
      ...COMMON,
      name: 'WATCH',
      arity: -2,
      flags: FLAGS,
      keys: ALL_ARGUMENTS,
      keySpecs: [keysFrom(1, 'RO')],
      categories: categoriesOf(FLAGS, COMMON.categories),
      since: '2.2.0',
      complexity: 'O(1) for every key',
      syntax: 'key [key ...]',
      summary: 'Lets the next EXEC run only if none of these keys changes before it.',
      run: (call) => watch(call),
    },
    keyless({
      ...COMMON,
      name: 'UNWATCH',
      arity: 1,
      flags: FLAGS,
      since: '2.2.0',
      syntax: '',
      summary: 'Watches no keys any more.',
      run(call) {
        sessionOf(call).watch?.end()
        call.reply.ok()
      },
    }),
  ]

  function watch(call: Call): void {
    const { request, reply, client } = call
    const session = sessionOf(call)
    if (session.transaction !== null) return reply.error('ERR WATCH inside MULTI is not allowed')
    const { watches } = node
    const watching = (session.watch ??= new Watch(watches))
    // What has changed already will not be as it was, whatever else is watched.
    if (!watching.isBroken) {
      if (watches.isAny) watches.catchUp()
      for (let i = 1; i < request.argc; i++) watches.add(watching, request, i, client.database)
    }
    reply.ok()
  }

  function exec(call: Call): void {
    const { reply } = call
    const session = sessionOf(call)
    const { transaction } = session
    if (transaction === null) return reply.error('ERR EXEC without MULTI')
    if (transaction.isRefused) {
      session.discard()
      return reply.error('EXECABORT Transaction discarded because of previous errors.')
    }
    const isBroken = session.watch !== null && node.watches.isBroken(session.watch)
    if (isBroken) reply.nilArray()
    else node.runQueued(session, transaction)
    // Not before: CLIENT INFO in it tells of it.
    session.discard()
  }
}
