// What the log expects of a disk, of the real one and the simulated one alike: the simulation is worth what it has in common with the real.

import { readFileSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { errorCode, inOrder, readWhole, writeFully, type Disk, type DiskError } from '../../src/aof/disk.ts'
import { FileDisk } from '../../src/aof/file-disk.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Made {
  readonly disk: Disk
  readonly directory: string
  /** Lets the device work. */
  settle(): Promise<void>
}

const DISKS: Readonly<Record<string, () => Made>> = {
  FileDisk: () => ({
    disk: new FileDisk(),
    directory: tempDir(),
    // The pool of threads works by itself; a test waits for the callbacks.
    settle: async () => {},
  }),
  SimDisk: () => {
    const disk = new SimDisk(new Random(1))
    disk.makeDirectory('/sim')
    return { disk, directory: '/sim', settle: async () => disk.completeAll() }
  },
}

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return errorCode(error)
  }
  return 'none'
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

describe.each(Object.keys(DISKS))('%s', (name) => {
  const make = DISKS[name]

  it('opens what exists, creates what does not, and says which it is', () => {
    const { disk, directory } = make()
    const path = `${directory}/f`
    expect(codeOf(() => disk.open(path, 'read'))).toBe('ENOENT')
    expect(codeOf(() => disk.open(path, 'write'))).toBe('ENOENT')
    expect(disk.sizeOf(path)).toBe(-1)
    disk.open(path, 'create').close()
    expect(disk.sizeOf(path)).toBe(0)
    expect(codeOf(() => disk.open(path, 'create'))).toBe('EEXIST')
    disk.open(path, 'write').close()
  })

  it('writes at positions and reads what was written, up to the end', () => {
    const { disk, directory } = make()
    const file = disk.open(`${directory}/f`, 'create')
    writeFully(file, bytes('..hello..'), 2, 7, 3)
    expect(file.size()).toBe(8)
    const into = Buffer.alloc(10, '-')
    expect(file.read(into, 1, 20 - 11, 0)).toBe(8)
    expect(into.toString('latin1')).toBe('-\0\0\0hello-')
    expect(file.read(into, 0, 5, 8)).toBe(0)
    expect(file.read(into, 0, 2, 6)).toBe(2)
    file.truncate(4)
    expect(file.size()).toBe(4)
    file.truncate(6)
    expect(readWhole(disk, `${directory}/f`).toString('latin1')).toBe('\0\0\0h\0\0')
    file.close()
  })

  it('renames over what is there', () => {
    const { disk, directory } = make()
    for (const [path, text] of [
      ['a', 'new'],
      ['b', 'old'],
    ]) {
      const file = disk.open(`${directory}/${path}`, 'create')
      writeFully(file, bytes(text), 0, 3, 0)
      file.syncNow()
      file.close()
    }
    disk.rename(`${directory}/a`, `${directory}/b`)
    disk.syncDirectoryNow(directory)
    expect(disk.list(directory)).toEqual(['b'])
    expect(readWhole(disk, `${directory}/b`).toString()).toBe('new')
    expect(codeOf(() => disk.rename(`${directory}/a`, `${directory}/b`))).toBe('ENOENT')
  })

  it('unlinks, at once and off the thread; an open file stays readable', async () => {
    const { disk, directory, settle } = make()
    const file = disk.open(`${directory}/a`, 'create')
    writeFully(file, bytes('kept'), 0, 4, 0)
    disk.unlink(`${directory}/a`)
    expect(disk.sizeOf(`${directory}/a`)).toBe(-1)
    expect(file.size()).toBe(4)
    file.close()
    expect(codeOf(() => disk.unlink(`${directory}/a`))).toBe('ENOENT')
    disk.open(`${directory}/b`, 'create').close()
    const results: (DiskError | null)[] = []
    const removed = new Promise<void>((resolve) => {
      disk.remove(`${directory}/b`, (error) => {
        results.push(error)
        resolve()
      })
    })
    await settle()
    await removed
    expect(results).toEqual([null])
    expect(disk.list(directory)).toEqual([])
  })

  it('lists names in order, and nothing of a directory that does not exist', () => {
    const { disk, directory } = make()
    for (const file of ['c', 'a', 'b']) disk.open(`${directory}/${file}`, 'create').close()
    expect(disk.list(directory)).toEqual(['a', 'b', 'c'])
    expect(disk.list(`${directory}/none`)).toEqual([])
  })

  it('makes directories, and does not mind those that exist', () => {
    const { disk, directory } = make()
    disk.makeDirectory(`${directory}/x`)
    disk.makeDirectory(`${directory}/x`)
    disk.open(`${directory}/x/f`, 'create').close()
    expect(disk.list(`${directory}/x`)).toEqual(['f'])
  })

  it('calls back from syncs exactly once, never before they return', async () => {
    const { disk, directory, settle } = make()
    const file = disk.open(`${directory}/f`, 'create')
    writeFully(file, bytes('x'), 0, 1, 0)
    const calls: string[] = []
    const all = ['sync', 'syncData', 'directory'].map(
      (what) =>
        new Promise<void>((resolve) => {
          const done = (error: DiskError | null): void => {
            calls.push(`${what} ${String(error)}`)
            resolve()
          }
          if (what === 'directory') disk.syncDirectory(directory, done)
          else if (what === 'sync') file.sync(done)
          else file.syncData(done)
        }),
    )
    expect(calls).toEqual([])
    await settle()
    await Promise.all(all)
    expect(calls.sort()).toEqual(['directory null', 'sync null', 'syncData null'])
    file.close()
  })

  it('answers a sync of a directory that is not there with an error', async () => {
    const { disk, directory, settle } = make()
    const failed = new Promise<DiskError | null>((resolve, reject) => {
      try {
        disk.syncDirectory(`${directory}/none`, resolve)
      } catch (error) {
        reject(error)
      }
    })
    await settle()
    // The simulated one has no opinion: it is asked only for directories that exist.
    if (name === 'FileDisk') expect(errorCode(await failed)).toBe('ENOENT')
  })

  it('knows how much room there is', () => {
    const { disk, directory } = make()
    const { freeBytes, totalBytes, type } = disk.space(directory)
    expect(freeBytes).toBeGreaterThan(0)
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
    expect(type).toBeGreaterThan(0)
  })

  it('locks a file once', () => {
    const { disk, directory } = make()
    disk.open(`${directory}/lock`, 'create').close()
    const lock = disk.lock(`${directory}/lock`)
    expect(lock).not.toBeNull()
    expect(disk.lock(`${directory}/lock`)).toBeNull()
    lock?.release()
    const again = disk.lock(`${directory}/lock`)
    expect(again).not.toBeNull()
    again?.release()
  })

  it('runs steps in order and ends at the first error', async () => {
    const { disk, directory, settle } = make()
    const steps: string[] = []
    const ended = new Promise<DiskError | null>((resolve) => {
      inOrder(
        [
          (next) => {
            steps.push('one')
            disk.syncDirectory(directory, next)
          },
          (next) => {
            steps.push('two')
            disk.open(`${directory}/none`, 'read')
            next(null)
          },
          (next) => {
            steps.push('three')
            next(null)
          },
        ],
        resolve,
      )
    })
    await settle()
    expect(errorCode(await ended)).toBe('ENOENT')
    expect(steps).toEqual(['one', 'two'])
  })
})

