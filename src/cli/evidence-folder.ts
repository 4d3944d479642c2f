// Where a node keeps what a failed audit leaves for people: `<dir>/evidence`, a file per failure, on the disk before it is told of.

import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { KeepEvidence } from '../server/audit/auditor.ts'

/** @returns a function that writes one new file and answers its path; it throws what the disk says. */
export function evidenceFolder(dir: string): KeepEvidence {
  const folder = join(dir, 'evidence')
  return (name, text) => {
    mkdirSync(folder, { recursive: true })
    const path = join(folder, name)
    // Never over an older one.
    const file = openSync(path, 'wx', 0o600)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    return path
  }
}
