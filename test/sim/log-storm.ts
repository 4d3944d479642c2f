// A log on a simulated disk, driven and hit from a seed: turns, fsyncs that come late and in any order, full disks, fsync errors, kills and
// power cuts, over several lives of one directory. After each start it checks what the promise table promises:
//
//   killed        every acknowledged record is there (after a failed fsync: on file systems that then show old pages, the durable ones)
//   power cut     always: every acknowledged record;  everysec, no: every durable one
//   ever          what is there is what was written, in order, with nothing in between
//
// `bug` plants a mistake between log and disk; the storm must notice it.

import { StockdError } from '../../src/base/error.ts'
import { Random } from '../../src/base/random.ts'
import { BaseWriter } from '../../src/aof/base-writer.ts'
import type { Disk, DiskFile, Done } from '../../src/aof/disk.ts'
import { LOG_DIRECTORY } from '../../src/aof/format/file-names.ts'
import type { Log, SyncPolicy } from '../../src/aof/log.ts'
import { readLog } from '../../src/aof/read-log.ts'
import type { RecordSink } from '../../src/aof/record-parser.ts'
import { openLogNow } from '../../src/aof/recovery.ts'
import { SimCrash, SimDisk, type CrashKind } from './sim-disk.ts'

export type PlantedBug = 'ack before fsync' | 'fsync retry' | 'missing directory fsync' | 'cut of a durable batch'

export interface StormOptions {
  readonly seed: number
  readonly policy?: SyncPolicy
  readonly faults?: boolean
  readonly bug?: PlantedBug
  readonly lives?: number
}

export interface StormResult {
  readonly lives: number
  readonly powerCuts: number
  readonly kills: number
  readonly acked: number
  readonly syncFailures: number
  readonly fullDisks: number
  readonly tornTails: number
  readonly compactions: number
  readonly notes: readonly string[]
}

export class StormError extends Error {}

const DIRECTORY = '/data'

