// CONFIG: the options table, asked and changed while the node runs.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { SYNTAX } from '../../resp/errors.ts'
import { CONFIG_NAMES } from '../options.ts'
import type { Setting } from '../options.ts'
import { rewriteOptionFile } from '../options/file.ts'
import type { Node } from '../node.ts'
import { container, keyless } from './keyless.ts'
import { Pattern } from './pattern.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']

const HELP = [
  'GET <pattern>',
  '    Return parameters matching the glob-like <pattern> and their values.',
  'SET <directive> <value>',
  '    Set the configuration <directive> to <value>.',
  'RESETSTAT',
  '    Reset statistics reported by the INFO command.',
  'REWRITE',
  '    Rewrite the configuration file.',
]

export function configCommands(node: Node): CommandSpec[] {
  const { options } = node
  return [
    container({
      name: 'CONFIG',
      group: 'server',
      since: '2.0.0',
      summary: 'About options',
      help: HELP,
      helpSince: '5.0.0',
      subcommands: [
        keyless({
          name: 'GET',
          arity: -3,
          flags: ADMIN,
          group: 'server',
          since: '2.0.0',
          complexity: 'O(N), N configuration parameters provided',
          syntax: 'parameter [parameter ...]',
          summary: 'The values of the options that match a pattern',
          run: (call) => get(call),
        }),
        keyless({
          name: 'SET',
          arity: -4,
          flags: ADMIN,
          group: 'server',
          since: '2.0.0',
          tips: 'request_policy:all_nodes response_policy:all_succeeded',
          complexity: 'O(N), N configuration parameters provided',
          syntax: 'parameter value [parameter value ...]',
          summary: 'Changes options while the node runs: all of them or none',
          run: (call) => set(call),
        }),
        keyless({
          name: 'RESETSTAT',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '2.0.0',
          syntax: '',
          summary: 'Sets the counters of INFO back to zero',
          run({ reply }) {
            node.stats.reset()
            const { keyspace } = node.engine
            keyspace.hits = keyspace.misses = keyspace.expiredKeys = 0
            reply.ok()
          },
        }),
        keyless({
          name: 'REWRITE',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '2.8.0',
          syntax: '',
          summary: 'Writes the options in force into the option file',
          run({ reply }) {
            const reason = rewriteOptionFile(options)
            if (reason === null) reply.ok()
            else reply.error(`ERR ${reason}`)
          },
        }),
      ],
    }),
  ]

  function get({ request, reply }: Call): void {
    // In the spelling that was asked: a client that asks for MAXMEMORY looks for MAXMEMORY in the answer.
    const found = new Map<string, string>()
    const spellings = new Set<string>()
    for (let i = 2; i < request.argc; i++) {
      const asked = request.latin1(i)
      if (Pattern.isGlob(asked)) {
        const pattern = new Pattern(asked)
        for (const name of CONFIG_NAMES) {
          if (!pattern.matches(name) || spellings.has(name)) continue
          spellings.add(name)
          found.set(name, shown(options.text(name)!))
        }
      } else {
        const name = asked.toLowerCase()
        const value = options.text(name)
        if (value === undefined || spellings.has(name)) continue
        spellings.add(name)
        found.set(asked, shown(value))
      }
    }
    reply.map(found.size)
    for (const [name, value] of found) {
      reply.text(name)
      reply.text(value)
    }
  }

  function set({ request, reply }: Call): void {
    if (request.argc % 2 !== 0) return reply.error(SYNTAX)
    const settings: Setting[] = []
    for (let i = 2; i < request.argc; i += 2) settings.push({ name: request.latin1(i), value: request.copy(i + 1).toString('utf8') })
    const refusal = options.change(settings)
    if (refusal === null) reply.ok()
    else if (refusal.name === null) reply.error(`ERR ${refusal.reason}`)
    else reply.error(`ERR CONFIG SET failed (possibly related to argument '${refusal.name}') - ${refusal.reason}`)
  }
}

/** Whoever may use the shop may ask: the password in the address of another server is not for them. (requirepass is shown, as in Redis.) */
function shown(value: string): string {
  return value.replaceAll(/(\/\/[^\s,/?#:@]*):[^\s,/?#]*@/g, '$1:(hidden)@')
}
