// From a request to its command: which one, may it run, run it, count it. One request at a time, in place, nothing allocated.
//
// The checks come in redis-server's order and with its texts: unknown command or subcommand, arity, protected, NOAUTH, NOPERM, OOM, MISCONF,
// subscribed, LOADING, CLIENT PAUSE. Behind MULTI a request that has passed them is queued; one that has not makes EXEC refuse the
// transaction. EXEC is checked as all that it will run.
//
// Time is read only where it can matter. A command that is flagged fast or is O(1) costs less than looking at the clock twice is worth:
// one in 64 of its calls is timed, and `usec` is estimated from those. Every other command is timed each time, and so is every command
// while SLOWLOG asks for less than a millisecond or LATENCY is on.

import { BODY_BYTES_MAX } from '../aof/limits.ts'
import type { Call } from '../engine/call.ts'
import type { CommandSpec, CommandTable } from '../engine/command.ts'
import { AUTHENTICATION_REQUIRED, LOADING, OUT_OF_MEMORY, unknownCommand, unknownSubcommand, wrongArity } from '../resp/errors.ts'
import type { Reply } from '../resp/reply.ts'
import { Request } from '../resp/request.ts'
import type { Clock } from '../base/clock.ts'
import { WORDS_BYTES_MAX } from '../base/limits.ts'
import { absence } from './absent.ts'
import { Monitors } from './monitors.ts'
import type { ReplyMode, Session } from './session.ts'
import { CommandStats, TIMED_ONE_IN } from './stats.ts'
import type { Stats } from './stats.ts'
import type { Transaction } from './transactions/transaction.ts'
import { Watches } from './transactions/watches.ts'

/** What `run` did with a request. */
export type Ran = typeof ANSWERED | typeof POSTPONED | typeof UNKNOWN
/** It was answered, or parked itself to be answered later. */
export const ANSWERED = 1
/** CLIENT PAUSE: it must run again later, nothing has happened. */
export const POSTPONED = 0
/** No such command; the error is answered. */
export const UNKNOWN = 2

/** It may change data. */
export const WRITE = 1
const DENY_OOM = 2
const NO_AUTH = 4
const WHILE_LOADING = 8
const PAUSED_WITH_WRITES = 16
const CHEAP = 32
/** It looks at stock or orders. */
export const STOCK = 64
/** It reads what no key of its says: KEYS, SCAN, DBSIZE ... */
export const READS_ALL = 128
const SKIP_SLOWLOG = 256
const PROTECTED = 512
/** Its arguments are words, short ones: it may make strings of them. */
const WORDS = 1024
/** What it changes, none of its arguments says: FLUSHALL, SWAPDB ... */
export const KEYLESS = 2048
/** Not inside MULTI. */
const NO_MULTI = 4096
/** It is not queued behind MULTI: it ends the transaction, or says that it cannot. */
const UNQUEUED = 8192
/** It is taken behind MULTI even when memory is over the limit. */
const ENDS_MULTI = 16384
const EXEC = 32768
/** MONITOR does not show it. */
const UNMONITORED = 131072
/** It reads or writes keys: a monitor may not. */
const OF_KEYS = 262144
/** What EXEC is refused or postponed for, if one of its commands would be. */
const CHECKED_BY_EXEC = WRITE | DENY_OOM | PAUSED_WITH_WRITES | OF_KEYS
const UNQUEUED_NAMES: readonly string[] = ['exec', 'discard', 'multi', 'watch', 'quit', 'reset']
const ENDS_MULTI_NAMES: readonly string[] = ['exec', 'discard', 'quit', 'reset']
/** Who listens to channels may use it in RESP2, too. */
const WHILE_SUBSCRIBED = 65536
/** Records of one EXEC are one batch, which a start of the node must be able to read: what is behind so many bytes of them is refused. */
const EXEC_RECORDS_BYTES_MAX = BODY_BYTES_MAX / 2
/** No command has a longer name. */
const NAME_MAX = 64
/** The groups whose commands take words; keys and values are data. */
const WORD_GROUPS: readonly CommandSpec['group'][] = ['connection', 'server', 'stock', 'scripting']

/** A spec with what the hot path asks of it, in one shape. */
class Command {
  readonly spec: CommandSpec
  readonly run: (call: Call) => void
  readonly arity: number
  readonly bits: number
  readonly stats: CommandStats

