// `{buyer}*` ids: unique over 256 nodes, increasing per node, whatever the clock does and however often the node starts.

import { expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { MADE_ID_BYTES, OrderIds } from '../../../src/stock/order-ids.ts'

const NOW = 1_792_000_000_000
const bytes = Buffer.alloc(MADE_ID_BYTES)

function make(ids: OrderIds, now: number): string {
  ids.make(bytes, 0, now)
  return bytes.toString('latin1')
}

it('makes a million ids a second that increase, while the clock stands, goes and steps back (seed 1)', () => {
  const random = new Random(1)
  const ids = new OrderIds({ nodeNumber: 255, salt: 1023 })
  let last = ''
  let now = NOW
  for (let i = 0; i < 300_000; i++) {
    if (i % 1000 === 0) now += random.pick([0, 1, 1, 5, -10_000])
    const id = make(ids, i < 100_000 ? NOW : now)
    if (id <= last) expect.fail(`${id} after ${last}`)
    last = id
  }
})

it('makes different ids on different nodes at the same instant', () => {
  const made = new Set<string>()
  for (let nodeNumber = 0; nodeNumber < 256; nodeNumber++) {
    const ids = new OrderIds({ nodeNumber, salt: 7 })
    for (let i = 0; i < 50; i++) made.add(make(ids, NOW))
  }
  expect(made.size).toBe(256 * 50)
})

it('goes on behind the ids that the log tells, also where they ran ahead of the clock', () => {
  const before = new OrderIds({ nodeNumber: 3, salt: 1 })
  let last = ''
  for (let i = 0; i < 70_000; i++) last = make(before, NOW)
  const after = new OrderIds({ nodeNumber: 3, salt: 2 })
  const full = Buffer.from(`{ann}${last}`)
  after.observe(full, full.length)
  const earlier = Buffer.from(`{ann}${'0'.repeat(MADE_ID_BYTES)}`)
  after.observe(earlier, earlier.length)
  expect(make(after, NOW) > last).toBe(true)
})
