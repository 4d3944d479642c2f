// Under `always`: how the node waits for its fsyncs.
//
//   a fast device (well under a millisecond)   the node itself waits, as Redis does: handing the fsync to another thread and hearing of it
//                                              costs as much again, and what comes meanwhile makes the next batch anyway
//   a slower one                               a thread waits, the node goes on serving; and before the next fsync begins it gives a
//                                              moment to those whom the last one has released
//
// That moment: clients that wait for their reply write again as soon as they have it. If the next fsync began at once they would miss it,
// and two groups would take turns, each waiting for the other's fsync too. So the commit waits until as many records are there as the
// last two groups had, for a quarter of the time that an fsync takes and never more than a millisecond. One client alone never waits.

import type { Log } from '../aof/log.ts'
import type { Env } from './env.ts'

/** On average below this an fsync is worth waiting for on the spot. */
const FAST_MICROS = 1000
/** Weight of the newest fsync in the average: one stall ends the waiting, some twenty fast ones bring it back. */
const NEWEST = 0.1
const SHARE_OF_SYNC = 0.25
const WAIT_MICROS_MAX = 1000

export class SyncPace {
  readonly #env: Env
  readonly #isAlways: () => boolean
  #average = FAST_MICROS
  /** What was durable when `gather` was last asked. */
  #durable = 0

  constructor(env: Env, isAlways: () => boolean) {
    this.#env = env
    this.#isAlways = isAlways
  }

  /** True if the node shall wait for its next fsync itself. */
  get isOnTheSpot(): boolean {
    return this.#average < FAST_MICROS && this.#isAlways()
  }

  /** An fsync has taken so long. */
  took(micros: number): void {
    this.#average += (micros - this.#average) * NEWEST
  }

  /** Calls `commit`, now or some passes of the loop later. */
  gather(log: Log, commit: () => void): void {
    const { clock } = this.#env
    const released = log.durable - this.#durable
    const waiting = log.last - log.durable
    this.#durable = log.durable
    if (this.isOnTheSpot || (released <= 1 && waiting === 0)) return commit()
    const expected = released + waiting
    const until = clock.micros() + Math.min(WAIT_MICROS_MAX, this.#average * SHARE_OF_SYNC)
    const look = (): void => {
      if (clock.micros() < until && log.last - log.durable < expected) this.#env.endOfTurn(look)
      else commit()
    }
    look()
  }
}
