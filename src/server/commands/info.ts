// INFO: what the node knows about itself, section by section.
//
// Fields that tools of Redis look for are there under Redis's names, also where the truth is a constant; `stock` and the rows with lsn
// are our own. A figure that is expensive to get is not here.

import { release, totalmem, type as osType, machine } from 'node:os'
import type { CommandSpec } from '../../engine/command.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { Request } from '../../resp/request.ts'
import type { Node } from '../node.ts'
import { REDIS_VERSION } from './connection.ts'
import { keyless } from './keyless.ts'
import { STOCKD_VERSION } from '../version.ts'

type Fields = (readonly [name: string, value: string | number])[]

interface Section {
  readonly name: string
  /** Shown by INFO without arguments; the others by INFO all or by name. */
  readonly isDefault: boolean
  fields(node: Node): Fields
}

const SECTIONS: readonly Section[] = [
  { name: 'Server', isDefault: true, fields: server },
  { name: 'Clients', isDefault: true, fields: clients },
  { name: 'Memory', isDefault: true, fields: memory },
  { name: 'Persistence', isDefault: true, fields: persistence },
  { name: 'Stats', isDefault: true, fields: stats },
  { name: 'Replication', isDefault: true, fields: replication },
  { name: 'CPU', isDefault: true, fields: cpu },
  { name: 'Modules', isDefault: true, fields: () => [] },
  { name: 'Stock', isDefault: true, fields: stock },
  { name: 'Outbox', isDefault: true, fields: outbox },
  { name: 'Commandstats', isDefault: false, fields: commandStats },
  { name: 'Errorstats', isDefault: true, fields: errorStats },
  { name: 'Latencystats', isDefault: false, fields: latencyStats },
  { name: 'Cluster', isDefault: true, fields: () => [['cluster_enabled', 0]] },
  { name: 'Keyspace', isDefault: true, fields: keyspace },
]

export function infoCommands(node: Node): CommandSpec[] {
  return [
    keyless({
      name: 'INFO',
      arity: -1,
      flags: ['loading', 'stale'],
      categories: ['dangerous'],
      group: 'server',
      since: '1.0.0',
      tips: 'nondeterministic_output request_policy:all_shards response_policy:special',
      syntax: '[section [section ...]]',
      summary: 'What the node is, has and does, by section',
      run: ({ request, reply }) => reply.verbatim(infoText(node, wantedSections(request))),
    }),
  ]
}

/** Names of sections in lower case; what is no section is simply not there, as in Redis. */
function wantedSections(request: Request): Set<string> {
  const wanted = new Set<string>()
  const add = (keep: (section: Section) => boolean): void =>
    SECTIONS.filter(keep).forEach((section) => wanted.add(section.name.toLowerCase()))
  if (request.argc === 1) add((section) => section.isDefault)
  for (let i = 1; i < request.argc; i++) {
    if (request.is(i, 'DEFAULT')) add((section) => section.isDefault)
    else if (request.is(i, 'ALL') || request.is(i, 'EVERYTHING')) add(() => true)
    else wanted.add(request.latin1(i).toLowerCase())
  }
  return wanted
}

/** The text of these sections, in the order of the table. */
function infoText(node: Node, wanted: ReadonlySet<string>): string {
  return SECTIONS.filter((section) => wanted.has(section.name.toLowerCase()))
    .map(
      (section) =>
        `# ${section.name}\r\n${section
          .fields(node)
          .map(([name, value]) => `${name}:${value}\r\n`)
          .join('')}`,
    )
    .join('\r\n')
}

