// The slow log: commands that ran longer than `slowlog-log-slower-than`, newest first, at most `slowlog-max-len`.
//
// Arguments are cut as Redis cuts them (32 arguments, 128 bytes each), so that an entry stays small whatever the command was.

import type { Request } from '../resp/request.ts'

const ARGUMENTS_MAX = 32
const ARGUMENT_BYTES_MAX = 128

export interface SlowEntry {
  readonly id: number
  /** Unix seconds. */
  readonly time: number
  readonly micros: number
  /** Bytes as latin1. */
  readonly args: readonly string[]
  readonly addr: string
  readonly name: string
}

export class Slowlog {
  /** Newest first. */
  readonly entries: SlowEntry[] = []
  #nextId = 0

  add(request: Request, time: number, micros: number, addr: string, name: string, lengthMax: number): void {
    this.entries.unshift({ id: this.#nextId++, time, micros, args: shortened(request), addr, name })
    if (this.entries.length > lengthMax) this.entries.length = lengthMax
  }

  reset(): void {
    this.entries.length = 0
  }
}

function shortened(request: Request): string[] {
  if (isSecret(request)) return [request.latin1(0), '(redacted)']
  const shown = Math.min(request.argc, ARGUMENTS_MAX)
  const args: string[] = []
  for (let i = 0; i < shown; i++) {
    if (i === ARGUMENTS_MAX - 1 && request.argc > ARGUMENTS_MAX) {
      args.push(`... (${request.argc - ARGUMENTS_MAX + 1} more arguments)`)
      break
    }
    const bytes = request.bytes.subarray(request.start[i], Math.min(request.end[i], request.start[i] + ARGUMENT_BYTES_MAX))
    const text = Buffer.from(bytes).toString('latin1')
    const rest = request.length(i) - ARGUMENT_BYTES_MAX
    args.push(rest > 0 ? `${text}... (${rest} more bytes)` : text)
  }
  return args
}

/** Passwords never lie in a log: AUTH, HELLO ... AUTH and CONFIG SET of a secret are shown by name only. */
function isSecret(request: Request): boolean {
  if (request.is(0, 'AUTH') || request.is(0, 'ACL')) return true
  if (request.is(0, 'HELLO')) return request.argc > 2
  if (request.is(0, 'CONFIG') && request.argc > 2 && request.is(1, 'SET')) {
    for (let i = 2; i < request.argc; i += 2) if (request.is(i, 'REQUIREPASS')) return true
  }
  return false
}
