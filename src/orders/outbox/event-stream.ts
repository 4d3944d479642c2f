// stock:events, read from the log: ranges of entries between two ids, in both directions, up to what is acknowledged.
//
// The newest entries stay in memory while somebody reads: who follows the stream costs no reading of files. Everything else is read from the
// segments, a piece at a time, so that a long range does not hold up the publisher, which lives in the same thread.
//
// Unusual: news is told once after each question, then not until the next. Nobody asks, nothing is decoded.

import type { Disk } from '../../aof/disk.ts'
import { LogFollower, type LogMarks, type LogPiece } from '../../aof/follower.ts'
import type { StreamEntry, StreamId, StreamRange, StreamSummary } from './messages.ts'
import { EventCounter, RecordEvents } from './record-events.ts'

export interface EventStreamOptions {
  readonly disk: Disk
  readonly directory: string
  readonly marks: LogMarks
  readonly stream: string
  readonly acked: () => number
  /** Lets the others in this thread have their turn. */
  readonly yield: () => Promise<void>
}

/** Of the newest entries, so many bytes stay in memory. */
const KEPT_BYTES = 8 * 1024 * 1024
/** What an entry takes beside its body. */
const ENTRY_BYTES = 200
const PIECE_BYTES = 512 * 1024
/** Readers of long ranges that are remembered. */
const READERS_KEPT = 8
/** Records that a reader who was away may have missed before the memory begins anew instead of being brought up to date. */
const MISSED_MAX = 20_000
const COUNTED_AT_ONCE = 4 * 1024 * 1024

export class EventStream {
  readonly #options: EventStreamOptions
  readonly #tail: LogFollower
  readonly #tailEvents: RecordEvents
  /** The newest entries, oldest first: all that stand in records behind `#floor`. */
  #entries: StreamEntry[] = []
  #bytes = 0
  #floor: StreamId = { ms: 0, lsn: 0 }
  #isFollowing = false
  /** LSN of the newest entry that is known; when the memory begins anew, where it begins: an entry may stand right before that. */
  #newest = 0
  /** The same when news was last told. */
  #told = 0
  /** By number of a segment: entries in its records up to `to`. */
  readonly #counts = new Map<number, { count: number; from: number; to: number }>()
  readonly #counter: LogFollower
  /** Used last first. */
  readonly #readers: ForwardReader[] = []

