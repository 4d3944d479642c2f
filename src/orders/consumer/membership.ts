// Which consumers live, and which of them should have which part. They find each other in the store, where each says every few seconds
// that it lives; who has not said so for a lease is forgotten.
//
// It is about sharing the work, never about safety: two who believe that a part is theirs disturb each other, but the cursor's row lock
// lets only one of them store an event. So everything here may be late or wrong, and is made to be calm: nobody hands a part over before
// the list has been the same for a whole lease.

import type { OrdersEnv } from '../env.ts'
import type { Store } from '../store/store.ts'

export class Membership {
  readonly #store: Pick<Store, 'heartbeat'>
  readonly #env: OrdersEnv
  readonly #name: string
  readonly #leaseMs: number
  #names: readonly string[] = []
  #since = 0

  constructor(options: { store: Pick<Store, 'heartbeat'>; env: OrdersEnv; name: string; leaseMs: number }) {
    this.#store = options.store
    this.#env = options.env
    this.#name = options.name
    this.#leaseMs = options.leaseMs
    this.#since = options.env.monotonic()
  }

  /** Who lives, this one among them, sorted; empty before the first beat. */
  get names(): readonly string[] {
    return this.#names
  }

  /** Rejects with the store's error: the list stays as it is. */
  async beat(): Promise<void> {
    const names = [...new Set([...(await this.#store.heartbeat(this.#name, this.#leaseMs)), this.#name])].toSorted()
    if (names.length === this.#names.length && names.every((name, i) => name === this.#names[i])) return
    this.#env.say('notice', names.length === 1 ? 'the only consumer' : `${names.length} consumers share the parts`, {
      consumers: names.join(' '),
    })
    this.#names = names
    this.#since = this.#env.monotonic()
  }

  /** Somebody else should have this part, and has been there long enough to take it. */
  isAnothers(part: number): boolean {
    if (this.#names.length < 2 || this.#env.monotonic() - this.#since < this.#leaseMs) return false
    return this.#names[part % this.#names.length] !== this.#name
  }

  /** `monotonic()` of the last change of the list. */
  get since(): number {
    return this.#since
  }
}
