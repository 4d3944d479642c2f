// The options of a node: one table, from which come flags, environment, option file, CONFIG and the README's table.
//
// Names are those of redis.conf where it has one. A value is checked once, here, whatever way it came in; the rest of the server
// reads `options.values.port` and knows that it is a port. Which way wins: default < file < environment < flag < CONFIG SET.
//
// What decides where bytes are written or who may connect (dir, logfile, bind, port ...) cannot be changed at run time, by anybody:
// the trick of CONFIG SET dir + dbfilename, which turns a Redis into a file writer, has nothing to hold on to here.

import { closeSync, fchmodSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import { StockdError } from '../base/error.ts'

/** A value that was refused, with Redis's words for the reason. */
export class Refused {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** How the values of an option are read and written. */
export interface Kind<T> {
  /** For help and the README: `integer`, `bytes`, `yes|no` ... */
  readonly label: string
  parse(text: string): T | Refused
  /** As CONFIG GET shows it, and as the file holds it: parse(format(v)) is v. */
  format(value: T): string
  /** The file may say it in several words, which are not quoted then. */
  readonly severalWords?: boolean
}

const INTEGER = /^(?:0|-?[1-9][0-9]{0,15})$/

function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  return {
    label: 'integer',
    parse(text) {
      if (!INTEGER.test(text)) return new Refused("argument couldn't be parsed into an integer")
      const n = Number(text)
      return n >= min && n <= max ? n : new Refused(`argument must be between ${min} and ${max} inclusive`)
    },
    format: String,
  }
}

const MEMORY = /^([0-9]{1,16})(b|k|kb|m|mb|g|gb)?$/i
const MEMORY_UNITS = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1e3],
  ['kb', 1024],
  ['m', 1e6],
  ['mb', 1024 ** 2],
  ['g', 1e9],
  ['gb', 1024 ** 3],
])

/** Bytes, with Redis's units: `1k` is 1000, `1kb` is 1024. */
function memory(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  return {
    label: 'bytes',
    parse(text) {
      const n = parseMemory(text)
      if (n === undefined) return new Refused('argument must be a memory value')
      return n >= min && n <= max ? n : new Refused(`argument must be between ${min} and ${max} inclusive`)
    },
    format: String,
  }
}

function parseMemory(text: string): number | undefined {
  const match = MEMORY.exec(text)
  if (match === null) return undefined
  const n = Number(match[1]) * MEMORY_UNITS.get((match[2] ?? '').toLowerCase())!
  return Number.isSafeInteger(n) ? n : undefined
}

const DURATION = /^([0-9]{1,15})(ms|s|m|h|d)?$/
const DURATION_UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3600_000],
  ['d', 86400_000],
])
const DURATION_MS_MAX = 100 * 365 * 86400_000

/** A length of time, kept in milliseconds. A bare number is seconds. */
function duration(): Kind<number> {
  return {
    label: 'duration',
    parse(text) {
      const match = DURATION.exec(text)
      if (match === null) return new Refused('argument must be a duration like 500ms, 30s, 15m, 24h or 7d')
      const ms = Number(match[1]) * DURATION_UNITS.get(match[2] ?? 's')!
      return ms <= DURATION_MS_MAX ? ms : new Refused('argument must be at most 36500d')
    },
    format: (ms) => (ms % 1000 === 0 ? String(ms / 1000) : `${ms}ms`),
  }
}

const yesNo: Kind<boolean> = {
  label: 'yes|no',
  parse(text) {
    const word = text.toLowerCase()
    return word === 'yes' ? true : word === 'no' ? false : new Refused("argument must be 'yes' or 'no'")
  },
  format: (value) => (value ? 'yes' : 'no'),
}

function oneOf<const T extends string>(...words: readonly T[]): Kind<T> {
  return {
    label: words.join('|'),
    parse(text) {
      const word = text.toLowerCase()
      return words.find((w) => w === word) ?? new Refused(`argument(s) must be one of the following: ${words.join(', ')}`)
    },
    format: (value) => value,
  }
}

/** Free text without control characters: it goes into lines of files and logs. */
function text(check: (value: string) => string | null = () => null): Kind<string> {
  return {
    label: 'text',
    parse(value) {
      if (hasControlCharacter(value)) return new Refused('argument must not contain control characters')
      const reason = check(value)
      return reason === null ? value : new Refused(reason)
    },
    format: (value) => value,
  }
}

