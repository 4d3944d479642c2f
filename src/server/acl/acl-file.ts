// The file of users (`aclfile`): lines `user <name> <rule> ...`, read as a whole or not at all, and written by ACL SAVE.

import { readFileSync, statSync } from 'node:fs'
import { replaceFile } from '../whole-file.ts'
import type { Catalog } from './catalog.ts'
import { UNKNOWN_COMMAND } from './rule-error.ts'
import { hasSpaces, untilNul } from './selector.ts'
import { mergeSelectors, User } from './user.ts'

const NOTHING_CHANGED = 'WARNING: ACL errors detected, no change to the previously active ACL rules was performed'

export type ReadUsers = { readonly users: ReadonlyMap<string, User> } | { readonly errors: string }

interface Parts {
  readonly path: string
  readonly catalog: Catalog
  readonly allChannels: boolean
}

/** Every mistake in the file is told, in one line, as Redis tells it. */
export function readAclFile(parts: Parts): ReadUsers {
  let text: string
  try {
    text = readFileSync(parts.path, 'latin1')
  } catch (error) {
    return { errors: `Error loading ACLs, opening file '${parts.path}': ${reasonOf(error)}` }
  }
  return readUsers(text, parts)
}

export function readUsers(text: string, { path, catalog, allChannels }: Parts): ReadUsers {
  const users = new Map<string, User>()
  let errors = ''
  untilNul(text)
    .split('\n')
    .forEach((line, i) => {
      const trimmed = line.replace(/^[ \t\r]+|[ \t\r]+$/g, '')
      if (trimmed === '') return
      const where = `${path}:${i + 1}`
      const [keyword, name, ...words] = trimmed.split(' ')
      if (keyword !== 'user' || name === undefined) {
        errors += `${where} should start with user keyword followed by the username. `
        return
      }
      if (hasSpaces(name)) {
        errors += `'${where}: username '${name}' contains invalid characters. `
        return
      }
      if (users.has(name)) {
        errors += `WARNING: Duplicate user '${name}' found on line ${i + 1}. `
        return
      }
      const user = new User(name, allChannels)
      users.set(name, user)
      const merged = mergeSelectors(words)
      if ('unmatched' in merged) {
        errors += `${where}: Unmatched parenthesis in selector definition.`
        return
      }
      let isToldOnce = false
      for (const word of merged.rules) {
        const rule = word.replace(/^[\t\r]+|[\t\r]+$/g, '')
        const error = user.apply(rule, catalog, allChannels)
        if (error === null) continue
        // Unknown commands are told all, by name: there is no secret in them. Of other mistakes the first may cause the next.
        if (error === UNKNOWN_COMMAND) errors += `${where}: Error in applying operation '${rule}': ${error}. `
        else if (!isToldOnce) {
          errors += `${where}: ${error}. `
          isToldOnce = true
        }
      }
    })
  return errors === '' ? { users } : { errors: errors + NOTHING_CHANGED }
}

/** Throws what the file system says; then the old file is as it was. */
export function writeAclFile(path: string, lines: readonly string[]): void {
  // Hashes of passwords: a new file is the owner's alone, an old one stays whose it was.
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600
  replaceFile(path, Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'), mode & 0o777)
}

const SAID = new Map([
  ['ENOENT', 'No such file or directory'],
  ['EACCES', 'Permission denied'],
  ['EISDIR', 'Is a directory'],
])

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? 'failed'
  return SAID.get(code) ?? code
}
