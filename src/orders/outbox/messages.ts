// What the node's thread and the outbox's say to each other. The types are what a node expects of its feed (server/event-feed.ts), which this
// room does not know: `cli` puts both together.

import { EVENT_TYPES, type OutboxEvent } from '../../engine/events/event.ts'
import type { Level } from '../env.ts'

export interface StreamId {
  readonly ms: number
  readonly lsn: number
}

export interface StreamEntry extends StreamId {
  readonly event: OutboxEvent
}

export interface StreamRange {
  readonly from: StreamId
  readonly to: StreamId
  readonly count: number
  readonly isReverse: boolean
}

export interface StreamSummary {
  readonly length: number
  readonly first: StreamEntry | null
  readonly last: StreamEntry | null
}

export interface OutboxStatus {
  readonly sink: 'none' | 'sqlite' | 'amqp'
  readonly state: string
  readonly isConnected: boolean
  readonly published: readonly number[]
  readonly acked: readonly number[]
  readonly stored: readonly number[]
  readonly storedLsn: number
  readonly storedTime: number
  readonly keepFrom: number
  readonly backlogBytes: number
  readonly backlogBytesMax: number
  readonly lagMs: number
  readonly cpuMicros: number
  readonly counters: Readonly<Record<string, number>>
}

export interface AmqpTarget {
  readonly kind: 'amqp'
  readonly urls: string
  readonly prefix: string
  /** Empty: by the prefix. */
  readonly exchange: string
  readonly queueBytesMax: number
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

/** Where events go. */
export type Target = { readonly kind: 'none' } | { readonly kind: 'sqlite'; readonly file: string } | AmqpTarget

/** What a worker is made with. */
export interface OutboxOrder {
  /** The node's data directory. */
  readonly directory: string
  readonly stream: string
  readonly target: Target
  /** Of the log when this thread was started: LSN of the last record, pseq of each part's last event. */
  readonly lastLsn: number
  readonly pseqs: readonly number[]
  readonly historyMs: number
  /** -1: a tenth, or half, of the disk. */
  readonly historyBytes: number
  readonly backlogBytes: number
  readonly progress: SharedArrayBuffer
}

export type ToOutbox =
  /** `acked`: as of the question. What has come since is news. */
  | { readonly kind: 'range'; readonly id: number; readonly acked: number; readonly range: StreamRange }
  | { readonly kind: 'summary'; readonly id: number; readonly acked: number }
  | { readonly kind: 'seek'; readonly part: number; readonly pseq: number }
  | { readonly kind: 'close'; readonly drainMs: number }

export type FromOutbox =
  | { readonly kind: 'status'; readonly status: OutboxStatus }
  | { readonly kind: 'entries' }
  | { readonly kind: 'range'; readonly id: number; readonly entries: PackedEntries }
  | { readonly kind: 'summary'; readonly id: number; readonly length: number; readonly ends: PackedEntries }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
  | { readonly kind: 'say'; readonly level: Level; readonly message: string; readonly details: Readonly<Record<string, Fact>> }

export type Fact = string | number | boolean

/** Entries as few large pieces of memory, which change hands instead of being copied one by one. */
export interface PackedEntries {
  /** Of each: ms, lsn, part, pseq, type (its place in EVENT_TYPES), time, where its body ends. */
  readonly numbers: Float64Array<ArrayBuffer>
  readonly bodies: Uint8Array<ArrayBuffer>
}

const NUMBERS = 7

export function pack(entries: readonly StreamEntry[]): PackedEntries {
  const numbers = new Float64Array(entries.length * NUMBERS)
  let bytes = 0
  for (const { event } of entries) bytes += event.body.length
  const bodies = new Uint8Array(bytes)
  let end = 0
  entries.forEach(({ ms, lsn, event }, i) => {
    bodies.set(event.body, end)
    end += event.body.length
    numbers.set([ms, lsn, event.part, event.pseq, EVENT_TYPES.indexOf(event.type), event.time, end], i * NUMBERS)
  })
  return { numbers, bodies }
}

export function unpack({ numbers, bodies }: PackedEntries): StreamEntry[] {
  const entries: StreamEntry[] = []
  let from = 0
  for (let i = 0; i < numbers.length; i += NUMBERS) {
    const [ms, lsn, part, pseq, type, time, end] = numbers.subarray(i, i + NUMBERS)
    const body = Buffer.from(bodies.buffer, from, end - from)
    entries.push({ ms, lsn, event: { lsn, part, pseq, type: EVENT_TYPES[type], time, body } })
    from = end
  }
  return entries
}
