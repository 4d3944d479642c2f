// A small file replaced as a whole: written beside, synced, renamed, and the directory synced. After a crash it is the old one or the new one.

import { inOrder, isDiskError, writeFully, type Disk, type Done } from './disk.ts'
import { TEMPORARY } from './format/file-names.ts'

function writeBeside(disk: Disk, directory: string, name: string, bytes: Uint8Array) {
  const temporary = `${directory}/${name}${TEMPORARY}`
  if (disk.sizeOf(temporary) >= 0) disk.unlink(temporary)
  const file = disk.open(temporary, 'create')
  try {
    writeFully(file, bytes, 0, bytes.length, 0)
  } catch (error) {
    file.close()
    throw error
  }
  return file
}

export function replaceFileNow(disk: Disk, directory: string, name: string, bytes: Uint8Array): void {
  const file = writeBeside(disk, directory, name, bytes)
  try {
    file.syncNow()
  } finally {
    file.close()
  }
  disk.rename(`${directory}/${name}${TEMPORARY}`, `${directory}/${name}`)
  disk.syncDirectoryNow(directory)
}

export function replaceFile(disk: Disk, directory: string, name: string, bytes: Uint8Array, done: Done): void {
  let file: ReturnType<Disk['open']>
  try {
    file = writeBeside(disk, directory, name, bytes)
  } catch (error) {
    if (!isDiskError(error)) throw error
    done(error)
    return
  }
  file.sync((error) => {
    try {
      file.close()
    } catch (closeError) {
      done(error ?? (closeError as Error))
      return
    }
    if (error !== null) {
      done(error)
      return
    }
    inOrder(
      [
        (next) => {
          disk.rename(`${directory}/${name}${TEMPORARY}`, `${directory}/${name}`)
          next(null)
        },
        (next) => disk.syncDirectory(directory, next),
      ],
      done,
    )
  })
}
