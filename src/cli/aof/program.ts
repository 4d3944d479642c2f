// stockd-aof: looks at log directories, repairs copies of them, and carries data from and to Redis. Offline: no node is needed.
//
// Exit codes: 0 fine, 1 torn tail, 2 corrupt, 3 the records contradict each other, 4 the tool could not do its work.
// It never changes a directory: what it writes is a new one.

import { StockdError, type ErrorCode } from '../../base/error.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import { badArgument, commandLine, complaintOf, subcommand, type CommandLine } from '../command-line.ts'
import { Console } from '../console.ts'
import { check } from './check.ts'
import { digest } from './digest.ts'
import { dump } from './dump.ts'
import { EXIT_CORRUPT, EXIT_FAILED, EXIT_OK, EXIT_SEMANTIC } from './exit-codes.ts'
import { exportRedis } from './export.ts'
import { fix } from './fix.ts'
import { importRedis } from './import.ts'

const NAME = 'stockd-aof'

export async function main(argv: readonly string[]): Promise<void> {
  let isJson = false
  const finish = (code: number): void => {
    process.exitCode = code
  }
  try {
    if (argv.length === 0) {
      new Console(NAME, false).error('a command is missing: check, fix, dump, digest, export or import (--help tells more)')
      finish(EXIT_FAILED)
      return
    }
    await program(finish, (json) => (isJson = json)).parseAsync([...argv], { from: 'user' })
  } catch (error) {
    finish(refuse(error, new Console(NAME, isJson)))
  }
}

function program(finish: (code: number) => void, onJson: (isJson: boolean) => void): CommandLine {
  const out = (options: { json?: true | undefined }): Console => {
    onJson(options.json === true)
    return new Console(NAME, options.json === true)
  }
  const root = commandLine({
    name: NAME,
    about:
      'Looks at stockd log directories, repairs copies of them, and carries data from and to Redis. Never changes a directory in place.',
    version: STOCKD_VERSION,
    after: 'Exit codes: 0 fine, 1 torn tail, 2 corrupt, 3 records contradict each other, 4 could not run',
  })
  const named = (name: string, about: string) => subcommand(root, name, about)

  named('check', 'reads and replays a whole log and says what a start would do')
    .argument('<directory>')
    .option('--json', 'one JSON object')
    .action((directory, options) => finish(check(directory, out(options))))

  named('fix', 'writes a usable copy of a damaged log into a new directory')
    .argument('<directory>')
    .requiredOption('--to <directory>', 'the new directory')
    .option('--truncate-at <lsn>', 'leave out every record behind this one', lsn)
    .option('--i-accept-loss', 'they may have been acknowledged')
    .option('--json', 'one JSON object')
    .action(async (directory, options) => {
      const { to, truncateAt = null, iAcceptLoss = false } = options
      finish(await fix(directory, { to, truncateAt, acceptsLoss: iAcceptLoss }, out(options)))
    })

  named('dump', 'prints records as lines')
    .argument('<directory>')
    .option('--from <lsn>', 'first record', lsn, 0)
    .option('--to <lsn>', 'last record', lsn, Number.MAX_SAFE_INTEGER)
    .option('--sku <name>', 'only records that name it')
    .option('--order <id>', 'only records that name it')
    .option('--key <name>', 'only records that name it')
    .option('--base', 'the records of the base, too')
    .option('--json', 'one JSON object per record')
    .action((directory, options) => {
      const words = [options.sku, options.order, options.key]
        .filter((word) => word !== undefined)
        .map((word) => Buffer.from(word, 'utf8').toString('latin1'))
      finish(dump(directory, { from: options.from, to: options.to, words, base: options.base === true }, out(options)))
    })

  named('digest', 'prints one word for the whole state: equal for equal keys, stock and orders')
    .argument('<directory>')
    .option('--json', 'one JSON object')
    .action((directory, options) => finish(digest(directory, out(options))))

  named('export', 'writes the ordinary keys as a plain Redis log')
    .argument('<directory>')
    .requiredOption('--redis <target>', 'a new directory for redis-server --dir, or - for redis-cli --pipe')
    .option('--json', 'one JSON object')
    .action((directory, options) => finish(exportRedis(directory, options.redis, out(options))))

  named('import', 'makes a log in a new directory from a plain Redis log (RESP: a file, a manifest, or its directory)')
    .argument('<source>')
    .argument('<directory>')
    .option('--json', 'one JSON object')
    .action(async (source, directory, options) => finish(await importRedis(source, directory, out(options))))
  return root
}

function lsn(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw badArgument('not an LSN.')
  return Number(text)
}

const EXITS: Partial<Record<ErrorCode, number>> = { LOG_CORRUPT: EXIT_CORRUPT, LOG_SEMANTIC: EXIT_SEMANTIC }

/** One line that says what is wrong; @returns the exit code. */
function refuse(error: unknown, out: Console): number {
  const complaint = complaintOf(error)
  if (complaint !== null) {
    if (complaint === '') return EXIT_OK
    out.error(complaint)
    return EXIT_FAILED
  }
  if (error instanceof StockdError) {
    if (out.isJson) out.line(JSON.stringify({ status: 'failed', code: error.code, message: error.message }))
    out.error(error.message)
    return EXITS[error.code] ?? EXIT_FAILED
  }
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') throw error
  out.error((error as Error).message)
  return EXIT_FAILED
}