function server(node: Node): Fields {
  const { options, env } = node
  const seconds = Math.floor((env.clock.now() - node.startedAt) / 1000)
  return [
    ['redis_version', REDIS_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', 'stockd'],
    ['redis_mode', 'standalone'],
    ['stockd_version', STOCKD_VERSION],
    ['os', `${osType()} ${release()} ${machine()}`],
    ['arch_bits', 64],
    ['monotonic_clock', 'POSIX clock_gettime'],
    ['multiplexing_api', 'libuv'],
    ['node_version', process.versions.node],
    ['process_id', process.pid],
    ['process_supervised', 'no'],
    ['run_id', node.runId],
    ['tcp_port', node.port === 0 ? node.door.tlsPort : node.port],
    ['server_time_usec', Math.floor(env.clock.now() * 1000)],
    ['uptime_in_seconds', seconds],
    ['uptime_in_days', Math.floor(seconds / 86400)],
    ['hz', options.values.hz],
    ['configured_hz', options.values.hz],
    ['lru_clock', Math.floor(env.clock.now() / 1000) & 0xffffff],
    ['executable', process.argv[1] ?? process.execPath],
    ['config_file', options.file ?? ''],
    ['io_threads_active', 0],
  ]
}

function clients(node: Node): Fields {
  let blocked = 0
  let input = 0
  let output = 0
  for (const session of node.sessions.values()) {
    if (session.parked !== null) blocked++
    input = Math.max(input, session.inputQueued)
    output = Math.max(output, session.outputQueued)
  }
  return [
    ['connected_clients', node.sessions.size],
    ['cluster_connections', 0],
    ['maxclients', node.options.values.maxclients],
    ['client_recent_max_input_buffer', input],
    ['client_recent_max_output_buffer', output],
    ['blocked_clients', blocked],
    ['tracking_clients', 0],
    ['clients_in_timeout_table', blocked],
  ]
}

function memory(node: Node): Fields {
  const used = node.memoryUsed()
  const usage = process.memoryUsage()
  const peak = Math.max(node.stats.peakMemory, used)
  const { values } = node.options
  const dataset = node.engine.keyspace.usedBytes + node.engine.ledger.usedBytes
  const overhead = Math.max(0, used - dataset)
  const ratio = usage.rss / Math.max(1, used)
  return [
    ['used_memory', used],
    ['used_memory_human', human(used)],
    ['used_memory_rss', usage.rss],
    ['used_memory_rss_human', human(usage.rss)],
    ['used_memory_peak', peak],
    ['used_memory_peak_human', human(peak)],
    ['used_memory_peak_perc', `${((used / peak) * 100).toFixed(2)}%`],
    ['used_memory_overhead', overhead],
    ['used_memory_startup', 0],
    ['used_memory_dataset', dataset],
    ['used_memory_dataset_perc', `${((dataset / used) * 100).toFixed(2)}%`],
    ['heap_used', usage.heapUsed],
    ['heap_total', usage.heapTotal],
    ['heap_external', usage.external],
    ['total_system_memory', totalmem()],
    ['total_system_memory_human', human(totalmem())],
    ['used_memory_lua', 0],
    ['used_memory_lua_human', '0B'],
    ['used_memory_scripts', 0],
    ['used_memory_scripts_human', '0B'],
    ['number_of_cached_scripts', 0],
    ['number_of_functions', 0],
    ['number_of_libraries', 0],
    ['maxmemory', values.maxmemory],
    ['maxmemory_human', human(values.maxmemory)],
    ['maxmemory_policy', values['maxmemory-policy']],
    ['mem_fragmentation_ratio', ratio.toFixed(2)],
    ['mem_fragmentation_bytes', Math.max(0, usage.rss - used)],
    ['mem_not_counted_for_evict', 0],
    ['mem_replication_backlog', 0],
    ['mem_total_replication_buffers', 0],
    ['mem_cluster_links', 0],
    ['mem_clients_slaves', 0],
    ['mem_clients_normal', clientBytes(node)],
    ['mem_aof_buffer', 0],
    ['mem_allocator', 'v8'],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', 0],
    ['lazyfreed_objects', 0],
  ]
}

/** Bytes that wait in the buffers of connections. */
export function clientBytes(node: Node): number {
  let bytes = 0
  for (const session of node.sessions.values()) bytes += session.inputQueued + session.transactionBytes + session.outputQueued
  return bytes
}

function persistence(node: Node): Fields {
  const { log } = node
  const fields: Fields = [
    ['loading', node.phase === 'loading' || node.phase === 'new' ? 1 : 0],
    ['async_loading', 0],
    ['rdb_changes_since_last_save', log === null ? 0 : log.last - log.durable],
    ['rdb_bgsave_in_progress', 0],
    ['rdb_saves', 0],
    ['rdb_last_save_time', lastSave(node)],
    ['rdb_last_bgsave_status', 'ok'],
    ['rdb_last_bgsave_time_sec', -1],
    ['rdb_current_bgsave_time_sec', -1],
    ['aof_enabled', log === null ? 0 : 1],
  ]
  if (log === null) return [...fields, ['aof_rewrite_in_progress', 0], ['aof_last_bgrewrite_status', 'ok'], ['aof_last_write_status', 'ok']]
  const refusal = log.refusal()
  return [
    ...fields,
    ['aof_rewrite_in_progress', log.isCompacting ? 1 : 0],
    ['aof_rewrite_scheduled', 0],
    ['aof_last_rewrite_time_sec', log.lastCompactionSeconds],
    ['aof_current_rewrite_time_sec', -1],
    ['aof_last_bgrewrite_status', log.lastCompactionFailed ? 'err' : 'ok'],
    ['aof_rewrites', log.compactions],
    ['aof_last_write_status', refusal === null ? 'ok' : 'err'],
    ['aof_current_size', log.sizeBytes],
    ['aof_base_size', log.baseBytes],
    ['aof_pending_rewrite', 0],
    ['aof_buffer_length', log.pendingBytes],
    ['aof_pending_bio_fsync', log.isSyncing ? 1 : 0],
    ['aof_delayed_fsync', log.delayedSyncs],
    ['aof_refusal', refusal ?? ''],
    ['aof_lsn_last', log.last],
    ['aof_lsn_written', log.written],
    ['aof_lsn_durable', log.durable],
    ['aof_lsn_acked', log.acked],
    ['aof_segment', log.segment],
    ['aof_segments', log.segments],
  ]
}

/** Unix seconds since when nothing acknowledged can be lost: of the last fsync, or of the start. */
export function lastSave(node: Node): number {
  return Math.floor((node.log?.lastSyncAt ?? node.startedAt) / 1000)
}

function stats(node: Node): Fields {
  const s = node.stats
  const { keyspace } = node.engine
  return [
    ['total_connections_received', s.connectionsReceived],
    ['total_commands_processed', s.commandsProcessed],
    ['instantaneous_ops_per_sec', s.instantOps],
    ['total_net_input_bytes', s.netInputBytes],
    ['total_net_output_bytes', s.netOutputBytes],
    ['total_net_repl_input_bytes', 0],
    ['total_net_repl_output_bytes', 0],
    ['instantaneous_input_kbps', (s.instantInputBytes / 1024).toFixed(2)],
    ['instantaneous_output_kbps', (s.instantOutputBytes / 1024).toFixed(2)],
    ['instantaneous_input_repl_kbps', '0.00'],
    ['instantaneous_output_repl_kbps', '0.00'],
    ['rejected_connections', s.connectionsRejected],
    ['sync_full', 0],
    ['sync_partial_ok', 0],
    ['sync_partial_err', 0],
    ['expired_keys', keyspace.expiredKeys],
    ['expired_stale_perc', '0.00'],
    ['expired_time_cap_reached_count', 0],
    ['evicted_keys', 0],
    ['evicted_clients', 0],
    ['total_eviction_exceeded_time', 0],
    ['current_eviction_exceeded_time', 0],
    ['keyspace_hits', keyspace.hits],
    ['keyspace_misses', keyspace.misses],
    ['pubsub_channels', node.channels.size('channels')],
    ['pubsub_patterns', node.channels.size('patterns')],
    ['pubsubshard_channels', node.channels.size('shards')],
    ['latest_fork_usec', 0],
    ['total_forks', 0],
    ['migrate_cached_sockets', 0],
    ['slave_expires_tracked_keys', 0],
    ['active_defrag_hits', 0],
    ['active_defrag_misses', 0],
    ['active_defrag_key_hits', 0],
    ['active_defrag_key_misses', 0],
    ['tracking_total_keys', 0],
    ['tracking_total_items', 0],
    ['tracking_total_prefixes', 0],
    ['unexpected_error_replies', 0],
    ['total_error_replies', s.errorReplies],
    ['total_turns', s.turns],
    ['longest_turn_usec', Math.round(s.longestTurn)],
    ['clients_closed_output_limit', s.outputLimitClosed],
    ['clients_closed_query_limit', s.queryLimitClosed],
    ['clients_closed_timeout', s.timeoutClosed],
    ['protocol_mismatches', s.protocolMismatches],
    ['auth_failures', s.authFailures],
  ]
}

function replication(node: Node): Fields {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', node.runId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', node.lastLsn],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
    ['repl_backlog_size', 0],
    ['repl_backlog_first_byte_offset', 0],
    ['repl_backlog_histlen', 0],
  ]
}

