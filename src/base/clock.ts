// The clock of a node: wall time at start plus monotonic time since, so that a step of the wall clock moves nothing.
// The only file of the pure rooms that reads time; the engine gets `now` as an argument.

import type { Millis } from './brand.ts'

export interface Clock {
  /** Unix milliseconds; never goes back. */
  now(): Millis
  /** Microseconds of a monotonic clock, for measuring durations. */
  micros(): number
}

export class SystemClock implements Clock {
  readonly #origin: number

  /** @param notBefore the newest instant that the log has seen: a clock that was set back while the node was down does not take it back in time. */
  constructor(notBefore = 0) {
    const sinceStart = performance.now()
    // Not Date.now(): it leaves out what is less than a millisecond, and this clock would be that much behind everybody else's.
    this.#origin = Math.max(performance.timeOrigin + sinceStart, notBefore) - sinceStart
  }

  now(): Millis {
    return Math.floor(this.#origin + performance.now()) as Millis
  }

  micros(): number {
    return performance.now() * 1000
  }
}
