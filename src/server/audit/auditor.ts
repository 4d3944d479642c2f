// The audit beside the turns. Once a beat it recounts a slice of the orders (engine/audit), now and then it writes an audit
// mark, and it watches the events on their way (outbox-watch.ts).
//
// What failed is frozen by the engine (engine/audit/stock-audit.ts); here it is said, counted and kept in the evidence folder.
//
// E1 (total = available + reserved + sold) is asserted at every change as well, and stops the node there: see stock/sku.ts.

import { type AuditFailure, StockAudit } from '../../engine/audit/stock-audit.ts'
import type { Engine } from '../../engine/engine.ts'
import { PARTS } from '../../engine/outbox.ts'
import type { Env } from '../env.ts'
import type { EventFeed } from '../event-feed.ts'
import type { Options } from '../options.ts'
import type { Turn } from '../turn.ts'
import { STOCKD_VERSION } from '../version.ts'
import { OutboxWatch } from './outbox-watch.ts'

/** Time of the main thread that one slice may take; it looks at the clock every so many steps. */
const SLICE_MICROS_MAX = 1500
const STEPS_PER_LOOK = 64
/** Steps per beat at least: a small shop is recounted every few seconds. */
const STEPS_MIN = 32
/** What a node that stood still makes up for. */
const CATCH_UP_MS = 200
const ROUND_MS = 1000
/** SKUs in one audit mark: some hundred microseconds, and a record of some 100 KiB. */
const SKUS_PER_MARK = 1000
/** Files of one process: a fault that is everywhere must not fill the disk. */
const EVIDENCE_MAX = 100

/** Keeps a file of evidence. @returns where. Throws an Error if it cannot. */
export type KeepEvidence = (name: string, text: string) => string

/** The node, as the auditor sees it. */
export interface Audited {
  readonly engine: Engine
  readonly env: Env
  readonly options: Options
  readonly turn: Turn
  readonly feed: EventFeed | null
  readonly log: { refusal(): string | null } | null
  readonly lastLsn: number
  readonly runId: string
}

export class Auditor {
  readonly outbox: OutboxWatch
  /** Begins with the first slice: a node without audit pays nothing. */
  stock: StockAudit | null = null
  marks = 0
  lastMarkAt = 0
  /** Longest slice, microseconds. */
  longestSlice = 0
  readonly #node: Audited
  readonly #keep: KeepEvidence | null
  #evidence = 0
  /** SKU's generation -> the file of its evidence. */
  readonly #evidenceOf = new Map<number, string>()
  #owed = 0
  #beatAt = 0
  #roundAt = 0
  #markDueAt = 0

  /** @param keep null: evidence is only said */
  constructor(node: Audited, keep: KeepEvidence | null) {
    this.#node = node
    this.#keep = keep
    this.outbox = new OutboxWatch(PARTS, (part) => node.engine.outbox.last(part))
  }

  get violations(): number {
    return this.stock?.violations ?? 0
  }

  /** SKUs that take no new orders. */
  get frozen(): number {
    return this.stock?.frozen ?? 0
  }

  get passes(): number {
    return this.stock?.passes ?? 0
  }

  /** Orders, SKUs and buyers looked at. */
  get looked(): number {
    return this.stock?.looked ?? 0
  }

