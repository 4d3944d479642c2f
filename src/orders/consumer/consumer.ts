// The consumer: takes the events of 16 parts from the broker and puts them into the store, exactly once in effect, beside others like it.
//
// It owns no truth. Which events are stored is in the store's cursors, which come first in the broker is the broker's affair, and what is
// missing is in the node's log: so it may be killed at any point, run twice, and start over after every accident.

import { PARTS } from '../../engine/outbox.ts'
import type { Broker, ConsumeChannel } from '../broker/broker.ts'
import type { OrdersEnv } from '../env.ts'
import type { Store, StreamPart } from '../store/store.ts'
import type { WriteOutcome } from './batch-writer.ts'
import { Membership } from './membership.ts'
import { PartReader, READER_TIMES } from './part-reader.ts'
import type { ReaderPhase, ReaderTimes } from './part-reader.ts'
import { Slots } from './slots.ts'

export interface ConsumerTimes extends ReaderTimes {
  /** Who has not said for so long that he lives is not counted among the consumers. */
  readonly leaseMs: number
  /** How often the nodes are told what is stored. */
  readonly feedbackMs: number
  /** A part that nobody takes although it was handed over is kept for so long before that is tried again. */
  readonly keepMs: number
}

export const CONSUMER_TIMES: ConsumerTimes = { ...READER_TIMES, leaseMs: 10_000, feedbackMs: 1_000, keepMs: 300_000 }

export interface ConsumerOptions {
  readonly broker: Broker
  readonly store: Store
  readonly env: OrdersEnv
  /** Unique among the consumers of a store. */
  readonly name: string
  /** Events of one transaction, at most. */
  readonly batch: number
  /** Unacked deliveries of one part that the broker gives at most. */
  readonly prefetch: number
  /** Transactions at once. */
  readonly connections: number
  readonly times?: Partial<ConsumerTimes>
  /** A bug: the consumer stores no more of at least one part. */
  readonly onFatal: (error: unknown) => void
}

/** What metrics and the progress line read. Numbers only go up. */
export interface ConsumerCounters {
  received: number
  stored: number
  /** Redelivered or published again, and dropped because the store has them. */
  seen: number
  /** Came before one that was missing. */
  early: number
  dead: number
  batches: number
  /** Events that were not what is stored under their number. */
  conflicts: number
  marks: number
  markDifferences: number
}

export interface PartStatus {
  readonly part: number
  readonly phase: ReaderPhase
  readonly circuit: 'closed' | 'open' | 'half-open'
  /** In words; null: nobody has to decide anything. */
  readonly halted: string | null
  /** Deliveries here that are not acked. */
  readonly waiting: number
  /** Age of the oldest event that waits here. */
  readonly lagMs: number
  /** Unix ms; 0: never. */
  readonly lastStoredAt: number
}

export interface ConsumerStatus {
  readonly isConnected: boolean
  /** `connected`, or what is wrong with the broker. */
  readonly broker: string
  /** `writing`, or what is wrong with the database. */
  readonly store: string
  readonly consumers: readonly string[]
  readonly parts: readonly PartStatus[]
  readonly unreadable: number
  readonly retries: number
  readonly seeks: number
  readonly halts: number
  /** From an event to its row, ms, of the batch that was stored last. */
  readonly endToEndMs: number
}

