// What happened to which key, for whoever wants to hear of it at once: Redis calls it keyspace notifications.
//
// Every command that changes a key announces it here, in the words, the order and the number of redis-server; so do keys and holds whose
// time has come. Nothing is kept: a notice is handed to the sink and forgotten. Records tell what has happened, notices that it has.
//
// What stays true: nothing is announced but by what runs now. Records that are replayed announce nothing.
//
// Unusual: while nobody wants a notice (`mask` is 0), announcing one is a look at a number.

import { assert } from '../base/assert.ts'
import type { Call } from './call.ts'

// The classes, as bits.
export const GENERIC = 1 << 0
export const STRING = 1 << 1
export const LIST = 1 << 2
export const SET = 1 << 3
export const HASH = 1 << 4
export const ZSET = 1 << 5
export const EXPIRED = 1 << 6
export const MISSED = 1 << 7
export const NEW = 1 << 8
/** A SKU itself: `stock.adjusted`, `stock.soldout` ... */
export const INVENTORY = 1 << 9
/** The orders on a SKU: `order.reserved`, `order.expired` ... */
export const BOOKING = 1 << 10
/** Classes that Redis has and nothing here belongs to. */
const EVICTED = 1 << 11
const STREAM = 1 << 12
const MODULE = 1 << 13
/** The channels: one per key, one per event. */
export const BY_KEY = 1 << 14
export const BY_EVENT = 1 << 15

/** What `A` stands for: Redis's types and what becomes of keys; not the misses, not the new keys, not stock. */
const ALL = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE

/** In the order in which CONFIG GET tells them. Those of `A` come first, and are told as `A` if they are all there. */
const LETTERS: readonly (readonly [string, number])[] = [
  ['g', GENERIC],
  ['$', STRING],
  ['l', LIST],
  ['s', SET],
  ['h', HASH],
  ['z', ZSET],
  ['x', EXPIRED],
  ['e', EVICTED],
  ['t', STREAM],
  ['d', MODULE],
  // Redis says nothing of it behind an `A`.
  ['n', NEW],
  ['K', BY_KEY],
  ['E', BY_EVENT],
  ['m', MISSED],
  ['i', INVENTORY],
  ['b', BOOKING],
]
const OF_LETTER: ReadonlyMap<string, number> = new Map([...LETTERS, ['A', ALL]])
const UNSAID_AFTER_ALL = ALL | NEW

/** All letters, as a refusal tells them. */
export const CLASS_LETTERS = 'Ag$lshzxeKEtmdnib'

/** The classes of a text like `KEg$`; undefined if a letter is none. */
export function parseClasses(text: string): number | undefined {
  let classes = 0
  for (const letter of text) {
    const bits = OF_LETTER.get(letter)
    if (bits === undefined) return undefined
    classes |= bits
  }
  return classes
}

/** The text of classes, as CONFIG GET tells it. */
export function formatClasses(classes: number): string {
  const hasAll = (classes & ALL) === ALL
  const said = hasAll ? classes & ~UNSAID_AFTER_ALL : classes
  const letters = LETTERS.filter(([, bit]) => (said & bit) !== 0).map(([letter]) => letter)
  return (hasAll ? 'A' : '') + letters.join('')
}

/** Hears of an event of the key bytes[start..end), which are valid during the call. Must not touch the engine. */
export type OnNotice = (event: string, database: number, bytes: Uint8Array, start: number, end: number) => void

/** Hears of a SKU that has nothing to sell any more, or has again; `version` is the SKU's. */
export type OnSale = (event: 'soldout' | 'available', sku: Uint8Array, version: number) => void

export class Notices {
  /** The classes that somebody wants; 0: nothing is told. */
  mask = 0
  #onNotice: OnNotice | null = null
  /** Hears whatever the mask is. */
  onSale: OnSale | null = null

  /** From now on these classes are told, and no others. */
  listen(classes: number, onNotice: OnNotice): void {
    this.mask = classes
    this.#onNotice = onNotice
  }

  /** Tells an event of a class that may not be wanted. */
  tell(kind: number, event: string, database: number, bytes: Uint8Array, start: number, end: number): void {
    if ((this.mask & kind) === 0) return
    assert(this.#onNotice !== null, 'a mask without a listener')
    this.#onNotice(event, database, bytes, start, end)
  }
}

/** Argument `key` of the command at hand had this event, in the client's database. */
export function announce(call: Call, kind: number, event: string, key: number): void {
  if (call.engine.notices.mask !== 0) announceIn(call, call.client.database, kind, event, key)
}

/** The same in the database of this number. */
export function announceIn({ engine, request }: Call, database: number, kind: number, event: string, key: number): void {
  engine.notices.tell(kind, event, database, request.bytes, request.start[key], request.end[key])
}
