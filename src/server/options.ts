// The options of a node: one table, from which come flags, environment, option file, CONFIG and the README's table.
//
// Names are those of redis.conf where it has one. A value is checked once, here, whatever way it came in (options/); the rest of the
// server reads `options.values.port` and knows that it is a port. Which way wins: default < file < environment < flag < CONFIG SET.
//
// What decides where bytes are written or who may connect (dir, logfile, bind, port ...) cannot be changed at run time, by anybody:
// the trick of CONFIG SET dir + dbfilename, which turns a Redis into a file writer, has nothing to hold on to here.

import { AUTO_MIN_FREE } from '../aof/log.ts'
import { assert } from '../base/assert.ts'
import { StockdError } from '../base/error.ts'
import { REDIS_ONLY, redisOnlyName, REDIS_ONLY_NAMES } from './options/redis-only.ts'
import {
  DEFAULT_OUTPUT_LIMITS,
  duration,
  integer,
  noticeClasses,
  memory,
  oneOf,
  orAuto,
  orNo,
  outputLimits,
  password,
  percentiles,
  Refused,
  text,
  users,
  tlsProtocols,
  words,
  yesNo,
} from './options/kinds.ts'
import type { Kind } from './options/kinds.ts'

const onlyEmpty = (value: string): string | null => (value === '' ? null : 'stockd writes a log, not RDB snapshots: only "" is accepted')

const notEmpty = (value: string): string | null => (value === '' ? 'argument must not be empty' : null)

interface OptionText {
  /** What it is for: one line of help. */
  readonly about: string
  /** CONFIG SET may change it while the node runs. */
  readonly mutable?: boolean
  /** A secret: never logged. As a flag every user of the machine can see it, so there it is warned about. */
  readonly secret?: boolean
}

export interface OptionSpec<T = unknown> {
  readonly kind: Kind<T>
  readonly default: T
  readonly about: string
  readonly mutable: boolean
  readonly secret: boolean
}

function option<T>(kind: Kind<T>, initial: T, { about, mutable = false, secret = false }: OptionText): OptionSpec<T> {
  return { kind, default: initial, about, mutable, secret }
}

const MIB = 1024 ** 2
/** Bytes by the size of the disk. */
export const AUTO_BYTES = -1
/** The value of `http no`. */
export const NO_HTTP = -1

