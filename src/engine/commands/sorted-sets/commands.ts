// All commands of sorted sets.

import type { CommandSpec } from '../../command.ts'
import { sortedSetAlgebraCommands } from './algebra.ts'
import { sortedSetMemberCommands } from './members.ts'
import { sortedSetPopCommands } from './pops.ts'
import { sortedSetRangeCommands } from './ranges.ts'

export const sortedSetCommands: readonly CommandSpec[] = [
  ...sortedSetMemberCommands,
  ...sortedSetRangeCommands,
  ...sortedSetPopCommands,
  ...sortedSetAlgebraCommands,
]
