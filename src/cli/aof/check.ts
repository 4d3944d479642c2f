// stockd-aof check: reads everything, replays it, and says what a start would do. Changes nothing, and needs no lock.

import { FileDisk } from '../../aof/file-disk.ts'
import { LOCK_FILE } from '../../aof/format/file-names.ts'
import { unlistedFiles, type CorruptionReport, type Inspection } from '../../aof/inspection.ts'
import { StockdError } from '../../base/error.ts'
import type { Console } from '../console.ts'
import { EXIT_CORRUPT, EXIT_OK, EXIT_SEMANTIC, EXIT_TORN } from './exit-codes.ts'
import { replayAll } from './replay.ts'

export function check(directory: string, out: Console): number {
  const isInUse = inUse(directory)
  try {
    const { engine, found } = replayAll(directory, out)
    return tell(directory, out, found, { isInUse, digest: engine.digest() })
  } catch (error) {
    if (!(error instanceof StockdError)) throw error
    if (error.code !== 'LOG_CORRUPT' && error.code !== 'LOG_SEMANTIC') throw error
    const isCorrupt = error.code === 'LOG_CORRUPT'
    const report = isCorrupt ? (error.cause as CorruptionReport | undefined) : undefined
    out.result(`${isCorrupt ? 'CORRUPT' : 'CONTRADICTION'}: ${error.message}`, {
      status: isCorrupt ? 'corrupt' : 'semantic',
      directory,
      message: error.message,
      ...report,
    })
    return isCorrupt ? EXIT_CORRUPT : EXIT_SEMANTIC
  }
}

function tell(directory: string, out: Console, found: Inspection, { isInUse, digest }: { isInUse: boolean; digest: string }): number {
  const { damage } = found
  const unlisted = unlistedFiles(new FileDisk(), directory, found.manifest)
  // The end of a log that is being written is a batch that is being written.
  const isMoving = isInUse && damage?.kind === 'torn'
  const status = damage === null || isMoving ? 'ok' : 'torn'
  const lines = [
    `${found.records - (found.base?.records ?? 0)} records in ${found.segments.length} ${found.segments.length === 1 ? 'segment' : 'segments'}${found.base === null ? '' : ` behind a base of ${found.base.records} records`}, ${found.bytes} bytes`,
    `last LSN ${found.last}, digest ${digest}, ${isInUse ? 'in use' : found.clean ? 'closed cleanly' : 'not closed'}`,
    ...unlisted.map(
      (file) =>
        `${file.name} is not in the manifest: a start will ${file.action === 'delete' ? 'delete it, nothing is lost' : 'move it to quarantine'}`,
    ),
  ]
  if (damage !== null && !isMoving) {
    lines.push(
      `${damage.kind === 'torn' ? 'TORN TAIL' : 'UNSYNCED BATCHES OUT OF ORDER'}: ${damage.name} at byte ${damage.offset}: ${damage.problem}`,
      `${damage.bytes} bytes from LSN ${damage.from} on, none of them known to be durable: a start cuts them and keeps them in quarantine`,
    )
  } else lines.push('OK')
  const { last, records, bytes, clean } = found
  out.result(lines.join('\n'), {
    status,
    directory,
    last,
    records,
    bytes,
    clean,
    inUse: isInUse,
    digest,
    segments: found.segments.length,
    damage,
    unlisted,
  })
  return status === 'ok' ? EXIT_OK : EXIT_TORN
}

function inUse(directory: string): boolean {
  const disk = new FileDisk({ unsafeNoLock: true })
  const path = `${directory}/${LOCK_FILE}`
  if (disk.sizeOf(path) < 0) return false
  const lock = disk.lock(path)
  lock?.release()
  return lock === null
}