  constructor(spec: CommandSpec, stats: CommandStats) {
    this.spec = spec
    this.run = spec.run
    this.arity = spec.arity
    this.stats = stats
    const has = (flag: CommandSpec['flags'][number], bit: number): number => (spec.flags.includes(flag) ? bit : 0)
    const isCheap = spec.flags.includes('fast') || /^O\(1\)/.test(spec.complexity)
    const readsAll = spec.flags.includes('readonly') && spec.keys.first === 0 && spec.group !== 'connection'
    this.bits =
      has('write', WRITE | PAUSED_WITH_WRITES) |
      has('may_replicate', PAUSED_WITH_WRITES) |
      has('denyoom', DENY_OOM) |
      has('no_auth', NO_AUTH) |
      has('loading', WHILE_LOADING) |
      has('skip_slowlog', SKIP_SLOWLOG) |
      has('protected', PROTECTED) |
      has('no_multi', NO_MULTI) |
      has('admin', UNMONITORED) |
      has('skip_monitor', UNMONITORED) |
      has('write', OF_KEYS) |
      has('readonly', OF_KEYS) |
      has('may_replicate', OF_KEYS) |
      (UNQUEUED_NAMES.includes(stats.fullName) ? UNQUEUED : 0) |
      (ENDS_MULTI_NAMES.includes(stats.fullName) ? ENDS_MULTI : 0) |
      (stats.fullName === 'exec' ? EXEC | READS_ALL : 0) |
      (spec.whileSubscribed === true ? WHILE_SUBSCRIBED : 0) |
      (isCheap ? CHEAP : 0) |
      (WORD_GROUPS.includes(spec.group) && spec.takesData !== true ? WORDS : 0) |
      (spec.group === 'stock' || spec.group === 'scripting' ? STOCK : 0) |
      (spec.keys.first === 0 && spec.group !== 'stock' && spec.group !== 'scripting' ? KEYLESS : 0) |
      (readsAll ? READS_ALL : 0)
  }
}

/** What the checks look at; the node keeps it up to date. */
export interface Gate {
  isLoading: boolean
  /** MISCONF text that write commands get; null: the log takes records. */
  refusal: string | null
  /** CLIENT PAUSE. */
  pause: 'none' | 'writes' | 'all'
  /** Who may use DEBUG. */
  debug: 'no' | 'local' | 'yes'
  /** SLOWLOG takes commands of at least so many microseconds; Infinity: none. */
  slowMicros: number
  slowlogLength: number
  /** LATENCY takes commands of at least so many microseconds; Infinity: none. */
  spikeMicros: number
  isTracking: boolean
  /** Somebody watches keys or monitors commands. */
  isObserved: boolean
}

/** What users may do; asked only about users who may not do everything. */
export interface Permissions {
  /** Why not, as an error; null: the session's user may run this. */
  refusal(session: Session, spec: CommandSpec, request: Request, context: 'toplevel' | 'multi'): string | null
  /** The same at EXEC, for what he could when it was queued. */
  lateRefusal(session: Session, spec: CommandSpec, request: Request): string | null
}

interface DispatcherParts {
  readonly call: Call
  readonly table: CommandTable
  readonly stats: Stats
  readonly clock: Clock
  readonly permissions: Permissions
  /** Sends a monitor its line. */
  readonly push?: (session: Session, line: Buffer) => void
}

export class Dispatcher {
  readonly gate: Gate = {
    isLoading: false,
    refusal: null,
    pause: 'none',
    debug: 'no',
    slowMicros: 10_000,
    slowlogLength: 128,
    spikeMicros: Infinity,
    isTracking: true,
    isObserved: false,
  }
  readonly watches: Watches
  readonly monitors: Monitors
  /** Of the command that `run` has just run: STOCK, READS_ALL ...; 0 if it was refused. */
  bits = 0
  readonly #call: Call
  readonly #reply: Reply
  readonly #clock: Clock
  readonly #stats: Stats
  readonly #table: CommandTable
  readonly #permissions: Permissions
  readonly #commands = new Map<CommandSpec, Command>()
  #command: Command | null = null

  constructor({ call, table, stats, clock, permissions, push = () => {} }: DispatcherParts) {
    this.#call = call
    this.#reply = call.reply
    this.#clock = clock
    this.#stats = stats
    this.#table = table
    this.#permissions = permissions
    this.#add(table.specs, '')
    const onAny = (): void => {
      this.gate.isObserved = this.watches.isAny || this.monitors.isAny
    }
    this.watches = new Watches(call.engine, onAny)
    this.monitors = new Monitors({ clock, push, onAny })
  }

