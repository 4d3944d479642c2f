// Consumers in a storm: a node's log goes through a broker into a database, and everything on the way is hit, from a seed. Consumers are
// killed and join, the broker loses connections, stops, loses its data and refuses; the database deadlocks, goes away, loses the answers
// of commits and is restored from an older backup; messages come twice and out of order; some are poison, some are no events at all.
//
// Then the storm ends, and after a while
//   every event of the log is in the database exactly once, in its place, as it was sent
//   the dead ones are the planted ones and no others
// and at every ack before that: the event was stored, or the node had been asked for it.
//
// `bug` plants a mistake; the storm must notice.

import { Random } from '../../src/base/random.ts'
import type { Broker, ConsumeChannel, Feedback, Message, PublishChannel } from '../../src/orders/broker/broker.ts'
import { Consumer } from '../../src/orders/consumer/consumer.ts'
import { StoreError } from '../../src/orders/store/store-error.ts'
import type { EventBatch, Store } from '../../src/orders/store/store.ts'
import { SimBroker } from './sim-broker.ts'
import { isPoison, SimStore } from './sim-store.ts'
import { SimTime } from './sim-time.ts'

export type ConsumerBug = 'ack before commit' | 'no cursor check' | 'skip on unknown' | 'advance over a hole'

export interface ConsumerStormOptions {
  readonly seed: number
  readonly bug?: ConsumerBug
}

export interface ConsumerStormResult {
  readonly events: number
  readonly dead: number
  readonly kills: number
  readonly joins: number
  readonly connectionsLost: number
  readonly brokerStops: number
  readonly wipes: number
  readonly outages: number
  readonly restores: number
  readonly lostAnswers: number
  readonly deadlocks: number
  readonly unknown: number
  readonly redelivered: number
  readonly seen: number
  readonly early: number
  readonly handedOver: number
  readonly unreadable: number
  readonly simulatedMs: number
}

export class ConsumerStormError extends Error {}

const PARTS_USED = 4
const STORM_MS = 60_000
const CALM_MS = 900_000
const STREAM = 'n1_00c0ffee-1'

/** Times of the consumer, shorter where that makes the storm denser. */
const TIMES = { leaseMs: 3_000, holdMs: 5_000, haltMs: 1_000, retryHaltMs: 10_000, keepMs: 20_000, seekMs: 2_000 }

export async function consumerStorm({ seed, bug }: ConsumerStormOptions): Promise<ConsumerStormResult> {
  const storm = new Storm(seed, bug ?? null)
  await storm.run()
  return storm.result
}

interface Process {
  readonly name: string
  readonly consumer: Consumer
  kill(): void
  cut(): void
}

class Storm {
  readonly #seed: number
  readonly #bug: ConsumerBug | null
  readonly #time = new SimTime()
  readonly #random: Random
  readonly #store: SimStore
  readonly #broker: SimBroker
  readonly #node: SimNode
  readonly #processes: Process[] = []
  readonly #lines: string[] = []
  /** What the node was last asked for, by part: for a moment everything behind it may be dropped. */
  readonly #sought = new Map<number, { readonly pseq: number; readonly at: number }>()
  #count = 0
  #failure: string | null = null
  readonly result = {
    ...{ events: 0, dead: 0, kills: 0, joins: 0, connectionsLost: 0, brokerStops: 0, wipes: 0, outages: 0, restores: 0, lostAnswers: 0 },
    ...{ deadlocks: 0, unknown: 0, redelivered: 0, seen: 0, early: 0, handedOver: 0, unreadable: 0, simulatedMs: 0 },
  }

