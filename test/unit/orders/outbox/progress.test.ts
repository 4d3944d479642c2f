// Numbers told from thread to thread.

import { describe, expect, it } from 'vitest'
import { Progress } from '../../../../src/orders/outbox/progress.ts'

const NUMBERS = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 45 + 12345, Number.MAX_SAFE_INTEGER]

describe('progress', () => {
  it('tells every LSN there can be', () => {
    const here = new Progress()
    const there = new Progress(here.memory)
    for (const lsn of NUMBERS) {
      here.acked = lsn
      here.durable = lsn - 1
      expect([there.acked, there.durable]).toEqual([lsn, lsn - 1])
    }
  })

  it('wakes who sleeps, and not who waits for the other number', async () => {
    const here = new Progress()
    const there = new Progress(here.memory)
    let woken = 0
    const sleeping = there.durableBeyond(0).then(() => woken++)
    here.acked = 5
    await there.ackedBeyond(0)
    expect(woken).toBe(0)
    here.durable = 5
    await sleeping
    expect(woken).toBe(1)
    // What was told before it is asked for is there.
    await there.durableBeyond(4)
  })
})
