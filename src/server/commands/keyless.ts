// Specs of commands about the node itself: they have no keys, many are one word of a container, and all have a HELP alike.

import type { Call } from '../../engine/call.ts'
import { NO_KEYS } from '../../engine/command.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'

/** ACL categories that follow from flags, as Redis derives them. */
export function categoriesOf(flags: readonly CommandFlag[], more: readonly string[] = []): string[] {
  const categories = [...more]
  const has = (flag: CommandFlag): boolean => flags.includes(flag)
  if (has('write')) categories.push('write')
  if (has('readonly')) categories.push('read')
  if (has('admin')) categories.push('admin', 'dangerous')
  if (has('pubsub')) categories.push('pubsub')
  if (has('blocking')) categories.push('blocking')
  categories.push(has('fast') ? 'fast' : 'slow')
  return [...new Set(categories)]
}

interface KeylessSpec extends Omit<CommandSpec, 'keys' | 'categories' | 'complexity'> {
  /** Those that do not follow from the flags. */
  readonly categories?: readonly string[]
  readonly complexity?: string
}

/** A command without keys. */
export function keyless(spec: KeylessSpec): CommandSpec {
  return { complexity: 'O(1)', ...spec, keys: NO_KEYS, categories: categoriesOf(spec.flags, spec.categories) }
}

interface ContainerSpec extends Pick<CommandSpec, 'name' | 'group' | 'since' | 'summary'> {
  readonly subcommands: readonly CommandSpec[]
  /** The body of HELP: lines of words, each followed by lines of explanation. */
  readonly help: readonly string[]
  readonly helpSince: string
  readonly helpCategories?: readonly string[]
}

/** A command that only holds subcommands, HELP among them. */
export function container({ help, helpSince, helpCategories = [], subcommands, ...spec }: ContainerSpec): CommandSpec {
  const helpSpec = keyless({
    name: 'HELP',
    arity: 2,
    flags: ['loading', 'stale'],
    categories: helpCategories,
    group: spec.group,
    since: helpSince,
    syntax: '',
    summary: 'Lists the subcommands',
    run: (call) => writeHelp(call, spec.name, help),
  })
  return keyless({
    ...spec,
    arity: -2,
    flags: [],
    complexity: 'Depends on subcommand.',
    syntax: '',
    subcommands: [...subcommands, helpSpec],
    run: unreached,
  })
}

/** As Redis writes the HELP of a container. */
export function writeHelp({ reply }: Call, name: string, lines: readonly string[]): void {
  reply.array(lines.length + 3)
  reply.simple(`${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`)
  for (const line of lines) reply.simple(line)
  reply.simple('HELP')
  reply.simple('    Prints this help.')
}

/** Dispatch answers an unknown subcommand itself, and the arity keeps a bare container away. */
function unreached(call: Call): void {
  call.reply.error('ERR unknown subcommand')
}