function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) < 32 || value.charCodeAt(i) === 127) return true
  return false
}

const words: Kind<readonly string[]> = {
  label: 'words',
  severalWords: true,
  parse(value) {
    if (hasControlCharacter(value)) return new Refused('argument must not contain control characters')
    return value.split(' ').filter((word) => word !== '')
  },
  format: (value) => value.join(' '),
}

/** When a client that does not read its replies is closed: at once beyond `hardBytes`, or after `softSeconds` beyond `softBytes`. 0: never. */
export interface OutputLimit {
  readonly hardBytes: number
  readonly softBytes: number
  readonly softSeconds: number
}
export interface OutputLimits {
  readonly normal: OutputLimit
  readonly replica: OutputLimit
  readonly pubsub: OutputLimit
}

const DEFAULT_OUTPUT_LIMITS: OutputLimits = {
  normal: { hardBytes: 64 * 1024 ** 2, softBytes: 0, softSeconds: 0 },
  replica: { hardBytes: 256 * 1024 ** 2, softBytes: 64 * 1024 ** 2, softSeconds: 60 },
  pubsub: { hardBytes: 32 * 1024 ** 2, softBytes: 8 * 1024 ** 2, softSeconds: 60 },
}

const outputLimits: Kind<OutputLimits> = {
  label: 'class hard soft seconds ...',
  severalWords: true,
  parse(value) {
    const parts = value.split(' ').filter((word) => word !== '')
    if (parts.length === 0 || parts.length % 4 !== 0) return new Refused('Wrong number of arguments in buffer limit configuration.')
    // Classes that are not named keep their default.
    let limits: OutputLimits = DEFAULT_OUTPUT_LIMITS
    for (let i = 0; i < parts.length; i += 4) {
      const name = parts[i].toLowerCase()
      const hardBytes = parseMemory(parts[i + 1])
      const softBytes = parseMemory(parts[i + 2])
      const softSeconds = INTEGER.test(parts[i + 3]) ? Number(parts[i + 3]) : -1
      if (name !== 'normal' && name !== 'slave' && name !== 'replica' && name !== 'pubsub') {
        return new Refused('Invalid client class specified in buffer limit configuration.')
      }
      if (hardBytes === undefined || softBytes === undefined || softSeconds < 0) {
        return new Refused('Error in hard, soft or soft_seconds setting in buffer limit configuration.')
      }
      limits = { ...limits, [name === 'slave' ? 'replica' : name]: { hardBytes, softBytes, softSeconds } }
    }
    return limits
  },
  format: (limits) => {
    const show = (name: string, l: OutputLimit): string => `${name} ${l.hardBytes} ${l.softBytes} ${l.softSeconds}`
    return `${show('normal', limits.normal)} ${show('slave', limits.replica)} ${show('pubsub', limits.pubsub)}`
  },
}

/** Space-separated percentiles; only shown by INFO latencystats. */
const percentiles: Kind<readonly number[]> = {
  label: 'percentiles',
  severalWords: true,
  parse(value) {
    const numbers = value
      .split(' ')
      .filter((word) => word !== '')
      .map((word) => (/^[0-9]{1,3}(\.[0-9]{1,6})?$/.test(word) ? Number(word) : -1))
    return numbers.every((n) => n >= 0 && n <= 100)
      ? numbers
      : new Refused('latency-tracking-info-percentiles parameters should sit between [0.0,100.0]')
  },
  format: (numbers) => numbers.join(' '),
}

const onlyEmpty = (value: string): string | null => (value === '' ? null : 'stockd writes a log, not RDB snapshots: only "" is accepted')

