// The publishing side of a connection: one confirm channel for events, one channel on which consumers' feedback comes in.
//
// Topology is looked at when a connection begins and every half minute after: `mandatory` tells of a message that no queue took, but not
// of a part's queue that is gone while another service's queue took the event. What was missing is made again, and the publisher starts
// anew on another channel; it then finds the part's queue empty and publishes what is not stored.

import { Duplex } from 'node:stream'
import type { OrdersEnv } from '../../env.ts'
import type { Feedback, Message, PublishChannel, PublishEvents } from '../broker.ts'
import { envelopeOf, readFeedback } from '../envelope.ts'
import type { Topology } from '../topology.ts'
import { declareTopology } from './declare.ts'
import type { Channel, ChannelModel, ConfirmChannel, ReturnedMessage } from './link.ts'
import { PublishFrames } from './publish-frames.ts'

const TOPOLOGY_CHECK_MS = 30_000
/** Feedback that nobody reads (this process hangs) must not fill the broker. */
const FEEDBACK_MAX = 1_000

export interface PublishingOptions {
  readonly model: ChannelModel
  readonly topology: Topology
  readonly stream: string
  readonly env: OrdersEnv
  readonly events: PublishEvents
  readonly onFeedback: (feedback: Feedback) => void
  /** Ends the connection; another one follows. */
  readonly drop: (error: unknown) => void
  /** Publishes as amqplib does it. */
  readonly isByLibrary?: boolean
}

export class Publishing implements PublishChannel {
  readonly #options: PublishingOptions
  readonly #channel: ConfirmChannel
  readonly #frames: PublishFrames | null
  readonly #bcc: readonly string[][]
  readonly #exchange: string
  readonly #direct: DirectWay | null
  #isFlushDue = false
  #tag = 0
  #isOpen = true
  #isFull = false
  #isBlocked = false
  #cancelCheck: () => void = () => {}

  /** Sets everything up; the last thing that happens is `events.onReady`. */
  static async open(options: PublishingOptions): Promise<Publishing> {
    const { model, topology, env } = options
    const { made, unseen } = await declareTopology(model, topology)
    if (made.length > 0) env.say('notice', 'made what was missing at the broker', { made: made.join(' ') })
    if (unseen.length > 0)
      env.say('verbose', 'this user may not declare: the arguments of queues are taken on trust', { count: unseen.length })
    await hear(options)
    return new Publishing(options, await model.createConfirmChannel())
  }

  private constructor(options: PublishingOptions, channel: ConfirmChannel) {
    const { model, topology, events, drop } = options
    this.#options = options
    this.#channel = channel
    this.#exchange = topology.events
    this.#bcc = topology.partKeys.map((key) => [key])
    this.#direct = options.isByLibrary === true ? null : directWay(channel)
    const direct = this.#direct
    this.#frames = direct === null ? null : new PublishFrames({ ...direct, topology, write: (bytes) => direct.socket.write(bytes) })
    channel.on('ack', ({ deliveryTag, multiple }) => events.onAcked(deliveryTag, multiple))
    channel.on('nack', ({ deliveryTag, multiple }) => events.onRefused(deliveryTag, multiple))
    channel.on('return', (message: ReturnedMessage) => this.#onReturned(message))
    const onDrain = (): void => {
      this.#isFull = false
      if (this.isWritable) events.onDrained()
    }
    if (direct === null) channel.on('drain', onDrain)
    else direct.socket.on('drain', onDrain)
    channel.on('error', drop)
    channel.on('close', () => {
      this.#isOpen = false
      this.#cancelCheck()
      drop(new Error('the publishing channel was closed'))
    })
    model.on('blocked', (reason: string) => {
      this.#isBlocked = true
      options.env.say('warning', 'the broker takes no messages for now; they wait in the log', { reason })
    })
    model.on('unblocked', () => {
      this.#isBlocked = false
      options.env.say('notice', 'the broker takes messages again')
      if (this.isWritable) events.onDrained()
    })
    this.#checkLater()
    events.onReady(this)
  }

  get isWritable(): boolean {
    return this.#isOpen && !this.#isFull && !this.#isBlocked
  }

  publish(message: Message): number {
    // A channel that has just closed takes it in silence: nothing is acked any more, and onLost follows.
    if (this.#isOpen) {
      if (this.#frames === null) {
        const envelope = envelopeOf(message, this.#bcc[message.part])
        if (!this.#channel.publish(this.#exchange, message.type, message.body, envelope)) this.#isFull = true
      } else {
        this.#frames.add(message)
        if (!this.#isFlushDue) {
          this.#isFlushDue = true
          process.nextTick(this.#flush)
        }
      }
    }
    return ++this.#tag
  }

  async close(): Promise<void> {
    this.#cancelCheck()
    if (this.#isOpen) await this.#channel.close().catch(() => {}) // It closed by itself meanwhile.
  }

  /** All that one pass of the event loop has published leaves in one write. */
  readonly #flush = (): void => {
    this.#isFlushDue = false
    if (!this.#isOpen || this.#frames === null) return
    this.#frames.flush()
    if (this.#direct?.socket.writableNeedDrain === true) this.#isFull = true
  }

  #onReturned({ fields, properties }: ReturnedMessage): void {
    const { stream, part, pseq } = (properties.headers ?? {}) as { stream?: unknown; part?: unknown; pseq?: unknown }
    this.#options.events.onUnroutable({ stream: String(stream), part: Number(part), pseq: Number(pseq) })
    this.#options.drop(new Error(`no queue takes ${fields.routingKey} of part ${Number(part)}: a queue or its binding is missing`))
  }

  #checkLater(): void {
    this.#cancelCheck = this.#options.env.after(TOPOLOGY_CHECK_MS, () => {
      declareTopology(this.#options.model, this.#options.topology).then(
        ({ made }) => {
          if (!this.#isOpen) return
          if (made.length > 0) this.#options.drop(new Error(`${made.join(', ')} was missing, and is made again`))
          else this.#checkLater()
        },
        (error: unknown) => this.#options.drop(error),
      )
    })
  }
}

/** Where a channel's bytes go, past amqplib. */
interface DirectWay {
  readonly channel: number
  readonly frameMax: number
  readonly socket: Duplex
}

/** These three are not in amqplib's types. If a version has them no more, its own way is taken: slower, and the same on the wire. */
function directWay(channel: ConfirmChannel): DirectWay | null {
  const { ch, connection } = channel as unknown as { ch?: unknown; connection: { stream?: unknown; frameMax?: unknown } }
  const { stream, frameMax } = connection
  if (typeof ch !== 'number' || typeof frameMax !== 'number' || frameMax < 4096 || !(stream instanceof Duplex)) return null
  return { channel: ch, frameMax, socket: stream }
}

/** Feedback comes to a queue that lives as long as this connection. */
async function hear({ model, topology, stream, env, onFeedback, drop }: PublishingOptions): Promise<void> {
  const channel: Channel = await model.createChannel()
  channel.on('error', drop)
  const queue = topology.controlQueue(stream, Math.floor(env.random() * 2 ** 32).toString(16))
  await channel.assertQueue(queue, {
    exclusive: true,
    autoDelete: true,
    durable: false,
    arguments: { 'x-max-length': FEEDBACK_MAX },
  })
  await channel.bindQueue(queue, topology.control, stream)
  await channel.consume(
    queue,
    (delivery) => {
      if (delivery === null) return drop(new Error(`the queue ${queue} was deleted`))
      const feedback = readFeedback(delivery.content, stream)
      if (feedback !== null) onFeedback(feedback)
    },
    { noAck: true, exclusive: true },
  )
}
