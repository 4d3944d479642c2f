// The exchanges and queues of the way, by name, and what a user needs to be allowed to use them.
//
//                           order.reserved            what other services bind, by event type
//   node ── stock.events ──────────────────> ...
//   (topic)      │ BCC part.07
//                └──────────────────────────> stock.orders.07 ──> consumer     one queue for each of 16 parts
//   consumer ── stock.control ──────────────> the node's own queue             stored watermarks and seeks, routed by stream
//   (direct)
//   anything dead ── stock.dlx ─────────────> stock.dlq                        for people
//   (fanout)
//
// One publish reaches every queue: the event's type is its routing key, and the BCC header (which the broker takes off) is a second one,
// for the part's queue. So one confirm says that all of them have it.
//
// The delivery limit is a number that is never reached, and not left out: RabbitMQ 4 would take 20, and 3.x takes -1 for 0. Being the
// same for all versions, it does not make the queue another one after an upgrade.

export const BROKER_PARTS = 16
const DELIVERIES_MAX = 1_000_000_000
const GIB = 2 ** 30

export interface TopologyOptions {
  /** What all names begin with. */
  readonly prefix: string
  /** Where the node publishes, if not `<prefix>.events`. */
  readonly exchange?: string
  /** Bytes of messages that a part's queue takes; more is refused and waits in the log. */
  readonly queueBytesMax: number
}

export const DEFAULT_TOPOLOGY: TopologyOptions = { prefix: 'stock', queueBytesMax: 2 * GIB }

export interface Permissions {
  readonly configure: string
  readonly write: string
  readonly read: string
}

export interface ExchangePlan {
  readonly kind: 'exchange'
  readonly name: string
  readonly type: 'topic' | 'direct' | 'fanout'
}

export interface QueuePlan {
  readonly kind: 'queue'
  readonly name: string
  readonly arguments: Readonly<Record<string, string | number | boolean>>
  readonly bindTo: { readonly exchange: string; readonly key: string }
}

export class Topology {
  readonly prefix: string
  readonly events: string
  readonly control: string
  readonly deadExchange: string
  readonly deadQueue: string
  /** By part. */
  readonly queues: readonly string[]
  /** By part: the routing key that the BCC header carries. */
  readonly partKeys: readonly string[]
  readonly #queueBytesMax: number

  constructor({ prefix, exchange, queueBytesMax }: TopologyOptions) {
    const numbers = Array.from({ length: BROKER_PARTS }, (_, part) => String(part).padStart(2, '0'))
    this.prefix = prefix
    this.events = exchange ?? `${prefix}.events`
    this.control = `${prefix}.control`
    this.deadExchange = `${prefix}.dlx`
    this.deadQueue = `${prefix}.dlq`
    this.queues = numbers.map((number) => `${prefix}.orders.${number}`)
    this.partKeys = numbers.map((number) => `part.${number}`)
    this.#queueBytesMax = queueBytesMax
  }

  /** In the order in which they can be made. */
  get plans(): readonly (ExchangePlan | QueuePlan)[] {
    return [
      { kind: 'exchange', name: this.deadExchange, type: 'fanout' },
      {
        kind: 'queue',
        name: this.deadQueue,
        arguments: { 'x-queue-type': 'quorum' },
        bindTo: { exchange: this.deadExchange, key: '' },
      },
      { kind: 'exchange', name: this.events, type: 'topic' },
      { kind: 'exchange', name: this.control, type: 'direct' },
      ...this.queues.map((name, part): QueuePlan => ({
        kind: 'queue',
        name,
        arguments: {
          // Quorum queues confirm after their fsync, also on a single broker; classic queues of RabbitMQ 4 do not.
          'x-queue-type': 'quorum',
          'x-single-active-consumer': true,
          // Full: say no to the publisher, who has the log. The default throws the oldest message away.
          'x-overflow': 'reject-publish',
          'x-max-length-bytes': this.#queueBytesMax,
          'x-dead-letter-exchange': this.deadExchange,
          'x-dead-letter-strategy': 'at-least-once',
          'x-delivery-limit': DELIVERIES_MAX,
        },
        bindTo: { exchange: this.events, key: this.partKeys[part] },
      })),
    ]
  }

  /** A name for the queue in which one connection of the node hears the consumers. */
  controlQueue(stream: string, unique: string): string {
    return `${this.control}.${stream}.${unique}`
  }

  /**
   * What is enough, as `rabbitmqctl set_permissions` wants it. A user who may `declare` makes exchanges and queues; one who may not needs
   * somebody who has made them.
   */
  permissions(role: 'publisher' | 'consumer', mayDeclare: boolean): Permissions {
    const prefix = escaped(this.prefix)
    const events = escaped(this.events)
    if (mayDeclare) {
      const all = this.events.startsWith(`${this.prefix}.`) ? `^${prefix}\\.` : `^(${prefix}\\.|${events}$)`
      return { configure: all, write: all, read: all }
    }
    return role === 'publisher'
      ? {
          configure: `^${prefix}\\.control\\.`,
          write: `^(${events}|${prefix}\\.control\\..*)$`,
          read: `^${prefix}\\.control(\\..*)?$`,
        }
      : { configure: '^$', write: `^${prefix}\\.(control|dlx)$`, read: `^${prefix}\\.orders\\.` }
  }
}

function escaped(text: string): string {
  return text.replace(/[^\w-]/g, String.raw`\$&`)
}
