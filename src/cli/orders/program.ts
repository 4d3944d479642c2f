// stockd-orders: carries orders from the broker into the database, and looks at them there.
//
// Exit codes: 0 fine, 1 not found, 2 something is wrong (differences, findings), 3 database or broker cannot be used, 4 wrong command line.

import { StockdError } from '../../base/error.ts'
import { StoreError } from '../../orders/store/store-error.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import { commandLine, complaintOf } from '../command-line.ts'
import { Console } from '../console.ts'
import { addArchive } from './archive.ts'
import { addCursor } from './cursor.ts'
import { addDead } from './dead.ts'
import { addDoctor } from './doctor.ts'
import { EXIT_BUG, EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE } from './exit-codes.ts'
import { addList } from './list.ts'
import { addMigrate } from './migrate.ts'
import { OrdersTool, TOOL, type AddCommand } from './orders-tool.ts'
import { addReconcile } from './reconcile.ts'
import { addRun } from './run.ts'
import { addSchema } from './schema.ts'
import { addShow } from './show.ts'
import { addStats } from './stats.ts'

/** In the order of the help. A new subcommand is a file and a line here. */
const COMMANDS: readonly AddCommand[] = [
  ...[addRun, addList, addShow, addStats, addDead, addReconcile, addDoctor, addArchive, addCursor],
  ...[addMigrate, addSchema],
]

export async function main(argv: readonly string[]): Promise<void> {
  const root = commandLine({
    name: TOOL,
    about: 'Carries orders from the broker into the database, and looks at them there.',
    version: STOCKD_VERSION,
    after:
      'Without --store: STOCKD_ORDERS_STORE, or the file that STOCKD_ORDERS_STORE_FILE names, else the file of a node that runs here\n' +
      '(sqlite:aof/orders.db).\n\n' +
      'Exit codes: 0 fine, 1 not found, 2 something is wrong, 3 database or broker cannot be used, 4 wrong command line\n' +
      '(doctor and reconcile have their own: see their --help)',
  })
  const tool = new OrdersTool(root)
  for (const add of COMMANDS) add(tool)
  try {
    if (argv.length === 0) {
      const names = root.commands.map((command) => command.name())
      new Console(TOOL, false).error(`a command is missing: ${names.join(', ')} (--help tells more)`)
      process.exitCode = EXIT_FAILED
      return
    }
    await root.parseAsync([...argv], { from: 'user' })
    process.exitCode = tool.exitCode
  } catch (error) {
    process.exitCode = refuse(error, new Console(TOOL, tool.isJson))
  }
}

/** One line that says what is wrong; @returns the exit code. */
function refuse(error: unknown, out: Console): number {
  const complaint = complaintOf(error)
  if (complaint === '') return EXIT_OK
  if (complaint !== null) {
    out.error(complaint)
    return EXIT_FAILED
  }
  if (error instanceof StockdError || error instanceof StoreError) {
    if (out.isJson) out.line(JSON.stringify({ status: 'failed', code: error.code, message: error.message }))
    out.error(error.message)
    return error instanceof StoreError && error.kind !== 'poison' ? EXIT_UNAVAILABLE : EXIT_FAILED
  }
  if (error instanceof Error) {
    out.error(`this is a bug: ${error.stack ?? error.message}`)
    return EXIT_BUG
  }
  throw error
}
