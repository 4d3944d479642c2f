// Who looks after the sessions, once a second: it closes those that are idle, stuck in half a request, that do not say who they are, do not
// go, or hold too much input.
//
// What stays true: a peer that does nothing costs a node little, and not for ever.

import { totalmem } from 'node:os'
import type { Env } from './env.ts'
import type { Options } from './options.ts'
import type { Session } from './session.ts'
import type { Stats } from './stats.ts'
import type { Turn } from './turn.ts'

/** A part of a request that does not get on for so long is given up, with its connection. */
const PARTIAL_MS_MAX = 30_000
/** A partial request that brought so many bytes since it was last looked at gets on. */
const PARTIAL_PROGRESS_BYTES = 64 * 1024
/** Who does not authenticate in time makes room for others. */
const UNAUTHENTICATED_MS_MAX = 10_000
/** A session whose peer takes nothing, or sends no more and may be gone, is not waited for longer. */
const CLOSING_MS_MAX = 30_000
/** A peer that has all its replies and our end has so long to close its side. */
const LINGERING_MS_MAX = 2000
/** Unfinished requests of all sessions together may take this share of the memory. */
const INPUT_SHARE = 0.25

export interface CaretakerParts {
  readonly options: Options
  readonly env: Env
  readonly stats: Stats
  readonly turn: Turn
  readonly sessions: ReadonlyMap<number, Session>
}

export class Caretaker {
  readonly #parts: CaretakerParts
  readonly #progress = new WeakMap<Session, { since: number; at: number; bytes: number }>()
  readonly #closingSince = new WeakMap<Session, number>()

  constructor(parts: CaretakerParts) {
    this.#parts = parts
  }

  /** One look at each session. */
  round(now: number): void {
    const { options, turn, sessions } = this.#parts
    let input = 0
    for (const session of sessions.values()) {
      input += heldInput(session)
      if (session.isReadingPaused) turn.probe(session)
      turn.delivery.checkOutput(session)
      this.#closeIfDue(session, now)
    }
    const { maxmemory } = options.values
    const limit = INPUT_SHARE * (maxmemory > 0 ? maxmemory : totalmem())
    if (input > limit) this.#dropLargestInput(input, limit)
  }

  #closeIfDue(session: Session, now: number): void {
    const idleMs = this.#parts.options.values.timeout * 1000
    if (session.isClosing || (session.hasEnded && session.parked !== null)) {
      const since = this.#closingSince.get(session) ?? now
      this.#closingSince.set(session, since)
      const isOver = session.isClosing && session.outputQueued === 0
      if (now - since >= (isOver ? LINGERING_MS_MAX : CLOSING_MS_MAX)) session.transport.destroy()
    } else if (!session.isAdmitted && now - session.strangerSince >= UNAUTHENTICATED_MS_MAX) this.#timeOut(session, 'did not authenticate')
    else if (idleMs > 0 && !mayBeIdle(session) && now - session.lastInteraction >= idleMs) this.#timeOut(session, 'was idle')
    else if (this.#isStuck(session, now)) this.#timeOut(session, 'sent half a request and no more')
  }

  /** Half a request, old, and it does not get on. */
  #isStuck(session: Session, now: number): boolean {
    const since = session.parser.partialSince
    if (since === 0 || session.isReadingPaused) return false
    let seen = this.#progress.get(session)
    if (seen === undefined || seen.since !== since) this.#progress.set(session, (seen = { since, at: since, bytes: 0 }))
    const bytes = session.inputQueued
    if (bytes - seen.bytes >= PARTIAL_PROGRESS_BYTES) {
      seen.at = now
      seen.bytes = bytes
    }
    return now - seen.at >= PARTIAL_MS_MAX
  }

  #timeOut(session: Session, why: string): void {
    const { env, stats } = this.#parts
    stats.timeoutClosed++
    env.say('verbose', `closed a client that ${why}`, { id: session.id, addr: session.addr })
    session.transport.destroy()
  }

  #dropLargestInput(input: number, limit: number): void {
    const { env, stats, sessions } = this.#parts
    const largestFirst = [...sessions.values()].sort((a, b) => heldInput(b) - heldInput(a))
    for (const session of largestFirst) {
      if (input <= limit) return
      const bytes = heldInput(session)
      stats.queryLimitClosed++
      env.say('warning', 'closed the client with the largest unfinished request: all of them together take too much memory', {
        id: session.id,
        addr: session.addr,
        bytes,
        all: input,
      })
      session.transport.destroy()
      input -= bytes
    }
  }
}

/** Who waits for something, listens to channels or monitors says nothing for a good reason. */
function mayBeIdle({ parked, subscriptions, monitoring }: Session): boolean {
  return parked !== null || subscriptions > 0 || monitoring !== null
}

/** Bytes that a session has sent and that have not run. */
function heldInput(session: Session): number {
  return session.inputQueued + session.transactionBytes
}