  constructor(options: EventStreamOptions) {
    this.#options = options
    const { disk, directory, marks, stream } = options
    this.#tail = new LogFollower(disk, directory, marks)
    this.#tailEvents = new RecordEvents(stream, (event) => {
      // A record with several events makes one entry: the first.
      if (this.#entries.at(-1)?.lsn === event.lsn) return
      this.#entries.push({ ms: this.#tailEvents.ms, lsn: event.lsn, event })
      this.#newest = event.lsn
      this.#bytes += event.body.length + ENTRY_BYTES
    })
    this.#counter = new LogFollower(disk, directory, marks)
  }

  /** @param acked entries of records up to here: as of the question, for "from now on" is meant from then on */
  async range(range: StreamRange, acked: number): Promise<StreamEntry[]> {
    if (!(range.count > 0) || before(range.to, range.from)) return []
    this.#follow()
    if (this.#isFollowing && before(this.#floor, range.from)) return this.#fromMemory(range, acked)
    return range.isReverse ? await this.#backwards(range, acked) : await this.#forwards(range, acked)
  }

  async summary(acked: number): Promise<StreamSummary> {
    const all = { from: { ms: 0, lsn: 0 }, to: { ms: Infinity, lsn: Infinity }, count: 1 }
    const [first] = await this.range({ ...all, isReverse: false }, acked)
    const [last] = await this.range({ ...all, isReverse: true }, acked)
    return { length: first === undefined ? 0 : await this.#count(acked), first: first ?? null, last: last ?? null }
  }

  /**
   * @returns true if there may be an entry that nobody was told of yet. That a reader has seen it already says nothing: another one, who
   * asked before, waits for it.
   */
  hasNews(): boolean {
    this.#follow()
    const isNew = this.#newest > this.#told
    this.#told = this.#newest
    return isNew
  }

  close(): void {
    this.#tail.close()
    this.#counter.close()
    for (const reader of this.#readers) reader.close()
  }

  // The newest entries.

  /** Brings the memory up to date, or begins it anew. */
  #follow(): void {
    const acked = this.#options.acked()
    if (!this.#isFollowing || acked - this.#tail.nextLsn > MISSED_MAX) this.#begin(acked)
    const from = this.#entries.length
    try {
      if (this.#tail.read(acked, this.#tailEvents) === 'gone') this.#begin(acked)
    } catch (error) {
      this.#entries.length = from
      this.#isFollowing = false
      throw error
    }
    this.#tailEvents.from = this.#tail.nextLsn
    this.#forgetOld()
  }

  #begin(acked: number): void {
    this.#entries = []
    this.#bytes = 0
    // The id of what was written last, whether or not that is an entry.
    let ms = Infinity
    this.#tail.seek(Math.max(1, acked))
    if (acked === 0 || this.#tail.read(acked, { batch: (at) => (ms = at), record() {} }) === 'gone') this.#tail.seek(acked + 1)
    this.#tailEvents.from = acked + 1
    this.#floor = acked === 0 ? { ms: 0, lsn: 0 } : { ms, lsn: acked }
    this.#newest = acked
    this.#isFollowing = true
  }

  #forgetOld(): void {
    // After a compaction the record before may be gone: the floor becomes known with the first entry.
    if (this.#floor.ms === Infinity && this.#entries.length > 0) this.#floor = { ms: this.#entries[0].ms, lsn: this.#entries[0].lsn - 1 }
    if (this.#bytes <= KEPT_BYTES) return
    let forgotten = 0
    while (this.#bytes > KEPT_BYTES / 2) {
      this.#floor = this.#entries[forgotten]
      this.#bytes -= this.#entries[forgotten++].event.body.length + ENTRY_BYTES
    }
    this.#entries.splice(0, forgotten)
  }

  #fromMemory({ from, to, count, isReverse }: StreamRange, acked: number): StreamEntry[] {
    const start = this.#firstNotBefore(from)
    let end = this.#firstNotBefore({ ms: to.ms, lsn: to.lsn + 1 })
    while (end > start && this.#entries[end - 1].lsn > acked) end--
    if (!isReverse) end = Math.min(end, start + count)
    return isReverse ? this.#entries.slice(Math.max(start, end - count), end).reverse() : this.#entries.slice(start, end)
  }

  /** Index of the first entry that is not before this id. */
  #firstNotBefore(id: StreamId): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (before(this.#entries[middle], id)) low = middle + 1
      else high = middle
    }
    return low
  }

  // The files.

  async #forwards({ from, to, count }: StreamRange, acked: number): Promise<StreamEntry[]> {
    const reader = this.#readerFrom(from, acked)
    reader.isBusy = true
    const found: StreamEntry[] = []
    try {
      for (;;) {
        for (const entry of reader.entries) {
          if (before(entry, from) || entry.lsn > acked) continue
          if (before(to, entry)) return found
          found.push(entry)
          if (found.length === count) return found
        }
        if (!reader.readOn(acked)) return found
        await this.#options.yield()
      }
    } catch (error) {
      reader.isSound = false
      throw error
    } finally {
      reader.isBusy = false
      this.#keep(reader)
    }
  }

  /** One that has come to this place, or a new one. */
  #readerFrom(from: StreamId, acked: number): ForwardReader {
    const at = this.#readers.findIndex((reader) => !reader.isBusy && reader.isAt(from))
    if (at >= 0) return this.#readers.splice(at, 1)[0]
    const { disk, directory, marks, stream } = this.#options
    const follower = new LogFollower(disk, directory, marks)
    follower.seek(this.#startOf(follower, from, acked))
    return new ForwardReader(stream, follower, from)
  }

  #keep(reader: ForwardReader): void {
    if (reader.isSound) this.#readers.unshift(reader)
    else reader.close()
    for (const old of this.#readers.splice(READERS_KEPT)) old.close()
  }

  async #backwards({ from, to, count }: StreamRange, acked: number): Promise<StreamEntry[]> {
    const { disk, directory, marks } = this.#options
    const follower = new LogFollower(disk, directory, marks)
    const entries: StreamEntry[] = []
    try {
      let end = Math.min(acked, follower.lsnBehind(to.ms) - 1)
      while (entries.length < count) {
        const start = follower.before(end + 1)
        if (start === null) break
        const piece: StreamEntry[] = []
        const events = new Collected(this.#options.stream, { from, to, into: piece })
        events.to = end
        follower.seek(start)
        let followed = follower.read(end, events.sink)
        if (followed === 'gone') break
        while (followed === 'more') followed = follower.read(end, events.sink)
        entries.push(...piece.reverse())
        if (events.firstMs < from.ms) break
        end = start - 1
        await this.#options.yield()
      }
      return entries.length > count ? entries.slice(0, count) : entries
    } finally {
      follower.close()
    }
  }

  /** A place in the log that is not behind the first entry that is not before this id, and not far before it. */
  #startOf(follower: LogFollower, from: StreamId, acked: number): number {
    // Usually the id is right behind one that was read here. If the record before it is not newer, nothing before it is.
    const before = from.lsn - 1
    if (before > 0 && before <= acked) {
      let ms = Infinity
      follower.seek(before)
      if (follower.read(before, { batch: (at) => (ms = at), record() {} }) === 'end' && ms <= from.ms) return from.lsn
    }
    return follower.lsnAt(from.ms)
  }

  // Counting.

  /** Entries in all records up to what is acknowledged. Segments that were counted are not read again. */
  async #count(acked: number): Promise<number> {
    const pieces = this.#counter.pieces()
    const listed = new Set(pieces.map((piece) => piece.seq))
    for (const seq of this.#counts.keys()) if (!listed.has(seq)) this.#counts.delete(seq)
    let sum = 0
    for (const [i, piece] of pieces.entries()) {
      const end = Math.min(acked, (pieces[i + 1]?.first ?? Infinity) - 1)
      sum += await this.#countOf(piece, end)
    }
    return sum
  }

  async #countOf(piece: LogPiece, end: number): Promise<number> {
    let known = this.#counts.get(piece.seq)
    // Records that were moved to another segment are not counted twice.
    if (known === undefined || known.to > end) known = { count: 0, from: piece.first, to: piece.first - 1 }
    this.#counts.set(piece.seq, known)
    const counter = new EventCounter()
    while (known.to < end) {
      counter.from = known.to + 1
      counter.to = end
      this.#counter.seek(known.to + 1)
      const followed = this.#counter.read(end, counter, COUNTED_AT_ONCE)
      if (followed === 'gone') break
      known.count += counter.count
      counter.count = 0
      known.to = Math.min(end, this.#counter.nextLsn - 1)
      if (followed === 'more') await this.#options.yield()
    }
    return known.count
  }
}

