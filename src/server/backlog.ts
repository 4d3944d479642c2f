// What follows for the node from how far its events got: orders stay in memory until they are stored elsewhere, and when too many events
// wait, new orders are refused (BACKLOG) while CONFIRM and RELEASE go on.
//
// What stays true: `ledger.storedThrough` is never later than the truth, and never later than an event that is still to come may say that it
// happened: an expiry says its deadline.

import type { Engine } from '../engine/engine.ts'
import type { Env } from './env.ts'
import type { FeedStatus } from './event-feed.ts'

const FULL = 100
/** Percent of the limit at which it is told. */
const STEPS = [50, 75, 90, FULL]
/** It is over when it has come down to this share of a step: a backlog at the edge does not open and close the shop with every batch. */
const RELIEF = 0.9
const MIB = 1024 * 1024

export class Backlog {
  /** The highest step that is reached, 0: none. */
  #step = 0
  readonly #engine: Engine
  readonly #env: Env

  constructor({ engine, env }: { engine: Engine; env: Env }) {
    this.#engine = engine
    this.#env = env
  }

  /** @param isWritable the log takes records: time is not ahead of what has expired */
  follow(status: FeedStatus, lastLsn: number, isWritable: boolean): void {
    this.#forget(status, lastLsn, isWritable)
    const { backlogBytes: bytes, backlogBytesMax: max } = status
    const percent = max > 0 ? (bytes / max) * 100 : 0
    const reached = STEPS.findLast((step) => percent >= step) ?? 0
    if (reached > this.#step) this.#rise(reached, status)
    else if (this.#step > 0 && percent < this.#step * RELIEF) this.#fall(reached, bytes)
  }

  #forget(status: FeedStatus, lastLsn: number, isWritable: boolean): void {
    const { ledger, now } = this.#engine
    if (status.sink === 'none') ledger.storedThrough = Infinity
    else if (status.storedLsn < lastLsn) ledger.storedThrough = status.storedTime
    else if (isWritable) ledger.storedThrough = Math.min(now, ledger.state.heap.top?.firstDeadline ?? Infinity) - 1
  }

  #rise(step: number, status: FeedStatus): void {
    this.#step = step
    const isFull = step === FULL
    if (isFull) this.#engine.backlogFull = true
    this.#env.say(
      'warning',
      `${step} % of outbox-backlog are in use: the events in ${mebibytes(status.backlogBytes)} of the log are not stored yet (${status.state}); ` +
        (isFull
          ? 'new orders are refused with BACKLOG, CONFIRM and RELEASE go on'
          : `at ${mebibytes(status.backlogBytesMax)} new orders are refused`),
    )
  }

  #fall(step: number, bytes: number): void {
    this.#step = step
    const wasFull = this.#engine.backlogFull
    this.#engine.backlogFull = false
    this.#env.say('notice', `the backlog of events has come down to ${mebibytes(bytes)}${wasFull ? ': new orders are taken again' : ''}`)
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}
