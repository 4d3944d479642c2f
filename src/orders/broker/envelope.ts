// What stands round an event on the wire: AMQP properties and headers, and the feedback of consumers. Reading is total: whatever somebody
// has put into a queue, the answer is a message or null.
//
//   type        order.reserved, also the routing key          headers  stream part pseq    name the event
//   messageId   n7_1a2b3c4d-1/07/1234                                   oldest              the first pseq that the log still had
//   timestamp   seconds; headers.timestamp_in_ms is exact               schema              of the body
//
// Headers are for routing and for people; `messageId` repeats them, and a message in which the two differ is not believed.

import { EVENT_SCHEMA_VERSION } from '../../engine/events/event.ts'
import type { EventType } from '../../engine/events/event.ts'
import type { Feedback, Message } from './broker.ts'
import { BROKER_PARTS } from './topology.ts'

export const CONTENT_TYPE = 'application/json'
const STREAM = /^[\w.-]{1,128}$/
const TYPE = /^[\w.-]{1,64}$/
/** More than a consumer can have to say. */
const FEEDBACK_BYTES_MAX = 16 * 1024

export interface Envelope {
  readonly persistent: true
  readonly mandatory: true
  readonly contentType: typeof CONTENT_TYPE
  readonly type: string
  readonly messageId: string
  readonly timestamp: number
  readonly BCC: string[]
  readonly headers: {
    readonly stream: string
    readonly part: number
    readonly pseq: number
    readonly oldest: number
    readonly schema: number
    readonly timestamp_in_ms: number
  }
}

export function messageId(stream: string, part: number, pseq: number): string {
  return `${stream}/${part}/${pseq}`
}

/** As amqplib wants it; amqp/publish-frames.ts writes the same bytes. @param bcc the second routing key, in an array that is made once for each part */
export function envelopeOf(message: Message, bcc: string[]): Envelope {
  const { stream, part, pseq } = message
  return {
    persistent: true,
    mandatory: true,
    contentType: CONTENT_TYPE,
    type: message.type,
    messageId: messageId(stream, part, pseq),
    timestamp: Math.floor(message.time / 1000),
    BCC: bcc,
    headers: { stream, part, pseq, oldest: message.oldest, schema: EVENT_SCHEMA_VERSION, timestamp_in_ms: message.time },
  }
}

/** Null: not an event, or not to be believed. A type that this version does not know is for the reader of the body. */
export function readMessage(properties: Readonly<Record<string, unknown>>, body: Buffer): Message | null {
  const { headers, type, messageId: id } = properties
  if (typeof headers !== 'object' || headers === null) return null
  const { stream, part, pseq, oldest, timestamp_in_ms: time } = headers as Record<string, unknown>
  if (typeof stream !== 'string' || !STREAM.test(stream)) return null
  if (!isCount(part) || part >= BROKER_PARTS || !isCount(pseq) || pseq < 1) return null
  if (!isCount(oldest) || oldest < 1 || oldest > pseq) return null
  if (typeof type !== 'string' || !TYPE.test(type)) return null
  if (id !== messageId(stream, part, pseq)) return null
  return { stream, part, pseq, oldest, type: type as EventType, time: isCount(time) ? time : 0, body }
}

export function writeFeedback(feedback: Feedback): Buffer {
  return Buffer.from(JSON.stringify(feedback))
}

/** Null: nothing that a consumer of this stream says. */
export function readFeedback(content: Buffer, stream: string): Feedback | null {
  if (content.length > FEEDBACK_BYTES_MAX) return null
  let said: unknown
  try {
    said = JSON.parse(content.toString('utf8'))
  } catch {
    return null
  }
  if (typeof said !== 'object' || said === null) return null
  const { kind, stream: about, part, pseq, cursors } = said as Record<string, unknown>
  if (about !== stream) return null
  if (kind === 'seek') return isCursor({ part, pseq }) ? { kind, stream, part: part as number, pseq: pseq as number } : null
  if (kind !== 'stored' || !Array.isArray(cursors) || cursors.length > BROKER_PARTS) return null
  return cursors.every(isCursor) ? { kind, stream, cursors: cursors.map((cursor) => ({ part: cursor.part, pseq: cursor.pseq })) } : null
}

function isCursor(value: unknown): value is { part: number; pseq: number } {
  if (typeof value !== 'object' || value === null) return false
  const { part, pseq } = value as Record<string, unknown>
  return isCount(part) && part < BROKER_PARTS && isCount(pseq)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
