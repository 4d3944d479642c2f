// `numkeys key ...`: the arguments that are keys, for commands that begin so.

import { parseInt64 } from '../../../base/decimal.ts'
import type { Request } from '../../../resp/request.ts'

/** The keys behind argument i, which says how many; null if that does not fit the arguments. */
export function countedKeys({ bytes, start, end, argc }: Request, i: number): number[] | null {
  const keys = i < argc ? parseInt64(bytes, start[i], end[i]) : undefined
  if (keys === undefined || keys < 1 || keys > argc - i - 1) return null
  return Array.from({ length: Number(keys) }, (_, n) => i + 1 + n)
}
