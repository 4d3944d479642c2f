// The outbox: everything that happens to events between the log and the outside, in a thread of its own. Puts the parts together, keeps the
// checkpoint, and tells the node's thread how far things are.
//
// What stays true: nothing is carried that is not durable; nothing is kept here that the log does not have. It may end at any moment.

import { dirname, resolve } from 'node:path'
import type { Disk } from '../../aof/disk.ts'
import { LogFollower, LogMarks } from '../../aof/follower.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { OrdersEnv } from '../env.ts'
import { SqliteStore } from '../store/sqlite/sqlite-store.ts'
import { AmqpSink } from './amqp-sink.ts'
import { CheckpointFile } from './checkpoint-file.ts'
import { EventStream } from './event-stream.ts'
import { LogEventSource } from './log-event-source.ts'
import { pack, type FromOutbox, type OutboxOrder, type OutboxStatus, type ToOutbox } from './messages.ts'
import { Progress } from './progress.ts'
import { Shelf, type ShelfState } from './shelf.ts'
import type { Sink, SinkParts } from './sink.ts'
import { SqliteSink } from './sqlite-sink.ts'
import { StoredTrail } from './stored-trail.ts'

export interface OutboxParts {
  readonly order: OutboxOrder
  readonly disk: Disk
  readonly env: OrdersEnv
  readonly post: (message: FromOutbox) => void
  /** Of this thread, microseconds. */
  readonly cpu: () => number
}

/** How often the checkpoint is written, and the node told, when something has changed. */
const TELL_MS = 200
/** ... and when nothing has: lag grows by itself. */
const BEAT_MS = 1000
/** How often the log's files are looked at. */
const SHELF_MS = 2000
/** Readers of stock:events hear of news at most so often: what comes meanwhile they get at once. */
const NEWS_MS = 2
const ZEROS: readonly number[] = Array.from({ length: PARTS }, () => 0)
const NO_SINK = { state: 'nobody takes events', isConnected: true, published: ZEROS, acked: ZEROS, stored: ZEROS, counters: {} }

export class Outbox {
  readonly #parts: OutboxParts
  readonly #progress: Progress
  readonly #trail: StoredTrail
  readonly #source: LogEventSource
  readonly #events: EventStream
  readonly #checkpoint: CheckpointFile
  readonly #shelf: Shelf
  readonly #files: LogFollower
  readonly #sink: Sink | null
  #shelfState: ShelfState
  #shelfAt = -Infinity
  #isTelling = false
  /** Somebody has read stock:events and was not told of news since. */
  #isWatched = false
  #onWatched: () => void = () => {}
  #isClosed = false
  readonly #startedAt: number
  #cancelBeat: () => void = () => {}