export class Consumer {
  readonly #options: ConsumerOptions
  readonly #env: OrdersEnv
  readonly #times: ConsumerTimes
  readonly #readers: readonly PartReader[]
  readonly #membership: Membership
  /** By stream, then part. */
  readonly #cursors = new Map<string, number[]>()
  readonly #toldAt = new Map<string, number>()
  readonly counters: ConsumerCounters = {
    ...{ received: 0, stored: 0, seen: 0, early: 0, dead: 0, batches: 0, conflicts: 0, marks: 0, markDifferences: 0 },
  }
  #channel: ConsumeChannel | null = null
  #brokerState = 'not connected yet'
  #endToEndMs = 0
  #isStopped = false
  readonly #cancels = new Set<() => void>()

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#env = options.env
    this.#times = { ...CONSUMER_TIMES, ...options.times }
    const { store, batch, prefetch, onFatal } = options
    const slots = new Slots(options.connections)
    const limited = {
      name: store.name,
      apply: (events: Parameters<Store['apply']>[0]) => slots.run(() => store.apply(events)),
      probe: (part?: number) => store.probe(part),
      cursors: () => store.cursors(),
    }
    const env = calm(options.env)
    const onOutcome = (at: StreamPart, outcome: WriteOutcome, lagMs: number): void => this.#onOutcome(at, outcome, lagMs)
    this.#readers = Array.from(
      { length: PARTS },
      (_, part) => new PartReader({ part, store: limited, env, times: this.#times, batch, prefetch, onOutcome, onFatal }),
    )
    this.#membership = new Membership({ store, env: options.env, name: options.name, leaseMs: this.#times.leaseMs })
  }

