// The start of a node's log: lock, inspect, and leave a directory to which can be appended.
//
//   closed cleanly      goes on behind the last line
//   anything else       everything behind the last seal is written again into a new segment and synced, before the first new record:
//                       after a failed fsync the page cache may show bytes that the disk does not have
//
// What is cut is copied to quarantine/ first. All changes end in one atomic manifest: a crash in between repeats the start.

import { StockdError } from '../base/error.ts'
import { layBallast } from './ballast.ts'
import { lockDirectory, readIdentity, writeIdentity, type Holder } from './directory.ts'
import { errorCode, isDiskError, isNoRoom, writeFully, type Disk, type DiskFile, type DiskLock } from './disk.ts'
import { LOG_DIRECTORY, QUARANTINE_DIRECTORY, parseLogFileName } from './format/file-names.ts'
import type { Manifest, ManifestEntry } from './format/manifest.ts'
import { encodeDurable } from './format/marks.ts'
import { NO_LOG, inspect, unlistedFiles, type Damage, type Inspection, type LoadProgress, type SegmentFinding } from './inspection.ts'
import { Log, type LogEvents, type LogOptions } from './log.ts'
import { READ_BYTES, MIN_FREE_BYTES } from './limits.ts'
import { writeManifestNow } from './manifest-file.ts'
import type { RecordSink } from './record-parser.ts'
import { Segment, createSegment } from './segment.ts'

export interface OpenLogOptions {
  readonly disk: Disk
  readonly directory: string
  readonly holder: Holder
  /** Used when the directory is new. */
  readonly newNodeId: string
  readonly clusterId?: string
  /** Unix milliseconds. */
  readonly now: number
  readonly sink: RecordSink
  readonly log: Partial<LogOptions>
  readonly events: LogEvents
  readonly allowNetworkFileSystem?: boolean
  /** A file of so many real bytes, made once, that can be deleted when the disk is full. 0: none. */
  readonly ballastBytes?: number
}

export interface OpenedLog {
  readonly log: Log
  readonly inspection: Inspection | null
  /** True: the directory was new. */
  readonly isNew: boolean
  /** The newest instant in the log: the node's clock starts no earlier. */
  readonly time: number
}

/**
 * Opens the log of a directory, making it if there is none. Every record goes to the sink. A generator, so that the node hears signals
 * between the pieces; throws StockdError and leaves the directory as it was (and unlocked) if the log cannot be used.
 */
export function* openLog(options: OpenLogOptions): Generator<LoadProgress, OpenedLog> {
  const lock = lockDirectory(options.disk, options.directory, options.holder, options.allowNetworkFileSystem)
  try {
    const inspection = yield* inspect(options)
    layBallast(options.disk, options.directory, options.ballastBytes ?? 0, 2 * MIN_FREE_BYTES)
    if (inspection === NO_LOG) return { log: createLog(options, lock), inspection: null, isNew: true, time: 0 }
    return { log: resume(options, lock, inspection), inspection, isNew: false, time: inspection.time }
  } catch (error) {
    lock.release()
    if (!isDiskError(error)) throw error
    const code = errorCode(error)
    const hint = isNoRoom(code)
      ? `: the log's tail must be written again at this start, and there is no room; deleting ${options.directory}/ballast makes some`
      : ''
    throw new StockdError('LOG_WRITE', `${options.directory} cannot be opened (${code})${hint}: ${error.message}`, { cause: error })
  }
}

/** `openLog` in one go, for tests, tools and who does not serve meanwhile. */
export function openLogNow(options: OpenLogOptions): OpenedLog {
  const opening = openLog(options)
  for (;;) {
    const step = opening.next()
    if (step.done === true) return step.value
  }
}

