// Simulated time: timers run in the order of their instants, and between two of them everything that was promised comes true. A storm of
// minutes runs in milliseconds, and the same seed goes the same way.

import type { Level, OrdersEnv } from '../../src/orders/env.ts'
import type { Random } from '../../src/base/random.ts'

interface Timer {
  readonly at: number
  readonly nth: number
  readonly run: () => void
  isCancelled: boolean
}

export class SimTime {
  now = 0
  readonly #timers: Timer[] = []
  #count = 0

  /** Runs it after `ms`. @returns what takes it back */
  after(ms: number, run: () => void): () => void {
    const timer: Timer = { at: this.now + Math.max(0, ms), nth: this.#count++, run, isCancelled: false }
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#timers[middle]
      // Latest first, so that the next one is taken off the end.
      if (other.at > timer.at || (other.at === timer.at && other.nth > timer.nth)) low = middle + 1
      else high = middle
    }
    this.#timers.splice(low, 0, timer)
    return () => {
      timer.isCancelled = true
    }
  }

  /** Resolves after `ms` of simulated time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /** Lets time pass until `isOver`, or until `ms` are over. @returns whether it became over */
  async run(ms: number, isOver: () => boolean = () => false): Promise<boolean> {
    const end = this.now + ms
    for (;;) {
      await settled()
      if (isOver()) return true
      const timer = this.#timers.at(-1)
      if (timer === undefined || timer.at > end) {
        this.now = end
        return false
      }
      this.#timers.pop()
      if (timer.isCancelled) continue
      this.now = timer.at
      timer.run()
    }
  }

  /** An outside for whom `isAlive`: timers of a process that was killed do not run any more. */
  env(random: Random, say: (level: Level, message: string) => void, isAlive: () => boolean = () => true): OrdersEnv {
    return {
      now: () => 1_700_000_000_000 + this.now,
      monotonic: () => this.now,
      after: (ms, run) => this.after(ms, () => isAlive() && run()),
      random: () => random.float(),
      say(level, message, details) {
        if (isAlive()) say(level, details === undefined ? message : `${message} ${JSON.stringify(details)}`)
      },
    }
  }
}

/** Every promise that can come true without time passing has. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
