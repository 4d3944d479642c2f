// The commands about the node and its clients, compared with redis-server: their replies and errors byte for byte, and what COMMAND tells
// of every command that both have.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { decodeReply } from '../support/raw-client.ts'
import type { RawClient, Value } from '../support/raw-client.ts'
import { splitWords } from '../../src/server/options/file.ts'

/** One conversation each: on a new connection, in RESP2 and again in RESP3. */
const CONVERSATIONS: Readonly<Record<string, string>> = {
  'PING, ECHO and SELECT': `
    ping | ping a | ping a b | PiNg hello | echo | echo a b | echo x | echo ""
    select 3 | select 15 | select 16 | select -1 | select abc | select 99999999999 | select 99999999999999999999 | select 01 | select "" | select 0`,
  'HELLO, AUTH and RESET': `
    hello 4 | hello abc | hello 1 | hello 2 auth | hello 3 setname | hello 3 setname "a b" | hello 3 foo bar | hello 3 auth default x setname
    auth | auth a b c | auth foo | auth default foo | auth bob foo | acl whoami | client setname x | select 4 | reset | client getname
    hello 3 AUTH default x SETNAME cli | client getname | hello 2 AUTH bob x | hello 3 AUTH bob x SETNAME y`,
  'names and states of a connection': `
    client getname | client setname foo | client getname | client setname "a b" | client setname "a\\nb" | client setname "" | client getname
    client trackinginfo | client getredir | client caching yes | client tracking off | client tracking foo | client unblock 9999
    client no-evict on | client no-evict foo | client no-evict off | client reply foo | client reply on | client id x | client | client foo`,
  'CLIENT KILL, LIST, PAUSE and UNBLOCK': `
    client kill | client kill 1.2.3.4:5 | client kill id | client kill id abc | client kill id 0 | client kill id 99999 | client kill id 1 foo
    client kill type foo | client kill type pubsub | client kill user foo | client kill user default id 99999 | client kill skipme foo
    client kill skipme yes type normal id 999999 | client kill laddr 1.2.3.4:5 | client kill foo bar
    client list type foo | client list type pubsub | client list type replica | client list foo | client list id abc | client list id 99999
    client pause | client pause abc | client pause -1 | client pause 1 foo | client pause 1 all x | client pause 0 write | client unpause
    client unblock | client unblock abc | client unblock 9999 foo | client unblock 9999 error | client unblock 9999 timeout`,
  'COMMAND': `
    command foo | command count x | command list filterby module x | command list filterby foo x | command list foo | command help
    command list filterby pattern ping | command list filterby pattern PIN? | command list filterby pattern
    command getkeys | command getkeys foo bar | command getkeys ping a | command getkeys set | command getkeys set a b | command getkeys info x
    command getkeys mset a b c d | command getkeys mset a | command getkeys memory usage x | command getkeys copy a b
    command info foo | command info client|id | command info client|foo | command info foo|bar get2 | command docs foo
    command info echo select auth`,
  'CONFIG': `
    config get | config get nothing | config set | config set a | config set a b c | config set foo 1 | config foo | config help
    config set slowlog-max-len abc | config set appendfsync foo | config set timeout 5 timeout 6 | config set timeout 5 foo 6 | config get timeout
    config set timeout 7 hz 20 | config get timeout | config get hz | config set timeout 8 hz x | config get timeout | config get hz | config set timeout 0 hz 10
    config set TIMEOUT 0 | config get TimeOut | config get timeou? | config get hz HZ | config get [t]imeout | config rewrite
    config resetstat | config resetstat x | config set maxmemory 1x | config set maxmemory 1mb | config get maxmemory | config set maxmemory 0
    config get save appendonly2 | config set save "" | config set tcp-keepalive -1 | config set protected-mode maybe | config set hz abc
    config set loglevel foo | config set client-output-buffer-limit "normal 1" | config set client-output-buffer-limit "foo 1 2 3"
    config set client-output-buffer-limit "normal a 2 3" | config set latency-tracking-info-percentiles "50 200"
    config set latency-tracking-info-percentiles "50 99 99.9" | config get latency-tracking-info-percentiles | config set databases 3 | config get databases`,
  'the node as a whole': `
    time x | lastsave x | bgsave x | shutdown foo | shutdown save nosave | shutdown abort now | shutdown abort | role x | replicaof no one | slaveof no one
    wait | wait abc 1 | wait 1 abc | wait 1 -1 | wait 0 0 | wait 0 10 | wait 1 1 | wait 1 99999999999999999999 | info nothing | info nothing at
    cluster info | cluster keyslot foo | cluster keyslot | cluster slots | cluster shards | cluster nodes | cluster help | cluster foo | cluster`,
  'SLOWLOG, LATENCY and MEMORY': `
    slowlog | slowlog foo | slowlog get abc | slowlog get -2 | slowlog get 1 2 | slowlog help | slowlog len x
    config set slowlog-log-slower-than -1 | slowlog reset | slowlog len | slowlog get | slowlog get -1 | config set slowlog-log-slower-than 10000
    latency latest | latency history command | latency reset | latency reset a b | latency graph foo | latency histogram foo | latency help | latency foo
    memory foo | memory doctor x | memory purge | memory stats x | memory`,
  'DEBUG': `
    debug | debug foo | debug sleep | debug sleep 0 | debug sleep abc | debug error "FOO bar" | debug error "ERR a\\r\\nb" | debug set-active-expire 1
    debug protocol string | debug protocol integer | debug protocol map | debug protocol set | debug protocol array | debug protocol attrib
    debug protocol double | debug protocol bignum | debug protocol null | debug protocol verbatim | debug protocol true | debug protocol false
    debug protocol push | debug protocol foo | debug object nothing`,
  'OBJECT and the encodings of strings': `
    object | object foo | object help | object encoding | object encoding nothing | object encoding a b | object freq nothing | object refcount nothing
    object idletime nothing | memory usage | memory usage nothing | memory usage a samples | memory usage a samples -1 | memory usage a foo 1
    set i 12 | object encoding i | setrange i 0 1 | object encoding i | incr i | object encoding i | set i 9223372036854775807 | object encoding i
    set i 01 | object encoding i | set i -5 | object encoding i | incrbyfloat i 1.5 | object encoding i | getset i 5 | object encoding i
    getex i ex 1000 | object encoding i | rename i j | object encoding j | object refcount j
    set e abc | object encoding e | append e d | object encoding e | copy e e2 | object encoding e2 | object freq e | object refcount e
    set r ${'a'.repeat(44)} | object encoding r | set r ${'a'.repeat(45)} | object encoding r | object refcount r | del j e e2 r`,
  'databases': `
    dbsize x | flushdb foo | flushall foo | flushall sync x | swapdb | swapdb 0 | swapdb a b | swapdb 0 b | swapdb 0 16 | swapdb -1 0 | swapdb 0 1 | swapdb 1 1
    bgrewriteaof x | save x | flushdb async | flushall sync | flushall | dbsize`,
  'replies that are not wanted': 'ping | foo bar baz | quit',
}

