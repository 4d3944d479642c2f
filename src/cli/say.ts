// What a process tells about itself: lines for people, or JSON for programs (pino), to standard output or a file.
//
// One event is one line, whatever a client has put into it: control characters, escapes and line separators are written as escapes.

import { openSync, writeSync } from 'node:fs'
import { pino } from 'pino'
import { StockdError } from '../base/error.ts'
import type { Level, Say } from '../server/env.ts'

const RANKS: Readonly<Record<Level, number>> = { debug: 0, verbose: 1, notice: 2, warning: 3 }
/** The words that programs know. */
const PINO_LEVELS = { debug: 'trace', verbose: 'debug', notice: 'info', warning: 'warn' } as const
const VALUE_BYTES_MAX = 256

export interface SayOptions {
  readonly format: 'text' | 'json'
  /** '': standard output. */
  readonly file: string
  /** Asked for every line: it may change while the process runs. */
  readonly level: () => Level
}

export function makeSay({ format, file, level }: SayOptions): Say {
  const fd = file === '' ? 1 : open(file)
  if (format === 'json') {
    const logger = pino({ level: 'trace', base: { pid: process.pid } }, pino.destination({ fd, sync: true }))
    return (at, message, fields = {}) => {
      if (RANKS[at] >= RANKS[level()]) logger[PINO_LEVELS[at]](safe(fields), escaped(message))
    }
  }
  return (at, message, fields = {}) => {
    if (RANKS[at] < RANKS[level()]) return
    const facts = Object.entries(safe(fields)).map(([name, value]) => ` ${name}=${value}`)
    const mark = at === 'warning' ? 'WARNING ' : ''
    write(fd, `${new Date().toISOString()} ${mark}${escaped(message)}${facts.join('')}\n`)
  }
}

/** A pipe that nobody reads must not end the node, nor a full disk. */
function write(fd: number, line: string): void {
  try {
    writeSync(fd, line)
  } catch {
    // There is nowhere to say so.
  }
}

function open(file: string): number {
  try {
    return openSync(file, 'a', 0o640)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StockdError('BAD_OPTION', `logfile ${JSON.stringify(file)} cannot be opened (${code})`, { cause: error })
  }
}

type Fields = Readonly<Record<string, string | number | boolean>>

/** Texts cut, and escaped in JSON too: a program's terminal shows what JSON lets through. */
function safe(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? shown(value) : value]))
}

function shown(text: string): string {
  return escaped(text.length > VALUE_BYTES_MAX ? `${text.slice(0, VALUE_BYTES_MAX)}...` : text)
}

/** C0, DEL, C1, and the two Unicode line separators. */
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

function escaped(text: string): string {
  return text.replace(UNSAFE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
