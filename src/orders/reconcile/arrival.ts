// Waits until the database has everything that a node had at some moment. As long as something moves it waits; a part that stands still for
// too long is given up, and later only looked at.

import type { OrdersEnv } from '../env.ts'
import type { Cursor, Store } from '../store/store.ts'

const LOOK_MS = 100

/** Where a node was: by part, the last event that had happened. */
export interface Position {
  readonly stream: string
  readonly last: readonly number[]
}

/** A part that the database is behind in. */
export interface LatePart {
  readonly stream: string
  readonly part: number
  readonly last: number
  readonly stored: number
}

export interface ArrivalParts {
  readonly store: Pick<Store, 'cursors'>
  readonly env: Pick<OrdersEnv, 'monotonic' | 'after'>
  /** So long a part may stand still. */
  readonly waitMs: number
  readonly progress: (what: string, done: number, total: number | null) => void
}

export class Arrival {
  readonly #parts: ArrivalParts
  /** `stream/part` -> its cursor when it was given up. */
  readonly #givenUp = new Map<string, number>()

  constructor(parts: ArrivalParts) {
    this.#parts = parts
  }

  /** @returns the parts that the database is behind in all the same */
  async of(positions: readonly Position[]): Promise<readonly LatePart[]> {
    const { store, env, waitMs, progress } = this.#parts
    let late = latePartsOf(positions, await store.cursors())
    const missing = missingOf(late)
    let stored = Infinity
    let movedAt = env.monotonic()
    while (late.some((part) => this.#givenUp.get(keyOf(part)) !== part.stored)) {
      const left = missingOf(late)
      if (left < stored) movedAt = env.monotonic()
      stored = left
      if (env.monotonic() - movedAt >= waitMs) {
        for (const part of late) this.#givenUp.set(keyOf(part), part.stored)
        break
      }
      progress('waiting for events on their way', missing - left, missing)
      const { promise, resolve } = Promise.withResolvers<void>()
      env.after(LOOK_MS, resolve)
      await promise
      late = latePartsOf(positions, await store.cursors())
    }
    return late
  }
}

const keyOf = ({ stream, part }: { readonly stream: string; readonly part: number }): string => `${stream}/${part}`
const missingOf = (late: readonly LatePart[]): number => late.reduce((sum, { last, stored }) => sum + last - stored, 0)

export function latePartsOf(positions: readonly Position[], cursors: readonly Cursor[]): LatePart[] {
  const stored = new Map(cursors.map((cursor) => [keyOf(cursor), cursor.pseq]))
  return positions.flatMap(({ stream, last }) =>
    last.flatMap((pseq, part) => {
      const at = stored.get(keyOf({ stream, part })) ?? 0
      return at < pseq ? [{ stream, part, last: pseq, stored: at }] : []
    }),
  )
}
