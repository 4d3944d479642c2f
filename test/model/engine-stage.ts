// The real engine as a stage: no sockets, no disk. Commands go in as bytes, replies come out as bytes, and a restart is what the log
// would do: every record so far, or a snapshot's, replayed into a new engine, which must then have the same digest.

import { millis } from '../../src/base/brand.ts'
import { Call, type Client } from '../../src/engine/call.ts'
import { CommandTable } from '../../src/engine/command.ts'
import { keyCommands } from '../../src/engine/commands/keys.ts'
import { stockCommands } from '../../src/engine/commands/stock/commands.ts'
import { stringCommands } from '../../src/engine/commands/strings.ts'
import { Engine, type EngineOptions } from '../../src/engine/engine.ts'
import { Journal } from '../../src/engine/journal.ts'
import { Reply } from '../../src/resp/reply.ts'
import { Request } from '../../src/resp/request.ts'
import type { Subject } from './duel.ts'
import { decode, encode, exactly, type ReplyValue, show } from './reply-value.ts'

const TABLE = new CommandTable([...keyCommands, ...stringCommands, ...stockCommands])

/** A record of the log: its words, as latin1. */
type Fact = readonly string[]

export class EngineStage implements Subject {
  readonly #options: Partial<EngineOptions>
  readonly #client: Client = { database: 0 }
  readonly #reply = new Reply(4096)
  readonly #request = new Request()
  readonly #log: Fact[] = []
  #engine: Engine
  #call: Call
  /** Records of the log that `events` has told. */
  #told = 0

  constructor(options: Partial<EngineOptions> = {}) {
    this.#options = { seed: 7, ...options }
    this.#engine = new Engine(this.#options)
    this.#call = new Call(this.#engine, this.#request, this.#reply, this.#client)
  }

  execute(args: readonly string[], now: number, protocol: 2 | 3, database: number): ReplyValue {
    this.advance(now)
    this.#request.set(args.map(bytes))
    const spec = TABLE.resolve(this.#request)
    if (spec === null) return exactly(`ERR unknown command '${args[0]}'`)
    const { arity } = spec
    if (arity >= 0 ? args.length !== arity : args.length < -arity) {
      return exactly(`ERR wrong number of arguments for '${spec.name.toLowerCase()}' command`)
    }
    this.#client.database = database
    this.#reply.length = 0
    this.#reply.protocol = protocol
    this.#call.spec = spec
    const before = this.#engine.journal.total
    spec.run(this.#call)
    const value = decode(this.#reply.buffer.latin1Slice(0, this.#reply.length))
    if (show(value).startsWith('-') && this.#engine.journal.total !== before) throw new Error(`an error wrote a record: ${args.join(' ')}`)
    this.#drain()
    return value
  }

  advance(now: number): void {
    this.#engine.now = millis(now)
    this.#engine.advance(millis(now))
    this.#drain()
  }

  restart(now: number, from: 'log' | 'snapshot'): void {
    if (from === 'snapshot') this.#log.splice(0, this.#log.length, ...this.#snapshot())
    const next = new Engine({ ...this.#options, seed: 8 })
    const request = new Request()
    for (const fact of this.#log) next.replay(request.set(fact.map(bytes)))
    if (next.digest() !== this.#engine.digest()) throw new Error(`another digest after replaying the ${from}`)
    if (next.journal.length !== 0) throw new Error('replaying wrote records')
    this.#engine = next
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

  events(): string[] {
    return []
  }

  breach(): string {
    const verified = this.execute(['STOCK.VERIFY'], this.#engine.now, 3, 0)
    return Array.isArray(verified) && verified[2] === 0 ? '' : `STOCK.VERIFY: ${encode(verified, 3)}`
  }

  /** All records so far, as lines. */
  log(): string[] {
    return this.#log.map((fact) => fact.join(' '))
  }

  #snapshot(): Fact[] {
    const journal = new Journal()
    for (const _ of this.#engine.snapshot(journal)) void _
    return facts(journal)
  }

  #drain(): void {
    const { journal } = this.#engine
    if (journal.length === 0) return
    this.#log.push(...facts(journal))
    journal.drained()
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function facts(journal: Journal): Fact[] {
  const text = journal.buffer.latin1Slice(0, journal.length)
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
