// The grammar of the log's lines beside batches: a word, fields, and a checksum of everything before it.
//
//   #D l=120 t=1760000000000 p=0a1b2c3d c=44f1e09a\r\n
//
// With a field p (the checksum of the link before) the checksum continues from it. Values have no spaces; order is fixed by the writer.

import { LINE_BYTES_MAX } from '../limits.ts'
import { crc32, hexOf, readHex } from './crc.ts'

const LF = 10

export interface CheckedLine {
  readonly word: string
  readonly fields: ReadonlyMap<string, string>
  readonly crc: number
  /** CR LF included. */
  readonly bytes: number
}

export function encodeCheckedLine(word: string, fields: readonly (readonly [string, string | number])[]): { bytes: Buffer; crc: number } {
  let text = `#${word}`
  let seed = 0
  for (const [name, value] of fields) {
    text += ` ${name}=${value}`
    if (name === 'p') seed = Number.parseInt(String(value), 16)
  }
  const covered = Buffer.from(`${text} `, 'latin1')
  const crc = crc32(covered, 0, covered.length, seed)
  return { bytes: Buffer.concat([covered, Buffer.from(`c=${hexOf(crc)}\r\n`, 'latin1')]), crc }
}

/** The line at bytes[at..end), or null if it is not whole, not well-formed, or not what was written. */
export function decodeCheckedLine(bytes: Buffer, at: number, end: number): CheckedLine | null {
  const newline = bytes.subarray(at, Math.min(end, at + LINE_BYTES_MAX)).indexOf(LF)
  if (newline < 16) return null
  const lineEnd = at + newline + 1
  const tail = lineEnd - 12
  if (bytes.toString('latin1', tail - 1, tail + 2) !== ' c=' || bytes[lineEnd - 2] !== 13) return null
  const crc = readHex(bytes, tail + 2)
  if (crc < 0) return null
  const [opening, ...words] = bytes.toString('latin1', at, tail - 1).split(' ')
  if (opening[0] !== '#') return null
  const fields = new Map<string, string>()
  for (const word of words) {
    const equals = word.indexOf('=')
    if (equals < 1) return null
    fields.set(word.slice(0, equals), word.slice(equals + 1))
  }
  const previous = fields.get('p')
  const seed = previous === undefined ? 0 : parseCrc(previous)
  if (seed === null || crc32(bytes, at, tail, seed) !== crc) return null
  return { word: opening.slice(1), fields, crc, bytes: lineEnd - at }
}

/** A field's number, or null. */
export function numberField(line: CheckedLine, name: string): number | null {
  const text = line.fields.get(name)
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return null
  const n = Number(text)
  return Number.isSafeInteger(n) ? n : null
}

export function crcField(line: CheckedLine, name: string): number | null {
  const text = line.fields.get(name)
  return text === undefined ? null : parseCrc(text)
}

export function parseCrc(text: string): number | null {
  return /^[0-9a-f]{8}$/.test(text) ? Number.parseInt(text, 16) : null
}
