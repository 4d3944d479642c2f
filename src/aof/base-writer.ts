// Writes a base: the state after some record, as batches of records, closed by a footer.
//
//   #V1 ... base=<g>     #B1 ... l=1 ... records ...     #B1 ...      #F n=<records> l=<lsn> digest= chain= t=
//
// The same records at the same place of the log give the same bytes: nothing in a base depends on when it was written. It is written under
// a temporary name; it counts only when the manifest names it.

import { writeFully, type Disk, type DiskFile } from './disk.ts'
import { BATCH_LINE_BYTES_MAX, BatchLine, encodeBatchLine } from './format/batch-line.ts'
import { LOG_DIRECTORY, TEMPORARY, logFileName } from './format/file-names.ts'
import type { ManifestEntry } from './format/manifest.ts'
import { encodeFooter } from './format/marks.ts'
import { encodeHeader } from './format/segment-header.ts'
import { CHUNK_BYTES } from './limits.ts'

export interface BaseStart {
  readonly disk: Disk
  readonly directory: string
  /** From `Log.takeBaseSeq`. */
  readonly seq: number
  readonly nodeId: string
  /** The state is the one after this record of the log ... */
  readonly last: number
  /** ... whose link had this checksum, and at this instant. All three as `readLog` returned them. */
  readonly chain: number
  readonly time: number
}

export class BaseWriter {
  readonly #start: BaseStart
  readonly #directory: string
  readonly #name: string
  readonly #file: DiskFile
  readonly #line = new BatchLine()
  #buffer = Buffer.allocUnsafeSlow(BATCH_LINE_BYTES_MAX + CHUNK_BYTES)
  #end = BATCH_LINE_BYTES_MAX
  #pending = 0
  #records = 0
  #size: number
  #chain: number

  constructor(start: BaseStart) {
    this.#start = start
    this.#directory = `${start.directory}/${LOG_DIRECTORY}`
    this.#name = logFileName('base', start.seq)
    const path = this.#temporary
    if (start.disk.sizeOf(path) >= 0) start.disk.unlink(path)
    this.#file = start.disk.open(path, 'create')
    const header = encodeHeader({ kind: 'base', node: start.nodeId, seq: start.seq, previous: 0, createdAt: start.time })
    writeFully(this.#file, header.bytes, 0, header.bytes.length, 0)
    this.#size = header.bytes.length
    this.#chain = header.crc
  }

  get bytes(): number {
    return this.#size
  }

  /** Adds (copies) whole records. */
  add(bytes: Uint8Array, length: number, records: number): void {
    if (this.#end + length > this.#buffer.length) {
      this.#flush()
      if (BATCH_LINE_BYTES_MAX + length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(BATCH_LINE_BYTES_MAX + length)
    }
    this.#buffer.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#end)
    this.#end += length
    this.#pending += records
  }

  /** Footer, fsync, name. @returns the entry for `Log.installBase`. */
  finish(digest: string): ManifestEntry {
    const { disk, last, chain, time, seq } = this.#start
    this.#flush()
    const footer = encodeFooter({ records: this.#records, last, digest, chain, time, previous: this.#chain })
    writeFully(this.#file, footer.bytes, 0, footer.bytes.length, this.#size)
    this.#size += footer.bytes.length
    this.#file.syncNow()
    this.#file.close()
    disk.rename(this.#temporary, `${this.#directory}/${this.#name}`)
    disk.syncDirectoryNow(this.#directory)
    return {
      name: this.#name,
      seq,
      type: 'b',
      first: 1,
      bytes: this.#size,
      sealed: { last, crc: footer.crc, digest: digest === '' ? '-' : digest },
      cut: null,
    }
  }

  /** Something went wrong: what was written goes away. */
  abandon(): void {
    try {
      this.#file.close()
      this.#start.disk.unlink(this.#temporary)
    } catch {
      // The next start deletes temporary files.
    }
  }

  #flush(): void {
    if (this.#pending === 0) return
    const line = this.#line
    line.first = this.#records + 1
    line.records = this.#pending
    line.time = this.#start.time
    line.previous = this.#chain
    const start = encodeBatchLine(line, this.#buffer, BATCH_LINE_BYTES_MAX, this.#end)
    writeFully(this.#file, this.#buffer, start, this.#end, this.#size)
    this.#size += this.#end - start
    this.#chain = line.crc
    this.#records += this.#pending
    this.#pending = 0
    this.#end = BATCH_LINE_BYTES_MAX
  }

  get #temporary(): string {
    return `${this.#directory}/${this.#name}${TEMPORARY}`
  }
}
