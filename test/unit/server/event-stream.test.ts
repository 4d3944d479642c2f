import { describe, expect, it } from 'vitest'
import { lsn } from '../../../src/base/brand.ts'
import { Random } from '../../../src/base/random.ts'
import { FakeFeed } from '../../support/fake-feed.ts'
import { decodeReply, ErrorReply, replyEnd } from '../../support/raw-client.ts'
import type { Value } from '../../support/raw-client.ts'
import { NodeStage } from './node-stage.ts'
import type { NodeClient } from './node-stage.ts'
import { FakeLog } from './stage.ts'

const NIL = '*-1\r\n'
const UNBLOCKED = '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n'

class FeedStage extends NodeStage {
  readonly feed = new FakeFeed()

  constructor(...args: ConstructorParameters<typeof NodeStage>) {
    super(...args)
    this.node.feed = this.feed
  }

  /** Lets the feed answer and the loop come round until nothing moves any more. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      this.env.passAll()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.env.passAll()
  }

  /** Sends a line; what has come back when all is quiet. */
  async ask(client: NodeClient, line: string): Promise<string> {
    const now = client.ask(line)
    await this.settle()
    return now + client.read()
  }
}

/** The ids in a reply of XREAD or XRANGE. */
const ids = (reply: string): string[] => [...reply.matchAll(/\$\d+\r\n(\d+-\d+)\r\n\*8/g)].map(([, id]) => id)

