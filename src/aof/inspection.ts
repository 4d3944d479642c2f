// What a log directory holds: reads it all, hands every record on, and judges what is damaged. Changes nothing.
//
// The first bad byte X divides what can be used from what cannot. Whether the rest may be cut is decided by evidence:
//
//   X in a base, in a sealed segment, or before bytes that the manifest calls durable   rot: refuse
//   LSN(X) <= D, the highest LSN that any valid line anywhere calls durable              rot: refuse
//   nothing valid behind X                                                               torn tail
//   valid batches behind X, all newer than D                                             an unsynced region, written back out of order

import { StockdError } from '../base/error.ts'
import { readIdentity } from './directory.ts'
import { readWhole, type Disk } from './disk.ts'
import { gatherEvidence, noEvidence, type Evidence } from './evidence.ts'
import { LOG_DIRECTORY, MANIFEST_FILE, TEMPORARY, parseLogFileName } from './format/file-names.ts'
import { decodeManifest, type Manifest, type ManifestEntry } from './format/manifest.ts'
import type { NodeIdentity } from './format/node-identity.ts'
import { LINE_BYTES_MAX, READ_BYTES } from './limits.ts'
import type { RecordSink } from './record-parser.ts'
import { SegmentReader, type Link } from './segment-reader.ts'

export interface LoadProgress {
  readonly bytes: number
  readonly bytesTotal: number
  readonly records: number
  readonly lsn: number
}

export interface SegmentFinding {
  readonly entry: ManifestEntry
  readonly size: number
  readonly headerBytes: number
  readonly headerCrc: number
  /** Where the good links end, the seal not counted; up to here it may be copied. */
  readonly end: number
  readonly links: number
  readonly records: number
  readonly last: number
  readonly lastLink: Link | null
  readonly seal: { readonly last: number; readonly crc: number; readonly digest: string } | null
}

export interface Damage {
  readonly kind: 'torn' | 'reordered'
  /** Index of the segment in `Inspection.segments`, and the first bad byte in it. */
  readonly segment: number
  readonly name: string
  readonly offset: number
  readonly problem: string
  /** Bytes to be cut, in this segment and those behind it. */
  readonly bytes: number
  /** The first LSN that is gone, and the last that left a trace (0: none did). */
  readonly from: number
  readonly to: number
}

/** What is told with LOG_CORRUPT, as `cause`. */
export interface CorruptionReport {
  readonly file: string
  readonly offset: number
  readonly problem: string
  readonly lsn: number
  readonly durable: number
  /** Batches and records behind the damage that still verify. */
  readonly batchesAfter: number
  readonly recordsAfter: number
  readonly lastAfter: number
}

export interface Inspection {
  readonly identity: NodeIdentity
  readonly manifest: Manifest
  readonly base: { readonly entry: ManifestEntry; readonly last: number; readonly records: number; readonly digest: string } | null
  readonly segments: readonly SegmentFinding[]
  readonly damage: Damage | null
  /** The log was closed: its last line says so, and with it that every seal before it was synced. */
  readonly clean: boolean
  readonly last: number
  readonly durable: number
  readonly chain: number
  /** The newest instant in the log. */
  readonly time: number
  readonly epoch: number
  readonly incarnation: number
  readonly records: number
  readonly bytes: number
}

export interface InspectOptions {
  readonly disk: Disk
  readonly directory: string
  readonly sink: RecordSink
}

export const NO_LOG = 'no log'

