// What an error of SQLite means for who asked: StoreError's classes (ORDERS.md 5), with what to do in words.

import { StoreError, type StoreErrorClass } from '../store-error.ts'

/** Primary result codes (sqlite.org/rescode.html). The upper bits of an error code tell more, and change nothing here. */
const CODES: Readonly<Record<number, { readonly name: string; readonly kind: StoreErrorClass; readonly says: string }>> = {
  3: { name: 'PERM', kind: 'wait', says: 'the file may not be accessed: give this user read and write permission on it' },
  5: { name: 'BUSY', kind: 'again', says: 'another process is writing' },
  6: { name: 'LOCKED', kind: 'again', says: 'a table is locked' },
  7: { name: 'NOMEM', kind: 'wait', says: 'there is no memory left' },
  8: { name: 'READONLY', kind: 'wait', says: 'the file or its directory is read-only: give this user write permission on both' },
  10: { name: 'IOERR', kind: 'wait', says: 'the disk fails: look at the kernel log, and at the free space' },
  11: { name: 'CORRUPT', kind: 'wait', says: 'the file is damaged: stop, put it aside, and let the events be stored again from the log' },
  13: { name: 'FULL', kind: 'wait', says: 'the disk is full: make room' },
  14: { name: 'CANTOPEN', kind: 'wait', says: 'the file cannot be opened: does its directory exist, and may this user write in it?' },
  15: { name: 'PROTOCOL', kind: 'again', says: 'others hold locks' },
  17: { name: 'SCHEMA', kind: 'again', says: 'the tables have just been changed' },
  18: { name: 'TOOBIG', kind: 'poison', says: 'a value is too long' },
  19: { name: 'CONSTRAINT', kind: 'poison', says: 'a value does not fit its column' },
  20: { name: 'MISMATCH', kind: 'poison', says: 'a value is of the wrong type' },
  25: { name: 'RANGE', kind: 'poison', says: 'a value is out of range' },
  26: { name: 'NOTADB', kind: 'wait', says: 'the file is not an SQLite database: name another one, or move it away' },
}

interface SqliteFailure extends Error {
  readonly code?: string
  readonly errcode?: number
}

/** The connection may be in no state to go on with. */
export const needsReopening = (error: StoreError): boolean => /^(IOERR|CORRUPT|NOTADB|CANTOPEN|READONLY|NOMEM)$/.test(error.code)

/** @param name of the database, for the message */
export function asStoreError(error: unknown, name: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error
  const { code, errcode, message } = error as SqliteFailure
  // A value that cannot be bound: a number above int64, a string of another type.
  if (code === 'ERR_OUT_OF_RANGE' || code === 'ERR_INVALID_ARG_TYPE') return new StoreError('poison', 'VALUE', message, { cause: error })
  if (code !== 'ERR_SQLITE_ERROR' || errcode === undefined) return error
  const known = CODES[errcode & 0xff]
  if (known === undefined)
    return new StoreError('unknown', `SQLITE_${errcode}`, `${name}: ${message} (SQLite's code ${errcode})`, { cause: error })
  return new StoreError(known.kind, known.name, `${name}: ${known.says} (${message})`, { cause: error })
}
