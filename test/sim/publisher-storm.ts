// The publisher in a storm: a log that grows, a broker that refuses, blocks, loses connections, queues and everything it had acked,
// consumers that fall silent and databases that are restored, and a node that is killed and starts again from an older checkpoint or
// none, from a seed.
//
// At every step
//   acked        of no part is something acked that never came into its queue
//   checkpoint   a reader from its LSN comes to every event that is not acked
//   durable      nothing comes into a queue that a power cut could still take back
// and after the storm
//   everything   every event of the log has been accepted by the cursor rule, once, in its order, as it was written
//
// `bug` plants a mistake; the storm must notice.

import { Random } from '../../src/base/random.ts'
import type { OutboxEvent } from '../../src/engine/events/event.ts'
import { PARTS } from '../../src/engine/outbox.ts'
import type { Broker, ConsumeChannel, Delivery, Feedback, PublishEvents } from '../../src/orders/broker/broker.ts'
import type { EventReader, EventSource, PublisherCheckpoint } from '../../src/orders/outbox/event-source.ts'
import { Publisher } from '../../src/orders/outbox/publisher.ts'
import { SimBroker } from './sim-broker.ts'
import type { SimConnection } from './sim-broker.ts'
import { SimTime } from './sim-time.ts'

export type PublisherBug =
  | 'nack taken for ack'
  | 'unroutable taken for ack'
  | 'beyond durable'
  | 'checkpoint ahead of acks'
  | 'deaf to feedback'
  | 'lost taken for acked'

export interface PublisherStormOptions {
  readonly seed: number
  readonly bug?: PublisherBug
}

export interface PublisherStormResult {
  readonly events: number
  readonly published: number
  readonly refused: number
  readonly unroutable: number
  readonly rewinds: number
  readonly lives: number
  readonly powerCuts: number
  readonly cuts: number
  readonly wipes: number
  readonly restores: number
  readonly blocks: number
  readonly early: number
  readonly simulatedMs: number
}

export class PublisherStormError extends Error {}

const STREAM = 'n1_00c0ffee-1'
const STORM_MS = 60_000
const CALM_MS = 3_600_000
const COUNTED = ['published', 'refused', 'unroutable', 'rewinds'] as const

export async function publisherStorm({ seed, bug }: PublisherStormOptions): Promise<PublisherStormResult> {
  return new Storm(seed, bug ?? null).run()
}

class Storm {
  readonly #bug: PublisherBug | null
  readonly #seed: number
  readonly #random: Random
  readonly #time = new SimTime()
  readonly #broker: SimBroker
  readonly #log = new SimLog()
  readonly #database = new SimDatabase()
  readonly #checkpoints: PublisherCheckpoint[] = []
  /** By part: which pseqs have ever come into a queue, as an unbroken beginning and the others. */
  readonly #arrived = Array.from({ length: PARTS }, () => ({ upTo: 0, others: new Set<number>() }))
  #life: Life | null = null
  #failure: string | null = null
  readonly #counts = { published: 0, refused: 0, unroutable: 0, rewinds: 0 }
  readonly #result = { lives: 0, powerCuts: 0, cuts: 0, wipes: 0, restores: 0, blocks: 0 }

