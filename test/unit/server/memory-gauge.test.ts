import { describe, expect, it } from 'vitest'
import { Call } from '../../../src/engine/call.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'
import { MemoryGauge } from '../../../src/server/memory-gauge.ts'
import { FakeEnv } from './stage.ts'

const MIB = 1024 * 1024

/** A collector that one can watch. */
class Heap extends FakeEnv {
  bytes = 50 * MIB
  fullCollections = 0
  calls = 0

  override memoryUsed(): number {
    return this.bytes
  }

  override collections(): number {
    return this.fullCollections
  }

  override collectGarbage(): void {
    this.calls++
  }
}

function start() {
  const engine = new Engine({ seed: 5 })
  const heap = new Heap()
  const gauge = new MemoryGauge(heap, engine, new Map())
  const call = new Call(engine, new Request(), new Reply(), { database: 0 })
  const run = (...words: (string | number)[]): void => {
    call.reply.length = 0
    call.request.set(words)
    engine.execute(call)
    engine.journal.drained()
  }
  return { engine, heap, gauge, run }
}

describe('the memory in use', () => {
  it('goes down with what is deleted, though no garbage was collected', () => {
    const { heap, gauge, run } = start()
    const before = gauge.used
    for (let i = 0; i < 20; i++) run('SET', `large${i}`, 'v'.repeat(MIB))
    for (let i = 0; i < 20_000; i++) run('SET', `small${i}`, 'v'.repeat(1000))
    // Large values are on the heap's account, and requests have left garbage there.
    heap.bytes += 20 * MIB + 80 * MIB
    const full = gauge.used
    expect(full - before).toBeGreaterThan(39 * MIB)
    expect(full - before).toBeLessThan(45 * MIB)
    for (let i = 0; i < 20; i++) run('DEL', `large${i}`)
    for (let i = 0; i < 20_000; i++) run('DEL', `small${i}`)
    // The index keeps its size.
    expect(gauge.used - before).toBeLessThan(MIB)
  })

  it('knows what else is on the heap from what a collection leaves', () => {
    const { heap, gauge } = start()
    const before = gauge.used
    heap.bytes += 30 * MIB
    expect(gauge.used).toBe(before)
    heap.fullCollections++
    expect(gauge.used).toBe(before + 30 * MIB)
    heap.bytes -= 10 * MIB
    expect(gauge.used).toBe(before + 20 * MIB)
  })

  it('calls the collector when much was let go that it does not know of', () => {
    const { heap, gauge, run } = start()
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 100_000; i++) run('SET', `k${i}`, 'v'.repeat(700))
      gauge.collect()
      expect(heap.calls).toBe(round)
      run('FLUSHALL')
      gauge.collect()
      gauge.collect()
      expect(heap.calls).toBe(round + 1)
    }
  })

  it('does not call it for large rows and pooled segments', () => {
    const { heap, gauge, run } = start()
    for (let i = 0; i < 200; i++) {
      run('SET', 'k', 'v'.repeat(MIB + i))
      run('DEL', 'k')
    }
    for (let i = 0; i < 20_000; i++) run('SADD', 's', `member ${i}`)
    run('DEL', 's')
    gauge.collect()
    expect(heap.calls).toBe(0)
  })
})
