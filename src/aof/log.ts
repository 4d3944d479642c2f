// The log of a node: takes the records of each turn, writes them as one batch, and says when their replies may leave.
//
// Three numbers tell everything:   durable <= written <= last
//
//   last      LSN of the newest record that was appended
//   written   ... that is in the file (the page cache): survives kill -9
//   durable   ... that was fsynced: survives a power cut
//
// `acked` is what replies may rely on: `durable` under the policy always, `written` under everysec and no. It never goes back.
//
// The log has no clock and no timers: `append` and `tick` bring the time. It is single-threaded; what the device finishes comes back
// through callbacks between turns. Under `always` one fdatasync is in flight while the next batch fills (group commit).
//
// When something fails, nothing is pretended: a write that finds no room is taken back and kept queued until there is room; after a failed
// fsync the file is never synced again, because the kernel forgets the pages it could not write: from memory into a new segment (`reopen`)
// is the only way on.

import { assert } from '../base/assert.ts'
import { StockdError } from '../base/error.ts'
import { errorCode, inOrder, isDiskError, isNoRoom, writeFully, type Disk, type DiskError, type DiskLock, type Done } from './disk.ts'
import { BatchLine } from './format/batch-line.ts'
import { LOG_DIRECTORY } from './format/file-names.ts'
import type { Manifest, ManifestEntry } from './format/manifest.ts'
import { encodeDurable, encodeEnd, encodeSeal } from './format/marks.ts'
import { MIN_FREE_BYTES, QUEUE_BYTES_MAX, RETAINED_BYTES_MAX, SECOND_MS, SEGMENT_BYTES, SYNC_LATE_MS } from './limits.ts'
import { ManifestFile } from './manifest-file.ts'
import { createSegment, type Segment } from './segment.ts'
import { Tail } from './tail.ts'

export type SyncPolicy = 'always' | 'everysec' | 'no'
export type OnSyncError = 'readonly' | 'rewrite' | 'exit'

export interface LogOptions {
  /** When a record counts: after fdatasync, after the write (synced each second), after the write. */
  policy: SyncPolicy
  onSyncError: OnSyncError
  segmentBytes: number
  /** Less free space than this refuses writes before they execute; 0: never looks; AUTO_MIN_FREE: as much as suits the disk. */
  minFreeBytes: number
  queueBytesMax: number
  retainedBytesMax: number
  /** Under the policy no: syncs each second all the same, for those who read the log and may not be ahead of the disk. No reply waits for it. */
  syncsUnasked: boolean
}

/** `minFreeBytes` by the disk: 256 MiB or four segments, whichever is more, but on a small disk no more than a tenth of it. */
export const AUTO_MIN_FREE = -1
const MIN_FREE_SHARE = 0.1

const LOG_DEFAULTS: LogOptions = {
  policy: 'everysec',
  onSyncError: 'readonly',
  segmentBytes: SEGMENT_BYTES,
  minFreeBytes: AUTO_MIN_FREE,
  queueBytesMax: QUEUE_BYTES_MAX,
  retainedBytesMax: RETAINED_BYTES_MAX,
  syncsUnasked: false,
}

/** What the log tells and asks the node. All are called between turns or from within `write` and `tick`, never from `append`. */
export interface LogEvents {
  /** `acked` went up outside of `write`: replies that waited for it may leave. */
  onAcked(): void
  /** Records from..to will not be acknowledged: who waits for them gets this error instead of the reply. */
  onFailed(from: number, to: number, message: string): void
  /** Digest of the state after the last record: stands in the seal of a segment. */
  sealDigest(): string
  /** Something an operator wants to know. */
  onNote(level: 'info' | 'warn' | 'error', message: string): void
  /** fsync failed and the option says exit: the process must not go on. */
  onFatal(error: StockdError): void
  /**
   * Under `always`, when an fsync is done and its replies have left: calls `commit` when the next batch shall go. Those who were just
   * answered are about to write again; without a moment for them, two groups of clients take turns and every fsync carries half of them.
   * Left out: at once.
   */
  gather?(commit: () => void): void
  /** The oldest LSN that somebody still reads (outbox, replica, backup): covered segments from there on are kept as history. */
  keepFrom?(): number
}

/** Where recovery left off. */
export interface LogStart {
  readonly disk: Disk
  readonly directory: string
  readonly lock: DiskLock
  readonly nodeId: string
  readonly manifest: Manifest
  readonly current: Segment
  readonly prepared: Segment | null
  readonly nextSeq: number
  readonly last: number
  readonly durable: number
  readonly chain: number
  readonly time: number
  readonly epoch: number
  readonly incarnation: number
}

