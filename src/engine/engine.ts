// The state machine of a node: keys, stock and orders, changed by commands, by time and by records, and by nothing else.
//
// Pure and deterministic: time comes in through `advance`, random numbers through the seed, and nothing goes out but replies and
// records. The same commands at the same instants give the same state; replaying the records gives it again.

import type { Millis } from '../base/brand.ts'
import { StockdError } from '../base/error.ts'
import { mix } from '../base/hash.ts'
import { Random } from '../base/random.ts'
import { Keyspace } from '../keyspace/keyspace.ts'
import { unknownCommand, unknownSubcommand, wrongArity } from '../resp/errors.ts'
import type { Request } from '../resp/request.ts'
import { Ledger } from '../stock/ledger.ts'
import type { Call } from './call.ts'
import { CommandTable } from './command.ts'
import { ENGINE_COMMANDS } from './commands.ts'
import { Journal } from './journal.ts'
import { KeyRecords } from './key-records.ts'
import { Notices } from './notices.ts'
import { Outbox } from './outbox.ts'
import { StockRecorder } from './records/stock-recorder.ts'
import { StockReplay } from './records/stock-replay.ts'
import { StockSnapshot } from './records/stock-snapshot.ts'

export interface EngineOptions {
  /** Seed of hashes, RANDOMKEY and the like. A real node draws it from the OS. */
  readonly seed: number
  readonly databases: number
  /** Who makes `{buyer}*` ids: unique over 256 nodes. */
  readonly nodeNumber: number
  /** How long RELEASED, EXPIRED and RETURNED orders and tombstones are kept. */
  orderRetentionMs: number
  /** How long CONFIRMED orders are kept. */
  returnWindowMs: number
  /** What every open hold has left, at least, after a restart. */
  restartGraceMs: number
  /** Lets FLUSHDB, FLUSHALL and SWAPDB forget stock and orders. */
  allowStockFlush: boolean
}

const ENGINE_DEFAULTS: EngineOptions = {
  seed: 1,
  databases: 16,
  nodeNumber: 0,
  orderRetentionMs: 24 * 3600_000,
  returnWindowMs: 7 * 24 * 3600_000,
  restartGraceMs: 30_000,
  allowStockFlush: false,
}

/** Databases and the ledger draw their hash seeds from one seed, but not the same ones. */
const LEDGER_SEED = 0x1ed6e5

export class Engine {
  readonly options: EngineOptions
  readonly journal: Journal
  readonly outbox = new Outbox()
  readonly notices = new Notices()
  readonly random: Random
  readonly keyspace: Keyspace
  readonly ledger: Ledger
  readonly #keyRecords: KeyRecords
  readonly #stockRecorder: StockRecorder
  readonly #stockReplay: StockReplay
  readonly #stockSnapshot: StockSnapshot
  /** The instant of the current turn. */
  now = 0 as Millis
  /** Records were replayed, and `recovered` was not called yet: nothing expires before the holds have had their grace. */
  #isRecovering = false
  #commands: CommandTable | null = null

  /** @param journal takes the records; another kind than the usual one where nobody keeps them */
  constructor(options: Partial<EngineOptions> = {}, journal = new Journal()) {
    this.journal = journal
    this.options = { ...ENGINE_DEFAULTS, ...options }
    const { seed, databases } = this.options
    this.random = new Random(seed)
    this.keyspace = new Keyspace({ databases, seed })
    let recorder!: StockRecorder
    this.ledger = new Ledger({
      options: this.options,
      identity: { seed: mix(seed ^ LEDGER_SEED), nodeNumber: this.options.nodeNumber, idSalt: this.random.fork('ids').uint32() },
      names: this.keyspace.stockKeys,
      facts: (state) => (recorder = new StockRecorder(state, this)),
    })
    this.#stockRecorder = recorder
    this.#keyRecords = new KeyRecords(this, () => this.ledger.flush())
    this.#stockReplay = new StockReplay(this.ledger.state, this.outbox)
    this.#stockSnapshot = new StockSnapshot(this.ledger.state, this.outbox)
  }