/** Conversations have the client's id in them. */
const normalized = (reply: Buffer): string => reply.toString('latin1').replace(/(\$2\r\nid\r\n):\d+/, '$1:N')

/** What COMMAND INFO says differently, on purpose. */
const INFO_DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['fcall', 'calls commands of stock and nothing else, so it is flagged as the writer that it is'],
  ['fcall_ro', 'has no flag no_mandatory_keys'],
  ['function', 'there are no libraries: nothing to protect'],
  ['function|flush', 'there are no libraries: it changes nothing'],
])

const OUR_CATEGORIES: ReadonlySet<string> = new Set(['@stock', '@order', '@cluster', '@outbox'])

interface Told {
  readonly arity: number
  readonly flags: string
  readonly keys: string
  readonly categories: string
}

/** COMMAND INFO of every command and subcommand that the server has. */
async function allCommands(client: RawClient): Promise<Map<string, Told>> {
  const found = new Map<string, Told>()
  const add = (info: Value): void => {
    const [name, arity, flags, first, last, step, categories, , , subcommands] = info as Value[]
    const sorted = (list: Value): string => [...(list as string[])].sort().join(' ')
    found.set(name as string, {
      arity: arity as number,
      flags: sorted(flags),
      keys: `${String(first)} ${String(last)} ${String(step)}`,
      categories: sorted((categories as string[]).filter((category) => !OUR_CATEGORIES.has(category))),
    })
    for (const subcommand of subcommands as Value[]) add(subcommand)
  }
  for (const info of decodeReply(await client.command('COMMAND')) as Value[]) add(info)
  return found
}

describe.skipIf(!HAS_REDIS)('commands beside redis-server', () => {
  let redis: Server
  let stockd: Server

  beforeAll(async () => {
    redis = await startRedis({ args: ['--enable-debug-command', 'yes'] })
    stockd = await startNode({ args: ['--enable-debug-command', 'yes', '--appendonly', 'no'] })
  })
  afterAll(async () => {
    await redis.kill9()
    await stockd.kill9()
  })

  describe.each([2, 3])('in RESP%i', (protocol) => {
    it.each(Object.keys(CONVERSATIONS))('answers alike: %s', async (name) => {
      await using one = await redis.connect()
      await using other = await stockd.connect()
      if (protocol === 3) await Promise.all([one.command('HELLO', '3'), other.command('HELLO', '3')])
      const commands = CONVERSATIONS[name].split(/\s\|\s|\n/).filter((line) => line.trim() !== '')
      for (const command of commands) {
        const words = splitWords(command)!
        const [theirs, ours] = await Promise.all([one.command(...words), other.command(...words)])
        expect(`${command}: ${normalized(ours)}`).toBe(`${command}: ${normalized(theirs)}`)
      }
    })
  })

  it('COMMAND INFO tells of every common command what redis-server tells', async () => {
    await using one = await redis.connect()
    await using other = await stockd.connect()
    const [theirs, ours] = [await allCommands(one), await allCommands(other)]
    const common = [...ours.keys()].filter((name) => theirs.has(name) && !INFO_DIFFERENCES.has(name))
    expect(common.length).toBeGreaterThan(100)
    expect(new Map(common.map((name) => [name, ours.get(name)]))).toEqual(new Map(common.map((name) => [name, theirs.get(name)])))
  })
})