type State =
  | { readonly phase: 'open' }
  /** A write failed: the queue waits in memory, and is tried again each second. */
  | { readonly phase: 'blocked'; readonly code: string; readonly newSegment: boolean; readonly refusal: string }
  /** An fsync failed: read-only until `reopen`. */
  | { readonly phase: 'failed'; readonly code: string; readonly refusal: string }
  | { readonly phase: 'closing' | 'closed'; readonly refusal: string }

/** How often history is looked through. */
const HISTORY_SECONDS = 60

const OPEN: State = { phase: 'open' }

interface Sync {
  readonly segment: Segment
  readonly size: number
  readonly lsn: number
  readonly position: number
  readonly startedAt: number
  isLate: boolean
}

interface Sealed {
  readonly last: number
  readonly crc: number
  readonly digest: string
  readonly bytes: number
}

export class Log {
  readonly options: LogOptions
  readonly events: LogEvents
  readonly directory: string
  readonly nodeId: string
  readonly epoch: number
  readonly incarnation: number
  /** LSN of the newest record: appended, in the file, fsynced. */
  last: number
  written: number
  durable: number
  /** Replies that rely on records up to here may leave. */
  acked: number
  /** For INFO. */
  syncs = 0
  syncMsLast = 0
  /** Syncs that stopped writes because they took too long. */
  lateSyncs = 0
  rotations = 0
  readonly #disk: Disk
  readonly #lock: DiskLock
  readonly #manifest: ManifestFile
  readonly #tail = new Tail()
  readonly #line = new BatchLine()
  #state: State = OPEN
  #refusal: string | null = null
  #current: Segment
  /** Left behind by rotation, and not sealed yet: oldest first. */
  #retiring: Segment[] = []
  /** The next segment: listed, durable, empty. */
  #prepared: Segment | null
  #preparing = false
  #prepareAt = 0
  /** Counts moves to a new segment: what was begun before one is dropped. */
  #generation = 0
  #nextSeq: number
  readonly #sealed = new Map<number, Sealed>()
  /** Left behind with all records durable, but without a seal that is. */
  readonly #unsealed = new Map<number, Segment>()
  #chain: number
  /** Position and checksum up to where everything is durable. */
  #durablePosition = 0
  #sync: Sync | null = null
  #lastSyncAt = 0
  #sealing = false
  /** `gather` was asked and has not called back. */
  #gathering = false
  #moving = false
  #now: number
  #second = 0
  #stampedSecond = 0
  #writtenAt = 0
  /** Something was written since the last #D. */
  #noted = false
  #freeBytes = Infinity
  /** What must be free, by the option and the disk. */
  #minFreeBytes = 0
  /** It was said that the disk is nearly full. */
  #saidNearlyFull = false
  readonly #rotationWanted: Done[] = []
  #closed: Done | null = null

  constructor(start: LogStart, options: Partial<LogOptions>, events: LogEvents) {
    this.options = { ...LOG_DEFAULTS, ...options }
    this.events = events
    this.directory = start.directory
    this.nodeId = start.nodeId
    this.epoch = start.epoch
    this.incarnation = start.incarnation
    this.#disk = start.disk
    this.#lock = start.lock
    this.#manifest = new ManifestFile(start.disk, start.directory, start.manifest, () => this.#closeOn())
    this.#current = start.current
    this.#prepared = start.prepared
    this.#nextSeq = start.nextSeq
    this.#chain = start.chain
    this.#current.chain = start.chain
    this.#now = start.time
    this.last = start.last
    this.written = start.last
    this.durable = start.durable
    this.acked = start.last
    this.#line.epoch = start.epoch
    this.#line.incarnation = start.incarnation
  }

  // The turn.

