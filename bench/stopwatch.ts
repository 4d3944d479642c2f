// Times one room by itself: nanoseconds per operation, the median of several passes after a warm-up.
//
// No rival and no verdict: it shows what a change in this room does, before and after, on one machine. It is the CPU time of this thread
// that is counted, so that a neighbour's work is not (the collector's helper threads are not either).

import { median } from './goal.ts'

const WARM_UP_MS = 200
const PASS_MS = 50
const PASSES_MIN = 3
const PASSES_MAX = 9
const TOTAL_MS = 500

/** `pass` does `operations` operations and answers something, so that nothing can be optimized away. */
export function stopwatch(what: string, operations: number, pass: () => number, bytes = 0): void {
  let answers = 0
  const repeat = (ms: number): number => {
    const start = threadMs()
    let passes = 0
    let elapsed = 0
    do {
      answers += pass()
      passes++
      elapsed = threadMs() - start
    } while (elapsed < ms)
    return (elapsed * 1e6) / (passes * operations)
  }
  repeat(WARM_UP_MS)
  const samples: number[] = []
  const start = threadMs()
  while (samples.length < PASSES_MIN || (samples.length < PASSES_MAX && threadMs() - start < TOTAL_MS)) samples.push(repeat(PASS_MS))
  const ns = median(samples)
  const rate = bytes === 0 ? '' : `${(((bytes / operations / ns) * 1e9) / 1e6).toFixed(0)} MB/s`
  console.log(
    [
      what.padEnd(58),
      `${ns.toFixed(1)} ns`.padStart(12),
      `${(1e3 / ns).toFixed(2)} M/s`.padStart(12),
      rate.padStart(10),
      `  best ${Math.min(...samples).toFixed(1)} ns`,
    ].join(''),
  )
  if (!Number.isFinite(answers)) throw new Error(`${what}: no answer`)
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
