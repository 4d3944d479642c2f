// CL.THROTTLE beside an oracle of its own kind: not the arrival time that GCRA keeps, but the leaky bucket that it is equal to, which holds
// what was used and leaks. And the limit that a sale needs: of a million attempts in three seconds as many pass as were released.

import { describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Random } from '../../../src/base/random.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'
import { decodeReply } from '../../support/raw-client.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const START = 1_700_000_000_000

class Limiter {
  readonly #engine = new Engine({ seed: 5 })
  readonly #reply = new Reply()
  readonly #call = new Call(this.#engine, new Request(), this.#reply, { database: 0 })

  /** @returns limited, limit, remaining, retry, reset. */
  ask(now: number, words: readonly (string | number)[]): number[] {
    return decodeReply(Buffer.from(this.#run(now, words))) as number[]
  }

  /** The first of these, 0: it may pass. */
  passes(now: number, words: readonly (string | number)[]): boolean {
    return this.#run(now, words)['*5\r\n:'.length] === 48
  }

  #run(now: number, words: readonly (string | number)[]): Uint8Array {
    this.#engine.now = millis(now)
    this.#engine.advance(millis(now))
    this.#reply.length = 0
    this.#call.request.set(words)
    this.#engine.execute(this.#call)
    this.#engine.journal.drained()
    return this.#reply.buffer.subarray(0, this.#reply.length)
  }
}

/** A bucket that what is used runs into, and that leaks one `interval` of nanoseconds in each nanosecond. */
class Bucket {
  #level = 0n
  #at = 0n

  ask(now: number, [burst, count, period, quantity]: readonly number[]): number[] {
    const interval = BigInt(Math.trunc((period * 1e9) / count))
    const size = interval * BigInt(burst + 1)
    const drop = interval * BigInt(quantity)
    const at = BigInt(now) * 1_000_000n
    const leaked = this.#level - (at - this.#at)
    const level = leaked > 0n ? leaked : 0n
    const fits = level + drop <= size
    this.#level = fits ? level + drop : level
    this.#at = at
    const free = size - this.#level
    const retry = fits || drop > size ? -1 : seconds(level + drop - size)
    return [fits ? 0 : 1, burst + 1, free > 0n ? Number(free / interval) : 0, retry, seconds(this.#level)]
  }
}

/** As redis-cell rounds: up, if there is a millisecond left. */
const seconds = (nanos: bigint): number => Number(nanos / 1_000_000_000n) + (nanos % 1_000_000_000n >= 1_000_000n ? 1 : 0)

describe('CL.THROTTLE', () => {
  it(`is a bucket that leaks, whatever comes when (SEED=${SEED})`, () => {
    for (let round = 0; round < 200; round++) {
      const random = new Random(SEED).fork(`round ${round}`)
      const limiter = new Limiter()
      const bucket = new Bucket()
      const period = random.pick([1, 1, 2, 7, 60, 3600, 86_400])
      const count = random.pick([1, 3, 30, 1000, 15_000, 100_000])
      const burst = random.pick([0, 1, 5, 100, 5000])
      const pause = random.pick([1, 10, 1000, 100_000])
      let now = START
      for (let i = 0; i < 100; i++) {
        if (random.chance(0.5)) now += random.between(0, pause)
        const rate = [burst, count, period, random.chance(0.3) ? random.between(0, burst + 2) : 1]
        const words = ['CL.THROTTLE', 'k', ...rate]
        expect(limiter.ask(now, words), `SEED=${SEED}, round ${round}, attempt ${i}: ${words.join(' ')}`).toEqual(bucket.ask(now, rate))
      }
    }
  })

  it('lets 300,000 of a million attempts in three seconds pass, give or take 1 %', () => {
    const BUCKETS = 20
    const RELEASED = 15_000
    const SECONDS = 3
    const ATTEMPTS = 1_000_000
    const random = new Random(SEED)
    const limiter = new Limiter()
    const times = Uint16Array.from({ length: ATTEMPTS }, () => random.between(0, SECONDS * 1000 - 1)).sort()
    // The burst holds what may pass within some milliseconds: now is the same for all that come in one.
    const questions = Array.from({ length: BUCKETS }, (_, n) => ['CL.THROTTLE', `bucket:${n}`, 49, RELEASED, SECONDS])
    let passed = 0
    for (const time of times) if (limiter.passes(START + time, random.pick(questions))) passed++
    expect(Math.abs(passed - BUCKETS * RELEASED) / (BUCKETS * RELEASED), `SEED=${SEED}, ${passed} passed`).toBeLessThanOrEqual(0.01)
  }, 60_000)

  it('never lets more pass in any span than the burst and what flowed in', () => {
    const limiter = new Limiter()
    const passed: number[] = []
    for (let now = 0; now < 2000; now++) {
      for (let i = 0; i < 20; i++) if (limiter.ask(START + now, ['CL.THROTTLE', 'k', 9, 1000, 1])[0] === 0) passed.push(now)
    }
    for (let i = 0; i < passed.length; i++) {
      const within = passed.filter((at) => at >= passed[i] && at < passed[i] + 100).length
      expect(within).toBeLessThanOrEqual(10 + 99)
    }
    expect(passed.length).toBe(10 + 1999)
  })
})