/** Somebody who reads on and on, page by page: what was read behind the last page is the next one. */
class ForwardReader {
  isBusy = false
  isSound = true
  /** All entries of the records that were read last, as far as they are not before `#from`. */
  entries: StreamEntry[] = []
  #from: StreamId
  readonly #follower: LogFollower
  readonly #events: RecordEvents

  constructor(stream: string, follower: LogFollower, from: StreamId) {
    this.#from = from
    this.#follower = follower
    this.#events = new RecordEvents(stream, (event) => {
      const entry = { ms: this.#events.ms, lsn: event.lsn, event }
      if (!before(entry, from) && this.entries.at(-1)?.lsn !== event.lsn) this.entries.push(entry)
    })
    this.#events.from = follower.nextLsn
  }

  /** Every entry from this place on is here, or comes next. */
  isAt(from: StreamId): boolean {
    return !before(from, this.#from) && from.lsn <= this.#follower.nextLsn
  }

  /** @returns false: there is no more */
  readOn(acked: number): boolean {
    const follower = this.#follower
    const last = this.entries.at(-1)
    if (follower.nextLsn > acked) return false
    if (last !== undefined) this.#from = { ms: last.ms, lsn: last.lsn + 1 }
    this.entries = []
    if (follower.read(acked, this.#events, PIECE_BYTES) === 'gone') follower.seek(follower.oldest())
    this.#events.from = follower.nextLsn
    return true
  }

  close(): void {
    this.#follower.close()
  }
}

/** A sink for the entries between two ids. */
class Collected {
  readonly #events: RecordEvents
  /** Instant of the first batch. */
  firstMs = Infinity
  /** Records behind this one are passed over. */
  to = Infinity
  readonly sink

  constructor(stream: string, { from, to, into }: { from: StreamId; to: StreamId; into: StreamEntry[] }) {
    this.#events = new RecordEvents(stream, (event) => {
      const entry = { ms: this.#events.ms, lsn: event.lsn, event }
      if (!before(entry, from) && !before(to, entry) && into.at(-1)?.lsn !== entry.lsn) into.push(entry)
    })
    const events = this.#events
    this.sink = {
      batch: (ms: number): void => {
        if (this.firstMs === Infinity) this.firstMs = ms
        events.batch(ms)
      },
      record: (bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void => {
        // What cannot be in the range is not decoded.
        if (lsn <= this.to && events.ms >= from.ms && events.ms <= to.ms) events.record(bytes, argc, start, end, lsn)
      },
    }
  }
}

function before(a: StreamId, b: StreamId): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.lsn < b.lsn)
}
