// A stand-in for a node: it has a story's events as its log, publishes them through a real broker, and publishes again what was refused,
// lost, asked for, or not stored for too long. So a test of the consumer needs no node, and can still wipe the broker.

import { AmqpBroker } from '../../../src/orders/broker/amqp-broker.ts'
import type { Feedback, Message, PublishChannel } from '../../../src/orders/broker/broker.ts'
import { DEFAULT_TOPOLOGY } from '../../../src/orders/broker/topology.ts'
import { SystemOrdersEnv } from '../../../src/orders/env.ts'
import { OrderStory, type StoryEvent, type StoryOptions } from '../../support/order-story.ts'

const PARTS = 16
const WINDOW = 2000

export interface StoryPublisherOptions {
  readonly url: string
  readonly prefix: string
  readonly story: StoryOptions
  /** Nothing stored for so long although there is something: publish again. */
  readonly stuckMs?: number
}

export class StoryPublisher {
  readonly story: OrderStory
  /** By part: the events, from pseq 1. */
  readonly logs: StoryEvent[][] = Array.from({ length: PARTS }, () => [])
  /** What consumers have said, by part. */
  readonly stored = Array.from({ length: PARTS }, () => 0)
  readonly seeks: Feedback[] = []
  readonly #broker: AmqpBroker
  readonly #stuckMs: number
  readonly #next = Array.from({ length: PARTS }, () => 1)
  readonly #progressAt = Array.from({ length: PARTS }, () => performance.now())
  readonly #unacked = new Map<number, { readonly part: number; readonly pseq: number }>()
  readonly #watch: NodeJS.Timeout
  #channel: PublishChannel | null = null
  #taken = 0

  constructor({ url, prefix, story, stuckMs = 3_000 }: StoryPublisherOptions) {
    this.story = new OrderStory(story)
    this.#stuckMs = stuckMs
    const env = new SystemOrdersEnv(() => {})
    this.#broker = new AmqpBroker({ urls: url, topology: { ...DEFAULT_TOPOLOGY, prefix }, tls: null, connectionName: 'story', env })
    this.#broker.publisher(
      this.story.stream,
      {
        onReady: (channel) => {
          this.#channel = channel
          this.#publish()
        },
        onAcked: (tag, isMultiple) => {
          for (const other of this.#unacked.keys()) {
            if (other > tag) break
            if (other === tag || isMultiple) this.#unacked.delete(other)
          }
          this.#publish()
        },
        onRefused: (tag, isMultiple) => {
          for (const other of this.#unacked.keys()) {
            if (other > tag) break
            if (other === tag || isMultiple) this.#rewind(other)
          }
          setTimeout(() => this.#publish(), 100)
        },
        onUnroutable: () => {},
        onDrained: () => this.#publish(),
        onLost: () => {
          this.#channel = null
          for (const tag of [...this.#unacked.keys()]) this.#rewind(tag)
        },
      },
      (feedback) => this.#onFeedback(feedback),
    )
    this.#watch = setInterval(() => void this.#publishWhatIsStuck(), 1000)
  }

  /** More happens in the shop: at least so many events. */
  tell(events: number): void {
    const { story } = this
    const until = story.events.length + events
    story.tell(until)
    for (; this.#taken < story.events.length; this.#taken++) {
      const event = story.events[this.#taken]
      this.logs[event.part].push(event)
    }
    this.#publish()
  }

  /** This event is sent as something else from now on. */
  spoil(part: number, pseq: number, payload: Buffer): void {
    const log = this.logs[part]
    log[pseq - 1] = { ...log[pseq - 1], payload }
  }

  /** Events that the broker has confirmed, of all. */
  get confirmed(): number {
    return this.#next.reduce((sum, next) => sum + next - 1, 0) - this.#unacked.size
  }

  get isStored(): boolean {
    return this.logs.every((log, part) => this.stored[part] >= log.length)
  }

  async close(): Promise<void> {
    clearInterval(this.#watch)
    await this.#broker.close()
  }

  #publish(): void {
    const channel = this.#channel
    if (channel === null) return
    for (let part = 0; part < PARTS; part++) {
      const log = this.logs[part]
      while (this.#next[part] <= log.length && this.#unacked.size < WINDOW && channel.isWritable) {
        const pseq = this.#next[part]++
        const { stream, body, payload } = log[pseq - 1]
        const message: Message = { stream, part, pseq, oldest: 1, type: body.type, time: body.time, body: payload }
        this.#unacked.set(channel.publish(message), { part, pseq })
      }
    }
  }

  #rewind(tag: number): void {
    const refused = this.#unacked.get(tag)
    this.#unacked.delete(tag)
    if (refused !== undefined) this.#next[refused.part] = Math.min(this.#next[refused.part], refused.pseq)
  }

  #onFeedback(feedback: Feedback): void {
    if (feedback.kind === 'seek') {
      this.seeks.push(feedback)
      this.#next[feedback.part] = Math.min(this.#next[feedback.part], feedback.pseq + 1)
      return this.#publish()
    }
    for (const { part, pseq } of feedback.cursors) {
      if (pseq === this.stored[part]) continue
      this.stored[part] = pseq
      this.#progressAt[part] = performance.now()
    }
  }

  /** Nothing is stored, and nothing waits in the queue: whatever became of it, it is published again. */
  async #publishWhatIsStuck(): Promise<void> {
    const now = performance.now()
    const stuck = this.logs.flatMap((log, part) => {
      const isBehind = this.stored[part] < log.length && this.#next[part] > log.length
      return isBehind && now - this.#progressAt[part] >= this.#stuckMs ? [part] : []
    })
    if (stuck.length === 0 || this.#channel === null) return
    const depths = await this.#broker.depths().catch(() => null)
    for (const part of stuck) {
      if (depths?.[part] !== 0 || this.stored[part] >= this.logs[part].length) continue
      this.#next[part] = this.stored[part] + 1
      this.#progressAt[part] = now
    }
    this.#publish()
  }
}
