// Entries one behind the other, the form of small collections:   | length u8 | bytes |   or   | 255 | length u32 | bytes |
//
// Looking for one is walking over them, as in Redis's listpacks: a few nanoseconds each. How many entries make an element (1: a member;
// 2: a field and its value) the owner knows.

import { copyBytes, readWord, writeWord } from '../../base/bytes.ts'

const LONG = 255

/** Bytes that an entry of so many bytes takes. */
export function entrySize(length: number): number {
  return length < LONG ? length + 1 : length + 5
}

/** Where the bytes of the entry at `at` begin. */
export function entryStart(bytes: Uint8Array, at: number): number {
  return bytes[at] === LONG ? at + 5 : at + 1
}

/** Where they end, and the next entry begins. */
export function entryEnd(bytes: Uint8Array, at: number): number {
  const length = bytes[at]
  return length === LONG ? at + 5 + readWord(bytes, at + 1) : at + 1 + length
}

/** Writes source[from..to) as the entry at `at`; @returns where the next one begins. There is room for it. */
export function writeEntry(bytes: Uint8Array, at: number, source: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (length < LONG) bytes[at++] = length
  else {
    bytes[at] = LONG
    writeWord(bytes, at + 1, length)
    at += 5
  }
  copyBytes(source, from, to, bytes, at)
  return at + length
}

/** Where among the entries bytes[start..end) the first one stands that is the given bytes, looking at every `step`th (1 or 2); -1 if none is. */
export function findEntry(
  bytes: Uint8Array,
  start: number,
  end: number,
  step: number,
  wanted: Uint8Array,
  from: number,
  to: number,
): number {
  const length = to - from
  const last = to - 1
  let at = start
  while (at < end) {
    let here = at + 1
    let n = bytes[at]
    if (n === LONG) {
      n = readWord(bytes, at + 1)
      here = at + 5
    }
    // The last byte first: names differ at their ends.
    if (n === length && (n === 0 || bytes[here + n - 1] === wanted[last])) {
      let k = from
      let p = here
      while (k < last && bytes[p] === wanted[k]) {
        k++
        p++
      }
      if (k >= last) return at
    }
    at = here + n
    if (step === 2) at = entryEnd(bytes, at)
  }
  return -1
}
