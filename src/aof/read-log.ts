// Reads the settled part of a live log, for compaction: the base and the sealed segments. Needs no lock, because none of it changes.

import { StockdError } from '../base/error.ts'
import { readIdentity } from './directory.ts'
import type { Disk } from './disk.ts'
import type { Manifest } from './format/manifest.ts'
import { inspectFiles, type LoadProgress } from './inspection.ts'
import type { RecordSink } from './record-parser.ts'

export interface ReadLogOptions {
  readonly disk: Disk
  readonly directory: string
  /** `log.manifest`, which knows more than the file: what was sealed since. */
  readonly manifest: Manifest
  /** Number of the last segment to read (`log.sealedUpTo.seq`); 0: only the base. */
  readonly upToSegment: number
  readonly sink: RecordSink
}

export interface SettledEnd {
  readonly last: number
  readonly chain: number
  readonly time: number
  readonly records: number
}

/** Every record goes to the sink, every seal's digest to `sink.seal`. Throws LOG_CORRUPT at the first byte that is not what was written. */
export function* readLog(options: ReadLogOptions): Generator<LoadProgress, SettledEnd> {
  const identity = readIdentity(options.disk, options.directory)
  if (identity === null) throw new StockdError('LOG_CORRUPT', `${options.directory} has no node.json`)
  const entries = options.manifest.entries.filter((e) => e.type === 'b' || e.seq <= options.upToSegment)
  const found = yield* inspectFiles(options, identity, { entries })
  if (found.damage !== null) throw new StockdError('LOG_CORRUPT', `${found.damage.name} at ${found.damage.offset}: ${found.damage.problem}`)
  return { last: found.last, chain: found.chain, time: found.time, records: found.records }
}
