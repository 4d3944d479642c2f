// What a hostile or a clumsy client does to a running node: it gets a clear no, or it goes, and nobody else notices.

import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../support/eventually.ts'
import { encodeRequest, ErrorReply, RawClient } from '../support/raw-client.ts'
import type { Argument } from '../support/raw-client.ts'
import { startNode } from '../support/server.ts'
import type { Server } from '../support/server.ts'

const NAMES: readonly Argument[] = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '\u2028',
  Buffer.from([0, 0xff, 13, 10, 27, 125]),
]
const NO_INTEGERS = ['+1', ' 1', '1 ', '1e3', '0x1', '01', '-0', '', '１', '1.0', '9223372036854775808', '99999999999999999999999']

let node: Server
beforeAll(async () => {
  node = await startNode()
})
afterAll(async () => {
  // Whatever was done to it: it is there, it has no bug to report, and it stops as it should.
  expect(node.log()).not.toMatch(/please report this/)
  expect(await node.stop()).toEqual({ code: 0, signal: null })
})

/** Everything that the node says to these bytes until it closes. */
async function told(bytes: Uint8Array | string): Promise<string> {
  const socket = connect({ port: node.port, host: '127.0.0.1', noDelay: true })
  let text = ''
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
  socket.write(bytes)
  await within('its end', over)
  return text
}

async function info(client: RawClient, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(await client.call('INFO', 'all')))?.[1])
}

describe('bytes that are no requests', () => {
  it.each([
    ['*1\r\n$1099511627776\r\n', 'invalid bulk length'],
    ['*2\r\n*1\r\n', "expected '$', got '*'"],
    ['*1048577\r\n', 'invalid multibulk length'],
    [`*257\r\n$13\r\nSTOCK.RESERVE\r\n`, 'invalid multibulk length'],
    [`*2\r\n$9\r\nSTOCK.GET\r\n$1000000\r\n`, 'invalid bulk length'],
    ['x'.repeat(65_537), 'too big inline request'],
    ['SET a "b\r\n', 'unbalanced quotes in request'],
  ])('%j ends with its error', async (bytes, error) => {
    expect(await told(bytes)).toBe(`-ERR Protocol error: ${error}\r\n`)
  })

  it('a value that looks like HTTP or TLS is a value, also in the first request of a connection', async () => {
    await using client = await node.connect()
    const value = 'GET / HTTP/1.1\r\n'.repeat(20_000)
    expect(await client.call('SET', 'page', value)).toBe('OK')
    expect(await client.call('STRLEN', 'page')).toBe(value.length)
  })
})

describe('names and numbers', () => {
  it('names of any bytes are names, everywhere', async () => {
    await using client = await node.connect()
    for (const name of NAMES) {
      const bytes = name instanceof Uint8Array ? Buffer.from(name) : Buffer.from(String(name))
      const text = bytes.toString('latin1')
      const id = Buffer.concat([Buffer.from('{b'), bytes.subarray(0, -1), Buffer.from('}1')])
      const sku = Buffer.concat([Buffer.from('sku'), bytes])
      expect(await client.call('SET', bytes, bytes)).toBe('OK')
      expect(await client.call('GET', bytes)).toBe(text)
      expect(await client.call('STOCK.CREATE', sku, 5)).toBe(1)
      expect(await client.call('STOCK.RESERVE', id, 'REF', 'r', 'ITEMS', sku, 1)).toMatchObject(['OK', expect.any(Number), 4, 1, ''])
      expect(await client.call('STOCK.ORDERS', id.subarray(1, -2))).toEqual(['0', [id.toString('latin1')]])
      expect(await client.call('STOCK.ADJUST', sku, 1, 'ID', Buffer.concat([Buffer.from('a'), bytes]))).toMatchObject(['OK', 6, 5, ''])
      expect(await client.call('CONFIG', 'GET', bytes)).toEqual([])
      for (const command of [
        [bytes],
        ['CONFIG', 'SET', bytes, '1'],
        ['CLIENT', bytes],
        ['CLIENT', 'KILL', 'TYPE', bytes],
        ['FCALL', bytes, 1, 'a'],
      ])
        expect(await client.call(...command), String(command)).toBeInstanceOf(ErrorReply)
      await client.call('DEL', bytes)
    }
    expect(await client.call('STOCK.VERIFY')).toEqual([NAMES.length, NAMES.length, 0])
  })

  it('what is no plain integer is refused and changes nothing', async () => {
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'lamp', 10)
    const before = await client.call('STOCK.INFO', 'lamp')
    for (const word of NO_INTEGERS) {
      for (const command of [
        ['STOCK.RESERVE', '{u}n', 'ITEMS', 'lamp', word],
        ['STOCK.RESERVE', '{u}n', 'EX', word, 'ITEMS', 'lamp', 1],
        ['STOCK.CREATE', 'other', word],
        ['STOCK.ALTER', 'lamp', 'LIMIT', word],
        ['STOCK.ADJUST', 'lamp', word, 'ID', 'x'],
        ['INCRBY', 'counter', word],
        ['EXPIRE', 'lamp', word],
        ['SETRANGE', 'counter', word, 'x'],
        ['SELECT', word],
      ]) {
        expect(await client.call(...command), command.join(' ')).toBeInstanceOf(ErrorReply)
      }
    }
    expect(await client.call('STOCK.INFO', 'lamp')).toEqual(before)
    expect(await client.call('STOCK.ORDER', '{u}n')).toBe(null)
    expect(await client.call('EXISTS', 'other', 'counter')).toBe(0)
  })

  it('names that are too long, too many items, unknown and repeated options are refused', async () => {
    await using client = await node.connect()
    const items = Array.from({ length: 101 }, (_, i) => [`s${i}`, 1]).flat()
    for (const command of [
      ['STOCK.RESERVE', 'o'.repeat(129), 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', '', 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'ITEMS', 's'.repeat(257), 1],
      ['STOCK.RESERVE', 'o', 'ITEMS', ...items],
      ['STOCK.RESERVE', 'o', 'ITEMS', 'lamp', 1, 'lamp'],
      ['STOCK.RESERVE', 'o', 'EX', 1, 'EX', 1, 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'EX', 1, 'PX', 1, 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'SOON', 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'REF', 'r'.repeat(257), 'ITEMS', 'lamp', 1],
      ['STOCK.CREATE', 's'.repeat(257), 1],
      ['STOCK.CREATE', 'other', 1, 'HOLD', 1, 'hold', 1],
    ])
      expect(await client.call(...command), String(command).slice(0, 80)).toBeInstanceOf(ErrorReply)
    expect(await client.call('STOCK.ORDER', 'o')).toBe(null)
    await client.call('SELECT', 1)
    expect(await client.call('STOCK.RESERVE', 'o', 'ITEMS', 'lamp', 1)).toEqual(new ErrorReply('ERR STOCK commands need database 0'))
  })
})

