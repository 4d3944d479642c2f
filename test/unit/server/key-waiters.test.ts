// Who waits for a key, where redis-server has no say or no test can see it: clients that go, and the log.

import { describe, expect, it } from 'vitest'
import { lsn } from '../../../src/base/brand.ts'
import { NodeStage } from './node-stage.ts'
import { FakeLog } from './stage.ts'

/** What waits, what makes its key, and what it hears then. */
const WAITS = [
  ['BLPOP k 0', 'RPUSH k x', '*2\r\n$1\r\nk\r\n$1\r\nx\r\n', 'LLEN k'],
  ['BRPOPLPUSH k other 0', 'RPUSH k x', '$1\r\nx\r\n', 'LLEN k'],
  ['BLMPOP 0 1 k LEFT', 'RPUSH k x', '*2\r\n$1\r\nk\r\n*1\r\n$1\r\nx\r\n', 'LLEN k'],
  ['BZPOPMIN k 0', 'ZADD k 1 x', '*3\r\n$1\r\nk\r\n$1\r\nx\r\n$1\r\n1\r\n', 'ZCARD k'],
  ['BZMPOP 0 1 k MAX', 'ZADD k 1 x', '*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$1\r\nx\r\n$1\r\n1\r\n', 'ZCARD k'],
] as const

describe.each(WAITS)('%s', (waits, makes, hears, counts) => {
  it('takes nothing for a client that has gone, and the next one gets it', () => {
    const stage = new NodeStage()
    const [ann, eve, bob] = [stage.connect(), stage.connect(), stage.connect()]
    ann.ask(waits)
    stage.node.closed(ann.session)
    expect(bob.ask(makes)).toBe(':1\r\n')
    expect(ann.read()).toBe('')
    expect(bob.ask(counts)).toBe(':1\r\n')
    bob.ask('DEL k')
    ann.transport.sent = []
    eve.ask(waits)
    bob.ask(makes)
    expect(eve.read()).toBe(hears)
    expect(bob.ask(counts)).toBe(':0\r\n')
  })

  it('takes nothing for a client that was killed in the same write, and the next one gets it', () => {
    const stage = new NodeStage()
    const [ann, eve, bob] = [stage.connect(), stage.connect(), stage.connect()]
    ann.ask(waits)
    eve.ask(waits)
    bob.ask('MULTI')
    bob.ask(`CLIENT KILL ID ${ann.session.id}`)
    bob.ask(makes)
    expect(bob.ask('EXEC')).toBe('*2\r\n:1\r\n:1\r\n')
    expect(ann.read()).toBe('')
    expect(eve.read()).toBe(hears)
  })

  it('takes nothing once its time has run out', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask(waits.replace(/ 0$/, ' 1').replace('MPOP 0', 'MPOP 1'))
    stage.pass(999)
    expect(ann.read()).toBe('')
    stage.pass(2)
    expect(ann.read()).not.toBe('')
    bob.ask(makes)
    expect(ann.read()).toBe('')
    expect(bob.ask(counts)).toBe(':1\r\n')
  })

  it('under always answers when its record is durable: of what was there, and of what comes', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    stage.node.turn.isStrict = true
    const [ann, bob] = [stage.connect(), stage.connect()]
    log.isAcking = false
    ann.ask(waits)
    expect(bob.ask(makes)).toBe('')
    // It was taken in the same turn, behind what made it, and both are in one batch.
    expect(ann.read()).toBe('')
    log.acked = log.last
    stage.node.turn.acked()
    expect([ann.read(), bob.read()]).toEqual([hears, ':1\r\n'])

    bob.ask(makes)
    expect(ann.ask(waits)).toBe('')
    log.acked = log.last
    stage.node.turn.acked()
    expect(ann.read()).toBe(hears)
  })

  it('hears of a log that failed what everybody hears, and not the element', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    stage.node.turn.isStrict = true
    const [ann, bob] = [stage.connect(), stage.connect()]
    log.isAcking = false
    ann.ask(waits)
    expect(bob.ask(makes)).toBe('')
    stage.node.turn.failed(lsn(log.acked + 1), log.last, 'MISCONF it failed')
    expect([ann.read(), bob.read()]).toEqual(['-MISCONF it failed\r\n', '-MISCONF it failed\r\n'])
    expect(ann.ask('PING')).toBe('+PONG\r\n')
  })

  it('has what it took in the log as an ordinary record', () => {
    const log = new FakeLog()
    const stage = new NodeStage({}, log)
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask(waits)
    bob.ask(makes)
    const names = log.written.join('').match(/\b(SELECT|[LR]?POP|LMOVE|[LR]PUSH|ZADD|ZREM|DEL|B[A-Z]+POP|B[A-Z]+PUSH)\b/g)
    // All of a set goes with its key.
    expect(names).toEqual(['SELECT', makes.split(' ')[0], expect.stringMatching(/^(LPOP|LMOVE|ZREM|DEL)$/)])
  })
})

describe('who waits for several keys', () => {
  it('waits for none of them any more when one has come', () => {
    const stage = new NodeStage()
    const [ann, bob] = [stage.connect(), stage.connect()]
    ann.ask('BZPOPMIN a b 0')
    expect(bob.ask('ZADD b 1 x')).toBe(':1\r\n')
    expect(ann.read()).toBe('*3\r\n$1\r\nb\r\n$1\r\nx\r\n$1\r\n1\r\n')
    expect(bob.ask('ZADD a 1 y')).toBe(':1\r\n')
    expect(ann.read()).toBe('')
    expect(bob.ask('ZCARD a')).toBe(':1\r\n')
    // Nobody waits: new keys are not looked at.
    expect(stage.node.engine.keyspace.onCreated).toBe(null)
  })
})