function createLog(options: OpenLogOptions, lock: DiskLock): Log {
  const { disk, directory, now, events } = options
  const nodeId = options.newNodeId
  const before = readIdentity(disk, directory)
  if (before !== null) {
    // A first start may have ended here. Or somebody has lost a log: that must not look like any new node.
    const since = new Date(before.createdAt).toISOString()
    events.onNote(
      'warn',
      `${directory} is known since ${since} but has no log: starting empty. If it has sold before, stop and restore its log`,
    )
  }
  writeIdentity(disk, directory, { format: 1, clusterId: options.clusterId ?? '', nodeId, createdAt: now })
  const logDirectory = `${directory}/${LOG_DIRECTORY}`
  // Left from a first start that did not come to its manifest.
  for (const name of disk.list(logDirectory)) if (parseLogFileName(name) !== null) disk.unlink(`${logDirectory}/${name}`)
  const current = createSegment(disk, directory, { seq: 1, node: nodeId, previous: 0, createdAt: now, first: 1 })
  current.file.syncNow()
  current.durableBytes = current.size
  disk.syncDirectoryNow(logDirectory)
  const manifest = { entries: [current.entry()] }
  writeManifestNow(disk, directory, manifest)
  const start = { disk, directory, lock, nodeId, manifest, current, prepared: null, nextSeq: 2 }
  return new Log({ ...start, last: 0, durable: 0, chain: 0, time: now, epoch: 1, incarnation: 1 }, options.log, options.events)
}

function resume(options: OpenLogOptions, lock: DiskLock, found: Inspection): Log {
  const { disk, directory } = options
  const nodeId = found.identity.nodeId
  // The names that were found may be in memory only: the last process may have died between a rename and its sync.
  disk.syncDirectoryNow(directory)
  disk.syncDirectoryNow(`${directory}/${LOG_DIRECTORY}`)
  if (found.damage !== null) quarantineTail(disk, directory, found, found.damage, options)
  else quarantineBrokenSeals(disk, directory, found, options)
  let manifest = upToDate(found)
  let nextSeq = newestSeq(disk, directory, found.manifest) + 1
  let chain = found.chain
  let current: Segment
  let prepared: Segment | null = null
  if (!needsRewriting(found)) {
    const [open, empty] = unsealed(found)
    if (open === undefined) {
      const previous = found.segments.at(-1)?.headerCrc ?? 0
      current = createSegment(disk, directory, { seq: nextSeq++, node: nodeId, previous, createdAt: options.now, first: found.last + 1 })
      manifest = list(disk, directory, manifest, current)
    } else {
      current = reopenSegment(disk, directory, open)
      if (empty !== undefined) prepared = reopenSegment(disk, directory, empty)
    }
  } else {
    const rewritten = rewriteTail(options, found, manifest, nextSeq++)
    current = rewritten.segment
    manifest = rewritten.manifest
    chain = rewritten.chain
  }
  clearAway(options, found.manifest, manifest)
  nextSeq = Math.max(nextSeq, newestSeq(disk, directory, manifest) + 1)
  const start = { disk, directory, lock, nodeId, manifest, current, prepared, nextSeq, last: found.last, durable: found.last, chain }
  return new Log(
    { ...start, time: Math.max(found.time, options.now), epoch: Math.max(1, found.epoch), incarnation: found.incarnation + 1 },
    options.log,
    options.events,
  )
}

/** Files that the manifest, now durable, does not name any more, or never did. */
function clearAway({ disk, directory, events, now }: OpenLogOptions, before: Manifest, after: Manifest): void {
  const listed = new Set(after.entries.map((e) => e.name))
  const unlink = (name: string): void => disk.unlink(`${directory}/${LOG_DIRECTORY}/${name}`)
  for (const file of unlistedFiles(disk, directory, before)) {
    if (listed.has(file.name)) continue
    if (file.action === 'delete') unlink(file.name)
    else
      events.onNote(
        'warn',
        `${file.name} is not in the manifest but has records: it was moved to ${moveToQuarantine(disk, directory, file.name, now)}`,
      )
  }
  for (const { name } of before.entries) if (!listed.has(name)) unlink(name)
}

/**
 * A seal that is only in the file may be in the page cache alone (its fsync may even have failed): it counts if the manifest has it, or
 * after a clean stop, which comes after all seals.
 */
function isSealed(found: Inspection, segment: SegmentFinding): boolean {
  return segment.entry.sealed !== null || (found.clean && segment.seal !== null)
}

function unsealed(found: Inspection): SegmentFinding[] {
  return found.segments.filter((s) => !isSealed(found, s) && s.entry.cut === null)
}

