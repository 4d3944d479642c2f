// The log's part of compaction: reading what is settled, writing a base, exchanging the manifest, and what may be deleted when.

import { describe, expect, it } from 'vitest'
import { BaseWriter } from '../../../src/aof/base-writer.ts'
import { CompactionTrigger } from '../../../src/aof/compaction-trigger.ts'
import type { ManifestEntry } from '../../../src/aof/format/manifest.ts'
import { readLog, type SettledEnd } from '../../../src/aof/read-log.ts'
import type { RecordSink } from '../../../src/aof/record-parser.ts'
import { DIRECTORY, LogRig, afterCrash, path, recordOf } from './log-rig.ts'

/** Segments with one record each, all sealed. */
function sealedLog(...names: string[]): LogRig {
  const rig = new LogRig(undefined, { policy: 'always' })
  for (const name of names) {
    rig.turn(name)
    rig.settle()
    rig.rotate()
  }
  return rig
}

function read(rig: LogRig, sink: Partial<RecordSink> = {}): SettledEnd {
  const upToSegment = rig.log.sealedUpTo?.seq ?? 0
  const reading = readLog({ disk: rig.disk, directory: DIRECTORY, manifest: rig.log.manifest, upToSegment, sink: { record() {}, ...sink } })
  for (;;) {
    const step = reading.next()
    if (step.done === true) return step.value
  }
}

function writeBase(rig: LogRig, ...names: string[]): ManifestEntry {
  const { last, chain, time } = read(rig)
  const writer = new BaseWriter({
    disk: rig.disk,
    directory: DIRECTORY,
    seq: rig.log.takeBaseSeq(),
    nodeId: rig.log.nodeId,
    last,
    chain,
    time,
  })
  for (const name of names) {
    const bytes = recordOf(name)
    writer.add(bytes, bytes.length, 1)
  }
  return writer.finish('state')
}

function install(rig: LogRig, base: ManifestEntry): Error | null | undefined {
  let result: Error | null | undefined
  rig.log.installBase(base, (error) => (result = error))
  rig.settle()
  return result
}

describe('an installation that fails', () => {
  it.each(['rename', 'sync', 'syncDirectory', 'open'] as const)(
    'at %s keeps the old base and segments, and a later one succeeds',
    (point) => {
      const rig = sealedLog('a', 'b')
      const base = writeBase(rig, 'ab')
      rig.disk.failNext(point, 'EIO')
      expect(install(rig, base)?.message).toContain('EIO')
      expect(afterCrash(rig, 'kill').found.join()).toMatch(/^(NOTE a,NOTE b|NOTE ab)$/)
    },
  )

  it('leaves no half-written base', () => {
    const rig = sealedLog('a')
    const { last, chain, time } = read(rig)
    const writer = new BaseWriter({
      disk: rig.disk,
      directory: DIRECTORY,
      seq: rig.log.takeBaseSeq(),
      nodeId: rig.log.nodeId,
      last,
      chain,
      time,
    })
    rig.disk.options.quotaBytes = 0
    const bytes = recordOf('x'.repeat(2_000_000))
    expect(() => {
      writer.add(bytes, bytes.length, 1)
      writer.finish('d')
    }).toThrow('ENOSPC')
    writer.abandon()
    expect(rig.names().filter((name) => name.includes('base'))).toEqual([])
  })
})

describe('reading for compaction', () => {
  it('stops at a bit that is not what was written', () => {
    const rig = sealedLog('a', 'b')
    rig.disk.damage(path('appendonly.aof.1.incr.aof'), (bytes) => {
      bytes[bytes.length - 80] ^= 1
      return bytes
    })
    expect(() => read(rig)).toThrow(/is corrupt at byte/)
  })

  it('hands on the digest of every seal, to be compared', () => {
    const seals: string[] = []
    read(sealedLog('a', 'b', 'c'), { seal: (digest, lsn) => seals.push(`${digest} ${lsn}`) })
    expect(seals).toEqual(['digest1 1', 'digest2 2', 'digest3 3'])
  })

  it('reads no open segment', () => {
    const rig = sealedLog('a', 'b')
    rig.turn('open')
    rig.settle()
    expect(read(rig)).toMatchObject({ last: 2, records: 2 })
  })
})

