// The command lines of our tools, by commander: a root with subcommands. What is wrong with one is told by `complaintOf`, in one line, and
// never by commander itself; it does not end the process either.

import { Command, CommanderError, InvalidArgumentError } from '@commander-js/extra-typings'

export type CommandLine = Command

export interface CommandLineText {
  readonly name: string
  readonly about: string
  readonly version: string
  /** Behind the help. */
  readonly after: string
}

export function commandLine({ name, about, version, after }: CommandLineText): CommandLine {
  return new Command(name)
    .description(about)
    .version(version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeErr: () => {} })
    .addHelpText('after', `\n${after}`)
}

export function subcommand(root: CommandLine, name: string, about: string) {
  return root
    .command(name)
    .description(about)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
}

/** To be thrown by what reads a flag's value. @param says a sentence: `not an LSN.` */
export function badArgument(says: string): Error {
  return new InvalidArgumentError(says)
}

/** What is wrong with the command line. '': nothing, it asked for help or the version. Null: the error is another one. */
export function complaintOf(error: unknown): string | null {
  if (!(error instanceof CommanderError)) return null
  return error.exitCode === 0 ? '' : error.message.replace(/^error: /, '')
}
