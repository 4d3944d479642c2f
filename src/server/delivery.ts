// Delivery: how replies leave for a session's socket, or wait, for the log or for a reader.
//
// What stays true: what a session is sent leaves in its order; nothing that depends on the log leaves before the log has acked it. If the
// log fails, each reply that depends on it becomes the error. A session that does not read is not read from, and at its limit is closed.

import type { Lsn, Millis } from '../base/brand.ts'
import type { Engine } from '../engine/engine.ts'
import type { Env } from './env.ts'
import { DEFAULT_OUTPUT_LIMITS } from './options/kinds.ts'
import type { OutputLimit, OutputLimits } from './options/kinds.ts'
import type { Held, Session } from './session.ts'
import type { Stats } from './stats.ts'

/** Replies that have not left: above this a session runs nothing more and is not read from. */
export const OUTPUT_PAUSE_BYTES = 1024 * 1024

const NONE = 0 as Lsn

/** The records from..to are not where the policy wants them, and may never be. */
interface Failure {
  readonly from: Lsn
  readonly to: Lsn
  readonly error: Buffer
}

export interface DeliveryParts {
  readonly engine: Engine
  readonly stats: Stats
  readonly env: Env
  /** Replies that depend on records up to here may leave. */
  readonly acked: () => Lsn
  /** True if the open turn has replies for this session, which come behind what is held. */
  readonly isAnswering: (session: Session) => boolean
  /** Nothing is held for this session any more. */
  readonly drained: (session: Session) => void
}

export class Delivery {
  /** When a session that does not read is closed; those that listen to channels have limits of their own. */
  outputLimits: OutputLimits = DEFAULT_OUTPUT_LIMITS
  readonly #engine: Engine
  readonly #stats: Stats
  readonly #env: Env
  readonly #acked: () => Lsn
  readonly #isAnswering: (session: Session) => boolean
  readonly #drained: (session: Session) => void
  /** The log's last failure, until those records are acked after all. */
  #failure: Failure | null = null
  /** Sessions with replies that wait for the log. */
  readonly #holding: Session[] = []

  constructor({ engine, stats, env, acked, isAnswering, drained }: DeliveryParts) {
    this.#engine = engine
    this.#stats = stats
    this.#env = env
    this.#acked = acked
    this.#isAnswering = isAnswering
    this.#drained = drained
  }

  /** True if no reply waits for the log. */
  get isIdle(): boolean {
    return this.#holding.length === 0
  }

  /** The log got further. */
  acked(): void {
    this.#releaseAll()
  }

  /** The log failed with the records from..to: who waits for one of them gets this error instead of the reply. */
  failed(from: Lsn, to: Lsn, message: string): void {
    const error = Buffer.from(`-${message}\r\n`, 'latin1')
    // It stays in force: under `always` a later reader of what is not durable gets it as well.
    this.#failure = { from: this.#failure === null ? from : (Math.min(this.#failure.from, from) as Lsn), to, error }
    for (const session of this.#holding) {
      for (const held of session.held) if (held.need >= from && held.need <= to) this.#fail(session, held, error)
    }
    this.#releaseAll()
  }

