// How orders are spread: D databases of T tables each, over one server or several.
//
//   shard 0..1023 = crc32(buyer) & 1023        part = shard >> 6        database = part mod D        table = (shard & 63) mod T
//
// 16 x 64 gives each shard a table of its own; 1 x 1 is the default. All that belongs to a part is in one database, so a batch is one
// transaction there. Database d is on server d mod (number of servers).
//
//   in each database    orders_NN  order_items_NN  orders_history_NN  order_items_history_NN      by buyer
//                       seller_orders_NN                                                          by seller
//                       order_events and the small tables, once

import { crc32 } from '../../../base/crc32.ts'
import { PARTS } from '../../../engine/outbox.ts'

export const DATABASES_MAX = PARTS
export const TABLES_MAX = 64

export interface LayoutSize {
  readonly databases: number
  readonly tables: number
}

/** Tables of which there are T, by what is in them. */
export type ShardedTable = 'orders' | 'order_items' | 'seller_orders' | 'orders_history' | 'order_items_history'

/** Tables that each database has once. */
export type SingleTable =
  | 'order_events'
  | 'seller_orders_history'
  | 'sku_ledger'
  | 'outbox_cursor'
  | 'skipped_events'
  | 'dead_events'
  | 'audit_marks'
  | 'audit_results'
  | 'decisions'
  | 'consumers'
  | 'stockd_layout'

export const nn = (number: number): string => String(number).padStart(2, '0')

/** One database of the layout: what its tables are called, quoted and qualified. */
export class Database {
  readonly index: number
  readonly name: string
  /** Index of its server. */
  readonly server: number
  /** Parts that are in it. */
  readonly parts: readonly number[]

  constructor(place: { index: number; name: string; server: number; parts: readonly number[] }) {
    this.index = place.index
    this.name = place.name
    this.server = place.server
    this.parts = place.parts
  }

  /** Table number `table` of a kind. */
  sharded(kind: ShardedTable, table: number): string {
    return `\`${this.name}\`.\`${kind}_${nn(table)}\``
  }

  single(name: SingleTable): string {
    return `\`${this.name}\`.\`${name}\``
  }
}

export class Layout {
  readonly size: LayoutSize
  readonly databases: readonly Database[]

  /** @param servers the base name on each */
  constructor(size: LayoutSize, servers: readonly { readonly database: string }[]) {
    const { databases, tables } = size
    if (!Number.isInteger(databases) || databases < 1 || databases > DATABASES_MAX)
      throw new Error(`${databases} databases: expected 1 to ${DATABASES_MAX}`)
    if (!Number.isInteger(tables) || tables < 1 || tables > TABLES_MAX) throw new Error(`${tables} tables: expected 1 to ${TABLES_MAX}`)
    if (servers.length === 0 || servers.length > databases)
      throw new Error(`${servers.length} servers for ${databases} databases: each server has at least one`)
    this.size = size
    this.databases = Array.from({ length: databases }, (_, index) => {
      const server = index % servers.length
      const base = servers[server].database
      const parts = Array.from({ length: PARTS }, (_, part) => part).filter((part) => part % databases === index)
      return new Database({ index, name: databases === 1 ? base : `${base}_${nn(index)}`, server, parts })
    })
  }

  databaseOfPart(part: number): Database {
    return this.databases[part % this.size.databases]
  }

  /** Of orders, their items and their history. */
  tableOfShard(shard: number): number {
    return (shard & (TABLES_MAX - 1)) % this.size.tables
  }

  tableOfSeller(seller: Uint8Array): number {
    return this.tableOfShard(shardOfName(seller))
  }

  /** Where an order is, from its id alone. */
  placeOfOrder(id: Uint8Array): { readonly database: Database; readonly table: number } {
    return this.#place(shardOfOrder(id))
  }

  placeOfBuyer(buyer: Uint8Array): { readonly database: Database; readonly table: number } {
    return this.#place(shardOfName(buyer))
  }

  #place(shard: number): { readonly database: Database; readonly table: number } {
    return { database: this.databaseOfPart(shard >> 6), table: this.tableOfShard(shard) }
  }
}

/** Of a buyer, and of an order without one: CRC32(name) & 1023 in SQL. */
export function shardOfName(name: Uint8Array): number {
  return crc32(name, 0, name.length) & 1023
}

/** `{u42}01JA...` is an order of buyer u42, and is where all of them are. */
export function shardOfOrder(id: Uint8Array): number {
  const open = id.indexOf(0x7b)
  const close = open < 0 ? -1 : id.indexOf(0x7d, open + 1)
  return shardOfName(close <= open + 1 ? id : id.subarray(open + 1, close))
}
