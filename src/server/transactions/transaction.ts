// A transaction: what a session has sent since MULTI, whole requests, as copies of their bytes.
//
// What stays true: every request in it has passed the checks when it came. Once one was refused nothing more is kept, because EXEC will
// not run any of it.
//
// Unusual: the requests are no objects of their own. Their bytes lie one behind another in a few chunks, where each begins and ends in
// one list of numbers: a hundred thousand of them cost little more than what was sent.

import { copyBytes } from '../../base/bytes.ts'
import type { CommandSpec } from '../../engine/command.ts'
import type { Request } from '../../resp/request.ts'

/** The next chunk is twice as large as the one before, up to this; a request that is larger has one to itself. */
const CHUNK_BYTES_MAX = 64 * 1024
const CHUNK_BYTES_AT_FIRST = 512
/** What lists of numbers take for a request and for each of its arguments, with room to grow. */
const BYTES_PER_REQUEST = 64
const BYTES_PER_ARGUMENT = 24
/** What redis-server takes for the pointer to an argument. */
const POINTER_BYTES = 8

export class Transaction {
  /** The commands, as they came. */
  readonly specs: CommandSpec[] = []
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
  readonly #chunks: Buffer[] = []
  /** So many bytes of the last chunk are taken. */
  #used = 0
  /** Of each request: its chunk and its number of arguments, then of each argument where it begins and ends in that chunk. */
  readonly #places: number[] = []

  /** How many requests there are. */
  get count(): number {
    return this.specs.length
  }

  /** The request is copied: its bytes are valid during the call only. */
  add(request: Request, spec: CommandSpec, bits: number): void {
    if (this.isRefused) return
    const { argc, start, end } = request
    // What lies between two arguments is copied, too: one copy is cheaper than many.
    const first = start[0]
    const last = end[argc - 1]
    const chunk = this.#room(last - first)
    const moved = this.#used - first
    copyBytes(request.bytes, first, last, chunk, this.#used)
    this.#used += last - first
    const places = this.#places
    places.push(this.#chunks.length - 1, argc)
    for (let i = 0; i < argc; i++) {
      places.push(start[i] + moved, end[i] + moved)
      this.argumentBytes += end[i] - start[i] + POINTER_BYTES
    }
    this.specs.push(spec)
    this.bytes += BYTES_PER_REQUEST + argc * BYTES_PER_ARGUMENT
    this.anyBits |= bits
    this.allBits &= bits
  }

  /** Shows each request in this one, in the order in which they came. */
  *requests(shown: Request): Iterable<CommandSpec> {
    const places = this.#places
    let at = 0
    for (const spec of this.specs) {
      shown.bytes = this.#chunks[places[at]]
      shown.argc = places[at + 1]
      shown.reserve(shown.argc)
      at += 2
      for (let i = 0; i < shown.argc; i++) {
        shown.start[i] = places[at++]
        shown.end[i] = places[at++]
      }
      yield spec
    }
  }

  /** The last chunk, which has room for so many bytes. */
  #room(bytes: number): Buffer {
    const last = this.#chunks.at(-1)
    if (last !== undefined && bytes <= last.length - this.#used) return last
    const wanted = last === undefined ? CHUNK_BYTES_AT_FIRST : Math.min(last.length * 2, CHUNK_BYTES_MAX)
    const chunk = Buffer.allocUnsafe(Math.max(wanted, bytes))
    this.#chunks.push(chunk)
    this.#used = 0
    this.bytes += chunk.length
    return chunk
  }
}