interface OptionText {
  /** What it is for: one line of help. */
  readonly about: string
  /** CONFIG SET may change it while the node runs. */
  readonly mutable?: boolean
  /** A secret: not accepted as a flag (every user of the machine can see a process's arguments), never logged. */
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

/** The table. Its order is the order of help and of the README. */
const TABLE = {
  // Network
  'port': option(integer(0, 65535), 7379, { about: 'TCP port; 0 takes a free one' }),
  'bind': option(words, ['127.0.0.1'] as readonly string[], {
    about: 'addresses to listen on; one with - in front may be missing on this machine',
  }),
  'protected-mode': option(yesNo, true, { mutable: true, about: 'without a password, only clients of this machine are served' }),
  'requirepass': option(text(), '', { mutable: true, secret: true, about: 'password of the default user; none when empty' }),
  'maxclients': option(integer(1, 1_000_000), 10_000, { mutable: true, about: 'connections at the same time' }),
  'timeout': option(integer(0, 2147483647), 0, { mutable: true, about: 'seconds after which an idle connection is closed; 0: never' }),
  'tcp-keepalive': option(integer(0, 2147483647), 300, { mutable: true, about: 'seconds between TCP keep-alive probes; 0: none' }),
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
  'hz': option(integer(1, 500), 10, { mutable: true, about: 'background rounds per second (samples, idle connections)' }),
  // The log
  'dir': option(
    text((value) => (value === '' ? 'argument must not be empty' : null)),
    'aof',
    { about: 'directory of the log; one node per directory' },
  ),
  'appendonly': option(yesNo, true, { about: 'keep a log; without it everything is gone when the node stops' }),
  'appendfsync': option(oneOf('everysec', 'always', 'no'), 'everysec', { mutable: true, about: 'when the log is forced to the disk' }),
  'aof-segment-size': option(memory(4096, 1024 * MIB), 64 * MIB, { about: 'bytes after which the log starts another segment' }),
  'aof-min-free': option(memory(0), 256 * MIB, { mutable: true, about: 'free disk space below which writes are refused' }),
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
  'allow-stock-flush': option(yesNo, false, { about: 'lets FLUSHDB, FLUSHALL and SWAPDB forget stock and orders' }),
  'node-number': option(integer(0, 255), 0, { about: 'number of this node among up to 256 that make order ids' }),
  // Watching
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

export type OptionSource = 'default' | 'file' | 'environment' | 'flag' | 'client'

/** One setting as it was given: the name in the spelling of the table if it is known. */
export interface Setting {
  readonly name: string
  readonly value: string
}

/** Why a change was refused; `name` is null when it is not about one option. */
export interface OptionRefusal {
  readonly name: string | null
  readonly reason: string
}

type Applier = (value: unknown) => string | null

export class Options {
  /** The values in force. */
  readonly values: OptionValues
  /** The option file that this node was started with; CONFIG REWRITE writes it. */
  file: string | null = null
  readonly #sources = new Map<string, OptionSource>()
  readonly #appliers = new Map<string, Applier>()

  constructor(values: Partial<OptionValues> = {}) {
    this.values = { ...defaults(), ...values }
  }

  /** A node's options from what its process was given. Throws StockdError BAD_OPTION with one clear line. */
  static from({ flags, environment }: { flags: Flags; environment: NodeJS.ProcessEnv }): Options {
    const options = new Options()
    const variables = readEnvironment(environment)
    if (flags.file !== null) {
      options.file = flags.file
      options.load(readOptionFile(flags.file), 'file')
    }
    options.load(variables, 'environment')
    options.load(flags.settings, 'flag')
    return options
  }

  /** Takes settings from outside before the node runs. Of a repeated option the last one counts. */
  load(settings: readonly Setting[], source: OptionSource): void {
    for (const { name, value } of settings) {
      const spec = OPTIONS.get(name)
      if (spec === undefined) throw new StockdError('BAD_OPTION', unknownOption(name))
      if (spec.secret && source === 'flag') {
        throw new StockdError(
          'BAD_OPTION',
          `${name} is a secret and a flag can be seen by every user of the machine: ` +
            `set ${variableOf(name)} or ${variableOf(name)}_FILE, or put it into the option file`,
        )
      }
      const parsed = spec.kind.parse(value)
      if (parsed instanceof Refused) {
        throw new StockdError('BAD_OPTION', `${name} ${spec.secret ? '(hidden)' : JSON.stringify(value)}: ${parsed.reason}`)
      }
      this.#put(name, parsed)
      this.#sources.set(name, source)
    }
  }

  /** The text of an option as CONFIG GET shows it; undefined for a name that is none. */
  text(name: string): string | undefined {
    const spec = OPTIONS.get(name)
    return spec?.kind.format(this.values[name as OptionName])
  }

  /** Where the value in force came from. */
  source(name: OptionName): OptionSource {
    return this.#sources.get(name) ?? 'default'
  }

  /**
   * Calls `apply` after each change of this option at run time. It may answer why the value cannot be used: then all changes of that
   * CONFIG SET are taken back.
   */
  whenChanged<K extends OptionName>(name: K, apply: (value: OptionValues[K]) => string | null | void): void {
    this.#appliers.set(name, (value) => apply(value as OptionValues[K]) ?? null)
  }

  /** Changes several options at run time, all or none. */
  change(settings: readonly Setting[]): OptionRefusal | null {
    const specs: OptionSpec[] = []
    for (const { name } of settings) {
      const spec = OPTIONS.get(name.toLowerCase())
      if (spec === undefined) return { name: null, reason: `Unknown option or number of arguments for CONFIG SET - '${name}'` }
      specs.push(spec)
    }
    const wanted = new Map<string, unknown>()
    for (let i = 0; i < settings.length; i++) {
      const name = settings[i].name.toLowerCase()
      if (!specs[i].mutable) return { name: settings[i].name, reason: "can't set immutable config" }
      if (wanted.has(name)) return { name: settings[i].name, reason: 'duplicate parameter' }
      const parsed = specs[i].kind.parse(settings[i].value)
      if (parsed instanceof Refused) return { name: settings[i].name, reason: parsed.reason }
      wanted.set(name, parsed)
    }

    // Everything is well-formed. An applier may still refuse (a limit of the machine): then the old values are applied again.
    const before = new Map<string, unknown>()
    for (const [name, value] of wanted) {
      before.set(name, this.values[name as OptionName])
      this.#put(name, value)
      const reason = this.#appliers.get(name)?.(value) ?? null
      if (reason !== null) {
        for (const [changed, old] of before) {
          this.#put(changed, old)
          if (changed !== name) this.#appliers.get(changed)?.(old)
        }
        return { name, reason }
      }
    }
    for (const name of wanted.keys()) this.#sources.set(name, 'client')
    return null
  }

  /**
   * Brings the option file up to date: its comments and order stay, a line of an option that has changed shows the value in force, and
   * options that differ from their default and have no line get one at the end. @returns why not, or null
   */
  rewrite(): string | null {
    const path = this.file
    if (path === null) return 'The server is running without a config file'
    try {
      const old = readFileSync(path, 'utf8')
      replaceFile(path, this.rewritten(old), statSync(path).mode & 0o777)
      return null
    } catch (error) {
      return `Rewriting config file: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`
    }
  }

  /** What `rewrite` makes of a file with this content. */
  rewritten(old: string): string {
    const lines: string[] = []
    const seen = new Set<string>()
    for (const line of old.replace(/\n$/, '').split('\n')) {
      const name = optionOfLine(line)
      if (name === null) lines.push(line)
      // Of a repeated option the last line counted: the value in force goes where the first one stood.
      else if (!seen.has(name)) {
        seen.add(name)
        lines.push(this.#line(name))
      }
    }
    const missing = [...OPTIONS].filter(([name, spec]) => !seen.has(name) && this.text(name) !== spec.kind.format(spec.default))
    if (missing.length > 0 && !old.includes(GENERATED)) lines.push(GENERATED)
    for (const [name] of missing) lines.push(this.#line(name))
    return lines.join('\n') + '\n'
  }

  #line(name: string): string {
    const value = this.text(name)!
    return `${name} ${OPTIONS.get(name)!.kind.severalWords && value !== '' ? value : quote(value)}`
  }

  #put(name: string, value: unknown): void {
    ;(this.values as Record<string, unknown>)[name] = value
  }
}

const GENERATED = '# Generated by CONFIG REWRITE'

function defaults(): OptionValues {
  return Object.fromEntries([...OPTIONS].map(([name, spec]) => [name, spec.default])) as unknown as OptionValues
}

// Flags ----------------------------------------------------------------------------------------------------------------------------

export interface Flags {
  readonly settings: readonly Setting[]
  /** The option file: the one argument without dashes, as redis-server takes it. */
  readonly file: string | null
  readonly help: boolean
  readonly version: boolean
}

/** Reads `stockd [file] [--name value ...]`, also `--name=value`, and a bare `--name` for yes. Throws StockdError BAD_OPTION. */
export function readFlags(argv: readonly string[]): Flags {
  const settings: Setting[] = []
  let file: string | null = null
  let help = false
  let version = false
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]
    if (argument === '--help' || argument === '-h') help = true
    else if (argument === '--version' || argument === '-v') version = true
    else if (argument.startsWith('--')) {
      const equals = argument.indexOf('=')
      const name = argument.slice(2, equals < 0 ? undefined : equals).toLowerCase()
      const spec = OPTIONS.get(name)
      if (spec === undefined) throw new StockdError('BAD_OPTION', unknownOption(name, '--'))
      if (equals >= 0) {
        settings.push({ name, value: argument.slice(equals + 1) })
        continue
      }
      // An option of several words takes all that follow: --bind 127.0.0.1 ::1.
      const values: string[] = []
      while (i + 1 < argv.length && !argv[i + 1].startsWith('--') && (values.length === 0 || spec.kind.severalWords)) values.push(argv[++i])
      if (values.length > 0) settings.push({ name, value: values.join(' ') })
      else if (spec.kind === (yesNo as Kind<unknown>)) settings.push({ name, value: 'yes' })
      else throw new StockdError('BAD_OPTION', `--${name} needs a value (${spec.kind.label})`)
    } else if (argument.startsWith('-') && argument !== '-') {
      throw new StockdError('BAD_OPTION', `unknown flag ${JSON.stringify(argument)}; options are written --name value`)
    } else if (file === null) file = argument
    else throw new StockdError('BAD_OPTION', `unexpected argument ${JSON.stringify(argument)}; options are written --name value`)
  }
  return { settings, file, help, version }
}

