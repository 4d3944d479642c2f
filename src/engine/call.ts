// One command being run: the request, where the reply goes, who asked. A single Call object serves all commands, one after another.

import type { Millis } from '../base/brand.ts'
import type { Reply } from '../resp/reply.ts'
import type { Request } from '../resp/request.ts'
import type { CommandSpec } from './command.ts'
import type { Engine } from './engine.ts'

/** What the engine knows of the one who asks. The server's Session implements it; simulations and tests have their own. */
export interface Client {
  /** Index of the selected database, 0..15. */
  database: number
}

export class Call {
  readonly engine: Engine
  request: Request
  readonly reply: Reply
  client: Client
  /** The command being run; of a container (CLIENT, CONFIG ...) the subcommand. Set by whoever resolves it, before `run`. */
  spec: CommandSpec | null = null

  constructor(engine: Engine, request: Request, reply: Reply, client: Client) {
    this.engine = engine
    this.request = request
    this.reply = reply
    this.client = client
  }

  /** The instant of this turn: the same for all its commands. */
  get now(): Millis {
    return this.engine.now
  }
}
