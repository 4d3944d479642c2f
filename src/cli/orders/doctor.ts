// `stockd-orders doctor`: what is wrong with database, broker and nodes, in words, each with what to do about it.
//
// It is run when things are broken: whatever does not answer is a finding and no reason to end, everything has a time limit, and passwords
// are never shown. It changes nothing.

import { styleText } from 'node:util'
import { StockdError } from '../../base/error.ts'
import type { Broker } from '../../orders/broker/broker.ts'
import { SystemOrdersEnv } from '../../orders/env.ts'
import { StoreError } from '../../orders/store/store-error.ts'
import type { Store, StoreFinding } from '../../orders/store/store.ts'
import { STOCKD_VERSION } from '../../server/version.ts'
import type { Console } from '../console.ts'
import { brokerAddress, makeBroker } from './broker-options.ts'
import { nodeFindings, silenceFinding, STILL_MS, wayFindings, type NodeVisit, type StoreVisit } from './doctor-nodes.ts'
import { EXIT_DIFFERENT, EXIT_OK, EXIT_TROUBLE } from './exit-codes.ts'
import type { NodeClient } from './node-client.ts'
import { makeNodes, NODE_VARIABLE } from './node-options.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { openStore } from './store-options.ts'
import { counted, shown } from './table.ts'

const LIMIT_S = 20
const CLOSE_MS = 1000

interface Patient {
  readonly store: Store
  readonly broker: Broker | null
  readonly nodes: readonly NodeClient[]
  /** Nobody named the node: it may well not be there. */
  readonly isNodeGuessed: boolean
  readonly limitMs: number
}

export function addDoctor(tool: OrdersTool): void {
  tool
    .onStoreBrokerAndNodes('doctor', 'says in words what is wrong with database, broker and nodes, and what to do')
    .option('--timeout <seconds>', 'so long each of them may take to answer', wholeNumber(1, 3600), LIMIT_S)
    .addHelpText('after', '\nIt changes nothing. Exit codes: 0 all is well, 1 warnings, 2 errors')
    .action(async (options) => {
      const out = tool.console(options)
      const limitMs = options.timeout * 1000
      const env = new SystemOrdersEnv(() => {})
      const address = brokerAddress(options, process.env)
      const broker = address === null ? null : makeBroker(address, options, { env, connectionName: 'stockd-orders doctor' })
      const isNodeGuessed = options.node === undefined && (process.env[NODE_VARIABLE] ?? '') === ''
      const nodes = makeNodes(options, process.env, limitMs)
      const store = await openStore(options, 'read', process.env)
      const code = await doctor({ store, broker, nodes, isNodeGuessed, limitMs }, out)
      for (const node of nodes) node.close()
      await Promise.race([Promise.allSettled([store.close(), broker?.close()]), pause(CLOSE_MS)])
      // What stands still may hold a socket for as long as it likes; all has been said.
      process.exit(code)
    })
}

async function doctor(patient: Patient, out: Console): Promise<number> {
  const { store, broker, nodes } = patient
  const findings: StoreFinding[] = []
  // They have nothing to do with each other, so what stands still holds up no other.
  const [ofStore, ofBroker, visits, visit, depths] = await Promise.all([
    examined(store.name, patient, () => store.examine()),
    broker === null ? [] : examined(broker.name, patient, () => broker.examine()),
    Promise.all(nodes.map((node) => visitNode(node, patient))),
    visitStore(patient),
    broker === null ? null : within(broker.depths(), patient.limitMs).catch(() => null),
  ])
  findings.push({ level: 'ok', about: 'stockd-orders', says: `${STOCKD_VERSION}, Node ${process.version}`, remedy: null })
  findings.push(...ofStore, ...ofBroker)
  const there: NodeVisit[] = []
  for (const found of visits) {
    if ('level' in found) findings.push(found)
    else {
      there.push(found)
      findings.push(...nodeFindings(found))
    }
  }
  if (broker === null && there.some(({ second }) => second.sink === 'amqp')) {
    const remedy = 'name it with --amqp, or in STOCKD_AMQP'
    findings.push({ level: 'warning', about: 'broker', says: 'a node uses one, and it was not looked at', remedy })
  }
  if (visit !== null) {
    const silence = broker === null ? silenceFinding(visit) : null
    findings.push(...wayFindings(there, visit, depths), ...(silence === null ? [] : [silence]))
  }
  return told(findings, out)
}

