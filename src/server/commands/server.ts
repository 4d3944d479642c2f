// TIME LASTSAVE SAVE BGSAVE SHUTDOWN BGREWRITEAOF WAIT WAITAOF ROLE REPLICAOF MODULE LOLWUT: the node as a whole.

import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { parseInteger } from '../../base/decimal.ts'
import { SYNTAX, VALUE_NOT_AN_INTEGER, VALUE_NOT_POSITIVE } from '../../resp/errors.ts'
import type { Reply } from '../../resp/reply.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { STOCKD_VERSION } from '../version.ts'
import { timeout } from './client.ts'
import { REDIS_VERSION } from './connection.ts'
import { lastSave } from './info.ts'
import { container, keyless } from './keyless.ts'

const NO_SNAPSHOTS =
  'ERR there are no RDB snapshots: every accepted change is in the log already. BGREWRITEAOF compacts the log, WAITAOF waits for the disk'
const NO_REPLICATION = 'ERR this server does not replicate from Redis; only REPLICAOF NO ONE is accepted'

export function serverCommands(node: Node): CommandSpec[] {
  const { clock } = node

  const replicaOf = ({ request, reply }: Call): void => {
    if (request.is(1, 'NO') && request.is(2, 'ONE')) reply.ok()
    else reply.error(NO_REPLICATION)
  }

  return [
    keyless({
      name: 'TIME',
      arity: 1,
      flags: ['loading', 'stale', 'fast'],
      group: 'server',
      since: '2.6.0',
      tips: 'nondeterministic_output',
      syntax: '',
      summary: "The node's clock: unix seconds and microseconds",
      run({ reply, now }) {
        // The microseconds within the millisecond come from another clock: two TIMEs in one turn still never go back.
        reply.array(2)
        reply.integerBulk(Math.floor(now / 1000))
        reply.integerBulk((now % 1000) * 1000 + (Math.floor(clock.micros()) % 1000))
      },
    }),
    keyless({
      name: 'LASTSAVE',
      arity: 1,
      flags: ['loading', 'stale', 'fast'],
      categories: ['admin', 'dangerous'],
      group: 'server',
      since: '1.0.0',
      tips: 'nondeterministic_output',
      syntax: '',
      summary: 'When the log was last known to be on the disk, in unix seconds',
      run: ({ reply }) => reply.integer(lastSave(node)),
    }),
    keyless({
      name: 'SAVE',
      arity: 1,
      flags: ['admin', 'noscript', 'no_async_loading', 'no_multi'],
      group: 'server',
      since: '1.0.0',
      syntax: '',
      summary: 'Refused: a node keeps a log and makes no snapshots',
      run: ({ reply }) => reply.error(NO_SNAPSHOTS),
    }),
    keyless({
      name: 'BGSAVE',
      arity: -1,
      flags: ['admin', 'noscript', 'no_async_loading'],
      group: 'server',
      since: '1.0.0',
      syntax: '[SCHEDULE]',
      summary: 'Refused: a node keeps a log; BGREWRITEAOF makes it small',
      run: ({ request, reply }) =>
        reply.error(request.argc === 1 || (request.argc === 2 && request.is(1, 'SCHEDULE')) ? NO_SNAPSHOTS : SYNTAX),
    }),
    keyless({
      name: 'BGREWRITEAOF',
      arity: 1,
      flags: ['admin', 'noscript', 'no_async_loading'],
      group: 'server',
      since: '1.0.0',
      syntax: '',
      summary: 'Compacts the log in the background',
      run: (call) => compact(node, call),
    }),
    keyless({
      name: 'SHUTDOWN',
      arity: -1,
      flags: ['admin', 'noscript', 'loading', 'stale', 'no_multi', 'allow_busy'],
      group: 'server',
      since: '1.0.0',
      complexity: 'O(N), N records that are not on the disk',
      syntax: '[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]',
      summary: 'Makes the log durable and stops the node',
      run: (call) => shutdown(call),
    }),
    keyless({
      name: 'WAIT',
      arity: 3,
      flags: ['noscript'],
      categories: ['connection'],
      group: 'generic',
      since: '3.0.0',
      tips: 'request_policy:all_shards response_policy:agg_min',
      syntax: 'numreplicas timeout',
      summary: "How many replicas have this connection's writes: 0, there are none",
      run(call) {
        const { request, reply } = call
        const replicas = parseInteger(request.bytes, request.start[1], request.end[1])
        if (Number.isNaN(replicas)) return reply.error(VALUE_NOT_AN_INTEGER)
        const ms = timeout(call, 2)
        if (ms === null) return
        // There are no replicas to wait for: 0 of them are there at once, more will not come before the time is up.
        if (replicas <= 0) return reply.integer(0)
        node.park(sessionOf(call), {
          isBlocking: true,
          deadline: ms === 0 ? Infinity : node.engine.now + ms,
          isReady: () => false,
          answer: (later) => later.integer(0),
        })
      },
    }),
    keyless({
      name: 'WAITAOF',
      arity: 4,
      flags: ['noscript'],
      categories: ['connection'],
      group: 'generic',
      since: '7.2.0',
      syntax: 'numlocal numreplicas timeout',
      summary: "Waits until this connection's writes are on the disk; answers how many logs and how many replicas have them",
      run: (call) => waitAof(call),
    }),
    keyless({
      name: 'ROLE',
      arity: 1,
      flags: ['noscript', 'loading', 'stale', 'fast'],
      categories: ['admin', 'dangerous'],
      group: 'server',
      since: '2.8.12',
      syntax: '',
      summary: 'Says that this node is a master without replicas',
      run({ reply }) {
        reply.array(3)
        reply.text('master')
        // The offset counts what replicas are sent.
        reply.integer(0)
        reply.array(0)
      },
    }),
    keyless({
      name: 'REPLICAOF',
      arity: 3,
      flags: ['admin', 'noscript', 'stale', 'no_async_loading'],
      group: 'server',
      since: '5.0.0',
      syntax: '<host port | NO ONE>',
      summary: 'NO ONE is accepted, anything else refused: there are no replicas',
      run: replicaOf,
    }),
    keyless({
      name: 'SLAVEOF',
      arity: 3,
      flags: ['admin', 'noscript', 'stale', 'no_async_loading'],
      group: 'server',
      since: '1.0.0',
      syntax: '<host port | NO ONE>',
      summary: 'NO ONE is accepted, anything else refused: there are no replicas',
      run: replicaOf,
    }),
    container({
      name: 'MODULE',
      group: 'server',
      since: '4.0.0',
      summary: 'Modules: none can be loaded',
      helpSince: '5.0.0',
      help: ['LIST', '    Return a list of loaded modules: always an empty one.'],
      subcommands: [
        keyless({
          name: 'LIST',
          arity: 2,
          flags: ['admin', 'noscript'],
          group: 'server',
          since: '4.0.0',
          tips: 'nondeterministic_output_order',
          complexity: 'O(1)',
          syntax: '',
          summary: 'Lists the modules that were loaded: there are none',
          run: ({ reply }) => reply.array(0),
        }),
      ],
    }),
    keyless({
      name: 'LOLWUT',
      arity: -1,
      flags: ['readonly', 'fast'],
      group: 'server',
      since: '5.0.0',
      syntax: '[VERSION version]',
      summary: 'The version, in one line',
      run: ({ reply }) => reply.verbatim(`one unit left, sold exactly once\nstockd ver. ${STOCKD_VERSION}, Redis ver. ${REDIS_VERSION}\n`),
    }),
  ]

  function shutdown(call: Call): void {
    const { request, reply } = call
    const seen = new Set<string>()
    for (let i = 1; i < request.argc; i++) {
      const word = request.latin1(i).toUpperCase()
      if (!['NOSAVE', 'SAVE', 'NOW', 'FORCE', 'ABORT'].includes(word)) return reply.error(SYNTAX)
      seen.add(word)
    }
    if ((seen.has('ABORT') && seen.size > 1) || (seen.has('SAVE') && seen.has('NOSAVE'))) return reply.error(SYNTAX)
    if (seen.has('ABORT')) {
      if (node.abortShutdown()) reply.ok()
      else reply.error('ERR No shutdown in progress.')
      return
    }
    // No reply: the connection closes with the node.
    const accepted = node.shutdown({ nosave: seen.has('NOSAVE'), force: seen.has('FORCE'), now: seen.has('NOW') })
    if (!accepted) reply.error('ERR Errors trying to SHUTDOWN. Check logs.')
  }

  function waitAof(call: Call): void {
    const { request, reply } = call
    const local = parseInteger(request.bytes, request.start[1], request.end[1])
    if (Number.isNaN(local)) return reply.error(VALUE_NOT_AN_INTEGER)
    if (local < 0 || local > 1) return reply.error('ERR value is out of range, must be in range of 0 to 1')
    const replicas = parseInteger(request.bytes, request.start[2], request.end[2])
    if (Number.isNaN(replicas)) return reply.error(VALUE_NOT_AN_INTEGER)
    if (replicas < 0) return reply.error(VALUE_NOT_POSITIVE)
    const ms = timeout(call, 3)
    if (ms === null) return
    const { log } = node
    if (local === 1 && log === null) return reply.error('ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.')

    const session = sessionOf(call)
    const need = session.lastLsn
    const isLocal = (): boolean => log !== null && log.durable >= need
    const answer = (later: Reply): void => {
      later.array(2)
      later.integer(isLocal() ? 1 : 0)
      later.integer(0)
    }
    const isReady = (): boolean => replicas === 0 && (local === 0 || isLocal())
    if (isReady()) return answer(reply)
    node.park(session, { isBlocking: true, deadline: ms === 0 ? Infinity : node.engine.now + ms, isReady, answer })
  }
}

/** BGREWRITEAOF and STOCK.AOF COMPACT. */
export function compact(node: Node, call: Call): void {
  const { reply } = call
  const start = node.compact()
  switch (start) {
    case 'started':
      // Inside EXEC redis-server begins it later; the base takes all of the EXEC either way.
      return reply.simple(`Background append only file rewriting ${sessionOf(call).mayNotWait ? 'scheduled' : 'started'}`)
    case 'running':
      return reply.error('ERR Background append only file rewriting already in progress')
    case 'no_log':
      return reply.error('ERR there is no log to compact: appendonly is off')
    case 'refused':
      return reply.error(`ERR the log cannot be compacted now: ${node.log?.refusal() ?? 'see the log of the node'}`)
  }
}
