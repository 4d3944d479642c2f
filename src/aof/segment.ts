// A segment that is open for writing: where it ends, and how much of it is durable.

import { writeFully, type Disk, type DiskFile } from './disk.ts'
import { LOG_DIRECTORY, logFileName } from './format/file-names.ts'
import type { ManifestEntry } from './format/manifest.ts'
import { encodeHeader } from './format/segment-header.ts'

export interface SegmentStart {
  readonly seq: number
  readonly file: DiskFile
  readonly headerBytes: number
  readonly headerCrc: number
  readonly size: number
  readonly durableBytes: number
  /** LSN of its first record, and of its last (first - 1: none yet). */
  readonly first: number
  readonly last: number
  readonly records: number
}

export class Segment {
  readonly seq: number
  readonly name: string
  readonly file: DiskFile
  readonly headerBytes: number
  readonly headerCrc: number
  /** Where the next link goes. */
  size: number
  durableBytes: number
  first: number
  last: number
  records: number
  /** Checksum of its last link; what a seal continues. */
  chain = 0
  /** Digest of the state after its last record, taken when the log left it. */
  digest = '-'
  /** Its seal could not be written; it is tried again. */
  sealAgain = false

  constructor(start: SegmentStart) {
    this.seq = start.seq
    this.name = logFileName('incr', start.seq)
    this.file = start.file
    this.headerBytes = start.headerBytes
    this.headerCrc = start.headerCrc
    this.size = start.size
    this.durableBytes = start.durableBytes
    this.first = start.first
    this.last = start.last
    this.records = start.records
  }

  get isEmpty(): boolean {
    return this.size === this.headerBytes
  }

  /** How the manifest lists it while it is not sealed. */
  entry(): ManifestEntry {
    return { name: this.name, seq: this.seq, type: 'i', first: this.first, bytes: this.durableBytes, sealed: null, cut: null }
  }
}

/** Makes a segment's file with its first line. Nothing of it is durable yet. */
export function createSegment(
  disk: Disk,
  directory: string,
  segment: { seq: number; node: string; previous: number; createdAt: number; first: number },
): Segment {
  const file = disk.open(`${directory}/${LOG_DIRECTORY}/${logFileName('incr', segment.seq)}`, 'create')
  const { seq, node, previous, createdAt, first } = segment
  const header = encodeHeader({ kind: 'incr', node, seq, previous, createdAt })
  try {
    writeFully(file, header.bytes, 0, header.bytes.length, 0)
  } catch (error) {
    file.close()
    throw error
  }
  const headerBytes = header.bytes.length
  return new Segment({
    seq,
    file,
    headerBytes,
    headerCrc: header.crc,
    size: headerBytes,
    durableBytes: 0,
    first,
    last: first - 1,
    records: 0,
  })
}
