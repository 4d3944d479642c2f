// MONITOR: sessions that are shown every command that runs, as a line each, in redis-server's form.
//
//   +1700000000.123456 [0 127.0.0.1:50314] "set" "key" "\x00value"
//
// A line says the database that was selected after the command, and leaves behind the reply of whoever sent it. Secrets are hidden
// (secrets.ts). A monitor that does not read is closed by the output limits, as anybody.

import type { Clock } from '../base/clock.ts'
import type { Request } from '../resp/request.ts'
import { HIDDEN, secretsOf } from './secrets.ts'
import type { Session } from './session.ts'

/** How each byte is written. */
const SHOWN: readonly Buffer[] = Array.from({ length: 256 }, (_, byte) => Buffer.from(shown(byte), 'latin1'))
const SPACE = 32
const QUOTE = 34

export class Monitors {
  readonly #sessions = new Set<Session>()
  readonly #clock: Clock
  readonly #push: (session: Session, line: Buffer) => void
  /** Tells whether there is anybody. */
  readonly #onAny: (isAny: boolean) => void
  /** Unix microseconds of the clock's zero. */
  #origin = 0

  constructor({ clock, push, onAny }: { clock: Clock; push: (session: Session, line: Buffer) => void; onAny: (isAny: boolean) => void }) {
    this.#clock = clock
    this.#push = push
    this.#onAny = onAny
  }

  get isAny(): boolean {
    return this.#sessions.size > 0
  }

  add(session: Session): void {
    if (this.#sessions.size === 0) this.#origin = this.#clock.now() * 1000 - this.#clock.micros()
    this.#sessions.add(session)
    session.monitoring = { end: () => this.#remove(session) }
    this.#onAny(true)
  }

  /** Shows a request that this session has sent. */
  show(from: Session, request: Request): void {
    let line: Buffer | null = null
    for (const session of this.#sessions) {
      if (session.replyMode === 'off' || session.replyMode === 'skip') continue
      this.#push(session, (line ??= this.#line(from, request)))
    }
  }

  #remove(session: Session): void {
    session.monitoring = null
    this.#sessions.delete(session)
    this.#onAny(this.isAny)
  }

  #line(from: Session, request: Request): Buffer {
    const micros = Math.floor(this.#origin + this.#clock.micros())
    const time = `${Math.floor(micros / 1_000_000)}.${String(micros % 1_000_000).padStart(6, '0')}`
    const head = `+${time} [${from.database} ${from.addr}]`
    const hidden = secretsOf(request)
    const isHidden = (i: number): boolean => hidden !== null && hidden.has(i)
    let length = head.length + 2
    for (let i = 0; i < request.argc; i++) length += 3 + (isHidden(i) ? HIDDEN.length : lengthOf(request, i))
    const line = Buffer.allocUnsafe(length)
    let at = line.write(head, 'latin1')
    for (let i = 0; i < request.argc; i++) {
      line[at++] = SPACE
      line[at++] = QUOTE
      at = isHidden(i) ? at + line.write(HIDDEN, at, 'latin1') : write(line, at, request, i)
      line[at++] = QUOTE
    }
    line.write('\r\n', at, 'latin1')
    return line
  }
}

function lengthOf({ bytes, start, end }: Request, i: number): number {
  let length = 0
  for (let p = start[i]; p < end[i]; p++) length += SHOWN[bytes[p]].length
  return length
}

function write(line: Buffer, at: number, { bytes, start, end }: Request, i: number): number {
  for (let p = start[i]; p < end[i]; p++) {
    const text = SHOWN[bytes[p]]
    for (let k = 0; k < text.length; k++) line[at++] = text[k]
  }
  return at
}

function shown(byte: number): string {
  const char = String.fromCharCode(byte)
  const escape = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\x07': '\\a', '\b': '\\b' }[char]
  if (escape !== undefined) return escape
  return byte >= 32 && byte < 127 ? char : `\\x${byte.toString(16).padStart(2, '0')}`
}
