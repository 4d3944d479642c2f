import { describe, expect, it } from 'vitest'
import { lsn } from '../../../src/base/brand.ts'
import { Random } from '../../../src/base/random.ts'
import { OUTPUT_PAUSE_BYTES } from '../../../src/server/delivery.ts'
import { Stage } from './stage.ts'
import type { Client } from './stage.ts'

describe('a turn', () => {
  it('answers every request of a pipeline in order, in one write', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.send('PING\r\nINCR a\r\nGET a\r\nECHO hello\r\n')
    expect(client.transport.sent).toEqual([])
    stage.env.passAll()
    expect(client.transport.sent).toHaveLength(1)
    expect(client.read()).toBe('+PONG\r\n:1\r\n:1\r\n$5\r\nhello\r\n')
  })

  it('writes the records of all sessions once, before any reply leaves', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    let sentBeforeWrite = 0
    stage.log.onWrite = () => (sentBeforeWrite += ann.transport.sent.length + bob.transport.sent.length)
    ann.send('INCR a\r\n')
    bob.send('INCR a\r\n')
    ann.send('INCR a\r\n')
    stage.env.passAll()
    expect(stage.log.written).toHaveLength(1)
    expect(sentBeforeWrite).toBe(0)
    expect(ann.read()).toBe(':1\r\n:3\r\n')
    expect(bob.read()).toBe(':2\r\n')
  })

  it('writes nothing for turns that change nothing', () => {
    const stage = new Stage()
    stage.connect().ask('GET a\r\nPING\r\n')
    expect(stage.log.written).toEqual([])
  })

  it('keeps the beginning of a request until the rest comes', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    expect(ann.ask('*2\r\n$4\r\nEC')).toBe('')
    expect(bob.ask('PING\r\n')).toBe('+PONG\r\n')
    expect(ann.ask('HO\r\n$2\r\nhi\r\nPI')).toBe('$2\r\nhi\r\n')
    expect(ann.ask('NG\r\n')).toBe('+PONG\r\n')
  })

  it('lets time pass before the first request of a turn, and on its own', () => {
    const stage = new Stage()
    stage.engine.deadline = stage.env.now + 100
    stage.turn.beat()
    expect(stage.env.pass()).toBe(false)
    stage.env.now += 100
    stage.turn.beat()
    stage.env.passAll()
    expect(stage.log.written).toEqual(['*1\r\n$7\r\nEXPIRED\r\n'])
  })

  it('runs at most 1,000 requests of a session per turn, and the rest after the others', () => {
    const stage = new Stage()
    const greedy = stage.connect()
    const modest = stage.connect()
    greedy.send('INCR a\r\n'.repeat(2500))
    modest.send('GET a\r\n')
    stage.env.pass()
    expect(greedy.read().split('\r\n')).toHaveLength(1002)
    expect(modest.read()).toBe(':1001\r\n')
    stage.env.passAll()
    const rest = greedy.read()
    expect(rest.startsWith(':1002\r\n')).toBe(true)
    expect(rest.endsWith(':2500\r\n')).toBe(true)
  })

  it('answers what a client sent before it closed its side, then closes', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.send('PING\r\n'.repeat(1500))
    stage.turn.ended(client.session)
    stage.env.passAll()
    expect(client.read()).toBe('+PONG\r\n'.repeat(1500))
    expect(client.transport.state).toBe('ended')
  })

  it('closes after the reply of QUIT and runs nothing behind it', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('INCR a\r\nQUIT\r\nINCR a\r\n')).toBe(':1\r\n+OK\r\n')
    expect(client.transport.state).toBe('ended')
    expect(stage.engine.counters.get('a')).toBe(1)
  })

  it('answers a protocol error and closes', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('PING\r\n*1\r\n$x\r\n')).toBe('+PONG\r\n-ERR Protocol error: invalid bulk length\r\n')
    expect(client.transport.state).toBe('ended')
    expect(client.ask('PING\r\n')).toBe('')
  })

  it('sends nothing to a connection that has gone', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.send('INCR a\r\n')
    client.transport.destroy()
    stage.turn.closed(client.session)
    stage.env.passAll()
    expect(client.read()).toBe('')
  })
})