  /** Memory is over the limit: `denyoom` commands and new orders are refused. Set by the server before a turn. */
  get outOfMemory(): boolean {
    return this.ledger.outOfMemory
  }

  set outOfMemory(isOut: boolean) {
    this.ledger.outOfMemory = isOut
  }

  /** The outbox is over its limit: new orders are refused with BACKLOG. */
  get backlogFull(): boolean {
    return this.ledger.backlogFull
  }

  set backlogFull(isFull: boolean) {
    this.ledger.backlogFull = isFull
  }

  /** Runs a command: for tests, simulations and tools. The server resolves commands itself, because it has more of them. */
  execute(call: Call): void {
    const { request, reply } = call
    this.#commands ??= new CommandTable(ENGINE_COMMANDS)
    const spec = this.#commands.resolve(request)
    if (spec === null) return reply.error(unknownCommand(request))
    if (spec.subcommands !== undefined && request.argc >= 2) return reply.error(unknownSubcommand(request, spec.name))
    const { arity } = spec
    if (arity >= 0 ? request.argc !== arity : request.argc < -arity) return reply.error(wrongArity(spec.name.toLowerCase()))
    call.spec = spec
    spec.run(call)
  }

  /** Time goes on: holds that are due expire, in order, with their records; keys that are due are deleted (with a bound per call). */
  advance(now: Millis): void {
    if (now > this.now) this.now = now
    if (this.#isRecovering) return
    this.ledger.advance(this.now)
    this.keyspace.advance(this.now)
  }

  /** The earliest instant at which `advance` has something to do; Infinity if there is none. */
  nextDeadline(): number {
    if (this.#isRecovering) return Infinity
    return Math.min(this.ledger.nextDeadline(), this.keyspace.nextDeadline())
  }

  /**
   * Writes an audit mark: the numbers of SKUs that changed since a mark told them, `limit` of them at most; nothing if there are none.
   * After a restart the SKUs of the base count as changed, too.
   * @returns how many SKUs are left for further marks.
   */
  auditMark(limit: number): number {
    return this.#stockRecorder.auditMark(this.now, limit)
  }

  /** Applies one record of the log. Never decides, never refuses: a record that contradicts the state throws StockdError LOG_SEMANTIC. */
  replay(record: Request): void {
    this.#isRecovering = true
    if (this.#stockReplay.replay(record) || this.#keyRecords.replay(record)) return
    throw new StockdError('LOG_SEMANTIC', `record '${record.latin1(0).slice(0, 64)}' is unknown: written by a newer stockd?`)
  }

  /** The newest instant that a replayed record of the ledger told; 0 if there was none. Time must not go back behind it. */
  get newestReplayed(): number {
    return this.#stockReplay.newest
  }

  /** After the last record of a restart: gives open holds their grace (one record). From now on time counts. */
  recovered(now: Millis): void {
    if (now > this.now) this.now = now
    if (!this.#isRecovering) return
    this.#isRecovering = false
    this.ledger.recovered(this.now)
  }

  /** The whole state as records, into `journal`, a piece per `next()`: replaying them into an empty engine gives the same digest. */
  *snapshot(journal: Journal): Generator<void> {
    yield* this.#stockSnapshot.write(journal)
    yield* this.#keyRecords.snapshot(journal)
  }

  /** Digest of the whole state, contents included: 16 hex digits, equal for equal states whatever their histories. O(state). */
  digest(): string {
    return combined(this.#stockSnapshot.digest(), this.keyspace.digest())
  }

  /** A digest kept up to date by every change (counts, balances, order states and versions, key hashes and lengths): O(1) to read. */
  sealDigest(): string {
    return combined(this.ledger.state.seal(), this.keyspace.sealDigest())
  }
}

function combined(stock: readonly [number, number], keys: string): string {
  const high = mix(stock[0]) ^ Number.parseInt(keys.slice(0, 8), 16)
  const low = mix(stock[1]) ^ Number.parseInt(keys.slice(8), 16)
  return hex(high) + hex(low)
}

function hex(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0')
}