function cpu(): Fields {
  const { user, system } = process.cpuUsage()
  const main = process.threadCpuUsage()
  return [
    ['used_cpu_sys', (system / 1e6).toFixed(6)],
    ['used_cpu_user', (user / 1e6).toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
    ['used_cpu_sys_main_thread', (main.system / 1e6).toFixed(6)],
    ['used_cpu_user_main_thread', (main.user / 1e6).toFixed(6)],
  ]
}

function stock(node: Node): Fields {
  const { ledger, outbox } = node.engine
  const sums = ledger.sums()
  let events = 0
  for (let part = 0; part < PARTS; part++) events += outbox.last(part)
  return [
    ...Object.entries(ledger.counts()),
    ['stock_next_deadline', ledger.state.heap.top?.firstDeadline ?? 0],
    ['stock_units_available', sums.available],
    ['stock_units_reserved', sums.reserved],
    ['stock_units_sold', sums.sold],
    ['stock_confirmed_units', sums.confirmed],
    ['stock_released_units', sums.released],
    ['stock_expired_units', sums.expired],
    ['stock_returned_units', sums.returned],
    ['stock_refused_soldout', sums.refusedSoldout],
    ['stock_refused_held', sums.refusedHeld],
    ['stock_refused_limit', sums.refusedLimit],
    ['stock_refused_closed', sums.refusedClosed],
    ['stock_events', events],
    ...audit(node),
  ]
}

function audit({ auditor }: Node): Fields {
  return [
    ['audit_passes', auditor.passes],
    ['audit_looked', auditor.looked],
    ['audit_violations', auditor.violations],
    ['audit_frozen_skus', auditor.frozen],
    ['audit_marks', auditor.marks],
    ['audit_last_mark', auditor.lastMarkAt],
    ['audit_outbox_alarms', auditor.outbox.alarms],
    ['audit_outbox_alarm', auditor.outbox.alarm ?? ''],
  ]
}

/** How far events are on their way into the orders database. `behind` of a step: events that have not taken it. */
function outbox({ feed, log, engine }: Node): Fields {
  if (feed === null || log === null) return [['outbox_sink', 'none']]
  const { status } = feed
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)
  const made = sum(Array.from({ length: PARTS }, (_, part) => engine.outbox.last(part)))
  const fields: Fields = [
    ['outbox_sink', status.sink],
    ['outbox_events', made],
    ['outbox_keep_from_lsn', status.keepFrom],
    ['outbox_cpu_seconds', (status.cpuMicros / 1e6).toFixed(3)],
  ]
  if (status.sink === 'none') return fields
  return [
    ...fields,
    ['outbox_state', status.state.replaceAll(/[\r\n]/g, ' ')],
    ['outbox_connected', status.isConnected ? 1 : 0],
    ['outbox_published_behind', Math.max(0, made - sum(status.published))],
    ['outbox_acked_behind', Math.max(0, made - sum(status.acked))],
    ['outbox_stored_behind', Math.max(0, made - sum(status.stored))],
    ['outbox_lag_seconds', (status.lagMs / 1000).toFixed(3)],
    ['outbox_durable_lsn', log.durable],
    ['outbox_stored_lsn', status.storedLsn],
    ['outbox_backlog_bytes', status.backlogBytes],
    ['outbox_backlog_bytes_max', status.backlogBytesMax],
    ['outbox_backlog_full', engine.backlogFull ? 1 : 0],
    ...Object.entries(status.counters).map(([name, count]): readonly [string, number] => [`outbox_count_${name}`, count]),
  ]
}

