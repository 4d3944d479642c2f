// The room `table` by itself: byte keys to rows, beside a Map of strings, which costs a string per key.   node bench/table.bench.ts

import { Arena } from '../src/table/arena.ts'
import { ByteTable } from '../src/table/byte-table.ts'
import { stopwatch } from './stopwatch.ts'

const KEY_BYTES = 16
const KEY_OFFSET = 4
const ROW_BYTES = KEY_OFFSET + KEY_BYTES + 12

for (const size of [10_000, 300_000]) {
  const keys = Buffer.alloc(size * KEY_BYTES)
  for (let i = 0; i < size; i++) keys.write(`key:${String(i).padStart(KEY_BYTES - 4, '0')}`, i * KEY_BYTES)
  // An order that the processor's caches cannot guess; a prime is coprime to both sizes.
  const order = Uint32Array.from({ length: size }, (_, i) => (i * 7919) % size)
  const named = size.toLocaleString('en-US')

  const add = (table: ByteTable, at: number): void => {
    const hash = table.hash(keys, at, at + KEY_BYTES)
    if (table.find(keys, at, at + KEY_BYTES, hash) !== 0) return
    const ref = table.arena.alloc(ROW_BYTES)
    const segment = ref >>> 17
    const granule = ref & 0x1ffff
    table.arena.words[segment][granule << 1] = KEY_BYTES
    const row = table.arena.bytes[segment]
    for (let k = 0, p = (granule << 3) + KEY_OFFSET; k < KEY_BYTES; k++) row[p++] = keys[at + k]
    table.insert(ref, hash)
  }
  const newTable = (): ByteTable => new ByteTable(new Arena(), { keyOffset: KEY_OFFSET, keyLengthMask: 0xff, seed: 1 })

  stopwatch(`${named} keys into an empty table`, size, () => {
    const table = newTable()
    for (let i = 0; i < size; i++) add(table, order[i] * KEY_BYTES)
    return table.size
  })

  const table = newTable()
  for (let i = 0; i < size; i++) add(table, i * KEY_BYTES)
  stopwatch(`find among ${named} keys`, size, () => {
    let found = 0
    for (let i = 0; i < size; i++) {
      const at = order[i] * KEY_BYTES
      if (table.find(keys, at, at + KEY_BYTES, table.hash(keys, at, at + KEY_BYTES)) !== 0) found++
    }
    return found
  })
  stopwatch(`remove and add again among ${named} keys`, size, () => {
    for (let i = 0; i < size; i++) {
      const at = order[i] * KEY_BYTES
      const hash = table.hash(keys, at, at + KEY_BYTES)
      const ref = table.find(keys, at, at + KEY_BYTES, hash)
      table.remove(ref, hash)
      table.insert(ref, hash)
    }
    return table.size
  })
  stopwatch(`scan ${named} keys, 10 at a time`, size, () => {
    let seen = 0
    let cursor = 0
    do cursor = table.scan(cursor, 10, () => seen++)
    while (cursor !== 0)
    return seen
  })
  console.log(
    `${''.padEnd(4)}index ${(table.indexBytes / size).toFixed(1)} and rows ${(table.arena.allocatedBytes / size).toFixed(1)} bytes per key`,
  )

  const map = new Map<string, number>()
  for (let i = 0; i < size; i++) map.set(keys.toString('latin1', i * KEY_BYTES, (i + 1) * KEY_BYTES), i)
  stopwatch(`for comparison: find among ${named} keys in a Map`, size, () => {
    let found = 0
    for (let i = 0; i < size; i++) {
      const at = order[i] * KEY_BYTES
      if (map.get(keys.toString('latin1', at, at + KEY_BYTES)) !== undefined) found++
    }
    return found
  })
}
