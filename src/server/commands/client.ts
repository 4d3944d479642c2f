// CLIENT: who is connected, what they are called, and how to make them wait or leave.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { parseInteger } from '../../base/decimal.ts'
import { SYNTAX, wrongSubcommand } from '../../resp/errors.ts'
import type { Request } from '../../resp/request.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import type { Session } from '../session.ts'
import { container, keyless } from './keyless.ts'

export const CLIENT_NAME_REFUSED = 'ERR Client names cannot contain spaces, newlines or special characters.'

/** Names appear in CLIENT LIST, whose fields are parted by spaces. */
export function isPrintable(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i)
    if (c < 33 || c > 126) return false
  }
  return true
}

const ASK: readonly CommandFlag[] = ['noscript', 'loading', 'stale']
const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']
const CONNECTION = { categories: ['connection'], group: 'connection' } as const

/** What TYPE may say. There are no masters and replicas here, so those match nobody. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['normal', 'normal'],
  ['slave', 'replica'],
  ['replica', 'replica'],
  ['pubsub', 'pubsub'],
  ['master', 'master'],
])

const HELP = [
  'CACHING (YES|NO)',
  '    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.',
  'GETREDIR',
  '    Return the client ID we are redirecting to when tracking is enabled.',
  'GETNAME',
  '    Return the name of the current connection.',
  'ID',
  '    Return the ID of the current connection.',
  'INFO',
  '    Return information about the current client connection.',
  'KILL <ip:port>',
  '    Kill connection made from <ip:port>.',
  'KILL <option> <value> [<option> <value> [...]]',
  '    Kill connections. Options are:',
  '    * ADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made from the specified address',
  '    * LADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made to specified local address',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Kill connections by type.',
  '    * USER <username>',
  '      Kill connections authenticated by <username>.',
  '    * SKIPME (YES|NO)',
  '      Skip killing current connection (default: yes).',
  'LIST [options ...]',
  '    Return information about client connections. Options:',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Return clients of specified type.',
  'UNPAUSE',
  '    Stop the current client pause, resuming traffic.',
  'PAUSE <timeout> [WRITE|ALL]',
  '    Suspend all, or just write, clients for <timeout> milliseconds.',
  'REPLY (ON|OFF|SKIP)',
  '    Control the replies sent to the current connection.',
  'SETNAME <name>',
  '    Assign the name <name> to the current connection.',
  'SETINFO <option> <value>',
  '    Set client meta attr. Options are:',
  '    * LIB-NAME: the client lib name.',
  '    * LIB-VER: the client lib version.',
  'UNBLOCK <clientid> [TIMEOUT|ERROR]',
  '    Unblock the specified blocked client.',
  'TRACKING OFF',
  '    Server assisted client side caching is not supported.',
  'TRACKINGINFO',
  '    Report tracking status for the current connection.',
  'NO-EVICT (ON|OFF)',
  '    Protect current client connection from eviction.',
  'NO-TOUCH (ON|OFF)',
  '    Will not touch LRU/LFU stats when this mode is on.',
]

const typeOf = (session: Session): string => (session.subscriptions > 0 ? 'pubsub' : 'normal')

/** What a session that has never subscribed listens to. */
const NOTHING = { channels: { size: 0 }, patterns: { size: 0 }, shards: { size: 0 } }

/** What Redis has of a request while it runs: all its bytes. Here it has left the session's buffer by then. */
function bytesOf(request: Request): number {
  let bytes = `*${request.argc}\r\n`.length
  for (let i = 0; i < request.argc; i++) bytes += `$${request.length(i)}\r\n\r\n`.length + request.length(i)
  return bytes
}

/**
 * One line of CLIENT LIST. Fields and order are Redis's; those about features that are not here show what an ordinary client shows.
 * @param asking bytes of the request that runs, if it is this session's
 */
export function clientLine(node: Node, session: Session, asking = 0): string {
  const { lastCommand } = session
  const now = node.engine.now
  const seconds = (since: number): number => Math.max(0, Math.floor((now - since) / 1000))
  const { transaction } = session
  const queued = session.outputQueued
  const input = session.inputQueued + asking
  const { channels, patterns, shards } = session.listening ?? NOTHING
  return (
    `id=${session.id} addr=${session.addr} laddr=${session.laddr} fd=${session.fd} name=${session.name}` +
    ` age=${seconds(session.createdAt)} idle=${seconds(session.lastInteraction)} flags=${flagsOf(session)} db=${session.database}` +
    ` sub=${channels.size} psub=${patterns.size} ssub=${shards.size} multi=${transaction?.count ?? -1} qbuf=${input} qbuf-free=0 argv-mem=0 multi-mem=${transaction?.argumentBytes ?? 0} rbs=0 rbp=0` +
    ` obl=0 oll=${session.held.length} omem=${queued} tot-mem=${queued + input} events=${queued > 0 ? 'rw' : 'r'}` +
    ` cmd=${lastCommand === null ? 'NULL' : node.acl.catalog.nameOf(lastCommand)} user=${session.user.name} redir=-1 resp=${session.protocol}` +
    ` lib-name=${session.libName} lib-ver=${session.libVersion}\n`
  )
}

