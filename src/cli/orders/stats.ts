// `stockd-orders stats`: how much is stored, how far each stream is, and what the ledger of each SKU says.

import type { Cursor, LedgerRow, Store } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { EXIT_OK } from './exit-codes.ts'
import { nameText } from './name-text.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { facts, localTime, table } from './table.ts'

export function addStats(tool: OrdersTool): void {
  tool
    .onStore('stats', 'counts orders and events, and tells how far each stream is stored')
    .option('--skus <n>', 'how many SKUs to list', wholeNumber(0, 100_000), 20)
    .option('--cursors', 'list each part')
    .action(async (options) => {
      const { skus, cursors } = options
      await tool.withStore(options, 'read', (store, out) => stats(store, { skus, withCursors: cursors === true }, out))
    })
}

interface Wanted {
  readonly skus: number
  readonly withCursors: boolean
}

async function stats(store: Store, { skus, withCursors }: Wanted, out: Console): Promise<number> {
  const found = await store.stats()
  const ledger = await store.ledger(null)
  if (out.isJson) {
    out.line(JSON.stringify({ store: store.name, ...found, ledger: ledger.slice(0, skus) }))
    return EXIT_OK
  }
  const states = Object.entries(found.orders)
  const orders = states.reduce((sum, [, count]) => sum + count, 0)
  const texts = [
    facts([
      ['store', store.name],
      ['orders', states.length === 0 ? '0' : `${orders} (${states.map(([state, count]) => `${count} ${state}`).join(', ')})`],
      ['archived', String(found.history)],
      ['events', String(found.events)],
      ['dead events', found.deadEvents === 0 ? '0' : `${found.deadEvents}: stockd-orders dead list says why`],
      ['given up', found.skippedEvents === 0 ? null : `${found.skippedEvents} events (cursor set)`],
    ]),
  ]
  if (found.cursors.length > 0) texts.push(withCursors ? cursorTable(found.cursors) : streamTable(found.cursors))
  if (ledger.length > 0 && skus > 0) texts.push(ledgerTable(ledger, skus))
  out.line(texts.join('\n\n'))
  return EXIT_OK
}

function streamTable(cursors: readonly Cursor[]): string {
  const rows = [...Map.groupBy(cursors, ({ stream }) => stream)].map(([stream, parts]) => [
    stream,
    String(parts.length),
    String(parts.reduce((sum, { pseq }) => sum + pseq, 0)),
    localTime(Math.max(...parts.map(({ updatedAt }) => updatedAt))),
  ])
  return table(['STREAM', 'PARTS', 'EVENTS', 'LAST STORED'], rows)
}

function cursorTable(cursors: readonly Cursor[]): string {
  const rows = cursors.map(({ stream, part, pseq, first, updatedAt }) => [stream, ...[part, first, pseq].map(String), localTime(updatedAt)])
  return table(['STREAM', 'PART', 'FIRST', 'STORED UP TO', 'LAST STORED'], rows)
}

function ledgerTable(ledger: readonly LedgerRow[], most: number): string {
  const several = new Set(ledger.map(({ stream }) => stream)).size > 1
  const rows = ledger
    .slice(0, most)
    .map(({ stream, sku, generation, total, available, reserved, sold }) => [
      ...(several ? [stream] : []),
      nameText(sku),
      ...[generation, total, available, reserved, sold].map(String),
    ])
  const head = [...(several ? ['STREAM'] : []), 'SKU', 'GENERATION', 'TOTAL', 'AVAILABLE', 'RESERVED', 'SOLD']
  return `${table(head, rows)}${ledger.length > most ? `\n${ledger.length - most} more: --skus ${ledger.length}` : ''}`
}
