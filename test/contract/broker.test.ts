// What publisher and consumer may rely on, tried on RabbitMQ and on the simulated broker that the storms use.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HAS_RABBITMQ, startRabbitMq } from '../support/rabbitmq.ts'
import type { RabbitMq } from '../support/rabbitmq.ts'
import { ConsumerEar, message, PublisherEar, RabbitBench, SimBench } from './broker-bench.ts'
import type { Bench } from './broker-bench.ts'

const STREAM = 'n1_00c0ffee-1'

let rabbit: RabbitMq
const benches: RabbitBench[] = []
let names = 0

beforeAll(async () => {
  if (HAS_RABBITMQ) rabbit = await startRabbitMq()
}, 120_000)

afterAll(async () => {
  await Promise.all(benches.map((bench) => bench.close()))
})

const KINDS = [
  {
    name: 'RabbitMQ',
    isThere: HAS_RABBITMQ,
    make(): Bench {
      const bench = new RabbitBench(rabbit, `t${++names}`)
      benches.push(bench)
      return bench
    },
  },
  { name: 'the simulated broker', isThere: true, make: (): Bench => new SimBench(++names) },
]

for (const kind of KINDS) {
  // Without the program: node test/support/programs.ts
  describe.skipIf(!kind.isThere)(`a broker: ${kind.name}`, () => {
    it('acks what was published, and gives it to the consumer of its part, whole and in order', async () => {
      const bench = kind.make()
      const publisher = new PublisherEar().listen(bench.connect(), STREAM)
      const consumer = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => publisher.ready === 1 && consumer.ready === 1)
      for (const part of [0, 7, 15]) void consumer.open.subscribe(part)
      const sent = [0, 7, 15].flatMap((part) => Array.from({ length: 40 }, (_, nth) => message(part, nth + 1, { oldest: 1 + (nth >> 3) })))
      const tags = sent.map((one) => publisher.open.publish(one))
      expect(tags).toEqual(sent.map((_, nth) => nth + 1))
      await bench.until('acks', () => publisher.acked.size === sent.length)
      await bench.until('deliveries', () => consumer.deliveries.length === sent.length)
      for (const part of [0, 7, 15]) {
        const got = consumer.deliveries.filter((delivery) => delivery.part === part)
        expect(got.map((delivery) => delivery.message)).toEqual(sent.filter((one) => one.part === part))
        expect(got.some((delivery) => delivery.redelivered)).toBe(false)
        const tagsOfPart = got.map((delivery) => delivery.tag)
        expect(tagsOfPart).toEqual(tagsOfPart.toSorted((a, b) => a - b))
      }
    })

    it('gives again what was not acked when a consumer goes, and nothing that was', async () => {
      const bench = kind.make()
      const publisher = new PublisherEar().listen(bench.connect(), STREAM)
      const first = bench.connect()
      const before = new ConsumerEar().listen(first)
      await bench.until('connected', () => publisher.ready === 1 && before.ready === 1)
      await bench.until('subscribed', settledBy(before.open.subscribe(3)))
      for (let pseq = 1; pseq <= 6; pseq++) publisher.open.publish(message(3, pseq))
      await bench.until('all six', () => before.deliveries.length === 6)
      before.open.ack(3, before.deliveries[1].tag)
      const behindTheAck = before.open.deadLetter({ payload: Buffer.from('x'), headers: {} })
      await bench.until('the ack has arrived, with what came after it', settledBy(behindTheAck))
      await first.close()
      const after = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => after.ready === 1)
      await bench.until('subscribed', settledBy(after.open.subscribe(3)))
      await bench.until('the others', () => after.deliveries.length >= 4)
      expect(after.pseqs(3)).toEqual([3, 4, 5, 6])
      expect(after.deliveries.every((delivery) => delivery.redelivered)).toBe(true)
    })

    it('gives a part to one consumer at a time; the next takes over', async () => {
      const bench = kind.make()
      const publisher = new PublisherEar().listen(bench.connect(), STREAM)
      const active = bench.connect()
      const one = new ConsumerEar().listen(active)
      const two = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => publisher.ready === 1 && one.ready === 1 && two.ready === 1)
      await bench.until('subscribed', settledBy(one.open.subscribe(5)))
      await bench.until('subscribed', settledBy(two.open.subscribe(5)))
      for (let pseq = 1; pseq <= 3; pseq++) publisher.open.publish(message(5, pseq))
      await bench.until('three', () => one.deliveries.length === 3)
      expect(two.deliveries).toEqual([])
      one.open.ack(5, one.deliveries[0].tag)
      await bench.until('unsubscribed', settledBy(one.open.unsubscribe(5)))
      one.open.requeue(5, one.deliveries[2].tag)
      await bench.until('taken over', () => two.deliveries.length >= 2)
      expect(two.pseqs(5)).toEqual([2, 3])
      publisher.open.publish(message(5, 4))
      await bench.until('the fourth', () => two.deliveries.length === 3)
      expect(one.deliveries).toHaveLength(3)
    })

    it('carries feedback to the node of that stream and to no other', async () => {
      const bench = kind.make()
      const node = new PublisherEar().listen(bench.connect(), STREAM)
      const other = new PublisherEar().listen(bench.connect(), 'n2_00c0ffee-1')
      const consumer = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => node.ready === 1 && other.ready === 1 && consumer.ready === 1)
      const stored = { kind: 'stored', stream: STREAM, cursors: [{ part: 0, pseq: 12 }] } as const
      const seek = { kind: 'seek', stream: STREAM, part: 7, pseq: 3 } as const
      consumer.open.feedback(stored)
      consumer.open.feedback(seek)
      consumer.open.feedback({ ...seek, stream: 'n2_00c0ffee-1' })
      await bench.until('all of it', () => node.feedback.length === 2 && other.feedback.length === 1)
      expect(node.feedback.toSorted((a, b) => a.kind.localeCompare(b.kind))).toEqual([seek, stored])
    })

    it('keeps a copy of what is dead, and says when it has it', async () => {
      const bench = kind.make()
      const consumer = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => consumer.ready === 1)
      const kept = consumer.open.deadLetter({ payload: Buffer.from('no event'), headers: { reason: 'json', part: 3 } })
      await bench.until('kept', settledBy(kept))
      await kept
    })

    it('is found again after a crash: tags begin anew, what was acked is still there', async () => {
      const bench = kind.make()
      const publisher = new PublisherEar().listen(bench.connect(), STREAM)
      const consumer = new ConsumerEar().listen(bench.connect())
      await bench.until('connected', () => publisher.ready === 1 && consumer.ready === 1)
      for (let pseq = 1; pseq <= 20; pseq++) publisher.open.publish(message(9, pseq))
      await bench.until('acks', () => publisher.acked.size === 20)
      await bench.stop()
      await bench.until('noticed', () => publisher.channel === null && consumer.channel === null)
      expect(publisher.lost.length).toBeGreaterThan(0)
      await bench.start()
      await bench.until('connected', () => publisher.channel !== null && consumer.channel !== null)
      expect(publisher.open.publish(message(9, 21))).toBe(1)
      await bench.until('subscribed', settledBy(consumer.open.subscribe(9)))
      await bench.until('everything', () => consumer.deliveries.length >= 21)
      expect(consumer.pseqs(9)).toEqual(Array.from({ length: 21 }, (_, nth) => nth + 1))
    })

    it('tells how many messages wait in the queue of each part', async () => {
      const bench = kind.make()
      const broker = bench.connect()
      const publisher = new PublisherEar().listen(broker, STREAM)
      await bench.until('connected', () => publisher.ready === 1)
      for (let pseq = 1; pseq <= 3; pseq++) publisher.open.publish(message(2, pseq))
      await bench.until('acks', () => publisher.acked.size === 3)
      let depths: readonly number[] = []
      await bench.until('counted', settledBy(broker.depths().then((answer) => (depths = answer))))
      expect(depths).toEqual(Array.from({ length: 16 }, (_, part) => (part === 2 ? 3 : 0)))
    })
  })
}

/** Whether it has come true; a rejection is the test's. */
function settledBy(promise: Promise<unknown>): () => boolean {
  let isSettled = false
  let failure: Error | undefined
  promise.then(
    () => (isSettled = true),
    (error: unknown) => {
      isSettled = true
      failure = error instanceof Error ? error : new Error(String(error))
    },
  )
  return () => {
    if (failure !== undefined) throw failure
    return isSettled
  }
}
