// Consumers between a simulated broker and a simulated database: one situation at a time. All of them at once: test/sim/consumer-storm.ts.

import { describe, expect, it } from 'vitest'
import type { ConsumeChannel, Feedback, Message } from '../../../../src/orders/broker/broker.ts'
import { Random } from '../../../../src/base/random.ts'
import { Consumer, type ConsumerTimes } from '../../../../src/orders/consumer/consumer.ts'
import { PartReader, READER_TIMES } from '../../../../src/orders/consumer/part-reader.ts'
import type { Store } from '../../../../src/orders/store/store.ts'
import { SimBroker } from '../../../sim/sim-broker.ts'
import { SimStore } from '../../../sim/sim-store.ts'
import { messageOf, payloadOf, Rig, STREAM } from './rig.ts'

class Stage extends Rig {
  readonly store = new SimStore(this.time, new Random(2))
  readonly broker = new SimBroker(this.time, new Random(3), { prefetch: 20 })
  readonly feedback: Feedback[] = []
  readonly acked: number[] = []
  readonly #next = Array.from({ length: 16 }, () => 1)

  constructor() {
    super()
    this.broker.onFeedback = (feedback) => this.feedback.push(feedback)
    this.broker.onAck = (_part, { pseq }) => this.acked.push(pseq)
  }

  join(name = 'one', times: Partial<ConsumerTimes> = {}): { consumer: Consumer; kill: () => void } {
    let isAlive = true
    const connection = this.broker.connect(() => isAlive)
    const consumer = new Consumer({
      ...{ name, batch: 10, prefetch: 20, connections: 4, times, broker: connection },
      env: this.time.env(
        new Random(4),
        (level, line) => this.lines.push(`${name} ${level}: ${line}`),
        () => isAlive,
      ),
      store: this.store.connect(() => isAlive) as Store,
      onFatal: (error) => this.lines.push(`BUG ${String(error)}`),
    })
    consumer.start()
    return {
      consumer,
      kill: () => {
        isAlive = false
        connection.sever()
      },
    }
  }

  publish(part: number, pseq: number, more: Partial<Message> = {}): void {
    const message = messageOf(part, pseq, { time: this.env.now(), ...more })
    this.broker.inject(part, message.body, message)
  }

  /** The next events of every part. */
  publishEverywhere(count: number): void {
    for (let part = 0; part < 16; part++) for (let n = 0; n < count; n++) this.publish(part, this.#next[part]++)
  }

  stored(part = 0): number[] {
    return this.store.rows(STREAM, part).map(({ pseq }) => pseq)
  }

  get seeks(): Feedback[] {
    return this.feedback.filter(({ kind }) => kind === 'seek')
  }

  says(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length
  }
}

const active = (consumer: Consumer): number[] => consumer.status.parts.filter(({ phase }) => phase === 'active').map(({ part }) => part)

describe('events', () => {
  it('are stored and acked; the node hears of it at once when it was idle', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    await stage.time.run(2_500)
    stage.publish(0, 1)
    stage.publish(0, 2)
    await stage.time.run(100)
    expect(stage.stored()).toEqual([1, 2])
    expect(stage.acked).toEqual([1, 2])
    expect(stage.feedback.at(-1)).toEqual({ kind: 'stored', stream: STREAM, cursors: [{ part: 0, pseq: 2 }] })
    expect(consumer.counters).toMatchObject({ received: 2, stored: 2, seen: 0, early: 0, dead: 0, batches: 1 })
    expect(consumer.status).toMatchObject({ isConnected: true, broker: 'connected', store: 'writing', consumers: ['one'] })
  })

  it('that come again are acked and change nothing', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    for (const pseq of [1, 2, 1, 2, 3, 3]) stage.publish(0, pseq)
    await stage.time.run(1_000)
    expect(stage.stored()).toEqual([1, 2, 3])
    expect(stage.broker.depth(0)).toBe(0)
    expect(consumer.counters.stored).toBe(3)
  })

  it('are told of from what the database says, so that a restored backup is heard of', async () => {
    const stage = new Stage()
    stage.join()
    stage.publish(0, 1)
    await stage.time.run(1_000)
    const restore = stage.store.backup()
    stage.publish(0, 2)
    await stage.time.run(3_000)
    expect(stage.feedback.at(-1)).toMatchObject({ cursors: [{ part: 0, pseq: 2 }] })
    restore()
    await stage.time.run(3_000)
    expect(stage.feedback.at(-1)).toMatchObject({ cursors: [{ part: 0, pseq: 1 }] })
  })
})

