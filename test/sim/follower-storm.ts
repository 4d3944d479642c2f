// A log on a simulated disk that is followed while it is written: turns, rotations, compactions that leave some history, full disks, failed
// fsyncs with REOPEN, restarts; from a seed. Three readers look at it:
//
//   the publisher   up to what is durable; history is kept for it: it must get every record once, in order, and never hear 'gone'
//   the watcher     up to what is acknowledged; nothing is kept for it: after 'gone' it must find the oldest record, and miss none behind
//   the historian   backwards and by time, from anywhere
//
// What a follower hands on must be what was appended under that LSN.

import { BaseWriter } from '../../src/aof/base-writer.ts'
import { LogFollower, LogMarks } from '../../src/aof/follower.ts'
import type { Log } from '../../src/aof/log.ts'
import { readLog } from '../../src/aof/read-log.ts'
import type { RecordSink } from '../../src/aof/record-parser.ts'
import { openLogNow } from '../../src/aof/recovery.ts'
import { StockdError } from '../../src/base/error.ts'
import { Random } from '../../src/base/random.ts'
import { SimDisk } from './sim-disk.ts'

const DIRECTORY = '/data'
const START = 1_700_000_000_000

export interface FollowerStormResult {
  readonly published: number
  readonly watched: number
  readonly gone: number
  readonly looks: number
  readonly reopened: number
  readonly compactions: number
}

/** What was appended under an LSN, and when. */
interface Appended {
  readonly text: string
  readonly ms: number
}

export function followerStorm(seed: number): FollowerStormResult {
  const random = new Random(seed)
  const disk = new SimDisk(random.fork('disk'), { shortWrites: random.chance(0.3) ? 0.1 : 0 })
  const policy = random.pick(['always', 'everysec'] as const)
  const segmentBytes = random.pick([600, 2000, 8000])
  const appended: Appended[] = []
  const result = { published: 0, watched: 0, gone: 0, looks: 0, reopened: 0, compactions: 0 }
  let now = START
  let keepFrom = 1
  const fail = (why: string): never => {
    throw new Error(`seed ${seed} (${policy}, segments of ${segmentBytes}): ${why}`)
  }
  const check = (what: string, lsn: number, bytes: Uint8Array, start: Int32Array, end: Int32Array): void => {
    const text = Buffer.from(bytes.subarray(start[1], end[1])).toString('latin1')
    if (appended[lsn - 1]?.text !== text) fail(`${what} got ${text.slice(0, 30)} as LSN ${lsn}`)
  }

  for (let life = 1; life <= 3; life++) {
    const log = open(disk, { now, policy, segmentBytes, keepFrom: () => keepFrom })
    appended.length = log.last
    const shared = new LogMarks(random.pick([1, 300, 65536]))
    const marks = (): LogMarks => (random.chance(0.5) ? shared : new LogMarks(shared.bytes))
    const publisher = new LogFollower(disk, DIRECTORY, marks())
    const watcher = new LogFollower(disk, DIRECTORY, marks())
    publisher.seek(result.published + 1)
    let watched = random.below(log.last + 1)
    watcher.seek(watched + 1)

    const publish = (bytesMax: number): void => {
      const sink: RecordSink = {
        record(bytes, _argc, start, end, lsn) {
          if (lsn <= result.published) return
          if (lsn !== result.published + 1) fail(`the publisher got LSN ${lsn} after ${result.published}`)
          if (lsn > log.durable) fail(`the publisher got LSN ${lsn}, durable are ${log.durable}`)
          check('the publisher', lsn, bytes, start, end)
          result.published = lsn
        },
      }
      const followed = publisher.read(log.durable, sink, bytesMax)
      if (followed === 'gone') fail(`history from LSN ${publisher.nextLsn} was to be kept; the oldest is ${publisher.oldest()}`)
      if (followed === 'end' && result.published < log.durable)
        fail(`the publisher is at its end with ${result.published} of ${log.durable}`)
      keepFrom = result.published + 1
    }
    const watch = (bytesMax: number): void => {
      const sink: RecordSink = {
        record(bytes, _argc, start, end, lsn) {
          if (lsn <= watched) return
          if (lsn !== watched + 1) fail(`the watcher got LSN ${lsn} after ${watched}`)
          check('the watcher', lsn, bytes, start, end)
          watched = lsn
          result.watched++
        },
      }
      const followed = watcher.read(log.acked, sink, bytesMax)
      if (followed === 'end' && watched < log.acked) fail(`the watcher is at its end with ${watched} of ${log.acked}`)
      if (followed !== 'gone') return
      result.gone++
      const oldest = watcher.oldest()
      if (oldest <= watched + 1) fail(`LSN ${watched + 1} is gone, and the oldest is ${oldest}`)
      watched = oldest - 1
      watcher.seek(oldest)
    }
    const lookBack = (): void => {
      const reader = new LogFollower(disk, DIRECTORY, marks())
      const to = random.below(log.acked + 1)
      let wanted = to
      for (let pieces = 0; pieces < 5 && wanted > 0; pieces++) {
        const from = reader.before(wanted + 1)
        if (from === null) {
          if (wanted >= reader.oldest()) fail(`nothing before LSN ${wanted + 1}, and the oldest is ${reader.oldest()}`)
          break
        }
        let expected = 0
        reader.seek(from)
        const followed = reader.read(wanted, {
          record(bytes, _argc, start, end, lsn) {
            if (expected === 0 && lsn > from) fail(`reading back began with LSN ${lsn}, not ${from}`)
            expected = lsn + 1
            check('reading back', lsn, bytes, start, end)
          },
        })
        if (followed !== 'end' || expected <= wanted) fail(`reading ${from}..${wanted} came to LSN ${expected - 1} (${followed})`)
        wanted = from - 1
      }
      const ms = now - random.below(5000)
      const at = reader.lsnAt(ms)
      const first = appended.findIndex((record, i) => i < log.acked && record.ms >= ms) + 1
      if (first > 0 && at > Math.max(first, reader.oldest())) fail(`lsnAt(${ms}) is ${at}, but LSN ${first} is from then on`)
      reader.close()
      result.looks++
    }

    for (let turn = random.between(20, 150); turn > 0; turn--) {
      now += random.pick([0, 1, 20, 300, 1100])
      if (log.refusal() === null) {
        for (let n = random.between(0, 4); n > 0; n--) {
          const text = `${log.last + 1}.${life}.${'x'.repeat(random.chance(0.1) ? random.below(900) : random.below(40))}`
          const bytes = Buffer.from(`*2\r\n$4\r\nNOTE\r\n$${text.length}\r\n${text}\r\n`)
          appended.push({ text, ms: now })
          log.append(bytes, bytes.length, 1, now)
        }
        log.write()
      }
      for (let n = random.below(4); n > 0; n--) disk.complete()
      if (random.chance(0.03)) disk.failNext('sync', 'EIO')
      if (random.chance(0.03)) disk.failNext('write', random.pick(['EIO', 'ENOSPC']))
      if (random.chance(0.02)) disk.failNext('truncate', 'EIO')
      if (random.chance(0.1)) log.rotate(() => {})
      if (random.chance(0.08) && compact(disk, log)) result.compactions++
      if (log.phase === 'failed' && random.chance(0.4)) {
        log.reopen((error) => (result.reopened += error === null ? 1 : 0))
        disk.completeAll()
      }
      log.tick(now)
      if (random.chance(0.4)) publish(random.pick([1, 500, Infinity]))
      if (random.chance(0.4)) watch(random.pick([1, 500, Infinity]))
      if (random.chance(0.1)) lookBack()
    }
    disk.clearFaults()
    for (let n = 0; n < 20 && (log.phase !== 'open' || log.durable < log.last); n++) {
      now += 1000
      log.reopen(() => {})
      log.tick(now)
      disk.completeAll()
    }
    publish(Infinity)
    watch(Infinity)
    if (log.last !== result.published) fail(`${log.last} records, ${result.published} published, phase ${log.phase}`)
    publisher.close()
    watcher.close()
    disk.crash('kill')
    disk.restart()
  }
  return result
}

