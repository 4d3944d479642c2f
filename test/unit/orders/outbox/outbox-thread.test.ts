// The outbox's thread, seen from the node's: it may die, and comes back.

import { afterEach, describe, expect, it } from 'vitest'
import { PARTS } from '../../../../src/engine/outbox.ts'
import type { Target } from '../../../../src/orders/outbox/messages.ts'
import { OutboxThread } from '../../../../src/orders/outbox/outbox-thread.ts'
import { eventually } from '../../../support/eventually.ts'
import { tempDir } from '../../../support/temp-dir.ts'

const said: string[] = []
const threads: OutboxThread[] = []
/** How often it was asked where the log ends. */
let ends = 0

function start(target: Target): OutboxThread {
  const thread = new OutboxThread(
    {
      directory: tempDir(),
      stream: 'n0_0a1b2c3d-1',
      target,
      end: () => {
        ends++
        return { lastLsn: 0, pseqs: Array.from({ length: PARTS }, () => 0) }
      },
      historyMs: 0,
      historyBytes: 0,
      backlogBytes: 0,
    },
    {
      say: (_level, message) => said.push(message),
      monotonic: () => performance.now(),
      after(ms, run) {
        const timer = setTimeout(run, Math.min(ms, 20))
        return () => clearTimeout(timer)
      },
    },
  )
  threads.push(thread)
  return thread
}

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.close(0)
  said.length = 0
  ends = 0
})

describe('a thread that dies', () => {
  // What the options refuse: here it stands for any bug.
  const dead: Target = {
    kind: 'amqp',
    urls: 'nonsense',
    prefix: 's',
    exchange: '',
    queueBytesMax: 1,
    tls: { ca: null, cert: null, key: null },
  }

  it('is said, and started again and again', async () => {
    const thread = start(dead)
    await eventually('three lives', () => said.filter((line) => line.includes('has ended: a bug')).length >= 3)
    expect(thread.status).toMatchObject({ sink: 'amqp', isConnected: false })
    expect(thread.status.state).toMatch(/its thread has ended/)
    await thread.close(0)
    const lives = said.length
    await eventually('silence', () => said.length === lives)
  })

  it('learns each time where the log ends: a database that is ahead of the end of long ago would be taken for that of another log', async () => {
    start(dead)
    await eventually('three lives', () => said.filter((line) => line.includes('has ended: a bug')).length >= 3)
    expect(ends).toBeGreaterThanOrEqual(3)
  })

  it('leaves no question without an answer', async () => {
    const thread = start(dead)
    await expect(thread.summary()).rejects.toThrow(/stock:events cannot be read/)
    await eventually('its end', () => thread.status.state.includes('has ended'))
  })
})

describe('a directory without a log', () => {
  it('is an answer, not a death', async () => {
    const thread = start({ kind: 'none' })
    thread.progress(5, 5)
    await expect(thread.summary()).rejects.toThrow(/ENOENT/)
    expect(said).toEqual([])
  })
})
