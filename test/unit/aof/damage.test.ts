// Damage: every flipped bit is found, and a torn tail (nothing was promised) is told from rot (something durable is gone).
// A failure prints the seed or the bit.

import { describe, expect, it } from 'vitest'
import { StockdError } from '../../../src/base/error.ts'
import { Random } from '../../../src/base/random.ts'
import { NO_LOG, inspect, type CorruptionReport, type Inspection } from '../../../src/aof/inspection.ts'
import { SegmentReader } from '../../../src/aof/segment-reader.ts'
import { SimDisk } from '../../sim/sim-disk.ts'
import { DIRECTORY, LogRig, path } from './log-rig.ts'

const CUTS = Number(process.env.STOCKD_CUTS ?? 10_000)

function look(disk: SimDisk): Inspection {
  const reading = inspect({ disk, directory: DIRECTORY, sink: { record() {} } })
  for (;;) {
    const step = reading.next()
    if (step.done !== true) continue
    if (step.value === NO_LOG) throw new Error('no log')
    return step.value
  }
}

/** A log with a base's worth of everything: sealed segments, notes, time lines, several batches, an open end. */
function smallLog(): SimDisk {
  const rig = new LogRig(undefined, { policy: 'always', segmentBytes: 500 })
  for (let i = 0; i < 9; i++) {
    rig.turn(`record ${i}`, `twin ${i}`)
    rig.settle()
    rig.pass(i % 3 === 0 ? 1100 : 10)
    rig.settle()
  }
  rig.disk.crash('kill')
  rig.disk.restart()
  return rig.disk
}

describe('a flipped bit', () => {
  it('is found wherever it is: 100 % of all bits of a small log', () => {
    const disk = smallLog()
    const sound = look(disk)
    expect(sound.damage).toBeNull()
    let bits = 0
    for (const [name, bytes] of disk.files()) {
      if (name.endsWith('stockd.lock')) continue
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const original = Buffer.from(bytes)
        disk.damage(name, () => {
          original[bit >> 3] ^= 1 << (bit & 7)
          return original
        })
        bits++
        expect(isFound(disk), `${name} bit ${bit}`).toBe(true)
      }
      disk.damage(name, () => bytes)
    }
    expect(bits).toBeGreaterThan(10_000)
    expect(look(disk)).toEqual(sound)
  })

  function isFound(disk: SimDisk): boolean {
    try {
      return look(disk).damage !== null
    } catch (error) {
      if (error instanceof StockdError) return true
      throw error
    }
  }
})

interface Piece {
  readonly start: number
  /** Behind the time line, if there is one: what stands here verifies alone. */
  readonly lineStart: number
  readonly end: number
  readonly first: number
  readonly last: number
  /** What this link, if it is whole, says is durable. */
  readonly durable: number
}

/** An open segment of many batches, each with what it says. */
function openSegment(random: Random): { disk: SimDisk; pieces: Piece[]; bytes: Buffer; name: string } {
  const policy = random.pick(['always', 'everysec'] as const)
  const rig = new LogRig(undefined, { policy })
  const turns = random.between(3, 14)
  for (let turn = 0; turn < turns; turn++) {
    rig.turn(...Array.from({ length: random.between(1, 3) }, (_, i) => `${turn}.${i} ${'x'.repeat(random.below(120))}`))
    if (policy === 'always' || random.chance(0.3)) rig.settle()
    rig.pass(random.pick([1, 50, 1100]))
    if (random.chance(0.5)) rig.settle()
  }
  rig.settle()
  rig.disk.crash('kill')
  rig.disk.restart()
  const name = 'appendonly.aof.1.incr.aof'
  const bytes = rig.file(name)
  const reader = new SegmentReader(rig.disk.open(path(name), 'read'), { nextLsn: 1, chain: 0 })
  reader.readHeader()
  const pieces: Piece[] = []
  for (let link = reader.next(); link !== 'eof'; link = reader.next()) {
    expect(link).not.toBe('bad')
    const isBatch = link === 'batch'
    const { line, mark } = reader
    const durable = isBatch ? line.durable : (mark?.last ?? 0)
    const lineStart = isBatch ? reader.offset - line.bodyBytes - line.lineBytes : reader.linkStart
    pieces.push({
      start: reader.linkStart,
      lineStart,
      end: reader.offset,
      first: isBatch ? line.first : reader.nextLsn,
      last: reader.nextLsn - 1,
      durable,
    })
  }
  return { disk: rig.disk, pieces, bytes, name }
}

