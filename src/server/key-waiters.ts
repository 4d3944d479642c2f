// Sessions that wait for a key to come into being: BLPOP and its like.
//
// As in redis-server: who waits longest for a key is served first, whatever else he waits for; he is served behind the command that made
// the key (behind the whole EXEC, if there was one), before any other command runs; what that makes, for example the list that a BLMOVE
// has moved to, is served next. A key of another type serves nobody.
//
// Unusual: serving is running the same function that the command ran when it came, on a copy of the request. Its change and its record
// are made at once, its reply is kept until the turn ends and leaves when the log has the record.

import type { Lsn } from '../base/brand.ts'
import { Call } from '../engine/call.ts'
import type { Engine } from '../engine/engine.ts'
import { Reply } from '../resp/reply.ts'
import type { Request } from '../resp/request.ts'
import { sessionOf } from './session.ts'
import type { Parked, Session } from './session.ts'
import type { Stats } from './stats.ts'
import type { Turn } from './turn.ts'

/** A reply's buffer up to this size is used again. */
const REPLY_KEPT_BYTES = 1024 * 1024

/** What a command asks for that found nothing. */
export interface Wanted {
  /** The arguments that are its keys. */
  readonly keys: readonly number[]
  /** The kind of key that has it; another kind serves nobody. */
  readonly kind: number
  /** How long it waits; 0: for ever. */
  readonly ms: number
  /** Takes what it came for from argument `key` and answers. @returns false if there was nothing. */
  readonly serve: (call: Call, key: number) => boolean
  /** Answers a client that may not wait. */
  readonly inVain: (reply: Reply) => void
}

class Waiter implements Parked {
  readonly session: Session
  readonly request: Request
  readonly wanted: Wanted
  /** Of each key, in the order of `wanted.keys`. */
  readonly names: readonly string[]
  readonly deadline: number
  readonly isBlocking = true
  readonly endsWithInput = true
  readonly unparked: () => void
  /** The newest record when it was served. */
  lsn: Lsn | undefined
  reply: Buffer | null = null

  constructor(session: Session, request: Request, wanted: Wanted, deadline: number, forget: (waiter: Waiter) => void) {
    this.session = session
    this.request = request
    this.wanted = wanted
    this.deadline = deadline
    this.names = wanted.keys.map((i) => nameOf(session.database, request.bytes, request.start[i], request.end[i]))
    this.unparked = () => forget(this)
  }

  answer(reply: Reply): void {
    if (this.reply === null) reply.nilArray()
    else reply.raw(this.reply)
  }
}

export class KeyWaiters {
  readonly #engine: Engine
  readonly #turn: Turn
  readonly #stats: Stats
  /** By the name of a key: who waits for it, the longest waiting first. */
  readonly #waiting = new Map<string, Set<Waiter>>()
  /** Keys that have come into being and are waited for, in that order. */
  readonly #ready = new Set<string>()
  readonly #serve = (): void => this.#serveAll()
  #reply = new Reply(1024)

  constructor(engine: Engine, turn: Turn, stats: Stats) {
    this.#engine = engine
    this.#turn = turn
    this.#stats = stats
  }

  /** The command being run found nothing: it answers when one of its keys comes, or its time has run out. */
  wait(call: Call, wanted: Wanted): void {
    const session = sessionOf(call)
    if (session.mayNotWait) return wanted.inVain(call.reply)
    const deadline = wanted.ms === 0 ? Infinity : call.now + wanted.ms
    const waiter = new Waiter(session, call.request.clone(), wanted, deadline, (gone) => this.#forget(gone))
    for (const name of waiter.names) {
      const others = this.#waiting.get(name)
      if (others === undefined) this.#waiting.set(name, new Set([waiter]))
      else others.add(waiter)
    }
    this.#listen()
    this.#turn.park(session, waiter)
  }

  /** Hears of new keys as long as anybody waits. */
  #listen(): void {
    const { keyspace } = this.#engine
    if (this.#waiting.size === 0) {
      keyspace.onCreated = null
      keyspace.onSwapped = null
      return
    }
    keyspace.onCreated ??= (database, bytes, start, end) => {
      // Databases where results are gathered have no number, and nobody waits there.
      this.#found(nameOf(keyspace.databases.indexOf(database), bytes, start, end))
    }
    keyspace.onSwapped ??= (a, b) => {
      for (const name of this.#waiting.keys()) if (name.startsWith(`${a} `) || name.startsWith(`${b} `)) this.#found(name)
    }
  }

  #found(name: string): void {
    if (!this.#waiting.has(name)) return
    this.#ready.add(name)
    this.#turn.behindCommand = this.#serve
  }

  #forget(waiter: Waiter): void {
    for (const name of waiter.names) {
      const others = this.#waiting.get(name)
      if (others?.delete(waiter) === true && others.size === 0) this.#waiting.delete(name)
    }
    this.#listen()
  }

  #serveAll(): void {
    // What comes into being meanwhile is put behind the others, and is served here, too.
    for (const name of this.#ready) {
      this.#ready.delete(name)
      for (const waiter of this.#waiting.get(name) ?? []) if (!this.#serveOne(waiter, name)) break
    }
    if (this.#reply.buffer.length > REPLY_KEPT_BYTES) this.#reply = new Reply(1024)
  }

  /** @returns false if there is nothing left for anybody. */
  #serveOne(waiter: Waiter, name: string): boolean {
    const { session, request, wanted } = waiter
    // Closed in this turn: what it would be given would be lost.
    if (session.isClosing) {
      this.#forget(waiter)
      return true
    }
    const key = wanted.keys[waiter.names.indexOf(name)]
    const database = this.#engine.keyspace.databases[session.database]
    const { bytes, start, end } = request
    const ref = database.find(bytes, start[key], end[key], database.hash(bytes, start[key], end[key]))
    if (ref === 0) return false
    if (database.kind(ref) !== wanted.kind) return true
    const reply = this.#reply
    reply.length = 0
    reply.floor = 0
    reply.protocol = session.protocol
    const behind = session.pushed.length
    if (!wanted.serve(new Call(this.#engine, request, reply, session), key)) return false
    if (reply.errors !== 0) this.#stats.countError(reply.lastError)
    reply.errors = 0
    waiter.reply = Buffer.from(reply.buffer.subarray(0, reply.length))
    waiter.lsn = this.#turn.lsn
    this.#forget(waiter)
    this.#turn.wake(session, behind)
    return true
  }
}

function nameOf(database: number, bytes: Uint8Array, start: number, end: number): string {
  return `${database} ${Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')}`
}
