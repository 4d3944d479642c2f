// What the node does when its events do not get away.

import { describe, expect, it } from 'vitest'
import { Engine } from '../../../src/engine/engine.ts'
import type { Millis } from '../../../src/base/brand.ts'
import { Backlog } from '../../../src/server/backlog.ts'
import type { Env } from '../../../src/server/env.ts'
import type { FeedStatus } from '../../../src/server/event-feed.ts'

const STATUS: FeedStatus = {
  sink: 'sqlite',
  state: 'connected',
  isConnected: true,
  published: [],
  acked: [],
  stored: [],
  storedLsn: 10,
  storedTime: 500,
  keepFrom: 1,
  backlogBytes: 0,
  backlogBytesMax: 1000,
  lagMs: 0,
  cpuMicros: 0,
  counters: {},
}

function stage() {
  const said: string[] = []
  const engine = new Engine({})
  const backlog = new Backlog({ engine, env: { say: (_level: string, message: string) => said.push(message) } as unknown as Env })
  return { said, engine, backlog }
}

describe('the backlog', () => {
  it('warns at 50, 75 and 90 %, refuses at 100 %, and lets go with a distance', () => {
    const { said, engine, backlog } = stage()
    const at = (backlogBytes: number): void => backlog.follow({ ...STATUS, backlogBytes }, 99, true)
    for (const bytes of [0, 490, 510, 520, 760, 890, 910, 999]) at(bytes)
    expect(said.map((line) => line.split(' ')[0])).toEqual(['50', '75', '90'])
    expect(engine.backlogFull).toBe(false)
    at(1000)
    expect(engine.backlogFull).toBe(true)
    at(950)
    expect(engine.backlogFull).toBe(true)
    at(890)
    expect(engine.backlogFull).toBe(false)
    expect(said.at(-1)).toMatch(/new orders are taken again/)
    at(1200)
    expect(engine.backlogFull).toBe(true)
  })

  it('is no concern without a limit', () => {
    const { said, engine, backlog } = stage()
    backlog.follow({ ...STATUS, backlogBytes: 5000, backlogBytesMax: 0 }, 99, true)
    expect([engine.backlogFull, said]).toEqual([false, []])
  })
})

describe('orders stay in memory', () => {
  it('until they are stored', () => {
    const { engine, backlog } = stage()
    engine.now = 9000 as Millis
    backlog.follow(STATUS, 11, true)
    expect(engine.ledger.storedThrough).toBe(500)
    backlog.follow(STATUS, 10, true)
    expect(engine.ledger.storedThrough).toBe(8999)
  })

  it('while the log takes no records: what has not expired yet will say an earlier instant', () => {
    const { engine, backlog } = stage()
    backlog.follow(STATUS, 11, true)
    engine.now = 9000 as Millis
    backlog.follow(STATUS, 10, false)
    expect(engine.ledger.storedThrough).toBe(500)
  })

  it('no longer than their time when nobody stores them', () => {
    const { engine, backlog } = stage()
    backlog.follow({ ...STATUS, sink: 'none', storedLsn: Infinity, storedTime: Infinity }, 10, true)
    expect(engine.ledger.storedThrough).toBe(Infinity)
  })
})
