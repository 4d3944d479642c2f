// Users beside redis-server's: what rules are taken, what a user may then run, what he is told, and what ACL LOG keeps. SEED replays a run,
// COMMANDS makes it longer.
//
// Not compared is the text of a user's commands (`commands` of GETUSER): Redis lists them in the order of a hash, and chooses categories by
// how many commands it has itself. That the text means the same user is tested in unit/server/acl; here it is what he may run.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually } from '../support/eventually.ts'
import { decodeReply, ErrorReply } from '../support/raw-client.ts'
import type { RawClient, Value } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { disagreement } from './differences.ts'
import { RandomCommands } from './random-commands.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const COMMANDS = Number(process.env.COMMANDS ?? 20_000)

const DEBUG = ['--enable-debug-command', 'yes']

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

describe.skipIf(!HAS_REDIS)(`users beside redis-server (seed ${SEED})`, () => {
  let redis: Server
  let stockd: Server
  let ours: RawClient
  let theirs: RawClient
  /** Commands that both have, with their subcommands. */
  let common: string[]

  beforeAll(async () => {
    ;[redis, stockd] = await Promise.all([startRedis({ args: DEBUG }), startNode({ args: DEBUG })])
    ;[theirs, ours] = await Promise.all([redis.connect(), stockd.connect()])
    const [a, b] = await Promise.all([theirs.call('COMMAND', 'LIST'), ours.call('COMMAND', 'LIST')])
    const known = new Set(b as string[])
    common = (a as string[]).filter((name) => known.has(name)).toSorted()
  })

  beforeEach(async () => {
    for (const client of [theirs, ours]) {
      await client.call('AUTH', 'default', '')
      const users = (await client.call('ACL', 'USERS')) as string[]
      const others = users.filter((name) => name !== 'default')
      if (others.length > 0) await client.command('ACL', 'DELUSER', ...others.map(latin1))
      await client.command('ACL', 'LOG', 'RESET')
    }
  })

  afterAll(async () => {
    await Promise.all([redis?.kill9(), stockd?.kill9()])
  })

  /** One request to both; @returns the reply, which is the same */
  async function both(...args: string[]): Promise<Value> {
    const request = args.map(latin1)
    const [a, b] = await Promise.all([theirs.command(...request), ours.command(...request)])
    expect(b.toString('latin1'), JSON.stringify(args)).toBe(a.toString('latin1'))
    return decodeReply(a)
  }

  it('puts every command into the categories that it has there', async () => {
    const categories = (await theirs.call('ACL', 'CAT')) as string[]
    const mine = (await ours.call('ACL', 'CAT')) as string[]
    expect(mine.slice(0, categories.length)).toEqual(categories)
    const isCommon = new Set(common)
    // Streams can be read only, and what writes them is refused: those commands are there, in their categories.
    for (const category of categories) {
      const [a, b] = await Promise.all([theirs.call('ACL', 'CAT', category), ours.call('ACL', 'CAT', category)])
      const of = (list: Value): string[] => (list as string[]).filter((name) => isCommon.has(name)).toSorted()
      expect(of(b), category).toEqual(of(a))
    }
  })

  it('takes and refuses the same rules, and a user may run the same', { timeout: 120_000 }, async () => {
    const random = new Random(SEED)
    const rules = new RandomRules(random, common)
    for (let step = 0; step < COMMANDS / 40; step++) {
      const name = random.pick(['alice', 'bob', '__proto__', 'constructor', 'x\xff'])
      if (random.chance(0.05)) await both('ACL', 'DELUSER', name)
      const words = Array.from({ length: random.below(5) + 1 }, () => rules.next())
      await both('ACL', 'SETUSER', name, ...words)
      await sameUser(name)
      await both('ACL', 'USERS')
      for (let i = 0; i < 10; i++) await both('ACL', 'DRYRUN', name, ...dryCommand(random, common))
    }
  })

  async function sameUser(name: string): Promise<void> {
    const [a, b] = await Promise.all([theirs.call('ACL', 'GETUSER', latin1(name)), ours.call('ACL', 'GETUSER', latin1(name))])
    expect(withoutCommands(b), name).toEqual(withoutCommands(a))
  }

  it('lets users run the same of all commands, and keeps the same log', { timeout: 300_000 }, async () => {
    const random = new Random(SEED + 1)
    const rules = new RandomRules(random, common)
    const commands = new RandomCommands(random)
    for (let episode = 0; episode < COMMANDS / 400; episode++) {
      const words = ['reset', 'on', 'nopass', ...Array.from({ length: random.below(8) + 2 }, () => rules.sound())]
      await both('ACL', 'SETUSER', 'worker', ...words)
      const [a, b] = await Promise.all([redis.connect(), stockd.connect()])
      await Promise.all([a.command('AUTH', 'worker', ''), b.command('AUTH', 'worker', '')])
      const batch = Array.from({ length: 200 }, () => commands.next())
      const requests = batch.map((command) => command.map(latin1))
      const [left, right] = await Promise.all([a.pipeline(requests), b.pipeline(requests)])
      batch.forEach((command, i) => {
        // What a cursor finds first is each server's own affair.
        const isCursor = /^[hsz]?scan$/i.test(command[0]) && left[i][0] === right[i][0] && left[i][0] === 42
        const difference = isCursor ? null : disagreement(command, left[i], right[i])
        if (difference !== null) expect.fail(`${difference}\n    user: ${JSON.stringify(words)}`)
      })
      await Promise.all([a.close(), b.close()])
      await sameLog()
    }
  })

  async function sameLog(): Promise<Value[]> {
    const [a, b] = await Promise.all([theirs.call('ACL', 'LOG', '100'), ours.call('ACL', 'LOG', '100')])
    expect((b as Value[]).map(logEntry)).toEqual((a as Value[]).map(logEntry))
    return a as Value[]
  }

  // As unit/acl of Redis's own tests goes through them ------------------------------------------------------------------------------

  it('knows users by name and by any of their passwords', async () => {
    expect(await both('ACL', 'WHOAMI')).toBe('default')
    await both('ACL', 'SETUSER', 'a a')
    await both('ACL', 'SETUSER', 'a\0a')
    await both('ACL', 'SETUSER', 'newuser', '>passwd1')
    expect(await both('AUTH', 'newuser', 'passwd1')).toBeInstanceOf(ErrorReply)
    await both('ACL', 'SETUSER', 'newuser', 'on', '+acl')
    await both('AUTH', 'newuser', 'passwd1')
    expect(await both('ACL', 'WHOAMI')).toBe('newuser')
    await both('ACL', 'SETUSER', 'newuser', '>passwd2')
    await both('AUTH', 'newuser', 'passwd1')
    await both('AUTH', 'newuser', 'passwd2')
    expect(await both('AUTH', 'newuser', 'passwd3')).toBeInstanceOf(ErrorReply)
    await both('ACL', 'SETUSER', 'newuser', '<passwd1')
    expect(await both('AUTH', 'newuser', 'passwd1')).toBeInstanceOf(ErrorReply)
    const hash = '34344e4d60c2b6d639b7bd22e18f2b0b91bc34bf0ac5f9952744435093cfb4e6'
    await both('ACL', 'SETUSER', 'newuser', `#${hash}`)
    await both('AUTH', 'newuser', 'passwd4')
    await both('ACL', 'SETUSER', 'newuser', `#${hash.slice(1)}`)
    await both('ACL', 'SETUSER', 'newuser', `#${hash.slice(1)}q`)
    await both('ACL', 'SETUSER', 'newuser', `#${hash.toUpperCase()}`)
    await sameUser('newuser')
    await both('ACL', 'SETUSER', 'newuser', `!${hash}`)
    await both('ACL', 'SETUSER', 'newuser', `!${hash}`)
    await sameUser('newuser')
    await both('SET', 'foo', 'bar')
    await both('ACL', 'SETUSER', 'newuser', '+set')
    await both('SET', 'foo', 'bar')
    await both('ACL', 'SETUSER', 'newuser', 'allcommands', '~foo:*', '~bar:*')
    for (const key of ['foo:1', 'bar:2', 'zap:3']) await both('SET', key, 'a')
    await both('ACL', 'SETUSER', 'newuser', 'nopass')
    await both('AUTH', 'newuser', 'anything')
    await both('ACL', 'SETUSER', 'newuser', 'allkeys', '-ping')
    await both('INCR', 'mycounter')
    await both('PING')
  })

  it('allows channels by pattern, and patterns by themselves only', async () => {
    await both('ACL', 'SETUSER', 'ps', 'on', 'nopass', '+acl', '+client', '+@pubsub', '+multi', '+discard', '+exec')
    await both('AUTH', 'ps', '')
    const tries = async (): Promise<void> => {
      for (const channel of ['foo:1', 'bar:2', 'zap:3', 'bar:*', 'foo', '']) {
        await both('PUBLISH', channel, 'm')
        await both('SPUBLISH', channel, 'm')
        for (const word of ['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE']) {
          if (await refusedBoth(word, channel)) continue
          await both('RESET')
          await both('AUTH', 'ps', '')
        }
      }
    }
    await tries()
    await both('ACL', 'SETUSER', 'ps', 'resetchannels', '&foo:1', '&bar:*')
    await tries()
    for (const request of [
      ['PUBLISH', 'no', 'm'],
      ['SUBSCRIBE', 'foo:1', 'no'],
      ['PSUBSCRIBE', 'no:*', 'bar:*'],
    ]) {
      await both('MULTI')
      expect(await both(...request)).toBeInstanceOf(ErrorReply)
      await both('DISCARD')
    }
    await both('AUTH', 'default', '')
    await sameLog()
  })

  /** @returns whether it is refused; the first message is read in any case */
  async function refusedBoth(...args: string[]): Promise<boolean> {
    return (await both(...args)) instanceof ErrorReply
  }

  it('names commands, subcommands and first arguments', async () => {
    await both('ACL', 'SETUSER', 'u', 'on', 'nopass', '~*', '+@all', '-client')
    await both('ACL', 'SETUSER', 'u', '+client|id', '+client|setname')
    for (const word of ['ID', 'SETNAME', 'KILL', 'GETNAME']) await both('ACL', 'DRYRUN', 'u', 'CLIENT', word, 'x', 'y')
    for (const rule of [
      ...[
        '+config|get|appendonly',
        '+config|asdf',
        '-config|asdf',
        '+get|key1|key2',
        '-get|key1|key2',
        '+config|',
        '+',
        '-',
        '+|',
        '+get|',
      ],
      ...[
        '+@',
        '-@nosuch',
        '+@all|x',
        '+nosuch',
        '-nosuch',
        'nosuch',
        '',
        '(',
        ')',
        '()',
        '(+get',
        '(+get ~a',
        '%R',
        '%RR~x',
        '%X~x',
        '%RWR~',
        '~a b',
        '&a\tb',
      ],
      ...[
        '~*',
        '~x',
        '&*',
        '&x',
        'resetkeys',
        'ON',
        '+GET',
        '+@READ',
        'ALLKEYS',
        'allchannels',
        '>',
        '<',
        '#',
        '!',
        '<nosuch',
        '+select|0',
        '+SELECT|0',
      ],
    ]) {
      await both('ACL', 'SETUSER', 'u', rule)
      await sameUser('u')
    }
    await both('ACL', 'SETUSER', 'v', '-@all', '+acl', '+select|0', '+debug|object', '+incr', 'allkeys', 'on', 'nopass')
    await both('AUTH', 'v', '')
    for (const request of [
      ['SELECT', '0'],
      ['SELECT', '1'],
      ['INCR', 'k'],
      ['DEBUG', 'SEGFAULT'],
      ['GET', 'k'],
    ])
      await both(...request)
    await both('ACL', 'SETUSER', 'v', '+@all', '(~a +get)', '(%R~b', '+set', '%W~c)', 'clearselectors')
    await both('ACL', 'SETUSER', 'v', 'resetkeys', '-@all', '+acl', '(~a* +get)', '(%W~b', '+set)')
    await sameUser('v')
    for (const request of [
      ['GET', 'ab'],
      ['GET', 'b'],
      ['SET', 'b', '1'],
      ['SET', 'b', '1', 'GET'],
      ['SET', 'a', '1'],
      ['DEL', 'a'],
    ])
      await both(...request)
  })

  it('keeps a log of who was refused what', async () => {
    await both('ACL', 'SETUSER', 'antirez', '>foo', 'on', '+set', '~object:1234', '+multi', '+exec', 'resetchannels', '+publish')
    await both('AUTH', 'antirez', 'foo')
    for (let i = 0; i < 3; i++) await both('GET', 'foo')
    await both('SET', 'notallowed', '1')
    await both('PUBLISH', 'notallowed', 'm')
    await both('CLIENT', 'KILL', 'x')
    await both('MULTI')
    await both('INCR', 'foo')
    await both('EXEC')
    await both('MULTI')
    await both('SET', 'object:1234', '1')
    await both('AUTH', 'default', '')
    await both('EXEC')
    await both('AUTH', 'antirez', 'wrong')
    await both('auth', 'nobody', 'wrong')
    await both('AUTH', 'default', '')
    const entries = await sameLog()
    expect(entries).toHaveLength(7)
    await both('ACL', 'LOG', 'x')
    expect(await ours.call('ACL', 'LOG', '2')).toHaveLength(2)
    expect(await both('ACL', 'LOG', '-1')).toEqual([])
    await both('CONFIG', 'SET', 'acllog-max-len', '5')
    await both('AUTH', 'antirez', 'foo')
    for (let i = 0; i < 10; i++) await both('SET', `obj:${i}`, '1')
    await both('AUTH', 'default', '')
    expect(await sameLog()).toHaveLength(5)
    await both('ACL', 'LOG', 'RESET')
    expect(await both('ACL', 'LOG')).toEqual([])
    await both('CONFIG', 'SET', 'acllog-max-len', '128')
  })

  it('checks queued commands again at EXEC', async () => {
    await both('ACL', 'SETUSER', 'q', 'on', 'nopass', '~object:*', '+multi', '+exec', '+incr', '+get', '+publish', '&c', '+acl')
    await both('AUTH', 'q', '')
    await both('MULTI')
    for (const request of [
      ['INCR', 'object:1'],
      ['GET', 'object:2'],
      ['PUBLISH', 'c', 'm'],
      ['GET', 'object:1'],
    ])
      await both(...request)
    for (const server of [redis, stockd]) {
      await using other = await server.connect()
      await other.command('ACL', 'SETUSER', 'q', '-incr', 'resetkeys', '~object:1', 'resetchannels')
    }
    // Who listens to channels that he may no longer listen to is closed; this one only publishes.
    await both('EXEC')
    await both('AUTH', 'default', '')
    await sameLog()
  })

  it('closes who listens to what he may not listen to any more, and nobody else', async () => {
    const cases: [string[], string[], string[], string[]][] = [
      [['&foo:1'], ['SUBSCRIBE', 'foo:1'], ['resetchannels'], ['gone']],
      [['&foo:1'], ['SSUBSCRIBE', 'foo:1'], ['resetchannels'], ['gone']],
      [['&bar:*'], ['PSUBSCRIBE', 'bar:*'], ['resetchannels'], ['gone']],
      [['allchannels'], ['PSUBSCRIBE', 'foo'], ['resetchannels'], ['gone']],
      [['&foo:1', '&bar:*'], ['SUBSCRIBE', 'foo:1'], ['resetchannels', '&foo:1', '&bar:*', '&zoo:*'], []],
      [['&foo:1', '&bar:*'], ['PSUBSCRIBE', 'bar:*'], ['allchannels'], []],
      [['&foo:1', '&bar:*'], ['SUBSCRIBE', 'foo:1'], ['resetchannels', '&foo:*'], []],
      [['&foo:1', '&bar:*'], ['PSUBSCRIBE', 'bar:*'], ['resetchannels', '&bar:?*'], ['gone']],
    ]
    for (const [before, subscribe, after, gone] of cases) {
      await both('ACL', 'SETUSER', 'ear', 'reset', 'on', 'nopass', '+@all', ...before)
      for (const server of [redis, stockd]) {
        const admin = server === redis ? theirs : ours
        await using listener = await server.connect()
        await listener.command('AUTH', 'ear', '')
        await listener.command('CLIENT', 'SETNAME', 'deathrow')
        await listener.command(...subscribe)
        await admin.command('ACL', 'SETUSER', 'ear', ...after)
        const isListed = async (): Promise<boolean> => String(await admin.call('CLIENT', 'LIST')).includes('name=deathrow')
        if (gone.length > 0) await eventually('the listener to be closed', async () => !(await isListed()))
        else expect(await isListed(), JSON.stringify(subscribe)).toBe(true)
      }
    }
  })

  it('ends the connections of users that are deleted', async () => {
    await both('ACL', 'SETUSER', 'not_used', 'on', '>passwd')
    expect(await both('ACL', 'DELUSER', 'not_used', 'nobody')).toBe(1)
    await both('ACL', 'DELUSER', 'nobody', 'default')
    await both('ACL', 'SETUSER', 'using', 'on', '+acl', '>passwd')
    for (const server of [redis, stockd]) {
      await using own = await server.connect()
      await using other = await server.connect()
      await own.command('AUTH', 'using', 'passwd')
      await other.command('AUTH', 'using', 'passwd')
      expect(await own.call('ACL', 'DELUSER', 'using')).toBe(1)
      await Promise.all([own.closed, other.closed])
    }
  })

  it('lets nobody in without a word while the default user is off or has a password', async () => {
    for (const rules of [['off'], ['>secret'], ['resetpass'], ['-@all']]) {
      await both('ACL', 'SETUSER', 'admin', 'on', 'nopass', '~*', '&*', '+@all')
      await both('AUTH', 'admin', '')
      await both('ACL', 'SETUSER', 'default', ...rules)
      const [a, b] = await Promise.all([redis.connect(), stockd.connect()])
      const ask = async (...request: string[]): Promise<Value> => {
        const [x, y] = await Promise.all([a.command(...request), b.command(...request)])
        expect(withoutId(y), JSON.stringify([rules, request])).toBe(withoutId(x))
        return decodeReply(x)
      }
      for (const request of [['PING'], ['ACL', 'WHOAMI'], ['GET', 'x'], ['HELLO', '5'], ['HELLO', '2'], ['HELLO'], ['AUTH', 'x']])
        await ask(...request)
      // Who came while a password was needed is let in while none is, and no longer; HELLO knows him all the same.
      const admit = async (...words: string[]): Promise<void> => {
        await both('ACL', 'SETUSER', 'default', ...words)
        for (const request of [['PING'], ['GET', 'x'], ['HELLO'], ['ACL', 'WHOAMI']]) await ask(...request)
      }
      await admit('on', 'nopass')
      await admit('>secret')
      await admit('nopass', 'off')
      await admit('on')
      await both('ACL', 'SETUSER', 'default', ...rules)
      await a.close()
      await b.close()
      const [c, d] = await Promise.all([redis.connect(), stockd.connect()])
      for (const client of [c, d]) {
        expect(await client.call('HELLO', '3', 'AUTH', 'admin', 'any')).toBeInstanceOf(Map)
        expect(await client.call('RESET')).toBe('RESET')
        await client.close()
      }
      await both('ACL', 'SETUSER', 'default', 'on', 'nopass', '+@all')
      await both('AUTH', 'default', '')
    }
  })

  it('has one password of the default user, however it was set', async () => {
    await both('ACL', 'SETUSER', 'admin', 'on', 'nopass', '~*', '&*', '+@all')
    await both('AUTH', 'admin', '')
    await both('AUTH', 'x')
    await both('CONFIG', 'SET', 'requirepass', 'one')
    await sameUser('default')
    await both('AUTH', 'two')
    await both('AUTH', 'one')
    await both('ACL', 'SETUSER', 'default', '>two')
    await both('AUTH', 'two')
    expect(await both('CONFIG', 'GET', 'requirepass')).toEqual(['requirepass', 'one'])
    await both('CONFIG', 'SET', 'requirepass', '')
    await sameUser('default')
    await both('AUTH', 'x')
    await both('AUTH', 'default', 'x')
  })

  it('shows users in RESP3 as in RESP2', async () => {
    await both('ACL', 'SETUSER', 'all', 'on', 'nopass', '~*', '&*', '+@all', '(~a)', '>p')
    await both('ACL', 'SETUSER', 'none', '%R~a', '~b', '&c', '(%W~x &y)', 'sanitize-payload')
    const [a, b] = await Promise.all([redis.connect(), stockd.connect()])
    for (const protocol of ['2', '3']) {
      await Promise.all([a.command('HELLO', protocol), b.command('HELLO', protocol)])
      for (const request of [
        ['ACL', 'GETUSER', 'all'],
        ['ACL', 'GETUSER', 'none'],
        ['ACL', 'GETUSER', 'nobody'],
        ['ACL', 'LIST'],
        ['ACL', 'USERS'],
        ['ACL', 'LOG'],
      ]) {
        const [x, y] = await Promise.all([a.command(...request), b.command(...request)])
        expect(y.toString(), JSON.stringify(request)).toBe(x.toString())
      }
    }
    await Promise.all([a.command('AUTH', 'nobody', 'x'), b.command('AUTH', 'nobody', 'x')])
    const logs = await Promise.all([a.call('ACL', 'LOG'), b.call('ACL', 'LOG')])
    expect(logs.map((log) => (log as Value[])[0])).toEqual([expect.any(Map), expect.any(Map)])
    expect(logEntry((logs[1] as Value[])[0])).toEqual(logEntry((logs[0] as Value[])[0]))
    await Promise.all([a.close(), b.close()])
  })

  it('answers wrong arguments alike', async () => {
    for (const request of [
      ['ACL'],
      ['ACL', 'HELP'],
      ['ACL', 'HELP', 'x'],
      ['ACL', 'CAT', 'NON_EXISTS'],
      ['ACL', 'CAT', 'a', 'b'],
      ['ACL', 'CAT', `${'x'.repeat(200)}`],
      ['ACL', 'GENPASS', '-236'],
      ['ACL', 'GENPASS', '5000'],
      ['ACL', 'GENPASS', 'x'],
      ['ACL', 'GENPASS', '5', '5'],
      ['ACL', 'LOAD'],
      ['ACL', 'SAVE'],
      ['ACL', 'GETUSER', 'nobody'],
      ['ACL', 'GETUSER'],
      ['ACL', 'SETUSER'],
      ['ACL', 'SETUSER', ''],
      ['ACL', 'GETUSER', ''],
      ['ACL', 'LOG', '1', '2'],
      ['ACL', 'LOG', 'RESET', '2'],
      ['ACL', 'NOSUCH'],
      ['ACL', 'DRYRUN', 'nobody', 'GET'],
      ['ACL', 'DRYRUN', 'default', 'NOSUCH', 'x'],
      ['ACL', 'DRYRUN', 'default', 'GET'],
      ['ACL', 'DRYRUN', 'default', 'CONFIG'],
      ['ACL', 'DRYRUN', 'default', 'CONFIG', 'NOSUCH'],
      ['ACL', 'DRYRUN', 'default', 'CONFIG', 'GET'],
      ['ACL', 'DRYRUN', 'default', 'GET', 'x'],
      ['ACL', 'DELUSER'],
      ['AUTH'],
      ['AUTH', 'a', 'b', 'c'],
      ['HELLO', '3', 'AUTH', 'a'],
      ['HELLO', '3', 'AUTH', 'nobody', 'b', 'FOO'],
      ['HELLO', '2', 'SETNAME', 'x', 'FOO'],
      ['CLIENT', 'GETNAME'],
      ['CLIENT', 'KILL', 'USER', 'nobody'],
      ['CLIENT', 'KILL', 'USER', '__proto__'],
    ]) {
      await both(...request)
    }
    for (const [bits, digits] of [
      ['1', 1],
      ['5', 2],
      ['256', 64],
      ['4096', 1024],
    ] as const) {
      for (const client of [theirs, ours]) expect(await client.call('ACL', 'GENPASS', bits)).toMatch(new RegExp(`^[0-9a-f]{${digits}}$`))
    }
  })
})

