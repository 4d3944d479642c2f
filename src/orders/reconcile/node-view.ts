// A node, as who compares it with a database sees it: through ordinary commands, with names as the store has them (store/name.ts).
//
// What stays true of answers: `status` tells a position that no answer before it is ahead of, because the node answers in turn.

export interface NodeStatus {
  /** The history that its events are numbered in. */
  readonly stream: string
  readonly sink: string
  /** Of the sink, in words. */
  readonly state: string
  readonly isConnected: boolean
  /** By part: the last event that has happened, that was published, that the broker took, that is stored as far as the node has heard. */
  readonly last: readonly number[]
  readonly published: readonly number[]
  readonly acked: readonly number[]
  readonly stored: readonly number[]
  readonly lastLsn: number
  readonly lagMs: number
  readonly backlogBytes: number
  readonly backlogBytesMax: number
}

export interface NodeFacts {
  readonly version: string
  /** Of the process: two addresses of one node have the same. */
  readonly runId: string
  /** Unix ms, by its clock. */
  readonly now: number
  /** How long it remembers orders that are over: confirmed ones, and the others. */
  readonly returnWindowMs: number
  readonly orderRetentionMs: number
}

export interface NodeOrderHead {
  readonly id: string
  readonly state: string
  readonly version: number
}

export interface NodeItem {
  readonly sku: string
  readonly reserved: number
  readonly sold: number
  readonly released: number
  readonly returned: number
}

export interface NodeOrder extends NodeOrderHead {
  /** Unix ms. */
  readonly created: number
  readonly buyer: string | null
  readonly ref: string | null
  readonly items: readonly NodeItem[]
}

export interface NodeSku {
  readonly sku: string
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
  /** Counts its changes. */
  readonly version: number
}

/** An entry of stock:events. */
export interface NodeEvent {
  /** `<ms>-<LSN>` */
  readonly entry: string
  readonly part: number
  readonly pseq: number
  readonly payload: Buffer
}

/** Methods reject with StockdError NODE, in words. */
export interface NodeView {
  readonly name: string
  status(): Promise<NodeStatus>
  facts(): Promise<NodeFacts>
  /** Every order that is there all the time comes once; '0' begins, and is the end. */
  scan(cursor: string): Promise<{ readonly next: string; readonly orders: readonly NodeOrderHead[] }>
  /** Null: it does not know the order (any more). */
  orders(ids: readonly string[]): Promise<readonly (NodeOrder | null)[]>
  scanSkus(cursor: string): Promise<{ readonly next: string; readonly skus: readonly string[] }>
  /** Null: there is no such SKU. */
  skus(names: readonly string[]): Promise<readonly (NodeSku | null)[]>
  /** Events from an entry's id on (`-`: from the oldest), in the log's order; none: that was all. */
  events(from: string, count: number): Promise<readonly NodeEvent[]>
  /** Publishes the events of a part behind `pseq` once more. */
  seek(part: number, pseq: number): Promise<void>
}
