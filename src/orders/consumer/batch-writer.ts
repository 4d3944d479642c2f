// Puts batches into a store, whatever the store says: the error policy of ORDERS.md 5, in one place, for the consumer and for the node's
// own SQLite file.
//
// What stays true: `write` answers when every event that the store could take is in it, as itself or as a dead event, and never before. It
// drops nothing: an error that nobody knows is waited for like an outage, and alarmed about after ten minutes; so is any error that does
// not end although the database answers.
//
// One writer has one circuit, and does one write at a time: give each part its own, so that one part's trouble does not stop the others.

import { assert, unreachable } from '../../base/assert.ts'
import type { OrdersEnv } from '../env.ts'
import { StoreError } from '../store/store-error.ts'
import type { AuditMarkResult, BatchOutcome, DeadReason, EventBatch, IncomingEvent, Store, StreamPart } from '../store/store.ts'
import { Bell } from './bell.ts'

/** Attempts at once after a deadlock or a lock wait: 5, 10, 20, 40, 80 ms apart. Then it is treated as an outage. */
const AGAIN_MAX = 5
const AGAIN_MS = 5
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** So long an error that nobody knows is only waited for. */
const ALARM_MS = 600_000

export type CircuitState =
  | { readonly phase: 'closed' }
  | ({ readonly phase: 'open' } & Trouble)
  /** A probe went through; only a write that does closes it. */
  | ({ readonly phase: 'half-open' } & Trouble)

interface Trouble {
  /** `monotonic()` of the first failure since it was closed. */
  readonly since: number
  /** How often it was tried since. */
  readonly attempts: number
  /** `monotonic()` since when probes go through and the write still does not; null: the last probe failed, too. */
  readonly refusedSince: number | null
  readonly error: StoreError
  /** Somebody has to look: nobody knows the reason, and it does not go away. */
  readonly isAlarm: boolean
}

/** What `write` has done: the sum of its transactions. */
export interface WriteOutcome extends BatchOutcome {
  /** Events of the batch that are dead, and why: the caller may want to show them to people. */
  readonly dead: readonly (IncomingEvent & { readonly dead: DeadReason })[]
}

/** What a writer needs of a store. */
export type WritableStore = Pick<Store, 'name' | 'apply' | 'probe'>

export interface BatchWriterOptions {
  readonly store: WritableStore
  readonly env: OrdersEnv
  /** At every change, and at every failed attempt while it is open. */
  readonly onState?: (state: CircuitState) => void
  /** For tests: shorter times. */
  readonly backoffMsMax?: number | undefined
  readonly alarmMs?: number | undefined
}

/** What `write` and `recover` reject with after `giveUp` or `stop`: of the batch all, a part or nothing is in the store; the cursor will tell. */
export class WriteGivenUp extends Error {
  override readonly name = 'WriteGivenUp'
}

const CLOSED: CircuitState = { phase: 'closed' }

export class BatchWriter {
  readonly #store: WritableStore
  readonly #env: OrdersEnv
  readonly #bell: Bell
  readonly #onState: (state: CircuitState) => void
  readonly #backoffMsMax: number
  readonly #alarmMs: number
  #state: CircuitState = CLOSED
  #isBusy = false
  #isGivenUp = false
  #isStopped = false
  /** Attempts that failed, of any class but poison, since the beginning. */
  retries = 0

  constructor({ store, env, onState = () => {}, backoffMsMax = BACKOFF_MS_MAX, alarmMs = ALARM_MS }: BatchWriterOptions) {
    this.#store = store
    this.#env = env
    this.#bell = new Bell(env)
    this.#onState = onState
    this.#backoffMsMax = backoffMsMax
    this.#alarmMs = alarmMs
  }

  get state(): CircuitState {
    return this.#state
  }

