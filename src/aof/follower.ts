// Reads the records of a log that somebody else is writing: from any LSN, up to one that is known to be in the files.
//
// It knows nothing but the directory. The manifest tells which files count, and is read again whenever the one in hand does not lead on:
// at the end of a segment, after STOCK.AOF REOPEN (the same records stand in a new segment, under the same LSNs), after a compaction
// (history stays, what nobody reads goes). Every link is verified as at a start. The base is never read: it has the state, not how it came.
//
// What stays true: records come in the order of their LSNs, each once, whole batches at a time; what is no longer there is told ('gone') and
// never skipped. What stands in the files behind `upTo` is never looked at: it may be half written, or be taken back.
//
// Unusual: on its way it notes where batches stand, one mark in 64 KiB. Marks let it begin in the middle of a segment, and read backwards
// piece by piece. Costs nothing while nothing is asked of it but one open file.

import { StockdError } from '../base/error.ts'
import { errorCode, readWhole, type Disk, type DiskFile } from './disk.ts'
import { BatchLine, decodeBatchLine } from './format/batch-line.ts'
import { decodeCheckedLine } from './format/checked-line.ts'
import { LOG_DIRECTORY, MANIFEST_FILE } from './format/file-names.ts'
import { decodeManifest, type ManifestEntry } from './format/manifest.ts'
import { isTimestampLine, timestampLineBytes } from './format/timestamp-line.ts'
import { LINE_BYTES_MAX, READ_BYTES } from './limits.ts'
import type { RecordSink } from './record-parser.ts'
import { ANY_CHAIN, SegmentReader, type Link } from './segment-reader.ts'

/** `end`: everything up to `upTo` was handed on. `more`: there is more, the bytes asked for were read. `gone`: see `oldest`. */
export type Followed = 'end' | 'more' | 'gone'

/** A segment with records, as the manifest lists it. */
export interface LogPiece {
  readonly seq: number
  readonly name: string
  /** LSN and instant of its first record. */
  readonly first: number
  readonly ms: number
  readonly bytes: number
}

/** A place in a segment where a batch begins, and what is known there. */
interface Mark {
  readonly offset: number
  readonly lsn: number
  readonly ms: number
  readonly chain: number
  readonly records: number
}

const MARK_BYTES = 64 * 1024
/** Read at a time: followers are many, and most look at little. */
const WINDOW_BYTES = 256 * 1024
/** The first batch of a segment is looked for here, and only then further. */
const FIRST_READ_BYTES = 4 * LINE_BYTES_MAX
/** Compactions and reopenings that may get in the way of finding one record. */
const TRIES_MAX = 16

/** Where batches begin in the segments of a log, found by its followers on their way. */
export class LogMarks {
  readonly bytes: number
  /** By number of the segment, ascending. A segment's first record never changes. */
  readonly of = new Map<number, Mark[]>()

  /** @param bytes how far marks are apart: less for tests of small logs */
  constructor(bytes = MARK_BYTES) {
    this.bytes = bytes
  }
}

export class LogFollower {
  /** LSN of the next record. */
  #next = 1
  readonly #disk: Disk
  readonly #directory: string
  #manifestText: Buffer = Buffer.alloc(0)
  #entries: readonly ManifestEntry[] = []
  /** Where the base ends: segments behind it have everything since. */
  #baseLast = 0
  #reader: SegmentReader | null = null
  #readerSeq = 0
  readonly #marks: LogMarks
  /** Where it was stuck last, in words: the second time at the same place is no coincidence. */
  #stuck = ''

  /** @param marks what other followers of this log know of its files */
  constructor(disk: Disk, directory: string, marks = new LogMarks()) {
    this.#marks = marks
    this.#disk = disk
    this.#directory = `${directory}/${LOG_DIRECTORY}`
  }

  get nextLsn(): number {
    return this.#next
  }

