// Pub/sub as applications do it, through the clients that they use.

import { spawn, spawnSync } from 'node:child_process'
import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { run } from '../support/run.ts'
import { hasProgram, startNode } from '../support/server.ts'
import type { Server } from '../support/server.ts'

let node: Server
beforeAll(async () => {
  node = await startNode({ args: ['--appendonly', 'no'] })
})

for (const [name, Ioredis] of [
  ['ioredis 6', Ioredis6],
  ['ioredis 5', Ioredis5 as unknown as typeof Ioredis6],
] as const) {
  describe(`${name}`, () => {
    it('listens on one connection and publishes on another, and subscribes again by itself when the connection breaks', async () => {
      const listener = new Ioredis(node.port, '127.0.0.1')
      const publisher = new Ioredis(node.port, '127.0.0.1')
      const heard: string[] = []
      listener.on('message', (channel: string, message: string) => heard.push(`${channel} ${message}`))
      listener.on('pmessage', (pattern: string, channel: string, message: string) => heard.push(`${pattern} ${channel} ${message}`))
      expect(await listener.subscribe('news', 'weather')).toBe(2)
      expect(await listener.psubscribe('n*')).toBe(3)
      expect(await publisher.publish('news', 'hello')).toBe(2)
      expect(await publisher.publish('weather', 'rain')).toBe(1)
      await eventually('the messages', () => heard.length === 3)
      expect(heard).toEqual(['news hello', 'n* news hello', 'weather rain'])
      expect(await listener.ping()).toBeDefined()

      await publisher.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await eventually('it listens again', async () => (await publisher.publish('weather', 'sun')) === 1)
      await eventually('the message', () => heard.includes('weather sun'))
      await eventually('to all', async () => (await publisher.call('PUBSUB', 'NUMPAT')) === 1)

      expect(await listener.unsubscribe('news', 'weather')).toBe(1)
      expect(await listener.punsubscribe('n*')).toBe(0)
      expect(await listener.set('k', 'v')).toBe('OK')
      listener.disconnect()
      publisher.disconnect()
    })

    it('listens to shard channels, and to bytes', async () => {
      const listener = new Ioredis(node.port, '127.0.0.1')
      const publisher = new Ioredis(node.port, '127.0.0.1')
      const heard: Buffer[] = []
      listener.on('smessage', (channel: string, message: string) => heard.push(Buffer.from(`${channel} ${message}`)))
      listener.on('messageBuffer', (channel: Buffer, message: Buffer) => heard.push(channel, message))
      const bytes = Buffer.from([0, 255, 13, 10, 1])
      await listener.ssubscribe('shard')
      await listener.subscribe(bytes)
      expect(await publisher.spublish('shard', 'one')).toBe(1)
      expect(await publisher.publish(bytes as never, bytes)).toBe(1)
      await eventually('both', () => heard.length === 3)
      expect(heard).toEqual([Buffer.from('shard one'), bytes, bytes])
      listener.disconnect()
      publisher.disconnect()
    })
  })
}

describe.each([2, 3] as const)('node-redis in RESP%i', (RESP) => {
  it('listens to channels, patterns and shard channels, and ends it', async () => {
    const publisher = createClient({ url: `redis://127.0.0.1:${node.port}`, RESP })
    const listener = publisher.duplicate()
    await Promise.all([publisher.connect(), listener.connect()])
    const heard: string[] = []
    const hear = (message: string, channel: string): void => void heard.push(`${channel} ${message}`)
    await listener.subscribe(['a', 'b'], hear)
    await listener.pSubscribe('a*', hear)
    await listener.sSubscribe('s', hear)
    expect(await publisher.publish('a', 'one')).toBe(2)
    expect(await publisher.publish('b', 'two')).toBe(1)
    expect(await publisher.sPublish('s', 'three')).toBe(1)
    await eventually('the messages', () => heard.length === 4)
    expect(heard.toSorted()).toEqual(['a one', 'a one', 'b two', 's three'])
    expect((await publisher.pubSubChannels()).toSorted()).toEqual(['a', 'b'])
    await listener.unsubscribe()
    await listener.pUnsubscribe()
    await listener.sUnsubscribe()
    expect(await publisher.publish('a', 'four')).toBe(0)
    // In RESP2 it goes on decoding as a listener: bytes, also of redis-server.
    expect(String(await listener.set('k', 'v'))).toBe('OK')
    await Promise.all([publisher.close(), listener.close()])
  })
})

