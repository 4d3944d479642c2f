// The events of a live log for those who carry them away: up to what is durable, from any place, as often as wanted.
//
// What stays true: see event-source.ts. Beside what it gives, it remembers a few places ("before this LSN the last event of each part was
// ..."), so that an event can be found again without reading the log from its beginning.

import type { Disk } from '../../aof/disk.ts'
import { LogFollower, type LogMarks } from '../../aof/follower.ts'
import type { OutboxEvent } from '../../engine/events/event.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { OrdersEnv } from '../env.ts'
import type { EventReader, EventSource } from './event-source.ts'
import { RecordEvents } from './record-events.ts'
import type { StoredTrail } from './stored-trail.ts'

export interface LogEventSourceOptions {
  readonly disk: Disk
  readonly directory: string
  readonly marks: LogMarks
  readonly stream: string
  /** Of the log at the node's start: LSN of the last record, and pseq of each part's last event. */
  readonly lastLsn: number
  readonly pseqs: readonly number[]
  readonly durable: () => number
  readonly trail: StoredTrail
  readonly env: OrdersEnv
  /** Runs when the thread has done what else is waiting. */
  readonly later: (run: () => void) => void
}

/** Before record `lsn` these were the last events. Infinity: not known of this part. */
interface Place {
  readonly lsn: number
  readonly pseqs: Float64Array
}

/** Read at a time: an event has some 500 bytes in the log. */
const PIECE_BYTES = 256 * 1024
/** A log of ordinary keys has no events for a long time: after so much others get their turn. */
const TURN_BYTES = 8 * 1024 * 1024
const EVENTS_PER_PLACE = 2048
const PLACES_MAX = 4096
/** How long the oldest record is taken for the oldest. */
const OLDEST_MS = 5000
const NOTHING: readonly OutboxEvent[] = []

export class LogEventSource implements EventSource {
  onMore: () => void = () => {}
  readonly options: LogEventSourceOptions
  /** Ascending. */
  readonly #places: Place[] = []
  readonly #look: LogFollower
  #oldestLsn = 0
  #lookedAt = -Infinity
  /** By part: the first event in the log that is known, and the record it is in. */
  readonly #first: ({ readonly pseq: number; readonly lsn: number } | null)[] = Array.from({ length: PARTS }, () => null)
  /** Looks for first events; everything before it has been looked through, but for parts in `#lost`. */
  #scan: LogEventReader | null = null

  constructor(options: LogEventSourceOptions) {
    this.options = options
    this.#look = new LogFollower(options.disk, options.directory, options.marks)
    this.#places.push({ lsn: options.lastLsn + 1, pseqs: Float64Array.from(options.pseqs) })
  }

  reader(lsn: number): LogEventReader {
    return new LogEventReader(this, lsn, true)
  }

  locate(part: number, pseq: number): number {
    return this.#places.findLast((place) => place.pseqs[part] < pseq)?.lsn ?? 1
  }

  oldest(part: number): number {
    const oldestLsn = this.#oldest()
    const known = this.#first[part]
    if (known !== null && known.lsn >= oldestLsn) return known.pseq
    return this.#findFirst(part, oldestLsn)?.pseq ?? this.#last(part) + 1
  }

  /** What a reader starts from: the last events before this record, as far as that is known. */
  placeAt(lsn: number): Float64Array {
    return this.#places.find((place) => place.lsn === lsn)?.pseqs.slice() ?? new Float64Array(PARTS).fill(Infinity)
  }

  remember(lsn: number, pseqs: Float64Array): void {
    let at = this.#places.length
    while (at > 0 && this.#places[at - 1].lsn >= lsn) at--
    if (this.#places[at]?.lsn === lsn) return
    this.#places.splice(at, 0, { lsn, pseqs: pseqs.slice() })
    if (this.#places.length > PLACES_MAX) this.#thinOut()
  }

  close(): void {
    this.#scan?.close()
    this.#look.close()
  }

  #thinOut(): void {
    const kept = this.#places.filter((place, i) => place.lsn >= this.#oldestLsn && i % 2 === 1)
    this.#places.splice(0, this.#places.length, ...kept)
  }

  #oldest(): number {
    const now = this.options.env.monotonic()
    if (now - this.#lookedAt >= OLDEST_MS) {
      this.#lookedAt = now
      this.#oldestLsn = this.#look.oldest()
    }
    return this.#oldestLsn
  }

  #last(part: number): number {
    return Math.max(this.options.pseqs[part], this.options.trail.highest[part])
  }

