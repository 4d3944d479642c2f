// Real clients talk to a real node: the ones that people have. Each connects as it does by default, so its own handshake is part of the
// test.

import { spawn } from 'node:child_process'
import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient } from 'redis'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eventually, within } from '../support/eventually.ts'
import { run } from '../support/run.ts'
import type { Finished } from '../support/run.ts'
import { hasProgram, startNode } from '../support/server.ts'
import type { Server } from '../support/server.ts'

let node: Server
beforeAll(async () => {
  node = await startNode({ args: ['--appendonly', 'no', '--allow-stock-flush', 'yes'] })
})
beforeEach(async () => {
  await using client = await node.connect()
  await client.call('FLUSHALL')
})

describe.skipIf(!hasProgram('redis-cli'))('redis-cli', () => {
  const cli = (args: readonly string[], input: string | Uint8Array = ''): Promise<Finished> =>
    run(['redis-cli', '-p', String(node.port), ...args], { input })

  it('runs one command and exits', async () => {
    expect((await cli(['set', 'k', 'v'])).stdout).toBe('OK\n')
    expect((await cli(['get', 'k'])).stdout).toBe('v\n')
    expect((await cli(['--no-raw', 'get', 'nokey'])).stdout).toBe('(nil)\n')
    expect((await cli(['--no-raw', 'get'])).stdout).toBe("(error) ERR wrong number of arguments for 'get' command\n")
    expect((await cli(['-n', '3', 'set', 'k', 'three'])).stdout).toBe('OK\n')
    expect((await cli(['-n', '3', 'get', 'k'])).stdout).toBe('three\n')
    expect((await cli(['-r', '3', 'incr', 'n'])).stdout).toBe('1\n2\n3\n')
    expect((await cli(['-x', 'set', 'binary'], 'a\0\r\nb')).stdout).toBe('OK\n')
    expect((await cli(['--csv', 'mget', 'k', 'nokey'])).stdout).toBe('"v",NULL\n')
  })

  it('runs a session from a pipe', async () => {
    const session = await cli(
      ['--no-raw'],
      'set k "a b\\x41"\nget k\nstock.create sku:x 5 LIMIT 2\nstock.reserve {ann}1 items sku:x 3\nselect 3\ndbsize\nquit\n',
    )
    expect(session.stdout).toBe(
      'OK\n"a bA"\n(integer) 1\n1) LIMIT\n2) (integer) 0\n3) (integer) 2\n4) (integer) 0\n5) ""\nOK\n(integer) 0\n',
    )
    expect(session.code).toBe(0)
  })

  it('shows maps in RESP3, and JSON', async () => {
    await cli(['stock.create', 'sku:x', '5'])
    expect((await cli(['-3', '--no-raw', 'stock.info', 'sku:x'])).stdout).toMatch(
      /^ ?1# "state" => "OPEN"\n ?2# "total" => \(integer\) 5\n/,
    )
    expect(JSON.parse((await cli(['--json', 'stock.info', 'sku:x'])).stdout)).toMatchObject({ state: 'OPEN', total: 5, price: null })
  })

  it('loads with --pipe', async () => {
    const load = Array.from({ length: 20_000 }, (_, i) => `*3\r\n$3\r\nSET\r\n$6\r\nk${10_000 + i}\r\n$5\r\nvalue\r\n`).join('')
    const loaded = await cli(['--pipe'], load)
    expect(loaded.stdout).toContain('errors: 0, replies: 20000')
    expect(loaded.code).toBe(0)
    expect((await cli(['dbsize'])).stdout).toBe('20000\n')
    expect((await cli(['--pipe'], 'SET a\r\nSET a b\r\n')).stdout).toContain('errors: 1, replies: 2')
  })

  it('surveys the keys: --bigkeys, --memkeys, --scan', async () => {
    await cli(['mset', 'a', '1', 'bb', '22', 'ccc', 'x'.repeat(500)])
    await cli(['stock.create', 'sku:x', '5'])
    const big = await cli(['--bigkeys'])
    expect(big.stdout).toContain('Sampled 4 keys in the keyspace!')
    expect(big.stdout).toContain('Biggest string found \'"ccc"\' has 500 bytes')
    expect(big.code).toBe(0)
    const memory = await cli(['--memkeys'])
    expect(memory.stdout).toContain('Sampled 4 keys in the keyspace!')
    expect(memory.stdout).toContain('Biggest string found \'"ccc"\'')
    expect((await cli(['--scan', '--pattern', '[ab]*'])).stdout.split('\n').toSorted()).toEqual(['', 'a', 'bb'])
  })

  it('watches: --stat, --latency, and a repeated command', async () => {
    await cli(['set', 'k', 'v'])
    expect(await until(['redis-cli', '-p', String(node.port), '--stat', '-i', '0.05'], /\n(1 .*\n){3}/)).toMatch(/keys +mem +clients/)
    expect(await until(['redis-cli', '-p', String(node.port), '-r', '-1', '-i', '0.01', 'ping'], /(PONG\n){5}/)).toContain('PONG')
  })

  it('logs in', async () => {
    await using guarded = await startNode({ args: ['--appendonly', 'no'], env: { STOCKD_REQUIREPASS: 'secret' } })
    const ask = (...args: string[]): Promise<Finished> => run(['redis-cli', '--no-auth-warning', '-p', String(guarded.port), ...args])
    expect((await ask('get', 'k')).stdout).toBe('NOAUTH Authentication required.\n\n')
    expect((await ask('-a', 'secret', 'ping')).stdout).toBe('PONG\n')
    expect((await ask('--user', 'default', '--pass', 'secret', '-3', 'ping')).stdout).toBe('PONG\n')
    expect((await ask('-a', 'wrong', 'ping')).stderr).toContain(
      'AUTH failed: WRONGPASS invalid username-password pair or user is disabled.',
    )
  })
})

