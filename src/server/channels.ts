// Channels: who listens to what, and the way of a message to everybody who does.
//
// A name is a channel, a shard channel or a pattern; each of these is a world of its own. What stays true: a name is known while at least
// one session listens to it; a session that is closing hears nothing more. A session that listens to a channel and to patterns that match
// it gets the message once for each.
//
// Names are bytes; as keys of a Map they are strings of one character per byte. A message is written as bytes once for each protocol that
// any listener speaks, and all of them share these bytes. `Turn.push` decides when they leave; who does not read them is closed by the
// output limits, and the publisher hears nothing of that.

import { copyBytes } from '../base/bytes.ts'
import { writeInteger } from '../base/decimal.ts'
import { Glob } from '../base/glob.ts'
import type { Protocol } from '../resp/reply.ts'
import type { Listening, Session } from './session.ts'
import type { Turn } from './turn.ts'

/** A channel, a shard channel or a pattern that somebody listens to. */
class Topic {
  readonly name: Buffer
  /** In the order in which they came. */
  readonly listeners = new Set<Session>()
  /** The name as a pattern, should it be one: reads nothing of it before it is asked. */
  readonly glob: Glob

  constructor(name: Buffer) {
    this.name = name
    this.glob = new Glob(name)
  }
}

type Topics = Map<string, Topic>

/** The three worlds of names. */
export type Kind = (typeof KINDS)[number]
const KINDS = ['channels', 'patterns', 'shards'] as const

/** What one session listens to, in the order in which it began to. */
class Subscriptions implements Listening {
  readonly channels: Topics = new Map()
  readonly patterns: Topics = new Map()
  readonly shards: Topics = new Map()
  readonly #session: Session
  readonly #all: Channels

  constructor(session: Session, all: Channels) {
    this.#session = session
    this.#all = all
  }

  end(): void {
    this.#all.leave(this.#session)
  }
}

export class Channels {
  readonly #turn: Turn
  readonly #channels: Topics = new Map()
  readonly #patterns: Topics = new Map()
  readonly #shards: Topics = new Map()

  constructor(turn: Turn) {
    this.#turn = turn
  }

  /** How many names of this kind somebody listens to. */
  size(kind: Kind): number {
    return this.#topics(kind).size
  }

  /** The names of this kind that somebody listens to. */
  *names(kind: Kind): Iterable<Buffer> {
    for (const topic of this.#topics(kind).values()) yield topic.name
  }

  /** How many listen to this very name. */
  listeners(kind: Kind, name: string): number {
    return this.#topics(kind).get(name)?.listeners.size ?? 0
  }

  /** Does nothing if the session listens to it already. `name` is latin1. */
  subscribe(session: Session, kind: Kind, name: string): void {
    const own = this.#subscriptions(session)[kind]
    if (own.has(name)) return
    const topics = this.#topics(kind)
    let topic = topics.get(name)
    if (topic === undefined) topics.set(name, (topic = new Topic(Buffer.from(name, 'latin1'))))
    topic.listeners.add(session)
    own.set(name, topic)
    session.subscriptions++
  }

  /** Does nothing if the session does not listen to it. */
  unsubscribe(session: Session, kind: Kind, name: string): void {
    const own = subscriptionsOf(session)?.[kind]
    const topic = own?.get(name)
    if (own === undefined || topic === undefined) return
    own.delete(name)
    session.subscriptions--
    this.#forget(session, kind, name, topic)
  }

  /** The session listens to nothing any more, and hears nothing of it. */
  leave(session: Session): void {
    const all = subscriptionsOf(session)
    if (all === null) return
    session.listening = null
    session.subscriptions = 0
    for (const kind of KINDS) for (const [name, topic] of all[kind]) this.#forget(session, kind, name, topic)
  }

  /** What this session listens to, in the order in which it began to. */
  namesOf(session: Session, kind: Kind): string[] {
    return [...(subscriptionsOf(session)?.[kind].keys() ?? [])]
  }

  /** Sends a message to everybody who listens to this channel or to a pattern that it matches. @returns how many times it was sent */
  publish(channel: Uint8Array, message: Uint8Array): number {
    let sent = 0
    if (this.#channels.size > 0) {
      const topic = this.#channels.get(keyOf(channel))
      if (topic !== undefined) sent += this.#send(topic, [MESSAGE, topic.name, message])
    }
    if (this.#patterns.size === 0) return sent
    for (const topic of this.#patterns.values()) {
      if (topic.glob.matches(channel, 0, channel.length)) sent += this.#send(topic, [PATTERN_MESSAGE, topic.name, channel, message])
    }
    return sent
  }

  /** The same for a shard channel; patterns know nothing of those. */
  publishToShard(channel: Uint8Array, message: Uint8Array): number {
    if (this.#shards.size === 0) return 0
    const topic = this.#shards.get(keyOf(channel))
    return topic === undefined ? 0 : this.#send(topic, [SHARD_MESSAGE, topic.name, message])
  }

  #send(topic: Topic, parts: readonly Uint8Array[]): number {
    const turn = this.#turn
    const sent = topic.listeners.size
    let resp2: Buffer | null = null
    let resp3: Buffer | null = null
    for (const session of topic.listeners) {
      if (session.protocol === 3) turn.push(session, (resp3 ??= frame(parts, 3)))
      else turn.push(session, (resp2 ??= frame(parts, 2)))
    }
    return sent
  }

  #topics(kind: Kind): Topics {
    return kind === 'channels' ? this.#channels : kind === 'patterns' ? this.#patterns : this.#shards
  }

  #subscriptions(session: Session): Subscriptions {
    const own = subscriptionsOf(session) ?? new Subscriptions(session, this)
    session.listening = own
    return own
  }