describe('a reader that waits', () => {
  it('gets what comes, when it comes, and goes on from there', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    expect(await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')).toBe('')
    stage.feed.add(5, 1)
    await stage.settle()
    expect(ids(reader.read())).toEqual(['5-1'])
    stage.feed.put(5, 2).add(6, 3)
    expect(ids(await stage.ask(reader, 'XREAD BLOCK 0 COUNT 1 STREAMS stock:events 5-1'))).toEqual(['5-2'])
    expect(ids(await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events 5-2'))).toEqual(['6-3'])
  })

  it('is one of a thousand, and an event costs one look at the feed', async () => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    const readers = Array.from({ length: 1000 }, () => stage.connect())
    for (const reader of readers) expect(reader.ask('XREAD BLOCK 0 STREAMS stock:events 1-1')).toBe('')
    await stage.settle()
    for (let event = 2; event < 5; event++) {
      const asked = stage.feed.ranges
      stage.feed.add(event, event)
      await stage.settle()
      expect(stage.feed.ranges - asked).toBe(1)
      for (const reader of readers) {
        expect(ids(reader.read())).toEqual([`${event}-${event}`])
        // It has seen the last one: it need not look before it waits.
        expect(reader.ask(`XREAD BLOCK 0 STREAMS stock:events ${event}-${event}`)).toBe('')
      }
      expect(stage.feed.ranges - asked).toBe(1)
    }
    expect(stage.feed.summaries).toBe(0)
  })

  it('does not wait inside EXEC, and what has to be fetched is not read there', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    stage.feed.add(1, 1)
    for (const line of ['MULTI', 'XREAD BLOCK 0 STREAMS none 0', 'XREAD BLOCK 0 STREAMS stock:events 0', 'XLEN stock:events'])
      reader.ask(line)
    const refusal = '-ERR stock:events is fetched from the log, and EXEC does not wait: read it outside of MULTI\r\n'
    expect(await stage.ask(reader, 'EXEC')).toBe(`*3\r\n*-1\r\n${refusal}${refusal}`)
    expect(await stage.ask(reader, 'XLEN stock:events')).toBe(':1\r\n')
  })

  it('misses nothing that comes while it looks', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    stage.feed.isHolding = true
    reader.ask('XREAD BLOCK 0 STREAMS stock:events 0')
    await stage.settle()
    // It is looked at, nothing is found, and before that arrives there is something.
    stage.feed.release()
    stage.feed.isHolding = true
    await stage.settle()
    stage.feed.add(1, 1)
    stage.feed.release()
    await stage.settle()
    expect(ids(reader.read())).toEqual(['1-1'])
  })

  it('misses nothing that comes while others are served', async () => {
    const stage = new FeedStage()
    const [near, far] = [stage.connect(), stage.connect()]
    await stage.ask(near, 'XREAD BLOCK 0 STREAMS stock:events 1-1')
    await stage.ask(far, 'XREAD BLOCK 0 STREAMS stock:events 2-2')
    stage.feed.isHolding = true
    stage.feed.add(2, 2)
    await stage.settle()
    stage.feed.release()
    stage.feed.isHolding = true
    await stage.settle()
    stage.feed.add(3, 3)
    stage.feed.release()
    await stage.settle()
    expect([ids(near.read()), ids(far.read())]).toEqual([['2-2'], ['3-3']])
  })

  it('gets more than a page in parts, and the rest when it asks for it', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    for (let i = 1; i <= 300; i++) stage.feed.put(1, i)
    stage.feed.onEntries()
    await stage.settle()
    const first = ids(reader.read())
    expect(first).toHaveLength(256)
    const rest = ids(await stage.ask(reader, `XREAD BLOCK 0 STREAMS stock:events ${first.at(-1)}`))
    expect([...first, ...rest]).toEqual(Array.from({ length: 300 }, (_, i) => `1-${i + 1}`))
  })

  it('is not led astray by one that closed while it looked', async () => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    const [gone, reader] = [stage.connect(), stage.connect()]
    stage.feed.isHolding = true
    await stage.ask(gone, 'XREAD BLOCK 0 STREAMS stock:events stock:events 9-9 0-0')
    stage.node.closed(gone.session)
    stage.feed.release()
    await stage.settle()
    expect(ids(await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events 0-0'))).toEqual(['1-1'])
  })

  it('gives up when its time is over, and answers nil', async () => {
    const stage = new FeedStage()
    const two = stage.connect()
    const three = stage.connect()
    three.ask('HELLO 3')
    expect(await stage.ask(two, 'XREAD BLOCK 100 STREAMS stock:events $')).toBe('')
    expect(await stage.ask(three, 'XREAD BLOCK 100 STREAMS stock:events $')).toBe('')
    stage.pass(99)
    expect(two.read() + three.read()).toBe('')
    stage.pass(1)
    expect(two.read()).toBe(NIL)
    expect(three.read()).toBe('_\r\n')
    expect(await stage.ask(two, 'XLEN stock:events')).toBe(':0\r\n')
  })

  it('gets what is there however short its patience and slow the log, and gives up at once if nothing is', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    stage.feed.put(1, 1)
    for (const [last, expected] of [
      ['0', ['1-1']],
      ['1-1', []],
    ] as const) {
      stage.feed.isHolding = true
      expect(await stage.ask(reader, `XREAD BLOCK 100 STREAMS stock:events ${last}`)).toBe('')
      stage.pass(500)
      expect(reader.read()).toBe('')
      stage.feed.release()
      await stage.settle()
      stage.pass(0)
      const reply = reader.read()
      expect(ids(reply)).toEqual(expected)
      if (expected.length === 0) expect(reply).toBe(NIL)
    }
  })

  it('is let go by CLIENT UNBLOCK', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    const admin = stage.connect()
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    expect(admin.ask(`CLIENT UNBLOCK ${reader.session.id}`)).toBe(':1\r\n')
    expect(reader.read()).toBe(NIL)
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS nothing $')
    expect(admin.ask(`CLIENT UNBLOCK ${reader.session.id} ERROR`)).toBe(':1\r\n')
    expect(reader.read()).toBe(UNBLOCKED)
    expect(admin.ask(`CLIENT UNBLOCK ${reader.session.id}`)).toBe(':0\r\n')
    // Who does not block is not let go.
    stage.feed.isHolding = true
    await stage.ask(reader, 'XREAD STREAMS stock:events 0')
    expect(admin.ask(`CLIENT UNBLOCK ${reader.session.id}`)).toBe(':0\r\n')
    stage.feed.release()
    await stage.settle()
    expect(reader.read()).toBe(NIL)
  })

  it('leaves nothing behind when its connection closes', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    stage.node.closed(reader.session)
    expect(stage.node.turn.parked.size).toBe(0)
    const asked = stage.feed.ranges
    stage.feed.add(1, 1)
    await stage.settle()
    expect(stage.feed.ranges).toBe(asked)
    expect(reader.read()).toBe('')
  })

  it('is not kept for a peer that sends no more, be it before or after it began to wait', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    stage.node.turn.ended(reader.session)
    expect(reader.transport.state).toBe('ended')
    const other = stage.connect()
    stage.feed.isHolding = true
    stage.feed.onEntries()
    await stage.ask(other, 'XREAD BLOCK 0 STREAMS stock:events 0')
    stage.node.turn.ended(other.session)
    expect(other.transport.state).toBe('open')
    stage.feed.release()
    await stage.settle()
    expect(other.read()).toBe(NIL)
    expect(other.transport.state).toBe('ended')
    const third = stage.connect()
    await stage.ask(third, 'XREAD BLOCK 0 STREAMS nothing $')
    stage.node.turn.ended(third.session)
    expect(third.transport.state).toBe('ended')
  })

  it('is served while CLIENT PAUSE holds the others, and one that asks then waits for the end of it', async () => {
    const stage = new FeedStage()
    const [reader, late, admin] = [stage.connect(), stage.connect(), stage.connect()]
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    expect(admin.ask('CLIENT PAUSE 1000 ALL')).toBe('+OK\r\n')
    expect(await stage.ask(late, 'XREAD STREAMS stock:events 0')).toBe('')
    stage.feed.add(1, 1)
    await stage.settle()
    expect(ids(reader.read())).toEqual(['1-1'])
    stage.node.unpause()
    await stage.settle()
    expect(ids(late.read())).toEqual(['1-1'])
    admin.ask('CLIENT PAUSE 1000 WRITE')
    expect(ids(await stage.ask(late, 'XREAD STREAMS stock:events 0'))).toEqual(['1-1'])
  })

  it('is told when the log cannot be read, and may try again', async () => {
    const stage = new FeedStage()
    const reader = stage.connect()
    await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events $')
    stage.feed.failure = new Error('the disk says EIO')
    stage.feed.add(1, 1)
    await stage.settle()
    expect(reader.read()).toBe('-ERR stock:events cannot be read now: the disk says EIO\r\n')
    expect(await stage.ask(reader, 'XLEN stock:events')).toBe('-ERR stock:events cannot be read now: the disk says EIO\r\n')
    stage.feed.failure = null
    expect(ids(await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events 0'))).toEqual(['1-1'])
  })

  it('gets large events in a turn of its own', async () => {
    const stage = new FeedStage()
    const readers = Array.from({ length: 20 }, () => stage.connect())
    for (const reader of readers) reader.ask('XREAD BLOCK 0 STREAMS stock:events 0')
    await stage.settle()
    stage.feed.put(1, 1, 'order.reserved', 'x'.repeat(600_000))
    const { turns } = stage.node.stats
    stage.feed.onEntries()
    for (let i = 0; i < 40; i++) await stage.settle()
    for (const reader of readers) expect(ids(reader.read())).toEqual(['1-1'])
    expect(stage.node.stats.turns - turns).toBeGreaterThanOrEqual(10)
  })
})

