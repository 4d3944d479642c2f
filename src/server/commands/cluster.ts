// CLUSTER, READONLY, READWRITE and ASKING on a node that is not in a cluster: they answer what redis-server answers with cluster support
// disabled. Clients ask.

import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { keyless } from './keyless.ts'

const DISABLED = 'ERR This instance has cluster support disabled'

interface Word extends Pick<CommandSpec, 'name' | 'arity' | 'since' | 'syntax' | 'summary'> {
  readonly tips?: string
  readonly flags?: readonly CommandFlag[]
}

const WORDS: readonly Word[] = [
  {
    name: 'INFO',
    arity: 2,
    since: '3.0.0',
    tips: 'nondeterministic_output',
    syntax: '',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'KEYSLOT',
    arity: 3,
    since: '3.0.0',
    syntax: 'key',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'SLOTS',
    arity: 2,
    since: '3.0.0',
    tips: 'nondeterministic_output',
    syntax: '',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'SHARDS',
    arity: 2,
    since: '7.0.0',
    tips: 'nondeterministic_output',
    syntax: '',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'NODES',
    arity: 2,
    since: '3.0.0',
    tips: 'nondeterministic_output',
    syntax: '',
    summary: 'Refused: this node is not in a cluster',
  },
  { name: 'MYID', arity: 2, since: '3.0.0', syntax: '', summary: 'Refused: this node is not in a cluster' },
  {
    name: 'COUNTKEYSINSLOT',
    arity: 3,
    since: '3.0.0',
    syntax: 'slot',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'GETKEYSINSLOT',
    arity: 4,
    since: '3.0.0',
    tips: 'nondeterministic_output',
    syntax: 'slot count',
    summary: 'Refused: this node is not in a cluster',
  },
  {
    name: 'HELP',
    arity: 2,
    since: '5.0.0',
    syntax: '',
    summary: 'Lists the subcommands',
    flags: ['loading', 'stale'],
  },
]

export function clusterCommands(): CommandSpec[] {
  const run: CommandSpec['run'] = ({ reply }) => reply.error(DISABLED)
  return [
    keyless({
      name: 'CLUSTER',
      arity: -2,
      flags: [],
      categories: ['cluster'],
      group: 'cluster',
      since: '3.0.0',
      complexity: 'Depends on subcommand.',
      syntax: '',
      summary: 'Refused: this node is not in a cluster',
      run,
      subcommands: WORDS.map((word) => keyless({ flags: ['stale'], ...word, categories: ['cluster'], group: 'cluster', run })),
    }),
    ...['READONLY', 'READWRITE', 'ASKING'].map((name) =>
      keyless({
        name,
        arity: 1,
        flags: name === 'ASKING' ? ['fast'] : ['fast', 'loading', 'stale'],
        categories: ['connection'],
        group: 'cluster',
        since: '3.0.0',
        syntax: '',
        summary: 'Refused: this node is not in a cluster',
        run,
      }),
    ),
  ]
}
