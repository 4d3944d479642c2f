// Two servers that are told the same: a redis-server and a stockd node, or any two. Runs lists of commands on both and finds the first
// reply in which they disagree, and the shortest list that still makes them disagree.

import { decodeReply, encodeRequest } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { Server } from '../support/server.ts'
import { Random } from '../../src/base/random.ts'
import { disagreement, pairs } from './differences.ts'
import type { Command } from './random-commands.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A list of commands that starts from empty databases. */
export interface Episode {
  readonly protocol: 2 | 3
  readonly commands: readonly Command[]
  /** Seed of how the pipeline is cut into writes. */
  readonly cuts: number
}

export interface Disagreement {
  /** Index of the command. */
  readonly at: number
  readonly text: string
}

/** A SCAN that starts an iteration (redis reads an empty cursor as 0): all of it is one step, and what it finds is compared as a set. */
function isIteration(command: Command): boolean {
  const at = cursorAt(command)
  return at > 0 && (command[at] === '0' || command[at] === '')
}

/** Which argument of this command is a cursor; 0: none. */
function cursorAt(command: Command): number {
  const name = command[0].toUpperCase()
  return name === 'SCAN' ? 1 : name === 'HSCAN' || name === 'SSCAN' || name === 'ZSCAN' ? 2 : 0
}

export class Twins implements AsyncDisposable {
  readonly #redis: Record<2 | 3, RawClient>
  readonly #stockd: Record<2 | 3, RawClient>

  private constructor(redis: Record<2 | 3, RawClient>, stockd: Record<2 | 3, RawClient>) {
    this.#redis = redis
    this.#stockd = stockd
  }

  static async connect(redis: Server, stockd: Server): Promise<Twins> {
    const pair = async (server: Server): Promise<Record<2 | 3, RawClient>> => {
      const clients = { 2: await server.connect(), 3: await server.connect() }
      await clients[3].command('HELLO', '3')
      return clients
    }
    return new Twins(await pair(redis), await pair(stockd))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [this.#redis[2], this.#redis[3], this.#stockd[2], this.#stockd[3]]) await client.close()
  }

  /** Runs an episode on both; the first disagreement, or null. */
  async run(episode: Episode): Promise<Disagreement | null> {
    const redis = this.#redis[episode.protocol]
    const stockd = this.#stockd[episode.protocol]
    const random = new Random(episode.cuts)
    const reset = [['DISCARD'], ['UNWATCH'], ['FLUSHALL'], ['SELECT', '0']]
    await Promise.all([redis.pipeline(reset), stockd.pipeline(reset)])
    for (let from = 0; from < episode.commands.length;) {
      if (isIteration(episode.commands[from])) {
        const command = episode.commands[from]
        const [one, other] = await Promise.all([iterate(redis, command), iterate(stockd, command)])
        const text = disagreement(command, latin1(one), latin1(other))
        if (text !== null) return { at: from, text }
        from++
        continue
      }
      let to = Math.min(from + random.between(1, 200), episode.commands.length)
      const stop = episode.commands.slice(from, to).findIndex(isIteration)
      if (stop !== -1) to = from + stop
      const batch = episode.commands.slice(from, to)
      const stream = Buffer.concat(batch.map((command) => encodeRequest(command.map(latin1))))
      const [one, other] = await Promise.all([exchange(redis, stream, batch.length, null), exchange(stockd, stream, batch.length, random)])
      for (let i = 0; i < batch.length; i++) {
        const text = disagreement(batch[i], one[i], other[i])
        if (text !== null) return { at: from + i, text }
      }
      from = to
    }
    return null
  }

  /** The shortest list found, by leaving out ever smaller pieces, that still ends in a disagreement. */
  async shrink(episode: Episode, first: Disagreement): Promise<{ episode: Episode; text: string }> {
    let commands = episode.commands.slice(0, first.at + 1)
    let { text } = first
    for (let piece = commands.length >> 1; piece >= 1; piece >>= 1) {
      for (let at = commands.length - 1 - piece; at >= 0; at -= piece) {
        const shorter = commands.toSpliced(at, piece)
        const again = await this.run({ ...episode, commands: shorter })
        if (again === null) continue
        commands = shorter.slice(0, again.at + 1)
        text = again.text
        at = Math.min(at, commands.length - 1)
      }
    }
    return { episode: { ...episode, commands }, text }
  }
}

/** Sends a stream, in random pieces if `random` is given, and collects its replies. */
async function exchange(client: RawClient, stream: Buffer, replies: number, random: Random | null): Promise<Buffer[]> {
  if (random === null || random.chance(0.5)) client.send(stream)
  else {
    const pieceMax = random.pick([10, 100, 1000, 10_000])
    for (let at = 0, writes = 0; at < stream.length; writes++) {
      // Not more than 50 writes, or a long pipeline takes its time.
      const size = writes < 50 ? random.between(1, pieceMax) : stream.length
      client.send(stream.subarray(at, at + size))
      at += size
      if (random.chance(0.2)) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const list: Buffer[] = []
  for (let i = 0; i < replies; i++) list.push(await client.read())
  return list
}

/** What a whole iteration finds, sorted, or its error. */
async function iterate(client: RawClient, command: Command): Promise<string> {
  const found = new Set<string>()
  const at = cursorAt(command)
  const isPaired = command[0].toUpperCase() !== 'SCAN' && command[0].toUpperCase() !== 'SSCAN'
  let cursor = command[at]
  for (let steps = 0; steps < 10_000; steps++) {
    const reply = await client.command(...command.with(at, cursor).map(latin1))
    const value = decodeReply(reply)
    if (!Array.isArray(value)) return reply.toString('latin1')
    const [next, elements] = value as [string, string[]]
    for (const element of isPaired ? pairs(elements) : elements) found.add(JSON.stringify(element))
    if (next === '0') return JSON.stringify([...found].toSorted())
    cursor = next
  }
  return 'an iteration that does not end'
}
