// Every command of a node that is about the node; those about keys, stock and orders are the engine's.

import type { CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { aclCommands } from './acl.ts'
import { blockingCommands } from './blocking.ts'
import { clientCommands } from './client.ts'
import { clusterCommands } from './cluster.ts'
import { commandCommands } from './command.ts'
import { configCommands } from './config.ts'
import { connectionCommands } from './connection.ts'
import { debugCommands } from './debug.ts'
import { infoCommands } from './info.ts'
import { latencyCommand } from './latency.ts'
import { memoryCommand } from './memory.ts'
import { monitorCommand } from './monitor.ts'
import { pubsubCommands } from './pubsub.ts'
import { serverCommands } from './server.ts'
import { slowlogCommand } from './slowlog.ts'
import { stockAofCommands } from './stock-aof.ts'
import { stockOutboxCommands } from './stock-outbox.ts'
import { streamReadingCommands } from './streams/reading.ts'
import { refusedStreamCommands } from './streams/refused.ts'
import { stockAuditCommands } from './stock-audit.ts'
import { transactionCommands } from './transactions.ts'

/**
 * @param engineSpecs the engine's commands. Its MEMORY, which knows what keys and orders cost, is taken into the one here; all else stays.
 * @returns all commands of a node
 */
export function allCommands(node: Node, engineSpecs: readonly CommandSpec[]): CommandSpec[] {
  const memory = engineSpecs.find((spec) => spec.name === 'MEMORY')
  const costs = memory?.subcommands?.filter((spec) => spec.name !== 'HELP') ?? []
  return [
    ...engineSpecs.filter((spec) => spec !== memory),
    ...connectionCommands(node),
    ...clientCommands(node),
    ...commandCommands(node),
    ...configCommands(node),
    ...infoCommands(node),
    ...serverCommands(node),
    slowlogCommand(node.stats.slowlog),
    latencyCommand(node),
    memoryCommand(node, costs),
    ...debugCommands(node),
    ...clusterCommands(),
    ...aclCommands(node),
    ...stockAofCommands(node),
    ...stockOutboxCommands(node),
    ...blockingCommands(node),
    ...pubsubCommands(node),
    ...streamReadingCommands(node),
    ...refusedStreamCommands(),
    ...stockAuditCommands(node),
    ...transactionCommands(node),
    monitorCommand(node),
  ]
}
