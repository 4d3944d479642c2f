// MULTI, EXEC and WATCH where redis-server has no say: one batch of records, the log's failures, what is refused when, SKUs, memory.

import { describe, expect, it } from 'vitest'
import { lsn } from '../../../src/base/brand.ts'
import { NodeStage } from './node-stage.ts'
import type { NodeClient } from './node-stage.ts'
import { FakeLog } from './stage.ts'

const QUEUED = '+QUEUED\r\n'
const ABORTED = '*-1\r\n'

/** Tells all of it; @returns the last reply. */
function tell(client: NodeClient, story: string): string {
  let reply = ''
  for (const line of story.split(' | ')) reply = client.ask(line)
  return reply
}

const ask = (line: string): string => {
  const words = line.split(' ')
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

describe('EXEC', () => {
  it('writes the records of all its commands as one batch, however many there are', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    const client = stage.connect()
    const requests = ['MULTI', ...Array.from({ length: 2500 }, (_, i) => `SET k:${i} ${i}`), 'EXEC'].map(ask).join('')
    // It takes three turns to queue them, and others have theirs meanwhile.
    expect(client.raw(requests)).toBe(`+OK\r\n${QUEUED.repeat(2500)}*2500\r\n${'+OK\r\n'.repeat(2500)}`)
    expect(log.written.length).toBe(1)
    expect(log.last).toBe(2501)
  })

  it('lets nobody run in between', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    tell(ann, 'SET n 0 | MULTI | INCR n | INCR n')
    expect(bob.ask('INCR n')).toBe(':1\r\n')
    expect(ann.ask('EXEC')).toBe('*2\r\n:2\r\n:3\r\n')
  })

  it('under always answers when its records are durable, and becomes the error as a whole if they never are', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    stage.node.turn.isStrict = true
    log.isAcking = false
    const [ann, bob, eve] = [stage.connect(), stage.connect(), stage.connect()]
    expect(tell(ann, 'MULTI | PING | SET k 1 | GET k | EXEC')).toBe('')
    // Who reads it in a transaction waits as well, also if he reads by KEYS or not only that.
    expect(tell(bob, 'MULTI | GET other | GET k | EXEC')).toBe('')
    expect(eve.ask('GET other')).toBe('$-1\r\n')
    log.acked = log.last
    stage.node.turn.acked()
    expect(ann.read()).toBe('*3\r\n+PONG\r\n+OK\r\n$1\r\n1\r\n')
    expect(bob.read()).toBe('*2\r\n$-1\r\n$1\r\n1\r\n')
    expect(tell(ann, 'MULTI | PING | SET k 2 | EXEC')).toBe('')
    stage.node.turn.failed(lsn(log.acked + 1), log.last, 'MISCONF it failed')
    expect(ann.read()).toBe('-MISCONF it failed\r\n')
    expect(ann.ask('PING')).toBe('+PONG\r\n')
  })

  it('does not make everybody wait who reads something else', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    stage.node.turn.isStrict = true
    log.isAcking = false
    const [ann, eve] = [stage.connect(), stage.connect()]
    expect(tell(ann, 'MULTI | PING | SET k 1 | EXEC')).toBe('')
    expect(eve.ask('GET other')).toBe('$-1\r\n')
    expect(eve.ask('GET k')).toBe('')
    const bob = stage.connect()
    expect(tell(ann, 'MULTI | FLUSHALL | EXEC')).toBe('')
    expect(bob.ask('GET other')).toBe('')
  })

  it('refuses what may not run now, for the reason that its commands would be refused for', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    const { engine } = stage.node
    const client = stage.connect()
    tell(client, 'MULTI | SET k 1')
    engine.outOfMemory = true
    expect(client.ask('EXEC')).toBe(
      "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n",
    )
    expect(client.ask('EXEC')).toBe('-ERR EXEC without MULTI\r\n')
    // Nothing is queued, because that takes memory; but what was queued and takes none runs.
    expect(tell(client, 'MULTI | GET k')).toMatch(/^-OOM /)
    expect(client.ask('EXEC')).toBe('-EXECABORT Transaction discarded because of previous errors.\r\n')
    engine.outOfMemory = false
    tell(client, 'MULTI | GET k')
    engine.outOfMemory = true
    expect(client.ask('EXEC')).toBe('*1\r\n$-1\r\n')
    engine.outOfMemory = false

    tell(client, 'MULTI | GET k | SET k 1')
    log.refusalText = 'MISCONF the disk is full'
    expect(client.ask('EXEC')).toBe('-EXECABORT Transaction discarded because of: MISCONF the disk is full\r\n')
    expect(tell(client, 'MULTI | GET k | EXEC')).toBe('*1\r\n$-1\r\n')
    expect(tell(client, 'MULTI | SET k 1')).toBe('-MISCONF the disk is full\r\n')
    expect(client.ask('EXEC')).toBe('-EXECABORT Transaction discarded because of previous errors.\r\n')
  })

  it('waits as a whole while clients are paused, and queueing goes on as far as it may', () => {
    const stage = new NodeStage()
    const [ann, bob, eve] = [stage.connect(), stage.connect(), stage.connect()]
    tell(ann, 'MULTI | SET k 1 | INCR k')
    tell(bob, 'MULTI | GET k')
    stage.node.pause({ until: Infinity, onlyWrites: true })
    expect(ann.ask('EXEC')).toBe('')
    expect(bob.ask('EXEC')).toBe('*1\r\n$-1\r\n')
    expect(tell(eve, 'MULTI | GET k')).toBe(QUEUED)
    stage.node.unpause()
    stage.env.passAll()
    expect(ann.read()).toBe('*2\r\n+OK\r\n:2\r\n')
    expect(eve.ask('EXEC')).toBe('*1\r\n$1\r\n2\r\n')
  })

  it('drops a reply that is too long with its client; what it did is done', () => {
    const stage = new NodeStage()
    stage.node.turn.replyBytesMax = 100_000
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.raw(ask(`SET big ${'x'.repeat(60_000)}`))
    expect(tell(ann, 'MULTI | GET big | GET big | GET big | SET done 1 | EXEC')).toBe('')
    expect(ann.transport.state).toBe('destroyed')
    expect(bob.ask('GET done')).toBe('$1\r\n1\r\n')
  })

  it('is still a transaction to whoever asks in it, and no longer behind it', () => {
    const client = new NodeStage().connect()
    const reply = tell(client, 'MULTI | CLIENT INFO | ECHO x | EXEC')
    expect(reply).toMatch(/ flags=x .* multi=2 .* multi-mem=[1-9]/)
    expect(client.ask('CLIENT INFO')).toMatch(/ flags=N .* multi=-1 .* multi-mem=0/)
  })

  it('judges holds by the time of EXEC: one that ended before it is not confirmed, and breaks a watch of its SKU', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    tell(client, 'STOCK.CREATE book 10 | STOCK.RESERVE o1 EX 1 ITEMS book 2 | MULTI | STOCK.CONFIRM o1 | STOCK.INFO book')
    stage.env.now += 2000
    const reply = client.ask('EXEC')
    expect(reply).toContain('EXPIRED')
    expect(client.text('STOCK.GET book')).toContain('10')
    tell(client, 'STOCK.RESERVE o2 EX 1 ITEMS book 2 | WATCH book | MULTI | STOCK.GET book')
    stage.env.now += 2000
    expect(client.ask('EXEC')).toBe(ABORTED)
  })

  it('cannot read stock:events, which takes time', () => {
    const stage = new NodeStage()
    expect(tell(stage.connect(), 'MULTI | XREAD BLOCK 0 STREAMS none 0 | EXEC')).toBe('*1\r\n*-1\r\n')
  })
})

