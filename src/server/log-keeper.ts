// The log in a running node: the turn appends to it, the beat ticks it, commands look at it, and when it has grown it is compacted.

import type { Log } from '../aof/log.ts'
import type { Lsn, Millis } from '../base/brand.ts'
import { StockdError } from '../base/error.ts'
import { Compaction } from './compaction.ts'
import type { CompactionStart, FsyncPolicy, LogOwner, NodeLog } from './node-log.ts'

export class LogKeeper implements NodeLog {
  lastSyncAt: number
  readonly #log: Log
  readonly #owner: LogOwner
  readonly #compaction: Compaction
  #syncs: number

  constructor({ log, owner }: { log: Log; owner: LogOwner }) {
    this.#log = log
    this.#owner = owner
    this.#compaction = new Compaction({ log, owner })
    this.#syncs = log.syncs
    this.lastSyncAt = owner.env.clock.now()
  }

  // The turn.

  get last(): Lsn {
    return this.#log.last as Lsn
  }

  get acked(): Lsn {
    return this.#log.acked as Lsn
  }

  append(bytes: Buffer, length: number, records: number, now: Millis): Lsn {
    return this.#log.append(bytes, length, records, now) as Lsn
  }

  write(): void {
    this.#log.write()
    this.#owner.progressed()
  }

  refusal(): string | null {
    return this.#log.refusal()
  }

  // The node.

  tick(now: Millis): void {
    const { values } = this.#owner.options
    this.#log.options.minFreeBytes = values['aof-min-free']
    this.#log.options.onSyncError = values['aof-on-fsync-error']
    this.#log.options.syncsUnasked = this.#owner.isDurabilityWanted()
    this.#log.tick(now)
    this.#owner.progressed()
    if (this.#log.syncs !== this.#syncs) {
      this.#syncs = this.#log.syncs
      this.lastSyncAt = now
    }
    this.#compaction.tick(now)
  }

  setPolicy(policy: FsyncPolicy): void {
    this.#log.setPolicy(policy)
  }

  compact(): CompactionStart {
    return this.#compaction.start()
  }

  reopen(): string | null {
    let refused: string | null = null
    let isStarting = true
    this.#log.reopen((error) => {
      if (error === null) this.#owner.env.say('notice', `the log is open again: everything up to LSN ${this.#log.durable} is durable`)
      else if (isStarting) refused = `MISCONF the log stays as it is: ${error.message}`
      else this.#owner.env.say('warning', `the log stays as it is: ${error.message}`)
    })
    isStarting = false
    return refused
  }

  async close(durably: boolean): Promise<void> {
    await this.#compaction.stop()
    // Without `durably` the process just ends: what was written is in the kernel's hands, as after kill -9.
    if (!durably) return
    await new Promise<void>((resolve, reject) => {
      this.#log.close((error) => {
        if (error === null) resolve()
        else reject(error instanceof StockdError ? error : new StockdError('LOG_WRITE', error.message, { cause: error }))
      })
    })
  }

  // Figures.

  get nodeId(): string {
    return this.#log.nodeId
  }

  get epoch(): number {
    return this.#log.epoch
  }

  get written(): Lsn {
    return this.#log.written as Lsn
  }

  get durable(): Lsn {
    return this.#log.durable as Lsn
  }

  get segment(): number {
    return this.#log.manifest.entries.at(-1)?.seq ?? 0
  }

  get segments(): number {
    return this.#log.manifest.entries.filter((entry) => entry.type === 'i').length
  }

  get sizeBytes(): number {
    return this.#log.baseBytes + this.#log.logBytes
  }

  get baseBytes(): number {
    return this.#compaction.sizeBytesThen
  }

  get pendingBytes(): number {
    return this.#log.pendingBytes
  }

  get isSyncing(): boolean {
    return this.#log.syncInFlight
  }

  get delayedSyncs(): number {
    return 0
  }

  get isCompacting(): boolean {
    return this.#compaction.isRunning
  }

  get compactions(): number {
    return this.#compaction.count
  }

  get lastCompactionFailed(): boolean {
    return this.#compaction.lastFailed
  }

  get lastCompactionSeconds(): number {
    return this.#compaction.lastSeconds
  }
}
