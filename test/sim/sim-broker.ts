// RabbitMQ as publisher and consumers see it, in memory and in simulated time: durable queues with one active consumer each, confirms,
// prefetch, redelivery, refusals, lost connections and crashes, from a seed.
//
// As strict as the real one and no stricter: what was not confirmed before a crash may be there or not, what was not acked comes again,
// and of two consumers the second may get later messages before the first has given back earlier ones.

import type { Random } from '../../src/base/random.ts'
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
import type { SimTime } from './sim-time.ts'

export const SIM_PARTS = 16

export interface SimBrokerOptions {
  /** Unacked deliveries of each part that a consumer gets at most. */
  readonly prefetch?: number
  /** Of published messages: how often one is refused (nack). */
  readonly refusals?: number
  /** Of acks: how often one comes late, after those of later messages. */
  readonly lateAcks?: number
  /** Messages that the queue of a part takes. */
  readonly queueMax?: number
}

/** A message in a queue; null: its envelope cannot be read. */
interface Queued {
  /** Place in its queue: what is given back goes where it was. */
  readonly nth: number
  readonly message: Message | null
  readonly content: Buffer
  wasDelivered: boolean
}

class Queue {
  ready: Queued[] = []
  /** The first is active. */
  readonly subscribers: Subscription[] = []

  add(queued: Queued): void {
    if (this.ready.length === 0 || this.ready[this.ready.length - 1].nth < queued.nth) this.ready.push(queued)
    else {
      this.ready.push(queued)
      this.ready.sort((a, b) => a.nth - b.nth)
    }
  }
}

interface Subscription {
  readonly part: number
  readonly deliver: (queued: Queued, tag: number) => void
  unacked: { readonly queued: Queued; readonly tag: number }[]
  isCancelled: boolean
}

export class SimBroker {
  readonly #time: SimTime
  readonly #random: Random
  readonly #options: Required<SimBrokerOptions>
  readonly #queues = Array.from({ length: SIM_PARTS }, () => new Queue())
  readonly #connections = new Set<Connection>()
  #nth = 0
  isUp = true
  /** A part whose queue is missing, until somebody connects again. */
  missing: number | null = null
  #isBlocked = false
  /** Copies for people. */
  readonly deadLetters: { readonly payload: Buffer; readonly headers: Readonly<Record<string, string | number>> }[] = []
  /** Looks at each message that comes into a queue from a publisher. */
  onEnqueue: (message: Message) => void = () => {}
  /** Looks at each message that a consumer acks. */
  onAck: (part: number, message: Message) => void = () => {}
  /** Hears what consumers tell nodes. */
  onFeedback: (feedback: Feedback) => void = () => {}
  delivered = 0
  redelivered = 0

  constructor(time: SimTime, random: Random, options: SimBrokerOptions = {}) {
    this.#time = time
    this.#random = random
    this.#options = { prefetch: 100, refusals: 0, lateAcks: 0, queueMax: Infinity, ...options }
  }

  /** The broker as one process has it, until `isAlive` says no; then call `sever`. */
  connect(isAlive: () => boolean = () => true): SimConnection {
    return new SimConnection(this, isAlive)
  }