/** The table. Its order is the order of help and of the README. */
const TABLE = {
  // Network
  'port': option(integer(0, 65535), 7379, { about: 'TCP port; 0 takes a free one, and with a tls-port none' }),
  'bind': option(words, ['127.0.0.1'] as readonly string[], {
    about: 'addresses to listen on; one with - in front may be missing on this machine',
  }),
  'protected-mode': option(yesNo, true, { mutable: true, about: 'without a password, only clients of this machine are served' }),
  'requirepass': option(password, '', { mutable: true, secret: true, about: 'password of the default user; none when empty' }),
  'user': option(users, [] as readonly string[], {
    secret: true,
    about: 'a user and his rules, as for ACL SETUSER; once for each user',
  }),
  'aclfile': option(text(), '', { about: 'file that users are kept in, read at the start and by ACL LOAD, written by ACL SAVE' }),
  'acl-pubsub-default': option(oneOf('resetchannels', 'allchannels'), 'resetchannels', {
    mutable: true,
    about: 'whether a new user may use all channels or none',
  }),
  'acllog-max-len': option(integer(0), 128, { mutable: true, about: 'refusals and failed logins that ACL LOG keeps' }),
  'maxclients': option(integer(1, 1_000_000), 10_000, { mutable: true, about: 'connections at the same time' }),
  'timeout': option(integer(0, 2147483647), 0, { mutable: true, about: 'seconds after which an idle connection is closed; 0: never' }),
  'tcp-keepalive': option(integer(0, 2147483647), 300, { mutable: true, about: 'seconds between TCP keep-alive probes; 0: none' }),
  'tls-port': option(integer(0, 65535), 0, { about: 'port of clients that speak TLS; 0: none' }),
  'tls-cert-file': option(text(), '', {
    mutable: true,
    about: 'PEM file with the certificate of the node, and behind it those that signed it; read again by SIGHUP and when it is set',
  }),
  'tls-key-file': option(text(), '', { mutable: true, about: 'PEM file with the key of that certificate' }),
  'tls-key-file-pass': option(text(), '', { mutable: true, secret: true, about: 'what unlocks that key' }),
  'tls-ca-cert-file': option(text(), '', { mutable: true, about: 'PEM file with the authorities that sign the certificates of clients' }),
  'tls-ca-cert-dir': option(text(), '', { mutable: true, about: 'directory of such files' }),
  'tls-auth-clients': option(oneOf('yes', 'no', 'optional'), 'yes', {
    mutable: true,
    about: 'whether clients must show a certificate that an authority of ours has signed; optional: only those that have one',
  }),
  'tls-protocols': option(tlsProtocols, [] as readonly string[], {
    mutable: true,
    about: 'TLSv1.2 and TLSv1.3, or one of them; empty: both',
  }),
  'tls-ciphers': option(text(), '', { mutable: true, about: 'ciphers of TLS 1.2, as OpenSSL lists them; empty: those of Node' }),
  'tls-ciphersuites': option(text(), '', { mutable: true, about: 'suites of TLS 1.3; empty: those of Node' }),
  'tls-prefer-server-ciphers': option(yesNo, false, { mutable: true, about: 'our order of ciphers counts, not that of the client' }),
  'tls-session-caching': option(yesNo, true, { mutable: true, about: 'clients that come again need no full handshake' }),
  'tls-session-cache-size': option(integer(0), 20480, {
    mutable: true,
    about: 'accepted, for files that set it: what resumes a session is a ticket that the client keeps, the node keeps none',
  }),
  'tls-session-cache-timeout': option(integer(0, 2147483647), 300, { mutable: true, about: 'seconds for which that holds' }),
  'tcp-backlog': option(integer(0, 65535), 511, { about: 'connections that may wait to be accepted' }),
  'proto-max-bulk-len': option(memory(MIB, 512 * MIB), 512 * MIB, { mutable: true, about: 'longest single argument' }),
  'client-query-buffer-limit': option(memory(MIB), 4 * MIB, {
    mutable: true,
    about: 'unread input that one connection may pile up beside one long argument',
  }),
  'client-output-buffer-limit': option(outputLimits, DEFAULT_OUTPUT_LIMITS, {
    mutable: true,
    about: 'unread replies after which a connection is closed',
  }),
  // Memory and time
  'databases': option(integer(1, 16), 16, { about: 'number of databases; stock lives in database 0' }),
  'maxmemory': option(memory(0), 0, { mutable: true, about: 'memory above which writes that need more are refused (OOM); 0: no limit' }),
  'maxmemory-policy': option(oneOf('noeviction'), 'noeviction', {
    mutable: true,
    about: 'nothing is ever evicted: stock and orders are not a cache',
  }),
  'notify-keyspace-events': option(noticeClasses, 0, {
    mutable: true,
    about: 'which changes of keys and of stock are told on channels (`KEA`: all that Redis tells; `ib`: stock); nothing when empty',
  }),
  'hz': option(integer(1, 500), 10, { mutable: true, about: 'background rounds per second (samples, idle connections)' }),
  // When a collection is said to have given up its compact form
  'hash-max-listpack-entries': option(integer(0), 512, { mutable: true, about: 'fields up to which a hash is said to be a `listpack`' }),
  'hash-max-listpack-value': option(memory(0), 64, { mutable: true, about: 'bytes of a field or value up to which a hash is one' }),
  'set-max-intset-entries': option(integer(0), 512, { mutable: true, about: 'integers up to which a set is said to be an `intset`' }),
  'zset-max-listpack-entries': option(integer(0), 128, {
    mutable: true,
    about: 'elements up to which a sorted set is said to be a `listpack`',
  }),
  'zset-max-listpack-value': option(memory(0), 64, { mutable: true, about: 'bytes of a member up to which a sorted set is one' }),
  'list-max-listpack-size': option(integer(-5, 2 ** 31 - 1), -2, {
    mutable: true,
    about: 'how much one block of a list holds: -1 .. -5 for 4, 8, 16, 32 or 64 KiB, else so many elements',
  }),
  // The log
  'dir': option(text(notEmpty), 'aof', { about: 'directory of the log; one node per directory' }),
  'appendonly': option(yesNo, true, { about: 'keep a log; without it everything is gone when the node stops' }),
  'appendfsync': option(oneOf('everysec', 'always', 'no'), 'everysec', { mutable: true, about: 'when the log is forced to the disk' }),
  'aof-segment-size': option(memory(4096, 1024 * MIB), 64 * MIB, { about: 'bytes after which the log starts another segment' }),
  'aof-min-free': option(orAuto(memory(0), AUTO_MIN_FREE), AUTO_MIN_FREE, {
    mutable: true,
    about: 'free disk space below which writes are refused; auto: 256 MiB or four segments, but at most a tenth of the disk',
  }),
  'aof-ballast': option(memory(0), 64 * MIB, { about: 'size of the file that an operator deletes to get room on a full disk; 0: none' }),
  'event-history': option(duration(), 24 * 3600_000, {
    about: 'how far back stock:events reaches, at least: so old a copy of the orders database can be filled up again',
  }),
  'event-history-bytes': option(orAuto(memory(0), AUTO_BYTES), AUTO_BYTES, {
    about: 'size of the log above which history is forgotten earlier; auto: a tenth of the disk',
  }),
  'aof-on-fsync-error': option(oneOf('readonly', 'rewrite', 'exit'), 'readonly', {
    mutable: true,
    about: 'what happens when the disk fails an fsync',
  }),
  'auto-aof-rewrite-percentage': option(integer(0, 2147483647), 100, {
    mutable: true,
    about: 'growth of the log since the last compaction that starts the next; 0: never',
  }),
  'auto-aof-rewrite-min-size': option(memory(0), 64 * MIB, { mutable: true, about: 'size below which the log is not compacted by itself' }),
  'unsafe-no-lock': option(yesNo, false, { about: 'start although the directory cannot be locked' }),
  'allow-network-fs': option(yesNo, false, { about: 'accept a log directory on a network file system' }),
  'save': option(text(onlyEmpty), '', { mutable: true, about: 'accepted when empty, for tools that set it: there are no RDB snapshots' }),
  // Stock and orders
  'order-retention': option(duration(), 24 * 3600_000, {
    mutable: true,
    about: 'how long released, expired and returned orders are remembered',
  }),
  'return-window': option(duration(), 7 * 86400_000, { mutable: true, about: 'how long confirmed orders can be returned' }),
  'restart-grace': option(duration(), 30_000, { mutable: true, about: 'what every open hold has left, at least, after a restart' }),
  'allow-stock-flush': option(yesNo, false, {
    about: 'lets FLUSHDB, FLUSHALL and SWAPDB forget stock and orders; no event tells it: a database keeps them, and reconcile lists them',
  }),
  'node-number': option(integer(0, 255), 0, { about: 'number of this node among up to 256 that make order ids' }),
  // Where orders go
  'amqp': option(text(), '', {
    secret: true,
    about: 'amqp:// or amqps:// address of RabbitMQ, or several with commas: events go there; empty: into orders-db',
  }),
  'amqp-prefix': option(text(notEmpty), 'stock', { about: 'what the names of queues and exchanges begin with' }),
  'amqp-exchange': option(text(), '', { about: 'topic exchange that events go to; empty: <amqp-prefix>.events' }),
  'amqp-queue-bytes': option(memory(MIB), 2048 * MIB, { about: 'bytes that the queue of a part takes; more waits in the log' }),
  'amqp-ca': option(text(), '', { about: 'file with the certificates that the broker may have signed its own with' }),
  'amqp-cert': option(text(), '', { about: 'file with the certificate that the node shows the broker' }),
  'amqp-key': option(text(), '', { about: 'file with the key of amqp-cert' }),
  'orders-db': option(text(notEmpty), 'auto', {
    about:
      'SQLite file that orders are stored in when there is no amqp; auto: orders.db in dir; no: nowhere. Under appendfsync no either of them ' +
      'has the log fsynced each second, which no reply waits for: what is not on the disk is not told to others',
  }),
  'outbox-backlog': option(orAuto(memory(MIB), AUTO_BYTES), AUTO_BYTES, {
    about: 'bytes of the log that may wait to be stored before new orders are refused with BACKLOG; auto: half of the disk',
  }),
  // Watching
  'http': option(orNo(integer(0, 65535), NO_HTTP), NO_HTTP, { about: 'port of /metrics, /healthz and /readyz; 0 takes a free one' }),
  'http-bind': option(text(notEmpty), '127.0.0.1', { about: 'address of that port: whoever reaches it can read the figures' }),
  'audit-rate': option(integer(0, 100), 1, {
    mutable: true,
    about: 'percent of the orders that are recounted each second, in slices of at most 2 ms; 0: none',
  }),
  'audit-mark-interval': option(integer(0, 86400), 10, {
    mutable: true,
    about: 'seconds between audit marks, by which the databases check their figures; 0: none',
  }),
  'loglevel': option(oneOf('debug', 'verbose', 'notice', 'warning'), 'notice', {
    mutable: true,
    about: 'what the log of the process tells',
  }),
  'logfile': option(text(), '', { about: 'where it tells it; standard output when empty' }),
  'log-format': option(oneOf('text', 'json'), 'text', { about: 'lines for people or for programs' }),
  'slowlog-log-slower-than': option(integer(-1), 10_000, {
    mutable: true,
    about: 'microseconds from which SLOWLOG keeps a command; 0: all, -1: none',
  }),
  'slowlog-max-len': option(integer(0, 1_000_000), 128, { mutable: true, about: 'commands that SLOWLOG keeps' }),
  'latency-monitor-threshold': option(integer(0), 0, { mutable: true, about: 'milliseconds from which LATENCY keeps an event; 0: none' }),
  'latency-tracking': option(yesNo, true, { mutable: true, about: 'keep a latency histogram of every command' }),
  'latency-tracking-info-percentiles': option(percentiles, [50, 99, 99.9] as readonly number[], {
    mutable: true,
    about: 'percentiles in INFO latencystats',
  }),
  'shutdown-timeout': option(integer(0, 3600), 10, { mutable: true, about: 'seconds that a stop waits for replies to leave' }),
  'enable-debug-command': option(oneOf('no', 'yes', 'local'), 'no', { about: 'who may use DEBUG' }),
}

