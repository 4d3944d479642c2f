// Makes the exchanges and queues that are missing, and sees whether the others are as they should be.
//
// A broker answers a declaration that it does not like by closing the channel, so every attempt may need a new one. A user who may not
// declare gets along when somebody has made everything: looking needs no permission.

import type { ExchangePlan, QueuePlan, Topology } from '../topology.ts'
import type { Channel, ChannelModel } from './link.ts'
import { codeOf } from './words.ts'

const NOT_FOUND = 404
const REFUSED = 403

/** Channels that may die of what is tried on them. */
export class Scratch {
  readonly #model: ChannelModel
  #channel: Channel | null = null

  constructor(model: ChannelModel) {
    this.#model = model
  }

  async run<T>(attempt: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = (this.#channel ??= await this.#open())
    try {
      return await attempt(channel)
    } catch (error) {
      this.#channel = null
      throw error
    }
  }

  /** Whether it worked; the broker's 'no' to a user who lacks a permission is an answer, other errors are thrown. */
  async isAllowed(attempt: (channel: Channel) => Promise<unknown>): Promise<boolean> {
    try {
      await this.run(attempt)
      return true
    } catch (error) {
      if (codeOf(error) === REFUSED) return false
      throw error
    }
  }

  async exists(plan: ExchangePlan | QueuePlan): Promise<boolean> {
    try {
      await this.run(async (channel) => {
        await (plan.kind === 'queue' ? channel.checkQueue(plan.name) : channel.checkExchange(plan.name))
      })
      return true
    } catch (error) {
      if (codeOf(error) === NOT_FOUND) return false
      throw error
    }
  }

  async close(): Promise<void> {
    const channel = this.#channel
    this.#channel = null
    await channel?.close().catch(() => {}) // The connection is gone, and the channel with it.
  }

  async #open(): Promise<Channel> {
    const channel = await this.#model.createChannel()
    channel.on('error', () => {}) // Who tried hears it from the promise.
    return channel
  }
}

export interface Declared {
  /** Names of what was missing. */
  readonly made: readonly string[]
  /** Names of what is there but cannot be looked at closely: this user may not declare. */
  readonly unseen: readonly string[]
}

/** @throws the broker's own error: of something missing that may not be made, or that is there with other arguments */
export async function declareTopology(model: ChannelModel, topology: Topology): Promise<Declared> {
  const scratch = new Scratch(model)
  const made: string[] = []
  const unseen: string[] = []
  try {
    for (const plan of topology.plans) {
      const wasThere = await scratch.exists(plan)
      if (!wasThere) {
        await scratch.run((channel) => declare(channel, plan))
        made.push(plan.name)
      } else if (!(await scratch.isAllowed((channel) => declare(channel, plan)))) unseen.push(plan.name)
      // A binding cannot be looked at; making it again changes nothing. Who may not has to trust who made the queue.
      if (plan.kind === 'queue') {
        const mayBind = await scratch.isAllowed((channel) => bind(channel, plan))
        if (!mayBind && !wasThere) await scratch.run((channel) => bind(channel, plan))
      }
    }
    return { made, unseen }
  } finally {
    await scratch.close()
  }
}

export interface QueueState {
  /** Messages that are ready. What consumers hold unacked is not among them. */
  readonly depth: number
  /** Those who wait for their turn, too. */
  readonly consumers: number
}

/** Of the queue of each part. */
export async function queueStates(model: ChannelModel, topology: Topology): Promise<readonly QueueState[]> {
  const scratch = new Scratch(model)
  try {
    return await scratch.run((channel) =>
      Promise.all(
        topology.queues.map(async (queue) => {
          const { messageCount, consumerCount } = await channel.checkQueue(queue)
          return { depth: messageCount, consumers: consumerCount }
        }),
      ),
    )
  } finally {
    await scratch.close()
  }
}

export async function queueDepths(model: ChannelModel, topology: Topology): Promise<readonly number[]> {
  return (await queueStates(model, topology)).map(({ depth }) => depth)
}

async function declare(channel: Channel, plan: ExchangePlan | QueuePlan): Promise<void> {
  if (plan.kind === 'exchange') await channel.assertExchange(plan.name, plan.type, { durable: true })
  else await channel.assertQueue(plan.name, { durable: true, arguments: plan.arguments })
}

async function bind(channel: Channel, plan: QueuePlan): Promise<void> {
  await channel.bindQueue(plan.name, plan.bindTo.exchange, plan.bindTo.key)
}