/** HELLO's reply but for the number of the connection. */
function withoutId(reply: Buffer): string {
  return reply.toString('latin1').replace(/\r\nid\r\n:\d+/, '')
}

/** What of ACL LOG must be the same: not when, and not by which connection. */
function logEntry(entry: Value): unknown {
  const fields = entry instanceof Map ? entry : new Map(pairsOf(entry as Value[]))
  expect([...fields.keys()]).toEqual(['count', 'reason', 'context', 'object', 'username', 'age-seconds', 'client-info'])
  expect(fields.get('client-info')).toMatch(/^id=\d+ addr=\S+ .* cmd=\S+ user=\S+ /)
  return ['count', 'reason', 'context', 'object', 'username'].map((name) => fields.get(name))
}

function withoutCommands(user: Value): unknown {
  if (user === null) return null
  const fields = new Map(pairsOf(user as Value[]))
  fields.delete('commands')
  const selectors = fields.get('selectors') as Value[]
  return [
    ...fields.entries(),
    selectors.map((selector) => (selector as Value[]).filter((_, i, all) => i !== 1 && all[i - 1] !== 'commands')),
  ].filter((field) => !(Array.isArray(field) && field[0] === 'selectors'))
}

function pairsOf(list: readonly Value[]): [Value, Value][] {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]])
}

