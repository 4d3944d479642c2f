// A disk in memory that fails as disks fail, from a seed.
//
// Each file has what is durable and what the page cache shows; between them an ordered list of operations that no fsync has covered yet.
// A power cut decides about each of them by itself: kept, dropped, torn (at 512 bytes or at any byte), filled with zeros or with garbage.
// Names in directories are the same: creates, renames and unlinks are pending until the directory is synced.
//
//   kill     the process dies: the page cache survives; the write in progress is cut anywhere
//   power    the machine dies: only what was synced is certain
//
// fsync errors are those of Linux: reported once, the pages become clean, the next fsync says OK and the data was never written.
// After a crash the disk is dead until `restart`: every call throws SimCrash, so whatever the old process still does has no effect.

import type { Random } from '../../src/base/random.ts'
import type { Disk, DiskFile, DiskLock, DiskSpace, Done, OpenMode } from '../../src/aof/disk.ts'

export type CrashKind = 'kill' | 'power'
/** What can be told to fail once, by errno. */
export type FaultPoint = 'open' | 'write' | 'truncate' | 'sync' | 'syncDirectory' | 'rename' | 'unlink' | 'read' | 'space'

export class SimCrash extends Error {
  readonly code = 'SIMCRASH'
}

type FileOp =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly size: number }
type NameOp = { readonly remove: string | null; readonly name: string | null; readonly inode: Inode | null }

/** Bytes that grow. */
class Content {
  bytes = Buffer.alloc(0)
  size = 0

  write(source: Uint8Array, position: number): void {
    const end = position + source.length
    if (end > this.bytes.length) {
      const next = Buffer.alloc(Math.max(end, this.bytes.length * 2, 1024))
      this.bytes.copy(next, 0, 0, this.size)
      this.bytes = next
    }
    if (position > this.size) this.bytes.fill(0, this.size, position)
    this.bytes.set(source, position)
    this.size = Math.max(this.size, end)
  }

  truncate(size: number): void {
    if (size > this.size) this.write(new Uint8Array(0), size)
    this.size = size
  }

  apply(op: FileOp): void {
    if (op.kind === 'write') this.write(op.bytes, op.position)
    else this.truncate(op.size)
  }

  copy(): Content {
    const copy = new Content()
    copy.bytes = Buffer.from(this.bytes.subarray(0, this.size))
    copy.size = this.size
    return copy
  }
}

/** Operations that wait for an fsync, oldest first. Several fsyncs may be on their way at once, each with what was there when it began. */
class Pending<T> {
  readonly #ops: T[] = []
  #taken = 0

  push(op: T): void {
    this.#ops.push(op)
  }

  /** What an fsync that begins now covers. */
  mark(): number {
    return this.#taken + this.#ops.length
  }

  takeUpTo(mark: number): T[] {
    const taken = this.#ops.splice(0, Math.max(0, mark - this.#taken))
    this.#taken += taken.length
    return taken
  }

  takeAll(): T[] {
    return this.takeUpTo(Infinity)
  }

  all(): readonly T[] {
    return this.#ops
  }
}

class Inode {
  durable = new Content()
  seen = new Content()
  readonly pending = new Pending<FileOp>()
}

class Directory {
  durable = new Map<string, Inode>()
  seen = new Map<string, Inode>()
  readonly pending = new Pending<NameOp>()
}

export interface SimDiskOptions {
  /** All files together may have so many bytes. */
  quotaBytes?: number
  /** Probability that a write takes only a part. */
  shortWrites?: number
  /** After a failed fsync reads show the old bytes (as Btrfs does), not the new ones (as ext4 does). */
  failedSyncShowsOld?: boolean
  /** fsync says OK and does nothing: a broken disk, which must be noticed. */
  lies?: boolean
}

export class SimDisk implements Disk {
  readonly options: SimDiskOptions
  /** fsyncs on a file whose fsync has failed before: the mistake that loses data. */
  retriedSyncs = 0
  operations = 0
  syncs = 0
  readonly #random: Random
  readonly #directories = new Map<string, Directory>()
  readonly #locked = new Set<string>()
  #device: (() => void)[] = []
  readonly #faults = new Map<FaultPoint, { path: string; code: string }[]>()
  #generation = 0
  #dead = false
  #crashAt = Infinity
  #crashKind: CrashKind = 'kill'

