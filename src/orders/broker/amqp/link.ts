// A connection to a broker that is always looked for again: several addresses in turn, pauses that grow, for ever.
//
// amqplib can reconnect by itself, but knows only one address, and cannot be told that a connection which still stands is of no use any
// more (a queue was deleted, a channel died). So the loop is here, and everything above it starts anew with each connection: a connection
// is one life.

import { connect } from 'amqplib'
import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage, Message as ReturnedMessage } from 'amqplib'
import type { OrdersEnv } from '../../env.ts'
import type { AmqpAddress } from './address.ts'

export type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage, ReturnedMessage }

const CONNECT_MS_MAX = 10_000
const CLOSE_MS_MAX = 2_000
const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 10_000
/** A connection that stood this long was a good one: the next pause is short again. */
const STEADY_MS = 10_000

export interface AmqpTls {
  readonly ca: string | Buffer | null
  readonly cert: string | Buffer | null
  readonly key: string | Buffer | null
}

export interface AmqpAccess {
  readonly addresses: readonly AmqpAddress[]
  readonly tls: AmqpTls | null
  /** How the connection is called in the broker's lists. */
  readonly connectionName: string
}

export interface LinkEvents {
  /** A new connection. If it rejects, the connection is dropped and the next one tried. */
  onUp(model: ChannelModel, address: AmqpAddress): Promise<void>
  /** It is gone, or could not be had or set up. */
  onDown(error: unknown, address: AmqpAddress): void
}

/** One connection, once. */
export async function openAmqp(address: AmqpAddress, { tls, connectionName }: AmqpAccess): Promise<ChannelModel> {
  const { protocol, hostname, port, username, password, heartbeat } = address
  const model = await connect(
    { protocol, hostname, port, username, password, heartbeat, vhost: encodeURIComponent(address.vhost) },
    {
      noDelay: true,
      keepAlive: true,
      timeout: CONNECT_MS_MAX,
      clientProperties: { connection_name: connectionName },
      ...(tls?.ca != null && { ca: tls.ca }),
      ...(tls?.cert != null && { cert: tls.cert }),
      ...(tls?.key != null && { key: tls.key }),
    },
  )
  // An EventEmitter without a listener for `error` ends the process.
  model.on('error', () => {})
  return model
}

/** Ends a connection in order if the broker answers soon, and at once if not. */
export async function closeAmqp(model: ChannelModel, env: OrdersEnv): Promise<void> {
  const patience = Promise.withResolvers<void>()
  const cancel = env.after(CLOSE_MS_MAX, patience.resolve)
  try {
    await Promise.race([model.close(), patience.promise])
  } catch {
    // It was closed already.
  } finally {
    cancel()
    // amqplib waits for the answer of a broker that may be gone, and has no call to hang up. With an error, because else nobody would tell
    // those who wait for something on this connection.
    const { stream } = model.connection as { stream?: { destroy?: (error: Error) => void } }
    stream?.destroy?.(new Error('hung up'))
  }
}

export class AmqpLink {
  readonly #access: AmqpAccess
  readonly #env: OrdersEnv
  readonly #events: LinkEvents
  readonly #closed = Promise.withResolvers<void>()
  #isClosed = false
  /** Ends the present connection. */
  #drop: ((error: unknown) => void) | null = null
  #loop: Promise<void> = Promise.resolve()

  constructor(access: AmqpAccess, env: OrdersEnv, events: LinkEvents) {
    this.#access = access
    this.#env = env
    this.#events = events
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** The present connection is of no use any more: why. Another one is looked for. */
  drop(error: unknown): void {
    this.#drop?.(error)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#closed.resolve()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { addresses } = this.#access
    let failures = 0
    for (let turn = 0; !this.#isClosed; turn++) {
      const address = addresses[turn % addresses.length]
      const since = this.#env.monotonic()
      const error = await this.#live(address)
      if (this.#isClosed) return
      const wasSteady = this.#env.monotonic() - since >= STEADY_MS + CONNECT_MS_MAX
      failures = wasSteady ? 0 : failures + 1
      this.#events.onDown(error, address)
      // Every address is tried once before there is a pause.
      if (failures % addresses.length === 0) await this.#pause(Math.ceil(failures / addresses.length))
    }
  }

  /** One connection from its beginning to its end. @returns what ended it */
  async #live(address: AmqpAddress): Promise<unknown> {
    const opening = openAmqp(address, this.#access)
    let model: ChannelModel | void
    try {
      model = await Promise.race([opening, this.#closed.promise])
    } catch (error) {
      return error
    }
    if (model === undefined) {
      // Closed meanwhile: whoever closes does not wait for a broker that says nothing.
      opening.then(
        (late) => closeAmqp(late, this.#env),
        () => {},
      )
      return null
    }
    const end = Promise.withResolvers<unknown>()
    this.#drop = end.resolve
    model.on('error', end.resolve)
    model.on('close', (error?: Error) => end.resolve(error ?? new Error('the connection was closed')))
    try {
      const setUp = this.#events.onUp(model, address).catch((error: unknown) => end.resolve(error))
      return await Promise.race([end.promise, this.#closed.promise]).then(async (error) => {
        await closeAmqp(model, this.#env)
        await setUp
        return error
      })
    } finally {
      this.#drop = null
    }
  }

  async #pause(failures: number): Promise<void> {
    const ms = Math.min(PAUSE_MS_MIN * 2 ** Math.min(failures, 16), PAUSE_MS_MAX) * (0.5 + this.#env.random() / 2)
    const pause = Promise.withResolvers<void>()
    const cancel = this.#env.after(ms, pause.resolve)
    await Promise.race([pause.promise, this.#closed.promise])
    cancel()
  }
}
