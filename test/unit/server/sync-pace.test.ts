import { describe, expect, it } from 'vitest'
import type { Log } from '../../../src/aof/log.ts'
import { SyncPace } from '../../../src/server/sync-pace.ts'
import { FakeEnv } from './stage.ts'

/** What the pace looks at. */
const logOf = (durable: number, last: number): Log => ({ durable, last }) as Log

describe('the pace of fsyncs', () => {
  it('waits on the spot only for a device that is fast on average, and only under always', () => {
    let isAlways = true
    const pace = new SyncPace(new FakeEnv(), () => isAlways)
    expect(pace.isOnTheSpot).toBe(false)
    pace.took(300)
    expect(pace.isOnTheSpot).toBe(true)
    isAlways = false
    expect(pace.isOnTheSpot).toBe(false)
    isAlways = true
    pace.took(50_000)
    expect(pace.isOnTheSpot).toBe(false)
    for (let i = 0; i < 40; i++) pace.took(300)
    expect(pace.isOnTheSpot).toBe(true)
  })

  it('never lets a client that is alone wait', () => {
    const pace = new SyncPace(new FakeEnv(), () => true)
    let commits = 0
    pace.gather(logOf(1, 1), () => commits++)
    expect(commits).toBe(1)
  })

  it('waits on a slow device until those who were released have written again, or the moment is over', () => {
    const env = new FakeEnv()
    const pace = new SyncPace(env, () => true)
    pace.took(10_000)
    let commits = 0
    const log = { durable: 10, last: 15 }
    pace.gather(log as Log, () => commits++)
    env.pass()
    expect(commits).toBe(0)
    log.last = 25
    env.pass()
    expect(commits).toBe(1)

    log.durable = 25
    pace.gather(log as Log, () => commits++)
    env.pass()
    expect(commits).toBe(1)
    env.now += 1
    env.pass()
    expect(commits).toBe(2)
  })
})
