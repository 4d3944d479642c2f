import { describe, expect, it } from 'vitest'
import { lsn } from '../../../src/base/brand.ts'
import type { NodeLog } from '../../../src/server/node-log.ts'
import { FakeFeed, FEED_STATUS } from '../../support/fake-feed.ts'
import { decodeReply } from '../../support/raw-client.ts'
import type { Value } from '../../support/raw-client.ts'
import { NodeStage } from './node-stage.ts'
import type { NodeClient } from './node-stage.ts'

/** What STOCK.OUTBOX looks at of a log. */
const LOG = { nodeId: '0123456789abcdef', epoch: 3, last: lsn(42) } as unknown as NodeLog

function stageWith(feed: FakeFeed | null): { client: NodeClient; stage: NodeStage; ask: (line: string) => Value } {
  const stage = new NodeStage({ 'node-number': 7 })
  stage.node.log = feed === null ? null : LOG
  stage.node.feed = feed
  const client = stage.connect()
  return { stage, client, ask: (line) => decodeReply(Buffer.from(client.ask(line), 'latin1')) }
}

describe('STOCK.OUTBOX', () => {
  it('STATUS tells where events go and how far they are, in both protocols', () => {
    const feed = new FakeFeed()
    const numbers = (n: number): number[] => Array.from({ length: 16 }, (_, part) => (part === 2 ? n : 0))
    const stored = { published: numbers(9), acked: numbers(8), stored: numbers(7), storedLsn: 40, storedTime: 1234, lagMs: 5 }
    feed.status = { ...FEED_STATUS, ...stored, sink: 'amqp', state: 'connected', isConnected: true, backlogBytes: 10, backlogBytesMax: 100 }
    const { ask } = stageWith(feed)
    const told = {
      sink: 'amqp',
      state: 'connected',
      stream: 'n7_01234567-3',
      enabled: 1,
      connected: 1,
      lag_ms: 5,
      stored_lsn: 40,
      stored_time: 1234,
      last_lsn: 42,
      backlog_bytes: 10,
      backlog_bytes_max: 100,
      last: numbers(0),
      published: numbers(9),
      acked: numbers(8),
      stored: numbers(7),
    }
    expect(ask('STOCK.OUTBOX STATUS')).toEqual(Object.entries(told).flat(1))
    ask('HELLO 3')
    expect(ask('STOCK.OUTBOX STATUS')).toEqual(new Map(Object.entries(told)))
  })

  it('says that there is none without a log', () => {
    const { client, ask } = stageWith(null)
    expect(ask('STOCK.OUTBOX STATUS')).toEqual(['enabled', 0])
    expect(client.ask('STOCK.OUTBOX SEEK 0 0')).toMatch(/^-ERR there is no outbox/)
    expect(client.ask('STOCK.OUTBOX STREAM')).toMatch(/^-ERR there is no outbox/)
  })

  it('SEEK publishes again from where it is told, and refuses what cannot be', () => {
    const feed = new FakeFeed()
    const { client, stage } = stageWith(feed)
    expect(client.ask('STOCK.OUTBOX SEEK 3 0')).toMatch(/^-ERR nobody takes the events/)
    feed.status = { ...FEED_STATUS, sink: 'sqlite' }
    client.ask('STOCK.CREATE sku 1')
    const part = Array.from({ length: 16 }, (_, i) => i).find((i) => stage.node.engine.outbox.last(i) === 1)!
    expect(client.ask(`STOCK.OUTBOX SEEK ${part} 0`)).toBe('+OK\r\n')
    expect(client.ask(`STOCK.OUTBOX SEEK ${part} 1`)).toBe('+OK\r\n')
    expect(feed.seeks).toEqual([
      [part, 0],
      [part, 1],
    ])
    expect(client.ask(`STOCK.OUTBOX SEEK ${part} 2`)).toBe(`-ERR pseq must be 0 to 1: so many events has part ${part}\r\n`)
    for (const wrong of ['16 0', '-1 0']) expect(client.ask(`STOCK.OUTBOX SEEK ${wrong}`)).toBe('-ERR part must be 0 to 15\r\n')
    for (const wrong of ['a 0', '0 b', '0 1.5', '01 0'])
      expect(client.ask(`STOCK.OUTBOX SEEK ${wrong}`)).toMatch(/^-ERR value is not an int/)
    expect(client.ask('STOCK.OUTBOX SEEK 0 -1')).toMatch(/^-ERR pseq must be/)
    expect(feed.seeks).toHaveLength(2)
  })

  it('SCAN lists every order that is there all the time once, whatever comes and goes, and no tombstone', () => {
    const { client, ask } = stageWith(new FakeFeed())
    client.ask('STOCK.CREATE sku 100000')
    const kept = Array.from({ length: 500 }, (_, i) => `{u${i}}kept`)
    for (const id of kept) client.ask(`STOCK.RESERVE ${id} ITEMS sku 1`)
    client.ask('STOCK.RELEASE {x}never')
    client.ask('STOCK.CONFIRM {u3}kept')
    const seen = new Map<string, [string, number]>()
    let cursor = '0'
    let pages = 0
    do {
      const [next, rows] = ask(`STOCK.OUTBOX SCAN ${cursor} COUNT ${1 + (pages % 40)}`) as [string, (string | number)[]]
      for (let i = 0; i < rows.length; i += 3) {
        const id = rows[i] as string
        expect(seen.has(id)).toBe(false)
        seen.set(id, [rows[i + 1] as string, rows[i + 2] as number])
      }
      cursor = next
      for (let i = 0; i < 20; i++) client.ask(`STOCK.RESERVE {new${pages}}${i} ITEMS sku 1`)
      expect(pages++).toBeLessThan(10_000)
    } while (cursor !== '0')
    expect(kept.filter((id) => !seen.has(id))).toEqual([])
    expect(seen.has('{x}never')).toBe(false)
    expect(seen.get('{u3}kept')).toEqual(['CONFIRMED', 2])
    expect(seen.get('{u4}kept')).toEqual(['RESERVED', 1])
  })

  it('SCAN refuses what it does not understand', () => {
    const { client } = stageWith(new FakeFeed())
    expect(client.ask('STOCK.OUTBOX SCAN x')).toBe('-ERR invalid cursor\r\n')
    for (const wrong of ['0 COUNT', '0 COUNT 0', '0 COUNT -1', '0 LIMIT 5', '0 COUNT 5 x'])
      expect(client.ask(`STOCK.OUTBOX SCAN ${wrong}`)).toBe('-ERR syntax error\r\n')
    expect(client.ask('STOCK.OUTBOX SCAN 0 COUNT x')).toMatch(/^-ERR value is not an integer/)
    expect(client.ask('STOCK.OUTBOX SCAN 0 COUNT 99999999')).toBe('*2\r\n$1\r\n0\r\n*0\r\n')
    client.ask('SELECT 1')
    expect(client.ask('STOCK.OUTBOX SCAN 0')).toMatch(/^-ERR STOCK commands need database 0/)
  })

  it('STREAM names the history; HELP and unknown words answer as every container does', () => {
    const { client, ask } = stageWith(new FakeFeed())
    expect(ask('STOCK.OUTBOX STREAM')).toBe('n7_01234567-3')
    expect(ask('STOCK.OUTBOX HELP')).toContain('SEEK part pseq')
    expect(client.ask('STOCK.OUTBOX FOO')).toBe("-ERR unknown subcommand 'FOO'. Try STOCK.OUTBOX HELP.\r\n")
    expect(client.ask('STOCK.OUTBOX SEEK 1')).toMatch(/^-ERR wrong number of arguments for 'stock.outbox\|seek' command/)
  })
})
