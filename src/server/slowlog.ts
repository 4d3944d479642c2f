// The slow log: commands that ran longer than `slowlog-log-slower-than`, newest first, at most `slowlog-max-len`.
//
// Arguments are cut as Redis cuts them (32 arguments, 128 bytes each), so that an entry stays small whatever the command was.
// Secrets are hidden (secrets.ts).

import type { Request } from '../resp/request.ts'
import { HIDDEN, secretsOf } from './secrets.ts'

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
  const hidden = secretsOf(request)
  const shown = Math.min(request.argc, ARGUMENTS_MAX)
  const args: string[] = []
  for (let i = 0; i < shown; i++) {
    if (i === ARGUMENTS_MAX - 1 && request.argc > ARGUMENTS_MAX) {
      args.push(`... (${request.argc - ARGUMENTS_MAX + 1} more arguments)`)
      break
    }
    if (hidden?.has(i) === true) {
      args.push(HIDDEN)
      continue
    }
    const bytes = request.bytes.subarray(request.start[i], Math.min(request.end[i], request.start[i] + ARGUMENT_BYTES_MAX))
    const text = Buffer.from(bytes).toString('latin1')
    const rest = request.length(i) - ARGUMENT_BYTES_MAX
    args.push(rest > 0 ? `${text}... (${rest} more bytes)` : text)
  }
  return args
}