  /** Runs `call.request` for this session. */
  run(session: Session): Ran {
    const call = this.#call
    const request = call.request
    const reply = this.#reply
    const gate = this.gate
    const spec = this.#table.resolve(request)
    session.lastCommand = spec
    if (spec === null) {
      this.#refuse(unknownCommand(request) + absence(request.untilNul(0, NAME_MAX)), null, session)
      return UNKNOWN
    }
    let command = this.#command
    if (command === null || command.spec !== spec) this.#command = command = this.#commands.get(spec)!
    const { arity, stats } = command
    let { bits } = command
    if (spec.subcommands !== undefined && request.argc >= 2) return this.#refuse(unknownSubcommand(request, spec.name), command, session)
    if (arity >= 0 ? request.argc !== arity : request.argc < -arity) return this.#refuse(wrongArity(stats.fullName), command, session)
    if ((bits & WORDS) !== 0 && request.end[request.argc - 1] - request.start[0] > WORDS_BYTES_MAX)
      return this.#refuse(TOO_LONG, command, session)
    if ((bits & PROTECTED) !== 0 && !this.#isProtectedAllowed(session)) return this.#refuse(protectedText(spec.name), command, session)
    if (!session.isAdmitted && (bits & NO_AUTH) === 0) return this.#refuse(AUTHENTICATION_REQUIRED, command, session)
    const { transaction } = session
    if (transaction !== null) {
      if ((bits & NO_MULTI) !== 0) return this.#refuse('ERR Command not allowed inside a transaction', command, session)
      bits = bitsBehindMulti(bits, transaction)
    }
    if (!session.user.mayAll) {
      const refusal = this.#permissions.refusal(session, spec, request, transaction === null ? 'toplevel' : 'multi')
      if (refusal !== null) return this.#refuse(refusal, command, session)
    }
    if (call.engine.outOfMemory && (bits & DENY_OOM) !== 0) return this.#refuse(OUT_OF_MEMORY, command, session)
    if (gate.refusal !== null && (bits & WRITE) !== 0) return this.#refuse(gate.refusal, command, session)
    if (session.subscriptions > 0 && session.protocol === 2 && (bits & WHILE_SUBSCRIBED) === 0)
      return this.#refuse(notWhileSubscribed(stats.fullName), command, session)
    if (gate.isLoading && (bits & WHILE_LOADING) === 0) return this.#refuse(LOADING, command, session)
    const isMonitor = gate.isObserved && session.monitoring !== null
    if (isMonitor && (bits & OF_KEYS) !== 0) return this.#refuse("ERR Replica can't interact with the keyspace", command, session)
    if (gate.pause !== 'none' && !isMonitor && (gate.pause === 'all' || (bits & PAUSED_WITH_WRITES) !== 0)) return POSTPONED
    if (transaction !== null && (bits & UNQUEUED) === 0) {
      transaction.add(request, spec, command.bits)
      this.bits = 0
      reply.raw(QUEUED)
      return ANSWERED
    }
    this.#execute(session, command)
    return ANSWERED
  }

  /** EXEC: runs what was queued, whatever has become of the reasons to refuse it, and answers with the array of the replies. */
  runQueued(session: Session, transaction: Transaction): void {
    const call = this.#call
    const { request, reply } = call
    const own = new Request()
    const { journal } = call.engine
    const wasSkipping = session.replyMode === 'skip'
    // What it reads may be anything; what it changes, those say that write.
    let seen = READS_ALL
    if (!isSilent(session.replyMode)) reply.array(transaction.count)
    session.mayNotWait = true
    call.request = own
    for (const spec of transaction.requests(own)) {
      const from = reply.length
      const { total } = journal
      const { isClosing, replyMode } = session
      const refusal = this.#lateRefusal(session, spec, own)
      if (refusal === null) this.#execute(session, this.#commands.get(spec)!)
      else this.#refuseQueued(refusal)
      seen |= this.bits & (journal.total === total ? STOCK : STOCK | WRITE | KEYLESS)
      // After CLIENT KILL of oneself nothing is answered; what was answered before CLIENT REPLY OFF has been answered.
      if (isClosing) reply.length = from
      else if (isSilent(session.replyMode)) {
        if (!isSilent(replyMode)) reply.floor = from
        reply.length = reply.floor
      }
    }
    session.mayNotWait = false
    // CLIENT REPLY SKIP means the command behind EXEC.
    if (session.replyMode === 'skip-next' && !wasSkipping) reply.floor = reply.length
    this.#stats.commandsProcessed += transaction.count
    call.request = request
    this.bits = seen
  }

  /** Why a queued request does not run after all: its user, or what he may, can have changed since. */
  #lateRefusal(session: Session, spec: CommandSpec, request: Request): string | null {
    if (this.#call.engine.journal.length > EXEC_RECORDS_BYTES_MAX) return TOO_MANY_RECORDS
    return session.user.mayAll ? null : this.#permissions.lateRefusal(session, spec, request)
  }

  #execute(session: Session, command: Command): void {
    const call = this.#call
    const { gate } = this
    const { bits, stats } = command
    const reply = this.#reply
    this.bits = bits
    call.spec = command.spec
    const calls = stats.calls++
    if ((bits & CHEAP) !== 0 && (calls & (TIMED_ONE_IN - 1)) !== 0 && gate.slowMicros >= 1000 && gate.spikeMicros === Infinity) {
      command.run(call)
    } else {
      const began = this.#clock.micros()
      command.run(call)
      this.#timed(session, command, this.#clock.micros() - began)
    }
    if (reply.errors !== 0) {
      stats.failed++
      this.#stats.countError(reply.lastError)
      reply.errors = 0
    }
    if (gate.isObserved) this.#observe(session, command)
  }

