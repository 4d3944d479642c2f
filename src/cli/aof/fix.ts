// stockd-aof fix: a usable copy of a damaged log, in a new directory. The damaged one is not touched.
//
//   a torn tail          is cut as a start would cut it
//   --truncate-at LSN    everything behind that record is left out, whatever it is; the orders in there are listed

import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { noEvidence, gatherEvidence } from '../../aof/evidence.ts'
import { writeFully, type DiskFile } from '../../aof/disk.ts'
import { FileDisk } from '../../aof/file-disk.ts'
import { BATCH_LINE_BYTES_MAX, BatchLine, encodeBatchLine } from '../../aof/format/batch-line.ts'
import { IDENTITY_FILE, LOG_DIRECTORY, MANIFEST_FILE } from '../../aof/format/file-names.ts'
import { decodeManifest, encodeManifest, type ManifestEntry } from '../../aof/format/manifest.ts'
import type { CorruptionReport } from '../../aof/inspection.ts'
import { RecordParser, type RecordSink } from '../../aof/record-parser.ts'
import { ANY_CHAIN, SegmentReader } from '../../aof/segment-reader.ts'
import { StockdError } from '../../base/error.ts'
import { Engine } from '../../engine/engine.ts'
import { ReplaySink } from '../../server/replay-sink.ts'
import type { Console } from '../console.ts'
import { EXIT_CORRUPT, EXIT_OK } from './exit-codes.ts'
import { closeLog, inNewDirectory, openForWriting } from './new-log.ts'
import { latin1 } from './record-text.ts'
import { replayAll } from './replay.ts'

export interface FixOptions {
  readonly to: string
  readonly truncateAt: number | null
  readonly acceptsLoss: boolean
}

/** An order's record that the fixed log does not have. */
interface LostRecord {
  readonly lsn: number
  readonly record: string
  readonly order: string
}

export function fix(directory: string, options: FixOptions, out: Console): Promise<number> {
  return inNewDirectory(options.to, () => fixInto(directory, options, out))
}

async function fixInto(directory: string, options: FixOptions, out: Console): Promise<number> {
  if (options.truncateAt !== null && !options.acceptsLoss) {
    throw new StockdError('BAD_OPTION', '--truncate-at leaves out records that may have been acknowledged: say --i-accept-loss as well')
  }
  let lost: LostRecord[] = []
  if (options.truncateAt === null) {
    const refused = refusal(directory, out)
    if (refused !== null) {
      out.result(refused.message, { status: 'corrupt', message: refused.message, ...(refused.cause as CorruptionReport | undefined) })
      return EXIT_CORRUPT
    }
    mkdirSync(options.to, { recursive: true })
    for (const name of [IDENTITY_FILE, LOG_DIRECTORY]) cpSync(`${directory}/${name}`, `${options.to}/${name}`, { recursive: true })
  } else lost = copyUpTo(directory, options.to, options.truncateAt)
  const engine = new Engine()
  const { log, inspection } = openForWriting(options.to, new ReplaySink(engine), () => engine.sealDigest(), out)
  const digest = engine.digest()
  await closeLog(log)
  const text = [
    `${options.to}: ${log.last} is the last LSN, digest ${digest}`,
    ...lost.map(({ lsn, record, order }) => `left out: LSN ${lsn} ${record} ${order} (whether it was published is not recorded here)`),
  ]
  out.result(text.join('\n'), { status: 'fixed', to: options.to, last: log.last, digest, cut: inspection?.damage ?? null, lost })
  return EXIT_OK
}

/** Why this log cannot be fixed by cutting what was promised to nobody, or null. */
function refusal(directory: string, out: Console): StockdError | null {
  try {
    replayAll(directory, out)
    return null
  } catch (error) {
    if (!(error instanceof StockdError) || error.code !== 'LOG_CORRUPT') throw error
    const report = error.cause as CorruptionReport | undefined
    if (report === undefined) return error
    return new StockdError(
      'LOG_CORRUPT',
      `${error.message}. To go on without what is behind it: --truncate-at ${report.lsn - 1} --i-accept-loss`,
      { cause: report },
    )
  }
}