describe('a torn tail and rot', () => {
  it(`are told apart in ${CUTS} random cuts`, () => {
    const seen = { torn: 0, reordered: 0, rot: 0 }
    for (let seed = 1, cuts = 0; cuts < CUTS; seed++) {
      const random = new Random(seed)
      const { disk, pieces, bytes, name } = openSegment(random)
      for (let n = 0; n < 50; n++, cuts++) {
        const damaged = Buffer.from(bytes)
        const at = random.between(pieces[0].start, bytes.length - 1)
        let kept = bytes.length
        let until = at + 1
        switch (random.below(4)) {
          case 0: // the file ends here
            kept = at
            until = bytes.length
            break
          case 1: // a sector of zeros
            until = Math.min(bytes.length, at + random.pick([1, 16, 512]))
            damaged.fill(0, at, until)
            break
          case 2: // garbage to the end
            until = bytes.length
            for (let i = at; i < until; i++) damaged[i] = random.below(256)
            break
          default:
            damaged[at] ^= 1 << random.below(8)
        }
        if (kept === bytes.length && damaged.equals(bytes)) continue
        disk.damage(path(name), () => damaged.subarray(0, kept))
        // What must come out: the first link that is not whole, and what the whole ones say.
        const same = (start: number, end: number): boolean => end <= kept && damaged.subarray(start, end).equals(bytes.subarray(start, end))
        const isWhole = (p: Piece): boolean => same(p.start, p.end)
        const verifies = (p: Piece): boolean => same(p.lineStart, p.end)
        const broken = pieces.find((p) => !isWhole(p))
        const why = `seed ${seed}, cut ${n}`
        expect(broken, why).toBeDefined()
        if (broken === undefined) continue
        const durable = Math.max(0, ...pieces.filter(verifies).map((p) => p.durable))
        const result = judge(disk)
        if (kept <= broken.start) {
          // Cut exactly between two links: nothing shows that there was more.
          expect(result, why).toBe('sound')
        } else if (broken.first <= durable) {
          seen.rot++
          expect(result, why).toBe('rot')
        } else {
          const isReordered = pieces.some((p) => p.start >= broken.start && verifies(p) && p.last >= p.first)
          seen[isReordered ? 'reordered' : 'torn']++
          expect(result, why).toBe(isReordered ? 'reordered' : 'torn')
        }
      }
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(CUTS / 50)
  })

  function judge(disk: SimDisk): string {
    try {
      return look(disk).damage?.kind ?? 'sound'
    } catch (error) {
      if (error instanceof StockdError && error.code === 'LOG_CORRUPT') return 'rot'
      throw error
    }
  }
})

describe('rot', () => {
  it('is reported with file, byte, LSN, and what still stands behind it; nothing is changed', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    for (const name of ['a', 'b', 'c', 'd']) {
      rig.turn(name)
      rig.settle()
    }
    rig.disk.crash('kill')
    rig.disk.restart()
    const name = 'appendonly.aof.1.incr.aof'
    const at = rig.file(name).indexOf('NOTE\r\n$1\r\nb')
    rig.disk.damage(path(name), (bytes) => {
      bytes[at] ^= 1
      return bytes
    })
    const before = rig.disk.files()
    let error: unknown
    try {
      new LogRig(rig.disk)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(StockdError)
    const { code, message, cause } = error as StockdError & { cause: CorruptionReport }
    expect(code).toBe('LOG_CORRUPT')
    expect(message).toMatch(
      /1\.incr\.aof is corrupt at byte \d+, LSN 2: the checksum of a batch is wrong; records up to LSN 3 were durable/,
    )
    expect(cause).toMatchObject({ lsn: 2, durable: 3, batchesAfter: 2, recordsAfter: 2, lastAfter: 4 })
    const after = rig.disk.files()
    before.delete(`${DIRECTORY}/stockd.lock`)
    after.delete(`${DIRECTORY}/stockd.lock`)
    expect(after).toEqual(before)
  })

  it('is not feigned by a client that stores what looks like a batch', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.turn('a')
    const faked = new LogRig(undefined, { policy: 'always' })
    for (let i = 0; i < 400; i++) {
      faked.turn('x')
      faked.settle()
    }
    // A batch of another log, valid in itself, whose LSN says that much more was durable: stored as a value, then torn.
    const bytes = faked.file('appendonly.aof.1.incr.aof')
    const last = bytes.lastIndexOf('#B1 ')
    rig.turn(`${bytes.toString('latin1', last)}${'y'.repeat(50)}`)
    rig.disk.crash('kill')
    rig.disk.restart()
    rig.disk.damage(path('appendonly.aof.1.incr.aof'), (all) => all.subarray(0, all.length - 20))
    const next = new LogRig(rig.disk)
    expect(next.found).toEqual(['NOTE a'])
    expect(next.inspection?.damage?.kind).toBe('torn')
  })
})

describe('a broken disk', () => {
  it('that lies about fsync is noticed when later evidence exists', () => {
    let noticed = 0
    for (let seed = 1; seed <= 40; seed++) {
      const disk = new SimDisk(new Random(seed))
      const rig = new LogRig(disk, { policy: 'always', segmentBytes: 600 })
      for (let i = 0; i < 10; i++) {
        if (i === 5) disk.options.lies = true
        rig.turn(`record ${i}`)
        rig.settle()
      }
      disk.crash('power')
      disk.restart()
      disk.options.lies = false
      try {
        if (new LogRig(disk).found.length === 10) noticed++
      } catch (error) {
        expect(error).toBeInstanceOf(StockdError)
        noticed++
      }
    }
    // Where the disk dropped everything after some point there is no evidence left; else there is.
    expect(noticed).toBeGreaterThan(15)
  })
})
