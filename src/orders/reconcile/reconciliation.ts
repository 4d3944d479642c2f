// The full comparison of nodes and database while the nodes sell on: every order, every SKU's numbers, and how far each part is.
//
// State and version tell nearly all: each change of an order counts its version up. What they do not tell is that an event in the middle is
// missing. Such orders are looked at in full: those that dead events name, those whose units do not fit their state, and all, if the
// database's books say that more is missing.
//
// What stays true: there are no false alarms. An order that looks different is looked at again by its id, when the database has come to
// where the node was when it answered; only what differs then is told. An order that the node has forgotten in its turn is no difference.
//
// Memory is bounded. The orders of the nodes are kept as 20 bytes each (order-heads.ts) while the database's pages go by; with very many
// they are taken in several passes, by their hash. What looks different is looked at again as soon as there are a thousand of them.

import { Outbox } from '../../engine/outbox.ts'
import { crc32 } from '../../base/crc32.ts'
import type { OrdersEnv } from '../env.ts'
import { bytesOfName, nameOf } from '../store/name.ts'
import type { Store, StoredOrder } from '../store/store.ts'
import { readStoredEvent } from '../store/stored-event.ts'
import { Arrival, type LatePart, type Position } from './arrival.ts'
import { isPlausible, orderDifference, type OrderDifference } from './difference.ts'
import type { NodeFacts, NodeOrder, NodeStatus, NodeView } from './node-view.ts'
import { hashOfOrder, OrderHeads } from './order-heads.ts'
import { compareSkus, type SkuVerdict } from './sku-comparison.ts'

export interface ReconciliationParts {
  readonly nodes: readonly NodeView[]
  readonly store: Store
  readonly env: OrdersEnv
  /** So long the database may stand still behind a node. */
  readonly waitMs: number
  /** The database's own books are checked, too. */
  readonly withVerify: boolean
  readonly progress: (what: string, done: number, total: number | null) => void
  /** Orders that are held in memory at once. */
  readonly headsMax?: number
}

export interface NodeReport {
  readonly name: string
  readonly stream: string
  readonly sink: string
  readonly state: string
  readonly isConnected: boolean
  readonly version: string
}

export interface StateCount {
  readonly state: string
  readonly node: number
  readonly database: number
  /** Only in the database: the node has forgotten them in their turn. */
  readonly forgotten: number
}

export interface ReconciliationReport {
  readonly nodes: readonly NodeReport[]
  readonly states: readonly StateCount[]
  /** The first of them; `differenceCount` counts all. */
  readonly differences: readonly OrderDifference[]
  readonly differenceCount: number
  /** Orders that differ only by events that have not come yet. */
  readonly onTheWay: number
  readonly late: readonly LatePart[]
  /** The database has events that the node has not: `last` < `stored`. */
  readonly ahead: readonly LatePart[]
  readonly skus: readonly SkuVerdict[]
  /** Nodes whose SKUs could not be compared, and why. */
  readonly skusSkipped: readonly { readonly node: string; readonly why: string }[]
  readonly findings: readonly string[]
  readonly isEqual: boolean
}

const DIFFERENCES_KEPT = 100_000
const HEADS_MAX = 8_000_000
const PAGE = 1000
const LOOK_AGAIN = 1000
const ROUNDS = 3
const DEAD_MAX = 100_000
const LOOKUPS_AT_ONCE = 4
/** Clocks of node and tool differ a little, and a node forgets in its own time. */
const RETENTION_SLACK_MS = 60_000

interface Located {
  readonly node: NodeView
  readonly order: NodeOrder
}

