// SECURITY, section 1: how large an argument, a request, unread input and unread replies may get.

import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../../support/eventually.ts'
import { startLiveNode, stopLiveNodes } from '../../support/live-node.ts'
import { encodeRequest, ErrorReply, RawClient } from '../../support/raw-client.ts'
import { startNode } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'
import { toldUntilClosed } from '../../support/told.ts'

let node: Server
beforeAll(async () => {
  node = await startNode()
})
afterEach(stopLiveNodes)

async function info(client: RawClient, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(await client.call('INFO', 'all')))?.[1])
}

describe('row: proto-max-bulk-len', () => {
  it.each([
    ['512 MiB and no more', `*2\r\n$4\r\nECHO\r\n$${512 * 1024 * 1024 + 1}\r\n`],
    ['a number that no length is', '*1\r\n$1099511627776\r\n'],
    ['beyond 64 bits', '*1\r\n$99999999999999999999\r\n'],
    ['below zero', '*2\r\n$4\r\nECHO\r\n$-1\r\n'],
    ['an argument of a STOCK command is at most 16 KiB', '*2\r\n$9\r\nSTOCK.GET\r\n$16385\r\n'],
    ['whatever the command is spelled like', '*3\r\n$13\r\nstock.Reserve\r\n$1\r\no\r\n$1000000\r\n'],
  ])('%s: refused by what is announced, before a byte of it is kept', async (_, bytes) => {
    expect(await toldUntilClosed(node.port, bytes)).toBe('-ERR Protocol error: invalid bulk length\r\n')
  })

  it('CONFIG SET changes it for those who are connected', async () => {
    const { node: live } = await startLiveNode()
    await using client = await RawClient.connect(live.port)
    await client.command('CONFIG', 'SET', 'proto-max-bulk-len', '1mb')
    client.send('*2\r\n$4\r\nECHO\r\n$1048577\r\n')
    expect((await client.read()).toString()).toBe('-ERR Protocol error: invalid bulk length\r\n')
    await client.closed
  })

  it('words of megabytes become no strings: a clear no, and the node is there', async () => {
    await using client = await node.connect()
    const word = 'x'.repeat(2 * 1024 * 1024)
    for (const command of [
      ['CLIENT', 'SETNAME', word],
      ['CLIENT', 'KILL', 'TYPE', word],
      ['CONFIG', 'SET', 'requirepass', word],
      ['SHUTDOWN', word],
    ])
      expect(await client.call(...command)).toEqual(new ErrorReply('ERR the arguments of this command have at most 1048576 bytes'))
    expect(await client.call('ECHO', word)).toBe(word)
  })
})

describe('row: args per command', () => {
  it.each([
    ['1,048,576 and no more', '*1048577\r\n'],
    ['a STOCK command has at most 256', '*257\r\n$13\r\nSTOCK.RESERVE\r\n'],
    ['in a line too', `STOCK.RESERVE ${'x '.repeat(300)}\r\n`],
  ])('%s', async (_, bytes) => {
    expect(await toldUntilClosed(node.port, bytes)).toBe('-ERR Protocol error: invalid multibulk length\r\n')
  })

  it('1,048,576 are taken', async () => {
    await using client = await node.connect()
    client.send(`*1048576\r\n$6\r\nEXISTS\r\n${'$1\r\nk\r\n'.repeat(1_048_575)}`)
    expect((await client.read()).toString()).toBe(':0\r\n')
  })

  it('nested arrays are none', async () => {
    for (const inner of ['*1\r\n', ':1\r\n', '%1\r\n', '+x\r\n'])
      expect(await toldUntilClosed(node.port, `*2\r\n${inner}`)).toBe(`-ERR Protocol error: expected '$', got '${inner[0]}'\r\n`)
  })
})

