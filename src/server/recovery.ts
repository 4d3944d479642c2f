// The start of a node's log: lock the directory, replay what it holds into the engine, and keep the log from then on.
//
// Replay restates facts: the engine checks each record against the numbers in it, and at each seal its digest against the one that was
// taken when it was written. What does not agree is not repaired: the node does not start.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Disk } from '../aof/disk.ts'
import type { Holder } from '../aof/directory.ts'
import { FileDisk } from '../aof/file-disk.ts'
import type { LoadProgress } from '../aof/inspection.ts'
import { openLog as openAof } from '../aof/recovery.ts'
import type { OpenedLog } from '../aof/recovery.ts'
import { millis } from '../base/brand.ts'
import type { Log } from '../aof/log.ts'
import { DiskBetweenTurns } from './disk-between-turns.ts'
import { LogKeeper } from './log-keeper.ts'
import type { LogOwner, NodeLog } from './node-log.ts'
import { NO_DIGEST, ReplaySink } from './replay-sink.ts'
import { SyncPace } from './sync-pace.ts'
import { STOCKD_VERSION } from './version.ts'

/** How long the loading may keep the process from hearing signals. */
const PIECE_MS = 100
const PROGRESS_SAID_MS = 2000

/** Opens the log of `dir` on the real disk. */
export function openLog(owner: LogOwner): Promise<NodeLog> {
  return openLogOn(
    new FileDisk({ unsafeNoLock: owner.options.values['unsafe-no-lock'] }),
    owner,
    new SyncPace(owner.env, () => owner.options.values.appendfsync === 'always'),
  )
}

/** @param pace null: every fsync is given away, and the next begins at once, as a simulation wants it */
export async function openLogOn(realDisk: Disk, owner: LogOwner, pace: SyncPace | null = null): Promise<NodeLog> {
  const { options, env, engine } = owner
  const { values } = options
  const disk = new DiskBetweenTurns(realDisk, owner, pace)
  const began = env.clock.now()
  let log: Log | null = null
  const opening = openAof({
    disk,
    directory: values.dir,
    holder: holder(began),
    newNodeId: randomUUID(),
    now: began,
    sink: new ReplaySink(engine),
    allowNetworkFileSystem: values['allow-network-fs'],
    ballastBytes: values['aof-ballast'],
    log: {
      policy: values.appendfsync,
      onSyncError: values['aof-on-fsync-error'],
      segmentBytes: values['aof-segment-size'],
      minFreeBytes: values['aof-min-free'],
    },
    events: {
      onAcked: () => owner.acked(),
      onFailed: (from, to, message) => owner.failed(from, to, message),
      // In the midst of a turn the state is ahead of the log: then there is no digest to tell.
      sealDigest: () => (engine.journal.records > 0 ? NO_DIGEST : engine.sealDigest()),
      onNote: (level, message) => env.say(level === 'info' ? 'notice' : 'warning', message),
      onFatal: (error) => owner.fatal(error),
      keepFrom: () => owner.keepFrom(),
      // A commit may turn to the next segment, which takes a digest: only between turns is the state that of the last record.
      ...(pace !== null && { gather: (commit: () => void) => pace.gather(log!, () => owner.between(commit)) }),
    },
  })
  const opened = await load(opening, owner)
  log = opened.log
  env.startNoEarlierThan(millis(opened.time))
  const ms = env.clock.now() - began
  const { inspection } = opened
  if (inspection === null) env.say('notice', `new log in ${values.dir}`)
  else {
    const how = inspection.clean ? 'closed cleanly' : inspection.damage === null ? 'not closed, undamaged' : 'not closed, its end was cut'
    env.say('notice', `log loaded: ${how}`, { records: inspection.records, bytes: inspection.bytes, lsn: opened.log.last, ms })
  }
  return new LogKeeper({ log: opened.log, owner })
}

/** Runs the recovery in pieces, so that signals are heard, and says how far it is. */
async function load(opening: Generator<LoadProgress, OpenedLog>, { env }: LogOwner): Promise<OpenedLog> {
  let pieceBegan = env.clock.now()
  let saidAt = pieceBegan
  for (;;) {
    const step = opening.next()
    if (step.done === true) return step.value
    const now = env.clock.now()
    if (now - saidAt >= PROGRESS_SAID_MS) {
      saidAt = now
      const { bytes, bytesTotal, records } = step.value
      env.say('notice', `loading the log: ${Math.floor((100 * bytes) / Math.max(1, bytesTotal))} %`, { bytes, records })
    }
    if (now - pieceBegan >= PIECE_MS) {
      await new Promise<void>((resolve) => env.endOfTurn(resolve))
      pieceBegan = env.clock.now()
    }
  }
}

/** Who holds the directory: what the next one who wants it is told. */
function holder(now: number): Holder {
  return { pid: process.pid, host: hostname(), bootId: bootId(), startedAt: new Date(now).toISOString(), version: STOCKD_VERSION }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return '-'
  }
}
