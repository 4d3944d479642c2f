// What is peculiar to the embedded store; what every store does is in test/contract/store.test.ts.

import { existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SqliteStore } from '../../../../src/orders/store/sqlite/sqlite-store.ts'
import { asStoreError } from '../../../../src/orders/store/sqlite/sqlite-error.ts'
import { StoreError } from '../../../../src/orders/store/store-error.ts'
import type { EventBatch } from '../../../../src/orders/store/store.ts'
import { batchOf, OrderStory, poisoned } from '../../../support/order-story.ts'
import { tempDir } from '../../../support/temp-dir.ts'

const newPath = (): string => join(tempDir(), 'orders.db')
const open = (path: string, mode: 'own' | 'write' | 'read' = 'own'): SqliteStore => new SqliteStore({ path, mode, now: () => 5 })

function batches(count = 60): EventBatch[] {
  const story = new OrderStory({ seed: 1 }).tell(count)
  return [...story.byPart().values()].map((events) => batchOf(events))
}

async function refusal(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof StoreError)) throw new Error('was not refused', { cause: error })
  return error
}

describe('the file', () => {
  it('is made by its owner, and by nobody who only looks', async () => {
    const path = newPath()
    for (const mode of ['read', 'write'] as const) {
      const error = await refusal(open(path, mode).cursors())
      expect(error).toMatchObject({ kind: 'wait', code: 'CANTOPEN' })
      expect(error.message).toContain('does not exist')
      expect(await open(path, mode).migrations()).toMatchObject([{ state: 'pending' }])
      expect(existsSync(path)).toBe(false)
    }
    const owner = open(path)
    expect(await owner.cursors()).toEqual([])
    expect(await open(path, 'read').cursors()).toEqual([])
    expect(await refusal(open(path, 'read').probe())).toMatchObject({ kind: 'wait', code: 'READONLY' })
  })

  it('that is a directory, or behind one that may not be entered, is said to be: no failing disk, no bug', async () => {
    const directory = newPath()
    mkdirSync(directory)
    const looped = newPath()
    symlinkSync(looped, looped)
    for (const mode of ['write', 'read'] as const) {
      expect(await refusal(open(directory, mode).cursors())).toMatchObject({
        code: 'CANTOPEN',
        message: expect.stringContaining('is a directory') as string,
      })
      expect(await refusal(open(join(looped, 'orders.db'), mode).cursors())).toMatchObject({
        code: 'CANTOPEN',
        message: expect.stringContaining('cannot be looked at (ELOOP)') as string,
      })
    }
  })

  it('without tables is told from one that is missing', async () => {
    const path = newPath()
    new DatabaseSync(path).close()
    expect((await refusal(open(path, 'read').stats())).message).toContain('stockd-orders migrate')
    const [finding] = await open(path, 'read').examine()
    expect(finding).toMatchObject({ level: 'error' })
    expect(finding.remedy).toContain('migrate')
  })

  it('of another program is left alone', async () => {
    const foreign = newPath()
    const db = new DatabaseSync(foreign)
    db.exec('CREATE TABLE mine (x)')
    db.close()
    const noDatabase = newPath()
    writeFileSync(noDatabase, 'a letter to somebody, much longer than a header of SQLite would be. '.repeat(20))
    for (const [path, code] of [
      [foreign, 'FOREIGN'],
      [noDatabase, 'NOTADB'],
    ] as const) {
      const size = statSync(path).size
      for (const mode of ['own', 'write', 'read'] as const) {
        expect(await refusal(open(path, mode).cursors())).toMatchObject({ kind: 'wait', code })
        expect(await refusal(open(path, mode).migrate())).toMatchObject({ kind: 'wait', code })
      }
      expect(statSync(path).size).toBe(size)
    }
  })

  it('of a newer stockd is refused by name', async () => {
    const path = newPath()
    const owner = open(path)
    await owner.migrate()
    await owner.close()
    const db = new DatabaseSync(path)
    db.exec('PRAGMA user_version = 77')
    db.close()
    for (const mode of ['own', 'read'] as const) {
      const error = await refusal(open(path, mode).cursors())
      expect(error).toMatchObject({ kind: 'wait', code: 'TOO_NEW' })
      expect(error.message).toContain('newer stockd')
    }
  })

  it('that was deleted is made again: nothing goes into a file that nobody can read', async () => {
    const path = newPath()
    const store = open(path)
    const [batch] = batches()
    await store.apply(batch)
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
    expect(await store.cursors()).toEqual([])
    expect(await store.apply(batch)).toMatchObject({ cursor: batch.events.length })
    expect(await open(path, 'read').cursors()).toMatchObject([{ pseq: batch.events.length }])
  })

  it('that another process writes is asked for again', async () => {
    const path = newPath()
    const store = open(path)
    await store.migrate()
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    const [batch] = batches()
    expect(await refusal(store.apply(batch))).toMatchObject({ kind: 'again', code: 'BUSY' })
    // Who reads does not wait.
    expect(await open(path, 'read').cursors()).toEqual([])
    other.exec('ROLLBACK')
    expect(await store.apply(batch)).toMatchObject({ cursor: batch.events.length })
    other.close()
  })

  it('is synced at each commit: the node forgets what is stored', async () => {
    const path = newPath()
    const store = open(path)
    await store.apply(batches()[0])
    const db = new DatabaseSync(path)
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    db.close()
    await store.close()
    expect(await refusal(store.cursors())).toMatchObject({ kind: 'wait', code: 'CLOSED' })
  })
})

