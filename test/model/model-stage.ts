// The model as a stage for scenario scripts.

import type { Stage } from '../scenario/script.ts'
import { bulk, exactly, type ReplyValue } from './reply-value.ts'
import { StockModel } from './stock-model.ts'

export class ModelStage implements Stage {
  readonly model = new StockModel()

  execute(args: readonly string[], now: number, protocol: 2 | 3, database: number): ReplyValue {
    if (database !== 0 && /^(stock\.|fcall)/i.test(args[0])) return exactly('ERR STOCK commands need database 0')
    const reply = this.model.execute(args, now)
    if (protocol === 3 || reply === null || typeof reply !== 'object' || !('pairs' in reply)) return reply
    return reply.pairs.flatMap(([key, value]) => [bulk(key), value])
  }

  advance(now: number): void {
    this.model.advance(now)
  }

  restart(now: number): void {
    this.model.restart(now)
  }

  full(what: string, isFull: boolean): void {
    if (what === 'memory') this.model.outOfMemory = isFull
    else this.model.backlogFull = isFull
  }
}
