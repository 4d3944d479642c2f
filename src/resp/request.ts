// One request in place: argument i is bytes[start[i] .. end[i]). Nothing is copied, nothing becomes a string.
//
// The bytes belong to the connection's input buffer and are overwritten after the command has run: what is kept is copied.

const ARGUMENTS_AT_FIRST = 64
/** Up to here joining characters is faster than a Buffer over the bytes. */
const SHORT_TEXT = 24

export class Request {
  bytes: Uint8Array = new Uint8Array(0)
  /** Number of arguments, the command's name included. */
  argc = 0
  start = new Int32Array(ARGUMENTS_AT_FIRST)
  end = new Int32Array(ARGUMENTS_AT_FIRST)

  /** Makes room for `argc` arguments; what is there stays. */
  reserve(argc: number): void {
    if (argc <= this.start.length) return
    const size = Math.max(argc, this.start.length * 2)
    const start = new Int32Array(size)
    const end = new Int32Array(size)
    start.set(this.start)
    end.set(this.end)
    this.start = start
    this.end = end
  }

  length(i: number): number {
    return this.end[i] - this.start[i]
  }

  /** A copy of it all, for who needs it later. */
  clone(): Request {
    const copy = new Request()
    copy.reserve(this.argc)
    copy.argc = this.argc
    const first = this.start[0]
    copy.bytes = Buffer.from(this.bytes.subarray(first, this.end[this.argc - 1]))
    for (let i = 0; i < this.argc; i++) {
      copy.start[i] = this.start[i] - first
      copy.end[i] = this.end[i] - first
    }
    return copy
  }

  /** A copy of argument i. */
  copy(i: number): Buffer {
    return Buffer.from(this.bytes.subarray(this.start[i], this.end[i]))
  }

  /** Argument i as text, one character per byte. For messages and cold commands. */
  latin1(i: number): string {
    const start = this.start[i]
    const end = this.end[i]
    if (end - start > SHORT_TEXT) return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString('latin1')
    let text = ''
    for (let p = start; p < end; p++) text += String.fromCharCode(this.bytes[p])
    return text
  }

  /** Argument i as C's `%.*s` prints it, one character per byte: up to its first NUL, at most `limit` bytes. */
  untilNul(i: number, limit = Infinity): string {
    const start = this.start[i]
    const end = Math.min(this.end[i], start + limit)
    let p = start
    while (p < end && this.bytes[p] !== 0) p++
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, p - start).toString('latin1')
  }

  /** True if argument i is this word, whatever its case. `upper` is upper-case ASCII. */
  is(i: number, upper: string): boolean {
    const start = this.start[i]
    if (this.end[i] - start !== upper.length) return false
    for (let k = 0; k < upper.length; k++) {
      let c = this.bytes[start + k]
      if (c >= 97 && c <= 122) c -= 32
      if (c !== upper.charCodeAt(k)) return false
    }
    return true
  }

  /** Fills this request from values: for tests, replay by hand and cold paths. Strings are UTF-8. */
  set(args: readonly (string | Uint8Array | number | bigint)[]): this {
    const parts = args.map((a) => (a instanceof Uint8Array ? a : Buffer.from(String(a))))
    this.reserve(parts.length)
    let at = 0
    parts.forEach((part, i) => {
      this.start[i] = at
      at += part.length
      this.end[i] = at
    })
    this.bytes = Buffer.concat(parts)
    this.argc = parts.length
    return this
  }
}
