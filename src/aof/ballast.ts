// The ballast: a file of real blocks that does nothing but take room, so that on a full disk there is something to delete.

import { writeFully, type Disk } from './disk.ts'
import { BALLAST_FILE } from './format/file-names.ts'

const PIECE_BYTES = 1024 * 1024

/** Makes the ballast if it is missing and there is plenty of room: after it, `spareBytes` stay free. */
export function layBallast(disk: Disk, directory: string, bytes: number, spareBytes: number): void {
  const path = `${directory}/${BALLAST_FILE}`
  if (bytes === 0 || disk.sizeOf(path) >= 0 || disk.space(directory).freeBytes < bytes + spareBytes) return
  const file = disk.open(path, 'create')
  const zeros = Buffer.alloc(Math.min(PIECE_BYTES, bytes))
  try {
    for (let at = 0; at < bytes; at += zeros.length) writeFully(file, zeros, 0, Math.min(zeros.length, bytes - at), at)
  } catch {
    // No room for it after all: a start does not fail for that.
    file.truncate(0)
    disk.unlink(path)
  } finally {
    file.close()
  }
}
