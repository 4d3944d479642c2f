// MULTI, EXEC, DISCARD, WATCH, UNWATCH and MONITOR, told to redis-server and to a node: the same replies, byte for byte; also after the
// node was killed and has read its log, and wherever that log was torn: half an EXEC is never there. SEED replays a run.

import { cpSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually } from '../support/eventually.ts'
import { encodeRequest, replyEnd } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { disagreement } from './differences.ts'
import { RandomCommands } from './random-commands.ts'
import type { Command } from './random-commands.ts'
import { Twins } from './twins.ts'
import type { Episode } from './twins.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const COMMANDS = Number(process.env.COMMANDS ?? 30_000)
const EPISODE = 300

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** `client: command | command ...`: one after another. */
const STORIES: Readonly<Record<string, string>> = {
  'what is queued runs at EXEC': `
    a: MULTI | SET k 1 | INCR k | GET k | LPUSH l x | GET l
    b: EXISTS k
    a: EXEC | GET k | EXEC | DISCARD | MULTI | DISCARD | GET k`,
  'MULTI in MULTI, WATCH in MULTI, and what is refused': `
    a: MULTI | MULTI | WATCH k | PING | EXEC
    a: MULTI | NOPE x y | PING | EXEC
    a: MULTI | GET | PING | EXEC
    a: MULTI | SHUTDOWN | EXEC
    a: MULTI | CLIENT NOPE | EXEC
    a: MULTI | GET a b | DISCARD | GET k
    a: MULTI x | EXEC x | DISCARD x | WATCH | UNWATCH x | EXEC
    a: MULTI | EXEC`,
  'errors while it runs stop nobody': `
    a: SET s x | MULTI | INCR s | LPUSH s 1 | SET s y | GET s | EXEC | GET s`,
  'several databases': `
    a: MULTI | SET k 0 | SELECT 1 | SET k 1 | SELECT 99 | GET k | EXEC | GET k | SELECT 0 | GET k`,
  'the protocol changes in between': `
    a: HSET h f v | MULTI | HGETALL h | HELLO 3 | HGETALL h | GET nix | HELLO 2 | HGETALL h | EXEC
    a: HELLO 3 | WATCH k | SET k 1 | MULTI | PING | EXEC | HELLO 2`,
  'RESET': `
    a: WATCH k | MULTI | SET k 1 | RESET | EXEC | GET k
    a: WATCH k
    b: SET k 2
    a: RESET | MULTI | GET k | EXEC`,
  'commands that wait do not': `
    a: MULTI | BLPOP l 0 | BRPOP l m 0 | BLMOVE l m LEFT LEFT 0 | BRPOPLPUSH l m 0 | BLMPOP 0 1 l LEFT | BZPOPMIN z 0 | BZMPOP 0 1 z MIN | WAIT 0 0 | EXEC
    a: MULTI | WAIT 1 0 | WAIT 1 1000 | XREAD BLOCK 0 STREAMS nix 0 | EXEC | RPUSH l 1 2 3 | MULTI | BLPOP l 0 | BLMOVE l m LEFT LEFT 0 | EXEC`,
  'a watched key that changes': `
    a: WATCH k
    b: SET k 1
    a: MULTI | PING | EXEC | MULTI | PING | EXEC
    a: WATCH k j
    b: SET other 1 | GET k
    a: MULTI | PING | EXEC
    a: WATCH k | WATCH j
    b: SET j k
    a: WATCH i | MULTI | PING | EXEC`,
  'one that its own client changes': `
    a: WATCH k | SET k 1 | MULTI | PING | EXEC
    a: WATCH k | MULTI | SET k 2 | EXEC | GET k`,
  'UNWATCH, DISCARD and EXEC watch nothing more': `
    a: WATCH k
    b: SET k 1
    a: UNWATCH | MULTI | PING | EXEC
    a: WATCH k
    b: SET k 2
    a: MULTI | PING | DISCARD | MULTI | PING | EXEC
    a: WATCH k | MULTI | UNWATCH | EXEC
    b: SET k 3
    a: MULTI | PING | EXEC
    a: WATCH k
    b: SET k 4
    a: MULTI | UNWATCH | EXEC`,
  'flushes': `
    a: SET k 1 | WATCH k
    b: FLUSHDB
    a: MULTI | PING | EXEC
    a: WATCH k
    b: FLUSHDB | FLUSHALL
    a: MULTI | PING | EXEC
    a: SET k 1 | WATCH k
    b: SELECT 1 | FLUSHDB | SELECT 0
    a: MULTI | PING | EXEC
    a: WATCH k
    b: SELECT 1 | FLUSHALL | SELECT 0
    a: MULTI | PING | EXEC`,
  'databases that are exchanged': `
    a: SET k 1 | WATCH k
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    a: WATCH k
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    a: WATCH nix
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    a: SELECT 5 | WATCH k | SELECT 0
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    a: SELECT 0 | WATCH k
    b: SWAPDB 0 0
    a: MULTI | PING | EXEC`,
  'keys that take other names and places': `
    a: WATCH to
    b: SET from x | RENAME from to
    a: MULTI | PING | EXEC
    a: WATCH from
    b: RENAME to from
    a: MULTI | PING | EXEC
    a: WATCH from
    b: COPY from to | COPY from to DB 1
    a: MULTI | PING | EXEC
    a: WATCH from | SELECT 1 | WATCH other | SELECT 0
    b: MOVE from 2
    a: MULTI | PING | EXEC
    a: SELECT 3 | WATCH to | SELECT 0
    b: MOVE to 3
    a: MULTI | PING | EXEC
    a: SELECT 3 | WATCH to | SELECT 0
    b: SELECT 3 | RENAME to to | SELECT 0
    a: MULTI | PING | EXEC`,
  'keys whose time has come': `
    c: DEBUG SET-ACTIVE-EXPIRE 0
    a: SET k 1 PXAT 1 | WATCH k | MULTI | PING | EXEC
    a: SET k 1 PX 100 | WATCH k
    c: DEBUG SLEEP 0.2
    a: MULTI | PING | EXEC
    a: SET k 1 PX 100
    c: DEBUG SLEEP 0.2
    a: WATCH k
    b: GET k
    a: MULTI | PING | EXEC
    a: SET k 1 PX 100
    c: DEBUG SLEEP 0.2
    a: WATCH k
    b: SET k 2
    a: MULTI | PING | EXEC
    a: SET k 1 PX 100
    c: DEBUG SLEEP 0.2
    a: WATCH k
    b: FLUSHDB
    a: MULTI | PING | EXEC
    a: SET k 1 PX 100
    c: DEBUG SLEEP 0.2
    a: WATCH k
    b: DEL k
    a: MULTI | PING | EXEC
    a: SELECT 1 | SET k 1 PX 100
    c: DEBUG SLEEP 0.2
    a: SELECT 0 | WATCH k
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    a: WATCH k
    b: SWAPDB 0 1
    a: MULTI | PING | EXEC
    c: DEBUG SET-ACTIVE-EXPIRE 1`,
  'who waits is served behind the whole EXEC': `
    w: BLPOP l 0
    a: MULTI | RPUSH l 1 | LPOP l | RPUSH l 2 3 | LLEN l | EXEC | LRANGE l 0 -1
    b: DEL l
    w: BLMOVE l m LEFT LEFT 0
    a: WATCH m | MULTI | RPUSH l 4 | EXEC | EXISTS l m
    w: BLMOVE l m LEFT LEFT 0
    a: WATCH m
    b: RPUSH l 5
    a: MULTI | PING | EXEC`,
  'CLIENT PAUSE in between comes afterwards': `
    a: MULTI | SET k 1 | CLIENT PAUSE 1 ALL | SET k 2 | GET k | CLIENT UNPAUSE | EXEC`,
  'what runs is counted': `
    c: CONFIG RESETSTAT
    a: MULTI | PING | INCR k | NOPE | EXEC
    a: MULTI | PING | SET k x | INCR k | EXEC
    c: INFO commandstats`,
}