/** Reads the log of a directory. Returns NO_LOG for a directory that never had one. Throws LOG_CORRUPT, LOG_TOO_NEW, LOG_SEMANTIC. */
export function* inspect(options: InspectOptions): Generator<LoadProgress, Inspection | typeof NO_LOG> {
  const { disk, directory } = options
  const logDirectory = `${directory}/${LOG_DIRECTORY}`
  const identity = readIdentity(disk, directory)
  const manifest = readManifest(disk, directory)
  if (manifest === null) {
    for (const name of disk.list(logDirectory)) {
      if (parseLogFileName(name) === null || !hasRecords(disk, `${logDirectory}/${name}`)) continue
      throw corrupt(`${logDirectory} has data (${name}) but no manifest: put ${MANIFEST_FILE} back from a backup of this directory`)
    }
    return NO_LOG
  }
  if (identity === null) throw corrupt(`${directory} has a log but no node.json: put it back from a backup of this directory`)
  return yield* inspectFiles(options, identity, manifest)
}

/** `inspect` of the files that this manifest names. */
export function* inspectFiles(options: InspectOptions, identity: NodeIdentity, manifest: Manifest): Generator<LoadProgress, Inspection> {
  return yield* new Inspector(options, identity, manifest).run()
}

export function readManifest(disk: Disk, directory: string): Manifest | null {
  const path = `${directory}/${LOG_DIRECTORY}/${MANIFEST_FILE}`
  if (disk.sizeOf(path) < 0) return null
  try {
    return decodeManifest(readWhole(disk, path))
  } catch (error) {
    if (error instanceof StockdError) throw new StockdError(error.code, `${path}: ${error.message}; nothing was changed`)
    throw error
  }
}

/** Bytes of the first line of a file of ours, or 0 if that is not what it starts with. */
function headerSize(disk: Disk, path: string): number {
  const file = disk.open(path, 'read')
  try {
    const reader = new SegmentReader(file, { nextLsn: 1, chain: 0, limit: 1024 })
    return reader.readHeader() && reader.header !== null ? reader.header.bytes : 0
  } finally {
    file.close()
  }
}

/** False for a file that was being made when the node stopped: a header, or a piece of one. */
function hasRecords(disk: Disk, path: string): boolean {
  const size = disk.sizeOf(path)
  const header = headerSize(disk, path)
  return header > 0 ? size > header : size > LINE_BYTES_MAX
}

function corrupt(message: string, report?: CorruptionReport): StockdError {
  return new StockdError('LOG_CORRUPT', message, report === undefined ? undefined : { cause: report })
}

/** One pass over a log; the values carried from file to file. */
class Inspector {
  readonly #disk: Disk
  readonly #directory: string
  readonly #sink: RecordSink
  readonly #identity: NodeIdentity
  readonly #manifest: Manifest
  readonly #bytesTotal: number
  #bytesBefore = 0
  #nextLsn = 1
  #chain = 0
  #durable = 0
  #time = 0
  #epoch = 0
  #incarnation = 0
  #records = 0
  #reported = 0
  #headerCrc = 0

  constructor(options: InspectOptions, identity: NodeIdentity, manifest: Manifest) {
    this.#disk = options.disk
    this.#directory = `${options.directory}/${LOG_DIRECTORY}`
    this.#sink = options.sink
    this.#identity = identity
    this.#manifest = manifest
    let total = 0
    for (const entry of manifest.entries) {
      const size = this.#disk.sizeOf(this.#path(entry))
      if (size < 0) throw corrupt(`${this.#path(entry)} is listed in the manifest but missing`)
      if (size < Math.max(entry.bytes, entry.cut ?? 0)) {
        throw corrupt(`${this.#path(entry)} has ${size} bytes; ${entry.bytes} were durable`)
      }
      total += entry.type === 'h' ? 0 : size
    }
    this.#bytesTotal = total
  }

