// SECURITY, section 1: how many clients, how long they may be silent, and what one of them may take from the others.

import { networkInterfaces } from 'node:os'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../../support/eventually.ts'
import { startLiveNode, stopLiveNodes } from '../../support/live-node.ts'
import { encodeRequest, RawClient } from '../../support/raw-client.ts'
import { hasProgram, startNode } from '../../support/server.ts'
import { run } from '../../support/run.ts'
import type { Server } from '../../support/server.ts'

let node: Server
beforeAll(async () => {
  node = await startNode()
})
afterEach(stopLiveNodes)

async function info(client: RawClient, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(await client.call('INFO', 'all')))?.[1])
}

describe('row: maxclients', () => {
  it('refuses clients beyond maxclients', async () => {
    const { node } = await startLiveNode({ maxclients: 2 })
    await using a = await RawClient.connect(node.port)
    await using b = await RawClient.connect(node.port)
    await a.command('PING')
    await b.command('PING')
    await using c = await RawClient.connect(node.port)
    expect((await c.read()).toString()).toBe('-ERR max number of clients reached\r\n')
    await c.closed
    expect((await a.command('PING')).toString()).toBe('+PONG\r\n')
    expect(node.stats.connectionsRejected).toBe(1)
  })

  const address = Object.values(networkInterfaces())
    .flat()
    .find((entry) => entry !== undefined && entry.family === 'IPv4' && !entry.internal)?.address

  it.skipIf(address === undefined)('keeps 32 places for clients of this machine', async () => {
    await using full = await startNode({ args: ['--bind', '0.0.0.0', '--protected-mode', 'no', '--maxclients', '33'] })
    await using operator = await full.connect()
    await eventually('the start is over', async () => (await info(operator, 'connected_clients')) === 1)
    await using stranger = await RawClient.connect(full.port, address)
    expect((await stranger.read()).toString()).toBe('-ERR max number of clients reached\r\n')
    for (let i = 0; i < 32; i++) {
      const local = await full.connect()
      expect(await local.call('PING')).toBe('PONG')
    }
    await using last = await full.connect()
    expect((await last.read()).toString()).toBe('-ERR max number of clients reached\r\n')
    expect(await operator.call('PING')).toBe('PONG')
  })

  it('maxclients cannot be more than the process may open files', async () => {
    await using few = await startNode({ wrap: ['sh', '-c', 'ulimit -n 500; exec "$@"', 'sh'] })
    expect(few.log()).toMatch(/WARNING this process may open 500 files/)
    await using client = await few.connect()
    expect(await client.call('CONFIG', 'SET', 'maxclients', 600)).toMatchObject({
      text: expect.stringMatching(/operating system is not able/),
    })
    expect(await client.call('CONFIG', 'SET', 'maxclients', 100)).toBe('OK')
  })

  it('1,000 connections with half a request each come and go, 5 times', { timeout: 20_000 }, async () => {
    await using operator = await node.connect()
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 1000 }, () => node.connect()))
      for (const client of clients) client.send('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000\r\nhalf')
      await eventually('all are there', async () => (await info(operator, 'connected_clients')) === 1001)
      await Promise.all(clients.map((client) => client.close()))
      await eventually('all are gone', async () => (await info(operator, 'connected_clients')) === 1)
    }
    expect(await operator.call('EXISTS', 'k')).toBe(0)
  })
})

describe('row: idle / slow', () => {
  it('closes idle clients after `timeout`, and no others', async () => {
    const { node, env } = await startLiveNode({ timeout: 10 })
    await using idle = await RawClient.connect(node.port)
    await idle.command('PING')
    env.pass(9_000)
    await using busy = await RawClient.connect(node.port)
    await busy.command('PING')
    env.pass(2_000)
    await within('the idle client is closed', idle.closed)
    expect((await busy.command('PING')).toString()).toBe('+PONG\r\n')
  })

  // 30 s
  it('closes a client that stops in the middle of a request', async () => {
    const { node, env } = await startLiveNode()
    await using client = await RawClient.connect(node.port)
    client.send('*2\r\n$4\r\nECHO\r\n$10\r\nhal')
    await eventually('it has come', () => [...node.sessions.values()].some((session) => session.inputQueued > 0))
    env.pass(29_000)
    env.pass(500)
    expect(node.sessions.size).toBe(1)
    env.pass(31_000)
    await within('the client is closed', client.closed)
    expect(node.stats.timeoutClosed).toBe(1)
  })

  it.skipIf(!hasProgram('ss'))('tcp-keepalive: the kernel asks whether the peer is there', async () => {
    await using client = await node.connect()
    await client.call('PING')
    const { stdout } = await run(['ss', '-tnoH', `sport = :${node.port}`, 'and', `dport = :${client.socket.localPort}`])
    expect(stdout).toMatch(/timer:\(keepalive,/)
  })

  it('at most 1,000 commands of a client in one turn: the others are served in between', async () => {
    const { node: live } = await startLiveNode()
    await using greedy = await RawClient.connect(live.port)
    await using other = await RawClient.connect(live.port)
    await greedy.command('PING')
    const before = live.stats.turns
    greedy.send(Buffer.concat(Array.from({ length: 20_000 }, () => encodeRequest(['INCR', 'n']))))
    const all = Promise.all(Array.from({ length: 20_000 }, () => greedy.read()))
    expect((await other.command('PING')).toString()).toBe('+PONG\r\n')
    expect((await all).at(-1)!.toString()).toBe(':20000\r\n')
    expect(live.stats.turns - before).toBeGreaterThanOrEqual(20)
  })
})
