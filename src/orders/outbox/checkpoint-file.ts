// outbox.ckpt: from where events are published again after a restart. Two slots of one block each, written in turn and never fsynced: after a
// power cut one of them may be damaged or old, and then more than necessary is published again, which nobody minds.
//
//   #C1 n=<count> stream=<name> sink=<kind> lsn=<n> acked=<16 numbers> stored=<16 numbers> storedlsn=<n> storedtime=<ms> c=<crc>
//
// What stays true: it is never ahead of the truth, because it is written after it. What cannot be read counts for nothing, and so does what
// is about another log, another sink (MySQL has not what orders.db has), or a log that was put back from an older copy.

import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { PARTS } from '../../engine/outbox.ts'
import type { PublisherCheckpoint } from './event-source.ts'
import type { TrailStart } from './stored-trail.ts'

export const CHECKPOINT_FILE = 'outbox.ckpt'
const SLOT_BYTES = 4096
const SLOTS = 2

export interface Checkpoint extends PublisherCheckpoint {
  /** Everything up to here is stored. */
  readonly floor: TrailStart
}

/** Where a log ended when its node started. */
export interface LogEnd {
  readonly lastLsn: number
  /** By part: pseq of the last event. */
  readonly pseqs: readonly number[]
}

export class CheckpointFile {
  readonly #path: string
  readonly #about: string
  #fd = -1
  #count = 0
  #text = ''

  constructor(directory: string, stream: string, sink: string) {
    this.#path = `${directory}/${CHECKPOINT_FILE}`
    this.#about = `stream=${stream} sink=${sink}`
  }

  /**
   * The newest slot that is whole and about this stream and sink; null: there is none, or it says more than this log has. Never throws:
   * without it everything is published again.
   */
  read(end: LogEnd): Checkpoint | null {
    let newest: { count: number; checkpoint: Checkpoint } | null = null
    for (const text of this.#slots()) {
      const slot = decode(text, this.#about)
      if (slot !== null && slot.count > (newest?.count ?? 0)) newest = slot
    }
    this.#count = newest?.count ?? 0
    return newest !== null && isWithin(newest.checkpoint, end) ? newest.checkpoint : null
  }

  /** Writes it, if it says something new, over the older slot. Throws what the disk throws. */
  write(checkpoint: Checkpoint): void {
    const { lsn, acked, stored, floor } = checkpoint
    const text =
      `${this.#about} lsn=${lsn} acked=${acked.join(',')} stored=${stored.join(',')} ` + `storedlsn=${floor.lsn} storedtime=${floor.time}`
    if (text === this.#text) return
    if (this.#fd < 0) this.#fd = openSync(this.#path, openFlags(this.#path), 0o640)
    const count = this.#count + 1
    const line = `#C1 n=${count} ${text} c=`
    const slot = Buffer.alloc(SLOT_BYTES, 32)
    slot.write(`${line}${hex(crc32(line))}\n`, 'latin1')
    writeSync(this.#fd, slot, 0, SLOT_BYTES, (count % SLOTS) * SLOT_BYTES)
    this.#count = count
    this.#text = text
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  #slots(): string[] {
    const bytes = Buffer.alloc(SLOTS * SLOT_BYTES)
    try {
      const fd = openSync(this.#path, 'r')
      try {
        readSync(fd, bytes, 0, bytes.length, 0)
      } finally {
        closeSync(fd)
      }
    } catch {
      return []
    }
    return Array.from({ length: SLOTS }, (_, i) => bytes.toString('latin1', i * SLOT_BYTES, (i + 1) * SLOT_BYTES))
  }
}

/** Made if it is not there, and never emptied. */
function openFlags(path: string): string {
  try {
    closeSync(openSync(path, 'r'))
    return 'r+'
  } catch {
    return 'w+'
  }
}

const SLOT =
  /^(#C1 n=(\d{1,15}) (stream=\S+ sink=\S+) lsn=(\d{1,16}) acked=([\d,]+) stored=([\d,]+) storedlsn=(\d{1,16}) storedtime=(-?\d{1,16}) c=)([0-9a-f]{8})\n/

function decode(text: string, about: string): { count: number; checkpoint: Checkpoint } | null {
  const match = SLOT.exec(text)
  if (match === null || match[9] !== hex(crc32(match[1])) || match[3] !== about) return null
  const acked = match[5].split(',').map(Number)
  const stored = match[6].split(',').map(Number)
  if (acked.length !== PARTS || stored.length !== PARTS) return null
  const floor = { lsn: Number(match[7]), time: Number(match[8]) }
  return { count: Number(match[2]), checkpoint: { lsn: Number(match[4]), acked, stored, floor } }
}

/**
 * A part that was behind keeps `lsn` low while others are far ahead: each part counts. Events of the numbers above would be new ones, and
 * never be published.
 */
function isWithin({ lsn, acked, stored, floor }: Checkpoint, { lastLsn, pseqs }: LogEnd): boolean {
  const isKnown = (pseq: number, part: number): boolean => pseq <= pseqs[part]
  return lsn <= lastLsn + 1 && floor.lsn <= lastLsn && acked.every(isKnown) && stored.every(isKnown)
}

function hex(n: number): string {
  return n.toString(16).padStart(8, '0')
}
