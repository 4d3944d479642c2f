// The error texts that more than one command answers, exactly as redis-server 7.0.15 says them.
//
// An error's first word is its code (clients branch on it); the rest is for people. Bytes of a client that are quoted in a text are
// one character per byte: Reply.error writes them back as the same bytes.

import type { Request } from './request.ts'

export const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'
export const SYNTAX = 'ERR syntax error'
export const VALUE_NOT_AN_INTEGER = 'ERR value is not an integer or out of range'
export const VALUE_NOT_A_FLOAT = 'ERR value is not a valid float'
export const VALUE_NOT_POSITIVE = 'ERR value is out of range, must be positive'
export const OFFSET_OUT_OF_RANGE = 'ERR offset is out of range'
export const STRING_TOO_LONG = 'ERR string exceeds maximum allowed size (proto-max-bulk-len)'
export const INCREMENT_OVERFLOW = 'ERR increment or decrement would overflow'
export const DECREMENT_OVERFLOW = 'ERR decrement would overflow'
export const INCREMENT_NOT_FINITE = 'ERR increment would produce NaN or Infinity'
export const INCREMENT_IS_NOT_FINITE = 'ERR value is NaN or Infinity'
export const HASH_VALUE_NOT_AN_INTEGER = 'ERR hash value is not an integer'
export const HASH_VALUE_NOT_A_FLOAT = 'ERR hash value is not a float'
export const VALUE_OUT_OF_RANGE = 'ERR value is out of range'
export const NO_SUCH_KEY = 'ERR no such key'
export const SAME_OBJECT = 'ERR source and destination objects are the same'
export const DATABASE_OUT_OF_RANGE = 'ERR DB index is out of range'
export const INVALID_CURSOR = 'ERR invalid cursor'
export const NX_AND_OTHERS = 'ERR NX and XX, GT or LT options at the same time are not compatible'
export const GT_AND_LT = 'ERR GT and LT options at the same time are not compatible'

export const AUTHENTICATION_REQUIRED = 'NOAUTH Authentication required.'
export const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.'
export const NO_PROTOCOL = 'NOPROTO unsupported protocol version'
export const LOADING = 'LOADING Redis is loading the dataset in memory'
export const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."

/** @param command the command's name in lower case; of a subcommand with its container: `client|setname`. */
export const wrongArity = (command: string): string => `ERR wrong number of arguments for '${command}' command`

/** @param command the command's name in lower case. */
export const invalidExpireTime = (command: string): string => `ERR invalid expire time in '${command}' command`

/** Bytes of a client's word that an error quotes. */
const QUOTED_MAX = 128

/** No command has this name. The first arguments are shown: mostly they tell which program sent it. */
export function unknownCommand(request: Request): string {
  let args = ''
  for (let i = 1; i < request.argc && args.length < QUOTED_MAX; i++) args += `'${request.untilNul(i, QUOTED_MAX - args.length)}' `
  return `ERR unknown command '${request.untilNul(0, QUOTED_MAX)}', with args beginning with: ${args}`
}

/** The command is known and a container, its subcommand is not. @param container the container's name. */
export function unknownSubcommand(request: Request, container: string): string {
  return `ERR unknown subcommand '${request.untilNul(1, QUOTED_MAX)}'. Try ${container.toUpperCase()} HELP.`
}

/** Its subcommand is known, or is one more word to the command itself, but what follows does not fit. */
export function wrongSubcommand(request: Request, container: string): string {
  return `ERR unknown subcommand or wrong number of arguments for '${request.untilNul(1, QUOTED_MAX)}'. Try ${container} HELP.`
}
