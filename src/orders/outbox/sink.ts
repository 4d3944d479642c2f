// Who carries events out of the node: into a broker, into a database, or nobody.

import type { Checkpoint } from './checkpoint-file.ts'
import type { EventSource } from './event-source.ts'

export interface SinkStatus {
  /** `connected`, or what is wrong and what to do. */
  readonly state: string
  readonly isConnected: boolean
  /** By part, pseq: E8, stored <= acked <= published. */
  readonly published: readonly number[]
  readonly acked: readonly number[]
  readonly stored: readonly number[]
  readonly counters: Readonly<Record<string, number>>
}

export interface Sink {
  start(): void
  readonly status: SinkStatus
  /** A reader from there comes to everything that is not carried yet. */
  readonly checkpoint: Omit<Checkpoint, 'floor'>
  /** This part is carried again from after `pseq`. */
  seek(part: number, pseq: number): void
  /** Goes on with what is durable for so long, if the way is open. */
  close(drainMs: number): Promise<void>
}

export interface SinkParts {
  readonly stream: string
  readonly source: EventSource
  /** Null: none that can be read. */
  readonly from: Checkpoint | null
  /** By part, of the log at the start: pseq of the last event. */
  readonly pseqs: readonly number[]
  /** The status is another one. */
  readonly changed: () => void
}
