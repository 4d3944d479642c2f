// The command spec: one object says everything about a command. Lookup, arity, routing, gating, COMMAND, COMMAND DOCS, ACL categories,
// commandstats and the README's table are read from it; there is no second list.

import { assert } from '../base/assert.ts'
import type { Request } from '../resp/request.ts'
import type { Call } from './call.ts'
import type { FoundKeys, KeySpec } from './key-specs.ts'

/** Redis's flags (as COMMAND INFO shows them). */
export type CommandFlag =
  | 'write' // may change data: needs a log that can be written
  | 'readonly'
  | 'denyoom' // refused while memory is over the limit
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading' // allowed while the log is loaded
  | 'stale'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'fast'
  | 'no_auth' // allowed before AUTH
  | 'may_replicate'
  | 'sentinel'
  | 'movablekeys'
  | 'allow_busy'
  | 'no_async_loading'
  | 'no_multi'
  | 'no_mandatory_keys' // there may be none of the keys that it says it has
  | 'protected'

export type CommandGroup =
  | 'string'
  | 'generic'
  | 'connection'
  | 'server'
  | 'stock'
  | 'hash'
  | 'list'
  | 'set'
  | 'sorted-set'
  | 'pubsub'
  | 'transactions'
  | 'stream'
  | 'scripting'
  | 'cluster'

/** Where the keys are, as COMMAND INFO says it: first and last argument (last may count from the end: -1), step. */
export interface KeyRange {
  readonly first: number
  readonly last: number
  readonly step: number
}
export const NO_KEYS: KeyRange = { first: 0, last: 0, step: 0 }
export const FIRST_ARGUMENT: KeyRange = { first: 1, last: 1, step: 1 }
export const ALL_ARGUMENTS: KeyRange = { first: 1, last: -1, step: 1 }

/** Channels among the arguments: from 1 on. */
export interface ChannelUse {
  /** Only the first argument is one (PUBLISH), or all are. */
  readonly isOne: boolean
  /** They are patterns: a user needs the right to just this pattern. */
  readonly arePatterns: boolean
}

export interface InnerCommand {
  readonly spec: CommandSpec
  readonly request: Request
}

export interface CommandSpec {
  /** Upper case. Of a subcommand only its own word: 'SETNAME'. */
  readonly name: string
  /** Number of arguments, the name included; negative: at least so many. A subcommand counts its container's name too. */
  readonly arity: number
  readonly flags: readonly CommandFlag[]
  readonly keys: KeyRange
  /** The same in full, and what each key is used for. Left out: `keys` or `keysOf` and the flags tell it. */
  readonly keySpecs?: readonly KeySpec[]
  /** Names in the arguments that no cluster client routes by, but that a user needs the right to: the SKUs of an order. */
  readonly alsoTouches?: (request: Request, found: FoundKeys) => void
  /** The arguments that are channels. */
  readonly channels?: ChannelUse
  /** The command that this request runs by another name (FCALL), with its arguments; null: the arguments do not fit. */
  readonly runs?: (request: Request) => InnerCommand | null
  /** Like Redis's, without '@': 'read', 'write', 'string', 'fast', 'stock' ... */
  readonly categories: readonly string[]
  readonly group: CommandGroup
  readonly since: string
  readonly complexity: string
  readonly summary: string
  /** Arguments in the notation of redis.io: `key value [NX | XX] [GET] [EX seconds | PX milliseconds]`. */
  readonly syntax: string
  readonly subcommands?: readonly CommandSpec[]
  /** What clients in front of several nodes want to know, in Redis's words and parted by spaces: `request_policy:all_shards`. */
  readonly tips?: string
  /** An argument is data of any length (ECHO), though the group is one whose arguments are words. */
  readonly takesData?: boolean
  /** A client that listens to channels may use it in RESP2, too. */
  readonly whileSubscribed?: boolean
  /** For keys that no range can tell (FCALL, ...): indexes of the arguments that are keys; null if the arguments do not fit. */
  readonly keysOf?: (request: Request) => number[] | null
  /** Runs the command: changes state, writes its records, and writes exactly one reply (or arranges for a later one). */
  readonly run: (call: Call) => void
}

interface Entry {
  readonly name: Uint8Array
  readonly spec: CommandSpec
  readonly subcommands: CommandTable | null
}

/** Every command of a node, found by the bytes of its name in any case. */
export class CommandTable {
  readonly specs: readonly CommandSpec[]
  readonly #slots: (Entry | null)[]
  readonly #mask: number

  constructor(specs: readonly CommandSpec[]) {
    this.specs = specs
    let size = 16
    while (size < specs.length * 4) size *= 2
    this.#mask = size - 1
    this.#slots = Array.from({ length: size }, () => null)
    for (const spec of specs) {
      const name = Buffer.from(spec.name, 'latin1')
      assert(this.#entry(name, 0, name.length) === null, `two commands are named ${spec.name}`)
      let i = nameHash(name, 0, name.length) & this.#mask
      while (this.#slots[i] !== null) i = (i + 1) & this.#mask
      this.#slots[i] = { name, spec, subcommands: spec.subcommands ? new CommandTable(spec.subcommands) : null }
    }
  }

  /** The command of this request; of a container its subcommand, if there is one by that name. Null: unknown. */
  resolve(request: Request): CommandSpec | null {
    const entry = this.#entry(request.bytes, request.start[0], request.end[0])
    if (entry === null) return null
    if (entry.subcommands === null || request.argc < 2) return entry.spec
    return entry.subcommands.#entry(request.bytes, request.start[1], request.end[1])?.spec ?? entry.spec
  }

  /** A command by its name, in any case. */
  get(name: string): CommandSpec | null {
    const bytes = Buffer.from(name, 'utf8')
    return this.#entry(bytes, 0, bytes.length)?.spec ?? null
  }

  #entry(bytes: Uint8Array, start: number, end: number): Entry | null {
    let i = nameHash(bytes, start, end) & this.#mask
    for (let entry = this.#slots[i]; entry !== null; entry = this.#slots[i]) {
      if (sameName(entry.name, bytes, start, end)) return entry
      i = (i + 1) & this.#mask
    }
    return null
  }
}

/** Case does not matter: bit 5 is left out (for letters; '.' and digits stay distinct enough for a hash). */
function nameHash(bytes: Uint8Array, start: number, end: number): number {
  let h = end - start
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] & 0xdf), 0x01000193)
  return h ^ (h >>> 15)
}

function sameName(upper: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (upper.length !== end - start) return false
  for (let i = start, k = 0; i < end; i++, k++) {
    let c = bytes[i]
    if (c >= 97 && c <= 122) c -= 32
    if (c !== upper[k]) return false
  }
  return true
}