/** Of one client, in one write; ends with ECHO end, or with the connection. */
const PIPELINES: Readonly<Record<string, string>> = {
  'CLIENT REPLY in between': `MULTI | PING | CLIENT REPLY SKIP | PING 1 | EXEC | PING dropped | PING 2
    | MULTI | PING 3 | CLIENT REPLY OFF | PING dropped | EXEC | PING dropped | MULTI | PING dropped | CLIENT REPLY ON | PING 4 | EXEC
    | PING 5 | CLIENT REPLY SKIP | MULTI | PING 6 | CLIENT REPLY OFF | CLIENT REPLY ON | PING 7 | EXEC
    | CLIENT REPLY OFF | MULTI | PING dropped | EXEC | CLIENT REPLY ON | ECHO end`,
  'QUIT behind MULTI': 'MULTI | SET q 1 | QUIT | EXEC | ECHO end',
  'CLIENT KILL of oneself': 'CLIENT SETNAME me | MULTI | PING | CLIENT KILL TYPE normal SKIPME no | PING | EXEC | ECHO end',
  'subscribing in between': `MULTI | SUBSCRIBE c d | PUBLISH c m | PING | UNSUBSCRIBE c d | PING | EXEC | PING
    | MULTI | SUBSCRIBE c | EXEC | MULTI | GET k | EXEC | UNSUBSCRIBE | MULTI | PING | EXEC | ECHO end`,
  'subscribing in between, in RESP3': `HELLO 3 | MULTI | SUBSCRIBE c d | PUBLISH c m | PING | UNSUBSCRIBE c | PING | EXEC | PING
    | MULTI | GET k | EXEC | ECHO end`,
  'HELLO and AUTH in between': 'MULTI | HELLO 3 | AUTH x y | HELLO 4 | HELLO 2 AUTH x y | PING | EXEC | PING | ECHO end',
  'BGREWRITEAOF in between': 'MULTI | SET k 1 | BGREWRITEAOF | EXEC | ECHO end',
  'MONITOR in between': 'MULTI | MONITOR | PING | EXEC | ECHO end',
  'an inline MULTI': 'MULTI | ECHO x | EXEC | ECHO end',
  'COMMAND, OBJECT, DEBUG and CONFIG in between': `SET k 1 | MULTI | COMMAND COUNT NO | OBJECT ENCODING k | CONFIG GET databases | CONFIG SET maxmemory x
    | OBJECT NOPE | DEBUG SLEEP 0 | EXEC | DISCARD | ECHO end`,
}