/** One open segment, with nothing in it or closed cleanly, and perhaps an empty one prepared behind it: to that can be appended. */
function needsRewriting(found: Inspection): boolean {
  const [open, ...rest] = unsealed(found)
  if (found.damage !== null || (open !== undefined && open.links > 0 && !found.clean)) return true
  return rest.length > 1 || rest.some((s) => s.links > 0)
}

/** The manifest with what the files themselves say of their seals. */
function upToDate(found: Inspection): Manifest {
  const bySeq = new Map(found.segments.map((s) => [s.entry.seq, s]))
  const entries = found.manifest.entries.map((entry) => {
    const segment = entry.type === 'i' ? bySeq.get(entry.seq) : undefined
    if (segment === undefined || segment.seal === null || entry.sealed !== null || !isSealed(found, segment)) return entry
    return { ...entry, bytes: segment.size, sealed: segment.seal }
  })
  return { entries }
}

/** Numbers are given once, to segments and bases alike. */
function newestSeq(disk: Disk, directory: string, manifest: Manifest): number {
  let newest = 0
  for (const entry of manifest.entries) newest = Math.max(newest, entry.seq)
  for (const name of disk.list(`${directory}/${LOG_DIRECTORY}`)) {
    newest = Math.max(newest, parseLogFileName(name)?.seq ?? 0)
  }
  return newest
}

function reopenSegment(disk: Disk, directory: string, found: SegmentFinding): Segment {
  const file = disk.open(`${directory}/${LOG_DIRECTORY}/${found.entry.name}`, 'write')
  const { headerBytes, headerCrc, end, last, records } = found
  return new Segment({
    seq: found.entry.seq,
    file,
    headerBytes,
    headerCrc,
    size: end,
    durableBytes: end,
    first: last - records + 1,
    last,
    records,
  })
}

function list(disk: Disk, directory: string, manifest: Manifest, segment: Segment): Manifest {
  segment.file.syncNow()
  segment.durableBytes = segment.size
  disk.syncDirectoryNow(`${directory}/${LOG_DIRECTORY}`)
  const next = { entries: [...manifest.entries, segment.entry()] }
  writeManifestNow(disk, directory, next)
  return next
}

/** Copies every good link behind the last seal into a new segment, which takes the place of the files they are in. */
function rewriteTail(
  options: OpenLogOptions,
  found: Inspection,
  manifest: Manifest,
  seq: number,
): { segment: Segment; manifest: Manifest; chain: number } {
  const { disk, directory } = options
  const from = found.segments.findIndex((s) => !isSealed(found, s) && s.entry.cut === null)
  const tail = from < 0 ? [] : found.segments.slice(from)
  const before = from < 0 ? found.segments.at(-1) : found.segments[from - 1]
  const records = tail.reduce((sum, s) => sum + s.records, 0)
  const first = found.last - records + 1
  const segment = createSegment(disk, directory, {
    seq,
    node: found.identity.nodeId,
    previous: before?.headerCrc ?? 0,
    createdAt: options.now,
    first,
  })
  let chain = found.chain
  try {
    for (const old of tail) copyLinks(disk, `${directory}/${LOG_DIRECTORY}/${old.entry.name}`, old, segment)
    if (!segment.isEmpty) {
      const mark = encodeDurable(found.last, Math.max(found.time, options.now), chain)
      writeFully(segment.file, mark.bytes, 0, mark.bytes.length, segment.size)
      segment.size += mark.bytes.length
      chain = mark.crc
    }
  } catch (error) {
    segment.file.close()
    disk.unlink(`${directory}/${LOG_DIRECTORY}/${segment.name}`)
    throw error
  }
  segment.last = found.last
  segment.records = records
  const replaced = new Set(tail.map((s) => s.entry.name))
  const firstReplaced = from < 0 ? Infinity : found.segments[from].entry.seq
  const kept = manifest.entries.filter((e) => e.type !== 'i' || (!replaced.has(e.name) && e.seq < firstReplaced))
  return { segment, manifest: list(disk, directory, { entries: kept }, segment), chain }
}

