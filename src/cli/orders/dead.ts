// `stockd-orders dead`: events that the database would not take. The consumer has put them aside and gone on, so nothing waits for them, but
// their orders lack what they say until somebody has decided: replay them when the cause is mended, or discard them with a reason.

import { StockdError } from '../../base/error.ts'
import { StoreError } from '../../orders/store/store-error.ts'
import type { DeadEvent, Store } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { Progress } from '../progress.ts'
import { EXIT_NOT_FOUND, EXIT_OK, EXIT_WRONG } from './exit-codes.ts'
import { partNumber, streamOf } from './event-place.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { counted, facts, localTime, shown, table } from './table.ts'

const PSEQ = wholeNumber(1, Number.MAX_SAFE_INTEGER)
const LIMIT = 100
/** `replay --all` looks at so many at a time. */
const REPLAYED_AT_ONCE = 1000

const ABOUT =
  '\nThe queue stock.dlq of the broker holds copies for people, and what was no event at all: nothing reads it, and it can be emptied.\n' +
  'The events themselves are in the database, in dead_events; replay and discard work there.'

interface Place {
  readonly part: number
  readonly pseq: number
  readonly stream?: string | undefined
}

export function addDead(tool: OrdersTool): void {
  const group = tool.group('dead', 'events that the database would not take: list, show, replay, discard')
  tool
    .onStore('list', 'lists events that the database would not take, oldest first', group)
    .option('--all', 'those that were replayed or discarded, too')
    .option('--limit <n>', 'how many', wholeNumber(1, 100_000), LIMIT)
    .addHelpText('after', ABOUT)
    .action(async (options) => {
      const { all, limit } = options
      await tool.withStore(options, 'read', (store, out) => list(store, { state: all === true ? 'all' : 'dead', limit }, out))
    })
  tool
    .onStore('show', 'shows one, with why and with what it says', group)
    .argument('<part>', 'its part', partNumber)
    .argument('<pseq>', 'its number there', PSEQ)
    .option('--stream <name>', 'its stream, if there are several')
    .action(async (part, pseq, options) => {
      const { stream } = options
      await tool.withStore(options, 'read', (store, out) => show(store, { part, pseq, stream }, out))
    })
  tool
    .onStore('replay', 'stores one, or all, as if they had just come; says which still cannot be stored, and why', group)
    .argument('[part]', 'its part', partNumber)
    .argument('[pseq]', 'its number there', PSEQ)
    .option('--all', 'all of them')
    .option('--stream <name>', 'its stream, if there are several')
    .addHelpText(
      'after',
      '\nAn event that came too late for its turn changes its order as if it had come in time: the order is made anew from all its events.\n' +
        'It is safe to repeat. Exit code 2: some still cannot be stored.',
    )
    .action(async (part, pseq, options) => {
      const { all, stream } = options
      if ((all === true) === (part !== undefined)) throw new StockdError('BAD_OPTION', 'dead replay: name one by PART PSEQ, or give --all')
      if (part !== undefined && pseq === undefined) throw new StockdError('BAD_OPTION', 'dead replay: the event has a PSEQ beside its part')
      await tool.withStore(options, 'write', (store, out) =>
        part === undefined || pseq === undefined ? replayAll(store, out) : replayOne(store, { part, pseq, stream }, out),
      )
    })
  tool
    .onStore('discard', 'says that one will never be stored, and why; that is kept', group)
    .argument('<part>', 'its part', partNumber)
    .argument('<pseq>', 'its number there', PSEQ)
    .requiredOption('--note <text>', 'why, for those who look later', noteOf)
    .option('--stream <name>', 'its stream, if there are several')
    .addHelpText('after', '\nIts order stays without what it says, and reconcile will say so. A discarded event can still be replayed.')
    .action(async (part, pseq, options) => {
      const { note, stream } = options
      await tool.withStore(options, 'write', (store, out) => discard(store, { part, pseq, stream }, note, out))
    })
}

export function noteOf(text: string): string {
  const note = text.trim()
  if (note === '' || note.length > 1000) throw new StockdError('BAD_OPTION', '--note: say why, in up to 1000 characters')
  return note
}

async function list(store: Store, filter: { state: 'dead' | 'all'; limit: number }, out: Console): Promise<number> {
  const events = await store.deadEvents(filter)
  if (out.isJson) out.line(JSON.stringify({ events: events.map(asJson) }))
  else if (events.length === 0) out.line(`${store.name} has taken every event that came`)
  else {
    const several = new Set(events.map(({ stream }) => stream)).size > 1
    const head = [...(several ? ['STREAM'] : []), 'PART', 'PSEQ', 'FIRST SEEN', 'REPLAYS', 'CODE', 'WHY']
    const withState = filter.state === 'all'
    const rows = events.map((event) => [
      ...(several ? [event.stream] : []),
      ...[event.part, event.pseq].map(String),
      localTime(event.firstSeen),
      String(event.replays),
      event.code,
      `${withState && event.state !== 'dead' ? `(${event.state}) ` : ''}${cut(event.reason, 90)}`,
    ])
    const more = events.length === filter.limit ? `\nthere may be more: --limit ${filter.limit * 10}` : ''
    const next = events.some(({ state }) => state === 'dead')
      ? '\nmend the cause, then stockd-orders dead replay --all; or dead discard PART PSEQ --note WHY'
      : ''
    out.line(`${table(head, rows)}${more}${next}`)
  }
  return events.some(({ state }) => state === 'dead') ? EXIT_WRONG : EXIT_OK
}

