// What still stands behind damage: every batch and mark that verifies alone, found by looking for line openings byte by byte.
//
// Values written by clients may look like lines of ours. They count only if they could be: an LSN not before the damage, and not further
// behind it than the bytes between allow.

import type { DiskFile } from './disk.ts'
import { BatchLine, decodeBatchLine, verifyBatch } from './format/batch-line.ts'
import { decodeCheckedLine } from './format/checked-line.ts'
import { decodeMark } from './format/marks.ts'

export interface Evidence {
  batches: number
  records: number
  /** The newest LSN that something behind the damage calls durable, and the newest that was written. */
  durable: number
  last: number
}

/** The shortest record: `*1\r\n$0\r\n\r\n`. */
const RECORD_BYTES_MIN = 10

export function noEvidence(): Evidence {
  return { batches: 0, records: 0, durable: 0, last: 0 }
}

/** A batch that still stands behind damage: its body is bytes[from..to). */
export type BatchVisitor = (line: BatchLine, bytes: Buffer, from: number, to: number) => void

/** Adds what file[from..limit) shows to `evidence`; `lsn` is the first LSN that the damage may have taken, `span` the bytes behind it. */
export function gatherEvidence(
  evidence: Evidence,
  file: DiskFile,
  range: { from: number; limit: number; lsn: number; span: number },
  visit?: BatchVisitor,
): void {
  const bytes = Buffer.alloc(Math.max(0, range.limit - range.from))
  let filled = 0
  while (filled < bytes.length) {
    const n = file.read(bytes, filled, bytes.length - filled, range.from + filled)
    if (n === 0) break
    filled += n
  }
  const lsnMax = range.lsn + Math.ceil(range.span / RECORD_BYTES_MIN)
  const line = new BatchLine()
  for (let at = bytes.indexOf(35); at >= 0; at = bytes.indexOf(35, at + 1)) {
    switch (bytes[at + 1]) {
      case 66: {
        if (!decodeBatchLine(line, bytes, at, filled) || at + line.lineBytes + line.bodyBytes > filled) break
        if (line.first < range.lsn || line.last > lsnMax || line.durable >= line.first || !verifyBatch(line, bytes, at)) break
        evidence.batches++
        evidence.records += line.records
        evidence.durable = Math.max(evidence.durable, line.durable)
        evidence.last = Math.max(evidence.last, line.last)
        visit?.(line, bytes, at + line.lineBytes, at + line.lineBytes + line.bodyBytes)
        // Its body is what it was; nothing in there is a line.
        at += line.lineBytes + line.bodyBytes - 1
        break
      }
      case 68: // #D
      case 69: // #E
      case 83: {
        // #S
        const found = decodeCheckedLine(bytes, at, filled)
        const mark = found === null ? null : decodeMark(found)
        if (mark === null || mark.last > lsnMax) break
        evidence.durable = Math.max(evidence.durable, mark.last)
        break
      }
      default:
    }
  }
}
