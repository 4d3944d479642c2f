// How far long work is: a bar that is drawn again and again on a terminal, else a line now and then. It goes to standard error, so that it
// never mixes with results; programs (--json) get none.

import { writeSync } from 'node:fs'
import { styleText } from 'node:util'

const BAR = 24
/** On a terminal the bar moves; in a file each line stays. */
const DRAW_MS = 100
const LINE_MS = 5000
const ERASE_LINE = '\r\u001b[K'

export interface ProgressOptions {
  readonly isSilent: boolean
  /** Where it goes: of standard error. */
  readonly isTerminal?: boolean
  readonly write?: (text: string) => void
  readonly monotonic?: () => number
}

export class Progress {
  readonly #isSilent: boolean
  readonly #isTerminal: boolean
  readonly #write: (text: string) => void
  readonly #monotonic: () => number
  #toldAt: number
  #isDrawn = false

  constructor({ isSilent, isTerminal, write, monotonic }: ProgressOptions) {
    this.#isSilent = isSilent
    this.#isTerminal = isTerminal ?? process.stderr.isTTY === true
    this.#write = write ?? writeError
    this.#monotonic = monotonic ?? (() => performance.now())
    this.#toldAt = this.#monotonic()
  }

  /** @param total null: nobody knows */
  show(what: string, done: number, total: number | null): void {
    if (this.#isSilent) return
    const now = this.#monotonic()
    if (now - this.#toldAt < (this.#isTerminal ? DRAW_MS : LINE_MS)) return
    this.#toldAt = now
    const count = done.toLocaleString('en')
    const share = total === null ? null : total === 0 ? 1 : Math.min(1, done / total)
    const text =
      share === null || total === null
        ? `${what}: ${count}`
        : `${what}: ${this.#isTerminal ? bar(share) : ''}${Math.floor(share * 100)} % (${count} of ${total.toLocaleString('en')})`
    this.#write(this.#isTerminal ? `${ERASE_LINE}${text}` : `${text}\n`)
    this.#isDrawn = this.#isTerminal
  }

  /** Before anything else is written, and at the end: the bar is gone, as if it had never been. */
  clear(): void {
    if (this.#isDrawn) this.#write(ERASE_LINE)
    this.#isDrawn = false
  }
}

function bar(share: number): string {
  const full = Math.round(share * BAR)
  return `${styleText('cyan', '█'.repeat(full), { stream: process.stderr })}${styleText('dim', '░'.repeat(BAR - full), { stream: process.stderr })} `
}

/** Nobody has to read it. */
function writeError(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // There is nowhere to say so.
  }
}
