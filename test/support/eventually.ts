// Waits for something to become true, with a deadline: what tests do instead of sleeping.

import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks again and again until `condition` answers something truthy, and returns that. A throw counts as "not yet"; at the deadline the
 * last throw is the reason in the error.
 */
export async function eventually<T>(what: string, condition: () => T | Promise<T>, deadlineMs = 10_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs
  let pauseMs = 2
  let reason: unknown
  for (;;) {
    try {
      const answer = await condition()
      if (answer) return answer
      reason = undefined
    } catch (error) {
      reason = error
    }
    if (performance.now() >= deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: reason })
    await delay(pauseMs)
    pauseMs = Math.min(pauseMs * 2, 50)
  }
}

/** The promise's value, or an error that says what did not come in time. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 10_000): Promise<T> {
  const timer = new AbortController()
  const late = delay(deadlineMs, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`not within ${deadlineMs} ms: ${what}`)
    },
    () => new Promise<never>(() => {}), // the promise came first: this side of the race never ends
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}
