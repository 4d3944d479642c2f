// One turn: everything that happens between two visits to the event loop, for all sessions together.
//
//   begin      the clock is read once; due holds expire and due keys go
//   receive    requests run in place; replies collect in one buffer, records in the engine's journal
//   end        records -> log.append -> log.write -> replies, one write per session (delivery.ts)
//
// What stays true: no reply leaves before the log has taken its records as the policy wants it; `end` is the one place that knows this
// order. Replies of a session leave in the order of its requests. If the log fails, whoever wrote gets the failure instead of the
// reply, and under `always` so does whoever saw what was written.
//
// Unusual: this file knows no socket, no timer and no disk. A simulation drives it with arrays.

import type { Lsn, Millis } from '../base/brand.ts'
import { UNAUTHENTICATED_QUERY_BYTES_MAX } from '../base/limits.ts'
import type { Call } from '../engine/call.ts'
import type { Engine } from '../engine/engine.ts'
import { BROKEN, REQUEST } from '../resp/parser.ts'
import type { Reply } from '../resp/reply.ts'
import type { Request } from '../resp/request.ts'
import { Delivery, OUTPUT_PAUSE_BYTES, hangUp, pauseReading } from './delivery.ts'
import { Dirty } from './dirty.ts'
import { ANSWERED, KEYLESS, POSTPONED, READS_ALL, STOCK, WRITE } from './dispatch.ts'
import type { Dispatcher } from './dispatch.ts'
import type { Env } from './env.ts'
import { isForeign, isForeignLine, isForeignWord } from './foreign.ts'
import type { Parked, Session } from './session.ts'
import type { Stats } from './stats.ts'

/** The log, as a turn sees it. */
export interface TurnLog {
  readonly last: Lsn
  /** Replies that depend on records up to here may leave. */
  readonly acked: Lsn
  append(bytes: Buffer, length: number, records: number, now: Millis): Lsn
  /** Writes what was appended; may call `onFailed` before it returns. */
  write(): void
  refusal(): string | null
}

/** Requests of one session per turn: one that floods must not keep the others waiting. */
const REQUESTS_PER_TURN = 1000
/** Records of this turn, which are one batch: above this a session runs one request more, and the rest in the next turn. */
const RECORDS_PAUSE_BYTES = 64 * 1024 * 1024
/** Input of a session that may not run now (parked, or its replies do not leave): above this it is not read from. */
const INPUT_PAUSE_BYTES = 1024 * 1024
/** A reply buffer up to this size is used again; what a huge reply has grown is given back. */
const REPLY_KEPT_BYTES = 4 * 1024 * 1024
const REPLY_BYTES_AT_FIRST = 64 * 1024
/** So many groups of sessions that were sent different messages behind the same first one share a copy each; the others have their own. */
const JOINED_MAX = 16

/** How often the log tells of connections that do not speak RESP. */
const FOREIGN_SAID_MS = 60_000

const STAR = 42
const NONE = 0 as Lsn
/** Not a text that any error has. */
const READY = Symbol('ready')

/** Messages that several sessions are sent in one turn, one behind another. */
interface Joined {
  readonly messages: readonly Buffer[]
  readonly bytes: Buffer
}

/** A parked request that answers at the end of this turn. */
interface Waking {
  /** As ready, as out of time (null), or with an error. */
  readonly why: typeof READY | null | string
  /** So many messages came before its answer; those that came since stand behind it. */
  readonly behind: number
}

/** What one session got in one turn: reply.buffer[start..end). */
class Run {
  session: Session | null = null
  start = 0
  end = 0
  /** The replies may leave when the log has acked this. */
  need: Lsn = NONE
  /** Its marks are marks[marksFrom..marksTo). */
  marksFrom = 0
  marksTo = 0
}

export interface TurnParts {
  readonly engine: Engine
  readonly log: TurnLog
  readonly call: Call
  readonly dispatcher: Dispatcher
  readonly stats: Stats
  readonly env: Env
}

export class Turn {
  /** Policy `always`: a reply that saw what is not durable yet waits too. */
  isStrict = false
  /** Bytes of unfinished requests that a session may have waiting. */
  inputBytesMax = Infinity
  readonly #engine: Engine
  /** The node opens its log after the turn was made. */
  log: TurnLog
  readonly #call: Call
  readonly #reply: Reply
  readonly #dispatcher: Dispatcher
  readonly #stats: Stats
  readonly #env: Env
  readonly #end = (): void => this.end()
  readonly delivery: Delivery

