// A log in a directory of its own, written or repaired by the tool, closed cleanly.

import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { FileDisk } from '../../aof/file-disk.ts'
import type { Log } from '../../aof/log.ts'
import type { RecordSink } from '../../aof/record-parser.ts'
import { openLogNow, type OpenedLog } from '../../aof/recovery.ts'
import { StockdError } from '../../base/error.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import type { Console } from '../console.ts'

/**
 * Lets `write` fill a directory that is not there yet, or empty. When it cannot be finished, what it has written goes: a node would start on
 * half a log as if it were the whole.
 */
export async function inNewDirectory<T>(target: string, write: () => Promise<T>): Promise<T> {
  const isThere = existsSync(target)
  if (isThere && readdirSync(target).length > 0)
    throw new StockdError('BAD_DIRECTORY', `${target} is not empty: the tool writes only new directories`)
  try {
    return await write()
  } catch (error) {
    if (!isThere) rmSync(target, { recursive: true, force: true })
    else for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true })
    throw error
  }
}

export function openForWriting(directory: string, sink: RecordSink, sealDigest: () => string, out: Console): OpenedLog {
  return openLogNow({
    disk: new FileDisk({ unsafeNoLock: true }),
    directory,
    holder: {
      pid: process.pid,
      host: hostname(),
      bootId: '-',
      startedAt: new Date().toISOString(),
      version: `${STOCKD_VERSION} (stockd-aof)`,
    },
    newNodeId: randomUUID(),
    now: Date.now(),
    sink,
    allowNetworkFileSystem: true,
    log: { policy: 'no', minFreeBytes: 0 },
    events: {
      onAcked: () => {},
      onFailed: (_from, _to, message) => out.error(message),
      sealDigest,
      onNote: (_level, message) => out.note(message),
      onFatal: (error) => {
        throw error
      },
    },
  })
}

/** Everything synced, the last line written. */
export async function closeLog(log: Log): Promise<void> {
  await new Promise<void>((resolve, reject) => log.close((error) => (error === null ? resolve() : reject(error))))
}
