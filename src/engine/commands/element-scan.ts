// HSCAN, SSCAN, ZSCAN: a walk over the elements of one collection, a piece per call, as redis-server answers it. What differs between
// them, an element's name and how it is told, each brings with it.

import { Glob } from '../../base/glob.ts'
import { INVALID_CURSOR } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { parseCursor, parseScanOptions } from './scan.ts'

/** A collection that can be walked through. `visit` is called with each element of the piece as the current one. */
interface Walked {
  scan(cursor: number, limit: number, visit: () => void): number
}

export interface ElementScan<Lens extends Walked> {
  /** The collection of argument 1; null: there is none; undefined: the client has its error. */
  readonly read: (call: Call) => Lens | null | undefined
  /** True if the name of the current element matches. */
  readonly matches: (glob: Glob, lens: Lens) => boolean
  /** How many bulk strings `tell` writes of an element. */
  readonly words: number
  /** Writes the current element. */
  readonly tell: (call: Call, lens: Lens) => void
}

export function scanElements<Lens extends Walked>(call: Call, { read, matches, words, tell }: ElementScan<Lens>): void {
  const { request, reply } = call
  const cursor = parseCursor(request, 2)
  if (cursor === -1) return reply.error(INVALID_CURSOR)
  const lens = read(call)
  if (lens === undefined) return
  if (lens === null) {
    reply.array(2)
    reply.integerBulk(0)
    return reply.array(0)
  }
  const options = parseScanOptions(call, 3, false)
  if (options === undefined) return
  const { bytes, start, end } = request
  const { pattern, count } = options
  const glob = pattern === 0 ? null : new Glob(bytes, start[pattern], end[pattern])
  const isWanted = (): boolean => glob === null || matches(glob, lens)
  // Twice: a reply begins with its length.
  let found = 0
  const next = lens.scan(cursor, count, () => {
    if (isWanted()) found++
  })
  reply.array(2)
  reply.integerBulk(next)
  reply.array(found * words)
  lens.scan(cursor, count, () => {
    if (isWanted()) tell(call, lens)
  })
}
