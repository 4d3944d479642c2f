// Watches the events on their way: how old what is missing at each step is, and whether the steps are in order (E8).
//
//   made (the log) -> published -> acked by the broker -> stored by the database
//
// A step knows numbers, not times. So once a second it is noted how far the log was, part by part; the first note that a step has not
// reached tells since when it is behind. Notes that nobody needs any more are dropped, and when a step stands still for long, every
// other one.
//
// E8, stored <= acked <= published <= made, is judged with patience: an event can be stored before its ack has come, and after a
// restart the publisher's figures start at an older checkpoint. What is wrong is what stays so. Only an event that the node never made
// is wrong at once: then the database has another history.

import type { FeedStatus } from '../event-feed.ts'

export type Step = 'published' | 'acked' | 'stored'
export const STEPS: readonly Step[] = ['published', 'acked', 'stored']

const NOTES_MAX = 256
/** How long figures may contradict each other. */
const PATIENCE_MS = 60_000

interface Note {
  /** The last event made, and when it was first seen. */
  readonly last: number
  readonly at: number
}

export class OutboxWatch {
  /** What is wrong now, in words; null: nothing. */
  alarm: string | null = null
  /** How often something began to be wrong. */
  alarms = 0
  readonly parts: number
  readonly #made: (part: number) => number
  readonly #notes: Note[][]
  #contradictedSince = 0

  constructor(parts: number, made: (part: number) => number) {
    this.parts = parts
    this.#made = made
    this.#notes = Array.from({ length: parts }, () => [])
  }

  /** Once a second. @returns true if an alarm begins. */
  look(now: number, status: FeedStatus): boolean {
    for (let part = 0; part < this.parts; part++) this.#note(part, now, status)
    const wrong = this.#judge(now, status)
    const begins = wrong !== null && this.alarm === null
    if (begins) this.alarms++
    this.alarm = wrong
    return begins
  }

  /** Events that this step has not seen. */
  events(status: FeedStatus, step: Step): number {
    let events = 0
    for (let part = 0; part < this.parts; part++) events += Math.max(0, this.#made(part) - (status[step][part] ?? 0))
    return events
  }

  /** Age of the oldest of these, ms, to a second; 0 if there are none. */
  ageMs(now: number, status: FeedStatus, step: Step): number {
    let oldest = now
    for (let part = 0; part < this.parts; part++) {
      const reached = status[step][part] ?? 0
      const behind = this.#notes[part].find((note) => note.last > reached)
      if (behind !== undefined && behind.at < oldest) oldest = behind.at
    }
    return now - oldest
  }

  #note(part: number, now: number, { published, acked, stored }: FeedStatus): void {
    const notes = this.#notes[part]
    const made = this.#made(part)
    if (made > (notes.at(-1)?.last ?? 0)) notes.push({ last: made, at: now })
    const everywhere = Math.min(published[part] ?? 0, acked[part] ?? 0, stored[part] ?? 0)
    let done = 0
    while (done < notes.length && notes[done].last <= everywhere) done++
    if (done > 0) notes.splice(0, done)
    if (notes.length <= NOTES_MAX) return
    // The first one stays: it says how long the step has been behind.
    this.#notes[part] = notes.filter((_, i) => i % 2 === 0 || i === notes.length - 1)
  }

  #judge(now: number, { published, acked, stored }: FeedStatus): string | null {
    let contradiction: string | null = null
    for (let part = 0; part < this.parts; part++) {
      const made = this.#made(part)
      const [p, a, s] = [published[part] ?? 0, acked[part] ?? 0, stored[part] ?? 0]
      const most = Math.max(p, a, s)
      if (most > made) {
        return `part ${part}: event ${most} is ${most === s ? 'stored' : 'published'}, but this node made only ${made}: was its log replaced by an older one?`
      }
      if (s > a || a > p) contradiction = `part ${part}: stored ${s}, acked ${a}, published ${p}: each should be at most the next`
    }
    if (contradiction === null) this.#contradictedSince = 0
    else if (this.#contradictedSince === 0) this.#contradictedSince = now
    return contradiction !== null && now - this.#contradictedSince >= PATIENCE_MS ? contradiction : null
  }
}
