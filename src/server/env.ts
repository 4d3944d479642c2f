// What the outside gives a node: time, the end of the loop's turn, timers, random seeds, memory figures and a place to say things.
//
// A real node gets SystemEnv; the simulator and the tests give their own, and nothing in turn, session, dispatch or engine knows the
// difference. The disk is injected into the log and the network is whatever calls `turn.receive`.

import { randomBytes } from 'node:crypto'
import { type PerformanceEntry, PerformanceObserver, constants } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SystemClock } from '../base/clock.ts'
import type { Millis } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'

/** How loud a line is; also the words of Redis's `loglevel`. */
export type Level = 'debug' | 'verbose' | 'notice' | 'warning'

/** One line for people or for a collector of logs. Fields are facts beside the sentence: `say('notice', 'ready', { port: 7379 })`. */
export type Say = (level: Level, message: string, fields?: Readonly<Record<string, string | number | boolean>>) => void

export interface Env {
  readonly clock: Clock
  /** The clock shows this instant or a later one from now on: the log has seen it. */
  startNoEarlierThan(instant: Millis): void
  readonly say: Say
  /** Runs once, after the input that this pass of the event loop has brought. */
  endOfTurn(run: () => void): void
  /** Runs every `ms` until the returned function is called. */
  every(ms: number, run: () => void): () => void
  /** Unpredictable 32 bits. */
  random32(): number
  /** Bytes of memory that JavaScript knows of: the heap and what hangs on it, garbage included. Small rows are not in it. */
  memoryUsed(): number
  /** How many full garbage collections there have been. */
  collections(): number
  /** Collects garbage now: a pause of some milliseconds. */
  collectGarbage(): void
}

/** A clock that can be put forward, once, before anybody has asked it for long. */
class AdjustedClock implements Clock {
  #clock = new SystemClock()

  now(): Millis {
    return this.#clock.now()
  }

  micros(): number {
    return this.#clock.micros()
  }

  startNoEarlierThan(instant: Millis): void {
    if (this.#clock.now() < instant) this.#clock = new SystemClock(instant)
  }
}

export class SystemEnv implements Env {
  readonly clock = new AdjustedClock()
  readonly say: Say

  #collections = 0

  constructor(say: Say) {
    this.say = say
    const isFull = (entry: PerformanceEntry): boolean =>
      (entry as { detail?: { kind?: number } }).detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR
    new PerformanceObserver((list) => {
      this.#collections += list.getEntries().filter(isFull).length
    }).observe({ entryTypes: ['gc'] })
  }

  startNoEarlierThan(instant: Millis): void {
    this.clock.startNoEarlierThan(instant)
  }

  endOfTurn(run: () => void): void {
    setImmediate(run)
  }

  every(ms: number, run: () => void): () => void {
    const timer = setInterval(run, ms)
    return () => clearInterval(timer)
  }

  random32(): number {
    return randomBytes(4).readUInt32LE(0)
  }

  memoryUsed(): number {
    // Not process.memoryUsage: that reads a file for the resident size.
    const { used_heap_size, external_memory } = getHeapStatistics()
    return used_heap_size + external_memory
  }

  collections(): number {
    return this.#collections
  }

  collectGarbage(): void {
    // The collector cannot be called unless V8 was told so; that it may be at any time is Node's own advice.
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    collect()
  }
}
