import fc from 'fast-check'
import RedisParser from 'redis-parser'
import { describe, expect, it } from 'vitest'
import { Reply } from '../../../src/resp/reply.ts'

const bytesOf = (reply: Reply): string => reply.buffer.toString('latin1', 0, reply.length)
const both = (write: (reply: Reply) => void): [string, string] => {
  const texts = ([2, 3] as const).map((protocol) => {
    const reply = new Reply(16)
    reply.protocol = protocol
    write(reply)
    return bytesOf(reply)
  })
  return [texts[0], texts[1]]
}
const same = (text: string): [string, string] => [text, text]

describe('Reply', () => {
  it('writes the same bytes in both protocols where they have the same type', () => {
    expect(both((r) => r.ok())).toEqual(same('+OK\r\n'))
    expect(both((r) => r.simple('QUEUED'))).toEqual(same('+QUEUED\r\n'))
    expect(both((r) => r.integer(-12))).toEqual(same(':-12\r\n'))
    expect(both((r) => r.integer(Number.MAX_SAFE_INTEGER))).toEqual(same(':9007199254740991\r\n'))
    expect(both((r) => r.int64(-(2n ** 63n)))).toEqual(same(':-9223372036854775808\r\n'))
    expect(both((r) => r.bulk(Buffer.from('a\r\nb')))).toEqual(same('$4\r\na\r\nb\r\n'))
    expect(both((r) => r.bulk(Buffer.from('hello'), 1, 4))).toEqual(same('$3\r\nell\r\n'))
    expect(both((r) => r.bulk(Buffer.alloc(0)))).toEqual(same('$0\r\n\r\n'))
    expect(both((r) => r.emptyBulk())).toEqual(same('$0\r\n\r\n'))
    expect(both((r) => r.text(''))).toEqual(same('$0\r\n\r\n'))
    expect(both((r) => r.text('é'))).toEqual(same('$2\r\n\xc3\xa9\r\n'))
    expect(both((r) => r.latin1('\xe9\0'))).toEqual(same('$2\r\n\xe9\0\r\n'))
    expect(both((r) => r.integerBulk(-100))).toEqual(same('$4\r\n-100\r\n'))
    expect(both((r) => r.array(0))).toEqual(same('*0\r\n'))
    expect(both((r) => r.raw(Buffer.from('+PONG\r\n')))).toEqual(same('+PONG\r\n'))
  })

  it('writes the types of RESP3 where the client knows them', () => {
    expect(both((r) => r.nil())).toEqual(['$-1\r\n', '_\r\n'])
    expect(both((r) => r.nilArray())).toEqual(['*-1\r\n', '_\r\n'])
    expect(both((r) => r.map(2))).toEqual(['*4\r\n', '%2\r\n'])
    expect(both((r) => r.set(3))).toEqual(['*3\r\n', '~3\r\n'])
    expect(both((r) => r.push(3))).toEqual(['*3\r\n', '>3\r\n'])
    expect(both((r) => r.boolean(true))).toEqual([':1\r\n', '#t\r\n'])
    expect(both((r) => r.boolean(false))).toEqual([':0\r\n', '#f\r\n'])
    expect(both((r) => r.double('1.5'))).toEqual(['$3\r\n1.5\r\n', ',1.5\r\n'])
    expect(both((r) => r.verbatim('é\n'))).toEqual(['$3\r\n\xc3\xa9\n\r\n', '=7\r\ntxt:\xc3\xa9\n\r\n'])
    expect(both((r) => r.verbatim(''))).toEqual(['$0\r\n\r\n', '=4\r\ntxt:\r\n'])
  })

  it('lets no byte of a client forge a reply through an error text', () => {
    const reply = new Reply(16)
    // U+010D and U+010A have CR and LF as their low bytes.
    reply.error('ERR \r\n+OK\r\n\u{10d}\u{10a}\xff')
    expect(bytesOf(reply)).toBe('-ERR   +OK    \xff\r\n')
    reply.length = 0
    reply.error('ERR no \r\n\r')
    expect(bytesOf(reply)).toBe('-ERR no \r\n')
    reply.length = 0
    reply.error('ERR no')
    expect(reply.errors).toBe(3)
    expect(reply.lastError).toBe('ERR no')
    fc.assert(
      fc.property(fc.string({ unit: fc.nat(0x2ff).map((c) => String.fromCharCode(c)), maxLength: 100 }), (text) => {
        const hostile = new Reply(16)
        hostile.error(`ERR ${text}`)
        expect(/^-[^\r\n]*\r\n$/.test(bytesOf(hostile))).toBe(true)
      }),
    )
  })

  it('grows as it must and keeps what was written', () => {
    const item = fc.oneof(
      fc
        .uint8Array({ maxLength: 200 })
        .map((bytes) => ({ write: (r: Reply) => r.bulk(bytes), value: Buffer.from(bytes).toString('latin1') as unknown })),
      fc.maxSafeInteger().map((n) => ({ write: (r: Reply) => r.integer(n), value: n as unknown })),
      fc.maxSafeInteger().map((n) => ({ write: (r: Reply) => r.integerBulk(n), value: String(n) as unknown })),
      fc.constant({ write: (r: Reply) => r.nil(), value: null }),
      fc
        .string({ unit: 'binary', maxLength: 50 })
        .map((text) => ({ write: (r: Reply) => r.text(text), value: Buffer.from(text).toString('latin1') as unknown })),
    )
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60 }), fc.integer({ min: 1, max: 64 }), (items, initialBytes) => {
        const reply = new Reply(initialBytes)
        reply.array(items.length)
        for (const { write } of items) write(reply)
        const values: unknown[] = []
        const parser = new RedisParser({
          returnBuffers: true,
          returnReply: (list: unknown[]) => values.push(...list.map((v) => (Buffer.isBuffer(v) ? v.toString('latin1') : v))),
          returnError: (error: Error) => {
            throw error
          },
        })
        parser.execute(Buffer.from(reply.buffer.subarray(0, reply.length)))
        expect(values).toEqual(items.map(({ value }) => value))
      }),
    )
  })

  it('takes bytes from table rows (shared memory) too', () => {
    const row = new Uint8Array(new SharedArrayBuffer(1000)).fill(120)
    const reply = new Reply(16)
    reply.bulk(row, 10, 20)
    reply.bulk(row, 0, 500)
    expect(bytesOf(reply)).toBe(`$10\r\n${'x'.repeat(10)}\r\n$500\r\n${'x'.repeat(500)}\r\n`)
  })
})
