// The commands about the connection and the server, well used and badly: their replies are redis-server's, byte for byte, in both
// protocols. What differs on purpose is at the end, with its reason, and is checked to differ still.

import { beforeAll, describe, expect, it } from 'vitest'
import { decodeReply } from '../support/raw-client.ts'
import type { RawClient, Value } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

/** One command a line or between bars; '...' is one word. */
const SAME = `
  HELLO | HELLO 2 | HELLO 3 | HELLO 4 | HELLO x | HELLO 3 AUTH | HELLO 3 AUTH default x | HELLO 3 AUTH nosuch x | HELLO 3 SETNAME | HELLO 3 SETNAME a
  HELLO 2 SETNAME 'a b' | HELLO 3 foo | HELLO 2
  PING | PING a | PING a b | ECHO | ECHO a | ECHO a b | AUTH | AUTH x | AUTH default x | AUTH nosuch x | AUTH a b c
  SELECT | SELECT a | SELECT 16 | SELECT -1 | SELECT 2147483648 | SELECT 9223372036854775808 | SELECT 15 | SELECT 0 1 | RESET x | RESET
  CLIENT | CLIENT NOSUCH | CLIENT ID x | CLIENT GETNAME | CLIENT SETNAME | CLIENT SETNAME foo | CLIENT GETNAME | CLIENT SETNAME 'a b'
  CLIENT SETNAME é | CLIENT SETNAME '' | CLIENT GETNAME | CLIENT INFO x | CLIENT LIST TYPE | CLIENT LIST TYPE foo | CLIENT LIST TYPE normal x
  CLIENT LIST TYPE pubsub | CLIENT LIST TYPE replica | CLIENT LIST ID | CLIENT LIST ID a | CLIENT LIST ID 99999 | CLIENT LIST foo
  CLIENT KILL | CLIENT KILL foo | CLIENT KILL 1.2.3.4:5 | CLIENT KILL ID | CLIENT KILL ID x | CLIENT KILL ID 0 | CLIENT KILL ID 99999
  CLIENT KILL TYPE foo | CLIENT KILL ADDR 1.2.3.4:5 | CLIENT KILL USER nosuch | CLIENT KILL SKIPME maybe | CLIENT KILL ADDR a SKIPME yes
  CLIENT KILL LADDR 1:1 | CLIENT KILL FOO x | CLIENT PAUSE | CLIENT PAUSE x | CLIENT PAUSE -1 | CLIENT PAUSE 1 foo | CLIENT PAUSE 0 | CLIENT PAUSE 1 WRITE
  CLIENT UNPAUSE | CLIENT UNPAUSE x | CLIENT NO-EVICT | CLIENT NO-EVICT foo | CLIENT NO-EVICT on | CLIENT NO-EVICT off
  CLIENT REPLY | CLIENT REPLY foo | CLIENT REPLY on | CLIENT TRACKING | CLIENT TRACKING off | CLIENT TRACKINGINFO | CLIENT GETREDIR | CLIENT UNBLOCK 999 | CLIENT UNBLOCK x
  COMMAND COUNT x | COMMAND NOSUCH | COMMAND INFO nosuch | COMMAND GETKEYS | COMMAND GETKEYS get | COMMAND GETKEYS get a | COMMAND GETKEYS nosuch a
  COMMAND GETKEYS ping | COMMAND GETKEYS mset a 1 b 2 | COMMAND GETKEYS copy a b | COMMAND GETKEYS del a b c | COMMAND GETKEYSANDFLAGS | COMMAND DOCS nosuch
  COMMAND LIST x | COMMAND LIST FILTERBY | COMMAND LIST FILTERBY foo x | COMMAND LIST FILTERBY pattern xyz* | COMMAND LIST FILTERBY module foo
  COMMAND LIST FILTERBY aclcat nosuch | COMMAND HELP
  CONFIG | CONFIG NOSUCH | CONFIG GET | CONFIG GET nosuch | CONFIG SET | CONFIG SET nosuch 1 | CONFIG SET maxmemory | CONFIG SET maxmemory x
  CONFIG SET maxmemory 100mb | CONFIG GET maxmemory | CONFIG SET maxmemory 0 maxmemory 1 | CONFIG SET maxmemory 0 | CONFIG SET timeout -1
  CONFIG SET timeout 10 nosuch 1 | CONFIG GET timeout | CONFIG SET appendfsync sometimes | CONFIG RESETSTAT | CONFIG RESETSTAT x | CONFIG REWRITE
  CONFIG HELP | CONFIG GET databases | CONFIG SET databases 3 | CONFIG SET maxclients x | CONFIG GET save | CONFIG GET appendonly | CONFIG GET proto-max-bulk-len
  DBSIZE | DBSIZE x | TIME x | LASTSAVE x | SHUTDOWN foo | SHUTDOWN abort | SHUTDOWN nosave save | BGREWRITEAOF x | BGSAVE foo | SAVE x
  WAIT | WAIT 0 0 | WAIT 1 1 | WAIT a b | WAIT 0 -1 | FLUSHDB foo | FLUSHALL foo | FLUSHALL SYNC x | SWAPDB | SWAPDB 0 | SWAPDB a b | SWAPDB 0 16 | SWAPDB 0 1
  DEBUG | DEBUG NOSUCH | DEBUG SLEEP | DEBUG SLEEP 0 | DEBUG HELP | DEBUG OBJECT nosuch
  MEMORY | MEMORY USAGE | MEMORY USAGE nosuch | MEMORY USAGE a SAMPLES | MEMORY USAGE a SAMPLES -1 | MEMORY USAGE a FOO 1 | MEMORY NOSUCH | MEMORY PURGE | MEMORY HELP
  OBJECT | OBJECT NOSUCH | OBJECT HELP | OBJECT ENCODING | OBJECT ENCODING nosuch | OBJECT ENCODING a b | OBJECT FREQ nosuch | OBJECT REFCOUNT nosuch | OBJECT IDLETIME nosuch
  SET i 12 | OBJECT ENCODING i | SETRANGE i 0 1 | OBJECT ENCODING i | INCR i | OBJECT ENCODING i | SET i 9223372036854775807 | OBJECT ENCODING i
  SET i 01 | OBJECT ENCODING i | SET i -5 | OBJECT ENCODING i | INCRBYFLOAT i 1.5 | OBJECT ENCODING i | GETSET i 5 | OBJECT ENCODING i | GETEX i EX 1000 | OBJECT ENCODING i
  SET e abc | OBJECT ENCODING e | APPEND e d | OBJECT ENCODING e | COPY e e2 | OBJECT ENCODING e2 | OBJECT FREQ e | OBJECT IDLETIME e | OBJECT REFCOUNT e
  SET r aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | OBJECT ENCODING r | SET r aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | OBJECT ENCODING r
  SLOWLOG | SLOWLOG NOSUCH | SLOWLOG GET x | SLOWLOG GET -2 | SLOWLOG GET 0 | SLOWLOG GET 1 2 | SLOWLOG LEN x | SLOWLOG RESET | SLOWLOG HELP
  LATENCY | LATENCY NOSUCH | LATENCY LATEST | LATENCY HISTORY | LATENCY HISTORY foo | LATENCY RESET | LATENCY RESET foo | LATENCY HELP | LATENCY DOCTOR x | LATENCY GRAPH foo
  LATENCY HISTOGRAM nosuch | INFO nosuch | ROLE x | REPLICAOF | REPLICAOF a | REPLICAOF NO ONE | CLUSTER INFO | CLUSTER NOSUCH | ACL | ACL WHOAMI | ACL NOSUCH
  QUIT x
`

