// A log on a simulated disk, with everything it says collected.

import { Random } from '../../../src/base/random.ts'
import { LOG_DIRECTORY } from '../../../src/aof/format/file-names.ts'
import type { Inspection } from '../../../src/aof/inspection.ts'
import type { Log, LogOptions } from '../../../src/aof/log.ts'
import { openLogNow } from '../../../src/aof/recovery.ts'
import { SimDisk } from '../../sim/sim-disk.ts'

export const DIRECTORY = '/data'
export const NODE_ID = '0b0e5f0e-0000-4000-8000-000000000001'
export const START = 1_700_000_000_000

export class LogRig {
  readonly disk: SimDisk
  readonly log: Log
  readonly inspection: Inspection | null
  /** What was read at the start: `KEY value` per record. */
  readonly found: string[]
  readonly notes: string[] = []
  readonly failures: { from: number; to: number; message: string }[] = []
  fatal: Error | null = null
  ackedCalls = 0
  keepFrom = Infinity
  now = START

  constructor(disk: SimDisk = new SimDisk(new Random(1)), options: Partial<LogOptions> = {}) {
    this.disk = disk
    const found: string[] = []
    const opened = openLogNow({
      disk,
      directory: DIRECTORY,
      holder: { pid: 4711, host: 'here', bootId: 'b', startedAt: 'then', version: '0.1.0' },
      newNodeId: NODE_ID,
      now: START,
      log: { minFreeBytes: 0, ...options },
      sink: {
        record(bytes, argc, start, end) {
          found.push(Array.from({ length: argc }, (_, i) => Buffer.from(bytes.subarray(start[i], end[i])).toString('latin1')).join(' '))
        },
      },
      events: {
        onAcked: () => this.ackedCalls++,
        onFailed: (from, to, message) => this.failures.push({ from, to, message }),
        sealDigest: () => `digest${this.log.last}`,
        onNote: (level, message) => this.notes.push(`${level}: ${message}`),
        onFatal: (error) => (this.fatal = error),
        keepFrom: () => this.keepFrom,
      },
    })
    this.log = opened.log
    this.inspection = opened.inspection
    this.found = found
  }

  /** Appends records without writing them. */
  append(...names: string[]): void {
    for (const name of names) {
      const bytes = recordOf(name)
      this.log.append(bytes, bytes.length, 1, this.now)
    }
  }

  /** One turn. */
  turn(...names: string[]): void {
    this.append(...names)
    this.log.write()
  }

  pass(ms: number): void {
    this.now += ms
    this.log.tick(this.now)
  }

  /** Until the device has nothing more to do. */
  settle(): void {
    this.disk.completeAll()
  }

  close(): Error | null {
    let result: Error | null | undefined
    this.log.close((error) => (result = error))
    this.settle()
    if (result === undefined) throw new Error('close does not end')
    return result
  }

  rotate(): void {
    let done = false
    this.log.rotate(() => (done = true))
    this.settle()
    if (!done) throw new Error('rotate does not end')
  }

  file(name: string): Buffer {
    const bytes = this.disk.files().get(`${DIRECTORY}/${LOG_DIRECTORY}/${name}`)
    if (bytes === undefined) throw new Error(`no ${name}`)
    return bytes
  }

  names(): string[] {
    return this.disk.list(`${DIRECTORY}/${LOG_DIRECTORY}`)
  }
}

export function recordOf(name: string): Buffer {
  return Buffer.from(`*2\r\n$4\r\nNOTE\r\n$${Buffer.byteLength(name)}\r\n${name}\r\n`)
}

/** The same disk after kill -9 (`kill`) or a power cut that takes everything unsynced ('power'). */
export function afterCrash(rig: LogRig, kind: 'kill' | 'power', options: Partial<LogOptions> = {}): LogRig {
  rig.disk.crash(kind)
  rig.disk.restart()
  return new LogRig(rig.disk, options)
}

export const path = (name: string): string => `${DIRECTORY}/${LOG_DIRECTORY}/${name}`
