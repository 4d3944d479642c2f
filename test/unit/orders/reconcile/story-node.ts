// A node for tests of comparing: it knows what a story's own books say, tells the story's events, and may sell on whenever it is asked.

import type {
  NodeEvent,
  NodeFacts,
  NodeOrder,
  NodeOrderHead,
  NodeSku,
  NodeStatus,
  NodeView,
} from '../../../../src/orders/reconcile/node-view.ts'
import { PARTS } from '../../../../src/engine/outbox.ts'
import type { OrderStory, TellOrder } from '../../../support/order-story.ts'

const HOUR_MS = 3_600_000

export class StoryNode implements NodeView {
  readonly name = 'node:7379'
  readonly story: OrderStory
  /** Called before each answer: here the shop sells on. */
  onAsked: () => void = () => {}
  /** Orders that it has forgotten. */
  readonly forgotten = new Set<string>()
  readonly seeks: [part: number, pseq: number][] = []
  retentionMs = HOUR_MS
  /** Events before this one are not in its log any more. */
  oldest = 0
  now = 0

  constructor(story: OrderStory) {
    this.story = story
  }

  async status(): Promise<NodeStatus> {
    this.onAsked()
    const last = Array.from({ length: PARTS }, () => 0)
    for (const { part, pseq } of this.story.events) last[part] = pseq
    return {
      stream: this.story.stream,
      ...{ sink: 'amqp', state: 'connected', isConnected: true },
      ...{ last, published: last, acked: last, stored: last },
      ...{ lastLsn: this.story.events.length, lagMs: 0, backlogBytes: 0, backlogBytesMax: 1 },
    }
  }

  async facts(): Promise<NodeFacts> {
    return { version: '0', runId: 'story', now: this.now, returnWindowMs: this.retentionMs, orderRetentionMs: this.retentionMs }
  }

  async scan(cursor: string): Promise<{ next: string; orders: NodeOrderHead[] }> {
    this.onAsked()
    const from = Number(cursor)
    const known = this.story.orders.slice(from, from + 7)
    const next = from + 7 < this.story.orders.length ? String(from + 7) : '0'
    const orders = known.filter(({ id }) => !this.forgotten.has(id)).map(({ id, state, version }) => ({ id, state, version }))
    return { next, orders }
  }

  async orders(ids: readonly string[]): Promise<(NodeOrder | null)[]> {
    this.onAsked()
    return ids.map((id) => {
      const order = this.story.orders.find((one) => one.id === id)
      return order === undefined || this.forgotten.has(id) ? null : orderOf(order)
    })
  }

  async scanSkus(): Promise<{ next: string; skus: string[] }> {
    return { next: '0', skus: this.story.skus.map(({ name }) => name) }
  }

  async skus(names: readonly string[]): Promise<(NodeSku | null)[]> {
    this.onAsked()
    return names.map((name) => {
      const sku = this.story.skus.find((one) => one.name === name)
      if (sku === undefined) return null
      const { total, available, reserved, sold } = sku
      // The story counts only what is done to the SKU itself: events about it are what a node counts.
      const version = this.story.events.filter(({ body }) => body.stock.some((balance) => balance.sku === name)).length
      return { sku: name, total, available, reserved, sold, version }
    })
  }

  async events(from: string, count: number): Promise<NodeEvent[]> {
    const after = /^\(\d+-(\d+)$/.exec(from)
    const ms = /^\d+$/.test(from) ? Number(from) : 0
    const begin = after === null ? this.story.events.findIndex(({ body }) => body.time >= ms) : Number(after[1])
    return this.story.events
      .slice(Math.max(begin, this.oldest), Math.max(begin, this.oldest) + count)
      .map(({ part, pseq, payload, body }) => ({
        entry: `${body.time}-${this.story.events.findIndex((event) => event.part === part && event.pseq === pseq) + 1}`,
        ...{ part, pseq, payload },
      }))
  }

  async seek(part: number, pseq: number): Promise<void> {
    this.seeks.push([part, pseq])
  }
}

function orderOf({ id, state, version, createdAt, buyer, ref, items }: Readonly<TellOrder>): NodeOrder {
  return {
    ...{ id, state, version, buyer, ref, created: createdAt },
    items: items.map(({ sku, reserved, sold, released, returned }) => ({ sku: sku.name, reserved, sold, released, returned })),
  }
}
