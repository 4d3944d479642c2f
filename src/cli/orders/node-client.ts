// A node by ioredis: what the operator's tools ask of it. A call that fails says in words what to do; nothing is tried for ever.

import { Redis } from 'ioredis'
import { StockdError } from '../../base/error.ts'
import type {
  NodeEvent,
  NodeFacts,
  NodeItem,
  NodeOrder,
  NodeOrderHead,
  NodeSku,
  NodeStatus,
  NodeView,
} from '../../orders/reconcile/node-view.ts'
import { bytesOfName, nameOfBytes } from '../../orders/store/name.ts'

const CONNECT_MS = 5000
const COMMAND_MS = 30_000
/** Orders of one SCAN: about a tenth of a millisecond of the node's time. */
const SCAN_COUNT = 1000
const NO_SUCH_COMMAND = /unknown command/i

export interface NodeAddress {
  readonly host: string
  readonly port: number
  readonly user: string | null
  readonly password: string | null
}

type Reply = Buffer | number | null | readonly Reply[]

export class NodeClient implements NodeView {
  readonly name: string
  readonly #redis: Redis
  readonly #user: string | null
  /** Of the connection: the reason why commands fail. */
  #lost: Error | null = null

  /** Connects when it is first asked. */
  constructor({ host, port, user, password }: NodeAddress, timeoutMs = COMMAND_MS) {
    this.name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    this.#user = user
    this.#redis = new Redis({
      host,
      port,
      protocol: 2,
      lazyConnect: true,
      connectTimeout: Math.min(CONNECT_MS, timeoutMs),
      commandTimeout: timeoutMs,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      disableClientInfo: true,
      connectionName: 'stockd-orders',
      ...(user === null ? {} : { username: user }),
      ...(password === null ? {} : { password }),
    })
    this.#redis.on('error', (error: Error) => (this.#lost = error))
  }

  async status(): Promise<NodeStatus> {
    const map = mapOf(await this.#ask('STOCK.OUTBOX', 'STATUS'))
    if (numberOf(map, 'enabled') === 0) {
      throw new StockdError('NODE', `node ${this.name} keeps no log (appendonly is off): its orders go nowhere`)
    }
    return {
      stream: textOf(map, 'stream'),
      sink: textOf(map, 'sink'),
      state: textOf(map, 'state'),
      isConnected: numberOf(map, 'connected') === 1,
      last: numbersOf(map, 'last'),
      published: numbersOf(map, 'published'),
      acked: numbersOf(map, 'acked'),
      stored: numbersOf(map, 'stored'),
      lastLsn: numberOf(map, 'last_lsn'),
      lagMs: numberOf(map, 'lag_ms'),
      backlogBytes: numberOf(map, 'backlog_bytes'),
      backlogBytesMax: numberOf(map, 'backlog_bytes_max'),
    }
  }

  async facts(): Promise<NodeFacts> {
    const server = text(await this.#ask('INFO', 'server'))
    const [seconds, micros] = list(await this.#ask('TIME'))
    const option = async (name: string): Promise<number> => Number(text(list(await this.#ask('CONFIG', 'GET', name))[1] ?? null)) * 1000
    return {
      version: /^stockd_version:(.*)$/m.exec(server)?.[1].trim() ?? '',
      runId: /^run_id:(.*)$/m.exec(server)?.[1].trim() ?? '',
      now: Number(text(seconds)) * 1000 + Math.floor(Number(text(micros)) / 1000),
      returnWindowMs: await option('return-window'),
      orderRetentionMs: await option('order-retention'),
    }
  }

  async scan(cursor: string): Promise<{ next: string; orders: NodeOrderHead[] }> {
    const [next, found] = list(await this.#ask('STOCK.OUTBOX', 'SCAN', cursor, 'COUNT', SCAN_COUNT))
    const fields = list(found)
    const orders: NodeOrderHead[] = []
    for (let i = 0; i + 2 < fields.length; i += 3) {
      orders.push({ id: nameOf(fields[i]), state: text(fields[i + 1]), version: number(fields[i + 2]) })
    }
    return { next: text(next), orders }
  }

  async orders(ids: readonly string[]): Promise<(NodeOrder | null)[]> {
    const replies = await this.#askAll(ids.map((id) => ['STOCK.ORDER', bytesOfName(id)]))
    return replies.map((reply) => (reply === null ? null : orderOf(mapOf(reply))))
  }

  async scanSkus(cursor: string): Promise<{ next: string; skus: string[] }> {
    const [next, found] = list(await this.#ask('SCAN', cursor, 'TYPE', 'stock', 'COUNT', SCAN_COUNT))
    return { next: text(next), skus: list(found).map(nameOf) }
  }

  async skus(names: readonly string[]): Promise<(NodeSku | null)[]> {
    const replies = await this.#askAll(
      names.map((name) => ['STOCK.INFO', bytesOfName(name)]),
      /^NOSKU|^WRONGTYPE/,
    )
    return replies.map((reply, i) => {
      if (reply === null) return null
      const map = mapOf(reply)
      const of = (field: string): number => numberOf(map, field)
      const [total, available, reserved, sold, version] = ['total', 'available', 'reserved', 'sold', 'version'].map(of)
      return { sku: names[i], total, available, reserved, sold, version }
    })
  }

  async events(from: string, count: number): Promise<NodeEvent[]> {
    const entries = list(await this.#ask('XRANGE', 'stock:events', from, '+', 'COUNT', count))
    return entries.map((entry) => {
      const [id, found] = list(entry)
      const fields = mapOf(found)
      const payload = fields.get('event')
      if (!Buffer.isBuffer(payload)) throw this.#strange()
      return { entry: text(id), part: numberOf(fields, 'part'), pseq: numberOf(fields, 'pseq'), payload }
    })
  }

  async seek(part: number, pseq: number): Promise<void> {
    await this.#ask('STOCK.OUTBOX', 'SEEK', part, pseq)
  }

  close(): void {
    this.#redis.disconnect()
  }

  async #ask(command: string, ...args: readonly (string | number | Buffer)[]): Promise<Reply> {
    try {
      await this.#connect()
      return (await this.#redis.callBuffer(command, [...args])) as Reply
    } catch (error) {
      throw this.#inWords(error)
    }
  }

  /** Many at once. @param isNothing errors that say that there is no such thing: null */
  async #askAll(calls: readonly (readonly [string, Buffer])[], isNothing?: RegExp): Promise<Reply[]> {
    try {
      await this.#connect()
      return await Promise.all(
        calls.map(async ([command, argument]) => {
          try {
            return (await this.#redis.callBuffer(command, [argument])) as Reply
          } catch (error) {
            if (error instanceof Error && isNothing?.test(error.message) === true) return null
            throw error
          }
        }),
      )
    } catch (error) {
      throw this.#inWords(error)
    }
  }

  async #connect(): Promise<void> {
    if (this.#redis.status === 'wait') await this.#redis.connect()
  }

  #strange(): StockdError {
    return new StockdError('NODE', `node ${this.name} answers what no stockd answers: name a stockd node with --node`)
  }

  #inWords(error: unknown): StockdError {
    if (error instanceof StockdError) return error
    const said = error instanceof Error ? error.message : String(error)
    // "Connection is closed" says less than what closed it.
    const { code, message } = (/closed|retries/i.test(said) ? (this.#lost ?? error) : error) as NodeJS.ErrnoException
    const at = `node ${this.name}`
    const who = this.#user === null ? 'no user was named' : `as user ${this.#user}`
    if (/^(WRONGPASS|NOAUTH|ERR AUTH)/.test(message)) {
      return new StockdError('NODE', `${at} wants another password (${who}): STOCKD_NODE_PASSWORD, and --node-user`, { cause: error })
    }
    if (/^NOPERM/.test(message)) {
      return new StockdError('NODE', `${at} does not let this user ask (${message.slice(0, 200)})`, { cause: error })
    }
    if (NO_SUCH_COMMAND.test(message)) {
      return new StockdError('NODE', `${at} is no stockd, or an old one (${message.slice(0, 120)})`, { cause: error })
    }
    const why =
      code === 'ECONNREFUSED'
        ? 'nobody listens there: is the node running, is the port right?'
        : code === 'ENOTFOUND' || code === 'EAI_AGAIN'
          ? 'no such host'
          : code === 'ETIMEDOUT' || /timed? ?out/i.test(message)
            ? 'it does not answer in time'
            : message.slice(0, 200)
    return new StockdError('NODE', `${at} cannot be asked: ${why}`, { cause: error })
  }
}

function list(reply: Reply | undefined): readonly Reply[] {
  if (!Array.isArray(reply)) throw new StockdError('NODE', 'the node answers what no stockd answers')
  return reply as readonly Reply[]
}

function text(reply: Reply | undefined): string {
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply ?? '')
}

const nameOf = (reply: Reply | undefined): string => (Buffer.isBuffer(reply) ? nameOfBytes(reply) : text(reply))

function number(reply: Reply | undefined): number {
  const n = typeof reply === 'number' ? reply : Number(text(reply))
  if (!Number.isSafeInteger(n)) throw new StockdError('NODE', 'the node answers what no stockd answers')
  return n
}

function mapOf(reply: Reply | undefined): Map<string, Reply> {
  const fields = list(reply)
  const map = new Map<string, Reply>()
  for (let i = 0; i + 1 < fields.length; i += 2) map.set(text(fields[i]), fields[i + 1])
  return map
}

const textOf = (map: Map<string, Reply>, field: string): string => text(map.get(field))
const numberOf = (map: Map<string, Reply>, field: string): number => number(map.get(field))
const numbersOf = (map: Map<string, Reply>, field: string): number[] => list(map.get(field)).map(number)

/** '' is how the node says: none. */
function nameOrNull(reply: Reply | undefined): string | null {
  const name = nameOf(reply)
  return name === '' ? null : name
}

function orderOf(map: Map<string, Reply>): NodeOrder {
  return {
    id: nameOf(map.get('id')),
    state: textOf(map, 'state'),
    version: numberOf(map, 'version'),
    created: numberOf(map, 'created'),
    buyer: nameOrNull(map.get('buyer')),
    ref: nameOrNull(map.get('ref')),
    items: list(map.get('items')).map((item): NodeItem => {
      const [sku, ...units] = list(item)
      const [reserved, sold, released, returned] = units.map(number)
      return { sku: nameOf(sku), reserved, sold, released, returned }
    }),
  }
}
