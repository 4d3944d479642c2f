// A node: one engine, one log, the sessions of its clients, and the order in which they start, work and stop.
//
//   start:  options -> lock and replay of the log -> grace for open holds -> listen
//   stop:   no new connections -> what was taken is answered -> log flushed and durable -> connections closed
//
// What stays true: nothing is served before the log has been replayed, and nothing is answered before its record is where the policy
// says (turn.ts).

import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { totalmem } from 'node:os'
import { lsn } from '../base/brand.ts'
import type { Millis } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import { StockdError } from '../base/error.ts'
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
import { Channels } from './channels.ts'
import { clientLine } from './commands/client.ts'
import { Dispatcher } from './dispatch.ts'
import type { Env } from './env.ts'
import type { EventFeed, OpenFeed } from './event-feed.ts'
import { isOpenToOthers, Listener } from './listener.ts'
import { NoLog } from './no-log.ts'
import type { CompactionStart, NodeLog, OpenLog } from './node-log.ts'
import type { Monitors } from './monitors.ts'
import type { Options } from './options.ts'
import { Session } from './session.ts'
import type { Parked } from './session.ts'
import type { Transaction } from './transactions/transaction.ts'
import type { Watches } from './transactions/watches.ts'
import { isLoopbackAddress, SocketTransport } from './socket.ts'
import type { ReadMode } from './socket.ts'
import { Stats } from './stats.ts'
import { readCredentials } from './tls/credentials.ts'
import type { Credentials } from './tls/credentials.ts'
import { Handshakes } from './tls/handshakes.ts'
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
/** A part of a request that does not get on for so long is given up, with its connection. */
const PARTIAL_MS_MAX = 30_000
/** A partial request that brought so many bytes since it was last looked at gets on. */
const PARTIAL_PROGRESS_BYTES = 64 * 1024
/** Who does not authenticate in time makes room for others. */
const UNAUTHENTICATED_MS_MAX = 10_000
/** A session whose peer takes nothing, or sends no more and may be gone, is not waited for longer. */
const CLOSING_MS_MAX = 30_000
/** A peer that has all its replies and our end has so long to close its side. */
const LINGERING_MS_MAX = 2000
/** Of `maxclients`, so many are kept for clients of this machine: an operator must get in when it is full. */
const RESERVED_CLIENTS = 32
/** Unfinished requests of all sessions together may take this share of the memory. */
const INPUT_SHARE = 0.25

/** Options that make the credentials. */
const TLS_OPTIONS = [
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-auth-clients',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
  'tls-prefer-server-ciphers',
  'tls-session-caching',
  'tls-session-cache-timeout',
] as const

export const PROTECTED_TEXT =
  'DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode ' +
  'connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of ' +
  "the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by " +
  'connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do ' +
  'so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis ' +
  "configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually " +
  "just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You " +
  'only need to do one of the above things in order for the server to start accepting connections from the outside.'

export class Node {
  readonly options: Options
  readonly env: Env
  readonly engine: Engine
  readonly commands: CommandTable
  readonly stats = new Stats()
  readonly turn: Turn
  readonly auditor: Auditor
  readonly acl: Acl
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
  readonly keyWaiters: KeyWaiters
  readonly channels: Channels
  readonly #announcer: Announcer
  readonly #dispatcher: Dispatcher
  readonly #request = new Request()
  readonly #listener = new Listener((socket) => this.#accept(socket))
  readonly #handshakes: Handshakes
  readonly #tlsListener = new Listener((socket) => this.#handshakes.take(socket))
  /** What TLS clients are shown; null: none are served. */
  credentials: Credentials | null = null
  readonly #openLog: OpenLog | null
  readonly #openFeed: OpenFeed | undefined
  readonly #backlog: Backlog
  readonly #readMode: ReadMode
  #nextId = 1
  #beats = 0
  #stopBeat: (() => void) | null = null
  #sampled = { commands: 0, input: 0, output: 0, at: 0 }
  readonly #memory: MemoryGauge
  readonly #progress = new WeakMap<Session, { since: number; at: number; bytes: number }>()
  readonly #closingSince = new WeakMap<Session, number>()

