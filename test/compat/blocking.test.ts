// Commands that wait, told to redis-server and to a node: several clients, each with the same replies, byte for byte and in the same order,
// the same keyspace notifications, and the same lists and sorted sets afterwards; also after the node was killed and has read its log.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually } from '../support/eventually.ts'
import { decodeReply, encodeRequest } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))

/** `client: command | command ...`, a line after the other; ID of a client: {name}. Several commands in a line go in one write. */
const STORIES: Readonly<Record<string, string>> = {
  'who waits longest is served first': `
    a: BLPOP l 0
    b: BRPOP l 0
    c: BLPOP l 0
    d: RPUSH l 1 2
    d: LRANGE l 0 -1
    d: RPUSH l 3 4 5
    d: LRANGE l 0 -1`,
  'what is there is taken at once, from the first key that has some': `
    d: RPUSH m 1 2 3
    a: BLPOP l m n 0 | BRPOP l m 0 | BLMPOP 0 2 l m LEFT COUNT 10 | EXISTS m
    a: BLMOVE l m LEFT LEFT 0.01 | BLPOP l 0.001 | BLMPOP 0.01 1 l RIGHT | BRPOPLPUSH l m 0.01`,
  'several keys': `
    a: BLPOP l m n 0
    b: BLPOP n m l 0
    d: RPUSH n 1 | RPUSH m 2 | RPUSH l 3
    d: LRANGE l 0 -1 | EXISTS m n`,
  'what goes before its command ends is not seen': `
    a: BLPOP l 0
    d: RPUSH l 1 | LLEN l | RPUSH l 2 | LPOP l
    a: BLPOP l l 0
    d: SET l x | DEL l | SADD l x | DEL l | RPUSH l 3`,
  'moves feed those who wait for what was moved': `
    a: BLMOVE one two LEFT RIGHT 0
    b: BLMOVE two three RIGHT LEFT 0
    c: BLPOP three 0
    d: RPUSH one x
    d: EXISTS one two three
    a: BRPOPLPUSH one one 0
    b: BLPOP one 0
    d: RPUSH one y`,
  'a target of another type': `
    d: SET two x
    a: BLMOVE one two LEFT LEFT 0
    b: BLPOP one 0
    d: RPUSH one 1 2
    d: LRANGE one 0 -1 | BLMOVE one two LEFT LEFT 0 | BLPOP two 0`,
  'keys that come by other ways': `
    a: BLPOP l 0
    d: RPUSH m 1 2 | RENAME m l
    d: LRANGE l 0 -1 | DEL l
    a: BLPOP l 0
    d: RPUSH m 1 2 | COPY m l
    d: LRANGE l 0 -1 | DEL l
    a: BLPOP l 0
    d: SELECT 1 | RPUSH l 7 8 | MOVE l 0 | SELECT 0 | LRANGE l 0 -1 | DEL l
    a: BLPOP l 0
    d: SELECT 1 | RPUSH l 7 8 | SWAPDB 0 1 | LRANGE l 0 -1
    b: BLPOP m 0
    d: SELECT 0 | LMOVE l m LEFT LEFT`,
  'several elements, and arguments that are wrong': `
    a: BLMPOP 0 2 l m RIGHT COUNT 2
    b: BLMPOP 0 1 l LEFT COUNT 10
    d: RPUSH l 1 2 3 4 5
    d: EXISTS l
    a: BLMPOP x 1 l LEFT | BLMPOP 0 0 l LEFT | BLMPOP -1 1 l LEFT | BLMPOP 0 1 l MIDDLE | BLMPOP 0 2 l LEFT | BLMPOP 0 1 l LEFT COUNT 0
    a: BLMPOP 0 1 l LEFT COUNT 1 COUNT 2 | BLMPOP x 1 l MIDDLE | BLMOVE l m X LEFT x | BLMOVE l m LEFT X x | BLMOVE l m LEFT LEFT x
    a: BLPOP l x | BLPOP l nan | BLPOP l inf | BLPOP l -1 | BLPOP l -0.5 | BLPOP l 1e30 | BLPOP l " 1" | BRPOP l 0x | BRPOPLPUSH l m -1 | BLPOP l
    d: SET s x
    a: BLPOP s 0 | BLPOP l s 0 | BLMPOP 0 1 s LEFT | BLMOVE s l LEFT LEFT 0 | BRPOPLPUSH s l 0`,
  'CLIENT UNBLOCK and a client that goes': `
    a: BLPOP l 0
    b: BLPOP l 0
    c: BLPOP l 0
    d: CLIENT UNBLOCK {a} | CLIENT UNBLOCK {b} ERROR | CLIENT UNBLOCK {a}
    d: RPUSH l 1 | CLIENT UNBLOCK {c}
    a: BLMOVE l m LEFT LEFT 0
    d: CLIENT UNBLOCK {a} TIMEOUT`,
  'who waits longest for an element is served first': `
    a: BZPOPMIN z 0
    b: BZPOPMAX z 0
    c: BZMPOP 0 1 z MAX COUNT 2
    d: ZADD z 1 one 2 two
    d: ZRANGE z 0 -1 | ZADD z 3 three 4 four 5 five
    d: ZRANGE z 0 -1 WITHSCORES`,
  'elements that are there are taken at once, from the first key that has some': `
    d: ZADD y 1 a 2.5 b inf c -inf d 1e30 e
    a: BZPOPMIN z y x 0 | BZPOPMAX z y 0 | BZMPOP 0 2 z y MIN COUNT 10 | EXISTS y
    a: BZPOPMIN z 0.01 | BZPOPMAX z y 0.001 | BZMPOP 0.01 2 z y MAX`,
  'several sorted sets': `
    a: BZPOPMIN z y x 0
    b: BZPOPMIN x y z 0
    c: BZMPOP 0 3 y x z MAX COUNT 3
    d: ZADD x 1 one | ZADD y 2 two 3 three | ZADD z 4 four
    d: EXISTS x y z`,
  'a sorted set that goes before its command ends is not seen, one that is made again is': `
    a: BZPOPMIN z 0
    d: ZADD z 1 one | ZCARD z | ZADD z 2 two | ZPOPMIN z
    a: BZPOPMIN z z 0
    d: SET z x | DEL z | RPUSH z x | DEL z | ZADD z 0 zero`,
  'lists and sorted sets of one name': `
    a: BZPOPMIN l 0
    b: BLPOP l 0
    c: BZPOPMAX l m 0
    d: RPUSH l x y | LRANGE l 0 -1 | ZADD m 1 one
    d: DEL l | ZADD l 1 one 2 two | ZRANGE l 0 -1 | DEL l | RPUSH l z`,
  'sorted sets that come by other ways': `
    a: BZPOPMIN z 0
    d: ZADD y 1 one 2 two | RENAME y z
    d: ZRANGE z 0 -1 | DEL z
    a: BZPOPMAX z 0
    d: ZADD y 1 one 2 two | COPY y z
    d: ZRANGE z 0 -1 | DEL z
    a: BZPOPMIN z 0
    d: SELECT 1 | ZADD z 7 seven 8 eight | MOVE z 0 | SELECT 0 | ZRANGE z 0 -1 | DEL z
    a: BZMPOP 0 1 z MIN COUNT 5
    d: SELECT 1 | ZADD z 7 seven 8 eight | SWAPDB 0 1 | ZRANGE z 0 -1 | SELECT 0
    a: BZPOPMIN z 0
    d: ZINCRBY z 2.5 counted
    a: BZPOPMIN z 0
    d: ZADD x 1 one 2 two | ZUNIONSTORE z 2 x y WEIGHTS 2 3 | ZRANGE z 0 -1 WITHSCORES | DEL z
    a: BZPOPMAX z 0
    d: ZINTERSTORE z 2 x x | ZDIFFSTORE z 2 x y | ZRANGE z 0 -1 WITHSCORES | DEL z
    a: BZPOPMAX z 0
    d: ZRANGESTORE z x 0 -1 | ZRANGE z 0 -1 WITHSCORES | DEL z
    a: BZPOPMIN z 0
    d: ZADD z XX 1 nobody | ZADD z NX INCR 4 somebody`,
  'several elements of a sorted set, and arguments that are wrong': `
    a: BZMPOP 0 2 z y MAX COUNT 2
    b: BZMPOP 0 1 z MIN COUNT 10
    d: ZADD z 1 a 2 b 3 c 4 d 5 e
    d: EXISTS z
    a: BZMPOP x 1 z MIN | BZMPOP 0 0 z MIN | BZMPOP -1 1 z MIN | BZMPOP 0 1 z MIDDLE | BZMPOP 0 2 z MIN | BZMPOP 0 1 z MIN COUNT 0
    a: BZMPOP 0 1 z MIN COUNT 1 COUNT 2 | BZMPOP x 1 z MIDDLE | BZMPOP 0 x z MIN | BZMPOP 0 1 z MIN COUNT | BZMPOP 0 1 z MIN COUNT x
    a: BZPOPMIN z x | BZPOPMIN z nan | BZPOPMAX z inf | BZPOPMIN z -1 | BZPOPMIN z -0.5 | BZPOPMAX z 1e30 | BZPOPMIN z " 1" | BZPOPMIN z
    d: SET s x
    a: BZPOPMIN s 0 | BZPOPMAX z s 0 | BZMPOP 0 2 z s MIN | BLPOP s 0`,
  'CLIENT UNBLOCK, and commands behind one that waits for an element': `
    a: BZPOPMIN z 0 | PING | ZADD y 1 one | BZPOPMIN y 0 | BZPOPMAX z 0
    b: BZMPOP 0 1 y MIN
    d: ZADD z 1 x
    d: ZADD z 2 y 3 w | ZRANGE z 0 -1
    d: CLIENT UNBLOCK {b} | CLIENT UNBLOCK {a}`,
  'what comes behind CLIENT UNBLOCK in the same write is not taken away': `
    a: BLPOP l 0
    d: CLIENT UNBLOCK {a} ERROR | RPUSH l 1 | LRANGE l 0 -1 | DEL l
    a: BZPOPMIN z 0
    d: CLIENT UNBLOCK {a} | ZADD z 1 x | ZRANGE z 0 -1
    a: BLPOP l 0
    b: BLPOP l 0
    d: CLIENT UNBLOCK {a} ERROR | RPUSH l 1 | LLEN l`,
  'commands behind one that waits': `
    a: BLPOP l 0 | PING | RPUSH m 1 | BLPOP m 0 | BLPOP l 0
    b: BLPOP m 0
    d: RPUSH l x
    d: RPUSH l y z | LRANGE l 0 -1
    d: RPUSH m last`,
}

