// A session: one client connection, from its first byte to its last.
//
// What stays true: replies leave in the order of the requests, whatever each had to wait for. While a request is parked (WAITAOF, CLIENT
// PAUSE) no later request of the session runs; while replies wait for the log, later ones queue up behind them.
//
// Unusual: a session owns no reply buffer. Its replies are written into the turn's buffer, and only what cannot leave at the end of the
// turn is copied into `held`. Input is parsed where it was read; only an unfinished request is copied, by the parser.

import type { Lsn, Millis } from '../base/brand.ts'
import type { Call, Client } from '../engine/call.ts'
import type { CommandSpec } from '../engine/command.ts'
import type { Protocol, Reply } from '../resp/reply.ts'
import type { RequestParser } from '../resp/parser.ts'
import type { Transaction } from './transactions/transaction.ts'
import type { Watch } from './transactions/watches.ts'
import type { User } from './acl/user.ts'
import type { Transport } from './transport.ts'

/** CLIENT REPLY. `skip-next` is the state between CLIENT REPLY SKIP and the command whose reply it drops. */
export type ReplyMode = 'on' | 'off' | 'skip-next' | 'skip'

/** A request that answers later. Until then the session runs nothing else; reading goes on up to a limit. */
export interface Parked {
  /** The instant at which it answers at the latest; Infinity: only when it is ready. */
  readonly deadline: number
  /** Asked whenever the log got further, at the end of every turn and with every beat of the timer. Without it: `Turn.wake` says when. */
  isReady?(): boolean
  /** CLIENT UNBLOCK reaches it: a command that waits by its nature, not one that CLIENT PAUSE or a wrong password has put off. */
  readonly isBlocking?: boolean
  /** What it waits for may never come: when the peer sends no more, the session closes without its answer, as in Redis. */
  readonly endsWithInput?: boolean
  /** It is a request that has not run, rather than one whose reply is still to come. */
  readonly isRequest?: boolean
  /** Its reply leaves when the log has acked this. */
  readonly lsn?: Lsn | undefined
  /** It is waited for no more: it answers now, or its session has gone. */
  readonly unparked?: () => void
  /** Writes the reply. Runs inside a turn. */
  answer(reply: Reply, timedOut: boolean): void
}

/** What a session listens to. */
export interface Listening {
  /** By their names, one character per byte. */
  readonly channels: ReadonlyMap<string, unknown>
  readonly patterns: ReadonlyMap<string, unknown>
  readonly shards: ReadonlyMap<string, unknown>
  /** Listens to nothing any more. */
  end(): void
}

/** Reply bytes that cannot leave yet. */
export interface Held {
  /** They leave when the log has acked this. */
  need: Lsn
  bytes: Buffer
  /** Pairs [from, to) within `bytes` of the replies that depend on the log: they become the error if the log fails. */
  marks: Int32Array | null
}

export interface SessionParts {
  readonly id: number
  readonly transport: Transport
  readonly now: Millis
  /** The default user of the node: every session begins as his. */
  readonly user: User
  readonly parser: RequestParser
}

export class Session implements Client {
  readonly id: number
  readonly transport: Transport
  readonly createdAt: Millis
  readonly parser: RequestParser

  /** Since when commands are not taken from it, if they are not. */
  strangerSince: Millis
  /** What it had sent by then. */
  #strangerFrom = 0

  /** Index of the selected database. */
  database = 0
  protocol: Protocol = 2
  /** CLIENT SETNAME; bytes as latin1, '' = none. */
  name = ''
  libName = ''
  libVersion = ''
  user: User
  /** It has said who it is, or did not need to when it came. */
  #isAuthenticated: boolean
  failedAuths = 0
  noEvict = false
  noTouch = false
  replyMode: ReplyMode = 'on'
  /** Its commands do not wait: they answer as if their time had run out (inside EXEC). */
  mayNotWait = false
  /** What it has sent since MULTI; null: its commands run as they come. */
  transaction: Transaction | null = null
  /** What it watches, and whether that has changed; null: it has never watched anything. */
  watch: Watch | null = null
  /** It is shown what the others do (MONITOR); null: it is not. */
  monitoring: { end(): void } | null = null

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
  /** The peer sends no more. */
  hasEnded = false

