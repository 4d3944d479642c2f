// Publishes again what a comparison has found missing: events are read back from the node's stock:events and given to the store, which adds
// those that it lacks and makes their orders anew from all their events. Parts whose cursor is behind are asked of the node again, and come
// the ordinary way.
//
// Nothing is made up: an event that the node's log has no more cannot be restated from the order as it is now, because it would be an event
// without a number of its own, and the books (one event for each number) would not be right ever after. That is said instead.

import { EventBodyError, parseEventBody, type EventBody } from '../event-body.ts'
import { nameOf } from '../store/name.ts'
import { StoreError } from '../store/store-error.ts'
import type { EventBatch, IncomingEvent, Store } from '../store/store.ts'
import type { NodeEvent, NodeView } from './node-view.ts'
import type { ReconciliationReport } from './reconciliation.ts'

export interface RepairParts {
  readonly nodes: readonly NodeView[]
  readonly store: Store
  readonly progress: (what: string, done: number, total: number | null) => void
  /** Gives every event of the log to the store, and not only those of what differs: for books that are wrong all the same. Takes long. */
  readonly isAll?: boolean
}

export interface RepairReport {
  /** Events that were looked at, given to the store, and made a difference there. */
  readonly read: number
  readonly applied: number
  readonly changed: number
  /** Parts that the node publishes again. */
  readonly sought: number
  /** What could not be done, in words. */
  readonly says: readonly string[]
}

const READ_AT_ONCE = 1000
const APPLIED_AT_ONCE = 500
const SAYS_MAX = 100
/** Of the order's own time: an entry is written in the same turn. */
const EARLIER_MS = 1000

/** What is looked for among the events of a node. */
interface Wanted {
  readonly node: NodeView
  readonly stream: string
  /** Of each order: its version at the node, and the versions that the log still tells. */
  readonly orders: ReadonlyMap<string, { readonly version: number; readonly told: Set<number> }>
  readonly skus: ReadonlySet<string>
  readonly isAll: boolean
  /** Entry's id to begin at. */
  readonly from: string
}

export async function repair({ nodes, store, progress, isAll = false }: RepairParts, report: ReconciliationReport): Promise<RepairReport> {
  const counts = { read: 0, applied: 0, changed: 0 }
  const says: string[] = []
  const say = (sentence: string): void => {
    if (says.length < SAYS_MAX) says.push(sentence)
  }
  const sought = await seekLate(nodes, report, say)
  for (const wanted of wantedOf(nodes, report, isAll)) {
    const { node, orders } = wanted
    const { lastLsn } = await node.status()
    const batches = new Batches(store, wanted.stream, counts, say)
    let from = wanted.from
    let first = 0
    for (;;) {
      const events = await node.events(from, READ_AT_ONCE)
      for (const event of events) {
        counts.read++
        const body = readEvent(event, say)
        if (body !== null && isWanted(wanted, body)) await batches.add(event, body)
      }
      const last = events.at(-1)
      if (last === undefined) break
      if (first === 0) first = lsnOf(events[0].entry)
      progress('reading events of the node', lsnOf(last.entry) - first, Math.max(1, lastLsn - first))
      from = `(${last.entry}`
    }
    await batches.flush()
    for (const [id, { version, told }] of orders) {
      if (told.size < version) say(forgottenText(id, version, told))
    }
  }
  for (const { id, kind } of report.differences) {
    if (kind === 'unknown') say(`order ${id}: the node does not know it, so it has nothing to publish again`)
    if (kind === 'ahead') say(`order ${id}: the database knows more of it than the node; what really happened is a person's to find out`)
  }
  return { ...counts, sought, says }
}

async function seekLate(nodes: readonly NodeView[], report: ReconciliationReport, say: (sentence: string) => void): Promise<number> {
  let sought = 0
  for (const { stream, part, stored } of report.late) {
    const node = nodes.find(({ name }) => report.nodes.some((known) => known.name === name && known.stream === stream))
    if (node === undefined) continue
    try {
      await node.seek(part, stored)
      sought++
    } catch (error) {
      say(`part ${part} of ${stream} cannot be published again: ${(error as Error).message}`)
    }
  }
  return sought
}

