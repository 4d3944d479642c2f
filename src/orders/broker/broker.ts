// The broker, as publisher and consumer see it: RabbitMQ by amqplib (amqp-broker.ts), or a simulated one in tests.
//
// A connection that is lost is found again by the broker's own means; the users of a channel learn of it by `onLost` and, when it is
// there again, by `onReady`, and start over from what they know to be true (the checkpoint, the cursor). Nothing is buffered here.

import type { EventType } from '../../engine/events/event.ts'

export interface Message {
  readonly stream: string
  readonly part: number
  readonly pseq: number
  readonly oldest: number
  readonly type: EventType
  readonly time: number
  readonly body: Buffer
}

/** A publishing channel with confirms. */
export interface PublishChannel {
  /** @returns the tag that `onAcked`/`onRefused` will name, ascending from 1 on each new channel */
  publish(message: Message): number
  /** False: wait for `onDrained` before publishing more (socket full, or the broker blocks publishers). */
  readonly isWritable: boolean
  close(): Promise<void>
}

export interface PublishEvents {
  /** A new channel: tags start again; publish from the checkpoint. */
  onReady(channel: PublishChannel): void
  /** Everything up to `tag` (or only `tag`) is safe with the broker. */
  onAcked(tag: number, multiple: boolean): void
  /** The broker refuses a message for now (nack: queue full). The publisher rewinds after a pause. */
  onRefused(tag: number, multiple: boolean): void
  /** No queue takes it: topology is missing. */
  onUnroutable(message: { stream: string; part: number; pseq: number }): void
  onDrained(): void
  /** Connection or channel lost, or cannot be had: why, in words with what to do. `onReady` follows when it is there again. */
  onLost(reason: string): void
}

/** What a consumer tells the node, through the broker: idempotent, may go down after a database was restored. */
export type Feedback =
  | { readonly kind: 'stored'; readonly stream: string; readonly cursors: readonly { readonly part: number; readonly pseq: number }[] }
  /** Please publish again from after `pseq`. */
  | { readonly kind: 'seek'; readonly stream: string; readonly part: number; readonly pseq: number }

export interface Delivery {
  readonly part: number
  readonly tag: number
  readonly redelivered: boolean
  /** Null: the envelope (headers, message id) cannot be read. */
  readonly message: Message | null
  readonly raw: { readonly content: Buffer; readonly properties: Readonly<Record<string, unknown>> }
}

export interface ConsumeEvents {
  /** Connected: nothing is subscribed yet. Tags of before mean nothing now. */
  onReady(channel: ConsumeChannel): void
  onDelivery(delivery: Delivery): void
  /** The broker ended the subscription of this part (queue deleted, another consumer took over). */
  onCancelled(part: number): void
  onLost(reason: string): void
}

export interface ConsumeChannel {
  /** Starts to receive (as the single active consumer, when it is our turn). Rejects with words. */
  subscribe(part: number): Promise<void>
  /** Ends it; unacked deliveries of the part go back when `requeue` is called for them. */
  unsubscribe(part: number): Promise<void>
  /** All deliveries of this part up to `tag`. Tags of different parts have nothing to do with each other. */
  ack(part: number, tag: number): void
  requeue(part: number, tag: number): void
  /** A copy for people: stock.dlq. Resolves when the broker has it. */
  deadLetter(delivery: { readonly payload: Buffer; readonly headers: Readonly<Record<string, string | number>> }): Promise<void>
  feedback(feedback: Feedback): void
  /** Messages ready in the queue of each part. */
  depths(): Promise<readonly number[]>
  close(): Promise<void>
}

export interface BrokerFinding {
  readonly level: 'ok' | 'warning' | 'error'
  readonly about: string
  readonly says: string
  readonly remedy: string | null
}

export interface Broker {
  /** Where it is, without secrets. */
  readonly name: string
  /** Keeps a publishing channel open until `close`. `onFeedback` gets what consumers say about `stream`. */
  publisher(stream: string, events: PublishEvents, onFeedback: (feedback: Feedback) => void): void
  /** Keeps a consuming channel open until `close`. */
  consumer(events: ConsumeEvents): void
  /** For doctor and reconcile: connects once. Never rejects. */
  examine(): Promise<readonly BrokerFinding[]>
  /** Messages in the queue of each part; rejects with words. */
  depths(): Promise<readonly number[]>
  close(): Promise<void>
}