describe.skipIf(!hasProgram('redis-benchmark'))('redis-benchmark', () => {
  const bench = (...args: string[]): Promise<Finished> => run(['redis-benchmark', '-p', String(node.port), '-q', '-n', '5000', ...args])

  it('runs its tests of strings and a command of ours', async () => {
    const strings = await bench('-P', '16', '-c', '10', '-r', '1000', '-t', 'ping,set,get,incr,mset')
    expect(strings).toMatchObject({ code: 0, stderr: '' })
    for (const name of ['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'MSET .10 keys.'])
      expect(strings.stdout).toMatch(new RegExp(`${name}: [0-9.]+ requests per second`))
    await run(['redis-cli', '-p', String(node.port), 'stock.create', 'sku:x', '1000'])
    // Nearly all of these are refused, and a refusal is no error: the benchmark ends at the first error.
    expect(await bench('-P', '16', '-r', '1000000', 'stock.reserve', '{u__rand_int__}1', 'items', 'sku:x', '1')).toMatchObject({
      code: 0,
      stderr: '',
    })
    expect((await run(['redis-cli', '-p', String(node.port), 'stock.get', 'sku:x'])).stdout).toBe('0\n')
  })
})

for (const [name, Ioredis] of [
  ['ioredis 6', Ioredis6],
  ['ioredis 5', Ioredis5 as unknown as typeof Ioredis6],
] as const) {
  describe(`${name}`, () => {
    const connect = (options: object = {}): InstanceType<typeof Ioredis6> =>
      new Ioredis({ port: node.port, host: '127.0.0.1', lazyConnect: true, ...options })

    it('connects with a name and a database, and works with strings', async () => {
      const client = connect({ db: 5, connectionName: 'shop' })
      await client.connect()
      try {
        expect(client.status).toBe('ready')
        expect(await client.call('CLIENT', 'GETNAME')).toBe('shop')
        expect(await client.set('k', 'v', 'EX', 100, 'NX')).toBe('OK')
        expect(await client.set('k', 'w', 'NX')).toBeNull()
        expect(await client.ttl('k')).toBeGreaterThan(90)
        expect(await client.mset({ a: '1', b: '2' })).toBe('OK')
        expect(await client.mget('a', 'b', 'nokey')).toEqual(['1', '2', null])
        expect(await client.incrby('a', 41)).toBe(42)
        expect(await client.callBuffer('SET', 'bin', Buffer.from([0, 255, 13, 10]))).toEqual(Buffer.from('OK'))
        expect(await client.getBuffer('bin')).toEqual(Buffer.from([0, 255, 13, 10]))
        await expect(client.incr('bin')).rejects.toThrow('ERR value is not an integer or out of range')
        const found: string[] = []
        for await (const keys of client.scanStream({ match: '[ab]' })) found.push(...(keys as string[]))
        expect(found.toSorted()).toEqual(['a', 'b'])
      } finally {
        client.disconnect()
      }
    })

    it('sells, pipelined and alone', async () => {
      const client = connect()
      try {
        expect(await client.call('STOCK.CREATE', 'sku:x', 3)).toBe(1)
        const replies = await client
          .pipeline(Array.from({ length: 5 }, (_, i) => ['call', 'STOCK.RESERVE', `{u${i}}1`, 'ITEMS', 'sku:x', 1]))
          .exec()
        expect(replies?.map(([error, reply]) => error ?? (reply as unknown[])[0])).toEqual(['OK', 'OK', 'OK', 'HELD', 'HELD'])
        expect(((await client.call('STOCK.CONFIRM', '{u0}1', 'REF', 'pay_1')) as unknown[])[0]).toBe('OK')
        expect(await client.call('STOCK.GET', 'sku:x')).toBe(0)
        await expect(client.call('STOCK.RESERVE', '{u9}1', 'ITEMS', 'nosku', 1)).rejects.toThrow("NOSKU no such SKU 'nosku'")
      } finally {
        client.disconnect()
      }
    })

    it('comes back after its connection was killed, and nothing is lost on the way', async () => {
      const client = connect({ retryStrategy: () => 5 })
      try {
        await client.set('k', 'v')
        await using admin = await node.connect()
        const again = new Promise((resolve) => client.once('ready', resolve))
        expect(await admin.call('CLIENT', 'KILL', 'ID', String(await client.call('CLIENT', 'ID')))).toBe(1)
        await within('a second connection', again)
        expect(await client.get('k')).toBe('v')
      } finally {
        client.disconnect()
      }
    })
  })
}

describe('node-redis 6', () => {
  for (const RESP of [2, 3] as const) {
    it(`works over RESP${RESP}`, async () => {
      const client = createClient({ url: `redis://127.0.0.1:${node.port}/2`, name: 'shop', RESP })
      client.on('error', () => {})
      await client.connect()
      try {
        expect(await client.ping()).toBe('PONG')
        expect(await client.clientGetName()).toBe('shop')
        expect(await client.set('k', 'v', { expiration: { type: 'PX', value: 100_000 }, condition: 'NX' })).toBe('OK')
        expect(await client.get('nokey')).toBeNull()
        expect(await client.pTTL('k')).toBeGreaterThan(90_000)
        expect(await Promise.all(Array.from({ length: 100 }, () => client.incr('n')))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
        const found: string[] = []
        for await (const keys of client.scanIterator()) found.push(...keys)
        expect(found.toSorted()).toEqual(['k', 'n'])
        expect(await client.info('server')).toContain('redis_version:7.0.15')
        await expect(client.sendCommand(['GET'])).rejects.toThrow("ERR wrong number of arguments for 'get' command")
        await client.select(0)
        expect(await client.sendCommand(['STOCK.CREATE', 'sku:x', '2'])).toBe(1)
        expect(await client.sendCommand(['STOCK.RESERVE', '{ann}1', 'ITEMS', 'sku:x', '2'])).toMatchObject([
          'OK',
          expect.any(Number),
          0,
          2,
          '',
        ])
        expect(await client.sendCommand(['STOCK.GET', 'sku:x'])).toBe(0)
      } finally {
        client.destroy()
      }
    })
  }
})

const PYTHON = '/usr/bin/python3'
const hasPythonRedis =
  hasProgram('python3') &&
  (await run([PYTHON, '-c', 'import redis']).then(
    (r) => r.code === 0,
    () => false,
  ))

describe.skipIf(!hasPythonRedis)('python3-redis', () => {
  it('works with strings, pipelines, scans and stock', async () => {
    const script = `
import sys, redis
for protocol in (2, 3):
    try:
        r = redis.Redis(port=int(sys.argv[1]), decode_responses=True, client_name='shop', protocol=protocol)
    except TypeError:
        r = redis.Redis(port=int(sys.argv[1]), decode_responses=True, client_name='shop')
    r.flushall()
    assert r.ping() is True
    assert r.client_getname() == 'shop'
    assert r.set('k', 'v', ex=100, nx=True) is True
    assert r.set('k', 'w', nx=True) is None
    assert 90 < r.ttl('k') <= 100
    assert r.mget('k', 'nokey') == ['v', None]
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.incr('n')
        assert p.execute() == list(range(1, 1001))
    assert sorted(r.scan_iter(count=1)) == ['k', 'n']
    assert r.info()['redis_version'] == '7.0.15'
    assert r.config_get('databases') == {'databases': '16'}
    assert len(r.client_list()) >= 1
    assert r.incrbyfloat('f', 1.5) == 1.5
    try:
        r.incr('k')
        raise AssertionError('no error')
    except redis.ResponseError as e:
        assert str(e) == 'value is not an integer or out of range', str(e)
    assert r.execute_command('STOCK.CREATE', 'sku:x', 2) == 1
    reply = r.execute_command('STOCK.RESERVE', '{ann}1', 'ITEMS', 'sku:x', 2)
    assert reply[0] == 'OK' and reply[2:] == [0, 2, ''], reply
    assert r.execute_command('STOCK.RESERVE', '{bob}1', 'ITEMS', 'sku:x', 2)[0] == 'HELD'
    r.close()
print('done')
`
    expect(await run([PYTHON, '-c', script, String(node.port)])).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
  })
})

/** What a program prints until it matches; then it is stopped. For programs that never end by themselves. */
async function until(command: readonly string[], pattern: RegExp): Promise<string> {
  // Programs keep what they print to a pipe; stdbuf makes them print line by line.
  const child = spawn('stdbuf', ['-oL', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString('latin1')))
  try {
    await eventually(`${command.join(' ')} to print ${String(pattern)}`, () => pattern.test(printed))
    return printed
  } finally {
    child.kill()
  }
}
