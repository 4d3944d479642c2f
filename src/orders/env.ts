// The outside as the rooms of the way see it: time, timers, random numbers, the process log. Injected, so that a simulation runs the same
// publisher and consumer from a seed.

export type Level = 'debug' | 'verbose' | 'notice' | 'warning'

export interface OrdersEnv {
  /** Unix ms; may step with the wall clock: for rows and messages. */
  now(): number
  /** Milliseconds that never go back: for durations. */
  monotonic(): number
  /** @returns what takes it back */
  after(ms: number, run: () => void): () => void
  /** 0 <= x < 1: jitter. */
  random(): number
  /** A line for operators. Details never hold secrets. */
  say(level: Level, message: string, details?: Readonly<Record<string, unknown>>): void
}

/** The outside of a process in earnest. */
export class SystemOrdersEnv implements OrdersEnv {
  readonly say: OrdersEnv['say']

  constructor(say: OrdersEnv['say']) {
    this.say = say
  }

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  after(ms: number, run: () => void): () => void {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  }

  random(): number {
    return Math.random()
  }
}
