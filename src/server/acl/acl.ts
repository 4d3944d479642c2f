// Who may do what: the users, the check before a command, and what was refused.
//
// Unusual: a user who may do everything is not checked at all; dispatch looks at `user.mayAll` and goes on.

import type { Millis } from '../../base/brand.ts'
import { StockdError } from '../../base/error.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { FoundKeys } from '../../engine/key-specs.ts'
import type { Request } from '../../resp/request.ts'
import { splitWords } from '../options/file.ts'
import type { Session } from '../session.ts'
import { readAclFile, readUsers, writeAclFile } from './acl-file.ts'
import { AclLog } from './acl-log.ts'
import type { Context, Reason } from './acl-log.ts'
import { Catalog } from './catalog.ts'
import { DUPLICATE_USER } from './rule-error.ts'
import { hasSpaces, untilNul } from './selector.ts'
import type { Selector } from './selector.ts'
import { mergeSelectors, User } from './user.ts'

const DEFAULT = 'default'
const QUOTED_BYTES_MAX = 4096

/** What a user may not; `object` is the command's name, the key or the channel, one character per byte. */
export interface Denial {
  readonly reason: Exclude<Reason, 'auth'>
  readonly object: string
  /** The argument that is the key or channel. */
  readonly at: number
}

const NOPERM: Readonly<Record<Denial['reason'], (object: string) => string>> = {
  command: (name) => `NOPERM this user has no permissions to run the '${name}' command`,
  key: () => 'NOPERM this user has no permissions to access one of the keys used as arguments',
  channel: () => 'NOPERM this user has no permissions to access one of the channels used as arguments',
}

const NO_LONGER =
  'NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for ' +
  'the following reason: '

const NO_LONGER_REASON: Readonly<Record<Denial['reason'], string>> = {
  command: 'no permission to execute the command or subcommand',
  key: 'no permission to touch the specified keys',
  channel: 'no permission to access one of the channels used as arguments',
}

/** The node, as far as users concern it. */
export interface AclHost {
  readonly specs: readonly CommandSpec[]
  readonly sessions: ReadonlyMap<number, Session>
  readonly now: () => Millis
  /** The line of CLIENT LIST. */
  readonly describe: (session: Session) => string
}

export class Acl {
  readonly catalog: Catalog
  readonly log = new AclLog()
  logEntriesMax = 128
  /** acl-pubsub-default: what a new user may listen to. */
  allChannels = false
  readonly defaultUser: User
  readonly #nobody = new User('', false)
  readonly #users = new Map<string, User>()
  readonly #host: AclHost
  readonly #found = new FoundKeys()

  constructor(host: AclHost) {
    this.#host = host
    this.catalog = new Catalog(host.specs)
    this.defaultUser = this.#newDefault()
    this.#users.set(DEFAULT, this.defaultUser)
  }

