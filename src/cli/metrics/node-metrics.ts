// The metrics of a node. Labels are words of ours, never names of clients' things: no SKU, buyer or address makes a series.
//
// Collecting is O(SKUs) for the sums of stock and O(commands) for the rest; orders are not looked at.

import type { CommandStats } from '../../server/stats.ts'
import { readinessOf } from '../../server/readiness.ts'
import { STEPS } from '../../server/audit/outbox-watch.ts'
import type { Node } from '../../server/node.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import type { Family } from './registry.ts'

/** First words of error replies that are told apart; clients could make up others. */
const ERROR_KINDS = new Set(
  (
    'ERR NOSKU WRONGTYPE STOCKEXISTS INUSE QTY ORDERCONFLICT TRYAGAIN CLUSTERDOWN LOADING MISCONF OOM READONLY BACKLOG ' +
    'NOAUTH WRONGPASS NOPERM NOPROTO EXECABORT UNKILLABLE BUSYKEY DENIED NOSCRIPT'
  ).split(' '),
)

export function nodeMetrics(node: Node): readonly Family[] {
  return [
    ...processOf(node),
    ...clientsOf(node),
    ...commandsOf(node),
    ...logOf(node),
    ...stockOf(node),
    ...eventsOf(node),
    ...auditOf(node),
  ]
}

function gauge(name: string, help: string, value: () => number): Family {
  return { name, help, type: 'gauge', collect: (add) => add(value()) }
}

function counter(name: string, help: string, value: () => number): Family {
  return { name, help, type: 'counter', collect: (add) => add(value()) }
}

/** One series per word. */
function by(
  label: string,
  { name, help, type }: Pick<Family, 'name' | 'help' | 'type'>,
  values: () => Readonly<Record<string, number>>,
): Family {
  return {
    name,
    help,
    type,
    labels: [label],
    collect(add) {
      for (const [word, value] of Object.entries(values())) add(value, { [label]: word })
    },
  }
}

function processOf(node: Node): Family[] {
  return [
    {
      name: 'stockd_info',
      help: 'What runs here.',
      type: 'gauge',
      labels: ['version', 'node'],
      collect: (add) => add(1, { version: STOCKD_VERSION, node: `n${node.options.values['node-number']}` }),
    },
    gauge('stockd_ready', '1 if the node should get traffic, as /readyz says.', () => (readinessOf(node).isReady ? 1 : 0)),
    gauge('stockd_memory_used_bytes', 'Memory in use: what INFO calls used_memory, and maxmemory limits.', () => node.memoryUsed()),
    gauge('stockd_memory_max_bytes', 'The option maxmemory; 0: no limit.', () => node.options.values.maxmemory),
    by('what', { name: 'stockd_memory_data_bytes', help: 'Memory of rows and indexes, by what they hold.', type: 'gauge' }, () => ({
      orders: node.engine.ledger.usedBytes,
      keys: node.engine.keyspace.usedBytes,
    })),
    counter('stockd_turns_total', 'Passes of the event loop that served clients.', () => node.stats.turns),
    gauge('stockd_turn_longest_seconds', 'Longest such pass since the start or CONFIG RESETSTAT.', () => node.stats.longestTurn / 1e6),
  ]
}

