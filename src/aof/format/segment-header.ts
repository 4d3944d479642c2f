// The first line of every file of the log.
//
//   #V1 min=1 node=<uuid> seg=<n> prev=<crc> created=<ms> c=<crc>\r\n          a segment
//   #V1 min=1 node=<uuid> base=<g> created=<ms> c=<crc>\r\n                    a base
//
// V is the major version of the format: a reader that does not know it refuses. min is the oldest reader that can read this file.
// prev is the c of the header of the segment before: known when a segment is prepared ahead, which its last batch is not.

import { StockdError } from '../../base/error.ts'
import { crcField, decodeCheckedLine, encodeCheckedLine, numberField } from './checked-line.ts'
import { hexOf } from './crc.ts'

/** The format that this code writes, and the newest that it reads. */
const FORMAT_VERSION = 1

export interface SegmentHeader {
  readonly kind: 'base' | 'incr'
  readonly node: string
  readonly seq: number
  /** c of the header of the segment before; 0: there is none. */
  readonly previous: number
  readonly createdAt: number
}

export function encodeHeader(header: SegmentHeader): { bytes: Buffer; crc: number } {
  const place: (readonly [string, string | number])[] =
    header.kind === 'base'
      ? [['base', header.seq]]
      : [
          ['seg', header.seq],
          ['prev', hexOf(header.previous)],
        ]
  return encodeCheckedLine(`V${FORMAT_VERSION}`, [['min', 1], ['node', header.node], ...place, ['created', header.createdAt]])
}

/** The header at the start of a file, or null if it is damaged. Throws LOG_TOO_NEW. */
export function decodeHeader(bytes: Buffer): (SegmentHeader & { readonly crc: number; readonly bytes: number }) | null {
  const line = decodeCheckedLine(bytes, 0, bytes.length)
  if (line === null || !/^V[1-9]\d*$/.test(line.word)) return null
  const min = numberField(line, 'min')
  if (min === null) return null
  if (min > FORMAT_VERSION || Number(line.word.slice(1)) > FORMAT_VERSION) {
    throw new StockdError(
      'LOG_TOO_NEW',
      `written by a newer stockd (format ${line.word}; this one reads up to V${FORMAT_VERSION}); need a stockd that reads >= V${min}`,
    )
  }
  const base = numberField(line, 'base')
  const seq = base ?? numberField(line, 'seg')
  const node = line.fields.get('node')
  const createdAt = numberField(line, 'created')
  const previous = base === null ? crcField(line, 'prev') : 0
  if (seq === null || node === undefined || createdAt === null || previous === null) return null
  return { kind: base === null ? 'incr' : 'base', node, seq, previous, createdAt, crc: line.crc, bytes: line.bytes }
}
