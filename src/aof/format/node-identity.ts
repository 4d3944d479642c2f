// node.json: who this directory is. Written once, synced, and never changed.

import { StockdError } from '../../base/error.ts'

export interface NodeIdentity {
  readonly format: number
  readonly clusterId: string
  readonly nodeId: string
  readonly createdAt: number
}

const ID = /^[0-9a-zA-Z-]{1,64}$/

export function encodeIdentity(identity: NodeIdentity): Buffer {
  const { format, clusterId, nodeId, createdAt } = identity
  return Buffer.from(`${JSON.stringify({ format, cluster_id: clusterId, node_id: nodeId, created: createdAt })}\n`, 'utf8')
}

export function decodeIdentity(bytes: Buffer): NodeIdentity {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new StockdError('LOG_CORRUPT', 'node.json is damaged: restore it from a backup (its node_id also stands in the #V1 line of every segment)')
  }
  const { format, cluster_id, node_id, created } = (json ?? {}) as Record<string, unknown>
  if (typeof format !== 'number' || typeof node_id !== 'string' || !ID.test(node_id) || typeof cluster_id !== 'string' || typeof created !== 'number') {
    throw new StockdError('LOG_CORRUPT', 'node.json is damaged: a field is missing or has the wrong type')
  }
  if (format > 1) throw new StockdError('LOG_TOO_NEW', `node.json has format ${format}: written by a newer stockd`)
  return { format, clusterId: cluster_id, nodeId: node_id, createdAt: created }
}
