// The error policy: what happens to a batch when the database says no.

import { describe, expect, it } from 'vitest'
import { BatchWriter, WriteGivenUp, type CircuitState, type WriteOutcome } from '../../../../src/orders/consumer/batch-writer.ts'
import type { IncomingEvent } from '../../../../src/orders/store/store.ts'
import { eventsOf, fault, Rig, ScriptedStore, STREAM } from './rig.ts'

function stage() {
  const rig = new Rig()
  const store = new ScriptedStore()
  const states: CircuitState[] = []
  const writer = new BatchWriter({ store, env: rig.env, onState: (state) => states.push(state) })
  const write = (...pseqs: number[]) => writer.write({ stream: STREAM, part: 0, events: eventsOf(...pseqs) })
  return { rig, store, states, writer, write }
}

const poisonAt =
  (...pseqs: number[]) =>
  (events: readonly IncomingEvent[]) => {
    if (events.some(({ pseq, dead }) => dead === null && pseqs.includes(pseq))) throw fault('poison')
  }

describe('a database that takes the batch', () => {
  it('gets it in one transaction', async () => {
    const { rig, store, write } = stage()
    expect(await rig.outcome(write(1, 2, 3))).toMatchObject({ cursor: 3, stored: 3, seen: 0, early: 0, dead: [], conflict: null })
    expect(store.applied).toEqual([[1, 2, 3]])
  })

  it('says what was there already and what came too early', async () => {
    const { rig, write } = stage()
    await rig.outcome(write(1, 2))
    expect(await rig.outcome(write(2, 3, 5))).toMatchObject({ cursor: 3, stored: 1, seen: 1, early: 1 })
  })
})

describe('a database that is away', () => {
  it('is waited for, for ever, with longer and longer pauses', async () => {
    const { rig, store, write, states } = stage()
    store.before = () => {
      throw fault('wait')
    }
    store.onProbe = () => {
      throw fault('wait')
    }
    const writing = write(1)
    expect(await rig.outcome(writing, 3_600_000)).toBe('pending')
    // One write, and probes from then on: no batch is sent to a database that is down.
    expect(store.applied).toHaveLength(1)
    expect(store.probes).toBeGreaterThan(3600 / 10)
    expect(store.probes).toBeLessThan(3600 / 4)
    expect(states.at(-1)).toMatchObject({ phase: 'open', since: 0, isAlarm: false })
    expect(rig.lines.filter((line) => line.includes('takes no writes'))).toHaveLength(1)

    store.before = store.onProbe = () => {}
    expect(await rig.outcome(writing)).toMatchObject({ cursor: 1, stored: 1 })
    expect(states.at(-1)).toEqual({ phase: 'closed' })
    expect(rig.lines.at(-1)).toContain('takes writes again')
  })

  it('is tried again soon at first', async () => {
    const { rig, store, write } = stage()
    let failures = 3
    store.before = () => {
      if (failures-- > 0) throw fault('wait')
    }
    await rig.outcome(write(1))
    expect(store.rows).toHaveLength(1)
    expect(rig.time.now).toBeGreaterThanOrEqual(350)
    expect(rig.time.now).toBeLessThanOrEqual(700)
  })

  it('has stored the batch although the answer of COMMIT was lost: the next attempt finds out', async () => {
    const { rig, store, write } = stage()
    let isFirst = true
    store.after = () => {
      if (isFirst) {
        isFirst = false
        throw fault('wait')
      }
    }
    expect(await rig.outcome(write(1, 2))).toMatchObject({ cursor: 2, stored: 0, seen: 2 })
    expect(store.rows.map(({ pseq }) => pseq)).toEqual([1, 2])
  })
})

describe('a deadlock or a lock wait', () => {
  it('is tried again at once, up to five times', async () => {
    const { rig, store, write, states } = stage()
    let failures = 5
    store.before = () => {
      if (failures-- > 0) throw fault('again')
    }
    expect(await rig.outcome(write(1))).toMatchObject({ stored: 1 })
    expect(store.applied).toHaveLength(6)
    expect(rig.time.now).toBeLessThan(155)
    expect(states).toEqual([])
  })

  it('that does not end is an outage', async () => {
    const { rig, store, write, states } = stage()
    store.before = () => {
      throw fault('again')
    }
    expect(await rig.outcome(write(1), 60_000)).toBe('pending')
    expect(states[0]).toMatchObject({ phase: 'open', attempts: 1 })
    expect(store.applied.length).toBeLessThan(25)
  })
})