async function find(store: Store, place: Place): Promise<DeadEvent | { readonly stream: string }> {
  const { part, pseq } = place
  const dead = place.stream === undefined ? await store.deadEvents({ state: 'all', limit: REPLAYED_AT_ONCE }) : []
  const stream = await streamOf(
    store,
    place.stream,
    dead.filter((event) => event.part === part && event.pseq === pseq),
  )
  return (await store.deadEvent({ stream, part }, pseq)) ?? { stream }
}

async function show(store: Store, place: Place, out: Console): Promise<number> {
  const event = await find(store, place)
  if (!('payload' in event)) return notFound(place, event.stream, out)
  const { stream, part, pseq, state, code, reason, firstSeen, replays, note, payload } = event
  out.result(
    out.isJson
      ? ''
      : `${facts([
          ['event', `${stream}, part ${part}, number ${pseq}`],
          ['state', state],
          ['why', `${reason} (${code})`],
          ['first seen', localTime(firstSeen)],
          ['replays', String(replays)],
          ['note', note],
        ])}\n\n${payloadText(payload)}`,
    { event: asJson(event) },
  )
  return EXIT_OK
}

async function replayOne(store: Store, place: Place, out: Console): Promise<number> {
  const event = await find(store, place)
  if (!('payload' in event)) return notFound(place, event.stream, out)
  return told(await replay(store, [event], out), out)
}

async function replayAll(store: Store, out: Console): Promise<number> {
  // Those that still fail stay in the list: more than it shows at once are not waited for twice.
  const results: Replayed[] = []
  for (let limit = REPLAYED_AT_ONCE; ; limit += REPLAYED_AT_ONCE) {
    const seen = new Set(results.map(({ key }) => key))
    const events = (await store.deadEvents({ state: 'dead', limit })).filter((event) => !seen.has(keyOf(event)))
    if (events.length === 0) break
    results.push(...(await replay(store, events, out)))
  }
  return told(results, out)
}

interface Replayed {
  readonly key: string
  readonly event: DeadEvent
  /** Null: it is stored. */
  readonly failure: { readonly code: string; readonly reason: string } | null
}

const keyOf = ({ stream, part, pseq }: DeadEvent): string => `${stream}/${part}/${pseq}`

async function replay(store: Store, events: readonly DeadEvent[], out: Console): Promise<Replayed[]> {
  const progress = new Progress({ isSilent: out.isJson })
  const results: Replayed[] = []
  try {
    // In the order in which they happened, so that those of one order follow each other.
    for (const event of events.toSorted((a, b) => a.part - b.part || a.pseq - b.pseq)) {
      let failure: Replayed['failure'] = null
      try {
        await store.replayDead(event, event.pseq)
      } catch (error) {
        // What is wrong with the event is its own; a database that is not there would say the same of each.
        if (!(error instanceof StoreError) || error.kind !== 'poison') throw error
        failure = { code: error.code, reason: error.message }
      }
      results.push({ key: keyOf(event), event, failure })
      progress.show('replaying', results.length, events.length)
    }
  } finally {
    progress.clear()
  }
  return results
}

function told(results: readonly Replayed[], out: Console): number {
  const failed = results.filter(({ failure }) => failure !== null)
  const stored = results.length - failed.length
  const lines = failed.map(
    ({ event, failure }) => `part ${event.part}, number ${event.pseq}: ${failure?.reason ?? ''} (${failure?.code ?? ''})`,
  )
  const summary = results.length === 0 ? 'no event waits' : `${stored} stored, ${failed.length} cannot be stored`
  out.result([...lines.map(shown), summary].join('\n'), {
    stored,
    failed: failed.map(({ event, failure }) => ({ stream: event.stream, part: event.part, pseq: event.pseq, ...failure })),
  })
  return failed.length === 0 ? EXIT_OK : EXIT_WRONG
}

async function discard(store: Store, place: Place, note: string, out: Console): Promise<number> {
  const event = await find(store, place)
  if (!('payload' in event)) return notFound(place, event.stream, out)
  const { stream, part, pseq } = event
  await store.discardDead(event, pseq, note)
  out.result(`${stream}, part ${part}, number ${pseq} is discarded; the note is kept`, { stream, part, pseq, note })
  return EXIT_OK
}

function notFound({ part, pseq }: Place, stream: string, out: Console): number {
  if (out.isJson) out.line(JSON.stringify({ event: null }))
  out.error(`there is no dead event ${pseq} in part ${part} of ${stream}`)
  return EXIT_NOT_FOUND
}

function asJson({ payload, ...event }: DeadEvent): object {
  const text = payload.toString('utf8')
  return { ...event, ...(Buffer.from(text, 'utf8').equals(payload) ? { payload: text } : { payloadBase64: payload.toString('base64') }) }
}

/** As JSON if it is, else as text, else as bytes. */
function payloadText(payload: Buffer): string {
  const text = payload.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(payload))
    return `${counted(payload.length, 'byte')}, not UTF-8:\n${payload.toString('hex').replaceAll(/(.{64})/g, '$1\n')}`
  try {
    return JSON.stringify(JSON.parse(text), null, 2).split('\n').map(shown).join('\n')
  } catch {
    return shown(text)
  }
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 3)}...` : text
}
