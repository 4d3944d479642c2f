// Where an event is: its stream and part, and its number there. In every tool the same two or three words.

import { PARTS } from '../../engine/outbox.ts'
import { StockdError } from '../../base/error.ts'
import type { Cursor, Store, StreamPart } from '../../orders/store/store.ts'
import { badArgument } from '../command-line.ts'

export function partNumber(text: string): number {
  const part = /^\d{1,2}$/.test(text) ? Number(text) : NaN
  if (!(part < PARTS)) throw badArgument(`expected a part, 0 to ${PARTS - 1}.`)
  return part
}

/** --stream, or the only one that there is. */
export async function streamOf(store: Store, stream: string | undefined, candidates: readonly StreamPart[] = []): Promise<string> {
  if (stream !== undefined) return stream
  const cursors: readonly Cursor[] = await store.cursors()
  const names = [...new Set([...candidates, ...cursors].map((at) => at.stream))]
  if (names.length === 1) return names[0]
  if (names.length === 0) throw new StockdError('BAD_OPTION', `${store.name} knows no stream yet: name one with --stream`)
  throw new StockdError('BAD_OPTION', `${store.name} has events of several streams, name one: --stream ${names.join(', or --stream ')}`)
}
