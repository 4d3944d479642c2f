// What only some orders have: a payment's REF, a reason, units that moved in parts, remembered operations, payments that achieved
// nothing. It lies in a second row, which is decoded, changed and written anew as a whole; most often it is just a REF.
//
//   u32   length (24 bits) | parts present (8 bits), then the parts in this order:
//   REF        u16 length, bytes                           REASON     u8 length, bytes
//   UPDATED    f64: the last change, if later than `at`    COLUMNS    per item u32 released, u32 sold, u32 returned
//   OPERATIONS u8 count; each u8 kind, u16 length, id, u32 digest a, u32 digest b, f64 when
//   ORPHANS    u16 count; each u16 length, bytes

import { GRANULE_MASK, SEGMENT_SHIFT } from '../table/arena.ts'
import { EXTRA, type OrderRows } from './order-rows.ts'

const REF = 1
const REASON = 2
const UPDATED = 4
const COLUMNS = 8
const OPERATIONS = 16
const ORPHANS = 32

/** Operations (RELEASE and RETURN together) that an order remembers. */
const OPERATIONS_REMEMBERED = 16

export const OperationKind = { RELEASE: 1, RETURN: 2 } as const
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind]

export interface Operation {
  readonly kind: number
  readonly id: Uint8Array
  /** Digest of the items as they were asked (64 bits in two halves). */
  readonly digestA: number
  readonly digestB: number
  readonly when: number
}

/** Units of one item that were released before the order left RESERVED, sold, and returned. */
export interface Column {
  released: number
  sold: number
  returned: number
}

const writer = { bytes: Buffer.allocUnsafeSlow(4096), length: 0 }

export class OrderExtra {
  /** The REF of RESERVE or of the payment. */
  ref: Uint8Array | null = null
  reason: Uint8Array | null = null
  /** The order's last change, if later than the row's `at`; else 0. */
  updated = 0
  /** One per item, or null: then the order's state says where its units are. */
  columns: Column[] | null = null
  operations: Operation[] = []
  /** REFs of payments that achieved nothing. */
  orphans: Uint8Array[] = []

  /** What the order's row has; an empty one if it has none. */
  static of(rows: OrderRows, order: number): OrderExtra {
    const extra = new OrderExtra()
    const row = rows.word(order, EXTRA)
    if (row === 0) return extra
    const bytes = rows.arena.bytes[row >>> SEGMENT_SHIFT]
    let p = (row & GRANULE_MASK) << 3
    const memory = Buffer.from(bytes.buffer, p, rows.word(row, 0) >>> 8)
    const parts = memory[0]
    p = 4
    const take = (n: number): Buffer => {
      p += n
      return Buffer.from(memory.subarray(p - n, p))
    }
    const u16 = (): number => memory.readUInt16LE((p += 2) - 2)
    const u32 = (): number => memory.readUInt32LE((p += 4) - 4)
    const f64 = (): number => memory.readDoubleLE((p += 8) - 8)
    if (parts & REF) extra.ref = take(u16())
    if (parts & REASON) extra.reason = take(memory[p++])
    if (parts & UPDATED) extra.updated = f64()
    if (parts & COLUMNS) {
      extra.columns = []
      for (let i = rows.itemCount(order); i > 0; i--) extra.columns.push({ released: u32(), sold: u32(), returned: u32() })
    }
    if (parts & OPERATIONS) {
      for (let n = memory[p++]; n > 0; n--) {
        const kind = memory[p++]
        extra.operations.push({ kind, id: take(u16()), digestA: u32(), digestB: u32(), when: f64() })
      }
    }
    if (parts & ORPHANS) for (let n = u16(); n > 0; n--) extra.orphans.push(take(u16()))
    return extra
  }