describe('replies and the log', () => {
  it('keeps the replies of writers until the log has acked, and those behind them', () => {
    const stage = new Stage()
    stage.log.isAcking = false
    const ann = stage.connect()
    const bob = stage.connect()
    ann.send('INCR a\r\n')
    bob.send('PING\r\n')
    stage.env.passAll()
    expect(bob.read()).toBe('+PONG\r\n')
    expect(ann.ask('PING\r\n')).toBe('')
    stage.log.acked = lsn(1)
    stage.turn.acked()
    expect(ann.read()).toBe(':1\r\n+PONG\r\n')
    expect(ann.ask('PING\r\n')).toBe('+PONG\r\n')
  })

  it('under always also keeps the reply that saw what is not durable, and no other', () => {
    const stage = new Stage()
    stage.turn.isStrict = true
    stage.log.isAcking = false
    const ann = stage.connect()
    const bob = stage.connect()
    const eve = stage.connect()
    ann.send('INCR a\r\n')
    bob.send('GET a\r\n')
    eve.send('GET b\r\n')
    stage.env.passAll()
    expect(eve.read()).toBe(':0\r\n')
    expect(bob.read()).toBe('')
    expect(stage.connect().ask('DBSIZE\r\n')).toBe('')
    stage.log.acked = lsn(1)
    stage.turn.acked()
    expect(bob.read()).toBe(':1\r\n')
    expect(bob.ask('GET a\r\n')).toBe(':1\r\n')
  })

  it('tells a writer of the log that failed instead of its reply, and only the writer', () => {
    const stage = new Stage()
    stage.log.isAcking = false
    stage.log.onWrite = () => stage.turn.failed(lsn(1), stage.log.last, 'MISCONF it failed')
    const ann = stage.connect()
    const bob = stage.connect()
    ann.send('PING\r\nINCR a\r\nPING\r\nINCR a\r\nECHO x\r\n')
    bob.send('GET a\r\n')
    stage.env.passAll()
    expect(ann.read()).toBe('+PONG\r\n-MISCONF it failed\r\n+PONG\r\n-MISCONF it failed\r\n$1\r\nx\r\n')
    expect(bob.read()).toBe(':2\r\n')
  })

  it('tells those who waited for an fsync that failed, also who read what is lost, now and later', () => {
    const stage = new Stage()
    stage.turn.isStrict = true
    stage.log.isAcking = false
    const ann = stage.connect()
    const bob = stage.connect()
    ann.ask('INCR a\r\n')
    bob.ask('GET a\r\n')
    stage.turn.failed(lsn(1), lsn(1), 'MISCONF fsync failed')
    expect(ann.read()).toBe('-MISCONF fsync failed\r\n')
    expect(bob.read()).toBe('-MISCONF fsync failed\r\n')
    expect(bob.ask('GET a\r\nGET b\r\n')).toBe('-MISCONF fsync failed\r\n:0\r\n')
    stage.log.acked = lsn(1)
    stage.turn.acked()
    expect(bob.ask('GET a\r\n')).toBe(':1\r\n')
  })

  it('refuses writes while the log takes none, before they run, and does not let holds expire', () => {
    const stage = new Stage()
    stage.log.refusalText = 'MISCONF disk nearly full'
    stage.engine.deadline = stage.env.now
    expect(stage.connect().ask('INCR a\r\nGET a\r\n')).toBe('-MISCONF disk nearly full\r\n:0\r\n')
    expect(stage.log.written).toEqual([])
    expect(stage.engine.deadline).toBe(stage.env.now)
  })

  it('hears the news of the disk between turns only', () => {
    const stage = new Stage()
    const heard: string[] = []
    stage.turn.between(() => heard.push('at once'))
    const client = stage.connect().send('INCR a\r\n')
    stage.turn.between(() => heard.push(`after ${stage.log.written.length} write, reply sent: ${client.transport.sent.length === 1}`))
    expect(heard).toEqual(['at once'])
    stage.env.passAll()
    expect(heard).toEqual(['at once', 'after 1 write, reply sent: false'])
    expect(client.read()).toBe(':1\r\n')
  })

  it('closes after the last reply, however long the log takes', () => {
    const stage = new Stage()
    stage.log.isAcking = false
    const client = stage.connect()
    expect(client.ask('INCR a\r\nQUIT\r\n')).toBe('')
    expect(client.transport.state).toBe('open')
    stage.log.acked = lsn(1)
    stage.turn.acked()
    expect(client.read()).toBe(':1\r\n+OK\r\n')
    expect(client.transport.state).toBe('ended')
  })

  it('keeps every session in order, whatever waits for what', () => {
    const seed = Number(process.env.SEED ?? Date.now() & 0xffffff)
    const random = new Random(seed)
    const stage = new Stage()
    stage.log.isAcking = false
    stage.turn.isStrict = true
    const clients = Array.from({ length: 5 }, () => stage.connect())
    const got = clients.map(() => '')
    const expected = clients.map(() => '')
    const take = (): void => clients.forEach((client, i) => (got[i] += client.read()))
    for (let step = 0; step < 2000; step++) {
      const i = random.below(clients.length)
      const action = random.below(8)
      const word = `${i}-${step}`
      if (action < 3) {
        clients[i].send(`ECHO ${word}\r\n`)
        expected[i] += `$${word.length}\r\n${word}\r\n`
      } else if (action < 5) {
        clients[i].send(`INCR own${i}\r\n`)
        expected[i] += `:${expected[i].split(':').length}\r\n`
      } else if (action === 5) stage.env.pass()
      else if (action === 6) {
        stage.log.acked = lsn(random.between(stage.log.acked, stage.log.last))
        stage.turn.acked()
      } else clients[i].transport.isBlocked = random.chance(0.5)
      if (action === 7 && !clients[i].transport.isBlocked) clients[i].drain()
      if (random.chance(0.1)) take()
    }
    stage.env.passAll()
    stage.log.acked = stage.log.last
    stage.turn.acked()
    stage.env.passAll()
    take()
    expect(got, `SEED=${seed}`).toEqual(expected)
  })
})