/** The lines of `--help` for the options, in the order of the table. */
export function flagHelp(): string {
  const left = [...OPTIONS].map(([name, spec]) => `  --${name} <${spec.kind.label}>`)
  const width = 44
  return [...OPTIONS]
    .map(([, spec], i) => {
      const initial = spec.kind.format(spec.default)
      const about = `${spec.about}${initial === '' ? '' : ` [${initial}]`}`
      return left[i].length < width ? `${left[i].padEnd(width)}${about}` : `${left[i]}\n${' '.repeat(width)}${about}`
    })
    .join('\n')
}

/** The README's table. */
export function optionTable(): string {
  const cell = (value: string): string => value.replaceAll('|', '\\|')
  const rows = [...OPTIONS].map(([name, spec]) => {
    const initial = spec.kind.format(spec.default)
    return `| \`${name}\` | ${cell(spec.kind.label)} | ${initial === '' ? '' : `\`${initial}\``} | ${spec.mutable ? 'yes' : 'no'} | ${cell(spec.about)} |`
  })
  return ['| option | value | default | CONFIG SET | what |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

// Environment ----------------------------------------------------------------------------------------------------------------------

/** `STOCKD_APPENDFSYNC` is appendfsync. */
function variableOf(name: string): string {
  return `STOCKD_${name.toUpperCase().replaceAll('-', '_')}`
}

/**
 * Settings in variables named STOCKD_...; a secret may also come as `..._FILE`, the path of a file that holds it. Other variables that
 * begin so are left alone: a container platform makes some of its own (STOCKD_SERVICE_HOST, STOCKD_PORT=tcp://10.0.0.1:7379).
 */
export function readEnvironment(environment: NodeJS.ProcessEnv): Setting[] {
  const variables = new Map(Object.entries(environment))
  const settings: Setting[] = []
  for (const [name, spec] of OPTIONS) {
    const variable = variableOf(name)
    const value = variables.get(variable)
    const path = spec.secret ? variables.get(`${variable}_FILE`) : undefined
    if (value !== undefined && path !== undefined) throw new StockdError('BAD_OPTION', `${variable} and ${variable}_FILE are both set`)
    if (path !== undefined) settings.push({ name, value: readTextFile(path, `${variable}_FILE`).replace(/\r?\n$/, '') })
    else if (value !== undefined && !(name === 'port' && value.startsWith('tcp://'))) settings.push({ name, value })
  }
  return settings
}

// The option file ------------------------------------------------------------------------------------------------------------------

/** Reads a file in the manner of redis.conf. Throws StockdError BAD_OPTION, which names the line. */
export function readOptionFile(path: string): Setting[] {
  return parseOptionFile(readTextFile(path, 'option file'), path)
}

function readTextFile(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new StockdError('BAD_OPTION', `${what} ${JSON.stringify(path)} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  }
}

