// SECURITY, section 1: who is let in, what a stranger may say before he has said who he is, and what is closed without a word.

import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../../support/eventually.ts'
import { startLiveNode, stopLiveNodes } from '../../support/live-node.ts'
import { encodeRequest, RawClient } from '../../support/raw-client.ts'
import { run } from '../../support/run.ts'
import { startNode, STOCKD } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { toldUntilClosed } from '../../support/told.ts'

afterEach(stopLiveNodes)

describe('row: protected mode', () => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((entry) => entry !== undefined && entry.family === 'IPv4' && !entry.internal)?.address

  it.skipIf(address === undefined)(
    'serves only clients of this machine when protected mode is switched on without a password',
    async () => {
      const { node } = await startLiveNode({ 'bind': ['0.0.0.0'], 'protected-mode': false })
      await using local = await RawClient.connect(node.port)
      expect((await local.command('CONFIG', 'SET', 'protected-mode', 'yes')).toString()).toBe('+OK\r\n')
      const socket = connect({ port: node.port, host: address! })
      const text = await within(
        'the refusal',
        new Promise<string>((resolve, reject) => {
          let got = ''
          socket.on('data', (bytes) => (got += bytes.toString()))
          socket.on('error', reject)
          socket.on('close', () => resolve(got))
        }),
      )
      expect(text.startsWith('-DENIED Redis is running in protected mode because protected mode is enabled and no password is set')).toBe(
        true,
      )
      expect((await local.command('PING')).toString()).toBe('+PONG\r\n')
    },
  )

  it.each([
    [['--bind', '0.0.0.0'], {}, /lets other machines in and there is no password/],
    [['--bind', '127.0.0.1', '0.0.0.0'], {}, /lets other machines in/],
    [['--bind', '*'], {}, /lets other machines in/],
  ])('a node that others could reach does not start without a password: %j', async (args, env, reason) => {
    const told = await run([process.execPath, STOCKD, '--port', '0', '--dir', tempDir(), ...args], { env })
    expect(told.code).toBe(1)
    expect(told.stderr).toMatch(reason)
  })

  it('a node starts with one, or when it is told that the network keeps strangers out', async () => {
    for (const values of [{ requirepass: 'secret' }, { 'protected-mode': false }]) {
      const { node } = await startLiveNode({ bind: ['0.0.0.0'], ...values })
      await using client = await RawClient.connect(node.port)
      expect((await client.command('PING')).toString()).toMatch(/PONG|NOAUTH/)
    }
  })
})

describe('row: before AUTH', () => {
  const start = (): ReturnType<typeof startLiveNode> => startLiveNode({ requirepass: 'secret' })

  it('10 arguments, no more', async () => {
    const { node } = await start()
    expect(await toldUntilClosed(node.port, '*11\r\n')).toBe('-ERR Protocol error: unauthenticated multibulk length\r\n')
    await using client = await RawClient.connect(node.port)
    expect((await client.command('GET', ...'123456789')).toString()).toMatch(/^-ERR wrong number/)
  })

  it('16,384 bytes in an argument, no more', async () => {
    const { node } = await start()
    expect(await toldUntilClosed(node.port, '*2\r\n$16385\r\n')).toBe('-ERR Protocol error: unauthenticated bulk length\r\n')
    await using client = await RawClient.connect(node.port)
    expect((await client.command('GET', 'x'.repeat(16_384))).toString()).toBe('-NOAUTH Authentication required.\r\n')
  })

  it('64 KiB in all', async () => {
    const { node } = await start()
    const request = encodeRequest(['GET', 'x'.repeat(16_000)])
    await toldUntilClosed(node.port, Buffer.concat(Array.from({ length: 5 }, () => request)))
    expect(node.stats.queryLimitClosed).toBe(1)
    // Whoever has said who he is may go on for ever.
    await using client = await RawClient.connect(node.port)
    expect((await client.command('AUTH', 'secret')).toString()).toBe('+OK\r\n')
    for (const reply of await client.pipeline(Array.from({ length: 10 }, () => ['GET', 'x'.repeat(16_000)])))
      expect(reply.toString()).toBe('$-1\r\n')
  })

  // 10 s
  it('closes a client that does not authenticate', async () => {
    const { node, env } = await startLiveNode({ requirepass: 'secret' })
    await using late = await RawClient.connect(node.port)
    await using known = await RawClient.connect(node.port)
    expect((await late.command('GET', 'a')).toString()).toBe('-NOAUTH Authentication required.\r\n')
    expect((await known.command('AUTH', 'secret')).toString()).toBe('+OK\r\n')
    env.pass(11_000)
    await within('the client is closed', late.closed)
    expect((await known.command('PING')).toString()).toBe('+PONG\r\n')
  })

  it('RESET closes nobody who has been there for long or has sent much: his time and bytes begin anew', async () => {
    const { node, env } = await start()
    await using client = await RawClient.connect(node.port)
    const login = async (): Promise<void> => expect((await client.command('AUTH', 'secret')).toString()).toBe('+OK\r\n')
    await login()
    expect((await client.command('SET', 'k', 'x'.repeat(100_000))).toString()).toBe('+OK\r\n')
    env.pass(60_000)
    expect((await client.command('RESET')).toString()).toBe('+RESET\r\n')
    env.pass(5000)
    await login()
    expect((await client.command('RESET')).toString()).toBe('+RESET\r\n')
    env.pass(11_000)
    await within('the client is closed', client.closed)
  })

  it('the third wrong password closes, and each is answered later than the one before', async () => {
    const { node, env } = await start()
    await using client = await RawClient.connect(node.port)
    client.send(Buffer.concat([1, 2, 3, 4].map((i) => encodeRequest(['AUTH', `wrong${i}`]))))
    const answeredAt: number[] = []
    client.socket.on('data', (bytes) => {
      for (const _ of bytes.toString().matchAll(/-WRONGPASS/g)) answeredAt.push(node.clock.now())
    })
    await eventually('the end', () => {
      env.pass(10)
      return client.socket.destroyed
    })
    expect(answeredAt).toHaveLength(3)
    expect(answeredAt[1] - answeredAt[0]).toBeGreaterThanOrEqual(150)
    expect(answeredAt[2] - answeredAt[1]).toBeGreaterThanOrEqual(350)
    expect(node.stats.authFailures).toBe(3)
  })
})

