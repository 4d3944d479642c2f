// The way to the server is encrypted, and leads to the right one, when the URL says so.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlStore } from '../../../src/orders/store/mysql/mysql-store.ts'
import { HAS_MARIADB, startMariaDb, type MariaDb } from '../../support/mariadb.ts'
import { hasProgram } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'

describe.skipIf(!HAS_MARIADB || !hasProgram('openssl'))('a MariaDB with TLS', () => {
  let server: MariaDb
  const dir = tempDir()
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]

  beforeAll(async () => {
    const made = spawnSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
        ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
      ],
      { encoding: 'utf8' },
    )
    expect(made.status, made.stderr).toBe(0)
    server = await startMariaDb({ args: [`--ssl-cert=${cert}`, `--ssl-key=${key}`] })
    await server.query(`CREATE USER tls IDENTIFIED BY 'secret' REQUIRE SSL`)
    await server.query('GRANT ALL ON *.* TO tls')
  })

  afterAll(async () => {
    await server.kill9()
  })

  async function migrates(parameters: string): Promise<string> {
    const store = new MysqlStore({ urls: [`mysql://tls:secret@localhost:${server.port}/tls${parameters}`], now: () => Date.now() })
    try {
      await store.migrate()
      return 'done'
    } catch (error) {
      return (error as Error).message
    } finally {
      await store.close()
    }
  }

  it('is used with its certificate, or unverified; without it the server refuses', async () => {
    expect(await migrates(`?ca=${encodeURIComponent(cert)}`)).toBe('done')
    expect(await migrates('?tls=unverified')).toBe('done')
    expect(await migrates('')).toMatch(/does not know this user or password/)
  })

  it('is not used when nobody vouches for the server', async () => {
    const refusal = await migrates('?tls=yes')
    expect(refusal).toMatch(/self-signed/)
    expect(refusal).not.toContain('secret')
  })
})
