import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeSay } from '../../../src/cli/say.ts'

const HOSTILE = 'a\r\n2026-01-01 WARNING forged\u001b[2J\u2028\u2029\u0085\u007f'
const dir = mkdtempSync(join(tmpdir(), 'say-'))
afterAll(() => rmSync(dir, { recursive: true }))

describe.each(['text', 'json'] as const)('a line of %s', (format) => {
  it('stays one line of printable text, whatever a client has put into it, and is not long', () => {
    const file = join(dir, format)
    const say = makeSay({ format, file, level: () => 'notice' })
    say('warning', HOSTILE, { name: HOSTILE, long: 'x'.repeat(10_000) })
    say('debug', 'not said')
    const text = readFileSync(file, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    // oxlint-disable-next-line no-control-regex
    expect(text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
    expect(text.length).toBeLessThan(1200)
  })
})
