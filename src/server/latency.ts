// The latency monitor: per kind of event the spikes over `latency-monitor-threshold`, one sample a second, the last 160 of them.

const SAMPLES_MAX = 160

interface LatencySample {
  /** Unix seconds. */
  readonly time: number
  /** Milliseconds: the worst of that second. */
  ms: number
}

export class LatencyEvent {
  /** Oldest first. */
  readonly samples: LatencySample[] = []
  maxMs = 0
}

export class Latency {
  /** 'command', 'fast-command', 'aof-write', 'expire-cycle' */
  readonly events = new Map<string, LatencyEvent>()

  /** A spike; the caller has compared it with the threshold. */
  add(name: string, time: number, ms: number): void {
    let event = this.events.get(name)
    if (event === undefined) this.events.set(name, (event = new LatencyEvent()))
    if (ms > event.maxMs) event.maxMs = ms
    const last = event.samples.at(-1)
    if (last !== undefined && last.time === time) {
      if (ms > last.ms) last.ms = ms
      return
    }
    event.samples.push({ time, ms })
    if (event.samples.length > SAMPLES_MAX) event.samples.shift()
  }

  /** Forgets the named events, or all; @returns how many there were. */
  reset(names: readonly string[]): number {
    if (names.length === 0) {
      const n = this.events.size
      this.events.clear()
      return n
    }
    let n = 0
    for (const name of names) if (this.events.delete(name)) n++
    return n
  }
}