describe('requests that answer later', () => {
  it('runs nothing behind a parked request until it is answered', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('PING\r\nWAIT\r\nINCR a\r\n')).toBe('+PONG\r\n')
    expect(client.ask('INCR a\r\n')).toBe('')
    expect(stage.engine.counters.size).toBe(0)
    stage.isReady = true
    stage.turn.checkParked()
    stage.env.passAll()
    expect(client.read()).toBe('+READY\r\n:1\r\n:2\r\n')
  })

  it('answers when its time is up', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask('WAIT\r\n')
    stage.env.now += 999
    stage.turn.beat()
    expect(stage.env.pass()).toBe(false)
    stage.env.now += 1
    stage.turn.beat()
    stage.env.passAll()
    expect(client.read()).toBe('+LATE\r\n')
  })

  it('answers a request that another session has unblocked, not in the middle of that other', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    ann.ask('WAIT\r\nPING\r\n')
    bob.send('PING\r\n')
    expect(stage.turn.unpark(ann.session, 'UNBLOCKED by bob')).toBe(true)
    expect(stage.turn.unpark(ann.session, null)).toBe(false)
    bob.send('PING\r\n')
    stage.env.passAll()
    expect(bob.read()).toBe('+PONG\r\n+PONG\r\n')
    expect(ann.read()).toBe('-UNBLOCKED by bob\r\n+PONG\r\n')
  })

  it('answers what becomes ready by news of the disk that come in a turn, at once', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    ann.ask('WAIT\r\n')
    bob.send('PING\r\n')
    stage.turn.between(() => {
      stage.isReady = true
      stage.turn.acked()
    })
    stage.env.passAll()
    expect(ann.read()).toBe('+READY\r\n')
  })

  it('runs nothing that was put off for a client that is killed before it may run', () => {
    const stage = new Stage()
    const { gate } = stage.dispatcher
    const ann = stage.connect()
    gate.pause = 'all'
    ann.ask('INCR a\r\n')
    ann.session.kill()
    gate.pause = 'none'
    stage.turn.checkParked()
    stage.env.passAll()
    expect(stage.engine.counters.size).toBe(0)
    expect(stage.turn.parked.size).toBe(0)
  })

  it('forgets the parked request of a connection that has gone', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask('WAIT\r\n')
    stage.turn.closed(client.session)
    expect(stage.turn.parked.size).toBe(0)
  })

  it('answers what waits, and what lies behind it, to a client that has closed its side', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask('WAIT\r\nPING\r\n')
    stage.turn.ended(client.session)
    stage.env.passAll()
    expect(client.transport.state).toBe('open')
    stage.isReady = true
    stage.turn.checkParked()
    stage.env.passAll()
    expect(client.read()).toBe('+READY\r\n+PONG\r\n')
    expect(client.transport.state).toBe('ended')
  })

  it('puts requests off while clients are paused, and runs them afterwards in order', () => {
    const stage = new Stage()
    const client = stage.connect()
    stage.dispatcher.gate.pause = 'writes'
    expect(client.ask('GET a\r\nINCR a\r\nGET a\r\n')).toBe(':0\r\n')
    expect(stage.connect().ask('GET a\r\n')).toBe(':0\r\n')
    stage.dispatcher.gate.pause = 'none'
    stage.turn.checkParked()
    stage.env.passAll()
    expect(client.read()).toBe(':1\r\n:1\r\n')
  })
})