  /** The next record to be read is this one. */
  seek(lsn: number): void {
    if (lsn === this.#next) return
    this.#next = lsn
    this.#release()
  }

  /**
   * Hands on whole batches, up to the record `upTo`, which must be written, until about `bytesMax` are read. The first batch may begin
   * before the LSN that was sought. Throws LOG_CORRUPT for what is not as it was written, and what the disk throws; both may be tried again.
   */
  read(upTo: number, sink: RecordSink, bytesMax = Infinity): Followed {
    let bytes = 0
    while (this.#next <= upTo) {
      if (bytes >= bytesMax) return 'more'
      const reader = this.#reader ?? this.#open()
      if (reader === null) return 'gone'
      const link = reader.next()
      if (link === 'batch') {
        this.#note(this.#readerSeq, reader)
        bytes += reader.line.lineBytes + reader.line.bodyBytes
        if (reader.nextLsn <= this.#next) continue
        this.#stuck = ''
        reader.deliver(sink)
        this.#next = reader.nextLsn
      } else if (link !== 'durable' && link !== 'end' && !(link === 'eof' && this.#grow(reader))) this.#leave(reader, link)
    }
    return 'end'
  }

  /** The LSN of the oldest record that can be read; if there is none, of the next one that will be written behind the base. */
  oldest(): number {
    return this.pieces()[0]?.first ?? this.#baseLast + 1
  }

  /** The segments that have records now, oldest first. */
  pieces(): LogPiece[] {
    this.#readManifest()
    const pieces: LogPiece[] = []
    for (const entry of this.#entries) {
      const start = this.#startOf(entry)
      if (start === null) continue
      const bytes = entry.cut ?? (entry.sealed === null ? Math.max(0, this.#disk.sizeOf(this.#path(entry))) : entry.bytes)
      pieces.push({ seq: entry.seq, name: entry.name, first: start.lsn, ms: start.ms, bytes })
    }
    return pieces
  }

  /** An LSN not far before the first record that is not older than this instant. */
  lsnAt(ms: number): number {
    let found = 0
    for (const piece of this.pieces()) {
      if (piece.ms >= ms) break
      found = piece.first
      for (const mark of this.#marks.of.get(piece.seq) ?? []) if (mark.ms < ms) found = mark.lsn
    }
    return found === 0 ? this.oldest() : found
  }

  /** An LSN not far behind the last record that is not newer than this instant; Infinity: the log may end with it. */
  lsnBehind(ms: number): number {
    for (const piece of this.pieces()) {
      if (piece.ms > ms) return piece.first
      const mark = this.#marks.of.get(piece.seq)?.find((candidate) => candidate.ms > ms)
      if (mark !== undefined) return mark.lsn
    }
    return Infinity
  }

  /** Where to begin to read the records before this one, a piece of bearable size; null: there are none. */
  before(lsn: number): number | null {
    const piece = this.pieces().findLast((candidate) => candidate.first < lsn)
    if (piece === undefined) return null
    this.#markUpTo(piece, lsn)
    return (this.#marks.of.get(piece.seq) ?? []).findLast((mark) => mark.lsn < lsn)?.lsn ?? piece.first
  }

  close(): void {
    this.#release()
  }

  // Finding.

  /** A reader that comes to the next record, or null: that record is gone. */
  #open(): SegmentReader | null {
    this.#readManifest()
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = this.#find()
      if (found === 'opened') return this.#reader
      // A record that is written stands in a segment that is listed, unless the manifest became another one meanwhile.
      if (this.#readManifest()) continue
      if (found === 'missing') throw damaged(`${this.#directory}: a segment that the manifest lists is missing`)
      if (this.#next < this.oldest()) return null
      throw damaged(`${this.#directory}: LSN ${this.#next} must be there, and no segment of the manifest has it`)
    }
    throw damaged(`${this.#directory}: the manifest does not stop changing`)
  }

  #find(): 'opened' | 'missing' | 'nowhere' {
    for (const entry of this.#entries.toReversed()) {
      // `first` of a segment that is not sealed may be older than what came to stand in it, never newer.
      if (entry.first > this.#next) continue
      const file = this.#openFile(entry)
      if (file === null) return 'missing'
      const start = this.#startOf(entry, file)
      if (start === null || start.lsn > this.#next) {
        file.close()
        continue
      }
      this.#reader = new SegmentReader(file, {
        nextLsn: start.lsn,
        chain: ANY_CHAIN,
        limit: entry.cut ?? undefined,
        windowBytes: WINDOW_BYTES,
      })
      this.#reader.jump(this.#marks.of.get(entry.seq)?.findLast((mark) => mark.lsn <= this.#next) ?? start)
      this.#readerSeq = entry.seq
      return 'opened'
    }
    return 'nowhere'
  }

  /** The first batch of a segment; null: it has none (yet). Only its line is read: whoever reads on verifies it. */
  #startOf(entry: ManifestEntry, opened: DiskFile | null = null): Mark | null {
    const known = this.#marks.of.get(entry.seq)
    if (known !== undefined) return known[0]
    const file = opened ?? this.#openFile(entry)
    if (file === null) return null
    try {
      // Lines that are no batch may stand before it: of stops without a record, of records that were moved here.
      const mark = firstBatch(file, entry, FIRST_READ_BYTES) ?? firstBatch(file, entry, READ_BYTES)
      if (mark !== null) this.#marks.of.set(entry.seq, [mark])
      return mark
    } finally {
      if (opened === null) file.close()
    }
  }

  /** Reads the manifest. @returns true if it is another one than before */
  #readManifest(): boolean {
    const text = readWhole(this.#disk, `${this.#directory}/${MANIFEST_FILE}`)
    if (text.equals(this.#manifestText)) return false
    const { entries } = decodeManifest(text)
    this.#manifestText = text
    this.#entries = entries.filter((entry) => entry.type !== 'b')
    this.#baseLast = entries.find((entry) => entry.type === 'b')?.sealed?.last ?? 0
    const ends = new Map(entries.map((entry) => [entry.seq, entry.cut ?? Infinity]))
    for (const [seq, marks] of this.#marks.of) {
      const end = ends.get(seq) ?? 0
      while (marks.length > 0 && marks[marks.length - 1].offset >= end) marks.pop()
      if (marks.length === 0) this.#marks.of.delete(seq)
    }
    return true
  }

  #path(entry: { readonly name: string }): string {
    return `${this.#directory}/${entry.name}`
  }

  /** Null: it was deleted since the manifest was read. */
  #openFile(entry: { readonly name: string }): DiskFile | null {
    try {
      return this.#disk.open(this.#path(entry), 'read')
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  }

  // Reading.

  /** The file goes on: not behind where the manifest has cut it, which it may have done since it was opened. */
  #grow(reader: SegmentReader): boolean {
    const cut = this.#entries.find((entry) => entry.seq === this.#readerSeq)?.cut ?? null
    return cut === null && reader.grow()
  }

  /** This segment does not have the next record: it ended, was cut, or is damaged. */
  #leave(reader: SegmentReader, link: Link): void {
    const at = `${reader.file.path} at ${reader.linkStart}`
    this.#release()
    const isNew = this.#readManifest()
    const stuck = `${at}: ${link === 'bad' ? reader.problem : 'the segment ends'}, but LSN ${this.#next} must be there`
    if (stuck === this.#stuck && !isNew) {
      this.#stuck = ''
      throw damaged(stuck)
    }
    this.#stuck = stuck
  }

  #release(): void {
    this.#reader?.file.close()
    this.#reader = null
  }

  /** Remembers where this batch stands, if the last mark is far enough behind. */
  #note(seq: number, reader: SegmentReader): void {
    const marks = this.#marks.of.get(seq)
    if (marks === undefined || reader.linkStart - marks[marks.length - 1].offset < this.#marks.bytes) return
    const { line, linkStart: offset } = reader
    marks.push({ offset, lsn: line.first, ms: line.time, chain: line.previous, records: reader.records - line.records })
  }

  /** Goes through a segment up to this record, so that its marks are known. */
  #markUpTo(piece: LogPiece, lsn: number): void {
    const marks = this.#marks.of.get(piece.seq)
    const file = this.#openFile(piece)
    if (file === null || marks === undefined) return
    try {
      const reader = new SegmentReader(file, { nextLsn: piece.first, chain: ANY_CHAIN, windowBytes: WINDOW_BYTES })
      reader.jump(marks[marks.length - 1])
      for (let link = reader.nextLsn < lsn ? reader.next() : 'eof'; link !== 'eof' && link !== 'bad'; link = reader.next()) {
        if (link === 'batch') this.#note(piece.seq, reader)
        if (reader.nextLsn >= lsn) break
      }
    } finally {
      file.close()
    }
  }
}

function firstBatch(file: DiskFile, entry: ManifestEntry, within: number): Mark | null {
  const reader = new SegmentReader(file, { nextLsn: 0, chain: ANY_CHAIN, limit: Math.min(entry.cut ?? Infinity, within) })
  if (!reader.readHeader() || reader.header?.kind !== 'incr' || reader.header.seq !== entry.seq) return null
  const { bytes } = reader
  const end = Math.min(bytes.length, reader.limit)
  const line = new BatchLine()
  for (let at = reader.offset; at < end;) {
    const stamp = isTimestampLine(bytes, at, end) ? timestampLineBytes(bytes, at, end) : 0
    if (decodeBatchLine(line, bytes, at + stamp, end))
      return { offset: at, lsn: line.first, ms: line.time, chain: line.previous, records: 0 }
    const other = decodeCheckedLine(bytes, at, end)
    if (other === null) return null
    at += other.bytes
  }
  return null
}

function damaged(what: string): StockdError {
  return new StockdError('LOG_CORRUPT', what)
}