/** As redis-server's letters, in its order. */
function flagsOf(session: Session): string {
  let flags = ''
  if (session.monitoring !== null) flags += 'O'
  if (session.subscriptions > 0) flags += 'P'
  if (session.transaction !== null) flags += 'x'
  if (session.parked !== null) flags += 'b'
  if (session.watch?.isBroken === true) flags += 'd'
  if (session.isClosing) flags += 'c'
  if (session.noEvict) flags += 'e'
  if (session.noTouch) flags += 'T'
  return flags === '' ? 'N' : flags
}

export function clientCommands(node: Node): CommandSpec[] {
  const onOff =
    (set: (session: Session, on: boolean) => void) =>
    (call: Call): void => {
      const on = call.request.is(2, 'ON')
      if (!on && !call.request.is(2, 'OFF')) return call.reply.error(SYNTAX)
      set(sessionOf(call), on)
      call.reply.ok()
    }

  return [
    container({
      name: 'CLIENT',
      group: 'connection',
      since: '2.4.0',
      summary: 'About connections',
      help: HELP,
      helpSince: '5.0.0',
      helpCategories: ['connection'],
      subcommands: [
        keyless({
          ...CONNECTION,
          name: 'ID',
          arity: 2,
          flags: ASK,
          since: '5.0.0',
          syntax: '',
          summary: 'The number of this connection',
          run: (call) => call.reply.integer(sessionOf(call).id),
        }),
        keyless({
          ...CONNECTION,
          name: 'INFO',
          arity: 2,
          flags: ASK,
          since: '6.2.0',
          tips: 'nondeterministic_output',
          syntax: '',
          summary: "This connection's line of CLIENT LIST",
          run: (call) => call.reply.verbatim(clientLine(node, sessionOf(call), bytesOf(call.request))),
        }),
        keyless({
          ...CONNECTION,
          name: 'LIST',
          arity: -2,
          flags: ADMIN,
          since: '2.4.0',
          tips: 'nondeterministic_output',
          complexity: 'O(N), N client connections',
          syntax: '[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]',
          summary: 'A line for every connection',
          run: (call) => list(call),
        }),
        keyless({
          ...CONNECTION,
          name: 'GETNAME',
          arity: 2,
          flags: ASK,
          since: '2.6.9',
          syntax: '',
          summary: 'The name given to this connection',
          run(call) {
            const { name } = sessionOf(call)
            if (name === '') call.reply.nil()
            else call.reply.latin1(name)
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'SETNAME',
          arity: 3,
          flags: ASK,
          since: '2.6.9',
          syntax: 'connection-name',
          summary: 'Gives this connection a name',
          run(call) {
            const name = call.request.latin1(2)
            if (!isPrintable(name)) return call.reply.error(CLIENT_NAME_REFUSED)
            sessionOf(call).name = name
            call.reply.ok()
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'SETINFO',
          arity: 4,
          flags: ASK,
          since: '7.2.0',
          syntax: '<LIB-NAME libname | LIB-VER libver>',
          summary: 'Tells which library speaks on this connection, and its version',
          run: (call) => setInfo(call),
        }),
        keyless({
          ...CONNECTION,
          name: 'KILL',
          arity: -3,
          flags: ADMIN,
          since: '2.4.0',
          complexity: 'O(N), N client connections',
          syntax:
            '<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | ' +
            '[LADDR ip:port] | [SKIPME yes/no]> ...>',
          summary: 'Closes connections, chosen by address, number, type or user',
          run: (call) => kill(call),
        }),
        keyless({
          ...CONNECTION,
          name: 'PAUSE',
          arity: -3,
          flags: ADMIN,
          since: '2.9.50',
          syntax: 'timeout [WRITE | ALL]',
          summary: 'Holds back all commands, or only writes, for some milliseconds',
          run(call) {
            const { request, reply } = call
            let onlyWrites = false
            if (request.argc > 4) return reply.error(wrongSubcommand(request, 'CLIENT'))
            if (request.argc === 4 && request.is(3, 'WRITE')) onlyWrites = true
            else if (request.argc === 4 && !request.is(3, 'ALL')) return reply.error('ERR CLIENT PAUSE mode must be WRITE or ALL')
            const ms = timeout(call, 2)
            if (ms === null) return
            node.pause({ until: node.engine.now + ms, onlyWrites })
            reply.ok()
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'UNPAUSE',
          arity: 2,
          flags: ADMIN,
          since: '6.2.0',
          complexity: 'O(N), N paused clients',
          syntax: '',
          summary: 'Ends CLIENT PAUSE before its time',
          run(call) {
            node.unpause()
            call.reply.ok()
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'REPLY',
          arity: 3,
          flags: ASK,
          since: '3.2.0',
          syntax: '<ON | OFF | SKIP>',
          summary: 'Turns replies on this connection off and on, or skips the next one',
          run(call) {
            const session = sessionOf(call)
            if (call.request.is(2, 'ON')) {
              // Inside EXEC that SKIP is for the command behind EXEC.
              if (session.replyMode !== 'skip-next') session.replyMode = 'on'
              call.reply.ok()
            } else if (call.request.is(2, 'OFF')) session.replyMode = 'off'
            else if (!call.request.is(2, 'SKIP')) call.reply.error(SYNTAX)
            else if (session.replyMode !== 'off') session.replyMode = 'skip-next'
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'UNBLOCK',
          arity: -3,
          flags: ADMIN,
          since: '5.0.0',
          complexity: 'O(log N), N client connections',
          syntax: 'client-id [TIMEOUT | ERROR]',
          summary: "Lets another connection's waiting command return now",
          run: (call) => unblock(call),
        }),
        keyless({
          ...CONNECTION,
          name: 'NO-EVICT',
          arity: 3,
          flags: ADMIN,
          since: '7.0.0',
          syntax: '<ON | OFF>',
          summary: 'Accepted for compatibility: connections are not evicted',
          run: onOff((session, on) => (session.noEvict = on)),
        }),
        keyless({
          ...CONNECTION,
          name: 'NO-TOUCH',
          arity: 3,
          flags: ASK,
          since: '7.2.0',
          syntax: '<ON | OFF>',
          summary: 'Accepted, and shown in CLIENT LIST: nothing is evicted by last use',
          run: onOff((session, on) => (session.noTouch = on)),
        }),
        keyless({
          ...CONNECTION,
          name: 'GETREDIR',
          arity: 2,
          flags: ASK,
          since: '6.0.0',
          syntax: '',
          summary: 'Always -1: there is no tracking',
          run: (call) => call.reply.integer(-1),
        }),
        keyless({
          ...CONNECTION,
          name: 'TRACKING',
          arity: -3,
          flags: ASK,
          since: '6.0.0',
          syntax: '<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]',
          summary: 'Refused, except OFF: there is no tracking',
          run({ request, reply }) {
            if (request.is(2, 'OFF')) reply.ok()
            else if (request.is(2, 'ON')) reply.error('ERR Client tracking is not supported by this server')
            else reply.error(SYNTAX)
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'TRACKINGINFO',
          arity: 2,
          flags: ASK,
          since: '6.2.0',
          syntax: '',
          summary: 'Says that tracking is off',
          run({ reply }) {
            reply.map(3)
            reply.text('flags')
            reply.set(1)
            reply.text('off')
            reply.text('redirect')
            reply.integer(-1)
            reply.text('prefixes')
            reply.array(0)
          },
        }),
        keyless({
          ...CONNECTION,
          name: 'CACHING',
          arity: 3,
          flags: ASK,
          since: '6.0.0',
          syntax: '<YES | NO>',
          summary: 'Refused: there is no tracking',
          run: ({ reply }) =>
            reply.error('ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled'),
        }),
        keyless({
          ...CONNECTION,
          name: 'MAINT_NOTIFICATIONS',
          arity: -3,
          flags: ASK,
          since: '8.2.0',
          syntax: '<ON | OFF> [parameter value [parameter value ...]]',
          summary: 'Always refused: there are no notices of maintenance',
          // Every connection of node-redis and go-redis asks this and expects a no: bytes written past `error` are not counted as one.
          run: ({ reply }) => reply.raw(NO_MAINTENANCE),
        }),
      ],
    }),
  ]

  function list(call: Call): void {
    const { request, reply } = call
    const self = sessionOf(call)
    let chosen: Iterable<Session> = node.sessions.values()
    if (request.argc === 4 && request.is(2, 'TYPE')) {
      const type = TYPES.get(request.latin1(3).toLowerCase())
      if (type === undefined) return reply.error(`ERR Unknown client type '${request.latin1(3)}'`)
      chosen = [...node.sessions.values()].filter((session) => typeOf(session) === type)
    } else if (request.argc > 3 && request.is(2, 'ID')) {
      const found: Session[] = []
      for (let i = 3; i < request.argc; i++) {
        const id = parseInteger(request.bytes, request.start[i], request.end[i])
        if (Number.isNaN(id)) return reply.error('ERR Invalid client ID')
        const session = node.sessions.get(id)
        if (session !== undefined) found.push(session)
      }
      chosen = found
    } else if (request.argc !== 2) return reply.error(SYNTAX)
    let text = ''
    for (const session of chosen) text += clientLine(node, session, session === self ? bytesOf(request) : 0)
    reply.verbatim(text)
  }

  function setInfo(call: Call): void {
    const { request, reply } = call
    const option = request.is(2, 'LIB-NAME') ? 'lib-name' : request.is(2, 'LIB-VER') ? 'lib-ver' : null
    if (option === null) return reply.error(`ERR Unrecognized option '${request.latin1(2)}'`)
    const value = request.latin1(3)
    if (!isPrintable(value)) return reply.error(`ERR ${option} cannot contain spaces, newlines or special characters.`)
    if (option === 'lib-name') sessionOf(call).libName = value
    else sessionOf(call).libVersion = value
    reply.ok()
  }

  function kill(call: Call): void {
    const { request, reply } = call
    const self = sessionOf(call)
    if (request.argc === 3) {
      const addr = request.latin1(2)
      for (const session of node.sessions.values()) {
        if (session.addr !== addr || session.isClosed) continue
        session.kill(self)
        return reply.ok()
      }
      return reply.error('ERR No such client')
    }
    const filter = killFilter(node, request)
    if (typeof filter === 'string') return reply.error(filter)
    let killed = 0
    // A copy: closing takes sessions out of the map.
    for (const session of [...node.sessions.values()]) {
      if (session.isClosed || !filter.matches(session) || (filter.skipMe && session === self)) continue
      session.kill(self)
      killed++
    }
    reply.integer(killed)
  }

  function unblock(call: Call): void {
    const { request, reply } = call
    let withError = false
    if (request.argc > 4) {
      return reply.error(wrongSubcommand(request, 'CLIENT'))
    }
    if (request.argc === 4 && request.is(3, 'ERROR')) withError = true
    else if (request.argc === 4 && !request.is(3, 'TIMEOUT')) {
      return reply.error('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR')
    }
    const id = parseInteger(request.bytes, request.start[2], request.end[2])
    if (Number.isNaN(id)) return reply.error('ERR value is not an integer or out of range')
    const session = node.sessions.get(id)
    if (session === undefined || session === sessionOf(call)) return reply.integer(0)
    const isUnblocked = node.unpark(session, withError ? UNBLOCKED : null)
    if (isUnblocked && withError) {
      node.stats.countError(UNBLOCKED)
      const stats = node.stats.commands.find(({ spec }) => spec === session.lastCommand)
      if (stats !== undefined) stats.failed++
    }
    reply.integer(isUnblocked ? 1 : 0)
  }
}

export const UNBLOCKED = 'UNBLOCKED client unblocked via CLIENT UNBLOCK'
const NO_MAINTENANCE = Buffer.from("-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n")

interface KillFilter {
  readonly skipMe: boolean
  matches(session: Session): boolean
}

/** The filters of CLIENT KILL's new form, or the error. All must match. */
function killFilter(node: Node, request: Request): KillFilter | string {
  let skipMe = true
  const tests: ((session: Session) => boolean)[] = []
  for (let i = 2; i < request.argc; i += 2) {
    if (i + 1 >= request.argc) return SYNTAX
    const value = request.latin1(i + 1)
    if (request.is(i, 'ID')) {
      const id = parseInteger(request.bytes, request.start[i + 1], request.end[i + 1])
      if (Number.isNaN(id) || id < 1) return 'ERR client-id should be greater than 0'
      tests.push((session) => session.id === id)
    } else if (request.is(i, 'TYPE')) {
      const type = TYPES.get(value.toLowerCase())
      if (type === undefined) return `ERR Unknown client type '${value}'`
      tests.push((session) => typeOf(session) === type)
    } else if (request.is(i, 'ADDR')) tests.push((session) => session.addr === value)
    else if (request.is(i, 'LADDR')) tests.push((session) => session.laddr === value)
    else if (request.is(i, 'USER')) {
      if (node.acl.user(value) === null) return `ERR No such user '${value}'`
      tests.push((session) => session.user.name === value)
    } else if (request.is(i, 'SKIPME')) {
      if (request.is(i + 1, 'YES')) skipMe = true
      else if (request.is(i + 1, 'NO')) skipMe = false
      else return SYNTAX
    } else return SYNTAX
  }
  return { skipMe, matches: (session) => tests.every((test) => test(session)) }
}

/** Milliseconds to wait, as Redis reads them. Writes the error and answers null if they are none. */
export function timeout(call: Call, i: number): number | null {
  const { request, reply } = call
  const ms = parseInteger(request.bytes, request.start[i], request.end[i])
  if (Number.isNaN(ms)) reply.error('ERR timeout is not an integer or out of range')
  else if (ms < 0) reply.error('ERR timeout is negative')
  else return ms
  return null
}
