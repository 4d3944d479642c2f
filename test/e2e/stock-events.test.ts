// stock:events of a real node, log and all: what has happened is there for who reads it, when it happens, once, in order, whatever the node
// and its log go through meanwhile.

import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { Redis as IoRedis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually, within } from '../support/eventually.ts'
import { decodeReply, encodeRequest, RawClient } from '../support/raw-client.ts'
import { hasProgram, killServers, startNode } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

afterEach(killServers)

const KEY = 'stock:events'
/** Where entries are counted: no audit marks in between. */
const NO_MARKS = ['--audit-mark-interval', '0']
const SEED = Number(process.env.SEED ?? Date.now() & 0xffffff)

interface Entry {
  readonly id: string
  readonly type: string
  readonly part: number
  readonly pseq: number
  readonly event: {
    readonly id: string
    readonly type: string
    readonly time: number
    readonly order: string | null
    readonly deadline: number
  }
}

type RawEntry = [string, string[]]

function entryOf([id, fields]: RawEntry): Entry {
  const value = (name: string): string => fields[fields.indexOf(name) + 1]
  const event = JSON.parse(value('event')) as Entry['event']
  return { id, type: value('type'), part: Number(value('part')), pseq: Number(value('pseq')), event }
}

/** Whole entries from `last` on, at most `count`, after waiting so long for the first. */
async function read(client: RawClient, last: string, blockMs = 5000, count = 100): Promise<Entry[]> {
  const reply = await client.call('XREAD', 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', KEY, last)
  return reply === null ? [] : (reply as [string, RawEntry[]][])[0][1].map(entryOf)
}

/** All that is in the stream, a page at a time. */
async function readAll(client: RawClient): Promise<Entry[]> {
  const all: Entry[] = []
  for (;;) {
    const page = await client.call('XRANGE', KEY, all.length === 0 ? '-' : `(${all.at(-1)!.id}`, '+', 'COUNT', 500)
    const entries = (page as RawEntry[]).map(entryOf)
    all.push(...entries)
    if (entries.length === 0) return all
  }
}

/** How long the reply to this command is, read as fast as it comes: RawClient looks for its end after every piece. */
async function bytesOf(node: Server, command: readonly string[]): Promise<number> {
  const socket = connect({ port: node.port, host: '127.0.0.1' })
  socket.write(Buffer.concat([encodeRequest(command), encodeRequest(['PING'])]))
  let length = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    length += chunk.length
    if (chunk.toString('latin1').endsWith('+PONG\r\n')) break
  }
  return length - '+PONG\r\n'.length
}

function compare(a: string, b: string): number {
  const [ms, lsn] = a.split('-').map(Number)
  const [otherMs, otherLsn] = b.split('-').map(Number)
  return ms - otherMs || lsn - otherLsn
}

function expectWhole(entries: readonly Entry[]): void {
  for (let i = 1; i < entries.length; i++) expect(compare(entries[i - 1].id, entries[i].id)).toBeLessThan(0)
  const numbers = Array.from({ length: 16 }, () => 0)
  for (const { id, part, pseq, type, event } of entries) {
    expect(event.type).toBe(type)
    expect(`${id} ${pseq}`).toBe(`${id} ${numbers[part] + 1}`)
    // An audit mark is an event of every part, and one entry.
    if (type === 'audit.mark') for (let i = 0; i < numbers.length; i++) numbers[i]++
    else numbers[part]++
  }
}

