import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { Glob } from '../../../src/base/glob.ts'

function matches(pattern: string, text: string): boolean {
  // The pattern and the text lie inside other bytes: nothing may be read beyond them.
  const p = Buffer.from(`*${pattern}*`, 'latin1')
  const t = Buffer.from(`${text}${text}`, 'latin1')
  return new Glob(p, 1, p.length - 1).matches(t, 0, text.length)
}

describe('glob', () => {
  // As `KEYS` of redis-server 7.0.15 answers with that one key.
  it.each([
    ['*', 'a', true],
    ['**', 'a', true],
    ['', '', true],
    ['*', '', false],
    ['**', '', false],
    ['', 'a', false],
    ['?', 'a', true],
    ['?', 'ab', false],
    ['a*', 'a', true],
    ['a**', 'a', true],
    ['a*b', 'ab', true],
    ['a*b', 'acbcb', true],
    ['a*b', 'acbc', false],
    ['*a*a*', 'aa', true],
    ['*a*a*a', 'aa', false],
    ['[abc]', 'b', true],
    ['[^abc]', 'b', false],
    ['[^abc]', 'd', true],
    ['[a-c]x', 'bx', true],
    ['[c-a]x', 'bx', true],
    ['[a-c', 'b', true],
    ['[', 'a', false],
    ['[^', 'a', true],
    ['[]', ']', false],
    ['[]]', ']', false],
    ['[a-]', 'b', false],
    ['[a-]', '^', true],
    ['[a-]', '-', false],
    ['[-a]', '-', true],
    ['[\\]]', ']', true],
    ['[\\', '\\', true],
    ['[a\\-z]', '-', true],
    ['[a\\-z]', 'b', false],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['\\', '\\', true],
    ['a\\', 'a\\', true],
    ['[\x80-\xff]', '\x90', true],
    ['[a-\xff]', '\x00', true],
    ['[a-\xff]', 'b', false],
    ['h[^x]llo', 'hello', true],
  ])('%j on %j: %s', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected)
  })

  it('nothing matches behind a thousand stars', () => {
    expect(matches('*a'.repeat(1000), 'ab'.repeat(999) + 'a')).toBe(true)
    expect(matches('*a'.repeat(1001), 'ab'.repeat(1000) + 'a')).toBe(false)
    expect(matches('?*'.repeat(1001), 'a'.repeat(1001))).toBe(true)
  })

  it('takes pattern x text steps at most', () => {
    const started = performance.now()
    expect(matches('a*'.repeat(900) + 'b', 'a'.repeat(20_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(2000)
  })

  it.each([1, 2, 3])('agrees with matching by all possibilities (seed %i)', (seed) => {
    const random = new Random(seed)
    const letter = (): string => random.pick(['a', 'b', 'c'])
    for (let i = 0; i < 20_000; i++) {
      // Elements, each with the set of letters it takes; undefined is a star.
      const elements: (string | undefined)[] = []
      let pattern = ''
      for (let n = random.below(7); n > 0; n--) {
        switch (random.below(5)) {
          case 0:
            pattern += '*'
            elements.push(undefined)
            break
          case 1:
            pattern += '?'
            elements.push('abc')
            break
          case 2: {
            const set = letter() + letter()
            pattern += `[${set}]`
            elements.push(set)
            break
          }
          case 3: {
            const not = letter()
            pattern += `[^${not}]`
            elements.push('abc'.replace(not, ''))
            break
          }
          default: {
            const one = letter()
            pattern += random.chance(0.3) ? `\\${one}` : one
            elements.push(one)
          }
        }
      }
      let text = ''
      for (let n = random.between(1, 8); n > 0; n--) text += letter()
      let ends = new Set([0])
      for (const element of elements) {
        const next = new Set<number>()
        for (const end of ends) {
          if (element === undefined) for (let t = end; t <= text.length; t++) next.add(t)
          else if (end < text.length && element.includes(text[end])) next.add(end + 1)
        }
        ends = next
      }
      if (matches(pattern, text) !== ends.has(text.length)) expect.fail(`${pattern} on ${text}`)
    }
  })

  it('does not look for long: a match that takes more steps than it may is none', () => {
    const a = 'a'.repeat(1_000_000)
    expect(matches(`*${a.slice(0, 500_000)}b`, a)).toBe(false)
    expect(matches(`*${a.slice(0, 500_000)}b`, `${a}b`)).toBe(false)
    expect(matches(`*[${a}]c`, a)).toBe(false)
    // What is long but goes straight on is found.
    expect(matches('*x*y', `${a}x${a}y`)).toBe(true)
    expect(matches(`*${a}`, a)).toBe(true)
    expect(matches(`${'?'.repeat(1_000_000)}`, a)).toBe(true)
  })
})
