// The log of a running node: what is acknowledged when, and what happens when the disk fails.

import { describe, expect, it } from 'vitest'
import { LOG_DIRECTORY } from '../../../src/aof/format/file-names.ts'
import { DIRECTORY, LogRig, afterCrash, path, recordOf } from './log-rig.ts'

describe('a full disk', () => {
  it('takes the half-written batch back, keeps it queued, and recovers by itself', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.turn('a')
    const before = rig.file('appendonly.aof.1.incr.aof')
    rig.disk.options.quotaBytes = used(rig) + 30
    rig.turn('b')
    expect(rig.file('appendonly.aof.1.incr.aof')).toEqual(before)
    expect(rig.failures).toEqual([
      { from: 2, to: 2, message: 'MISCONF AOF write failed (ENOSPC). Outcome unknown; retry with the same order id' },
    ])
    expect(rig.log.refusal()).toBe('MISCONF AOF write failed (ENOSPC); command not executed')
    expect(rig.log).toMatchObject({ last: 2, written: 1, acked: 1, phase: 'blocked' })

    rig.pass(1000)
    expect(rig.log.phase).toBe('blocked')
    delete rig.disk.options.quotaBytes
    rig.pass(1000)
    expect(rig.log).toMatchObject({ written: 2, acked: 2, phase: 'open' })
    expect(rig.log.refusal()).toBeNull()
    expect(rig.notes.at(-1)).toContain('can be written again')
    expect(rig.failures).toHaveLength(1)
    expect(afterCrash(rig, 'kill').found).toEqual(['NOTE a', 'NOTE b'])
  })

  it.each(['EDQUOT', 'EFBIG'])('is also %s', (code) => {
    const rig = new LogRig()
    rig.disk.failNext('write', code)
    rig.turn('a')
    expect(rig.log.refusal()).toContain(code)
    rig.pass(1000)
    expect(rig.log.refusal()).toBeNull()
  })

  it('goes to a new segment if the half-written batch cannot be taken back', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    rig.turn('a')
    rig.settle()
    rig.disk.options.quotaBytes = used(rig) + 30
    rig.disk.failNext('truncate', 'EIO')
    rig.turn('b')
    delete rig.disk.options.quotaBytes
    rig.pass(1000)
    rig.settle()
    expect(rig.log).toMatchObject({ phase: 'open', acked: 2, durable: 2, currentSegment: 'appendonly.aof.2.incr.aof' })
    expect(rig.file('appendonly.aof.manifest').toString()).toMatch(/1\.incr\.aof .* cut \d+\n.*2\.incr\.aof/)
    expect(afterCrash(rig, 'power').found).toEqual(['NOTE a', 'NOTE b'])
  })

  it('is told before: too little free space refuses commands before they execute', () => {
    const rig = new LogRig(undefined, { minFreeBytes: 10_000_000 })
    rig.disk.options.quotaBytes = used(rig) + 9_000_000
    rig.pass(1000)
    expect(rig.log.refusal()).toBe('MISCONF disk nearly full (8 MiB free); command not executed')
    rig.pass(1000)
    rig.disk.options.quotaBytes += 2_000_000
    rig.pass(1000)
    expect(rig.log.refusal()).toBeNull()
    expect(rig.notes).toEqual([
      'warn: the disk of /data is nearly full (8 MiB free, aof-min-free is 9 MiB): writes are refused until there is room',
      'info: the disk of /data has room again (10 MiB free, aof-min-free is 9 MiB)',
    ])
  })

  it('queues only so much', () => {
    const rig = new LogRig(undefined, { policy: 'always', queueBytesMax: 1000 })
    rig.turn('a')
    rig.turn('x'.repeat(2000))
    expect(rig.log.refusal()).toBe('MISCONF AOF queue is full: the disk does not keep up; command not executed')
    rig.settle()
    expect(rig.log.refusal()).toBeNull()
  })
})

describe('a write error', () => {
  it('goes to a new segment', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.turn('a')
    rig.disk.failNext('write', 'EIO')
    rig.turn('b')
    expect(rig.log.refusal()).toContain('EIO')
    rig.pass(1000)
    rig.settle()
    rig.pass(1000)
    rig.settle()
    expect(rig.log).toMatchObject({ phase: 'open', currentSegment: 'appendonly.aof.2.incr.aof', written: 2 })
    expect(afterCrash(rig, 'kill').found).toEqual(['NOTE a', 'NOTE b'])
  })
})

