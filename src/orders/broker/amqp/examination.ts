// What `doctor` says about a broker: can it be reached, is it one that keeps what it acks, is everything there, may this user use it.
//
// It changes nothing that anybody sees. Whether a user may write to an exchange is asked by a queue of our own that would send its dead
// letters there: the broker checks the permission when the queue is declared, and no message is ever sent.

import type { OrdersEnv } from '../../env.ts'
import type { BrokerFinding } from '../broker.ts'
import type { Topology } from '../topology.ts'
import type { AmqpAddress } from './address.ts'
import { queueStates, Scratch, type QueueState } from './declare.ts'
import { closeAmqp, openAmqp, type AmqpAccess, type ChannelModel } from './link.ts'
import { brokerWords } from './words.ts'

/** Below it dead letters of quorum queues may be lost on their way. */
const OLDEST = [3, 10] as const

export async function examineBroker(access: AmqpAccess, topology: Topology, env: OrdersEnv): Promise<readonly BrokerFinding[]> {
  const findings: BrokerFinding[] = []
  for (const address of access.addresses) {
    let model: ChannelModel | null = null
    try {
      model = await openAmqp(address, access)
      findings.push(productFinding(model, address), ...linkFindings(address))
      findings.push(...(await topologyFindings(model, address, topology, env)))
    } catch (error) {
      findings.push({
        level: 'error',
        about: address.name,
        says: brokerWords(error, { address, topology, role: 'publisher' }),
        remedy: null,
      })
    } finally {
      if (model !== null) await closeAmqp(model, env)
    }
  }
  return findings
}

function productFinding(model: ChannelModel, address: AmqpAddress): BrokerFinding {
  const { product, version } = model.connection.serverProperties
  const about = address.name
  const says = `${product} ${version}`
  if (product !== 'RabbitMQ') {
    return { level: 'warning', about, says: `${says}: only RabbitMQ was tried`, remedy: null }
  }
  const [major, minor] = version.split('.').map(Number)
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
  return isOld
    ? {
        level: 'error',
        about,
        says: `${says} has no safe dead letters from quorum queues`,
        remedy: `use RabbitMQ ${OLDEST.join('.')} or newer`,
      }
    : { level: 'ok', about, says, remedy: null }
}

function linkFindings({ protocol, hostname, heartbeat, name }: AmqpAddress): BrokerFinding[] {
  const findings: BrokerFinding[] = []
  if (protocol === 'amqp' && !/^(localhost|127\.|::1$)/.test(hostname)) {
    findings.push({
      level: 'warning',
      about: name,
      says: 'password and orders travel unencrypted',
      remedy: 'use amqps://',
    })
  }
  if (heartbeat === 0) {
    findings.push({
      level: 'warning',
      about: name,
      says: 'heartbeats are off: a dead machine is noticed late',
      remedy: 'remove heartbeat=0',
    })
  }
  return findings
}

/** So long a consumer may take from its start to its queues. */
const TAKEN_MS_MAX = 3000
const LOOK_AGAIN_MS = 250

