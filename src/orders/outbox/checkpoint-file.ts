// outbox.ckpt: from where events are published again after a restart. Two slots of one block each, written in turn and never fsynced: after a
// power cut one of them may be damaged or old, and then more than necessary is published again, which nobody minds.
//
//   #C1 n=<count> stream=<name> lsn=<n> acked=<16 numbers> stored=<16 numbers> storedlsn=<n> storedtime=<ms> c=<crc>
//
// What stays true: it is never ahead of the truth, because it is written after it. What cannot be read counts for nothing.

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

export class CheckpointFile {
  readonly #path: string
  readonly #stream: string
  #fd = -1
  #count = 0
  #text = ''

  constructor(directory: string, stream: string) {
    this.#path = `${directory}/${CHECKPOINT_FILE}`
    this.#stream = stream
  }

  /** The newest slot that is whole and of this stream; null: there is none. Never throws: without it everything is published again. */
  read(): Checkpoint | null {
    let newest: { count: number; checkpoint: Checkpoint } | null = null
    for (const text of this.#slots()) {
      const slot = decode(text, this.#stream)
      if (slot !== null && slot.count > (newest?.count ?? 0)) newest = slot
    }
    this.#count = newest?.count ?? 0
    return newest?.checkpoint ?? null
  }

  /** Writes it, if it says something new, over the older slot. Throws what the disk throws. */
  write(checkpoint: Checkpoint): void {
    const { lsn, acked, stored, floor } = checkpoint
    const text =
      `stream=${this.#stream} lsn=${lsn} acked=${acked.join(',')} stored=${stored.join(',')} ` +
      `storedlsn=${floor.lsn} storedtime=${floor.time}`
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
  /^(#C1 n=(\d{1,15}) stream=(\S+) lsn=(\d{1,16}) acked=([\d,]+) stored=([\d,]+) storedlsn=(\d{1,16}) storedtime=(-?\d{1,16}) c=)([0-9a-f]{8})\n/

function decode(text: string, stream: string): { count: number; checkpoint: Checkpoint } | null {
  const match = SLOT.exec(text)
  if (match === null || match[9] !== hex(crc32(match[1])) || match[3] !== stream) return null
  const acked = match[5].split(',').map(Number)
  const stored = match[6].split(',').map(Number)
  if (acked.length !== PARTS || stored.length !== PARTS) return null
  const floor = { lsn: Number(match[7]), time: Number(match[8]) }
  return { count: Number(match[2]), checkpoint: { lsn: Number(match[4]), acked, stored, floor } }
}

function hex(n: number): string {
  return n.toString(16).padStart(8, '0')
}
