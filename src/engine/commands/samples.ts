// Elements by chance, for HRANDFIELD, SRANDMEMBER and their like: the count that clients give, and how that many are found.

import type { Random } from '../../base/random.ts'
import { SYNTAX, VALUE_OUT_OF_RANGE } from '../../resp/errors.ts'
import type { Call } from '../call.ts'
import { int64Argument } from './instants.ts'

const LONG_MAX = 2n ** 63n - 1n
/** No element takes fewer bytes in a reply. */
const ELEMENT_BYTES_MIN = 6
/** More than any reply may have. */
const ELEMENTS_MAX = 2 ** 31

/** A lens, as far as its elements are drawn from it. */
interface Drawable {
  readonly count: number
  /** Tells the element that was chosen last from all others. */
  readonly place: number
  readonly large: object | null
  rewind(): void
  next(): boolean
  choose(random: () => number): void
}

/** Argument i as how many elements: negative for any, positive for different ones. Undefined if it is none; the client has its error. */
export function sampleCount(call: Call, i: number): number | undefined {
  const n = int64Argument(call, i)
  if (n === undefined) return undefined
  if (BigInt(n) < -LONG_MAX) {
    call.reply.error(`ERR value is out of range, value must between ${-LONG_MAX} and ${LONG_MAX}`)
    return undefined
  }
  return Number(n)
}

/**
 * The count of a command that may say more about its elements: `word` as argument 3, and then it is `full`. Undefined if the arguments
 * are wrong; the client has its error.
 */
export function sampleOf(call: Call, word: string): { readonly count: number; readonly isFull: boolean } | undefined {
  const { request, reply } = call
  const count = sampleCount(call, 2)
  if (count === undefined) return undefined
  if (request.argc > 4 || (request.argc === 4 && !request.is(3, word))) {
    reply.error(SYNTAX)
    return undefined
  }
  if (request.argc === 4 && Math.abs(count) > 2 ** 62) {
    reply.error(VALUE_OUT_OF_RANGE)
    return undefined
  }
  return { count, isFull: request.argc === 4 }
}

/** True if a reply of so many elements would be larger than any may be; then nobody will see it. */
export function isTooMany({ reply }: Call, elements: number): boolean {
  if (elements <= ELEMENTS_MAX && elements * ELEMENT_BYTES_MIN <= reply.bytesMax) return false
  reply.isTooLong = true
  return true
}

/** Shows `wanted` different elements, by chance and each combination with the same probability; there are more than that. */
export function visitSome(lens: Drawable, wanted: number, random: Random, visit: () => void): void {
  if (lens.large === null || wanted * 3 > lens.count) {
    // One walk: each element is taken with the probability that the rest leaves it (Fan, Muller and Rezucha).
    let left = lens.count
    let open = wanted
    for (lens.rewind(); open > 0 && lens.next(); left--) {
      if (random.float() * left >= open) continue
      visit()
      open--
    }
    return
  }
  const seen = new Set<number>()
  while (seen.size < wanted) {
    lens.choose(() => random.float())
    if (seen.has(lens.place)) continue
    seen.add(lens.place)
    visit()
  }
}
