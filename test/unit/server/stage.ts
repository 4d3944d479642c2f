// A stage for turns without sockets, disk or clock: a toy engine of counters, a log that acks when told to, clients made of arrays.

import { lsn, millis } from '../../../src/base/brand.ts'
import type { Lsn, Millis } from '../../../src/base/brand.ts'
import { Call } from '../../../src/engine/call.ts'
import { CommandTable, FIRST_ARGUMENT, NO_KEYS } from '../../../src/engine/command.ts'
import type { CommandSpec } from '../../../src/engine/command.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { Journal } from '../../../src/engine/journal.ts'
import { RequestParser } from '../../../src/resp/parser.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { User } from '../../../src/server/acl/user.ts'
import { Dispatcher } from '../../../src/server/dispatch.ts'
import type { Permissions } from '../../../src/server/dispatch.ts'
import type { Env, Level } from '../../../src/server/env.ts'
import { Session, sessionOf } from '../../../src/server/session.ts'
import type { Parked } from '../../../src/server/session.ts'
import { Stats } from '../../../src/server/stats.ts'
import type { Transport } from '../../../src/server/transport.ts'
import { Turn } from '../../../src/server/turn.ts'
import type { TurnLog } from '../../../src/server/turn.ts'

export class FakeTransport implements Transport {
  readonly addr: string = '10.0.0.1:1000'
  readonly laddr = '10.0.0.2:7379'
  isLoopback = true
  readonly fd = 3
  queued = 0
  /** Takes everything at once unless told otherwise. */
  isBlocked = false
  sent: Buffer[] = []
  isPaused = false
  state: 'open' | 'ended' | 'destroyed' = 'open'

  write(bytes: Buffer): boolean {
    if (this.state === 'destroyed') return true
    if (this.state === 'ended') throw new Error('write after end')
    // Kept without a copy on purpose: a buffer that is used again shows as wrong bytes.
    this.sent.push(this.isBlocked ? bytes : Buffer.from(bytes))
    if (this.isBlocked) this.queued += bytes.length
    return !this.isBlocked
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended'
  }

  destroy(): void {
    this.state = 'destroyed'
  }

  text(): string {
    return Buffer.concat(this.sent).toString('latin1')
  }
}

const EVERYTHING: Permissions = { refusal: () => null, lateRefusal: () => null }

export class FakeLog implements TurnLog {
  last = lsn(0)
  acked = lsn(0)
  written: string[] = []
  isAcking = true
  refusalText: string | null = null
  onWrite: () => void = () => {}
  #pending = ''

  append(bytes: Buffer, length: number, records: number): Lsn {
    this.#pending += bytes.toString('latin1', 0, length)
    this.last = lsn(this.last + records)
    return this.last
  }

  write(): void {
    this.written.push(this.#pending)
    this.#pending = ''
    this.onWrite()
    if (this.isAcking) this.acked = this.last
  }

  refusal(): string | null {
    return this.refusalText
  }
}

export class FakeEnv implements Env {
  now = 1_000_000
  readonly said: string[] = []
  readonly #ends: (() => void)[] = []
  readonly clock = { now: (): Millis => millis(this.now), micros: (): number => this.now * 1000 }
  readonly say = (level: Level, message: string): void => {
    this.said.push(`${level} ${message}`)
  }

  startNoEarlierThan(): void {}

  endOfTurn(run: () => void): void {
    this.#ends.push(run)
  }

  every(): () => void {
    return () => {}
  }

  random32(): number {
    return 1
  }

  memoryUsed(): number {
    return 0
  }

  collections(): number {
    return 0
  }

  collectGarbage(): void {}

  /** Lets the event loop come round once. @returns false if nobody was waiting for it. */
  pass(): boolean {
    const ends = this.#ends.splice(0)
    for (const end of ends) end()
    return ends.length > 0
  }

  passAll(): void {
    for (let i = 0; this.pass(); i++) if (i > 10_000) throw new Error('the loop does not come to rest')
  }
}

class ToyEngine {
  readonly journal = new Journal()
  readonly counters = new Map<string, number>()
  now = millis(0)
  outOfMemory = false
  deadline = Infinity

  advance(now: Millis): void {
    this.now = now
    if (this.deadline > now) return
    this.deadline = Infinity
    this.journal.begin(1)
    this.journal.word('EXPIRED')
  }

  nextDeadline(): number {
    return this.deadline
  }
}

type Toy = Pick<CommandSpec, 'name' | 'arity' | 'flags' | 'run'> & Partial<CommandSpec>
const toy = (spec: Toy): CommandSpec => ({
  keys: NO_KEYS,
  categories: [],
  group: 'string',
  since: '',
  complexity: 'O(1)',
  summary: '',
  syntax: '',
  ...spec,
})

export class Stage {
  readonly env = new FakeEnv()
  readonly log = new FakeLog()
  readonly engine = new ToyEngine()
  readonly stats = new Stats()
  readonly turn: Turn
  readonly dispatcher: Dispatcher
  /** Who hears what SAY says; null: whoever says it. */
  hearer: Session | null = null
  /** What WAIT waits for. */
  isReady = false
  #nextId = 1
  readonly #request

