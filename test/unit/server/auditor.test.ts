// The auditor beside the turns: what a fault looks like to clients and operators, when marks are written, what the outbox may not say.

import { describe, expect, it } from 'vitest'
import { recount } from '../../../src/stock/audit.ts'
import { millis } from '../../../src/base/brand.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { Auditor } from '../../../src/server/audit/auditor.ts'
import type { Audited } from '../../../src/server/audit/auditor.ts'
import { OutboxWatch } from '../../../src/server/audit/outbox-watch.ts'
import type { EventFeed, FeedStatus } from '../../../src/server/event-feed.ts'
import { Options } from '../../../src/server/options.ts'
import { NodeStage } from './node-stage.ts'
import { FakeEnv } from './stage.ts'

/** Beats until the recount has been round once more. */
function pass(stage: NodeStage, auditor: Auditor): void {
  for (const end = auditor.passes + 2; auditor.passes < end;) {
    stage.env.now += 50
    auditor.beat(stage.env.now)
  }
}

describe('a SKU whose numbers are not what its orders say', () => {
  function shop() {
    const stage = new NodeStage()
    const files = new Map<string, string>()
    const { node } = stage
    const keep = (name: string, text: string): string => {
      files.set(name, text)
      return `evidence/${name}`
    }
    const auditor = new Auditor(node, keep)
    // The node's own keeps no files here.
    Object.assign(node, { auditor })
    const client = stage.connect()
    client.ask('STOCK.CREATE cup 10')
    client.ask('STOCK.CREATE pen 10')
    client.ask('STOCK.RESERVE {ann}1 ITEMS cup 2')
    client.ask('STOCK.RESERVE {ann}2 ITEMS cup 1')
    client.ask('STOCK.RESERVE {bob}1 PAID ITEMS cup 1')
    const cup = node.engine.ledger.state.sku(0)
    return { stage, node, auditor, client, files, cup }
  }

  it('is frozen for new orders, and everything else goes on', () => {
    const { stage, auditor, client, files, cup } = shop()
    pass(stage, auditor)
    expect([auditor.violations, auditor.frozen, files.size]).toEqual([0, 0, 0])

    cup.reserved++
    cup.available--
    pass(stage, auditor)
    expect([auditor.violations, auditor.frozen]).toEqual([1, 1])
    expect(stage.env.said.filter((line) => line.startsWith('warning AUDIT FAILED'))).toHaveLength(1)

    const refusal = /^-MISCONF audit failed for SKU 'cup'/
    expect(client.ask('STOCK.RESERVE {eve}1 ITEMS cup 1')).toMatch(refusal)
    expect(client.ask('STOCK.RESERVE {eve}1 PAID ITEMS cup 1')).toMatch(refusal)
    expect(client.ask('STOCK.RESERVE {eve}1 ITEMS pen 1 cup 1')).toMatch(refusal)
    expect(client.ask('STOCK.GET pen')).toBe(':10\r\n')
    expect(client.ask('STOCK.RESERVE {ann}1 ITEMS cup 2')).toMatch(/^\*5\r\n\+OK\r\n.*replay/s)
    expect(client.ask('STOCK.RESERVE {eve}2 ITEMS pen 1')).toMatch(/^\*5\r\n\+OK\r\n/)
    expect(client.ask('STOCK.CONFIRM {ann}1')).toMatch(/^\*3\r\n\+OK\r\n/)
    expect(client.ask('STOCK.RELEASE {ann}2')).toMatch(/^\*3\r\n\+OK\r\n/)
    expect(client.ask('STOCK.RETURN {bob}1')).toMatch(/^\*3\r\n\+OK\r\n/)

    expect(client.ask('STOCK.VERIFY')).toMatch(/cup: reserved 1, its open holds have 0/)
    expect(client.text('INFO stock')).toMatch(/audit_violations:1\r\naudit_frozen_skus:1\r\n/)
    expect(client.ask('STOCK.AUDIT STATUS')).toMatch(
      /frozen\r\n\*1\r\n\*4\r\n\$3\r\ncup\r\n:\d+\r\n.*reserved 4, its open holds have 3.*evidence\/audit-/s,
    )

    // Further passes find it again; it was told already.
    pass(stage, auditor)
    expect([auditor.violations, auditor.frozen, files.size]).toEqual([1, 1, 1])
  })

  it('leaves evidence: what was expected and found, the SKU, its orders, when', () => {
    const { stage, node, auditor, files, cup } = shop()
    cup.sold++
    cup.available--
    pass(stage, auditor)
    const [[name, text]] = [...files]
    expect(name).toMatch(/^audit-\d{8}T\d{9}Z-\d+\.json$/)
    const evidence = JSON.parse(text) as Record<string, unknown>
    expect(evidence).toMatchObject({
      lsn: node.lastLsn,
      run_id: node.runId,
      violations: [{ equation: 'E3', expected: 1, found: 2, text: 'cup: sold 2, its orders have 1' }],
      sku: { name: 'cup', total: 10, available: 5, reserved: 3, sold: 2, holds: 2 },
      orders_complete: true,
      orders_shown: 3,
    })
    expect(evidence['orders']).toContainEqual(
      expect.objectContaining({ id: '{ann}1', state: 'RESERVED', items: [{ sku: 0, quantity: 2, units: 2 }] }),
    )
  })

  it('takes orders again after RETRY, if it is clean', () => {
    const { stage, auditor, client, cup } = shop()
    cup.reserved++
    cup.available--
    pass(stage, auditor)
    expect(client.ask('STOCK.AUDIT RETRY cup')).toMatch(/^-MISCONF audit failed again: cup: reserved 4/)
    expect(client.ask('STOCK.AUDIT RETRY nosuch')).toMatch(/^-NOSKU/)
    expect(client.ask('STOCK.AUDIT RETRY pen')).toBe('+OK\r\n')
    expect(auditor.frozen).toBe(1)
    cup.reserved--
    cup.available++
    expect(recount(stage.node.engine.ledger.state, cup).violations).toEqual([])
    expect(client.ask('STOCK.AUDIT RETRY cup')).toBe('+OK\r\n')
    expect(auditor.frozen).toBe(0)
    expect(client.ask('STOCK.RESERVE {eve}1 ITEMS cup 1')).toMatch(/^\*5\r\n\+OK\r\n/)
    pass(stage, auditor)
    expect(auditor.frozen).toBe(0)
  })

  it('is forgotten when it is dropped: a new SKU of that name is another one', () => {
    const { stage, auditor, client, cup } = shop()
    cup.sold++
    cup.available--
    pass(stage, auditor)
    client.ask('STOCK.DROP cup FORCE')
    client.ask('STOCK.CREATE cup 5')
    expect(client.ask('STOCK.RESERVE {eve}1 ITEMS cup 1')).toMatch(/^\*5\r\n\+OK\r\n/)
    pass(stage, auditor)
    expect(client.text('INFO stock')).toMatch(/audit_frozen_skus:0\r\n/)
  })

  it('is frozen though its evidence cannot be written', () => {
    const { stage, node, client, cup } = shop()
    const full = (): never => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    }
    const auditor = new Auditor(node, full)
    cup.sold++
    cup.available--
    pass(stage, auditor)
    expect(client.ask('STOCK.RESERVE {eve}1 ITEMS cup 1')).toMatch(/^-MISCONF audit failed/)
    expect(stage.env.said).toContain('warning the evidence of a failed audit could not be written: ENOSPC: no space left on device')
  })
})

