// A transaction: what a session has sent since MULTI, whole requests, as copies of their bytes.
//
// What stays true: every request in it has passed the checks when it came. Once one was refused nothing more is kept, because EXEC will
// not run any of it.

import type { CommandSpec } from '../../engine/command.ts'
import type { Request } from '../../resp/request.ts'

/** What a queued request takes beside its bytes: its offsets and its place. */
const BYTES_PER_REQUEST = 64
const BYTES_PER_ARGUMENT = 8

export interface Queued {
  readonly request: Request
  readonly spec: CommandSpec
}

export class Transaction {
  readonly queued: Queued[] = []
  /** Memory that it takes. */
  bytes = 0
  /** What redis-server would count: the arguments and a pointer to each (`multi-mem=`). */
  argumentBytes = 0
  /** The bits (dispatch.ts) that any of its commands has. */
  anyBits = 0
  /** The bits that all of its commands have. */
  allBits = ~0
  /** A request was refused: EXEC discards it all. */
  isRefused = false

  /** The request is copied: its bytes are valid during the call only. */
  add(request: Request, spec: CommandSpec, bits: number): void {
    if (this.isRefused) return
    const copy = request.clone()
    this.queued.push({ request: copy, spec })
    this.bytes += copy.bytes.length + copy.argc * BYTES_PER_ARGUMENT + BYTES_PER_REQUEST
    for (let i = 0; i < copy.argc; i++) this.argumentBytes += copy.length(i) + BYTES_PER_ARGUMENT
    this.anyBits |= bits
    this.allBits &= bits
  }
}
