// Parameters of redis-server that a node has no use for. Tools ask for them and set them, so CONFIG knows them; nothing else does: they are
// no flags, and no lines of the option file.
//
// What would change nothing that anybody could see (how memory is laid out, how eagerly something is done that is not done here) is taken
// and shown. What would promise something keeps the one value that is true of a node; setting that one is fine, another is refused.

import { integer, memory, oneOf, Refused, text, yesNo } from './kinds.ts'
import type { Kind } from './kinds.ts'

export interface RedisOnlyOption {
  /** The text that is shown until another is set. */
  readonly initial: string
  readonly older: readonly string[]
  /** CONFIG SET answers that it cannot be changed while the server runs, as redis-server's does. */
  readonly isImmutable: boolean
  /** The text that is shown from then on. */
  parse(value: string): string | Refused
}

/** Changes nothing here, whatever it is set to. */
function idle<T>(kind: Kind<T>, initial: string, older: readonly string[] = []): RedisOnlyOption {
  const parse = (value: string): string | Refused => {
    const parsed = kind.parse(value)
    return parsed instanceof Refused ? parsed : kind.format(parsed)
  }
  return { initial, older, isImmutable: false, parse }
}

/** Has one value here. */
function only(initial: string, reason: string, older: readonly string[] = []): RedisOnlyOption {
  const parse = (value: string): string | Refused => (value.toLowerCase() === initial ? initial : new Refused(reason))
  return { initial, older, isImmutable: false, parse }
}

function fixed(initial: string, older: readonly string[] = []): RedisOnlyOption {
  return { initial, older, isImmutable: true, parse: (value) => value }
}

const INT_MAX = 2 ** 31 - 1
const NO_REPLICAS = 'there are no replicas'
const NO_SNAPSHOTS = 'there are no RDB snapshots'
const count = integer(0, INT_MAX)