  #forget(session: Session, kind: Kind, name: string, topic: Topic): void {
    topic.listeners.delete(session)
    if (topic.listeners.size === 0) this.#topics(kind).delete(name)
  }
}

/** Nobody else makes them. */
function subscriptionsOf(session: Session): Subscriptions | null {
  return session.listening as Subscriptions | null
}

/** Bytes as a Map's key. */
function keyOf(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1')
}

const MESSAGE = Buffer.from('message')
const PATTERN_MESSAGE = Buffer.from('pmessage')
const SHARD_MESSAGE = Buffer.from('smessage')

const NIL: Readonly<Record<Protocol, Buffer>> = { 2: Buffer.from('$-1\r\n'), 3: Buffer.from('_\r\n') }
const PUSH: Readonly<Record<Protocol, number>> = { 2: 42, 3: 62 }
const BULK = 36
const INTEGER = 58
const CR = 13
const LF = 10
/** Type, digits and line end of a header, and the line end behind a bulk. */
const HEADER_BYTES_MAX = 24

/** Something that nobody asked for, of bulks, nils and integers: a push in RESP3, an array in RESP2. */
export function frame(parts: readonly (Uint8Array | null | number)[], protocol: Protocol): Buffer {
  let bytes = HEADER_BYTES_MAX
  for (const part of parts) bytes += HEADER_BYTES_MAX + (part instanceof Uint8Array ? part.length : 0)
  const buffer = Buffer.allocUnsafe(bytes)
  let at = header(buffer, 0, PUSH[protocol], parts.length)
  for (const part of parts) {
    if (part === null) {
      at += NIL[protocol].copy(buffer, at)
    } else if (typeof part === 'number') at = header(buffer, at, INTEGER, part)
    else {
      at = header(buffer, at, BULK, part.length)
      copyBytes(part, 0, part.length, buffer, at)
      at = lineEnd(buffer, at + part.length)
    }
  }
  return buffer.subarray(0, at)
}

function header(buffer: Buffer, at: number, type: number, n: number): number {
  buffer[at] = type
  return lineEnd(buffer, writeInteger(buffer, at + 1, n))
}

function lineEnd(buffer: Buffer, at: number): number {
  buffer[at] = CR
  buffer[at + 1] = LF
  return at + 2
}
