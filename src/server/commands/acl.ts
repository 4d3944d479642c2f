// ACL: users and what they may do. What the rules mean is in server/acl/.

import { randomBytes } from 'node:crypto'
import { parseInt64 } from '../../base/decimal.ts'
import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { VALUE_NOT_AN_INTEGER, wrongSubcommand } from '../../resp/errors.ts'
import { Request } from '../../resp/request.ts'
import type { LogEntry } from '../acl/acl-log.ts'
import { CATEGORIES } from '../acl/categories.ts'
import type { Selector } from '../acl/selector.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { container, keyless } from './keyless.ts'

const ASK: readonly CommandFlag[] = ['noscript', 'loading', 'stale']
const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']

const PASSWORD_BITS = 256
const PASSWORD_BITS_MAX = 4096
const LOG_ENTRIES_SHOWN = 10
/** Bytes of a client's word that an error quotes. */
const QUOTED_MAX = 128

const NO_FILE =
  'ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue ' +
  'a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.'
const NOT_SAVED = 'ERR There was an error trying to save the ACLs. Please check the server logs for more information'

const HELP = [
  'CAT [<category>]',
  '    List all commands that belong to <category>, or all command categories',
  '    when no category is specified.',
  'DELUSER <username> [<username> ...]',
  '    Delete a list of users.',
  'DRYRUN <username> <command> [<arg> ...]',
  '    Returns whether the user can execute the given command without executing the command.',
  'GETUSER <username>',
  "    Get the user's details.",
  'GENPASS [<bits>]',
  '    Generate a secure 256-bit user password. The optional `bits` argument can',
  '    be used to specify a different size.',
  'LIST',
  '    Show users details in config file format.',
  'LOAD',
  '    Reload users from the ACL file.',
  'LOG [<count> | RESET]',
  '    Show the ACL log entries.',
  'SAVE',
  '    Save the current config to the ACL file.',
  'SETUSER <username> <attribute> [<attribute> ...]',
  '    Create or modify a user with the specified attributes.',
  'USERS',
  '    List all the registered usernames.',
  'WHOAMI',
  '    Return the current connection username.',
]

