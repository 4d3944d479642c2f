// The publisher: takes events from the log to the broker, and knows of each part what the broker has and what is stored.
//
// What stays true, for every part:
//   - events go out in the order of their pseq, beginning after what is acked;
//   - `acked` is never ahead of the truth: after a nack or a lost channel everything from there on is published again, in order, also
//     what the broker had taken behind it. Consumers drop what they have seen and refuse what comes early, so twice is harmless and a gap
//     is noticed;
//   - nothing is kept but numbers: the log is the buffer.
//
// A part whose queue is full, or that is published again, must not hold up the others. So there are two lanes over the same log: the
// front, and one for the parts that are behind, which may pause. When it has come to where the front is, its parts are in front again.
//
//   log  ──────────────[ behind ─> 03 07 ]───────────────[ front ─> all others ]──── durable

import type { OutboxEvent } from '../../engine/events/event.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { Broker, Feedback, PublishChannel, PublishEvents } from '../broker/broker.ts'
import type { OrdersEnv } from '../env.ts'
import type { EventSource, PublisherCheckpoint } from './event-source.ts'
import { Lane } from './publisher-lane.ts'
import { Window } from './publisher-window.ts'

/** RabbitMQ is slower, not faster, with more messages in flight; fewer are lost with a connection. */
const UNACKED_MAX = 2_000
/** Of the parts behind: begins small, because a full queue refuses again what it refused before. */
const BEHIND_UNACKED_MIN = 16
const BEHIND_UNACKED_MAX = 1_000
const REFUSED_PAUSE_MS_MIN = 100
const REFUSED_PAUSE_MS_MAX = 5_000
/** Events that one pass looks at before the thread does something else. */
const LOOKS_MAX = 4_096
const READ_AGAIN_MS = 1_000
const STALL_CHECK_MS = 5_000
const STALL_MS_MIN = 30_000
const STALL_MS_MAX = 600_000
/** Older feedback is from a consumer that may be gone: no reason to publish anything again. */
const FEEDBACK_FRESH_MS = 15_000
/** So long no consumer may say what is stored, while events wait for one, before that is told. */
const SILENCE_MS_MAX = 600_000
const SEEK_PAUSE_MS_MIN = 5_000
const SEEK_PAUSE_MS_MAX = 300_000
const CLOSE_MS_MAX = 1_000

export interface PublisherOptions {
  readonly broker: Broker
  readonly stream: string
  readonly source: EventSource
  readonly env: OrdersEnv
  readonly from: PublisherCheckpoint
  /** By part: the last event that the log had when this began. Left out: not known. */
  readonly pseqs?: readonly number[]
}

/** What the publisher tells. By part: E8, stored <= acked <= published. */
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

export class Publisher implements PublishEvents {
  readonly #broker: Broker
  readonly #stream: string
  readonly #source: EventSource
  readonly #env: OrdersEnv

  readonly #pseqs: readonly number[]

  readonly #window: Window
  /** By part: the pseq that is published next; the highest that ever was; what a consumer said last. */
  readonly #next: Float64Array
  readonly #published: Float64Array
  readonly #stored: Float64Array
  /** By part: 1 if a database has events that this log never made. */
  readonly #isAhead = new Uint8Array(PARTS)
  readonly #stall: readonly Patience[]
  readonly #seek: readonly Patience[]

  readonly #front: Lane
  #behind: Lane | null = null
  /** By part: 1 if the lane behind looks after it. */
  readonly #isBehind = new Uint8Array(PARTS)
  #behindUnackedMax = BEHIND_UNACKED_MIN
  /** Not null while the lane behind pauses after a refusal: which parts were refused, as bits. */
  #refused: { readonly parts: number; readonly pauseMs: number } | null = null
  #refusedPauseMs = REFUSED_PAUSE_MS_MIN
  #ackedSinceRefusal = false

  #channel: PublishChannel | null = null
  #trouble: string | null = 'not connected yet'
  /** The log cannot be read, or contradicts itself. */
  #logTrouble: string | null = null
  /** When a consumer last said what is stored, or the broker was there for him to say it. */
  #heardAt = -Infinity
  #isSilenceSaid = false
  #isClosed = false
  #isPumping = false
  #hasPumpTimer = false
  #onIdle: (() => void) | null = null
  readonly #timers = new Set<() => void>()
  readonly #counters = { published: 0, acked: 0, refused: 0, unroutable: 0, rewinds: 0, connections: 0, feedback: 0 }

