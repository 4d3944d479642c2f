// One file of the log, read front to back, link by link, each verified: checksum, chain, order of LSNs.
//
// The reader stops at the first thing that is not what was written ('bad') and says where and why; what that means (a torn tail, or rot)
// is for recovery to judge. Reading is streaming: a window of a few MiB, larger only for a larger batch.

import { StockdError } from '../base/error.ts'
import type { DiskFile } from './disk.ts'
import { BatchLine, decodeBatchLine, verifyBatch } from './format/batch-line.ts'
import { decodeCheckedLine } from './format/checked-line.ts'
import { decodeMark, type Mark } from './format/marks.ts'
import { decodeHeader, type SegmentHeader } from './format/segment-header.ts'
import { isTimestampLine, timestampLineBytes, timestampLineSays } from './format/timestamp-line.ts'
import { BODY_BYTES_MAX, LINE_BYTES_MAX, READ_BYTES } from './limits.ts'
import { RecordParser, type RecordSink } from './record-parser.ts'

export type Link = 'batch' | 'durable' | 'end' | 'seal' | 'footer' | 'eof' | 'bad'

/** The chain's value is not known: the first link is believed. */
export const ANY_CHAIN = -1

const HASH = 35
const LETTER_B = 66
/** A batch's line with a time line before it. */
const HEAD_BYTES = LINE_BYTES_MAX + 32

export class SegmentReader {
  readonly file: DiskFile
  /** Bytes that count: the file's size when it was opened (`grow`), or where the manifest cut it. */
  limit: number
  header: (SegmentHeader & { readonly crc: number; readonly bytes: number }) | null = null
  /** Where the next link starts, and where the last one that was read started. */
  offset = 0
  linkStart = 0
  nextLsn: number
  /** Checksum that the next link must continue. */
  chain: number
  /** The newest LSN that is known durable, and the newest instant, by all that was read. */
  durable = 0
  time = 0
  epoch = 0
  incarnation = 0
  records = 0
  /** Links since the header, seals not counted. */
  links = 0
  /** Of the last batch or mark. */
  readonly line = new BatchLine()
  mark: Mark | null = null
  /** Why the link is bad. */
  problem = ''
  sealed = false
  /** The window: bytes[0..#filled) are the file's from #from on. */
  bytes: Buffer
  readonly #windowBytes: number
  #from = 0
  #filled = 0
  readonly #parser = new RecordParser()

