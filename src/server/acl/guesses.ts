// Wrong passwords by address: whoever opens a new connection for each guess waits all the same.
//
// Only wrong passwords wait; who knows his is served at once, whatever others do from the same address. The table is bounded: an
// address that has not guessed for longest is forgotten first.

import type { Millis } from '../../base/brand.ts'

/** An address is forgotten when it has not guessed for so long. */
const REMEMBERED_MS = 60_000
/** So many may come from one address before it waits: people mistype, and many of them may share it. */
const FREE = 10
const DELAY_MS = 100
const DELAY_MS_MAX = 3000
const ADDRESSES_MAX = 4096

interface Guesser {
  count: number
  at: Millis
}

export class Guesses {
  /** The one that guessed last is at the end. */
  readonly #guessers = new Map<string, Guesser>()

  /** Another wrong password from this address. @returns how long its answer waits */
  delay(address: string, now: Millis): number {
    const guessers = this.#guessers
    const known = guessers.get(address)
    const count = known === undefined || now - known.at > REMEMBERED_MS ? 1 : known.count + 1
    guessers.delete(address)
    guessers.set(address, { count, at: now })
    if (guessers.size > ADDRESSES_MAX) guessers.delete(guessers.keys().next().value!)
    return Math.min(DELAY_MS_MAX, Math.max(0, count - FREE) * DELAY_MS)
  }

  /** Has it guessed so often that its next wrong password waits? */
  isSuspect(address: string, now: Millis): boolean {
    const known = this.#guessers.get(address)
    return known !== undefined && known.count >= FREE && now - known.at <= REMEMBERED_MS
  }

  get size(): number {
    return this.#guessers.size
  }
}

/** `10.0.0.1:4711` and `[::1]:4711` without the port. Of IPv6 the first 64 bits: that is what one customer of a provider gets. */
export function addressOf(addr: string): string {
  const colon = addr.lastIndexOf(':')
  const host = colon < 0 ? addr : addr.slice(0, colon)
  if (!host.startsWith('[')) return host
  const address = host.slice(1, -1)
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1]
  const [left] = address.split('::')
  return left.split(':').slice(0, 4).join(':')
}
