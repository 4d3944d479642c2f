// Writes the tables of README.md that are read from the specs: commands and options.
//
//   npm run docs              writes them
//   npm run docs -- --check   exit code 1 if README.md is not what it would write
//
// A table stands between `<!-- name: begin ... -->` and `<!-- name: end -->`; what is outside is written by people.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeCommands } from '../../src/cli/commands.ts'
import type { CommandGroup, CommandSpec } from '../../src/engine/command.ts'
import { SystemEnv } from '../../src/server/env.ts'
import { Node } from '../../src/server/node.ts'
import { Options, optionTable } from '../../src/server/options.ts'

const README = fileURLToPath(new URL('../../README.md', import.meta.url))

/** In the order of the README. A group that is not here would be missed there, so every spec must find its own. */
const GROUPS: Readonly<Partial<Record<CommandGroup, string>>> = {
  'stock': 'Stock and orders',
  'string': 'Strings',
  'hash': 'Hashes',
  'list': 'Lists',
  'set': 'Sets',
  'sorted-set': 'Sorted sets',
  'generic': 'Keys',
  'connection': 'Connection',
  'server': 'The node',
  'scripting': 'FCALL, by which cluster clients route STOCK commands',
  'pubsub': 'Pub/Sub',
  'transactions': 'Transactions',
  'stream': 'Streams',
  'cluster': 'Cluster',
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function commandLine(name: string, spec: CommandSpec): string {
  const syntax = spec.syntax === '' ? name : `${name} ${spec.syntax.replaceAll(/:(?:string|integer|double)\b/g, '')}`
  return `| \`${cell(syntax)}\` | ${cell(spec.summary)} | ${cell(spec.complexity)} |`
}

function commandLines(spec: CommandSpec): string[] {
  if (spec.subcommands === undefined) return [commandLine(spec.name, spec)]
  const parts = spec.subcommands.filter((part) => part.name !== 'HELP').map((part) => commandLine(`${spec.name} ${part.name}`, part))
  // A container that also answers without a subcommand (COMMAND) is a command of its own.
  return spec.arity === -1 ? [commandLine(spec.name, spec), ...parts] : parts
}

export function commandTables(specs: readonly CommandSpec[]): string {
  const groups = Map.groupBy(specs, (spec) => spec.group)
  for (const group of groups.keys()) if (GROUPS[group] === undefined) throw new Error(`README has no place for the group ${group}`)
  return Object.entries(GROUPS)
    .filter(([group]) => groups.has(group as CommandGroup))
    .map(([group, title]) => {
      const lines = (groups.get(group as CommandGroup) ?? []).flatMap(commandLines).toSorted()
      const table = ['| command | what it does | cost |', '| --- | --- | --- |', ...lines]
      // What every Redis user knows is folded away.
      if (group === 'stock') return [`### ${title}`, '', ...table].join('\n')
      return ['<details>', `<summary>${title} (${lines.length})</summary>`, '', ...table, '', '</details>'].join('\n')
    })
    .join('\n\n')
}

/** A node that was never started: it knows its commands. */
export function specsOfNode(): readonly CommandSpec[] {
  const node = new Node({ options: new Options(), env: new SystemEnv(() => {}), specs: nodeCommands, openLog: null })
  return node.commands.specs
}

export function withTable(readme: string, name: string, table: string): string {
  const begin = new RegExp(`<!-- ${name}: begin[^>]*-->\n`).exec(readme)
  const end = readme.indexOf(`<!-- ${name}: end -->`)
  if (begin === null || end === -1) throw new Error(`README.md has lost the marks of ${name}`)
  return `${readme.slice(0, begin.index + begin[0].length)}\n${table}\n\n${readme.slice(end)}`
}

/** README.md as it should be. */
export function written(readme: string): string {
  return withTable(withTable(readme, 'commands', commandTables(specsOfNode())), 'options', optionTable())
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const readme = readFileSync(README, 'utf8')
  const wanted = written(readme)
  if (!process.argv.includes('--check')) writeFileSync(README, wanted)
  else if (readme !== wanted) {
    console.error('README.md does not show the commands and options as they are: run `npm run docs`')
    process.exitCode = 1
  }
}