describe('what a session is sent unasked', () => {
  const push = (stage: Stage, client: Client, text: string): void => stage.turn.push(client.session, Buffer.from(text))

  it('leaves behind the replies before it and before those that come after', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    ann.send('PING\r\n')
    push(stage, ann, '+one\r\n')
    push(stage, ann, '+two\r\n')
    ann.send('ECHO x\r\n')
    bob.send('PING\r\n')
    push(stage, ann, '+three\r\n')
    bob.send('PING\r\n')
    ann.send('PING\r\n')
    push(stage, ann, '+four\r\n')
    stage.env.passAll()
    expect(ann.read()).toBe('+PONG\r\n+one\r\n+two\r\n$1\r\nx\r\n+three\r\n+PONG\r\n+four\r\n')
    expect(bob.read()).toBe('+PONG\r\n+PONG\r\n')
  })

  it('opens a turn, and goes in one write, which sessions with the same messages share', () => {
    const stage = new Stage()
    const clients = Array.from({ length: 4 }, () => stage.connect())
    for (const client of clients) client.transport.isBlocked = true
    for (let i = 0; i < 1000; i++) {
      const message = Buffer.from(`+${i}\r\n`)
      for (const client of clients.slice(0, i === 500 ? 3 : 4)) stage.turn.push(client.session, message)
    }
    stage.env.passAll()
    const [one, two, three, other] = clients.map(({ transport }) => transport.sent)
    for (const sent of [one, two, three, other]) expect(sent).toHaveLength(1)
    expect(one[0].toString().split('\r\n')).toHaveLength(1001)
    expect(two[0]).toBe(one[0])
    expect(three[0]).toBe(one[0])
    expect(other[0].toString().split('\r\n')).toHaveLength(1000)
  })

  it('is shared also by groups of sessions that hear different things behind the same', () => {
    const stage = new Stage()
    const clients = Array.from({ length: 30 }, () => stage.connect())
    for (const { transport } of clients) transport.isBlocked = true
    const all = Buffer.from('+all\r\n')
    const some = ['+zero\r\n', '+one\r\n', '+two\r\n'].map((text) => Buffer.from(text))
    for (const [i, { session }] of clients.entries()) {
      stage.turn.push(session, all)
      stage.turn.push(session, some[i % 3])
    }
    stage.env.passAll()
    expect(new Set(clients.map(({ transport }) => transport.sent[0])).size).toBe(3)
    expect(clients[4].read()).toBe('+all\r\n+one\r\n')
  })

  it('stands where it was sent if the session itself runs the command, also while CLIENT REPLY drops the replies', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('SAY one\r\nPING\r\n')).toBe('+one\r\n+SAID\r\n+PONG\r\n')
    expect(client.ask('REPLY SKIP\r\nSAY one\r\nSAY two\r\n')).toBe('+one\r\n+two\r\n+SAID\r\n')
    expect(client.ask('REPLY OFF\r\nPING\r\nSAY one\r\nPING\r\nREPLY ON\r\n')).toBe('+one\r\n+OK\r\n')
  })

  it('under always waits until what was written before it is durable', () => {
    const stage = new Stage()
    stage.turn.isStrict = true
    stage.log.isAcking = false
    const ann = stage.connect()
    const bob = stage.connect()
    const eve = stage.connect()
    push(stage, eve, '+before\r\n')
    stage.env.passAll()
    expect(eve.read()).toBe('+before\r\n')
    ann.send('INCR a\r\n')
    push(stage, bob, '+a has changed\r\n')
    stage.env.passAll()
    expect(bob.read()).toBe('')
    expect(bob.ask('PING\r\n')).toBe('')
    stage.log.acked = lsn(1)
    stage.turn.acked()
    expect(bob.read()).toBe('+a has changed\r\n+PONG\r\n')
    expect(ann.read()).toBe(':1\r\n')
  })

  it('without always leaves at the end of the turn, behind the write of the log', () => {
    const stage = new Stage()
    stage.log.isAcking = false
    const ann = stage.connect()
    const bob = stage.connect()
    let sentBeforeWrite = 0
    stage.log.onWrite = () => (sentBeforeWrite += bob.transport.sent.length)
    ann.send('INCR a\r\n')
    push(stage, bob, '+a has changed\r\n')
    stage.env.passAll()
    expect(sentBeforeWrite).toBe(0)
    expect(bob.read()).toBe('+a has changed\r\n')
  })

  it('does not reach a session that is closing or gone', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    ann.send('QUIT\r\n')
    push(stage, ann, '+too late\r\n')
    push(stage, bob, '+lost\r\n')
    bob.transport.destroy()
    stage.turn.closed(bob.session)
    push(stage, bob, '+too late\r\n')
    stage.env.passAll()
    expect(ann.read()).toBe('+OK\r\n')
    expect(bob.read()).toBe('')
  })

  it('closes a session once when it is more than may wait, though all of it comes in one turn', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.session.subscriptions = 1
    stage.turn.delivery.outputLimits = { ...stage.turn.delivery.outputLimits, pubsub: { hardBytes: 1000, softBytes: 0, softSeconds: 0 } }
    for (let i = 0; i < 100; i++) push(stage, client, `+${'x'.repeat(97)}\r\n`)
    stage.env.passAll()
    expect(client.transport.state).toBe('destroyed')
    expect(stage.stats.outputLimitClosed).toBe(1)
  })

  it('closes a session that was above the soft limit for too long, also when it is sent nothing more', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.session.subscriptions = 1
    client.transport.isBlocked = true
    stage.turn.delivery.outputLimits = { ...stage.turn.delivery.outputLimits, pubsub: { hardBytes: 0, softBytes: 1000, softSeconds: 10 } }
    const look = (afterMs: number): string => {
      stage.env.now += afterMs
      stage.turn.delivery.checkOutput(client.session)
      return client.transport.state
    }
    push(stage, client, `+${'x'.repeat(2000)}\r\n`)
    stage.env.passAll()
    expect(look(10_000)).toBe('open')
    client.drain()
    expect(look(1)).toBe('open')
    client.transport.isBlocked = true
    push(stage, client, `+${'x'.repeat(2000)}\r\n`)
    stage.env.passAll()
    expect(look(10_000)).toBe('open')
    expect(look(1)).toBe('destroyed')
  })

  it('runs the rest of a pipeline also if the session is sent very much in that turn', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    stage.hearer = ann.session
    bob.send('PING\r\n'.repeat(999) + `SAY ${'x'.repeat(10_000)}\r\n`.repeat(300))
    ann.send('PING\r\n'.repeat(1500))
    // Bob's messages come in the turn in which the rest of Ann's requests is to run, and before it.
    stage.env.passAll()
    expect(ann.read().match(/PONG/g)).toHaveLength(1500)
  })

  it('does not keep a session from being read again that has taken its replies', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    ann.transport.isBlocked = true
    ann.ask(`BIG ${OUTPUT_PAUSE_BYTES + 1}\r\n`)
    expect(ann.transport.isPaused).toBe(true)
    stage.hearer = ann.session
    bob.send(`SAY ${'x'.repeat(10_000)}\r\n`.repeat(90))
    ann.drain()
    stage.env.passAll()
    expect(ann.transport.isPaused).toBe(false)
  })

  it('stands behind the answer of a parked request, if it came when that was ready', () => {
    const stage = new Stage()
    const ann = stage.connect()
    ann.ask('WAIT\r\n')
    push(stage, ann, '+before\r\n')
    stage.turn.wake(ann.session)
    push(stage, ann, '+behind\r\n')
    stage.env.passAll()
    expect(ann.read()).toBe('+before\r\n+READY\r\n+behind\r\n')
  })

  it('makes its sender go on in the next turn when one session has much to read', () => {
    const stage = new Stage()
    const ann = stage.connect()
    const bob = stage.connect()
    const modest = stage.connect()
    ann.session.subscriptions = 1
    stage.hearer = ann.session
    bob.send(`SAY ${'x'.repeat(10_000)}\r\n`.repeat(300))
    modest.send('PING\r\n')
    stage.env.pass()
    expect(modest.read()).toBe('+PONG\r\n')
    expect(ann.transport.sent).toHaveLength(1)
    expect(ann.read().length).toBeLessThan(OUTPUT_PAUSE_BYTES + 30_000)
    stage.env.passAll()
    expect(bob.read()).toBe('+SAID\r\n'.repeat(300))
  })
})

