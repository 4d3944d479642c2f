import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import { nodeCommands } from '../../../../src/cli/commands.ts'
import { CATEGORIES } from '../../../../src/server/acl/categories.ts'
import { User } from '../../../../src/server/acl/user.ts'
import { Node } from '../../../../src/server/node.ts'
import { Options } from '../../../../src/server/options.ts'
import type { OptionValues } from '../../../../src/server/options.ts'
import { parseOptionFile, rewritten } from '../../../../src/server/options/file.ts'
import { NodeStage } from '../node-stage.ts'
import { FakeEnv } from '../stage.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))

const { catalog } = new NodeStage().node.acl

function userBy(...rules: string[]): User {
  const user = new User('u', false)
  for (const rule of rules) expect(user.apply(rule, catalog, false), rule).toBe(null)
  return user
}

const SYNTAX = 'Syntax error'
const UNKNOWN = 'Unknown command or category name in ACL'

describe('a rule', () => {
  it.each([
    [['on'], 'on resetchannels -@all'],
    [['ON', 'nopass'], 'on nopass resetchannels -@all'],
    [['on', 'off'], 'off resetchannels -@all'],
    [['sanitize-payload'], 'off sanitize-payload resetchannels -@all'],
    [['skip-sanitize-payload'], 'off skip-sanitize-payload resetchannels -@all'],
    [['~a', '~b', '~a'], 'off ~a ~b resetchannels -@all'],
    [['%R~a', '%W~a'], 'off ~a resetchannels -@all'],
    [['%R~a', '%w~b', '%RW~c'], 'off %R~a %W~b ~c resetchannels -@all'],
    [['~a', 'allkeys'], 'off ~* resetchannels -@all'],
    [['%R~*'], 'off %R~* resetchannels -@all'],
    [['&a', '&b*'], 'off resetchannels &a &b* -@all'],
    [['&a', 'allchannels'], 'off &* -@all'],
    [['+get'], 'off resetchannels -@all +get'],
    [['+GET', '+Set', '-get'], 'off resetchannels -@all +set'],
    [['+@all', '-get'], 'off resetchannels +@all -get'],
    [['+@all', '-get', '+get'], 'off resetchannels +@all'],
    [['+memory'], 'off resetchannels -@all +memory'],
    [['+memory', '-memory|doctor'], 'off resetchannels -@all +memory -memory|doctor'],
    [['+memory|doctor', '+memory'], 'off resetchannels -@all +memory'],
    [['+@all', '-client|kill'], 'off resetchannels +@all -client|kill'],
    [['+select|0', '+select|0', '+select|1'], 'off resetchannels -@all +select|0 +select|1'],
    [['+select|0', '-select'], 'off resetchannels -@all'],
    [['+@all', '(~a +get)', '(+set)', 'clearselectors'], 'off resetchannels +@all'],
    [['(~a +get)'], 'off resetchannels -@all (~a resetchannels -@all +get)'],
    [['nopass', '>x'], `off #${'2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'} resetchannels -@all`],
    [['>x', 'nopass'], 'off nopass resetchannels -@all'],
    [['>x', '<x'], 'off resetchannels -@all'],
    [['+@all', 'allkeys', 'allchannels', '>x', 'on', 'reset'], 'off sanitize-payload resetchannels -@all'],
    [['~__proto__', '~constructor', '&toString'], 'off ~__proto__ ~constructor resetchannels &toString -@all'],
    [['+@stock', '-@order'], 'off resetchannels -@all +@stock -stock.reserve'],
  ])('%j', (rules, expected) => {
    const text = userBy(...rules).describe(catalog)
    if (rules.includes('+@stock')) expect(text).toContain('+@stock -stock.')
    else expect(text).toBe(expected)
  })

  it.each([
    ['wat', SYNTAX],
    ['+nosuch', UNKNOWN],
    ['-nosuch', UNKNOWN],
    ['+@nosuch', UNKNOWN],
    ['-@__proto__', UNKNOWN],
    ['+constructor', UNKNOWN],
    ['+', UNKNOWN],
    ['+config|nosuch', UNKNOWN],
    ['-config|nosuch', UNKNOWN],
    ['-get|x', UNKNOWN],
    ['+get|', SYNTAX],
    ['+config|get|x', 'Allowing first-arg of a subcommand is not supported'],
    ['%X~a', SYNTAX],
    ['%RR~a', SYNTAX],
    ['%~a', SYNTAX],
    ['~a b', SYNTAX],
    ['~a\0b', SYNTAX],
    ['&a\tb', SYNTAX],
    ['#abc', 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters'],
    [`!${'A'.repeat(64)}`, 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters'],
    ['<nosuch', 'The password you are trying to remove from the user does not exist'],
    ['(+nosuch)', UNKNOWN],
    ['(', SYNTAX],
  ])('%j is none: %s', (rule, error) => {
    expect(new User('u', false).apply(rule, catalog, false)).toBe(error)
  })

  it('cannot narrow what is all', () => {
    expect(userBy('~*').apply('~a', catalog, false)).toMatch(/^Adding a pattern after the \* pattern .*'allkeys'/)
    expect(userBy('&*').apply('&a', catalog, false)).toMatch(/^Adding a pattern after the \* pattern .*'allchannels'/)
  })

  it('is shown so that a new user of these rules is the same', () => {
    const random = new Random(SEED)
    const names = catalog.entries.map(({ name }) => name)
    for (let i = 0; i < 300; i++) {
      const user = new User('u', random.chance(0.2))
      for (let k = random.below(12); k >= 0; k--) {
        const sign = random.chance(0.6) ? '+' : '-'
        user.apply(random.chance(0.4) ? `${sign}@${random.pick([...CATEGORIES, 'all'])}` : `${sign}${random.pick(names)}`, catalog, false)
        if (random.chance(0.1))
          user.apply(random.pick(['~a', '%R~b', '&c', 'allkeys', '(+get %W~x)', 'on', '+select|0', '>p']), catalog, false)
      }
      const again = new User('u', false)
      for (const rule of user.describe(catalog).match(/\([^)]*\)|\S+/g)!)
        expect(again.apply(rule, catalog, false), `seed ${SEED}: ${rule}`).toBe(null)
      expect(again.describe(catalog), `seed ${SEED}`).toBe(user.describe(catalog))
      expect([...again.root.allowed].map((spec) => catalog.nameOf(spec)).toSorted(), `seed ${SEED}`).toEqual(
        [...user.root.allowed].map((spec) => catalog.nameOf(spec)).toSorted(),
      )
    }
  })

  it('by one category is shown as that category', () => {
    for (const category of CATEGORIES) {
      const entries = catalog.ofCategory(category)!
      const twins = CATEGORIES.filter(
        (other) => JSON.stringify(catalog.ofCategory(other)!.map((e) => e.name)) === JSON.stringify(entries.map((e) => e.name)),
      )
      if (entries.length === 0 || twins.length > 1) continue
      expect(userBy('+@all', `-@${category}`).root.describeCommands(catalog)).toBe(`+@all -@${category}`)
      expect(userBy(`+@${category}`).root.describeCommands(catalog)).toBe(`-@all +@${category}`)
    }
  })
})

describe('a user', () => {
  const stage = new NodeStage()
  const root = stage.connect()

  function worker(rules: string): (line: string) => string {
    expect(root.ask(`ACL SETUSER worker reset on nopass ${rules}`)).toBe('+OK\r\n')
    const client = stage.connect()
    expect(client.ask('AUTH worker x')).toBe('+OK\r\n')
    return (line) => client.ask(line)
  }

  const NO_KEY = '-NOPERM this user has no permissions to access one of the keys used as arguments\r\n'

  it('is nobody before the rules are all right', () => {
    expect(root.ask('ACL SETUSER nobody on nopass +@all wat')).toBe("-ERR Error in ACL SETUSER modifier 'wat': Syntax error\r\n")
    expect(root.ask('ACL GETUSER nobody')).toBe('$-1\r\n')
    root.ask('ACL SETUSER somebody on ~a')
    root.ask('ACL SETUSER somebody off ~b +nosuch')
    expect(root.ask('ACL LIST')).toContain('user somebody on ~a resetchannels -@all')
    root.ask('ACL DELUSER somebody')
  })

  it('may have any name that has no spaces', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(root.ask(`ACL GETUSER ${name}`)).toBe('$-1\r\n')
      expect(root.ask(`ACL SETUSER ${name} on nopass ~${name} &${name} +get`)).toBe('+OK\r\n')
      const client = stage.connect()
      expect(client.ask(`AUTH ${name} x`)).toBe('+OK\r\n')
      expect(client.ask(`GET ${name}`)).toBe('$-1\r\n')
      expect(client.ask('GET other')).toBe(NO_KEY)
      expect(root.ask(`ACL DELUSER ${name}`)).toBe(':1\r\n')
    }
  })

  it('needs the right to the SKUs of an order as to the order', () => {
    const ask = worker('+@stock -@admin ~o:* ~sku:1')
    for (const line of [
      'STOCK.RESERVE o:1 ITEMS sku:2 1',
      'STOCK.RESERVE o:1 EX 10 REF ITEMS ITEMS sku:2 1',
      'STOCK.RESERVE o:1 PAID ITEMS sku:1 1 sku:2 1',
      'STOCK.RESERVE x:1 ITEMS sku:1 1',
      'STOCK.CONFIRM o:1 REF x LATE ITEMS sku:2 1',
      'STOCK.RELEASE o:1 REASON ITEMS ID ITEMS items sku:2 1',
      'STOCK.RETURN o:1 NORESTOCK ITEMS sku:2 1',
      'STOCK.MGET sku:1 sku:2',
      'STOCK.GET sku:2',
      'STOCK.VERIFY sku:2',
    ]) {
      expect(ask(line), line).toBe(NO_KEY)
    }
    for (const line of [
      'STOCK.RESERVE o:1 ITEMS sku:1 1',
      'STOCK.RESERVE o:1 REF ITEMS ITEMS sku:1 1',
      'STOCK.MGET sku:1 sku:1',
      'STOCK.VERIFY',
      'STOCK.CONFIRM o:1',
    ]) {
      expect(ask(line), line).not.toMatch(/^-NOPERM/)
    }
  })

  it('reads and writes as the pattern of the key says', () => {
    const ask = worker('+@all %R~r* %W~w* ~b*')
    for (const line of [
      'GET r',
      'SET w x',
      'COPY r w',
      'SET b x GET',
      'EXISTS r',
      'EXISTS w',
      'STRLEN w',
      'DEL w',
      'LMOVE b w LEFT LEFT',
      'ZUNIONSTORE w 1 r',
      'SORT_RO r',
    ]) {
      expect(ask(line), line).not.toMatch(/^-NOPERM/)
    }
    for (const line of [
      'GET w',
      'SET r x',
      'COPY w r',
      'SET w x GET',
      'SET w x EX 5 GET',
      'GETDEL w',
      'INCR w',
      'RENAME r w',
      'ZUNIONSTORE w 2 r w',
      'EXISTS x',
      'MGET r x',
      'WATCH r x',
    ]) {
      expect(ask(line), line).toBe(NO_KEY)
    }
  })

  it('that is deleted or changed takes his connections along', () => {
    const client = stage.connect()
    root.ask('ACL SETUSER gone on nopass +@all ~*')
    client.ask('AUTH gone x')
    expect(root.ask('ACL DELUSER gone')).toBe(':1\r\n')
    expect(client.transport.state).toBe('destroyed')
  })

  it('of thousands of patterns is made in no time, and has each of them once', () => {
    const patterns = Array.from({ length: 60_000 }, (_, i) => `~key:${i}`)
    const began = performance.now()
    expect(stage.node.acl.setUser('many', [...patterns, ...patterns, '+get'], null)).toBe(null)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(stage.node.acl.user('many')!.describe(catalog).match(/~key:/g)).toHaveLength(60_000)
  })

  it('leaves no megabytes in ACL LOG by failing to log in with a name of that size', () => {
    root.ask('ACL LOG RESET')
    stage.connect().ask(`AUTH ${'n'.repeat(500_000)} x`)
    expect(root.ask('ACL LOG').length).toBeLessThan(10_000)
  })

  it('that is closed in the turn in which CLIENT PAUSE ends does not run what was put off', () => {
    root.ask('ACL SETUSER late on nopass +set allkeys')
    root.ask('SET k before')
    const late = stage.connect()
    late.ask('AUTH late x')
    root.ask('CLIENT PAUSE 100000 WRITE')
    expect(late.ask('SET k after')).toBe('')
    root.raw(`CLIENT KILL ID ${late.session.id}\r\nCLIENT UNPAUSE\r\n`)
    stage.pass(100)
    expect(root.ask('GET k')).toBe('$6\r\nbefore\r\n')
  })

  it('is known in CLIENT LIST, and RESET makes him the default user again', () => {
    const client = stage.connect()
    root.ask('ACL SETUSER known on nopass +@all ~* &*')
    client.ask('AUTH known x')
    expect(root.ask('CLIENT LIST')).toContain(' user=known ')
    client.ask('RESET')
    expect(client.ask('ACL WHOAMI')).toBe('$7\r\ndefault\r\n')
  })
})