  #newDefault(): User {
    const user = new User(DEFAULT, this.allChannels)
    for (const rule of ['+@all', '~*', '&*', 'on', 'nopass']) user.apply(rule, this.catalog, this.allChannels)
    return user
  }

  /** By name. */
  get users(): User[] {
    return [...this.#users.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  user(name: string): User | null {
    return this.#users.get(name) ?? null
  }

  /** Lines of the file of users. */
  lines(): string[] {
    return this.users.map((user) => `user ${user.name} ${user.describe(this.catalog)}`)
  }

  /** ACL SAVE. Throws what the file system says, or StockdError: what would be written would not be these users. */
  save(path: string): void {
    const lines = this.lines()
    this.#expectReadable(lines)
    writeAclFile(path, lines)
  }

  /** A space or a parenthesis can stand where a line does not tell it from those around it (`+get|a b`): no next start would read that. */
  #expectReadable(lines: readonly string[]): void {
    const parts = { path: '', catalog: this.catalog, allChannels: this.allChannels }
    this.users.forEach((user, i) => {
      const read = readUsers(lines[i], parts)
      const again = 'users' in read ? read.users.get(user.name) : undefined
      if (again?.describe(this.catalog) !== user.describe(this.catalog))
        throw new StockdError('BAD_OPTION', `user ${JSON.stringify(user.name)} cannot be written so that he would be read again as he is`)
    })
  }

  /**
   * The same for the option file: without the default user if he is as `requirepass` makes him, so that this word alone stays in force.
   * A file of users has them all: then there are none in the option file. Throws StockdError, as `save`.
   */
  configLines({ password, file }: { password: string; file: string }): string[] {
    if (file !== '') return []
    const plain = this.#newDefault()
    this.#setPassword(plain, password)
    const isPlain = plain.describe(this.catalog) === this.defaultUser.describe(this.catalog)
    const lines = this.lines().map((line) => Buffer.from(line, 'latin1').toString('utf8'))
    this.#expectReadable(lines.map((line) => latin1(splitWords(line)?.join(' ') ?? '')))
    return lines.filter((line) => !isPlain || !line.startsWith(`user ${DEFAULT} `))
  }

  // The check ----------------------------------------------------------------------------------------------------------------------

  /** The error for a session whose user may not run this; null: he may. ACL LOG is told. */
  refusal(session: Session, spec: CommandSpec, request: Request, context: Context): string | null {
    const denial = this.check(session.user, spec, request)
    if (denial === null) return null
    this.denied(session, denial.reason, denial.object, context)
    return NOPERM[denial.reason](denial.object)
  }

  /** The same at EXEC, for a command that was allowed when it was queued. */
  lateRefusal(session: Session, spec: CommandSpec, request: Request): string | null {
    const denial = this.check(session.user, spec, request)
    if (denial === null) return null
    this.denied(session, denial.reason, denial.object, 'multi')
    return NO_LONGER + NO_LONGER_REASON[denial.reason]
  }

  /** What this user may not of this request; null: he may it all. One selector must allow the whole of it. */
  check(user: User, spec: CommandSpec, request: Request): Denial | null {
    if (user.mayAll) return null
    // The nearest miss is told: a key or channel that none allowed rather than the command.
    let nearest: Denial | null = null
    for (const selector of user.selectors) {
      const denial = this.#checkBy(selector, spec, request)
      if (denial === null) return null
      if (nearest === null || isNearer(denial, nearest)) nearest = denial
    }
    return nearest
  }

  #checkBy(selector: Selector, spec: CommandSpec, request: Request): Denial | null {
    if (!selector.allCommands && !this.#mayRun(selector, spec, request)) {
      return { reason: 'command', object: this.catalog.nameOf(spec), at: 0 }
    }
    if (spec.runs !== undefined) {
      const inner = spec.runs(request)
      if (inner !== null) return this.#checkBy(selector, inner.spec, inner.request)
    }
    if (!selector.allKeys) {
      const at = this.#forbiddenKey(selector, spec, request)
      if (at !== 0) return { reason: 'key', object: quoted(request, at), at }
    }
    if (!selector.allChannels && spec.channels !== undefined) {
      const { isOne, arePatterns } = spec.channels
      const end = isOne ? Math.min(2, request.argc) : request.argc
      for (let i = 1; i < end; i++) {
        if (!selector.mayListen(request.bytes, request.start[i], request.end[i], arePatterns)) {
          return { reason: 'channel', object: quoted(request, i), at: i }
        }
      }
    }
    return null
  }

  #mayRun(selector: Selector, spec: CommandSpec, request: Request): boolean {
    if (selector.allowed.has(spec) || spec.flags.includes('no_auth')) return true
    const words = selector.firstArguments.get(spec)
    return words !== undefined && request.argc > 1 && words.some((word) => word.toLowerCase() === request.untilNul(1).toLowerCase())
  }

  /** @returns the first key that the selector does not let this request touch; 0: none */
  #forbiddenKey(selector: Selector, spec: CommandSpec, request: Request): number {
    const found = this.#found
    found.find(spec, request)
    if (spec.alsoTouches !== undefined) spec.alsoTouches(request, found)
    for (let k = 0; k < found.count; k++) {
      const i = found.at[k]
      if (!selector.mayTouch(request.bytes, request.start[i], request.end[i], found.uses[k].rights)) return i
    }
    return 0
  }

  /** Into ACL LOG. @param name of whoever tried to be another */
  denied(session: Session, reason: Reason, object: string, context: Context, name = session.user.name): void {
    const username = name.slice(0, QUOTED_BYTES_MAX)
    const entry = { count: 1, reason, context, object, username, at: this.#host.now(), client: this.#host.describe(session).trimEnd() }
    this.log.add(entry, this.logEntriesMax)
  }

  // Logging in ---------------------------------------------------------------------------------------------------------------------

  /** From now on the session is this user's. @returns false: the name or password is wrong, or the user is off */
  logIn(session: Session, name: string, password: Uint8Array): boolean {
    const user = this.user(name)
    // Of one who is not there the password is hashed too: the time it takes does not tell who is.
    if (!(user ?? this.#nobody).accepts(password) || user === null) return false
    session.user = user
    session.authenticate(true, this.#host.now())
    return true
  }

  /** requirepass: '' lets anybody in. */
  setDefaultPassword(password: string): void {
    this.#setPassword(this.defaultUser, password)
    this.#admit()
  }

  #setPassword(user: User, password: string): void {
    user.apply('resetpass', this.catalog, this.allChannels)
    user.apply(password === '' ? 'nopass' : `>${latin1(password)}`, this.catalog, this.allChannels)
  }

  /** While the default user is open, commands are taken from everybody. */
  #admit(): void {
    const { isOpen } = this.defaultUser
    for (const session of this.#host.sessions.values()) session.admit(session.isAuthenticated || isOpen, this.#host.now())
  }

  // Changes ------------------------------------------------------------------------------------------------------------------------

  /** ACL SETUSER: all rules or none. @returns the error, without its code; null: done */
  setUser(name: string, words: readonly string[], asker: Session | null): string | null {
    if (hasSpaces(name)) return "Usernames can't contain spaces or null characters"
    const merged = mergeSelectors(words)
    if ('unmatched' in merged) return `Unmatched parenthesis in acl selector starting at '${untilNul(merged.unmatched)}'.`
    const old = this.user(name)
    const wanted = new User(name, this.allChannels)
    if (old !== null) wanted.take(old)
    for (const rule of merged.rules) {
      const error = wanted.apply(rule, this.catalog, this.allChannels)
      if (error !== null) return `Error in ACL SETUSER modifier '${untilNul(rule)}': ${error}`
    }

    if (old === null) this.#users.set(name, wanted)
    else {
      this.#dropListeners(old, wanted, asker)
      old.take(wanted)
    }
    this.#admit()
    return null
  }

  /** ACL DELUSER of one that is not `default`. @returns false: there is none */
  deleteUser(name: string, asker: Session | null): boolean {
    const user = this.user(name)
    if (user === null) return false
    this.#users.delete(name)
    this.#dropSessions(user, asker)
    return true
  }

  /** ACL LOAD. The default user stays who he is, with the rules of the file; every other user is a new one: his sessions end. */
  replace(users: ReadonlyMap<string, User>, asker: Session | null): void {
    this.defaultUser.take(users.get(DEFAULT) ?? this.#newDefault())
    const old = [...this.#users.values()]
    this.#users.clear()
    for (const [name, user] of users) if (name !== DEFAULT) this.#users.set(name, user)
    this.#users.set(DEFAULT, this.defaultUser)
    for (const user of old) if (user !== this.defaultUser) this.#dropSessions(user, asker)
    this.#admit()
  }

  /** @returns why not, or null */
  load(path: string, asker: Session | null): string | null {
    const read = readAclFile({ path, catalog: this.catalog, allChannels: this.allChannels })
    if ('errors' in read) return read.errors
    this.replace(read.users, asker)
    return null
  }

  /** At the start: the `user` lines of the options, or the file. Throws StockdError BAD_OPTION. @returns warnings */
  open({ lines, file }: { lines: readonly string[]; file: string }): string[] {
    if (file !== '' && lines.length > 0) {
      throw new StockdError(
        'BAD_OPTION',
        'users are defined both by user lines and by an aclfile, which is very likely a mistake and a security hole: use one of the two',
      )
    }
    if (file !== '') {
      const errors = this.load(file, null)
      if (errors !== null) throw new StockdError('BAD_OPTION', `aclfile: ${errors}`)
      return []
    }
    const warnings: string[] = []
    const seen = new Set<string>()
    for (const line of lines) {
      const [name, ...words] = latin1(line)
        .split(' ')
        .filter((word) => word !== '')
      const fail = (reason: string): never => {
        throw new StockdError('BAD_OPTION', `user ${name}: ${reason}`)
      }
      if (hasSpaces(name)) fail('Spaces not allowed in ACL usernames')
      if (seen.has(name)) fail(DUPLICATE_USER)
      seen.add(name)
      // What requirepass gave the default user goes, as all else that he has by birth.
      const error = this.setUser(name, name === DEFAULT ? ['reset', ...words] : words, null)
      if (error !== null) fail(error)
      if (!this.user(name)!.isOn) {
        warnings.push(`The user '${name}' is disabled (there is no 'on' modifier in the user description): is that meant?`)
      }
    }
    return warnings
  }

  #dropSessions(user: User, asker: Session | null): void {
    for (const session of this.#host.sessions.values()) {
      if (session.user !== user) continue
      session.user = this.defaultUser
      session.authenticate(false, this.#host.now())
      session.kill(asker)
    }
  }

  /** Whoever listens to what the user may not listen to any more is closed, as in Redis. */
  #dropListeners(old: User, wanted: User, asker: Session | null): void {
    if (wanted.selectors.some((selector) => selector.allChannels)) return
    const texts = new Set(wanted.selectors.flatMap((selector) => [...selector.channelTexts]))
    const isMore = old.selectors.every((selector) => !selector.allChannels && [...selector.channelTexts].every((text) => texts.has(text)))
    if (isMore) return
    const mayAll = (names: Iterable<string>, arePatterns: boolean): boolean => {
      for (const name of names) {
        const bytes = Buffer.from(name, 'latin1')
        if (!wanted.selectors.some((selector) => selector.mayListen(bytes, 0, bytes.length, arePatterns))) return false
      }
      return true
    }
    for (const session of this.#host.sessions.values()) {
      if (session.user !== old || session.listening === null) continue
      const { channels, patterns, shards } = session.listening
      if (!mayAll(patterns.keys(), true) || !mayAll(channels.keys(), false) || !mayAll(shards.keys(), false)) session.kill(asker)
    }
  }
}

/** What a denial quotes of a key or channel: ACL LOG keeps it, and a key may have half a gigabyte. */
function quoted(request: Request, i: number): string {
  const start = request.start[i]
  return Buffer.from(request.bytes.subarray(start, Math.min(request.end[i], start + QUOTED_BYTES_MAX))).toString('latin1')
}

/** Text of the option file and the command line, one character per byte as what clients send. */
function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

const RANK: Readonly<Record<Denial['reason'], number>> = { command: 1, key: 2, channel: 3 }

function isNearer(a: Denial, b: Denial): boolean {
  return RANK[a.reason] > RANK[b.reason] || (a.reason === b.reason && a.at > b.at)
}