  /** The log has acked so much: a failure of those records is over. */
  forgive(acked: Lsn): void {
    if (this.#failure !== null && this.#failure.to <= acked) this.#failure = null
  }

  /** Closes a session whose messages of this turn alone are too many. */
  limitMessages(session: Session): void {
    if (isOver(this.#outputLimit(session).hardBytes, session.outputQueued)) this.#closeUnread(session)
  }

  /** Looks whether a session has been above its soft limit for too long: it may have been sent nothing since. */
  checkOutput(session: Session): void {
    if (session.overSoftSince > 0 && !session.isClosing) this.#limitSoft(session, this.#env.clock.now())
  }

  /** @returns true if the kernel has all bytes; else their memory must stay. */
  send(session: Session, bytes: Buffer): boolean {
    const { transport } = session
    session.outputBytes += bytes.length
    this.#stats.netOutputBytes += bytes.length
    if (transport.write(bytes)) return true
    this.#limitOutput(session, bytes.length, this.#engine.now)
    return false
  }

  /** A session may have so many bytes unread, and what was just sent (`newest` bytes) on top: whatever can be stored can be read. */
  #limitOutput(session: Session, newest: number, now: Millis): void {
    const queued = session.outputQueued
    const isListening = session.subscriptions > 0
    if (isOver(this.#outputLimit(session).hardBytes, isListening ? queued : queued - newest)) return this.#closeUnread(session)
    this.#limitSoft(session, now)
    if (queued > OUTPUT_PAUSE_BYTES && !session.isClosing) pauseReading(session)
  }

  #limitSoft(session: Session, now: Millis): void {
    const { softBytes, softSeconds } = this.#outputLimit(session)
    if (!isOver(softBytes, session.outputQueued)) session.overSoftSince = 0
    else if (session.overSoftSince === 0) session.overSoftSince = now
    else if (now - session.overSoftSince > softSeconds * 1000) this.#closeUnread(session)
  }

  #outputLimit(session: Session): OutputLimit {
    return session.subscriptions > 0 ? this.outputLimits.pubsub : this.outputLimits.normal
  }

  #closeUnread(session: Session): void {
    this.#stats.outputLimitClosed++
    this.#env.say('warning', 'closed a client that does not read its replies', {
      id: session.id,
      addr: session.addr,
      queued: session.outputQueued,
    })
    session.isClosing = true
    session.transport.destroy()
  }

  hold(session: Session, held: Held): void {
    session.held.push(held)
    session.heldBytes += held.bytes.length
    const newest = held.bytes.length
    const failure = this.#failure
    if (failure !== null && held.need >= failure.from && held.need <= failure.to) this.#fail(session, held, failure.error)
    const isFirst = session.held.length === 1
    if (!this.#release(session)) {
      if (isFirst) this.#holding.push(session)
      this.#limitOutput(session, newest, this.#engine.now)
    }
  }

  /** The marked replies become the error: whether their records survive is not known. */
  #fail(session: Session, held: Held, error: Buffer): void {
    const { bytes, marks } = held
    const parts: Buffer[] = []
    let at = 0
    for (let i = 0; marks !== null && i < marks.length; i += 2) {
      parts.push(bytes.subarray(at, marks[i]), error)
      at = marks[i + 1]
    }
    parts.push(bytes.subarray(at))
    session.heldBytes -= bytes.length
    held.bytes = Buffer.concat(parts)
    held.marks = null
    held.need = NONE
    session.heldBytes += held.bytes.length
  }

  /** Sends the held replies that may leave now. @returns true if none is left. */
  #release(session: Session): boolean {
    const { held } = session
    const acked = this.#acked()
    let n = 0
    while (n < held.length && held[n].need <= acked) n++
    if (n > 0) {
      const bytes = n === 1 ? held[0].bytes : Buffer.concat(held.slice(0, n).map((h) => h.bytes))
      held.splice(0, n)
      session.heldBytes -= bytes.length
      if (!session.isClosed) this.send(session, bytes)
    }
    if (held.length > 0) return false
    if (!session.isClosing) this.#drained(session)
    else if (!session.isClosed && !this.#isAnswering(session)) hangUp(session)
    return true
  }

  #releaseAll(): void {
    const holding = this.#holding
    let kept = 0
    for (const session of holding) if (!this.#release(session)) holding[kept++] = session
    holding.length = kept
  }
}

/** 0: there is no limit. */
function isOver(limit: number, bytes: number): boolean {
  return limit > 0 && bytes > limit
}

/** Says no more, and hears no more. */
export function hangUp(session: Session): void {
  session.listening?.end()
  session.transport.end()
}

export function pauseReading(session: Session): void {
  if (session.isReadingPaused) return
  session.isReadingPaused = true
  session.transport.pause()
}
