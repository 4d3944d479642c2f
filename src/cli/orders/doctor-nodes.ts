// What doctor finds about nodes, and about nodes and database together: do events leave, do they arrive, does the node hear of it.

import type { NodeFacts, NodeStatus, NodeView } from '../../orders/reconcile/node-view.ts'
import { historyOf } from '../../orders/reconcile/reconciliation.ts'
import type { Cursor, Store, StoreFinding } from '../../orders/store/store.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import { counted, localTime } from './table.ts'

/** More than this, and times of orders and of rows tell different stories. */
const SKEW_MS_MAX = 2000
const LAG_MS_MAX = 60_000
const BACKLOG_WARNING = 0.5
const BACKLOG_ERROR = 0.9
/** A cursor that has not moved for so long although there are events for it. */
export const STILL_MS = 3000

/** What a node said, and then once more a little later. */
export interface NodeVisit {
  readonly node: NodeView
  readonly facts: NodeFacts
  readonly first: NodeStatus
  readonly second: NodeStatus
  /** Its clock against ours: positive if it is ahead. */
  readonly skewMs: number
}

/** What the database said at the same two moments; null: it could not be asked. */
export interface StoreVisit {
  readonly store: Pick<Store, 'kind' | 'name'>
  readonly first: readonly Cursor[]
  readonly second: readonly Cursor[]
}

export function nodeFindings({ node, facts, second, skewMs }: NodeVisit): StoreFinding[] {
  const about = `node ${node.name}`
  const findings: StoreFinding[] = []
  const says = (level: StoreFinding['level'], text: string, remedy: string | null): void => {
    findings.push({ level, about, says: text, remedy })
  }
  const { sink, state, stream, lagMs, backlogBytes, backlogBytesMax } = second
  says('ok', `answers: stockd ${facts.version}, stream ${stream}, events go to ${sinkName(sink)}`, null)
  if (facts.version !== STOCKD_VERSION) {
    const remedy = 'run the same version everywhere; consumers first, then nodes'
    says('warning', `it is stockd ${facts.version}, these tools are of ${STOCKD_VERSION}`, remedy)
  }
  if (sink === 'none') {
    says('warning', 'nobody takes its events: no order reaches a database', 'start it with --amqp amqp://..., or with --orders-db auto')
  } else if (!second.isConnected) {
    const remedy =
      sink === 'amqp'
        ? 'put right what it says; the events wait in its log meanwhile'
        : 'put right what it says; disk full, or another program in the file?'
    says('error', `its events do not leave: ${state}`, remedy)
  }
  if (Math.abs(skewMs) > SKEW_MS_MAX) {
    const seconds = Math.round(Math.abs(skewMs) / 1000)
    says(
      'warning',
      `its clock is ${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} this host's`,
      'let both follow the same time server (NTP)',
    )
  }
  if (sink !== 'none' && lagMs > LAG_MS_MAX) {
    says('warning', `its oldest event that is not stored is ${Math.round(lagMs / 1000)} s old`, 'the findings below say where it waits')
  }
  if (backlogBytesMax > 0 && backlogBytes >= backlogBytesMax * BACKLOG_WARNING) {
    const percent = Math.floor((100 * backlogBytes) / backlogBytesMax)
    const level = backlogBytes >= backlogBytesMax * BACKLOG_ERROR ? 'error' : 'warning'
    says(
      level,
      `${percent} % of the log that may wait does wait: at 100 % new orders are refused (BACKLOG)`,
      'let the consumer catch up, or raise outbox-backlog',
    )
  }
  return findings
}

/** Nodes and database together. */
export function wayFindings(visits: readonly NodeVisit[], database: StoreVisit, depths: readonly number[] | null): StoreFinding[] {
  const findings = visits.flatMap((visit) => wayOfNode(visit, database, depths))
  const known = new Set(visits.map(({ second }) => historyOf(second.stream)))
  const current = new Set(visits.map(({ second }) => second.stream))
  for (const [stream, cursors] of Map.groupBy(database.second, (cursor) => cursor.stream)) {
    if (current.has(stream)) continue
    const last = localTime(Math.max(...cursors.map(({ updatedAt }) => updatedAt)))
    const says = known.has(historyOf(stream))
      ? `stream ${stream} is an earlier log of a node that answers; last stored ${last}`
      : `no node that was asked answers for stream ${stream}; last stored ${last}`
    const isOld = known.has(historyOf(stream))
    findings.push({
      level: isOld || visits.length === 0 ? 'ok' : 'warning',
      about: database.store.name,
      says,
      remedy: isOld || visits.length === 0 ? null : 'name its node with --node; if it is gone for good, this is how it stays',
    })
  }
  return findings
}

