// The line before a batch of records: what the batch is, and the checksum that covers line and body.
//
//   #B1 e=<epoch>.<incarnation> l=<first lsn> n=<records> d=<durable lsn> t=<engine ms> b=<body bytes> p=<crc before> c=<crc>\r\n
//
//   c = crc32(line up to "c=", then body), continued from p
//
// p is the checksum of the link before (#B, #D or #E), so that a lost, re-ordered or misdirected block breaks the chain; and since p is
// in the line, a batch can be verified alone. d is the highest LSN that was known durable when the batch was written: it tells rot
// (a durable record is gone) from a torn tail (what is gone was promised to nobody).

import { writeInteger } from '../../base/decimal.ts'
import { crc32, readHex, writeHex } from './crc.ts'

/** What a line needs at most: 7 numbers of 16 digits, two checksums, the words between. */
export const BATCH_LINE_BYTES_MAX = 256

export class BatchLine {
  epoch = 0
  incarnation = 0
  first = 0
  records = 0
  durable = 0
  time = 0
  bodyBytes = 0
  previous = 0
  crc = 0
  /** Of the line itself, CR LF included. */
  lineBytes = 0

  /** LSN of the last record. */
  get last(): number {
    return this.first + this.records - 1
  }
}

const CR = 13
const LF = 10
const SPACE = 32
const DOT = 46
const OPENING = Buffer.from('#B1 e=', 'latin1')
const LETTERS = Buffer.from('lndtbpc', 'latin1')
const [L, N, D, T, B, P, C] = LETTERS
const scratch = Buffer.alloc(BATCH_LINE_BYTES_MAX)

function field(at: number, letter: number): number {
  scratch[at] = SPACE
  scratch[at + 1] = letter
  scratch[at + 2] = 61
  return at + 3
}

/**
 * Writes the line into `buffer` so that it ends where the body [bodyStart, bodyEnd) begins, and sets `line.crc`, `line.lineBytes` and
 * `line.bodyBytes`. There must be BATCH_LINE_BYTES_MAX bytes of room before the body.
 * @returns where the line starts.
 */
export function encodeBatchLine(line: BatchLine, buffer: Buffer, bodyStart: number, bodyEnd: number): number {
  line.bodyBytes = bodyEnd - bodyStart
  let at = OPENING.length
  for (let i = 0; i < at; i++) scratch[i] = OPENING[i]
  at = writeInteger(scratch, at, line.epoch)
  scratch[at++] = DOT
  at = writeInteger(scratch, at, line.incarnation)
  at = writeInteger(scratch, field(at, L), line.first)
  at = writeInteger(scratch, field(at, N), line.records)
  at = writeInteger(scratch, field(at, D), line.durable)
  at = writeInteger(scratch, field(at, T), line.time)
  at = writeInteger(scratch, field(at, B), line.bodyBytes)
  at = writeHex(scratch, field(at, P), line.previous)
  const covered = at + 1
  at = field(at, C)
  line.lineBytes = at + 10
  const start = bodyStart - line.lineBytes
  for (let i = 0, k = start; i < at; i++, k++) buffer[k] = scratch[i]
  line.crc = crc32(buffer, bodyStart, bodyEnd, crc32(buffer, start, start + covered, line.previous))
  at = writeHex(buffer, start + at, line.crc)
  buffer[at] = CR
  buffer[at + 1] = LF
  return start
}

/** Reads one number of a line; `at` moves behind it. A class, so that nothing is allocated per number. */
class Cursor {
  at = 0

  word(bytes: Uint8Array, end: number, word: Uint8Array): boolean {
    if (this.at + word.length > end) return false
    for (let i = 0; i < word.length; i++) if (bytes[this.at + i] !== word[i]) return false
    this.at += word.length
    return true
  }

  field(bytes: Uint8Array, end: number, letter: number): boolean {
    const at = this.at
    if (at + 3 > end || bytes[at] !== SPACE || bytes[at + 1] !== letter || bytes[at + 2] !== 61) return false
    this.at = at + 3
    return true
  }

  /** A plain decimal number up to 2^53 - 1, or -1. */
  number(bytes: Uint8Array, end: number): number {
    const from = this.at
    let n = 0
    let at = from
    for (; at < end; at++) {
      const digit = bytes[at] - 48
      if (digit < 0 || digit > 9) break
      n = n * 10 + digit
    }
    this.at = at
    if (at === from || at - from > 16 || n > Number.MAX_SAFE_INTEGER || (bytes[from] === 48 && at - from > 1)) return -1
    return n
  }
}

const cursor = new Cursor()

/** Reads the line at bytes[at..end) into `line`. @returns false if it is not a whole, well-formed line. Checks no checksum. */
export function decodeBatchLine(line: BatchLine, bytes: Uint8Array, at: number, end: number): boolean {
  cursor.at = at
  if (!cursor.word(bytes, end, OPENING)) return false
  if ((line.epoch = cursor.number(bytes, end)) < 0) return false
  if (cursor.at >= end || bytes[cursor.at++] !== DOT) return false
  if ((line.incarnation = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, L) || (line.first = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, N) || (line.records = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, D) || (line.durable = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, T) || (line.time = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, B) || (line.bodyBytes = cursor.number(bytes, end)) < 0) return false
  if (!cursor.field(bytes, end, P) || cursor.at + 8 > end || (line.previous = readHex(bytes, cursor.at)) < 0) return false
  cursor.at += 8
  if (!cursor.field(bytes, end, C) || cursor.at + 10 > end || (line.crc = readHex(bytes, cursor.at)) < 0) return false
  cursor.at += 8
  if (bytes[cursor.at] !== CR || bytes[cursor.at + 1] !== LF) return false
  line.lineBytes = cursor.at + 2 - at
  return true
}

/** True if line and body (which follows it directly, whole) are the bytes that were written. */
export function verifyBatch(line: BatchLine, bytes: Buffer, at: number): boolean {
  const bodyStart = at + line.lineBytes
  // "c=", 8 digits, CR LF: the last 12 bytes of the line are not covered.
  const crc = crc32(bytes, bodyStart, bodyStart + line.bodyBytes, crc32(bytes, at, bodyStart - 12, line.previous))
  return crc === line.crc
}