export type OptionName = keyof typeof TABLE
export type OptionValues = { readonly [K in OptionName]: (typeof TABLE)[K] extends OptionSpec<infer T> ? T : never }

/** The table by name. Names from outside are looked up here, never as properties. */
export const OPTIONS: ReadonlyMap<string, OptionSpec> = new Map(Object.entries(TABLE) as [string, OptionSpec][])

/** One setting as it was given. */
export interface Setting {
  readonly name: string
  readonly value: string
}

/** Why a change was refused; `name` is null when it is not about one option. */
export interface OptionRefusal {
  readonly name: string | null
  readonly reason: string
}

/** redis-server says of these that they are guarded. */
const PROTECTED: ReadonlySet<string> = new Set(['dir', 'dbfilename'])
/** Of these it says that they cannot be changed, even to what they are. */
const IMMUTABLE_IN_REDIS: ReadonlySet<string> = new Set(['databases', 'tcp-backlog', 'logfile', 'aclfile', 'enable-debug-command'])

type Applier = (value: unknown) => string | null

export class Options {
  /** The values in force. */
  readonly values: OptionValues
  /** The option file that this node was started with; CONFIG REWRITE writes it. */
  file: string | null = null
  /** Several options may have one in common: it runs once for a change of any of them. */
  readonly #appliers = new Map<string, Applier>()
  /** What parameters that mean nothing here (options/redis-only.ts) were set to. */
  readonly #redisOnly = new Map<string, string>()