describe('a node that other machines reach', () => {
  // An address that no machine has: what is not refused for the users fails there.
  const reached = { 'bind': ['192.0.2.1'], 'port': 1, 'protected-mode': true }
  const startOf = async (values: Partial<OptionValues>): Promise<string> =>
    new NodeStage({ ...reached, ...values }).node.start().then(
      () => 'started',
      (error: unknown) => (error as Error).message,
    )

  it.each<[string, Partial<OptionValues>, RegExp]>([
    ['does not start while anybody is the default user', {}, /lets other machines in and there is no password/],
    ['does not start because of other users alone', { user: ['alice on >x +@all ~*'] }, /lets other machines in/],
    ['starts with a password of the default user', { requirepass: 'x' }, /192\.0\.2\.1/],
    ['starts with the default user off', { user: ['default off', 'alice on >x +@all ~*'] }, /192\.0\.2\.1/],
    [
      'does not start when the user lines take the password away',
      { requirepass: 'x', user: ['default on nopass +@all'] },
      /lets other machines in/,
    ],
  ])('%s', async (_name, values, message) => {
    const said = await startOf(values)
    expect(said).toMatch(message)
    if (message.source.startsWith('192')) expect(said).not.toMatch(/lets other machines in/)
  })
})

describe('users that are kept', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'acl-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  const start = (values: Partial<OptionValues>): NodeStage => new NodeStage(values)
  const fileOf = (text: string): string => {
    const path = join(dir, 'users.acl')
    writeFileSync(path, text, 'latin1')
    return path
  }

  it('are read at the start, written by SAVE and read again by LOAD', () => {
    const aclfile = fileOf(
      '\n user alice on allcommands allkeys &* >alice\r\nuser bob on -@all +@set +acl ~set* >bob\n\nuser default on nopass ~* &* +@all\n',
    )
    const stage = start({ aclfile })
    const root = stage.connect()
    expect(root.ask('ACL USERS')).toBe('*3\r\n$5\r\nalice\r\n$3\r\nbob\r\n$7\r\ndefault\r\n')
    const bob = stage.connect()
    expect(bob.ask('AUTH bob bob')).toBe('+OK\r\n')
    expect(bob.ask('SADD set 1 2')).toBe(':2\r\n')
    expect(bob.ask('SET set x')).toMatch(/^-NOPERM/)
    root.ask('ACL SETUSER eve\xff on >eve +get allkeys')
    expect(root.ask('ACL SAVE')).toBe('+OK\r\n')
    expect(statSync(aclfile).mode & 0o777).toBe(0o644 & statSync(aclfile).mode)
    const saved = readFileSync(aclfile, 'latin1')
    expect(saved.split('\n').map((line) => line.split(' ')[1])).toEqual(['alice', 'bob', 'default', 'eve\xff', undefined])
    expect(root.ask('ACL LOAD')).toBe('+OK\r\n')
    expect(bob.transport.state).toBe('destroyed')
    expect(root.ask('ACL WHOAMI')).toBe('$7\r\ndefault\r\n')
    expect(start({ aclfile }).node.acl.lines()).toEqual(stage.node.acl.lines())
    // Who asks is answered first.
    const alice = stage.connect()
    alice.ask('AUTH alice alice')
    expect(alice.ask('ACL LOAD')).toBe('+OK\r\n')
    expect(alice.session.isClosing).toBe(true)
    expect(alice.ask('PING')).toBe('')
  })

  it('without a default user in the file leave the default user open', () => {
    const stage = start({ aclfile: fileOf('user alice on >x\n'), requirepass: 'secret' })
    expect(stage.connect().ask('PING')).toBe('+PONG\r\n')
  })

  it('are all refused when one line is wrong, and every mistake is named', () => {
    const good = 'user alice on >x\n'
    const aclfile = fileOf(good)
    const root = start({ aclfile }).connect()
    writeFileSync(aclfile, `${good}wat\nuser\nuser bob +nosuch +other ~a wat #1\nuser alice off\nuser a\tb on\n`)
    const reply = root.ask('ACL LOAD')
    for (const part of [
      `${aclfile}:2 should start with user keyword followed by the username. `,
      `${aclfile}:3 should start with user keyword`,
      `${aclfile}:4: Error in applying operation '+nosuch': ${UNKNOWN}. `,
      `'+other': ${UNKNOWN}. `,
      `${aclfile}:4: Syntax error. `,
      "WARNING: Duplicate user 'alice' found on line 5. ",
      'contains invalid characters. ',
      'WARNING: ACL errors detected, no change to the previously active ACL rules was performed',
    ]) {
      expect(reply).toContain(part)
    }
    expect(root.ask('ACL USERS')).toContain('alice')
    expect(() => start({ aclfile })).toThrow(/aclfile: .*Duplicate user 'alice'/)
    expect(() => start({ aclfile: join(dir, 'nosuch') })).toThrow(/opening file .*No such file or directory/)
  })

  it('stay as they were when SAVE cannot write', () => {
    const aclfile = fileOf('user alice on >x\n')
    const stage = start({ aclfile })
    rmSync(dir, { recursive: true })
    expect(stage.connect().ask('ACL SAVE')).toMatch(/^-ERR There was an error trying to save the ACLs/)
    expect(stage.env.said.join()).toContain('ACL SAVE failed')
    dir = mkdtempSync(join(tmpdir(), 'acl-'))
  })

  it.each(['+get|a b', '+get|a\nuser evil on nopass +@all', '(~x) +get)', '(&a) ~* +@all)'])(
    'that would be read again as others are not written: %j',
    (rule) => {
      const before = 'user alice on >x\n'
      const aclfile = fileOf(before)
      const { node, env } = start({ aclfile })
      expect(node.acl.setUser('bob', [rule], null)).toBe(null)
      expect(() => node.acl.save(aclfile)).toThrow(/user "bob" cannot be written/)
      expect(readFileSync(aclfile, 'latin1')).toBe(before)
      expect(() => node.acl.configLines({ password: '', file: '' })).toThrow(/user "bob" cannot be written/)
      expect(env.said).toEqual([])
    },
  )

  it.each(['"bob', "bo'b'x", 'bob\\x', '', 'bob\xff'])('nor into the option file, which has quotes and is UTF-8: user %j', (name) => {
    const aclfile = fileOf('')
    const { node } = start({ aclfile })
    expect(node.acl.setUser(name, ['on', '>x'], null)).toBe(null)
    node.acl.save(aclfile)
    expect(start({ aclfile }).node.acl.lines()).toEqual(node.acl.lines())
    if (name.includes('\\')) expect(node.acl.configLines({ password: '', file: '' })).toHaveLength(1)
    else expect(() => node.acl.configLines({ password: '', file: '' })).toThrow(/cannot be written/)
  })

  it('come from the option file too, but not from both', () => {
    const options = new Options()
    options.load(parseOptionFile('user alice on >x ~* +@all\nuser bob on "(~a +get)" nopass\nuser default off\n', 'stockd.conf'))
    const stage = new Node({ options, env: new FakeEnv(), specs: nodeCommands, openLog: null })
    expect(stage.acl.users.map((user) => user.name)).toEqual(['alice', 'bob', 'default'])
    expect(stage.acl.defaultUser.isOpen).toBe(false)
    expect(() => start({ user: ['alice on'], aclfile: fileOf('') })).toThrow(/both/)
    expect(() => start({ user: ['alice on', 'alice off'] })).toThrow(/Duplicate user found/)
    expect(() => start({ user: ['alice wat'] })).toThrow(/alice: .*Syntax error/)
  })

  it('are written into it by CONFIG REWRITE; CONFIG does not know them', () => {
    const options = new Options({ appendonly: false })
    const before = '# mine\nuser alice on nopass\nuser bob off\nhz 10\n'
    options.load(parseOptionFile(before, 'stockd.conf'))
    const node = new Node({ options, env: new FakeEnv(), specs: nodeCommands, openLog: null })
    node.acl.setUser('alice', ['~a', '+get'], null)
    node.acl.deleteUser('bob', null)
    const after = rewritten(before, options)
    expect(after).toContain('# mine\nuser alice on nopass ~a resetchannels -@all +get\nhz 10\n')
    expect(after).not.toMatch(/bob|user default/)
    node.acl.setUser('default', ['-flushall'], null)
    expect(rewritten(before, options)).toContain('user default on nopass ~* &* +@all -flushall\n')
    expect(options.text('user')).toBe(undefined)
    expect(options.change([{ name: 'user', value: 'x' }])?.reason).toMatch(/^Unknown option/)
  })
})