describe('a failed fsync', () => {
  function failed(policy: 'always' | 'everysec', onSyncError: 'readonly' | 'rewrite' | 'exit' = 'readonly'): LogRig {
    const rig = new LogRig(undefined, { policy, onSyncError })
    rig.turn('a')
    rig.pass(1000)
    rig.settle()
    rig.disk.failNext('sync', 'EIO')
    rig.turn('b', 'c')
    rig.pass(1000)
    rig.disk.complete()
    return rig
  }

  it('acknowledges nothing, tells who waits, and makes the node read-only', () => {
    const rig = failed('always')
    expect(rig.log).toMatchObject({ phase: 'failed', acked: 1, durable: 1, last: 3 })
    expect(rig.failures).toEqual([
      { from: 2, to: 3, message: 'MISCONF AOF fsync failed (EIO) at LSN 2..3; outcome unknown; node is read-only' },
    ])
    expect(rig.log.refusal()).toMatch(/^MISCONF AOF fsync failed \(EIO\) at LSN 2\.\.3; node is read-only/)
  })

  it('is never tried again on the same file, whatever happens then', () => {
    const rig = failed('always')
    for (let i = 0; i < 10; i++) {
      rig.turn('d')
      rig.pass(1000)
      rig.settle()
    }
    rig.close()
    expect(rig.disk.retriedSyncs).toBe(0)
    expect(rig.log.phase).toBe('closed')
  })

  it('under everysec tells which acknowledged records are at risk', () => {
    const rig = failed('everysec')
    expect(rig.notes.at(-1)).toContain('LSN 2..3 were acknowledged and are at risk')
    expect(rig.log.acked).toBe(3)
  })

  it('reopen writes them again from memory into a new segment, and they are durable then', () => {
    const rig = failed('always')
    let error: Error | null | undefined
    rig.log.reopen((e) => (error = e))
    rig.settle()
    expect(error).toBeNull()
    expect(rig.log).toMatchObject({ phase: 'open', acked: 3, durable: 3, currentSegment: 'appendonly.aof.2.incr.aof' })
    rig.turn('d')
    rig.settle()
    expect(rig.disk.retriedSyncs).toBe(0)
    expect(afterCrash(rig, 'power').found).toEqual(['NOTE a', 'NOTE b', 'NOTE c', 'NOTE d'])
  })

  it.each(['open', 'write', 'sync', 'rename', 'syncDirectory'] as const)(
    'stays read-only if reopening fails at %s, and can be reopened later',
    (point) => {
      const rig = failed('always')
      rig.disk.failNext(point, 'EIO')
      let error: Error | null | undefined
      rig.log.reopen((e) => (error = e))
      rig.settle()
      expect(error?.message).toContain('EIO')
      expect(rig.log.phase).toBe('failed')
      rig.log.reopen((e) => (error = e))
      rig.settle()
      expect(error).toBeNull()
      expect(afterCrash(rig, 'power').found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
    },
  )

  it('with the option rewrite is answered by a new segment at once', () => {
    const rig = failed('always', 'rewrite')
    rig.settle()
    expect(rig.log).toMatchObject({ phase: 'open', durable: 3 })
  })

  it('with the option exit ends the process', () => {
    expect(failed('always', 'exit').fatal?.message).toMatch(/fsync failed \(EIO\) at LSN 2\.\.3/)
  })

  it('is noticed by the next start too: what the page cache shows is written again', () => {
    const rig = failed('everysec')
    const next = afterCrash(rig, 'kill')
    expect(next.found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
    expect(afterCrash(next, 'power').found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
  })

  it('of the policy no cannot be repaired from memory, and says so', () => {
    const rig = new LogRig(undefined, { policy: 'no' })
    rig.turn('a')
    rig.disk.failNext('sync', 'EIO', '1.incr')
    rig.log.rotate(() => {})
    rig.settle()
    expect(rig.log.phase).toBe('failed')
    let error: Error | null | undefined
    rig.log.reopen((e) => (error = e))
    expect(error?.message).toContain('restart the node')
  })
})

describe('acknowledgement', () => {
  it('always: after the fdatasync, with the next batch filling meanwhile (group commit)', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    rig.turn('a')
    rig.turn('b')
    rig.turn('c')
    expect(rig.log).toMatchObject({ last: 3, written: 1, durable: 0, acked: 0 })
    rig.disk.complete()
    expect(rig.log).toMatchObject({ written: 3, durable: 1, acked: 1 })
    expect(rig.disk.inFlight).toBe(1)
    rig.disk.complete()
    expect(rig.log).toMatchObject({ written: 3, durable: 3, acked: 3 })
    expect(rig.ackedCalls).toBe(2)
    expect(rig.log.syncs).toBe(2)
  })

  it('everysec: after the write; synced each second, one at a time', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.pass(1000)
    rig.turn('a')
    expect(rig.log).toMatchObject({ written: 1, acked: 1, durable: 0 })
    rig.settle()
    expect(rig.log.durable).toBe(1)
    rig.turn('b')
    rig.pass(900)
    expect(rig.disk.inFlight).toBe(0)
    rig.pass(100)
    rig.pass(1000)
    expect(rig.disk.inFlight).toBe(1)
    rig.settle()
    expect(rig.log.durable).toBe(2)
  })

  it('everysec: an fsync that takes longer than 2 s stops writes until it is done', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.pass(1000)
    rig.turn('a')
    rig.pass(2000)
    expect(rig.log.refusal()).toBeNull()
    rig.pass(100)
    expect(rig.log.refusal()).toBe('MISCONF AOF fsync takes longer than 2 s; command not executed')
    rig.settle()
    expect(rig.log.refusal()).toBeNull()
    expect(rig.log.lateSyncs).toBe(1)
  })

  it('no: after the write; synced by nobody', () => {
    const rig = new LogRig(undefined, { policy: 'no' })
    rig.turn('a')
    for (let i = 0; i < 5; i++) rig.pass(1000)
    expect(rig.log).toMatchObject({ acked: 1, durable: 0, syncs: 0 })
  })

  it('follows a change of the policy, and never goes back', () => {
    const rig = new LogRig(undefined, { policy: 'no' })
    rig.turn('a')
    rig.log.setPolicy('always')
    expect(rig.log.acked).toBe(1)
    rig.turn('b')
    expect(rig.log.acked).toBe(1)
    rig.settle()
    expect(rig.log).toMatchObject({ acked: 2, durable: 2 })
  })

  it('is for whole turns: one batch, one write', () => {
    const rig = new LogRig()
    const before = rig.disk.operations
    rig.turn('a', 'b', 'c')
    expect(rig.disk.operations - before).toBeLessThanOrEqual(2)
    expect(rig.file('appendonly.aof.1.incr.aof').toString()).toMatch(/l=1 n=3 /)
  })

  it('keeps a turn of any size whole', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    const large = 'x'.repeat(5_000_000)
    rig.turn('a', large, 'b')
    rig.turn('c')
    expect(afterCrash(rig, 'kill').found).toEqual(['NOTE a', `NOTE ${large}`, 'NOTE b', 'NOTE c'])
  })

  it('keeps in memory only what is not durable', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    for (let i = 0; i < 300; i++) {
      rig.turn('x'.repeat(50_000))
      rig.settle()
    }
    expect(rig.log.retainedBytes).toBe(0)
  })
})

