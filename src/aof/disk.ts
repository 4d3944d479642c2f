// The disk as the log sees it: the seam behind which FileDisk (real) and SimDisk (simulated, with every fault) stand.
//
// Work in the page cache (open, read, write, truncate, rename, unlink) is synchronous: it takes microseconds. Work that waits for the
// device (fsync) is asynchronous while the node serves: `sync`, `syncData`, `syncDirectory`, `remove` call back exactly once, never before they
// return. Their `...Now` twins are for start, worker threads and the offline tool, where nobody waits.
//
// What fails throws, or calls back with, an Error with an errno name in `code`.

export interface DiskError extends Error {
  /** 'ENOSPC', 'EIO' ... */
  readonly code?: string | undefined
}

export type Done = (error: DiskError | null) => void

export interface DiskFile {
  readonly path: string
  size(): number
  /** Reads up to `length` bytes from `position` to into[at..]; @returns how many, 0 at the end of the file. */
  read(into: Uint8Array, at: number, length: number, position: number): number
  /** Writes bytes[start..end) at `position`; @returns how many went in: may be fewer than asked. */
  write(bytes: Uint8Array, start: number, end: number, position: number): number
  truncate(size: number): void
  /** fsync: data and metadata. */
  sync(done: Done): void
  /** fdatasync: data, and the size if it changed. */
  syncData(done: Done): void
  syncNow(): void
  close(): void
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
  /** f_type of statfs: tells network file systems. */
  readonly type: number
}

export interface DiskLock {
  release(): void
}

export type OpenMode =
  | 'read'
  | 'write' // exists; read and write
  | 'create' // must not exist; read and write

export interface Disk {
  open(path: string, mode: OpenMode): DiskFile
  /** Names in a directory, sorted; of a directory that does not exist: none. */
  list(directory: string): string[]
  /** Makes a directory and those above it; one that exists is fine. */
  makeDirectory(path: string): void
  /** Size in bytes, or -1 if there is no such file. */
  sizeOf(path: string): number
  rename(from: string, to: string): void
  unlink(path: string): void
  /** Unlinks off the main thread: freeing a large file's blocks takes time. */
  remove(path: string, done: Done): void
  /** fsync of a directory: its names are durable. */
  syncDirectory(path: string, done: Done): void
  syncDirectoryNow(path: string): void
  space(path: string): DiskSpace
  /** Takes the one lock of this file for as long as the process lives; null if somebody else has it. The file must exist. */
  lock(path: string): DiskLock | null
}

/** The errno name of anything that was thrown. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'unknown'
}

/** The disk said no. Anything else that is thrown is a bug, and not to be taken for that. */
export function isDiskError(error: unknown): error is DiskError {
  return /^E(?!RR_)[A-Z0-9]+$/.test(errorCode(error))
}

/** There is no room: the disk, a quota, or a limit of the file's size. */
export function isNoRoom(code: string): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}

/** Writes all of bytes[start..end) at `position`, however many calls that takes. Throws what the disk throws. */
export function writeFully(file: DiskFile, bytes: Uint8Array, start: number, end: number, position: number): void {
  while (start < end) {
    const n = file.write(bytes, start, end, position)
    if (n <= 0) throw Object.assign(new Error(`write of ${end - start} bytes to ${file.path} wrote none`), { code: 'ENOSPC' })
    start += n
    position += n
  }
}

/** The first `size` bytes (all, if left out) of a small file. */
export function readWhole(disk: Disk, path: string): Buffer {
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(file.size())
    let at = 0
    while (at < bytes.length) {
      const n = file.read(bytes, at, bytes.length - at, at)
      if (n === 0) break
      at += n
    }
    return bytes.subarray(0, at)
  } finally {
    file.close()
  }
}

/** Device steps one after another; the first error ends the row. */
export function inOrder(steps: readonly ((done: Done) => void)[], done: Done): void {
  let i = 0
  const next: Done = (error) => {
    if (error !== null || i === steps.length) {
      done(error)
      return
    }
    const step = steps[i++]
    try {
      step(next)
    } catch (thrown) {
      if (!isDiskError(thrown)) throw thrown
      done(thrown)
    }
  }
  next(null)
}