  constructor(seed: number, bug: PublisherBug | null) {
    this.#seed = seed
    this.#bug = bug
    this.#random = new Random(seed)
    const { random } = this.#fork()
    this.#broker = new SimBroker(this.#time, random, {
      prefetch: 50,
      refusals: this.#random.pick([0, 0, 0.001, 0.01]),
      lateAcks: this.#random.pick([0, 0.1, 0.5]),
      queueMax: this.#random.pick([Infinity, 30, 300]),
    })
    this.#broker.onEnqueue = ({ part, pseq, body }) => {
      const lsn = Number(body.toString().split(' ')[0])
      if (lsn > this.#log.durable) this.#fail(`event ${pseq} of part ${part} was published before it was durable`)
      const arrived = this.#arrived[part]
      arrived.others.add(pseq)
      while (arrived.others.delete(arrived.upTo + 1)) arrived.upTo++
      for (const old of arrived.others) if (old <= arrived.upTo) arrived.others.delete(old)
    }
  }

  async run(): Promise<PublisherStormResult> {
    this.#startLife()
    this.#database.listen(this.#broker, this.#time)
    const busy = this.#random.pick([4, 12, 30])
    const endOfStorm = this.#time.now + STORM_MS
    const beat = (): void => {
      if (this.#failure !== null) return
      if (this.#time.now < endOfStorm) {
        this.#log.append(this.#random, this.#random.below(busy))
        this.#trouble()
      } else if (this.#time.now < endOfStorm + 100) this.#calm()
      if (this.#random.chance(0.7) || this.#time.now >= endOfStorm) this.#log.sync()
      this.#life?.source.onMore()
      this.#inspect()
      this.#time.after(50, beat)
    }
    beat()
    await this.#time.run(STORM_MS + 200, () => this.#failure !== null)
    const isDone = (): boolean => this.#failure !== null || this.#log.last.every((last, part) => this.#database.cursors[part] === last)
    const wasDone = await this.#time.run(CALM_MS, isDone)
    if (!wasDone) {
      const missing = this.#log.last.flatMap((last, part) =>
        this.#database.cursors[part] === last ? [] : [`part ${part}: ${this.#database.cursors[part]} of ${last}`],
      )
      this.#fail(`an hour after the storm not everything is stored: ${missing.join(', ')}; ${this.#life?.publisher.status().state}`)
    }
    this.#failure ??= this.#database.wrong(this.#log.events)
    this.#endLife()
    if (this.#failure !== null) {
      throw new PublisherStormError(`seed ${this.#seed}, ${Math.round(this.#time.now)} ms: ${this.#failure}`)
    }
    return { events: this.#log.events.length, ...this.#counts, ...this.#result, early: this.#database.early, simulatedMs: this.#time.now }
  }

  #trouble(): void {
    const random = this.#random
    if (random.chance(0.02)) {
      this.#broker.cut()
      this.#result.cuts++
    }
    if (random.chance(0.004)) {
      this.#broker.stop()
      if (random.chance(0.3)) {
        this.#broker.wipe()
        this.#result.wipes++
      }
      this.#time.after(random.below(5_000), () => this.#broker.start())
    }
    if (random.chance(0.005)) {
      this.#broker.isBlocked = true
      this.#result.blocks++
      this.#time.after(random.below(3_000), () => (this.#broker.isBlocked = false))
    }
    if (random.chance(0.005)) this.#broker.missing = random.below(PARTS)
    if (random.chance(0.01)) {
      this.#database.isSilent = true
      this.#time.after(random.below(10_000), () => (this.#database.isSilent = false))
    }
    if (random.chance(0.003)) {
      this.#database.restore(random)
      this.#result.restores++
    }
    if (this.#life !== null && random.chance(0.01)) this.#checkpoints.push(this.#checkpoint(this.#life))
    if (this.#life !== null && random.chance(0.005)) {
      this.#endLife()
      if (random.chance(0.5)) {
        this.#log.powerCut(random)
        this.#result.powerCuts++
      }
      this.#time.after(random.below(2_000), () => this.#startLife())
    }
  }

  #calm(): void {
    this.#broker.start()
    this.#broker.isBlocked = false
    this.#database.isSilent = false
  }

  #inspect(): void {
    if (this.#life === null) return
    const { acked, published } = this.#life.publisher.status()
    for (let part = 0; part < PARTS; part++) {
      const { upTo } = this.#arrived[part]
      if (acked[part] > upTo) this.#fail(`part ${part} is acked up to ${acked[part]}, and its queue has had everything only up to ${upTo}`)
      if (acked[part] > published[part]) this.#fail(`part ${part}: acked ${acked[part]} > published ${published[part]}`)
    }
    const checkpoint = this.#checkpoint(this.#life)
    for (let part = 0; part < PARTS; part++) {
      const lsn = this.#log.lsnOf(part, checkpoint.acked[part] + 1)
      if (lsn !== null && lsn < checkpoint.lsn) {
        this.#fail(`event ${checkpoint.acked[part] + 1} of part ${part} is at ${lsn}, before the checkpoint's ${checkpoint.lsn}`)
      }
    }
  }

  #checkpoint({ publisher }: Life): PublisherCheckpoint {
    const checkpoint = publisher.checkpoint()
    if (this.#bug !== 'checkpoint ahead of acks') return checkpoint
    return { ...checkpoint, lsn: this.#log.durable + 1, acked: publisher.status().published }
  }

  #startLife(): void {
    if (this.#life !== null) return
    this.#result.lives++
    const random = this.#random
    // An older one than the last, or none: then everything is published again.
    const at = this.#checkpoints.length - 1 - (random.chance(0.3) ? random.below(3) : 0)
    const nothing = Array.from({ length: PARTS }, () => 0)
    const from = this.#checkpoints[at] ?? { lsn: 1, acked: nothing, stored: nothing }
    this.#life = new Life(this.#time, this.#fork().random, this.#broker, this.#log, from, this.#bug)
  }

  #endLife(): void {
    const life = this.#life
    if (life === null) return
    if (this.#random.chance(0.5)) this.#checkpoints.push(this.#checkpoint(life))
    const { counters } = life.publisher.status()
    for (const name of COUNTED) this.#counts[name] += counters[name]
    life.kill()
    this.#life = null
  }

  #fork(): { random: Random } {
    return { random: new Random(this.#random.uint32()) }
  }

  #fail(what: string): void {
    this.#failure ??= what
  }
}

/** The node's process from its start to its end. */
class Life {
  readonly publisher: Publisher
  readonly source: EventSource
  readonly #connection: SimConnection
  #isAlive = true

  constructor(time: SimTime, random: Random, broker: SimBroker, log: SimLog, from: PublisherCheckpoint, bug: PublisherBug | null) {
    const isAlive = (): boolean => this.#isAlive
    this.#connection = broker.connect(isAlive)
    this.source = log.source(bug === 'beyond durable')
    this.publisher = new Publisher({
      broker: withBug(this.#connection, bug),
      stream: STREAM,
      source: this.source,
      env: time.env(random, () => {}, isAlive),
      from,
    })
    this.publisher.start()
  }

  kill(): void {
    this.#isAlive = false
    this.#connection.sever()
  }
}

function withBug(broker: Broker, bug: PublisherBug | null): Broker {
  let lastTag = 0
  const mistaken = (events: PublishEvents): PublishEvents => ({
    onReady(channel) {
      events.onReady({
        publish: (message) => (lastTag = channel.publish(message)),
        get isWritable() {
          return channel.isWritable
        },
        close: () => channel.close(),
      })
    },
    onAcked: (tag, multiple) => events.onAcked(tag, multiple),
    onRefused: (tag, multiple) => (bug === 'nack taken for ack' ? events.onAcked(tag, multiple) : events.onRefused(tag, multiple)),
    onUnroutable: (message) => bug !== 'unroutable taken for ack' && events.onUnroutable(message),
    onDrained: () => events.onDrained(),
    onLost(reason) {
      if (bug === 'lost taken for acked') events.onAcked(lastTag, true)
      events.onLost(reason)
    },
  })
  return {
    name: broker.name,
    publisher: (stream, events, onFeedback) =>
      broker.publisher(stream, mistaken(events), bug === 'deaf to feedback' ? () => {} : onFeedback),
    consumer: (events) => broker.consumer(events),
    examine: () => broker.examine(),
    depths: () => broker.depths(),
    close: () => broker.close(),
  }
}

/** A log: records of one event or of one for every part, of which those up to `durable` survive a power cut. */
class SimLog {
  events: OutboxEvent[] = []
  last = Array.from({ length: PARTS }, () => 0)
  /** By part: the LSN of each event. */
  #lsns = Array.from({ length: PARTS }, () => [] as number[])
  #lsn = 0
  durable = 0
  /** So that what is written again after a power cut is something else. */
  #age = 0

  append(random: Random, records: number): void {
    for (let nth = 0; nth < records; nth++) {
      this.#lsn++
      if (random.chance(0.01)) for (let part = 0; part < PARTS; part++) this.#add(part)
      else this.#add(random.chance(0.3) ? 3 : random.below(PARTS))
    }
  }

  sync(): void {
    this.durable = this.#lsn
  }

  /** Everything that is not durable is gone, and different things will be written under the same numbers. */
  powerCut(random: Random): void {
    this.#age = random.uint32()
    this.#lsn = this.durable
    this.events = this.events.filter((event) => event.lsn <= this.durable)
    this.#lsns = this.#lsns.map((lsns) => lsns.filter((lsn) => lsn <= this.durable))
    this.last = this.#lsns.map((lsns) => lsns.length)
  }

  lsnOf(part: number, pseq: number): number | null {
    return this.#lsns[part][pseq - 1] ?? null
  }

  source(isHasty: boolean): EventSource {
    return {
      onMore() {},
      oldest: () => 1,
      locate: (part, pseq) => Math.max(1, (this.lsnOf(part, pseq) ?? 1) - 7),
      reader: (lsn) => new SimReader(this, lsn, isHasty),
    }
  }

  get written(): number {
    return this.#lsn
  }

  #add(part: number): void {
    const pseq = ++this.last[part]
    this.#lsns[part].push(this.#lsn)
    const body = Buffer.from(`${this.#lsn} ${part} ${pseq} ${this.#age}`)
    this.events.push({ lsn: this.#lsn, part, pseq, type: 'order.reserved', time: 1_700_000_000_000 + this.#lsn, body })
  }
}

class SimReader implements EventReader {
  readonly #log: SimLog
  readonly #isHasty: boolean
  #at: number
  lsn: number

  constructor(log: SimLog, lsn: number, isHasty: boolean) {
    this.#log = log
    this.#isHasty = isHasty
    this.lsn = lsn
    const at = log.events.findIndex((event) => event.lsn >= lsn)
    this.#at = at < 0 ? log.events.length : at
  }

  next(max: number): readonly OutboxEvent[] {
    const limit = this.#isHasty ? this.#log.written : this.#log.durable
    const { events } = this.#log
    const from = this.#at
    while (this.#at < events.length && this.#at - from < max && events[this.#at].lsn <= limit) this.#at++
    const isMidRecord = this.#at < events.length && this.#at > 0 && events[this.#at].lsn === events[this.#at - 1].lsn
    this.lsn = isMidRecord ? events[this.#at].lsn : Math.max(this.lsn, (events[this.#at - 1]?.lsn ?? 0) + 1)
    return events.slice(from, this.#at)
  }

  close(): void {}
}

/** What consumers and databases make of it: the cursor rule. */
class SimDatabase {
  readonly cursors = Array.from({ length: PARTS }, () => 0)
  readonly #stored = Array.from({ length: PARTS }, () => [] as string[])
  readonly #seekAt = new Float64Array(PARTS)
  /** Consumers do nothing and say nothing. */
  isSilent = false
  early = 0
  #conflict: string | null = null

  listen(broker: SimBroker, time: SimTime): void {
    let channel: ConsumeChannel | null = null
    let held: Delivery[] = []
    const work = (): void => {
      if (channel !== null && !this.isSilent) {
        for (const delivery of held.splice(0)) {
          this.#take(delivery, channel, time.now)
          channel.ack(delivery.part, delivery.tag)
        }
      }
      time.after(20, work)
    }
    const tell = (): void => {
      if (channel !== null && !this.isSilent) {
        channel.feedback({ kind: 'stored', stream: STREAM, cursors: this.cursors.map((pseq, part) => ({ part, pseq })) })
      }
      time.after(1_000, tell)
    }
    broker.connect().consumer({
      onReady(ready) {
        channel = ready
        held = []
        // A connection that is lost meanwhile is followed by another.
        for (let part = 0; part < PARTS; part++) ready.subscribe(part).catch(() => {})
      },
      onDelivery: (delivery) => held.push(delivery),
      onCancelled() {},
      onLost() {
        channel = null
        held = []
      },
    })
    work()
    tell()
  }

  /** From an older backup. */
  restore(random: Random): void {
    const part = random.below(PARTS)
    this.cursors[part] = random.below(this.cursors[part] + 1)
    this.#stored[part].length = this.cursors[part]
  }

  wrong(events: readonly OutboxEvent[]): string | null {
    if (this.#conflict !== null) return this.#conflict
    for (const { part, pseq, body } of events) {
      const stored = this.#stored[part][pseq - 1]
      if (stored !== body.toString()) return `event ${pseq} of part ${part} is stored as ${stored}, and the log says ${body.toString()}`
    }
    return null
  }

  #take({ part, message }: Delivery, channel: ConsumeChannel, now: number): void {
    if (message === null) return
    const { pseq, body } = message
    const text = body.toString()
    if (pseq <= this.cursors[part]) {
      const before = this.#stored[part][pseq - 1]
      if (before !== text) this.#conflict ??= `event ${pseq} of part ${part} came as ${before} and as ${text}`
    } else if (pseq === this.cursors[part] + 1) {
      this.cursors[part] = pseq
      this.#stored[part].push(text)
    } else {
      this.early++
      if (now < this.#seekAt[part]) return
      this.#seekAt[part] = now + 2_000
      const seek: Feedback = { kind: 'seek', stream: STREAM, part, pseq: this.cursors[part] }
      channel.feedback(seek)
    }
  }
}
