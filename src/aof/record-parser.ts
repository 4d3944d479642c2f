// Records out of a batch's body: RESP arrays of bulk strings, handed on as offsets, without copies.

/** Who takes what is read from a log. Structural, so that an engine's `replay` fits without the log knowing it. */
export interface RecordSink {
  /** One record: argument i is bytes[start[i] .. end[i]). Valid only during the call. */
  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void
  /** Before what is in a file: the records of a base are numbered by themselves, those of a segment have their LSNs. */
  file?(name: string, isBase: boolean): void
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
      if (!this.#one(bytes, to, firstLsn + records, sink)) return MALFORMED
      records++
    }
    return records
  }

  /** Hands on the record at `from`; @returns the position behind it, or -1 if there is no whole record. */
  first(bytes: Uint8Array, from: number, to: number, sink: RecordSink): number {
    this.#at = from
    return this.#one(bytes, to, 0, sink) ? this.#at : MALFORMED
  }

  #one(bytes: Uint8Array, to: number, lsn: number, sink: RecordSink): boolean {
    const argc = this.#length(bytes, 42, to)
    if (argc < 1) return false
    if (argc > this.#start.length) {
      // Each argument takes six bytes at least, so a huge count is damage and not a reason to take memory.
      if (argc > (to - this.#at) / 6) return false
      this.#start = new Int32Array(argc)
      this.#end = new Int32Array(argc)
    }
    const start = this.#start
    const end = this.#end
    for (let i = 0; i < argc; i++) {
      const length = this.#length(bytes, 36, to)
      const at = this.#at
      const stop = at + length
      if (length < 0 || stop + 2 > to || bytes[stop] !== CR || bytes[stop + 1] !== LF) return false
      start[i] = at
      end[i] = stop
      this.#at = stop + 2
    }
    sink.record(bytes, argc, start, end, lsn)
    return true
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