  /** All connections are lost, and new ones refused until `start`. */
  stop(): void {
    this.isUp = false
    for (const connection of this.#connections) connection.lose('the broker is down')
  }

  start(): void {
    this.isUp = true
  }

  /** Its data directory is new. */
  wipe(): void {
    for (const queue of this.#queues) queue.ready = []
  }

  /** Low on memory: publishers wait. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  set isBlocked(isBlocked: boolean) {
    this.#isBlocked = isBlocked
    if (!isBlocked) for (const connection of this.#connections) connection.onUnblocked()
  }

  /** Connections are lost one by one, as by a bad cable. */
  cut(): void {
    const [connection] = [...this.#connections].filter(() => this.#random.chance(0.5))
    connection?.lose('cut off')
  }

  depth(part: number): number {
    const queue = this.#queues[part]
    return queue.ready.length + queue.subscribers.reduce((sum, { unacked }) => sum + unacked.length, 0)
  }

  /** Straight into a queue, as somebody else might. */
  inject(part: number, content: Buffer, message: Message | null): void {
    this.#queues[part].add({ nth: ++this.#nth, message, content, wasDelivered: false })
    this.pump(part)
  }

  // For connections

  get time(): SimTime {
    return this.#time
  }

  get random(): Random {
    return this.#random
  }

  get lateAcks(): number {
    return this.#options.lateAcks
  }

  refuses(part: number): boolean {
    return this.#random.chance(this.#options.refusals) || this.#queues[part].ready.length >= this.#options.queueMax
  }

  add(connection: Connection): void {
    this.#connections.add(connection)
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection)
  }

  enqueue(message: Message): void {
    this.onEnqueue(message)
    this.inject(message.part, message.body, message)
  }

  subscribe(subscription: Subscription): void {
    this.#queues[subscription.part].subscribers.push(subscription)
    this.pump(subscription.part)
  }

  /** The next in line is active at once, whatever this one still holds. */
  unsubscribe(subscription: Subscription): void {
    const { subscribers } = this.#queues[subscription.part]
    const at = subscribers.indexOf(subscription)
    if (at >= 0) subscribers.splice(at, 1)
    subscription.isCancelled = true
    this.pump(subscription.part)
  }

  /** Its connection has ended: what it held is there again before the next is active. */
  giveBack(subscription: Subscription): void {
    for (const { queued } of subscription.unacked.splice(0)) this.#queues[subscription.part].add(queued)
    this.unsubscribe(subscription)
  }

  settle(subscription: Subscription, tag: number, how: 'ack' | 'requeue'): void {
    const settled = subscription.unacked.filter((entry) => entry.tag <= tag)
    subscription.unacked = subscription.unacked.filter((entry) => entry.tag > tag)
    for (const { queued } of settled) {
      if (how === 'requeue') this.#queues[subscription.part].add(queued)
      else if (queued.message !== null) this.onAck(subscription.part, queued.message)
    }
    this.pump(subscription.part)
  }

  /** Feedback goes to who publishes this stream now, and is gone if nobody does. */
  route(feedback: Feedback): void {
    this.onFeedback(feedback)
    this.#time.after(1 + this.#random.below(5), () => {
      for (const connection of this.#connections) connection.onFeedback(feedback)
    })
  }

  pump(part: number): void {
    const { ready, subscribers } = this.#queues[part]
    if (!this.isUp || subscribers.length === 0) return
    const [active] = subscribers
    while (ready.length > 0 && active.unacked.length < this.#options.prefetch) {
      const queued = ready.shift() as Queued
      const tag = ++this.delivered
      if (queued.wasDelivered) this.redelivered++
      active.unacked.push({ queued, tag })
      active.deliver(queued, tag)
      queued.wasDelivered = true
    }
  }
}

/** One process's broker. */
export class SimConnection implements Broker {
  readonly name = 'sim'
  readonly #broker: SimBroker
  readonly #isAlive: () => boolean
  readonly #connections: Connection[] = []
  #isClosed = false

  constructor(broker: SimBroker, isAlive: () => boolean) {
    this.#broker = broker
    this.#isAlive = isAlive
  }

