// Elements of a list one behind the other, readable from both ends, in a row or in a node of a chain:
//
//   | length u8 | bytes | length u8 |     or     | 255 | length u32 | bytes | length u32 | 255 |

import { copyBytes, readWord, writeWord } from '../../base/bytes.ts'

const LONG = 255

/** Bytes that an element of so many bytes takes. */
export function entrySize(length: number): number {
  return length < LONG ? length + 2 : length + 10
}

/** Where the element of the entry at `at` begins. */
export function elementStart(bytes: Uint8Array, at: number): number {
  return bytes[at] === LONG ? at + 5 : at + 1
}

/** Where it ends. */
export function elementEnd(bytes: Uint8Array, at: number): number {
  const length = bytes[at]
  return length === LONG ? at + 5 + readWord(bytes, at + 1) : at + 1 + length
}

/** Where the entry ends, and the next one begins. */
export function entryEnd(bytes: Uint8Array, at: number): number {
  const length = bytes[at]
  return length === LONG ? at + 10 + readWord(bytes, at + 1) : at + 2 + length
}

/** Where the entry begins that ends at `end`. */
export function entryBefore(bytes: Uint8Array, end: number): number {
  const length = bytes[end - 1]
  return length === LONG ? end - 10 - readWord(bytes, end - 5) : end - 2 - length
}

/** Writes source[from..to) as the entry at `at`. There is room for it. */
export function writeEntry(bytes: Uint8Array, at: number, source: Uint8Array, from: number, to: number): void {
  const length = to - from
  if (length < LONG) {
    bytes[at] = length
    copyBytes(source, from, to, bytes, at + 1)
    bytes[at + 1 + length] = length
  } else {
    bytes[at] = LONG
    writeWord(bytes, at + 1, length)
    copyBytes(source, from, to, bytes, at + 5)
    writeWord(bytes, at + 5 + length, length)
    bytes[at + 9 + length] = LONG
  }
}
