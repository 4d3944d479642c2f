// The consuming side of a connection: a channel for each subscribed part, so that acks and failures of parts have nothing to do with each
// other, one channel for feedback, and one with confirms for the dead letters.
//
// Tags of a part go on counting when it is subscribed again: an ack that comes late, for a delivery of the channel before, acks nothing.

import type { ConsumeChannel, ConsumeEvents, Feedback } from '../broker.ts'
import { readMessage, writeFeedback } from '../envelope.ts'
import { BROKER_PARTS, type Topology } from '../topology.ts'
import { declareTopology, queueDepths } from './declare.ts'
import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from './link.ts'
import { codeOf } from './words.ts'

const NOT_FOUND = 404

export interface ConsumingOptions {
  readonly model: ChannelModel
  readonly topology: Topology
  readonly events: ConsumeEvents
  /** Unacked deliveries of a part. */
  readonly prefetch: number
  /** Ends the connection; another one follows. */
  readonly drop: (error: unknown) => void
  /** The broker's error in words. */
  readonly inWords: (error: unknown) => Error
}

interface Subscription {
  readonly channel: Channel
  readonly consumerTag: string
  /** What this channel's tags begin after. */
  readonly base: number
  /** Tags: the last one that was delivered, and up to which all are acked or given back. */
  delivered: number
  settled: number
  isCancelled: boolean
  isOpen: boolean
}

export class Consuming implements ConsumeChannel {
  readonly #options: ConsumingOptions
  readonly #feedback: Channel
  #dead: Promise<ConfirmChannel> | null = null
  readonly #subscriptions: (Subscription | null)[] = Array.from({ length: BROKER_PARTS }, () => null)
  readonly #lastTags = new Float64Array(BROKER_PARTS)
  #consumers = 0

  /** Sets everything up; the last thing that happens is `events.onReady`. */
  static async open(options: ConsumingOptions): Promise<Consuming> {
    await declareTopology(options.model, options.topology)
    const feedback = await options.model.createChannel()
    feedback.on('error', options.drop)
    feedback.on('close', () => options.drop(new Error('the feedback channel was closed')))
    const consuming = new Consuming(options, feedback)
    options.events.onReady(consuming)
    return consuming
  }

  private constructor(options: ConsumingOptions, feedback: Channel) {
    this.#options = options
    this.#feedback = feedback
  }

  async subscribe(part: number): Promise<void> {
    try {
      await this.#endSubscription(part)
      try {
        await this.#begin(part)
      } catch (error) {
        if (codeOf(error) !== NOT_FOUND) throw error
        await declareTopology(this.#options.model, this.#options.topology)
        await this.#begin(part)
      }
    } catch (error) {
      throw this.#options.inWords(error)
    }
  }

  async unsubscribe(part: number): Promise<void> {
    const subscription = this.#subscriptions[part]
    if (subscription === null || subscription.isCancelled) return
    subscription.isCancelled = true
    try {
      await subscription.channel.cancel(subscription.consumerTag)
      await this.#closeIfSettled(part, subscription)
    } catch {
      // The channel closed meanwhile, and with it the subscription.
    }
  }

  ack(part: number, tag: number): void {
    this.#settle(part, tag, (channel, message) => channel.ack(message, true))
  }

  requeue(part: number, tag: number): void {
    this.#settle(part, tag, (channel, message) => channel.nack(message, true, true))
  }

  async deadLetter({ payload, headers }: Parameters<ConsumeChannel['deadLetter']>[0]): Promise<void> {
    try {
      this.#dead ??= this.#openDead()
      const channel = await this.#dead
      await new Promise<void>((resolve, reject) => {
        channel.publish(this.#options.topology.deadExchange, '', payload, { persistent: true, headers }, (error: Error | null) => {
          if (error === null) resolve()
          else reject(error)
        })
      })
    } catch (error) {
      throw this.#options.inWords(error)
    }
  }

