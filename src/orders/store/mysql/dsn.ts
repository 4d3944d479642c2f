// Where a MySQL or MariaDB server is, and as whom to go there: mysql://user:password@host:port/name?tls=yes&ca=FILE
//
// The password stays inside: messages and names use `safe`. The name is of the database, or what the names of many begin with.

import { readFileSync } from 'node:fs'

/** Shape of what TLS needs, as Node's. */
export interface DsnTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** False: encrypted, but to whoever answers. */
  readonly rejectUnauthorized: boolean
}

export interface Dsn {
  readonly host: string
  readonly port: number
  readonly socketPath: string | null
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: DsnTls | null
  /** mysql://user@host:port/name */
  readonly safe: string
}

const DEFAULT_NAME = 'stock'
const PARAMETERS = ['tls', 'ca', 'cert', 'key', 'socket']

/** @throws Error in words, without the password */
export function parseDsn(text: string): Dsn {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Error('not a database URL; expected mysql://user:password@host:port/name')
  }
  if (url.protocol !== 'mysql:' && url.protocol !== 'mariadb:')
    throw new Error(`not a MySQL URL: it begins with ${url.protocol}//; expected mysql://user:password@host:port/name`)
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name))
  if (unknown !== undefined) throw new Error(`unknown parameter '${unknown}' in the database URL; there are ${PARAMETERS.join(', ')}`)

  const database = decode(url.pathname.slice(1)) || DEFAULT_NAME
  // Room for the suffix _15 within MySQL's 64 characters; these need no quoting in GRANT lines and file names.
  if (!/^[A-Za-z0-9_$]{1,60}$/.test(database))
    throw new Error(`'${database}' is not a name for databases here: letters, digits, _ and $, at most 60 characters`)
  const host = url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1'
  const port = url.port === '' ? 3306 : Number(url.port)
  const user = decode(url.username) || 'root'
  const socketPath = url.searchParams.get('socket')
  return {
    host,
    port,
    socketPath,
    user,
    password: decode(url.password),
    database,
    tls: tlsOf(url.searchParams),
    safe: `mysql://${user}@${socketPath ?? `${url.hostname || host}:${port}`}/${database}`,
  }
}

function tlsOf(parameters: URLSearchParams): DsnTls | null {
  const wanted = parameters.get('tls') ?? (['ca', 'cert', 'key'].some((name) => parameters.has(name)) ? 'yes' : 'no')
  if (wanted === 'no') return null
  if (wanted !== 'yes' && wanted !== 'unverified')
    throw new Error(`tls=${wanted} in the database URL: expected yes, no, or unverified (encrypted, but the server is not checked)`)
  const file = (name: 'ca' | 'cert' | 'key'): { [key in typeof name]?: string } => {
    const path = parameters.get(name)
    return path === null ? {} : { [name]: readFileSync(path, 'utf8') }
  }
  return { ...file('ca'), ...file('cert'), ...file('key'), rejectUnauthorized: wanted === 'yes' }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('a % in the database URL is not followed by two hex digits; write a % of the password as %25')
  }
}