describe('what is queued', () => {
  it('is bounded: a client that queues more than it may send at once is closed', () => {
    const stage = new NodeStage({ 'client-query-buffer-limit': 1024 * 1024, 'proto-max-bulk-len': 1024 * 1024 })
    const client = stage.connect()
    client.ask('MULTI')
    const request = ask(`SET k ${'v'.repeat(500_000)}`)
    for (let i = 0; i < 4; i++) expect(client.raw(request)).toBe(QUEUED)
    expect(client.session.transactionBytes).toBeGreaterThan(2_000_000)
    client.raw(request)
    expect(client.transport.state).toBe('destroyed')
    expect(client.session.transaction).toBeNull()
  })

  it('takes no memory once it will not run', () => {
    const client = new NodeStage().connect()
    tell(client, 'MULTI | NOPE | SET k 1')
    expect(client.session.transactionBytes).toBe(0)
  })

  it('may have any arguments: the bytes are its own', () => {
    const client = new NodeStage().connect()
    tell(client, 'MULTI | SET k first')
    client.ask('SET k othersothersothers')
    expect(tell(client, 'GET k | EXEC')).toBe('*3\r\n+OK\r\n+OK\r\n$18\r\nothersothersothers\r\n')
  })

  it('runs as it came, short and long, with few arguments and many', () => {
    const client = new NodeStage().connect()
    const sizes = [0, 1, 400, 511, 70_000, 3, 512, 1023, 65_536, 65_535, 0, 200_000, 7]
    const values = Array.from({ length: 200 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(sizes[i % sizes.length]))
    client.ask('MULTI')
    for (const value of values) client.raw(ask(`ECHO ${value}`))
    client.raw(ask(`RPUSH all ${values.map((_, i) => i).join(' ')}`))
    const echoed = values.map((value) => `$${value.length}\r\n${value}\r\n`).join('')
    expect(client.ask('EXEC') === `*201\r\n${echoed}:200\r\n`).toBe(true)
    expect(client.ask('LINDEX all 199')).toBe('$3\r\n199\r\n')
  })

  it('counts as what it takes: small requests are not a cheap way to much memory', () => {
    const client = new NodeStage().connect()
    client.ask('MULTI')
    client.raw(ask('PING').repeat(10_000))
    expect(client.session.transactionBytes).toBeGreaterThan(10_000 * 60)
    expect(client.session.transactionBytes).toBeLessThan(10_000 * 120)
  })
})

describe('WATCH', () => {
  const isBroken = (client: NodeClient): boolean => {
    const reply = tell(client, 'MULTI | PING | EXEC')
    expect([ABORTED, '*1\r\n+PONG\r\n']).toContain(reply)
    return reply === ABORTED
  }

  it.each([
    ['STOCK.RESERVE {b}1 ITEMS book 1', true],
    ['STOCK.RESERVE {b}1 ITEMS pen 1', false],
    ['STOCK.RESERVE {b}1 ITEMS pen 1 book 2', true],
    ['STOCK.RESERVE {b}1 PAID ITEMS book 1', true],
    ['STOCK.RESERVE {b}1 ITEMS book 100', false],
    ['STOCK.RESERVE held ITEMS book 1', false],
    ['STOCK.CONFIRM held', true],
    ['STOCK.RELEASE held', true],
    ['STOCK.EXTEND held 3600', false],
    ['STOCK.RETURN sold', true],
    ['STOCK.ADJUST book 1 ID a', true],
    ['STOCK.ADJUST pen 1 ID a', false],
    ['STOCK.CREATE third 1', false],
    ['STOCK.INFO book', false],
    ['STOCK.GET book', false],
  ])('of a SKU: %s breaks it: %s', (command, breaks) => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    tell(bob, 'STOCK.CREATE book 10 | STOCK.CREATE pen 10 | STOCK.RESERVE held EX 600 ITEMS book 1 | STOCK.RESERVE sold PAID ITEMS book 1')
    ann.ask('WATCH book')
    bob.ask(command)
    expect(isBroken(ann)).toBe(breaks)
  })

  it('of a SKU breaks when an order expires', () => {
    const stage = new NodeStage()
    const ann = stage.connect()
    tell(ann, 'STOCK.CREATE book 10 | STOCK.RESERVE held EX 1 ITEMS book 1 | WATCH book')
    stage.pass(2000)
    expect(isBroken(ann)).toBe(true)
  })

  it('of stock:events breaks with every event', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask('WATCH stock:events')
    bob.ask('SET k 1')
    expect(isBroken(ann)).toBe(false)
    ann.ask('WATCH stock:events')
    bob.ask('STOCK.CREATE book 10')
    expect(isBroken(ann)).toBe(true)
  })

  it('breaks by what is written in the turn in which it came, if that is behind it', () => {
    for (const log of [null, new FakeLog()]) {
      const stage = new NodeStage({}, log)
      const client = stage.connect()
      const pipeline = (line: string): string => client.raw(line.split(' | ').map(ask).join(''))
      expect(pipeline('SET k 1 | SELECT 1 | SET k 1 | WATCH k | MULTI | PING | EXEC')).toMatch(/\*1\r\n\+PONG\r\n$/)
      expect(pipeline('SELECT 1 | SET j 1 | WATCH k | SET k 2 | MULTI | PING | EXEC')).toMatch(/\*-1\r\n$/)
      expect(pipeline('SELECT 1 | SET j 1 | WATCH k | SELECT 0 | SET k 2 | MULTI | PING | EXEC')).toMatch(/\*1\r\n\+PONG\r\n$/)
    }
  })

  it('costs nothing when nobody watches any more, however that came', () => {
    const stage = new NodeStage()
    const { watches, engine } = stage.node
    const ends = ['UNWATCH', 'MULTI | EXEC', 'MULTI | DISCARD', 'RESET', 'SET k 1', 'QUIT']
    for (const end of ends) {
      const client = stage.connect()
      client.ask('WATCH k j')
      expect(watches.isAny).toBe(true)
      tell(client, end)
      if (end === 'QUIT') stage.node.closed(client.session)
      expect(watches.isAny, end).toBe(false)
      client.ask('SET other 1')
      expect(engine.journal.length).toBe(0)
    }
  })

  it('breaks when a key expires by itself, and when it was noticed by nobody', () => {
    for (const isActive of [true, false]) {
      const stage = new NodeStage()
      const client = stage.connect()
      stage.node.engine.keyspace.isExpiringActively = isActive
      tell(client, 'SET k 1 PX 100 | SET due 1 PX 100 | WATCH k')
      stage.pass(200)
      stage.node.turn.beat()
      stage.env.passAll()
      expect(stage.node.engine.keyspace.size).toBe(isActive ? 0 : 2)
      expect(isBroken(client)).toBe(true)
      client.ask('WATCH due')
      expect(isBroken(client)).toBe(false)
    }
  })

  it('is bounded: a client that watches more names than it may send at once is closed', () => {
    const stage = new NodeStage({ 'client-query-buffer-limit': 1024 * 1024, 'proto-max-bulk-len': 1024 * 1024 })
    const client = stage.connect()
    const name = 'k'.repeat(400_000)
    for (let i = 0; i < 5; i++) expect(client.ask(`WATCH ${name}${i}`)).toBe('+OK\r\n')
    client.ask(`WATCH ${name}5`)
    expect(client.transport.state).toBe('destroyed')
    expect(stage.node.watches.isAny).toBe(false)
  })

  it('of one key by ten thousand sessions breaks at once', () => {
    const stage = new NodeStage()
    const sessions = Array.from({ length: 10_000 }, () => stage.connect())
    for (const client of sessions) client.ask('WATCH k')
    stage.connect().ask('SET k 1')
    expect(sessions.every(({ session }) => session.watch?.isBroken)).toBe(true)
    expect(stage.node.watches.isAny).toBe(false)
  })

  it('is forgotten with a connection that goes, and the others go on', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask('WATCH k')
    bob.ask('WATCH k')
    stage.node.closed(ann.session)
    bob.ask('SET k 1')
    expect(isBroken(bob)).toBe(true)
  })
})