  constructor(seed: number, bug: ConsumerBug | null) {
    this.#seed = seed
    this.#bug = bug
    this.#random = new Random(seed)
    const storeBug = bug === 'no cursor check' || bug === 'advance over a hole' ? bug : null
    this.#store = new SimStore(this.#time, this.#random.fork('store'), storeBug)
    const refusals = this.#random.chance(0.5) ? 0.01 : 0
    this.#broker = new SimBroker(this.#time, this.#random.fork('broker'), { prefetch: this.#random.between(4, 60), refusals })
    this.#broker.onAck = (part, message) => this.#checkAck(part, message)
    this.#broker.onFeedback = (feedback) => {
      if (feedback.kind === 'seek') this.#sought.set(feedback.part, { pseq: feedback.pseq, at: this.#time.now })
    }
    this.#node = new SimNode(this.#time, this.#random.fork('node'), this.#broker)
  }

  async run(): Promise<void> {
    const { result } = this
    const random = this.#random.fork('storm')
    this.#node.start()
    for (let n = random.between(1, 3); n > 0; n--) this.#join()
    const faults = random.chance(0.8) ? random.float() * 0.05 : 0
    this.#store.faults = { before: faults, middle: faults, commit: faults, answer: faults }
    let restore = this.#store.backup()
    while (this.#time.now < STORM_MS && this.#failure === null) {
      await this.#time.run(random.below(1_500))
      if (random.chance(0.3)) restore = this.#store.backup()
      await this.#strike(random, () => restore())
    }
    // The storm is over: no more events, everything works, somebody consumes.
    this.#node.isSelling = false
    this.#store.faults = { before: 0, middle: 0, commit: 0, answer: 0 }
    this.#store.isDown = this.#store.isReadOnly = false
    this.#broker.start()
    if (this.#processes.length === 0) this.#join()
    const isCalm = await this.#time.run(CALM_MS, () => this.#failure !== null || this.#isComplete())
    if (this.#failure !== null) this.#fail(this.#failure)
    if (!isCalm) this.#fail(`${this.#missing()} after ${CALM_MS / 1000} s of calm`)
    // What still is on its way changes nothing.
    await this.#time.run(10_000)
    await Promise.all([this.#stop(), this.#time.run(60_000)])
    this.#compare()
    result.events = this.#node.logs.reduce((sum, log) => sum + log.length, 0)
    result.lostAnswers = this.#store.failures['lost answer']
    result.deadlocks = this.#store.failures.again
    result.unknown = this.#store.failures.unknown
    result.redelivered = this.#broker.redelivered
    result.simulatedMs = this.#time.now
  }

  async #strike(random: Random, restore: () => void): Promise<void> {
    const { result } = this
    const [victim] = this.#processes.length > 0 ? [random.pick(this.#processes)] : [null]
    switch (random.below(12)) {
      case 0:
      case 1:
        victim?.kill()
        if (victim !== null) result.kills++
        break
      case 2:
      case 3:
        if (this.#processes.length < 3) this.#join()
        break
      case 4:
        victim?.cut()
        if (victim !== null) result.connectionsLost++
        break
      case 5:
        result.brokerStops++
        this.#broker.stop()
        await this.#time.run(random.below(4_000))
        if (random.chance(0.3)) {
          this.#broker.wipe()
          result.wipes++
        }
        this.#broker.start()
        break
      case 6:
        result.outages++
        this.#store.isDown = true
        await this.#time.run(random.below(9_000))
        this.#store.isDown = false
        break
      case 7:
        this.#store.isReadOnly = true
        await this.#time.run(random.below(3_000))
        this.#store.isReadOnly = false
        break
      case 8:
        if (random.chance(0.3)) {
          restore()
          result.restores++
        }
        break
      case 9:
        this.#node.stutter()
        break
      case 10:
        this.#node.cut()
        break
      default: {
        this.#broker.inject(random.below(PARTS_USED), Buffer.from('hello'), null)
        result.unreadable++
      }
    }
  }

  #join(): void {
    const name = `c${++this.#count}`
    const random = this.#random.fork(name)
    const state = { isAlive: true }
    const isAlive = (): boolean => state.isAlive
    const env = this.#time.env(random, (_level, line) => this.#say(`${name}: ${line}`), isAlive)
    const connection = this.#broker.connect(isAlive)
    const store = this.#store.connect(isAlive)
    const consumer = new Consumer({
      ...{ env, name, batch: random.between(1, 30), prefetch: 60, connections: random.between(1, 8), times: TIMES },
      broker: this.#bug === 'ack before commit' ? ackingAtOnce(connection) : connection,
      store: (this.#bug === 'skip on unknown' ? skippingUnknown(store) : store) as Store,
      onFatal: (error) => {
        this.#failure ??= `${name}: ${String(error)}`
      },
    })
    const leave = (): void => {
      state.isAlive = false
      connection.sever()
      this.#processes.splice(this.#processes.indexOf(process), 1)
      this.result.seen += consumer.counters.seen
      this.result.early += consumer.counters.early
    }
    const process: Process = { name, consumer, kill: leave, cut: () => connection.sever() }
    this.#processes.push(process)
    this.result.joins++
    consumer.start()
  }

  async #stop(): Promise<void> {
    for (const process of [...this.#processes]) {
      await process.consumer.stop()
      process.kill()
    }
  }

  #checkAck(part: number, message: Message): void {
    if (message.stream !== STREAM) return
    const stored = this.#store.highest.get(`${STREAM}/${part}`) ?? 0
    if (message.pseq <= stored) return
    const sought = this.#sought.get(part)
    if (sought !== undefined && message.pseq > sought.pseq && this.#time.now - sought.at < TIMES.seekMs * 2) return
    this.#failure ??= `event ${part}/${message.pseq} was acked, stored are ${stored}, and nobody was asked for it`
  }

  #isComplete(): boolean {
    return this.#node.logs.every((log, part) => this.#store.cursor(STREAM, part) >= log.length) && this.#letters() >= this.result.unreadable
  }

  /** Messages that are no events, among the dead letters; the same one may be there twice. */
  #letters(): number {
    const copies = this.#broker.deadLetters.filter(({ headers }) => headers.code === 'envelope').length
    // What a wipe took away leaves no copy.
    return this.result.wipes > 0 ? Infinity : copies
  }

  #missing(): string {
    const parts = this.#node.logs.map((log, part) => `${this.#store.cursor(STREAM, part)}/${log.length}`)
    return `stored of each part: ${parts.join(' ')}; ${this.#letters()} of ${this.result.unreadable} dead letters`
  }

  #compare(): void {
    for (const [part, log] of this.#node.logs.entries()) {
      const rows = this.#store.rows(STREAM, part)
      for (const [i, row] of rows.entries()) {
        if (row.pseq !== i + 1) this.#fail(`part ${part}: row ${i + 1} is event ${row.pseq}`)
        const sent = log[i]
        if (row.payload !== sent.body.toString('utf8')) this.#fail(`part ${part}: event ${row.pseq} is not what was sent`)
        const isPlanted = isPoison({ payload: sent.body }) || !sent.body.toString('latin1').startsWith('{')
        if (isPlanted !== (row.dead !== null)) this.#fail(`part ${part}: event ${row.pseq} is ${row.dead === null ? 'not ' : ''}dead`)
        if (row.dead !== null) this.result.dead++
      }
      if (rows.length !== log.length) this.#fail(`part ${part}: ${rows.length} rows of ${log.length} events`)
    }
  }

  #say(line: string): void {
    this.#lines.push(`${(this.#time.now / 1000).toFixed(3)} ${line}`)
    if (line.includes('handed over')) this.result.handedOver++
  }

  #fail(why: string): never {
    throw new ConsumerStormError(`seed ${this.#seed}: ${why}\n${this.#lines.slice(-30).join('\n')}`)
  }
}

