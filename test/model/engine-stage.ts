// The real engine as a stage: no sockets, no disk. Commands go in as bytes, replies come out as bytes, and a restart is what the log
// would do: every record so far, or a snapshot's, replayed into a new engine, which must then have the same digest.

import { crc32 } from 'node:zlib'
import { millis } from '../../src/base/brand.ts'
import { Call, type Client } from '../../src/engine/call.ts'
import { Engine, type EngineOptions } from '../../src/engine/engine.ts'
import { Journal } from '../../src/engine/journal.ts'
import { PARTS } from '../../src/engine/outbox.ts'
import { Reply } from '../../src/resp/reply.ts'
import { Request } from '../../src/resp/request.ts'
import type { Subject } from './duel.ts'
import { decode, encode, quoted, type ReplyValue } from './reply-value.ts'
import { buyerOf } from './stock-model.ts'

/** A record of the log: its words, as latin1. */
export type Fact = readonly string[]
/** Records without an event. */
const SILENT = new Set(['ORDER.TOMBSTONE', 'ORDER.GRACED', 'ORDER.TRIMMED'])

export class EngineStage implements Subject {
  readonly #options: Partial<EngineOptions>
  readonly #client: Client = { database: 0 }
  readonly #reply = new Reply(4096)
  readonly #request = new Request()
  readonly #log: Fact[] = []
  #engine: Engine
  #call: Call
  /** Hears each record as it is written. */
  onFact: (fact: Fact) => void = () => {}
  /** Records of the log that `events` has told. */
  #told = 0
  /** The last event's number of each part. */
  readonly #numbers = new Map<number, number>()

  constructor(options: Partial<EngineOptions> = {}) {
    this.#options = { seed: 7, ...options }
    this.#engine = new Engine(this.#options)
    this.#call = new Call(this.#engine, this.#request, this.#reply, this.#client)
  }

  execute(args: readonly string[], now: number, protocol: 2 | 3, database: number): ReplyValue {
    return decode(this.answer(args, now, protocol, database))
  }