  constructor({ options, env, specs, openLog, openFeed, readMode = 'shared', keepEvidence }: NodeParts) {
    this.options = options
    this.env = env
    this.#openLog = openLog
    this.#openFeed = openFeed
    this.#readMode = readMode
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
    this.#handshakes = new Handshakes({
      env,
      stats: this.stats,
      hasRoom: (underWay, socket) => this.sessions.size + underWay < this.#room(isLoopbackAddress(socket.remoteAddress ?? '')),
      accept: (socket) => this.#accept(socket),
    })
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
    return this.#listener.port === 0 ? this.options.values.port : this.#listener.port
  }

  /** The port of clients that speak TLS; 0: none are served. */
  get tlsPort(): number {
    return this.options.values['tls-port']
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
    const { values } = this.options
    const asksForCertificates = values['tls-port'] !== 0 && values.port === 0 && values['tls-auth-clients'] === 'yes'
    if (isOpenToOthers(values.bind) && this.acl.defaultUser.isOpen && values['protected-mode'] && !asksForCertificates) {
      throw new StockdError(
        'BAD_OPTION',
        `bind ${values.bind.join(' ')} lets other machines in and there is no password: set STOCKD_REQUIREPASS; or have users ` +
          'of their own and the default user off; or serve clients with certificates only (tls-port, port 0); or --protected-mode no where ' +
          'the network itself keeps strangers out',
      )
    }
    if (this.tlsPort !== 0) this.#useCredentials(readCredentials(values, this.clock.now()))
    this.#warnOfFewDescriptors()
    await this.load()
    try {
      await this.#listen()
    } catch (error) {
      this.#listener.close()
      this.phase = 'stopped'
      this.#stopBeat?.()
      await this.feed?.close(0)
      await this.log?.close(false)
      throw error
    }
  }

  async #listen(): Promise<void> {
    const { bind, port, 'tcp-backlog': backlog } = this.options.values
    const { tlsPort } = this
    if (port !== 0 || tlsPort === 0) await this.#listener.open({ option: 'port', bind, port, backlog })
    if (tlsPort !== 0) await this.#tlsListener.open({ option: 'tls-port', bind, port: tlsPort, backlog })
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
    this.#listener.close()
    this.#tlsListener.close()
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

  #warnOfFewDescriptors(): void {
    const limit = descriptorLimit()
    const wanted = this.options.values.maxclients + RESERVED_CLIENTS
    if (limit < wanted) {
      this.env.say(
        'warning',
        `this process may open ${limit} files, fewer than maxclients needs: clients beyond that wait; see ulimit -n`,
        { wanted },
      )
    }
  }

  // Sessions -----------------------------------------------------------------------------------------------------------------------

  #accept(socket: Socket): void {
    const { values } = this.options
    this.stats.connectionsReceived++
    if (this.phase !== 'serving') {
      socket.destroy()
      return
    }
    const transport = new SocketTransport(socket, this.#readMode, (accepted) => {
      const session = this.open(accepted)
      return {
        received: (input, start, end) => this.turn.receive(session, input, start, end),
        ended: () => this.turn.ended(session),
        drained: () => this.turn.drained(session),
        closed: () => this.closed(session),
      }
    })
    const refusal = this.#refusal(transport)
    if (refusal !== null) {
      this.stats.connectionsRejected++
      transport.refuse(Buffer.from(`-${refusal}\r\n`))
      return
    }
    transport.open(values['tcp-keepalive'])
  }

  /** Why this client is not let in, as Redis says it; null: it is. It is counted already. */
  #refusal(transport: SocketTransport): string | null {
    const { values } = this.options
    if (this.sessions.size > this.#room(transport.isLoopback)) return 'ERR max number of clients reached'
    // Whoever has shown a certificate that we asked for is no stranger.
    const isStranger = !transport.isLoopback && !transport.isVouchedFor
    if (values['protected-mode'] && this.acl.defaultUser.isOpen && isStranger) return PROTECTED_TEXT
    return null
  }

  /** How many clients there may be before this one is too many. */
  #room(isLoopback: boolean): number {
    const { maxclients } = this.options.values
    return isLoopback ? maxclients : Math.max(1, maxclients - RESERVED_CLIENTS)
  }

  // TLS ----------------------------------------------------------------------------------------------------------------------------

  /** SIGHUP: certificates, key and authorities are read again. @returns why they are not used, null: they are, or there is no TLS. */
  reloadCredentials(): string | null {
    if (this.credentials === null) return null
    try {
      this.#useCredentials(readCredentials(this.options.values, this.clock.now()))
      return null
    } catch (error) {
      if (!(error instanceof StockdError)) throw error
      return error.message
    }
  }

  /** From the next connection on. Those that are open go on with what they have. */
  #useCredentials(credentials: Credentials): void {
    this.#handshakes.use(credentials)
    this.credentials = credentials
    for (const warning of credentials.warnings) this.env.say('warning', warning)
  }

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
      this.#sampleRates(now)
      this.#lookAfterSessions(now)
    }
  }

  #sampleMemory(): void {
    const used = this.memoryUsed()
    if (used > this.stats.peakMemory) this.stats.peakMemory = used
    const { maxmemory } = this.options.values
    this.engine.outOfMemory = maxmemory > 0 && used > maxmemory
    this.#memory.collect()
  }

  #sampleRates(now: number): void {
    const { stats } = this
    const last = this.#sampled
    const seconds = Math.max(0.001, (now - last.at) / 1000)
    if (last.at > 0) {
      stats.instantOps = Math.max(0, Math.round((stats.commandsProcessed - last.commands) / seconds))
      stats.instantInputBytes = Math.max(0, (stats.netInputBytes - last.input) / seconds)
      stats.instantOutputBytes = Math.max(0, (stats.netOutputBytes - last.output) / seconds)
    }
    this.#sampled = { commands: stats.commandsProcessed, input: stats.netInputBytes, output: stats.netOutputBytes, at: now }
  }

  /** Closes sessions that are idle, stuck in half a request, unauthenticated for too long, or that hold too much input. */
  #lookAfterSessions(now: number): void {
    const { values } = this.options
    const idleMs = values.timeout * 1000
    let input = 0
    for (const session of this.sessions.values()) {
      input += heldInput(session)
      if (session.isReadingPaused) this.turn.probe(session)
      this.turn.checkOutput(session)
      if (session.isClosing || (session.hasEnded && session.parked !== null)) {
        const since = this.#closingSince.get(session) ?? now
        this.#closingSince.set(session, since)
        const isOver = session.isClosing && session.outputQueued === 0
        if (now - since >= (isOver ? LINGERING_MS_MAX : CLOSING_MS_MAX)) session.transport.destroy()
      } else if (!session.isAdmitted && now - session.createdAt >= UNAUTHENTICATED_MS_MAX) this.#timeOut(session, 'did not authenticate')
      else if (idleMs > 0 && session.parked === null && session.subscriptions === 0 && now - session.lastInteraction >= idleMs)
        this.#timeOut(session, 'was idle')
      else if (this.#isStuck(session, now)) this.#timeOut(session, 'sent half a request and no more')
    }
    const limit = INPUT_SHARE * (values.maxmemory > 0 ? values.maxmemory : totalmem())
    if (input > limit) this.#dropLargestInput(input, limit)
  }

  #dropLargestInput(input: number, limit: number): void {
    const largestFirst = [...this.sessions.values()].sort((a, b) => heldInput(b) - heldInput(a))
    for (const session of largestFirst) {
      if (input <= limit) return
      const bytes = heldInput(session)
      this.stats.queryLimitClosed++
      this.env.say('warning', 'closed the client with the largest unfinished request: all of them together take too much memory', {
        id: session.id,
        addr: session.addr,
        bytes,
        all: input,
      })
      session.transport.destroy()
      input -= bytes
    }
  }

  /** Half a request, old, and it does not get on. */
  #isStuck(session: Session, now: number): boolean {
    const since = session.parser.partialSince
    if (since === 0 || session.isReadingPaused) return false
    let seen = this.#progress.get(session)
    if (seen === undefined || seen.since !== since) this.#progress.set(session, (seen = { since, at: since, bytes: 0 }))
    const bytes = session.inputQueued
    if (bytes - seen.bytes >= PARTIAL_PROGRESS_BYTES) {
      seen.at = now
      seen.bytes = bytes
    }
    return now - seen.at >= PARTIAL_MS_MAX
  }

  #timeOut(session: Session, why: string): void {
    this.stats.timeoutClosed++
    this.env.say('verbose', `closed a client that ${why}`, { id: session.id, addr: session.addr })
    session.transport.destroy()
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
      turn.outputLimits = values['client-output-buffer-limit']
      const { hardBytes } = turn.outputLimits.normal
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
    for (const name of [
      'hash-max-listpack-entries',
      'hash-max-listpack-value',
      'set-max-intset-entries',
      'zset-max-listpack-entries',
      'zset-max-listpack-value',
      'list-max-listpack-size',
    ] as const) {
      options.whenChanged(name, apply)
    }
    options.whenChanged('slowlog-log-slower-than', apply)
    options.whenChanged('slowlog-max-len', (length) => {
      apply()
      const { entries } = this.stats.slowlog
      if (entries.length > length) entries.length = length
    })
    options.whenChanged('latency-monitor-threshold', apply)
    options.whenChanged('latency-tracking', apply)
    options.whenChanged('client-output-buffer-limit', apply)
    options.whenChanged('client-query-buffer-limit', apply)
    options.whenChanged('notify-keyspace-events', apply)
    options.whenChanged('order-retention', apply)
    options.whenChanged('return-window', apply)
    options.whenChanged('restart-grace', apply)
    options.whenChanged('maxmemory', () => this.#sampleMemory())
    options.whenChanged('proto-max-bulk-len', (bytes) => {
      apply()
      for (const session of this.sessions.values()) session.parser.bulkBytesMax = bytes
    })
    options.whenChanged('maxclients', (clients) =>
      clients + RESERVED_CLIENTS > descriptorLimit()
        ? `The operating system is not able to handle the specified number of clients, try with ${Math.max(1, descriptorLimit() - RESERVED_CLIENTS)}`
        : null,
    )
    options.whenAnyChanged(TLS_OPTIONS, () => {
      const reason = this.reloadCredentials()
      return reason === null ? null : `Unable to update TLS configuration: ${reason}`
    })
    options.whenChanged('appendfsync', (policy) => {
      this.log?.setPolicy(policy)
      turn.isStrict = this.log !== null && policy === 'always'
    })
  }
}

/** Bytes that a session has sent and that have not run. */
function heldInput(session: Session): number {
  return session.inputQueued + session.transactionBytes
}

/** How many files this process may open; Infinity where the system does not say. */
function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
    return line === null || line[1] === 'unlimited' ? Infinity : Number(line[1])
  } catch {
    return Infinity
  }
}
