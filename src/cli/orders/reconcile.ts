// `stockd-orders reconcile`: nodes, broker and database compared in full, while they work; with --fix what is missing is published again.

import { StockdError } from '../../base/error.ts'
import type { Broker } from '../../orders/broker/broker.ts'
import { SystemOrdersEnv } from '../../orders/env.ts'
import type { LatePart } from '../../orders/reconcile/arrival.ts'
import type { NodeView } from '../../orders/reconcile/node-view.ts'
import { Reconciliation, type ReconciliationReport } from '../../orders/reconcile/reconciliation.ts'
import { repair, type RepairReport } from '../../orders/reconcile/repair.ts'
import type { SkuVerdict } from '../../orders/reconcile/sku-comparison.ts'
import { StoreError } from '../../orders/store/store-error.ts'
import type { Store } from '../../orders/store/store.ts'
import type { Console } from '../console.ts'
import { Progress } from '../progress.ts'
import { brokerAddress, makeBroker } from './broker-options.ts'
import { EXIT_DIFFERENT, EXIT_OK, EXIT_TROUBLE } from './exit-codes.ts'
import { nameText } from './name-text.ts'
import { makeNodes } from './node-options.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { counted, facts, shown, table } from './table.ts'

const WAIT_S = 30
const LIMIT = 1000
const SKUS_SHOWN = 20

interface Wanted {
  readonly waitMs: number
  readonly limit: number
  readonly isFixing: boolean
  readonly withVerify: boolean
}

interface Parties {
  readonly store: Store
  readonly nodes: readonly NodeView[]
  readonly broker: Broker | null
}

/** What the broker has of the way. */
interface BrokerView {
  readonly name: string
  /** By part; null: it could not be asked. */
  readonly depths: readonly number[] | null
  readonly problem: string | null
}

interface Result {
  readonly report: ReconciliationReport
  readonly broker: BrokerView | null
}

export function addReconcile(tool: OrdersTool): void {
  tool
    .onStoreBrokerAndNodes('reconcile', 'compares every order of the nodes with the database, in full, while they work')
    .option('--fix', 'what is missing is read back from the node and stored; then compares once more')
    .option('--wait <seconds>', 'so long events on their way may stand still before they count as missing', wholeNumber(0, 86_400), WAIT_S)
    .option('--no-verify', 'does not check the books of the database itself, which reads all of it')
    .option('--limit <n>', 'differing orders that are told', wholeNumber(0, 1_000_000), LIMIT)
    .addHelpText(
      'after',
      '\nOrders: state and version of all, everything of those that differ. SKUs: total, available, reserved, sold. Parts: the last event.\n' +
        'Orders that a node has forgotten in their turn (order-retention, return-window) are no difference. Give every node whose orders the\n' +
        'database has. The broker is asked what still waits there, if --amqp or STOCKD_AMQP says where it is.\n\n' +
        'Exit codes: 0 equal, 1 different, 2 could not compare',
    )
    .action(async (options) => {
      const { wait, limit, fix, verify } = options
      const wanted = { waitMs: wait * 1000, limit, isFixing: fix === true, withVerify: verify }
      const nodes = makeNodes(options, process.env)
      const address = brokerAddress(options, process.env)
      const env = new SystemOrdersEnv(() => {})
      const broker = address === null ? null : makeBroker(address, options, { env, connectionName: 'stockd-orders reconcile' })
      try {
        await tool.withStore(options, wanted.isFixing ? 'write' : 'read', async (store, out) => {
          try {
            return await reconcile({ store, nodes, broker }, wanted, env, out)
          } catch (error) {
            if (!(error instanceof StoreError || (error instanceof StockdError && error.code !== 'BAD_OPTION'))) throw error
            if (out.isJson) out.line(JSON.stringify({ status: 'failed', code: error.code, message: error.message }))
            out.error(`could not compare: ${error.message}`)
            return EXIT_TROUBLE
          }
        })
      } finally {
        for (const node of nodes) node.close()
        await broker?.close()
      }
    })
}

