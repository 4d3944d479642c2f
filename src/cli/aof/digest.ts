// stockd-aof digest: one word for the whole state; two directories with the same word hold the same keys, stock and orders.

import type { Console } from '../console.ts'
import { EXIT_OK, EXIT_TORN } from './exit-codes.ts'
import { replayAll } from './replay.ts'

export function digest(directory: string, out: Console): number {
  const { engine, found } = replayAll(directory, out)
  const word = engine.digest()
  out.result(`${word} at LSN ${found.last}`, { digest: word, last: found.last, records: found.records })
  return found.damage === null ? EXIT_OK : EXIT_TORN
}