describe('back-pressure', () => {
  it('does not use a buffer again that a slow client still reads from', () => {
    const stage = new Stage()
    const slow = stage.connect()
    slow.transport.isBlocked = true
    slow.send('ECHO one\r\n')
    stage.env.passAll()
    stage.connect().ask('ECHO xxxxxxxxxxx\r\n')
    slow.send('ECHO two\r\n')
    stage.env.passAll()
    stage.connect().ask('ECHO yyyyyyyyyyy\r\n')
    expect(slow.read()).toBe('$3\r\none\r\n$3\r\ntwo\r\n')
  })

  it('neither reads from nor works for a client that does not take its replies', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.transport.isBlocked = true
    client.send('BIG 700000\r\n'.repeat(10))
    stage.env.passAll()
    expect(client.transport.isPaused).toBe(true)
    expect(client.transport.queued).toBeLessThan(3 * OUTPUT_PAUSE_BYTES)
    for (let i = 0; i < 20 && client.transport.isPaused; i++) {
      client.drain()
      stage.env.passAll()
    }
    expect(client.transport.isPaused).toBe(false)
    expect(client.read().length).toBe(10 * 700011)
  })

  it('closes a client whose output is over the limit', () => {
    const stage = new Stage()
    stage.turn.delivery.outputLimits = { ...stage.turn.delivery.outputLimits, normal: { hardBytes: 100_000, softBytes: 0, softSeconds: 0 } }
    const client = stage.connect()
    client.transport.isBlocked = true
    // One reply of any size may be on its way: what can be stored can be read.
    client.ask('BIG 200000\r\n')
    expect(client.transport.state).toBe('open')
    client.ask('PING\r\n')
    expect(client.transport.state).toBe('destroyed')
    expect(stage.stats.outputLimitClosed).toBe(1)
  })

  it('does not close a client that takes its time for one huge reply, before its time for that is over', () => {
    const stage = new Stage()
    const slow = stage.connect()
    slow.transport.isBlocked = true
    stage.turn.delivery.outputLimits = {
      ...stage.turn.delivery.outputLimits,
      normal: { hardBytes: 3000, softBytes: 1000, softSeconds: 10 },
    }
    slow.ask('BIG 5000\r\n')
    stage.env.now += 1000
    stage.turn.delivery.checkOutput(slow.session)
    expect(slow.transport.state).toBe('open')
    stage.env.now += 10_000
    stage.turn.delivery.checkOutput(slow.session)
    expect(slow.transport.state).toBe('destroyed')
  })

  it('stops reading from a client that floods behind a parked request', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask('WAIT\r\n')
    client.ask(`ECHO ${'x'.repeat(50_000)}\r\n`.repeat(30))
    expect(client.transport.isPaused).toBe(true)
    stage.isReady = true
    stage.turn.checkParked()
    stage.env.passAll()
    expect(client.transport.isPaused).toBe(false)
    expect(client.read().startsWith('+READY\r\n$50000\r\n')).toBe(true)
  })

  it('drops a reply that is larger than anything that may wait for a client, with its client, and nobody else notices', () => {
    const stage = new Stage()
    const client = stage.connect()
    const other = stage.connect()
    stage.turn.replyBytesMax = 100_000
    other.send('PING\r\n')
    client.send('PING\r\nBIGS 2000 1000\r\n')
    other.send('PING\r\n')
    stage.env.passAll()
    expect(client.transport.state).toBe('destroyed')
    expect(stage.stats.outputLimitClosed).toBe(1)
    expect(other.read()).toBe('+PONG\r\n+PONG\r\n')
    expect(stage.connect().ask('BIGS 2 3\r\n')).toBe('*2\r\n$3\r\nxxx\r\n$3\r\nxxx\r\n')
  })

  it('takes no more input when the node stops, and answers what it has', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.transport.isBlocked = true
    client.ask(`BIG ${2 * 1024 * 1024}\r\nPING\r\nGET a\r\n`)
    expect(client.transport.isPaused).toBe(true)
    stage.turn.stopReading([client.session])
    client.drain()
    stage.env.passAll()
    expect(client.read()).toBe(':0\r\n')
    expect(client.transport.isPaused).toBe(true)
  })

  it('closes a client whose unfinished request is over the limit', () => {
    const stage = new Stage()
    stage.turn.inputBytesMax = 1000
    const client = stage.connect()
    client.ask(`*2\r\n$4\r\nECHO\r\n$5000\r\n${'x'.repeat(2000)}`)
    expect(client.transport.state).toBe('destroyed')
  })

  it('takes 64 KiB from a client before it has authenticated', () => {
    const stage = new Stage()
    const client = stage.connect({ isAuthenticated: false })
    expect(client.ask('PING\r\n')).toBe('-NOAUTH Authentication required.\r\n')
    client.ask('PING\r\n'.repeat(11_000))
    expect(client.transport.state).toBe('destroyed')
  })
})

