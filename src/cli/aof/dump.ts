// stockd-aof dump: the records as lines. Prints what is readable even if the log is damaged further on.

import type { RecordSink } from '../../aof/record-parser.ts'
import type { Console } from '../console.ts'
import { EXIT_OK } from './exit-codes.ts'
import { latin1, quoted } from './record-text.ts'
import { readAll } from './replay.ts'

export interface DumpOptions {
  readonly from: number
  readonly to: number
  /** Only records with an argument that is exactly one of these. Empty: all. */
  readonly words: readonly string[]
  /** Shows the base too; its records have no LSNs of their own. */
  readonly base: boolean
}

export function dump(directory: string, options: DumpOptions, out: Console): number {
  readAll(directory, new DumpSink(options, out), out)
  return EXIT_OK
}

class DumpSink implements RecordSink {
  readonly #options: DumpOptions
  readonly #out: Console
  #isBase = false
  #at = ''

  constructor(options: DumpOptions, out: Console) {
    this.#options = options
    this.#out = out
  }

  file(_name: string, isBase: boolean): void {
    this.#isBase = isBase
  }

  batch(timeMs: number): void {
    this.#at = new Date(timeMs).toISOString()
  }

  record(bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array, lsn: number): void {
    const { from, to, words, base } = this.#options
    if (this.#isBase ? !base : lsn < from || lsn > to) return
    if (words.length > 0 && !this.#has(words, bytes, argc, start, end)) return
    const place = this.#isBase ? 'base' : String(lsn)
    if (this.#out.isJson) {
      const record = Array.from({ length: argc }, (_, i) => latin1(bytes, start[i], end[i]))
      this.#out.line(JSON.stringify({ lsn: this.#isBase ? null : lsn, at: this.#at, record }))
      return
    }
    let text = `${place} ${this.#at} ${latin1(bytes, start[0], end[0])}`
    for (let i = 1; i < argc; i++) text += ` ${quoted(bytes, start[i], end[i])}`
    this.#out.line(text)
  }

  #has(words: readonly string[], bytes: Uint8Array, argc: number, start: Int32Array, end: Int32Array): boolean {
    for (let i = 1; i < argc; i++) if (words.includes(latin1(bytes, start[i], end[i]))) return true
    return false
  }
}
