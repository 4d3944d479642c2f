// Directories for tests: made under the system's temporary directory, named after the process that made them, gone when it ends.
//
// A killed process cannot clean up, so the first directory that a process makes sweeps those whose maker is dead.
// STOCKD_TEST_KEEP=1 keeps them for a look.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'stockd-test-'
const ours: string[] = []

let swept = false

/** A new, empty directory; removed after the test file, or when this process exits. */
export function tempDir(): string {
  if (!swept) {
    swept = true
    sweep()
    process.once('exit', removeTempDirs)
  }
  const dir = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  ours.push(dir)
  return dir
}

export function removeTempDirs(): void {
  if (process.env.STOCKD_TEST_KEEP !== undefined) return
  for (const dir of ours.splice(0)) rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
}

function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const maker = /^stockd-test-(\d+)-/.exec(name)
    if (maker === null || isAlive(Number(maker[1]))) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {
      // Another user's, or another sweeper was faster: not ours to insist on.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