describe('the recount', () => {
  it('looks at the asked share of everything per second', () => {
    const stage = new NodeStage({ 'audit-rate': 10 })
    const { auditor } = stage.node
    const client = stage.connect()
    client.ask('STOCK.CREATE cup 100000')
    for (let i = 0; i < 20_000; i++) client.ask(`STOCK.RESERVE {b${i}}1 ITEMS cup 1`)
    const beats = (seconds: number): void => {
      for (let i = 0; i < seconds * 20; i++) auditor.beat((stage.env.now += 50))
    }
    beats(5)
    expect(auditor.passes).toBe(0)
    expect(auditor.looked).toBeGreaterThan(0.45 * 40_001)
    beats(6)
    expect(auditor.passes).toBe(1)
  })

  it('rests at a rate of 0, and goes on where it was', () => {
    const stage = new NodeStage({ 'audit-rate': 0 })
    const { auditor } = stage.node
    auditor.beat(stage.env.now)
    expect(auditor.looked).toBe(0)
    stage.connect().ask('STOCK.CREATE cup 10')
    stage.connect().ask('CONFIG SET audit-rate 1')
    pass(stage, auditor)
    expect(auditor.looked).toBeGreaterThan(0)
  })
})

describe('audit marks', () => {
  function rig(sink: FeedStatus['sink'] = 'sqlite') {
    const env = new FakeEnv()
    const engine = new Engine({ seed: 1 })
    const options = new Options()
    let refusal: string | null = null
    const audited = {
      engine,
      env,
      options,
      turn: { begin() {} },
      feed: { status: statusOf({ sink }) } as unknown as EventFeed,
      log: { refusal: () => refusal },
      lastLsn: 0,
      runId: '',
    }
    const auditor = new Auditor(audited as unknown as Audited, null)
    const wait = (ms: number): void => {
      for (let i = 0; i < ms; i += 50) auditor.beat((env.now += 50))
    }
    engine.advance(millis(env.now))
    const state = engine.ledger.state
    const sell = (): unknown =>
      state.skuCount === 0
        ? state.createSku(Buffer.from('cup'), { total: 5, terms: TERMS }, 1)
        : state.adjustSku(state.sku(0), { id: `a${engine.now}${Math.random()}`, asked: 1, applied: 1 })
    return { env, engine, auditor, wait, sell, refuse: (text: string | null) => (refusal = text), options }
  }
  const TERMS = {
    holdSeconds: 900,
    maxHoldSeconds: 1800,
    limit: 0,
    maxQuantity: 1e9,
    safety: 0,
    start: 0,
    end: 0,
    price: -1,
    seller: '',
    paused: false,
  }

  it('are written at once after a start, then every ten seconds, and never when nothing changed', () => {
    const { engine, auditor, wait, sell } = rig()
    sell()
    wait(50)
    expect([auditor.marks, engine.journal.records]).toEqual([1, 1])
    wait(60_000)
    expect(auditor.marks).toBe(1)
    sell()
    wait(10_000)
    expect(auditor.marks).toBe(2)
    sell()
    wait(9_000)
    expect(auditor.marks).toBe(2)
    wait(1_100)
    expect(auditor.marks).toBe(3)
  })

  it('are not written without anybody who compares, nor into a log that refuses', () => {
    const none = rig('none')
    none.sell()
    none.wait(60_000)
    expect(none.auditor.marks).toBe(0)
    const full = rig()
    full.sell()
    full.refuse('MISCONF no space')
    full.wait(60_000)
    expect([full.auditor.marks, full.engine.journal.records]).toEqual([0, 0])
    full.refuse(null)
    full.wait(10_000)
    expect(full.auditor.marks).toBe(1)
  })
})

