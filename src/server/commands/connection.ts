// PING ECHO HELLO AUTH SELECT QUIT RESET: what a client says to open, keep and close its connection.

import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { parseInt64, parseInteger } from '../../base/decimal.ts'
import { DATABASE_OUT_OF_RANGE, NO_PROTOCOL, SYNTAX, VALUE_NOT_AN_INTEGER, WRONG_PASSWORD, wrongArity } from '../../resp/errors.ts'
import type { Reply } from '../../resp/reply.ts'
import { addressOf, Guesses } from '../acl/guesses.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import type { Session } from '../session.ts'
import { CLIENT_NAME_REFUSED, isPrintable } from './client.ts'
import { keyless } from './keyless.ts'

/** The Redis whose replies these are: what HELLO and INFO call the version, because clients choose features by it. */
export const REDIS_VERSION = '7.0.15'

/** Wrong passwords on one connection until it is closed. */
const FAILED_AUTHS_MAX = 3
/** Each wrong password after the first answers so much later than the one before. */
const FAILED_AUTH_DELAY_MS = 200

const NO_PASSWORD_SET =
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?'
const INDEX_OUT_OF_INT = 'ERR value is out of range, value must between -2147483648 and 2147483647'
const HELLO_UNAUTHENTICATED =
  'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be ' +
  'used to authenticate the client and select the RESP protocol version at the same time'