/** One option a line: `name value`; `#` at its beginning makes a line a comment; quotes as in redis.conf. */
export function parseOptionFile(content: string, path: string): Setting[] {
  const settings: Setting[] = []
  content.split('\n').forEach((line, i) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return
    const fail = (reason: string): never => {
      throw new StockdError('BAD_OPTION', `${path}:${i + 1}: ${reason}`)
    }
    const parts = splitWords(trimmed) ?? fail('unbalanced quotes')
    const name = parts[0].toLowerCase()
    const spec = OPTIONS.get(name) ?? fail(unknownOption(name))
    if (parts.length < 2) fail(`${name} needs a value (${spec.kind.label})`)
    if (parts.length > 2 && !spec.kind.severalWords) fail(`${name} takes one value (${spec.kind.label}); quote it if it contains spaces`)
    const value = parts.slice(1).join(' ')
    const parsed = spec.kind.parse(value)
    if (parsed instanceof Refused) fail(`${name}: ${parsed.reason}`)
    settings.push({ name, value })
  })
  return settings
}

/** The option that a line sets; null for comments, empty lines and others. */
function optionOfLine(line: string): string | null {
  const trimmed = line.trim()
  if (trimmed === '' || trimmed.startsWith('#')) return null
  const name = trimmed.split(/\s/, 1)[0].toLowerCase()
  return OPTIONS.has(name) ? name : null
}