  /** Writes it to the order's row, in place if it fits. */
  store(rows: OrderRows, order: number): void {
    const parts =
      (this.ref === null ? 0 : REF) |
      (this.reason === null ? 0 : REASON) |
      (this.updated === 0 ? 0 : UPDATED) |
      (this.columns === null ? 0 : COLUMNS) |
      (this.operations.length === 0 ? 0 : OPERATIONS) |
      (this.orphans.length === 0 ? 0 : ORPHANS)
    const old = rows.word(order, EXTRA)
    if (parts === 0) {
      OrderExtra.free(rows, order)
      return
    }
    writer.length = 4
    if (this.ref !== null) put16(this.ref)
    if (this.reason !== null) {
      putNumber(1, this.reason.length)
      putBytes(this.reason)
    }
    if (this.updated !== 0) putNumber(8, this.updated)
    if (this.columns !== null) {
      for (const column of this.columns) {
        putNumber(4, column.released)
        putNumber(4, column.sold)
        putNumber(4, column.returned)
      }
    }
    if (this.operations.length > 0) {
      putNumber(1, this.operations.length)
      for (const operation of this.operations) {
        putNumber(1, operation.kind)
        put16(operation.id)
        putNumber(4, operation.digestA)
        putNumber(4, operation.digestB)
        putNumber(8, operation.when)
      }
    }
    if (this.orphans.length > 0) {
      putNumber(2, this.orphans.length)
      for (const ref of this.orphans) put16(ref)
    }
    const length = writer.length
    writer.bytes.writeUInt32LE(((length << 8) | parts) >>> 0, 0)
    let row = old
    if (old === 0 || !rows.arena.fits(rows.word(old, 0) >>> 8, length)) {
      if (old !== 0) rows.arena.free(old, rows.word(old, 0) >>> 8)
      row = rows.arena.alloc(length)
      rows.setWord(order, EXTRA, row)
    }
    rows.arena.bytes[row >>> SEGMENT_SHIFT].set(writer.bytes.subarray(0, length), (row & GRANULE_MASK) << 3)
  }

  /** The extra row as it is; of no bytes if there is none. */
  static bytesOf(rows: OrderRows, order: number): Uint8Array {
    const row = rows.word(order, EXTRA)
    if (row === 0) return new Uint8Array(0)
    const start = (row & GRANULE_MASK) << 3
    return rows.arena.bytes[row >>> SEGMENT_SHIFT].subarray(start, start + (rows.word(row, 0) >>> 8))
  }

  /** Gives an order without extra row this one. */
  static load(rows: OrderRows, order: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const row = rows.arena.alloc(bytes.length)
    rows.arena.bytes[row >>> SEGMENT_SHIFT].set(bytes, (row & GRANULE_MASK) << 3)
    rows.setWord(order, EXTRA, row)
  }

  static free(rows: OrderRows, order: number): void {
    const row = rows.word(order, EXTRA)
    if (row === 0) return
    rows.arena.free(row, rows.word(row, 0) >>> 8)
    rows.setWord(order, EXTRA, 0)
  }

  /** True if the order has an extra row at all. */
  static isPresent(rows: OrderRows, order: number): boolean {
    return rows.word(order, EXTRA) !== 0
  }

  /** True if it says a reason. */
  static hasReason(rows: OrderRows, order: number): boolean {
    const row = rows.word(order, EXTRA)
    return row !== 0 && (rows.word(row, 0) & REASON) !== 0
  }

  /** True if units of it moved in parts. */
  static hasColumns(rows: OrderRows, order: number): boolean {
    const row = rows.word(order, EXTRA)
    return row !== 0 && (rows.word(row, 0) & COLUMNS) !== 0
  }

  operation(id: Uint8Array, start: number, end: number): Operation | undefined {
    return this.operations.find((operation) => sameBytes(operation.id, id, start, end))
  }

  remember(operation: Operation): void {
    this.operations.push(operation)
    if (this.operations.length > OPERATIONS_REMEMBERED) this.operations.shift()
  }

  hasOrphan(ref: Uint8Array, start: number, end: number): boolean {
    return this.orphans.some((orphan) => sameBytes(orphan, ref, start, end))
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  if (a.length !== end - start) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[start + i]) return false
  return true
}

function room(n: number): void {
  if (writer.length + n <= writer.bytes.length) return
  const next = Buffer.allocUnsafeSlow(Math.max(writer.bytes.length * 2, writer.length + n))
  writer.bytes.copy(next)
  writer.bytes = next
}

function putNumber(size: 1 | 2 | 4 | 8, n: number): void {
  room(size)
  if (size === 8) writer.bytes.writeDoubleLE(n, writer.length)
  else if (size === 4) writer.bytes.writeUInt32LE(n >>> 0, writer.length)
  else writer.bytes.writeUIntLE(n, writer.length, size)
  writer.length += size
}

function putBytes(bytes: Uint8Array): void {
  room(bytes.length)
  writer.bytes.set(bytes, writer.length)
  writer.length += bytes.length
}

function put16(bytes: Uint8Array): void {
  putNumber(2, bytes.length)
  putBytes(bytes)
}
