// The request parser against an oracle that reads the whole stream at once, against redis-parser, and against hostile input; always
// with the input buffer poisoned between turns, so that a byte that should have been copied is missed.

import fc from 'fast-check'
import RedisParser from 'redis-parser'
import { describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Random } from '../../../src/base/random.ts'
import { BROKEN, INPUT_HEADROOM, MORE, REQUEST, RequestParser } from '../../../src/resp/parser.ts'
import { Request } from '../../../src/resp/request.ts'

const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin % 1e9))

interface Result {
  /** The requests, arguments as latin1 text. */
  readonly requests: string[][]
  readonly error: string
}

/** What a server does with the bytes of one connection. */
class Connection {
  readonly parser: RequestParser
  readonly requests: string[][] = []
  readonly #input: Buffer
  readonly #headroom: number
  now = 1

  constructor(options: { headroom?: number; inputBytes?: number; request?: Request } = {}) {
    this.#headroom = options.headroom ?? INPUT_HEADROOM
    this.#input = Buffer.alloc(this.#headroom + (options.inputBytes ?? 64 * 1024))
    this.parser = new RequestParser(options.request)
  }

  /** One turn: new bytes, at most `limit` requests of them. */
  turn(bytes: Uint8Array, limit = Infinity): number {
    this.#input.set(bytes, this.#headroom)
    this.parser.feed(this.#input, this.#headroom, this.#headroom + bytes.length)
    return this.run(limit)
  }

  run(limit = Infinity): number {
    let outcome: number = MORE
    for (let n = 0; n < limit; n++) {
      outcome = this.parser.next()
      if (outcome !== REQUEST) break
      this.requests.push(words(this.parser.request))
    }
    this.parser.keep(millis(this.now))
    this.#input.fill(0xee)
    return outcome
  }

  feed(bytes: Uint8Array, cuts: () => number): this {
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(cuts(), bytes.length - at, this.#input.length - this.#headroom)
      this.turn(bytes.subarray(at, at + size))
      at += size
    }
    return this
  }

  get result(): Result {
    return { requests: this.requests, error: this.parser.error }
  }
}

function words(request: Request): string[] {
  const list: string[] = []
  for (let i = 0; i < request.argc; i++) list.push(Buffer.from(request.bytes.subarray(request.start[i], request.end[i])).toString('latin1'))
  return list
}

/** What must come out of a whole stream: redis's rules over strings, without cuts, offsets or speed. */
function oracle(stream: string): Result {
  const requests: string[][] = []
  const broken = (what: string): Result => ({ requests, error: `ERR Protocol error: ${what}` })
  const unfinished = (): Result => ({ requests, error: '' })
  let at = 0
  /** The text before the first `mark`; null if it is too long, undefined if it is not there. */
  const line = (mark: string): string | null | undefined => {
    const visible = stream.slice(at, at + 65537).split('\0', 1)[0]
    const length = visible.indexOf(mark)
    if (length >= 0) return mark === '\r' && at + length + 1 === stream.length ? undefined : visible.slice(0, length)
    return stream.length - at > 65536 ? null : undefined
  }
  while (at < stream.length) {
    if (stream[at] !== '*') {
      const text = line('\n')
      if (text === undefined) return unfinished()
      if (text === null) return broken('too big inline request')
      at += text.length + 1
      const split = splitWords(text.endsWith('\r') ? text.slice(0, -1) : text)
      if (split === null) return broken('unbalanced quotes in request')
      if (split.length > 0) requests.push(split)
      continue
    }
    const head = line('\r')
    if (head === undefined) return unfinished()
    if (head === null) return broken('too big mbulk count string')
    const count = head.slice(1)
    if (!/^(0|-?[1-9][0-9]*)$/.test(count) || BigInt(count) > 1048576n || BigInt(count) < -(2n ** 63n))
      return broken('invalid multibulk length')
    at += head.length + 2
    const args: string[] = []
    while (args.length < Number(count)) {
      const length = line('\r')
      if (length === undefined) return unfinished()
      if (length === null) return broken('too big bulk count string')
      if (stream[at] !== '$') return broken(`expected '$', got '${stream[at]}'`)
      if (!/^\$(0|[1-9][0-9]*)$/.test(length) || Number(length.slice(1)) > 512 * 1024 * 1024) return broken('invalid bulk length')
      const body = at + length.length + 2
      at = body + Number(length.slice(1)) + 2
      if (at > stream.length) return unfinished()
      args.push(stream.slice(body, at - 2))
    }
    if (args.length > 0) requests.push(args)
  }
  return unfinished()
}

/** sdssplitargs, by cutting matches off the front of the text; null for unbalanced quotes. */
function splitWords(text: string): string[] | null {
  const list: string[] = []
  let rest = text
  const take = (pattern: RegExp): string | null => {
    const match = pattern.exec(rest)
    if (match === null) return null
    rest = rest.slice(match[0].length)
    return match[0]
  }
  for (;;) {
    take(/^[ \t-\r]+/)
    if (rest === '') return list
    let word = take(/^[^"' \t\r\n]+/) ?? ''
    if (rest[0] === '"') {
      const body = take(/^"(?:\\[^]|[^"\\])*"/)
      if (body === null || /^[^ \t-\r]/.test(rest)) return null
      const escapes = new Map([
        ['n', '\n'],
        ['r', '\r'],
        ['t', '\t'],
        ['b', '\b'],
        ['a', '\x07'],
      ])
      word += body
        .slice(1, -1)
        .replaceAll(/\\x([0-9a-fA-F]{2})|\\([^])/g, (_, hex: string | undefined, c: string) =>
          hex === undefined ? (escapes.get(c) ?? c) : String.fromCharCode(parseInt(hex, 16)),
        )
    } else if (rest[0] === "'") {
      const body = take(/^'(?:\\'|\\(?!')|[^'\\])*'/)
      if (body === null || /^[^ \t-\r]/.test(rest)) return null
      word += body.slice(1, -1).replaceAll("\\'", "'")
    }
    list.push(word)
  }
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const parse = (text: string | Buffer): Result =>
  new Connection({ inputBytes: 1 << 20 }).feed(Buffer.isBuffer(text) ? text : latin1(text), () => 1 << 20).result
const encode = (args: readonly string[]): string => `*${args.length}\r\n${args.map((a) => `$${a.length}\r\n${a}\r\n`).join('')}`
const errorOf = (text: string): string => parse(text).error.replace('ERR Protocol error: ', '')

describe('RequestParser', () => {
  it('cuts a pipeline of requests, binary arguments and empty ones included', () => {
    const requests = [
      ['PING'],
      ['SET', 'k', '\0\r\n\xff'],
      ['GET', ''],
      ['ECHO', '*1\r\n$4\r\nPING\r\n'],
      Array.from({ length: 300 }, (_, i) => `argument-${i}`),
    ]
    expect(parse(requests.map(encode).join(''))).toEqual({ requests, error: '' })
  })

  it('takes inline requests with quotes and escapes', () => {
    const cases: [string, string[]][] = [
      ['PING\r\n', ['PING']],
      ['PING\n', ['PING']],
      ['  set\tkey  value \r\n', ['set', 'key', 'value']],
      ['set k "a b"\r\n', ['set', 'k', 'a b']],
      ['set k "\\x00\\xfF\\x4z"\r\n', ['set', 'k', '\0\xffx4z']],
      ['set k "\\n\\r\\t\\b\\a\\"\\\\\\q"\r\n', ['set', 'k', '\n\r\t\b\x07"\\q']],
      ["set k 'it\\'s \\n \\x41'\r\n", ['set', 'k', "it's \\n \\x41"]],
      ['set k ab"cd"\r\n', ['set', 'k', 'abcd']],
      ['set "" \'\'\r\n', ['set', '', '']],
      ['\v\fa\vb \vc\n', ['a\vb', 'c']],
      ['a\rb\r\r\n', ['a', 'b']],
      ['\xff\xfe \x80\n', ['\xff\xfe', '\x80']],
      ['\\x41 \\n\n', ['\\x41', '\\n']],
    ]
    for (const [line, expected] of cases) expect(parse(line), JSON.stringify(line)).toEqual({ requests: [expected], error: '' })
  })

  it('skips empty lines and requests of no arguments', () => {
    expect(parse('\r\n\n   \r\n*0\r\n*-1\r\n*-9223372036854775808\r\n\t\nPING\r\n').requests).toEqual([['PING']])
  })

  it('names what is wrong as redis-server does', () => {
    expect(errorOf('*x\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*01\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*+1\r\n')).toBe('invalid multibulk length')
    expect(errorOf('* 1\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*-0\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*1048577\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*1048576\r\n')).toBe('')
    expect(errorOf('*9223372036854775808\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*-9223372036854775809\r\n')).toBe('invalid multibulk length')
    expect(errorOf('*1\r\n$-1\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$04\r\nPING\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$00\r\n\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$1x\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$536870913\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$1099511627776\r\n')).toBe('invalid bulk length')
    expect(errorOf('*1\r\n$18446744073709551616\r\n')).toBe('invalid bulk length')
    expect(errorOf('*2\r\n$4\r\nPING\r\n:1\r\n')).toBe("expected '$', got ':'")
    expect(errorOf('*1\r\n*1\r\n$4\r\nPING\r\n')).toBe("expected '$', got '*'")
    expect(errorOf('*1\r\n\r\n')).toBe("expected '$', got '\r'")
    expect(errorOf('"abc\r\n')).toBe('unbalanced quotes in request')
    expect(errorOf("set 'abc\r\n")).toBe('unbalanced quotes in request')
    expect(errorOf('set "a"b\r\n')).toBe('unbalanced quotes in request')
    expect(errorOf("set 'a'b\r\n")).toBe('unbalanced quotes in request')
    expect(errorOf("set 'a\\\\'\r\n")).toBe('unbalanced quotes in request')
    expect(errorOf('set "a\\\r\n')).toBe('unbalanced quotes in request')
  })

  it('says so only when the line is whole', () => {
    for (const start of ['*x', '*1\r\n:1', '*1\r\n$x', '*1\r\n$1099511627776', '*99999999999', '"abc'])
      expect(parse(start), start).toEqual({ requests: [], error: '' })
  })

  it('bounds every line, with or without its end', () => {
    const long = 'x'.repeat(65536)
    expect(errorOf(long)).toBe('')
    expect(parse(`${long}\n`).requests).toEqual([[long]])
    expect(errorOf(`${long}x`)).toBe('too big inline request')
    expect(errorOf(`${long}x\n`)).toBe('too big inline request')
    expect(errorOf(`*${long}`)).toBe('too big mbulk count string')
    expect(errorOf(`*1\r\n$${long}`)).toBe('too big bulk count string')
    // As in redis-server a NUL or a missing CR hides the rest of the line.
    expect(errorOf('PI\0NG\r\nPING\r\n')).toBe('')
    expect(errorOf(`PI\0NG\r\n${long}`)).toBe('too big inline request')
    expect(errorOf('*1\n$4\nPING\n')).toBe('')
    expect(errorOf(`*1\n$4\nPING\n${long}`)).toBe('too big mbulk count string')
    expect(errorOf(`*1\0\r\n${long}`)).toBe('too big mbulk count string')
  })

  it('does not compare the bytes that only end a line or an argument, as redis-server', () => {
    expect(parse('*2\rX$4\ryPING__$1\r\nk\0\0*1\r\n$4\r\nPING\r\n').requests).toEqual([['PING', 'k'], ['PING']])
  })

  it('takes small requests only before AUTH', () => {
    const before = (text: string): string => {
      const connection = new Connection()
      connection.parser.authenticated = false
      return connection.feed(latin1(text), () => 1 << 16).parser.error
    }
    expect(before(encode(Array.from({ length: 10 }, () => 'x')))).toBe('')
    expect(before('*11\r\n')).toBe('ERR Protocol error: unauthenticated multibulk length')
    expect(before(encode(['AUTH', 'x'.repeat(16384)]))).toBe('')
    expect(before('*2\r\n$4\r\nAUTH\r\n$16385\r\n')).toBe('ERR Protocol error: unauthenticated bulk length')
    expect(before('*1\r\n$536870913\r\n')).toBe('ERR Protocol error: invalid bulk length')
  })

  it('takes small STOCK commands only, by what they announce, whole or in pieces', () => {
    const feed = (text: string, size: number): Result => new Connection().feed(latin1(text), () => size).result
    const items = (name: string, argc: number): string[] => [name, ...Array.from({ length: argc - 1 }, () => '1')]
    for (const size of [1, 7, 1 << 20]) {
      expect(feed(encode(items('stock.RESERVE', 256)), size)).toMatchObject({ requests: [{ length: 256 }], error: '' })
      expect(feed('*257\r\n$13\r\nstock.RESERVE\r\n', size).error).toBe('ERR Protocol error: invalid multibulk length')
      expect(feed(`${items('STOCK.MGET', 257).join(' ')}\r\n`, size).error).toBe('ERR Protocol error: invalid multibulk length')
      expect(feed(encode(['STOCK.GET', 'x'.repeat(16384)]), size).error).toBe('')
      expect(feed('*2\r\n$9\r\nSTOCK.GET\r\n$16385\r\n', size).error).toBe('ERR Protocol error: invalid bulk length')
      expect(feed(encode(items('STOCK.', 300)), size).error).toBe('')
      expect(feed(encode(['STOCKING', 'x'.repeat(16385)]), size).error).toBe('')
    }
  })

  it('obeys proto-max-bulk-len, also with less than what AUTH may have', () => {
    for (const authenticated of [true, false]) {
      const connection = new Connection()
      connection.parser.authenticated = authenticated
      connection.parser.bulkBytesMax = 10
      connection.turn(latin1(encode(['GET', '0123456789'])))
      expect(connection.requests.length).toBe(1)
      connection.turn(latin1('*1\r\n$11\r\n'))
      expect(connection.parser.error).toBe('ERR Protocol error: invalid bulk length')
    }
  })

  it('stays broken', () => {
    const connection = new Connection()
    expect(connection.turn(latin1('PING\r\n*x\r\nPING\r\n'))).toBe(BROKEN)
    expect(connection.turn(latin1('PING\r\n'))).toBe(BROKEN)
    expect(connection.run()).toBe(BROKEN)
    expect(connection.requests).toEqual([['PING']])
    expect(connection.parser.pendingBytes).toBe(0)
  })

  it('goes on where the caller stopped, with and without new bytes', () => {
    const connection = new Connection()
    const requests = Array.from({ length: 100 }, (_, i) => ['SET', `key:${i}`, 'v'.repeat(i)])
    expect(connection.turn(latin1(requests.slice(0, 60).map(encode).join('')), 7)).toBe(REQUEST)
    expect(connection.parser.pendingBytes).toBeGreaterThan(1000)
    expect(connection.run(3)).toBe(REQUEST)
    expect(connection.turn(latin1(requests.slice(60).map(encode).join('')), 5)).toBe(REQUEST)
    for (let i = 0; i < 40; i++) connection.run(2)
    expect(connection.run()).toBe(MORE)
    expect(connection.requests).toEqual(requests)
    expect(connection.parser.bufferBytes).toBeLessThanOrEqual(1024)
  })

  it('tells since when a request is unfinished', () => {
    const connection = new Connection()
    const at = (now: number, text: string, limit = Infinity): number => {
      connection.now = now
      connection.turn(latin1(text), limit)
      return connection.parser.partialSince
    }
    expect(at(1000, 'PING\r\n')).toBe(0)
    expect(at(1001, '*2\r\n$3\r\nG')).toBe(1001)
    expect(at(1002, 'E')).toBe(1001)
    expect(at(1003, '')).toBe(1001)
    expect(at(1004, 'T\r\n$1\r\nk\r\nPI')).toBe(1004)
    expect(at(1005, 'NG\r\n')).toBe(0)
    expect(at(1006, 'PING\r\nPING\r\nPI', 1)).toBe(0)
    expect(at(1007, 'NG')).toBe(1007)
    expect(connection.parser.pendingBytes).toBe(4)
  })

  it('shares one Request among sessions: unfinished requests of many arguments do not disturb each other', () => {
    const request = new Request()
    const random = new Random(SEED)
    const connections = Array.from({ length: 5 }, () => new Connection({ request }))
    const expected = connections.map(() =>
      Array.from({ length: 20 }, () => Array.from({ length: random.between(1, 400) }, () => 'x'.repeat(random.below(30)))),
    )
    const streams = expected.map((requests) => latin1(requests.map(encode).join('')))
    const at = streams.map(() => 0)
    while (at.some((p, i) => p < streams[i].length)) {
      const i = random.below(5)
      const size = random.between(1, 3000)
      connections[i].turn(streams[i].subarray(at[i], at[i] + size))
      at[i] += size
    }
    connections.forEach((connection, i) => expect(connection.result, `SEED=${SEED}`).toEqual({ requests: expected[i], error: '' }))
  })

  it('gives the same requests one byte at a time', () => {
    const stream = latin1(
      [
        '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\n',
        'x'.repeat(12),
        '\r\n',
        '\r\n',
        '*0\r\n',
        'GET "a\\x41"\r\n',
        encode(Array.from({ length: 200 }, (_, i) => `${i}`)),
        encode(['a', 'b'.repeat(5000)]),
        '*1\r\n+',
      ].join(''),
    )
    for (const headroom of [0, 1, 10, 1024]) {
      const connection = new Connection({ headroom }).feed(stream, () => 1)
      expect(connection.result).toEqual(parse(stream))
      expect(connection.requests.length).toBe(4)
    }
  })

  it('gives what redis-parser gives for every stream of valid requests, however it is cut', () => {
    const stream = fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 90 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(
        stream,
        fc.integer(),
        fc.integer({ min: 1, max: 700 }),
        fc.constantFrom(0, 16, 1024),
        (requests, seed, cutMax, headroom) => {
          const bytes = Buffer.concat(requests.map((args) => latin1(encode(args.map((a) => Buffer.from(a).toString('latin1'))))))
          const peer: string[][] = []
          const parser = new RedisParser({
            returnBuffers: true,
            returnReply: (reply: Buffer[]) => peer.push(reply.map((a) => a.toString('latin1'))),
            returnError: (error: Error) => {
              throw error
            },
          })
          parser.execute(bytes)
          const random = new Random(seed)
          expect(new Connection({ headroom }).feed(bytes, () => random.between(1, cutMax)).result).toEqual({ requests: peer, error: '' })
        },
      ),
      { seed: SEED, numRuns: 300 },
    )
  })

  it('gives what the oracle gives for any bytes, however they are cut', () => {
    const piece = fc.oneof(
      { weight: 6, arbitrary: fc.array(fc.string({ unit: 'binary-ascii', maxLength: 20 }), { minLength: 1, maxLength: 70 }).map(encode) },
      {
        weight: 3,
        arbitrary: fc
          .string({ unit: fc.constantFrom('a', '"', "'", '\\', 'x', '4', '1', 'n', ' ', '\t', '\v', '\r', '\xff', '\0'), maxLength: 12 })
          .map((s) => `${s}\n`),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          '*0\r\n',
          '*-1\r\n',
          '\r\n',
          '\n',
          '*1\rX',
          '$3\r\n',
          '*2\r\n',
          '*00\r\n',
          '*1\n',
          '\0',
          '*',
          '$',
          '\r',
          '*3\r\n$3\r\nSET\r\n',
          '*1048576\r\n',
          '*70\r\n',
          'more',
          'more\n',
        ),
      },
      { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 10 }) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom('x', '*', '*1\r\n$', "'"), fc.integer({ min: 65500, max: 65600 }))
          .map(([start, n]) => start + 'y'.repeat(n)),
      },
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }),
        fc.integer(),
        fc.constantFrom(3, 50, 1000, 60000),
        fc.constantFrom(0, 16, 1024),
        (pieces, seed, cutMax, headroom) => {
          const stream = pieces.join('')
          const random = new Random(seed)
          const cut = new Connection({ headroom }).feed(latin1(stream), () => random.between(1, cutMax))
          expect(cut.result).toEqual(oracle(stream))
        },
      ),
      { seed: SEED, numRuns: 600 },
    )
  })

  it('grows with the bytes that have come, not with what is announced', () => {
    const connection = new Connection()
    connection.turn(latin1('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n'))
    expect(connection.parser.bufferBytes).toBeLessThanOrEqual(1024)
    const chunk = Buffer.alloc(64 * 1024, 120)
    for (let i = 0; i < 64; i++) {
      connection.turn(chunk)
      expect(connection.parser.bufferBytes).toBeLessThanOrEqual(2 * connection.parser.pendingBytes)
    }
    const many = new Connection()
    many.turn(latin1('*1048576\r\n'))
    expect(many.parser.bufferBytes).toBeLessThanOrEqual(1024)
    expect(many.parser.request.start.length).toBeLessThanOrEqual(1024)
  })

  it('gives the memory of a large request back', () => {
    const connection = new Connection()
    connection.feed(latin1(`${encode(['SET', 'k', 'v'.repeat(1 << 20)])}*1\r\n$4\r\nPI`), () => 1 << 16)
    expect(connection.requests[0][2].length).toBe(1 << 20)
    expect(connection.parser.pendingBytes).toBe(10)
    expect(connection.parser.bufferBytes).toBeLessThanOrEqual(1024)
    connection.turn(latin1('NG\r\n'))
    expect(connection.requests[1]).toEqual(['PING'])
  })

  it('takes time linear in the bytes of a request, however large its count and however small the cuts', () => {
    const started = performance.now()
    // A million arguments in 64 KiB cuts.
    const count = 1_048_576
    const many = new Connection()
    const stream = Buffer.concat([Buffer.from(`*${count}\r\n`), Buffer.alloc(count * 7, '$1\r\nx\r\n')])
    for (let at = 0; at < stream.length; at += 65536) {
      many.parser.feed(stream, at, Math.min(at + 65536, stream.length))
      if (many.parser.next() === REQUEST) many.requests.push([String(many.parser.request.argc)])
      many.parser.keep(millis(1))
    }
    expect(many.requests).toEqual([[String(count)]])
    // 64 KiB of header, and a request of 5,000 arguments, a byte at a time.
    expect(bytewise(`*${'1'.repeat(65536)}`)).toBe('ERR Protocol error: too big mbulk count string')
    expect(bytewise(`*5000\r\n${'$1\r\nx\r\n'.repeat(5000)}`)).toBe('')
    expect(performance.now() - started).toBeLessThan(3000)

    function bytewise(text: string): string {
      const parser = new RequestParser()
      const bytes = latin1(text)
      for (let i = 0; i < bytes.length; i++) {
        parser.feed(bytes, i, i + 1)
        parser.next()
        parser.keep(millis(1))
      }
      return parser.error
    }
  })
})
