// Whether bytes are replies of RESP2 or RESP3, each whole and each to the letter: no line with a stray CR or LF, no length that is not its
// body's, no type that the protocol does not have.

export interface Counted {
  /** Replies. */
  readonly replies: number
  /** RESP3 push messages. */
  readonly pushes: number
  /** Replies that are errors. */
  readonly errors: number
}

const DEPTH_MAX = 32

/** @returns how many there are. Throws if the bytes are anything else, or end in the middle. */
export function countReplies(bytes: Buffer, protocol: 2 | 3): Counted {
  let at = 0
  let replies = 0
  let pushes = 0
  let errors = 0
  const fail = (why: string): never => {
    throw new Error(`${why} at ${at} of ${JSON.stringify(bytes.toString('latin1', Math.max(0, at - 60), at + 100))}`)
  }
  const line = (): string => {
    const eol = bytes.indexOf(13, at)
    if (eol === -1 || bytes[eol + 1] !== 10) return fail('a line that does not end')
    const text = bytes.toString('latin1', at + 1, eol)
    if (text.includes('\n')) fail('a line with a line feed')
    at = eol + 2
    return text
  }
  const length = (text: string, isNullAllowed: boolean): number => {
    if (isNullAllowed && text === '-1') return -1
    if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) fail(`a length that is none: ${JSON.stringify(text)}`)
    return Number(text)
  }
  const only3 = (): void => {
    if (protocol !== 3) fail('a type of RESP3 in RESP2')
  }
  const one = (depth: number): void => {
    if (depth > DEPTH_MAX) fail('too deep')
    if (at >= bytes.length) fail('an end in the middle')
    const type = String.fromCharCode(bytes[at])
    const text = line()
    switch (type) {
      case '+':
        return
      case '-':
        if (!/^[A-Za-z]+( |$)/.test(text) && text !== '') fail(`an error without its first word: ${JSON.stringify(text)}`)
        return
      case ':':
        if (!/^-?(0|[1-9][0-9]*)$/.test(text) || text === '-0') fail(`an integer that is none: ${JSON.stringify(text)}`)
        return
      case '$':
      case '=':
      case '!': {
        if (type !== '$') only3()
        const n = length(text, type === '$' && protocol === 2)
        if (n === -1) return
        if (at + n + 2 > bytes.length || bytes[at + n] !== 13 || bytes[at + n + 1] !== 10) fail('a body of another length')
        if (type === '=' && bytes[at + 3] !== 58) fail('a verbatim text without its kind')
        at += n + 2
        return
      }
      case '_':
        only3()
        if (text !== '') fail('a null with something in it')
        return
      case '#':
        only3()
        if (text !== 't' && text !== 'f') fail('a boolean that is none')
        return
      case ',':
        only3()
        if (!/^(-?inf|nan|-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?)$/.test(text)) fail(`a double that is none: ${JSON.stringify(text)}`)
        return
      case '(':
        only3()
        if (!/^-?[0-9]+$/.test(text)) fail('a big number that is none')
        return
      case '*':
      case '~':
      case '>':
      case '%':
      case '|': {
        if (type !== '*') only3()
        let n = length(text, type === '*' && protocol === 2)
        if (type === '%' || type === '|') n *= 2
        for (let i = 0; i < n; i++) one(depth + 1)
        if (type === '|') one(depth + 1)
        return
      }
      default:
        fail('not a reply')
    }
  }
  while (at < bytes.length) {
    const type = bytes[at]
    one(0)
    if (type === 62) pushes++
    else replies++
    if (type === 45 || type === 33) errors++
  }
  return { replies, pushes, errors }
}
