// A scenario script: what a shop does above `----`, what it hears below.
//
//   # Why this story is told.
//   STOCK.CREATE book 2
//   STOCK.RESERVE {ann}1 ITEMS book 1
//   advance 900s
//   STOCK.ORDER {ann}1 | state updated
//   ----
//   1
//   OK t+900s 1 1 ""
//   state=EXPIRED updated=t+900s
//
// Commands are words as in redis-cli (quotes, \x..). A blank line ends the answers; more commands may follow, on the same node. Instants are
// `t+900s` after the start, in commands and in answers. `| field ...` picks fields of a map. An answer that ends in ` ...` is only
// the beginning. Stage directions have no answer:
//
//   advance 900s      time goes on (ms, s, m, h, d)
//   restart [60s]     the node goes down, is away so long, and comes back from its records (or from a snapshot: each script is
//                     played both ways)
//   memory full|free, outbox full|free
//   protocol 2|3, database n

import { type ReplyValue, show } from '../model/reply-value.ts'

/** What a script is played on: the real engine, or the model. */
export interface Stage {
  execute(args: readonly string[], now: number, protocol: 2 | 3, database: number): ReplyValue
  advance(now: number): void
  /** Stops and starts again at `now`, from the log of all records or from a snapshot. */
  restart(now: number, from: 'log' | 'snapshot'): void
  full(what: string, isFull: boolean): void
}

interface Scene {
  readonly commands: readonly string[]
  readonly answers: readonly string[]
}

export interface Script {
  readonly why: string
  readonly scenes: readonly Scene[]
}

/** t+0. Far enough from 0 that an absent instant cannot be mistaken for one. */
export const START = 1_700_000_000_000

export function parseScript(source: string): Script {
  const why: string[] = []
  const scenes: { commands: string[]; answers: string[] }[] = []
  let scene = { commands: [] as string[], answers: [] as string[] }
  let answering = false
  for (const line of source.split('\n')) {
    if (answering) {
      if (line.trim() !== '') scene.answers.push(line)
      else {
        scene = { commands: [], answers: [] }
        answering = false
      }
    } else if (line === '----') {
      scenes.push(scene)
      answering = true
    } else if (line.startsWith('#')) {
      if (scenes.length === 0 && scene.commands.length === 0) why.push(line.slice(1).trim())
    } else if (line.trim() !== '') scene.commands.push(line)
  }
  if (scene.commands.length > 0 && !answering) throw new Error(`commands without answers: ${scene.commands[0]}`)
  return { why: why.join(' '), scenes }
}

export interface Line {
  readonly command: string
  readonly expected: string
  readonly heard: string
  readonly agrees: boolean
}

/** Plays a whole script; every answer in turn, with what was expected. */
export function play(script: Script, stage: Stage, from: 'log' | 'snapshot' = 'log'): Line[] {
  const lines: Line[] = []
  let now = START
  let protocol: 2 | 3 = 3
  let database = 0
  for (const scene of script.scenes) {
    const answers = [...scene.answers]
    for (const command of scene.commands) {
      const [text, fields] = command.split(' | ')
      const words = splitWords(text)
      switch (words[0]) {
        case 'advance':
          now += milliseconds(words[1])
          stage.advance(now)
          continue
        case 'restart':
          now += milliseconds(words[1] ?? '0s')
          stage.restart(now, from)
          continue
        case 'memory':
        case 'outbox':
          stage.full(words[0], words[1] === 'full')
          continue
        case 'protocol':
          protocol = words[1] === '2' ? 2 : 3
          continue
        case 'database':
          database = Number(words[1])
          continue
        default: {
          const reply = stage.execute(words.map(absolute), now, protocol, database)
          const heard = relative(show(fields === undefined ? reply : pick(reply, fields.trim().split(' '))))
          const expected = answers.shift() ?? '(no answer written)'
          lines.push({ command, expected, heard, agrees: agrees(expected, heard) })
        }
      }
    }
    for (const expected of answers) lines.push({ command: '(none)', expected, heard: '', agrees: false })
  }
  return lines
}

function agrees(expected: string, heard: string): boolean {
  return expected.endsWith(' ...') ? heard.startsWith(expected.slice(0, -4)) : expected === heard
}

function pick(reply: ReplyValue, fields: readonly string[]): ReplyValue {
  if (typeof reply !== 'object' || reply === null || !('pairs' in reply)) return reply
  const found = new Map(reply.pairs)
  return { pairs: fields.map((field) => [field, found.has(field) ? found.get(field)! : { simple: '(absent)' }]) }
}

const UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

function milliseconds(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  const factor = UNITS.get(unit)
  if (factor === undefined) throw new Error(`not a duration: ${text}`)
  return Number(amount) * factor
}

/** `t+60s` in a command is that instant. */
function absolute(word: string): string {
  return /^t\+[0-9.]+(ms|s|m|h|d)$/.test(word) ? String(START + milliseconds(word.slice(2))) : word
}

/** Instants of the story as `t+60s`. */
function relative(text: string): string {
  return text.replaceAll(/\b\d{13}\b/g, (digits) => {
    const ms = Number(digits) - START
    return ms < 0 || ms > 1e10 ? digits : `t+${ms / 1000}s`
  })
}

/** Words as redis-cli splits them; the answer's characters are bytes. */
export function splitWords(line: string): string[] {
  const words: string[] = []
  const bytes = Buffer.from(line, 'utf8').toString('latin1')
  let at = 0
  while (at < bytes.length) {
    while (bytes[at] === ' ') at++
    if (at >= bytes.length) break
    const quote = bytes[at] === '"' || bytes[at] === "'" ? bytes[at++] : ''
    let word = ''
    while (at < bytes.length && (quote === '' ? bytes[at] !== ' ' : bytes[at] !== quote)) {
      if (quote === '"' && bytes[at] === '\\') {
        const hex = /^\\x([0-9a-fA-F]{2})/.exec(bytes.slice(at, at + 4))
        word += hex ? String.fromCharCode(parseInt(hex[1], 16)) : bytes[at + 1].replace('n', '\n').replace('r', '\r').replace('t', '\t')
        at += hex ? 4 : 2
      } else word += bytes[at++]
    }
    if (quote !== '') at++
    words.push(word)
  }
  return words
}
