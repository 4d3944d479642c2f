// Whether a node should get traffic, in words: what /readyz answers, for whoever balances load.
//
// A node that is stopping leaves readiness before it closes anything. A full outbox or a frozen SKU does not: the node serves, and says
// no where it has to.

import type { Node } from './node.ts'

export interface Readiness {
  readonly isReady: boolean
  readonly status: 'ready' | 'starting' | 'loading' | 'log_refuses' | 'stopping'
  /** What an operator should know; empty if ready. */
  readonly reason: string
}

const READY: Readiness = { isReady: true, status: 'ready', reason: '' }

export function readinessOf(node: Node): Readiness {
  switch (node.phase) {
    case 'new':
      return { isReady: false, status: 'starting', reason: 'the process has just started' }
    case 'loading':
      return { isReady: false, status: 'loading', reason: 'the log is being replayed' }
    case 'stopping':
    case 'stopped':
      return { isReady: false, status: 'stopping', reason: 'the node answers what it has taken, and ends' }
    case 'serving': {
      const refusal = node.log?.refusal() ?? null
      if (refusal === null) return READY
      return { isReady: false, status: 'log_refuses', reason: refusal }
    }
  }
}