function commandStats(node: Node): Fields {
  return node.stats.commands
    .filter((command) => command.calls + command.rejected + command.failed > 0)
    .map((command) => {
      const perCall = command.calls === 0 ? 0 : command.usec / command.calls
      return [
        `cmdstat_${command.fullName}`,
        `calls=${command.calls},usec=${command.usec},usec_per_call=${perCall.toFixed(2)},` +
          `rejected_calls=${command.rejected},failed_calls=${command.failed}`,
      ]
    })
}

function errorStats(node: Node): Fields {
  return [...node.stats.errors].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => [`errorstat_${kind}`, `count=${count}`])
}

function latencyStats(node: Node): Fields {
  const percentiles = node.options.values['latency-tracking-info-percentiles']
  return node.stats.commands
    .filter((command) => command.histogram !== null && command.histogram.count > 0)
    .map((command) => [
      `latency_percentiles_usec_${command.fullName}`,
      percentiles.map((percent) => `p${percent}=${command.histogram!.percentile(percent).toFixed(3)}`).join(','),
    ])
}

function keyspace(node: Node): Fields {
  const fields: Fields = []
  node.engine.keyspace.databases.forEach((database, i) => {
    if (database.size > 0) fields.push([`db${i}`, `keys=${database.size},expires=${database.expiries.size},avg_ttl=0`])
  })
  return fields
}

/** As Redis shortens a number of bytes: 1.28M. */
export function human(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`
  let n = bytes
  let unit = ''
  for (unit of ['K', 'M', 'G', 'T', 'P']) {
    n /= 1024
    if (n < 1024) break
  }
  return `${n.toFixed(2)}${unit}`
}
