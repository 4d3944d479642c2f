// The harness itself: a private MariaDB starts, keeps what was committed through a kill, and leaves nothing behind.

import { describe, expect, it } from 'vitest'
import { HAS_MARIADB, MySqlServer, startMariaDb } from './mariadb.ts'

describe.skipIf(!HAS_MARIADB)('a private MariaDB', () => {
  it('is durable, is killed, and comes back with what was committed', async () => {
    await using database = await startMariaDb({ binlog: true })
    const [settings] = await database.query('SELECT @@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS binlog, @@log_bin AS log')
    expect(settings).toMatchObject({ flush: 1, binlog: 1, log: 1 })
    const name = database.name('kept')
    await database.query(`CREATE DATABASE ${name}`)
    await database.query(`CREATE TABLE ${name}.t (a INT PRIMARY KEY)`)
    await database.query(`INSERT INTO ${name}.t VALUES (7)`)
    await database.kill9()
    await expect(database.query('SELECT 1')).rejects.toThrow(/\w/)

    await database.start(['--read-only'])
    expect(await database.query(`SELECT a, @@read_only AS ro FROM ${name}.t`)).toMatchObject([{ a: 7, ro: 1 }])
    expect(await database.stop()).toEqual({ code: 0, signal: null })
  })

  it('that was there before is left as it was', async () => {
    await using database = await startMariaDb()
    const named = new MySqlServer(database.origin)
    await named.query(`CREATE DATABASE ${named.name('mine')}_00`)
    await named.query('CREATE DATABASE theirs')
    await named.dropAll()
    const left = await named.query('SELECT schema_name AS name FROM information_schema.schemata')
    expect(left.map((row) => String(row.name)).filter((name) => /mine|theirs/.test(name))).toEqual(['theirs'])
  })

  it('tells what it printed when it cannot start', async () => {
    await expect(startMariaDb({ args: ['--no-such-option'] })).rejects.toThrow(/no-such-option/)
  })
})
