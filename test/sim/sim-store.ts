// A database of orders that exists in memory, decides like the real ones (store/batch-plan.ts), and fails in every way, from a seed.
//
// A transaction takes simulated time, holds the lock of its cursor, and can fail before it begins, in the middle, at COMMIT, or after COMMIT
// with the answer lost on its way. Each process has a connection of its own, which dies with it: what was under way then commits or not.

import type { Random } from '../../src/base/random.ts'
import { planBatch } from '../../src/orders/store/batch-plan.ts'
import { StoreError } from '../../src/orders/store/store-error.ts'
import type { StoreErrorClass } from '../../src/orders/store/store-error.ts'
import type { BatchOutcome, Cursor, DeadReason, EventBatch, IncomingEvent, Store } from '../../src/orders/store/store.ts'
import type { SimTime } from './sim-time.ts'

/** A mistake of a store, which a storm must find. */
export type StoreBug = 'no cursor check' | 'advance over a hole'

export interface StoredRow {
  readonly pseq: number
  readonly payload: string
  readonly dead: DeadReason | null
}

interface PartState {
  cursor: number | null
  rows: readonly StoredRow[]
}

/** How often what goes wrong, of each transaction. */
export interface Faults {
  readonly before: number
  readonly middle: number
  readonly commit: number
  readonly answer: number
}

const NO_FAULTS: Faults = { before: 0, middle: 0, commit: 0, answer: 0 }

/** What a consumer uses of a store. */
export type UsedStore = Pick<Store, 'name' | 'apply' | 'probe' | 'cursors' | 'heartbeat'>

export class SimStore {
  readonly #time: SimTime
  readonly #random: Random
  readonly #bug: StoreBug | null
  #parts = new Map<string, PartState>()
  readonly #locks = new Map<string, Promise<void>>()
  readonly #lives = new Map<string, number>()
  /** Of every part the highest cursor that was ever committed. */
  readonly highest = new Map<string, number>()
  faults: Faults = NO_FAULTS
  /** Nothing works. */
  isDown = false
  /** Reading works. */
  isReadOnly = false
  transactions = 0
  readonly failures: Record<StoreErrorClass | 'lost answer', number> = {
    'wait': 0,
    'again': 0,
    'poison': 0,
    'unknown': 0,
    'lost answer': 0,
  }

  constructor(time: SimTime, random: Random, bug: StoreBug | null = null) {
    this.#time = time
    this.#random = random
    this.#bug = bug
  }

  rows(stream: string, part: number): readonly StoredRow[] {
    return this.#parts.get(`${stream}/${part}`)?.rows ?? []
  }

  cursor(stream: string, part: number): number {
    return this.#parts.get(`${stream}/${part}`)?.cursor ?? 0
  }

  /** An operator's decision. */
  setCursor(stream: string, part: number, pseq: number): void {
    this.#parts.set(`${stream}/${part}`, { cursor: pseq, rows: this.rows(stream, part) })
  }

