// A whole node on a simulated disk, clock and network, driven from a seed through several lives of one data directory.
//
// The production node (engine, turns, dispatch, log) runs unchanged; what it runs on is ours: SimDisk loses what a disk may lose, fsyncs
// come back late, full disks and fsync errors come and go, clients are arrays. Everything that happens is one ordered list of steps, so a
// seed is a complete description of a run.
//
// What must stay true:
//   kept       a reply that left rests on records that are there after the crash, as far as the policy promises
//   repeated   the state after any start is the state that the records give, digest for digest, and so is the living state
//   lawful     total = available + reserved + sold; a recount finds nothing; an order is one order, whatever was retried
//   observed   under `always` no value is shown that a power cut could still take back
//
// `bug` plants a mistake; the storm must notice it.

import { millis } from '../../src/base/brand.ts'
import type { Millis } from '../../src/base/brand.ts'
import { crc32 } from '../../src/base/crc32.ts'
import { Random } from '../../src/base/random.ts'
import { ReplaySink } from '../../src/server/replay-sink.ts'
import { nodeCommands } from '../../src/cli/commands.ts'
import { Engine } from '../../src/engine/engine.ts'
import type { Env } from '../../src/server/env.ts'
import { Node } from '../../src/server/node.ts'
import type { NodeLog } from '../../src/server/node-log.ts'
import { Options } from '../../src/server/options.ts'
import { openLogOn } from '../../src/server/recovery.ts'
import { SyncPace } from '../../src/server/sync-pace.ts'
import type { Session } from '../../src/server/session.ts'
import type { Transport } from '../../src/server/transport.ts'
import { ErrorReply, decodeReply, encodeRequest, replyEnd } from '../support/raw-client.ts'
import type { Value } from '../support/raw-client.ts'
import { COLLECTION_REFUSALS, collectionCommand } from './collection-commands.ts'
import { SimCrash, SimDisk, type CrashKind } from './sim-disk.ts'

export type PlantedBug =
  | 'reply before the write' // replies do not wait for the log
  | 'ack before the fsync' // `always` acknowledges what was only written
  | 'a record is forgotten' // now and then a change is not logged
  | 'a record is logged twice'

export interface StormOptions {
  readonly seed: number
  readonly policy?: 'always' | 'everysec' | 'no'
  readonly bug?: PlantedBug
  readonly steps?: number
}

export interface StormResult {
  readonly lives: number
  readonly powerCuts: number
  readonly kills: number
  readonly commands: number
  readonly acked: number
  readonly refused: number
  readonly simulatedMs: number
  /** Checksum of everything that clients were told: the same seed gives the same. */
  readonly trace: number
}

export class StormError extends Error {}

const SKUS = ['hot', 'cold', '__proto__']
const INPUT = Buffer.alloc(1 << 20)

interface Sent {
  readonly args: readonly (string | number)[]
  /** The reply rests on records up to here; 0: on none. */
  readonly need: number
}

/** A client: what it sent and has no answer to yet, and what it was told. */
class Client implements Transport {
  readonly addr: string
  readonly laddr = 'sim:0'
  readonly isLoopback = true
  readonly fd: number
  readonly queued = 0
  isPaused = false
  isOver = false
  session: Session | null = null
  readonly sent: Sent[] = []
  #input: Buffer = Buffer.alloc(0)
  readonly #told: (sent: Sent, reply: Buffer) => void

  constructor(n: number, told: (sent: Sent, reply: Buffer) => void) {
    this.addr = `sim:${n}`
    this.fd = n
    this.#told = told
  }

