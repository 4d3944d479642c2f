// The embedded way: events go from the log straight into the orders database of this machine, by the Store's own rules (ORDERS.md 9). The
// database's cursors are the checkpoint; the file beside the log only says from where to read.
//
// What stays true: a part's events are written in order, each transaction with its cursor. What the database does not have (it was deleted,
// or is an older copy) is read from the log again; what the log does not have either, or has differently, is told and waited for: nothing
// is skipped by itself.

import type { OutboxEvent } from '../../engine/events/event.ts'
import { PARTS } from '../../engine/outbox.ts'
import { BatchWriter, WriteGivenUp, type CircuitState } from '../consumer/batch-writer.ts'
import { readEvent } from '../consumer/event-intake.ts'
import type { OrdersEnv } from '../env.ts'
import type { Store } from '../store/store.ts'
import type { Checkpoint } from './checkpoint-file.ts'
import type { EventReader } from './event-source.ts'
import type { Sink, SinkParts, SinkStatus } from './sink.ts'

/** Of a part, in one transaction. */
const BATCH_EVENTS = 500
/** Read at a time: when there is much to do, every part gets a full batch. */
const ROUND_EVENTS = PARTS * BATCH_EVENTS
/** A smaller round is followed by a pause of this, or as long as it took: a commit is an fsync on the disk that the log is on. */
const PAUSE_MS = 20
/** How often the database is asked whether it still is where it was. */
const LOOK_MS = 1000
/** What an event takes of the disk while it is written, at most: pages of its rows and indexes, in the journal and in the file. */
const EVENT_BYTES = 8 * 1024
const RETRY_MS = 1000

export interface SqliteSinkParts extends SinkParts {
  readonly store: Store
  readonly env: OrdersEnv
  /** Why the database must not grow by so many bytes now; null: it may. */
  readonly fullDisk: (bytes: number) => string | null
}

export class SqliteSink implements Sink {
  readonly #parts: SqliteSinkParts
  readonly #writer: BatchWriter
  /** By part: the database has everything up to here. */
  readonly #stored: Float64Array
  /** By part: why nothing of it is written, until the database is another one. */
  readonly #held: (string | null)[] = Array.from({ length: PARTS }, () => null)
  /** By part: 1 if that is because the database is ahead of the log. */
  readonly #isAhead = new Uint8Array(PARTS)
  /** Parts that miss events before those in hand: the reader goes back. */
  readonly #missing = new Set<number>()
  /** By part: the cursor that the reader went back for last. */
  readonly #wentBackFor = new Float64Array(PARTS).fill(-1)
  /** Everything before this record is written. */
  #doneLsn: number
  #reader: EventReader | null = null
  /** The reader is at its end, and all that it gave is written. */
  #isIdle = false
  #trouble: string | null = 'not opened yet'
  #circuit: CircuitState = { phase: 'closed' }
  #isClosing = false
  #closedAt = Infinity
  /** There may be more to read; set while nobody sleeps, too. */
  #isWoken = false
  #onWake: () => void = () => {}
  #lookedAt = -Infinity
  #over: Promise<void> = Promise.resolve()
  readonly #counters = { stored: 0, seen: 0, dead: 0, marks: 0, differences: 0, rounds: 0, rewinds: 0 }

  constructor(parts: SqliteSinkParts) {
    this.#parts = parts
    this.#stored = Float64Array.from(parts.from?.stored ?? new Float64Array(PARTS))
    this.#doneLsn = parts.from?.lsn ?? 1
    const onState = (state: CircuitState): void => {
      this.#circuit = state
      parts.changed()
    }
    this.#writer = new BatchWriter({ store: parts.store, env: parts.env, onState })
  }

  start(): void {
    this.#parts.source.onMore = () => this.#wakeUp()
    this.#over = this.#run()
  }

