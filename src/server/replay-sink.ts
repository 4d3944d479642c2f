// Records of the log into an engine: at the start of a node, and in the worker that compacts.

import { StockdError } from '../base/error.ts'
import type { Millis } from '../base/brand.ts'
import type { RecordSink } from '../aof/record-parser.ts'
import type { Engine } from '../engine/engine.ts'
import { Request } from '../resp/request.ts'

/** What stands in a seal when no digest was taken. */
export const NO_DIGEST = '-'

export class ReplaySink implements RecordSink {
  readonly #engine: Engine
  readonly #request = new Request()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  batch(timeMs: number): void {
    this.#engine.now = timeMs as Millis
  }

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): void {
    const request = this.#request
    request.bytes = bytes
    request.argc = argc
    request.start = start as Int32Array<ArrayBuffer>
    request.end = end as Int32Array<ArrayBuffer>
    this.#engine.replay(request)
  }

  seal(digest: string, lsn: number): void {
    if (digest === NO_DIGEST) return
    const found = this.#engine.sealDigest()
    if (found === digest) return
    throw new StockdError(
      'LOG_SEMANTIC',
      `after record ${lsn} the state has digest ${found}, but ${digest} when it was written: the log and this program disagree`,
    )
  }
}
