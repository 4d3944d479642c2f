// What counts as a change of a key: behind each of many random commands, WATCH lets EXEC run on stockd exactly if it does on redis-server.
// Also where the value is what it was before. SEED replays a run, COMMANDS makes it longer.

import { describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { encodeRequest } from '../support/raw-client.ts'
import type { RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { RandomCommands } from './random-commands.ts'
import type { Command } from './random-commands.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const COMMANDS = Number(process.env.COMMANDS ?? 6000)
const EPISODE = 300
/** Of a command, so many first arguments are watched, each by a client of its own: keys are among them. */
const WATCHED = 3

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

async function tell(client: RawClient, commands: readonly Command[]): Promise<string[]> {
  client.send(Buffer.concat(commands.map((command) => encodeRequest(command.map(latin1)))))
  const replies: string[] = []
  for (const _ of commands) replies.push((await client.read()).toString('latin1'))
  return replies
}

class Crowd implements AsyncDisposable {
  readonly #writer: RawClient
  readonly #watchers: readonly RawClient[]

  private constructor(writer: RawClient, watchers: readonly RawClient[]) {
    this.#writer = writer
    this.#watchers = watchers
  }

  static async of(server: Server): Promise<Crowd> {
    return new Crowd(await server.connect(), await Promise.all(Array.from({ length: WATCHED }, () => server.connect())))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [this.#writer, ...this.#watchers]) await client.close()
  }

  clear(): Promise<string[]> {
    return tell(this.#writer, [['FLUSHALL']])
  }

  /** Which EXECs ran. */
  async run(command: Command): Promise<string[]> {
    const keys = command.slice(1, 1 + WATCHED)
    await Promise.all(keys.map((key, i) => tell(this.#watchers[i], [['WATCH', key]])))
    await tell(this.#writer, [command])
    return (await Promise.all(keys.map((_, i) => tell(this.#watchers[i], [['MULTI'], ['EXEC']])))).map(([, exec]) => exec)
  }
}

describe.skipIf(!HAS_REDIS)('WATCH', () => {
  it(`sees the changes that redis-server's sees, of ${COMMANDS} random commands (SEED=${SEED})`, async () => {
    await using redis = await startRedis()
    await using stockd = await startNode({ args: ['--appendonly', 'no'] })
    await using theirs = await Crowd.of(redis)
    await using ours = await Crowd.of(stockd)
    let broken = 0
    for (let n = 0; n * EPISODE < COMMANDS; n++) {
      const generator = new RandomCommands(new Random(SEED).fork(`episode ${n}`))
      const before: string[] = []
      await Promise.all([theirs.clear(), ours.clear()])
      for (let i = 0; i < EPISODE; i++) {
        const command = generator.next()
        // Everybody stays in database 0.
        if (command[0].toUpperCase() === 'SELECT') continue
        const [expected, got] = await Promise.all([theirs.run(command), ours.run(command)])
        before.push(JSON.stringify(command))
        expect(got, `SEED=${SEED}, episode ${n}:\n${before.join('\n')}`).toEqual(expected)
        broken += expected.filter((exec) => exec === '*-1\r\n').length
      }
    }
    expect(broken).toBeGreaterThan(COMMANDS / 10)
  })
})
