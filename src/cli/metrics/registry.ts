// Metrics as Prometheus reads them. The figures are kept plainly where they arise; a family says how to collect them, and it does so
// when somebody scrapes, never before.
//
// Unusual: the process's own figures are listed here rather than taken as the package offers them: those read directories and walk all
// handles, which stops the loop of a node with thousands of connections.

import { performance } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

export type Add = (value: number, labels?: Readonly<Record<string, string>>) => void

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labels?: readonly string[]
  /** Calls `add` once for every combination of labels; never, and the family is without values. */
  readonly collect: (add: Add) => void
}

/** How late a timer of the loop may be, seconds. */
const DELAY_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
const DELAY_EVERY_MS = 50

export class Metrics {
  readonly #registry = new Registry()
  readonly #stopDelay: () => void

  constructor(families: readonly Family[]) {
    for (const family of [...families, ...PROCESS]) this.#register(family)
    this.#stopDelay = this.#watchDelay()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  close(): void {
    this.#stopDelay()
  }

  #register({ name, help, type, labels = [], collect }: Family): void {
    const shape = { name, help, labelNames: [...labels], registers: [this.#registry] }
    // `reset` of a family without labels leaves a 0 where there may be nothing to say.
    const empty = (metric: { reset(): void; remove(): void }): void => {
      metric.reset()
      if (labels.length === 0) metric.remove()
    }
    if (type === 'counter') {
      const counter: Counter<string> = new Counter<string>({
        ...shape,
        collect() {
          empty(this)
          collect((value, values = {}) => counter.inc(values, Math.max(0, value)))
        },
      })
    } else {
      const gauge: Gauge<string> = new Gauge<string>({
        ...shape,
        collect() {
          empty(this)
          collect((value, values = {}) => gauge.set(values, value))
        },
      })
    }
  }

  #watchDelay(): () => void {
    const histogram = new Histogram({
      name: 'stockd_event_loop_delay_seconds',
      help: 'How late a timer of the event loop came: what a client may have waited because something else ran.',
      buckets: DELAY_BUCKETS,
      registers: [this.#registry],
    })
    let expected = performance.now() + DELAY_EVERY_MS
    const timer = setInterval(() => {
      const now = performance.now()
      histogram.observe(Math.max(0, now - expected) / 1000)
      expected = now + DELAY_EVERY_MS
    }, DELAY_EVERY_MS)
    timer.unref()
    return () => clearInterval(timer)
  }
}

const started = Date.now() / 1000 - performance.now() / 1000

/** Under the names that every program's dashboards know. */
const PROCESS: readonly Family[] = [
  {
    name: 'process_start_time_seconds',
    help: 'When the process started, unix seconds.',
    type: 'gauge',
    collect: (add) => add(started),
  },
  {
    name: 'process_cpu_user_seconds_total',
    help: 'Processor time of the process, all its threads, in user mode.',
    type: 'counter',
    collect: (add) => add(process.cpuUsage().user / 1e6),
  },
  {
    name: 'process_cpu_system_seconds_total',
    help: 'Processor time of the process, all its threads, in the kernel.',
    type: 'counter',
    collect: (add) => add(process.cpuUsage().system / 1e6),
  },
  {
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process that is in RAM.',
    type: 'gauge',
    collect: (add) => add(process.memoryUsage.rss()),
  },
  {
    name: 'nodejs_heap_size_used_bytes',
    help: 'Heap of JavaScript in use. Orders and keys do not lie there.',
    type: 'gauge',
    collect: (add) => add(process.memoryUsage().heapUsed),
  },
  {
    name: 'nodejs_version_info',
    help: 'Version of Node.js.',
    type: 'gauge',
    labels: ['version'],
    collect: (add) => add(1, { version: process.version }),
  },
]
