// How far the log is, from the node's thread to the outbox's: memory that both see. Telling it costs the node some hundred nanoseconds and no
// message; the other side sleeps until it is told.
//
// A number is two words. The low one is written first and read last: who reads in between sees less than there is, never more, and is
// woken right after.

const ACKED = 0
const DURABLE = 3
const WORDS = 6
/** Of each number: how often it was told (what a sleeper waits on), high word, low word. */
const HIGH = 1
const LOW = 2
const WORD = 2 ** 32

export class Progress {
  readonly #words: Int32Array<SharedArrayBuffer>

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.#words = new Int32Array(memory)
  }

  get memory(): SharedArrayBuffer {
    return this.#words.buffer
  }

  /** Records up to this LSN may be shown to clients. */
  get acked(): number {
    return this.#get(ACKED)
  }

  set acked(lsn: number) {
    this.#set(ACKED, lsn)
  }

  /** ... may leave the node. */
  get durable(): number {
    return this.#get(DURABLE)
  }

  set durable(lsn: number) {
    this.#set(DURABLE, lsn)
  }

  /** Resolves when `acked` is not this any more. */
  async ackedBeyond(lsn: number): Promise<void> {
    await this.#beyond(ACKED, lsn)
  }

  /** Resolves when `durable` is not this any more. */
  async durableBeyond(lsn: number): Promise<void> {
    await this.#beyond(DURABLE, lsn)
  }

  async #beyond(at: number, lsn: number): Promise<void> {
    for (;;) {
      const told = Atomics.load(this.#words, at)
      if (this.#get(at) !== lsn) return
      const wait = Atomics.waitAsync(this.#words, at, told)
      if (wait.async) await wait.value
    }
  }

  #get(at: number): number {
    const high = Atomics.load(this.#words, at + HIGH)
    return high * WORD + (Atomics.load(this.#words, at + LOW) >>> 0)
  }

  #set(at: number, lsn: number): void {
    Atomics.store(this.#words, at + LOW, lsn | 0)
    Atomics.store(this.#words, at + HIGH, Math.floor(lsn / WORD))
    Atomics.add(this.#words, at, 1)
    Atomics.notify(this.#words, at)
  }
}
