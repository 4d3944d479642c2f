// A node on real sockets: both ways of reading, memory, silence, start and stop. Its limits are in security/.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import type { ReadMode } from '../../src/server/socket.ts'
import { eventually, within } from '../support/eventually.ts'
import { startLiveNode, stopLiveNodes } from '../support/live-node.ts'
import { freePort } from '../support/port.ts'
import { encodeRequest, RawClient } from '../support/raw-client.ts'
import { startNode, STOCKD } from '../support/server.ts'
import { run } from '../support/run.ts'
import { tempDir } from '../support/temp-dir.ts'

afterEach(stopLiveNodes)

describe.each<ReadMode>(['shared', 'events'])('sockets read by %s', (mode) => {
  it('are read that way', async () => {
    const { node } = await startLiveNode({}, mode)
    await using client = await RawClient.connect(node.port)
    await client.command('PING')
    expect([...node.sessions.values()].map((session) => (session.transport as unknown as { mode: ReadMode }).mode)).toEqual([mode])
  })

  it('answer requests however they are cut, for many clients at once', async () => {
    const seed = Number(process.env.SEED ?? Date.now() & 0xffffff)
    const random = new Random(seed)
    const { node } = await startLiveNode({}, mode)
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect(node.port)))
    const work = clients.map(async (client, i) => {
      const expected: string[] = []
      const bytes: Buffer[] = []
      for (let n = 0; n < 300; n++) {
        const value = `${i}:${n}:`.repeat(random.below(random.chance(0.05) ? 20_000 : 20) + 1)
        bytes.push(encodeRequest(['SET', `key${i}`, value]), encodeRequest(['GET', `key${i}`]))
        expected.push('+OK\r\n', `$${value.length}\r\n${value}\r\n`)
      }
      const stream = Buffer.concat(bytes)
      for (let at = 0; at < stream.length;) {
        const size = random.chance(0.3) ? random.between(1, 8) : random.between(1, 70_000)
        client.send(stream.subarray(at, at + size))
        at += size
        if (random.chance(0.1)) await new Promise((resolve) => setImmediate(resolve))
      }
      for (const reply of expected) expect((await client.read()).toString('latin1'), `SEED=${seed}`).toBe(reply)
    })
    await Promise.all(work)
    for (const client of clients) await client.close()
    await eventually('the sessions are gone', () => node.sessions.size === 0)
  })

  it('take and give an argument of 64 MiB, to a reader in no hurry', async () => {
    const { node } = await startLiveNode(
      { 'client-output-buffer-limit': { normal: { hardBytes: 0, softBytes: 0, softSeconds: 0 } } as never },
      mode,
    )
    const value = Buffer.alloc(64 * 1024 * 1024, 'v')
    // Not by RawClient: it looks for the end of a reply after every chunk.
    const socket = connect({ port: node.port, host: '127.0.0.1' }).pause()
    socket.write(encodeRequest(['SET', 'big', value]))
    socket.write('STRLEN big\r\nGET big\r\nPING\r\n')
    await eventually('the node has answered', () => node.stats.commandsProcessed === 4, 30_000)
    const expected = `+OK\r\n:${value.length}\r\n$${value.length}\r\n`
    let head = ''
    let tail = ''
    let bytes = 0
    await within(
      'the reply',
      new Promise<void>((resolve, reject) => {
        socket.on('error', reject)
        socket.on('data', (chunk) => {
          bytes += chunk.length
          if (head.length < expected.length) head += chunk.toString('latin1')
          tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 9))).slice(-9)
          if (bytes === expected.length + value.length + 9) resolve()
        })
        socket.resume()
      }),
      30_000,
    )
    socket.destroy()
    expect(head.slice(0, expected.length)).toBe(expected)
    expect(tail).toBe('\r\n+PONG\r\n')
  })

  it('stop being read when their replies are not, and go on when they are', async () => {
    const { node } = await startLiveNode({}, mode)
    await using client = await RawClient.connect(node.port)
    await client.command('SET', 'v', Buffer.alloc(100_000, 'v'))
    client.socket.pause()
    const requests = 600
    for (let i = 0; i < requests; i++) client.send('GET v\r\n')
    const session = [...node.sessions.values()][0]
    await eventually('the session is paused', () => session.isReadingPaused)
    expect(session.outputQueued).toBeLessThan(4 * 1024 * 1024)
    client.socket.resume()
    for (let i = 0; i < requests; i++) expect((await client.read()).length).toBe(100_011)
    await eventually('it is read again', () => !session.isReadingPaused)
  })

  it('are not counted any more by what is asked after they were closed', async () => {
    const { node } = await startLiveNode({}, mode)
    await using client = await RawClient.connect(node.port)
    const others = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(node.port)))
    for (const other of others) await other.command('PING')
    await Promise.all(others.map((other) => other.close()))
    expect((await client.command('INFO', 'clients')).toString()).toContain('connected_clients:1\r')
  })

  it('are answered when the peer has closed its side already', async () => {
    const { node } = await startLiveNode({}, mode)
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
      let got = ''
      socket.on('data', (bytes) => (got += bytes.toString()))
      socket.on('error', reject)
      socket.on('end', () => {
        socket.destroy()
        resolve(got)
      })
      socket.end('SET a 1\r\nINCR a\r\n'.repeat(2000))
    })
    expect(text).toBe('+OK\r\n:2\r\n'.repeat(2000))
  })
})