  /** @param options.windowBytes read at a time */
  constructor(file: DiskFile, options: { nextLsn: number; chain: number; limit?: number | undefined; windowBytes?: number }) {
    this.file = file
    this.limit = Math.min(file.size(), options.limit ?? Infinity)
    this.nextLsn = options.nextLsn
    this.chain = options.chain
    this.#windowBytes = options.windowBytes ?? READ_BYTES
    this.bytes = Buffer.allocUnsafeSlow(Math.min(this.#windowBytes, Math.max(this.limit, 1)))
  }

  /** Reads the first line. @returns false (with `problem`) if it is damaged or missing. */
  readHeader(): boolean {
    const at = this.#window(0, Math.min(LINE_BYTES_MAX, this.limit))
    this.header = decodeHeader(this.bytes.subarray(at, this.#filled))
    if (this.header === null) {
      this.problem = this.limit === 0 ? 'the file is empty' : 'the first line is damaged'
      return false
    }
    this.offset = this.header.bytes
    if (this.header.kind === 'base') this.chain = this.header.crc
    return true
  }

  /** Reads and verifies the next link. After 'batch', `deliver` hands on its records. */
  next(): Link {
    const left = this.limit - this.offset
    if (left <= 0) return 'eof'
    const at = this.#window(this.offset, Math.min(HEAD_BYTES, left))
    const end = Math.min(this.#filled, at + left)
    this.linkStart = this.offset
    if (this.sealed) return this.#bad('bytes behind the last line')
    if (this.bytes[at] !== HASH) return this.#bad('no line where one must be')
    if (this.bytes[at + 1] === LETTER_B || isTimestampLine(this.bytes, at, end)) return this.#batch(at, end, left)
    return this.#mark(at, end)
  }

  /**
   * The file of a live log may have become longer: what is there now counts. What was read from behind the old end is read again, because
   * it may have been half written. @returns false if there is no more than before.
   */
  grow(): boolean {
    const size = this.file.size()
    if (size <= this.limit) return false
    this.#filled = Math.max(0, Math.min(this.#filled, this.limit - this.#from))
    this.limit = size
    if (this.bytes.length < this.#windowBytes && size - this.offset > this.bytes.length) {
      const wider = Buffer.allocUnsafeSlow(Math.min(this.#windowBytes, Math.max(2 * this.bytes.length, size - this.offset)))
      this.bytes.copy(wider, 0, 0, this.#filled)
      this.bytes = wider
    }
    return true
  }

  /** Goes on at a link that was read before: its place, and what was known there. */
  jump(to: { readonly offset: number; readonly lsn: number; readonly chain: number; readonly records: number }): void {
    this.offset = to.offset
    this.nextLsn = to.lsn
    this.chain = to.chain
    this.records = to.records
    this.sealed = false
  }

  /** Hands the records of the batch that `next` has just read to the sink. */
  deliver(sink: RecordSink): void {
    const { line } = this
    const from = this.offset - line.bodyBytes - this.#from
    sink.batch?.(line.time)
    const records = this.#parser.parse(this.bytes, from, from + line.bodyBytes, line.first, sink)
    if (records === line.records) return
    throw new StockdError(
      'LOG_CORRUPT',
      `${this.file.path} at ${this.linkStart}: the batch is as it was written (checksum), but its body is not ${line.records} whole records`,
    )
  }

  /** The bytes of the last link. Valid until the next one is read. */
  raw(): Buffer {
    return this.bytes.subarray(this.linkStart - this.#from, this.offset - this.#from)
  }

  #batch(at: number, end: number, left: number): Link {
    const { line } = this
    const stamp = this.bytes[at + 1] === LETTER_B ? 0 : timestampLineBytes(this.bytes, at, end)
    if (this.bytes[at + 1] !== LETTER_B && stamp === 0) return this.#bad('a time line is damaged or cut')
    if (!decodeBatchLine(line, this.bytes, at + stamp, end)) return this.#bad('a batch line is damaged or cut')
    const length = stamp + line.lineBytes + line.bodyBytes
    if (length > left || line.bodyBytes > BODY_BYTES_MAX) return this.#bad('the file ends within a batch')
    const start = this.#window(this.offset, length)
    if (!verifyBatch(line, this.bytes, start + stamp)) return this.#bad('the checksum of a batch is wrong')
    if (stamp > 0 && !timestampLineSays(this.bytes, start, stamp, Math.floor(line.time / 1000))) return this.#bad('a time line is damaged')
    if (this.chain !== ANY_CHAIN && line.previous !== this.chain)
      return this.#bad('the chain is broken: a batch before this one is missing or another one')
    if (line.first !== this.nextLsn) return this.#bad(`the batch starts with LSN ${line.first}, not ${this.nextLsn}`)
    if (line.durable >= line.first || line.records < 1) return this.#bad('the batch contradicts itself')
    this.chain = line.crc
    this.nextLsn = line.first + line.records
    this.records += line.records
    this.links++
    this.durable = Math.max(this.durable, line.durable)
    this.time = Math.max(this.time, line.time)
    this.epoch = Math.max(this.epoch, line.epoch)
    this.incarnation = Math.max(this.incarnation, line.incarnation)
    this.offset += length
    this.mark = null
    return 'batch'
  }

  #mark(at: number, end: number): Link {
    const line = decodeCheckedLine(this.bytes, at, end)
    const mark = line === null ? null : decodeMark(line)
    if (line === null || mark === null) return this.#bad('a line is damaged or cut')
    const last = this.nextLsn - 1
    if (this.chain !== ANY_CHAIN && mark.previous !== this.chain)
      return this.#bad('the chain is broken: something before this line is missing')
    switch (mark.kind) {
      case 'durable':
        if (mark.last > last) return this.#bad(`LSN ${mark.last} is called durable, but the log ends at ${last}`)
        break
      case 'end':
        if (mark.last !== last) return this.#bad(`the log was closed at LSN ${mark.last}, but ends at ${last}`)
        break
      case 'seal':
        if (mark.last !== last || mark.records !== this.records) return this.#bad('the seal contradicts what it seals')
        break
      case 'footer':
        if (mark.records !== this.records) return this.#bad(`${mark.records} records were written, ${this.records} are here`)
        break
    }
    if (mark.kind === 'seal' || mark.kind === 'footer') this.sealed = true
    else {
      this.chain = mark.crc
      this.links++
    }
    if (mark.kind !== 'footer') this.durable = Math.max(this.durable, mark.last)
    if (mark.kind !== 'seal') this.time = Math.max(this.time, mark.time)
    this.mark = mark
    this.offset += line.bytes
    return mark.kind
  }

  #bad(problem: string): Link {
    this.problem = problem
    return 'bad'
  }

  /** Brings `length` bytes of the file from `offset` into the window; @returns where they are. Fewer are there only at the end of the file. */
  #window(offset: number, length: number): number {
    const at = offset - this.#from
    if (at >= 0 && at + length <= this.#filled) return at
    const kept = at >= 0 && at < this.#filled ? this.#filled - at : 0
    let target = this.bytes
    if (length > target.length) target = Buffer.allocUnsafeSlow(Math.max(length, target.length * 2))
    if (kept > 0) this.bytes.copy(target, 0, at, this.#filled)
    this.bytes = target
    this.#from = offset
    this.#filled = kept
    while (this.#filled < target.length) {
      const n = this.file.read(target, this.#filled, target.length - this.#filled, offset + this.#filled)
      if (n === 0) break
      this.#filled += n
      if (this.#filled >= length && n < this.#windowBytes) break
    }
    // A file that became shorter than it said: what is missing reads as zeros, which no line is.
    if (this.#filled < length) {
      target.fill(0, this.#filled, length)
      this.#filled = length
    }
    return 0
  }
}
