// COMMAND: what commands there are, told from their specs.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { FoundKeys, keySpecsOf } from '../../engine/key-specs.ts'
import type { KeySpec } from '../../engine/key-specs.ts'
import { SYNTAX } from '../../resp/errors.ts'
import type { Reply } from '../../resp/reply.ts'
import { Request } from '../../resp/request.ts'
import { CATEGORIES } from '../acl/categories.ts'
import type { Node } from '../node.ts'
import { Pattern } from './pattern.ts'
import { keyless, writeHelp } from './keyless.ts'
import { parseSyntax } from './syntax.ts'
import type { Argument } from './syntax.ts'

const FLAGS: readonly CommandFlag[] = ['loading', 'stale']
const SERVER = { flags: FLAGS, categories: ['connection'], group: 'server' } as const

const HELP = [
  '(no subcommand)',
  '    Return details about all Redis commands.',
  'COUNT',
  '    Return the total number of commands in this Redis server.',
  'LIST',
  '    Return a list of all commands in this Redis server.',
  'INFO [<command-name> ...]',
  '    Return details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'DOCS [<command-name> ...]',
  '    Return documentation details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'GETKEYS <full-command>',
  '    Return the keys from a full Redis command.',
  'GETKEYSANDFLAGS <full-command>',
  '    Return the keys and the access flags from a full Redis command.',
]

/** Not flags that clients know: an option guards the command; it waits while CLIENT PAUSE lets no writes through. */
const INTERNAL_FLAGS: readonly CommandFlag[] = ['protected', 'may_replicate', 'sentinel']

function rankOf(category: string): number {
  const rank = CATEGORIES.indexOf(category)
  return rank < 0 ? CATEGORIES.length : rank
}

interface Named {
  /** Lower case, a subcommand with its container: `client|list`. */
  readonly name: string
  readonly spec: CommandSpec
}

