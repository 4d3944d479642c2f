// All commands of a node: the engine's and the server's, in one list.

import type { CommandSpec } from '../engine/command.ts'
import { keyCommands } from '../engine/commands/keys.ts'
import { stringCommands } from '../engine/commands/strings.ts'
import { allCommands } from '../server/commands/all.ts'
import type { Node } from '../server/node.ts'

export function nodeCommands(node: Node): CommandSpec[] {
  return allCommands(node, [...stringCommands, ...keyCommands])
}