  constructor(values: Partial<OptionValues> = {}) {
    this.values = { ...defaults(), ...values }
  }

  /** Takes settings of known names before the node runs; of a repeated one the last counts. Throws StockdError BAD_OPTION. */
  load(settings: readonly Setting[]): void {
    for (const { name, value } of settings) {
      const spec = OPTIONS.get(name)
      assert(spec !== undefined, `no option is called ${name}`)
      const parsed = spec.kind.parse(value)
      if (parsed instanceof Refused) {
        throw new StockdError('BAD_OPTION', `${name} ${spec.secret ? '(hidden)' : JSON.stringify(value)}: ${parsed.reason}`)
      }
      const { add } = spec.kind
      this.#put(name, add === undefined ? parsed : add(this.values[name as OptionName], parsed))
    }
  }

  /** The text of an option as CONFIG GET shows it; undefined for a name that is none, or that can be said several times (`user`). */
  text(name: string): string | undefined {
    const known = optionName(name)
    const redisOnly = redisOnlyName(name)
    if (redisOnly !== undefined) return this.#redisOnly.get(redisOnly) ?? REDIS_ONLY.get(redisOnly)!.initial
    if (isRepeated(known)) return undefined
    return OPTIONS.get(known)?.kind.format(this.values[known as OptionName])
  }

  /** The lines of a repeated option that CONFIG REWRITE puts in place of those in the file. */
  linesOf: (name: string) => readonly string[] = (name) => this.values[name as 'user'].map((line) => `${name} ${line}`)

  /**
   * Calls `apply` after each change of this option at run time. It may answer why the value cannot be used: then all changes of that
   * CONFIG SET are taken back.
   */
  whenChanged<K extends OptionName>(name: K, apply: (value: OptionValues[K]) => string | null | void): void {
    this.#appliers.set(name, (value) => apply(value as OptionValues[K]) ?? null)
  }

  /** The same for options that only make sense together: it runs when all that change have their new value. */
  whenAnyChanged(names: readonly OptionName[], apply: () => string | null | void): void {
    const applier = (): string | null => apply() ?? null
    for (const name of names) this.#appliers.set(name, applier)
  }

