// Every command that the engine itself understands. The server adds those about the node and its clients.

import type { CommandSpec } from './command.ts'
import { keyCommands } from './commands/keys.ts'
import { stockCommands } from './commands/stock/commands.ts'
import { stringCommands } from './commands/strings.ts'

export const ENGINE_COMMANDS: readonly CommandSpec[] = [...stringCommands, ...keyCommands, ...stockCommands]