describe('what only an operator may do', () => {
  it('CONFIG SET moves no file and no address, DEBUG is closed', async () => {
    await using client = await node.connect()
    for (const name of ['dir', 'logfile', 'bind', 'port', 'appendonly', 'unsafe-no-lock', 'enable-debug-command', 'aof-ballast'])
      expect(await client.call('CONFIG', 'SET', name, '/tmp/x'), name).toMatchObject({
        text: expect.stringContaining("can't set immutable"),
      })
    for (const name of ['dbfilename', 'appendfilename', 'aclfile', 'loadmodule', '__proto__'])
      expect(await client.call('CONFIG', 'SET', name, '/tmp/x'), name).toMatchObject({ text: expect.stringMatching(/^ERR Unknown option/) })
    for (const words of ['SLEEP 60', 'SEGFAULT', 'RELOAD', 'SET-ACTIVE-EXPIRE 0'])
      expect(await client.call('DEBUG', ...words.split(' '))).toMatchObject({
        text: expect.stringMatching(/^ERR DEBUG command not allowed/),
      })
    expect(await client.call('SHUTDOWN', 'ABORT')).toEqual(new ErrorReply('ERR No shutdown in progress.'))
  })

  it('is @dangerous, so that an ACL can take it away', async () => {
    await using client = await node.connect()
    const dangerous = (await client.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'dangerous')) as string[]
    expect(dangerous).toEqual(expect.arrayContaining(['debug', 'shutdown', 'flushall', 'flushdb', 'config|set', 'keys', 'client|kill']))
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
})

describe('pipelines', () => {
  it('100,000 requests, then the client closes its side, then it reads: every reply, in order', async () => {
    const n = 100_000
    const socket = connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
    const request = encodeRequest(['INCR', 'many'])
    socket.pause()
    socket.end(Buffer.concat(Array.from({ length: n }, () => request)))
    const chunks: Buffer[] = []
    const over = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('close', () => resolve())
    })
    socket.once('finish', () => socket.resume())
    await within('the end', over, 30_000)
    expect(Buffer.concat(chunks).toString() === Array.from({ length: n }, (_, i) => `:${i + 1}\r\n`).join('')).toBe(true)
  })

  it('a client that has closed its side gets what waits for the disk or for the end of a pause', async () => {
    await using operator = await node.connect()
    const sent = (...commands: readonly Argument[][]): Promise<string> => {
      const socket = connect({ port: node.port, host: '127.0.0.1', allowHalfOpen: true })
      socket.end(Buffer.concat(commands.map(encodeRequest)))
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString()))
      return within(
        'its replies and the end',
        new Promise((resolve) => {
          socket.on('close', () => resolve(text))
        }),
      )
    }
    expect(await sent(['SET', 'a', '1'], ['WAITAOF', 1, 0, 0], ['PING'])).toBe('+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n')
    expect(await operator.call('CLIENT', 'PAUSE', 60_000, 'WRITE')).toBe('OK')
    const paused = sent(['SET', 'b', '1'], ['GET', 'b'])
    await eventually('it waits', async () => (await info(operator, 'blocked_clients')) === 1)
    await operator.call('CLIENT', 'UNPAUSE')
    expect(await paused).toBe('+OK\r\n$1\r\n1\r\n')
  })

  it('whoever goes on sending behind QUIT, an error or its own end still reads the replies before', async () => {
    const flood = encodeRequest(['SET', 'behind', 'x'.repeat(1000)])
    const behind = Buffer.concat(Array.from({ length: 300 }, () => flood))
    for (let round = 0; round < 20; round++) {
      expect(await told(Buffer.concat([encodeRequest(['PING']), encodeRequest(['QUIT']), behind]))).toBe('+PONG\r\n+OK\r\n')
      expect(await told(Buffer.concat([encodeRequest(['PING']), Buffer.from('*x\r\n'), behind]))).toBe(
        '+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n',
      )
    }
    await using client = await node.connect()
    expect(await client.call('EXISTS', 'behind')).toBe(0)
    const id = Number(await client.call('CLIENT', 'ID'))
    client.send(Buffer.concat([encodeRequest(['CLIENT', 'KILL', 'ID', id, 'SKIPME', 'no']), behind]))
    expect((await client.read()).toString()).toBe(':1\r\n')
    await within('its end', client.closed)
  })
})

