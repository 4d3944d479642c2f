// Plays one story on two stages, the model and the one under test, and tells where they differ first.

import { Random } from '../../src/base/random.ts'
import type { Stage } from '../scenario/script.ts'
import { BUYERS, RandomShop, SHOP_TIMES, SKUS, type Step } from './random-shop.ts'
import { decode, encode, isError, quoted, type ReplyValue, show } from './reply-value.ts'
import { StockModel } from './stock-model.ts'

/** A stage that can be looked into. */
export interface Subject extends Stage {
  /** What `execute` answers, as latin1 of its bytes. */
  answer(args: readonly string[], now: number, protocol: 2 | 3, database: number): string
  /** Names and versions of what happened since the last call, in the model's words. */
  events(): string[]
  /** What is wrong inside, whatever the model says; '' if nothing. */
  breach(): string
}

export type MakeSubject = (times: typeof SHOP_TIMES) => Subject
/** How often each answer of each command was heard. */
export type Heard = Map<string, number>

export const STORY_START = 1_700_000_000_000

/** A story from a seed; it stops at the first difference. */
export function tell(seed: number, length: number, make: MakeSubject, heard: Heard): { steps: Step[]; difference: string } {
  const duel = new Duel(make, heard)
  const shop = new RandomShop(new Random(seed), duel.model)
  const steps: Step[] = []
  for (let i = 0; i < length; i++) {
    const step = shop.next()
    steps.push(step)
    const difference = duel.play(step, i === length - 1)
    if (difference !== '') return { steps, difference }
  }
  return { steps, difference: '' }
}

/** The same story again; '' if nothing differs. */
export function retell(steps: readonly Step[], make: MakeSubject, times = SHOP_TIMES): string {
  const duel = new Duel(make, new Map(), times)
  for (const [i, step] of steps.entries()) {
    const difference = duel.play(step, i === steps.length - 1)
    if (difference !== '') return difference
  }
  return ''
}

/** The shortest story found that still shows a difference: ever smaller pieces are left out. */
export function shrink(steps: readonly Step[], make: MakeSubject): Step[] {
  let kept = [...steps]
  for (let size = kept.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < kept.length;) {
      const without = kept.toSpliced(at, size)
      if (without.length > 0 && retell(without, make) !== '') kept = without
      else at += size
    }
    if (size === 1 && kept.length < steps.length) {
      const before = kept.length
      for (let at = kept.length - 1; at >= 0; at--) {
        const without = kept.toSpliced(at, 1)
        if (without.length > 0 && retell(without, make) !== '') kept = without
      }
      if (kept.length < before) size = 2
    }
  }
  return kept
}

export function showStep(step: Step): string {
  switch (step.kind) {
    case 'do':
      return step.args.map(quoted).join(' ')
    case 'wait':
      return `advance ${step.ms}ms`
    case 'restart':
      return `restart ${step.ms}ms from ${step.from}`
    case 'full':
      return `${step.what} ${step.isFull ? 'full' : 'free'}`
  }
}

class Duel {
  readonly model: StockModel
  readonly #subject: Subject
  readonly #heard: Heard
  #now = STORY_START
  #made = ''
  #lastMade = ''
  #steps = 0

  constructor(make: MakeSubject, heard: Heard, times = SHOP_TIMES) {
    this.model = new StockModel(times)
    this.#subject = make(times)
    this.#heard = heard
    this.model.makeId = () => this.#made
    this.model.advance(this.#now)
    this.#subject.advance(this.#now)
  }

  /** @returns the difference, or '' */
  play(step: Step, isLast: boolean): string {
    try {
      return this.#step(step) || this.#inspect(step, isLast || step.kind === 'restart')
    } catch (thrown) {
      return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    }
  }

  #step(step: Step): string {
    switch (step.kind) {
      case 'wait':
        this.#now += step.ms
        this.model.advance(this.#now)
        this.#subject.advance(this.#now)
        return ''
      case 'restart':
        this.#now += step.ms
        this.model.restart(this.#now)
        this.#subject.restart(this.#now, step.from)
        return ''
      case 'full':
        if (step.what === 'memory') this.model.outOfMemory = step.isFull
        else this.model.backlogFull = step.isFull
        this.#subject.full(step.what, step.isFull)
        return ''
      case 'do':
        return this.#both(step.args, step.protocol, true)
    }
  }

  #both(args: readonly string[], protocol: 2 | 3, counts: boolean): string {
    const from = counts ? this.#stateOf(args) : ''
    const heard = this.#subject.answer(args, this.#now, protocol, 0)
    if (/\}\*$/.test(unwrapped(args)[1] ?? '')) {
      const lost = this.#learnId(decode(heard))
      if (lost !== '') return lost
    }
    const expected = this.model.execute(args, this.#now)
    if (counts) this.#count(args, from, expected)
    if (agree(expected, heard, protocol)) return ''
    return `${args.map(quoted).join(' ')}\n  model:  ${show(expected)}\n  engine: ${show(decode(heard))}`
  }

  /** What the engine made of `{buyer}*`, for the model to take over: a new name each time, greater than those before. */
  #learnId(heard: ReplyValue): string {
    if (!Array.isArray(heard) || show(heard[0] as ReplyValue) !== 'OK') return ''
    const detail = heard[4] as { bulk: string }
    const made = detail.bulk.slice(detail.bulk.indexOf('}') + 1)
    if (made <= this.#lastMade) return `the id ${quoted(detail.bulk)} does not follow ${this.#lastMade}`
    this.#lastMade = made
    this.#made = detail.bulk
    return ''
  }

  /** Everything that can be read must be the same, and nothing be wrong inside. */
  #inspect(step: Step, wholly: boolean): string {
    const reads: string[][] = SKUS.map((sku) => ['STOCK.INFO', sku])
    if (step.kind === 'do' && /^stock\.(reserve|confirm|release|extend|return)$/i.test(step.args[0]))
      reads.push(['STOCK.ORDER', step.args[1]])
    if (wholly) {
      for (const id of this.model.orders.keys()) reads.push(['STOCK.ORDER', id])
    }
    for (const read of reads) {
      const difference = this.#both(read, 3, false)
      if (difference !== '') return `after ${showStep(step)}: ${difference}`
    }
    const lost = wholly ? this.#walkAll() : ''
    if (lost !== '') return `after ${showStep(step)}: ${lost}`
    const expected = this.model.events.splice(0).map(({ type, name, version, time }) => `${type} ${quoted(name)} v${version} at ${time}`)
    const heard = this.#subject.events()
    if (expected.join('\n') !== heard.join('\n'))
      return `events after ${showStep(step)}:\n  model:  ${expected.join(', ')}\n  engine: ${heard.join(', ')}`
    const breach = this.model.breach()
    if (breach !== '') return `model: ${breach}`
    // The engine's own recount looks at everything: now and then is enough.
    return wholly || ++this.#steps % 8 === 0 ? this.#subject.breach() : ''
  }

