// What /metrics says: readable for Prometheus, equal to INFO, few series, cheap; and the alert rules name nothing that is not there.

import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { consumerMetrics, consumerReadiness } from '../../../src/cli/metrics/consumer-metrics.ts'
import { nodeMetrics } from '../../../src/cli/metrics/node-metrics.ts'
import { Metrics } from '../../../src/cli/metrics/registry.ts'
import type { ConsumerStatus } from '../../../src/orders/consumer/consumer.ts'
import type { EventFeed } from '../../../src/server/event-feed.ts'
import { readinessOf } from '../../../src/server/readiness.ts'
import { Scrape } from '../../support/prometheus-text.ts'
import { NodeStage } from '../server/node-stage.ts'

const open: Metrics[] = []
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.close()
})

function watch(stage: NodeStage): () => Promise<Scrape> {
  const metrics = new Metrics(nodeMetrics(stage.node))
  open.push(metrics)
  return async () => new Scrape(await metrics.text())
}

describe('the metrics of a node', () => {
  it('are what INFO says', async () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const scrape = watch(stage)
    client.ask('STOCK.CREATE cup 10')
    client.ask('STOCK.CREATE pen 5')
    client.ask('STOCK.RESERVE {ann}1 ITEMS cup 2 pen 1')
    client.ask('STOCK.RESERVE {ann}2 ITEMS cup 3')
    client.ask('STOCK.RESERVE {ann}3 PAID ITEMS cup 1')
    client.ask('STOCK.CONFIRM {ann}1')
    client.ask('STOCK.RELEASE {ann}2')
    client.ask('STOCK.RESERVE {bob}1 ITEMS cup 1')
    client.ask('STOCK.RESERVE {bob}2 ITEMS cup 100')
    client.ask('STOCK.RESERVE {bob}2 ITEMS nosuch 1')
    client.ask('SET key value')
    client.ask('GET key')
    client.ask('GET other')
    client.ask('NOSUCH')
    const info = new Map(
      client
        .text('INFO everything')
        .split('\r\n')
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    )
    const now = await scrape()
    const figure = (name: string): number => Number(info.get(name))
    const pairs: [number, string][] = [
      [now.value('stockd_stock_skus'), 'stock_skus'],
      [now.value('stockd_stock_units', { state: 'available' }), 'stock_units_available'],
      [now.value('stockd_stock_units', { state: 'reserved' }), 'stock_units_reserved'],
      [now.value('stockd_stock_units', { state: 'sold' }), 'stock_units_sold'],
      [now.value('stockd_stock_moved_units_total', { move: 'confirmed' }), 'stock_confirmed_units'],
      [now.value('stockd_stock_moved_units_total', { move: 'released' }), 'stock_released_units'],
      [now.value('stockd_stock_orders', { state: 'reserved' }), 'stock_orders_open'],
      [now.value('stockd_stock_orders', { state: 'confirmed' }), 'stock_orders_confirmed'],
      [now.value('stockd_stock_orders', { state: 'finished' }), 'stock_orders_finished'],
      [now.sum('stockd_stock_orders'), 'stock_orders'],
      [now.value('stockd_stock_buyers'), 'stock_buyers'],
      [now.value('stockd_stock_refusals_total', { reason: 'soldout' }), 'stock_refused_soldout'],
      [now.value('stockd_events_total'), 'stock_events'],
      [now.value('stockd_connections'), 'connected_clients'],
      [now.value('stockd_key_lookups_total', { result: 'hit' }), 'keyspace_hits'],
      [now.value('stockd_key_lookups_total', { result: 'miss' }), 'keyspace_misses'],
      [now.sum('stockd_error_replies_total'), 'total_error_replies'],
    ]
    for (const [value, name] of pairs) expect(value, name).toBe(figure(name))
    expect(now.value('stockd_stock_commands_total', { command: 'stock.reserve' })).toBe(6)
    expect(now.value('stockd_commands_total', { family: 'string' })).toBe(3)
    expect(now.value('stockd_error_replies_total', { kind: 'NOSKU' })).toBe(1)
    expect([now.value('stockd_stock_units', { state: 'sold' }), now.value('stockd_stock_refusals_total', { reason: 'soldout' })]).toEqual([
      4, 1,
    ])
  })

  it('only go up where they are counters, also when SKUs are dropped', async () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const scrape = watch(stage)
    let last = await scrape()
    for (const line of [
      'STOCK.CREATE cup 10',
      'STOCK.RESERVE {ann}1 PAID ITEMS cup 2',
      'STOCK.RESERVE {ann}2 ITEMS cup 20',
      'STOCK.RESERVE {ann}3 ITEMS cup 2',
      'STOCK.DROP cup FORCE',
      'STOCK.CREATE cup 3',
      'STOCK.RETURN {ann}1',
      'STOCK.RESERVE {ann}4 PAID ITEMS cup 1',
    ]) {
      client.ask(line)
      const now = await scrape()
      for (const { name, type, samples } of last.families.values()) {
        if (type !== 'counter') continue
        for (const { labels, value } of samples) expect(now.value(name, labels), `${name} after ${line}`).toBeGreaterThanOrEqual(value)
      }
      last = now
    }
    expect(last.value('stockd_stock_moved_units_total', { move: 'confirmed' })).toBe(3)
    expect(last.value('stockd_stock_units', { state: 'available' })).toBe(2)
  })

  it('follow the conventions, and no client makes a series', async () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const scrape = watch(stage)
    const before = await scrape()
    client.ask('STOCK.CREATE a"b\\ 10')
    for (let i = 0; i < 300; i++) {
      client.ask(`STOCK.CREATE sku${i} 10`)
      client.ask(`SET key${i} x`)
      client.ask(`NOSUCH${i}`)
      stage.connect()
    }
    stage.node.stats.countError('MADEUP by somebody')
    const after = await scrape()
    expect(after.size).toBeLessThan(before.size + 5)
    expect(after.size).toBeLessThan(200)
    for (const { name, type, help } of after.families.values()) {
      expect(name).toMatch(/^(stockd|process|nodejs)_[a-z_]+$/)
      expect(help, name).toMatch(/^\S.{10,}\.$/)
      if (name.startsWith('stockd_')) expect(name.endsWith('_total'), name).toBe(type === 'counter')
    }
  })

  it('say how far the events are, when somebody takes them', async () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const scrape = watch(stage)
    client.ask('STOCK.CREATE cup 10')
    client.ask('STOCK.RESERVE {ann}1 ITEMS cup 1')
    client.ask('STOCK.RESERVE {bob}1 ITEMS cup 1')
    expect((await scrape()).families.get('stockd_outbox_lag_events')?.samples).toEqual([])
    expect((await scrape()).families.get('stockd_outbox_connected')?.samples).toEqual([])
    expect((await scrape()).families.get('stockd_log_writable')?.samples).toEqual([])

    const { outbox } = stage.node.engine
    const made = Array.from({ length: 16 }, (_, part) => outbox.last(part))
    const status = {
      ...{ sink: 'amqp', state: 'connected', isConnected: true, storedLsn: 0, storedTime: 0, keepFrom: 0 },
      ...{ published: made, acked: made.map((n) => Math.max(0, n - 1)), stored: made.map(() => 0) },
      ...{ backlogBytes: 1234, backlogBytesMax: 10_000, lagMs: 2500, cpuMicros: 1_500_000, counters: { nacks: 3 } },
    }
    stage.node.feed = { status } as unknown as EventFeed
    stage.node.auditor.outbox.look(stage.env.now, stage.node.feed.status)
    stage.env.now += 4000
    const now = await scrape()
    const lag = (step: string): number[] => [
      now.value('stockd_outbox_lag_events', { step }),
      now.value('stockd_outbox_lag_seconds', { step }),
    ]
    expect(lag('published')).toEqual([0, 0])
    expect(lag('acked')[1]).toBe(4)
    expect(lag('stored')).toEqual([now.value('stockd_events_total'), 2.5])
    expect(now.value('stockd_outbox_backlog_bytes')).toBe(1234)
    expect(now.value('stockd_outbox_cpu_seconds_total')).toBe(1.5)
    expect(now.value('stockd_outbox_total', { what: 'nacks' })).toBe(3)
  })
})

