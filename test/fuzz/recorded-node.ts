// A whole node whose records go to a second engine as they are written, so that at any moment the two can be held against each other: what
// the node knows, and what its log would give after a restart.

import type { Lsn, Millis } from '../../src/base/brand.ts'
import { lsn } from '../../src/base/brand.ts'
import { nodeCommands } from '../../src/cli/commands.ts'
import type { CommandSpec } from '../../src/engine/command.ts'
import { Engine } from '../../src/engine/engine.ts'
import { Journal } from '../../src/engine/journal.ts'
import { Node } from '../../src/server/node.ts'
import type { NodeLog } from '../../src/server/node-log.ts'
import { Options } from '../../src/server/options.ts'
import type { OptionValues } from '../../src/server/options.ts'
import type { Session } from '../../src/server/session.ts'
import { Request } from '../../src/resp/request.ts'
import { FakeEnv, FakeTransport } from '../unit/server/stage.ts'

export type PlantedBug = 'a record is forgotten' | 'a record has another value' | 'a refusal has a record'

/** Every so many batches, the planted bug. */
const BUG_EVERY = 40

/** A log that is another engine: it applies each record at once, and keeps the bytes of the last ones. */
class TwinLog implements NodeLog {
  readonly nodeId = '0'.repeat(40)
  readonly epoch = 1
  last = lsn(0)
  readonly segment = 1
  readonly segments = 1
  readonly sizeBytes = 1
  readonly baseBytes = 1
  readonly pendingBytes = 0
  readonly isSyncing = false
  readonly delayedSyncs = 0
  readonly lastSyncAt = 0
  readonly isCompacting = false
  readonly compactions = 0
  readonly lastCompactionFailed = false
  readonly lastCompactionSeconds = 0
  /** Bytes of records since somebody emptied this. */
  taken: Buffer[] = []
  twin: Engine
  readonly #request = new Request()
  readonly #bug: PlantedBug | null
  #batches = 0

  constructor(twin: Engine, bug: PlantedBug | null) {
    this.twin = twin
    this.#bug = bug
  }

  get acked(): Lsn {
    return this.last
  }

  get written(): Lsn {
    return this.last
  }

  get durable(): Lsn {
    return this.last
  }

  append(bytes: Buffer, length: number, records: number, now: Millis): Lsn {
    const copy = Buffer.from(bytes.subarray(0, length))
    this.taken.push(copy)
    this.twin.now = now
    const isHit = this.#bug !== null && ++this.#batches % BUG_EVERY === 0
    if (isHit && this.#bug === 'a record is forgotten') return (this.last = lsn(this.last + records))
    // The last byte of the last value.
    if (isHit && this.#bug === 'a record has another value') copy[length - 3] ^= 1
    const found = replayAll(this.twin, copy, this.#request)
    if (found !== records) throw new Error(`${records} records were announced, ${found} came`)
    this.last = lsn(this.last + records)
    return this.last
  }

  write(): void {}
  tick(): void {}
  setPolicy(): void {}

  refusal(): null {
    return null
  }

  compact(): 'started' {
    return 'started'
  }

  reopen(): string {
    return 'ERR the log is fine'
  }

  async close(): Promise<void> {}
}

/** @returns how many records there were. */
function replayAll(engine: Engine, bytes: Buffer, request: Request): number {
  let records = 0
  for (let at = 0; at < bytes.length; records++) {
    const number = (): number => {
      const eol = bytes.indexOf(13, at)
      const n = Number(bytes.toString('latin1', at + 1, eol))
      at = eol + 2
      return n
    }
    const argc = number()
    request.bytes = bytes
    request.argc = argc
    request.reserve(argc)
    for (let i = 0; i < argc; i++) {
      const n = number()
      request.start[i] = at
      request.end[i] = at + n
      at += n + 2
    }
    engine.replay(request)
  }
  return records
}

/** Writes a record with its errors, if it only reads. */
function loud(spec: CommandSpec): CommandSpec {
  if (!spec.flags.includes('readonly')) return spec
  return {
    ...spec,
    run(call) {
      spec.run(call)
      if (call.reply.errors === 0) return
      call.engine.journal.begin(2)
      call.engine.journal.word('SELECT')
      call.engine.journal.text('0')
    },
  }
}

/** A client: its session, and what it was sent. */
export interface Peer {
  session: Session
  transport: FakeTransport
}

export class RecordedNode {
  readonly env = new FakeEnv()
  readonly node: Node
  readonly #log: TwinLog
  #seed = 100

  private constructor(values: Partial<OptionValues>, bug: PlantedBug | null) {
    const options = new Options({ ...values, appendonly: true, dir: '/nowhere' })
    this.env.now = 1_000_000
    this.#log = new TwinLog(new Engine(), bug)
    this.node = new Node({
      options,
      env: this.env,
      specs: (node) => (bug === 'a refusal has a record' ? nodeCommands(node).map(loud) : nodeCommands(node)),
      openLog: async () => this.#log,
    })
    this.#log.twin = this.#newEngine()
  }

  static async start(values: Partial<OptionValues> = {}, bug: PlantedBug | null = null): Promise<RecordedNode> {
    const recorded = new RecordedNode(values, bug)
    await recorded.node.load()
    recorded.env.passAll()
    return recorded
  }

  connect(): Peer {
    const transport = new FakeTransport()
    return { session: this.node.open(transport), transport }
  }

  /** The peer goes away. */
  disconnect({ session, transport }: Peer): void {
    transport.destroy()
    this.node.closed(session)
    this.env.passAll()
  }

  /** Sends a request; the turn ends. */
  send({ session }: Peer, args: readonly string[]): void {
    this.sendBytes(session, Buffer.from(`*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`, 'latin1'))
  }

  sendBytes(session: Session, bytes: Buffer): void {
    const input = Buffer.allocUnsafe(1024 + bytes.length)
    bytes.copy(input, 1024)
    this.node.turn.receive(session, input, 1024, input.length)
    this.env.passAll()
    // As the socket's buffer: others use it now.
    input.fill(0)
  }

  /** Time goes on, and what is due is done. */
  pass(ms: number): void {
    this.env.now += ms
    this.node.turn.begin()
    this.node.turn.checkParked()
    this.env.passAll()
  }

  /** Records written since the last time this was asked, as text. */
  takeRecords(): string {
    const { taken } = this.#log
    if (taken.length === 0) return ''
    this.#log.taken = []
    return Buffer.concat(taken).toString('latin1')
  }

  digest(): string {
    return this.node.engine.digest()
  }

  seal(): string {
    return this.node.engine.sealDigest()
  }

  /** What the records alone give; differs from the node's digest if one is missing or wrong. */
  replayedDigest(): string {
    return this.#log.twin.digest()
  }

  replayedSeal(): string {
    return this.#log.twin.sealDigest()
  }

  /** Lets a new engine that has read the state as a compaction writes it be the one that follows the records. */
  compact(): void {
    const journal = new Journal()
    const pieces = this.node.engine.snapshot(journal)
    while (pieces.next().done !== true);
    const next = this.#newEngine()
    next.now = this.node.engine.now
    replayAll(next, Buffer.from(journal.buffer.subarray(0, journal.length)), new Request())
    this.#log.twin = next
  }

  #newEngine(): Engine {
    return new Engine({ ...this.node.engine.options, seed: this.#seed++ })
  }
}