  isReadingPaused = false
  /** It has input left for the next turn. */
  isReady = false

  /** The request that answers later, if there is one. */
  parked: Parked | null = null
  /** Oldest first. */
  readonly held: Held[] = []
  heldBytes = 0
  /** Messages of this turn that it has not asked for, oldest first: they leave behind the replies before them. */
  readonly pushed: Buffer[] = []
  pushedBytes = 0
  /** How many channels and patterns it listens to. While there are any, what it does not read counts by the limits of `pubsub`. */
  subscriptions = 0
  /** Which ones; null: it has never listened to any, or does not any more. */
  listening: Listening | null = null
  /** Since when its output has been above the soft limit; 0: it is not. */
  overSoftSince = 0

  constructor({ id, transport, now, user, parser }: SessionParts) {
    this.id = id
    this.transport = transport
    this.createdAt = now
    this.strangerSince = now
    this.lastInteraction = now
    this.parser = parser
    this.user = user
    this.#isAuthenticated = user.isOpen
    parser.authenticated = user.isOpen
  }

  /** Commands are taken from it. Before that the parser takes small requests only: there is one flag for both. */
  get isAdmitted(): boolean {
    return this.parser.authenticated
  }

  /** While the default user needs no password this may be false of a session that is admitted: who came before that was so. */
  get isAuthenticated(): boolean {
    return this.#isAuthenticated
  }

  /** It has said who it is, or has to. */
  authenticate(is: boolean, now: Millis): void {
    this.#isAuthenticated = is
    this.admit(is, now)
    if (is) this.failedAuths = 0
  }

  /** From now on commands are taken from it, or are not: then it is a stranger again, with a stranger's time. */
  admit(is: boolean, now: Millis): void {
    if (!is && this.isAdmitted) {
      this.strangerSince = now
      this.#strangerFrom = this.inputBytes
    }
    this.parser.authenticated = is
  }

  /** What it has sent while no command was taken from it. */
  get strangerBytes(): number {
    return this.isAdmitted ? 0 : this.inputBytes - this.#strangerFrom
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
    return this.outputKept + this.pushedBytes
  }

  /** Of these, the ones that the log or the peer keeps from leaving. The others leave when the turn ends. */
  get outputKept(): number {
    return this.heldBytes + this.transport.queued
  }

  /** Bytes of requests that wait (`qbuf=`). */
  get inputQueued(): number {
    return this.parser.pendingBytes
  }

  /** Bytes of requests that wait for EXEC, and of the names of keys that it watches. */
  get transactionBytes(): number {
    return (this.transaction === null ? 0 : this.transaction.bytes) + (this.watch === null ? 0 : this.watch.bytes)
  }

  /** The transaction is over, whatever its end was: nothing is queued, nothing watched. */
  discard(): void {
    this.transaction = null
    this.watch?.end()
  }

  /** Closes the connection: at once, or, if this session is the one that asked, after its reply. */
  kill(asker: Session | null = null): void {
    this.isClosing = true
    if (asker === this) return
    this.listening?.end()
    this.transport.destroy()
  }

  /** RESET: everything that commands have set goes back to what it was after connecting. */
  reset(user: User, now: Millis): void {
    this.discard()
    this.monitoring?.end()
    this.database = 0
    this.protocol = 2
    this.name = ''
    this.user = user
    this.authenticate(user.isOpen, now)
    this.noEvict = false
    this.noTouch = false
    // CLIENT REPLY SKIP has meant the reply of RESET itself.
    if (this.replyMode !== 'skip') this.replyMode = 'on'
    this.listening?.end()
  }
}

/** Who asked, in commands of the server: there every client is a session. */
export function sessionOf(call: Call): Session {
  return call.client as Session
}
