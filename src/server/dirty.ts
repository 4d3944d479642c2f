// What was changed lately and may not be durable yet: under `always` a reply that saw it waits until it is.
//
// Exact where it is cheap, too careful elsewhere: every word of a written record is remembered, by its hash, with the record's LSN, and so
// is the buyer in an order id. Whoever reads a key, an order, a SKU or a buyer asks for that word. Two words in one place, or a quantity
// that is also somebody's key, only make a reply wait that need not have.

import type { Lsn } from '../base/brand.ts'
import { hashBytes } from '../base/hash.ts'

const NONE = 0 as Lsn
const PLACES = 65536
const CR = 13
const OPENING = 123
const CLOSING = 125

export class Dirty {
  /** LSN of the newest record about stock or orders. */
  stock: Lsn = NONE
  /** LSN of the newest record. */
  any: Lsn = NONE
  readonly #newest = new Float64Array(PLACES)

  /** The records bytes[from..to), RESP arrays, were written; the last of them has this LSN. */
  wrote(bytes: Uint8Array, from: number, to: number, lsn: Lsn): void {
    this.any = lsn
    for (let p = from; p < to;) {
      const isBulk = bytes[p] === 36
      let n = 0
      for (p++; bytes[p] !== CR; p++) n = n * 10 + bytes[p] - 48
      p += 2
      // An array's header says how many words follow, and they do.
      if (!isBulk) continue
      this.#newest[placeOf(bytes, p, p + n)] = lsn
      this.#buyer(bytes, p, p + n, lsn)
      p += n + 2
    }
  }

  /** Nothing is what it was: FLUSHALL, SWAPDB. */
  wroteAll(lsn: Lsn): void {
    this.#newest.fill(lsn)
    this.stock = lsn
    this.any = lsn
  }

  /** LSN of the newest record that may be about this word. */
  newestOf(bytes: Uint8Array, start: number, end: number): Lsn {
    return this.#newest[placeOf(bytes, start, end)] as Lsn
  }

  #buyer(bytes: Uint8Array, start: number, end: number, lsn: Lsn): void {
    for (let i = start; i < end; i++) {
      if (bytes[i] !== OPENING) continue
      for (let k = i + 1; k < end; k++) {
        if (bytes[k] !== CLOSING) continue
        this.#newest[placeOf(bytes, i + 1, k)] = lsn
        return
      }
      return
    }
  }
}

function placeOf(bytes: Uint8Array, start: number, end: number): number {
  return hashBytes(bytes, start, end, 0) & (PLACES - 1)
}