export function connectionCommands(node: Node): CommandSpec[] {
  const { options, stats } = node
  const guesses = new Guesses()

  /** Answers a wrong password; whoever goes on guessing waits longer each time and is then thrown out. */
  const refusePassword = (session: Session, reply: Reply): void => {
    stats.authFailures++
    const tries = ++session.failedAuths
    const close = tries >= FAILED_AUTHS_MAX
    const delay = Math.max((tries - 1) * FAILED_AUTH_DELAY_MS, guesses.delay(addressOf(session.addr), node.engine.now))
    if (session.mayNotWait || delay === 0) {
      if (close) session.isClosing = true
      return reply.error(WRONG_PASSWORD)
    }
    node.park(session, {
      deadline: node.engine.now + delay,
      answer(later) {
        later.error(WRONG_PASSWORD)
        if (close) session.isClosing = true
      },
    })
  }

  /** @param word how the client spelled the command: ACL LOG shows it */
  const authenticate = (session: Session, reply: Reply, name: string, password: Uint8Array, word: string): boolean => {
    // EXEC runs all that is queued, and nothing in it waits: whoever is thrown out guesses no more, nor who would have to wait.
    const isHeard = !session.isClosing && !(session.mayNotWait && guesses.isSuspect(addressOf(session.addr), node.engine.now))
    if (isHeard && node.acl.logIn(session, name, password)) return true
    const isInTransaction = session.transaction !== null || session.mayNotWait
    node.acl.denied(session, 'auth', word, isInTransaction ? 'multi' : 'toplevel', name)
    refusePassword(session, reply)
    return false
  }

  return [
    keyless({
      name: 'PING',
      arity: -1,
      takesData: true,
      whileSubscribed: true,
      flags: ['fast'],
      categories: ['connection'],
      group: 'connection',
      since: '1.0.0',
      tips: 'request_policy:all_shards response_policy:all_succeeded',
      syntax: '[message]',
      summary: 'Answers PONG, or the message',
      run(call) {
        const { request, reply } = call
        if (request.argc > 2) reply.error(wrongArity('ping'))
        else if (sessionOf(call).subscriptions > 0 && reply.protocol === 2) pongToListener(call)
        else if (request.argc === 2) reply.bulk(request.bytes, request.start[1], request.end[1])
        else reply.raw(PONG)
      },
    }),
    keyless({
      name: 'ECHO',
      arity: 2,
      takesData: true,
      flags: ['loading', 'stale', 'fast'],
      categories: ['connection'],
      group: 'connection',
      since: '1.0.0',
      syntax: 'message',
      summary: 'Answers the message',
      run({ request, reply }) {
        reply.bulk(request.bytes, request.start[1], request.end[1])
      },
    }),
    keyless({
      name: 'SELECT',
      arity: 2,
      flags: ['loading', 'stale', 'fast'],
      categories: ['connection'],
      group: 'connection',
      since: '1.0.0',
      syntax: 'index',
      summary: 'Chooses the database that this connection works in',
      run({ request, reply, client }) {
        const index = parseInt64(request.bytes, request.start[1], request.end[1])
        if (index === undefined) reply.error(VALUE_NOT_AN_INTEGER)
        else if (index < -0x80000000n || index > 0x7fffffffn) reply.error(INDEX_OUT_OF_INT)
        else if (index < 0 || index >= options.values.databases) reply.error(DATABASE_OUT_OF_RANGE)
        else {
          client.database = Number(index)
          reply.ok()
        }
      },
    }),
    keyless({
      name: 'AUTH',
      arity: -2,
      flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
      categories: ['connection'],
      group: 'connection',
      since: '1.0.0',
      complexity: 'O(N), N passwords defined for the user',
      syntax: '[username] password',
      summary: 'Proves who is speaking, by password',
      run(call) {
        const { request, reply } = call
        if (request.argc > 3) return reply.error(SYNTAX)
        if (request.argc === 2 && node.acl.defaultUser.isNopass) return reply.error(NO_PASSWORD_SET)
        const user = request.argc === 2 ? 'default' : request.latin1(1)
        if (authenticate(sessionOf(call), reply, user, request.copy(request.argc - 1), request.latin1(0))) reply.ok()
      },
    }),
    keyless({
      name: 'HELLO',
      arity: -1,
      flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
      categories: ['connection'],
      group: 'connection',
      since: '6.0.0',
      syntax: '[protover [AUTH username password] [SETNAME clientname]]',
      summary: 'Agrees on the protocol, and may authenticate and name the connection in the same step',
      run: (call) => hello(call),
    }),
    keyless({
      name: 'QUIT',
      whileSubscribed: true,
      arity: -1,
      flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
      categories: ['connection'],
      group: 'connection',
      since: '1.0.0',
      syntax: '',
      summary: 'Ends the connection after this reply',
      run(call) {
        call.reply.ok()
        sessionOf(call).isClosing = true
      },
    }),
    keyless({
      name: 'RESET',
      whileSubscribed: true,
      arity: 1,
      flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
      categories: ['connection'],
      group: 'connection',
      since: '6.2.0',
      syntax: '',
      summary: 'Brings the connection back to how it was when it was opened',
      run(call) {
        sessionOf(call).reset(node.acl.defaultUser, call.now)
        call.reply.protocol = 2
        call.reply.simple('RESET')
      },
    }),
  ]

  function hello(call: Call): void {
    const { request, reply } = call
    const session = sessionOf(call)
    let protocol: 2 | 3 | null = null
    if (request.argc > 1) {
      const version = parseInteger(request.bytes, request.start[1], request.end[1])
      if (Number.isNaN(version)) return reply.error('ERR Protocol version is not an integer or out of range')
      if (version !== 2 && version !== 3) return reply.error(NO_PROTOCOL)
      protocol = version
    }
    for (let i = 2; i < request.argc; i++) {
      const left = request.argc - 1 - i
      if (request.is(i, 'AUTH') && left >= 2) {
        if (!authenticate(session, reply, request.latin1(i + 1), request.copy(i + 2), request.latin1(0))) return
        i += 2
      } else if (request.is(i, 'SETNAME') && left >= 1) {
        const name = request.latin1(++i)
        if (!isPrintable(name)) return reply.error(CLIENT_NAME_REFUSED)
        session.name = name
      } else return reply.error(`ERR Syntax error in HELLO option '${request.latin1(i)}'`)
    }
    if (!session.isAuthenticated) return reply.error(HELLO_UNAUTHENTICATED)

    if (protocol !== null) {
      session.protocol = protocol
      reply.protocol = protocol
    }
    reply.map(7)
    reply.text('server')
    reply.text('redis')
    reply.text('version')
    reply.text(REDIS_VERSION)
    reply.text('proto')
    reply.integer(session.protocol)
    reply.text('id')
    reply.integer(session.id)
    reply.text('mode')
    reply.text('standalone')
    reply.text('role')
    reply.text('master')
    reply.text('modules')
    reply.array(0)
  }
}

/** Among messages an answer looks like one. */
function pongToListener({ request, reply }: Call): void {
  reply.array(2)
  reply.text('pong')
  if (request.argc === 1) reply.emptyBulk()
  else reply.bulk(request.bytes, request.start[1], request.end[1])
}

const PONG = Buffer.from('+PONG\r\n')
