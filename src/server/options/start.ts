// The options of a process: default < file < environment < flag.

import { Options } from '../options.ts'
import { readEnvironment } from './environment.ts'
import { readOptionFile } from './file.ts'
import type { Flags } from './flags.ts'

/** Throws StockdError BAD_OPTION with one clear line. */
export function startOptions({ flags, environment }: { flags: Flags; environment: NodeJS.ProcessEnv }): Options {
  const options = new Options()
  options.file = flags.file
  if (flags.file !== null) options.load(readOptionFile(flags.file))
  options.load(readEnvironment(environment))
  options.load(flags.settings)
  return options
}
