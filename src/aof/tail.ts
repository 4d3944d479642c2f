// The newest links of the log in memory: the batch being filled, and every link that is not durable yet.
//
// A batch grows in place, with room for its line before it, so that the whole link is one piece of memory and one write:
//
//   chunk  | link | link |   room for a line   | body, growing ... |        |
//
// Links stay until they are durable, because after a failed fsync the file cannot be trusted to have them (the kernel has marked the pages
// clean): they are written again from here. A link's position counts bytes of the chain since the process started, whatever file it is in.

import { assert } from '../base/assert.ts'
import { BATCH_LINE_BYTES_MAX, encodeBatchLine, type BatchLine } from './format/batch-line.ts'
import { TIMESTAMP_LINE_BYTES_MAX, encodeTimestampLine } from './format/timestamp-line.ts'
import { CHUNK_BYTES } from './limits.ts'

const HEAD_BYTES = BATCH_LINE_BYTES_MAX + TIMESTAMP_LINE_BYTES_MAX
const SPARE_CHUNKS = 8

class Chunk {
  readonly buffer: Buffer
  readonly starts: number[] = []
  readonly ends: number[] = []
  readonly positions: number[] = []

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytes)
  }

  clear(): void {
    this.starts.length = 0
    this.ends.length = 0
    this.positions.length = 0
  }
}

export class Tail {
  /** The link that was encoded last: buffer[linkStart..linkEnd). */
  buffer: Buffer
  linkStart = 0
  linkEnd = 0
  /** Position behind the last link that was kept. */
  position = 0
  /** Records in the batch being filled. */
  pendingRecords = 0
  /** Position of the oldest link still here; `position` if there is none. */
  #oldest = 0
  #chunk: Chunk
  #bodyStart = HEAD_BYTES
  #bodyEnd = HEAD_BYTES
  readonly #full: Chunk[] = []
  readonly #spare: Chunk[] = []

  constructor() {
    this.#chunk = new Chunk(CHUNK_BYTES)
    this.buffer = this.#chunk.buffer
  }

  get pendingBytes(): number {
    return this.#bodyEnd - this.#bodyStart
  }

  get oldest(): number {
    return this.#oldest
  }

  /** Bytes that are kept, the batch being filled included. */
  get bytes(): number {
    return this.position - this.#oldest + this.pendingBytes
  }

  /** Adds records to the batch being filled. */
  append(bytes: Uint8Array, length: number, records: number): void {
    if (this.#bodyEnd + length > this.#chunk.buffer.length) this.#grow(length)
    const { buffer } = this.#chunk
    if (length < 64) {
      let at = this.#bodyEnd
      for (let i = 0; i < length; i++) buffer[at++] = bytes[i]
    } else buffer.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#bodyEnd)
    this.#bodyEnd += length
    this.pendingRecords += records
  }

  /** Makes the batch a link: [linkStart, linkEnd). It stays the batch being filled until `keep`, and may be encoded again. */
  encode(line: BatchLine, stampSeconds: number): void {
    const { buffer } = this.#chunk
    let start = encodeBatchLine(line, buffer, this.#bodyStart, this.#bodyEnd)
    if (stampSeconds > 0) start = encodeTimestampLine(buffer, start, stampSeconds)
    this.buffer = buffer
    this.linkStart = start
    this.linkEnd = this.#bodyEnd
  }

  /** Makes a mark the link. Only while no batch is being filled. */
  encodeMark(mark: Uint8Array): void {
    assert(this.pendingBytes === 0, 'a mark within a batch')
    if (this.#bodyStart + mark.length > this.#chunk.buffer.length) this.#grow(mark.length)
    this.#chunk.buffer.set(mark, this.#bodyStart)
    this.buffer = this.#chunk.buffer
    this.linkStart = this.#bodyStart
    this.linkEnd = this.#bodyStart + mark.length
  }

  /** The link is in the file: it is kept here until it is durable, and the next batch begins. */
  keep(): void {
    const chunk = this.#chunk
    chunk.starts.push(this.linkStart)
    chunk.ends.push(this.linkEnd)
    chunk.positions.push(this.position)
    this.position += this.linkEnd - this.linkStart
    this.pendingRecords = 0
    this.#bodyStart = this.linkEnd + HEAD_BYTES
    this.#bodyEnd = this.#bodyStart
    if (this.#bodyStart + HEAD_BYTES > chunk.buffer.length) this.#grow(0)
  }

  /** Forgets the links before `position`. */
  release(position: number): void {
    while (this.#full.length > 0) {
      const next = this.#full.length > 1 ? this.#full[1].positions[0] : (this.#chunk.positions[0] ?? this.position)
      if (next > position) break
      const chunk = this.#full.shift()
      if (chunk === undefined || chunk.buffer.length !== CHUNK_BYTES || this.#spare.length >= SPARE_CHUNKS) continue
      chunk.clear()
      this.#spare.push(chunk)
    }
    if (position > this.#oldest) this.#oldest = position
    // Everything in the current chunk is durable too: it is filled from its start again.
    if (position === this.position && this.pendingBytes === 0 && this.#chunk.starts.length > 0) {
      // One huge batch must not keep its memory for ever.
      if (this.#chunk.buffer.length > CHUNK_BYTES) this.#chunk = this.#spare.pop() ?? new Chunk(CHUNK_BYTES)
      else this.#chunk.clear()
      this.#bodyStart = HEAD_BYTES
      this.#bodyEnd = HEAD_BYTES
    }
  }

  /** Calls `visit` for every link from `position` on, oldest first. */
  each(position: number, visit: (buffer: Buffer, start: number, end: number) => void): void {
    assert(position >= this.#oldest, 'these links are no longer in memory')
    for (const chunk of [...this.#full, this.#chunk]) {
      for (let i = 0; i < chunk.starts.length; i++) {
        if (chunk.positions[i] >= position) visit(chunk.buffer, chunk.starts[i], chunk.ends[i])
      }
    }
  }

  /** Takes a new chunk; the batch being filled moves there. */
  #grow(bytes: number): void {
    const body = this.pendingBytes
    const old = this.#chunk
    const needed = HEAD_BYTES + body + bytes
    const spare = needed <= CHUNK_BYTES ? this.#spare.pop() : undefined
    const next = spare ?? new Chunk(needed <= CHUNK_BYTES ? CHUNK_BYTES : Math.max(needed, body * 2))
    // With nothing pending the batch would begin behind the end of the chunk, where `copy` throws.
    if (body > 0) old.buffer.copy(next.buffer, HEAD_BYTES, this.#bodyStart, this.#bodyEnd)
    if (old.starts.length > 0) this.#full.push(old)
    else if (old.buffer.length === CHUNK_BYTES && this.#spare.length < SPARE_CHUNKS) this.#spare.push(old)
    this.#chunk = next
    this.#bodyStart = HEAD_BYTES
    this.#bodyEnd = HEAD_BYTES + body
  }
}
