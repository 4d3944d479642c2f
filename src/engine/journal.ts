// The journal collects the records of one turn as RESP arrays, in bytes, for the log to take at the end of the turn.
//
// A record is a fact: it says what happened and the numbers after it, never what was asked. A refusal writes nothing.
//
//   journal.begin(3); journal.word('SET'); journal.bytes(key...); journal.bytes(value...)
//
// Ordinary keys live in 16 databases, so their records follow a `SELECT n` of the same batch: `select(db)` writes it when needed, and
// every batch starts anew, so that each can be read alone and redis-server can load an export.

import { copyBytes } from '../base/bytes.ts'
import { digitsOf, writeInteger, writeIntegerBulk } from '../base/decimal.ts'
import type { Request } from '../resp/request.ts'

const CR = 13
const LF = 10
const SPACE = 32
const DOLLAR = 36
const NO_DATABASE = -1

/** Words of records (names, states, keywords), encoded once: `$5\r\nSET..`. */
const encoded = new Map<string, Buffer>()
function encodedWord(word: string): Buffer {
  let bytes = encoded.get(word)
  if (bytes === undefined) {
    const body = Buffer.from(word, 'latin1')
    bytes = Buffer.concat([Buffer.from(`$${body.length}\r\n`), body, Buffer.from('\r\n')])
    encoded.set(word, bytes)
  }
  return bytes
}

/** The beginning of a record: its number of arguments and its name, as bytes. */
export function encodedHead(argc: number, name: string): Buffer {
  return Buffer.from(`*${argc}\r\n$${name.length}\r\n${name}\r\n`, 'latin1')
}

/** Writes bytes[start..end) as a bulk string at `at`; @returns the position behind it. The buffer has room. */
function writeBulk(buffer: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  const n = end - start
  buffer[at++] = 36
  if (n < 10) buffer[at++] = 48 + n
  else at = writeInteger(buffer, at, n)
  buffer[at++] = CR
  buffer[at++] = LF
  copyBytes(bytes, start, end, buffer, at)
  at += n
  buffer[at] = CR
  buffer[at + 1] = LF
  return at + 2
}

export class Journal {
  buffer: Buffer = Buffer.allocUnsafeSlow(256 * 1024)
  /** The records written since the last drain are buffer[0..length). */
  length = 0
  /** How many records that is. */
  records = 0
  /** All records ever written by this process: tells whether a command wrote. */
  total = 0
  #database = NO_DATABASE

  /** Starts a record of `argc` arguments (its name included); exactly that many must follow. */
  begin(argc: number): void {
    this.#ensure(16)
    const buffer = this.buffer
    buffer[this.length] = 42
    const at = writeInteger(buffer, this.length + 1, argc)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
    this.records++
    this.total++
  }

  /** One argument: a constant word of ASCII. Not for client bytes: words are remembered for ever. */
  word(word: string): void {
    const bytes = encodedWord(word)
    const n = bytes.length
    this.#ensure(n)
    const buffer = this.buffer
    let at = this.length
    for (let i = 0; i < n; i++) buffer[at++] = bytes[i]
    this.length = at
  }

  /** One argument: bytes[start..end). */
  bytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const n = end - start
    this.#ensure(n + 24)
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

  /**
   * A whole record of three arguments, the most frequent one there is (SET key value), in one go.
   * @param head its beginning, encoded: see `encodedHead`.
   */
  pair(head: Uint8Array, a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): void {
    const headLength = head.length
    this.#ensure(headLength + aEnd - aStart + bEnd - bStart + 48)
    const buffer = this.buffer
    let at = this.length
    for (let i = 0; i < headLength; i++) buffer[at++] = head[i]
    at = writeBulk(buffer, at, a, aStart, aEnd)
    this.length = writeBulk(buffer, at, b, bStart, bEnd)
    this.records++
    this.total++
  }

  /**
   * A whole record whose arguments are first..last of a request, as they came, in one go.
   * @param head its beginning, encoded: see `encodedHead`.
   */
  record(head: Uint8Array, { bytes, start, end }: Request, first: number, last: number): void {
    const headLength = head.length
    let room = headLength
    for (let i = first; i <= last; i++) room += end[i] - start[i] + 24
    this.#ensure(room)
    const { buffer } = this
    let at = this.length
    for (let i = 0; i < headLength; i++) buffer[at++] = head[i]
    for (let i = first; i <= last; i++) at = writeBulk(buffer, at, bytes, start[i], end[i])
    this.length = at
    this.records++
    this.total++
  }

