// The start: what is found in a directory, what is refused, and what is set right.

import { describe, expect, it } from 'vitest'
import { StockdError } from '../../../src/base/error.ts'
import { Random } from '../../../src/base/random.ts'
import { openLogNow } from '../../../src/aof/recovery.ts'
import { crc32, hexOf } from '../../../src/aof/format/crc.ts'
import { SimDisk } from '../../sim/sim-disk.ts'
import { DIRECTORY, LogRig, NODE_ID, START, afterCrash, path, recordOf } from './log-rig.ts'

const SEGMENT = 'appendonly.aof.1.incr.aof'

function stopped(...names: string[]): LogRig {
  const rig = new LogRig(undefined, { policy: 'always' })
  for (const name of names) {
    rig.turn(name)
    rig.settle()
  }
  rig.disk.crash('kill')
  rig.disk.restart()
  return rig
}

function refusal(disk: SimDisk): StockdError {
  try {
    new LogRig(disk)
  } catch (error) {
    if (error instanceof StockdError) return error
    throw error
  }
  throw new Error('the log was opened')
}

function put(disk: SimDisk, name: string, bytes: string | Uint8Array): void {
  const file = disk.open(path(name), 'create')
  const content = Buffer.from(bytes as string)
  file.write(content, 0, content.length, 0)
  file.close()
}

describe('a start refuses', () => {
  it('a directory that another node holds, and names it', () => {
    const rig = new LogRig()
    const error = refusal(rig.disk)
    expect(error.code).toBe('DIRECTORY_LOCKED')
    expect(error.message).toBe('/data is in use by process 4711 on host here (stockd 0.1.0, started then)')
  })

  it('a missing segment', () => {
    const { disk } = stopped('a')
    disk.unlink(path(SEGMENT))
    expect(refusal(disk).message).toContain('is listed in the manifest but missing')
  })

  it('a segment that is shorter than what was durable', () => {
    const rig = new LogRig(undefined, { policy: 'always' })
    rig.turn('a')
    rig.settle()
    rig.rotate()
    rig.turn('b')
    rig.settle()
    rig.rotate()
    rig.disk.crash('kill')
    rig.disk.restart()
    rig.disk.damage(path(SEGMENT), (bytes) => bytes.subarray(0, -1))
    expect(refusal(rig.disk).message).toMatch(/has \d+ bytes; \d+ were durable/)
  })

  it('a missing manifest over data, and a missing node.json', () => {
    const { disk } = stopped('a')
    const twin = disk.clone(new Random(1))
    disk.unlink(path('appendonly.aof.manifest'))
    expect(refusal(disk).message).toContain(
      'has data (appendonly.aof.1.incr.aof) but no manifest: put appendonly.aof.manifest back from a backup',
    )
    twin.unlink(`${DIRECTORY}/node.json`)
    expect(refusal(twin).message).toContain('no node.json: put it back')
  })

  it('the manifest of a plain Redis log', () => {
    const { disk } = stopped('a')
    disk.damage(path('appendonly.aof.manifest'), () => Buffer.from('file appendonly.aof.1.incr.aof seq 1 type i\n'))
    expect(refusal(disk).message).toContain('stockd-aof import')
  })

  it('a segment of another node, and one out of its place', () => {
    const { disk } = stopped('a')
    const other = stopped('z')
    other.disk.damage(`${DIRECTORY}/node.json`, () => nodeJson('ffffffff-0000-4000-8000-00000000000f'))
    expect(refusal(other.disk).message).toContain(`was written by node ${NODE_ID}`)
    const rig = new LogRig(disk, { policy: 'always' })
    rig.turn('b')
    rig.settle()
    rig.rotate()
    rig.disk.crash('kill')
    rig.disk.restart()
    const [first, second] = rig.names().filter((name) => name.includes('.incr.'))
    const bytes = rig.file(first)
    disk.damage(path(second), () => bytes)
    expect(refusal(disk).message).toContain('holds another file of the log')
  })

  it('a log that was written by a newer stockd', () => {
    const { disk } = stopped('a')
    disk.damage(path(SEGMENT), (bytes) => {
      const end = bytes.indexOf('\n') + 1
      const covered = bytes
        .subarray(0, end - 12)
        .toString('latin1')
        .replace('#V1 min=1', '#V3 min=2')
      return Buffer.concat([lineWithCrc(covered), bytes.subarray(end)])
    })
    const error = refusal(disk)
    expect(error.code).toBe('LOG_TOO_NEW')
    expect(error.message).toContain('need a stockd that reads >= V2')
  })

  it('a record that contradicts the state, with its place', () => {
    const { disk } = stopped('a', 'b')
    expect(() =>
      openLogNow({
        disk,
        directory: DIRECTORY,
        holder: { pid: 1, host: 'h', bootId: '', startedAt: '', version: '' },
        newNodeId: NODE_ID,
        now: START,
        log: {},
        events: { onAcked() {}, onFailed() {}, sealDigest: () => '', onNote() {}, onFatal() {} },
        sink: {
          record(_bytes, _argc, _start, _end, lsn) {
            if (lsn === 2) throw new StockdError('LOG_SEMANTIC', 'available would be -1')
          },
        },
      }),
    ).toThrow(/1\.incr\.aof at \d+, LSN 2\.\.2: available would be -1/)
    // And the directory is free again.
    expect(new LogRig(disk).found).toEqual(['NOTE a', 'NOTE b'])
  })

  it('a disk that is too full for the tail to be written again, with what makes room', () => {
    const { disk } = stopped('a', 'b')
    disk.options.quotaBytes = 0
    expect(refusal(disk).message).toMatch(/cannot be opened \(ENOSPC\).*deleting \/data\/ballast makes some/)
    delete disk.options.quotaBytes
    expect(new LogRig(disk).found).toEqual(['NOTE a', 'NOTE b'])
  })
})

