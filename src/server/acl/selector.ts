// A selector: commands, keys and channels that are allowed together. Every user has one of his own, and may have more.
//
// Text from clients is one character per byte. Words are compared as C compares them: up to the first NUL, whatever their case.

import { Glob } from '../../base/glob.ts'
import type { CommandSpec } from '../../engine/command.ts'
import { READ, WRITE } from '../../engine/key-specs.ts'
import { CATEGORIES } from './categories.ts'
import type { Catalog, Entry } from './catalog.ts'
import { AFTER_ALL_CHANNELS, AFTER_ALL_KEYS, SUBCOMMAND_ARGUMENT, SYNTAX_ERROR, UNKNOWN_COMMAND } from './rule-error.ts'
import type { RuleError } from './rule-error.ts'

const READ_AND_WRITE = READ | WRITE

interface KeyPattern {
  readonly glob: Glob
  /** READ | WRITE */
  rights: number
}

interface ChannelPattern {
  readonly bytes: Buffer
  readonly glob: Glob
}

export class Selector {
  allKeys = false
  allChannels: boolean
  /** Every command, and nothing was taken away since that was said. */
  allCommands = false
  /** It began with every command: those that a later version brings are allowed too. */
  future = false
  readonly allowed = new Set<CommandSpec>()
  /** Commands that are allowed with these first arguments only. */
  readonly firstArguments = new Map<CommandSpec, string[]>()
  /** By their texts, in the order in which they were given. */
  readonly #keys = new Map<string, KeyPattern>()
  readonly #channels = new Map<string, ChannelPattern>()

  constructor(allChannels: boolean) {
    this.allChannels = allChannels
  }

  copy(): Selector {
    const copy = new Selector(this.allChannels)
    copy.allKeys = this.allKeys
    copy.allCommands = this.allCommands
    copy.future = this.future
    for (const spec of this.allowed) copy.allowed.add(spec)
    for (const [spec, words] of this.firstArguments) copy.firstArguments.set(spec, [...words])
    for (const [text, pattern] of this.#keys) copy.#keys.set(text, { ...pattern })
    for (const [text, pattern] of this.#channels) copy.#channels.set(text, pattern)
    return copy
  }

  get mayAll(): boolean {
    return this.allKeys && this.allChannels && this.allCommands
  }

  // Rules --------------------------------------------------------------------------------------------------------------------------

  /** @returns why this is no rule, or null */
  apply(rule: string, catalog: Catalog): RuleError | null {
    switch (untilNul(rule).toLowerCase()) {
      case 'allkeys':
      case '~*':
        this.allKeys = true
        this.#keys.clear()
        return null
      case 'resetkeys':
        this.allKeys = false
        this.#keys.clear()
        return null
      case 'allchannels':
      case '&*':
        this.allChannels = true
        this.#channels.clear()
        return null
      case 'resetchannels':
        this.allChannels = false
        this.#channels.clear()
        return null
      case 'allcommands':
      case '+@all':
        for (const { spec } of catalog.entries) this.allowed.add(spec)
        this.firstArguments.clear()
        this.allCommands = true
        this.future = true
        return null
      case 'nocommands':
      case '-@all':
        this.allowed.clear()
        this.firstArguments.clear()
        this.allCommands = false
        this.future = false
        return null
      default:
    }
    switch (rule[0]) {
      case '~':
      case '%':
        return this.#addKeys(rule)
      case '&':
        return this.#addChannels(rule.slice(1))
      case '+':
      case '-':
        return this.#setCommands(untilNul(rule.slice(1)), rule[0] === '+', catalog)
      default:
        return SYNTAX_ERROR
    }
  }

  #addKeys(rule: string): RuleError | null {
    if (this.allKeys) return AFTER_ALL_KEYS
    let at = 1
    let rights = rule[0] === '~' ? READ_AND_WRITE : 0
    if (rights === 0) {
      for (; at < rule.length && rule[at] !== '~'; at++) {
        const right = rule[at] === 'R' || rule[at] === 'r' ? READ : rule[at] === 'W' || rule[at] === 'w' ? WRITE : 0
        if (right === 0 || (rights & right) !== 0) return SYNTAX_ERROR
        rights |= right
      }
      at++
    }
    const text = rule.slice(at)
    // Without any right (`%~x`) Redis takes the pattern, and falls over it when it shows the user.
    if (rights === 0 || hasSpaces(text)) return SYNTAX_ERROR
    const known = this.#keys.get(text)
    if (known === undefined) this.#keys.set(text, { glob: new Glob(Buffer.from(text, 'latin1')), rights })
    else known.rights |= rights
    return null
  }

  #addChannels(text: string): RuleError | null {
    if (this.allChannels) return AFTER_ALL_CHANNELS
    if (hasSpaces(text)) return SYNTAX_ERROR
    if (this.#channels.has(text)) return null
    const bytes = Buffer.from(text, 'latin1')
    this.#channels.set(text, { bytes, glob: new Glob(bytes) })
    return null
  }

  #setCommands(name: string, allow: boolean, catalog: Catalog): RuleError | null {
    if (name.startsWith('@')) return this.#setCategory(name.slice(1), allow, catalog) ? null : UNKNOWN_COMMAND
    const bar = name.lastIndexOf('|')
    if (allow && bar >= 0) {
      const container = catalog.find(name.slice(0, bar))
      if (container === null) return UNKNOWN_COMMAND
      if (container.isSubcommand) return SUBCOMMAND_ARGUMENT
      const word = name.slice(bar + 1)
      if (word === '') return SYNTAX_ERROR
      if (container.subcommands.length === 0) {
        this.#allowFirstArgument(container.spec, word)
        return null
      }
    }
    const entry = catalog.find(name)
    if (entry === null) return UNKNOWN_COMMAND
    this.#setCommand(entry, allow)
    return null
  }

