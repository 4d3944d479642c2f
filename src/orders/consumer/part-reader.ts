// One part's way from its queue into the store: collects deliveries into batches, writes each in one transaction, acks what is stored.
//
//   away ──onReady──> standing by ──first delivery──> active ──┬─ handed over ──> resting (a moment)  ──> standing by
//                                                              ├─ database down ─> resting (a probe)   ──> standing by
//                                                              └─ nobody knows ──> resting (a person)  ──> standing by
//
// What stays true: a delivery is acked when the store's cursor has passed its event, or when the node is asked to publish it again; nothing
// is acked that came over a connection that is gone. Where this reader is on its way is only in the cursor: after any accident it starts
// over with what the broker delivers.

import { assert, unreachable } from '../../base/assert.ts'
import type { ConsumeChannel, Delivery, Feedback } from '../broker/broker.ts'
import type { OrdersEnv } from '../env.ts'
import type { Cursor, StreamPart } from '../store/store.ts'
import { BatchWriter, WriteGivenUp } from './batch-writer.ts'
import type { CircuitState, WritableStore, WriteOutcome } from './batch-writer.ts'
import { Bell } from './bell.ts'
import { readEvent } from './event-intake.ts'
import { Inbox } from './inbox.ts'
import type { Pick } from './inbox.ts'

export interface ReaderTimes {
  /** So long a batch waits for more ... */
  readonly lingerMs: number
  /** ... and so long when its first event is older than `behindMs`: then there is more, and large batches are what catches up. */
  readonly behindLingerMs: number
  readonly behindMs: number
  /** So long the database may be away before the deliveries go back to the broker, which would cut off who holds them for half an hour. */
  readonly holdMs: number
  /** So long an event waits for one before it: another consumer may have that in its hands. Then the node is asked. */
  readonly patienceMs: number
  /** Between two questions to the node for the same thing. */
  readonly seekMs: number
  /** After a part was handed over, or its queue was lost. */
  readonly restMs: number
  /** How often the cursor is looked at while somebody has to decide. */
  readonly haltMs: number
  /** So long such a decision is waited for before the queue is tried again anyway. */
  readonly retryHaltMs: number
  readonly backoffMsMax: number
  readonly alarmMs: number
}

export const READER_TIMES: ReaderTimes = {
  lingerMs: 20,
  behindLingerMs: 200,
  behindMs: 2_000,
  holdMs: 60_000,
  patienceMs: 2_000,
  seekMs: 5_000,
  restMs: 1_000,
  haltMs: 5_000,
  retryHaltMs: 300_000,
  backoffMsMax: 10_000,
  alarmMs: 600_000,
}

export interface PartReaderOptions {
  readonly part: number
  readonly store: WritableStore & { cursors(): Promise<readonly Cursor[]> }
  readonly env: OrdersEnv
  readonly times: ReaderTimes
  /** Events of one transaction. */
  readonly batch: number
  /** Unacked deliveries that the broker gives at most: who waits for a hole must not fill them all. */
  readonly prefetch: number
  readonly onOutcome: (at: StreamPart, outcome: WriteOutcome, lagMs: number) => void
  /** A bug: this reader has ended. */
  readonly onFatal: (error: unknown) => void
}

export type ReaderPhase = 'away' | 'standing by' | 'active' | 'leaving' | 'resting'

/** Events wait for one before them. */
interface Hole {
  readonly cursor: number
  readonly since: number
  retryAt: number
  retryMs: number
  soughtAt: number | null
}

type Leave = 'lost' | 'stop' | 'hand over' | 'trouble' | 'cancelled' | 'no copies' | { readonly stream: string; readonly cursor: number }

/** A connection's channel, until it is lost. */
interface Session {
  readonly channel: ConsumeChannel
  isLost: boolean
}

const HOLE_RETRY_MS = 20
/** So long a broker that is busy starting may take to answer. */
const SILENCE_MS = 30_000
/** A dead event's copy is for people, the database has it: so often it is tried. */
const COPY_ATTEMPTS = 3
const COPY_PAUSE_MS = 1_000

