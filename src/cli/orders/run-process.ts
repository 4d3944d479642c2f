// The process of a consumer: makes the database ready, consumes until a signal comes, and tells now and then how it goes.
//
// A broker or a database that is not there, or does not let us in, ends nothing: it is said in words, and tried again, because servers
// restart and passwords are put right. Exit codes:
//
//   0   stopped as asked: the batches in hand are stored and acked
//   4   could not start: an option, the port of --http (one line on stderr says which)
//   2   left at once, by a second signal: what was in hand comes again, to whoever consumes next
//   70  a bug

import type { Broker } from '../../orders/broker/broker.ts'
import { Consumer, type ConsumerTimes } from '../../orders/consumer/consumer.ts'
import type { OrdersEnv } from '../../orders/env.ts'
import { StoreError } from '../../orders/store/store-error.ts'
import type { Store } from '../../orders/store/store.ts'

const EXIT_OK = 0
const EXIT_INSISTED = 2
const EXIT_BUG = 70

const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 10_000
const PROGRESS_MS = 10_000
/** Words that were said are said again after so long, if they are still true. */
const REPEAT_MS = 600_000

export interface RunParts {
  readonly store: Store
  readonly broker: Broker
  readonly env: OrdersEnv
  readonly name: string
  readonly batch: number
  readonly prefetch: number
  readonly connections: number
  /** Makes and changes tables first. */
  readonly migrates: boolean
  readonly times?: Partial<ConsumerTimes>
  /** Opens the side door for metrics; called before anything is consumed. */
  readonly openEndpoint: (consumer: Consumer, isStopping: () => boolean) => Promise<{ close(): Promise<void> } | null>
}

export async function run(parts: RunParts): Promise<never> {
  const { store, broker, env } = parts
  const die = (error: unknown): never => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(
      `stockd-orders: an unexpected error, stopping; nothing is lost, what was in hand comes again. Please report this:\n${text}\n`,
    )
    process.exit(EXIT_BUG)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  const { name, batch, prefetch, connections } = parts
  const consumer = new Consumer({ store, broker, env, name, batch, prefetch, connections, times: parts.times ?? {}, onFatal: die })
  const stopped = onSignal(env)
  const endpoint = await parts.openEndpoint(consumer, () => stopped.isAsked)
  env.say('notice', 'a consumer starts', { name, broker: broker.name, store: store.name, pid: process.pid })

  if (await isReady(parts, stopped)) {
    consumer.start()
    const progress = new Progress(consumer, env)
    await stopped.promise
    progress.stop()
    await consumer.stop()
  }
  await endpoint?.close()
  await broker.close()
  await store.close()
  const { stored, dead } = consumer.counters
  env.say('notice', 'stopped', { stored, dead })
  process.exit(EXIT_OK)
}

interface Stopped {
  readonly promise: Promise<void>
  isAsked: boolean
}

/** The first signal asks, the second insists. */
function onSignal(env: OrdersEnv): Stopped {
  const { promise, resolve } = Promise.withResolvers<void>()
  const stopped: Stopped = { promise, isAsked: false }
  const asked = (signal: NodeJS.Signals): void => {
    if (stopped.isAsked) {
      env.say('warning', `${signal} again: leaving at once; what was in hand comes again`)
      process.exit(EXIT_INSISTED)
    }
    stopped.isAsked = true
    env.say('notice', `${signal}: stopping`)
    resolve()
  }
  process.on('SIGTERM', asked)
  process.on('SIGINT', asked)
  // A terminal that goes away takes nothing with it.
  process.on('SIGHUP', () => {})
  return stopped
}

/** Tables are there, and the database keeps what it says it keeps. @returns false: stopped before that */
async function isReady({ store, env, migrates }: RunParts, stopped: Stopped): Promise<boolean> {
  let said = ''
  let saidAt = 0
  for (let pauseMs = RETRY_MS_MIN; !stopped.isAsked; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
    try {
      await prepare(store, env, migrates)
      return true
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      const now = env.monotonic()
      if (error.message !== said || now - saidAt >= REPEAT_MS) {
        env.say('warning', `the database is not ready, trying again for ever: ${error.message}`, { code: error.code })
        said = error.message
        saidAt = now
      }
    }
    const pause = Promise.withResolvers<void>()
    const cancel = env.after(pauseMs, pause.resolve)
    await Promise.race([pause.promise, stopped.promise])
    cancel()
  }
  return false
}

async function prepare(store: Store, env: OrdersEnv, migrates: boolean): Promise<void> {
  const steps = await (migrates ? store.migrate() : store.migrations())
  const left = steps.filter(({ state }) => state !== 'applied')
  if (left.length > 0) {
    const names = left.map(({ database, name }) => `${database}/${name}`)
    env.say('warning', 'tables are not as they should be: run stockd-orders migrate', {
      steps: names.slice(0, 5).join(' '),
      left: left.length,
    })
  }
  for (const { level, about, says, remedy } of await store.examine()) {
    if (level === 'ok') continue
    env.say('warning', `${about}: ${says}${remedy === null ? '' : `; ${remedy}`}`, { finding: level })
  }
}

/** A line every ten seconds in which something happened. */
class Progress {
  readonly #consumer: Consumer
  readonly #env: OrdersEnv
  #stored = 0
  #at: number
  #wasIdle = true
  #isStopped = false
  #cancel: () => void = () => {}

  constructor(consumer: Consumer, env: OrdersEnv) {
    this.#consumer = consumer
    this.#env = env
    this.#at = env.monotonic()
    this.#next()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #next(): void {
    this.#cancel = this.#env.after(PROGRESS_MS, () => {
      void this.#tell().then(() => {
        if (!this.#isStopped) this.#next()
      })
    })
  }

  async #tell(): Promise<void> {
    const { counters } = this.#consumer
    const now = this.#env.monotonic()
    const count = counters.stored - this.#stored
    const seconds = (now - this.#at) / 1000
    this.#stored = counters.stored
    this.#at = now
    const depths = await this.#consumer.depths()
    const { status } = this.#consumer
    const inQueue = depths === null ? null : depths.reduce((sum, depth) => sum + depth, 0)
    const waiting = status.parts.reduce((sum, part) => sum + part.waiting, 0)
    const isIdle = count === 0 && waiting === 0 && (inQueue ?? 0) === 0
    if (isIdle && this.#wasIdle) return
    this.#wasIdle = isIdle
    this.#env.say('notice', 'events stored', {
      ...{ total: counters.stored, perSecond: Math.round(count / seconds) },
      ...{ lagMs: Math.max(status.endToEndMs, ...status.parts.map((part) => part.lagMs)), waiting },
      ...(inQueue === null ? {} : { inQueue }),
      ...{ parts: status.parts.filter(({ phase }) => phase === 'active').length, consumers: status.consumers.length },
      ...(counters.dead > 0 ? { dead: counters.dead } : {}),
    })
  }
}
