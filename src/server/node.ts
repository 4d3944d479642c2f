// A node: one engine, one log, the sessions of its clients, and the order in which they start, work and stop.
//
//   start:  options -> lock and replay of the log -> grace for open holds -> listen
//   stop:   no new connections -> what was taken is answered -> log flushed and durable -> connections closed
//
// What stays true: nothing is served before the log has been replayed, and nothing is answered before its record is where the policy
// says (turn.ts).

import { lsn } from '../base/brand.ts'
import type { Millis } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import { Call } from '../engine/call.ts'
import { CommandTable } from '../engine/command.ts'
import type { CommandSpec } from '../engine/command.ts'
import { STOCK_EVENTS } from '../engine/commands/key-access.ts'
import { Engine } from '../engine/engine.ts'
import { PARTS } from '../engine/outbox.ts'
import { Journal, NoJournal } from '../engine/journal.ts'
import { RequestParser } from '../resp/parser.ts'
import { Reply } from '../resp/reply.ts'
import { Request } from '../resp/request.ts'
import { Announcer } from './announcer.ts'
import { Acl } from './acl/acl.ts'
import { Auditor } from './audit/auditor.ts'
import type { KeepEvidence } from './audit/auditor.ts'
import { Backlog } from './backlog.ts'
import { Caretaker } from './caretaker.ts'
import { Channels } from './channels.ts'
import { clientLine } from './commands/client.ts'
import { Dispatcher } from './dispatch.ts'
import { Door } from './door.ts'
import type { Env } from './env.ts'
import type { EventFeed, OpenFeed } from './event-feed.ts'
import { NoLog } from './no-log.ts'
import type { CompactionStart, NodeLog, OpenLog } from './node-log.ts'
import type { Monitors } from './monitors.ts'
import type { Options } from './options.ts'
import { Session } from './session.ts'
import type { Parked } from './session.ts'
import type { Transaction } from './transactions/transaction.ts'
import type { Watches } from './transactions/watches.ts'
import type { ReadMode } from './socket.ts'
import { Stats } from './stats.ts'
import { Turn } from './turn.ts'
import { KeyWaiters } from './key-waiters.ts'
import { MemoryGauge } from './memory-gauge.ts'

export type NodePhase = 'new' | 'loading' | 'serving' | 'stopping' | 'stopped'

/** CLIENT PAUSE. */
export interface Pause {
  /** Instant at which it is over. */
  readonly until: number
  readonly onlyWrites: boolean
}

export interface ShutdownRequest {
  /** Do not make the log durable first (SHUTDOWN NOSAVE). */
  readonly nosave: boolean
  /** Stop even if the log cannot be made durable. */
  readonly force: boolean
  /** Do not wait for replies that are still to be sent. */
  readonly now: boolean
}

export interface NodeParts {
  readonly options: Options
  readonly env: Env
  /** Every command, those of the engine and those that ask for the node. */
  readonly specs: (node: Node) => readonly CommandSpec[]
  /** Opens the log of `dir`; null: `appendonly no`. */
  readonly openLog: OpenLog | null
  /** Opens the way out for the events of that log; left out: they stay in it, and there is no stock:events. */
  readonly openFeed?: OpenFeed | undefined
  /** How sockets are read; tests ask for 'events'. */
  readonly readMode?: ReadMode
  /** Keeps what a failed audit leaves for people; without it, it is only said. */
  readonly keepEvidence?: KeepEvidence
}

/** Time goes on by itself twenty times a second: a hold expires at most 50 ms after its deadline, though nobody asks. */
const BEAT_MS = 50
const BEATS_PER_SAMPLE = 2
const BEATS_PER_ROUND = 20

/** Options that are only read where the hot path keeps them. */
const FOLLOWED = [
  'client-output-buffer-limit',
  'client-query-buffer-limit',
  'notify-keyspace-events',
  'hash-max-listpack-entries',
  'hash-max-listpack-value',
  'set-max-intset-entries',
  'zset-max-listpack-entries',
  'zset-max-listpack-value',
  'list-max-listpack-size',
  'order-retention',
  'return-window',
  'restart-grace',
  'slowlog-log-slower-than',
  'latency-monitor-threshold',
  'latency-tracking',
] as const