  publisher(stream: string, events: PublishEvents, onFeedback: (feedback: Feedback) => void): void {
    this.#keep(
      (reason) => events.onLost(reason),
      (connection) => {
        connection.onFeedback = (feedback) => feedback.stream === stream && this.#isAlive() && onFeedback(feedback)
        connection.onUnblocked = () => this.#isAlive() && events.onDrained()
        this.#broker.missing = null
        events.onReady(new Publishing(this.#broker, connection, events))
      },
    )
  }

  consumer(events: ConsumeEvents): void {
    this.#keep(
      (reason) => events.onLost(reason),
      (connection) => events.onReady(new Consuming(this.#broker, connection, events)),
    )
  }

  examine(): Promise<readonly never[]> {
    return Promise.resolve([])
  }

  depths(): Promise<readonly number[]> {
    return Promise.resolve(Array.from({ length: SIM_PARTS }, (_, part) => this.#broker.depth(part)))
  }

  /** The process was killed, or its cable cut: nobody is told, and what it held comes again. */
  sever(): void {
    for (const connection of [...this.#connections]) connection.lose('cut off')
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.sever()
    return Promise.resolve()
  }

  #keep(onLost: (reason: string) => void, onReady: (connection: Connection) => void): void {
    const attempt = (): void => {
      if (this.#isClosed || !this.#isAlive()) return
      if (!this.#broker.isUp) {
        onLost('the broker is down')
        this.#broker.time.after(100 + this.#broker.random.below(900), attempt)
        return
      }
      const connection = new Connection(
        this.#broker,
        (reason) => {
          this.#connections.splice(this.#connections.indexOf(connection), 1)
          if (this.#isClosed || !this.#isAlive()) return
          onLost(reason)
          this.#broker.time.after(50 + this.#broker.random.below(500), attempt)
        },
        this.#isAlive,
      )
      this.#connections.push(connection)
      onReady(connection)
    }
    this.#broker.time.after(1 + this.#broker.random.below(20), attempt)
  }
}

/** From its beginning to its loss. */
class Connection {
  readonly #broker: SimBroker
  readonly #onLost: (reason: string) => void
  readonly #isAlive: () => boolean
  readonly #inOrder: { at: number } = { at: 0 }
  isLost = false
  onFeedback: (feedback: Feedback) => void = () => {}
  onUnblocked: () => void = () => {}
  /** What goes with it. */
  readonly cleanups: (() => void)[] = []

  constructor(broker: SimBroker, onLost: (reason: string) => void, isAlive: () => boolean) {
    this.#broker = broker
    this.#onLost = onLost
    this.#isAlive = isAlive
    broker.add(this)
  }

  lose(reason: string): void {
    if (this.isLost) return
    this.isLost = true
    this.#broker.remove(this)
    for (const cleanup of this.cleanups) cleanup()
    this.#onLost(reason)
  }

  /** Over the wire: later, in order, and not at all if the connection is lost meanwhile. */
  send(run: () => void, ifLost: () => void = () => {}): void {
    const { time, random } = this.#broker
    this.#inOrder.at = Math.max(this.#inOrder.at, time.now + (random.chance(0.05) ? random.below(50) : 1))
    time.after(this.#inOrder.at - time.now, () => (this.isLost || !this.#isAlive() ? ifLost() : run()))
  }
}

class Publishing implements PublishChannel {
  readonly #broker: SimBroker
  readonly #connection: Connection
  readonly #events: PublishEvents
  #tags = 0

  constructor(broker: SimBroker, connection: Connection, events: PublishEvents) {
    this.#broker = broker
    this.#connection = connection
    this.#events = events
  }

  get isWritable(): boolean {
    return !this.#broker.isBlocked
  }

  publish(message: Message): number {
    const tag = ++this.#tags
    const { random } = this.#broker
    // What was on its way when the connection was lost may have arrived.
    this.#connection.send(
      () => this.#arrive(message, tag),
      () => random.chance(0.3) && this.#broker.isUp && this.#broker.missing !== message.part && this.#broker.enqueue(message),
    )
    return tag
  }

  #arrive(message: Message, tag: number): void {
    const { random, time } = this.#broker
    if (this.#broker.missing === message.part) {
      const { stream, part, pseq } = message
      this.#connection.send(() => this.#events.onUnroutable({ stream, part, pseq }))
      // Nobody has it, and so it is settled: that is how the real one counts.
      this.#connection.send(() => this.#events.onAcked(tag, false))
      time.after(random.below(50), () => this.#connection.lose('no queue takes it'))
      return
    }
    if (this.#broker.refuses(message.part)) {
      // Refused by one queue of several: the others, and this one too, may have it.
      if (random.chance(0.3)) this.#broker.enqueue(message)
      this.#connection.send(() => this.#events.onRefused(tag, false))
      return
    }
    this.#broker.enqueue(message)
    const ack = (multiple: boolean): void => this.#events.onAcked(tag, multiple)
    if (random.chance(this.#broker.lateAcks)) time.after(random.below(200), () => !this.#connection.isLost && ack(false))
    else this.#connection.send(() => ack(random.chance(0.5)))
  }

  close(): Promise<void> {
    this.#connection.lose('closed')
    return Promise.resolve()
  }
}

class Consuming implements ConsumeChannel {
  readonly #broker: SimBroker
  readonly #connection: Connection
  readonly #events: ConsumeEvents
  /** The present one of each part, and earlier ones that still hold messages. */
  readonly #subscriptions: Subscription[] = []

  constructor(broker: SimBroker, connection: Connection, events: ConsumeEvents) {
    this.#broker = broker
    this.#connection = connection
    this.#events = events
    connection.cleanups.push(() => {
      for (const subscription of this.#subscriptions.splice(0)) {
        // First what it held goes back, then the next is active, as when a connection ends.
        this.#broker.giveBack(subscription)
      }
    })
  }

  async subscribe(part: number): Promise<void> {
    await this.#roundTrip()
    const subscription: Subscription = {
      part,
      unacked: [],
      isCancelled: false,
      deliver: (queued, tag) => {
        const delivery: Delivery = {
          ...{ part, tag, redelivered: queued.wasDelivered, message: queued.message },
          raw: { content: queued.content, properties: {} },
        }
        this.#connection.send(() => this.#events.onDelivery(delivery))
      },
    }
    this.#subscriptions.push(subscription)
    this.#broker.subscribe(subscription)
  }

  async unsubscribe(part: number): Promise<void> {
    const subscription = this.#subscriptions.find((candidate) => candidate.part === part && !candidate.isCancelled)
    if (subscription !== undefined) this.#broker.unsubscribe(subscription)
    await this.#roundTrip()
  }

  ack(part: number, tag: number): void {
    this.#settle(part, tag, 'ack')
  }

  requeue(part: number, tag: number): void {
    this.#settle(part, tag, 'requeue')
  }

  async deadLetter(letter: Parameters<ConsumeChannel['deadLetter']>[0]): Promise<void> {
    await this.#roundTrip()
    this.#broker.deadLetters.push(letter)
  }

  feedback(feedback: Feedback): void {
    this.#connection.send(() => this.#broker.route(feedback))
  }

  depths(): Promise<readonly number[]> {
    return Promise.resolve(Array.from({ length: SIM_PARTS }, (_, part) => this.#broker.depth(part)))
  }

  close(): Promise<void> {
    this.#connection.lose('closed')
    return Promise.resolve()
  }

  #settle(part: number, tag: number, how: 'ack' | 'requeue'): void {
    this.#connection.send(() => {
      for (const subscription of this.#subscriptions) if (subscription.part === part) this.#broker.settle(subscription, tag, how)
    })
  }

  /** Rejects when the connection is lost meanwhile. */
  #roundTrip(): Promise<void> {
    return new Promise((resolve, reject) => this.#connection.send(resolve, () => reject(new Error('the connection is lost'))))
  }
}