describe('row: cross-protocol', () => {
  let node: Server
  beforeAll(async () => {
    node = await startNode()
  })

  it.each([
    'GET / HTTP/1.1\r\nHost: shop\r\n\r\n',
    'GET /x HTTP/1.0\r\n\r\n',
    'BREW /pot HTTP/2.0\r\n\r\n',
    'SET k HTTP/1.1\r\n',
    'POST / HTTP/1.1\r\n\r\nSET hacked 1\r\n',
    'POST /\r\nSET hacked 1\r\n',
    'PUT /x\r\n',
    'HEAD /x\r\n',
    'OPTIONS *\r\n',
    'CONNECT shop:443\r\n',
    'Host: shop\r\nSET hacked 1\r\n',
    'host: shop\r\n',
    'PING\r\nPOST /x\r\nSET hacked 1\r\n',
    '*1\r\n$4\r\nPOST\r\n*3\r\n$3\r\nSET\r\n$6\r\nhacked\r\n$1\r\n1\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    '\x16\x03\x03',
  ])('%j is closed without an answer, and nothing of it runs', async (bytes) => {
    expect(await toldUntilClosed(node.port, Buffer.from(bytes, 'latin1'))).toMatch(/^(\+PONG\r\n)?$/)
    await using client = await node.connect()
    expect(await client.call('EXISTS', 'hacked', 'k')).toBe(0)
    expect(await client.call('PING')).toBe('PONG')
  })

  it('in pieces too, and the log tells of them once a minute', async () => {
    const socket = connect({ port: node.port, host: '127.0.0.1', noDelay: true })
    const over = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    socket.on('error', () => {})
    for (const piece of ['PO', 'ST /x', ' HTTP', '/1.1\r\n', 'SET hacked 1\r\n']) await new Promise((sent) => socket.write(piece, sent))
    await within('its end', over)
    await using client = await node.connect()
    expect(await client.call('EXISTS', 'hacked')).toBe(0)
    expect(node.log().match(/closed a connection that does not speak RESP/g)).toHaveLength(1)
  })

  it('closes a browser without an answer', async () => {
    const { node } = await startLiveNode()
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: node.port, host: '127.0.0.1' })
      let got = ''
      socket.on('data', (bytes) => (got += bytes.toString()))
      socket.on('error', reject)
      socket.on('close', () => resolve(got))
      socket.write('POST / HTTP/1.1\r\nHost: shop\r\n\r\nSET a 1\r\n')
    })
    expect(text).toBe('')
    await using client = await RawClient.connect(node.port)
    expect((await client.command('EXISTS', 'a')).toString()).toBe(':0\r\n')
  })

  it('a value that looks like HTTP or TLS is a value, also in the first request of a connection', async () => {
    await using client = await node.connect()
    const value = 'GET / HTTP/1.1\r\n'.repeat(20_000)
    expect(await client.call('SET', 'page', value)).toBe('OK')
    expect(await client.call('STRLEN', 'page')).toBe(value.length)
  })
})