/** Copies everything up to and including record `lsn`; @returns the orders' records that are left out. */
function copyUpTo(directory: string, to: string, lsn: number): LostRecord[] {
  const disk = new FileDisk()
  const source = `${directory}/${LOG_DIRECTORY}`
  const target = `${to}/${LOG_DIRECTORY}`
  if (!existsSync(`${source}/${MANIFEST_FILE}`)) throw new StockdError('BAD_DIRECTORY', `${directory} holds no log`)
  const manifest = decodeManifest(readFileSync(`${source}/${MANIFEST_FILE}`))
  const base = manifest.entries.find((e) => e.type === 'b')
  if (base?.sealed != null && base.sealed.last > lsn)
    throw new StockdError('BAD_OPTION', `the base holds the state after LSN ${base.sealed.last}: nothing before it can be had`)
  mkdirSync(target, { recursive: true })
  copyFileSync(`${directory}/${IDENTITY_FILE}`, `${to}/${IDENTITY_FILE}`)
  const entries: ManifestEntry[] = []
  const lost = new LostOrders()
  let isCut = false
  for (const entry of manifest.entries) {
    if (entry.type === 'h') continue
    const file = disk.open(`${source}/${entry.name}`, 'read')
    try {
      if (isCut) lost.gather(file, 0, lsn + 1)
      else if (entry.type === 'b' || (entry.sealed !== null && entry.sealed.last <= lsn)) {
        copyFileSync(`${source}/${entry.name}`, `${target}/${entry.name}`)
        entries.push(entry)
      } else {
        const copy = disk.open(`${target}/${entry.name}`, 'create')
        try {
          const bytes = copySegment(file, copy, entry, lsn, lost)
          isCut = bytes.isCut
          entries.push({ ...entry, bytes: 0, sealed: null, cut: null })
        } finally {
          copy.syncNow()
          copy.close()
        }
      }
    } finally {
      file.close()
    }
  }
  writeFileSync(`${target}/${MANIFEST_FILE}`, encodeManifest({ entries }), { flush: true })
  return lost.records
}

function copySegment(from: DiskFile, to: DiskFile, entry: ManifestEntry, lsn: number, lost: LostOrders): { isCut: boolean } {
  const reader = new SegmentReader(from, { nextLsn: entry.first, chain: ANY_CHAIN, limit: entry.cut ?? undefined })
  if (!reader.readHeader()) throw new StockdError('LOG_CORRUPT', `${from.path}: ${reader.problem}`)
  let size = reader.offset
  writeFully(to, reader.bytes, 0, size, 0)
  for (;;) {
    const link = reader.next()
    if (link === 'eof') return { isCut: false }
    if (link === 'bad') {
      if (reader.nextLsn <= lsn)
        throw new StockdError(
          'LOG_CORRUPT',
          `${from.path} is damaged at LSN ${reader.nextLsn}: truncate at ${reader.nextLsn - 1} or before`,
        )
      lost.gather(from, reader.offset, lsn + 1)
      return { isCut: true }
    }
    const { line } = reader
    if (link === 'batch' && line.last > lsn) {
      const raw = reader.raw()
      const body = raw.subarray(raw.length - line.bodyBytes)
      if (line.first <= lsn) writePart(to, size, line, body, lsn)
      lost.gather(from, reader.linkStart, lsn + 1)
      return { isCut: true }
    }
    // Marks behind the cut would promise what is not there; a seal belongs to the whole segment.
    if (link === 'seal' || (reader.mark !== null && reader.mark.last > lsn)) continue
    const raw = reader.raw()
    writeFully(to, raw, 0, raw.length, size)
    size += raw.length
  }
}

/** The records of a batch up to `lsn`, as a batch of their own in its place. */
function writePart(to: DiskFile, position: number, whole: BatchLine, body: Buffer, lsn: number): void {
  let end = 0
  const finder: RecordSink = {
    record(_bytes, argc, _start, stop, at) {
      if (at <= lsn) end = stop[argc - 1] + 2
    },
  }
  new RecordParser().parse(body, 0, body.length, whole.first, finder)
  const buffer = Buffer.concat([Buffer.alloc(BATCH_LINE_BYTES_MAX), body.subarray(0, end)])
  const { epoch, incarnation, first, durable, time, previous } = whole
  const part = Object.assign(new BatchLine(), { epoch, incarnation, first, durable, time, previous, records: lsn - first + 1 })
  const start = encodeBatchLine(part, buffer, BATCH_LINE_BYTES_MAX, buffer.length)
  writeFully(to, buffer, start, buffer.length, position)
}

/** Collects the records of orders from every batch that still verifies. */
class LostOrders {
  readonly records: LostRecord[] = []
  readonly #parser = new RecordParser()

  gather(file: DiskFile, from: number, lsn: number): void {
    const sink: RecordSink = {
      record: (bytes, argc, start, end, at) => {
        if (at < lsn || argc < 2) return
        const record = latin1(bytes, start[0], end[0])
        if (record.startsWith('ORDER.')) this.records.push({ lsn: at, record, order: latin1(bytes, start[1], end[1]) })
      },
    }
    const limit = file.size()
    // A batch may begin before the cut, so no LSN is too small.
    gatherEvidence(noEvidence(), file, { from, limit, lsn: 0, span: Number.MAX_SAFE_INTEGER }, (line, bytes, start, end) => {
      this.#parser.parse(bytes, start, end, line.first, sink)
    })
  }
}