export class Node {
  readonly options: Options
  readonly env: Env
  readonly engine: Engine
  readonly commands: CommandTable
  readonly stats = new Stats()
  readonly turn: Turn
  readonly auditor: Auditor
  readonly acl: Acl
  readonly door: Door
  readonly keyWaiters: KeyWaiters
  readonly channels: Channels
  /** By id, oldest first. */
  readonly sessions = new Map<number, Session>()
  /** 40 hex digits, new at every start. */
  readonly runId: string
  readonly startedAt: Millis
  phase: NodePhase = 'new'
  /** Null with `appendonly no`. */
  log: NodeLog | null = null
  /** Told between turns when stock:events has entries that it had not. */
  onEvents: () => void = () => {}
  paused: Pause | null = null
  /** Told when a command asks the node to stop. */
  onShutdown: (request: ShutdownRequest) => void = () => {}
  /** Told when the log says that the process must end (`aof-on-fsync-error exit`). */
  onFatal: (error: Error) => void = (error) => {
    throw error
  }

  #feed: EventFeed | null = null
  readonly #announcer: Announcer
  readonly #dispatcher: Dispatcher
  readonly #request = new Request()
  readonly #openLog: OpenLog | null
  readonly #openFeed: OpenFeed | undefined
  readonly #backlog: Backlog
  #nextId = 1
  #beats = 0
  #stopBeat: (() => void) | null = null
  readonly #memory: MemoryGauge
  readonly #caretaker: Caretaker