export function commandCommands(node: Node): CommandSpec[] {
  const found = new FoundKeys()
  return [
    keyless({
      ...SERVER,
      name: 'COMMAND',
      arity: -1,
      since: '2.8.13',
      tips: 'nondeterministic_output_order',
      complexity: 'O(N), N commands of this node',
      syntax: '',
      summary: 'Describes the commands of this node',
      run({ reply }) {
        const { specs } = node.commands
        reply.array(specs.length)
        for (const spec of specs) writeInfo(reply, named(spec, ''))
      },
      subcommands: [
        keyless({
          ...SERVER,
          name: 'COUNT',
          arity: 2,
          since: '2.8.13',
          syntax: '',
          summary: 'How many commands this node has',
          run: ({ reply }) => reply.integer(node.commands.specs.length),
        }),
        keyless({
          ...SERVER,
          name: 'INFO',
          tips: 'nondeterministic_output_order',
          arity: -2,
          since: '2.8.13',
          complexity: 'O(N), N commands to look up',
          syntax: '[command-name [command-name ...]]',
          summary: 'Describes the named commands, or all of them',
          run({ request, reply }) {
            const chosen = request.argc === 2 ? node.commands.specs.map((spec) => named(spec, '')) : asked(request)
            reply.array(chosen.length)
            for (const one of chosen) {
              if (one === null) reply.nil()
              else writeInfo(reply, one)
            }
          },
        }),
        keyless({
          ...SERVER,
          name: 'DOCS',
          tips: 'nondeterministic_output_order',
          arity: -2,
          since: '7.0.0',
          complexity: 'O(N), N commands to look up',
          syntax: '[command-name [command-name ...]]',
          summary: 'Documents the named commands, or all of them: summary, group, arguments',
          run({ request, reply }) {
            const chosen =
              request.argc === 2 ? node.commands.specs.map((spec) => named(spec, '')) : asked(request).filter((one) => one !== null)
            reply.map(chosen.length)
            for (const one of chosen) {
              reply.text(one.name)
              writeDocs(reply, one)
            }
          },
        }),
        keyless({
          ...SERVER,
          name: 'LIST',
          tips: 'nondeterministic_output_order',
          arity: -2,
          since: '7.0.0',
          complexity: 'O(N), N commands of this node',
          syntax: '[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]',
          summary: 'Names the commands, all or those that a filter picks',
          run: (call) => list(call),
        }),
        keyless({
          ...SERVER,
          name: 'GETKEYS',
          arity: -4,
          since: '2.8.13',
          complexity: 'O(N), N arguments to the command',
          syntax: 'command [arg [arg ...]]',
          summary: 'The keys in a whole command',
          run: (call) => getKeys(call, false),
        }),
        keyless({
          ...SERVER,
          name: 'GETKEYSANDFLAGS',
          arity: -4,
          since: '7.0.0',
          complexity: 'O(N), N arguments to the command',
          syntax: 'command [arg [arg ...]]',
          summary: 'The keys in a whole command, each with what is done to it',
          run: (call) => getKeys(call, true),
        }),
        keyless({
          ...SERVER,
          name: 'HELP',
          arity: 2,
          since: '5.0.0',
          syntax: '',
          summary: 'Lists the subcommands',
          run: (call) => writeHelp(call, 'COMMAND', HELP),
        }),
      ],
    }),
  ]

  /** The commands that the arguments from 2 on name, `container|word` too; null for a name that is none. */
  function asked(request: Request): (Named | null)[] {
    const found: (Named | null)[] = []
    for (let i = 2; i < request.argc; i++) found.push(find(request.latin1(i)))
    return found
  }

  function find(name: string): Named | null {
    const [first, second, ...rest] = name.split('|')
    const spec = node.commands.get(first)
    if (spec === null || rest.length > 0) return null
    if (second === undefined) return named(spec, '')
    const wanted = second.toUpperCase()
    const subcommand = spec.subcommands?.find((one) => one.name === wanted)
    return subcommand === undefined ? null : named(subcommand, spec.name)
  }

  function list({ request, reply }: Call): void {
    let keep: (one: Named) => boolean = () => true
    if (request.argc === 5 && request.is(2, 'FILTERBY')) {
      const value = request.latin1(4)
      if (request.is(3, 'MODULE')) keep = () => false
      else if (request.is(3, 'ACLCAT')) {
        const category = value.toLowerCase()
        keep = ({ spec }) => spec.categories.includes(category)
      } else if (request.is(3, 'PATTERN')) {
        const pattern = new Pattern(value)
        keep = ({ name }) => pattern.matches(name)
      } else return reply.error(SYNTAX)
    } else if (request.argc !== 2) return reply.error(SYNTAX)
    const all = node.commands.specs.flatMap((spec) => [named(spec, ''), ...(spec.subcommands ?? []).map((sub) => named(sub, spec.name))])
    const chosen = all.filter(keep)
    reply.array(chosen.length)
    for (const { name } of chosen) reply.text(name)
  }

  function getKeys({ request, reply }: Call, withFlags: boolean): void {
    const command = new Request()
    command.bytes = request.bytes
    command.reserve(request.argc)
    command.argc = request.argc - 2
    for (let i = 0; i < command.argc; i++) {
      command.start[i] = request.start[i + 2]
      command.end[i] = request.end[i + 2]
    }
    const spec = node.commands.resolve(command)
    if (spec === null) return reply.error('ERR Invalid command specified')
    if (!keySpecsOf(spec).some(({ use }) => use.isKey) && spec.keysOf === undefined)
      return reply.error('ERR The command has no key arguments')
    if (spec.arity >= 0 ? command.argc !== spec.arity : command.argc < -spec.arity) {
      return reply.error('ERR Invalid number of arguments specified for command')
    }
    found.find(spec, command)
    if (found.count === 0 && !spec.flags.includes('no_mandatory_keys')) {
      return reply.error('ERR Invalid arguments specified for command')
    }
    reply.array(found.count)
    for (let k = 0; k < found.count; k++) {
      const i = found.at[k]
      if (withFlags) reply.array(2)
      reply.bulk(command.bytes, command.start[i], command.end[i])
      if (!withFlags) continue
      const { words } = found.uses[k]
      reply.set(words.length)
      for (const word of words) reply.simple(word)
    }
  }
}

function named(spec: CommandSpec, container: string): Named {
  return { name: (container === '' ? spec.name : `${container}|${spec.name}`).toLowerCase(), spec }
}

function writeInfo(reply: Reply, { name, spec }: Named): void {
  const { first, last, step } = spec.keys
  reply.array(10)
  reply.text(name)
  reply.integer(spec.arity)
  const flags = spec.flags.filter((flag) => !INTERNAL_FLAGS.includes(flag))
  if (spec.keysOf !== undefined && !flags.includes('movablekeys')) flags.push('movablekeys')
  reply.set(flags.length)
  for (const flag of flags) reply.simple(flag)
  reply.integer(first)
  reply.integer(last)
  reply.integer(step)
  const categories = [...spec.categories].sort((a, b) => rankOf(a) - rankOf(b))
  reply.set(categories.length)
  for (const category of categories) reply.simple(`@${category}`)
  const tips = spec.tips?.split(' ') ?? []
  reply.set(tips.length)
  for (const tip of tips) reply.text(tip)
  const keySpecs = keySpecsOf(spec)
  reply.set(keySpecs.length)
  for (const keySpec of keySpecs) writeKeySpec(reply, keySpec)
  const subcommands = spec.subcommands ?? []
  reply.set(subcommands.length)
  for (const subcommand of subcommands) writeInfo(reply, named(subcommand, spec.name))
}