  feedback(feedback: Feedback): void {
    try {
      this.#feedback.publish(this.#options.topology.control, feedback.stream, writeFeedback(feedback), {
        contentType: 'application/json',
        type: feedback.kind,
      })
    } catch {
      // The channel is closed: onLost follows, and feedback is said again each second.
    }
  }

  async depths(): Promise<readonly number[]> {
    try {
      return await queueDepths(this.#options.model, this.#options.topology)
    } catch (error) {
      throw this.#options.inWords(error)
    }
  }

  async close(): Promise<void> {
    for (let part = 0; part < BROKER_PARTS; part++) await this.#endSubscription(part)
  }

  async #begin(part: number): Promise<void> {
    const { model, topology, prefetch, events } = this.#options
    const channel = await model.createChannel()
    const consumerTag = `${topology.prefix}.${part}.${++this.#consumers}`
    const subscription: Subscription = {
      channel,
      consumerTag,
      base: this.#lastTags[part],
      delivered: this.#lastTags[part],
      settled: this.#lastTags[part],
      isCancelled: false,
      isOpen: true,
    }
    const isOurs = (): boolean => this.#subscriptions[part] === subscription
    channel.on('error', () => {}) // `close` follows.
    channel.on('close', () => {
      subscription.isOpen = false
      const wasWanted = isOurs() && !subscription.isCancelled
      if (isOurs()) this.#subscriptions[part] = null
      if (wasWanted) events.onCancelled(part)
    })
    await channel.prefetch(prefetch)
    this.#subscriptions[part] = subscription
    try {
      await channel.consume(
        topology.queues[part],
        (delivery) => {
          if (!isOurs()) return
          if (delivery === null) this.#onCancelledByBroker(part, subscription)
          else this.#onDelivery(part, subscription, delivery)
        },
        { consumerTag },
      )
    } catch (error) {
      // `close` came first and found a subscription that nobody has been told of.
      if (isOurs()) this.#subscriptions[part] = null
      throw error
    }
  }

  #onDelivery(part: number, subscription: Subscription, { fields, properties, content }: ConsumeMessage): void {
    const tag = subscription.base + fields.deliveryTag
    subscription.delivered = tag
    this.#lastTags[part] = tag
    const message = readMessage(properties as unknown as Record<string, unknown>, content)
    this.#options.events.onDelivery({
      part,
      tag,
      redelivered: fields.redelivered,
      // An event in the wrong queue is nobody's.
      message: message !== null && message.part === part ? message : null,
      raw: { content, properties: properties as unknown as Record<string, unknown> },
    })
  }

  #onCancelledByBroker(part: number, subscription: Subscription): void {
    subscription.isCancelled = true
    this.#subscriptions[part] = null
    subscription.channel.close().catch(() => {}) // It closed by itself meanwhile.
    this.#options.events.onCancelled(part)
  }

  #settle(part: number, tag: number, tell: (channel: Channel, message: ConsumeMessage) => void): void {
    const subscription = this.#subscriptions[part]
    if (subscription === null || !subscription.isOpen) return
    const upTo = Math.min(tag, subscription.delivered)
    if (upTo <= subscription.settled) return
    subscription.settled = upTo
    try {
      // amqplib asks for the message and uses only its tag.
      tell(subscription.channel, { fields: { deliveryTag: upTo - subscription.base } } as ConsumeMessage)
    } catch {
      return // The channel is closing; what it held goes back to the queue.
    }
    if (subscription.isCancelled) void this.#closeIfSettled(part, subscription)
  }

  /** Closing a channel gives back what it holds, so one that was unsubscribed stays until everything of it is acked or given back. */
  async #closeIfSettled(part: number, subscription: Subscription): Promise<void> {
    if (subscription.settled < subscription.delivered || this.#subscriptions[part] !== subscription) return
    this.#subscriptions[part] = null
    await subscription.channel.close().catch(() => {}) // It closed by itself meanwhile.
  }

  async #endSubscription(part: number): Promise<void> {
    const subscription = this.#subscriptions[part]
    if (subscription === null) return
    subscription.isCancelled = true
    this.#subscriptions[part] = null
    await subscription.channel.close().catch(() => {}) // It closed by itself meanwhile.
  }

  async #openDead(): Promise<ConfirmChannel> {
    const forget = (): void => {
      this.#dead = null
    }
    try {
      const channel = await this.#options.model.createConfirmChannel()
      channel.on('error', forget)
      channel.on('close', forget)
      return channel
    } catch (error) {
      forget()
      throw error
    }
  }
}