  constructor({ broker, stream, source, env, from, pseqs }: PublisherOptions) {
    this.#broker = broker
    this.#stream = stream
    this.#source = source
    this.#env = env
    this.#pseqs = pseqs ?? Array.from({ length: PARTS }, () => Infinity)
    this.#window = new Window(from.acked)
    this.#next = Float64Array.from(from.acked, (acked) => acked + 1)
    this.#published = Float64Array.from(from.acked)
    this.#stored = Float64Array.from(from.stored)
    this.#stall = Array.from({ length: PARTS }, () => new Patience(STALL_MS_MIN, STALL_MS_MAX, false))
    this.#seek = Array.from({ length: PARTS }, () => new Patience(SEEK_PAUSE_MS_MIN, SEEK_PAUSE_MS_MAX, true))
    this.#front = new Lane(source, from.lsn)
  }

  start(): void {
    this.#source.onMore = () => this.#pump()
    this.#broker.publisher(this.#stream, this, (feedback) => this.#onFeedback(feedback))
    this.#checkStallsLater()
  }

  status(): PublisherStatus {
    const { acked } = this.#window
    return {
      state: this.#logTrouble ?? this.#trouble ?? this.#refusedInWords() ?? this.#aheadInWords() ?? 'connected',
      isConnected: this.#channel !== null,
      published: Array.from(this.#published),
      acked: Array.from(acked),
      // A consumer may know more than a publisher that began with an old checkpoint.
      stored: Array.from(this.#stored, (stored, part) => Math.min(stored, acked[part])),
      counters: { ...this.#counters },
    }
  }

  /** For the checkpoint file: true at this moment. */
  checkpoint(): PublisherCheckpoint {
    let lsn = Math.min(this.#front.lsn, this.#behind?.lsn ?? Infinity)
    for (let part = 0; part < PARTS; part++) lsn = Math.min(lsn, this.#window.firstLsn(part))
    return { lsn, acked: Array.from(this.#window.acked), stored: Array.from(this.#stored) }
  }

  /** Publishes this part again from after `pseq`: an operator's wish. */
  seek(part: number, pseq: number): void {
    if (pseq + 1 < this.#next[part]) this.#rewind(part, pseq)
    this.#pump()
  }

  /** Waits a moment for acks that are on their way, so that less is published again after the next start. The broker stays open. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#channel !== null && this.#window.unacked > 0) {
      const idle = Promise.withResolvers<void>()
      this.#onIdle = idle.resolve
      const cancel = this.#env.after(CLOSE_MS_MAX, idle.resolve)
      await idle.promise
      cancel()
    }
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    this.#channel = null
  }

  onReady(channel: PublishChannel): void {
    const isAgain = this.#counters.connections++ > 0
    this.#env.say('notice', 'connected with the broker', { broker: this.#broker.name })
    this.#loseChannel()
    this.#channel = channel
    this.#heardAt = this.#env.monotonic()
    this.#trouble = null
    this.#pump()
    // A broker that has lost what it had acked shows it by empty queues.
    if (isAgain) void this.#fillEmptyQueues(() => true)
  }

  onAcked(tag: number, multiple: boolean): void {
    if (this.#channel === null) return
    const acked = this.#window.ack(tag, multiple)
    this.#counters.acked += acked
    if (this.#behind !== null) {
      this.#ackedSinceRefusal = true
      this.#behindUnackedMax = Math.min(this.#behindUnackedMax + acked, BEHIND_UNACKED_MAX)
    }
    if (this.#window.unacked === 0) this.#onIdle?.()
    this.#pump()
  }

  onRefused(tag: number, multiple: boolean): void {
    if (this.#channel === null) return
    const parts = this.#window.partsOf(tag, multiple)
    for (let part = 0; part < PARTS; part++) {
      if ((parts & (1 << part)) !== 0) this.#fallBehind(part, this.#window.acked[part], this.#window.firstLsn(part))
    }
    this.#counters.refused += this.#window.ack(tag, multiple)
    if (parts !== 0) this.#pauseBehind(parts)
    if (this.#window.unacked === 0) this.#onIdle?.()
    this.#pump()
  }

  onUnroutable({ part, pseq }: { stream: string; part: number; pseq: number }): void {
    this.#counters.unroutable++
    if (this.#channel === null) return
    // The broker's ack that follows says only that it has thrown the message away.
    this.#loseChannel()
    this.#channel = null
    this.#trouble = `no queue takes the events of part ${part}: a queue or its binding is missing at the broker`
    this.#env.say('warning', this.#trouble, { part, pseq })
  }

  onDrained(): void {
    this.#pump()
  }

  onLost(reason: string): void {
    if (this.#trouble !== reason) this.#env.say('warning', `events wait in the log: ${reason}`)
    this.#trouble = reason
    this.#loseChannel()
    this.#channel = null
    this.#onIdle?.()
  }

  #onFeedback(feedback: Feedback): void {
    if (feedback.stream !== this.#stream) return
    this.#counters.feedback++
    const now = this.#env.monotonic()
    if (feedback.kind === 'seek') {
      const { part, pseq } = feedback
      // What is not published yet comes anyway; what was just published again may still be behind a long queue.
      if (pseq + 1 < this.#next[part] && this.#seek[part].isOver(pseq, now)) {
        this.#env.say('notice', 'a consumer misses an event: published again', { part, from: pseq + 1 })
        this.#rewind(part, pseq)
      }
    } else {
      this.#heardAt = now
      if (this.#isSilenceSaid) this.#env.say('notice', 'a consumer says again what is stored')
      this.#isSilenceSaid = false
      for (const { part, pseq } of feedback.cursors) this.#onStored(part, pseq, now)
    }
    this.#pump()
  }

  #onStored(part: number, told: number, now: number): void {
    this.#stall[part].heardAt = now
    const pseq = this.#ofThisLog(part, told)
    if (pseq > this.#stored[part]) this.#seek[part].reset()
    if (pseq !== this.#stored[part]) this.#stall[part].reset()
    this.#stored[part] = pseq
    // What was published and is in a database is safe, whatever the broker says: the queue of another service that is bound to the same
    // exchange may refuse every message. What was never published is not believed: the database may be of another history.
    const { acked } = this.#window
    acked[part] = Math.max(acked[part], Math.min(pseq, this.#published[part]))
    this.#next[part] = Math.max(this.#next[part], acked[part] + 1)
  }

  /** Numbers of another history say nothing about what this log has written since: its events are kept until somebody has decided. */
  #ofThisLog(part: number, told: number): number {
    const last = this.#pseqs[part]
    if (this.#isAhead[part] === 0 && told > Math.max(last, this.#published[part])) {
      this.#isAhead[part] = 1
      this.#env.say('warning', `ALARM: ${this.#aheadInWords() ?? ''}`, { stored: told, part, last })
    } else if (told <= last) this.#isAhead[part] = 0
    return this.#isAhead[part] === 0 ? told : Math.min(told, last)
  }

  #aheadInWords(): string | null {
    const parts = Array.from({ length: PARTS }, (_, part) => part).filter((part) => this.#isAhead[part] !== 0)
    if (parts.length === 0) return null
    return (
      `the orders database has events of part ${parts.join(', ')} that this log never had: the log directory is older than the database, ` +
      'or two nodes run on copies of one. Put the newer directory back, or go on as another node (node-number)'
    )
  }

  /** Sends as much as may be under way. */
  #pump(): void {
    if (this.#isPumping || this.#isClosed || this.#hasPumpTimer) return
    this.#isPumping = true
    try {
      // Those behind first, with a share of their own: a busy front would leave them none.
      const isBehindUnfinished = this.#behind !== null && this.#refused === null && this.#pumpBehind(this.#behind)
      const { rewinds } = this.#counters
      const isFrontUnfinished = this.#pumpFront()
      this.#logTrouble = null
      // A part that has fallen behind only now has missed its turn.
      if (isBehindUnfinished || isFrontUnfinished || rewinds !== this.#counters.rewinds) this.#pumpLater(0)
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error)
      if (this.#logTrouble !== words) this.#env.say('warning', `events cannot be read from the log: ${words}`)
      this.#logTrouble = words
      this.#pumpLater(READ_AGAIN_MS)
    } finally {
      this.#isPumping = false
    }
  }

  /** @returns true if it stopped only to let the thread do something else */
  #pumpFront(): boolean {
    const lane = this.#front
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (!this.#mayPublish()) return false
      const event = lane.peek()
      if (event === null) return false
      // A part that has just fallen behind is the other lane's.
      if (this.#isBehind[event.part] === 0) this.#offer(event)
      lane.take()
    }
    return true
  }

  /** @returns true if it stopped only to let the thread do something else */
  #pumpBehind(lane: Lane): boolean {
    let unacked = 0
    for (let part = 0; part < PARTS; part++) if (this.#isBehind[part] !== 0) unacked += this.#window.unackedOf[part]
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (unacked >= this.#behindUnackedMax || !this.#mayPublish()) return false
      const event = lane.peek()
      // Past the front, or at the end together: the front goes on with these parts, and skips what they have published. (At the same LSN
      // the front may be in the middle of a record with events of several parts.)
      if (lane.lsn > this.#front.lsn || (event === null && lane.lsn === this.#front.lsn)) {
        this.#catchUp(lane)
        return false
      }
      if (event === null) return false
      if (this.#isBehind[event.part] !== 0) {
        const before = this.#window.unacked
        this.#offer(event)
        unacked += this.#window.unacked - before
      }
      lane.take()
    }
    return true
  }

  #mayPublish(): boolean {
    return this.#channel !== null && this.#channel.isWritable && this.#window.unacked < UNACKED_MAX && this.#window.hasRoom
  }

  /** Publishes it if it is the part's next. If events before it are missing, the part falls behind instead. */
  #offer(event: OutboxEvent): void {
    const { part, pseq } = event
    const next = this.#next[part]
    if (pseq < next || (pseq > next && !this.#isBeginning(event))) return
    const oldest = this.#source.oldest(part)
    const tag = (this.#channel as PublishChannel).publish({
      stream: this.#stream,
      part,
      pseq,
      oldest: oldest < pseq ? oldest : pseq,
      type: event.type,
      time: event.time,
      body: event.body,
    })
    this.#window.add(tag, part, pseq, event.lsn)
    this.#next[part] = pseq + 1
    if (pseq > this.#published[part]) this.#published[part] = pseq
    this.#counters.published++
  }

  /** There is a gap before this event. If the log has nothing older, what is missing is lost to this way, and this is the beginning. */
  #isBeginning({ part, pseq }: OutboxEvent): boolean {
    const missing = this.#next[part]
    const oldest = this.#source.oldest(part)
    if (oldest < pseq) {
      if (this.#isBehind[part] !== 0) throw new Error(`after event ${missing - 1} of part ${part} the log gives ${pseq}, and has ${oldest}`)
      this.#rewind(part, missing - 1)
      return false
    }
    this.#env.say('warning', 'events are neither acked by the broker nor in the log any more: an audit of the orders is needed', {
      part,
      from: missing,
      to: pseq - 1,
    })
    this.#window.acked[part] = Math.max(this.#window.acked[part], pseq - 1)
    this.#next[part] = pseq
    return true
  }

  /** The part is published again from after `pseq`. */
  #rewind(part: number, pseq: number): void {
    this.#fallBehind(part, pseq, this.#source.locate(part, pseq + 1))
  }

  /** @param lsn a reader from here comes to the event after `pseq` */
  #fallBehind(part: number, pseq: number, lsn: number): void {
    this.#counters.rewinds++
    const window = this.#window
    // What is on its way counts no more, so it is sent again too.
    const from = Math.min(lsn, window.firstLsn(part))
    window.disown(part)
    window.acked[part] = Math.min(window.acked[part], pseq)
    this.#next[part] = window.acked[part] + 1
    this.#isBehind[part] = 1
    if (this.#behind === null) {
      this.#behind = new Lane(this.#source, from)
      this.#behindUnackedMax = BEHIND_UNACKED_MIN
    } else this.#behind.backTo(from)
  }

  #catchUp(lane: Lane): void {
    lane.close()
    this.#behind = null
    this.#isBehind.fill(0)
  }

  #pauseBehind(parts: number): void {
    this.#behindUnackedMax = BEHIND_UNACKED_MIN
    if (this.#refused !== null) {
      this.#refused = { parts: this.#refused.parts | parts, pauseMs: this.#refused.pauseMs }
      return
    }
    if (this.#ackedSinceRefusal) this.#refusedPauseMs = REFUSED_PAUSE_MS_MIN
    this.#ackedSinceRefusal = false
    this.#refused = { parts, pauseMs: this.#refusedPauseMs }
    this.#after(this.#refusedPauseMs * (0.5 + this.#env.random() / 2), () => {
      this.#refused = null
      this.#pump()
    })
    this.#refusedPauseMs = Math.min(this.#refusedPauseMs * 2, REFUSED_PAUSE_MS_MAX)
  }

  #refusedInWords(): string | null {
    if (this.#refused === null) return null
    const { parts } = this.#refused
    const names = Array.from({ length: PARTS }, (_, part) => part).filter((part) => (parts & (1 << part)) !== 0)
    return `the broker refuses events of part ${names.join(', ')}: a queue is full; they wait in the log`
  }

  /** What was on its way may be lost: both lanes go back to the first event that is not acked. */
  #loseChannel(): void {
    for (let part = 0; part < PARTS; part++) {
      const lane = this.#isBehind[part] !== 0 && this.#behind !== null ? this.#behind : this.#front
      lane.backTo(this.#window.firstLsn(part))
      this.#next[part] = this.#window.acked[part] + 1
    }
    this.#window.clear()
  }

  #checkStallsLater(): void {
    this.#after(STALL_CHECK_MS, () => {
      const now = this.#env.monotonic()
      this.#sayIfNobodyStores(now)
      const isStalled = (part: number): boolean =>
        now - this.#stall[part].heardAt < FEEDBACK_FRESH_MS && this.#stall[part].isOver(this.#stored[part], now)
      void this.#fillEmptyQueues(isStalled).then(() => {
        if (!this.#isClosed) this.#checkStallsLater()
      })
    })
  }

  /** Everything looks well from here when the consumers are at another broker, or there are none: until the backlog is full. */
  #sayIfNobodyStores(now: number): void {
    if (this.#channel === null || this.#isSilenceSaid || now - this.#heardAt < SILENCE_MS_MAX) return
    const waiting = this.#window.acked.reduce((sum, acked, part) => sum + Math.max(0, acked - this.#stored[part]), 0)
    if (waiting === 0) return
    this.#isSilenceSaid = true
    this.#env.say(
      'warning',
      `ALARM: no consumer has said for ${SILENCE_MS_MAX / 60_000} minutes what is stored, and events wait: does stockd-orders run, at this broker and prefix?`,
      { broker: this.#broker.name, events: waiting },
    )
  }

  /** Of parts whose queue is empty although something acked is not stored, that is published again. */
  async #fillEmptyQueues(isConcerned: (part: number) => boolean): Promise<void> {
    const { acked } = this.#window
    const parts = Array.from({ length: PARTS }, (_, part) => part).filter(
      (part) => this.#stored[part] < acked[part] && this.#isStoredKnown(part) && isConcerned(part),
    )
    if (parts.length === 0) return
    const stored = Float64Array.from(this.#stored)
    let depths: readonly number[]
    try {
      depths = await this.#broker.depths()
    } catch (error) {
      this.#env.say('verbose', 'cannot see how long the queues are', { error: error instanceof Error ? error.message : String(error) })
      return
    }
    if (this.#isClosed) return
    for (const part of parts) {
      // Something was stored meanwhile: then it is not stuck.
      if (depths[part] > 0 || this.#stored[part] !== stored[part] || this.#stored[part] >= acked[part]) continue
      this.#env.say('warning', 'the broker has lost events that it had acked: published again from the log', {
        part,
        from: this.#stored[part] + 1,
        to: acked[part],
      })
      this.#rewind(part, this.#stored[part])
    }
    this.#pump()
  }

  #isStoredKnown(part: number): boolean {
    return this.#stored[part] > 0 || this.#stall[part].heardAt > -Infinity
  }

  #pumpLater(ms: number): void {
    this.#hasPumpTimer = true
    this.#after(ms, () => {
      this.#hasPumpTimer = false
      this.#pump()
    })
  }

  #after(ms: number, run: () => void): void {
    const cancel = this.#env.after(ms, () => {
      this.#timers.delete(cancel)
      if (!this.#isClosed) run()
    })
    this.#timers.add(cancel)
  }
}

/** How long the same thing must last before something is done about it (or is done again): longer each time that it did not help. */
class Patience {
  /** When a consumer last said how far it is. */
  heardAt = -Infinity
  readonly #msMin: number
  readonly #msMax: number
  readonly #isAtOnce: boolean
  #about = -1
  #since = 0
  #ms: number

  constructor(msMin: number, msMax: number, isAtOnce: boolean) {
    this.#msMin = msMin
    this.#msMax = msMax
    this.#isAtOnce = isAtOnce
    this.#ms = msMin
  }

  /** Whether it has been about the same for long enough; then the next time takes twice as long. */
  isOver(about: number, now: number): boolean {
    if (about !== this.#about) {
      this.#about = about
      this.#since = now
      this.#ms = this.#msMin
      return this.#isAtOnce
    }
    if (now - this.#since < this.#ms) return false
    this.#since = now
    this.#ms = Math.min(this.#ms * 2, this.#msMax)
    return true
  }

  reset(): void {
    this.#about = -1
    this.#ms = this.#msMin
  }
}
