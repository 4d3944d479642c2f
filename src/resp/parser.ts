// Cuts a session's byte stream into requests, in place: offsets into the bytes, no copies, no strings, no objects per request.
//
//   *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $5\r\nhello\r\n      a request
//   SET k "hello"\r\n                                     the same, inline, for people with telnet
//
// One parser per session; the input buffer that the socket reads into is one for all sessions. A turn with new bytes is
//
//   parser.feed(input, start, end)
//   while (parser.next() === REQUEST) run(parser.request)      may stop early: the rest is kept
//   parser.keep(now)
//
// Whole requests are cut where they lie. Only what is left over is copied, into a buffer of the session's own, by `keep`; when the
// next bytes come, a short rest (the beginning of one small request, mostly) is put back in front of them, into the input buffer's
// headroom, and a long one is continued in the own buffer. That buffer grows with the bytes that have come, never with what a header
// announces, and nothing is looked at twice: a request costs time linear in its bytes, however it is cut.
//
// What is accepted, refused, skipped and said is what redis-server 7.0.15 does, with its looseness: the byte behind a CR and the two
// bytes behind an argument are skipped, not compared; a NUL hides the rest of a line, which is then waited for until it is too long.
// Deviations: ARGUMENTS_MAX instead of 2^31-1; STOCK commands are small, and are refused by what their headers announce; and a line is
// too long by its own length, however many bytes came in one read.

import { type Millis, millis } from '../base/brand.ts'
import { parseInt64 } from '../base/decimal.ts'
import {
  ARGUMENTS_MAX,
  BULK_BYTES_MAX,
  INLINE_BYTES_MAX,
  STOCK_ARGUMENTS_MAX,
  STOCK_BULK_BYTES_MAX,
  UNAUTHENTICATED_ARGUMENTS_MAX,
  UNAUTHENTICATED_BULK_BYTES_MAX,
} from '../base/limits.ts'
import { Request } from './request.ts'

/** What `next` found. */
export type Outcome = typeof REQUEST | typeof MORE | typeof BROKEN
/** `parser.request` is whole; it is valid until the next call of any method. */
export const REQUEST = 1
/** There is no whole request in what has come. */
export const MORE = 0
/** The stream makes no sense any more: answer `parser.error` and close. */
export const BROKEN = -1

/** Free bytes that the server leaves before the place it reads into. A longer rest is continued in the session's own buffer. */
export const INPUT_HEADROOM = 1024

/** An own buffer up to this size stays with its session when it is empty; a larger one is given back. */
const KEPT_BYTES = 1024
/** A request with more arguments than this is continued where it stopped; a smaller one is read again from its beginning. */
const READ_AGAIN_MAX = 64
/** Arguments up to here are within every limit. */
const SHORT_BYTES_MAX = Math.min(UNAUTHENTICATED_BULK_BYTES_MAX, STOCK_BULK_BYTES_MAX)
const STOCK_PREFIX = 'STOCK.'
const NOTHING = Buffer.alloc(0)
const NEVER = millis(0)

const NUL = 0
const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const DOUBLE_QUOTE = 34
const DOLLAR = 36
const SINGLE_QUOTE = 39
const STAR = 42
const BACKSLASH = 92

/** What `#lineEnd` answers instead of a position. */
const UNFINISHED = -1
const TOO_LONG = -2

export class RequestParser {
  /** The request that `next` found. */
  request: Request
  /** The request that `next` found came as an inline line. */
  isInline = false
  /** After BROKEN: the error reply that the client gets before the connection is closed. */
  error = ''
  /** False before AUTH: small requests only. Set by the session. */
  authenticated = true
  /** Longest argument. Set by the session from `proto-max-bulk-len`. */
  bulkBytesMax = BULK_BYTES_MAX
  /** Since when the beginning of a request lies here without its end; 0 if none does. As of the last `keep`. */
  partialSince: Millis = NEVER

  readonly #shared: Request
  /** The bytes that were not consumed yet are #bytes[#at..#end): in the input buffer, or in #own. */
  #bytes: Buffer = NOTHING
  #at = 0
  #end = 0
  /** Holds the unconsumed bytes between turns. */
  #own: Buffer = NOTHING
  /** The request at #at cannot be whole before so many bytes of it are here. */
  #need = 1
  /** True if #at is the beginning of an unfinished request. */
  #isPartial = false
  /** Within an unfinished request, from its beginning: where the unfinished line starts, and up to where it was searched for its end. */
  #lineStart = 0
  #lineSearched = 0
  /** A request of many arguments that is not whole: its announced count (0: none), and where its next argument starts, from #at. */
  #expected = 0
  #resume = 0

