// `stockd-orders archive`: moves orders that are over into the history tables, batch by batch.
//
// Each batch is one transaction, so it may be interrupted at any moment: what was moved is moved, and the next run goes on. Orders are
// counted before and after; nothing else moves them between the tables, so live and history together stay what they were.

import { setImmediate as immediate } from 'node:timers/promises'
import type { Store } from '../../orders/store/store.ts'
import { badArgument } from '../command-line.ts'
import type { Console } from '../console.ts'
import { Progress } from '../progress.ts'
import { EXIT_OK, EXIT_WRONG } from './exit-codes.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { counted, facts, localTime } from './table.ts'

const BATCH = 1000
const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

interface Wanted {
  /** Orders that were last changed before this moment (unix ms). */
  readonly before: number
  readonly batch: number
  readonly isDryRun: boolean
}

export function addArchive(tool: OrdersTool): void {
  tool
    .onStore('archive', 'moves orders that are over into the history tables')
    .requiredOption('--older-than <age>', 'only those that nothing has happened to for so long: 90d, 12w, 36h', ageOf)
    .option('--batch <n>', 'orders of one transaction', wholeNumber(1, 100_000), BATCH)
    .option('--dry-run', 'only says how many that would be')
    .addHelpText(
      'after',
      '\nOver are orders that are CONFIRMED, RELEASED, EXPIRED or RETURNED. What is returned or paid later brings an order back by itself.\n' +
        'Ctrl-C ends it after the batch in hand. list --history and show find archived orders.',
    )
    .action(async (options) => {
      const { olderThan, batch, dryRun } = options
      const wanted = { before: Date.now() - olderThan, batch, isDryRun: dryRun === true }
      await tool.withStore(options, wanted.isDryRun ? 'read' : 'write', (store, out) => archive(store, wanted, out))
    })
}

async function archive(store: Store, { before, batch, isDryRun }: Wanted, out: Console): Promise<number> {
  const wanted = await store.archivable(before)
  const since = `nothing has happened since ${localTime(before)}`
  if (isDryRun || wanted === 0) {
    const text =
      wanted === 0
        ? `nothing to archive: there are no orders that are over and to which ${since}`
        : `would archive ${counted(wanted, 'order')}`
    out.result(text, { archivable: wanted, moved: 0, before })
    return EXIT_OK
  }
  const stop = new Interruption()
  const progress = new Progress({ isSilent: out.isJson })
  const counts = await countsOf(store)
  let moved = 0
  try {
    while (!stop.isAsked) {
      const count = await store.archive(before, batch)
      moved += count
      progress.show('archiving', moved, Math.max(wanted, moved))
      if (count === 0) break
      // A store that answers at once lets no signal through by itself.
      await immediate()
    }
  } finally {
    stop.end()
    progress.clear()
  }
  const after = await countsOf(store)
  const left = await store.archivable(before)
  // A consumer may store new orders meanwhile, and bring an archived one back that something happens to: then the sum is greater, never less.
  const isWhole = after.live + after.history >= counts.live + counts.history
  const shown = ({ live, history }: Counts): string => `${live} live + ${history} archived = ${live + history}`
  out.result(
    facts([
      ['store', store.name],
      ['archived', `${counted(moved, 'order')} to which ${since}`],
      ['before', shown(counts)],
      ['after', shown(after)],
      ['left', left === 0 ? null : `${counted(left, 'order')}: run it again`],
      ['interrupted', stop.isAsked ? 'after a whole batch; nothing is half done' : null],
      ['WRONG', isWhole ? null : 'orders are missing: stockd-orders reconcile says which'],
    ]),
    { before, moved, left, isInterrupted: stop.isAsked, isWhole, counts: { before: counts, after } },
  )
  return isWhole ? EXIT_OK : EXIT_WRONG
}

interface Counts {
  readonly live: number
  readonly history: number
}

async function countsOf(store: Store): Promise<Counts> {
  const { orders, history } = await store.stats()
  return { live: Object.values(orders).reduce((sum, count) => sum + count, 0), history }
}

/** Ctrl-C ends the work after the batch in hand; a second one ends the process, and the database takes the batch back. */
class Interruption {
  isAsked = false
  readonly #asked = (): void => {
    if (this.isAsked) process.exit(130)
    this.isAsked = true
  }

  constructor() {
    process.on('SIGINT', this.#asked)
    process.on('SIGTERM', this.#asked)
  }

  end(): void {
    process.off('SIGINT', this.#asked)
    process.off('SIGTERM', this.#asked)
  }
}

function ageOf(text: string): number {
  const found = /^(\d{1,6})([smhdw])$/.exec(text)
  if (found === null) throw badArgument('expected a number and a unit: 90d, 12w, 36h, 30m, 10s.')
  return Number(found[1]) * UNITS[found[2]]
}