  /** The frozen SKUs, each with the file of its evidence; '': there is none. */
  failures(): { readonly failure: AuditFailure; readonly evidence: string }[] {
    const failures = this.stock?.failures() ?? []
    return failures.map((failure) => ({ failure, evidence: this.#evidenceOf.get(failure.generation) ?? '' }))
  }

  /** Once a beat, between commands. */
  beat(now: number): void {
    this.#recountSlice(now)
    if (now >= this.#markDueAt) this.#mark(now)
    if (now - this.#roundAt < ROUND_MS) return
    this.#roundAt = now
    this.#watchOutbox(now)
  }

  /** STOCK.AUDIT RETRY. @returns what is still wrong with the SKU; null: there is no such SKU */
  retry(bytes: Uint8Array, start: number, end: number): readonly string[] | null {
    const { engine, env } = this.#node
    this.stock ??= new StockAudit(engine.ledger)
    const before = this.frozen
    const wrong = this.stock.retry(bytes, start, end)
    if (this.frozen < before)
      env.say('notice', 'the audit of a SKU is clean again: it takes new orders', { sku: latin1(bytes, start, end) })
    return wrong
  }

  #recountSlice(now: number): void {
    const { engine, env, options } = this.#node
    const rate = options.values['audit-rate']
    const elapsed = Math.min(CATCH_UP_MS, this.#beatAt === 0 ? 0 : now - this.#beatAt)
    this.#beatAt = now
    if (rate === 0) return
    this.stock ??= new StockAudit(engine.ledger)
    const perBeat = Math.max(STEPS_MIN, (this.stock.steps * rate * elapsed) / 100_000)
    this.#owed = Math.min(this.#owed + perBeat, perBeat * 2)
    const began = env.clock.micros()
    let micros = 0
    while (this.#owed >= 1 && micros < SLICE_MICROS_MAX) {
      const steps = Math.min(STEPS_PER_LOOK, Math.floor(this.#owed))
      const { passes } = this.stock
      const failures = this.stock.slice(steps, now)
      this.#owed -= steps
      micros = env.clock.micros() - began
      for (const failure of failures) this.#failed(failure)
      // A small shop: once round is enough for this beat.
      if (this.stock.passes !== passes) this.#owed = 0
    }
    if (micros > this.longestSlice) this.longestSlice = micros
  }

  #failed(failure: AuditFailure): void {
    const evidence = this.#keepEvidence(failure)
    this.#node.env.say(
      'warning',
      'AUDIT FAILED: the numbers of a SKU are not what its orders say. It takes no new orders; CONFIRM and RELEASE go on. ' +
        'STOCK.AUDIT RETRY recounts it; before a restart copy the directory. Please report this with the evidence',
      { sku: failure.name, what: failure.text, evidence: evidence ?? 'none', lsn: this.#node.lastLsn },
    )
  }

  #keepEvidence(failure: AuditFailure): string | null {
    const { env, lastLsn, runId, options } = this.#node
    if (this.#keep === null || this.stock === null || this.#evidence === EVIDENCE_MAX) return null
    this.#evidence++
    const time = new Date(failure.since).toISOString()
    const source = { time, node: `n${options.values['node-number']}`, run_id: runId, version: STOCKD_VERSION, lsn: lastLsn }
    const stamp = time.replaceAll(/[-:.]/g, '')
    try {
      const path = this.#keep(`audit-${stamp}-${failure.generation}.json`, this.stock.evidence(failure, source))
      this.#evidenceOf.set(failure.generation, path)
      return path
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      env.say('warning', `the evidence of a failed audit could not be written: ${error.message}`, { sku: failure.name })
      return null
    }
  }

  /** The numbers of the SKUs that changed, for the databases to compare theirs with. */
  #mark(now: number): void {
    const { engine, feed, log, turn, options, env } = this.#node
    const seconds = options.values['audit-mark-interval']
    this.#markDueAt = now + Math.max(1, seconds) * 1000
    if (seconds === 0 || log === null || feed === null || feed.status.sink === 'none') return
    if (engine.ledger.state.unmarked.size === 0 || log.refusal() !== null) return
    turn.begin()
    const left = engine.auditMark(SKUS_PER_MARK)
    this.marks++
    this.lastMarkAt = env.clock.now()
    // Very many SKUs changed: the next mark comes with the next beat.
    if (left > 0) this.#markDueAt = now
  }

  #watchOutbox(now: number): void {
    const { feed, env } = this.#node
    if (feed === null || feed.status.sink === 'none') return
    if (this.outbox.look(now, feed.status)) {
      env.say('warning', `the events on their way contradict each other (E8): ${this.outbox.alarm}`)
    }
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1')
}
