// Pub/sub as redis-server does it: the same commands to both, in lockstep on several connections, and every byte that any of them hears
// is compared. Only where redis-server has the order of a hash table (UNSUBSCRIBE of all, PUBSUB CHANNELS, a message that several patterns
// match) any order will do.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { eventually, within } from '../support/eventually.ts'
import { encodeRequest, replyEnd } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'

const SEED = Number(process.env.SEED ?? Date.now() & 0xffffff)

type Command = readonly string[]
/** One client sends these in one write. */
interface Step {
  readonly who: number
  readonly commands: readonly Command[]
}

/** A connection that keeps what it hears as it came. */
class Line {
  readonly #socket: Socket
  #heard: Buffer = Buffer.alloc(0)
  #isOver = false
  #onChange: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => {
      this.#heard = Buffer.concat([this.#heard, bytes])
      this.#onChange()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isOver = true
      this.#onChange()
    })
  }

  static open(port: number): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Line(socket)))
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  send(commands: readonly Command[]): void {
    this.#socket.write(Buffer.concat(commands.map((command) => encodeRequest(command.map((word) => Buffer.from(word, 'latin1'))))))
  }

  /** What it heard since the last time, when it has heard this last or is closed. */
  async until(last: RegExp): Promise<Buffer> {
    const isDone = (): boolean => this.#isOver || last.test(this.#heard.toString('latin1'))
    if (!isDone()) {
      const done = new Promise<void>((resolve) => (this.#onChange = () => isDone() && resolve()))
      await within(`${last}, after ${JSON.stringify(this.#heard.toString('latin1').slice(-300))}`, done, 10_000)
    }
    const heard = this.#heard
    this.#heard = Buffer.alloc(0)
    return heard
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** All connections to one server. */
class Hall implements AsyncDisposable {
  readonly #server: Server
  readonly #lines: Line[] = []
  #control!: RawClient
  #marks = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(server: Server, size: number): Promise<Hall> {
    const hall = new Hall(server)
    hall.#control = await server.connect()
    for (let i = 0; i < size; i++) await hall.#enter(i)
    return hall
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const line of this.#lines) line.close()
    await this.#control.close()
    await using last = await this.#server.connect()
    await eventually(
      'nobody to be left',
      async () =>
        String(await last.call('CLIENT', 'LIST'))
          .trim()
          .split('\n').length === 1,
    )
  }

  async #enter(i: number): Promise<void> {
    const line = await Line.open(this.#server.port)
    this.#lines[i] = line
    line.send([['CLIENT', 'SETNAME', `line${i}`]])
    await line.until(/OK\r\n$/)
  }

  /** What each connection hears of this step; '(closed)' behind the last words of one that is closed, and another takes its place. */
  async step({ who, commands }: Step): Promise<string[]> {
    // UNSUBSCRIBE answers in every state of a connection: subscribed or not, also with CLIENT REPLY OFF.
    const mark = `mark ${++this.#marks}`
    const last = new RegExp(`unsubscribe\\r\\n\\$${mark.length}\\r\\n${mark}\\r\\n:\\d+\\r\\n$`)
    this.#lines[who].send([...commands, ['UNSUBSCRIBE', mark]])
    const heard: string[] = []
    heard[who] = canonical(await this.#lines[who].until(last))
    await Promise.all(
      this.#lines.map(async (line, i) => {
        if (i === who) return
        line.send([['UNSUBSCRIBE', mark]])
        heard[i] = canonical(await line.until(last))
      }),
    )
    for (const [i, line] of this.#lines.entries()) {
      if (!line.isOver) continue
      heard[i] += '(closed)'
      await this.#enter(i)
    }
    return heard
  }

  /** What the server says of its connections and channels. */
  async state(): Promise<string> {
    const list = String(await this.#control.call('CLIENT', 'LIST'))
    const clients = list
      .split('\n')
      .filter((line) => line.includes('name=line') || /\bsub=[1-9]|\bpsub=[1-9]|\bssub=[1-9]/.test(line))
      .map((line) => [...line.matchAll(/(?<= )(name|flags|db|sub|psub|ssub|multi|resp)=\S*/g)].map(([field]) => field).join(' '))
    const info = String(await this.#control.call('INFO', 'stats'))
    const counts = [...info.matchAll(/^pubsub\w+:\d+/gm)].map(([line]) => line)
    const ofType = String(await this.#control.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).trim()
    return [...clients.toSorted(), ...counts, `${ofType === '' ? 0 : ofType.split('\n').length} of type pubsub`].join('\n')
  }
}

/** The bytes, with the parts that may come in any order in one order. */
function canonical(bytes: Buffer): string {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = replyEnd(bytes, at)
    if (end === -1) throw new Error(`a frame is not whole: ${bytes.toString('latin1', at)}`)
    frames.push(bytes.subarray(at, end))
    at = end
  }
  return inOneOrder(frames).join('')
}

function inOneOrder(frames: readonly Buffer[]): string[] {
  const texts = frames.map((frame) => {
    const text = frame.toString('latin1')
    if (!/^[*>]/.test(text)) return text.replace(/(\bid\r\n:)\d+/, '$1N')
    const header = text.slice(0, text.indexOf('\n') + 1)
    const children: Buffer[] = []
    for (let at = header.length; at < frame.length;) {
      const end = replyEnd(frame, at)
      children.push(frame.subarray(at, end))
      at = end
    }
    const inner = inOneOrder(children)
    const isNames = children.length > 0 && children.every((child) => child[0] === 36) && !/^\$\d+\r\n(pong|[ps]?message)\r\n/.test(inner[0])
    return (header + (isNames ? inner.toSorted() : inner).join('')).replace(/(\bid\r\n:)\d+/, '$1N')
  })
  sortRuns(texts, /^[*>]3\r\n\$\d+\r\ns?unsubscribe\r\n(.*\r\n):\d+\r\n$/s)
  sortRuns(texts, /^[*>]4\r\n\$8\r\npmessage\r\n(.*)$/s)
  return texts
}

/** Within each run of texts that match, sorts what the group matches; the rest stays where it is. */
function sortRuns(texts: string[], shape: RegExp): void {
  for (let from = 0; from < texts.length; from++) {
    let to = from
    while (to < texts.length && shape.test(texts[to])) to++
    if (to - from < 2) continue
    const groups = texts.slice(from, to).map((text) => shape.exec(text)![1])
    const sorted = groups.toSorted()
    for (let i = from; i < to; i++) texts[i] = texts[i].replace(groups[i - from], () => sorted[i - from])
    from = to
  }
}

const LONG = 'long'.repeat(3000)
const NAMES = ['a', 'b', 'news.1', 'news.2', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '', ' ', '\0\xff\r\n', '*', LONG]
const PATTERNS = [...NAMES, '**', 'news.*', 'news.?', '[ab]', '[^a]*', '\\*', '\0*', '?', 'long*', '*[s1]', '__proto__*', '[', 'a\\']

/** A story is lines of `client: command | command`; words in quotes may hold what a string in JSON may. */
const STORIES: Readonly<Record<string, string>> = {
  'what a subscriber in RESP2 may say': `
    0: SUBSCRIBE a b a
    0: PING | PING hello | PING "" | PING a b | GET x | nosuch x | CLIENT LIST | CLIENT NOSUCH | SET x | ECHO x | PUBLISH a x | HELLO 3 | MULTI | EXEC
    0: PSUBSCRIBE * | SSUBSCRIBE s | UNSUBSCRIBE | PUNSUBSCRIBE | GET x | SUNSUBSCRIBE | GET x | PING`,
  'nothing to unsubscribe from': `
    0: UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE a b | PUNSUBSCRIBE a* b | SUNSUBSCRIBE a b
    0: HELLO 3 | UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE a b | PUNSUBSCRIBE a* b | SUNSUBSCRIBE a b
    1: SUBSCRIBE a | SUNSUBSCRIBE | PUNSUBSCRIBE | PUNSUBSCRIBE a | SUNSUBSCRIBE a | UNSUBSCRIBE | UNSUBSCRIBE`,
  'messages, once for each way that leads to them': `
    0: SUBSCRIBE a b | PSUBSCRIBE a* * b
    1: HELLO 3 | SUBSCRIBE a | PSUBSCRIBE ? | PSUBSCRIBE ?
    2: PUBLISH a one | PUBLISH b two | PUBLISH c three | PUBLISH "" nothing | PUBLISH a ""
    1: PUBLISH a "to oneself too" | PING | GET x
    2: SUBSCRIBE "" | PSUBSCRIBE ""
    1: PUBLISH "" nothing | SPUBLISH a "not to these"`,
  'shard channels are a world of their own': `
    0: SSUBSCRIBE a b c a
    1: SUBSCRIBE a | PSUBSCRIBE *
    2: SPUBLISH a one | PUBLISH a two | PUBSUB SHARDCHANNELS | PUBSUB CHANNELS | PUBSUB SHARDNUMSUB a b d | PUBSUB NUMSUB a b
    0: SUNSUBSCRIBE b | SUNSUBSCRIBE | PING
    2: SPUBLISH a one | PUBSUB SHARDCHANNELS`,
  'PUBSUB': `
    0: SUBSCRIBE a b news.1 __proto__ | PSUBSCRIBE a* b* a*
    1: SUBSCRIBE a | PSUBSCRIBE a* c*
    2: PUBSUB CHANNELS | PUBSUB CHANNELS * | PUBSUB CHANNELS n* | PUBSUB CHANNELS nobody | PUBSUB CHANNELS "" | PUBSUB CHANNELS a b
    2: PUBSUB NUMSUB | PUBSUB NUMSUB a b a nobody __proto__ constructor | PUBSUB NUMPAT | PUBSUB NUMPAT x | PUBSUB | PUBSUB NOSUCH | PUBSUB HELP
    2: PUBSUB SHARDCHANNELS | PUBSUB SHARDCHANNELS x y | PUBSUB SHARDNUMSUB | pubsub numsub a | PUBSUB HELP x
    0: RESET
    2: PUBSUB CHANNELS | PUBSUB NUMPAT | PUBSUB NUMSUB a
    1: QUIT
    2: PUBSUB CHANNELS | PUBSUB NUMPAT`,
  'wrong numbers of arguments': `
    0: SUBSCRIBE | PSUBSCRIBE | SSUBSCRIBE | PUBLISH | PUBLISH a | PUBLISH a b c | SPUBLISH a | SPUBLISH a b c
    0: SUBSCRIBE a | SUBSCRIBE | PUBLISH a b c | PUBLISH a | PING | RESET | PING`,
  'RESP3 may say everything, and a change of protocol shows at once': `
    0: HELLO 3 | SUBSCRIBE a | GET x | PING | PING x | SET x 1 | PUBLISH a hello | PUBSUB NUMSUB a
    1: PUBLISH a one
    0: HELLO 2 | GET x | PING
    1: PUBLISH a two
    0: UNSUBSCRIBE | GET x | DEL x`,
  'inside a transaction': `
    0: MULTI | SUBSCRIBE a b | PING | PSUBSCRIBE * | SSUBSCRIBE s | PUBLISH a hello | UNSUBSCRIBE | GET x | EXEC
    0: PING | GET x
    0: PUNSUBSCRIBE | UNSUBSCRIBE | SUNSUBSCRIBE
    0: HELLO 3 | MULTI | SUBSCRIBE a b | PING | PSUBSCRIBE * | SSUBSCRIBE s | PUBLISH a hello | UNSUBSCRIBE | GET x | EXEC
    1: MULTI | PUBLISH a one | PUBLISH b two | SPUBLISH s three | PUBSUB NUMPAT | EXEC
    1: SUBSCRIBE x | MULTI | PING
    1: UNSUBSCRIBE | MULTI | SUBSCRIBE y | GET | EXEC | PING | DISCARD`,
  'CLIENT REPLY OFF and SKIP drop replies, not messages': `
    0: CLIENT REPLY OFF | PING | SUBSCRIBE a b | PING | UNSUBSCRIBE b | GET x
    1: PUBLISH a one
    0: UNSUBSCRIBE | CLIENT REPLY ON | PING
    0: HELLO 3 | SUBSCRIBE a | CLIENT REPLY OFF | PUBLISH a two | PING | GET x | PUBLISH a three | CLIENT REPLY ON
    0: CLIENT REPLY SKIP | PUBLISH a four | PUBLISH a five | CLIENT REPLY SKIP | SUBSCRIBE b | PING
    0: CLIENT REPLY SKIP | UNSUBSCRIBE a b c | CLIENT REPLY SKIP | UNSUBSCRIBE | CLIENT REPLY OFF | UNSUBSCRIBE | CLIENT REPLY SKIP | PING
    0: CLIENT REPLY SKIP | RESET | PING | HELLO 3 | SUBSCRIBE a
    0: CLIENT REPLY ON | MULTI | PUBLISH a x | SUBSCRIBE a | PUBLISH a y | EXEC | CLIENT REPLY SKIP | PUBLISH a z
    0: CLIENT REPLY OFF | MULTI | PUBLISH a x | SUBSCRIBE b | PUBLISH b y | PING | EXEC | PUBLISH a z | CLIENT REPLY ON`,
  'CLIENT REPLY inside EXEC': `
    0: CLIENT REPLY OFF | MULTI | CLIENT REPLY ON | EXEC | PING
    0: CLIENT REPLY OFF | MULTI | PING | CLIENT REPLY ON | PING | EXEC | PING
    0: CLIENT REPLY SKIP | MULTI | CLIENT REPLY ON | EXEC | PING
    0: MULTI | PING | CLIENT REPLY SKIP | CLIENT REPLY ON | PING | EXEC | PING one | PING two
    0: CLIENT REPLY ON | HELLO 3 | SUBSCRIBE a | CLIENT REPLY OFF | MULTI | PUBLISH a 1 | CLIENT REPLY ON | PUBLISH a 2 | EXEC | PING
    0: CLIENT REPLY OFF | MULTI | PUBLISH a 1 | CLIENT REPLY SKIP | PUBLISH a 2 | EXEC | CLIENT REPLY ON`,
  'QUIT, RESET and CLIENT KILL end it': `
    0: SUBSCRIBE a | PSUBSCRIBE * | SSUBSCRIBE a
    1: SUBSCRIBE a | SSUBSCRIBE a
    2: PUBLISH a x | SPUBLISH a x
    0: QUIT | PING
    2: PUBLISH a x | SPUBLISH a x | PUBSUB CHANNELS | PUBSUB NUMPAT | PUBSUB SHARDCHANNELS
    1: RESET | PING | GET x
    2: PUBLISH a x | SPUBLISH a x | PUBSUB CHANNELS | PUBSUB SHARDCHANNELS
    0: SUBSCRIBE a
    1: PSUBSCRIBE a
    2: CLIENT KILL TYPE pubsub | PUBLISH a x | PUBSUB CHANNELS | PUBSUB NUMPAT | CLIENT KILL TYPE pubsub | CLIENT LIST TYPE pubsub
    0: SUBSCRIBE a | *nosuch
    2: PUBLISH a x
    2: HELLO 3 | SUBSCRIBE a | CLIENT KILL TYPE pubsub SKIPME no | PUBLISH a x
    1: PUBLISH a x | PUBSUB CHANNELS`,
  'what is not pub/sub is as it was': `
    0: HELLO 3 | SUBSCRIBE a | CLIENT NO-EVICT ON | CLIENT GETNAME | SELECT 3 | CLIENT SETNAME line0
    0: COMMAND GETKEYS SSUBSCRIBE a b | COMMAND GETKEYS SPUBLISH a b | COMMAND GETKEYS PUBLISH a b | COMMAND GETKEYS SUBSCRIBE a
    0: COMMAND INFO SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH SSUBSCRIBE SUNSUBSCRIBE SPUBLISH`,
  'names of every kind': NAMES.map(
    (name) => `
    0: SUBSCRIBE ${JSON.stringify(name)} | SSUBSCRIBE ${JSON.stringify(name)}
    1: HELLO 3 | PSUBSCRIBE ${JSON.stringify(name)}
    2: PUBLISH ${JSON.stringify(name)} ${JSON.stringify(name)} | SPUBLISH ${JSON.stringify(name)} x | PUBSUB NUMSUB ${JSON.stringify(name)} | PUBSUB CHANNELS
    0: UNSUBSCRIBE ${JSON.stringify(name)} | SUNSUBSCRIBE ${JSON.stringify(name)} | PING
    1: PUNSUBSCRIBE ${JSON.stringify(name)}`,
  ).join(''),
}

function stepsOf(story: string): Step[] {
  return story
    .trim()
    .split('\n')
    .map((line) => {
      const [, who, rest] = /^\s*(\d): (.*)$/s.exec(line)!
      const words = rest
        .match(/"(?:[^"\\]|\\.)*"|\S+/g)!
        .map((word) => (word.startsWith('"') ? { text: JSON.parse(word) as string } : word))
      const commands: string[][] = [[]]
      for (const word of words) {
        if (word === '|') commands.push([])
        else commands.at(-1)!.push(typeof word === 'string' ? word : word.text)
      }
      return { who: Number(who), commands }
    })
}

function randomStep(random: Random, clients: number): Step {
  const name = (): string => random.pick(NAMES)
  const names = (from: number): string[] => Array.from({ length: random.between(from, 4) }, name)
  const patterns = (from: number): string[] => Array.from({ length: random.between(from, 4) }, () => random.pick(PATTERNS))
  const listening = (): string[] =>
    random.pick([
      () => ['SUBSCRIBE', ...names(1)],
      () => ['PSUBSCRIBE', ...patterns(1)],
      () => ['SSUBSCRIBE', ...names(1)],
      () => ['UNSUBSCRIBE', ...names(0)],
      () => ['PUNSUBSCRIBE', ...patterns(0)],
      () => ['SUNSUBSCRIBE', ...names(0)],
    ])()
  const sending = (): string[] => [random.pick(['PUBLISH', 'PUBLISH', 'SPUBLISH']), name(), random.pick(['m', '', LONG, '\r\n\0', 'hello'])]
  const asking = (): string[] =>
    random.pick([
      () => ['PUBSUB', 'CHANNELS', ...patterns(0).slice(0, 1)],
      () => ['PUBSUB', 'SHARDCHANNELS', ...patterns(0).slice(0, 1)],
      () => ['PUBSUB', 'NUMSUB', ...names(0)],
      () => ['PUBSUB', 'SHARDNUMSUB', ...names(0)],
      () => ['PUBSUB', 'NUMPAT'],
      () => ['PING'],
      () => ['PING', name()],
      () => ['GET', 'x'],
      () => ['INCR', 'x'],
    ])()
  const turning = (): string[] =>
    random.pick([
      () => ['HELLO', '2'],
      () => ['HELLO', '3'],
      () => ['RESET'],
      () => ['CLIENT', 'REPLY', random.pick(['ON', 'ON', 'OFF', 'SKIP'])],
      () => ['SUBSCRIBE'],
      () => ['PUBLISH', name()],
    ])()
  const any = (): string[] =>
    random.chance(0.4) ? listening() : random.chance(0.6) ? sending() : random.chance(0.7) ? asking() : turning()
  const who = random.below(clients)
  if (random.chance(0.08)) {
    const queued = Array.from({ length: random.between(0, 4) }, () =>
      random.chance(0.8) ? random.pick([listening, sending, asking])() : turning(),
    )
    return { who, commands: [['MULTI'], ...queued, [random.chance(0.9) ? 'EXEC' : 'DISCARD']] }
  }
  // With CLIENT REPLY OFF redis-server forgets to close behind QUIT; RESET turns it on.
  if (random.chance(0.01)) return { who, commands: [any(), ['RESET'], ['QUIT'], any()] }
  return { who, commands: Array.from({ length: random.chance(0.7) ? 1 : random.between(2, 6) }, any) }
}

describe.skipIf(!HAS_REDIS)('pub/sub as redis-server does it', () => {
  let redis: Server
  let stockd: Server
  beforeAll(async () => {
    ;[redis, stockd] = await Promise.all([startRedis(), startNode({ args: ['--appendonly', 'no'] })])
  })
  afterAll(async () => {
    await redis[Symbol.asyncDispose]()
    await stockd[Symbol.asyncDispose]()
  })

  it.each(Object.entries(STORIES))('%s', async (_name, story) => {
    await using theirs = await Hall.open(redis, 3)
    await using ours = await Hall.open(stockd, 3)
    for (const step of stepsOf(story)) {
      const [expected, got] = await Promise.all([theirs.step(step), ours.step(step)])
      expect(got, JSON.stringify(step).slice(0, 500)).toEqual(expected)
      expect(await ours.state(), JSON.stringify(step).slice(0, 500)).toBe(await theirs.state())
    }
  })

  it(`whatever comes (SEED=${SEED})`, async () => {
    const random = new Random(SEED)
    for (let round = 0; round < 8; round++) {
      await using theirs = await Hall.open(redis, 5)
      await using ours = await Hall.open(stockd, 5)
      for (let i = 0; i < 150; i++) {
        const step = randomStep(random, 5)
        const [expected, got] = await Promise.all([theirs.step(step), ours.step(step)])
        expect(got, `SEED=${SEED}, round ${round}, step ${i}: ${JSON.stringify(step).slice(0, 1000)}`).toEqual(expected)
        if (i % 10 === 0) expect(await ours.state(), `SEED=${SEED}, round ${round}, step ${i}`).toBe(await theirs.state())
      }
    }
  })
})
