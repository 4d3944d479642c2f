// Where orders end: MySQL or SQLite behind one interface, with the same cursor rule and the same tables (ORDERS.md 4 and 9).
//
// What stays true: of every (stream, part) the cursor and the rows of all events up to it are committed together. An event at or below
// the cursor changes nothing; one that does not follow it directly is not taken.

import type { EventBody } from '../event-body.ts'

export interface StreamPart {
  readonly stream: string
  /** 0..15 */
  readonly part: number
}

/** An event on its way into the store. */
export interface IncomingEvent {
  readonly pseq: number
  /** The first pseq of this part that the node's log still had when it published this; 1 on a young node. */
  readonly oldest: number
  /** As it came. */
  readonly payload: Buffer
  /** As it was understood; null: it goes to the dead events, with `dead` saying why. */
  readonly body: EventBody | null
  readonly dead: DeadReason | null
}

export interface DeadReason {
  /** The database's code (`1406`), or `schema`, `json`. */
  readonly code: string
  readonly reason: string
}

/** Events of one part, ascending by pseq; there may be gaps and events that were seen before. */
export interface EventBatch extends StreamPart {
  readonly events: readonly IncomingEvent[]
}

export interface BatchOutcome {
  /** The cursor after the transaction. Everything up to it may be acked. */
  readonly cursor: number
  /** Events of the batch: stored now (dead ones too), dropped because they were there already, not taken because one before is missing. */
  readonly stored: number
  readonly seen: number
  readonly early: number
  /** An event at or below the cursor is not the one that is stored under its number: two histories bear the same name. Nothing was changed. */
  readonly conflict: string | null
  /** The event that this store begins with, if it had none of the part before. Above 1: those before it were gone from the node's log. */
  readonly began?: number
  /** Audit marks that this batch completed (all parts have reached them), with what differs. */
  readonly marks: readonly AuditMarkResult[]
}

export interface AuditMarkResult {
  readonly stream: string
  readonly mark: number
  readonly differences: readonly string[]
}

export interface Cursor extends StreamPart {
  readonly pseq: number
  /** The first event that this store has of the part: 1, unless it came later than the node. */
  readonly first: number
  readonly updatedAt: number
}

export interface StoredItem {
  readonly sku: string
  readonly quantity: number
  readonly reserved: number
  readonly sold: number
  readonly released: number
  readonly returned: number
  /** Minor units; null: the SKU had none. Decimal text, because it may pass 2^53. */
  readonly price: string | null
  readonly seller: string | null
}

export interface StoredOrder {
  readonly id: string
  readonly buyer: string | null
  readonly shard: number
  readonly state: string
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly deadline: number
  readonly ref: string | null
  readonly reason: string | null
  readonly items: readonly StoredItem[]
  readonly isHistory: boolean
}

export interface Page {
  readonly limit: number
  /** What the page before answered as `next`; null: the first. */
  readonly after: string | null
  readonly withHistory: boolean
  readonly state?: string
}

export interface OrderPage {
  /** Newest first. */
  readonly orders: readonly StoredOrder[]
  readonly next: string | null
}

export interface StoreStats {
  readonly orders: Readonly<Record<string, number>>
  readonly events: number
  readonly deadEvents: number
  /** Numbers that an operator has given up (setCursor); some of their events may have come all the same. */
  readonly skippedEvents: number
  readonly history: number
  readonly cursors: readonly Cursor[]
}

export interface DeadEvent extends StreamPart, DeadReason {
  readonly pseq: number
  readonly payload: Buffer
  readonly firstSeen: number
  readonly replays: number
  readonly state: 'dead' | 'replayed' | 'discarded'
  readonly note: string | null
}

export interface LedgerRow {
  readonly stream: string
  readonly sku: string
  readonly generation: number
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
}

/** Something else than this store's own tables may not be there yet, or be of a newer stockd. */
export interface MigrationStep {
  readonly name: string
  readonly database: string
  readonly state: 'applied' | 'pending' | 'failed'
}

/** What doctor asks: each finding in words, with what to do. */
export interface StoreFinding {
  readonly level: 'ok' | 'warning' | 'error'
  readonly about: string
  readonly says: string
  readonly remedy: string | null
}

/** Methods reject with StoreError (store-error.ts), which says what to do about it. */
export interface Store {
  readonly kind: 'mysql' | 'sqlite'
  /** Where it is, without secrets: for messages. */
  readonly name: string
  /** Creates and changes tables. Rerunnable; several may do it at once. */
  migrate(): Promise<readonly MigrationStep[]>
  migrations(): Promise<readonly MigrationStep[]>
  /** One transaction: cursor rule, rows, cursor. If COMMIT's answer is lost it rejects with class `wait`: the next `apply` finds out. */
  apply(batch: EventBatch): Promise<BatchOutcome>
  /** Rejects as long as writes into the database of this part would (none given: into any). Cheap; changes nothing that anybody sees. */
  probe(part?: number): Promise<void>
  cursors(): Promise<readonly Cursor[]>
  /** Says that (stream, part) is complete up to `pseq` although it is not: an operator's decision, with a note that is kept. */
  setCursor(at: StreamPart, pseq: number, note: string): Promise<void>

  order(id: string, withHistory: boolean): Promise<StoredOrder | null>
  ordersOfBuyer(buyer: string, page: Page): Promise<OrderPage>
  ordersOfSeller(seller: string, page: Page): Promise<OrderPage>
  /** Of everybody, newest first: by when they were made, or by when they came into the store. */
  newestOrders(page: Page): Promise<OrderPage>
  /** Every order, for reconciling: pages of unspecified but stable order. */
  orders(page: Page): Promise<OrderPage>
  eventsOfOrder(id: string): Promise<readonly { readonly pseq: number; readonly payload: Buffer }[]>
  ledger(sku: string | null): Promise<readonly LedgerRow[]>
  stats(): Promise<StoreStats>
  /** E10 and the like, recounted: one text for each thing that is wrong. */
  verify(): Promise<readonly string[]>

  deadEvents(filter: { readonly state: 'dead' | 'all'; readonly limit: number }): Promise<readonly DeadEvent[]>
  deadEvent(at: StreamPart, pseq: number): Promise<DeadEvent | null>
  /** The same rows as `apply` would write, without the cursor rule (the versions guard); then it counts as replayed. */
  replayDead(at: StreamPart, pseq: number): Promise<void>
  discardDead(at: StreamPart, pseq: number, note: string): Promise<void>
  /** Applies events (of any part, of any age) without the cursor rule: reconcile --fix. @returns how many changed something. */
  reapply(batches: readonly EventBatch[]): Promise<number>

  /** Moves up to `limit` final orders that were last changed before `before` (unix ms) to the history tables. @returns how many. */
  archive(before: number, limit: number): Promise<number>
  /** How many `archive` would move. */
  archivable(before: number): Promise<number>

  /** A consumer says that it lives, and learns how many do: for sharing the parts. Forgotten after `ttlMs`. */
  heartbeat(consumer: string, ttlMs: number): Promise<readonly string[]>
  /** Those of before, too, until another beat finds that they are gone. */
  consumers(): Promise<readonly { readonly name: string; readonly seenAt: number }[]>
  /** What doctor asks of the server: settings, permissions, versions, tables. Never rejects. */
  examine(): Promise<readonly StoreFinding[]>
  close(): Promise<void>
}