describe('replies that come later', () => {
  it('leave in the order of the requests, and hold up nobody else', async () => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    stage.feed.isHolding = true
    const [reader, other] = [stage.connect(), stage.connect()]
    const line = (...words: string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
    const first = reader.raw(
      line('PING', 'a') + line('XLEN', 'stock:events') + line('PING', 'b') + line('XREAD', 'STREAMS', 'stock:events', '0') + line('PING'),
    )
    await stage.settle()
    expect(first + reader.read()).toBe('$1\r\na\r\n')
    expect(other.ask('PING')).toBe('+PONG\r\n')
    stage.feed.release()
    await stage.settle()
    await stage.settle()
    const event =
      '*2\r\n$3\r\n1-1\r\n*8\r\n$4\r\ntype\r\n$14\r\norder.reserved\r\n$4\r\npart\r\n$1\r\n1\r\n$4\r\npseq\r\n$1\r\n1\r\n$5\r\nevent\r\n'
    const read = `*1\r\n*2\r\n$12\r\nstock:events\r\n*1\r\n${event}$9\r\n{"lsn":1}\r\n`
    expect(reader.read()).toBe(`:1\r\n$1\r\nb\r\n${read}+PONG\r\n`)
  })

  it('show what the session has written before, though the log takes its time', async () => {
    const stage = new FeedStage()
    const log = new FakeLog()
    stage.node.turn.log = log
    const reader = stage.connect()
    reader.session.lastLsn = lsn(7)
    expect(await stage.ask(reader, 'XREAD BLOCK 0 STREAMS stock:events 0')).toBe('')
    expect(stage.feed.ranges).toBe(0)
    stage.feed.put(1, 7)
    log.acked = lsn(7)
    stage.node.turn.acked()
    await stage.settle()
    expect(stage.feed.acked).toBe(7)
    expect(ids(reader.read())).toEqual(['1-7'])
    // A log that fails acks it never: what is there is shown.
    reader.session.lastLsn = lsn(9)
    expect(await stage.ask(reader, 'XLEN stock:events')).toBe('')
    log.refusalText = 'MISCONF'
    stage.pass(50)
    await stage.settle()
    expect(reader.read()).toBe(':1\r\n')
  })

  it('are what the time allows when the node stops', async () => {
    const stage = new FeedStage()
    const [blocked, asking] = [stage.connect(), stage.connect()]
    await stage.ask(blocked, 'XREAD BLOCK 0 STREAMS stock:events $')
    stage.feed.isHolding = true
    await stage.ask(asking, 'XRANGE stock:events - +')
    const stopped = stage.node.stop()
    for (let i = 0; i < 10; i++) await stage.settle()
    await stopped
    expect(blocked.read()).toBe(NIL)
    expect(asking.read()).toBe('-ERR stock:events cannot be read any more: the node stops\r\n')
  })
})

