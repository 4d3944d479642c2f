// Records of the log become events: between the follower, which reads bytes, and the decoder, which knows what they mean.

import type { RecordSink } from '../../aof/record-parser.ts'
import type { OutboxEvent } from '../../engine/events/event.ts'
import { EventDecoder } from '../../engine/events/event-decoder.ts'
import { Request } from '../../resp/request.ts'

const DOT = 46
/** Where the dot stands in the names of the ledger's records: ORDER.x, STOCK.x, AUDIT.x. */
const DOT_AT = 5
/** Records of the ledger that make no event. */
const SILENT = ['ORDER.TOMBSTONE', 'ORDER.GRACED', 'ORDER.TRIMMED'] as const

export class RecordEvents implements RecordSink {
  /** The instant of the batch that is being read, and of the last one before it that had another. */
  ms = 0
  msBefore = 0
  readonly #decoder: EventDecoder
  readonly #record = new Request()
  readonly #onEvent: (event: OutboxEvent) => void
  /** Records before this one are passed over. */
  from = 0

  constructor(stream: string, onEvent: (event: OutboxEvent) => void) {
    this.#decoder = new EventDecoder(stream)
    this.#onEvent = onEvent
  }

  batch(timeMs: number): void {
    if (timeMs === this.ms) return
    this.msBefore = this.ms
    this.ms = timeMs
  }

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void {
    if (lsn < this.from) return
    this.#decoder.decode(asRequest(this.#record, bytes, argc, start, end), lsn, this.#onEvent)
  }
}

/** Counts the records that make events, without making them. */
export class EventCounter implements RecordSink {
  count = 0
  /** Only records from..to count. */
  from = 0
  to = Infinity
  readonly #record = new Request()

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void {
    if (lsn < this.from || lsn > this.to || bytes[start[0] + DOT_AT] !== DOT || end[0] - start[0] <= DOT_AT) return
    const record = asRequest(this.#record, bytes, argc, start, end)
    if (!SILENT.some((name) => record.is(0, name))) this.count++
  }
}

function asRequest(request: Request, bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): Request {
  request.bytes = bytes
  request.argc = argc
  request.start = start as Int32Array<ArrayBuffer>
  request.end = end as Int32Array<ArrayBuffer>
  return request
}
