// Subscribers that do not read: the limits of class pubsub close them, publishers and other subscribers notice nothing.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { encodeRequest } from '../../support/raw-client.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { startNode } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

const MIB = 1024 * 1024
const MESSAGE = Buffer.alloc(MIB, 'm')

let node: Server
beforeEach(async () => {
  node = await startNode({ args: ['--appendonly', 'no'] })
})

class Subscriber {
  readonly socket: Socket
  bytes = 0
  isClosed = false

  constructor(port: number, channel: string) {
    this.socket = connect({ port, host: '127.0.0.1' })
    this.socket.on('data', (chunk) => (this.bytes += chunk.length))
    this.socket.on('close', () => (this.isClosed = true))
    this.socket.on('error', () => {})
    this.socket.write(encodeRequest(['SUBSCRIBE', channel]))
  }

  static async to(channel: string, publisher: RawClient): Promise<Subscriber> {
    const subscriber = new Subscriber(node.port, channel)
    await eventually('the subscription is confirmed', () => subscriber.bytes > 0)
    expect(await publisher.call('PUBSUB', 'NUMSUB', channel)).not.toContain(0)
    return subscriber
  }
}

const listeners = async (client: RawClient, channel: string): Promise<unknown> =>
  ((await client.call('PUBSUB', 'NUMSUB', channel)) as unknown[])[1]

const closedByLimit = async (client: RawClient): Promise<number> =>
  Number(/clients_closed_output_limit:(\d+)/.exec(String(await client.call('INFO', 'stats')))![1])

describe('a subscriber that does not read', () => {
  it('is closed above the hard limit of 32 MiB; who publishes hears a number, who reads gets every message', async () => {
    await using publisher = await node.connect()
    expect(await publisher.call('CONFIG', 'GET', 'client-output-buffer-limit')).toEqual([
      'client-output-buffer-limit',
      expect.stringContaining('pubsub 33554432 8388608 60'),
    ])
    const slow = await Subscriber.to('slow', publisher)
    const quick = await Subscriber.to('quick', publisher)
    slow.socket.pause()
    let sent = 0
    while ((await publisher.call('PUBLISH', 'slow', MESSAGE)) === 1) {
      expect(await publisher.call('PUBLISH', 'quick', 'x')).toBe(1)
      sent++
      expect(sent).toBeLessThan(64)
    }
    // What the kernel holds for it does not count.
    expect(sent).toBeGreaterThanOrEqual(32)
    expect(await closedByLimit(publisher)).toBe(1)
    expect(await listeners(publisher, 'slow')).toBe(0)
    const message = encodeRequest(['message', 'quick', 'x']).length
    const confirmation = '*3\r\n$9\r\nsubscribe\r\n$5\r\nquick\r\n:1\r\n'.length
    await eventually('every message for who reads', () => quick.bytes === confirmation + sent * message)
    expect(quick.isClosed).toBe(false)
    quick.socket.destroy()
    slow.socket.destroy()
  })

  it('is closed above the hard limit that CONFIG SET has set, and may have as much as it likes without one', async () => {
    await using publisher = await node.connect()
    const slow = await Subscriber.to('slow', publisher)
    slow.socket.pause()
    expect(await publisher.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 0 0 0')).toBe('OK')
    for (let i = 0; i < 40; i++) expect(await publisher.call('PUBLISH', 'slow', MESSAGE)).toBe(1)
    const list = String(await publisher.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
    expect(Number(/omem=(\d+)/.exec(list)![1])).toBeGreaterThan(32 * MIB)
    expect(await publisher.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 4mb 0 0')).toBe('OK')
    // As in redis-server it counts when the next message comes, which is still counted.
    expect(await publisher.call('PUBLISH', 'slow', 'x')).toBe(1)
    await eventually('it is closed', async () => (await listeners(publisher, 'slow')) === 0)
    expect(await closedByLimit(publisher)).toBe(1)
    slow.socket.destroy()
  })

  it('is closed when it was above the soft limit for its time; who catches up stays', async () => {
    await using publisher = await node.connect()
    expect(await publisher.call('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 0 1mb 2')).toBe('OK')
    const slow = await Subscriber.to('both', publisher)
    const late = await Subscriber.to('both', publisher)
    slow.socket.pause()
    late.socket.pause()
    for (let i = 0; i < 16; i++) expect(await publisher.call('PUBLISH', 'both', MESSAGE)).toBe(2)
    expect(await listeners(publisher, 'both')).toBe(2)
    late.socket.resume()
    await eventually('it has read everything', () => late.bytes > 16 * MIB)
    // Nothing more is sent to either of them.
    await eventually('the one that does not read is closed', async () => (await listeners(publisher, 'both')) === 1)
    expect(await closedByLimit(publisher)).toBe(1)
    expect(await publisher.call('PUBLISH', 'both', 'x')).toBe(1)
    await eventually('the other one hears it', () => late.bytes > 16 * MIB + 16 * 35)
    expect(late.isClosed).toBe(false)
    slow.socket.destroy()
    late.socket.destroy()
  })

  it('costs its messages once: a thousand that do not read share them', async () => {
    await using publisher = await node.connect()
    const memory = async (): Promise<number> =>
      Number(/used_memory_rss:(\d+)/.exec(String(await publisher.call('INFO', 'memory')))![1]) / MIB
    const slow = await Promise.all(Array.from({ length: 300 }, () => Subscriber.to('slow', publisher)))
    for (const { socket } of slow) socket.pause()
    const before = await memory()
    for (let i = 0; i < 20; i++) expect(await publisher.call('PUBLISH', 'slow', MESSAGE)).toBe(300)
    // Each of them has about 15 MiB unread: 4 GiB in all, were they not the same.
    expect((await memory()) - before).toBeLessThan(400)
    for (const { socket } of slow) socket.destroy()
  })
})

describe('timeout', () => {
  it('closes who is idle, not who listens', async () => {
    await using publisher = await node.connect()
    const listener = await Subscriber.to('news', publisher)
    const idle = new Subscriber(node.port, 'nothing')
    idle.socket.write(encodeRequest(['UNSUBSCRIBE']))
    expect(await publisher.call('CONFIG', 'SET', 'timeout', '1')).toBe('OK')
    await eventually('the idle one is closed', async () => (await publisher.call('PING')) === 'PONG' && idle.isClosed)
    expect(await publisher.call('PUBLISH', 'news', 'x')).toBe(1)
    expect(listener.isClosed).toBe(false)
    listener.socket.destroy()
  })
})