describe('several parts in one transaction', () => {
  it('are all stored, or none', async () => {
    const store = open(':memory:')
    const all = batches()
    const outcomes = await store.applyAll(all)
    expect(outcomes.map(({ cursor }) => cursor)).toEqual(all.map(({ events }) => events.length))
    expect(await store.verify()).toEqual([])

    const empty = open(':memory:')
    const bad = all.map((batch) => ({
      ...batch,
      events: batch.events.map((event) => (event.body?.order == null ? event : { ...event, body: { ...event.body, deadline: 2 ** 70 } })),
    }))
    expect(await refusal(empty.applyAll(bad))).toMatchObject({ kind: 'poison' })
    expect(await empty.cursors()).toEqual([])
    expect(await empty.stats()).toMatchObject({ events: 0 })
  })
})

describe('a dead event', () => {
  it('that is dead for the database, too, is found by examine', async () => {
    const store = open(':memory:')
    const [event] = new OrderStory({ seed: 1 }).tell(20).events
    await store.apply({ stream: event.stream, part: event.part, events: [poisoned(event)] })
    expect(await store.examine()).toMatchObject([{ level: 'ok' }, { level: 'warning', says: '1 events could not be stored' }])
  })
})

describe('errors of SQLite', () => {
  const failure = (errcode: number): Error => Object.assign(new Error('as SQLite says it'), { code: 'ERR_SQLITE_ERROR', errcode })

  it.each([
    [5, 'again', 'BUSY'],
    [517, 'again', 'BUSY'],
    [6, 'again', 'LOCKED'],
    [13, 'wait', 'FULL'],
    [10, 'wait', 'IOERR'],
    [1034, 'wait', 'IOERR'],
    [8, 'wait', 'READONLY'],
    [14, 'wait', 'CANTOPEN'],
    [11, 'wait', 'CORRUPT'],
    [26, 'wait', 'NOTADB'],
    [19, 'poison', 'CONSTRAINT'],
    [3091, 'poison', 'CONSTRAINT'],
    [18, 'poison', 'TOOBIG'],
    [1, 'unknown', 'SQLITE_1'],
  ])('%i means %s', (errcode, kind, code) => {
    expect(asStoreError(failure(errcode), 'sqlite:x')).toMatchObject({ kind, code, message: expect.stringContaining('as SQLite says it') })
  })

  it('are told from bugs', () => {
    const bug = new TypeError('x is not a function')
    expect(asStoreError(bug, 'sqlite:x')).toBe(bug)
  })
})
