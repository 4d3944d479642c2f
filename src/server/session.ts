// A session: one client connection, from its first byte to its last.
//
// What stays true: replies leave in the order of the requests, whatever each had to wait for. While a request is parked (WAITAOF, CLIENT
// PAUSE) no later request of the session runs; while replies wait for the log, later ones queue up behind them.
//
// Unusual: a session owns no reply buffer. Its replies are written into the turn's buffer, and only what cannot leave at the end of the
// turn is copied into `held`. Input is parsed where it was read; only an unfinished command is copied into `input`.

import type { Lsn, Millis } from '../base/brand.ts'
import type { Call, Client } from '../engine/call.ts'
import type { CommandSpec } from '../engine/command.ts'
import type { Protocol, Reply } from '../resp/reply.ts'
import { RequestParser } from '../resp/parser.ts'
import type { Transport } from './transport.ts'

/** CLIENT REPLY. `skip-next` is the state between CLIENT REPLY SKIP and the command whose reply it drops. */
export type ReplyMode = 'on' | 'off' | 'skip-next' | 'skip'

/** A request that answers later. Until then the session runs nothing else; reading goes on up to a limit. */
export interface Parked {
  /** When it answers at the latest; Infinity: only when it is ready. */
  readonly deadline: number
  /** Asked whenever the log got further, and ten times a second. */
  isReady(): boolean
  /** Writes the reply; `Nothing` for a request that is run again from its start. */
  answer(reply: Reply, timedOut: boolean): void
}

/** Reply bytes that cannot leave yet. */
export interface Held {
  readonly need: Lsn
  bytes: Buffer
  /** Pairs [from, to) within `bytes` of the replies that depend on the log: they become the error if the log fails. */
  readonly marks: Int32Array | null
}

const NO_BYTES = Buffer.alloc(0)

export class Session implements Client {
  readonly id: number
  readonly transport: Transport
  readonly createdAt: Millis
  readonly parser = new RequestParser()

  /** Index of the selected database. */
  database = 0
  protocol: Protocol = 2
  /** CLIENT SETNAME; bytes as latin1, '' = none. */
  name = ''
  libName = ''
  libVersion = ''
  user = 'default'
  isAuthenticated: boolean
  failedAuths = 0
  noEvict = false
  noTouch = false
  replyMode: ReplyMode = 'on'

  /** Instant of the last input. */
  lastInteraction: Millis
  /** The command that ran last (CLIENT LIST's `cmd=`). */
  lastCommand: CommandSpec | null = null
  commands = 0
  inputBytes = 0
  outputBytes = 0
  /** LSN of the last record that a command of this session wrote; 0: none. WAITAOF waits for it. */
  lastLsn = 0 as Lsn

  /** No further command runs; the connection closes when its replies have left (QUIT, CLIENT KILL of oneself, protocol errors). */
  isClosing = false
  isClosed = false

  /** Input that was read and not yet run is input[inputStart..inputEnd). */
  input: Buffer = NO_BYTES
  inputStart = 0
  inputEnd = 0
  /** Since when `input` has held a part of a command that does not get on; 0: it holds none. */
  partialSince = 0
  partialBytes = 0
  isReadingPaused = false
  /** It has whole commands left for the next turn. */
  isReady = false

  parked: Parked | null = null
  /** Oldest first. */
  readonly held: Held[] = []
  heldBytes = 0

  constructor(id: number, transport: Transport, now: Millis, isAuthenticated: boolean) {
    this.id = id
    this.transport = transport
    this.createdAt = now
    this.lastInteraction = now
    this.isAuthenticated = isAuthenticated
  }

  get addr(): string {
    return this.transport.addr
  }

  get laddr(): string {
    return this.transport.laddr
  }

  get fd(): number {
    return this.transport.fd
  }

  /** Bytes of replies that have not reached the kernel (`omem=`). */
  get outputQueued(): number {
    return this.heldBytes + this.transport.queued
  }

  /** Bytes of requests that wait (`qbuf=`). */
  get inputQueued(): number {
    return this.inputEnd - this.inputStart
  }

  /** Closes the connection: at once, or, if this session is the one that asked, after its reply. */
  kill(asker: Session | null = null): void {
    if (asker === this) this.isClosing = true
    else this.transport.destroy()
  }

  /** RESET: everything that commands have set goes back to what it was after connecting. */
  reset(isAuthenticated: boolean): void {
    this.database = 0
    this.protocol = 2
    this.name = ''
    this.user = 'default'
    this.isAuthenticated = isAuthenticated
    this.noEvict = false
    this.noTouch = false
    this.replyMode = 'on'
  }
}

/** Who asked, in commands of the server: there every client is a session. */
export function sessionOf(call: Call): Session {
  return call.client as Session
}
