// RabbitMQ. What is on the wire is in envelope.ts, what is in the broker in topology.ts; the connection is amqp/link.ts.
//
// What a user must be allowed to do, by `rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ` (found out on RabbitMQ 3.10; with
// another prefix than `stock` accordingly):
//
//   may make what is missing            '^stock\.'             '^stock\.'                            '^stock\.'
//   node, everything is there           '^stock\.control\.'    '^(stock\.events|stock\.control\..*)$'  '^stock\.control(\..*)?$'
//   stockd-orders, everything is there  '^$'                   '^stock\.(control|dlx)$'              '^stock\.orders\.'

import { StockdError } from '../../base/error.ts'
import type { OrdersEnv } from '../env.ts'
import { parseAmqpAddresses, type AmqpAddress } from './amqp/address.ts'
import { Consuming } from './amqp/consuming.ts'
import { queueDepths } from './amqp/declare.ts'
import { examineBroker } from './amqp/examination.ts'
import { AmqpLink, closeAmqp, openAmqp, type AmqpAccess, type AmqpTls, type ChannelModel } from './amqp/link.ts'
import { Publishing } from './amqp/publishing.ts'
import { brokerWords } from './amqp/words.ts'
import type { Broker, BrokerFinding, ConsumeEvents, Feedback, PublishEvents } from './broker.ts'
import { Topology, type TopologyOptions } from './topology.ts'

const PREFETCH = 500

export interface AmqpBrokerOptions {
  /** `amqp://user:password@host:port/vhost`, or several with commas between: tried in turn. */
  readonly urls: string
  readonly topology: TopologyOptions
  readonly tls: AmqpTls | null
  /** How the connection is called in the broker's lists. */
  readonly connectionName: string
  readonly env: OrdersEnv
  /** Unacked deliveries of each part that a consumer gets at most. */
  readonly prefetch?: number
  /** Publishes as amqplib does it, and not by amqp/publish-frames.ts. */
  readonly isByLibrary?: boolean
}

export class AmqpBroker implements Broker {
  readonly name: string
  readonly #access: AmqpAccess
  readonly #topology: Topology
  readonly #env: OrdersEnv
  readonly #prefetch: number
  readonly #isByLibrary: boolean
  readonly #links: AmqpLink[] = []
  #isClosed = false

  /** @throws StockdError BAD_OPTION for an address that is none */
  constructor({ urls, topology, tls, connectionName, env, prefetch, isByLibrary }: AmqpBrokerOptions) {
    const addresses = parseAmqpAddresses(urls)
    this.name = addresses.map((address) => address.name).join(',')
    this.#access = { addresses, tls, connectionName }
    this.#topology = new Topology(topology)
    this.#env = env
    this.#prefetch = prefetch ?? PREFETCH
    this.#isByLibrary = isByLibrary ?? false
  }

  publisher(stream: string, events: PublishEvents, onFeedback: (feedback: Feedback) => void): void {
    const link = this.#link('publisher', events.onLost.bind(events), async (model) => {
      await Publishing.open({
        model,
        topology: this.#topology,
        stream,
        env: this.#env,
        events,
        onFeedback,
        isByLibrary: this.#isByLibrary,
        drop: (error) => link.drop(error),
      })
    })
    link.start()
  }

  consumer(events: ConsumeEvents): void {
    const link = this.#link('consumer', events.onLost.bind(events), async (model, address) => {
      await Consuming.open({
        model,
        topology: this.#topology,
        events,
        prefetch: this.#prefetch,
        drop: (error) => link.drop(error),
        inWords: (error) => this.#inWords(error, address, 'consumer'),
      })
    })
    link.start()
  }

  examine(): Promise<readonly BrokerFinding[]> {
    return examineBroker(this.#access, this.#topology, this.#env)
  }

  async depths(): Promise<readonly number[]> {
    let failure: unknown
    for (const address of this.#access.addresses) {
      let model: ChannelModel | null = null
      try {
        model = await openAmqp(address, this.#access)
        return await queueDepths(model, this.#topology)
      } catch (error) {
        failure = this.#inWords(error, address, 'consumer')
      } finally {
        if (model !== null) await closeAmqp(model, this.#env)
      }
    }
    throw failure
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#links.splice(0).map((link) => link.close()))
  }

  #link(
    role: 'publisher' | 'consumer',
    onLost: (reason: string) => void,
    onUp: (model: ChannelModel, address: AmqpAddress) => Promise<void>,
  ): AmqpLink {
    if (this.#isClosed) throw new StockdError('BROKER', 'the broker was closed')
    const link = new AmqpLink(this.#access, this.#env, {
      onUp,
      onDown: (error, address) => onLost(this.#inWords(error, address, role).message),
    })
    this.#links.push(link)
    return link
  }

  #inWords(error: unknown, address: AmqpAddress, role: 'publisher' | 'consumer'): StockdError {
    if (error instanceof StockdError) return error
    return new StockdError('BROKER', brokerWords(error, { address, topology: this.#topology, role }), { cause: error })
  }
}
