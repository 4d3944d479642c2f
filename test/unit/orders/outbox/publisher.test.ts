import { describe, expect, it } from 'vitest'
import { Random } from '../../../../src/base/random.ts'
import type { OutboxEvent } from '../../../../src/engine/events/event.ts'
import type { Broker, Feedback, Message, PublishChannel, PublishEvents } from '../../../../src/orders/broker/broker.ts'
import type { EventSource } from '../../../../src/orders/outbox/event-source.ts'
import { Publisher } from '../../../../src/orders/outbox/publisher.ts'
import { Window } from '../../../../src/orders/outbox/publisher-window.ts'
import { SimTime } from '../../../sim/sim-time.ts'

const STREAM = 'n1_00c0ffee-1'
const NOTHING = Array.from({ length: 16 }, () => 0)

describe('the window of unacked messages', () => {
  it('takes acks in any order; of a part only an unbroken beginning counts', () => {
    const window = new Window(NOTHING)
    for (const [tag, part] of [1, 2, 1, 1, 2].entries()) window.add(tag + 1, part, tag + 1, 100 + tag)
    expect(window.ack(4, false)).toBe(1)
    expect([window.acked[1], window.firstLsn(1), window.unacked]).toEqual([0, 100, 4])
    expect(window.ack(3, true)).toBe(3)
    expect([window.acked[1], window.firstLsn(1), window.acked[2], window.firstLsn(2)]).toEqual([4, Infinity, 2, 104])
    expect(window.ack(3, false)).toBe(0)
    expect(window.ack(99, true)).toBe(0)
    expect(window.unackedOf[2]).toBe(1)
  })

  it('lets a disowned message count as under way, and its ack as nothing', () => {
    const window = new Window(NOTHING)
    window.add(1, 1, 1, 100)
    window.add(2, 1, 2, 101)
    expect(window.partsOf(2, true)).toBe(0b10)
    window.disown(1)
    expect(window.partsOf(2, true)).toBe(0)
    window.add(3, 1, 1, 100)
    expect([window.unacked, window.unackedOf[1]]).toEqual([3, 1])
    window.ack(2, true)
    expect([window.acked[1], window.unacked]).toEqual([0, 1])
    window.ack(3, false)
    expect(window.acked[1]).toBe(1)
  })

  it('holds what a simple list holds, whatever comes', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = new Random(seed)
      const window = new Window(NOTHING)
      let list: { tag: number; part: number; pseq: number; isAcked: boolean; isOurs: boolean }[] = []
      const sent = Array.from({ length: 16 }, () => 0)
      const acked = Array.from({ length: 16 }, () => 0)
      for (let tag = 0; tag < 3000;) {
        if (random.chance(0.5)) {
          const part = random.below(3)
          window.add(++tag, part, ++sent[part], tag)
          list.push({ tag, part, pseq: sent[part], isAcked: false, isOurs: true })
        } else if (random.chance(0.03)) {
          const part = random.below(3)
          window.disown(part)
          for (const entry of list) if (entry.part === part) entry.isOurs = false
          sent[part] = acked[part]
        } else if (list.length > 0) {
          const { tag: which } = random.pick(list)
          const multiple = random.chance(0.1)
          window.ack(which, multiple)
          for (const entry of list) if (entry.tag === which || (multiple && entry.tag < which)) entry.isAcked = true
          for (let part = 0; part < 3; part++) {
            for (const entry of list.filter((candidate) => candidate.part === part && candidate.isOurs)) {
              if (!entry.isAcked) break
              acked[part] = Math.max(acked[part], entry.pseq)
            }
          }
          list = list.filter((entry) => !entry.isAcked || (entry.isOurs && entry.pseq > acked[entry.part]))
        }
        expect(Array.from(window.acked.subarray(0, 3)), `seed ${seed}, tag ${tag}`).toEqual(acked.slice(0, 3))
        expect(window.unacked, `seed ${seed}, tag ${tag}`).toBe(list.filter((entry) => !entry.isAcked).length)
      }
    }
  })
})