describe('maxmemory', () => {
  it('refuses what needs more memory than maxmemory, and takes it again when there is some', async () => {
    const { node, env } = await startLiveNode({ appendonly: false })
    await using client = await RawClient.connect(node.port)
    await client.command('MEMORY', 'PURGE')
    const before = Number(/used_memory:(\d+)/.exec(String(await client.call('INFO', 'memory')))?.[1])
    await client.command('CONFIG', 'SET', 'maxmemory', String(before + 64 * 1024 ** 2))
    const value = 'v'.repeat(1024 ** 2)
    for (let i = 0; i < 100; i++) await client.command('SET', `big${i}`, value)
    for (let i = 0; i < 1000; i++) await client.command('SET', `small${i}`, value.slice(0, 1000))
    const after = Number(/used_memory:(\d+)/.exec(String(await client.call('INFO', 'memory')))?.[1])
    // How much garbage of the start is in `before` is the collector's secret.
    expect(after - before).toBeGreaterThan(80 * 1024 ** 2)
    env.pass(1_000)
    expect((await client.command('SET', 'one', 'more')).toString()).toMatch(/^-OOM /)
    // Whether or not the collector has been around, what is deleted counts no more.
    for (let i = 0; i < 100; i++) await client.command('DEL', `big${i}`)
    env.pass(1_000)
    expect((await client.command('SET', 'one', 'more')).toString()).toBe('+OK\r\n')
  })
})

describe('a hold on a node that nobody talks to', () => {
  it('expires by the beat alone', async () => {
    const { node, env } = await startLiveNode()
    await using client = await RawClient.connect(node.port)
    await client.command('STOCK.CREATE', 'sku', '1', 'HOLD', '5')
    await client.command('STOCK.RESERVE', '{u}1', 'ITEMS', 'sku', '1')
    const before = node.lastLsn
    env.pass(5_001)
    // The beat goes on: at the first one a turn may be open still, whose time is from before the jump.
    await eventually('the expiry is in the log', () => {
      env.pass(50)
      return node.log!.written > before
    })
  })
})

describe('compaction', () => {
  it('replaces the log by what it says, while clients are served, and the node starts from it', async () => {
    const dir = tempDir()
    const { node } = await startLiveNode({ dir })
    await using client = await RawClient.connect(node.port)
    await client.command('STOCK.CREATE', 'sku', '50')
    for (let i = 0; i < 20; i++) await client.command('STOCK.RESERVE', `{u${i}}o`, 'ITEMS', 'sku', '1')
    const sets = Array.from({ length: 5000 }, (_, i) => ['SET', `k${i % 50}`, `v${i}`])
    await client.pipeline(sets)
    const before = node.log!.sizeBytes
    expect((await client.command('BGREWRITEAOF')).toString()).toBe('+Background append only file rewriting started\r\n')
    await client.command('SET', 'during', 'compaction')
    await eventually('it is done', () => node.log!.compactions === 1, 30_000)
    expect(node.log!.sizeBytes).toBeLessThan(before / 2)
    await client.command('SET', 'after', 'compaction')
    const digest = node.engine.digest()
    await node.stop()

    const { node: again } = await startLiveNode({ dir })
    expect(again.engine.digest()).toBe(digest)
    await using second = await RawClient.connect(again.port)
    expect((await second.command('MGET', 'during', 'after', 'k49')).toString()).toContain('v4999')
    expect((await second.command('STOCK.GET', 'sku')).toString()).toBe(':30\r\n')
  })

  it('changes nothing when the log has rotted', async () => {
    const dir = tempDir()
    const { node, env } = await startLiveNode({ dir })
    await using client = await RawClient.connect(node.port)
    await client.pipeline(Array.from({ length: 100 }, (_, i) => ['SET', `key${i}`, 'value']))
    await client.command('BGREWRITEAOF')
    await eventually('a base is there', () => node.log!.compactions === 1, 30_000)
    const log = join(dir, 'appendonlydir')
    const manifest = readFileSync(join(log, 'appendonly.aof.manifest'), 'utf8')
    const base = join(log, /file (\S+) seq \d+ type b/.exec(manifest)![1])
    const bytes = readFileSync(base)
    bytes[bytes.length >> 1] ^= 4
    writeFileSync(base, bytes)
    await client.command('SET', 'more', 'data')
    await client.command('BGREWRITEAOF')
    await eventually('it has failed', () => node.log!.lastCompactionFailed, 30_000)
    expect(env.said.some((line) => /^warning compaction/.test(line))).toBe(true)
    expect(node.log!.compactions).toBe(1)
    expect((await client.command('SET', 'still', 'here')).toString()).toBe('+OK\r\n')
  })
})