describe('FileDisk', () => {
  it('lock is held against other processes, and freed by kill -9', () => {
    const directory = tempDir()
    const path = `${directory}/lock`
    writeFileSync(path, '')
    const lock = new FileDisk().lock(path)
    const other = (): number | null => spawnSync('flock', ['-n', '-x', path, 'true']).status
    expect(other()).toBe(1)
    lock?.release()
    expect(other()).toBe(0)
    const source = new URL('../../src/aof/file-disk.ts', import.meta.url).href
    const script = `const { FileDisk } = await import(${JSON.stringify(source)}); if (new FileDisk().lock(${JSON.stringify(path)}) === null) process.exit(9); process.kill(process.pid, 'SIGKILL')`
    const killed = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect(killed.signal).toBe('SIGKILL')
    expect(other()).toBe(0)
  })

  it('lock works without a flock program, by an abstract socket', () => {
    const path = `${tempDir()}/lock`
    writeFileSync(path, '')
    const { PATH } = process.env
    process.env.PATH = '/nowhere'
    try {
      const lock = new FileDisk().lock(path)
      expect(lock).not.toBeNull()
      expect(new FileDisk().lock(path)).toBeNull()
      lock?.release()
    } finally {
      process.env.PATH = PATH
    }
  })

  it('makes directories that only the owner and the group can read', () => {
    const directory = `${tempDir()}/a/b/c`
    const disk = new FileDisk()
    disk.makeDirectory(directory)
    const file = disk.open(`${directory}/f`, 'create')
    writeFully(file, bytes('x'), 0, 1, 0)
    file.close()
    expect(readFileSync(`${directory}/f`, 'utf8')).toBe('x')
    expect(spawnSync('stat', ['-c', '%a', directory, `${directory}/f`]).stdout.toString()).toBe('750\n640\n')
  })
})