/** A broker that does what the test says, and a log that is a list. */
class Scene implements Broker, EventSource {
  readonly name = 'scene'
  readonly time = new SimTime()
  readonly said: string[] = []
  readonly log: OutboxEvent[] = []
  sent: Message[] = []
  depthsNow: number[] = [...NOTHING]
  isWritable = true
  firstPseq = 1
  events!: PublishEvents
  tell!: (feedback: Feedback) => void
  onMore: () => void = () => {}
  readonly publisher_: Publisher

  constructor(acked = NOTHING, lsn = 1, pseqs?: readonly number[]) {
    this.publisher_ = new Publisher({
      broker: this,
      stream: STREAM,
      source: this,
      env: this.time.env(new Random(1), (level, message) => this.said.push(`${level} ${message}`)),
      from: { lsn, acked, stored: NOTHING },
      ...(pseqs === undefined ? {} : { pseqs }),
    })
    this.publisher_.start()
  }

  add(...parts: number[]): void {
    for (const part of parts) {
      const pseq = this.firstPseq + this.log.filter((event) => event.part === part).length
      this.log.push({ lsn: this.log.length + 1, part, pseq, type: 'order.reserved', time: 5, body: Buffer.from('{}') })
    }
    this.onMore()
  }

  ready(): void {
    let tag = 0
    const channel: PublishChannel = {
      publish: (message) => {
        this.sent.push(message)
        return ++tag
      },
      isWritable: true,
      close: () => Promise.resolve(),
    }
    Object.defineProperty(channel, 'isWritable', { get: () => this.isWritable })
    this.events.onReady(channel)
  }

  /** What was sent since the last question. */
  took(): string[] {
    return this.sent.splice(0).map(({ part, pseq }) => `${part}/${pseq}`)
  }

  publisher(_: string, events: PublishEvents, onFeedback: (feedback: Feedback) => void): void {
    this.events = events
    this.tell = onFeedback
  }

  consumer(): void {}
  examine(): Promise<readonly never[]> {
    return Promise.resolve([])
  }

  depths(): Promise<readonly number[]> {
    return Promise.resolve(this.depthsNow)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  reader(lsn: number): ReturnType<EventSource['reader']> {
    let at = Math.max(0, lsn - 1)
    const { log } = this
    return {
      next(max) {
        const events = log.slice(at, at + max)
        at += events.length
        return events
      },
      get lsn() {
        return at + 1
      },
      close() {},
    }
  }

  locate(part: number, pseq: number): number {
    return this.log.find((event) => event.part === part && event.pseq === pseq)?.lsn ?? 1
  }

  oldest(): number {
    return this.firstPseq
  }
}

describe('the publisher', () => {
  it('sends what is durable, and goes on when there is more', () => {
    const scene = new Scene()
    scene.add(1, 2, 1)
    expect(scene.took()).toEqual([])
    scene.ready()
    expect(scene.took()).toEqual(['1/1', '2/1', '1/2'])
    scene.add(1)
    expect(scene.took()).toEqual(['1/3'])
    scene.events.onAcked(3, true)
    expect(scene.publisher_.status()).toMatchObject({ state: 'connected', counters: { published: 4, acked: 3 } })
    expect(scene.publisher_.checkpoint()).toMatchObject({ lsn: 4 })
  })

  it('has at most 2,000 messages unacked', () => {
    const scene = new Scene()
    scene.ready()
    scene.add(...Array.from({ length: 2_500 }, (_, nth) => nth % 16))
    expect(scene.took()).toHaveLength(2_000)
    scene.events.onAcked(100, true)
    expect(scene.took()).toHaveLength(100)
  })

  it('waits while the socket is full or the broker blocks', () => {
    const scene = new Scene()
    scene.isWritable = false
    scene.ready()
    scene.add(1)
    expect(scene.took()).toEqual([])
    scene.isWritable = true
    scene.events.onDrained()
    expect(scene.took()).toEqual(['1/1'])
  })

  it('sends everything that was not acked again after a loss, in order', () => {
    const scene = new Scene()
    scene.ready()
    scene.add(1, 2, 1, 2)
    scene.events.onAcked(3, false) // part 1's second: its first is not acked
    scene.events.onAcked(2, false)
    scene.took()
    scene.events.onLost('the cable')
    expect(scene.publisher_.status()).toMatchObject({ state: 'the cable', isConnected: false })
    scene.ready()
    expect(scene.took()).toEqual(['1/1', '1/2', '2/2'])
  })

  it('holds up no other part for one whose queue is full, and asks again after a pause', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3, 4, 3)
    scene.took()
    scene.events.onRefused(1, false)
    scene.events.onRefused(3, false)
    scene.events.onAcked(2, false)
    expect(scene.publisher_.status().state).toContain('the broker refuses events of part 3: a queue is full')
    scene.add(4, 3, 4)
    expect(scene.took()).toEqual(['4/2', '4/3'])
    await scene.time.run(100)
    expect(scene.took()).toEqual(['3/1', '3/2', '3/3'])
    scene.events.onAcked(8, true)
    scene.add(3, 4)
    expect(scene.took()).toEqual(['3/4', '4/4'])
    expect(scene.publisher_.status().state).toBe('connected')
  })