function clientsOf(node: Node): Family[] {
  const { stats, sessions, options } = node
  return [
    gauge('stockd_connections', 'Clients that are connected.', () => sessions.size),
    gauge('stockd_connections_max', 'Clients that may be connected: maxclients.', () => options.values.maxclients),
    by('waiting', { name: 'stockd_connections_waiting', help: 'Clients whose request is answered later.', type: 'gauge' }, () => {
      let parked = 0
      let unread = 0
      for (const session of sessions.values()) {
        if (session.parked !== null) parked++
        if (session.outputQueued > 0) unread++
      }
      return { parked, replies_unread: unread }
    }),
    counter('stockd_connections_received_total', 'Connections that came.', () => stats.connectionsReceived),
    counter('stockd_connections_rejected_total', 'Connections that were not let in.', () => stats.connectionsRejected),
    by(
      'reason',
      { name: 'stockd_connections_closed_total', help: 'Connections that the node closed because of a limit.', type: 'counter' },
      () => ({
        output_limit: stats.outputLimitClosed,
        query_limit: stats.queryLimitClosed,
        timeout: stats.timeoutClosed,
        not_resp: stats.protocolMismatches,
      }),
    ),
    by(
      'reason',
      { name: 'stockd_tls_handshakes_failed_total', help: 'TLS connections that came to nothing.', type: 'counter' },
      () => stats.handshakeFailures,
    ),
    {
      name: 'stockd_tls_certificate_ends_timestamp_seconds',
      help: 'When the certificate that TLS clients are shown ends, unix seconds.',
      type: 'gauge',
      collect(add) {
        if (node.door.credentials !== null) add(node.door.credentials.validUntil / 1000)
      },
    },
    counter('stockd_auth_failures_total', 'Wrong passwords that clients gave.', () => stats.authFailures),
    by('direction', { name: 'stockd_network_bytes_total', help: 'Bytes from and to clients.', type: 'counter' }, () => ({
      received: stats.netInputBytes,
      sent: stats.netOutputBytes,
    })),
  ]
}

function commandsOf({ stats }: Node): Family[] {
  const families = (value: (command: CommandStats) => number): Record<string, number> => {
    const sums: Record<string, number> = {}
    for (const command of stats.commands) {
      const { group } = command.spec
      sums[group] = (sums[group] ?? 0) + value(command)
    }
    return sums
  }
  return [
    by('family', { name: 'stockd_commands_total', help: 'Commands that ran.', type: 'counter' }, () =>
      families((command) => command.calls),
    ),
    by(
      'family',
      {
        name: 'stockd_command_seconds_total',
        help: 'Time that commands took; of cheap ones it is estimated from one call in 64.',
        type: 'counter',
      },
      () => families((command) => command.usec / 1e6),
    ),
    by('family', { name: 'stockd_commands_failed_total', help: 'Commands that ran and answered an error.', type: 'counter' }, () =>
      families((command) => command.failed),
    ),
    by(
      'family',
      {
        name: 'stockd_commands_rejected_total',
        help: 'Commands that were refused before they ran: arity, AUTH, MISCONF, OOM.',
        type: 'counter',
      },
      () => families((command) => command.rejected),
    ),
    {
      name: 'stockd_stock_commands_total',
      help: 'STOCK commands that ran, by command.',
      type: 'counter',
      labels: ['command'],
      collect(add) {
        for (const { spec, fullName, calls } of stats.commands) {
          if (spec.group === 'stock' && spec.subcommands === undefined) add(calls, { command: fullName })
        }
      },
    },
    by('kind', { name: 'stockd_error_replies_total', help: 'Error replies by their first word.', type: 'counter' }, () => {
      const kinds: Record<string, number> = {}
      for (const [kind, count] of stats.errors) {
        const known = ERROR_KINDS.has(kind) ? kind : 'other'
        kinds[known] = (kinds[known] ?? 0) + count
      }
      return kinds
    }),
  ]
}