export const REDIS_ONLY: ReadonlyMap<string, RedisOnlyOption> = new Map([
  // The process
  ['daemonize', fixed('no')],
  ['supervised', fixed('no')],
  ['pidfile', fixed('')],
  ['syslog-enabled', fixed('no')],
  ['unixsocket', fixed('')],
  ['unixsocketperm', fixed('0')],
  ['io-threads', fixed('1')],
  ['io-threads-do-reads', fixed('no')],
  ['disable-thp', fixed('yes')],
  ['cluster-enabled', fixed('no')],
  ['enable-protected-configs', fixed('no')],
  ['enable-module-command', fixed('no')],
  ['dynamic-hz', idle(yesNo, 'yes')],
  ['oom-score-adj', only('no', 'a node leaves that to whoever starts it')],
  ['shutdown-on-sigint', only('default', 'a node stops in one way')],
  ['shutdown-on-sigterm', only('default', 'a node stops in one way')],
  ['busy-reply-threshold', idle(integer(0), '5000', ['lua-time-limit'])],
  // Memory
  ['maxmemory-clients', only('0', 'connections are not evicted: client-output-buffer-limit and client-query-buffer-limit end them')],
  ['maxmemory-samples', idle(integer(1, 64), '5')],
  ['maxmemory-eviction-tenacity', idle(integer(0, 100), '10')],
  ['lfu-log-factor', idle(count, '10')],
  ['lfu-decay-time', idle(count, '1')],
  ['activedefrag', only('no', 'freed memory is used again by itself')],
  ['active-defrag-cycle-min', idle(integer(1, 99), '1')],
  ['active-defrag-cycle-max', idle(integer(1, 99), '25')],
  ['active-defrag-ignore-bytes', idle(memory(1), '104857600')],
  ['active-defrag-max-scan-fields', idle(integer(1), '1000')],
  ['active-defrag-threshold-lower', idle(integer(0, 1000), '10')],
  ['active-defrag-threshold-upper', idle(integer(0, 1000), '100')],
  ['active-expire-effort', idle(integer(1, 10), '1')],
  ['activerehashing', idle(yesNo, 'yes')],
  ['jemalloc-bg-thread', idle(yesNo, 'yes')],
  ['lazyfree-lazy-eviction', idle(yesNo, 'no')],
  ['lazyfree-lazy-expire', idle(yesNo, 'no')],
  ['lazyfree-lazy-server-del', idle(yesNo, 'no')],
  ['lazyfree-lazy-user-del', idle(yesNo, 'no')],
  ['lazyfree-lazy-user-flush', idle(yesNo, 'no')],
  ['list-compress-depth', idle(count, '0')],
  ['hll-sparse-max-bytes', idle(memory(0), '3000')],
  ['stream-node-max-bytes', idle(memory(0), '4096')],
  ['stream-node-max-entries', idle(integer(0), '100')],
  ['tracking-table-max-keys', idle(integer(0), '1000000')],
  // Snapshots and the log
  ['dbfilename', fixed('')],
  ['rdbchecksum', fixed('yes')],
  ['rdbcompression', idle(yesNo, 'yes')],
  ['rdb-del-sync-files', idle(yesNo, 'no')],
  ['rdb-save-incremental-fsync', idle(yesNo, 'yes')],
  ['sanitize-dump-payload', idle(oneOf('no', 'yes', 'clients'), 'no')],
  ['stop-writes-on-bgsave-error', idle(yesNo, 'yes')],
  ['aof-load-truncated', only('yes', 'a torn tail is cut; what is damaged otherwise is never loaded')],
  ['aof-rewrite-incremental-fsync', idle(yesNo, 'yes')],
  ['aof-timestamp-enabled', only('no', 'the log has times of its own')],
  ['aof-use-rdb-preamble', only('no', NO_SNAPSHOTS)],
  ['no-appendfsync-on-rewrite', only('no', 'appendfsync holds while the log is compacted too')],
  // Replicas and clusters
  ['replicaof', fixed('', ['slaveof'])],
  ['masterauth', only('', NO_REPLICAS)],
  ['masteruser', only('', NO_REPLICAS)],
  ['min-replicas-to-write', only('0', NO_REPLICAS, ['min-slaves-to-write'])],
  ['min-replicas-max-lag', idle(count, '10', ['min-slaves-max-lag'])],
  ['repl-backlog-size', idle(memory(1), '1048576')],
  ['repl-backlog-ttl', idle(integer(0), '3600')],
  ['repl-disable-tcp-nodelay', idle(yesNo, 'no')],
  ['repl-diskless-load', idle(oneOf('disabled', 'on-empty-db', 'swapdb'), 'disabled')],
  ['repl-diskless-sync', idle(yesNo, 'yes')],
  ['repl-diskless-sync-delay', idle(count, '5')],
  ['repl-diskless-sync-max-replicas', idle(count, '0')],
  ['repl-ping-replica-period', idle(integer(1, INT_MAX), '10', ['repl-ping-slave-period'])],
  ['repl-timeout', idle(integer(1, INT_MAX), '60')],
  ['replica-announce-ip', idle(text(), '', ['slave-announce-ip'])],
  ['replica-announce-port', idle(integer(0, 65535), '0', ['slave-announce-port'])],
  ['replica-announced', idle(yesNo, 'yes')],
  ['replica-ignore-maxmemory', idle(yesNo, 'yes', ['slave-ignore-maxmemory'])],
  ['replica-lazy-flush', idle(yesNo, 'no', ['slave-lazy-flush'])],
  ['replica-priority', idle(count, '100', ['slave-priority'])],
  ['replica-read-only', idle(yesNo, 'yes', ['slave-read-only'])],
  ['replica-serve-stale-data', idle(yesNo, 'yes', ['slave-serve-stale-data'])],
  ['cluster-require-full-coverage', idle(yesNo, 'yes')],
  ['cluster-node-timeout', idle(integer(0), '15000')],
])

const NAMES: ReadonlyMap<string, string> = new Map(
  [...REDIS_ONLY].flatMap(([name, { older }]) => [name, ...older].map((one): [string, string] => [one, name])),
)

/** All names by which CONFIG knows them. */
export const REDIS_ONLY_NAMES: readonly string[] = [...NAMES.keys()]

/** The name in the table of an option that may be called by an older one; undefined for a name that is none. */
export function redisOnlyName(name: string): string | undefined {
  return NAMES.get(name)
}