function statusOf(status: Partial<FeedStatus> = {}): FeedStatus {
  return {
    sink: 'amqp',
    state: 'connected',
    isConnected: true,
    published: [],
    acked: [],
    stored: [],
    storedLsn: 0,
    storedTime: 0,
    keepFrom: 0,
    backlogBytes: 0,
    backlogBytesMax: 0,
    lagMs: 0,
    cpuMicros: 0,
    counters: {},
    ...status,
  }
}

describe('the watch over the events on their way', () => {
  const made = [0, 0]
  const watch = (): OutboxWatch => new OutboxWatch(2, (part) => made[part])

  it('knows how far behind each step is, in events and in time, by the part that is worst', () => {
    const watched = watch()
    let now = 100_000
    const status = statusOf({ published: [0, 0], acked: [0, 0], stored: [0, 0] })
    made.splice(0, 2, 10, 5)
    watched.look(now, status)
    made[1] = 9
    watched.look((now += 1000), status)
    expect(watched.events(status, 'stored')).toBe(19)
    expect(watched.ageMs(now + 500, status, 'stored')).toBe(1500)
    const later = statusOf({ published: [10, 9], acked: [10, 5], stored: [10, 4] })
    expect(watched.ageMs(now + 500, later, 'published')).toBe(0)
    expect(watched.ageMs(now + 500, later, 'acked')).toBe(500)
    expect(watched.ageMs(now + 500, later, 'stored')).toBe(1500)
    expect(watched.events(later, 'acked')).toBe(4)
  })

  it('remembers for how long a step has stood still, with a bounded number of notes', () => {
    const watched = watch()
    const status = statusOf({ published: [0, 0], acked: [0, 0], stored: [0, 0] })
    made.splice(0, 2, 0, 0)
    let now = 1_000_000
    for (let second = 0; second < 20_000; second++, now += 1000) {
      made[0]++
      watched.look(now, status)
    }
    expect(watched.ageMs(now, status, 'stored')).toBe(20_000_000)
  })

  it('is patient with figures that overtake each other, and not with events that were never made', () => {
    const watched = watch()
    made.splice(0, 2, 10, 10)
    const overtaken = statusOf({ published: [8, 8], acked: [5, 5], stored: [6, 5] })
    const right = statusOf({ published: [8, 8], acked: [6, 5], stored: [6, 5] })
    let now = 1_000_000
    expect(watched.look(now, overtaken)).toBe(false)
    expect(watched.look((now += 59_000), overtaken)).toBe(false)
    expect(watched.look((now += 500), right)).toBe(false)
    expect(watched.look((now += 1000), overtaken)).toBe(false)
    expect(watched.look((now += 59_000), overtaken)).toBe(false)
    expect(watched.look((now += 1000), overtaken)).toBe(true)
    expect(watched.look((now += 1000), overtaken)).toBe(false)
    expect(watched.alarm).toBe('part 0: stored 6, acked 5, published 8: each should be at most the next')
    expect(watched.look((now += 1000), right)).toBe(false)
    expect([watched.alarm, watched.alarms]).toEqual([null, 1])
    const ahead = statusOf({ published: [8, 8], acked: [8, 8], stored: [11, 5] })
    expect(watched.look((now += 1000), ahead)).toBe(true)
    expect(watched.alarm).toMatch(/^part 0: event 11 is stored, but this node made only 10/)
  })
})