describe('floods', () => {
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

describe('a bug', () => {
  it('ends the node with 70 before anything wrong is written; the log has what was acknowledged', async () => {
    const bug = 'process.on("SIGUSR2", () => { throw new Error("an invented bug") })'
    await using server = await startNode({ execArgv: ['--import', `data:text/javascript,${encodeURIComponent(bug)}`] })
    const client = await server.connect()
    await client.call('SET', 'a', '1')
    server.signal('SIGUSR2')
    expect(await within('the end', server.exited)).toEqual({ code: 70, signal: null })
    expect(server.log()).toMatch(/an unexpected error, stopping so that nothing wrong is written.*\n.*an invented bug/)
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    expect(await reader.call('GET', 'a')).toBe('1')
  })
})

describe('maxclients', () => {
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
})

describe('SIGTERM', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s under load: exit 0, replies to whole pipelines, nothing acknowledged is lost',
    async (signal) => {
      await using busy = await startNode()
      const clients = await Promise.all(Array.from({ length: 10 }, () => busy.connect()))
      const acked = clients.map(() => 0)
      const sale = Promise.all(
        clients.map(async (client, k) => {
          for (let i = 0; ; i += 20) {
            client.send(Buffer.concat(Array.from({ length: 20 }, (_, j) => encodeRequest(['SET', `${k}:${i + j}`, 'x']))))
            for (let j = 0; j < 20; j++) {
              const reply = await client.read().catch(() => null)
              if (reply === null) return expect(j).toBe(0)
              expect(reply.toString()).toBe('+OK\r\n')
              acked[k]++
            }
          }
        }),
      )
      await eventually('some are sold', () => acked.every((n) => n > 100))
      busy.signal(signal)
      expect(await within('the end', busy.exited)).toEqual({ code: 0, signal: null })
      await sale
      await using again = await startNode({ dir: busy.dir })
      await using reader = await again.connect()
      for (const [k, n] of acked.entries())
        expect(await reader.call('EXISTS', ...Array.from({ length: n }, (_, i) => `${k}:${i}`)), `client ${k}`).toBe(n)
    },
  )

  it('answers who waits, and does not wait for a client that floods', async () => {
    await using server = await startNode()
    await using waiting = await server.connect()
    await using paused = await server.connect()
    await using forever = await server.connect()
    await using flooding = await server.connect()
    waiting.send(Buffer.concat([['SET', 'a', '1'], ['WAITAOF', 1, 0, 0], ['PING']].map(encodeRequest)))
    forever.send(
      Buffer.concat(
        [
          ['WAIT', 1, 0],
          ['SET', 'b', '1'],
        ].map(encodeRequest),
      ),
    )
    const request = encodeRequest(['GET', 'nokey'])
    const flood = Buffer.concat(Array.from({ length: 20_000 }, () => request))
    const pour = (): void => void (flooding.socket.writable && flooding.socket.write(flood, pour))
    pour()
    await flooding.read()
    await using operator = await server.connect()
    expect(await operator.call('CLIENT', 'PAUSE', 60_000, 'WRITE')).toBe('OK')
    paused.send(
      Buffer.concat(
        [
          ['SET', 'c', '1'],
          ['GET', 'c'],
        ].map(encodeRequest),
      ),
    )
    await eventually('they wait', async () => (await info(operator, 'blocked_clients')) >= 2)
    server.signal('SIGTERM')
    expect(await within('the end', server.exited, 5000)).toEqual({ code: 0, signal: null })
    const replies = async (client: RawClient, n: number): Promise<string> =>
      (await Promise.all(Array.from({ length: n }, () => client.read()))).join('')
    expect(await replies(waiting, 3)).toBe('+OK\r\n*2\r\n:1\r\n:0\r\n+PONG\r\n')
    expect(await replies(paused, 2)).toBe('+OK\r\n$1\r\n1\r\n')
    expect(await replies(forever, 2)).toBe(':0\r\n+OK\r\n')
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    expect(await reader.call('EXISTS', 'a', 'b', 'c')).toBe(3)
  })
})
