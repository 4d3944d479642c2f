// Who is closed because of what it does not do, and who is not.

import { describe, expect, it } from 'vitest'
import { Caretaker } from '../../../src/server/caretaker.ts'
import { NodeStage } from './node-stage.ts'

describe('timeout', () => {
  it('closes who says nothing for so long, and nobody who listens, monitors or waits', () => {
    const stage = new NodeStage({ timeout: 10 })
    const { node, env } = stage
    const caretaker = new Caretaker({ options: node.options, env, stats: node.stats, turn: node.turn, sessions: node.sessions })
    const stories = {
      idle: 'PING',
      watching: 'WATCH a',
      queueing: 'MULTI',
      listening: 'SUBSCRIBE a',
      monitoring: 'MONITOR',
      waiting: 'BLPOP a 0',
    }
    const clients = Object.entries(stories).map(([name, line]) => {
      const client = stage.connect()
      client.ask(line)
      return { name, client }
    })
    env.now += 9000
    caretaker.round(env.now)
    expect(node.stats.timeoutClosed).toBe(0)
    env.now += 1000
    caretaker.round(env.now)
    const closed = clients.filter(({ client }) => client.transport.state === 'destroyed').map(({ name }) => name)
    expect(closed).toEqual(['idle', 'watching', 'queueing'])
  })
})