describe('stock:events', () => {
  it('has what a client has just done, when the reply is there, also in the same pipeline', async () => {
    for (const policy of ['everysec', 'always', 'no']) {
      const node = await startNode({ args: ['--appendfsync', policy, ...NO_MARKS] })
      await using client = await node.connect()
      const replies = await client.pipeline([
        ['STOCK.CREATE', 'sku', '2'],
        ['XLEN', KEY],
        ['STOCK.RESERVE', '{u}1', 'ITEMS', 'sku', '1'],
        ['XREAD', 'STREAMS', KEY, '0'],
        ['STOCK.CONFIRM', '{u}1'],
        ['XREVRANGE', KEY, '+', '-', 'COUNT', '1'],
        ['PING'],
      ])
      const texts = replies.map((reply) => reply.toString('latin1'))
      expect(texts[1]).toBe(':1\r\n')
      expect(texts[3]).toMatch(/stock\.created[^]*order\.reserved/)
      expect(texts[5]).toMatch(/order\.confirmed/)
      expect(texts[6]).toBe('+PONG\r\n')
      await node.kill9()
    }
  })

  it('tells of a hold that has ended within 100 ms, to a reader who waits, though nobody asks the node anything', async () => {
    const node = await startNode({ args: NO_MARKS })
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'sku', 100)
    /** How late each of twelve holds was seen to have ended, in ms; ascending. */
    const round = async (name: string): Promise<number[]> => {
      const deadlines = new Map<string, number>()
      for (let i = 0; i < 12; i++) {
        const id = `{${name}}${i}`
        const [, deadline] = (await client.call('STOCK.RESERVE', id, 'PX', 1000 + i * 37, 'ITEMS', 'sku', 1)) as [string, number]
        deadlines.set(id, deadline)
      }
      let last = (await readAll(client)).at(-1)!.id
      const late: number[] = []
      while (late.length < deadlines.size) {
        const entries = await read(client, last)
        const now = Date.now()
        expect(entries.length).toBeGreaterThan(0)
        for (const { id, type, event } of entries) {
          last = id
          if (type !== 'order.expired') continue
          expect(event.time).toBe(deadlines.get(event.order!))
          expect(now).toBeGreaterThanOrEqual(event.time)
          late.push(now - event.time)
        }
      }
      return late.toSorted((a, b) => a - b)
    }
    // A machine that is busy with other tests may be late for a while. A node that is always late is so in each round.
    const rounds: number[][] = []
    const isPrompt = (): boolean => rounds.some((late) => late[Math.floor(late.length * 0.75)] < 100)
    for (let i = 0; i < 5 && !isPrompt(); i++) rounds.push(await round(`u${i}`))
    expect(isPrompt(), `late: ${rounds.map((late) => late.join(' ')).join(' | ')}`).toBe(true)
  })

  it('is the same for a reader who remembers its last id, over kill -9 and compaction, as for one who reads it all', async () => {
    const random = new Random(SEED)
    const dir = tempDir()
    const args = ['--aof-segment-size', String(256 * 1024)]
    let node: Server = await startNode({ dir, args })
    const seen: Entry[] = []
    let isOver = false
    /** Reads on and on, over broken connections. */
    const reader = async (): Promise<void> => {
      for (;;) {
        try {
          await using client = await RawClient.connect(node.port)
          for (;;) {
            const entries = await read(client, seen.at(-1)?.id ?? '0', 200, random.between(1, 300))
            seen.push(...entries)
            if (entries.length === 0 && isOver) return
          }
        } catch (error) {
          if (isOver) throw error
          await eventually('the node is there again', () => RawClient.connect(node.port).then((probe) => probe.close().then(() => true)))
        }
      }
    }
    const reading = reader()
    reading.catch(() => {})
    let order = 0
    for (let round = 0; round < 5; round++) {
      const client = await node.connect()
      await client.call('STOCK.CREATE', `sku${round}`, 1_000_000)
      for (let batch = 0; batch < 20; batch++) {
        const commands = Array.from({ length: 100 }, () => {
          const id = `{u${random.below(50)}}${order++}`
          return [
            ['STOCK.RESERVE', id, ...(random.chance(0.1) ? ['PX', '1'] : []), 'ITEMS', `sku${round}`, '1'],
            [random.pick(['STOCK.CONFIRM', 'STOCK.RELEASE']), id],
          ]
        })
        await client.pipeline(commands.flat())
        if (batch === 7) expect(String(await client.call('BGREWRITEAOF'))).toMatch(/started|progress/)
      }
      if (round < 4) {
        // In the midst of what is under way.
        client.send(
          Buffer.concat(Array.from({ length: 500 }, () => encodeRequest(['STOCK.RESERVE', `{u}${order++}`, 'ITEMS', 'sku0', '1']))),
        )
        await node.kill9()
        node = await startNode({ dir, port: node.port, args })
      }
      await client.close()
    }
    isOver = true
    await within('the reader has read to the end', reading, 60_000)
    await using client = await node.connect()
    const all = await readAll(client)
    expectWhole(all)
    // At the end of a restart open holds get other deadlines, which is no event: nothing more has come.
    expect(
      seen.map(({ id }) => id),
      `SEED=${SEED}`,
    ).toEqual(all.map(({ id }) => id))
    expect(new Set(seen.map(({ event }) => event.id)).size).toBe(seen.length)
    const [length, newest] = await client.pipeline([
      ['XLEN', KEY],
      ['XREVRANGE', KEY, '+', '-', 'COUNT', '1'],
    ])
    const [{ id: end }] = (decodeReply(newest) as RawEntry[]).map(entryOf)
    // Audit marks go on.
    expect(decodeReply(length)).toBe((await readAll(client)).filter(({ id }) => compare(id, end) <= 0).length)
  }, 120_000)

  it('wakes each of a thousand readers, every time, while others buy', async () => {
    const node = await startNode({ args: NO_MARKS })
    await using admin = await node.connect()
    await admin.call('STOCK.CREATE', 'sku', 1_000_000)
    const first = (await readAll(admin)).at(-1)!.id
    const clients = await Promise.all(Array.from({ length: 1000 }, () => node.connect()))
    const seen = clients.map((): string[] => [])
    const rounds = 5
    const reading = clients.map(async (client, i) => {
      for (let last = first; seen[i].length < rounds;) {
        const entries = await read(client, last, 0)
        seen[i].push(...entries.map(({ id }) => id))
        last = seen[i].at(-1)!
      }
    })
    for (let round = 1; round <= rounds; round++) {
      await admin.call('STOCK.RESERVE', `{u}${round}`, 'ITEMS', 'sku', 1)
      const began = performance.now()
      await eventually('everybody has it', () => seen.every((ids) => ids.length >= round), 20_000)
      // Nobody else is kept waiting for a thousand.
      expect(await admin.command('PING')).toEqual(Buffer.from('+PONG\r\n'))
      expect(performance.now() - began).toBeLessThan(5000)
    }
    await Promise.all(reading)
    const all = (await readAll(admin)).slice(1).map(({ id }) => id)
    for (const ids of seen) expect(ids).toEqual(all)
    for (const client of clients) await client.close()
  }, 60_000)

  it('loses nobody who waits, however readers and writers meet', async () => {
    const random = new Random(SEED)
    const node = await startNode({ args: ['--orders-db', 'no', ...NO_MARKS] })
    await using writer = await node.connect()
    await writer.call('STOCK.CREATE', 'sku', 1_000_000)
    const total = 301
    const readers = Array.from({ length: 8 }, async (_, i) => {
      await using client = await node.connect()
      const ids: string[] = []
      while (ids.length < total) {
        // For ever: an entry that it is not told of would be the end of it.
        ids.push(...(await read(client, ids.at(-1) ?? '0', 0, i === 0 ? 1 : random.between(1, 20))).map(({ id }) => id))
      }
      return ids
    })
    for (let i = 1; i < total; i++) {
      await writer.call('STOCK.RESERVE', `{u}${i}`, 'ITEMS', 'sku', 1)
      if (random.chance(0.3)) await read(writer, '0', 0, 1)
    }
    const all = (await readAll(writer)).map(({ id }) => id)
    expect(all).toHaveLength(total)
    for (const ids of await within('every reader has every entry', Promise.all(readers), 30_000)) {
      expect(ids, `SEED=${SEED}`).toEqual(all)
    }
  })

  it('may be read as a whole while the log is long, in bounded replies, and the node works on', async () => {
    const node = await startNode({ args: NO_MARKS })
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'sku', 10_000_000)
    for (let i = 0; i < 40; i++) {
      await client.pipeline(Array.from({ length: 1000 }, (_, k) => ['STOCK.RESERVE', `{u${k}}${i}`, 'ITEMS', 'sku', '1']))
    }
    await using greedy = await node.connect()
    expect((await greedy.command('XRANGE', KEY, '-', '+')).toString('latin1')).toMatch(/^-ERR one reply takes at most 16777216 bytes/)
    const length = bytesOf(node, ['XREAD', 'STREAMS', KEY, '0'])
    let slowest = 0
    for (let i = 0; i < 200; i++) {
      const began = performance.now()
      await client.command('PING')
      slowest = Math.max(slowest, performance.now() - began)
    }
    expect(await length).toBeGreaterThan(16_700_000)
    expect(await length).toBeLessThan(16_800_000)
    expect(slowest).toBeLessThan(500)
    expect(await client.call('XLEN', KEY)).toBe(40_001)
  }, 60_000)
})

