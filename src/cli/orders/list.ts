// `stockd-orders list`: orders of a buyer, of a seller or of everybody, newest first, a page at a time.

import { StockdError } from '../../base/error.ts'
import type { OrderPage, Page, Store } from '../../orders/store/store.ts'
import { badArgument } from '../command-line.ts'
import type { Console } from '../console.ts'
import { EXIT_OK } from './exit-codes.ts'
import { lostBytes, nameText, readName } from './name-text.ts'
import { ORDER_HEAD, orderCells } from './order-text.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { counted, table } from './table.ts'

const STATES = ['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED']

interface Selection extends Page {
  readonly buyer: string | null
  readonly seller: string | null
}

export function addList(tool: OrdersTool): void {
  tool
    .onStore('list', 'lists orders, newest first: those of a buyer, of a seller, or of everybody')
    .option('--buyer <id>', 'only those of this buyer', readName)
    .option('--seller <id>', 'only those with items of this seller, and only these items', readName)
    .option('--state <state>', `only those that are ${STATES.join(', ')}`, stateOf)
    .option('--history', 'archived ones, too')
    .option('--limit <n>', 'how many', wholeNumber(1, 10_000), 20)
    .option('--after <mark>', 'go on from where the page before ended')
    .addHelpText(
      'after',
      '\nNewest first is by when an order was made; of everybody in SQLite, by when it was stored. --state looks through as many orders\n' +
        'as it takes to find those of that state.\n' +
        'A byte of an id that is not UTF-8 is printed as \\xHH, a backslash as \\\\; --buyer, --seller and show take it so.\n' +
        'With --json: {"orders":[...],"next":"..."}; give `next` to --after.',
    )
    .action(async (options) => {
      const { buyer = null, seller = null, state, history, limit, after = null } = options
      if (buyer !== null && seller !== null) throw new StockdError('BAD_OPTION', '--buyer and --seller: give one of them')
      const selection = { buyer, seller, limit, after, withHistory: history === true, ...(state === undefined ? {} : { state }) }
      await tool.withStore(options, 'read', (store, out) => list(store, selection, out))
    })
}

async function list(store: Store, selection: Selection, out: Console): Promise<number> {
  const page = await pageOf(store, selection)
  const { orders, next } = page
  if (orders.length === 0) {
    out.result(await nothing(store, selection), { orders, next })
    return EXIT_OK
  }
  const more = next === null ? '' : `\n${counted(orders.length, 'order')}; more with --after ${next}`
  const text = out.isJson ? '' : `${table(ORDER_HEAD, orders.map(orderCells))}${more}`
  out.result(text, { orders, next })
  return EXIT_OK
}

function pageOf(store: Store, selection: Selection): Promise<OrderPage> {
  if (selection.buyer !== null) return store.ordersOfBuyer(selection.buyer, selection)
  if (selection.seller !== null) return store.ordersOfSeller(selection.seller, selection)
  return store.newestOrders(selection)
}

/** An empty answer says why it may be empty. */
async function nothing(store: Store, { buyer, seller, state, after, withHistory }: Selection): Promise<string> {
  if (after !== null) return 'no more orders'
  if ((await store.cursors()).length === 0) return `${store.name} has no orders yet: the first STOCK.RESERVE brings one`
  const whose = buyer === null ? (seller === null ? '' : ` of seller ${nameText(seller)}`) : ` of buyer ${nameText(buyer)}`
  const hint = `${withHistory ? '' : ' (--history looks at archived ones, too)'}${lostBytes(buyer ?? seller ?? '')}`
  return `no${state === undefined ? '' : ` ${state}`} orders${whose}${hint}`
}

function stateOf(text: string): string {
  const state = text.toUpperCase()
  if (!STATES.includes(state)) throw badArgument(`expected one of ${STATES.join(', ')}.`)
  return state
}