/** Commands whose replies differ, and why. */
const DIFFERENT: readonly [command: string, reason: string][] = [
  ['CLIENT SETINFO lib-name x', 'Redis has it since 7.2; today every client library sends it when it connects.'],
  ['CLIENT NO-TOUCH on', 'Redis has it since 7.2.'],
  ['CLIENT HELP', 'It lists the two above.'],
  ['CLIENT TRACKING on', 'Client-side caching is not offered, and says so.'],
  ['WAITAOF 0 0 0', 'Redis has it since 7.2; it is how a client asks for durability.'],
  ['CONFIG GET *', 'Its options are the ones that stockd has.'],
  ['CONFIG SET port 1234', 'Where a node listens is not changed while it runs (SECURITY.md).'],
  ['CONFIG SET dir /tmp', 'Immutable, not merely protected: there is no option that unlocks it.'],
  ['COMMAND COUNT', 'There are fewer commands, and STOCK.* among them.'],
  ['MONITOR x', 'Not offered in this version.'],
  ['ACL USERS', 'One user, the default one, in this version.'],
  ['MODULE LIST', 'There are no modules.'],
  ['LPUSH', 'Strings are the only ordinary type in this version: lists, hashes, sets and streams are unknown commands.'],
  ['MEMORY DOCTOR', 'Advice about another allocator.'],
  ['LOLWUT', 'Its art is its own.'],
]

