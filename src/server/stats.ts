// What a node counts about itself: INFO stats, commandstats and errorstats read it, CONFIG RESETSTAT sets it back.
//
// The hot path only adds to fields of fixed shape. The time of cheap commands is sampled: a clock read costs as much as
// a tenth of a GET. Commands that may take long are timed each (see dispatch.ts).

import type { CommandSpec } from '../engine/command.ts'
import { Histogram } from './histogram.ts'
import { Latency } from './latency.ts'
import { Slowlog } from './slowlog.ts'
import { HANDSHAKE_FAILURES } from './tls/handshakes.ts'
import type { HandshakeFailure } from './tls/handshakes.ts'

/** How many kinds of error replies are told apart; a client could make up more. */
const ERROR_KINDS_MAX = 128

/** Of every so many calls of a cheap command one is timed; of all others each. A power of two. */
export const TIMED_ONE_IN = 64

export class CommandStats {
  /** Lower case, a subcommand as `client|setname`. */
  readonly fullName: string
  readonly spec: CommandSpec
  calls = 0
  /** Refused before it ran. */
  rejected = 0
  /** Ran and answered an error. */
  failed = 0
  /** How many calls were timed, and the microseconds that they took together. */
  timed = 0
  timedMicros = 0
  histogram: Histogram | null = null

  constructor(spec: CommandSpec, fullName: string) {
    this.spec = spec
    this.fullName = fullName
  }

  /** Microseconds of all calls: measured if each was timed, else estimated from those that were. */
  get usec(): number {
    if (this.timed === this.calls) return Math.round(this.timedMicros)
    return this.timed === 0 ? 0 : Math.round((this.timedMicros / this.timed) * this.calls)
  }

  addTime(micros: number, isTracked: boolean): void {
    this.timed++
    this.timedMicros += micros
    if (isTracked) (this.histogram ??= new Histogram()).add(micros)
  }

  reset(): void {
    this.calls = 0
    this.rejected = 0
    this.failed = 0
    this.timed = 0
    this.timedMicros = 0
    this.histogram = null
  }
}

export class Stats {
  readonly slowlog = new Slowlog()
  readonly latency = new Latency()
  /** Of every command and subcommand, called or not. */
  readonly commands: CommandStats[] = []
  /** First word of an error reply -> how often. */
  readonly errors = new Map<string, number>()

  connectionsReceived = 0
  connectionsRejected = 0
  commandsProcessed = 0
  errorReplies = 0
  netInputBytes = 0
  netOutputBytes = 0
  turns = 0
  /** Sessions closed because their output, their query or their silence went over a limit. */
  outputLimitClosed = 0
  queryLimitClosed = 0
  timeoutClosed = 0
  /** Connections that spoke HTTP, TLS or the like. */
  protocolMismatches = 0
  /** TLS handshakes that came to nothing, by why. */
  readonly handshakeFailures: Record<HandshakeFailure, number> = noFailures()
  authFailures = 0
  peakMemory = 0
  peakClients = 0
  /** Of the last second, each second. */
  instantOps = 0
  instantInputBytes = 0
  instantOutputBytes = 0
  /** Longest turn since the last reset, microseconds. */
  longestTurn = 0
  #sampled = { commands: 0, input: 0, output: 0, at: 0 }

  /** What happened since it was called last, as rates: the `instant...`. */
  sampleRates(now: number): void {
    const last = this.#sampled
    const seconds = Math.max(0.001, (now - last.at) / 1000)
    if (last.at > 0) {
      this.instantOps = Math.max(0, Math.round((this.commandsProcessed - last.commands) / seconds))
      this.instantInputBytes = Math.max(0, (this.netInputBytes - last.input) / seconds)
      this.instantOutputBytes = Math.max(0, (this.netOutputBytes - last.output) / seconds)
    }
    this.#sampled = { commands: this.commandsProcessed, input: this.netInputBytes, output: this.netOutputBytes, at: now }
  }

  /** Counts an error reply by its first word, as INFO errorstats shows it. */
  countError(text: string): void {
    this.errorReplies++
    const space = text.indexOf(' ')
    let kind = space < 0 ? text : text.slice(0, space)
    if (!this.errors.has(kind) && this.errors.size >= ERROR_KINDS_MAX) kind = 'OTHER'
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1)
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    for (const command of this.commands) command.reset()
    this.errors.clear()
    this.connectionsReceived = 0
    this.connectionsRejected = 0
    this.commandsProcessed = 0
    this.errorReplies = 0
    this.netInputBytes = 0
    this.netOutputBytes = 0
    this.turns = 0
    this.outputLimitClosed = 0
    this.queryLimitClosed = 0
    this.timeoutClosed = 0
    this.protocolMismatches = 0
    this.authFailures = 0
    Object.assign(this.handshakeFailures, noFailures())
    this.longestTurn = 0
  }
}

function noFailures(): Record<HandshakeFailure, number> {
  return Object.fromEntries(HANDSHAKE_FAILURES.map((reason) => [reason, 0])) as Record<HandshakeFailure, number>
}
