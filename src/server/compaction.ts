// Compaction: the log is replaced by a base, the state as records, and what came since.
//
//   rotate, so that everything so far lies in sealed segments    main thread, nothing is copied
//   replay base and sealed segments with the production engine,  worker thread: memory of its own, priority below the node's
//   compare the digest at each seal, write the new base, read
//   it back and compare the digest of everything
//   name the base in the manifest, forget what it covers         main thread, one small file
//
// A worker that fails, disagrees or dies changes nothing: the old manifest stays, and the next try comes later.

import { freemem } from 'node:os'
import { Worker } from 'node:worker_threads'
import { CompactionTrigger } from '../aof/compaction-trigger.ts'
import type { ManifestEntry } from '../aof/format/manifest.ts'
import type { Log } from '../aof/log.ts'
import type { CompactionOrder, CompactionResult } from './compaction-worker.ts'
import type { CompactionStart, LogOwner } from './node-log.ts'

/** The worker holds the state once more: without this much room beside it the machine would swap, and the node with it. */
const ROOM = 1.3
/** How often the log's growth is looked at. */
const LOOK_MS = 1000

/** The file of the worker, as source in a checkout and built in a package. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './compaction-worker.ts' : './compaction-worker.js', import.meta.url)

export class Compaction {
  isRunning = false
  count = 0
  lastFailed = false
  lastSeconds = -1
  /** Size of the log after the last compaction, or at the start. */
  sizeBytesThen: number
  readonly #log: Log
  readonly #owner: LogOwner
  readonly #trigger = new CompactionTrigger()
  #worker: Worker | null = null
  #lookedAt = 0
  #beganAt = 0
  #beganBytes = 0
  #isStopped = false
  /** Resolves when what is under way is over. */
  #over: Promise<void> = Promise.resolve()
  #end: () => void = () => {}

  constructor({ log, owner }: { log: Log; owner: LogOwner }) {
    this.#log = log
    this.#owner = owner
    this.sizeBytesThen = log.baseBytes + log.logBytes
  }

  /** Begins, unless one is under way. */
  start(): CompactionStart {
    if (this.isRunning) return 'running'
    if (this.#isStopped || this.#log.refusal() !== null || !this.#hasRoom()) return 'refused'
    const { env } = this.#owner
    this.isRunning = true
    this.#beganAt = env.clock.now()
    this.#over = new Promise((resolve) => (this.#end = resolve))
    this.#beganBytes = this.#log.baseBytes + this.#log.logBytes
    env.say('notice', 'compaction started', { bytes: this.#beganBytes, lsn: this.#log.last })
    this.#log.rotate((error) => {
      if (error === null) this.#replay()
      else this.#failed(`the log could not turn to a new segment: ${error.message}`)
    })
    return 'started'
  }

  /** Starts one by itself when the log has grown enough. */
  tick(now: number): void {
    if (now - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = now
    if (this.isRunning || this.#isStopped) return
    const { values } = this.#owner.options
    this.#trigger.options.growthPercent = values['auto-aof-rewrite-percentage']
    this.#trigger.options.bytesMin = values['auto-aof-rewrite-min-size']
    if (!this.#trigger.isDue(now, this.#log.logBytes, this.#log.baseBytes)) return
    if (this.start() === 'refused') this.#trigger.failed(now)
  }

  /** No more of it. The worker is ended; a manifest that is being written is waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#worker !== null) {
      const worker = this.#worker
      this.#worker = null
      await worker.terminate()
      this.isRunning = false
      this.#end()
      this.#owner.env.say('notice', 'compaction given up: the node stops; the log stays as it was')
    }
    await this.#over
  }

  #hasRoom(): boolean {
    const { engine, env } = this.#owner
    const needed = ROOM * (engine.keyspace.usedBytes + engine.ledger.usedBytes)
    if (freemem() >= needed) return true
    env.say('warning', 'no compaction: there is not enough free memory for a second copy of the data', {
      needed: Math.ceil(needed),
      free: freemem(),
    })
    return false
  }

  #replay(): void {
    if (this.#isStopped) return this.#failed('the node stops')
    const log = this.#log
    const upTo = log.sealedUpTo
    if (upTo === null) return this.#failed('there is no sealed segment to begin with')
    const { engine, env } = this.#owner
    const { databases, nodeNumber, orderRetentionMs, returnWindowMs, restartGraceMs, allowStockFlush } = engine.options
    const order: CompactionOrder = {
      directory: log.directory,
      nodeId: log.nodeId,
      manifest: log.manifest,
      upToSegment: upTo.seq,
      baseSeq: log.takeBaseSeq(),
      engine: { seed: env.random32(), databases, nodeNumber, orderRetentionMs, returnWindowMs, restartGraceMs, allowStockFlush },
    }
    const worker = new Worker(WORKER, { workerData: order, name: 'compaction' })
    this.#worker = worker
    let result: CompactionResult | null = null
    worker.on('message', (message: CompactionResult) => (result = message))
    worker.on('error', (error: Error) => (result ??= { entry: null, reason: error.message, isDivergence: false }))
    worker.on('exit', (code) => {
      if (this.#worker !== worker) return
      this.#worker = null
      if (result?.entry) this.#install(result.entry)
      else this.#failed(result?.reason ?? `the worker ended with code ${code}`, result?.isDivergence ?? false)
    })
  }

  #install(entry: ManifestEntry): void {
    this.#log.installBase(entry, (error) => {
      if (error !== null) return this.#failed(`the new base could not be named in the manifest: ${error.message}`)
      const { env } = this.#owner
      const now = env.clock.now()
      this.isRunning = false
      this.count++
      this.lastFailed = false
      this.lastSeconds = Math.round((now - this.#beganAt) / 1000)
      this.sizeBytesThen = this.#log.baseBytes + this.#log.logBytes
      this.#trigger.succeeded()
      this.#end()
      env.say('notice', 'compaction done', {
        ms: now - this.#beganAt,
        before: this.#beganBytes,
        base: this.#log.baseBytes,
        lsn: entry.sealed?.last ?? 0,
      })
    })
  }

  #failed(reason: string, isDivergence = false): void {
    const { env } = this.#owner
    const now = env.clock.now()
    this.isRunning = false
    this.lastFailed = true
    this.lastSeconds = Math.round((now - this.#beganAt) / 1000)
    this.#trigger.failed(now)
    this.#end()
    const what = isDivergence
      ? 'compaction_divergence: the log does not give the state that this node has; nothing was changed, keep the directory'
      : 'compaction failed'
    env.say('warning', `${what}: ${reason}`)
  }
}
