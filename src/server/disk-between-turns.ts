// A disk whose device work is finished between turns, never within one.
//
// The log may do anything when an fsync comes back: acknowledge, start the next, take the digest of the state for a seal. In the middle
// of a turn the state is ahead of what was appended, so such news waits for the turn's end, some microseconds.

import type { Disk, DiskFile, DiskLock, DiskSpace, Done, OpenMode } from '../aof/disk.ts'

type Between = (run: () => void) => void

export class DiskBetweenTurns implements Disk {
  readonly #disk: Disk
  readonly #between: Between

  constructor(disk: Disk, between: Between) {
    this.#disk = disk
    this.#between = between
  }

  open(path: string, mode: OpenMode): DiskFile {
    return new FileBetweenTurns(this.#disk.open(path, mode), this.#between)
  }

  syncDirectory(path: string, done: Done): void {
    this.#disk.syncDirectory(path, (error) => this.#between(() => done(error)))
  }

  list(directory: string): string[] {
    return this.#disk.list(directory)
  }

  makeDirectory(path: string): void {
    this.#disk.makeDirectory(path)
  }

  sizeOf(path: string): number {
    return this.#disk.sizeOf(path)
  }

  rename(from: string, to: string): void {
    this.#disk.rename(from, to)
  }

  unlink(path: string): void {
    this.#disk.unlink(path)
  }

  remove(path: string, done: Done): void {
    this.#disk.remove(path, (error) => this.#between(() => done(error)))
  }

  syncDirectoryNow(path: string): void {
    this.#disk.syncDirectoryNow(path)
  }

  space(path: string): DiskSpace {
    return this.#disk.space(path)
  }

  lock(path: string): DiskLock | null {
    return this.#disk.lock(path)
  }
}

class FileBetweenTurns implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #between: Between

  constructor(file: DiskFile, between: Between) {
    this.path = file.path
    this.#file = file
    this.#between = between
  }

  sync(done: Done): void {
    this.#file.sync((error) => this.#between(() => done(error)))
  }

  syncData(done: Done): void {
    this.#file.syncData((error) => this.#between(() => done(error)))
  }

  size(): number {
    return this.#file.size()
  }

  read(into: Uint8Array, at: number, length: number, position: number): number {
    return this.#file.read(into, at, length, position)
  }

  write(bytes: Uint8Array, start: number, end: number, position: number): number {
    return this.#file.write(bytes, start, end, position)
  }

  truncate(size: number): void {
    this.#file.truncate(size)
  }

  syncNow(): void {
    this.#file.syncNow()
  }

  close(): void {
    this.#file.close()
  }
}