function wayOfNode({ node, first, second }: NodeVisit, database: StoreVisit, depths: readonly number[] | null): StoreFinding[] {
  const about = `node ${node.name} -> ${database.store.name}`
  const { stream, sink } = second
  const findings: StoreFinding[] = []
  if (sink === 'none') return findings
  if ((sink === 'sqlite') !== (database.store.kind === 'sqlite')) {
    const where = sink === 'sqlite' ? 'its own SQLite file (<dir>/orders.db)' : 'a broker, and from there into the database of a consumer'
    return [
      {
        level: 'warning',
        about,
        says: `the node gives its events to ${where}: this is another database`,
        remedy:
          sink === 'sqlite'
            ? 'start the node with --amqp, or look at sqlite:<dir>/orders.db'
            : 'name the database of the consumer with --store',
      },
    ]
  }
  const at = (cursors: readonly Cursor[], part: number): number =>
    cursors.find((cursor) => cursor.stream === stream && cursor.part === part)?.pseq ?? 0
  const stuck: number[] = []
  const deaf: number[] = []
  const ahead: number[] = []
  let missing = 0
  for (let part = 0; part < first.last.length; part++) {
    const stored = at(database.second, part)
    missing += Math.max(0, second.last[part] - stored)
    // Behind what was there at the first look, and not a step further since.
    if (stored < first.last[part] && stored === at(database.first, part)) stuck.push(part)
    // Stored at the first look already, and the node has not heard of it.
    if (second.stored[part] < Math.min(at(database.first, part), first.last[part])) deaf.push(part)
    if (at(database.first, part) > second.last[part]) ahead.push(part)
  }
  if (ahead.length > 0) {
    findings.push({
      level: 'error',
      about,
      says: `the database has later events than the node in ${partsText(ahead)}: the node was put back to an older log`,
      remedy: 'stop selling on it; find the newer log. stockd-orders reconcile says which orders differ',
    })
  }
  if (stuck.length > 0) {
    findings.push({
      level: 'error',
      about,
      says: `${counted(missing, 'event')} are not stored, and nothing moves in ${partsText(stuck)}`,
      remedy: remedyOf(stuck, second, depths),
    })
  } else {
    const says = missing === 0 ? 'every event is stored' : `${counted(missing, 'event')} on the way, and moving`
    findings.push({ level: 'ok', about, says, remedy: null })
  }
  if (deaf.length > 0 && stuck.length === 0) {
    findings.push({
      level: 'warning',
      about,
      says: `the node does not hear what is stored (${partsText(deaf)}): it keeps orders in memory, and its log, for nothing`,
      remedy: 'consumers tell it through the exchange stock.control: are they running, may they write there, is the node connected?',
    })
  }
  return findings
}

function remedyOf(
  stuck: readonly number[],
  { sink, isConnected, state, acked, last }: NodeStatus,
  depths: readonly number[] | null,
): string {
  if (!isConnected) return `the node cannot send them: ${state}`
  if (sink === 'sqlite') return 'is this the file of this node (<dir>/orders.db)? Its log says what hinders it'
  if (stuck.some((part) => acked[part] < last[part])) return `the node has not handed all of them to the broker: ${state}`
  if (depths !== null && stuck.some((part) => depths[part] > 0))
    return 'they wait in the broker: start stockd-orders run, or see what it logs'
  return 'start stockd-orders run, or see what it logs; stockd-orders reconcile --fix has the node publish them again'
}

function partsText(parts: readonly number[]): string {
  return parts.length === 16 ? 'all parts' : `part ${parts.join(', ')}`
}

const sinkName = (sink: string): string => (sink === 'amqp' ? 'a broker' : sink === 'sqlite' ? 'its own SQLite file' : 'nobody')
