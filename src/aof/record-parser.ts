// Records out of a batch's body: RESP arrays of bulk strings, handed on as offsets, without copies.

/** Who takes what is read from a log. Structural, so that an engine's `replay` fits without the log knowing it. */
export interface RecordSink {
  /** One record: argument i is bytes[start[i] .. end[i]). Valid only during the call. */
  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void
  /** Before the records of a batch: the engine's instant when it was written. */
  batch?(timeMs: number): void
  /** A seal: the state after record `lsn` had this digest ('-': none was taken). */
  seal?(digest: string, lsn: number): void
}

const CR = 13
const LF = 10
const MALFORMED = -1

export class RecordParser {
  #start = new Int32Array(64)
  #end = new Int32Array(64)
  #at = 0

  /**
   * Hands on every record of bytes[from..to).
   * @returns how many there were; -1 if these bytes are not whole records (those before the damage were handed on).
   */
  parse(bytes: Uint8Array, from: number, to: number, firstLsn: number, sink: RecordSink): number {
    let records = 0
    this.#at = from
    while (this.#at < to) {
      const argc = this.#length(bytes, 42, to)
      if (argc < 1) return MALFORMED
      if (argc > this.#start.length) {
        // Each argument takes five bytes at least, so a huge count is damage and not a reason to take memory.
        if (argc > (to - this.#at) / 5) return MALFORMED
        this.#start = new Int32Array(argc)
        this.#end = new Int32Array(argc)
      }
      const start = this.#start
      const end = this.#end
      for (let i = 0; i < argc; i++) {
        const length = this.#length(bytes, 36, to)
        const at = this.#at
        const stop = at + length
        if (length < 0 || stop + 2 > to || bytes[stop] !== CR || bytes[stop + 1] !== LF) return MALFORMED
        start[i] = at
        end[i] = stop
        this.#at = stop + 2
      }
      sink.record(bytes, argc, start, end, firstLsn + records)
      records++
    }
    return records
  }

  /** Reads `<mark><digits>\r\n` and moves behind it; -1 if that is not what stands there. */
  #length(bytes: Uint8Array, mark: number, to: number): number {
    let at = this.#at
    if (at + 4 > to || bytes[at] !== mark) return MALFORMED
    let n = bytes[++at] - 48
    if (n < 0 || n > 9) return MALFORMED
    for (;;) {
      const digit = bytes[++at] - 48
      if (digit < 0 || digit > 9) break
      n = n * 10 + digit
      if (n > 0x7fffffff) return MALFORMED
    }
    if (at + 2 > to || bytes[at] !== CR || bytes[at + 1] !== LF) return MALFORMED
    this.#at = at + 2
    return n
  }
}