/** A program that listens, until what it printed shows what it has heard. */
async function listen(command: readonly string[], isReady: string, publish: () => Promise<unknown>, isDone: RegExp): Promise<string> {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  try {
    await eventually(`${isReady} from ${command[0]}`, () => printed.includes(isReady))
    await publish()
    await eventually(`${isDone} from ${command[0]}`, () => isDone.test(printed))
    return printed
  } finally {
    child.kill('SIGKILL')
  }
}

describe.skipIf(!hasProgram('redis-cli'))('redis-cli', () => {
  const cli = (...args: string[]): Promise<{ stdout: string }> => run(['redis-cli', '-p', String(node.port), ...args])

  it.each(['-2', '-3'])('prints what it hears, with %s', async (protocol) => {
    const publish = async (): Promise<void> => {
      expect((await cli('publish', 'cli.1', 'hello world')).stdout).toBe('1\n')
      expect((await cli('pubsub', 'channels')).stdout).toBe('\n')
      expect((await cli('pubsub', 'numpat')).stdout).toBe('1\n')
    }
    const heard = await listen(
      ['redis-cli', '-p', String(node.port), protocol, '--csv', 'psubscribe', 'cli.*'],
      'psubscribe',
      publish,
      /pmessage.*hello world/s,
    )
    expect(heard).toContain('"cli.*"')
    await eventually('it is gone', async () => (await cli('pubsub', 'numpat')).stdout === '0\n')
  })
})

const PYTHON = `
import redis, sys
client = redis.Redis(port=int(sys.argv[1]))
other = client.pubsub()
other.subscribe('py', b'\\x00\\xff')
other.psubscribe('p*')
def next():
    while True:
        message = other.get_message(timeout=5)
        if message is not None:
            return message
for expected in [('subscribe', b'py', 1), ('subscribe', b'\\x00\\xff', 2), ('psubscribe', b'p*', 3)]:
    message = next()
    assert (message['type'], message['channel'], message['data']) == expected, message
assert client.publish('py', 'hello') == 2
assert client.publish(b'\\x00\\xff', b'\\xff\\x00') == 1
assert client.pubsub_numsub('py', 'nobody') == [(b'py', 1), (b'nobody', 0)]
assert client.pubsub_numpat() == 1
heard = sorted((m['type'], m['pattern'] or b'', m['channel'], m['data']) for m in (next(), next(), next()))
assert heard == [('message', b'', b'\\x00\\xff', b'\\xff\\x00'), ('message', b'', b'py', b'hello'), ('pmessage', b'p*', b'py', b'hello')], heard
other.ping()
assert next()['type'] == 'pong'
other.unsubscribe()
other.punsubscribe()
assert sorted(next()['type'] for _ in range(3)) == ['punsubscribe', 'unsubscribe', 'unsubscribe']
assert client.publish('py', 'hello') == 0
other.close()
print('done')
`

const HAS_PYTHON_REDIS = spawnSync('/usr/bin/python3', ['-c', 'import redis']).status === 0

describe.skipIf(!HAS_PYTHON_REDIS)('python3-redis', () => {
  it('subscribes, hears, pings and unsubscribes', async () => {
    const { stdout, stderr } = await run(['/usr/bin/python3', '-c', PYTHON, String(node.port)])
    expect(stderr).toBe('')
    expect(stdout).toBe('done\n')
  })
})