describe('a log that is longer than a reply', () => {
  const long = (entries: number, bytes: number): FeedStage => {
    const stage = new FeedStage({ 'client-output-buffer-limit': { normal: { hardBytes: 200_000, softBytes: 0, softSeconds: 0 } } as never })
    for (let i = 1; i <= entries; i++) stage.feed.put(i, i, 'order.reserved', 'x'.repeat(bytes))
    return stage
  }

  it('is given to XREAD in parts, each of which fits', async () => {
    const stage = long(1000, 500)
    const reader = stage.connect()
    let last = '0'
    const seen: string[] = []
    for (let i = 0; seen.length < 1000; i++) {
      const reply = await stage.ask(reader, `XREAD STREAMS stock:events ${last}`)
      expect(reply.length).toBeLessThan(101_000)
      seen.push(...ids(reply))
      last = seen.at(-1)!
      expect(i).toBeLessThan(10)
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => `${i + 1}-${i + 1}`))
    expect(stage.node.stats.outputLimitClosed).toBe(0)
  })

  it('is refused to ranges that do not fit, with what to do instead', async () => {
    const stage = long(1000, 500)
    const reader = stage.connect()
    const tooMuch = '-ERR one reply takes at most 100000 bytes of events, and these are more: read them with COUNT\r\n'
    expect(await stage.ask(reader, 'XRANGE stock:events - +')).toBe(tooMuch)
    expect(await stage.ask(reader, 'XREVRANGE stock:events + - COUNT 900')).toBe(tooMuch)
    expect(await stage.ask(reader, 'XINFO STREAM stock:events FULL COUNT 0')).toBe(tooMuch)
    expect(ids(await stage.ask(reader, 'XREVRANGE stock:events + - COUNT 100'))).toHaveLength(100)
    expect(ids(await stage.ask(reader, 'XRANGE stock:events 500 600'))).toHaveLength(101)
  })

  it('an event that is larger than a reply should be is still given', async () => {
    const stage = long(3, 150_000)
    const reader = stage.connect()
    expect(ids(await stage.ask(reader, 'XREAD STREAMS stock:events 0'))).toEqual(['1-1'])
    expect(ids(await stage.ask(reader, 'XREAD COUNT 5 STREAMS stock:events stock:events 1-1 2-2'))).toEqual(['2-2'])
    expect(ids(await stage.ask(reader, 'XRANGE stock:events 2 2'))).toEqual(['2-2'])
  })

  it('does not let long reads hold up short ones', async () => {
    const stage = new FeedStage()
    for (let i = 1; i <= 2000; i++) stage.feed.put(i, i)
    const greedy = Array.from({ length: 10 }, () => stage.connect())
    const reader = stage.connect()
    for (const client of greedy) client.ask('XRANGE stock:events - +')
    reader.ask('XREAD COUNT 5 STREAMS stock:events 7')
    await stage.settle()
    expect(ids(reader.read())).toHaveLength(5)
    for (let i = 0; i < 100; i++) await stage.settle()
    for (const client of greedy) expect(ids(client.read())).toHaveLength(2000)
  })

  it('takes 16 places of it at once, and no more', async () => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    const reader = stage.connect()
    const ask = (n: number): string => `XREAD STREAMS ${'stock:events '.repeat(n)}${'0 '.repeat(n).trim()}`
    expect(ids(await stage.ask(reader, ask(16)))).toHaveLength(16)
    expect(await stage.ask(reader, ask(17))).toBe('-ERR XREAD may name stock:events 16 times at most\r\n')
    const others = `XREAD STREAMS ${'x '.repeat(5000)}stock:events ${'0 '.repeat(5001).trim()}`
    expect(ids(await stage.ask(reader, others))).toEqual(['1-1'])
  })
})