  /** A backup of this moment; @returns what restores it. */
  backup(): () => void {
    const copy = new Map([...this.#parts].map(([key, state]) => [key, { ...state }]))
    return () => {
      this.#parts = new Map([...copy].map(([key, state]) => [key, { ...state }]))
    }
  }

  /** The connection of one process. After `isAlive` says no, no answer comes any more. */
  connect(isAlive: () => boolean): UsedStore {
    const answered = <T>(work: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        work().then(
          (value) => isAlive() && resolve(value),
          (error: unknown) => isAlive() && reject(error as Error),
        )
      })
    return {
      name: 'sim',
      apply: (batch) => answered(() => this.#apply(batch, isAlive)),
      probe: () => answered(() => this.#probe()),
      cursors: () => answered(() => this.#cursors()),
      heartbeat: (consumer, ttlMs) => answered(() => this.#heartbeat(consumer, ttlMs)),
    }
  }

  async #apply(batch: EventBatch, isAlive: () => boolean): Promise<BatchOutcome> {
    this.transactions++
    await this.#latency()
    if (this.#random.chance(this.faults.before)) this.#fail()
    this.#failIfDown()
    const key = `${batch.stream}/${batch.part}`
    const unlock = await this.#lock(key)
    try {
      this.#failIfDown()
      const before = this.#parts.get(key) ?? { cursor: null, rows: [] }
      const after = { ...before }
      const outcome = this.#change(after, batch)
      await this.#latency()
      if (this.#random.chance(this.faults.middle)) this.#fail()
      this.#failIfDown()
      // A process that is killed takes its transactions with it, or their COMMIT was on its way already.
      if (!isAlive() && this.#random.chance(0.5)) throw new StoreError('wait', '2013', 'connection lost')
      if (this.#random.chance(this.faults.commit)) this.#fail()
      if (outcome.conflict === null) {
        this.#parts.set(key, after)
        this.highest.set(key, Math.max(this.highest.get(key) ?? 0, outcome.cursor))
      }
      if (this.#random.chance(this.faults.answer)) {
        this.failures['lost answer']++
        throw new StoreError('wait', '2013', 'lost connection during COMMIT')
      }
      return outcome
    } finally {
      unlock()
    }
  }

  /** The rows and the cursor, or an error. */
  #change(state: PartState, batch: EventBatch): BatchOutcome {
    const { events, cursor, conflict } = this.#judge(state, batch)
    for (const event of events) if (event.dead === null && isPoison(event)) this.#fail('poison')
    if (conflict !== null) return { cursor: state.cursor ?? 0, stored: 0, seen: 0, early: 0, conflict, marks: [] }
    const seen = batch.events.filter(({ pseq }) => pseq <= (state.cursor ?? 0)).length
    state.rows = [...state.rows, ...events.map(({ pseq, payload, dead }) => ({ pseq, payload: payload.toString('utf8'), dead }))]
    if (events.length > 0) state.cursor = cursor
    return { cursor, stored: events.length, seen, early: batch.events.length - events.length - seen, conflict: null, marks: [] }
  }

  #judge(state: PartState, batch: EventBatch): { events: readonly IncomingEvent[]; cursor: number; conflict: string | null } {
    if (this.#bug === 'no cursor check') return { events: batch.events, cursor: batch.events.at(-1)?.pseq ?? 0, conflict: null }
    if (this.#bug === 'advance over a hole') {
      const events = batch.events.filter(({ pseq }) => pseq > (state.cursor ?? 0))
      return { events, cursor: events.at(-1)?.pseq ?? state.cursor ?? 0, conflict: null }
    }
    const plan = planBatch(state.cursor, batch)
    const events = batch.events.filter(({ pseq }) => pseq > plan.cursor - (plan.events.length + plan.dead.length) && pseq <= plan.cursor)
    let { conflict } = plan
    for (const { pseq, payload } of plan.seen) {
      const stored = state.rows.find((row) => row.pseq === pseq)
      if (stored !== undefined && stored.payload !== payload.toString('utf8')) conflict = `event ${pseq} is another one`
    }
    return { events, cursor: plan.cursor, conflict }
  }

  async #probe(): Promise<void> {
    await this.#latency()
    this.#failIfDown()
  }

  async #cursors(): Promise<readonly Cursor[]> {
    await this.#latency()
    if (this.isDown) this.#fail('wait')
    return [...this.#parts].map(([key, state]) => {
      const [stream, part] = key.split('/')
      return { stream, part: Number(part), pseq: state.cursor ?? 0, first: 1, updatedAt: 0 }
    })
  }

  async #heartbeat(consumer: string, ttlMs: number): Promise<readonly string[]> {
    await this.#latency()
    this.#failIfDown()
    this.#lives.set(consumer, this.#time.now + ttlMs)
    return [...this.#lives].filter(([, until]) => until > this.#time.now).map(([name]) => name)
  }

  #latency(): Promise<void> {
    return this.#time.pause(this.#random.chance(0.02) ? 2_000 * this.#random.float() : 1 + this.#random.below(10))
  }

  #failIfDown(): void {
    if (this.isDown || this.isReadOnly) this.#fail('wait')
  }

  #fail(kind: StoreErrorClass = this.#random.pick(['wait', 'wait', 'again', 'again', 'unknown'])): never {
    this.failures[kind]++
    throw new StoreError(kind, { wait: '2013', again: '1213', poison: '1406', unknown: '4711' }[kind], `simulated ${kind}`)
  }

  /** As SELECT ... FOR UPDATE of the cursor's row. */
  async #lock(key: string): Promise<() => void> {
    const before = this.#locks.get(key) ?? Promise.resolve()
    const mine = Promise.withResolvers<void>()
    this.#locks.set(key, mine.promise)
    await before
    return mine.resolve
  }
}

/** An event that the database never takes says so in its order's name. */
export function isPoison({ payload }: { readonly payload: Buffer }): boolean {
  return payload.includes('poison')
}