  /** The bytes of the reply, as latin1. */
  answer(args: readonly string[], now: number, protocol: 2 | 3, database: number): string {
    this.advance(now)
    this.#request.set(args.map(bytes))
    this.#client.database = database
    this.#reply.length = 0
    this.#reply.protocol = protocol
    const before = this.#engine.journal.total
    this.#engine.execute(this.#call)
    const reply = this.#reply.buffer.toString('latin1', 0, this.#reply.length)
    if (reply.startsWith('-') && this.#engine.journal.total !== before) throw new Error(`an error wrote a record: ${args.join(' ')}`)
    this.#drain()
    return reply
  }

  advance(now: number): void {
    this.#engine.now = millis(now)
    this.#engine.advance(millis(now))
    this.#drain()
  }

  restart(now: number, from: 'log' | 'snapshot'): void {
    this.events()
    if (from === 'snapshot') this.#log.splice(0, this.#log.length, ...snapshotOf(this.#engine))
    const next = new Engine({ ...this.#options, seed: 8 })
    const request = new Request()
    for (const fact of this.#log) next.replay(request.set(fact.map(bytes)))
    if (next.digest() !== this.#engine.digest()) throw new Error(`another digest after replaying the ${from}`)
    if (next.sealDigest() !== this.#engine.sealDigest()) throw new Error(`another seal after replaying the ${from}`)
    if (next.journal.length !== 0) throw new Error('replaying wrote records')
    next.outOfMemory = this.#engine.outOfMemory
    next.backlogFull = this.#engine.backlogFull
    this.#engine = next
    this.#told = this.#log.length
    this.#call = new Call(next, this.#request, this.#reply, this.#client)
    next.now = millis(now)
    next.recovered(millis(now))
    this.#drain()
    this.advance(now)
  }

  full(what: string, isFull: boolean): void {
    if (what === 'memory') this.#engine.outOfMemory = isFull
    else this.#engine.backlogFull = isFull
  }

  /** Every record is its event, tombstones, restart deadlines and forgetting apart; its number in its part follows the one before. */
  events(): string[] {
    const found: string[] = []
    for (const fact of this.#log.slice(this.#told)) {
      const [name, subject] = fact
      if (name === 'AUDIT.MARK') {
        for (let part = 0; part < PARTS; part++) this.#number(part, Number(fact[3 + part]))
        continue
      }
      const [kind] = name.split('.')
      if ((kind !== 'ORDER' && kind !== 'STOCK') || SILENT.has(name)) continue
      const at = fact[kind === 'ORDER' ? 2 : 3]
      const version =
        name === 'ORDER.RESERVED'
          ? '1'
          : kind === 'ORDER'
            ? fact[3]
            : name.endsWith('SOLDOUT') || name.endsWith('AVAILABLE')
              ? fact[6]
              : '0'
      found.push(`${name.toLowerCase()} ${quoted(subject)} v${version} at ${at}`)
      const owner = kind === 'ORDER' ? buyerOf(subject) || subject : subject
      const part = (crc32(bytes(owner)) & 1023) >> 6
      this.#number(part, Number(fact[4]))
    }
    this.#told = this.#log.length
    return found
  }

  #number(part: number, number: number): void {
    if (number !== (this.#numbers.get(part) ?? 0) + 1) throw new Error(`event ${number} of part ${part} follows ${this.#numbers.get(part)}`)
    this.#numbers.set(part, number)
  }

  /** An audit mark of so many SKUs, at most. */
  mark(limit: number): void {
    this.#engine.auditMark(limit)
    this.#drain()
  }

  breach(): string {
    const verified = this.execute(['STOCK.VERIFY'], this.#engine.now, 3, 0)
    return Array.isArray(verified) && verified[2] === 0 ? '' : `STOCK.VERIFY: ${encode(verified, 3)}`
  }

  /** Another one after a restart. */
  get engine(): Engine {
    return this.#engine
  }

  /** Bytes of the ledger's rows. */
  rowBytes(): number {
    const { rows, buyers } = this.#engine.ledger.state
    return rows.arena.usedBytes + buyers.arena.usedBytes
  }

  /** The log so far. */
  log(): readonly Fact[] {
    return this.#log
  }

  /** A stage whose engine has lost all but these records, and starts at `now`. */
  static recover(log: readonly Fact[], now: number, options: Partial<EngineOptions>): EngineStage {
    const stage = new EngineStage(options)
    const request = new Request()
    for (const fact of log) stage.#engine.replay(request.set(fact.map(bytes)))
    stage.#log.push(...log)
    stage.#engine.recovered(millis(now))
    stage.#drain()
    stage.events()
    return stage
  }

  #drain(): void {
    const { journal } = this.#engine
    if (journal.length === 0) return
    const written = facts(journal)
    journal.drained()
    this.#log.push(...written)
    for (const fact of written) this.onFact(fact)
  }
}

/** The state as a compaction writes it. */
export function snapshotOf(engine: Engine): Fact[] {
  const journal = new Journal()
  const pieces = engine.snapshot(journal)
  while (pieces.next().done !== true);
  return facts(journal)
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function facts(journal: Journal): Fact[] {
  const text = journal.buffer.toString('latin1', 0, journal.length)
  const found: Fact[] = []
  let at = 0
  const number = (): number => {
    const end = text.indexOf('\r\n', at)
    const n = Number(text.slice(at + 1, end))
    at = end + 2
    return n
  }
  while (at < text.length) {
    found.push(
      Array.from({ length: number() }, () => {
        const n = number()
        at += n + 2
        return text.slice(at - n - 2, at - 2)
      }),
    )
  }
  if (found.length !== journal.records) throw new Error('the journal counts its records wrongly')
  return found
}