  /** @returns false: there is no such category */
  #setCategory(category: string, allow: boolean, catalog: Catalog): boolean {
    const entries = catalog.ofCategory(category)
    if (entries === null) return false
    for (const entry of entries) this.#setCommand(entry, allow)
    return true
  }

  /** A container stands for its subcommands too. */
  #setCommand(entry: Entry, allow: boolean): void {
    this.firstArguments.delete(entry.spec)
    if (allow) this.allowed.add(entry.spec)
    else {
      this.allowed.delete(entry.spec)
      this.allCommands = false
    }
    for (const { spec } of entry.subcommands) {
      if (allow) this.allowed.add(spec)
      else this.allowed.delete(spec)
    }
  }

  #allowFirstArgument(spec: CommandSpec, word: string): void {
    const words = this.firstArguments.get(spec)
    if (words === undefined) this.firstArguments.set(spec, [word])
    else if (!words.some((known) => known.toLowerCase() === word.toLowerCase())) words.push(word)
  }

  // Questions ----------------------------------------------------------------------------------------------------------------------

  /** @param rights READ | WRITE */
  mayTouch(bytes: Uint8Array, start: number, end: number, rights: number): boolean {
    if (this.allKeys) return true
    for (const pattern of this.#keys.values()) {
      if ((pattern.rights & rights) === rights && pattern.glob.matches(bytes, start, end)) return true
    }
    return false
  }

  /** @param isPattern it is a pattern itself (PSUBSCRIBE): then only the very same one allows it */
  mayListen(channel: Uint8Array, start: number, end: number, isPattern: boolean): boolean {
    if (this.allChannels) return true
    for (const { bytes, glob } of this.#channels.values()) {
      const is = isPattern ? bytes.length === end - start && bytes.compare(channel, start, end) === 0 : glob.matches(channel, start, end)
      if (is) return true
    }
    return false
  }

  /** The texts of the channels' patterns. */
  get channelTexts(): Iterable<string> {
    return this.#channels.keys()
  }

  // Words --------------------------------------------------------------------------------------------------------------------------

  /** As ACL GETUSER shows them. */
  describeKeys(): string {
    if (this.allKeys) return '~*'
    const rules = Array.from(
      this.#keys,
      ([text, { rights }]) => `${rights === READ_AND_WRITE ? '' : rights === READ ? '%R' : '%W'}~${text}`,
    )
    return rules.join(' ')
  }

  describeChannels(): string {
    return this.allChannels ? '&*' : Array.from(this.#channels.keys(), (text) => `&${text}`).join(' ')
  }

  /** The rules that make a user who may do nothing one who may do this. */
  describe(catalog: Catalog): string {
    const keys = this.describeKeys()
    const channels = this.describeChannels()
    const before = `${keys === '' ? '' : `${keys} `}${this.allChannels ? '' : 'resetchannels '}${channels === '' ? '' : `${channels} `}`
    return before + this.describeCommands(catalog)
  }

  /** First everything or nothing, then the categories that come nearest to what is left, then single commands: Redis's way. */
  describeCommands(catalog: Catalog): string {
    const isAdditive = !this.future
    const shown = new Selector(false)
    const rules = [isAdditive ? '-@all' : '+@all']
    shown.apply(rules[0], catalog)

    const left = this.copy()
    const unused = new Set(CATEGORIES)
    for (;;) {
      let best: string | null = null
      let leastDifferent = Infinity
      let mostSame = 0
      for (const category of unused) {
        const entries = catalog.ofCategory(category)!
        let on = 0
        for (const { spec } of entries) if (left.allowed.has(spec)) on++
        const same = isAdditive ? on : entries.length - on
        const different = entries.length - same
        if (same > different && (different < leastDifferent || (different === leastDifferent && same > mostSame))) {
          best = category
          leastDifferent = different
          mostSame = same
        }
      }
      if (best === null) break
      rules.push(`${isAdditive ? '+' : '-'}@${best}`)
      shown.#setCategory(best, isAdditive, catalog)
      left.#setCategory(best, !isAdditive, catalog)
      unused.delete(best)
    }

    for (const entry of catalog.entries) {
      const { spec, name } = entry
      const is = this.allowed.has(spec)
      if (is !== shown.allowed.has(spec)) {
        rules.push(`${is ? '+' : '-'}${name}`)
        shown.#setCommand(entry, is)
      }
      if (is) continue
      for (const word of this.firstArguments.get(spec) ?? []) rules.push(`+${name}|${word}`)
    }
    return rules.join(' ')
  }
}

export function untilNul(text: string): string {
  const nul = text.indexOf('\0')
  return nul < 0 ? text : text.slice(0, nul)
}

/** Such names could not be written into a file of rules. */
export function hasSpaces(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /[\0\t-\r ]/.test(text)
}