describe('writers', () => {
  const COMMANDS = [
    'XADD stock:events * a b',
    'XDEL stock:events 1-1',
    'XTRIM stock:events MAXLEN 0',
    'XSETID stock:events 5-5',
    'XGROUP CREATE stock:events g $',
    'XGROUP CREATECONSUMER stock:events g c',
    'XGROUP DELCONSUMER stock:events g c',
    'XGROUP DESTROY stock:events g',
    'XGROUP SETID stock:events g 0',
    'XREADGROUP GROUP g c STREAMS other stock:events > >',
    'XACK stock:events g 1-1',
    'XCLAIM stock:events g c 0 1-1',
    'XAUTOCLAIM stock:events g c 0 0',
    'XPENDING stock:events g',
    'SET stock:events x',
    'SET stock:events x GET',
    'SETNX stock:events x',
    'GETSET stock:events x',
    'GETDEL stock:events',
    'GETEX stock:events',
    'APPEND stock:events x',
    'INCR stock:events',
    'INCRBYFLOAT stock:events 1',
    'SETRANGE stock:events 0 x',
    'MSET a 1 stock:events 2',
    'MSETNX a 1 stock:events 2',
    'DEL a stock:events',
    'UNLINK stock:events',
    'EXPIRE stock:events 10',
    'PERSIST stock:events',
    'RENAME stock:events a',
    'RENAME b stock:events',
    'RENAMENX b stock:events',
    'COPY stock:events a',
    'COPY b stock:events',
    'COPY b stock:events REPLACE',
    'MOVE stock:events 1',
    'STOCK.CREATE stock:events 5',
  ]

  it.each(COMMANDS)('%s is refused and changes nothing', async (command) => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    const client = stage.connect()
    client.ask('SET b x')
    expect(await stage.ask(client, command)).toMatch(/^-READONLY /)
    expect(client.ask('DBSIZE')).toBe(':1\r\n')
    expect(await stage.ask(client, 'XLEN stock:events')).toBe(':1\r\n')
  })

  it('say on any other key that there are no other streams', () => {
    const stage = new FeedStage()
    const client = stage.connect()
    client.ask('SET text x')
    for (const command of COMMANDS.slice(0, 14)) {
      const other = command.replace('other stock:events', 'other another').replace('stock:events', 'another')
      expect(client.ask(other)).toBe('-ERR streams other than stock:events are not supported\r\n')
      expect(client.ask(other.replace('another', 'text'))).toMatch(/^-WRONGTYPE /)
      client.ask('SELECT 1')
      expect(client.ask(command)).toBe('-ERR streams other than stock:events are not supported\r\n')
      client.ask('SELECT 0')
    }
    expect(client.ask('XREADGROUP GROUP g c COUNT 1 BLOCK 0')).toBe('-ERR syntax error\r\n')
  })

  it('cannot bring another key of that name into database 0', async () => {
    const stage = new FeedStage()
    stage.feed.put(1, 1)
    const client = stage.connect()
    client.ask('SELECT 1')
    expect(client.ask('SET stock:events x')).toBe('+OK\r\n')
    expect(client.ask('MOVE stock:events 0')).toMatch(/^-READONLY /)
    expect(client.ask('COPY stock:events stock:events DB 0')).toMatch(/^-READONLY /)
    expect(client.ask('SWAPDB 0 1')).toMatch(/^-READONLY /)
    client.ask('DEL stock:events')
    expect(client.ask('SWAPDB 1 0')).toBe('+OK\r\n')
    expect(client.ask('TYPE stock:events')).toBe('+none\r\n')
    client.ask('SELECT 0')
    expect(client.ask('TYPE stock:events')).toBe('+stream\r\n')
    expect(client.ask('FLUSHALL')).toBe('+OK\r\n')
    expect(client.ask('TYPE stock:events')).toBe('+stream\r\n')
    expect(await stage.ask(client, 'XLEN stock:events')).toBe(':1\r\n')
  })

  it('the stream is in no list of keys but that of streams, and not in the digest', () => {
    const stage = new FeedStage()
    const client = stage.connect()
    expect(client.ask('KEYS *') + client.ask('DBSIZE') + client.ask('RANDOMKEY')).toBe('*0\r\n:0\r\n$-1\r\n')
    expect(client.ask('SCAN 0')).toBe('*2\r\n$1\r\n0\r\n*0\r\n')
    expect(client.ask('SCAN 0 TYPE stream')).toBe('*2\r\n$1\r\n0\r\n*1\r\n$12\r\nstock:events\r\n')
    expect(stage.node.engine.digest()).toBe(new NodeStage().node.engine.digest())
    expect(client.ask('OBJECT ENCODING stock:events')).toBe('$6\r\nstream\r\n')
    expect(client.ask('STOCK.RESERVE o ITEMS stock:events 1')).toMatch(/^-WRONGTYPE /)
    expect(client.ask('STOCK.GET stock:events')).toMatch(/^-WRONGTYPE /)
  })
})

