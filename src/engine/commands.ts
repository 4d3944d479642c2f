// Every command that the engine itself understands. The server adds those about the node and its clients.

import type { CommandSpec } from './command.ts'
import { hashCommands } from './commands/hashes.ts'
import { increxCommand } from './commands/increx.ts'
import { keyCommands } from './commands/keys.ts'
import { listCommands } from './commands/lists.ts'
import { setCommands } from './commands/sets.ts'
import { sortedSetCommands } from './commands/sorted-sets/commands.ts'
import { stockCommands } from './commands/stock/commands.ts'
import { stringCommands } from './commands/strings.ts'
import { throttleCommand } from './commands/throttle.ts'

export const ENGINE_COMMANDS: readonly CommandSpec[] = [
  ...stringCommands,
  increxCommand,
  throttleCommand,
  ...keyCommands,
  ...hashCommands,
  ...listCommands,
  ...setCommands,
  ...sortedSetCommands,
  ...stockCommands,
]
