// The way through RabbitMQ: the publisher, with what a sink adds to it, the broker's making and a stop that waits for acks.

import { AmqpBroker } from '../broker/amqp-broker.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { OrdersEnv } from '../env.ts'
import type { Checkpoint } from './checkpoint-file.ts'
import type { AmqpTarget } from './messages.ts'
import { Publisher } from './publisher.ts'
import type { Sink, SinkParts, SinkStatus } from './sink.ts'

/** How often a stop looks whether all is acked. */
const LOOK_MS = 20

export interface AmqpSinkParts extends SinkParts {
  readonly target: AmqpTarget
  readonly env: OrdersEnv
  /** By part: the highest pseq that is durable and was read. */
  readonly highest: Float64Array
}

export class AmqpSink implements Sink {
  readonly #parts: AmqpSinkParts
  readonly #broker: AmqpBroker
  readonly #publisher: Publisher

  constructor(parts: AmqpSinkParts) {
    const { target, stream, source, env, from, pseqs } = parts
    this.#parts = parts
    const { ca, cert, key } = target.tls
    this.#broker = new AmqpBroker({
      urls: target.urls,
      topology: {
        prefix: target.prefix,
        queueBytesMax: target.queueBytesMax,
        ...(target.exchange !== '' && { exchange: target.exchange }),
      },
      tls: ca === null && cert === null && key === null ? null : { ca, cert, key },
      connectionName: `stockd ${stream}`,
      env,
    })
    this.#publisher = new Publisher({ broker: this.#broker, stream, source, env, from: from ?? fromTheOldest(parts), pseqs })
  }

  start(): void {
    this.#publisher.start()
  }

  get status(): SinkStatus {
    return this.#publisher.status()
  }

  get checkpoint(): Omit<Checkpoint, 'floor'> {
    return this.#publisher.checkpoint()
  }

  seek(part: number, pseq: number): void {
    this.#publisher.seek(part, pseq)
  }

  async close(drainMs: number): Promise<void> {
    const { env, highest } = this.#parts
    const until = env.monotonic() + drainMs
    const isDrained = (): boolean => {
      const { acked, isConnected } = this.status
      return !isConnected || acked.every((pseq, part) => pseq >= highest[part])
    }
    // A turn of the thread first: what has just become durable is read then.
    do await new Promise<void>((resolve) => env.after(LOOK_MS, resolve))
    while (env.monotonic() < until && !isDrained())
    await this.#publisher.close()
    await this.#broker.close()
  }
}

/** Nothing is known: everything that the log has is published again. Consumers drop what they have. */
function fromTheOldest({ source }: AmqpSinkParts): Omit<Checkpoint, 'floor'> {
  const acked = Array.from({ length: PARTS }, (_, part) => source.oldest(part) - 1)
  return { lsn: 1, acked, stored: Array.from({ length: PARTS }, () => 0) }
}
