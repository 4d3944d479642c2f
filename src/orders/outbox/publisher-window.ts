// What is on its way to the broker and not acked yet: a ring by the channel's tags, in which the messages of each part are a chain.
//
// What stays true: `acked[part]` is the highest pseq up to which everything of this part is acked. Acks may come in any order; within a
// part only an unbroken beginning counts.
//
// When a part is published again its messages here are disowned: they still count as unacked (the broker has them), but their ack says
// nothing about the part any more, because others of the same number follow.

import { assert } from '../../base/assert.ts'
import { PARTS } from '../../engine/outbox.ts'

/** Tags from the lowest unacked on. A power of two; one slow message does not hold up the others before that. */
const SPAN = 16_384
const DISOWNED = -1

export class Window {
  /** By part. */
  readonly acked: Float64Array
  /** Messages that the broker has not answered. */
  unacked = 0
  /** ... by part, without the disowned ones. */
  readonly unackedOf = new Int32Array(PARTS)
  readonly #part = new Int8Array(SPAN)
  readonly #pseq = new Float64Array(SPAN)
  readonly #lsn = new Float64Array(SPAN)
  /** The tag of the part's next message; 0: there is none. */
  readonly #following = new Float64Array(SPAN)
  readonly #isSettled = new Uint8Array(SPAN)
  readonly #head = new Float64Array(PARTS)
  readonly #tail = new Float64Array(PARTS)
  #lowest = 1
  #next = 1

  constructor(acked: readonly number[]) {
    this.acked = Float64Array.from(acked)
  }

  get hasRoom(): boolean {
    return this.#next - this.#lowest < SPAN
  }

  add(tag: number, part: number, pseq: number, lsn: number): void {
    assert(tag === this.#next && this.hasRoom, 'the tags of a channel ascend by one')
    const slot = tag % SPAN
    this.#part[slot] = part
    this.#pseq[slot] = pseq
    this.#lsn[slot] = lsn
    this.#following[slot] = 0
    this.#isSettled[slot] = 0
    if (this.#head[part] === 0) this.#head[part] = tag
    else this.#following[this.#tail[part] % SPAN] = tag
    this.#tail[part] = tag
    this.#next++
    this.unacked++
    this.unackedOf[part]++
  }

  /** @returns how many messages this answers */
  ack(tag: number, multiple: boolean): number {
    if (tag >= this.#next) return 0
    const before = this.unacked
    for (let at = multiple ? this.#lowest : tag; at <= tag; at++) this.#settle(at)
    this.#trim()
    return before - this.unacked
  }

  /** @returns the parts whose messages these tags are, as bits. They are to be disowned before `ack` settles the tags. */
  partsOf(tag: number, multiple: boolean): number {
    let parts = 0
    for (let at = multiple ? this.#lowest : tag; at <= tag && at < this.#next; at++) {
      const part = this.#part[at % SPAN]
      if (at >= this.#lowest && this.#isSettled[at % SPAN] === 0 && part !== DISOWNED) parts |= 1 << part
    }
    return parts
  }

  /** The LSN of the part's first message that is not acked; Infinity if there is none. */
  firstLsn(part: number): number {
    const head = this.#head[part]
    return head === 0 ? Infinity : this.#lsn[head % SPAN]
  }

  disown(part: number): void {
    for (let tag = this.#head[part]; tag !== 0; tag = this.#following[tag % SPAN]) this.#part[tag % SPAN] = DISOWNED
    this.#head[part] = 0
    this.#tail[part] = 0
    this.unackedOf[part] = 0
  }

  /** The channel is gone: its tags mean nothing any more. */
  clear(): void {
    this.#head.fill(0)
    this.#tail.fill(0)
    this.unackedOf.fill(0)
    this.unacked = 0
    this.#lowest = 1
    this.#next = 1
  }

  #settle(tag: number): void {
    const slot = tag % SPAN
    if (tag < this.#lowest || this.#isSettled[slot] !== 0) return
    this.#isSettled[slot] = 1
    this.unacked--
    const part = this.#part[slot]
    if (part === DISOWNED) return
    this.unackedOf[part]--
    if (this.#head[part] !== tag) return
    let at = tag
    while (at !== 0 && this.#isSettled[at % SPAN] !== 0) {
      const pseq = this.#pseq[at % SPAN]
      if (pseq > this.acked[part]) this.acked[part] = pseq
      at = this.#following[at % SPAN]
    }
    this.#head[part] = at
    if (at === 0) this.#tail[part] = 0
  }

  #trim(): void {
    while (this.#lowest < this.#next && this.#isSettled[this.#lowest % SPAN] !== 0) this.#lowest++
  }
}