  *run(): Generator<LoadProgress, Inspection> {
    const entries = this.#manifest.entries
    let base: Inspection['base'] = null
    const segments: SegmentFinding[] = []
    let damage: Damage | null = null
    for (const entry of entries) {
      if (entry.type === 'b') base = yield* this.#base(entry)
      if (entry.type !== 'i') continue
      const file = this.#disk.open(this.#path(entry), 'read')
      try {
        const reader = this.#open(entry, file)
        const ended = yield* this.#links(reader)
        this.#carry(reader)
        segments.push(finding(entry, reader, file.size()))
        if (ended === 'bad' && !this.#isOnlySeal(entry, reader)) {
          damage = this.#judge(entry, reader, segments.length - 1)
          break
        }
        this.#confirmSeal(entry, reader)
      } finally {
        file.close()
      }
      this.#bytesBefore += this.#disk.sizeOf(this.#path(entry))
    }
    const withData = segments.filter((s) => s.links > 0)
    const newest = withData.at(-1)
    const clean =
      damage === null && newest?.lastLink === 'end' && withData.slice(0, -1).every((s) => s.seal !== null || s.entry.cut !== null)
    return {
      identity: this.#identity,
      manifest: this.#manifest,
      base,
      segments,
      damage,
      clean,
      last: this.#nextLsn - 1,
      durable: this.#durable,
      chain: this.#chain,
      time: this.#time,
      epoch: this.#epoch,
      incarnation: this.#incarnation,
      records: this.#records,
      bytes: this.#bytesTotal,
    }
  }

