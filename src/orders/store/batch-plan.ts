// What a store does with a batch of events, decided from the cursor alone: which events are new, which were seen, which come too early,
// and what the new ones write. Pure: the same plan for every database.
//
// What stays true: of (stream, part) the new events are cursor + 1, cursor + 2, ... without a gap. So each event is added exactly once,
// and sums (items, ledger) may be kept by adding changes. What is written out of turn (dead events replayed, holes filled) is added only
// if order_events did not have it (`planApart`).
//
// First contact: a store without a cursor begins with the oldest event that the node's log still has, and with no other.

import { PARTS } from '../../engine/outbox.ts'
import type { EventBody } from '../event-body.ts'
import { nameOf } from './name.ts'
import { OrderFold } from './order-history.ts'
import type { Balances, DeadRow, EventRow, LedgerChange, MarkReached, MarkRow, OrderChange } from './rows.ts'
import type { EventBatch, IncomingEvent } from './store.ts'

/** What events write, table by table. */
export interface BatchRows {
  readonly events: readonly EventRow[]
  /** By first appearance. */
  readonly orders: readonly OrderChange[]
  /** Sorted by SKU and generation, so that two writers never wait for each other crosswise. */
  readonly ledger: readonly LedgerChange[]
  readonly marks: readonly MarkReached[]
  readonly dead: readonly DeadRow[]
}

export interface BatchPlan extends BatchRows {
  /** Before and after. Equal: nothing is written. Before is null: no row yet; insert it with `first`. */
  readonly before: number | null
  readonly cursor: number
  readonly first: number
  /** At or below the cursor. Those with a body must be compared with what is stored (`conflictOf`); if one differs, nothing is written. */
  readonly seen: readonly IncomingEvent[]
  /** Behind a hole: not taken. */
  readonly early: number
  /** The batch contradicts itself. */
  readonly conflict: string | null
}

export function planBatch(before: number | null, batch: EventBatch): BatchPlan {
  const seen: IncomingEvent[] = []
  const rows = new RowCollector(batch.part)
  let cursor = before
  let first = 0
  let early = 0
  let conflict: string | null = null
  let previous: IncomingEvent | null = null
  for (const event of batch.events) {
    if (cursor === null && event.pseq === event.oldest) {
      first = event.pseq
      cursor = event.pseq - 1
    }
    if (cursor === null || event.pseq > cursor + 1) early++
    else if (event.pseq === cursor + 1) {
      rows.add(event)
      cursor = event.pseq
      previous = event
    } else {
      seen.push(event)
      // Twice in one batch: the first is not in the database yet.
      if (previous?.pseq === event.pseq && previous.body !== null && event.body !== null)
        conflict ??= conflictOf(batch, keyOf(previous.body), event)
    }
  }
  return { before, cursor: cursor ?? 0, first, seen, early, conflict, ...rows.finish() }
}

/** What these events write if order_events has none of them, apart from the cursor's turn. Marks have had their time. */
export function planApart(part: number, events: readonly IncomingEvent[]): BatchRows {
  const rows = new RowCollector(part)
  for (const event of events) rows.add(event)
  return { ...rows.finish(), marks: [] }
}

/** What identifies a stored event. */
export interface StoredEventKey {
  readonly id: string
  readonly type: string
  readonly time: number
  readonly order: string | null
  readonly version: number
}

export function keyOf(body: EventBody): StoredEventKey {
  const { id, type, time, version } = body
  return { id, type, time, order: body.order === null ? null : nameOf(body.order, body.encoding), version }
}

/**
 * An event that was seen and the one that is stored under its number. Text that differs is not a conflict: a newer node may tell the same
 * event in other words.
 *
 * @returns in words: two histories bear the same name; null: they are the same
 */