interface Line {
  readonly name: string
  readonly commands: readonly Command[]
}

function linesOf(story: string): Line[] {
  return story
    .trim()
    .split('\n')
    .map((line) => {
      const [, name, rest] = /^\s*(\w+): (.*)$/.exec(line)!
      return { name, commands: rest.split(' | ').map((text) => text.split(' ').map((word) => (word === '""' ? '' : word))) }
    })
}

/** Clients of one server, by name. Those called `w` may wait: their replies are read when the story is over. */
class Company implements AsyncDisposable {
  readonly #server: Server
  readonly #clients = new Map<string, RawClient>()

  constructor(server: Server) {
    this.#server = server
  }

  async client(name: string): Promise<RawClient> {
    let client = this.#clients.get(name)
    if (client === undefined) this.#clients.set(name, (client = await this.#server.connect()))
    return client
  }

  async tell({ name, commands }: Line): Promise<string[]> {
    const client = await this.client(name)
    const heard: string[] = []
    for (const command of commands) {
      if (name === 'w') {
        client.send(encodeRequest(command))
        await this.#untilBlocked()
        continue
      }
      const reply = await client.command(...command.map(latin1))
      heard.push(`${name}: ${command.join(' ')} -> ${shown(command, reply)}`)
    }
    return heard
  }

  async #untilBlocked(): Promise<void> {
    const control = await this.client('control')
    for (;;) {
      const info = String(await control.call('INFO', 'clients'))
      if (/blocked_clients:1\r/.test(info)) return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) await client.close()
  }
}

function shown(command: Command, reply: Buffer): string {
  if (command[0] === 'HELLO') return reply.toString('latin1').replaceAll(/:\d+\r/g, ':N\r')
  if (command[0] !== 'INFO') return JSON.stringify(reply.toString('latin1').replaceAll(/\$2\r\nid\r\n:\d+/g, 'id'))
  const calls = [...reply.toString('latin1').matchAll(/cmdstat_(ping|incr|set|multi|exec):calls=(\d+).*?(rejected.*)/g)]
  return calls
    .map(([, name, n, rest]) => `${name} ${n} ${rest}`)
    .toSorted()
    .join('\n')
}

