// Keyspace notifications beside redis-server's: the same messages, on the same channels, in the same order, command by command. (Those of
// commands that wait for others are in blocking.test.ts.) SEED replays a run, COMMANDS makes it longer.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually, within } from '../support/eventually.ts'
import { decodeReply, encodeRequest } from '../support/raw-client.ts'
import type { RawClient, Value } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { RandomCommands } from './random-commands.ts'
import type { Command } from './random-commands.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const COMMANDS = Number(process.env.COMMANDS ?? 15_000)
const EPISODE = 300
const EVERYTHING = 'KEAmn'
const FENCE = 'fence'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** One who writes and one who listens. */
class Pair implements AsyncDisposable {
  readonly writer: RawClient
  readonly #ear: RawClient
  readonly #name: string

  private constructor(writer: RawClient, ear: RawClient, name: string) {
    this.writer = writer
    this.#ear = ear
    this.#name = name
  }

  static async connect(server: Server): Promise<Pair> {
    const pair = new Pair(await server.connect(), await server.connect(), FENCE)
    await pair.#ear.command('PSUBSCRIBE', '__key*')
    await pair.#ear.command('SUBSCRIBE', FENCE)
    await pair.want(EVERYTHING)
    return pair
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer.close()
    await this.#ear.close()
  }

  async want(classes: string): Promise<Value> {
    await this.writer.call('CONFIG', 'SET', 'notify-keyspace-events', classes)
    return this.writer.call('CONFIG', 'GET', 'notify-keyspace-events')
  }