export class PartReader {
  readonly part: number
  readonly #options: PartReaderOptions
  readonly #env: OrdersEnv
  readonly #times: ReaderTimes
  readonly #writer: BatchWriter
  readonly #bell: Bell
  readonly #inbox = new Inbox()
  readonly #holes = new Map<string, Hole>()
  /** Streams whose events wait for one before them, at the moment. */
  readonly #waiting = { has: (stream: string): boolean => (this.#holes.get(stream)?.retryAt ?? 0) > this.#env.monotonic() }
  #session: Session | null = null
  #running: Promise<void> = Promise.resolve()
  #isStopping = false
  #isCancelled = false
  #mustHandOver = false
  #cannotCopy = false
  #isWriting = false
  /** Since when the batch in hand waits for the database. */
  #openSince: number | null = null
  #phase: ReaderPhase = 'away'
  /** Since when deliveries come; `monotonic()`. */
  #activeSince: number | null = null
  /** Handing over did not help: it came back at once. */
  #handedOverAt: number | null = null
  keptSince: number | null = null

  // For metrics.
  received = 0
  unreadable = 0
  seeks = 0
  halts = 0
  /** In words, while somebody has to decide. */
  halted: string | null = null
  /** Unix ms; 0: never. */
  lastStoredAt = 0