async function told(server: Server, lines: readonly Line[]): Promise<string[]> {
  await using company = new Company(server)
  const control = await company.client('control')
  await control.command('FLUSHALL')
  const heard: string[] = []
  for (const line of lines) heard.push(...(await company.tell(line)))
  if (lines.some(({ name }) => name === 'w')) {
    const waiting = await company.client('w')
    for (const line of lines) if (line.name === 'w') heard.push(`w: ${JSON.stringify((await waiting.read()).toString('latin1'))}`)
  }
  return heard
}

/** Replies within EXEC's, as bytes. */
function elementsOf(reply: Buffer): Buffer[] {
  const elements: Buffer[] = []
  for (let at = reply.indexOf('\n') + 1; at < reply.length;) {
    const end = replyEnd(reply, at)
    elements.push(reply.subarray(at, end))
    at = end
  }
  return elements
}

/** Two servers, three clients each, that are told the same, one command after the other. */
class Lockstep implements AsyncDisposable {
  readonly #redis: RawClient[]
  readonly #stockd: RawClient[]
  /** What each client has queued. */
  #queued: Command[][] = [[], [], []]

  private constructor(redis: RawClient[], stockd: RawClient[]) {
    this.#redis = redis
    this.#stockd = stockd
  }

  static async connect(redis: Server, stockd: Server): Promise<Lockstep> {
    const three = (server: Server): Promise<RawClient[]> => Promise.all([server.connect(), server.connect(), server.connect()])
    return new Lockstep(await three(redis), await three(stockd))
  }