describe('row: inline', () => {
  it('64 KiB, with and without an end', async () => {
    for (const bytes of ['x'.repeat(65_537), `${'x'.repeat(70_000)}\r\n`, `*${'1'.repeat(70_000)}`])
      expect(await toldUntilClosed(node.port, bytes)).toMatch(/^-ERR Protocol error: too big (inline request|mbulk count string)\r\n$/)
    await using client = await node.connect()
    client.send(`ECHO ${'x'.repeat(65_000)}\r\n`)
    expect((await client.read()).length).toBe(65_010)
  })

  it.each([
    ['*1\r\n$1099511627776\r\n', 'invalid bulk length'],
    ['*2\r\n*1\r\n', "expected '$', got '*'"],
    ['*1048577\r\n', 'invalid multibulk length'],
    [`*257\r\n$13\r\nSTOCK.RESERVE\r\n`, 'invalid multibulk length'],
    [`*2\r\n$9\r\nSTOCK.GET\r\n$1000000\r\n`, 'invalid bulk length'],
    ['x'.repeat(65_537), 'too big inline request'],
    ['SET a "b\r\n', 'unbalanced quotes in request'],
  ])('%j ends with its error', async (bytes, error) => {
    expect(await toldUntilClosed(node.port, bytes)).toBe(`-ERR Protocol error: ${error}\r\n`)
  })
})

describe('row: query buffer', () => {
  it('4 MiB of unread input beside one long argument', async () => {
    const { node: live } = await startLiveNode({ 'proto-max-bulk-len': 1024 * 1024 })
    await using client = await RawClient.connect(live.port)
    const argument = `$1000000\r\n${'x'.repeat(1_000_000)}\r\n`
    client.send(`*10\r\n${argument.repeat(6)}`)
    await within('its end', client.closed)
    expect(live.stats.queryLimitClosed).toBe(1)
    await using modest = await RawClient.connect(live.port)
    modest.send(`*4\r\n$3\r\nDEL\r\n${argument.repeat(3)}`)
    expect((await modest.read()).toString()).toBe(':0\r\n')
  })

  it('closes the largest unfinished requests when all together take more than a quarter of maxmemory', async () => {
    const { node, env } = await startLiveNode({ maxmemory: 4 * 1024 * 1024 })
    const sizes = [100_000, 600_000, 300_000, 500_000]
    const clients = await Promise.all(sizes.map(() => RawClient.connect(node.port)))
    clients.forEach((client, i) => client.send(`*2\r\n$4\r\nECHO\r\n$900000\r\n${'x'.repeat(sizes[i])}`))
    const queued = (): number => [...node.sessions.values()].reduce((sum, session) => sum + session.inputQueued, 0)
    await eventually('they have come', () => queued() > 1_500_000)
    env.pass(1000)
    await within('the largest is closed', clients[1].closed)
    expect(node.stats.queryLimitClosed).toBe(1)
    clients[0].send(`${'x'.repeat(800_000)}\r\n`)
    expect((await clients[0].read()).length).toBe(900_011)
    for (const client of clients) await client.close()
  })
})

describe('row: output buffer', () => {
  it('a client that never reads costs little, and others are served', async () => {
    await using greedy = await node.connect()
    await using other = await node.connect()
    await other.call('SET', 'large', 'x'.repeat(100_000))
    const before = await info(other, 'used_memory')
    greedy.socket.pause()
    const get = encodeRequest(['GET', 'large'])
    greedy.send(Buffer.concat(Array.from({ length: 1000 }, () => get)))
    await eventually('it is not read any more', async () => /omem=[1-9]/.test(String(await other.call('CLIENT', 'LIST'))))
    for (let i = 0; i < 100; i++) await other.call('PING')
    expect((await info(other, 'used_memory')) - before).toBeLessThan(32 * 1024 * 1024)
  })

  it('a reply of gigabytes is not built: its client goes', async () => {
    await using client = await node.connect()
    await using other = await node.connect()
    await other.call('SET', 'large', 'x'.repeat(8 * 1024 * 1024))
    client.send(encodeRequest(['MGET', ...Array.from({ length: 1000 }, () => 'large')]))
    await expect(client.read()).rejects.toThrow(/closed|ECONNRESET/)
    expect(await info(other, 'clients_closed_output_limit')).toBeGreaterThan(0)
    await other.call('DEL', 'large')
  })

  it('a listener that does not read is closed at the limit of pubsub, and its publisher is not kept waiting', async () => {
    await using server = await startNode({ args: ['--client-output-buffer-limit', 'pubsub', '2mb', '0', '0'] })
    await using listener = await server.connect()
    await using publisher = await server.connect()
    await listener.command('SUBSCRIBE', 'news')
    listener.socket.pause()
    const message = 'x'.repeat(500_000)
    await eventually('it is closed', async () => (await publisher.call('PUBLISH', 'news', message)) === 0)
    expect(await info(publisher, 'clients_closed_output_limit')).toBe(1)
    expect(server.log()).toMatch(/closed a client that does not read its replies/)
  })
})
