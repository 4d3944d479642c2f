// Writes replies as bytes, RESP2 or RESP3, into one growing buffer that a whole turn shares.
//
// The same call gives the right shape for the protocol of the client: `map(2)` is `%2` in RESP3 and `*4` in RESP2.

import { copyBytes } from '../base/bytes.ts'
import { writeInteger, writeIntegerBulk } from '../base/decimal.ts'

export type Protocol = 2 | 3

const CR = 13
const LF = 10
const SPACE = 32
const ascii = (text: string): Buffer => Buffer.from(text, 'latin1')

const OK = ascii('+OK\r\n')
const NIL_BULK = ascii('$-1\r\n')
const NIL_ARRAY = ascii('*-1\r\n')
const NULL_3 = ascii('_\r\n')
const EMPTY_BULK = ascii('$0\r\n\r\n')

export class Reply {
  /** The bytes written so far are buffer[0..length). */
  buffer: Buffer
  length = 0
  /** Protocol of the client that the current command came from. */
  protocol: Protocol = 2
  /** Bytes that one reply may grow to. One argument's worth may come on top. */
  bytesMax = Infinity
  /** Where the reply being written began. Set by the owner before each. */
  floor = 0
  /** The reply being written is larger than it may be: it is not whole, nobody may see it. The owner drops it and lowers the flag. */
  isTooLong = false
  /** Error replies written since the owner last looked: first word of each is counted by `errorstats`. */
  errors = 0
  lastError = ''

  constructor(initialBytes = 64 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Makes room for `bytes` more. */
  ensure(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    // Checked here only, where it costs memory to go on: the buffer stays within twice the limit and one argument.
    if (this.length - this.floor > this.bytesMax) {
      this.isTooLong = true
      this.length = this.floor
      if (this.length + bytes <= this.buffer.length) return
    }
    const next = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + bytes))
    this.buffer.copy(next, 0, 0, this.length)
    this.buffer = next
  }

  ok(): void {
    this.raw(OK)
  }

  /** `+text`. The text is ASCII without CR and LF. */
  simple(text: string): void {
    this.#line(43, text)
  }

  /**
   * `-text`, e.g. `ERR syntax error`. CR and LF in the text become spaces (at its end: nothing, as Redis does), so that client bytes
   * cannot forge a reply.
   */
  error(text: string): void {
    this.errors++
    this.lastError = text
    const start = this.length
    this.#line(45, text)
    // Looked for in the bytes: a character above 255 may have one of the two as its low byte.
    const buffer = this.buffer
    let end = this.length - 2
    while (buffer[end - 1] === CR || buffer[end - 1] === LF) end--
    for (let p = start; p < end; p++) if (buffer[p] === CR || buffer[p] === LF) buffer[p] = SPACE
    buffer[end] = CR
    buffer[end + 1] = LF
    this.length = end + 2
  }

  /** `:n`, a safe integer. */
  integer(n: number): void {
    this.ensure(24)
    const buffer = this.buffer
    buffer[this.length] = 58
    const at = writeInteger(buffer, this.length + 1, n)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
  }

  /** `:n`, any int64. */
  int64(n: bigint): void {
    this.#line(58, String(n))
  }

  /** A bulk string of bytes[start..end). */
  bulk(bytes: Uint8Array, start = 0, end = bytes.length): void {
    // Nobody will see the rest of it, so its bytes, which may be gigabytes, are not copied.
    if (this.isTooLong) return
    const n = end - start
    this.ensure(n + 24)
    const buffer = this.buffer
    buffer[this.length] = 36
    let at = writeInteger(buffer, this.length + 1, n)
    buffer[at++] = CR
    buffer[at++] = LF
    copyBytes(bytes, start, end, buffer, at)
    at += n
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
  }

  /** A bulk string of UTF-8 text. */
  text(text: string): void {
    if (text === '') return this.raw(EMPTY_BULK)
    this.bulk(Buffer.from(text, 'utf8'))
  }

  /** A bulk string whose characters are bytes (for names that came from a client through `latin1`). */
  latin1(text: string): void {
    if (text === '') return this.raw(EMPTY_BULK)
    this.bulk(Buffer.from(text, 'latin1'))
  }

  /** A bulk string that is a number's digits. */
  integerBulk(n: number): void {
    this.ensure(24)
    this.length = writeIntegerBulk(this.buffer, this.length, n)
  }

  emptyBulk(): void {
    this.raw(EMPTY_BULK)
  }

  /** No such value. */
  nil(): void {
    this.raw(this.protocol === 3 ? NULL_3 : NIL_BULK)
  }

  /** No such array (an aborted EXEC, a blocking pop that ran out of time). */
  nilArray(): void {
    this.raw(this.protocol === 3 ? NULL_3 : NIL_ARRAY)
  }

  array(n: number): void {
    this.#header(42, n)
  }

  /** `n` pairs follow, key and value by turns. */
  map(n: number): void {
    if (this.protocol === 3) this.#header(37, n)
    else this.#header(42, n * 2)
  }

  set(n: number): void {
    this.#header(this.protocol === 3 ? 126 : 42, n)
  }

  push(n: number): void {
    this.#header(this.protocol === 3 ? 62 : 42, n)
  }

  boolean(value: boolean): void {
    if (this.protocol === 3) this.#line(35, value ? 't' : 'f')
    else this.integer(value ? 1 : 0)
  }

  /** A double that is already formatted as Redis does (see keyspace/float.ts). */
  double(formatted: string): void {
    if (this.protocol === 3) this.#line(44, formatted)
    else this.text(formatted)
  }

  /** Text for people, `txt` in RESP3 (INFO, CLIENT LIST ...). */
  verbatim(text: string): void {
    if (this.protocol === 2) return this.text(text)
    const bytes = Buffer.from(text, 'utf8')
    this.#header(61, bytes.length + 4)
    this.ensure(bytes.length + 8)
    this.length += this.buffer.write('txt:', this.length, 'latin1')
    bytes.copy(this.buffer, this.length)
    this.length += bytes.length
    this.buffer[this.length++] = CR
    this.buffer[this.length++] = LF
  }

  /** Bytes that are a reply already. */
  raw(bytes: Uint8Array): void {
    const n = bytes.length
    this.ensure(n)
    copyBytes(bytes, 0, n, this.buffer, this.length)
    this.length += n
  }

  #header(type: number, n: number): void {
    this.ensure(24)
    const buffer = this.buffer
    buffer[this.length] = type
    const at = writeInteger(buffer, this.length + 1, n)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
  }

  #line(type: number, text: string): void {
    this.ensure(text.length + 3)
    const buffer = this.buffer
    buffer[this.length++] = type
    // Replies' own texts are ASCII; what a client's bytes brought in through latin1 goes back as the same bytes.
    this.length += buffer.write(text, this.length, 'latin1')
    buffer[this.length++] = CR
    buffer[this.length++] = LF
  }
}
