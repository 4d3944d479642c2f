// The log as the node and its commands see it: what a turn needs, what INFO shows, and how it is opened.

import type { Lsn, Millis } from '../base/brand.ts'
import type { Engine } from '../engine/engine.ts'
import type { Env } from './env.ts'
import type { Options } from './options.ts'
import type { TurnLog } from './turn.ts'

export type CompactionStart = 'started' | 'running' | 'no_log' | 'refused'
export type FsyncPolicy = 'always' | 'everysec' | 'no'

export interface NodeLog extends TurnLog {
  readonly nodeId: string
  readonly epoch: number
  readonly written: Lsn
  readonly durable: Lsn
  readonly segment: number
  readonly segments: number
  readonly sizeBytes: number
  /** Size of the log when it was last compacted, or at the start. */
  readonly baseBytes: number
  /** Records that wait to be written. */
  readonly pendingBytes: number
  readonly isSyncing: boolean
  readonly delayedSyncs: number
  /** Unix ms of the last fsync that succeeded. */
  readonly lastSyncAt: number

  readonly isCompacting: boolean
  readonly compactions: number
  readonly lastCompactionFailed: boolean
  readonly lastCompactionSeconds: number

  /** Once a beat: everysec's fsync, rotation, free space, compaction when the log has grown. */
  tick(now: Millis): void
  setPolicy(policy: FsyncPolicy): void
  compact(): CompactionStart
  /** STOCK.AOF REOPEN, after a disk error: goes on in a new segment. @returns the error reply that says why not, or null */
  reopen(): string | null
  /** @param durably make everything durable first. Throws StockdError LOG_WRITE if that fails. */
  close(durably: boolean): Promise<void>
}

export interface LogOwner {
  readonly options: Options
  readonly env: Env
  /** Empty; gets the log's records by `replay`. */
  readonly engine: Engine
  /** `acked` got further. */
  acked(): void
  /** `acked` or `durable` may have got further. Called after each write and in every beat. */
  progressed(): void
  /** The oldest LSN that somebody still reads: segments from there on are kept when the log is compacted. */
  keepFrom(): number
  /** Somebody waits for records to be durable, whatever the policy says about replies. */
  readonly isDurabilityWanted: () => boolean
  failed(from: number, to: number, message: string): void
  /** True while a turn is open. */
  readonly isInTurn: () => boolean
  /** Runs this between two turns: now, or when the open one has ended. */
  between(run: () => void): void
  /** The process must end. */
  fatal(error: Error): void
}

/** Locks, recovers and opens the log of a directory; throws StockdError. */
export type OpenLog = (owner: LogOwner) => Promise<NodeLog>
