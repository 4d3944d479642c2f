// The HTTP side door of a consumer, `stockd-orders run --http`.

import type { Consumer } from '../../orders/consumer/consumer.ts'
import { consumerMetrics, consumerReadiness } from './consumer-metrics.ts'
import { Endpoint } from './endpoint.ts'
import { Metrics } from './registry.ts'

export interface ConsumerEndpointParts {
  /** 0: a free one. */
  readonly port: number
  readonly address: string
  readonly consumer: Pick<Consumer, 'counters' | 'status' | 'cursors'>
  /** True from the moment on at which it was asked to end. */
  readonly isStopping?: () => boolean
}

export interface ConsumerEndpoint {
  readonly url: string
  close(): Promise<void>
}

/** Throws StockdError LISTEN. */
export async function openConsumerEndpoint({ port, address, consumer, isStopping }: ConsumerEndpointParts): Promise<ConsumerEndpoint> {
  const metrics = new Metrics(consumerMetrics(consumer))
  const endpoint = new Endpoint({
    port,
    address,
    metrics,
    alive: () => ({ isWell: true, body: { status: 'alive' } }),
    ready() {
      if (isStopping?.() === true) return { isWell: false, body: { status: 'stopping', reason: 'what is in hand is stored, then it ends' } }
      const { isReady, status, reason } = consumerReadiness(consumer.status)
      return { isWell: isReady, body: isReady ? { status } : { status, reason } }
    },
  })
  try {
    await endpoint.open()
  } catch (error) {
    metrics.close()
    throw error
  }
  return {
    url: endpoint.url,
    async close() {
      metrics.close()
      await endpoint.close()
    },
  }
}