describe('readiness of a node', () => {
  it('is what it can do: not before it serves, not when the log refuses, not while it stops', () => {
    const stage = new NodeStage()
    const { node } = stage
    const status = (): string => readinessOf(node).status
    expect(status()).toBe('starting')
    node.phase = 'loading'
    expect(status()).toBe('loading')
    node.phase = 'serving'
    expect(readinessOf(node)).toEqual({ isReady: true, status: 'ready', reason: '' })
    Object.assign(node, { log: { refusal: () => 'MISCONF no space' } })
    expect(readinessOf(node)).toEqual({ isReady: false, status: 'log_refuses', reason: 'MISCONF no space' })
    node.phase = 'stopping'
    expect(status()).toBe('stopping')
  })
})

const PART = { phase: 'active', circuit: 'closed', halted: null, waiting: 2, lagMs: 1500, lastStoredAt: 5000 } as const
const CONSUMER: ConsumerStatus = {
  isConnected: true,
  broker: 'connected',
  store: 'writing',
  consumers: ['one'],
  parts: [
    { ...PART, part: 0 },
    { ...PART, part: 11, circuit: 'open', halted: 'a gap that cannot be filled' },
  ],
  unreadable: 1,
  retries: 2,
  seeks: 3,
  halts: 1,
  endToEndMs: 250,
}
const COUNTERS = { received: 10, stored: 8, seen: 1, early: 1, dead: 1, batches: 2, conflicts: 0, marks: 1, markDifferences: 0 }