  /** Behind every command, while anybody watches or monitors. */
  #observe(session: Session, command: Command): void {
    if (this.watches.isAny) this.watches.catchUp()
    if ((command.bits & UNMONITORED) === 0 && this.monitors.isAny) this.monitors.show(session, this.#call.request)
  }

  /** A line of CommandStats for every command and subcommand. */
  #add(specs: readonly CommandSpec[], container: string): void {
    for (const spec of specs) {
      const name = container + spec.name.toLowerCase()
      const stats = new CommandStats(spec, name)
      this.#stats.commands.push(stats)
      this.#commands.set(spec, new Command(spec, stats))
      if (spec.subcommands !== undefined) this.#add(spec.subcommands, `${name}|`)
    }
  }

  #refuse(text: string, command: Command | null, session: Session): Ran {
    const reply = this.#reply
    const { transaction } = session
    const isExec = command !== null && (command.bits & EXEC) !== 0
    if (transaction !== null) transaction.isRefused = true
    if (isExec) {
      session.discard()
      text = `EXECABORT Transaction discarded because of: ${text.replace(/^ERR /, '')}`
    }
    reply.error(text)
    // Monitors have seen its MULTI: now they see that it is over.
    if (isExec && this.monitors.isAny) this.monitors.show(session, this.#call.request)
    reply.errors = 0
    this.#stats.countError(text)
    if (command !== null) command.stats.rejected++
    this.bits = 0
    return ANSWERED
  }

  #refuseQueued(text: string): void {
    this.#reply.error(text)
    this.#reply.errors = 0
    this.#stats.countError(text)
    this.bits = 0
  }

  #timed(session: Session, command: Command, micros: number): void {
    const gate = this.gate
    command.stats.addTime(micros, gate.isTracking)
    if (micros >= gate.slowMicros && (command.bits & SKIP_SLOWLOG) === 0) {
      const seconds = Math.floor(this.#call.now / 1000)
      this.#stats.slowlog.add(this.#call.request, seconds, Math.round(micros), session.addr, session.name, gate.slowlogLength)
    }
    if (micros >= gate.spikeMicros) {
      const name = command.spec.flags.includes('fast') ? 'fast-command' : 'command'
      this.#stats.latency.add(name, Math.floor(this.#call.now / 1000), Math.round(micros / 1000))
    }
  }

  #isProtectedAllowed(session: Session): boolean {
    return this.gate.debug === 'yes' || (this.gate.debug === 'local' && session.transport.isLoopback)
  }
}

/** What a command is checked as while its session has a transaction. */
function bitsBehindMulti(bits: number, { anyBits, allBits }: Transaction): number {
  if ((bits & EXEC) !== 0) return (bits | (anyBits & CHECKED_BY_EXEC)) & (allBits | ~WHILE_LOADING)
  // Queueing takes memory, too.
  return (bits & ENDS_MULTI) !== 0 ? bits : bits | DENY_OOM
}

/** CLIENT REPLY drops what is now answered. */
function isSilent(mode: ReplyMode): boolean {
  return mode === 'off' || mode === 'skip'
}

const QUEUED = Buffer.from('+QUEUED\r\n')

const TOO_MANY_RECORDS = 'ERR the commands of this transaction have written more than one EXEC may; those before are done'

const TOO_LONG = `ERR the arguments of this command have at most ${WORDS_BYTES_MAX} bytes`

const notWhileSubscribed = (fullName: string): string =>
  `ERR Can't execute '${fullName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`

const protectedText = (name: string): string =>
  `ERR ${name} command not allowed. If the enable-${name.toLowerCase()}-command option is set to "local", you can run it from a local ` +
  `connection, otherwise you need to set this option in the configuration file, and then restart the server.`
