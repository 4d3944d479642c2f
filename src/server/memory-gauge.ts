// How much memory the node uses: what INFO tells, and what maxmemory limits.
//
//   used = exact + rest
//
//   exact   what keys, orders and their indexes take, and what waits in the buffers of the sessions: known to the byte at any moment
//   rest    all else on the JavaScript heap (code, SKUs, sessions ...): what it holds less what is exact, right after a collection
//
// What stays true: what is deleted counts no more at once, whether or not the garbage collector has been around. Garbage does not count:
// between two full collections `rest` only falls.
//
// Unusual: the collector does not know how much segments of small rows are (table/arena.ts). After much of them was let go, by FLUSHALL
// for example, it is called: else their memory would stay with the process for as long as little happens on the heap.

import type { Engine } from '../engine/engine.ts'
import type { Env } from './env.ts'
import type { Session } from './session.ts'

/** So much that was let go is worth a pause of some milliseconds. */
const ABANDONED_BYTES_MAX = 64 * 1024 * 1024

export class MemoryGauge {
  readonly #env: Env
  readonly #engine: Engine
  readonly #sessions: ReadonlyMap<number, Session>
  #rest = 0
  /** The full collections that `rest` knows of. */
  #collections = -1
  /** What had been let go when the collector was called last. */
  #abandoned = 0

  constructor(env: Env, engine: Engine, sessions: ReadonlyMap<number, Session>) {
    this.#env = env
    this.#engine = engine
    this.#sessions = sessions
  }

  /** Bytes of memory in use. */
  get used(): number {
    const { keyspace, ledger } = this.#engine
    let buffers = 0
    for (const session of this.#sessions.values()) buffers += session.inputQueued + session.outputQueued
    const exact = keyspace.usedBytes + ledger.usedBytes + buffers
    const known = exact - keyspace.hiddenBytes - ledger.hiddenBytes
    const rest = Math.max(0, this.#env.memoryUsed() - known)
    const collections = this.#env.collections()
    if (collections !== this.#collections || rest < this.#rest) this.#rest = rest
    this.#collections = collections
    return exact + this.#rest
  }

  /** Calls the collector if much was let go that it does not know of. */
  collect(): void {
    const { keyspace, ledger } = this.#engine
    const abandoned = keyspace.abandonedBytes + ledger.abandonedBytes
    if (abandoned - this.#abandoned < ABANDONED_BYTES_MAX) return
    this.#abandoned = abandoned
    this.#env.collectGarbage()
  }
}