  get status(): SinkStatus {
    // Numbers of another history say nothing about what this log has written since.
    const stored = Array.from(this.#stored, (pseq, part) => (this.#isAhead[part] === 1 ? Math.min(pseq, this.#parts.pseqs[part]) : pseq))
    const outage = this.#circuit.phase === 'open' ? this.#circuit.error.message : this.#trouble
    const held = this.#held.find((why) => why !== null)
    return {
      state: outage ?? held ?? 'connected',
      isConnected: outage === null,
      published: stored,
      acked: stored,
      stored,
      counters: { ...this.#counters, retries: this.#writer.retries },
    }
  }

  get checkpoint(): Omit<Checkpoint, 'floor'> {
    const { stored } = this.status
    return { lsn: this.#doneLsn, acked: stored, stored }
  }

  seek(part: number, pseq: number): void {
    // The database drops what it has; what it has lost is found by its cursor.
    if (pseq < this.#stored[part]) this.#missing.add(part)
    this.#wakeUp()
  }

  async close(drainMs: number): Promise<void> {
    const { env } = this.#parts
    this.#closedAt = env.monotonic() + drainMs
    this.#isClosing = true
    if (!this.status.isConnected) this.#writer.stop()
    const cancel = env.after(drainMs, () => this.#writer.stop())
    this.#wakeUp()
    await this.#over
    cancel()
    this.#reader?.close()
    await this.#parts.store.close()
  }

  async #run(): Promise<void> {
    while (!(await this.#begin())) {
      if (this.#isOver()) return
      await this.#sleep(RETRY_MS)
    }
    for (;;) {
      const began = this.#parts.env.monotonic()
      let written = 0
      this.#isWoken = false
      try {
        await this.#look()
        written = await this.#round()
        this.#setTrouble(null)
      } catch (error) {
        if (error instanceof WriteGivenUp) return
        this.#setTrouble(error instanceof Error ? error.message : String(error))
        if (this.#isClosing) return
        await this.#sleep(RETRY_MS)
        continue
      }
      this.#isIdle = written === 0 && this.#missing.size === 0
      if (this.#isOver()) return
      if (this.#isIdle) await this.#sleep(LOOK_MS)
      else if (written < BATCH_EVENTS) await this.#pause(Math.max(PAUSE_MS, this.#parts.env.monotonic() - began))
      else await this.#pause(0)
    }
  }

  #isOver(): boolean {
    return this.#isClosing && (this.#isIdle || !this.status.isConnected || this.#parts.env.monotonic() >= this.#closedAt)
  }

  /** Learns what the database has, and where in the log that ends. */
  async #begin(): Promise<boolean> {
    const { source, from, pseqs } = this.#parts
    try {
      await this.#learn()
      // Everything up to the node's start is there, as far as is known.
      let lsn = source.locate(0, pseqs[0] + 1)
      if (from !== null && from.stored.every((pseq, part) => pseq <= this.#stored[part])) lsn = Math.min(lsn, from.lsn)
      else {
        // There is no checkpoint, or it is that of another database.
        for (let part = 0; part < PARTS; part++) {
          if (this.#stored[part] < pseqs[part]) lsn = Math.min(lsn, source.locate(part, this.#stored[part] + 1))
        }
      }
      this.#reader = source.reader(lsn)
      this.#doneLsn = lsn
      this.#setTrouble(null)
      return true
    } catch (error) {
      this.#setTrouble(error instanceof Error ? error.message : String(error))
      return false
    }
  }

  /** Compares the database's cursors with what was written: it may have been deleted, exchanged for a copy, or set by an operator. */
  async #learn(): Promise<void> {
    const { store, stream, env, pseqs } = this.#parts
    const cursors = new Float64Array(PARTS)
    for (const cursor of await store.cursors()) if (cursor.stream === stream) cursors[cursor.part] = cursor.pseq
    this.#lookedAt = env.monotonic()
    const isFirst = this.#reader === null
    let lost = 0
    for (let part = 0; part < PARTS; part++) {
      const before = this.#stored[part]
      const cursor = cursors[part]
      if (cursor === before && !isFirst) continue
      lost += Math.max(0, before - cursor)
      if (!isFirst) this.#missing.add(part)
      this.#stored[part] = cursor
      this.#held[part] = null
      this.#isAhead[part] = isFirst && cursor > pseqs[part] ? 1 : 0
      if (this.#isAhead[part] === 0) continue
      this.#hold(
        part,
        `${store.name} has events of part ${part} up to ${cursor}, but this log has only come to ${pseqs[part]}: the log directory is ` +
          `older than the database. Put the newer directory back, or name another database (orders-db)`,
      )
    }
    if (lost > 0) env.say('warning', `${store.name} does not have ${lost} events that it had: it is filled up from the log`)
  }

  async #look(): Promise<void> {
    if (this.#parts.env.monotonic() - this.#lookedAt < LOOK_MS) return
    await this.#learn()
  }

  /** Writes what the reader gives. @returns how many events that were */
  async #round(): Promise<number> {
    if (this.#missing.size > 0) this.#goBack()
    const events = this.#reader?.next(ROUND_EVENTS) ?? []
    if (events.length === 0) return 0
    const byPart = Map.groupBy(events, (event) => event.part)
    for (const [part, ofPart] of byPart) {
      for (let i = 0; i < ofPart.length && this.#held[part] === null && !this.#missing.has(part); i += BATCH_EVENTS) {
        const batch = ofPart.slice(i, i + BATCH_EVENTS)
        await this.#untilRoom(batch.length * EVENT_BYTES)
        await this.#write(part, batch)
        // Others in this thread: readers of stock:events.
        await this.#pause(0)
      }
    }
    if (this.#missing.size === 0 && this.#held.every((why) => why === null)) this.#doneLsn = this.#reader?.lsn ?? this.#doneLsn
    this.#counters.rounds++
    this.#parts.changed()
    return events.length
  }

  /** The events that were read wait here for a disk that is full. */
  async #untilRoom(bytes: number): Promise<void> {
    for (let why = this.#parts.fullDisk(bytes); why !== null; why = this.#parts.fullDisk(bytes)) {
      this.#setTrouble(why)
      if (this.#isClosing) throw new WriteGivenUp()
      await this.#sleep(RETRY_MS)
    }
    this.#setTrouble(null)
  }

  #goBack(): void {
    const { source } = this.#parts
    let lsn = this.#reader?.lsn ?? Infinity
    for (const part of this.#missing) lsn = Math.min(lsn, source.locate(part, this.#stored[part] + 1))
    this.#missing.clear()
    this.#reader?.close()
    this.#reader = source.reader(lsn)
    this.#counters.rewinds++
  }

  async #write(part: number, events: readonly OutboxEvent[]): Promise<void> {
    const { stream, source, store } = this.#parts
    // Of those that the database has, the last one is shown to it again: it says whether they are the same events.
    const fresh = events.filter((event) => event.pseq >= this.#stored[part])
    if (fresh.length === 0) return
    const oldest = source.oldest(part)
    const incoming = fresh.map(({ pseq, body }) => readEvent({ pseq, oldest: Math.min(oldest, pseq), body }))
    const outcome = await this.#writer.write({ stream, part, events: incoming })
    this.#counters.stored += outcome.stored
    this.#counters.seen += outcome.seen
    this.#counters.dead += outcome.dead.length
    if (outcome.conflict !== null) {
      this.#hold(part, `${store.name} has other events under the same numbers: ${outcome.conflict}. Nothing of part ${part} is written`)
      return
    }
    this.#stored[part] = outcome.cursor
    for (const mark of outcome.marks) this.#told(mark)
    if (outcome.early > 0) this.#misses(part, outcome.cursor, oldest)
  }

  /** Events behind the cursor are not among those that were read: the log has them before, or not any more. */
  #misses(part: number, cursor: number, oldest: number): void {
    const { store } = this.#parts
    if (oldest > cursor + 1) {
      this.#hold(
        part,
        `${store.name} misses events ${cursor + 1} to ${oldest - 1} of part ${part}, and the log does not have them any more: an operator ` +
          `decides (stockd-orders cursor)`,
      )
      return
    }
    this.#missing.add(part)
    const isInVain = this.#wentBackFor[part] === cursor
    this.#wentBackFor[part] = cursor
    if (isInVain) throw new Error(`the log gives no event ${cursor + 1} of part ${part}, though it begins with ${oldest}`)
  }

  #told({ mark, differences }: { readonly mark: number; readonly differences: readonly string[] }): void {
    this.#counters.marks++
    this.#counters.differences += differences.length
    if (differences.length === 0) return
    const { env, store } = this.#parts
    env.say('warning', `ALARM: at audit mark ${mark} the orders database has other numbers than the node`, {
      ...{ store: store.name, differences: differences.join('; ') },
    })
  }

  /** Nothing of this part is written until its cursor in the database is another one. */
  #hold(part: number, why: string): void {
    this.#held[part] = why
    this.#parts.env.say('warning', `ALARM: ${why}`)
    this.#parts.changed()
  }

  #setTrouble(trouble: string | null): void {
    if (trouble === this.#trouble) return
    if (trouble !== null) this.#parts.env.say('warning', `events wait in the log: ${trouble}`)
    this.#trouble = trouble
    this.#parts.changed()
  }

  #wakeUp(): void {
    this.#isWoken = true
    this.#onWake()
  }

  /** Until there is more, or this long. */
  async #sleep(ms: number): Promise<void> {
    if (!this.#isWoken) {
      await new Promise<void>((resolve) => {
        const cancel = this.#parts.env.after(ms, resolve)
        this.#onWake = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#onWake = () => {}
    this.#isWoken = false
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.env.after(this.#isClosing ? 0 : ms, () => resolve())
    })
  }
}