describe('a start after an unclean stop', () => {
  it('writes what is behind the last seal again into a new segment, and drops the old one', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.turn('a')
    rig.rotate()
    rig.turn('b')
    rig.rotate()
    rig.turn('c')
    const next = afterCrash(rig, 'kill')
    expect(next.found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
    expect(next.inspection?.clean).toBe(false)
    // The first is sealed in the manifest; the second only in the file, which proves nothing.
    expect(next.names()).toEqual(['appendonly.aof.1.incr.aof', 'appendonly.aof.4.incr.aof', 'appendonly.aof.manifest'])
    expect(next.file('appendonly.aof.4.incr.aof').toString()).toMatch(/#D l=3 t=\d+ p=[0-9a-f]{8} c=[0-9a-f]{8}\r\n$/)
    expect(next.log.durable).toBe(3)
    expect(afterCrash(next, 'power').found).toEqual(['NOTE a', 'NOTE b', 'NOTE c'])
  })

  it('keeps every byte that it cuts in quarantine, and says what may be missing', () => {
    const { disk } = stopped('a', 'b', 'c')
    disk.damage(path(SEGMENT), (bytes) => bytes.subarray(0, -3))
    const next = new LogRig(disk)
    expect(next.found).toEqual(['NOTE a', 'NOTE b'])
    expect(next.notes[0]).toMatch(
      /^warn: torn tail in appendonly\.aof\.1\.incr\.aof at byte \d+ \(the file ends within a batch\): \d+ bytes cut and kept in \/data\/quarantine; LSN 3 is the first/,
    )
    const [name] = disk.list(`${DIRECTORY}/quarantine`)
    expect(disk.files().get(`${DIRECTORY}/quarantine/${name}`)?.toString()).toMatch(/^#B1 e=1\.1 l=3 .*NOTE\r\n\$1\r\n$/s)
    expect(disk.sizeOf(path(SEGMENT))).toBe(-1)
  })

  it('prints the LSNs that left a trace when batches were written back out of order', () => {
    const rig = new LogRig(undefined, { policy: 'everysec' })
    rig.turn('a')
    rig.turn('b')
    rig.turn('c')
    rig.disk.crash('kill')
    rig.disk.restart()
    rig.disk.damage(path(SEGMENT), (bytes) => {
      bytes.fill(0, bytes.indexOf('l=2 ') - 8, bytes.indexOf('l=2 ') + 20)
      return bytes
    })
    const next = new LogRig(rig.disk)
    expect(next.found).toEqual(['NOTE a'])
    expect(next.notes[0]).toContain('unsynced batches out of order')
    expect(next.notes[0]).toContain('LSN 2..3 left a trace and are gone')
  })

  it('goes on counting where it was, with a new incarnation', () => {
    const { disk } = stopped('a', 'b')
    const next = new LogRig(disk, { policy: 'always' })
    next.turn('c')
    next.settle()
    expect(next.log.last).toBe(3)
    expect(next.log.incarnation).toBe(2)
    expect(next.file(next.log.currentSegment).toString()).toContain('#B1 e=1.2 l=3 n=1 d=2 ')
  })

  it('can be stopped at any point and repeated', () => {
    for (let operation = 0; operation < 60; operation++) {
      for (const kind of ['power', 'kill'] as const) {
        const { disk } = stopped('a', 'b', 'c')
        disk.damage(path(SEGMENT), (bytes) => bytes.subarray(0, -3))
        disk.crashAfter(operation, kind)
        try {
          new LogRig(disk)
        } catch (error) {
          if (!disk.isDead) throw error
        }
        disk.crash(kind)
        disk.restart()
        expect(new LogRig(disk).found, `operation ${operation}, ${kind}`).toEqual(['NOTE a', 'NOTE b'])
      }
    }
  })
})

describe('a first start', () => {
  it('can be stopped at any point and repeated', () => {
    for (let operation = 0; operation < 40; operation++) {
      for (const kind of ['power', 'kill'] as const) {
        const disk = new SimDisk(new Random(operation + 1))
        disk.crashAfter(operation, kind)
        try {
          new LogRig(disk)
        } catch (error) {
          if (!disk.isDead) throw error
        }
        disk.crash(kind)
        disk.restart()
        const rig = new LogRig(disk, { policy: 'always' })
        rig.turn('a')
        rig.settle()
        expect(afterCrash(rig, 'power').found, `operation ${operation}, ${kind}`).toEqual(['NOTE a'])
      }
    }
  })
})

describe('a log that is gone', () => {
  it('is not taken for a new directory without a word', () => {
    const { disk } = stopped('a')
    for (const name of ['appendonly.aof.manifest', SEGMENT]) disk.unlink(path(name))
    const [note] = new LogRig(disk).notes
    expect(note).toMatch(/^warn: \/data is known since 2023-11-14T\S+ but has no log: starting empty/)
  })
})

describe('files that the manifest does not name', () => {
  it('are deleted if they are empty or superseded, kept in quarantine if they have records', () => {
    const { disk } = stopped('a')
    const header = Buffer.from(disk.files().get(path(SEGMENT)) ?? '')
      .toString('latin1')
      .split('\r\n')[0]
    put(disk, 'appendonly.aof.8.incr.aof', `${header}\r\n`)
    put(disk, 'appendonly.aof.9.incr.aof', `${header}\r\n${recordOf('x')}`)
    put(disk, 'appendonly.aof.manifest.tmp', 'half')
    put(disk, 'appendonly.aof.3.base.aof.tmp', 'half')
    put(disk, 'notes.txt', 'of an operator')
    const next = new LogRig(disk)
    expect(next.names()).toEqual(['appendonly.aof.10.incr.aof', 'appendonly.aof.manifest', 'notes.txt'])
    expect(disk.list(`${DIRECTORY}/quarantine`)).toEqual([`appendonly.aof.9.incr.aof.${START}`])
    expect(next.notes.at(-1)).toContain('is not in the manifest but has records')
  })
})

function nodeJson(nodeId: string): Buffer {
  const fields = JSON.stringify({ format: 1, cluster_id: '', node_id: nodeId, created: 1 })
  const bytes = Buffer.from(fields)
  return Buffer.from(`${fields.slice(0, -1)},"crc":"${hexOf(crc32(bytes, 0, bytes.length, 0))}"}\n`)
}

function lineWithCrc(covered: string): Buffer {
  const bytes = Buffer.from(covered, 'latin1')
  return Buffer.concat([bytes, Buffer.from(`c=${hexOf(crc32(bytes, 0, bytes.length, 0))}\r\n`)])
}
