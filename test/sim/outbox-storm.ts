// The way from the log into a database, in a storm: the real engine's records in a real log on a simulated disk, followed, decoded and
// written by the real source and sink, with rotations, compactions, REOPEN, kills and power cuts on one side, and on the other a database
// that fails, is restored from a backup or begins anew; and checkpoints that are old or gone. From a seed.
//
// At every step
//   durable      nothing is stored that a power cut could still take back
//   stored       what the trail calls stored is in the database; no event comes later that happened before the instant it calls stored
//   found        `locate` and `oldest` say what the log has
// and after the storm
//   everything   every event of the log is in the database, once, in its order, as it was written

import { crc32 } from 'node:zlib'
import { BaseWriter } from '../../src/aof/base-writer.ts'
import { LogFollower, LogMarks } from '../../src/aof/follower.ts'
import type { Log } from '../../src/aof/log.ts'
import { readLog } from '../../src/aof/read-log.ts'
import { openLogNow } from '../../src/aof/recovery.ts'
import { StockdError } from '../../src/base/error.ts'
import { Random } from '../../src/base/random.ts'
import type { OutboxEvent } from '../../src/engine/events/event.ts'
import { PARTS } from '../../src/engine/outbox.ts'
import type { Checkpoint } from '../../src/orders/outbox/checkpoint-file.ts'
import { LogEventSource } from '../../src/orders/outbox/log-event-source.ts'
import { RecordEvents } from '../../src/orders/outbox/record-events.ts'
import { Shelf } from '../../src/orders/outbox/shelf.ts'
import { SqliteSink } from '../../src/orders/outbox/sqlite-sink.ts'
import { StoredTrail } from '../../src/orders/outbox/stored-trail.ts'
import type { Store } from '../../src/orders/store/store.ts'
import { SimDisk } from './sim-disk.ts'
import { SimStore } from './sim-store.ts'
import { SimTime } from './sim-time.ts'

export interface OutboxStormResult {
  readonly events: number
  readonly lives: number
  readonly powerCuts: number
  readonly compactions: number
  readonly reopened: number
  readonly restores: number
  readonly rewinds: number
  readonly lostCheckpoints: number
  readonly looks: number
}

export type OutboxBug = 'beyond durable' | 'keeps nothing' | 'checkpoint ahead'

const DIRECTORY = '/data'
const STREAM = 'n0_0b0e5f0e-1'
const SKUS = 4
const CALM_MS = 600_000

export async function outboxStorm(seed: number, bug: OutboxBug | null = null): Promise<OutboxStormResult> {
  return new Storm(seed, bug).run()
}

/** A node and its outbox, from start to crash. */
interface Life {
  isAlive: boolean
  readonly log: Log
  readonly source: LogEventSource
  readonly trail: StoredTrail
  readonly sink: SqliteSink
  readonly shelf: Shelf
  readonly marks: LogMarks
  readonly pseqs: readonly number[]
  keepFrom: number
}