function wantedOf(nodes: readonly NodeView[], report: ReconciliationReport, isAll: boolean): Wanted[] {
  return nodes.flatMap((node) => {
    const stream = report.nodes.find(({ name }) => name === node.name)?.stream ?? ''
    const differing = report.differences.filter((difference) => difference.node === node.name && difference.kind !== 'ahead')
    const orders = new Map(differing.map(({ id, atNode }) => [id, { version: atNode?.version ?? 0, told: new Set<number>() }] as const))
    const skus = new Set(report.skus.filter((sku) => sku.node === node.name && sku.verdict === 'different').map(({ sku }) => sku))
    if (orders.size === 0 && skus.size === 0 && !isAll) return []
    const oldest = Math.min(...differing.map(({ atNode }) => atNode?.created ?? 0))
    const from = isAll || skus.size > 0 ? '-' : String(Math.max(0, oldest - EARLIER_MS))
    return [{ node, stream, orders, skus, isAll, from }]
  })
}

function isWanted({ orders, skus, isAll }: Wanted, body: EventBody): boolean {
  const order = body.order === null ? undefined : orders.get(nameOf(body.order, body.encoding))
  order?.told.add(body.version)
  // Of a mark stock:events shows one of sixteen events, and the others have had their time.
  if (body.type === 'audit.mark') return false
  return isAll || order !== undefined || body.stock.some(({ sku }) => skus.has(nameOf(sku, body.encoding)))
}

function readEvent({ entry, payload }: NodeEvent, say: (sentence: string) => void): EventBody | null {
  try {
    return parseEventBody(payload)
  } catch (error) {
    if (!(error instanceof EventBodyError)) throw error
    say(`event ${entry} of the node cannot be read: ${error.message}`)
    return null
  }
}

const lsnOf = (entry: string): number => Number(entry.split('-')[1])

function forgottenText(id: string, version: number, told: ReadonlySet<number>): string {
  const missing = Array.from({ length: Math.min(version, 1000) }, (_, i) => i + 1).filter((n) => !told.has(n))
  const which = missing.length === version ? 'no event' : `not version ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ' ...' : ''}`
  return (
    `order ${id}: the node's log has ${which} of it any more (event-history says how far back it reaches); if the database lacks them ` +
    'it stays different'
  )
}

/** Collects events by part, and applies them in few transactions. */
class Batches {
  readonly #store: Store
  readonly #stream: string
  readonly #counts: { applied: number; changed: number }
  readonly #say: (sentence: string) => void
  readonly #byPart = new Map<number, IncomingEvent[]>()
  #size = 0

  constructor(store: Store, stream: string, counts: { applied: number; changed: number }, say: (sentence: string) => void) {
    this.#store = store
    this.#stream = stream
    this.#counts = counts
    this.#say = say
  }

  async add({ part, pseq, payload }: NodeEvent, body: EventBody): Promise<void> {
    // An event says whose it is: one of an earlier history has other numbers.
    if (body.id.replace(/-\d+$/, '') !== this.#stream) return
    const events = this.#byPart.get(part)
    const event = { pseq, oldest: 1, payload, body, dead: null }
    if (events === undefined) this.#byPart.set(part, [event])
    else events.push(event)
    if (++this.#size >= APPLIED_AT_ONCE) await this.flush()
  }

  async flush(): Promise<void> {
    const batches = [...this.#byPart].map(([part, events]): EventBatch => ({ stream: this.#stream, part, events }))
    this.#byPart.clear()
    this.#size = 0
    for (const batch of batches) await this.#apply(batch)
  }

  /** What will not go in is found by halves; the others go in. */
  async #apply(batch: EventBatch): Promise<void> {
    const { part, events } = batch
    try {
      this.#counts.changed += await this.#store.reapply([batch])
      this.#counts.applied += events.length
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== 'poison') throw error
      if (events.length === 1)
        return this.#say(`event ${events[0].pseq} of part ${part} cannot be stored: ${error.message} (${error.code})`)
      const half = events.length >> 1
      await this.#apply({ ...batch, events: events.slice(0, half) })
      await this.#apply({ ...batch, events: events.slice(half) })
    }
  }
}
