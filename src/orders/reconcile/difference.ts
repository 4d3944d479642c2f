// One order at the node and in the database, compared: what differs, in words. Pure.
//
// Deadlines are not compared: a restart of the node moves them without an event, and the next event of the order tells them. Neither are
// prices and sellers, which the node does not tell; the database's own events vouch for them (`verify`).

import type { StoredOrder } from '../store/store.ts'
import type { NodeOrder } from './node-view.ts'

/**
 * missing   the database does not have it
 * behind    the database lacks its latest events
 * ahead     the database has later events than the node: the node was put back to an older log
 * unknown   the node does not know it, and should
 * rows      the same version, and other rows
 */
export type DifferenceKind = 'missing' | 'behind' | 'ahead' | 'unknown' | 'rows'

export interface OrderDifference {
  readonly id: string
  readonly kind: DifferenceKind
  /** The node's name; null: no node knows it. */
  readonly node: string | null
  readonly says: readonly string[]
  readonly atNode: { readonly state: string; readonly version: number; readonly created: number } | null
  readonly stored: { readonly state: string; readonly version: number } | null
}

const UNITS = ['reserved', 'sold', 'released', 'returned'] as const

/** @returns null: they are the same, or nobody has it */
export function orderDifference(
  id: string,
  node: string | null,
  atNode: NodeOrder | null,
  stored: StoredOrder | null,
): OrderDifference | null {
  const at = atNode === null ? null : { state: atNode.state, version: atNode.version, created: atNode.created }
  const here = stored === null ? null : { state: stored.state, version: stored.version }
  const found = (kind: DifferenceKind, ...says: string[]): OrderDifference => ({ id, kind, node, says, atNode: at, stored: here })
  if (atNode === null) {
    if (stored === null) return null
    return found('unknown', `the database has it ${headOf(stored)}, the node does not know it`)
  }
  if (stored === null) return found('missing', `the node has it ${headOf(atNode)}, the database does not have it`)
  if (stored.version !== atNode.version) {
    const kind = stored.version < atNode.version ? 'behind' : 'ahead'
    return found(kind, `the node has it ${headOf(atNode)}, the database ${headOf(stored)}`)
  }
  const says: string[] = []
  const compare = (what: string, theirs: string | number | null, ours: string | number | null): void => {
    if (theirs !== ours) says.push(`${what} is ${shown(theirs)} at the node, ${shown(ours)} in the database`)
  }
  compare('state', atNode.state, stored.state)
  compare('buyer', atNode.buyer, stored.buyer)
  compare('ref', atNode.ref, stored.ref)
  for (const item of atNode.items) {
    const ours = stored.items.find(({ sku }) => sku === item.sku)
    if (ours === undefined) says.push(`${item.sku} is not among its items in the database`)
    else for (const units of UNITS) compare(`${item.sku}: ${units}`, item[units], ours[units])
  }
  for (const { sku } of stored.items) {
    if (!atNode.items.some((item) => item.sku === sku)) says.push(`${sku} is not among its items at the node`)
  }
  return says.length === 0 ? null : found('rows', ...says)
}

/** Units as an order of this state has them: an order that lacks an event in its middle nearly always has others. */
export function isPlausible({ state, items }: StoredOrder): boolean {
  const units = { reserved: 0, sold: 0, released: 0, returned: 0 }
  for (const item of items) {
    for (const kind of UNITS) {
      if (item[kind] < 0) return false
      units[kind] += item[kind]
    }
  }
  switch (state) {
    case 'RESERVED':
      return units.reserved > 0 && units.sold + units.returned === 0
    case 'CONFIRMED':
      return units.reserved === 0
    case 'RETURNED':
      return units.reserved + units.sold === 0
    default:
      return units.reserved + units.sold + units.returned === 0
  }
}

const headOf = ({ state, version }: { readonly state: string; readonly version: number }): string => `${state} (version ${version})`

const shown = (value: string | number | null): string => (value === null ? 'nothing' : String(value))
