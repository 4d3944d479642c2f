// The manifest: which files are the log, in which order, and what is known of them. Redis 7's grammar with more key-value pairs:
//
//   file appendonly.aof.2.base.aof seq 2 type b last 41000 bytes 3145728 crc 9f00aa12 digest 5c1d...
//   file appendonly.aof.7.incr.aof seq 7 type i first 41001 last 52000 bytes 67108912 crc 0a1b2c3d digest 77aa...
//   file appendonly.aof.8.incr.aof seq 8 type i first 52001 bytes 120
//   #M crc=6b1d33a0
//
// An entry with `last` is sealed: it has exactly `bytes` bytes, and `crc` is that of its last line. Without `last`, at least `bytes` bytes
// are durable. `cut N`: only the first N bytes count. Type b: base, i: segment, h: segment that the base covers and somebody still needs.

import { StockdError } from '../../base/error.ts'
import { parseCrc } from './checked-line.ts'
import { crc32, hexOf } from './crc.ts'
import { parseLogFileName } from './file-names.ts'

export interface ManifestEntry {
  readonly name: string
  readonly seq: number
  readonly type: 'b' | 'i' | 'h'
  /** LSN of the first record that it may hold (segments). */
  readonly first: number
  readonly bytes: number
  readonly sealed: { readonly last: number; readonly crc: number; readonly digest: string } | null
  readonly cut: number | null
}

export interface Manifest {
  readonly entries: readonly ManifestEntry[]
}

export function encodeManifest(manifest: Manifest): Buffer {
  let text = ''
  for (const e of manifest.entries) {
    text += `file ${e.name} seq ${e.seq} type ${e.type} first ${e.first} bytes ${e.bytes}`
    if (e.sealed !== null) text += ` last ${e.sealed.last} crc ${hexOf(e.sealed.crc)} digest ${e.sealed.digest}`
    if (e.cut !== null) text += ` cut ${e.cut}`
    text += '\n'
  }
  const body = Buffer.from(text, 'latin1')
  return Buffer.concat([body, Buffer.from(`#M crc=${hexOf(crc32(body, 0, body.length, 0))}\n`, 'latin1')])
}

/** Throws LOG_CORRUPT with the reason. */
export function decodeManifest(bytes: Buffer): Manifest {
  const text = bytes.toString('latin1')
  const mark = text.lastIndexOf('#M crc=')
  if (mark < 0) {
    if (/^file \S+ seq \d+ type [bih]/m.test(text)) throw refuse('it is of a plain Redis log: `stockd-aof import` reads those')
    throw refuse('its checksum line is missing')
  }
  if (text.slice(mark + 15) !== '\n' || (mark > 0 && text[mark - 1] !== '\n')) throw refuse('its checksum line is damaged')
  if (parseCrc(text.slice(mark + 7, mark + 15)) !== crc32(bytes, 0, mark, 0))
    throw refuse('its checksum is wrong: a backup of this directory has a sound one')
  const entries = text
    .slice(0, mark)
    .split('\n')
    .filter((line) => line !== '')
    .map(decodeEntry)
  const order = entries.map((e) => (e.type === 'b' ? 'b' : 'i')).join('')
  if (!/^b?i*$/.test(order)) throw refuse('a base stands behind a segment')
  for (let i = 1; i < entries.length; i++) {
    if (entries[i - 1].type !== 'b' && entries[i].seq <= entries[i - 1].seq) throw refuse('its segments are out of order')
  }
  return { entries }
}

function decodeEntry(line: string): ManifestEntry {
  const words = line.split(' ')
  const fields = new Map<string, string>()
  if (words.length % 2 !== 0) throw refuse(`line "${line}"`)
  for (let i = 0; i < words.length; i += 2) fields.set(words[i], words[i + 1])
  const number = (name: string): number => {
    const value = fields.get(name)
    if (value === undefined || !/^\d{1,16}$/.test(value)) throw refuse(`line "${line}": ${name}`)
    return Number(value)
  }
  const name = fields.get('file') ?? ''
  const type = fields.get('type')
  const file = parseLogFileName(name)
  if (type !== 'b' && type !== 'i' && type !== 'h') throw refuse(`line "${line}": type`)
  if (file === null || file.seq !== number('seq') || (file.kind === 'base') !== (type === 'b')) throw refuse(`line "${line}": name`)
  let sealed: ManifestEntry['sealed'] = null
  if (fields.has('last')) {
    const crc = parseCrc(fields.get('crc') ?? '')
    if (crc === null) throw refuse(`line "${line}": crc`)
    sealed = { last: number('last'), crc, digest: fields.get('digest') ?? '-' }
  }
  return {
    name,
    seq: file.seq,
    type,
    first: number('first'),
    bytes: number('bytes'),
    sealed,
    cut: fields.has('cut') ? number('cut') : null,
  }
}

function refuse(reason: string): StockdError {
  return new StockdError('LOG_CORRUPT', `the manifest cannot be used: ${reason}`)
}
