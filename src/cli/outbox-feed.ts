// Where the events of a node go, by its options: makes the outbox that the node asks for.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { StockdError } from '../base/error.ts'
import { parseAmqpAddresses } from '../orders/broker/amqp/address.ts'
import type { Target } from '../orders/outbox/messages.ts'
import { OutboxThread } from '../orders/outbox/outbox-thread.ts'
import { streamName } from '../engine/events/event.ts'
import type { EventFeed, FeedOwner } from '../server/event-feed.ts'
import type { Options } from '../server/options.ts'

const ORDERS_FILE = 'orders.db'

export function openFeed({ options, env, nodeId, epoch, end }: FeedOwner): EventFeed {
  const { values } = options
  return new OutboxThread(
    {
      directory: values.dir,
      stream: streamName(values['node-number'], nodeId, epoch),
      target: targetOf(options),
      end,
      historyMs: values['event-history'],
      historyBytes: values['event-history-bytes'],
      backlogBytes: values['outbox-backlog'],
    },
    {
      say: (level, message, details = {}) => env.say(level, message, details as Record<string, string | number | boolean>),
      monotonic: () => performance.now(),
      after(ms, run) {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    },
  )
}

/** Throws StockdError: an option that cannot be used. */
export function targetOf({ values }: Options): Target {
  const pem = (name: 'amqp-ca' | 'amqp-cert' | 'amqp-key'): string | null => (values[name] === '' ? null : readPem(name, values[name]))
  if (values.amqp !== '') {
    // An address that is none is refused now, not by a thread that dies of it.
    parseAmqpAddresses(values.amqp)
    return {
      kind: 'amqp',
      urls: values.amqp,
      prefix: values['amqp-prefix'],
      exchange: values['amqp-exchange'],
      queueBytesMax: values['amqp-queue-bytes'],
      tls: { ca: pem('amqp-ca'), cert: pem('amqp-cert'), key: pem('amqp-key') },
    }
  }
  const file = values['orders-db']
  if (file === 'no') return { kind: 'none' }
  return { kind: 'sqlite', file: path.resolve(file === 'auto' ? path.join(values.dir, ORDERS_FILE) : file) }
}

/** For people: where orders go. */
export function wayInWords(target: Target): string {
  switch (target.kind) {
    case 'none':
      return 'nowhere (orders-db no); events can be read as stock:events'
    case 'sqlite':
      return target.file
    case 'amqp':
      return `RabbitMQ, exchange ${target.exchange === '' ? `${target.prefix}.events` : target.exchange}`
  }
}

function readPem(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new StockdError('BAD_OPTION', `${name} ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