  it('stops at an event that no queue takes until it has another channel', () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3)
    scene.events.onUnroutable({ stream: STREAM, part: 3, pseq: 1 })
    scene.events.onAcked(1, false) // that is how the broker says that it is gone
    expect(scene.publisher_.status()).toMatchObject({ isConnected: false, counters: { acked: 0, unroutable: 1 } })
    expect(scene.publisher_.status().state).toContain('no queue takes the events of part 3')
    scene.took()
    scene.events.onLost('no queue takes it')
    scene.ready()
    expect(scene.took()).toEqual(['3/1'])
  })

  it('sends again what a consumer misses, but not at once again for the same wish', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3, 3, 3, 4)
    scene.events.onAcked(4, true)
    scene.took()
    const seek = { kind: 'seek', stream: STREAM, part: 3, pseq: 1 } as const
    scene.tell(seek)
    expect(scene.took()).toEqual(['3/2', '3/3'])
    scene.tell(seek)
    expect(scene.took()).toEqual([])
    scene.tell({ ...seek, pseq: 3 }) // nothing after it yet
    scene.tell({ ...seek, stream: 'n2_00c0ffee-1' })
    expect(scene.took()).toEqual([])
    await scene.time.run(5_000)
    scene.tell(seek)
    expect(scene.took()).toEqual(['3/2', '3/3'])
  })

  it('sends again what was acked and never stored, once the queue is empty for half a minute', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3, 3, 3)
    scene.events.onAcked(3, true)
    scene.took()
    const stored = { kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq: 1 }] } as const
    scene.depthsNow[3] = 2
    for (let second = 0; second < 60; second++) {
      scene.tell(stored)
      await scene.time.run(1_000)
    }
    expect(scene.took()).toEqual([])
    scene.depthsNow[3] = 0
    for (let second = 0; second < 70; second++) {
      scene.tell(stored)
      await scene.time.run(1_000)
    }
    expect(scene.took()).toEqual(['3/2', '3/3'])
    expect(scene.said.join('\n')).toContain('the broker has lost events that it had acked')
  })

  it('says once when events wait and no consumer is heard of, and that one is again', async () => {
    const scene = new Scene()
    const alarms = (): number => scene.said.filter((line) => line.includes('no consumer has said')).length
    const stored = (pseq: number): void => scene.tell({ kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq }] })
    await scene.time.run(700_000)
    scene.ready()
    // Nothing waits: nobody is missed. And ten minutes begin when the broker is there.
    await scene.time.run(500_000)
    scene.add(3)
    scene.events.onAcked(1, true)
    await scene.time.run(90_000)
    expect(alarms()).toBe(0)
    await scene.time.run(700_000)
    expect(alarms()).toBe(1)
    stored(1)
    expect(scene.said.at(-1)).toContain('a consumer says again')
    await scene.time.run(700_000)
    expect(alarms()).toBe(1)
  })

  it('does not take for stored what the database has of another history: a log that was put back from an older copy', () => {
    const scene = new Scene(NOTHING, 1, NOTHING.with(3, 2))
    const stored = (pseq: number): void => scene.tell({ kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq }] })
    const alarms = (): number => scene.said.filter((line) => line.includes('ALARM: the orders database has events of part 3')).length
    scene.add(3, 3)
    scene.ready()
    stored(2)
    expect(alarms()).toBe(0)
    stored(5)
    expect(alarms()).toBe(1)
    expect(scene.publisher_.status()).toMatchObject({ state: expect.stringContaining('log directory is older') })
    // The shop sells on, past that number: these are other events.
    scene.add(3, 3, 3, 3)
    scene.events.onAcked(6, true)
    stored(5)
    const { acked, stored: believed } = scene.publisher_.status()
    expect([acked[3], believed[3], alarms()]).toEqual([6, 2, 1])
    // Another database, or that one put back: then it is as always.
    stored(2)
    stored(3)
    expect(scene.publisher_.status()).toMatchObject({ state: 'connected', stored: expect.objectContaining({ 3: 3 }) })
  })

  it('finds a broker that came back empty at once', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3, 3, 3)
    scene.events.onAcked(3, true)
    scene.tell({ kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq: 1 }] })
    scene.took()
    scene.events.onLost('wiped')
    scene.ready()
    await scene.time.run(1)
    expect(scene.took()).toEqual(['3/2', '3/3'])
  })

  it('believes a database more than a broker: what is stored is not sent again', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(3, 3)
    scene.events.onRefused(1, false) // by the queue of another service
    scene.events.onRefused(2, false)
    scene.took()
    scene.tell({ kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq: 2 }] })
    expect(scene.publisher_.status().acked[3]).toBe(2)
    await scene.time.run(10_000)
    expect(scene.took()).toEqual([])
    // ... but not what it never sent: that may be of another history.
    scene.tell({ kind: 'stored', stream: STREAM, cursors: [{ part: 3, pseq: 9 }] })
    scene.add(3)
    expect(scene.took()).toEqual(['3/3'])
  })

  it('goes on from its checkpoint, and from further back if that lacks something', async () => {
    const acked = [...NOTHING]
    acked[1] = 2
    const scene = new Scene(acked, 3)
    scene.add(1, 2, 1, 1, 2)
    scene.ready()
    // Part 2's first event lies before the checkpoint's LSN.
    await scene.time.run(1)
    expect(scene.took().toSorted()).toEqual(['1/3', '2/1', '2/2'])
  })

  it('says so when the log does not have everything any more', () => {
    const scene = new Scene()
    scene.firstPseq = 10
    scene.add(1, 1)
    scene.ready()
    expect(scene.sent[0].oldest).toBe(10)
    expect(scene.took()).toEqual(['1/10', '1/11'])
    expect(scene.said.join('\n')).toContain('neither acked by the broker nor in the log any more')
  })

  it('goes on when the log can be read again', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(1)
    let isBroken = true
    const { log } = scene
    scene.log.push = () => 0
    Object.defineProperty(log, 'slice', {
      value: (from: number, to: number) => {
        if (isBroken) throw new Error('EIO at segment 7')
        return Array.prototype.slice.call(log, from, to)
      },
    })
    scene.took()
    scene.onMore()
    expect(scene.publisher_.status().state).toBe('EIO at segment 7')
    isBroken = false
    await scene.time.run(1_000)
    expect(scene.publisher_.status().state).toBe('connected')
  })

  it('waits a moment for acks when it is closed, and for no longer', async () => {
    const scene = new Scene()
    scene.ready()
    scene.add(1, 1)
    let isClosed = false
    void scene.publisher_.close().then(() => (isClosed = true))
    await scene.time.run(500, () => isClosed)
    expect(isClosed).toBe(false)
    scene.events.onAcked(2, true)
    await scene.time.run(0, () => isClosed)
    expect(isClosed).toBe(true)
    expect(scene.publisher_.checkpoint().acked[1]).toBe(2)
  })
})
