// A user: who may log in by which passwords, and what he may do then.
//
// Passwords are kept as their SHA-256 only. The rules are Redis's (ACL SETUSER), and so is the text that shows them again.

import { createHash, timingSafeEqual } from 'node:crypto'
import { splitWords } from '../options/file.ts'
import type { Catalog } from './catalog.ts'
import { BAD_HASH, NO_SUCH_PASSWORD } from './rule-error.ts'
import type { RuleError } from './rule-error.ts'
import { Selector, untilNul } from './selector.ts'

export class User {
  /** One character per byte. */
  readonly name: string
  isOn = false
  /** Any password is right, and the empty one. */
  isNopass = false
  /** Of RESTORE's payloads: said and shown only, there is no RESTORE. */
  sanitize: 'unsaid' | 'skip' | 'yes' = 'unsaid'
  /** Every command, on every key and channel: then nothing is looked at. */
  mayAll = false
  /** The first one is what the rules outside of parentheses say. */
  selectors: Selector[]
  /** By their hash in hex. */
  #passwords = new Map<string, Buffer>()
  #described: string | null = null

  /** May do nothing. @param allChannels acl-pubsub-default */
  constructor(name: string, allChannels: boolean) {
    this.name = name
    this.selectors = [new Selector(allChannels)]
  }

  get root(): Selector {
    return this.selectors[0]
  }

  /** In the order in which they were given. */
  get passwords(): Iterable<string> {
    return this.#passwords.keys()
  }

  get passwordCount(): number {
    return this.#passwords.size
  }

  /** A connection is this user's without a word. */
  get isOpen(): boolean {
    return this.isOn && this.isNopass
  }

  /** The time it takes tells nothing of the passwords, nor whether the user is on. */
  accepts(password: Uint8Array): boolean {
    if (this.isOpen) return true
    const hash = sha256(password)
    let isRight = false
    for (const known of this.#passwords.values()) if (timingSafeEqual(hash, known)) isRight = true
    return isRight && this.isOn
  }

  /** Becomes what the other one is, but for the name. */
  take(other: User): void {
    this.isOn = other.isOn
    this.isNopass = other.isNopass
    this.sanitize = other.sanitize
    this.#passwords = new Map(other.#passwords)
    this.selectors = other.selectors.map((selector) => selector.copy())
    this.#changed()
  }

  /** @returns why this is no rule, or null */
  apply(rule: string, catalog: Catalog, allChannels: boolean): RuleError | null {
    const error = this.#apply(rule, catalog, allChannels)
    this.#changed()
    return error
  }

  #apply(rule: string, catalog: Catalog, allChannels: boolean): RuleError | null {
    switch (untilNul(rule).toLowerCase()) {
      case '':
        // A NUL at the beginning is no empty rule.
        if (rule === '') return null
        break
      case 'on':
        this.isOn = true
        return null
      case 'off':
        this.isOn = false
        return null
      case 'skip-sanitize-payload':
        this.sanitize = 'skip'
        return null
      case 'sanitize-payload':
        this.sanitize = 'yes'
        return null
      case 'nopass':
        this.isNopass = true
        this.#passwords.clear()
        return null
      case 'resetpass':
        this.isNopass = false
        this.#passwords.clear()
        return null
      case 'clearselectors':
        this.selectors.length = 1
        return null
      case 'reset':
        this.isOn = false
        this.isNopass = false
        this.sanitize = 'yes'
        this.#passwords.clear()
        this.selectors = [new Selector(allChannels)]
        return null
      default:
    }
    switch (rule[0]) {
      case '>':
      case '#':
      case '<':
      case '!':
        return this.#applyPassword(rule)
      case '(':
        if (rule.endsWith(')')) return this.#addSelector(rule.slice(1, -1), catalog, allChannels)
        break
      default:
    }
    return this.root.apply(rule, catalog)
  }

  #applyPassword(rule: string): RuleError | null {
    let hash = rule.slice(1)
    if (rule[0] === '>' || rule[0] === '<') hash = sha256(Buffer.from(hash, 'latin1')).toString('hex')
    else if (!/^[0-9a-f]{64}$/.test(hash)) return BAD_HASH
    if (rule[0] === '<' || rule[0] === '!') return this.#passwords.delete(hash) ? null : NO_SUCH_PASSWORD
    if (!this.#passwords.has(hash)) this.#passwords.set(hash, Buffer.from(hash, 'hex'))
    this.isNopass = false
    return null
  }

  #addSelector(rules: string, catalog: Catalog, allChannels: boolean): RuleError | null {
    const selector = new Selector(allChannels)
    for (const rule of splitWords(rules) ?? []) {
      const error = selector.apply(rule, catalog)
      if (error !== null) return error
    }
    this.selectors.push(selector)
    return null
  }

  #changed(): void {
    this.mayAll = this.selectors.some((selector) => selector.mayAll)
    this.#described = null
  }

  /** As ACL GETUSER lists them. */
  flags(): string[] {
    const flags = [this.isOn ? 'on' : 'off']
    if (this.isNopass) flags.push('nopass')
    if (this.sanitize !== 'unsaid') flags.push(this.sanitize === 'skip' ? 'skip-sanitize-payload' : 'sanitize-payload')
    return flags
  }

  /** The rules that make a new user this one. */
  describe(catalog: Catalog): string {
    if (this.#described !== null) return this.#described
    const passwords = [...this.passwords].map((hash) => `#${hash}`)
    const [root, ...others] = this.selectors.map((selector) => selector.describe(catalog))
    this.#described = [...this.flags(), ...passwords, root, ...others.map((other) => `(${other})`)].join(' ')
    return this.#described
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

/** A selector may be spread over several arguments: `(+get ~a)` comes as two. @returns the rules; or the argument with the `(` that nothing closes */
export function mergeSelectors(words: readonly string[]): { readonly rules: string[] } | { readonly unmatched: string } {
  const rules: string[] = []
  let open = ''
  let unmatched: string | null = null
  for (const word of words) {
    if (word.startsWith('(') && !word.endsWith(')')) {
      open = word
      unmatched = word
    } else if (unmatched === null) rules.push(word)
    else {
      open += ` ${untilNul(word)}`
      if (word.endsWith(')')) {
        rules.push(open)
        unmatched = null
      }
    }
  }
  return unmatched === null ? { rules } : { unmatched }
}