describe('readers in a storm', () => {
  /** Reads for ever, and remembers where it was. */
  class Reader {
    client: NodeClient
    last = '0-0'
    readonly seen: string[] = []
    isAsking = false
    #input = ''
    readonly #stage: FeedStage

    constructor(stage: FeedStage) {
      this.#stage = stage
      this.client = stage.connect()
    }

    ask(random: Random): void {
      if (this.isAsking) return
      this.isAsking = true
      const count = random.chance(0.5) ? ` COUNT ${random.between(1, 5)}` : ''
      this.client.ask(`XREAD BLOCK ${random.pick([0, 1, 50, 1000])}${count} STREAMS stock:events ${this.last}`)
    }

    take(): void {
      this.#input += this.client.read()
      while (this.#input.length > 0) {
        const bytes = Buffer.from(this.#input, 'latin1')
        const end = replyEnd(bytes, 0)
        if (end === -1) return
        this.#input = this.#input.slice(end)
        this.isAsking = false
        this.#note(decodeReply(bytes.subarray(0, end)))
      }
    }

    #note(value: Value): void {
      if (value === null) return
      if (value instanceof ErrorReply) {
        expect(value.text).toMatch(/^UNBLOCKED|cannot be read now/)
        return
      }
      const [[, entries]] = value as [[string, [string, string[]][]]]
      for (const [id] of entries) this.seen.push(id)
      this.last = this.seen.at(-1)!
    }

    /** Its connection breaks; what was under way to it is lost, and asked for again. */
    reconnect(): void {
      this.#stage.node.closed(this.client.session)
      this.client = this.#stage.connect()
      this.#input = ''
      this.isAsking = false
    }
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'each sees every event once and in order (seed %i)',
    async (given) => {
      const seed = given + Number(process.env.SEED ?? 0)
      const random = new Random(seed)
      const stage = new FeedStage()
      const { feed } = stage
      const admin = stage.connect()
      const readers = Array.from({ length: 12 }, () => new Reader(stage))
      let next = 1
      for (let step = 0; step < 400; step++) {
        const reader = random.pick(readers)
        random.pick([
          () => feed.add(Math.ceil(next / 3), next++),
          () => {
            for (let n = random.between(1, 400); n > 0; n--) feed.put(Math.ceil(next / 3), next++)
            feed.onEntries()
          },
          () => reader.ask(random),
          () => reader.ask(random),
          () => readers.forEach((one) => one.ask(random)),
          () => reader.reconnect(),
          () => stage.pass(random.between(1, 100)),
          () => void admin.ask(`CLIENT UNBLOCK ${reader.client.session.id} ${random.pick(['TIMEOUT', 'ERROR'])}`),
          () => void (feed.isHolding = true),
          () => feed.release(),
          () => void (feed.failure = random.chance(0.3) ? new Error('not now') : null),
        ])()
        if (random.chance(0.5)) await Promise.resolve()
        if (random.chance(0.5)) await stage.settle()
        for (const one of readers) one.take()
      }
      feed.failure = null
      feed.release()
      // Who waits now must be woken by the news of one more, without any of it being lost.
      feed.add(Math.ceil(next / 3), next++)
      for (let i = 0; readers.some((one) => one.seen.length < next - 1); i++) {
        for (const one of readers) one.ask(random)
        await stage.settle()
        stage.pass(20)
        for (const one of readers) one.take()
        expect(i, `SEED=${seed}`).toBeLessThan(2 * next)
      }
      const all = feed.entries.map(({ ms, lsn: n }) => `${ms}-${n}`)
      for (const one of readers) expect(one.seen, `SEED=${seed}`).toEqual(all)
    },
    60_000,
  )
})