  constructor({ options, env, specs, openLog, openFeed, readMode = 'shared', keepEvidence }: NodeParts) {
    this.options = options
    this.env = env
    this.#openLog = openLog
    this.#openFeed = openFeed
    const { values } = options
    this.engine = new Engine(
      {
        // 53 bits: all of them are the secret of the tables' hashes.
        seed: env.random32() * 2 ** 21 + (env.random32() >>> 11),
        databases: values.databases,
        nodeNumber: values['node-number'],
        orderRetentionMs: values['order-retention'],
        returnWindowMs: values['return-window'],
        restartGraceMs: values['restart-grace'],
        allowStockFlush: values['allow-stock-flush'],
      },
      values.appendonly && openLog !== null ? new Journal() : new NoJournal(),
    )
    this.#backlog = new Backlog({ engine: this.engine, env })
    this.#memory = new MemoryGauge(env, this.engine, this.sessions)
    this.runId = Array.from({ length: 5 }, () => env.random32().toString(16).padStart(8, '0')).join('')
    this.startedAt = env.clock.now()
    this.commands = new CommandTable(specs(this))
    const nobody = { database: 0 }
    const call = new Call(this.engine, this.#request, new Reply(), nobody)
    this.acl = new Acl({
      specs: this.commands.specs,
      sessions: this.sessions,
      now: () => this.engine.now,
      describe: (session) => clientLine(this, session),
    })
    this.#openUsers()
    this.#dispatcher = new Dispatcher({
      call,
      table: this.commands,
      stats: this.stats,
      clock: env.clock,
      permissions: this.acl,
      push: (session, line) => this.turn.push(session, line),
    })
    this.turn = new Turn({ engine: this.engine, log: new NoLog(), call, dispatcher: this.#dispatcher, stats: this.stats, env })
    this.channels = new Channels(this.turn)
    this.#announcer = new Announcer(this.engine, this.channels)
    this.keyWaiters = new KeyWaiters(this.engine, this.turn, this.stats)
    this.auditor = new Auditor(this, keepEvidence ?? null)
    this.door = new Door({
      options,
      env,
      stats: this.stats,
      acl: this.acl,
      sessions: this.sessions,
      readMode,
      isServing: () => this.phase === 'serving',
      enter: (transport) => {
        const session = this.open(transport)
        return {
          received: (input, start, end) => this.turn.receive(session, input, start, end),
          ended: () => this.turn.ended(session),
          drained: () => this.turn.drained(session),
          closed: () => this.closed(session),
        }
      },
    })
    this.#caretaker = new Caretaker({ options, env, stats: this.stats, turn: this.turn, sessions: this.sessions })
    this.#follow()
  }

  get clock(): Clock {
    return this.env.clock
  }

  /** What has happened, as stock:events tells it; null without a log. */
  get feed(): EventFeed | null {
    return this.#feed
  }

  /** From now on the key stock:events is there to be read. */
  set feed(feed: EventFeed | null) {
    this.#feed = feed
    this.engine.keyspace.databases[0].reserve(feed === null ? null : STOCK_EVENTS)
    if (feed !== null) feed.onEntries = () => this.onEvents()
  }

  /** The port that clients connect to; 0: TLS only. */
  get port(): number {
    return this.door.port
  }

  /** LSN of the last record written so far, this turn's included. */
  get lastLsn(): number {
    return this.turn.lsn
  }

  /** Bytes of memory in use: what INFO tells, and what maxmemory limits. */
  memoryUsed(): number {
    return this.#memory.used
  }

  /** What the node holds, in words. */
  contents(): string {
    const counts = this.engine.ledger.counts()
    return `${counts.stock_skus} SKUs, ${counts.stock_orders} orders, ${this.engine.keyspace.size} keys`
  }

  // Start and stop -----------------------------------------------------------------------------------------------------------------

  /** Throws StockdError if the node cannot serve; then nothing is left open. */
  async start(): Promise<void> {
    this.door.prepare()
    await this.load()
    try {
      await this.door.open()
    } catch (error) {
      this.phase = 'stopped'
      this.#stopBeat?.()
      await this.feed?.close(0)
      await this.log?.close(false)
      throw error
    }
  }

  /** Everything but the network: a simulation stops here and brings its own transports to `open`. Throws StockdError. */
  async load(): Promise<void> {
    this.phase = 'loading'
    try {
      await this.#openAndReplay()
    } catch (error) {
      this.phase = 'stopped'
      await this.feed?.close(0)
      await this.log?.close(false)
      throw error
    }
    this.phase = 'serving'
    this.#stopBeat = this.env.every(BEAT_MS, () => this.#beat())
  }

  /** Answers what was taken, makes the log durable, closes. Safe to call again: the first call counts. */
  async stop(request: ShutdownRequest = { nosave: false, force: false, now: false }): Promise<void> {
    if (this.phase === 'stopping' || this.phase === 'stopped') return
    this.phase = 'stopping'
    this.door.close()
    this.turn.stopReading(this.sessions.values())
    const deadline = this.clock.now() + this.options.values['shutdown-timeout'] * 1000
    this.unpause()
    if (!request.now) {
      await this.#until(() => this.turn.isQuiet, deadline)
      if (this.turn.parked.size > 0) await this.#answerParked(request.nosave, deadline)
    }
    await this.#closeFeed(request, deadline)
    await this.log?.close(!request.nosave)
    for (const session of this.sessions.values()) this.turn.close(session)
    if (!request.now) await this.#until(() => this.#hasDelivered(), deadline)
    for (const session of this.sessions.values()) session.transport.destroy()
    this.#stopBeat?.()
    this.phase = 'stopped'
  }

  /** SHUTDOWN: the node stops after this turn. @returns false if it is refused: the log cannot be made durable, and no `force`. */
  shutdown(request: ShutdownRequest): boolean {
    if (!request.force && !request.nosave && this.log !== null && this.log.refusal() !== null) return false
    this.env.endOfTurn(() => this.onShutdown(request))
    return true
  }

  /** SHUTDOWN ABORT; @returns false: a shutdown that was accepted has begun. */
  abortShutdown(): boolean {
    return false
  }

  async #openAndReplay(): Promise<void> {
    const { values } = this.options
    if (this.#openLog === null || !values.appendonly) return
    const log = await this.#openLog({
      options: this.options,
      env: this.env,
      engine: this.engine,
      acked: () => {
        this.turn.acked()
        this.#progressed()
      },
      progressed: () => this.#progressed(),
      // Until the feed has said from where on it reads, everything stays.
      keepFrom: () => this.feed?.status.keepFrom ?? Infinity,
      isDurabilityWanted: () => this.feed !== null && this.feed.status.sink !== 'none',
      failed: (from, to, message) => this.turn.failed(lsn(from), lsn(to), message),
      isInTurn: () => this.turn.isOpen,
      between: (run) => this.turn.between(run),
      fatal: (error) => this.onFatal(error),
    })
    this.log = log
    this.turn.log = log
    this.turn.isStrict = values.appendfsync === 'always'
    this.#openEvents(log)
    // Open holds get their grace, and the log the record of it, before anybody can ask.
    const now = this.clock.now()
    this.turn.begin()
    this.engine.recovered(now)
    this.turn.end()
  }

  #openEvents(log: NodeLog): void {
    if (this.#openFeed === undefined) return
    const { options, env, engine } = this
    const pseqs = (): number[] => Array.from({ length: PARTS }, (_, part) => engine.outbox.last(part))
    const end = (): { lastLsn: number; pseqs: number[] } => ({ lastLsn: log.last, pseqs: pseqs() })
    this.feed = this.#openFeed({ options, env, nodeId: log.nodeId, epoch: log.epoch, end })
    this.#backlog.follow(this.feed.status, log.last, true)
    this.#progressed()
  }

  #progressed(): void {
    const { feed, log } = this
    if (feed !== null && log !== null) feed.progress(log.acked, log.durable)
  }

  /** While the directory is still this node's: what is durable goes out, as far as the time allows. */
  async #closeFeed({ nosave, now }: ShutdownRequest, deadline: number): Promise<void> {
    const { feed, log } = this
    if (feed === null || log === null) return
    const isDraining = !nosave && !now && feed.status.sink !== 'none' && log.refusal() === null
    if (isDraining) {
      log.setPolicy('always')
      await this.#until(() => log.durable >= log.last || log.refusal() !== null, deadline)
      this.#progressed()
    }
    await feed.close(isDraining ? Math.max(0, deadline - this.clock.now()) : 0)
  }

  /** Every reply has reached the kernel, or its session is gone. */
  #hasDelivered(): boolean {
    for (const session of this.sessions.values()) if (session.outputQueued > 0) return false
    return true
  }

  /** Who waits for the disk (WAITAOF) gets it now; for everybody else the time is up. What lies behind them runs. */
  async #answerParked(nosave: boolean, deadline: number): Promise<void> {
    const { log, turn } = this
    if (log !== null && !nosave) {
      log.setPolicy('always')
      await this.#until(() => turn.isQuiet && (log.durable >= log.last || log.refusal() !== null), deadline)
    }
    const isAnswered = (): boolean => {
      for (const session of turn.parked) turn.unpark(session, null)
      return turn.isQuiet
    }
    await this.#until(isAnswered, deadline)
  }

  async #until(isDone: () => boolean, deadline: number): Promise<void> {
    while (!isDone() && this.clock.now() < deadline) await new Promise<void>((resolve) => this.env.endOfTurn(resolve))
  }

  // Sessions -----------------------------------------------------------------------------------------------------------------------

  /** A session on any transport: the listener's, a test's, a simulation's. */
  open(transport: Session['transport']): Session {
    const { values } = this.options
    const parser = new RequestParser(this.#request)
    parser.bulkBytesMax = values['proto-max-bulk-len']
    const session = new Session({
      id: this.#nextId++,
      transport,
      now: this.clock.now(),
      user: this.acl.defaultUser,
      parser,
    })
    this.sessions.set(session.id, session)
    if (this.sessions.size > this.stats.peakClients) this.stats.peakClients = this.sessions.size
    return session
  }

  closed(session: Session): void {
    this.sessions.delete(session.id)
    this.channels.leave(session)
    this.turn.closed(session)
  }

  // What commands ask for ----------------------------------------------------------------------------------------------------------

  /** CLIENT PAUSE. A longer or stricter pause that is in force stays, as in Redis. */
  pause({ until, onlyWrites }: Pause): void {
    const old = this.paused
    this.paused = old === null ? { until, onlyWrites } : { until: Math.max(until, old.until), onlyWrites: onlyWrites && old.onlyWrites }
    this.#dispatcher.gate.pause = this.paused.onlyWrites ? 'writes' : 'all'
  }

  unpause(): void {
    if (this.paused === null) return
    this.paused = null
    this.#dispatcher.gate.pause = 'none'
    this.turn.checkParked()
  }

  /** The keys that sessions watch. */
  get watches(): Watches {
    return this.#dispatcher.watches
  }

  /** The sessions that are shown what the others do. */
  get monitors(): Monitors {
    return this.#dispatcher.monitors
  }

  /** EXEC: runs these requests, one after another and nobody in between, and answers with the array of their replies. */
  runQueued(session: Session, transaction: Transaction): void {
    this.#dispatcher.runQueued(session, transaction)
  }

  /** The command being run answers later; the session runs nothing else until then. */
  park(session: Session, parked: Parked): void {
    this.turn.park(session, parked)
  }

  /** What the session has parked is ready. */
  wake(session: Session): void {
    this.turn.wake(session)
  }

  /**
   * CLIENT UNBLOCK: the parked request answers now, with this error, or (null) as if its time had run out.
   * @returns false if the session has none.
   */
  unpark(session: Session, error: string | null = null): boolean {
    return session.parked?.isBlocking === true && this.turn.unpark(session, error)
  }

  /** BGREWRITEAOF. */
  compact(): CompactionStart {
    return this.log === null ? 'no_log' : this.log.compact()
  }

  // Time goes on -------------------------------------------------------------------------------------------------------------------

  #beat(): void {
    const now = this.clock.now()
    this.#beats++
    this.log?.tick(now)
    if (this.feed !== null && this.log !== null) this.#backlog.follow(this.feed.status, this.lastLsn, this.log.refusal() === null)
    if (this.paused !== null && this.paused.until <= now) this.unpause()
    this.turn.beat()
    this.auditor.beat(now)
    if (this.#beats % BEATS_PER_SAMPLE === 0) this.#sampleMemory()
    if (this.#beats % BEATS_PER_ROUND === 0) {
      this.stats.sampleRates(now)
      this.#caretaker.round(now)
    }
  }

  #sampleMemory(): void {
    const used = this.memoryUsed()
    if (used > this.stats.peakMemory) this.stats.peakMemory = used
    const { maxmemory } = this.options.values
    this.engine.outOfMemory = maxmemory > 0 && used > maxmemory
    this.#memory.collect()
  }

  // Options ------------------------------------------------------------------------------------------------------------------------

  /** Who may log in before anybody can. Throws StockdError BAD_OPTION. */
  #openUsers(): void {
    const { acl, options } = this
    const { values } = options
    acl.allChannels = values['acl-pubsub-default'] === 'allchannels'
    acl.logEntriesMax = values['acllog-max-len']
    if (values.requirepass !== '') acl.setDefaultPassword(values.requirepass)
    for (const warning of acl.open({ lines: values.user, file: values.aclfile })) this.env.say('warning', warning)
    options.linesOf = () => acl.configLines({ password: values.requirepass, file: values.aclfile })
    options.whenChanged('requirepass', (password) => acl.setDefaultPassword(password))
    options.whenChanged('acl-pubsub-default', (which) => {
      acl.allChannels = which === 'allchannels'
    })
    options.whenChanged('acllog-max-len', (length) => {
      acl.logEntriesMax = length
    })
  }

  /** Takes the options over into the places that the hot path reads, now and whenever CONFIG SET changes them. */
  #follow(): void {
    const { options, turn, engine } = this
    const gate = this.#dispatcher.gate
    const { values } = options
    gate.debug = values['enable-debug-command']
    const apply = (): void => {
      gate.slowMicros = values['slowlog-log-slower-than'] < 0 ? Infinity : values['slowlog-log-slower-than']
      gate.slowlogLength = values['slowlog-max-len']
      gate.spikeMicros = values['latency-monitor-threshold'] === 0 ? Infinity : values['latency-monitor-threshold'] * 1000
      gate.isTracking = values['latency-tracking']
      turn.delivery.outputLimits = values['client-output-buffer-limit']
      const { hardBytes } = turn.delivery.outputLimits.normal
      turn.replyBytesMax = hardBytes > 0 ? Math.max(hardBytes, values['proto-max-bulk-len']) : Infinity
      turn.inputBytesMax = values['client-query-buffer-limit'] + values['proto-max-bulk-len']
      this.#announcer.classes = values['notify-keyspace-events']
      engine.options.orderRetentionMs = values['order-retention']
      engine.options.returnWindowMs = values['return-window']
      engine.options.restartGraceMs = values['restart-grace']
      const { limits } = engine.keyspace.collections
      limits.hashEntriesMax = values['hash-max-listpack-entries']
      limits.hashValueMax = values['hash-max-listpack-value']
      limits.setIntegersMax = values['set-max-intset-entries']
      limits.zsetEntriesMax = values['zset-max-listpack-entries']
      limits.zsetValueMax = values['zset-max-listpack-value']
      limits.listSizeMax = values['list-max-listpack-size']
    }
    apply()
    options.whenAnyChanged(FOLLOWED, apply)
    options.whenChanged('slowlog-max-len', (length) => {
      apply()
      const { entries } = this.stats.slowlog
      if (entries.length > length) entries.length = length
    })
    options.whenChanged('maxmemory', () => this.#sampleMemory())
    options.whenChanged('proto-max-bulk-len', (bytes) => {
      apply()
      for (const session of this.sessions.values()) session.parser.bulkBytesMax = bytes
    })
    options.whenChanged('appendfsync', (policy) => {
      this.log?.setPolicy(policy)
      turn.isStrict = this.log !== null && policy === 'always'
    })
  }
}
