// The real disk: node:fs, and flock(1) for the lock.
//
// flock locks the open file description, which this process shares with the short-lived flock child; the kernel frees it when the last
// descriptor goes, so kill -9 leaves no stale lock. Where there is no flock binary, an abstract socket named after the file's device and
// inode does the same on one host.

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { StockdError } from '../base/error.ts'
import { errorCode, type Disk, type DiskFile, type DiskLock, type DiskSpace, type Done, type OpenMode } from './disk.ts'

const FILE_MODE = 0o640
const DIRECTORY_MODE = 0o750
const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'r+', create: 'wx+' }

class OpenFile implements DiskFile {
  readonly path: string
  readonly #fd: number

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  size(): number {
    return fs.fstatSync(this.#fd).size
  }

  read(into: Uint8Array, at: number, length: number, position: number): number {
    return fs.readSync(this.#fd, into, at, length, position)
  }

  write(bytes: Uint8Array, start: number, end: number, position: number): number {
    return fs.writeSync(this.#fd, bytes, start, end - start, position)
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size)
  }

  sync(done: Done): void {
    fs.fsync(this.#fd, done)
  }

  syncData(done: Done): void {
    fs.fdatasync(this.#fd, done)
  }

  syncNow(): void {
    fs.fsyncSync(this.#fd)
  }

  close(): void {
    fs.closeSync(this.#fd)
  }
}

export interface FileDiskOptions {
  /** Goes on without any lock where neither flock nor abstract sockets exist. */
  readonly unsafeNoLock?: boolean
}

export class FileDisk implements Disk {
  readonly #options: FileDiskOptions

  constructor(options: FileDiskOptions = {}) {
    this.#options = options
  }

  open(file: string, mode: OpenMode): DiskFile {
    return new OpenFile(file, fs.openSync(file, FLAGS[mode], FILE_MODE))
  }

  list(directory: string): string[] {
    try {
      return fs.readdirSync(directory).sort()
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  }

  /** New directories are made durable, each in the one above it. */
  makeDirectory(directory: string): void {
    // One by one: Node's recursive mkdir never returns where a parent exists but takes no children (/proc).
    const missing: string[] = []
    for (let at = path.resolve(directory); !fs.existsSync(at); at = path.dirname(at)) missing.push(at)
    for (const made of missing.reverse()) {
      fs.mkdirSync(made, { mode: DIRECTORY_MODE })
      this.syncDirectoryNow(path.dirname(made))
    }
    // What exists may be a file.
    if (!fs.statSync(directory).isDirectory())
      throw Object.assign(new Error(`ENOTDIR: not a directory, '${directory}'`), { code: 'ENOTDIR' })
  }

  sizeOf(file: string): number {
    return fs.statSync(file, { throwIfNoEntry: false })?.size ?? -1
  }

  rename(from: string, to: string): void {
    fs.renameSync(from, to)
  }

  unlink(file: string): void {
    fs.unlinkSync(file)
  }

  remove(file: string, done: Done): void {
    fs.unlink(file, done)
  }

  syncDirectory(directory: string, done: Done): void {
    fs.open(directory, 'r', (openError, fd) => {
      if (openError !== null) {
        done(openError)
        return
      }
      fs.fsync(fd, (syncError) => {
        fs.close(fd, (closeError) => done(syncError ?? closeError ?? null))
      })
    })
  }

  syncDirectoryNow(directory: string): void {
    const fd = fs.openSync(directory, 'r')
    try {
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  }

  space(directory: string): DiskSpace {
    const stat = fs.statfsSync(directory)
    return { freeBytes: stat.bavail * stat.bsize, totalBytes: stat.blocks * stat.bsize, type: stat.type }
  }

  lock(file: string): DiskLock | null {
    const fd = fs.openSync(file, 'r+')
    const flock = spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    if (flock.status === 0) return { release: () => fs.closeSync(fd) }
    const stat = fs.fstatSync(fd)
    fs.closeSync(fd)
    if (flock.error === undefined) return null
    return this.#lockBySocket(file, `\0stockd-${stat.dev}-${stat.ino}`)
  }

  #lockBySocket(file: string, name: string): DiskLock | null {
    if (process.platform !== 'linux') return this.#withoutLock(file)
    const socket = createServer()
    let inUse = true
    socket.on('error', (error) => (inUse = errorCode(error) === 'EADDRINUSE'))
    // Binding a local socket happens within listen(); only the event comes later.
    socket.listen({ path: name })
    if (socket.listening) {
      socket.unref()
      return { release: () => socket.close() }
    }
    return inUse ? null : this.#withoutLock(file)
  }

  #withoutLock(file: string): DiskLock {
    if (this.#options.unsafeNoLock === true) return { release: () => {} }
    throw new StockdError(
      'BAD_DIRECTORY',
      `cannot lock ${file}: no flock program (package util-linux); --unsafe-no-lock starts without a lock`,
    )
  }
}
