// `stockd-orders cursor`: how far the database is in each part of each stream; and an operator's decision to go on without events that
// nobody has any more.

import { StockdError } from '../../base/error.ts'
import type { NodeView } from '../../orders/reconcile/node-view.ts'
import type { Cursor, Store } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { noteOf } from './dead.ts'
import { EXIT_OK, EXIT_WRONG } from './exit-codes.ts'
import { partNumber, streamOf } from './event-place.ts'
import { makeNodes } from './node-options.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { localTime, table } from './table.ts'

interface Decision {
  readonly part: number
  readonly pseq: number
  readonly stream: string | undefined
  readonly note: string
  readonly isSure: boolean
  /** Beyond what the node knows. */
  readonly isForced: boolean
}

/** What a node that is there answers in. */
const ASK_MS = 5000

export function addCursor(tool: OrdersTool): void {
  const group = tool.group('cursor', 'how far the database is, and going on without events that nobody has: list, set')
  tool.onStore('list', 'shows how far the database is in each part', group).action(async (options) => {
    await tool.withStore(options, 'read', list)
  })
  tool
    .onStoreAndNodes('set', 'gives up events that cannot be had any more, so that those behind them can be stored', group)
    .argument('<part>', 'the part', partNumber)
    .argument('<pseq>', 'the last event that will not come: the one behind it is the next', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .requiredOption('--note <text>', 'why, for those who look later', noteOf)
    .option('--stream <name>', 'the stream, if there are several')
    .option('--yes', 'does it; without this it only says what it would mean')
    .option('--force', 'also beyond the last event that the node has given a number')
    .addHelpText(
      'after',
      '\nFor one situation: a consumer says that events are missing and the node has them no more (its log begins later). Everything else\n' +
        'mends itself, or by reconcile --fix. It cannot be taken back: a cursor only goes forward. Events up to the number that are still to come\n' +
        'would never be stored, so the node is asked how far it is.',
    )
    .action(async (part, pseq, options) => {
      const { note, stream, yes, force } = options
      const decision = { part, pseq, stream, note, isSure: yes === true, isForced: force === true }
      const nodes = makeNodes(options, process.env, ASK_MS)
      try {
        await tool.withStore(options, decision.isSure ? 'write' : 'read', (store, out) => set(store, nodes, decision, out))
      } finally {
        for (const node of nodes) node.close()
      }
    })
}

async function list(store: Store, out: Console): Promise<number> {
  const cursors = await store.cursors()
  const rows = cursors.map(({ stream, part, pseq, first, updatedAt }) => [stream, ...[part, first, pseq].map(String), localTime(updatedAt)])
  const text =
    cursors.length === 0 ? `${store.name} has no events yet` : table(['STREAM', 'PART', 'FIRST', 'STORED UP TO', 'LAST STORED'], rows)
  out.result(out.isJson ? '' : text, { cursors })
  return EXIT_OK
}

async function set(store: Store, nodes: readonly NodeView[], decision: Decision, out: Console): Promise<number> {
  const { part, pseq, stream: named, note, isSure, isForced } = decision
  const stream = await streamOf(store, named)
  const cursors = await store.cursors()
  const found = cursors.find((cursor) => cursor.stream === stream && cursor.part === part)
  if (named !== undefined && !cursors.some((cursor) => cursor.stream === named) && !isSure) {
    out.note(`${store.name} has nothing of a stream ${named} yet: is it spelled right? STOCK.OUTBOX STREAM at the node says its name`)
  }
  const before = found?.pseq ?? 0
  if (pseq <= before) {
    throw new StockdError('BAD_OPTION', `part ${part} of ${stream} is stored up to ${before} already: a cursor only goes forward`)
  }
  const asked = await lastOf(nodes, stream, part)
  if ('last' in asked && pseq > asked.last && !isForced) {
    throw new StockdError(
      'BAD_OPTION',
      `node ${asked.node} has numbered events of part ${part} of ${stream} only up to ${asked.last}: those up to ${pseq} are still to happen, ` +
        `and would never be stored. Give ${asked.last} or less, or --force`,
    )
  }
  const warning = 'last' in asked ? null : `whether the node has numbered so many events is not known: ${asked.why}`
  if (warning !== null) out.note(warning)
  const what = meaning(found, { stream, part, pseq })
  if (!isSure) {
    out.result(`${what}\nNothing was changed. To do it, give --yes.`, {
      isDone: false,
      stream,
      part,
      from: before + 1,
      to: pseq,
      note,
      warning,
    })
    return EXIT_WRONG
  }
  await store.setCursor({ stream, part }, pseq, note)
  out.result(`${what}\nDone; the note is kept.`, { isDone: true, stream, part, from: before + 1, to: pseq, note, warning })
  return EXIT_OK
}

/** How far a node has numbered its events; or why that is not known. */
async function lastOf(
  nodes: readonly NodeView[],
  stream: string,
  part: number,
): Promise<{ readonly node: string; readonly last: number } | { readonly why: string }> {
  const reasons: string[] = []
  for (const node of nodes) {
    try {
      const status = await node.status()
      if (status.stream === stream) return { node: node.name, last: status.last[part] }
      reasons.push(`node ${node.name} is at stream ${status.stream}`)
    } catch (error) {
      if (!(error instanceof StockdError)) throw error
      reasons.push(error.message)
    }
  }
  return { why: `${reasons.join('; ')} (--node names another)` }
}

function meaning(found: Cursor | undefined, { stream, part, pseq }: { stream: string; part: number; pseq: number }): string {
  const from = (found?.pseq ?? 0) + 1
  const events = from === pseq ? `event ${pseq}` : `events ${from} to ${pseq} (${pseq - from + 1} of them)`
  return (
    `${events} of part ${part} of ${stream} will never be in this database: orders that they are about stay as they are now, or are\n` +
    `missing, and its sums per SKU lack them until the next audit mark. The next event that is stored is ${pseq + 1}.`
  )
}