  start(): void {
    this.#options.broker.consumer({
      onReady: (channel) => {
        this.#channel = channel
        this.#brokerState = 'connected'
        this.#env.say('notice', 'connected to the broker', { broker: this.#options.broker.name })
        for (const reader of this.#readers) reader.onReady(channel)
        this.#beat().catch(this.#options.onFatal)
      },
      onDelivery: (delivery) => {
        this.counters.received++
        this.#readers[delivery.part].onDelivery(delivery)
      },
      onCancelled: (part) => this.#readers[part].onCancelled(),
      onLost: (reason) => {
        if (this.#brokerState !== reason) this.#env.say('warning', `no broker, trying again for ever: ${reason}`)
        this.#channel = null
        this.#brokerState = reason
        for (const reader of this.#readers) reader.onLost()
      },
    })
    this.#repeat(this.#times.leaseMs / 3, () => this.#beat())
    this.#repeat(this.#times.feedbackMs, () => this.#tellStored())
  }

  /** Ends when the batches in hand are stored and acked. The broker and the store stay open. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const cancel of this.#cancels) cancel()
    await Promise.all(this.#readers.map((reader) => reader.stop()))
    // What these last batches have stored, so that the node need not wait for another consumer to say so.
    await this.#tellStored()
  }

  get status(): ConsumerStatus {
    const sum = (of: (reader: PartReader) => number): number => this.#readers.reduce((total, reader) => total + of(reader), 0)
    const trouble = this.#readers.map((reader) => reader.circuit).find((circuit) => circuit.phase !== 'closed')
    return {
      isConnected: this.#channel !== null,
      broker: this.#brokerState,
      store: trouble === undefined ? 'writing' : trouble.error.message,
      consumers: this.#membership.names,
      parts: this.#readers.map((reader) => ({
        part: reader.part,
        phase: reader.phase,
        circuit: reader.circuit.phase,
        halted: reader.halted,
        waiting: reader.waiting,
        lagMs: reader.lagMs(),
        lastStoredAt: reader.lastStoredAt,
      })),
      unreadable: sum((reader) => reader.unreadable),
      retries: sum((reader) => reader.retries),
      seeks: sum((reader) => reader.seeks),
      halts: sum((reader) => reader.halts),
      endToEndMs: this.#endToEndMs,
    }
  }

  /** Last known, by stream and part; 0: none. */
  get cursors(): ReadonlyMap<string, readonly number[]> {
    return this.#cursors
  }

  /** Messages that wait in the broker, by part; null: it is not connected, or does not say. */
  async depths(): Promise<readonly number[] | null> {
    try {
      return (await this.#channel?.depths()) ?? null
    } catch {
      return null
    }
  }

  #onOutcome(at: StreamPart, outcome: WriteOutcome, lagMs: number): void {
    const { counters } = this
    counters.batches++
    counters.stored += outcome.stored
    counters.seen += outcome.seen
    counters.early += outcome.early
    counters.dead += outcome.dead.length
    if (outcome.conflict !== null) counters.conflicts++
    if (outcome.stored > 0) this.#endToEndMs = lagMs
    for (const { stream, mark, differences } of outcome.marks) {
      counters.marks++
      counters.markDifferences += differences.length
      for (const difference of differences) {
        this.#env.say('warning', `ALARM: the database differs from the node at an audit mark: ${difference}`, { stream, mark })
      }
    }
    this.#remember(at, outcome.cursor)
    // A node that sells little hears of it at once; one that sells much within a second.
    const now = this.#env.monotonic()
    const key = `${at.stream}/${at.part}`
    if (outcome.stored === 0 || now - (this.#toldAt.get(key) ?? -Infinity) < this.#times.feedbackMs) return
    this.#toldAt.set(key, now)
    this.#channel?.feedback({ kind: 'stored', stream: at.stream, cursors: [{ part: at.part, pseq: outcome.cursor }] })
  }

  #remember(at: StreamPart, pseq: number): void {
    let cursors = this.#cursors.get(at.stream)
    if (cursors === undefined) {
      cursors = Array.from({ length: PARTS }, () => 0)
      this.#cursors.set(at.stream, cursors)
    }
    cursors[at.part] = pseq
  }

  /** Read from the store each time: a database that was restored from a backup knows less than this process remembers. */
  async #tellStored(): Promise<void> {
    if (this.#channel === null) return
    let cursors
    try {
      cursors = await this.#options.store.cursors()
    } catch {
      return // The circuit says what is wrong.
    }
    const byStream = Map.groupBy(cursors, ({ stream }) => stream)
    this.#cursors.clear()
    for (const cursor of cursors) this.#remember(cursor, cursor.pseq)
    for (const [stream, parts] of byStream) {
      this.#channel?.feedback({ kind: 'stored', stream, cursors: parts.map(({ part, pseq }) => ({ part, pseq })) })
    }
  }

  /** Only who can do the work asks for a share of it. */
  async #beat(): Promise<void> {
    if (this.#channel === null || this.#readers.every((reader) => reader.circuit.phase === 'open')) return
    try {
      await this.#membership.beat()
    } catch (error) {
      this.#env.say('verbose', `the list of consumers cannot be read: ${(error as Error).message}`)
      return
    }
    const now = this.#env.monotonic()
    for (const reader of this.#readers) {
      if (reader.phase !== 'active' || !this.#membership.isAnothers(reader.part)) continue
      // Whose it should be may be dead, and not yet forgotten.
      if (now - (reader.activeSince ?? now) < this.#times.leaseMs) continue
      // It was handed over to this list of consumers, and nobody took it.
      const { keptSince } = reader
      if (keptSince !== null && keptSince > this.#membership.since && now - keptSince < this.#times.keepMs) continue
      reader.handOver()
    }
  }

  /** Again and again, the pause counted from the end of the work. */
  #repeat(ms: number, work: () => Promise<void>): void {
    if (this.#isStopped) return
    const cancel = this.#env.after(ms, () => {
      this.#cancels.delete(cancel)
      work().then(() => this.#repeat(ms, work), this.#options.onFatal)
    })
    this.#cancels.add(cancel)
  }
}

const CALM_MS = 10_000
const CALM_LINES = 1_000

/** Sixteen parts that see the same outage say so once. */
function calm(env: OrdersEnv): OrdersEnv {
  const saidAt = new Map<string, number>()
  return {
    now: () => env.now(),
    monotonic: () => env.monotonic(),
    after: (ms, run) => env.after(ms, run),
    random: () => env.random(),
    say(level, message, details) {
      const now = env.monotonic()
      const line = `${message} ${JSON.stringify(details)}`
      if (now - (saidAt.get(line) ?? -Infinity) < CALM_MS) return
      if (saidAt.size >= CALM_LINES) saidAt.clear()
      saidAt.set(line, now)
      env.say(level, message, details)
    },
  }
}
