// What the outbox needs of the log's files: from where on they must stay, and how many bytes of them wait to be stored.
//
// What is not stored stays whatever it takes; a backlog limit is the node's to enforce. Behind that, history stays for its time, as far as
// its share of the disk goes, and never takes more than half of what would be free without it: it is the first to go on a full disk.

import type { Disk } from '../../aof/disk.ts'
import type { LogFollower, LogPiece } from '../../aof/follower.ts'

export interface ShelfOptions {
  readonly disk: Disk
  readonly directory: string
  readonly historyMs: number
  /** AUTO: by the size of the disk. */
  readonly historyBytes: number
  readonly backlogBytes: number
}

export interface ShelfState {
  /** Segments with this record and later ones stay. */
  readonly keepFrom: number
  readonly backlogBytes: number
  readonly backlogBytesMax: number
}

const AUTO = -1
const HISTORY_SHARE = 0.1
const HISTORY_SHARE_OF_FREE = 0.5
const BACKLOG_SHARE = 0.5
/** What a start needs beside the tail that it writes again: manifest, marks, names. */
const START_BYTES = 256 * 1024

export class Shelf {
  readonly #options: ShelfOptions
  readonly #follower: LogFollower

  constructor(options: ShelfOptions, follower: LogFollower) {
    this.#options = options
    this.#follower = follower
  }

  /**
   * @param storedLsn everything up to here is stored
   * @param lastLsn of the log
   * @param now unix ms
   */
  look(storedLsn: number, lastLsn: number, now: number): ShelfState {
    const { disk, directory, historyBytes, backlogBytes } = this.#options
    const pieces = this.#follower.pieces()
    const { freeBytes, totalBytes } = disk.space(directory)
    const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0)
    const share = historyBytes === AUTO ? totalBytes * HISTORY_SHARE : historyBytes
    const historyFrom = this.#historyFrom(pieces, Math.min(share, (freeBytes + bytes) * HISTORY_SHARE_OF_FREE), now)
    return {
      keepFrom: Math.min(storedLsn + 1, historyFrom),
      backlogBytes: Math.round(backlog(pieces, storedLsn, lastLsn)),
      backlogBytesMax: backlogBytes === AUTO ? Math.floor(totalBytes * BACKLOG_SHARE) : backlogBytes,
    }
  }

  /**
   * Why an orders database beside the log must not grow by so many bytes now; null: it may. A start writes the log's tail again, the open segment and perhaps
   * the one before it: what is left of a full disk is for that, or the node could not come back.
   */
  fullDisk(growth: number): string | null {
    const { disk, directory } = this.#options
    const tail = this.#follower
      .pieces()
      .slice(-2)
      .reduce((sum, piece) => sum + piece.bytes, START_BYTES)
    const { freeBytes } = disk.space(directory)
    if (freeBytes >= tail + growth) return null
    return `the disk of ${directory} is nearly full (${freeBytes} bytes free): what is left is for the log's next start`
  }

  #historyFrom(pieces: readonly LogPiece[], bytesMax: number, now: number): number {
    let from = Infinity
    let bytes = 0
    for (let i = pieces.length - 1; i >= 0; i--) {
      // Its last record is not newer than the first one of the next segment.
      const isOld = i + 1 < pieces.length && pieces[i + 1].ms < now - this.#options.historyMs
      bytes += pieces[i].bytes
      if (isOld || bytes > bytesMax) break
      from = pieces[i].first
    }
    return from
  }
}

function backlog(pieces: readonly LogPiece[], storedLsn: number, lastLsn: number): number {
  if (storedLsn >= lastLsn) return 0
  let bytes = 0
  pieces.forEach((piece, i) => {
    const last = (pieces[i + 1]?.first ?? lastLsn + 1) - 1
    if (last <= storedLsn) return
    // Of the segment that it is in, the share of its records.
    const records = last - piece.first + 1
    bytes += piece.bytes * (Math.min(records, last - storedLsn) / Math.max(1, records))
  })
  return bytes
}