  /** What is told because of each command: `channel message`. */
  async heard(commands: readonly Command[]): Promise<string[][]> {
    const requests = commands.flatMap((command) => [command, ['PUBLISH', this.#name, '.']])
    this.writer.send(Buffer.concat(requests.map((request) => encodeRequest(request.map(latin1)))))
    for (const _ of requests) await this.writer.read()
    const all: string[][] = []
    for (const _ of commands) all.push(await this.#untilFence())
    return all
  }

  async #untilFence(): Promise<string[]> {
    const heard: string[] = []
    for (;;) {
      const [kind, ...rest] = decodeReply(await this.#ear.read()) as string[]
      if (kind === 'message') return heard
      heard.push(`${rest[1]} ${rest[2]}`)
    }
  }

  /** The messages until this event was told of this key. */
  async until(event: string, key: string): Promise<string[]> {
    const heard: string[] = []
    const last = `__keyevent@0__:${event} ${key}`
    while (heard.at(-1) !== last) {
      const message = decodeReply(await this.#ear.read()) as string[]
      heard.push(`${message[2]} ${message[3]}`)
    }
    return heard
  }
}

/** One who changes keys and listens to what he does, in RESP3: all that he gets, in its order. */
class Listener implements AsyncDisposable {
  readonly #socket: Socket
  #text = ''
  #onText = (): void => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1')
      this.#onText()
    })
  }

  static async of(server: Server): Promise<Listener> {
    const listener = new Listener(connect(server.port, '127.0.0.1'))
    for (const command of [['HELLO', '3'], ['FLUSHALL'], ['CONFIG', 'SET', 'notify-keyspace-events', EVERYTHING], ['PSUBSCRIBE', '__key*']])
      await listener.run(command)
    return listener
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
    return Promise.resolve()
  }

  async run(command: Command): Promise<string> {
    const end = `$${FENCE.length}\r\n${FENCE}\r\n`
    this.#socket.write(Buffer.concat([encodeRequest(command.map(latin1)), encodeRequest(['PING', FENCE])]))
    while (!this.#text.includes(end)) {
      await within(
        'the replies',
        new Promise<void>((resolve) => {
          this.#onText = resolve
        }),
        30_000,
      )
    }
    const at = this.#text.indexOf(end)
    const heard = this.#text.slice(0, at)
    this.#text = this.#text.slice(at + end.length)
    return heard
  }
}

/**
 * Where a message to oneself is told: redis-server puts that of a popped element inside of the reply, where no client can read it; here it
 * stands behind. An intersection with what is not there tells that the old result went before it replies, any other one after that.
 */
const ELSEWHERE = /^(B?ZPOPM|B?ZMPOP|SINTERSTORE)/
/** Their elements have the order that each server's hash gives them. */
const UNORDERED = /^(SCAN|.SCAN|KEYS|RANDOMKEY|SPOP|.RAND.*|HGETALL|HKEYS|HVALS|SMEMBERS|SINTER|SUNION|SDIFF)$/

describe.skipIf(!HAS_REDIS)('keyspace notifications', () => {
  let servers: readonly [Server, Server]
  let redis: Pair
  let stockd: Pair
  beforeAll(async () => {
    const args = ['--appendonly', 'no', '--enable-debug-command', 'yes']
    servers = await Promise.all([startRedis({ args }), startNode({ args })])
    redis = await Pair.connect(servers[0])
    stockd = await Pair.connect(servers[1])
  })
  afterAll(async () => {
    await redis[Symbol.asyncDispose]()
    await stockd[Symbol.asyncDispose]()
    for (const server of servers) await server[Symbol.asyncDispose]()
  })

  /** @returns how many messages there were. */
  const both = async (commands: readonly Command[]): Promise<number> => {
    const [expected, got] = await Promise.all([redis.heard(commands), stockd.heard(commands)])
    for (const [i, command] of commands.entries()) {
      expect(
        got[i],
        `${JSON.stringify(command)} after\n${commands
          .slice(0, i)
          .map((c) => JSON.stringify(c))
          .join('\n')}`,
      ).toEqual(expected[i])
    }
    return expected.flat().length
  }

  it(`of ${COMMANDS} random commands are redis-server's (SEED=${SEED})`, async () => {
    let messages = 0
    for (let n = 0; n * EPISODE < COMMANDS; n++) {
      const generator = new RandomCommands(new Random(SEED).fork(`episode ${n}`))
      const commands = Array.from({ length: EPISODE }, () => generator.next())
      await both([['FLUSHALL'], ['SELECT', '0']])
      messages += await both(commands).catch((error: unknown) => {
        throw new Error(`SEED=${SEED}, episode ${n}`, { cause: error })
      })
    }
    expect(messages).toBeGreaterThan(COMMANDS / 4)
  })

  it(`stand where redis-server has them among the replies to whoever listens to what he does (SEED=${SEED})`, async () => {
    await using theirs = await Listener.of(servers[0])
    await using ours = await Listener.of(servers[1])
    const generator = new RandomCommands(new Random(SEED).fork('listener'))
    let messages = 0
    for (let i = 0; i < 2000; i++) {
      const command = generator.next()
      const [expected, got] = await Promise.all([theirs.run(command), ours.run(command)])
      if (!expected.includes('pmessage') || ELSEWHERE.test(command[0].toUpperCase()) || UNORDERED.test(command[0].toUpperCase())) continue
      messages++
      expect(got, `SEED=${SEED}: ${JSON.stringify(command)}`).toBe(expected)
    }
    expect(messages).toBeGreaterThan(500)
  })

  it('of commands that random ones do not reach are, too', async () => {
    await both([['FLUSHALL'], ['SELECT', '0']])
    await both([
      ['SADD', 's', 'a'],
      ['SPOP', 's'],
      ['SADD', 's', 'a', 'b', 'c', '1', '2', '3'],
      ['SPOP', 's'],
      ['SPOP', 's', '2'],
      ['SPOP', 's', '0'],
      ['SPOP', 's', '100'],
      ['SPOP', 's', '100'],
      ['SET', 'k', 'v', 'EXAT', '1'],
      ['GET', 'k'],
      ['SET', 'k', 'v'],
      ['GETEX', 'k', 'PXAT', '1'],
      ['SET', 'k', 'v'],
      ['PEXPIREAT', 'k', '1'],
      ['RPUSH', 'l', '1'],
      ['LMOVE', 'l', 'l', 'LEFT', 'RIGHT'],
      ['LMOVE', 'l', 'm', 'LEFT', 'RIGHT'],
      ['RPOPLPUSH', 'm', 'l'],
      ['BLPOP', 'm', 'l', '0'],
      ['RPUSH', 'l', '1', '2'],
      ['BLMOVE', 'l', 'm', 'RIGHT', 'LEFT', '0'],
      ['BLMPOP', '0', '2', 'x', 'm', 'LEFT'],
      ['LTRIM', 'l', '0', '-1'],
      ['LTRIM', 'l', '5', '9'],
      ['ZADD', 'z', '1', 'a', '2', 'b'],
      ['BZPOPMIN', 'z', '0'],
      ['BZMPOP', '0', '1', 'z', 'MAX'],
      ['MULTI'],
      ['SET', 'k', '1'],
      ['INCR', 'k'],
      ['GET', 'missing'],
      ['LPUSH', 'k', 'x'],
      ['DEL', 'k'],
      ['EXEC'],
      ['OBJECT', 'ENCODING', 'missing'],
      ['OBJECT', 'IDLETIME', 'missing'],
      ['MEMORY', 'USAGE', 'missing'],
      ['DEBUG', 'OBJECT', 'missing'],
      ['SCAN', '0', 'TYPE', 'string'],
      ['RANDOMKEY'],
      ['KEYS', '*'],
    ])
  })

  it('tell of a key that expires though nobody asks', async () => {
    await both([['FLUSHALL'], ['SELECT', '0'], ['RPUSH', 'a', '1'], ['SELECT', '0']])
    for (const pair of [redis, stockd]) await pair.heard([['PEXPIRE', 'a', '30']])
    const [expected, got] = await Promise.all([redis.until('expired', 'a'), stockd.until('expired', 'a')])
    expect(got).toEqual(expected)
    expect(got).toEqual(['__keyspace@0__:a expired', '__keyevent@0__:expired a'])
  })

  it('tell of a key that has expired to whoever finds that it has gone', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    await both([['FLUSHALL'], ['SELECT', '0'], ['DEBUG', 'SET-ACTIVE-EXPIRE', '0']])
    await both(keys.map((key) => ['SET', key, '1']))
    await both(keys.map((key) => ['PEXPIRE', key, '20']))
    const set = Date.now()
    await eventually('their time has come', () => Date.now() > set + 50)
    await both([
      ['GET', 'a'],
      ['SET', 'b', '2'],
      ['DEL', 'c'],
      ['EXISTS', 'd'],
      ['RPUSH', 'e', 'x'],
      ['RENAME', 'f', 'h'],
      ['COPY', 'b', 'g'],
      ['DEBUG', 'SET-ACTIVE-EXPIRE', '1'],
    ])
  })

  it('are told of the classes that are wanted, on the channels that are', async () => {
    const story: Command[] = [
      ['FLUSHALL'],
      ['GET', 'k'],
      ['SET', 'k', 'v', 'EX', '100'],
      ['RPUSH', 'l', '1'],
      ['HSET', 'h', 'f', 'v'],
      ['SADD', 's', 'm'],
      ['ZADD', 'z', '1', 'm'],
      ['LPOP', 'l'],
      ['DEL', 'k'],
    ]
    const settings = ['', 'A', 'K', 'E', 'KE', 'KA', 'EA', 'Kg', 'E$', 'Kl', 'Es', 'Kh', 'Ez', 'KEm', 'KEn', 'KEx', 'KEtde', 'AKEn', 'nmKE']
    for (const setting of [...settings, 'g$lshzxetd', 'g$lshzxetdn', 'KKEEg', 'KEAmng$']) {
      const [expected, got] = await Promise.all([redis.want(setting), stockd.want(setting)])
      expect(got, setting).toEqual(expected)
      await both(story)
    }
    for (const wrong of ['q', 'KEA ', 'ke']) {
      const refusals = await Promise.all([redis, stockd].map((pair) => pair.writer.call('CONFIG', 'SET', 'notify-keyspace-events', wrong)))
      const texts = refusals.map((refusal) => (refusal as { text: string }).text)
      // The letters of stock stand behind Redis's.
      expect(texts[1].replace("nib'", "n'")).toBe(texts[0])
    }
    await redis.want(EVERYTHING)
    await stockd.want(EVERYTHING)
  })
})
