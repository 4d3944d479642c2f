// stockd-aof export --redis: the ordinary keys as a plain Redis 7 log that redis-server loads. No `#` lines, no stock, no orders.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { LOG_DIRECTORY, MANIFEST_FILE, logFileName } from '../../aof/format/file-names.ts'
import type { RecordSink } from '../../aof/record-parser.ts'
import { StockdError } from '../../base/error.ts'
import type { Console } from '../console.ts'
import { EXIT_OK, EXIT_TORN } from './exit-codes.ts'
import { latin1 } from './record-text.ts'
import { readAll } from './replay.ts'

const PIECE_BYTES = 1024 * 1024

/** @param target a directory to be made for `redis-server --dir`, or '-': RESP to standard output, for `redis-cli --pipe` */
export function exportRedis(directory: string, target: string, out: Console): number {
  const isStream = target === '-'
  if (!isStream && existsSync(`${target}/${LOG_DIRECTORY}`)) throw new StockdError('BAD_DIRECTORY', `${target} has a log already`)
  const name = logFileName('incr', 1)
  if (!isStream) mkdirSync(`${target}/${LOG_DIRECTORY}`, { recursive: true })
  const fd = isStream ? 1 : openSync(`${target}/${LOG_DIRECTORY}/${name}`, 'wx', 0o640)
  const sink = new PlainSink(fd)
  const found = readOrRemove(isStream ? null : `${target}/${LOG_DIRECTORY}`, () => {
    const all = readAll(directory, sink, out)
    sink.flush()
    return all
  })
  if (!isStream) {
    fsyncSync(fd)
    closeSync(fd)
    writeFileSync(`${target}/${LOG_DIRECTORY}/${MANIFEST_FILE}`, `file ${name} seq 1 type i\n`, { mode: 0o640, flush: true })
    out.result(`${sink.written} records of ordinary keys written to ${target}; ${sink.skipped} of stock and orders left out`, {
      target,
      written: sink.written,
      skipped: sink.skipped,
    })
  }
  return found.damage === null ? EXIT_OK : EXIT_TORN
}

/** What cannot be written to its end goes: a redis-server would start on it, and have no keys. */
function readOrRemove<T>(written: string | null, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (written !== null) rmSync(written, { recursive: true, force: true })
    throw error
  }
}

class PlainSink implements RecordSink {
  written = 0
  skipped = 0
  readonly #fd: number
  #pieces: Buffer[] = []
  #bytes = 0
  /** The last SELECT, written only when a record of its database follows. */
  #select: Buffer | null = null

  constructor(fd: number) {
    this.#fd = fd
  }

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): void {
    const name = latin1(bytes, start[0], end[0])
    // Records of stock, orders and the node itself are ROOM.EVENT; ordinary keys are Redis commands.
    if (name.includes('.')) {
      this.skipped++
      return
    }
    const record = encoded(bytes, argc, start, end)
    if (name === 'SELECT') {
      this.#select = record
      return
    }
    if (this.#select !== null) this.#put(this.#select)
    this.#select = null
    this.#put(record)
    this.written++
  }

  flush(): void {
    const bytes = Buffer.concat(this.#pieces)
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at)
    this.#pieces = []
    this.#bytes = 0
  }

  #put(record: Buffer): void {
    this.#pieces.push(record)
    this.#bytes += record.length
    if (this.#bytes >= PIECE_BYTES) this.flush()
  }
}

function encoded(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${argc}\r\n`)]
  for (let i = 0; i < argc; i++) parts.push(Buffer.from(`$${end[i] - start[i]}\r\n`), bytes.subarray(start[i], end[i]), Buffer.from('\r\n'))
  return Buffer.concat(parts)
}
