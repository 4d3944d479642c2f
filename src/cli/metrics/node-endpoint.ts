// The HTTP side door of a node: open from before its log is loaded until the process ends.

import { isLoopbackAddress } from '../../server/socket.ts'
import type { Node } from '../../server/node.ts'
import { NO_HTTP } from '../../server/options.ts'
import { readinessOf } from '../../server/readiness.ts'
import { Endpoint } from './endpoint.ts'
import { nodeMetrics } from './node-metrics.ts'
import { Metrics } from './registry.ts'

export interface NodeEndpoint {
  readonly url: string
  close(): Promise<void>
}

/** @returns null without --http. Throws StockdError LISTEN. */
export async function openNodeEndpoint(node: Node): Promise<NodeEndpoint | null> {
  const { options, env, clock } = node
  const { values } = options
  if (values.http === NO_HTTP) return null
  const metrics = new Metrics(nodeMetrics(node))
  const endpoint = new Endpoint({
    port: values.http,
    address: values['http-bind'],
    metrics,
    alive: () => ({
      isWell: true,
      body: { status: 'alive', phase: node.phase, uptime_seconds: Math.floor((clock.now() - node.startedAt) / 1000) },
    }),
    ready: () => {
      const { isReady, status, reason } = readinessOf(node)
      return { isWell: isReady, body: isReady ? { status } : { status, reason } }
    },
  })
  try {
    await endpoint.open()
  } catch (error) {
    metrics.close()
    throw error
  }
  const host = values['http-bind']
  if (host !== 'localhost' && !isLoopbackAddress(host)) {
    env.say('warning', `whoever reaches ${endpoint.url} can read the figures of this node: it asks for no password`)
  }
  env.say('notice', 'metrics and health are here', { url: endpoint.url })
  return {
    url: endpoint.url,
    async close() {
      metrics.close()
      await endpoint.close()
    },
  }
}
