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

/** Consumers say every few seconds that they live. */
const SILENT_MS = 60_000

/** What a node said, and then once more a little later. */
export interface NodeVisit {
  readonly node: NodeView
  readonly facts: NodeFacts
  readonly first: NodeStatus
  readonly second: NodeStatus
  /** Its clock against ours: positive if it is ahead. */
  readonly skewMs: number
}

/** What the database said at the same two moments. */
export interface StoreVisit {
  readonly store: Pick<Store, 'kind' | 'name'>
  readonly first: readonly Cursor[]
  readonly second: readonly Cursor[]
  /** Who has said that it lives, and when; null: nobody does, since the node itself writes. */
  readonly consumers: readonly { readonly name: string; readonly seenAt: number }[] | null
  /** When that was asked. */
  readonly now: number
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
  findings.push(...twinFindings(visits, database))
  const known = new Set(visits.map(({ second }) => historyOf(second.stream)))
  const current = new Set(visits.map(({ second }) => second.stream))
  for (const [stream, cursors] of Map.groupBy(database.second, (cursor) => cursor.stream)) {
    if (current.has(stream)) continue
    const last = localTime(Math.max(...cursors.map(({ updatedAt }) => updatedAt)))
    const same = visits.find(({ second }) => numberOf(second.stream) === numberOf(stream))
    const says = known.has(historyOf(stream))
      ? `stream ${stream} is an earlier log of a node that answers; last stored ${last}`
      : same === undefined
        ? `no node that was asked answers for stream ${stream}; last stored ${last}`
        : `stream ${stream} has node number ${numberOf(stream)}, as node ${same.node.name} has: another node, or its log before that was ` +
          `thrown away; last stored ${last}`
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

/** Nodes that make order ids from one number would sell two orders under one id; two that write one history tell the database two truths. */
function twinFindings(visits: readonly NodeVisit[], database: StoreVisit): StoreFinding[] {
  const findings: StoreFinding[] = []
  // A node may have been named by two addresses.
  const nodes = [...new Map(visits.map((visit) => [visit.facts.runId === '' ? visit.node.name : visit.facts.runId, visit])).values()]
  const remedy = 'give each node its own --node-number, 0 to 255, and restart it'
  for (const [i, one] of nodes.entries()) {
    for (const other of nodes.slice(i + 1)) {
      const about = `nodes ${one.node.name} and ${other.node.name}`
      const [a, b] = [one.second.stream, other.second.stream]
      if (historyOf(a) === historyOf(b)) {
        const says = `both go on with one log (${historyOf(a)}), one with a copy: the database takes the events of one for those of the other`
        findings.push({ level: 'error', about, says, remedy: 'stop one of them; stockd-orders reconcile says which orders differ' })
      } else if (numberOf(a) === numberOf(b)) {
        findings.push({ level: 'error', about, says: `both have node number ${numberOf(a)}: they may make the same order id`, remedy })
      }
    }
  }
  if (findings.length > 0) return findings
  // Nodes that were not asked: both streams have moved while we looked.
  const before = new Map(database.first.map((cursor) => [`${cursor.stream}/${cursor.part}`, cursor.pseq]))
  const moving = new Set(
    database.second.filter(({ stream, part, pseq }) => (before.get(`${stream}/${part}`) ?? 0) < pseq).map(({ stream }) => stream),
  )
  for (const [number, streams] of Map.groupBy(moving, numberOf)) {
    const histories = new Set(streams.map(historyOf))
    if (histories.size < 2) continue
    const says = `events of several nodes of number ${number} are being stored (${streams.join(', ')}): they may make the same order id`
    findings.push({ level: 'error', about: database.store.name, says, remedy })
  }
  return findings
}

/** No consumer has said of late that it lives. Only asked if the broker was not, which knows better. */
export function silenceFinding({ store, consumers, now }: StoreVisit): StoreFinding | null {
  if (consumers === null) return null
  const last = Math.max(0, ...consumers.map(({ seenAt }) => seenAt))
  if (now - last < SILENT_MS) return null
  const says = last === 0 ? 'no consumer has ever run on it' : `no consumer runs: the last one was there at ${localTime(last)}`
  return {
    level: 'warning',
    about: store.name,
    says,
    remedy: 'start stockd-orders run; name the broker with --amqp, and its queues are looked at',
  }
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

/** `n7_0123abcd-1` is of a node with --node-number 7. */
const numberOf = (stream: string): string => /^n(\d+)_/.exec(stream)?.[1] ?? stream

const sinkName = (sink: string): string => (sink === 'amqp' ? 'a broker' : sink === 'sqlite' ? 'its own SQLite file' : 'nobody')