async function reconcile(parties: Parties, wanted: Wanted, env: SystemOrdersEnv, out: Console): Promise<number> {
  const progress = new Progress({ isSilent: out.isJson })
  const show = (what: string, done: number, total: number | null): void => progress.show(what, done, total)
  const compare = async (): Promise<Result> => {
    const { store, nodes } = parties
    const { waitMs, withVerify } = wanted
    const report = await new Reconciliation({ store, nodes, env, waitMs, withVerify, progress: show }).run()
    return { report, broker: await askBroker(parties.broker) }
  }
  try {
    const first = await compare()
    progress.clear()
    if (!wanted.isFixing || first.report.isEqual) {
      if (out.isJson) out.line(JSON.stringify(jsonOf(parties, first, wanted)))
      else out.line(textOf(parties, first, wanted))
      return first.report.isEqual ? EXIT_OK : EXIT_DIFFERENT
    }
    let last = first
    const repairs: RepairReport[] = []
    // Books that are still wrong when everything that differs was given again: then everything is.
    for (const isAll of [false, true]) {
      if (last.report.isEqual || (isAll && last.report.findings.length === 0)) break
      if (!out.isJson) out.line(`${textOf(parties, last, wanted)}\n`)
      const repaired = await repair({ store: parties.store, nodes: parties.nodes, progress: show, isAll }, last.report)
      repairs.push(repaired)
      progress.clear()
      if (!out.isJson) out.line(`${repairText(repaired)}\n`)
      last = await compare()
      progress.clear()
    }
    if (out.isJson) out.line(JSON.stringify({ ...jsonOf(parties, last, wanted), repairs, before: jsonOf(parties, first, wanted) }))
    else out.line(textOf(parties, last, wanted))
    return last.report.isEqual ? EXIT_OK : EXIT_DIFFERENT
  } finally {
    progress.clear()
  }
}

async function askBroker(broker: Broker | null): Promise<BrokerView | null> {
  if (broker === null) return null
  try {
    return { name: broker.name, depths: await broker.depths(), problem: null }
  } catch (error) {
    if (!(error instanceof StockdError)) throw error
    return { name: broker.name, depths: null, problem: error.message }
  }
}

function jsonOf({ store }: Parties, { report, broker }: Result, { limit }: Wanted): object {
  return {
    status: report.isEqual ? 'equal' : 'different',
    store: store.name,
    broker,
    ...report,
    differences: report.differences.slice(0, limit),
    late: report.late.map((part) => ({ ...part, why: whyLate(part, report, broker) })),
    skus: report.skus.filter(({ verdict }) => verdict !== 'equal'),
    skuCount: report.skus.length,
    units: unitsOf(report.skus),
  }
}

function textOf({ store }: Parties, { report, broker }: Result, { limit }: Wanted): string {
  const { nodes, differences, differenceCount, onTheWay, late, ahead, skus, skusSkipped, findings, states } = report
  const lines: string[] = []
  for (const { id, says } of differences.slice(0, limit)) lines.push(`order ${nameText(id)}: ${shown(says.join('; '))}`)
  if (differenceCount > Math.min(limit, differences.length)) {
    lines.push(`... and ${counted(differenceCount - Math.min(limit, differences.length), 'order')} more`)
  }
  for (const verdict of skus) if (verdict.verdict === 'different') lines.push(skuText(verdict))
  for (const finding of findings) lines.push(`the database: ${shown(finding)}`)
  for (const { stream, part, last, stored } of ahead) {
    lines.push(
      `part ${part} of ${stream}: the database has events up to ${stored}, the node ${last}: the node was put back to an older log`,
    )
  }
  for (const part of late) {
    const { stream, last, stored } = part
    lines.push(`part ${part.part} of ${stream}: stored up to ${stored} of ${last}; ${whyLate(part, report, broker)}`)
  }
  if (onTheWay > 0) lines.push(`${counted(onTheWay, 'order')} differ only by events that have not come yet`)
  for (const { node, why } of skusSkipped) lines.push(`SKUs of ${node} were not compared: ${why}`)
  if (lines.length > 0) lines.push('')
  lines.push(
    facts([
      ...nodes.map(({ name, stream, sink, state }) => ['node', `${name}, ${stream}; events go to ${sinkText(sink)}: ${state}`] as const),
      ['broker', brokerText(broker)],
      ['database', store.name],
    ]),
    '',
    table(
      ['ORDERS', 'NODE', 'DATABASE', 'FORGOTTEN BY THE NODE'],
      states.map(({ state, node, database, forgotten }) => [state, ...[node, database, forgotten].map(String)]),
    ),
  )
  if (skus.length > 0) lines.push('', skuTable(skus))
  const orders = states.reduce((sum, { node }) => sum + node, 0)
  const busy = skus.filter(({ verdict }) => verdict === 'busy').length
  const unsaid = busy === 0 ? '' : ` (${counted(busy, 'SKU')} changed all the time: the audit marks compare them)`
  lines.push(
    '',
    report.isEqual
      ? `equal: ${counted(orders, 'order')}, ${counted(skus.length - busy, 'SKU')}${unsaid}`
      : `DIFFERENT: ${[
          ...(differenceCount > 0 ? [counted(differenceCount, 'order')] : []),
          ...(skus.some(({ verdict }) => verdict === 'different')
            ? [counted(skus.filter(({ verdict }) => verdict === 'different').length, 'SKU')]
            : []),
          ...(late.length + ahead.length > 0 ? [counted(late.length + ahead.length, 'part')] : []),
          ...(findings.length > 0 ? [`${counted(findings.length, 'finding')} in the database`] : []),
          ...(onTheWay > 0 ? [`${counted(onTheWay, 'order')} on the way`] : []),
        ].join(', ')}${unsaid}`,
  )
  return lines.join('\n')
}

