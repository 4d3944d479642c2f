// Glob patterns as Redis's KEYS, SCAN MATCH and PSUBSCRIBE read them:   * ? [abc] [^a-z] \x   on bytes.
//
// Redis matches by recursion, a level per star. Every other element takes exactly one byte, so it is enough to remember the last star: when
// the rest does not match, that star takes one byte more. No stack, the same answers. At most pattern x text steps, and, because both may
// come from strangers and be megabytes, never more than a few milliseconds' worth: a match that takes longer is none. The odd cases are
// Redis's too: an unclosed `[` reads to the end of the pattern, ranges compare bytes as signed chars, the empty text matches only the
// empty pattern, and behind STARS_MAX stars nothing matches.

const STAR = 42
const DASH = 45
const QUESTION = 63
const OPEN = 91
const BACKSLASH = 92
const CLOSE = 93
const CARET = 94

/** How deep Redis goes (against patterns made to burn its stack). A star at the end of the pattern does not count. */
const STARS_MAX = 1000

/** A step is a byte of the pattern looked at. A match may take so many, and so many more for each byte of pattern and text. */
const STEPS_MAX = 1 << 20
const STEPS_PER_BYTE = 16

/** Does text[start..end) match pattern[from..to)? */
export function matchesGlob(pattern: Uint8Array, from: number, to: number, text: Uint8Array, start: number, end: number): boolean {
  if (start === end) return from === to
  let p = from
  let t = start
  // Where to go on after a failure: behind the last star, with what it has not taken yet.
  let retryPattern = -1
  let retryText = 0
  let stars = 0
  let stepsLeft = STEPS_MAX + STEPS_PER_BYTE * (to - from + end - start)
  for (;;) {
    if (t === end) {
      while (p < to && pattern[p] === STAR) p++
      return p === to
    }
    if (p < to && pattern[p] === STAR) {
      while (p < to && pattern[p] === STAR) p++
      if (p === to) return true
      if (++stars > STARS_MAX) return false
      retryPattern = p
      retryText = t
      continue
    }
    const next = p === to ? -p : matchByte(pattern, p, to, text[t])
    stepsLeft -= Math.abs(next) - p + 1
    if (stepsLeft < 0) return false
    if (next > 0) {
      p = next
      t++
    } else if (retryPattern === -1) return false
    else {
      p = retryPattern
      t = ++retryText
    }
  }
}

/** Does the element at `p` match this byte? @returns where the next element starts, negative if it does not match. */
function matchByte(pattern: Uint8Array, p: number, to: number, byte: number): number {
  const c = pattern[p]
  if (c === QUESTION) return p + 1
  if (c === OPEN) return matchSet(pattern, p + 1, to, byte)
  if (c === BACKSLASH && p + 1 < to) return pattern[p + 1] === byte ? p + 2 : -p
  return c === byte ? p + 1 : -p
}

/** The same for what follows a `[`. */
function matchSet(pattern: Uint8Array, p: number, to: number, byte: number): number {
  const isNegated = p < to && pattern[p] === CARET
  if (isNegated) p++
  let isMatch = false
  for (; p < to && pattern[p] !== CLOSE; p++) {
    if (pattern[p] === BACKSLASH && p + 1 < to) {
      p++
      if (pattern[p] === byte) isMatch = true
    } else if (p + 2 < to && pattern[p + 1] === DASH) {
      const a = signed(pattern[p])
      const b = signed(pattern[p + 2])
      const c = signed(byte)
      if (c >= Math.min(a, b) && c <= Math.max(a, b)) isMatch = true
      p += 2
    } else if (pattern[p] === byte) isMatch = true
  }
  const next = p < to ? p + 1 : to
  return isMatch === isNegated ? -next : next
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}
