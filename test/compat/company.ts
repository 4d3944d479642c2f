// Two companies of clients, one of a redis-server and one of a node, who do the same in the same order: every byte that each client is told
// is compared, messages too, and what is in the databases afterwards.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { eventually } from '../support/eventually.ts'
import { encodeRequest, replyEnd } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { Server } from '../support/server.ts'
import { contentsApart, contentsOf } from './contents.ts'
import { CLIENTS } from './random-company.ts'
import type { Step } from './random-company.ts'

export interface CompanyEpisode {
  readonly steps: readonly Step[]
  /** RESP versions, by client. */
  readonly protocols: readonly (2 | 3)[]
  /** notify-keyspace-events */
  readonly notices: string
  /** Messages are compared in their places between the replies; else by themselves. */
  readonly isStrict: boolean
  /** Somebody watches all of it with MONITOR. */
  readonly isMonitored: boolean
}

export interface CompanyResult {
  /** Where they differ; '' if nowhere. */
  readonly text: string
  /** Replies and messages compared. */
  readonly told: number
}

const END = 'that was all'

/** A client that keeps all it was told. */
class Listener {
  readonly socket: Socket
  readonly #told: Buffer[] = []
  id = ''

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.#told.push(chunk))
    // A server that ends shows in what is missing.
    socket.on('error', () => {})
  }

  static connect(port: number): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Listener(socket)))
    })
  }

  /** Replies and messages, each as text, as far as they are whole. */
  told(): string[] {
    const bytes = Buffer.concat(this.#told)
    const items: string[] = []
    for (let at = 0; at < bytes.length;) {
      const end = replyEnd(bytes, at)
      if (end === -1) break
      items.push(normal(bytes.toString('latin1', at, end)))
      at = end
    }
    return items
  }

  hasHeard(text: string): boolean {
    const last = this.#told.slice(-2)
    return Buffer.concat(last).includes(text)
  }
}

/** Without ids of clients, ports and instants. */
function normal(item: string): string {
  return item
    .replace(/(\$2\r\nid\r\n):\d+/g, '$1:N')
    .replace(/^\+\d+\.\d+ \[(\d+) [^\]]*\]/, '+T [$1 A]')
    .replace(/^(\+T .*"unblock" )"\d+"/i, '$1"N"')
}

/** The replies, and behind them the messages of RESP3. */
const apart = (items: readonly string[]): string[] => [
  ...items.filter((item) => !item.startsWith('>')),
  ...items.filter((item) => item.startsWith('>')),
]

/** One server's side. */
class Side {
  readonly clients: Listener[] = []
  readonly control: RawClient

  private constructor(control: RawClient) {
    this.control = control
  }

  static async open(server: Server, episode: CompanyEpisode): Promise<Side> {
    const side = new Side(await server.connect())
    await side.control.pipeline([['FLUSHALL'], ['CONFIG', 'SET', 'notify-keyspace-events', episode.notices]])
    for (let i = 0; i < CLIENTS + (episode.isMonitored ? 1 : 0); i++) {
      const client = await Listener.connect(server.port)
      side.clients.push(client)
      client.socket.write(i === CLIENTS ? encodeRequest(['MONITOR']) : encodeRequest(['HELLO', episode.protocols[i]]))
      const heard = i === CLIENTS ? '+OK' : 'modules'
      await eventually('a greeting', () => client.hasHeard(heard))
    }
    // The newest ids are theirs, in their order.
    const lines = String(await side.control.call('CLIENT', 'LIST')).split('\n')
    for (const client of side.clients) {
      const mine = lines.find((line) => line.includes(` addr=127.0.0.1:${client.socket.localPort} `))
      client.id = /id=(\d+)/.exec(mine ?? '')?.[1] ?? ''
    }
    return side
  }

  send({ client, commands }: Step): void {
    const named = commands.map((command) =>
      command.map((word) =>
        Buffer.from(
          word.replace(/^\{id (\d)\}$/, (_, n: string) => this.clients[Number(n)].id),
          'latin1',
        ),
      ),
    )
    this.clients[client].socket.write(Buffer.concat(named.map((command) => encodeRequest(command))))
  }

  /** All that was sent has been taken, and who was served has gone on with what lies behind it: each such step is a turn of the loop. */
  async settled(turns: number): Promise<void> {
    for (let n = 0; n < turns; n++) await this.control.command('PING')
  }

