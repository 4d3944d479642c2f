// What a tool says: results to standard output (text, or one JSON object), progress and errors to standard error.

import { writeSync } from 'node:fs'

const PROGRESS_MS = 1000
/** The result was nowhere to be put, a full disk. The tools' code for work that could not be done. */
const EXIT_UNHEARD = 4

export class Console {
  readonly isJson: boolean
  readonly #tool: string
  #shownAt = performance.now()

  /** @param tool its name, which error lines begin with */
  constructor(tool: string, isJson: boolean) {
    this.#tool = tool
    this.isJson = isJson
  }

  /** The result: `text` for people, `json` for programs. */
  result(text: string, json: object): void {
    this.line(this.isJson ? JSON.stringify(json) : text)
  }

  line(text: string): void {
    try {
      writeAll(1, `${text}\n`)
    } catch (error) {
      this.error(`standard output cannot be written: ${(error as Error).message}`)
      process.exit(EXIT_UNHEARD)
    }
  }

  note(text: string): void {
    if (!this.isJson) writeAll(2, `${text}\n`)
  }

  error(text: string): void {
    writeAll(2, `${this.#tool}: ${text.replaceAll(/[\r\n]+/g, ' ')}\n`)
  }

  /** Bytes; shown once a second, on work that takes longer. */
  progress(what: string, done: number, total: number): void {
    this.advance(what, done, { total, amount: `${Math.ceil(total / 1048576)} MiB` })
  }

  /** ... or anything that can be counted. */
  advance(what: string, done: number, { total, amount }: { readonly total: number; readonly amount: string }): void {
    const now = performance.now()
    if (now - this.#shownAt < PROGRESS_MS) return
    this.#shownAt = now
    const percent = total === 0 ? 100 : Math.min(100, Math.floor((100 * done) / total))
    this.note(`${what}: ${percent} % of ${amount}`)
  }
}

/** A pipe takes what it has room for; the rest is offered again. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8')
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0)
      if (code !== 'EAGAIN') throw error
    }
  }
}