function consumerOf(status: Partial<ConsumerStatus> = {}, streams = 1) {
  const cursors = new Map(Array.from({ length: streams }, (_, i) => [`n0_${i}-1`, Array.from({ length: 16 }, (__, part) => part)]))
  return { counters: COUNTERS, status: { ...CONSUMER, ...status }, cursors }
}

describe('the metrics of a consumer', () => {
  it('are its counters, and where each part is', async () => {
    const metrics = new Metrics(consumerMetrics(consumerOf()))
    open.push(metrics)
    const now = new Scrape(await metrics.text())
    expect(now.value('stockd_orders_stored_total')).toBe(8)
    expect(now.value('stockd_orders_end_to_end_seconds')).toBe(0.25)
    expect(now.value('stockd_orders_parts_halted')).toBe(1)
    expect(now.value('stockd_orders_circuit_open', { part: '11' })).toBe(1)
    expect(now.value('stockd_orders_lag_seconds', { part: '00' })).toBe(1.5)
    expect(now.value('stockd_orders_cursor', { stream: 'n0_0-1', part: '09' })).toBe(9)
    for (const { name, type } of now.families.values()) {
      if (name.startsWith('stockd_orders_')) expect(name.endsWith('_total'), name).toBe(type === 'counter')
    }
  })

  it('tell of the newest streams only: a database remembers every stream that ever was', async () => {
    const metrics = new Metrics(consumerMetrics(consumerOf({}, 50)))
    open.push(metrics)
    const cursors = new Scrape(await metrics.text()).families.get('stockd_orders_cursor')!.samples
    expect(new Set(cursors.map(({ labels }) => labels['stream']))).toEqual(new Set(Array.from({ length: 8 }, (_, i) => `n0_${42 + i}-1`)))
  })

  it('are ready with a broker and any database', () => {
    expect(consumerReadiness(CONSUMER).isReady).toBe(true)
    expect(consumerReadiness({ ...CONSUMER, isConnected: false, broker: 'refused' })).toEqual({
      isReady: false,
      status: 'no_broker',
      reason: 'refused',
    })
    const parts = CONSUMER.parts.map((part) => ({ ...part, circuit: 'open' as const }))
    expect(consumerReadiness({ ...CONSUMER, parts, store: 'read-only' })).toMatchObject({ status: 'no_database', reason: 'read-only' })
  })
})

describe('the alert rules', () => {
  const text = readFileSync(new URL('../../../src/cli/metrics/alerts.yml', import.meta.url), 'utf8')
  const rules = text.split(/\n {6}- alert: /).slice(1)

  it('each say how bad it is, what it is and what to do', () => {
    expect(rules.length).toBeGreaterThan(15)
    for (const rule of rules) {
      const [name] = rule.split('\n')
      expect(name).toMatch(/^Stockd[A-Za-z]+$/)
      expect(rule, name).toMatch(/^ {8}expr: \S.+$/m)
      expect(rule, name).toMatch(/^ {8}labels: \{ severity: (page|warn) \}$/m)
      expect(rule, name).toMatch(/^ {10}summary: [a-z].+$/m)
      expect(rule, name).toMatch(/^ {10}action: ['"]?[A-Za-z].{20,}$/m)
      // Plain YAML text ends where `: ` begins.
      for (const [, value] of rule.matchAll(/^ +(?:expr|summary|action): (.+)$/gm))
        expect(value, name).toMatch(/^'[^']*'$|^"[^"]*"$|^(?!.*: )[^'"#].*$/)
    }
  })

  it('name only metrics that are there', async () => {
    const node = await watch(new NodeStage())()
    const metrics = new Metrics(consumerMetrics(consumerOf()))
    open.push(metrics)
    const there = new Set([...node.families.keys(), ...new Scrape(await metrics.text()).families.keys()])
    const named = rules.flatMap((rule) =>
      [...rule.matchAll(/^ {8}expr: (.+)$/gm)].flatMap(([, expr]) => expr.match(/stockd_[a-z_]+/g) ?? []),
    )
    expect(named.length).toBeGreaterThan(rules.length - 1)
    for (const name of named) expect(there, name).toContain(name.replace(/_bucket$/, ''))
  })
})