describe('a base', () => {
  it('takes the place of the segments that it covers', () => {
    const rig = sealedLog('a', 'b')
    rig.turn('c')
    rig.settle()
    expect(install(rig, writeBase(rig, 'ab'))).toBeNull()
    expect(rig.names().filter((name) => /\.[12]\.incr/.test(name))).toEqual([])
    rig.turn('d')
    rig.settle()
    const next = afterCrash(rig, 'power')
    expect(next.found).toEqual(['NOTE ab', 'NOTE c', 'NOTE d'])
    expect(next.log.last).toBe(4)
    expect(next.inspection?.base).toMatchObject({ last: 2, records: 1, digest: 'state' })
  })

  it('is replaced by the next one', () => {
    const rig = sealedLog('a')
    install(rig, writeBase(rig, 'A'))
    rig.turn('b')
    rig.settle()
    rig.rotate()
    install(rig, writeBase(rig, 'AB'))
    expect(rig.names().filter((name) => name.includes('base'))).toHaveLength(1)
    expect(afterCrash(rig, 'power').found).toEqual(['NOTE AB'])
  })

  it('has the same bytes for the same records', () => {
    const [one, two] = [sealedLog('a', 'b'), sealedLog('a', 'b')].map((rig) => rig.file(writeBase(rig, 'x', 'y').name))
    expect(one).toEqual(two)
    expect(one.toString()).toMatch(
      /^#V1 min=1 node=\S+ base=\d+ .*#B1 e=0\.0 l=1 n=2 d=0 .*#F n=2 l=2 digest=state chain=[0-9a-f]{8} t=\d+ p=[0-9a-f]{8} c=[0-9a-f]{8}\r\n$/s,
    )
  })

  it('is refused with a record missing, or the footer', () => {
    const rig = sealedLog('a')
    const base = writeBase(rig, 'A')
    install(rig, base)
    rig.disk.crash('kill')
    rig.disk.restart()
    rig.disk.damage(path(base.name), (bytes) => {
      bytes[120] ^= 4
      return bytes
    })
    expect(() => new LogRig(rig.disk)).toThrow(/base\.aof is corrupt/)
  })

  it('keeps as history what somebody still reads, until nobody does', () => {
    const rig = sealedLog('a', 'b', 'c')
    rig.keepFrom = 2
    install(rig, writeBase(rig, 'abc'))
    expect(rig.log.manifest.entries.map((e) => e.type).join('')).toMatch(/^bhhi+$/)
    expect(rig.names()).not.toContain('appendonly.aof.1.incr.aof')
    rig.keepFrom = 3
    for (let i = 0; i < 61; i++) rig.pass(1000)
    rig.settle()
    expect(rig.log.manifest.entries.map((e) => e.type).join('')).toMatch(/^bhi+$/)
    rig.keepFrom = Infinity
    rig.turn('d')
    rig.settle()
    rig.rotate()
    install(rig, writeBase(rig, 'abcd'))
    expect(rig.log.manifest.entries.map((e) => e.type).join('')).toMatch(/^bi+$/)
    expect(afterCrash(rig, 'power').found).toEqual(['NOTE abcd'])
  })

  it('survives a stop at every point of its installation', () => {
    for (let operation = 0; operation < 40; operation++) {
      for (const kind of ['power', 'kill'] as const) {
        const rig = sealedLog('a', 'b')
        rig.turn('c')
        rig.settle()
        rig.disk.crashAfter(operation, kind)
        try {
          install(rig, writeBase(rig, 'a', 'b'))
        } catch (error) {
          if (!rig.disk.isDead) throw error
        }
        expect(afterCrash(rig, kind).found, `operation ${operation}, ${kind}`).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
      }
    }
  })
})

describe('the trigger', () => {
  const MIB = 1024 * 1024

  it('waits for growth by 100 % and 64 MiB', () => {
    const trigger = new CompactionTrigger()
    expect(trigger.isDue(0, 63 * MIB, 0)).toBe(false)
    expect(trigger.isDue(0, 64 * MIB, 0)).toBe(true)
    expect(trigger.isDue(0, 99 * MIB, 100 * MIB)).toBe(false)
    expect(trigger.isDue(0, 100 * MIB, 100 * MIB)).toBe(true)
    expect(new CompactionTrigger({ growthPercent: 0 }).isDue(0, 1e12, 0)).toBe(false)
  })

  it('backs off after the third failure, up to an hour', () => {
    const trigger = new CompactionTrigger()
    const isDue = (now: number): boolean => trigger.isDue(now, 1e9, 0)
    trigger.failed(0)
    trigger.failed(0)
    expect(isDue(1)).toBe(true)
    trigger.failed(0)
    expect([isDue(59_999), isDue(60_000)]).toEqual([false, true])
    trigger.failed(0)
    expect([isDue(119_999), isDue(120_000)]).toEqual([false, true])
    for (let i = 0; i < 20; i++) trigger.failed(0)
    expect([isDue(3_599_999), isDue(3_600_000)]).toEqual([false, true])
    trigger.succeeded()
    expect(isDue(0)).toBe(true)
  })
})
