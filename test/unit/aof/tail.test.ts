// The newest links in memory, against a plain list of buffers. A failure prints the seed.

import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { BatchLine, decodeBatchLine, verifyBatch } from '../../../src/aof/format/batch-line.ts'
import { Tail } from '../../../src/aof/tail.ts'

const SIZES = [1, 20, 500, 40_000, 300_000, 1_048_000, 1_048_576, 1_048_576 - 280, 3_000_000]

describe('the tail', () => {
  it('holds every link until it is released, whatever the sizes', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed)
      const tail = new Tail()
      const links: { position: number; bytes: Buffer }[] = []
      let pending: Buffer[] = []
      for (let step = 0; step < 60; step++) {
        const size = random.chance(0.1) ? random.pick(SIZES) : random.below(3000)
        switch (random.below(5)) {
          case 0:
          case 1: {
            const bytes = Buffer.alloc(size + 7, 97 + (step % 26))
            tail.append(bytes, size, 1)
            pending.push(bytes.subarray(0, size))
            break
          }
          case 2:
            if (pending.length === 0) break
            // Encoded twice, as after a write that found no room.
            for (let i = random.between(1, 2); i > 0; i--)
              tail.encode(Object.assign(new BatchLine(), { records: pending.length }), random.chance(0.3) ? 1_700_000_000 : 0)
            links.push({ position: tail.position, bytes: Buffer.from(tail.buffer.subarray(tail.linkStart, tail.linkEnd)) })
            check(tail, pending, `seed ${seed} step ${step}`)
            tail.keep()
            pending = []
            break
          case 3:
            if (pending.length > 0) break
            tail.encodeMark(Buffer.from('#D a mark\r\n'))
            links.push({ position: tail.position, bytes: Buffer.from('#D a mark\r\n') })
            tail.keep()
            break
          default:
            if (links.length === 0) break
            tail.release(random.chance(0.4) ? tail.position : random.pick(links).position)
        }
        const kept: Buffer[] = []
        tail.each(tail.oldest, (buffer, start, end) => kept.push(Buffer.from(buffer.subarray(start, end))))
        const expected = links.filter((link) => link.position >= tail.oldest).map((link) => link.bytes)
        expect(Buffer.concat(kept).equals(Buffer.concat(expected)), `seed ${seed} step ${step}`).toBe(true)
        expect(tail.pendingBytes).toBe(pending.reduce((sum, bytes) => sum + bytes.length, 0))
        expect(tail.pendingRecords).toBe(pending.length)
      }
    }
  })

  function check(tail: Tail, pending: readonly Buffer[], why: string): void {
    const at = tail.buffer.indexOf('#B1', tail.linkStart)
    const line = new BatchLine()
    expect(decodeBatchLine(line, tail.buffer, at, tail.linkEnd), why).toBe(true)
    expect(verifyBatch(line, tail.buffer, at), why).toBe(true)
    expect(tail.buffer.subarray(at + line.lineBytes, tail.linkEnd).equals(Buffer.concat(pending)), why).toBe(true)
  }
})