function logOf(node: Node): Family[] {
  type Log = NonNullable<Node['log']>
  /** Without a log the family has no value. */
  const of = (type: Family['type'], name: string, help: string, value: (log: Log) => number): Family => ({
    name,
    help,
    type,
    collect(add) {
      if (node.log !== null) add(value(node.log))
    },
  })
  return [
    gauge('stockd_log_enabled', '1 if there is a log (appendonly).', () => (node.log === null ? 0 : 1)),
    of('gauge', 'stockd_log_writable', '1 if the log takes records; 0: writes are refused with MISCONF.', (log) =>
      log.refusal() === null ? 1 : 0,
    ),
    {
      name: 'stockd_log_lsn',
      help: 'Number of the last record that got so far: last (made), written (in the kernel), durable (on the disk), acked (answered).',
      type: 'gauge',
      labels: ['step'],
      collect(add) {
        if (node.log === null) return
        const { last, written, durable, acked } = node.log
        for (const [step, lsn] of Object.entries({ last, written, durable, acked })) add(lsn, { step })
      },
    },
    of('gauge', 'stockd_log_bytes', 'Size of the log.', (log) => log.sizeBytes),
    of('gauge', 'stockd_log_base_bytes', 'Size of the log when it was last compacted, or at the start.', (log) => log.baseBytes),
    of('gauge', 'stockd_log_segments', 'Segments of the log.', (log) => log.segments),
    of('gauge', 'stockd_log_pending_bytes', 'Records that wait to be written.', (log) => log.pendingBytes),
    of('gauge', 'stockd_log_last_fsync_timestamp_seconds', 'When the last fsync succeeded, unix seconds.', (log) => log.lastSyncAt / 1000),
    of('counter', 'stockd_log_compactions_total', 'Compactions that succeeded.', (log) => log.compactions),
    of('gauge', 'stockd_log_compaction_running', '1 while the log is compacted.', (log) => (log.isCompacting ? 1 : 0)),
    of('gauge', 'stockd_log_compaction_failed', '1 if the last compaction failed.', (log) => (log.lastCompactionFailed ? 1 : 0)),
  ]
}

function stockOf(node: Node): Family[] {
  const { engine, clock } = node
  const { ledger, keyspace } = engine
  const units = oncePerScrape(() => ledger.sums())
  return [
    gauge('stockd_stock_skus', 'SKUs that exist.', () => ledger.state.skuCount),
    by('state', { name: 'stockd_stock_units', help: 'Units of all SKUs. total = available + reserved + sold.', type: 'gauge' }, () => {
      const { available, reserved, sold } = units()
      return { available, reserved, sold }
    }),
    by(
      'move',
      {
        name: 'stockd_stock_moved_units_total',
        help: 'Units that were confirmed, released, expired, returned.',
        type: 'counter',
      },
      () => {
        const { confirmed, released, expired, returned } = units()
        return { confirmed, released, expired, returned }
      },
    ),
    by('reason', { name: 'stockd_stock_refusals_total', help: 'Reservations that were refused, since the start.', type: 'counter' }, () => {
      const { refusedSoldout, refusedHeld, refusedLimit, refusedClosed } = units()
      return { soldout: refusedSoldout, held: refusedHeld, limit: refusedLimit, closed: refusedClosed }
    }),
    by(
      'state',
      {
        name: 'stockd_stock_orders',
        help: 'Orders in memory. finished: released, expired, returned, and ids that were released before they came.',
        type: 'gauge',
      },
      () => ({ reserved: ledger.state.openOrders, confirmed: ledger.state.confirmed.size, finished: ledger.state.closed.size }),
    ),
    gauge('stockd_stock_buyers', 'Buyers in memory.', () => ledger.state.buyers.table.size),
    gauge(
      'stockd_stock_expiry_late_seconds',
      'How long the oldest hold is past its deadline and not released yet.',
      () => Math.max(0, clock.now() - (ledger.state.heap.top?.firstDeadline ?? Infinity)) / 1000,
    ),
    gauge('stockd_keys', 'Keys of all databases, SKUs not counted.', () => keyspace.size),
    by('result', { name: 'stockd_key_lookups_total', help: 'Keys that were looked for.', type: 'counter' }, () => ({
      hit: keyspace.hits,
      miss: keyspace.misses,
    })),
    counter('stockd_keys_expired_total', 'Keys that have expired.', () => keyspace.expiredKeys),
  ]
}

/** Families of one scrape share what is expensive: all of them are collected before anything else runs. */
function oncePerScrape<T extends object>(make: () => T): () => T {
  let value: T | null = null
  return () => {
    if (value === null) queueMicrotask(() => (value = null))
    return (value ??= make())
  }
}

