// A disk whose device work is finished between turns, never within one.
//
// The log may do anything when an fsync comes back: acknowledge, start the next, take the digest of the state for a seal. In the middle
// of a turn the state is ahead of what was appended, so such news waits for the turn's end, some microseconds.

import type { Disk, DiskError, DiskFile, DiskLock, DiskSpace, Done, OpenMode } from '../aof/disk.ts'
import type { Env } from './env.ts'
import type { SyncPace } from './sync-pace.ts'

/** What is asked of the turns. */
interface Turns {
  readonly env: Env
  readonly isInTurn: () => boolean
  between(run: () => void): void
}

export class DiskBetweenTurns implements Disk {
  readonly #disk: Disk
  readonly #turns: Turns
  readonly #pace: SyncPace | null

  /** @param pace null: every fsync is given away, as a simulation wants it */
  constructor(disk: Disk, turns: Turns, pace: SyncPace | null) {
    this.#disk = disk
    this.#turns = turns
    this.#pace = pace
  }

  open(path: string, mode: OpenMode): DiskFile {
    return new FileBetweenTurns(this.#disk.open(path, mode), this.#turns, this.#pace)
  }

  syncDirectory(path: string, done: Done): void {
    this.#disk.syncDirectory(path, (error) => this.#turns.between(() => done(error)))
  }

  remove(path: string, done: Done): void {
    this.#disk.remove(path, (error) => this.#turns.between(() => done(error)))
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
  readonly #turns: Turns
  readonly #pace: SyncPace | null

  constructor(file: DiskFile, turns: Turns, pace: SyncPace | null) {
    this.path = file.path
    this.#file = file
    this.#turns = turns
    this.#pace = pace
  }

  sync(done: Done): void {
    this.#file.sync((error) => this.#turns.between(() => done(error)))
  }

  syncData(done: Done): void {
    const { clock } = this.#turns.env
    const began = clock.micros()
    const finished = (error: DiskError | null): void => {
      this.#pace?.took(clock.micros() - began)
      this.#turns.between(() => done(error))
    }
    // Only within a turn, whose end then tells: `done` never comes before this returns.
    if (this.#pace?.isOnTheSpot === true && this.#turns.isInTurn()) finished(this.#syncOnTheSpot())
    else this.#file.syncData(finished)
  }

  #syncOnTheSpot(): DiskError | null {
    try {
      this.#file.syncNow()
      return null
    } catch (error) {
      if (error instanceof Error && 'code' in error) return error as DiskError
      throw error
    }
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
