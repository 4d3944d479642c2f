// Glob patterns as Redis's KEYS, SCAN MATCH and PSUBSCRIBE read them:   * ? [abc] [^a-z] \x   on bytes.
//
// Redis matches by recursion, a level per star. Every other element takes exactly one byte, so it is enough to remember the last star: when
// the rest does not match, that star takes one byte more. No stack, the same answers. A pattern is read into its elements once, and only as
// far as texts reach: one that is a set of a megabyte costs KEYS that megabyte once, and not for every byte of every key. A match takes at
// most elements x text steps, and, because both may come from strangers and be long, never more than a few milliseconds' worth: a match
// that takes longer is none. The odd cases are Redis's too: an unclosed `[` reads to the end of the pattern, ranges compare bytes as signed
// chars, the empty text matches only the empty pattern, and behind STARS_MAX stars nothing matches.

const STAR = 42
const DASH = 45
const QUESTION = 63
const OPEN = 91
const BACKSLASH = 92
const CLOSE = 93
const CARET = 94

/** How deep Redis goes (against patterns made to burn its stack). A star at the end of the pattern does not count. */
const STARS_MAX = 1000

/** A match may take so many steps, and so many more for each byte of pattern and text. */
const STEPS_MAX = 1 << 20
const STEPS_PER_BYTE = 16

/** Elements beside the 256 bytes, which stand for themselves. */
const ANY_BYTE = 256
const ANY_BYTES = 257
const END = 258
/** And from here on sets, by their number. */
const FIRST_SET = 259

export class Glob {
  /** Its bytes must stay as they are while it is used. */
  readonly #pattern: Uint8Array
  readonly #from: number
  readonly #to: number
  /** What has been read so far: pattern[#from..#next). */
  readonly #elements: number[] = []
  readonly #sets: ByteSet[] = []
  #next: number

  constructor(pattern: Uint8Array, from = 0, to = pattern.length) {
    this.#pattern = pattern
    this.#from = from
    this.#to = to
    this.#next = from
  }

  /** Does it match text[start..end)? */
  matches(text: Uint8Array, start: number, end: number): boolean {
    if (start === end) return this.#from === this.#to
    const elements = this.#elements
    let p = 0
    let t = start
    // Where to go on after a failure: behind the last star, with what it has not taken yet.
    let retryElement = -1
    let retryText = 0
    let stars = 0
    let stepsLeft = STEPS_MAX + STEPS_PER_BYTE * (this.#to - this.#from + end - start)
    for (;;) {
      if (--stepsLeft < 0) return false
      const element = p < elements.length ? elements[p] : this.#read()
      if (t === end) {
        if (element !== ANY_BYTES) return element === END
        p++
      } else if (element === ANY_BYTES) {
        p++
        if ((p < elements.length ? elements[p] : this.#read()) === END) return true
        if (++stars > STARS_MAX) return false
        retryElement = p
        retryText = t
      } else if (element === text[t] || element === ANY_BYTE || (element >= FIRST_SET && this.#sets[element - FIRST_SET].has(text[t]))) {
        p++
        t++
      } else if (retryElement === -1) return false
      else {
        p = retryElement
        t = ++retryText
      }
    }
  }

  /** Reads one element more. Stars in a row are one. */
  #read(): number {
    const pattern = this.#pattern
    const to = this.#to
    let p = this.#next
    let element = END
    if (p < to) {
      const c = pattern[p++]
      element = c
      if (c === STAR) {
        while (p < to && pattern[p] === STAR) p++
        element = ANY_BYTES
      } else if (c === QUESTION) element = ANY_BYTE
      else if (c === BACKSLASH && p < to) element = pattern[p++]
      else if (c === OPEN) {
        const set = new ByteSet()
        p = set.read(pattern, p, to)
        element = FIRST_SET + this.#sets.length
        this.#sets.push(set)
      }
    }
    this.#next = p
    this.#elements.push(element)
    return element
  }
}

/** What stands between `[` and `]`. */
class ByteSet {
  readonly #bits = new Uint32Array(8)
  #isNegated = false

  has(byte: number): boolean {
    return ((this.#bits[byte >>> 5] >>> (byte & 31)) & 1) === 1 ? !this.#isNegated : this.#isNegated
  }

  /** Reads what follows the `[`. @returns where the pattern goes on behind the set */
  read(pattern: Uint8Array, p: number, to: number): number {
    this.#isNegated = p < to && pattern[p] === CARET
    if (this.#isNegated) p++
    for (; p < to && pattern[p] !== CLOSE; p++) {
      if (pattern[p] === BACKSLASH && p + 1 < to) this.#add(pattern[++p])
      else if (p + 2 < to && pattern[p + 1] === DASH) {
        const a = signed(pattern[p])
        const b = signed(pattern[p + 2])
        for (let c = Math.min(a, b); c <= Math.max(a, b); c++) this.#add(c & 255)
        p += 2
      } else this.#add(pattern[p])
    }
    return p < to ? p + 1 : to
  }

  #add(byte: number): void {
    this.#bits[byte >>> 5] |= 1 << (byte & 31)
  }
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}