  /** Whose command runs now. */
  #running: Session | null = null
  /** Sessions with messages that have not been delivered. */
  readonly #pushed = new Set<Session>()
  /** One of them has so many that whoever sends them goes on in the next turn. */
  #isPushedEnough = false
  /** While they are delivered: messages that have been put together, by the first of them. */
  readonly #joins = new Map<Buffer, Joined[]>()
  /** Runs once behind the command that runs now, before any other one. */
  behindCommand: (() => void) | null = null
  #isOpen = false
  #began = 0
  readonly #runs: Run[] = []
  #runCount = 0
  /** Pairs of offsets into the reply buffer: replies that depend on the log. */
  #marks = new Int32Array(256)
  #markCount = 0

  /** Sessions that have input left. */
  #ready: Session[] = []
  readonly #afterwards: (() => void)[] = []
  #foreignSaidAt = -Infinity
  #isStopping = false
  /** Sessions with a parked request. */
  readonly parked = new Set<Session>()
  /** Of these, the ones that have to be asked whether they are ready. The others are told: a thousand of them cost a turn nothing. */
  readonly #asked = new Set<Session>()
  /** Of these, the ones that shall answer now. */
  readonly #waking = new Map<Session, Waking>()

  /** What strict turns wait for. */
  readonly #dirty = new Dirty()

  constructor({ engine, log, call, dispatcher, stats, env }: TurnParts) {
    this.#engine = engine
    this.log = log
    this.#call = call
    this.#reply = call.reply
    this.#dispatcher = dispatcher
    this.#stats = stats
    this.#env = env
    this.delivery = new Delivery({
      engine,
      stats,
      env,
      acked: () => this.log.acked,
      isAnswering: (session) => this.#hasRun(session),
      drained: (session) => this.drained(session),
    })
  }

  /** Bytes that one reply may grow to: the sessions' queues are bounded beside it, because whoever does not read runs nothing more. */
  set replyBytesMax(bytes: number) {
    this.#reply.bytesMax = bytes
  }