describe('a missing event', () => {
  it('is waited for a moment: another consumer may be storing it', async () => {
    const stage = new Stage()
    stage.join()
    for (const pseq of [1, 3, 4]) stage.publish(0, pseq)
    await stage.time.run(1_000)
    expect(stage.stored()).toEqual([1])
    stage.publish(0, 2)
    await stage.time.run(500)
    expect(stage.stored()).toEqual([1, 2, 3, 4])
    expect(stage.seeks).toEqual([])
    expect(stage.acked.toSorted()).toEqual([1, 2, 3, 4])
  })

  it('is asked for at the node, and what came before its time is dropped: the log has it', async () => {
    const stage = new Stage()
    stage.join()
    for (const pseq of [1, 3, 4]) stage.publish(0, pseq)
    await stage.time.run(3_500)
    expect(stage.seeks).toEqual([{ kind: 'seek', stream: STREAM, part: 0, pseq: 1 }])
    expect(stage.broker.depth(0)).toBe(0)
    // More of the kind does not ask again at once.
    stage.publish(0, 5)
    await stage.time.run(1_000)
    expect(stage.seeks).toHaveLength(1)
    for (const pseq of [2, 3, 4, 5]) stage.publish(0, pseq)
    await stage.time.run(1_000)
    expect(stage.stored()).toEqual([1, 2, 3, 4, 5])
  })

  it('of a stream that is new here is the first that its node still has', async () => {
    const stage = new Stage()
    stage.join()
    stage.publish(0, 9, { oldest: 7 })
    await stage.time.run(3_500)
    expect(stage.stored()).toEqual([])
    expect(stage.seeks).toEqual([{ kind: 'seek', stream: STREAM, part: 0, pseq: 6 }])
    for (const pseq of [7, 8, 9]) stage.publish(0, pseq, { oldest: 7 })
    await stage.time.run(1_000)
    expect(stage.stored()).toEqual([7, 8, 9])
  })

  it('does not stop another stream in the same queue', async () => {
    const stage = new Stage()
    stage.join()
    for (const pseq of [1, 3]) stage.publish(0, pseq)
    stage.publish(0, 1, { stream: 'n2_0000000a-1' })
    await stage.time.run(1_000)
    expect(stage.store.cursor('n2_0000000a-1', 0)).toBe(1)
  })

  it('that the node has no more is an alarm; nothing is dropped, and it goes on when somebody has decided', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    stage.publish(0, 1)
    await stage.time.run(500)
    for (const pseq of [5, 6]) stage.publish(0, pseq, { oldest: 5 })
    await stage.time.run(120_000)
    expect(stage.stored()).toEqual([1])
    expect(stage.acked).toEqual([1])
    expect(stage.broker.depth(0)).toBe(2)
    expect(stage.says('ALARM: events 2 to 4 are missing')).toBe(1)
    expect(consumer.status.parts[0]).toMatchObject({ phase: 'resting' })
    expect(consumer.status.parts[0].halted).toContain('missing')
    // Other parts go on.
    stage.publish(1, 1)
    await stage.time.run(500)
    expect(stage.stored(1)).toEqual([1])

    stage.store.setCursor(STREAM, 0, 4)
    await stage.time.run(10_000)
    expect(stage.stored()).toEqual([1, 5, 6])
    expect(consumer.status.parts[0].halted).toBeNull()
  })
})

it('two histories under one name are an alarm, and change nothing', async () => {
  const stage = new Stage()
  stage.join()
  for (const pseq of [1, 2]) stage.publish(0, pseq)
  await stage.time.run(500)
  stage.publish(0, 2, { body: payloadOf(0, 2, 'another') })
  stage.publish(0, 3)
  await stage.time.run(30_000)
  expect(stage.stored()).toEqual([1, 2])
  expect(stage.says('ALARM: two histories under one name')).toBe(1)
  expect(stage.broker.depth(0)).toBe(2)
})

describe('what cannot be stored', () => {
  it('goes to the dead events, and a copy to the dead letters', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    stage.publish(0, 1)
    stage.publish(0, 2, { body: payloadOf(0, 2, 'poison') })
    stage.publish(0, 3, { body: Buffer.from('no json') })
    stage.publish(0, 4)
    await stage.time.run(1_000)
    expect(stage.store.rows(STREAM, 0).map(({ pseq, dead }) => [pseq, dead?.code ?? null])).toEqual([
      [1, null],
      [2, '1406'],
      [3, 'json'],
      [4, null],
    ])
    expect(stage.broker.deadLetters.map(({ headers }) => [headers.pseq, headers.code])).toEqual(
      [
        [3, 'json'],
        [2, '1406'],
      ].toSorted(),
    )
    expect(consumer.counters.dead).toBe(2)
    expect(stage.broker.depth(0)).toBe(0)
  })

  it('because it is no event at all is kept among the dead letters', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    stage.publish(0, 1)
    stage.broker.inject(0, Buffer.from('hello'), null)
    stage.publish(0, 2)
    await stage.time.run(1_000)
    expect(stage.stored()).toEqual([1, 2])
    expect(stage.broker.depth(0)).toBe(0)
    expect(stage.broker.deadLetters.map(({ payload, headers }) => [String(payload), headers.code])).toEqual([['hello', 'envelope']])
    expect(consumer.status.unreadable).toBe(1)
  })
})