describe('a client that is not nice', () => {
  it('floods the node behind its XREAD and goes: it is noticed', async () => {
    const node = await startNode()
    await using admin = await node.connect()
    const clients = await Promise.all(Array.from({ length: 10 }, () => node.connect()))
    const flood = Buffer.concat(Array.from({ length: 80_000 }, () => encodeRequest(['PING'])))
    for (const client of clients) {
      client.socket.on('error', () => {})
      client.send(encodeRequest(['XREAD', 'BLOCK', '0', 'STREAMS', KEY, '$']))
      client.send(flood)
    }
    await eventually('all are blocked', async () => /blocked_clients:10/.test(String(await admin.call('INFO', 'clients'))))
    for (const [i, client] of clients.entries()) {
      if (i % 2 === 0) client.socket.destroy()
      else client.socket.resetAndDestroy()
    }
    await eventually('all are gone', async () => /connected_clients:1\r/.test(String(await admin.call('INFO', 'clients'))), 60_000)
  })

  it('names a hundred thousand keys, or asks for everything at once, and the node works on', async () => {
    const node = await startNode()
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'sku', 10)
    const names = Array.from({ length: 100_000 }, () => 'nothing')
    client.send(encodeRequest(['XREAD', 'STREAMS', ...names, KEY, ...names.map(() => '0-1'), '0']))
    expect((await client.read()).toString('latin1')).toMatch(/^\*1\r\n\*2\r\n\$12\r\nstock:events/)
    const greedy = await Promise.all(Array.from({ length: 20 }, () => node.connect()))
    const everything = encodeRequest(['XREAD', 'COUNT', String(2n ** 63n - 1n), 'STREAMS', KEY, '0'])
    for (const one of greedy) one.send(Buffer.concat(Array.from({ length: 100 }, () => everything)))
    await client.pipeline(Array.from({ length: 10 }, (_, i) => ['STOCK.RESERVE', `{u}${i}`, 'ITEMS', 'sku', '1']))
    for (const one of greedy.slice(10)) await one.close()
    for (const one of greedy.slice(0, 10)) {
      let last: Buffer = Buffer.alloc(0)
      for (let i = 0; i < 100; i++) last = await one.read()
      expect(last.toString('latin1')).toMatch(/stock\.created/)
      await one.close()
    }
    expect(await client.call('XLEN', KEY)).toBeGreaterThanOrEqual(12)
  })
})

