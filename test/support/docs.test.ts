// README.md says what is: its tables are the specs', and every promise in it names a test that exists.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { commandTables, specsOfNode, withTable, written } from './docs.ts'

const ROOT = new URL('../../', import.meta.url)
const readme = readFileSync(new URL('README.md', ROOT), 'utf8')

describe('README.md', () => {
  it('shows the commands and options as they are (npm run docs writes them)', () => {
    expect(written(readme)).toBe(readme)
  })

  it('lists every command', () => {
    const specs = specsOfNode()
    const tables = commandTables(specs)
    for (const spec of specs) expect(tables).toMatch(new RegExp(`\`${spec.name.replaceAll('.', String.raw`\.`)}[ \`]`))
  })

  it('names, for every promise, a test that is there', () => {
    const named = [...readme.matchAll(/\[`([^`]+)`\]\((test\/[^)#]+)\)/g)]
    expect(named.length).toBeGreaterThan(8)
    for (const [, title, path] of named) {
      const file = fileURLToPath(new URL(path, ROOT))
      expect(existsSync(file), path).toBe(true)
      if (path.endsWith('.test.ts')) expect(readFileSync(file, 'utf8'), `${path} has no test "${title}"`).toContain(title)
    }
  })

  it('links only to files that are there', () => {
    for (const [, path] of readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      expect(existsSync(fileURLToPath(new URL(path, ROOT))), path).toBe(true)
  })
})

it('a table goes between its marks and nowhere else', () => {
  const text = 'a\n<!-- x: begin (by a tool) -->\nold\n<!-- x: end -->\nb'
  expect(withTable(text, 'x', 'new')).toBe('a\n<!-- x: begin (by a tool) -->\n\nnew\n\n<!-- x: end -->\nb')
  expect(() => withTable('no marks', 'x', 'new')).toThrow('lost the marks')
})
