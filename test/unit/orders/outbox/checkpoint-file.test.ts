// outbox.ckpt, whole and damaged: what cannot be read counts for nothing, and nothing is ever taken for more than it says.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { PARTS } from '../../../../src/engine/outbox.ts'
import { CHECKPOINT_FILE, CheckpointFile, type Checkpoint, type LogEnd } from '../../../../src/orders/outbox/checkpoint-file.ts'
import { tempDir } from '../../../support/temp-dir.ts'

const STREAM = 'n0_0a1b2c3d-1'
/** Where the log ends: all parts at the same number. */
const end = (n: number): LogEnd => ({ lastLsn: n, pseqs: Array.from({ length: PARTS }, () => n) })
const FAR = end(1_000)
const at = (n: number): Checkpoint => ({
  lsn: n,
  acked: Array.from({ length: PARTS }, () => n),
  stored: Array.from({ length: PARTS }, () => n - 1),
  floor: { lsn: n - 2, time: 1_700_000_000_000 + n },
})

let dir = ''
let path = ''

beforeEach(() => {
  dir = tempDir()
  path = join(dir, CHECKPOINT_FILE)
})

function write(...numbers: number[]): void {
  const file = new CheckpointFile(dir, STREAM, 'amqp')
  file.read(FAR)
  for (const n of numbers) file.write(at(n))
  file.close()
}

const read = (stream = STREAM, sink = 'amqp'): Checkpoint | null => new CheckpointFile(dir, stream, sink).read(FAR)

describe('the checkpoint', () => {
  it('is the last one that was written, also over restarts', () => {
    expect(read()).toBeNull()
    write(10)
    expect(read()).toEqual(at(10))
    write(11, 12)
    write(13)
    expect(read()).toEqual(at(13))
  })

  it('goes back to the older slot when the newer one is damaged, wherever that is', () => {
    write(10, 11)
    const whole = readFileSync(path)
    let older = 0
    // Of the blanks behind the text some are enough.
    for (let i = 0; i < whole.length; i += whole[i] === 32 && whole[i + 1] === 32 ? 97 : 1) {
      const damaged = Buffer.from(whole)
      damaged[i] ^= 0x11
      writeFileSync(path, damaged)
      const found = read()
      expect([10, 11], `byte ${i}`).toContain(found?.lsn)
      expect(found).toEqual(at(found?.lsn ?? 0))
      if (found?.lsn === 10) older++
    }
    expect(older).toBeGreaterThan(100)
  })

  it('is none when both are damaged, empty, cut, or full of something else', () => {
    write(10, 11)
    const whole = readFileSync(path)
    const both = Buffer.from(whole)
    both[20] ^= 1
    both[4096 + 20] ^= 1
    for (const bytes of [
      both,
      Buffer.alloc(0),
      whole.subarray(0, 50),
      Buffer.alloc(8192),
      Buffer.alloc(8192, 0xff),
      Buffer.from('#C1 n=99999\n'),
    ]) {
      writeFileSync(path, bytes)
      expect(read()).toBeNull()
      write(12)
      expect(read()).toEqual(at(12))
    }
  })

  it('cut anywhere is the older one or none', () => {
    write(10, 11)
    const whole = readFileSync(path)
    // Of the blanks behind the text some are enough.
    for (let size = whole.length; size >= 0; size -= whole[size - 1] === 32 && whole[size - 2] === 32 ? 97 : 7) {
      truncateSync(path, size)
      expect([at(10), at(11), null]).toContainEqual(read())
      writeFileSync(path, whole)
    }
  })

  it('of another history is none', () => {
    write(10)
    expect(read('n0_ffffffff-1')).toBeNull()
  })

  it('of another sink is none: MySQL gets what only orders.db has', () => {
    write(10)
    expect(read(STREAM, 'sqlite')).toBeNull()
    expect(read(STREAM, 'amqp')).toEqual(at(10))
  })

  it('of a log that was put back from an older copy is none, though only one part is ahead: its new events go out', () => {
    const file = new CheckpointFile(dir, STREAM, 'amqp')
    // Part 3 was behind, so that the log is read from far back; part 5 was at 90.
    const acked = at(10).acked.map((pseq, part) => (part === 5 ? 90 : pseq))
    file.write({ ...at(10), acked })
    file.close()
    const readAt = (log: LogEnd): Checkpoint | null => new CheckpointFile(dir, STREAM, 'amqp').read(log)
    expect(readAt(end(90))).toEqual({ ...at(10), acked })
    expect(readAt(end(89))).toBeNull()
    expect(readAt({ ...end(90), lastLsn: 8 })).toBeNull()
  })
})