describe('SimDisk', () => {
  const made = (seed: number): { disk: SimDisk; file: ReturnType<SimDisk['open']> } => {
    const disk = new SimDisk(new Random(seed))
    disk.makeDirectory('/d')
    const file = disk.open('/d/f', 'create')
    disk.syncDirectoryNow('/d')
    return { disk, file }
  }
  const after = (disk: SimDisk, kind: 'kill' | 'power'): string => {
    disk.crash(kind)
    disk.restart()
    return disk.files().get('/d/f')?.toString('latin1') ?? 'gone'
  }

  it('keeps everything when the process is killed', () => {
    const { disk, file } = made(1)
    file.write(bytes('abc'), 0, 3, 0)
    expect(after(disk, 'kill')).toBe('abc')
  })

  it('keeps only what was synced when the power is cut, and may keep, drop, tear or spoil the rest', () => {
    const endings = new Set<string>()
    for (let seed = 1; seed < 200; seed++) {
      const { disk, file } = made(seed)
      file.write(bytes('abc'), 0, 3, 0)
      file.syncNow()
      file.write(bytes('def'), 0, 3, 3)
      const text = after(disk, 'power')
      expect(text.startsWith('abc')).toBe(true)
      endings.add(text.slice(3))
    }
    for (const ending of ['', 'def', 'd', 'de', '\0\0\0']) expect(endings).toContain(ending)
  })

  it('forgets names that were not synced', () => {
    const names = new Set<string>()
    for (let seed = 1; seed < 50; seed++) {
      const { disk } = made(seed)
      disk.rename('/d/f', '/d/g')
      disk.crash('power')
      disk.restart()
      names.add(disk.list('/d').join())
    }
    expect([...names].sort()).toEqual(['f', 'g'])
  })

  it('loses what a failed fsync covered, although reads show it and the next fsync says OK', () => {
    const { disk, file } = made(1)
    file.write(bytes('abc'), 0, 3, 0)
    disk.failNext('sync', 'EIO')
    expect(codeOf(() => file.syncNow())).toBe('EIO')
    const into = Buffer.alloc(3)
    file.read(into, 0, 3, 0)
    expect(into.toString()).toBe('abc')
    file.syncNow()
    expect(disk.retriedSyncs).toBe(1)
    expect(after(disk, 'power')).toBe('')
  })

  it('has a quota: a write takes what fits, the next one none', () => {
    const { disk, file } = made(1)
    disk.options.quotaBytes = 5
    expect(file.write(bytes('abcdefgh'), 0, 8, 0)).toBe(5)
    expect(codeOf(() => file.write(bytes('fgh'), 0, 3, 5))).toBe('ENOSPC')
    expect(file.write(bytes('xy'), 0, 2, 0)).toBe(2)
  })

  it('is dead after a crash until it is started again; old files and locks are gone', () => {
    const { disk, file } = made(1)
    disk.lock('/d/f')
    disk.crashAfter(0, 'kill')
    expect(codeOf(() => file.write(bytes('a'), 0, 1, 0))).toBe('SIMCRASH')
    expect(codeOf(() => disk.open('/d/f', 'read'))).toBe('SIMCRASH')
    disk.restart()
    expect(codeOf(() => file.size())).toBe('EBADF')
    expect(disk.lock('/d/f')).not.toBeNull()
  })
})
