// stock:events beside a stream of a redis-server that has the same ids and fields: every reply and every error byte for byte.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { nodeCommands } from '../../src/cli/commands.ts'
import { SystemEnv } from '../../src/server/env.ts'
import { Node } from '../../src/server/node.ts'
import { Options } from '../../src/server/options.ts'
import { splitWords } from '../../src/server/options/file.ts'
import { eventually } from '../support/eventually.ts'
import { FakeFeed } from '../support/fake-feed.ts'
import type { RawClient } from '../support/raw-client.ts'
import { RawClient as Client } from '../support/raw-client.ts'
import { HAS_REDIS, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

const SEED = Number(process.env.SEED ?? Date.now() & 0xffffff)
const KEY = 'stock:events'
const MAX = '18446744073709551615'

/** A node in this process: its socket is real, its events are the test's. */
async function startWithFeed(feed: FakeFeed | null): Promise<Node> {
  const options = new Options({ port: 0, appendonly: false })
  const node = new Node({ options, env: new SystemEnv(() => {}), specs: nodeCommands, openLog: null })
  node.feed = feed
  await node.start()
  return node
}

const stopNow = { nosave: true, force: true, now: true }

/** Ids ascend; several entries of one millisecond are common. */
function filled(random: Random, entries: number): FakeFeed {
  const feed = new FakeFeed()
  let ms = 1000
  let lsn = 0
  for (let i = 0; i < entries; i++) {
    if (random.chance(0.4)) ms += random.between(1, 50)
    lsn += random.between(1, 3)
    feed.put(ms, lsn, 'order.reserved', 'x'.repeat(random.below(40)))
  }
  return feed
}

async function copyTo(redis: RawClient, feed: FakeFeed): Promise<void> {
  await redis.command('DEL', KEY)
  await redis.command('XGROUP', 'CREATE', KEY, 'g', '0', 'MKSTREAM')
  await redis.command('XGROUP', 'DESTROY', KEY, 'g')
  await redis.pipeline(
    feed.entries.map(({ ms, lsn, event }) => {
      const fields = ['type', event.type, 'part', event.part, 'pseq', event.pseq, 'event', event.body]
      return ['XADD', KEY, `${ms}-${lsn}`, ...fields]
    }),
  )
}

/** How many nodes the radix tree has is redis-server's own affair. */
const withoutTree = (reply: Buffer): string => reply.toString('latin1').replaceAll(/(radix-tree-(?:keys|nodes)\r\n):\d+/g, '$1:N')

const CONVERSATIONS: Readonly<Record<string, string>> = {
  'ids, whole, halved and wrong': `
    xrange ${KEY} - + count 3 | xrange ${KEY} 1000 1000 | xrange ${KEY} 0 ${MAX} count 2 | xrange ${KEY} 0-0 ${MAX}-${MAX} count 2 | xrange ${KEY} + -
    xrange ${KEY} - - | xrange ${KEY} + + | xrange ${KEY} a + | xrange ${KEY} - b | xrange ${KEY} "" + | xrange ${KEY} 1- + | xrange ${KEY} -1 +
    xrange ${KEY} 1-1-1 + | xrange ${KEY} 1-* + | xrange ${KEY} * + | xrange ${KEY} $ + | xrange ${KEY} 18446744073709551616 + | xrange ${KEY} 99999999999999999999 +
    xrange ${KEY} (- + | xrange ${KEY} - (+ | xrange ${KEY} ( + | xrange ${KEY} (1 + count 1 | xrange ${KEY} (1000 + count 1 | xrange ${KEY} - (1000
    xrange ${KEY} (${MAX}-${MAX} + | xrange ${KEY} - (0-0 | xrange ${KEY} - (0 | xrange ${KEY} (0-${MAX} (1-0 | xrange ${KEY} ((1 + | xrange ${KEY} ${MAX} + count 1
    xrange ${KEY} " 1" + count 1 | xrange ${KEY} +1 + count 1 | xrange ${KEY} 01 + count 1 | xrange ${KEY} 0x1 + | xrange ${KEY} 1.5 + | xrange ${KEY} 1-+1 + count 1
    xrange ${KEY} 1--1 + | xrange ${KEY} "1- 1" + count 1 | xrange ${KEY} 1-01 + count 1 | xrange ${KEY} "1-- 1" + | xrange ${KEY} 1--01 + count 1 | xrange ${KEY} 1--0 + count 1
    xrange ${KEY} "1 " + | xrange ${KEY} "1\\x00abc" + count 1 | xrange ${KEY} "-\\x00" + count 1 | xrange ${KEY} ${'0'.repeat(126)}1 + count 1 | xrange ${KEY} ${'0'.repeat(127)}1 +
    xrange ${KEY} (${'0'.repeat(126)}1 + count 1 | xrange ${KEY} 9007199254740993 + | xrange ${KEY} - 9007199254740993 count 1 | xrange ${KEY} 0-9007199254740993 + count 1`,
  'counts': `
    xrange ${KEY} - + count 0 | xrange ${KEY} - + count -1 | xrange ${KEY} - + count abc | xrange ${KEY} - + count 1.5 | xrange ${KEY} - + count | xrange ${KEY} - + limit 5
    xrange ${KEY} - + count 1 count 2 | xrange ${KEY} - + count 99999999999999999999 | xrange ${KEY} - + COUNT 9223372036854775807 | xrange ${KEY} - + count 1 foo
    xrange ${KEY} - + count -9223372036854775808 | xrevrange ${KEY} + - count 2 | xrevrange ${KEY} - + | xrevrange ${KEY} + - count 0 | xrevrange ${KEY} (1050 (1000 count 2
    xrevrange ${KEY} b - | xrevrange ${KEY} + a | xrevrange ${KEY} (0 - | xrevrange ${KEY} + (${MAX}-${MAX} | xrevrange ${KEY} 1010 1000 | xrevrange ${KEY} - - | xrevrange ${KEY} + +`,
  'XREAD': `
    xread streams ${KEY} 0 | xread count 2 streams ${KEY} 0 | xread count 0 streams ${KEY} 1020 | xread count -5 streams ${KEY} 1020 | xread COUNT 1 STREAMS ${KEY} 0-0
    xread streams ${KEY} $ | xread streams ${KEY} ${MAX}-${MAX} | xread streams ${KEY} ${MAX} | xread streams ${KEY} + | xread streams ${KEY} - | xread streams ${KEY} >
    xread streams ${KEY} (5 | xread streams ${KEY} abc | xread streams ${KEY} "" | xread streams ${KEY} 1-1-1 | xread streams ${KEY} | xread streams ${KEY} ${KEY} 0
    xread streams ${KEY} ${KEY} 0 1050 | xread count 1 streams ${KEY} ${KEY} ${KEY} 0 $ 1010 | xread streams nothing ${KEY} 0 1050 | xread streams nothing 0 | xread streams nothing $
    xread streams nothing abc | xread streams text 0 | xread streams ${KEY} text 0 0 | xread streams ${KEY} text abc 0 | xread streams text ${KEY} abc 0 | xread streams nothing text $ abc
    xread count abc streams ${KEY} 0 | xread count | xread count 1 | xread count streams ${KEY} 0 | xread block | xread block 1 | xread foo streams ${KEY} 0 | xread streams streams 0
    xread group a b streams ${KEY} 0 | xread group a streams ${KEY} 0 | xread noack streams ${KEY} 0 | xread count 1 count 2 streams ${KEY} 0 | xread block abc streams ${KEY} 0
    xread block -1 streams ${KEY} 0 | xread block 1.5 streams ${KEY} 0 | xread block 9223372036854775807 streams ${KEY} 0 | xread block 99999999999999999999 streams ${KEY} 0
    xread block 0 count 1 streams ${KEY} 0 | xread block 1 streams ${KEY} $ | xread block 1 streams nothing 0 | xread block 1 streams nothing nothing 0 0 | xread block 1 streams text 0
    xread block 1 streams ${KEY} nothing $ $ | xread block 1 streams ${KEY} ${KEY} $ 1050 | xread block 1 streams ${KEY} ${MAX}-${MAX} | xread | xread streams | xread a b c`,
  'XLEN, XINFO and keys of other types': `
    xlen ${KEY} | xlen nothing | xlen text | xlen | xlen a b | xrange nothing - + | xrange nothing a + | xrange text - + | xrange text - + count 0 | xrange nothing - + count 0
    xrange nothing - + count x | xrevrange nothing + - | xrevrange text + - | xrange ${KEY} | xrange ${KEY} - | xinfo | xinfo help | xinfo help x | xinfo foo | xinfo foo ${KEY}
    xinfo stream | xinfo stream nothing | xinfo stream text | xinfo stream ${KEY} | xinfo stream ${KEY} foo | xinfo stream ${KEY} full | xinfo stream ${KEY} full count
    xinfo stream ${KEY} full count 2 | xinfo stream ${KEY} full count -1 | xinfo stream ${KEY} full count 0 | xinfo stream ${KEY} full count x | xinfo stream ${KEY} full foo 1
    xinfo stream ${KEY} full count 1 x | xinfo stream nothing full foo | xinfo STREAM ${KEY} FULL COUNT 1 | xinfo groups ${KEY} | xinfo groups nothing | xinfo groups text | xinfo groups
    xinfo groups ${KEY} x | xinfo consumers ${KEY} g | xinfo consumers nothing g | xinfo consumers text g | xinfo consumers ${KEY}`,
  'the key among other commands': `
    type ${KEY} | exists ${KEY} | exists ${KEY} ${KEY} nothing text | touch ${KEY} | ttl ${KEY} | pttl ${KEY} | expiretime ${KEY} | pexpiretime ${KEY} | object encoding ${KEY}
    object refcount ${KEY} | object freq ${KEY} | get ${KEY} | strlen ${KEY} | getrange ${KEY} 0 1 | mget text ${KEY} nothing | lcs text ${KEY} | object idletime nothing
    scan 0 type stream | scan 0 type stream match s* | scan 0 type stream match x* | scan 0 type STREAM count 1000`,
  'other databases': `select 1 | xlen ${KEY} | xread streams ${KEY} 0 | xrange ${KEY} - + | type ${KEY} | exists ${KEY} | xinfo stream ${KEY} | set ${KEY} x | xlen ${KEY} | del ${KEY} | select 0`,
  'COMMAND GETKEYS': `
    command getkeys xread streams a 0 | command getkeys xread count 5 streams a b 0 0 | command getkeys xread count 5 foo | command getkeys xread count streams a 0
    command getkeys xread block 5 streams a b | command getkeys xread streams streams 0 | command getkeys xread count streams streams a 0 | command getkeys xread a b streams
    command getkeys xread streams a b 0 | command getkeys xread foo streams a b c 0 0 | command getkeys xreadgroup group streams c streams a > | command getkeys xreadgroup group g c streams a b > >
    command getkeys xadd a * b c | command getkeys xinfo stream k | command getkeys xgroup create k g 0 | command getkeys xrange a - + | command getkeysandflags xread streams a b 0 0
    command getkeys xread streams a | command getkeys xread`,
  'names in any case, arity': `
    XrAnGe ${KEY} - + CoUnT 1 | xread Streams ${KEY} 1050 | xrange a b | xrevrange a | xread a b | xadd ${KEY} * a | xadd | xdel ${KEY} | xtrim ${KEY} maxlen | xsetid ${KEY}
    xreadgroup group g c streams ${KEY} | xack ${KEY} g | xclaim ${KEY} g c 0 | xautoclaim ${KEY} g c 0 | xpending ${KEY} | xgroup | xgroup foo | xgroup create ${KEY} g
    xgroup destroy ${KEY} | xgroup setid ${KEY} g | xgroup createconsumer ${KEY} g | xgroup delconsumer ${KEY} g`,
}

describe.skipIf(!HAS_REDIS)('stock:events beside a stream of redis-server', () => {
  let redis: Server
  let node: Node
  const random = new Random(SEED)
  const feed = filled(random, 120)

  beforeAll(async () => {
    redis = await startRedis()
    node = await startWithFeed(feed)
    await using theirs = await redis.connect()
    await copyTo(theirs, feed)
    await using ours = await Client.connect(node.port)
    for (const client of [theirs, ours]) await client.command('SET', 'text', 'value')
  })
  afterAll(async () => {
    await node.stop(stopNow)
    await redis.kill9()
  })

  async function pair(protocol: number): Promise<{ theirs: RawClient; ours: RawClient } & AsyncDisposable> {
    const theirs = await redis.connect()
    const ours = await Client.connect(node.port)
    if (protocol === 3) await Promise.all([theirs.command('HELLO', '3'), ours.command('HELLO', '3')])
    return {
      theirs,
      ours,
      [Symbol.asyncDispose]: async () => {
        await theirs.close()
        await ours.close()
      },
    }
  }

  describe.each([2, 3])('in RESP%i', (protocol) => {
    it.each(Object.keys(CONVERSATIONS))('answers alike: %s', async (name) => {
      await using both = await pair(protocol)
      const commands = CONVERSATIONS[name].split(/\s\|\s|\n/).filter((line) => line.trim() !== '')
      for (const command of commands) {
        const words = splitWords(command)!
        const [theirs, ours] = await Promise.all([both.theirs.command(...words), both.ours.command(...words)])
        expect(`${command}: ${withoutTree(ours)}`, `SEED=${SEED}`).toBe(`${command}: ${withoutTree(theirs)}`)
      }
    })

    it('answers alike: random ranges, ids and options', async () => {
      await using both = await pair(protocol)
      for (let round = 0; round < 40; round++) {
        const batch = Array.from({ length: 50 }, () => randomRead(random, feed))
        const [theirs, ours] = await Promise.all([both.theirs.pipeline(batch), both.ours.pipeline(batch)])
        batch.forEach((command, i) => {
          expect(`${command.join(' ')}: ${withoutTree(ours[i])}`, `SEED=${SEED}`).toBe(`${command.join(' ')}: ${withoutTree(theirs[i])}`)
        })
      }
    })

    it('answers alike: who blocks gets what comes, once', async () => {
      const empty = new FakeFeed()
      const blocked = await startWithFeed(empty)
      await using theirs = await redis.connect()
      await using writer = await redis.connect()
      await using ours = await Client.connect(blocked.port)
      for (const client of [theirs, ours]) if (protocol === 3) await client.command('HELLO', '3')
      for (const client of [theirs, writer]) await client.command('SELECT', '1')
      await copyTo(writer, empty)
      try {
        const asks = [
          ['XREAD', 'BLOCK', '0', 'STREAMS', KEY, '$'],
          ['XREAD', 'BLOCK', '5000', 'COUNT', '1', 'STREAMS', 'nothing', KEY, '0', '$'],
          ['XREAD', 'BLOCK', '0', 'STREAMS', KEY, KEY, '$', '2000-12'],
        ]
        let lsn = 10
        for (const ask of asks) {
          const both = Promise.all([theirs.command(...ask), ours.command(...ask)])
          lsn++
          await eventually('both have blocked their client', async () => blocked.turn.parked.size > 0 && (await hasBlocked(writer, theirs)))
          await writer.command('XADD', KEY, `2000-${lsn}`, ...fieldsOf(lsn))
          empty.add(2000, lsn)
          const [one, two] = await both
          expect(two.toString('latin1')).toBe(one.toString('latin1'))
        }
      } finally {
        await writer.command('FLUSHDB')
        await blocked.stop(stopNow)
      }
    })
  })

  it('an empty stream and a node without a log', async () => {
    const none = await startWithFeed(null)
    const empty = await startWithFeed(new FakeFeed())
    await using theirs = await redis.connect()
    await using ours = await Client.connect(empty.port)
    await using missing = await Client.connect(none.port)
    await theirs.command('SELECT', '1')
    try {
      const asks = `
        xlen ${KEY} | xrange ${KEY} - + | xrevrange ${KEY} + - | xread streams ${KEY} 0 | xread streams ${KEY} $ | xread block 1 streams ${KEY} $ | xinfo stream ${KEY}
        xinfo stream ${KEY} full | xinfo groups ${KEY} | type ${KEY} | exists ${KEY}`
      for (const filledWith of [new FakeFeed(), null]) {
        if (filledWith === null) await theirs.command('DEL', KEY)
        else await copyTo(theirs, filledWith)
        for (const command of asks.split(/\s\|\s|\n/).filter((line) => line.trim() !== '')) {
          const words = splitWords(command)!
          const [one, two] = await Promise.all([theirs.command(...words), (filledWith === null ? missing : ours).command(...words)])
          expect(`${command}: ${two.toString('latin1')}`).toBe(`${command}: ${one.toString('latin1')}`)
        }
      }
    } finally {
      await theirs.command('FLUSHDB')
      await none.stop(stopNow)
      await empty.stop(stopNow)
    }
  })
})

function fieldsOf(lsn: number): string[] {
  return ['type', 'order.reserved', 'part', String(lsn % 16), 'pseq', String(Math.floor(lsn / 16) + 1), 'event', `{"lsn":${lsn}}`]
}

/** The command that this client has sent last waits. */
async function hasBlocked(admin: RawClient, client: RawClient): Promise<boolean> {
  const list = (await admin.command('CLIENT', 'LIST')).toString('latin1')
  const line = list.split('\n').find((one) => one.includes(`addr=127.0.0.1:${client.socket.localPort} `))
  return line !== undefined && / flags=b /.test(line)
}

function randomRead(random: Random, feed: FakeFeed): string[] {
  const entry = () => random.pick(feed.entries)
  const id = (): string =>
    random.pick([
      () => '0',
      () => `${entry().ms}`,
      () => `${entry().ms}-${entry().lsn}`,
      () => {
        const { ms, lsn } = entry()
        return `${ms}-${lsn}`
      },
      () => `${entry().ms}-${MAX}`,
      () => `${random.between(900, 4000)}-${random.below(300)}`,
      () => MAX,
    ])()
  const bound = (): string => random.pick([() => '-', () => '+', () => `(${id()}`, id, id, id])()
  const count = (): string[] => (random.chance(0.5) ? ['COUNT', String(random.pick([-1, 0, 1, 2, 5, 50, 1000]))] : [])
  const key = (): string => random.pick([KEY, KEY, KEY, KEY, 'nothing', 'text'])
  return random.pick([
    () => ['XRANGE', key(), bound(), bound(), ...count()],
    () => ['XREVRANGE', key(), bound(), bound(), ...count()],
    () => {
      const keys = Array.from({ length: random.between(1, 4) }, key)
      const ids = keys.map(() => (random.chance(0.2) ? '$' : id()))
      return ['XREAD', ...count(), ...(random.chance(0.2) ? ['BLOCK', '1'] : []), 'STREAMS', ...keys, ...ids]
    },
    () => ['XLEN', key()],
    () => ['XINFO', 'STREAM', key(), ...(random.chance(0.6) ? ['FULL', ...count()] : [])],
  ])()
}
