// An event: what leaves the node about one accepted change (COMMANDS.md section 7), made from one record and from nothing else.
//
// `stream` names the history of one log: `n<node-number>_<8 hex digits of the log's node id>-<epoch>`. Within it `part` and `pseq` number
// the events without a gap (engine/outbox.ts), so stream/part/pseq names an event for ever, and a gap is a loss.

/** @param nodeId of the log's directory: a UUID */
export function streamName(nodeNumber: number, nodeId: string, epoch: number): string {
  return `n${nodeNumber}_${nodeId.slice(0, 8)}-${epoch}`
}

export const EVENT_TYPES = [
  'order.reserved',
  'order.confirmed',
  'order.released',
  'order.expired',
  'order.extended',
  'order.returned',
  'order.payment_orphaned',
  'stock.created',
  'stock.altered',
  'stock.adjusted',
  'stock.dropped',
  'stock.soldout',
  'stock.available',
  'audit.mark',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

export interface OutboxEvent {
  /** Of its record. */
  readonly lsn: number
  /** 0..15 */
  readonly part: number
  /** 1, 2, 3 ... without a gap in (stream, part). */
  readonly pseq: number
  readonly type: EventType
  /** Unix ms: when it happened (of an expiry, the deadline). */
  readonly time: number
  /** The JSON text, UTF-8. Owned by the receiver. */
  readonly body: Buffer
}

/** Version of the JSON's shape, its field `schema`. Readers refuse what they do not know. */
export const EVENT_SCHEMA_VERSION = 1