  /** Lists read in small pages are the lists read at once: nothing twice, nothing missing. */
  #walkAll(): string {
    const lists: string[][] = []
    for (const buyer of BUYERS)
      for (const state of [[], ['STATE', 'CONFIRMED'], ['STATE', 'RESERVED']]) lists.push(['STOCK.ORDERS', buyer, ...state])
    for (const sku of this.model.skus.keys()) lists.push(['STOCK.HOLDS', sku])
    for (const list of lists) {
      const gathered: ReplyValue[] = []
      let cursor = '0'
      do {
        const page = this.#subject.execute([...list, 'CURSOR', cursor, 'COUNT', '2'], this.#now, 3, 0)
        if (!Array.isArray(page) || !Array.isArray(page[1])) return `${list.join(' ')}: ${show(page)}`
        gathered.push(...(page[1] as ReplyValue[]))
        cursor = (page[0] as { bulk: string }).bulk
      } while (cursor !== '0' && gathered.length < 100_000)
      const expected = (this.model.execute(list, this.#now) as ReplyValue[])[1]
      if (show(gathered) !== show(expected))
        return `${list.map(quoted).join(' ')} in pages\n  model:  ${show(expected)}\n  engine: ${show(gathered)}`
    }
    return ''
  }

  #stateOf(called: readonly string[]): string {
    const args = unwrapped(called)
    return /^stock\.(reserve|confirm|release|extend|return)$/i.test(args[0]) ? (this.model.orders.get(args[1])?.state ?? 'new') : ''
  }

  #count(called: readonly string[], from: string, reply: ReplyValue): void {
    const args = unwrapped(called)
    const options = args[0] === 'STOCK.CONFIRM' && args.includes('LATE') ? ' LATE' : ''
    let answer: string
    if (isError(reply)) answer = `-${reply.error.split(' ')[0]}`
    else if (Array.isArray(reply) && typeof reply[0] === 'object' && reply[0] !== null && 'simple' in reply[0]) {
      const [status] = reply
      const last = show(reply.at(-1) ?? null)
      const known = ['replay', 'partial', 'late', 'tombstone', 'capped', 'clamped', 'orphaned'].includes(last)
      const named = status.simple === 'LIMIT' ? (last === '""' ? 'unnamed' : 'named') : ''
      answer = `${status.simple} ${known ? last : named}`.trim()
    } else answer = reply === null ? 'nil' : typeof reply === 'number' ? (args[0] === 'STOCK.GET' ? 'n' : String(reply)) : 'value'
    const key = `${args[0]}${options}${from === '' ? '' : ` of ${from}`}: ${answer}`
    this.#heard.set(key, (this.#heard.get(key) ?? 0) + 1)
  }
}

const unwrapped = (args: readonly string[]): readonly string[] => (args[0] === 'FCALL' ? [args[1], ...args.slice(3)] : args)

/** The same bytes; of an error that has no promised text, the same first word. */
function agree(expected: ReplyValue, heard: string, protocol: 2 | 3): boolean {
  if (isError(expected) && !expected.exact)
    return heard.startsWith('-') && heard.trim().split(' ')[0] === `-${expected.error.split(' ')[0]}`
  return encode(expected, protocol) === heard
}
