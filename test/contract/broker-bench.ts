// What the contract of `Broker` is tried on: RabbitMQ or the simulated broker, each with its own way of waiting for something.

import { Random } from '../../src/base/random.ts'
import { AmqpBroker } from '../../src/orders/broker/amqp-broker.ts'
import type { AmqpBrokerOptions } from '../../src/orders/broker/amqp-broker.ts'
import type {
  Broker,
  ConsumeChannel,
  ConsumeEvents,
  Delivery,
  Feedback,
  Message,
  PublishChannel,
  PublishEvents,
} from '../../src/orders/broker/broker.ts'
import { DEFAULT_TOPOLOGY } from '../../src/orders/broker/topology.ts'
import type { OrdersEnv } from '../../src/orders/env.ts'
import { SimBroker } from '../sim/sim-broker.ts'
import { SimTime } from '../sim/sim-time.ts'
import { eventually } from '../support/eventually.ts'
import type { RabbitMq } from '../support/rabbitmq.ts'

export interface Bench {
  connect(): Broker
  /** Waits until it is so. */
  until(what: string, condition: () => boolean): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
}

/** Time runs `speed` times as fast for who waits by it. */
export function testEnv(said: string[] = [], speed = 1): OrdersEnv {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now() * speed,
    random: () => Math.random(),
    after(ms, run) {
      const timer = setTimeout(run, ms / speed)
      return () => clearTimeout(timer)
    },
    say(level, message, details) {
      said.push(`${level} ${message}${details === undefined ? '' : ` ${JSON.stringify(details)}`}`)
    },
  }
}

export function amqpBroker(urls: string, options: Partial<AmqpBrokerOptions> = {}): AmqpBroker {
  return new AmqpBroker({ urls, topology: DEFAULT_TOPOLOGY, tls: null, connectionName: 'test', env: testEnv(), ...options })
}

export class RabbitBench implements Bench {
  readonly #rabbit: RabbitMq
  readonly #prefix: string
  readonly #brokers: Broker[] = []

  constructor(rabbit: RabbitMq, prefix: string) {
    this.#rabbit = rabbit
    this.#prefix = prefix
  }

  connect(): Broker {
    const broker = amqpBroker(this.#rabbit.url, { topology: { ...DEFAULT_TOPOLOGY, prefix: this.#prefix } })
    this.#brokers.push(broker)
    return broker
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await eventually(what, condition, 30_000)
  }

  stop(): Promise<void> {
    return this.#rabbit.kill9()
  }

  start(): Promise<void> {
    return this.#rabbit.start()
  }

  async close(): Promise<void> {
    await Promise.all(this.#brokers.map((broker) => broker.close()))
  }
}

export class SimBench implements Bench {
  readonly #time = new SimTime()
  readonly #broker: SimBroker

  constructor(seed: number) {
    this.#broker = new SimBroker(this.#time, new Random(seed))
  }

  connect(): Broker {
    return this.#broker.connect()
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    if (!(await this.#time.run(600_000, condition))) throw new Error(`never: ${what}`)
  }

  stop(): Promise<void> {
    this.#broker.stop()
    return Promise.resolve()
  }

  start(): Promise<void> {
    this.#broker.start()
    return Promise.resolve()
  }
}

/** Writes down what a publisher hears. */
export class PublisherEar implements PublishEvents {
  channel: PublishChannel | null = null
  readonly acked = new Set<number>()
  readonly refused = new Set<number>()
  readonly unroutable: { stream: string; part: number; pseq: number }[] = []
  readonly lost: string[] = []
  readonly feedback: Feedback[] = []
  ready = 0
  drained = 0
  #lowest = 1

  listen(broker: Broker, stream: string): this {
    broker.publisher(stream, this, (feedback) => this.feedback.push(feedback))
    return this
  }

  /** The channel that there is now. */
  get open(): PublishChannel {
    if (this.channel === null) throw new Error('no channel')
    return this.channel
  }

  onReady(channel: PublishChannel): void {
    this.channel = channel
    this.ready++
    this.acked.clear()
    this.refused.clear()
    this.#lowest = 1
  }

  onAcked(tag: number, multiple: boolean): void {
    this.#mark(this.acked, tag, multiple)
  }

  onRefused(tag: number, multiple: boolean): void {
    this.#mark(this.refused, tag, multiple)
  }

  onUnroutable(message: { stream: string; part: number; pseq: number }): void {
    this.unroutable.push(message)
  }

  onDrained(): void {
    this.drained++
  }

  onLost(reason: string): void {
    this.channel = null
    this.lost.push(reason)
  }

  #mark(set: Set<number>, tag: number, multiple: boolean): void {
    for (let at = multiple ? this.#lowest : tag; at <= tag; at++) if (!this.acked.has(at) && !this.refused.has(at)) set.add(at)
    while (this.acked.has(this.#lowest) || this.refused.has(this.#lowest)) this.#lowest++
  }
}

/** Writes down what a consumer gets. */
export class ConsumerEar implements ConsumeEvents {
  channel: ConsumeChannel | null = null
  readonly deliveries: Delivery[] = []
  readonly cancelled: number[] = []
  readonly lost: string[] = []
  ready = 0

  listen(broker: Broker): this {
    broker.consumer(this)
    return this
  }

  get open(): ConsumeChannel {
    if (this.channel === null) throw new Error('no channel')
    return this.channel
  }

  pseqs(part: number): number[] {
    return this.deliveries.filter((delivery) => delivery.part === part).map((delivery) => delivery.message?.pseq ?? -1)
  }

  onReady(channel: ConsumeChannel): void {
    this.channel = channel
    this.ready++
  }

  onDelivery(delivery: Delivery): void {
    this.deliveries.push(delivery)
  }

  onCancelled(part: number): void {
    this.cancelled.push(part)
  }

  onLost(reason: string): void {
    this.channel = null
    this.lost.push(reason)
  }
}

export function message(part: number, pseq: number, fields: Partial<Message> = {}): Message {
  return {
    stream: 'n1_00c0ffee-1',
    part,
    pseq,
    oldest: 1,
    type: 'order.reserved',
    time: 1_700_000_000_123,
    body: Buffer.from(JSON.stringify({ part, pseq })),
    ...fields,
  }
}