  /** @param request is shared by all parsers of a server: it holds one request at a time. */
  constructor(request: Request = new Request()) {
    this.#shared = request
    this.request = request
  }

  /** Bytes that have come and were not consumed. */
  get pendingBytes(): number {
    return this.#end - this.#at
  }

  /** Bytes of memory that this session's input takes between turns. */
  get bufferBytes(): number {
    return this.#own.length
  }

  /**
   * New bytes: input[start..end). They are read where they are until `keep`. The bytes before `start` are headroom that the parser
   * may overwrite; INPUT_HEADROOM is a good size, and none is needed.
   */
  feed(input: Buffer, start: number, end: number): void {
    const pending = this.#end - this.#at
    if (pending > 0) {
      if (pending > start || this.#expected !== 0) return this.#append(input, start, end)
      start -= pending
      this.#bytes.copy(input, start, this.#at, this.#end)
    }
    this.#bytes = input
    this.#at = start
    this.#end = end
  }

  /** The next request of what has come. */
  next(): Outcome {
    if (this.#end - this.#at < this.#need) return MORE
    if (this.error !== '') return BROKEN
    if (this.#expected !== 0) return this.#arguments(this.request, this.#expected, this.#at + this.#resume)
    const request = this.#shared
    this.request = request
    const bytes = this.#bytes
    const end = this.#end
    request.bytes = bytes
    for (let at = this.#at; at < end;) {
      this.isInline = bytes[at] !== STAR
      if (this.isInline) {
        const outcome = this.#inline(request, at)
        if (outcome !== REQUEST || request.argc > 0) return outcome
        at = this.#at
        continue
      }
      // One digit and CR: nearly every request.
      let count = at + 3 < end && bytes[at + 2] === CR ? bytes[at + 1] - 48 : 0
      let behind = at + 4
      if (count < 1 || count > 9) {
        const lineEnd = this.#lineEnd(at, CR)
        if (lineEnd < 0) return lineEnd === UNFINISHED ? this.#wait(1) : this.#broken('too big mbulk count string')
        const announced = parseInt64(bytes, at + 1, lineEnd)
        if (announced === undefined || announced > ARGUMENTS_MAX) return this.#broken('invalid multibulk length')
        if (announced > UNAUTHENTICATED_ARGUMENTS_MAX && !this.authenticated) return this.#broken('unauthenticated multibulk length')
        count = Number(announced)
        behind = lineEnd + 2
        if (count <= 0) {
          at = behind
          this.#consumed(at)
          continue
        }
      }
      request.argc = 0
      return this.#arguments(request, count, behind)
    }
    this.#consumed(end)
    return MORE
  }

  /**
   * Ends a turn: the input buffer may be used for others now. Kept bytes may be whole requests if the caller stopped before MORE; then
   * `next` goes on with them, with or without new bytes.
   */
  keep(now: Millis): void {
    if (!this.#isPartial) this.partialSince = NEVER
    else if (this.partialSince === NEVER) this.partialSince = now
    const pending = this.#end - this.#at
    const own = this.#own
    if (pending === 0 || this.error !== '') {
      this.#bytes = NOTHING
      this.#at = 0
      this.#end = 0
      if (own.length > KEPT_BYTES) this.#own = NOTHING
    } else if (this.#bytes !== own) {
      this.#move(own.length >= pending ? own : Buffer.allocUnsafeSlow(this.#roomFor(pending)))
    } else if (own.length > KEPT_BYTES && pending < own.length >>> 2) {
      this.#move(Buffer.allocUnsafeSlow(this.#roomFor(pending)))
    }
  }

  /** Reads arguments from `p` on until the request has `count` of them. */
  #arguments(request: Request, count: number, p: number): Outcome {
    const bytes = this.#bytes
    const end = this.#end
    // Longer ones take the long way, which says what is wrong with them, if anything is.
    const short = this.bulkBytesMax < SHORT_BYTES_MAX ? this.bulkBytesMax : SHORT_BYTES_MAX
    const isMany = count > STOCK_ARGUMENTS_MAX
    let argc = request.argc
    let start = request.start
    let stop = request.end
    while (argc < count) {
      // `$`, one to nine digits without a leading zero, CR.
      let length = -1
      let q = p + 1
      if (q < end && bytes[p] === DOLLAR) {
        const digit = bytes[q] - 48
        if (digit >= 0 && digit <= 9) {
          const last = digit === 0 ? q + 1 : q + 9
          length = digit
          for (q++; q < last && q < end; q++) {
            const next = bytes[q] - 48
            if (next < 0 || next > 9) break
            length = length * 10 + next
          }
          if (q + 1 >= end || bytes[q] !== CR) length = -1
        }
      }
      if (length < 0 || length > short) {
        const lineEnd = this.#lineEnd(p, CR)
        if (lineEnd === TOO_LONG) return this.#broken('too big bulk count string')
        if (lineEnd === UNFINISHED) return this.#suspend(request, count, argc, p, 1)
        if (bytes[p] !== DOLLAR) return this.#broken(`expected '$', got '${String.fromCharCode(bytes[p])}'`)
        const announced = parseInt64(bytes, p + 1, lineEnd)
        if (announced === undefined || announced < 0 || announced > this.bulkBytesMax) return this.#broken('invalid bulk length')
        if (announced > UNAUTHENTICATED_BULK_BYTES_MAX && !this.authenticated) return this.#broken('unauthenticated bulk length')
        if (announced > STOCK_BULK_BYTES_MAX && argc > 0 && isStock(bytes, start[0], stop[0])) return this.#broken('invalid bulk length')
        length = Number(announced)
        q = lineEnd
      }
      q += 2
      const behind = q + length + 2
      if (behind > end) return this.#suspend(request, count, argc, p, behind - p)
      if (argc === start.length) {
        request.reserve(argc + 1)
        start = request.start
        stop = request.end
      }
      start[argc] = q
      stop[argc] = q + length
      argc++
      p = behind
      if (isMany && argc === 1 && isStock(bytes, start[0], stop[0])) return this.#broken('invalid multibulk length')
    }
    request.argc = argc
    this.#consumed(p)
    return REQUEST
  }

  /**
   * Splits a line at `at` into words as Redis's sdssplitargs does: blanks divide; "..." knows \xhh \n \r \t \b \a and \ before any other
   * byte; '...' knows \'. Words are unescaped where they lie: they only get shorter.
   */
  #inline(request: Request, at: number): Outcome {
    const newline = this.#lineEnd(at, LF)
    if (newline === UNFINISHED) return this.#wait(1)
    if (newline === TOO_LONG) return this.#broken('too big inline request')
    const bytes = this.#bytes
    const end = newline > at && bytes[newline - 1] === CR ? newline - 1 : newline
    let argc = 0
    let p = at
    for (;;) {
      while (p < end && isBlank(bytes[p])) p++
      if (p === end) break
      request.reserve(argc + 1)
      request.start[argc] = p
      let to = p
      // 0, or the quote that the position is inside of.
      let quote = 0
      for (; p < end; p++) {
        let c = bytes[p]
        if (quote === 0) {
          if (c === SPACE || c === TAB || c === CR || c === LF) break
          if (c === DOUBLE_QUOTE || c === SINGLE_QUOTE) {
            quote = c
            continue
          }
        } else if (c === quote) {
          // A word ends with its quote: what follows must be a blank.
          if (p + 1 < end && !isBlank(bytes[p + 1])) return this.#broken('unbalanced quotes in request')
          quote = 0
          p++
          break
        } else if (c === BACKSLASH && p + 1 < end) {
          if (quote === SINGLE_QUOTE) {
            if (bytes[p + 1] === SINGLE_QUOTE) c = bytes[++p]
          } else {
            const high = p + 3 < end && bytes[p + 1] === 120 ? hexDigit(bytes[p + 2]) : -1
            const low = high >= 0 ? hexDigit(bytes[p + 3]) : -1
            if (low >= 0) {
              c = high * 16 + low
              p += 3
            } else c = unescaped(bytes[++p])
          }
        }
        bytes[to++] = c
      }
      if (quote !== 0) return this.#broken('unbalanced quotes in request')
      request.end[argc++] = to
    }
    if (argc > STOCK_ARGUMENTS_MAX && isStock(bytes, request.start[0], request.end[0])) return this.#broken('invalid multibulk length')
    request.argc = argc
    this.#consumed(newline + 1)
    return REQUEST
  }

  /** The position of the first `mark` of the line at `at`; UNFINISHED, TOO_LONG. A header's line is over when the byte behind it is here. */
  #lineEnd(at: number, mark: number): number {
    const bytes = this.#bytes
    const limit = at + INLINE_BYTES_MAX + 1
    const end = this.#end < limit ? this.#end : limit
    let p = at
    if (this.#isPartial && this.#at + this.#lineStart === at) p = this.#at + this.#lineSearched
    while (p < end && bytes[p] !== mark && bytes[p] !== NUL) p++
    if (p < end && bytes[p] === mark) {
      if (mark === LF || p + 1 < this.#end) return p
    } else if (this.#end >= limit) return TOO_LONG
    this.#lineStart = at - this.#at
    this.#lineSearched = p - this.#at
    return UNFINISHED
  }

  /** The request at #at is not whole before `need` bytes of it are here. */
  #wait(need: number): Outcome {
    this.#isPartial = true
    this.#need = need
    return MORE
  }

  /** The request stops before the end of its argument at `p`, which needs `need` bytes. */
  #suspend(request: Request, count: number, argc: number, p: number, need: number): Outcome {
    if (argc > READ_AGAIN_MAX) {
      // Its offsets are kept in a request of its own: the shared one serves other sessions meanwhile.
      let own = request
      if (request === this.#shared) {
        own = new Request()
        own.reserve(argc)
        own.start.set(request.start.subarray(0, argc))
        own.end.set(request.end.subarray(0, argc))
        own.bytes = request.bytes
        this.request = own
      }
      own.argc = argc
      this.#expected = count
      this.#resume = p - this.#at
    }
    return this.#wait(p - this.#at + need)
  }

  /** Everything before `at` is done with. */
  #consumed(at: number): void {
    this.#at = at
    if (!this.#isPartial) return
    this.#isPartial = false
    this.partialSince = NEVER
    this.#need = 1
    this.#expected = 0
    this.#lineStart = 0
    this.#lineSearched = 0
  }

  #broken(what: string): Outcome {
    this.error = `ERR Protocol error: ${what}`
    this.#isPartial = false
    this.#need = 0
    return BROKEN
  }

  /** Puts new bytes behind the pending ones, in the own buffer. */
  #append(input: Buffer, start: number, end: number): void {
    const size = end - start
    const pending = this.#end - this.#at
    if (this.#end + size > this.#own.length) {
      const room = this.#roomFor(pending + size)
      this.#move(room <= this.#own.length ? this.#own : Buffer.allocUnsafeSlow(room))
    }
    input.copy(this.#own, this.#end, start, end)
    this.#end += size
  }

  /**
   * How large a buffer for `bytes` bytes should be: by half more at least than the one there is, so that growing is linear in the end;
   * twice what has come at most; and in between just what the request needs, if that is known.
   */
  #roomFor(bytes: number): number {
    if (bytes <= KEPT_BYTES) return KEPT_BYTES
    const double = bytes * 2
    return this.#need <= bytes || this.#need >= double ? double : Math.max(this.#need, bytes + (bytes >>> 1))
  }

