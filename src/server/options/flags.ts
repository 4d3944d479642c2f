// Options as flags: `stockd [file] [--name value ...]`.

import { StockdError } from '../../base/error.ts'
import { OPTIONS, optionName } from '../options.ts'
import type { Setting } from '../options.ts'
import { variableOf } from './environment.ts'
import { yesNo } from './kinds.ts'
import type { Kind } from './kinds.ts'
import { unknownOption } from './suggestion.ts'

export interface Flags {
  readonly settings: readonly Setting[]
  /** The option file: the one argument without dashes, as redis-server takes it. */
  readonly file: string | null
  /** Secrets that were given as flags, where every user of the machine can see them: the process hides them, and says so. */
  readonly secrets: readonly string[]
  readonly help: boolean
  readonly version: boolean
}

/** Reads `stockd [file] [--name value ...]`, also `--name=value`, and a bare `--name` for yes. Throws StockdError BAD_OPTION. */
export function readFlags(argv: readonly string[]): Flags {
  const settings: Setting[] = []
  const secrets: string[] = []
  let file: string | null = null
  let help = false
  let version = false
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]
    if (argument === '--help' || argument === '-h') help = true
    else if (argument === '--version' || argument === '-v') version = true
    else if (argument.startsWith('--')) {
      const equals = argument.indexOf('=')
      const name = optionName(argument.slice(2, equals < 0 ? undefined : equals).toLowerCase())
      const spec = OPTIONS.get(name)
      if (spec === undefined) throw new StockdError('BAD_OPTION', unknownOption(name, '--'))
      if (spec.secret && !secrets.includes(name)) secrets.push(name)
      if (equals >= 0) {
        settings.push({ name, value: argument.slice(equals + 1) })
        continue
      }
      // An option of several words takes all that follow: --bind 127.0.0.1 ::1.
      const values: string[] = []
      while (i + 1 < argv.length && !argv[i + 1].startsWith('--') && (values.length === 0 || spec.kind.severalWords)) values.push(argv[++i])
      if (values.length > 0) settings.push({ name, value: values.join(' ') })
      else if (spec.kind === (yesNo as Kind<unknown>)) settings.push({ name, value: 'yes' })
      else throw new StockdError('BAD_OPTION', `--${name} needs a value (${spec.kind.label})`)
    } else if (argument.startsWith('-') && argument !== '-') {
      throw new StockdError('BAD_OPTION', `unknown flag ${JSON.stringify(argument)}; options are written --name value`)
    } else if (file === null) file = argument
    else throw new StockdError('BAD_OPTION', `unexpected argument ${JSON.stringify(argument)}; options are written --name value`)
  }
  return { settings, file, secrets, help, version }
}

/** The lines of `--help` for the options, in the order of the table. */
export function flagHelp(): string {
  const left = [...OPTIONS].map(([name, spec]) => (spec.secret ? `  ${variableOf(name)}[_FILE]` : `  --${name} <${spec.kind.label}>`))
  const width = 44
  return [...OPTIONS]
    .map(([, spec], i) => {
      const initial = spec.kind.format(spec.default)
      const about = `${spec.about}${initial === '' ? '' : ` [${initial}]`}`
      return left[i].length < width ? `${left[i].padEnd(width)}${about}` : `${left[i]}\n${' '.repeat(width)}${about}`
    })
    .join('\n')
}
