// ACL LOG: what users were refused, and who failed to log in; newest first, at most `acllog-max-len`.
//
// The same thing again within a minute counts up what is there, if it is among the newest ten.

import type { Millis } from '../../base/brand.ts'

const GROUPED_MS = 60_000
const LOOKED_AT = 10

export type Reason = 'command' | 'key' | 'channel' | 'auth'
export type Context = 'toplevel' | 'multi'

export interface LogEntry {
  count: number
  readonly reason: Reason
  readonly context: Context
  /** The command, key or channel; one character per byte, as the rest. */
  readonly object: string
  readonly username: string
  at: Millis
  /** The line of CLIENT LIST of the one who tried last. */
  client: string
}

export class AclLog {
  /** Newest first. */
  readonly entries: LogEntry[] = []

  add(entry: LogEntry, entriesMax: number): void {
    const { entries } = this
    const known = entries.findIndex((old, i) => i < LOOKED_AT && isSame(old, entry))
    if (known >= 0) {
      const [old] = entries.splice(known, 1)
      old.count++
      old.at = entry.at
      old.client = entry.client
      entries.unshift(old)
      return
    }
    entries.unshift(entry)
    if (entries.length > entriesMax) entries.length = entriesMax
  }

  clear(): void {
    this.entries.length = 0
  }
}

function isSame(a: LogEntry, b: LogEntry): boolean {
  return (
    a.reason === b.reason &&
    a.context === b.context &&
    a.object === b.object &&
    a.username === b.username &&
    Math.abs(a.at - b.at) <= GROUPED_MS
  )
}