function open(
  disk: SimDisk,
  { now, policy, segmentBytes, keepFrom }: { now: number; policy: 'always' | 'everysec'; segmentBytes: number; keepFrom: () => number },
): Log {
  return openLogNow({
    disk,
    directory: DIRECTORY,
    holder: { pid: 1, host: 'sim', bootId: '-', startedAt: String(now), version: '0' },
    newNodeId: 'node',
    now,
    log: { policy, segmentBytes, minFreeBytes: 0 },
    sink: { record() {} },
    events: {
      onAcked() {},
      onFailed() {},
      sealDigest: () => 'd',
      onNote() {},
      onFatal(error) {
        throw error
      },
      keepFrom,
    },
  }).log
}

/** The base says nothing but how far it reaches: nobody reads it here. */
function compact(disk: SimDisk, log: Log): boolean {
  const upTo = log.sealedUpTo
  if (upTo === null || log.phase !== 'open') return false
  let writer: BaseWriter | null = null
  try {
    const reading = readLog({ disk, directory: DIRECTORY, manifest: log.manifest, upToSegment: upTo.seq, sink: { record() {} } })
    let step = reading.next()
    while (step.done !== true) step = reading.next()
    const { last, chain, time } = step.value
    writer = new BaseWriter({ disk, directory: DIRECTORY, seq: log.takeBaseSeq(), nodeId: log.nodeId, last, chain, time })
    log.installBase(writer.finish('d'), () => {})
    return true
  } catch (error) {
    if (error instanceof StockdError) throw error
    writer?.abandon()
    return false
  }
}