  constructor(options: PartReaderOptions) {
    assert(options.prefetch >= 2 && options.batch >= 1, 'room for a batch and for what comes meanwhile')
    this.part = options.part
    this.#options = options
    this.#env = options.env
    this.#times = options.times
    this.#bell = new Bell(options.env)
    const { backoffMsMax, alarmMs } = options.times
    this.#writer = new BatchWriter({
      store: options.store,
      env: options.env,
      onState: (state) => this.#onCircuit(state),
      backoffMsMax,
      alarmMs,
    })
  }

  get phase(): ReaderPhase {
    return this.#phase
  }

  get circuit(): CircuitState {
    return this.#writer.state
  }

  get retries(): number {
    return this.#writer.retries
  }

  /** Deliveries that wait here. */
  get waiting(): number {
    return this.#inbox.unacked
  }

  /** How long ago the oldest event happened that waits here; 0: none does. */
  lagMs(): number {
    const time = this.#inbox.oldestTime
    return time === null ? 0 : this.#ageOf(time)
  }

  get activeSince(): number | null {
    return this.#activeSince
  }

  // What the broker tells

  onReady(channel: ConsumeChannel): void {
    const session: Session = { channel, isLost: false }
    this.#session = session
    this.#running = this.#running.then(() => this.#attend(session)).catch((error: unknown) => this.#options.onFatal(error))
  }

  onLost(): void {
    if (this.#session === null) return
    this.#session.isLost = true
    this.#session = null
    this.#writer.giveUp()
    this.#bell.ring()
  }

  onDelivery(delivery: Delivery): void {
    const now = this.#env.monotonic()
    this.received++
    this.#inbox.push(delivery, now)
    if (this.#phase === 'standing by') this.#becomeActive(now)
    const { message } = delivery
    if (message === null) {
      if (this.#session !== null) void this.#copyUnreadable(this.#session, delivery)
    } else {
      const hole = this.#holes.get(message.stream)
      if (hole !== undefined && message.pseq <= hole.cursor + 1) hole.retryAt = now
    }
    this.#bell.ring()
  }

  onCancelled(): void {
    this.#isCancelled = true
    this.#bell.ring()
  }

  // What the consumer wants

  /** Lets another consumer have the part, when the batch in hand is stored; stands by again soon. */
  handOver(): void {
    if (this.#phase !== 'active') return
    this.#mustHandOver = true
    this.#bell.ring()
  }

  /** Ends when the batch in hand is stored and acked; without a database, at once. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#writer.stop()
    this.#bell.ring()
    await this.#running
  }

  #becomeActive(now: number): void {
    this.#phase = 'active'
    this.#activeSince = now
    // It came back although it was handed over: who should have it does not take it.
    if (this.#handedOverAt !== null && now - this.#handedOverAt < this.#times.restMs * 10) this.keptSince = now
    this.#handedOverAt = null
  }

  /** One connection, from its beginning to its end. */
  async #attend(session: Session): Promise<void> {
    let complaint = ''
    while (!this.#isOver(session)) {
      this.#forget()
      try {
        this.#phase = 'standing by'
        await this.#subscribe(session)
      } catch (error) {
        if (this.#isOver(session)) break
        const words = (error as Error).message
        if (words !== complaint) this.#env.say('warning', `cannot subscribe, trying again: ${words}`, { part: this.part })
        complaint = words
        await this.#rest(session, this.#times.restMs * 5)
        continue
      }
      complaint = ''
      const why = await this.#consume(session)
      if (!session.isLost) await this.#leave(session, why)
      if (!this.#isOver(session)) await this.#restBecause(session, why)
    }
    this.#forget()
    this.#phase = 'away'
  }

  /**
   * RabbitMQ that is killed within seconds of making a quorum queue may list it afterwards and never answer for it (seen with 3.10.8). Only
   * a person can know that nothing else is wrong, and make it anew.
   */
  async #subscribe(session: Session): Promise<void> {
    const cancel = this.#env.after(SILENCE_MS, () => {
      const remedy = 'if that does not end, delete the queue (rabbitmqctl delete_queue): it is made again, and the node publishes again'
      this.#env.say('warning', `the broker does not answer for the queue of a part; ${remedy}`, { part: this.part })
    })
    try {
      await session.channel.subscribe(this.part)
    } finally {
      cancel()
    }
  }

  #isOver(session: Session): boolean {
    return session.isLost || this.#isStopping
  }

  #forget(): void {
    this.#inbox.clear()
    this.#holes.clear()
    this.#isCancelled = false
    this.#cannotCopy = false
    this.#mustHandOver = false
    this.#activeSince = null
  }

  /** Batch after batch, until there is a reason to leave. */
  async #consume(session: Session): Promise<Leave> {
    for (;;) {
      if (session.isLost) return 'lost'
      if (this.#isStopping) return 'stop'
      if (this.#isCancelled) return 'cancelled'
      if (this.#cannotCopy) return 'no copies'
      if (this.#mustHandOver) return 'hand over'
      const waitMs = this.#waitMs()
      if (waitMs > 0) await this.#bell.wait(waitMs)
      else {
        const leave = await this.#writeOne(session)
        if (leave !== null) return leave
      }
    }
  }

  /** How long until there is a batch worth writing; 0: now. */
  #waitMs(): number {
    const now = this.#env.monotonic()
    const first = this.#inbox.first(this.#waiting)
    if (first !== null) {
      if (this.#inbox.open >= this.#options.batch) return 0
      const { lingerMs, behindLingerMs, behindMs } = this.#times
      const isBehind = this.#ageOf(first.message.time) > behindMs
      return Math.max(0, first.at + (isBehind ? behindLingerMs : lingerMs) - now)
    }
    const retryAt = Math.min(Infinity, ...[...this.#holes.values()].map((hole) => hole.retryAt).filter((at) => at > now))
    return retryAt - now
  }

  async #writeOne(session: Session): Promise<Leave | null> {
    const pick = this.#inbox.pick(this.#options.batch, this.#waiting)
    if (pick === null) return null
    const at: StreamPart = { stream: pick.stream, part: this.part }
    let outcome: WriteOutcome
    try {
      this.#openSince = null
      this.#isWriting = true
      outcome = await this.#writer.write({ ...at, events: pick.entries.map(({ message }) => readEvent(message)) })
    } catch (error) {
      if (!(error instanceof WriteGivenUp)) throw error
      if (session.isLost) return 'lost'
      return this.#isStopping ? 'stop' : 'trouble'
    } finally {
      this.#isWriting = false
    }
    // The transaction has ended: what it says is true whether the broker still listens or not.
    const stored = pick.entries.findLast(({ message }) => message.pseq <= outcome.cursor)
    if (outcome.stored > 0) this.lastStoredAt = this.#env.now()
    this.#options.onOutcome(at, outcome, stored === undefined ? 0 : this.#ageOf(stored.message.time))
    if (session.isLost) return 'lost'
    if (outcome.conflict !== null) return this.#halt(at, outcome, `two histories under one name: ${outcome.conflict}`)
    await this.#copyDead(session, at, outcome)
    for (const entry of [...pick.entries, ...pick.doubles]) if (entry.message.pseq <= outcome.cursor) this.#inbox.done(entry)
    const leave = outcome.early > 0 ? this.#onHole(session, at, pick, outcome) : null
    if (outcome.early === 0) this.#holes.delete(at.stream)
    if (leave === null && outcome.stored > 0) this.halted = null
    this.#ack(session)
    return leave
  }

  /** Clocks of two machines differ, and 0 is no time at all. */
  #ageOf(time: number): number {
    return time === 0 ? 0 : Math.max(0, this.#env.now() - time)
  }

  #ack(session: Session): void {
    const tag = this.#inbox.settle()
    if (tag !== null && !session.isLost) session.channel.ack(this.part, tag)
  }

  /** An event before these is missing. Where is it? With another consumer, for a moment; or only in the node's log; or nowhere. */
  #onHole(session: Session, at: StreamPart, { entries, doubles }: Pick, { cursor }: WriteOutcome): Leave | null {
    const now = this.#env.monotonic()
    const before = this.#holes.get(at.stream)
    const hole: Hole = before?.cursor === cursor ? before : { cursor, since: now, retryAt: now, retryMs: HOLE_RETRY_MS, soughtAt: null }
    this.#holes.set(at.stream, hole)
    if (hole.soughtAt === null && now - hole.since < this.#times.patienceMs) {
      hole.retryAt = now + hole.retryMs
      hole.retryMs = Math.min(hole.retryMs * 2, this.#times.patienceMs / 4)
      return null
    }
    const early = [...entries, ...doubles].filter(({ message }) => message.pseq > cursor)
    const oldest = Math.max(...early.map(({ message }) => message.oldest))
    if (cursor > 0 && cursor + 1 < oldest) {
      const words = `events ${cursor + 1} to ${oldest - 1} are missing in the database, and the node's log begins at ${oldest}`
      return this.#halt(at, { cursor }, words)
    }
    // The log has them all, and will publish them again behind the missing one: they need not be kept.
    for (const entry of early) this.#inbox.done(entry)
    hole.retryAt = now
    if (hole.soughtAt === null || now - hole.soughtAt >= this.#times.seekMs) {
      hole.soughtAt = now
      // Without a cursor the first event that the log has is wanted, not the first that there ever was.
      const pseq = cursor > 0 ? cursor : oldest - 1
      this.seeks++
      this.#env.say('notice', 'events are missing in the queue: asking the node for them', { ...at, after: pseq, early: early.length })
      session.channel.feedback({ kind: 'seek', ...at, pseq } satisfies Feedback)
    }
    return null
  }

  /** Nobody but a person can say what is right: nothing of this part is stored until then. */
  #halt(at: StreamPart, { cursor }: { readonly cursor: number }, words: string): Leave {
    if (this.halted !== words) {
      this.halts++
      const remedy = `the part waits until its cursor is set: stockd-orders cursor --help`
      this.#env.say('warning', `ALARM: ${words}; ${remedy}`, { ...at, cursor })
    }
    this.halted = words
    return { stream: at.stream, cursor }
  }

  /** Ends the subscription, and leaves the broker no delivery that nobody looks after. */
  async #leave(session: Session, why: Leave): Promise<void> {
    this.#phase = 'leaving'
    const { channel } = session
    try {
      if (why !== 'cancelled') await channel.unsubscribe(this.part)
    } catch (error) {
      if (!session.isLost) this.#env.say('warning', `cannot unsubscribe: ${(error as Error).message}`, { part: this.part })
    }
    if (why === 'hand over') await this.#finish(session)
    const tag = this.#inbox.lastTag
    if (tag !== null && !session.isLost) channel.requeue(this.part, tag)
    this.#inbox.clear()
  }

  /** What came before the subscription ended is stored, if that goes smoothly: put back it would come late to whoever is next. */
  async #finish(session: Session): Promise<void> {
    const deadline = this.#env.monotonic() + this.#times.restMs * 5
    while (!this.#isOver(session) && this.#env.monotonic() < deadline && this.#inbox.first(this.#waiting) !== null) {
      if ((await this.#writeOne(session)) !== null) return
    }
  }

  async #restBecause(session: Session, why: Leave): Promise<void> {
    this.#phase = 'resting'
    if (typeof why === 'object') return this.#restUntilDecided(session, why)
    switch (why) {
      case 'trouble':
        try {
          await this.#writer.recover(this.part)
        } catch (error) {
          if (!(error instanceof WriteGivenUp)) throw error
        }
        return
      case 'hand over':
        this.#env.say('verbose', 'handed over to another consumer', { part: this.part })
        this.#handedOverAt = this.#env.monotonic()
        return this.#rest(session, this.#times.restMs)
      case 'cancelled':
      case 'no copies':
        return this.#rest(session, this.#times.restMs)
      case 'lost':
      case 'stop':
        return
      default:
        return unreachable(why)
    }
  }

  async #restUntilDecided(session: Session, at: { readonly stream: string; readonly cursor: number }): Promise<void> {
    const until = this.#env.monotonic() + this.#times.retryHaltMs
    while (!this.#isOver(session) && this.#env.monotonic() < until) {
      await this.#rest(session, this.#times.haltMs)
      try {
        const cursors = await this.#options.store.cursors()
        const cursor = cursors.find(({ stream, part }) => stream === at.stream && part === this.part)?.pseq ?? 0
        if (cursor !== at.cursor) break
      } catch {
        // A store that does not answer has not been told anything either.
      }
    }
  }

  async #rest(session: Session, ms: number): Promise<void> {
    const until = this.#env.monotonic() + ms
    for (let left = ms; left > 0 && !this.#isOver(session); left = until - this.#env.monotonic()) await this.#bell.wait(left)
  }

  /** What cannot be ours as it stands is kept for people, in the queue of dead letters, before it is acked. */
  async #copyUnreadable(session: Session, { tag, raw }: Delivery): Promise<void> {
    const deadline = this.#env.monotonic() + this.#times.holdMs
    const reason = 'its headers or message id cannot be read'
    this.#env.say('warning', `a message that is no event, ${reason}: it goes to the dead letters`, {
      part: this.part,
      bytes: raw.content.length,
    })
    while (!session.isLost && this.#inbox.has(tag)) {
      try {
        await session.channel.deadLetter({ payload: raw.content, headers: { part: this.part, code: 'envelope', reason } })
        if (session.isLost || !this.#inbox.has(tag)) return
        this.unreadable++
        this.#inbox.doneUnreadable(tag)
        this.#ack(session)
        return
      } catch (error) {
        if (session.isLost) return
        this.#env.say('warning', `no copy could be made, trying again: ${(error as Error).message}`, { part: this.part })
      }
      if (this.#env.monotonic() >= deadline) {
        this.#cannotCopy = true
        this.#bell.ring()
      }
      await new Bell(this.#env).wait(COPY_PAUSE_MS)
    }
  }

  /** Beside dead_events, which has it for certain. */
  async #copyDead(session: Session, at: StreamPart, { dead }: WriteOutcome): Promise<void> {
    for (const event of dead) {
      for (let attempt = 1; attempt <= COPY_ATTEMPTS && !session.isLost; attempt++) {
        try {
          await session.channel.deadLetter({ payload: event.payload, headers: { ...at, pseq: event.pseq, ...event.dead } })
          break
        } catch (error) {
          if (session.isLost) return
          if (attempt === COPY_ATTEMPTS) {
            this.#env.say('warning', `a dead event has no copy with the broker, only in the database: ${(error as Error).message}`, {
              ...at,
              pseq: event.pseq,
            })
          } else await new Bell(this.#env).wait(COPY_PAUSE_MS)
        }
      }
    }
  }

  /** Only while a batch is in hand: who rests holds nothing. */
  #onCircuit(state: CircuitState): void {
    if (!this.#isWriting || state.phase !== 'open') return
    const now = this.#env.monotonic()
    this.#openSince ??= now
    if (now - this.#openSince >= this.#times.holdMs) this.#writer.giveUp()
  }
}
