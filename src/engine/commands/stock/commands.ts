// All STOCK commands, and FCALL as another way to them.

import type { Call } from '../../call.ts'
import { type CommandSpec, NO_KEYS } from '../../command.ts'
import { functionCommands } from './functions.ts'
import { orderCommands } from './orders.ts'
import { readingCommands } from './reading.ts'
import { skuCommands } from './skus.ts'

const plain: readonly CommandSpec[] = [...orderCommands, ...skuCommands, ...readingCommands]

function help(call: Call): void {
  const lines = ['STOCK commands:', ...plain.flatMap((spec) => [`${spec.name} ${spec.syntax}`, `    ${spec.summary}`])]
  call.reply.array(lines.length)
  for (const line of lines) call.reply.simple(line)
}

const helpCommand: CommandSpec = {
  name: 'STOCK.HELP',
  arity: 1,
  flags: ['readonly', 'loading', 'stale'],
  keys: NO_KEYS,
  categories: ['read', 'stock', 'slow'],
  group: 'stock',
  since: '0.1.0',
  complexity: 'O(1)',
  summary: 'Returns the STOCK commands with their syntax.',
  syntax: '',
  run: help,
}

export const stockCommands: readonly CommandSpec[] = [...plain, helpCommand, ...functionCommands([...plain, helpCommand])]
