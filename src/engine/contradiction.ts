// What replay of keys' records says when a record cannot be true: the log and the state do not belong together, and the node stops.

import { StockdError } from '../base/error.ts'
import type { Request } from '../resp/request.ts'

export function contradiction(record: Request, why: string): StockdError {
  const key = record.argc > 1 ? ` of '${record.latin1(1).slice(0, 64)}'` : ''
  return new StockdError('LOG_SEMANTIC', `record ${record.latin1(0)}${key} contradicts the state: ${why}`)
}

/** The checksums of a record are right, and it has not the shape that it has here: no disk does that. */
export const OTHER_SHAPE =
  'wrong number of arguments. Nothing is damaged, its checksum is right: another stockd wrote this log, one from before the first release or a ' +
  'newer one, and only that one reads it'

/** Throws if a record has not so many arguments, its name included. */
export function expectArguments(record: Request, least: number, most = Infinity): void {
  if (record.argc < least || record.argc > most) throw contradiction(record, OTHER_SHAPE)
}
