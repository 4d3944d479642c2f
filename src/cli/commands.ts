// All commands of a node: the engine's and the server's, in one list.

import type { CommandSpec } from '../engine/command.ts'
import { ENGINE_COMMANDS } from '../engine/commands.ts'
import { allCommands } from '../server/commands/all.ts'
import type { Node } from '../server/node.ts'

export function nodeCommands(node: Node): CommandSpec[] {
  return allCommands(node, ENGINE_COMMANDS)
}