  /** Changes several options at run time, all or none. */
  change(settings: readonly Setting[]): OptionRefusal | null {
    for (const { name } of settings) {
      const known = name.toLowerCase()
      if ((OPTIONS.has(optionName(known)) && !isRepeated(known)) || redisOnlyName(known) !== undefined) continue
      return { name: null, reason: `Unknown option or number of arguments for CONFIG SET - '${name}'` }
    }
    const wanted = new Map<string, unknown>()
    const redisOnly = new Map<string, string>()
    for (const setting of settings) {
      const given = setting.name.toLowerCase()
      const name = redisOnlyName(given) ?? optionName(given)
      const spec = OPTIONS.get(name)
      const redisSpec = REDIS_ONLY.get(name)
      if (PROTECTED.has(name)) return { name: setting.name, reason: "can't set protected config" }
      if (redisSpec?.isImmutable === true || (spec?.mutable === false && !this.#isInForce(name, setting.value))) {
        return { name: setting.name, reason: "can't set immutable config" }
      }
      if (wanted.has(name) || redisOnly.has(name)) return { name: setting.name, reason: 'duplicate parameter' }
      const parsed = (spec?.kind ?? redisSpec!).parse(setting.value)
      if (parsed instanceof Refused) return { name: setting.name, reason: parsed.reason }
      if (spec === undefined) redisOnly.set(name, parsed as string)
      else wanted.set(name, parsed)
    }

    // Everything is well-formed. An applier may still refuse (a limit of the machine): then the old values are applied again.
    const before = new Map<string, unknown>()
    for (const [name, value] of wanted) {
      before.set(name, this.values[name as OptionName])
      this.#put(name, value)
    }
    const refusal = this.#apply(wanted)
    if (refusal !== null) {
      for (const [name, old] of before) this.#put(name, old)
      this.#apply(before)
    } else for (const [name, value] of redisOnly) this.#redisOnly.set(name, value)
    return refusal
  }

  /** Tools that set an option to the value that it has change nothing, though it cannot be changed. */
  #isInForce(name: string, value: string): boolean {
    return !IMMUTABLE_IN_REDIS.has(name) && this.text(name) === value
  }

  #apply(changed: ReadonlyMap<string, unknown>): OptionRefusal | null {
    const done = new Set<Applier>()
    for (const [name, value] of changed) {
      const applier = this.#appliers.get(name)
      if (applier === undefined || done.has(applier)) continue
      done.add(applier)
      const reason = applier(value)
      if (reason !== null) return { name, reason }
    }
    return null
  }

  #put(name: string, value: unknown): void {
    ;(this.values as Record<string, unknown>)[name] = value
  }
}

function defaults(): OptionValues {
  return Object.fromEntries([...OPTIONS].map(([name, spec]) => [name, spec.default])) as unknown as OptionValues
}

/** Redis's older names of options; CONFIG and the option file take either. */
const OLDER_NAMES: ReadonlyMap<string, OptionName> = new Map([
  ['hash-max-ziplist-entries', 'hash-max-listpack-entries'],
  ['hash-max-ziplist-value', 'hash-max-listpack-value'],
  ['zset-max-ziplist-entries', 'zset-max-listpack-entries'],
  ['zset-max-ziplist-value', 'zset-max-listpack-value'],
  ['list-max-ziplist-size', 'list-max-listpack-size'],
])

/** The name in the table of an option that may be called by an older one. */
export function optionName(name: string): string {
  return OLDER_NAMES.get(name) ?? name
}

/** It is said once for each thing: the file's business, not CONFIG's. */
export function isRepeated(name: string): boolean {
  return OPTIONS.get(name)?.kind.add !== undefined
}

/** Every name by which CONFIG knows a parameter. */
export const CONFIG_NAMES: readonly string[] = [...OPTIONS.keys(), ...OLDER_NAMES.keys(), ...REDIS_ONLY_NAMES].filter(
  (name) => !isRepeated(name),
)

/** The README's table. */
export function optionTable(): string {
  const cell = (value: string): string => value.replaceAll('|', '\\|')
  const rows = [...OPTIONS].map(([name, spec]) => {
    const initial = spec.kind.format(spec.default)
    return `| \`${name}\` | ${cell(spec.kind.label)} | ${initial === '' ? '' : `\`${initial}\``} | ${spec.mutable ? 'yes' : 'no'} | ${cell(spec.about)} |`
  })
  return ['| option | value | default | CONFIG SET | what |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}