  /** LSN of the last record so far, those of this turn included. */
  get lsn(): Lsn {
    return (this.log.last + this.#engine.journal.records) as Lsn
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** True if nothing is under way: no turn is open, no request is left over, no reply waits for the log. */
  get isQuiet(): boolean {
    return !this.#isOpen && this.#ready.length === 0 && this.delivery.isIdle
  }

  /** Bytes came: input[start..end). They are valid during the call only; `start` bytes before them are free. */
  receive(session: Session, input: Buffer, start: number, end: number): void {
    if (!this.#isOpen) this.begin()
    session.lastInteraction = this.#engine.now
    session.inputBytes += end - start
    this.#stats.netInputBytes += end - start
    if (session.isClosing) return
    const parser = session.parser
    // The first bytes only: what follows the beginning of a request may be a value, and a value may be anything.
    const isFirst = session.inputBytes === end - start
    if (isFirst && input[start] !== STAR && isForeign(input, start, end)) return this.#foreign(session)
    parser.feed(input, start, end)
    if (session.parked === null && !session.isReady && !session.isReadingPaused) this.#work(session)
    parser.keep(this.#engine.now)
    const pending = parser.pendingBytes
    if (
      pending + session.transactionBytes > this.inputBytesMax ||
      (!parser.authenticated && session.strangerBytes > UNAUTHENTICATED_QUERY_BYTES_MAX)
    )
      this.#tooMuch(session)
    else if (pending > INPUT_PAUSE_BYTES && (session.isReady || session.parked !== null)) pauseReading(session)
  }

  /** The peer sends no more: what it has sent is still answered, also when that has to wait. */
  ended(session: Session): void {
    session.hasEnded = true
    if (session.parked?.endsWithInput === true) this.#forget(session)
    if (session.parked === null && !session.isReady) this.close(session)
  }

  /**
   * Reads a little of what a session has sent that may wait for ever and has sent too much behind that: only who reads hears that the
   * peer has gone.
   */
  probe(session: Session): void {
    if (session.parked?.endsWithInput === true && !this.#isStopping) resumeReading(session)
  }

  /** Takes no more input from anybody: the node stops. What has come is still answered. */
  stopReading(sessions: Iterable<Session>): void {
    this.#isStopping = true
    for (const session of sessions) session.transport.pause()
  }

  /** Runs this when the state is what was appended to the log: at once, or at the end of the turn that is open. */
  between(run: () => void): void {
    if (this.#isOpen) this.#afterwards.push(run)
    else run()
  }

  /** Opens a turn, unless one is open. */
  begin(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#began = this.#env.clock.micros()
    this.#env.endOfTurn(this.#end)
    this.#dispatcher.gate.refusal = this.log.refusal()
    this.#advance(this.#env.clock.now())
  }

  /** The timer's beat: time goes on although nobody asks. */
  beat(): void {
    const now = this.#env.clock.now()
    if (this.#engine.nextDeadline() <= now && this.log.refusal() === null) this.begin()
    this.checkParked()
  }

  /** Ends the turn: the log first, the replies after it. */
  end(): void {
    if (this.#asked.size > 0 || this.#waking.size > 0) this.#wake()
    const journal = this.#engine.journal
    if (journal.records > 0) {
      if (this.#dispatcher.watches.isAny) this.#dispatcher.watches.drain()
      this.log.append(journal.buffer, journal.length, journal.records, this.#engine.now)
      journal.drained()
      const began = this.#spikeClock()
      this.log.write()
      this.#spiked('aof-write', began)
    }
    // The state is what was appended: now the log may hear of its disk. An fsync that is done lets the replies leave right behind it.
    while (this.#afterwards.length > 0) for (const run of this.#afterwards.splice(0)) run()
    this.#deliver()
    this.#isOpen = false
    this.#stats.turns++
    const micros = this.#env.clock.micros() - this.#began
    if (micros > this.#stats.longestTurn) this.#stats.longestTurn = micros
    if (this.#ready.length > 0 || this.#waking.size > 0 || this.#isAnyReady() || this.#isAnyDue()) this.#next()
  }

  /**
   * Sends a session what it has not asked for just now (a channel's message, a line for MONITOR): behind what it was answered so far, and
   * when what was written so far may be told. The bytes must not change.
   */
  push(session: Session, message: Buffer): void {
    if (session.isClosing) return
    if (session === this.#running) {
      const reply = this.#reply
      // CLIENT REPLY drops replies, and this is none: what was written of the reply goes now, so that the rest can go behind the message.
      if (session.replyMode !== 'on') reply.length = reply.floor
      reply.raw(message)
      if (session.replyMode !== 'on') reply.floor = reply.length
      return
    }
    session.pushed.push(message)
    session.pushedBytes += message.length
    if (session.pushedBytes > OUTPUT_PAUSE_BYTES) this.#isPushedEnough = true
    this.#pushed.add(session)
    this.begin()
    this.delivery.limitMessages(session)
  }

  /** The log got further: `always` has fsynced a batch. */
  acked(): void {
    this.delivery.acked()
    if (this.#asked.size > 0 && !this.#isOpen && this.#isAnyReady()) this.begin()
  }

  /** The log failed with the records from..to: who waits for one of them gets this error instead of the reply. */
  failed(from: Lsn, to: Lsn, message: string): void {
    this.delivery.failed(from, to, message)
  }

  /** The peer has taken what was queued for it. */
  drained(session: Session): void {
    if (session.isReadingPaused && session.outputKept <= OUTPUT_PAUSE_BYTES / 2) this.#goOn(session)
  }

  /** The connection is gone. */
  closed(session: Session): void {
    session.isClosing = true
    session.isClosed = true
    session.held.length = 0
    session.heldBytes = 0
    session.pushed.length = 0
    session.pushedBytes = 0
    this.#pushed.delete(session)
    session.discard()
    session.monitoring?.end()
    this.#forget(session)
  }

  /** What the session has parked is not answered. */
  #forget(session: Session): void {
    session.parked?.unparked?.()
    session.parked = null
    this.parked.delete(session)
    this.#asked.delete(session)
    this.#waking.delete(session)
  }

  /** The request being run answers later; inside EXEC it answers at once, as if its time had run out. */
  park(session: Session, parked: Parked): void {
    if (session.mayNotWait) {
      parked.unparked?.()
      return parked.answer(this.#reply, true)
    }
    session.parked = parked
    this.parked.add(session)
    if (parked.isReady !== undefined) this.#asked.add(session)
  }

  /** Looks for parked requests that are ready or out of time; they are answered at the end of a turn. */
  checkParked(): void {
    if (this.parked.size === 0) return
    const now = this.#env.clock.now()
    let isAnyDue = false
    for (const session of this.parked) {
      if (session.parked!.deadline > now) continue
      isAnyDue = true
      // Who is asked is asked at the end of the turn, when it may just have become ready.
      if (this.#asked.has(session) || this.#waking.has(session)) continue
      session.parked!.unparked?.()
      this.#wakes(session, null)
    }
    if (isAnyDue || this.#isAnyReady()) this.begin()
  }

  /** The request that this session has parked is ready: it is answered at the end of a turn, behind so many of the turn's messages. */
  wake(session: Session, behind = session.pushed.length): void {
    if (session.parked === null || this.#waking.has(session)) return
    this.#wakes(session, READY, behind)
    this.begin()
  }

  /** At the end of this turn the parked request answers as if its time had run out, or with this error. @returns false if there is none. */
  unpark(session: Session, error: string | null): boolean {
    if (session.parked === null || this.#waking.has(session)) return false
    // From now on it waits for nothing: what comes in the rest of this turn is for others.
    session.parked.unparked?.()
    this.#wakes(session, error)
    this.begin()
    return true
  }

  #wakes(session: Session, why: Waking['why'], behind = session.pushed.length): void {
    this.#waking.set(session, { why, behind })
  }

  /** Closes the session when all its replies have left. */
  close(session: Session): void {
    session.isClosing = true
    if (session.held.length === 0 && !this.#hasRun(session)) hangUp(session)
  }

  /** True if a hold's or a key's time has come, and may be told to the log. */
  #isAnyDue(): boolean {
    return this.#engine.nextDeadline() <= this.#engine.now && this.log.refusal() === null
  }

  #isAnyReady(): boolean {
    if (this.#asked.size === 0) return false
    for (const session of this.#asked) if (session.parked!.isReady!()) return true
    return false
  }

  /** Answers the parked requests whose time has come. Not while another request runs: each has its own place in the buffer. */
  #wake(): void {
    const now = this.#engine.now
    const waking = this.#waking
    for (const session of this.#asked) {
      const parked = session.parked!
      if (!waking.has(session) && (parked.deadline <= now || parked.isReady!())) this.#wakes(session, null)
    }
    // An answer may wake another, which then stands behind.
    for (const [session, { why, behind }] of waking) {
      waking.delete(session)
      // Who was closed meanwhile is not there any more: what it had put off does not happen.
      if (session.isClosing) this.#forget(session)
      else this.#answer(session, why, behind)
    }
  }

  #answer(session: Session, why: Waking['why'], behind: number): void {
    const reply = this.#reply
    const parked = session.parked!
    session.parked = null
    parked.unparked?.()
    this.parked.delete(session)
    this.#asked.delete(session)
    const run = this.#open(session, behind)
    const from = reply.length
    reply.floor = from
    this.#running = session
    if (typeof why === 'string') reply.error(why)
    else parked.answer(reply, why === null && parked.isReady?.() !== true)
    reply.errors = 0
    if (reply.isTooLong) this.#tooLong(session)
    else if (parked.isRequest !== true && session.replyMode !== 'on') silence(session, reply)
    if (parked.lsn !== undefined) {
      session.lastLsn = parked.lsn
      this.#markUntil(parked.lsn, run, from)
    }
    run.end = reply.length
    this.#running = null
    if (session.parked === null) this.#goOn(session)
  }

  #advance(now: Millis): void {
    const engine = this.#engine
    // Expiry is a record: while the log takes none, no hold and no key expires, and the time of judgement is the time of now.
    if (this.#dispatcher.gate.refusal !== null) {
      engine.now = now
      return
    }
    const { journal } = engine
    const from = journal.length
    const began = this.#spikeClock()
    engine.advance(now)
    this.#spiked('expire-cycle', began)
    if (this.isStrict && journal.length !== from) {
      this.#dirty.wrote(journal.buffer, from, journal.length, this.lsn)
      this.#dirty.stock = this.lsn
    }
  }

  /** The time, if LATENCY wants to know how long this takes; else 0. */
  #spikeClock(): number {
    return this.#dispatcher.gate.spikeMicros === Infinity ? 0 : this.#env.clock.micros()
  }

  #spiked(name: string, began: number): void {
    if (began === 0) return
    const micros = this.#env.clock.micros() - began
    if (micros < this.#dispatcher.gate.spikeMicros) return
    this.#stats.latency.add(name, Math.floor(this.#engine.now / 1000), Math.round(micros / 1000))
  }

  /** Opens the next turn, for the sessions that have input left and for what is due. */
  #next(): void {
    this.begin()
    const ready = this.#ready
    if (ready.length === 0) return
    this.#ready = []
    for (const session of ready) {
      session.isReady = false
      // Whoever does not take its replies is called by `drained`.
      if (session.isClosing || session.parked !== null || session.outputKept > OUTPUT_PAUSE_BYTES) continue
      this.#work(session)
      session.parser.keep(this.#engine.now)
      if (session.isReady) continue
      if (session.hasEnded) session.isClosing = true
      else if (!this.#isStopping) resumeReading(session)
    }
  }

  /** The session may run again: in the next turn, in its order among the others. */
  #goOn(session: Session): void {
    if (session.isClosed || session.isReady) return
    session.isReady = true
    this.#ready.push(session)
    // An open turn looks at #ready when it ends.
    if (!this.#isOpen) this.begin()
  }

  /** Runs the session's requests, as many as there are and may be. */
  #work(session: Session): void {
    const call = this.#call
    const reply = this.#reply
    const journal = this.#engine.journal
    const dispatcher = this.#dispatcher
    const parser = session.parser
    const run = this.#open(session)
    const limit = reply.length + OUTPUT_PAUSE_BYTES
    let commands = 0
    for (;;) {
      const outcome = parser.next()
      if (outcome !== REQUEST) {
        if (outcome === BROKEN) this.#broken(session)
        break
      }
      if (commands === REQUESTS_PER_TURN || reply.length > limit || this.#isPushedEnough || journal.length > RECORDS_PAUSE_BYTES) {
        // `next` has consumed this one: it runs now, and the rest in the next turn.
        this.#later(session)
      }
      const request = parser.request
      if (parser.isInline && commands === 0 && session.commands === 0 && isForeignLine(request)) {
        this.#foreign(session)
        break
      }
      call.request = request
      reply.protocol = session.protocol
      const from = reply.length
      reply.floor = from
      const recordsFrom = journal.length
      this.#running = session
      const ran = dispatcher.run(session)
      if (this.behindCommand !== null) this.#behind()
      if (ran !== ANSWERED) {
        if (ran === POSTPONED) this.#postpone(session, request)
        else if (isForeignWord(request)) {
          reply.length = from
          this.#foreign(session)
        }
        if (ran === POSTPONED || session.isClosing) break
      }
      if (reply.isTooLong) {
        this.#tooLong(session)
        break
      }
      commands++
      this.#ran(session, run, from, recordsFrom)
      if (session.isReady || session.isClosing || session.parked !== null) break
    }
    this.#running = null
    session.commands += commands
    this.#stats.commandsProcessed += commands
    run.end = reply.length
  }

  /** The session has had its share of this turn. */
  #later(session: Session): void {
    session.isReady = true
    this.#ready.push(session)
  }

  /** HTTP, TLS ...: closed without an answer, so that no page can read one. */
  #foreign(session: Session): void {
    const stats = this.#stats
    stats.protocolMismatches++
    session.isClosing = true
    session.transport.destroy()
    const now = this.#engine.now
    if (now - this.#foreignSaidAt < FOREIGN_SAID_MS) return
    this.#foreignSaidAt = now
    this.#env.say('warning', 'closed a connection that does not speak RESP (HTTP or TLS on the plain port?); said at most once a minute', {
      addr: session.addr,
      total: stats.protocolMismatches,
    })
  }

  #tooMuch(session: Session): void {
    this.#stats.queryLimitClosed++
    this.#env.say('warning', 'closed a client whose request is too large', {
      id: session.id,
      addr: session.addr,
      bytes: session.parser.pendingBytes + session.transactionBytes,
    })
    session.isClosing = true
    session.transport.destroy()
  }

  /** A reply that no reader could be given: more than may wait for one. What the command did is done, and in the log. */
  #tooLong(session: Session): void {
    const reply = this.#reply
    reply.isTooLong = false
    reply.length = reply.floor
    this.#stats.outputLimitClosed++
    this.#env.say('warning', 'closed a client whose reply is too large', { id: session.id, addr: session.addr, limit: reply.bytesMax })
    session.isClosing = true
    session.transport.destroy()
  }

  #broken(session: Session): void {
    this.#reply.error(session.parser.error)
    this.#reply.errors = 0
    this.#stats.countError(session.parser.error)
    session.isClosing = true
  }

  /** CLIENT PAUSE: a copy of the request waits, and everything of the session behind it. */
  #postpone(session: Session, request: Request): void {
    const copy = request.clone()
    const gate = this.#dispatcher.gate
    this.park(session, {
      deadline: Infinity,
      isRequest: true,
      isReady: () => gate.pause === 'none',
      answer: () => this.#again(session, copy),
    })
  }

  #behind(): void {
    const run = this.behindCommand
    this.behindCommand = null
    run?.()
  }

  /** Runs a postponed request. */
  #again(session: Session, request: Request): void {
    const run = this.#open(session)
    const from = this.#reply.length
    const recordsFrom = this.#engine.journal.length
    this.#call.request = request
    this.#reply.floor = from
    if (this.#dispatcher.run(session) === POSTPONED) return this.#postpone(session, request)
    if (this.behindCommand !== null) this.#behind()
    if (this.#reply.isTooLong) return this.#tooLong(session)
    session.commands++
    this.#stats.commandsProcessed++
    this.#ran(session, run, from, recordsFrom)
  }

  /** What a request has written to the replies from `from` on, and to the journal, is treated as both want it. */
  #ran(session: Session, run: Run, from: number, recordsFrom: number): void {
    const wrote = this.#engine.journal.length !== recordsFrom
    if (wrote) session.lastLsn = this.lsn
    if (session.replyMode !== 'on') silence(session, this.#reply)
    if (wrote || this.isStrict) this.#mark(session, run, from, recordsFrom)
  }

  /** The run of this session that replies are now written to, behind so many of its messages. */
  #open(session: Session, behind = Infinity): Run {
    const reply = this.#reply
    reply.protocol = session.protocol
    this.#call.client = session
    if (this.#runCount > 0) {
      const last = this.#runs[this.#runCount - 1]
      if (last.session === session) {
        this.#answerPushed(session, last, behind)
        return last
      }
    }
    if (this.#runCount === this.#runs.length) this.#runs.push(new Run())
    const run = this.#runs[this.#runCount++]
    run.session = session
    run.start = reply.length
    run.need = NONE
    this.#answerPushed(session, run, behind)
    run.end = reply.length
    run.marksFrom = this.#markCount
    run.marksTo = this.#markCount
    return run
  }

  /** Messages that came before the reply that is now written stand before it: so many. */
  #answerPushed(session: Session, run: Run, behind: number): void {
    if (session.pushedBytes === 0) return
    run.need = Math.max(run.need, this.#pushNeed()) as Lsn
    for (const message of session.pushed.splice(0, behind)) {
      this.#reply.raw(message)
      session.pushedBytes -= message.length
    }
    if (session.pushedBytes === 0) this.#pushed.delete(session)
  }

  /** Messages may tell of anything that was written so far. */
  #pushNeed(): Lsn {
    return this.isStrict ? this.lsn : NONE
  }

  #takePushed(session: Session): void {
    session.pushed.length = 0
    session.pushedBytes = 0
    this.#pushed.delete(session)
  }

  /** The reply that starts at `from` depends on the log: on its own records, or (strict) on what it may have seen. */
  #mark(session: Session, run: Run, from: number, recordsFrom: number): void {
    this.#markUntil(this.isStrict ? this.#strictNeed(recordsFrom) : session.lastLsn, run, from)
  }

  #markUntil(need: Lsn, run: Run, from: number): void {
    if (need <= this.log.acked) return
    if (need > run.need) run.need = need
    const to = this.#reply.length
    if (to === from) return
    if (this.#markCount + 2 > this.#marks.length) {
      const larger = new Int32Array(this.#marks.length * 2)
      larger.set(this.#marks)
      this.#marks = larger
    }
    this.#marks[this.#markCount++] = from
    this.#marks[this.#markCount++] = to
    run.marksTo = this.#markCount
  }

  /** Remembers what the command wrote, its records from `recordsFrom` on; @returns the newest LSN among those and what its reply may show. */
  #strictNeed(recordsFrom: number): Lsn {
    const { request, spec } = this.#call
    const bits = this.#dispatcher.bits
    if (bits === 0 || spec === null) return NONE
    const { journal } = this.#engine
    const dirty = this.#dirty
    const { first, last, step } = spec.keys
    if (journal.length !== recordsFrom) {
      const now = this.lsn
      dirty.wrote(journal.buffer, recordsFrom, journal.length, now)
      if ((bits & STOCK) !== 0) dirty.stock = now
      if ((bits & KEYLESS) !== 0) dirty.wroteAll(now)
      return now
    }
    if ((bits & READS_ALL) !== 0) return dirty.any
    // A refusal may rest on any order or SKU; a question says what it is about.
    let need = (bits & STOCK) !== 0 && (bits & WRITE) !== 0 ? dirty.stock : NONE
    if (first === 0) return need
    const stop = last < 0 ? request.argc + last : Math.min(last, request.argc - 1)
    for (let i = first; i <= stop; i += step) {
      const newest = dirty.newestOf(request.bytes, request.start[i], request.end[i])
      if (newest > need) need = newest
    }
    return need
  }

  /** Sends what may leave, keeps what must wait. */
  #deliver(): void {
    const reply = this.#reply
    const acked = this.log.acked
    this.delivery.forgive(acked)
    let isBufferFree = true
    let isAnyClosing = false
    for (let i = 0; i < this.#runCount; i++) {
      const run = this.#runs[i]
      const session = run.session!
      if (session.isClosed) continue
      if (session.isClosing) isAnyClosing = true
      const length = run.end - run.start
      if (length > 0) {
        if (run.need <= acked && session.held.length === 0) {
          // Behind a queue the bytes will stay for a while: a copy, so that one slow reader does not keep the whole turn's buffer.
          const bytes = reply.buffer.subarray(run.start, run.end)
          const isBehind = session.transport.queued > 0
          if (!this.delivery.send(session, isBehind ? Buffer.from(bytes) : bytes) && !isBehind) isBufferFree = false
        } else {
          const marks = run.marksTo > run.marksFrom ? this.#marks.slice(run.marksFrom, run.marksTo) : null
          if (marks !== null) for (let k = 0; k < marks.length; k++) marks[k] -= run.start
          this.delivery.hold(session, { need: run.need, bytes: Buffer.from(reply.buffer.subarray(run.start, run.end)), marks })
        }
      }
    }
    for (const session of this.#pushed) {
      const bytes = this.#joined(session)
      const need = this.#pushNeed()
      this.#takePushed(session)
      if (need <= acked && session.held.length === 0) this.delivery.send(session, bytes)
      else this.delivery.hold(session, { need, bytes, marks: null })
    }
    if (this.#joins.size > 0) this.#joins.clear()
    for (let i = 0; i < this.#runCount; i++) {
      const session = this.#runs[i].session!
      this.#runs[i].session = null
      if (isAnyClosing && session.isClosing && !session.isClosed && session.held.length === 0) hangUp(session)
    }
    this.#isPushedEnough = false
    this.#runCount = 0
    this.#markCount = 0
    reply.length = 0
    // A buffer that a socket still reads from belongs to that socket now.
    if (!isBufferFree || reply.buffer.length > REPLY_KEPT_BYTES) reply.buffer = Buffer.allocUnsafeSlow(REPLY_BYTES_AT_FIRST)
  }

  /** The session's messages as one buffer. Who listens to the same gets the same: thousands share one copy. */
  #joined({ pushed, pushedBytes }: Session): Buffer {
    const first = pushed[0]
    if (pushed.length === 1) return first
    let known = this.#joins.get(first)
    if (known === undefined) this.#joins.set(first, (known = []))
    for (const { messages, bytes } of known) if (isSame(messages, pushed)) return bytes
    const bytes = Buffer.concat(pushed, pushedBytes)
    if (known.length < JOINED_MAX) known.push({ messages: pushed.slice(), bytes })
    return bytes
  }

  /** True if the open turn has replies for this session. */
  #hasRun(session: Session): boolean {
    for (let i = 0; i < this.#runCount; i++) if (this.#runs[i].session === session) return true
    return false
  }
}

function isSame(one: readonly Buffer[], other: readonly Buffer[]): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}

function resumeReading(session: Session): void {
  if (!session.isReadingPaused) return
  session.isReadingPaused = false
  session.transport.resume()
}

/** CLIENT REPLY OFF and SKIP: the reply is dropped; of an EXEC's, what came before them has been kept. One that comes later, later. */
function silence(session: Session, reply: Reply): void {
  if (session.parked !== null) return
  reply.length = reply.floor
  if (session.replyMode === 'skip') session.replyMode = 'on'
  else if (session.replyMode === 'skip-next') session.replyMode = 'skip'
}