async function topologyFindings(model: ChannelModel, address: AmqpAddress, topology: Topology, env: OrdersEnv): Promise<BrokerFinding[]> {
  const findings: BrokerFinding[] = []
  const scratch = new Scratch(model)
  const words = (error: unknown): string => brokerWords(error, { address, topology, role: 'publisher' })
  let isComplete = true
  let mayDeclare = true
  for (const plan of topology.plans) {
    const about = `${plan.kind} ${plan.name}`
    if (!(await scratch.exists(plan))) {
      isComplete = false
      findings.push({ level: 'ok', about, says: 'is not there yet', remedy: 'node and stockd-orders make it, if their user may' })
      continue
    }
    try {
      const isSeen = await scratch.isAllowed(async (channel) => {
        if (plan.kind === 'exchange') await channel.assertExchange(plan.name, plan.type, { durable: true })
        else await channel.assertQueue(plan.name, { durable: true, arguments: plan.arguments })
      })
      if (!isSeen) mayDeclare = false
    } catch (error) {
      findings.push({ level: 'error', about, says: words(error), remedy: null })
    }
  }
  const queue = topology.controlQueue('doctor', Math.floor(env.random() * 2 ** 32).toString(16))
  const mayHear = await scratch.isAllowed(async (channel) => {
    await channel.assertQueue(queue, { exclusive: true, autoDelete: true, durable: false })
  })
  if (mayHear && isComplete) {
    for (const exchange of [topology.events, topology.control]) {
      const mayWrite = await scratch.isAllowed(async (channel) => {
        const probe = { 'x-dead-letter-exchange': exchange }
        await channel.assertQueue(`${queue}.w`, { exclusive: true, autoDelete: true, durable: false, arguments: probe })
        await channel.deleteQueue(`${queue}.w`)
      })
      const may = mayWrite ? 'may' : 'may not'
      findings.push({
        level: mayWrite ? 'ok' : 'warning',
        about: `exchange ${exchange}`,
        says: `user ${address.username} ${may} publish to it`,
        remedy: mayWrite || exchange === topology.control ? null : permissionLine(address, topology, 'publisher', false),
      })
    }
  }
  const role = mayDeclare ? 'may make what is missing' : 'may not make exchanges and queues: their arguments are taken on trust'
  findings.push({
    level: isComplete || mayDeclare ? 'ok' : 'error',
    about: `user ${address.username}`,
    says: role,
    remedy: mayDeclare ? null : `to let it: ${permissionLine(address, topology, 'publisher', true)}`,
  })
  if (!mayHear) {
    findings.push({
      // The user that stockd-orders should have; of a node it is noticed by the node itself.
      level: 'ok',
      about: `user ${address.username}`,
      says: 'may not have a queue for feedback: enough for stockd-orders, not for a node',
      remedy: permissionLine(address, topology, 'publisher', false),
    })
  }
  await scratch.close()
  if (isComplete) findings.push(consumerFinding(await settledQueues(model, topology, env)))
  return findings
}

/** A consumer that was started a moment ago takes its queues meanwhile. */
async function settledQueues(model: ChannelModel, topology: Topology, env: OrdersEnv): Promise<readonly QueueState[]> {
  const end = env.monotonic() + TAKEN_MS_MAX
  for (;;) {
    const queues = await queueStates(model, topology)
    if (queues.every(({ consumers }) => consumers > 0) || env.monotonic() >= end) return queues
    await new Promise<void>((resolve) => void env.after(LOOK_AGAIN_MS, resolve))
  }
}

/** A queue that nobody reads is wrong even if it is empty: what comes will wait. */
export function consumerFinding(queues: readonly QueueState[]): BrokerFinding {
  const about = 'queues'
  const waiting = (which: readonly QueueState[]): number => which.reduce((sum, { depth }) => sum + depth, 0)
  const idle = queues.flatMap(({ consumers }, part) => (consumers === 0 ? [part] : []))
  const events = (n: number): string => `${n} event${n === 1 ? ' waits' : 's wait'}`
  if (idle.length === 0) return { level: 'ok', about, says: `${events(waiting(queues))} for a consumer`, remedy: null }
  const stuck = waiting(idle.map((part) => queues[part]))
  const where = idle.length === queues.length ? 'no consumer runs' : `nobody takes from the queue of part ${idle.join(', ')}`
  return {
    level: stuck > 0 ? 'error' : 'warning',
    about,
    says: `${where}: ${stuck > 0 ? `${events(stuck)} there` : 'orders to come will wait there'}`,
    remedy: 'start stockd-orders run; if it runs, see what it logs: one that cannot write into its database lets go of the queues',
  }
}

function permissionLine(address: AmqpAddress, topology: Topology, role: 'publisher' | 'consumer', mayDeclare: boolean): string {
  const { configure, write, read } = topology.permissions(role, mayDeclare)
  return `rabbitmqctl set_permissions -p ${address.vhost} ${address.username} '${configure}' '${write}' '${read}'`
}