class Storm {
  readonly #seed: number
  readonly #bug: OutboxBug | null
  readonly #random: Random
  readonly #time = new SimTime()
  readonly #disk: SimDisk
  readonly #store: SimStore
  readonly #policy: 'always' | 'everysec'
  readonly #segmentBytes: number
  /** Databases are restored from backups; history is kept for that. Otherwise only what is not stored is kept. */
  readonly #hasRestores: boolean
  /** Everything that was appended and not lost, by LSN. */
  readonly #events: OutboxEvent[][] = []
  #lastPseqs = new Float64Array(PARTS)
  #checkpoints: Checkpoint[] = []
  #isRestored = false
  /** The latest instant that was ever called stored, in this life. */
  #storedTime = 0
  readonly #result = {
    events: 0,
    lives: 0,
    powerCuts: 0,
    compactions: 0,
    reopened: 0,
    restores: 0,
    rewinds: 0,
    lostCheckpoints: 0,
    looks: 0,
  }

  constructor(seed: number, bug: OutboxBug | null) {
    this.#seed = seed
    this.#bug = bug
    this.#random = new Random(seed)
    this.#disk = new SimDisk(this.#random.fork('disk'))
    this.#store = new SimStore(this.#time, this.#random.fork('store'))
    this.#policy = this.#random.pick(['always', 'everysec'])
    this.#segmentBytes = this.#random.pick([1500, 6000, 40_000])
    this.#hasRestores = this.#random.chance(0.5)
  }

  async run(): Promise<OutboxStormResult> {
    const often = this.#random.pick([0, 0.02, 0.15])
    let backup = this.#store.backup()
    for (let lives = this.#random.between(1, 4); lives > 0; lives--) {
      const life = await this.#start()
      this.#store.faults = { before: often, middle: often, commit: often, answer: often }
      for (let turns = this.#random.between(20, 120); turns > 0; turns--) {
        this.#write(life)
        await this.#pass(life, this.#random.pick([0, 5, 60, 400, 1500]))
        if (this.#random.chance(0.03)) backup = this.#store.backup()
        if (this.#hasRestores && this.#random.chance(0.02)) {
          if (this.#random.chance(0.3)) backup = new SimStore(this.#time, this.#random).backup()
          backup()
          this.#isRestored = true
          this.#result.restores++
        }
        if (this.#random.chance(0.05)) this.#store.isDown = !this.#store.isDown
        if (this.#random.chance(0.1)) this.#look(life)
      }
      this.#end(life)
    }
    const life = await this.#start()
    this.#store.faults = { before: 0, middle: 0, commit: 0, answer: 0 }
    this.#store.isDown = false
    this.#disk.clearFaults()
    const isDone = (): boolean => this.#events.every((events) => events.every((event) => this.#has(event)))
    for (let ms = 0; ms < CALM_MS && !isDone(); ms += 500) await this.#pass(life, 500)
    if (!isDone()) this.#fail(`not everything is stored at last: ${life.sink.status.state}`)
    this.#compare()
    this.#end(life)
    return this.#result
  }

  async #start(): Promise<Life> {
    const found: OutboxEvent[][] = []
    const random = this.#random
    const life = { isAlive: true, keepFrom: 0 }
    const decoder = this.#decoder((event) => (found[event.lsn] ??= []).push(event))
    const { log } = openLogNow({
      disk: this.#disk,
      directory: DIRECTORY,
      holder: { pid: 1, host: 'sim', bootId: '-', startedAt: '-', version: '0' },
      newNodeId: '0b0e5f0e-0000-4000-8000-000000000001',
      now: this.#now(),
      log: { policy: this.#policy, segmentBytes: this.#segmentBytes, minFreeBytes: 0 },
      sink: decoder,
      events: {
        onAcked() {},
        onFailed() {},
        sealDigest: () => 'd',
        onNote() {},
        onFatal(error) {
          throw error
        },
        keepFrom: () => (this.#bug === 'keeps nothing' ? Infinity : life.keepFrom),
      },
    })
    // What a power cut took was promised to nobody, and never existed.
    this.#events.length = Math.min(this.#events.length, log.last + 1)
    this.#lastPseqs = new Float64Array(PARTS)
    for (const events of this.#events) for (const { part, pseq } of events ?? []) this.#lastPseqs[part] = pseq
    for (const stored of this.#storedEvents())
      if (stored.lsn > log.last) this.#fail(`LSN ${stored.lsn} is stored, and the log ends at ${log.last}`)
    const pseqs = Array.from(this.#lastPseqs)
    const kept = random.chance(0.8) ? this.#checkpoints.at(-1 - random.below(Math.min(3, this.#checkpoints.length || 1))) : undefined
    if (kept === undefined) this.#result.lostCheckpoints++
    const from = kept === undefined || kept.lsn > log.last + 1 ? null : kept
    const env = this.#time.env(
      random.fork(`life${this.#result.lives}`),
      () => {},
      () => life.isAlive,
    )
    const trail = new StoredTrail(pseqs, from)
    const marks = new LogMarks(random.pick([1, 400, 65536]))
    const durable = (): number => (this.#bug === 'beyond durable' ? log.written : log.durable)
    const later = (run: () => void): void => void env.after(0, run)
    const source = new LogEventSource({
      ...{ disk: this.#disk, directory: DIRECTORY, marks, stream: STREAM, lastLsn: log.last, pseqs, durable, trail, env, later },
    })
    const store = { ...this.#store.connect(() => life.isAlive), close: () => Promise.resolve() } as unknown as Store
    const sink = new SqliteSink({ stream: STREAM, source, from, pseqs, changed() {}, store, env, fullDisk: () => null })
    const follower = new LogFollower(this.#disk, DIRECTORY, marks)
    const shelf = new Shelf(
      { disk: this.#disk, directory: DIRECTORY, historyMs: this.#hasRestores ? 1e9 : 0, historyBytes: 2 ** 40, backlogBytes: 1 },
      follower,
    )
    sink.start()
    this.#result.lives++
    this.#storedTime = 0
    return Object.assign(life, { log, source, trail, sink, shelf, marks, pseqs })
  }

  #end(life: Life): void {
    life.isAlive = false
    this.#result.rewinds += life.sink.status.counters.rewinds
    const isPower = this.#random.chance(0.5)
    if (isPower) this.#result.powerCuts++
    this.#disk.crash(isPower ? 'power' : 'kill')
    this.#disk.restart()
  }

  #now(): number {
    return 1_700_000_000_000 + this.#time.now
  }

  /** A turn: records that make events, and some that do not. */
  #write({ log }: Life): void {
    const random = this.#random
    if (log.refusal() === null) {
      const now = Math.floor(this.#now())
      const from = log.last + 1
      const decoder = this.#decoder((event) => {
        if (event.time <= this.#storedTime)
          this.#fail(`an event of ${event.time} came when everything up to ${this.#storedTime} was called stored`)
        ;(this.#events[event.lsn] ??= []).push(event)
        this.#result.events++
      })
      for (let n = random.below(6); n > 0; n--) {
        const words = random.chance(0.3) ? ['SET', `key${n}`, 'x'.repeat(random.below(300))] : this.#fact(now)
        const bytes = Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
        log.append(bytes, bytes.length, 1, now)
        const parts = words.map((word) => Buffer.from(word))
        const ends: number[] = []
        let end = 0
        for (const part of parts) ends.push((end += part.length))
        const starts = ends.map((at, i) => at - parts[i].length)
        decoder.record(Buffer.concat(parts), parts.length, Int32Array.from(starts), Int32Array.from(ends), log.last)
        this.#events[log.last] ??= []
      }
      for (let lsn = from; lsn <= log.last; lsn++) this.#events[lsn] ??= []
      log.write()
    }
    if (random.chance(0.02)) this.#disk.failNext('sync', 'EIO')
    if (random.chance(0.1)) log.rotate(() => {})
    if (random.chance(0.08) && this.#compact(log)) this.#result.compactions++
    if (log.phase === 'failed' && random.chance(0.4)) {
      log.reopen((error) => (this.#result.reopened += error === null ? 1 : 0))
      this.#disk.completeAll()
    }
  }

  /** The shortest record that makes an event of any part. */
  #fact(now: number): string[] {
    const sku = `sku${this.#random.below(SKUS * PARTS)}`
    const pseq = ++this.#lastPseqs[partOf(sku)]
    return ['STOCK.SOLDOUT', sku, '1', String(now), String(pseq), '0 1 9', '7', '0']
  }

  async #pass(life: Life, ms: number): Promise<void> {
    for (let n = this.#random.below(5); n > 0; n--) this.#disk.complete()
    const before = life.log.durable
    life.log.tick(Math.floor(this.#now()))
    if (this.#policy === 'always' && this.#random.chance(0.7)) this.#disk.completeAll()
    if (life.log.durable !== before || this.#random.chance(0.3)) life.source.onMore()
    await this.#time.run(ms)
    this.#check(life)
  }

  #check(life: Life): void {
    const { log, sink, trail } = life
    const { status } = sink
    for (const event of this.#storedEvents()) {
      if (event.lsn > log.durable) this.#fail(`LSN ${event.lsn} is stored, ${log.durable} is durable`)
    }
    const point = trail.point(status.stored)
    const checkpoint = { ...sink.checkpoint, floor: { lsn: point.lsn, time: point.time } }
    this.#checkpoints = [
      ...this.#checkpoints.slice(-3),
      this.#bug === 'checkpoint ahead' ? { ...checkpoint, lsn: log.last + 1 } : checkpoint,
    ]
    life.keepFrom = life.shelf.look(point.lsn, log.durable, this.#now()).keepFrom
    // Nobody has told the sink that its database is another one now: it finds out.
    const isAware = status.stored.every((pseq, part) => pseq <= this.#store.cursor(STREAM, part))
    if (isAware) this.#isRestored = false
    else if (!this.#isRestored) this.#fail('more is called stored than the database has')
    if (!isAware) return
    this.#storedTime = Math.max(this.#storedTime, point.time)
    for (let lsn = 1; lsn <= point.lsn; lsn++) {
      for (const event of this.#events[lsn] ?? [])
        if (!this.#has(event)) this.#fail(`LSN ${event.lsn} is called stored (${point.lsn}), and is not`)
    }
    for (const events of this.#events) {
      for (const event of events ?? []) {
        if (event.time <= point.time && !this.#has(event))
          this.#fail(`${event.time} is called stored (${point.time}), and LSN ${event.lsn} is not`)
      }
    }
  }

  /** Finds any event again, from a source that knows nothing and from the one that is at work. */
  #look({ log, source, marks, trail, pseqs }: Life): void {
    const follower = new LogFollower(this.#disk, DIRECTORY, marks)
    const oldestLsn = follower.oldest()
    follower.close()
    const env = this.#time.env(this.#random, () => {})
    const options = { disk: this.#disk, directory: DIRECTORY, marks, stream: STREAM, lastLsn: source.options.lastLsn, pseqs }
    const fresh = new LogEventSource({ ...options, durable: () => log.durable, trail, env, later() {} })
    const part = this.#random.below(PARTS)
    const there = this.#events.flatMap((events, lsn) => (lsn >= oldestLsn && lsn <= log.durable ? (events ?? []) : []))
    const ofPart = there.filter((event) => event.part === part)
    const oldest = fresh.oldest(part)
    if (ofPart.length > 0 && oldest !== ofPart[0].pseq) this.#fail(`the oldest of part ${part} is ${ofPart[0].pseq}, not ${oldest}`)
    if (ofPart.length > 0) {
      const wanted = this.#random.pick(ofPart)
      for (const from of [fresh, source]) {
        const reader = from === fresh ? from.reader(from.locate(part, wanted.pseq)) : fresh.reader(from.locate(part, wanted.pseq))
        let isFound = false
        for (let events = reader.next(7); events.length > 0 && !isFound; events = reader.next(7)) {
          isFound = events.some((event) => event.part === part && event.pseq === wanted.pseq)
        }
        if (!isFound) this.#fail(`event ${wanted.pseq} of part ${part} is not found from where it should be`)
        reader.close()
      }
    }
    fresh.close()
    this.#result.looks++
  }

  #has({ part, pseq }: OutboxEvent): boolean {
    return this.#store.cursor(STREAM, part) >= pseq
  }

  *#storedEvents(): Generator<OutboxEvent> {
    for (let part = 0; part < PARTS; part++) {
      const last = this.#store.rows(STREAM, part).at(-1)
      if (last === undefined) continue
      const id = (JSON.parse(last.payload) as { id: string }).id
      yield { lsn: Number(id.slice(STREAM.length + 1)), part, pseq: last.pseq, type: 'stock.soldout', time: 0, body: Buffer.alloc(0) }
    }
  }

  #compare(): void {
    for (let part = 0; part < PARTS; part++) {
      const wanted = this.#events.flatMap((events) => (events ?? []).filter((event) => event.part === part))
      const rows = this.#store.rows(STREAM, part)
      wanted.forEach((event, i) => {
        const row = rows[i]
        if (row?.pseq !== event.pseq || row.dead !== null || row.payload !== event.body.toString())
          this.#fail(`event ${event.pseq} of part ${part} is not as it was written`)
      })
      if (rows.length !== wanted.length) this.#fail(`part ${part} has ${rows.length} rows for ${wanted.length} events`)
    }
  }

  #decoder(onEvent: (event: OutboxEvent) => void): RecordEvents {
    return new RecordEvents(STREAM, onEvent)
  }

  #compact(log: Log): boolean {
    const upTo = log.sealedUpTo
    if (upTo === null || log.phase !== 'open') return false
    let writer: BaseWriter | null = null
    try {
      const reading = readLog({
        disk: this.#disk,
        directory: DIRECTORY,
        manifest: log.manifest,
        upToSegment: upTo.seq,
        sink: { record() {} },
      })
      let step = reading.next()
      while (step.done !== true) step = reading.next()
      const { last, chain, time } = step.value
      writer = new BaseWriter({ disk: this.#disk, directory: DIRECTORY, seq: log.takeBaseSeq(), nodeId: log.nodeId, last, chain, time })
      log.installBase(writer.finish('d'), () => {})
      return true
    } catch (error) {
      if (error instanceof StockdError) throw error
      writer?.abandon()
      return false
    }
  }

  #fail(why: string): never {
    throw new Error(`OUTBOX_STORM_SEED=${this.#seed} (${this.#policy}, segments of ${this.#segmentBytes}): ${why}`)
  }
}

function partOf(name: string): number {
  return (crc32(name) & 1023) >>> 6
}
