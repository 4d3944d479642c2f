// MONITOR where redis-server has no say: what it costs, who is closed, secrets of our own.

import { describe, expect, it } from 'vitest'
import { Request } from '../../../src/resp/request.ts'
import { secretsOf } from '../../../src/server/secrets.ts'
import { NodeStage } from './node-stage.ts'

describe('a monitor', () => {
  it('is shown what every session runs, in its database, behind its own replies', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    expect(ann.ask('MONITOR')).toBe('+OK\r\n')
    bob.ask('SELECT 3')
    bob.ask('STOCK.CREATE book 1')
    expect(ann.read().replaceAll(/\+[\d.]+ /g, '')).toBe(
      '[3 10.0.0.1:1001] "SELECT" "3"\r\n[3 10.0.0.1:1001] "STOCK.CREATE" "book" "1"\r\n',
    )
    expect(ann.ask('PING').replaceAll(/\+[\d.]+ /g, '')).toBe('+PONG\r\n[0 10.0.0.1:1000] "PING"\r\n')
  })

  it('ends with RESET, and with its connection; then nobody pays for it', () => {
    const stage = new NodeStage()
    const { monitors } = stage.node
    for (const end of ['RESET', 'close']) {
      const client = stage.connect()
      client.ask('MONITOR')
      expect(monitors.isAny).toBe(true)
      if (end === 'RESET') client.ask('RESET')
      else stage.node.closed(client.session)
      expect(monitors.isAny).toBe(false)
      expect(client.session.monitoring).toBeNull()
    }
  })

  it('is closed when it does not read', () => {
    const stage = new NodeStage({ 'client-output-buffer-limit': { normal: { hardBytes: 10_000, softBytes: 0, softSeconds: 0 } } as never })
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask('MONITOR')
    ann.transport.isBlocked = true
    for (let i = 0; i < 30; i++) bob.ask(`SET k ${'v'.repeat(1000)}`)
    expect(ann.transport.state).toBe('destroyed')
    expect(bob.ask('PING')).toBe('+PONG\r\n')
    expect(stage.node.monitors.isAny).toBe(false)
  })
})

describe('secrets', () => {
  it.each([
    ['AUTH secret', [1]],
    ['AUTH me secret', [1, 2]],
    ['auth', []],
    ['HELLO 3 AUTH me secret SETNAME x', [3, 4]],
    ['HELLO 3 SETNAME x auth me secret', [5, 6]],
    ['HELLO 3 AUTH me', [3]],
    ['HELLO 3', null],
    ['ACL SETUSER me on >secret', [2, 3, 4]],
    ['ACL WHOAMI x', null],
    ['CONFIG SET maxmemory 1 RequirePass secret tls-key-file-pass secret', [5, 7]],
    ['CONFIG SET maxmemory 1', null],
    ['CONFIG SET requirepass', null],
    ['CONFIG GET requirepass', null],
    ['SET AUTH x', null],
  ])('of %s', (line, hidden) => {
    const secrets = secretsOf(new Request().set(line.split(' ')))
    expect(secrets === null ? null : [...secrets]).toEqual(hidden)
  })
})