  /** Takes (copies) the records of a turn; they are written by `write`. @returns the LSN of the last one. */
  append(bytes: Uint8Array, length: number, records: number, now: number): number {
    if (records === 0) return this.last
    if (now > this.#now) this.#now = now
    this.#tail.append(bytes, length, records)
    this.last += records
    return this.last
  }

  /** End of a turn: everything appended goes into the file as one batch (under `always` at the latest when the fsync in flight is done). */
  write(): void {
    if (this.#tail.pendingRecords === 0) return
    if (this.#state.phase !== 'open') {
      this.#refuse()
      return
    }
    if (this.options.policy === 'always') {
      if (this.#sync === null && !this.#gathering) this.#commit()
      else if (this.#tail.pendingBytes > this.options.queueBytesMax) this.#refuse()
      return
    }
    if (!this.#put()) return
    this.acked = this.written
    if (this.options.policy === 'everysec') this.#syncEachSecond()
    else this.#tail.release(this.#tail.position)
    this.#rotateIfDue()
  }

  /** The error that a write command gets before it executes, or null. */
  refusal(): string | null {
    return this.#refusal
  }

  /** Time goes on. To be called some ten times a second. */
  tick(now: number): void {
    if (now > this.#now) this.#now = now
    if (this.#state.phase === 'closed') return
    if (this.options.policy === 'everysec' || (this.options.policy === 'no' && this.options.syncsUnasked)) this.#syncEachSecond()
    const second = Math.floor(this.#now / SECOND_MS)
    if (second !== this.#second) {
      this.#second = second
      this.#eachSecond()
    }
    this.#refuse()
  }

  // Facts, for INFO and WAITAOF.

  get phase(): State['phase'] {
    return this.#state.phase
  }

  get currentSegment(): string {
    return this.#current.name
  }

  get segmentBytes(): number {
    return this.#current.size
  }

  /** Bytes of segments (not the base), and of the base. */
  get logBytes(): number {
    let bytes = this.#current.size
    for (const segment of this.#retiring) bytes += segment.size
    for (const e of this.#manifest.current.entries) if (e.type === 'i' && this.#sealedOf(e) !== null) bytes += this.#sealedOf(e)?.bytes ?? 0
    return bytes
  }

  get baseBytes(): number {
    return this.#manifest.current.entries.find((e) => e.type === 'b')?.bytes ?? 0
  }

  get pendingBytes(): number {
    return this.#tail.pendingBytes
  }

  get retainedBytes(): number {
    return this.#tail.bytes
  }

  get syncInFlight(): boolean {
    return this.#sync !== null
  }

  get freeBytes(): number {
    return this.#freeBytes
  }

  get manifest(): Manifest {
    return { entries: this.#listed(this.#manifest.current) }
  }

  get segments(): number {
    return this.#manifest.current.entries.filter((e) => e.type === 'i').length
  }

  /** Number of the newest sealed segment that follows the base without a gap, and the LSN at its end; null: none. */
  get sealedUpTo(): { readonly seq: number; readonly last: number } | null {
    let result = null as { seq: number; last: number } | null
    const manifest = this.manifest
    for (const e of manifest.entries) {
      if (e.type !== 'i') continue
      if (e.sealed !== null) result = { seq: e.seq, last: e.sealed.last }
      else if (e.cut !== null) result = { seq: e.seq, last: lastOf(manifest, e) }
      else break
    }
    return result
  }

  setPolicy(policy: SyncPolicy): void {
    if (policy === this.options.policy) return
    this.options.policy = policy
    if (this.#state.phase === 'open') {
      // What waited for an fsync under the old policy does not wait under the new one.
      this.write()
      if (policy === 'always') this.#startSync()
    }
    this.#advanceAcked()
  }

  // Writing.

  /** One batch into the file. @returns false if it did not go in. */
  #put(): boolean {
    const line = this.#line
    line.records = this.#tail.pendingRecords
    line.first = this.written + 1
    line.durable = this.durable
    line.time = this.#now
    line.previous = this.#chain
    const second = Math.floor(this.#now / SECOND_MS)
    this.#tail.encode(line, second > this.#stampedSecond ? second : 0)
    if (!this.#writeLink()) return false
    this.#stampedSecond = second
    this.#chain = line.crc
    this.#current.chain = line.crc
    this.#current.records += line.records
    this.written += line.records
    this.#current.last = this.written
    this.#writtenAt = this.#now
    this.#noted = false
    assert(this.written === this.last, 'the batch has other records than were counted')
    return true
  }

  /** The encoded link goes to the end of the segment, wholly or not at all. */
  #writeLink(): boolean {
    const tail = this.#tail
    const segment = this.#current
    try {
      writeFully(segment.file, tail.buffer, tail.linkStart, tail.linkEnd, segment.size)
    } catch (error) {
      if (!isDiskError(error)) throw error
      this.#writeFailed(errorCode(error))
      return false
    }
    segment.size += tail.linkEnd - tail.linkStart
    tail.keep()
    return true
  }

  #writeFailed(code: string): void {
    let newSegment = !isNoRoom(code)
    try {
      this.#current.file.truncate(this.#current.size)
    } catch {
      // What was half written cannot be taken back: the manifest will say where this file ends.
      newSegment = true
    }
    const repeated = this.#state.phase === 'blocked'
    this.#state = { phase: 'blocked', code, newSegment, refusal: `MISCONF AOF write failed (${code}); command not executed` }
    this.#refuse()
    if (repeated) return
    this.events.onNote(
      'error',
      `write to ${this.#current.name} failed (${code}): ${this.last - this.written} records wait in memory, writes are refused; trying again each second. ` +
        `Deleting ${this.directory}/ballast makes room`,
    )
    if (this.last > this.written) {
      this.events.onFailed(this.written + 1, this.last, `MISCONF AOF write failed (${code}). Outcome unknown; retry with the same order id`)
    }
  }

  /** Tries the queue again. */
  #probe(): void {
    const state = this.#state
    if (state.phase !== 'blocked' || this.#moving) return
    if (state.newSegment) {
      this.#moveToNewSegment((error) => {
        if (error === null) this.#solved()
      })
      return
    }
    if (this.#tail.pendingRecords > 0 && !this.#put()) return
    this.#state = OPEN
    this.#solved()
  }

  #solved(): void {
    this.events.onNote('info', `the log can be written again: everything up to LSN ${this.written} is in ${this.#current.name}`)
    this.#refuse()
    this.#startSync()
    this.#advanceAcked()
  }

  // Syncing.

  /** Policy always: what is pending goes into the file, and the file to the device. */
  #commit(): void {
    if (this.#tail.pendingRecords > 0 && !this.#put()) return
    this.#rotateIfDue()
    this.#startSync()
  }

  /** The next commit, when the node says so. Whatever has happened meanwhile, it commits only what may be committed. */
  #commitSoon(): void {
    if (this.events.gather === undefined) {
      this.#commit()
      return
    }
    if (this.#gathering) return
    this.#gathering = true
    this.events.gather(() => {
      this.#gathering = false
      if (this.#sync === null && this.#closed === null && this.#state.phase === 'open' && this.options.policy === 'always') this.#commit()
    })
  }

  #syncEachSecond(): void {
    if (this.#now - this.#lastSyncAt < SECOND_MS) return
    this.#startSync()
  }

  /** Starts an fdatasync of the oldest file that has something to sync. One at a time. */
  #startSync(): void {
    const phase = this.#state.phase
    if (this.#sync !== null || phase === 'failed' || phase === 'closed' || this.#moving) return
    const old = this.#retiring.find((s) => s.durableBytes < s.size)
    const segment = old ?? this.#current
    if (segment.durableBytes >= segment.size) return
    const sync: Sync = {
      segment,
      size: segment.size,
      lsn: segment.last,
      position: this.#positionBehind(segment),
      startedAt: this.#now,
      isLate: false,
    }
    this.#sync = sync
    this.#lastSyncAt = this.#now
    segment.file.syncData((error) => this.#synced(sync, error))
  }

  /** Chain position where a segment ends: the tail's, less what is in the files behind it. */
  #positionBehind(segment: Segment): number {
    if (segment === this.#current) return this.#tail.position
    let behind = this.#current.size - this.#current.headerBytes
    for (let i = this.#retiring.indexOf(segment) + 1; i < this.#retiring.length; i++) {
      behind += this.#retiring[i].size - this.#retiring[i].headerBytes
    }
    return this.#tail.position - behind
  }

  #synced(sync: Sync, error: DiskError | null): void {
    this.#sync = null
    if (error !== null) {
      this.#syncFailed(errorCode(error))
      return
    }
    this.syncs++
    this.syncMsLast = this.#now - sync.startedAt
    sync.segment.durableBytes = sync.size
    this.#durablePosition = Math.max(this.#durablePosition, sync.position)
    if (sync.lsn > this.durable) this.durable = sync.lsn
    this.#tail.release(this.#durablePosition)
    if (this.#closed !== null) {
      this.#closeOn()
      return
    }
    this.#sealNext()
    if (this.#state.phase === 'open') {
      if (this.options.policy === 'always') {
        this.#advanceAcked()
        this.#commitSoon()
      } else if (this.#retiring.some((s) => s.durableBytes < s.size)) this.#startSync()
      this.#rotateIfDue()
    }
    this.#refuse()
    this.#advanceAcked()
  }

  #advanceAcked(): void {
    const acked = this.options.policy === 'always' ? this.durable : this.written
    if (acked <= this.acked) return
    this.acked = acked
    this.events.onAcked()
  }

  #syncFailed(code: string): void {
    const from = this.durable + 1
    const to = this.last
    const range = `${from}..${to}`
    this.#state = {
      phase: 'failed',
      code,
      refusal: `MISCONF AOF fsync failed (${code}) at LSN ${range}; node is read-only; command not executed`,
    }
    this.#refuse()
    const risk =
      this.acked >= from ? ` LSN ${from}..${this.acked} were acknowledged and are at risk until STOCK.AOF REOPEN writes them again.` : ''
    this.events.onNote('error', `fsync failed (${code}): LSN ${range} may not be on the disk.${risk} The node is read-only`)
    if (to >= from) this.events.onFailed(from, to, `MISCONF AOF fsync failed (${code}) at LSN ${range}; outcome unknown; node is read-only`)
    if (this.#closed !== null) {
      this.#closeOn()
      return
    }
    switch (this.options.onSyncError) {
      case 'exit':
        this.events.onFatal(new StockdError('LOG_WRITE', `fsync failed (${code}) at LSN ${range}; aof-on-fsync-error is exit`))
        break
      case 'rewrite':
        this.reopen((error) => {
          if (error !== null) this.events.onNote('error', `the log stays read-only: ${error.message}`)
        })
        break
      case 'readonly':
        break
    }
  }

  /**
   * After a failed fsync or a file that cannot be written: everything that is not durable is written again, from memory, into a new segment.
   * Calls back when it is durable there and the log is open again, or with the reason why it stays as it is.
   */
  reopen(done: Done): void {
    switch (this.#state.phase) {
      case 'open':
        done(null)
        return
      case 'closing':
      case 'closed':
        done(new StockdError('LOG_WRITE', 'the log is closed'))
        return
      default:
        this.#moveToNewSegment((error) => {
          if (error === null) this.#solved()
          done(error)
        })
    }
  }

  #moveToNewSegment(done: Done): void {
    if (this.#moving) {
      done(new StockdError('LOG_WRITE', 'a new segment is being written already'))
      return
    }
    if (this.#sync !== null) {
      done(new StockdError('LOG_WRITE', 'an fsync is in flight; try again'))
      return
    }
    const from = this.#durablePosition
    if (from < this.#tail.oldest) {
      // Policy no keeps nothing in memory.
      if (this.#state.phase === 'failed')
        done(
          new StockdError(
            'LOG_WRITE',
            `LSN ${this.durable + 1}.. are no longer in memory: restart the node, which writes them again from the file`,
          ),
        )
      else {
        this.#startSync()
        done(new StockdError('LOG_WRITE', 'what is in the old segment is being synced first; try again'))
      }
      return
    }
    this.#moving = true
    this.#generation++
    const live = [...this.#retiring, this.#current]
    const at = live.findIndex((s) => this.#positionBehind(s) > from)
    const cut = at < 0 ? this.#current : live[at]
    const cutBytes = cut.size - Math.max(0, this.#positionBehind(cut) - from)
    const dropped = [...(at < 0 ? [] : live.slice(at + 1)), ...(this.#prepared === null ? [] : [this.#prepared])]
    const seq = this.#nextSeq++
    const last = this.written
    let segment: Segment | null = null
    const first = this.durable + 1
    inOrder(
      [
        (next) => {
          const made = createSegment(this.#disk, this.directory, {
            seq,
            node: this.nodeId,
            previous: cut.headerCrc,
            createdAt: this.#now,
            first,
          })
          segment = made
          this.#tail.each(from, (buffer, start, end) => {
            writeFully(made.file, buffer, start, end, made.size)
            made.size += end - start
          })
          made.last = last
          made.records = last - first + 1
          made.chain = this.#chain
          made.file.sync(next)
        },
        (next) => this.#disk.syncDirectory(`${this.directory}/${LOG_DIRECTORY}`, next),
        (next) => {
          const made = segment
          assert(made !== null, 'the segment was made in the first step')
          made.durableBytes = made.size
          this.#manifest.change((manifest) => {
            const kept = this.#listed(manifest).filter((e) => e.type === 'b' || e.seq <= cut.seq)
            const entries = kept.map((e) => (e.type !== 'b' && e.seq === cut.seq ? { ...e, bytes: cutBytes, cut: cutBytes } : e))
            return { entries: [...entries, made.entry()] }
          }, next)
        },
      ],
      (error) => {
        this.#moving = false
        if (error === null && segment !== null) this.#moved(segment, cut, cutBytes, dropped)
        else if (segment !== null) {
          this.#manifest.doom(segment.name)
          closeQuietly(segment)
        }
        done(error)
        this.#closeOn()
      },
    )
  }

  #moved(segment: Segment, cut: Segment, cutBytes: number, dropped: readonly Segment[]): void {
    try {
      // Only for readers that do not know `cut`.
      cut.file.truncate(cutBytes)
    } catch {
      // The manifest says where it ends.
    }
    for (const old of [cut, ...dropped]) closeQuietly(old)
    for (const old of dropped) this.#manifest.doom(old.name)
    this.#retiring = this.#retiring.filter((s) => s !== cut && !dropped.includes(s))
    this.#current = segment
    this.#prepared = null
    this.#durablePosition = this.#tail.position
    this.#tail.release(this.#tail.position)
    this.durable = segment.last
    this.#state = OPEN
    this.write()
  }

  // Segments.

  /** Turns to a new segment as soon as it can; calls back when the old one is sealed (or has nothing to seal). */
  rotate(done: Done): void {
    if (this.#state.phase !== 'open') {
      done(new StockdError('LOG_WRITE', this.#state.refusal))
      return
    }
    if (this.#current.isEmpty && this.#retiring.length === 0) {
      done(null)
      return
    }
    this.#rotationWanted.push(done)
    this.#rotateIfDue()
  }

  /** Prepares the next segment when half of this one is used, and switches when it is full; never waits for either. */
  #rotateIfDue(): void {
    const wanted = this.#rotationWanted.length > 0 && !this.#current.isEmpty && this.#retiring.length === 0
    if (!wanted && this.#current.size < this.options.segmentBytes / 2) return
    if (this.#state.phase !== 'open' || this.#moving || this.#closed !== null) return
    if (this.#prepared === null) {
      this.#prepare()
      return
    }
    const due = wanted || this.#current.size >= this.options.segmentBytes
    // The digest is that of the state after the last record: only while nothing waits to be written is that the end of the file.
    if (!due || this.#tail.pendingRecords > 0) return
    const old = this.#current
    old.digest = this.events.sealDigest()
    this.#retiring.push(old)
    const next = this.#prepared
    next.first = this.written + 1
    next.last = this.written
    next.chain = this.#chain
    this.#current = next
    this.#prepared = null
    this.rotations++
    if (old.durableBytes >= old.size) this.#sealNext()
    else this.#startSync()
  }

  #prepare(): void {
    if (this.#preparing || this.#now < this.#prepareAt) return
    this.#preparing = true
    const generation = this.#generation
    const previous = this.#current.headerCrc
    const seq = this.#nextSeq++
    let segment: Segment | null = null
    inOrder(
      [
        (next) => {
          segment = createSegment(this.#disk, this.directory, {
            seq,
            node: this.nodeId,
            previous,
            createdAt: this.#now,
            first: this.written + 1,
          })
          segment.file.sync(next)
        },
        (next) => this.#disk.syncDirectory(`${this.directory}/${LOG_DIRECTORY}`, next),
        (next) =>
          this.#manifest.change((manifest) => {
            if (segment === null || generation !== this.#generation) return null
            segment.durableBytes = segment.size
            return { entries: [...this.#listed(manifest), segment.entry()] }
          }, next),
      ],
      (error) => {
        this.#preparing = false
        if (error === null && segment !== null && generation === this.#generation) {
          this.#prepared = segment
          this.#rotateIfDue()
          return
        }
        if (segment !== null) {
          this.#manifest.doom(segment.name)
          closeQuietly(segment)
        }
        this.#closeOn()
        if (error === null) return
        this.#prepareAt = this.#now + SECOND_MS
        this.events.onNote('warn', `the next segment cannot be made (${errorCode(error)}): ${this.#current.name} grows on`)
        for (const done of this.#rotationWanted.splice(0)) done(error)
      },
    )
  }

  /** The oldest segment that was left behind gets its last line, once everything in it is durable. */
  #sealNext(): void {
    const segment = this.#retiring[0]
    if (segment === undefined || this.#sealing || segment.durableBytes < segment.size) return
    const seal = encodeSeal({ last: segment.last, records: segment.records, digest: segment.digest, previous: segment.chain })
    try {
      writeFully(segment.file, seal.bytes, 0, seal.bytes.length, segment.size)
    } catch (error) {
      if (!isDiskError(error)) throw error
      segment.sealAgain = true
      this.events.onNote('warn', `${segment.name} cannot be sealed yet (${errorCode(error)})`)
      try {
        segment.file.truncate(segment.size)
      } catch {
        // Half a seal behind durable records: recovery cuts it.
      }
      return
    }
    segment.sealAgain = false
    this.#sealing = true
    const bytes = segment.size + seal.bytes.length
    segment.file.sync((error) => {
      this.#sealing = false
      // A move to a new segment may have taken it away meanwhile.
      const at = this.#retiring.indexOf(segment)
      if (at < 0) return
      this.#retiring.splice(at, 1)
      closeQuietly(segment)
      if (error === null) {
        const digest = segment.digest
        this.#sealed.set(segment.seq, { last: segment.last, crc: seal.crc, digest, bytes })
      } else {
        this.#unsealed.set(segment.seq, segment)
        this.events.onNote(
          'warn',
          `the seal of ${segment.name} could not be synced (${errorCode(error)}): its records are durable, it is not compacted before a restart`,
        )
      }
      if (this.#closed !== null) {
        this.#closeOn()
        return
      }
      for (const done of this.#rotationWanted.splice(0)) done(error)
      this.#sealNext()
      this.#rotateIfDue()
    })
  }

  /** The entries with what has become known since, without segments that were prepared and then not needed. */
  #listed(manifest: Manifest): ManifestEntry[] {
    const live = new Set([...this.#retiring, this.#current].map((s) => s.seq))
    if (this.#prepared !== null) live.add(this.#prepared.seq)
    return manifest.entries
      .map((e) => this.#upToDate(e))
      .filter((e) => e.type !== 'i' || e.sealed !== null || e.cut !== null || live.has(e.seq) || this.#unsealed.has(e.seq))
  }

  #upToDate(entry: ManifestEntry): ManifestEntry {
    if (entry.type === 'b' || entry.sealed !== null || entry.cut !== null) return entry
    const sealed = this.#sealed.get(entry.seq)
    if (sealed !== undefined) {
      const { last, crc, digest, bytes } = sealed
      return { ...entry, bytes, sealed: { last, crc, digest } }
    }
    for (const segment of [...this.#retiring, this.#current]) {
      if (segment.seq === entry.seq) return { ...entry, first: segment.first, bytes: Math.max(entry.bytes, segment.durableBytes) }
    }
    return entry
  }

  #sealedOf(entry: ManifestEntry): Sealed | null {
    if (entry.sealed !== null) return { ...entry.sealed, bytes: entry.bytes }
    return this.#sealed.get(entry.seq) ?? null
  }

  // Compaction.

  /** Number for a new base. Never given twice: a manifest on disk may name one whose installation seemed to fail. */
  takeBaseSeq(): number {
    return this.#nextSeq++
  }

  /**
   * A base that holds the state after record `base.sealed.last` takes the place of the old base and of every segment up to there.
   * Segments that somebody still reads (`keepFrom`) stay as history. Calls back when the manifest is durable.
   */
  installBase(base: ManifestEntry, done: Done): void {
    const covered = base.sealed?.last ?? -1
    this.#manifest.change((manifest) => {
      const keepFrom = this.events.keepFrom?.() ?? Infinity
      const entries: ManifestEntry[] = [base]
      const listed = this.#listed(manifest)
      for (const e of listed) {
        const last = lastOf({ entries: listed }, e)
        if (e.type !== 'b' && last > covered) entries.push(e)
        else if (e.type !== 'b' && last >= keepFrom) entries.push({ ...e, type: 'h' })
        else this.#manifest.doom(e.name)
      }
      return { entries }
    }, done)
  }

  // Once a second, and at the end.

  #eachSecond(): void {
    this.#readFreeSpace()
    if (this.#state.phase === 'blocked') this.#probe()
    if (this.#state.phase !== 'open') return
    if (this.#retiring[0]?.sealAgain === true) this.#sealNext()
    if (this.#second % HISTORY_SECONDS === 0) this.#trimHistory()
    if (this.#rotationWanted.length > 0 || this.#current.size >= this.options.segmentBytes / 2) this.#rotateIfDue()
    this.#noteDurable()
  }

  /** History that nobody reads any more goes. */
  #trimHistory(): void {
    const keepFrom = this.events.keepFrom?.() ?? Infinity
    const unread = (manifest: Manifest): ManifestEntry[] => manifest.entries.filter((e) => e.type === 'h' && lastOf(manifest, e) < keepFrom)
    if (unread(this.#manifest.current).length === 0) return
    this.#manifest.change(
      (manifest) => {
        const entries = this.#listed(manifest)
        const gone = new Set(unread({ entries }))
        for (const e of gone) this.#manifest.doom(e.name)
        return { entries: entries.filter((e) => !gone.has(e)) }
      },
      // An error here is met again by whoever next needs the manifest.
      () => {},
    )
  }

  /** After a second without writes: says what is durable, so that the last batch is not the only evidence of itself. */
  #noteDurable(): void {
    if (this.options.policy === 'no' || this.#noted || this.#tail.pendingRecords > 0 || this.#sync !== null || this.#retiring.length > 0)
      return
    if (this.durable !== this.written || this.durable === 0 || this.#current.isEmpty || this.#now - this.#writtenAt < SECOND_MS) return
    const mark = encodeDurable(this.durable, this.#now, this.#chain)
    this.#tail.encodeMark(mark.bytes)
    this.#noted = true
    if (!this.#writeLink()) return
    this.#chain = mark.crc
    this.#current.chain = mark.crc
    this.#startSync()
  }

  #readFreeSpace(): void {
    const { minFreeBytes, segmentBytes } = this.options
    if (minFreeBytes === 0) {
      this.#minFreeBytes = 0
      return
    }
    try {
      const space = this.#disk.space(this.directory)
      this.#freeBytes = space.freeBytes
      this.#minFreeBytes =
        minFreeBytes === AUTO_MIN_FREE
          ? Math.floor(Math.min(Math.max(MIN_FREE_BYTES, 4 * segmentBytes), space.totalBytes * MIN_FREE_SHARE))
          : minFreeBytes
    } catch (error) {
      this.events.onNote('warn', `free space cannot be read (${errorCode(error)})`)
      return
    }
    const isNearlyFull = this.#freeBytes < this.#minFreeBytes
    if (isNearlyFull === this.#saidNearlyFull) return
    this.#saidNearlyFull = isNearlyFull
    const free = `${mebibytes(this.#freeBytes)} MiB free, aof-min-free is ${mebibytes(this.#minFreeBytes)} MiB`
    if (isNearlyFull)
      this.events.onNote('warn', `the disk of ${this.directory} is nearly full (${free}): writes are refused until there is room`)
    else this.events.onNote('info', `the disk of ${this.directory} has room again (${free})`)
  }

  #refuse(): void {
    this.#refusal = this.#reasonToRefuse()
  }

  #reasonToRefuse(): string | null {
    const state = this.#state
    if (state.phase !== 'open') return state.refusal
    if (this.options.policy === 'everysec' && this.#sync !== null && this.#now - this.#sync.startedAt > SYNC_LATE_MS) {
      if (!this.#sync.isLate) this.lateSyncs++
      this.#sync.isLate = true
      return 'MISCONF AOF fsync takes longer than 2 s; command not executed'
    }
    if (this.#freeBytes < this.#minFreeBytes) {
      return `MISCONF disk nearly full (${mebibytes(this.#freeBytes)} MiB free); command not executed`
    }
    if (this.#tail.pendingBytes > this.options.queueBytesMax || this.#tail.bytes > this.options.retainedBytesMax) {
      return 'MISCONF AOF queue is full: the disk does not keep up; command not executed'
    }
    return null
  }

  /** Clean stop: everything is written and synced, the log says so, and the directory is free. After an error it is free, too. */
  close(done: Done): void {
    if (this.#state.phase === 'closed' || this.#closed !== null) {
      done(null)
      return
    }
    this.#closed = done
    // A segment that is being prepared is not needed any more.
    this.#generation++
    this.#probe()
    this.#closeOn()
  }

  /** Goes on with closing until nothing is in flight. */
  #closeOn(): void {
    const done = this.#closed
    if (done === null || this.#state.phase === 'closing') return
    if (this.#sync !== null || this.#sealing || this.#moving || this.#preparing || this.#manifest.isBusy) return
    if (this.#state.phase === 'open' && this.#tail.pendingRecords > 0) this.#put()
    if (this.#state.phase !== 'open') {
      const { phase } = this.#state
      this.#finish(
        new StockdError(
          'LOG_WRITE',
          `the log was not closed cleanly (${phase}): LSN ${this.durable + 1}..${this.last} may be missing at the next start`,
        ),
      )
      return
    }
    if (
      this.written > this.durable ||
      this.#current.durableBytes < this.#current.size ||
      this.#retiring.some((s) => s.durableBytes < s.size)
    ) {
      this.#startSync()
      return
    }
    if (this.#retiring.length > 0 && !this.#retiring[0].sealAgain) {
      this.#sealNext()
      if (this.#sealing) return
    }
    if (this.#unsealed.size + this.#retiring.length > 0) {
      // Everything is durable, but not everything is sealed: without the last line the next start writes the tail again.
      this.#finish(null)
      return
    }
    const end = encodeEnd(this.written, this.#now, this.#chain)
    const { file, size } = this.#current
    try {
      writeFully(file, end.bytes, 0, end.bytes.length, size)
    } catch (error) {
      if (!isDiskError(error)) throw error
      this.#finish(error)
      return
    }
    this.#state = { phase: 'closing', refusal: 'MISCONF AOF is closed; command not executed' }
    file.sync((error) => this.#finish(error))
  }

  #finish(error: DiskError | null): void {
    const done = this.#closed
    this.#closed = null
    for (const waiting of this.#rotationWanted.splice(0)) waiting(new StockdError('LOG_WRITE', 'the log was closed'))
    this.#state = { phase: 'closed', refusal: 'MISCONF AOF is closed; command not executed' }
    this.#refuse()
    for (const segment of [...this.#retiring, this.#current, ...(this.#prepared === null ? [] : [this.#prepared])]) closeQuietly(segment)
    this.#lock.release()
    done?.(error)
  }
}

/** close() of a file whose bytes are durable, or given up: there is nothing that an error could still tell. */
function closeQuietly(segment: Segment): void {
  try {
    segment.file.close()
  } catch {
    // See above.
  }
}

/** LSN of the last record of a segment; Infinity while it is open. Of one that was cut: the one before the next segment's first. */
function lastOf(manifest: Manifest, entry: ManifestEntry): number {
  if (entry.sealed !== null) return entry.sealed.last
  if (entry.cut === null) return Infinity
  const next = manifest.entries[manifest.entries.findIndex((e) => e.name === entry.name) + 1]
  return next === undefined ? Infinity : next.first - 1
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 1048576)
}
