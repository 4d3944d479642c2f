// A node in this process, on real sockets: its clock can be put forward, its timer beats when told to, and tests look inside.

import { millis } from '../../src/base/brand.ts'
import type { Millis } from '../../src/base/brand.ts'
import { nodeCommands } from '../../src/cli/commands.ts'
import type { Env, Level } from '../../src/server/env.ts'
import { SystemEnv } from '../../src/server/env.ts'
import { Node } from '../../src/server/node.ts'
import { Options } from '../../src/server/options.ts'
import type { OptionValues } from '../../src/server/options.ts'
import { openLog } from '../../src/server/recovery.ts'
import type { ReadMode } from '../../src/server/socket.ts'
import { tempDir } from './temp-dir.ts'

/** The real world, but its clock can be put forward and its timer beats when told to. */
class LiveEnv extends SystemEnv implements Env {
  skewMs = 0
  readonly said: string[] = []
  #beat: () => void = () => {}

  constructor() {
    const said: string[] = []
    super((level: Level, message: string) => said.push(`${level} ${message}`))
    this.said = said
    const inner = this.clock.now.bind(this.clock)
    this.clock.now = (): Millis => millis(inner() + this.skewMs)
  }

  override every(_ms: number, beat: () => void): () => void {
    this.#beat = beat
    return () => {}
  }

  /** So much time passes; then the timer has beaten a whole second. */
  pass(ms: number): void {
    this.skewMs += ms
    for (let i = 0; i < 20; i++) this.#beat()
  }
}

const nodes: Node[] = []

/** Ends the nodes that a test has started. */
export async function stopLiveNodes(): Promise<void> {
  for (const node of nodes.splice(0)) await node.stop({ nosave: true, force: true, now: true })
}

export async function startLiveNode(
  values: Partial<OptionValues> = {},
  readMode: ReadMode = 'shared',
): Promise<{ node: Node; env: LiveEnv }> {
  const env = new LiveEnv()
  const options = new Options({ 'port': 0, 'dir': tempDir(), 'aof-min-free': 0, 'aof-ballast': 0, ...values })
  const node = new Node({ options, env, specs: nodeCommands, openLog, readMode })
  nodes.push(node)
  await node.start()
  return { node, env }
}
