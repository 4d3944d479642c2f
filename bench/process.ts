// What the kernel says about a process: CPU time used and memory held. Linux only.

import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const TICKS_PER_SECOND = 100 // USER_HZ, the unit of /proc/<pid>/stat on every Linux of the last decades

/** User and system time of all its threads so far. Resolution 10 ms. */
export function cpuMicros(pid: number): number {
  // The second field is the command in parentheses and may hold anything: count from the last one.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND
}

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Bytes of all files below a directory. */
export function directoryBytes(dir: string): number {
  let bytes = 0
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size
  }
  return bytes
}