describe('stock:events, as clients read it', () => {
  /** Buys one by one until told to stop. */
  async function buying(node: Server, count: number): Promise<void> {
    await using client = await node.connect()
    for (let i = 0; i < count; i++) await client.call('STOCK.RESERVE', `{u}${i}`, 'ITEMS', 'sku', 1)
  }

  async function sellingNode(): Promise<Server> {
    const node = await startNode({ args: NO_MARKS })
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'sku', 1000)
    return node
  }

  it('ioredis: xread with BLOCK in a loop', async () => {
    const node = await sellingNode()
    const client = new IoRedis(node.port)
    try {
      const orders: string[] = []
      const loop = async (): Promise<void> => {
        for (let last = '0'; orders.length < 50;) {
          const found = await client.xread('COUNT', 10, 'BLOCK', 5000, 'STREAMS', KEY, last)
          for (const entry of found?.[0][1] ?? []) {
            last = entry[0]
            const { type, event } = entryOf(entry)
            if (type === 'order.reserved') orders.push(event.order!)
          }
        }
      }
      await within('50 orders', Promise.all([loop(), buying(node, 50)]), 20_000)
      expect(orders).toEqual(Array.from({ length: 50 }, (_, i) => `{u}${i}`))
      expect(await client.xlen(KEY)).toBe(51)
      expect(await client.xrevrange(KEY, '+', '-', 'COUNT', 1)).toHaveLength(1)
      await expect(client.xadd(KEY, '*', 'a', 'b')).rejects.toThrow(/^READONLY /)
    } finally {
      client.disconnect()
    }
  })

  it.each([2, 3] as const)('node-redis, RESP%i: xRead with BLOCK in a loop, xRange, xInfoStream', async (RESP) => {
    const node = await sellingNode()
    const client = createClient({ socket: { port: node.port, host: '127.0.0.1' }, RESP })
    await client.connect()
    try {
      const orders: string[] = []
      const loop = async (): Promise<void> => {
        for (let last = '0'; orders.length < 50;) {
          const found = (await client.xRead({ key: KEY, id: last }, { COUNT: 10, BLOCK: 5000 })) as
            | { messages: { id: string; message: Record<string, string> }[] }[]
            | null
          for (const { id, message } of found?.[0].messages ?? []) {
            last = id
            if (message.type === 'order.reserved') orders.push((JSON.parse(message.event) as Entry['event']).order!)
          }
        }
      }
      await within('50 orders', Promise.all([loop(), buying(node, 50)]), 20_000)
      expect(orders).toEqual(Array.from({ length: 50 }, (_, i) => `{u}${i}`))
      expect(await client.xLen(KEY)).toBe(51)
      expect(await client.xRange(KEY, '-', '+')).toHaveLength(51)
      expect(await client.xInfoStream(KEY)).toMatchObject({ length: 51, groups: 0 })
      expect(await client.type(KEY)).toBe('stream')
    } finally {
      client.destroy()
    }
  })

  it.skipIf(!hasProgram('redis-cli'))('redis-cli: XREAD that waits, --bigkeys', async () => {
    const node = await sellingNode()
    const cli = (...words: string[]): Promise<string> =>
      new Promise((resolve, reject) => {
        const child = spawn('redis-cli', ['-p', String(node.port), ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
        let output = ''
        child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
        child.once('error', reject)
        child.once('exit', () => resolve(output))
      })
    const waiting = cli('XREAD', 'BLOCK', '10000', 'STREAMS', KEY, '$')
    await using client = await node.connect()
    await eventually('redis-cli waits', async () => /cmd=xread/.test((await client.command('CLIENT', 'LIST')).toString('latin1')))
    await buying(node, 1)
    expect(await within('redis-cli to answer', waiting)).toMatch(/stock:events[^]*order\.reserved/)
    expect(await cli('--bigkeys')).toMatch(/0 streams/)
    expect(await cli('--scan', '--pattern', 'stock*')).toBe('')
  })
})
