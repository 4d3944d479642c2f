// Redis's glob patterns over short names of ours (options, commands, sections), whatever their case: * ? [a-z] [^x] and \ before a sign.
//
// On a mismatch only the last star takes one character more, so a match costs at most pattern times name; names here are short.

export class Pattern {
  readonly #pattern: string

  constructor(pattern: string) {
    this.#pattern = pattern.toLowerCase()
  }

  /** False for a pattern that is a plain name. */
  static isGlob(text: string): boolean {
    return /[*?[]/.test(text)
  }

  matches(name: string): boolean {
    const text = name.toLowerCase()
    const pattern = this.#pattern
    let p = 0
    let t = 0
    let starAt = -1
    let starText = 0
    for (;;) {
      if (p < pattern.length && pattern[p] === '*') {
        starAt = ++p
        starText = t
        continue
      }
      if (t >= text.length) return p >= pattern.length
      const next = p < pattern.length ? this.#afterOne(p, text.charCodeAt(t)) : -1
      if (next >= 0) {
        p = next
        t++
        continue
      }
      if (starAt < 0) return false
      p = starAt
      t = ++starText
    }
  }

  /** Where the pattern goes on if its element at `p` takes the character `c`; -1 if it does not. */
  #afterOne(p: number, c: number): number {
    const pattern = this.#pattern
    if (pattern[p] === '?') return p + 1
    if (pattern[p] !== '[') {
      const at = pattern[p] === '\\' && p + 1 < pattern.length ? p + 1 : p
      return pattern.charCodeAt(at) === c ? at + 1 : -1
    }
    let i = p + 1
    const isInverted = pattern[i] === '^'
    if (isInverted) i++
    let isFound = false
    for (; i < pattern.length && pattern[i] !== ']'; i++) {
      if (pattern[i] === '\\' && i + 1 < pattern.length) i++
      if (pattern[i + 1] === '-' && i + 2 < pattern.length) {
        const low = Math.min(pattern.charCodeAt(i), pattern.charCodeAt(i + 2))
        const high = Math.max(pattern.charCodeAt(i), pattern.charCodeAt(i + 2))
        if (c >= low && c <= high) isFound = true
        i += 2
      } else if (pattern.charCodeAt(i) === c) isFound = true
    }
    return isFound !== isInverted ? Math.min(i + 1, pattern.length) : -1
  }
}
