// What is kept of a failed audit, for whoever looks into it: what was expected and found, the SKU's row, orders of it, where the log was.
//
// Collected between two turns, so it is one instant's truth. It is bounded: of a SKU with millions of orders it shows the first holds
// and what a part of the table has, and says so. The whole history is in the log up to the LSN.

import type { LedgerState } from '../../stock/ledger-state.ts'
import type { Violation } from '../../stock/rolling-recount.ts'
import type { Sku } from '../../stock/sku.ts'
import { ORDER_STATES } from '../../stock/state.ts'

/** Orders that are shown, and how many the table is asked for. */
const ORDERS_SHOWN = 2000
const HOLDS_SHOWN = 1000
const ORDERS_LOOKED_AT = 20_000

/** What only the node knows: which process it is, where its log is. */
export type EvidenceSource = Readonly<Record<string, string | number>>

/** The bundle, as JSON. Names are one character per byte. */
export function evidenceOf(
  state: LedgerState,
  { sku, violations, at }: { readonly sku: Sku; readonly violations: readonly Violation[]; readonly at: number },
  source: EvidenceSource,
): string {
  const orders = ordersOf(state, sku)
  const { terms } = sku
  return `${JSON.stringify(
    {
      what: 'an audit failed: the numbers of a SKU are not what its orders say',
      at,
      ...source,
      violations: violations.map(({ equation, expected, found, text }) => ({ equation, expected, found, text })),
      sku: {
        name: latin1(sku.name),
        number: sku.number,
        generation: sku.generation,
        version: sku.version,
        total: sku.total,
        available: sku.available,
        reserved: sku.reserved,
        sold: sku.sold,
        settled: sku.settled,
        confirmed_units: sku.confirmedUnits,
        released_units: sku.releasedUnits,
        expired_units: sku.expiredUnits,
        returned_units: sku.returnedUnits,
        holds: sku.holds.size,
        order_rows: sku.orderRows,
        created_total: sku.origin.total,
        terms,
      },
      orders_shown: orders.length,
      orders_complete: orders.length === sku.orderRows,
      orders,
    },
    null,
    1,
  )}\n`
}

function ordersOf(state: LedgerState, sku: Sku): object[] {
  const { rows } = state
  const found = new Set<number>()
  sku.holds.forEachAfter(0, 0, (order) => found.add(order).size < HOLDS_SHOWN)
  let looked = 0
  let cursor = 0
  do {
    cursor = rows.table.scan(cursor, 256, (order) => {
      looked++
      if (found.size < ORDERS_SHOWN && contains(state, order, sku)) found.add(order)
    })
  } while (cursor !== 0 && looked < ORDERS_LOOKED_AT && found.size < ORDERS_SHOWN)
  return [...found].map((order) => rowOf(state, order))
}

function contains(state: LedgerState, order: number, sku: Sku): boolean {
  const { rows } = state
  for (let i = rows.itemCount(order) - 1; i >= 0; i--) if (rows.itemSku(order, i) === sku.number) return true
  return false
}

function rowOf(state: LedgerState, order: number): object {
  const { rows } = state
  const start = rows.idStart(order)
  state.readUnits(order, state.extraOf(order))
  return {
    id: latin1(rows.bytes(order).subarray(start, start + rows.idLength(order))),
    state: ORDER_STATES[rows.state(order)] ?? rows.state(order),
    version: rows.version(order),
    created: rows.created(order),
    sequence: rows.sequence(order),
    deadline: rows.deadline(order),
    at: rows.at(order),
    items: Array.from({ length: rows.itemCount(order) }, (_, i) => ({
      sku: rows.itemSku(order, i),
      quantity: rows.itemQuantity(order, i),
      units: state.units[i],
    })),
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
