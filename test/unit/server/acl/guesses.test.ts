import { describe, expect, it } from 'vitest'
import { millis } from '../../../../src/base/brand.ts'
import { addressOf, Guesses } from '../../../../src/server/acl/guesses.ts'
import { NodeStage } from '../node-stage.ts'

describe('wrong passwords of an address', () => {
  it('wait longer and longer, up to three seconds, until it has been quiet for a minute', () => {
    const guesses = new Guesses()
    const delays = Array.from({ length: 60 }, (_, i) => guesses.delay('10.0.0.1', millis(1000 + i)))
    expect(delays.slice(0, 12)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200])
    expect(delays.at(-1)).toBe(3000)
    expect(guesses.delay('10.0.0.2', millis(2000))).toBe(0)
    expect(guesses.delay('10.0.0.1', millis(1059 + 60_001))).toBe(0)
  })

  it('are kept for so many addresses, the newest', () => {
    const guesses = new Guesses()
    for (let i = 0; i < 10_000; i++) guesses.delay(`10.0.${i >> 8}.${i & 255}`, millis(1000))
    expect(guesses.size).toBe(4096)
  })

  it('count by the address without the port, and by the network of an IPv6 address', () => {
    expect(addressOf('10.0.0.1:4711')).toBe('10.0.0.1')
    expect(addressOf('[2001:db8:1:2:3:4:5:6]:1')).toBe('2001:db8:1:2')
    expect(addressOf('[2001:db8:1:2::9]:1')).toBe('2001:db8:1:2')
    expect(addressOf('[::ffff:10.0.0.1]:1')).toBe('10.0.0.1')
    expect(addressOf('[::1]:1')).toBe('')
  })

  it('wait on new connections too, while the right one is taken at once', () => {
    const stage = new NodeStage({ requirepass: 'right' })
    for (let i = 0; i < 10; i++) expect(stage.connect().ask('AUTH wrong')).toMatch(/^-WRONGPASS/)
    const guesser = stage.connect()
    expect(guesser.ask('AUTH wrong')).toBe('')
    expect(stage.connect().ask('AUTH right')).toBe('+OK\r\n')
    stage.pass(100)
    expect(guesser.read()).toMatch(/^-WRONGPASS/)
    expect(stage.connect().ask('AUTH right')).toBe('+OK\r\n')
  })

  it('cannot be tried by the thousand inside EXEC, where nothing waits', () => {
    const stage = new NodeStage()
    const root = stage.connect()
    root.ask('ACL SETUSER victim on >g500')
    const guesser = stage.connect()
    guesser.ask('MULTI')
    // His own password in between makes the connection's count begin anew.
    for (let i = 0; i < 1000; i++) guesser.raw(`AUTH victim g${i}\r\nAUTH default x\r\n`)
    const replies = guesser.ask('EXEC')
    expect(replies.match(/\+OK/g)!.length).toBeLessThan(20)
    expect(guesser.session.user.name).toBe('default')
    expect(stage.connect().ask('AUTH victim g500')).toBe('+OK\r\n')
  })

  it('of a name that is not there take as long as of one that is', () => {
    const { node } = new NodeStage()
    node.acl.setUser('ann', ['on', '>x'], null)
    const { session } = new NodeStage().connect()
    const password = Buffer.alloc(1_000_000)
    const timeOf = (name: string): number => {
      const began = performance.now()
      for (let i = 0; i < 20; i++) expect(node.acl.logIn(session, name, password)).toBe(false)
      return performance.now() - began
    }
    timeOf('ann')
    expect(timeOf('nobody')).toBeGreaterThan(timeOf('ann') / 5)
  })
})