describe('a database that is away', () => {
  it('for a minute gets the deliveries of when it comes back; the broker has them back before it would cut us off', async () => {
    const stage = new Stage()
    const { consumer } = stage.join()
    await stage.time.run(1_000)
    stage.store.isDown = true
    stage.publishEverywhere(5)
    await stage.time.run(50_000)
    expect(consumer.status.parts.every(({ waiting }) => waiting === 5)).toBe(true)
    await stage.time.run(60_000)
    expect(consumer.status.parts.every(({ waiting, phase }) => waiting === 0 && phase === 'resting')).toBe(true)
    expect(consumer.status.store).toContain('simulated wait')
    expect(stage.acked).toEqual([])
    // Sixteen parts see it, and it is said once.
    expect(stage.says('takes no writes')).toBe(1)

    await stage.time.run(3_600_000)
    stage.store.isDown = false
    await stage.time.run(30_000)
    for (let part = 0; part < 16; part++) expect(stage.stored(part)).toEqual([1, 2, 3, 4, 5])
    expect(consumer.status.store).toBe('writing')
  })
})

describe('several consumers', () => {
  it('share the parts, and stay with what they have', async () => {
    const stage = new Stage()
    const one = stage.join('one')
    const feed = (): void => {
      stage.publishEverywhere(1)
      stage.time.after(500, feed)
    }
    feed()
    await stage.time.run(20_000)
    expect(active(one.consumer)).toHaveLength(16)
    const two = stage.join('two')
    await stage.time.run(40_000)
    expect([active(one.consumer).length, active(two.consumer).length]).toEqual([8, 8])
    const handedOver = stage.says('handed over')
    await stage.time.run(300_000)
    expect(stage.says('handed over')).toBe(handedOver)
    const three = stage.join('three')
    await stage.time.run(60_000)
    expect([one, two, three].map(({ consumer }) => active(consumer).length).toSorted()).toEqual([5, 5, 6])

    // One dies: within a second the others have its parts, and the shares are even again later.
    one.kill()
    await stage.time.run(1_000)
    expect(active(two.consumer).length + active(three.consumer).length).toBe(16)
    await stage.time.run(60_000)
    expect([two, three].map(({ consumer }) => active(consumer).length)).toEqual([8, 8])
    for (let part = 0; part < 16; part++) expect(stage.stored(part)).toEqual(stage.stored(part).map((_, i) => i + 1))
  })

  it('keep a part that nobody takes', async () => {
    const stage = new Stage()
    const one = stage.join('one')
    const feed = (): void => {
      stage.publishEverywhere(1)
      stage.time.after(500, feed)
    }
    feed()
    // A name in the list that consumes nothing.
    const ghost = stage.store.connect(() => true)
    const haunt = (): void => {
      void ghost.heartbeat('ghost', 10_000)
      stage.time.after(3_000, haunt)
    }
    haunt()
    await stage.time.run(60_000)
    const handedOver = stage.says('handed over')
    expect(handedOver).toBeGreaterThan(0)
    await stage.time.run(200_000)
    expect(active(one.consumer)).toHaveLength(16)
    expect(stage.says('handed over')).toBe(handedOver)
  })
})

it('a consumer that stops has stored and acked what was in its hands, and gives back the rest', async () => {
  const stage = new Stage()
  const { consumer } = stage.join()
  await stage.time.run(500)
  for (let pseq = 1; pseq <= 100; pseq++) stage.publish(0, pseq)
  await stage.time.run(30)
  expect(await stage.outcome(consumer.stop(), 10_000)).toBeUndefined()
  const stored = stage.stored().length
  expect(stored).toBeGreaterThan(0)
  expect(stored).toBeLessThan(100)
  expect(stage.acked).toHaveLength(stored)
  expect(stage.broker.depth(0)).toBe(100 - stored)
  stage.join('two')
  await stage.time.run(5_000)
  expect(stage.stored()).toHaveLength(100)
})

it('a lost broker is found again, and what was in hand comes again', async () => {
  const stage = new Stage()
  const { consumer } = stage.join()
  await stage.time.run(500)
  for (let pseq = 1; pseq <= 50; pseq++) stage.publish(0, pseq)
  await stage.time.run(30)
  stage.broker.stop()
  await stage.time.run(5_000)
  expect(consumer.status).toMatchObject({ isConnected: false, broker: 'the broker is down' })
  expect(stage.says('no broker')).toBe(1)
  stage.broker.start()
  await stage.time.run(5_000)
  expect(stage.stored()).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
  expect(stage.broker.depth(0)).toBe(0)
})

it('says so when the broker does not answer for a queue', async () => {
  const rig = new Rig()
  const store = new SimStore(rig.time, new Random(2)).connect(() => true)
  const reader = new PartReader({
    ...{ part: 7, store, env: rig.env, times: READER_TIMES, batch: 10, prefetch: 20 },
    onOutcome: () => {},
    onFatal: (error) => rig.lines.push(`BUG ${String(error)}`),
  })
  const silent = { subscribe: () => new Promise<void>(() => {}) } as Partial<ConsumeChannel>
  reader.onReady(silent as ConsumeChannel)
  await rig.time.run(29_000)
  expect(rig.lines).toEqual([])
  await rig.time.run(60_000)
  expect(rig.lines).toHaveLength(1)
  expect(rig.lines[0]).toMatch(/does not answer for the queue .*delete_queue.*"part":7/)
})