export class Reconciliation {
  readonly #parts: ReconciliationParts
  readonly #arrival: Arrival
  readonly #nodes = new Map<NodeView, { readonly status: NodeStatus; readonly facts: NodeFacts }>()
  readonly #states = new Map<string, { node: number; database: number; forgotten: number }>()
  readonly #differences: OrderDifference[] = []
  #differenceCount = 0
  #onTheWay = 0
  #late: readonly LatePart[] = []
  readonly #suspects: string[] = []
  /** Orders of events that are not stored. */
  readonly #incomplete = new Set<string>()
  #isThorough = false
  /** Whether all streams of the database are those of these nodes. */
  #isAlone = true
  /** Of any node: what is older is forgotten for certain. */
  #oldest = { confirmed: 0, over: 0 }

  constructor(parts: ReconciliationParts) {
    this.#parts = parts
    this.#arrival = new Arrival(parts)
  }

  /** Rejects with StoreError, or StockdError NODE: then nothing was compared. Once. */
  async run(): Promise<ReconciliationReport> {
    const { nodes, store, withVerify, progress } = this.#parts
    for (const node of nodes) this.#nodes.set(node, { status: await node.status(), facts: await node.facts() })
    const cursors = await store.cursors()
    const ours = new Set([...this.#nodes.values()].map(({ status }) => historyOf(status.stream)))
    this.#isAlone = cursors.every(({ stream }) => ours.has(historyOf(stream)))
    const facts = [...this.#nodes.values()].map((known) => known.facts)
    this.#oldest = {
      confirmed: Math.min(...facts.map(({ now, returnWindowMs }) => now - returnWindowMs)) - RETENTION_SLACK_MS,
      over: Math.min(...facts.map(({ now, orderRetentionMs }) => now - orderRetentionMs)) - RETENTION_SLACK_MS,
    }
    progress('checking the books of the database', 0, null)
    const findings = withVerify ? await store.verify() : []
    await this.#findIncomplete(findings)
    await this.#orders()
    const skus: SkuVerdict[] = []
    const skusSkipped: { node: string; why: string }[] = []
    for (const [node, { status }] of this.#nodes) {
      const { stream } = status
      const parts = { node, stream, store, arrival: this.#arrival, progress }
      const verdicts = await compareSkus(parts)
      if (verdicts === null) {
        skusSkipped.push({ node: node.name, why: 'events of it are still on their way' })
        continue
      }
      const isWhole = cursors.every((cursor) => cursor.stream !== stream || cursor.first === 1)
      if (isWhole || verdicts.every(({ verdict }) => verdict !== 'different')) skus.push(...verdicts)
      else {
        skusSkipped.push({
          node: node.name,
          why: 'this database came later than the node and does not know what was before; the audit marks compare what happens since',
        })
      }
    }
    const ahead = await this.#ahead()
    const isSame = this.#differenceCount === 0 && this.#onTheWay === 0 && this.#late.length === 0 && ahead.length === 0
    return {
      nodes: [...this.#nodes].map(([{ name }, { status, facts: known }]) => {
        const { stream, sink, state, isConnected } = status
        return { name, stream, sink, state, isConnected, version: known.version }
      }),
      states: [...this.#states].map(([state, counts]) => ({ state, ...counts })).toSorted((a, b) => (a.state < b.state ? -1 : 1)),
      differences: this.#differences,
      differenceCount: this.#differenceCount,
      onTheWay: this.#onTheWay,
      late: this.#late,
      ahead,
      ...{ skus, skusSkipped, findings },
      isEqual: isSame && findings.length === 0 && skus.every(({ verdict }) => verdict !== 'different'),
    }
  }

  async #findIncomplete(findings: readonly string[]): Promise<void> {
    const { store } = this.#parts
    const { skippedEvents } = await store.stats()
    const dead = await store.deadEvents({ state: 'all', limit: DEAD_MAX })
    this.#isThorough = findings.length > 0 || skippedEvents > 0 || dead.length === DEAD_MAX
    for (const { state, payload } of dead) {
      if (state === 'replayed') continue
      const order = orderOf(payload)
      if (order === undefined) this.#isThorough = true
      else if (order !== null) this.#incomplete.add(order)
    }
  }

  async #orders(): Promise<void> {
    const { store, progress, headsMax = HEADS_MAX } = this.#parts
    const heads = new OrderHeads()
    let passes = 1
    for (let pass = 0; pass < passes; pass++) {
      heads.clear()
      const isOfPass = (hash: number): boolean => Math.floor(hash / 2 ** 32) % passes === pass
      let scanned = 0
      await this.#scanNodes((id, state, version) => {
        const hash = hashOfOrder(id)
        if (isOfPass(hash)) heads.put(hash, state, version)
        // Too many for one pass: half of them now. Only the first pass finds this out.
        if (heads.size > headsMax && pass === 0) {
          passes *= 2
          heads.keep(isOfPass)
        }
        if (++scanned % PAGE === 0) progress('reading orders of the node', scanned, null)
      })
      const total = heads.size
      // What the node had when it was read must be there before the database is read: fewer orders look different.
      await this.#arrive()
      let read = 0
      for (let after: string | null = null; ;) {
        const page = await store.orders({ limit: PAGE, after, withHistory: false })
        for (const order of page.orders) {
          const hash = hashOfOrder(order.id)
          if (isOfPass(hash)) this.#compare(heads, hash, order)
        }
        read += page.orders.length
        progress('comparing orders', Math.min(read, total), total)
        await this.#lookAgain(LOOK_AGAIN)
        if (page.next === null) break
        after = page.next
      }
      if (heads.unmarked > 0) {
        const left: string[] = []
        await this.#scanNodes(
          (id) => {
            if (heads.isUnmarked(hashOfOrder(id))) left.push(id)
          },
          async () => {
            this.#suspects.push(...left.splice(0))
            await this.#lookAgain(LOOK_AGAIN)
          },
        )
      }
    }
    await this.#lookAgain(1)
  }

  async #scanNodes(see: (id: string, state: string, version: number) => void, between?: () => Promise<void>): Promise<void> {
    for (const node of this.#nodes.keys()) {
      for (let cursor = '0'; ;) {
        const page = await node.scan(cursor)
        for (const { id, state, version } of page.orders) see(id, state, version)
        await between?.()
        cursor = page.next
        if (cursor === '0') break
      }
    }
  }

  #compare(heads: OrderHeads, hash: number, order: StoredOrder): void {
    const { id, state, version, updatedAt } = order
    const found = heads.compare(hash, state, version)
    if (found === 'equal' && !this.#isThorough && !this.#incomplete.has(id) && isPlausible(order)) this.#count(state, 'both')
    else if (found === 'equal') this.#suspects.push(id)
    else if (found === 'different') this.#suspects.push(id)
    else if (state !== 'RESERVED' && updatedAt <= (state === 'CONFIRMED' ? this.#oldest.confirmed : this.#oldest.over)) {
      this.#count(state, 'forgotten')
    } else this.#suspects.push(id)
  }

  #count(state: string, side: 'node' | 'database' | 'both' | 'forgotten'): void {
    const counts = this.#states.get(state) ?? { node: 0, database: 0, forgotten: 0 }
    this.#states.set(state, counts)
    if (side === 'node' || side === 'both') counts.node++
    if (side === 'database' || side === 'both') counts.database++
    if (side === 'forgotten') counts.forgotten++
  }

  async #arrive(): Promise<readonly LatePart[]> {
    const positions: Position[] = []
    for (const node of this.#nodes.keys()) positions.push(await node.status())
    this.#late = await this.#arrival.of(positions)
    return this.#late
  }

  /** Those that look different, as soon as there are so many. */
  async #lookAgain(least: number): Promise<void> {
    while (this.#suspects.length >= least && this.#suspects.length > 0) {
      let open = this.#suspects.splice(0, LOOK_AGAIN)
      for (let round = 1; open.length > 0; round++) open = await this.#look(open, round === ROUNDS)
    }
  }

  /** @returns those that have changed at the node meanwhile, unless it `isLast` */
  async #look(ids: readonly string[], isLast: boolean): Promise<string[]> {
    const { store } = this.#parts
    const located = new Map<string, Located>()
    for (const node of this.#nodes.keys()) {
      const orders = await node.orders(ids)
      orders.forEach((order, i) => {
        if (order !== null) located.set(ids[i], { node, order })
      })
    }
    const late = new Set((await this.#arrive()).map(({ part }) => part))
    const open: string[] = []
    const queue = [...ids]
    const work = async (): Promise<void> => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const stored = await store.order(id, true)
        const found = located.get(id)
        const isNewer = stored !== null && (found === undefined || found.order.version < stored.version)
        if (isNewer && !isLast) open.push(id)
        else await this.#judge(id, found, stored, late)
      }
    }
    await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, work))
    return open
  }

  async #judge(id: string, found: Located | undefined, stored: StoredOrder | null, late: ReadonlySet<number>): Promise<void> {
    const difference = orderDifference(id, found?.node.name ?? null, found?.order ?? null, stored)
    if (found === undefined && stored !== null && (await this.#isForgotten(stored))) return this.#count(stored.state, 'forgotten')
    if (found !== undefined) this.#count(found.order.state, 'node')
    if (stored !== null) this.#count(stored.state, 'database')
    if (difference === null) return
    if ((difference.kind === 'missing' || difference.kind === 'behind') && late.has(partOf(found?.order ?? { id, buyer: null }))) {
      this.#onTheWay++
      return
    }
    this.#differenceCount++
    if (this.#differences.length < DIFFERENCES_KEPT) this.#differences.push(difference)
  }

  /** No node knows the order, and that is right: it is another node's, or over for so long that its node need not know it. */
  async #isForgotten({ id, state }: StoredOrder): Promise<boolean> {
    const events = (await this.#parts.store.eventsOfOrder(id)).map(({ payload }) => readStoredEvent(payload))
    const last = events.at(-1)
    if (last === undefined) return false
    const history = historyOf(last.id.replace(/-\d+$/, ''))
    const owner = [...this.#nodes.values()].find(({ status }) => historyOf(status.stream) === history)
    if (owner === undefined) return !this.#isAlone
    if (state === 'RESERVED') return false
    // Counted from when it came to its state: what happens to it later (a return in part) keeps it no longer.
    let since = last.time
    for (const { time, state: was } of events.toReversed()) {
      if (was !== state) break
      since = time
    }
    const { now, returnWindowMs, orderRetentionMs } = owner.facts
    return since + (state === 'CONFIRMED' ? returnWindowMs : orderRetentionMs) <= now + RETENTION_SLACK_MS
  }

  async #ahead(): Promise<LatePart[]> {
    const cursors = await this.#parts.store.cursors()
    const ahead: LatePart[] = []
    for (const node of this.#nodes.keys()) {
      const { stream, last } = await node.status()
      for (const cursor of cursors) {
        const { part, pseq } = cursor
        if (cursor.stream === stream && pseq > last[part]) ahead.push({ stream, part, last: last[part], stored: pseq })
      }
    }
    return ahead
  }
}

/** Which order a dead event is about. Null: none; undefined: nobody knows. */
function orderOf(payload: Buffer): string | null | undefined {
  try {
    const { order, encoding } = JSON.parse(payload.toString('utf8')) as { order?: unknown; encoding?: unknown }
    if (order === null) return null
    return typeof order === 'string' ? nameOf(order, encoding === 'latin1' ? 'latin1' : undefined) : undefined
  } catch {
    return undefined
  }
}

/** A node's log that was begun anew is the same node's: `n0_0a1b2c3d` of `n0_0a1b2c3d-2`. */
export const historyOf = (stream: string): string => stream.replace(/-\d+$/, '')

function partOf({ id, buyer }: { readonly id: string; readonly buyer: string | null }): number {
  const bytes = bytesOfName(buyer ?? id)
  return Outbox.partOfShard(crc32(bytes, 0, bytes.length) & 1023)
}