  async reset(): Promise<void> {
    for (const clients of [this.#redis, this.#stockd]) {
      for (const client of clients) await client.pipeline([['DISCARD'], ['UNWATCH'], ['SELECT', '0']])
      await clients[0].command('FLUSHALL')
    }
    this.#queued = [[], [], []]
  }

  /** @returns in what they disagree. */
  async step(who: number, command: Command): Promise<string | null> {
    const args = command.map(latin1)
    const [one, other] = await Promise.all([this.#redis[who].command(...args), this.#stockd[who].command(...args)])
    const name = command[0].toUpperCase()
    if (name === 'EXEC' || name === 'DISCARD' || name === 'MULTI') {
      const queued = this.#queued[who]
      if (name !== 'MULTI' || one[0] === 43) this.#queued[who] = []
      if (name === 'EXEC' && one[0] === 42 && one[1] !== 45 && one[1] !== 48 && !one.equals(other)) {
        const [expected, got] = [elementsOf(one), elementsOf(other)]
        if (got.length !== expected.length) return disagreement(command, one, other)
        for (const [i, element] of expected.entries()) {
          const text = disagreement(queued[i], element, got[i])
          if (text !== null) return `in EXEC: ${text}`
        }
        return null
      }
    } else if (one.equals(QUEUED)) this.#queued[who].push(command)
    return disagreement(command, one, other)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [...this.#redis, ...this.#stockd]) await client.close()
  }
}

const QUEUED = Buffer.from('+QUEUED\r\n')

const isIteration = (command: Command): boolean => /^[HSZ]?SCAN$/i.test(command[0])

/** A key that this command may be about, or any. */
function keyIn(random: Random, command: Command, others: readonly Command[]): string {
  const from = random.chance(0.8) ? command : random.pick(others)
  return from[random.between(1, Math.max(1, Math.min(from.length - 1, 4)))] ?? 'a'
}

/** Random commands; what was watched while one ran shows whether it counts as a change. */
function watchedEpisode(random: Random, protocol: 2 | 3): Episode {
  const generator = new RandomCommands(random)
  const commands: Command[] = []
  const plain: Command[] = []
  while (plain.length < EPISODE) {
    const command = generator.next()
    if (command.length === 0 || isIteration(command)) continue
    plain.push(command)
    if (random.chance(0.3)) commands.push(command)
    else {
      const keys = Array.from({ length: random.between(1, 2) }, () => keyIn(random, command, plain))
      commands.push(['WATCH', ...keys], command, ['MULTI'], ['PING'], ['EXEC'])
    }
  }
  return { protocol, cuts: random.uint32(), commands }
}

describe.skipIf(!HAS_REDIS)('transactions', () => {
  let redis: Server
  let stockd: Server
  const start = (dir?: string): Promise<Server> =>
    startNode({
      ...(dir === undefined ? {} : { dir }),
      args: ['--appendonly', 'yes', '--appendfsync', 'no', '--enable-debug-command', 'yes'],
    })
  beforeAll(async () => {
    ;[redis, stockd] = await Promise.all([startRedis({ args: ['--enable-debug-command', 'yes'] }), start()])
  })
  afterAll(async () => {
    await redis[Symbol.asyncDispose]()
    await stockd[Symbol.asyncDispose]()
  })

  for (const [name, story] of Object.entries(STORIES)) {
    it(`${name}, byte for byte`, async () => {
      const lines = linesOf(story)
      const [expected, got] = await Promise.all([told(redis, lines), told(stockd, lines)])
      expect(got).toEqual(expected)
    })
  }

  for (const [name, pipeline] of Object.entries(PIPELINES)) {
    it(`${name}, byte for byte`, async () => {
      const commands = pipeline.split('|').map((text) => text.trim().split(/\s+/))
      const bytesOf = async (server: Server): Promise<string> => {
        await using client = await server.connect()
        let text = ''
        let isClosed = false
        client.socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
        })
        client.socket.on('close', () => {
          isClosed = true
        })
        client.send(Buffer.concat(commands.map((command) => encodeRequest(command))))
        await eventually('the last reply', () => isClosed || text.endsWith('end\r\n'))
        return `${text.replaceAll(/id\r\n:\d+/g, 'id').replaceAll(/:\d{5,}/g, ':port')}${isClosed ? ' closed' : ''}`
      }
      expect(await bytesOf(stockd)).toBe(await bytesOf(redis))
    })
  }

  it(`every command counts as a change of the keys that it changes in redis-server (SEED=${SEED})`, async () => {
    await using forgetful = await startNode({ args: ['--appendonly', 'no'] })
    await using logged = await Twins.connect(redis, stockd)
    await using unlogged = await Twins.connect(redis, forgetful)
    const failures: string[] = []
    const seen = new Set<string>()
    for (let n = 0; n * EPISODE < COMMANDS && failures.length < 8; n++) {
      const random = new Random(SEED).fork(`watched ${n}`)
      const twins = n % 4 === 3 ? unlogged : logged
      const episode = watchedEpisode(random, random.chance(0.5) ? 2 : 3)
      const first = await twins.run(episode)
      if (first === null) continue
      const { episode: shortest, text } = await twins.shrink(episode, first)
      const fault = shortest.commands
        .map(([word]) => word.toUpperCase())
        .slice(-5)
        .join(' ')
      if (seen.has(fault)) continue
      seen.add(fault)
      failures.push(
        `SEED=${SEED}, episode ${n}:\n${shortest.commands.map((c) => `  ${JSON.stringify(c)}`).join('\n')}\n  disagree on ${text}`,
      )
    }
    expect(failures.length, failures.join('\n\n')).toBe(0)
  })

  it(`three clients get redis-server's replies, whatever they queue and watch (SEED=${SEED}), and the log has it`, async () => {
    await using both = await Lockstep.connect(redis, stockd)
    for (let n = 0; n * EPISODE < COMMANDS / 5; n++) {
      const random = new Random(SEED).fork(`lockstep ${n}`)
      const generator = new RandomCommands(random)
      const said: string[] = []
      await both.reset()
      for (let i = 0; i < EPISODE; i++) {
        const plain = generator.next()
        if (plain.length === 0 || isIteration(plain) || /^(RANDOMKEY)$/i.test(plain[0])) continue
        const who = random.below(3)
        const command: Command = random.chance(0.35)
          ? random.pick<Command>([
              ['MULTI'],
              ['EXEC'],
              ['EXEC'],
              ['EXEC'],
              ['DISCARD'],
              ['WATCH', keyIn(random, plain, [plain])],
              ['WATCH', keyIn(random, plain, [plain]), 'a', 'b'],
              ['UNWATCH'],
            ])
          : plain
        said.push(`  ${who}: ${JSON.stringify(command)}`)
        const text = await both.step(who, command)
        expect(text, `SEED=${SEED}, round ${n}:\n${said.join('\n')}\n  disagree on ${text}`).toBeNull()
      }
    }
    await using before = await stockd.connect()
    const digest = await before.call('DEBUG', 'DIGEST')
    await stockd.kill9()
    stockd = await start(stockd.dir)
    await using after = await stockd.connect()
    expect(await after.call('DEBUG', 'DIGEST')).toEqual(digest)
  })

  it('MONITOR shows the same lines', async () => {
    const lines = linesOf(`
      a: PING | SET k "v\\\\ | GET k | SELECT 2 | get k | SELECT 0
      a: MULTI | SET k 1 | INCR k | EXEC | MULTI | NOPE | EXEC | MULTI | DISCARD
      a: WATCH k | SET k 2 | MULTI | PING | EXEC | UNWATCH
      a: AUTH secret | AUTH me secret | HELLO 2 SETNAME a AUTH me secret | CONFIG SET requirepass x | CONFIG SET requirepass | CONFIG SET requirepass ""
      a: CONFIG GET port | CLIENT LIST | CLIENT ID | ACL WHOAMI | ACL SETUSER me | DEBUG SLEEP 0 | NOPE | GET | INFO server | COMMAND COUNT
      a: BLPOP l 0.001 | LPUSH l \\x | RESET | OBJECT ENCODING l | SUBSCRIBE c | UNSUBSCRIBE c | PUBLISH c m`)
    const shownTo = async (server: Server): Promise<string[]> => {
      await using monitor = await server.connect()
      await using company = new Company(server)
      expect(String(await monitor.command('MONITOR'))).toBe('+OK\r\n')
      for (const line of lines) await company.tell(line)
      const a = await company.client('a')
      await a.command('ECHO', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)))
      await a.command('ECHO', 'the end')
      const heard: string[] = []
      for (;;) {
        const line = (await monitor.read()).toString('latin1')
        heard.push(line.replace(/^\+\d{10}\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\]/, '[$1]'))
        if (line.includes('the end')) return heard
      }
    }
    const [expected, got] = await Promise.all([shownTo(redis), shownTo(stockd)])
    expect(got).toEqual(expected)
  })

