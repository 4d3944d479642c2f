// `stockd-orders show ORDER`: one order, its items, and what happened to it, event by event.

import type { EventBody, EventItem } from '../../orders/event-body.ts'
import { nameOf } from '../../orders/store/name.ts'
import { readStoredEvent } from '../../orders/store/stored-event.ts'
import type { Store, StoredItem, StoredOrder } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { EXIT_NOT_FOUND, EXIT_OK } from './exit-codes.ts'
import { lostBytes, nameText, readName } from './name-text.ts'
import { amountOf } from './order-text.ts'
import type { OrdersTool } from './orders-tool.ts'
import { facts, localTime, table } from './table.ts'

export function addShow(tool: OrdersTool): void {
  tool
    .onStore('show', 'shows an order, its items and its events; archived ones, too')
    .argument('<order>', "the order's id as list prints it; in quotes, since it has braces", readName)
    .addHelpText('after', '\nWith --json: {"order":{...},"events":[...]}.')
    .action(async (id, options) => {
      await tool.withStore(options, 'read', (store, out) => show(store, id, out))
    })
}

async function show(store: Store, id: string, out: Console): Promise<number> {
  const order = await store.order(id, true)
  if (order === null) {
    if (out.isJson) out.line(JSON.stringify({ order: null, events: [] }))
    out.error(`${store.name} has no order ${nameText(id)}${lostBytes(id)}`)
    return EXIT_NOT_FOUND
  }
  const events = (await store.eventsOfOrder(id)).map(({ pseq, payload }) => ({ pseq, ...readStoredEvent(payload) }))
  out.result(out.isJson ? '' : textOf(order, events), { order, events })
  return EXIT_OK
}

function textOf(order: StoredOrder, events: readonly EventBody[]): string {
  const { id, buyer, shard, state, version, createdAt, updatedAt, deadline, ref, reason, items, isHistory } = order
  const head = facts([
    ['order', nameText(id)],
    ['buyer', buyer === null ? null : nameText(buyer)],
    ['state', isHistory ? `${state}, archived` : state],
    ['created', localTime(createdAt)],
    ['changed', `${localTime(updatedAt)} (version ${version})`],
    ['deadline', deadline === 0 ? null : localTime(deadline)],
    ['ref', ref === null ? null : nameText(ref)],
    ['reason', reason === null ? null : nameText(reason)],
    ['amount', amountOf(order) === '' ? null : `${amountOf(order)} minor units`],
    ['shard', String(shard)],
  ])
  const goods = table(['SKU', 'ORDERED', 'RESERVED', 'SOLD', 'RELEASED', 'RETURNED', 'PRICE', 'SELLER'], items.map(itemCells))
  const story = table(['TIME', 'EVENT', 'VERSION', 'WHAT'], events.map(eventCells))
  const missing = missingVersions(events)
  const note = missing.length === 0 ? '' : `\nnot stored: version ${missing.join(', ')} (stockd-orders dead list may say why)`
  return `${head}\n\n${items.length === 0 ? 'no items' : goods}\n\n${story}${note}`
}

function itemCells({ sku, quantity, reserved, sold, released, returned, price, seller }: StoredItem): string[] {
  return [nameText(sku), ...[quantity, reserved, sold, released, returned].map(String), price ?? '', nameText(seller ?? '')]
}

function eventCells(event: EventBody): string[] {
  const { time, type, version, deadline, ref, reason, late, items, encoding } = event
  const told = (text: string): string => nameText(nameOf(text, encoding))
  const what = [
    ...items.map((item) => changeText(item, told(item.sku))),
    ...(late ? ['late'] : []),
    ...(type === 'order.reserved' || type === 'order.extended' ? [`until ${localTime(deadline)}`] : []),
    ...(ref === null ? [] : [`ref ${told(ref)}`]),
    ...(reason === null ? [] : [`reason ${told(reason)}`]),
  ]
  return [localTime(time), type, String(version), what.join(', ')]
}

/** `iphone: 2 reserved -> sold` */
function changeText({ qty, change }: EventItem, sku: string): string {
  const moves = Object.entries(change).filter(([, units]) => units !== 0)
  const from = moves.filter(([, units]) => units < 0).map(([name]) => name)
  const to = moves.filter(([, units]) => units > 0).map(([name, units]) => `${units} ${name}`)
  return `${sku}: ${to.length === 0 ? qty : to.join(' and ')}${from.length === 0 ? '' : ` of ${from.join(' and ')}`}`
}

function missingVersions(events: readonly EventBody[]): number[] {
  const versions = new Set(events.map(({ version }) => version))
  const last = Math.max(0, ...versions)
  return Array.from({ length: last }, (_, i) => i + 1).filter((version) => !versions.has(version))
}
