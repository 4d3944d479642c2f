import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EVENT_TYPES } from '../../../../src/engine/events/event.ts'
import { PublishFrames } from '../../../../src/orders/broker/amqp/publish-frames.ts'
import type { Message } from '../../../../src/orders/broker/broker.ts'
import { envelopeOf, messageId, readFeedback, readMessage, writeFeedback } from '../../../../src/orders/broker/envelope.ts'
import { DEFAULT_TOPOLOGY, Topology } from '../../../../src/orders/broker/topology.ts'

const STREAM = 'n1_00c0ffee-1'
const good = {
  type: 'order.reserved',
  messageId: `${STREAM}/7/12`,
  headers: { stream: STREAM, part: 7, pseq: 12, oldest: 3, schema: 1, timestamp_in_ms: 1_700_000_000_123 },
}
const body = Buffer.from('{}')

describe('an envelope', () => {
  it('says what the message is', () => {
    const message: Message = { stream: STREAM, part: 7, pseq: 12, oldest: 3, type: 'order.reserved', time: 1_700_000_000_123, body }
    expect(readMessage(good, body)).toEqual(message)
    const envelope = envelopeOf(message, ['part.07'])
    expect(readMessage(envelope as unknown as Record<string, unknown>, body)).toEqual(message)
    expect(envelope).toMatchObject({ persistent: true, mandatory: true, BCC: ['part.07'], timestamp: 1_700_000_000 })
  })

  it('of a type that this version does not know is for the reader of the body', () => {
    expect(readMessage({ ...good, type: 'order.gifted' }, body)?.type).toBe('order.gifted')
  })

  it.each([
    ['no headers', { ...good, headers: undefined }],
    ['null headers', { ...good, headers: null }],
    ['no stream', { ...good, headers: { ...good.headers, stream: undefined } }],
    ['a stream that is no name', { ...good, headers: { ...good.headers, stream: 'a b' }, messageId: 'a b/7/12' }],
    ['a part that is none', { ...good, headers: { ...good.headers, part: 16 }, messageId: `${STREAM}/16/12` }],
    ['a number as text', { ...good, headers: { ...good.headers, pseq: '12' } }],
    ['pseq 0', { ...good, headers: { ...good.headers, pseq: 0, oldest: 0 }, messageId: `${STREAM}/7/0` }],
    ['a pseq that is not exact', { ...good, headers: { ...good.headers, pseq: 2 ** 53 }, messageId: `${STREAM}/7/${2 ** 53}` }],
    ['an oldest behind it', { ...good, headers: { ...good.headers, oldest: 13 } }],
    ['another message id', { ...good, messageId: `${STREAM}/7/13` }],
    ['no message id', { ...good, messageId: undefined }],
    ['no type', { ...good, type: undefined }],
  ])('with %s is not believed', (_, properties) => {
    expect(readMessage(properties, body)).toBeNull()
  })

  it('of any shape never throws', () => {
    fc.assert(
      fc.property(fc.object({ maxDepth: 3 }), fc.anything(), (properties, headers) => {
        const message = readMessage({ ...properties, headers }, body)
        return message === null || typeof message.pseq === 'number'
      }),
    )
  })
})

describe('feedback', () => {
  it('comes as it was said', () => {
    const stored = {
      kind: 'stored',
      stream: STREAM,
      cursors: [
        { part: 0, pseq: 0 },
        { part: 15, pseq: 2 ** 40 },
      ],
    } as const
    const seek = { kind: 'seek', stream: STREAM, part: 3, pseq: 9 } as const
    for (const feedback of [stored, seek]) expect(readFeedback(writeFeedback(feedback), STREAM)).toEqual(feedback)
  })

  it.each([
    '',
    '[]',
    'null',
    '{"kind":"seek"}',
    `{"kind":"seek","stream":"${STREAM}","part":16,"pseq":1}`,
    `{"kind":"seek","stream":"${STREAM}","part":1,"pseq":-1}`,
    `{"kind":"seek","stream":"other","part":1,"pseq":1}`,
    `{"kind":"stored","stream":"${STREAM}","cursors":[{"part":1}]}`,
    `{"kind":"stored","stream":"${STREAM}","cursors":[null]}`,
    `{"kind":"stored","stream":"${STREAM}","cursors":{}}`,
    `{"kind":"drop","stream":"${STREAM}"}`,
    `{"kind":"seek","stream":"${STREAM}","part":1,"pseq":1,"x":"${'x'.repeat(20_000)}"}`,
  ])('that is none is not heard: %.60s', (text) => {
    expect(readFeedback(Buffer.from(text), STREAM)).toBeNull()
  })

  it('of any bytes never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => readFeedback(Buffer.from(text), STREAM) === null))
  })
})

describe('the frames of a published event', () => {
  const require = createRequire(import.meta.url)
  const libraryFile = (name: string): string => require.resolve('amqplib').replace('channel_api.js', `lib/${name}.js`)
  const defs = require(libraryFile('defs'))
  const frame = require(libraryFile('frame'))

  /** What amqplib writes for this envelope, but for the width of its integers, which it chooses by their size. */
  function byLibrary(message: Message, topology: Topology, frameMax: number): Buffer {
    const long = (value: number): object => ({ '!': 'int64', value })
    const byte = (value: number): object => ({ '!': 'byte', value })
    const { headers, BCC, persistent: _, mandatory, ...properties } = envelopeOf(message, [topology.partKeys[message.part]])
    const table = {
      stream: headers.stream,
      part: byte(headers.part),
      pseq: long(headers.pseq),
      oldest: long(headers.oldest),
      schema: byte(headers.schema),
      timestamp_in_ms: long(headers.timestamp_in_ms),
      BCC,
    }
    const fields = { exchange: topology.events, routingKey: message.type, mandatory, immediate: false, ticket: 0 }
    const frames = [
      defs.encodeMethod(defs.BasicPublish, 5, fields),
      defs.encodeProperties(defs.BasicProperties, 5, message.body.length, { ...properties, deliveryMode: 2, headers: table }),
    ]
    for (let at = 0; at < message.body.length; at += frameMax - 8) {
      frames.push(frame.makeBodyFrame(5, message.body.subarray(at, at + frameMax - 8)))
    }
    return Buffer.concat(frames)
  }

  it('are the bytes that amqplib writes', () => {
    const topology = new Topology({ ...DEFAULT_TOPOLOGY, prefix: 'läden' })
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            stream: fc.constantFrom(STREAM, 'n12_deadbeef-77'),
            part: fc.nat(15),
            pseq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
            oldest: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
            type: fc.constantFrom(...EVENT_TYPES),
            time: fc.integer({ min: 0, max: 2 ** 45 }),
            body: fc
              .oneof(fc.uint8Array({ maxLength: 600 }), fc.constant(new Uint8Array(70_000).fill(7)))
              .map((bytes) => Buffer.from(bytes)),
          }),
          { maxLength: 40 },
        ),
        fc.constantFrom(4096, 131_072),
        (messages, frameMax) => {
          const written: Buffer[] = []
          const frames = new PublishFrames({ channel: 5, frameMax, topology, write: (bytes) => written.push(bytes) })
          messages.forEach((message, nth) => {
            frames.add(message)
            if (nth % 7 === 0) frames.flush()
          })
          frames.flush()
          const expected = Buffer.concat(messages.map((message) => byLibrary(message, topology, frameMax)))
          expect(Buffer.concat(written).equals(expected)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('names the message as the headers do', () => {
    expect(messageId(STREAM, 7, 12)).toBe(good.messageId)
  })
})
