// JSON as bytes, straight from a record's bytes: no string in between, because every accepted order comes through here.
//
// Names are bytes that clients chose. Where all of an event's are UTF-8 they stay what they are; else each byte becomes the character with
// its number (latin1), and the event says so. The writer does not check its own grammar: whoever calls it writes the braces.

import { writeInteger } from '../../base/decimal.ts'

const QUOTE = 34
const BACKSLASH = 92
const LETTER_U = 117
const ZERO = 48
const BYTES_AT_FIRST = 64 * 1024
/** A buffer that one huge event has made larger is not kept. */
const BYTES_KEPT = 1024 * 1024

/** Bytes that must not stand in a string as they are -> the letter behind the backslash, or `u`. */
const ESCAPE = new Uint8Array(256)
ESCAPE.fill(LETTER_U, 0, 32)
ESCAPE[8] = 98
ESCAPE[9] = 116
ESCAPE[10] = 110
ESCAPE[12] = 102
ESCAPE[13] = 114
ESCAPE[QUOTE] = QUOTE
ESCAPE[BACKSLASH] = BACKSLASH

const HEX = Buffer.from('0123456789abcdef', 'latin1')
const LINE_SEPARATOR = Buffer.from('\\u2028', 'latin1')
const PARAGRAPH_SEPARATOR = Buffer.from('\\u2029', 'latin1')
const NULL = Buffer.from('null', 'latin1')

export class JsonWriter {
  /** The bytes of names are characters of their own. */
  isLatin1 = false
  #buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST)
  #length = 0

  begin(): void {
    this.#length = 0
    if (this.#buffer.length > BYTES_KEPT) this.#buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST)
  }

  /** What was written since `begin`, copied. */
  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#length)
    this.#buffer.copy(copy, 0, 0, this.#length)
    return copy
  }

  /** ASCII as it is. */
  raw(text: Uint8Array): void {
    const n = text.length
    this.#ensure(n)
    const buffer = this.#buffer
    let at = this.#length
    for (let i = 0; i < n; i++) buffer[at++] = text[i]
    this.#length = at
  }

  /** A safe integer. */
  number(n: number): void {
    this.#ensure(24)
    this.#length = writeInteger(this.#buffer, this.#length, n)
  }

  /** `key` (with quotes, colon, and the comma before it) and a number. */
  field(key: Uint8Array, n: number): void {
    this.raw(key)
    this.number(n)
  }

  /** The same for a name; one of no bytes is null. */
  nameField(key: Uint8Array, bytes: Uint8Array, start: number, end: number): void {
    this.raw(key)
    if (start === end) this.raw(NULL)
    else this.name(bytes, start, end)
  }

  name(bytes: Uint8Array, start: number, end: number): void {
    this.#ensure((end - start) * 6 + 2)
    const buffer = this.#buffer
    let at = this.#length
    buffer[at++] = QUOTE
    for (let i = start; i < end; i++) {
      const c = bytes[i]
      if (c < 128) {
        if (ESCAPE[c] === 0) {
          buffer[at++] = c
          continue
        }
        buffer[at++] = BACKSLASH
        buffer[at++] = ESCAPE[c]
        if (ESCAPE[c] !== LETTER_U) continue
        buffer[at++] = ZERO
        buffer[at++] = ZERO
        buffer[at++] = HEX[c >>> 4]
        buffer[at++] = HEX[c & 15]
      } else if (this.isLatin1) {
        buffer[at++] = 0xc0 | (c >>> 6)
        buffer[at++] = 0x80 | (c & 0x3f)
      } else if (c === 0xe2 && bytes[i + 1] === 0x80 && (bytes[i + 2] === 0xa8 || bytes[i + 2] === 0xa9)) {
        // They are line ends in JavaScript's own text, so that whoever pastes JSON into it is spared a surprise.
        const escape = bytes[i + 2] === 0xa8 ? LINE_SEPARATOR : PARAGRAPH_SEPARATOR
        buffer.set(escape, at)
        at += escape.length
        i += 2
      } else buffer[at++] = c
    }
    buffer[at++] = QUOTE
    this.#length = at
  }

  #ensure(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const next = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(next, 0, 0, this.#length)
    this.#buffer = next
  }
}

/** True if bytes[start..end) are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const c = bytes[i++]
    if (c < 0x80) continue
    const more = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0
    if (more === 0 || i + more > end) return false
    const next = bytes[i]
    if (c === 0xe0 && next < 0xa0) return false
    if (c === 0xed && next > 0x9f) return false
    if (c === 0xf0 && next < 0x90) return false
    if (c === 0xf4 && next > 0x8f) return false
    for (let k = 0; k < more; k++) if ((bytes[i++] & 0xc0) !== 0x80) return false
  }
  return true
}