function eventsOf(node: Node): Family[] {
  const { clock, engine, auditor } = node
  /** Who has a sink says how far its events are. */
  const status = (): NonNullable<Node['feed']>['status'] | null => {
    const { feed } = node
    return feed === null || feed.status.sink === 'none' ? null : feed.status
  }
  const whereSink = (
    name: string,
    help: string,
    type: Family['type'],
    value: (of: NonNullable<ReturnType<typeof status>>) => number,
  ): Family => ({
    name,
    help,
    type,
    collect(add) {
      const now = status()
      if (now !== null) add(value(now))
    },
  })
  const steps = (
    name: string,
    help: string,
    value: (step: (typeof STEPS)[number], of: NonNullable<ReturnType<typeof status>>) => number,
  ): Family => ({
    name,
    help,
    type: 'gauge',
    labels: ['step'],
    collect(add) {
      const now = status()
      if (now !== null) for (const step of STEPS) add(value(step, now), { step })
    },
  })
  return [
    counter('stockd_events_total', 'Events of accepted changes, of this stream, since its beginning.', () => {
      let events = 0
      for (let part = 0; part < auditor.outbox.parts; part++) events += engine.outbox.last(part)
      return events
    }),
    whereSink('stockd_outbox_connected', '1 if the broker or database that takes the events is connected.', 'gauge', (now) =>
      now.isConnected ? 1 : 0,
    ),
    steps(
      'stockd_outbox_lag_events',
      'Events in the log that are not yet published to the broker, acked by it, stored in the database.',
      (step, now) => auditor.outbox.events(now, step),
    ),
    steps('stockd_outbox_lag_seconds', 'Age of the oldest of these events; 0: there are none.', (step, now) =>
      step === 'stored' && now.lagMs > 0 ? now.lagMs / 1000 : auditor.outbox.ageMs(clock.now(), now, step) / 1000,
    ),
    whereSink('stockd_outbox_backlog_bytes', 'Bytes of the log whose events are not stored yet.', 'gauge', (now) => now.backlogBytes),
    whereSink(
      'stockd_outbox_backlog_max_bytes',
      'Backlog at which new orders are refused with BACKLOG; CONFIRM and RELEASE go on.',
      'gauge',
      (now) => now.backlogBytesMax,
    ),
    gauge('stockd_outbox_backlog_full', '1 while new orders are refused with BACKLOG.', () => (engine.backlogFull ? 1 : 0)),
    whereSink('stockd_outbox_cpu_seconds_total', 'Processor time of the thread that publishes.', 'counter', (now) => now.cpuMicros / 1e6),
    {
      name: 'stockd_outbox_total',
      help: 'What the thread that publishes has counted.',
      type: 'counter',
      labels: ['what'],
      collect(add) {
        const now = status()
        if (now !== null) for (const [what, value] of Object.entries(now.counters)) add(value, { what })
      },
    },
  ]
}

function auditOf({ auditor }: Node): Family[] {
  return [
    counter('stockd_audit_passes_total', 'Complete recounts of everything, in slices, since the start.', () => auditor.passes),
    counter('stockd_audit_looked_total', 'Orders, SKUs and buyers that were looked at.', () => auditor.looked),
    counter('stockd_audit_violations_total', 'Numbers that were not what the orders say.', () => auditor.violations),
    gauge('stockd_audit_frozen_skus', 'SKUs that take no new orders because of that.', () => auditor.frozen),
    gauge('stockd_audit_slice_longest_seconds', 'Longest time that a slice has kept clients waiting.', () => auditor.longestSlice / 1e6),
    counter('stockd_audit_marks_total', 'Audit marks written for the databases to compare with.', () => auditor.marks),
    gauge('stockd_audit_last_mark_timestamp_seconds', 'When the last one was, unix seconds; 0: none yet.', () => auditor.lastMarkAt / 1000),
    gauge('stockd_audit_outbox_alarm', '1 while the figures of the events on their way contradict each other.', () =>
      auditor.outbox.alarm === null ? 0 : 1,
    ),
  ]
}
