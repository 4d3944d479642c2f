import { describe, expect, it } from 'vitest'
import { unknownCommand, unknownSubcommand } from '../../../src/resp/errors.ts'
import { Request } from '../../../src/resp/request.ts'

describe('Request', () => {
  it('takes values of every kind as bytes', () => {
    const request = new Request().set(['SET', Buffer.from([0, 255]), 12, 2n ** 63n, 'é', ''])
    expect(request.argc).toBe(6)
    expect(Array.from({ length: 6 }, (_, i) => request.latin1(i))).toEqual(['SET', '\0\xff', '12', '9223372036854775808', '\xc3\xa9', ''])
    expect(request.length(1)).toBe(2)
    expect(request.copy(1)).toEqual(Buffer.from([0, 255]))
  })

  it('gives one character per byte, whatever the length', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const request = new Request().set(['x', all, all.subarray(200, 210)])
    expect(request.latin1(1)).toBe(all.toString('latin1'))
    expect(request.latin1(2)).toBe(all.toString('latin1', 200, 210))
  })

  it('copies: what is kept survives the input buffer', () => {
    const request = new Request().set(['a', 'bc'])
    const kept = request.copy(1)
    request.bytes.fill(0)
    expect(kept.toString()).toBe('bc')
  })

  it('compares words in any case, and only letters have case', () => {
    const request = new Request().set(['get', 'GeT', 'GETS', 'GE', 'g[t', 'G{T', 'G\xe9T'])
    expect([0, 1, 2, 3].map((i) => request.is(i, 'GET'))).toEqual([true, true, false, false])
    expect(request.is(5, 'G[T')).toBe(false)
    expect(request.is(4, 'G[T')).toBe(true)
  })

  it('makes room for many arguments and keeps those that are there', () => {
    const request = new Request().set(['a', 'b'])
    request.reserve(1000)
    expect(request.start.length).toBeGreaterThanOrEqual(1000)
    expect(request.latin1(1)).toBe('b')
  })
})

describe('unknownCommand', () => {
  const text = (...args: (string | Uint8Array)[]): string => unknownCommand(new Request().set(args))

  it('shows the name and the first arguments', () => {
    expect(text('foo')).toBe("ERR unknown command 'foo', with args beginning with: ")
    expect(text('foo', 'bar', '')).toBe("ERR unknown command 'foo', with args beginning with: 'bar' '' ")
  })

  it('cuts the name at 128 bytes, and the arguments at 128 bytes in all', () => {
    const long = 'x'.repeat(200)
    expect(text(long, 'a')).toBe(`ERR unknown command '${'x'.repeat(128)}', with args beginning with: 'a' `)
    expect(text('foo', long, 'a')).toBe(`ERR unknown command 'foo', with args beginning with: '${'x'.repeat(128)}' `)
    expect(text('foo', 'y'.repeat(100), long, 'a')).toBe(
      `ERR unknown command 'foo', with args beginning with: '${'y'.repeat(100)}' '${'x'.repeat(25)}' `,
    )
  })

  it('stops each word at its first NUL, as C does', () => {
    expect(text('f\0oo', 'b\0ar')).toBe("ERR unknown command 'f', with args beginning with: 'b' ")
  })
})

describe('unknownSubcommand', () => {
  it('names the subcommand as it came and the container in upper case', () => {
    expect(unknownSubcommand(new Request().set(['client', 'nope']), 'client')).toBe("ERR unknown subcommand 'nope'. Try CLIENT HELP.")
  })
})