  write(bytes: Buffer): boolean {
    this.#input = Buffer.concat([this.#input, bytes])
    let at = 0
    for (let end = replyEnd(this.#input, at); end !== -1; end = replyEnd(this.#input, at)) {
      const sent = this.sent.shift()
      if (sent === undefined) throw new StormError('a reply to nothing')
      this.#told(sent, this.#input.subarray(at, end))
      at = end
      if (at === this.#input.length) break
    }
    this.#input = this.#input.subarray(at)
    return true
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    this.isOver = true
  }

  destroy(): void {
    this.isOver = true
  }
}

/** Time, the end of turns and timers, all told by the storm. */
class SimEnv implements Env {
  readonly ends: (() => void)[] = []
  readonly timers = new Set<{ readonly ms: number; at: number; readonly run: () => void }>()
  readonly #random: Random
  #now: number
  /** Passes of the loop take time as well: 50 microseconds each. */
  #passes = 0
  readonly clock = { now: (): Millis => millis(this.#now), micros: (): number => this.#now * 1000 + this.#passes * 50 }

  constructor(random: Random, now: number) {
    this.#random = random
    this.#now = now
  }

  say(): void {}

  startNoEarlierThan(instant: Millis): void {
    this.#now = Math.max(this.#now, instant)
  }

  endOfTurn(run: () => void): void {
    this.ends.push(run)
  }

  every(ms: number, run: () => void): () => void {
    const timer = { ms, at: this.#now + ms, run }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }

  random32(): number {
    return this.#random.uint32()
  }

  memoryUsed(): number {
    return 0
  }

  collections(): number {
    return 0
  }

  collectGarbage(): void {}

  endTurns(): void {
    for (let run = this.ends.shift(); run !== undefined; run = this.ends.shift()) {
      this.#passes++
      run()
    }
  }

  /** Time goes on; timers fire at their instants, in order. */
  sleep(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      let next: { ms: number; at: number; run: () => void } | null = null
      for (const timer of this.timers) if (timer.at <= until && (next === null || timer.at < next.at)) next = timer
      if (next === null) break
      this.#now = Math.max(this.#now, next.at)
      // A beat that a long sleep has missed is not made up for, as with a real timer.
      next.at = Math.max(next.at + next.ms, until - 5 * next.ms)
      next.run()
      this.endTurns()
    }
    this.#now = until
  }
}

/** One record after another, as the log took them: the history that every state must follow from. */
class History {
  readonly records: Buffer[] = []
  readonly times: number[] = []

  /** Cuts a batch into its records: RESP arrays. */
  append(bytes: Buffer, now: number): void {
    for (let at = 0; at < bytes.length;) {
      const end = replyEnd(bytes, at)
      this.records.push(Buffer.from(bytes.subarray(at, end)))
      this.times.push(now)
      at = end
    }
  }

  /** An engine that knows nothing but the records. */
  replayed(options: Engine['options']): Engine {
    const engine = new Engine({ ...options, seed: 77 })
    const sink = new ReplaySink(engine)
    const start = new Int32Array(4096)
    const end = new Int32Array(4096)
    this.records.forEach((record, i) => {
      let argc = 0
      for (let at = record.indexOf('\r\n') + 2; at < record.length; argc++) {
        const eol = record.indexOf('\r\n', at)
        start[argc] = eol + 2
        end[argc] = eol + 2 + Number(record.toString('latin1', at + 1, eol))
        at = end[argc] + 2
      }
      sink.batch(this.times[i])
      sink.record(record, argc, start, end)
    })
    return engine
  }
}

export async function nodeStorm(options: StormOptions): Promise<StormResult> {
  const random = new Random(options.seed)
  const choices = random.fork('choices')
  const policy = options.policy ?? choices.pick(['always', 'everysec', 'no'] as const)
  const disk = new SimDisk(random.fork('disk'), { shortWrites: choices.chance(0.3) ? 0.1 : 0, failedSyncShowsOld: false })
  const history = new History()
  const result = { lives: 0, powerCuts: 0, kills: 0, commands: 0, acked: 0, refused: 0, simulatedMs: 0, trace: 0 }
  const startedAt = 1_792_000_000_000
  let now = startedAt
  let promised = 0
  let orders = 0
  let serial = 0
  const notes: string[] = []
  const fail = (why: string): never => {
    throw new StormError(`seed ${options.seed} (${policy}): ${why}\n${notes.slice(-15).join('\n')}`)
  }

  const lives = choices.between(2, 5)
  for (let life = 1; life <= lives; life++) {
    result.lives++
    const env = new SimEnv(random.fork(`life ${life}`), now)
    const nodeOptions = new Options({
      'dir': '/data',
      'port': 0,
      'appendfsync': policy,
      'aof-segment-size': choices.pick([4096, 20_000, 1 << 20]),
      'aof-min-free': 0,
      'aof-ballast': 0,
      'auto-aof-rewrite-percentage': 0,
      'restart-grace': choices.pick([0, 1000, 30_000]),
      'order-retention': choices.pick([1, 60, 86_400]) * 1000,
      'return-window': choices.pick([1, 60, 604_800]) * 1000,
    })
    const node: Node = new Node({
      options: nodeOptions,
      env,
      specs: nodeCommands,
      openLog: async (owner) =>
        watched(await openLogOn(disk, owner, new SyncPace(env, () => policy === 'always')), history, options.bug, choices),
    })
    const kind: CrashKind = choices.chance(0.6) ? 'power' : 'kill'
    let durable = 0
    let told = promised
    let syncFailed = false
    const shown = new Map<string, number>()

    /** What a client hears. */
    const hear = (sent: Sent, reply: Buffer): void => {
      result.trace = (Math.imul(result.trace, 31) + crc32(reply, 0, reply.length)) >>> 0
      const value = decodeReply(reply)
      if (value instanceof ErrorReply) {
        result.refused++
        if (
          !/^(MISCONF|WRONGTYPE|ORDERCONFLICT|QTY|NOSKU|INUSE|STOCKEXISTS|ERR order id needs|ERR value is not an integer)/.test(
            value.text,
          ) &&
          !COLLECTION_REFUSALS.test(value.text)
        ) {
          fail(`${sent.args.join(' ')} -> ${value.text}`)
        }
        return
      }
      if (sent.need > 0) {
        result.acked++
        told = Math.max(told, sent.need)
      }
      const log = node.log!
      if (log.written < sent.need && node.phase === 'serving')
        fail(`${sent.args.join(' ')} was answered before its record ${sent.need} was written`)
      if (policy === 'always' && options.bug !== 'reply before the write') {
        if (sent.need > durableOf(log)) fail(`${sent.args.join(' ')} was answered before its record ${sent.need} was durable`)
        const lsn = sent.args[0] === 'GET' ? shown.get(String(value)) : undefined
        if (lsn !== undefined && lsn > durableOf(log)) fail(`a value was shown whose record ${lsn} is not durable`)
      }
    }

    try {
      if (choices.chance(0.1)) disk.crashAfter(choices.below(30), kind)
      const before = history.records.length
      // What the crash took is no part of the history any more: the log tells at its start how far it goes.
      await node.load()
      env.endTurns()
      // The start itself may have added records (the grace of open holds); `watched` has cut the history before them.
      const { start } = node.log as Watched
      if (start > before) fail(`the log starts at ${start}, only ${before} records were ever written`)
      if (start < promised) fail(`life ${life}: ${promised} records were promised, ${start} are there`)
      check(node, history, fail)

      const clients = Array.from({ length: choices.between(1, 5) }, (_, n) => new Client(n, hear))
      for (const client of clients) client.session = node.open(client)
      disk.crashAfter(choices.between(20, 600), kind)
      const steps = options.steps ?? choices.between(20, 250)
      for (let step = 0; step < steps && !disk.isDead; step++) {
        // One turn: some clients send, each one request or a pipeline.
        for (const client of clients) {
          if (client.isPaused || client.isOver || !choices.chance(0.7)) continue
          for (let n = choices.pick([1, 1, 1, 4]); n > 0; n--) {
            const args = command(
              choices,
              () => ++orders,
              () => ++serial,
            )
            const bytes = encodeRequest(args)
            node.turn.begin()
            const earlier = node.turn.lsn
            const slot: { args: typeof args; need: number } = { args, need: 0 }
            client.sent.push(slot)
            bytes.copy(INPUT, 1024)
            node.turn.receive(client.session!, INPUT, 1024, 1024 + bytes.length)
            if (node.turn.lsn > earlier) slot.need = node.turn.lsn
            if (args[0] === 'SET') shown.set(String(args[2]), slot.need)
            result.commands++
          }
        }
        env.endTurns()
        for (let n = choices.below(4); n > 0; n--) {
          disk.complete()
          env.endTurns()
        }
        if (choices.chance(0.05)) syncFailed = inject(disk, choices) || syncFailed
        else if (disk.options.quotaBytes !== undefined && choices.chance(0.2)) delete disk.options.quotaBytes
        if (node.log!.refusal()?.includes('fsync failed') && choices.chance(0.3)) {
          node.log!.reopen()
          disk.completeAll()
          env.endTurns()
        }
        env.sleep(choices.pick([0, 0, 1, 7, 300, 1200, 20_000]))
        durable = durableOf(node.log!)
        if (choices.chance(0.02)) check(node, history, fail)
      }
    } catch (error) {
      if (error instanceof StormError) throw error
      if (!disk.isDead && !(error instanceof SimCrash))
        throw new StormError(`seed ${options.seed} (${policy}), life ${life}: ${(error as Error).stack}\n${notes.slice(-15).join('\n')}`)
    }
    if (node.log !== null) durable = Math.max(durable, durableOf(node.log))
    if (!disk.isDead) disk.crash(kind)
    if (kind === 'power') {
      result.powerCuts++
      promised = policy === 'always' ? told : Math.min(told, durable)
    } else {
      result.kills++
      promised = told
    }
    // After a failed fsync the machine may lose what was not durable, also under `everysec`; `always` acknowledged none of it.
    notes.push(
      `life ${life}: ${kind}, told ${told}, durable ${durable}, promised ${promised}, history ${history.records.length}${syncFailed ? ', an fsync failed' : ''}`,
    )
    now = env.clock.now() + choices.pick([-3_600_000, 0, 5, 60_000])
    delete disk.options.quotaBytes
    disk.restart()
  }
  result.simulatedMs = now - startedAt
  return result
}

/** The log, with the history of all that it was given, and where it stood when it was opened. */
interface Watched extends NodeLog {
  readonly start: number
}

function watched(log: NodeLog, history: History, bug: PlantedBug | undefined, choices: Random): Watched {
  const start = log.last
  history.records.length = Math.min(history.records.length, start)
  history.times.length = history.records.length
  const append: NodeLog['append'] = (bytes, length, records, now) => {
    history.append(bytes.subarray(0, length), now)
    return log.append(bytes, length, records, now)
  }
  return new Proxy(log, {
    get(target, name): unknown {
      if (name === 'start') return start
      if (name === 'append') {
        return (bytes: Buffer, length: number, records: number, now: Millis) => {
          const isHit = bug !== undefined && records === 1 && choices.chance(0.2)
          if (isHit && bug === 'a record is forgotten') return target.last
          if (isHit && bug === 'a record is logged twice') append(bytes, length, records, now)
          return append(bytes, length, records, now)
        }
      }
      if (name === 'acked' && (bug === 'reply before the write' || bug === 'ack before the fsync'))
        return bug === 'ack before the fsync' ? target.written : target.last
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  }) as Watched
}

const durableOf = (log: NodeLog): number => log.durable

/** The living state is what its records give, and keeps the law. */
function check(node: Node, history: History, fail: (why: string) => never): void {
  const twin = history.replayed(node.engine.options)
  twin.advance(node.engine.now)
  twin.journal.drained()
  const living = node.engine.digest()
  if (twin.digest() !== living)
    fail(`the living state (${living}) is not what its ${history.records.length} records give (${twin.digest()})`)
  if (twin.sealDigest() !== node.engine.sealDigest()) fail('the seal digests of the living and the replayed state differ')
}

/** A random command of a small shop: a few SKUs, buyers who retry, keys that expire. */
function command(random: Random, newOrder: () => number, newSerial: () => number): (string | number)[] {
  const sku = random.chance(0.7) ? SKUS[0] : random.pick(SKUS)
  const order = (): string => `{b${random.below(4)}}o${Math.max(1, newOrder() - random.below(12))}`
  const known = (): string => `{b${random.below(4)}}o${random.below(40)}`
  const key = `k${random.below(6)}`
  switch (random.below(23)) {
    case 0:
      return ['STOCK.CREATE', sku, random.pick([5, 50]), 'HOLD', random.pick([1, 30]), ...(random.chance(0.3) ? ['LIMIT', 3] : [])]
    case 1:
      return ['STOCK.ADJUST', sku, random.pick([5, -3, 20]), 'ID', `adj${random.below(30)}`]
    case 2:
    case 3:
    case 4:
    case 5:
      return ['STOCK.RESERVE', order(), ...(random.chance(0.2) ? ['PX', random.pick([50, 5000])] : []), 'ITEMS', sku, random.between(1, 3)]
    case 6:
      return ['STOCK.RESERVE', order(), 'ITEMS', SKUS[0], 1, SKUS[1], 1]
    case 7:
      return ['STOCK.RESERVE', `{b${random.below(4)}}*`, 'ITEMS', sku, 1]
    case 8:
    case 9:
      return ['STOCK.CONFIRM', known(), 'REF', `pay${random.below(30)}`, ...(random.chance(0.3) ? ['LATE'] : [])]
    case 10:
      return ['STOCK.RELEASE', known()]
    case 11:
      return ['STOCK.EXTEND', known(), 'EX', random.pick([1, 60])]
    case 12:
      return ['STOCK.RETURN', known()]
    case 13:
      return ['STOCK.ORDER', known()]
    case 14:
      return random.chance(0.2) ? ['STOCK.DROP', sku, 'FORCE'] : ['STOCK.MGET', ...SKUS]
    case 15:
    case 16:
      return ['SET', key, `value-${newSerial()}`, ...(random.chance(0.3) ? ['PX', random.pick([20, 3000])] : [])]
    case 17:
      return ['GET', key]
    case 18:
      return random.chance(0.5) ? ['DEL', key] : ['EXPIRE', key, 10]
    case 19:
    case 20:
    case 21:
      return collectionCommand(random, true)
    default:
      return ['INCR', `n${random.below(3)}`]
  }
}

/** Something goes wrong with the disk. @returns true for an fsync error. */
function inject(disk: SimDisk, choices: Random): boolean {
  switch (choices.below(4)) {
    case 0:
      disk.failNext('sync', 'EIO')
      return true
    case 1: {
      let used = 0
      for (const bytes of disk.files().values()) used += bytes.length
      disk.options.quotaBytes = used + choices.below(800)
      return false
    }
    case 2:
      disk.failNext('write', choices.pick(['EIO', 'ENOSPC']))
      return false
    default:
      disk.failNext('syncDirectory', 'EIO')
      return false
  }
}

/** For messages. */
export type { Value }
