// Something to wait for that comes early or with its time: a loop sleeps on it, and whoever brings it work rings.

import type { OrdersEnv } from '../env.ts'

export class Bell {
  readonly #env: OrdersEnv
  #wake: () => void = () => {}

  constructor(env: OrdersEnv) {
    this.#env = env
  }

  /** Wakes who waits now; nobody waits: nothing. So look for work first, and wait in the same turn. */
  ring(): void {
    this.#wake()
  }

  /** Resolves at the next ring, or after so many milliseconds (Infinity: only at a ring). */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = ms === Infinity ? () => {} : this.#env.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = () => {}
  }
}