/** A node: events come into its log, and go to the broker from the oldest that is not safe there, again and again. */
class SimNode {
  readonly logs: Message[][] = Array.from({ length: PARTS_USED }, () => [])
  isSelling = true
  readonly #time: SimTime
  readonly #random: Random
  readonly #connection
  #channel: PublishChannel | null = null
  /** By part: what is published next, what the broker has, what is stored. */
  readonly #next = Array.from({ length: PARTS_USED }, () => 1)
  readonly #stored = Array.from({ length: PARTS_USED }, () => 0)
  readonly #progressAt = Array.from({ length: PARTS_USED }, () => 0)
  /** Unacked publishes of this channel, by tag. */
  readonly #unacked = new Map<number, { part: number; pseq: number }>()

  constructor(time: SimTime, random: Random, broker: SimBroker) {
    this.#time = time
    this.#random = random
    this.#connection = broker.connect()
  }

  start(): void {
    this.#connection.publisher(
      STREAM,
      {
        onReady: (channel) => {
          this.#channel = channel
          this.#publish()
        },
        onAcked: (tag, isMultiple) => {
          for (const other of this.#unacked.keys()) if (other === tag || (isMultiple && other < tag)) this.#unacked.delete(other)
          this.#publish()
        },
        onRefused: (tag) => this.#rewind(tag),
        onUnroutable: () => {},
        onDrained: () => this.#publish(),
        onLost: () => {
          this.#channel = null
          for (const { part, pseq } of this.#unacked.values()) this.#next[part] = Math.min(this.#next[part], pseq)
          this.#unacked.clear()
        },
      },
      (feedback) => this.#onFeedback(feedback),
    )
    this.#sell()
    this.#watch()
  }

  cut(): void {
    this.#connection.sever()
  }

  /** Publishes again what it has published, as after a restart with an older checkpoint. */
  stutter(): void {
    const part = this.#random.below(PARTS_USED)
    this.#next[part] = Math.max(this.#stored[part] + 1, this.#next[part] - this.#random.below(40))
    this.#publish()
  }

  #sell(): void {
    if (this.isSelling) {
      for (let n = this.#random.below(20); n > 0; n--) {
        const part = this.#random.below(PARTS_USED)
        const log = this.logs[part]
        log.push(eventOf(part, log.length + 1, this.#time.now, this.#random))
      }
      this.#publish()
    }
    this.#time.after(this.#random.below(400), () => this.#sell())
  }

  #publish(): void {
    const channel = this.#channel
    if (channel === null) return
    for (let part = 0; part < PARTS_USED; part++) {
      while (this.#next[part] <= this.logs[part].length && this.#unacked.size < 200) {
        const pseq = this.#next[part]++
        this.#unacked.set(channel.publish(this.logs[part][pseq - 1]), { part, pseq })
      }
    }
  }

  #rewind(tag: number): void {
    const refused = this.#unacked.get(tag)
    this.#unacked.delete(tag)
    if (refused === undefined) return
    this.#next[refused.part] = Math.min(this.#next[refused.part], refused.pseq)
    this.#time.after(100, () => this.#publish())
  }