  *#base(entry: ManifestEntry): Generator<LoadProgress, NonNullable<Inspection['base']>> {
    const file = this.#disk.open(this.#path(entry), 'read')
    try {
      const reader = new SegmentReader(file, { nextLsn: 1, chain: 0 })
      this.#header(entry, reader, 'base')
      this.#sink.file?.(entry.name, true)
      const ended = yield* this.#links(reader)
      const footer = reader.mark
      if (ended === 'bad') throw this.#rot(entry, reader, 'it is in the base')
      if (footer?.kind !== 'footer' || !reader.sealed) throw corrupt(`${file.path} ends without its last line: records are missing`)
      if (
        entry.sealed !== null &&
        (entry.sealed.crc !== footer.crc || entry.sealed.last !== footer.last || entry.bytes !== reader.offset)
      ) {
        throw corrupt(`${file.path} is not the base that the manifest lists`)
      }
      this.#nextLsn = footer.last + 1
      this.#chain = footer.chain
      this.#time = Math.max(this.#time, reader.time)
      this.#durable = footer.last
      this.#bytesBefore += reader.offset
      this.#sink.seal?.(footer.digest, footer.last)
      return { entry, last: footer.last, records: footer.records, digest: footer.digest }
    } finally {
      file.close()
    }
  }

  #open(entry: ManifestEntry, file: ReturnType<Disk['open']>): SegmentReader {
    const reader = new SegmentReader(file, { nextLsn: this.#nextLsn, chain: this.#chain, limit: entry.cut ?? undefined })
    const previous = this.#headerCrc
    this.#header(entry, reader, 'incr')
    const header = reader.header
    if (previous !== 0 && header !== null && header.previous !== previous && header.previous !== 0) {
      throw corrupt(`${file.path} does not continue the segment before it`)
    }
    this.#headerCrc = header?.crc ?? 0
    this.#sink.file?.(entry.name, false)
    return reader
  }

  #header(entry: ManifestEntry, reader: SegmentReader, kind: 'base' | 'incr'): void {
    if (!reader.readHeader()) throw corrupt(`${reader.file.path}: ${reader.problem}`)
    const header = reader.header
    if (header === null || header.kind !== kind || header.seq !== entry.seq)
      throw corrupt(`${reader.file.path} holds another file of the log`)
    if (header.node !== this.#identity.nodeId)
      throw corrupt(`${reader.file.path} was written by node ${header.node}, this is ${this.#identity.nodeId}`)
  }

  /** Reads all links of a file; returns how it ended. */
  *#links(reader: SegmentReader): Generator<LoadProgress, Link> {
    for (;;) {
      const link = reader.next()
      switch (link) {
        case 'batch':
          this.#deliver(reader)
          this.#records += reader.line.records
          if (this.#bytesBefore + reader.offset - this.#reported >= READ_BYTES) {
            this.#reported = this.#bytesBefore + reader.offset
            yield { bytes: this.#reported, bytesTotal: this.#bytesTotal, records: this.#records, lsn: reader.nextLsn - 1 }
          }
          break
        case 'seal':
          if (reader.mark?.kind === 'seal') this.#sink.seal?.(reader.mark.digest, reader.mark.last)
          break
        case 'eof':
        case 'bad':
          return link
        default:
      }
    }
  }

  #deliver(reader: SegmentReader): void {
    try {
      reader.deliver(this.#sink)
    } catch (error) {
      if (!(error instanceof StockdError) || error.code !== 'LOG_SEMANTIC') throw error
      const { line } = reader
      throw new StockdError(
        'LOG_SEMANTIC',
        `${reader.file.path} at ${reader.linkStart}, LSN ${line.first}..${line.last}: ${error.message}`,
        { cause: error },
      )
    }
  }

  #carry(reader: SegmentReader): void {
    this.#nextLsn = reader.nextLsn
    this.#chain = reader.chain
    this.#durable = Math.max(this.#durable, reader.durable)
    this.#time = Math.max(this.#time, reader.time)
    this.#epoch = Math.max(this.#epoch, reader.epoch)
    this.#incarnation = Math.max(this.#incarnation, reader.incarnation)
  }

  #confirmSeal(entry: ManifestEntry, reader: SegmentReader): void {
    if (entry.sealed === null) return
    const { mark } = reader
    if (mark?.kind === 'seal' && mark.last === entry.sealed.last && mark.crc === entry.sealed.crc && reader.offset === entry.bytes) return
    throw corrupt(`${reader.file.path} is not the sealed segment that the manifest lists`)
  }

  /**
   * A segment is sealed after the log has turned to the next one, so a power cut may leave a damaged seal before durable batches. Nothing is
   * missing if what follows continues exactly here: same checksum, next LSN.
   */
  #isOnlySeal(entry: ManifestEntry, reader: SegmentReader): boolean {
    if (
      entry.sealed !== null ||
      entry.cut !== null ||
      reader.sealed ||
      reader.offset < entry.bytes ||
      reader.limit - reader.offset > LINE_BYTES_MAX
    )
      return false
    const entries = this.#manifest.entries
    const next = entries[entries.indexOf(entry) + 1]
    if (next === undefined) return false
    const file = this.#disk.open(this.#path(next), 'read')
    try {
      const behind = new SegmentReader(file, { nextLsn: reader.nextLsn, chain: reader.chain, limit: next.cut ?? undefined })
      if (!behind.readHeader()) return false
      const link = behind.next()
      return link === 'batch' || link === 'durable' || link === 'end'
    } finally {
      file.close()
    }
  }

  #judge(entry: ManifestEntry, reader: SegmentReader, index: number): Damage {
    if (entry.sealed !== null || reader.sealed) throw this.#rot(entry, reader, 'the segment is sealed')
    if (entry.cut !== null || reader.offset < entry.bytes) throw this.#rot(entry, reader, 'these bytes were durable')
    const lsn = reader.nextLsn
    const { evidence, bytes, durableBehind } = this.#behind(entry, reader)
    const durable = Math.max(this.#durable, evidence.durable)
    if (lsn <= durable) throw this.#rot(entry, reader, `records up to LSN ${durable} were durable`)
    if (durableBehind) throw this.#rot(entry, reader, 'a later segment was durable')
    return {
      kind: evidence.batches === 0 ? 'torn' : 'reordered',
      segment: index,
      name: entry.name,
      offset: reader.offset,
      problem: reader.problem,
      bytes,
      from: lsn,
      to: evidence.last,
    }
  }

  /** Everything behind the reader's position: the rest of its file, and the segments that follow. */
  #behind(entry: ManifestEntry, reader: SegmentReader): { evidence: Evidence; bytes: number; durableBehind: boolean } {
    const evidence = noEvidence()
    const entries = this.#manifest.entries
    const later = entries.slice(entries.indexOf(entry) + 1).filter((e) => e.type === 'i')
    let span = reader.limit - reader.offset
    for (const e of later) span += this.#disk.sizeOf(this.#path(e))
    gatherEvidence(evidence, reader.file, { from: reader.offset, limit: reader.limit, lsn: reader.nextLsn, span })
    let bytes = reader.limit - reader.offset
    let durableBehind = false
    for (const e of later) {
      const path = this.#path(e)
      const header = headerSize(this.#disk, path)
      const file = this.#disk.open(path, 'read')
      try {
        const limit = e.cut ?? file.size()
        gatherEvidence(evidence, file, { from: header, limit, lsn: reader.nextLsn, span })
        bytes += limit - header
      } finally {
        file.close()
      }
      if (header === 0 || e.sealed !== null || e.bytes > header) durableBehind = true
    }
    return { evidence, bytes, durableBehind }
  }

  #rot(entry: ManifestEntry, reader: SegmentReader, why: string): StockdError {
    const { evidence } = this.#behind(entry, reader)
    const report: CorruptionReport = {
      file: reader.file.path,
      offset: reader.offset,
      problem: reader.problem,
      lsn: reader.nextLsn,
      durable: Math.max(this.#durable, evidence.durable),
      batchesAfter: evidence.batches,
      recordsAfter: evidence.records,
      lastAfter: evidence.last,
    }
    return corrupt(
      `${report.file} is corrupt at byte ${report.offset}, LSN ${report.lsn}: ${report.problem}; ${why}, so this is no torn tail. ` +
        `${report.recordsAfter} whole records follow (up to LSN ${Math.max(report.lastAfter, report.lsn - 1)}). Nothing was changed: restore a backup, or see \`stockd-aof fix\``,
      report,
    )
  }

  #path(entry: ManifestEntry): string {
    return `${this.#directory}/${entry.name}`
  }
}