  /**
   * Resolves when the store has taken what it can of the batch, however long that takes; rejects with WriteGivenUp only.
   * With `conflict` set, what is behind the conflicting event was not tried.
   */
  async write(batch: EventBatch): Promise<WriteOutcome> {
    assert(batch.events.length > 0, 'a batch has events')
    return this.#exclusively(async () => {
      const sum = new Sum()
      await this.#writeRange(batch, batch.events, sum)
      return sum
    })
  }

  /** After a write was given up: resolves when the store takes writes of this part again, as far as a probe can tell. */
  async recover(part: number): Promise<void> {
    await this.#exclusively(async () => {
      while (this.#state.phase === 'open') {
        await this.#pause(this.#backoffMs(this.#state.attempts))
        await this.#probe(part)
      }
    })
  }

  /** A write that waits for the store rejects now; a transaction that is under way ends as it ends. */
  giveUp(): void {
    this.#isGivenUp = true
    this.#bell.ring()
  }

  /** `giveUp`, for good. */
  stop(): void {
    this.#isStopped = true
    this.giveUp()
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    assert(!this.#isBusy, 'one write at a time')
    this.#isBusy = true
    this.#isGivenUp = this.#isStopped
    try {
      return await work()
    } finally {
      this.#isBusy = false
    }
  }

  /** Poison among several: the first half, then the second, in order, since the cursor only goes forward. */
  async #writeRange(at: StreamPart, events: readonly IncomingEvent[], sum: Sum): Promise<void> {
    const result = await this.#attempt(at, events)
    if (!(result instanceof StoreError)) return sum.add(result, events)
    if (events.length === 1) return this.#bury(at, events[0], result, sum)
    const middle = events.length >> 1
    await this.#writeRange(at, events.slice(0, middle), sum)
    if (sum.isAtEnd) {
      if (sum.conflict === null) sum.early += events.length - middle
      return
    }
    await this.#writeRange(at, events.slice(middle), sum)
  }

  async #bury(at: StreamPart, event: IncomingEvent, error: StoreError, sum: Sum): Promise<void> {
    const dead: DeadReason = { code: error.code, reason: error.message }
    this.#env.say('warning', 'an event that the database does not take: it goes to the dead events', {
      ...{ stream: at.stream, part: at.part, pseq: event.pseq },
      ...dead,
    })
    const buried: IncomingEvent = { ...event, body: null, dead }
    const result = await this.#attempt(at, [buried], 'not even as dead')
    assert(!(result instanceof StoreError), 'a dead event is never poison')
    sum.add(result, [buried])
  }

  /** Until it is in, or is poison. `not even as dead`: poison has no way left, somebody has to look, and the event waits. */
  async #attempt(at: StreamPart, events: readonly IncomingEvent[], poison?: 'not even as dead'): Promise<BatchOutcome | StoreError> {
    for (let again = 0; ;) {
      this.#throwIfGivenUp()
      if (this.#state.phase === 'open') {
        await this.#pause(this.#backoffMs(this.#state.attempts))
        await this.#probe(at.part)
        continue
      }
      try {
        const outcome = await this.#store.apply({ stream: at.stream, part: at.part, events })
        this.#close()
        if (outcome.began !== undefined && outcome.began > 1) this.#sayWhatIsBefore(at, outcome.began)
        return outcome
      } catch (thrown) {
        const error = asStoreError(thrown)
        if (error.kind === 'poison' && poison === undefined) {
          this.#close()
          return error
        }
        this.retries++
        if (error.kind === 'again' && again < AGAIN_MAX && this.#state.phase === 'closed') {
          await this.#pause(AGAIN_MS * 2 ** again++ * (0.5 + this.#env.random() / 2))
        } else {
          this.#open(error)
        }
      }
    }
  }

  /** Nothing is wrong with what comes; but an order from before may be looked for here one day. */
  #sayWhatIsBefore({ stream, part }: StreamPart, began: number): void {
    this.#env.say('warning', `this database had nothing of a part, and begins with event ${began}: the node's log has none before it`, {
      ...{ store: this.#store.name, stream, part, missing: began - 1 },
      remedy: 'orders from before are where events went until now: if that was another database, keep it',
    })
  }

  async #probe(part: number): Promise<void> {
    try {
      await this.#store.probe(part)
      if (this.#state.phase === 'open') this.#setState({ ...this.#state, phase: 'half-open' })
    } catch (thrown) {
      this.#open(asStoreError(thrown))
    }
  }

  #close(): void {
    if (this.#state.phase === 'closed') return
    const seconds = Math.round((this.#env.monotonic() - this.#state.since) / 1000)
    this.#env.say('notice', 'the database takes writes again', { store: this.#store.name, afterSeconds: seconds })
    this.#setState(CLOSED)
  }

  #open(error: StoreError): void {
    const now = this.#env.monotonic()
    const before = this.#state.phase === 'closed' ? null : this.#state
    const { since, attempts, isAlarm: wasAlarm } = before ?? { since: now, attempts: 0, isAlarm: false }
    // A deadlock without end, a row that is in the way for ever, a statement that the server dies of: each by itself is nobody's affair.
    const refusedSince = before?.phase === 'half-open' ? (before.refusedSince ?? now) : null
    const isRefused = refusedSince !== null && now - refusedSince >= this.#alarmMs
    const isAlarm = wasAlarm || isRefused || (needsPeople(error) && now - since >= this.#alarmMs)
    const details = { store: this.#store.name, code: error.code, class: error.kind }
    if (before?.error.code !== error.code || before.error.kind !== error.kind) {
      this.#env.say('warning', `the database takes no writes, trying again for ever: ${error.message}`, details)
    }
    if (isAlarm && !wasAlarm) {
      const minutes = Math.round((now - since) / 60_000)
      const what = needsPeople(error) ? 'behind an error that nobody knows' : 'though the database answers: it does not take them'
      this.#env.say('warning', `ALARM: events wait for ${minutes} minutes ${what}: ${error.message}`, details)
    }
    this.#setState({ phase: 'open', since, attempts: attempts + 1, refusedSince, error, isAlarm })
  }

  #setState(state: CircuitState): void {
    this.#state = state
    this.#onState(state)
  }

  async #pause(ms: number): Promise<void> {
    this.#throwIfGivenUp()
    await this.#bell.wait(ms)
    this.#throwIfGivenUp()
  }

  /** 100 ms, 200, 400 ... with jitter: who was thrown out together does not come back together. */
  #backoffMs(attempts: number): number {
    const ms = Math.min(this.#backoffMsMax, BACKOFF_MS_MIN * 2 ** Math.min(attempts - 1, 30))
    return ms * (0.5 + this.#env.random() / 2)
  }

  #throwIfGivenUp(): void {
    if (this.#isGivenUp) throw new WriteGivenUp('given up while the database took no writes')
  }
}

/** The outcomes of the transactions that one batch became. */
class Sum implements WriteOutcome {
  cursor = 0
  stored = 0
  seen = 0
  early = 0
  conflict: string | null = null
  readonly marks: AuditMarkResult[] = []
  readonly dead: (IncomingEvent & { readonly dead: DeadReason })[] = []

  /** Nothing behind what was added so far can be taken. */
  get isAtEnd(): boolean {
    return this.conflict !== null || this.early > 0
  }

  add(outcome: BatchOutcome, events: readonly IncomingEvent[]): void {
    this.cursor = outcome.cursor
    this.stored += outcome.stored
    this.seen += outcome.seen
    this.early += outcome.early
    this.conflict ??= outcome.conflict
    this.marks.push(...outcome.marks)
    for (const event of events) {
      const isStoredNow = event.pseq <= outcome.cursor && event.pseq > outcome.cursor - outcome.stored
      if (event.dead !== null && isStoredNow) this.dead.push({ ...event, dead: event.dead })
    }
  }
}

/** Everything a store rejects with should be a StoreError; what is not is a bug of the store, and still no reason to drop an event. */
function asStoreError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new StoreError('unknown', 'bug', message, { cause: thrown })
}

/** A database that is down comes back, or somebody knows already. Everything else needs somebody to look. */
function needsPeople(error: StoreError): boolean {
  switch (error.kind) {
    case 'wait':
    case 'again':
      return false
    case 'poison':
    case 'unknown':
      return true
    default:
      return unreachable(error.kind)
  }
}