describe('an idle log', () => {
  it('notes after a second what is durable, once', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    rig.turn('a')
    rig.settle()
    for (let i = 0; i < 5; i++) {
      rig.pass(1000)
      rig.settle()
    }
    expect(
      rig
        .file('appendonly.aof.1.incr.aof')
        .toString()
        .match(/#D l=1 /g),
    ).toHaveLength(1)
    expect(afterCrash(rig, 'power').found).toEqual(['NOTE a'])
  })

  it('has a time line in the first batch of each second', () => {
    const rig = new LogRig()
    rig.turn('a')
    rig.turn('b')
    rig.pass(1000)
    rig.turn('c')
    expect(
      rig
        .file('appendonly.aof.1.incr.aof')
        .toString()
        .match(/#TS:17\d{8}\r\n#B1 /g),
    ).toHaveLength(2)
  })
})

describe('rotation', () => {
  it('prepares ahead, switches between turns, and seals what it leaves', () => {
    const rig = new LogRig(undefined, { policy: 'always', segmentBytes: 1000 })
    for (let i = 0; i < 30; i++) {
      rig.turn(`record ${i}`)
      rig.settle()
      rig.pass(1)
    }
    expect(rig.log.rotations).toBeGreaterThan(2)
    const first = rig.file('appendonly.aof.1.incr.aof').toString()
    expect(first).toMatch(/#S l=(\d+) n=\1 digest=digest\1 p=[0-9a-f]{8} c=[0-9a-f]{8}\r\n$/)
    expect(rig.log.manifest.entries[0].sealed?.digest).toMatch(/^digest\d+$/)
    expect(afterCrash(rig, 'power').found).toHaveLength(30)
  })

  it('can be asked for', () => {
    const rig = new LogRig()
    rig.turn('a')
    rig.rotate()
    expect(rig.log.sealedUpTo).toEqual({ seq: 1, last: 1 })
    rig.rotate()
    expect(rig.log.sealedUpTo).toEqual({ seq: 1, last: 1 })
  })

  it('that cannot be prepared lets the old segment grow, and is tried again', () => {
    const rig = new LogRig(undefined, { segmentBytes: 300 })
    rig.disk.failNext('open', 'EMFILE', '.incr.')
    for (let i = 0; i < 10; i++) rig.turn(`record ${i}`)
    rig.settle()
    expect(rig.log).toMatchObject({ phase: 'open', rotations: 0, acked: 10 })
    expect(rig.notes.at(-1)).toContain('grows on')
    rig.pass(2000)
    rig.settle()
    rig.turn('more')
    expect(rig.log.rotations).toBe(1)
  })

  // Rows R1 to R7: every call of the disk within a rotation, with nothing unsynced surviving, with all of it surviving, and by chance.
  it('survives a stop at every point', () => {
    for (let operation = 0; operation < 40; operation++) {
      for (const kind of ['power', 'kill'] as const) {
        const rig = new LogRig(undefined, { policy: 'always', segmentBytes: 400 })
        rig.disk.crashAfter(operation, kind)
        let acked = 0
        try {
          for (let i = 0; i < 8 && !rig.disk.isDead; i++) {
            rig.turn(`record ${i}`)
            rig.settle()
            if (!rig.disk.isDead) acked = rig.log.acked
          }
        } catch (error) {
          if (!rig.disk.isDead) throw error
        }
        const next = afterCrash(rig, kind, { policy: 'always', segmentBytes: 400 })
        expect(next.found.length, `operation ${operation}, ${kind}`).toBeGreaterThanOrEqual(acked)
        expect(next.found).toEqual(Array.from({ length: next.found.length }, (_, i) => `NOTE record ${i}`))
        next.turn('after')
        next.settle()
        expect(afterCrash(next, 'power').found.at(-1)).toBe('NOTE after')
      }
    }
  })
})

describe('a clean stop', () => {
  it.each(['always', 'everysec', 'no'] as const)(
    'makes everything durable under %s, and the next start goes on in the same file',
    (policy) => {
      const rig = new LogRig(undefined, { policy })
      rig.turn('a')
      rig.append('b')
      expect(rig.close()).toBeNull()
      const next = afterCrash(rig, 'power', { policy })
      expect(next.inspection).toMatchObject({ clean: true, damage: null })
      expect(next.found).toEqual(['NOTE a', 'NOTE b'])
      next.turn('c')
      expect(next.log.currentSegment).toBe('appendonly.aof.1.incr.aof')
      expect(afterCrash(next, 'kill').found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
    },
  )

  it('reports what it could not save', () => {
    const rig = new LogRig(undefined, { policy: 'no' })
    rig.turn('a')
    rig.disk.failNext('sync', 'EIO')
    expect(rig.close()?.message).toContain('not closed cleanly (failed): LSN 1..1 may be missing')
    expect(rig.log.refusal()).toContain('closed')
  })

  it('frees the directory', () => {
    const rig = new LogRig()
    expect(() => new LogRig(rig.disk)).toThrow('/data is in use by process 4711 on host here (stockd 0.1.0, started then)')
    rig.close()
    new LogRig(rig.disk)
  })

  it('writes no more', () => {
    const rig = new LogRig()
    rig.close()
    const files = rig.disk.files()
    rig.turn('late')
    rig.pass(5000)
    rig.settle()
    expect(rig.disk.files()).toEqual(files)
    expect(rig.log.refusal()).toBe('MISCONF AOF is closed; command not executed')
  })
})

function used(rig: LogRig): number {
  let bytes = 0
  for (const file of rig.disk.files().values()) bytes += file.length
  return bytes
}

describe('the file', () => {
  it('is plain RESP between lines that start with #', () => {
    const rig = new LogRig()
    rig.turn('a', 'b')
    const lines = rig.file('appendonly.aof.1.incr.aof').toString().split('\r\n')
    expect(lines.filter((line) => !line.startsWith('#')).join('\r\n')).toBe(`${recordOf('a')}${recordOf('b')}`)
    expect(lines[0]).toMatch(/^#V1 min=1 node=\S+ seg=1 prev=00000000 created=\d+ c=[0-9a-f]{8}$/)
    expect(rig.disk.sizeOf(path('appendonly.aof.manifest'))).toBeGreaterThan(0)
    expect(rig.disk.list(`${DIRECTORY}/${LOG_DIRECTORY}`)).toEqual(['appendonly.aof.1.incr.aof', 'appendonly.aof.manifest'])
  })
})