function copyLinks(disk: Disk, path: string, old: SegmentFinding, to: Segment): void {
  const file = disk.open(path, 'read')
  try {
    to.size += copyBytes(file, old.headerBytes, old.end, to.file, to.size)
  } finally {
    file.close()
  }
}

function copyBytes(from: DiskFile, start: number, end: number, to: DiskFile, position: number): number {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, end - start)))
  for (let at = start; at < end;) {
    const n = from.read(buffer, 0, Math.min(buffer.length, end - at), at)
    if (n === 0) throw Object.assign(new Error(`${from.path} became shorter while it was copied`), { code: 'EIO' })
    writeFully(to, buffer, 0, n, position + at - start)
    at += n
  }
  return end - start
}

/** Everything from the first bad byte on is copied to quarantine/ before the log goes on without it. */
function quarantineTail(disk: Disk, directory: string, found: Inspection, damage: Damage, options: OpenLogOptions): void {
  const quarantine = `${directory}/${QUARANTINE_DIRECTORY}`
  disk.makeDirectory(quarantine)
  const entries = found.manifest.entries.filter((e) => e.type === 'i')
  const at = entries.findIndex((e) => e.name === damage.name)
  for (const [i, entry] of entries.slice(at).entries()) copyToQuarantine(disk, directory, entry, i === 0 ? damage.offset : 0, options.now)
  disk.syncDirectoryNow(quarantine)
  const lost =
    damage.to >= damage.from
      ? `LSN ${damage.from}..${damage.to} left a trace and are gone`
      : `LSN ${damage.from} is the first that is gone, if there was one`
  options.events.onNote(
    'warn',
    `${damage.kind === 'torn' ? 'torn tail' : 'unsynced batches out of order'} in ${damage.name} at byte ${damage.offset} (${damage.problem}): ${damage.bytes} bytes cut and ` +
      `kept in ${quarantine}; ${lost}. None of it was durable: under appendfsync always nothing acknowledged is lost, under everysec at most the last second`,
  )
}

/** A seal that a power cut damaged is no loss, but no byte is thrown away. */
function quarantineBrokenSeals(disk: Disk, directory: string, found: Inspection, options: OpenLogOptions): void {
  for (const segment of found.segments) {
    if (segment.seal !== null || segment.entry.cut !== null || segment.end === segment.size) continue
    disk.makeDirectory(`${directory}/${QUARANTINE_DIRECTORY}`)
    copyToQuarantine(disk, directory, segment.entry, segment.end, options.now)
    disk.syncDirectoryNow(`${directory}/${QUARANTINE_DIRECTORY}`)
    options.events.onNote('info', `the seal of ${segment.entry.name} was cut by the stop; no record is missing`)
  }
}

function copyToQuarantine(disk: Disk, directory: string, entry: ManifestEntry, offset: number, now: number): void {
  const file = disk.open(`${directory}/${LOG_DIRECTORY}/${entry.name}`, 'read')
  try {
    const size = file.size()
    if (size <= offset) return
    const copy = createInQuarantine(disk, directory, `${entry.name}.${offset}-${size}`, now)
    try {
      copyBytes(file, offset, size, copy, 0)
      copy.syncNow()
    } finally {
      copy.close()
    }
  } finally {
    file.close()
  }
}

function createInQuarantine(disk: Disk, directory: string, name: string, now: number): DiskFile {
  return disk.open(freeName(disk, `${directory}/${QUARANTINE_DIRECTORY}/${name}.${now}`), 'create')
}

function freeName(disk: Disk, path: string): string {
  let free = path
  for (let n = 2; disk.sizeOf(free) >= 0; n++) free = `${path}.${n}`
  return free
}

function moveToQuarantine(disk: Disk, directory: string, name: string, now: number): string {
  const quarantine = `${directory}/${QUARANTINE_DIRECTORY}`
  disk.makeDirectory(quarantine)
  const to = freeName(disk, `${quarantine}/${name}.${now}`)
  disk.rename(`${directory}/${LOG_DIRECTORY}/${name}`, to)
  disk.syncDirectoryNow(quarantine)
  disk.syncDirectoryNow(`${directory}/${LOG_DIRECTORY}`)
  return to
}
