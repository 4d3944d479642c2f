// The recount of stock while the node sells, and what follows from it: a SKU whose numbers are not what its orders say takes no new
// orders; RESERVE answers MISCONF, CONFIRM and RELEASE go on.
//
// A freeze is not in the log: it ends with `retry`, if a recount of the SKU is clean, and with the process. A restart takes the numbers
// from the log. That heals a memory that forgot, unless the SKU changed since: then a record has wrong numbers, and replay stops at it.
// A bug of ours makes the same numbers again, and is found again within a pass.

import { recount } from '../../stock/audit.ts'
import type { Ledger } from '../../stock/ledger.ts'
import { RollingRecount, type Violation } from '../../stock/rolling-recount.ts'
import type { Sku } from '../../stock/sku.ts'
import { evidenceOf, type EvidenceSource } from './evidence.ts'

/** A SKU that failed, and is frozen since. */
export interface AuditFailure {
  /** Its bytes, and one character per byte. */
  readonly bytes: Uint8Array
  readonly name: string
  readonly generation: number
  readonly since: number
  readonly violations: readonly Violation[]
  /** In words. */
  readonly text: string
}

const NONE: readonly AuditFailure[] = []

export class StockAudit {
  /** Violations found so far; those of a SKU that is frozen already do not count again. */
  violations = 0
  readonly #ledger: Ledger
  readonly #recount: RollingRecount
  readonly #failures = new Map<Sku, AuditFailure>()

  /** Hears of every change of the ledger from now on, also when nobody asks for slices. */
  constructor(ledger: Ledger) {
    this.#ledger = ledger
    this.#recount = new RollingRecount(ledger.state)
  }

  /** Complete passes over everything. */
  get passes(): number {
    return this.#recount.passes
  }

  /** Orders, SKUs and buyers looked at. */
  get looked(): number {
    return this.#recount.looked
  }

  /** How many a pass looks at, as things are. */
  get steps(): number {
    return this.#recount.steps
  }

  /** The SKUs that are frozen now. */
  failures(): AuditFailure[] {
    for (const sku of this.#failures.keys()) if (sku.isDropped || !sku.isFrozen) this.#failures.delete(sku)
    return [...this.#failures.values()]
  }

  get frozen(): number {
    return this.#failures.size === 0 ? 0 : this.failures().length
  }

  /** Looks at about so many orders, SKUs and buyers; freezes what does not add up. @returns the SKUs that were frozen. */
  slice(steps: number, now: number): readonly AuditFailure[] {
    const found = this.#recount.slice(steps)
    if (found.length === 0) return NONE
    const failures: AuditFailure[] = []
    for (const [sku, violations] of Map.groupBy(found, (violation) => violation.sku)) {
      if (sku.isFrozen || sku.isDropped) continue
      sku.isFrozen = true
      this.violations += violations.length
      const failure = {
        bytes: sku.name,
        name: Buffer.from(sku.name).toString('latin1'),
        generation: sku.generation,
        since: now,
        violations,
        text: violations.map(({ text }) => text).join('; '),
      }
      this.#failures.set(sku, failure)
      failures.push(failure)
    }
    return failures
  }

  /** What is kept for whoever looks into it, as JSON: bounded, and one instant's truth. */
  evidence({ violations, since }: AuditFailure, source: EvidenceSource): string {
    return evidenceOf(this.#ledger.state, { sku: violations[0].sku, violations, at: since }, source)
  }

  /** Recounts a SKU, O(orders); if nothing is wrong any more, it takes new orders again. @returns what is wrong; null: no such SKU. */
  retry(bytes: Uint8Array, start: number, end: number): readonly string[] | null {
    const { state } = this.#ledger
    const number = state.names.find(bytes, start, end)
    if (number < 0) return null
    const sku = state.sku(number)
    const { violations } = recount(state, sku)
    if (violations.length > 0) return violations
    sku.isFrozen = false
    this.#failures.delete(sku)
    return violations
  }
}