const ESCAPES = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['a', '\x07'],
])

/** Splits a line at spaces; "..." knows \n \r \t \b \a \xHH, '...' knows \'. Null: quotes do not match, or text follows a quote. */
export function splitWords(line: string): string[] | null {
  const found: string[] = []
  let i = 0
  for (;;) {
    while (i < line.length && /\s/.test(line[i])) i++
    if (i >= line.length) return found
    let word = ''
    while (i < line.length && !/\s/.test(line[i])) {
      const quoteMark = line[i]
      if (quoteMark !== '"' && quoteMark !== "'") {
        word += line[i++]
        continue
      }
      i++
      for (;;) {
        if (i >= line.length) return null
        if (line[i] === quoteMark) break
        if (line[i] !== '\\' || i + 1 >= line.length) word += line[i++]
        else if (quoteMark === "'") {
          if (line[i + 1] === "'") i++
          word += line[i++]
        } else if (/^x[0-9a-f]{2}/i.test(line.slice(i + 1, i + 4))) {
          word += String.fromCharCode(parseInt(line.slice(i + 2, i + 4), 16))
          i += 4
        } else {
          word += ESCAPES.get(line[i + 1]) ?? line[i + 1]
          i += 2
        }
      }
      i++
      if (i < line.length && !/\s/.test(line[i])) return null
    }
    found.push(word)
  }
}

function quote(value: string): string {
  if (/^[^\s"'\\#]+$/.test(value)) return value
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** A crash leaves the old file or the new one, never half of one. */
function replaceFile(path: string, content: string, mode: number): void {
  const temporary = `${path}.tmp`
  const fd = openSync(temporary, 'w', mode)
  try {
    fchmodSync(fd, mode)
    writeSync(fd, content)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
}

// Suggestions ----------------------------------------------------------------------------------------------------------------------

function unknownOption(name: string, dashes = ''): string {
  const near = nearest(name)
  return `unknown option ${JSON.stringify(dashes + name)}${near === null ? '' : `; did you mean ${dashes}${near}?`}`
}

/** The option whose name is nearest, if it is near enough to be what was meant. */
function nearest(name: string): string | null {
  let best: string | null = null
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const known of OPTIONS.keys()) {
    const edits = known.startsWith(name) && name.length >= 4 ? 1 : editDistance(name.slice(0, 64), known)
    if (edits < least) {
      best = known
      least = edits
    }
  }
  return best
}

/** Levenshtein's: how many characters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}
