// Compares the database with the node at a mark (ORDERS.md 8): both count the same events, so their numbers are equal or something is wrong.
//
// A mark is compared when every part has reached it. Each part has noted what its ledger was at that very event, so no clock and no
// delay plays a part. A store that came later than the node (some part's first event is not 1) takes the node's numbers at the first mark
// as what was before (`baselines`), and compares from the second on.

import type { Balances } from './rows.ts'

/** A row of audit_marks: what one part stored about one SKU. */
export interface MarkNote {
  readonly sku: string
  readonly generation: number
  /** Equal in all parts. */
  readonly node: Balances
  readonly stored: Balances
}

export interface SkuNumbers extends Balances {
  readonly sku: string
  readonly generation: number
}

export interface MarkComparison {
  readonly differences: readonly string[]
  /** To be added to the ledger under part -1: what the store never saw. */
  readonly baselines: readonly SkuNumbers[]
}

const FIELDS = ['total', 'available', 'reserved', 'sold'] as const

/**
 * @param notes of all parts
 * @param baselines that are there already; null: the store has every event from the first on, and needs none
 */
export function compareMark(notes: readonly MarkNote[], baselines: readonly SkuNumbers[] | null): MarkComparison {
  const differences: string[] = []
  const added: SkuNumbers[] = []
  const bySku = Map.groupBy(notes, ({ sku, generation }) => `${generation} ${sku}`)
  for (const ofSku of bySku.values()) {
    const [{ sku, generation, node }] = ofSku
    const stored = { total: 0, available: 0, reserved: 0, sold: 0 }
    for (const note of ofSku) for (const field of FIELDS) stored[field] += note.stored[field]
    if (baselines !== null) {
      const before = baselines.find((baseline) => baseline.sku === sku && baseline.generation === generation)
      if (before === undefined) {
        const { total, available, reserved, sold } = node
        added.push({
          sku,
          generation,
          total: total - stored.total,
          available: available - stored.available,
          reserved: reserved - stored.reserved,
          sold: sold - stored.sold,
        })
        continue
      }
      for (const field of FIELDS) stored[field] += before[field]
    }
    const wrong = FIELDS.filter((field) => stored[field] !== node[field])
    if (wrong.length === 0) continue
    differences.push(
      `${sku} (generation ${generation}): ${wrong.map((field) => `${field} is ${node[field]} at the node, ${stored[field]} here`).join(', ')}`,
    )
  }
  return { differences, baselines: added }
}