/** One record, whose bytes say which it is and in which life it was written. */
function record(lsn: number, life: number, random: Random): Buffer {
  const filling = random.chance(0.05) ? random.below(3000) : random.below(40)
  const value = Buffer.alloc(filling, 97 + (lsn % 26))
  // Some values look like lines of ours.
  if (random.chance(0.1)) value.write(`\r\n#B1 e=1.1 l=${lsn} n=1 d=${lsn} `, 'latin1')
  const key = `${lsn}.${life}`
  return Buffer.concat([Buffer.from(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n`), value, Buffer.from('\r\n')])
}

/** Runs one storm; throws StormError with the seed when a promise was broken. */
export function storm(options: StormOptions): StormResult {
  const random = new Random(options.seed)
  const choices = random.fork('choices')
  const policy = options.policy ?? choices.pick(['always', 'everysec', 'no'] as const)
  const showsOld = choices.chance(0.3)
  const disk = new SimDisk(random.fork('disk'), { failedSyncShowsOld: showsOld, shortWrites: choices.chance(0.3) ? 0.1 : 0 })
  const seen = options.bug === undefined ? disk : plant(disk, options.bug)
  const lives = options.lives ?? choices.between(2, 6)
  const segmentBytes = choices.pick([700, 2000, 6000, 1e6])
  const written: Buffer[] = [] // written[lsn - 1]: what was appended as this LSN
  const result = {
    lives,
    powerCuts: 0,
    kills: 0,
    acked: 0,
    syncFailures: 0,
    fullDisks: 0,
    tornTails: 0,
    compactions: 0,
    notes: [] as string[],
  }
  let now = 1_700_000_000_000
  let promised = 0
  let safe = 0 // of these, what a power cut leaves too
  const fail = (why: string): never => {
    throw new StormError(`seed ${options.seed} (${policy}${showsOld ? ', reverting' : ''}): ${why}\n${result.notes.slice(-12).join('\n')}`)
  }

  for (let life = 1; life <= lives; life++) {
    const found: Buffer[] = []
    let log: Log | null = null
    let acked = promised
    let durable = promised
    let syncFailed = false
    const diesAtStart = choices.chance(0.15)
    const kind: CrashKind = choices.chance(0.7) ? 'power' : 'kill'
    if (diesAtStart) disk.crashAfter(choices.below(30), kind)
    const look = (): void => {
      if (log === null || disk.isDead) return
      if (log.acked < acked) fail(`acked went back from ${acked} to ${log.acked}`)
      acked = log.acked
      durable = log.durable
      if (log.durable > log.written || log.written > log.last) fail('durable <= written <= last does not hold')
    }
    try {
      const opened = openLogNow({
        disk: seen,
        directory: DIRECTORY,
        holder: { pid: life, host: 'sim', bootId: '-', startedAt: String(now), version: '0' },
        newNodeId: `node-${options.seed}`,
        now,
        log: { policy, segmentBytes, minFreeBytes: 0, onSyncError: choices.pick(['readonly', 'rewrite'] as const), queueBytesMax: 50_000 },
        sink: {
          record(bytes, argc, start, end, lsn) {
            if (argc !== 3 || lsn !== found.length + 1) fail(`LSN ${lsn} came after ${found.length}`)
            found.push(Buffer.from(bytes.subarray(start[1], end[2])))
          },
        },
        events: {
          onAcked: look,
          onFailed() {
            if (!disk.isDead) result.notes.push(`life ${life}: replies refused`)
          },
          sealDigest: () => `d${written.length}`,
          onNote(level, message) {
            if (!disk.isDead) result.notes.push(`life ${life} ${level}: ${message}`)
          },
          onFatal: (error) => fail(error.message),
        },
      })
      log = opened.log
      if (opened.inspection?.damage) result.tornTails++
    } catch (error) {
      // A crash of ours during the start: nothing was promised since, and the next start must find the same.
      if (!disk.isDead && !(error instanceof SimCrash)) fail(`the log did not open: ${(error as Error).message}`)
      if (kind === 'power') {
        result.powerCuts++
        promised = safe
      } else result.kills++
      disk.restart()
      continue
    }
    if (found.length < promised) fail(`${promised} records were promised, ${found.length} are there`)
    for (const [i, bytes] of found.entries()) {
      if (i >= written.length || !written[i].includes(bytes)) fail(`LSN ${i + 1} is not what was written`)
    }
    written.length = found.length
    acked = durable = found.length
    look()
    if (!diesAtStart) disk.crashAfter(choices.between(5, 250), kind)
    const quiet = choices.chance(0.2) // ends with a clean stop
    try {
      const turns = choices.between(1, 80)
      for (let turn = 0; turn < turns && !disk.isDead; turn++) {
        now += choices.pick([0, 1, 20, 300, 1100])
        if (log.refusal() === null) {
          for (let n = choices.between(0, 4); n > 0; n--) {
            const bytes = record(log.last + 1, life, choices)
            written.push(bytes)
            log.append(bytes, bytes.length, 1, now)
          }
          log.write()
          look()
        }
        for (let n = choices.below(4); n > 0; n--) disk.complete()
        if (options.faults !== false) inject(disk, choices, result, () => (syncFailed = true))
        if (choices.chance(0.05)) log.rotate(() => {})
        if (choices.chance(0.04) && compact(seen, log)) result.compactions++
        if (log.phase === 'failed' && choices.chance(0.3)) {
          log.reopen(() => {})
          if (choices.chance(0.8)) disk.completeAll()
        }
        log.tick(now)
        look()
      }
      if (quiet && !disk.isDead) {
        let closed = false
        disk.crashAfter(Infinity, kind)
        disk.clearFaults()
        delete disk.options.quotaBytes
        log.close(() => (closed = true))
        while (!closed && disk.complete());
        if (!closed) fail('close does not end')
        if (log.durable === log.last) acked = durable = log.last
      }
    } catch (error) {
      if (!disk.isDead && !(error instanceof SimCrash)) throw error
    }
    result.acked += acked - promised
    if (!disk.isDead) disk.crash(kind)
    if (kind === 'power') result.powerCuts++
    else result.kills++
    if (kind === 'kill') promised = syncFailed && showsOld ? durable : acked
    else promised = policy === 'always' ? acked : durable
    safe = Math.min(promised, durable)
    result.notes.push(`life ${life}: ${kind}, last ${log.last} acked ${acked} durable ${durable}`)
    delete disk.options.quotaBytes
    disk.restart()
  }
  if (disk.retriedSyncs > 0 && options.bug !== 'fsync retry') fail('an fsync was tried again on a file whose fsync had failed')
  return result
}

/** Compaction with an engine that remembers every record: the base holds the records of the segments that it replaces. */
function compact(disk: Disk, log: Log): boolean {
  const upTo = log.sealedUpTo
  if (upTo === null || log.phase !== 'open') return false
  let writer: BaseWriter | null = null
  try {
    const records: Buffer[] = []
    const sink: RecordSink = { record: (bytes, _argc, start, end) => records.push(Buffer.from(bytes.subarray(start[1], end[2]))) }
    const reading = readLog({ disk, directory: DIRECTORY, manifest: log.manifest, upToSegment: upTo.seq, sink })
    let step = reading.next()
    while (step.done !== true) step = reading.next()
    const { last, chain, time } = step.value
    if (last !== upTo.last) throw new StormError(`compaction read up to LSN ${last}, not ${upTo.last}`)
    writer = new BaseWriter({ disk, directory: DIRECTORY, seq: log.takeBaseSeq(), nodeId: log.nodeId, last, chain, time })
    for (const tail of records) {
      const head = Buffer.from(`*3\r\n$3\r\nSET\r\n$${tail.indexOf('\r')}\r\n`)
      const bytes = Buffer.concat([head, tail, Buffer.from('\r\n')])
      writer.add(bytes, bytes.length, 1)
    }
    log.installBase(writer.finish('d'), () => {})
    return true
  } catch (error) {
    if (error instanceof StockdError) throw new StormError(`compaction cannot read what was sealed: ${error.message}`)
    if (error instanceof SimCrash || error instanceof StormError) throw error
    writer?.abandon()
    return false
  }
}

function inject(disk: SimDisk, choices: Random, result: { syncFailures: number; fullDisks: number }, onSyncFault: () => void): void {
  if (!choices.chance(0.06)) {
    // A full disk gets room again.
    if (disk.options.quotaBytes !== undefined && choices.chance(0.2)) delete disk.options.quotaBytes
    return
  }
  switch (choices.below(7)) {
    case 0:
    case 1:
      disk.failNext('sync', 'EIO')
      result.syncFailures++
      onSyncFault()
      break
    case 2: {
      let used = 0
      for (const bytes of disk.files().values()) used += bytes.length
      disk.options.quotaBytes = used + choices.below(400)
      result.fullDisks++
      break
    }
    case 3:
      disk.failNext('write', choices.pick(['EIO', 'ENOSPC', 'EDQUOT']))
      if (choices.chance(0.3)) disk.failNext('truncate', 'EIO')
      break
    case 4:
      disk.failNext('syncDirectory', 'EIO', LOG_DIRECTORY)
      break
    case 5:
      disk.failNext('rename', 'EIO')
      break
    default:
      disk.failNext('open', 'EMFILE', '.incr.')
  }
}

/** The disk as a log with this mistake would use it. */
function plant(disk: SimDisk, bug: PlantedBug): Disk {
  const wrapped = (file: DiskFile): DiskFile => {
    const sync = (real: (done: Done) => void, done: Done): void => {
      if (bug === 'ack before fsync') {
        real(() => {})
        done(null)
      } else if (bug === 'fsync retry') real((error) => (error === null ? done(null) : real(done)))
      else real(done)
    }
    return {
      path: file.path,
      size: () => Math.max(0, file.size() - (bug === 'cut of a durable batch' && file.path.includes('.incr.') ? 150 : 0)),
      read: (into, at, length, position) => file.read(into, at, length, position),
      write: (bytes, start, end, position) => file.write(bytes, start, end, position),
      truncate: (size) => file.truncate(size),
      sync: (done) => sync((d) => file.sync(d), done),
      syncData: (done) => sync((d) => file.syncData(d), done),
      syncNow: () => file.syncNow(),
      close: () => file.close(),
    }
  }
  const withoutDirectories = bug === 'missing directory fsync'
  return {
    open: (path, mode) => wrapped(disk.open(path, mode)),
    list: (path) => disk.list(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    sizeOf: (path) => disk.sizeOf(path),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    remove: (path, done) => disk.remove(path, done),
    syncDirectory: (path, done) => (withoutDirectories ? done(null) : disk.syncDirectory(path, done)),
    syncDirectoryNow: (path) => (withoutDirectories ? undefined : disk.syncDirectoryNow(path)),
    space: (path) => disk.space(path),
    lock: (path) => disk.lock(path),
  }
}
