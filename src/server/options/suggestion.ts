// What was probably meant by a name that is no option.

import { OPTIONS } from '../options.ts'
import { redisOnlyName } from './redis-only.ts'

/** The message for a name that is no option. */
export function unknownOption(name: string, dashes = ''): string {
  if (redisOnlyName(name) !== undefined)
    return `${JSON.stringify(dashes + name)} is an option of redis-server that a node does not have: leave it out`
  const near = nearestOption(name, Math.max(2, Math.floor(name.length / 3)))
  return `unknown option ${JSON.stringify(dashes + name)}${near === null ? '' : `; did you mean ${dashes}${near}?`}`
}

/** The option whose name is nearest, if it is near enough to be what was meant. */
export function nearestOption(name: string, editsMax: number): string | null {
  let best: string | null = null
  let least = editsMax + 1
  for (const known of OPTIONS.keys()) {
    const edits = known.startsWith(name) && name.length >= 4 ? 1 : editDistance(name.slice(0, 64), known)
    if (edits < least) {
      best = known
      least = edits
    }
  }
  return best
}

/** How many characters to insert, delete, replace or exchange with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j], before[j - 2] + 1)
    }
    before = row
    row = next
  }
  return row[b.length]
}