describe('poison', () => {
  it('goes to the dead events alone, in its place; all others are stored', async () => {
    const { rig, store, write } = stage()
    store.before = poisonAt(37)
    const pseqs = Array.from({ length: 500 }, (_, i) => i + 1)
    const outcome = await rig.outcome(write(...pseqs))
    expect(outcome).toMatchObject({ cursor: 500, stored: 500, early: 0 })
    expect((outcome as WriteOutcome).dead.map(({ pseq, dead }) => [pseq, dead?.code])).toEqual([[37, '1406']])
    expect(store.rows.map(({ pseq }) => pseq)).toEqual(pseqs)
    expect(store.rows.filter(({ dead }) => dead !== null).map(({ pseq }) => pseq)).toEqual([37])
    // Bisected: some twenty transactions, not five hundred.
    expect(store.applied.length).toBeLessThan(25)
  })

  it('is found many times in a batch, first and last too', async () => {
    const { rig, store, write } = stage()
    store.before = poisonAt(1, 2, 7, 10)
    expect(await rig.outcome(write(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))).toMatchObject({ cursor: 10, stored: 10 })
    expect(store.rows.map(({ pseq, dead }) => (dead === null ? pseq : -pseq))).toEqual([-1, -2, 3, 4, 5, 6, -7, 8, 9, -10])
  })

  it('behind a hole is left where it is', async () => {
    const { rig, store, write } = stage()
    store.before = poisonAt(9)
    expect(await rig.outcome(write(1, 2, 4, 9))).toMatchObject({ cursor: 2, stored: 2, early: 2, dead: [] })
  })

  it('during an outage waits like everything else', async () => {
    const { rig, store, write } = stage()
    let n = 0
    store.before = (events) => {
      if (++n % 2 === 0) throw fault('wait')
      poisonAt(2)(events)
    }
    expect(await rig.outcome(write(1, 2, 3))).toMatchObject({ cursor: 3, stored: 3 })
    expect(store.rows.map(({ dead }) => dead !== null)).toEqual([false, true, false])
  })

  it('that does not even go in as dead waits for somebody, with an alarm, and is not dropped', async () => {
    const { rig, store, write, states } = stage()
    store.before = () => {
      throw fault('poison')
    }
    const writing = write(1)
    expect(await rig.outcome(writing, 700_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ phase: 'open', isAlarm: true })
    store.before = () => {}
    expect(await rig.outcome(writing)).toMatchObject({ stored: 1, cursor: 1 })
  })
})

describe('an error that nobody knows', () => {
  it('is waited for, with an alarm after ten minutes, and drops nothing', async () => {
    const { rig, store, write, states } = stage()
    store.before = () => {
      throw fault('unknown')
    }
    const writing = write(1, 2)
    expect(await rig.outcome(writing, 595_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ isAlarm: false })
    expect(await rig.outcome(writing, 30_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ isAlarm: true })
    expect(rig.lines.filter((line) => line.includes('ALARM'))).toHaveLength(1)
    store.before = () => {}
    expect(await rig.outcome(writing)).toMatchObject({ stored: 2 })
  })

  it('is also what a store throws that has a bug', async () => {
    const { rig, store, write } = stage()
    let isFirst = true
    store.before = () => {
      if (isFirst) {
        isFirst = false
        throw new TypeError('undefined is not a function')
      }
    }
    expect(await rig.outcome(write(1))).toMatchObject({ stored: 1 })
    expect(rig.lines[0]).toContain('undefined is not a function')
  })
})

describe('an error that would go away by itself, and does not, though the database answers', () => {
  it.each(['again', 'wait'] as const)('(%s) is waited for, with an alarm after ten minutes, and drops nothing', async (kind) => {
    const { rig, store, write, states } = stage()
    store.before = () => {
      throw fault(kind)
    }
    const writing = write(1, 2)
    expect(await rig.outcome(writing, 595_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ isAlarm: false })
    expect(await rig.outcome(writing, 30_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ isAlarm: true })
    expect(rig.lines.filter((line) => line.includes('ALARM'))).toHaveLength(1)
    store.before = () => {}
    expect(await rig.outcome(writing)).toMatchObject({ stored: 2 })
  })

  it('is no alarm when the database was just away: an outage is known', async () => {
    const { rig, store, write, states } = stage()
    store.before = store.onProbe = () => {
      throw fault('wait')
    }
    const writing = write(1)
    expect(await rig.outcome(writing, 3_600_000)).toBe('pending')
    // It comes back, and is not quite ready.
    store.onProbe = () => {}
    expect(await rig.outcome(writing, 60_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ isAlarm: false })
  })
})

describe('a database that had nothing of a part', () => {
  it.each([
    [401, 1],
    [1, 0],
  ])('and begins with event %i: that older orders are missing is said', async (began, times) => {
    const { rig, store, write } = stage()
    const apply = store.apply.bind(store)
    store.apply = async (batch) => ({ ...(await apply(batch)), began })
    expect(await rig.outcome(write(1))).toMatchObject({ stored: 1 })
    expect(rig.lines.filter((line) => line.includes(`begins with event ${began}`))).toHaveLength(times)
  })
})

describe('giving up', () => {
  it('ends a write that waits; recover ends when a probe goes through, and the next write closes the circuit', async () => {
    const { rig, store, writer, write, states } = stage()
    store.before = store.onProbe = () => {
      throw fault('wait')
    }
    const writing = write(1)
    expect(await rig.outcome(writing, 5_000)).toBe('pending')
    writer.giveUp()
    expect(await rig.outcome(writing, 0)).toBeInstanceOf(WriteGivenUp)

    const recovering = writer.recover(0)
    expect(await rig.outcome(recovering, 60_000)).toBe('pending')
    store.onProbe = () => {}
    expect(await rig.outcome(recovering)).toBeUndefined()
    expect(states.at(-1)?.phase).toBe('half-open')
    // A write that fails opens it at once, and what it has counted goes on.
    expect(await rig.outcome(write(1), 1_000)).toBe('pending')
    expect(states.at(-1)).toMatchObject({ phase: 'open', since: 0 })
    store.before = () => {}
    await rig.time.run(20_000)
    expect(states.at(-1)?.phase).toBe('closed')
  })

  it('for good: nothing is written any more, what is under way ends', async () => {
    const { rig, store, writer, write } = stage()
    const writing = write(1)
    writer.stop()
    expect(await rig.outcome(writing)).toMatchObject({ stored: 1 })
    expect(await rig.outcome(write(2))).toBeInstanceOf(WriteGivenUp)
    expect(store.rows).toHaveLength(1)
  })
})