export function aclCommands(node: Node): CommandSpec[] {
  const { values } = node.options

  return [
    container({
      name: 'ACL',
      group: 'server',
      since: '6.0.0',
      summary: 'About users and what they may do',
      help: HELP,
      helpSince: '6.0.0',
      subcommands: [
        keyless({
          name: 'CAT',
          arity: -2,
          flags: ASK,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(1)',
          syntax: '[category]',
          summary: 'The categories of commands, or the commands of one',
          run: categories,
        }),
        keyless({
          name: 'DELUSER',
          arity: -3,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(1), amortized',
          syntax: 'username [username ...]',
          summary: 'Deletes users, and closes their connections',
          run: deleteUsers,
        }),
        keyless({
          name: 'DRYRUN',
          arity: -4,
          flags: ADMIN,
          group: 'server',
          since: '7.0.0',
          complexity: 'O(1)',
          syntax: 'username command [arg [arg ...]]',
          summary: 'Whether a user may run a command, which is not run',
          run: dryRun,
        }),
        keyless({
          name: 'GENPASS',
          arity: -2,
          flags: ASK,
          group: 'server',
          since: '6.0.0',
          syntax: '[bits]',
          summary: 'A password that nobody can guess',
          run: generatePassword,
        }),
        keyless({
          name: 'GETUSER',
          arity: 3,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N rules of the user',
          syntax: 'username',
          summary: 'What a user may do',
          run: getUser,
        }),
        keyless({
          name: 'LIST',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N configured users',
          syntax: '',
          summary: 'All users, as lines of the ACL file',
          run({ reply }) {
            const lines = node.acl.lines()
            reply.array(lines.length)
            for (const line of lines) reply.latin1(line)
          },
        }),
        keyless({
          name: 'LOAD',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N configured users',
          syntax: '',
          summary: 'Reads the users from the ACL file: all of it, or, if it has a mistake, nothing',
          run(call) {
            if (values.aclfile === '') return call.reply.error(NO_FILE)
            const errors = node.acl.load(values.aclfile, sessionOf(call))
            if (errors === null) call.reply.ok()
            else call.reply.error(`ERR ${errors}`)
          },
        }),
        keyless({
          name: 'LOG',
          arity: -2,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N entries shown',
          syntax: '[count | RESET]',
          summary: 'What users were refused, and who failed to log in',
          run: log,
        }),
        keyless({
          name: 'SAVE',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N configured users',
          syntax: '',
          summary: 'Writes the users to the ACL file',
          run({ reply }) {
            if (values.aclfile === '') return reply.error(NO_FILE)
            try {
              node.acl.save(values.aclfile)
              reply.ok()
            } catch (error) {
              node.env.say('warning', 'ACL SAVE failed; the old file is as it was', { error: (error as Error).message })
              reply.error(NOT_SAVED)
            }
          },
        }),
        keyless({
          name: 'SETUSER',
          arity: -3,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N rules provided',
          syntax: 'username [rule [rule ...]]',
          summary: 'Makes or changes a user: all the rules, or, if one is wrong, none',
          run(call) {
            const { request, reply } = call
            const words: string[] = []
            for (let i = 3; i < request.argc; i++) words.push(request.latin1(i))
            const error = node.acl.setUser(request.latin1(2), words, sessionOf(call))
            if (error === null) reply.ok()
            else reply.error(`ERR ${error}`)
          },
        }),
        keyless({
          name: 'USERS',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '6.0.0',
          complexity: 'O(N), N configured users',
          syntax: '',
          summary: 'The names of all users',
          run({ reply }) {
            const { users } = node.acl
            reply.array(users.length)
            for (const user of users) reply.latin1(user.name)
          },
        }),
        keyless({
          name: 'WHOAMI',
          arity: 2,
          flags: ASK,
          group: 'server',
          since: '6.0.0',
          syntax: '',
          summary: 'The user of this connection',
          run: (call) => call.reply.latin1(sessionOf(call).user.name),
        }),
      ],
    }),
  ]

  function categories(call: Call): void {
    const { request, reply } = call
    if (request.argc > 3) return wrongNumber(call)
    if (request.argc === 2) {
      reply.array(CATEGORIES.length)
      for (const category of CATEGORIES) reply.text(category)
      return
    }
    const entries = node.acl.catalog.ofCategory(request.untilNul(2))
    if (entries === null) return reply.error(`ERR Unknown category '${request.untilNul(2, QUOTED_MAX)}'`)
    reply.array(entries.length)
    for (const { name } of entries) reply.text(name)
  }

  function deleteUsers(call: Call): void {
    const { request, reply } = call
    const names: string[] = []
    for (let i = 2; i < request.argc; i++) names.push(request.latin1(i))
    if (names.some((name) => name.split('\0', 1)[0] === 'default')) return reply.error("ERR The 'default' user cannot be removed")
    let deleted = 0
    for (const name of names) if (node.acl.deleteUser(name, sessionOf(call))) deleted++
    reply.integer(deleted)
  }

  function dryRun({ request, reply }: Call): void {
    const user = node.acl.user(request.latin1(2))
    if (user === null) return reply.error(`ERR User '${request.untilNul(2)}' not found`)
    const inner = withoutFirst(request, 3)
    const spec = node.commands.resolve(inner)
    if (spec === null || (spec.subcommands !== undefined && inner.argc > 1)) {
      return reply.error(`ERR Command '${inner.untilNul(0)}' not found`)
    }
    if (spec.arity >= 0 ? inner.argc !== spec.arity : inner.argc < -spec.arity) {
      return reply.error(`ERR wrong number of arguments for '${node.acl.catalog.nameOf(spec)}' command`)
    }
    const denial = node.acl.check(user, spec, inner)
    if (denial === null) return reply.ok()
    const { reason, object } = denial
    if (reason === 'command') reply.text(`This user has no permissions to run the '${object}' command`)
    else reply.latin1(`This user has no permissions to access the '${object.split('\0', 1)[0]}' ${reason}`)
  }

  function generatePassword(call: Call): void {
    const { request, reply } = call
    if (request.argc > 3) return wrongNumber(call)
    const bits = request.argc === 2 ? BigInt(PASSWORD_BITS) : parseInt64(request.bytes, request.start[2], request.end[2])
    if (bits === undefined) return reply.error(VALUE_NOT_AN_INTEGER)
    if (bits <= 0n || bits > PASSWORD_BITS_MAX) {
      return reply.error(
        `ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to ${PASSWORD_BITS_MAX}`,
      )
    }
    const digits = Math.ceil(Number(bits) / 4)
    reply.text(
      randomBytes(Math.ceil(digits / 2))
        .toString('hex')
        .slice(0, digits),
    )
  }

  function getUser({ request, reply }: Call): void {
    const user = node.acl.user(request.latin1(2))
    if (user === null) return reply.nil()
    const flags = user.flags()
    reply.map(6)
    reply.text('flags')
    reply.set(flags.length)
    for (const flag of flags) reply.text(flag)
    reply.text('passwords')
    reply.array(user.passwordCount)
    for (const hash of user.passwords) reply.text(hash)
    const [root, ...others] = user.selectors
    writeSelector(root)
    reply.text('selectors')
    reply.array(others.length)
    for (const selector of others) {
      reply.map(3)
      writeSelector(selector)
    }

    function writeSelector(selector: Selector): void {
      reply.text('commands')
      reply.latin1(selector.describeCommands(node.acl.catalog))
      reply.text('keys')
      reply.latin1(selector.describeKeys())
      reply.text('channels')
      reply.latin1(selector.describeChannels())
    }
  }

  function log(call: Call): void {
    const { request, reply } = call
    const { entries } = node.acl.log
    if (request.argc > 3) return wrongNumber(call)
    let shown = LOG_ENTRIES_SHOWN
    if (request.argc === 3) {
      if (request.is(2, 'RESET')) {
        node.acl.log.clear()
        return reply.ok()
      }
      const count = parseInt64(request.bytes, request.start[2], request.end[2])
      if (count === undefined) return reply.error(VALUE_NOT_AN_INTEGER)
      shown = count < 0n ? 0 : Number(count)
    }
    shown = Math.min(shown, entries.length)
    reply.array(shown)
    for (let i = 0; i < shown; i++) writeEntry(call, entries[i])
  }

  function writeEntry({ reply, now }: Call, entry: LogEntry): void {
    reply.map(7)
    reply.text('count')
    reply.integer(entry.count)
    reply.text('reason')
    reply.text(entry.reason)
    reply.text('context')
    reply.text(entry.context)
    reply.text('object')
    reply.latin1(entry.object)
    reply.text('username')
    reply.latin1(entry.username)
    reply.text('age-seconds')
    reply.double(String((now - entry.at) / 1000))
    reply.text('client-info')
    reply.latin1(entry.client)
  }
}

/** Too many arguments for a subcommand that may have one: Redis finds no such subcommand. */
function wrongNumber({ request, reply }: Call): void {
  reply.error(wrongSubcommand(request, 'ACL'))
}

/** The same bytes, read from argument `count` on. */
function withoutFirst(request: Request, count: number): Request {
  const rest = new Request()
  rest.bytes = request.bytes
  rest.reserve(request.argc - count)
  rest.argc = request.argc - count
  for (let i = 0; i < rest.argc; i++) {
    rest.start[i] = request.start[i + count]
    rest.end[i] = request.end[i + count]
  }
  return rest
}
