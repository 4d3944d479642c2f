// A write load whose every acknowledgement is remembered, so that a test can ask afterwards: is it all still there?
//
// Several connections send small pipelines of SETs and, to a stockd node, of reservations and confirmations. A reply `+OK` or
// `[OK, ...]` makes the write acknowledged; an error or a broken connection leaves its outcome open, which is allowed.

import type { Random } from '../../../src/base/random.ts'
import { ErrorReply, RawClient, decodeReply, encodeRequest } from '../../support/raw-client.ts'
import type { Argument, Value } from '../../support/raw-client.ts'

export type Rival = 'stockd' | 'redis'

export const SKU = 'sku:load'
export const TOTAL = 1_000_000_000

interface Write {
  readonly command: readonly Argument[]
  /** What the acknowledgement promises. */
  readonly promise: { readonly key: string; readonly value: string } | { readonly order: string; readonly confirmed: boolean }
}

export interface Acked {
  readonly keys: Map<string, string>
  /** Order id -> true once its confirmation is acknowledged. */
  readonly orders: Map<string, boolean>
}

export const noneAcked = (): Acked => ({ keys: new Map(), orders: new Map() })
export const countOf = (acked: Acked): number => acked.keys.size + acked.orders.size

export class Load {
  readonly #rival: Rival
  readonly #name: string
  readonly #random: Random
  readonly acked: Acked
  /** First words of the error replies that came, with their number. */
  readonly refused = new Map<string, number>()
  #stopping = false

  constructor(rival: Rival, name: string, random: Random, acked: Acked) {
    this.#rival = rival
    this.#name = name
    this.#random = random
    this.acked = acked
  }

  stop(): void {
    this.#stopping = true
  }

  /** Writes over `connections` connections until `stop()` or the server is gone; `onAcked` hears the running total of this load. */
  async run(port: number, connections: number, onAcked: (count: number) => void): Promise<void> {
    let count = 0
    const writer = async (n: number): Promise<void> => {
      const client = await RawClient.connect(port)
      try {
        for (let round = 0; !this.#stopping; round++) {
          const writes = this.#writes(`${this.#name}-${n}-${round}`)
          client.send(Buffer.concat(writes.map((write) => encodeRequest(write.command))))
          for (const write of writes) {
            if (this.#take(write, decodeReply(await client.read()))) onAcked(++count)
          }
        }
      } catch {
        // The server is gone in the middle: what was not answered may or may not have happened.
      } finally {
        await client.close()
      }
    }
    await Promise.all(Array.from({ length: connections }, (_, n) => writer(n)))
  }

  #writes(name: string): Write[] {
    const writes: Write[] = []
    const depth = this.#random.between(1, 12)
    for (let i = 0; i < depth; i++) {
      if (this.#rival === 'redis' || this.#random.chance(0.5)) {
        const key = `key:${name}-${i}`
        const value = 'v'.repeat(this.#random.between(1, 200)) + name
        writes.push({ command: ['SET', key, value], promise: { key, value } })
      } else {
        const order = `{buyer${this.#random.below(1000)}}${name}-${i}`
        writes.push({ command: ['STOCK.RESERVE', order, 'ITEMS', SKU, 1], promise: { order, confirmed: false } })
        if (this.#random.chance(0.4))
          writes.push({ command: ['STOCK.CONFIRM', order, 'REF', `pay-${name}-${i}`], promise: { order, confirmed: true } })
      }
    }
    return writes
  }

  #take(write: Write, reply: Value): boolean {
    if (reply instanceof ErrorReply) {
      const word = reply.text.split(' ', 1)[0]
      this.refused.set(word, (this.refused.get(word) ?? 0) + 1)
      return false
    }
    if ((Array.isArray(reply) ? reply[0] : reply) !== 'OK') return false
    if ('key' in write.promise) this.acked.keys.set(write.promise.key, write.promise.value)
    else this.acked.orders.set(write.promise.order, write.promise.confirmed || this.acked.orders.get(write.promise.order) === true)
    return true
  }
}

/**
 * What was acknowledged and is not there: an empty list, or the disaster.
 * @param whileFailing the log is not taking writes: under `always` an order with a later change that is not durable answers MISCONF, which
 *   is right (nothing is shown that could vanish) and not a loss.
 */
export async function lost(client: RawClient, acked: Acked, whileFailing = false): Promise<string[]> {
  const missing: string[] = []
  const isHidden = (reply: Buffer): boolean => whileFailing && reply.toString('latin1', 0, 8) === '-MISCONF'
  await inBatches([...acked.keys], async (batch) => {
    const replies = await client.pipeline(batch.map(([key]) => ['GET', key]))
    batch.forEach(([key, value], i) => {
      if (decodeReply(replies[i]) !== value && !isHidden(replies[i])) missing.push(`${key}: ${replies[i].toString('latin1', 0, 60)}`)
    })
  })
  await inBatches([...acked.orders], async (batch) => {
    const replies = await client.pipeline(batch.map(([order]) => ['STOCK.ORDER', order]))
    batch.forEach(([order, confirmed], i) => {
      if (isHidden(replies[i])) return
      const state = field(decodeReply(replies[i]), 'state')
      // Without an acknowledged confirmation either state is right: its answer may have been lost.
      if (confirmed ? state !== 'CONFIRMED' : state !== 'RESERVED' && state !== 'CONFIRMED')
        missing.push(`${order}: ${JSON.stringify(state)}`)
    })
  })
  return missing
}

/** The law of the stock, as this node tells it: total = available + reserved + sold, and a recount that agrees. */
export async function lawHolds(client: RawClient): Promise<boolean> {
  const info = await client.call('STOCK.INFO', SKU)
  const n = (name: string): number => Number(field(info, name))
  const recount = await client.call('STOCK.VERIFY')
  return n('total') === n('available') + n('reserved') + n('sold') && Array.isArray(recount) && recount[2] === 0
}

/** A field of a flat RESP2 array. */
export function field(reply: Value, name: string): Value | undefined {
  if (!Array.isArray(reply)) return undefined
  for (let i = 0; i + 1 < reply.length; i += 2) if (reply[i] === name) return reply[i + 1]
  return undefined
}

async function inBatches<T>(items: readonly T[], each: (batch: T[]) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 1000) await each(items.slice(at, at + 1000))
}