  it('a monitor is told its own commands, too, may not touch keys, and is seen in CLIENT LIST', async () => {
    const heard = async (server: Server): Promise<string[]> => {
      await using monitor = await server.connect()
      const replies: string[] = []
      const ask = async (count: number, ...args: string[]): Promise<void> => {
        monitor.send(encodeRequest(args))
        for (let i = 0; i < count; i++)
          replies.push((await monitor.read()).toString('latin1').replace(/^\+\d{10}\.\d{6} \[(\d+) [^\]]*\]/, '[$1]'))
      }
      await ask(1, 'MONITOR')
      monitor.send(encodeRequest(['MONITOR']))
      await ask(2, 'PING')
      await ask(1, 'GET', 'k')
      await ask(2, 'MULTI')
      await ask(1, 'SET', 'k', '1')
      await ask(1, 'PING', 'x')
      await ask(2, 'EXEC')
      const list = String(await monitor.call('CLIENT', 'LIST'))
      replies.push(/flags=\w+ .*cmd=client\|list/.exec(list)![0].replace(/ .*/, ''))
      await ask(1, 'RESET')
      await ask(1, 'PING')
      return replies
    }
    const [expected, got] = await Promise.all([heard(redis), heard(stockd)])
    expect(got).toEqual(expected)
  })

  it('CLIENT LIST tells what is queued and watched', async () => {
    const told = async (server: Server): Promise<string[]> => {
      await using a = await server.connect()
      await using b = await server.connect()
      const id = String(await a.call('CLIENT', 'ID'))
      const look = async (): Promise<string> => {
        const line = String(await b.call('CLIENT', 'LIST', 'ID', id))
        return /flags=\w+/.exec(line)![0] + / multi=\S+/.exec(line)![0] + / multi-mem=\S+/.exec(line)![0] + / cmd=\S+/.exec(line)![0]
      }
      const seen = [await look()]
      for (const command of [['WATCH', 'k'], ['MULTI'], ['SET', 'k', 'some value'], ['PING'], ['NOPE'], ['GET', 'x']]) {
        await a.command(...command)
        seen.push(await look())
      }
      await b.command('SET', 'k', String(Math.random()))
      seen.push(await look())
      await a.command('EXEC')
      seen.push(await look())
      return seen
    }
    const [expected, got] = await Promise.all([told(redis), told(stockd)])
    expect(got).toEqual(expected)
  })
})

