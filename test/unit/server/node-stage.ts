// A whole node without sockets, disk or clock: every command, through dispatch and turn, as clients made of arrays see it.

import { millis } from '../../../src/base/brand.ts'
import { nodeCommands } from '../../../src/cli/commands.ts'
import { Node } from '../../../src/server/node.ts'
import { Options } from '../../../src/server/options.ts'
import type { OptionValues } from '../../../src/server/options.ts'
import type { Session } from '../../../src/server/session.ts'
import { FakeEnv, FakeTransport } from './stage.ts'
import type { FakeLog } from './stage.ts'

class Peer extends FakeTransport {
  override readonly addr: string
  onDestroyed: () => void = () => {}
  constructor(addr: string) {
    super()
    this.addr = addr
  }

  override destroy(): void {
    super.destroy()
    this.onDestroyed()
  }
}

export class NodeStage {
  readonly env = new FakeEnv()
  readonly node: Node
  #peers = 0

  /** @param log takes the records; without it there is none (`appendonly no`) */
  constructor(values: Partial<OptionValues> = {}, log: FakeLog | null = null) {
    const options = new Options({ appendonly: log !== null, ...values })
    // It is never opened: a stage has no directory.
    const openLog = log === null ? null : () => Promise.reject(new Error('a stage opens no log'))
    this.node = new Node({ options, env: this.env, specs: nodeCommands, openLog })
    if (log !== null) this.node.turn.log = log
    this.node.engine.advance(millis(this.env.now))
  }

  connect(): NodeClient {
    const transport = new Peer(`10.0.0.1:${1000 + this.#peers++}`)
    const session = this.node.open(transport)
    // As a socket tells it: later.
    transport.onDestroyed = () => this.env.endOfTurn(() => this.node.closed(session))
    return new NodeClient(this, session, transport)
  }

  /** Time goes on, and the node's timer beats. */
  pass(ms: number): void {
    this.env.now += ms
    this.node.turn.checkParked()
    this.env.passAll()
  }
}

export class NodeClient {
  readonly #stage: NodeStage
  readonly session: Session
  readonly transport: FakeTransport

  constructor(stage: NodeStage, session: Session, transport: FakeTransport) {
    this.#stage = stage
    this.session = session
    this.transport = transport
  }

  /** Words parted by spaces; what came back since the last time. */
  ask(line: string): string {
    const words = line.split(' ')
    return this.raw(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
  }

  raw(text: string): string {
    const input = Buffer.alloc(1024 + text.length)
    input.write(text, 1024, 'latin1')
    this.#stage.node.turn.receive(this.session, input, 1024, input.length)
    this.#stage.env.passAll()
    return this.read()
  }

  read(): string {
    const text = this.transport.text()
    this.transport.sent = []
    return text
  }

  /** The body of a bulk or verbatim reply. */
  text(line: string): string {
    return this.ask(line)
      .replace(/^[$=]\d+\r\n(txt:)?/, '')
      .replace(/\r\n$/, '')
  }
}