  constructor(random: Random, options: SimDiskOptions = {}) {
    this.#random = random
    this.options = options
  }

  // What the test decides.

  /** The next such call (on a path that contains `path`) fails. */
  failNext(point: FaultPoint, code: string, path = ''): void {
    const list = this.#faults.get(point) ?? []
    list.push({ path, code })
    this.#faults.set(point, list)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** The process or the machine dies within the n-th call from now. */
  crashAfter(operations: number, kind: CrashKind): void {
    this.#crashAt = this.operations + operations
    this.#crashKind = kind
  }

  get isDead(): boolean {
    return this.#dead
  }

  /** fsyncs that are on their way. */
  get inFlight(): number {
    return this.#device.length
  }

  /** One of the fsyncs in flight ends. @returns false if there was none. */
  complete(): boolean {
    if (this.#dead || this.#device.length === 0) return false
    const [ended] = this.#device.splice(this.#random.below(this.#device.length), 1)
    ended()
    return true
  }

  completeAll(): void {
    while (this.complete());
  }

  crash(kind: CrashKind): void {
    this.#dead = true
    this.#crashKind = kind
  }

  /** Power is back, or the process starts again: what survived is all there is. */
  restart(): void {
    if (this.#dead && this.#crashKind === 'power') this.#cutPower()
    this.#dead = false
    this.#crashAt = Infinity
    this.#generation++
    this.#device = []
    this.#locked.clear()
    this.#faults.clear()
  }

  /** The whole disk as a process would read it now: for looking, and for copying to a real one. */
  files(): Map<string, Buffer> {
    const result = new Map<string, Buffer>()
    for (const [path, directory] of this.#directories) {
      for (const [name, inode] of directory.seen) result.set(`${path}/${name}`, Buffer.from(inode.seen.bytes.subarray(0, inode.seen.size)))
    }
    return result
  }

  /** Damages a file behind everybody's back. */
  damage(path: string, change: (bytes: Buffer) => Buffer): void {
    const inode = this.#inode(path)
    if (inode === undefined) throw errno('ENOENT', path)
    const content = new Content()
    content.write(change(Buffer.from(inode.seen.bytes.subarray(0, inode.seen.size))), 0)
    inode.seen = content
    inode.durable = content.copy()
    inode.pending.takeAll()
  }

  /** A disk with the same durable bytes, for trying several damages. */
  clone(random: Random): SimDisk {
    const copy = new SimDisk(random, { ...this.options })
    for (const [path, directory] of this.#directories) {
      const twin = new Directory()
      for (const [name, inode] of directory.seen) {
        const other = new Inode()
        other.seen = inode.seen.copy()
        other.durable = inode.seen.copy()
        twin.seen.set(name, other)
        twin.durable.set(name, other)
      }
      copy.#directories.set(path, twin)
    }
    return copy
  }

  // Disk.

  open(path: string, mode: OpenMode): DiskFile {
    this.#step('open', path)
    const [directory, name] = this.#locate(path)
    let inode = directory.seen.get(name)
    if (mode === 'create') {
      if (inode !== undefined) throw errno('EEXIST', path)
      inode = new Inode()
      directory.seen.set(name, inode)
      directory.pending.push({ remove: null, name, inode })
    }
    if (inode === undefined) throw errno('ENOENT', path)
    return this.#handle(path, inode)
  }

  list(path: string): string[] {
    this.#alive()
    return [...(this.#directories.get(path)?.seen.keys() ?? [])].sort()
  }

  /** Directories themselves are durable at once: making them is not what is tested here. */
  makeDirectory(path: string): void {
    this.#alive()
    if (!this.#directories.has(path)) this.#directories.set(path, new Directory())
  }

  sizeOf(path: string): number {
    this.#alive()
    return this.#inode(path)?.seen.size ?? -1
  }

  rename(from: string, to: string): void {
    this.#step('rename', from)
    const [source, name] = this.#locate(from)
    const [target, newName] = this.#locate(to)
    const inode = source.seen.get(name)
    if (inode === undefined) throw errno('ENOENT', from)
    source.seen.delete(name)
    target.seen.set(newName, inode)
    if (source === target) source.pending.push({ remove: name, name: newName, inode })
    else {
      target.pending.push({ remove: null, name: newName, inode })
      source.pending.push({ remove: name, name: null, inode: null })
    }
  }

  unlink(path: string): void {
    this.#step('unlink', path)
    const [directory, name] = this.#locate(path)
    if (!directory.seen.delete(name)) throw errno('ENOENT', path)
    directory.pending.push({ remove: name, name: null, inode: null })
  }

  remove(path: string, done: Done): void {
    let error: Error | null = null
    try {
      this.unlink(path)
    } catch (thrown) {
      error = thrown as Error
    }
    this.#device.push(() => done(error))
  }

  syncDirectory(path: string, done: Done): void {
    this.#device.push(this.#beginDirectorySync(path, done))
  }

  syncDirectoryNow(path: string): void {
    this.#beginDirectorySync(path, throwIt)()
  }

  space(path: string): DiskSpace {
    this.#step('space', path)
    const quota = this.options.quotaBytes ?? 2 ** 40
    return { freeBytes: Math.max(0, quota - this.#used()), totalBytes: quota, type: 0xef53 }
  }

  lock(path: string): DiskLock | null {
    this.#alive()
    if (this.#locked.has(path)) return null
    this.#locked.add(path)
    const generation = this.#generation
    return {
      release: () => {
        if (generation === this.#generation) this.#locked.delete(path)
      },
    }
  }

  #handle(path: string, inode: Inode): DiskFile {
    const generation = this.#generation
    let open = true
    let syncFailed = false
    const use = (): void => {
      this.#alive()
      if (!open || generation !== this.#generation) throw errno('EBADF', path)
    }
    const beginSync = (done: Done): (() => void) => {
      use()
      const code = this.#step('sync', path)
      this.syncs++
      if (syncFailed) this.retriedSyncs++
      const covered = inode.pending.mark()
      return () => {
        if (code !== null) {
          syncFailed = true
          inode.pending.takeUpTo(covered)
          if (this.options.failedSyncShowsOld === true) {
            inode.seen = inode.durable.copy()
            for (const op of inode.pending.all()) inode.seen.apply(op)
          }
          done(errno(code, path))
          return
        }
        if (this.options.lies !== true) for (const op of inode.pending.takeUpTo(covered)) inode.durable.apply(op)
        done(null)
      }
    }
    return {
      path,
      size: () => {
        use()
        return inode.seen.size
      },
      read: (into, at, length, position) => {
        use()
        this.#failIfTold('read', path)
        const end = Math.min(inode.seen.size, position + length)
        if (end <= position) return 0
        into.set(inode.seen.bytes.subarray(position, end), at)
        return end - position
      },
      write: (bytes, start, end, position) => {
        use()
        return this.#write(path, inode, bytes.subarray(start, end), position)
      },
      truncate: (size) => {
        use()
        this.#step('truncate', path)
        inode.seen.truncate(size)
        inode.pending.push({ kind: 'truncate', size })
      },
      sync: (done) => {
        this.#device.push(beginSync(done))
      },
      syncData: (done) => {
        this.#device.push(beginSync(done))
      },
      syncNow: () => beginSync(throwIt)(),
      close: () => {
        if (!open) throw errno('EBADF', path)
        open = false
      },
    }
  }

  #write(path: string, inode: Inode, bytes: Uint8Array, position: number): number {
    this.operations++
    this.#alive()
    const dying = this.operations > this.#crashAt
    if (!dying) this.#failIfTold('write', path)
    const room = (this.options.quotaBytes ?? Infinity) - this.#used() + Math.max(0, inode.seen.size - position)
    let length = Math.min(bytes.length, Math.max(0, room))
    if (length === 0 && bytes.length > 0) throw errno('ENOSPC', path)
    if (this.#random.chance(this.options.shortWrites ?? 0)) length = this.#random.between(1, length)
    if (dying) length = this.#random.below(length + 1)
    const copy = Buffer.from(bytes.subarray(0, length))
    inode.seen.write(copy, position)
    inode.pending.push({ kind: 'write', position, bytes: copy })
    if (dying) this.#die()
    return length
  }

  #beginDirectorySync(path: string, done: Done): () => void {
    const code = this.#step('syncDirectory', path)
    const directory = this.#directories.get(path)
    const covered = directory?.pending.mark() ?? 0
    return () => {
      if (code !== null) done(errno(code, path))
      else {
        if (directory !== undefined && this.options.lies !== true)
          for (const op of directory.pending.takeUpTo(covered)) applyName(directory.durable, op)
        done(null)
      }
    }
  }

  /** One call: dies here if it is time; throws the fault that was ordered. fsync faults are returned, they come with the completion. */
  #step(point: FaultPoint, path: string): string | null {
    this.#alive()
    this.operations++
    if (this.operations > this.#crashAt) this.#die()
    if (point === 'sync' || point === 'syncDirectory') return this.#fault(point, path)
    this.#failIfTold(point, path)
    return null
  }

  #failIfTold(point: FaultPoint, path: string): void {
    const code = this.#fault(point, path)
    if (code !== null) throw errno(code, path)
  }

  #fault(point: FaultPoint, path: string): string | null {
    const list = this.#faults.get(point)
    const at = list?.findIndex((fault) => path.includes(fault.path)) ?? -1
    return at < 0 || list === undefined ? null : list.splice(at, 1)[0].code
  }

  #die(): never {
    this.#dead = true
    throw new SimCrash(`the ${this.#crashKind === 'kill' ? 'process was killed' : 'power was cut'} at operation ${this.operations}`)
  }

  #alive(): void {
    if (this.#dead) throw new SimCrash('this process is dead')
  }

  #used(): number {
    let used = 0
    for (const directory of this.#directories.values()) for (const inode of directory.seen.values()) used += inode.seen.size
    return used
  }

  #locate(path: string): [Directory, string] {
    const slash = path.lastIndexOf('/')
    const directory = this.#directories.get(path.slice(0, slash))
    if (directory === undefined) throw errno('ENOENT', path)
    return [directory, path.slice(slash + 1)]
  }

  #inode(path: string): Inode | undefined {
    const slash = path.lastIndexOf('/')
    return this.#directories.get(path.slice(0, slash))?.seen.get(path.slice(slash + 1))
  }

  #cutPower(): void {
    const mood = this.#random.pick(['keep', 'drop', 'each', 'each', 'each'] as const)
    const inodes = new Set<Inode>()
    for (const directory of this.#directories.values()) {
      for (const op of directory.pending.takeAll()) {
        if (op.inode !== null) inodes.add(op.inode)
        if (mood === 'keep' || (mood === 'each' && this.#random.chance(0.5))) applyName(directory.durable, op)
      }
      directory.seen = new Map(directory.durable)
      for (const inode of directory.durable.values()) inodes.add(inode)
    }
    for (const inode of inodes) {
      for (const op of inode.pending.takeAll()) this.#fate(inode.durable, op, mood)
      inode.seen = inode.durable.copy()
    }
  }

  #fate(content: Content, op: FileOp, mood: 'keep' | 'drop' | 'each'): void {
    if (mood === 'drop') return
    if (mood === 'keep' || op.kind === 'truncate') {
      if (mood === 'keep' || this.#random.chance(0.5)) content.apply(op)
      return
    }
    const { bytes, position } = op
    switch (this.#random.below(6)) {
      case 0: // dropped
        return
      case 1: // kept
      case 2:
        content.write(bytes, position)
        return
      case 3: {
        // Torn: only a part came to the platter, cut at a sector of the file or at any byte; the front or the back.
        let cut = this.#random.below(bytes.length + 1)
        if (this.#random.chance(0.5)) cut = Math.min(bytes.length, Math.max(0, Math.ceil((position + cut) / 512) * 512 - position))
        if (this.#random.chance(0.5)) content.write(bytes.subarray(0, cut), position)
        else content.write(bytes.subarray(cut), position + cut)
        return
      }
      case 4:
        content.write(Buffer.alloc(bytes.length), position)
        return
      default: {
        const garbage = Buffer.alloc(bytes.length)
        for (let i = 0; i < garbage.length; i++) garbage[i] = this.#random.below(256)
        content.write(garbage, position)
      }
    }
  }
}

function applyName(names: Map<string, Inode>, op: NameOp): void {
  if (op.remove !== null) names.delete(op.remove)
  if (op.name !== null && op.inode !== null) names.set(op.name, op.inode)
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${path}`), { code })
}

const throwIt: Done = (error) => {
  if (error !== null) throw error
}
