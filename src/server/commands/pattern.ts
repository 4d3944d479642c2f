// Redis's glob patterns (base/glob.ts) over names of ours, of options and commands: whatever their case.

import { Glob } from '../../base/glob.ts'

export class Pattern {
  readonly #glob: Glob

  constructor(pattern: string) {
    this.#glob = new Glob(Buffer.from(pattern.toLowerCase(), 'latin1'))
  }

  /** False for a pattern that is a plain name. */
  static isGlob(text: string): boolean {
    return /[*?[]/.test(text)
  }

  matches(name: string): boolean {
    const text = Buffer.from(name.toLowerCase(), 'latin1')
    return this.#glob.matches(text, 0, text.length)
  }
}
