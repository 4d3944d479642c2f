// The worker of a compaction: reads the settled part of the log, writes it as a base, and proves that the base says the same.
//
// It has its own engine and touches nothing of the node's: files that never change again come in, one new file goes out.

import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { BaseWriter } from '../aof/base-writer.ts'
import { FileDisk } from '../aof/file-disk.ts'
import type { Manifest, ManifestEntry } from '../aof/format/manifest.ts'
import { readLog } from '../aof/read-log.ts'
import type { SettledEnd } from '../aof/read-log.ts'
import { assert } from '../base/assert.ts'
import { StockdError } from '../base/error.ts'
import { Engine } from '../engine/engine.ts'
import type { EngineOptions } from '../engine/engine.ts'
import { Journal } from '../engine/journal.ts'
import { ReplaySink } from './replay-sink.ts'

export interface CompactionOrder {
  readonly directory: string
  readonly nodeId: string
  readonly manifest: Manifest
  /** The last segment to read: sealed, like all before it. */
  readonly upToSegment: number
  readonly baseSeq: number
  readonly engine: Partial<EngineOptions>
}

/** `entry` for the manifest, or null and the reason why there is none. */
export interface CompactionResult {
  readonly entry: ManifestEntry | null
  readonly reason: string
  /** The log does not give what it says it gives. */
  readonly isDivergence: boolean
}

/** Records are handed to the base in pieces of about this size. */
const PIECE_BYTES = 256 * 1024
const LOW_PRIORITY = 10

/** Compacts what the order says. Runs to its end: nobody else is served by this thread. */
export function compact(order: CompactionOrder): ManifestEntry {
  const disk = new FileDisk()
  const { directory, nodeId, baseSeq: seq } = order
  let engine = new Engine(order.engine)
  const end = replay(disk, order, order.manifest, order.upToSegment, engine)
  const digest = engine.digest()

  const writer = new BaseWriter({ disk, directory, seq, nodeId, last: end.last, chain: end.chain, time: end.time })
  let entry: ManifestEntry
  try {
    const journal = new Journal()
    for (const _piece of engine.snapshot(journal)) {
      if (journal.length < PIECE_BYTES) continue
      writer.add(journal.buffer, journal.length, journal.records)
      journal.drained()
    }
    if (journal.records > 0) writer.add(journal.buffer, journal.length, journal.records)
    entry = writer.finish(engine.sealDigest())
  } catch (error) {
    writer.abandon()
    throw error
  }

  // What is in the file is what counts, so that is read, not what was meant to be written. The first engine's memory is free by then.
  engine = new Engine(order.engine)
  replay(disk, order, { entries: [entry] }, 0, engine)
  if (engine.digest() !== digest)
    throw new StockdError('LOG_SEMANTIC', `${entry.name} gives digest ${engine.digest()} instead of ${digest}`)
  return entry
}

function replay(disk: FileDisk, order: CompactionOrder, manifest: Manifest, upToSegment: number, engine: Engine): SettledEnd {
  const reading = readLog({ disk, directory: order.directory, manifest, upToSegment, sink: new ReplaySink(engine) })
  for (;;) {
    const step = reading.next()
    if (step.done === true) return step.value
  }
}

/** Below the node's own thread. Where the system does not allow it, at its side. */
function stepBack(): void {
  try {
    setPriority(0, LOW_PRIORITY)
  } catch {
    // It is only slower for the others.
  }
}

function main(): void {
  assert(parentPort !== null, 'this file runs as a worker thread')
  // As in the process's main thread (bin/): no name that comes from outside may reach a prototype.
  delete (Object.prototype as { __proto__?: unknown }).__proto__
  stepBack()
  let result: CompactionResult
  try {
    result = { entry: compact(workerData as CompactionOrder), reason: '', isDivergence: false }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    result = { entry: null, reason: error.message, isDivergence: error instanceof StockdError && error.code === 'LOG_SEMANTIC' }
  }
  parentPort.postMessage(result)
}

if (parentPort !== null && (workerData as Partial<CompactionOrder> | null)?.baseSeq !== undefined) main()