describe('strangers', () => {
  it.each(['GET / HTTP/1.1\r\n\r\n', 'POST /x HTTP/1.0\r\n', '\x16\x03\x01\x02\x00\x01', 'Host: me\r\n'])(
    'closes %j without a word',
    (bytes) => {
      const stage = new Stage()
      const client = stage.connect()
      expect(client.ask(bytes)).toBe('')
      expect(client.transport.state).toBe('destroyed')
      expect(stage.stats.protocolMismatches).toBe(1)
      expect(stage.env.said).toHaveLength(1)
    },
  )

  it('tells of them once a minute, however many there are', () => {
    const stage = new Stage()
    for (let i = 0; i < 100; i++) stage.connect().ask('GET / HTTP/1.1\r\n')
    expect(stage.env.said).toHaveLength(1)
    stage.env.now += 60_000
    stage.connect().ask('GET / HTTP/1.1\r\n')
    expect(stage.env.said).toHaveLength(2)
    expect(stage.stats.protocolMismatches).toBe(101)
  })

  it('closes on a first line of HTTP that comes in pieces, before it runs as a command', () => {
    const stage = new Stage()
    const client = stage.connect()
    for (const piece of ['INCR', ' /a HT', 'TP/1.', '1\r\n']) expect(client.ask(piece)).toBe('')
    expect(client.transport.state).toBe('destroyed')
    expect(stage.engine.counters.size).toBe(0)
  })

  it.each(['\x16\x03\x01\x02', 'GET / HTTP/1.1\r\n'])('takes %j for what it is within a value of the first request', (value) => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask(`*2\r\n$4\r\nECHO\r\n$${value.length}\r\n`)
    expect(client.ask(`${value}\r\n`)).toBe(`$${value.length}\r\n${value}\r\n`)
  })

  it('runs nothing of a request smuggled in behind HTTP headers', () => {
    const stage = new Stage()
    const client = stage.connect()
    client.ask('PING\r\n')
    client.read()
    client.ask('POST /x\r\nINCR a\r\n')
    expect(client.transport.state).toBe('destroyed')
    expect(stage.engine.counters.size).toBe(0)
  })
})