function finding(entry: ManifestEntry, reader: SegmentReader, size: number): SegmentFinding {
  const { mark } = reader
  const seal = reader.sealed && mark?.kind === 'seal' ? mark : null
  return {
    entry,
    size,
    headerBytes: reader.header?.bytes ?? 0,
    headerCrc: reader.header?.crc ?? 0,
    end: seal === null ? reader.offset : reader.linkStart,
    links: reader.links,
    records: reader.records,
    last: reader.nextLsn - 1,
    lastLink: reader.links === 0 ? null : mark === null ? 'batch' : mark.kind,
    seal: seal === null ? null : { last: seal.last, crc: seal.crc, digest: seal.digest },
  }
}

export interface UnlistedFile {
  readonly name: string
  /** Left over from a switch that a durable manifest completed, never named by one, or without records: nothing is lost with it. */
  readonly action: 'delete' | 'quarantine'
}

/** Files in the log's directory that the manifest does not name, and what becomes of them. */
export function unlistedFiles(disk: Disk, directory: string, manifest: Manifest): UnlistedFile[] {
  const logDirectory = `${directory}/${LOG_DIRECTORY}`
  const listed = new Set(manifest.entries.map((e) => e.name))
  const newest = { base: 0, incr: 0 }
  for (const e of manifest.entries) {
    const kind = e.type === 'b' ? 'base' : 'incr'
    newest[kind] = Math.max(newest[kind], e.seq)
  }
  const result: UnlistedFile[] = []
  for (const name of disk.list(logDirectory)) {
    if (listed.has(name) || name === MANIFEST_FILE) continue
    const file = parseLogFileName(name)
    if (file === null) {
      if (name.endsWith(TEMPORARY)) result.push({ name, action: 'delete' })
      continue
    }
    const replaced = file.seq < newest[file.kind]
    result.push({ name, action: replaced || !hasRecords(disk, `${logDirectory}/${name}`) ? 'delete' : 'quarantine' })
  }
  return result
}