  /** Moves the pending bytes to the beginning of `target`, which is the own buffer from now on. */
  #move(target: Buffer): void {
    const from = this.#at
    this.#bytes.copy(target, 0, from, this.#end)
    this.#own = target
    this.#bytes = target
    this.#end -= from
    this.#at = 0
    if (this.#expected === 0) return
    const request = this.request
    request.bytes = target
    if (from === 0) return
    for (let i = 0; i < request.argc; i++) {
      request.start[i] -= from
      request.end[i] -= from
    }
  }
}

/** Is this the name of a STOCK command? */
function isStock(bytes: Buffer, start: number, end: number): boolean {
  if (end - start <= STOCK_PREFIX.length) return false
  for (let i = 0; i < STOCK_PREFIX.length; i++) {
    const c = bytes[start + i]
    if ((c >= 97 && c <= 122 ? c - 32 : c) !== STOCK_PREFIX.charCodeAt(i)) return false
  }
  return true
}

/** C's isspace. */
function isBlank(c: number): boolean {
  return c === SPACE || (c >= TAB && c <= CR)
}

/** The value of a hexadecimal digit, -1 if it is none. */
function hexDigit(c: number): number {
  if (c >= 48 && c <= 57) return c - 48
  const letter = c | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** The byte that `\c` stands for inside double quotes. */
function unescaped(c: number): number {
  if (c === 110) return LF
  if (c === 114) return CR
  if (c === 116) return TAB
  if (c === 98) return 8
  if (c === 97) return 7
  return c
}