describe('the process', () => {
  const stockd = (...args: string[]) => run([process.execPath, STOCKD, ...args])

  it('answers what it was sent, makes it durable and exits 0 on SIGTERM', async () => {
    await using server = await startNode()
    const client = await server.connect()
    const requests = 3000
    client.send('INCR n\r\n'.repeat(requests))
    await client.read()
    expect((await server.stop()).code).toBe(0)
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    const n = Number(await reader.call('GET', 'n'))
    let answered = 1
    for (let isOver = false; !isOver;) {
      await client.read(100).then(
        () => answered++,
        () => (isOver = true),
      )
    }
    expect(answered).toBe(n)
    expect(again.log()).toContain('closed cleanly')
  })

  it('exits 0 on SHUTDOWN and closes the connection', async () => {
    await using server = await startNode()
    await using client = await server.connect()
    await client.command('SET', 'a', '1')
    client.send('SHUTDOWN\r\n')
    await client.closed
    expect((await server.exited).code).toBe(0)
  })

  it('keeps what was acknowledged through kill -9', async () => {
    await using server = await startNode()
    const client = await server.connect()
    await client.command('SET', 'a', '1')
    await server.kill9()
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    expect((await reader.command('GET', 'a')).toString()).toBe('$1\r\n1\r\n')
  })

  it.each([
    [['--nope', '1'], /^stockd: unknown option "--nope"/],
    [['--port', 'x'], /^stockd: port "x": /],
    [['--port', '70000'], /^stockd: port "70000": argument must be between 0 and 65535/],
    [['--appendfsync', 'sometimes'], /^stockd: appendfsync "sometimes": /],
    [['--bind', '0.0.0.0'], /^stockd: bind 0\.0\.0\.0 lets other machines in and there is no password/],
    [['/nowhere/stockd.conf'], /^stockd: option file "\/nowhere\/stockd\.conf" cannot be read \(ENOENT\)/],
    [['--dir', '/proc/nope'], /^stockd: \/proc\/nope cannot be used/],
    [['--dir', '/etc/hostname'], /^stockd: \/etc\/hostname cannot be used/],
  ])('refuses %j in one line', async (args, line) => {
    const { code, stdout, stderr } = await stockd('--aof-ballast', '0', ...args)
    expect(code).toBe(1)
    expect(stderr).toMatch(line)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
  })

  it('refuses a broker that cannot be used before it makes a directory', async () => {
    const dir = join(tempDir(), 'never')
    const { code, stderr } = await stockd('--dir', dir, '--amqp-ca', '/nowhere/ca.pem', '--amqp', 'amqps://mq')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^stockd: amqp-ca \/nowhere\/ca\.pem cannot be read/)
    expect(existsSync(dir)).toBe(false)
  })

  it('refuses a port that is in use, and a directory that another node holds, naming it', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as AddressInfo
    const inUse = await stockd('--port', String(port), '--dir', tempDir(), '--aof-ballast', '0')
    other.close()
    expect(inUse.code).toBe(1)
    expect(inUse.stderr).toMatch(new RegExp(`^stockd: port ${port} of 127.0.0.1 is already in use`))

    await using server = await startNode()
    const locked = await stockd('--port', String(await freePort()), '--dir', server.dir)
    expect(locked.code).toBe(1)
    expect(locked.stderr).toContain(`is in use by process ${server.pid} on host`)
  })

  it('says who it is and how to use it', async () => {
    expect((await stockd('--version')).stdout).toMatch(/^stockd \d+\.\d+\.\d+\n$/)
    const help = await stockd('--help')
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('--appendfsync')
  })

  it('takes options from a file and the environment, and logs JSON', async () => {
    const dir = tempDir()
    const file = join(dir, 'stockd.conf')
    writeFileSync(file, 'maxclients 77\nlog-format json\ntimeout 5\n')
    await using server = await startNode({ args: [file, '--timeout', '6'], env: { STOCKD_TIMEOUT: '7', STOCKD_DATABASES: '3' } })
    await using client = await server.connect()
    expect(await client.call('CONFIG', 'GET', 'maxclients', 'timeout', 'databases')).toEqual(
      expect.arrayContaining(['maxclients', '77', 'timeout', '6', 'databases', '3']),
    )
    const lines = server
      .log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string })
    expect(lines.some((line) => line.msg === 'ready to accept connections')).toBe(true)
    expect(existsSync(join(server.dir, 'appendonlydir'))).toBe(true)
  })
})
