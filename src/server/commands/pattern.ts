// Redis's glob patterns over short names of ours (options, commands), whatever their case: * ? [a-z] [^x] and \ before a sign.
//
// A pattern is read once, into its elements, however long it is; names are short, and each element but a star takes one character. So a
// match costs at most the square of a name, and a pattern of more elements than any name has characters matches none.

/** Longer than any name of ours. */
const ELEMENTS_MAX = 256

/** What takes one character: that character, or one that the set says yes to. Null: a star. */
type Element = number | ((c: number) => boolean) | null

export class Pattern {
  readonly #elements: readonly Element[]

  constructor(pattern: string) {
    this.#elements = elementsOf(pattern.toLowerCase())
  }

  /** False for a pattern that is a plain name. */
  static isGlob(text: string): boolean {
    return /[*?[]/.test(text)
  }

  matches(name: string): boolean {
    const text = name.toLowerCase()
    const elements = this.#elements
    let p = 0
    let t = 0
    let starAt = -1
    let starText = 0
    for (;;) {
      if (p < elements.length && elements[p] === null) {
        starAt = ++p
        starText = t
        continue
      }
      if (t >= text.length) return p >= elements.length
      if (p < elements.length && takes(elements[p], text.charCodeAt(t))) {
        p++
        t++
        continue
      }
      if (starAt < 0) return false
      p = starAt
      t = ++starText
    }
  }
}

function takes(element: Element, c: number): boolean {
  return typeof element === 'function' ? element(c) : element === c
}

function elementsOf(pattern: string): Element[] {
  const elements: Element[] = []
  let i = 0
  while (i < pattern.length && elements.length < ELEMENTS_MAX) {
    const sign = pattern[i]
    if (sign === '*') {
      if (elements.length === 0 || elements.at(-1) !== null) elements.push(null)
      i++
    } else if (sign === '?') {
      elements.push(() => true)
      i++
    } else if (sign === '[') {
      const set = setAt(pattern, i + 1)
      elements.push(set.element)
      i = set.next
    } else {
      if (sign === '\\' && i + 1 < pattern.length) i++
      elements.push(pattern.charCodeAt(i++))
    }
  }
  return elements
}

/** The set whose first sign is at `i`, and where the pattern goes on behind it. */
function setAt(pattern: string, i: number): { readonly element: Element; readonly next: number } {
  const isInverted = pattern[i] === '^'
  if (isInverted) i++
  // Names are of ASCII.
  const members = new Uint8Array(128)
  for (; i < pattern.length && pattern[i] !== ']'; i++) {
    if (pattern[i] === '\\' && i + 1 < pattern.length) i++
    if (pattern[i + 1] === '-' && i + 2 < pattern.length) {
      const ends = [pattern.charCodeAt(i), pattern.charCodeAt(i + 2)]
      members.fill(1, Math.min(...ends), Math.max(...ends) + 1)
      i += 2
    } else members[pattern.charCodeAt(i)] = 1
  }
  return { element: (c) => (members[c] === 1) !== isInverted, next: Math.min(i + 1, pattern.length) }
}