export function conflictOf(at: { stream: string; part: number }, stored: StoredEventKey, event: IncomingEvent): string | null {
  if (event.body === null) return null
  const comes = keyOf(event.body)
  // Two histories part at some record, and both have one there, about the same order perhaps: they differ in what it was, or in when.
  const isSame = stored.id === comes.id && stored.type === comes.type && stored.time === comes.time
  if (isSame && stored.order === comes.order && stored.version === comes.version) return null
  return (
    `event ${event.pseq} of ${at.stream}, part ${at.part}, is stored as ${inWords(stored)} and now comes as ${inWords(comes)}: ` +
    'two histories bear the same name'
  )
}

const inWords = ({ id, type, time, order, version }: StoredEventKey): string =>
  `${id} (${type} at ${time}${order === null ? '' : `, order ${order}, version ${version}`})`

class BalanceSum implements Balances {
  total = 0
  available = 0
  reserved = 0
  sold = 0

  add(change: Balances): void {
    this.total += change.total
    this.available += change.available
    this.reserved += change.reserved
    this.sold += change.sold
  }
}

class LedgerSum extends BalanceSum implements LedgerChange {
  readonly sku: string
  readonly generation: number

  constructor(sku: string, generation: number) {
    super()
    this.sku = sku
    this.generation = generation
  }
}

class RowCollector {
  readonly #part: number
  readonly #events: EventRow[] = []
  readonly #orders = new Map<string, OrderFold>()
  readonly #ledger = new Map<string, LedgerSum[]>()
  readonly #marks: MarkReached[] = []
  readonly #dead: DeadRow[] = []

  constructor(part: number) {
    this.#part = part
  }

  add({ pseq, payload, body, dead }: IncomingEvent): void {
    if (body === null) {
      this.#dead.push({ pseq, payload, ...(dead ?? { code: 'schema', reason: 'it was not understood' }) })
      return
    }
    // An order in the database of another part would never be found again.
    if (body.order !== null && (body.shard >> 6) % PARTS !== this.#part) {
      this.#dead.push({ pseq, payload, code: 'schema', reason: `shard ${body.shard} is not in part ${this.#part}` })
      return
    }
    const order = body.order === null ? null : nameOf(body.order, body.encoding)
    this.#events.push({
      pseq,
      id: body.id,
      type: body.type,
      time: body.time,
      order,
      shard: body.shard,
      version: body.version,
      payload,
    })
    if (order !== null) this.#addOrder(order, body)
    if (body.type === 'audit.mark') this.#marks.push({ pseq, mark: body.mark ?? 0, rows: this.#markRows(body) })
    else for (const { sku, generation, change } of body.stock) this.#sum(nameOf(sku, body.encoding), generation).add(change)
  }

  finish(): BatchRows {
    const skus = [...this.#ledger.keys()].toSorted()
    const ledger = skus.flatMap((sku) => (this.#ledger.get(sku) ?? []).toSorted((a, b) => a.generation - b.generation))
    return {
      events: this.#events,
      orders: [...this.#orders.values()],
      ledger: ledger.filter((sum) => sum.total !== 0 || sum.available !== 0 || sum.reserved !== 0 || sum.sold !== 0),
      marks: this.#marks,
      dead: this.#dead,
    }
  }

  #addOrder(id: string, body: EventBody): void {
    let fold = this.#orders.get(id)
    if (fold === undefined) this.#orders.set(id, (fold = new OrderFold(body, id)))
    fold.add(body)
  }

  #sum(sku: string, generation: number): LedgerSum {
    const sums = this.#ledger.get(sku)
    const found = sums?.find((sum) => sum.generation === generation)
    if (found !== undefined) return found
    const sum = new LedgerSum(sku, generation)
    if (sums === undefined) this.#ledger.set(sku, [sum])
    else sums.push(sum)
    return sum
  }

  #markRows(body: EventBody): MarkRow[] {
    return body.stock.map(({ sku, generation, total, available, reserved, sold }) => {
      const name = nameOf(sku, body.encoding)
      const { total: t, available: a, reserved: r, sold: s } = this.#sum(name, generation)
      return {
        sku: name,
        generation,
        node: { total, available, reserved, sold },
        change: { total: t, available: a, reserved: r, sold: s },
      }
    })
  }
}