describe('WATCH', () => {
  it.each(['always', 'everysec'])('lets many add to one number at the same time, under %s, and after kill -9 as well', async (policy) => {
    const args = ['--appendonly', 'yes', '--appendfsync', policy]
    let added = 0
    const add = async (client: RawClient): Promise<void> => {
      for (let done = 0; done < 25;) {
        await client.command('WATCH', 'n')
        const n = Number(await client.call('GET', 'n'))
        await client.pipeline([['MULTI'], ['SET', 'n', n + 1], ['RPUSH', 'seen', n]])
        if ((await client.call('EXEC')) === null) continue
        done++
        added++
      }
    }
    const { dir } = await (async () => {
      await using node = await startNode({ args })
      const clients = await Promise.all(Array.from({ length: 5 }, () => node.connect()))
      await Promise.all(clients.map(add))
      await node.kill9()
      return node
    })()
    await using node = await startNode({ args, dir })
    await using client = await node.connect()
    expect(await client.call('GET', 'n')).toBe(String(added))
    expect(await client.call('LRANGE', 'seen', 0, -1)).toEqual(Array.from({ length: added }, (_, n) => String(n)))
  })
})

describe('a log that was torn', () => {
  it(`has all of an EXEC or nothing (SEED=${SEED})`, async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'no']
    const random = new Random(SEED).fork('torn')
    const { dir } = await (async () => {
      await using node = await startNode({ args })
      await using setup = await node.connect()
      expect(await setup.call('STOCK.CREATE', 'sku', '1000000')).toBe(1)
      const clients = await Promise.all(Array.from({ length: 4 }, () => node.connect()))
      const value = 'v'.repeat(500)
      for (let round = 0; round < 25; round++) {
        await Promise.all(
          clients.map((client, who) =>
            client.pipeline([
              ['MULTI'],
              ['INCR', 'first'],
              ['SET', `big:${who}`, value],
              ['SELECT', '1'],
              ['RPUSH', 'list', `${who} ${round}`],
              ['SELECT', '0'],
              ['STOCK.RESERVE', `{${who}}${round}`, 'ITEMS', 'sku', '1'],
              ['INCR', 'last'],
              ['EXEC'],
            ]),
          ),
        )
      }
      await node.kill9()
      return node
    })()
    const logDir = join(dir, 'appendonlydir')
    const newest = readdirSync(logDir)
      .filter((name) => name.endsWith('.incr.aof'))
      .toSorted((a, b) => Number(a.split('.')[2]) - Number(b.split('.')[2]))
      .at(-1)!
    const { size } = statSync(join(logDir, newest))
    const different = new Set<unknown>()
    for (let i = 0; i < 6; i++) {
      const torn = tempDir()
      cpSync(dir, torn, { recursive: true })
      truncateSync(join(torn, 'appendonlydir', newest), random.between(Math.floor(size / 4), size - 1))
      await using node = await startNode({ args, dir: torn })
      await using client = await node.connect()
      const first = await client.call('GET', 'first')
      different.add(first)
      expect(await client.call('GET', 'last')).toBe(first)
      expect(await client.call('STOCK.GET', 'sku')).toBe(1_000_000 - Number(first ?? 0))
      await client.command('SELECT', '1')
      expect(await client.call('LLEN', 'list')).toBe(Number(first ?? 0))
    }
    expect(different.size).toBeGreaterThan(1)
  })
})
