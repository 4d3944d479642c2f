// `stockd-orders run`: the consumer's options. What it does is run-process.ts.

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { StockdError } from '../../base/error.ts'
import { CONSUMER_TIMES } from '../../orders/consumer/consumer.ts'
import { SystemOrdersEnv } from '../../orders/env.ts'
import type { Level } from '../../server/env.ts'
import { badArgument } from '../command-line.ts'
import { openConsumerEndpoint } from '../metrics/consumer-endpoint.ts'
import { makeSay } from '../say.ts'
import { brokerAddress, makeBroker, requireAddress } from './broker-options.ts'
import { wholeNumber, type OrdersTool } from './orders-tool.ts'
import { run } from './run-process.ts'
import { openStore } from './store-options.ts'

const BATCH = 500
const CONNECTIONS = 4
/** Of a pool, beside those that write: heartbeat, cursors. */
const CONNECTIONS_BESIDE = 2

export function addRun(tool: OrdersTool): void {
  tool
    .onStoreAndBroker('run', 'takes events from the broker and puts them into the database, until it is stopped')
    .option('--name <name>', 'of this consumer among those of the database; host and process by default', consumerName)
    .option('--batch <n>', 'events of one transaction, at most', wholeNumber(1, 10_000), BATCH)
    .option('--prefetch <n>', 'events of a part that wait here, at most; twice --batch by default', wholeNumber(2, 65_535))
    .option('--connections <n>', 'transactions at once', wholeNumber(1, 64), CONNECTIONS)
    .option('--linger-ms <n>', 'so long a batch waits for more events', wholeNumber(0, 10_000), CONSUMER_TIMES.lingerMs)
    .option('--hold-ms <n>', 'so long messages are held while the database is away', wholeNumber(1_000, 1_200_000), CONSUMER_TIMES.holdMs)
    .option('--lease-ms <n>', 'after so long a silent consumer is forgotten', wholeNumber(1_000, 600_000), CONSUMER_TIMES.leaseMs)
    .option('--no-migrate', 'tables are made and changed by somebody else')
    .option('--http <port>', 'port of /metrics, /healthz and /readyz; 0 takes a free one', wholeNumber(0, 65_535))
    .option('--http-bind <address>', 'address of that port: whoever reaches it can read the figures', '127.0.0.1')
    .option('--log-format <text|json>', 'lines for people, or JSON for programs', oneOf('text', 'json'), 'text')
    .option('--loglevel <level>', 'debug, verbose, notice or warning', oneOf('debug', 'verbose', 'notice', 'warning'), 'notice')
    .action(async (options) => {
      tool.console(options)
      const prefetch = options.prefetch ?? 2 * options.batch
      if (prefetch < 2) throw new StockdError('BAD_OPTION', '--prefetch must be 2 or more')
      const level = options.loglevel as Level
      const format = options.json === true || options.logFormat === 'json' ? 'json' : 'text'
      const say = makeSay({ format, file: '', level: () => level })
      const env = new SystemOrdersEnv((at, message, details) => say(at, message, plain(details)))
      const name = options.name ?? `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`
      const urls = requireAddress(brokerAddress(options, process.env))
      const broker = makeBroker(urls, options, { env, prefetch, connectionName: `stockd-orders ${name}` })
      const store = await openStore({ ...options, connections: options.connections + CONNECTIONS_BESIDE }, 'own', process.env)
      // A title of its own takes the arguments, and with them passwords, out of the list of processes.
      if (options.amqp !== undefined || options.store !== undefined) process.title = 'stockd-orders'
      const { http: port, httpBind: address } = options
      await run({
        ...{ store, broker, env, name, prefetch },
        ...{ batch: options.batch, connections: options.connections, migrates: options.migrate },
        times: { lingerMs: options.lingerMs, holdMs: options.holdMs, leaseMs: options.leaseMs },
        async openEndpoint(consumer, isStopping) {
          if (port === undefined) return null
          const endpoint = await openConsumerEndpoint({ port, address, consumer, isStopping })
          env.say('notice', 'metrics and health are here', { url: endpoint.url })
          return endpoint
        },
      })
    })
}

function consumerName(text: string): string {
  if (!/^[\w.:-]{1,64}$/.test(text)) throw badArgument('expected up to 64 letters, digits, and . _ : -')
  return text
}

function oneOf(...words: readonly string[]): (text: string) => string {
  return (text) => {
    if (!words.includes(text)) throw badArgument(`expected ${words.join(' or ')}.`)
    return text
  }
}

/** Facts as a line shows them. */
function plain(details: Readonly<Record<string, unknown>> = {}): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : JSON.stringify(value),
    ]),
  )
}