describe('CLIENT REPLY', () => {
  it('drops the reply after SKIP also if that comes later', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('REPLY SKIP\r\nWAIT\r\nPING\r\n')).toBe('')
    stage.isReady = true
    stage.turn.checkParked()
    stage.env.passAll()
    expect(client.read()).toBe('+PONG\r\n')
  })

  it('drops the error, too, that becomes of a dropped reply when the log fails', () => {
    const stage = new Stage()
    const { gate } = stage.dispatcher
    stage.turn.isStrict = true
    stage.log.isAcking = false
    const client = stage.connect()
    client.ask('REPLY OFF\r\n')
    gate.pause = 'writes'
    client.send('INCR a\r\nREPLY ON\r\n')
    stage.env.passAll()
    gate.pause = 'none'
    stage.turn.push(client.session, Buffer.from('+hello\r\n'))
    stage.turn.checkParked()
    stage.env.passAll()
    stage.turn.failed(lsn(1), lsn(1), 'MISCONF it failed')
    expect(client.read()).toBe('+hello\r\n+OK\r\n')
  })

  it('drops replies while OFF, and one after SKIP', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('REPLY OFF\r\nPING\r\nINCR a\r\nREPLY ON\r\nGET a\r\n')).toBe('+OK\r\n:1\r\n')
    expect(client.ask('REPLY SKIP\r\nPING\r\nGET a\r\n')).toBe(':1\r\n')
  })
})