  unblock(client: number): Promise<string> {
    return this.control.command('CLIENT', 'UNBLOCK', this.clients[client].id).then(String)
  }

  async end(): Promise<void> {
    for (let i = 0; i < CLIENTS; i++) {
      this.clients[i].socket.write(Buffer.concat([encodeRequest(['RESET']), encodeRequest(['ECHO', END])]))
      await eventually('the end of a conversation', () => this.clients[i].hasHeard(`${END}\r\n`))
    }
    const monitor = this.clients.at(CLIENTS)
    if (monitor === undefined) return
    const isEnd = (line: string): boolean => line.includes(END)
    await eventually('the end of MONITOR', () => monitor.told().filter(isEnd).length === CLIENTS)
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.socket.destroy()
    await this.control.close()
  }
}

/** Plays an episode on both. */
export async function play(redis: Server, stockd: Server, episode: CompanyEpisode): Promise<CompanyResult> {
  const sides = await Promise.all([Side.open(redis, episode), Side.open(stockd, episode)])
  const [theirs, ours] = sides
  const turns = episode.isStrict ? 1 : 3
  try {
    for (const step of episode.steps) {
      for (const side of sides) side.send(step)
      await Promise.all(sides.map((side) => side.settled(turns)))
    }
    // Whoever still waits is told that the time is up; what lies behind it may wait again, or serve somebody.
    for (let i = 0, quiet = 0; quiet < CLIENTS; i = (i + 1) % CLIENTS) {
      const [a, b] = await Promise.all(sides.map((side) => side.unblock(i)))
      if (a !== b) return { text: `client ${i} ${a === ':1\r\n' ? 'waits' : 'does not wait'} in redis-server only at the end`, told: 0 }
      quiet = a === ':1\r\n' ? 0 : quiet + 1
      await Promise.all(sides.map((side) => side.settled(turns)))
    }
    await Promise.all(sides.map((side) => side.end()))
    let told = 0
    for (let i = 0; i < CLIENTS; i++) {
      const [a, b] = [theirs.clients[i].told(), ours.clients[i].told()].map((items) => (episode.isStrict ? items : apart(items)))
      told += a.length
      const at = a.findIndex((item, n) => item !== b[n])
      if (at !== -1 || b.length > a.length) {
        const n = at === -1 ? a.length : at
        return { text: `client ${i}, ${n}:\n    redis:  ${JSON.stringify(a[n])}\n    stockd: ${JSON.stringify(b[n])}`, told }
      }
    }
    if (episode.isMonitored) {
      const [a, b] = sides.map((side) => side.clients[CLIENTS].told().filter((line) => !/"(ping|client)"/i.test(line)))
      const n = a.findIndex((item, k) => item !== b[k])
      if (n !== -1) return { text: `MONITOR, ${n}:\n    redis:  ${JSON.stringify(a[n])}\n    stockd: ${JSON.stringify(b[n])}`, told }
      told += a.length
    }
    const [expected, got] = await Promise.all(sides.map((side) => contentsOf(side.control)))
    return { text: contentsApart(got, expected), told }
  } finally {
    await Promise.all(sides.map((side) => side.close()))
  }
}

/** The shortest episode found, by leaving out ever smaller pieces, that still differs. */
export async function shrunk(
  redis: Server,
  stockd: Server,
  episode: CompanyEpisode,
  text: string,
): Promise<{ episode: CompanyEpisode; text: string }> {
  let { steps } = episode
  let last = text
  const isStill = async (shorter: readonly Step[]): Promise<boolean> => {
    const again = await play(redis, stockd, { ...episode, steps: shorter })
    if (again.text === '') return false
    steps = shorter
    last = again.text
    return true
  }
  for (let piece = steps.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = Math.max(0, steps.length - piece); ; at = Math.max(0, at - piece)) {
      await isStill(steps.toSpliced(at, piece))
      if (at === 0) break
    }
  }
  for (let at = steps.length - 1; at >= 0; at--) {
    for (let n = steps[at].commands.length - 1; n >= 0 && steps[at].commands.length > 1; n--) {
      await isStill(steps.with(at, { ...steps[at], commands: steps[at].commands.toSpliced(n, 1) }))
    }
  }
  return { episode: { ...episode, steps }, text: last }
}
