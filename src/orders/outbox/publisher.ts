// The publisher: takes events from the log, in order, to the broker, and knows of each part what the broker has and what is stored.

import type { OrdersEnv } from '../env.ts'
import type { Broker } from '../broker/broker.ts'
import type { EventSource, PublisherCheckpoint } from './event-source.ts'

export interface PublisherOptions {
  readonly broker: Broker
  readonly stream: string
  readonly source: EventSource
  readonly env: OrdersEnv
  readonly from: PublisherCheckpoint
}

/** What the publisher tells; read it as often as wanted. By part: E8, stored <= acked <= published. */
export interface PublisherStatus {
  /** `connected`, or what is wrong and what to do. */
  readonly state: string
  readonly isConnected: boolean
  readonly published: readonly number[]
  readonly acked: readonly number[]
  readonly stored: readonly number[]
  /** By name, for metrics; never go down. */
  readonly counters: Readonly<Record<string, number>>
}

export interface PublisherApi {
  start(): void
  status(): PublisherStatus
  /** For the checkpoint file: true at this moment. */
  checkpoint(): PublisherCheckpoint
  /** Publishes this part again from after `pseq`. */
  seek(part: number, pseq: number): void
  close(): Promise<void>
}