describe('dispatch', () => {
  it('refuses in the words of redis-server', () => {
    const stage = new Stage()
    const client = stage.connect()
    expect(client.ask('nosuch a b\r\n')).toBe("-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n")
    expect(client.ask('echo\r\n')).toBe("-ERR wrong number of arguments for 'echo' command\r\n")
    expect(client.ask('box\r\n')).toBe("-ERR wrong number of arguments for 'box' command\r\n")
    expect(client.ask('box open\r\n')).toBe("-ERR wrong number of arguments for 'box|open' command\r\n")
    expect(client.ask('box nope\r\n')).toBe("-ERR unknown subcommand 'nope'. Try BOX HELP.\r\n")
    expect(client.ask('box open 1\r\n')).toBe('+OK\r\n')
    stage.engine.outOfMemory = true
    expect(client.ask('incr a\r\nget a\r\n')).toBe("-OOM command not allowed when used memory > 'maxmemory'.\r\n:0\r\n")
    stage.dispatcher.gate.isLoading = true
    expect(client.ask('get a\r\n')).toBe('-LOADING Redis is loading the dataset in memory\r\n')
  })

  it('counts calls, refusals, failures and kinds of errors', () => {
    const stage = new Stage()
    stage.connect().ask('PING\r\nPING\r\nFAIL\r\nECHO\r\nNOSUCH\r\n')
    const of = (name: string) => stage.stats.commands.find((command) => command.fullName === name)!
    expect([of('ping').calls, of('fail').calls, of('fail').failed, of('echo').rejected]).toEqual([2, 1, 1, 1])
    expect(stage.stats.errors).toEqual(new Map([['ERR', 3]]))
    expect(stage.stats.commandsProcessed).toBe(5)
  })

  it('keeps slow commands', () => {
    const stage = new Stage()
    stage.dispatcher.gate.slowMicros = 0
    stage.connect().ask('ECHO hi\r\n')
    expect(stage.stats.slowlog.entries[0].args).toEqual(['ECHO', 'hi'])
  })
})
