// The metrics of a consumer, `stockd-orders run`: what it has taken from the broker and stored, what it could not, how far it is.

import type { Consumer, ConsumerStatus, PartStatus } from '../../orders/consumer/consumer.ts'
import type { Family } from './registry.ts'

/** Streams that the cursors are told of: a node makes one per directory and term, and old ones stay in the database. */
const STREAMS_MAX = 8

type Watched = Pick<Consumer, 'counters' | 'status' | 'cursors'>

export function consumerMetrics(consumer: Watched): readonly Family[] {
  const { counters } = consumer
  const counted = (name: string, help: string, value: () => number): Family => ({
    name,
    help,
    type: 'counter',
    collect: (add) => add(value()),
  })
  const gauge = (name: string, help: string, value: (status: ConsumerStatus) => number): Family => ({
    name,
    help,
    type: 'gauge',
    collect: (add) => add(value(consumer.status)),
  })
  const byPart = (name: string, help: string, value: (part: PartStatus) => number): Family => ({
    name,
    help,
    type: 'gauge',
    labels: ['part'],
    collect(add) {
      for (const part of consumer.status.parts) add(value(part), { part: partLabel(part.part) })
    },
  })
  return [
    gauge('stockd_orders_ready', '1 if it should be counted on, as /readyz says.', (status) => (consumerReadiness(status).isReady ? 1 : 0)),
    gauge('stockd_orders_broker_connected', '1 if the broker is connected.', (status) => (status.isConnected ? 1 : 0)),
    gauge('stockd_orders_consumers', 'Consumers that share the parts.', (status) => status.consumers.length),
    gauge(
      'stockd_orders_parts',
      'Parts that are read here now.',
      (status) => status.parts.filter(({ phase }) => phase === 'active').length,
    ),
    counted('stockd_orders_received_total', 'Messages that the broker delivered.', () => counters.received),
    counted('stockd_orders_stored_total', 'Events stored in the database.', () => counters.stored),
    counted('stockd_orders_seen_total', 'Events that came again and were stored already.', () => counters.seen),
    counted('stockd_orders_early_total', 'Events that came before one that was missing; the node publishes again.', () => counters.early),
    counted('stockd_orders_dead_total', 'Events the database cannot take, put into dead_events.', () => counters.dead),
    counted(
      'stockd_orders_unreadable_total',
      'Messages that are none of ours, copied to the dead-letter queue.',
      () => consumer.status.unreadable,
    ),
    counted('stockd_orders_batches_total', 'Transactions that were committed.', () => counters.batches),
    counted('stockd_orders_retries_total', 'Transactions that were tried again.', () => consumer.status.retries),
    counted('stockd_orders_seeks_total', 'Times that the node was asked to publish again.', () => consumer.status.seeks),
    counted(
      'stockd_orders_conflicts_total',
      'Events that were not what is stored under their number: two histories.',
      () => counters.conflicts,
    ),
    counted('stockd_orders_halts_total', 'Times that a part stopped until somebody decides.', () => consumer.status.halts),
    gauge(
      'stockd_orders_parts_halted',
      'Parts that wait for somebody to decide.',
      (status) => status.parts.filter(({ halted }) => halted !== null).length,
    ),
    counted('stockd_orders_audit_marks_total', 'Audit marks whose numbers were compared.', () => counters.marks),
    counted(
      'stockd_orders_audit_differences_total',
      'SKUs whose numbers at a mark were not those of the node.',
      () => counters.markDifferences,
    ),
    gauge('stockd_orders_end_to_end_seconds', 'From an event to its row, of the last batch.', (status) => status.endToEndMs / 1000),
    byPart('stockd_orders_circuit_open', '1 while the database of the part does not take batches.', ({ circuit }) =>
      circuit === 'closed' ? 0 : 1,
    ),
    byPart('stockd_orders_waiting_messages', 'Deliveries of the part that are not acked.', ({ waiting }) => waiting),
    byPart('stockd_orders_lag_seconds', 'Age of the oldest event of the part that waits here.', ({ lagMs }) => lagMs / 1000),
    byPart(
      'stockd_orders_last_stored_timestamp_seconds',
      'When an event of the part was last stored, unix seconds; 0: not yet.',
      ({ lastStoredAt }) => lastStoredAt / 1000,
    ),
    {
      name: 'stockd_orders_cursor',
      help: 'Number of the last event of the part that is stored, of the streams that were heard of last.',
      type: 'gauge',
      labels: ['stream', 'part'],
      collect(add) {
        for (const [stream, cursors] of [...consumer.cursors].slice(-STREAMS_MAX)) {
          cursors.forEach((pseq, part) => add(pseq, { stream, part: partLabel(part) }))
        }
      },
    },
  ]
}

/** Ready: connected to the broker, and at least one database takes batches. */
export function consumerReadiness(status: ConsumerStatus): { readonly isReady: boolean; readonly status: string; readonly reason: string } {
  if (!status.isConnected) return { isReady: false, status: 'no_broker', reason: status.broker }
  if (status.parts.every(({ circuit }) => circuit === 'open')) return { isReady: false, status: 'no_database', reason: status.store }
  return { isReady: true, status: 'ready', reason: '' }
}

function partLabel(part: number): string {
  return String(part).padStart(2, '0')
}
