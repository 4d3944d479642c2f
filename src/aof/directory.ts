// The data directory: made, locked for life, and known by its node.json.

import { StockdError } from '../base/error.ts'
import { replaceFileNow } from './atomic-file.ts'
import { errorCode, readWhole, writeFully, type Disk, type DiskLock } from './disk.ts'
import { IDENTITY_FILE, LOCK_FILE, LOG_DIRECTORY } from './format/file-names.ts'
import { decodeIdentity, encodeIdentity, type NodeIdentity } from './format/node-identity.ts'

/** Who holds a directory: what the next one who wants it is told. */
export interface Holder {
  readonly pid: number
  readonly host: string
  readonly bootId: string
  readonly startedAt: string
  readonly version: string
}

/** f_type of file systems on which other hosts may hold the same directory, where neither flock nor fsync is what it is on a disk. */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x5346414f, 'AFS'],
  [0x47504653, 'GPFS'],
])

export function lockDirectory(disk: Disk, directory: string, holder: Holder, allowNetworkFileSystem = false): DiskLock {
  const path = `${directory}/${LOCK_FILE}`
  try {
    disk.makeDirectory(directory)
    const network = NETWORK_FILE_SYSTEMS.get(disk.space(directory).type >>> 0)
    if (network !== undefined && !allowNetworkFileSystem) {
      throw new StockdError(
        'BAD_DIRECTORY',
        `${directory} is on a network file system (${network}): --allow-network-fs starts there anyway`,
      )
    }
    if (disk.sizeOf(path) < 0) create(disk, path)
    const lock = disk.lock(path)
    if (lock === null) throw new StockdError('DIRECTORY_LOCKED', `${directory} is in use by ${describe(disk, path)}`)
    const text = Buffer.from(`${holder.pid} ${holder.host} ${holder.bootId} ${holder.startedAt} ${holder.version}\n`, 'utf8')
    const file = disk.open(path, 'write')
    try {
      file.truncate(0)
      writeFully(file, text, 0, text.length, 0)
    } catch {
      // A full disk must not keep a node from starting; the lock itself needs no room.
    } finally {
      file.close()
    }
    return lock
  } catch (error) {
    if (error instanceof StockdError) throw error
    throw new StockdError('BAD_DIRECTORY', `${directory} cannot be used: ${(error as Error).message}`, { cause: error })
  }
}

function create(disk: Disk, path: string): void {
  try {
    disk.open(path, 'create').close()
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

function describe(disk: Disk, path: string): string {
  const [pid, host, , startedAt, version] = readWhole(disk, path).toString('utf8').trim().split(' ')
  if (host === undefined) return 'another node (it has not written its name yet)'
  return `process ${pid} on host ${host} (stockd ${version}, started ${startedAt})`
}

/** The identity of a directory, or null if it has none yet. */
export function readIdentity(disk: Disk, directory: string): NodeIdentity | null {
  const path = `${directory}/${IDENTITY_FILE}`
  return disk.sizeOf(path) < 0 ? null : decodeIdentity(readWhole(disk, path))
}

export function writeIdentity(disk: Disk, directory: string, identity: NodeIdentity): void {
  disk.makeDirectory(`${directory}/${LOG_DIRECTORY}`)
  disk.syncDirectoryNow(directory)
  replaceFileNow(disk, directory, IDENTITY_FILE, encodeIdentity(identity))
}
