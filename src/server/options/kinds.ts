// Kinds of option values: how a text becomes a value, and a value a text again. Refusals are in redis-server's words.

import { CLASS_LETTERS, formatClasses, parseClasses } from '../../engine/notices.ts'

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
  /** It may be said several times: what each time adds. Otherwise the last time counts. */
  readonly add?: (before: T, more: T) => T
}

const INTEGER = /^(?:0|-?[1-9][0-9]{0,15})$/

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
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
export function memory(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
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

/** A kind that also takes the word `auto`: whoever reads the option decides. */
export function orAuto(kind: Kind<number>, auto: number): Kind<number> {
  return orWord(kind, 'auto', auto)
}

/** A kind that also takes the word `no`. */
export function orNo(kind: Kind<number>, no: number): Kind<number> {
  return orWord(kind, 'no', no)
}

function orWord(kind: Kind<number>, word: string, meaning: number): Kind<number> {
  return {
    label: `${kind.label}|${word}`,
    parse: (text) => (text.toLowerCase() === word ? meaning : kind.parse(text)),
    format: (n) => (n === meaning ? word : kind.format(n)),
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
export function duration(): Kind<number> {
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

/** What notify-keyspace-events wants to hear, as bits. */
export const noticeClasses: Kind<number> = {
  label: 'letters',
  parse: (value) => parseClasses(value) ?? new Refused(`Invalid event class character. Use '${CLASS_LETTERS}'.`),
  format: formatClasses,
}

export const yesNo: Kind<boolean> = {
  label: 'yes|no',
  parse(text) {
    const word = text.toLowerCase()
    return word === 'yes' ? true : word === 'no' ? false : new Refused("argument must be 'yes' or 'no'")
  },
  format: (value) => (value ? 'yes' : 'no'),
}

export function oneOf<const T extends string>(...words: readonly T[]): Kind<T> {
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
export function text(check: (value: string) => string | null = () => null): Kind<string> {
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

/** A password may hold any character; the file holds it escaped. */
export const password: Kind<string> = { label: 'text', parse: (value) => value, format: (value) => value }

/** `name rule ...`, one user each time or each line. What the rules mean is up to the ACL. */
export const users: Kind<readonly string[]> = {
  label: 'name rule ...',
  severalWords: true,
  parse: (value) => value.split('\n').filter((line) => line.trim() !== ''),
  format: (lines) => lines.join('\n'),
  add: (before, more) => [...before, ...more],
}

function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) < 32 || value.charCodeAt(i) === 127) return true
  return false
}

export const words: Kind<readonly string[]> = {
  label: 'words',
  severalWords: true,
  parse(value) {
    if (hasControlCharacter(value)) return new Refused('argument must not contain control characters')
    return value.split(' ').filter((word) => word !== '')
  },
  format: (value) => value.join(' '),
}

/** Versions of TLS. Older ones are not offered, so they are not taken either. */
export const tlsProtocols: Kind<readonly string[]> = {
  label: 'TLSv1.2 TLSv1.3',
  severalWords: true,
  parse(value) {
    const known = ['TLSv1.2', 'TLSv1.3']
    const found: string[] = []
    for (const word of value.split(' ').filter((part) => part !== '')) {
      const version = known.find((one) => one.toLowerCase() === word.toLowerCase())
      if (version === undefined) return new Refused('argument must name TLSv1.2 or TLSv1.3: older versions are not offered')
      found.push(version)
    }
    return found
  },
  format: (versions) => versions.join(' '),
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

export const DEFAULT_OUTPUT_LIMITS: OutputLimits = {
  normal: { hardBytes: 64 * 1024 ** 2, softBytes: 0, softSeconds: 0 },
  replica: { hardBytes: 256 * 1024 ** 2, softBytes: 64 * 1024 ** 2, softSeconds: 60 },
  pubsub: { hardBytes: 32 * 1024 ** 2, softBytes: 8 * 1024 ** 2, softSeconds: 60 },
}

export const outputLimits: Kind<OutputLimits> = {
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
export const percentiles: Kind<readonly number[]> = {
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