const PATTERNS = ['*', 'a', 'a*', '[ab]', 'user:*', '__proto__', 'constructor', '?', '\\*', 'k[^x]y', 'x\xff', '', '{tag}*', 'n']

/** Rules of ACL SETUSER, mostly sound ones. */
class RandomRules {
  readonly #random: Random
  readonly #commands: readonly string[]

  constructor(random: Random, commands: readonly string[]) {
    this.#random = random
    this.#commands = commands
  }

  next(): string {
    const random = this.#random
    if (random.chance(0.75)) return this.sound()
    return random.pick([
      ...['on', 'off', 'nopass', 'resetpass', 'reset', 'sanitize-payload', 'skip-sanitize-payload', 'clearselectors'],
      ...['>one', '>two', '<one', '<two', '>', `#${'a'.repeat(64)}`, `!${'a'.repeat(64)}`, '#abc', '!abc', ''],
      ...['(+get ~a)', '(%R~b -@all +@hash)', '(nosuch)', '(+@all ~*', '&*)', '()', '( ~"a" )'],
      ...['+nosuch', '-@nosuch', '~a b', 'wat', '%Q~a', '+get|', '+config|nosuch', '+config|get|x', 'on\0x', '+get\0x'],
    ])
  }

  sound(): string {
    const random = this.#random
    const pattern = random.pick(PATTERNS)
    switch (random.below(9)) {
      case 0:
      case 1:
        return `${random.pick(['~', '%R~', '%W~', '%RW~', '%rw~'])}${pattern}`
      case 2:
        return `&${pattern}`
      case 3:
        return random.pick(['allkeys', 'resetkeys', 'allchannels', 'resetchannels', '+@all', '-@all', 'allcommands', 'nocommands'])
      case 4:
      case 5:
        return `${random.pick(['+', '-', '+'])}@${random.pick(CATEGORIES)}`
      case 6:
        return `+${random.pick(['get|a', 'select|0', 'set|n', 'del|user:1'])}`
      default:
        return `${random.pick(['+', '-', '+'])}${random.pick(this.#commands)}`
    }
  }
}

const CATEGORIES = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
]

/** A command that both know, with a few arguments: whether they fit is for the command to say. */
function dryCommand(random: Random, common: readonly string[]): string[] {
  const words = random.pick(common).split('|')
  const count = random.below(6)
  for (let i = 0; i < count; i++)
    words.push(
      random.pick(['a', 'ab', 'b', 'user:1', 'n', '1', '2', '0', 'GET', 'STREAMS', 'STORE', '__proto__', 'constructor', 'x\xff', '']),
    )
  return words
}