  constructor() {
    const { engine } = this
    const call = new Call(engine as unknown as Engine, new RequestParser().request, new Reply(), { database: 0 })
    this.#request = call.request
    const table = new CommandTable([
      toy({ name: 'PING', arity: -1, flags: ['fast'], run: ({ reply }) => reply.simple('PONG') }),
      toy({
        name: 'ECHO',
        arity: 2,
        flags: ['fast'],
        run: ({ reply, request }) => reply.bulk(request.bytes, request.start[1], request.end[1]),
      }),
      toy({ name: 'FAIL', arity: 1, flags: [], run: ({ reply }) => reply.error('ERR it failed') }),
      toy({ name: 'AUTH', arity: 2, flags: ['no_auth'], run: (c) => (sessionOf(c).authenticate(true, c.now), c.reply.ok()) }),
      toy({ name: 'BIG', arity: 2, flags: [], run: ({ reply, request }) => reply.bulk(Buffer.alloc(Number(request.latin1(1)), 120)) }),
      toy({
        name: 'BIGS',
        arity: 3,
        flags: [],
        run({ reply, request }) {
          const n = Number(request.latin1(1))
          reply.array(n)
          for (let i = 0; i < n; i++) reply.bulk(Buffer.alloc(Number(request.latin1(2)), 120))
        },
      }),
      toy({
        name: 'INCR',
        arity: 2,
        flags: ['write', 'denyoom'],
        keys: FIRST_ARGUMENT,
        run({ reply, request }) {
          const key = request.latin1(1)
          const n = (engine.counters.get(key) ?? 0) + 1
          engine.counters.set(key, n)
          engine.journal.begin(3)
          engine.journal.word('SET')
          engine.journal.text(key)
          engine.journal.integer(n)
          reply.integer(n)
        },
      }),
      toy({
        name: 'GET',
        arity: 2,
        flags: ['readonly', 'fast'],
        keys: FIRST_ARGUMENT,
        run: ({ reply, request }) => reply.integer(engine.counters.get(request.latin1(1)) ?? 0),
      }),
      toy({ name: 'DBSIZE', arity: 1, flags: ['readonly', 'fast'], run: ({ reply }) => reply.integer(engine.counters.size) }),
      toy({ name: 'QUIT', arity: -1, flags: ['no_auth'], run: (c) => ((sessionOf(c).isClosing = true), c.reply.ok()) }),
      toy({
        name: 'SAY',
        arity: 2,
        flags: [],
        run: (c) => {
          this.turn.push(this.hearer ?? sessionOf(c), Buffer.from(`+${c.request.latin1(1)}\r\n`))
          c.reply.simple('SAID')
        },
      }),
      toy({ name: 'REPLY', arity: 2, flags: [], run: (c) => this.#reply(c) }),
      toy({ name: 'WAIT', arity: -1, flags: [], run: (c) => this.turn.park(sessionOf(c), this.#parked()) }),
      toy({
        name: 'BOX',
        arity: -2,
        flags: [],
        run: ({ reply }) => reply.error('ERR not reached'),
        subcommands: [toy({ name: 'OPEN', arity: 3, flags: [], run: ({ reply }) => reply.ok() })],
      }),
    ])
    this.dispatcher = new Dispatcher({ call, table, stats: this.stats, clock: this.env.clock, permissions: EVERYTHING })
    this.turn = new Turn({
      engine: engine as unknown as Engine,
      log: this.log,
      call,
      dispatcher: this.dispatcher,
      stats: this.stats,
      env: this.env,
    })
  }

  connect({ isAuthenticated = true } = {}): Client {
    const parser = new RequestParser(this.#request)
    const transport = new FakeTransport()
    const user = new User('default', true)
    user.mayAll = true
    user.isOn = true
    user.isNopass = isAuthenticated
    const session = new Session({ id: this.#nextId++, transport, now: this.env.clock.now(), user, parser })
    return new Client(this, session, transport)
  }

  #reply(call: Call): void {
    const session = sessionOf(call)
    if (call.request.is(1, 'ON')) session.replyMode = 'on'
    else session.replyMode = call.request.is(1, 'OFF') ? 'off' : 'skip-next'
    call.reply.ok()
  }

  #parked(): Parked {
    return {
      isBlocking: true,
      deadline: this.env.now + 1000,
      isReady: () => this.isReady,
      answer: (reply, timedOut) => reply.simple(timedOut ? 'LATE' : 'READY'),
    }
  }
}

export class Client {
  readonly stage: Stage
  readonly session: Session
  readonly transport: FakeTransport

  constructor(stage: Stage, session: Session, transport: FakeTransport) {
    this.stage = stage
    this.session = session
    this.transport = transport
  }

  /** Bytes come from this client; the turn stays open. */
  send(text: string): this {
    // As the listener does it: headroom in front, and the memory is used for others right after.
    const input = Buffer.alloc(1024 + text.length)
    input.write(text, 1024, 'latin1')
    this.stage.turn.receive(this.session, input, 1024, input.length)
    input.fill(0)
    return this
  }

  /** Sends, lets the turn end, and tells what came back since the last time. */
  ask(text: string): string {
    this.send(text)
    this.stage.env.passAll()
    return this.read()
  }

  read(): string {
    const text = this.transport.text()
    this.transport.sent = []
    return text
  }

  /** The peer takes all that was queued. */
  drain(): void {
    this.transport.isBlocked = false
    this.transport.queued = 0
    this.stage.turn.drained(this.session)
  }
}
