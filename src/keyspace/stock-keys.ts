// The SKUs' names: keys of type `stock` in database 0. The ledger finds and keeps its SKUs by them (its interface SkuNames), so TYPE,
// EXISTS, SCAN, DBSIZE and WRONGTYPE are right without a second index.

import { assert } from '../base/assert.ts'
import type { Keyspace } from './keyspace.ts'
import { KIND_STOCK } from './row.ts'

const NO_KEY = -1
const OTHER_TYPE = -2

export class StockKeys {
  readonly #keyspace: Keyspace

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
  }

  /** The SKU's number; -1: no such key; -2: a key of another type. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const database = this.#keyspace.databases[0]
    const ref = database.find(bytes, start, end, database.hash(bytes, start, end))
    if (ref === 0) return NO_KEY
    return database.kind(ref) === KIND_STOCK ? database.skuNumber(ref) : OTHER_TYPE
  }

  /** Adds a key of type stock; there must be no key of that name. */
  add(bytes: Uint8Array, start: number, end: number, skuNumber: number): void {
    const database = this.#keyspace.databases[0]
    const hash = database.hash(bytes, start, end)
    assert(database.findAny(bytes, start, end, hash) === 0, 'a SKU takes the name of a key')
    database.addStock(hash, bytes, start, end, skuNumber)
  }

  /** Removes the key of a SKU. */
  remove(bytes: Uint8Array, start: number, end: number): void {
    const database = this.#keyspace.databases[0]
    const hash = database.hash(bytes, start, end)
    const ref = database.findAny(bytes, start, end, hash)
    assert(ref !== 0 && database.kind(ref) === KIND_STOCK, 'a SKU has no key')
    database.remove(ref, hash)
  }
}