  /** The first event of the part, read from the log; null: it has none. */
  #findFirst(part: number, oldestLsn: number): { readonly pseq: number; readonly lsn: number } | null {
    // The first one that was known has gone with its segment: those of other parts, too, perhaps. They are looked for from the beginning.
    if (this.#scan === null || this.#first[part] !== null) {
      this.#scan?.close()
      this.#scan = new LogEventReader(this, oldestLsn, false)
      this.#first.forEach((first, i) => {
        if (first !== null && first.lsn < oldestLsn) this.#first[i] = null
      })
    }
    for (let events = this.#scan.next(PARTS); events.length > 0 || this.#scan.isUnfinished; events = this.#scan.next(PARTS)) {
      for (const event of events) this.#first[event.part] ??= { pseq: event.pseq, lsn: event.lsn }
      const found = this.#first[part]
      if (found !== null) return found
    }
    return null
  }
}

export class LogEventReader implements EventReader {
  /** The last `next` gave nothing, but only to let others have their turn. */
  isUnfinished = false
  readonly #source: LogEventSource
  readonly #follower: LogFollower
  readonly #events: RecordEvents
  /** It tells the trail, and remembers places. */
  readonly #isCarrier: boolean
  readonly #pseqs: Float64Array
  #sincePlace = 0
  /** Read and not given yet: queue[at..]. */
  readonly #queue: OutboxEvent[] = []
  #at = 0

  constructor(source: LogEventSource, lsn: number, isCarrier: boolean) {
    const { disk, directory, marks, stream } = source.options
    this.#source = source
    this.#isCarrier = isCarrier
    this.#follower = new LogFollower(disk, directory, marks)
    this.#follower.seek(Math.max(1, lsn))
    this.#pseqs = source.placeAt(lsn)
    this.#events = new RecordEvents(stream, (event) => this.#take(event))
    this.#events.from = this.#follower.nextLsn
  }

  get lsn(): number {
    return this.#queue[this.#at]?.lsn ?? this.#follower.nextLsn
  }

  next(max: number): readonly OutboxEvent[] {
    if (this.#queue.length - this.#at < max) this.#read(max)
    if (this.#at === this.#queue.length) return NOTHING
    const to = Math.min(this.#queue.length, this.#at + max)
    const events = this.#queue.slice(this.#at, to)
    this.#at = to
    return events
  }

  close(): void {
    this.#follower.close()
  }

  #read(max: number): void {
    const { durable, later } = this.#source.options
    this.#queue.splice(0, this.#at)
    this.#at = 0
    this.isUnfinished = false
    for (let bytes = 0; this.#queue.length < max; bytes += PIECE_BYTES) {
      if (bytes >= TURN_BYTES) {
        this.isUnfinished = this.#queue.length === 0
        if (this.isUnfinished && this.#isCarrier) later(() => this.#source.onMore())
        return
      }
      if (this.#readPiece(durable()) === 'end') return
    }
  }

  #readPiece(upTo: number): 'more' | 'end' {
    const from = this.#follower.nextLsn
    const { trail } = this.#source.options
    try {
      const followed = this.#follower.read(upTo, this.#events, PIECE_BYTES)
      this.#rememberPlace()
      // What the log does not have any more is a gap in the pseqs: whoever carries the events sees it, and judges.
      if (followed === 'gone') this.#follower.seek(this.#follower.oldest())
      this.#events.from = this.#follower.nextLsn
      if (this.#isCarrier && from <= trail.head + 1) trail.reached(this.#follower.nextLsn - 1, this.#events.ms)
      return followed === 'end' ? 'end' : 'more'
    } catch (error) {
      // A batch that stopped in its middle is read again as a whole.
      while ((this.#queue.at(-1)?.lsn ?? 0) >= this.#follower.nextLsn) this.#queue.pop()
      this.#events.from = this.#follower.nextLsn
      throw error
    }
  }

  #take(event: OutboxEvent): void {
    this.#queue.push(event)
    if (!this.#isCarrier) return
    const { part, pseq, lsn } = event
    const { ms, msBefore } = this.#events
    this.#source.options.trail.passed(part, { pseq, lsn, ms, msBefore })
    this.#pseqs[part] = pseq
    this.#sincePlace++
  }

  #rememberPlace(): void {
    if (this.#sincePlace < EVENTS_PER_PLACE) return
    this.#sincePlace = 0
    this.#source.remember(this.#follower.nextLsn, this.#pseqs)
  }
}
