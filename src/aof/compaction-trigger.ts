// When to compact by itself: as Redis does, when the log has grown by so many percent over its base and is worth it; later after failures.

const MINUTE_MS = 60_000
const DELAY_MS_MAX = 60 * MINUTE_MS
/** So many failures in a row are tried again at once. */
const FREE_FAILURES = 3

export interface CompactionTriggerOptions {
  /** auto-aof-rewrite-percentage; 0: never. */
  growthPercent: number
  /** auto-aof-rewrite-min-size. */
  bytesMin: number
}

const COMPACTION_DEFAULTS: CompactionTriggerOptions = { growthPercent: 100, bytesMin: 64 * 1024 * 1024 }

export class CompactionTrigger {
  readonly options: CompactionTriggerOptions
  #failures = 0
  #notBefore = 0

  constructor(options: Partial<CompactionTriggerOptions> = {}) {
    this.options = { ...COMPACTION_DEFAULTS, ...options }
  }

  get failures(): number {
    return this.#failures
  }

  /** @param logBytes bytes of the segments behind the base */
  isDue(now: number, logBytes: number, baseBytes: number): boolean {
    const { growthPercent, bytesMin } = this.options
    if (growthPercent === 0 || now < this.#notBefore) return false
    return logBytes + baseBytes >= bytesMin && logBytes * 100 >= baseBytes * growthPercent
  }

  succeeded(): void {
    this.#failures = 0
    this.#notBefore = 0
  }

  failed(now: number): void {
    this.#failures++
    if (this.#failures < FREE_FAILURES) return
    this.#notBefore = now + Math.min(DELAY_MS_MAX, MINUTE_MS * 2 ** Math.min(10, this.#failures - FREE_FAILURES))
  }
}