  #onFeedback(feedback: Feedback): void {
    if (feedback.kind === 'seek') {
      if (feedback.part >= PARTS_USED) return
      this.#next[feedback.part] = Math.min(this.#next[feedback.part], feedback.pseq + 1)
      return this.#publish()
    }
    for (const { part, pseq } of feedback.cursors) {
      if (part >= PARTS_USED || pseq === this.#stored[part]) continue
      this.#stored[part] = pseq
      this.#progressAt[part] = this.#time.now
    }
  }

  /** Nothing is stored for half a minute although there is something: it is published again, whatever became of it. */
  #watch(): void {
    for (let part = 0; part < PARTS_USED; part++) {
      const isBehind = this.#stored[part] < this.logs[part].length && this.#next[part] > this.logs[part].length
      if (!isBehind || this.#time.now - this.#progressAt[part] < 30_000) continue
      this.#next[part] = this.#stored[part] + 1
      this.#progressAt[part] = this.#time.now
      this.#publish()
    }
    this.#time.after(1_000, () => this.#watch())
  }
}

function eventOf(part: number, pseq: number, now: number, random: Random): Message {
  const kind = random.below(100)
  const balance = { sku: kind === 0 ? 'poison' : 'book', generation: 1, total: 5, available: 0, reserved: 5, sold: 0, change: {} }
  const body = {
    ...{
      schema: 1,
      id: `${STREAM}-${pseq * PARTS_USED + part}`,
      type: 'stock.soldout',
      time: now,
      order: null,
      buyer: null,
      shard: part * 64,
    },
    ...{ version: pseq, state: null, deadline: 0, ref: null, reason: null, late: false, items: [], stock: [balance], sellable: 0 },
  }
  const text = kind === 1 ? 'no json at all' : JSON.stringify(body)
  return { stream: STREAM, part, pseq, oldest: 1, type: 'stock.soldout', time: 1_700_000_000_000 + now, body: Buffer.from(text) }
}

/** The mistake of automatic acks: a delivery is done when it is here. */
function ackingAtOnce(broker: Broker): Broker {
  return {
    name: broker.name,
    publisher: (stream, events, onFeedback) => broker.publisher(stream, events, onFeedback),
    consumer(events) {
      let channel: ConsumeChannel | null = null
      broker.consumer({
        onReady(ready) {
          channel = ready
          events.onReady(ready)
        },
        onDelivery(delivery) {
          channel?.ack(delivery.part, delivery.tag)
          events.onDelivery(delivery)
        },
        onCancelled: (part) => events.onCancelled(part),
        onLost: (reason) => events.onLost(reason),
      })
    },
    examine: () => broker.examine(),
    depths: () => broker.depths(),
    close: () => broker.close(),
  }
}

/** The mistake of going on after an error that nobody knows. */
function skippingUnknown(store: ReturnType<SimStore['connect']>): ReturnType<SimStore['connect']> {
  return {
    ...store,
    async apply(batch: EventBatch) {
      try {
        return await store.apply(batch)
      } catch (error) {
        if (!(error instanceof StoreError) || error.kind !== 'unknown') throw error
        const cursor = batch.events[batch.events.length - 1].pseq
        return { cursor, stored: batch.events.length, seen: 0, early: 0, conflict: null, marks: [] }
      }
    },
  }
}