/** Some clients of a server, and all that they are told. */
class Company implements AsyncDisposable {
  readonly #clients = new Map<string, RawClient>()
  readonly #ids = new Map<string, string>()
  readonly #control: RawClient
  readonly #ear: RawClient
  readonly heard: string[] = []
  /** Requests of each client that are not answered, oldest first. */
  readonly #open = new Map<string, (readonly string[])[]>()

  private constructor(control: RawClient, ear: RawClient) {
    this.#control = control
    this.#ear = ear
  }

  static async of(server: Server, names: readonly string[], protocol: 2 | 3): Promise<Company> {
    const company = new Company(await server.connect(), await server.connect())
    await company.#control.command('FLUSHALL')
    await company.#control.command('CONFIG', 'SET', 'notify-keyspace-events', 'KEAmn')
    await company.#ear.command('PSUBSCRIBE', '__key*')
    for (const name of names) {
      const client = await server.connect()
      await client.command('HELLO', protocol)
      company.#ids.set(name, String(await client.call('CLIENT', 'ID')))
      company.#clients.set(name, client)
    }
    return company
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [...this.#clients.values(), this.#control, this.#ear]) await client.close()
  }

  /** Sends commands in one write, and waits until all that was sent is answered or waits. */
  async tell(name: string, commands: readonly (readonly string[])[]): Promise<void> {
    const client = this.#clients.get(name)!
    const named = commands.map((command) => command.map((word) => word.replace(/^\{(\w)\}$/, (_, other: string) => this.#ids.get(other)!)))
    for (const command of named) {
      const open = this.#open.get(name) ?? []
      this.#open.set(name, open)
      open.push(command)
      const heard = (reply: Buffer): void => {
        open.shift()
        this.heard.push(
          `${name}: ${command.join(' ').replaceAll(/UNBLOCK \d+/g, 'UNBLOCK')} -> ${JSON.stringify(reply.toString('latin1'))}`,
        )
      }
      // Who still waits at the end hears nothing any more.
      void client.read().then(heard, () => undefined)
    }
    client.send(Buffer.concat(named.map((command) => encodeRequest(command))))
    await this.#settled()
  }

  /** Nothing is on its way: who has requests unanswered is blocked for ever by the first of them, twice in a row. */
  async #settled(): Promise<void> {
    let last = ''
    await eventually('all that was sent is answered or waits', async () => {
      const lines = String(await this.#control.call('CLIENT', 'LIST')).split('\n')
      const open = [...this.#open].filter(([, commands]) => commands.length > 0)
      const isIdle = open.every(
        ([name, [first]]) =>
          !endsByItself(first) && lines.some((line) => line.startsWith(`id=${this.#ids.get(name)} `) && / flags=\w*b/.test(line)),
      )
      const now = isIdle ? JSON.stringify([open, this.heard.length]) : ''
      const isSettled = isIdle && now === last
      last = now
      return isSettled
    })
  }

  /** All keyspace notifications so far, in their order. */
  async notices(): Promise<string[]> {
    await this.#control.command('PUBLISH', '__key_end', '')
    const heard: string[] = []
    for (;;) {
      const [, , channel, message] = decodeReply(await this.#ear.read()) as string[]
      if (channel === '__key_end') return heard
      heard.push(`${channel} ${message}`)
    }
  }

  /** What is in the keys of the stories. */
  async state(): Promise<string> {
    const all: string[] = []
    for (const key of ['l', 'm', 'n', 'one', 'two', 'three', 'x', 'y', 'z']) {
      const type = await this.#control.call('TYPE', key)
      const range = type === 'list' ? ['LRANGE', key, 0, -1] : type === 'zset' ? ['ZRANGE', key, 0, -1, 'WITHSCORES'] : ['EXISTS', key]
      all.push(`${key} ${String(type)} ${JSON.stringify(await this.#control.call(...(range as [string])))}`)
    }
    return all.join('\n')
  }
}

/** It waits for a time only. */
function endsByItself(command: readonly string[]): boolean {
  return Number(/^BZ?L?MPOP$/.test(command[0]) ? command[1] : command.at(-1)) > 0
}

function linesOf(story: string): { name: string; commands: string[][] }[] {
  return story
    .trim()
    .split('\n')
    .map((line) => {
      const [, name, rest] = /^\s*(\w+): (.*)$/.exec(line)!
      return { name, commands: rest.split(' | ').map((text) => text.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', ''))) }
    })
}

/** Each client's replies in their order. */
function byClient(heard: readonly string[]): string[] {
  return ['a', 'b', 'c', 'd'].flatMap((name) => heard.filter((line) => line.startsWith(`${name}: `)))
}

interface Told {
  readonly heard: string[]
  readonly notices: string[]
  readonly state: string
}

async function told(server: Server, lines: ReturnType<typeof linesOf>, protocol: 2 | 3): Promise<Told> {
  await using company = await Company.of(server, ['a', 'b', 'c', 'd'], protocol)
  for (const { name, commands } of lines) await company.tell(name, commands)
  return { heard: byClient(company.heard), notices: await company.notices(), state: await company.state() }
}

/**
 * No ZRANGESTORE: one that takes the place of a string or a list wakes nobody who waits for a sorted set in redis-server; here it does, as
 * ZUNIONSTORE does there.
 */
function randomLines(random: Random): ReturnType<typeof linesOf> {
  const key = (): string => random.pick(['l', 'm', 'n'])
  const end = (): string => random.pick(['LEFT', 'RIGHT'])
  const keys = (): string[] => Array.from({ length: random.between(1, 3) }, key)
  const side = (): string => random.pick(['MIN', 'MAX'])
  const score = (): string => String(random.between(-3, 3) / 2)
  const blocked = (): string[] => {
    const some = keys()
    return random.pick([
      ['BLPOP', ...some, '0'],
      ['BRPOP', ...some, '0'],
      ['BLMOVE', key(), key(), end(), end(), '0'],
      ['BRPOPLPUSH', key(), key(), '0'],
      ['BLMPOP', '0', String(some.length), ...some, end(), 'COUNT', String(random.between(1, 3))],
      ['BZPOPMIN', ...some, '0'],
      ['BZPOPMAX', ...some, '0'],
      ['BZMPOP', '0', String(some.length), ...some, side(), 'COUNT', String(random.between(1, 3))],
    ])
  }
  const plain = (): string[] =>
    random.pick([
      ['RPUSH', key(), 'x', 'y'],
      ['LPUSH', key(), '1'],
      ['LPUSH', key(), '1', '2', '3', '4'],
      ['RENAME', key(), key()],
      ['COPY', key(), key(), 'REPLACE'],
      ['LMOVE', key(), key(), end(), end()],
      ['SET', key(), 'text'],
      ['DEL', key()],
      ['LRANGE', key(), '0', '-1'],
      ['LPOP', key()],
      ['ZADD', key(), score(), 'x', score(), 'y'],
      ['ZADD', key(), 'GT', score(), 'x'],
      ['ZINCRBY', key(), score(), 'z'],
      ['ZUNIONSTORE', key(), '2', key(), key()],
      ['ZPOPMAX', key()],
    ])
  const idle = ['a', 'b', 'c']
  const lines: ReturnType<typeof linesOf> = []
  for (let i = 0; i < 25; i++) {
    if (random.chance(0.4)) lines.push({ name: random.pick(idle), commands: [blocked()] })
    else lines.push({ name: 'd', commands: Array.from({ length: random.between(1, 3) }, plain) })
  }
  return lines
}

describe.skipIf(!HAS_REDIS)('commands that wait', () => {
  let redis: Server
  let stockd: Awaited<ReturnType<typeof startNode>>
  beforeAll(async () => {
    ;[redis, stockd] = await Promise.all([startRedis(), startNode({ args: ['--appendonly', 'yes', '--appendfsync', 'no'] })])
  })
  afterAll(async () => {
    await redis[Symbol.asyncDispose]()
    await stockd[Symbol.asyncDispose]()
  })

  for (const protocol of [2, 3] as const) {
    for (const [name, story] of Object.entries(STORIES)) {
      it(`${name}, in RESP${protocol}`, async () => {
        const lines = linesOf(story)
        const [expected, got] = await Promise.all([told(redis, lines, protocol), told(stockd, lines, protocol)])
        expect(got).toEqual(expected)
      })
    }
  }

  it(`answer as redis-server does, whatever comes (SEED=${SEED}), and the log has it`, async () => {
    for (let round = 0; round < 12; round++) {
      const random = new Random(SEED).fork(`round ${round}`)
      const lines = randomLines(random)
      const [expected, got] = await Promise.all([told(redis, lines, 2), told(stockd, lines, 2)])
      expect(got, `SEED=${SEED}, round ${round}:\n${lines.map((line) => JSON.stringify(line)).join('\n')}`).toEqual(expected)
    }
    const { dir } = stockd
    await using before = await stockd.connect()
    const digest = await before.call('DEBUG', 'DIGEST')
    await stockd.kill9()
    stockd = await startNode({ dir, args: ['--appendonly', 'yes', '--appendfsync', 'no'] })
    await using after = await stockd.connect()
    expect(await after.call('DEBUG', 'DIGEST')).toEqual(digest)
  })
})
