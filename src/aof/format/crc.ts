// Checksums of the log: CRC-32 by zlib (2 GB/s), chained, and how they stand in a line: 8 lower-case hex digits.

import { crc32 as zlibCrc32 } from 'node:zlib'

const HEX = Buffer.from('0123456789abcdef', 'latin1')

/** CRC-32 of bytes[start..end), continuing from `seed`. */
export function crc32(bytes: Buffer, start: number, end: number, seed: number): number {
  return zlibCrc32(bytes.subarray(start, end), seed)
}

/** Writes 8 hex digits at `at`; @returns the position behind them. */
export function writeHex(bytes: Uint8Array, at: number, crc: number): number {
  for (let shift = 28; shift >= 0; shift -= 4) bytes[at++] = HEX[(crc >>> shift) & 15]
  return at
}

/** 8 lower-case hex digits at `at` as a number, or -1. Upper case is refused: one flipped bit makes it. */
export function readHex(bytes: Uint8Array, at: number): number {
  let n = 0
  for (let i = 0; i < 8; i++) {
    const c = bytes[at + i]
    const digit = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : -1
    if (digit < 0) return -1
    n = n * 16 + digit
  }
  return n
}

export function hexOf(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}
