// How far the log is stored, by what is known of each part: which LSN stands behind a pseq, for the events that are on their way.
//
// What stays true: every event up to `stored.lsn` is stored; so is every event that says it happened up to `stored.time`, also of those to
// come. Both are rather too early: of 64 events of a part only one is remembered.

import { PARTS } from '../../engine/outbox.ts'

export interface StoredPoint {
  readonly lsn: number
  /** Unix ms. */
  readonly time: number
  /** Instant of the oldest event that is not stored; 0: none is known. */
  readonly waitingSince: number
}

/** Where the trail begins: everything up to this is stored, whatever is known of the parts. */
export interface TrailStart {
  readonly lsn: number
  readonly time: number
}

interface Step {
  readonly pseq: number
  readonly lsn: number
  readonly ms: number
  /** Instant of the batches before: an event behind this step did not happen before it. */
  readonly msBefore: number
}

const STEP = 64
const NOTHING: TrailStart = { lsn: 0, time: 0 }

export class StoredTrail {
  /** By part, highest pseq that has gone by. */
  readonly highest = new Float64Array(PARTS)
  #floor: TrailStart
  readonly #storedBefore: Float64Array
  /** By part, of the log at the start: events up to here exist, though they may never go by. */
  readonly #pseqs: readonly number[]
  readonly #steps: Step[][] = Array.from({ length: PARTS }, () => [])
  /** Everything up to here has gone by. */
  #head = 0
  #headMs = 0

  /** @param from what a checkpoint says: everything before its record has gone by. Null: nothing is known */
  constructor(
    pseqs: readonly number[],
    from: { readonly lsn: number; readonly stored: readonly number[]; readonly floor: TrailStart } | null,
  ) {
    this.#pseqs = pseqs
    this.#floor = from?.floor ?? NOTHING
    this.#storedBefore = Float64Array.from(from?.stored ?? pseqs, (pseq) => (from === null ? 0 : pseq))
    this.#head = (from?.lsn ?? 1) - 1
    this.#headMs = this.#floor.time + 1
  }

  passed(part: number, step: Step): void {
    if (step.pseq <= this.highest[part]) return
    const steps = this.#steps[part]
    if (steps.length === 0 || step.pseq % STEP === 0) steps.push(step)
    this.highest[part] = step.pseq
  }

  /** Every event up to this LSN has gone by; `ms` is its batch's instant. */
  reached(lsn: number, ms: number): void {
    if (lsn <= this.#head) return
    this.#head = lsn
    if (ms > 0) this.#headMs = ms
  }

  get head(): number {
    return this.#head
  }

  /** @param stored by part, everything up to this pseq is stored */
  point(stored: readonly number[]): StoredPoint {
    let lsn = this.#head
    let time = this.#headMs - 1
    let waitingSince = 0
    // A database that was restored from an older copy: what was true of the beginning is not any more.
    if (stored.some((pseq, part) => pseq < this.#storedBefore[part])) this.#floor = NOTHING
    this.#storedBefore.set(stored)
    for (let part = 0; part < PARTS; part++) {
      if (stored[part] >= Math.max(this.highest[part], this.#pseqs[part])) {
        this.#steps[part].length = 0
        continue
      }
      const at = this.#lastStored(part, stored[part])
      if (at.lsn >= lsn) continue
      lsn = at.lsn
      time = Math.min(time, at.time)
      waitingSince = at.since
    }
    return { lsn, time, waitingSince }
  }

  #lastStored(part: number, stored: number): { lsn: number; time: number; since: number } {
    const steps = this.#steps[part]
    const next = steps.findIndex((step) => step.pseq > stored)
    const gone = next < 0 ? steps.length - 1 : next - 1
    if (gone > 0) steps.splice(0, gone)
    const [first] = steps
    if (first === undefined || first.pseq > stored + 1) return { ...this.#floor, since: first?.ms ?? 0 }
    // The first step itself may be the next one that is not stored.
    return { lsn: first.lsn - 1, time: first.msBefore - 1, since: first.ms }
  }
}
