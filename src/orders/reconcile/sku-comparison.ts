// The numbers of every SKU of a node against the sums that the database has kept from events.
//
// A node sells meanwhile, and the database follows a little later; so a SKU is compared in a moment in which nothing happened to it:
//
//   node's numbers, version v -> where the node is -> the database is there, too -> the database's sums -> node's numbers again
//
// If the version is still v, the sums are of v. A SKU that is never quiet is left to the audit marks, which compare without a clock.

import type { LedgerRow, Store } from '../store/store.ts'
import type { Arrival } from './arrival.ts'
import type { NodeSku, NodeView } from './node-view.ts'

export interface Units {
  readonly total: number
  readonly available: number
  readonly reserved: number
  readonly sold: number
}

export interface SkuVerdict {
  readonly node: string
  readonly sku: string
  readonly atNode: Units | null
  readonly stored: Units | null
  /** busy: it changes all the time. */
  readonly verdict: 'equal' | 'different' | 'busy'
}

const ROUNDS = 20
const AT_ONCE = 500
/** With more of them all sums are read at once. */
const ONE_BY_ONE_MAX = 20

export interface SkuComparisonParts {
  readonly node: NodeView
  readonly stream: string
  readonly store: Pick<Store, 'ledger'>
  readonly arrival: Arrival
  readonly progress: (what: string, done: number, total: number | null) => void
}

/** @returns null: the database is not where the node is, and waiting did not help */
export async function compareSkus(parts: SkuComparisonParts): Promise<readonly SkuVerdict[] | null> {
  const { node, stream, store, progress } = parts
  const names = new Set<string>()
  for (let cursor = '0'; ;) {
    const page = await node.scanSkus(cursor)
    for (const sku of page.skus) names.add(sku)
    cursor = page.next
    if (cursor === '0') break
  }
  for (const row of await store.ledger(null)) if (row.stream === stream) names.add(row.sku)
  const verdicts: SkuVerdict[] = []
  let open = [...names]
  const total = open.length
  for (let round = 1; open.length > 0; round++) {
    const busy = await compareOnce(parts, open, verdicts)
    if (busy === null) return null
    progress('comparing SKUs', total - busy.length, total)
    open = busy
    if (round < ROUNDS) continue
    for (const sku of open) verdicts.push({ node: node.name, sku, atNode: null, stored: null, verdict: 'busy' })
    break
  }
  return verdicts.toSorted((a, b) => (a.sku < b.sku ? -1 : 1))
}

/** @returns those that changed meanwhile */
async function compareOnce(
  { node, stream, store, arrival }: SkuComparisonParts,
  names: readonly string[],
  verdicts: SkuVerdict[],
): Promise<string[] | null> {
  const before = await skusOf(node, names)
  const { last } = await node.status()
  if ((await arrival.of([{ stream, last }])).length > 0) return null
  const rows = names.length > ONE_BY_ONE_MAX ? await store.ledger(null) : (await Promise.all(names.map((sku) => store.ledger(sku)))).flat()
  const sums = new Map<string, LedgerRow>()
  for (const row of rows) {
    const known = sums.get(row.sku)
    // A SKU that was dropped and created again is another one; the node knows the last.
    if (row.stream === stream && (known === undefined || known.generation < row.generation)) sums.set(row.sku, row)
  }
  const after = await skusOf(node, names)
  const busy: string[] = []
  names.forEach((sku, i) => {
    const [atNode, again, row] = [before[i], after[i], sums.get(sku) ?? null]
    if (atNode?.version !== again?.version || (atNode !== null && again !== null && !isEqual(atNode, again))) busy.push(sku)
    else if (atNode !== null || row !== null) verdicts.push(verdictOf(node.name, sku, atNode, row))
  })
  return busy
}

function verdictOf(node: string, sku: string, atNode: NodeSku | null, row: LedgerRow | null): SkuVerdict {
  // A dropped SKU keeps its last numbers in the database; it had nothing reserved then.
  const isRight = atNode === null ? row?.reserved === 0 : row !== null && isEqual(atNode, row)
  return { node, sku, atNode: atNode && unitsOf(atNode), stored: row && unitsOf(row), verdict: isRight ? 'equal' : 'different' }
}

async function skusOf(node: NodeView, names: readonly string[]): Promise<(NodeSku | null)[]> {
  const found: (NodeSku | null)[] = []
  for (let at = 0; at < names.length; at += AT_ONCE) found.push(...(await node.skus(names.slice(at, at + AT_ONCE))))
  return found
}

const unitsOf = ({ total, available, reserved, sold }: Units): Units => ({ total, available, reserved, sold })

const isEqual = (a: Units, b: Units): boolean =>
  a.total === b.total && a.available === b.available && a.reserved === b.reserved && a.sold === b.sold
