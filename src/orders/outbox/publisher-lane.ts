// A reader of the log with its place in what it has read. The publisher has one in front, and sometimes one for the parts that are behind.

import type { OutboxEvent } from '../../engine/events/event.ts'
import type { EventReader, EventSource } from './event-source.ts'

const BATCH = 512
const NOTHING: readonly OutboxEvent[] = []

export class Lane {
  readonly #source: EventSource
  #reader: EventReader
  #batch = NOTHING
  #at = 0

  constructor(source: EventSource, lsn: number) {
    this.#source = source
    this.#reader = source.reader(lsn)
  }

  /** Another lane from here gives everything that this one has not given. */
  get lsn(): number {
    return this.#at < this.#batch.length ? this.#batch[this.#at].lsn : this.#reader.lsn
  }

  /** Null: nothing more for now. */
  peek(): OutboxEvent | null {
    if (this.#at === this.#batch.length) {
      this.#batch = this.#reader.next(BATCH)
      this.#at = 0
      if (this.#batch.length === 0) return null
    }
    return this.#batch[this.#at]
  }

  /** What `peek` gave is done with. */
  take(): void {
    this.#at++
  }

  /** Goes back to the first event of this record. It may be in the midst of that record, of which it has given some. */
  backTo(lsn: number): void {
    if (lsn > this.lsn) return
    this.#reader.close()
    this.#reader = this.#source.reader(lsn)
    this.#batch = NOTHING
    this.#at = 0
  }

  close(): void {
    this.#reader.close()
  }
}
