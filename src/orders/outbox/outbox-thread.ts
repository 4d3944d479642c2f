// The outbox as the node's thread sees it: a worker to ask, and memory to tell it how far the log is.
//
// A worker that dies of a bug is said, and started again: what it had not carried is in the log. The node sells on. Questions that were under
// way are refused.

import { Worker } from 'node:worker_threads'
import type { OrdersEnv } from '../env.ts'
import {
  unpack,
  type FromOutbox,
  type OutboxOrder,
  type OutboxStatus,
  type StreamEntry,
  type StreamRange,
  type StreamSummary,
  type ToOutbox,
} from './messages.ts'
import { Progress } from './progress.ts'
import { PARTS } from '../../engine/outbox.ts'

/** The file of the worker, as source in a checkout and built in a package. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './outbox-worker.ts' : './outbox-worker.js', import.meta.url)
const RESTART_MS_MIN = 100
const RESTART_MS_MAX = 10_000
/** A worker that has lived so long has not died of what it began with. */
const HEALTHY_MS = 60_000
/** How long a worker may take to end beyond the time that it was given. */
const CLOSE_MS = 2000

const ZEROS: readonly number[] = Array.from({ length: PARTS }, () => 0)

/** What a worker is made with, but for what is new each time. */
export interface OutboxTask extends Omit<OutboxOrder, 'progress' | 'lastLsn' | 'pseqs'> {
  /** Where the log ends now. What a worker took for the end that ended an hour ago, its sink would take for an older log. */
  readonly end: () => Pick<OutboxOrder, 'lastLsn' | 'pseqs'>
}

interface Question {
  readonly answered: (message: FromOutbox) => void
  readonly failed: (error: Error) => void
}

export class OutboxThread {
  status: OutboxStatus
  onEntries: () => void = () => {}
  readonly #task: OutboxTask
  readonly #env: Pick<OrdersEnv, 'say' | 'after' | 'monotonic'>
  readonly #progress = new Progress()
  #acked = -1
  #durable = -1
  #worker: Worker | null = null
  #startedAt = 0
  #restartMs = RESTART_MS_MIN
  #cancelRestart: () => void = () => {}
  readonly #questions = new Map<number, Question>()
  #nextQuestion = 1
  /** Somebody has asked since the last news: the worker tells of the next. */
  #isAsked = false
  #isTelling = false
  #isClosing = false
  #ended = Promise.withResolvers<void>()

  constructor(task: OutboxTask, env: Pick<OrdersEnv, 'say' | 'after' | 'monotonic'>) {
    this.#task = task
    this.#env = env
    this.status = {
      sink: task.target.kind,
      state: 'starting',
      isConnected: false,
      published: ZEROS,
      acked: ZEROS,
      stored: ZEROS,
      storedLsn: task.target.kind === 'none' ? Infinity : 0,
      storedTime: task.target.kind === 'none' ? Infinity : 0,
      keepFrom: 0,
      backlogBytes: 0,
      backlogBytesMax: 0,
      lagMs: 0,
      cpuMicros: 0,
      counters: {},
    }
    this.#start()
  }

  progress(acked: number, durable: number): void {
    if (acked !== this.#acked) {
      this.#progress.acked = this.#acked = acked
      if (!this.#isAsked && !this.#isTelling) this.#tellSoon()
    }
    if (durable !== this.#durable) this.#progress.durable = this.#durable = durable
  }

  async range(range: StreamRange): Promise<readonly StreamEntry[]> {
    const answer = await this.#ask((id) => ({ kind: 'range', id, acked: this.#acked, range }))
    return answer.kind === 'range' ? unpack(answer.entries) : []
  }

  async summary(): Promise<StreamSummary> {
    const answer = await this.#ask((id) => ({ kind: 'summary', id, acked: this.#acked }))
    if (answer.kind !== 'summary') return { length: 0, first: null, last: null }
    const [first, last] = unpack(answer.ends)
    return { length: answer.length, first: first ?? null, last: last ?? null }
  }

  seek(part: number, pseq: number): void {
    this.#worker?.postMessage({ kind: 'seek', part, pseq } satisfies ToOutbox)
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosing = true
    this.#cancelRestart()
    const worker = this.#worker
    if (worker === null) return
    worker.postMessage({ kind: 'close', drainMs } satisfies ToOutbox)
    const cancel = this.#env.after(drainMs + CLOSE_MS, () => {
      this.#env.say('warning', 'the outbox does not end in time: it is ended; its checkpoint is a moment old')
      void worker.terminate()
    })
    await this.#ended.promise
    cancel()
  }

  /** Whoever waits without having asked hears of every record, event or not: then they ask, and from then on the worker tells. */
  #tellSoon(): void {
    this.#isTelling = true
    setImmediate(() => {
      this.#isTelling = false
      this.onEntries()
    })
  }

  #start(): void {
    this.#startedAt = this.#env.monotonic()
    const { end, ...task } = this.#task
    const workerData: OutboxOrder = { ...task, ...end(), progress: this.#progress.memory }
    const worker = new Worker(WORKER, { workerData, name: 'outbox' })
    this.#worker = worker
    let why = ''
    worker.on('message', (message: FromOutbox) => this.#receive(message))
    worker.on('error', (error: Error) => (why = error.stack ?? error.message))
    worker.on('exit', (code) => this.#exited(why === '' ? `code ${code}` : why))
  }

  #exited(why: string): void {
    this.#worker = null
    for (const { failed } of this.#questions.values()) failed(new Error('stock:events cannot be read just now: its reader has ended'))
    this.#questions.clear()
    this.#isAsked = false
    this.#ended.resolve()
    if (this.#isClosing) return
    if (this.#env.monotonic() - this.#startedAt > HEALTHY_MS) this.#restartMs = RESTART_MS_MIN
    const ms = this.#restartMs
    this.#restartMs = Math.min(RESTART_MS_MAX, ms * 2)
    this.status = { ...this.status, state: `its thread has ended (${why.split('\n', 1)[0]}); starting again`, isConnected: false }
    this.#env.say('warning', 'the thread of the outbox has ended: a bug, please report it. Events wait in the log, it starts again', {
      why,
      inMs: ms,
    })
    this.#cancelRestart = this.#env.after(ms, () => {
      this.#ended = Promise.withResolvers()
      this.#start()
      // What the old one had not told yet.
      this.onEntries()
    })
  }

  #receive(message: FromOutbox): void {
    switch (message.kind) {
      case 'status':
        this.status = message.status
        break
      case 'entries':
        this.#isAsked = false
        this.onEntries()
        break
      case 'say':
        this.#env.say(message.level, message.message, message.details)
        break
      case 'failed':
        this.#take(message.id)?.failed(new Error(message.message))
        break
      case 'range':
      case 'summary':
        this.#take(message.id)?.answered(message)
        break
    }
  }

  #take(id: number): Question | undefined {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    return question
  }

  #ask(make: (id: number) => ToOutbox): Promise<FromOutbox> {
    const worker = this.#worker
    if (worker === null || this.#isClosing)
      return Promise.reject(new Error('stock:events cannot be read just now: its reader is not there'))
    return new Promise((answered, failed) => {
      const id = this.#nextQuestion++
      this.#isAsked = true
      this.#questions.set(id, { answered, failed })
      worker.postMessage(make(id))
    })
  }
}
