import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseDsn } from '../../../../../src/orders/store/mysql/dsn.ts'
import { tempDir } from '../../../../support/temp-dir.ts'

describe('the URL of a database', () => {
  it('says where and as whom, and tells others nothing of the password', () => {
    const dsn = parseDsn('mysql://ann:p%40ss%3Aword@db.example:3307/shop')
    expect(dsn).toMatchObject({ host: 'db.example', port: 3307, user: 'ann', password: 'p@ss:word', database: 'shop', tls: null })
    expect(dsn.safe).toBe('mysql://ann@db.example:3307/shop')
    expect(parseDsn('mariadb://[::1]/')).toMatchObject({ host: '::1', port: 3306, user: 'root', database: 'stock' })
    expect(parseDsn('mysql://ann@localhost/shop?socket=%2Frun%2Fmysqld.sock')).toMatchObject({ socketPath: '/run/mysqld.sock' })
  })

  it('asks for TLS that checks the server, unless it says otherwise', () => {
    const ca = join(tempDir(), 'ca.pem')
    writeFileSync(ca, 'CERTIFICATE')
    expect(parseDsn(`mysql://h/d?ca=${encodeURIComponent(ca)}`).tls).toEqual({ ca: 'CERTIFICATE', rejectUnauthorized: true })
    expect(parseDsn('mysql://h/d?tls=yes').tls).toEqual({ rejectUnauthorized: true })
    expect(parseDsn('mysql://h/d?tls=unverified').tls).toEqual({ rejectUnauthorized: false })
    expect(parseDsn('mysql://h/d?tls=no').tls).toBeNull()
  })

  it.each([
    ['secret', /^not a database URL/],
    ['redis://:secret@h/0', /^not a MySQL URL: it begins with redis:/],
    ['mysql://ann:secret@h/shop;drop', /'shop;drop' is not a name for databases/],
    [`mysql://ann:secret@h/${'x'.repeat(61)}`, /at most 60/],
    ['mysql://ann:secret@h/shop?ssl=1', /unknown parameter 'ssl'/],
    ['mysql://ann:secret@h/shop?tls=maybe', /tls=maybe/],
    ['mysql://ann:100%secret@h/shop', /write a % of the password as %25/],
  ])('that is wrong is refused in words, without the password: %s', (url, says) => {
    expect(() => parseDsn(url)).toThrow(says)
    expect(() => parseDsn(url)).not.toThrow(/secret/)
  })
})
