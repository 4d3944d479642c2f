// node.json: who this directory is. Written once, synced, and never changed; with the CRC-32 of the object without its crc.

import { StockdError } from '../../base/error.ts'
import { crc32, hexOf } from './crc.ts'

export interface NodeIdentity {
  readonly format: number
  readonly clusterId: string
  readonly nodeId: string
  readonly createdAt: number
}

const ID = /^[0-9a-zA-Z-]{1,64}$/

export function encodeIdentity(identity: NodeIdentity): Buffer {
  const { format, clusterId, nodeId, createdAt } = identity
  const fields = JSON.stringify({ format, cluster_id: clusterId, node_id: nodeId, created: createdAt })
  return Buffer.from(`${fields.slice(0, -1)},"crc":"${checksum(fields)}"}\n`, 'utf8')
}

export function decodeIdentity(bytes: Buffer): NodeIdentity {
  const text = bytes.toString('utf8')
  const match = /^(\{.*),"crc":"([0-9a-f]{8})"\}\n$/.exec(text)
  if (match === null || checksum(`${match[1]}}`) !== match[2]) {
    throw new StockdError(
      'LOG_CORRUPT',
      'node.json is damaged: restore it from a backup (its node_id also stands in the #V1 line of every segment)',
    )
  }
  const { format, cluster_id, node_id, created } = JSON.parse(`${match[1]}}`) as Record<string, unknown>
  if (typeof format === 'number' && format > 1)
    throw new StockdError('LOG_TOO_NEW', `node.json has format ${format}: written by a newer stockd`)
  if (
    typeof format !== 'number' ||
    typeof node_id !== 'string' ||
    !ID.test(node_id) ||
    typeof cluster_id !== 'string' ||
    typeof created !== 'number'
  ) {
    throw new StockdError('LOG_CORRUPT', 'node.json does not say who this directory is: a field is missing or has the wrong type')
  }
  return { format, clusterId: cluster_id, nodeId: node_id, createdAt: created }
}

function checksum(fields: string): string {
  const bytes = Buffer.from(fields, 'utf8')
  return hexOf(crc32(bytes, 0, bytes.length, 0))
}
