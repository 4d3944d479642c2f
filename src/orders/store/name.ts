// Names of orders, buyers, SKUs and sellers: any bytes in the node and in the database, strings in between.
//
// Bytes that are UTF-8 are that text. A byte that is part of no UTF-8 character becomes the lone surrogate U+DC00 + byte, which no valid
// text holds: so every sequence of bytes has one string, every such string its bytes, and equal strings mean equal bytes.

import { isUtf8 } from 'node:buffer'

const ESCAPE = 0xdc00

/** A text of an event. With `latin1` each character stands for one byte. */
export function nameOf(text: string, encoding: 'latin1' | undefined): string {
  return encoding === undefined ? text : nameOfBytes(Buffer.from(text, 'latin1'))
}

export function nameOfBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  let name = ''
  for (let at = 0; at < bytes.length;) {
    const length = characterAt(bytes, at)
    name += length === 0 ? String.fromCharCode(ESCAPE + bytes[at]) : Buffer.from(bytes.subarray(at, at + length)).toString('utf8')
    at += Math.max(length, 1)
  }
  return name
}

export function bytesOfName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8')
  const pieces: Buffer[] = []
  for (const character of name) {
    const code = character.charCodeAt(0)
    const isEscape = character.length === 1 && code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff
    pieces.push(isEscape ? Buffer.of(code - ESCAPE) : Buffer.from(character, 'utf8'))
  }
  return Buffer.concat(pieces)
}

/** @returns how many bytes the UTF-8 character here has; 0: there is none */
function characterAt(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    if (isUtf8(bytes.subarray(at, at + length))) return length
  }
  return 0
}
