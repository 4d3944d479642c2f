// A small file that is replaced as a whole: the option file, the file of users.

import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** A crash or a full disk leaves the old file or the new one, whole and on the disk. Throws what the file system says. */
export function replaceFile(path: string, content: string | Buffer, mode: number): void {
  const temporary = `${path}.tmp-${process.pid}`
  try {
    const fd = openSync(temporary, 'w', mode)
    try {
      // The process's umask has nothing to say here.
      fchmodSync(fd, mode)
      writeFileSync(fd, content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
    syncDirectory(dirname(path))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
