// The marks between and behind batches.
//
//   #D l=<lsn> t=<ms> p= c=            records up to l are durable: written (and synced) after a second without writes, so that the last
//                                      acknowledged batch is not the only evidence of itself
//   #E l=<lsn> t=<ms> p= c=            clean stop: everything up to l was durable before this line was written
//   #S l=<lsn> n=<records> digest=<D> p= c=     the segment is sealed: its last line; not a link of the chain
//   #F n=<records> l=<lsn> digest=<D> chain=<crc> t=<ms> p= c=   the last line of a base: it is the state after record l; `chain` is the
//                                      checksum of the link of the log that the first batch behind the base continues
//
// #D and #E are links: the next batch's p is their c.

import { crcField, encodeCheckedLine, numberField, type CheckedLine } from './checked-line.ts'
import { hexOf } from './crc.ts'

export interface DurableMark {
  readonly kind: 'durable'
  readonly last: number
  readonly time: number
  readonly previous: number
  readonly crc: number
}
export interface EndMark {
  readonly kind: 'end'
  readonly last: number
  readonly time: number
  readonly previous: number
  readonly crc: number
}
export interface SealMark {
  readonly kind: 'seal'
  readonly last: number
  readonly records: number
  readonly digest: string
  readonly previous: number
  readonly crc: number
}
export interface FooterMark {
  readonly kind: 'footer'
  readonly last: number
  readonly records: number
  readonly digest: string
  readonly chain: number
  readonly time: number
  readonly previous: number
  readonly crc: number
}
export type Mark = DurableMark | EndMark | SealMark | FooterMark
type Encoded = { bytes: Buffer; crc: number }

/** A digest stands in a line and in the manifest: no spaces; '-' for none. */
const DIGEST = /^[!-~]{1,128}$/

function digestWord(digest: string): string {
  return DIGEST.test(digest) ? digest : '-'
}

export function encodeDurable(last: number, time: number, previous: number): Encoded {
  return encodeCheckedLine('D', [
    ['l', last],
    ['t', time],
    ['p', hexOf(previous)],
  ])
}

export function encodeEnd(last: number, time: number, previous: number): Encoded {
  return encodeCheckedLine('E', [
    ['l', last],
    ['t', time],
    ['p', hexOf(previous)],
  ])
}

export function encodeSeal(seal: { last: number; records: number; digest: string; previous: number }): Encoded {
  return encodeCheckedLine('S', [
    ['l', seal.last],
    ['n', seal.records],
    ['digest', digestWord(seal.digest)],
    ['p', hexOf(seal.previous)],
  ])
}

export function encodeFooter(footer: Omit<FooterMark, 'kind' | 'crc'>): Encoded {
  return encodeCheckedLine('F', [
    ['n', footer.records],
    ['l', footer.last],
    ['digest', digestWord(footer.digest)],
    ['chain', hexOf(footer.chain)],
    ['t', footer.time],
    ['p', hexOf(footer.previous)],
  ])
}

/** What a checked line says, or null if it is no mark. */
export function decodeMark(line: CheckedLine): Mark | null {
  const last = numberField(line, 'l')
  const previous = crcField(line, 'p')
  if (last === null || previous === null) return null
  const crc = line.crc
  const time = numberField(line, 't')
  const records = numberField(line, 'n')
  const digest = line.fields.get('digest')
  switch (line.word) {
    case 'D':
      return time === null ? null : { kind: 'durable', last, time, previous, crc }
    case 'E':
      return time === null ? null : { kind: 'end', last, time, previous, crc }
    case 'S':
      return records === null || digest === undefined ? null : { kind: 'seal', last, records, digest, previous, crc }
    case 'F': {
      const chain = crcField(line, 'chain')
      if (records === null || digest === undefined || chain === null || time === null) return null
      return { kind: 'footer', last, records, digest, chain, time, previous, crc }
    }
    default:
      return null
  }
}