/** Examinations never reject; a bug in one should not end the others. */
async function examined(
  about: string,
  { limitMs }: Patient,
  examine: () => Promise<readonly StoreFinding[]>,
): Promise<readonly StoreFinding[]> {
  try {
    return await within(examine(), limitMs)
  } catch (error) {
    return [failed(about, error)]
  }
}

async function visitNode(node: NodeClient, { limitMs, isNodeGuessed }: Patient): Promise<NodeVisit | StoreFinding> {
  const about = `node ${node.name}`
  try {
    return await within(
      (async () => {
        const before = Date.now()
        const facts = await node.facts()
        const after = Date.now()
        const first = await node.status()
        await pause(STILL_MS)
        const second = await node.status()
        const skewMs = facts.now < before ? facts.now - before : facts.now > after ? facts.now - after : 0
        return { node, facts, first, second, skewMs }
      })(),
      limitMs + STILL_MS,
    )
  } catch (error) {
    const finding = failed(about, error)
    if (!isNodeGuessed) return finding
    return { ...finding, level: 'warning', remedy: 'nobody named a node, so this one was tried: name yours with --node' }
  }
}

/** Null: what is wrong is said by its examination. */
async function visitStore({ store, limitMs }: Patient): Promise<StoreVisit | null> {
  try {
    return await within(
      (async () => {
        const first = await store.cursors()
        // A little longer than between the two looks at the nodes: what they had then may have come.
        await pause(STILL_MS * 1.2)
        const second = await store.cursors()
        return { store, first, second, consumers: store.kind === 'mysql' ? await store.consumers() : null, now: Date.now() }
      })(),
      limitMs + STILL_MS * 2,
    )
  } catch (error) {
    if (error instanceof StoreError || error instanceof Late) return null
    throw error
  }
}

function failed(about: string, error: unknown): StoreFinding {
  if (error instanceof Late) {
    const remedy = 'the machine is overloaded, the process stands still, or packets are lost on the way'
    return { level: 'error', about, says: `does not answer within ${Math.round(error.limitMs / 1000)} s`, remedy }
  }
  if (error instanceof StockdError || error instanceof StoreError) return { level: 'error', about, says: error.message, remedy: null }
  throw error
}

function told(findings: readonly StoreFinding[], out: Console): number {
  const errors = findings.filter(({ level }) => level === 'error').length
  const warnings = findings.filter(({ level }) => level === 'warning').length
  const summary = errors + warnings === 0 ? 'all is well' : `${counted(errors, 'error')}, ${counted(warnings, 'warning')}`
  out.result(out.isJson ? '' : [...findings.map(findingText), '', summary].join('\n'), { errors, warnings, findings })
  return errors > 0 ? EXIT_TROUBLE : warnings > 0 ? EXIT_DIFFERENT : EXIT_OK
}

const MARKS = { ok: 'ok     ', warning: 'WARNING', error: 'ERROR  ' } as const
const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const

function findingText({ level, about, says, remedy }: StoreFinding): string {
  // Some sentences begin with whom they are about.
  const text = says.startsWith(about) ? says : `${about}: ${says}`
  const line = `${styleText(COLOURS[level], MARKS[level])}  ${shown(text)}`
  return remedy === null ? line : `${line}\n         -> ${shown(remedy)}`
}

class Late extends Error {
  readonly limitMs: number

  constructor(limitMs: number) {
    super(`nothing within ${limitMs} ms`)
    this.limitMs = limitMs
  }
}

/** The promise goes on; nobody waits for it any more. */
async function within<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Late(limitMs)), limitMs)
  promise.catch(() => {})
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, ms)
  return promise
}
