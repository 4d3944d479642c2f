// A histogram of microseconds: 16 steps per octave, so that a percentile is at most 6 % off, in 2 KiB.

const STEPS = 16
const BUCKETS = 32 * STEPS

/** 0..15 us have a bucket each; from there on every octave has 16. */
function bucketOf(micros: number): number {
  if (micros < STEPS) return micros
  const octave = 31 - Math.clz32(micros)
  return (octave - 3) * STEPS + ((micros >>> (octave - 4)) & (STEPS - 1))
}

/** The largest value that falls into a bucket. */
function topOf(bucket: number): number {
  if (bucket < STEPS) return bucket
  const octave = Math.floor(bucket / STEPS) + 3
  return (STEPS + (bucket % STEPS) + 1) * 2 ** (octave - 4) - 1
}

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  count = 0

  /** @param micros not negative; more than 35 minutes counts as 35 minutes. */
  add(micros: number): void {
    this.#counts[bucketOf(Math.min(Math.floor(micros), 0x7fffffff))]++
    this.count++
  }

  /** The value that `percent` of all values do not exceed; 0 if there are none. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.ceil((this.count * percent) / 100))
    let seen = 0
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#counts[i]
      if (seen >= wanted) return topOf(i)
    }
    return 0
  }

  /** How many values were at most `micros` (rounded to a bucket's end). */
  atMost(micros: number): number {
    const last = bucketOf(Math.min(micros, 0x7fffffff))
    let seen = 0
    for (let i = 0; i <= last; i++) seen += this.#counts[i]
    return seen
  }

  reset(): void {
    this.#counts.fill(0)
    this.count = 0
  }
}