function writeKeySpec(reply: Reply, { use, begin, find }: KeySpec): void {
  const field = (name: string, value: number): void => {
    reply.text(name)
    reply.integer(value)
  }
  reply.map(3)
  reply.text('flags')
  reply.set(use.words.length)
  for (const word of use.words) reply.simple(word)
  reply.text('begin_search')
  reply.map(2)
  reply.text('type')
  if ('index' in begin) {
    reply.text('index')
    reply.text('spec')
    reply.map(1)
    field('index', begin.index)
  } else {
    reply.text('keyword')
    reply.text('spec')
    reply.map(2)
    reply.text('keyword')
    reply.text(begin.word)
    field('startfrom', begin.from)
  }
  reply.text('find_keys')
  reply.map(2)
  reply.text('type')
  if (find.type === 'range') {
    reply.text('range')
    reply.text('spec')
    reply.map(3)
    field('lastkey', find.last)
    field('keystep', find.step)
    field('limit', find.limit)
  } else {
    reply.text('keynum')
    reply.text('spec')
    reply.map(3)
    field('keynumidx', 0)
    field('firstkey', 1)
    field('keystep', 1)
  }
}

function writeDocs(reply: Reply, { spec }: Named): void {
  const args = spec.syntax === '' || spec.subcommands !== undefined ? [] : documented(spec)
  const subcommands = spec.subcommands ?? []
  reply.map(4 + (args.length > 0 ? 1 : 0) + (subcommands.length > 0 ? 1 : 0))
  reply.text('summary')
  reply.text(spec.summary)
  reply.text('since')
  reply.text(spec.since)
  reply.text('group')
  reply.text(spec.group)
  reply.text('complexity')
  reply.text(spec.complexity)
  if (args.length > 0) {
    reply.text('arguments')
    writeArguments(reply, args)
  }
  if (subcommands.length > 0) {
    reply.text('subcommands')
    reply.map(subcommands.length)
    for (const subcommand of subcommands) {
      reply.text(named(subcommand, spec.name).name)
      writeDocs(reply, named(subcommand, spec.name))
    }
  }
}

/** The arguments of a command, its keys with the place in its key specs that tells of them. */
function documented(spec: CommandSpec): readonly Argument[] {
  const keySpecs = keySpecsOf(spec).filter(({ use }) => use.isKey)
  if (keySpecs.length === 0) return parseSyntax(spec.syntax, new Set())
  return parseSyntax(spec.syntax, keyNames(spec, keySpecs), keySpecs.length)
}

const KEY_NAMES = ['key', 'key1', 'key2', 'newkey', 'source', 'destination']

/** Names in the syntax that are keys: Redis's usual ones, and whatever stands where the first key is. */
function keyNames(spec: CommandSpec, keySpecs: readonly KeySpec[]): Set<string> {
  const names = new Set(KEY_NAMES)
  const [{ begin, find }] = keySpecs
  if ('word' in begin || find.type === 'counted') return names
  const first = spec.syntax.split(' ').find((word) => /^[a-z]/.test(word))
  if (first !== undefined) names.add(first)
  return names
}

function writeArguments(reply: Reply, args: readonly Argument[]): void {
  reply.array(args.length)
  for (const argument of args) {
    const flags = [
      ...(argument.optional ? ['optional'] : []),
      ...(argument.multiple ? ['multiple'] : []),
      ...(argument.repeatsToken ? ['multiple_token'] : []),
    ]
    const isKey = argument.type === 'key'
    reply.map(2 + (isKey ? 1 : 0) + (argument.token === null ? 0 : 1) + (flags.length > 0 ? 1 : 0) + (argument.parts.length > 0 ? 1 : 0))
    reply.text('name')
    reply.text(argument.name)
    reply.text('type')
    reply.text(argument.type)
    if (isKey) {
      reply.text('key_spec_index')
      reply.integer(argument.keySpec)
    }
    if (argument.token !== null) {
      reply.text('token')
      reply.text(argument.token)
    }
    if (flags.length > 0) {
      reply.text('flags')
      reply.set(flags.length)
      for (const flag of flags) reply.simple(flag)
    }
    if (argument.parts.length > 0) {
      reply.text('arguments')
      writeArguments(reply, argument.parts)
    }
  }
}
