// A node: one engine, one log, the sessions of its clients, and the order in which they start, work and stop.
//
// What stays true: nothing is served before the log has been replayed; nothing is answered before its record is where the policy says.

import type { Clock } from '../base/clock.ts'
import type { Millis } from '../base/brand.ts'
import { CommandTable } from '../engine/command.ts'
import type { CommandSpec } from '../engine/command.ts'
import { Engine } from '../engine/engine.ts'
import type { Env } from './env.ts'
import type { Options } from './options.ts'
import { Session } from './session.ts'
import type { Parked } from './session.ts'
import { Stats } from './stats.ts'

/** What the commands of the server ask of the log; `appendonly no` has none. */
export interface NodeLog {
  readonly last: number
  readonly written: number
  readonly durable: number
  readonly acked: number
  refusal(): string | null
}

export type NodePhase = 'new' | 'loading' | 'serving' | 'stopping' | 'stopped'

/** CLIENT PAUSE. */
export interface Pause {
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

export type CompactionStart = 'started' | 'running' | 'no_log' | 'refused'

export class Node {
  readonly options: Options
  readonly env: Env
  readonly engine: Engine
  readonly commands: CommandTable
  readonly stats = new Stats()
  /** By id, oldest first. */
  readonly sessions = new Map<number, Session>()
  /** 40 hex digits, new at every start. */
  readonly runId: string = ''
  readonly startedAt: Millis
  phase: NodePhase = 'new'
  log: NodeLog | null = null
  paused: Pause | null = null

  constructor(options: Options, env: Env, specs: (node: Node) => readonly CommandSpec[]) {
    this.options = options
    this.env = env
    this.engine = new Engine()
    this.startedAt = env.clock.now()
    this.commands = new CommandTable(specs(this))
  }

  get clock(): Clock {
    return this.env.clock
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  /** SHUTDOWN: returns at once, the node stops after this turn. @returns false if it is refused (the log cannot be made durable, no `force`). */
  shutdown(request: ShutdownRequest): boolean {
    void request
    return true
  }

  /** SHUTDOWN ABORT; @returns false if no shutdown is under way. */
  abortShutdown(): boolean {
    return false
  }

  /** CLIENT PAUSE / UNPAUSE. A longer or stricter pause that is in force stays, as in Redis. */
  pause(pause: Pause): void {
    void pause
  }

  unpause(): void {}

  /** The command being run answers later; the session runs nothing else until then. */
  park(session: Session, parked: Parked): void {
    void session
    void parked
  }

  /** CLIENT UNBLOCK and the like: the parked request answers now as if its time had run out. @returns false if nothing is parked. */
  unpark(session: Session): boolean {
    void session
    return false
  }

  /** BGREWRITEAOF. */
  compact(): CompactionStart {
    return 'no_log'
  }

  /** LSN of the last record written so far, this turn's included. */
  get lastLsn(): number {
    return 0
  }

  memoryUsed(): number {
    return this.env.memoryUsed()
  }
}