const words = (line: string): string[] => [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2])
const commandsOf = (text: string): string[][] =>
  text
    .split(/[|\n]/)
    .map(words)
    .filter((command) => command.length > 0)

/** The reply as text; HELLO tells the connection's number, which is the server's own count. */
async function ask(client: RawClient, command: readonly string[]): Promise<string> {
  const reply = (await client.command(...command)).toString('latin1')
  return command[0] === 'HELLO' ? reply.replace(/(\$2\r\nid\r\n:)\d+/, '$1N') : reply
}

describe.skipIf(!HAS_REDIS)('the surface', () => {
  let redis: Server
  let stockd: Server
  beforeAll(async () => {
    redis = await startRedis()
    stockd = process.env.COMPAT_SELF === '1' ? await startRedis() : await startNode({ args: ['--appendonly', 'no'] })
  })

  for (const protocol of ['2', '3']) {
    it(`answers as redis-server, RESP${protocol}`, async () => {
      await using theirs = await redis.connect()
      await using ours = await stockd.connect()
      const switchProtocol = async (): Promise<void> => {
        for (const client of [theirs, ours]) await client.command('HELLO', protocol)
      }
      await switchProtocol()
      const wrong: string[] = []
      for (const command of commandsOf(SAME)) {
        const [expected, got] = await Promise.all([ask(theirs, command), ask(ours, command)])
        if (expected !== got)
          wrong.push(
            `${command.join(' ')}\n  redis:  ${JSON.stringify(expected.slice(0, 600))}\n  stockd: ${JSON.stringify(got.slice(0, 600))}`,
          )
        if (/^(HELLO|RESET)$/.test(command[0])) await switchProtocol()
      }
      expect(wrong.length, wrong.join('\n')).toBe(0)
    })
  }

  it('differs only where the list says so', async () => {
    await using theirs = await redis.connect()
    await using ours = await stockd.connect()
    for (const [line] of DIFFERENT) {
      // Redis would really move to another port.
      const expected = line.startsWith('CONFIG SET port') ? '+OK\r\n' : await ask(theirs, words(line))
      expect(await ask(ours, words(line)), line).not.toBe(expected)
    }
  })

  it('describes every command that both have alike: arity, flags, key positions, categories', async () => {
    await using theirs = await redis.connect()
    await using ours = await stockd.connect()
    const names = (await ours.call('COMMAND', 'LIST')) as string[]
    expect(names.length).toBeGreaterThan(80)
    // FCALL and FUNCTION are not about Lua here, but about STOCK.* under another name.
    for (const name of names.filter((each) => !/^(fcall|function)/.test(each))) {
      const [expected, got] = await Promise.all([describeCommand(theirs, name), describeCommand(ours, name)])
      if (expected !== null) expect(got, name).toEqual(expected)
    }
  })

  it('names in CLIENT LIST what redis-server names, in its order', async () => {
    const fields = async (server: Server): Promise<string[]> => {
      await using client = await server.connect()
      const list = String(await client.call('CLIENT', 'LIST'))
      return list
        .split('\n')[0]
        .split(' ')
        .map((field) => field.split('=')[0])
    }
    // The last two are what CLIENT SETINFO tells (7.2).
    expect(await fields(stockd)).toEqual([...(await fields(redis)), 'lib-name', 'lib-ver'])
  })
})

/** Name, arity, flags, first key, last key, step, categories; null: unknown. */
async function describeCommand(client: RawClient, name: string): Promise<Value[] | null> {
  const [info] = decodeReply(await client.command('COMMAND', 'INFO', name)) as Value[]
  return info === null ? null : (info as Value[]).slice(0, 7)
}