  constructor(parts: OutboxParts) {
    const { order, disk, env } = parts
    const { directory, stream, lastLsn, pseqs, target } = order
    this.#parts = parts
    this.#startedAt = env.now()
    this.#progress = new Progress(order.progress)
    const marks = new LogMarks()
    this.#files = new LogFollower(disk, directory, marks)
    this.#shelf = new Shelf({ disk, ...order }, this.#files)
    this.#shelfState = { keepFrom: 0, backlogBytes: 0, backlogBytesMax: Math.max(0, order.backlogBytes) }
    this.#checkpoint = new CheckpointFile(directory, stream, target.kind)
    const from = this.#checkpoint.read({ lastLsn, pseqs })
    this.#trail = new StoredTrail(pseqs, from)
    const durable = (): number => this.#progress.durable
    const later = (run: () => void): void => void env.after(0, run)
    this.#source = new LogEventSource({ disk, directory, marks, stream, lastLsn, pseqs, durable, trail: this.#trail, env, later })
    const pause = (): Promise<void> => new Promise((resolve) => void env.after(0, resolve))
    this.#events = new EventStream({ disk, directory, marks, stream, acked: () => this.#progress.acked, yield: pause })
    const sinkParts: SinkParts = { stream, source: this.#source, from, pseqs, changed: () => this.#tellSoon() }
    switch (target.kind) {
      case 'none':
        this.#sink = null
        break
      case 'sqlite': {
        const store = new SqliteStore({ path: target.file, mode: 'own', now: () => env.now() })
        // A database elsewhere takes nothing from the log, and what it stores makes room there.
        const isBeside = dirname(target.file) === resolve(directory)
        const fullDisk = (growth: number): string | null => (isBeside ? this.#shelf.fullDisk(growth) : null)
        this.#sink = new SqliteSink({ ...sinkParts, store, env, fullDisk })
        break
      }
      case 'amqp':
        this.#sink = new AmqpSink({ ...sinkParts, target, env, highest: this.#trail.highest })
        break
    }
  }

  start(): void {
    this.#sink?.start()
    this.#tell()
    this.#beat()
    void this.#whenDurable()
    void this.#whenAcked()
  }

  receive(message: ToOutbox): void {
    switch (message.kind) {
      case 'range':
        void this.#answer(message, async () => {
          const entries = pack(await this.#events.range(message.range, message.acked))
          this.#parts.post({ kind: 'range', id: message.id, entries })
        })
        break
      case 'summary':
        void this.#answer(message, async () => {
          const { length, first, last } = await this.#events.summary(message.acked)
          const ends = pack([first, last].filter((entry) => entry !== null))
          this.#parts.post({ kind: 'summary', id: message.id, length, ends })
        })
        break
      case 'seek':
        this.#sink?.seek(message.part, message.pseq)
        break
      case 'close':
        // Whoever runs this thread closes it.
        break
    }
  }

  async close(drainMs: number): Promise<void> {
    this.#source.onMore()
    await this.#sink?.close(drainMs)
    this.#isClosed = true
    this.#cancelBeat()
    this.#tell()
    if (this.#sink !== null) this.#sayWhatIsLeft(this.#sink)
    this.#checkpoint.close()
    this.#events.close()
    this.#source.close()
    this.#files.close()
  }

  /** The node sleeps on: a record that is durable is looked at when this thread wakes up. */
  async #whenDurable(): Promise<void> {
    if (this.#sink === null) return
    for (let seen = 0; !this.#isClosed;) {
      await this.#progress.durableBeyond(seen)
      seen = this.#progress.durable
      this.#source.onMore()
      this.#tellSoon()
    }
  }

  async #whenAcked(): Promise<void> {
    while (!this.#isClosed) {
      if (!this.#isWatched) await new Promise<void>((resolve) => (this.#onWatched = resolve))
      const seen = this.#progress.acked
      if (this.#hasNews()) {
        this.#isWatched = false
        this.#parts.post({ kind: 'entries' })
        continue
      }
      await this.#progress.ackedBeyond(seen)
      await new Promise<void>((resolve) => void this.#parts.env.after(NEWS_MS, resolve))
    }
  }

  #hasNews(): boolean {
    try {
      return this.#events.hasNews()
    } catch {
      // Who reads then hears why it cannot be read.
      return true
    }
  }

  async #answer({ id }: { readonly id: number }, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#parts.post({ kind: 'failed', id, message: (error as Error).message })
    }
    this.#isWatched = true
    this.#onWatched()
  }

  // Telling.

  #beat(): void {
    this.#cancelBeat = this.#parts.env.after(BEAT_MS, () => {
      this.#tell()
      this.#beat()
    })
  }

  #tellSoon(): void {
    if (this.#isTelling || this.#isClosed) return
    this.#isTelling = true
    this.#parts.env.after(TELL_MS, () => {
      this.#isTelling = false
      if (!this.#isClosed) this.#tell()
    })
  }

  #tell(): void {
    const { order, env, post, cpu } = this.#parts
    const now = env.now()
    const status = this.#sink?.status ?? NO_SINK
    const point = this.#sink === null ? null : this.#trail.point(status.stored)
    this.#lookAtFiles(point?.lsn ?? Infinity, now)
    let { state } = status
    if (this.#sink !== null && point !== null) {
      try {
        this.#checkpoint.write({ ...this.#sink.checkpoint, floor: { lsn: point.lsn, time: point.time } })
      } catch (error) {
        state = `${state}; outbox.ckpt cannot be written: ${(error as Error).message}`
      }
    }
    const durable = this.#progress.durable
    let waitingSince = point?.waitingSince ?? 0
    // Not even read, because the way is closed: since the last instant that is stored, or for as long as this thread knows.
    if (point !== null && waitingSince === 0 && point.lsn < durable && !status.isConnected) {
      waitingSince = point.time > 0 ? point.time : this.#startedAt
    }
    const told: OutboxStatus = {
      ...status,
      state,
      sink: order.target.kind,
      storedLsn: point?.lsn ?? Infinity,
      storedTime: point?.time ?? Infinity,
      ...this.#shelfState,
      lagMs: waitingSince === 0 ? 0 : Math.max(0, now - waitingSince),
      cpuMicros: cpu(),
    }
    post({ kind: 'status', status: told })
  }

  #lookAtFiles(storedLsn: number, now: number): void {
    const { env } = this.#parts
    if (env.monotonic() - this.#shelfAt < SHELF_MS) {
      // What was told to be kept longer than it need be does no harm; a database that lost events needs more at once.
      this.#shelfState = { ...this.#shelfState, keepFrom: Math.min(this.#shelfState.keepFrom, storedLsn + 1) }
      return
    }
    try {
      this.#shelfState = this.#shelf.look(storedLsn, this.#progress.durable, now)
      this.#shelfAt = env.monotonic()
    } catch {
      // The files cannot be looked at just now: what was told before stays true, and it is tried again.
    }
  }

  #sayWhatIsLeft(sink: Sink): void {
    const { env } = this.#parts
    const { stored, acked, state } = sink.status
    const highest = this.#trail.highest
    const left = this.#parts.order.target.kind === 'amqp' ? acked : stored
    const events = highest.reduce((sum, pseq, part) => sum + Math.max(0, pseq - left[part]), 0)
    const { head } = this.#trail
    if (events === 0 && head >= this.#progress.durable) return env.say('notice', 'every event of the log is on its way or stored')
    const unread = head < this.#progress.durable ? [`those behind LSN ${head}`] : []
    const what = [...(events > 0 ? [`${events} events`] : []), ...unread].join(' and ')
    env.say('notice', `events that have not gone out (${what}) stay in the log and go out after the next start (${state})`)
  }
}
