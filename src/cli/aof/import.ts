// stockd-aof import: a plain Redis log (one file, or a directory with a manifest; RESP only) becomes a log of ours in a new directory.
//
// The commands are executed as a client's would be, so only those that stockd knows can be imported; the log gets the facts.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FileDisk } from '../../aof/file-disk.ts'
import { LOG_DIRECTORY, MANIFEST_FILE } from '../../aof/format/file-names.ts'
import type { Log } from '../../aof/log.ts'
import { RecordParser, type RecordSink } from '../../aof/record-parser.ts'
import { millis } from '../../base/brand.ts'
import { StockdError } from '../../base/error.ts'
import { Call, type Client } from '../../engine/call.ts'
import { Engine } from '../../engine/engine.ts'
import { Reply } from '../../resp/reply.ts'
import { Request } from '../../resp/request.ts'
import { ReplaySink } from '../../server/replay-sink.ts'
import type { Console } from '../console.ts'
import { EXIT_OK } from './exit-codes.ts'
import { closeLog, inNewDirectory, openForWriting } from './new-log.ts'

const PIECE_BYTES = 8 * 1024 * 1024
const ERROR = 45
/** Around a transaction: its commands follow one another anyway. */
const IGNORED = new Set(['MULTI', 'EXEC'])

export function importRedis(source: string, target: string, out: Console): Promise<number> {
  return inNewDirectory(target, () => importInto(source, target, out))
}

async function importInto(source: string, target: string, out: Console): Promise<number> {
  const files = filesOf(source)
  const engine = new Engine()
  const { log } = openForWriting(target, new ReplaySink(engine), () => engine.sealDigest(), out)
  const importer = new Importer(engine, log)
  engine.advance(millis(Date.now()))
  for (const file of files) readPlain(file, importer, out)
  importer.write()
  const digest = engine.digest()
  await closeLog(log)
  out.result(`${importer.commands} commands from ${files.length} files, ${log.last} records in ${target}, digest ${digest}`, {
    commands: importer.commands,
    files,
    records: log.last,
    digest,
    target,
  })
  return EXIT_OK
}

/** The files of a plain Redis log in their order. */
function filesOf(source: string): string[] {
  if (!existsSync(source)) throw new StockdError('BAD_DIRECTORY', `${source} does not exist`)
  let manifest = source
  if (statSync(source).isDirectory()) {
    const found = [join(source, MANIFEST_FILE), join(source, LOG_DIRECTORY, MANIFEST_FILE)].find((path) => existsSync(path))
    if (found === undefined)
      throw new StockdError('BAD_DIRECTORY', `${source} has no ${MANIFEST_FILE}; name the file itself if it is a single one`)
    manifest = found
  } else if (!source.endsWith('.manifest')) return [source]
  const text = readFileSync(manifest, 'latin1')
  if (text.includes('#M crc=')) throw new StockdError('BAD_DIRECTORY', `${manifest} is of a stockd log already`)
  const files: string[] = []
  for (const line of text.split('\n')) {
    const match = /^file (\S+) seq \d+ type ([bi])\b/.exec(line)
    if (match !== null) files.push(join(dirname(manifest), match[1]))
    else if (line !== '' && !line.startsWith('#') && !/ type h\b/.test(line))
      throw new StockdError('LOG_CORRUPT', `${manifest}: "${line}" is not understood`)
  }
  return files
}

/** Reads a plain RESP file: commands, and `#` lines, which say nothing here. */
function readPlain(path: string, importer: Importer, out: Console): void {
  if (!existsSync(path)) throw new StockdError('LOG_CORRUPT', `${path} is listed but missing`)
  const file = new FileDisk().open(path, 'read')
  try {
    const size = file.size()
    let bytes = Buffer.alloc(Math.max(1, Math.min(PIECE_BYTES, size)))
    let filled = 0
    let offset = 0
    while (offset < size) {
      const n = file.read(bytes, filled, bytes.length - filled, offset + filled)
      filled += n
      if (offset === 0 && bytes.toString('latin1', 0, 5) === 'REDIS') {
        throw new StockdError(
          'LOG_CORRUPT',
          `${path} starts with an RDB preamble: set aof-use-rdb-preamble no, run BGREWRITEAOF, and import again`,
        )
      }
      const used = importer.take(bytes, filled)
      offset += used
      bytes.copy(bytes, 0, used, filled)
      filled -= used
      out.progress(`importing ${path}`, offset, size)
      if (used > 0) continue
      if (offset + filled >= size)
        throw new StockdError('LOG_CORRUPT', `${path} at ${offset}: not a whole command (redis-check-aof --fix cuts a torn end)`)
      const larger = Buffer.alloc(bytes.length * 2)
      bytes.copy(larger)
      bytes = larger
    }
  } finally {
    file.close()
  }
}

class Importer implements RecordSink {
  commands = 0
  readonly #engine: Engine
  readonly #log: Log
  readonly #parser = new RecordParser()
  readonly #client: Client = { database: 0 }
  readonly #request = new Request()
  readonly #reply = new Reply()
  readonly #call: Call

  constructor(engine: Engine, log: Log) {
    this.#engine = engine
    this.#log = log
    this.#call = new Call(engine, this.#request, this.#reply, this.#client)
  }

  /** Executes the whole commands at the start of bytes[0..end); @returns how many bytes they are. */
  take(bytes: Buffer, end: number): number {
    let at = 0
    while (at < end) {
      const next = bytes[at] === 35 ? bytes.indexOf(10, at) + 1 : this.#parser.first(bytes, at, end, this)
      if (next <= at || next > end) break
      at = next
    }
    this.write()
    return at
  }

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): void {
    const request = this.#request
    request.bytes = bytes
    request.argc = argc
    request.start = start as Int32Array<ArrayBuffer>
    request.end = end as Int32Array<ArrayBuffer>
    this.commands++
    const name = request.latin1(0).toUpperCase()
    if (IGNORED.has(name)) return
    if (name === 'SELECT') {
      const database = Number(request.latin1(1))
      if (argc !== 2 || !Number.isInteger(database) || database < 0 || database >= this.#engine.options.databases) {
        throw new StockdError('LOG_CORRUPT', `command ${this.commands}: SELECT ${request.latin1(1).slice(0, 20)}: no such database`)
      }
      this.#client.database = database
      return
    }
    this.#reply.length = 0
    this.#engine.execute(this.#call)
    if (this.#reply.buffer[0] === ERROR) {
      const text = this.#reply.buffer.toString('latin1', 1, this.#reply.length).trim()
      throw new StockdError('LOG_SEMANTIC', `command ${this.commands} (${name.slice(0, 32)}) cannot be imported: ${text}`)
    }
  }

  /** What was executed goes into the log. */
  write(): void {
    const { journal, now } = this.#engine
    this.#log.append(journal.buffer, journal.length, journal.records, now)
    journal.drained()
    this.#log.write()
    if (this.#log.written !== this.#log.last) throw new StockdError('LOG_WRITE', 'the log cannot be written')
    this.#log.tick(Date.now())
  }
}
