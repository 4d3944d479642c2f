// Where everything lies in a data directory. The names in appendonlydir/ are Redis 7's, so that redis-check-aof finds its way.

export const LOCK_FILE = 'stockd.lock'
export const IDENTITY_FILE = 'node.json'
export const BALLAST_FILE = 'ballast'
export const LOG_DIRECTORY = 'appendonlydir'
export const QUARANTINE_DIRECTORY = 'quarantine'
export const MANIFEST_FILE = 'appendonly.aof.manifest'
/** What is being written and counts for nothing until it is renamed. */
export const TEMPORARY = '.tmp'

export type FileKind = 'base' | 'incr'

export function logFileName(kind: FileKind, seq: number): string {
  return `appendonly.aof.${seq}.${kind}.aof`
}

/** Kind and number of one of our files, or null. */
export function parseLogFileName(name: string): { readonly kind: FileKind; readonly seq: number } | null {
  const match = /^appendonly\.aof\.([1-9]\d{0,14})\.(base|incr)\.aof$/.exec(name)
  if (match === null) return null
  return { seq: Number(match[1]), kind: match[2] as FileKind }
}