function skuText({ sku, atNode, stored }: SkuVerdict): string {
  if (atNode === null)
    return `SKU ${nameText(sku)}: the node does not have it (any more), the database has ${stored?.reserved ?? 0} units of it reserved`
  if (stored === null) return `SKU ${nameText(sku)}: the database does not have it`
  const wrong = (['total', 'available', 'reserved', 'sold'] as const).filter((units) => atNode[units] !== stored[units])
  return `SKU ${nameText(sku)}: ${wrong.map((units) => `${units} is ${atNode[units]} at the node, ${stored[units]} in the database`).join(', ')}`
}

interface Sums {
  total: number
  available: number
  reserved: number
  sold: number
}

/** Of all SKUs that were compared: those that a node has. */
function unitsOf(skus: readonly SkuVerdict[]): { node: Sums; database: Sums } {
  const sums = { node: { total: 0, available: 0, reserved: 0, sold: 0 }, database: { total: 0, available: 0, reserved: 0, sold: 0 } }
  for (const { atNode, stored } of skus) {
    if (atNode === null) continue
    for (const units of ['total', 'available', 'reserved', 'sold'] as const) {
      sums.node[units] += atNode[units]
      sums.database[units] += stored?.[units] ?? 0
    }
  }
  return sums
}

function skuTable(skus: readonly SkuVerdict[]): string {
  const there = skus.filter(({ atNode, verdict }) => atNode !== null || verdict !== 'equal')
  const rank = ({ verdict }: SkuVerdict): number => (verdict === 'different' ? 0 : 1)
  const first = there.toSorted((a, b) => rank(a) - rank(b)).slice(0, SKUS_SHOWN)
  const { node, database } = unitsOf(skus)
  const both = (theirs: number | undefined, ours: number | undefined): string =>
    theirs === ours ? String(theirs ?? '?') : `${theirs ?? '-'} / ${ours ?? '-'}`
  const cells = (a: Sums | null, b: Sums | null): string[] => [
    both(a?.total, b?.total),
    both(a?.available, b?.available),
    both(a?.reserved, b?.reserved),
    both(a?.sold, b?.sold),
  ]
  const rows = first.map(({ sku, atNode, stored }) => [sku, ...cells(atNode, stored)])
  if (there.length > first.length) rows.push([`... ${there.length - first.length} more`, '', '', '', ''])
  rows.push(['all', ...cells(node, database)])
  return table(['UNITS OF SKU (node / database)', 'TOTAL', 'AVAILABLE', 'RESERVED', 'SOLD'], rows)
}

const sinkText = (sink: string): string => (sink === 'amqp' ? 'the broker' : sink === 'sqlite' ? 'its own database' : 'nobody')

function brokerText(broker: BrokerView | null): string | null {
  if (broker === null) return null
  if (broker.depths === null) return `${broker.name} could not be asked: ${broker.problem ?? ''}`
  const waiting = broker.depths.reduce((sum, depth) => sum + depth, 0)
  return `${broker.name}: ${waiting === 0 ? 'its queues are empty' : `${counted(waiting, 'event')} ${waiting === 1 ? 'waits' : 'wait'} in its queues`}`
}

/** Why events of a part have not come, and what to do. */
function whyLate({ stream, part }: LatePart, { nodes }: ReconciliationReport, broker: BrokerView | null): string {
  const node = nodes.find((known) => known.stream === stream)
  if (node?.sink === 'none') return 'the node gives its events to nobody (neither --amqp nor --orders-db)'
  if (node?.isConnected === false) return `the node cannot send them: ${node.state}`
  if (node?.sink === 'sqlite') return 'the node writes them into its own database; is this another file?'
  const depth = broker?.depths?.[part]
  if (depth === undefined) return 'is a consumer running (stockd-orders run)?'
  if (depth > 0)
    return `${counted(depth, 'event')} ${depth === 1 ? 'waits' : 'wait'} in the queue: is a consumer running (stockd-orders run)?`
  return 'the queue is empty: --fix has the node publish them again'
}

function repairText({ read, applied, changed, sought, says }: RepairReport): string {
  return [
    ...says.map(shown),
    `read ${counted(read, 'event')} of the log, gave ${applied} to the database, of which ${changed} changed something` +
      `${sought === 0 ? '' : `; the node publishes ${counted(sought, 'part')} again`}`,
  ].join('\n')
}
