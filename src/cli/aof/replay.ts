// A whole log into a new engine, as a start does it, without changing anything.

import { Engine } from '../../engine/engine.ts'
import { FileDisk } from '../../aof/file-disk.ts'
import { NO_LOG, inspect, type Inspection } from '../../aof/inspection.ts'
import type { RecordSink } from '../../aof/record-parser.ts'
import { StockdError } from '../../base/error.ts'
import { ReplaySink } from '../../server/replay-sink.ts'
import type { Console } from '../console.ts'

/** Reads every record of a directory's log into a sink. */
export function readAll(directory: string, sink: RecordSink, out: Console): Inspection {
  const reading = inspect({ disk: new FileDisk(), directory, sink })
  for (;;) {
    const step = reading.next()
    if (step.done !== true) {
      out.progress('reading', step.value.bytes, step.value.bytesTotal)
      continue
    }
    if (step.value === NO_LOG) throw new StockdError('BAD_DIRECTORY', `${directory} holds no log`)
    return step.value
  }
}

export function replayAll(directory: string, out: Console): { engine: Engine; found: Inspection } {
  const engine = new Engine()
  const found = readAll(directory, new ReplaySink(engine), out)
  return { engine, found }
}