  /** One argument: a safe integer's digits. */
  integer(n: number): void {
    this.#ensure(24)
    this.length = writeIntegerBulk(this.buffer, this.length, n)
  }

  /** One argument: two numbers >= 0. */
  pairOfNumbers(a: number, b: number): void {
    this.#ensure(48)
    const { buffer } = this
    let at = this.length
    buffer[at] = DOLLAR
    at = writeInteger(buffer, at + 1, digitsOf(a) + 1 + digitsOf(b))
    buffer[at++] = CR
    buffer[at++] = LF
    at = writeInteger(buffer, at, a)
    buffer[at++] = SPACE
    at = writeInteger(buffer, at, b)
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
  }

  /** One argument: a SKU's available, reserved and sold, and what follows them (records/balances.ts). */
  balances(available: number, reserved: number, sold: number, tail: Uint8Array): void {
    const more = tail.length
    this.#ensure(80 + more)
    const { buffer } = this
    let at = this.length
    buffer[at] = DOLLAR
    at = writeInteger(buffer, at + 1, digitsOf(available) + digitsOf(reserved) + digitsOf(sold) + 2 + more)
    buffer[at++] = CR
    buffer[at++] = LF
    at = writeInteger(buffer, at, available)
    buffer[at++] = SPACE
    at = writeInteger(buffer, at, reserved)
    buffer[at++] = SPACE
    at = writeInteger(buffer, at, sold)
    for (let i = 0; i < more; i++) buffer[at++] = tail[i]
    buffer[at] = CR
    buffer[at + 1] = LF
    this.length = at + 2
  }

  /** One argument: text, UTF-8. For cold records. */
  text(text: string): void {
    this.bytes(Buffer.from(text, 'utf8'))
  }

  /** The next records of ordinary keys are about this database. */
  select(database: number): void {
    if (this.#database === database) return
    this.#database = database
    this.begin(2)
    this.word('SELECT')
    this.integer(database)
  }

  /** The database that the next records of ordinary keys are about, as long as `select` is not told another; -1: none yet. */
  get database(): number {
    return this.#database
  }

  /** Somebody in this process reads the records before they are drained. */
  keep(_isRead: boolean): void {}

  /** Forgets the records: the log has taken (copied) them. */
  drained(): void {
    this.length = 0
    this.records = 0
    this.#database = NO_DATABASE
    // One huge value must not keep its memory for ever.
    if (this.buffer.length > 8 * 1024 * 1024) this.buffer = Buffer.allocUnsafeSlow(256 * 1024)
  }

  #ensure(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    const next = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + bytes))
    this.buffer.copy(next, 0, 0, this.length)
    this.buffer = next
  }
}

/** The journal of a node without a log (`appendonly no`): records are counted, and written only while somebody reads them. */
export class NoJournal extends Journal {
  #isKept = false

  override keep(isRead: boolean): void {
    this.#isKept = isRead
  }

  override begin(argc: number): void {
    if (this.#isKept) return super.begin(argc)
    this.records++
    this.total++
  }

  override pair(...args: Parameters<Journal['pair']>): void {
    if (this.#isKept) return super.pair(...args)
    this.records++
    this.total++
  }

  override select(database: number): void {
    if (this.#isKept) super.select(database)
  }

  override word(word: string): void {
    if (this.#isKept) super.word(word)
  }

  override bytes(bytes: Uint8Array, start?: number, end?: number): void {
    if (this.#isKept) super.bytes(bytes, start, end)
  }

  override record(head: Uint8Array, request: Request, first: number, last: number): void {
    if (this.#isKept) return super.record(head, request, first, last)
    this.records++
    this.total++
  }

  override integer(n: number): void {
    if (this.#isKept) super.integer(n)
  }

  override pairOfNumbers(a: number, b: number): void {
    if (this.#isKept) super.pairOfNumbers(a, b)
  }

  override balances(available: number, reserved: number, sold: number, tail: Uint8Array): void {
    if (this.#isKept) super.balances(available, reserved, sold, tail)
  }

  override text(text: string): void {
    if (this.#isKept) super.text(text)
  }
}
