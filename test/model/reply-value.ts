// Replies as plain values: what the model answers and what tests compare, print and read back from bytes.
//
// Names are latin1 text, one character per byte, so that binary names survive.

export interface SimpleText {
  readonly simple: string
}
export interface BulkText {
  readonly bulk: string
}
/** `exact`: the contract gives the whole text; otherwise only the first word is promised. */
export interface ErrorText {
  readonly error: string
  readonly exact: boolean
}
export interface MapValue {
  readonly pairs: readonly (readonly [string, ReplyValue])[]
}
export type ReplyValue = SimpleText | BulkText | ErrorText | MapValue | readonly ReplyValue[] | number | null

export const simple = (text: string): SimpleText => ({ simple: text })
export const bulk = (text: string): BulkText => ({ bulk: text })
/** An error whose first word alone is promised. */
export const error = (text: string): ErrorText => ({ error: oneLine(text), exact: false })
/** An error whose whole text is promised. */
export const exactly = (text: string): ErrorText => ({ error: oneLine(text), exact: true })
/** CR and LF in a name become spaces: client bytes cannot forge a reply. */
const oneLine = (text: string): string => text.replaceAll(/[\r\n]/g, ' ')

const isList = (value: ReplyValue): value is readonly ReplyValue[] => Array.isArray(value)
export const isError = (value: ReplyValue): value is ErrorText => typeof value === 'object' && value !== null && 'error' in value

/** The bytes of a value, as latin1 text: a map is `%n` in RESP3 and a flat array in RESP2. */
export function encode(value: ReplyValue, protocol: 2 | 3): string {
  if (value === null) return protocol === 3 ? '_\r\n' : '$-1\r\n'
  if (typeof value === 'number') return `:${value}\r\n`
  if (isList(value)) return `*${value.length}\r\n${value.map((v) => encode(v, protocol)).join('')}`
  if ('simple' in value) return `+${value.simple}\r\n`
  if ('bulk' in value) return `$${value.bulk.length}\r\n${value.bulk}\r\n`
  if ('error' in value) return `-${value.error}\r\n`
  const body = value.pairs.map(([key, v]) => encode(bulk(key), protocol) + encode(v, protocol)).join('')
  return (protocol === 3 ? `%${value.pairs.length}` : `*${value.pairs.length * 2}`) + `\r\n${body}`
}

/** Reads exactly one reply from latin1 text. Anything left over is a fault of the one who wrote it. */
export function decode(text: string): ReplyValue {
  let at = 0
  const line = (): string => {
    const end = text.indexOf('\r\n', at)
    if (end < 0) throw new Error(`reply cut short: ${JSON.stringify(text)}`)
    const found = text.slice(at, end)
    at = end + 2
    return found
  }
  const one = (): ReplyValue => {
    const head = line()
    const rest = head.slice(1)
    const many = (n: number): ReplyValue[] => Array.from({ length: n }, one)
    switch (head[0]) {
      case '+':
        return simple(rest)
      case '-':
        return exactly(rest)
      case ':':
        return Number(rest)
      case '_':
        return null
      // The ledger answers no sets; those of other keys are told in the order in which they come.
      case '~':
      case '*':
        return rest === '-1' ? null : many(Number(rest))
      case '%':
        return { pairs: Array.from({ length: Number(rest) }, () => [text2(one()), one()] as const) }
      case ',':
        return bulk(rest)
      case '$': {
        if (rest === '-1') return null
        const n = Number(rest)
        const body = text.slice(at, at + n)
        if (text.slice(at + n, at + n + 2) !== '\r\n') throw new Error(`bulk of wrong length: ${JSON.stringify(text)}`)
        at += n + 2
        return bulk(body)
      }
      default:
        throw new Error(`not a reply: ${JSON.stringify(text.slice(at - 40))}`)
    }
  }
  const value = one()
  if (at !== text.length) throw new Error(`more than one reply: ${JSON.stringify(text)}`)
  return value
}

const text2 = (value: ReplyValue): string => (typeof value === 'object' && value !== null && 'bulk' in value ? value.bulk : show(value))

/** One line for people: `OK 900000 99 1 ""`, `(nil)`, `-NOSKU no such SKU 'x'`, `-QTY ...` if only that is promised. Nested lists are bracketed; odd bytes are `\x..`. */
export function show(value: ReplyValue): string {
  return isList(value) ? (value.length === 0 ? '(empty)' : value.map(word).join(' ')) : word(value)
}

function word(value: ReplyValue): string {
  if (value === null) return '(nil)'
  if (typeof value === 'number') return String(value)
  if (isList(value)) return `[${value.map(word).join(' ')}]`
  if ('simple' in value) return value.simple
  if ('error' in value) return value.exact ? `-${value.error}` : `-${value.error.split(' ')[0]} ...`
  if ('pairs' in value) return value.pairs.map(([key, v]) => `${key}=${word(v)}`).join(' ')
  return quoted(value.bulk)
}

/** Bare when it is one harmless word, else in quotes with redis-cli's escapes. */
export function quoted(text: string): string {
  if (/^[!#-&(-Z^-~]+$/.test(text)) return text
  const inner = text.replaceAll(/[^ -~]|["\\]/g, (c) =>
    c === '"' || c === '\\' ? `\\${c}` : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  return `"${inner}"`
}
