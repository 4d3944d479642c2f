// `stockd-orders migrate`: makes and changes the tables of a store, or says what that would do.

import type { MigrationStep, Store } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { EXIT_OK, EXIT_WRONG } from './exit-codes.ts'
import type { OrdersTool } from './orders-tool.ts'
import { counted, table } from './table.ts'

export function addMigrate(tool: OrdersTool): void {
  tool
    .onStore('migrate', 'makes and changes the tables; may be run again at any time')
    .option('--status', 'only says what is pending (exit code 2 if something is)')
    .action(async (options) => {
      const isAsking = options.status === true
      await tool.withStore(options, isAsking ? 'read' : 'write', (store, out) => migrate(store, isAsking, out))
    })
}

async function migrate(store: Store, isAsking: boolean, out: Console): Promise<number> {
  const before = await store.migrations()
  const steps = isAsking ? before : await store.migrate()
  const pending = pendingOf(steps)
  const count = pendingOf(before).length
  const done = count === 0 ? 'nothing to do' : `${counted(count, 'step')} done`
  const summary =
    pending.length > 0 ? `${counted(pending.length, 'step')} pending: stockd-orders migrate` : isAsking ? 'nothing is pending' : done
  const rows = steps.map(({ name, database, state }) => [database, name, state])
  out.result(out.isJson ? '' : `${table(['DATABASE', 'STEP', 'STATE'], rows)}\n${store.name}: ${summary}`, { steps })
  return pending.length === 0 ? EXIT_OK : EXIT_WRONG
}

const pendingOf = (steps: readonly MigrationStep[]): MigrationStep[] => steps.filter(({ state }) => state !== 'applied')
