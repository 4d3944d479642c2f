// Which broker a command works with: the --amqp flags, else the environment.
//
// A URL with a password belongs into the environment or a file, where other users of the machine do not see it.

import { readFileSync } from 'node:fs'
import { StockdError } from '../../base/error.ts'
import { AmqpBroker } from '../../orders/broker/amqp-broker.ts'
import type { OrdersEnv } from '../../orders/env.ts'

export const AMQP_VARIABLE = 'STOCKD_AMQP'

export interface BrokerOptions {
  readonly amqp?: string | undefined
  readonly amqpPrefix: string
  readonly amqpExchange?: string | undefined
  readonly amqpQueueBytes: number
  readonly amqpCa?: string | undefined
  readonly amqpCert?: string | undefined
  readonly amqpKey?: string | undefined
}

export interface BrokerUse {
  readonly env: OrdersEnv
  readonly connectionName: string
  readonly prefetch?: number
}

/** --amqp, or the environment, or the file that it names. Null: nothing says where a broker is. */
export function brokerAddress({ amqp }: Pick<BrokerOptions, 'amqp'>, environment: NodeJS.ProcessEnv): string | null {
  if (amqp !== undefined) return amqp
  const given = environment[AMQP_VARIABLE]
  if (given !== undefined && given !== '') return given
  const file = environment[`${AMQP_VARIABLE}_FILE`]
  return file !== undefined && file !== '' ? contentOf(`${AMQP_VARIABLE}_FILE`, file).trim() : null
}

/** Connects to nothing yet. @throws StockdError BAD_OPTION */
export function makeBroker(urls: string, options: BrokerOptions, { env, connectionName, prefetch }: BrokerUse): AmqpBroker {
  return new AmqpBroker({
    urls,
    topology: {
      prefix: options.amqpPrefix,
      queueBytesMax: options.amqpQueueBytes,
      ...(options.amqpExchange === undefined ? {} : { exchange: options.amqpExchange }),
    },
    tls: { ca: pem('--amqp-ca', options.amqpCa), cert: pem('--amqp-cert', options.amqpCert), key: pem('--amqp-key', options.amqpKey) },
    ...{ connectionName, env },
    ...(prefetch === undefined ? {} : { prefetch }),
  })
}

/** @throws StockdError BAD_OPTION */
export function requireAddress(address: string | null): string {
  if (address === null) throw new StockdError('BAD_OPTION', `where the broker is must be told: --amqp amqp://host, or ${AMQP_VARIABLE}`)
  return address
}

function pem(flag: string, file: string | undefined): string | null {
  return file === undefined ? null : contentOf(flag, file)
}

function contentOf(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StockdError('BAD_OPTION', `${option} ${JSON.stringify(file)} cannot be read (${code})`, { cause: error })
  }
}
