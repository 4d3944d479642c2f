// What the broker has delivered of one part and is not acked yet, in the order in which it came.
//
// What stays true: a delivery is acked only when it and all before it are done, because an ack means everything up to a tag. Batches may
// be taken out of that order, so that an event that waits for one before it does not stop another stream.

import type { Delivery, Message } from '../broker/broker.ts'

export interface Entry {
  readonly delivery: Delivery
  readonly message: Message
  /** `monotonic()` when it came. */
  readonly at: number
  /** Stored, or dropped for a reason: need not be looked at again. */
  isDone: boolean
}

/** Entries of one stream, ascending by pseq, each pseq once; `doubles` are further deliveries of the same events. */
export interface Pick {
  readonly stream: string
  readonly entries: readonly Entry[]
  readonly doubles: readonly Entry[]
}

export class Inbox {
  readonly #entries: { readonly delivery: Delivery; readonly message: Message | null; readonly at: number; isDone: boolean }[] = []
  #open = 0

  /** Deliveries that are not done, and may be taken. */
  get open(): number {
    return this.#open
  }

  /** All that the broker counts as unacked. */
  get unacked(): number {
    return this.#entries.length
  }

  /** The tag of the last one that came; null: there is none. */
  get lastTag(): number | null {
    return this.#entries.at(-1)?.delivery.tag ?? null
  }

  push(delivery: Delivery, at: number): void {
    this.#entries.push({ delivery, message: delivery.message, at, isDone: false })
    if (delivery.message !== null) this.#open++
  }

  /** The first open entries of a stream that is not in `except`: at most `max` of one stream. */
  pick(max: number, except: { has(stream: string): boolean }): Pick | null {
    let stream: string | null = null
    const byPseq = new Map<number, Entry>()
    const doubles: Entry[] = []
    for (const entry of this.#entries) {
      if (!isOpen(entry)) continue
      const { message } = entry
      if (stream === null) {
        if (except.has(message.stream)) continue
        stream = message.stream
      }
      if (message.stream !== stream) continue
      const same = byPseq.get(message.pseq)
      if (same === undefined) {
        if (byPseq.size === max) break
        byPseq.set(message.pseq, entry)
      } else if (same.message.body.equals(message.body)) doubles.push(entry)
      else break // Two histories under one name: the store must judge each against what it has.
    }
    if (stream === null) return null
    return { stream, entries: [...byPseq.values()].toSorted((a, b) => a.message.pseq - b.message.pseq), doubles }
  }

  /** The first open entry of a stream that is not in `except`. */
  first(except: { has(stream: string): boolean }): Entry | null {
    for (const entry of this.#entries) if (isOpen(entry) && !except.has(entry.message.stream)) return entry
    return null
  }

  /** Unix ms: when the first open event happened. */
  get oldestTime(): number | null {
    for (const entry of this.#entries) if (isOpen(entry)) return entry.message.time
    return null
  }

  has(tag: number): boolean {
    return this.#entries.some((entry) => entry.delivery.tag === tag)
  }

  done(entry: Entry): void {
    if (entry.isDone) return
    entry.isDone = true
    this.#open--
  }

  /** The envelope of this delivery could not be read, and a copy of it is safe. */
  doneUnreadable(tag: number): void {
    for (const entry of this.#entries) if (entry.delivery.tag === tag) entry.isDone = true
  }

  /** Takes out what is done with all before it. @returns the tag to ack up to; null: nothing new */
  settle(): number | null {
    let count = 0
    while (count < this.#entries.length && this.#entries[count].isDone) count++
    if (count === 0) return null
    const { tag } = this.#entries[count - 1].delivery
    this.#entries.splice(0, count)
    return tag
  }

  clear(): void {
    this.#entries.length = 0
    this.#open = 0
  }
}

function isOpen(entry: { readonly message: Message | null; readonly isDone: boolean }): entry is Entry {
  return !entry.isDone && entry.message !== null
}
